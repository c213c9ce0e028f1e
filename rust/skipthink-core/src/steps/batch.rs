//! Many texts at once, on threads.

use std::ops::Range;

use super::{Rules, Splitter};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::parallel::{map_blocks, run_parts};
use crate::ragged::Offsets;

/// Bytes that are looked at as UTF-8 at once: few enough that the splitter finds them in a near cache.
const PIECE: usize = 32 * 1024;

/// The steps of many texts: ends in code points, and the rows' offsets into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// End of each step within its text.
    pub ends: Vec<i64>,
    /// Rows of steps, n + 1.
    pub offsets: Vec<i64>,
}

/// Splits texts.
///
/// # Errors
/// `Error::Interrupted`.
pub fn split_texts<T: AsRef<str> + Sync>(texts: &[T], rules: &Rules, threads: usize) -> Result<Spans> {
    split_blocks(texts.len(), rules, threads, |rows, block| {
        for text in &texts[rows] {
            interrupt::check(text.as_ref().len())?;
            block.add(text.as_ref());
        }
        Ok(())
    })
}

/// Splits texts that are rows of UTF-8 bytes, as in Arrow.
///
/// # Errors
/// `Error::NotUtf8` naming the first row that is not UTF-8; `Error::Interrupted`.
pub fn split_buffer(data: &[u8], offsets: Offsets<'_>, rules: &Rules, threads: usize) -> Result<Spans> {
    split_blocks(offsets.len(), rules, threads, |rows, block| {
        let mut first = rows.start;
        while first < rows.end {
            let start = offsets.row(first).start;
            // as many rows as a piece holds, at least one
            let mut last = first + 1;
            while last < rows.end && offsets.row(last).end - start <= PIECE {
                last += 1;
            }
            let bytes = &data[start..offsets.row(last - 1).end];
            interrupt::check(bytes.len())?;
            let piece = std::str::from_utf8(bytes);
            for row in first..last {
                let Range { start: from, end: to } = offsets.row(row);
                let text = piece.ok().and_then(|piece| piece.get(from - start..to - start));
                block.add(match text {
                    Some(text) => text,
                    None => std::str::from_utf8(&data[from..to]).map_err(|error| not_utf8(row, error))?,
                });
            }
            first = last;
        }
        Ok(())
    })
}

fn not_utf8(row: usize, error: std::str::Utf8Error) -> Error {
    Error::NotUtf8 { row, index: error.valid_up_to() }
}

/// Spans of consecutive rows, being made.
struct Block<'r> {
    splitter: Splitter<'r>,
    spans: Spans,
}

impl Block<'_> {
    #[inline]
    fn add(&mut self, text: &str) {
        self.splitter.split(text, &mut self.spans.ends);
        self.spans.offsets.push(self.spans.ends.len() as i64);
    }
}

fn split_blocks(
    n_rows: usize,
    rules: &Rules,
    threads: usize,
    add: impl Fn(Range<usize>, &mut Block<'_>) -> Result<()> + Sync + Send,
) -> Result<Spans> {
    let split = |rows: Range<usize>| {
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        offsets.push(0);
        let mut block = Block { splitter: Splitter::new(rules), spans: Spans { ends: Vec::new(), offsets } };
        add(rows, &mut block)?;
        Ok(block.spans)
    };
    if threads == 1 {
        return split(0..n_rows);
    }
    joined(map_blocks(n_rows, threads, split)?, threads)
}

/// One after the other; every block is written to its place by some thread.
fn joined(blocks: Vec<Spans>, threads: usize) -> Result<Spans> {
    let total: usize = blocks.iter().map(|block| block.ends.len()).sum();
    let n_rows: usize = blocks.iter().map(|block| block.offsets.len() - 1).sum();
    let (mut ends, mut offsets) = (vec![0; total], vec![0; n_rows + 1]);
    let (mut free_ends, mut free_offsets) = (&mut ends[..], &mut offsets[1..]);
    let (mut places, mut first) = (Vec::with_capacity(blocks.len()), 0);
    for block in blocks {
        let place = free_ends.split_off_mut(..block.ends.len()).unwrap_or_default();
        let rows = free_offsets.split_off_mut(..block.offsets.len() - 1).unwrap_or_default();
        let next = first + block.ends.len() as i64;
        places.push((block, place, rows, first));
        first = next;
    }
    run_parts(
        places,
        threads,
        || (),
        |(), (block, place, rows, first)| {
            place.copy_from_slice(&block.ends);
            rows.iter_mut().zip(&block.offsets[1..]).for_each(|(row, end)| *row = first + end);
            Ok(())
        },
    )?;
    Ok(Spans { ends, offsets })
}
