//! A skip ledger is read from any bytes without a panic, and what is read writes itself back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skipthink_core::skip::Ledger;

fuzz_target!(|content: &[u8]| {
    let Ok(mut ledger) = Ledger::from_bytes(content) else { return };
    let again = Ledger::from_bytes(&ledger.to_bytes()).expect("what a ledger writes it reads");
    assert_eq!(again.states(), ledger.states());
    // a few rounds: every batch asks what may be asked, and answers settle
    for _ in 0..4 {
        let (rows, chunks) = ledger.next_batch(16);
        if rows.is_empty() {
            assert!(ledger.done(), "nothing to ask of a ledger that is not done");
            return;
        }
        let right: Vec<bool> = rows.iter().map(|row| row % 2 == 0).collect();
        ledger.record(&rows, &chunks, &right).expect("a batch that was asked is recorded");
    }
});
