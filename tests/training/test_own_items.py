"""Items that hold an answer of a student's own: the very ids, what is left out, and how they are mixed."""

import numpy as np
import pyarrow as pa
import pytest
from training_calls import PAPER

from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import encode_samples
from skipthink.student.token_rows import TokenRows
from skipthink.training.methods import own_methods
from skipthink.training.source import ItemSource

ROWS = [
    {
        "id": "a",
        "question": "Ann has 3 pens and buys 4. How many pens has she?",
        "rationale": "Let us think. She has 3 and 4. 3 + 4 = 7. So the answer is 7.",
        "answer": "7",
    },
    {"id": "b", "question": "What is 2 and 5?", "rationale": "2 + 5 = 7.", "answer": "7"},
    {"id": "c", "question": "Which is more, 2 or 5?", "rationale": "We compare. It is 5.", "answer": "5"},
    {"id": "d", "question": "What is 1 and 1?", "rationale": "1 + 1 = 2.", "answer": "2"},
]
BOUNDARIES = np.asarray([[0, 2, 3, 4], [0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 1, 1]])
SKIPPED = np.asarray([[True, False, False], [False] * 3, [True, False, False], [False] * 3])


@pytest.fixture(scope="module")
def few(tokenizer, markers):
    return encode_samples(tokenizer, markers, pa.Table.from_pylist(ROWS))


def steps_of(few, row, *steps):
    cuts = few.step_tokens[row]
    return [token for step in steps for token in few.rationale[row][cuts[step] : cuts[step + 1]].tolist()]


def source_of(few, markers, name, chains, **options):
    """Chains: of a shorter than the teacher's, of b the same, of c longer, of d none."""
    method = own_methods()[name]
    own = None if chains is None else TokenRows.of(chains)
    chosen = method.Options(**{**(PAPER if method.mode == "skip" else {}), **options})
    return method, ItemSource(few, markers, chosen, BOUNDARIES, 0, 8, SKIPPED, own=own)


def test_shorter_right_answers_join_the_skip_items(few, markers):
    thought = list(markers.thought_mark)
    chains = [
        [*thought, *steps_of(few, 0, 2), *thought],
        steps_of(few, 1, 0),
        [*steps_of(few, 2, 0), *steps_of(few, 2, 1)],
        [],
    ]
    method, source = source_of(few, markers, "stt-own", chains, skip_weight=1)
    plain, teacher = source_of(few, markers, "stt", None, skip_weight=1)
    items, alone = method.items(source, 0), plain.items(teacher, 0)
    assert [ids.tolist() for ids in map(items.tokens.__getitem__, range(4))] == [
        alone.tokens[row].tolist() for row in range(4)
    ]
    assert (len(items), items.rows.tolist(), set(items.stages.tolist())) == (5, [0, 1, 2, 3, 0], {Stage.SKIP})
    prompt = [*markers.skip_mark, *few.question[0].tolist()]
    target = [*chains[0], *markers.answer_lead, *few.answer[0].tolist(), markers.end_id]
    assert items.tokens[4].tolist() == [*prompt, *target]
    assert items.n_prompt[4] == len(prompt)
    assert method.report(source, items) == {"own_items": 1, "own_longer": 1, "own_same": 1, "own_missing": 1}


def test_a_chain_as_long_as_the_teachers_joins(few, markers):
    other = steps_of(few, 1, 0)[::-1]
    method, source = source_of(few, markers, "stt-own", [[], other, [], []], skip_weight=1)
    assert method.items(source, 0).rows.tolist() == [0, 1, 2, 3, 1]


def test_own_items_count_as_skip_items(few, markers):
    """Their share is that of all skip items, and beside full ones each stands once."""
    chains = [steps_of(few, 0, 2), [], [], []]
    method, source = source_of(few, markers, "stt-own", chains)
    items = method.items(source, 0)
    assert (items.stages == Stage.SKIP).sum() == 5
    assert (items.stages != Stage.SKIP).sum() == 4 * (3 + 1)
    method, source = source_of(few, markers, "stt-own", chains, skip_weight=0.5, full_items="one-pass")
    items = method.items(source, 0)
    assert [(items.stages == stage).sum() for stage in (Stage.BASE, Stage.SKIP)] == [4, 4]


def test_shorter_right_answers_join_whole_rationales(few, markers):
    chains = [steps_of(few, 0, 1, 2), steps_of(few, 1, 0), [], []]
    method, source = source_of(few, markers, "base-own", chains)
    items, base = method.items(source, 0), source.planned("base")
    assert [items.tokens[row].tolist() for row in range(4)] == [base.tokens[row].tolist() for row in range(4)]
    target = [*chains[0], *markers.answer_lead, *few.answer[0].tolist(), markers.end_id]
    assert items.tokens[4].tolist() == [*few.question[0].tolist(), *target]
    assert set(items.stages.tolist()) == {Stage.BASE}
    assert method.report(source, items) == {"own_items": 1, "own_longer": 0, "own_same": 1, "own_missing": 2}
    assert method.mode == "base"
    assert not method.is_reference


def test_samples_that_are_left_out_have_no_own_item(few, markers):
    method, source = source_of(few, markers, "base-own", [steps_of(few, 0, 2), [], [], []])
    source.rows = np.asarray([1, 3])
    assert method.items(source, 0).rows.tolist() == [1, 3]


def test_without_answers_nothing_is_trained(few, markers):
    for name in ("stt-own", "base-own"):
        with pytest.raises(InvalidInputError, match=f"{name} needs the answers of a (stt|base) student"):
            own_methods()[name].refuse_inputs(BOUNDARIES, SKIPPED)
    own_methods()["stt"].refuse_inputs(BOUNDARIES, SKIPPED)
