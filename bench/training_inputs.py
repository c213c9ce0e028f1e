"""What the benchmarks of training train: arithmetic samples, and a student with random weights."""

import pyarrow as pa

from skipthink import tasks
from skipthink.student import Student
from skipthink.student.models import make_student


def make_inputs(options, n_chunks, **sizes):
    """Student, tokenizer and encoded samples.

    Args:
        options: samples, hidden_size, layers, vocabulary. A vocabulary of usual size: what the head costs is part of a
            comparison.
        n_chunks: M.
        sizes: others of the student.
    """
    rows = tasks.make("multi_step_arithmetic", train=options.samples, validation=0, test=0, seed=1)["train"]
    samples = pa.Table.from_pylist(rows).select(["id", "question", "rationale", "answer"])
    texts = [text for name in ("question", "rationale", "answer") for text in samples[name].to_pylist()]
    model, tokenizer = make_student(
        texts, n_chunks=n_chunks, seed=0, hidden_size=options.hidden_size, num_layers=options.layers, **sizes
    )
    model.resize_token_embeddings(options.vocabulary, mean_resizing=False)
    return model, tokenizer, Student.of(model, tokenizer, n_chunks=n_chunks).encode(samples)
