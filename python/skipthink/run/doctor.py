"""`skipthink doctor`: what is installed, what the machine has, and whether the core works."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

EXTRAS = {
    "cli": ("pyarrow", "typer"),
    "train": ("accelerate", "datasets", "pydantic", "PyYAML", "tokenizers", "torch", "transformers"),
}
LEAST_FREE_GIGABYTES = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what it is about.
        text: what was found.
        good: False where something does not work.
    """

    topic: str
    text: str
    good: bool = True


def examine(folder: Path = Path()) -> list[Finding]:
    """Examines this installation and machine.

    Args:
        folder: where runs would be written; its free space is looked at.

    Returns:
        The findings; none raises.
    """
    checks: list[tuple[str, Callable[[Path], Iterator[Finding]]]] = [
        ("package", _package),
        ("extras", _extras),
        ("machine", _machine),
        ("torch", _torch),
        ("disk", _disk),
        ("self-check", _self_check),
    ]
    findings: list[Finding] = []
    for topic, check in checks:
        try:
            findings += check(folder)
        except Exception as error:
            findings.append(Finding(topic, f"{type(error).__name__}: {error}", good=False))
    return findings


def _package(folder: Path) -> Iterator[Finding]:
    del folder
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    import numpy as np

    from skipthink import _core

    build = (
        "debug build, many times slower: build it with --release" if _core.DEBUG_BUILD else "release build"
    )
    yield Finding("skipthink", f"{_core.__version__}, core: {build}", good=not _core.DEBUG_BUILD)
    yield Finding("numpy", np.__version__)


def _extras(folder: Path) -> Iterator[Finding]:
    del folder
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if _version(name) is None]
        found = ", ".join(f"{name} {_version(name)}" for name in packages if name not in missing)
        if missing:
            yield Finding(f"extra {extra}", f"without {', '.join(missing)}: pip install 'skipthink[{extra}]'")
        else:
            yield Finding(f"extra {extra}", found)


def _machine(folder: Path) -> Iterator[Finding]:
    del folder
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [
        f"{name}={os.environ[name]}"
        for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")
        if name in os.environ
    ]
    yield Finding(
        "cores", f"{usable} usable of {os.cpu_count()}" + (f" ({', '.join(limits)})" if limits else "")
    )


def _torch(folder: Path) -> Iterator[Finding]:
    del folder
    if _version("torch") is None:
        return
    import torch

    yield Finding("torch threads", str(torch.get_num_threads()))
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        yield Finding("cuda", ", ".join(names))
    else:
        yield Finding("cuda", "none: students train on the CPU")


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free / 1e9
    yield Finding("disk", f"{free:.1f} GB free in {folder.resolve()}", good=free >= LEAST_FREE_GIGABYTES)


def _self_check(folder: Path) -> Iterator[Finding]:
    """The core against the reference, on one small row."""
    del folder
    import skipthink
    from skipthink import reference

    text = "Ann has 3.5 kg. She buys 2 kg. So she has 5.5 kg. The answer is 5.5."
    steps = skipthink.split_steps(text)
    losses = [[float(index % 3) + 0.5 for index in range(len(steps))]]
    found = skipthink.chunk([text], losses, 2, method="optimal")
    boundaries, _, _ = reference.chunk(losses, 2, method="optimal")
    same = reference.split_steps(text) == steps and found.boundaries.tolist() == boundaries
    yield Finding("self-check", f"core and reference {'agree' if same else 'differ'}", good=same)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
