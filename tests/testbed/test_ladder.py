"""The rungs of bench/ladder.py: what is core, and what the right decisions skip."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from skipthink import tasks


@pytest.fixture(scope="module")
def ladder():
    path = Path(__file__).parents[2] / "bench" / "ladder.py"
    spec = importlib.util.spec_from_file_location("ladder", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_ceiling_holds_core_sentences_alone_and_the_decisions_keep_them(ladder):
    made = tasks.make(ladder.TASK, train=40, validation=1, test=1, seed=1, **ladder.TASK_OPTIONS)["train"]
    core, decisions = ladder.core_only(made), ladder.true_decisions(made)
    for place, (row, cut) in enumerate(zip(made, core, strict=True)):
        kept = [step for step, role in zip(row["steps"], row["roles"], strict=True) if role == "reasoning"]
        assert cut["rationale"] == "".join(kept).strip()
        assert len(row["steps"]) <= ladder.N_CHUNKS
        boundaries = decisions["boundaries"][place]
        assert (np.diff(boundaries)[: len(row["steps"])] == 1).all()
        not_skipped = np.flatnonzero(~decisions["skipped"][place][: len(row["steps"])])
        assert [row["steps"][index] for index in not_skipped] == kept


def test_a_rung_is_named_by_what_is_changed(ladder):
    assert ladder.parts_of("core") == ("core", {})
    assert ladder.parts_of("skip-0.5-M5-text") == ("skip", {"weight": 0.5, "M": 5, "text": True})
    for rung, said in (
        ("skip-tall", "tall is none of"),
        ("core-text", "there are core and skip"),
        ("base", "core and"),
    ):
        with pytest.raises(SystemExit, match=said):
            ladder.parts_of(rung)


def test_chunks_that_hold_core_stay_and_a_share_of_the_others(ladder):
    made = tasks.make(ladder.TASK, train=200, validation=1, test=1, seed=1, **ladder.TASK_OPTIONS)["train"]
    decisions = ladder.true_decisions(made, 5)
    for row, bounds, skipped in zip(made, decisions["boundaries"], decisions["skipped"], strict=True):
        chunks = [row["roles"][start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
        assert skipped.tolist() == [bool(roles) and ladder.CORE not in roles for roles in chunks]
    drawn = ladder.true_decisions(made, 5, 0.25, seed=3)["skipped"]
    assert not (drawn & ~decisions["skipped"]).any()
    assert drawn.sum() / decisions["skipped"].sum() == pytest.approx(0.75, abs=0.05)
