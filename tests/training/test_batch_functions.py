"""Batch functions that ask a student: what its methods give, for every cut, in any process, loaded when it is needed."""

import multiprocessing
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from training_calls import skip_folders

import skipthink
from skipthink.exceptions import InvalidInputError, InvalidTypeError, RunError
from skipthink.skipping import SkipOptions
from skipthink.stream import (
    Checker,
    Chunker,
    Generator,
    ItemPlanner,
    LocalGenerator,
    Scorer,
    SkipJudge,
    item_rows,
    map_batches,
    students,
)
from skipthink.student.items import build_items, loss_mask
from skipthink.student.student import Student
from skipthink.teacher.options import LocalOptions, SamplingOptions

CHUNKED = {"n_tokens": "n_tokens", "end_losses": "end_losses", "method": "optimal", "eta": 0.0}


@pytest.fixture(scope="module")
def scored(student_dir, samples):
    return Scorer(student_dir)(samples)


def losses_of(table):
    return [np.asarray(row) for row in table["losses"].to_pylist()]


@pytest.mark.parametrize("passes", ["conditioned", "free"])
def test_scorer_gives_what_the_student_does(student_dir, samples, passes):
    scorer = Scorer(student_dir, passes=passes, keep=["id"])
    result = scorer(samples)
    assert result.schema.equals(scorer.schema(samples.schema))
    student = Student.load(student_dir)
    found = student.score(student.encode(samples), passes=passes)
    expected = [found.row(row) for row in range(len(found))]
    assert [{name: row[name] for name in expected[0]} for row in result.to_pylist()] == expected
    assert ("end_losses" in result.column_names) == (passes == "conditioned")


def test_scores_depend_on_no_cut(student_dir, samples, scored):
    order = np.random.default_rng(1).permutation(samples.num_rows)
    shuffled = samples.take(order)
    for batch_rows in (1, 5):
        result = map_batches(shuffled, Scorer(student_dir), batch_rows=batch_rows).read_all()
        for row, place in enumerate(order.tolist()):
            for name in ("losses", "end_losses", "n_tokens"):
                np.testing.assert_allclose(
                    result[name][row].as_py(), scored[name][place].as_py(), rtol=1e-4, atol=1e-5
                )


def test_a_chunker_reads_what_a_scorer_wrote(student_dir, samples, scored):
    chunked = Chunker(3, **CHUNKED)(scored)
    student = Student.load(student_dir)
    losses = student.score(student.encode(samples))
    found = skipthink.chunk(
        samples["rationale"].to_pylist(), M=3, eta=0.0, method="optimal", **losses.chunk_arguments()
    )
    assert chunked["boundaries"].to_pylist() == found.boundaries.tolist()
    assert chunked["objective"].to_pylist() == pytest.approx(found.objective.tolist())


def test_a_bad_row_takes_nobody_along(student_dir, samples, scored):
    rows = samples.to_pylist()
    rows[3]["rationale"] = " \n"
    rows[5]["rationale"] = "word " * 3000
    rows[9]["question"] = None
    table = pa.Table.from_pylist(rows)
    result = Scorer(student_dir, on_error="null")(table)
    errors = result["error"].to_pylist()
    assert errors[3].startswith("sample 'this row' has no step")
    assert "tokens, but the student reads at most 640" in errors[5]
    assert errors[9].startswith("question of this row is null")
    assert [row for row, error in enumerate(errors) if error] == [3, 5, 9]
    for row in set(range(len(rows))) - {3, 5, 9}:
        np.testing.assert_allclose(
            result["losses"][row].as_py(), scored["losses"][row].as_py(), rtol=1e-4, atol=1e-5
        )
    assert [result["losses"][row].as_py() for row in (3, 5, 9)] == [None] * 3
    with pytest.raises(InvalidInputError, match=rf"question of row 9 \(id '{rows[9]['id']}'\) is null"):
        Scorer(student_dir)(table)
    with pytest.raises(InvalidInputError, match=rf"sample 'row 1003 \(id '{rows[3]['id']}'\)' has no step"):
        Scorer(student_dir)(table.slice(0, 5), range(1000, 1005))


def test_options_travel_and_students_do_not(student_dir, samples, scored, monkeypatch):
    scorer = Scorer(student_dir)
    assert len(pickle.dumps(scorer)) < 1000
    scorer(samples.slice(0, 2))
    assert len(pickle.dumps(scorer)) < 1000
    loads = []
    real = Student.load.__func__
    monkeypatch.setattr(Student, "load", classmethod(lambda *a, **k: loads.append(a[1]) or real(*a, **k)))
    copies = [pickle.loads(pickle.dumps(scorer)) for _ in range(3)]
    assert all(copy(samples).equals(scored) for copy in copies)
    assert not loads  # the process has it
    assert scorer(samples.slice(0, 0)).num_rows == 0
    Scorer(student_dir, dtype="bfloat16")(samples.slice(0, 1))
    scorer(samples.slice(0, 1))
    assert len(loads) == 2  # one at a time is kept


def test_a_student_that_is_saved_anew_is_loaded_anew(student_dir, samples, tmp_path):
    student = Student.load(student_dir)
    student.save(tmp_path / "student")
    scorer = Scorer(tmp_path / "student", keep=[])
    before = losses_of(scorer(samples))
    with torch.no_grad():
        next(student.model.parameters()).mul_(1.5)
    student.save(tmp_path / "student")
    after = losses_of(scorer(samples))
    assert any(not np.allclose(*pair) for pair in zip(before, after, strict=True))


def test_threads_of_one_process_take_turns(student_dir, samples, scored):
    """A forward pass sets hooks in the model, so two at a time would see each other's."""
    found = {}

    def work(number):
        found[number] = Scorer(student_dir)(samples)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result.equals(scored) for result in found.values())


def _torch_threads(scorer, batch):
    scorer(batch)
    return torch.get_num_threads()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_children_load_their_own(student_dir, samples, scored, monkeypatch):
    """After the parent has used several threads, which a forked child of torch must not."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    try:
        scorer = Scorer(student_dir)
        scorer(samples)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply(_torch_threads, (scorer, samples)) == 1
            child = pool.apply(scorer, (samples,))
    finally:
        torch.set_num_threads(1)
    for name in ("losses", "end_losses"):
        for pair in zip(child[name].to_pylist(), scored[name].to_pylist(), strict=True):
            np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-5)
    assert set(students._models) <= {os.getpid()}


# ---- items ----


@pytest.mark.parametrize("scheme", ["chunkwise", "skip", "base", "answer-only"])
def test_items_are_those_of_training(student_dir, samples, scored, scheme):
    chunked = Chunker(3, **CHUNKED)(scored)
    flags = [[row % 2 == 0, row % 3 == 0, False] for row in range(samples.num_rows)]
    chunked = chunked.append_column("skipped", pa.array(flags))
    planner = ItemPlanner(student_dir, scheme)
    result = planner(chunked)
    assert result.schema.equals(planner.schema(chunked.schema))
    rows = item_rows(result)
    student = Student.load(student_dir)
    encoded = student.encode(samples)
    extra = {"skipped": np.asarray(flags)} if scheme == "skip" else {}
    cuts = np.asarray(chunked["boundaries"].to_pylist())
    items = build_items(encoded, encoded.plan(scheme, cuts, **extra), student.markers)
    assert rows["input_ids"].to_pylist() == [items.tokens[item].tolist() for item in range(len(items))]
    assert rows["stage"].to_pylist() == items.stages.tolist()
    assert rows["id"].to_pylist() == [samples["id"][row].as_py() for row in items.rows.tolist()]
    labels = np.concatenate([np.asarray(row) for row in rows["labels"].to_pylist()])
    assert ((labels == -100) == ~loss_mask(items)).all()
    assert (labels[labels != -100] == items.tokens.values[loss_mask(items)]).all()
    assert rows["source_ids"].null_count == len(items)
    parts = [item_rows(planner(chunked.slice(start, 5))) for start in range(0, samples.num_rows, 5)]
    assert pa.concat_tables(parts).to_pylist() == rows.to_pylist()


def test_bad_boundaries_of_items(student_dir, samples):
    table = samples.slice(0, 3).append_column("boundaries", pa.array([[0, 1, 2, 99], [0, 1, 2], None]))
    result = ItemPlanner(student_dir, on_error="null")(table)
    errors = result["error"].to_pylist()
    assert errors[0].startswith("boundaries of this row are [0, 1, 2, 99], which are no chunks of its")
    assert errors[1].startswith("boundaries has 3 values for this row, but M chunks have 4 boundaries")
    assert errors[2].startswith("boundaries of this row is null")
    assert item_rows(result).num_rows == 0
    flags = table.set_column(4, "boundaries", pa.array([[0, 0, 0, k] for k in lengths(samples.slice(0, 3))]))
    flags = flags.append_column("skipped", pa.array([[True], [True, None, False], [True] * 3]))
    errors = ItemPlanner(student_dir, "skip", on_error="null")(flags)["error"].to_pylist()
    assert errors[0].startswith("skipped of this row has 1 values, but M is 3")
    assert errors[1].startswith("skipped of this row holds a null")
    assert errors[2] is None


def lengths(samples):
    return skipthink.split_steps_batch(samples["rationale"]).n_steps.tolist()


# ---- answers and judges: a student that is trained ----


def test_generator_gives_what_the_student_does(wavering):
    folder, samples = wavering
    generator = Generator(folder / "model", batch_size=2)
    result = generator(samples)
    assert result.schema.equals(generator.schema(samples.schema))
    expected = Student.load(folder / "model").answer(samples["question"].to_pylist())
    assert result["generated"].to_pylist() == [answer.text for answer in expected]
    assert result["chain"].to_pylist() == [answer.chain for answer in expected]
    assert result["generated_tokens"].to_pylist() == [answer.written.n_generated for answer in expected]
    for start in range(6):
        alone = generator(samples.slice(start, 1).to_batches()[0])
        assert alone.to_pylist() == result.slice(start, 1).to_pylist()
    checked = Checker("number", text="generated", on_error="null")(result)
    assert checked["verdict"].to_pylist().count("right") >= 3


def test_judge_gives_what_skip_data_does(wavering, tmp_path):
    folder, samples = wavering
    boundaries = pq.read_table(folder / "chunks.parquet")["boundaries"]
    table = samples.append_column("boundaries", boundaries)
    skip_folders(
        judges=[folder / "model"], samples=samples, out=tmp_path, n_chunks=3, answer_kind="number",
        boundaries=np.asarray(boundaries.to_pylist()), settings={"batch_size": 4},
    )  # fmt: skip
    judge = SkipJudge(folder / "model", kind="number", judging=SkipOptions(gate="answer", batch_size=4))
    result = judge(table)
    assert result.schema.equals(judge.schema(table.schema))
    expected = pq.read_table(tmp_path / "skip.parquet")["skipped"].to_pylist()
    assert result["skipped"].to_pylist() == expected
    assert sum(map(sum, expected)) > 0
    for start in range(0, 6, 2):
        assert judge(table.slice(start, 2)).to_pylist() == result.slice(start, 2).to_pylist()
    votes = SkipJudge(
        folder / "model", kind="number", id_column="id",
        judging=SkipOptions(gate="answer", votes=3, temperature=0.7),
    )  # fmt: skip
    drawn = votes(table)["skipped"].to_pylist()
    assert [votes(table.slice(row, 1))["skipped"].to_pylist()[0] for row in range(6)] == drawn


# ---- a local model as the teacher ----

LOCAL = Path(skipthink.__file__).parent / "testbed" / "students" / "S"


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_local_model_answers_each_row_by_itself(temperature):
    names = ("Ann", "Bo", "Cleo")
    table = pa.table({"id": list(names), "question": [f"{name} has 3 pens and buys 4." for name in names]})
    generator = LocalGenerator(
        LocalOptions(path=str(LOCAL), batch_size=2),
        kind="number",
        sampling=SamplingOptions(max_tokens=12, temperature=temperature),
    )
    result = generator(table)
    assert result.schema.equals(generator.schema(table.schema))
    assert [generator(table.slice(row, 1)).to_pylist()[0] for row in range(3)] == result.to_pylist()
    assert all(tokens and tokens <= 12 for tokens in result["generated_tokens"].to_pylist())
    assert result["teacher"][0].as_py().startswith("S@")
    assert all(row["generated"] or row["reason"] for row in result.to_pylist())


# ---- faults ----


def test_a_student_at_fault_is_no_bad_row(student_dir, samples, tmp_path, monkeypatch):
    with pytest.raises(RunError, match=r"Scorer cannot use the student .*absent"):
        Scorer(tmp_path / "absent", on_error="null")(samples)
    with pytest.raises(RunError, match=r"Generator cannot use the student .* not trained"):
        Generator(student_dir, on_error="null")(samples)
    with pytest.raises(RunError, match=r"LocalGenerator cannot use .*absent\.gguf"):
        LocalGenerator(str(tmp_path / "absent.gguf"), kind="number", on_error="null")(samples)

    def full(*_, **__):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr("skipthink.student.forward.NllHead.__call__", full)
    with pytest.raises(RunError, match="out of memory on sample"):
        Scorer(student_dir, on_error="null")(samples)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Scorer(object()), InvalidTypeError, r"student must be a folder or a name, got object.*student.save\(folder\)"),
        (lambda: Scorer("s", passes="both"), InvalidInputError, 'passes must be "conditioned" or "free"'),
        (lambda: Scorer("s", batch_tokens=0), InvalidInputError, "batch_tokens must be at least 1"),
        (lambda: Generator("s", batch_size=0), InvalidInputError, "batch_size must be at least 1"),
        (lambda: ItemPlanner("s", "stages"), InvalidInputError, "scheme must be one of chunkwise, skip"),
        (lambda: SkipJudge("s", kind="number", judging=SkipOptions(gate="rule")), InvalidInputError, "judges row by row"),
        (lambda: SkipJudge("s", kind="number", judging=SkipOptions(gate="answer", temperature=0.5)), InvalidInputError, "id_column="),
        (lambda: LocalGenerator("s", kind="number", sampling=SamplingOptions(n=2, temperature=1.0)), InvalidInputError,
         "sampling.n must be 1, got 2"),
    ],
)  # fmt: skip
def test_bad_options(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
