"""How far greedy search and annealing end above the optimum, on losses of real rationales: `make bench-gap`.

The student is the package's own: a small Llama from scratch, trained chunk-wise with average chunks on rationales of
five teachers, then asked for its losses on samples it has not seen. Written to bench/gap.json, which the report shows.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import inputs
import skipthink

RESULT = Path(__file__).with_name("gap.json")
FILES = (
    "gsm8k",
    "svamp",
    "strategyqa",
    "tracking_shuffled_objects",
    "multiarith_gpt4omini",
    "date_understanding",
)
STAGES = 4
CHUNKS = (2, 4, 8)
OBJECTIVES = ("mean", "variance", "max")
METHODS = {
    "average": {"method": "average"},
    "greedy, η = 0.1": {"method": "greedy", "eta": 0.1},
    "greedy, η = 0": {"method": "greedy", "eta": 0.0},
    "annealing": {"method": "anneal", "eta": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=600, help="samples the student learns from")
    parser.add_argument("--rows", type=int, default=500, help="samples scored")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    if not inputs.DATA.is_dir():
        raise SystemExit(f"no rationales in {inputs.DATA}: the gap is measured on real ones")
    started = time.monotonic()
    scores, loss = student_losses(options.train, options.rows, options.epochs)
    found = {
        "date": datetime.date.today().isoformat(),
        "student": {
            "train_samples": options.train,
            "epochs": options.epochs,
            "mean_token_loss_nats": loss,
            "rows": options.rows,
        },
        "gaps": [
            *gaps(scores["free"], "free", CHUNKS),
            *gaps(scores["conditioned"], "conditioned", (STAGES,)),
        ],
        "seconds": round(time.monotonic() - started),
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


def samples(n: int, split: str, seed: int = 0):
    """Samples of all files in turn, as a table, with rationales of at most 1200 characters."""
    import pyarrow as pa

    rows = []
    for name in FILES:
        with (inputs.DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
            rows.extend(
                {key: str(row[key]) for key in ("id", "question", "rationale", "answer")}
                for line in lines
                if (row := json.loads(line))["rationale"]
                and row["rationale"].strip()
                and row["split"] == split
                and len(row["rationale"]) <= 1200
            )
    picked = np.random.default_rng(seed).permutation(len(rows))[:n]
    return pa.Table.from_pylist([rows[index] for index in picked])


def student_losses(n_train: int, n_rows: int, epochs: float):
    """Stage-free and stage-conditioned losses of held-out samples, and the student's mean loss on them."""
    import torch

    from skipthink.scoring import ChunkOptions
    from skipthink.student import Student
    from skipthink.student.models import make_student
    from skipthink.training import ItemTrainer, make_arguments
    from skipthink.training.methods.base_ac import METHOD

    torch.manual_seed(0)
    train, held_out = samples(n_train, "train"), samples(n_rows, "test")
    texts = [text for column in ("question", "rationale", "answer") for text in train[column].to_pylist()]
    student = Student.of(*make_student(texts, n_chunks=STAGES, seed=0), n_chunks=STAGES)
    with tempfile.TemporaryDirectory() as folder:
        options = METHOD.Options(
            batching="shuffled", epochs=epochs, batch_size=16, learning_rate=4e-3, lr_scheduler="cosine",
            warmup_steps=0.05,
        )  # fmt: skip
        args = make_arguments(options, folder, seed=0, save_strategy="no", use_cpu=True)
        chunks, encoded = ChunkOptions(M=STAGES, method="greedy"), student.encode(train)
        ItemTrainer(student, METHOD, args, encoded=encoded, options=options, chunks=chunks).train()
    scores = {passes: student.score(held_out, passes=passes) for passes in ("free", "conditioned")}
    free = scores["free"]
    return scores, float(free.nll.sum() / free.n_tokens.sum())


def gaps(scores, stages: str, chunks) -> list[dict]:
    """Mean J above the optimum of each method, by M and objective, over the rows that can be searched."""
    found = []
    for m in chunks:
        for objective in OBJECTIVES:
            common = {"objective": objective, **scores.chunk_arguments()}
            losses = common.pop("losses")
            best = skipthink.chunk(None, losses, m, 0.0, method="optimal", **common)
            usable = best.searched
            entry = {"stages": stages, "m": m, "objective": objective, "rows": int(usable.sum())}
            for name, options in METHODS.items():
                run = skipthink.chunk(None, losses, m, **{"eta": 0.0, **options}, **common)
                entry[name] = excess(run.objective[usable], best.objective[usable])
            found.append(entry)
    return found


def excess(objective, optimum) -> dict[str, float]:
    """Excess of J: of the sums, of the worst twentieth of rows in nats, and the share of rows at the optimum."""
    above = objective - optimum
    assert (above >= -1e-9 * np.maximum(np.abs(optimum), 1)).all(), "below the optimum"
    return {
        "relative": float(above.sum() / max(np.abs(optimum).sum(), 1e-12)),
        "p95_nats": float(np.quantile(above, 0.95)),
        "at_optimum": float((above <= 1e-9 * np.maximum(np.abs(optimum), 1)).mean()),
    }


def describe(found) -> str:
    """Markdown: where the losses come from, and the table."""
    student = found["student"]
    return (
        "How far the sum of J over the rows lies above the optimum, and, in brackets, the share of rows that are at "
        "the optimum. Losses are those of a student of the package (three layers, width 96, from scratch), trained "
        f"chunk-wise on {student['train_samples']} rationales of {len(FILES)} tasks for {student['epochs']:g} epochs; "
        f"they are of up to {student['rows']} samples it has not seen (mean token loss "
        f"{student['mean_token_loss_nats']:.2f} nats). Weights are token counts; stage-conditioned losses come with "
        f"end losses. `make bench-gap`, {found['date']}.\n\n{table(found)}"
    )


def table(found) -> str:
    """Markdown: how far the sum of J over the rows lies above the optimum, and the share of rows at the optimum."""
    lines = [
        "| stages | M | objective | rows | " + " | ".join(METHODS) + " |",
        "|---|---|---|---|" + "---|" * len(METHODS),
    ]
    for entry in found["gaps"]:
        cells = [
            f"{100 * entry[name]['relative']:.1f} % ({100 * entry[name]['at_optimum']:.0f} %)"
            for name in METHODS
        ]
        head = f"| {entry['stages']} | {entry['m']} | {entry['objective']} | {entry['rows']} | "
        lines.append(head + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
