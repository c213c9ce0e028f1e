"""Chunks the rationales of a JSONL file by search on their losses.

    python examples/chunk_a_file.py IN.jsonl OUT.jsonl

Each line of IN has `id`, `rationale` and `losses` (the mean loss of each step, as `skipthink score` writes them).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import skipthink

N_CHUNKS = 3


def main(source: Path, target: Path) -> None:
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    rationales = [row["rationale"] for row in rows]
    chunking = skipthink.chunk(rationales, [row["losses"] for row in rows], N_CHUNKS, method="optimal")
    with target.open("w", encoding="utf-8") as out:
        for row, chunks in zip(rows, chunking, strict=True):
            out.write(json.dumps({"id": row["id"], "chunks": chunks}, ensure_ascii=False) + "\n")
    print(f"{len(rows)} rationales, {N_CHUNKS} chunks each, in {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
