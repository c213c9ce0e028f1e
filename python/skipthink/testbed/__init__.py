"""The offline test bed: small students that were pre-trained on primitives, to be fine-tuned on `skipthink.tasks`.

Students are made by `skipthink pretrain` (docs/testbed.md); small ones come with the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skipthink.exceptions import InvalidInputError
from skipthink.student.models import load_student

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["NAMES", "student", "student_path"]

_FOLDER = Path(__file__).parent / "students"

NAMES: tuple[str, ...] = tuple(sorted(path.parent.name for path in _FOLDER.glob("*/config.json")))
"""Students that come with the package."""


def student(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A pre-trained student and its tokenizer, which knows the markers of up to 8 chunks; nothing is downloaded.

    Args:
        name: one of `NAMES`.

    Returns:
        The model, in float32, and the tokenizer.

    Raises:
        InvalidInputError: no such student.
    """
    return load_student(student_path(name))


def student_path(name: str) -> Path:
    """The folder of a student, an ordinary Hugging Face folder with a model card.

    Raises:
        InvalidInputError: no such student.
    """
    if name not in NAMES:
        raise InvalidInputError(
            f"no student {name!r} comes with the package, but {', '.join(NAMES) or 'none'}; "
            "`skipthink pretrain` makes one (docs/testbed.md), and student.path names its folder"
        )
    return _FOLDER / name
