"""The inference modes of a trained student: one pass, by stages, by steps, or with skipped chunks (method §5, §7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.codes import Stage
from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import find_ids
from skipthink.student.generation import Generated, ends_in_loop, generate
from skipthink.student.markers import Markers
from skipthink.student.prompts import Prompt, make_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODES = {
    "base": Stage.BASE,
    "answer-only": Stage.ANSWER_ONLY,
    "post-think": Stage.ANSWER_ONLY,
    "skip": Stage.SKIP,
    "full": Stage.ANSWER,
    "stepwise": Stage.ANSWER,
}
"""Inference modes and the stage of the item their (last) target was trained on."""

Progress = Callable[[int, int], None]

Write = Callable[[int, list[int], list[Prompt]], list[Generated]]
"""Lets the student write a stage: of (stage, questions or chains, their prompts), one result per prompt."""


@dataclass
class Answered:
    """The output of a student for one question.

    Attributes:
        chain: ids before the answer (all generated chunks; markers as they came).
        answer: ids of the answer; None where the student never came to one.
        written: ids as they were generated, of modes that answer in one pass.
        n_generated: generated tokens, end tokens included.
        n_prompt: prompt tokens read, over all passes.
        n_unended: passes that were stopped at the token limit, and a chain that was stopped at its limit of steps.
        n_looped: those of them that repeated one n-gram up to it.
    """

    chain: list[int] = field(default_factory=list)
    answer: list[int] | None = None
    written: list[int] = field(default_factory=list)
    n_generated: int = 0
    n_prompt: int = 0
    n_unended: int = 0
    n_looped: int = 0


@dataclass(frozen=True)
class Decoding:
    """How to generate.

    Attributes:
        limits: stage → longest target of that stage in training; a pass may run a quarter longer.
        batch_size: prompts side by side.
        temperature: 0 for greedy decoding.
        seed: seeds sampling.
        max_steps: most steps of a sample in training, where M is not fixed; a chain may run a quarter longer.
        level_limits: longest target of each level of skipping; empty for a student without levels.
        level: how much is skipped, 1 … L; 0 for a student without levels.
        empty_stages: stages whose targets in training were nothing but the end token for some sample; at all
            others the end token does not come first. None: not known, it may come first everywhere.
    """

    limits: Mapping[int, int]
    batch_size: int = 64
    temperature: float = 0.0
    seed: int = 0
    max_steps: int = 0
    level_limits: tuple[int, ...] = ()
    level: int = 0
    empty_stages: frozenset[int] | None = None

    @classmethod
    def of_student(cls, about: Mapping[str, Any], **options: Any) -> Decoding:
        """How a trained student writes; one with levels at that which its file names, or else as little as it can.

        Args:
            about: its `skipthink.json` (`frame.read_student_file`).
            options: other fields.
        """
        empty, levels = about.get("empty_stages"), about.get("levels", ())
        return cls(
            limits={int(stage): limit for stage, limit in about["max_target_tokens"].items()},
            max_steps=about.get("max_steps", 0),
            level_limits=tuple(int(level["max_target_tokens"]) for level in levels),
            level=int(about.get("level", len(levels))),
            empty_stages=None if empty is None else frozenset(empty),
            **options,
        )

    def using(self, *, batch_size: int, temperature: float = 0.0, seed: int = 0) -> Decoding:
        """The same limits, generated otherwise."""
        return replace(self, batch_size=batch_size, temperature=temperature, seed=seed)

    def at_level(self, level: int) -> Decoding:
        """The same at another level of skipping: 1 writes everything, the highest one as little as it can.

        Raises:
            InvalidInputError: the student has no such level.
        """
        n_levels = len(self.level_limits)
        if not n_levels:
            raise InvalidInputError(
                "the student was not trained with levels; leave out level, or train it with stt-levels"
            )
        if not 1 <= level <= n_levels:
            raise InvalidInputError(f"level must be one of 1 … {n_levels}, got {level}")
        return replace(self, level=level)

    def may_be_empty(self, stage: int) -> bool:
        """Whether a pass at a stage may end at once.

        No token stands between a prompt and its target. At the end of a step a student that has learnt little about
        the marker in front cannot tell "this chunk is done" from "this chunk begins here", and the former is what it
        has seen there most: it would write one chunk, and after it nothing, to the answer.
        """
        return self.empty_stages is None or stage in self.empty_stages

    def max_new_tokens(self, stage: int) -> int:
        """Bound on the generated tokens of one pass at a stage.

        Raises:
            InvalidInputError: the student was not trained on this stage.
        """
        if stage not in self.limits:
            raise InvalidInputError(
                f"the student was trained on the stages {sorted(map(int, self.limits))}, not on {stage}"
            )
        longest = self.limits[stage]
        if self.level and stage == Stage.SKIP:
            longest = self.level_limits[self.level - 1]
        return longest + longest // 4 + 1

    def of_stage(self, stage: int) -> dict[str, Any]:
        """Arguments of `generation.generate` for a pass at a stage, without the seed.

        Raises:
            InvalidInputError: as in `max_new_tokens`.
        """
        return {
            "max_new_tokens": self.max_new_tokens(stage),
            "may_be_empty": self.may_be_empty(stage),
            "batch_size": self.batch_size,
            "temperature": self.temperature,
        }

    @property
    def max_step_passes(self) -> int:
        """Bound on the passes in which a student writes steps, the one that says stop included.

        Raises:
            InvalidInputError: the student was not trained step by step.
        """
        if self.max_steps < 1:
            raise InvalidInputError("the student was not trained step by step: its file names no max_steps")
        return self.max_steps + self.max_steps // 4 + 1


def answer_questions(
    model: PreTrainedModel,
    markers: Markers,
    questions: Sequence[Ints],
    *,
    mode: str,
    decoding: Decoding,
    progress: Progress | None = None,
    write: Write | None = None,
) -> list[Answered]:
    """Answers questions in one of the modes.

    Args:
        model: a trained student.
        markers: its marker ids, fitted to it.
        questions: question ids (`encoding.encode_questions`).
        mode: "base", "answer-only", "skip" (one pass), "post-think" (one pass, up to `[thought]`), "full" (stage by
            stage, M + 1 passes) or "stepwise" (a pass a step until the student says stop, then the answer).
        decoding: limits and batch size.
        progress: called with (passes done, passes in all).
        write: takes the place of plain generation, in modes of one pass.

    Raises:
        InvalidInputError: unknown mode, or one the student was not trained for.
    """
    if mode not in MODES:
        raise InvalidInputError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode == "full":
        none: list[list[int]] = [[] for _ in questions]
        return continue_chains(
            model, markers, questions, none, [1] * len(questions), decoding=decoding, progress=progress
        )
    if mode == "stepwise":
        return _write_steps(model, markers, questions, decoding, progress)
    prompts = [stage_prompt(markers, MODES[mode], question, level=decoding.level) for question in questions]
    if write is not None:
        outputs = write(MODES[mode], list(range(len(prompts))), prompts)
    else:
        outputs = generate(
            model,
            markers,
            prompts,
            **decoding.of_stage(MODES[mode]),
            ends=markers.thought_mark if mode == "post-think" and len(markers.thought_mark) == 1 else (),
            seed=decoding.seed,
            progress=progress,
        )
    if mode == "post-think":
        outputs = [_up_to_thought(output, markers) for output in outputs]
    results = []
    for prompt, output in zip(prompts, outputs, strict=True):
        written = output.tokens.tolist()
        chain, answer = split_answer(written, markers, starts_with_answer=MODES[mode] == Stage.ANSWER_ONLY)
        unended, looped = int(not output.ended), int(output.looped)
        results.append(Answered(chain, answer, written, output.n_tokens, len(prompt), unended, looped))
    return results


def continue_chains(
    model: PreTrainedModel,
    markers: Markers,
    questions: Sequence[Ints],
    prefixes: Sequence[Sequence[int]],
    first_stages: Sequence[int],
    *,
    decoding: Decoding,
    progress: Progress | None = None,
    write: Write | None = None,
) -> list[Answered]:
    """Lets the student write the chunks from a stage on, then the answer.

    Args:
        model: a chunk-wise trained student.
        markers: its marker ids, fitted to it.
        questions: question ids.
        prefixes: what stands for the chunks before the first stage: kept chunks and `[thought]`.
        first_stages: the first chunk the student writes itself, 1 … M + 1 (M + 1: the answer only).
        decoding: limits and batch size.
        progress: called with (passes done, passes in all).
        write: takes the place of plain generation.
    """
    results = [Answered(chain=list(prefix)) for prefix in prefixes]
    n_passes = sum(markers.n_chunks + 2 - first for first in first_stages)
    done = 0
    for stage in [*range(1, markers.n_chunks + 1), Stage.ANSWER]:
        active = [row for row, first in enumerate(first_stages) if stage == Stage.ANSWER or first <= stage]
        if not active:
            continue
        _run_pass(model, markers, questions, results, active, stage, decoding, decoding.seed + stage, write)
        done += len(active)
        if progress is not None:
            progress(done, n_passes)
    return results


def _write_steps(
    model: PreTrainedModel,
    markers: Markers,
    questions: Sequence[Ints],
    decoding: Decoding,
    progress: Progress | None,
) -> list[Answered]:
    """Step by step until the student writes an empty one, then the answer; chains are stopped at the limit of steps."""
    results = [Answered() for _ in questions]
    active = list(range(len(questions)))
    n_passes = decoding.max_step_passes + 1
    for index in range(decoding.max_step_passes):
        if not active:
            break
        seed = decoding.seed + 1 + index
        written = _run_pass(model, markers, questions, results, active, Stage.STEP, decoding, seed)
        active = [row for row, step in zip(active, written, strict=True) if step]
        if progress is not None:
            progress(index + 1, n_passes)
    for row in active:  # never said stop
        results[row].n_unended += 1
        results[row].n_looped += int(ends_in_loop(np.asarray(results[row].chain, np.int64)))
    everyone = list(range(len(questions)))
    _run_pass(model, markers, questions, results, everyone, Stage.ANSWER, decoding, decoding.seed)
    if progress is not None:
        progress(n_passes, n_passes)
    return results


def _run_pass(
    model: PreTrainedModel,
    markers: Markers,
    questions: Sequence[Ints],
    results: list[Answered],
    active: list[int],
    stage: int,
    decoding: Decoding,
    seed: int,
    write: Write | None = None,
) -> list[list[int]]:
    """One pass of the active rows: writes what comes into their results, and returns it."""
    prompts = [stage_prompt(markers, stage, questions[row], results[row].chain) for row in active]
    if write is not None:
        outputs = write(stage, active, prompts)
    else:
        outputs = generate(model, markers, prompts, **decoding.of_stage(stage), seed=seed)
    for row, prompt, output in zip(active, prompts, outputs, strict=True):
        result = results[row]
        if stage == Stage.ANSWER:
            result.answer = output.tokens.tolist()
        else:
            result.chain += output.tokens.tolist()
        result.n_generated += output.n_tokens
        result.n_prompt += len(prompt)
        result.n_unended += int(not output.ended)
        result.n_looped += int(output.looped)
    return [output.tokens.tolist() for output in outputs]


def stage_prompt(
    markers: Markers,
    stage: int,
    question: Ints,
    chain: Sequence[int] = (),
    *,
    closed: bool = True,
    level: int = 0,
) -> Prompt:
    """The prompt of a stage: its marker, the question, then what stands for the chunks before it.

    Args:
        markers: marker ids, fitted to the student.
        stage: 1 … M, or a `Stage`.
        question: question ids.
        chain: ids of the earlier chunks.
        closed: whether a block of thought ends where the answer is asked for; False: it may still grow.
        level: how much is skipped, of the stage `Stage.SKIP` and a student with levels; else 0.
    """
    marks = {
        Stage.SKIP: markers.skip_mark,
        Stage.ANSWER: markers.answer_mark,
        Stage.STEP: markers.stage_marks[0],
    }
    marks |= {Stage.BASE: (), Stage.ANSWER_ONLY: markers.answer_mark}
    lead = markers.stage_marks[stage - 1] if stage > 0 else marks[Stage(stage)]
    if level and stage == Stage.SKIP:
        lead = (*lead, *markers.stage_marks[level - 1])
    # a student that writes the whole chain begins its block itself
    begun = markers.block_open
    if stage in (Stage.BASE, Stage.SKIP):
        begun = ()
    elif stage == Stage.ANSWER_ONLY:
        begun = markers.block_empty
    ended = markers.block_close if closed and stage == Stage.ANSWER else ()
    return make_prompt(markers, lead, question, (*begun, *chain, *ended))


def _up_to_thought(output: Generated, markers: Markers) -> Generated:
    """What stands in front of a `[thought]` that is several tokens of text; its own tokens do not count."""
    places = find_ids(output.tokens.tolist(), markers.thought_mark)
    return Generated(output.tokens[: places[0]], True) if places else output


def split_answer(
    tokens: list[int], markers: Markers, *, starts_with_answer: bool
) -> tuple[list[int], list[int] | None]:
    """Cuts one pass at its last `[answer]`, or the end of its block; without one there is no answer."""
    if starts_with_answer:
        return [], tokens
    begun = tuple(tokens[: len(markers.block_open)]) == markers.block_open
    places = find_ids(tokens, markers.answer_sign)
    chain = tokens[len(markers.block_open) if begun else 0 : places[-1] if places else len(tokens)]
    return chain, tokens[places[-1] + len(markers.answer_sign) :] if places else None
