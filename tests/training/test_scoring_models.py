"""Scoring of models other than the Llama of the fixtures, precisions, and memory that runs out."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertModel,
    Gemma2Config,
    GPT2Config,
    Qwen2Config,
    T5Config,
)

import skipthink
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.student import forward
from skipthink.student.encoding import encode_samples
from skipthink.student.score import score_sequences
from skipthink.student.sequences import SequenceSet, plan_batches

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def build(name, tokenizer):
    """A tiny random model, its weights wide enough that logits differ from token to token."""
    ids = {
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    t5 = {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
    configs = {
        "gpt2": lambda: GPT2Config(
            n_embd=32, n_layer=2, n_head=2, n_positions=640, initializer_range=0.2, **ids
        ),
        "qwen2": lambda: Qwen2Config(
            num_key_value_heads=1, tie_word_embeddings=False, initializer_range=0.2, **SIZES, **ids
        ),
        # caps its logits behind the head
        "gemma2": lambda: Gemma2Config(
            num_key_value_heads=1,
            head_dim=16,
            final_logit_softcapping=2.0,
            initializer_range=0.5,
            **SIZES,
            **ids,
        ),
        # scales its states in front of the head where embeddings are tied
        "t5": lambda: T5Config(tie_word_embeddings=True, initializer_factor=2.0, **t5, **ids),
        "t5-untied": lambda: T5Config(tie_word_embeddings=False, feed_forward_proj="gated-gelu", **t5, **ids),
    }
    torch.manual_seed(1)
    config = configs[name]()
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return kind.from_config(config).float().eval()


MODELS = ["gpt2", "qwen2", "gemma2", "t5", "t5-untied"]


@pytest.fixture(scope="module")
def few(tokenizer, markers, samples):
    return encode_samples(tokenizer, markers, samples.slice(0, 6))


def log_probabilities(model, prompt, target, markers):
    """Of every next token at every position of the target and behind it: full logits of one row, float64."""
    with torch.inference_mode():
        if model.config.is_encoder_decoder:
            source = torch.tensor([[*prompt, markers.end_id]])
            decoder = torch.tensor([[model.config.decoder_start_token_id, *target]])
            logits = model(input_ids=source, decoder_input_ids=decoder).logits[0]
        else:
            logits = model(input_ids=torch.tensor([[*prompt, *target]])).logits[0, len(prompt) - 1 :]
    return torch.log_softmax(logits.double(), dim=-1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("stages", ["conditioned", "free"])
def test_equals_full_logits_of_one_row(name, stages, tokenizer, few, markers):
    model = build(name, tokenizer)
    scored = score_sequences(model, few, markers.fitted_to(model.config), passes=stages, batch_tokens=700)
    assert np.ptp(scored.nll) > 1, "the losses tell nothing"
    for row in range(len(few)):
        cuts, target = few.step_tokens[row], few.rationale[row].tolist()
        for slot in range(scored.nll.shape[1]):
            lead = [*markers.stage_marks[slot]] if stages == "conditioned" else []
            logp = log_probabilities(model, [*lead, *few.question[row]], target, markers)
            token_nll = [-float(logp[place, token]) for place, token in enumerate(target)]
            expected = [sum(token_nll[start:end]) for start, end in zip(cuts[:-1], cuts[1:], strict=True)]
            steps = slice(scored.offsets[row], scored.offsets[row + 1])
            np.testing.assert_allclose(scored.nll[steps, slot], expected, rtol=2e-5)
            if stages == "conditioned":
                ends = slice(scored.end_offsets[row], scored.end_offsets[row + 1])
                expected = [-float(logp[cut, markers.end_id]) for cut in cuts]
                np.testing.assert_allclose(scored.end_nll[ends, slot], expected, rtol=2e-5)


def test_search_losses_are_item_losses_of_an_encoder_decoder(tokenizer, few, markers):
    """The encoder reads `[m] q <end>`, the decoder c_m behind the earlier chunks: J is exact there too."""
    model = build("t5", tokenizer)
    scored = score_sequences(model, few, markers.fitted_to(model.config))
    found = skipthink.chunk(
        None, M=markers.n_chunks, eta=0.0, method="optimal", min_steps=0, **scored.chunk_arguments()
    )
    for row in range(len(few)):
        total = 0.0
        cuts = few.step_tokens[row][found.boundaries[row]]
        for slot, (start, end) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            source = torch.tensor([[*markers.stage_marks[slot], *few.question[row], markers.end_id]])
            written = few.rationale[row][:end].tolist()
            labels = [-100] * start + written[start:] + [markers.end_id]
            with torch.inference_mode():
                output = model(
                    input_ids=source,
                    decoder_input_ids=torch.tensor([[model.config.decoder_start_token_id, *written]]),
                    labels=torch.tensor([labels]),
                )
            total += float(output.loss)
        assert total == pytest.approx(found.objective[row], abs=1e-4)


def test_stages_share_no_prefix(student, few, markers):
    """The marker stands in front: what a model keeps of a question under one stage is wrong under the next."""
    question = few.question[0].tolist()
    with torch.inference_mode():
        first, second = (
            student(input_ids=torch.tensor([[*stage, *question]])).past_key_values.layers[-1].keys[:, :, 1:]
            for stage in markers.stage_marks[:2]
        )
    assert not torch.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize(("name", "whole"), [("qwen2", False), ("gemma2", True), ("t5", False)])
def test_no_more_logits_than_allowed(name, whole, tokenizer, few, markers, monkeypatch):
    """Only rationale positions pass the head, and few of them at once."""
    model = build(name, tokenizer)
    expected = score_sequences(model, few, markers.fitted_to(model.config))
    allowed = 300
    monkeypatch.setattr(forward, "LOGITS_BYTES", allowed * 4 * len(tokenizer))
    head, sizes = model.get_output_embeddings(), []
    head_forward = head.forward

    def watched(states):
        sizes.append(states.shape[:-1].numel())
        return head_forward(states)

    monkeypatch.setattr(head, "forward", watched)
    found = score_sequences(model, few, markers.fitted_to(model.config))
    probes = 2
    assert max(sizes[probes:]) <= allowed
    n_positions = int((few.rationale.lengths + 1).sum()) * markers.n_chunks
    assert sum(sizes[probes + 1 :]) == n_positions
    np.testing.assert_allclose(found.nll, expected.nll, rtol=1e-4)
    with forward.NllHead(model, markers.end_id) as used:
        assert used.whole == whole


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_out_of_memory_halves_batches(name, tokenizer, few, markers, monkeypatch):
    model = build(name, tokenizer)
    expected = score_sequences(model, few, markers.fitted_to(model.config))
    model_forward, refused = model.forward, []

    def short_of_memory(**inputs):
        rows = len(inputs["input_ids"])
        if rows > 4:
            refused.append(rows)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return model_forward(**inputs)

    monkeypatch.setattr(model, "forward", short_of_memory)
    seen = []
    found = score_sequences(
        model, few, markers.fitted_to(model.config), progress=lambda *done: seen.append(done)
    )
    assert refused == [18, 9, 5], "a batch after one that was too large is not tried at that size"
    assert found.report["halved_batches"] == 3
    assert found.report["scored"] == 18
    np.testing.assert_allclose(found.nll, expected.nll, rtol=1e-4)
    np.testing.assert_allclose(found.end_nll, expected.end_nll, rtol=1e-4)
    assert seen[0][0] == 0
    assert seen[-1] == (found.report["tokens"], found.report["tokens"])
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_out_of_memory_on_one_sequence(student, few, markers, monkeypatch):
    def no_memory(**_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")

    with monkeypatch.context() as patch:
        original = student.forward
        patch.setattr(
            student,
            "forward",
            lambda **inputs: original(**inputs) if inputs["input_ids"].shape[1] == 2 else no_memory(),
        )
        longest = few.ids[int(np.argmax(few.question.lengths + few.rationale.lengths))]
        with pytest.raises(RunError, match=f"out of memory on sample '{longest}' alone, with .* tokens"):
            score_sequences(student, few, markers)
    assert not student.get_output_embeddings()._forward_pre_hooks


def test_other_errors_of_the_model_are_not_hidden(student, few, markers, monkeypatch):
    original = student.forward

    def broken(**inputs):
        if inputs["input_ids"].shape[1] > 2:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return original(**inputs)

    monkeypatch.setattr(student, "forward", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        score_sequences(student, few, markers)


@pytest.mark.parametrize("name", ["qwen2", "t5-untied"])
def test_autocast_is_close(name, tokenizer, few, markers):
    model = build(name, tokenizer)
    full, half = (
        score_sequences(model, few, markers.fitted_to(model.config), autocast=kind)
        for kind in (None, "bfloat16")
    )
    assert not np.array_equal(full.nll, half.nll)
    np.testing.assert_allclose(half.losses, full.losses, rtol=0.02, atol=0.05)
    assert half.nll.dtype == np.float64
    with pytest.raises(
        InvalidInputError, match="autocast must be one of bfloat16, float16 or None, got 'int8'"
    ):
        score_sequences(model, few, markers.fitted_to(model.config), autocast="int8")


def test_losses_that_are_no_numbers(tokenizer, few, markers):
    model = build("qwen2", tokenizer)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InvalidInputError, match=r"the student.s loss on sample .+ is not finite"):
        score_sequences(model, few, markers.fitted_to(model.config))


def test_models_that_cannot_be_scored(tokenizer, few, markers):
    with pytest.raises(InvalidInputError, match="BertModel has no language-model head"):
        score_sequences(BertModel(BertConfig(vocab_size=len(tokenizer), **SIZES)), few, markers)
    model = build("t5", tokenizer)
    model.config.decoder_start_token_id = None
    with pytest.raises(InvalidInputError, match="this t5 has no decoder_start_token_id"):
        score_sequences(model, few, markers.fitted_to(model.config))


def test_batches(student, few, markers):
    sequences = SequenceSet(few, markers, student, conditioned=True)
    lengths = sequences.lengths_tokens
    assert [len(sequences[index].ids) for index in range(len(sequences))] == lengths.tolist()
    batches = list(plan_batches(lengths, 700))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(lengths[batch].max() * len(batch) <= 700 for batch in batches)
    ordered = np.concatenate([lengths[batch] for batch in batches])
    assert (np.diff(ordered) <= 0).all(), "longest first"
    assert [len(batch) for batch in plan_batches(lengths, 1)] == [1] * len(lengths)
    assert list(plan_batches(lengths[:0], 700)) == []
