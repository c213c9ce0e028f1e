"""How large parts should be: 1,000 workers with stragglers and spot losses, simulated event by event.

    python bench/part_size.py

A worker takes the next part, pays a fixed time for it (its input is opened, its output is written under its name), and
works at a rate of its own. Some workers are slow. A worker is lost after an exponential time: its part is done again
from the beginning by another one, and a new worker comes after a while. The work ends with the last part. Nothing is
started twice on purpose. What is found depends on seconds per part, not on what the rows are.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fleet:
    """What is simulated.

    Attributes:
        workers: side by side.
        seconds_per_part: fixed for each part.
        spread: standard deviation of the logarithm of a worker's speed.
        slow_share: workers that are stragglers.
        slowness: how many times slower these are.
        mean_life: seconds until a worker is lost, on average.
        replacement: seconds until a new one works.
    """

    workers: int = 1000
    seconds_per_part: float = 1.0
    spread: float = 0.1
    slow_share: float = 0.02
    slowness: float = 4.0
    mean_life: float = 4 * 3600.0
    replacement: float = 180.0


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: until the last part was done.
        ideal: seconds without stragglers, losses and fixed times.
        losses: workers that were lost.
        repeated: share of the worker seconds whose work was lost with a worker.
        parts: objects that are written.
    """

    seconds: float
    ideal: float
    losses: int
    repeated: float
    parts: int


def simulate(n_rows: float, rate: float, part_rows: int, fleet: Fleet, seed: int = 0) -> Outcome:
    """One run.

    Args:
        n_rows: in all.
        rate: rows per second of an ordinary worker.
        part_rows: rows of a part.
        fleet: the workers.
        seed: of all that is drawn.
    """
    draw = np.random.default_rng(seed)
    n_parts = int(-(-n_rows // part_rows))
    waiting = deque(range(n_parts))
    idle: list[tuple[float, float]] = []  # (works until it is lost, seconds per row)

    def worker(now: float) -> tuple[float, float]:
        slow = fleet.slowness if draw.random() < fleet.slow_share else 1.0
        return now + draw.exponential(fleet.mean_life), slow * float(
            np.exp(draw.normal(0, fleet.spread))
        ) / rate

    # (moment, order, kind, its worker's end, its seconds per row, part, when it began)
    events: list[tuple[float, int, str, float, float, int, float]] = []
    counter = iter(range(10**9))

    def begin(now: float, life: float, pace: float) -> None:
        part = waiting.popleft()
        rows = min(part_rows, n_rows - part * part_rows)
        end = now + fleet.seconds_per_part + rows * pace
        kind = "done" if end < life else "lost"
        heapq.heappush(events, (min(end, life), next(counter), kind, life, pace, part, now))

    for _ in range(fleet.workers):
        heapq.heappush(events, (0.0, next(counter), "come", *worker(0.0), -1, 0.0))
    n_done, n_lost, repeated, now = 0, 0, 0.0, 0.0
    while n_done < n_parts:
        now, _, kind, life, pace, part, began = heapq.heappop(events)
        if kind == "lost":
            n_lost, repeated = n_lost + 1, repeated + now - began
            waiting.append(part)
            later = now + fleet.replacement
            heapq.heappush(events, (later, next(counter), "come", *worker(later), -1, 0.0))
        else:
            n_done += kind == "done"
            idle.append((life, pace))
        idle = [one for one in idle if one[0] > now] if waiting else idle
        while waiting and idle:
            begin(now, *idle.pop())
    return Outcome(now, n_rows / rate / fleet.workers, n_lost, repeated / (now * fleet.workers), n_parts)


RATES = {"chunk, 1 core": 455_000.0, "score, 1 GPU": 500.0}
"""Rows per second of a worker: docs/how-to/shards.md; 320,000 tokens/s at about 650 tokens per row, dev/log.md."""
SIZES = (4_096, 16_384, 65_536, 131_072, 262_144, 524_288, 1_048_576, 4_194_304)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=float, default=1e9)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for step, rate in RATES.items():
        for rows in SIZES:
            if options.rows / rows > 2e5:
                continue  # too many objects to think of
            found = [simulate(options.rows, rate, rows, Fleet(), seed) for seed in range(options.seeds)]
            print(
                json.dumps(
                    {
                        "step": step,
                        "part_rows": rows,
                        "part_seconds": round(rows / rate, 2),
                        "parts": found[0].parts,
                        "times_ideal": round(float(np.mean([one.seconds / one.ideal for one in found])), 2),
                        "repeated": round(float(np.mean([one.repeated for one in found])), 4),
                    }
                )
            )


if __name__ == "__main__":
    main()
