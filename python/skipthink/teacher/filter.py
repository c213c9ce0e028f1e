"""The filter: which of the teacher's rationales are kept, and why the others are rejected.

It reads replies from the store and asks nothing, so a change of its options costs nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skipthink.answers import Verdict, check_answer
from skipthink.teacher.options import FilterOptions
from skipthink.teacher.prompts import Prompt, take
from skipthink.teacher.requests import Reply
from skipthink.teacher.texts import Contamination, find_words, foreign_share, similarity

_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_SHOWN = 120


@dataclass(frozen=True)
class Question:
    """A question to ask.

    Attributes:
        id: id of its row.
        text: text of the question.
        answer: gold answer.
        row: index of its row.
    """

    id: str
    text: str
    answer: str
    row: int


@dataclass(frozen=True)
class Candidate:
    """A sample: one chain of replies to a question, with the verdict of the filter.

    Attributes:
        question: the question.
        sample: number of the sample.
        rationale: the rationale; empty if there is none.
        statement: text that states the teacher's answer.
        is_right: whether this is the gold answer; None if it was not checked.
        reason: reason of the rejection, or None.
        detail: details of the reason.
        label: label that the prompt asks for in front of the rationale, such as the difficulty.
        model: name of the teacher.
        n_tokens: tokens written in all its replies; None if some are not counted.
    """

    question: Question
    sample: int
    rationale: str = ""
    statement: str = ""
    is_right: bool | None = None
    reason: str | None = None
    detail: str = ""
    label: str | None = None
    model: str = ""
    n_tokens: int | None = None

    def rejected(self, reason: str, detail: str = "") -> Candidate:
        """The same sample, rejected."""
        return replace(self, reason=reason, detail=detail)


@dataclass
class Filter:
    """Keeps or rejects samples.

    Args:
        options: options of the filter.
        kind: kind of the answers.
        tolerances: tolerance and relative_tolerance of the answer check.
        contamination: contents of the test questions.
    """

    options: FilterOptions
    kind: str
    tolerances: dict[str, float]
    contamination: Contamination
    _seen: dict[bytes, str] = field(default_factory=dict)

    def overlap(self, question: str) -> str | None:
        """The forbidden kind of overlap of a question with a test question, if any; such a question is not asked."""
        found = self.contamination.find(question)
        return next((name for name in self.options.overlap if name in found), None)

    def judge(
        self, question: Question, samples: Sequence[tuple[int, Prompt, Sequence[Reply]]]
    ) -> list[Candidate]:
        """Judges all samples of one question, in their order: kept, or rejected with a reason.

        Args:
            question: the question.
            samples: number, prompt and replies of each sample.
        """
        judged = [self._examine(read_sample(question, *sample)) for sample in samples]
        judged = [self._new(candidate) for candidate in judged]
        return self._choose(judged)

    def _examine(self, candidate: Candidate) -> Candidate:
        if candidate.reason is not None:
            return candidate
        options, text = self.options, candidate.rationale
        n_words = len(find_words(text))
        if n_words < options.min_words:
            return candidate.rejected("too short", f"{n_words} words")
        if options.max_words is not None and n_words > options.max_words:
            return candidate.rejected("too long", f"{n_words} words")
        share = foreign_share(text, options.language, candidate.question.text)
        if share > options.max_foreign:
            return candidate.rejected("other language", f"{share:.0%} of the letters are of another script")
        if "13-grams" in options.overlap and self.contamination.shares_words(text):
            return candidate.rejected("overlap: 13-grams", "the rationale repeats a test question")
        verdict = check_answer(self.kind, candidate.statement, candidate.question.answer, **self.tolerances)
        if verdict is Verdict.UNPARSED:
            return candidate.rejected("no answer", "ends before an answer of the kind is stated")
        candidate = replace(candidate, is_right=verdict is Verdict.RIGHT)
        if options.check_answers and not candidate.is_right:
            return candidate.rejected("wrong answer", _tail(candidate.statement))
        return candidate

    def _new(self, candidate: Candidate) -> Candidate:
        """Rejects a rationale that was kept already, for this question or another one."""
        if candidate.reason is not None:
            return candidate
        digest = hashlib.blake2b(" ".join(find_words(candidate.rationale)).encode(), digest_size=16).digest()
        first = self._seen.setdefault(digest, f"{candidate.question.id}, sample {candidate.sample}")
        if first != f"{candidate.question.id}, sample {candidate.sample}":
            return candidate.rejected("duplicate", f"as {first}")
        return candidate

    def _choose(self, judged: list[Candidate]) -> list[Candidate]:
        good = [candidate for candidate in judged if candidate.reason is None]
        if self.options.keep == "all" or len(good) < 2:
            return judged
        # of equally long ones the first: what is kept does not depend on the order in which replies came
        by_length = sorted(
            good, key=lambda candidate: (len(find_words(candidate.rationale)), candidate.sample)
        )
        if self.options.keep == "shortest":
            kept = by_length[:1]
            reason = "longer than another"
        else:
            kept = self._different(by_length)
            reason = "like another"
        return [
            candidate.rejected(reason) if candidate.reason is None and candidate not in kept else candidate
            for candidate in judged
        ]

    def _different(self, by_length: list[Candidate]) -> list[Candidate]:
        """The shortest, then repeatedly the one least similar to those chosen."""
        words = {candidate.sample: set(find_words(candidate.rationale)) for candidate in by_length}
        kept, rest = by_length[:1], by_length[1:]

        def nearest(candidate: Candidate) -> float:
            return max(similarity(words[candidate.sample], words[other.sample]) for other in kept)

        while rest and len(kept) < self.options.k:
            candidate = min(rest, key=nearest)
            if nearest(candidate) > self.options.max_similarity:
                break
            kept.append(candidate)
            rest.remove(candidate)
        return kept


def read_sample(question: Question, sample: int, prompt: Prompt, replies: Sequence[Reply]) -> Candidate:
    """Reads the rationale and the stated answer in the replies to one sample; a useless reply ends them early."""
    candidate = Candidate(
        question,
        sample,
        model=replies[-1].model,
        n_tokens=None
        if any(reply.n_tokens is None for reply in replies)
        else sum(r.n_tokens or 0 for r in replies),
    )
    for turn, reply in zip(prompt.turns, replies, strict=False):
        taken = take(turn, reply)
        if turn.gives == "rationale":
            candidate = replace(candidate, rationale=taken.text, label=taken.label, statement=taken.statement)
        elif turn.gives == "answer":
            candidate = replace(candidate, statement=taken.statement)
        if taken.problem is not None:
            candidate = candidate.rejected(taken.problem, _tail(reply.refusal or f"in the turn {turn.gives}"))
            break
    if not _NO_TEXT.search(candidate.rationale + candidate.statement):
        return candidate
    candidate = replace(
        candidate, rationale=_clean(candidate.rationale), statement=_clean(candidate.statement)
    )
    return (
        candidate
        if candidate.reason
        else candidate.rejected("no valid text", "holds a character that no text has")
    )


def _clean(text: str) -> str:
    return _NO_TEXT.sub("\ufffd", text)


def _tail(text: str) -> str:
    line = " ".join(_clean(text).split())
    return line if len(line) <= _SHOWN else "…" + line[-_SHOWN:]


def row_of(candidate: Candidate) -> dict[str, Any]:
    """A sample as a row of rejects.parquet."""
    return {
        "id": candidate.question.id,
        "sample": candidate.sample,
        "reason": candidate.reason,
        "detail": candidate.detail,
        "question": candidate.question.text,
        "answer": candidate.question.answer,
        "rationale": candidate.rationale,
        "statement": candidate.statement,
        "teacher": candidate.model,
    }
