"""The baselines: the very ids and labels of their items, their training, and what they leave out, counted."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from kept import trains
from training_calls import evaluate_folder, make_trainer, sort_options, train_by_name
from transformers import TrainerCallback

from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError
from skipthink.publish.exports import export_items
from skipthink.publish.folder import dress_student
from skipthink.scoring import ChunkOptions
from skipthink.student.encoding import encode_questions, encode_samples
from skipthink.student.generation import Generated
from skipthink.student.inference import Decoding, answer_questions
from skipthink.student.items import build_items, join_items, take_items
from skipthink.student.models import load_student
from skipthink.student.student import Student
from skipthink.student.token_rows import TokenRows
from skipthink.training.batches import IGNORED_LABEL, ItemDataset, PadCollator
from skipthink.training.methods import own_methods
from skipthink.training.methods.icot_si import EVERYTHING, IcotOptions, drop_left
from skipthink.training.methods.masked import PARTS, lose_on
from skipthink.training.methods.stepwise import stepwise_items
from skipthink.training.methods.truncated import cut_rationales, cut_targets
from skipthink.training.steps import loss_denominators

REAL = Path(__file__).parents[3] / "shared" / "data"
ROWS = [
    {"id": "a", "question": "What is 1 + 2?", "rationale": "We add. 1 + 2 = 3. Done.", "answer": "3"},
    {"id": "b", "question": "And 4?", "rationale": "Four it is.", "answer": "4"},
]
SETTINGS = {
    "batch_size": 8,
    "learning_rate": 1e-3,
    "epochs": 2,
    "save_strategy": "steps",
    "save_steps": 2,
}


@pytest.fixture(scope="module")
def tiny(tokenizer, markers):
    return encode_samples(tokenizer, markers, pa.Table.from_pylist(ROWS))


@pytest.fixture(scope="module")
def base(tiny, markers):
    return build_items(tiny, tiny.plan("base", np.asarray([[0, 1, 2, 3], [0, 1, 1, 1]])), markers)


@pytest.fixture(scope="module")
def n_rationale(tiny):
    return tiny.rationale.lengths


def pairs(items):
    """Prompt and target ids, item by item."""
    return [
        (items.tokens[index][:cut].tolist(), items.tokens[index][cut:].tolist())
        for index, cut in enumerate(items.n_prompt)
    ]


def labels(items):
    return [ItemDataset(items)[index]["labels"].tolist() for index in range(len(items))]


def test_stepwise_items_are_the_steps(tiny, tokenizer, markers):
    items = stepwise_items(tiny, markers)
    # a space between two steps stands in whichever token the tokenizer has put it in
    texts = [
        tuple(tokenizer.decode(ids).replace(" <end>", "<end>").strip() for ids in pair)
        for pair in pairs(items)
    ]
    assert texts == [
        ("[1]What is 1 + 2?", "We add.<end>"),
        ("[1]What is 1 + 2?\nWe add.", "1 + 2 = 3.<end>"),
        ("[1]What is 1 + 2?\nWe add. 1 + 2 = 3.", "Done.<end>"),
        ("[1]What is 1 + 2?\nWe add. 1 + 2 = 3. Done.", "<end>"),
        ("[answer]What is 1 + 2?\nWe add. 1 + 2 = 3. Done.", "3<end>"),
        ("[1]And 4?", "Four it is.<end>"),
        ("[1]And 4?\nFour it is.", "<end>"),
        ("[answer]And 4?\nFour it is.", "4<end>"),
    ]
    assert items.rows.tolist() == [0] * 5 + [1] * 3
    assert items.stages.tolist() == [Stage.STEP] * 4 + [Stage.ANSWER] + [Stage.STEP] * 2 + [Stage.ANSWER]
    # the very ids of the one tokenisation, not of steps tokenised one by one
    expected = []
    for row in range(2):
        question, rationale, cuts = (
            tiny.question[row].tolist(),
            tiny.rationale[row].tolist(),
            tiny.step_tokens[row],
        )
        for start, end in zip(cuts, [*cuts[1:], cuts[-1]], strict=True):
            expected.append(
                (
                    [*markers.stage_marks[0], *question, *rationale[:start]],
                    [*rationale[start:end], markers.end_id],
                )
            )
        expected.append(
            ([*markers.answer_mark, *question, *rationale], [*tiny.answer[row].tolist(), markers.end_id])
        )
    assert pairs(items) == expected


def test_a_step_without_a_token_does_not_say_stop(tiny, markers):
    cuts = tiny.step_tokens[0]
    doubled = replace(tiny, step_tokens=TokenRows.of([np.insert(cuts, 1, cuts[1]), tiny.step_tokens[1]]))
    assert doubled.n_steps.tolist() == [4, 1]
    assert pairs(stepwise_items(doubled, markers)) == pairs(stepwise_items(tiny, markers))


def test_cut_targets_keep_their_first_part(base, tiny):
    whole = pairs(base)
    for share in (1.0, 0.5, 0.1, 1e-6):
        for (prompt, target), (same, cut) in zip(whole, pairs(cut_targets(base, share)), strict=True):
            assert same == prompt
            assert cut == target[: max(1, -(-len(target) * round(share * 1000) // 1000))]
    # 0.1 · 30 in floats is above 3
    thirty = take_items(base, np.asarray([0]))
    values = np.resize(thirty.tokens.values, int(thirty.n_prompt[0]) + 30)
    thirty = replace(thirty, tokens=TokenRows.of([values]))
    assert cut_targets(thirty, 0.1).n_target.tolist() == [3]


def test_cut_and_dropped_rationales_keep_the_answer(base, tiny, markers, n_rationale):
    rationale, answer = (
        tiny.rationale[0].tolist(),
        [*markers.answer_mark, *tiny.answer[0].tolist(), markers.end_id],
    )
    half = -(-len(rationale) // 2)
    assert pairs(cut_rationales(base, n_rationale, 0.5))[0] == (
        tiny.question[0].tolist(),
        rationale[:half] + answer,
    )
    dropped = pairs(drop_left(base, n_rationale, np.asarray([3, EVERYTHING])))
    assert dropped[0] == (tiny.question[0].tolist(), rationale[3:] + answer)
    assert dropped[1] == (
        tiny.question[1].tolist(),
        [*markers.answer_mark, *tiny.answer[1].tolist(), markers.end_id],
    )
    assert pairs(drop_left(base, n_rationale, np.asarray([0, 0]))) == pairs(base)


@pytest.mark.parametrize("parts", [parts for n in (1, 2, 3) for parts in combinations(PARTS, n)])
def test_loss_is_on_the_parts_that_are_named(base, tiny, markers, n_rationale, parts):
    items = lose_on(base, n_rationale, parts)
    question, rationale = tiny.question[0].tolist(), tiny.rationale[0].tolist()
    answer = [*markers.answer_mark, *tiny.answer[0].tolist(), markers.end_id]
    of_part = dict(zip(PARTS, (question, rationale, answer), strict=True))
    expected = [
        token if part in parts else IGNORED_LABEL for part, tokens in of_part.items() for token in tokens
    ]
    expected[0] = IGNORED_LABEL  # nothing stands before it that could predict it
    assert labels(items)[0] == expected
    assert items.n_loss[0] == sum(label != IGNORED_LABEL for label in expected)
    assert pairs(items) == pairs(base)


def test_loss_masks_survive_joining_and_taking(base, n_rationale):
    masked = lose_on(base, n_rationale, ("question",))
    joined = join_items([masked, base])
    assert labels(joined) == labels(masked) + labels(base)
    assert labels(take_items(joined, np.asarray([3, 0, 0]))) == [labels(base)[1], *[labels(masked)[0]] * 2]
    assert (
        loss_denominators([np.arange(4)], joined.n_loss, "batch_tokens").tolist()
        == [int(joined.n_loss.sum())] * 4
    )


@pytest.mark.parametrize(("options", "step", "due"), [
    ({}, -1, 0), ({}, 0, 0), ({}, 4, 3), ({}, 5, 4), ({}, 10, 8), ({}, 19, 15),
    ({"remove_per_epoch": 0.5}, 19, 0), ({"remove_per_epoch": 0.5}, 20, 1),
    ({"remove_from_epoch": 1}, 10, 0), ({"remove_from_epoch": 1}, 15, 4),
    ({"remove_all_beyond": 5}, 6, 4), ({"remove_all_beyond": 5}, 7, EVERYTHING),
])  # fmt: skip
def test_tokens_due(options, step, due):
    """s(t) = ⌊Δ · t / T⌋ with T = 10 steps an epoch."""
    assert IcotOptions(**options).n_due(step, 10) == due


@pytest.fixture
def trainer_of(student_dir, encoded, tmp_path):
    def make(method, **options):
        student = Student.load(student_dir, n_chunks=3)
        return make_trainer(method, student, encoded, tmp_path, save_strategy="no", **options)

    return make


def test_icot_si_drops_what_is_due_in_the_step_of_the_item(trainer_of, encoded):
    trainer = trainer_of("icot-si", batch_size=8, remove_per_epoch=6, removal_smoothing=None)
    whole = trainer.method.whole_items(trainer.source)
    for epoch in (0, 3):
        items = trainer.method.items(trainer.source, epoch)
        trainer.batch_sampler.begin_epoch(epoch, items)
        assert len(trainer.batch_sampler.steps) == 3
        for place, step in enumerate(trainer.batch_sampler.steps):
            due = 6 * epoch + 2 * place
            gone = np.minimum(due, encoded.rationale.lengths[items.rows[step]])
            assert (whole.n_target[step] - items.n_target[step] == gone).all()
    assert (trainer.method.longest_items(trainer.source).n_target == whole.n_target).all()


def test_icot_si_offsets_are_geometric_and_of_the_epoch(trainer_of):
    trainer = trainer_of("icot-si", remove_per_epoch=1e-6, removal_smoothing=0.5)
    n_whole = trainer.method.whole_items(trainer.source).n_target
    offsets = np.concatenate(
        [n_whole - trainer.method.items(trainer.source, epoch).n_target for epoch in range(50)]
    )
    # P(o) ∝ exp(-o / 2): of 1200, within four standard deviations
    for offset in range(3):
        share = (1 - np.exp(-0.5)) * np.exp(-0.5 * offset)
        assert abs((offsets == offset).mean() - share) < 4 * np.sqrt(share * (1 - share) / len(offsets))
    assert (
        trainer.method.items(trainer.source, 1).n_target == trainer.method.items(trainer.source, 1).n_target
    ).all()
    late = trainer_of("icot-si", remove_from_epoch=2, removal_smoothing=0.5)
    assert (late.method.items(late.source, 1).n_target == n_whole).all()
    assert (late.method.items(late.source, 2).n_target < n_whole).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reset", "expected"), [(True, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]), (False, [1, 2, 3, 4, 5, 6])]
)
def test_icot_si_resets_the_optimiser_when_a_token_goes(trainer_of, reset, expected):
    """One more token goes every second step: AdamW's own count of steps starts anew there."""
    trainer = trainer_of("icot-si", batch_size=8, epochs=2, remove_per_epoch=1.5,
                         reset_optimizer=reset)  # fmt: skip
    counts = []

    class Note(TrainerCallback):
        def on_step_end(self, *_, optimizer, **__):
            counts.append(float(next(iter(optimizer.optimizer.state.values()))["step"]))

    trainer.add_callback(Note())
    trainer.train_resumable()
    assert counts == expected
    assert trainer.report["rationale_tokens_gone_at_end"] == 24 * 2
    assert trainer.state.max_steps == 6


def test_masked_loss_equals_the_models_own(trainer_of):
    trainer = trainer_of("masked", batch_size=24, loss_on=["question", "answer"])
    dataset = trainer.train_dataset
    batch = PadCollator(trainer.student.markers)([dataset[index] for index in range(24)])
    model = trainer.model.eval()
    with torch.no_grad():
        expected = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}).loss
        found = trainer.compute_loss(model, batch)
    torch.testing.assert_close(found, expected)
    assert trainer.report["tokens_with_loss"] == int((batch["labels"] != IGNORED_LABEL).sum())


BASELINES = ("icot-si", "masked", "stepwise", "truncated")
COMMON = {"epochs": 2, "batch_size": 8, "save_steps": 2}
OPTIONS = {
    "icot-si": {"remove_per_epoch": 20, "remove_all_beyond": 30, "lr_scheduler": "constant"},
    "masked": {"loss_on": ["rationale", "answer"]},
    "truncated": {"truncate": 0.25},
}


@pytest.fixture(scope="module")
@trains
def trained(kept, student_dir, samples, tmp_path_factory):
    """Every baseline trained with options of its own."""
    folder = tmp_path_factory.mktemp("baselines")
    return folder, {
        method: kept.fill(
            folder / method, train_by_name, name=method, student=student_dir, samples=samples, n_chunks=3, seed=5,
            settings={**COMMON, **OPTIONS.get(method, {})},
        )
        for method in BASELINES
    }  # fmt: skip


def test_each_search_has_a_method():
    chunks = ChunkOptions(M=3, method="anneal")
    found = {name: method.search_of(chunks) for name, method in own_methods().items()}
    assert {found[f"base+sbc-{search}"] for search in ("greedy", "anneal", "optimal")} == {
        "greedy", "anneal", "optimal",
    }  # fmt: skip
    assert (found["base+sbc"], found["base+ac"], found["stt"]) == ("anneal", "average", "average")


def test_counts_in_are_counts_out_and_counts_reported(trained, encoded):
    summaries = trained[1]
    for summary in summaries.values():
        assert (
            summary["report"]["samples"]
            == 24
            == summary["items"].get(str(Stage.BASE), summary["items"].get("0"))
        )
    report = summaries["stepwise"]["report"]
    assert report["step_items"] + report["steps_without_token"] == report["steps"]
    assert summaries["stepwise"]["items"] == {
        "0": 24,
        str(Stage.STEP): report["step_items"] + report["stop_items"],
    }
    whole = int((encoded.rationale.lengths + encoded.answer.lengths + 2).sum())
    report = summaries["truncated"]["report"]
    assert report["target_tokens"] == whole
    assert summaries["truncated"]["train_target_tokens"] == 2 * (whole - report["target_tokens_cut"])
    assert report["targets_without_end"] == 24
    report = summaries["masked"]["report"]
    assert report["tokens_with_loss"] == whole
    assert report["tokens_with_loss"] + report["tokens_without_loss"] == whole + int(
        encoded.question.lengths.sum()
    )
    report = summaries["icot-si"]["report"]
    assert (
        report["rationale_tokens"]
        == report["rationale_tokens_gone_at_end"]
        == int(encoded.rationale.lengths.sum())
    )
    assert report["rationales_gone_at_end"] == 24
    assert summaries["icot-si"]["train_target_tokens"] < 2 * whole


@pytest.mark.parametrize("method", BASELINES)
def test_a_baseline_is_evaluated_in_its_mode(trained, samples, tmp_path, method):
    folder = trained[0] / method
    about = json.loads((folder / "model" / "skipthink.json").read_text())
    assert about["mode"] == own_methods()[method].mode
    result = evaluate_folder(
        model_dir=folder / "model", samples=samples.slice(0, 4), mode=about["mode"], n_chunks=3,
        answer_kind="number", out=tmp_path, settings={"alone_questions": 1},
    )  # fmt: skip
    assert result["n"] == 4 == result["right"] + result["wrong"] + result["unparsed"]
    dress_student(folder / "model", facts={})
    assert own_methods()[method].mode in (folder / "model" / "README.md").read_text()


def test_what_may_be_written_is_bounded_by_whole_targets(trained, encoded):
    whole = int((encoded.rationale.lengths + encoded.answer.lengths + 2).max())
    for method in ("icot-si", "truncated", "masked"):
        about = json.loads((trained[0] / method / "model" / "skipthink.json").read_text())
        assert (about["max_target_tokens"], about["empty_stages"]) == ({str(Stage.BASE): whole}, [])
    about = json.loads((trained[0] / "stepwise" / "model" / "skipthink.json").read_text())
    assert about["max_steps"] == encoded.n_steps.max()
    assert about["empty_stages"] == [Stage.STEP]  # the one that says stop
    assert set(about["max_target_tokens"]) == {"0", str(Stage.STEP)}


def test_masked_items_are_exported_with_their_labels(trained, tokenizer, tmp_path):
    items = pq.read_table(trained[0] / "masked" / "items.parquet")
    export_items(items, tokenizer, out := tmp_path / "items.jsonl", format="ids")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    for row, item in zip(rows, items.to_pylist(), strict=True):
        assert [label != IGNORED_LABEL for label in row["labels"]] == item["loss"]
    with pytest.raises(InvalidInputError, match='use the format "ids"'):
        export_items(items, tokenizer, tmp_path / "texts.jsonl")


class _Killed(Exception):
    pass


def test_icot_si_resumes_as_if_it_had_not_been_killed(trained, student_dir, samples, tmp_path):
    """Killed after a checkpoint, before a step that resets the optimiser."""
    settings = {**COMMON, **OPTIONS["icot-si"]}

    def progress(step, _):
        if step == 3:
            raise _Killed

    common = {"student": student_dir, "samples": samples, "out": tmp_path, "n_chunks": 3, "seed": 5}
    with pytest.raises(_Killed):
        train_by_name("icot-si", **common, settings=settings, progress=progress)
    summary = train_by_name("icot-si", **common, settings=settings)
    assert {**summary, "seconds": 0} == {**trained[1]["icot-si"], "seconds": 0}
    same = (folder / "model" / "model.safetensors" for folder in (tmp_path, trained[0] / "icot-si"))
    assert len({path.read_bytes() for path in same}) == 1


def greedy(model, prompt, end, count):
    ids = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return [token for token in ids[len(prompt) :] if token != end]


def test_stepwise_mode_goes_on_until_the_student_stops(student, markers, tiny):
    """Against a plain loop; the untrained student never stops, so its chain ends at the limit and is counted."""
    question = tiny.question[0]
    decoding = Decoding({Stage.STEP: 4, Stage.ANSWER: 4}, max_steps=3)
    (result,) = answer_questions(student, markers, [question], mode="stepwise", decoding=decoding)
    thought: list[int] = []
    n_passes = n_prompt = 0
    while n_passes < decoding.max_step_passes:
        n_prompt += 1 + len(question) + len(thought)
        n_passes += 1
        step = greedy(student, [*markers.stage_marks[0], *question, *thought], markers.end_id, 6)
        thought += step
        if not step:
            break
    assert result.chain == thought
    assert result.answer == greedy(student, [*markers.answer_mark, *question, *thought], markers.end_id, 6)
    assert result.n_prompt == n_prompt + 1 + len(question) + len(thought)
    assert result.n_unended > 0


def test_stepwise_mode_stops_each_chain_by_itself(monkeypatch, student, markers, tiny):
    """Question a is written in two steps, question b repeats one step for ever."""
    ends = [len(tiny.question[0]) + 1, len(tiny.question[1]) + 1]
    passes = []

    def script(model, markers, prompts, *, max_new_tokens, **_):
        passes.append([prompt.ids.tolist() for prompt in prompts])
        written = []
        for prompt in passes[-1]:
            is_first = prompt[1 : ends[0]] == tiny.question[0].tolist()
            thought = prompt[ends[0 if is_first else 1] :]
            if prompt[:1] == [*markers.answer_mark]:
                ids = [9]
            elif is_first:
                ids = [[20, 21], [22], []][len(thought) if len(thought) < 2 else len(thought) - 1]
            else:
                ids = [30, 31]
            written.append(Generated(np.asarray(ids, np.int64), True))
        return written

    monkeypatch.setattr("skipthink.student.inference.generate", script)
    decoding = Decoding({Stage.STEP: 4, Stage.ANSWER: 4}, max_steps=4)
    questions = [tiny.question[row] for row in range(2)]
    first, second = answer_questions(student, markers, questions, mode="stepwise", decoding=decoding)
    assert (first.chain, first.answer, first.n_unended, first.n_looped) == ([20, 21, 22], [9], 0, 0)
    assert first.n_generated == 3 + 2 + 1 + 2
    assert decoding.max_step_passes == 6
    assert (second.chain, second.answer) == ([30, 31] * 6, [9])
    assert (second.n_unended, second.n_looped) == (1, 1)
    assert [len(prompts) for prompts in passes] == [2, 2, 2, 1, 1, 1, 2]
    assert passes[2][0] == [*markers.stage_marks[0], *tiny.question[0], 20, 21, 22]
    with pytest.raises(InvalidInputError, match="not trained step by step"):
        answer_questions(
            student, markers, questions, mode="stepwise", decoding=Decoding({Stage.STEP: 4, Stage.ANSWER: 4})
        )


def test_a_stepwise_folder_is_asked_step_by_step(trained, tokenizer, markers):
    """Its chat template writes our prompts: a reply a step, after an empty one the answer."""
    dress_student(trained[0] / "stepwise" / "model", facts={})
    loaded = load_student(trained[0] / "stepwise" / "model")[1]
    (question,) = encode_questions(tokenizer, markers, ["And 4?"])
    step = tokenizer("Four it is.").input_ids
    (lead,) = markers.stage_marks[0]
    for replies, expected in (
        ([], [lead, *question]),
        (["Four it is."], [lead, *question, *step]),
        (["Four it is.", ""], [*markers.answer_mark, *question, *step]),
    ):
        messages = [{"role": "user", "content": "And 4?"}]
        messages += [{"role": "assistant", "content": reply} for reply in replies]
        prompt = loaded.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        assert prompt["input_ids"] == expected
    with pytest.raises(Exception, match="ask the next question anew"):
        loaded.apply_chat_template([*messages, {"role": "assistant", "content": "4"}])


@pytest.mark.parametrize(("method", "options", "message"), [
    ("truncated", {"truncate": 0.0}, "truncate must be above 0"),
    ("truncated", {"truncate": 1.5}, "truncate must be at most 1"),
    ("truncated", {"truncate_of": "answer"}, "truncate_of must be"),
    ("masked", {"loss_on": []}, r"loss_on must have at least 1 entry, got \[\]"),
    ("masked", {"loss_on": ["cot"]}, "loss_on must be a list .*question.*rationale.*answer"),
    ("masked", {"loss_on": ["answer", "answer"]}, "each once"),
    ("icot-si", {"remove_per_epoch": 0.0}, "remove_per_epoch must be above 0"),
    ("icot-si", {"remove_from_epoch": -1.0}, "remove_from_epoch must be at least 0"),
    ("icot-si", {"remove_all_beyond": 0}, "remove_all_beyond must be at least 1"),
    ("icot-si", {"removal_smoothing": 0.0}, "removal_smoothing must be above 0"),
    ("icot-si", {"deepspeed": {}}, "reset_optimizer is set beside deepspeed"),
])  # fmt: skip
def test_bad_options(method, options, message):
    with pytest.raises(InvalidInputError, match=message):
        sort_options(own_methods()[method], 3, options)


def test_long_samples_are_left_out_of_every_baseline_and_counted(trainer_of, encoded):
    limit = int(np.median(encoded.question.lengths + encoded.rationale.lengths)) + 5
    for baseline in ("stepwise", "icot-si", "masked"):
        with pytest.raises(InvalidInputError, match="items exceed"):
            trainer_of(baseline, max_item_tokens=limit)
        trainer = trainer_of(baseline, max_item_tokens=limit, long_items="drop")
        n_left = len(trainer.source.rows)
        assert 0 < n_left == 24 - trainer.report["samples_left_out"] < 24
        assert len(np.unique(trainer.train_dataset.items.rows)) == n_left


@pytest.mark.parametrize("stem", ["multiarith_gpt4omini", "gsm8k_r1distill7b", "strategyqa"])
def test_real_rationales_lose_nothing_that_is_not_counted(tokenizer, markers, stem):
    path = REAL / f"{stem}.jsonl"
    if not path.is_file():
        pytest.skip(f"needs the real rationales at {REAL}")
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line][:200]
    rows = [
        {key: str(row[key]) for key in ("id", "question", "rationale", "answer")}
        for row in map(json.loads, lines)
    ]
    rows = [row for row in rows if row["rationale"].strip()]
    encoded = encode_samples(tokenizer, markers, pa.Table.from_pylist(rows))
    steps = stepwise_items(encoded, markers)
    n_steps = int(encoded.n_steps.sum())
    assert (steps.stages == Stage.STEP).sum() + encoded.report["steps_without_token"] == n_steps + len(rows)
    # the steps of a sample, joined, are its rationale
    of_steps = take_items(steps, np.flatnonzero(steps.stages == Stage.STEP))
    targets = of_steps.target_places >= 0
    ends = np.zeros(len(targets), dtype=bool)
    ends[of_steps.tokens.offsets[1:] - 1] = True
    assert np.array_equal(of_steps.tokens.values[targets & ~ends], encoded.rationale.values)
    boundaries = np.stack([np.zeros(len(rows), np.int64), encoded.n_steps], axis=1)
    whole = build_items(encoded, encoded.plan("base", boundaries), markers)
    cut = cut_targets(whole, 0.5)
    assert np.array_equal(cut.n_target, -(-whole.n_target // 2))
    assert np.array_equal(drop_left(whole, encoded.rationale.lengths, np.full(len(rows), EVERYTHING)).n_target,
                          encoded.answer.lengths + 2)  # fmt: skip
    masks = [lose_on(whole, encoded.rationale.lengths, (part,)).n_loss.sum() for part in PARTS]
    assert sum(masks) == len(whole.tokens.values) - len(rows)
