"""Step lengths of 20 real rationales a file: no change of the splitter moves a step unseen.

The rationales stay where they are: a snapshot holds a row's number, a digest of its text and the lengths of its steps.
After a deliberate change of the rules `python tests/steps/test_snapshots.py` writes them anew; read the difference.
"""

import hashlib
import json
from pathlib import Path

import pytest

import skipthink
from skipthink.reference.steps import SPACES

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILE = Path(__file__).with_name("snapshots.json")
ROWS = 20
SNAPSHOTS = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real rationales are not beside the checkout")


def rationales(name):
    """Row to rationale, of the rows that have one."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    texts = {row: json.loads(line)["rationale"] for row, line in enumerate(lines) if line}
    return {row: text for row, text in texts.items() if text}


def snapshot(text):
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"text": digest, "lengths": [len(step) for step in skipthink.split_steps(text)]}


def test_there_are_snapshots_of_every_file():
    assert len(SNAPSHOTS) == 12
    assert all(len(rows) == ROWS for rows in SNAPSHOTS.values())


@needs_data
@pytest.mark.parametrize("name", SNAPSHOTS)
def test_steps_are_as_they_were(name):
    texts = rationales(name)
    for row, expected in SNAPSHOTS[name].items():
        text = texts[int(row)]
        found = snapshot(text)
        assert found["text"] == expected["text"], f"row {row} of {name}.jsonl is another text"
        assert found["lengths"] == expected["lengths"], [row, skipthink.split_steps(text)]
        assert_tiles(text)


def assert_tiles(text):
    """The steps tile the text, none is empty or white space, and spans count code points."""
    steps = skipthink.split_steps(text)
    assert "".join(steps) == text
    assert all(step.strip(SPACES) and step[0] not in SPACES for step in steps[1:])
    assert steps[0].strip(SPACES)
    for batch in ([text, "", text], _arrow([text, "", text])):
        spans = skipthink.split_steps_batch(batch, num_threads=1)
        assert spans[1] == []
        for row in (0, 2):
            assert [text[start:end] for start, end in spans[row]] == steps


def _arrow(texts):
    import pyarrow as pa

    return pa.array(texts)


def write():
    """Writes the snapshots of rows spread over each file."""
    snapshots = {}
    for path in sorted(DATA.glob("*.jsonl")):
        texts = list(rationales(path.stem).items())
        chosen = texts[:: len(texts) // ROWS][:ROWS]
        snapshots[path.stem] = {str(row): snapshot(text) for row, text in chosen}
    lines = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(row)}: {json.dumps(found)}" for row, found in rows.items())
        + "\n}"
        for name, rows in snapshots.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
