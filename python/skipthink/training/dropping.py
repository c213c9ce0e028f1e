"""Which steps of rationales stay: what trims and prunes rationales before they are learnt in one pass.

All functions give flags of the steps of all samples, row by row: bool (total_steps,), True for a step that stays. Steps
are dropped whole, and every rationale keeps a step with a token.
"""

from __future__ import annotations

import numpy as np

from skipthink.core.ragged import Ints
from skipthink.data.facts import find_names
from skipthink.data.measures import find_fresh
from skipthink.student.encoding import EncodedSamples
from skipthink.student.token_rows import Bools, offsets_of


def step_lengths(encoded: EncodedSamples) -> Ints:
    """Tokens of each step, int64 (total_steps,)."""
    lengths: Ints = np.concatenate([np.diff(encoded.step_tokens[row]) for row in range(len(encoded))])
    return lengths


def rows_of_steps(encoded: EncodedSamples) -> Ints:
    """The sample of each step, int64 (total_steps,)."""
    return np.repeat(np.arange(len(encoded)), encoded.n_steps)


def find_new(encoded: EncodedSamples) -> Bools:
    """The steps that state a number, a name or an option that neither the question nor an earlier step has stated.

    The rule is that of `skipthink audit` (docs/how-to/audit.md); earlier steps count whether they stay or not.
    """
    texts = [*encoded.questions, *("".join(steps) for steps in encoded.steps)]
    names = find_names(texts)
    return np.asarray(
        [
            bool(fresh)
            for question, steps in zip(encoded.questions, encoded.steps, strict=True)
            for _, fresh, _ in find_fresh(question, steps, names)
        ],
        dtype=np.bool_,
    )


def trim_last(encoded: EncodedSamples) -> Bools:
    """Drops the last step of each rationale where it states nothing new and is not the only one."""
    last = offsets_of(encoded.n_steps)[1:] - 1
    kept = np.ones(int(encoded.n_steps.sum()), dtype=np.bool_)
    kept[last] = find_new(encoded)[last]
    return keep_one(encoded, kept)


def drop_by_rule(encoded: EncodedSamples) -> Bools:
    """Drops the steps that state nothing new; a rationale that nowhere does stays whole.

    Where the answer stands in the question, the rule cannot tell what is needed.
    """
    new = find_new(encoded)
    rows = rows_of_steps(encoded)
    n_new = np.bincount(rows[new], minlength=len(encoded))
    return keep_one(encoded, new | (n_new == 0)[rows])


def drop_at_random(encoded: EncodedSamples, rate: float | None, seed: int) -> Bools:
    """Drops steps drawn at random from all samples, until a share of the rationale tokens is gone.

    The last step of a rationale that is left is never drawn, so a high rate may not be reached.

    Args:
        encoded: the samples.
        rate: share of the rationale tokens; None: the share that `drop_by_rule` drops.
        seed: another one draws other steps.
    """
    lengths, rows = step_lengths(encoded), rows_of_steps(encoded)
    wanted = lengths[~drop_by_rule(encoded)].sum() if rate is None else rate * lengths.sum()
    kept = np.ones(len(lengths), dtype=np.bool_)
    n_left = np.bincount(rows[lengths > 0], minlength=len(encoded))
    n_gone = 0
    for step in np.random.default_rng((seed, 3)).permutation(np.flatnonzero(lengths > 0)):
        # the step by which the share is missed least is the last one
        if n_gone + lengths[step] / 2 > wanted:
            break
        if n_left[rows[step]] > 1:
            kept[step] = False
            n_left[rows[step]] -= 1
            n_gone += int(lengths[step])
    return kept


def drop_chunks(encoded: EncodedSamples, boundaries: Ints, skipped: Bools) -> Bools:
    """Drops all steps of the chunks that a judge can do without; of a rationale without any other, the last step stays.

    Args:
        encoded: the samples.
        boundaries: their chunks, int64 (n, M + 1).
        skipped: the chunks the judge can do without, bool (n, M).
    """
    stays = np.repeat(~skipped.ravel(), np.diff(boundaries, axis=1).ravel())
    return keep_one(encoded, stays)


def keep_one(encoded: EncodedSamples, kept: Bools) -> Bools:
    """Lets the last step with a token stay where a rationale would have none."""
    lengths, rows = step_lengths(encoded), rows_of_steps(encoded)
    n_kept = np.bincount(rows[kept & (lengths > 0)], minlength=len(encoded))
    last = np.zeros(len(encoded), dtype=np.int64)
    with_token = np.flatnonzero(lengths > 0)
    last[rows[with_token]] = with_token  # of several the last one is written last
    full = kept.copy()
    empty = np.flatnonzero(n_kept == 0)
    full[last[empty]] = True
    return full


def count_dropped(encoded: EncodedSamples, rows: Ints, kept: Bools) -> dict[str, int]:
    """Counts of what is dropped from some samples.

    Args:
        encoded: all samples.
        rows: those that are trained on, int64.
        kept: the steps that stay.
    """
    lengths, of_row = step_lengths(encoded), rows_of_steps(encoded)
    counted = np.isin(of_row, rows)
    gone = counted & ~kept
    return {
        "steps": int(counted.sum()),
        "steps_dropped": int(gone.sum()),
        "rationale_tokens": int(lengths[counted].sum()),
        "rationale_tokens_dropped": int(lengths[gone].sum()),
        "rationales_shortened": len(np.unique(of_row[gone])),
    }
