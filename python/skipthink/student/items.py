"""Items: what a student is trained on, as token ids that are cut out of encoded samples (method §5, §7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skipthink.core.codes import Piece, Stage
from skipthink.core.planning import ItemPlan
from skipthink.core.ragged import Ints
from skipthink.student.encoding import EncodedSamples
from skipthink.student.markers import Markers
from skipthink.student.token_rows import Bools, TokenRows, flat_index, offsets_of
from skipthink.student.tokens import Ids


@dataclass(frozen=True)
class Items:
    """Items as token ids: item i is `tokens[i]`, its first `n_prompt[i]` ids are the prompt, the rest the target.

    Attributes:
        tokens: ids of prompt and target; of an encoder-decoder, what its decoder reads and writes.
        n_prompt: prompt lengths in `tokens`, int64 (n_items,).
        rows: the sample each item comes from, int64 (n_items,).
        stages: 1 … M, or a `Stage`, int64 (n_items,).
        loss: which tokens carry loss, bool, one per token of `tokens.values`; None: those of the targets.
        sources: ids an encoder reads; None for students without one.
    """

    tokens: TokenRows
    n_prompt: Ints
    rows: Ints
    stages: Ints
    loss: Bools | None = None
    sources: TokenRows | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def sides(self) -> list[TokenRows]:
        """The sequences a student reads of each item: one, or with an encoder two."""
        return [self.tokens] if self.sources is None else [self.sources, self.tokens]

    @property
    def n_read(self) -> Ints:
        """Tokens of each item, prompt and target, on all sides, int64 (n_items,)."""
        lengths: Ints = np.sum([side.lengths for side in self.sides], axis=0)
        return lengths

    @property
    def longest_side(self) -> Ints:
        """Length of the longest sequence of each item: what positions must suffice for, int64 (n_items,)."""
        lengths: Ints = np.max([side.lengths for side in self.sides], axis=0)
        return lengths

    @property
    def n_target(self) -> Ints:
        """Target lengths in tokens, int64 (n_items,)."""
        return self.tokens.lengths - self.n_prompt

    @property
    def n_loss(self) -> Ints:
        """Tokens that carry loss, int64 (n_items,)."""
        return self.n_target if self.loss is None else np.diff(offsets_of(self.loss)[self.tokens.offsets])

    @property
    def target_places(self) -> Ints:
        """Place of every token counted from the start of its target, int64 (n_tokens,); below 0 in prompts."""
        starts = self.tokens.offsets[:-1] + self.n_prompt
        return np.arange(len(self.tokens.values)) - np.repeat(starts, self.tokens.lengths)


def join_items(parts: list[Items]) -> Items:
    """Joins items of one student, in the order given."""
    with_loss = any(part.loss is not None for part in parts)
    sources = [part.sources for part in parts if part.sources is not None]
    return Items(
        _join_rows([part.tokens for part in parts]),
        n_prompt=np.concatenate([part.n_prompt for part in parts]),
        rows=np.concatenate([part.rows for part in parts]),
        stages=np.concatenate([part.stages for part in parts]),
        loss=np.concatenate([loss_mask(part) for part in parts]) if with_loss else None,
        sources=_join_rows(sources) if sources else None,
    )


def _join_rows(parts: list[TokenRows]) -> TokenRows:
    lengths = np.concatenate([part.lengths for part in parts])
    return TokenRows(np.concatenate([part.values for part in parts]), offsets_of(lengths))


def take_items(items: Items, index: Ints) -> Items:
    """Picks items by index; an item may be picked more than once."""
    tokens, loss = items.tokens, items.loss
    if loss is not None:
        loss = loss[flat_index(tokens.offsets[:-1][index], tokens.lengths[index])]
    return replace(
        items,
        tokens=tokens.take(index),
        n_prompt=items.n_prompt[index],
        rows=items.rows[index],
        stages=items.stages[index],
        loss=loss,
        sources=None if items.sources is None else items.sources.take(index),
    )


def loss_mask(items: Items) -> Bools:
    """Which tokens carry loss, bool (n_tokens,)."""
    return items.target_places >= 0 if items.loss is None else items.loss


def build_items(encoded: EncodedSamples, plan: ItemPlan, markers: Markers) -> Items:
    """Turns planned items (spans) into token ids."""
    if markers.block_open or markers.block_close:
        plan = _with_block(plan, markers)
    parts = [encoded.question, encoded.rationale, encoded.answer, TokenRows.of(_marker_rows(markers))]
    pool = np.concatenate([part.values for part in parts])
    bases = offsets_of([len(part.values) for part in parts])
    kinds, starts, ends = plan.pieces.T
    piece_rows = np.repeat(plan.rows, np.diff(plan.piece_offsets))
    # markers are rows of the last part, whole; all else are spans of a sample's row
    is_marker = kinds > Piece.ANSWER
    part_of = np.minimum(kinds, len(parts) - 1)
    row_of = np.where(is_marker, _marker_row(plan, markers.n_chunks), piece_rows)
    first = np.choose(part_of, [part.offsets[np.minimum(row_of, len(part))] for part in parts])
    lengths = np.where(is_marker, parts[-1].lengths[np.where(is_marker, row_of, 0)], ends - starts)
    sources = bases[part_of] + first + np.where(is_marker, 0, starts)
    items = _join_pieces(plan, pool[flat_index(sources, lengths)], lengths, markers.prompt_head)
    if markers.decoder_start_id is None:
        return items
    piece_ends = offsets_of(lengths)
    asked = np.flatnonzero(kinds == Piece.QUESTION) + 1  # behind the question, one per item
    n_source = len(markers.prompt_head) + piece_ends[asked] - piece_ends[plan.piece_offsets[:-1]]
    return _deal_sides(items, n_source, markers.decoder_start_id, markers.end_id)


_OPEN, _CLOSE, _EMPTY, _STATED = range(Piece.END + 1, Piece.END + 5)
"""Pieces of our own: beginning and end of a block of thought, an empty one, and `[answer]` amid a target."""


def _marker_rows(markers: Markers) -> list[Ids]:
    """Ids of all that a piece may stand for beside text, in the order of `_marker_row`."""
    marks = [
        *markers.stage_marks,
        markers.answer_mark,
        markers.skip_mark,
        markers.thought_mark,
        (markers.end_id,),
    ]
    return [*marks, markers.block_open, markers.block_close, markers.block_empty, markers.answer_lead]


def _marker_row(plan: ItemPlan, n_stages: int) -> Ints:
    """The row of `_marker_rows` each piece stands for, int64 (n_pieces,); of no meaning for pieces of text."""
    kinds, starts, _ = plan.pieces.T
    rows = np.where(kinds == Piece.STAGE_MARK, starts - 1, n_stages + kinds - Piece.ANSWER_MARK)
    n_prompt = np.repeat(plan.n_prompt_pieces, np.diff(plan.piece_offsets))
    in_target = (
        np.arange(len(kinds)) - np.repeat(plan.piece_offsets[:-1], np.diff(plan.piece_offsets)) >= n_prompt
    )
    stated: Ints = np.where(
        (kinds == Piece.ANSWER_MARK) & in_target, n_stages + _STATED - Piece.ANSWER_MARK, rows
    )
    return stated


def _with_block(plan: ItemPlan, markers: Markers) -> ItemPlan:
    """Puts chains of thought into a block: it begins behind the question and ends in front of the answer.

    The student writes its beginning where it writes the whole chain. Where the answer is asked for by itself, the
    block is whole in the prompt, and empty where there is no chain.
    """
    counts = np.diff(plan.piece_offsets)
    questions = np.flatnonzero(plan.pieces[:, 0] == Piece.QUESTION)  # one per item
    one_pass, asked = np.isin(plan.stages, (Stage.BASE, Stage.SKIP)), plan.stages == Stage.ANSWER
    closes = (plan.piece_offsets[:-1] + plan.n_prompt_pieces)[asked]
    places = np.concatenate([questions + 1, closes])
    begins = np.where(plan.stages == Stage.ANSWER_ONLY, _EMPTY, _OPEN)
    kinds = np.concatenate([begins, np.full(len(closes), _CLOSE)])
    # of two pieces at one place the beginning comes first: `np.insert` keeps the order given
    pieces = np.insert(plan.pieces, places, np.stack([kinds, 0 * kinds, 0 * kinds + 1], axis=1), axis=0)
    added = 1 + asked.astype(np.int64)
    return replace(
        plan,
        pieces=pieces,
        piece_offsets=offsets_of(counts + added),
        n_prompt_pieces=plan.n_prompt_pieces + np.where(one_pass, 0, added),
    )


def _join_pieces(plan: ItemPlan, values: Ints, lengths: Ints, head: Ids) -> Items:
    """Groups the ids of pieces into items, behind what every prompt starts with."""
    piece_ends = offsets_of(lengths)
    item_offsets = piece_ends[plan.piece_offsets]
    n_prompt = piece_ends[plan.piece_offsets[:-1] + plan.n_prompt_pieces] - item_offsets[:-1]
    if head:
        values = np.insert(values, np.repeat(item_offsets[:-1], len(head)), np.tile(head, len(plan.rows)))
        item_offsets = item_offsets + len(head) * np.arange(len(item_offsets))
        n_prompt = n_prompt + len(head)
    return Items(TokenRows(values, item_offsets), n_prompt, plan.rows, plan.stages)


def _deal_sides(items: Items, n_source: Ints, start: int, end: int) -> Items:
    """Gives the first tokens of each item to an encoder, and what is left of it to a decoder."""
    tokens, starts = items.tokens, items.tokens.offsets[:-1]
    n_left = tokens.lengths - n_source
    read = tokens.values[flat_index(starts, n_source)]
    left = tokens.values[flat_index(starts + n_source, n_left)]
    return replace(
        items,
        sources=TokenRows(np.insert(read, np.cumsum(n_source), end), offsets_of(n_source + 1)),
        tokens=TokenRows(np.insert(left, offsets_of(n_left)[:-1], start), offsets_of(n_left + 1)),
        n_prompt=items.n_prompt - n_source + 1,
    )


def drop_places(items: Items, first: Ints, end: Ints) -> Items:
    """Leaves the tokens `first` … `end - 1` of every target out, counted from the target's start.

    Args:
        items: the items.
        first: int64 (n_items,).
        end: int64 (n_items,).
    """
    places, lengths = items.target_places, items.tokens.lengths
    keep = (places < np.repeat(first, lengths)) | (places >= np.repeat(end, lengths))
    return replace(
        items,
        tokens=TokenRows(items.tokens.values[keep], offsets_of(keep)[items.tokens.offsets]),
        loss=None if items.loss is None else loss_mask(items)[keep],
    )
