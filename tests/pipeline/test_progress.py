"""The progress display: what a terminal shows, and what stands in a file."""

import io
import re

import pytest

from skipthink.io.progress import Display, Meter, format_progress, format_seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def screen(self):
        """The lines a terminal shows after all that was written to it."""
        lines, row = [""], 0
        for part in re.split(r"(\x1b\[[?\d;]*[A-Za-z]|\r|\n)", self.getvalue()):
            if part == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif part == "\r" or part.startswith("\x1b[?") or part.endswith("m"):
                continue  # text always starts at the left margin; cursor and colours do not matter here
            elif part == "\x1b[2K":
                lines[row] = ""
            elif part.startswith("\x1b[") and part.endswith("A"):
                row -= int(part[2:-1])
            elif part:
                lines[row] += part
        return [re.sub(r"^[━╸╺ ]+", "", line).rstrip() for line in lines if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (188, "3m08s"), (7500, "2h05m"), (-1, "0s")],
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_format_progress_estimates_the_time_left():
    quarter = format_progress("train", 25, 100, 30.0)
    assert quarter == "train 25% (25/100, 30s, 1m30s left)"
    assert quarter.share == 0.25
    assert format_progress("train", 0, 100, 30.0) == "train 0% (0/100, 30s)"
    unknown = format_progress("train", 0, 0, 30.0)
    assert unknown == "train … 30s"
    assert unknown.share is None


def test_a_terminal_shows_a_bar_for_each_piece_of_work_below_the_lines_that_stay(terminal):
    now = [0.0]
    display = Display(terminal, clock=lambda: now[0])
    display.line("plan")
    display.show([format_progress("a", 1, 10, 5.0), "b [no markup] 20%"])
    assert terminal.screen() == ["plan", "a 10% (1/10, 5s, 45s left)", "b [no markup] 20%"]
    assert "━" in terminal.getvalue()
    display.show(["a 11%"])  # too soon
    now[0] = 1.0
    display.show(["a 12%"])
    assert terminal.screen() == ["plan", "a 12%"]
    display.line("done b [1/2]")
    assert terminal.screen() == ["plan", "done b [1/2]", "a 12%"]
    now[0] = 2.0
    display.show(["a " + "long " * 50])
    assert terminal.screen()[-1].startswith("a long long")
    assert terminal.screen()[-1].endswith("…")
    display.clear()
    display.line("done a")
    assert terminal.screen() == ["plan", "done b [1/2]", "done a"]
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex(
        "\x1b[?25l"
    )  # the cursor is back


def test_the_cursor_stays_whatever_ends_the_work(terminal):
    Display(terminal).show(["a 1%"])
    assert terminal.getvalue().count("\x1b[?25h") == terminal.getvalue().count("\x1b[?25l")


@pytest.mark.parametrize("kind", ["file", "dumb terminal"])
def test_without_a_terminal_progress_is_plain_and_rare(kind, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    now = [0.0]
    stream = io.StringIO() if kind == "file" else Terminal()
    display = Display(stream, clock=lambda: now[0])
    for second in range(61):
        now[0] = float(second)
        display.show([f"a {second}", "b"])
    assert stream.getvalue() == "  a 30 | b\n  a 60 | b\n"


def test_a_meter_shows_time_left_and_rate_of_what_it_has_seen_done(terminal):
    now = [0.0]
    meter = Meter("scoring", "tokens", Display(terminal, clock=lambda: now[0]))
    meter(4000, 10_000)  # kept from an earlier run
    assert terminal.screen() == ["scoring 40% (4000/10000, 0s)"]
    now[0] = 2.0
    meter(7000, 10_000)
    assert terminal.screen() == ["scoring 70% (7000/10000, 2s, 2s left, 1,500 tokens/s)"]
    meter.close()
    assert terminal.screen() == []
