"""Times the core's calls on made rationales: `make bench`, or `python bench/core.py --rows 20000`."""

import argparse
import time

import numpy as np

import skipthink
from skipthink import tasks

METHODS = ("average", "greedy", "anneal", "optimal")
STAGES = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    made = tasks.make("multi_step_arithmetic", train=500, validation=0, test=0)["train"]
    texts = [made[row % len(made)]["rationale"] for row in range(options.rows)]
    threads = {"num_threads": options.threads}

    spans = report("split_steps_batch", options.rows, lambda: skipthink.split_steps_batch(texts, **threads))
    offsets = spans.offsets
    random = np.random.default_rng(0)
    free = (random.gamma(2.0, 0.5, offsets[-1]), offsets)
    conditioned = (random.gamma(2.0, 0.5, (offsets[-1], STAGES)), offsets)
    for name, losses in (("stage-free", free), ("conditioned", conditioned)):
        for method in METHODS:
            report(
                f"chunk {method}, {name}",
                options.rows,
                lambda losses=losses, method=method: skipthink.chunk(
                    None, losses, STAGES, method=method, **threads
                ),
            )


def report(name, n_rows, call):
    """Prints the best of five calls; returns what the last one gave."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - started)
    print(f"{name:<32}{min(seconds) * 1000:10.2f} ms{n_rows / min(seconds):14,.0f} rows/s")
    return result


if __name__ == "__main__":
    main()
