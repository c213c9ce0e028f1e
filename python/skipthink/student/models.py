"""Students: any language model `from_pretrained`, with or without an encoder, and small ones made from a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.exceptions import DataError, InvalidInputError
from skipthink.io.files import atomic_folder, write_json
from skipthink.student.frame import PLAIN, STUDENT_FILE, Frame
from skipthink.student.gguf_students import load_gguf
from skipthink.student.markers import END_TEXT, PAD_TEXT, Markers, add_markers
from skipthink.student.options import is_gguf
from skipthink.student.prompts import max_positions

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VERY_LARGE = 10**9
"""Tokenizers that know no longest input say 10^30."""

ARCHITECTURES = ("llama", "gpt2", "t5")


def make_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerBase:
    """Trains a byte-level BPE tokenizer on texts; every string can be encoded by it.

    Args:
        texts: the training texts (questions, rationales and answers of the training split).
        vocab_size: upper bound of the vocabulary, markers not counted; at least 258.

    Returns:
        A fast tokenizer with `<pad>` and `<end>`.

    Raises:
        InvalidInputError: vocab_size is below the 256 bytes and the two special tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < 258:
        raise InvalidInputError(
            f"vocab_size must be at least 258 (256 bytes, end, padding), got {vocab_size}"
        )
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[PAD_TEXT, END_TEXT],
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=PAD_TEXT, eos_token=END_TEXT, clean_up_tokenization_spaces=False
    )


def make_student(
    texts: Iterable[str],
    *,
    n_chunks: int,
    seed: int,
    vocab_size: int = 1024,
    architecture: str = "llama",
    hidden_size: int = 96,
    num_layers: int = 3,
    num_heads: int = 4,
    intermediate_size: int | None = None,
    max_length_tokens: int = 1024,
    frame: Frame = PLAIN,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Makes a small untrained student and its tokenizer from a config.

    Args:
        texts: what the tokenizer is trained on.
        n_chunks: M; the markers of M chunks are added.
        seed: seeds the weights; the same texts and seed give the same student.
        vocab_size: see `make_tokenizer`.
        architecture: "llama", "gpt2" or "t5".
        hidden_size: width.
        num_layers: depth; of "t5", of its encoder and of its decoder.
        num_heads: attention heads; must divide the width.
        intermediate_size: width of the feed-forward layers; 8/3 of hidden_size (Llama) or 4 times it.
        max_length_tokens: longest sequence the student is given, on each side; the positions of T5 have no end.
        frame: what stands around questions; markers that are text are not added.

    Raises:
        InvalidInputError: unknown architecture or sizes that do not fit.
    """
    import torch

    if hidden_size % num_heads:
        raise InvalidInputError(f"hidden_size {hidden_size} is not a multiple of num_heads {num_heads}")
    tokenizer = make_tokenizer(texts, vocab_size=vocab_size)
    add_markers(tokenizer, n_chunks, frame)
    config = _config(
        architecture,
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        intermediate_size=intermediate_size,
        max_length_tokens=max_length_tokens,
        tokens={
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
    )
    tokenizer.model_max_length = max_length_tokens
    if config.is_encoder_decoder:
        _end_sources(tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config).from_config(config)
    return model.float(), tokenizer


def model_class(config: Any) -> Any:
    """The class of `transformers` that makes and loads a student of this config."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def _end_sources(tokenizer: PreTrainedTokenizerBase) -> None:
    """Lets a tokenizer end ordinary text with its end token, as the tokenizers of encoder-decoders do."""
    from tokenizers.processors import TemplateProcessing

    backend: Any = tokenizer
    backend.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {END_TEXT}", special_tokens=[(END_TEXT, tokenizer.eos_token_id)]
    )


def _config(
    architecture: str,
    *,
    vocab_size: int,
    hidden_size: int,
    num_layers: int,
    num_heads: int,
    intermediate_size: int | None,
    max_length_tokens: int,
    tokens: dict[str, Any],
) -> Any:
    from transformers import GPT2Config, LlamaConfig, T5Config

    if architecture == "llama":
        return LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            num_key_value_heads=num_heads,
            intermediate_size=intermediate_size or round(hidden_size * 8 / 3),
            max_position_embeddings=max_length_tokens,
            tie_word_embeddings=True,
            # 0.02 is made for widths of thousands; narrow students need a wider start to learn quickly
            initializer_range=hidden_size**-0.5 / 2,
            **tokens,
        )
    if architecture == "gpt2":
        return GPT2Config(
            vocab_size=vocab_size,
            n_embd=hidden_size,
            n_layer=num_layers,
            n_head=num_heads,
            n_inner=intermediate_size,
            n_positions=max_length_tokens,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            initializer_range=hidden_size**-0.5 / 2,
            **tokens,
        )
    if architecture == "t5":
        return T5Config(
            vocab_size=vocab_size,
            d_model=hidden_size,
            d_kv=hidden_size // num_heads,
            d_ff=intermediate_size or 4 * hidden_size,
            num_layers=num_layers,
            num_heads=num_heads,
            dropout_rate=0.0,
            # as the T5 of the hub
            **{**tokens, "decoder_start_token_id": tokens["pad_token_id"]},
        )
    raise InvalidInputError(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {architecture!r}")


def load_student(
    name_or_path: str | Path, *, dtype: str = "float32"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a language model and its tokenizer, from a folder, the hub (weights from safetensors only) or a GGUF file.

    `skipthink.student.Student.load` gives both as one object, with the markers. A model whose config says
    `is_encoder_decoder` is loaded with its encoder.

    Args:
        name_or_path: what `from_pretrained` takes, or a .gguf file.
        dtype: "float32", "bfloat16", …

    Raises:
        InvalidInputError: a GGUF file, and the package `gguf` is missing.
        DataError: the model or tokenizer cannot be loaded (the cause is chained).
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoTokenizer

    if is_gguf(name_or_path):
        return load_gguf(name_or_path, dtype=dtype)[:2]
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(name_or_path))
        model = model_class(AutoConfig.from_pretrained(str(name_or_path))).from_pretrained(
            str(name_or_path), dtype=getattr(torch, dtype), use_safetensors=True
        )
    except SafetensorError as error:
        raise DataError(
            f"cannot load a student from {str(name_or_path)!r}: its weights are damaged ({error}); fetch it anew, or, "
            "in a run, delete its stage's folder and give the same command again"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot load a student from {str(name_or_path)!r}: {error}") from error
    return model, tokenizer


def grow_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, n_chunks: int, frame: Frame = PLAIN
) -> Markers:
    """Adds the markers a tokenizer lacks, and rows for them to the embeddings; markers that are text need none.

    Args:
        model: the student; changed in place.
        tokenizer: its tokenizer; changed in place.
        n_chunks: M.
        frame: what stands around questions.

    Returns:
        The markers.
    """
    markers = add_markers(tokenizer, n_chunks, frame)
    # never shrink: many models pad their vocabulary beyond the tokenizer's
    embeddings: Any = model.get_input_embeddings()
    if not frame.as_text and len(tokenizer) > embeddings.weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    # the end-of-turn token of a chat template may be another one than the model came with
    model.config.eos_token_id = markers.end_id
    return markers


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The longest sequence a student can read: its positions, or the limit of its tokenizer; None: no limit."""
    limit = max_positions(model.config)
    if limit is None and tokenizer.model_max_length < VERY_LARGE:
        limit = int(tokenizer.model_max_length)
    return limit


def save_student(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    *,
    about: Mapping[str, Any] | None = None,
    state_dict: dict[str, torch.Tensor] | None = None,
) -> None:
    """Saves model and tokenizer as an ordinary Hugging Face folder; the folder appears complete or not at all.

    Args:
        model: the student.
        tokenizer: its tokenizer.
        folder: where to.
        about: what the student knows of itself, for its `skipthink.json`; its frame under "prompt".
        state_dict: the weights, where the model holds only a part of them.
    """
    with atomic_folder(folder) as scratch:
        model.save_pretrained(scratch, state_dict=state_dict)
        tokenizer.save_pretrained(scratch)
        if about is not None:
            write_json(scratch / STUDENT_FILE, {"schema": 1, **about})
