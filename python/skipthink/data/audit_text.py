"""An audit as text: tables on a terminal, aligned columns elsewhere. Text of samples is escaped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skipthink.data.audit import AuditReport, Spread
from skipthink.data.audit_files import FilesReport
from skipthink.data.leaks import Leak
from skipthink.data.teachers import Teachers
from skipthink.io.visible import in_a_line

MAX_NAME = 60


@dataclass(frozen=True)
class Section:
    """A title, a table (its first row is the heading; the first column is text, the others are numbers), notes."""

    title: str
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()


def clean(text: str, longest: int = MAX_NAME) -> str:
    r"""Text of a sample that is safe to print on one line: see `skipthink.io.visible`."""
    return in_a_line(text, longest)


def sections(report: FilesReport) -> Iterator[Section]:
    """The report: everything about one file, or one line per file and what several files share."""
    if len(report.files) == 1:
        ((name, audit),) = report.files.items()
        yield from _file_sections(name, audit, report)
    else:
        yield _summary(report)
    yield _leaks(report.leaks, with_file=len(report.files) > 1)
    if len(report.files) > 1:
        yield Section(
            "Verdict",
            notes=[
                f"{clean(Path(name).name)}: {audit.verdict.carries}. {' '.join(audit.verdict.sentences)}"
                for name, audit in report.files.items()
            ],
        )
    else:
        yield _verdict(next(iter(report.files.values())))


def plain_text(found: Iterable[Section]) -> str:
    """Sections as text with aligned columns."""
    blocks = []
    for section in found:
        widths = [max(map(len, column)) for column in zip(*section.rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in section.rows
        ]
        blocks.append("\n".join([section.title, *(f"  {line}" for line in [*lines, *section.notes])]))
    return "\n\n".join(blocks) + "\n"


def print_report(report: FilesReport, echo: Callable[[str], None], more: Sequence[Section] = ()) -> None:
    """Prints with tables where standard output is a terminal, else plain.

    Args:
        report: of files.
        echo: prints a text.
        more: sections that stand behind those of the report.
    """
    found = [*sections(report), *more]
    if not sys.stdout.isatty():
        echo(plain_text(found))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    for section in found:
        console.print(Text(section.title, style="bold"))
        if section.rows:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for index, heading in enumerate(section.rows[0]):
                table.add_column(Text(heading), justify="right" if index else "left")
            for row in section.rows[1:]:
                table.add_row(*map(Text, row))
            console.print(table)
        for note in section.notes:
            console.print(Text(f"  {note}"))
        console.print()


def _file_sections(name: str, audit: AuditReport, report: FilesReport) -> Iterator[Section]:
    loaded = report.loaded[name]
    splits = ", ".join(f"{count} {split}" for split, count in audit.splits.items())
    repeats = audit.repeats
    rows = [("rows", ""), ("read", str(loaded["read"])), ("kept", str(audit.rows))]
    rows += [(f"dropped: {clean(reason)}", str(count)) for reason, count in loaded["dropped"].items()]
    rows += [
        ("with a rationale", str(audit.rationales)),
        ("different questions", str(repeats.questions)),
        ("question and rationale of an earlier row", str(repeats.rows)),
        ("questions with two gold answers", str(repeats.contradictions)),
    ]
    yield Section(f"{clean(name, 200)}: {splits}", rows)
    yield _teachers(audit.teachers)
    yield Section(
        "Rationales",
        [
            ("", "mean", "5 %", "25 %", "50 %", "75 %", "95 %", "largest"),
            _spread("steps (K)", audit.steps),
            _spread(f"tokens ({clean(audit.counted_by)})", audit.tokens),
        ],
    )
    last = audit.last_step
    yield Section(
        "Last step",
        [
            ("", "share"),
            ("of the tokens", percent(last.tokens)),
            ("of rationales where it states nothing new", percent(last.repeats)),
            ("of rationales where it says the gold answer", percent(last.states_answer)),
        ],
    )
    yield Section(
        "Chunks",
        [
            ("M", "K ≤ M", "ceiling"),
            *((str(one.chunks), percent(one.fixed), f"{one.ceiling:.2f}x") for one in audit.chunks),
            ("each step", "", f"{audit.ceiling:.2f}x"),
        ],
        [
            "K ≤ M: one segmentation, no search. Ceiling: all tokens / those of what states something new.",
            f"nothing new before the last step: {percent(audit.blind)} of the rationales",
            f"recommended M: {audit.recommended_chunks} (the paper's rule, the mean number of steps: "
            f"{audit.paper_chunks})",
        ],
    )


def _teachers(teachers: Teachers) -> Section:
    flagged = teachers.flagged_wrong
    names = [
        ("checked", "checked", teachers.checked),
        ("final answer right", "right", teachers.right),
        ("final answer wrong", "wrong", teachers.wrong),
        ("no final answer found", "unparsed", teachers.unparsed),
        ("gold answer nowhere in the rationale", "absent", teachers.absent),
        ("gold answer of another kind", "odd_golds", teachers.odd_golds),
    ]
    if flagged is not None:
        names.append(("column correct is false", "flagged_wrong", flagged))
    rows = [("rows", "", "e.g. the rows")]
    for title, key, count in names:
        rows.append(
            (title, str(count), ", ".join(clean(name, 30) for name in teachers.examples.get(key, [])[:2]))
        )
    return Section(f"Answers: {teachers.kind}", rows)


def _summary(report: FilesReport) -> Section:
    asked = {tuple(one.chunks for one in audit.chunks) for audit in report.files.values()}
    same = len(asked) == 1 and len(next(iter(asked))) <= 3
    chosen = next(iter(asked)) if same else ()
    heading = ["", "rows", "K", "tokens", "last step", "repeats", "wrong", "absent", "blind", "by steps"]
    heading += [part for M in chosen for part in (f"K ≤ {M}", f"at M = {M}")]
    heading += ["M", "search", "skip"] if same else ["M", "K ≤ M", "at M", "search", "skip"]
    rows = [tuple(heading)]
    for name, audit in report.files.items():
        teachers = audit.teachers
        wrong = teachers.wrong if teachers.flagged_wrong is None else teachers.flagged_wrong
        row = [
            clean(Path(name).name),
            str(audit.rationales),
            f"{audit.steps.mean:.1f}",
            f"{audit.tokens.mean:.0f}",
        ]
        row += [percent(audit.last_step.tokens), percent(audit.last_step.repeats)]
        row += [str(wrong), str(teachers.absent), percent(audit.blind), f"{audit.ceiling:.2f}x"]
        by_chunks = {one.chunks: one for one in audit.chunks}
        if not same:
            row.append(str(audit.recommended_chunks))
        for M in chosen or (audit.recommended_chunks,):
            one = by_chunks.get(M)
            row += ["", ""] if one is None else [percent(one.fixed), f"{one.ceiling:.2f}x"]
        if same:
            row.append(str(audit.recommended_chunks))
        rows.append((*row, audit.verdict.search, audit.verdict.skip))
    return Section(
        f"{len(report.files)} files",
        rows,
        [
            "rows: rationales; K, tokens: means; last step: share of the tokens; repeats: rationales whose last step",
            "states nothing new; wrong: teachers; absent: gold answers nowhere in the rationale; blind: rationales",
            "that state nothing new before their last step; by steps, at M: ceiling of the speed-up; M: recommended.",
        ],
    )


def _leaks(leaks: Sequence[Leak], *, with_file: bool) -> Section:
    found = [leak for leak in leaks if leak.names]
    if not leaks:
        return Section("Leaks", notes=["one split alone: nothing to compare"])
    if not found:
        return Section(
            "Leaks", notes=["no question stands in two splits, not even but for numbers and names"]
        )

    def name(part: tuple[str, str]) -> str:
        return f"{clean(Path(part[0]).stem)} {part[1]}" if with_file else part[1]

    rows: list[tuple[str, ...]] = [
        ("rows whose question stands in", "of", "same", "spelling", "numbers", "names", "e.g.")
    ]
    rows += [
        (
            f"{name(leak.part)} in {name(leak.other)}",
            *map(str, (leak.rows, leak.same, leak.spelling, leak.numbers, leak.names)),
            ", ".join(clean(example, 30) for example in leak.examples[:1]),
        )
        for leak in found
    ]
    return Section(
        "Leaks",
        rows,
        ["same: the question; spelling: but for spaces and punctuation; numbers, names: but for these too"],
    )


def _verdict(audit: AuditReport) -> Section:
    verdict = audit.verdict
    return Section(
        f"Verdict: can these data carry the method? {verdict.carries.capitalize()}.", notes=verdict.sentences
    )


def _spread(name: str, spread: Spread) -> tuple[str, ...]:
    return (name, f"{spread.mean:.1f}", *(f"{value:.0f}" for value in spread.quantiles), str(spread.largest))


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"
