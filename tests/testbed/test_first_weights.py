"""First weights that look things up: what the heads attend to, and what an untrained student says."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from skipthink.exceptions import InvalidInputError
from skipthink.io.recipes import parse_options
from skipthink.student.models import load_student
from skipthink.testbed.corpus import Corpus
from skipthink.testbed.first_weights import N_BACK, set_lookup_heads
from skipthink.testbed.options import PretrainRecipe
from skipthink.testbed.pretraining import pretrain

VOCABULARY = 500
# tokens of "{a} has the {x} . {b} has the {y} . {c} has the {z} . {a, b or c} has the"
HAS, THE, DOT = 0, 1, 2
RECIPE = """
name: looks-up
lookup_heads: true
student: {vocab_size: 400, hidden_size: 128, num_layers: 2, num_heads: 4, max_length_tokens: 160}
corpus: {tokens: 256, block_tokens: 64, tokenizer_texts: 300, opening_tokens: 128, opening_shares: {recall: 1}}
training: {batch_blocks: 4, micro_batch_blocks: 4}
"""


def student(**sizes):
    given = {
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    } | sizes
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**given)).eval()


def facts(n, seed=0):
    """n texts that end where a value is due, and the values; int64 (n, 18) and (n,)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack([torch.randperm(VOCABULARY - 3, generator=generator)[:6] + 3 for _ in range(n)])
    asked = torch.randint(3, (n,), generator=generator)
    row = torch.arange(n)
    texts = torch.full((n, 18), DOT)
    for fact in range(3):
        place = 5 * fact
        texts[:, place], texts[:, place + 1] = drawn[:, fact], HAS
        texts[:, place + 2], texts[:, place + 3] = THE, drawn[:, 3 + fact]
    texts[:, 15], texts[:, 16], texts[:, 17] = drawn[row, asked], HAS, THE
    return texts, drawn[row, 3 + asked]


def accuracy(model):
    texts, values = facts(200)
    with torch.inference_mode():
        return (model(texts).logits[:, -1].argmax(1) == values).float().mean().item()


@pytest.mark.parametrize("sizes", [{}, {"hidden_size": 256, "num_attention_heads": 8}], ids=["S", "M"])
def test_an_untrained_student_looks_values_up(sizes):
    model = student(**sizes)
    assert accuracy(model) < 0.05
    set_lookup_heads(model, seed=0)
    assert accuracy(model) > 0.4  # a guess among all tokens is 0.002, among the three values 0.33
    set_lookup_heads(model, seed=1)
    assert accuracy(model) > 0.4


def test_heads_of_the_first_layer_look_back():
    model = student()
    set_lookup_heads(model, seed=0)
    model.set_attn_implementation("eager")
    texts = torch.randint(VOCABULARY, (2, 200), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        attention = model(texts, output_attentions=True).attentions[0]
    for head in range(N_BACK):
        back = attention[:, head].diagonal(offset=-(head + 1), dim1=1, dim2=2)
        assert back[:, N_BACK:].min() > 0.8


def test_the_same_seed_gives_the_same_weights():
    first, again, other = student(), student(), student()
    for model, seed in ((first, 3), (again, 3), (other, 4)):
        set_lookup_heads(model, seed)
    weights = [torch.cat([weight.flatten() for weight in m.parameters()]) for m in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            lambda: student(num_hidden_layers=1),
            r"needs 2 layers, 4 heads and 101 dimensions; the student has 1, 4",
        ),
        (
            lambda: student(num_attention_heads=2),
            r"has 4, 2 and 128: enlarge it, or set lookup_heads to false",
        ),
        (lambda: student(num_key_value_heads=2), r"as many key as query heads"),
        (lambda: GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=8, n_layer=2, n_head=4)), r"needs a Llama"),
    ],
    ids=["layers", "heads", "grouped", "gpt2"],
)
def test_students_that_cannot_hold_them_are_refused(model, said):
    with pytest.raises(InvalidInputError, match=said):
        set_lookup_heads(model(), seed=0)


@pytest.mark.slow
def test_a_recipe_asks_for_them_and_for_an_opening(tmp_path):
    recipe = parse_options(RECIPE, PretrainRecipe, name="looks-up.yaml")
    pretrain(recipe, tmp_path / "run")
    model, tokenizer = load_student(tmp_path / "run" / "start")
    again, _ = load_student(tmp_path / "run" / "start")
    set_lookup_heads(again, recipe.seed)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    corpus = Corpus(
        tokenizer, n_blocks=4, block_tokens=64, shares={"numbers": 1}, seed=0, opening=(2, {"recall": 1})
    )
    later = Corpus(tokenizer, n_blocks=4, block_tokens=64, shares={"numbers": 1}, seed=0)
    opened = Corpus(tokenizer, n_blocks=4, block_tokens=64, shares={"recall": 1}, seed=0)
    for index, expected in enumerate((opened, opened, later, later)):
        assert np.array_equal(corpus[index]["input_ids"], expected[index]["input_ids"])
