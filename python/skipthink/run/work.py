"""The work of each job: it reads the files of the jobs it needs, writes its own, and returns its notes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import RunError
from skipthink.io.job_progress import PartReport, measure
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder, read_job_json, read_job_table
from skipthink.run.jobs import PREPARE, TEACH, Graph, Job, evaluations
from skipthink.run.recipe import Recipe
from skipthink.training.method import Method, Needs
from skipthink.training.methods.stt import METHOD as STT

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """A job of a run, with what its work reads and writes.

    Attributes:
        folder: the run folder.
        graph: the jobs of the run.
        job: the job at hand.
        progress: called with (done, in all), in units of the job's own.
    """

    folder: RunFolder
    graph: Graph
    job: Job
    progress: Progress

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return self.graph.recipe

    @property
    def seed(self) -> int:
        """The seed of the job's student."""
        return self.job.seed or 0

    @property
    def out(self) -> Path:
        """Where the job writes."""
        return self.folder.of(self.job)

    def samples(self, split: str) -> pa.Table:
        """The samples of a split."""
        return read_job_table(self.folder.of(PREPARE) / f"{split}.parquet")

    def folds(self, samples: pa.Table, n_folds: int) -> npt.NDArray[np.int64]:
        """The fold of each sample; without cross-fitting there is one."""
        from skipthink.skipping.folds import assign_folds

        return assign_folds(samples["id"].to_pylist(), n_folds, self.seed)

    def boundaries(self, trained: Job, samples: pa.Table) -> npt.NDArray[np.int64]:
        """The chunks that a student was trained on, or a gate has cut, int64 (n, M + 1), row by row of the samples."""
        name = "skip.parquet" if trained.kind is Kind.SKIP_DATA else "chunks.parquet"
        path = self.folder.of(trained) / name
        return np.asarray(_column(path, "boundaries", samples), dtype=np.int64)

    def skipped(self, skip_data: Job, samples: pa.Table) -> npt.NDArray[np.bool_]:
        """Skip data, bool (n, M)."""
        path = self.folder.of(skip_data) / "skip.parquet"
        return np.asarray(_column(path, "skipped", samples), dtype=np.bool_)

    def own(self, own_answers: Job, samples: pa.Table) -> list[list[int] | None]:
        """The chain of a student's own answer to each sample, as token ids; None where there is none."""
        return _column(self.folder.of(own_answers) / "own.parquet", "chain", samples)


def run_job(folder: RunFolder, graph: Graph, job: Job, progress: Progress, *, is_main: bool = True) -> None:
    """Runs one job of a run folder and notes that it is finished; finished before, it does nothing.

    Args:
        folder: a run folder whose recipe is written.
        graph: the jobs of the recipe.
        job: one of them.
        progress: called with (done, in all), in units of the job's own.
        is_main: False in a process that only takes part in the job: another one notes that it is finished.

    Raises:
        RunError: files of other inputs.
        SkipthinkError: whatever the job refuses.
    """
    fingerprint = graph.fingerprints[job]
    if folder.done(job, fingerprint) is not None:
        return
    folder.of(job).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    task = Task(folder, graph, job, progress)
    result = _BODIES[job.kind](task)
    if is_main:
        if job.kind is Kind.TRAIN and job.is_final:
            _dress(task, job, None)
        folder.finish(job, fingerprint, result, time.monotonic() - started)
        if job.kind is Kind.TRAIN:  # not before: a kill until then repeats no step
            from skipthink.training.train import remove_checkpoints

            remove_checkpoints(folder.of(job))


def _teach(task: Task) -> dict[str, Any]:
    """Rationales to the questions of training, by a teacher; what it has answered before is not asked again."""
    from skipthink.run.prepare import questions_of
    from skipthink.teacher.teaching import teach

    recipe = task.recipe
    assert recipe.teacher is not None  # noqa: S101 - otherwise there is no such job
    taught = teach(
        questions_of(recipe.data, recipe.answer),
        recipe.teacher,
        task.out,
        kind=recipe.answer,
        tolerance=recipe.tolerance,
        relative_tolerance=recipe.relative_tolerance,
        progress=task.progress,
    )
    n_open = sum(taught.report["open"].values())
    if taught.halted is not None or n_open > recipe.teacher.max_open * taught.report["samples"]:
        why = taught.halted or f"{n_open} of {taught.report['samples']} samples have no answer"
        raise RunError(
            f"{why}; {task.out / 'open.parquet'} names what is open, what is answered is kept: give the same command "
            "again, or allow it with teacher.max_open"
        )
    return {name: taught.report[name] for name in ("samples", "kept", "rejected", "open")}


def _prepare(task: Task) -> dict[str, Any]:
    """Data from their source into three splits that share no question."""
    from skipthink.io.files import write_json, write_parquet
    from skipthink.run.prepare import prepare_splits, prepare_taught, refuse_splits

    recipe = task.recipe
    if recipe.teacher is None:
        splits, report = prepare_splits(recipe.data, recipe.answer)
    else:
        file = task.folder.of(TEACH) / "rationales.parquet"
        splits, report = prepare_taught(file, recipe.data, recipe.answer)
    warnings = refuse_splits(recipe, splits)
    for split, table in splits.items():
        write_parquet(task.out / f"{split}.parquet", table)
        task.progress(len(report["splits"]), 3)
    write_json(task.out / "report.json", report)
    return {**report, "warnings": warnings}


def _student(task: Task) -> dict[str, Any]:
    """A fresh student with the markers of M chunks in its vocabulary."""
    import torch

    from skipthink.io.files import write_json
    from skipthink.student.encoding import refuse_samples
    from skipthink.student.frame import PLAIN, make_frame
    from skipthink.student.gguf_students import SOURCE_FILE, find_gguf, load_gguf
    from skipthink.student.models import grow_vocabulary, load_student, make_student
    from skipthink.student.options import is_gguf
    from skipthink.student.student import Student
    from skipthink.testbed import student_path

    options, n_chunks = task.recipe.student, task.recipe.chunks.M
    source, warnings = None, []
    if options.is_loaded:
        torch.manual_seed(task.seed)  # rows of new markers are drawn at random
        path = options.path
        if options.testbed is not None:
            path = str(student_path(options.testbed))
        elif options.package is not None:
            path = str(find_gguf(options.package))
        if is_gguf(str(path)):
            model, tokenizer, source = load_gguf(str(path))
        else:
            model, tokenizer = load_student(str(path))
        frame = make_frame(tokenizer, **options.frame())
        grow_vocabulary(model, tokenizer, n_chunks, frame)
        if tokenizer.chat_template is not None and options.prompt_format == "plain":
            warnings.append(
                f"student {options.package or options.path} has a chat template, which its prompts do without; "
                "student.prompt_format: chat uses it"
            )
    else:
        samples = task.samples("train")
        texts = [
            text for column in ("question", "rationale", "answer") for text in samples[column].to_pylist()
        ]
        frame = replace(PLAIN, markers=options.markers, think=options.think)
        model, tokenizer = make_student(
            texts, n_chunks=n_chunks, seed=task.seed, frame=frame, **options.sizes()
        )
    student = Student.of(model, tokenizer, n_chunks=n_chunks, frame=frame)
    for method in task.recipe.chosen:
        method.refuse(task.recipe.options_of(method), student.markers)
    # of all splits, before hours of training
    for split in ("train", "validation", "test"):
        refuse_samples(task.samples(split), frame)
    student.save(task.out)
    precision = _decide_precision(task, model.num_parameters())
    if source is not None:
        write_json(task.out / SOURCE_FILE, source)
    return {
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "auto_precision": precision,
        "warnings": warnings,
    }


def _decide_precision(task: Task, n_weights: int) -> str:
    """What `bf16: auto` means for all trainings of the run, kept beside the student.

    The student of the first seed decides, and those of the others take it over. It does not depend on the options of
    methods, so that students are the same whatever is trained from them.
    """
    from skipthink.training.precision import decide_precision, read_precision, write_precision

    first = Job(Kind.STUDENT, seed=task.recipe.seeds[0])
    known = None if task.job == first else read_precision(task.folder.of(first))
    precision = known or decide_precision(n_weights)
    write_precision(task.out, precision)
    return precision


def _auto_precision(task: Task) -> str | None:
    """What `bf16: auto` means in this run; None where students were made before it was decided with them."""
    from skipthink.training.precision import read_precision

    return read_precision(task.folder.of(Job(Kind.STUDENT, seed=task.seed)))


def _train(task: Task) -> dict[str, Any]:
    """One method, one seed."""
    from skipthink.student.token_rows import TokenRows
    from skipthink.training.train import train_method

    recipe, graph, job = task.recipe, task.graph, task.job
    method = recipe.method(str(job.method))
    samples = task.samples("train")
    extras: dict[str, Any] = {}
    rows = np.arange(samples.num_rows)
    if job.fold is not None:
        rows = np.flatnonzero(task.folds(samples, graph.n_folds(job)) != job.fold)
    if method.needs is not Needs.NOTHING:
        extras["boundaries"] = task.boundaries(_cutter(graph, method, task.seed), samples)[rows]
    elif job.fold is not None and method.has_chunks:
        # the chunks that will be asked about, not those of a search of its own
        extras["boundaries"] = task.boundaries(replace(job, fold=None), samples)[rows]
    if method.needs is Needs.SKIPS:
        extras["skipped"] = task.skipped(graph.skips_of(method, task.seed), samples)[rows]
    if method.has_levels:
        extras["turns"] = _turns(task, graph.skips_of(method, task.seed), samples)[rows]
    answers = graph.answers_of(job)
    if answers is not None:
        chains = task.own(answers, samples)
        extras["own"] = TokenRows.of([chains[row] or [] for row in rows])
    samples = samples.take(rows)
    options, student = recipe.options_of(method), task.folder.of(Job(Kind.STUDENT, seed=task.seed))
    share = method.judge_rate(options)
    if share is not None:
        judge = task.folder.of(graph.judge_of(method, task.seed))
        student, extras["earlier"] = judge / "model", read_job_json(judge / "train.json")
        options = options.replace(learning_rate=options.learning_rate * share)
    return train_method(
        method,
        student=student,
        samples=samples,
        out=task.out,
        options=options,
        chunks=recipe.chunks_of(method),
        seed=task.seed,
        progress=task.progress,
        auto_precision=_auto_precision(task),
        keep_checkpoints=True,
        **extras,
    )


def _turns(task: Task, skip_data: Job, samples: pa.Table) -> npt.NDArray[np.float64]:
    """When each skipped chunk goes, float64 (n, M): in the order of the gate, where it has one."""
    from skipthink.run.trials import turns_of_trials
    from skipthink.skipping.levels import turns_by_order, turns_by_position

    folder, skipped = task.folder.of(skip_data), task.skipped(skip_data, samples)
    if task.recipe.skip.gate == "soft":
        chunks = np.asarray(_column(folder / "soft.parquet", "chunk", samples), dtype=np.int64)
        return turns_by_order(chunks, skipped)
    if task.recipe.skip.gate == "trial":
        return turns_of_trials(
            read_job_json(folder / "report.json"),
            student=task.folder.of(Job(Kind.STUDENT, seed=task.seed)),
            samples=samples,
            boundaries=task.boundaries(skip_data, samples),
            skipped=skipped,
            rules=task.recipe.chunks.rules,
            options=task.recipe.skip,
        )
    return turns_by_position(skipped)


def _cutter(graph: Graph, method: Method, seed: int) -> Job:
    """The job whose chunks a method takes: those of its judge, or of a gate that asks none."""
    return graph.judge_of(method, seed) if graph.recipe.skip.has_judge else graph.skips_of(method, seed)


def _dress(task: Task, trained: Job, metrics: dict[str, Any] | None, model: Path | None = None) -> None:
    """Makes the saved student, or a copy of it, an ordinary folder with a card: what is known of it by now."""
    from skipthink.publish.folder import dress_student
    from skipthink.run.report import versions

    recipe, method = task.recipe, task.recipe.method(str(trained.method))
    folder = task.folder.of(trained)
    summary = read_job_json(folder / "train.json")
    dress_student(
        model or folder / "model",
        out=model or task.folder.beside(trained) / "model",
        facts={
            "data": recipe.task_name,
            "training samples": task.samples("train").num_rows,
            "student": _student_name(recipe, task.folder.of(Job(Kind.STUDENT, seed=trained.seed))),
            "seed": trained.seed,
            "training steps": summary["train_steps"],
            "target tokens": summary["train_target_tokens"],
            "learning rate": recipe.options_of(method).learning_rate,
            "chunking": _chunking(recipe, method),
            **versions(),
        },
        metrics=metrics,
    )


def _student_name(recipe: Recipe, fresh: Path) -> str:
    """What the student was before it was trained, in words; of a GGUF file with its quantisation."""
    from skipthink.student.gguf_students import SOURCE_FILE, describe_quantisation

    options = recipe.student
    if (fresh / SOURCE_FILE).is_file():
        source = read_job_json(fresh / SOURCE_FILE)
        return f"{source['name']}, from {source['file']}: {describe_quantisation(source)}"
    if options.path is not None:
        return Path(options.path).name
    if options.testbed is not None:
        return f"{options.testbed} of skipthink's test bed"
    sizes = options.sizes()
    return "{architecture}, {num_layers} layers, width {hidden_size}, from scratch".format(**sizes)


def _chunking(recipe: Recipe, method: Method) -> str:
    """How the chunks of a method came about, in words; methods that need a judge take those of the judge."""
    if not method.has_chunks:
        return "none"
    if method.needs is not Needs.NOTHING and not recipe.skip.has_judge:
        return "every step a chunk"
    while method.needs is not Needs.NOTHING:
        method = recipe.method(str(recipe.judge_name_of(method)))
    chunks = recipe.chunks_of(method)
    if chunks.method == "average":
        return "average"
    return f"{chunks.method}, objective {chunks.objective}, eta {chunks.eta}"


def _skip_data(task: Task) -> dict[str, Any]:
    """The judge of this seed, or one per fold, is asked which chunks it can do without."""
    from skipthink.skipping.skip_data import make_skip_data
    from skipthink.skipping.soft import make_soft_data

    recipe, samples = task.recipe, task.samples("train")
    if not recipe.skip.has_judge:
        return _decide(task, samples)
    judges = task.graph.judges(task.job)
    common: dict[str, Any] = {
        "judges": [task.folder.of(judge) / "model" for judge in judges],
        "folds": task.folds(samples, recipe.skip.crossfit),
        "samples": samples,
        "boundaries": task.boundaries(replace(judges[0], fold=None), samples),
        "out": task.out,
        "options": recipe.skip,
        "chunks": recipe.chunks,
        "progress": task.progress,
    }
    if recipe.skip.gate == "soft":
        return make_soft_data(**common)
    return make_skip_data(**common, check=recipe.checks, seed=task.seed)


def _own_answers(task: Task) -> dict[str, Any]:
    """The students of this seed answer the questions of training, each several times."""
    from skipthink.own_answers.answers import make_own_answers

    recipe, samples = task.recipe, task.samples("train")
    writers = task.graph.writers(task.job)
    return make_own_answers(
        writers=[task.folder.of(writer) / "model" for writer in writers],
        folds=task.folds(samples, len(writers)),
        samples=samples,
        out=task.out,
        options=recipe.own_answers,
        check=recipe.checks,
        seed=task.seed,
        progress=task.progress,
    )


def _decide(task: Task, samples: pa.Table) -> dict[str, Any]:
    """A gate that asks no judge: brief trainings, a rule or chance."""
    from skipthink.run.gates import skip_by_rule
    from skipthink.run.trials import try_roles

    recipe = task.recipe
    common: dict[str, Any] = {
        "student": task.folder.of(Job(Kind.STUDENT, seed=task.seed)),
        "samples": samples,
        "out": task.out,
        "chunks": recipe.chunks_of(STT),
        "options": recipe.skip,
        "seed": task.seed,
    }
    if recipe.skip.gate != "trial":
        return skip_by_rule(**common)
    return try_roles(
        **common,
        validation=task.samples("validation"),
        training=recipe.options_of(STT),
        check=recipe.checks,
        auto_precision=_auto_precision(task),
        progress=task.progress,
    )


def _evaluate(task: Task) -> dict[str, Any]:
    """All methods and seeds one after the other; those evaluated before a kill are not evaluated again."""
    from skipthink.evaluation.measure import evaluate

    recipe, folder = task.recipe, task.folder
    samples = task.samples(recipe.evaluation.split)
    parts = evaluations(recipe)
    for index, (part, method) in enumerate(parts):
        fingerprint = task.graph.fingerprints[part]
        if folder.done(part, fingerprint) is None:
            started = time.monotonic()
            trained = Job(Kind.TRAIN, part.method, part.seed)
            result = evaluate(
                student=folder.of(trained) / "model",
                samples=samples,
                mode=method.mode,
                out=folder.of(part),
                check=recipe.checks,
                options=recipe.evaluation,
                chunks=recipe.chunks_of(method),
                progress=PartReport(task.progress, index, len(parts)),
            )
            measure(task.progress, accuracy=result["accuracy"])
            _dress(task, trained, {**result, "split": recipe.evaluation.split})
            folder.finish(part, fingerprint, result, time.monotonic() - started)
        PartReport(task.progress, index, len(parts))(1, 1)
    return {"evaluated": len(parts)}


def _choose(task: Task) -> dict[str, Any]:
    """All students answer the validation questions; that which the rule chooses is saved with its card."""
    from skipthink.io.files import write_json
    from skipthink.run.choosing import CHOICE_FILE, at_level, copy_student, make_choice, measure_once
    from skipthink.run.report import with_speedups

    recipe, folder = task.recipe, task.folder
    assert recipe.choose is not None  # noqa: S101 - otherwise there is no such job
    assert recipe.reference is not None  # noqa: S101 - the recipe was checked
    parts, samples = evaluations(recipe), task.samples("validation")
    measured, rows = {}, []
    for index, (part, method) in enumerate(parts):
        seed = part.seed or 0
        measured[method.name, seed] = measure_once(
            task.out / method.name / f"s{seed}",
            student=folder.of(Job(Kind.TRAIN, method.name, seed)) / "model",
            samples=samples,
            mode=method.mode,
            check=recipe.checks,
            options=recipe.evaluation,
            chunks=recipe.chunks_of(method),
            progress=PartReport(task.progress, index, len(parts)),
        )
        measure(task.progress, accuracy=measured[method.name, seed]["accuracy"])
        done = folder.done(part, task.graph.fingerprints[part])
        if done is None:
            raise RunError(f"{part.name} is not finished in {folder.path}")
        rows.append({"method": method.name, "seed": seed, **done["result"]})
    choice = make_choice(measured, recipe.reference.name, recipe.choose)
    trained = Job(Kind.TRAIN, choice["method"], choice["seed"])
    copy_student(folder.of(trained) / "model", task.out / "student", choice["level"])
    rows = [at_level(row, choice["level"]) if row["method"] == choice["method"] else row for row in rows]
    tested = next(
        row
        for row in with_speedups(rows, choice["reference"])
        if (row["method"], row["seed"]) == (choice["method"], choice["seed"])
    )
    _dress(task, trained, {**tested, "split": "test"}, task.out / "student")
    write_json(task.out / CHOICE_FILE, choice)
    return choice


_BODIES: dict[Kind, Callable[[Task], dict[str, Any]]] = {
    Kind.TEACH: _teach,
    Kind.PREPARE: _prepare,
    Kind.STUDENT: _student,
    Kind.TRAIN: _train,
    Kind.SKIP_DATA: _skip_data,
    Kind.OWN_ANSWERS: _own_answers,
    Kind.EVALUATE: _evaluate,
    Kind.CHOOSE: _choose,
}


def _column(path: Path, column: str, samples: pa.Table) -> list[Any]:
    table = read_job_table(path)
    if table["id"].to_pylist() != samples["id"].to_pylist():
        raise RunError(
            f"{path} is not about the samples of data/train.parquet; delete the run folder to start over"
        )
    values: list[Any] = table[column].to_pylist()
    return values
