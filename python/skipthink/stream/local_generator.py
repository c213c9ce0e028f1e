"""Answering of batches by a local model, with the prompts of the teacher (docs/how-to/teacher.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skipthink.answers.options import AnswerKind
from skipthink.core.arrow_columns import arrow_array
from skipthink.exceptions import InvalidInputError, RunError, SkipthinkError
from skipthink.stream.function import BatchFunction, OnError
from skipthink.stream.students import files_of, loaded_model, set_torch_threads
from skipthink.teacher.conversation import Conversations
from skipthink.teacher.filter import Candidate, Question, read_sample
from skipthink.teacher.halting import FullMemoryError, Halt, OpenError
from skipthink.teacher.options import LocalOptions, PromptOptions, SamplingOptions
from skipthink.teacher.prompts import load_prompt

if TYPE_CHECKING:
    import pyarrow as pa

    from skipthink.teacher.local import Writer
    from skipthink.teacher.requests import Reply, Request


class LocalGenerator(BatchFunction):
    """A local model that answers questions as `skipthink teach` asks them, as a function of batches.

    It appends `generated`, the rationale (null where there is none), `statement`, the text that states the answer (what
    a `Checker` reads), `reason`, why the reply is of no use (null where it is: "cut off", "refused", …), `teacher`, the
    model with a hash of its weights, and `generated_tokens`, int64. The replies of a row do not depend on the batch;
    sampled ones are drawn by question and seed.

    Args:
        local: the model; a path instead of options is read with their defaults.
        kind: kind of the answers, one of `skipthink.answers.KINDS`; the prompt says what form they have.
        question: column of the questions.
        prompt: the prompt; None: zero-shot.
        sampling: how is sampled; None: greedily. Its n must be 1: ask for another sample by its number.
        sample: number of the sample; another one is drawn anew.
        keep: as in `BatchFunction`.
        id_column: as in `BatchFunction`.
        on_error: as in `BatchFunction`.
        num_threads: as in `StudentFunction`.

    Raises:
        InvalidInputError: several samples, or a prompt that cannot be loaded.
    """

    is_costly = True

    def __init__(
        self,
        local: LocalOptions | str,
        *,
        kind: AnswerKind,
        question: str = "question",
        prompt: PromptOptions | None = None,
        sampling: SamplingOptions | None = None,
        sample: int = 0,
        keep: Sequence[str] | None = None,
        id_column: str | None = None,
        on_error: OnError = "raise",
        num_threads: int | None = None,
    ) -> None:
        super().__init__(keep=keep, id_column=id_column, on_error=on_error, num_threads=num_threads)
        self.local = LocalOptions(path=local) if isinstance(local, str) else local
        self.kind, self.question, self.sample = kind, question, sample
        self.prompt = PromptOptions(name="zero-shot") if prompt is None else prompt
        self.sampling = SamplingOptions() if sampling is None else sampling
        if self.sampling.n != 1:
            raise InvalidInputError(
                f"sampling.n must be 1, got {self.sampling.n}: a row has one reply; map once per sample (sample=…)"
            )
        load_prompt(self.prompt, kind)

    @property
    def model_path(self) -> str:
        """See `BatchFunction.model_path`."""
        return self.local.path

    @property
    def reads(self) -> dict[str, str]:
        """See `BatchFunction.reads`."""
        return {self.question: "texts"}

    def added(self) -> list[pa.Field]:
        """See `BatchFunction.added`."""
        import pyarrow as pa

        texts = [pa.field(name, pa.string()) for name in ("generated", "statement", "reason", "teacher")]
        return [*texts, pa.field("generated_tokens", pa.int64())]

    def compute(self, given: dict[str, Any], first_row: int) -> dict[str, Any]:
        """See `BatchFunction.compute`."""
        import pyarrow as pa

        texts = arrow_array(self.question, given[self.question]).to_pylist()
        with loaded_model((self.local, files_of(self.local.path)), self._load) as writer:
            candidates = self._answer(writer, texts)
        columns = {
            "generated": [candidate.rationale or None for candidate in candidates],
            "statement": [candidate.statement or None for candidate in candidates],
            "reason": [candidate.reason for candidate in candidates],
            "teacher": [candidate.model for candidate in candidates],
            "generated_tokens": [candidate.n_tokens for candidate in candidates],
        }
        return {field.name: pa.array(columns[field.name], field.type) for field in self.added()}

    def _load(self) -> Writer:
        from skipthink.teacher.local import Writer

        set_torch_threads(self.num_threads)
        try:
            return Writer(self.local, Halt())
        except SkipthinkError as error:  # no row is at fault
            raise RunError(f"LocalGenerator cannot use {self.local.path}: {error}") from error

    def _answer(self, writer: Writer, texts: list[str]) -> list[Candidate]:
        """A conversation per question, turn by turn, so many side by side as the options say."""
        prompt = load_prompt(self.prompt, self.kind)
        conversations = Conversations(prompt, self.sampling, writer.name)
        replies: list[list[Reply]] = [[] for _ in texts]
        for _ in prompt.turns:
            asked = [
                conversations.next_request(text, self.sample, replies[row]) for row, text in enumerate(texts)
            ]
            waiting = [(row, request) for row, request in enumerate(asked) if request is not None]
            # of similar length together, so that little is padded
            waiting.sort(key=lambda entry: entry[1].most_prompt_tokens)
            for start in range(0, len(waiting), self.local.batch_size):
                batch = waiting[start : start + self.local.batch_size]
                for row, reply in zip([row for row, _ in batch], self._write(writer, batch), strict=True):
                    replies[row].append(reply)
        return [
            read_sample(Question(str(row), text, "", row), self.sample, prompt, replies[row])
            for row, text in enumerate(texts)
        ]

    def _write(self, writer: Writer, batch: list[tuple[int, Request]]) -> list[Reply]:
        """The replies to requests of one turn.

        Raises:
            InvalidInputError: a prompt that the model has no room for.
            RunError: memory runs out on a single prompt.
        """
        written = writer.write([request for _, request in batch])
        replies = []
        for (row, _), reply in zip(batch, written, strict=True):
            if isinstance(reply, FullMemoryError):
                raise RunError(f"{self.local.path}: {reply}") from reply
            if isinstance(reply, OpenError):
                raise InvalidInputError(f"{self.question} of row {row}: {reply}") from reply
            if isinstance(reply, Exception):
                raise reply
            replies.append(reply)
        return replies
