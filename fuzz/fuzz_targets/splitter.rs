//! Steps tile every text, whatever the rules: none is empty or white space, all end between characters.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skipthink_core::{Rules, split_texts};

#[derive(Debug, Arbitrary)]
enum Choice {
    Auto,
    Lines,
    Sentences,
    Separators(Vec<String>),
}

fuzz_target!(|input: (Choice, &str)| {
    let (choice, text) = input;
    let rules = match choice {
        Choice::Auto => Rules::Auto,
        Choice::Lines => Rules::Lines,
        Choice::Sentences => Rules::Sentences,
        Choice::Separators(all) => {
            let filled: Vec<String> = all.into_iter().filter(|one| !one.is_empty()).collect();
            if filled.is_empty() {
                return;
            }
            Rules::Separators(filled)
        }
    };
    let found = split_texts(&[text], &rules, 1).expect("every text can be split");
    assert_eq!(found.offsets, [0, found.ends.len() as i64]);
    if text.trim().is_empty() {
        assert!(found.ends.is_empty(), "white space has no step");
        return;
    }
    let points: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    assert_eq!(found.ends.last(), Some(&(points.len() as i64 - 1)), "the steps tile the text");
    let mut start = 0;
    for end in found.ends {
        let end = points[end as usize];
        assert!(!text[start..end].trim().is_empty(), "a step holds more than white space");
        start = end;
    }
});
