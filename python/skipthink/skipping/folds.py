"""Folds of cross-fitting: which judge is asked about which sample (method §6)."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError


def assign_folds(ids: list[str], n_folds: int, seed: int) -> Ints:
    """Assigns samples to folds of equal size (± 1) at random, independently of their order.

    Args:
        ids: the samples' ids.
        n_folds: F, at least 1.
        seed: another one deals anew.

    Returns:
        The fold of each sample, 0 … F - 1, int64 (n,).

    Raises:
        InvalidInputError: more folds than samples.
    """
    if not 1 <= n_folds <= max(len(ids), 1):
        raise InvalidInputError(f"there must be 1 … {len(ids)} folds for {len(ids)} samples, got {n_folds}")
    folds = np.empty(len(ids), dtype=np.int64)
    order = sorted(range(len(ids)), key=lambda row: (number_of(seed, ids[row]), ids[row]))
    folds[order] = np.arange(len(ids)) % n_folds
    return folds


def number_of(seed: int, text: str) -> int:
    """A number of 64 bits that belongs to a seed and a text."""
    return int.from_bytes(sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()[:8], "little")
