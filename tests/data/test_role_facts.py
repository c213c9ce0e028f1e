"""Roles of data as the audit shows them: figures of small files that are known, and what it prints."""

import json
import subprocess
import sys

import pytest
from command_line import call_cli

from skipthink import tasks
from skipthink.data.audit_files import audit_files
from skipthink.exceptions import InvalidInputError
from skipthink.skipping import role_facts
from skipthink.skipping.role_facts import describe_roles, role_sections, roles_of_files

COLOURS = ("red", "blue", "green", "white", "black")


def rows(split="train", n=10):
    """Four kinds of steps, one at each place; the third has a new number."""
    return [
        {
            "id": f"{split}{index}",
            "split": split,
            "question": f"Ann has {index} {COLOURS[index % 5]} pears and buys 40. How many?",
            "rationale": f"We count slowly. Ann has {index} {COLOURS[index % 5]} pears. Together these are 40 + {index} = {40 + index}. "
            "Now we are done!",
            "answer": str(40 + index),
        }
        for index in range(1, n + 1)
    ]


def write(path, samples):
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    return path


def of(samples, n_roles):
    texts = [[sample[name] for sample in samples] for name in ("question", "rationale")]
    return describe_roles(*texts, n_roles=n_roles)


def found_in(file, *, n_roles):
    return roles_of_files(audit_files([file]).tables, n_roles=n_roles)


def test_each_kind_of_step_is_a_role_with_its_place_and_its_new_numbers():
    found = of(rows(), 4)
    assert [role.per_rationale for role in found] == [1.0] * 4
    assert [role.places[0] for role in found] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert all(role.places[0] == role.places[1] for role in found)
    assert [role.new for role in found] == [0, 0, 1, 0]
    assert found[2].example == "together these are # + # = ## ."


def test_with_too_few_roles_kinds_share_one():
    found = of(rows(), 3)
    assert sorted(role.per_rationale for role in found) == [1.0, 1.0, 2.0]
    shared = next(role for role in found if role.per_rationale == 2)
    assert shared.places[0] < shared.places[1]


def test_the_made_task_has_seven_kinds():
    made = tasks.make(
        "tracking_shuffled_objects",
        train=600,
        validation=0,
        test=0,
        seed=0,
        n_swaps=2,
        kinds=["balls", "gifts", "books"],
        styles=["remind"],
        choices=False,
    )
    found = of(made["train"], 7)
    assert [role.per_rationale for role in found] == [1, 1, 2, 2, 2, 1, 1]


def test_of_many_rationales_some_are_drawn(monkeypatch):
    monkeypatch.setattr(role_facts, "MOST_LOOKED_AT", 6)
    assert [role.per_rationale for role in of(rows(n=50), 4)] == [1.0] * 4


def test_rows_of_training_count_and_rows_without_a_rationale_do_not(tmp_path):
    other = {**rows("test", 1)[0], "rationale": "Something else entirely. Quite another thing."}
    lacking = {**rows("train", 12)[11], "rationale": None}
    file = write(tmp_path / "both.jsonl", [*rows(), other, lacking])
    assert found_in(file, n_roles=4) == {str(file): of(rows(), 4)}
    tested = write(tmp_path / "test.jsonl", rows("test"))
    assert len(found_in(tested, n_roles=4)[str(tested)]) == 4


def test_no_rationale_has_no_role(tmp_path):
    file = write(tmp_path / "none.jsonl", [{**rows(n=1)[0], "rationale": None}])
    assert found_in(file, n_roles=4) == {str(file): []}
    with pytest.raises(InvalidInputError, match="n_roles must be at least 1"):
        found_in(file, n_roles=0)


def test_the_command_prints_a_table_or_json(tmp_path):
    file = write(tmp_path / "rows.jsonl", rows())
    printed = call_cli("audit", file, "--roles", 4).stdout
    assert "Roles of steps\n" in printed
    assert "together these are # + # = ## ." in printed
    assert "0.67 - 0.67  100.0 %" in printed
    (content,) = json.loads(call_cli("audit", file, "--roles", 4, "--json").stdout)["files"]
    assert [role["per_rationale"] for role in content["roles"]] == [1.0] * 4
    assert "roles" not in json.loads(call_cli("audit", file, "--json").stdout)["files"][0]
    other = write(tmp_path / "other.jsonl", rows())
    assert "Roles of steps of other.jsonl\n" in call_cli("audit", file, other, "--roles", 2).stdout
    call_cli("audit", file, "--roles", 0, check=2)


def test_examples_cannot_steer_a_terminal():
    odd = [{**row, "rationale": f"\x1b[31mAnn counts. {row['rationale']}"} for row in rows()]
    (section,) = role_sections({"odd.jsonl": of(odd, 5)})
    assert all("\x1b" not in cell for row in section.rows for cell in row)


def test_it_needs_no_torch(tmp_path):
    file = write(tmp_path / "rows.jsonl", rows())
    code = (
        "import sys; from skipthink.data.audit_files import audit_files; "
        "from skipthink.skipping.role_facts import roles_of_files; "
        f"roles_of_files(audit_files([{str(file)!r}]).tables, n_roles=4); assert not {{'torch', 'transformers'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
