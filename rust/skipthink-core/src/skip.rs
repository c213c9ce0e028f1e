//! The skip ledger: which chunks the student was asked about, and what came out (method §6).

use crate::error::{Error, LedgerError, Result};

/// State of one chunk of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not asked yet.
    Open = 0,
    /// The student needs it (or is wrong even with nothing dropped).
    Kept = 1,
    /// The student can do without it.
    Skipped = 2,
    /// Has no step; never asked.
    Empty = 3,
}

const OPEN: u8 = State::Open as u8;
const KEPT: u8 = State::Kept as u8;
const SKIPPED: u8 = State::Skipped as u8;
const EMPTY: u8 = State::Empty as u8;

/// What the student answered with nothing dropped.
const UNKNOWN: u8 = 0;
const RIGHT: u8 = 1;
const WRONG: u8 = 2;

/// State machine over (row, chunk). Question 0 of a row drops nothing; question c drops chunk c.
///
/// A row takes M + 1 bytes and one bit; a batch costs what it holds, and only the start of a round looks at
/// all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    n_chunks: usize,
    base: Vec<u8>,
    chunks: Vec<u8>,
    asked: u64,
    n_settled: usize,
    /// The lowest question that a row waits for.
    round: usize,
    /// A bit per row: its next question is that of the round.
    waiting: Vec<u64>,
    n_waiting: usize,
    /// Words of `waiting` before this one are 0.
    first_word: usize,
}

/// Counts over all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerStats {
    /// Rows by what they are with nothing dropped: not asked, right, wrong.
    pub base: [u64; 3],
    /// Chunks by `State`.
    pub states: [u64; 4],
    /// A chunk number: questions answered about it, those that skipped it.
    pub by_chunk: Vec<[u64; 2]>,
    /// A number of chunks with a step, 0 … M: rows that have it, questions answered about their chunks, those that
    /// skipped one.
    pub by_n_chunks: Vec<[u64; 3]>,
}

impl Ledger {
    /// A ledger for rows of M chunks, nothing asked.
    ///
    /// # Errors
    /// M = 0, or boundaries that do not start at 0 or decrease.
    pub fn new(boundaries: &[i64], m: usize) -> Result<Self> {
        check_m(m)?;
        check_boundaries(boundaries, m)?;
        let mut chunks = Vec::with_capacity(boundaries.len() / (m + 1) * m);
        for cuts in boundaries.chunks_exact(m + 1) {
            chunks.extend(cuts.windows(2).map(|pair| if pair[0] == pair[1] { EMPTY } else { OPEN }));
        }
        Ok(Self::with(vec![UNKNOWN; boundaries.len() / (m + 1)], chunks, m))
    }

    /// A ledger from the states of its rows, `(n,)`, and of their chunks, `(n, M)`.
    ///
    /// # Errors
    /// Lengths that do not fit, states that do not exist, or a row whose states no answers lead to.
    pub fn from_states(base: &[u8], chunks: &[u8], m: usize) -> Result<Self> {
        check_m(m)?;
        if base.len().checked_mul(m) != Some(chunks.len()) {
            let (n_rows, n_states) = (base.len(), chunks.len());
            return Err(LedgerError::States { n_rows, m, n_states }.into());
        }
        for (row, (base, states)) in base.iter().zip(chunks.chunks_exact(m)).enumerate() {
            if !reachable(*base, states) {
                return Err(LedgerError::Unreachable { row, base: *base, states: states.to_vec() }.into());
            }
        }
        Ok(Self::with(base.to_vec(), chunks.to_vec(), m))
    }

    fn with(base: Vec<u8>, chunks: Vec<u8>, m: usize) -> Self {
        let mut ledger = Self {
            n_chunks: m,
            asked: 0,
            n_settled: 0,
            round: 0,
            waiting: vec![0; base.len().div_ceil(64)],
            n_waiting: 0,
            first_word: 0,
            base,
            chunks,
        };
        for row in 0..ledger.len() {
            ledger.n_settled += usize::from(ledger.question(row).is_none());
            ledger.asked += ledger.n_answers(row);
        }
        ledger.start_round(0);
        ledger.pass_rounds();
        ledger
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }

    /// Number of chunks M.
    pub fn n_chunks(&self) -> usize {
        self.n_chunks
    }

    /// Questions answered so far.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Rows that need no question more.
    pub fn n_settled(&self) -> usize {
        self.n_settled
    }

    /// Whether every row is settled.
    pub fn done(&self) -> bool {
        self.n_settled == self.len()
    }

    /// States of all chunks, `(n, M)`, row-major, as `State` codes.
    pub fn states(&self) -> &[u8] {
        &self.chunks
    }

    /// States of all rows with nothing dropped, `(n,)`: 0 not asked, 1 right, 2 wrong.
    pub fn base(&self) -> &[u8] {
        &self.base
    }

    /// States of the chunks of some rows, `(rows, M)`, row-major, as `State` codes.
    ///
    /// # Errors
    /// `LedgerError::NoRow`.
    pub fn states_of(&self, rows: &[i64]) -> Result<Vec<u8>> {
        let mut states = Vec::with_capacity(rows.len() * self.n_chunks);
        for row in rows {
            states.extend_from_slice(self.row(self.index(*row)?));
        }
        Ok(states)
    }

    /// States of some rows with nothing dropped, as `base`.
    ///
    /// # Errors
    /// `LedgerError::NoRow`.
    pub fn base_of(&self, rows: &[i64]) -> Result<Vec<u8>> {
        rows.iter().map(|row| Ok(self.base[self.index(*row)?])).collect()
    }

    /// The next question of a row; None when it is settled.
    pub fn question(&self, row: usize) -> Option<usize> {
        match self.base[row] {
            UNKNOWN => Some(0),
            WRONG => None,
            _ => self.row(row).iter().position(|state| *state == OPEN).map(|chunk| chunk + 1),
        }
    }

    /// At most `limit` questions of the current round, rows ascending, all about the same chunk number; empty
    /// when all is settled. Asking again before recording gives the same questions.
    pub fn next_batch(&self, limit: usize) -> (Vec<i64>, Vec<i64>) {
        let size = limit.min(self.n_waiting);
        let mut rows = Vec::with_capacity(size);
        for (word, bits) in self.waiting.iter().enumerate().skip(self.first_word) {
            let mut bits = *bits;
            while bits != 0 && rows.len() < size {
                rows.push((word * 64) as i64 + i64::from(bits.trailing_zeros()));
                bits &= bits - 1;
            }
            if rows.len() == size {
                break;
            }
        }
        (rows, vec![self.round as i64; size])
    }

    /// Takes answers. All are checked before the first one counts.
    ///
    /// # Errors
    /// Unequal lengths, rows out of range, a row twice, or a question that is not the row's next one.
    pub fn record(&mut self, rows: &[i64], chunks: &[i64], right: &[bool]) -> Result<()> {
        self.check(rows, chunks, right.len())?;
        for ((row, chunk), right) in rows.iter().zip(chunks).zip(right) {
            self.apply(*row as usize, *chunk as usize, *right);
        }
        self.asked += rows.len() as u64;
        self.pass_rounds();
        Ok(())
    }

    /// Checks answers without taking them, so that what cannot be need not be written to disk first.
    ///
    /// # Errors
    /// As `record`.
    pub fn check(&self, rows: &[i64], chunks: &[i64], n_right: usize) -> Result<()> {
        if rows.len() != chunks.len() || rows.len() != n_right {
            let (rows, chunks) = (rows.len(), chunks.len());
            return Err(LedgerError::Lengths { rows, chunks, right: n_right }.into());
        }
        if let Some(row) = first_twin(rows) {
            return Err(LedgerError::Twice(row).into());
        }
        for (row, chunk) in rows.iter().zip(chunks) {
            let next = self.question(self.index(*row)?);
            if next.map(|next| next as i64) != Some(*chunk) {
                return Err(LedgerError::NotAsked { row: *row, chunk: *chunk, next }.into());
            }
        }
        Ok(())
    }

    /// Counts over all rows.
    pub fn stats(&self) -> LedgerStats {
        let mut stats = LedgerStats {
            base: [0; 3],
            states: [0; 4],
            by_chunk: vec![[0; 2]; self.n_chunks],
            by_n_chunks: vec![[0; 3]; self.n_chunks + 1],
        };
        for (base, states) in self.base.iter().zip(self.chunks.chunks_exact(self.n_chunks)) {
            stats.base[usize::from(*base)] += 1;
            let (mut asked, mut skipped, mut n_chunks) = (0, 0, 0);
            for (chunk, state) in states.iter().enumerate() {
                stats.states[usize::from(*state)] += 1;
                n_chunks += usize::from(*state != EMPTY);
                if *base == RIGHT && matches!(*state, KEPT | SKIPPED) {
                    let skip = u64::from(*state == SKIPPED);
                    stats.by_chunk[chunk][0] += 1;
                    stats.by_chunk[chunk][1] += skip;
                    asked += 1;
                    skipped += skip;
                }
            }
            let count = &mut stats.by_n_chunks[n_chunks];
            *count = [count[0] + 1, count[1] + asked, count[2] + skipped];
        }
        stats
    }

    fn index(&self, row: i64) -> Result<usize> {
        let index = usize::try_from(row).ok().filter(|index| *index < self.len());
        index.ok_or_else(|| LedgerError::NoRow { row, n_rows: self.len() }.into())
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.chunks[row * self.n_chunks..(row + 1) * self.n_chunks]
    }

    /// Answers a row has had: chunks of a row that is wrong with nothing dropped are kept unasked.
    fn n_answers(&self, row: usize) -> u64 {
        let judged = |state: &&u8| matches!(**state, KEPT | SKIPPED);
        match self.base[row] {
            UNKNOWN => 0,
            WRONG => 1,
            _ => 1 + self.row(row).iter().filter(judged).count() as u64,
        }
    }

    fn apply(&mut self, row: usize, chunk: usize, right: bool) {
        let start = row * self.n_chunks;
        if chunk > 0 {
            self.chunks[start + chunk - 1] = if right { SKIPPED } else { KEPT };
        } else if right {
            self.base[row] = RIGHT;
        } else {
            self.base[row] = WRONG;
            for state in self.chunks[start..start + self.n_chunks].iter_mut().filter(|state| **state == OPEN)
            {
                *state = KEPT;
            }
        }
        self.n_settled += usize::from(self.question(row).is_none());
        if chunk == self.round {
            self.waiting[row / 64] &= !(1 << (row % 64));
            self.n_waiting -= 1;
        }
    }

    /// Finds the rows that wait for a question. No row waits for an earlier one, so one look a row is enough.
    fn start_round(&mut self, round: usize) {
        self.round = round;
        self.first_word = 0;
        self.waiting.fill(0);
        for row in 0..self.len() {
            let waits = match round {
                0 => self.base[row] == UNKNOWN,
                _ => self.base[row] == RIGHT && self.chunks[row * self.n_chunks + round - 1] == OPEN,
            };
            self.waiting[row / 64] |= u64::from(waits) << (row % 64);
        }
        self.n_waiting = self.waiting.iter().map(|bits| bits.count_ones() as usize).sum();
    }

    /// Goes on to the first round that has a question left, and past the words that have none.
    fn pass_rounds(&mut self) {
        while self.n_waiting == 0 && self.round < self.n_chunks {
            self.start_round(self.round + 1);
        }
        while self.waiting.get(self.first_word) == Some(&0) {
            self.first_word += 1;
        }
    }
}

fn check_m(m: usize) -> Result<()> {
    if m == 0 {
        return Err(Error::Zero { name: "M" });
    }
    Ok(())
}

/// A ledger knows no step counts: boundaries may end anywhere.
fn check_boundaries(boundaries: &[i64], m: usize) -> Result<()> {
    match boundaries.chunks_exact(m + 1).enumerate().find(|(_, cuts)| cuts[0] != 0 || !cuts.is_sorted()) {
        None => Ok(()),
        Some((row, cuts)) => {
            Err(Error::Boundaries { name: "boundaries", row, got: cuts.to_vec(), n_steps: None })
        }
    }
}

/// A value that stands twice; ascending values, the usual case, are not sorted again.
fn first_twin(values: &[i64]) -> Option<i64> {
    if values.windows(2).all(|pair| pair[0] < pair[1]) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Whether answers can have led to these states: questions are asked in the order of the chunks.
fn reachable(base: u8, states: &[u8]) -> bool {
    match base {
        UNKNOWN => states.iter().all(|state| matches!(*state, OPEN | EMPTY)),
        WRONG => states.iter().all(|state| matches!(*state, KEPT | EMPTY)),
        RIGHT => {
            let open = states.iter().position(|state| *state == OPEN).unwrap_or(states.len());
            states[..open].iter().all(|state| *state <= EMPTY)
                && states[open..].iter().all(|state| matches!(*state, OPEN | EMPTY))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger() -> Ledger {
        Ledger::new(&[0, 1, 1, 3, 0, 1, 2, 3], 3).unwrap()
    }

    #[test]
    fn rounds_go_chunk_by_chunk_and_pass_over_empty_chunks() {
        let mut ledger = ledger();
        assert_eq!(ledger.next_batch(10), (vec![0, 1], vec![0, 0]));
        assert_eq!(ledger.next_batch(1), (vec![0], vec![0]));
        ledger.record(&[0, 1], &[0, 0], &[true, true]).unwrap();
        ledger.record(&[0, 1], &[1, 1], &[true, false]).unwrap();
        assert_eq!(ledger.next_batch(10), (vec![1], vec![2]));
        ledger.record(&[1], &[2], &[true]).unwrap();
        ledger.record(&[0, 1], &[3, 3], &[false, true]).unwrap();
        assert!(ledger.done());
        assert_eq!(ledger.states(), [2, 3, 1, 1, 2, 2]);
        assert_eq!(ledger.states_of(&[1, 0]).unwrap(), [1, 2, 2, 2, 3, 1]);
        assert_eq!(ledger.base_of(&[1, 1, 0]).unwrap(), [1, 1, 1]);
        assert!(ledger.states_of(&[2]).is_err() && ledger.base_of(&[-1]).is_err());
        assert_eq!(ledger.asked(), 7);
        assert_eq!(ledger.next_batch(10), (vec![], vec![]));
        let stats = ledger.stats();
        assert_eq!(stats.by_chunk, [[2, 1], [1, 1], [2, 1]]);
        assert_eq!(stats.by_n_chunks, [[0, 0, 0], [0, 0, 0], [1, 2, 1], [1, 3, 2]]);
    }

    #[test]
    fn a_row_wrong_with_nothing_dropped_keeps_its_chunks() {
        let mut ledger = ledger();
        ledger.record(&[0], &[0], &[false]).unwrap();
        assert_eq!(&ledger.states()[..3], [1, 3, 1]);
        assert_eq!(ledger.question(0), None);
        assert_eq!(ledger.n_settled(), 1);
        assert_eq!(ledger.stats().base, [1, 0, 1]);
    }

    #[test]
    fn impossible_answers_change_nothing() {
        let mut ledger = ledger();
        let before = ledger.clone();
        for (rows, chunks, right) in [
            (&[0, 0][..], &[0, 0][..], &[true, true][..]),
            (&[1, 0, 1], &[0, 0, 0], &[true, true, true]),
            (&[0], &[1], &[true]),
            (&[5], &[0], &[true]),
            (&[-1], &[0], &[true]),
            (&[0, 1], &[0], &[true]),
            (&[0, 1], &[0, 2], &[true, true]),
        ] {
            assert!(ledger.record(rows, chunks, right).is_err());
            assert_eq!(ledger, before);
        }
    }

    #[test]
    fn states_that_no_answers_lead_to_are_refused() {
        for (base, chunks) in [
            (&[3][..], &[0, 0][..]),
            (&[0], &[1, 0]),
            (&[0], &[0, 2]),
            (&[1], &[0, 2]),
            (&[1], &[4, 0]),
            (&[2], &[1, 0]),
            (&[2], &[1, 2]),
            (&[0, 0], &[0, 0, 0]),
        ] {
            assert!(Ledger::from_states(base, chunks, 2).is_err(), "{base:?} {chunks:?}");
        }
        assert!(Ledger::from_states(&[], &[], 0).is_err());
    }

    proptest! {
        /// However rows are answered, ahead of the round or in it, what is kept up to date equals what is counted
        /// anew from the states.
        #[test]
        fn what_is_kept_up_to_date_equals_what_is_counted_anew(
            sizes in prop::collection::vec(prop::collection::vec(0i64..2, 3), 0..200),
            answers in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..400),
        ) {
            let boundaries: Vec<i64> = sizes
                .iter()
                .flat_map(|row| [0, row[0], row[0] + row[1], row[0] + row[1] + row[2]])
                .collect();
            let mut ledger = Ledger::new(&boundaries, 3).unwrap();
            for (index, right) in answers.iter().filter(|_| !sizes.is_empty()) {
                let row = index.index(sizes.len());
                if let Some(chunk) = ledger.question(row) {
                    ledger.record(&[row as i64], &[chunk as i64], &[*right]).unwrap();
                }
            }
            let again = Ledger::from_states(ledger.base(), ledger.states(), 3).unwrap();
            prop_assert_eq!(&again, &ledger);
            let lowest = (0..ledger.len()).filter_map(|row| ledger.question(row)).min();
            let rows: Vec<i64> = (0..ledger.len())
                .filter(|row| lowest.is_some() && ledger.question(*row) == lowest)
                .map(|row| row as i64)
                .collect();
            prop_assert_eq!(ledger.next_batch(usize::MAX).0, rows);
        }
    }
}
