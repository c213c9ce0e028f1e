"""The store: nothing it has said it keeps is lost, nothing is claimed twice, and money stays counted."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from skipthink.exceptions import DataError, RunError
from skipthink.teacher.requests import Reply, Request
from skipthink.teacher.store import Claim, Store


def request(number, sample=0):
    message = {"role": "user", "content": f"{number} Ä \u2028 \ud800?"}
    return Request("m", (message,), {"max_tokens": 9, "temperature": 0.0}, sample)


def put(store, number, cost="0"):
    store.put(request(number), Reply(f"reply {number} ü\n\u2028 \ud800", n_tokens=number), Decimal(cost))


def test_answers_are_found_again_by_another_store(tmp_path):
    with Store(tmp_path) as store:
        for number in range(5):
            put(store, number, "0.1")
        assert store.get(request(9).key) is None
    with Store(tmp_path) as again:
        assert len(again) == 5
        assert again.paid == Decimal("0.5")
        assert again.get(request(3).key) == Reply("reply 3 ü\n\u2028 \ud800", n_tokens=3)
        assert again.record(request(3).key)["request"]["messages"][0]["content"] == "3 Ä \u2028 \ud800?"
        put(again, 7)
        assert again.get(request(7).key).n_tokens == 7
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"answers", "lock"}


@pytest.mark.parametrize("cut", [1, 5, 20, 120])
def test_a_torn_end_is_left_out_and_counted(tmp_path, cut):
    with Store(tmp_path) as store:
        for number in range(3):
            put(store, number)
    (file,) = tmp_path.glob("answers-*")
    os.truncate(file, file.stat().st_size - cut)
    with Store(tmp_path) as again:
        assert (len(again), again.n_torn) == (2, 1)
        put(again, 2)
    with Store(tmp_path) as third:
        assert (len(third), third.n_torn) == (3, 1)


@pytest.mark.parametrize("change", [
    lambda content: content.replace(b"reply 1", b"reply 9"),
    lambda content: b"x" + content,
    lambda content: content.replace(b"\n", b"", 1),
], ids=["text", "front", "line end"])  # fmt: skip
def test_damage_is_told_from_a_torn_end(tmp_path, change):
    with Store(tmp_path) as store:
        for number in range(3):
            put(store, number)
    (file,) = tmp_path.glob("answers-*")
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=r"answers-.*byte \d+: the line is damaged"):
        Store(tmp_path)


def test_a_request_is_claimed_once(tmp_path):
    with Store(tmp_path) as one, Store(tmp_path) as other:
        key = request(1).key
        assert one.claim(key) is Claim.TAKEN
        assert other.claim(key) is Claim.BUSY
        assert other.claim(request(2).key) is Claim.TAKEN
        assert one.claim(request(2).key) is Claim.BUSY
        assert (one.under_way, other.under_way) == (2, 2)
        put(one, 1)
        assert other.claim(key) is Claim.ANSWERED
        assert other.get(key).n_tokens == 1
        other.free(request(2).key)
        assert one.claim(request(2).key) is Claim.TAKEN
        with pytest.raises(RunError, match="is not claimed by this process"):
            other.free(request(2).key)


def test_the_budget_holds_for_all_processes_together(tmp_path):
    with Store(tmp_path) as one, Store(tmp_path) as other:
        budget = Decimal("1.00")
        assert one.claim(request(1).key, Decimal("0.4"), budget) is Claim.TAKEN
        assert other.claim(request(2).key, Decimal("0.4"), budget) is Claim.TAKEN
        assert one.claim(request(3).key, Decimal("0.4"), budget) is Claim.BUDGET
        put(other, 2, "0.1")  # it has cost less than it could
        assert one.claim(request(3).key, Decimal("0.4"), budget) is Claim.TAKEN
        assert other.claim(request(4).key, Decimal("0.2"), budget) is Claim.BUDGET
        assert other.claim(request(4).key, Decimal("0.1"), budget) is Claim.TAKEN


KILLED = """
import os, signal, sys
from decimal import Decimal
sys.path.insert(0, {folder!r})
from test_store import request, put
from skipthink.teacher.store import Store
store = Store({store!r})
for number in range(4):
    store.claim(request(number).key, Decimal("0.25"))
put(store, 0, "0.1")
store.lose(request(1).key)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_may_have_to_pay_for_stays_counted(tmp_path):
    code = KILLED.format(folder=str(Path(__file__).parent), store=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    for _ in range(2):  # this process, and one after it
        with Store(tmp_path) as store:
            assert store.paid == Decimal("0.1")
            # requests 1, 2 and 3 were under way, and an attempt at 1 was lost before
            assert store.reserved == Decimal("1.00")
            assert store.under_way == 0
            assert store.claim(request(2).key) in (Claim.TAKEN, Claim.ANSWERED)
            if store.get(request(2).key) is None:
                put(store, 2, "0.2")
                store.paid -= Decimal("0.2")
        (file,) = [path for path in tmp_path.glob("answers-*") if b'"0.2"' in path.read_bytes()]
        file.unlink()


def test_claims_about_no_money_leave_nothing_behind(tmp_path):
    code = KILLED.replace("0.25", "0").format(folder=str(Path(__file__).parent), store=str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=False)
    assert list(tmp_path.glob("claims-*"))
    Store(tmp_path).close()
    assert not list(tmp_path.glob("claims-*"))


def test_what_is_lost_at_the_end_stays_counted(tmp_path):
    with Store(tmp_path) as store:
        store.claim(request(1).key, Decimal("0.3"))
    with Store(tmp_path) as again:
        assert again.reserved == Decimal("0.3")
        assert again.claim(request(1).key) is Claim.TAKEN


def test_a_second_answer_is_paid_and_the_first_one_stays(tmp_path):
    with Store(tmp_path) as store:
        put(store, 1, "0.1")
        store.put(request(1), Reply("another"), Decimal("0.2"))
        assert store.get(request(1).key).n_tokens == 1
    with Store(tmp_path) as again:
        assert (again.paid, again.get(request(1).key).n_tokens) == (Decimal("0.3"), 1)


def test_a_changed_file_of_claims_is_named(tmp_path):
    (tmp_path / "claims-x").write_text('{"tale": 1}\n')
    with pytest.raises(DataError, match=r"claims-x holds .* no claim"):
        Store(tmp_path)


def test_a_full_disk_leaves_no_torn_line_in_the_middle(tmp_path, monkeypatch):
    with Store(tmp_path) as store:
        put(store, 1)
        write = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, content: _fill_up(write, descriptor, content))
        with pytest.raises(OSError, match="No space"):
            put(store, 2)
        monkeypatch.undo()
        put(store, 3)
    with Store(tmp_path) as again:
        assert [again.get(request(number).key) is not None for number in (1, 2, 3)] == [True, False, True]


def _fill_up(write, descriptor, content):
    if len(content) > 50:
        return write(descriptor, bytes(content)[:50])
    raise OSError(28, "No space left on device")


def test_hash_and_line_are_what_they_were():
    """A store is kept for years: its form does not change unnoticed."""
    one = Request("m", ({"role": "user", "content": "1 + 1?"},), {"max_tokens": 9, "temperature": 0.0}, 0)
    assert json.loads(json.dumps(one.as_dict())) == {
        "model": "m",
        "messages": [{"role": "user", "content": "1 + 1?"}],
        "parameters": {"max_tokens": 9, "temperature": 0.0},
        "sample": 0,
    }
    assert one.key == "dfdb6feae462f0596144a28253b9f19465abd06bf529685630834aed1bc46a5b"
