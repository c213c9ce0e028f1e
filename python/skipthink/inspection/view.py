"""A sample of a run as an object that shows itself: in colours in a notebook, in the terminal elsewhere."""

from __future__ import annotations

from typing import Any

from skipthink.inspection.terminal import (
    VERDICT_SIGNS,
    SamplePrinter,
    chunk_texts,
    main_boundaries,
    make_console,
)
from skipthink.io import markup
from skipthink.io.markup import text_html


class SampleView(dict[str, Any]):
    """All that is known of a sample, a plain dict (`SampleViews.views` says what is in it)."""

    def show(self) -> None:
        """Shows the sample: as HTML in a notebook, elsewhere as `skipthink inspect` does."""
        markup.show(self._repr_html_(), lambda: SamplePrinter(make_console()).show(self))

    def _repr_html_(self) -> str:
        """The sample in a notebook: question, rationale in chunks, and what each method answered."""
        parts = [f"<p><b>{text_html(self['id'])}</b> ({text_html(self['split'])})</p>"]
        parts.append(f'<p dir="auto">{text_html(self["question"])}</p>')
        if self["steps"]:
            cuts, source, skipped = self._chunks()
            parts.append(f"<p><i>chunks of {text_html(source)}</i></p>")
            parts.append(markup.chunks_html(chunk_texts(self["steps"], cuts), skipped))
        parts.append(f'<p dir="auto">answer: {text_html(str(self["answer"]))}</p>')
        if self["outputs"]:
            rows = [_output_row(label, output) for label, output in self["outputs"].items()]
            head = "".join(
                f"<th>{title}</th>" for title in ("method", "verdict", "answer", "tokens", "output")
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
        return markup.framed(*parts)

    def _chunks(self) -> tuple[list[int], str, list[bool] | None]:
        """The boundaries that are shown, where they are from, and which chunks the judge can do without."""
        for job, gate in self["gate"].items():
            if gate["boundaries"] is not None:
                return gate["boundaries"], job, gate["skipped"]
        return *main_boundaries(self), None


def _output_row(label: str, output: dict[str, Any]) -> str:
    verdict = str(output["verdict"])
    sign = f"{VERDICT_SIGNS.get(verdict, '?')} {verdict}"
    answer = "none" if output.get("answer") is None else output["answer"]
    cells = (label, sign, answer, str(output.get("tokens", "")), output.get("chain") or "")
    return f"<tr>{''.join(f'<td>{text_html(cell)}</td>' for cell in cells)}</tr>"
