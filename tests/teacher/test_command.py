"""`skipthink teach`: what it shows, what it says, and one line for every mistake."""

import json

import pytest
from command_line import call_cli

from skipthink.exceptions import RecipeError
from skipthink.teacher.command import as_changes, read_assignment


def cli(*arguments, check=0, **env):
    return call_cli("teach", *arguments, env=env, check=check)


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [{"id": f"q{n}", "question": f"What is {n} + 2?", "answer": str(n + 2)} for n in range(1, 31)]
    rows[0]["question"] += " \x1b[31m"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_show_prints_what_would_be_sent_and_sends_nothing(questions):
    done = cli(questions, "--answer", "number", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--task",
               "single_operation", "--show", 2, "--input-price", 0.5, "--output-price", 2, "--set", "prompt.n_examples=1")  # fmt: skip
    assert done.stdout.count("──── question") == 2
    assert "What is 1 + 2? \\x1b[31m" in done.stdout
    assert done.stdout.count("[assistant]") == 2
    assert "(max_tokens: 1024, temperature: 0.0; at most" in done.stdout
    assert "the first turns of all 30 questions cost 0.0" in done.stdout
    two = cli(questions, "--answer", "number", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--prompt",
              "difficulty-aware", "--show", 1)  # fmt: skip
    assert "turn 2, a new conversation" in two.stdout


def test_teach_from_the_command_line(questions, endpoint, tmp_path):
    server = endpoint(wrong=0.2, faults={"500": 0.1})
    out = tmp_path / "out"
    command = [questions, "--answer", "number", "--base-url", server.base_url, "--model", "m", "--prompt", "concise",
               "--out", out, "--input-price", 0.5, "--output-price", 2, "--budget", 1, "--key-env", "MY_KEY"]  # fmt: skip
    done = cli(*command, MY_KEY="sk-secret")
    report = json.loads((out / "report.json").read_text())
    assert report["kept"] + report["rejected"]["wrong answer"] == 30
    assert f"kept                    {report['kept']:>7}" in done.stdout
    assert "questions have a rationale; 30 answers asked for, 0 from the store" in done.stdout
    assert "paid by this call" in done.stdout
    assert "30 of 30 rows of" in done.stderr
    assert "estimate from the first 20 answers: 30 requests" in done.stderr
    again = cli(*command, MY_KEY="sk-secret")
    assert "0 answers asked for, 30 from the store" in again.stdout


def test_what_is_open_is_an_exit_code(questions, tmp_path):
    done = cli(questions, "--answer", "number", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--prompt",
               "concise", "--out", tmp_path / "out", "--set", "endpoint.retries=0", check=1)  # fmt: skip
    assert "30 samples are open" in done.stderr
    assert "open: failed 1 times, at last: no connection" in done.stdout


def test_batch_files_from_the_command_line(questions, tmp_path):
    done = cli(questions, "--answer", "number", "--batch", "--model", "m", "--prompt", "concise", "--out", tmp_path / "out",
               check=1)  # fmt: skip
    assert f"send {tmp_path}/out/batch/requests-*.jsonl to the batch API, each once" in done.stderr


@pytest.mark.parametrize(("arguments", "message"), [
    (["--model", "m"], "key endpoint.base_url is missing"),
    ([], "must have one of endpoint, local and batch"),
    (["--answer", "numbr"], "answer is 'numbr', but must be 'number'"),
    (["--local", "x", "--batch", "--model", "m"], "got local and batch"),
    (["--base-url", "ftp://x", "--model", "m"], "base_url"),
    (["--base-url", "http://h/v1", "--model", "m", "-n", "4"], "n is 4 at temperature 0"),
    (["--base-url", "http://h/v1", "--model", "m", "--set", "filter.keeep=all"], "did you mean filter.keep"),
    (["--base-url", "http://h/v1", "--model", "m"], "shows examples; name their task"),
    (["--base-url", "http://h/v1", "--model", "m", "--prompt", "concise", "--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY is not set"),
    (["--base-url", "http://h/v1", "--model", "m", "--budget", "5"], "budget needs prices"),
])  # fmt: skip
def test_mistakes_take_one_line(questions, tmp_path, arguments, message):
    done = cli(questions, "--answer", "number", "--out", tmp_path / "out", *arguments, check=2)
    (line,) = done.stderr.splitlines()[-1:]
    assert line.startswith("error: ")
    assert message in line


def test_a_bad_question_is_named_by_its_row(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"question": "1 + 1?", "answer": "2"}\n{"question": "2 + 2?", "answer": "four or five"}\n'
    )
    done = cli(
        path,
        "--answer",
        "number",
        "--base-url",
        "http://h/v1",
        "--model",
        "m",
        "--prompt",
        "concise",
        check=2,
    )
    assert "bad.jsonl, row 1, line 2: gold answer 'four or five'" in done.stderr


def test_the_questions_and_the_teacher_of_a_recipe(endpoint, tmp_path):
    server = endpoint()
    questions = tmp_path / "sums.jsonl"
    rows = [{"question": f"What is {n} + 2?", "answer": str(n + 2)} for n in range(1, 31)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        f"""
name: own
answer: number
data: {{file: sums.jsonl, sizes: {{validation: 2, test: 5}}}}
teacher:
  endpoint: {{base_url: "{server.base_url}", model: m}}
  prompt: {{name: concise}}
  store: answers
chunks: {{M: 2}}
"""
    )
    shown = cli(recipe, "--show", 1)
    assert shown.stdout.count("──── question") == 1
    cli(recipe, "--out", tmp_path / "out", "--set", "teacher.sampling.max_tokens=50")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["kept"], report["evaluation_rows"]) == (23, 7)
    assert report["options"]["sampling"]["max_tokens"] == 50
    assert list((tmp_path / "answers").glob("answers-*"))
    recipe.write_text("name: own\nanswer: number\ndata: {file: sums.jsonl}\nchunks: {M: 2}\n")
    assert "has no section teacher" in cli(recipe, "--show", 1, check=2).stderr


def test_keys_of_options_go_through_the_strict_reader(questions):
    flags = as_changes({"endpoint.model": "m", "store": None})
    assert flags == ['endpoint.model="m"']
    changes = ["endpoint.base_url=http://h/v1", "sampling.extra={a: 1}"]
    options = read_assignment(questions, "number", flags, changes).teacher
    assert options.endpoint.model == "m"
    assert options.sampling.extra == {"a": 1}
    with pytest.raises(RecipeError, match=r"skipthink teach: sampling.seed"):
        read_assignment(questions, "number", flags, [*changes, "sampling.seed=one"])
