"""What a text states as facts (numbers, names, options), and keys under which questions are the same.

Facts are found by cheap rules that know no task (docs/how-to/audit.md): they say which steps bring something new, and
what to leave out of a question before it is compared with another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Set
from typing import NamedTuple

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: float(value) for value, word in enumerate(_SMALL.split())} | {
    word: 10.0 * value for value, word in enumerate(_TENS.split(), 3)
}
NUMBER_WORDS = {
    form: value for word, value in _VALUES.items() for form in (word, word.capitalize(), word.upper())
}
"""English words from zero to twenty and the tens, in lower, title and upper case, with their values."""

_WIDE = "぀-ヿ㐀-鿿가-힯"  # scripts that are written without spaces: a character is a token
TOKEN = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")
"""What counts as a token where no tokenizer is given: a word, a number, a mark, a character of Chinese or Japanese."""
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]+")
_LETTERS = re.compile(r"[^\W_]+")
_NUMBER_OR_WORD = re.compile(rf"{_NUMBER.pattern}|{_WORD.pattern}")
# a capital behind a word, a number or a comma opens no sentence
_INNER_CAPITAL = re.compile(r"(?:(?<=[^\W_][ ])|(?<=[,;&][ ]))[^\W\d_a-z][^\W\d_]+")
_OPTION = re.compile(r"[(\[]([A-Z])[)\]]|\b(?:[Oo]ption|[Cc]hoice)\s+\"?([A-Z])\b(?!')")
_LIST_NUMBER = re.compile(r"[\s#>*_-]*(?:[Ss]tep\s+)?(\d{1,3})[.):](?=[\s*_]|$)")

Fact = float | str


class Keys(NamedTuple):
    """Keys of a question, from the strictest: questions are the same where a key is.

    Attributes:
        spelling: its letters and digits, without case, white space, punctuation and Unicode form.
        numbers: the same, with every number as one mark.
        names: the same, with every run of names as one mark too.
    """

    spelling: str
    numbers: str
    names: str


def find_names(texts: Iterable[str]) -> frozenset[str]:
    """The words that are names in these texts.

    A name has two letters or more and stands with a capital inside sentences (behind a word, a number or a comma) more
    often than it stands in lower case. In languages that give every noun a capital, nouns are names too; scripts
    without case have none.
    """
    inner: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for text in texts:
        inner.update(_INNER_CAPITAL.findall(text))
        words.update(_WORD.findall(text))
    return frozenset(
        word
        for word, count in inner.items()
        if word[0].isupper() and count > words[word.lower()] and word not in NUMBER_WORDS
    )


def find_numbers(text: str) -> set[float]:
    """The values of the numbers of a text, in digits or as one of `NUMBER_WORDS`; signs and units aside."""
    found = {float(number.replace(",", "")) for number in _NUMBER.findall(text)}
    found.update(NUMBER_WORDS[word] for word in NUMBER_WORDS.keys() & set(_WORD.findall(text)))
    return found


def find_options(text: str) -> set[str]:
    """The letters of the options a text names, as "(B)", "[B]", "option B" or "choice B", in brackets: "(B)"."""
    return {f"({first or second})" for first, second in _OPTION.findall(text)}


def find_facts(text: str, names: Set[str]) -> tuple[set[Fact], int]:
    """The facts of a step, and how many tokens (`TOKEN`) it has.

    Args:
        text: a step; the number of its list ("2. ") is a number like any other.
        names: the words that are names.

    Returns:
        Numbers as floats, names in lower case, options as "(B)"; and the number of tokens.
    """
    tokens = TOKEN.findall(text)
    words = set(tokens)
    facts: set[Fact] = {name.lower() for name in words & names}
    facts.update(NUMBER_WORDS[word] for word in words & NUMBER_WORDS.keys())
    facts.update(float(number.replace(",", "")) for number in _NUMBER.findall(text))
    if "(" in words or "[" in words or "ption" in text or "hoice" in text:
        facts.update(find_options(text))
    return facts, len(tokens)


def list_number(text: str) -> float | None:
    """The number a step has in its list ("2. Then", "**Step 2:** Then"), None where it has none."""
    match = _LIST_NUMBER.match(text)
    return float(match[1]) if match else None


def cut_list_number(text: str) -> tuple[str, str]:
    """A step's number in its list with the signs about it ("**Step 2:"), empty where it has none, and the rest."""
    match = _LIST_NUMBER.match(text)
    end = match.end() if match else 0
    return text[:end], text[end:]


def question_facts(question: str) -> set[Fact]:
    """What a question gives: its numbers, and its words in lower case, so that none of them is a new name."""
    words = set(TOKEN.findall(question))
    given: set[Fact] = {word.lower() for word in words}
    given.update(float(number.replace(",", "")) for number in _NUMBER.findall(question))
    given.update(NUMBER_WORDS[word] for word in words & NUMBER_WORDS.keys())
    return given


def question_keys(question: str, names: Set[str]) -> Keys:
    """The keys of a question; `names` are the words that are names."""
    text = unicodedata.normalize("NFKC", question)
    parts = _NUMBER_OR_WORD.findall(text)
    masked = ["#" if part[0].isdigit() or part in NUMBER_WORDS else part for part in parts]
    unnamed: list[str] = []
    for part in masked:
        if part not in names:
            unnamed.append(part)
        elif unnamed[-1:] != ["@"]:  # "Ann Lee" is one name, as "Ann" is
            unnamed.append("@")
    return Keys(*("".join(key).casefold() for key in (_LETTERS.findall(text), masked, unnamed)))
