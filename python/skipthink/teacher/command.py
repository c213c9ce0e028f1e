"""The command `skipthink teach`: reads questions, shows what would be sent, and reports the result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skipthink.answers.options import CheckOptions
from skipthink.data import load_samples
from skipthink.io.recipes import parse_options, read_options
from skipthink.teacher.conversation import Conversations
from skipthink.teacher.cost import format_cost, most_cost
from skipthink.teacher.options import TeacherOptions
from skipthink.teacher.prompts import load_prompt
from skipthink.teacher.requests import Request
from skipthink.teacher.teaching import EVALUATED, OPEN, RATIONALES, REJECTS, Taught

if TYPE_CHECKING:
    import pyarrow as pa

EXIT_CODES = {"done": 0, "open": 1, "interrupted": 130}


@dataclass(frozen=True)
class Assignment:
    """The task of a teacher.

    Attributes:
        questions: the questions.
        teacher: options of the teacher.
        checks: options of the answer check.
        notes: lines about the questions, for the user.
    """

    questions: pa.Table
    teacher: TeacherOptions
    checks: CheckOptions
    notes: Sequence[str]


def as_changes(flags: Mapping[str, Any], section: str = "") -> list[str]:
    """Given flags of the command line as changes of options: "key.key=value", with the value in YAML.

    Args:
        flags: key, such as "endpoint.model", to its value; None if the flag is not given.
        section: prefix of every key.
    """
    return [f"{section}{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]


def read_assignment(
    source: str | Path, answer: str | None, flags: Sequence[str], changes: Sequence[str]
) -> Assignment:
    """Reads questions of a file and the options of the teacher from the command line.

    Args:
        source: source of the questions, as in `skipthink.data.load_samples`.
        answer: kind of the answers; every gold answer must be of this kind.
        flags: changes of the teacher's options, from flags.
        changes: changes from `--set`.

    Raises:
        RecipeError: a key or value is wrong.
        DataError: the source cannot be read, or a row cannot be asked; the message names the row.
    """
    checks = read_options({} if answer is None else {"answer": answer}, CheckOptions, name="skipthink teach")
    teacher = parse_options("{}", TeacherOptions, name="skipthink teach", changes=[*flags, *changes])
    samples = load_samples(source, teacher="all", answer=answer, require_rationale=False)
    notes = [f"{samples.table.num_rows} of {samples.report['read']} rows of {source}"]
    notes += [f"  {count} left out: {reason}" for reason, count in samples.report["dropped"].items()]
    return Assignment(samples.table, teacher, checks, notes)


def show_requests(assignment: Assignment, n_questions: int) -> Iterator[str]:
    """The requests of the first questions as text for a terminal, and the maximum cost of all."""
    table, options = assignment.questions, assignment.teacher
    prompt = load_prompt(options.prompt, assignment.checks.answer)
    model = _model_name(options)
    conversations = Conversations(prompt, options.sampling, model)
    prices = options.price.exact()
    splits = table["split"].to_pylist() if "split" in table.column_names else [None] * table.num_rows
    texts = table["question"].to_pylist()
    asked = [row for row, split in enumerate(splits) if split not in EVALUATED]
    for row in asked[:n_questions]:
        request = conversations.next_request(texts[row], 0, [])
        assert request is not None  # noqa: S101 - a prompt has a turn
        yield f"──── question {table['id'][row]}, sample 0, turn 1 of {len(prompt.turns)}, to {model}"
        yield from _lines_of(request)
        for number, turn in enumerate(prompt.turns[1:], 2):
            start = "a new conversation" if turn.fresh else "then"
            yield f"──── turn {number}, {start}, made of the replies before it; gives {turn.gives}"
            yield _printable(turn.ask)
    if prices.input or prices.output:
        most = (
            sum((_most(conversations, prices, texts[row]) for row in asked), Decimal(0)) * options.sampling.n
        )
        yield f"──── the first turns of all {len(asked)} questions cost {format_cost(most)} at most"


def summary(taught: Taught, folder: Path) -> list[str]:
    """The result of teaching, in lines for the user."""
    report = taught.report
    rows = [("samples", report["samples"]), ("kept", report["kept"])]
    rows += [(f"rejected: {reason}", count) for reason, count in report["rejected"].items()]
    rows += [(f"open: {_printable(reason)}", count) for reason, count in report["open"].items()]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {count:>7}" for name, count in rows]
    asked = report["answers"]["asked"]
    lines.append(
        f"{report['questions_with_a_rationale']} of {report['questions']} questions have a rationale; "
        f"{asked['answers']} answers asked for, {report['answers']['from_store']['answers']} from the store"
    )
    if report["store"]["paid"] != "0":
        lines.append(
            f"{format_cost(Decimal(asked['cost']))} paid by this call, "
            f"{format_cost(Decimal(report['store']['paid']))} by all that used the store"
        )
    if report["faults"]:
        lines.append("faults: " + ", ".join(f"{count} × {name}" for name, count in report["faults"].items()))
    lines.append(f"{folder / RATIONALES}, {REJECTS}" + (f", {OPEN}" if report["open"] else ""))
    return lines


def ending(taught: Taught, folder: Path) -> tuple[int, str | None]:
    """Exit code, and a message about open samples."""
    report = taught.report
    n_open = sum(report["open"].values())
    if taught.interrupted:
        kept = report["store"]["answers"]
        return EXIT_CODES[
            "interrupted"
        ], f"stopped; {kept} answers are kept, the same command goes on from there"
    lines = []
    if taught.halted is not None:
        lines.append(
            f"{_printable(taught.halted)}; what is answered is kept, the same command goes on from there"
        )
    elif n_open:
        lines.append(f"{n_open} samples are open ({folder / OPEN}); the same command asks for them again")
    if n_open and report["options"]["batch"] is not None:
        batch = folder / "batch"
        lines.append(
            f"send {batch}/requests-*.jsonl to the batch API, each once, and put the result files into {batch}/results"
        )
    return EXIT_CODES["open" if lines else "done"], "\n".join(lines) or None


def _model_name(options: TeacherOptions) -> str:
    if options.local is not None:
        return options.local.path
    named = options.endpoint or options.batch
    assert named is not None  # noqa: S101 - the options have one of the three
    return named.model


def _most(conversations: Conversations, prices: Any, question: str) -> Decimal:
    request = conversations.next_request(question, 0, [])
    assert request is not None  # noqa: S101 - a prompt has a turn
    return most_cost(prices, request)


def _lines_of(request: Request) -> Iterator[str]:
    for message in request.messages:
        yield f"[{message['role']}]"
        yield _printable(message["content"])
    parameters = ", ".join(f"{name}: {value}" for name, value in request.parameters.items())
    yield f"({_printable(parameters)}; at most {request.most_prompt_tokens} prompt tokens)"


def _printable(text: str) -> str:
    """Text without characters that move the cursor or colour the terminal."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )
