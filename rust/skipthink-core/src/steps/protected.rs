//! Spans that are never cut: code, LaTeX, calculator marks. An opener without its closer is plain text.

use memchr::memmem::Finder;
use memchr::{memchr, memchr2, memchr3};

use super::spaces;

/// Finds protected spans at their openers, asked for from left to right. Every search for a closer ends at the
/// next opener of its kind or is never made again once it failed, so that all together are linear in the text.
pub struct Protected<'a> {
    text: &'a str,
    fences_end: bool,
    environments: Option<Vec<(usize, usize)>>,
}

impl<'a> Protected<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, fences_end: false, environments: None }
    }

    /// Where to go on behind what opens at `at` and is read as one: a protected span, an escaped mark, or a mark
    /// of several characters without its closer. None for plain text.
    pub fn end(&mut self, at: usize) -> Option<usize> {
        let rest = &self.text.as_bytes()[at..];
        match rest[0] {
            b'`' => self.code(at, rest),
            b'$' if rest.starts_with(b"$$") => self.math(at, b"", b"$$").or(Some(at + 2)),
            b'$' => inline_math(self.text, at),
            b'\\' => match rest.get(1)? {
                b'\\' | b'$' | b'`' => Some(at + 2),
                b'(' => self.math(at, br"\(", br"\)"),
                b'[' => self.math(at, br"\[", br"\]"),
                b'b' => self.environment(at, rest),
                _ => None,
            },
            b'<' if rest.starts_with(b"<<") => calculation(self.text, at),
            _ => None,
        }
    }

    fn code(&mut self, at: usize, rest: &[u8]) -> Option<usize> {
        if !rest.starts_with(b"```") {
            let close = 1 + memchr2(b'`', b'\n', &rest[1..])?;
            return (rest[close] == b'`').then_some(at + close + 1);
        }
        let inside = &rest[3..];
        let close = if self.fences_end { None } else { Finder::new("```").find(inside) };
        self.fences_end |= close.is_none();
        Some(at + 3 + close.map_or(0, |length| length + 3))
    }

    /// Up to the closer, unless a second opener or a blank line comes first.
    fn math(&self, at: usize, opener: &[u8], closer: &[u8]) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = at + closer.len();
        // LaTeX is full of backslashes: a loop is faster than `memchr3`
        while let Some(found) = bytes[at..].iter().position(|byte| matches!(byte, b'\\' | b'$' | b'\n')) {
            at += found;
            let rest = &bytes[at..];
            if is_escape(rest) {
                at += 2;
            } else if rest.starts_with(closer) {
                return Some(at + closer.len());
            } else if (!opener.is_empty() && rest.starts_with(opener)) || is_blank_line(self.text, at) {
                return None;
            } else {
                at += 1;
            }
        }
        None
    }

    fn environment(&mut self, at: usize, rest: &[u8]) -> Option<usize> {
        braced(rest, br"\begin{")?;
        let text = self.text;
        let all = self.environments.get_or_insert_with(|| environments(text.as_bytes()));
        all.binary_search_by_key(&at, |one| one.0).ok().map(|found| all[found].1)
    }
}

/// Whether the line break at `at` is followed by a line of white space alone.
pub fn is_blank_line(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    bytes[at] == b'\n' && memchr(b'\n', &bytes[at + 1..spaces::after(text, at + 1)]).is_some()
}

/// `$x + 1$`, but not the prices of `$5 and $6`: no space inside at either end, no digit behind.
fn inline_math(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if is_price(text, at + 1) {
        return None;
    }
    let mut close = at + 1;
    loop {
        close += memchr3(b'$', b'\\', b'\n', &bytes[close..])?;
        match bytes[close] {
            b'$' => break,
            b'\n' => return None,
            _ if is_escape(&bytes[close..]) => close += 2,
            _ => close += 1,
        }
    }
    let inside = &text[at + 1..close];
    let before_digit = bytes.get(close + 1).is_some_and(u8::is_ascii_digit);
    (is_tight(inside) && !before_digit).then_some(close + 1)
}

/// Whether what stands behind a dollar is an amount and then a word: "5 and", "15. She", "4.50), so".
fn is_price(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let after = |at: usize, holds: fn(&u8) -> bool| {
        at + bytes[at..].iter().position(|byte| !holds(byte)).unwrap_or(bytes.len() - at)
    };
    if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let amount = after(at, |byte| matches!(byte, b'0'..=b'9' | b'.' | b','));
    let marks = after(amount, |byte| matches!(byte, b';' | b':' | b'!' | b'?' | b')'));
    let word = spaces::after(text, marks);
    word > marks
        && matches!(bytes[word..], [first, second, ..] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic())
}

/// The end of `<<48/2=24>>`, on one line and without space at either end.
fn calculation(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut close = at + 2;
    loop {
        close += memchr3(b'<', b'>', b'\n', &bytes[close..])?;
        match &bytes[close..] {
            [b'>', b'>', ..] => break,
            [b'<', b'<', ..] | [b'\n', ..] => return None,
            _ => close += 1,
        }
    }
    is_tight(&text[at + 2..close]).then_some(close + 2)
}

fn is_tight(inside: &str) -> bool {
    !inside.is_empty() && !inside.starts_with(char::is_whitespace) && !inside.ends_with(char::is_whitespace)
}

/// (start, end) of every `\begin{…} … \end{…}`, by start.
fn environments(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut all, mut open) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(found) = memchr(b'\\', &bytes[at..]) {
        at += found;
        let rest = &bytes[at..];
        if rest.starts_with(br"\\") {
            at += 2;
        } else if let Some(length) = braced(rest, br"\begin{") {
            open.push(at);
            at += length;
        } else if let Some(length) = braced(rest, br"\end{") {
            at += length;
            all.extend(open.pop().map(|start| (start, at)));
        } else {
            at += 1;
        }
    }
    all.sort_unstable();
    all
}

/// Length of `prefix`, the name of an environment and the brace that closes it.
fn braced(rest: &[u8], prefix: &[u8]) -> Option<usize> {
    let name = rest.strip_prefix(prefix)?;
    let letters = name.iter().take_while(|one| one.is_ascii_alphabetic()).count();
    let star = usize::from(name.get(letters) == Some(&b'*'));
    (letters > 0 && name.get(letters + star) == Some(&b'}')).then(|| prefix.len() + letters + star + 1)
}

fn is_escape(rest: &[u8]) -> bool {
    matches!(rest, [b'\\', b'\\' | b'$', ..])
}
