"""`skipthink score`, and that `skipthink chunk` takes what it writes."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import skipthink
from skipthink.cli import app
from skipthink.exceptions import InvalidInputError
from skipthink.student.score import score_sequences


@pytest.fixture(scope="module")
def rows_file(samples, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [{**row, "split": "train"} for row in samples.slice(0, 6).to_pylist()]
    rows.append({"id": "test", "question": "What?", "answer": "1", "split": "test"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_scores_are_those_of_the_call_and_chunk_reads_them(
    rows_file, student_dir, student, encoded, markers, tmp_path
):
    out = tmp_path / "losses.jsonl"
    done = run("score", rows_file, "--student", student_dir, "-M", 3, "--passes", "both", "--out", out,
               "--cache", tmp_path / "cache", "--device", "cpu")  # fmt: skip
    assert "1 of 7 rows are not scored: evaluation row without rationale 1" in done.stderr
    assert "conditioned passes: 18 sequences scored in " in done.stderr
    assert "free passes: 6 sequences scored in " in done.stderr
    assert "stage-free against stage-conditioned losses, 6 of 6 samples with a choice" in done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    expected = score_sequences(student, encoded, markers)
    for index, row in enumerate(rows):
        assert list(row) == ["id", "rationale", "losses", "n_tokens", "end_losses"]
        assert row["id"] == encoded.ids[index]
        for name, values in expected.row(index).items():
            np.testing.assert_allclose(row[name], values, rtol=1e-5)
    chunks = [
        json.loads(line) for line in run("chunk", out, "-M", 3, "--method", "optimal").stdout.splitlines()
    ]
    found = skipthink.chunk(None, M=3, method="optimal", **expected.chunk_arguments())
    assert [row["boundaries"] for row in chunks] == found.boundaries[:6].tolist()
    again = run(
        "score",
        rows_file,
        "--student",
        student_dir,
        "-M",
        3,
        "--cache",
        tmp_path / "cache",
        "--device",
        "cpu",
    )
    assert "0 sequences scored in 0 batches, 18 from the cache" in again.stderr
    assert [json.loads(line) for line in again.stdout.splitlines()] == rows


def test_stage_free_scores_have_one_number_a_step(rows_file, student_dir, tmp_path):
    out = tmp_path / "losses.parquet"
    run(
        "score",
        rows_file,
        "--student",
        student_dir,
        "-M",
        3,
        "--passes",
        "free",
        "--out",
        out,
        "--device",
        "cpu",
    )
    chunks = run("chunk", out, "-M", 3, "--method", "optimal").stdout.splitlines()
    assert len(chunks) == 6


def test_unknown_passes(rows_file, student_dir):
    with pytest.raises(InvalidInputError, match="--passes must be conditioned, free or both, got most"):
        run("score", rows_file, "--student", student_dir, "-M", 3, "--passes", "most")
