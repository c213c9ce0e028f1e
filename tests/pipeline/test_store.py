"""A run that is kept in an object store, through a server that speaks S3: what is put, fetched, held and refused."""

import json
import threading
import time
from types import SimpleNamespace

import pytest
from command_line import call_cli
from object_store import object_store
from small_jobs import PLAIN

from skipthink.exceptions import InvalidInputError, RunError
from skipthink.io.places import Place
from skipthink.run import ray_pool, store_tries
from skipthink.run import store as store_module
from skipthink.run.addresses import open_files
from skipthink.run.jobs import EVALUATE, PREPARE, Job, Kind, build_graph
from skipthink.run.pools import End
from skipthink.run.recipe import parse_recipe
from skipthink.run.run_files import RunFiles
from skipthink.run.store import Beat, Lease, files_in
from skipthink.run.store_mirror import StoreMirror, default_copy
from skipthink.run.store_tries import StateWriter, fetch_state, read_state
from skipthink.run.tries import Tries, TryFolder
from skipthink.run.work import run_job

BASE = Job(Kind.TRAIN, "base", 0)
GRAPH = build_graph(parse_recipe(PLAIN, name="r"))
PRINTS = GRAPH.fingerprints


@pytest.fixture(scope="module")
def server():
    with object_store() as uri:
        yield uri


@pytest.fixture
def mirror(server, tmp_path, request, monkeypatch):
    """Makes working copies of one run in the store, each as a driver has it that has begun."""
    monkeypatch.setenv("SKIPTHINK_CACHE", str(tmp_path / "cache"))
    address = server(f"runs/{request.node.name}")

    def begin(name, graph=GRAPH):
        made = open_files(address, tmp_path / name)
        (made.folder.path / "logs").mkdir(parents=True, exist_ok=True)
        made.fetch_words()
        made.folder.adopt(graph.recipe)
        made.fetch(graph)
        for job in graph:
            Tries(made.folder, job).commit(graph.fingerprints[job])
        made.folder.begin(graph)
        return made

    begin.address = address
    return begin


@pytest.fixture
def counted(monkeypatch):
    """The names of files that are sent to stores and fetched from them."""
    names = {"send": [], "fetch": []}
    for way, told in names.items():
        real = getattr(Place, way)

        def count(self, path, real=real, told=told):
            told.append(self.name)
            real(self, path)

        monkeypatch.setattr(Place, way, count)
    return names


def prepared(made):
    """The mirror, with its first job finished."""
    run_job(made.folder, GRAPH, PREPARE, lambda done, total: None)
    return made


def finish(made, job, files):
    """Writes what looks like a finished job."""
    for name, text in files.items():
        path = made.folder.of(job) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    made.folder.finish(job, PRINTS[job], {}, 0.0)


def content(folder):
    return {name: (folder / name).read_bytes() for name in files_in(folder)}


def names_in(place):
    return [name for name, _ in place.list(deep=True)]


def test_a_finished_job_is_put_and_fetched_once(mirror, counted):
    one = prepared(mirror("one"))
    one.put(GRAPH)
    assert counted["send"].count("train.parquet") == 1
    other = mirror("other")
    assert content(other.folder.of(PREPARE)) == content(one.folder.of(PREPARE))
    sent, fetched = len(counted["send"]), len(counted["fetch"])
    other.put(GRAPH)
    other.fetch(GRAPH)
    one.put(GRAPH)
    assert (len(counted["fetch"]), counted["send"][sent:]) == (fetched, ["jobs.json", "recipe.yaml"]), (
        "the other one has written its own"
    )


def test_half_an_upload_does_not_count(mirror, monkeypatch):
    one, real = prepared(mirror("one")), Place.send

    def cut_off(self, source):
        if self.name == "test.parquet":
            raise OSError("the network is gone")
        real(self, source)

    monkeypatch.setattr(Place, "send", cut_off)
    with pytest.raises(
        RunError, match=r"cannot use s3://.*: the network is gone; .* the same command goes on"
    ):
        one.put(GRAPH)
    monkeypatch.setattr(Place, "send", real)
    assert "data/train.parquet" in names_in(one.run)
    assert not mirror("other").folder.of(PREPARE).exists()
    one.put(GRAPH)
    assert content(mirror("third").folder.of(PREPARE)) == content(one.folder.of(PREPARE))


def test_what_evaluation_changes_is_put_before_it_counts(mirror, counted):
    one = mirror("one")
    finish(one, BASE, {"model/README.md": "not measured", "model/model.safetensors": "weights"})
    one.put(GRAPH)
    (one.folder.of(BASE) / "model/README.md").write_text("measured: 97 %")
    finish(one, EVALUATE, {"base/s0/done.json": "{}", "base/s0/predictions.parquet": "rows"})
    del counted["send"][:]
    one.put(GRAPH)
    assert counted["send"] == ["README.md", "predictions.parquet", "done.json", "done.json"]
    assert (mirror("other").folder.of(BASE) / "model/README.md").read_text() == "measured: 97 %"


def test_what_was_removed_from_the_store_is_put_again(mirror):
    one = prepared(mirror("one"))
    one.put(GRAPH)
    one.run.remove_all()
    again = mirror("one")
    again.put(GRAPH)
    assert content(mirror("other").folder.of(PREPARE)) == content(one.folder.of(PREPARE))


def test_jobs_of_other_inputs_are_refused(mirror):
    one = prepared(mirror("one"))
    note = json.loads((one.folder.of(PREPARE) / "done.json").read_text())
    (one.folder.of(PREPARE) / "done.json").write_text(json.dumps({**note, "fingerprint": "another"}))
    one.put(GRAPH)
    with pytest.raises(RunError, match=r"job prepare in s3://.* was finished with other data than now"):
        mirror("other")


def test_tries_of_other_inputs_are_refused(mirror):
    one = mirror("one")
    one.begin(Tries(one.folder, BASE).begin(), GRAPH)
    ticket = one.run / "tries/train.base.s0/1/ticket.json"
    ticket.write_json(ticket.read_json() | {"fingerprint": "another"})
    with pytest.raises(RunError, match=r"job train/base/s0 in s3://.* was begun with other inputs than now"):
        mirror("other")


def node_of(made, job=PREPARE):
    """A new try of a job, and what its node is told."""
    one = Tries(made.folder, job).begin()
    return one, made.begin(one, GRAPH)


def test_a_node_works_in_a_folder_of_its_own(mirror, tmp_path):
    made = mirror("one")
    made.put(GRAPH)
    one, told = node_of(made)
    with told.here("10.0.0.1", "node-a") as (run_dir, root):
        assert tmp_path / "cache" in run_dir.parents
        assert not root.is_relative_to(made.folder.path)
        seen = TryFolder(run_dir, PREPARE, root)
        seen.log(PREPARE).write_text("said\n")
        run_job(seen, GRAPH, PREPARE, lambda done, total: None)
    assert not root.exists()
    assert not one.of(PREPARE).exists()
    made.collect(one)
    assert one.log(PREPARE).read_text() == "said\n"
    assert Tries(made.folder, PREPARE).commit(PRINTS[PREPARE])
    made.put(GRAPH)
    assert not any(name.startswith("tries/") for name in names_in(made.run))
    assert content(mirror("other").folder.of(PREPARE)) == content(made.folder.of(PREPARE))


def test_a_try_that_is_over_is_not_looked_at_again(mirror, monkeypatch):
    """The scheduler shows once more what a try has said, when its files are those of the job and it has no folder."""
    made = mirror("one")
    made.put(GRAPH)
    one, told = node_of(made)
    with told.here("10.0.0.1", "node-a") as (run_dir, root):
        seen = TryFolder(run_dir, PREPARE, root)
        write(seen.progress(PREPARE), '{"done": 3, "total": 4}')
        run_job(seen, GRAPH, PREPARE, lambda done, total: None)
    pool = SimpleNamespace(
        files=made, folder=made.folder, commit=lambda job: Tries(made.folder, job).commit(PRINTS[job])
    )
    ray_try = ray_pool._RayTry(PREPARE, one, None, pool)
    monkeypatch.setattr(ray_pool, "_ended", lambda task: End())
    monkeypatch.setattr("skipthink.run.store_mirror.patience", lambda age, most: 0.0)
    monkeypatch.setattr(ray_pool, "LOOK_SECONDS", 0.0)
    assert ray_try.end() == End()
    assert (ray_try.state().done, ray_try.state().total) == (3, 4)
    assert not made.folder.tries(PREPARE).exists()


def test_a_node_fetches_what_a_job_needs_once(mirror, counted):
    made = prepared(mirror("one"))
    made.put(GRAPH)
    student = GRAPH.named("student/s0")
    for _ in range(2):
        _, told = node_of(made, student)
        with told.here("10.0.0.1", "node-a") as (run_dir, _):
            assert content(run_dir / "data") == content(made.folder.of(PREPARE))
    assert counted["fetch"].count("train.parquet") == 1


def test_a_finished_try_outlives_the_run_that_was_killed(mirror):
    made = mirror("one")
    made.put(GRAPH)
    _, told = node_of(made)
    with told.here("10.0.0.1", "node-a") as (run_dir, root):
        run_job(TryFolder(run_dir, PREPARE, root), GRAPH, PREPARE, lambda done, total: None)
    again = mirror("other")
    assert again.folder.done(PREPARE, PRINTS[PREPARE]) is not None


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_next_try_goes_on_from_what_the_lost_one_put(mirror):
    """A node that only counts as lost works on; whatever it puts, the try that counts has its own objects."""
    made = mirror("one")
    for job in (PREPARE, GRAPH.named("student/s0")):
        finish(made, job, {"file": "x"})
    made.put(GRAPH)
    _, told = node_of(made, BASE)
    with told.here("10.0.0.1", "lost") as (_, old_root):
        write(old_root / BASE.folder / "checkpoints/checkpoint-2/skipthink.json", "step 2")
        write(old_root / BASE.folder / "checkpoints/checkpoint-4/model.safetensors", "half")
        wait_for(lambda: "state.json" in " ".join(names_in(made.run)))
        again = mirror("other")  # another driver, on another machine
        one, told = node_of(again, BASE)
        assert one.root.name == "2"
        with told.here("10.0.0.2", "next") as (_, root):
            assert [*files_in(root / BASE.folder)] == ["checkpoints/checkpoint-2/skipthink.json"]
            wait_for(lambda: not (old_root / "ticket.json").exists())
            write(old_root / BASE.folder / "done.json", json.dumps({"fingerprint": PRINTS[BASE]}))
            write(root / BASE.folder / "done.json", json.dumps({"fingerprint": PRINTS[BASE], "try": 2}))
    again.collect(one)
    assert Tries(again.folder, BASE).commit(PRINTS[BASE])
    assert json.loads((again.folder.of(BASE) / "done.json").read_text())["try"] == 2


def wait_for(there, seconds=30):
    give_up = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_run_on_this_machine_goes_on_from_tries(mirror):
    made = mirror("one")
    one, _ = node_of(made, BASE)
    write(one.of(BASE) / "checkpoints/checkpoint-2/skipthink.json", "step 2")
    StateWriter(one.root, made.run / "tries/train.base.s0/1", BASE, PRINTS[BASE]).put()
    again = mirror("other")
    again.take_back(BASE)
    Tries(again.folder, BASE).take_back()
    assert [*files_in(again.folder.of(BASE))] == ["checkpoints/checkpoint-2/skipthink.json"]
    _, told = node_of(again, BASE)  # and a cluster from what this machine has left
    state = read_state(again.run / f"tries/train.base.s0/{told.number}", PRINTS[BASE])
    assert [*state] == ["train/base/s0/checkpoints/checkpoint-2/skipthink.json"]


def test_a_state_is_put_in_one_step(mirror, tmp_path, counted, monkeypatch):
    place, root = Place.of(mirror.address) / "tries/train.base.s0/1", tmp_path / "try"
    writer, files = StateWriter(root, place, BASE, PRINTS[BASE]), root / BASE.folder
    monkeypatch.setattr(store_tries, "RACY_NS", 0)
    write(files / "checkpoints/checkpoint-2/skipthink.json", "step 2")
    write(files / "ledger.bin", "one")
    writer.put()
    writer.put()
    assert sorted(counted["send"]) == ["ledger.bin", "skipthink.json"]
    write(files / "ledger.bin", "one, two")
    real = Place.write_json
    monkeypatch.setattr(Place, "write_json", lambda self, value: (_ for _ in ()).throw(OSError("cut off")))
    with pytest.raises(OSError, match="cut off"):
        writer.put()
    monkeypatch.setattr(Place, "write_json", real)
    assert fetch_state(place, PRINTS[BASE], tmp_path / "got")
    assert (tmp_path / "got" / BASE.folder / "ledger.bin").read_text() == "one", "the state before is whole"
    (files / "checkpoints/checkpoint-2/skipthink.json").unlink()
    writer.put()
    assert fetch_state(place, PRINTS[BASE], tmp_path / "got")
    assert content(tmp_path / "got" / BASE.folder) == {"ledger.bin": b"one, two"}
    assert counted["send"].count("skipthink.json") == 1
    assert not fetch_state(place, "of other inputs", tmp_path / "none")


def lease(address, owner):
    return Lease(Place.of(address), owner)


def silent(line):
    del line


def test_a_second_run_stops(mirror, monkeypatch):
    monkeypatch.setattr(store_module, "RENEW_SECONDS", 0.5)
    one, other = lease(mirror.address, "one"), lease(mirror.address, "other")
    one.take(silent)
    beat = Beat(one.renew, 0.5)
    beat.start()
    with pytest.raises(
        RunError, match=r"is in use by another run \(process \d+ on .+\); wait for it, stop it, or"
    ):
        other.take(silent)
    beat.end()
    assert names_in(one.run / "drivers") == ["one.json"]
    lease(mirror.address, "one").take(silent)  # the working copy is its own: its lock is held
    one.leave()
    other.take(silent)


def test_of_two_that_begin_together_one_stops(mirror, monkeypatch):
    monkeypatch.setattr(store_module, "RENEW_SECONDS", 0.5)
    monkeypatch.setattr(store_module, "LEASE_SECONDS", 4.0)
    ends = []

    def begin(owner):
        held = lease(mirror.address, owner)
        beat = Beat(held.renew, 0.5)
        try:
            held.take(silent)
            beat.start()
            time.sleep(5)
            ends.append("works")
            beat.end()
        except RunError:
            ends.append("stopped")

    both = [threading.Thread(target=begin, args=(owner,)) for owner in ("one", "other")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert ends.count("works") <= 1


def test_a_run_whose_process_is_gone_is_taken_over(mirror, monkeypatch):
    monkeypatch.setattr(store_module, "LEASE_SECONDS", 2.0)
    lease(mirror.address, "gone").take(silent)
    told = []
    other = lease(mirror.address, "other")
    other.take(told.append)
    assert "a moment ago; waiting up to 2 s for a sign of life" in told[0]
    assert names_in(other.run / "drivers") == ["other.json"]


def test_a_run_that_was_away_too_long_stops(mirror, monkeypatch, counted):
    made = mirror("one")
    monkeypatch.setattr(store_module, "LEASE_SECONDS", 1.0)
    made._lease = lease(mirror.address, "one")
    made._lease.take(silent)
    time.sleep(1.1)
    made._lease.renew()  # nobody has noticed
    made.put(GRAPH)
    time.sleep(1.1)
    lease(mirror.address, "other").renew()
    made._lease.renew()
    with pytest.raises(RunError, match="another run has taken over"):
        made.put(GRAPH)
    write(made.folder.path / "events.jsonl", "late")
    made.put_words()
    assert "events.jsonl" not in counted["send"]


@pytest.mark.parametrize(
    "out", ["runs/demo", "/data/s3/run", "a:b", "C:/runs", "./s3:/x", "file:///data/run"]
)
def test_folders_are_not_taken_for_addresses(out):
    assert type(open_files(out)) is RunFiles


def test_an_address_has_a_working_copy_of_its_own(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPTHINK_CACHE", str(tmp_path))
    made, other = open_files(server("runs/demo")), open_files(server("other/demo"))
    assert isinstance(made, StoreMirror)
    assert made.folder.path.parent == tmp_path / "runs"
    assert made.folder.path != other.folder.path
    assert default_copy(Place.of(server("runs/demo/"))) == default_copy(made.run)
    assert str(made.part("tune").run).endswith("runs/demo/tune")


def test_keys_in_an_address_are_refused():
    with pytest.raises(InvalidInputError, match=r"the address s3://… holds keys.* AWS_ACCESS_KEY_ID") as told:
        open_files("s3://name:secret@bucket/run")
    assert "secret" not in str(told.value)


def test_a_copy_is_for_stores_alone(tmp_path):
    with pytest.raises(InvalidInputError, match="--copy is for a run in an object store"):
        open_files(tmp_path / "run", tmp_path / "copy")


def test_commands_that_read_a_folder_say_how_to_fetch_it(mirror, tmp_path):
    for words in (["status"], ["report"], ["compare"], ["inspect"]):
        told = call_cli(*words, "s3://bucket/run", check=2).stderr
        assert "skipthink fetch 's3://bucket/run' FOLDER" in told
    made = prepared(mirror("one"))
    finish(made, BASE, {"model/model.safetensors": "weights", "train.json": "{}"})
    made.put(GRAPH)
    (made.run / "train/stt/s0/half").write_json({})
    folder = tmp_path / "fetched"
    assert call_cli("fetch", mirror.address, folder, "--no-weights").stdout.startswith(
        "9 files fetched from s3://"
    )
    assert not (folder / "train/stt").exists()
    assert not (folder / "train/base/s0/model/model.safetensors").exists()
    assert call_cli("fetch", mirror.address, folder).stdout.startswith("1 files")
    assert call_cli("fetch", mirror.address, folder).stdout.startswith("0 files")
    assert "not running, not finished; 2 done" in call_cli("status", folder).stdout
    told = call_cli("fetch", mirror.address.replace("runs/", "none/"), folder, check=2).stderr
    assert "it holds no recipe.yaml" in told
