"""Change-point libraries on the same losses: the `l2` cost of a segment is the `variance` of a chunk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ruptures_kernel(losses: Floats, m: int) -> npt.NDArray[np.int64]:
    """`KernelCPD` with the linear kernel, in C; a call a row. losses (n, K) → boundaries (n, M + 1)."""
    import ruptures

    detector = ruptures.KernelCPD(kernel="linear", min_size=1, jump=1)
    return _rows(lambda signal: detector.fit(signal).predict(n_bkps=m - 1), losses)


def ruptures_dynp(losses: Floats, m: int) -> npt.NDArray[np.int64]:
    """`Dynp`, dynamic programming in Python."""
    import ruptures

    detector = ruptures.Dynp(model="l2", min_size=1, jump=1)
    return _rows(lambda signal: detector.fit(signal).predict(n_bkps=m - 1), losses)


def rustures_kernel(losses: Floats, m: int) -> npt.NDArray[np.int64]:
    """`KernelCPD` with the linear kernel, in Rust."""
    import rustures

    detector = rustures.KernelCPD("linear", min_size=1, jump=1)
    return _rows(lambda signal: detector.fit(signal).predict(n_bkps=m - 1), losses)


def _rows(find: Callable[[Floats], list[int]], losses: Floats) -> npt.NDArray[np.int64]:
    return np.asarray([[0, *find(row[:, None])] for row in losses], dtype=np.int64)
