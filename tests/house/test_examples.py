"""The programs in examples/ are run as their first lines say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments):
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in sorted(EXAMPLES.glob("*.py")) if path.name not in text] == []


def test_chunk_a_file(tmp_path):
    rows = [
        {"id": "a", "rationale": "One is. Two is. Three is. Four is.", "losses": [0.1, 2.0, 0.2, 0.1]},
        {"id": "b", "rationale": "Short.", "losses": [0.5]},
    ]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "2 rationales, 3 chunks each" in run(EXAMPLES / "chunk_a_file.py", source, tmp_path / "out.jsonl")
    made = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in made] == ["a", "b"]
    assert ["".join(row["chunks"]) for row in made] == [row["rationale"] for row in rows]
    assert made[1]["chunks"] == ["Short.", "", ""]


@pytest.mark.slow
def test_train_a_method_and_ask_the_student(tmp_path):
    trained = run(EXAMPLES / "train_a_method.py", tmp_path, 3)
    assert "step 3 of 3" in trained
    assert "of 50 right" in trained
    asked = run(EXAMPLES / "ask_a_student.py", tmp_path / "trained" / "model", "What is 3 + 4?", "And 2 + 2?")
    assert "base+sbc, mode full" in asked
    assert asked.count("answer: ") == 2
