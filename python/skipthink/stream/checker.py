"""Checking of batches: whether texts state the gold answer, as columns (docs/reference/answers.md)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from skipthink.answers import check_answer, parse_answer
from skipthink.answers.options import AnswerKind
from skipthink.answers.stated import behind_thought
from skipthink.core.arrow_columns import arrow_array
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.stream.function import BatchFunction, OnError

if TYPE_CHECKING:
    import pyarrow as pa


class Checker(BatchFunction):
    """`skipthink.answers.check_answer` as a function of batches.

    It appends `verdict` ("right", "wrong" or "unparsed") and `stated`, the answer that the text states in its normal
    form (null where it states none).

    Args:
        kind: kind of the answers, one of `skipthink.answers.KINDS`.
        text: column of the texts: answers alone, or rationales that end in one.
        gold: column of the gold answers.
        tolerance: as in `check_answer`.
        relative_tolerance: as in `check_answer`.
        keep: as in `BatchFunction`.
        id_column: as in `BatchFunction`.
        on_error: as in `BatchFunction`.

    Raises:
        InvalidInputError: an unknown kind or a wrong tolerance.
    """

    def __init__(
        self,
        kind: AnswerKind,
        *,
        text: str = "rationale",
        gold: str = "answer",
        tolerance: float = 1e-6,
        relative_tolerance: float = 0.0,
        keep: Sequence[str] | None = None,
        id_column: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__(keep=keep, id_column=id_column, on_error=on_error)
        self.kind = kind
        self.text, self.gold = text, gold
        self.tolerance, self.relative_tolerance = tolerance, relative_tolerance
        parse_answer(kind, "")  # an unknown kind is refused now, and so are wrong tolerances
        check_answer("number", "0", "0", **self._tolerances)

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        return {self.text: "texts", self.gold: "texts"}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        return [pa.field("verdict", pa.string()), pa.field("stated", pa.string())]

    def compute(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        """See `BatchFunction.compute`."""
        import pyarrow as pa

        if self.kind == "maths" and find_spec("math_verify") is None:
            raise RunError("this worker lacks math-verify; install it there: pip install 'skipthink[math]'")
        texts, golds = (
            arrow_array(name, given[name]).cast(pa.large_string()).to_pylist()
            for name in (self.text, self.gold)
        )
        verdicts = [self._verdict(row, *pair) for row, pair in enumerate(zip(texts, golds, strict=True))]
        stated = [parse_answer(self.kind, behind_thought(text)) for text in texts]
        return {"verdict": pa.array(verdicts, pa.string()), "stated": pa.array(stated, pa.string())}

    def _verdict(self, row: int, text: str, gold: str) -> str:
        try:
            return str(check_answer(self.kind, text, gold, **self._tolerances))
        except InvalidInputError as error:
            raise InvalidInputError(f"{self.gold} of row {row}: {error}") from error

    @property
    def _tolerances(self) -> dict[str, float]:
        return {"tolerance": self.tolerance, "relative_tolerance": self.relative_tolerance}
