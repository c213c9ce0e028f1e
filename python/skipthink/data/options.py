"""Options of data: where samples come from and how they are split."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from skipthink.io.own_code import is_own_file
from skipthink.options import OptionError, Options, option


@dataclass(frozen=True, kw_only=True)
class SizeOptions(Options):
    """Numbers of samples per split.

    For data made by a task all three are made; of a file or data set `validation` and `test` are taken out of what it
    does not assign to a split itself, and `train` bounds the training samples.
    """

    train: int | None = option(None, "training samples; null: all there are", ge=1)
    validation: int | None = option(None, "samples to tune on", ge=0)
    test: int | None = option(None, "samples to report on", ge=1)


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Where samples come from: `task`, `file` or `hub`."""

    task: str | None = option(
        None,
        "a [task](../how-to/tasks.md) of skipthink, e.g. `multi_step_arithmetic`, or one of your own: a Python file, "
        "looked for beside the recipe and run, or a module, `my_package.my_task`",
    )
    file: str | None = option(
        None,
        "JSONL, JSON, CSV, TSV or Parquet file, or a folder of `datasets`; looked for beside the recipe",
        affects_results=False,  # the content counts, not the place
    )
    hub: str | None = option(None, "name of a data set on the hub")
    columns: dict[str, str] = option(
        dict,
        "our column to that of the data, or a path into its cells, e.g. `{question: problem, rationale: "
        "messages[-1].reasoning_content}`",
    )
    format: Literal["messages", "sharegpt", "openr1"] | None = option(
        None, "layout of data that do not have these columns, see [data](../how-to/data.md)"
    )
    splits: dict[str, str] = option(dict, "our split to that of the data, e.g. `{train: train_sft}`")
    odd_answers: Literal["error", "drop"] = option(
        "error", "gold answers of another kind: an error, or their samples are dropped and counted"
    )
    sizes: SizeOptions = option(SizeOptions, "samples per split; a task needs all three")
    task_options: dict[str, Any] = option(
        dict,
        "options of the task, e.g. `{n_operations: 3}`; `share_entities: true` for a student from scratch",
    )
    seed: int = option(0, "seeds making and splitting, the same for every seed of the run", ge=0)
    teacher: Literal["correct", "all"] = option(
        "correct",
        "`correct`: samples whose teacher answer is wrong are dropped and counted; `all`: they stay",
    )

    def check(self) -> None:
        """One source, and what it needs."""
        if self.task is not None and (self.splits or self.format):
            named = "splits" if self.splits else "format"
            raise OptionError(named, "is given beside task, which makes data of its own; leave it out")
        sources = [key for key in ("task", "file", "hub") if getattr(self, key) is not None]
        if len(sources) > 1:
            raise OptionError(sources[1], f"is given beside {sources[0]}; give one source of data")
        if self.task_options and self.task is None:
            raise OptionError("task_options", "is given without task; name the task, or leave it out")
        taken = sorted({"seed", *(one.name for one in fields(SizeOptions))} & set(self.task_options))
        if taken:
            raise OptionError("task_options", f"has {taken[0]}, but sizes and seed are keys of their own")
        if self.task is not None and None in (self.sizes.train, self.sizes.validation, self.sizes.test):
            raise OptionError("sizes", "lacks a number, but a task needs train, validation and test")

    @property
    def own_file(self) -> str | None:
        """The Python file of a task of the user's own."""
        return self.task if is_own_file(self.task) else None
