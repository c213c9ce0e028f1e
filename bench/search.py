"""Optimal `variance` boundaries, ours beside the peers: `python bench/search.py --k 8 64 512 4096`.

One thread each, gamma losses in no order, all in turns; microseconds of CPU a row, medians. "above" is how far J of
the boundaries found, in float64, lies above the least J found by anyone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json

import numpy as np

import inputs
import skipthink
import timing

CHUNKS = {8: 4}
"""M a K; 8 otherwise."""
CELLS = 30_000_000
"""Cells of the search (rows · K²/2 · M) a call."""
DYNP_STEPS = 64
"""Largest K that ruptures' Dynp gets: its time grows to seconds per row."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--k", type=int, nargs="+", default=[8, 64, 512, 4096])
    parser.add_argument("--quick", action="store_true", help="three turns instead of seven, K up to 512")
    parser.add_argument("--numba-only", action="store_true", help="leave out ruptures and rustures")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    steps = [k for k in options.k if not options.quick or k <= 512]
    turns = 3 if options.quick else 7
    found = [measure(k, CHUNKS.get(k, 8), turns, numba_only=options.numba_only) for k in steps]
    print(json.dumps(found, indent=2) if options.json else table(found))


def measure(k: int, m: int, turns: int = 7, *, numba_only: bool = False) -> dict:
    """Microseconds a row and excess of J, ours and each peer's."""
    n_rows = max(2, min(20_000, CELLS * 2 // (k * k * m)))
    single = inputs.losses(n_rows, k)
    double = single.astype(np.float64)
    offsets = np.arange(n_rows + 1, dtype=np.int64) * k
    few = double[: max(1, min(200, n_rows // 20))]
    searches = {
        "ours": (n_rows, lambda: ours(single, offsets, m)),
        "ours, float64": (n_rows, lambda: ours(double, offsets, m)),
        **peers(single, offsets, few, m, numba_only=numba_only),
    }
    times = timing.race({name: call for name, (_, call) in searches.items()}, turns=turns)
    costs = {name: objective(double[:rows], call(), m) for name, (rows, call) in searches.items()}
    excess = {name: worst_excess(name, costs) for name in costs}
    return {
        "k": k,
        "m": m,
        "rows": n_rows,
        "us_a_row": {name: times[name].median * 1e6 / searches[name][0] for name in searches},
        "excess": excess,
    }


def precision(n_rows: int = 3, k: int = 4096, m: int = 8) -> dict[str, float]:
    """How far J lies above the optimum, relative, where prefix sums cancel: losses of mean 50 and spread 0.1.

    The oracle is a change-point library in float64, on losses less their mean, which has no part in J.
    """
    from peers import change_points

    drawn = 50.0 + 0.1 * np.random.default_rng(3).standard_normal((n_rows, k))
    offsets = np.arange(n_rows + 1, dtype=np.int64) * k
    found = {}
    for dtype in ("float32", "float64"):
        losses = drawn.astype(dtype)
        exact = losses.astype(np.float64)
        centred = exact - exact.mean(axis=1, keepdims=True)
        least = objective(centred, change_points.rustures_kernel(centred, m), m)
        mine = objective(centred, ours(losses, offsets, m), m)
        found[dtype] = float(np.maximum((mine - least) / least, 0.0).max())
    return found


def ours(losses, offsets, m):
    found = skipthink.chunk(
        None, (losses.ravel(), offsets), m, 0.0, method="optimal", objective="variance", num_threads=1
    )
    return found.boundaries


def peers(single, offsets, few, m, *, numba_only=False):
    """Peers that are installed: name → (rows, call)."""
    found = {}
    if importlib.util.find_spec("numba"):
        from peers import numba_search

        found["numba"] = (len(single), lambda: numba_search.plain(single.ravel(), offsets, m))
        found["numba, blocked"] = (len(single), lambda: numba_search.blocked(single.ravel(), offsets, m))
    if numba_only:
        return found
    from peers import change_points

    if importlib.util.find_spec("rustures"):
        found["rustures"] = (len(few), lambda: change_points.rustures_kernel(few, m))
    if importlib.util.find_spec("ruptures"):
        found["ruptures"] = (len(few), lambda: change_points.ruptures_kernel(few, m))
        if single.shape[1] <= DYNP_STEPS:
            found["ruptures Dynp"] = (1, lambda: change_points.ruptures_dynp(few[:1], m))
    return found


def objective(losses, boundaries, m):
    """J of boundaries (n, M + 1) on losses (n, K) in float64, two passes per chunk: nothing cancels."""
    total = np.zeros(len(losses))
    for row, cuts in enumerate(boundaries):
        for start, end in zip(cuts[:-1], cuts[1:], strict=True):
            steps = losses[row, start:end]
            total[row] += ((steps - steps.mean()) ** 2).sum() if len(steps) else 0.0
    assert boundaries.shape == (len(losses), m + 1)
    return total


def worst_excess(name, costs):
    """Largest relative distance of J above the least that anyone found for the row."""
    mine = costs[name]
    least = np.min([other[: len(mine)] for other in costs.values() if len(other) >= len(mine)], axis=0)
    return float(((mine - least) / np.maximum(least, 1e-300)).max())


def table(found):
    names = list(dict.fromkeys(name for row in found for name in row["us_a_row"]))
    heads = [f"K={row['k']} M={row['m']}" for row in found]
    lines = [f"{'µs per row':<18}" + "".join(f"{head:>24}" for head in heads)]
    for name in names:
        cells = []
        for row in found:
            time = row["us_a_row"].get(name)
            ratio = "" if time is None else f"{time / row['us_a_row']['ours']:.1f}x"
            cells.append(f"{'—':>24}" if time is None else f"{time:>15,.3f} {ratio:>8}")
        lines.append(f"{name:<18}" + "".join(cells))
    lines.append("J above the least found, relative:")
    for name in names:
        lines.append(
            f"{name:<18}" + "".join(f"{row['excess'].get(name, float('nan')):>24.1e}" for row in found)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
