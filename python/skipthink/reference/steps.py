"""Step splitting, slow and obvious: the oracle of the core's tests (method §3, rules of `docs/reference/steps.md`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skipthink.reference.checks import check_split

# Unicode's White_Space, which is neither `str.isspace` nor `\s`: those take U+001C…U+001F too
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_FULL_STOPS = "。．｡！？؟۔।॥։።፧។៕။"
_TERMINATORS = ".!?…"
_CLOSERS = "\"')]}*_”’»」』）》〉】"
_OPENERS = "\"'([{*_“‘«「『（《〈【"
_DIGITS = "0123456789０１２３４５６７８９"
# letters with accents belong to words
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_CJK = (
    "\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U0003134f"
)
_THAI = "\u0e01-\u0e2e\u0e30-\u0e3a\u0e40-\u0e45\u0e47-\u0e4e\u0e81-\u0ec5\u0ec8-\u0ece\u0edc-\u0edf"
# what stands behind a number or formula that goes on: "n!的值", "5!は"
_PARTICLES = "的是等和与與或种種为為除乘加减減个個有はのとをがにでも은는이가을를의과와"
_KHMER = "\u1000-\u103f\u1050-\u108f\u109a-\u109d\u1780-\u17d3"

_ENVIRONMENT_EDGE = re.compile(r"\\\\|\\(begin|end)\{[A-Za-z]+\*?\}")
_INLINE_MATH = re.compile(r"\$((?:\\[\\$]|\\(?![\\$])|[^\\$\n])+)\$(?![0-9])")
_PRICE = re.compile(rf"\$[0-9][0-9.,]*[;:!?)]*[{SPACES}]+[A-Za-z]{{2}}")
_NUMBER = r"[0-9]{1,3}(?:\.[0-9]{1,2}){0,2}"
_ROMAN = r"ii|iii|iv|vi|vii|viii|ix"
_LABEL = re.compile(
    rf"(?P<word>step|part|case)?[{SPACES}]*(?P<name>{_NUMBER}|[a-z]|{_ROMAN})?", re.ASCII | re.IGNORECASE
)


# ── the word lists of docs/reference/steps.md, compared in lower case ──


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Abbreviations that never end a sentence.
NEVER_END = _words("""
    approx aprox arq avv bspw bzgl bzw capt cf cfr col d.h dott dr dra dres dña e.g ee env evtl exma exmo
    frl gen ggf gov hon hrn i.d i.e ing insb insbes lic lt messrs mgr mlle mlles mme mmes mr mrs ms p.e p.ej
    p.es p.ex pres prof profa rep resp rev sen sgt sig sigg sog sra sras sres srta u.z vgl viz vs z.b z.t
    zzgl
""")

# Abbreviations that do not end a sentence where a digit follows.
BEFORE_NUMBER = _words("""
    max máx mín no nos nr nro nrs num nº núm núms p pag pagg pgs pp pág págs rs
""")

# Abbreviations that do not end a sentence where a digit or a label follows: Fig. A.
BEFORE_LABEL = _words("""
    abb abs abschn anm art aufg bsp cap ch chap cor def ec ecs ej eq eqn eqns eqs es ex fig figs gl kap lem
    para prop pt ref refs sect séc tab tbl thm vol éq
""")

# Abbreviations that end a sentence only where an upper-case letter follows.
BEFORE_UPPER = _words("""
    a.m abr apr aug ave avr blvd bros co corp cu dec dept dez dic déc ecc ene enz est etc feb febr fri ft
    févr hr hrs in inc incl jan janv jr juil jul jun lb lbs ltd ltda min mm mon nov oct okt ott oz p.m
    prelim rd sat sec sep sept sq sun thu thur thurs tue tues u.s.w univ usw wed yd yds yr yrs
""")

# Abbreviations that end a sentence only where a starter follows; dotted acronyms (U.S.) behave the same.
BEFORE_STARTER = _words("""
    a.c al av avda b.sc bd ca chr cia cía d.c ee.uu einschl fr inkl jh m.sc mio mrd mt n.chr o.ä ph.d pr s.o
    s.u sek sr srs st std ste stk str tsd u.a u.u u.ä ud uds uu v.a v.chr vd vds
""")

# Titles that are units in lower case.
TITLES = _words("Hr MM")

# Words that begin sentences far more often than they follow an initial or an acronym.
STARTERS = _words("""
    a according adding after agora ahora all allora alors also although an and another any as assuming at
    because before both but by calculating check combining consider continuing daher damit danach dann
    depois deshalb dividing donc dunque each enfin ensuite entonces finally first for from given half he
    hence her here his how however i if in infine initially insgesamt instead it its jetzt last let logo
    luego multiplying next no not note now nun on once or our plugging poi portanto puis quindi second she
    since so solving some somit step substituting subtracting summing that the their then there therefore
    these they third this those thus to using wait we what when where which while who why with yes you
    zuerst zuletzt
""")

# Words before a one-letter answer: "the answer is B. Alice …".
BEFORE_LETTER = _words("""
    answer antwort are be choice equals est is ist letter option resposta respuesta risposta
""")

# Months and days whose names are no English words: an ordinal number stands before them.
DATES = _words("""
    aprill března desember dez dezember dienstag donnerstag dubna elokuuta feber februar fredag freitag
    heinäkuuta helmikuuta huhtikuuta jaanuar januar joulukuuta juli juni juuli juuni jänner kesäkuuta května
    ledna listopadu lokakuuta lørdag maaliskuuta mai maj mandag marraskuuta marts mittwoch montag märts märz
    okt oktober onsdag prosince samstag sonnabend sonntag srpna syyskuuta søndag tammikuuta tirsdag torsdag
    toukokuuta veebruar září února července června října
""")

# Those that are English words too.
SHARED_DATES = _words("""
    apr april aug august december feb jan mars nov november sep sept september
""")

# Words before the ordinal number of a date.
BEFORE_DATE = _words("""
    ab am bis dem den der des dienstag donnerstag freitag mittwoch montag samstag seit sonnabend sonntag til
    vom zum
""")

# Words before any other ordinal number.
BEFORE_ORDINAL = _words("""
    beim das dem den der des die im jede jeden jeder jedes vom zum zur
""")

# Words that no ordinal number stands before, beside the starters.
BEHIND_NONE = _words("""
    aber auch da das der die dies diese dieser dieses ein eine er es hier ich jetzt man sie was wenn wer wie
    wir
""")

# Words of Thai, Lao and Khmer that go with what follows them.
GO_ON = _words("""
    คือ ดังนั้น ว่า หรือ เพราะ และ ຄື ດັ່ງນັ້ນ ວ່າ ຫຼື ແລະ គឺ ដូច្នេះ និង ឬ
""")

# Words of Thai, Lao and Khmer that go with what stands before them.
JOIN = _words("""
    หรือ และ ຫຼື ແລະ និង ឬ
""")


def split_steps(text: str, *, rules: str | Sequence[str] = "auto") -> list[str]:
    """Splits one text into steps, as `skipthink.split_steps` does.

    Args:
        text: a rationale.
        rules: "auto", "lines", "sentences", or separator strings.

    Returns:
        The steps; `"".join(steps) == text`. Text of white space alone has none.

    Raises:
        InvalidTypeError: no str.
        InvalidInputError: unknown rules, or an empty separator.
    """
    check_split(text, rules)
    if not isinstance(rules, str):
        return _pieces(text, _separator_cuts(text, list(rules)))
    if rules == "lines":
        return _pieces(text, _separator_cuts(text, ["\n"]))
    return _pieces(text, _rule_cuts(text, by_lines=rules == "auto"))


def _pieces(text: str, cuts: list[int]) -> list[str]:
    if not text.strip(SPACES):
        return []
    edges = [0, *cuts, len(text)]
    return [text[start:end] for start, end in zip(edges[:-1], edges[1:], strict=True)]


def _separator_cuts(text: str, separators: list[str]) -> list[int]:
    longest_first = sorted(separators, key=len, reverse=True)
    cuts = [0]
    at = 0
    while at < len(text):
        found = next((one for one in longest_first if text.startswith(one, at)), None)
        if found is None:
            at += 1
            continue
        at = _after_space(text, at + len(found))
        if at < len(text) and text[cuts[-1] : at].strip(SPACES):
            cuts.append(at)
    return cuts[1:]


def _rule_cuts(text: str, *, by_lines: bool) -> list[int]:
    environments = _environments(text)
    cuts = [0]
    at = 0
    while at < len(text):
        end = None
        if (skipped := _skipped(text, at, environments)) is not None:
            at = skipped
        elif text[at] == "\n":
            if by_lines or "\n" in text[at + 1 : _after_space(text, at + 1)]:
                end = at + 1
            at += 1
        elif (end := _space_end(text, cuts[-1], at)) is not None:
            at = end
        elif text[at] == "．" and _is_decimal(text, at):
            at += 1
        elif text[at] in _FULL_STOPS:
            end = at = _after(text, at, _FULL_STOPS + _CLOSERS)
        elif text[at] in _TERMINATORS:
            end = _sentence_end(text, cuts[-1], at)
            at = _after(text, at, _TERMINATORS)
        else:
            at += 1
        if end is not None:
            at = _after_space(text, end)
            if at < len(text) and not _is_marker(text[cuts[-1] : at]):
                cuts.append(at)
    return cuts[1:]


def _after(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _after_space(text: str, at: int) -> int:
    return _after(text, at, SPACES)


# ── what is never cut ──


def _skipped(text: str, at: int, environments: dict[int, int]) -> int | None:
    """The end of what opens at `at` and is read as one, be it a protected span or an opener without closer."""
    if text[at] not in "\\`$<":
        return None
    rest = text[at:]
    if rest[:2] in {r"\\", r"\$", r"\`"}:
        return at + 2
    if rest.startswith("```"):
        closer = text.find("```", at + 3)
        return at + 3 if closer < 0 else closer + 3
    if rest.startswith("$$"):
        return _math_end(text, at, None, "$$") or at + 2
    if rest.startswith(r"\("):
        return _math_end(text, at, r"\(", r"\)")
    if rest.startswith(r"\["):
        return _math_end(text, at, r"\[", r"\]")
    if rest.startswith("\\"):
        return environments.get(at)
    if rest.startswith("`"):
        return _end_of(re.match(r"`[^`\n]*`", rest), at)
    if rest.startswith("<<"):
        return _calculation_end(rest, at)
    if rest.startswith("$"):
        return _inline_math_end(rest, at)
    return None


def _end_of(match: re.Match[str] | None, at: int) -> int | None:
    return match and at + match.end()


def _calculation_end(rest: str, at: int) -> int | None:
    match = re.match(r"<<((?:(?!<<|>>)[^\n])+)>>", rest)
    return at + match.end() if match and _is_tight(match[1]) else None


def _inline_math_end(rest: str, at: int) -> int | None:
    match = _INLINE_MATH.match(rest)
    return at + match.end() if match and _is_tight(match[1]) and not _PRICE.match(rest) else None


def _is_tight(inside: str) -> bool:
    return inside[0] not in SPACES and inside[-1] not in SPACES


def _math_end(text: str, at: int, opener: str | None, closer: str) -> int | None:
    at += 2
    while at < len(text):
        two = text[at : at + 2]
        if two in {r"\\", r"\$"}:
            at += 2
        elif two == closer:
            return at + 2
        elif two == opener or (text[at] == "\n" and "\n" in text[at + 1 : _after_space(text, at + 1)]):
            return None
        else:
            at += 1
    return None


def _environments(text: str) -> dict[int, int]:
    r"""Start to end of every `\\begin{…} … \\end{…}`."""
    ends, open_ones = {}, []
    for edge in _ENVIRONMENT_EDGE.finditer(text):
        if edge[1] == "begin":
            open_ones.append(edge.start())
        elif edge[1] == "end" and open_ones:
            ends[open_ones.pop()] = edge.end()
    return ends


# ── sentences ──


def _is_decimal(text: str, at: int) -> bool:
    return 0 < at < len(text) - 1 and text[at - 1] in _DIGITS and text[at + 1] in _DIGITS


def _space_end(text: str, start: int, at: int) -> int | None:
    """The end of a step behind the letter at `at`, where white space stands for a mark."""
    next_at = _after_space(text, at + 1)
    space = text[at + 1 : next_at]
    if not space or "\n" in space or next_at == len(text):
        return None
    both = text[at] + text[next_at]
    if not re.fullmatch(f"[{_THAI}]{{2}}", both) and (
        not re.fullmatch(f"[{_KHMER}]{{2}}", both) or re.search("[។៕။]", text)
    ):
        return None
    last = re.split(f"[{SPACES}]", text[start : at + 1])[-1]
    return None if last in GO_ON or text.startswith(tuple(JOIN), next_at) else at + 1


def _sentence_end(text: str, start: int, at: int) -> int | None:
    """The end of the sentence, closing marks included, that the terminators at `at` end; None if they do not."""
    run = _after(text, at, _TERMINATORS)
    end = _after(text, run, _CLOSERS)
    marks = text[at:run]
    before = text[start:at]
    after = text[_after_space(text, end) :]
    if not after:
        return end
    if text[end] not in SPACES:
        return end if _is_glued(before, marks, text[run:end], after) else None
    body = after.lstrip(_OPENERS)
    first = body[:1] or " "
    if end > run and first.islower():
        return None
    if marks == ".":
        ends = _period_ends(before, after, body, first)
    elif set(marks) <= {".", "…"}:
        waits = before.rstrip(SPACES).endswith(tuple(",+-*/=<>×÷·"))
        ends = not waits and (_is_upper(first) or (first > "\x7f" and not first.islower()))
    elif marks == "!" and re.search(r"[A-Za-z0-9)]\Z", before):
        ends = not first.islower() and not re.match(r"[-=+/^<>×÷·]|\*(?!\*)", after)
    else:
        ends = not first.islower()
    return end if ends else None


def _is_upper(first: str) -> bool:
    return first.isupper() or first in {"¿", "¡"}


# ── sentences without a space between them ──


def _is_glued(before: str, marks: str, closed: str, after: str) -> bool:
    """Whether a sentence ends at marks that no white space follows."""
    if re.match(f"[{_CJK}]", after.lstrip(_OPENERS)):
        return _ends_before_cjk(before, marks, after)
    shout = set(marks) <= {"!", "?"}
    if (marks == "." or shout) and after[0] in "¿¡":
        return True
    if closed or not (marks == "." or shout):
        return False
    if re.search(rf"[{_CJK}]\Z", before):
        return shout or after[0] in "0123456789" or _has_glued_starter(after)
    return _glued_shout_ends(before, marks, after) if shout else _glued_period_ends(before, after)


def _ends_before_cjk(before: str, marks: str, after: str) -> bool:
    """Whether a sentence ends: "设x=3.则", "真的?好", but not "A.苹果", "n!的值", "等等...然后"."""
    word = _last_word(before)
    letter = re.fullmatch("[A-Za-z]", word)
    if marks == "." and letter and word.isupper():
        return bool(re.search(rf"[{_CJK}=＝][A-Z]\Z", before))
    if marks == ".":
        return not (_is_first_of_list(before, word) or _lower(word) in _ABBREVIATIONS or _is_acronym(word))
    if marks == "!":
        operand = letter or re.search(r"[0-9)]\Z", before)
        return not (operand and after[0] in _PARTICLES)
    return "!" in marks or "?" in marks


def _glued_period_ends(before: str, after: str) -> bool:
    """Whether a sentence ends at a period: "10 cups.The", "10 cups.2. Next"."""
    if re.match("[A-Z]", after):
        return _has_glued_starter(after) and bool(re.search(r"([a-z]{2}|[0-9)])\Z", before))
    return bool(re.match(rf"[0-9]{{1,2}}\.[{SPACES}]", after) and re.search(r"([a-z]{2}|\))\Z", before))


def _glued_shout_ends(before: str, marks: str, after: str) -> bool:
    """Whether a sentence ends: "Wow!So", "Is it 3?Ann says", but not "5!The" and "a.org/b?Name"."""
    if re.search(r"[0-9)]\Z", before):
        return _has_glued_starter(after) or ("?" in marks and _begins_word(after))
    start = len(before)
    while start > 0 and (_is_cased(before[start - 1]) or before[start - 1] in "'’"):
        start -= 1
    is_alone = start == 0 or before[start - 1] in SPACES + _OPENERS
    return is_alone and len(before) - start >= 2 and _is_cased(before[-1]) and _begins_word(after)


def _is_cased(one: str) -> bool:
    return one.islower() or one.isupper()


def _has_glued_starter(after: str) -> bool:
    starter = re.match(rf"([A-Z][a-z]+)[,'’{SPACES}]", after)
    return starter is not None and starter[1].lower() in STARTERS


def _begins_word(after: str) -> bool:
    """Whether a word with a capital begins here and ends within the text: "So ", "Élan, ", "I'm", "Yes. "."""
    end = 1
    while end < len(after) and after[end].islower():
        end += 1
    behind = re.match(rf"[,'’{SPACES}]|[.!?]([{SPACES}]|\Z)", after[end:])
    return after[0].isupper() and (end > 1 or after[0] in "AI") and behind is not None


# ── periods ──


def _period_ends(before: str, after: str, body: str, first: str) -> bool:
    word = _last_word(before)
    if after == body and _completes(word, body):
        return False
    if word in TITLES or before.endswith("c.-à-d"):
        return False
    if (spaced := _spaced(before, word)) is not None:
        return _fulfils(spaced, body, first)
    if before.endswith("J.-C"):
        return _starts_sentence(body)
    if re.fullmatch("[A-Z]", word):
        return _letter_ends(before[:-1].rstrip(SPACES), word, body, first)
    if _is_first_of_list(before, word) or _is_ordinal(before, body):
        return False
    return _fulfils(_lower(word), body, first)


def _fulfils(word: str, body: str, first: str) -> bool:
    """Whether what follows is what a word in lower case needs to end a sentence."""
    if word in NEVER_END:
        return False
    if word in BEFORE_NUMBER or word in BEFORE_LABEL:
        label = re.match(f"([A-Z]|[IVXLC]{{1,12}})(?![A-Z{_LATIN}])", body) and word in BEFORE_LABEL
        return first not in _DIGITS[:10] and not label
    if word in BEFORE_UPPER:
        return _is_upper(first)
    if word in BEFORE_STARTER or _is_acronym(word):
        return _starts_sentence(body)
    return True


_ABBREVIATIONS = NEVER_END | BEFORE_NUMBER | BEFORE_LABEL | BEFORE_UPPER | BEFORE_STARTER


def _completes(word: str, body: str) -> bool:
    """Whether the text goes on with the second part of an abbreviation: "B." behind "z."."""
    second = re.match(rf"([{_LATIN}]{{0,4}})\.", body)
    return second is not None and _lower(f"{word}.{second[1]}") in _ABBREVIATIONS and len(word) <= 2


def _spaced(before: str, word: str) -> str | None:
    """The abbreviation in lower case whose second part a word is: "z.b" for "B" behind "z. "."""
    first = re.search(rf"\.[{SPACES}]+\Z", before[: len(before) - len(word)])
    if first is None:
        return None
    both = _lower(f"{_last_word(before[: first.start()])}.{word}")
    return both if both in _ABBREVIATIONS else None


def _letter_ends(before: str, letter: str, body: str, first: str) -> bool:
    """Whether one upper-case letter and a period end a sentence, or are an initial."""
    if re.match(r"[A-Z]\.", body):
        return False
    if before.endswith("=") or _lower(_last_word(before)) in BEFORE_LETTER:
        return True
    page = letter in "PS" and first in "0123456789"
    return not page and (not _is_upper(first) or _starts_sentence(body))


def _is_first_of_list(before: str, word: str) -> bool:
    return word == "1" and before[:-1].rstrip(SPACES).endswith((":", "："))


def _is_ordinal(before: str, body: str) -> bool:
    """Whether the number that `before` ends in is an ordinal number of what follows: "am 3. Mai"."""
    number = re.search(rf"(?:^|[({SPACES}])([0-9]{{1,3}})\Z", before)
    if number is None:
        return False
    word = re.match(f"[{_LATIN}]*", body)
    name = _lower(word[0]) if word and not re.match("[^\0-\x7f]", body[word.end() :]) else ""
    before = before[: number.start(1)].rstrip(SPACES)
    lead = _lower(re.search("[A-Za-z]*\\Z", before)[0])  # type: ignore[index]
    dated = lead in BEFORE_DATE or before.endswith((",", ":", "("))
    if len(number[1]) <= 2 and (name in DATES or (name in SHARED_DATES and dated)):
        return True
    goes_on = re.search(rf"[0-9]\.[{SPACES}]+(und|bis|oder)\Z", before)
    none = name == "" or len(name.encode()) > 14 or name in BEHIND_NONE or _starts_sentence(body)
    return not none and (lead in BEFORE_ORDINAL or goes_on is not None)


def _last_word(before: str) -> str:
    letters = re.search(rf"[{_LATIN}0-9.º]*\Z", before)
    return letters[0] if letters and len(letters[0].encode()) <= 12 else ""


def _lower(word: str) -> str:
    """A word with the letters of ASCII in lower case."""
    return "".join(one.lower() if one.isascii() else one for one in word)


def _is_acronym(word: str) -> bool:
    return re.fullmatch(r"[A-Za-z](\.[A-Za-z])+", word) is not None


def _starts_sentence(body: str) -> bool:
    word = re.match(r"[A-Za-z]*", body)
    return body[:1] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" and word is not None and word[0].lower() in STARTERS


def _is_marker(step: str) -> bool:
    """Whether a step would hold no more than white space, bullets, or the number of a list item."""
    step = step.strip(SPACES)
    if len(step.encode()) > 24:
        return False
    inner = step.lstrip("*_#>-+•–—=~([（【" + SPACES)
    label = inner.rstrip("*_:.)]：．）、】" + SPACES)
    if not label:
        return True
    closed = any(mark in inner[len(label) :] for mark in ":.)]：．）、")
    match = _LABEL.fullmatch(label)
    return match is not None and (closed or bool(match["word"] and match["name"]))
