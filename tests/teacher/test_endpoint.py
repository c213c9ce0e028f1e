"""An endpoint that misbehaves: every question ends right, rejected with a reason, or open and named."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from skipthink.exceptions import InvalidInputError
from skipthink.teacher.options import FilterOptions, SamplingOptions
from skipthink.teacher.pace import Pace, pause_seconds, retry_after

KEY = "sk-test-4f9a8b7c6d5e"


def ends(report):
    """Kept, rejected and open samples."""
    return report["kept"], sum(report["rejected"].values()), sum(report["open"].values())


@pytest.mark.parametrize("style", ["plain", "reasoning_content", "reasoning", "think", "unopened"])
def test_thoughts_of_every_kind_of_server(endpoint, sums, options_for, ask, rows_of, tmp_path, style):
    import dataclasses

    from skipthink.teacher.options import PromptOptions

    server = endpoint(style=style)
    options = dataclasses.replace(options_for(server.base_url), prompt=own_prompt(tmp_path))
    assert isinstance(options.prompt, PromptOptions)
    report = ask(sums(5), options).report
    assert ends(report) == (5, 0, 0)
    row = rows_of(tmp_path / "out", "rationales")[0]
    assert row["rationale"].startswith("We add the two numbers 1 and 4. That gives 1 + 4 = 5.")
    assert ("The answer is" in row["rationale"]) == (style == "plain")


def own_prompt(folder):
    from skipthink.teacher.options import PromptOptions

    path = folder / "own.yaml"
    path.write_text('turns: [{ask: "{question}", gives: rationale}]\n')
    return PromptOptions(name=str(path))


def test_nothing_is_asked_twice(endpoint, sums, options_for, ask):
    server = endpoint(wrong=0.2)
    first = ask(sums(40, n_test=3), options_for(server.base_url)).report
    assert first["answers"]["asked"]["answers"] == 40
    kept, rejected, still_open = ends(first)
    assert (kept + rejected, still_open) == (40, 0)
    assert rejected > 0
    assert first["rejected"] == {"wrong answer": rejected}
    # another filter, more questions, the same ones once more
    again = ask(sums(50), options_for(server.base_url, keep=FilterOptions(check_answers=False))).report
    assert again["answers"]["asked"]["answers"] == 10
    assert again["kept"] == 50
    questions = Counter(entry["question"] for entry in server.requests())
    assert set(questions.values()) == {1}
    assert not any("What is 51 + 154?" in question for question in questions)


def test_a_question_that_stands_twice_is_asked_once(endpoint, sums, options_for, ask):
    import pyarrow as pa

    server = endpoint(delay=0.05)
    one = sums(1)
    twice = pa.concat_tables([one, one.set_column(0, "id", pa.array(["again"]))])
    report = ask(twice, options_for(server.base_url)).report
    assert len(server.requests()) == 1
    assert (report["kept"], report["rejected"]) == (1, {"duplicate": 1})


EACH = ("429", "429-retry-after", "500", "reset", "hang", "truncated", "no-choices", "duplicate")


@pytest.mark.parametrize("fault", EACH)
def test_each_fault_alone(endpoint, sums, options_for, ask, fault):
    timeout = 0.5 if fault == "hang" else 10  # a busy machine must not bring answers too late
    server = endpoint(faults={fault: 0.3}, seed=1)
    report = ask(
        sums(30), options_for(server.base_url, timeout=timeout, retries=10, concurrency=10, max_wait=0.3)
    ).report
    kept, rejected, still_open = ends(report)
    assert kept + rejected + still_open == 30
    assert still_open == 0
    asked = server.requests()
    n_faults = sum(entry["fault"] is not None for entry in asked)
    assert n_faults > 0
    if fault == "duplicate":  # a whole answer, though not to this question: the answer check finds it
        assert rejected > 0
        assert set(report["rejected"]) <= {"wrong answer", "duplicate"}
        assert len(asked) == 30
        return
    assert rejected == 0
    assert sum(report["faults"].values()) == n_faults
    assert len(asked) == 30 + n_faults
    names = {"429": "status 429", "429-retry-after": "status 429", "500": "status 500", "hang": "timeout",
             "reset": "connection lost", "truncated": "body is no JSON", "no-choices": "no choice"}  # fmt: skip
    assert set(report["faults"]) == {names[fault]}


def test_all_faults_together(endpoint, sums, options_for, ask, rows_of, tmp_path):
    server = endpoint(faults=dict.fromkeys(EACH, 0.1), seed=2, retry_after=0.05)
    options = options_for(server.base_url, timeout=1.5, retries=5, concurrency=30, max_wait=0.2)
    report = ask(sums(60), options).report
    kept, rejected, still_open = ends(report)
    assert kept + rejected + still_open == 60
    named = rows_of(tmp_path / "out", "open")
    assert len(named) == still_open
    assert all(re.match(r"failed 6 times, at last: ", row["reason"]) for row in named)
    asked = server.requests()
    answered = Counter(entry["question"] for entry in asked if entry["fault"] in (None, "duplicate"))
    # nothing is asked again once it is answered, but for answers that a busy machine has brought too late
    n_late = report["faults"].get("timeout", 0) - sum(entry["fault"] == "hang" for entry in asked)
    assert answered.total() - len(answered) == n_late
    # the next call asks for the open ones alone, and for nothing that was answered
    before = len(server.requests())
    again = ask(sums(60), options).report
    fresh = {entry["question"] for entry in server.requests()[before:]}
    assert len(fresh) == still_open
    assert again["kept"] >= kept


def test_a_pause_that_the_endpoint_asks_for_is_kept(endpoint, sums, options_for, ask):
    server = endpoint(faults={"429-retry-after": 1.0}, retry_after=0.7)
    ask(sums(1), options_for(server.base_url, retries=2))
    times = [entry["time"] for entry in server.requests()]
    assert len(times) == 3
    assert all(later - earlier >= 0.69 for earlier, later in zip(times, times[1:], strict=False))


def test_a_pause_that_is_too_long_ends_the_call(endpoint, sums, options_for, ask):
    server = endpoint(faults={"429-retry-after": 1.0}, retry_after=3600)
    started = time.monotonic()
    taught = ask(sums(20), options_for(server.base_url))
    assert time.monotonic() - started < 20
    assert "asks to wait 3600 seconds" in taught.halted
    assert sum(taught.report["open"].values()) == 20


@pytest.mark.parametrize(("status", "says"), [
    (401, "does not accept the key"), (403, "does not accept the key"), (404, "does not know the model"), (402, "wants to be paid"),
])  # fmt: skip
def test_what_no_other_request_does_better_ends_the_call(endpoint, sums, options_for, ask, status, says):
    server = endpoint(status=status)
    taught = ask(sums(50), options_for(server.base_url, concurrency=4))
    assert says in taught.halted
    assert len(server.requests()) <= 4
    assert sum(taught.report["open"].values()) == 50


def test_refused_requests_stay_open_and_many_in_a_row_end_the_call(endpoint, sums, options_for, ask):
    server = endpoint(status=400)
    few = ask(sums(5), options_for(server.base_url))
    assert few.halted is None
    (reason,) = few.report["open"]
    assert reason.startswith("refused: Error code: 400 - no, not with")
    many = ask(sums(200), options_for(server.base_url, concurrency=4))
    assert "has refused 20 requests in a row" in many.halted
    assert len(server.requests()) <= 5 + 24


def test_cut_off_replies_and_refusals_are_counted(endpoint, sums, options_for, ask):
    for finish, reason in (("length", "cut off"), ("content_filter", "refused")):
        server = endpoint(finish=finish)
        report = ask(sums(3), options_for(server.base_url, model=finish)).report
        assert report["rejected"] == {reason: 3}
        assert report["finishes"] == {finish: 3}
        assert report["refusals"] == (3 if finish == "content_filter" else 0)


def test_no_more_are_under_way_than_allowed(endpoint, sums, options_for, ask):
    server = endpoint(delay=0.02)
    ask(sums(60), options_for(server.base_url, concurrency=7))
    assert max(entry["under_way"] for entry in server.requests()) <= 7


def test_requests_a_minute(endpoint, sums, options_for, ask):
    server = endpoint()
    ask(sums(12), options_for(server.base_url, requests_per_minute=600))
    times = [entry["time"] for entry in server.requests()]
    assert times[-1] - times[0] >= 11 * 0.1 - 0.05


def test_each_sample_has_its_seed(endpoint, sums, options_for, ask, rows_of, tmp_path):
    server = endpoint()
    options = options_for(
        server.base_url, sampling=SamplingOptions(n=3, temperature=0.7, seed=5, max_tokens=64)
    )
    report = ask(sums(4), options).report
    seeds = {entry["seed"] for entry in server.requests()}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert report["samples"] == 12
    assert (report["kept"], report["rejected"]) == (
        4,
        {"duplicate": 8},
    )  # this endpoint says the same each time
    assert [row["id"] for row in rows_of(tmp_path / "out", "rationales")] == [
        f"sum-{number}-0" for number in range(4)
    ]


def test_a_replied_count_of_tokens_may_be_missing(endpoint, sums, options_for, ask):
    server = endpoint(usage=False)
    report = ask(sums(3), options_for(server.base_url)).report
    assert report["answers_that_count_no_tokens"] == 3
    assert report["answers"]["asked"]["tokens"] > 0


def test_no_connection(sums, options_for, ask):
    report = ask(sums(2), options_for("http://127.0.0.1:9/v1", retries=1, max_wait=0.1)).report
    assert report["open"] == {"failed 2 times, at last: no connection": 2}


TALKATIVE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
sys.path.insert(0, {folder!r})
from pathlib import Path
from conftest import make_options, make_sums
from skipthink.teacher.teaching import teach
for status_server in {urls!r}:
    options = make_options(status_server, key_env="TEST_KEY", retries=1, max_wait=0.1)
    print(teach(make_sums(3), options, Path({out!r}) / status_server.split("/")[3], kind="number").halted)
print(Path("/proc/self/cmdline").read_bytes())
raise RuntimeError("a traceback too")
"""


def test_the_key_appears_nowhere(endpoint, tmp_path):
    """The endpoint repeats it in errors and answers; logs are at their loudest."""
    servers = [endpoint(echo_key=True), endpoint(status=401), endpoint(status=400), endpoint(faults={"500": 1.0}),
               endpoint(faults={"429": 1.0})]  # fmt: skip
    code = TALKATIVE.format(
        folder=str(Path(__file__).parent), urls=[one.base_url for one in servers], out=str(tmp_path / "out")
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TEST_KEY": KEY, "OPENAI_LOG": "debug"},
    )
    assert "a traceback too" in done.stderr
    assert KEY not in done.stdout + done.stderr
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) > 10
    for path in written:
        content = path.read_bytes()
        assert KEY.encode() not in content, path
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            assert KEY not in str(pq.read_table(path).to_pylist()), path
    assert any(entry["has_key"] for entry in servers[0].requests())
    assert "does not accept the key in TEST_KEY" in done.stdout


def test_a_missing_key_is_named_by_its_variable(sums, options_for, ask, monkeypatch):
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(InvalidInputError, match="TEST_KEY is not set"):
        ask(sums(1), options_for("http://127.0.0.1:9/v1", key_env="TEST_KEY"))


def test_a_key_is_no_name_of_a_variable(options_for):
    with pytest.raises(InvalidInputError, match="key_env must be the name") as error:
        options_for("http://127.0.0.1:9/v1", key_env=KEY)
    assert KEY not in str(error.value)
    for url in ("http://user:secret@host/v1", "https://host/v1?key=secret"):
        with pytest.raises(InvalidInputError, match="base_url holds a user, a password or a query") as error:
            options_for(url)
        assert "secret" not in str(error.value)


def test_what_a_header_asks_for():
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert retry_after({"retry-after": "3"}) == 3.0
    assert retry_after({"retry-after": "-3"}) == 0.0
    assert retry_after({"retry-after": "inf"}) is None
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
    from email.utils import formatdate

    assert 8 < retry_after({"retry-after": formatdate(time.time() + 10, usegmt=True)}) <= 10
    assert retry_after({"retry-after": formatdate(time.time() - 10, usegmt=True)}) == 0.0


def test_pauses_grow_and_are_bounded():
    for attempt in range(1, 100):
        bound = min(5.0, 0.5 * 2 ** (attempt - 1))
        assert bound / 2 <= pause_seconds(attempt, 5.0) <= bound


def test_tokens_a_minute_are_given_back_where_they_are_not_used():
    import asyncio

    from skipthink.teacher.halting import Halt

    async def run():
        now = [0.0]
        pace = Pace(None, 60, Halt(), clock=lambda: now[0])
        await pace.wait(30)
        assert pace._seconds_left() == 30
        pace.settle(30, 10)
        assert pace._seconds_left() == 10
        pace.hold(25)
        assert pace._seconds_left() == 25
        now[0] = 25.0
        await pace.wait(60)
        assert pace._seconds_left() == 60

    asyncio.run(run())


def test_the_estimate_is_said_once(endpoint, sums, options_for, ask):
    server = endpoint()
    ask(sums(45), options_for(server.base_url))
    (estimate,) = [line for line in ask.said if line.startswith("estimate")]
    assert re.match(
        r"estimate from the first 20 answers: 45 requests read [\d,]+ and write 855 tokens$", estimate
    )


def test_the_request_is_what_the_options_say(endpoint, sums, options_for, ask):
    server = endpoint(delay=0.011)
    sampling = SamplingOptions(
        n=1,
        temperature=0.5,
        top_p=0.9,
        max_tokens=77,
        extra={"reasoning_effort": "low", "chat_template_kwargs": {"x": 1}},
    )
    ask(sums(1), options_for(server.base_url, sampling=sampling, tokens_name="max_completion_tokens"))
    (entry,) = server.requests()
    body = entry["body"]
    assert {name: body[name] for name in body if name not in ("messages", "seed")} == {
        "model": "teacher", "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 77, "reasoning_effort": "low",
        "chat_template_kwargs": {"x": 1},
    }  # fmt: skip
    assert json.dumps(body["messages"]).count("What is 1 + 4?") == 1
