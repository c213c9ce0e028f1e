"""Weights of target tokens by the student's own probability of them: core tokens can be stressed without chunks.

Weight of a token of probability p: p^γ, divided by its mean over the item's target tokens. γ below 0 stresses tokens
that the student finds hard; γ = 1 is dynamic fine-tuning (arXiv 2508.05629) up to the mean; γ = 0 is the plain loss.
The mean is taken per item, not per step, so that an item counts as much as it does without weights, and a step is the
same however it is dealt out to processes and micro-batches.
"""

from __future__ import annotations

import torch


def token_weights(nll: torch.Tensor, rows: torch.Tensor, power: float) -> torch.Tensor:
    """The weight of each target token; no gradient flows through it.

    Args:
        nll: of each target token, in nats (n_tokens,).
        rows: the item of each, int64, not descending (n_tokens,).
        power: γ.

    Returns:
        Weights, as `nll` in dtype and shape; their mean over the tokens of an item is 1.
    """
    if not len(nll):
        return nll.detach()
    counts = torch.bincount(rows)
    places = torch.arange(len(rows), device=rows.device) - (torch.cumsum(counts, 0) - counts)[rows]
    powers = nll.new_full((len(counts), int(counts.max())), -torch.inf)
    powers[rows, places] = -power * nll.detach()
    # a softmax is the same quotient, without overflow where p is close to 0
    shares = torch.softmax(powers, dim=1)[rows, places]
    return shares * counts[rows]
