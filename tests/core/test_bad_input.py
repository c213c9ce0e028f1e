"""Bad input: what is wrong, in which row, what was found, what to do."""

import numpy as np
import pyarrow as pa
import pytest

import skipthink
from skipthink.exceptions import InvalidInputError, InvalidTypeError, LedgerError, SkipthinkError

TEXTS = ["One. Two. Three."] * 3
GOOD = [[0.1, 0.2, 0.3]] * 3
NAN, INF = float("nan"), float("inf")


def chunk(rationales=TEXTS, losses=GOOD, M=2, eta=0.1, **options):
    return skipthink.chunk(rationales, losses, M, eta, **options)


def plan(**changes):
    arguments = {"boundaries": [[0, 1, 2]], "step_token_offsets": ([0, 2, 5], [0, 3]), "n_question_tokens": [4],
                 "n_answer_tokens": [1], "scheme": "chunkwise", **changes}  # fmt: skip
    return skipthink.plan_items(arguments.pop("boundaries"), **arguments)


CASES = [
    ("too few losses", lambda: chunk(losses=[*GOOD[:2], [0.1, 0.2]]), InvalidInputError,
     r"losses has 2 values for row 2, but its rationale has 3 steps; score the rationale with the same rules"),
    ("too few rows", lambda: chunk(losses=GOOD[:2]), InvalidInputError, "losses has 2 rows, but there are 3 rationales"),
    ("NaN loss", lambda: chunk(losses=[*GOOD[:2], [0.1, NAN, 0.3]]), InvalidInputError,
     "losses of row 2 holds NaN at position 1"),
    ("infinite loss", lambda: chunk(losses=[[INF, 1.0, 1.0], *GOOD[:2]]), InvalidInputError, "row 0 holds inf at position 0"),
    ("text as losses", lambda: chunk(losses="abc"), InvalidTypeError, "losses must be rows of numbers"),
    ("number as losses", lambda: chunk(losses=3.0), InvalidTypeError, "losses must be rows of numbers"),
    ("flat losses", lambda: chunk(losses=[0.1, 0.2, 0.3]), InvalidTypeError, "losses of row 0 must be a list of numbers"),
    ("words as losses", lambda: chunk(losses=[["a", "b", "c"]] * 3), InvalidTypeError, "losses of row 0 must hold numbers"),
    ("booleans as losses", lambda: chunk(losses=[[True] * 3] * 3), InvalidTypeError, "must hold numbers, got dtype bool"),
    ("one-dimensional array", lambda: chunk(losses=np.ones(9)), InvalidTypeError, "losses of row 0 must be a list"),
    ("four-dimensional array", lambda: chunk(losses=np.ones((3, 3, 2, 2))), InvalidTypeError, "2 or 3 dimensions"),
    ("ragged positions", lambda: chunk(losses=[[[1.0, 2.0], [1.0], [1.0]]] * 3), InvalidTypeError, "no rectangular array"),
    ("mixed widths", lambda: chunk(losses=[GOOD[0], [[1.0, 2.0]] * 3, GOOD[0]]), InvalidInputError, "losses of row 1 has the shape"),
    ("stages that are not M", lambda: chunk(losses=[[[1.0] * 3] * 3] * 3), InvalidInputError, "3 a step with M = 2"),
    ("decreasing offsets", lambda: chunk(losses=(np.ones(9), [0, 6, 3, 9])), InvalidInputError, "offsets decrease at row 1"),
    ("overrunning offsets", lambda: chunk(losses=(np.ones(8), [0, 3, 6, 9])), InvalidInputError, "reach from 0 to 9, but there are 8"),
    ("negative offsets", lambda: chunk(losses=(np.ones(9), [-3, 0, 3, 6])), InvalidInputError, "reach from -3 to 6"),
    ("no offsets", lambda: chunk(losses=(np.ones(9), np.empty(0, int))), InvalidInputError, "offsets are empty"),
    ("offsets that are no integers", lambda: chunk(losses=(np.ones(9), [0.0, 3.0])), InvalidTypeError, "offsets must hold integers"),
    ("null in Arrow values", lambda: chunk(losses=pa.array([[0.1, None, 0.3]] * 3)), InvalidInputError, "losses holds null values"),
    ("null row in Arrow", lambda: chunk(losses=pa.array([*GOOD[:2], None])), InvalidInputError, "losses of row 2 is null"),
    ("Arrow array of numbers", lambda: chunk(losses=pa.array([1.0, 2.0])), InvalidTypeError, "must be an Arrow list array, got double"),
    ("Arrow rows of unequal positions", lambda: chunk(losses=pa.array([[[1.0, 1.0], [1.0], [1.0]]])), InvalidInputError,
     "losses of row 0 holds 1 values at a position"),
    ("negative eta", lambda: chunk(eta=-0.1), InvalidInputError, "eta must be a finite number that is not negative, got -0.1"),
    ("NaN eta", lambda: chunk(eta=NAN), InvalidInputError, "eta must be a finite number"),
    ("text eta", lambda: chunk(eta="0.1"), InvalidTypeError, "eta must be a number, got '0.1'"),
    ("M is 0", lambda: chunk(M=0), InvalidInputError, "M must be at least 1"),
    ("negative M", lambda: chunk(M=-1), InvalidInputError, "M must be at least 1"),
    ("huge M", lambda: chunk(M=2**40), InvalidInputError, "M must be at least 1 and below"),
    ("M beyond 32 bits", lambda: chunk(M=2**32 + 1), InvalidInputError, "M must be at least 1 and below"),
    ("M · K beyond memory", lambda: chunk(None, [[1.0]] * 8, M=2**31 - 1, method="optimal"), InvalidInputError, "M must be"),
    ("too many threads", lambda: chunk(num_threads=10**9), InvalidInputError, "num_threads must be a whole number of at least 1 and at most"),
    ("fractional M", lambda: chunk(M=2.0), InvalidTypeError, "M must be a whole number, got 2.0"),
    ("boolean M", lambda: chunk(M=True), InvalidTypeError, "M must be a whole number"),
    ("unknown method", lambda: chunk(method="gready"), InvalidInputError, 'method must be "average", "greedy"'),
    ("unknown objective", lambda: chunk(objective="sum"), InvalidInputError, 'objective must be "mean", "variance" or "max"'),
    ("unknown scope", lambda: chunk(scope="right"), InvalidInputError, 'scope must be "pair" or "left"'),
    ("unknown rules", lambda: chunk(rules="words"), InvalidInputError, 'rules must be "auto"'),
    ("empty separator", lambda: chunk(rules=["a", ""]), InvalidInputError, "separator strings, none empty"),
    ("rules of a wrong type", lambda: chunk(rules=3), InvalidTypeError, "rules must be a name or a list"),
    ("negative min_steps", lambda: chunk(min_steps=-1), InvalidInputError, "min_steps must not be negative"),
    ("no sweep", lambda: chunk(max_sweeps=0), InvalidInputError, "max_sweeps must be at least 1"),
    ("no thread", lambda: chunk(num_threads=0), InvalidInputError, "num_threads must be a whole number of at least 1 and at most 4096, got 0"),
    ("no move", lambda: chunk(method="anneal", anneal_moves=0), InvalidInputError, "anneal_moves must be at least 1"),
    ("cold start", lambda: chunk(method="anneal", anneal_start=0.0), InvalidInputError, "anneal_start must be a finite temperature"),
    ("negative seed", lambda: chunk(seed=-1), InvalidInputError, "seed must not be negative"),
    ("negative weight", lambda: chunk(n_tokens=[[1, -1, 1]] * 3), InvalidInputError, "n_tokens of row 0 holds -1 at position 1"),
    ("weights of a wrong length", lambda: chunk(n_tokens=[[1, 1]] * 3), InvalidInputError, "n_tokens has 2 values for row 0"),
    ("wide weights", lambda: chunk(n_tokens=[[[1, 1]] * 3] * 3), InvalidInputError, "n_tokens must hold one number a step"),
    ("short end losses", lambda: chunk(end_losses=[[[1.0, 1.0]] * 3] * 3), InvalidInputError,
     "end_losses has 3 values for row 0, but it needs 4"),
    ("narrow end losses", lambda: chunk(end_losses=[[1.0] * 4] * 3), InvalidInputError, "end_losses must hold M = 2 numbers"),
    ("NaN end loss", lambda: chunk(end_losses=[[[1.0, NAN]] * 4] * 3), InvalidInputError, "end_losses of row 0 holds NaN"),
    ("init of a wrong shape", lambda: chunk(init=[[0, 1, 2, 3]] * 3), InvalidInputError, r"init must have the shape \(n, M \+ 1\) = \(3, 3\)"),
    ("init that decreases", lambda: chunk(init=[[0, 1, 3]] * 2 + [[0, 4, 3]]), InvalidInputError, r"init of row 2 are \[0, 4, 3\]"),
    ("init that ends early", lambda: chunk(init=[[0, 1, 2]] * 3), InvalidInputError, "init of row 0 are"),
    ("one text", lambda: chunk(rationales="One. Two."), InvalidTypeError, "rationales must be a sequence of texts"),
    ("numbers as texts", lambda: chunk(rationales=[1, 2, 3]), InvalidTypeError, "text of row 0 is not a str"),
    ("a None among texts", lambda: chunk(rationales=[*TEXTS[:2], None]), InvalidTypeError, "text of row 2 is not a str"),
    ("null among Arrow texts", lambda: chunk(rationales=pa.array([*TEXTS[:2], None])), InvalidInputError, "texts of row 2 is null"),
    ("Arrow numbers as texts", lambda: chunk(rationales=pa.array([1, 2, 3])), InvalidTypeError, "must be an Arrow string array"),
    ("empty text", lambda: chunk(rationales=[*TEXTS[:2], " \n"]), InvalidInputError, "rationale of row 2 has no step"),
    ("no step", lambda: chunk(rationales=[["a"], []], losses=[[1.0], []]), InvalidInputError, "rationale of row 1 has no step"),
    ("steps and texts mixed", lambda: chunk(rationales=[["a"], "b"]), InvalidTypeError, "rationale of row 1 must be a list of str"),
    ("lone surrogate", lambda: chunk(rationales=[*TEXTS[:2], "a\ud800"]), InvalidInputError, "row 2 holds a lone surrogate"),
    ("no losses", lambda: chunk(losses=None), InvalidInputError, "losses may be None only with method"),
    ("no text to show", lambda: chunk(rationales=None)[0], InvalidInputError, "this chunking has no text"),
    ("split: no str", lambda: skipthink.split_steps(b"a"), InvalidTypeError, "text must be a str, got bytes"),
    ("split: one text as batch", lambda: skipthink.split_steps_batch("abc"), InvalidTypeError, "put one text into a list"),
    ("average: negative K", lambda: skipthink.average_boundaries([3, -1], 2), InvalidInputError, "n_steps of row 1 holds -1"),
    ("plan: unknown scheme", lambda: plan(scheme="cwt"), InvalidInputError, 'scheme must be "answer-only"'),
    ("plan: unknown thought", lambda: plan(scheme="skip", skipped=[[True, False]], thought="all"), InvalidInputError, "thought must be"),
    ("plan: no skip data", lambda: plan(scheme="skip"), InvalidInputError, "skipped must be given for the skip scheme"),
    ("plan: skip data of a wrong shape", lambda: plan(scheme="skip", skipped=[[True]]), InvalidInputError, "skipped must have the shape"),
    ("plan: skip data that are no flags", lambda: plan(scheme="skip", skipped=[[1, 0]]), InvalidTypeError, "skipped must hold booleans"),
    ("plan: certain dropout", lambda: plan(chunk_dropout=1.0), InvalidInputError, "chunk_dropout must be at least 0 and below 1"),
    ("plan: other steps", lambda: plan(boundaries=[[0, 1, 3]]), InvalidInputError, "boundaries of row 0 are"),
    ("plan: falling tokens", lambda: plan(step_token_offsets=([0, 5, 2], [0, 3])), InvalidInputError, "step_token_offsets of row 0"),
    ("plan: other rows", lambda: plan(n_answer_tokens=[1, 1]), InvalidInputError, "n_answer_tokens has 2 rows, expected 1"),
    ("plan: negative length", lambda: plan(n_question_tokens=[-1]), InvalidInputError, "n_question_tokens of row 0 holds -1"),
    ("ledger: flat boundaries", lambda: skipthink.SkipLedger([0, 1, 2]), InvalidInputError, "boundaries must have 2 dimensions"),
    ("ledger: falling boundaries", lambda: skipthink.SkipLedger([[0, 2, 1]]), InvalidInputError, "boundaries of row 0"),
    ("ledger: other bytes", lambda: skipthink.SkipLedger.from_bytes(b"abc"), LedgerError, "no skip ledger"),
    ("ledger: no question", lambda: skipthink.SkipLedger([[0, 1, 2]]).next_batch(0), InvalidInputError, "limit must be at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_bad_input(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, SkipthinkError)
    assert type(caught.value) is kind


def test_threads_of_the_environment(monkeypatch):
    monkeypatch.setenv("SKIPTHINK_NUM_THREADS", "many")
    with pytest.raises(InvalidInputError, match="SKIPTHINK_NUM_THREADS must be a whole number"):
        chunk()
    monkeypatch.setenv("SKIPTHINK_NUM_THREADS", "1")
    chunk()
