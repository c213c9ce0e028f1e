"""Runs that are killed, stopped, crashed or meddled with, at full length on a tiny recipe."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ledger_records import read_ledger

from skipthink.run.folder import RunFolder
from skipthink.run.jobs import PREPARE, build_graph
from skipthink.run.recipe import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

TINY = """
name: tiny
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 24, validation: 4, test: 8}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 1024}
chunks: {M: 2, method: greedy}
training: {epochs: 2, batch_size: 8, save_steps: 2, chunk_dropout: 0.2, skip_weight: null, thought: per-chunk}
skip: {gate: answer, batch_size: 8}
evaluation: {batch_size: 4, alone_questions: 2, stage_questions: 4}
methods: [answer-only, base, base+ac, skip-all, stt]
"""


def command(recipe, out, *arguments):
    return [sys.executable, "-m", "skipthink", "run", str(recipe), "--out", str(out), *map(str, arguments)]


def run(recipe, out, *arguments, check=True):
    """Runs a recipe to its end."""
    done = subprocess.run(command(recipe, out, *arguments), capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def kill_when(recipe, out, is_time):
    """Starts a run and kills it, with SIGKILL, once `is_time()`; False where it ended before."""
    with subprocess.Popen(
        command(recipe, out),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None:
            if is_time():
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.005)
        assert process.returncode == 0, process.stdout.read()
    return False


def results(out):
    return json.loads((Path(out) / "results.json").read_text())


def without_seconds(content):
    """Results less what a clock has measured."""
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in content["methods"]]
    summary = {
        method: {name: value for name, value in measures.items() if "seconds" not in name}
        for method, measures in content["summary"].items()
    }
    return {**content, "methods": rows, "summary": summary}


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody interrupted: (recipe, folder, what it printed)."""
    folder = tmp_path_factory.mktemp("whole")
    recipe = folder / "tiny.yaml"
    recipe.write_text(TINY)
    done = run(recipe, folder / "run")
    return recipe, folder / "run", done.stdout


def jobs_of(recipe):
    return {job.name: job for job in build_graph(load_recipe(recipe))}


def test_results_have_the_schema_of_the_readme(whole):
    _, out, printed = whole
    content = results(out)
    assert list(content) == ["schema", "task", "recipe", "versions", "machine", "methods", "summary"]
    assert (content["schema"], content["task"], content["recipe"]) == (2, "multi_step_arithmetic", "tiny")
    assert [row["method"] for row in content["methods"]] == list(load_recipe(whole[0]).methods)
    for row in content["methods"]:
        assert list(row) == [
            "method", "seed", "n", "right", "wrong", "unparsed", "timeouts", "unended", "looped",
            "accuracy", "accuracy_low", "accuracy_high", "tokens_per_answer", "prompt_tokens_per_answer",
            "seconds_per_answer", "seconds_per_answer_alone", "n_alone", "stage_accuracy", "n_stage", "device", "levels",
            "unparsed_rate", "loop_rate", "precision", "train_steps", "train_target_tokens",
            "speedup_tokens", "speedup_seconds", "speedup_seconds_alone",
        ]  # fmt: skip
        assert row["n"] == row["right"] + row["wrong"] + row["unparsed"] == 8
        assert row["n_alone"] == 2
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        staged = row["method"] in ("base+ac", "base+sbc")
        assert (row["n_stage"], len(row["stage_accuracy"] or [])) == ((4, 3) if staged else (0, 0))
        model = out / "train" / row["method"] / "s0" / "model"
        assert f"| accuracy | {100 * row['accuracy']:.1f} % |" in (model / "README.md").read_text(
            encoding="utf-8"
        )
        assert (model / "chat_template.jinja").is_file()
        assert 0 <= row["accuracy"] <= 1
        assert row["tokens_per_answer"] > 0
        assert row["seconds_per_answer"] > 0
        assert row["train_steps"] > 0
        assert row["train_target_tokens"] > 0
        predictions = pq.read_table(out / "evaluate" / row["method"] / "s0" / "predictions.parquet")
        assert predictions.num_rows == 8
    base = content["methods"][1]
    assert (base["speedup_tokens"], base["speedup_seconds"]) == (1, 1)
    assert (out / "table.txt").read_text().strip() in printed


def documented_files():
    """Patterns of the files that docs/reference/formats.md names for a finished run."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
    for title, folder in (("A run folder", ""), ("A trained student", "train/METHOD/s0/model/")):
        table = text.partition(f"## {title}\n")[2].partition("|---|---|\n")[2].partition("\n\n")[0]
        for name in re.findall(r"`([^`]+)`", " ".join(line.split(" | ")[0] for line in table.splitlines())):
            before, _, rest = (folder + name).partition("{")
            choices, _, after = rest.partition("}")
            for choice in choices.split(","):
                pattern = re.escape(before + choice + after).replace(r"\*", ".+")
                yield re.sub("METHOD|JOB", "[^/]+", pattern)


OTHER_GATES = ("attempts/", "soft.parquet", "orders.npz")
OPTIONAL = (
    "teach/",
    "choose/",
    re.escape("own-answers/"),
    re.escape("own_answers.json"),
    "evaluate/[^/]+/s0/levels",
    *(re.escape(f"skip-data/s0/{name}") for name in OTHER_GATES),
)
"""Of runs with a teacher (tests/teacher/test_run.py), a choice (test_choice.py), own answers or another gate."""


def test_the_page_of_formats_names_every_file_of_a_finished_run(whole):
    _, out, _ = whole
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    patterns = [
        pattern
        for pattern in documented_files()
        if pattern != "train/[^/]+/s0/model/.+" and not pattern.startswith(OPTIONAL)
    ]
    assert not [name for name in files if not any(re.fullmatch(pattern, name) for pattern in patterns)]
    assert not [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in files)]


def test_chunks_are_reported_a_stage(whole):
    _, out, _ = whole
    rows = json.loads((out / "chunks.json").read_text())["chunks"]
    assert [(row["method"], row["stage"]) for row in rows] == [
        (method, stage) for method in ("base+ac", "base+sbc") for stage in (1, 2)
    ]
    steps = pq.read_table(out / "train" / "base+sbc" / "s0" / "chunks.parquet")["boundaries"].to_pylist()
    mean = sum(row[-1] for row in steps) / len(steps)
    assert sum(row["mean_steps"] for row in rows[2:]) == pytest.approx(mean)
    skipped = pq.read_table(out / "skip-data" / "s0" / "skip.parquet")["skipped"].to_pylist()
    assert rows[2]["skipped"] == pytest.approx(sum(row[0] for row in skipped) / len(skipped))


def test_the_same_command_again_keeps_everything(whole):
    recipe, out, _ = whole
    before, notes = results(out), done_times(out)
    done = run(recipe, out)
    assert all(f"kept   {name}  (finished before)" in done.stdout for name in jobs_of(recipe))
    assert "start" not in done.stdout
    assert (results(out), done_times(out)) == (before, notes)


def test_a_changed_recipe_is_refused(whole, tmp_path):
    recipe, out, _ = whole
    changed = tmp_path / "tiny.yaml"
    changed.write_text(
        recipe.read_text().replace("chunks: {M: 2, method: greedy}", "chunks: {M: 3, method: greedy}")
    )
    done = run(changed, out, check=False)
    assert done.returncode == 2
    assert "was made with another recipe: chunks.M is 2 there and 3 now; choose another --out" in done.stderr
    changed.write_text(recipe.read_text() + "workers: 2\n")
    assert run(changed, out).stdout.count("kept") == len(jobs_of(recipe))


def test_a_run_takes_over_what_another_has_computed(whole, tmp_path):
    recipe, out, _ = whole
    changes = ["--set", "skip.continuation=teacher", "--set", "methods=[base, stt]"]
    done = run(recipe, tmp_path / "run", *changes, "--reuse", out)
    taken = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("taken")}
    assert taken == {"prepare", "student/s0", "train/base/s0", "train/base+sbc/s0"}
    started = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("start")}
    assert started == {"skip-data/s0", "train/stt/s0", "evaluate"}
    old, new = (
        next(row for row in without_seconds(results(path))["methods"] if row["method"] == "base")
        for path in (out, tmp_path / "run")
    )
    assert new == old
    assert "kept   train/base/s0" in run(recipe, tmp_path / "run", *changes, "--reuse", out).stdout


def test_what_is_no_run_is_not_reused(tiny, tmp_path):
    done = run(tiny, tmp_path / "run", "--reuse", tmp_path / "nothing", check=False)
    assert done.returncode == 2
    assert "nothing is no run folder: it holds no recipe.yaml; name one, or leave out --reuse" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_killed_in_every_job_ends_like_one_that_was_not(whole, tmp_path):
    recipe, undisturbed, printed = whole
    out = tmp_path / "run"
    killed_in, notes = [], {}
    in_order = [line.split()[1] for line in printed.splitlines() if line.startswith("start ")]
    assert sorted(in_order) == sorted(jobs_of(recipe))
    jobs = jobs_of(recipe)
    for name in in_order:
        if kill_when(recipe, out, lambda name=name: is_within(out, jobs[name])):
            assert not (RunFolder(out).of(jobs[name]) / "done.json").exists()
            killed_in.append(name)
        assert notes.items() <= done_times(out).items(), "a finished job was run again"
        notes = done_times(out)
    asked = ledger_batches(out)
    done = run(recipe, out)
    assert notes.items() <= done_times(out).items()
    assert killed_in == in_order
    assert "start  train" not in done.stdout
    assert without_seconds(results(out)) == without_seconds(results(undisturbed))
    assert asked == ledger_batches(out)
    assert sorted(ledger_batches(out)) == sorted(ledger_batches(undisturbed)), (
        "a question was lost or asked twice"
    )
    for name in ("chunks.parquet", "items.parquet"):
        for method in load_recipe(recipe).methods:
            path = Path("train") / method / "s0" / name
            assert pq.read_table(out / path).equals(pq.read_table(undisturbed / path)), path
    skip = Path("skip-data") / "s0" / "skip.parquet"
    assert pq.read_table(out / skip).equals(pq.read_table(undisturbed / skip))


def is_within(out, job):
    """Whether a job is in the midst of its work, with something to lose."""
    folder = RunFolder(out).of(job)
    if (folder / "done.json").exists():
        return False
    match job.kind:
        case "train":
            return any((folder / "checkpoints").glob("checkpoint-*/skipthink.json"))
        case "skip-data":
            return len(ledger_batches(out)) >= 2
        case "evaluate":
            return any(folder.glob("*/s0/done.json"))
        case _:
            return RunFolder(out).log(job).exists()


def done_times(out):
    """When each finished job was noted as finished."""
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in Path(out).rglob("done.json")}


def ledger_batches(out):
    """What was asked and answered, batch by batch, as texts, less what a clock has measured."""
    ledger = Path(out) / "skip-data" / "s0" / "ledger.bin"
    batches = read_ledger(ledger) if ledger.exists() else []
    return [
        repr((*(part.tolist() for part in parts), {**notes, "seconds": None})) for *parts, notes in batches
    ]


def start(recipe, out):
    """Starts a run and waits for the worker of its first job; (process, worker's id)."""
    process = subprocess.Popen(
        command(recipe, out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not RunFolder(out).log(PREPARE).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    # a worker is in a session of its own before it opens its log
    (worker,) = (child for child in children(process.pid) if os.getsid(child) == child)
    return process, worker


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid):
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


linux_only = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_stopped_run_ends_its_children(tiny, tmp_path, number):
    process, worker = start(tiny, tmp_path / "run")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; the same command goes on" in errors
    assert is_gone(worker)


@linux_only
def test_a_killed_run_takes_its_children_with_it(tiny, tmp_path):
    process, worker = start(tiny, tmp_path / "run")
    process.kill()
    process.communicate()
    assert is_gone(worker)


@linux_only
def test_a_crashed_job_is_reported_with_the_end_of_its_log(tiny, tmp_path):
    process, worker = start(tiny, tmp_path / "run")
    with RunFolder(tmp_path / "run").log(PREPARE).open("a") as log:
        log.write("the last thing it said\n")
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "job prepare was ended by signal 9; it may have run out of memory" in errors
    assert "  | the last thing it said" in errors
    assert "Traceback" not in errors


def test_a_job_that_refuses_its_input_says_why(tiny, tmp_path):
    tiny.write_text(TINY.replace("n_operations: 2", "n_operation: 2"))
    done = run(tiny, tmp_path / "run", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: job prepare: ")
    assert "n_operation" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@linux_only
def test_a_second_run_in_the_same_folder_is_refused(tiny, tmp_path):
    process, worker = start(tiny, tmp_path / "run")
    try:
        os.kill(worker, signal.SIGSTOP)  # the first run has to last longer than the second one waits
        done = run(tiny, tmp_path / "run", check=False)
        assert done.returncode == 2
        assert f"in use by another run (process {process.pid})" in done.stderr
    finally:
        os.kill(worker, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_other_data_are_refused(tmp_path):
    data = tmp_path / "rows.jsonl"
    rows = [
        {"question": f"What is {n} + 1?", "rationale": f"We add. {n} + 1 = {n + 1}.", "answer": str(n + 1)}
        for n in range(12)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe, out = tmp_path / "r.yaml", tmp_path / "run"
    recipe.write_text(
        "name: r\nanswer: number\ndata: {file: rows.jsonl, sizes: {validation: 2, test: 3}}\nchunks: {M: 2, method: greedy}\n"
    )
    (out / "logs").mkdir(parents=True)
    RunFolder(out).adopt(load_recipe(recipe))
    subprocess.run([sys.executable, "-m", "skipthink.run.process", str(out), "prepare"], check=True)
    assert pq.read_table(out / "data" / "train.parquet").num_rows == 7
    data.write_text("".join(json.dumps(row) + "\n" for row in rows[1:]))
    done = run(recipe, out, check=False)
    assert done.returncode == 2
    assert "job prepare in" in done.stderr
    assert "was finished with other data than now; choose another --out" in done.stderr
