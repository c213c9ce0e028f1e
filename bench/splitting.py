"""Step splitting, ours beside the peers: `python bench/splitting.py`.

Short texts (200 to 1000 bytes) and the same ones joined to 25 kB; one thread each, all in turns; megabytes of UTF-8 a
second of CPU, medians.
"""

from __future__ import annotations

import argparse
import json

import inputs
import skipthink
import timing
from peers.sentences import SLOW, SPLITTERS

MEGABYTES = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="three turns instead of seven, a quarter of the text"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = MEGABYTES * 250_000 if options.quick else MEGABYTES * 1_000_000
    turns = 3 if options.quick else 7
    found = [
        measure("short", inputs.short_texts(size), turns),
        measure("long", inputs.long_texts(size), turns),
    ]
    print(json.dumps(found, indent=2) if options.json else table(found))


def measure(name: str, texts: list[str], turns: int = 7) -> dict:
    """Megabytes a second, ours and each peer's."""
    import pyarrow as pa

    arrow = pa.array(texts, pa.large_string())
    few = texts[: max(1, len(texts) // 100)]
    calls = {
        "ours, Arrow": (texts, lambda: skipthink.split_steps_batch(arrow, num_threads=1)),
        "ours, list": (texts, lambda: skipthink.split_steps_batch(texts, num_threads=1)),
    }
    for peer, make in SPLITTERS.items():
        try:
            split = make()
        except ImportError:
            continue
        given = few if peer in SLOW else texts
        calls[peer] = (given, lambda split=split, given=given: split(given))
    times = timing.race({peer: call for peer, (_, call) in calls.items()}, turns=turns)
    n_bytes = sum(len(text.encode()) for text in texts)
    return {
        "texts": name,
        "n": len(texts),
        "mean_bytes": n_bytes / len(texts),
        "source": inputs.source(),
        "megabytes_a_second": {
            peer: sum(len(text.encode()) for text in given) / times[peer].median / 1e6
            for peer, (given, _) in calls.items()
        },
    }


def table(found):
    names = list(dict.fromkeys(name for row in found for name in row["megabytes_a_second"]))
    heads = [f"{row['texts']}, {row['mean_bytes']:,.0f} B" for row in found]
    lines = [f"{'MB/s':<16}" + "".join(f"{head:>28}" for head in heads)]
    for name in names:
        cells = []
        for row in found:
            speeds = row["megabytes_a_second"]
            ratio = f"{speeds['ours, Arrow'] / speeds[name]:.1f}x" if name in speeds else "—"
            cells.append(f"{speeds.get(name, float('nan')):>18,.2f} {ratio:>9}")
        lines.append(f"{name:<16}" + "".join(cells))
    return "\n".join([*lines, f"texts: {found[0]['source']}"])


if __name__ == "__main__":
    main()
