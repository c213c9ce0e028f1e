"""What the core refuses, refused by the reference in the same words.

How data may be written down (forms, types, shapes) is read by the package's own readers; what the core checks of their
values and of options is checked here once more, row by row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from skipthink.core.planning import check_skipped
from skipthink.core.ragged import to_boundaries, to_ints, to_ragged
from skipthink.core.search import align_ends, align_init, align_weights
from skipthink.exceptions import InvalidInputError, InvalidTypeError

MAX_LOSS = 1e100
MAX_WEIGHT = 2.0**53

Rows = list[list[float]]
StageRows = list[list[list[float]]]
AnyRows = Sequence[list[float] | list[list[float]]]


@dataclass(frozen=True)
class Search:
    """The input of a search: losses per step (one, or one per stage), weights, end losses, start boundaries."""

    losses: AnyRows
    weights: Rows | None
    ends: StageRows | None
    init: list[list[int]] | None


def read_search(losses: Any, M: int, n_tokens: Any, end_losses: Any, init: Any) -> Search:
    """Reads the rows of a search, of whatever form `skipthink.chunk` takes, and checks their values.

    Raises:
        InvalidTypeError: no rows of numbers.
        InvalidInputError: rows that do not fit together, or values out of range.
    """
    ragged = to_ragged("losses", losses)
    n_steps = ragged.lengths
    weights = None if n_tokens is None else align_weights("n_tokens", n_tokens, ragged, n_steps)
    ends = None if end_losses is None else align_ends(end_losses, n_steps, M)
    starts = None if init is None else align_init(init, len(n_steps), M).tolist()
    if (ragged.width or 1) not in (1, M):
        _refuse(
            "losses",
            "one loss per step, or M losses per step (one per stage)",
            f"{ragged.width} per step with M = {M}",
        )
    for row, cuts in enumerate(starts or []):
        _check_cuts("init", row, cuts, int(n_steps[row]))
    read = Search(
        _rows(ragged.values.ravel() if ragged.width == 1 else ragged.values, ragged.offsets),
        None if weights is None else _rows(weights, ragged.offsets),
        None if ends is None else _rows(ends[0].reshape(-1, M), ends[1]),
        starts,
    )
    for row, values in enumerate(read.losses):
        _check_values("losses", row, values)
        _check_values("n_tokens", row, [] if read.weights is None else read.weights[row])
        _check_values("end_losses", row, [] if read.ends is None else read.ends[row])
    return read


def check_search_options(objective: str, balance: float, eta: float) -> None:
    """Names and ranges of a search's options; those of its method check themselves."""
    _check_name("objective", objective, ("mean", "variance", "max", "mass"))
    if not (eta >= 0 and math.isfinite(eta)):
        _refuse("eta", "a finite number that is not negative", shown(eta))
    if not (balance >= 0 and math.isfinite(balance)):
        _refuse("balance", "a finite number that is not negative", shown(balance))


def read_lengths(name: str, lengths: Any, expected: str) -> list[int]:
    """Whole numbers, one per row, none negative."""
    numbers: list[int] = to_ints(name, lengths).tolist()
    for row, number in enumerate(numbers):
        if number < 0:
            raise InvalidInputError(f"{name} of row {row} holds {number} at position 0; {expected}")
    return numbers


def check_plan(
    boundaries: Any,
    step_token_offsets: Sequence[Any],
    n_question_tokens: Any,
    n_answer_tokens: Any,
    skipped: Any,
    scheme: str,
    thought: str,
    chunk_dropout: float,
) -> None:
    """Rows and options of a plan."""
    cuts = to_boundaries(boundaries)
    tokens = [to_ints("step_token_offsets", row).tolist() for row in step_token_offsets]
    if skipped is not None:
        check_skipped(skipped, (len(cuts), cuts.shape[1] - 1))
    _check_name("scheme", scheme, ("answer-only", "base", "chunkwise", "skip"))
    _check_name("thought", thought, ("per-chunk", "collapse", "none"))
    if not 0 <= chunk_dropout < 1:
        _refuse("chunk_dropout", "at least 0 and below 1", shown(chunk_dropout))
    n = len(to_ints("n_question_tokens", n_question_tokens))
    n_rows = {
        "boundaries": len(cuts),
        "step_token_offsets": len(tokens),
        "n_answer_tokens": len(to_ints("n_answer_tokens", n_answer_tokens)),
    }
    for name, got in n_rows.items():
        if got != n:
            raise InvalidInputError(f"{name} has {got} rows, expected {n}, one per sample")
    if scheme == "skip" and skipped is None:
        _refuse("skipped", "given for the skip scheme", "None")
    read_lengths("n_question_tokens", n_question_tokens, "a length is not negative")
    read_lengths("n_answer_tokens", n_answer_tokens, "a length is not negative")
    for row, offsets in enumerate(tokens):
        if offsets[:1] != [0] or _falls(offsets):
            raise InvalidInputError(
                f"step_token_offsets of row {row} are {offsets}; expected token offsets that start at 0 and never "
                "decrease, one more than steps"
            )
    for row, ends in enumerate(cuts.tolist()):
        _check_cuts("boundaries", row, ends, len(tokens[row]) - 1)


def read_boundaries(boundaries: Any) -> list[list[int]]:
    """Boundaries of a ledger, which does not know how many steps a row has."""
    rows: list[list[int]] = to_boundaries(boundaries).tolist()
    for row, cuts in enumerate(rows):
        if cuts[0] != 0 or _falls(cuts):
            raise InvalidInputError(
                f"boundaries of row {row} are {cuts}; expected numbers that start at 0 and never decrease"
            )
    return rows


def check_split(text: object, rules: object) -> None:
    """A text and its step rules."""
    if not isinstance(text, str):
        raise InvalidTypeError(f"text must be a str, got {type(text).__name__}")
    if isinstance(rules, str):
        is_known = rules in ("auto", "lines", "sentences")
    elif isinstance(rules, Sequence) and all(isinstance(separator, str) for separator in rules):
        is_known = len(rules) > 0 and "" not in rules
        rules = list(rules)
    else:
        raise InvalidTypeError(f"rules must be a name or a list of separator strings, got {rules!r}")
    if not is_known:
        expected = '"auto", "lines", "sentences" or a list of separator strings, none empty'
        _refuse("rules", expected, json.dumps(rules, ensure_ascii=False))


def shown(number: float) -> str:
    """A number as the core writes it: never with an exponent, whole ones without a fraction."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else str(number)
    digits = format(Decimal(repr(float(number))), "f")
    return digits.removesuffix(".0")


def _rows(values: Any, offsets: Any) -> Any:
    return [values[start:end].tolist() for start, end in pairwise(offsets.tolist())]


def _check_values(name: str, row: int, values: Sequence[float | list[float]]) -> None:
    for index, value in enumerate(values):
        for number in value if isinstance(value, list) else [value]:
            expected = _wrong_weight(number) if name == "n_tokens" else _wrong_loss(number)
            if expected is not None:
                raise InvalidInputError(
                    f"{name} of row {row} holds {shown(number)} at position {index}; {expected}"
                )


def _wrong_weight(weight: float) -> str | None:
    if not math.isfinite(weight) or weight < 0:
        return "weights are finite and not negative"
    return "weights are at most 2**53" if weight > MAX_WEIGHT else None


def _wrong_loss(loss: float) -> str | None:
    if not math.isfinite(loss):
        return "losses are finite numbers"
    return "losses are at most 1e100 in size" if abs(loss) > MAX_LOSS else None


def _check_cuts(name: str, row: int, cuts: list[int], n_steps: int) -> None:
    if cuts[0] != 0 or cuts[-1] != n_steps or _falls(cuts):
        raise InvalidInputError(
            f"{name} of row {row} are {cuts}; expected numbers that start at 0, never decrease and end at {n_steps}, "
            "the steps of the row"
        )


def _falls(numbers: list[int]) -> bool:
    return any(after < before for before, after in pairwise(numbers))


def _check_name(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        quoted = [json.dumps(one) for one in known]
        _refuse(name, f"{', '.join(quoted[:-1])} or {quoted[-1]}", json.dumps(value, ensure_ascii=False))


def _refuse(name: str, expected: str, got: str) -> None:
    raise InvalidInputError(f"{name} must be {expected}, got {got}")
