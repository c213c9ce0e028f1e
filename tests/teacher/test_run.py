"""The teacher as a job of a run: questions in, students out; nothing is asked twice, and what is open stops it."""

import json

import pytest

from skipthink.exceptions import RunError
from skipthink.run.jobs import PREPARE, TEACH, build_graph
from skipthink.run.recipe import load_recipe
from skipthink.run.runner import run_recipe

RECIPE = """
name: taught
answer: number
data: {{file: sums.jsonl, sizes: {{validation: 4, test: 6}}}}
teacher:
  endpoint: {{base_url: "{url}", model: m, concurrency: 4, retries: 0, timeout: 20}}
  prompt: {{name: concise}}
  sampling: {{n: 2, temperature: 0.5, max_tokens: 60}}
student: {{vocab_size: 300, hidden_size: 16, num_layers: 1, num_heads: 2}}
chunks: {{M: 2}}
training: {{max_steps: 2, batch_size: 4}}
evaluation: {{alone_questions: 1, stage_questions: 1}}
methods: [base]
"""


@pytest.fixture
def recipe_file(tmp_path):
    rows = [{"id": f"q{n}", "question": f"What is {n} + 2?", "answer": str(n + 2)} for n in range(1, 41)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write(url, extra=""):
        path = tmp_path / "taught.yaml"
        path.write_text(RECIPE.format(url=url) + extra)
        return path

    return write


def fingerprints(path, *changes):
    graph = build_graph(load_recipe(path, changes=changes))
    return graph.fingerprints[TEACH], graph.fingerprints[PREPARE]


def test_what_the_jobs_depend_on(recipe_file, tmp_path):
    path = recipe_file("http://127.0.0.1:9/v1")
    graph = build_graph(load_recipe(path))
    assert graph.needs[PREPARE] == (TEACH,)
    assert (TEACH.name, TEACH.folder) == ("teach", "teach")
    before = fingerprints(path)
    # how hard the endpoint is pressed, what it costs and where answers lie is all one to the result
    assert before == fingerprints(
        path, "teacher.endpoint.concurrency=9", "teacher.price={input: 1.0, output: 2.0, budget: 5.0}", "teacher.store=x",
        "teacher.endpoint.base_url=http://other/v1", "teacher.max_open=0.5",
    )  # fmt: skip
    for change in (
        "teacher.endpoint.model=n", "teacher.sampling.n=3", "teacher.filter.keep=shortest", "data.sizes.test=7",
        "tolerance=0.1",
    ):  # fmt: skip
        after = fingerprints(path, change)
        assert after[0] != before[0], change
        assert after[1] != before[1], change
    prompt = tmp_path / "own.yaml"
    prompt.write_text('turns: [{ask: "{question}", gives: rationale}]\n')
    one = fingerprints(path, "teacher.prompt.name=own.yaml")
    prompt.write_text('turns: [{ask: "{question}!", gives: rationale}]\n')
    assert fingerprints(path, "teacher.prompt.name=own.yaml") != one


@pytest.mark.slow
def test_questions_become_a_student(recipe_file, endpoint, tmp_path):
    server = endpoint(wrong=0.2)
    recipe = load_recipe(recipe_file(server.base_url))
    results = run_recipe(recipe, tmp_path / "run")
    assert results["summary"]["base"]["accuracy"]["n"] == 1
    assert len(server.requests()) == 60  # 30 training questions, two samples each
    report = json.loads((tmp_path / "run" / "teach" / "report.json").read_text())
    # this endpoint says the same twice
    assert report["kept"] + report["rejected"]["wrong answer"] + report["rejected"]["duplicate"] == 60
    assert report["rejected"]["duplicate"] == report["kept"]
    done = json.loads((tmp_path / "run" / "teach" / "done.json").read_text())
    assert done["result"]["kept"] == report["kept"]
    # the same again: kept; another filter with the same answers: nothing is asked
    run_recipe(recipe, tmp_path / "run")
    other = load_recipe(
        recipe_file(server.base_url),
        changes=[
            f"teacher.store={tmp_path / 'run' / 'teach' / 'store'}",
            "teacher.filter.check_answers=false",
        ],
    )
    run_recipe(other, tmp_path / "other")
    assert len(server.requests()) == 60


def test_what_is_open_stops_a_run(recipe_file, endpoint, tmp_path):
    server = endpoint(status=400)
    with pytest.raises(RunError, match=r"has refused 20 requests in a row"):
        run_recipe(load_recipe(recipe_file(server.base_url)), tmp_path / "run")
    log = (tmp_path / "run" / "logs" / "teach.log").read_text()
    assert "what is answered is kept: give the same command again" in log
