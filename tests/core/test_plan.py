"""Item planning: Rust against the reference, and items that give back their sample."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import skipthink
from skipthink import reference
from skipthink.core.codes import Piece, Stage


@st.composite
def samples(draw):
    M = draw(st.integers(1, 4))
    rows = draw(st.integers(1, 5))
    steps, boundaries = [], []
    for _ in range(rows):
        lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=7))
        inner = sorted(draw(st.lists(st.integers(0, len(lengths)), min_size=M - 1, max_size=M - 1)))
        steps.append([0, *np.cumsum(lengths).tolist()])
        boundaries.append([0, *inner, len(lengths)])
    skipped = draw(st.lists(st.lists(st.booleans(), min_size=M, max_size=M), min_size=rows, max_size=rows))
    questions = draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows))
    answers = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    return M, steps, boundaries, skipped, questions, answers


def ragged(rows):
    return np.concatenate([np.asarray(row) for row in rows]), np.cumsum([0, *map(len, rows)])


def as_items(plan):
    items = []
    for index in range(len(plan)):
        pieces = [
            tuple(piece)
            for piece in plan.pieces[plan.piece_offsets[index] : plan.piece_offsets[index + 1]].tolist()
        ]
        cut = plan.n_prompt_pieces[index]
        items.append((int(plan.rows[index]), int(plan.stages[index]), pieces[:cut], pieces[cut:]))
    return items


@settings(max_examples=150, deadline=None)
@given(samples(), st.sampled_from(["answer-only", "base", "chunkwise", "skip"]), st.sampled_from(["per-chunk", "collapse", "none"]),
       st.sampled_from([0.0, 0.5]), st.integers(0, 2**62), st.sampled_from([1, 3]))  # fmt: skip
def test_core_equals_reference(sample, scheme, thought, dropout, seed, threads):
    _, steps, boundaries, skipped, questions, answers = sample
    common = {"n_question_tokens": questions, "n_answer_tokens": answers, "scheme": scheme, "skipped": skipped,
              "thought": thought, "chunk_dropout": dropout, "seed": seed}  # fmt: skip
    plan = skipthink.plan_items(boundaries, step_token_offsets=ragged(steps), num_threads=threads, **common)
    expected = reference.plan_items(boundaries, step_token_offsets=steps, **common)
    assert as_items(plan) == expected
    lengths = [[sum(end - start for _, start, end in part) for part in item[2:]] for item in expected]
    assert plan.prompt_lengths_tokens.tolist() == [length[0] for length in lengths]
    assert plan.target_lengths_tokens.tolist() == [length[1] for length in lengths]


@settings(max_examples=80, deadline=None)
@given(samples())
def test_stage_items_give_back_question_and_rationale(sample):
    """Prompt of stage 1 less its marker, then the chunk targets less their ends: the whole sample, in order."""
    M, steps, boundaries, _, questions, answers = sample
    plan = skipthink.plan_items(boundaries, step_token_offsets=ragged(steps), n_question_tokens=questions,
                                n_answer_tokens=answers, scheme="chunkwise")  # fmt: skip
    items = as_items(plan)
    for row, tokens in enumerate(steps):
        stages = [item for item in items if item[0] == row]
        assert [stage for _, stage, _, _ in stages] == [*range(1, M + 1), Stage.ANSWER]
        pieces = stages[0][2][1:]
        for _, stage, prompt, target in stages[:-1]:
            assert prompt[0] == (Piece.STAGE_MARK, stage, stage + 1)
            assert target[-1] == (Piece.END, 0, 1)
            pieces = pieces + target[:-1]
        expected = [(Piece.QUESTION, index) for index in range(questions[row])] + [
            (Piece.RATIONALE, index) for index in range(tokens[-1])
        ]
        assert [(kind, index) for kind, start, end in pieces for index in range(start, end)] == expected


def test_dropout_has_its_rate_and_changes_with_the_seed():
    n = 400
    arguments = {"step_token_offsets": ragged([[0, 2, 4, 6]] * n), "n_question_tokens": [1] * n, "n_answer_tokens": [1] * n,
                 "scheme": "chunkwise", "chunk_dropout": 0.3}  # fmt: skip
    plans = [skipthink.plan_items([[0, 1, 2, 3]] * n, seed=seed, **arguments) for seed in (0, 1)]
    rates = [(plan.pieces[:, 0] == Piece.THOUGHT_MARK).sum() / (6 * n) for plan in plans]
    assert all(abs(rate - 0.3) < 0.04 for rate in rates)
    assert not np.array_equal(plans[0].pieces, plans[1].pieces)
