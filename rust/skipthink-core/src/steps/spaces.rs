//! White space: what Unicode calls `White_Space`, as `char::is_whitespace` does.

/// The end of the white space that starts at `at`.
pub fn after(text: &str, at: usize) -> usize {
    match text.as_bytes().get(at) {
        // most often there is none, or one blank
        Some(byte) if byte.is_ascii_graphic() => at,
        Some(b' ') if text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_graphic) => at + 1,
        _ => text.len() - text[at..].trim_start().len(),
    }
}
