"""The offline test bed: small students that were pre-trained on primitives, to be fine-tuned on `skipthink.tasks`.

Students are made by `skipthink pretrain` (docs/how-to/testbed.md); small ones come with the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skipthink.exceptions import InvalidInputError

if TYPE_CHECKING:
    from skipthink.student.student import Student

__all__ = ["NAMES", "student", "student_path"]

_FOLDER = Path(__file__).parent / "students"

NAMES: tuple[str, ...] = tuple(sorted(path.parent.name for path in _FOLDER.glob("*/config.json")))
"""Students that come with the package."""


def student(name: str, *, n_chunks: int | None = None) -> Student:
    """A pre-trained student, in float32; nothing is downloaded.

    Args:
        name: one of `NAMES`.
        n_chunks: M; its tokenizer knows the markers of up to 8 chunks, which is what None means.

    Raises:
        InvalidInputError: no such student.
    """
    from skipthink.student.student import Student

    return Student.load(student_path(name), n_chunks=n_chunks)


def student_path(name: str) -> Path:
    """The folder of a student, an ordinary Hugging Face folder with a model card.

    Raises:
        InvalidInputError: no such student.
    """
    if name not in NAMES:
        raise InvalidInputError(
            f"no student {name!r} comes with the package, but {', '.join(NAMES) or 'none'}; "
            "`skipthink pretrain` makes one (docs/how-to/testbed.md), and student.path names its folder"
        )
    return _FOLDER / name
