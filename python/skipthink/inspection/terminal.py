"""Samples in the terminal: colours where there are any, and never as the only sign. Text is shown, not obeyed."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

from skipthink.io.visible import in_a_line, visible
from skipthink.student.token_texts import CLOSE, OPEN, Token, item_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

LONGEST = 4_000
"""Characters of a text that are shown; `--full` shows all."""
PLAIN_WIDTH = 120
"""Columns where the output is no terminal, and `COLUMNS` does not say."""
CHUNK_STYLES = ("cyan", "yellow", "magenta", "green", "blue", "red")
SHADES = " ░▒▓█"
TRAINED, MASKED, MARKER = "bold green", "dim", "bold"
VERDICT_SIGNS = {"right": "✓", "wrong": "✗", "unparsed": "?"}
VERDICT_STYLES = {"right": "green", "wrong": "red", "unparsed": "yellow"}


def make_console(stream: TextIO | None = None) -> Console:
    """A console that obeys no text, and `NO_COLOR` and pipes as is the custom."""
    from rich.console import Console

    stream = sys.stdout if stream is None else stream
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


class SamplePrinter:
    """Prints views of samples (`samples.SampleViews.views`).

    Args:
        console: where to.
        longest: characters of a text that are shown; None: all.
        method: only items and outputs of this method; None: of all.
    """

    def __init__(self, console: Console, *, longest: int | None = LONGEST, method: str | None = None) -> None:
        self.console, self.longest, self.method = console, longest, method

    def show(self, view: dict[str, Any]) -> None:
        """Prints one sample, part by part."""
        self.title(f"sample {in_a_line(view['id'], 200)}", view.get("split"))
        self.text("question", view["question"])
        self.text("answer", view["answer"])
        self.rationale(view)
        self.boundaries(view)
        for label, items in view["items"].items():
            if self.wants(label):
                self.items(label, items)
        for job, gate in view["gate"].items():
            self.gate(job, gate, view)
        self.outputs({label: found for label, found in view["outputs"].items() if self.wants(label)})

    def wants(self, label: str) -> bool:
        """Whether what a label ("stt/s0") names is asked for."""
        return self.method is None or (label.rpartition("/")[0] or label) == self.method

    def title(self, text: str, note: str | None = None) -> None:
        """A line that begins a sample."""
        self.console.print()
        self.console.print(_text((text, "bold reverse"), (f"  {note}" if note else "", "dim")))

    def heading(self, text: str, note: str = "") -> None:
        """A line that begins a part."""
        self.console.print()
        self.console.print(_text((text, "bold underline"), (f"  {note}" if note else "", "dim")))

    def text(self, name: str, text: str | None) -> None:
        """A text with its name in front."""
        body = "(none)" if text is None else self.shown(text)
        self.console.print(_text((f"{name}: ", "bold"), (body, "")))

    def shown(self, text: str) -> str:
        """Text of a sample that is safe to print, cut where it is very long."""
        return visible(text, self.longest, keep="\n")

    def rationale(self, view: dict[str, Any]) -> None:
        """Steps, one per line, with their chunk and their loss."""
        if view["rationale"] is None:
            return
        cuts, source = main_boundaries(view)
        label, entry = next(iter(view["losses"].items()), (None, None))
        losses = None if entry is None else step_losses(entry["losses"], cuts)
        note = f"chunks of {source}"
        if entry is not None:
            when = "" if entry["epoch"] is None else f", before epoch {entry['epoch'] + 1}"
            note += f"; loss of each step under its stage, in nats per token, by {label}{when}"
        self.heading("rationale", note)
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(no_wrap=True)
        if losses is not None:
            table.add_column(justify="right", no_wrap=True)
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        highest = max(losses, default=0.0) if losses is not None else 0.0
        for step, text in enumerate(view["steps"]):
            number = chunk_of(cuts, step)
            style = CHUNK_STYLES[(number - 1) % len(CHUNK_STYLES)]
            cells: list[RenderableType] = [str(step + 1), _text((f"[{number}]", style))]
            if losses is not None:
                cells += [f"{losses[step]:.2f}", _text((bar(losses[step], highest), style))]
            table.add_row(*cells, _text((self.shown(text).rstrip(), style)))
        self.console.print(table)

    def boundaries(self, view: dict[str, Any]) -> None:
        """Where each search, and each epoch, cuts."""
        if not view["boundaries"]:
            return
        self.heading("boundaries", "steps of each chunk; J where it is known")
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for entries in _like_epochs(view["boundaries"]):
            first = entries[0]
            name = first["source"] if first["losses"] is None else f"{first['source']} on these losses"
            epochs = [entry["epoch"] for entry in entries]
            when = "" if epochs[0] is None else _span("epoch", epochs[0] + 1, epochs[-1] + 1)
            objective = first["objective"]
            cost = "" if objective is None or math.isnan(objective) else f"J = {objective:.4f}"
            table.add_row(name, when, _segments(first["boundaries"]), cost)
        self.console.print(table)

    def items(self, label: str, items: Sequence[dict[str, Any]]) -> None:
        """Items of a method: what is trained stands between « and »."""
        n_trained = sum(token[2] for item in items for token in item["tokens"])
        n_all = sum(len(item["tokens"]) + len(item["source"] or ()) for item in items)
        counts = f"{len(items)} items, {n_trained} of {n_all} tokens trained"
        self.heading(f"items of {label}", f"{counts}: {OPEN}trained{CLOSE} masked")
        for item in items:
            self.item(item)

    def item(self, item: dict[str, Any]) -> None:
        """One item."""
        tokens = [Token(*token) for token in item["tokens"]]
        n_trained = sum(token.is_trained for token in tokens)
        self.console.print(
            _text((f"{item['name']}", "bold"), (f"  {n_trained} of {len(tokens)} tokens trained", "dim"))
        )
        if item["source"] is not None:
            source = token_text([Token(*token) for token in item["source"]], self.longest)
            self.console.print(_text(("  encoder: ", "dim")) + source)
        self.console.print(_text(("  ", "")) + token_text(tokens, self.longest))

    def gate(self, job: str, gate: dict[str, Any], view: dict[str, Any]) -> None:
        """What the judge was asked, what it wrote, and what came of it."""
        self.heading(f"questions to the judge ({job})")
        cuts = gate["boundaries"] or main_boundaries(view)[0]
        chunks = chunk_texts(view["steps"], cuts)
        for question in gate["questions"]:
            number, right = question["chunk"], question["right"]
            what = "nothing left out" if number == 0 else f"without chunk {number}"
            came = "the student is right" if right else "the student is not right"
            if number:
                came += f": chunk {number} can be skipped" if right else f": chunk {number} is kept"
            sign = VERDICT_SIGNS["right" if right else "wrong"]
            self.console.print(_text((f"{sign} {what}", "bold"), (f"  {came}", "green" if right else "red")))
            last = len(chunks) if gate["continuation"] == "teacher" else number
            shown = [
                "[thought]" if one in question["dropped"] else chunks[one - 1] for one in range(1, last + 1)
            ]
            before = self.shown("".join(shown)) or "(the question alone)"
            self.console.print(_text(("    shown: ", "dim"), (before, "")))
            for reply in question["replies"]:
                grown = ", but it wrote elsewhere what was left out" if reply["regrown"] else ""
                vote = f" (vote {reply['vote'] + 1})" if len(question["replies"]) > 1 else ""
                self.console.print(_text((f"    wrote{vote}: ", "dim"), (self.shown(reply["text"]), "")))
                self._verdict("    ", reply["answer"], reply["verdict"], f"{reply['tokens']} tokens{grown}")
        if gate["skipped"] is not None:
            names = [str(one + 1) for one, skipped in enumerate(gate["skipped"]) if skipped]
            self.console.print(_text(("skipped: ", "bold"), (", ".join(names) or "no chunk", "")))

    def outputs(self, outputs: dict[str, dict[str, Any]]) -> None:
        """What each method answered."""
        if outputs:
            self.heading("outputs")
        for label, output in outputs.items():
            about = f"{output['tokens']} tokens"
            if "prompt_tokens" in output:
                about += f", {output['prompt_tokens']} read"
            about += "" if output.get("ended", True) else ", stopped at its limit"
            about += ", in a loop" if output.get("looped") else ""
            self.console.print(_text((label, "bold")))
            self.console.print(_text(("    chain: ", "dim"), (self.shown(output["chain"] or ""), "")))
            self._verdict("    ", output["answer"], output["verdict"], about)

    def _verdict(self, indent: str, answer: str | None, verdict: str, note: str) -> None:
        stated = "(states no answer)" if answer is None else self.shown(answer)
        sign, style = VERDICT_SIGNS.get(verdict, "?"), VERDICT_STYLES.get(verdict, "")
        self.console.print(
            _text(
                (f"{indent}answer: ", "dim"),
                (stated, ""),
                (f"  {sign} {verdict}", style),
                (f"  {note}", "dim"),
            )
        )


def token_text(tokens: Sequence[Token], longest: int | None = None) -> Text:
    """Tokens as one text: trained ones between « and », markers in brackets of their own as they are written."""
    parts: list[tuple[str, str]] = []
    left = sys.maxsize if longest is None else longest
    for is_trained, run in groupby(tokens, key=lambda token: token.is_trained):
        body = [
            (
                item_text(token.text),
                f"{TRAINED if is_trained else MASKED}{' reverse' if token.is_marker else ''}",
            )
            for token in run
        ]
        parts += [(OPEN, TRAINED), *body, (CLOSE, TRAINED)] if is_trained else body
    kept = []
    for text, style in parts:
        if left <= 0:
            kept.append(
                (f"… ({sum(len(rest) for rest, _ in parts) - (longest or 0):,} more characters)", "dim")
            )
            break
        kept.append((text[:left], style))
        left -= len(text)
    return _text(*kept)


def main_boundaries(view: dict[str, Any]) -> tuple[list[int], str]:
    """The boundaries of a view's colours: the last of a training, else greedy or average ones; and their source."""
    trained = [entry for entry in view["boundaries"] if "/" in entry["source"]]
    if trained:
        first = trained[0]["source"]
        last = [entry for entry in trained if entry["source"] == first][-1]
        return last["boundaries"], first
    if view["boundaries"]:
        greedy = (entry for entry in view["boundaries"] if entry["source"] == "greedy")
        entry = next(greedy, view["boundaries"][0])
        return entry["boundaries"], entry["source"]
    return [0, len(view["steps"])], "no search"


def chunk_of(cuts: Sequence[int], step: int) -> int:
    """The chunk, 1 … M, that holds a step, from 0."""
    return next(number for number in range(1, len(cuts)) if cuts[number] > step)


def chunk_texts(steps: Sequence[str], cuts: Sequence[int]) -> list[str]:
    """The texts of chunks."""
    return ["".join(steps[start:end]) for start, end in zip(cuts[:-1], cuts[1:], strict=True)]


def step_losses(losses: Sequence[Any], cuts: Sequence[int]) -> list[float]:
    """The loss of each step under the stage of its chunk; of stage-free losses the one there is."""
    return [
        float(loss[chunk_of(cuts, step) - 1] if isinstance(loss, list | tuple) else loss)
        for step, loss in enumerate(losses)
    ]


def bar(value: float, highest: float) -> str:
    """A loss as a bar of four characters."""
    eighths = 0 if highest <= 0 else round(16 * min(value / highest, 1.0))
    return "".join(SHADES[min(4, max(0, eighths - 4 * place))] for place in range(4))


def _segments(cuts: Sequence[int]) -> str:
    """Boundaries as steps from 1: "1-2 | 3 | - | 4-6"; "-" is an empty chunk."""
    parts = [
        "-" if start == end else str(end) if end - start == 1 else f"{start + 1}-{end}"
        for start, end in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    return " | ".join(parts)


def _span(name: str, first: int, last: int) -> str:
    return f"{name} {first}" if first == last else f"{name}s {first}-{last}"


def _like_epochs(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries of one source in a row that cut alike."""

    def key(entry: dict[str, Any]) -> tuple[Any, ...]:
        return entry["source"], entry["losses"], tuple(entry["boundaries"])

    for _, group in groupby(entries, key=key):
        yield list(group)


def _text(*parts: tuple[str, str]) -> Text:
    from rich.text import Text as RichText

    return RichText.assemble(*parts, overflow="fold")


def print_listing(
    console: Console,
    rows: Iterable[dict[str, Any]],
    methods: Sequence[str],
    say: Callable[[str], str] | None = None,
) -> None:
    """Prints a line per sample: id, verdict of each method with its tokens, question.

    Args:
        console: where to.
        rows: as `listing.summaries` gives them.
        methods: the columns.
        say: turns a method's name into its heading.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    for method in methods:
        table.add_column(method if say is None else say(method), no_wrap=True)
    table.add_column("answer", no_wrap=True)
    table.add_column("question", overflow="ellipsis", no_wrap=True)
    for row in rows:
        verdicts = [
            _text(
                (
                    f"{VERDICT_SIGNS.get(row['verdicts'][method], '?')} {row['tokens'][method]}",
                    VERDICT_STYLES.get(row["verdicts"][method], ""),
                )
            )
            for method in methods
        ]
        table.add_row(
            _text((in_a_line(row["id"], 60), "")),
            *verdicts,
            _text((in_a_line(row["answer"], 30), "")),
            _text((in_a_line(row["question"], 200), "")),
        )
    console.print(table)
