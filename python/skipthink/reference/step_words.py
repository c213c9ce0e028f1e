"""The word lists of the sentence rules, as `docs/steps.md` gives them; compared in lower case."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Abbreviations that never end a sentence.
NEVER_END = _words("""
    approx capt cf col dr e.g gen gov hon i.e lt messrs mr mrs ms pres prof rep rev sen sgt viz vs
""")

#: Abbreviations that do not end a sentence where a digit follows.
BEFORE_NUMBER = _words("art ch eq eqs ex fig figs no nos p para pp pt vol")

#: Abbreviations that end a sentence only where an upper-case letter follows.
BEFORE_UPPER = _words("""
    a.m apr aug ave blvd bros co corp cu dec dept est etc feb fri ft hr hrs in inc incl jan jr lb lbs ltd min
    mon nov oct oz p.m prelim rd sat sec sep sept sq sr sun thu thur thurs tue tues univ wed yd yds yr yrs
""")

#: Abbreviations that end a sentence only where a starter follows; dotted acronyms (U.S.) behave the same.
BEFORE_STARTER = _words("mt st")

#: Words that begin sentences far more often than they follow an initial or an acronym.
STARTERS = _words("""
    a according adding after all also although an and another any as assuming at because before both but by
    calculating check combining consider continuing dividing each finally first for from given half he hence
    her here his how however i if in initially instead it its last let multiplying next no not note now on
    once or our plugging second she since so solving some step substituting subtracting summing that the
    their then there therefore these they third this those thus to using wait we what when where which while
    who why with yes you
""")

#: Words before a one-letter answer: "the answer is B. Alice …".
BEFORE_LETTER = _words("answer are be choice equals is letter option")
