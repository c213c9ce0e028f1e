"""Skip data: which chunks the chunk-wise trained student can do without (method §6)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skipthink.answers import Verdict
from skipthink.encoding import EncodedSamples, Ints, encode_samples
from skipthink.evaluation import answer_text, judge
from skipthink.exceptions import InvalidInputError
from skipthink.files import write_json, write_parquet
from skipthink.inference import Decoding, continue_chains
from skipthink.ledger_file import LedgerFile
from skipthink.markers import Markers, get_markers
from skipthink.skip import SkipLedger
from skipthink.students import load_student
from skipthink.training.methods import read_student_file

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class SkipSettings:
    """How chunks are judged.

    Attributes:
        continuation: "student": after a dropped chunk the student writes the later chunks itself; "teacher":
            it is shown the teacher's (an ablation that leaks the answer, method §6).
        votes: continuations a question; the majority decides. More than 1 needs a temperature.
        temperature: 0 for greedy decoding.
        batch_size: prompts generated side by side.
        write_every: questions asked between two writes of the ledger.
        rules: step rules.
        tolerance: of numbers, see `skipthink.answers.check_answer`.
        relative_tolerance: of numbers.
    """

    continuation: str = "student"
    votes: int = 1
    temperature: float = 0.0
    batch_size: int = 128
    write_every: int = 512
    rules: str | tuple[str, ...] = "auto"
    tolerance: float = 1e-6
    relative_tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.continuation not in ("student", "teacher"):
            raise InvalidInputError(f'continuation must be "student" or "teacher", got {self.continuation!r}')
        if self.votes < 1 or (self.votes > 1 and self.temperature <= 0):
            raise InvalidInputError(
                f"votes must be at least 1, and more than one vote needs a temperature above 0; "
                f"got votes={self.votes}, temperature={self.temperature}"
            )


def make_skip_data(
    *,
    model_dir: Path,
    samples: pa.Table,
    boundaries: Ints,
    out: Path,
    n_chunks: int,
    answer_kind: str,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Asks the student, chunk by chunk, what it can do without; goes on from `ledger.bin` after a kill.

    Args:
        model_dir: folder of the chunk-wise trained student, the judge.
        samples: training samples: columns id, question, rationale, answer.
        boundaries: their chunks, int64 (n, M + 1).
        out: folder for `ledger.bin`, `skip.parquet` (id, boundaries, skipped) and `report.json`.
        n_chunks: M.
        answer_kind: kind of the answer check.
        settings: fields of `SkipSettings`.
        seed: seeds sampling.
        progress: called with (rows settled, rows).

    Returns:
        The report: rows, questions asked, skip rate by chunk, tokens generated, seconds.
    """
    options = SkipSettings(**(settings or {}))
    model, tokenizer = load_student(model_dir)
    markers = get_markers(tokenizer, n_chunks)
    encoded = encode_samples(tokenizer, markers, samples, rules=options.rules)
    limits = {int(stage): limit for stage, limit in read_student_file(model_dir)["max_target_tokens"].items()}
    judge_ = _Judge(model, tokenizer, markers, encoded, boundaries, samples["answer"].to_pylist(), answer_kind,
                    options, limits, seed)  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    ledger = SkipLedger(boundaries)
    started = time.monotonic()
    with LedgerFile(
        out / "ledger.bin", ledger, _fingerprint(model_dir, boundaries, encoded, options, seed)
    ) as file:
        while not ledger.done:
            rows, chunks = ledger.next_batch(limit=options.write_every)
            right, n_generated = judge_.ask(rows, chunks, ledger.skipped)
            file.record(rows, chunks, right, tokens=n_generated)
            if progress is not None:
                progress(ledger.n_settled, len(ledger))
        tokens_generated = file.total("tokens")
    skipped = ledger.skipped
    write_parquet(out / "skip.parquet", _table(encoded, boundaries, skipped))
    report = {
        **ledger.stats(),
        "tokens_generated": tokens_generated,
        "seconds": round(time.monotonic() - started, 3),
    }
    write_json(out / "report.json", report)
    return report


class _Judge:
    """Asks the student questions about (row, chunk)."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        markers: Markers,
        encoded: EncodedSamples,
        boundaries: Ints,
        gold: list[str],
        answer_kind: str,
        options: SkipSettings,
        limits: Mapping[int, int],
        seed: int,
    ) -> None:
        self.model, self.tokenizer, self.markers = model, tokenizer, markers
        self.encoded, self.boundaries, self.gold = encoded, boundaries, gold
        self.answer_kind, self.options, self.limits, self.seed = answer_kind, options, limits, seed

    def ask(
        self, rows: Ints, chunks: Ints, skipped: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], int]:
        """Whether the student is right, a question, bool (n_questions,); and the tokens that took."""
        questions = [self.encoded.question[row] for row in rows]
        prefixes, first_stages = [], []
        for row, chunk in zip(rows, chunks, strict=True):
            prefix = self._prefix(int(row), int(chunk), skipped[row])
            first = int(chunk) + 1
            if self.options.continuation == "teacher":
                prefix += self._later_chunks(int(row), int(chunk))
                first = self.markers.n_chunks + 1
            prefixes.append(prefix)
            first_stages.append(first)
        votes, n_generated = np.zeros(len(rows), dtype=np.int64), 0
        for vote in range(self.options.votes):
            decoding = Decoding(
                self.limits, self.options.batch_size, self.options.temperature, self.seed + 7919 * vote
            )
            answered = continue_chains(
                self.model, self.markers, questions, prefixes, first_stages, decoding=decoding
            )
            for index, result in enumerate(answered):
                text = answer_text(self.tokenizer, result)
                verdict = judge(self.answer_kind, text, self.gold[rows[index]],
                                tolerance=self.options.tolerance,
                                relative_tolerance=self.options.relative_tolerance)  # fmt: skip
                votes[index] += verdict is Verdict.RIGHT
                n_generated += result.n_generated
        return votes * 2 > self.options.votes, n_generated

    def _prefix(self, row: int, chunk: int, skipped: npt.NDArray[np.bool_]) -> list[int]:
        """Chunks 1 … chunk as the student is shown them: kept, `[thought]` where skipped, the asked one dropped."""
        prefix: list[int] = []
        for earlier in range(1, chunk + 1):
            dropped = earlier == chunk or skipped[earlier - 1]
            prefix += (
                [self.markers.thought] if dropped and self._chunk(row, earlier) else self._chunk(row, earlier)
            )
        return prefix

    def _later_chunks(self, row: int, chunk: int) -> list[int]:
        return [
            token
            for later in range(chunk + 1, self.markers.n_chunks + 1)
            for token in self._chunk(row, later)
        ]

    def _chunk(self, row: int, chunk: int) -> list[int]:
        cuts = self.encoded.step_tokens[row]
        start, end = cuts[self.boundaries[row, chunk - 1]], cuts[self.boundaries[row, chunk]]
        tokens: list[int] = self.encoded.rationale[row][start:end].tolist()
        return tokens


def _fingerprint(
    model_dir: Path, boundaries: Ints, encoded: EncodedSamples, options: SkipSettings, seed: int
) -> str:
    """What the answers depend on: another judge, other chunks or other data must not continue this ledger."""
    digest = hashlib.sha256()
    for path in sorted(model_dir.glob("*.safetensors")):
        digest.update(path.read_bytes())
    digest.update(np.ascontiguousarray(boundaries).tobytes())
    digest.update(json.dumps([encoded.ids, repr(options), seed]).encode())
    digest.update(encoded.rationale.values.tobytes() + encoded.question.values.tobytes())
    return digest.hexdigest()


def _table(encoded: EncodedSamples, boundaries: Ints, skipped: npt.NDArray[np.bool_]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"id": encoded.ids, "boundaries": boundaries.tolist(), "skipped": skipped.tolist()})
