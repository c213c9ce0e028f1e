"""The jobs of a recipe as a graph: what each needs, in which order they run, and what their results depend on.

    prepare → student → train/{answer-only, base, base-trim}
                      → skip-data → train/stt → evaluate

With a judge, as in the paper (`skip.gate: answer`):

    prepare → student → train/{answer-only, base, base+ac, base+sbc}
            → skip-data → train/{stt, skip-all} → evaluate

Where a teacher writes the rationales, `teach` stands in front of `prepare`.
Where a recipe says how to `choose` a student, a job of that name ends the run.
Gates that ask no judge, such as the default, need the fresh student alone; methods that skip take their chunks from
them.
With cross-fitting (`skip.crossfit` F > 1) F more students, train/base+sbc/fold<f>, stand in front of skip-data.

Methods that learn from answers of their own (`Method.writer`) stand behind the student that writes them, or with
`own_answers.crossfit` behind F of them; each further round has a student of its own:

    train/stt → own-answers/stt-own/round1 → train/stt-own/round1 → own-answers/stt-own/round2 → train/stt-own

All but `prepare` and `evaluate` stand once per seed. The student of the first seed stands in front of those of the
others: it decides what `bf16: auto` means, for the whole run. `evaluate` is one job, so that all methods are timed one
after the other, in one process, with nothing else running; its parts, one per method and seed, are finished one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from skipthink.exceptions import RunError
from skipthink.io.own_code import file_of, is_own_code
from skipthink.options import results_part
from skipthink.run.fingerprints import Kind, fingerprint_of, hash_files, maker
from skipthink.run.recipe import Recipe
from skipthink.run.student_files import hash_student
from skipthink.training.method import Method, Needs
from skipthink.training.methods.stt import METHOD as STT

COSTS = {
    Kind.TEACH: 10.0,
    Kind.PREPARE: 1.0,
    Kind.STUDENT: 1.0,
    Kind.TRAIN: 10.0,
    Kind.SKIP_DATA: 10.0,
    Kind.OWN_ANSWERS: 5.0,
    Kind.EVALUATE: 1.0,
    Kind.CHOOSE: 1.0,
}
"""Rough relative durations; only the order in which ready jobs start depends on them."""


@dataclass(frozen=True)
class Job:
    """A piece of a run's work.

    Attributes:
        kind: what it does.
        method: the method it trains or evaluates; of skip data the judge, where a run has several; of own answers
            the method that learns from them.
        seed: of the student.
        fold: the fold that a cross-fitted student is not trained on.
        round: of own answers, counted from 1; of a training the round that it learns from, where it is not the last.
    """

    kind: Kind
    method: str | None = None
    seed: int | None = None
    fold: int | None = None
    round: int | None = None

    @property
    def name(self) -> str:
        """The name, from kind, method, round, fold and seed: "train/base/s0"."""
        round_ = None if self.round is None else f"round{self.round}"
        fold = None if self.fold is None else f"fold{self.fold}"
        seed = None if self.seed is None else f"s{self.seed}"
        return "/".join(
            part for part in (self.kind.value, self.method, round_, fold, seed) if part is not None
        )

    @property
    def folder(self) -> str:
        """Where its files lie in a run folder."""
        return "data" if self.kind is Kind.PREPARE else self.name

    @property
    def is_final(self) -> bool:
        """Whether it is about all samples, and about the last round."""
        return self.fold is None and self.round is None


TEACH, PREPARE, EVALUATE, CHOOSE = (
    Job(kind) for kind in (Kind.TEACH, Kind.PREPARE, Kind.EVALUATE, Kind.CHOOSE)
)


@dataclass(frozen=True)
class Graph:
    """The jobs of a recipe.

    Attributes:
        recipe: what they are of.
        data: hash of the data file, None of other sources.
        student: hash of the files that the student is loaded from, None of other students.
        needs: the jobs whose files a job reads; jobs stand behind those they need.
        fingerprints: hash of all that a job's result depends on; of the parts of `evaluate` too.
        ranks: length of the longest chain from a job to the end; the longest starts first.
    """

    recipe: Recipe
    data: str | None
    student: str | None
    needs: Mapping[Job, tuple[Job, ...]]
    fingerprints: Mapping[Job, str]
    ranks: Mapping[Job, float]

    def __iter__(self) -> Iterator[Job]:
        return iter(self.needs)

    def __len__(self) -> int:
        return len(self.needs)

    def named(self, name: str) -> Job:
        """The job of a name.

        Raises:
            RunError: there is none.
        """
        for job in self:
            if job.name == name:
                return job
        raise RunError(f"no job {name!r}; the jobs of this run are {', '.join(job.name for job in self)}")

    def judge_of(self, method: Method, seed: int) -> Job:
        """The job that trains the judge of a method."""
        return Job(Kind.TRAIN, self.recipe.judge_name_of(method), seed)

    def skips_of(self, method: Method, seed: int) -> Job:
        """The job that makes the skip data of a method."""
        return _skip_job(self.recipe, method, seed)

    def judges(self, skip_data: Job) -> tuple[Job, ...]:
        """The jobs that train who is asked for skip data: one, or one per fold; none where a gate asks nobody."""
        return tuple(job for job in self.needs[skip_data] if job.kind is Kind.TRAIN)[
            -self.recipe.skip.crossfit :
        ]

    def writers(self, own_answers: Job) -> tuple[Job, ...]:
        """The jobs that train who writes own answers: one, or one per fold."""
        return tuple(job for job in self.needs[own_answers] if job.kind is Kind.TRAIN)

    def answers_of(self, training: Job) -> Job | None:
        """The own answers that a training learns from; None where it learns from the teacher alone."""
        return next((job for job in self.needs[training] if job.kind is Kind.OWN_ANSWERS), None)

    def n_folds(self, job: Job) -> int:
        """Into how many folds samples are dealt, for a student that is not trained on one of them."""
        return _n_folds(self.recipe, job)


def build_graph(recipe: Recipe, *, data: str | None = None, student: str | None = None) -> Graph:
    """The jobs of a recipe.

    Args:
        recipe: what is to be computed.
        data: hash of the data file where it is known; else it is read.
        student: hash of the student's files where it is known; else they are read.

    Raises:
        InvalidInputError: the student's package is not installed, or holds no .gguf file or several.
        RunError: a file of data, of the student, or of a task or method of the user's own, cannot be read (its content
            is part of the fingerprints), or methods are each other's judges.
    """
    if student is None:
        student = hash_student(recipe.student)
    file = recipe.data.file
    if data is None and file is not None:
        data = hash_files(Path(file))
    needs = _needs(recipe)
    try:
        order = tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " ← ".join(job.name for job in error.args[1])
        raise RunError(
            f"methods are each other's judges: {circle}; let one of them have another judge"
        ) from None
    code = {recipe.found[name].name: _hash_code(name) for name in recipe.own_files}
    fingerprints: dict[Job, str] = {}
    parts = {job: (PREPARE, train) for job, train in _evaluations(recipe).items()}
    for job, needed in ({job: needs[job] for job in order} | parts).items():
        upstream = {need.name: fingerprints[need] for need in needed if _is_input(need, job)}
        own = _own_part(recipe, job, data, student, code)
        fingerprints[job] = fingerprint_of(job.name, maker(job.kind), own, upstream)
    return Graph(
        recipe, data, student, {job: needs[job] for job in order}, fingerprints, _ranks(needs, order)
    )


def _is_input(need: Job, job: Job) -> bool:
    """Whether the result of a job depends on one it needs: a student takes no more than a precision from the first."""
    return not need.kind is job.kind is Kind.STUDENT


def evaluations(recipe: Recipe) -> list[tuple[Job, Method]]:
    """The parts of `evaluate` in the order in which they run: speed-ups are measured against the first method."""
    methods = sorted(recipe.chosen, key=lambda method: not method.is_reference)
    return [(Job(Kind.EVALUATE, method.name, seed), method) for seed in recipe.seeds for method in methods]


def _evaluations(recipe: Recipe) -> dict[Job, Job]:
    return {job: Job(Kind.TRAIN, job.method, job.seed) for job, _ in evaluations(recipe)}


def _needs(recipe: Recipe) -> dict[Job, tuple[Job, ...]]:
    """What each job needs."""
    needs: dict[Job, tuple[Job, ...]] = (
        {PREPARE: ()} if recipe.teacher is None else {TEACH: (), PREPARE: (TEACH,)}
    )
    trained = _with_others(recipe)
    for seed in recipe.seeds:
        student = Job(Kind.STUDENT, seed=seed)
        first = Job(Kind.STUDENT, seed=recipe.seeds[0])
        needs[student] = (PREPARE,) if student == first else (PREPARE, first)
        for method in trained:
            own = [PREPARE, student]
            if method.needs is not Needs.NOTHING and not recipe.skip.has_judge:
                skips = _skip_job(recipe, method, seed)
                needs[skips] = (PREPARE, student)
                own.append(skips)
            elif method.needs is not Needs.NOTHING:
                # SkipALL drops every chunk: it needs to know the chunks, not what the judge said of them
                own.append(Job(Kind.TRAIN, recipe.judge_name_of(method), seed))
            if method.needs is Needs.SKIPS and recipe.skip.has_judge:
                skips = _skip_job(recipe, method, seed)
                needs |= _judging(
                    recipe, skips, recipe.method(str(recipe.judge_name_of(method))), needs, student
                )
                own.append(skips)
            needs[Job(Kind.TRAIN, method.name, seed)] = tuple(own)
        for method in trained:
            if method.writer is not None:
                needs |= _rounds(recipe, method, seed, needs)
    trainings = tuple(job for job in needs if job.kind is Kind.TRAIN and job.is_final)
    needs[EVALUATE] = (PREPARE, *trainings)
    if recipe.choose is not None:
        needs[CHOOSE] = (PREPARE, *trainings, EVALUATE)
    return needs


def _judging(
    recipe: Recipe, skips: Job, judge: Method, known: Mapping[Job, tuple[Job, ...]], student: Job
) -> dict[Job, tuple[Job, ...]]:
    """What makes the skip data of a judge, cross-fitted judges included."""
    if skips in known:
        return {}
    trained = Job(Kind.TRAIN, judge.name, skips.seed)
    n_folds = recipe.skip.crossfit
    folds = [Job(Kind.TRAIN, judge.name, skips.seed, fold) for fold in range(n_folds) if n_folds > 1]
    own = [_skip_job(recipe, judge, int(skips.seed or 0))] if judge.needs is Needs.SKIPS else []
    needs: dict[Job, tuple[Job, ...]] = dict.fromkeys(folds, (PREPARE, student, trained, *own))
    return {**needs, skips: (PREPARE, trained, *folds)}


def _rounds(
    recipe: Recipe, method: Method, seed: int, known: Mapping[Job, tuple[Job, ...]]
) -> dict[Job, tuple[Job, ...]]:
    """The rounds in front of the training of a method that learns from own answers, and the training itself."""
    n_folds, n_rounds = recipe.own_answers.crossfit, recipe.own_answers.rounds
    trained = Job(Kind.TRAIN, method.name, seed)
    writer, needed = Job(Kind.TRAIN, method.writer, seed), known[Job(Kind.TRAIN, method.writer, seed)]
    needs: dict[Job, tuple[Job, ...]] = {}
    for number in range(1, n_rounds + 1):
        writers = [replace(writer, fold=fold) for fold in range(n_folds)] if n_folds > 1 else [writer]
        needs |= {one: needed for one in writers if one not in known}
        answers = Job(Kind.OWN_ANSWERS, method.name, seed, round=number)
        needs[answers] = (PREPARE, *writers)
        writer, needed = replace(trained, round=number), (*known[trained], answers)
    return {**needs, trained: needed}


def _with_others(recipe: Recipe) -> list[Method]:
    """The methods that are trained: those compared, their judges, and who writes answers for them."""
    methods = {method.name: method for method in recipe.chosen}
    waiting = list(methods.values())
    while waiting:
        method = waiting.pop()
        judged = method.needs is not Needs.NOTHING and recipe.skip.has_judge
        for name in (recipe.judge_name_of(method) if judged else None, method.writer):
            if name is not None and name not in methods:
                methods[name] = recipe.method(name)
                waiting.append(methods[name])
    return list(methods.values())


def _n_folds(recipe: Recipe, job: Job) -> int:
    is_judge = recipe.skip.has_judge and job.method in _judge_names(recipe)
    return recipe.skip.crossfit if is_judge and recipe.skip.crossfit > 1 else recipe.own_answers.crossfit


def _skip_job(recipe: Recipe, method: Method, seed: int) -> Job:
    """The skip data of a method; the judge is named where a run has several."""
    if not recipe.skip.has_judge:
        return Job(Kind.SKIP_DATA, None, seed)
    several = len(_judge_names(recipe)) > 1
    return Job(Kind.SKIP_DATA, recipe.judge_name_of(method) if several else None, seed)


def _judge_names(recipe: Recipe) -> set[str | None]:
    """The methods whose students are asked for skip data."""
    return {recipe.judge_name_of(other) for other in _with_others(recipe) if other.needs is Needs.SKIPS}


def _own_part(
    recipe: Recipe, job: Job, data: str | None, student: str | None, code: Mapping[str, str | None]
) -> Any:
    """What a job's result depends on, besides the jobs it needs."""
    if job.kind is Kind.TEACH:
        teacher = recipe.teacher
        assert teacher is not None  # noqa: S101 - otherwise there is no such job
        own = [hash_files(Path(name)) for name in teacher.own_files]
        return [_source_part(recipe, data), recipe.checks.to_dict(), results_part(teacher), own]
    if job.kind is Kind.PREPARE:
        if recipe.teacher is not None:
            return [recipe.data.teacher, recipe.answer]
        return [*_source_part(recipe, data), recipe.answer]
    if job.kind is Kind.STUDENT:
        made = [recipe.student.to_dict(), recipe.student.sizes(), recipe.chunks.M]
        return made if student is None else [*made, student]
    if job.kind is Kind.TRAIN:
        method = recipe.method(str(job.method))
        how = [recipe.options_of(method).to_dict(), recipe.chunks_of(method).to_dict(), code.get(method.name)]
        return how if job.fold is None else [*how, _n_folds(recipe, job)]
    if job.kind is Kind.OWN_ANSWERS:
        return [recipe.own_answers.replace(rounds=1).to_dict(), recipe.checks.to_dict()]
    if job.kind is Kind.SKIP_DATA:
        how = [recipe.skip.to_dict(), recipe.checks.to_dict()]
        if recipe.skip.gate != "trial":
            return how
        # trials are trained as the method is that learns from them, on steps
        trained = recipe.skip.trained_in_trials(recipe.options_of(STT))
        return [*how, trained.to_dict(), recipe.chunks_of(STT).to_dict()["rules"]]
    measured = [recipe.evaluation.to_dict(), recipe.checks.to_dict()]
    if job.kind is Kind.CHOOSE and recipe.choose is not None:
        return [*measured, [method.name for method in recipe.chosen], recipe.choose.to_dict()]
    return measured if job.method is not None else [*measured, [method.name for method in recipe.chosen]]


def _source_part(recipe: Recipe, data: str | None) -> list[Any]:
    # files count by what is in them, not by where they lie
    options = recipe.data.to_dict() | {"file": None}
    task = recipe.data.task
    if recipe.data.own_file is not None:
        options["task"] = None
    return [options, data, _hash_code(task) if task is not None and is_own_code(task) else None]


def _hash_code(name: str) -> str | None:
    file = file_of(name)
    return None if file is None else hash_files(file)


def _ranks(needs: Mapping[Job, tuple[Job, ...]], order: tuple[Job, ...]) -> dict[Job, float]:
    ranks = {job: COSTS[job.kind] for job in order}
    for job in reversed(order):  # every job stands behind those it needs
        for need in needs[job]:
            ranks[need] = max(ranks[need], COSTS[need.kind] + ranks[job])
    return ranks
