"""Equivalence of formulas through math-verify, in a process that is killed when it takes too long."""

import multiprocessing
import os
import signal
import sys
import time

import pytest

from skipthink.answers import Verdict, check_answer, parse_gold
from skipthink.answers import maths as module
from skipthink.answers.maths import MathsProcess, MathsVerdict, count_timeouts
from skipthink.exceptions import InvalidInputError

pytest.importorskip("math_verify", reason="needs the extra math")

CASES = [
    (r"The answer is $\frac{1}{2}$.", "0.5", "right"),
    (r"The answer is $\frac{1}{2}$, not 3.", "0.6", "wrong"),
    (r"so \boxed{x^2 + 1}", "1+x^2", "right"),
    ("(x+1)^2", "x^2+2x+1", "right"),
    (r"2\sqrt{2}", r"\sqrt{8}", "right"),
    ("the answer is (1,2)", "(1,2)", "right"),
    ("the answer is (2,1)", "(1,2)", "wrong"),
    (r"\{1,2\}", r"\{2,1\}", "right"),
    ("The final answer is:\n\\[\n\\text{Total} = 32 \\text{ points}\n\\]", "32", "right"),
    ("3 apples", "3", "right"),
    (r"\boxed{1}, no, \boxed{2}", "2", "right"),
    ("no idea", "3", "unparsed"),
    ("", "3", "unparsed"),
    (r"\boxed{", "3", "unparsed"),
]


@pytest.mark.parametrize(("text", "gold", "verdict"), CASES, ids=range(len(CASES)))
def test_maths(text, gold, verdict):
    assert check_answer("maths", text, gold) is Verdict(verdict)


def test_gold_must_be_maths():
    assert parse_gold("maths", r"\frac{3}{4}") == r"\frac{3}{4}"
    for call in (lambda: parse_gold("maths", "no idea"), lambda: check_answer("maths", "3", "no idea")):
        with pytest.raises(InvalidInputError, match="'no idea' is no answer of the kind 'maths'"):
            call()


@pytest.fixture(scope="module")
def process():
    process = MathsProcess(timeout_seconds=20.0)
    yield process
    process.close()


@pytest.mark.parametrize("text", ["\n", '"]\n[null, "3"]', "\ud800", "\x00", "$" * 3000, "__import__('os')"])
def test_hostile_text_stays_text(process, text):
    assert process.ask(text, "3") in (MathsVerdict.UNPARSED, MathsVerdict.WRONG)
    assert process.ask("3", "3") is MathsVerdict.RIGHT


def test_a_process_that_died_is_replaced(process):
    assert process.ask("2+2", "4") is MathsVerdict.RIGHT
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    assert process.ask("2+2", "4") is MathsVerdict.RIGHT
    assert process.timeouts == 0


def test_an_endless_answer_is_killed_and_counted(process):
    first = process._process
    process.timeout_seconds = 1.0
    started = time.monotonic()
    assert process.ask(r"\boxed{9^{9^{9^{9}}}}", "3") is MathsVerdict.UNPARSED
    assert time.monotonic() - started < 15
    assert process.timeouts == 1
    assert first.poll() == -signal.SIGKILL
    process.timeout_seconds = 20.0
    assert process.ask("2+2", "4") is MathsVerdict.RIGHT
    assert process.timeouts == 1


def ask_in_child(queue):
    queue.put(str(check_answer("maths", "x + x", "2x")))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_asks_a_process_of_its_own():
    assert check_answer("maths", "1", "1") is Verdict.RIGHT
    mine = module._process._process.pid
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=ask_in_child, args=(queue,))
    child.start()
    child.join(60)
    assert queue.get() == "right"
    assert module._process._process.pid == mine
    assert check_answer("maths", "1", "1") is Verdict.RIGHT
    assert count_timeouts() == 0


def test_without_math_verify_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInputError, match=r"pip install 'skipthink\[math\]'"):
        check_answer("maths", "1", "1")
