//! Step splitting: rationales to contiguous steps that tile them (method §3). The rules stand in `docs/steps.md`.
//!
//! One pass over the bytes: a table finds the few that can matter, all rules are looked at only there.

mod marker;
mod protected;
mod sentence;
mod spaces;
mod words;

use memchr::memmem::Finder;

use protected::{Protected, is_blank_line};

/// Which rules end a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// Line breaks, then sentence ends.
    Auto,
    /// Every line break, whatever it stands in.
    Lines,
    /// Sentence ends and blank lines.
    Sentences,
    /// Any of these strings, whatever they stand in; where several begin, the longest. None may be empty.
    Separators(Vec<String>),
}

/// Appends the byte end of every step. Steps tile the text; white space stays with the step before it, leading
/// white space with the first. Text of white space alone has no step. Linear in the length of the text.
pub fn split_steps(text: &str, rules: &Rules, ends: &mut Vec<usize>) {
    if text.trim_start().is_empty() {
        return;
    }
    let mut cutter = Cutter { text, start: 0, ends };
    match rules {
        Rules::Auto => cutter.cut_at_rules(true),
        Rules::Sentences => cutter.cut_at_rules(false),
        Rules::Lines => cutter.cut_at_separators(&["\n"]),
        Rules::Separators(separators) => cutter.cut_at_separators(separators),
    }
    ends.push(text.len());
}

/// Bytes at which a rule may hold: all that begin a protected span, a line break or a terminator.
const CANDIDATES: [bool; 256] = {
    // the last six begin the terminators beyond ASCII: ؟ ۔ । … 。 ！ and ？
    let bytes = b"\n`$\\<.!?\xD8\xDB\xE0\xE2\xE3\xEF";
    let (mut table, mut at) = ([false; 256], 0);
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
};

struct Cutter<'a> {
    text: &'a str,
    start: usize,
    ends: &'a mut Vec<usize>,
}

impl Cutter<'_> {
    fn cut_at_rules(&mut self, by_lines: bool) {
        let bytes = self.text.as_bytes();
        let mut protected = Protected::new(self.text);
        let mut at = 0;
        while let Some(found) = bytes[at..].iter().position(|byte| CANDIDATES[usize::from(*byte)]) {
            at += found;
            at = match bytes[at] {
                b'\n' if by_lines || is_blank_line(self.text, at) => self.cut(at + 1),
                b'\n' => at + 1,
                b'`' | b'$' | b'\\' | b'<' => protected.end(at).unwrap_or(at + 1),
                _ => match sentence::end(self.text, self.start, at) {
                    Ok(end) => self.cut(end),
                    Err(next) => next,
                },
            };
        }
    }

    /// Ends a step at `end` with the white space behind, unless it would hold no more than a list marker or
    /// nothing but white space follows. Gives where to go on.
    fn cut(&mut self, end: usize) -> usize {
        let next = spaces::after(self.text, end);
        if next < self.text.len() && !marker::is_marker(&self.text[self.start..end]) {
            self.push(next);
        }
        next
    }

    fn cut_at_separators<S: AsRef<str>>(&mut self, separators: &[S]) {
        let text = self.text.as_bytes();
        // each with where it was found last: every one passes over the text once
        let mut finders: Vec<(Finder<'_>, Option<usize>)> = separators
            .iter()
            .map(|one| Finder::new(one.as_ref()))
            .map(|finder| (finder.clone(), finder.find(text)))
            .collect();
        let mut at = 0;
        loop {
            for (finder, found) in &mut finders {
                if found.is_some_and(|found| found < at) {
                    *found = finder.find(&text[at..]).map(|ahead| at + ahead);
                }
            }
            let ends =
                finders.iter().filter_map(|(finder, found)| Some((((*found)?), finder.needle().len())));
            let Some((found, length)) = ends.min_by_key(|(found, length)| (*found, usize::MAX - length))
            else {
                return;
            };
            at = spaces::after(self.text, found + length);
            if at < self.text.len() && !self.text[self.start..at].trim_start().is_empty() {
                self.push(at);
            }
        }
    }

    fn push(&mut self, end: usize) {
        self.ends.push(end);
        self.start = end;
    }
}

#[cfg(test)]
mod tests;
