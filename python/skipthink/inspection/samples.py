"""Samples of a run as plain data: steps, losses, boundaries, items, questions to the judge, outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.codes import Stage
from skipthink.core.options import SearchOptions
from skipthink.core.search import average_boundaries, chunk
from skipthink.core.steps import split_steps_batch
from skipthink.exceptions import InvalidInputError, SkipthinkError
from skipthink.inspection.record import Judged, RunRecord, Trained
from skipthink.inspection.view import SampleView
from skipthink.student.token_texts import as_tokens, special_ids

if TYPE_CHECKING:
    import pyarrow as pa

STAGE_NAMES = {
    Stage.ANSWER: "[answer]",
    Stage.SKIP: "[skip]",
    Stage.BASE: "base",
    Stage.ANSWER_ONLY: "[answer] alone",
    Stage.STEP: "step",
}
OUTPUT_COLUMNS = ("chain", "answer", "verdict", "tokens", "prompt_tokens", "ended", "looped")
REPLY_COLUMNS = ("vote", "text", "answer", "verdict", "tokens", "regrown")
SEARCHES = ("greedy", "optimal")
"""The searches whose boundaries are shown beside those of the run."""


class SampleViews:
    """Views of a run's samples: plain dicts and lists, ready for JSON.

    A view has, as far as it is known: split, id, question, rationale, answer; steps (texts, joined they are the
    rationale); losses; boundaries; items; gate; outputs. `views` says what is in them.

    Args:
        record: the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @cached_property
    def rows_by_id(self) -> dict[str, tuple[str, int]]:
        """Where a sample is: split and row; the evaluated split first, where an id stands in several."""
        found: dict[str, tuple[str, int]] = {}
        first = self.record.evaluated_split
        for split in dict.fromkeys((first, "train", "validation", "test")):
            table = self.record.samples(split)
            for row, name in enumerate(table["id"].to_pylist() if table is not None else ()):
                found.setdefault(str(name), (split, row))
        return found

    def find(self, sample_id: str) -> SampleView:
        """The view of a sample, which shows itself in a notebook, and by `show()` anywhere.

        Raises:
            InvalidInputError: the run has no such sample.
        """
        place = self.rows_by_id.get(sample_id)
        if place is None:
            near = [name for name in self.rows_by_id if sample_id in name][:5]
            hint = f"; near to it are {', '.join(near)}" if near else ""
            raise InvalidInputError(f"{self.record.path} has no sample {sample_id!r}{hint}")
        return SampleView(self.views(place[0], [place[1]])[0])

    def views(self, split: str, rows: Sequence[int], *, with_items: bool = True) -> list[dict[str, Any]]:
        """Views of some samples of a split.

        Args:
            split: "train", "validation" or "test".
            rows: rows of the split.
            with_items: whether items are in them, which are the largest part.

        Returns:
            Per row a dict with the keys id, split, question, rationale, answer, and steps: a list of texts.
            losses: per training that searched, label → {epoch, losses (K lists of M, or K numbers), n_tokens (K)}.
            boundaries: a list of {source, epoch, boundaries, objective}; source is "average", "greedy" or "optimal"
            (searched on the losses of the last search), or the label of a training; epoch is None but of its epochs.
            items: label → a list of {stage, name, source, tokens}; tokens are (text, id, trained, marker).
            gate: job → {boundaries, skipped, continuation, questions}; a question has chunk (0: nothing dropped),
            dropped (all chunks that stood as `[thought]`), right and, per vote, replies {vote, text, answer, verdict,
            tokens, regrown}. With the continuation "student" the judge saw the chunks up to the one asked about and
            wrote the rest; with "teacher" it saw all of them and wrote the answer.
            outputs: label → {chain, answer, verdict, tokens, prompt_tokens, ended, looped}.
        """
        table = self.record.samples(split)
        if table is None:
            return []
        taken = table.take(np.asarray(rows, dtype=np.int64)).to_pylist()
        views = [
            {
                "id": row["id"],
                "split": split,
                "question": row["question"],
                "rationale": row.get("rationale"),
                "answer": row["answer"],
                "steps": steps,
                "losses": {},
                "boundaries": [],
                "items": {},
                "gate": {},
                "outputs": {},
            }
            for row, steps in zip(taken, self._steps([row.get("rationale") for row in taken]), strict=True)
        ]
        if split == "train":
            self._add_training(views, with_items=with_items)
        else:
            self._add_average(views)
        if split == self.record.evaluated_split:
            self._add_outputs(views, rows)
        return views

    def _steps(self, rationales: Sequence[str | None]) -> list[list[str]]:
        rules = self.record.recipe["chunks"].get("rules", "auto")
        texts = [text or "" for text in rationales]
        spans = split_steps_batch(texts, rules=rules)
        return [[text[start:end] for start, end in spans[row]] for row, text in enumerate(texts)]

    def _add_average(self, views: list[dict[str, Any]]) -> None:
        for view in views:
            if view["steps"]:
                found = average_boundaries(np.asarray([len(view["steps"])]), self.record.n_chunks)
                view["boundaries"].append(_boundaries("average", None, found[0].tolist()))

    def _add_training(self, views: list[dict[str, Any]], *, with_items: bool) -> None:
        self._add_average(views)
        by_id = {view["id"]: view for view in views}
        for trained in self.record.trainings():
            self._add_losses(trained, by_id)
        for trained in self.record.trainings():
            _add_epochs(trained, by_id)
            if with_items:
                self._add_items(trained, by_id)
        for judged in self.record.judged():
            _add_gate(judged, by_id, str(self.record.recipe["skip"].get("continuation")))

    def _add_losses(self, trained: Trained, by_id: Mapping[str, dict[str, Any]]) -> None:
        """Losses, and what the searches find on them."""
        from skipthink.training.record import EPOCH_KEY

        if trained.losses is None:
            return
        epoch = (trained.losses.schema.metadata or {}).get(EPOCH_KEY)
        rows = [
            row
            for row in _rows_of(trained.losses, by_id)
            if len(row["losses"]) == len(by_id[row["id"]]["steps"])
        ]
        for row in rows:
            entry = {name: value for name, value in row.items() if name != "id"}
            by_id[row["id"]]["losses"][trained.label] = {
                **entry,
                "epoch": None if epoch is None else int(epoch),
            }
        for method in SEARCHES:
            for row, found, objective in self._search(rows, method):
                entry = _boundaries(method, None, found, objective, losses=trained.label)
                by_id[row["id"]]["boundaries"].append(entry)

    def _search(
        self, rows: list[dict[str, Any]], method: str
    ) -> Iterable[tuple[dict[str, Any], list[int], float]]:
        if not rows:
            return []
        try:
            found = search_rows(rows, self.record.recipe["chunks"], method)
        except SkipthinkError:  # losses that are damaged, yet could be read
            return []
        return zip(rows, found.boundaries.tolist(), found.objective.tolist(), strict=True)

    def _add_items(self, trained: Trained, by_id: Mapping[str, dict[str, Any]]) -> None:
        tokenizer = self.record.tokenizer()
        if trained.items is None or tokenizer is None:
            return
        special = self._special
        for row in _rows_of(trained.items, by_id):
            ids = [*row["prompt_ids"], *row["target_ids"]]
            n_prompt = len(row["prompt_ids"])
            loss = row.get("loss") or [place >= n_prompt for place in range(len(ids))]
            source = row.get("source_ids")
            item = {
                "stage": row["stage"],
                "name": stage_name(row["stage"]),
                "source": None
                if source is None
                else as_tokens(tokenizer, source, [False] * len(source), special),
                "tokens": as_tokens(tokenizer, ids, loss, special),
            }
            by_id[row["id"]]["items"].setdefault(trained.label, []).append(item)

    @cached_property
    def _special(self) -> frozenset[int]:
        tokenizer = self.record.tokenizer()
        return frozenset() if tokenizer is None else special_ids(tokenizer)

    def _add_outputs(self, views: list[dict[str, Any]], rows: Sequence[int]) -> None:
        index = np.asarray(rows, dtype=np.int64)
        for seed in self.record.seeds:
            for method in self.record.methods:
                table = self.record.predictions(method, seed)
                if table is None:
                    continue
                kept = [name for name in OUTPUT_COLUMNS if name in table.column_names]
                for view, output in zip(views, table.select(kept).take(index).to_pylist(), strict=True):
                    view["outputs"][f"{method}/s{seed}"] = output


def stage_name(stage: int) -> str:
    """What a stage is called: "[2]", "[answer]", "[skip]", and so on."""
    return f"[{stage}]" if stage > 0 else STAGE_NAMES[Stage(stage)]


def search_rows(rows: Sequence[Mapping[str, Any]], options: Mapping[str, Any], method: str) -> Any:
    """Chunks by a search over losses (`skipthink.chunk`).

    Args:
        rows: with losses, n_tokens and, of conditioned passes, end_losses.
        options: the section `chunks` of a recipe.
        method: "greedy" or "optimal".
    """
    declared = {name: options[name] for name in ("objective", "eta", "scope", "min_steps") if name in options}
    arguments: dict[str, Any] = {name: [row[name] for row in rows] for name in ("losses", "n_tokens")}
    if all(row.get("end_losses") is not None for row in rows):
        arguments["end_losses"] = [row["end_losses"] for row in rows]
    arguments["n_tokens"] = [[float(count) for count in row] for row in arguments["n_tokens"]]
    search = SearchOptions(method=method, **declared).chunk_arguments()  # type: ignore[arg-type]
    return chunk(None, M=int(options["M"]), **arguments, **search)


def _boundaries(
    source: str,
    epoch: int | None,
    found: list[int],
    objective: float | None = None,
    losses: str | None = None,
) -> dict[str, Any]:
    return {"source": source, "epoch": epoch, "boundaries": found, "objective": objective, "losses": losses}


def _add_epochs(trained: Trained, by_id: Mapping[str, dict[str, Any]]) -> None:
    """Boundaries of each epoch, or those that stayed the same."""
    if trained.epochs is not None:
        for row in _rows_of(trained.epochs, by_id):
            by_id[row["id"]]["boundaries"] += [
                _boundaries(trained.label, epoch, found) for epoch, found in enumerate(row["boundaries"])
            ]
    elif trained.chunks is not None and _has_chunks(trained):
        for row in _rows_of(trained.chunks.select(["id", "boundaries"]), by_id):
            by_id[row["id"]]["boundaries"].append(_boundaries(trained.label, None, row["boundaries"]))


def _has_chunks(trained: Trained) -> bool:
    """Whether a method has items that are cut at boundaries: the table of chunks is written for every method."""
    return any(int(stage) > 0 or int(stage) == Stage.SKIP for stage in trained.summary.get("items", {}))


def _add_gate(judged: Judged, by_id: Mapping[str, dict[str, Any]], continuation: str) -> None:
    """What the judge was asked and said, question by question."""
    skips = {row["id"]: row for row in _rows_of(judged.skips, by_id)} if judged.skips is not None else {}
    replies: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for reply in _rows_of(judged.transcript, by_id) if judged.transcript is not None else ():
        replies[reply["id"]][reply["chunk"]].append(reply)
    for name in by_id:
        if name not in skips and name not in replies:
            continue
        row, dropped, questions = skips.get(name), set[int](), []
        for number in sorted(replies[name]):
            given = replies[name][number]
            if number and given[0]["right"]:
                dropped.add(number)
            questions.append(
                {
                    "chunk": number,
                    "dropped": sorted({*dropped, number} - {0}),
                    "right": given[0]["right"],
                    "replies": [{key: reply[key] for key in REPLY_COLUMNS} for reply in given],
                }
            )
        by_id[name]["gate"][judged.job.name] = {
            "boundaries": None if row is None else row["boundaries"],
            "skipped": None if row is None else row["skipped"],
            "continuation": continuation,
            "questions": questions,
        }


def _rows_of(table: pa.Table, by_id: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table that are about some samples."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(list(by_id), type=table.schema.field("id").type)
    rows: list[dict[str, Any]] = table.filter(pc.is_in(table["id"], value_set=wanted)).to_pylist()
    return rows
