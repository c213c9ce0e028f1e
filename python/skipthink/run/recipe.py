"""Recipes: strict YAML files that say what a run computes.

A recipe is a tree of options: each section is declared beside the code that uses it, and the section `training` is put
together from the options of the methods there are, those of the user's own that the recipe names included.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from skipthink.answers.options import CheckOptions
from skipthink.data.options import DataOptions
from skipthink.evaluation.options import ChooseOptions, EvaluationOptions
from skipthink.exceptions import InvalidInputError, RecipeError
from skipthink.io.own_code import is_own_code, is_own_file
from skipthink.io.recipes import read_mapping, read_options, read_text, to_yaml
from skipthink.options import OptionError, merge, option, pick
from skipthink.own_answers.options import WRITTEN, OwnAnswersOptions
from skipthink.run.cluster_options import ClusterOptions
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import NO_VALIDATION, SkipOptions
from skipthink.student.options import StudentOptions, is_gguf
from skipthink.teacher.options import TeacherOptions
from skipthink.training.method import Method, Needs, StandIn
from skipthink.training.methods import find_method, own_methods
from skipthink.training.options import TrainingOptions
from skipthink.training.study_options import StudyOptions

RUN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True, kw_only=True)
class TrainingSection(TrainingOptions):
    """Training of all methods; `methods` holds what single methods set differently."""

    methods: dict[str, dict[str, Any]] = option(dict, "what single methods set differently", sections={})
    known: ClassVar[Mapping[str, Method]] = {}
    """The methods by name whose options the section has."""

    def check(self) -> None:
        """What a method sets differently goes together with the rest."""
        for name in self.methods:
            try:
                self.of(self.known[name])
            except OptionError as error:
                raise OptionError(f"methods.{name}.{error.name}", error.problem) from None

    def of(self, method: Method) -> TrainingOptions:
        """The options of one method: an instance of `method.Options`."""
        return pick(method.Options, self, **self.methods.get(method.name, {}))


@dataclass(frozen=True, kw_only=True)
class Recipe(CheckOptions):
    """A recipe of `skipthink run`."""

    name: str = option(help="names the run folder; letters, digits, `.`, `_`, `-`", pattern=RUN_NAME)
    task: str | None = option(None, "label in the results; null: the task or the name of the data")
    data: DataOptions = option(DataOptions, "where samples come from")
    teacher: TeacherOptions | None = option(
        None, "who writes the rationales to the questions of `data`; null: the data have them"
    )
    student: StudentOptions = option(StudentOptions, "the student before it is trained")
    chunks: ChunkOptions = option(help="chunks and their search")
    training: TrainingSection = option(TrainingSection, "how students are trained")
    skip: SkipOptions = option(SkipOptions, "how skip data are made")
    own_answers: OwnAnswersOptions = option(
        OwnAnswersOptions, "how students write answers of their own, for the methods that learn from them"
    )
    evaluation: EvaluationOptions = option(EvaluationOptions, "how methods are compared")
    choose: ChooseOptions | None = option(
        None, "how the student to use is chosen among the trained ones; null: none is chosen"
    )
    methods: tuple[str, ...] = option(
        tuple,
        "what is trained and compared: names of [methods](methods/README.md), or a method of your own: a Python file, "
        "looked for beside the recipe and run, or a module; the judges they need are trained too",
        min_length=1,
    )
    seeds: tuple[int, ...] = option(
        (0,), "every method is trained once per seed; the data stay the same", min_length=1
    )
    study: StudyOptions = option(StudyOptions, "how a study tunes", affects_results=False)
    workers: int = option(1, "jobs that run side by side, one process each", ge=1, affects_results=False)
    threads: int = option(1, "threads of each job", ge=1, affects_results=False)
    cluster: ClusterOptions = option(ClusterOptions, "what jobs reserve on a cluster", affects_results=False)

    found: ClassVar[Mapping[str, Method]] = {}
    """The methods a recipe may name, by what it names them with: a name, a file or a module."""

    def check(self) -> None:
        """Nothing is named twice, and judges are there."""
        for key, values in (("methods", self.methods), ("seeds", self.seeds)):
            doubled = next((value for value in values if values.count(value) > 1), None)
            if doubled is not None:
                raise OptionError(key, f"names {doubled!r} twice")
        if min(self.seeds) < 0:
            raise OptionError("seeds", f"has the negative seed {min(self.seeds)}")
        names = [method.name for method in self.chosen]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise OptionError("methods", f"has two methods of the name {doubled!r}; rename one of your own")
        if self.choose is not None:
            self._check_choice()
        for method in self.chosen:
            if method.judge_rate(self.options_of(method)) is not None and not self.skip.has_judge:
                raise OptionError(
                    "skip.gate",
                    f"is {self.skip.gate}, which trains no judge, and {method.name} is to start from the judge; "
                    "set start: fresh, or a gate with a judge (skip.gate: answer is the paper's)",
                )
            if method.judge is not None and method.judge not in self.training.known:
                raise OptionError(
                    "methods", f"has {method.name}, whose judge is {method.judge!r}: no such method"
                )
            if (same := self._stand_in(method)) is not None:
                raise OptionError(
                    "methods",
                    f"has {method.name}, which {same.why}; {same.remedy}, or name {same.name} instead",
                )
            self._check_writer(method)
        decided = self.decided_on_validation
        if decided is not None and self.data.sizes.validation == 0:
            raise OptionError(
                "data.sizes.validation", f"is 0, and the gate trial of {decided.name} {NO_VALIDATION}"
            )

    def _check_writer(self, method: Method) -> None:
        """Who writes the answers that a method learns from writes them in one pass, as the method does."""
        if method.writer is None:
            return
        writer = self.training.known.get(method.writer)
        if writer is None or writer.mode != method.mode or writer.mode not in WRITTEN:
            raise OptionError(
                "methods",
                f"has {method.name}, which learns from answers of {method.writer!r}: no method that answers in one "
                f"pass in the mode {method.mode}",
            )
        if writer.writer is not None:
            raise OptionError(
                "methods",
                f"has {method.name}, which learns from answers of {writer.name}, which itself learns from answers; "
                "own_answers.rounds repeats the drawing",
            )
        folds = {self.skip.crossfit, self.own_answers.crossfit} - {1}
        if len(folds) > 1 and writer.name in {self.judge_name_of(one) for one in self.chosen}:
            raise OptionError(
                "own_answers.crossfit",
                f"is {self.own_answers.crossfit} and skip.crossfit {self.skip.crossfit}, and {writer.name} both "
                "judges and writes; give both the same number",
            )

    def _check_choice(self) -> None:
        """There is something to choose by: Base, and questions that no result is reported on."""
        if not any(method.is_reference for method in self.chosen):
            raise OptionError("choose", "compares with base, which is not among the methods; add it")
        if self.evaluation.split != "test":
            raise OptionError(
                "choose",
                "decides on the validation split, so results must be of another: evaluation.split: test",
            )
        if self.data.sizes.validation == 0:
            raise OptionError(
                "choose", "decides on the validation split, which is empty: data.sizes.validation"
            )

    @property
    def decided_on_validation(self) -> Method | None:
        """The first method whose skip data need validation questions: the gate `trial` makes them; None: none does."""
        if self.skip.gate != "trial":
            return None
        return next((method for method in self.trained if method.needs is not Needs.NOTHING), None)

    def marks_every_step(self, method: Method) -> bool:
        """Whether a method has an item per step: chunk-wise items, of a gate to which every step is a chunk."""
        return (
            method.needs is Needs.SKIPS
            and not self.skip.has_judge
            and method.has_chunkwise_items(self.options_of(method))
        )

    @property
    def reference(self) -> Method | None:
        """The method that others are compared with: Base, where it is among them."""
        return next((method for method in self.chosen if method.is_reference), None)

    @property
    def chosen(self) -> tuple[Method, ...]:
        """The methods that are compared."""
        return tuple(self.found[name] for name in self.methods)

    @property
    def trained(self) -> tuple[Method, ...]:
        """The methods that are compared, and those whose students write answers for them."""
        writers = (self.training.known.get(method.writer or "") for method in self.chosen)
        return (*self.chosen, *(writer for writer in writers if writer is not None))

    def method(self, name: str) -> Method:
        """The method of a name, one of the package or of the recipe's own."""
        return self.training.known[name]

    def judge_name_of(self, method: Method) -> str | None:
        """The method whose student judges for a method; None: it needs no judge.

        Where the recipe has no search, a judge that searches is trained as its stand-in is: if nothing else differs,
        that is the judge, and trained once.
        """
        if method.judge is None:
            return None
        judge = self.method(method.judge)
        same = self._stand_in(judge)
        differs = same is None or self.options_of(judge) != self.options_of(self.method(same.name))
        return judge.name if same is None or differs else same.name

    def _stand_in(self, method: Method) -> StandIn | None:
        """A method that trains the same here."""
        return method.stand_in(self.chunks, self.skip, self.options_of(method))

    def options_of(self, method: Method) -> TrainingOptions:
        """How a method is trained: an instance of `method.Options`."""
        return self.training.of(method)

    def chunks_of(self, method: Method) -> ChunkOptions:
        """How a method's rationales are cut; without the options of the search if it does not search."""
        if method.search is None:
            return ChunkOptions(M=self.chunks.M, rules=self.chunks.rules, method="average")
        return self.chunks.replace(method=method.search_of(self.chunks))

    @property
    def checks(self) -> CheckOptions:
        """How answers are checked."""
        return pick(CheckOptions, self)

    @property
    def own_files(self) -> tuple[str, ...]:
        """What the methods of the user's own are named with."""
        return tuple(name for name in self.methods if is_own_code(name))

    @property
    def task_name(self) -> str:
        """The label of the task in the results."""
        data = self.data
        file = data.own_file or data.file
        source = Path(file).stem if file is not None else data.task or data.hub or self.name
        return self.task or source

    def to_yaml(self) -> str:
        """The recipe as it is run, every default written out."""
        return to_yaml(self)


def load_recipe(path: str | Path, *, data: str | Path | None = None, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: a YAML file.
        data: a data file that takes the place of the recipe's source.
        changes: keys that are to be otherwise than in the file, each `key.key=value`.

    Returns:
        The recipe, with file paths made absolute.

    Raises:
        RecipeError: the file cannot be read, is not valid YAML, or has a wrong key or value; the message names
            file, key and nearest key.
    """
    path = Path(path)
    folder = path.resolve().parent
    recipe = parse_recipe(read_text(path), name=str(path), changes=changes, folder=folder)
    source = _with_paths(recipe.data, folder, data)
    if source.task is None and source.file is None and source.hub is None:
        raise RecipeError(
            f"{path} names no data; give --data FILE, or data.task, data.file or data.hub in the recipe"
        )
    student = recipe.student
    if student.path is not None and ((folder / student.path).is_dir() or is_gguf(student.path)):
        student = student.replace(path=str((folder / student.path).resolve()))
    teacher = recipe.teacher.beside(folder) if recipe.teacher is not None else None
    return recipe.replace(data=source, student=student, teacher=teacher)


def parse_recipe(text: str, *, name: str, changes: Sequence[str] = (), folder: Path | None = None) -> Recipe:
    """Parses the text of a recipe.

    Args:
        text: YAML.
        name: the file, in messages.
        changes: as in `load_recipe`.
        folder: where files of methods are looked for; None: the current folder.

    Raises:
        RecipeError: as in `load_recipe`.
    """
    content = read_mapping(text, name=name, changes=changes)
    named = content.get("methods")
    if isinstance(named, list):
        content["methods"] = [_with_folder(entry, folder) for entry in named]
    recipe = read_options(content, recipe_kind_of(content, name=name), name=name)
    _refuse_idle(recipe, changes)
    return recipe


def _refuse_idle(recipe: Recipe, changes: Sequence[str]) -> None:
    """Refuses epochs that somebody asks for now, where a length with precedence stands in the recipe."""
    training = recipe.training
    if training.budget is not None:
        ahead = "training.budget"
        instead = next(
            f"{ahead}.{name}" for name, limit in training.budget.to_dict().items() if limit is not None
        )
    elif training.max_steps is not None:
        ahead = instead = "training.max_steps"
    else:
        return
    for change in changes:
        if change.partition("=")[0].strip() == "training.epochs":
            raise RecipeError(
                f"--set {change} would change nothing: {ahead} is set, which has precedence; change {instead}, or add "
                f"--set {ahead}=null"
            )


def recipe_kind_of(content: Mapping[str, Any], *, name: str, folder: Path | None = None) -> type[Recipe]:
    """The kind of recipe that a recipe is: which methods it may name and set options of.

    Args:
        content: its keys as they stand; methods of the user's own are run.
        name: the file, in messages.
        folder: where files of methods are looked for; None: the current folder.

    Raises:
        RecipeError: a method of the user's own cannot be run.
    """
    named = content.get("methods")
    entries = dict.fromkeys(filter(is_own_code, named)) if isinstance(named, list) else {}
    try:
        return recipe_kind(tuple((entry, find_method(_with_folder(entry, folder))) for entry in entries))
    except InvalidInputError as error:
        raise RecipeError(f"{name}: {error}") from error


@functools.lru_cache(maxsize=16)
def recipe_kind(own: tuple[tuple[str, Method], ...] = ()) -> type[Recipe]:
    """The class of recipes that may name the methods of the package and some of the user's own.

    Args:
        own: what each of these is named with, and the method.

    Raises:
        InvalidInputError: two methods declare an option of the same name.
    """
    found = own_methods() | dict(own)
    known = {method.name: method for method in found.values()}
    section = merge(
        "TrainingSection",
        (method.Options for method in known.values()),
        TrainingSection,
        TrainingSection.__doc__ or "",
    )
    overrides = option(
        dict,
        "what single methods set differently",
        sections={name: method.Options for name, method in known.items()},
    )
    training = make_dataclass(
        "TrainingSection",
        [("methods", dict[str, dict[str, Any]], overrides)],
        bases=(section,),
        namespace={"__doc__": section.__doc__, "known": known},
        frozen=True,
        kw_only=True,
    )
    compared = tuple(name for name, method in own_methods().items() if method.compared)
    fields_of = Recipe.__dataclass_fields__
    kind = make_dataclass(
        "Recipe",
        [
            ("training", training, option(training, fields_of["training"].metadata["help"])),
            (
                "methods",
                tuple[Literal[*found], ...],  # type: ignore[valid-type]
                option(compared, fields_of["methods"].metadata["help"], min_length=1),
            ),
        ],
        bases=(Recipe,),
        namespace={"__doc__": Recipe.__doc__, "found": found},
        frozen=True,
        kw_only=True,
    )
    return cast("type[Recipe]", kind)


def _with_folder(name: Any, folder: Path | None) -> Any:
    """The absolute path of a file of code; other names as they are."""
    return str((folder or Path()).resolve() / name) if is_own_file(name) else name


def _with_paths(options: DataOptions, folder: Path, data: str | Path | None) -> DataOptions:
    """The source of the data with absolute paths, or the file that takes its place."""
    if data is not None:
        return options.replace(task=None, hub=None, task_options={}, file=str(Path(data).resolve()))
    if options.file is not None:
        return options.replace(file=str((folder / options.file).resolve()))
    if options.own_file is not None:
        return options.replace(task=str((folder / options.own_file).resolve()))
    return options
