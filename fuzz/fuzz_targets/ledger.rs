//! States are refused or make a ledger that can be asked, answered and read back, round after round to its end.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skipthink_core::Ledger;

#[derive(Debug, Arbitrary)]
struct Input {
    base: Vec<u8>,
    chunks: Vec<u8>,
    m: u8,
    right: u64,
}

fuzz_target!(|input: Input| {
    let m = usize::from(input.m);
    let Ok(mut ledger) = Ledger::from_states(&input.base, &input.chunks, m) else { return };
    let mut answers = input.right;
    loop {
        let again = Ledger::from_states(ledger.base(), ledger.states(), m).expect("its own states fit");
        assert_eq!(again.asked(), ledger.asked());
        let (rows, chunks) = ledger.next_batch(16);
        if rows.is_empty() {
            assert!(ledger.done() && ledger.n_settled() == ledger.len(), "nothing to ask, so all is settled");
            return;
        }
        let asked = ledger.asked();
        answers = answers.rotate_left(7);
        let right: Vec<bool> = (0..rows.len()).map(|bit| answers >> bit & 1 == 1).collect();
        ledger.record(&rows, &chunks, &right).expect("what was asked can be answered");
        assert_eq!(ledger.asked(), asked + rows.len() as u64);
    }
});
