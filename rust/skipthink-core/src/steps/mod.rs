//! Step splitting: rationales to contiguous steps that tile them (method §3). The rules stand in `docs/reference/steps.md`.
//!
//! Two phases: the bytes are searched 64 at a time for the few that can matter (`scan`), and all rules are looked
//! at only there.

mod batch;
mod glued;
mod marker;
mod ordinals;
mod protected;
mod scan;
mod scripts;
mod sentence;
mod spaces;
mod words;

use memchr::memmem::Finder;
use pulp::Arch;

pub use batch::{Spans, split_buffer, split_texts};
use protected::{Protected, is_blank_line};
use scan::Window;
use words::Word;

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

/// Splits one text after another by the same rules.
#[derive(Debug, Clone)]
pub struct Splitter<'r> {
    plan: Plan<'r>,
    window: Window,
}

#[derive(Debug, Clone)]
enum Plan<'r> {
    Rules { by_lines: bool },
    Separators(Vec<Finder<'r>>),
}

impl<'r> Splitter<'r> {
    /// A splitter for these rules.
    pub fn new(rules: &'r Rules) -> Self {
        Self::on(Arch::new(), rules)
    }

    /// The same with the vector units that are named: results do not depend on them.
    fn on(arch: Arch, rules: &'r Rules) -> Self {
        let plan = match rules {
            Rules::Auto => Plan::Rules { by_lines: true },
            Rules::Sentences => Plan::Rules { by_lines: false },
            Rules::Lines => Plan::Separators(vec![Finder::new("\n")]),
            Rules::Separators(separators) => Plan::Separators(separators.iter().map(Finder::new).collect()),
        };
        Self { plan, window: Window::new(arch) }
    }

    /// Appends the end of every step in code points. Steps tile the text; white space stays with the step before
    /// it, leading white space with the first. Text of white space alone has no step. Linear in the length of the
    /// text.
    pub fn split(&mut self, text: &str, ends: &mut Vec<i64>) {
        if spaces::after(text, 0) == text.len() {
            return;
        }
        let first = ends.len();
        let mut cutter = Cutter { text, start: 0, ends, window: &mut self.window, has_khmer_marks: None };
        let is_ascii = match &self.plan {
            Plan::Rules { by_lines } => cutter.cut_at_rules(*by_lines),
            Plan::Separators(finders) => {
                cutter.cut_at_separators(finders);
                text.is_ascii()
            }
        };
        ends.push(text.len() as i64);
        if !is_ascii {
            scan::to_code_points(self.window.arch, text, &mut ends[first..]);
        }
    }
}

struct Cutter<'a> {
    text: &'a str,
    start: usize,
    ends: &'a mut Vec<i64>,
    window: &'a mut Window,
    /// Whether the text has marks of Khmer or Burmese, once that was asked.
    has_khmer_marks: Option<bool>,
}

impl Cutter<'_> {
    /// Gives whether the text is ASCII.
    fn cut_at_rules(&mut self, by_lines: bool) -> bool {
        let bytes = self.text.as_bytes();
        let mut protected = Protected::new(self.text);
        let (mut at, mut is_ascii) = (0, true);
        while at < bytes.len() {
            is_ascii &= self.window.read(bytes, at);
            while let Some(found) = self.window.next(at) {
                at = self.rule(by_lines, &mut protected, found);
            }
            let end = self.window.end();
            at = at.max(end);
            is_ascii = is_ascii && bytes[end..at].is_ascii();
        }
        is_ascii
    }

    /// Looks at the candidate at `at`; gives where to go on.
    #[inline]
    fn rule(&mut self, by_lines: bool, protected: &mut Protected<'_>, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        match bytes[at] {
            b'\n' if by_lines || is_blank_line(self.text, at) => self.cut(at + 1),
            b'\n' => at + 1,
            b'`' | b'$' | b'\\' | b'<' => protected.end(at).unwrap_or(at + 1),
            b'.' => self.period(at),
            b'!' | b'?' => self.shout(at),
            _ => self.beyond_ascii(at),
        }
    }

    /// The many periods that need no second look, and the others. `terminator` ends the same steps at all of them.
    #[inline]
    fn period(&mut self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let next = self.window.after_space(self.text, at + 1);
        if next == bytes.len() {
            return next; // the last step ends with the text
        }
        if next == at + 1 {
            if sentence::is_inner_period(bytes, at) {
                return next;
            }
        } else {
            match sentence::word_before(bytes, self.start, at, next) {
                Word::Plain => return self.cut_before(at + 1, next),
                Word::NeverLast => return at + 1,
                Word::Other => {}
            }
        }
        self.terminator(at)
    }

    /// Exclamation and question marks before a word: its first letter decides. `terminator` ends the same
    /// steps at all of them.
    #[inline]
    fn shout(&mut self, at: usize) -> usize {
        let next = self.window.after_space(self.text, at + 1);
        match self.text.as_bytes().get(next) {
            Some(b'A'..=b'Z') if next > at + 1 => self.cut_before(at + 1, next),
            Some(b'a'..=b'z') if next > at + 1 => at + 1,
            _ => self.terminator(at),
        }
    }

    /// Characters beyond ASCII, of which few are marks: most are told by their bytes.
    #[inline(never)]
    fn beyond_ascii(&mut self, at: usize) -> usize {
        let bytes = &self.text.as_bytes()[at..];
        if scripts::is_stop(bytes) {
            return self.terminator(at);
        }
        let next = at + if bytes[0] < 0xE0 { 2 } else { 3 };
        let space = if scripts::is_before_space(bytes) { self.space_end(at) } else { None };
        space.map_or(next, |end| self.cut(end))
    }

    /// All rules.
    #[inline(never)]
    fn terminator(&mut self, at: usize) -> usize {
        match sentence::end(self.text, self.start, at) {
            Ok(end) => self.cut(end),
            Err(next) => next,
        }
    }

    /// The end of the letter at `at` where a space behind it stands for a mark.
    #[inline(never)]
    fn space_end(&mut self, at: usize) -> Option<usize> {
        let text = self.text;
        let known = &mut self.has_khmer_marks;
        let has_marks = || *known.get_or_insert_with(|| scripts::has_khmer_marks(text));
        sentence::space_end(text, self.start, at, has_marks)
    }

    /// Ends a step at `end` with the white space behind, unless it would hold no more than a list marker or
    /// nothing but white space follows. Gives where to go on.
    #[inline]
    fn cut(&mut self, end: usize) -> usize {
        self.cut_before(end, self.window.after_space(self.text, end))
    }

    /// The same where `next` is known to be the end of the white space.
    #[inline]
    fn cut_before(&mut self, end: usize, next: usize) -> usize {
        if next < self.text.len() && !marker::is_marker(self.text, self.start, end) {
            self.push(next);
        }
        next
    }

    fn cut_at_separators(&mut self, finders: &[Finder<'_>]) {
        let text = self.text.as_bytes();
        if let [finder] = finders {
            return self.cut_at_separator(finder);
        }
        // each with where it was found last: every one passes over the text once
        let mut found: Vec<Option<usize>> = finders.iter().map(|finder| finder.find(text)).collect();
        let mut at = 0;
        loop {
            for (finder, found) in finders.iter().zip(&mut found) {
                if found.is_some_and(|found| found < at) {
                    *found = finder.find(&text[at..]).map(|ahead| at + ahead);
                }
            }
            let lengths = finders.iter().map(|finder| finder.needle().len());
            let ends = found.iter().zip(lengths).filter_map(|(found, length)| Some(((*found)?, length)));
            let Some((found, length)) = ends.min_by_key(|(found, length)| (*found, usize::MAX - length))
            else {
                return;
            };
            at = self.cut_separator(found + length);
        }
    }

    fn cut_at_separator(&mut self, finder: &Finder<'_>) {
        let mut at = 0;
        while let Some(ahead) = finder.find(&self.text.as_bytes()[at..]) {
            at = self.cut_separator(at + ahead + finder.needle().len());
        }
    }

    /// Ends a step at `end` with the white space behind, unless nothing else follows or it holds nothing else.
    fn cut_separator(&mut self, end: usize) -> usize {
        let next = spaces::after(self.text, end);
        if next < self.text.len() && spaces::after(self.text, self.start) < next {
            self.push(next);
        }
        next
    }

    #[inline]
    fn push(&mut self, end: usize) {
        self.ends.push(end as i64);
        self.start = end;
    }
}

#[cfg(test)]
mod tests;
