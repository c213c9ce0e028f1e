"""Prompts: what a student reads before it writes, in one sequence or on the two sides of an encoder-decoder.

Which of the two it is, is decided by `Markers.decoder_start_id` here and in `items.build_items`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.core.ragged import Ints

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from skipthink.student.markers import Markers

NOTHING: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Prompt:
    """One prompt.

    Attributes:
        ids: ids in front of the target, in the same sequence, int64; at least one.
        source: ids an encoder reads, int64; empty for a student without one.
    """

    ids: Ints
    source: Ints = field(default_factory=NOTHING.copy)

    def __len__(self) -> int:
        """Tokens that are read, on both sides."""
        return len(self.ids) + len(self.source)


def make_prompt(
    markers: Markers, lead: Sequence[int], question: Sequence[int] | Ints, written: Sequence[int] = ()
) -> Prompt:
    """The prompt of an item: a marker and the question, then what is written already (method §5).

    Args:
        markers: marker ids, fitted to the student.
        lead: the marker that says what is asked for; empty for a one-pass item.
        question: question ids.
        written: earlier chunks, or what stands for them, and what a chain of thought begins or ends with.
    """
    asked, done = [*markers.prompt_head, *lead, *question], list(written)
    if markers.decoder_start_id is None:
        return Prompt(np.asarray(asked + done, dtype=np.int64))
    source = np.asarray([*asked, markers.end_id], dtype=np.int64)
    return Prompt(np.asarray([markers.decoder_start_id, *done], dtype=np.int64), source)


def room_for(model: PreTrainedModel, prompt: Prompt, wanted: int) -> int:
    """The number of tokens after a prompt that fit into the student's positions, at most those wanted, at least 0."""
    limit = max_positions(model.config)
    if limit is None:
        return wanted
    return max(0, min(wanted, limit - len(prompt.ids))) if len(prompt.source) <= limit else 0


def max_positions(config: Any) -> int | None:
    """Longest sequence a student's positions allow, on each side; None where positions are relative."""
    limit: int | None = getattr(config, "max_position_embeddings", None)
    return limit
