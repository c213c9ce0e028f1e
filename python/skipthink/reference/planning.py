"""Item planning, as method §5 and §7 write the items down."""

from __future__ import annotations

from collections.abc import Sequence

from skipthink.core.codes import Piece, Stage
from skipthink.reference.checks import check_plan
from skipthink.reference.random import GOLDEN, MASK, SplitMix64

Placed = tuple[int, int, int]
Item = tuple[int, int, list[Placed], list[Placed]]


def plan_items(
    boundaries: Sequence[Sequence[int]],
    *,
    step_token_offsets: Sequence[Sequence[int]],
    n_question_tokens: Sequence[int],
    n_answer_tokens: Sequence[int],
    scheme: str,
    skipped: Sequence[Sequence[bool]] | None = None,
    thought: str = "per-chunk",
    chunk_dropout: float = 0.0,
    seed: int = 0,
) -> list[Item]:
    """Items as (row, stage, prompt pieces, target pieces); a piece is (kind, start, end)."""
    check_plan(
        boundaries,
        step_token_offsets,
        n_question_tokens,
        n_answer_tokens,
        skipped,
        scheme,
        thought,
        chunk_dropout,
    )
    items: list[Item] = []
    for row, cuts in enumerate(boundaries):
        M = len(cuts) - 1
        tokens = [step_token_offsets[row][cut] for cut in cuts]
        chunks = [_span(Piece.RATIONALE, tokens[m], tokens[m + 1]) for m in range(M)]
        question = _span(Piece.QUESTION, 0, n_question_tokens[row])
        answer = [*_span(Piece.ANSWER, 0, n_answer_tokens[row]), _mark(Piece.END)]
        if scheme == "base":
            whole = _span(Piece.RATIONALE, 0, tokens[-1])
            items.append((row, Stage.BASE, question, [*whole, _mark(Piece.ANSWER_MARK), *answer]))
        elif scheme == "answer-only":
            items.append((row, Stage.ANSWER_ONLY, [_mark(Piece.ANSWER_MARK), *question], answer))
        elif scheme == "skip":
            assert skipped is not None  # noqa: S101 - part of the contract
            kept = _skip_target(chunks, skipped[row], thought)
            items.append(
                (
                    row,
                    Stage.SKIP,
                    [_mark(Piece.SKIP_MARK), *question],
                    [*kept, _mark(Piece.ANSWER_MARK), *answer],
                )
            )
        else:
            for stage in [*range(1, M + 1), Stage.ANSWER]:
                lead = (
                    _mark(Piece.ANSWER_MARK)
                    if stage == Stage.ANSWER
                    else (Piece.STAGE_MARK, stage, stage + 1)
                )
                prompt = [lead, *question]
                for chunk in range(1, M + 1 if stage == Stage.ANSWER else stage):
                    dropped = chunks[chunk - 1] and _dropped(seed, row, stage, chunk, M) < chunk_dropout
                    prompt += [_mark(Piece.THOUGHT_MARK)] if dropped else chunks[chunk - 1]
                target = answer if stage == Stage.ANSWER else [*chunks[stage - 1], _mark(Piece.END)]
                items.append((row, stage, prompt, target))
    return items


def _span(kind: int, start: int, end: int) -> list[Placed]:
    return [(kind, start, end)] if start < end else []


def _mark(kind: int) -> Placed:
    return (kind, 0, 1)


def _skip_target(chunks: list[list[Placed]], skipped: Sequence[bool], thought: str) -> list[Placed]:
    target: list[Placed] = []
    in_run = False
    for chunk, skip in zip(chunks, skipped, strict=True):
        if not chunk:
            continue
        if not skip:
            target += chunk
        elif thought == "per-chunk" or (thought == "collapse" and not in_run):
            target.append(_mark(Piece.THOUGHT_MARK))
        in_run = skip
    return target


def _dropped(seed: int, row: int, stage: int, chunk: int, M: int) -> float:
    place = (row * (M + 2) + (stage if stage > 0 else M + 1)) * (M + 2) + chunk
    return SplitMix64(seed ^ (place * GOLDEN & MASK)).next_unit()
