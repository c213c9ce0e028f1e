//! Where sentences end.

use super::spaces;
use super::words::{Abbreviation, LONGEST, abbreviation, is_before_letter, is_plain_word, is_starter};

/// Whether the word before the period at `at`, in a step that starts at `start`, is one behind which a period with
/// white space behind it ends a sentence, whatever follows.
#[inline]
pub fn is_after_plain_word(bytes: &[u8], start: usize, at: usize) -> bool {
    // the last bytes of the step, the last one highest, zeros before its start
    let last = if let Some(last) = bytes[..at].last_chunk() {
        u64::from_le_bytes(*last)
    } else {
        bytes[..at].iter().fold(0, |last, byte| last >> 8 | u64::from(*byte) << 56)
    };
    let outside = 64 - 8 * (at - start).min(8) as u32;
    is_plain_word(last >> outside.min(63) << outside.min(63))
}

/// Looks at the terminators at `at`, in a step that starts at `start`. `Ok(end)`: the sentence ends at `end`, its
/// closing quotes and brackets included. `Err(next)`: it does not; go on at `next`.
pub fn end(text: &str, start: usize, at: usize) -> Result<usize, usize> {
    if let [b'0'..=b'9', b'.', b'0'..=b'9'] =
        text.as_bytes().get(at.saturating_sub(1)..at + 2).unwrap_or_default()
    {
        return Err(at + 1); // a decimal
    }
    let Some(first) = text[at..].chars().next() else { return Err(text.len()) };
    if is_wide(first) {
        return Ok(after(text, at, |one| is_wide(one) || is_closer(one)));
    }
    if !is_terminator(first) {
        return Err(at + first.len_utf8());
    }
    let run = after(text, at, is_terminator);
    let end = after(text, run, is_closer);
    let next = spaces::after(text, end);
    if next == text.len() {
        return Ok(end);
    }
    let mark = Mark { text, start, at };
    if next == end {
        let glued = end == run && &text[at..run] == "." && mark.is_glued(&text[end..]);
        return if glued { Ok(end) } else { Err(run) };
    }
    let follows = Follows::read(&text[next..]);
    // "(not 4.) and": what is closed goes on
    let goes_on = end > run && follows.is_lower();
    if !goes_on && mark.ends(&text[at..run], &text[next..], &follows) { Ok(end) } else { Err(run) }
}

/// Terminators at `at`, in a step that starts at `start`.
struct Mark<'a> {
    text: &'a str,
    start: usize,
    at: usize,
}

impl<'a> Mark<'a> {
    fn ends(&self, marks: &str, behind: &str, follows: &Follows<'_>) -> bool {
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

    fn period_ends(&self, follows: &Follows<'_>) -> bool {
        let word = self.word();
        if word.len() == 1 && word.as_bytes()[0].is_ascii_uppercase() {
            return self.letter_ends(follows);
        }
        if word == "1" && self.before(1) == Some(':') {
            return false; // a list begins: "the steps: 1. First …"
        }
        match abbreviation(word) {
            Some(Abbreviation::Never) => false,
            Some(Abbreviation::NoDigit) => !follows.first.is_ascii_digit(),
            Some(Abbreviation::Upper) => follows.is_upper(),
            Some(Abbreviation::Starter) => follows.is_starter(),
            None => !is_acronym(word) || follows.is_starter(),
        }
    }

    /// Whether one upper-case letter and a period end a sentence, or are an initial: "The answer is B. Then" and
    /// "J. K. Rowling".
    fn letter_ends(&self, follows: &Follows<'_>) -> bool {
        if let [b'A'..=b'Z', b'.', ..] = follows.body.as_bytes() {
            return false;
        }
        let before = self.text[self.start..self.at - 1].trim_end();
        let previous = last_word(before);
        before.ends_with('=') || is_before_letter(previous) || !follows.is_upper() || follows.is_starter()
    }

    fn is_factorial(&self, behind: &str) -> bool {
        let last = self.text[self.start..self.at].bytes().next_back();
        let is_operand = last.is_some_and(|one| one.is_ascii_alphanumeric() || one == b')');
        let operator = behind.chars().next().unwrap_or(' ');
        is_operand
            && match operator {
                '*' => !behind.starts_with("**"),
                one => one == '^' || is_operator(one),
            }
    }

    /// Whether a sentence begins right behind a period without any space: "10 cups.The", "10 cups.2. Next".
    fn is_glued(&self, behind: &str) -> bool {
        let before = &self.text.as_bytes()[self.start..self.at];
        let in_word = matches!(before, [.., b'a'..=b'z', b'a'..=b'z']);
        let (digit, bracket) = (matches!(before, [.., b'0'..=b'9']), before.ends_with(b")"));
        let is_behind =
            |at: usize, also: char| behind[at..].starts_with(|one: char| one.is_whitespace() || one == also);
        let bytes = behind.as_bytes();
        if bytes[0].is_ascii_uppercase() {
            let word = 1 + bytes[1..].iter().take(LONGEST).take_while(|one| one.is_ascii_lowercase()).count();
            return (in_word || digit || bracket)
                && word > 1
                && is_behind(word, ',')
                && is_starter(&behind[..word]);
        }
        let digits = bytes.iter().take(3).take_while(|one| one.is_ascii_digit()).count();
        (in_word || bracket)
            && (1..=2).contains(&digits)
            && bytes.get(digits) == Some(&b'.')
            && is_behind(digits + 1, ' ')
    }

    fn word(&self) -> &'a str {
        last_word(&self.text[self.start..self.at])
    }

    /// The last character before the marks that is no white space.
    fn last(&self) -> Option<char> {
        self.before(0)
    }

    /// The same, `skipped` bytes before the marks.
    fn before(&self, skipped: usize) -> Option<char> {
        self.text[self.start..self.at - skipped].trim_end().chars().next_back()
    }
}

/// What comes behind white space: `body` without opening quotes and brackets, and its first character.
struct Follows<'a> {
    body: &'a str,
    first: char,
}

impl<'a> Follows<'a> {
    fn read(behind: &'a str) -> Self {
        let body = behind.trim_start_matches(is_opener);
        Self { body, first: body.chars().next().unwrap_or(' ') }
    }

    fn is_upper(&self) -> bool {
        self.first.is_uppercase()
    }

    fn is_lower(&self) -> bool {
        self.first.is_lowercase()
    }

    fn is_starter(&self) -> bool {
        let letters = self.body.bytes().take(LONGEST + 1).take_while(u8::is_ascii_alphabetic).count();
        self.first.is_ascii_uppercase() && is_starter(&self.body[..letters])
    }
}

/// ASCII letters, digits and dots at the end of a text; empty where they are more than any word of the lists.
fn last_word(text: &str) -> &str {
    let is_part = |one: &u8| one.is_ascii_alphanumeric() || *one == b'.';
    let length = text.bytes().rev().take(LONGEST + 1).take_while(is_part).count();
    if length > LONGEST { "" } else { &text[text.len() - length..] }
}

/// "U.S", "a.k.a": single letters between dots.
fn is_acronym(word: &str) -> bool {
    let letter = |part: &str| part.len() == 1 && part.as_bytes()[0].is_ascii_alphabetic();
    word.len() > 1 && word.split('.').all(letter)
}

fn after(text: &str, at: usize, holds: impl Fn(char) -> bool) -> usize {
    text.len() - text[at..].trim_start_matches(holds).len()
}

fn is_terminator(one: char) -> bool {
    matches!(one, '.' | '!' | '?' | '…' | '؟' | '۔' | '।')
}

fn is_operator(one: char) -> bool {
    matches!(one, '+' | '-' | '*' | '/' | '=' | '<' | '>' | '×' | '÷' | '·')
}

fn is_wide(one: char) -> bool {
    matches!(one, '。' | '！' | '？')
}

fn is_closer(one: char) -> bool {
    matches!(one, '"' | '\'' | ')' | ']' | '}' | '*' | '_' | '”' | '’' | '»' | '」' | '』' | '）')
}

fn is_opener(one: char) -> bool {
    matches!(one, '"' | '\'' | '(' | '[' | '{' | '*' | '_' | '“' | '‘' | '«' | '「' | '『' | '（')
}
