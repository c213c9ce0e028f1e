"""A student as one object: model, tokenizer, markers, frame, decoding and device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.core.ragged import Ints
from skipthink.exceptions import InvalidInputError
from skipthink.student.devices import avoid_attention_plans, choose_device
from skipthink.student.digest import model_digest
from skipthink.student.encoding import EncodedSamples, encode_questions, encode_samples
from skipthink.student.frame import PLAIN, STUDENT_FILE, Frame, frame_of, read_student_file
from skipthink.student.inference import Answered, Decoding, answer_questions
from skipthink.student.losses import StepLosses
from skipthink.student.markers import Markers, get_markers
from skipthink.student.models import grow_vocabulary, load_student, longest_input, save_student
from skipthink.student.score import ScoreStore, score_sequences

if TYPE_CHECKING:
    import pyarrow as pa
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Answer:
    """The answer of a student to one question.

    Attributes:
        text: the answer; None where the student never came to one.
        chain: what it wrote before the answer, markers included.
        written: the same as token ids, with counts of what was generated and read.
    """

    text: str | None
    chain: str
    written: Answered


@dataclass(eq=False)
class Student:
    """A language model that reasons in chunks, with everything that is needed to ask it.

    Attributes:
        model: a causal language model or an encoder-decoder; while LoRA adapters are trained, a `peft.PeftModel`.
        tokenizer: its tokenizer, with the markers.
        markers: marker ids of the tokenizer, fitted to the model; they know the frame of its prompts.
        about: the content of its `skipthink.json`: "prompt" (its frame), and once it is trained "method",
            "mode", "n_chunks", "max_target_tokens", "empty_stages" and, where M is not fixed, "max_steps".
        name: folder or name it was loaded from.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    markers: Markers
    about: Mapping[str, Any] = field(default_factory=dict)
    name: str = "student"

    @classmethod
    def load(
        cls,
        folder_or_name: str | Path,
        *,
        n_chunks: int | None = None,
        frame: Frame | None = None,
        device: str | None = None,
        dtype: str = "float32",
        seed: int = 0,
    ) -> Student:
        """Loads a fresh student or a trained one; weights come from safetensors only.

        Args:
            folder_or_name: a folder, or a name on the hub.
            n_chunks: M. None: that of `skipthink.json`, or of the markers in the tokenizer. Missing markers are added,
                and the embeddings grow accordingly.
            frame: the text around questions; None: that of the folder, or the plain one.
            device: "cpu", "cuda:1", …; None: the accelerator, if there is one.
            dtype: "float32", "bfloat16", …
            seed: seeds the rows of markers that are added.

        Raises:
            DataError: model, tokenizer or `skipthink.json` cannot be loaded.
            InvalidInputError: M is unknown, the markers do not fit, or the device is wrong.
        """
        import torch

        name = str(folder_or_name)
        about = read_student_file(name) if (Path(name) / STUDENT_FILE).is_file() else {}
        if frame is None:
            frame = frame_of(about, name)
        model, tokenizer = load_student(name, dtype=dtype)
        if n_chunks is None:
            n_chunks = _chunks_of(tokenizer, about, name)
        with torch.random.fork_rng(devices=[]):  # the rows are drawn on the CPU
            torch.default_generator.manual_seed(seed)
            grow_vocabulary(model, tokenizer, n_chunks, frame)
        chosen = choose_device(device)
        avoid_attention_plans(chosen)
        model.to(chosen)  # type: ignore[arg-type]
        model.eval()
        return cls.of(model, tokenizer, n_chunks=n_chunks, frame=frame, about=about, name=name)

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        n_chunks: int,
        frame: Frame = PLAIN,
        about: Mapping[str, Any] | None = None,
        name: str = "student",
    ) -> Student:
        """A student from a model and a tokenizer that has the markers; see `models.make_student`.

        Raises:
            InvalidInputError: a marker is missing, or the model and the frame do not fit.
        """
        markers = get_markers(tokenizer, n_chunks, frame).fitted_to(model.config)
        return cls(model, tokenizer, markers, dict(about or {}), name)

    def save(
        self,
        folder: str | Path,
        about: Mapping[str, Any] | None = None,
        *,
        weights: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Saves an ordinary Hugging Face folder with a `skipthink.json`; it appears complete or not at all.

        Args:
            folder: the folder to write.
            about: content of `skipthink.json` instead of `self.about`; the frame is added.
            weights: the weights, if the model holds only a part of them.
        """
        content = {**(self.about if about is None else about), "prompt": self.frame.to_dict()}
        content.pop("schema", None)
        save_student(self.model, self.tokenizer, folder, about=content, state_dict=weights)

    def encode(
        self, samples: pa.Table | Sequence[Mapping[str, Any]], rules: str | Sequence[str] = "auto"
    ) -> EncodedSamples:
        """Tokenises samples and finds their steps.

        Args:
            samples: a table, or mappings, with question, rationale, answer and id (default: the index).
            rules: step rules, as in `skipthink.split_steps`.

        Raises:
            InvalidInputError: a rationale has no step, or a text contains a marker of the student.
        """
        return encode_samples(self.tokenizer, self.markers, _as_table(samples), rules=rules)

    def encode_questions(self, questions: Sequence[str]) -> list[Ints]:
        """Ids of questions as in prompts, int64 each.

        Raises:
            InvalidInputError: a question contains a marker of the student.
        """
        return encode_questions(self.tokenizer, self.markers, list(questions))

    def answer(
        self,
        questions: Sequence[str],
        mode: str | None = None,
        *,
        level: int | None = None,
        batch_size: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Answer]:
        """Answers questions.

        Args:
            questions: the questions.
            mode: "base", "answer-only", "post-think", "skip", "full" or "stepwise"; None: that it was trained for.
            level: how much is skipped, of a student with levels: 1 writes everything, the highest level as little as it
                can; None: the highest.
            batch_size: questions answered side by side.
            temperature: 0: greedy decoding; above 0: sampling at this temperature.
            seed: seeds sampling.
            progress: called with (passes done, passes in all).

        Raises:
            InvalidInputError: the mode is unknown, or the student was not trained for it, or has no such level.
        """
        decoding = self.decoding.using(batch_size=batch_size, temperature=temperature, seed=seed)
        mode = self.mode if mode is None else mode
        if level is not None:
            if mode != "skip":
                raise InvalidInputError(f"level is of the mode skip, not of {mode}; leave it out")
            decoding = decoding.at_level(level)
        written = answer_questions(
            self.model,
            self.markers,
            self.encode_questions(questions),
            mode=mode,
            decoding=decoding,
            progress=progress,
        )
        return [Answer(self.answer_text(one), str(self.tokenizer.decode(one.chain)), one) for one in written]

    def answer_text(self, answered: Answered) -> str | None:
        """The answer as text, without markers; None if the student never reached one."""
        if answered.answer is None:
            return None
        return str(self.tokenizer.decode(answered.answer, skip_special_tokens=True)).strip()

    def score(
        self,
        samples: EncodedSamples | pa.Table | Sequence[Mapping[str, Any]],
        *,
        passes: str = "conditioned",
        batch_tokens: int = 8192,
        autocast: str | None = None,
        store: ScoreStore | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> StepLosses:
        """Scores the steps of rationales; the losses are what `skipthink.chunk` searches on.

        Args:
            samples: encoded samples, or what `encode` takes.
            passes: "conditioned": M forward passes per sample, one per stage marker, with the losses of the end token
                at every step boundary; "free": one pass without a marker.
            batch_tokens: most padded tokens of a forward pass; a longer sequence gets a pass of its own. If memory runs
                out, the batch is halved, and later batches stay at that size.
            autocast: "bfloat16" or "float16": precision of the forward pass; None: that of the weights.
            store: a store of scores; `skipthink.scoring.score_steps` keeps them in a folder.
            progress: called with (tokens done, tokens in all).

        Raises:
            InvalidInputError: unknown options, a sequence longer than the model's positions, or a loss that is not
                finite.
            RunError: memory runs out on a single sequence.
        """
        encoded = samples if isinstance(samples, EncodedSamples) else self.encode(samples)
        return score_sequences(
            self.network,
            encoded,
            self.markers,
            passes=passes,
            batch_tokens=batch_tokens,
            autocast=autocast,
            store=store,
            progress=progress,
        )

    @property
    def network(self) -> PreTrainedModel:
        """The model without the wrapper of its adapters, which stay active."""
        model: Any = self.model
        base: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
        return base

    @property
    def frame(self) -> Frame:
        """The text around its questions."""
        return self.markers.frame

    @property
    def n_chunks(self) -> int:
        """M."""
        return self.markers.n_chunks

    @property
    def device(self) -> torch.device:
        """The device it runs on."""
        return self.model.device

    @property
    def parameters(self) -> int:
        """Its number of parameters."""
        return int(self.model.num_parameters())

    @property
    def longest_input(self) -> int | None:
        """The longest sequence it can read, in tokens; None: no limit."""
        return longest_input(self.model, self.tokenizer)

    @property
    def mode(self) -> str:
        """The mode it answers in.

        Raises:
            InvalidInputError: it is not trained.
        """
        return str(self._trained("mode"))

    @property
    def decoding(self) -> Decoding:
        """The limits of generation of its stages.

        Raises:
            InvalidInputError: it is not trained.
        """
        self._trained("max_target_tokens")
        return Decoding.of_student(self.about)

    def digest(self) -> str:
        """A hash of config and weights, bit by bit."""
        return model_digest(self.model)

    def _trained(self, key: str) -> Any:
        if key not in self.about:
            raise InvalidInputError(
                f"student {self.name!r} does not know its {key}: it is not trained; train it with "
                "skipthink.training.train_method, or load one that is"
            )
        return self.about[key]

    def __repr__(self) -> str:
        trained = (
            f"{self.about['method']}, mode {self.about['mode']}" if "mode" in self.about else "not trained"
        )
        return (
            f"Student({self.name!r}, {self.model.config.model_type}, {self.parameters:,} parameters, "
            f"M = {self.n_chunks}, {trained}, {self.device})"
        )


def _chunks_of(tokenizer: PreTrainedTokenizerBase, about: Mapping[str, Any], name: str) -> int:
    """M of a student that is loaded without one.

    Raises:
        InvalidInputError: neither its file nor its vocabulary says.
    """
    if "n_chunks" in about:
        return int(about["n_chunks"])
    vocabulary = tokenizer.get_added_vocab()
    n_chunks = 0
    while f"[{n_chunks + 1}]" in vocabulary:
        n_chunks += 1
    if not n_chunks:
        raise InvalidInputError(f"student {name!r} has no markers yet; say for how many chunks: n_chunks=…")
    return n_chunks


def _as_table(samples: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(samples, pa.Table):
        return samples
    rows = [{"id": str(place), **row} for place, row in enumerate(samples)]
    names = ("id", "question", "rationale", "answer")
    for row in rows:
        missing = [name for name in names if not isinstance(row.get(name), str)]
        if missing:
            raise InvalidInputError(
                f"sample {row['id']!r} has no text for {', '.join(missing)}; a sample is a mapping with question, "
                "rationale and answer"
            )
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names})
