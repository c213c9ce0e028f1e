"""How many chunks: model selection over a corpus (ours; method §4, the paper leaves it open)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skipthink import _core
from skipthink.core.ragged import Floats, Ints, to_ragged
from skipthink.core.search import align_weights, check_positive
from skipthink.exceptions import InvalidInputError


@dataclass(frozen=True)
class ChunkCounts:
    """The score of each number of chunks.

    Attributes:
        n_chunks: the M with the lowest score, the smallest among equals.
        paper_rule: the paper's rule of thumb: the mean number of steps, rounded.
        candidates: int64 (C,), the M compared.
        scores: float64 (C,), Bayesian information criterion; infinite where every step has a
            chunk of its own, so that M cannot be judged.
        deviation: float64 (C,), token-weighted squared deviation of step losses from their chunk's mean under the best
            boundaries, summed over the corpus.
        n_short: int64 (C,), rows with fewer than M · min_steps steps; they count with as many chunks as they can have.
        mean_steps: mean number of steps of a row.
        sd_steps: standard deviation of the number of steps; the paper advises more chunks if it is large.
        n_rows: rows with at least one step.
    """

    n_chunks: int
    paper_rule: int
    candidates: Ints
    scores: Floats
    deviation: Floats
    n_short: Ints
    mean_steps: float
    sd_steps: float
    n_rows: int

    def __str__(self) -> str:
        lines = [f"{'M':>3}{'score':>16}{'deviation':>14}{'short rows':>12}"]
        rows = zip(self.candidates, self.scores, self.deviation, self.n_short, strict=True)
        for m, score, deviation, n_short in rows:
            mark = "  <- lowest score" if m == self.n_chunks else ""
            mark += "  <- paper's rule" if m == self.paper_rule else ""
            lines.append(f"{m:>3}{score:>16,.1f}{deviation:>14,.2f}{n_short:>12,}{mark}")
        steps = f"{self.n_rows:,} rows of {self.mean_steps:.1f} ± {self.sd_steps:.1f} steps"
        return "\n".join([*lines, f"{steps}; paper's rule: M = {self.paper_rule}"])


def suggest_n_chunks(
    losses: Any,
    *,
    n_tokens: Any = None,
    max_chunks: int = 16,
    min_steps: int = 1,
    num_threads: int | None = None,
) -> ChunkCounts:
    """Suggests M by change-point model selection over the corpus.

    The model: the loss of a step is the level of its chunk plus noise of one variance, divided by the step's tokens.
    Every row is cut into M chunks optimally (objective "variance"), and M is chosen by `BIC(M) = N log(D(M) / N) +
    p(M) log N`: N is the number of steps, D the remaining deviation, and p the number of levels and boundaries,
    `2 min(M, K) - 1` per row, plus one for the variance of the noise. It finds the M that the losses support, which
    may differ from the M that trains best: compare it with the paper's rule, and try both.

    Args:
        losses: ragged, one mean loss (nats per token) per step, stage-free; forms as in `chunk`.
        n_tokens: ragged, tokens per step: weights. None: 1 each.
        max_chunks: largest M compared.
        min_steps: least steps of a chunk.
        num_threads: threads; None: `SKIPTHINK_NUM_THREADS`, else all cores.

    Returns:
        The score of each M, the suggestion and the paper's rule.

    Raises:
        InvalidInputError: stage-conditioned losses, no step at all, or values that `chunk` refuses.
        InvalidTypeError: arguments of a wrong type.
    """
    max_chunks = check_positive("max_chunks", max_chunks)
    min_steps = check_positive("min_steps", min_steps)
    ragged = to_ragged("losses", losses)
    if ragged.width not in (None, 1):
        raise InvalidInputError(
            f"losses must hold one number per step to choose M by, got {ragged.width}; score without stages"
        )
    n_steps = ragged.lengths
    if not n_steps.any():
        raise InvalidInputError("losses hold no step; there is nothing to choose M by")
    weights = None if n_tokens is None else align_weights("n_tokens", n_tokens, ragged, n_steps)
    curves = _core.objective_curves(
        ragged.values.ravel(),
        ragged.offsets,
        weights,
        max_chunks=max_chunks,
        objective="variance",
        min_steps=min_steps,
        num_threads=num_threads,
    )
    filled = n_steps[n_steps > 0]
    candidates = np.arange(1, max_chunks + 1, dtype=np.int64)
    deviation = curves.sum(axis=0)
    scores = _bic(deviation, filled, candidates, min_steps)
    return ChunkCounts(
        n_chunks=int(candidates[np.argmin(scores)]),
        paper_rule=max(1, round(float(filled.mean()))),
        candidates=candidates,
        scores=scores,
        deviation=deviation,
        n_short=(filled[:, None] < candidates * min_steps).sum(axis=0),
        mean_steps=float(filled.mean()),
        sd_steps=float(filled.std()),
        n_rows=len(filled),
    )


def _bic(deviation: Floats, n_steps: Ints, candidates: Ints, min_steps: int) -> Floats:
    """BIC of each M, float64 (C,)."""
    total = int(n_steps.sum())
    cuts = np.minimum(candidates, np.maximum(1, n_steps[:, None] // min_steps))
    parameters = (2 * cuts - 1).sum(axis=0) + 1
    # losses that are all explained have no noise to compare: the fewest chunks that do it win by the penalty
    noise = np.maximum(deviation / total, np.finfo(np.float64).tiny)
    scores = total * np.log(noise) + parameters * np.log(total)
    judged = parameters < total
    judged[0] = True
    return np.where(judged, scores, np.inf)
