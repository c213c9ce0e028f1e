"""What else the search does: objectives, weights, stages, ragged batches, single moves, threads.

`python bench/variants.py [--quick] [--json]`. CPU time of one thread, medians of turns; threads in wall time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os

import numpy as np

import inputs
import skipthink
import timing

SIZES = ((8, 4), (64, 8), (512, 8), (4096, 8))
CELLS = 8_000_000
"""Cells of the search a call: rows · K²/2 · M."""
RAGGED_ROWS, RAGGED_MEAN, RAGGED_M = 200_000, 12, 4
ANNEAL_MOVES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three turns instead of seven, K up to 512")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure_all(quick=options.quick)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for row in found["objectives"]:
        print(f"K={row['k']} M={row['m']}, µs per row")
        for name, time in row["us_a_row"].items():
            print(f"  {name:<28}{time:>14,.3f}{time / row['us_a_row']['variance']:>8.2f}x")
    print(f"{RAGGED_ROWS:,} rows of mean {RAGGED_MEAN} steps, M={RAGGED_M}, ms")
    for name, time in found["ragged"].items():
        print(f"  {name:<28}{time:>14,.1f}{time / found['ragged']['ours']:>8.2f}x")
    print("a move, ns")
    for name, time in found["moves"].items():
        print(f"  {name:<28}{time:>14,.1f}")
    print(f"{os.cpu_count()} cores, times faster than one thread")
    for name, ratio in found["threads"].items():
        print(f"  {name:<28}{ratio:>14,.2f}x")


def measure_all(*, quick: bool = False) -> dict:
    turns = 3 if quick else 7
    sizes = [(k, m) for k, m in SIZES if not quick or k <= 512]
    return {
        "objectives": [objectives(k, m, turns) for k, m in sizes],
        "ragged": ragged(turns),
        "moves": moves(turns),
        "threads": threads(turns, quick=quick),
    }


def objectives(k: int, m: int, turns: int = 7) -> dict:
    """Optimal search for each objective, with and without token weights, stage-free and stage-conditioned."""
    n_rows = max(1, min(20_000, CELLS * 2 // (k * k * m)))
    offsets = np.arange(n_rows + 1, dtype=np.int64) * k
    free = inputs.losses(n_rows, k).ravel()
    conditioned = inputs.losses(n_rows * k, m, seed=1)
    weights = (inputs.token_counts(n_rows * k), offsets)
    calls = {
        "variance": _optimal(free, offsets, m, "variance"),
        "variance, weights": _optimal(free, offsets, m, "variance", n_tokens=weights),
        "mean": _optimal(free, offsets, m, "mean"),
        "mean, weights": _optimal(free, offsets, m, "mean", n_tokens=weights),
        "max, weights": _optimal(free, offsets, m, "max", n_tokens=weights),
        "mean, weights, stages": _optimal(conditioned, offsets, m, "mean", n_tokens=weights),
        "variance, weights, stages": _optimal(conditioned, offsets, m, "variance", n_tokens=weights),
    }
    times = timing.race(calls, turns=turns)
    return {"k": k, "m": m, "us_a_row": {name: time.median * 1e6 / n_rows for name, time in times.items()}}


def ragged(turns: int = 7) -> dict[str, float]:
    """Milliseconds for a batch of rows as rationales are, optimal `variance`."""
    offsets = inputs.offsets_of(inputs.ragged_lengths(RAGGED_ROWS, RAGGED_MEAN))
    values = inputs.losses(int(offsets[-1]), 1).ravel()
    calls = {"ours": _optimal(values, offsets, RAGGED_M, "variance")}
    if importlib.util.find_spec("numba"):
        from peers import numba_search

        calls["numba"] = lambda: numba_search.plain(values, offsets, RAGGED_M)
        calls["numba, blocked"] = lambda: numba_search.blocked(values, offsets, RAGGED_M)
    return {name: time.median * 1e3 for name, time in timing.race(calls, turns=turns).items()}


def moves(turns: int = 7) -> dict[str, float]:
    """Nanoseconds a move, whole call included. Greedy: a boundary examined (two chunks merged, every cut point
    tried), one sweep. Annealing: a shift drawn and judged."""
    found = {}
    for k, m in ((12, 4), (64, 8)):
        n_rows = 4000 // m
        offsets = np.arange(n_rows + 1, dtype=np.int64) * k
        values = inputs.losses(n_rows, k).ravel()
        weights = (inputs.token_counts(n_rows * k), offsets)
        calls, counts = {}, {}
        for objective in ("mean", "variance"):
            options = {"objective": objective, "n_tokens": weights}
            for kind, method, n_moves in (
                ("greedy", skipthink.Greedy(max_sweeps=1), m - 1),
                ("anneal", skipthink.Anneal(moves=ANNEAL_MOVES), ANNEAL_MOVES),
            ):
                name = f"{kind}, {objective}, K={k} M={m}"
                calls[name] = _chunk(values, offsets, m, method=method, **options)
                counts[name] = n_rows * n_moves
        for name, time in timing.race(calls, turns=turns).items():
            found[name] = time.median * 1e9 / counts[name]
    return found


def threads(turns: int = 7, *, quick: bool = False) -> dict[str, float]:
    """How many times faster two threads are than one, in wall time."""
    import pyarrow as pa

    size = 4_000_000 if quick else 16_000_000
    short = pa.array(inputs.short_texts(size), pa.large_string())
    long = pa.array(inputs.long_texts(size), pa.large_string())
    offsets = inputs.offsets_of(inputs.ragged_lengths(RAGGED_ROWS, RAGGED_MEAN))
    values = inputs.losses(int(offsets[-1]), 1).ravel()
    k, m = 512, 8
    rows = np.arange(65, dtype=np.int64) * k
    row_values = inputs.losses(64, k).ravel()
    works = {
        "split, short texts": lambda n: skipthink.split_steps_batch(short, num_threads=n),
        "split, long texts": lambda n: skipthink.split_steps_batch(long, num_threads=n),
        "optimal, ragged rows": lambda n: _optimal(values, offsets, RAGGED_M, "variance", num_threads=n)(),
        "optimal, K=512 M=8": lambda n: _optimal(row_values, rows, m, "variance", num_threads=n)(),
    }
    found = {}
    for name, work in works.items():
        calls = {str(n): lambda n=n, work=work: work(n) for n in (1, 2)}
        times = timing.race(calls, turns=turns, wall=True)
        found[name] = times["1"].best / times["2"].best
    return found


def _optimal(values, offsets, m, objective, **options):
    return _chunk(values, offsets, m, method="optimal", objective=objective, **options)


def _chunk(values, offsets, m, *, num_threads=1, **options):
    return lambda: skipthink.chunk(None, (values, offsets), m, 0.0, num_threads=num_threads, **options)


if __name__ == "__main__":
    main()
