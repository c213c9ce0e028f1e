"""The gate `trial`: brief trainings without roles of chunks (docs/explanation/skipping.md)."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipthink.answers import Verdict
from skipthink.answers.options import CheckOptions
from skipthink.core.ragged import Ints
from skipthink.core.search import average_boundaries
from skipthink.evaluation.measure import check_text
from skipthink.exceptions import DataError, RunError
from skipthink.io.files import parse_object, write_json
from skipthink.io.job_progress import PhaseReport, Progress, phase_of
from skipthink.scoring.options import ChunkOptions
from skipthink.skipping.elimination import (
    FLOOR,
    Attempt,
    Dropped,
    dropped_by,
    eliminate,
    floor_of,
    is_at_floor,
    least_new_first,
    seldom_new,
    skip_roles,
)
from skipthink.skipping.foresight import foreseen
from skipthink.skipping.gates import write_decisions
from skipthink.skipping.levels import turns_by_role
from skipthink.skipping.options import NO_VALIDATION, SkipOptions
from skipthink.skipping.roles import Roles, find_roles
from skipthink.student.encoding import EncodedSamples
from skipthink.student.inference import answer_questions
from skipthink.student.losses import Floats
from skipthink.student.student import Student
from skipthink.student.token_rows import Bools
from skipthink.training.methods.stt import METHOD as STT
from skipthink.training.train import remove_checkpoints, train_method

if TYPE_CHECKING:
    import pyarrow as pa

ATTEMPT_FILE = "attempt.json"
MOST_PASSES = 6
"""Passes over shortened rationales in a trial for each over whole ones: answers alone would take thirty."""
AT_FLOOR = (
    "no student of a trial was right on {floor:.0f} % of the validation questions, {why}, so nothing is skipped: "
    "students that can do nothing miss nothing; make trials longer (skip: {{trial_epochs: …}})"
)


@dataclass
class Trials:
    """What the attempts of an elimination have in common; each has a folder, and is not made twice.

    Attributes:
        student: folder of the fresh student.
        samples: training samples.
        validation: columns question and answer, at least one row.
        encoded: the training samples.
        boundaries: one chunk per step, int64 (n, M + 1).
        roles: of the chunks.
        training: how students are trained: options of `stt`.
        chunks: the step rules.
        check: how answers are checked.
        options: `trial_epochs`, `batch_size`; what decides on attempts does not change them.
        out: folder for the attempts.
        seed: of the run.
        auto_precision: what `bf16: auto` means in all attempts; None: each training decides.
    """

    student: Path
    samples: pa.Table
    validation: pa.Table
    encoded: EncodedSamples
    boundaries: Ints
    roles: Roles
    training: Any
    chunks: ChunkOptions
    check: CheckOptions
    options: SkipOptions
    out: Path
    seed: int
    auto_precision: str | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        self.n_made = self.n_again = 0
        self.trained_by = self.options.trained_in_trials(self.training)
        self.fingerprint = self._fingerprint()

    def attempt(self, dropped: Dropped, *, again: bool = False) -> Attempt:
        """Trains the fresh student without some roles, and answers the questions; an attempt is not made twice."""
        folder = self.out / (_name(dropped) + ("-again" if again else ""))
        noted = self._noted(folder)
        self.n_again += again
        if noted is None:
            self._tell()
            noted = self._make(folder, dropped, self.seed + again)
        self.n_made += 1
        self._tell()
        right = np.array([mark == "1" for mark in noted["right"]])
        return Attempt(dropped, right, noted["tokens_per_answer"], noted["train_target_tokens"])

    def _tell(self) -> None:
        if self.progress is not None:
            n_roles = self.options.trial_passes * self.roles.n_roles
            self.progress(self.n_made, 2 + n_roles + self.n_again)

    def attempts(self) -> list[dict[str, Any]]:
        """The notes of all attempts that were made, whoever asked for them."""
        return [
            parse_object(path.read_bytes(), str(path)) for path in sorted(self.out.glob(f"*/{ATTEMPT_FILE}"))
        ]

    def _make(self, folder: Path, dropped: Dropped, seed: int) -> dict[str, Any]:
        started = time.monotonic()
        skipped, _ = skip_roles(self.roles, dropped)
        whole = self._epoch_tokens(np.zeros_like(skipped))
        passes = min(whole / self._epoch_tokens(skipped), MOST_PASSES)
        epochs = self.options.trial_epochs * passes
        what = f"without {_in_words(dropped)}" if dropped else "on whole rationales"
        with phase_of(self.progress, f"training {what}", "steps") as steps:
            told = None if self.progress is None else PhaseReport(self.progress, steps)
            summary = self._train(folder, skipped, epochs, seed, told)
        with phase_of(self.progress, f"answering, trained {what}", "questions") as answers:
            answered = self._answer(folder / "model", answers)
        noted = {
            "fingerprint": self.fingerprint,
            "dropped": list(dropped),
            **answered,
            "train_target_tokens": summary["train_target_tokens"],
            "train_steps": summary["train_steps"],
            "seconds": round(time.monotonic() - started, 3),
        }
        write_json(folder / ATTEMPT_FILE, noted)
        remove_checkpoints(folder)  # not before: a kill while questions are answered repeats no step
        shutil.rmtree(folder / "model")  # what it answered stays
        return noted

    def _train(
        self, folder: Path, skipped: Bools, epochs: float, seed: int, progress: Progress | None
    ) -> dict[str, Any]:
        return train_method(
            STT,
            student=self.student,
            samples=self.samples,
            out=folder,
            options=self.trained_by.replace(epochs=epochs),
            chunks=self.chunks,
            seed=seed,
            boundaries=self.boundaries,
            skipped=skipped,
            progress=progress,
            auto_precision=self.auto_precision,
            keep_checkpoints=True,
        )

    def _answer(self, model: Path, progress: Progress) -> dict[str, Any]:
        student = Student.load(model)
        answered = answer_questions(
            student.model,
            student.markers,
            student.encode_questions(self.validation["question"].to_pylist()),
            mode="skip",
            decoding=student.decoding.using(batch_size=self.options.batch_size),
            progress=progress,
        )
        verdicts = [
            check_text(self.check, student.answer_text(one), gold)
            for one, gold in zip(answered, self.validation["answer"].to_pylist(), strict=True)
        ]
        return {
            "right": "".join("1" if verdict is Verdict.RIGHT else "0" for verdict in verdicts),
            "unparsed": verdicts.count(Verdict.UNPARSED),
            "tokens_per_answer": sum(one.n_generated for one in answered) / len(answered),
            "prompt_tokens": sum(one.n_prompt for one in answered),
        }

    def _epoch_tokens(self, skipped: Bools) -> int:
        """Target tokens of an epoch without some chunks."""
        thought = self.training.thought
        plan = self.encoded.plan("skip", self.boundaries, skipped=skipped, thought=thought)
        return int(plan.target_lengths_tokens.sum())

    def _noted(self, folder: Path) -> dict[str, Any] | None:
        """The notes of an attempt that was made before a kill.

        Raises:
            RunError: they are damaged, or of other inputs.
        """
        path = folder / ATTEMPT_FILE
        try:
            noted = parse_object(path.read_bytes(), "it")
        except FileNotFoundError:
            return None
        except (OSError, DataError) as error:
            raise RunError(
                f"cannot read {path}: {error}; delete {folder} to make the attempt anew"
            ) from error
        if noted.get("fingerprint") != self.fingerprint:
            raise RunError(
                f"{path} is of another student, other data or options; delete {self.out} to start over"
            )
        return noted

    def _fingerprint(self) -> str:
        made_with = {"trial_epochs": self.options.trial_epochs, "batch_size": self.options.batch_size}
        declared = [made_with, self.trained_by.to_dict(), self.check.to_dict(), self.seed]
        texts = [
            self.samples.to_pylist(),
            self.validation.to_pylist(),
            Student.load(self.student, device="cpu").digest(),
        ]
        digest = hashlib.sha256(json.dumps([declared, texts], sort_keys=True, default=str).encode())
        digest.update(
            np.ascontiguousarray(self.boundaries).tobytes() + np.ascontiguousarray(self.roles.of).tobytes()
        )
        return digest.hexdigest()


def try_roles(
    *,
    student: Path,
    samples: pa.Table,
    validation: pa.Table,
    out: Path,
    training: Any,
    chunks: ChunkOptions,
    check: CheckOptions,
    options: SkipOptions,
    seed: int = 0,
    auto_precision: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Finds the roles of chunks that a student can be trained without, and skips the chunks that have them.

    Args:
        student: folder of the fresh student.
        samples: training samples: columns id, question, rationale, answer.
        validation: columns question and answer.
        out: folder for the attempts, `skip.parquet` and `report.json`.
        training: how students are trained: options of `stt`.
        chunks: the step rules.
        check: how answers are checked.
        options: `roles` and those that begin with `trial_`.
        seed: seeds data order.
        auto_precision: what `bf16: auto` means in all attempts, "bfloat16" or "float32"; None: each training decides.
        progress: called with (attempts, most attempts there can be).

    Returns:
        The report, as `gates.write_decisions` writes it, with roles (example, chunks, dropped), curve (a row per trial:
        roles, dropped, may_go, accuracy, best_accuracy, tokens_per_answer, trainings), foreseen (as
        `foresight.foreseen` has it), rescued (samples that keep a chunk although its role may go, as they would hold
        none), asked, tokens_generated, train_target_tokens (of all attempts), seconds.

    Raises:
        RunError: there is no validation question, or an attempt is of other inputs.
    """
    if validation.num_rows == 0:
        raise RunError(f"the gate trial {NO_VALIDATION}")
    encoded = Student.load(student, device="cpu").encode(samples, chunks.rules)
    boundaries = average_boundaries(encoded.n_steps, int(encoded.n_steps.max()))
    roles = find_roles(encoded.questions, encoded.steps, boundaries, n_roles=options.roles)
    validation = validation.select(["question", "answer"])[: options.trial_questions]
    trials = Trials(
        student, samples, validation, encoded, boundaries, roles, training, chunks, check, options,
        out / "attempts", seed, auto_precision, progress,
    )  # fmt: skip
    tried = eliminate(
        least_new_first(roles, chunk_lengths(encoded, boundaries)),
        trials.attempt,
        likely=seldom_new(roles),
        within=options.trial_within / 100,
        doubt=options.trial_doubt / 100,
        passes=options.trial_passes,
    )
    floor = floor_of(validation["answer"].to_pylist())
    dropped = dropped_by(tried, floor)
    skipped, n_rescued = skip_roles(roles, dropped)
    made, n = trials.attempts(), validation.num_rows
    report = {
        "gate": "trial",
        "judges": 1,
        "foreseen": foreseen(encoded.questions, skipped, roles),
        "roles": [
            {"example": example, "chunks": int((roles.of == role).sum()), "dropped": role in dropped}
            for role, example in enumerate(roles.examples)
        ],
        "curve": [
            {
                "roles": list(trial.roles),
                "dropped": list(trial.without.dropped),
                "may_go": trial.may_go,
                "accuracy": trial.without.accuracy,
                "best_accuracy": trial.best.accuracy,
                "tokens_per_answer": trial.without.tokens_per_answer,
                "trainings": trial.n_trainings,
            }
            for trial in tried
        ],
        "rescued": n_rescued,
        "warnings": [_at_floor(floor)] if is_at_floor(tried, floor) else [],
        "asked": n * len(made),
        "tokens_generated": round(sum(n * one["tokens_per_answer"] for one in made)),
        "prompt_tokens": sum(one["prompt_tokens"] for one in made),
        "prompt_tokens_read": sum(one["prompt_tokens"] for one in made),
        "unparsed": sum(one["unparsed"] for one in made),
        "train_target_tokens": sum(one["train_target_tokens"] for one in made),
        "seconds": round(sum(one["seconds"] for one in made), 3),
    }
    return write_decisions(out, samples, boundaries, skipped, report)


def turns_of_trials(
    report: Mapping[str, Any],
    *,
    student: Path,
    samples: pa.Table,
    boundaries: Ints,
    skipped: Bools,
    rules: str | Sequence[str],
    options: SkipOptions,
) -> Floats:
    """When each skipped chunk goes: role by role, in the order in which the trials dropped them.

    Args:
        report: that of `try_roles`.
        student: folder of the fresh student.
        samples: the training samples.
        boundaries: one chunk per step, int64 (n, M + 1).
        skipped: chunks that are skipped, bool (n, M).
        rules: the step rules.
        options: `roles`.

    Returns:
        float64 (n, M), as `skipping.levels.turns_by_role` gives them.

    Raises:
        RunError: the roles are not those of the report.
    """
    encoded = Student.load(student, device="cpu").encode(samples, rules)
    roles = find_roles(encoded.questions, encoded.steps, boundaries, n_roles=options.roles)
    if [one["chunks"] for one in report["roles"]] != [
        int((roles.of == role).sum()) for role in range(roles.n_roles)
    ]:
        raise RunError(
            "the roles of the chunks are not those of the trials; delete skip-data and run it again"
        )
    # of roles that went at once, those that were to be tried first go first
    gone = [role for trial in report["curve"] if trial["may_go"] for role in trial["roles"]]
    dropped = tuple(role for role in gone if report["roles"][role]["dropped"])
    return turns_by_role(roles.of, dropped, skipped)


def chunk_lengths(encoded: EncodedSamples, boundaries: Ints) -> Ints:
    """Tokens of each chunk, int64 (n, M)."""
    cuts = encoded.step_tokens.offsets[:-1, None] + boundaries
    lengths: Ints = np.diff(encoded.step_tokens.values[cuts], axis=1)
    return lengths


def _name(dropped: Dropped) -> str:
    """The folder of the attempt without some roles."""
    return "without-" + "-".join(map(str, dropped)) if dropped else "whole"


def _in_words(dropped: Dropped) -> str:
    return f"role{'s' * (len(dropped) > 1)} {', '.join(str(role + 1) for role in dropped)}"


def _at_floor(floor: float) -> str:
    why = "the least that says anything"
    if floor > FLOOR:
        why = "a standard error more than the commonest answer gives"
    return AT_FLOOR.format(floor=100 * floor, why=why)
