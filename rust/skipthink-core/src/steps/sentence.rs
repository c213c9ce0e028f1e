//! Where sentences end.

use super::glued::Glued;
use super::ordinals::{is_latin, is_ordinal};
use super::scripts::{self, is_digit, is_full_stop};
use super::spaces;
use super::words::{
    Abbreviation, LONGEST, Word, abbreviation, begins_with_starter, is_before_letter, spaced_abbreviation,
};

/// What the word before the period at `at`, in a step that starts at `start`, tells of a period with white space up to
/// `next` behind it.
#[inline]
pub fn word_before(bytes: &[u8], start: usize, at: usize, next: usize) -> Word {
    // the last bytes of the step, the last one highest, zeros before its start
    let last = if let Some(last) = bytes[..at].last_chunk() {
        u64::from_le_bytes(*last)
    } else {
        bytes[..at].iter().fold(0, |last, byte| last >> 8 | u64::from(*byte) << 56)
    };
    let outside = 64 - 8 * (at - start).min(8) as u32;
    Word::read(last >> outside.min(63) << outside.min(63), || match &bytes[next..] {
        [first, second, third, fourth, ..] => u32::from_le_bytes([*first, *second, *third, *fourth]),
        rest => rest.iter().rev().fold(0, |behind, byte| behind << 8 | u32::from(*byte)),
    })
}

/// Whether the period at `at`, with no white space behind it, stands within a word or between two digits: "e.g.",
/// "3.5".
#[inline]
pub fn is_inner_period(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at + 1) {
        Some(b'a'..=b'z') => true,
        Some(b'0'..=b'9') => at > 0 && bytes[at - 1].is_ascii_digit(),
        _ => false,
    }
}

/// Looks at the terminators at `at`, in a step that starts at `start`. `Ok(end)`: the sentence ends at `end`, its
/// closing quotes and brackets included. `Err(next)`: it does not; go on at `next`.
pub fn end(text: &str, start: usize, at: usize) -> Result<usize, usize> {
    let Some(first) = text[at..].chars().next() else { return Err(text.len()) };
    if !first.is_ascii() && is_full_stop(first) {
        let behind = at + first.len_utf8();
        if first == '．' && is_decimal(&text[..at], &text[behind..]) {
            return Err(behind);
        }
        return Ok(after(text, at, |one| is_full_stop(one) || is_closer(one)));
    }
    if !is_terminator(first) {
        return Err(at + first.len_utf8());
    }
    let run = after(text, at + first.len_utf8(), is_terminator);
    let end = after(text, run, is_closer);
    let next = spaces::after(text, end);
    if next == text.len() {
        return Ok(end);
    }
    let mark = Mark { text, start, at };
    if next == end {
        let glued = Glued { mark, marks: &text[at..run], is_closed: end > run, behind: &text[end..] };
        return if glued.ends() { Ok(end) } else { Err(run) };
    }
    let follows = Follows::read(&text[next..]);
    // "(not 4.) and": what is closed goes on
    let goes_on = end > run && follows.is_lower();
    if !goes_on && mark.ends(&text[at..run], &text[next..], &follows) { Ok(end) } else { Err(run) }
}

/// The end of the letter at `at`, in a step that starts at `start`, where the white space behind it stands for a mark
/// that ends the step. `has_marks`: whether the text has marks of Khmer or Burmese.
pub fn space_end(text: &str, start: usize, at: usize, has_marks: impl FnOnce() -> bool) -> Option<usize> {
    let letter = text[at..].chars().next()?;
    let end = at + letter.len_utf8();
    let next = spaces::after(text, end);
    let is_space = next > end && !text.as_bytes()[end..next].contains(&b'\n');
    let follows = text[next..].chars().next().filter(|_| is_space)?;
    let ends = scripts::ends_at_space(letter, follows, has_marks)
        && !scripts::is_joined(&text[start..end], &text[next..]);
    ends.then_some(end)
}

/// Terminators at `at`, in a step that starts at `start`.
#[derive(Clone, Copy)]
pub struct Mark<'a> {
    text: &'a str,
    start: usize,
    at: usize,
}

impl<'a> Mark<'a> {
    fn ends(self, marks: &str, behind: &str, follows: &Follows<'_>) -> bool {
        if marks == "." {
            return self.period_ends(follows);
        }
        if marks.chars().all(|one| matches!(one, '.' | '…')) {
            let waits = self.last().is_some_and(|one| one == ',' || is_operator(one));
            return !waits && (follows.is_upper() || !(follows.first.is_ascii() || follows.is_lower()));
        }
        if marks == "!" && self.is_factorial(behind) {
            return false;
        }
        !follows.is_lower()
    }

    fn period_ends(self, follows: &Follows<'_>) -> bool {
        let word = self.word();
        if follows.completes(word) || self.is_title(word) {
            return false;
        }
        if let Some(needs) = self.spaced(word) {
            return follows.fulfil(needs);
        }
        if word.len() == 1 && word.as_bytes()[0].is_ascii_uppercase() {
            return if word == "C" && self.step().ends_with("J.-C") {
                follows.is_starter()
            } else {
                self.letter_ends(word, follows)
            };
        }
        if self.is_first_of_list(word) {
            return false; // a list begins: "the steps: 1. First …"
        }
        if word.ends_with(|one: char| one.is_ascii_digit())
            && is_ordinal(self.text, self.start, self.at, follows.body)
        {
            return false;
        }
        match abbreviation(word) {
            Some(needs) => follows.fulfil(needs),
            None => !is_acronym(word) || follows.is_starter(),
        }
    }

    /// Whether one upper-case letter and a period end a sentence, or are an initial: "The answer is B. Then" and
    /// "J. K. Rowling".
    fn letter_ends(self, letter: &str, follows: &Follows<'_>) -> bool {
        if let [b'A'..=b'Z', b'.', ..] = follows.body.as_bytes() {
            return false;
        }
        let before = self.text[self.start..self.at - 1].trim_end();
        if before.ends_with('=') || is_before_letter(last_word(before)) {
            return true;
        }
        let is_page = matches!(letter, "P" | "S") && follows.first.is_ascii_digit();
        !is_page && (!follows.is_upper() || follows.is_starter())
    }

    /// The abbreviation whose second part a word is: "B." behind "z.".
    fn spaced(self, word: &str) -> Option<Abbreviation> {
        let before = &self.text[self.start..self.at - word.len()];
        let is_none = matches!(before.as_bytes(), [.., b'!'..=b'-' | b'/'..=b'~', b' '] | [.., b'!'..=b'~']);
        if word.len() > 3 || is_none {
            return None;
        }
        let first = before.trim_end().strip_suffix('.').filter(|_| before.ends_with(char::is_whitespace))?;
        spaced_abbreviation(last_word(first), word)
    }

    /// Titles that are units in lower case, and the French "c.-à-d.".
    fn is_title(self, word: &str) -> bool {
        matches!(word, "Hr" | "MM") || (word == "d" && self.text[self.start..self.at].ends_with("c.-à-d"))
    }

    pub fn is_first_of_list(self, word: &str) -> bool {
        word == "1" && matches!(self.before(1), Some(':' | '：'))
    }

    fn is_factorial(self, behind: &str) -> bool {
        let last = self.text[self.start..self.at].bytes().next_back();
        let is_operand = last.is_some_and(|one| one.is_ascii_alphanumeric() || one == b')');
        let operator = behind.chars().next().unwrap_or(' ');
        is_operand
            && match operator {
                '*' => !behind.starts_with("**"),
                one => one == '^' || is_operator(one),
            }
    }

    pub fn word(self) -> &'a str {
        last_word(self.step())
    }

    /// The step up to the marks.
    pub fn step(self) -> &'a str {
        &self.text[self.start..self.at]
    }

    /// The last character before the marks that is no white space.
    pub fn last(self) -> Option<char> {
        self.before(0)
    }

    /// The same, `skipped` bytes before the marks.
    fn before(self, skipped: usize) -> Option<char> {
        self.text[self.start..self.at - skipped].trim_end().chars().next_back()
    }
}

/// What comes behind white space: `body` without opening quotes and brackets, and its first character.
struct Follows<'a> {
    body: &'a str,
    first: char,
    is_opened: bool,
}

impl<'a> Follows<'a> {
    fn read(behind: &'a str) -> Self {
        let body = &behind[after(behind, 0, is_opener)..];
        Self { body, first: body.chars().next().unwrap_or(' '), is_opened: body.len() < behind.len() }
    }

    /// Whether it is what an abbreviation needs to end a sentence.
    fn fulfil(&self, needs: Abbreviation) -> bool {
        match needs {
            Abbreviation::Never => false,
            Abbreviation::NoDigit => !self.first.is_ascii_digit(),
            Abbreviation::NoLabel => !self.is_label(),
            Abbreviation::Upper => self.is_upper(),
            Abbreviation::Starter => self.is_starter(),
        }
    }

    fn is_upper(&self) -> bool {
        self.first.is_uppercase() || matches!(self.first, '¿' | '¡')
    }

    /// Whether it is the second part of an abbreviation of which a word is the first: "B." behind "z.".
    fn completes(&self, word: &str) -> bool {
        if !matches!(word.as_bytes(), [b'A'..=b'z'] | [b'A'..=b'z', b'A'..=b'z']) || self.is_opened {
            return false;
        }
        let length = self.body.chars().take(4).take_while(|one| is_latin(*one)).map(char::len_utf8).sum();
        let (second, behind) = self.body.split_at(length);
        behind.starts_with('.') && spaced_abbreviation(word, second).is_some()
    }

    /// "3", "A", "B2", "IV".
    fn is_label(&self) -> bool {
        let bytes = self.body.as_bytes();
        let letters = bytes.iter().take(LONGEST).take_while(|one| one.is_ascii_uppercase()).count();
        let behind = self.body[letters..].chars().next().unwrap_or(' ');
        let is_roman = bytes[..letters].iter().all(|one| b"IVXLC".contains(one));
        self.first.is_ascii_digit() || (letters > 0 && (letters == 1 || is_roman) && !is_latin(behind))
    }

    fn is_lower(&self) -> bool {
        self.first.is_lowercase()
    }

    fn is_starter(&self) -> bool {
        begins_with_starter(self.body)
    }
}

/// Latin letters, digits and dots at the end of a text; empty where they are more than any word of the lists.
pub fn last_word(text: &str) -> &str {
    let is_part = |one: &u8| one.is_ascii_alphanumeric() || *one == b'.';
    let length = text.bytes().rev().take(LONGEST + 1).take_while(is_part).count();
    let (front, word) = text.split_at(text.len() - length);
    if length <= LONGEST && front.as_bytes().last().is_some_and(|one| !one.is_ascii()) {
        return last_accented_word(text);
    }
    if length > LONGEST { "" } else { word }
}

fn last_accented_word(text: &str) -> &str {
    let is_part = |one: &char| is_latin(*one) || one.is_ascii_digit() || matches!(one, '.' | 'º');
    let length: usize = text.chars().rev().take(LONGEST + 1).take_while(is_part).map(char::len_utf8).sum();
    if length > LONGEST { "" } else { &text[text.len() - length..] }
}

/// "U.S", "a.k.a": single letters between dots.
pub fn is_acronym(word: &str) -> bool {
    let letter = |part: &str| part.len() == 1 && part.as_bytes()[0].is_ascii_alphabetic();
    word.len() > 1 && word.split('.').all(letter)
}

/// The end of what begins at `at` and holds.
#[inline]
fn after(text: &str, at: usize, holds: impl Fn(char) -> bool) -> usize {
    // most often there is nothing
    match text.as_bytes().get(at) {
        Some(byte) if byte.is_ascii() && !holds(char::from(*byte)) => at,
        _ => text.len() - text[at..].trim_start_matches(holds).len(),
    }
}

fn is_decimal(before: &str, behind: &str) -> bool {
    before.ends_with(is_digit) && behind.starts_with(is_digit)
}

fn is_terminator(one: char) -> bool {
    matches!(one, '.' | '!' | '?' | '…')
}

pub fn is_operator(one: char) -> bool {
    matches!(one, '+' | '-' | '*' | '/' | '=' | '<' | '>' | '×' | '÷' | '·')
}

fn is_closer(one: char) -> bool {
    matches!(
        one,
        '"' | '\'' | ')' | ']' | '}' | '*' | '_' | '”' | '’' | '»' | '」' | '』' | '）' | '》' | '〉' | '】'
    )
}

pub fn is_opener(one: char) -> bool {
    matches!(
        one,
        '"' | '\'' | '(' | '[' | '{' | '*' | '_' | '“' | '‘' | '«' | '「' | '『' | '（' | '《' | '〈' | '【'
    )
}
