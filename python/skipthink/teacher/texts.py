"""Comparison of texts: words, scripts of letters, and overlaps of training and test questions."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from skipthink.data.splits import question_key

N_GRAM = 13
"""Words in a row that no two questions share by chance (Brown et al. 2020, appendix C)."""
SCRIPTS = {"CJK": "HAN", "HIRAGANA": "HAN", "KATAKANA": "HAN", "HANGUL": "HANGUL"}
_EVERYWHERE = frozenset({"GREEK", "MATHEMATICAL", "MODIFIER", "SUPERSCRIPT", "SUBSCRIPT", "DOUBLE", "SCRIPT"})
"""Scripts of formulas: they stand in texts of every language."""
# a letter of Chinese or Japanese is a word of its own
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_LATIN_SYMBOL = 2
"""Latin letters in a row that are units and variables, cm or x, in a text of another script."""


def find_words(text: str) -> list[str]:
    """Words and numbers of a text, in one case."""
    return _WORD.findall(text.casefold())


def similarity(left: set[str], right: set[str]) -> float:
    """Share of the words of two texts that occur in both (Jaccard index)."""
    return len(left & right) / len(left | right) if left or right else 1.0


@functools.lru_cache(4096)
def script_of(letter: str) -> str:
    """Script of a letter, by the first word of its Unicode name."""
    name = unicodedata.name(letter, "UNKNOWN").split()[0].partition("-")[0]
    return SCRIPTS.get(name, name)


def foreign_share(text: str, language: str, question: str) -> float:
    """Share of a text's letters that belong to another script than the given one.

    Letters of formulas do not count, nor do Latin units and variables within other scripts.

    Args:
        text: a rationale.
        language: "question": any script of the question's; "any"; or the name of a script.
        question: the question.
    """
    if language == "any":
        return 0.0
    wanted = set(_scripts(question)) if language == "question" else {language.upper()}
    if not wanted:  # a question of formulas alone
        return 0.0
    found = _scripts(text)
    if "LATIN" not in wanted:
        symbols = [run for run in _LETTERS.findall(text) if len(run) <= _LATIN_SYMBOL]
        found["LATIN"] -= sum(script_of(letter) == "LATIN" for run in symbols for letter in run)
    n_foreign = sum(count for script, count in found.items() if script not in wanted)
    n_letters = sum(found.values())
    return n_foreign / n_letters if n_letters else 0.0


def _scripts(text: str) -> Counter[str]:
    counts = Counter(script_of(letter) for run in _LETTERS.findall(text) for letter in run)
    return Counter({script: count for script, count in counts.items() if script not in _EVERYWHERE})


class Contamination:
    """Contents of the test questions, to be found in training questions and rationales.

    Args:
        questions: questions of validation and test.
    """

    def __init__(self, questions: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._masked: set[str] = set()
        self._grams: set[bytes] = set()
        for question in questions:
            self._exact.add(question_key(question))
            self._masked.add(_mask(question))
            self._grams.update(_n_grams(question))

    def find(self, question: str) -> list[str]:
        """Kinds of overlap of a question with test questions: exact, numbers (everything except numbers), 13-grams."""
        found = []
        if question_key(question) in self._exact:
            found.append("exact")
        if _mask(question) in self._masked:
            found.append("numbers")
        if self.shares_words(question):
            found.append("13-grams")
        return found

    def shares_words(self, text: str) -> bool:
        """Whether a text shares 13 consecutive words with a test question."""
        return not self._grams.isdisjoint(_n_grams(text))


def _mask(question: str) -> str:
    return _NUMBER.sub("#", question_key(question))


def _n_grams(text: str) -> Iterable[bytes]:
    words = find_words(text)
    for start in range(len(words) - N_GRAM + 1):
        yield hashlib.blake2b(" ".join(words[start : start + N_GRAM]).encode(), digest_size=12).digest()
