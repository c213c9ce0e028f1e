//! White space: what Unicode calls `White_Space`, as `char::is_whitespace` does.

/// The end of the white space that starts at `at`.
#[inline]
pub fn after(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t'..=b'\r' => at += 1,
            ..=0x7F => return at,
            _ => return after_any(text, at),
        }
    }
    at
}

#[cold]
fn after_any(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}
