"""Bad input: what is wrong, in which row, what was found, what to do; from the package and the reference alike."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

import skipthink
from skipthink import Anneal, Greedy, reference
from skipthink.exceptions import InvalidInputError, InvalidTypeError, LedgerError, SkipthinkError

TEXTS = ["One. Two. Three."] * 3
GOOD = [[0.1, 0.2, 0.3]] * 3
PLAN = {"boundaries": [[0, 1, 2]], "step_token_offsets": ([0, 2, 5], [0, 3]), "n_question_tokens": [4],
        "n_answer_tokens": [1], "scheme": "chunkwise"}  # fmt: skip
NAN, INF = float("nan"), float("inf")


# what rows of the table concern that the reference does not have
TEXTS_ONLY, THREADS, MEMORY, STORED = "rationales as texts", "threads", "bounded memory", "stored ledgers"


class Package:
    """The package itself."""

    split_steps = staticmethod(skipthink.split_steps)
    split_steps_batch = staticmethod(skipthink.split_steps_batch)
    average_boundaries = staticmethod(skipthink.average_boundaries)
    SkipLedger = skipthink.SkipLedger

    @staticmethod
    def chunk(rationales=TEXTS, losses=GOOD, M=2, eta=0.1, **options):
        return skipthink.chunk(rationales, losses, M, eta, **options)

    @staticmethod
    def plan(**changes):
        return skipthink.plan_items(**PLAN | changes)


class Reference:
    """Its twin, which takes losses without rationales and offsets as rows."""

    split_steps = staticmethod(reference.split_steps)
    average_boundaries = staticmethod(reference.average_boundaries)
    SkipLedger = reference.SkipLedger

    @staticmethod
    def chunk(losses=GOOD, M=2, eta=0.1, **options):
        return reference.chunk(losses, M, eta, **options)

    @staticmethod
    def plan(**changes):
        arguments = PLAN | changes
        tokens, offsets = arguments.pop("step_token_offsets")
        rows = [tokens[start:end] for start, end in pairwise(offsets)]
        return reference.plan_items(step_token_offsets=rows, **arguments)


CASES = [
    ("too few losses", lambda on: on.chunk(losses=[*GOOD[:2], [0.1, 0.2]]), InvalidInputError,
     r"losses has 2 values for row 2, but its rationale has 3 steps; score the rationale with the same rules", TEXTS_ONLY),
    ("too few rows", lambda on: on.chunk(losses=GOOD[:2]), InvalidInputError, "losses has 2 rows, but there are 3 rationales", TEXTS_ONLY),
    ("NaN loss", lambda on: on.chunk(losses=[*GOOD[:2], [0.1, NAN, 0.3]]), InvalidInputError,
     "losses of row 2 holds NaN at position 1"),
    ("infinite loss", lambda on: on.chunk(losses=[[INF, 1.0, 1.0], *GOOD[:2]]), InvalidInputError, "row 0 holds inf at position 0"),
    ("minus infinite loss", lambda on: on.chunk(losses=[GOOD[0], [0.1, 0.2, -INF], GOOD[0]]), InvalidInputError,
     "row 1 holds -inf at position 2; losses are finite numbers"),
    ("loss too large to square", lambda on: on.chunk(losses=[[-2.5e100, 1.0, 1.0], *GOOD[:2]]), InvalidInputError,
     "row 0 holds -250+ at position 0; losses are at most 1e100 in size"),
    ("NaN loss of a stage", lambda on: on.chunk(losses=[[[1.0, 1.0], [1.0, NAN], [1.0, 1.0]]] * 3), InvalidInputError,
     "losses of row 0 holds NaN at position 1"),
    ("text as losses", lambda on: on.chunk(losses="abc"), InvalidTypeError, "losses must be rows of numbers"),
    ("number as losses", lambda on: on.chunk(losses=3.0), InvalidTypeError, "losses must be rows of numbers"),
    ("flat losses", lambda on: on.chunk(losses=[0.1, 0.2, 0.3]), InvalidTypeError, "losses of row 0 must be a list of numbers"),
    ("words as losses", lambda on: on.chunk(losses=[["a", "b", "c"]] * 3), InvalidTypeError, "losses of row 0 must hold numbers"),
    ("booleans as losses", lambda on: on.chunk(losses=[[True] * 3] * 3), InvalidTypeError, "must hold numbers, got dtype bool"),
    ("one-dimensional array", lambda on: on.chunk(losses=np.ones(9)), InvalidTypeError, "losses of row 0 must be a list"),
    ("four-dimensional array", lambda on: on.chunk(losses=np.ones((3, 3, 2, 2))), InvalidTypeError, "2 or 3 dimensions"),
    ("ragged positions", lambda on: on.chunk(losses=[[[1.0, 2.0], [1.0], [1.0]]] * 3), InvalidTypeError, "no rectangular array"),
    ("mixed widths", lambda on: on.chunk(losses=[GOOD[0], [[1.0, 2.0]] * 3, GOOD[0]]), InvalidInputError, "losses of row 1 has the shape"),
    ("stages that are not M", lambda on: on.chunk(losses=[[[1.0] * 3] * 3] * 3), InvalidInputError, "3 per step with M = 2"),
    ("decreasing offsets", lambda on: on.chunk(losses=(np.ones(9), [0, 6, 3, 9])), InvalidInputError, "offsets decrease at row 1"),
    ("overrunning offsets", lambda on: on.chunk(losses=(np.ones(8), [0, 3, 6, 9])), InvalidInputError, "reach from 0 to 9, but there are 8"),
    ("negative offsets", lambda on: on.chunk(losses=(np.ones(9), [-3, 0, 3, 6])), InvalidInputError, "reach from -3 to 6"),
    ("no offsets", lambda on: on.chunk(losses=(np.ones(9), np.empty(0, int))), InvalidInputError, "offsets are empty"),
    ("offsets that are no integers", lambda on: on.chunk(losses=(np.ones(9), [0.0, 3.0])), InvalidTypeError, "offsets must hold integers"),
    ("null in Arrow values", lambda on: on.chunk(losses=pa.array([[0.1, None, 0.3]] * 3)), InvalidInputError, "losses of row 0 holds a null"),
    ("null row in Arrow", lambda on: on.chunk(losses=pa.array([*GOOD[:2], None])), InvalidInputError, "losses of row 2 is null"),
    ("Arrow array of numbers", lambda on: on.chunk(losses=pa.array([1.0, 2.0])), InvalidTypeError, "must be an Arrow list array, got double"),
    ("Arrow rows of unequal positions", lambda on: on.chunk(losses=pa.array([[[1.0, 1.0], [1.0], [1.0]]])), InvalidInputError,
     "losses of row 0 holds 1 values at a position"),
    ("negative eta", lambda on: on.chunk(eta=-0.1), InvalidInputError, "eta must be a finite number that is not negative, got -0.1"),
    ("NaN eta", lambda on: on.chunk(eta=NAN), InvalidInputError, "eta must be a finite number"),
    ("infinite eta", lambda on: on.chunk(eta=INF), InvalidInputError, "not negative, got inf"),
    ("negative balance", lambda on: on.chunk(balance=-0.1), InvalidInputError, "balance must be a finite number that is not negative, got -0.1"),
    ("infinite balance", lambda on: on.chunk(balance=float("inf")), InvalidInputError, "balance must be a finite number"),
    ("text balance", lambda on: on.chunk(balance="1"), InvalidTypeError, "balance must be a number, got '1'"),
    ("text eta", lambda on: on.chunk(eta="0.1"), InvalidTypeError, "eta must be a number, got '0.1'"),
    ("M is 0", lambda on: on.chunk(M=0), InvalidInputError, "M must be at least 1"),
    ("negative M", lambda on: on.chunk(M=-1), InvalidInputError, "M must be at least 1"),
    ("huge M", lambda on: on.chunk(M=2**40), InvalidInputError, "M must be at least 1 and below"),
    ("M beyond 32 bits", lambda on: on.chunk(M=2**32 + 1), InvalidInputError, "M must be at least 1 and below"),
    ("M · K beyond memory", lambda on: on.chunk(None, [[1.0]] * 8, M=2**31 - 1, method="optimal"), InvalidInputError, "M must be", MEMORY),
    ("too many threads", lambda on: on.chunk(num_threads=10**9), InvalidInputError, "num_threads must be a whole number of at least 1 and at most", THREADS),
    ("fractional M", lambda on: on.chunk(M=2.0), InvalidTypeError, "M must be a whole number, got 2.0"),
    ("boolean M", lambda on: on.chunk(M=True), InvalidTypeError, "M must be a whole number"),
    ("unknown method", lambda on: on.chunk(method="gready"), InvalidInputError, 'method must be "average", "greedy"'),
    ("method of a wrong type", lambda on: on.chunk(method=3), InvalidTypeError, r"method must be a name, Greedy\(…\) or Anneal\(…\), got 3"),
    ("unknown objective", lambda on: on.chunk(objective="sum"), InvalidInputError, 'objective must be "mean", "variance", "max" or "mass"'),
    ("unknown rules", lambda on: on.chunk(rules="words"), InvalidInputError, 'rules must be "auto"', TEXTS_ONLY),
    ("empty separator", lambda on: on.chunk(rules=["a", ""]), InvalidInputError, "separator strings, none empty", TEXTS_ONLY),
    ("rules of a wrong type", lambda on: on.chunk(rules=3), InvalidTypeError, "rules must be a name or a list", TEXTS_ONLY),
    ("negative min_steps", lambda on: on.chunk(min_steps=-1), InvalidInputError, "min_steps must not be negative"),
    ("no thread", lambda on: on.chunk(num_threads=0), InvalidInputError, "num_threads must be a whole number of at least 1 and at most 4096, got 0", THREADS),
    ("negative seed", lambda on: on.chunk(seed=-1), InvalidInputError, "seed must not be negative"),
    ("negative first row", lambda on: on.chunk(first_row=-1), InvalidInputError, "first_row must not be negative, got -1"),
    ("negative weight", lambda on: on.chunk(n_tokens=[[1, -1, 1]] * 3), InvalidInputError, "n_tokens of row 0 holds -1 at position 1"),
    ("infinite weight", lambda on: on.chunk(n_tokens=[[1, 1, INF]] * 3), InvalidInputError, "holds inf at position 2; weights are finite"),
    ("weight that is not exact", lambda on: on.chunk(n_tokens=[[1, 2**54, 1]] * 3), InvalidInputError,
     "holds 18014398509481984 at position 1; weights are at most 2"),
    ("weights of a wrong length", lambda on: on.chunk(n_tokens=[[1, 1]] * 3), InvalidInputError, "n_tokens has 2 values for row 0"),
    ("wide weights", lambda on: on.chunk(n_tokens=[[[1, 1]] * 3] * 3), InvalidInputError, "n_tokens must hold one number per step"),
    ("short end losses", lambda on: on.chunk(end_losses=[[[1.0, 1.0]] * 3] * 3), InvalidInputError,
     "end_losses has 3 values for row 0, but it needs 4"),
    ("narrow end losses", lambda on: on.chunk(end_losses=[[1.0] * 4] * 3), InvalidInputError, "end_losses must hold M = 2 numbers"),
    ("NaN end loss", lambda on: on.chunk(end_losses=[[[1.0, NAN]] * 4] * 3), InvalidInputError, "end_losses of row 0 holds NaN"),
    ("init of a wrong shape", lambda on: on.chunk(init=[[0, 1, 2, 3]] * 3), InvalidInputError, r"init must have the shape \(n, M \+ 1\) = \(3, 3\)"),
    ("init that decreases", lambda on: on.chunk(init=[[0, 1, 3]] * 2 + [[0, 4, 3]]), InvalidInputError, r"init of row 2 are \[0, 4, 3\]"),
    ("init that ends early", lambda on: on.chunk(init=[[0, 1, 2]] * 3), InvalidInputError, "init of row 0 are"),
    ("one text", lambda on: on.chunk(rationales="One. Two."), InvalidTypeError, "rationales must be a sequence of texts", TEXTS_ONLY),
    ("numbers as texts", lambda on: on.chunk(rationales=[1, 2, 3]), InvalidTypeError, "text of row 0 is not a str", TEXTS_ONLY),
    ("a None among texts", lambda on: on.chunk(rationales=[*TEXTS[:2], None]), InvalidTypeError, "text of row 2 is not a str", TEXTS_ONLY),
    ("null among Arrow texts", lambda on: on.chunk(rationales=pa.array([*TEXTS[:2], None])), InvalidInputError, "texts of row 2 is null", TEXTS_ONLY),
    ("Arrow numbers as texts", lambda on: on.chunk(rationales=pa.array([1, 2, 3])), InvalidTypeError, "must be an Arrow string array", TEXTS_ONLY),
    ("empty text", lambda on: on.chunk(rationales=[*TEXTS[:2], " \n"]), InvalidInputError, "rationale of row 2 has no step", TEXTS_ONLY),
    ("no step", lambda on: on.chunk(rationales=[["a"], []], losses=[[1.0], []]), InvalidInputError, "rationale of row 1 has no step", TEXTS_ONLY),
    ("steps and texts mixed", lambda on: on.chunk(rationales=[["a"], "b"]), InvalidTypeError, "rationale of row 1 must be a list of str", TEXTS_ONLY),
    ("lone surrogate", lambda on: on.chunk(rationales=[*TEXTS[:2], "a\ud800"]), InvalidInputError, "row 2 holds a lone surrogate", TEXTS_ONLY),
    ("no losses", lambda on: on.chunk(losses=None), InvalidInputError, "losses may be None only with method", TEXTS_ONLY),
    ("no text to show", lambda on: on.chunk(rationales=None)[0], InvalidInputError, "this chunking has no text", TEXTS_ONLY),
    ("split: no str", lambda on: on.split_steps(b"a"), InvalidTypeError, "text must be a str, got bytes"),
    ("split: unknown rules", lambda on: on.split_steps("a", rules="words"), InvalidInputError, 'none empty, got "words"'),
    ("split: empty separator", lambda on: on.split_steps("a", rules=["b", ""]), InvalidInputError, r'none empty, got \["b", ""\]'),
    ("split: no separator", lambda on: on.split_steps("a", rules=[]), InvalidInputError, r"none empty, got \[\]"),
    ("split: rules of a wrong type", lambda on: on.split_steps("a", rules=3), InvalidTypeError, "rules must be a name or a list"),
    ("split: one text as batch", lambda on: on.split_steps_batch("abc"), InvalidTypeError, "put one text into a list", TEXTS_ONLY),
    ("average: negative K", lambda on: on.average_boundaries([3, -1], 2), InvalidInputError, "n_steps of row 1 holds -1"),
    ("plan: unknown scheme", lambda on: on.plan(scheme="cwt"), InvalidInputError, 'scheme must be "answer-only"'),
    ("plan: unknown thought", lambda on: on.plan(scheme="skip", skipped=[[True, False]], thought="all"), InvalidInputError, "thought must be"),
    ("plan: no skip data", lambda on: on.plan(scheme="skip"), InvalidInputError, "skipped must be given for the skip scheme"),
    ("plan: skip data of a wrong shape", lambda on: on.plan(scheme="skip", skipped=[[True]]), InvalidInputError, "skipped must have the shape"),
    ("plan: skip data that are no flags", lambda on: on.plan(scheme="skip", skipped=[[1, 0]]), InvalidTypeError, "skipped must hold booleans"),
    ("plan: certain dropout", lambda on: on.plan(chunk_dropout=1.0), InvalidInputError, "chunk_dropout must be at least 0 and below 1"),
    ("plan: other steps", lambda on: on.plan(boundaries=[[0, 1, 3]]), InvalidInputError, "boundaries of row 0 are"),
    ("plan: falling tokens", lambda on: on.plan(step_token_offsets=([0, 5, 2], [0, 3])), InvalidInputError, "step_token_offsets of row 0"),
    ("plan: other rows", lambda on: on.plan(n_answer_tokens=[1, 1]), InvalidInputError, "n_answer_tokens has 2 rows, expected 1"),
    ("plan: negative length", lambda on: on.plan(n_question_tokens=[-1]), InvalidInputError, "n_question_tokens of row 0 holds -1"),
    ("ledger: flat boundaries", lambda on: on.SkipLedger([0, 1, 2]), InvalidInputError, "boundaries must have 2 dimensions"),
    ("ledger: falling boundaries", lambda on: on.SkipLedger([[0, 2, 1]]), InvalidInputError, "boundaries of row 0"),
    ("ledger: other bytes", lambda on: on.SkipLedger.from_bytes(b"abc"), LedgerError, "no skip ledger", STORED),
    ("ledger: no question", lambda on: on.SkipLedger([[0, 1, 2]]).next_batch(0), InvalidInputError, "limit must be at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message", "absent"), [(*case[1:4], case[4:]) for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_bad_input(call, kind, message, absent):
    """One row: class and message, the reference's word by word those of the package."""
    with pytest.raises(kind, match=message) as caught:
        call(Package)
    assert isinstance(caught.value, SkipthinkError)
    assert type(caught.value) is kind
    if not absent:
        with pytest.raises(kind) as twin:
            call(Reference)
        assert type(twin.value) is kind
        assert str(twin.value) == str(caught.value)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Greedy(scope="right"), InvalidInputError, 'scope must be "pair" or "left", got \'right\''),
        (lambda: Greedy(max_sweeps=0), InvalidInputError, "max_sweeps must be at least 1, got 0"),
        (lambda: Greedy(max_sweeps=1.5), InvalidTypeError, "max_sweeps must be a whole number, got 1.5"),
        (lambda: Greedy(max_sweeps=2**63), InvalidInputError, "max_sweeps must be below"),
        (lambda: Greedy("left"), TypeError, "positional argument"),
        (lambda: Anneal(moves=0), InvalidInputError, "moves must be at least 1, got 0"),
        (lambda: Anneal(moves=True), InvalidTypeError, "moves must be a whole number, got True"),
        (lambda: Anneal(moves=2**40), InvalidInputError, "moves must be at most 16777216"),
        (lambda: Anneal(width=0), InvalidInputError, "width must be at least 1, got 0"),
        (lambda: Anneal(start=0.0), InvalidInputError, "start must be above 0, got 0.0"),
        (lambda: Anneal(start="hot"), InvalidTypeError, "start must be a number, got 'hot'"),
        (lambda: Anneal(end=INF), InvalidInputError, "end must be a finite number, got inf"),
        (lambda: Anneal(end=NAN), InvalidInputError, "end must be above 0, got nan"),
    ],
)
def test_options_of_a_method_are_checked_when_made(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_most_of_the_table_concerns_both():
    assert sum(len(case) == 4 for case in CASES) >= 55
    assert {reason for case in CASES for reason in case[4:]} == {TEXTS_ONLY, THREADS, MEMORY, STORED}


def test_threads_of_the_environment(monkeypatch):
    monkeypatch.setenv("SKIPTHINK_NUM_THREADS", "many")
    with pytest.raises(InvalidInputError, match="SKIPTHINK_NUM_THREADS must be a whole number"):
        Package.chunk()
    monkeypatch.setenv("SKIPTHINK_NUM_THREADS", "1")
    Package.chunk()
