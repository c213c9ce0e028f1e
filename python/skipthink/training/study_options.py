"""Options of a study: how rates are tuned before methods are compared (docs/how-to/compare.md)."""

from __future__ import annotations

from dataclasses import dataclass

from skipthink.options import OptionError, Options, option


@dataclass(frozen=True, kw_only=True)
class StudyOptions(Options):
    """How `skipthink study` tunes learning rates on the validation split; `skipthink run` does not read them."""

    rates: tuple[float, ...] = option(
        tuple, "learning rates that are tried first; empty: that of `training` is taken as tuned"
    )
    tuned_with: tuple[str, ...] = option(
        ("answer-only", "base"), "methods whose mean accuracy decides among the rates", min_length=1
    )
    factors: tuple[float, ...] = option(
        (0.5, 1.0, 2.0), "multiples of the tuned rate, among which every method gets its own", min_length=1
    )
    seeds: tuple[int, ...] = option((0,), "seeds that are tuned with", min_length=1)

    def check(self) -> None:
        """Rates and factors are above 0, and nothing is named twice."""
        for name in ("rates", "factors", "seeds", "tuned_with"):
            values = getattr(self, name)
            doubled = next((value for value in values if values.count(value) > 1), None)
            if doubled is not None:
                raise OptionError(name, f"names {doubled!r} twice")
        for name in ("rates", "factors"):
            if any(value <= 0 for value in getattr(self, name)):
                raise OptionError(name, f"must be above 0, got {min(getattr(self, name))}")
        if min(self.seeds) < 0:
            raise OptionError("seeds", f"has the negative seed {min(self.seeds)}")
