"""Runs all benchmarks and writes bench/README.md: `make bench`, or `python bench/report.py --quick`.

Peers and ours run in turns in one process on one thread; what runs on several threads is timed by the wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gap
import inputs
import machine
import search
import splitting
import targets
import variants

HERE = Path(__file__).parent
README = HERE / "README.md"
MARK = "<!-- below: written by make bench -->"
SIZES = ((8, 4), (64, 8), (512, 8), (4096, 8))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer turns, K up to 512; prints, writes nothing"
    )
    options = parser.parse_args()
    results = measure(quick=options.quick)
    if options.quick:
        print(f"\n{render(results)}")
        return
    write(render(results))
    print(f"{README} written after {results['seconds']:.0f} s")


def write(results: str, path: Path = README) -> None:
    """Replaces what stands below the mark; what stands above it is written by hand."""
    above, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise SystemExit(f"{path} has no line {MARK!r}: results go below it")
    temporary = path.with_suffix(".new")
    temporary.write_text(f"{above}{MARK}\n\n{results}\n", encoding="utf-8")
    temporary.replace(path)


def measure(*, quick: bool) -> dict:
    """Everything that is measured, as data."""
    started = time.monotonic()
    turns = 3 if quick else 7
    sizes = [(k, m) for k, m in SIZES if not quick or k <= 512]
    size = 1_000_000 if quick else 4_000_000
    results = {
        "searches": [step(f"optimal search, K={k}", search.measure, k, m, turns) for k, m in sizes],
        "precision": {} if quick else step("precision", search.precision),
        "variants": step("objectives, ragged rows, moves, threads", variants.measure_all, quick=quick),
        "splits": [
            step("splitting, short texts", splitting.measure, "short", inputs.short_texts(size), turns),
            step("splitting, long texts", splitting.measure, "long", inputs.long_texts(size), turns),
        ],
        "operations": step("operations", operations, quick=quick),
        "machine": machine.describe(),
    }
    return results | {"seconds": time.monotonic() - started, "quick": quick}


def step(name, call, *args, **options):
    """Runs a part and says how long it took."""
    started = time.monotonic()
    result = call(*args, **options)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return result


def operations(*, quick: bool) -> list[dict]:
    """Microseconds a row of every operation: the reference, ours on one thread and on all, by pytest-benchmark."""
    seconds = "0.02" if quick else "0.2"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operations.json"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_operations.py"),
            "--benchmark-enable", "--benchmark-quiet", f"--benchmark-json={path}", "--benchmark-warmup=off",
            f"--benchmark-max-time={seconds}", "--benchmark-min-rounds=3",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=HERE.parent, capture_output=True, text=True, check=False, env=dict(os.environ)
        )
        if done.returncode:
            raise SystemExit(f"the operations failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        timed = json.loads(path.read_text())["benchmarks"]
    found: dict[str, dict] = {}
    for entry in timed:
        row = found.setdefault(entry["group"], {"operation": entry["group"]})
        row[entry["name"]] = entry["stats"]["median"] * 1e6 / entry["extra_info"]["rows"]
    return list(found.values())


def render(results: dict) -> str:
    """The results as Markdown."""
    factor = targets.machine_factor(results["searches"])
    values = targets.values(results["searches"], results["variants"], results["splits"], results["precision"])
    facts = "\n".join(f"| {name} | {value} |" for name, value in results["machine"].items())
    parts = [
        f"{'**A quick run: too short to judge by.** ' if results['quick'] else ''}"
        f"`make bench` took {results['seconds']:.0f} s.",
        f"| machine | |\n|---|---|\n{facts}\n| texts | {inputs.source()} |",
        f"## Targets\n\nThis machine is {factor:.2f} times slower than the one absolute targets were stated for (the "
        "mean of what ruptures' and rustures' kernels need at K = 512); targets in ms and ns are multiplied by it.\n\n"
        f"{targets.table(values, factor)}",
        f"## Optimal search beside the peers\n\n{searches_table(results['searches'])}",
        f"## Objectives, weights, stages\n\n{objectives_table(results['variants']['objectives'])}",
        f"## Ragged rows, moves, threads\n\n{singles_table(results['variants'])}",
        f"## Splitting\n\n{splits_table(results['splits'])}",
        f"## Every operation\n\n{operations_table(results['operations'])}",
    ]
    if gap.RESULT.exists():
        parts.append(
            f"## Above the optimum on real losses\n\n{gap.describe(json.loads(gap.RESULT.read_text()))}"
        )
    return "\n\n".join(parts)


def searches_table(rows: list[dict]) -> str:
    """Microseconds a row, and how many times ours that is."""
    names = list(dict.fromkeys(name for row in rows for name in row["us_a_row"]))
    lines = head(
        [
            "µs per row (times ours)",
            *(f"K = {row['k']}, M = {row['m']}" for row in rows),
            "J above the least found",
        ]
    )
    for name in names:
        cells = []
        for row in rows:
            time = row["us_a_row"].get(name)
            ratio = "" if time is None else time / row["us_a_row"]["ours"]
            cells.append("" if time is None else f"{targets.show(time)} ({ratio:.2f})")
        worst = max(row["excess"].get(name, 0.0) for row in rows)
        lines.append(line([name, *cells, f"{worst:.0e}" if worst else "0"]))
    return "\n".join(lines)


def objectives_table(rows: list[dict]) -> str:
    """Microseconds a row, and how many times `variance` without weights that is."""
    lines = head(["µs per row (times `variance`)", *(f"K = {row['k']}, M = {row['m']}" for row in rows)])
    for name in rows[0]["us_a_row"]:
        cells = [
            f"{targets.show(row['us_a_row'][name])} ({row['us_a_row'][name] / row['us_a_row']['variance']:.2f})"
            for row in rows
        ]
        lines.append(line([name, *cells]))
    return "\n".join(lines)


def singles_table(found: dict) -> str:
    """Single numbers: batches of ragged rows, moves, threads."""
    lines = head(["what", "reached"])
    for name, value in found["ragged"].items():
        what = f"{variants.RAGGED_ROWS:,} rows of mean {variants.RAGGED_MEAN} steps, M = {variants.RAGGED_M}, {name}"
        lines.append(line([what, f"{value:,.1f} ms"]))
    lines += [line([f"a move: {name}", f"{value:,.0f} ns"]) for name, value in found["moves"].items()]
    lines += [line([f"2 threads: {name}", f"{value:.2f}x"]) for name, value in found["threads"].items()]
    return "\n".join(lines)


def splits_table(rows: list[dict]) -> str:
    """Megabytes a second, and how many times slower than ours from Arrow."""
    names = list(dict.fromkeys(name for row in rows for name in row["megabytes_a_second"]))
    lines = head(
        [
            "MB/s (ours is so many times faster)",
            *(f"{row['texts']}, {row['mean_bytes']:,.0f} B" for row in rows),
        ]
    )
    for name in names:
        cells = []
        for row in rows:
            speed = row["megabytes_a_second"].get(name)
            cells.append(
                ""
                if speed is None
                else f"{speed:,.3g} ({row['megabytes_a_second']['ours, Arrow'] / speed:,.1f})"
            )
        lines.append(line([name, *cells]))
    return "\n".join(lines)


def operations_table(rows: list[dict]) -> str:
    """Microseconds a row of the reference and of ours."""
    lines = head(["µs per row", "reference", "1 thread", "all threads", "reference / 1 thread"])
    for row in rows:
        times = [row.get(name) for name in ("reference", "1 thread", "all threads")]
        cells = ["" if time is None else targets.show(time) for time in times]
        ratio = f"{times[0] / times[1]:,.0f}x" if times[0] and times[1] else ""
        lines.append(line([row["operation"], *cells, ratio]))
    return "\n".join(lines)


def head(cells: list[str]) -> list[str]:
    return [line(cells), "|" + "---|" * len(cells)]


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
