"""Asking a chunk-wise trained student which chunks it can do without (method §6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from skipthink.answers import Verdict
from skipthink.answers.options import CheckOptions
from skipthink.core.ragged import Ints
from skipthink.evaluation.measure import check_text
from skipthink.skipping.folds import number_of
from skipthink.skipping.options import SkipOptions
from skipthink.skipping.transcript import Reply
from skipthink.student.encoding import EncodedSamples
from skipthink.student.generation import Generated, generate, generate_in_room
from skipthink.student.inference import Answered, Decoding, continue_chains, stage_prompt
from skipthink.student.kv_cache import KvCache, Uniforms, supports_kv_cache
from skipthink.student.markers import Markers
from skipthink.student.prompts import Prompt
from skipthink.student.student import Student

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Subjects:
    """What is judged.

    Attributes:
        encoded: the samples.
        boundaries: their chunks, int64 (n, M + 1).
        gold: their answers.
        check: how answers are checked.
    """

    encoded: EncodedSamples
    boundaries: Ints
    gold: list[str]
    check: CheckOptions

    def chunk(self, row: int, chunk: int) -> list[int]:
        """Ids of a chunk, 1 … M, of the teacher's rationale."""
        cuts = self.encoded.step_tokens[row]
        start, end = cuts[self.boundaries[row, chunk - 1]], cuts[self.boundaries[row, chunk]]
        tokens: list[int] = self.encoded.rationale[row][start:end].tolist()
        return tokens

    def n_tokens_after(self, row: int, chunk: int) -> int:
        """Tokens of the teacher's chunks behind a chunk, 1 … M."""
        cuts = self.encoded.step_tokens[row]
        return int(cuts[-1] - cuts[self.boundaries[row, chunk]])

    def shown(self, row: int, chunks: range, skipped: Flags, markers: Markers) -> list[int]:
        """Chunks as the student sees them: unchanged, or `[thought]` for skipped ones."""
        shown: list[int] = []
        for number in chunks:
            tokens = self.chunk(row, number)
            shown += markers.thought_mark if tokens and skipped[number - 1] else tokens
        return shown


@dataclass
class Cost:
    """What answers have cost, in tokens.

    Attributes:
        tokens: generated, end tokens included.
        prompt_tokens: of all prompts.
        prompt_tokens_read: those of them that the student had to read, as they were not kept.
        unparsed: continuations that stated no answer.
        regrown: continuations that came to the right answer by writing what was left out in later chunks.
    """

    tokens: int = 0
    prompt_tokens: int = 0
    prompt_tokens_read: int = 0
    unparsed: int = 0
    regrown: int = 0


@dataclass
class Judge:
    """A student that is asked.

    Attributes:
        student: the student.
        decoding: how it writes.
        subjects: the samples.
        options: how they are judged.
        keeps: whether keys and values are kept from one question to the next.
    """

    student: Student
    decoding: Decoding
    subjects: Subjects
    options: SkipOptions
    keeps: bool = field(init=False)

    def __post_init__(self) -> None:
        self.keeps = self.options.keep_prefixes and supports_kv_cache(self.student.model)

    @property
    def block_size(self) -> int:
        """Samples judged side by side, so that all their votes fit into a batch."""
        return max(1, self.options.batch_size // self.options.votes)

    def block(self, rows: Ints, *, replayed: int = 0) -> Block:
        """Samples that are judged side by side.

        Args:
            rows: the samples.
            replayed: the last chunk that was asked about before a kill, 0 where none was: reading again what was
                read before costs nothing that is not in the ledger.
        """
        return Block(self, rows, replayed)


class Block:
    """Samples that are judged side by side, one chunk after the other.

    Stage markers stand first in prompts, so stages share nothing. But a stage's prompt of one question begins like
    its prompt of the next one: `[m] q` and the chunks judged so far. That beginning is kept, a stage.
    """

    def __init__(self, judge_: Judge, rows: Ints, replayed: int) -> None:
        self.judge, self.rows, self.replayed = judge_, rows, replayed
        self.kept: dict[int, KvCache] = {}
        self.n_pieces: dict[int, int] = {}

    def ask(self, chunk: int, asked: Ints, skipped: Flags) -> tuple[Flags, Cost, list[Reply]]:
        """Asks about one chunk.

        Args:
            chunk: 1 … M, or 0: nothing dropped.
            asked: which samples of the block are asked about, int64 (n_asked,).
            skipped: chunks of the block's samples that were found dispensable, bool (n, M).

        Returns:
            Whether the student is right, and not by writing the dropped chunk elsewhere, bool (n_asked,); the cost;
            what it wrote, a reply per sample and vote.
        """
        judge_, options = self.judge, self.judge.options
        subjects, markers = judge_.subjects, judge_.student.markers
        dropped = skipped.copy()
        dropped[:, max(chunk, 1) - 1] |= chunk > 0
        shown = range(1, chunk + 1)
        first = chunk + 1
        if options.continuation == "teacher":
            shown, first = range(1, markers.n_chunks + 1), markers.n_chunks + 1
        continuations = np.repeat(asked, options.votes)
        rows = self.rows[continuations]
        prefixes = [
            subjects.shown(row, shown, dropped[at], markers)
            for row, at in zip(rows, continuations, strict=True)
        ]
        cost = Cost()
        answered = continue_chains(
            judge_.student.model,
            markers,
            [subjects.encoded.question[row] for row in rows],
            prefixes,
            [first] * len(rows),
            decoding=judge_.decoding,
            write=lambda *task: self._write(chunk, continuations, skipped, cost, *task),
        )
        votes, replies = np.zeros(len(asked), dtype=np.int64), []
        for index, result in enumerate(answered):
            verdict = self._verdict(rows[index], result)
            is_right = verdict is Verdict.RIGHT
            n_written = len(result.chain) - len(prefixes[index])
            regrown = bool(is_right and chunk > 0 and self._has_grown(rows[index], chunk, n_written))
            votes[index // options.votes] += is_right and not regrown
            cost.regrown += regrown
            cost.unparsed += verdict is Verdict.UNPARSED
            cost.tokens += result.n_generated
            cost.prompt_tokens += result.n_prompt
            replies.append(
                Reply(
                    id=subjects.encoded.ids[rows[index]],
                    chunk=chunk,
                    vote=index % options.votes,
                    text=str(judge_.student.tokenizer.decode(result.chain[len(prefixes[index]) :])),
                    answer=judge_.student.answer_text(result),
                    verdict=str(verdict),
                    tokens=result.n_generated,
                    regrown=regrown,
                    right=False,
                )
            )
        right = votes * 2 > options.votes
        counted = [
            replace(reply, right=bool(right[index // options.votes])) for index, reply in enumerate(replies)
        ]
        return right, cost, counted

    def _has_grown(self, row: int, chunk: int, n_written: int) -> bool:
        """Whether the chunks written after a dropped one are longer than the teacher's may be.

        A student that was trained on whole rationales writes what it needs, where it can. What the students that skip
        learn is the teacher's later chunks: they have to do without for good.
        """
        limit = self.judge.options.max_growth
        return limit is not None and n_written > self.judge.subjects.n_tokens_after(row, chunk) * (1 + limit)

    def _verdict(self, row: int, answered: Answered) -> Verdict:
        subjects = self.judge.subjects
        return check_text(subjects.check, self.judge.student.answer_text(answered), subjects.gold[row])

    def _write(
        self,
        chunk: int,
        continuations: Ints,
        skipped: Flags,
        cost: Cost,
        stage: int,
        chains: list[int],
        prompts: list[Prompt],
    ) -> list[Generated]:
        """Lets the student write one stage of some continuations."""
        judge_, student, decoding = self.judge, self.judge.student, self.judge.decoding
        if not judge_.keeps:
            cost.prompt_tokens_read += sum(map(len, prompts))
            seed = decoding.seed + 100_003 * chunk + stage
            return generate(
                judge_.student.model, judge_.student.markers, prompts, **decoding.of_stage(stage), seed=seed
            )
        max_new_tokens = decoding.max_new_tokens(stage)

        def write(fitting: Ints, limits: Ints) -> list[Generated]:
            kept = self._read_on(stage, chunk, skipped, cost)
            at = continuations[np.asarray(chains)[fitting]]
            feeds = [
                prompts[index].ids[length:].tolist()
                for index, length in zip(fitting, kept.lengths[at], strict=True)
            ]
            cost.prompt_tokens_read += sum(map(len, feeds))
            uniforms = None
            if decoding.temperature > 0:
                uniforms = self._draw(chunk, stage, np.asarray(chains)[fitting], at, max_new_tokens)
            return kept.generate(
                at,
                feeds,
                end=student.markers.end_id,
                limits=limits,
                may_be_empty=decoding.may_be_empty(stage),
                temperature=decoding.temperature,
                uniforms=uniforms,
            )

        return generate_in_room(student.model, prompts, max_new_tokens, write)

    def _read_on(self, stage: int, chunk: int, skipped: Flags, cost: Cost) -> KvCache:
        """What later questions share with this one, in as many pieces as there were questions.

        Read in the same pieces after a kill, it is the same to the last bit. The last token is held back: a
        continuation needs one to start from.
        """
        judge_ = self.judge
        if stage not in self.kept:
            self.kept[stage] = KvCache(judge_.student.model, len(self.rows))
        kept = self.kept[stage]
        for question in range(self.n_pieces.get(stage, 0) + 1, max(chunk, 1) + 1):
            pieces = []
            for row, judged, length in zip(self.rows, skipped, kept.lengths, strict=True):
                before = judge_.subjects.shown(row, range(1, question), judged, judge_.student.markers)
                prompt = stage_prompt(
                    judge_.student.markers, stage, judge_.subjects.encoded.question[row], before, closed=False
                )
                pieces.append(prompt.ids[length:-1].tolist())
            n_read = kept.read(pieces)
            cost.prompt_tokens_read += n_read if question > self.replayed else 0
            self.n_pieces[stage] = question
        return kept

    def _draw(self, chunk: int, stage: int, chains: Ints, at: Ints, n_tokens: int) -> Uniforms:
        """Random numbers of continuations, by seed, sample, question, vote and stage, independent of the batch."""
        judge_ = self.judge
        seed, ids, votes = judge_.decoding.seed, judge_.subjects.encoded.ids, judge_.options.votes
        return np.stack(
            [
                np.random.default_rng([number_of(seed, ids[row]), chunk, chain % votes, stage]).random(
                    n_tokens
                )
                for row, chain in zip(self.rows[at], chains, strict=True)
            ]
        )
