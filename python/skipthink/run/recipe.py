"""Recipes: strict YAML files that say what a run computes.

A recipe is plain data. It is read by `yaml.safe_load`, every key is known to the models below, and an
unknown or doubled key is an error that names the file, the key and the nearest key that exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pydantic import (
    Field,
    create_model,
    field_serializer,
    field_validator,
    model_validator,
)

from skipthink.exceptions import RecipeError
from skipthink.io.sections import Section, parse_sections, read_recipe_text
from skipthink.student.options import StudentSection
from skipthink.training.method_table import MethodName

ALL_METHODS: tuple[MethodName, ...] = get_args(MethodName)
METHOD_NAMES = ALL_METHODS[:6]
"""What is compared where a recipe names no methods: the method itself and its controls."""

ItemPart = Literal["question", "rationale", "answer"]
ITEM_PARTS: tuple[ItemPart, ...] = get_args(ItemPart)


class Sizes(Section):
    """Numbers of samples a split.

    For data made by a task all three are made; for a file `validation` and `test` are taken out of what the
    file does not assign to a split itself, and `train` bounds the training samples (None: all there are).
    """

    train: int | None = Field(default=None, ge=1)
    validation: int | None = Field(default=None, ge=0)
    test: int | None = Field(default=None, ge=1)


class DataSection(Section):
    """Where samples come from: made by a task of `skipthink.tasks`, or read from a file.

    Attributes:
        task: name of a task, e.g. "multi_step_arithmetic", or a task of your own: a Python file ("my_task.py", relative
            to the recipe), which is run, or a module that can be imported ("my_package.my_task").
        file: JSONL or Parquet file, or a folder of `datasets`; relative to the recipe. `--data` overrides it.
        hub: name of a data set on the hub.
        columns: our column (question, rationale, answer, …) to the file's column.
        sizes: samples a split.
        knobs: options of the task.
        seed: seeds making and splitting, the same for every seed of the run.
        teacher: "correct" keeps samples whose teacher answer is right, "all" keeps the others too.
    """

    task: str | None = None
    file: str | None = None
    hub: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    sizes: Sizes = Sizes()
    knobs: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    teacher: Literal["correct", "all"] = "correct"

    @property
    def has_task_file(self) -> bool:
        """Whether the task is a Python file of the user's own."""
        return self.task is not None and self.task.endswith(".py")

    @model_validator(mode="after")
    def _one_source(self) -> DataSection:
        sources = [key for key in ("task", "file", "hub") if getattr(self, key) is not None]
        if len(sources) > 1:
            raise ValueError(f"has {' and '.join(sources)}; give one source of data")
        if self.knobs and self.task is None:
            raise ValueError("has knobs, which only a task takes; give task or remove knobs")
        taken = sorted({"seed", *Sizes.model_fields} & set(self.knobs))
        if taken:
            raise ValueError(f"has {taken[0]} among its knobs, but sizes and seed are keys of their own")
        if self.task is not None and None in (self.sizes.train, self.sizes.validation, self.sizes.test):
            raise ValueError("has a task but not all of sizes: {train, validation, test}; give all three")
        return self


class ChunksSection(Section):
    """Chunks and their search (method §4). `research_every` counts epochs between two searches."""

    M: int = Field(ge=1)
    method: Literal["average", "greedy", "anneal", "optimal"] = "greedy"
    objective: Literal["mean", "variance", "max"] = "mean"
    eta: float = Field(default=0.1, ge=0)
    scope: Literal["pair", "left"] = "pair"
    min_steps: int = Field(default=1, ge=0)
    rules: Literal["auto", "lines", "sentences"] | list[str] = "auto"
    stages: Literal["conditioned", "free"] = "conditioned"
    research_every: int = Field(default=1, ge=1)
    score_batch_tokens: int = Field(default=8192, ge=1)


class LoraSection(Section):
    """Low-rank adapters instead of training all weights; see `skipthink.training.lora.add_lora`."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"
    train_markers: bool = True


class TrainingValues(Section):
    """What one method's training takes. Either `epochs` or `max_steps` bounds it; `max_steps` wins.

    `batch_size` is that of one process. `fsdp`, `fsdp_config`, `deepspeed` and `report_to` go to
    `transformers.TrainingArguments` as they stand.
    """

    epochs: float = Field(default=3, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_steps: float = Field(default=0.05, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    adam_beta2: float = Field(default=0.999, gt=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    bf16: bool = False
    fp16: bool = False
    activation_checkpointing: bool = False
    lora: LoraSection | None = None
    loss_norm: Literal["batch_tokens", "item"] = "batch_tokens"
    chunk_dropout: float = Field(default=0.0, ge=0, lt=1)
    batching: Literal["stage", "shuffled"] = "stage"
    skip_weight: float | None = Field(default=None, gt=0, lt=1)
    thought: Literal["per-chunk", "collapse", "none"] = "per-chunk"
    truncate: float = Field(default=0.5, gt=0, le=1)
    truncate_of: Literal["target", "rationale"] = "target"
    loss_on: list[ItemPart] = Field(default_factory=lambda: list(ITEM_PARTS), min_length=1)
    remove_per_epoch: float = Field(default=8, gt=0)
    remove_from_epoch: float = Field(default=0, ge=0)
    remove_all_beyond: int | None = Field(default=None, ge=1)
    removal_smoothing: float | None = Field(default=4, gt=0)
    reset_optimizer: bool = True
    max_item_tokens: int | None = Field(default=None, ge=2)
    long_items: Literal["error", "drop"] = "error"
    save_steps: int = Field(default=200, ge=1)
    report_to: list[str] = Field(default_factory=list)
    fsdp: bool = False
    fsdp_config: dict[str, Any] | None = None
    deepspeed: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> TrainingValues:
        if self.bf16 and self.fp16:
            raise ValueError("has bf16 and fp16; give one of them")
        if self.fsdp and self.deepspeed is not None:
            raise ValueError("has fsdp and deepspeed; give one of them")
        if self.fsdp_config is not None and not self.fsdp:
            raise ValueError("has fsdp_config, which fsdp: true asks for")
        if self.lora is not None and (self.fsdp or self.deepspeed is not None):
            raise ValueError("has lora and sharding; adapters are small: leave out fsdp and deepspeed")
        return self


def _override_model() -> type[Section]:
    """`TrainingValues` with every key optional: what a single method may set differently."""
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation() | None, None) for name, field in TrainingValues.model_fields.items()
    }
    return create_model("TrainingOverride", __base__=Section, **fields)


TrainingOverride = _override_model()


class TrainingSection(TrainingValues):
    """Training of all methods; `methods` holds what single methods set differently."""

    methods: dict[MethodName, TrainingOverride] = Field(default_factory=dict)  # type: ignore[valid-type]

    @field_serializer("methods")
    def _only_what_is_set(self, methods: dict[str, Section]) -> dict[str, Any]:
        return {name: override.model_dump(exclude_unset=True) for name, override in methods.items()}

    def of(self, method: str) -> TrainingValues:
        """The values of one method."""
        own = self.model_dump(exclude={"methods"})
        override = self.methods.get(cast("MethodName", method))
        if override is not None:
            own |= override.model_dump(exclude_unset=True)
        return TrainingValues.model_validate(own)


class SkipSection(Section):
    """How skip data are made (method §6, docs/skipping.md).

    Attributes:
        continuation: who writes the chunks after a dropped one.
        max_growth: share by which those the student writes may be longer than the teacher's; None: no bound.
        votes: continuations a question.
        temperature: of the votes.
        crossfit: F: judges, each of which was not trained on the samples it judges; 1: the student itself.
        batch_size: continuations side by side.
        keep_prefixes: whether what is common to a sample's prompts is read once.
    """

    continuation: Literal["student", "teacher"] = "student"
    max_growth: float | None = Field(default=0.25, ge=0, allow_inf_nan=False)
    votes: int = Field(default=1, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    crossfit: int = Field(default=1, ge=1)
    batch_size: int = Field(default=128, ge=1)
    keep_prefixes: bool = True

    @model_validator(mode="after")
    def _votes_differ(self) -> SkipSection:
        if self.votes > 1 and self.temperature == 0:
            raise ValueError(
                f"has votes: {self.votes} at temperature 0, where all votes are the same; raise it"
            )
        return self


class EvaluationSection(Section):
    """How methods are compared (method §8). Tune on `split: validation`, report on `split: test`.

    Attributes:
        split: the split of the questions.
        batch_size: questions side by side.
        alone_questions: how many are answered once more one at a time, to be timed.
        stage_questions: how many the accuracy by stage is measured on.
    """

    split: Literal["test", "validation"] = "test"
    batch_size: int = Field(default=64, ge=1)
    alone_questions: int = Field(default=20, ge=0)
    stage_questions: int = Field(default=32, ge=0)


class Recipe(Section):
    """A whole recipe.

    Attributes:
        name: names the run folder; letters, digits, ".", "_", "-".
        task: label in the results; the task or the file's name where None.
        answer: how answers are checked.
        tolerance: largest absolute difference of two numbers that count as equal.
        relative_tolerance: largest difference as a share of the gold number; the larger tolerance counts.
        methods: what is trained and compared.
        seeds: every method is trained once a seed.
        workers: stages run side by side.
        threads: threads of each of them.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    task: str | None = None
    answer: Literal["number", "choice", "yes_no", "date", "string", "maths"]
    tolerance: float = Field(default=1e-6, ge=0, allow_inf_nan=False)
    relative_tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    data: DataSection = DataSection()
    student: StudentSection = StudentSection()
    chunks: ChunksSection
    training: TrainingSection = TrainingSection()
    skip: SkipSection = SkipSection()
    evaluation: EvaluationSection = EvaluationSection()
    methods: list[MethodName] = Field(default_factory=lambda: list(METHOD_NAMES), min_length=1)
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    workers: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)

    @field_validator("methods", "seeds")
    @classmethod
    def _no_doubles(cls, values: list[Any]) -> list[Any]:
        doubled = next((value for value in values if values.count(value) > 1), None)
        if doubled is not None:
            raise ValueError(f"names {doubled!r} twice")
        return values

    @field_validator("seeds")
    @classmethod
    def _seeds_not_negative(cls, seeds: list[int]) -> list[int]:
        if min(seeds) < 0:
            raise ValueError(f"has the negative seed {min(seeds)}")
        return seeds

    @property
    def task_name(self) -> str:
        """The label of the task in the results."""
        data = self.data
        file = data.task if data.has_task_file else data.file
        source = Path(file).stem if file is not None else data.task or data.hub or self.name
        return self.task or source

    @property
    def tolerances(self) -> dict[str, float]:
        """Both tolerances, by their names."""
        return {"tolerance": self.tolerance, "relative_tolerance": self.relative_tolerance}


def load_recipe(path: str | Path, *, data: str | Path | None = None, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: a YAML file.
        data: a data file that takes the place of the recipe's source.
        changes: keys that are to be otherwise than in the file, each `key.key=value`.

    Returns:
        The recipe, with file paths made absolute.

    Raises:
        RecipeError: the file cannot be read, is no YAML, or holds a wrong key or value; the message names
            file, key and nearest key.
    """
    path = Path(path)
    recipe = parse_recipe(read_recipe_text(path), name=str(path), changes=changes)
    section = _resolved_data(recipe.data, path.resolve().parent, data)
    if section.task is None and section.file is None and section.hub is None:
        raise RecipeError(
            f"{path} names no data; give --data FILE, or data.task, data.file or data.hub in the recipe"
        )
    student = recipe.student
    if student.path is not None and (path.resolve().parent / student.path).is_dir():
        student = student.model_copy(update={"path": str((path.resolve().parent / student.path).resolve())})
    return recipe.model_copy(update={"data": section, "student": student})


def parse_recipe(text: str, *, name: str, changes: Sequence[str] = ()) -> Recipe:
    """Parses the text of a recipe; `name` is the file in messages, `changes` as in `load_recipe`.

    Raises:
        RecipeError: as in `load_recipe`.
    """
    return parse_sections(text, Recipe, name=name, changes=changes)


def _resolved_data(section: DataSection, folder: Path, data: str | Path | None) -> DataSection:
    if data is not None:
        return section.model_copy(
            update={"task": None, "hub": None, "knobs": {}, "file": str(Path(data).resolve())}
        )
    if section.file is not None:
        return section.model_copy(update={"file": str((folder / section.file).resolve())})
    if section.task is not None and section.has_task_file:
        return section.model_copy(update={"task": str((folder / section.task).resolve())})
    return section
