//! Optimal boundaries of one long row under the variance, in nearly linear time.
//!
//! The cost of a chunk is what its steps cost under the best level μ. For a fixed μ every step costs all chunks that
//! are still open the same, so of two starts the one that is better at μ stays better at μ for ever. Hence each μ has
//! one start, the line of all μ falls into a few pieces, and a start that holds no piece can be forgotten: nothing is
//! lost (functional pruning: Rigaill 2010, arXiv 1004.0887). Chunks of at least one step, one loss per step for all
//! stages.

#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use pulp::{Simd, WithSimd};

use crate::error::Result;
use crate::interrupt;
use crate::losses::Row;
use crate::search::running::{Lengths, Running, costs_to_the_left, or_zero};

/// Work space, reused from row to row.
#[derive(Debug, Default)]
pub struct Space {
    /// Of each layer but the last one.
    layers: Vec<Pieces>,
    choices: Vec<u32>,
    width: usize,
    /// J of the first steps in all chunks but the last one, by their number.
    before_last: Vec<f64>,
}

impl Space {
    /// Writes the boundaries, of which the first and the last stand already. The last chunk ends with the row, so its
    /// start is looked for among all.
    pub fn walk_back<C: Running>(&self, row: &Row, lengths: &Lengths, cuts: &mut [usize]) {
        let m = cuts.len() - 1;
        let mut least = f64::INFINITY;
        for (start, cost) in costs_to_the_left::<C>(row, lengths, m - 1, row.n_steps) {
            let joined = self.before_last[start] + cost;
            if start < row.n_steps && joined < least {
                (least, cuts[m - 1]) = (joined, start);
            }
        }
        for chunk in (1..m - 1).rev() {
            cuts[chunk] = self.choices[(chunk + 1) * self.width + cuts[chunk + 1]] as usize;
        }
    }
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
    fn with_simd<S: Simd>(self, simd: S) -> Result<()> {
        let Self { space, row, m } = self;
        let (k, losses) = (row.n_steps, row.stage(0));
        // means of chunks lie between the least and the largest loss
        let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let high = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        space.width = k + 1;
        space.choices.resize(m * (k + 1), 0);
        space.before_last.clear();
        space.before_last.push(f64::INFINITY);
        space.layers.resize_with(m, Pieces::default);
        space.layers.iter_mut().for_each(Pieces::clear);
        space.layers[1].enter(simd, New { start: 0.0, before: 0.0, low, high });
        for end in 1..=k {
            interrupt::check(100 * m)?;
            let (loss, weight) = (losses[end - 1], row.weights[end - 1]);
            let mut shorter = space.layers[1].grow(simd, loss, weight);
            for layer in 2..m.min(end + 2) {
                let pieces = &mut space.layers[layer];
                let best = pieces.grow(simd, loss, weight);
                space.choices[layer * space.width + end] = pieces.last_start_of(simd, best) as u32;
                // the end of the chunk before is where one of this layer may start
                pieces.enter(simd, New { start: end as f64, before: shorter, low, high });
                shorter = best;
            }
            // too few steps for that many chunks
            space.before_last.push(if end + 1 < m { f64::INFINITY } else { shorter });
        }
        Ok(())
    }
}

/// A start that no step has followed yet, and all levels.
#[derive(Debug, Clone, Copy)]
struct New {
    start: f64,
    /// J of the chunks before.
    before: f64,
    low: f64,
    high: f64,
}

/// The pieces of the line of levels, each with the start that is best there. A piece keeps its place while it lives;
/// their order on the line is kept apart. Columns are filled up to whole vectors.
#[derive(Debug, Default)]
struct Pieces {
    /// Places from the left of the line to the right.
    order: Vec<u32>,
    spare_order: Vec<u32>,
    free: Vec<u32>,
    /// First step of the chunk.
    start: Vec<f64>,
    /// J of the chunks before it; infinite where no piece lives.
    before: Vec<f64>,
    /// Weight, mean and squared deviation of its steps so far.
    weight: Vec<f64>,
    mean: Vec<f64>,
    squares: Vec<f64>,
    /// J with it as the last chunk.
    cost: Vec<f64>,
    /// The levels.
    low: Vec<f64>,
    high: Vec<f64>,
    /// 1 where a new start takes nothing of the piece.
    stays: Vec<f64>,
}

/// Places that are added at once: the widest vector.
const PLACES: usize = 8;

impl Pieces {
    fn clear(&mut self) {
        self.order.clear();
        self.free.clear();
        self.free.extend((0..self.start.len() as u32).rev());
        self.before.fill(f64::INFINITY);
        self.cost.fill(f64::INFINITY);
    }

    /// A place for a piece.
    fn place(&mut self) -> usize {
        if self.free.is_empty() {
            let (old, new) = (self.start.len(), self.start.len() + PLACES);
            let Self { start, before, weight, mean, squares, cost, low, high, stays, .. } = self;
            for column in [start, weight, mean, squares, low, high, stays] {
                column.resize(new, 0.0);
            }
            for column in [before, cost] {
                column.resize(new, f64::INFINITY);
            }
            self.free.extend((old as u32..new as u32).rev());
        }
        self.free.pop().expect("places were added") as usize
    }

    /// One step more for all chunks (West's update); the least J of chunks that end here.
    #[inline(always)]
    fn grow<S: Simd>(&mut self, simd: S, loss: f64, step_weight: f64) -> f64 {
        let (loss, step_weight) = (simd.splat_f64s(loss), simd.splat_f64s(step_weight));
        let before = S::as_simd_f64s(&self.before).0;
        let weights = S::as_mut_simd_f64s(&mut self.weight).0;
        let means = S::as_mut_simd_f64s(&mut self.mean).0;
        let squares = S::as_mut_simd_f64s(&mut self.squares).0;
        let costs = S::as_mut_simd_f64s(&mut self.cost).0;
        let mut least = simd.splat_f64s(f64::INFINITY);
        for ((((before, weight), mean), squares), cost) in
            before.iter().zip(weights).zip(means).zip(squares).zip(costs)
        {
            let total = simd.add_f64s(*weight, step_weight);
            let share = or_zero(simd, total, simd.div_f64s(step_weight, total));
            let off = simd.sub_f64s(loss, *mean);
            let grown = simd.mul_f64s(simd.mul_f64s(off, off), simd.mul_f64s(*weight, share));
            *mean = simd.add_f64s(*mean, simd.mul_f64s(off, share));
            *squares = simd.add_f64s(*squares, grown);
            *weight = total;
            *cost = simd.add_f64s(*before, *squares);
            least = simd.min_f64s(least, *cost);
        }
        simd.reduce_min_f64s(least)
    }

    /// The last start among those with the least J.
    #[inline(always)]
    fn last_start_of<S: Simd>(&self, simd: S, best: f64) -> f64 {
        let (best, none) = (simd.splat_f64s(best), simd.splat_f64s(0.0));
        let mut last = none;
        for (cost, start) in S::as_simd_f64s(&self.cost).0.iter().zip(S::as_simd_f64s(&self.start).0) {
            let reaches = simd.less_than_or_equal_f64s(*cost, best);
            last = simd.max_f64s(last, simd.select_f64s(reaches, *start, none));
        }
        simd.reduce_max_f64s(last)
    }

    /// Marks the pieces at both ends of which the old start is better than the new one, and so everywhere.
    #[inline(always)]
    fn mark_stays<S: Simd>(&mut self, simd: S, new: f64) {
        let new = simd.splat_f64s(new);
        let columns = S::as_simd_f64s(&self.cost).0.iter().zip(S::as_simd_f64s(&self.weight).0);
        let columns = columns.zip(S::as_simd_f64s(&self.mean).0);
        let line = S::as_simd_f64s(&self.low).0.iter().zip(S::as_simd_f64s(&self.high).0);
        let stays = S::as_mut_simd_f64s(&mut self.stays).0;
        for ((((cost, weight), mean), (low, high)), stays) in columns.zip(line).zip(stays) {
            let (low, high) = (simd.sub_f64s(*low, *mean), simd.sub_f64s(*high, *mean));
            let farther = simd.max_f64s(simd.mul_f64s(low, low), simd.mul_f64s(high, high));
            let worst = simd.add_f64s(*cost, simd.mul_f64s(*weight, farther));
            let better = simd.less_than_f64s(worst, new);
            *stays = simd.select_f64s(better, simd.splat_f64s(1.0), simd.splat_f64s(0.0));
        }
    }

    /// A new start takes over the levels at which no start before it is better.
    #[inline(always)]
    fn enter<S: Simd>(&mut self, simd: S, new: New) {
        if self.order.is_empty() {
            self.give(new, new.low, new.high);
            return;
        }
        self.mark_stays(simd, new.before);
        let order = std::mem::take(&mut self.order);
        self.order = std::mem::take(&mut self.spare_order);
        self.order.clear();
        for place in &order {
            if self.stays[*place as usize] > 0.0 {
                self.order.push(*place);
            } else {
                self.share(*place, new);
            }
        }
        self.spare_order = order;
    }

    /// Shares the levels of a piece between its start and a new one.
    fn share(&mut self, place: u32, new: New) {
        let at = place as usize;
        let (low, high, mean, weight) = (self.low[at], self.high[at], self.mean[at], self.weight[at]);
        let stays = |level: f64| self.cost[at] + weight * ((level - mean) * (level - mean)) < new.before;
        let (keeps_low, keeps_high) = (stays(low), stays(high));
        // so far from its mean the old start costs as much as the new one
        let spare = new.before - self.cost[at];
        let reach = if spare > 0.0 { (spare / weight).sqrt() } else { f64::NEG_INFINITY };
        let from = if keeps_low { low } else { (mean - reach).max(low) };
        let to = if keeps_high { high } else { (mean + reach).min(high) };
        if from >= to {
            self.before[at] = f64::INFINITY;
            self.cost[at] = f64::INFINITY;
            self.free.push(place);
            self.give(new, low, high);
            return;
        }
        if !keeps_low {
            self.give(new, low, from);
        }
        (self.low[at], self.high[at]) = (from, to);
        self.order.push(place);
        if !keeps_high {
            self.give(new, to, high);
        }
    }

    /// Adds a piece of the new start, or lengthens the one it has just got.
    fn give(&mut self, new: New, low: f64, high: f64) {
        if let Some(last) = self.order.last().map(|place| *place as usize)
            && self.start[last] >= new.start
        // starts come in order: it is the new one
        {
            self.high[last] = high;
            return;
        }
        let at = self.place();
        self.order.push(at as u32);
        self.start[at] = new.start;
        (self.before[at], self.cost[at]) = (new.before, new.before);
        (self.weight[at], self.mean[at], self.squares[at]) = (0.0, 0.0, 0.0);
        (self.low[at], self.high[at]) = (low, high);
    }
}
