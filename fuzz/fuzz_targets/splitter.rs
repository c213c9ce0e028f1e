//! Steps tile every text, whatever the rules: none is empty or white space, all end between characters.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skipthink_core::steps::{Rules, split_steps};

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
    let mut ends = Vec::new();
    split_steps(text, &rules, &mut ends);
    if text.trim().is_empty() {
        assert!(ends.is_empty(), "white space has no step");
        return;
    }
    assert_eq!(ends.last(), Some(&text.len()), "the steps tile the text");
    let mut start = 0;
    for end in ends {
        // slicing panics between the bytes of a character
        assert!(!text[start..end].trim().is_empty(), "a step holds more than white space");
        start = end;
    }
});
