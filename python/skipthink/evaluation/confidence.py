"""How sure a student is of an answer: the lowest log-probability of the tokens that an answer stands or falls with.

These are the tokens of the answer itself and, in front of it, those that hold a digit. A mean over all tokens would
hide one doubtful number among many certain words. While a student writes, these log-probabilities come with its logits;
here one forward pass over what it wrote gives them, since `transformers` would have to keep the logits of all tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skipthink.core.ragged import Ints
from skipthink.student import sequences
from skipthink.student.forward import NllHead
from skipthink.student.inference import MODES, Answered, stage_prompt
from skipthink.student.student import Student

ONE_PASS = ("base", "skip", "answer-only")
"""Modes in which a student writes an answer in one pass."""


def confidences(
    student: Student,
    questions: Sequence[Ints],
    answered: Sequence[Answered],
    mode: str,
    *,
    batch_tokens: int = 8192,
) -> npt.NDArray[np.float64]:
    """The confidence of each answer, in nats; −inf where the student came to no answer.

    Args:
        student: the student that answered.
        questions: question ids.
        answered: its answers, in one of the modes `ONE_PASS`.
        mode: that mode.
        batch_tokens: padded tokens of a forward pass; a longer answer goes alone.

    Returns:
        float64 (n,), at most 0.
    """
    found = np.full(len(questions), -np.inf)
    markers = student.markers
    written = []
    for row, (question, answer) in enumerate(zip(questions, answered, strict=True)):
        if answer.answer is None or not len(answer.written):
            continue
        prompt = stage_prompt(markers, MODES[mode], question, level=student.decoding.level)
        ids = np.concatenate([prompt.ids, answer.written])
        whole = np.asarray([0, len(answer.written)])
        written.append(sequences.Sequence(row, 0, prompt.source, ids, len(prompt.ids), whole))
    lengths = np.asarray([len(one.ids) + len(one.source) for one in written], dtype=np.int64)
    if not written:
        return found
    with NllHead(student.model, markers.end_id) as head:
        limit = head.max_rows()
        budget = batch_tokens if limit is None else min(batch_tokens, limit)
        for batch in sequences.plan_batches(lengths, budget):
            group = [written[index] for index in batch]
            nll, _ = head(sequences.make_batch(group, markers, student.device))
            start = 0
            for one in group:
                n = len(one.target)
                matters = tokens_that_matter(student, answered[one.row])
                found[one.row] = -nll[start : start + n][matters].max(initial=0.0)
                start += n + 1  # behind each target stands the end token
    return found


def tokens_that_matter(student: Student, answered: Answered) -> npt.NDArray[np.bool_]:
    """Which of the ids a student wrote decide about the answer, bool (n,): the answer's, and those with a digit."""
    texts = [student.tokenizer.decode([token]) for token in answered.written]
    matters = np.asarray([any(map(str.isdigit, text)) for text in texts], dtype=bool)
    n_answer = len(answered.answer or ())
    matters[len(matters) - n_answer :] = True
    return matters
