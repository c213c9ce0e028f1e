"""A method of the user's own: one file, trained and asked as those of the package."""

import importlib.util
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skipthink.exceptions import InvalidInputError
from skipthink.options import OptionError
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import build_graph
from skipthink.run.recipe import load_recipe
from skipthink.run.work import run_job
from skipthink.scoring import ChunkOptions
from skipthink.student import Student
from skipthink.training import TrainingOptions, train_method
from skipthink.training.method import Method
from skipthink.training.methods import own_methods

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "method.md"
OWN = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]
"""The method that the documentation shows."""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "last_words.py"
    path.write_text(OWN)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_method_from_one_file_trains_and_answers(own, student_dir, samples, encoded, tmp_path):
    options = own.LastWordsOptions(n_last=2, max_steps=2, batch_size=8, lora=None)
    summary = train_method(
        own.METHOD, student=student_dir, samples=samples, out=tmp_path, options=options,
        chunks=ChunkOptions(M=3), seed=0,
    )  # fmt: skip
    assert summary["method"] == "last-words"
    kept = int(encoded.rationale.lengths.clip(max=2).sum() + (encoded.answer.lengths + 2).sum())
    assert summary["report"]["words_kept"] == kept
    first = pq.read_table(tmp_path / "items.parquet").to_pylist()[0]
    assert first["target_ids"][:2] == encoded.rationale[0][-2:].tolist()
    student = Student.load(tmp_path / "model")
    assert (student.mode, student.n_chunks, student.about["method"]) == ("base", 3, "last-words")
    (answer,) = student.answer(["What is 1 and 1?"])
    assert answer.written.n_generated >= 1


def test_its_options_are_checked_where_they_are_declared(own):
    with pytest.raises(OptionError, match="n_last must be at least 1, got 0"):
        own.LastWordsOptions(n_last=0)


def test_a_method_must_say_what_its_items_are():
    class Nothing(Method):
        name = "nothing"

    with pytest.raises(NotImplementedError, match="Nothing must say what the items of an epoch are"):
        Nothing().items(None, 0)


def test_every_method_of_the_package_says_what_it_is():
    methods = own_methods()
    assert len({method.name for method in methods.values()}) == len(methods) == 26
    for method in methods.values():
        assert issubclass(method.Options, TrainingOptions)
        assert method.judge is None or methods[method.judge].has_chunks
        if method.judge is not None:
            with pytest.raises(InvalidInputError, match=r"needs the chunks and skip data"):
                method.refuse_inputs(None, None)


RECIPE = """
name: own
answer: number
data:
  task: multi_step_arithmetic
  sizes: {train: 8, validation: 2, test: 3}
  task_options: {n_operations: 2, max_value: 20, max_number: 9}
student: {vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 512}
chunks: {M: 2}
training: {epochs: 1, batch_size: 8, methods: {last-words: {n_last: 2}}}
evaluation: {alone_questions: 0, stage_questions: 0}
methods: [base, last_words.py]
"""


@pytest.mark.slow
def test_a_recipe_trains_and_compares_it(tmp_path):
    (tmp_path / "last_words.py").write_text(OWN)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    folder = RunFolder(tmp_path / "run")
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(load_recipe(tmp_path / "recipe.yaml"))
    for job in (graph := build_graph(folder.recipe())):
        run_job(folder, graph, job, lambda done, total: None)
    trained = folder.path / "train" / "last-words" / "s0"
    student = Student.load(trained / "model")
    assert (student.about["method"], student.mode) == ("last-words", "base")
    words = {
        name: json.loads((trained.parents[1] / name / "s0" / "train.json").read_text())
        for name in ("base", "last-words")
    }
    assert words["last-words"]["train_target_tokens"] < words["base"]["train_target_tokens"]
    assert (folder.path / "evaluate" / "last-words" / "s0" / "predictions.parquet").exists()
