//! Step splitting: rationales to contiguous steps that tile them (method §3). The rules stand in `docs/steps.md`.

mod protected;
mod sentence;
mod words;

use protected::Protected;

/// Which rules end a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// Line breaks, then sentence ends.
    Auto,
    /// Line breaks.
    Lines,
    /// Sentence ends and blank lines.
    Sentences,
    /// Any of these strings; none may be empty.
    Separators(Vec<String>),
}

/// Appends the byte end of every step. Steps tile the text; white space stays with the step before it, leading
/// white space with the first. Text of white space alone has no step. Linear in the length of the text.
pub fn split_steps(text: &str, rules: &Rules, ends: &mut Vec<usize>) {
    if text.trim().is_empty() {
        return;
    }
    let mut cutter = Cutter { text, start: 0, ends };
    match rules {
        Rules::Separators(separators) => cutter.cut_at_separators(separators),
        _ => cutter.cut_at_rules(rules),
    }
    ends.push(text.len());
}

struct Cutter<'a> {
    text: &'a str,
    start: usize,
    ends: &'a mut Vec<usize>,
}

impl Cutter<'_> {
    fn cut_at_rules(&mut self, rules: &Rules) {
        let bytes = self.text.as_bytes();
        let mut protected = Protected::new(self.text);
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if let Some(end) = protected.region(at) {
                at = end;
            } else if byte == b'\n' {
                let blank = after_white(self.text, at + 1);
                let breaks = *rules != Rules::Sentences || self.text[at + 1..blank].contains('\n');
                at = if breaks { self.cut(at + 1) } else { at + 1 };
            } else if *rules != Rules::Lines && (matches!(byte, b'.' | b'!' | b'?') || byte >= 0xE2) {
                at = match sentence::end(self.text, self.start, at) {
                    Ok(end) => self.cut(end),
                    Err(next) => next,
                };
            } else {
                at += 1;
            }
        }
    }

    fn cut_at_separators(&mut self, separators: &[String]) {
        let mut at = 0;
        while at < self.text.len() {
            let rest = &self.text.as_bytes()[at..];
            let found =
                separators.iter().filter(|one| rest.starts_with(one.as_bytes())).map(String::len).max();
            at = match found {
                Some(length) => self.cut(at + length),
                None => at + 1,
            };
        }
    }

    /// Ends a step at `end`, if what it would hold is more than white space or a list marker, and text follows.
    /// Gives where to go on.
    fn cut(&mut self, end: usize) -> usize {
        let next = after_white(self.text, end);
        if next < self.text.len() && !sentence::is_marker(&self.text[self.start..end]) {
            self.ends.push(next);
            self.start = next;
        }
        next
    }
}

/// The end of the white space that starts at `at`.
fn after_white(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(at) {
        Some(byte) if byte.is_ascii() && !byte.is_ascii_whitespace() && *byte != 0x0B => at,
        None => at,
        _ => text.len() - text[at..].trim_start().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steps<'a>(text: &'a str, rules: &Rules) -> Vec<&'a str> {
        let mut ends = Vec::new();
        split_steps(text, rules, &mut ends);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(&ends).map(|(start, end)| &text[start..*end]).collect()
    }

    #[test]
    fn lines_then_sentences() {
        assert_eq!(steps("\nA is 3. So 4!\n\nDone. ", &Rules::Auto), ["\nA is 3. ", "So 4!\n\n", "Done. "]);
        assert_eq!(steps("A is 3. So 4!\nDone.", &Rules::Lines), ["A is 3. So 4!\n", "Done."]);
        assert_eq!(
            steps("It is\nthree. Yes.\n\nso", &Rules::Sentences),
            ["It is\nthree. ", "Yes.\n\n", "so"]
        );
        let bars = Rules::Separators(vec!["||".into(), "|".into()]);
        assert_eq!(steps("a||b| c|", &bars), ["a||", "b| ", "c|"]);
        assert!(steps(" \n\t", &Rules::Auto).is_empty());
    }

    proptest! {
        #[test]
        fn steps_tile_any_text(parts in proptest::collection::vec(
            prop_oneof![Just("$".to_owned()), Just("`".into()), Just("\\[".into()), Just("\\]".into()),
                        Just("\n".into()), Just(". ".into()), Just("1. ".into()), Just("…".into()), Just("。".into()),
                        Just("\\begin{a}".into()), Just("\\end{a}".into()), Just("```".into()), "\\PC{0,6}"], 0..40)) {
            let text = parts.concat();
            for rules in [Rules::Auto, Rules::Lines, Rules::Sentences, Rules::Separators(vec!["$".into()])] {
                let steps = steps(&text, &rules);
                prop_assert_eq!(steps.concat(), if text.trim().is_empty() { "" } else { &text });
                prop_assert!(steps.iter().all(|step| !step.trim().is_empty()));
            }
        }
    }
}
