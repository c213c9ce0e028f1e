"""A local model as the teacher: batches of replies, each sample with its own random generator."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import InvalidInputError
from skipthink.teacher.asking import Lost
from skipthink.teacher.halting import FullMemoryError, Halt, HaltedError, OpenError
from skipthink.teacher.options import LocalOptions
from skipthink.teacher.requests import Message, Reply, Request

if TYPE_CHECKING:
    import torch

_GATHER_SECONDS = 0.02
"""Time that other conversations have to join a batch."""
_EDGE_BYTES = 1 << 20
_MARKS = (".safetensors", ".gguf", ".json", ".model")
PACKAGE = "package:"
_LEAST_PREFIX = 32
"""Tokens that prompts have to begin with in common for them to be kept."""
_NEXT_QUESTION = "\nQuestion:"

Waiting = tuple[Request, "asyncio.Future[Reply]"]


class LocalTeacher:
    """Runs a model in this process.

    Args:
        options: options of the local model.
        halt: signal that ends asking; if it is urgent, a batch stops in the middle.

    Raises:
        InvalidInputError: the model cannot be loaded.
    """

    def __init__(self, options: LocalOptions, halt: Halt) -> None:
        self.halt = halt
        self.concurrency = 2 * options.batch_size  # while a batch is written the next one gathers
        self.faults: Counter[str] = Counter()
        self._batch_size = options.batch_size
        self._queue: list[Waiting] = []
        self._runner: asyncio.Task[None] | None = None
        self._writer = Writer(options, halt)
        self.model = self._writer.name

    async def answer(self, request: Request, lost: Lost) -> Reply:
        """The reply, written in a batch with others."""
        del lost  # nothing is paid for
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.append((request, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Waits for the batch under way."""
        if self._runner is not None:
            await asyncio.wait({self._runner})

    async def _run(self) -> None:
        await asyncio.sleep(_GATHER_SECONDS)
        while self._queue:
            batch = self._next_batch()
            try:
                replies = await asyncio.to_thread(self._writer.write, [request for request, _ in batch])
            except Exception as error:  # whatever it is, those who wait for it have to hear of it
                replies = [error] * len(batch)
            for (_, future), reply in zip(batch, replies, strict=True):
                if future.done():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
            await asyncio.sleep(0)  # their conversations go on

    def _next_batch(self) -> list[Waiting]:
        """The next requests with equal parameters, in order of arrival."""
        first = _kind(self._queue[0][0])
        batch = [entry for entry in self._queue if _kind(entry[0]) == first][: self._batch_size]
        self._queue = [entry for entry in self._queue if entry not in batch]
        return batch


class Writer:
    """A model and its tokenizer.

    Attributes:
        name: name of the model and a hash of its weights: another model at the same path is another teacher.
    """

    def __init__(self, options: LocalOptions, halt: Halt) -> None:
        import torch

        from skipthink.student.devices import choose_device

        self._halt = halt
        self._device = choose_device(options.device)
        dtype = (
            options.dtype
            if options.dtype != "auto"
            else ("float32" if self._device.type == "cpu" else "auto")
        )
        path = find_model(options.path)
        self._model, self._tokenizer = _load(path, dtype if dtype == "auto" else getattr(torch, dtype))
        self._model = self._model.to(self._device).eval()
        self.name = _name(path, self._model)
        self._longest = getattr(self._model.config, "max_position_embeddings", None) or 1 << 30
        self._ends = _end_ids(self._model, self._tokenizer)
        self._special = sorted(set(self._tokenizer.all_special_tokens), key=len, reverse=True)
        self._prefix = KeptPrefix(self._model)

    def write(self, requests: Sequence[Request]) -> Sequence[Reply | Exception]:
        """Generates replies to requests with equal parameters, in smaller batches if memory runs out."""
        import torch

        try:
            return self._write(requests)
        except torch.OutOfMemoryError:
            if len(requests) == 1:
                return [FullMemoryError("the device has too little memory for this prompt")]
            half = len(requests) // 2
        torch.get_device_module(self._device).empty_cache()
        return [*self.write(requests[:half]), *self.write(requests[half:])]

    def _write(self, requests: Sequence[Request]) -> list[Reply | Exception]:
        import torch

        ids = [self._encode(request.messages) for request in requests]
        rooms = [self._longest - len(row) for row in ids]
        fits = [row for row, room in enumerate(rooms) if room > 0]
        replies: list[Reply | Exception] = [
            OpenError(f"the prompt has {len(row)} tokens, the model takes {self._longest}") for row in ids
        ]
        if not fits:
            return replies
        most = min(requests[0].max_tokens, *(rooms[row] for row in fits), 1 << 30)
        prompts = [ids[row] for row in fits]
        with torch.inference_mode():
            n_kept, kept = self._prefix.of(prompts)
            batch, mask = _pad(prompts, n_kept, self._pad_id, self._device)
            output = self._model.generate(
                batch, attention_mask=mask, **kept, **self._how([requests[row] for row in fits], most)
            )
        if self._halt.hurry.is_set():
            return [HaltedError()] * len(requests)
        for row, written in zip(fits, output[:, batch.shape[1] :].tolist(), strict=True):
            replies[row] = self._reply(len(ids[row]), written, most)
        return replies

    @property
    def _pad_id(self) -> int:
        return int(self._ends[0])

    def _how(self, requests: Sequence[Request], most: int) -> dict[str, Any]:
        from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

        halt = self._halt

        class Hurry(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                import torch

                return torch.full((len(input_ids),), halt.hurry.is_set(), device=input_ids.device)

        parameters = requests[0].parameters
        how: dict[str, Any] = {
            "max_new_tokens": most,
            "do_sample": False,
            "num_beams": 1,
            "temperature": None,
            "top_p": None,
            "top_k": None,
            "repetition_penalty": 1.0,
            "eos_token_id": self._ends,
            "pad_token_id": self._pad_id,
            "stopping_criteria": StoppingCriteriaList([Hurry()]),
        }
        if parameters["temperature"] > 0:
            draws = [hash_seed(request) for request in requests]
            drawing = seeded_drawing(draws, parameters["temperature"], parameters.get("top_p", 1.0))
            how["logits_processor"] = LogitsProcessorList([drawing])
        if self._tokenizer.chat_template is None:
            how |= {"stop_strings": [_NEXT_QUESTION], "tokenizer": self._tokenizer}
        return how

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a prompt. Special tokens in its texts are broken up with a space, so that they remain text."""
        plain = [{"role": one["role"], "content": self._apart(one["content"])} for one in messages]
        if self._tokenizer.chat_template is None:
            parts = {"system": "{}\n\n", "user": "Question: {}\n", "assistant": "Answer: {}\n\n"}
            text = "".join(parts[one["role"]].replace("{}", one["content"]) for one in plain) + "Answer:"
            return list(self._tokenizer(text)["input_ids"])
        return list(self._tokenizer(_render(self._tokenizer, plain), add_special_tokens=False)["input_ids"])

    def _apart(self, text: str) -> str:
        for token in self._special:
            if len(token) > 1 and token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _reply(self, n_prompt: int, written: list[int], most: int) -> Reply:
        end = next((place for place, token in enumerate(written) if token in self._ends), None)
        ids = written if end is None else written[:end]
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        cut = text.find(_NEXT_QUESTION) if self._tokenizer.chat_template is None else -1
        finish = "length" if end is None and cut < 0 and len(written) >= most else "stop"
        return Reply(
            content=text if cut < 0 else text[:cut],
            finish=finish,
            n_prompt_tokens=n_prompt,
            n_tokens=len(ids) + (end is not None),
            model=self.name,
        )


def seeded_drawing(seeds: Sequence[int], temperature: float, top_p: float) -> Any:
    """A logits processor that samples, so that a sample does not depend on the rest of its batch.

    Each row adds Gumbel noise from its own generator to its log-probabilities. The largest sum is then a draw from them
    (Gumbel-max), and greedy decoding takes it.

    Args:
        seeds: seed of each row.
        temperature: sampling temperature, above 0.
        top_p: share of the probability mass that is sampled from.
    """
    import torch
    from transformers import LogitsProcessor, TopPLogitsWarper

    class Drawing(LogitsProcessor):
        def __init__(self) -> None:
            self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
            self.top_p = TopPLogitsWarper(top_p) if top_p < 1 else None

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            scores = torch.log_softmax(scores.float() / temperature, dim=-1)
            if self.top_p is not None:
                scores = self.top_p(input_ids, scores)
            noise = torch.stack([torch.rand(scores.shape[1], generator=one) for one in self.generators])
            return scores - torch.log(-torch.log(noise.clamp(1e-20, 1 - 1e-7))).to(scores.device)

    return Drawing()


def hash_seed(request: Request) -> int:
    """The seed of a request: two questions with the same sampling seed get different draws."""
    return int(request.key[:15], 16)


def _kind(request: Request) -> dict[str, Any]:
    return {name: value for name, value in request.parameters.items() if name != "seed"}


def find_model(path: str) -> str:
    """Resolves the path of a model: "package:NAME" is the .gguf file in an installed package, which is not imported.

    Raises:
        InvalidInputError: the file or package does not exist.
    """
    from skipthink.student.gguf_students import find_gguf

    if path.startswith(PACKAGE):
        return str(find_gguf(path.removeprefix(PACKAGE)))
    if path.endswith(".gguf") and not Path(path).is_file():
        raise InvalidInputError(f"local.path is {path}, but there is no such file")
    return path


def _load(path: str, dtype: Any) -> tuple[Any, Any]:
    """Loads model and tokenizer of a folder, a .gguf file or a name on the hub."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from skipthink.student.gguf_students import load_gguf
    from skipthink.student.options import is_gguf

    if is_gguf(path):
        model, tokenizer, _ = load_gguf(
            path, dtype="float32" if dtype == "auto" else str(dtype).removeprefix("torch.")
        )
        return model, tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    except ImportError as error:
        raise InvalidInputError(f"cannot load {path}: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(f"cannot load {path} as a language model: {error}") from error
    return model, tokenizer


def _name(path: str, model: Any) -> str:
    """The model's name with a hash of the edges and sizes of its weights; of a hub model, with its commit."""
    place = Path(path)
    if not place.exists():
        commit = getattr(model.config, "_commit_hash", None)
        return f"{path}@{commit[:12]}" if commit else path
    files = [place] if place.is_file() else sorted(one for one in place.iterdir() if one.suffix in _MARKS)
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_EDGE_BYTES))
            stream.seek(max(0, size - _EDGE_BYTES))
            digest.update(stream.read(_EDGE_BYTES))
    return f"{place.resolve().name}@{digest.hexdigest()[:12]}"


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Token ids that end a reply."""
    ends = model.generation_config.eos_token_id
    found = [ends] if isinstance(ends, int) else list(ends or [])
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in found:
        found.append(tokenizer.eos_token_id)
    if not found:
        raise InvalidInputError("the model knows no token that ends a reply; give one with an eos_token_id")
    return found


def _render(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The prompt by the chat template; if the template has no system message, it is put before the first question."""
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False))
    except TemplateError:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise
    first = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return str(
        tokenizer.apply_chat_template([first, *messages[2:]], add_generation_prompt=True, tokenize=False)
    )


def _pad(
    rows: Sequence[list[int]], n_kept: int, pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows padded after their common beginning, and the mask of tokens that are not padding."""
    import torch

    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        for part, start in ((row[:n_kept], 0), (row[n_kept:], width - len(row) + n_kept)):
            ids[number, start : start + len(part)] = torch.tensor(part, dtype=torch.long)
            mask[number, start : start + len(part)] = 1
    return ids.to(device), mask.to(device)


class KeptPrefix:
    """The common beginning of all prompts (system message, examples), read once and kept as keys and values.

    Args:
        model: language model; if its past cannot be kept in part, every prompt is read from its beginning.
    """

    def __init__(self, model: Any) -> None:
        from skipthink.student.kv_cache import supports_kv_cache

        self._model = model
        self._is_possible = supports_kv_cache(model)
        self._ids: list[int] = []
        self._cache: Any = None

    def of(self, prompts: Sequence[list[int]]) -> tuple[int, dict[str, Any]]:
        """Number of tokens that the prompts share with the kept beginning, and the arguments of `generate` for it."""
        if not self._is_possible:
            return 0, {}
        shared = _common(prompts)
        shared = shared[: min(map(len, prompts)) - 1]  # something has to be read
        if len(shared) < _LEAST_PREFIX:
            return 0, {}
        if shared[: len(self._ids)] != self._ids or not self._ids:
            self._read(shared)
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(len(prompts))
        return len(self._ids), {"past_key_values": cache}

    def _read(self, ids: list[int]) -> None:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        self._model(
            input_ids=torch.tensor([ids], device=self._model.device), past_key_values=cache, use_cache=True
        )
        self._ids, self._cache = ids, cache


def _common(rows: Sequence[list[int]]) -> list[int]:
    """The common beginning of all rows."""
    first, last = min(rows), max(rows)
    n_common = next(
        (n for n, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first)
    )
    return first[:n_common]
