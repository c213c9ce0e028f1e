//! Spans that are never cut: code, LaTeX, calculator marks. An opener without its closer is plain text.

/// Finds protected spans at their openers. Every search ends at the next opener of its kind, or is never made
/// again once it failed, so that all of them together are linear in the text.
pub struct Protected<'a> {
    text: &'a str,
    no_fence: bool,
    no_display: bool,
    no_environment: bool,
}

impl<'a> Protected<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, no_fence: false, no_display: false, no_environment: false }
    }

    /// The end of the protected span that opens at `at`, if one does.
    pub fn region(&mut self, at: usize) -> Option<usize> {
        let byte = self.text.as_bytes()[at];
        if !matches!(byte, b'`' | b'$' | b'\\' | b'<') {
            return None; // perhaps within a character: not to be sliced
        }
        let rest = &self.text[at..];
        let length = match byte {
            b'`' => self.code(rest),
            b'$' => self.dollars(rest),
            b'\\' => self.backslash(rest),
            _ if rest.starts_with("<<") => closed(rest, "<<", ">>", false),
            _ => None,
        };
        length.map(|length| at + length)
    }

    fn code(&mut self, rest: &str) -> Option<usize> {
        if let Some(inside) = rest.strip_prefix("```") {
            return Some(delimited(inside, "```", &mut self.no_fence));
        }
        closed(rest, "`", "`", false)
    }

    fn dollars(&mut self, rest: &str) -> Option<usize> {
        if let Some(inside) = rest.strip_prefix("$$") {
            return Some(delimited(inside, "$$", &mut self.no_display));
        }
        // `$x + 1$`, but not the prices of `$5 and $6`: no white space inside at either end, no digit behind
        let inside = &rest[1..];
        let length = inside.find(['$', '\n'])?;
        let (inside, behind) = inside.split_at(length);
        let tight = !inside.is_empty()
            && !inside.starts_with(char::is_whitespace)
            && !inside.ends_with(char::is_whitespace);
        let closes = behind.starts_with('$') && !behind[1..].starts_with(|next: char| next.is_ascii_digit());
        (tight && closes).then_some(length + 2)
    }

    fn backslash(&mut self, rest: &str) -> Option<usize> {
        if rest.starts_with(r"\(") {
            return closed(rest, r"\(", r"\)", false);
        }
        if rest.starts_with(r"\[") {
            return closed(rest, r"\[", r"\]", true);
        }
        if rest.starts_with(r"\begin{") && !self.no_environment {
            let found = environment(rest);
            self.no_environment = found.is_none();
            return found;
        }
        None
    }
}

/// Length of a span between two equal marks, `inside` starting behind the first; the mark alone where there is no
/// second one, which is remembered.
fn delimited(inside: &str, mark: &str, none_ahead: &mut bool) -> usize {
    let found = if *none_ahead { None } else { inside.find(mark) };
    *none_ahead |= found.is_none();
    found.map_or(mark.len(), |length| length + 2 * mark.len())
}

/// Length of the span that `rest` opens, up to its closer; None where another opener comes first, or, unless the
/// span may hold line breaks, a line break.
fn closed(rest: &str, opener: &str, closer: &str, over_lines: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    let (first, last) = (opener.as_bytes(), closer.as_bytes());
    for at in first.len()..bytes.len() {
        if bytes[at..].starts_with(last) {
            return Some(at + last.len());
        }
        if bytes[at..].starts_with(first) || (bytes[at] == b'\n' && !over_lines) {
            return None;
        }
    }
    None
}

/// Length of a `\begin{…} … \end{…}`, nested ones counted.
fn environment(rest: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(found) = rest[at..].find('\\') {
        at += found;
        if rest[at..].starts_with(r"\begin{") {
            depth += 1;
        } else if rest[at..].starts_with(r"\end{") {
            depth -= 1;
            if depth == 0 {
                return rest[at..].find('}').map(|close| at + close + 1);
            }
        }
        at += 1;
    }
    None
}
