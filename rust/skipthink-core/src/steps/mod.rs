//! Step splitting (method §3). First version: line breaks and plain sentence ends.

/// Which rules end a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// Line breaks, then sentence ends.
    Auto,
    /// Line breaks.
    Lines,
    /// Sentence ends.
    Sentences,
    /// Any of these strings.
    Separators(Vec<String>),
}

/// Appends the byte end of every step; steps tile the text.
pub fn split_steps(text: &str, rules: &Rules, ends: &mut Vec<usize>) {
    if text.trim().is_empty() {
        return;
    }
    let first = ends.len();
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        let cut = match rules {
            Rules::Lines => bytes[at] == b'\n',
            Rules::Separators(all) => all.iter().any(|one| text.as_bytes()[..=at].ends_with(one.as_bytes())),
            _ => {
                (bytes[at] == b'\n' && *rules == Rules::Auto)
                    || (matches!(bytes[at], b'.' | b'!' | b'?') && bytes.get(at + 1) == Some(&b' '))
            }
        };
        if cut {
            let end = at + 1 + text[at + 1..].len() - text[at + 1..].trim_start().len();
            let start = ends.get(first..).and_then(|ends| ends.last()).copied().unwrap_or(0);
            if end > start && !text[start..=at].trim().is_empty() && end < text.len() {
                ends.push(end);
            }
        }
    }
    ends.push(text.len());
}
