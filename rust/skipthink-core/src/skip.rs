//! The skip ledger: which chunks the student was asked about, and what came out (method §6).

use crate::error::{Error, Result};

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

const UNKNOWN: u8 = 0;
const RIGHT: u8 = 1;
const WRONG: u8 = 2;
const FORMAT: u8 = 1;
const HEADER: usize = 1 + 8 + 8;

/// State machine over (row, chunk). Question 0 of a row drops nothing; question c drops chunk c.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    n_rows: usize,
    n_chunks: usize,
    base: Vec<u8>,
    chunks: Vec<u8>,
    asked: u64,
    /// Questions of the current round have this chunk number; rows before `cursor` are settled for it.
    round: usize,
    cursor: usize,
}

impl Ledger {
    /// A ledger for rows of M chunks, nothing asked.
    ///
    /// # Errors
    /// M = 0, or boundaries that decrease.
    pub fn new(boundaries: &[i64], m: usize) -> Result<Self> {
        if m == 0 {
            return Err(Error::Option { name: "M", expected: "at least 1", got: "0".into() });
        }
        let n_rows = boundaries.len() / (m + 1);
        let mut chunks = Vec::with_capacity(n_rows * m);
        for (row, cuts) in boundaries.chunks_exact(m + 1).enumerate() {
            if cuts[0] != 0 || cuts.windows(2).any(|pair| pair[1] < pair[0]) {
                return Err(Error::Boundaries {
                    name: "boundaries",
                    row,
                    got: format!("{cuts:?}"),
                    expected: "numbers that start at 0 and never decrease".into(),
                });
            }
            chunks.extend(
                cuts.windows(2).map(|pair| if pair[0] == pair[1] { State::Empty } else { State::Open } as u8),
            );
        }
        Ok(Self { n_rows, n_chunks: m, base: vec![UNKNOWN; n_rows], chunks, asked: 0, round: 0, cursor: 0 })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Number of chunks M.
    pub fn n_chunks(&self) -> usize {
        self.n_chunks
    }

    /// Questions answered so far.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// States of all chunks, `(n, M)`, row-major, as `State` codes.
    pub fn states(&self) -> &[u8] {
        &self.chunks
    }

    /// Rows that the student gets right with nothing dropped, as a mask.
    pub fn base_right(&self) -> impl Iterator<Item = bool> + '_ {
        self.base.iter().map(|base| *base == RIGHT)
    }

    /// The next question of a row; None when it is settled.
    pub fn question(&self, row: usize) -> Option<usize> {
        match self.base[row] {
            UNKNOWN => Some(0),
            WRONG => None,
            _ => self.row(row).iter().position(|state| *state == State::Open as u8).map(|chunk| chunk + 1),
        }
    }

    /// Rows that need no question more.
    pub fn n_settled(&self) -> usize {
        (0..self.n_rows).filter(|row| self.question(*row).is_none()).count()
    }

    /// At most `limit` questions of the current round, rows ascending, all about the same chunk number; empty
    /// when all is settled. Asking again before recording gives the same questions.
    pub fn next_batch(&mut self, limit: usize) -> (Vec<i64>, Vec<i64>) {
        while self.round <= self.n_chunks {
            while self.cursor < self.n_rows && self.question(self.cursor) != Some(self.round) {
                self.cursor += 1;
            }
            if self.cursor < self.n_rows {
                let rows: Vec<i64> = (self.cursor..self.n_rows)
                    .filter(|row| self.question(*row) == Some(self.round))
                    .take(limit)
                    .map(|row| row as i64)
                    .collect();
                let chunks = vec![self.round as i64; rows.len()];
                return (rows, chunks);
            }
            self.round += 1;
            self.cursor = 0;
        }
        (Vec::new(), Vec::new())
    }

    /// Whether every row is settled.
    pub fn done(&self) -> bool {
        (0..self.n_rows).all(|row| self.question(row).is_none())
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
        Ok(())
    }

    /// Checks answers without taking them, so that what cannot be need not be written to disk first.
    ///
    /// # Errors
    /// As `record`.
    pub fn check(&self, rows: &[i64], chunks: &[i64], n_right: usize) -> Result<()> {
        if rows.len() != chunks.len() || rows.len() != n_right {
            return Err(Error::Ledger(format!(
                "rows, chunks and right must have the same length, got {}, {} and {n_right}",
                rows.len(),
                chunks.len()
            )));
        }
        let mut seen: Vec<i64> = rows.to_vec();
        seen.sort_unstable();
        if let Some((row, _)) =
            seen.iter().zip(&seen[1.min(seen.len())..]).find(|(left, right)| left == right)
        {
            return Err(Error::Ledger(format!("row {row} is answered twice in one call")));
        }
        for (row, chunk) in rows.iter().zip(chunks) {
            let Some(index) = usize::try_from(*row).ok().filter(|index| *index < self.n_rows) else {
                return Err(Error::Ledger(format!(
                    "row {row} is not one of the ledger's {} rows",
                    self.n_rows
                )));
            };
            let next = self.question(index);
            if next.map(|next| next as i64) != Some(*chunk) {
                let expected =
                    next.map_or("it is settled".into(), |next| format!("its next question is {next}"));
                return Err(Error::Ledger(format!(
                    "row {row} was not asked about chunk {chunk}: {expected}"
                )));
            }
        }
        Ok(())
    }

    fn apply(&mut self, row: usize, chunk: usize, right: bool) {
        if chunk > 0 {
            let state = if right { State::Skipped } else { State::Kept };
            self.chunks[row * self.n_chunks + chunk - 1] = state as u8;
            return;
        }
        self.base[row] = if right { RIGHT } else { WRONG };
        if !right {
            let start = row * self.n_chunks;
            for state in &mut self.chunks[start..start + self.n_chunks] {
                if *state == State::Open as u8 {
                    *state = State::Kept as u8;
                }
            }
        }
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.chunks[row * self.n_chunks..(row + 1) * self.n_chunks]
    }

    /// The whole state as bytes: format, n, M, asked rows, chunk states.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend((self.n_rows as u64).to_le_bytes());
        bytes.extend((self.n_chunks as u64).to_le_bytes());
        bytes.extend(self.asked.to_le_bytes());
        bytes.extend(&self.base);
        bytes.extend(&self.chunks);
        bytes
    }

    /// A ledger from `to_bytes`.
    ///
    /// # Errors
    /// Bytes of another format, of another length, or with states that do not exist.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::Ledger(format!("these bytes are no skip ledger: {what}"));
        if bytes.first() != Some(&FORMAT) || bytes.len() < HEADER + 8 {
            return Err(wrong("unknown format or too short"));
        }
        let number =
            |at: usize| bytes[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (n_rows, n_chunks, asked) = (number(1), number(9), number(17));
        let states = &bytes[HEADER + 8..];
        let expected = n_chunks.checked_add(1).and_then(|width| width.checked_mul(n_rows));
        if n_chunks == 0 || expected != Some(states.len() as u64) {
            return Err(wrong("its length does not fit its rows and chunks"));
        }
        let (base, chunks) = states.split_at(n_rows as usize);
        if base.iter().any(|base| *base > WRONG) || chunks.iter().any(|state| *state > State::Empty as u8) {
            return Err(wrong("it holds states that do not exist"));
        }
        Ok(Self {
            n_rows: n_rows as usize,
            n_chunks: n_chunks as usize,
            base: base.to_vec(),
            chunks: chunks.to_vec(),
            asked,
            round: 0,
            cursor: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(ledger.asked(), 7);
        assert_eq!(ledger.next_batch(10), (vec![], vec![]));
    }

    #[test]
    fn a_row_wrong_with_nothing_dropped_keeps_its_chunks() {
        let mut ledger = ledger();
        ledger.record(&[0], &[0], &[false]).unwrap();
        assert_eq!(&ledger.states()[..3], [1, 3, 1]);
        assert_eq!(ledger.question(0), None);
        assert_eq!(ledger.n_settled(), 1);
    }

    #[test]
    fn impossible_answers_change_nothing() {
        let mut ledger = ledger();
        let before = ledger.clone();
        for (rows, chunks, right) in [
            (&[0, 0][..], &[0, 0][..], &[true, true][..]),
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
    fn bytes_round_trip() {
        let mut ledger = ledger();
        ledger.record(&[0, 1], &[0, 0], &[true, false]).unwrap();
        let again = Ledger::from_bytes(&ledger.to_bytes()).unwrap();
        assert_eq!(again, ledger);
        let mut bytes = ledger.to_bytes();
        bytes.pop();
        assert!(Ledger::from_bytes(&bytes).is_err());
        assert!(Ledger::from_bytes(b"x").is_err());
    }
}
