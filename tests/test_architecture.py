"""The wings of docs/explanation/design.md: imports only go down, files stay small, and importing stays cheap."""

import ast
import graphlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "skipthink"
CORE = ROOT / "rust" / "skipthink-core" / "src"

# From below. A module imports from its own wing and from those below it; within a wing there are no circles.
# Entries are packages or single modules; `skipthink` is the package itself, `_core` the compiled one.
WINGS = [
    ["exceptions", "lazy", "_core"],
    ["options"],
    ["io", "cluster"],
    ["core"],
    ["reference"],
    ["answers"],
    ["tasks"],
    ["data"],
    # ---- torch line: nothing above this line imports torch, transformers or datasets ----
    ["student"],
    ["scoring", "teacher"],
    ["evaluation"],
    ["skipping"],
    ["training", "publish", "own_answers", "stream"],
    ["testbed", "inspection", "skipthink"],
    ["run", "plots"],
    ["cli"],
    ["__main__"],
]
TORCH_LINE = "data"
TORCH = {"torch", "transformers", "accelerate", "tokenizers"}
LAYER_OF = {wing: layer for layer, wings in enumerate(WINGS) for wing in wings}

RUST_FLOORS = [
    ["error", "machine"],
    ["interrupt", "ragged"],
    ["parallel"],
    ["losses", "steps"],
    ["search", "skip"],
    ["plan"],
]
RUST_FLOOR_OF = {module: floor for floor, modules in enumerate(RUST_FLOORS) for module in modules}

MAX_PYTHON_LINES = 550
MAX_RUST_LINES = 600
MAX_TRAINER_LINES = 150
MAX_PUBLIC_NAMES = 30


def modules():
    """Module name (without `skipthink.`) to its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        found["skipthink" if parts == ["__init__"] else ".".join(parts)] = path
    return found


MODULES = modules()


def own_module(name):
    """`skipthink.a.b` to the module `a.b`; names inside a module to that module."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES and parts != ["_core"]:
        parts.pop()
    return ".".join(parts) or "skipthink"


def imports_of(path):
    """(line, dotted name) of every import of a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write skipthink.…"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def wing_of(module):
    """The wing a module belongs to: its package, or itself where it lies beside the packages."""
    return module if module in LAYER_OF else module.split(".")[0]


def own_imports(module):
    """(line, module) of every module of the package that a module imports."""
    for line, name in imports_of(MODULES[module]):
        if name.split(".")[0] == "skipthink":
            yield line, own_module(name)


def test_every_module_has_a_wing():
    assert {wing_of(module) for module in MODULES} == {wing for wing in LAYER_OF if wing != "_core"}


def test_the_design_page_lists_the_wings():
    text = (ROOT / "docs" / "explanation" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (`[^|]+`) \| \S", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(WINGS) + 1))
    assert [re.findall(r"`([^`]+)`", wings) for _, wings in rows] == WINGS


def test_there_are_few_layers_and_few_loose_modules():
    assert len(WINGS) <= 18
    assert len([path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]) <= 5


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_only_go_down(module):
    wing = wing_of(module)
    for line, target in own_imports(module):
        below = wing_of(target)
        assert below == wing or LAYER_OF[below] < LAYER_OF[wing], (
            f"{MODULES[module]}:{line} imports {target} from below"
        )


def test_there_are_no_circles_within_a_wing():
    # a package's own name stands for its public names, which are imported when they are first used
    packages = {module for module in MODULES if MODULES[module].name == "__init__.py"}
    graph = {
        module: {target for _, target in own_imports(module) if wing_of(target) == wing_of(module)} - {module}
        for module in MODULES
        if module not in packages
    }
    graph = {module: targets - packages for module, targets in graph.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    "module", [name for name in sorted(MODULES) if LAYER_OF[wing_of(name)] <= LAYER_OF[TORCH_LINE]]
)
def test_nothing_above_the_torch_line_imports_torch(module):
    used = {name.split(".")[0] for _, name in imports_of(MODULES[module])}
    assert not used & TORCH


def loaded_by(code):
    """Top-level modules that are loaded after some code has run in a fresh interpreter."""
    code += "; import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_skipthink_needs_numpy_only():
    loaded = loaded_by("import skipthink")
    assert "numpy" in loaded
    assert not loaded & (TORCH | {"pyarrow", "pydantic", "yaml", "typer", "pandas", "polars"})


@pytest.mark.parametrize(
    "module", ["skipthink.cli", "skipthink.run.recipe", "skipthink.data", "skipthink.run.runner"]
)
def test_what_starts_a_run_loads_no_torch(module):
    assert not loaded_by(f"import {module}") & {"torch", "transformers", "datasets"}


def test_public_names():
    import skipthink

    assert len(skipthink.__all__) <= MAX_PUBLIC_NAMES
    assert sorted(set(skipthink.__all__)) == sorted(skipthink.__all__)
    for name in skipthink.__all__:
        public = getattr(skipthink, name)
        assert not callable(public) or (public.__doc__ or "").strip(), f"skipthink.{name} has no docstring"


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_python_files_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_PYTHON_LINES


def test_trainers_stay_small():
    seen = 0
    for module in ("training.trainer", "training.resumable"):
        for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Trainer"):
                seen += 1
                assert node.end_lineno - node.lineno < MAX_TRAINER_LINES, node.name
    assert seen == 2


METHOD_FILES = [module for module in MODULES if module.startswith("training.methods.")]


@pytest.mark.parametrize("module", [*METHOD_FILES, "training.method", "training.source", "training.steps"])
def test_methods_need_no_torch(module):
    used = {name.split(".")[0] for _, name in imports_of(MODULES[module])}
    assert not used & TORCH


RUST_FILES = sorted((ROOT / "rust").rglob("*.rs"))


@pytest.mark.parametrize("path", RUST_FILES, ids=lambda path: str(path.relative_to(ROOT / "rust")))
def test_rust_files_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_RUST_LINES


@pytest.mark.parametrize(
    "path",
    [path for path in RUST_FILES if path.is_relative_to(CORE) and path.name != "lib.rs"],
    ids=lambda path: str(path.relative_to(CORE)),
)
def test_rust_modules_only_use_lower_floors(path):
    module = path.relative_to(CORE).parts[0].removesuffix(".rs")
    # tests at the end of a file may use anything
    code = re.split(r"#\[cfg\(test\)\]", path.read_text(encoding="utf-8"))[0]
    for used in re.findall(r"\bcrate::(\w+)", code):
        if used != module and used in RUST_FLOOR_OF:
            assert RUST_FLOOR_OF[used] < RUST_FLOOR_OF[module], f"{path} uses crate::{used}"


def test_every_rust_module_has_a_floor():
    declared = re.findall(
        r"^pub mod (\w+);|^mod (\w+);", (CORE / "lib.rs").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted("".join(names) for names in declared) == sorted(RUST_FLOOR_OF)


@pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo")
def test_the_core_knows_nothing_of_python():
    command = [
        "cargo",
        "tree",
        "-p",
        "skipthink-core",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--offline",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines() if line}
    assert "skipthink-core" in names
    assert not {name for name in names if name.startswith("pyo3") or name == "numpy"}


def test_the_crates_are_safe_code():
    for crate in ("skipthink-core", "skipthink-py"):
        text = (ROOT / "rust" / crate / "src" / "lib.rs").read_text(encoding="utf-8")
        assert "#![forbid(unsafe_code)]" in text, crate


def test_no_shell_and_no_pickle():
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert "shell=True" not in text, module
        assert not re.search(
            r"\bimport pickle\b|allow_pickle=True|yaml\.unsafe_load|(?<![\w.])eval\(", text
        ), module
