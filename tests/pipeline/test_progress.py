"""The progress display: what a terminal shows, and what stands in a file."""

import io
import json
import re
import time

import pytest

from skipthink.exceptions import InvalidInputError
from skipthink.io.job_progress import (
    JobState,
    PartReport,
    PhaseReport,
    Report,
    ReportFile,
    describe,
    measure,
    phase_of,
    sparkline,
)
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


@pytest.mark.parametrize(
    ("done", "rate"),
    [(54_000, "5,400 tokens/s"), (12, "1.2 tokens/s"), (5, "30 tokens/min"), (0.02, "7.2 tokens/h")],
)
def test_format_progress_shows_a_rate_in_which_something_is_done(done, rate):
    assert format_progress("read", done, 100_000, 10.0, unit="tokens").endswith(f", {rate})")


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


STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"


@pytest.mark.parametrize("kind", ["file", "dumb terminal"])
def test_without_a_terminal_progress_is_plain_rare_and_has_the_time(kind, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    now = [0.0]
    stream = io.StringIO() if kind == "file" else Terminal()
    display = Display(stream, clock=lambda: now[0])
    for second in range(61):
        now[0] = float(second)
        display.show([f"a {second}", "b"])
    assert re.fullmatch(rf"  {STAMP}  a 30 \| b\n  {STAMP}  a 60 \| b\n", stream.getvalue())


def test_plain_lines_are_asked_for_on_a_terminal_too(terminal):
    now = [0.0]
    display = Display(terminal, clock=lambda: now[0], mode="plain")
    now[0] = 31.0
    display.show(["a"])
    display.line("done")
    assert re.fullmatch(rf"  {STAMP}  a\ndone\n", terminal.getvalue())


def test_json_is_an_object_per_line(monkeypatch):
    monkeypatch.setenv("SKIPTHINK_DISPLAY", "json")
    stream, now = io.StringIO(), [0.0]
    display = Display(stream, clock=lambda: now[0])
    display.line("start")
    now[0] = 6.0
    display.show(["a 1%"], [{"job": "a", "done": 1}])
    display.event("done", job="a", seconds=1.5)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert all(re.fullmatch(STAMP, entry.pop("time")) for entry in found)
    assert found == [
        {"event": "line", "text": "start"},
        {"event": "progress", "jobs": [{"job": "a", "done": 1}]},
        {"event": "done", "job": "a", "seconds": 1.5},
    ]


def test_none_shows_nothing_and_other_words_are_refused(monkeypatch, terminal):
    monkeypatch.setenv("SKIPTHINK_DISPLAY", "none")
    display = Display(terminal)
    display.line("start")
    display.show(["a"])
    display.event("done")
    display.clear()
    assert terminal.getvalue() == ""
    with pytest.raises(InvalidInputError, match="is one of auto, plain, json, none, got 'rich'"):
        Display(terminal, mode="rich")
    monkeypatch.setenv("SKIPTHINK_DISPLAY", "loud")
    with pytest.raises(InvalidInputError, match="SKIPTHINK_DISPLAY"):
        Display(terminal)


def test_lines_obey_no_text(terminal):
    for stream, mode in ((terminal, "auto"), (io.StringIO(), "plain")):
        display = Display(stream, mode=mode, clock=lambda: 100.0)
        display.show(["a \x1b[31m\u202e"])
        display._last = -100.0
        display.show(["a \x1b[31m\u202e"])
        display.line("failed \x1b]0;title\x07")
        display.clear()
        assert "\x1b[31m" not in stream.getvalue()
        assert "\x1b]0" not in stream.getvalue()
        assert "\\x1b[31m\\u202e" in stream.getvalue()


def test_time_goes_on_between_two_calls_of_a_meter(terminal, monkeypatch):
    monkeypatch.setattr("skipthink.io.progress.TICK_SECONDS", 0.01)
    now = [0.0]
    meter = Meter("scoring", "tokens", Display(terminal, clock=lambda: now[0]))
    meter(0, 10)
    now[0] = 40.0
    give_up = time.monotonic() + 20
    while "40s" not in terminal.getvalue() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert terminal.screen() == ["scoring 0% (0/10, 40s)"]
    meter.close()


def test_a_job_says_what_it_does(tmp_path):
    report = ReportFile(tmp_path / "job.progress", "steps")
    report(1, 10)
    report(3, 10)
    report.told(is_last=True)
    with report.phase("scoring", "tokens") as progress:
        progress(50, 200)
        progress(100, 200)
        report.told(is_last=True)
        state = JobState.read(tmp_path / "job.progress")
        state.phase_seconds = 10.0
        assert state.line("train/x/s0", 30.0).startswith(
            "train/x/s0 30% (3/10, 30s, 1m10s left, 6.0 steps/min)  scoring 50% (100/200, 10s, 10s left, 10 tokens/s)"
        )
    for loss in (3.0, 2.0, 1.0, float("nan")):
        report.measure(loss=loss)
    report.measure(accuracy=0.5)
    report.note("an item")
    state = JobState.read(tmp_path / "job.progress")
    assert (state.phase, state.notes, state.accuracy) == (None, ["an item"], 0.5)
    assert state.line("a", 1.0).endswith("loss nan █▅▁!  accuracy 50.0 %")
    [described] = describe({"a": (state, 1.0)})
    assert described["losses"] == [3.0, 2.0, 1.0, None]
    assert JobState.read(tmp_path / "nothing") == JobState()
    (tmp_path / "torn").write_text('{"done": 1, "tot')
    assert JobState.read(tmp_path / "torn") == JobState()


def test_a_job_that_goes_on_counts_what_is_fresh():
    report = Report("steps")
    report(800, 1000)
    report(850, 1000)
    assert report.state.line("a", 10.0) == "a 85% (850/1000, 10s, 30s left, 5.0 steps/s)"


def test_a_phase_gives_a_job_without_steps_a_share():
    state = JobState(phase="scoring", phase_done=1, phase_total=4)
    assert state.line("a", 1.0).share == 0.25


def test_the_whole_curve_stays_in_a_sparkline():
    report = Report()
    for step in range(500):
        report.measure(loss=500.0 - step)
    losses = report.state.losses
    assert len(losses) <= 32
    assert losses[-1] == 1.0
    assert losses == sorted(losses, reverse=True)
    line = sparkline(losses)
    assert (line[0], line[-1]) == ("█", "▁")
    assert sparkline([2.0, 2.0]) == "▁▁"


def test_parts_of_a_job_are_said_of_the_whole():
    whole = Report()
    part = PartReport(whole, 1, 4)
    part(1, 2)
    assert (whole.state.done, whole.state.total) == (150, 400)
    with part.phase("one at a time", "questions") as progress:
        progress(1, 2)
        assert (whole.state.phase, whole.state.phase_done) == ("one at a time", 1)
    part.measure(accuracy=0.25)
    assert whole.state.accuracy == 0.25


def test_a_training_within_a_job_is_a_phase_of_it_with_its_losses():
    whole = Report("trials")
    whole(1, 8)
    with whole.phase("training without role 1", "steps") as steps:
        training = PhaseReport(whole, steps)
        training(3, 20)
        training.measure(loss=2.5)
        training.note("an item")
        assert (whole.state.phase_done, whole.state.phase_total, whole.state.unit) == (3, 20, "steps")
        with training.phase("scoring", "tokens"):
            assert whole.state.phase == "scoring"
        assert whole.state.phase_done == 3
    assert (whole.state.done, whole.state.total, whole.state.losses) == (1, 8, [2.5])
    assert whole.state.notes == ["an item"]


def test_progress_that_is_a_plain_function_has_no_phases():
    seen = []
    plain = lambda *done: seen.append(done)  # noqa: E731
    with phase_of(plain, "scoring") as progress:
        progress(1, 2)
    measure(plain, loss=1.0)
    measure(None, loss=1.0)
    assert seen == []


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
