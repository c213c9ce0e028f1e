"""The Makefile and what else the house stands on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"^\.PHONY: (\S+)", MAKEFILE, re.MULTILINE)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments):
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_is_the_default_and_names_every_target():
    done = make()
    assert done.returncode == 0, done.stderr
    assert done.stdout == make("help").stdout
    named = re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE)
    assert named == PHONY
    assert {"demo", "test", "check", "lint", "fmt", "env", "wheel", "bench", "clean"} <= set(named)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_targets_that_exist(document):
    named = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(PHONY)


def test_check_is_test():
    assert re.search(r"^check: test ##", MAKEFILE, re.MULTILINE)


def test_ci_calls_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "make test"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def jobs_of(name):
    import yaml

    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))["jobs"]


def test_the_test_workflow_calls_ci_run_and_the_oldest_rust():
    jobs = jobs_of("test.yml")
    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == [".ci/run"]
    (oldest,) = re.findall(r'rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text())
    assert any(
        step.get("uses") == f"dtolnay/rust-toolchain@{oldest}" for step in jobs["oldest-rust"]["steps"]
    )


def test_every_wheel_is_tested_where_it_is_for_before_it_is_published():
    jobs = jobs_of("wheels.yml")
    built = {entry["target"] for entry in jobs["wheel"]["strategy"]["matrix"]["include"]}
    testers = ["install-and-test", "install-and-test-musl"]
    tested = {entry["target"] for job in testers for entry in jobs[job]["strategy"]["matrix"]["include"]}
    assert tested == built
    assert set(jobs["publish"]["needs"]) == {"sdist", *testers}
    # trusted publishing: a token of the run itself, no secret
    assert jobs["publish"]["permissions"]["id-token"] == "write"
    assert "secrets." not in (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")


def test_fuzz_targets_are_programs_of_the_fuzz_crate():
    import tomllib

    manifest = tomllib.loads((ROOT / "fuzz" / "Cargo.toml").read_text(encoding="utf-8"))
    named = {program["path"] for program in manifest["bin"]}
    assert named == {f"fuzz_targets/{path.name}" for path in (ROOT / "fuzz" / "fuzz_targets").glob("*.rs")}


def test_constraints_are_names_and_exact_versions():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line), line


def test_constraints_cover_what_the_project_asks_for():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(entry for extra in project["project"]["optional-dependencies"].values() for entry in extra),
        *(entry for group in project["dependency-groups"].values() for entry in group),
    ]
    names = {re.split(r"[<>=\[]", entry)[0].lower() for entry in wanted} - {"skipthink"}
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names <= pinned
    for entry in wanted:
        assert "==" not in entry.split(";")[0], f"{entry}: lower bounds only"
        assert ">=" in entry or entry.startswith("skipthink["), f"{entry}: no lower bound"


def test_the_core_of_the_package_is_light():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert [entry.split(">")[0] for entry in project["project"]["dependencies"]] == ["numpy"]
