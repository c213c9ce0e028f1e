//! Word lists of the sentence rules, lower case, sorted.

/// Abbreviations that never end a sentence.
pub const NEVER_END: &[&str] = &[
    "approx", "capt", "cf", "col", "dr", "e.g", "gen", "gov", "hon", "i.e", "lt", "messrs", "mr", "mrs",
    "ms", "mt", "pres", "prof", "rep", "rev", "sen", "sgt", "st", "viz", "vs",
];

/// Abbreviations that do not end a sentence when a number follows.
pub const BEFORE_NUMBER: &[&str] =
    &["art", "ch", "eq", "eqs", "ex", "fig", "figs", "no", "nos", "p", "para", "pp", "pt", "sec", "vol"];

/// Abbreviations that end a sentence only when one visibly begins after them; dotted acronyms (U.S., p.m.) too.
pub const MAY_END: &[&str] = &[
    "apr", "aug", "ave", "blvd", "co", "corp", "cu", "dec", "dept", "est", "etc", "feb", "fri", "ft", "hr",
    "hrs", "inc", "jan", "jr", "lb", "lbs", "ltd", "min", "mon", "nov", "oct", "oz", "rd", "sat", "sec",
    "sep", "sept", "sq", "sr", "sun", "thu", "thur", "thurs", "tue", "tues", "univ", "wed", "yd", "yr",
    "yrs",
];

/// Words that begin sentences far more often than they follow an initial or an acronym.
pub const STARTERS: &[&str] = &[
    "a",
    "after",
    "all",
    "also",
    "although",
    "an",
    "and",
    "another",
    "any",
    "as",
    "assuming",
    "at",
    "because",
    "before",
    "both",
    "but",
    "by",
    "check",
    "combining",
    "consider",
    "continuing",
    "each",
    "finally",
    "first",
    "for",
    "from",
    "given",
    "he",
    "hence",
    "her",
    "here",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "instead",
    "it",
    "its",
    "last",
    "let",
    "next",
    "no",
    "not",
    "note",
    "now",
    "on",
    "once",
    "or",
    "our",
    "second",
    "she",
    "since",
    "so",
    "some",
    "that",
    "the",
    "their",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "third",
    "this",
    "those",
    "thus",
    "to",
    "using",
    "wait",
    "we",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "with",
    "yes",
    "you",
];

/// Words in front of a one-letter answer: "the answer is B. Alice …".
pub const BEFORE_LETTER: &[&str] = &[
    "and", "answer", "are", "be", "choice", "equals", "has", "is", "letter", "or", "option", "to", "was",
    "with",
];

/// Whether a sorted list holds a word, whatever its case.
pub fn holds(list: &[&str], word: &str) -> bool {
    let mut lower = [0u8; 12];
    let Some(lower) = lower.get_mut(..word.len()) else { return false };
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    list.iter().any(|entry| entry.as_bytes() == lower)
}
