"""Loads a trained student and asks it questions.

    python examples/ask_a_student.py FOLDER QUESTION...

FOLDER is the `model` folder of a trained method, such as runs/demo/train/stt/s0/model.
"""

from __future__ import annotations

import sys

from skipthink.student import Student


def main(folder: str, questions: list[str]) -> None:
    student = Student.load(folder)
    print(student)
    for question, answer in zip(questions, student.answer(questions), strict=True):
        print(f"\n{question}\n{answer.chain}")
        print(f"answer: {answer.text} ({answer.written.n_generated} tokens)")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
