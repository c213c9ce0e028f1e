"""Yes and no, with their negations, and the words of other languages at the beginning of an answer."""

from __future__ import annotations

import re

from skipthink.answers.notation import plain_words

# "no" in front of a word is mostly no answer ("there is no evidence"), except where it opens the text
_WORD = re.compile(
    r"\b(?:(?P<no>false|untrue|\Ano|no(?!\s+\w))|(?P<yes>yes|true))\b"
    r"(?P<open>\s*(?:/|\bor\b)\s*(?:no|false|yes|true|not)\b)?",
    re.IGNORECASE,
)
_FILLERS = (
    "be|been|seem|seems|appear|look|really|actually|quite|entirely|at|all|necessarily|likely|to|a|the|considered|always"
    "|strictly|completely|fully|exactly|even|in|fact|simply|answer|is|it|that|this|wholly|totally|generally|think|believe|say|possibly|ever|truly|just|so|very"
)
_NEGATED = re.compile(
    rf"(?:\b(?:not|never|cannot|neither|hardly|far\s+from|nothing\s+like|no\s+(?:way|longer))|n['’]t|\b(?:is|was|are|does|do|ca|wo)nt)"
    rf"(?:\s+(?:{_FILLERS})){{0,4}}[\s\"'“”*:]+$",
    re.IGNORECASE,
)
_NEAR = 60
WHOLE_YES_NO = re.compile(r"(?:yes|no|true|false)\.?", re.IGNORECASE)
_OTHER = re.compile(
    r"[\W_]*(?:(?P<no>nein|non|não|nao|nee|нет|لا|いいえ|不是(?:的)?|不对|不對|不正确|不正確|不|否|错误?|錯誤?|假|아니[요오]?|नहीं"
    r"|falsch|unwahr|nicht\s+(?:wahr|richtig)|faux|falso|no\s+es\s+(?:cierto|verdad)|não\s+é\s+verdade)"
    r"|(?P<yes>ja|jawohl|oui|sí|si|sim|sì|да|نعم|はい|是的?|对|對|正确|正確|真|네|예|हाँ|wahr|richtig|vrai|cierto|verdad|verdadero"
    r"|verdade|verdadeiro|vero))"
    r"(?:です|でした|입니다|이다)?(?=[\"'”»」』*)]*\s*(?:[.,;:!。，、！；：]|$))",
    re.IGNORECASE,
)


def find_yes_no(text: str, stated: bool) -> str | None:
    """Finds "yes" or "no": the first after "the answer is", else the last; "not true" is no, "yes or no" is neither."""
    text = plain_words(text).strip().lstrip("\"'“*(")
    found = None
    for match in _WORD.finditer(text):
        if match["open"] is None:
            found = match
            if stated:
                break
    if found is None:
        other = _OTHER.match(text)
        return None if other is None else "yes" if other["yes"] else "no"
    is_negated = _NEGATED.search(text, max(0, found.start() - _NEAR), found.start()) is not None
    return "yes" if (found["yes"] is not None) != is_negated else "no"
