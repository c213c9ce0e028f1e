"""The work of `skipthink score`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from skipthink.data import load_samples
from skipthink.exceptions import InvalidInputError
from skipthink.io.progress import Display, Meter
from skipthink.scoring.agreement import compare_passes
from skipthink.scoring.score import score_steps
from skipthink.student.losses import StepLosses
from skipthink.student.score import PASSES
from skipthink.student.student import Student


def score_file(
    file: Path,
    *,
    student: str,
    n_chunks: int,
    passes: str,
    rules: str,
    batch_tokens: int,
    autocast: str | None,
    device: str | None,
    cache: Path | None,
    say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Scores the samples of a file.

    Args:
        file: see `skipthink.data.load_samples`; rows without a rationale are left out and counted.
        student: folder or name; markers it lacks are added, their rows drawn at random with seed 0.
        n_chunks: M.
        passes: "conditioned", "free" or "both".
        rules: step rules.
        batch_tokens: see `score_steps`.
        autocast: see `score_steps`.
        device: where the student runs; None: see `skipthink.student.devices.choose_device`.
        cache: see `score_steps`.
        say: told, line by line, what is to be said beside the rows.

    Yields:
        A row per sample: id, rationale, losses, n_tokens and, stage-conditioned, end_losses.

    Raises:
        SkipthinkError: whatever loading, encoding or scoring refuses.
    """
    if passes not in (*PASSES, "both"):
        raise InvalidInputError(f"--passes must be conditioned, free or both, got {passes}")
    loaded = load_samples(file, teacher="all")
    samples = loaded.table.filter(pc.is_valid(loaded.table["rationale"]))
    left_out = {
        **loaded.report["dropped"],
        "evaluation row without rationale": loaded.table.num_rows - samples.num_rows,
    }
    if samples.num_rows < loaded.report["read"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in left_out.items() if count)
        say(
            f"{loaded.report['read'] - samples.num_rows} of {loaded.report['read']} rows are not scored: {reasons}"
        )
    model = Student.load(student, n_chunks=n_chunks, device=device)
    encoded = model.encode(samples, rules)
    found: dict[str, StepLosses] = {}
    for kind in PASSES if passes == "both" else (passes,):
        meter = Meter(f"scoring, {kind} passes", "tokens", Display(sys.stderr))
        options: dict[str, Any] = {"batch_tokens": batch_tokens, "autocast": autocast, "cache": cache}
        found[kind] = score_steps(model, encoded, passes=kind, progress=meter, **options)
        meter.close()
        say(describe(kind, found[kind]))
    if passes == "both":
        say(str(compare_passes(found["conditioned"], found["free"])))
    losses = found["free" if passes == "free" else "conditioned"]
    texts = samples["rationale"].to_pylist()
    for row, (row_id, text) in enumerate(zip(encoded.ids, texts, strict=True)):
        yield {"id": row_id, "rationale": text, **losses.row(row)}


def describe(passes: str, losses: StepLosses) -> str:
    """One line about how scores were computed."""
    report = losses.report
    text = (
        f"{passes} passes: {report['scored']:,.0f} sequences scored in {report['passes']:,.0f} batches, "
        f"{report['cached']:,.0f} from the cache, {report['tokens_per_second']:,.0f} tokens/s, "
        f"{report['seconds']:.1f} s"
    )
    if report["halved_batches"]:
        text += f"; memory ran out {report['halved_batches']:.0f} times: --batch-tokens is too large"
    return text
