"""Drawing answers: a student writes several to each question, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from skipthink.answers.options import CheckOptions
from skipthink.core.ragged import Ints
from skipthink.evaluation.measure import check_text
from skipthink.own_answers.options import OwnAnswersOptions
from skipthink.skipping.folds import number_of
from skipthink.student.encoding import find_ids
from skipthink.student.generation import Generated, generate, generate_in_room
from skipthink.student.inference import MODES, Answered, answer_questions
from skipthink.student.kv_cache import KvCache, supports_kv_cache
from skipthink.student.markers import Markers
from skipthink.student.prompts import Prompt
from skipthink.student.student import Student

STREAM = 7
"""Sets these random numbers apart from those of a judge's votes on the same sample."""


@dataclass(frozen=True)
class Draw:
    """One answer.

    Attributes:
        id: of the sample.
        draw: which of its answers, from 0.
        chain: ids of what is written before the answer, int64; `[thought]` may be among them, no other marker.
        text: the chain as text, markers included.
        answer: the answer; None where there is none.
        verdict: "right", "wrong" or "unparsed".
        form: "whole"; "unended": stopped at the limit; "malformed": a marker stands where none belongs; "no step":
            there is nothing but `[thought]` before the answer.
        tokens: generated, the end token included.
    """

    id: str
    draw: int
    chain: Ints
    text: str
    answer: str | None
    verdict: str
    form: str
    tokens: int


@dataclass
class Writer:
    """A student that answers questions of training.

    Attributes:
        student: trained, in a mode that answers in one pass.
        options: how many answers, at which temperature.
        check: how answers are checked.
        seed: of the run.
        keeps: whether a prompt is read once for all its answers.
    """

    student: Student
    options: OwnAnswersOptions
    check: CheckOptions
    seed: int
    keeps: bool = field(init=False)

    def __post_init__(self) -> None:
        self.keeps = supports_kv_cache(self.student.model)

    def write(self, ids: Sequence[str], questions: Sequence[Ints], gold: Sequence[str]) -> list[Draw]:
        """Draws the answers to some questions, side by side.

        Args:
            ids: of the samples; random numbers depend on them.
            questions: question ids, int64 each.
            gold: the right answers.

        Returns:
            `samples` answers per question, one question after the other.
        """
        student, n = self.student, self.options.samples

        def written(stage: int, rows: list[int], prompts: list[Prompt]) -> list[Generated]:
            return self._generate(stage, [ids[row // n] for row in rows], prompts)

        answered = answer_questions(
            student.model,
            student.markers,
            [question for question in questions for _ in range(n)],
            mode=student.mode,
            decoding=student.decoding,
            write=written,
        )
        return [self._read(ids[row // n], row % n, gold[row // n], one) for row, one in enumerate(answered)]

    def _generate(self, stage: int, ids: list[str], prompts: list[Prompt]) -> list[Generated]:
        """One pass: prompts of a question stand side by side, as often as it gets answers."""
        student, options, decoding = self.student, self.options, self.student.decoding
        if not self.keeps:  # what is sampled depends on the batch, which is the same after a kill
            seed = number_of(self.seed, ids[0]) % 2**31
            how = decoding.using(batch_size=len(prompts), temperature=options.temperature).of_stage(stage)
            return generate(student.model, student.markers, prompts, **how, seed=seed)
        limit = decoding.max_new_tokens(stage)

        def write(fitting: Ints, limits: Ints) -> list[Generated]:
            kept = KvCache(student.model, len(prompts) // options.samples)
            kept.read([prompt.ids[:-1].tolist() for prompt in prompts[:: options.samples]])
            numbers = [
                np.random.default_rng([number_of(self.seed, ids[row]), STREAM, int(row) % options.samples])
                for row in fitting
            ]
            return kept.generate(
                fitting // options.samples,
                [prompts[row].ids[-1:].tolist() for row in fitting],
                end=student.markers.end_id,
                limits=limits,
                may_be_empty=decoding.may_be_empty(stage),
                temperature=options.temperature,
                uniforms=np.stack([one.random(limit) for one in numbers]),
            )

        return generate_in_room(student.model, prompts, limit, write)

    def _read(self, name: str, draw: int, gold: str, answered: Answered) -> Draw:
        student = self.student
        answer = student.answer_text(answered)
        chain = without_lead(answered.chain, student.markers)
        form = "unended" if answered.n_unended else form_of(chain, student)
        return Draw(
            id=name,
            draw=draw,
            chain=np.asarray(chain, dtype=np.int64),
            text=str(student.tokenizer.decode(chain)),
            answer=answer,
            verdict=str(check_text(self.check, answer, gold)),
            form=form,
            tokens=answered.n_generated,
        )


def without_lead(chain: list[int], markers: Markers) -> list[int]:
    """A chain without what stands in front of the sign of the answer, such as the line end before a closing tag."""
    places = find_ids(list(markers.answer_lead), markers.answer_sign)
    front = list(markers.answer_lead[: places[0]]) if places else []
    return chain[: len(chain) - len(front)] if front and chain[-len(front) :] == front else chain


def form_of(chain: list[int], student: Student) -> str:
    """Whether a chain is what the teacher might have written: "whole", "malformed" or "no step".

    Args:
        chain: ids before the answer.
        student: who wrote it; where its mode is "skip", `[thought]` may stand for a chunk.
    """
    markers = student.markers
    places = find_ids(chain, markers.thought_mark)
    n_mark = len(markers.thought_mark)
    marked = {place + further for place in places for further in range(n_mark)}
    rest = [token for place, token in enumerate(chain) if place not in marked]
    may_skip = MODES[student.mode] == MODES["skip"]
    if (places and not may_skip) or find_ids(chain, markers.answer_sign):
        return "malformed"
    if not markers.reserved_ids.isdisjoint(rest):
        return "malformed"
    return "whole" if str(student.tokenizer.decode(rest)).strip() else "no step"
