"""The model card of a trained student: what it is, how to prompt it, its training data, its results.

Names in a card come from recipes and files. They are escaped: nothing in them becomes markup, HTML or metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skipthink.io.files import write_text

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$@-])")
_MODES = {
    "base": ("the question", "rationale, `[answer]`, answer"),
    "answer-only": ("`[answer]` and the question", "answer"),
    "post-think": (
        "`[answer]` and the question",
        "the answer, then `[thought]`, where generation stops; the rationale would follow",
    ),
    "skip": ("`[skip]` and the question", "the chunks it needs, `[answer]`, answer"),
    "full": (
        "`[m]` and the question, then the chunks 1 … m − 1 (finally: `[answer]` and the question, then all chunks)",
        "chunk m; finally the answer",
    ),
    "stepwise": (
        "`[1]` and the question, then the steps so far (finally: `[answer]` and the question, then all steps)",
        "the next step, or nothing if no step is left; finally the answer",
    ),
}
_METRICS = (
    ("accuracy", "accuracy", lambda value: f"{100 * value:.1f} %"),
    ("accuracy_low", "95 % interval, lower end", lambda value: f"{100 * value:.1f} %"),
    ("accuracy_high", "95 % interval, upper end", lambda value: f"{100 * value:.1f} %"),
    ("unparsed", "answers that could not be read", str),
    ("looped", "answers that ran into a loop", str),
    ("tokens_per_answer", "generated tokens per answer", lambda value: f"{value:.1f}"),
    ("prompt_tokens_per_answer", "prompt tokens per answer", lambda value: f"{value:.1f}"),
    ("speedup_tokens", "speed-up against Base, in tokens", lambda value: f"{value:.2f}x"),
    ("speedup_seconds", "speed-up against Base, in seconds, batched", lambda value: f"{value:.2f}x"),
    ("seconds_per_answer", "seconds per answer, batched", lambda value: f"{value:.4f}"),
    ("seconds_per_answer_alone", "seconds per answer, one at a time", lambda value: f"{value:.4f}"),
)


ENCODER = (
    "It is an encoder-decoder: its encoder reads marker and question, ended by the end token, and its decoder writes "
    "behind the chunks or steps so far, if there are any. The chat template writes what the encoder reads from one "
    "user message:"
)


def write_card(
    path: Path,
    *,
    about: Mapping[str, Any],
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    has_encoder: bool = False,
) -> None:
    """Writes a model card.

    Args:
        path: the README.md to write.
        about: content of the student's `skipthink.json`.
        facts: name → value of the table "What it learned from": data, sample counts, seed, steps, options, versions.
        metrics: what `evaluate` returned, and `split`; None before an evaluation.
        has_encoder: whether the student is an encoder-decoder.
    """
    write_text(path, make_card(about=about, facts=facts, metrics=metrics, has_encoder=has_encoder))


def make_card(
    *,
    about: Mapping[str, Any],
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    has_encoder: bool = False,
) -> str:
    """The text of a model card; see `write_card`."""
    import yaml

    head = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["skipthink", "distillation", "chain-of-thought", str(about["method"])],
    }
    method, mode, n_chunks = about["method"], str(about["mode"]), int(about["n_chunks"])
    prompt, target = _MODES[mode]
    frame = about.get("prompt", {})
    stated = "`</think>`" if frame.get("think") else "`[answer]`"
    target = target.replace("`[answer]`", stated)
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).strip(),
        "---",
        "",
        f"# Student trained with {escape(method)}",
        "",
        "A small model that learned to reason from the rationales of a larger one, by chunk-wise distillation "
        "(Skip-Thinking, arXiv 2505.18642).",
        "",
        "## How to ask it",
        "",
        f"It reads {prompt}, and writes {target}, then the end token. {_describe(frame, n_chunks)} "
        + (ENCODER if has_encoder else "The chat template writes this prompt from one user message:"),
        "",
        *_example(mode, n_chunks, int(about.get("max_steps", 0)), has_encoder=has_encoder),
        "",
        *_describe_levels(about),
        f"The answer follows {stated}; decode with `skip_special_tokens=False` to see the markers. "
        "Special tokens in a question are broken up with a space (`[ skip]`), so that they stay text.",
        "",
        "## What it learned from",
        "",
        *_table({"method": method, "chunks (M)": n_chunks, "mode": mode, **facts}),
        "",
        "## How well it does",
        "",
        *_measured(metrics),
        "",
        "A small student is reliable only on questions that resemble its training data. Its rationale does not "
        "prove its answer.",
    ]
    return "\n".join(lines) + "\n"


def _describe(frame: Mapping[str, Any], n_chunks: int) -> str:
    """What its markers are, and where questions and chains of thought stand."""
    kind = "special tokens of its tokenizer"
    if frame.get("markers") == "text":
        kind = "ordinary text, those in front of a question on a line of their own"
    sentences = [f"`[1]` … `[{n_chunks}]`, `[answer]`, `[skip]` and `[thought]` are {kind}."]
    if frame.get("prompt_format") == "chat":
        sentences.append(
            "Marker and question are the user's turn of a chat, everything else is the assistant's."
        )
    else:
        sentences.append("A line break ends the question.")
    if frame.get("think"):
        sentences.append("Its chain of thought is in a `<think>` block.")
    return " ".join(sentences)


def _describe_levels(about: Mapping[str, Any]) -> list[str]:
    """How to ask for more or less of the chain of thought."""
    n_levels = len(about.get("levels", ()))
    if not n_levels:
        return []
    own = int(about.get("level", n_levels))
    return [
        f"Between `[skip]` and the question stands `[1]` … `[{n_levels}]`, which says how much it skips: nothing at 1, "
        f"all it can at {n_levels}. The chat template writes `[{own}]`; `apply_chat_template(messages, "
        f"level={1 if own > 1 else n_levels}, …)` asks for another one.",
        "",
    ]


def escape(value: object) -> str:
    """A value as plain text inside Markdown: on one line, without markup, HTML or links."""
    text = " ".join(str(value).split())
    text = "".join(character if character.isprintable() else "�" for character in text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # a bare address would become a link
    return re.sub(r"(?i)\b(https?|ftp|www)(?=[:.])", r"\1&#8203;", _SPECIAL.sub(r"\\\1", text))


def _example(mode: str, n_chunks: int, max_steps: int, *, has_encoder: bool) -> list[str]:
    loops = {
        "full": f"for _ in range({n_chunks} + 1):  # the chunks, then the answer",
        "stepwise": f"for _ in range({max_steps + max_steps // 4 + 2}):  # the steps, an empty one, then the answer",
    }
    model_class = "AutoModelForSeq2SeqLM" if has_encoder else "AutoModelForCausalLM"
    lines = [
        "```python",
        *(["import torch"] if has_encoder and mode in loops else []),
        f"from transformers import {model_class}, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained(".")',
        f'model = {model_class}.from_pretrained(".")',
        'messages = [{"role": "user", "content": "Anna has 3 pens and buys 4. How many has she?"}]',
    ]
    call = [
        "inputs = tokenizer.apply_chat_template(",
        '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
        ")",
        *(_DECODER_CALL if has_encoder else _CALL)[mode in loops],
    ]
    if mode not in loops:
        return [*lines, *call, "```"]
    turn = [*call, 'messages.append({"role": "assistant", "content": text})']
    if has_encoder:
        lines.append("written = [model.config.decoder_start_token_id]  # what the decoder goes on behind")
    if mode == "stepwise":
        lines.append("stopped = False")
        turn += ["if stopped:", "    break", 'stopped = text == ""']
    return [*lines, loops[mode], *("    " + line for line in turn), "```"]


_CALL = {
    False: [
        "output = model.generate(**inputs)",
        'text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=False)',
    ],
    True: [
        "output = model.generate(**inputs)",
        'text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)',
    ],
}
_DECODER_CALL = {
    False: [
        "output = model.generate(**inputs)",
        "text = tokenizer.decode(output[0, 1:], skip_special_tokens=False)",
    ],
    True: [
        "output = model.generate(**inputs, decoder_input_ids=torch.tensor([written]))[0].tolist()",
        "text = tokenizer.decode(output[len(written) :], skip_special_tokens=True)",
        "written = [token for token in output if token != tokenizer.eos_token_id]",
    ],
}
"""Generation in one pass, and as one of several turns."""


def _measured(metrics: Mapping[str, Any] | None) -> list[str]:
    if metrics is None:
        return ["Not evaluated yet."]
    rows = {"questions": metrics["n"], "split": metrics.get("split", "")}
    rows |= {title: show(metrics[key]) for key, title, show in _METRICS if metrics.get(key) is not None}
    if metrics.get("levels"):
        rows |= {
            f"level {one['level']}": f"{100 * one['accuracy']:.1f} % at {one['tokens_per_answer']:.1f} tokens"
            for one in metrics["levels"]
        }
    return _table(rows)


def _table(rows: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {escape(name)} | {escape(value)} |" for name, value in rows.items())]
