//! Whatever offsets are taken, of either width, their rows lie one after the other within the values.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skipthink_core::{Cuts, Offsets, check_boundaries};

#[derive(Debug, Arbitrary)]
struct Input {
    wide: Vec<i64>,
    narrow: Vec<i32>,
    n_values: u16,
    m: u8,
}

fuzz_target!(|input: Input| {
    let n_values = usize::from(input.n_values);
    for cuts in [Cuts::Wide(&input.wide), Cuts::Narrow(&input.narrow)] {
        let Ok(offsets) = Offsets::new("values", cuts, n_values) else { continue };
        let mut before = offsets.rows(0..0).start;
        for row in 0..offsets.len() {
            let range = offsets.row(row);
            assert_eq!(range.start, before, "rows follow each other");
            assert!(range.start <= range.end && range.end <= n_values, "rows lie within the values");
            before = range.end;
        }
    }
    let m = usize::from(input.m).max(1);
    if input.wide.len() % (m + 1) == 0 && check_boundaries("init", &input.wide, m, |_| n_values).is_ok() {
        for cuts in input.wide.chunks_exact(m + 1) {
            assert!(cuts.iter().all(|cut| (0..=n_values as i64).contains(cut)));
        }
    }
});
