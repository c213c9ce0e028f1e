"""What keeping prefixes saves when skip data are made: tokens read and seconds, against reading whole prompts.

    python bench/skip_prefixes.py --json

A student with random weights is asked every question about every sample: nothing dropped, then each chunk. Which chunks
stand in later prompts is drawn by chance, the same ones both times, and a continuation ends at a bound. On a CPU the
process's own seconds count, so that other work on the machine does not.
"""

import argparse
import json
import time

import numpy as np
import pyarrow as pa
import torch

from skipthink import tasks
from skipthink.answers.options import CheckOptions
from skipthink.core.search import average_boundaries
from skipthink.skipping.judge import Judge, Subjects
from skipthink.skipping.options import SkipOptions
from skipthink.student import Student
from skipthink.student.inference import Decoding
from skipthink.student.models import make_student

STAGES = 4
SIZES = {
    # hidden, layers, heads
    "tiny": (32, 1, 2),
    "small": (256, 6, 4),
    "0.5b": (896, 24, 14),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument(
        "--question-tokens", type=int, default=None, help="questions are repeated to this length"
    )
    parser.add_argument("--new-tokens", type=int, default=12, help="bound on each continuation")
    parser.add_argument("--votes", type=int, default=1)
    options = parser.parse_args()
    result = measure(options)
    print(
        json.dumps(result) if options.json else "\n".join(f"{key}: {value}" for key, value in result.items())
    )


def measure(options):
    """Both ways, in turn: seconds, prompt tokens, and how many of them were read."""
    samples = pa.Table.from_pylist(
        tasks.make("multi_step_arithmetic", train=options.rows, validation=0, test=0, seed=1)["train"]
    )
    if options.question_tokens is not None:
        longer = [
            text + (" " + text) * (options.question_tokens // 48) for text in samples["question"].to_pylist()
        ]
        samples = samples.set_column(samples.column_names.index("question"), "question", pa.array(longer))
    hidden, layers, heads = SIZES[options.size]
    texts = [text for name in ("question", "rationale", "answer") for text in samples[name].to_pylist()]
    sizes = {"hidden_size": hidden, "num_layers": layers, "num_heads": heads, "max_length_tokens": 4096}
    student = Student.of(*make_student(texts, n_chunks=STAGES, seed=0, **sizes), n_chunks=STAGES)
    student.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    encoded = student.encode(samples)
    boundaries = average_boundaries(encoded.n_steps, STAGES)
    subjects = Subjects(encoded, boundaries, samples["answer"].to_pylist(), CheckOptions(answer="number"))
    limits = dict.fromkeys(range(STAGES + 1), options.new_tokens)
    judge = Judge(student, Decoding(limits), subjects, SkipOptions(gate="answer"))
    ask_everything(judge, 2)  # lazy set-up
    found = {"question_tokens": float(encoded.question.lengths.mean())}
    for name, keeps in (("kept", True), ("whole", False), ("kept", True), ("whole", False)):
        asked = SkipOptions(
            gate="answer", votes=options.votes, temperature=float(options.votes > 1), keep_prefixes=keeps,
            batch_size=options.rows * options.votes,
        )  # fmt: skip
        decoding = Decoding(limits, asked.batch_size, asked.temperature)
        judge = Judge(student, decoding, subjects, asked)
        assert judge.keeps == keeps
        found[name] = ask_everything(judge, len(encoded))
    found["read_of_prompt_tokens"] = found["kept"]["read"] / found["kept"]["prompt"]
    found["speedup"] = found["whole"]["seconds"] / found["kept"]["seconds"]
    return found | {"device": str(student.device), "size": options.size, "votes": options.votes}


def ask_everything(judge, n_rows):
    """Asks about each chunk of each row; what is skipped is drawn by chance, the same each time."""
    rows = np.arange(n_rows)
    skipped = np.zeros((n_rows, STAGES), dtype=bool)
    rng = np.random.default_rng(0)
    clock = time.perf_counter if judge.student.device.type == "cuda" else time.process_time
    costs, started = [], clock()
    costs.append(judge.block(rows).ask(0, rows, skipped)[1])
    block = judge.block(rows)
    for chunk in range(1, STAGES + 1):
        costs.append(block.ask(chunk, rows, skipped)[1])
        skipped[:, chunk - 1] = rng.random(n_rows) < 0.5
    return {
        "seconds": clock() - started,
        "generated": sum(cost.tokens for cost in costs),
        "prompt": sum(cost.prompt_tokens for cost in costs),
        "read": sum(cost.prompt_tokens_read for cost in costs),
    }


if __name__ == "__main__":
    main()
