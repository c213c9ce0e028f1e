"""The controls: the very ids of their items, what they leave out, and how they answer."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from kept import trains
from training_calls import evaluate_folder, make_trainer, train_by_name

from skipthink.core.codes import Stage
from skipthink.core.search import average_boundaries
from skipthink.exceptions import DataError, InvalidInputError
from skipthink.publish.folder import chat_template, dress_student
from skipthink.student.encoding import encode_samples
from skipthink.student.generation import Generated
from skipthink.student.inference import Decoding, answer_questions
from skipthink.student.student import Student
from skipthink.student.token_rows import offsets_of
from skipthink.training import perplexity
from skipthink.training.dropping import (
    count_dropped,
    drop_at_random,
    drop_by_rule,
    drop_chunks,
    find_new,
    step_lengths,
    trim_last,
)
from skipthink.training.methods import own_methods
from skipthink.training.perplexity import prune_by_perplexity
from skipthink.training.source import ItemSource

ROWS = [
    {
        "id": "a",
        "question": "Ann has 3 pens and buys 4. How many pens has she?",
        "rationale": "Let us think. She has 3 and 4. 3 + 4 = 7. So the answer is 7.",
        "answer": "7",
    },
    {"id": "b", "question": "What is 2 and 5?", "rationale": "2 + 5 = 7.", "answer": "7"},
    {
        "id": "c",
        "question": "Which is more, 2 or 5?",
        "rationale": "We compare them. It is 5.",
        "answer": "5",
    },
]
BOUNDARIES = np.asarray([[0, 2, 3, 4], [0, 1, 1, 1], [0, 1, 2, 2]])
SKIPPED = np.asarray([[True, False, True], [False, False, False], [True, True, False]])
CONTROLS = (
    "base-trim",
    "base-small-steps",
    "base-markers",
    "post-think",
    "pruned-rule",
    "pruned-random",
    "two-prompts",
)


@pytest.fixture(scope="module")
def few(tokenizer, markers):
    return encode_samples(tokenizer, markers, pa.Table.from_pylist(ROWS))


def source_of(few, markers, name, **options):
    method = own_methods()[name]
    return ItemSource(few, markers, method.Options(**options), BOUNDARIES, 0, 8, skipped=SKIPPED)


def texts_of(items, tokenizer):
    """Prompt and target of each item as text; a space at a cut is in whichever token the tokenizer put it."""
    pairs = []
    for index, cut in enumerate(items.n_prompt):
        ids = items.tokens[index]
        pairs.append(
            tuple(
                tokenizer.decode(part).replace(" <end>", "<end>").strip() for part in (ids[:cut], ids[cut:])
            )
        )
    return pairs


QUESTIONS = [row["question"] for row in ROWS]
ANSWERED = ["[answer] 7<end>", "[answer] 7<end>", "[answer] 5<end>"]
SHORT = ["3 + 4 = 7.", "2 + 5 = 7.", "We compare them. It is 5."]


@pytest.mark.parametrize(
    ("name", "prompts", "targets"),
    [
        (
            "base-trim",
            QUESTIONS,
            ["Let us think. She has 3 and 4. 3 + 4 = 7.", "2 + 5 = 7.", "We compare them."],
        ),
        ("base-small-steps", QUESTIONS, [row["rationale"] for row in ROWS]),
        (
            "base-markers",
            QUESTIONS,
            [
                "[1] Let us think. She has 3 and 4. [2] 3 + 4 = 7. [3] So the answer is 7.",
                "[1] 2 + 5 = 7.",
                "[1] We compare them. [2] It is 5.",
            ],
        ),
        ("pruned-rule", QUESTIONS, SHORT),
        ("pruned-judge", QUESTIONS, ["3 + 4 = 7.", "2 + 5 = 7.", "It is 5."]),
    ],
)
def test_items_hold_what_stays(few, markers, tokenizer, name, prompts, targets):
    items = own_methods()[name].items(source_of(few, markers, name), 0)
    found = texts_of(items, tokenizer)
    assert [prompt for prompt, _ in found] == prompts

    def squeezed(text):
        return text.replace(" ", "")

    expected = [squeezed(f"{target}{end}") for target, end in zip(targets, ANSWERED, strict=True)]
    assert [squeezed(target) for _, target in found] == expected
    assert items.stages.tolist() == [Stage.BASE] * 3
    assert items.loss is None  # every token of a target is trained on, and no other


def test_nothing_is_tokenised_anew(few, markers):
    """Base with everything kept is Base, id by id; what stays of others are its ids."""
    base = source_of(few, markers, "base").planned("base")
    same = own_methods()["base-small-steps"].items(source_of(few, markers, "base-small-steps"), 0)
    assert np.array_equal(same.tokens.values, base.tokens.values)
    pruned = own_methods()["pruned-rule"].items(source_of(few, markers, "pruned-rule"), 0)
    cuts = few.step_tokens[0]
    third = few.rationale[0][cuts[2] : cuts[3]].tolist()
    end = [*markers.answer_lead, *few.answer[0].tolist(), markers.end_id]
    assert pruned.tokens[0].tolist() == [*few.question[0].tolist(), *third, *end]
    assert pruned.n_prompt[0] == len(few.question[0])


def test_two_prompts_have_long_and_short(few, markers, tokenizer):
    source = source_of(few, markers, "two-prompts")
    items = own_methods()["two-prompts"].items(source, 0)
    base = source.planned("base")
    assert items.stages.tolist() == [Stage.BASE] * 3 + [Stage.SKIP] * 3
    for index in range(3):
        assert items.tokens[index].tolist() == base.tokens[index].tolist()
    pruned = own_methods()["pruned-rule"].items(source_of(few, markers, "pruned-rule"), 0)
    for index in range(3):
        ids, cut = items.tokens[3 + index].tolist(), items.n_prompt[3 + index]
        assert ids == [*markers.skip_mark, *pruned.tokens[index].tolist()]
        assert cut == pruned.n_prompt[index] + 1


def test_post_think_answers_first(few, markers):
    source = source_of(few, markers, "post-think")
    method = own_methods()["post-think"]
    items, written = method.items(source, 0), method.whole_items(source)
    for row in range(3):
        prompt = [*markers.answer_mark, *few.question[row].tolist()]
        answer = [*few.answer[row].tolist(), *markers.thought_mark]
        assert items.tokens[row].tolist() == [*prompt, *answer, *few.rationale[row].tolist(), markers.end_id]
        assert items.n_prompt[row] == len(prompt)
        assert written.tokens[row].tolist() == [*prompt, *answer, markers.end_id]


def test_what_is_new_is_what_nobody_has_stated(few):
    assert find_new(few).tolist() == [False, False, True, False, True, False, False]
    assert trim_last(few).tolist() == [True, True, True, False, True, True, False]
    # c states nothing new anywhere: the rule cannot tell what is needed
    assert drop_by_rule(few).tolist() == [False, False, True, False, True, True, True]


def test_a_judge_that_needs_nothing_leaves_the_last_step(few):
    kept = drop_chunks(few, BOUNDARIES, SKIPPED)
    assert kept.tolist() == [False, False, True, False, True, False, True]
    counts = count_dropped(few, np.asarray([0, 1]), kept)
    lengths = step_lengths(few)
    assert counts == {
        "steps": 5,
        "steps_dropped": 3,
        "rationale_tokens": int(lengths[:5].sum()),
        "rationale_tokens_dropped": int(lengths[[0, 1, 3]].sum()),
        "rationales_shortened": 1,
    }


def test_random_drops_have_the_rate_asked_for(encoded):
    lengths = step_lengths(encoded)
    total, longest = lengths.sum(), lengths.max()
    for rate in (0.1, 0.4):
        kept = drop_at_random(encoded, rate, seed=1)
        assert abs(lengths[~kept].sum() - rate * total) <= longest / 2
    by_rule = lengths[~drop_by_rule(encoded)].sum()
    kept = drop_at_random(encoded, None, seed=1)
    assert abs(lengths[~kept].sum() - by_rule) <= longest / 2
    assert np.array_equal(kept, drop_at_random(encoded, None, seed=1))
    assert not np.array_equal(kept, drop_at_random(encoded, None, seed=2))
    # never an empty rationale, whatever is asked for
    nearly_all = drop_at_random(encoded, 0.999, seed=1)
    assert np.add.reduceat(nearly_all, offsets_of(encoded.n_steps)[:-1]).min() == 1


def test_counts_are_of_samples_that_are_trained_on(student_dir, encoded, tmp_path):
    trainer = make_trainer("pruned-rule", Student.load(student_dir, device="cpu"), encoded, tmp_path)
    lengths, kept = step_lengths(encoded), drop_by_rule(encoded)
    assert trainer.report["rationale_tokens_dropped"] == int(lengths[~kept].sum()) > 0
    assert trainer.report["rationale_tokens"] == int(lengths.sum())


class _Head:
    """Stands for a student: the loss of a token is given, and of one that follows an unknown one higher."""

    def __init__(self, nll_of):
        self.nll_of = nll_of
        self.n_scored = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def max_rows(self):
        return None

    def __call__(self, batch):
        targets = np.split(batch.targets.cpu().numpy(), np.cumsum(batch.counts)[:-1])
        self.n_scored += len(targets)
        return np.concatenate([self.nll_of(part) for part in targets]), np.zeros(sum(batch.counts))


def test_steps_go_while_perplexity_rises_little(monkeypatch, few, whole, tmp_path):
    """The first step of a costs more than the others; without the third one all that follows is a surprise."""
    cuts = few.step_tokens[0]
    first, third = (few.rationale[0][cuts[step] : cuts[step + 1]].tolist() for step in (0, 2))

    def nll_of(targets):
        ids = targets.tolist()
        costs = np.ones(len(ids))
        if ids[: len(first)] == first:
            costs[: len(first)] = 2.0
        if str(third)[1:-1] not in str(ids):
            costs += 3.0
        return costs

    head = _Head(nll_of)
    monkeypatch.setattr(perplexity, "NllHead", lambda *_, **__: head)
    file = tmp_path / "kept.npz"
    kept = prune_by_perplexity(whole, few, file, max_rise=0.0)
    # of b its only step stays, of c one of two equal ones
    assert kept[:4].tolist() == [False, False, True, False]
    assert kept[4] and kept[5:].sum() == 1
    n_scored = head.n_scored
    assert np.array_equal(prune_by_perplexity(whole, few, file, max_rise=0.0), kept)
    assert head.n_scored == n_scored  # all of it is on disk
    prune_by_perplexity(whole, few, file, max_rise=0.5)
    assert head.n_scored > n_scored  # another question
    file.write_bytes(b"torn")
    with pytest.raises(DataError, match="delete it to prune anew"):
        prune_by_perplexity(whole, few, file, max_rise=0.0)


def test_perplexity_agrees_with_a_plain_loop(monkeypatch, few, whole, tmp_path):
    monkeypatch.setattr(perplexity, "UNTRAINED", 2.0)  # this student is, which does not matter here
    kept = prune_by_perplexity(whole, few, tmp_path / "kept.npz", max_rise=0.01, batch_tokens=64)
    expected = []
    for row in range(3):
        cuts, stays = few.step_tokens[row], list(range(few.n_steps[row]))

        def loss(steps, row=row, cuts=cuts):
            target = [
                *np.concatenate([few.rationale[row][cuts[k] : cuts[k + 1]] for k in steps]),
                *few.answer[row],
            ]
            ids = torch.as_tensor(np.concatenate([few.question[row], target]))[None]
            with torch.inference_mode():
                logits = whole.model(input_ids=ids).logits[0].log_softmax(-1)
            places = range(len(few.question[row]) - 1, ids.shape[1] - 1)
            return -np.mean([float(logits[place, ids[0, place + 1]]) for place in places])

        limit = loss(stays) + np.log1p(0.01)
        while len(stays) > 1:
            losses = [loss([other for other in stays if other != step]) for step in stays]
            if min(losses) > limit:
                break
            stays.pop(int(np.argmin(losses)))
        expected += [step in stays for step in range(few.n_steps[row])]
    assert kept.tolist() == expected


def test_a_student_from_scratch_has_no_perplexity(student_dir, encoded, tmp_path):
    with pytest.raises(InvalidInputError, match=r"near a blind guess .*; take a pre-trained student"):
        make_trainer("pruned-perplexity", Student.load(student_dir, device="cpu"), encoded, tmp_path)


@pytest.mark.slow
def test_what_the_fresh_student_prunes_is_kept_until_training_ends(
    monkeypatch, student_dir, samples, tmp_path
):
    monkeypatch.setattr(perplexity, "UNTRAINED", 10.0)  # this student is, which does not matter here
    student = Student.load(student_dir, n_chunks=3, device="cpu")
    encoded = student.encode(samples.slice(0, 6))
    trainer = make_trainer("pruned-perplexity", student, encoded, tmp_path, max_perplexity_rise=0.5)
    report = trainer.report
    assert 0 < report["steps_dropped"] < report["steps"]
    assert (tmp_path / "kept.npz").is_file()
    again = make_trainer("pruned-perplexity", student, encoded, tmp_path, max_perplexity_rise=0.5)
    assert np.array_equal(again.source.kept, trainer.source.kept)
    summary = train_by_name(
        "pruned-perplexity", student=student_dir, samples=samples.slice(0, 6), out=tmp_path / "out",
        settings={"max_steps": 1, "batch_size": 4, "max_perplexity_rise": 0.5},
    )  # fmt: skip
    assert summary["report"]["steps_dropped"] == report["steps_dropped"]


@pytest.mark.slow
def test_the_judge_prunes_what_is_trained_on(student_dir, samples, encoded, tmp_path):
    boundaries = average_boundaries(encoded.n_steps, 3)
    skipped = np.zeros((len(encoded), 3), dtype=bool)
    skipped[:, 0] = True
    summary = train_by_name("pruned-judge", student=student_dir, samples=samples, out=tmp_path, boundaries=boundaries,
                            skipped=skipped, settings={"max_steps": 1})  # fmt: skip
    ends = encoded.step_tokens.values[encoded.step_tokens.offsets[:-1] + boundaries[:, 1]]
    assert summary["report"]["rationale_tokens_dropped"] == int(ends.sum())


def test_post_think_stops_at_its_mark(monkeypatch, whole, markers, few):
    """As a token the mark ends generation, as text what stands before it is the answer."""
    decoding = Decoding({Stage.ANSWER_ONLY: 4})
    seen = {}

    def script(model, markers, prompts, *, ends, max_new_tokens, **_):
        seen.update(ends=tuple(ends), prompt=prompts[0].ids.tolist(), limit=max_new_tokens)
        return [
            Generated(np.asarray([9], np.int64), True),
            Generated(np.asarray([9, 8, 7, 6], np.int64), False),
        ]

    monkeypatch.setattr("skipthink.student.inference.generate", script)
    questions = [few.question[0], few.question[1]]
    first, second = answer_questions(whole.model, markers, questions, mode="post-think", decoding=decoding)
    assert seen == {
        "ends": markers.thought_mark, "prompt": [*markers.answer_mark, *few.question[0].tolist()], "limit": 6,
    }  # fmt: skip
    assert (first.chain, first.answer, first.n_generated, first.n_unended) == ([], [9], 2, 0)
    assert (second.answer, second.n_generated, second.n_unended) == ([9, 8, 7, 6], 4, 1)

    import dataclasses

    as_text = dataclasses.replace(markers, thought_mark=(8, 7))
    _, second = answer_questions(whole.model, as_text, questions, mode="post-think", decoding=decoding)
    assert seen["ends"] == ()
    assert (second.answer, second.n_generated, second.n_unended) == ([9], 2, 0)


@pytest.fixture(scope="module")
@trains
def controlled(student_dir, samples, tmp_path_factory):
    """A folder per control, trained for two steps."""
    out = tmp_path_factory.mktemp("controls")
    settings = {"batch_size": 16, "max_steps": 2, "learning_rate": 1e-3, "save_strategy": "no"}
    for name in CONTROLS:
        train_by_name(name, student=student_dir, samples=samples, out=out / name, settings=settings)
    return out


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_trained_and_answers_in_its_mode(controlled, samples, name, tmp_path):
    about = json.loads((controlled / name / "model" / "skipthink.json").read_text())
    mode = own_methods()[name].mode
    assert (about["method"], about["mode"]) == (name, mode)
    result = evaluate_folder(
        model_dir=controlled / name / "model", samples=samples.slice(0, 3), mode=mode, n_chunks=3,
        answer_kind="number", out=tmp_path, settings={"alone_questions": 0},
    )  # fmt: skip
    assert result["n"] == 3 == result["right"] + result["wrong"] + result["unparsed"]
    summary = json.loads((controlled / name / "train.json").read_text())
    n_items = 48 if name == "two-prompts" else 24
    assert pq.read_table(controlled / name / "items.parquet").num_rows == n_items
    if name.startswith(("pruned", "two", "base-trim")):
        assert 0 < summary["report"]["rationale_tokens_dropped"] < summary["report"]["rationale_tokens"]


def test_servers_stop_behind_the_answer_too(controlled, tokenizer, markers):
    folder = controlled / "post-think" / "model"
    dress_student(folder, facts={})
    (mark,) = markers.thought_mark
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [
        markers.end_id,
        mark,
    ]
    assert chat_template(tokenizer, "post-think", 3) == chat_template(tokenizer, "answer-only", 3)
    assert "where generation stops" in (folder / "README.md").read_text()
