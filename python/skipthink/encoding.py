"""From samples to token ids and from plans to items: one tokenisation a sample (method §5).

A sample is tokenised once, as `question + separator + rationale`. Steps become token spans through the
offset mapping, and every item is cut out of those ids, so that the ids that are scored, searched over
and trained on are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.exceptions import InvalidInputError
from skipthink.markers import Markers
from skipthink.planning import ItemPlan, plan_items
from skipthink.steps import split_steps_batch
from skipthink.types import ANSWER_MARK, END, QUESTION, RATIONALE, SKIP_MARK, STAGE, THOUGHT

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

SEPARATOR = "\n"
"""Stands between question and rationale; its tokens belong to the question."""

ANSWER_PREFIX = " "
"""Answers are encoded with a space in front, as numbers and words stand in running text."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TokenRows:
    """Ragged token ids: row r is `values[offsets[r]:offsets[r + 1]]` (int64 both)."""

    values: Ints
    offsets: Ints

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | Ints]) -> TokenRows:
        """Joins rows of ids."""
        values = (
            np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
            if rows
            else np.empty(0, np.int64)
        )
        return cls(values.astype(np.int64, copy=False), offsets_of([len(row) for row in rows]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ints:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Ints:
        """Tokens a row, int64 (n,)."""
        return np.diff(self.offsets)

    def take(self, rows: Ints) -> TokenRows:
        """Picks rows; a row may be picked more than once."""
        lengths = self.lengths[rows]
        return TokenRows(self.values[flat_index(self.offsets[:-1][rows], lengths)], offsets_of(lengths))


@dataclass(frozen=True)
class EncodedSamples:
    """The token ids of n samples, with step spans in tokens.

    Attributes:
        ids: the samples' ids, for messages.
        question: ids of question and separator.
        rationale: ids of the rationale.
        answer: ids of the answer.
        step_tokens: ragged, K + 1 entries a row: step k of a row covers its rationale tokens
            `step_tokens[row][k]` … `step_tokens[row][k + 1] - 1`.
        steps: the step texts, one list a row.
        report: counts: samples, steps, steps without a token, questions whose last token reaches into the rationale.
    """

    ids: list[str]
    question: TokenRows
    rationale: TokenRows
    answer: TokenRows
    step_tokens: TokenRows
    steps: list[list[str]]
    report: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_steps(self) -> Ints:
        """K a row, int64 (n,)."""
        return self.step_tokens.lengths - 1

    def take(self, rows: Ints) -> EncodedSamples:
        """Some of the samples, by row; the report stays that of all of them."""
        names = ("question", "rationale", "answer", "step_tokens")
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            steps=[self.steps[row] for row in rows],
            **{name: getattr(self, name).take(rows) for name in names},
        )

    def plan(self, scheme: str, boundaries: Ints, **options: Any) -> ItemPlan:
        """Plans the items of these samples; see `skipthink.plan_items`."""
        return plan_items(
            boundaries,
            step_token_offsets=(self.step_tokens.values, self.step_tokens.offsets),
            n_question_tokens=self.question.lengths,
            n_answer_tokens=self.answer.lengths,
            scheme=scheme,
            **options,
        )


@dataclass(frozen=True)
class Items:
    """Items as token ids: item i is `tokens[i]`, its first `n_prompt[i]` ids are the prompt, the rest the target.

    Attributes:
        tokens: ids of prompt and target.
        n_prompt: prompt lengths in tokens, int64 (n_items,).
        rows: the sample each item comes from, int64 (n_items,).
        stages: 1 … M, or a code of `skipthink.types`, int64 (n_items,).
        loss: which tokens carry loss, bool, one a token of `tokens.values`; None: those of the targets.
    """

    tokens: TokenRows
    n_prompt: Ints
    rows: Ints
    stages: Ints
    loss: Bools | None = None

    def __len__(self) -> int:
        return len(self.tokens)

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


def offsets_of(lengths: Sequence[int] | Ints | Bools) -> Ints:
    """Lengths to offsets: int64 (n + 1,), starting at 0."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def flat_index(starts: Ints, lengths: Ints) -> Ints:
    """Indices of the runs `starts[i] … starts[i] + lengths[i] - 1`, one behind the other."""
    runs = offsets_of(lengths)
    return np.arange(runs[-1], dtype=np.int64) + np.repeat(starts - runs[:-1], lengths)


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: list[str], *, offsets: bool = False) -> Any:
    """Tokenises untrusted text: nothing in it can become a special token (method §5).

    Returns:
        The tokenizer's batch encoding, without special tokens.
    """
    return tokenizer(
        texts,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=offsets,
        return_attention_mask=False,
        verbose=False,
    )


def encode_questions(
    tokenizer: PreTrainedTokenizerBase, markers: Markers, questions: list[str]
) -> list[Ints]:
    """Ids of question and separator, as they stand in prompts at inference.

    Raises:
        InvalidInputError: the tokenizer turned text into a marker (a defect of the tokenizer).
    """
    encoded = encode_texts(tokenizer, [question + SEPARATOR for question in questions])
    rows = [np.asarray(ids, dtype=np.int64) for ids in encoded["input_ids"]]
    _refuse_markers(markers, rows, [str(row) for row in range(len(rows))])
    return rows


def encode_samples(
    tokenizer: PreTrainedTokenizerBase,
    markers: Markers,
    samples: pa.Table,
    *,
    rules: str | Sequence[str] = "auto",
) -> EncodedSamples:
    """Tokenises samples and finds their steps.

    A token belongs to the step in which its first character that is not white space stands (a token of white
    space alone: in which it starts), whatever the tokenizer's habit of reporting leading spaces.

    Args:
        tokenizer: a fast tokenizer with the markers.
        markers: its marker ids.
        samples: columns id, question, rationale, answer (strings, none null).
        rules: step rules, as in `skipthink.split_steps`.

    Returns:
        The encoded samples, in the order given.

    Raises:
        InvalidInputError: a rationale without a step, or a sample whose text yields a marker id.
    """
    ids: list[str] = samples["id"].to_pylist()
    questions: list[str] = samples["question"].to_pylist()
    rationales: list[str] = samples["rationale"].to_pylist()
    answers: list[str] = samples["answer"].to_pylist()
    spans = split_steps_batch(rationales, rules=rules)
    prefixes = [question + SEPARATOR for question in questions]
    texts = [prefix + rationale for prefix, rationale in zip(prefixes, rationales, strict=True)]
    encoded = encode_texts(tokenizer, texts, offsets=True)
    question_ids, rationale_ids, step_tokens, steps = [], [], [], []
    n_empty_steps = 0
    for row, text in enumerate(texts):
        row_spans = spans[row]
        if not row_spans:
            raise InvalidInputError(f"sample {ids[row]!r} has no step: its rationale is empty or white space")
        tokens = np.asarray(encoded["input_ids"][row], dtype=np.int64)
        starts = token_starts(text, np.asarray(encoded["offset_mapping"][row], dtype=np.int64).reshape(-1, 2))
        base = len(prefixes[row])
        n_question = int(np.searchsorted(starts, base, side="left"))
        cuts = np.searchsorted(starts, [base + start for start, _ in row_spans] + [len(text)], side="left")
        cuts[0], cuts[-1] = n_question, len(tokens)
        question_ids.append(tokens[:n_question])
        rationale_ids.append(tokens[n_question:])
        step_tokens.append(cuts - n_question)
        steps.append([rationales[row][start:end] for start, end in row_spans])
        n_empty_steps += int((np.diff(cuts) == 0).sum())
    # at inference a question is tokenised without its rationale: the two must agree, or be counted
    alone = encode_texts(tokenizer, prefixes)["input_ids"]
    n_merged = sum(found != tokens.tolist() for found, tokens in zip(alone, question_ids, strict=True))
    answer_ids = [
        np.asarray(row, dtype=np.int64)
        for row in encode_texts(tokenizer, [ANSWER_PREFIX + answer.strip() for answer in answers])[
            "input_ids"
        ]
    ]
    for rows in (question_ids, rationale_ids, answer_ids):
        _refuse_markers(markers, rows, ids)
    return EncodedSamples(
        ids=ids,
        question=TokenRows.of(question_ids),
        rationale=TokenRows.of(rationale_ids),
        answer=TokenRows.of(answer_ids),
        step_tokens=TokenRows.of(step_tokens),
        steps=steps,
        report={
            "samples": len(ids),
            "steps": sum(map(len, steps)),
            "steps_without_token": n_empty_steps,
            "questions_merged_with_rationale": n_merged,
        },
    )


def token_starts(text: str, offsets: Ints) -> Ints:
    """Where each token starts: its first character that is not white space, int64 (n_tokens,), not decreasing."""
    if len(offsets) == 0:
        return np.empty(0, dtype=np.int64)
    solid = np.flatnonzero([not character.isspace() for character in text])
    first = np.searchsorted(solid, offsets[:, 0], side="left")
    next_solid = np.append(solid, len(text) + 1)[first]
    starts = np.where(next_solid < offsets[:, 1], next_solid, offsets[:, 0])
    return np.maximum.accumulate(starts)


def build_items(encoded: EncodedSamples, plan: ItemPlan, markers: Markers) -> Items:
    """Turns planned items (spans) into token ids."""
    marker_ids = np.asarray(
        [*markers.stages, markers.answer, markers.skip, markers.thought, markers.end], np.int64
    )
    pool = np.concatenate(
        [encoded.question.values, encoded.rationale.values, encoded.answer.values, marker_ids]
    )
    bases = np.cumsum(
        [0, len(encoded.question.values), len(encoded.rationale.values), len(encoded.answer.values)]
    )
    kinds, starts, ends = plan.pieces.T
    piece_rows = np.repeat(plan.rows, np.diff(plan.piece_offsets))
    row_offsets = (encoded.question.offsets, encoded.rationale.offsets, encoded.answer.offsets)
    sources = np.choose(np.minimum(kinds, 3), [bases[0], bases[1], bases[2], bases[3]]) + np.choose(
        np.minimum(kinds, 3), [*(offsets[piece_rows] for offsets in row_offsets), 0]
    )
    n_stages = len(markers.stages)
    marker_slot = {ANSWER_MARK: n_stages, SKIP_MARK: n_stages + 1, THOUGHT: n_stages + 2, END: n_stages + 3}
    is_marker = kinds > 2
    local = starts.copy()
    local[kinds == STAGE] -= 1
    for kind, slot in marker_slot.items():
        local[kinds == kind] = slot
    lengths = np.where(is_marker, 1, ends - starts)
    return _join_pieces(plan, pool[flat_index(sources + local, lengths)], lengths, markers.bos)


def _join_pieces(plan: ItemPlan, values: Ints, lengths: Ints, bos: int | None) -> Items:
    """Groups the ids of pieces into items, behind a begin-of-sequence id where there is one."""
    piece_ends = offsets_of(lengths)
    item_offsets = piece_ends[plan.piece_offsets]
    n_prompt = piece_ends[plan.piece_offsets[:-1] + plan.n_prompt_pieces] - item_offsets[:-1]
    if bos is not None:
        values = np.insert(values, item_offsets[:-1], bos)
        item_offsets = item_offsets + np.arange(len(item_offsets))
        n_prompt = n_prompt + 1
    return Items(TokenRows(values, item_offsets), n_prompt, plan.rows, plan.stages)


def _refuse_markers(markers: Markers, rows: list[Ints], ids: list[str]) -> None:
    """Text must never become a marker; with `split_special_tokens` it cannot, unless a tokenizer is broken."""
    reserved = np.asarray(sorted(markers.reserved))
    for row, tokens in enumerate(rows):
        found = np.intersect1d(tokens, reserved)
        if len(found):
            raise InvalidInputError(
                f"sample {ids[row]!r}: the tokenizer turned its text into marker ids {found.tolist()}; "
                "use a tokenizer that honours split_special_tokens"
            )


assert (QUESTION, RATIONALE) == (0, 1), "build_items orders its pool by these codes"  # noqa: S101
