"""The samples of a report: a small index of all, and bodies in blocks that a page unpacks when they are opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skipthink.inspection.page.figures import steps_of
from skipthink.inspection.page.measures import Measured, Shown, is_reference
from skipthink.inspection.page.training_items import TrainingItems
from skipthink.inspection.samples import SampleViews

BLOCK_SIZE = 200
QUESTION_LENGTH = 300
"""Characters of a question in the index: what the list shows and the quick search looks at."""
ITEM_TOKENS = 4_000_000
"""Tokens of training items in a page; about 1 MB of it."""
LETTERS = {"right": "r", "wrong": "w", "unparsed": "u"}
DIGITS = 3
Key = tuple[str, str, str]
"""Split, id and question: what two runs must share for a sample to be the same."""


class Samples:
    """The samples of one or two runs: those of the evaluated split, then those of training.

    Args:
        runs: the runs.
        found: their methods.
        item_tokens: tokens of training items that the page may hold; samples beyond have none, which `notes` says.

    Attributes:
        keys: the samples by what they are, numbered in order.
        notes: what was left out; complete when all blocks are made.
    """

    def __init__(
        self, runs: Sequence[Shown], found: Sequence[Measured], item_tokens: int = ITEM_TOKENS
    ) -> None:
        self.runs, self.item_tokens = runs, item_tokens
        self.splits = list(dict.fromkeys([*(run.record.evaluated_split for run in runs), "train"]))
        self.columns = [_Column(one, place) for one in found for place in range(len(one.parts))]
        self.notes: list[str] = []
        self.keys: dict[Key, int] = {}
        self._rows: list[dict[int, tuple[str, int]]] = [{} for _ in runs]
        """Per run: number of a sample to its split and row."""
        for split in self.splits:
            for rows, run in zip(self._rows, runs, strict=True):
                for row, key in enumerate(_keys(run, split)):
                    rows[self.keys.setdefault(key, len(self.keys))] = (split, row)

    def __len__(self) -> int:
        return len(self.keys)

    def index(self) -> dict[str, Any]:
        """What the list, the filters and the search need of every sample, column by column."""
        n = len(self.keys)
        return {
            "format": 1,
            "block_size": BLOCK_SIZE,
            "n_blocks": -(-n // BLOCK_SIZE),
            "split_names": self.splits,
            "methods": [{"label": column.label} for column in self.columns],
            "compared": self._compared(),
            "ids": [key[1] for key in self.keys],
            "questions": [key[2][:QUESTION_LENGTH] for key in self.keys],
            "splits": [self.splits.index(key[0]) for key in self.keys],
            "steps": self._first_of(n, self._n_steps),
            "skips": self._first_of(n, self._n_skipped),
            "verdicts": [self._verdicts(column) for column in self.columns],
        }

    def blocks(self) -> Iterator[dict[str, Any]]:
        """The bodies of the samples in blocks of `BLOCK_SIZE`: pieces (texts of tokens) and samples."""
        items = TrainingItems(self.runs, self.item_tokens)
        views = [SampleViews(run.record) for run in self.runs]
        keys = list(self.keys)
        for first in range(0, len(keys), BLOCK_SIZE):
            bodies = {
                number: _new_body(keys[number], len(self.columns))
                for number in range(first, min(first + BLOCK_SIZE, len(keys)))
            }
            for run, rows, view in zip(self.runs, self._rows, views, strict=True):
                for split in self.splits:
                    here = [
                        (number, rows[number][1]) for number in bodies if rows.get(number, ("",))[0] == split
                    ]
                    if here:
                        self._fill(bodies, run, view, split, here)
            trained = {keys[number][1]: body for number, body in bodies.items() if keys[number][0] == "train"}
            for name, found in items.of(list(trained)).items():
                _extend(trained[name], "items", found)
            yield {"pieces": items.take_pieces(), "samples": list(bodies.values())}
        if items.n_left_out:
            self.notes.append(
                f"The items of {items.n_left_out:,} training samples are not in this page, which would grow too "
                "large; skipthink inspect shows them."
            )

    def _fill(
        self,
        bodies: dict[int, dict[str, Any]],
        run: Shown,
        views: SampleViews,
        split: str,
        here: Sequence[tuple[int, int]],
    ) -> None:
        """Adds what a run knows of some samples of a split, (number, row) each."""
        # items are many and much alike: TrainingItems takes them from the table as they are
        found = views.views(split, [row for _, row in here], with_items=False)
        for (number, _), view in zip(here, found, strict=True):
            body = bodies[number]
            if view["steps"]:
                body.setdefault("steps", view["steps"])
            elif view["rationale"]:
                body.setdefault("rationale", view["rationale"])
            body.setdefault("answer", str(view["answer"]))
            _extend(body, "losses", _losses(run, view))
            _extend(body, "cuts", _cuts(run, view))
            _extend(body, "gate", [{"of": run.named(job), **gate} for job, gate in view["gate"].items()])
            for place, column in enumerate(self.columns):
                if column.one.run is run and column.key in view["outputs"]:
                    body["outputs"][place] = _plain_output(view["outputs"][column.key])

    def _first_of(self, n: int, values_of: Any) -> list[int | None]:
        """A number for each sample, of the first run that knows it."""
        found: list[int | None] = [None] * n
        for run, rows in reversed(list(zip(self.runs, self._rows, strict=True))):
            known = {split: values_of(run, split) for split in self.splits}
            for number, (split, row) in rows.items():
                if known[split] is not None and known[split][row] is not None:
                    found[number] = int(known[split][row])
        return found

    def _n_steps(self, run: Shown, split: str) -> Sequence[int | None] | None:
        steps = steps_of(run.record, split)
        return None if steps is None else [int(count) or None for count in steps]

    def _n_skipped(self, run: Shown, split: str) -> Sequence[int | None] | None:
        judged = next((judged for judged in run.record.judged() if judged.skips is not None), None)
        if split != "train" or judged is None or judged.skips is None:
            return None
        ids, skipped = judged.skips["id"].to_pylist(), judged.skips["skipped"].to_pylist()
        counts = {name: sum(flags) for name, flags in zip(ids, skipped, strict=True)}
        return [counts.get(key[1]) for key in _keys(run, split)]

    def _verdicts(self, column: _Column) -> str:
        letters, run = ["-"] * len(self.keys), column.one.run
        table = column.one.tables[column.place]
        if table is not None:
            verdicts = table["verdict"].to_pylist()
            for number, (split, row) in self._rows[self.runs.index(run)].items():
                if split == run.record.evaluated_split:
                    letters[number] = LETTERS.get(verdicts[row], "u")
        return "".join(letters)

    def _compared(self) -> list[int]:
        """The two methods that are compared at first: the same one in two runs, or Base and STT or the last one."""
        names = [(column.one.run.label, column.one.method) for column in self.columns]
        for place, (run, method) in enumerate(names):
            twin = next(
                (at for at, other in enumerate(names) if other[1] == method and other[0] != run), None
            )
            if twin is not None:
                return [place, twin]
        base = next((at for at, (_, method) in enumerate(names) if is_reference(method)), 0)
        return [
            base,
            next((at for at, (_, method) in enumerate(names) if method == "stt"), max(len(names) - 1, 0)),
        ]


class _Column:
    """The outputs of a method with one seed."""

    def __init__(self, one: Measured, place: int) -> None:
        self.one, self.place = one, place
        self.key = f"{one.method}/s{one.parts[place].seed}"

    @property
    def label(self) -> str:
        """What it is called in the page."""
        return self.one.run.named(self.key)


def _keys(run: Shown, split: str) -> list[Key]:
    table = run.record.samples(split)
    if table is None:
        return []
    pairs = zip(table["id"].to_pylist(), table["question"].to_pylist(), strict=True)
    return [(split, str(name), str(question)) for name, question in pairs]


def _new_body(key: Key, n_columns: int) -> dict[str, Any]:
    return {"question": key[2], "outputs": [None] * n_columns}


def _extend(body: dict[str, Any], name: str, entries: list[dict[str, Any]]) -> None:
    if entries:
        body.setdefault(name, []).extend(entries)


def _losses(run: Shown, view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Step losses per training: of each step a list, one entry per stage."""
    return [
        {
            "of": run.named(label),
            "epoch": entry["epoch"],
            "steps": [
                [round(loss, DIGITS) for loss in (step if isinstance(step, list) else [step])]
                for step in entry["losses"]
            ],
        }
        for label, entry in view["losses"].items()
    ]


def _cuts(run: Shown, view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ways to cut the rationale, those with skipped chunks last: they are shown at first."""
    found = []
    for entry in view["boundaries"]:
        name = entry["source"]
        if entry["epoch"] is not None:
            name += f", epoch {entry['epoch'] + 1}"
        elif entry["losses"] is not None:
            name += f" on the losses of {entry['losses']}"
        losses = entry["losses"] or entry["source"]
        found.append({"of": run.named(name), "boundaries": entry["boundaries"], "losses": run.named(losses)})
    for job, gate in view["gate"].items():
        if gate["boundaries"] is not None:
            cut = {"of": run.named(job), "boundaries": gate["boundaries"], "skipped": gate["skipped"]}
            found.append(cut)
    return found


def _plain_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """An output without what is as usual: it ended, and is in no loop."""
    usual = {"ended": True, "looped": False}
    return {name: value for name, value in output.items() if name not in usual or value is not usual[name]}
