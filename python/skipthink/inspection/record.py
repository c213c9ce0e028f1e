"""A run folder as a record: finished, unfinished, killed or damaged; what cannot be read is named, never raised."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from skipthink.exceptions import DataError, RunError, SkipthinkError
from skipthink.inspection.layout import (
    DONE_FILE,
    JOBS_FILE,
    JOBS_SCHEMA,
    READABLE,
    RECIPE_FILE,
    SPLITS,
)
from skipthink.io.files import parse_json, parse_object

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

T = TypeVar("T")
SECTIONS = ("chunks", "skip", "evaluation")
"""What is read of a recipe; a run writes it with every default."""


@dataclass(frozen=True)
class Missing:
    """Something that a run has not left, or that cannot be read.

    Attributes:
        what: the job or the file, relative to the run folder.
        why: in words.
    """

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True)
class JobRecord:
    """A job of a run, or a part of `evaluate`.

    Attributes:
        name: such as "train/stt/s0".
        kind: "teach", "prepare", "student", "train", "skip-data", "own-answers", "evaluate" or "choose".
        method: the method it trains or evaluates; of skip data the judge, where a run has several.
        seed: of the student; None of jobs that stand once.
        fold: of a cross-fitted student.
        round: of own answers, and of a training that does not learn from the last ones.
        folder: where its files lie.
        is_done: whether it is finished.
        seconds: what it took; None where it is not finished.
        result: what it noted when it finished.
    """

    name: str
    kind: str
    method: str | None
    seed: int | None
    fold: int | None
    round: int | None
    folder: Path
    is_done: bool = False
    seconds: float | None = None
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What a training has left, as far as it is there.

    Attributes:
        job: the job.
        chunks: id, boundaries, chunks and, of methods that use skip data, skipped; of the last epoch.
        items: id, stage, prompt_ids, target_ids; see docs/reference/formats.md.
        epochs: id and, per epoch, boundaries; None where chunks were not searched.
        losses: id, losses, n_tokens, end_losses: the step losses of the last search; None where there was none.
        log: what was logged, an entry per step: step, epoch, loss, learning_rate, grad_norm, batch_items, …
        summary: content of `train.json`.
        model: folder of the trained student.
    """

    job: JobRecord
    chunks: pa.Table | None
    items: pa.Table | None
    epochs: pa.Table | None
    losses: pa.Table | None
    log: list[dict[str, Any]]
    summary: dict[str, Any]
    model: Path

    @property
    def label(self) -> str:
        """Method and seed: "stt/s0"."""
        return label_of(self.job)

    @property
    def loss_points(self) -> list[tuple[float, float]]:
        """The curve of the training loss: optimiser step and loss of each point.

        `train.json` has 100 to 200 points, or one per step of a short training; the log has fewer, and is all there is
        while the training goes on.
        """
        steps, values = self.summary.get("loss_steps"), self.summary.get("loss")
        if isinstance(steps, list) and isinstance(values, list) and steps and len(steps) == len(values):
            return list(zip(steps, values, strict=True))
        return [(line["step"], line["loss"]) for line in self.log if "loss" in line and "step" in line]


@dataclass(frozen=True)
class Judged:
    """What the making of skip data has left, as far as it is there.

    Attributes:
        job: the job.
        skips: id, boundaries, skipped; None until it is finished.
        transcript: a row per question and vote (`skipping.transcript.Reply`), so far.
        report: content of `report.json`.
    """

    job: JobRecord
    skips: pa.Table | None
    transcript: pa.Table | None
    report: dict[str, Any]


def label_of(job: JobRecord) -> str:
    """What a job is about, in short: "stt/s0", "base+sbc/fold1/s0"."""
    numbers = (("round", job.round), ("fold", job.fold), ("s", job.seed))
    parts = (job.method, *(f"{title}{number}" for title, number in numbers if number is not None))
    return "/".join(part for part in parts if part)


class RunRecord:
    """What a run has left in its folder. Tables are read when they are first asked for, and kept.

    What is not there or cannot be read is None, and is named in `missing`.

    Args:
        path: the run folder.

    Attributes:
        recipe: the resolved recipe as plain data.
        jobs: all jobs by name, in the order in which they can run, parts of `evaluate` behind it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._missing: dict[str, Missing] = {}
        self._kept: dict[tuple[Any, ...], Any] = {}
        self.recipe = _read_recipe(path)
        self.jobs = self._read_jobs()

    @property
    def name(self) -> str:
        """The name of the recipe."""
        return str(self.recipe.get("name", self.path.name))

    @property
    def methods(self) -> list[str]:
        """The methods that the run compares, in the order in which they are evaluated: the reference first."""
        return list(dict.fromkeys(str(job.method) for job in self._parts()))

    @property
    def seeds(self) -> list[int]:
        """The seeds of the run."""
        return list(dict.fromkeys(int(job.seed or 0) for job in self._parts()))

    @property
    def n_chunks(self) -> int:
        """M."""
        return int(self.recipe["chunks"]["M"])

    @property
    def evaluated_split(self) -> str:
        """The split whose questions were asked."""
        return str(self.recipe["evaluation"]["split"])

    @property
    def is_finished(self) -> bool:
        """Whether every job is finished."""
        return all(job.is_done for job in self.jobs.values())

    @property
    def missing(self) -> list[Missing]:
        """Jobs that are not finished, and what was looked for so far and could not be read."""
        unfinished = [Missing(job.name, "not finished") for job in self.jobs.values() if not job.is_done]
        return [*unfinished, *self._missing.values()]

    def samples(self, split: str) -> pa.Table | None:
        """The samples of a split, "train", "validation" or "test": id, question, rationale, answer, and more."""
        return self._table(self.path / "data" / f"{split}.parquet", ("id", "question", "answer"))

    def predictions(self, method: str, seed: int) -> pa.Table | None:
        """What a method answered: id, gold, chain, answer, verdict, tokens, …, row by row the evaluated split."""
        job = self.jobs.get(f"evaluate/{method}/s{seed}")
        if job is None or not job.is_done:
            return None
        path = job.folder / "predictions.parquet"
        table, samples = self._table(path, ("id", "verdict")), self.samples(self.evaluated_split)
        if table is None or samples is None:
            return None
        if not table["id"].equals(samples["id"]):
            self._note(path, f"is not about the samples of data/{self.evaluated_split}.parquet")
            return None
        return table

    def trained(self, method: str, seed: int, fold: int | None = None) -> Trained | None:
        """What the training of a method has left; None where the run has no such job."""
        for job in self.jobs.values():
            if (job.kind, job.method, job.seed, job.fold, job.round) == ("train", method, seed, fold, None):
                return self._once(("trained", job.name), partial(self._read_trained, job))
        return None

    def trainings(self) -> list[Trained]:
        """What every training has left, judges that are not compared included; cross-fitted ones are not."""
        jobs = [job for job in self.jobs.values() if job.kind == "train" and job.fold is job.round is None]
        return [
            found for job in jobs if (found := self.trained(str(job.method), int(job.seed or 0))) is not None
        ]

    def judged(self) -> list[Judged]:
        """What the making of skip data has left, one entry per seed and judge."""
        jobs = [job for job in self.jobs.values() if job.kind == "skip-data"]
        return [self._once(("judged", job.name), partial(self._read_judged, job)) for job in jobs]

    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer of the run's students (all seeds have the same markers); needs the package tokenizers."""
        return self._once(("tokenizer",), self._read_tokenizer)

    def results(self) -> dict[str, Any] | None:
        """Content of `results.json`; None before the run is finished."""
        return self._optional(self.path / "results.json")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A file of JSON at the top of the folder (`chunks.json`, `skips.json`); None where it is not there."""
        return self._optional(self.path / name)

    def load_all(self) -> list[Missing]:
        """Reads everything once, so that `missing` names all there is to say; returns it."""
        for split in SPLITS:
            self.samples(split)
        for job in self._parts():
            self.predictions(str(job.method), int(job.seed or 0))
        self.trainings()
        self.judged()
        self.results()
        return self.missing

    def _parts(self) -> list[JobRecord]:
        return [job for job in self.jobs.values() if job.kind == "evaluate" and job.method is not None]

    def _read_jobs(self) -> dict[str, JobRecord]:
        path = self.path / JOBS_FILE
        content = self._guarded(path, lambda: parse_object(path.read_bytes(), "it"))
        if content is None:
            return {}
        schema = content.get("schema")
        if schema != JOBS_SCHEMA:
            raise RunError(_other_format(self.path, f"jobs.json has format {schema}", f"{JOBS_SCHEMA}"))
        for name, entry in content.get("jobs", {}).items():
            readable = READABLE.get(entry.get("kind"), 0)
            if entry.get("format", 0) > readable:
                found = f"{name} has format {entry['format']} (skipthink {entry.get('skipthink')})"
                raise RunError(_other_format(self.path, found, str(readable)))
        entries = {**content.get("jobs", {}), **content.get("evaluations", {})}
        read = {
            name: self._guarded(path, partial(self._read_job, name, entry)) for name, entry in entries.items()
        }
        return {name: job for name, job in read.items() if job is not None}

    def _read_job(self, name: str, entry: dict[str, Any]) -> JobRecord:
        folder = self.path / entry["folder"]
        about = {key: entry[key] for key in ("kind", "method", "seed", "fold")} | {
            "round": entry.get("round")
        }
        done = self._optional(folder / DONE_FILE)
        if done is None:
            return JobRecord(name, folder=folder, **about)
        return JobRecord(
            name, folder=folder, is_done=True, seconds=done["seconds"], result=done["result"], **about
        )

    def _read_trained(self, job: JobRecord) -> Trained:
        checkpoints, folder = job.folder / "checkpoints", job.folder
        if job.is_done:
            searched = (folder / "epochs.parquet").exists()
            epochs = self._table(folder / "epochs.parquet", ("id", "boundaries")) if searched else None
            losses = self._table(folder / "losses.parquet", ("id", "losses")) if searched else None
            return Trained(
                job,
                chunks=self._table(folder / "chunks.parquet", ("id", "boundaries")),
                items=self._table(folder / "items.parquet", ("id", "stage", "prompt_ids", "target_ids")),
                epochs=epochs,
                losses=losses,
                log=self._lines(folder / "log.jsonl", is_expected=True),
                summary=self._guarded(
                    folder / "train.json", lambda: parse_object((folder / "train.json").read_bytes(), "it")
                )
                or {},
                model=folder / "model",
            )
        losses_file = checkpoints / "boundaries" / "losses.parquet"
        epochs = self._guarded(checkpoints / "boundaries", lambda: self._epochs_so_far(checkpoints))
        return Trained(
            job,
            chunks=None,
            items=None,
            epochs=epochs,
            losses=self._table(losses_file, ("id", "losses")) if losses_file.exists() else None,
            log=self._lines(checkpoints / "log.jsonl", is_expected=False),
            summary={},
            model=folder / "model",
        )

    def _epochs_so_far(self, checkpoints: Path) -> pa.Table | None:
        """Boundaries of the epochs of a training that is not finished, whose samples are those of the split."""
        import pyarrow as pa

        from skipthink.training.record import read_epochs

        epochs, samples = read_epochs(checkpoints / "boundaries"), self.samples("train")
        if not epochs or samples is None or samples.num_rows != len(epochs[0]):
            return None
        rows = [[epoch[row].tolist() for epoch in epochs] for row in range(samples.num_rows)]
        return pa.table({"id": samples["id"], "boundaries": rows})

    def _read_judged(self, job: JobRecord) -> Judged:
        folder = job.folder
        if job.is_done:
            transcript = None
            if self.recipe["skip"].get("gate", "answer") == "answer":  # other gates ask nobody
                transcript = self._table(folder / "transcript.parquet", ("id", "chunk", "text", "right"))
            report = self._optional(folder / "report.json") or {}
            return Judged(job, self._table(folder / "skip.parquet", ("id", "skipped")), transcript, report)
        return Judged(job, None, self._open_transcript(folder / "transcript.jsonl"), {})

    def _open_transcript(self, path: Path) -> pa.Table | None:
        """The replies so far of skip data that are being made; the latest to a question counts."""
        import pyarrow as pa

        latest = {(line["id"], line["chunk"], line["vote"]): line for line in self._lines(path)}
        ordered = [latest[key] for key in sorted(latest)]
        return pa.Table.from_pylist(ordered) if ordered else None

    def _read_tokenizer(self) -> Tokenizer | None:
        from tokenizers import Tokenizer as Loaded

        for job in self.jobs.values():
            path = job.folder / "tokenizer.json"
            if job.kind == "student" and path.exists():
                found = self._guarded(path, partial(Loaded.from_file, str(path)))
                if found is not None:
                    return found
        return None

    def _lines(self, path: Path, *, is_expected: bool = False) -> list[dict[str, Any]]:
        """Objects of a file of lines; a torn last line is left out, and lines of the same step are one."""
        if not path.exists() and not is_expected:
            return []
        content = self._guarded(path, path.read_bytes)
        if content is None:
            return []
        whole = content.split(b"\n")[:-1]
        found = self._guarded(path, lambda: [parse_json(line, "it") for line in whole if line.strip()])
        if found is None:
            return []
        if not all("step" in entry for entry in found):
            return found
        merged: dict[int, dict[str, Any]] = {}
        for entry in found:
            merged.setdefault(entry["step"], {}).update(entry)
        return [merged[step] for step in sorted(merged)]

    def _table(self, path: Path, columns: Sequence[str]) -> pa.Table | None:
        return self._once(("table", path), lambda: self._read_table(path, columns))

    def _read_table(self, path: Path, columns: Sequence[str]) -> pa.Table | None:
        import pyarrow.parquet as pq

        table = self._guarded(path, lambda: pq.read_table(path, page_checksum_verification=True))
        if table is not None and (absent := set(columns) - set(table.column_names)):
            self._note(path, f"has no column {min(absent)!r}")
            return None
        return table

    def _optional(self, path: Path) -> dict[str, Any] | None:
        """JSON of a file that need not be there."""
        if not path.exists():
            return None
        return self._guarded(path, lambda: parse_object(path.read_bytes(), "it"))

    def _guarded(self, path: Path, read: Callable[[], T]) -> T | None:
        """What a read gives; a file that is missing or damaged is noted, not raised."""
        try:
            return read()
        except FileNotFoundError:
            self._note(path, "is not there")
        except (
            OSError,
            SkipthinkError,
            ValueError,
            KeyError,
            TypeError,
            EOFError,
            zipfile.BadZipFile,
        ) as error:
            self._note(path, f"cannot be read: {' '.join(str(error).split())}")
        except Exception as error:  # tokenizers raise nothing narrower
            if type(error) is not Exception:
                raise
            self._note(path, f"cannot be read: {error}")
        return None

    def _note(self, path: Path, why: str) -> None:
        what = path.relative_to(self.path).as_posix()
        self._missing[what] = Missing(what, why)

    def _once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept


def open_run(path: str | Path) -> RunRecord:
    """Opens the folder of a run, whatever state it is in.

    Raises:
        DataError: it is no run folder, or its recipe cannot be read.
        RunError: it was written by another skipthink, whose files are others.
    """
    return RunRecord(Path(path))


@functools.cache
def _yaml() -> Any:
    import yaml

    return yaml


def _read_recipe(folder: Path) -> dict[str, Any]:
    path = folder / RECIPE_FILE
    try:
        content = _yaml().safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder} is no run folder: it holds no {RECIPE_FILE}; name the folder that skipthink run wrote"
        ) from None
    except (OSError, ValueError, _yaml().YAMLError) as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {type(content).__name__}, not a recipe")
    absent = [name for name in SECTIONS if not isinstance(content.get(name), dict)]
    if absent:
        raise DataError(f"{path} has no section {absent[0]}: it is not the recipe that skipthink run wrote")
    return content


def _other_format(folder: Path, found: str, read: str) -> str:
    return (
        f"{folder} was written by another skipthink: {found}, and this one reads {read}; use the version that wrote "
        "it, or run it anew"
    )
