"""The tables of docs/reference/recipes.md: `python -m skipthink.run.tables docs/reference/recipes.md` writes them anew.

A table stands between the comments `<!-- options: NAME -->` and `<!-- end of options -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from skipthink.data.options import DataOptions, SizeOptions
from skipthink.evaluation.options import ChooseOptions, EvaluationOptions
from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_text
from skipthink.io.option_tables import cells, markdown, table_of
from skipthink.own_answers.options import OwnAnswersOptions
from skipthink.run.cluster_options import ClusterOptions
from skipthink.run.recipe import recipe_kind
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import SkipOptions
from skipthink.student.options import StudentOptions
from skipthink.teacher.options import (
    BatchOptions,
    EndpointOptions,
    FilterOptions,
    LocalOptions,
    PriceOptions,
    PromptOptions,
    SamplingOptions,
    TeacherOptions,
)
from skipthink.testbed.options import CorpusOptions, PretrainingOptions, PretrainRecipe
from skipthink.training.methods import own_methods
from skipthink.training.options import BudgetOptions, LoraOptions, TrainingOptions
from skipthink.training.study_options import StudyOptions

PLACE = re.compile(r"(<!-- options: ([a-z ]+) -->\n\n)(.*?)(\n\n<!-- end of options -->)", re.DOTALL)


def method_table() -> str:
    """The options that single methods have, with the methods that have them."""
    common = {one.name for one in fields(TrainingOptions)}
    rows: dict[str, list[str]] = {}
    owners: dict[str, list[str]] = {}
    for method in own_methods().values():
        for one in fields(method.Options):
            if one.name not in common:
                owners.setdefault(one.name, []).append(f"`{method.name}`")
                rows.setdefault(one.name, cells(method.Options, one))
    return markdown(
        ["key", "methods", "value", "default", "what it does"],
        ([row[0], ", ".join(owners[name]), *row[1:]] for name, row in rows.items()),
    )


TABLES: dict[str, Callable[[], str]] = {
    "recipe": lambda: table_of(recipe_kind()),
    "data": lambda: table_of(DataOptions),
    "sizes": lambda: table_of(SizeOptions),
    "teacher": lambda: table_of(TeacherOptions),
    "endpoint": lambda: table_of(EndpointOptions),
    "local": lambda: table_of(LocalOptions),
    "batch": lambda: table_of(BatchOptions),
    "prompt": lambda: table_of(PromptOptions),
    "sampling": lambda: table_of(SamplingOptions),
    "filter": lambda: table_of(FilterOptions),
    "price": lambda: table_of(PriceOptions),
    "student": lambda: table_of(StudentOptions),
    "chunks": lambda: table_of(ChunkOptions),
    "training": lambda: table_of(TrainingOptions),
    "budget": lambda: table_of(BudgetOptions),
    "lora": lambda: table_of(LoraOptions),
    "methods": method_table,
    "skip": lambda: table_of(SkipOptions),
    "own answers": lambda: table_of(OwnAnswersOptions),
    "study": lambda: table_of(StudyOptions),
    "cluster": lambda: table_of(ClusterOptions),
    "evaluation": lambda: table_of(EvaluationOptions),
    "choose": lambda: table_of(ChooseOptions),
    "pretrain": lambda: table_of(PretrainRecipe),
    "corpus": lambda: table_of(CorpusOptions),
    "pretraining": lambda: table_of(PretrainingOptions),
}


def with_tables(text: str) -> str:
    """A document with its tables made anew.

    Raises:
        InvalidInputError: it asks for a table that there is not.
    """

    def table(found: re.Match[str]) -> str:
        if found[2] not in TABLES:
            raise InvalidInputError(f"no table of options {found[2]!r}; there are {', '.join(TABLES)}")
        return found[1] + TABLES[found[2]]() + found[4]

    return PLACE.sub(table, text)


def main() -> None:
    """Writes the tables of the documents named on the command line."""
    for name in sys.argv[1:]:
        path = Path(name)
        write_text(path, with_tables(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
