"""The scheduler over a pool: what is lost is repeated, what waits is withdrawn after a failure."""

import json
import time

import pytest

from skipthink.exceptions import InvalidInputError
from skipthink.io.job_progress import JobState
from skipthink.io.progress import Display
from skipthink.run import scheduler as scheduling
from skipthink.run.engines import open_engine
from skipthink.run.events import Events
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import PREPARE, build_graph
from skipthink.run.pools import End, LocalEngine
from skipthink.run.recipe import parse_recipe
from skipthink.run.scheduler import JobCrashedError, JobRefusedError, Scheduler
from skipthink.run.status import read_status

RECIPE = """
name: small
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 2}}
chunks: {M: 3}
seeds: [0, 1, 2]
methods: [answer-only]
"""


class Made:
    """A try that ends as it is told."""

    def __init__(self, job, end, node="n1"):
        self.job, self.node, self._end = job, node, end
        self.began = None if end is None else time.monotonic()

    def state(self):
        return JobState()

    def end(self):
        return self._end


class Pool:
    """Ends jobs as `ends` says by their names, one end per try; jobs it does not name are done at once."""

    description = "made for a test"

    def __init__(self, folder, graph, ends):
        self.folder, self.graph, self.ends = folder, graph, {name: list(of) for name, of in ends.items()}
        self.started, self.withdrawn, self.is_open = [], [], False

    def __enter__(self):
        self.is_open = True
        return self

    def __exit__(self, *error):
        self.is_open = False

    def room(self, n_running):
        return 100

    def start(self, job):
        self.started.append(job.name)
        if job.name in self.ends:
            return Made(job, self.ends[job.name].pop(0))
        self.folder.finish(job, self.graph.fingerprints[job], {}, 1.0)
        return Made(job, End())

    def withdraw(self, tries):
        self.withdrawn += [one.job.name for one in tries]

    def advice(self):
        return []


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the recipe in a pool; gives the pool, the events and what was raised."""
    monkeypatch.setattr(scheduling, "POLL_SECONDS", 0.001)

    def run_with(**ends):
        folder = RunFolder(tmp_path / "run")
        (folder.path / "logs").mkdir(parents=True)
        folder.adopt(parse_recipe(RECIPE, name="r"))
        graph = build_graph(folder.recipe())
        folder.begin(graph)
        pool = Pool(folder, graph, {name.replace("_", "/"): of for name, of in ends.items()})
        events = Events(folder.path, Display(mode="none"))
        raised = None
        try:
            Scheduler(folder, graph, [], pool=pool, events=events).run()
        except Exception as error:
            raised = error
        told = [json.loads(line) for line in (folder.path / "events.jsonl").read_text().splitlines()]
        return folder, pool, told, raised

    return run_with


def test_a_lost_job_is_repeated_and_nothing_else_is(run):
    folder, pool, told, raised = run(
        student_s1=[End(lost="its node is gone"), End(lost="its node is gone"), End()]
    )
    assert isinstance(raised, JobCrashedError), "the third try says that it is done, but has left nothing"
    assert pool.started.count("student/s1") == 3
    assert all(pool.started.count(name) == 1 for name in pool.started if name != "student/s1")
    lost = [event for event in told if event["event"] == "lost"]
    assert [event["job"] for event in lost] == ["student/s1"] * 2
    starts = [event for event in told if event["event"] == "start" and event["job"] == "student/s1"]
    assert [event["node"] for event in starts] == ["n1"] * 3
    assert not pool.is_open
    states = {job.name: job.state for job in read_status(folder.path).jobs}
    assert (states["student/s0"], states["student/s1"], states["evaluate"]) == ("done", "failed", "waiting")


def test_a_job_that_loses_every_node_ends(run):
    _, pool, _, raised = run(student_s1=[End(lost="its node is gone")] * 50)
    assert isinstance(raised, JobCrashedError)
    assert "job student/s1 has lost 20 nodes, the last one so: its node is gone; its work is kept" in str(
        raised
    )
    assert pool.started.count("student/s1") == 20


def test_what_waits_for_room_is_withdrawn_after_a_failure(run):
    _, pool, told, raised = run(student_s1=[None], student_s2=[End(refused="node n2 does not see it")])
    assert isinstance(raised, JobRefusedError)
    assert str(raised) == "job student/s2: node n2 does not see it"
    assert pool.withdrawn == ["student/s1"]
    assert "evaluate" not in pool.started
    assert not [event for event in told if event["event"] == "start" and event["job"] == "student/s1"]


def test_a_job_that_is_lost_is_waiting_for_those_who_ask(tmp_path, run):
    folder, _, _, _ = run(student_s1=[End(code=1)])
    with (folder.path / "events.jsonl").open("a") as stream:
        stream.write(json.dumps({"time": "2026-01-01", "event": "lost", "job": "student/s1"}) + "\n")
    assert {job.name: job.state for job in read_status(folder.path).jobs}["student/s1"] == "waiting"


def test_engines_by_name():
    with open_engine("local") as engine:
        assert isinstance(engine, LocalEngine)
    with (
        pytest.raises(InvalidInputError, match="--engine must be one of local, ray, got 'spark'"),
        open_engine("spark"),
    ):
        pass
    with (
        pytest.raises(InvalidInputError, match="give --engine ray with it"),
        open_engine("local", "10.0.0.1:6379"),
    ):
        pass


def test_without_ray_its_engine_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'skipthink\[ray\]'"), open_engine("ray"):
        pass


def test_what_jobs_reserve_does_not_change_results():
    graphs = [
        build_graph(parse_recipe(RECIPE + extra, name="r"))
        for extra in ("", "cluster: {cpus: 8, gpus: 0.5}\n")
    ]
    assert graphs[0].fingerprints == graphs[1].fingerprints
    assert graphs[1].recipe.cluster.cpus == 8
    assert PREPARE in graphs[0].needs
