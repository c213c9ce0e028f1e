"""The command line: what it prints, and one line with the right exit code for every mistake."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import call_cli

import skipthink

ROWS = [
    {"id": "a", "rationale": "One. Two. Three. Four.", "losses": [0.1, 0.1, 0.1, 3.0]},
    {"id": "b", "rationale": "Ein [1] <b>Satz</b>. Zwei.\nÄpfel.", "losses": [1.0, 2.0, 0.5]},
]


def cli(*arguments, cwd=None, check=0):
    """The program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "skipthink", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == check, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def rows_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_version():
    assert cli("--version").stdout == f"skipthink {skipthink.__version__}\n"


def test_help_names_the_commands():
    done = cli("--help")
    assert all(name in done.stdout for name in ("run", "split", "chunk", "doctor"))


def test_doctor_finds_a_working_installation():
    done = cli("doctor")
    assert "core and reference agree" in done.stdout
    assert "BAD" not in done.stdout


def test_split_prints_steps_that_join_to_the_text(rows_file):
    found = [json.loads(line) for line in cli("split", rows_file).stdout.splitlines()]
    assert [row["id"] for row in found] == ["a", "b"]
    assert ["".join(row["steps"]) for row in found] == [row["rationale"] for row in ROWS]
    assert len(found[0]["steps"]) == 4


def test_chunk_writes_parquet(rows_file, tmp_path):
    out = tmp_path / "chunks.parquet"
    call_cli("chunk", rows_file, out, "--chunks", 2, "--method", "optimal", "--eta", 0)
    table = pq.read_table(out)
    expected = skipthink.chunk(
        [row["rationale"] for row in ROWS], [row["losses"] for row in ROWS], 2, 0.0, method="optimal"
    )
    assert table["boundaries"].to_pylist() == expected.boundaries.tolist()
    assert table["chunks"].to_pylist() == [expected[0], expected[1]]
    assert table["objective"].to_pylist() == pytest.approx(expected.objective.tolist())


def test_chunk_reads_token_weights_and_end_losses(tmp_path):
    conditioned = [[[0.1, 0.2], [0.1, 0.3], [2.0, 0.1]]]
    weights, ends = [[1.0, 5.0, 2.0]], [[[0.5, 0.1], [0.2, 0.1], [0.1, 0.4], [0.3, 0.2]]]
    table = {
        "rationale": [["One. ", "Two. ", "Three."]],
        "losses": conditioned,
        "n_tokens": weights,
        "end_losses": ends,
    }
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    out = tmp_path / "out.jsonl"
    call_cli("chunk", tmp_path / "rows.parquet", out, "--chunks", 2, "--method", "optimal", "--eta", 0)
    expected = skipthink.chunk(
        table["rationale"], conditioned, 2, 0.0, method="optimal", n_tokens=weights, end_losses=ends
    )
    row = json.loads(out.read_text())
    assert row["boundaries"] == expected.boundaries[0].tolist()
    assert row["objective"] == pytest.approx(expected.objective[0])


def test_chunk_from_file_to_file_tells_what_it_did(rows_file, tmp_path):
    """Of every kind, with the columns asked for; parts that are there already are not made again."""
    out = tmp_path / "chunks.arrow"
    done = cli("chunk", rows_file, out, "--m", 4, "--keep", "id", "--keep", "losses", "--no-texts")
    assert f"{out}: 2 rows in, 2 out" in done.stderr
    assert "1 of 2 rows have too few steps" in done.stderr
    with pa.memory_map(str(out)) as file:
        table = pa.ipc.open_file(file).read_all()
    assert table.column_names == ["id", "losses", "boundaries", "objective", "initial_objective", "searched"]
    assert table["id"].to_pylist() == ["a", "b"]
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(
        rows_file.read_text().replace("[1.0, 2.0, 0.5]", '[1.0, 2.0, 0.5], "n_tokens": [1, 2, 3]')
    )
    done = call_cli("chunk", mixed, "--m", 2, check=2)
    assert done.stderr.startswith(
        f"error: {mixed}, row 1, line 2 has 'n_tokens', which the first line has not"
    )


def test_average_chunks_need_no_losses(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "One. Two. Three."}\n')
    done = call_cli(
        "chunk", tmp_path / "rows.jsonl", "--chunks", 2, "--method", "average", "--column", "text"
    )
    assert json.loads(done.stdout)["boundaries"] == [0, 2, 3]


def mistakes(tmp_path):
    rows = tmp_path / "rows.jsonl"
    typo = tmp_path / "typo.yaml"
    typo.write_text("name: a\nanswr: number\nchunks: {M: 2, method: greedy}\n")
    nodata = tmp_path / "nodata.yaml"
    nodata.write_text("name: a\nanswer: number\nchunks: {M: 2, method: greedy}\n")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"rationale": "One."}\n{"rationale": \n')
    short = tmp_path / "short.jsonl"
    short.write_text(json.dumps({"rationale": "One. Two. Three.", "losses": [1.0, 2.0]}) + "\n")
    null = tmp_path / "null.jsonl"
    null.write_text('{"id": "x", "rationale": "One."}\n{"id": "y", "rationale": null}\n')
    return {
        "no recipe": (["run", tmp_path / "absent.yaml"], "cannot read the recipe"),
        "recipe with a typo": (["run", typo], "unknown key answr; did you mean answer?"),
        "recipe without data": (["run", nodata], "names no data; give --data FILE"),
        "data that are not there": (
            ["run", nodata, "--data", tmp_path / "absent.jsonl"],
            "cannot read the data",
        ),
        "file that is not there": (["split", tmp_path / "absent.jsonl"], "absent.jsonl"),
        "file that is no JSON": (["split", broken], "broken.jsonl, line 2"),
        "unknown column": (["split", rows, "--column", "reason"], "has no column 'reason'"),
        "missing text": (["split", null], "line 2: rationale is missing"),
        "no losses": (["chunk", null, "--chunks", "2"], "no column 'losses'"),
        "too few losses": (["chunk", short, "--chunks", "2"], "row 0"),
        "M of zero": (["chunk", rows, "--chunks", "0"], "M"),
        "negative eta": (["chunk", rows, "--chunks", "2", "--eta", "-1"], "eta"),
        "unknown method": (["chunk", rows, "--chunks", "2", "--method", "best"], "best"),
        "unknown rules": (["split", rows, "--rules", "words"], "words"),
        "unknown format": (
            ["split", rows, "--out", tmp_path / "out.pickle"],
            "has the ending '.pickle'; name a .parquet",
        ),
    }


def test_mistakes_are_one_line_and_exit_code_2(rows_file, tmp_path, subtests):
    for name, (arguments, message) in mistakes(tmp_path).items():
        with subtests.test(name):
            done = call_cli(*arguments, cwd=tmp_path, check=2)
            assert done.stderr.startswith("error: ")
            assert message in done.stderr
            assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("done.json"))


def test_debug_shows_where(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "skipthink", "--debug", "split", "absent.jsonl"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" in done.stderr


HIDDEN = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
sys.argv = ["skipthink", *{arguments}]
from skipthink.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("names", "arguments", "extra"),
    [
        (["typer"], ["doctor"], "skipthink[cli]"),
        (["pyarrow"], ["split", "rows.jsonl", "--out", "out.parquet"], "skipthink[cli]"),
        (["pydantic"], ["run", "recipe.yaml"], "skipthink[train]"),
    ],
)
def test_a_missing_extra_says_what_installs_it(names, arguments, extra, rows_file):
    code = HIDDEN.format(names=names, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=rows_file.parent, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"error: this command needs the package {names[0]}: pip install '{extra}'\n"


def test_schema_has_every_option_and_those_of_methods_of_ones_own(tmp_path):
    found = json.loads(call_cli("schema").stdout)
    assert {"name", "data", "training", "seeds"} < set(found["properties"])
    assert found["properties"]["methods"]["items"]["enum"][0] == "answer-only"
    overrides = found["$defs"]["TrainingSection_methods"]["properties"]
    assert {"stt", "base+sbc", "icot-si"} < set(overrides)
    assert "corpus" in json.loads(call_cli("schema", "--pretrain").stdout)["properties"]
    (tmp_path / "my_method.py").write_text(
        "from dataclasses import dataclass\n"
        "from skipthink.options import option\n"
        "from skipthink.training.method import Method\n"
        "from skipthink.training.options import TrainingOptions\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class OwnOptions(TrainingOptions):\n"
        "    share_of_mine: float = option(0.5, 'a share', le=1)\n"
        "class Own(Method):\n"
        "    name, Options = 'own', OwnOptions\n"
        "METHOD = Own()\n"
    )
    (tmp_path / "r.yaml").write_text("methods: [base, my_method.py]\n")
    found = json.loads(call_cli("schema", "r.yaml", cwd=tmp_path).stdout)
    assert "my_method.py" in found["properties"]["methods"]["items"]["enum"]
    option = found["$defs"]["TrainingSection"]["properties"]["share_of_mine"]
    assert (option["default"], option["maximum"], option["description"]) == (0.5, 1, "a share")


def test_help_is_what_the_declarations_say():
    text = " ".join(call_cli("chunk", "--help").stdout.split())
    assert "Least gain of an accepted change, in nats. [default: 0.1]" in text
    assert "What the search minimises (mean, variance, max, mass). [default: mean]" in text
