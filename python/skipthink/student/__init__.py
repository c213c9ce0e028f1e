"""The student: its model and tokenizer, what stands around a question, how it reads and writes."""

from typing import TYPE_CHECKING

from skipthink.lazy import lazy_names

if TYPE_CHECKING:
    from skipthink.student.student import Answer, Student

__all__ = ["Answer", "Student"]

__getattr__ = lazy_names(__name__, {"Answer": "student", "Student": "student"})
