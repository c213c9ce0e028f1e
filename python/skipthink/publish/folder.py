"""The files that make a trained student an ordinary Hugging Face folder: generation config, chat template, card.

`generation_config.json` and `chat_template.jinja` are what `generate`, servers and evaluation harnesses read;
`README.md` is the model card. Nothing but these three files is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.core.codes import Stage
from skipthink.exceptions import InvalidInputError
from skipthink.io.files import write_text
from skipthink.publish.card import write_card
from skipthink.student.frame import PLAIN, TEMPLATE_MARK, Frame, frame_of, read_student_file, special_texts
from skipthink.student.inference import MODES, Decoding
from skipthink.student.markers import (
    ANSWER_TEXT,
    LINE_END,
    THOUGHT_TEXT,
    decoder_start,
    get_markers,
    marker_texts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE = """\
{%- macro plain(content) -%}
    {%- if content is string -%}{%- set parts = [content] -%}
    {%- else -%}{%- set parts = content | map(attribute='text') | list -%}
    {%- endif -%}
    {%- set text = namespace(value=parts | join) -%}
    {%- for marker in RESERVED -%}
        {%- set text.value = text.value | replace(marker, marker[0] + ' ' + marker[1:]) -%}
    {%- endfor -%}
    {{- text.value -}}
{%- endmacro -%}
{%- set users = messages | selectattr('role', 'equalto', 'user') | list -%}
{%- set replies = messages | selectattr('role', 'equalto', 'assistant') | list -%}
{%- if users | length != 1 or messages[0]['role'] != 'user' or (users + replies) | length != messages | length -%}
    {{- raise_exception('TEMPLATE_MARK: send one user message, and no system message') -}}
{%- endif -%}
{%- set question = plain(users[0]['content'])TRIM -%}
"""
LEVELS = """\
{%- set level = level | default(OWN_LEVEL) | int -%}
{%- if level < 1 or level > N_LEVELS -%}
    {{- raise_exception('level must be one of 1 to N_LEVELS') -}}
{%- endif -%}
"""
LEVEL_LEAD = "SKIP_MARK + MARKS[level - 1]"
"""Which level of skipping is asked for, with `apply_chat_template(…, level=2)`; without it its own."""
SINGLE = """\
{{- HEAD + LEAD + question + TAIL -}}
{%- for reply in replies -%}
    {%- generation -%}{{- plain(reply['content']) + END -}}{%- endgeneration -%}
{%- endfor -%}
"""
STEPS = """\
{%- set stage = namespace(marker=STEP_MARK, answered=false) -%}
{%- for reply in replies -%}
    {%- if stage.marker != STEP_MARK -%}{%- set stage.answered = true -%}{%- endif -%}
    {%- if not plain(reply['content']) -%}{%- set stage.marker = ANSWER_MARK -%}{%- endif -%}
{%- endfor -%}
{%- if stage.answered -%}
    {{- raise_exception('this student has written all steps and the answer: ask the next question anew') -}}
{%- endif -%}
{{- HEAD + stage.marker + question + TAIL -}}
SO_FAR
{%- if stage.marker == ANSWER_MARK -%}{{- CLOSE -}}{%- endif -%}
"""
STAGES = """\
{%- set stages = STAGES -%}
{%- if replies | length >= stages | length -%}
    {{- raise_exception('this student has written all chunks and the answer: ask the next question anew') -}}
{%- endif -%}
{{- HEAD + stages[replies | length] + question + TAIL -}}
SO_FAR
{%- if replies | length == stages | length - 1 -%}{{- CLOSE -}}{%- endif -%}
"""
REPLIES = "{%- for reply in replies -%}{{- plain(reply['content']) -}}{%- endfor -%}"
SOURCE_END = "{{- END -}}"
"""`SO_FAR`, behind the question: the replies, or the end of what an encoder reads; its decoder goes on behind them."""


def dress_student(
    model_dir: str | Path,
    *,
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> None:
    """Writes generation config, chat template and model card of a trained student into its folder.

    Args:
        model_dir: a folder with a student and its `skipthink.json`.
        facts: what the card says of data and training; see `skipthink.publish.card.write_card`.
        metrics: what an evaluation found, once there is one.
        out: where the three files are written; None: into the folder.

    Raises:
        InvalidInputError: the student answers in an unknown mode.
    """
    from transformers import AutoConfig, AutoTokenizer

    model_dir, out = Path(model_dir), Path(out or model_dir)
    about = read_student_file(model_dir)
    mode, n_chunks = about["mode"], int(about["n_chunks"])
    tokenizer = AutoTokenizer.from_pretrained(str(model_dir))
    config = AutoConfig.from_pretrained(str(model_dir))
    decoding = Decoding.of_student(about)
    write_text(
        out / "generation_config.json",
        json.dumps(_generation(tokenizer, config, mode, decoding, n_chunks), indent=2) + "\n",
    )
    frame, has_encoder = frame_of(about, str(model_dir)), decoder_start(config) is not None
    template = chat_template(
        tokenizer,
        mode,
        n_chunks,
        frame,
        has_encoder=has_encoder,
        n_levels=len(decoding.level_limits),
        level=decoding.level,
    )
    write_text(out / "chat_template.jinja", template)
    write_card(out / "README.md", about=about, facts=facts, metrics=metrics, has_encoder=has_encoder)


def chat_template(
    tokenizer: PreTrainedTokenizerBase,
    mode: str,
    n_chunks: int,
    frame: Frame = PLAIN,
    *,
    has_encoder: bool = False,
    n_levels: int = 0,
    level: int = 0,
) -> str:
    """The chat template of a student: a question as a user message becomes the prompt it was trained on.

    In the mode "full" each reply is one chunk: asked again with its replies so far, the student writes the next one,
    and after M chunks the answer; in the mode "stepwise" each reply is one step, and after an empty one comes the
    answer. Special tokens, and markers that may stand amid a text, are taken apart in messages with a space
    ("[ answer]"), since a template's text is tokenised as a whole.

    The template of an encoder-decoder writes what its encoder reads: the marker, the question and the end token.
    Replies say which marker; their text goes in front of what the decoder writes (`decoder_input_ids`).

    Args:
        tokenizer: the student's tokenizer, with the markers.
        mode: the mode it answers in, as in `skipthink.student.inference.MODES`.
        n_chunks: M.
        frame: what stands around questions: a chat, say.
        has_encoder: whether the student is an encoder-decoder.
        n_levels: levels of skipping, which the variable `level` of the template asks for; 0: it has none.
        level: that which is asked for without it.

    Raises:
        InvalidInputError: unknown mode.
    """
    if mode not in MODES:
        raise InvalidInputError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    markers = get_markers(tokenizer, n_chunks, frame)
    *stages, answer, skip = (
        text + (LINE_END if frame.as_text else "") for text in marker_texts(n_chunks)[:-1]
    )
    head, tail = frame.head, frame.tail
    if frame.prompt_format == "plain":
        head = str(tokenizer.bos_token) if markers.prompt_head else ""
    answers_first = MODES[mode] == Stage.ANSWER_ONLY
    # a student that writes the whole chain begins its block itself
    tail += {"base": "", "skip": ""}.get(mode, frame.empty if answers_first else frame.open)
    # longest first: what is taken apart must not leave a shorter one behind
    taken = special_texts(tokenizer) + ([ANSWER_TEXT, THOUGHT_TEXT] if frame.as_text else [])
    only = answer if answers_first else {"skip": skip}.get(mode, "")
    end = _jinja(str(tokenizer.eos_token))
    lead, leveled = _jinja(only), ""
    if n_levels and mode == "skip":
        marks = _jinja(stages[:n_levels])
        lead = LEVEL_LEAD.replace("SKIP_MARK", _jinja(skip)).replace("MARKS", marks)
        leveled = LEVELS.replace("N_LEVELS", str(n_levels)).replace("OWN_LEVEL", str(level))
    parts = {
        "TEMPLATE_MARK": TEMPLATE_MARK,
        "TRIM": " | trim" if frame.trims else "",
        "RESERVED": _jinja(sorted(taken, key=len, reverse=True)),
        "STAGES": _jinja([*stages, answer]) if mode == "full" else f"[{lead}]",
        "STEP_MARK": _jinja(stages[0]),
        "ANSWER_MARK": _jinja(answer),
        "LEAD": lead,
        "HEAD": _jinja(head),
        "TAIL": _jinja(tail),
        "CLOSE": _jinja(frame.close),
        "SO_FAR": SOURCE_END.replace("END", end) if has_encoder else REPLIES,
        "END": end,
    }
    # a decoder that answers in one pass has one stage
    body = {"full": STAGES, "stepwise": STEPS}.get(mode, STAGES if has_encoder else SINGLE)
    # in one go: what is put in is not looked at again
    return re.sub("|".join(parts), lambda found: parts[found[0]], TEMPLATE + leveled + body)


def _jinja(value: str | list[str]) -> str:
    """A literal of Jinja: JSON without escapes of code points, which Jinja reads otherwise beyond U+FFFF."""
    return json.dumps(value, ensure_ascii=False)


def _generation(
    tokenizer: PreTrainedTokenizerBase,
    config: Any,
    mode: str,
    decoding: Decoding,
    n_chunks: int,
) -> dict[str, Any]:
    """Greedy, begun and ended as in evaluation, and bounded as there: the longest target and a quarter.

    One file is for all stages: the end token may come first where one of them may be empty.
    """
    stages: list[int] = {
        "full": [*range(1, n_chunks + 1), Stage.ANSWER],
        "stepwise": [Stage.STEP, Stage.ANSWER],
    }.get(mode, [MODES[mode]])
    ends: list[int] = [tokenizer.eos_token_id]
    if mode == "post-think" and THOUGHT_TEXT in tokenizer.get_added_vocab():
        ends.append(tokenizer.convert_tokens_to_ids(THOUGHT_TEXT))  # type: ignore[arg-type]
    settings = {
        "do_sample": False,
        "eos_token_id": ends if len(ends) > 1 else ends[0],
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "decoder_start_token_id": getattr(config, "decoder_start_token_id", None),
        # a level that is asked for later may be longer
        "max_new_tokens": max(replace(decoding, level=0).max_new_tokens(stage) for stage in stages),
        "begin_suppress_tokens": None if any(map(decoding.may_be_empty, stages)) else ends,
    }
    return {name: value for name, value in settings.items() if value is not None}
