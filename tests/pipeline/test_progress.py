"""The progress display."""

import io

import pytest

from skipthink.io.progress import Display, Meter, format_progress, format_seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (188, "3m08s"), (7500, "2h05m"), (-1, "0s")],
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_format_progress_estimates_the_time_left():
    assert format_progress("train", 25, 100, 30.0) == "train 25% (25/100, 30s, 1m30s left)"
    assert format_progress("train", 0, 100, 30.0) == "train 0% (0/100, 30s)"
    assert format_progress("train", 0, 0, 30.0) == "train … 30s"


def test_a_terminal_line_is_redrawn_and_wiped():
    now = [0.0]
    stream = Terminal()
    display = Display(stream, clock=lambda: now[0])
    display.show(["a 10%", "b 20%"])
    display.show(["a 11%"])  # too soon
    now[0] = 1.0
    display.show(["a 12%"])
    display.line("done a")
    assert stream.getvalue() == "a 10% | b 20%\r             \ra 12%\r     \rdone a\n"


def test_without_a_terminal_progress_is_plain_and_rare():
    now = [0.0]
    stream = io.StringIO()
    display = Display(stream, clock=lambda: now[0])
    for second in range(61):
        now[0] = float(second)
        display.show([f"a {second}"])
    assert stream.getvalue() == "  a 30\n  a 60\n"


def test_a_meter_shows_time_left_and_rate_of_what_it_has_seen_done():
    now = [0.0]
    stream = Terminal()
    meter = Meter("scoring", "tokens", Display(stream, clock=lambda: now[0]))
    meter(4000, 10_000)  # kept from an earlier run
    now[0] = 2.0
    meter(7000, 10_000)
    meter.close()
    first, second = "scoring 40% (4000/10000, 0s)", "scoring 70% (7000/10000, 2s, 2s left, 1,500 tokens/s)"
    wipe = "\r" + " " * len(second) + "\r"
    assert stream.getvalue() == first + "\r" + " " * len(first) + "\r" + second + wipe
