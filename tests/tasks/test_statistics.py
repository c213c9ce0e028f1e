"""Statistics: what is measured of rationales, and the table beside the real ones."""

import json
import re
from pathlib import Path

import pytest
from command_line import call_cli

from skipthink import tasks
from skipthink.data.task_statistics import REAL_FILES, compare, format_table, measure
from skipthink.exceptions import DataError, InvalidInputError

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
ROWS = [
    {
        "question": "What is one and two?",
        "rationale": "We add. 1 + 2 = 3. So it is 3.",
        "answer": "3",
        "steps": ["We add. ", "1 + 2 = 3. ", "So it is 3."],
        "roles": ["setup", "reasoning", "summary"],
    },
    {
        "question": "And four?",
        "rationale": "Four it is.",
        "answer": "4",
        "steps": ["Four it is."],
        "roles": ["transition"],
    },
]


def test_what_is_measured_of_two_rationales():
    one = measure(ROWS, "number")
    assert one.n == 2
    assert one.steps == (2.0, 1.0, [1.1, 1.5, 2.0, 2.5, 2.9])
    assert (one.step_words, one.step_characters) == (14 / 4, (7 + 10 + 11 + 11) / 4)
    assert one.words == (7.0, 4.0) and one.characters == (20.5, 9.5)
    assert one.question_words == 3.5
    assert one.roles == {"setup": 2 / 14, "reasoning": 5 / 14, "transition": 3 / 14, "summary": 4 / 14}
    assert one.states_answer == 0.5  # "Four" is a word
    without = measure(
        [{key: row[key] for key in ("question", "rationale", "answer")} for row in ROWS], "number"
    )
    assert without.roles is None
    with pytest.raises(InvalidInputError, match="no rationale to measure"):
        measure([], "number")


def test_a_table_line_an_entry():
    table = format_table([("adding", "made", measure(ROWS, "number"))]).splitlines()
    assert len(table) == 3 and len({line.count("|") for line in table}) == 1
    assert table[2].startswith("| `adding` | made | 2 | 2.0 ± 1.0 | 1 / 2 / 2 / 2 / 3 | 3.5 | 10 | 7 ± 4 |")
    assert table[2].endswith("| 14 % | 36 % | 21 % | 29 % | 50 % |")


def test_the_tables_of_the_docs_are_of_all_tasks():
    text = (ROOT / "docs" / "how-to" / "tasks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| made \|", text, re.MULTILINE)) == set(tasks.NAMES)
    assert set(
        re.findall(r"^\| `(\w+)` \| [^|]+\| (?:number|string|choice|yes or no)", text, re.MULTILINE)
    ) == set(tasks.NAMES)
    for name in tasks.NAMES:
        task_options = tasks.finding.find_task(name).parse_options({})
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        named = set(re.findall(r"`(\w+)`", line)) | {"styles", "summary_states_answer"}
        assert set(vars(task_options)) <= named, name


def test_every_family_has_a_real_file():
    assert sorted(REAL_FILES) == sorted(tasks.NAMES)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real rationales in {REAL}")
def test_made_rationales_are_of_the_order_of_real_ones():
    measured = {(name, source): one for name, source, one in compare(real=REAL, n=300)}
    assert len(measured) == 2 * len(tasks.NAMES)
    for name, file in REAL_FILES.items():
        made, real = measured[name, "made"], measured[name, Path(file).stem]
        assert real.n > 300 and made.n == 300
        assert 0.5 < made.steps[0] / real.steps[0] < 2, name
        assert 0.35 < made.step_words / real.step_words < 2, name
        assert 0.5 < made.words[0] / real.words[0] < 2, name
        assert made.roles["reasoning"] > 0.3 and real.roles is None


def test_a_folder_without_real_rationales(tmp_path):
    with pytest.raises(DataError, match=r"addsub\.jsonl"):
        compare(["single_operation"], real=tmp_path, n=2)


def test_commands():
    done = call_cli("tasks", "stats", "single_operation", "-n", "50")
    assert len(done.stdout.splitlines()) == 3
    made = call_cli(
        "tasks", "make", "date_understanding", "--split", "test", "-n", "4", "--options", '{"choices": false}'
    )
    rows = list(tasks.rows("date_understanding", split="test", n=4, choices=False))
    assert [json.loads(line) for line in made.stdout.splitlines()] == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make", "single_operation", "--options", "{"], "--options is no JSON"),
        (["make", "single_operation", "--options", "[1]"], "give a JSON object"),
        (
            ["make", "single_operation", "--options", '{"n": 3}'],
            "give a JSON object of the task's own options",
        ),
        (["make", "single_operations"], "did you mean 'single_operation'"),
    ],
)
def test_mistakes_of_commands(arguments, message):
    assert message in call_cli("tasks", *arguments, check=2).stderr
