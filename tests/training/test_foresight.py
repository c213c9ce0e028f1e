"""Shrinkage towards roles, foreseeability and agreement, by hand-made examples."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from training_calls import skip_folders

from skipthink.options import OptionError
from skipthink.run.skip_report import format_agreements, format_skips
from skipthink.skipping import SkipOptions
from skipthink.skipping.foresight import (
    area_under_curve,
    foresee,
    foreseen,
    kappa,
    role_shares,
    shrink,
    step_flags,
)
from skipthink.skipping.roles import NO_ROLE, Roles


def roles_of(rows):
    return Roles(np.asarray(rows), [str(role) for role in range(max(map(max, rows)) + 1)])


def test_shares_are_drawn_towards_that_of_all_chunks():
    roles = roles_of([[0, 1], [0, 1], [0, NO_ROLE], [0, NO_ROLE]])
    skipped = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], dtype=bool)
    # 3 of 6 chunks are skipped: 3 of 4 of role 0, none of 2 of role 1
    assert role_shares(skipped, roles) == pytest.approx([(3 + 5) / 14, (0 + 5) / 12])


def many(pattern, n=200):
    """Two roles: chunk 1 is skipped in a share of the samples, chunk 2 in none."""
    roles = roles_of([[0, 1]] * n)
    skipped = np.zeros((n, 2), dtype=bool)
    skipped[: round(pattern * n), 0] = True
    return skipped, roles


@pytest.mark.parametrize(("share", "weight", "expected"), [
    (0.9, 0.0, 1.0), (0.4, 0.0, 0.0),  # the role alone decides
    (0.9, 0.25, 1.0), (0.5, 0.25, 0.5), (0.2, 0.25, 0.0),  # 1/3 and 2/3 are the bounds
    (0.9, 0.5, 0.9), (0.2, 0.5, 0.2), (0.2, 1.0, 0.2),  # own decisions stand
])  # fmt: skip
def test_decisions_follow_their_role_as_far_as_the_weight_says(share, weight, expected):
    skipped, roles = many(share)
    drawn, n_rescued = shrink(skipped, roles, weight)
    assert drawn[:, 0].mean() == pytest.approx(expected)
    assert not drawn[:, 1].any()
    assert n_rescued == 0


def test_a_sample_never_loses_all_its_chunks():
    skipped, roles = many(0.9)
    roles.of[0] = [0, NO_ROLE]
    skipped[0] = False
    drawn, n_rescued = shrink(skipped, roles, 0.0)
    assert not drawn[0].any()
    assert drawn[1:, 0].all()
    assert n_rescued == 1


QUESTIONS = [f"Ann has {k} balls. {'Then' if k % 2 else 'Later'} she finds 3. How many?" for k in range(100)]


def test_what_a_word_of_the_question_tells_is_foreseen():
    roles = roles_of([[0, 0]] * 100)
    by_word = np.array([[k % 2, k % 2] for k in range(100)], dtype=bool)
    by_chance = np.random.default_rng(0).random((100, 2)) < 0.5
    assert foresee(QUESTIONS, by_word, roles) == 1.0
    assert abs(foresee(QUESTIONS, by_chance, roles) - 0.5) < 0.15


def test_places_tell_what_roles_tell_where_rationales_are_alike():
    """Two of three chunks are skipped; in every other sample one more stands in front, and the end tells them."""
    of = np.array([[0, 1, 2, NO_ROLE] if k % 2 else [3, 0, 1, 2] for k in range(100)])
    by_role = np.isin(of, (0, 2))
    expected = {"skipped": 1.0, "skipped_by_place": 1.0}
    assert foreseen(QUESTIONS, by_role, roles_of(of.tolist())) == expected
    by_chance = np.random.default_rng(0).permuted(np.tile([0, 0, 1], (100, 1)), axis=1)
    told = foreseen(QUESTIONS, by_chance == 1, roles_of(by_chance.tolist()))
    assert told["skipped"] == 1.0
    assert abs(told["skipped_by_place"] - 0.5) < 0.15


def test_what_the_role_tells_is_foreseen():
    skipped, roles = np.tile([True, False], (100, 1)), roles_of([[0, 1]] * 100)
    assert foresee(QUESTIONS, skipped, roles) == 1.0
    assert foresee(QUESTIONS, np.ones((100, 2), dtype=bool), roles) is None
    assert foresee(QUESTIONS[:3], skipped[:3], roles_of([[0, 1]] * 3)) is None


def test_area_under_the_curve_by_pairs():
    scores, positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    # pairs: 0.4 > 0.1, 0.4 = 0.4, 0.8 > 0.1, 0.8 > 0.4
    assert area_under_curve(scores, positive) == (1 + 0.5 + 1 + 1) / 4


def test_agreement_is_counted_by_steps():
    one = step_flags(np.array([[0, 2, 3]]), np.array([[True, False]]))
    other = step_flags(np.array([[0, 1, 3]]), np.array([[True, False]]))
    assert (one.tolist(), other.tolist()) == ([True, True, False], [True, False, False])
    assert kappa(one, other) == pytest.approx((2 / 3 - (2 / 9 + 2 / 9)) / (1 - 4 / 9))
    assert kappa(one, one) == 1.0
    assert kappa(np.ones(3, bool), np.ones(3, bool)) == 0.0


def test_decisions_of_a_judge_are_drawn_and_its_own_are_kept(wavering, tmp_path):
    folder, samples = wavering
    boundaries = np.asarray(pq.read_table(folder / "chunks.parquet")["boundaries"].to_pylist())
    common = {"judges": [folder / "model"], "samples": samples, "boundaries": boundaries, "n_chunks": 3,
              "answer_kind": "number"}  # fmt: skip
    plain = skip_folders(**common, out=tmp_path / "plain", settings={"batch_size": 4})
    drawn = skip_folders(
        **common, out=tmp_path / "drawn", settings={"batch_size": 4, "own_weight": 0.0, "roles": 3}
    )
    own, table = (pq.read_table(tmp_path / name / "skip.parquet").to_pydict() for name in ("plain", "drawn"))
    assert "own" not in own
    assert table["own"] == own["skipped"]
    assert drawn["drawn"] == (np.asarray(table["own"]) != np.asarray(table["skipped"])).sum()
    # samples of one form: each place is a role, decided alike in all
    assert len({tuple(row) for row in table["skipped"]}) == 1
    assert [role["chunks"] for role in drawn["roles"]] == [6, 6, 6]
    assert set(drawn["foreseen"]) == {"skipped", "skipped_by_place", "own"}
    assert set(plain["foreseen"]) == {"skipped", "skipped_by_place"}


def test_a_run_says_how_far_seeds_agree():
    assert format_agreements({}) == []
    assert format_agreements({"kappa": 0.812}) == ["seeds skip the same steps with a kappa of 0.81"]
    assert "(0.40 before decisions were drawn)" in format_agreements({"kappa": 0.8, "kappa_before": 0.4})[0]


@pytest.mark.parametrize(("foreseen", "says"), [
    ({}, []),
    ({"skipped": None}, []),
    ({"skipped": 0.972}, ["decisions are foreseen from question and role with an AUC of 0.97"]),
    ({"skipped": 1.0, "skipped_by_place": 0.88}, [
        "decisions are foreseen from question and role with an AUC of 1.00, from question and place of 0.88"
    ]),
    ({"skipped": 1.0, "own": 0.91}, [
        "decisions are foreseen from question and role with an AUC of 1.00 (0.91 before decisions were drawn)"
    ]),
])  # fmt: skip
def test_a_run_says_how_well_decisions_are_foreseen(foreseen, says):
    row = {
        "seed": 0, "gate": "trial", "asked": 0, "warnings": [], "foreseen": foreseen,
        "groups": [{"by": "all", "group": "all", "rows": 4, "judge_right": 4, "skip_rate": [0.5]}],
    }  # fmt: skip
    lines = format_skips([row]).split("\n")
    assert [line for line in lines if "AUC" in line] == says


def test_only_decisions_of_judges_are_drawn():
    with pytest.raises(
        OptionError, match="own_weight draws right and wrong answers, and the gate rule asks for none"
    ):
        SkipOptions(gate="rule", own_weight=0.2)
