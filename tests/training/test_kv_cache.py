"""Kept prefixes: generation from them equals generation from whole prompts."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from skipthink.student.kv_cache import KvCache, choose_tokens, supports_kv_cache

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
TOKENS = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
LLAMA = LlamaConfig(**SIZES, **TOKENS, initializer_range=0.3)
GPT2 = GPT2Config(
    vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=64, **TOKENS, initializer_range=0.3
)


def model_of(config):
    torch.manual_seed(3)
    return AutoModelForCausalLM.from_config(config).eval()


def naive(model, prompt, end, limit):
    ids = list(prompt)
    for _ in range(limit):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_continuations_equal_those_of_whole_prompts(config):
    """Ragged pieces, gaps between them, several continuations of one prompt, limits of their own."""
    model = model_of(config)
    assert supports_kv_cache(model)
    rng = np.random.default_rng(0)
    kept, read = KvCache(model, 3), [[], [], []]
    for lengths in ((3, 1, 5), (4, 0, 1), (0, 6, 2)):
        pieces = [rng.integers(2, 50, length).tolist() for length in lengths]
        assert kept.read(pieces) == sum(lengths)
        read = [before + piece for before, piece in zip(read, pieces, strict=True)]
    assert kept.lengths.tolist() == list(map(len, read))
    rows, feeds = np.array([2, 0, 2, 1, 0]), [[7], [8, 9], [3, 4, 5], [7], [8, 10]]
    limits = np.array([12, 9, 12, 1, 12])
    for _ in range(2):  # what is kept stays as it is
        found = kept.generate(rows, feeds, end=11, limits=limits)
        for row, feed, limit, output in zip(rows, feeds, limits, found, strict=True):
            expected = naive(model, read[row] + feed, 11, limit)
            assert [*output.tokens, *([11] if output.ended else [])] == expected
    assert len({len(output.tokens) for output in found}) > 1


def test_the_end_may_be_kept_from_coming_first():
    model = model_of(LLAMA)
    kept, feeds = KvCache(model, 1), [[7], [8, 9]]
    kept.read([[3, 4]])
    rows, limits = np.array([0, 0]), np.array([5, 5])
    ends = [naive(model, [3, 4, *feed], None, 1)[0] for feed in feeds]
    for feed, end in zip(feeds, ends, strict=True):
        (at_once,) = kept.generate(rows[:1], [feed], end=end, limits=limits[:1])
        assert (len(at_once.tokens), at_once.ended) == (0, True)
        (later,) = kept.generate(rows[:1], [feed], end=end, limits=limits[:1], may_be_empty=False)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[3, 4, *feed]])).logits[0, -1]
        second = int(logits.topk(2).indices[1])
        expected = [second, *naive(model, [3, 4, *feed, second], end, 4)]
        assert [*later.tokens, *([end] if later.ended else [])] == expected
        uniforms = np.random.default_rng(0).random((2, 5))
        sampled = kept.generate(
            rows,
            [feed, feed],
            end=end,
            limits=limits,
            may_be_empty=False,
            temperature=1e-6,
            uniforms=uniforms,
        )
        assert [output.tokens[0] for output in sampled] == [second, second]


def test_sampled_continuations_do_not_depend_on_their_company():
    model = model_of(LLAMA)
    kept = KvCache(model, 2)
    kept.read([[4, 5, 6], [7]])
    uniforms = np.random.default_rng(1).random((6, 8))
    rows, feeds = np.array([0, 1, 0, 1, 0, 1]), [[9], [9, 3], [9], [9, 3], [2], [2]]
    options = {"end": 1, "temperature": 1.5}
    together = kept.generate(rows, feeds, limits=np.full(6, 8), uniforms=uniforms, **options)
    for index, output in enumerate(together):
        (alone,) = kept.generate(
            rows[index : index + 1],
            [feeds[index]],
            limits=np.array([8]),
            uniforms=uniforms[index][None],
            **options,
        )
        assert alone.tokens.tolist() == output.tokens.tolist()
    assert together[0].tokens.tolist() != together[2].tokens.tolist()


def test_sampling_follows_the_probabilities():
    shares = np.array([0.5, 0.2, 0.0, 0.3])
    logits = torch.from_numpy(np.log(np.maximum(shares, 1e-300)) * 0.7)[None].expand(4000, -1)
    uniforms = (np.arange(4000) + 0.5) / 4000
    found = np.bincount(choose_tokens(logits, 0.7, uniforms), minlength=4) / 4000
    assert found == pytest.approx(shares, abs=1e-3)
    assert choose_tokens(logits[:1], 0.0, None).tolist() == [0]


def test_students_that_cannot_are_found_out():
    sliding = MistralConfig(**SIZES, **TOKENS, num_key_value_heads=2, sliding_window=4)
    assert not supports_kv_cache(model_of(sliding))
    config = T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    assert not supports_kv_cache(T5ForConditionalGeneration(config).eval())


def test_a_student_that_says_it_can_is_tried_out(monkeypatch):
    """A model that takes positions but goes by columns would be wrong at every gap."""
    model = model_of(GPT2)
    forward = type(model).forward

    def by_columns(self, position_ids=None, **arguments):
        return forward(self, **arguments)

    monkeypatch.setattr(type(model), "forward", by_columns)
    assert not supports_kv_cache(model)
