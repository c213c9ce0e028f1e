"""What the benchmarks run on: gamma losses in no order, and rationales short and long."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skipthink import tasks

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SHORT_BYTES = (200, 1000)
LONG_BYTES = 25_000


def losses(n_rows: int, n_steps: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Step losses (n_rows, n_steps), float32: gamma with shape 2 and mean 1 nat, unsorted as losses are."""
    return np.random.default_rng(seed).gamma(2.0, 0.5, (n_rows, n_steps)).astype(np.float32)


def token_counts(n_steps: int, seed: int = 2) -> npt.NDArray[np.float32]:
    """Tokens a step (n_steps,), 5 to 39, as weights."""
    return np.random.default_rng(seed).integers(5, 40, n_steps).astype(np.float32)


def ragged_lengths(n_rows: int, mean: int = 12, least: int = 1, seed: int = 1) -> npt.NDArray[np.int64]:
    """Steps a row (n_rows,): geometric around the mean, from `least` to 8 times the mean."""
    spread = np.random.default_rng(seed).geometric(1 / (mean - least + 1), n_rows) - 1 + least
    return np.minimum(spread, 8 * mean)


def offsets_of(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Row offsets (n + 1,) of lengths (n,)."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def short_texts(n_bytes: int, seed: int = 0) -> list[str]:
    """Rationales of 200 to 1000 bytes, about 420 in the mean, `n_bytes` in all: real ones where the shared data
    are there, else those of the package's own tasks, joined to that length."""
    pool = _real() or _made()
    random.Random(seed).shuffle(pool)
    texts, total = [], 0
    while total < n_bytes:
        text = pool[len(texts) % len(pool)]
        texts.append(text)
        total += len(text.encode())
    return texts


def long_texts(n_bytes: int, seed: int = 0) -> list[str]:
    """The same rationales joined by blank lines to texts of 25 kB."""
    joined: list[str] = []
    parts: list[str] = []
    size = 0
    for text in short_texts(n_bytes, seed):
        parts.append(text)
        size += len(text.encode()) + 2
        if size - 2 >= LONG_BYTES:
            joined.append("\n\n".join(parts))
            parts, size = [], 0
    return joined or ["\n\n".join(parts)]


def source() -> str:
    """Where the texts come from, for the report."""
    return "real rationales of twelve sources" if DATA.is_dir() else "rationales of skipthink.tasks"


def _real() -> list[str]:
    if not DATA.is_dir():
        return []
    texts: list[str] = []
    for path in sorted(DATA.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            texts.extend(text for line in lines if (text := json.loads(line)["rationale"]))
    low, high = SHORT_BYTES
    return [text for text in texts if low <= len(text.encode()) <= high]


def _made() -> list[str]:
    rows: list[str] = []
    for name in ("multi_step_arithmetic", "last_letter_concatenation", "tracking_shuffled_objects"):
        made = tasks.make(name, train=300, validation=0, test=0)["train"]
        rows.extend(row["rationale"] for row in made)
    random.Random(0).shuffle(rows)
    texts, text = [], ""
    for rationale in rows:
        text = f"{text} {rationale}" if text else rationale
        if len(text.encode()) >= SHORT_BYTES[0]:
            texts.append(text)
            text = ""
    return texts
