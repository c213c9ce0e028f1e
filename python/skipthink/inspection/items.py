"""Items of anybody: which tokens of them a trainer takes its loss on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.tables import JSONL, JsonLines, read_batches, reading
from skipthink.student.token_texts import Token, as_tokens, special_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100
PACKED_JSONL = tuple(f"{suffix}.gz" for suffix in JSONL)
READS = "input_ids and labels, prompt and completion, messages, conversations, or prompt_ids and target_ids"
ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}
NAMED = 5
"""Rows that an error names."""


@dataclass(frozen=True)
class Reading:
    """One item.

    Attributes:
        row: its row in the file, from 0.
        name: its id, or its row.
        tokens: its tokens, prompt and target.
        source: what an encoder reads; None where there is none.
        notes: what is odd about it, in words.
    """

    row: int
    name: str
    tokens: list[Token]
    source: list[Token] | None
    notes: tuple[str, ...]

    @property
    def n_trained(self) -> int:
        """Tokens that carry loss."""
        return sum(token.is_trained for token in self.tokens)

    def as_item(self) -> dict[str, Any]:
        """The item as `terminal.SamplePrinter.item` shows it."""
        return {"stage": None, "name": self.name, "source": self.source, "tokens": self.tokens}


@dataclass
class Totals:
    """Counts over the items of a file: `items`, `tokens`, `trained` tokens, rows that train none, notes."""

    items: int = 0
    tokens: int = 0
    trained: int = 0
    untrained: list[int] | None = None
    notes: dict[str, int] | None = None

    def add(self, item: Reading) -> None:
        """Counts an item."""
        self.items += 1
        self.tokens += len(item.tokens) + len(item.source or ())
        self.trained += item.n_trained
        if not item.n_trained:
            self.untrained = [*(self.untrained or []), item.row]
        self.notes = self.notes or {}
        for note in item.notes:
            self.notes[note] = self.notes.get(note, 0) + 1

    def refuse_untrained(self, file: Path) -> None:
        """Refuses a file with items that train no token.

        Raises:
            DataError: names the first of them.
        """
        if self.untrained:
            rows = ", ".join(map(str, self.untrained[:NAMED]))
            more = ", …" if len(self.untrained) > NAMED else ""
            raise DataError(
                f"{len(self.untrained)} of {self.items} samples of {file} train no token (row {rows}{more}): a trainer "
                "learns nothing from them; mend what masks them, or leave them out"
            )


def read_items(file: Path, tokenizer: PreTrainedTokenizerBase) -> Iterator[Reading]:
    """Reads the items of a file as a trainer would.

    Args:
        file: a .jsonl (also .gz), .parquet or .arrow file with the columns that `READS` names.
        tokenizer: a fast one.

    Raises:
        DataError: the file cannot be read, or a row is none of these forms.
        InvalidInputError: the tokenizer has no chat template for messages, or one that does not render them.
    """
    reader = _Reader(tokenizer, str(file))
    for row, record in enumerate(_rows(file)):
        yield reader.read(row, record)


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.name.endswith((*JSONL, *PACKED_JSONL)):
        lines = iter(JsonLines(file))
        while True:
            with reading(file):
                line = next(lines, None)
            if line is None:
                return
            yield line[1]
    for batch in read_batches(file):
        yield from batch.to_pylist()


class _Reader:
    def __init__(self, tokenizer: PreTrainedTokenizerBase, file: str) -> None:
        self.tokenizer, self.file = tokenizer, file
        self.backend: Any = tokenizer.backend_tokenizer
        self.special = special_ids(self.backend)
        self.vocabulary = len(tokenizer)

    def read(self, row: int, record: Mapping[str, Any]) -> Reading:
        place = f"{self.file}, row {row}"
        notes: list[str] = []
        source: list[int] | None = None
        if record.get("input_ids") is not None and record.get("labels") is not None:
            source, ids, trained = self._labelled(record, notes, place)
        elif record.get("target_ids") is not None:
            ids = [*record["prompt_ids"], *record["target_ids"]]
            n_prompt = len(record["prompt_ids"])
            trained = record.get("loss") or [number >= n_prompt for number in range(len(ids))]
            source = record.get("source_ids")
        elif record.get("prompt") is not None and record.get("completion") is not None:
            ids, trained = self._completed(record["prompt"], record["completion"], notes, place)
        elif record.get("messages") is not None or record.get("conversations") is not None:
            messages = record.get("messages") or record.get("conversations")
            ids, trained = self._conversation(_messages(messages, place), place)
        else:
            raise DataError(f"{place} has the columns {', '.join(record)}; what can be read are {READS}")
        self._check(ids, place)
        tokens = as_tokens(self.backend, ids, trained, self.special)
        last = next((token for token in reversed(tokens) if token.is_trained), None)
        if last is not None and last.id != self.tokenizer.eos_token_id:
            notes.append("the last trained token is not the end token")
        sources = (
            None if source is None else as_tokens(self.backend, source, [False] * len(source), self.special)
        )
        return Reading(row, str(record.get("id", f"row {row}")), tokens, sources, tuple(notes))

    def _check(self, ids: list[Any], place: str) -> None:
        wrong = [token for token in ids if not isinstance(token, int) or not 0 <= token < self.vocabulary]
        if wrong:
            raise DataError(
                f"{place} holds the id {wrong[0]!r}, and the tokenizer has the ids 0 … {self.vocabulary - 1}; name the "
                "tokenizer that made these items"
            )

    def _labelled(
        self, record: Mapping[str, Any], notes: list[str], place: str
    ) -> tuple[list[int] | None, list[int], list[bool]]:
        """`input_ids` with `labels`; of encoder-decoders the labels stand for another sequence."""
        ids, labels, decoded = record["input_ids"], record["labels"], record.get("decoder_input_ids")
        counts = [label != IGNORED_LABEL for label in labels]
        if decoded is not None:
            if len(decoded) != len(labels):
                raise DataError(f"{place} has {len(labels)} labels for {len(decoded)} decoder_input_ids")
            # a label stands where it is predicted: it is the token behind the one that is read there
            behind = [*decoded[1:], None]
            written = [
                label if counted else other
                for label, counted, other in zip(labels, counts, behind, strict=True)
            ]
            kept = [
                (token, counted) for token, counted in zip(written, counts, strict=True) if token is not None
            ]
            return (
                ids,
                [decoded[0], *(token for token, _ in kept)],
                [False, *(counted for _, counted in kept)],
            )
        if len(ids) != len(labels):
            kept = [(label, counted) for label, counted in zip(labels, counts, strict=True) if counted]
            return ids, [label for label, _ in kept], [True] * len(kept)
        n_other = sum(
            label != token for label, token, counted in zip(labels, ids, counts, strict=True) if counted
        )
        if n_other:
            notes.append(
                "labels differ from input_ids: they should hold the same id at the same place, or -100"
            )
        return None, ids, counts

    def _completed(
        self, prompt: Any, completion: Any, notes: list[str], place: str
    ) -> tuple[list[int], list[bool]]:
        """Prompt and completion: the loss is that of the completion."""
        if isinstance(prompt, list) or isinstance(completion, list):
            turns = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
            replies = (
                completion if isinstance(completion, list) else [{"role": "assistant", "content": completion}]
            )
            messages = _messages([*turns, *replies], place)
            return self._conversation(messages, place, first=len(turns))
        if not isinstance(prompt, str) or not isinstance(completion, str):
            raise DataError(f"{place}: prompt and completion must be texts or lists of messages")
        _refuse_surrogates((prompt, completion), place)
        before = self.tokenizer(prompt, verbose=False)["input_ids"]
        ids = self.tokenizer(prompt + completion, verbose=False)["input_ids"]
        n_same = next(
            (n for n, pair in enumerate(zip(before, ids, strict=False)) if pair[0] != pair[1]), len(before)
        )
        if n_same < len(before):
            notes.append("the prompt alone has other tokens than in front of its completion")
        return ids, [number >= len(before) for number in range(len(ids))]

    def _conversation(
        self, messages: list[dict[str, str]], place: str, first: int = 0
    ) -> tuple[list[int], list[bool]]:
        """Messages in the tokenizer's chat template: the loss is that of the assistant's turns, from `first` on."""
        _refuse_surrogates([message["content"] for message in messages], place)
        template = self.tokenizer.chat_template
        if template is None:
            raise InvalidInputError(
                f"{place} holds messages, and the tokenizer has no chat template; name a tokenizer that has one"
            )
        if first == 0 and re.search(r"\{%-?\s*generation\b", str(template)):
            found: Any = self._render(
                messages, place, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
            )
            return list(found["input_ids"]), [bool(flag) for flag in found["assistant_masks"]]
        # without marks of its own, a turn is what the template adds for it
        spans = []
        for turn, message in enumerate(messages):
            if message["role"] == "assistant" and turn >= first:
                before = self._render(messages[:turn], place, tokenize=False, add_generation_prompt=True)
                behind = self._render(messages[: turn + 1], place, tokenize=False)
                if not behind.startswith(before):
                    raise InvalidInputError(
                        f"{place}: the chat template writes earlier turns otherwise when turn {turn} is added, so it "
                        "cannot be said which tokens are trained; use a template with {% generation %}"
                    )
                spans.append((len(before), len(behind)))
        text = self._render(messages, place, tokenize=False)
        encoded: Any = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        trained = [
            any(start <= offset < end for start, end in spans) for offset, _ in encoded["offset_mapping"]
        ]
        return encoded["input_ids"], trained

    def _render(self, messages: list[dict[str, str]], place: str, **options: Any) -> Any:
        try:
            return self.tokenizer.apply_chat_template(messages, **options)
        except Exception as error:  # a template is a program of its author's
            raise InvalidInputError(
                f"{place}: the chat template does not render the messages: {type(error).__name__}: {error}"
            ) from error


def _messages(messages: Any, place: str) -> list[dict[str, str]]:
    """Messages of either family, by role and content."""
    try:
        return [
            {"role": message["role"], "content": message["content"]}
            if "role" in message
            else {"role": ROLES[message["from"]], "content": message["value"]}
            for message in messages
        ]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{place}: messages are lists of objects with role and content, or with from (human, gpt, system) and value"
        ) from error


def _refuse_surrogates(texts: Iterable[Any], place: str) -> None:
    for text in texts:
        try:
            str(text).encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{place} holds the lone surrogate {str(text)[error.start]!r}, which no tokenizer reads; remove or "
                "replace it"
            ) from None
