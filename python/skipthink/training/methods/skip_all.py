"""SkipALL: skip-thinking training with every chunk skipped, the ablation of the skip gate (method §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skipthink.exceptions import InvalidInputError
from skipthink.options import OptionError, option
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.options import SkipOptions
from skipthink.student.items import Items, join_items, take_items
from skipthink.student.markers import Markers
from skipthink.student.token_rows import Bools
from skipthink.training.method import Method, Needs, StandIn
from skipthink.training.methods.answer_only import AnswerOnly
from skipthink.training.methods.base_ac import ChunkwiseOptions, chunkwise_items
from skipthink.training.mixing import Ramp, items_of_epoch, skip_rows
from skipthink.training.source import ItemSource


@dataclass(frozen=True, kw_only=True)
class SkipItemOptions(ChunkwiseOptions):
    """Options of the methods that train on skip items (method §7).

    Skip items alone, in which what is skipped leaves no trace, are the default: what wins beside the gate `trial`
    (dev/results.md). The paper's items are `skip_weight: null`, `thought: per-chunk`.
    """

    skip_weight: float | None = option(
        1.0,
        "share of skip items among all items; 1: nothing else is trained on; null: the paper's, one per sample, "
        "1 / (M + 2)",
        gt=0,
        le=1,
    )
    skip_weight_start: float | None = option(
        None,
        "share of skip items at the beginning, from which it goes evenly to `skip_weight` at the end; null: the same "
        "share throughout",
        ge=0,
        lt=1,
    )
    full_items: Literal["chunkwise", "one-pass", "both"] = option(
        "chunkwise",
        "the items beside skip items, where `skip_weight` leaves room for them: one per chunk, the whole rationale in "
        "one pass as in `base`, or both",
    )
    start: Literal["fresh", "cwt"] = option(
        "fresh", "weights that training starts from: those of the fresh student, or of the judge"
    )
    start_rate: float = option(1 / 3, "with `start: cwt`, the share of `learning_rate` that is used", gt=0)
    thought: Literal["per-chunk", "collapse", "none"] = option(
        "none",
        "what a skip target holds for skipped chunks: a `[thought]` each, as in the paper, one per run of them, or "
        "nothing",
    )

    def check(self) -> None:
        """A share that rises has an end, and an order that batches keep."""
        super().check()
        if self.skip_weight_start is None:
            return
        if self.skip_weight is None:
            raise OptionError("skip_weight_start", "needs skip_weight, the share it goes to")
        if self.batching != "shuffled":
            raise OptionError(
                "skip_weight_start", "needs batching: shuffled; steps of one stage have no order"
            )
        self.need_known_length("skip_weight_start")


class SkipAll(Method):
    """Full items and one skip item per sample, which holds no chunk: `[skip] q | [thought] … [answer] a <end>`.

    Chunks stay as they were judged: a boundary that moved would make the skip data speak of other chunks.
    """

    name, mode, Options, has_chunks = "skip-all", "skip", SkipItemOptions, True
    needs, judge = Needs.CHUNKS, "base+sbc"

    def items(self, source: ItemSource, epoch: int) -> Items:
        """Full items and skip items in their shares; the rows that are repeated change with the epoch."""
        options: SkipItemOptions = source.options
        skip = self.skip_items(source)
        if self.keeps_order(options):
            full = full_items(source, epoch)
            order = self._ramp(source, full, skip).order(epoch, len(full), len(skip), source.seed)
            return take_items(join_items([full, skip]), order)
        if has_skip_items_alone(options):
            return skip
        full = full_items(source, epoch)
        rows = skip_rows(options.skip_weight, len(full), len(skip), source.seed, epoch)
        return join_items([full, take_items(skip, rows)])

    def longest_items(self, source: ItemSource) -> Items:
        """Without chunk dropout."""
        return self.whole_items(source)

    def whole_items(self, source: ItemSource) -> Items:
        """Every item there is, without chunk dropout."""
        skip = self.skip_items(source)
        if has_skip_items_alone(source.options):
            return skip
        return join_items([full_items(source, None), skip])

    def refuse(self, options: Any, markers: Markers) -> None:
        """Full items that are asked for are trained on.

        Raises:
            InvalidInputError: their kind is chosen, and `skip_weight` leaves no room for them.
        """
        if options.full_items != "chunkwise" and has_skip_items_alone(options):
            raise InvalidInputError(
                f"{self.name} has full_items: {options.full_items}, but skip_weight: 1 trains on skip items alone; set "
                "skip_weight to their share (null: one per sample), or leave full_items out"
            )

    def stand_in(self, chunks: ChunkOptions, skip: SkipOptions, options: Any) -> StandIn | None:
        """Skip items alone that hold nothing but an answer are those of `answer-only`, but for their marker."""
        if options.thought != "none" or not has_skip_items_alone(options):
            return None
        return StandIn(
            AnswerOnly.name,
            "skips every chunk: with skip_weight: 1 and thought: none it trains on answers alone",
            "give it full items or thoughts (the paper's: skip_weight: null, thought: per-chunk)",
        )

    def keeps_order(self, options: SkipItemOptions) -> bool:
        """Where the share of skip items changes, their order says how."""
        return options.skip_weight_start is not None

    def has_chunkwise_items(self, options: SkipItemOptions) -> bool:
        """Unless skip items are alone, or beside whole rationales."""
        return options.full_items != "one-pass" and not has_skip_items_alone(options)

    def judge_rate(self, options: SkipItemOptions) -> float | None:
        """With `start: cwt`."""
        return options.start_rate if options.start == "cwt" else None

    def skipped(self, source: ItemSource) -> Bools:
        """The chunks that skip items leave out, bool (n, M): all that hold a step."""
        return np.diff(source.boundaries, axis=1) > 0

    def skip_items(self, source: ItemSource) -> Items:
        """The skip items there are: one per sample, in the order of the samples."""
        return source.planned("skip", skipped=self.skipped(source), thought=source.options.thought)

    def _ramp(self, source: ItemSource, full: Items, skip: Items) -> Ramp:
        """The share over the training: counted in items, or in target tokens where a step or the budget holds those."""
        options: SkipItemOptions = source.options
        start, end = float(options.skip_weight_start or 0), float(options.skip_weight or 0)
        tokens = {"full": float(full.n_loss.mean()), "skip": float(skip.n_loss.mean())}
        if options.budget is not None:
            return Ramp(start, end, float(options.budget.target_tokens or 0), **tokens)
        if options.max_steps is not None and options.step_target_tokens is not None:
            return Ramp(start, end, options.max_steps * options.step_target_tokens, **tokens)
        n_items, epochs = items_of_epoch(start, end, len(full)), options.epochs
        if options.max_steps is not None:
            epochs = options.max_steps / -(-n_items // source.step_size)
        return Ramp(start, end, epochs * n_items)


def has_skip_items_alone(options: SkipItemOptions) -> bool:
    """Whether nothing but skip items is trained on."""
    return options.skip_weight == 1 and options.skip_weight_start is None


def full_items(source: ItemSource, epoch: int | None) -> Items:
    """The items beside skip items.

    Args:
        source: samples and options.
        epoch: counted from 0; None: without chunk dropout.
    """
    kind, parts = source.options.full_items, []
    if kind != "one-pass":
        parts.append(source.planned("chunkwise") if epoch is None else chunkwise_items(source, epoch))
    if kind != "chunkwise":
        parts.append(source.planned("base"))
    return join_items(parts) if len(parts) > 1 else parts[0]


METHOD = SkipAll()
