"""What a benchmark ran on: processor, vector unit, cores, versions, date."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PEERS = ("numba", "ruptures", "rustures", "sentencex", "blingfire", "chonkie-core", "pysbd")
VECTOR_UNITS = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
"""Flags of the processor, the widest first."""


def describe() -> dict[str, str]:
    """Names and values, in the order in which they are shown."""
    return {
        "processor": processor(),
        "vector unit": vector_unit(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "rustc": rustc(),
        **versions(("skipthink", "numpy", "pyarrow", *PEERS)),
        "date": datetime.date.today().isoformat(),
    }


def processor() -> str:
    """Model, family and stepping: the same model name may stand for several generations."""
    fields = _cpu_fields()
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [
        f"{key.removeprefix('cpu ')} {fields[key]}" for key in ("cpu family", "model") if key in fields
    ]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def vector_unit() -> str:
    """The widest vector unit the processor says it has."""
    fields = _cpu_fields()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    if platform.machine() == "arm64":
        return "NEON"
    return next((name for flag, name in VECTOR_UNITS.items() if flag in flags), "unknown")


def rustc() -> str:
    """Version of the compiler, where there is one."""
    try:
        done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return done.stdout.split()[1]


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of the distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_fields() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text(encoding="utf-8").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
