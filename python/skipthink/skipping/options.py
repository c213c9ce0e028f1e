"""Options of skip data (method §6, docs/explanation/skipping.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from skipthink.options import OptionError, Options, default_of, option

NO_VALIDATION = (
    "decides on validation questions, and there are none: data.sizes.validation: 200 takes some from training; "
    "skip: {gate: answer} is the paper's gate, which needs none"
)
"""What the gate `trial` says of data without validation questions, behind its name."""


@dataclass(frozen=True, kw_only=True)
class SkipOptions(Options):
    """Options of how it is decided which chunks a student can do without.

    Brief trainings are the default: a student that skips what they leave out was above Base, in the mean of the seeds,
    on all tasks that were compared (dev/results.md). The paper's gate is `gate: answer`.
    """

    gate: Literal["answer", "soft", "trial", "rule", "random"] = option(
        "trial",
        "what decides: `trial`, brief trainings without whole roles of chunks; `answer`, the paper's, a chunk-wise "
        "trained student that is asked chunk by chunk; `soft`, how much less likely it finds what stands behind a "
        "chunk; `rule`, whether a step states anything new; `random`, chance",
    )
    roles: int = option(7, "most roles that chunks may have", ge=1)
    trial_epochs: float = option(
        2.0, "length of a trial: target tokens of so many epochs on whole rationales", gt=0
    )
    trial_questions: int = option(200, "validation questions that are answered after a trial", ge=1)
    trial_within: float = option(
        2.0,
        "points (percent) by which a trial may fall below the best one and its role still go; two students that were "
        "trained alike differ by about as much",
        ge=0,
        le=100,
    )
    trial_doubt: float = option(
        10.0,
        "points (percent) below the best trial up to which a trial is repeated with the samples in another order, and "
        "the better of the two counts; 0: none is",
        ge=0,
        le=100,
    )
    trial_passes: int = option(
        2,
        "passes over the roles at most: a role that was missed is tried again once others are gone",
        ge=1,
    )
    own_weight: float | None = option(
        None,
        "weight of a judge's decision on a chunk, the rest being the share of skipped chunks of its role; a weight of "
        "0.5 or more changes hardly anything; null: decisions stay",
        ge=0,
        le=1,
    )
    max_mean_rise: float = option(
        0.05, "gate `soft`: rise of the mean loss behind a chunk that is allowed, nats per token"
    )
    max_token_rise: float = option(
        2.0, "gate `soft`: rise of the loss of a single token behind a chunk that is allowed, nats"
    )
    random_rate: float | None = option(
        None,
        "share of the rationale tokens that the gate `random` skips; null: the share that `rule` skips",
        gt=0,
        lt=1,
    )
    continuation: Literal["student", "teacher"] = option(
        "student", "who writes the chunks after a dropped one; `teacher` leaks the answer and is an ablation"
    )
    max_growth: float | None = option(
        0.25,
        "share by which the chunks the student writes may be longer than the teacher's; null: no bound",
        ge=0,
    )
    votes: int = option(1, "sampled continuations per question; the majority decides", ge=1)
    temperature: float = option(0.0, "sampling temperature of the votes", ge=0)
    crossfit: int = option(
        1,
        "judges, each asked about the fold it was not trained on; 1: one judge, trained on all samples",
        ge=1,
    )
    batch_size: int = option(128, "continuations generated side by side", ge=1)
    keep_prefixes: bool = option(True, "whether the common beginning of a sample's prompts is read only once")

    @property
    def has_judge(self) -> bool:
        """Whether a chunk-wise trained student is asked."""
        return self.gate in ("answer", "soft")

    def trained_in_trials(self, training: Any) -> Any:
        """The options that a trial trains with: those of `stt`, on skip items alone, for a length of its own.

        What is changed in `stt` beyond that leaves trials that were made as they are.

        Args:
            training: options of `stt`.
        """
        return training.replace(
            skip_weight=1.0,
            skip_weight_start=None,
            full_items="chunkwise",  # there are none
            start="fresh",
            start_rate=default_of(type(training), "start_rate"),
            chunk_dropout=0.0,
            epochs=self.trial_epochs,  # set anew for each trial, as its target tokens are
            max_steps=None,
            budget=None,
        )

    def check(self) -> None:
        """More than one vote needs a temperature; what only a judge's answers give is no other gate's."""
        instead = "set gate: answer, or leave it out"
        if self.own_weight is not None and self.gate != "answer":
            raise OptionError(
                "own_weight",
                f"draws right and wrong answers, and the gate {self.gate} asks for none; {instead}",
            )
        if self.crossfit > 1 and not self.has_judge:
            raise OptionError(
                "crossfit", f"is {self.crossfit}, but the gate {self.gate} asks no judge; {instead}"
            )
        for name in ("continuation", "max_growth", "votes", "temperature"):
            value = getattr(self, name)
            if self.gate != "answer" and value != default_of(SkipOptions, name):
                raise OptionError(name, f"is {value}, but nobody answers for the gate {self.gate}; {instead}")
        if self.votes > 1 and self.temperature == 0:
            raise OptionError(
                "votes", f"is {self.votes} at temperature 0, where all votes are the same; raise it"
            )
