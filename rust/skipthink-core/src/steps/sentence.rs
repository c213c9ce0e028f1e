//! Where sentences end.

use super::words::{BEFORE_LETTER, BEFORE_NUMBER, MAY_END, NEVER_END, STARTERS, holds};

/// Bytes that a list marker has at most; what is longer is text.
const LONGEST_MARKER: usize = 24;

/// Looks at a terminator at `at`, in a step that starts at `start`. `Ok(end)`: the sentence ends at `end`, its
/// closing quotes and brackets included. `Err(next)`: it does not; go on at `next`.
pub fn end(text: &str, start: usize, at: usize) -> Result<usize, usize> {
    let Some(first) = text[at..].chars().next() else { return Err(text.len()) };
    if is_wide(first) {
        return Ok(after(text, at, |one| is_wide(one) || is_closer(one)));
    }
    if !is_terminator(first) {
        return Err(at + first.len_utf8());
    }
    let run = after(text, at, is_terminator);
    let end = after(text, run, is_closer);
    let next = after(text, end, char::is_whitespace);
    if end == text.len() {
        return Ok(end);
    }
    if next == end {
        return Err(run);
    }
    let follows = Follows::read(&text[next..]);
    let ends = match &text[at..run] {
        "." => period_ends(text, start, at, &follows),
        "!" if "=+-*/×÷<>^".contains(follows.first)
            && text[..at].ends_with(|one: char| one.is_ascii_alphanumeric() || one == ')') =>
        {
            false
        }
        _ => !follows.first.is_lowercase(),
    };
    if ends { Ok(end) } else { Err(run) }
}

/// Whether a step would be nothing but white space or a list marker: "1.", "a)", "-", "**Step 2:**", "### Part 3".
pub fn is_marker(step: &str) -> bool {
    let step = step.trim();
    if step.len() > LONGEST_MARKER {
        return false;
    }
    let inner = step.trim_start_matches(|one: char| "*_#>-+•( \t".contains(one));
    let inner = inner.trim_end_matches(|one: char| "*_:.) \t".contains(one));
    if inner.is_empty() {
        return true;
    }
    // a lone number or letter is a marker only with its punctuation: "3" on a line may be an answer
    let bare = inner.len() == step.len();
    let (word, rest) =
        inner.split_at(inner.find(|one: char| !one.is_ascii_alphabetic()).unwrap_or(inner.len()));
    let rest = rest.trim_start();
    let number = |digits: &str| {
        !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|one| one.is_ascii_digit())
    };
    if word.is_empty() {
        return !bare && number(rest);
    }
    let label = ["step", "part", "case"].iter().any(|label| word.eq_ignore_ascii_case(label));
    (label && (rest.is_empty() && !bare || number(rest))) || (!bare && rest.is_empty() && word.len() == 1)
}

/// What comes behind a possible sentence end: its first character, opening quotes and brackets aside, and the
/// ASCII word it begins.
struct Follows<'a> {
    first: char,
    word: &'a str,
}

impl<'a> Follows<'a> {
    fn read(text: &'a str) -> Self {
        let text = text.trim_start_matches(|one: char| "([{\"'“‘*_".contains(one));
        let length = text.bytes().take(13).take_while(u8::is_ascii_alphabetic).count();
        Self { first: text.chars().next().unwrap_or(' '), word: &text[..length] }
    }

    fn starts_sentence(&self) -> bool {
        self.first.is_uppercase() && holds(STARTERS, self.word)
    }
}

fn period_ends(text: &str, start: usize, at: usize, follows: &Follows<'_>) -> bool {
    let word = word_before(text, start, at);
    let mut letters = word.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        if letter.is_ascii_uppercase() {
            return initial_ends(text, start, at - 1, follows);
        }
    }
    if holds(NEVER_END, word) {
        return false;
    }
    if follows.first.is_ascii_digit() && holds(BEFORE_NUMBER, word) {
        return false;
    }
    if word.contains('.') && word.bytes().any(|one| one.is_ascii_alphabetic()) && is_acronym(word) {
        return follows.starts_sentence();
    }
    if holds(MAY_END, word) {
        return follows.first.is_uppercase();
    }
    true
}

/// "J. K. Rowling" goes on, "the answer is B. Alice …" and "It is C. Then …" end.
fn initial_ends(text: &str, start: usize, letter: usize, follows: &Follows<'_>) -> bool {
    let before = text[start..letter].trim_end();
    let previous = word_before(text, start, start + before.len());
    !follows.first.is_uppercase() || follows.starts_sentence() || holds(BEFORE_LETTER, previous)
}

/// Letters, digits and dots directly before a position, at most 12 of them; longer words are no abbreviations.
fn word_before(text: &str, start: usize, at: usize) -> &str {
    let bytes = &text.as_bytes()[start..at];
    let length =
        bytes.iter().rev().take(13).take_while(|one| one.is_ascii_alphanumeric() || **one == b'.').count();
    if length > 12 { "" } else { &text[at - length..at] }
}

/// "U.S", "p.m", "a.k.a": single letters between dots.
fn is_acronym(word: &str) -> bool {
    word.split('.').all(|part| part.len() == 1 && part.bytes().all(|one| one.is_ascii_alphabetic()))
}

fn after(text: &str, at: usize, holds: impl Fn(char) -> bool) -> usize {
    text.len() - text[at..].trim_start_matches(holds).len()
}

fn is_terminator(one: char) -> bool {
    matches!(one, '.' | '!' | '?' | '…')
}

fn is_wide(one: char) -> bool {
    matches!(one, '。' | '！' | '？')
}

fn is_closer(one: char) -> bool {
    matches!(one, '"' | '\'' | ')' | ']' | '}' | '*' | '_' | '”' | '’' | '»' | '」' | '』' | '）')
}
