"""Offline batches: request files, result files, and that no request is written twice."""

import json
from collections import Counter

import pytest

from skipthink.exceptions import DataError
from skipthink.teacher.options import (
    BatchOptions,
    PriceOptions,
    PromptOptions,
    SamplingOptions,
    TeacherOptions,
)


def options_of(prompt="concise", **batch):
    return TeacherOptions(
        batch=BatchOptions(model="m", **batch),
        prompt=PromptOptions(name=prompt),
        sampling=SamplingOptions(max_tokens=64),
    )


def requests_in(folder):
    return [
        json.loads(line)
        for path in sorted(folder.glob("batch/requests-*"))
        for line in path.read_text().splitlines()
    ]


def answer(line, text=None, status=200):
    """A line of a result file."""
    from importlib import util
    from pathlib import Path

    if text is None:
        spec = util.spec_from_file_location("endpoint_server", Path(__file__).with_name("endpoint_server.py"))
        server = util.module_from_spec(spec)
        spec.loader.exec_module(server)
        text = server.reply_text(line["body"]["messages"][-1]["content"], "plain", 0)["content"]
    body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "model": "m"}
    if status != 200:
        body = {"error": {"message": "too bad"}}
    return {
        "id": "x",
        "custom_id": line["custom_id"],
        "response": {"status_code": status, "body": body},
        "error": None,
    }


def put_results(folder, name, lines):
    path = folder / "batch" / "results" / f"{name}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_requests_out_results_in(sums, ask, tmp_path):
    out = tmp_path / "out"
    first = ask(sums(25), options_of(max_requests=10)).report
    assert first["open"] == {"stands in a request file": 25}
    lines = requests_in(out)
    assert len(list(out.glob("batch/requests-*"))) == 3
    assert len({line["custom_id"] for line in lines}) == 25
    assert all(
        (line["method"], line["url"], line["body"]["model"]) == ("POST", "/v1/chat/completions", "m")
        for line in lines
    )
    assert all(line["body"]["max_tokens"] == 64 for line in lines)

    waiting = ask(sums(25), options_of(max_requests=10)).report
    assert waiting["open"] == {"waits for the result of its batch": 25}
    assert requests_in(out) == lines  # nothing is written twice, so nothing is sent twice

    put_results(out, "first", [answer(line) for line in lines[:15]])
    some = ask(sums(25), options_of(max_requests=10)).report
    assert (some["kept"], some["open"]) == (15, {"waits for the result of its batch": 10})
    assert requests_in(out) == lines

    rest = [answer(line) for line in lines[15:]]
    rest[0] = answer(lines[15], status=500)
    rest[1] = answer(lines[16], status=400)
    rest[2] = {"custom_id": lines[17]["custom_id"], "response": None, "error": {"code": "batch_expired"}}
    rest[3] = answer(lines[18], text="The answer is 1.")
    put_results(out, "second", rest)
    then = ask(sums(25), options_of(max_requests=10)).report
    assert then["kept"] == 15 + 6
    assert then["rejected"] == {"wrong answer": 1}
    refused = [reason for reason in then["open"] if reason.startswith("refused: ")]
    assert {name: count for name, count in then["open"].items() if name not in refused} == {
        "stands in a request file": 2
    }
    assert len(refused) == 1
    again = Counter(line["custom_id"] for line in requests_in(out))
    assert sorted(again.values()) == [1] * 23 + [2] * 2  # what has failed is written once more

    put_results(out, "third", [answer(lines[15]), answer(lines[17])])
    last = ask(sums(25), options_of(max_requests=10)).report
    assert last["kept"] == 23
    assert sum(last["open"].values()) == 1


def test_a_second_turn_follows_the_first(sums, ask, tmp_path):
    out = tmp_path / "out"
    ask(sums(3), options_of("zero-shot"))
    put_results(out, "one", [answer(line, text="We add both.") for line in requests_in(out)])
    ask(sums(3), options_of("zero-shot"))
    second = [line for line in requests_in(out) if len(line["body"]["messages"]) == 3]
    assert len(second) == 3
    texts = {line["custom_id"]: str(sum(map(int, line["body"]["messages"][0]["content"].replace("?", "").split()[2:5:2])))
             for line in second}  # fmt: skip
    put_results(out, "two", [answer(line, text=texts[line["custom_id"]]) for line in second])
    report = ask(sums(3), options_of("zero-shot")).report
    # the same rationale for three questions
    assert (report["kept"], report["rejected"]) == (1, {"duplicate": 2})


def test_the_budget_bounds_what_is_written(sums, ask, tmp_path):
    options = options_of().replace(price=PriceOptions(input=0.5, output=2.0, budget=0.004))
    taught = ask(sums(60), options)
    n_written = len(requests_in(tmp_path / "out"))
    assert 2 < n_written < 15
    assert "budget" in taught.halted


@pytest.mark.parametrize(("line", "message"), [
    ("{", "results.x.jsonl, line 1 is not valid JSON"),
    ('{"custom_id": 7}', "line 1 has no custom_id"),
    ('{"custom_id": "x"}', "has neither response nor error"),
])  # fmt: skip
def test_files_that_are_none_of_a_batch(sums, ask, tmp_path, line, message):
    (tmp_path / "out" / "batch" / "results").mkdir(parents=True)
    (tmp_path / "out" / "batch" / "results" / "x.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        ask(sums(1), options_of())
