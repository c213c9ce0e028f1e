"""Counts the instructions of the core's operations under callgrind: `make bench-instructions`.

A count does not depend on the load of a machine, so it shows what a clock cannot: a change of a few percent. Counts
are kept in instructions.json; one that has grown by more than the tolerance fails. `--update` writes them anew.

Valgrind knows no AVX-512: on such a machine the AVX2 path is counted, and the file names the path. Counts of another
path or another compiler are no yardstick: they are shown, not judged.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parents[1]
COUNTS = Path(__file__).with_name("instructions.json")
BINARY = ROOT / "target" / "release" / "examples" / "instructions"
TOLERANCE = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="take the counts found as the new yardstick")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("instructions are counted by valgrind: install it and try again")
    found = count_all()
    stored = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else None
    print(table(found, stored))
    if options.update:
        COUNTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{COUNTS} written")
        return
    faults = judge(found, stored)
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


def count_all() -> dict:
    """Builds the program and counts each of its operations."""
    command = ["cargo", "build", "--release", "--locked", "-p", "skipthink-core", "--example", "instructions"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    arch, *operations = _valgrind([], "none")[0].split("\n")
    path = arch.partition("(")[0]
    counts = {}
    for operation in operations:
        counts[operation] = count(operation, 1) - count(operation, 0)
        print(f"{operation}: {counts[operation]:,}", file=sys.stderr, flush=True)
    return {"rustc": machine.rustc(), "path": path, "counts": counts}


def count(operation: str, repeats: int) -> int:
    """Instructions of the whole program."""
    _, log = _valgrind([operation, str(repeats)], "callgrind")
    found = re.search(r"Collected *: *(\d+)", log)
    if found is None:
        raise SystemExit(f"valgrind counted nothing for {operation}:\n{log[-2000:]}")
    return int(found.group(1))


def _valgrind(arguments: list[str], tool: str) -> tuple[str, str]:
    """Output and log of the program under valgrind, which also decides which vector unit it sees."""
    options = ["--callgrind-out-file=/dev/null"] if tool == "callgrind" else ["--quiet"]
    command = ["valgrind", f"--tool={tool}", *options, str(BINARY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip(), done.stderr


def judge(found: dict, stored: dict | None) -> list[str]:
    """What is wrong: counts that have grown, or operations without a count."""
    if stored is None:
        return [f"there is no {COUNTS.name}: make it with --update"]
    other = [key for key in ("rustc", "path") if found[key] != stored[key]]
    if other:
        was = ", ".join(f"{key} {stored[key]}" for key in other)
        print(f"not judged: the counts kept are of {was}, not {', '.join(str(found[key]) for key in other)}")
        return []
    faults = []
    for operation, instructions in found["counts"].items():
        before = stored["counts"].get(operation)
        if before is None:
            faults.append(f"{operation} has no count yet: keep one with --update")
        elif instructions > before * (1 + TOLERANCE):
            growth = 100 * (instructions / before - 1)
            faults.append(
                f"{operation} takes {instructions:,} instructions, {growth:.1f} % more than {before:,}"
            )
    gone = sorted(set(stored["counts"]) - set(found["counts"]))
    return faults + [f"{operation} is not counted any more: drop it with --update" for operation in gone]


def table(found: dict, stored: dict | None = None) -> str:
    """Markdown: counts, and how they have changed."""
    before = {} if stored is None else stored["counts"]
    lines = ["| operation | instructions | change |", "|---|---|---|"]
    for operation, instructions in found["counts"].items():
        change = f"{100 * (instructions / before[operation] - 1):+.1f} %" if operation in before else "new"
        lines.append(f"| {operation} | {instructions:,} | {change} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
