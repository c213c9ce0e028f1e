//! Characters by what their script does where a sentence ends.

/// Marks that end a sentence whatever follows. Marks of the scripts that are written without spaces, or that stand
/// for nothing else.
pub fn is_full_stop(one: char) -> bool {
    matches!(one, '。' | '．' | '｡' | '！' | '？' | '؟' | '۔' | '।' | '॥' | '։' | '።' | '፧' | '។' | '៕' | '။')
}

/// Whether UTF-8 begins with such a mark or with "…", which ends sentences as a period does.
#[inline]
pub fn is_stop(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xD6, 0x89, ..]
            | [0xD8, 0x9F, ..]
            | [0xDB, 0x94, ..]
            | [0xE0, 0xA5, 0xA4 | 0xA5, ..]
            | [0xE1, 0x81, 0x8B, ..]
            | [0xE1, 0x8D, 0xA2 | 0xA7, ..]
            | [0xE1, 0x9F, 0x94 | 0x95, ..]
            | [0xE2, 0x80, 0xA6, ..]
            | [0xE3, 0x80, 0x82, ..]
            | [0xEF, 0xBC, 0x81 | 0x8E | 0x9F, ..]
            | [0xEF, 0xBD, 0xA1, ..]
    )
}

/// Whether UTF-8 begins with what may be a letter of Thai, Lao, Khmer or Burmese, and then a byte of white space.
#[inline]
pub fn is_before_space(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xE0, 0xB8..=0xBB, _, b' ' | b'\t' | b'\r' | 0xC2 | 0xE1..=0xE3, ..]
            | [0xE1, 0x80..=0x82 | 0x9E | 0x9F, _, b' ' | b'\t' | b'\r' | 0xC2 | 0xE1..=0xE3, ..]
    )
}

/// Letters of Chinese, Japanese and Korean, before which no space is needed.
pub fn is_cjk(one: char) -> bool {
    matches!(
        one,
        '\u{3005}'..='\u{3007}'
            | '\u{3041}'..='\u{3096}'
            | '\u{30A1}'..='\u{30FA}'
            | '\u{30FC}'
            | '\u{3105}'..='\u{312F}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{AC00}'..='\u{D7A3}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{FF66}'..='\u{FF9D}'
            | '\u{20000}'..='\u{3134F}'
    )
}

/// Digits of ASCII and their full-width forms.
pub fn is_digit(one: char) -> bool {
    matches!(one, '0'..='9' | '０'..='９')
}

/// Letters and vowel signs of Thai and Lao, where a space is what ends a clause.
fn is_thai(one: char) -> bool {
    matches!(
        one,
        '\u{0E01}'..='\u{0E2E}'
            | '\u{0E30}'..='\u{0E3A}'
            | '\u{0E40}'..='\u{0E45}'
            | '\u{0E47}'..='\u{0E4E}'
            | '\u{0E81}'..='\u{0EC5}'
            | '\u{0EC8}'..='\u{0ECE}'
            | '\u{0EDC}'..='\u{0EDF}'
    )
}

/// Letters and signs of Khmer and Burmese, which have marks that not every writer uses.
fn is_khmer(one: char) -> bool {
    matches!(
        one,
        '\u{1000}'..='\u{103F}' | '\u{1050}'..='\u{108F}' | '\u{109A}'..='\u{109D}' | '\u{1780}'..='\u{17D3}'
    )
}

/// Whether a text has marks that end sentences of Khmer and Burmese, so that its spaces end none.
pub fn has_khmer_marks(text: &str) -> bool {
    text.contains(['។', '៕', '။'])
}

/// Whether a space between two letters ends a step: Thai and Lao, and Khmer and Burmese in a text without marks.
pub fn ends_at_space(before: char, behind: char, has_marks: impl FnOnce() -> bool) -> bool {
    (is_thai(before) && is_thai(behind)) || (is_khmer(before) && is_khmer(behind) && !has_marks())
}

/// Words that go with what follows them: "or", "is", "therefore", …
const GO_ON: [&str; 15] =
    ["และ", "หรือ", "คือ", "ว่า", "ดังนั้น", "เพราะ", "ແລະ", "ຫຼື", "ຄື", "ວ່າ", "ດັ່ງນັ້ນ", "និង", "ឬ", "គឺ", "ដូច្នេះ"];
/// Words that go with what stands before them: "and", "or".
const JOIN: [&str; 6] = ["และ", "หรือ", "ແລະ", "ຫຼື", "និង", "ឬ"];

/// Whether a word stands between a step's text and what is behind a space, so that the two belong together.
pub fn is_joined(before: &str, behind: &str) -> bool {
    JOIN.iter().any(|word| behind.starts_with(word))
        || GO_ON.iter().any(|word| {
            before
                .strip_suffix(word)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(char::is_whitespace))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_the_same_as_characters() {
        for one in ('\u{80}'..=char::MAX).filter(|one| one.len_utf8() < 4) {
            let text = format!("{one} ");
            assert_eq!(is_stop(text.as_bytes()), is_full_stop(one) || one == '…', "{one:?}");
            let may_end = is_thai(one) || is_khmer(one);
            assert!(is_before_space(text.as_bytes()) || !may_end, "{one:?}");
            assert!(!(is_stop(text.as_bytes()) && may_end), "{one:?}");
            // a line break ends steps by a rule of its own; pages and vertical tabs end none
            let is_asked = |space: &char| space.is_whitespace() && !matches!(space, '\n' | '\x0B' | '\x0C');
            for space in ('\0'..='\u{3000}').filter(is_asked).filter(|_| may_end) {
                let text = format!("{one}{space}");
                assert!(is_before_space(text.as_bytes()), "{text:?}");
            }
        }
    }
}
