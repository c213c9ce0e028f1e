"""Encoder-decoder students: what each side reads, losses, training, answers, as a user has them."""

import copy

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from kept import trains
from training_calls import evaluate_folder, make_trainer, skip_folders, train_by_name
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

import skipthink
from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import encode_questions, encode_samples
from skipthink.student.generation import generate, ignores_padding_in_front
from skipthink.student.inference import Decoding, answer_questions
from skipthink.student.items import build_items, join_items, take_items
from skipthink.student.markers import get_markers
from skipthink.student.models import load_student, longest_input, make_student, save_student
from skipthink.student.prompts import Prompt, make_prompt
from skipthink.student.score import score_sequences
from skipthink.student.student import Student
from skipthink.training.batches import ItemDataset, PadCollator, StageBatchSampler
from skipthink.training.loss import TargetHead
from skipthink.training.methods import own_methods
from skipthink.training.methods.stepwise import stepwise_items
from skipthink.training.steps import Layout, StepPlan

M = 3
SIZES = {"hidden_size": 48, "num_layers": 2, "num_heads": 2, "max_length_tokens": 160}
SUMS = pa.Table.from_pylist([
    {
        "id": f"r{k}",
        "question": f"What is {k} and 1?",
        "rationale": f"We add. {k} + 1 = {k + 1}. Done.",
        "answer": str(k + 1),
    }
    for k in range(6)
])  # fmt: skip
TEXTS = [str(text) for row in SUMS.to_pylist() for text in row.values()]


def sentencepiece_tokenizer():
    """Like that of the T5 on the hub: a unigram model that marks word starts, ends every text, knows no line break."""
    from tokenizers import SentencePieceUnigramTokenizer
    from tokenizers.processors import TemplateProcessing

    unigram = SentencePieceUnigramTokenizer()
    specials = ["<pad>", "</s>", "<unk>"]
    unigram.train_from_iterator(
        [*TEXTS, *"0123456789"],
        vocab_size=90,
        special_tokens=specials,
        unk_token="<unk>",
        show_progress=False,
    )
    unigram._tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=unigram._tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=64,
    )  # fmt: skip


def downloaded_t5(folder):
    """A folder as one downloads it: T5 1.1 (its own head scale, gated layers), more embeddings than tokens."""
    tokenizer = sentencepiece_tokenizer()
    torch.manual_seed(5)
    config = T5Config(
        vocab_size=128, d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2, decoder_start_token_id=0,
        tie_word_embeddings=False, feed_forward_proj="gated-gelu", dropout_rate=0.0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Fresh students: one made from a config, one as from the hub, each with its markers."""
    root = tmp_path_factory.mktemp("t5")
    save_student(
        *make_student(TEXTS, n_chunks=M, seed=0, vocab_size=300, architecture="t5", **SIZES), root / "made"
    )
    downloaded_t5(root / "download")
    torch.manual_seed(0)
    Student.load(root / "download", n_chunks=M).save(root / "loaded")
    return {"made": root / "made", "loaded": root / "loaded"}


@pytest.fixture(params=["made", "loaded"])
def t5(request, folders):
    """Student, tokenizer, markers fitted to it, encoded samples."""
    model, tokenizer = load_student(folders[request.param])
    markers = get_markers(tokenizer, M).fitted_to(model.config)
    return model, tokenizer, markers, encode_samples(tokenizer, markers, SUMS)


def test_the_folder_is_an_ordinary_one(folders):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    for folder in folders.values():
        model, tokenizer = load_student(folder)
        plain = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
        again = AutoTokenizer.from_pretrained(folder)
        assert tokenizer("a b").input_ids[-1] == tokenizer.eos_token_id
        assert again("What is 3 and 1?").input_ids == tokenizer("What is 3 and 1?").input_ids
        ids = torch.arange(5)[None]
        with torch.inference_mode():
            found = [m.eval()(input_ids=ids, decoder_input_ids=ids).logits for m in (model, plain)]
        assert torch.equal(*found)
        assert model.config.decoder_start_token_id == tokenizer.pad_token_id


def test_items_lie_on_two_sides(t5):
    """Written out by hand: marker and question to the encoder, the target behind the earlier chunks to the decoder."""
    model, _, markers, encoded = t5
    start, end = model.config.decoder_start_token_id, markers.end_id
    boundaries = skipthink.average_boundaries(encoded.n_steps, M)
    boundaries[1] = [0, 0, 2, 3]
    skipped = np.zeros((6, M), dtype=bool)
    skipped[:, 1] = True
    parts = {
        scheme: build_items(encoded, encoded.plan(scheme, boundaries, **options), markers)
        for scheme, options in
        [("chunkwise", {}), ("base", {}), ("answer-only", {}), ("skip", {"skipped": skipped})]
    }  # fmt: skip
    items = join_items(list(parts.values()))
    for index in range(len(items)):
        row, stage = int(items.rows[index]), int(items.stages[index])
        q, a, r = (part[row].tolist() for part in (encoded.question, encoded.answer, encoded.rationale))
        cuts = encoded.step_tokens[row][boundaries[row]]
        chunks = [r[first:last] for first, last in zip(cuts[:-1], cuts[1:], strict=True)]
        if stage >= 1:
            lead, prompt, target = markers.stage_marks[stage - 1], r[: cuts[stage - 1]], chunks[stage - 1]
        elif stage == Stage.ANSWER:
            lead, prompt, target = markers.answer_mark, r, a
        elif stage == Stage.SKIP:
            kept = [*chunks[0], *(markers.thought_mark if chunks[1] else ()), *chunks[2]]
            lead, prompt, target = markers.skip_mark, [], [*kept, *markers.answer_mark, *a]
        elif stage == Stage.BASE:
            lead, prompt, target = [], [], [*r, *markers.answer_mark, *a]
        else:
            lead, prompt, target = markers.answer_mark, [], a
        assert items.sources[index].tolist() == [*lead, *q, end]
        assert items.tokens[index].tolist() == [start, *prompt, *target, end]
        assert items.n_prompt[index] == 1 + len(prompt)
        assert items.n_target[index] == len(target) + 1
        assert items.n_read[index] == len(lead) + len(q) + len(prompt) + len(target) + 3
    assert len(items) == 6 * (M + 1 + 3)
    again = take_items(items, np.array([3, 3, 20]))
    assert [again.sources[k].tolist() for k in range(3)] == [items.sources[k].tolist() for k in (3, 3, 20)]


def test_prompts_at_inference_are_those_of_the_items(t5):
    """The same ids on both sides, also of single steps and with a begin-of-sequence id."""
    from dataclasses import replace

    _, _, markers, encoded = t5
    for ids in (markers, replace(markers, prompt_head=(7,))):
        boundaries = skipthink.average_boundaries(encoded.n_steps, M)
        items = join_items([
            build_items(encoded, encoded.plan("chunkwise", boundaries), ids), stepwise_items(encoded, ids)
        ])  # fmt: skip
        for index in range(len(items)):
            lead = int(items.sources[index][len(ids.prompt_head)])
            n_prompt = int(items.n_prompt[index])
            written = items.tokens[index][1:n_prompt]
            prompt = make_prompt(ids, [lead], encoded.question[int(items.rows[index])], written.tolist())
            assert prompt.source.tolist() == items.sources[index].tolist()
            assert prompt.ids.tolist() == items.tokens[index][:n_prompt].tolist()


def test_the_loss_is_that_of_transformers(t5):
    """On a padded batch, with the head on target positions, against labels of a whole forward pass, item by item."""
    model, _, markers, encoded = t5
    model.eval()
    items = build_items(
        encoded, encoded.plan("chunkwise", skipthink.average_boundaries(encoded.n_steps, M)), markers
    )
    dataset = ItemDataset(items)
    batch = PadCollator(markers)([dataset[index] for index in range(len(items))])
    head = TargetHead(model)
    assert head.picks
    with torch.no_grad():
        nll, rows, _ = head.token_nll(model, batch)
    for index in range(len(items)):
        tokens, cut = items.tokens[index], int(items.n_prompt[index])
        labels = np.concatenate([np.full(cut - 1, -100), tokens[cut:]])
        with torch.inference_mode():
            expected = model(
                input_ids=torch.from_numpy(items.sources[index])[None],
                decoder_input_ids=torch.from_numpy(tokens[:-1])[None],
                labels=torch.from_numpy(labels)[None],
            ).loss
        assert float(nll[rows == index].mean()) == pytest.approx(float(expected), rel=1e-4)
    head.release()
    nothing = PadCollator(markers)([])
    assert head.token_nll(model, nothing)[0].sum() == 0


def test_the_objective_of_the_search_is_the_sum_of_item_losses(t5):
    """J = Σ of the M item losses as the trainer computes them, at the searched boundaries, to 1e-4."""
    model, _, markers, encoded = t5
    model.eval()
    losses = score_sequences(model, encoded, markers)
    found = skipthink.chunk(None, M=M, eta=0.0, method="optimal", min_steps=0, **losses.chunk_arguments())
    items = build_items(encoded, encoded.plan("chunkwise", found.boundaries), markers)
    items = take_items(items, np.flatnonzero(items.stages >= 1))
    sampler = StageBatchSampler(dataset := ItemDataset(items), Layout(8), StepPlan(8, 0), loss_norm="item")
    assert len(sampler) > 1
    nll, rows, _ = TargetHead(model).token_nll(
        model, PadCollator(markers)([dataset[k] for k in range(len(items))])
    )
    per_item = np.bincount(rows, nll.detach().numpy(), len(items)) / items.n_target
    totals = np.bincount(items.rows, per_item, len(encoded))
    np.testing.assert_allclose(totals, found.objective, atol=1e-4)
    assert np.ptp(found.objective) > 1e-3


SETTINGS = {
    "max_steps": 3, "learning_rate": 1e-3, "save_strategy": "no", "logging_steps": 1, "lr_scheduler": "linear",
    "warmup_steps": 0,
}  # fmt: skip


@pytest.mark.slow
def test_micro_batches_change_nothing(folders, tmp_path):
    """6 items at once and 2 three times over are the same steps: weights and losses to 1e-6."""
    found = []
    for size, accumulation in ((6, 1), (2, 3)):
        student = Student.load(folders["made"], n_chunks=M)
        trainer = make_trainer(
            "base+ac", student, student.encode(SUMS), tmp_path,
            batch_size=size, gradient_accumulation_steps=accumulation, **SETTINGS,
        )  # fmt: skip
        trainer.train_resumable()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        found.append((losses, {name: value.clone() for name, value in student.model.state_dict().items()}))
    (first, weights), (second, others) = found
    assert len(first) == 3 and first[0] > first[-1]
    assert first == pytest.approx(second, abs=1e-5)
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], atol=1e-6, rtol=1e-5)


def naive_greedy(model, prompt, end, count):
    source, ids = torch.from_numpy(prompt.source)[None], prompt.ids.tolist()
    for _ in range(count):
        with torch.inference_mode():
            logits = model(input_ids=source, decoder_input_ids=torch.tensor([ids])).logits
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(prompt.ids) :]


def bart(vocab_size):
    """Positions counted from the first column: padding in front of its decoder would move them."""
    torch.manual_seed(2)
    config = BartConfig(
        vocab_size=vocab_size, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64,
        init_std=0.3, decoder_start_token_id=2, forced_eos_token_id=None,
    )  # fmt: skip
    return BartForConditionalGeneration(config).eval()


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_batched_generation_equals_one_by_one(name, folders):
    model, tokenizer = load_student(folders["made"])
    if name == "bart":
        model = bart(len(tokenizer))
    else:
        model.eval()
        with torch.no_grad():
            model.shared.weight.mul_(3)
    assert ignores_padding_in_front(model) == (name == "t5")
    markers = get_markers(tokenizer, M).fitted_to(model.config)
    encoded = encode_samples(tokenizer, markers, SUMS)
    prompts = [
        make_prompt(markers, markers.stage_marks[row % M], encoded.question[row], encoded.rationale[row][: 3 * row])
        for row in range(6)
    ]  # fmt: skip
    outputs = generate(model, markers, prompts, max_new_tokens=9, batch_size=4)
    for prompt, output in zip(prompts, outputs, strict=True):
        expected = naive_greedy(model, prompt, markers.end_id, 9)
        assert [*output.tokens, *([markers.end_id] if output.ended else [])] == expected


def test_positions_are_counted_on_each_side(folders):
    _, tokenizer = load_student(folders["made"])
    model = bart(len(tokenizer))
    markers = get_markers(tokenizer, M).fitted_to(model.config)
    read = np.arange(5, 15)
    near, over = Prompt(np.r_[2, np.resize(read, 60)], read), Prompt(read, np.resize(read, 65))
    found = generate(model, markers, [over, near], max_new_tokens=9)
    assert (len(found[0].tokens), found[0].ended) == (0, False)
    assert 0 < found[1].n_tokens <= 3


@pytest.fixture(scope="module")
@trains
def trained(kept, folders, tmp_path_factory):
    """Students that learned the six sums by heart: method to folder."""
    root = tmp_path_factory.mktemp("sums")
    found = {}
    for method in ("base", "base+ac", "base+sbc", "stt"):
        extra = {}
        if method == "stt":
            chunks = pq.read_table(found["base+sbc"] / "chunks.parquet")["boundaries"].to_pylist()
            skipped = np.zeros((6, M), dtype=bool)
            skipped[::2, 0] = True
            extra = {"boundaries": np.asarray(chunks), "skipped": skipped}
        options = {
            "batch_size": 8, "learning_rate": 4e-3, "save_strategy": "no", "use_cpu": True,
            "epochs": 80 if method == "base" else 40, "batching": "shuffled", "warmup_steps": 0.1,
            "eta": 0.0, "research_every": 20,
        }  # fmt: skip
        found[method] = root / method
        kept.fill(root / method, train_by_name, name=method, student=folders["made"], samples=SUMS, n_chunks=M, seed=0,
                  settings=options, **extra)  # fmt: skip
    return found


@pytest.mark.parametrize("method", ["base", "base+ac", "base+sbc", "stt"])
def test_a_student_learns_by_heart_and_answers_right(trained, method, tmp_path):
    model, tokenizer = load_student(trained[method] / "model")
    markers = get_markers(tokenizer, M)
    result = evaluate_folder(
        model_dir=trained[method] / "model", samples=SUMS, mode=own_methods()[method].mode, n_chunks=M,
        answer_kind="number", out=tmp_path, settings={"alone_questions": 2, "stage_questions": 6, "batch_size": 4},
    )  # fmt: skip
    assert (result["right"], result["unended"]) == (6, 0)
    if method in ("base+ac", "base+sbc"):
        assert result["stage_accuracy"] == [1.0] * (M + 1)
    (answered,) = answer_questions(
        model, markers.fitted_to(model.config), encode_questions(tokenizer, markers, ["What is 3 and 1?"]), mode=own_methods()[method].mode,
        decoding=Decoding(dict.fromkeys((*range(M + 1), Stage.BASE, Stage.SKIP), 40)),
    )  # fmt: skip
    assert tokenizer.decode(answered.answer).strip() == "4"
    assert "3 + 1 = 4." in tokenizer.decode(answered.chain)


def test_its_skip_data_do_not_depend_on_batches(trained, tmp_path):
    """A judge that knows the sums asks about every chunk; what it reads, it reads whole."""
    chunks = pq.read_table(trained["base+sbc"] / "chunks.parquet")["boundaries"].to_pylist()
    found = []
    for size in (1, 8):
        report = skip_folders(
            judges=[trained["base+sbc"] / "model"], samples=SUMS, boundaries=np.asarray(chunks), n_chunks=M,
            answer_kind="number", out=tmp_path / str(size), settings={"batch_size": size},
        )  # fmt: skip
        assert (report["base_right"], report["prefixes_kept"]) == (6, False)
        assert report["prompt_tokens_read"] == report["prompt_tokens"] > 0
        found.append((pq.read_table(tmp_path / str(size) / "skip.parquet"), report["tokens_generated"]))
    assert found[0] == found[1]


def test_items_that_are_too_long_are_named_by_side(folders, tmp_path):
    """The positions of T5 have no end: what the tokenizer says bounds each side."""
    model, tokenizer = load_student(folders["loaded"])
    assert longest_input(model, tokenizer) == 64
    question = " ".join(["What is 3 and 1?"] * 12)
    long = pa.Table.from_pylist([{**row, "question": question} for row in SUMS.to_pylist()])
    with pytest.raises(
        InvalidInputError, match="24 of 24 items exceed 64 tokens; the longest, of sample 'r0'"
    ):
        train_by_name("base+ac", student=folders["loaded"], samples=long, out=tmp_path, n_chunks=M, seed=0,
                     settings={"use_cpu": True})  # fmt: skip


@pytest.mark.slow
def test_an_encoder_loses_nothing_on_questions(folders, tmp_path):
    options = {"max_steps": 2, "save_strategy": "no"}
    arguments = {"student": folders["made"], "samples": SUMS, "out": tmp_path, "n_chunks": M, "seed": 0}
    with pytest.raises(InvalidInputError, match=r"reads it in its encoder.*loss_on: \[rationale, answer\]"):
        train_by_name("masked", **arguments, settings=options)
    summary = train_by_name("masked", **arguments, settings={**options, "loss_on": ["answer"]})
    items = pq.read_table(tmp_path / "items.parquet").to_pylist()
    assert summary["report"]["tokens_with_loss"] == sum(sum(row["loss"]) for row in items)
    markers = get_markers(load_student(folders["made"])[1], M)
    for row in items:
        ids = [*row["prompt_ids"], *row["target_ids"]]
        assert ids[row["loss"].index(True)] == markers.answer_mark[0]
        assert row["prompt_ids"] == [0] and row["source_ids"][-1] == markers.end_id


@pytest.mark.slow
@pytest.mark.parametrize("method", ["stepwise", "icot-si", "truncated"])
def test_baselines_train(method, folders, tmp_path):
    options = {
        "epochs": 2,
        "save_strategy": "no",
        "batch_size": 6,
    }
    train_by_name(method, student=folders["loaded"], samples=SUMS, out=tmp_path, n_chunks=M, seed=0,
                 settings=options)  # fmt: skip
    result = evaluate_folder(
        model_dir=tmp_path / "model", samples=SUMS, mode=own_methods()[method].mode, n_chunks=M,
        answer_kind="number", out=tmp_path, settings={"alone_questions": 0},
    )  # fmt: skip
    assert result["right"] + result["wrong"] + result["unparsed"] == 6


def test_a_student_without_a_decoder_start_is_refused(folders, tmp_path):
    model, tokenizer = load_student(folders["made"])
    broken = copy.deepcopy(model)
    broken.config.decoder_start_token_id = None
    with pytest.raises(InvalidInputError, match="this t5 has no decoder_start_token_id"):
        Student.of(broken, tokenizer, n_chunks=M)
