"""The wheel `make env` builds, in an environment that has numpy and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEELS = sorted((ROOT / "dist" / "local").glob("*.whl"))
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
SMOKE = """
import importlib.metadata, sys
import skipthink
assert skipthink.split_steps("One. Two.") == ["One. ", "Two."]
losses = [[0.1, 0.1, 3.0]]
found = skipthink.chunk(["One. Two. Three."], losses, 2, 0.0, method="optimal", objective="variance")
assert found.boundaries.tolist() == [[0, 2, 3]], found.boundaries
assert importlib.metadata.version("skipthink") == skipthink.__version__
assert not {"torch", "pyarrow", "pydantic"} & set(sys.modules)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WHEELS, reason="no wheel in dist/local: make env builds it"),
    pytest.mark.skipif(not Path(UV).exists(), reason="needs uv"),
]


def test_the_wheel_works_with_numpy_alone(tmp_path):
    (wheel,) = WHEELS
    assert "abi3" in wheel.name
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        [UV, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")],
        [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python),
            "-c",
            str(ROOT / "constraints.txt"),
            str(wheel),
        ],
        [str(python), "-c", SMOKE],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [UV, "pip", "list", "--quiet", "--python", str(python), "--format", "freeze"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {line.split("==")[0] for line in listed.stdout.split()} == {"numpy", "skipthink"}
    script = subprocess.run(
        [python.with_name("skipthink"), "--version"], capture_output=True, text=True, check=False
    )
    assert script.returncode == 2
    assert "pip install 'skipthink[cli]'" in script.stderr
