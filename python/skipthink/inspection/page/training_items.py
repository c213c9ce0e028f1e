"""The items of training samples for a page: their tokens as numbers of pieces of text, equal items once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from skipthink.inspection.page.measures import Shown
from skipthink.inspection.samples import stage_name
from skipthink.student.token_texts import special_ids, token_texts

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

Ids = tuple[int, ...]


class TrainingItems:
    """The items of all trainings of runs, sample by sample, up to a number of tokens.

    Args:
        runs: the runs.
        n_tokens: tokens of items that are given out in all; samples beyond get none.

    Attributes:
        n_left_out: samples that got none for that reason.
    """

    def __init__(self, runs: Sequence[Shown], n_tokens: int) -> None:
        self.runs, self.n_left, self.n_left_out = runs, n_tokens, 0
        self._pieces: dict[tuple[str, int], int] = {}

    def take_pieces(self) -> list[tuple[str, int]]:
        """The pieces that items have named since the last call: text, and 1 for a marker."""
        pieces, self._pieces = list(self._pieces), {}
        return pieces

    def of(self, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The items of some samples.

        Args:
            names: ids of training samples.

        Returns:
            id → a list of {of, stage, ids, trained, times}: `ids` are numbers of pieces, `trained` has "1" for each
            token with loss, `times` says how often the same item stands in an epoch, where that is not once.
        """
        if self.n_left <= 0:
            self.n_left_out += len(names)
            return {}
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in self.runs:
            tokenizer = run.record.tokenizer()
            if tokenizer is None:
                continue
            reader = _Reader(tokenizer, self._pieces)
            for trained in run.record.trainings():
                if trained.items is not None:
                    self._add(found, run.named(trained.label), _counted(trained.items, names), reader)
        return found

    def _add(
        self,
        found: dict[str, list[dict[str, Any]]],
        label: str,
        items: Counter[tuple[str, int, Ids, Ids, Ids, str]],
        reader: _Reader,
    ) -> None:
        for (name, stage, source, prompt, target, loss), times in items.items():
            ids = [*reader.pieces(source), *reader.pieces((*prompt, *target))]
            entry = {
                "of": label,
                "stage": stage_name(stage),
                "ids": ids,
                "trained": "0" * len(source) + (loss or "0" * len(prompt) + "1" * len(target)),
            }
            found[name].append(entry if times == 1 else entry | {"times": times})
            self.n_left -= len(ids)


def _counted(table: pa.Table, names: Sequence[str]) -> Counter[tuple[str, int, Ids, Ids, Ids, str]]:
    """Items of some samples in their order: id, stage, source, prompt, target and mask, with how often they stand."""
    return Counter(_rows(table, names))


def _rows(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[str, int, Ids, Ids, Ids, str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(names, type=table.schema.field("id").type)
    for row in table.filter(pc.is_in(table["id"], value_set=wanted)).to_pylist():
        loss = "".join("1" if counts else "0" for counts in row.get("loss") or ())
        prompt, target = tuple(row["prompt_ids"]), tuple(row["target_ids"])
        yield row["id"], row["stage"], tuple(row.get("source_ids") or ()), prompt, target, loss


class _Reader:
    """Token ids as numbers of pieces; methods share most of their items, so what was read is kept."""

    def __init__(self, tokenizer: Tokenizer, pieces: dict[tuple[str, int], int]) -> None:
        self.tokenizer, self._pieces = tokenizer, pieces
        self._special = special_ids(tokenizer)
        self._known: dict[Ids, list[int]] = {}

    def pieces(self, ids: Ids) -> list[int]:
        """The numbers of the pieces of some tokens."""
        if ids not in self._known:
            texts = token_texts(self.tokenizer, ids)
            pairs = [(text, int(token in self._special)) for text, token in zip(texts, ids, strict=True)]
            self._known[ids] = [self._pieces.setdefault(pair, len(self._pieces)) for pair in pairs]
        return self._known[ids]
