"""The wheel `make env` builds: what it is called, what is in it, and that it works where there is no Rust."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python"
WHEELS = sorted((ROOT / "dist" / "local").glob("*.whl"))
WHEEL = WHEELS[0] if WHEELS else Path("missing")
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
MAX_BYTES = 8_000_000  # students of the test bed are the most of it
STUDENTS = PACKAGE / "skipthink" / "testbed" / "students"
TEST_NEEDS = ["hypothesis", "pandas", "polars", "pyarrow", "pytest", "pytest-benchmark", "pytest-timeout"]
SMOKE = """
import importlib.metadata, sys
import skipthink
assert skipthink.split_steps("One. Two.") == ["One. ", "Two."]
losses = [[0.1, 0.1, 3.0]]
found = skipthink.chunk(["One. Two. Three."], losses, 2, 0.0, method="optimal", objective="variance")
assert found.boundaries.tolist() == [[0, 2, 3]], found.boundaries
assert importlib.metadata.version("skipthink") == skipthink.__version__
assert skipthink.build_info()["profile"] == "release"
assert not {"torch", "pyarrow", "pydantic"} & set(sys.modules)
"""

needs_wheel = pytest.mark.skipif(not WHEELS, reason="no wheel in dist/local: make env builds it")
needs_uv = pytest.mark.skipif(not Path(UV).exists(), reason="needs uv")
needs_zig = pytest.mark.skipif(
    "manylinux" not in WHEEL.name, reason="built without zig, for the libraries of this machine alone"
)


def run(*command, cwd=None, env=None):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def python_of(minor):
    """An interpreter of Python 3.`minor` that runs, or None: this one, of PATH, of uv or of pyenv."""
    if sys.version_info.minor == minor:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python"))
    found = [*pyenv.glob(f"3.{minor}.*/bin/python3"), *managed.glob(f"cpython-3.{minor}.*/bin/python3")]
    for candidate in [shutil.which(f"python3.{minor}"), *found]:
        if candidate is not None:
            said = subprocess.run([candidate, "-V"], capture_output=True, text=True, check=False)
            if said.stdout.startswith(f"Python 3.{minor}."):
                return str(candidate)
    return None


def clean_environment(folder, python, *packages):
    """A new environment with the wheel; nothing is built on the way, and no compiler is on its PATH."""
    run(UV, "venv", "--quiet", "--python", python, folder)
    inside = folder / ("Scripts" if os.name == "nt" else "bin")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env |= {"PATH": str(inside), "OMP_NUM_THREADS": "1"}
    run(
        UV,
        "pip",
        "install",
        "--quiet",
        "--no-build",
        "--python",
        inside / "python",
        WHEEL,
        *packages,
        env=env,
    )
    return inside, env


@needs_wheel
@needs_zig
def test_one_wheel_serves_every_python_and_old_distributions():
    assert len(WHEELS) == 1
    name, version, python, abi, platform = WHEEL.stem.split("-")
    assert (name, version, python, abi) == ("skipthink", VERSION, "cp311", "abi3")
    assert "manylinux_2_17_" in platform
    with zipfile.ZipFile(WHEEL) as archive:
        binary = archive.read("skipthink/_core.abi3.so")
    asked = {tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", binary)}
    assert asked, "a library for Linux asks for symbols of glibc"
    assert max(asked) <= (2, 17)


@needs_wheel
def test_the_wheel_holds_the_package_and_nothing_else():
    assert WHEEL.stat().st_size < MAX_BYTES
    with zipfile.ZipFile(WHEEL) as archive:
        names = set(archive.namelist())
    info = f"skipthink-{VERSION}.dist-info"
    parts = {name for name in names if not name.startswith(info)}
    binary = {name for name in parts if re.fullmatch(r"skipthink/_core(\.abi3)?\.(so|pyd)", name)}
    sources = {
        path.relative_to(PACKAGE).as_posix()
        for pattern in ("*.py", "*.pyi", "*.yaml", "py.typed", "page.*", "browser.js")
        for path in PACKAGE.rglob(pattern)
    }
    students = {path.relative_to(PACKAGE).as_posix() for path in STUDENTS.rglob("*") if path.is_file()}
    assert "skipthink/testbed/students/S/model.safetensors" in students
    assert len(binary) == 1
    # bills of materials, which maturin writes, live beside the metadata
    assert parts - binary == sources | students
    assert {f"{info}/METADATA", f"{info}/RECORD", f"{info}/WHEEL", f"{info}/licenses/LICENSE"} <= names


@needs_wheel
def test_numpy_is_the_only_hard_dependency():
    with zipfile.ZipFile(WHEEL) as archive:
        metadata = email.message_from_bytes(archive.read(f"skipthink-{VERSION}.dist-info/METADATA"))
    needs = metadata.get_all("Requires-Dist")
    assert [need for need in needs if "extra ==" not in need] == ["numpy>=1.26"]
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"cli", "train"} <= set(metadata.get_all("Provides-Extra"))
    assert "skipthink" in metadata.get_payload()


@needs_wheel
@needs_uv
@pytest.mark.slow
@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_the_wheel_works_in_a_clean_environment(minor, tmp_path):
    """Installed with numpy alone; then with the tests' own needs, and the tests of the core pass there."""
    python = python_of(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    inside, env = clean_environment(tmp_path / "venv", python, "-c", ROOT / "constraints.txt")
    listed = run(UV, "pip", "list", "--quiet", "--python", inside / "python", "--format", "freeze")
    assert {line.split("==")[0] for line in listed.split()} == {"numpy", "skipthink"}
    run(inside / "python", "-c", SMOKE, cwd=tmp_path, env=env)
    script = subprocess.run(
        [inside / "skipthink", "--version"], env=env, capture_output=True, text=True, check=False
    )
    assert script.returncode == 2
    assert "pip install 'skipthink[cli]'" in script.stderr
    run(UV, "pip", "install", "--quiet", "--no-build", "--python", inside / "python", "-c", ROOT / "constraints.txt",
        *TEST_NEEDS)  # fmt: skip
    for folder in ("tests/core", "tests/steps", "tests/support", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    # the long comparisons with the reference say nothing about the Python that runs them
    chosen = ("-m", "not slow", "-k", "not equals_reference and not brute_force")
    said = run(
        inside / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, cwd=tmp_path, env=env
    )
    assert re.search(r"\d{3,} passed", said), said[-500:]


@needs_wheel
@needs_uv
@pytest.mark.slow
def test_the_wheel_works_with_the_oldest_numpy_it_allows(tmp_path):
    python = python_of(11)
    if python is None:
        pytest.skip("no Python 3.11 on this machine")
    inside, env = clean_environment(tmp_path / "venv", python, "numpy==1.26.*")
    run(inside / "python", "-c", SMOKE, cwd=tmp_path, env=env)


@pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo")
def test_the_source_distribution_holds_what_a_build_needs(tmp_path):
    maturin = Path(sys.executable).with_name("maturin")
    if not maturin.exists():
        pytest.skip("needs maturin")
    run(maturin, "sdist", "--out", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("skipthink-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    top = tmp_path / f"skipthink-{VERSION}"
    files = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    assert {"Cargo.toml", "Cargo.lock", "pyproject.toml", "PKG-INFO", "README.md", "LICENSE"} <= files
    for folder in ("rust", "python"):
        wanted = {
            path.relative_to(ROOT).as_posix()
            for pattern in ("*.rs", "*.toml", "*.py", "*.pyi", "*.safetensors", "py.typed")
            for path in (ROOT / folder).rglob(pattern)
        }
        assert wanted <= files
    assert not {name for name in files if name.startswith(("tests/", "docs/", "dist/", "fuzz/", "target/"))}
    # the lock file fits the crates that are in it
    run("cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--no-deps", cwd=top)
