//! List markers, which are no steps of their own.

/// Bytes that a list marker has at most; what is longer is text.
const LONGEST: usize = 24;
const WORDS: [&str; 3] = ["step", "part", "case"];
const ROMAN: [&str; 7] = ["ii", "iii", "iv", "vi", "vii", "viii", "ix"];

/// Whether the step `start..end` would hold no more than white space, bullets, or the number of a list item: "1.",
/// "a)", "-", "**Step 2:**", "### Part 3".
#[inline]
pub fn is_marker(text: &str, start: usize, end: usize) -> bool {
    let step = &text.as_bytes()[start..end];
    if let [first, .., last_but_one, last] = step {
        let is_long =
            step.len() > LONGEST + 1 && (last_but_one.is_ascii_graphic() || last.is_ascii_graphic());
        if is_long && first.is_ascii_graphic() {
            return false;
        }
    }
    at_first_sight(step).unwrap_or_else(|| is_marker_when_read(&text[start..end]))
}

/// What a look at the first letters or digits of a short step tells: two letters that begin no marker, a number and
/// its period, or a number with more behind.
fn at_first_sight(step: &[u8]) -> Option<bool> {
    let lead = step.iter().position(|byte| !matches!(byte, b' ' | b'-' | b'*' | b'#' | b'(' | b'\n'))?;
    let inner = &step[lead..];
    let (first, second) = (inner[0], *inner.get(1)?);
    if first.is_ascii_alphabetic() {
        let pair = [first | 0x20, second | 0x20];
        let begins = matches!(&pair, b"st" | b"pa" | b"ca" | b"ii" | b"iv" | b"vi" | b"ix");
        return (second.is_ascii_alphabetic() && !begins).then_some(false);
    }
    if !first.is_ascii_digit() {
        return None;
    }
    let digits = inner.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match inner[digits..] {
        [b'.' | b')'] if digits <= 3 && step.len() <= LONGEST => Some(true),
        [b' ', next, ..] if next.is_ascii_alphanumeric() || b"+-/=<>%$".contains(&next) => Some(false),
        [next, ..] if next.is_ascii_alphabetic() || b"+-/=<>%$".contains(&next) => Some(false),
        _ => None,
    }
}

fn is_marker_when_read(step: &str) -> bool {
    let step = step.trim();
    if step.len() > LONGEST {
        return false;
    }
    let inner = step.trim_start_matches(|one: char| is_bullet(one) || one.is_whitespace());
    let label = inner.trim_end_matches(|one: char| is_closing(one) || one.is_whitespace());
    if label.is_empty() {
        return true;
    }
    let is_closed = inner[label.len()..].contains([':', '.', ')', ']', '：', '．', '）', '、']);
    let word = WORDS
        .iter()
        .find(|word| label.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
    let name = label[word.map_or(0, |word| word.len())..].trim_start();
    if name.is_empty() {
        return is_closed;
    }
    (is_closed || word.is_some()) && is_name(name)
}

fn is_bullet(one: char) -> bool {
    matches!(one, '*' | '_' | '#' | '>' | '-' | '+' | '•' | '–' | '—' | '=' | '~' | '(' | '[' | '（' | '【')
}

fn is_closing(one: char) -> bool {
    matches!(one, '*' | '_' | ':' | '.' | ')' | ']' | '：' | '．' | '）' | '、' | '】')
}

/// "3", "2.1", "b", "iv".
fn is_name(name: &str) -> bool {
    if name.len() == 1 && name.as_bytes()[0].is_ascii_alphabetic() {
        return true;
    }
    ROMAN.iter().any(|roman| name.eq_ignore_ascii_case(roman)) || is_number(name)
}

fn is_number(name: &str) -> bool {
    let mut parts = name.split('.');
    let digits =
        |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|one| one.is_ascii_digit());
    let first = parts.next().is_some_and(|part| digits(part, 3));
    first && parts.clone().count() <= 2 && parts.all(|part| digits(part, 2))
}
