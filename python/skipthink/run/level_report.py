"""The report on students that can be told how much to skip: accuracy and tokens of each level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skipthink.evaluation.levels import obeys
from skipthink.run.skip_report import align, spread


def format_levels(rows: Sequence[dict[str, Any]]) -> str:
    """A line per method and level, mean ± standard deviation over seeds; empty where no method has levels.

    Args:
        rows: one per method and seed, as in `results.json`.
    """
    with_levels = [row for row in rows if row.get("levels")]
    if not with_levels:
        return ""
    lines = [["levels of", "level", "accuracy %", "tokens/answer", "tokens trained on"]]
    warnings = []
    for method in dict.fromkeys(row["method"] for row in with_levels):
        own = [row for row in with_levels if row["method"] == method]
        for seeds in zip(*(row["levels"] for row in own), strict=True):
            cells = [
                spread([factor * one[key] for one in seeds])
                for factor, key in ((100, "accuracy"), (1, "tokens_per_answer"), (1, "trained_tokens"))
            ]
            lines.append([method, str(seeds[0]["level"]), *cells])
        warnings += [
            f"warning: {method} with seed {row['seed']} hardly obeys its levels: its answers differ in length less "
            "than half as much as what it was trained on; train it longer, or on fewer levels"
            for row in own
            if not obeys(row["levels"])
        ]
    return "\n".join([align(lines), *warnings])
