"""Multi-hop yes or no: a person is of a kind, and rules lead from there to a trait or its opposite."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from skipthink.tasks.base import (
    Draft,
    Role,
    Sentences,
    Task,
    capitalised,
    check_int,
    check_share,
    check_words,
)
from skipthink.tasks.words import KINDS, NAMES, TRAITS, both_forms


@dataclass(frozen=True)
class TaskOptions:
    """Difficulty of multi-hop yes or no.

    Attributes:
        n_hops: number of rules to apply one after the other; the last one leads to the trait.
        n_irrelevant: number of rules that nothing leads to, about another trait. In addition, the rules of a second
            chain, about another person, end with the opposite of what is asked.
        names: names of the people in the facts.
        kinds: what a person can be, in the singular; "coach/coaches" names a plural that is not formed with "s".
        traits: what a person can be like.
        styles: styles of rationales: "tell" (rule and conclusion in one sentence), "apply" (in two), "list" (one
            numbered line per rule).
        summary_states_answer: share of rationales whose last sentence repeats the answer.
    """

    n_hops: int = 3
    n_irrelevant: int = 1
    names: Sequence[str] = NAMES
    kinds: Sequence[str] = KINDS
    traits: Sequence[str] = TRAITS
    styles: Sequence[str] = ("tell", "apply", "list")
    summary_states_answer: float = 0.75

    def __post_init__(self) -> None:
        """Checks every option.

        Raises:
            InvalidInputError: an option has the wrong type or is out of bounds.
        """
        check_int("n_hops", self.n_hops, 1, 6)
        check_int("n_irrelevant", self.n_irrelevant, 0, 6)
        check_words("names", self.names, 2)
        check_words("kinds", self.kinds, _n_kinds(self), also="/")
        check_words("traits", self.traits, 1 + self.n_irrelevant)
        check_words("styles", self.styles, 1, tuple(_STYLES))
        check_share("summary_states_answer", self.summary_states_answer)


def _n_kinds(task_options: TaskOptions) -> int:
    return 2 * task_options.n_hops + task_options.n_irrelevant


@dataclass(frozen=True)
class _Rule:
    """A rule: everybody of one kind is of another kind, has a trait, or never has it."""

    kind: str
    then: str
    is_trait: bool
    holds: bool
    form: int

    @property
    def told(self) -> str:
        one, many = both_forms(self.kind)
        if self.is_trait:
            forms = (f"every {one} is {self.then}", f"all {many} are {self.then}")
            denied = (f"no {one} is {self.then}", f"{many} are never {self.then}")
            return (forms if self.holds else denied)[self.form]
        then, thens = both_forms(self.then)
        return (f"every {one} is {_a(then)}", f"all {many} are {thens}")[self.form]

    def concluded(self, name: str) -> str:
        if not self.is_trait:
            return f"{name} is {_a(both_forms(self.then)[0])}"
        return f"{name} is {self.then}" if self.holds else f"{name} is not {self.then}"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@dataclass(frozen=True)
class _Chain:
    """The way from what a person is to the trait."""

    name: str
    kind: str
    rules: tuple[_Rule, ...]

    @property
    def fact(self) -> str:
        return f"{self.name} is {_a(both_forms(self.kind)[0])}"

    @property
    def trait(self) -> str:
        return self.rules[-1].then

    @property
    def answer(self) -> str:
        return "yes" if self.rules[-1].holds else "no"


_QUESTIONS = (
    "Is {name} {trait}?",
    "Is it true that {name} is {trait}?",
    "Can we say that {name} is {trait}?",
)
_STATED = (
    "So the answer is {answer}.",
    "Therefore, the answer is {answer}.",
    "The answer is {answer}.",
)
_UNSTATED = (
    "That is what the question asks about {name}.",
    "All rules that matter are used now.",
    "This settles the question.",
)


def _draw(rng: random.Random, task_options: TaskOptions) -> Draft:
    chain, other, irrelevant = _draw_chains(rng, task_options)
    facts = [chain.fact, other.fact]
    rules = [rule.told for rule in (*chain.rules, *other.rules, *irrelevant)]
    told = [*rng.sample(facts, len(facts)), *rng.sample(rules, len(rules))]
    question = rng.choice(_QUESTIONS).format(name=chain.name, trait=chain.trait)
    separator, sentences = _STYLES[rng.choice(task_options.styles)](rng, chain)
    endings = _STATED if rng.random() < task_options.summary_states_answer else _UNSTATED
    summary = rng.choice(endings).format(answer=chain.answer, name=chain.name)
    return Draft(
        key=(chain.name, chain.kind, *((rule.then, rule.holds) for rule in chain.rules)),
        question=" ".join([*(f"{capitalised(text)}." for text in told), question]),
        answer=chain.answer,
        sentences=(*sentences, (Role.SUMMARY, summary)),
        separator=separator,
    )


def _draw_chains(rng: random.Random, task_options: TaskOptions) -> tuple[_Chain, _Chain, list[_Rule]]:
    """Draws the chain that is asked about, the one that ends with the opposite, and irrelevant rules."""
    n = task_options.n_hops
    kinds = rng.sample(task_options.kinds, _n_kinds(task_options))
    trait, *others = rng.sample(task_options.traits, 1 + task_options.n_irrelevant)
    holds = rng.random() < 0.5
    names = rng.sample(task_options.names, 2)
    chain, other = (
        _Chain(name, own[0], _chained(rng, own, trait, truth))
        for name, own, truth in zip(names, (kinds[:n], kinds[n : 2 * n]), (holds, not holds), strict=True)
    )
    irrelevant = [
        _Rule(kind, then, True, rng.random() < 0.5, rng.randrange(2))
        for kind, then in zip(kinds[2 * n :], others, strict=True)
    ]
    return chain, other, irrelevant


def _chained(rng: random.Random, kinds: Sequence[str], trait: str, holds: bool) -> tuple[_Rule, ...]:
    hops = [
        _Rule(kind, then, False, True, rng.randrange(2)) for kind, then in zip(kinds, kinds[1:], strict=False)
    ]
    return (*hops, _Rule(kinds[-1], trait, True, holds, rng.randrange(2)))


def _tell(rng: random.Random, chain: _Chain) -> tuple[str, Sentences]:
    """Writes rule and conclusion in one sentence."""
    sentences = _setup(rng, chain)
    for index, rule in enumerate(chain.rules):
        if index and rng.random() < 0.35:
            go_on = ("Now we look for a rule about that.", "With this we go on.")
            sentences.append((Role.TRANSITION, rng.choice(go_on)))
        sentences.append((Role.REASONING, f"{capitalised(rule.told)}, so {rule.concluded(chain.name)}."))
    return " ", sentences


def _apply(rng: random.Random, chain: _Chain) -> tuple[str, Sentences]:
    """Repeats a rule in one sentence and applies it in the next."""
    sentences = _setup(rng, chain)
    therefore = rng.choice(("This means that {}.", "It follows that {}.", "Therefore {}."))
    for rule in chain.rules:
        sentences.append(
            (Role.TRANSITION, f"{rng.choice(('The text says that', 'We know that'))} {rule.told}.")
        )
        sentences.append((Role.REASONING, therefore.format(rule.concluded(chain.name))))
    return " ", sentences


def _list_lines(rng: random.Random, chain: _Chain) -> tuple[str, Sentences]:
    """Writes one numbered line per rule."""
    sentences = _setup(rng, chain)
    marker = rng.choice(("{}. ", "Step {}: ", "({}) "))
    for index, rule in enumerate(chain.rules, 1):
        told = f"{capitalised(rule.told)}, so {rule.concluded(chain.name)}."
        sentences.append((Role.REASONING, marker.format(index) + told))
    over = ("All rules about {name} are used.", "The last rule was about the question.")
    sentences.append((Role.TRANSITION, rng.choice(over).format(name=chain.name)))
    return "\n", sentences


def _setup(rng: random.Random, chain: _Chain) -> Sentences:
    aim = (
        "We have to find out whether {name} is {trait}.",
        "Let us follow the rules that are about {name}.",
        "We begin with what we know about {name}.",
    )
    return [
        (Role.SETUP, rng.choice(aim).format(name=chain.name, trait=chain.trait)),
        (Role.SETUP, f"{chain.fact}."),
    ]


_STYLES = {"tell": _tell, "apply": _apply, "list": _list_lines}

TASK = Task(
    name="multi_hop_yes_no",
    answer_kind="yes_no",
    options=TaskOptions,
    draw=_draw,
    pools=lambda task_options: {
        "names": 2,
        "kinds": _n_kinds(task_options),
        "traits": 1 + task_options.n_irrelevant,
    },
)
