"""Items for other trainers: what they tokenise must be the ids that were planned; TRL trains a step on each format."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.publish.exports import export_items, export_trained, item_template, item_texts
from skipthink.student.encoding import encode_samples
from skipthink.student.items import build_items
from skipthink.training.train import items_table

N_CHUNKS = 3


def make_items(encoded, markers):
    """CWT items and skip items, as STT trains on them."""
    from skipthink import average_boundaries

    boundaries = average_boundaries(encoded.n_steps, N_CHUNKS)
    skipped = np.zeros((len(encoded), N_CHUNKS), dtype=bool)
    skipped[::2, 1] = True
    tables = [
        items_table(encoded, build_items(encoded, encoded.plan(scheme, boundaries, **options), markers))
        for scheme, options in (("chunkwise", {}), ("skip", {"skipped": skipped}))
    ]
    return pa.concat_tables(tables)


@pytest.fixture(scope="module")
def items(encoded, markers):
    return make_items(encoded, markers)


def ids_of(items):
    return [[*row["prompt_ids"], *row["target_ids"]] for row in items.to_pylist()]


def masks_of(items):
    return [[0] * len(row["prompt_ids"]) + [1] * len(row["target_ids"]) for row in items.to_pylist()]


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_prompt_and_completion_are_text_with_markers(items, tokenizer, tmp_path, suffix):
    counts = export_items(items, tokenizer, out := tmp_path / f"items{suffix}")
    assert counts == {"items": len(items), "mismatched": 0, "written": len(items)}
    rows = read(out)
    first, skip = rows[0], rows[-2]
    assert first["prompt"].startswith("[1]")
    assert first["completion"].endswith("<end>")
    assert skip["prompt"].startswith("[skip]")
    assert "[thought]" in skip["completion"]
    assert "[answer] " in skip["completion"]
    assert [tokenizer(row["prompt"] + row["completion"]).input_ids for row in rows] == ids_of(items)
    assert [(row["id"], row["stage"]) for row in rows] == list(
        zip(items["id"].to_pylist(), items["stage"].to_pylist(), strict=True)
    )


@pytest.mark.parametrize(("format", "turns", "role", "text"), [
    ("messages", "messages", "role", "content"), ("sharegpt", "conversations", "from", "value"),
])  # fmt: skip
def test_conversations_give_the_same_ids(items, tokenizer, tmp_path, format, turns, role, text):
    export_items(items, tokenizer, out := tmp_path / "items.jsonl", format=format)
    template = (tmp_path / "items.jinja").read_text()
    names = {"human": "user", "gpt": "assistant"}
    found, masks = [], []
    for row in read(out):
        messages = [{"role": names.get(turn[role], turn[role]), "content": turn[text]} for turn in row[turns]]
        encoded = tokenizer.apply_chat_template(
            messages, chat_template=template, return_dict=True, return_assistant_tokens_mask=True
        )
        found.append(encoded["input_ids"])
        masks.append(encoded["assistant_masks"])
    assert found == ids_of(items)
    assert masks == masks_of(items)


def hostile(tokenizer, markers, **texts):
    row = {"id": "h", "question": "What is 1 and 2?", "rationale": "We add. 1 + 2 = 3. Done.", "answer": "3"}
    return encode_samples(tokenizer, markers, pa.Table.from_pylist([row | texts]))


@pytest.mark.parametrize(
    "text", ["We see [skip] here. 1 + 2 = 3. So.", "As in [1]. 1 + 2 = 3. So.", "A <end>. B. C."]
)
def test_text_that_looks_like_a_marker_is_refused_not_smuggled(tokenizer, markers, tmp_path, text):
    items = make_items(hostile(tokenizer, markers, rationale=text), markers)
    out = tmp_path / "items.jsonl"
    with pytest.raises(DataError, match=r"of 5 items are tokenised to other ids .* of sample 'h'"):
        export_items(items, tokenizer, out)
    assert not out.exists()
    dropped = export_items(items, tokenizer, out, mismatch="drop")
    assert dropped["mismatched"] > 0
    assert dropped["written"] == len(read(out)) == 5 - dropped["mismatched"]
    kept = export_items(items, tokenizer, out, mismatch="keep")
    assert (kept["written"], kept["mismatched"]) == (5, dropped["mismatched"])
    # ids are exact whatever the text says
    assert export_items(items, tokenizer, out, format="ids") == {"items": 5, "mismatched": 0, "written": 5}
    assert [row["input_ids"] for row in read(out)] == ids_of(items)


def test_a_leading_bos_is_not_doubled(items, tokenizer, markers):
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    with_bos = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="<end>", pad_token="<pad>", bos_token="<pad>"
    )
    processor = TemplateProcessing(single="<pad> $A", special_tokens=[("<pad>", markers.pad_id)])
    before, with_bos.backend_tokenizer.post_processor = with_bos.backend_tokenizer.post_processor, processor
    rows = [{**row, "prompt_ids": [markers.pad_id, *row["prompt_ids"]]} for row in items.to_pylist()[:4]]
    texts = item_texts(with_bos, rows)
    assert all(not prompt.startswith("<pad>") for prompt, _ in texts)
    assert "and true else" in item_template(with_bos)
    assert "and false else" in item_template(tokenizer)
    del before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"format": "alpaca"},
            "format must be one of prompt-completion, messages, sharegpt, ids, got 'alpaca'",
        ),
        ({"mismatch": "fix"}, "mismatch must be one of error, drop, keep, got 'fix'"),
        ({"out": "items.csv"}, r"has the ending '\.csv'; name a \.parquet"),
    ],
)
def test_bad_options(items, tokenizer, tmp_path, options, message):
    out = tmp_path / options.pop("out", "items.jsonl")
    with pytest.raises((InvalidInputError, DataError), match=message):
        export_items(items, tokenizer, out, **options)


def test_a_folder_without_items_is_named(tmp_path):
    with pytest.raises(DataError, match=r"name the folder of a trained method"):
        export_trained(tmp_path, tmp_path / "items.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["prompt-completion", "messages", "ids"])
def test_trl_trains_a_step_on_our_ids(items, student, tokenizer, tmp_path, format):
    trl = pytest.importorskip("trl", reason="needs the development group")
    from datasets import load_dataset

    rows = items.take(list(range(0, len(items), 7)))
    suffix = "parquet" if format == "ids" else "jsonl"
    export_items(rows, tokenizer, out := tmp_path / f"items.{suffix}", format=format)
    kind = "parquet" if suffix == "parquet" else "json"
    dataset = load_dataset(kind, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    options = {}
    if format == "messages":
        options = {"assistant_only_loss": True, "chat_template_path": str(tmp_path / "items.jinja")}
    config = trl.SFTConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=4, learning_rate=1e-3, use_cpu=True,
        bf16=False, report_to="none", save_strategy="no", disable_tqdm=True, max_length=None, shuffle_dataset=False,
        activation_checkpointing=False, **options,
    )  # fmt: skip
    before = student.get_input_embeddings().weight.detach().clone()
    trainer = trl.SFTTrainer(model=student, args=config, train_dataset=dataset, processing_class=tokenizer)
    tokenised = trainer.train_dataset
    assert [list(ids) for ids in tokenised["input_ids"]] == ids_of(rows)
    labels = [
        [token if on else -100 for token, on in zip(ids, mask, strict=True)]
        for ids, mask in zip(ids_of(rows), masks_of(rows), strict=True)
    ]
    assert [list(row) for row in tokenised["labels"]] == labels
    trainer.train()
    assert trainer.state.global_step == 1
    try:
        assert not before.equal(student.get_input_embeddings().weight)
    finally:
        student.get_input_embeddings().weight.data.copy_(before)
