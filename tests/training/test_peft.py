"""LoRA: adapters and the rows of the markers learn, all else stays; both saved forms load."""

import json

import pyarrow.parquet as pq
import pytest
import torch
from kept import trains
from training_calls import train_by_name

from skipthink.exceptions import InvalidInputError
from skipthink.student.encoding import encode_samples
from skipthink.student.inputs import probe_inputs
from skipthink.student.markers import get_markers
from skipthink.student.models import load_student, make_student, save_student

pytest.importorskip("peft")

SETTINGS = {
    "batch_size": 8,
    "learning_rate": 1e-2,
    "max_steps": 12,
    "save_steps": 4,
    "search": "greedy",
    "lora": {"rank": 4, "alpha": 8.0},
}


class _Killed(Exception):
    pass


def train(student_dir, samples, out, progress=None, **changes):
    return train_by_name(
        "base+sbc", student=student_dir, samples=samples, out=out, n_chunks=3, seed=5,
        settings={**SETTINGS, **changes}, progress=progress,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["llama", "gpt2", "t5"])
def fresh(request, samples, tmp_path_factory):
    texts = [text for name in ("question", "rationale", "answer") for text in samples[name].to_pylist()]
    folder = tmp_path_factory.mktemp(request.param) / "fresh"
    model, tokenizer = make_student(
        texts, n_chunks=3, seed=0, vocab_size=400, architecture=request.param, hidden_size=32, num_layers=1,
        num_heads=2, max_length_tokens=640,
    )  # fmt: skip
    if request.param == "llama":  # a head with weights of its own
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    save_student(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
@trains
def trained(kept, fresh, samples, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora")
    summary = kept.fill(
        out,
        train_by_name,
        name="base+sbc",
        student=fresh,
        samples=samples,
        n_chunks=3,
        seed=5,
        settings=SETTINGS,
    )
    return out, summary


def test_markers_and_adapters_learn_and_all_else_stays(fresh, trained):
    before, tokenizer = load_student(fresh)
    after, _ = load_student(trained[0] / "model")
    rows = sorted(get_markers(tokenizer, 3).reserved_ids)
    untouched = torch.ones(len(tokenizer), dtype=torch.bool)
    untouched[rows] = False
    for name in ("get_input_embeddings", "get_output_embeddings"):
        old, new = getattr(before, name)().weight, getattr(after, name)().weight
        assert torch.equal(old[untouched], new[untouched])
    assert (before.get_output_embeddings().weight[rows] != after.get_output_embeddings().weight[rows]).any()
    changed = {
        name.split(".")[-2]
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert changed & {"q_proj", "c_attn", "q"}
    assert not changed & {"norm", "input_layernorm", "ln_f", "ln_1", "layer_norm", "final_layer_norm"}
    assert trained[1]["loss"][-1] < trained[1]["loss"][0]


def test_the_adapter_loads_and_equals_the_merged_student(fresh, trained, samples):
    from peft import PeftModel

    base, tokenizer = load_student(fresh)
    adapted = PeftModel.from_pretrained(base, trained[0] / "adapter").eval()
    merged, _ = load_student(trained[0] / "model")
    encoded = encode_samples(tokenizer, get_markers(tokenizer, 3), samples)
    markers = get_markers(tokenizer, 3)
    ids = torch.tensor(
        [[*markers.stage_marks[0], *encoded.question[0], *markers.thought_mark, *markers.answer_mark]]
    )
    with torch.inference_mode():
        found, expected = (model(**probe_inputs(base, ids)).logits for model in (adapted, merged.eval()))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_killed_run_goes_on_bit_by_bit(fresh, trained, samples, tmp_path):
    def kill(step, _):
        if step == 7:
            raise _Killed

    with pytest.raises(_Killed):
        train(fresh, samples, tmp_path, progress=kill)
    summary = train(fresh, samples, tmp_path)
    assert {**summary, "seconds": 0} == {**trained[1], "seconds": 0}
    for name in ("model/model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / name).read_bytes() == (trained[0] / name).read_bytes()
    assert pq.read_table(tmp_path / "chunks.parquet") == pq.read_table(trained[0] / "chunks.parquet")


@pytest.mark.slow
def test_markers_may_stay_frozen(student_dir, samples, tmp_path):
    train(student_dir, samples, tmp_path, max_steps=2, lora={"rank": 2, "train_markers": False})
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["trainable_token_indices"] is None
    before, after = load_student(student_dir)[0], load_student(tmp_path / "model")[0]
    assert torch.equal(before.get_input_embeddings().weight, after.get_input_embeddings().weight)


def test_modules_that_are_not_there_are_named(student_dir, samples, tmp_path):
    with pytest.raises(InvalidInputError, match="LoRA does not fit this student"):
        train(student_dir, samples, tmp_path, lora={"target_modules": ["c_attn"]})
