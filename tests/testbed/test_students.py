"""The students of package and repository: they load offline, say what they are, and know their primitives."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from skipthink import testbed
from skipthink.student.markers import get_markers
from skipthink.student.models import load_student
from skipthink.tasks.words import COLOURS, NAMES, WORDS
from skipthink.testbed.primitives import numbers

N = 40
REPOSITORY = sorted(path.parent for path in (Path(__file__).parents[2] / "students").glob("*/config.json"))
FOLDERS = {path.name: path for path in [*map(testbed.student_path, testbed.NAMES), *REPOSITORY]}


@pytest.fixture(scope="module", params=FOLDERS)
def student(request):
    torch.set_num_threads(1)
    path = FOLDERS[request.param]
    return path, *load_student(path)


def rate(student, cases):
    """Share of (text, what follows) pairs in which the most probable tokens are what follows."""
    _, model, tokenizer = student
    right = 0
    for text, expected in cases:
        head = tokenizer(text, add_special_tokens=False).input_ids
        tail = tokenizer(expected, add_special_tokens=False).input_ids
        with torch.inference_mode():
            found = model(torch.tensor([head + tail])).logits[0].argmax(1)
        right += found[len(head) - 1 : -1].tolist() == tail
    return right / len(cases)


def test_s_comes_with_the_package_and_m_with_the_repository():
    assert testbed.NAMES == ("S",)
    assert [path.name for path in REPOSITORY] == ["M"]


def test_a_student_is_loaded_by_name():
    student = testbed.student("S")
    model, tokenizer = student.model, student.tokenizer
    assert student.n_chunks == 8
    assert model.num_parameters() > 1_000_000
    assert len(tokenizer) == model.get_input_embeddings().weight.shape[0]


def test_it_is_an_ordinary_folder_of_bfloat16_weights(student):
    path = student[0]
    assert {weight.dtype for weight in load_file(path / "model.safetensors").values()} == {torch.bfloat16}
    assert sum(file.stat().st_size for file in path.iterdir()) < 15_000_000
    assert json.loads((path / "config.json").read_text())["model_type"] == "llama"
    card = (path / "README.md").read_text(encoding="utf-8")
    assert "seed of the texts" in card
    assert "held-out loss" in card


def test_it_loads_in_float32_with_the_markers_of_eight_chunks(student):
    _, model, tokenizer = student
    assert model.dtype == torch.float32
    assert len(tokenizer) == model.get_input_embeddings().weight.shape[0]
    assert len(get_markers(tokenizer, 8).stage_marks) == 8
    for number in range(numbers.MAX_NUMBER + 1):
        assert len(tokenizer(f" {number}", add_special_tokens=False).input_ids) == 1


def test_it_looks_things_up(student):
    rng = random.Random(0)
    cases = []
    for _ in range(N):
        people, colours = rng.sample(NAMES, 3), rng.sample(COLOURS, 3)
        told = " ".join(
            f"{name} has the {colour} ball." for name, colour in zip(people, colours, strict=True)
        )
        asked = rng.randrange(3)
        cases.append((f"{told} {people[asked]} has", f" the {colours[asked]} ball."))
    assert rate(student, cases) > 0.8


def test_it_knows_last_letters(student):
    rng = random.Random(1)
    cases = []
    for _ in range(N):
        first, second = rng.sample(WORDS, 2)
        cases.append((f"{first}, last letter: {first[-1]}\n{second}, last letter:", f" {second[-1]}"))
    assert rate(student, cases) > 0.8


def test_it_adds_and_subtracts(student):
    rng = random.Random(2)
    pairs = [(rng.randint(1, 20), rng.randint(1, 10)) for _ in range(N)]
    sums = [(f"{a} + {b} =", f" {a + b}") for a, b in pairs]
    differences = [(f"{a + b} - {b} =", f" {a}") for a, b in pairs]
    assert rate(student, sums + differences) > 0.5


def test_importing_the_package_is_enough_and_cheap():
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, skipthink; assert 'torch' not in sys.modules; print(skipthink.testbed.NAMES)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "S" in said.stdout


RECIPE = """
name: from-s
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 4}}
student: {testbed: S}
chunks: {M: 2}
training: {max_steps: 2, batch_size: 4}
methods: [base]
evaluation: {alone_questions: 0, stage_questions: 0}
"""


@pytest.mark.slow
def test_a_recipe_starts_from_it(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "skipthink", "run", "recipe.yaml", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    started = load_file(tmp_path / "run" / "student" / "s0" / "model.safetensors")
    packed = load_file(testbed.student_path("S") / "model.safetensors")
    name = "model.embed_tokens.weight"
    assert torch.equal(started[name], packed[name].float())  # its markers were there: no row is added
