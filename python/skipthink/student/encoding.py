"""From samples to token ids: one tokenisation per sample (method §5).

A sample is tokenised once, as `question + separator + rationale`. Steps become token spans through the
offset mapping, and every item is cut out of those ids, so that the ids that are scored, searched over
and trained on are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.planning import ItemPlan, plan_items
from skipthink.core.ragged import Ints
from skipthink.core.steps import split_steps_batch
from skipthink.exceptions import InvalidInputError
from skipthink.student.frame import PLAIN, Frame, split_at_tokens
from skipthink.student.markers import Markers, lead_in
from skipthink.student.token_rows import TokenRows
from skipthink.student.tokens import encode_texts, fixed_ids, token_starts

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

SEPARATOR = PLAIN.tail
"""Stands between question and rationale in plain prompts; its tokens belong to the question."""

ANSWER_PREFIX = " "
"""Answers are encoded with a space in front, as numbers and words stand in running text."""


@dataclass(frozen=True)
class EncodedSamples:
    """The token ids of n samples, with step spans in tokens.

    Attributes:
        ids: the samples' ids, for messages.
        question: ids of question and separator.
        rationale: ids of the rationale.
        answer: ids of the answer.
        step_tokens: ragged, K + 1 entries per row: step k of a row covers its rationale tokens
            `step_tokens[row][k]` … `step_tokens[row][k + 1] - 1`.
        steps: the step texts, one list per row.
        questions: the questions as text.
        report: counts: samples, steps, steps without a token, questions whose last token reaches into the rationale.
    """

    ids: list[str]
    question: TokenRows
    rationale: TokenRows
    answer: TokenRows
    step_tokens: TokenRows
    steps: list[list[str]]
    questions: list[str]
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
            questions=[self.questions[row] for row in rows],
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


def encode_questions(
    tokenizer: PreTrainedTokenizerBase, markers: Markers, questions: list[str]
) -> list[Ints]:
    """Ids of questions and their separators, as in prompts at inference.

    Raises:
        InvalidInputError: a question holds what its student takes for a marker, or the tokenizer turned text into one.
    """
    ids = [f"row {row}" for row in range(len(questions))]
    for row, question in zip(ids, questions, strict=True):
        markers.frame.refuse({"question": question}, row)
    return _Surroundings(tokenizer, markers).encode_questions(questions, ids)


class _Surroundings:
    """A question in its frame, for a tokenizer: the text that is one piece with it, and what cuts that piece."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, markers: Markers) -> None:
        self.tokenizer, self.markers, self.frame = tokenizer, markers, markers.frame
        self.lead, self.lead_ids = lead_in(tokenizer, self.frame)
        before, tokens, after = split_at_tokens(tokenizer, self.frame.tail)
        # without a token in the tail, question and rationale are one piece
        self.is_cut = bool(tokens)
        self.before, self.after = before, after
        self.tokens = np.asarray(fixed_ids(tokenizer, tokens), dtype=np.int64)

    def encode_questions(self, questions: list[str], ids: list[str]) -> list[Ints]:
        """Ids of questions and tail, as they are without a rationale."""
        texts = [self.lead + self.frame.question(question) + self.before for question in questions]
        rows = self._encode_behind_lead(texts, ids)
        if not self.is_cut:
            return rows
        after = np.asarray(encode_texts(self.tokenizer, [self.after])["input_ids"][0], dtype=np.int64)
        return [np.concatenate([tokens, self.tokens, after]) for tokens in rows]

    def encode_samples(
        self, questions: list[str], rationales: list[str], ids: list[str]
    ) -> Iterator[tuple[Ints, Ints, int, Ints]]:
        """Ids of questions with their tail and of rationales.

        Yields:
            Ids of the question and the tail; ids from there on; how many characters of the text these stand for are
            in front of the rationale; where in that text each of them starts.
        """
        if self.is_cut:
            bases = [self.after] * len(questions)
            asked = [self.lead + self.frame.question(question) + self.before for question in questions]
            heads = [np.concatenate([row, self.tokens]) for row in self._encode_behind_lead(asked, ids)]
        else:
            bases = [self.lead + self.frame.question(question) + self.frame.tail for question in questions]
            heads = [np.empty(0, dtype=np.int64)] * len(questions)
        texts = [base + rationale for base, rationale in zip(bases, rationales, strict=True)]
        encoded = encode_texts(self.tokenizer, texts, offsets=True)
        for index, (text, base) in enumerate(zip(texts, bases, strict=True)):
            tokens = np.asarray(encoded["input_ids"][index], dtype=np.int64)
            offsets = np.asarray(encoded["offset_mapping"][index], dtype=np.int64).reshape(-1, 2)
            starts = token_starts(text, offsets)
            _refuse_markers(self.markers, tokens, ids[index])
            if not self.is_cut:
                tokens = self._without_lead(tokens, ids[index])
                starts = starts[len(self.lead_ids) :]
            yield heads[index], tokens, len(base), starts

    def _encode_behind_lead(self, texts: list[str], ids: list[str]) -> list[Ints]:
        rows = []
        for tokens, row in zip(encode_texts(self.tokenizer, texts)["input_ids"], ids, strict=True):
            _refuse_markers(self.markers, np.asarray(tokens, dtype=np.int64), row)
            rows.append(self._without_lead(np.asarray(tokens, dtype=np.int64), row))
        return rows

    def _without_lead(self, tokens: Ints, row: str) -> Ints:
        """The ids behind the lead.

        Raises:
            InvalidInputError: the lead's ids are others in front of this text.
        """
        n_lead = len(self.lead_ids)
        if tuple(tokens[:n_lead].tolist()) != self.lead_ids:
            raise InvalidInputError(
                f"sample {row!r}: the tokenizer joins the marker's line with the beginning of the question; use "
                "markers: tokens, or begin the question with a letter"
            )
        return tokens[n_lead:]


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
        InvalidInputError: a rationale without a step, or a sample whose text yields a marker id, or holds what its
            student takes for a marker.
    """
    refuse_samples(samples, markers.frame)
    ids: list[str] = samples["id"].to_pylist()
    questions: list[str] = samples["question"].to_pylist()
    rationales: list[str] = samples["rationale"].to_pylist()
    answers: list[str] = samples["answer"].to_pylist()
    spans = split_steps_batch(rationales, rules=rules)
    surroundings = _Surroundings(tokenizer, markers)
    question_ids, rationale_ids, step_tokens, steps = [], [], [], []
    n_empty_steps = 0
    for row, (head, tokens, base, starts) in enumerate(
        surroundings.encode_samples(questions, rationales, ids)
    ):
        row_spans = spans[row]
        if not row_spans:
            raise InvalidInputError(f"sample {ids[row]!r} has no step: its rationale is empty or white space")
        n_question = int(np.searchsorted(starts, base, side="left"))
        ends = [base + start for start, _ in row_spans]
        cuts = np.append(np.searchsorted(starts, ends, side="left"), len(tokens))
        cuts[0] = n_question
        question_ids.append(np.concatenate([head, tokens[:n_question]]))
        rationale_ids.append(tokens[n_question:])
        step_tokens.append(cuts - n_question)
        steps.append([rationales[row][start:end] for start, end in row_spans])
        n_empty_steps += int((np.diff(cuts) == 0).sum())
    # at inference a question is tokenised without its rationale: the two must agree, or be counted
    alone = surroundings.encode_questions(questions, ids)
    n_merged = sum(not np.array_equal(*pair) for pair in zip(alone, question_ids, strict=True))
    prefix = "" if markers.frame.think else ANSWER_PREFIX
    encoded_answers = encode_texts(tokenizer, [prefix + answer.strip() for answer in answers])["input_ids"]
    answer_ids = [np.asarray(row, dtype=np.int64) for row in encoded_answers]
    for name, rationale_row, answer_row in zip(ids, rationale_ids, answer_ids, strict=True):
        _refuse_markers(markers, rationale_row, name, amid=True)
        _refuse_markers(markers, answer_row, name, amid=True)
    return EncodedSamples(
        ids=ids,
        question=TokenRows.of(question_ids),
        rationale=TokenRows.of(rationale_ids),
        answer=TokenRows.of(answer_ids),
        step_tokens=TokenRows.of(step_tokens),
        steps=steps,
        questions=questions,
        report={
            "samples": len(ids),
            "steps": sum(map(len, steps)),
            "steps_without_token": n_empty_steps,
            "questions_merged_with_rationale": n_merged,
        },
    )


def refuse_samples(samples: pa.Table, frame: Frame) -> None:
    """Refuses samples with text that this frame uses as a marker; see `Frame.refuse`.

    Args:
        samples: columns id, question, answer and, where there is one, rationale, which may be null.
        frame: the frame.

    Raises:
        InvalidInputError: names the first such sample, what it holds and what to do.
    """
    if frame.think or frame.as_text:
        names = [name for name in ("question", "rationale", "answer") if name in samples.column_names]
        for row in samples.select(["id", *names]).to_pylist():
            frame.refuse({name: row[name] for name in names if row[name] is not None}, row["id"])


def _refuse_markers(markers: Markers, tokens: Ints, row: str, *, amid: bool = False) -> None:
    """Text must never become a marker; with `split_special_tokens` it cannot, unless a tokenizer is broken.

    Markers that are text are looked for where they may stand `amid` a text: a tokenizer that rewrites characters
    could make one of a text that does not hold it.
    """
    found: list[Any] = [token for token in np.unique(tokens).tolist() if token in markers.reserved_ids]
    if amid and markers.frame.as_text:
        found += [
            list(ids) for ids in (markers.thought_mark, markers.answer_lead) if find_ids(tokens.tolist(), ids)
        ]
    if found:
        raise InvalidInputError(
            f"sample {row!r}: the tokenizer turned its text into marker ids {found}; "
            "use a tokenizer that honours split_special_tokens and leaves characters as they are"
        )


def find_ids(tokens: list[int], wanted: Sequence[int]) -> list[int]:
    """Where a sequence of ids begins in another, from the front; nowhere for an empty one."""
    first, n = list(wanted[:1]), len(wanted)
    return [
        place
        for place in range(len(tokens) - n + 1)
        if tokens[place : place + 1] == first and tokens[place : place + n] == list(wanted)
    ]
