//! Optimal boundaries of one long row under the variance, in nearly linear time.
//!
//! The cost of a chunk is what its steps cost under the best level μ. For a fixed μ every step costs all chunks that
//! are still open the same, so of two starts the one that is better at μ stays better at μ for ever. Hence each μ has
//! one start, the line of all μ falls into a few pieces, and a start that holds no piece can be forgotten: nothing is
//! lost (functional pruning: Rigaill 2010, arXiv 1004.0887). Chunks of at least one step, one loss a step for all
//! stages.

#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use pulp::WithSimd;

use crate::error::Result;
use crate::interrupt;
use crate::losses::Row;

/// Work space, reused from row to row.
#[derive(Debug, Default)]
pub struct Space {
    /// Of each layer from the second on.
    layers: Vec<Pieces>,
    spare: Pieces,
    choices: Vec<u32>,
    width: usize,
}

impl Space {
    /// Writes the boundaries, of which the first and the last stand already.
    pub fn walk_back(&self, cuts: &mut [usize]) {
        for chunk in (1..cuts.len() - 1).rev() {
            cuts[chunk] = self.choices[(chunk + 1) * self.width + cuts[chunk + 1]] as usize;
        }
    }
}

/// Pieces of the line of levels, from the left to the right, each with the start that is best there.
#[derive(Debug, Default)]
struct Pieces {
    /// First step of the chunk.
    start: Vec<u32>,
    /// J of the chunks before it.
    before: Vec<f64>,
    /// Weight, mean and squared deviation of its steps so far.
    weight: Vec<f64>,
    mean: Vec<f64>,
    squares: Vec<f64>,
    /// The piece.
    low: Vec<f64>,
    high: Vec<f64>,
}

/// Fills the table of choices for a row.
///
/// # Errors
/// `Error::Interrupted`.
pub fn fill(arch: pulp::Arch, space: &mut Space, row: &Row, m: usize) -> Result<()> {
    arch.dispatch(Fill { space, row, m })
}

struct Fill<'a> {
    space: &'a mut Space,
    row: &'a Row,
    m: usize,
}

impl WithSimd for Fill<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Result<()> {
        let Self { space, row, m } = self;
        let (k, losses) = (row.n_steps, row.stage(0));
        // means of chunks lie between the least and the largest loss
        let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let high = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        space.layers.resize_with(m + 1, Pieces::default);
        space.layers.iter_mut().for_each(Pieces::clear);
        space.width = k + 1;
        space.choices.resize((m + 1) * (k + 1), 0);
        let mut first = Pieces::default();
        first.push(Piece { low, high, ..Piece::default() });
        for end in 1..=k {
            interrupt::check(100 * m)?;
            let (loss, weight) = (losses[end - 1], row.weights[end - 1]);
            first.grow(loss, weight);
            let mut shorter = first.least().0;
            for layer in 2..=m.min(end + 1) {
                let pieces = &mut space.layers[layer];
                pieces.grow(loss, weight);
                let (best, start) = pieces.least();
                space.choices[layer * space.width + end] = start;
                // the end of the chunk before is where one of this layer may start
                let entering = Piece { start: end as u32, before: shorter, low, high, ..Piece::default() };
                pieces.enter(entering, &mut space.spare);
                shorter = best;
            }
        }
        Ok(())
    }
}

/// A start and the levels for which it is best.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    start: u32,
    before: f64,
    weight: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Pieces {
    fn clear(&mut self) {
        self.start.clear();
        for column in self.columns() {
            column.clear();
        }
    }

    fn columns(&mut self) -> [&mut Vec<f64>; 6] {
        let Self { before, weight, mean, squares, low, high, .. } = self;
        [before, weight, mean, squares, low, high]
    }

    fn push(&mut self, piece: Piece) {
        let Piece { start, before, weight, mean, squares, low, high } = piece;
        self.start.push(start);
        for (column, value) in self.columns().into_iter().zip([before, weight, mean, squares, low, high]) {
            column.push(value);
        }
    }

    fn at(&self, place: usize) -> Piece {
        Piece {
            start: self.start[place],
            before: self.before[place],
            weight: self.weight[place],
            mean: self.mean[place],
            squares: self.squares[place],
            low: self.low[place],
            high: self.high[place],
        }
    }

    /// One step more for all chunks (West's update).
    #[inline(always)]
    fn grow(&mut self, loss: f64, step_weight: f64) {
        let sums = self.weight.iter_mut().zip(&mut self.mean).zip(&mut self.squares);
        for ((weight, mean), squares) in sums {
            let total = *weight + step_weight;
            let share = if total > 0.0 { step_weight / total } else { 0.0 };
            let off = loss - *mean;
            *mean += off * share;
            *squares += off * off * (*weight * share);
            *weight = total;
        }
    }

    /// The least J of chunks that end here, and its start: the last one among equals.
    #[inline(always)]
    fn least(&self) -> (f64, u32) {
        let mut least = (f64::INFINITY, 0);
        for ((before, squares), start) in self.before.iter().zip(&self.squares).zip(&self.start) {
            let found = before + squares;
            if found < least.0 || (found <= least.0 && *start > least.1) {
                least = (found, *start);
            }
        }
        least
    }

    /// A new start takes over the levels at which no start before it is better.
    #[inline(always)]
    fn enter(&mut self, new: Piece, next: &mut Self) {
        if self.start.is_empty() {
            self.push(new);
            return;
        }
        next.clear();
        for place in 0..self.start.len() {
            let old = self.at(place);
            let cost = |level: f64| {
                let off = level - old.mean;
                old.before + old.squares + old.weight * (off * off)
            };
            let (keeps_low, keeps_high) = (cost(old.low) < new.before, cost(old.high) < new.before);
            if keeps_low && keeps_high {
                next.push(old);
                continue;
            }
            // as far from its mean the old start costs as much as the new one
            let spare = new.before - (old.before + old.squares);
            let reach = if spare > 0.0 { (spare / old.weight).sqrt() } else { f64::NEG_INFINITY };
            let from = if keeps_low { old.low } else { (old.mean - reach).max(old.low) };
            let to = if keeps_high { old.high } else { (old.mean + reach).min(old.high) };
            if from >= to {
                next.give(new, old.low, old.high);
                continue;
            }
            if !keeps_low {
                next.give(new, old.low, from);
            }
            next.push(Piece { low: from, high: to, ..old });
            if !keeps_high {
                next.give(new, to, old.high);
            }
        }
        std::mem::swap(self, next);
    }

    /// Adds a piece of the new start, or lengthens the one it has just got.
    #[inline(always)]
    fn give(&mut self, new: Piece, low: f64, high: f64) {
        match self.start.last() {
            Some(last) if *last == new.start => *self.high.last_mut().expect("as many as starts") = high,
            _ => self.push(Piece { low, high, ..new }),
        }
    }
}
