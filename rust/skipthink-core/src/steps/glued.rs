//! Sentences that begin right behind a mark, without any space.

use super::scripts::is_cjk;
use super::sentence::{Mark, is_acronym, is_opener};
use super::words::{LONGEST, abbreviation, is_starter};

/// Marks with no white space behind them.
pub struct Glued<'a> {
    pub mark: Mark<'a>,
    pub marks: &'a str,
    /// Whether a closing quote or bracket stands behind the marks.
    pub is_closed: bool,
    /// What stands behind the marks and what they close.
    pub behind: &'a str,
}

impl Glued<'_> {
    /// Whether the marks end a sentence.
    pub fn ends(&self) -> bool {
        let is_shout = self.marks.bytes().all(|one| matches!(one, b'!' | b'?'));
        let is_plain = self.behind.as_bytes()[0].is_ascii_alphanumeric();
        if !is_plain && self.behind.trim_start_matches(is_opener).starts_with(is_cjk) {
            return self.ends_before_cjk();
        }
        if !is_plain && (self.marks == "." || is_shout) && self.behind.starts_with(['¿', '¡']) {
            return true;
        }
        if self.is_closed || !(self.marks == "." || is_shout) {
            return false;
        }
        let is_ascii = self.mark.step().as_bytes().last().is_none_or(u8::is_ascii);
        if !is_ascii && self.mark.step().ends_with(is_cjk) {
            return is_shout
                || self.behind.starts_with(|one: char| one.is_ascii_digit())
                || self.starts_sentence();
        }
        if is_shout { self.shout_ends() } else { self.period_ends() }
    }

    /// "设x=3.则", "真的?好", but not "A.苹果", "n!的值", "等等...然后".
    fn ends_before_cjk(&self) -> bool {
        let word = self.mark.word();
        let is_letter = word.len() == 1 && word.as_bytes()[0].is_ascii_alphabetic();
        match self.marks {
            "." if is_letter && word.as_bytes()[0].is_ascii_uppercase() => {
                let step = self.mark.step();
                step[..step.len() - 1].ends_with(|one| is_cjk(one) || matches!(one, '=' | '＝'))
            }
            "." => !self.mark.is_first_of_list(word) && abbreviation(word).is_none() && !is_acronym(word),
            "!" => {
                let is_operand =
                    is_letter || self.mark.step().ends_with(|one: char| one.is_ascii_digit() || one == ')');
                !(is_operand && self.behind.starts_with(is_particle))
            }
            marks => marks.contains(['!', '?']),
        }
    }

    /// "10 cups.The", "10 cups.2. Next".
    fn period_ends(&self) -> bool {
        let before = self.mark.step().as_bytes();
        let in_word = matches!(before, [.., b'a'..=b'z', b'a'..=b'z']);
        let (digit, bracket) = (matches!(before, [.., b'0'..=b'9']), before.ends_with(b")"));
        if self.behind.as_bytes()[0].is_ascii_uppercase() {
            return (in_word || digit || bracket) && self.starts_sentence();
        }
        let bytes = self.behind.as_bytes();
        let digits = bytes.iter().take(3).take_while(|one| one.is_ascii_digit()).count();
        (in_word || bracket)
            && (1..=2).contains(&digits)
            && bytes.get(digits) == Some(&b'.')
            && self.behind[digits + 1..].starts_with(char::is_whitespace)
    }

    /// "Wow!So", "Is it 3?Ann says", but not "5!The" and "a.org/b?Name".
    fn shout_ends(&self) -> bool {
        let before = self.mark.step();
        let last = before.chars().next_back().unwrap_or(' ');
        if last.is_ascii_digit() || last == ')' {
            return self.starts_sentence() || (self.marks.contains('?') && self.begins_word());
        }
        let lead = before.trim_end_matches(|one: char| is_cased(one) || matches!(one, '\'' | '’'));
        let is_word = before[lead.len()..].chars().nth(1).is_some() && is_cased(last);
        let is_alone = lead.is_empty() || lead.ends_with(|one: char| one.is_whitespace() || is_opener(one));
        is_word && is_alone && self.begins_word()
    }

    /// Whether what is behind begins with a starter.
    fn starts_sentence(&self) -> bool {
        let bytes = self.behind.as_bytes();
        let letters = 1 + bytes[1..].iter().take(LONGEST).take_while(|one| one.is_ascii_lowercase()).count();
        bytes[0].is_ascii_uppercase()
            && letters > 1
            && self.behind[letters..]
                .starts_with(|one: char| one.is_whitespace() || matches!(one, ',' | '\'' | '’'))
            && is_starter(&self.behind[..letters])
    }

    /// Whether what is behind begins with a word that has a capital and ends within the text: "So ", "Élan, ", "I'm",
    /// "Yes. ".
    fn begins_word(&self) -> bool {
        let mut characters = self.behind.chars();
        let first = characters.next().unwrap_or(' ');
        let rest = characters.as_str();
        let end = rest.trim_start_matches(char::is_lowercase);
        let is_word = end.len() < rest.len() || matches!(first, 'A' | 'I');
        let mark = end.chars().next().unwrap_or('x');
        let ends = mark.is_whitespace()
            || matches!(mark, ',' | '\'' | '’')
            || (matches!(mark, '.' | '!' | '?') && end[1..].chars().next().is_none_or(char::is_whitespace));
        first.is_uppercase() && is_word && ends
    }
}

/// What stands behind a number or formula that goes on: "n!的值", "5!は".
fn is_particle(one: char) -> bool {
    "的是等和与與或种種为為除乘加减減个個有はのとをがにでも은는이가을를의과와".contains(one)
}

fn is_cased(one: char) -> bool {
    one.is_lowercase() || one.is_uppercase()
}
