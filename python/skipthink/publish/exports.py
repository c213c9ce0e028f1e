"""Training items as files for other trainers: prompt/completion, messages, ShareGPT, ids (docs/reference/formats.md).

The items of a run are token ids. What is exported is text, so every item is tokenised again as a trainer would: where
that gives other ids than the run trained on, the item is an error, is left out, or is kept, and always counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import write_text
from skipthink.io.tables import check_suffix
from skipthink.io.writer import write_rows
from skipthink.student.markers import leading_bos

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

FORMATS = ("prompt-completion", "messages", "sharegpt", "ids")
IGNORED_LABEL = -100
MISMATCHES = ("error", "drop", "keep")

ITEM_TEMPLATE = """\
{{- bos_token if bos_token is defined and bos_token and LEADING_BOS else '' }}
{%- for message in messages %}
{%- if message['role'] == 'assistant' %}
{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}
{%- else %}{{- message['content'] }}{%- endif %}
{%- endfor %}
"""
"""Writes messages as they stand: with it, `messages` and `sharegpt` give the ids of the run."""


def export_items(
    items: pa.Table,
    tokenizer: PreTrainedTokenizerBase,
    out: str | Path,
    *,
    format: str = "prompt-completion",
    mismatch: str = "error",
) -> dict[str, int]:
    """Writes items for another trainer.

    Args:
        items: columns id, stage, prompt_ids, target_ids, of an encoder-decoder source_ids, and where loss is not that
            of the targets loss, as in `items.parquet` of a trained method.
        tokenizer: the tokenizer of its student.
        out: a .jsonl, .parquet or .arrow file.
        format: "prompt-completion" or "messages" (TRL), "sharegpt", or "ids": `input_ids` and `labels` (-100 on the
            prompt), of an encoder-decoder also `decoder_input_ids`, which models take as they are.
        mismatch: what becomes of items whose text is tokenised to other ids: "error", "drop" or "keep".

    Returns:
        Counts: items, mismatched, written.

    Raises:
        InvalidInputError: unknown format or mismatch, or a format that cannot say which tokens carry loss or what a
            decoder reads.
        DataError: another ending of `out`, or an item whose text gives other ids, with `mismatch="error"`.
    """
    out = Path(out)
    for name, value, known in (("format", format, FORMATS), ("mismatch", mismatch, MISMATCHES)):
        if value not in known:
            raise InvalidInputError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    check_suffix(out)
    if "loss" in items.column_names and format != "ids":
        raise InvalidInputError(
            f"these items carry loss on chosen parts of prompt and target, which {format} cannot say: a trainer would "
            'take it on the whole target; use the format "ids"'
        )
    rows = items.to_pylist()
    if "source_ids" in items.column_names:
        _refuse_sides(rows, format)
    texts = item_texts(tokenizer, rows)
    # ids need no text: nothing is tokenised again
    wrong = [] if format == "ids" else mismatched(tokenizer, rows, texts)
    if wrong and mismatch == "error":
        row = rows[wrong[0]]
        raise DataError(
            f"{len(wrong)} of {len(rows)} items are tokenised to other ids than those of the run, the first is stage "
            f"{row['stage']} of sample {row['id']!r}: a trainer that reads their text would train on something else; "
            'use the format "ids", or mismatch="drop" or "keep"'
        )
    left_out = set(wrong) if mismatch == "drop" else set()
    eos = str(tokenizer.eos_token)
    written = [
        {"id": row["id"], "stage": row["stage"], **_row(format, row, prompt, completion, eos)}
        for index, (row, (prompt, completion)) in enumerate(zip(rows, texts, strict=True))
        if index not in left_out
    ]
    write_rows(out, written)
    if format in ("messages", "sharegpt"):
        write_text(out.with_suffix(".jinja"), item_template(tokenizer))
    return {"items": len(rows), "mismatched": len(wrong), "written": len(written)}


def item_texts(tokenizer: PreTrainedTokenizerBase, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Prompt and completion of items as text, without what the tokenizer puts around a text by itself.

    Markers and end token are in it. Of an encoder-decoder the prompt is what its encoder reads.
    """

    def text(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    lead, end = leading_bos(tokenizer), _trailing_eos(tokenizer)
    texts = []
    for row in rows:
        prompt, target = row.get("source_ids") or row["prompt_ids"], row["target_ids"]
        if lead is not None and prompt[:1] == [lead]:
            prompt = prompt[1:]
        if "source_ids" in row:
            prompt, target = (ids[:-1] if ids[-1:] == [end] else ids for ids in (prompt, target))
        texts.append((text(prompt), text(target)))
    return texts


def mismatched(
    tokenizer: PreTrainedTokenizerBase, rows: list[dict[str, Any]], texts: list[tuple[str, str]]
) -> list[int]:
    """Indices of items whose prompt, or prompt and completion, are tokenised to other ids than those of the item.

    A trainer of encoder-decoders tokenises the completion apart.
    """
    if not rows:
        return []
    has_encoder = "source_ids" in rows[0]
    behind = [completion if has_encoder else prompt + completion for prompt, completion in texts]
    prompts = tokenizer([prompt for prompt, _ in texts], verbose=False)["input_ids"]
    wholes = tokenizer(behind, verbose=False)["input_ids"]
    expected = [
        (row["source_ids"], row["target_ids"])
        if has_encoder
        else (row["prompt_ids"], [*row["prompt_ids"], *row["target_ids"]])
        for row in rows
    ]
    found = zip(prompts, wholes, strict=True)
    return [index for index, pair in enumerate(found) if pair != expected[index]]


def item_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The chat template that writes exported messages as they stand, for this tokenizer."""
    return ITEM_TEMPLATE.replace("LEADING_BOS", "false" if leading_bos(tokenizer) is None else "true")


def export_trained(
    folder: str | Path, out: str | Path, *, format: str = "prompt-completion", mismatch: str = "error"
) -> dict[str, int]:
    """Exports the items that a method of a run was trained on.

    Args:
        folder: a folder of a trained method, such as `runs/demo/train/stt/s0`.
        out: see `export_items`.
        format: see `export_items`.
        mismatch: see `export_items`.

    Raises:
        DataError: the folder has no items or no student.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from transformers import AutoTokenizer

    folder = Path(folder)
    try:
        items = pq.read_table(folder / "items.parquet")
        tokenizer = AutoTokenizer.from_pretrained(str(folder / "model"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"cannot read items.parquet and model/ of {folder}: {error}; name the folder of a trained method, "
            "such as runs/demo/train/stt/s0"
        ) from error
    return export_items(items, tokenizer, out, format=format, mismatch=mismatch)


def _trailing_eos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The end token's id, where this tokenizer puts one behind ordinary text."""
    ids = tokenizer("a").input_ids
    return int(ids[-1]) if ids[-1:] == [tokenizer.eos_token_id] else None


def _refuse_sides(rows: list[dict[str, Any]], format: str) -> None:
    """Refuses formats that have no place for what a decoder reads in front of its target."""
    if format in ("messages", "sharegpt"):
        raise InvalidInputError(
            f"these items are those of an encoder-decoder, which trainers of {format} do not train; use the format "
            '"ids" or "prompt-completion"'
        )
    if format == "prompt-completion" and any(len(row["prompt_ids"]) > 1 for row in rows):
        raise InvalidInputError(
            "the decoder of these items writes behind earlier chunks, which prompt and completion cannot say: they "
            'would be lost or carry loss; use the format "ids"'
        )


def _row(format: str, row: dict[str, Any], prompt: str, completion: str, eos: str) -> dict[str, Any]:
    if format == "ids":
        ids = [*row["prompt_ids"], *row["target_ids"]]
        loss = row.get("loss") or [place >= len(row["prompt_ids"]) for place in range(len(ids))]
        labels = [token if counts else IGNORED_LABEL for token, counts in zip(ids, loss, strict=True)]
        if "source_ids" in row:
            # the labels of an encoder-decoder stand where they are predicted, a place earlier
            return {"input_ids": row["source_ids"], "decoder_input_ids": ids[:-1], "labels": labels[1:]}
        return {"input_ids": ids, "labels": labels}
    if format == "prompt-completion":
        return {"prompt": prompt, "completion": completion}
    reply = completion.removesuffix(eos)  # the template of a conversation ends its turns itself
    if format == "messages":
        pairs = zip(("user", "assistant"), (prompt, reply), strict=True)
        return {"messages": [{"role": role, "content": content} for role, content in pairs]}
    pairs = zip(("human", "gpt"), (prompt, reply), strict=True)
    return {"conversations": [{"from": sender, "value": value} for sender, value in pairs]}
