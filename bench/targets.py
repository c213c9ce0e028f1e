"""The targets beside what was reached. A target is data (targets.json); this file says how each is measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

TARGETS = Path(__file__).with_name("targets.json")
REFERENCE_MACHINE = {"rustures": 794.0, "ruptures": 1109.0}
"""Microseconds a row at K = 512, M = 8 on the machine that absolute targets come from (Zen 5, AVX-512)."""
MOVES = "mean, K=12 M=4"


@dataclass(frozen=True)
class Target:
    """A target: at least, or at most, so much.

    Attributes:
        id: key into what was measured.
        what: what is measured.
        measure: in which unit, or against whom.
        there: the target as it was stated, on the machine it was stated for.
        limit: why it is missed where it is, and what the limit is.
        least: smallest value that fulfils it.
        most: largest value that fulfils it.
        aim: what would be better still.
        scaled: an absolute figure: multiplied by how much slower this machine is than the one it was stated for.
    """

    id: str
    what: str
    measure: str
    there: str
    limit: str
    least: float | None = None
    most: float | None = None
    aim: float | None = None
    scaled: bool = False

    def bound(self, factor: float) -> float:
        """The value that must be reached on a machine `factor` times slower."""
        bound = self.least if self.least is not None else self.most
        assert bound is not None, self.id
        return bound * factor if self.scaled else bound

    def is_met(self, value: float, factor: float) -> bool:
        """Whether a value fulfils it."""
        return value >= self.bound(factor) if self.least is not None else value <= self.bound(factor)


def load() -> list[Target]:
    """All targets, in the order in which they are shown."""
    return [Target(**entry) for entry in json.loads(TARGETS.read_text(encoding="utf-8"))]


def machine_factor(searches: list[dict]) -> float:
    """How much slower this machine is: the mean over libraries nobody here wrote, at K = 512; 1.0 without them."""
    times = next((row["us_a_row"] for row in searches if row["k"] == 512), {})
    ratios = [times[name] / there for name, there in REFERENCE_MACHINE.items() if name in times]
    return sum(ratios) / len(ratios) if ratios else 1.0


def values(
    searches: list[dict], variants: dict, splits: list[dict], precision: dict[str, float]
) -> dict[str, float]:
    """What was measured, by the id of its target. What could not be measured is left out."""
    found: dict[str, float] = {}
    least = {target.id: target.least for target in load()}
    allowed = {}
    for row in searches:
        times = row["us_a_row"]
        found[f"us-{row['k']}"] = times["ours"]
        if "numba" in times:
            found[f"variance-{row['k']}"] = times["numba"] / times["ours"]
            allowed[row["k"]] = times["numba"] / least[f"variance-{row['k']}"]
    for row in variants["objectives"]:
        if row["k"] in allowed:
            found[f"mean-{row['k']}"] = row["us_a_row"]["mean, weights"] / allowed[row["k"]]
            found[f"stages-{row['k']}"] = row["us_a_row"]["mean, weights, stages"] / allowed[row["k"]]
    found["ragged"] = variants["ragged"]["ours"]
    found["greedy-move"] = variants["moves"][f"greedy, {MOVES}"]
    found["anneal-move"] = variants["moves"][f"anneal, {MOVES}"]
    for split in splits:
        speeds = split["megabytes_a_second"]
        if "sentencex" in speeds:
            found[f"split-{split['texts']}"] = speeds["ours, Arrow"] / speeds["sentencex"]
            if split["texts"] == "short":
                found["split-list"] = speeds["ours, list"] / speeds["sentencex"]
        found[f"split-{split['texts']}-threads"] = variants["threads"][f"split, {split['texts']} texts"]
    return found | {f"precision-{dtype}": excess for dtype, excess in precision.items()}


def table(found: dict[str, float], factor: float) -> str:
    """Markdown: each target, what was reached, and, where it is missed, why."""
    lines = [
        "| target | measured as | stated | needed here | aim | reached | | missed: why, and the limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for target in load():
        value = found.get(target.id)
        unit = "x" if target.measure.startswith("times") else f" {target.measure}".replace(" relative", "")
        sign = "≥" if target.least is not None else "≤"
        aim = "" if target.aim is None else show(target.aim * (factor if target.scaled else 1.0), unit)
        needed = f"{sign} {show(target.bound(factor), unit)}"
        if value is None:
            reached, mark, limit = "not measured", "", ""
        else:
            met = target.is_met(value, factor)
            reached, mark = show(value, unit), "met" if met else "**missed**"
            limit = "" if met else target.limit or "not said yet"
        cells = [target.what, target.measure, target.there, needed, aim, reached, mark, limit]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def show(value: float, unit: str = "") -> str:
    """A number of three digits or so, with its unit."""
    if value != 0 and abs(value) < 0.001:
        return f"{value:.0e}{unit}"
    return f"{value:,.0f}{unit}" if abs(value) >= 100 else f"{value:.3g}{unit}"
