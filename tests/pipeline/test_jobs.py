"""Jobs of a recipe and run folders: order, fingerprints, locks and refusals."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skipthink
from skipthink.exceptions import DataError, RecipeError, RunError
from skipthink.run import folder as folders
from skipthink.run import jobs
from skipthink.run.fingerprints import FORMATS, Kind, fingerprint_of, hash_files
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import PREPARE, Job, build_graph
from skipthink.run.prepare import prepare_splits
from skipthink.run.process import unit_of
from skipthink.run.recipe import load_recipe, parse_recipe
from skipthink.run.runner import run_recipe
from skipthink.run.work import run_job
from skipthink.training.methods import own_methods

SMALL = """
name: small
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 2}}
chunks: {M: 3, method: greedy}
"""


COMPARED = ("answer-only", "base", "base+ac", "skip-all", "stt")
PAPER = ["skip.gate=answer", "training.skip_weight=null", "training.thought=per-chunk"]
"""Skipping as the paper does it: with a judge, which jobs wait for."""
BASE = Job(Kind.TRAIN, "base", 0)


def graph_of(extra="", changes=()):
    named = [] if "methods: [" in extra else [f"methods=[{', '.join(COMPARED)}]"]
    return build_graph(parse_recipe(SMALL + extra, name="r", changes=[*PAPER, *named, *changes]))


def needs_of(graph, name):
    return [job.name for job in graph.needs[graph.named(name)]]


def changed(extra="", changes=()):
    """Names of the jobs whose fingerprint a change of the recipe changes."""
    before, after = graph_of(), graph_of(extra, changes)
    return {
        job.name
        for job in before
        if job in after.needs and before.fingerprints[job] != after.fingerprints[job]
    }


def test_every_job_stands_behind_those_it_needs():
    graph = graph_of("seeds: [0, 1]")
    order = list(graph)
    assert len(order) == 1 + 2 * (1 + 4 + 1 + 2) + 1
    for job in order:
        assert all(order.index(need) < order.index(job) for need in graph.needs[job])


@pytest.mark.parametrize(
    ("job", "name", "folder"),
    [
        (Job(Kind.PREPARE), "prepare", "data"),
        (Job(Kind.STUDENT, seed=0), "student/s0", "student/s0"),
        (Job(Kind.TRAIN, "base+sbc", 3), "train/base+sbc/s3", "train/base+sbc/s3"),
        (Job(Kind.TRAIN, "base+sbc", 0, 1), "train/base+sbc/fold1/s0", "train/base+sbc/fold1/s0"),
        (Job(Kind.SKIP_DATA, seed=0), "skip-data/s0", "skip-data/s0"),
        (Job(Kind.EVALUATE), "evaluate", "evaluate"),
        (Job(Kind.EVALUATE, "stt", 0), "evaluate/stt/s0", "evaluate/stt/s0"),
    ],
)
def test_a_job_has_the_name_of_what_it_does(job, name, folder):
    assert (job.name, job.folder) == (name, folder)


def test_the_longest_chain_starts_first():
    ranks = {job.name: rank for job, rank in graph_of().ranks.items()}
    assert (
        max((name for name in ranks if name.startswith("train/")), key=ranks.__getitem__)
        == "train/base+sbc/s0"
    )
    assert ranks["skip-data/s0"] > ranks["train/base/s0"]
    assert ranks["prepare"] == max(ranks.values())


def test_skipping_brings_in_its_judge():
    graph = graph_of("methods: [base, stt]")
    names = [job.name for job in graph]
    assert "train/base+sbc/s0" in names
    assert needs_of(graph, "train/stt/s0") == ["prepare", "student/s0", "train/base+sbc/s0", "skip-data/s0"]
    assert "train/skip-all/s0" not in names
    assert "skip-data/s0" not in [job.name for job in graph_of("methods: [base, base+ac]")]
    dropping_all = graph_of("methods: [base, skip-all]")
    assert "skip-data/s0" not in [job.name for job in dropping_all]
    assert "train/base+sbc/s0" in needs_of(dropping_all, "train/skip-all/s0")
    with pytest.raises(RunError, match="no job 'train/sst/s0'; the jobs of this run are prepare, student/s0"):
        graph.named("train/sst/s0")


def test_by_default_nobody_is_asked():
    graph = build_graph(parse_recipe(SMALL, name="r"))
    trained = {job.name for job in graph if job.kind is Kind.TRAIN}
    assert trained == {f"train/{name}/s0" for name in ("answer-only", "base", "base-trim", "stt")}
    assert needs_of(graph, "skip-data/s0") == ["prepare", "student/s0"]
    assert needs_of(graph, "train/stt/s0") == ["prepare", "student/s0", "skip-data/s0"]


def test_progress_counts_what_a_training_spends():
    methods = "base: {budget: {base_epochs: 2}}, answer-only: {budget: {seconds: 9}}"
    graph = graph_of(f"training: {{methods: {{{methods}}}}}")
    units = {job.name: unit_of(graph, job) for job in graph}
    assert units["train/base/s0"] == "target tokens"
    assert units["train/answer-only/s0"] == ""  # seconds have no rate
    assert units["train/base+ac/s0"] == "steps"
    assert (units["skip-data/s0"], units["evaluate"]) == ("samples", "")
    trials = build_graph(parse_recipe(SMALL, name="r"))
    assert unit_of(trials, trials.named("skip-data/s0")) == "trials"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("training.methods.stt={skip_weight: 0.5, full_items: one-pass}", False),
        ("training.methods.stt={max_steps: 5}", False),
        ("training.methods.stt={epochs: 7}", False),
        ("training.methods.stt={budget: {base_epochs: 7}}", False),
        ("training.methods.stt={learning_rate: 0.1}", True),
        ("training.methods.stt={thought: per-chunk}", True),
        ("chunks.method=average", False),
        ("chunks.rules=lines", True),
        ("skip.trial_epochs=1", True),
    ],
)
def test_trials_are_made_again_if_they_would_be_trained_in_another_way(change, again):
    """What else is changed in `stt` trains it anew, on the skip data that are there."""
    before, after = (
        build_graph(parse_recipe(SMALL + "methods: [stt]", name="r", changes=changes))
        for changes in ([], [change])
    )
    trials = before.named("skip-data/s0")
    assert (before.fingerprints[trials] != after.fingerprints[trials]) is again


def test_data_without_validation_questions_are_refused_with_the_splits(tmp_path, monkeypatch):
    """Where a recipe cannot know it, the first job says so; gates and methods that need none go on."""

    def without(options, answer_kind):
        splits, report = prepare_splits(options, answer_kind)
        return {**splits, "validation": splits["validation"][:0]}, report

    monkeypatch.setattr("skipthink.run.prepare.prepare_splits", without)
    for number, changes in enumerate([[], ["skip.gate=rule"], ["methods=[base]"]]):
        recipe, folder = parse_recipe(SMALL, name="r", changes=changes), RunFolder(tmp_path / str(number))
        (folder.path / "logs").mkdir(parents=True)
        folder.adopt(recipe)
        arguments = (folder, build_graph(recipe), PREPARE, lambda done, total: None)
        if changes:
            run_job(*arguments)
            continue
        with pytest.raises(DataError, match=r"the gate trial of stt decides on validation questions, and there are none: "
                           r"data\.sizes\.validation: 200 takes some .*; skip: \{gate: answer\}"):  # fmt: skip
            run_job(*arguments)
        assert not (folder.of(PREPARE) / "done.json").exists()


def prepared(tmp_path, changes):
    """What the first job of a run gives."""
    recipe, folder = parse_recipe(SMALL, name="r", changes=changes), RunFolder(tmp_path / "run")
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(recipe)
    run_job(folder, build_graph(recipe), PREPARE, lambda done, total: None)
    return json.loads((folder.of(PREPARE) / "done.json").read_bytes())["result"]


@pytest.mark.parametrize("changes", [[], ["skip.gate=random"], ["training.full_items=both"]])
def test_an_item_per_step_needs_a_marker_per_step(tmp_path, changes):
    """Said before anything is trained; with the gate `trial`, hours of it."""
    with pytest.raises(DataError) as refused:
        prepared(tmp_path, ["training.skip_weight=0.5", *changes])
    sample, most = re.match(
        r"training sample (\S+) has (\d+) steps, and stt trains on an item", str(refused.value)
    ).groups()
    assert "chunks.M is 3; raise it to" in str(refused.value)
    assert sample.startswith("multi_step_arithmetic-train-")
    assert int(most) > 3
    prepared(tmp_path / "raised", ["training.skip_weight=0.5", *changes, f"chunks.M={most}"])


@pytest.mark.parametrize(
    "changes",
    [["training.full_items=one-pass"], ["training.skip_weight=1"], ["skip.gate=answer"], ["methods=[base, base+ac]"]],
)  # fmt: skip
def test_without_an_item_per_step_there_may_be_more_steps_than_markers(tmp_path, changes):
    prepared(tmp_path, ["training.skip_weight=0.5", *changes])


def test_few_validation_questions_are_a_warning(tmp_path):
    few = prepared(tmp_path / "few", ["data.sizes.validation=25"])
    assert few["warnings"] == [
        "the gate trial of stt decides on 25 validation questions, by which differences of up to 20 points may be chance; "
        "give it 100 or more (data.sizes.validation)"
    ]
    assert not prepared(tmp_path / "enough", ["data.sizes.validation=100"])["warnings"]
    assert not prepared(tmp_path / "judge", ["skip.gate=answer"])["warnings"]


def test_a_judge_without_a_search_is_trained_once():
    def chunkwise(extra=""):
        graph = graph_of("methods: [base, base+ac, stt]\n" + extra, changes=["chunks.method=average"])
        return [job.name for job in graph if "base+" in job.name]

    assert chunkwise() == ["train/base+ac/s0"]
    apart = "training: {methods: {base+sbc: {chunk_dropout: 0.1}}}"
    assert chunkwise(apart) == ["train/base+ac/s0", "train/base+sbc/s0"]


@pytest.mark.parametrize(
    ("extra", "kinds"),
    [
        ("evaluation: {batch_size: 3}", {"evaluate"}),
        ("skip: {votes: 1, batch_size: 3}", {"skip-data", "train/stt", "evaluate"}),
        ("training: {methods: {base: {epochs: 9}}}", {"train/base", "evaluate"}),
        (
            "student: {num_layers: 1}",
            {"student", "skip-data", "evaluate", *(f"train/{name}" for name in (*COMPARED, "base+sbc"))},
        ),
        ("workers: 2\nthreads: 2", set()),
    ],
)
def test_a_change_touches_what_depends_on_it(extra, kinds):
    assert {name.removesuffix("/s0") for name in changed(extra)} == kinds


SKIPPERS = {"train/stt", "train/skip-all", "evaluate"}
BEHIND_THE_JUDGE = {"train/base+sbc", "skip-data", *SKIPPERS}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("chunks.objective=max", BEHIND_THE_JUDGE),
        ("chunks.research_every=2", BEHIND_THE_JUDGE),
        ("chunks.rules=lines", {*(f"train/{name}" for name in COMPARED), *BEHIND_THE_JUDGE}),
        ("training.chunk_dropout=0.1", {"train/base+ac", *BEHIND_THE_JUDGE}),
        ("training.methods.base+sbc.chunk_dropout=0.1", BEHIND_THE_JUDGE),
        ("training.thought=collapse", SKIPPERS),
        ("training.truncate=0.3", set()),
    ],
)
def test_a_method_depends_on_what_it_uses_alone(change, kinds):
    assert {name.removesuffix("/s0") for name in changed(changes=[change])} == kinds


def test_content_of_the_data_counts_not_their_place(tmp_path):
    def prepare(file):
        recipe = parse_recipe(
            f"name: a\nanswer: number\ndata: {{file: {file}}}\nchunks: {{M: 2, method: greedy}}", name="r"
        )
        return build_graph(recipe).fingerprints[PREPARE]

    (tmp_path / "a.jsonl").write_text("1")
    (tmp_path / "b.jsonl").write_text("1")
    (tmp_path / "c.jsonl").write_text("2")
    assert prepare(tmp_path / "a.jsonl") == prepare(tmp_path / "b.jsonl") != prepare(tmp_path / "c.jsonl")
    with pytest.raises(RunError, match=r"cannot read the data: .*absent\.jsonl.*give --data FILE"):
        prepare(tmp_path / "absent.jsonl")


def test_a_folder_is_hashed_with_its_names(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "a").write_text("x")
    (tmp_path / "two" / "b").write_text("x")
    assert hash_files(tmp_path / "one") != hash_files(tmp_path / "two")


def test_fingerprints_tell_types_apart():
    assert fingerprint_of("1") != fingerprint_of(1)
    assert fingerprint_of({"a": 1, "b": 2}) == fingerprint_of({"b": 2, "a": 1})


def test_a_finished_job_is_found_and_refused_with_other_inputs(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.done(BASE, "abc") is None
    folder.finish(BASE, "abc", {"train_steps": 3}, 1.0)
    assert folder.done(BASE, "abc")["result"] == {"train_steps": 3}
    with pytest.raises(RunError, match=r"job train/base/s0 in .* was finished with other inputs than now"):
        folder.done(BASE, "abd")


def test_a_job_of_another_run_is_taken_over_where_it_is_the_same(tmp_path):
    other, folder = RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    assert not folder.take_over(BASE, "abc", other)
    (other.of(BASE) / "model").mkdir(parents=True)
    (other.of(BASE) / "model" / "weights").write_text("1")
    assert not folder.take_over(BASE, "abc", other)  # not finished
    other.finish(BASE, "abc", {"train_steps": 3}, 1.0)
    assert not folder.take_over(BASE, "abd", other)
    assert folder.done(BASE, "abc") is None
    (folder.of(BASE) / "model").mkdir(parents=True)
    (folder.of(BASE) / "model" / "weights").write_text("half")  # a kill in the midst of copying
    assert folder.take_over(BASE, "abc", other)
    assert folder.done(BASE, "abc") == other.done(BASE, "abc")
    assert (folder.of(BASE) / "model" / "weights").read_text() == "1"


def test_what_cannot_be_taken_over_is_named(tmp_path):
    other, folder = RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    other.finish(PREPARE, "abc", {}, 1.0)
    (other.of(PREPARE) / "done.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot take .*data over: .*leave out --reuse"):
        folder.take_over(PREPARE, "abc", other)


def test_a_damaged_note_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.finish(PREPARE, "abc", {}, 1.0)
    (tmp_path / "data" / "done.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot read .*done\.json.*delete it to run the job again"):
        folder.done(PREPARE, "abc")


def test_a_folder_keeps_to_its_recipe(tmp_path):
    folder = RunFolder(tmp_path)
    folder.adopt(parse_recipe(SMALL, name="r"))
    folder.adopt(parse_recipe(SMALL + "workers: 2", name="r"))
    assert folder.recipe().workers == 2
    with pytest.raises(
        RunError, match=r"made with another recipe: training\.batch_size is 32 there and 16 now; choose"
    ):
        folder.adopt(parse_recipe(SMALL + "training: {batch_size: 16}", name="r"))


HOLD = """
import sys, time
from skipthink.run.folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "LOCK_WAIT_SECONDS", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(RunError, match=rf"in use by another run \(process {holder.pid}\)"),
                RunFolder(tmp_path).locked(),
            ):
                pass
        finally:
            holder.kill()
    with RunFolder(tmp_path).locked():  # a killed run leaves no lock behind
        pass


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match=r"cannot use .*file as a run folder"),
        RunFolder(tmp_path / "file").locked(),
    ):
        pass


def test_notes_are_plain_json(tmp_path):
    RunFolder(tmp_path).finish(Job(Kind.STUDENT, seed=0), "abc", {"parameters": 5}, 1.23456)
    content = json.loads((tmp_path / "student" / "s0" / "done.json").read_text())
    assert content == {
        "schema": 2,
        "job": "student/s0",
        "skipthink": skipthink.__version__,
        "format": FORMATS[Kind.STUDENT],
        "fingerprint": "abc",
        "seconds": 1.235,
        "result": {"parameters": 5},
    }


def test_no_result_of_another_version_is_kept_or_reused(tmp_path, monkeypatch):
    """Neither a finished job, nor a begun one, nor one of another run; the message says what to do."""
    recipe = parse_recipe(SMALL, name="r")
    old, new = RunFolder(tmp_path / "old"), RunFolder(tmp_path / "new")
    (old.path / "logs").mkdir(parents=True)
    old.adopt(recipe)
    before = build_graph(recipe)
    old.begin(before)
    run_job(old, before, PREPARE, lambda done, total: None)
    (old.of(BASE) / "checkpoints").mkdir(parents=True)
    assert new.take_over(PREPARE, before.fingerprints[PREPARE], old)

    for name, value, said in (
        (
            "skipthink.__version__",
            "999.0",
            r"by skipthink \S+ \(format 1\), and this is skipthink 999\.0 \(format 1\)",
        ),
        (
            "skipthink.run.fingerprints.FORMATS",
            {**FORMATS, Kind.PREPARE: 2},
            r"by skipthink \S+ \(format 1\), and this is skipthink \S+ \(format 2\)",
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, value)
            after = build_graph(recipe)
            assert not {*after.fingerprints.values()} & {*before.fingerprints.values()}
            with pytest.raises(
                RunError, match=rf"job prepare in .* was finished {said}.*; choose another --out"
            ):
                run_recipe(recipe, old.path)
            assert not RunFolder(tmp_path / name).take_over(PREPARE, after.fingerprints[PREPARE], old)

    # what a killed process has left is not gone on with either, though nothing it needs has changed
    monkeypatch.setattr("skipthink.run.fingerprints.FORMATS", {**FORMATS, Kind.TRAIN: 99})
    after = build_graph(recipe)
    assert after.fingerprints[PREPARE] == before.fingerprints[PREPARE]
    with pytest.raises(
        RunError, match=r"job train/base/s0 in .* was begun by skipthink .* \(format 2\).*\(format 99\)"
    ):
        run_recipe(recipe, old.path)
    shutil.rmtree(old.of(BASE))
    old.begin(after)


def test_a_folder_of_an_older_skipthink_says_so(tmp_path):
    """Its notes name no version."""
    folder = RunFolder(tmp_path)
    folder.of(PREPARE).mkdir()
    (folder.of(PREPARE) / "done.json").write_text('{"schema": 1, "stage": "prepare", "fingerprint": "abc"}')
    with pytest.raises(
        RunError, match=r"job prepare in .* was finished by an older skipthink, and this is skip"
    ):
        folder.done(PREPARE, "abd")


def test_data_are_read_once_for_their_hash(tmp_path, monkeypatch):
    """Processes of jobs take the hash from the run folder."""
    (tmp_path / "rows.jsonl").write_text("1")
    (tmp_path / "r.yaml").write_text(
        "name: r\nanswer: number\ndata: {file: rows.jsonl}\nchunks: {M: 2, method: greedy}\n"
    )
    recipe, folder, hashed = load_recipe(tmp_path / "r.yaml"), RunFolder(tmp_path / "run"), []
    monkeypatch.setattr(jobs, "hash_files", lambda path: hashed.append(path) or hash_files(path))
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(recipe)
    graph = build_graph(recipe)
    folder.begin(graph)
    assert folder.graph().fingerprints == graph.fingerprints
    assert hashed == [tmp_path / "rows.jsonl"]


OWN_METHOD = """
from dataclasses import dataclass
from skipthink.options import option
from skipthink.training.method import Method, Needs
from skipthink.training.options import TrainingOptions

@dataclass(frozen=True, kw_only=True)
class OwnOptions(TrainingOptions):
    share: float = option(0.5, "share of something", gt=0, le=1)

class Own(Method):
    name, mode, Options, has_chunks = "own", "skip", OwnOptions, True
    needs, judge = Needs.SKIPS, "base+ac"

METHOD = Own()
"""


@pytest.fixture
def own(tmp_path):
    """A recipe beside a method of its own."""
    (tmp_path / "my_method.py").write_text(OWN_METHOD)
    path = tmp_path / "r.yaml"
    path.write_text(
        SMALL + "methods: [base, stt, my_method.py]\ntraining: {methods: {own: {share: 0.25}}}\n"
        "skip: {gate: answer}\n"
    )
    return path


def test_a_method_of_ones_own_has_jobs_like_the_others(own):
    recipe = load_recipe(own)
    graph = build_graph(recipe)
    assert needs_of(graph, "train/own/s0") == [
        "prepare",
        "student/s0",
        "train/base+ac/s0",
        "skip-data/base+ac/s0",
    ]
    assert "skip-data/base+sbc/s0" in needs_of(
        graph, "train/stt/s0"
    )  # two judges: skip data are named after theirs
    assert recipe.options_of(recipe.method("own")).share == 0.25
    again = parse_recipe(recipe.to_yaml(), name="again")
    assert build_graph(again).fingerprints == graph.fingerprints


def test_the_code_of_a_method_of_ones_own_counts_by_its_content(own):
    before = build_graph(load_recipe(own))
    path = own.with_name("my_method.py")
    path.write_text(OWN_METHOD + "# changed\n")
    after = build_graph(load_recipe(own))
    touched = {job.name for job in before.fingerprints if before.fingerprints[job] != after.fingerprints[job]}
    assert touched == {"train/own/s0", "evaluate", "evaluate/own/s0"}
    folder = RunFolder(own.parent / "run")
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(load_recipe(own))
    folder.begin(after)
    path.write_text(OWN_METHOD)
    with pytest.raises(RunError, match=r"the inputs of job train/own/s0 have changed since the run began"):
        folder.graph()


OWN_MISTAKES = {
    "no file": (None, r"cannot load the method .*my_method\.py: FileNotFoundError"),
    "no Python": ("def (", r"cannot load the method .*my_method\.py: SyntaxError"),
    "no method": ("x = 1", r"my_method\.py holds no METHOD; give it one"),
    "a name that is a path": (OWN_METHOD.replace('"own"', '"../own"'), r"has the name '\.\./own'; give it one of letters"),
    "a name that is taken": (OWN_METHOD.replace('"own"', '"stt"'), r"has the name 'stt', which a method of skipthink has"),
    "no judge": (OWN_METHOD.replace('"base+ac"', "None"), r"needs skips but names no judge"),
    "a judge there is none of": (OWN_METHOD.replace('"base+ac"', '"ac"'), r"methods has own, whose judge is 'ac': no such"),
    "its own judge": (OWN_METHOD.replace('"base+ac"', '"own"'), r"methods are each other's judges: .*train/own/s0"),
    "an option that another method declares": (OWN_METHOD.replace("share:", "truncate:"), r"both declare the option truncate"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "message"), OWN_MISTAKES.values(), ids=OWN_MISTAKES.keys())
def test_a_method_of_ones_own_that_cannot_be_run_says_why(own, code, message):
    path = own.with_name("my_method.py")
    path.unlink() if code is None else path.write_text(code)
    own.write_text(SMALL + "methods: [base, my_method.py]\nskip: {gate: answer}\n")
    with pytest.raises((RecipeError, RunError), match=message):
        build_graph(load_recipe(own))


def test_only_named_methods_are_run(own):
    own.with_name("my_method.py").write_text("raise SystemExit")
    own.write_text(SMALL + "methods: [base]\ntask: my_method.py\n")
    assert load_recipe(own).methods == ("base",)


def test_runs_know_no_method_by_its_name():
    """What a method is and needs is said in its file; a method of ones own is run like the others."""
    for path in Path(jobs.__file__).parent.glob("*.py"):
        code = re.sub(r'"""(.*?)"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not [name for name in own_methods() if f'"{name}"' in code], path.name


@pytest.mark.slow
def test_a_method_may_start_from_its_judge(tmp_path):
    """At a learning rate of nearly nothing the weights stay those of the judge; its tokens are counted."""
    from safetensors.torch import load_file

    text = """
name: warm
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 6, validation: 1, test: 2}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2}
chunks: {M: 2, method: average}
training:
  max_steps: 2
  batch_size: 8
  skip_weight: null
  thought: per-chunk
  methods: {skip-all: {start: cwt, start_rate: 1e-9}}
skip: {gate: answer}
methods: [skip-all]
"""
    folder, recipe = RunFolder(tmp_path), parse_recipe(text, name="r")
    (tmp_path / "logs").mkdir()
    folder.adopt(recipe)
    graph = build_graph(recipe)
    for job in graph:
        if job.kind != "evaluate":
            run_job(folder, graph, job, lambda done, total: None)
    judge, warm = (tmp_path / "train" / name / "s0" for name in ("base+ac", "skip-all"))
    first, second = (json.loads((path / "train.json").read_text()) for path in (judge, warm))
    assert second["earlier"]["method"] == "base+ac"
    assert second["earlier"]["train_target_tokens"] == first["train_target_tokens"]
    assert second["train_target_tokens"] > first["train_target_tokens"]
    old, new, fresh = (
        load_file(str(path / "model.safetensors"))
        for path in (judge / "model", warm / "model", tmp_path / "student" / "s0")
    )
    assert all((new[name] - weight).abs().max() < 1e-6 for name, weight in old.items())
    assert any((new[name] - weight).abs().max() > 1e-4 for name, weight in fresh.items())
