"""What each stage does: reads the files of the stages it needs, writes its own, returns what to note."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import RunError
from skipthink.run.folder import RunFolder, read_stage_json, read_stage_table
from skipthink.run.recipe import Recipe
from skipthink.run.settings import search_method
from skipthink.run.stages import (
    JUDGE,
    Stage,
    build_stages,
    evaluation_fingerprint,
    evaluation_name,
    fold_name,
)
from skipthink.student.options import FRAME_KEYS
from skipthink.training.method_table import METHODS

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.answers.options import CheckOptions
    from skipthink.scoring.options import ChunkOptions
    from skipthink.training.method import Method
    from skipthink.training.options import TrainingOptions

Progress = Callable[[int, int], None]


def run_stage(folder: RunFolder, name: str, progress: Progress, *, is_main: bool = True) -> None:
    """Runs one stage of a run folder and notes that it is finished; finished before, it does nothing.

    Args:
        folder: a run folder whose recipe is written.
        name: a name of `build_stages`.
        progress: called with (done, in all), in units of the stage's own.
        is_main: False in a process that only takes part in the stage: another one notes that it is finished.

    Raises:
        RunError: no such stage, or files of other inputs.
        SkipthinkError: whatever the stage refuses.
    """
    recipe = folder.recipe()
    stages = build_stages(recipe)
    if name not in stages:
        raise RunError(f"no stage {name!r} in {folder.path}; its stages are {', '.join(stages)}")
    stage = stages[name]
    if folder.done(name, stage.fingerprint) is not None:
        return
    folder.stage(name).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    if stage.kind == "evaluate":
        result = _evaluate(recipe, folder, stages, progress)
    else:
        result = _BODIES[stage.kind](recipe, folder, stage, progress)
    if is_main:
        if stage.kind == "train" and stage.fold is None:
            _dress(recipe, folder, name.split("/")[1], _seed(stage), None)
        folder.finish(name, stage.fingerprint, result, time.monotonic() - started)


def _prepare(recipe: Recipe, folder: RunFolder, stage: Stage, progress: Progress) -> dict[str, Any]:
    """Data from their source into three splits that share no question."""
    from skipthink.io.files import write_json, write_parquet
    from skipthink.run.prepare import prepare_splits

    splits, report = prepare_splits(recipe.data, recipe.answer)
    for split, table in splits.items():
        write_parquet(folder.stage("prepare") / f"{split}.parquet", table)
        progress(len(report["splits"]), 3)
    write_json(folder.stage("prepare") / "report.json", report)
    return report


def _student(recipe: Recipe, folder: RunFolder, stage: Stage, progress: Progress) -> dict[str, Any]:
    """A fresh student with the markers of M chunks in its vocabulary."""
    import torch

    from skipthink.student.encoding import refuse_samples
    from skipthink.student.frame import PLAIN, make_frame
    from skipthink.student.models import grow_vocabulary, load_student, make_student
    from skipthink.student.student import Student
    from skipthink.testbed import student_path
    from skipthink.training.methods import own_methods

    seed, section = _seed(stage), recipe.student
    around = section.model_dump(include=set(FRAME_KEYS))
    warnings = []
    if section.is_loaded:
        torch.manual_seed(seed)  # rows of new markers are drawn at random
        path = student_path(section.testbed) if section.testbed is not None else section.path
        model, tokenizer = load_student(str(path))
        frame = make_frame(tokenizer, **around)
        grow_vocabulary(model, tokenizer, recipe.chunks.M, frame)
        if tokenizer.chat_template is not None and section.prompt_format == "plain":
            warnings.append(
                f"student {section.path} has a chat template, which its prompts do without; "
                "student.prompt_format: chat uses it"
            )
    else:
        samples = _samples(folder, "train")
        texts = [
            text for column in ("question", "rationale", "answer") for text in samples[column].to_pylist()
        ]
        config = section.model_dump(exclude={"path", "testbed", *FRAME_KEYS})
        frame = replace(PLAIN, markers=section.markers, think=section.think)
        model, tokenizer = make_student(texts, n_chunks=recipe.chunks.M, seed=seed, frame=frame, **config)
    student = Student.of(model, tokenizer, n_chunks=recipe.chunks.M, frame=frame)
    for name in recipe.methods:
        method = own_methods()[name]
        method.refuse(_options(recipe, method), student.markers)
    # of all splits, before hours of training
    for split in ("train", "validation", "test"):
        refuse_samples(_samples(folder, split), frame)
    student.save(folder.stage(stage.name))
    return {"parameters": model.num_parameters(), "vocabulary": len(tokenizer), "warnings": warnings}


def _train(recipe: Recipe, folder: RunFolder, stage: Stage, progress: Progress) -> dict[str, Any]:
    """One method, one seed."""
    from skipthink.training.methods import own_methods
    from skipthink.training.train import train_method

    method, seed = own_methods()[stage.name.split("/")[1]], _seed(stage)
    samples = _samples(folder, "train")
    extras: dict[str, Any] = {}
    if stage.fold is not None:
        # the chunks that will be asked about, not those of a search of its own
        rows = np.flatnonzero(_folds(recipe, samples, seed) != stage.fold)
        extras["boundaries"] = _boundaries(folder, seed, samples)[rows]
        samples = samples.take(rows)
    elif f"train/{JUDGE}/s{seed}" in stage.needs:
        extras["boundaries"] = _boundaries(folder, seed, samples)
        if method.name == "stt":
            extras["skipped"] = _skipped(folder, seed, samples)
    return train_method(
        method,
        student=folder.stage(f"student/s{seed}"),
        samples=samples,
        out=folder.stage(stage.name),
        options=_options(recipe, method),
        chunks=_chunks(recipe),
        seed=seed,
        progress=progress,
        **extras,
    )


def _options(recipe: Recipe, method: Method) -> TrainingOptions:
    """The recipe's words as a method's options."""
    from skipthink.training.options import LoraOptions

    values = recipe.training.of(method.name).model_dump()
    values["lora"] = None if values["lora"] is None else LoraOptions(**values["lora"])
    known = {one.name for one in fields(method.Options)}
    return method.Options(**{name: _frozen(value) for name, value in values.items() if name in known})


def _chunks(recipe: Recipe, method: Method | None = None) -> ChunkOptions:
    """The recipe's words on chunks; of a method, with the search that cuts them."""
    from skipthink.scoring.options import ChunkOptions

    values = {name: _frozen(value) for name, value in recipe.chunks.model_dump().items()}
    chunks = ChunkOptions(passes=values.pop("stages"), **values)
    return chunks if method is None else chunks.replace(method=method.search_of(chunks))


def _check(recipe: Recipe) -> CheckOptions:
    from skipthink.answers.options import CheckOptions

    return CheckOptions(answer=recipe.answer, **recipe.tolerances)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _dress(recipe: Recipe, folder: RunFolder, method: str, seed: int, metrics: dict[str, Any] | None) -> None:
    """Makes the saved student an ordinary folder with a model card, which says what is known of it by now."""
    from skipthink.publish.folder import dress_student
    from skipthink.run.report import versions

    trained = folder.stage(f"train/{method}/s{seed}")
    summary = read_stage_json(trained / "train.json")
    values = recipe.training.of(method)
    dress_student(
        trained / "model",
        facts={
            "data": recipe.task_name,
            "training samples": _samples(folder, "train").num_rows,
            "student": _student_name(recipe),
            "seed": seed,
            "training steps": summary["train_steps"],
            "target tokens": summary["train_target_tokens"],
            "learning rate": values.learning_rate,
            "chunking": _chunking(recipe, method),
            **versions(),
        },
        metrics=metrics,
    )


def _student_name(recipe: Recipe) -> str:
    """What the student was before it was trained, in words."""
    section = recipe.student
    if section.path is not None:
        return Path(section.path).name
    if section.testbed is not None:
        return f"{section.testbed} of skipthink's test bed"
    return f"{section.architecture}, {section.num_layers} layers, width {section.hidden_size}, from scratch"


def _chunking(recipe: Recipe, method: str) -> str:
    """How the chunks of a method came about, in words; methods that skip take those of their judge."""
    spec, chunks = METHODS[method], recipe.chunks
    if spec.scheme != "chunkwise":
        return "none"
    search = search_method(recipe, method)
    if search == "average" or not (spec.searches or spec.skips):
        return "average"
    return f"{search}, objective {chunks.objective}, eta {chunks.eta}"


def _skip_data(recipe: Recipe, folder: RunFolder, stage: Stage, progress: Progress) -> dict[str, Any]:
    """The judge of this seed, or one a fold, is asked which chunks it can do without."""
    from skipthink.skipping.options import SkipOptions
    from skipthink.skipping.skip_data import make_skip_data

    seed = _seed(stage)
    samples = _samples(folder, "train")
    names = [f"train/{JUDGE}/s{seed}"]
    if recipe.skip.crossfit > 1:
        names = [fold_name(seed, fold) for fold in range(recipe.skip.crossfit)]
    return make_skip_data(
        judges=[folder.stage(name) / "model" for name in names],
        folds=_folds(recipe, samples, seed),
        samples=samples,
        boundaries=_boundaries(folder, seed, samples),
        out=folder.stage(stage.name),
        check=_check(recipe),
        options=SkipOptions(**recipe.skip.model_dump()),
        chunks=_chunks(recipe),
        seed=seed,
        progress=progress,
    )


def _folds(recipe: Recipe, samples: pa.Table, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each sample; without cross-fitting there is one."""
    from skipthink.skipping.folds import assign_folds

    return assign_folds(samples["id"].to_pylist(), recipe.skip.crossfit, seed)


def _evaluate(
    recipe: Recipe, folder: RunFolder, stages: dict[str, Stage], progress: Progress
) -> dict[str, Any]:
    """All methods and seeds one after the other; those evaluated before a kill are not evaluated again."""
    from skipthink.evaluation.measure import evaluate
    from skipthink.evaluation.options import EvaluationOptions
    from skipthink.training.methods import own_methods

    samples = _samples(folder, recipe.evaluation.split)
    # Base first: speed-ups are measured against it
    methods = sorted(recipe.methods, key=lambda method: method != "base")
    parts = [(method, seed) for seed in recipe.seeds for method in methods]
    for index, (method, seed) in enumerate(parts):
        name, fingerprint = (
            evaluation_name(method, seed),
            evaluation_fingerprint(stages, recipe, method, seed),
        )
        if folder.done(name, fingerprint) is None:
            started = time.monotonic()
            result = evaluate(
                student=folder.stage(f"train/{method}/s{seed}") / "model",
                samples=samples,
                mode=METHODS[method].mode,
                out=folder.stage(name),
                check=_check(recipe),
                options=EvaluationOptions(**recipe.evaluation.model_dump()),
                chunks=_chunks(recipe, own_methods()[method]),
                progress=partial(_report_part, progress, index, len(parts)),
            )
            _dress(recipe, folder, method, seed, {**result, "split": recipe.evaluation.split})
            folder.finish(name, fingerprint, result, time.monotonic() - started)
        _report_part(progress, index, len(parts), 1, 1)
    return {"evaluated": len(parts)}


def _report_part(progress: Progress, index: int, n_parts: int, done: int, total: int) -> None:
    """Turns the progress of one part into that of all, in percent of a part."""
    progress(100 * index + 100 * done // max(total, 1), 100 * n_parts)


_BODIES = {"prepare": _prepare, "student": _student, "train": _train, "skip-data": _skip_data}


def _seed(stage: Stage) -> int:
    return int(stage.name.rpartition("/s")[2])


def _samples(folder: RunFolder, split: str) -> pa.Table:
    return read_stage_table(folder.stage("prepare") / f"{split}.parquet")


def _boundaries(folder: RunFolder, seed: int, samples: pa.Table) -> npt.NDArray[np.int64]:
    """Chunks of the judge, int64 (n, M + 1), row by row those of the samples."""
    path = folder.stage(f"train/{JUDGE}/s{seed}") / "chunks.parquet"
    return np.asarray(_column(path, "boundaries", samples), dtype=np.int64)


def _skipped(folder: RunFolder, seed: int, samples: pa.Table) -> npt.NDArray[np.bool_]:
    """Skip data, bool (n, M)."""
    path = folder.stage(f"skip-data/s{seed}") / "skip.parquet"
    return np.asarray(_column(path, "skipped", samples), dtype=np.bool_)


def _column(path: Path, column: str, samples: pa.Table) -> list[Any]:
    table = read_stage_table(path)
    if table["id"].to_pylist() != samples["id"].to_pylist():
        raise RunError(
            f"{path} is not about the samples of data/train.parquet; delete the run folder to start anew"
        )
    values: list[Any] = table[column].to_pylist()
    return values
