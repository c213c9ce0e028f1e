"""Training, evaluation and skip data with options written flat, as the tests of them do."""

from dataclasses import fields

import pyarrow as pa

from skipthink.answers.options import CheckOptions
from skipthink.evaluation import EvaluationOptions, evaluate
from skipthink.scoring import ChunkOptions
from skipthink.skipping import SkipOptions, make_skip_data
from skipthink.student.models import make_student, save_student
from skipthink.training import ItemTrainer, LoraOptions, make_arguments, train_method
from skipthink.training.methods import own_methods

PAPER = {"skip_weight": None, "thought": "per-chunk"}
"""The paper's skip items: one per sample beside full items, with a `[thought]` per skipped chunk."""
SMALL = {"batch_size": 8, "warmup_steps": 0.0, **PAPER}
"""What tests train with where they say nothing else."""


def sort_options(method, n_chunks, settings):
    """Options of a method, of chunks, and further arguments of `transformers`, out of one dict."""
    settings = {**SMALL, **settings}
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    if isinstance(settings.get("lora"), dict):
        settings["lora"] = LoraOptions(**settings["lora"])
    of_chunks = {one.name for one in fields(ChunkOptions)} - {"M", "method"}
    chunks = {name: settings.pop(name) for name in of_chunks & set(settings)}
    if "search" in settings:
        chunks["method"] = settings.pop("search")
    of_method = {one.name for one in fields(method.Options)}
    of_others = {one.name for other in own_methods().values() for one in fields(other.Options)} - of_method
    settings = {name: value for name, value in settings.items() if name not in of_others}
    options = {name: settings.pop(name) for name in of_method & set(settings)}
    chunks = {"method": "greedy", **chunks}  # where a method searches, tests search
    return method.Options(**options), ChunkOptions(M=n_chunks, **chunks), settings


def train_by_name(name, *, student, samples, out, n_chunks=3, seed=5, settings=None, **extras):
    """`train_method` on a CPU; `extras` are boundaries, skipped and progress."""
    method = own_methods()[name]
    options, chunks, arguments = sort_options(method, n_chunks, settings or {})
    return train_method(method, student=student, samples=samples, out=out, options=options, chunks=chunks, seed=seed,
                        arguments={"use_cpu": True, **arguments}, **extras)  # fmt: skip


PARROT_RATIONALE = "We add. {k} + 1 = {total}. Done."


def parrot_samples(rationale=PARROT_RATIONALE):
    """Six short samples that a tiny student can learn by heart."""
    rows = [
        {
            "id": f"r{k}",
            "question": f"What is {k} and 1?",
            "rationale": rationale.format(k=k, total=k + 1),
            "answer": str(k + 1),
        }
        for k in range(6)
    ]
    return pa.Table.from_pylist(rows)


def train_parrot(*, out, method, rationale, n_known=6, n_chunks=3, max_length_tokens=160, **settings):
    """Trains a student on the first `n_known` of the six samples; it starts from `out / "fresh"`."""
    samples = parrot_samples(rationale)
    texts = [str(value) for row in samples.to_pylist() for value in row.values()]
    sizes = {"hidden_size": 48, "num_layers": 2, "num_heads": 2, "max_length_tokens": max_length_tokens}
    save_student(*make_student(texts, n_chunks=n_chunks, seed=0, vocab_size=300, **sizes), out / "fresh")
    common = {"batch_size": 8, "learning_rate": 4e-3, "save_strategy": "no", "eta": 0.0}
    return train_by_name(method, student=out / "fresh", samples=samples[:n_known], out=out, n_chunks=n_chunks,
                         seed=0, settings={**common, **settings})  # fmt: skip


def make_trainer(name, student, encoded, out, *, seed=42, boundaries=None, skipped=None, **settings):
    """An `ItemTrainer` on a CPU, with the method's options and further arguments of `transformers` in one."""
    method = own_methods()[name]
    options, chunks, arguments = sort_options(method, student.n_chunks, {"use_cpu": True, **settings})
    args = make_arguments(options, out, seed=seed, **arguments)
    return ItemTrainer(student, method, args, encoded=encoded, options=options, chunks=chunks,
                       boundaries=boundaries, skipped=skipped)  # fmt: skip


def evaluate_folder(*, model_dir, samples, mode, n_chunks, answer_kind, out, settings=None, **extras):
    """`evaluate`, with the options of all its parts in one."""
    settings = dict(settings or {})
    of_check = {one.name for one in fields(CheckOptions)}
    check = {name: settings.pop(name) for name in of_check & set(settings)}
    chunks = {"method": "average", **settings.pop("chunking", {})}
    return evaluate(
        student=model_dir, samples=samples, mode=mode, out=out, check=CheckOptions(answer=answer_kind, **check),
        options=EvaluationOptions(**settings), chunks=ChunkOptions(M=n_chunks, **chunks), **extras,
    )  # fmt: skip


def skip_folders(*, judges, samples, boundaries, out, n_chunks, answer_kind, settings=None, **extras):
    """`make_skip_data`, with the options of all its parts in one."""
    settings = dict(settings or {})
    of_check = {one.name for one in fields(CheckOptions)}
    check = {name: settings.pop(name) for name in of_check & set(settings)}
    return make_skip_data(
        judges=judges, samples=samples, boundaries=boundaries, out=out,
        check=CheckOptions(answer=answer_kind, **check), options=SkipOptions(**{"gate": "answer", **settings}),
        chunks=ChunkOptions(M=n_chunks), **extras,
    )  # fmt: skip
