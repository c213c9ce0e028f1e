"""`skipthink pretrain`: a student comes out, the same one after a kill and from two processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from kept import trains
from safetensors.torch import load_file
from typer.testing import CliRunner

from skipthink import testbed
from skipthink.cli import app
from skipthink.exceptions import InvalidInputError, RecipeError, RunError
from skipthink.io.recipes import parse_options
from skipthink.student import Student
from skipthink.testbed.options import PretrainRecipe, load_pretrain_recipe
from skipthink.testbed.pretraining import pretrain
from skipthink.testbed.primitives import FAMILIES

RECIPES = Path(__file__).parents[2] / "recipes" / "testbed"
N_STEPS = 10
TINY = f"""
name: tiny
student: {{vocab_size: 400, hidden_size: 16, num_layers: 1, num_heads: 2, max_length_tokens: 96}}
markers_up_to: 3
corpus: {{tokens: {N_STEPS * 4 * 64}, block_tokens: 64, tokenizer_texts: 300}}
training: {{batch_blocks: 4, micro_batch_blocks: 2, learning_rate: 1e-2, save_steps: 2, log_steps: 1}}
"""


def tiny(**changes):
    recipe = parse_options(TINY, PretrainRecipe, name="tiny.yaml")
    return recipe.replace(**changes)


@pytest.fixture(scope="module")
@trains
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain") / "tiny"
    return folder, pretrain(tiny(), folder)


def test_a_student_is_an_ordinary_folder(trained):
    folder, student = trained
    weights = load_file(student / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    loaded = Student.load(student, n_chunks=3)
    model, tokenizer = loaded.model, loaded.tokenizer
    assert model.dtype == torch.float32
    assert len(tokenizer) == model.get_input_embeddings().weight.shape[0]  # its markers were there
    assert tokenizer.model_max_length == 96
    card = (student / "README.md").read_text(encoding="utf-8")
    assert f"{N_STEPS * 4 * 64:,}" in card
    assert "held-out loss" in card
    assert "seed of the texts" in card
    assert not list(folder.glob("*.tmp"))


def test_it_learns_and_keeps_a_log(trained):
    lines = [json.loads(line) for line in (trained[0] / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == N_STEPS
    assert losses[-1] < losses[0] - 0.1
    assert set(lines[-1]["held_out"]) == set(FAMILIES)


def test_a_finished_folder_is_left_alone(trained):
    before = (trained[1] / "model.safetensors").stat().st_mtime_ns
    assert pretrain(tiny(), trained[0]) == trained[1]
    assert (trained[1] / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_of_another_recipe_is_refused(trained):
    with pytest.raises(RunError, match=r"seed is 0 there and 1 here; name another folder"):
        pretrain(tiny(seed=1), trained[0])


def command(folder, *before):
    return [*before, "-m", "skipthink", "pretrain", str(folder / "tiny.yaml"), "--out", str(folder / "out")]


@pytest.mark.slow
def test_after_a_kill_it_goes_on_to_the_same_weights(trained, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    process = subprocess.Popen(command(tmp_path, sys.executable), stderr=subprocess.PIPE)
    mark = tmp_path / "out" / "checkpoints" / "checkpoint-4" / "skipthink.json"
    deadline = time.monotonic() + 300
    while not mark.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert mark.exists()
    assert not (tmp_path / "out" / "student").exists()
    student = pretrain(tiny(), tmp_path / "out")
    assert (student / "model.safetensors").read_bytes() == (trained[1] / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_two_processes_train_as_one_does(trained, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        command(tmp_path, *start),
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found, wanted = (
        load_file(folder / "student" / "model.safetensors") for folder in (tmp_path / "out", trained[0])
    )
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, rtol=2e-2, atol=2e-3)  # bfloat16 rounds either way


@pytest.mark.slow
def test_the_command_makes_a_student(tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY.replace(f"tokens: {N_STEPS * 4 * 64}", "tokens: 512"))
    result = CliRunner().invoke(app, ["pretrain", str(recipe), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert f"student: {tmp_path / 'out' / 'student'}" in result.output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "block_tokens: 64",
            "block_tokens: 128",
            r"corpus\.block_tokens is 128, more than student\.max_length_tokens, 96",
        ),
        ("vocab_size: 400", "path: somewhere", r"student\.hidden_size is given beside path"),
        ("tokenizer_texts", "tokenizer_text", "did you mean corpus.tokenizer_texts"),
        ("tokenizer_texts: 300", "shares: {number: 1.0}", "no primitives 'number'"),
        (f"tokens: {N_STEPS * 4 * 64}", "tokens: 100", "less than one step of 256"),
    ],
)
def test_a_wrong_recipe_is_refused(old, new, message, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(TINY.replace(old, new))
    with pytest.raises(RecipeError, match=message):
        load_pretrain_recipe(path)


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    recipe = parse_options(TINY.replace("batch_blocks: 4", "batch_blocks: 5"), PretrainRecipe, name="t")
    with pytest.raises(
        InvalidInputError, match="batch_blocks 5 is no multiple of micro_batch_blocks 2 times 1"
    ):
        pretrain(recipe, tmp_path / "out")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("student-*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_are_in_order(path):
    recipe = load_pretrain_recipe(path)
    assert recipe.n_steps > 1000
    assert f"student-{recipe.name.lower()}" == path.stem


def test_a_student_that_does_not_come_with_the_package_is_refused():
    with pytest.raises(
        InvalidInputError,
        match=r"no student 'XXL' comes with the package, but .*`skipthink pretrain` makes one",
    ):
        testbed.student("XXL")
