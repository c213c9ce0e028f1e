"""`skipthink score`, and that `skipthink chunk` takes what it writes."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import skipthink
from skipthink.cli import app
from skipthink.exceptions import InvalidInputError
from skipthink.io.places import Place
from skipthink.stream.shards import COSTLY_PART_ROWS, PART_ROWS, WHOLE_GROUPS, plan_shard
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


def test_scores_in_parts_are_those_of_one_file(rows_file, student_dir, tmp_path):
    scorer = ["--student", student_dir, "-M", 3, "--device", "cpu"]
    run("score", rows_file, "--out", tmp_path / "whole.jsonl", *scorer)
    whole = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    done = run("score", rows_file, f"{tmp_path}/parts/", "--on-error", "null", *scorer)
    assert "7 rows in, 7 out, 1 bad" in done.stderr
    [part] = (tmp_path / "parts").glob("part-*.parquet")
    found = pq.read_table(part).to_pylist()
    assert [(row["id"], row["rationale"]) for row in found[:6]] == [
        (row["id"], row["rationale"]) for row in whole
    ]
    for row, expected in zip(found, whole, strict=False):
        for name in ("losses", "n_tokens", "end_losses"):
            np.testing.assert_allclose(row[name], expected[name], rtol=1e-4)
    assert found[6]["losses"] is None
    assert found[6]["error"]
    again = run("score", rows_file, f"{tmp_path}/parts/", "--on-error", "null", *scorer)
    assert "7 rows were done before" in again.stderr
    one = pa.Table.from_pylist(found[:6])
    pq.write_table(one.drop_columns("error"), tmp_path / "scored.parquet")
    cuts = []
    for name in ("scored.parquet", "whole.jsonl"):
        lines = run("chunk", tmp_path / name, "-M", 3, "--method", "optimal").stdout.splitlines()
        cuts.append([json.loads(line)["boundaries"] for line in lines])
    assert cuts[0] == cuts[1]


def test_parts_that_a_model_works_on_are_smaller(tmp_path):
    table = pa.table({"question": ["What?"] * 40_000, "rationale": ["One. Two."] * 40_000})
    pq.write_table(table, tmp_path / "rows.parquet")
    sizes = {}
    for name, rows in (("quick", PART_ROWS), ("costly", COSTLY_PART_ROWS)):
        whole = WHOLE_GROUPS if name == "quick" else 1
        shard = plan_shard(
            0, Place.of(tmp_path / "rows.parquet"), Place.of(tmp_path / name), rows, whole_groups=whole
        )
        sizes[name] = [part.n_rows for part in shard.parts]
    assert sizes == {"quick": [40_000], "costly": [13_333, 13_333, 13_334]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["OUT/", "--passes", "both"], "--passes both, --cache and --out are for a single file"),
        (["--workers", 2], "need a place to write to: name OUT"),
        (["--keep", "id"], "need a place to write to: name OUT"),
        (["OUT/", "--gpus", 1], "gpus is of a Ray cluster: give engine ray with it"),
        (["OUT/", "--address", "local"], "address is of a Ray cluster"),
    ],
)
def test_what_does_not_go_together(rows_file, student_dir, tmp_path, arguments, message):
    words = [str(word).replace("OUT", f"{tmp_path}/out") for word in arguments]
    with pytest.raises(InvalidInputError, match=message):
        run("score", rows_file, *words, "--student", student_dir, "-M", 3)


def test_unknown_passes(rows_file, student_dir):
    with pytest.raises(InvalidInputError, match="--passes must be conditioned, free or both, got most"):
        run("score", rows_file, "--student", student_dir, "-M", 3, "--passes", "most")
