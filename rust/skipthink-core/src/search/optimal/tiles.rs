//! Optimal boundaries of one row, one end of a chunk in each lane.
//!
//! Ends come in blocks of `VECTORS` vectors. For a block the starts run from the right to the left, so that each
//! lane's chunk grows by one step; the costs of a tile of starts are computed once and then serve all layers. The
//! starts within the block itself (the corner) come last: a layer needs the layer before it to be finished there.
//! Loops over vectors are plain `for`s: what happens in a closure may not be compiled for the vector unit.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Problem;
use crate::error::Result;
use crate::interrupt;
use crate::search::running::{Lengths, Running, Step, one};

/// Vectors of ends in a block: enough independent sums to hide how long one takes.
const VECTORS: usize = 4;
/// Starts in a tile: its costs stay in the nearest cache.
const TILE: usize = 64;
/// Numbers of a cache line.
const LINE: usize = 8;
/// Starts a turn of the innermost loop, which then hardly depends on where in a line of code it begins.
const UNROLLED: usize = 4;

/// Work space, reused from row to row.
#[derive(Debug, Default)]
pub struct Space {
    losses: Vec<f64>,
    weights: Vec<f64>,
    ends: Vec<f64>,
    best: Vec<f64>,
    corner: Vec<f64>,
    found: Vec<f64>,
    tile: Vec<f64>,
}

/// The best J of the first steps of a row in the first chunks: `best.at(m, end)`.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    values: &'a [f64],
    width: usize,
}

impl Layers<'_> {
    /// J of `end` steps in `m` chunks; infinite where there are too few.
    pub fn at(&self, m: usize, end: usize) -> f64 {
        self.values[m * self.width + end]
    }
}

/// Fills all layers of a row.
///
/// # Errors
/// `Error::Interrupted`.
pub fn fill<'s, C: Running>(
    arch: pulp::Arch,
    space: &'s mut Space,
    lengths: &mut Lengths,
    problem: &Problem<'_>,
) -> Result<Layers<'s>> {
    lengths.fit(problem.row.n_steps, problem.m);
    arch.dispatch(Fill::<C> { space, lengths, problem, costs: PhantomData })?;
    Ok(Layers { values: &space.best, width: width_of(problem) })
}

/// Places of a layer: all ends, and room for the last block.
fn width_of(problem: &Problem<'_>) -> usize {
    problem.row.n_steps + 1 + Lengths::PAD
}

struct Fill<'a, C> {
    space: &'a mut Space,
    lengths: &'a Lengths,
    problem: &'a Problem<'a>,
    costs: PhantomData<C>,
}

type Block<S> = [<S as Simd>::f64s; VECTORS];

impl<C: Running> WithSimd for Fill<'_, C> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Result<()> {
        let Self { space, lengths, problem, .. } = self;
        let lanes = S::F64_LANES * VECTORS;
        debug_assert!(lanes <= Lengths::PAD, "the tables have room for a block");
        space.load(problem, lanes);
        space.best[0] = C::start();
        let first = usize::from(problem.min_steps > 0);
        for left in (first..=problem.row.n_steps).step_by(lanes) {
            interrupt::check((left + lanes) * problem.m)?;
            Ends { simd, lengths, problem, left }.fill::<C>(space);
        }
        Ok(())
    }
}

impl Space {
    fn load(&mut self, problem: &Problem<'_>, lanes: usize) {
        let (row, width) = (problem.row, width_of(problem));
        let padded = |out: &mut Vec<f64>, values: &[f64], n: usize| {
            out.clear();
            for part in values.chunks_exact(n) {
                out.extend_from_slice(part);
                out.resize(out.len() + width - n, 0.0);
            }
        };
        padded(&mut self.losses, &row.values, row.n_steps);
        padded(&mut self.weights, &row.weights, row.n_steps);
        padded(&mut self.ends, &row.ends, row.n_steps + 1);
        self.best.clear();
        self.best.resize((problem.m + 1) * width, f64::INFINITY);
        self.found.resize((problem.m + 1) * lanes, 0.0);
        self.tile.resize(TILE * lanes + LINE, 0.0);
    }
}

/// One block of ends: `left`, `left + 1`, …, one a lane.
struct Ends<'a, S> {
    simd: S,
    lengths: &'a Lengths,
    problem: &'a Problem<'a>,
    left: usize,
}

impl<S: Simd> Ends<'_, S> {
    const LANES: usize = S::F64_LANES * VECTORS;

    /// The last end of the block.
    #[inline(always)]
    fn right(&self) -> usize {
        (self.left + Self::LANES - 1).min(self.problem.row.n_steps)
    }

    /// Starts from which some end of the block is no whole chunk away.
    #[inline(always)]
    fn corner(&self) -> Range<usize> {
        (self.left + 1).saturating_sub(self.problem.min_steps.max(1))..self.right() + 1
    }

    #[inline(always)]
    fn fill<C: Running>(&self, space: &mut Space) {
        let Problem { row, m, min_steps, all_layers, .. } = *self.problem;
        // layers that these ends can belong to, given what earlier and later chunks need at least
        let spare = (row.n_steps - self.left).checked_div(min_steps).unwrap_or(m);
        let low = if all_layers { 1 } else { m.saturating_sub(spare).max(1) };
        // the last chunk ends with the last step
        let last = if all_layers || self.right() == row.n_steps { m } else { m - 1 };
        let high = self.right().checked_div(min_steps).unwrap_or(m).min(last);
        space.found[..].fill(f64::INFINITY);
        if self.problem.per_stage {
            for layer in low..=high {
                self.reach::<C>(space, layer..layer + 1);
                self.finish::<C>(space, layer);
            }
        } else {
            self.reach::<C>(space, low..high + 1);
            for layer in low..=high {
                self.finish::<C>(space, layer);
            }
        }
    }

    /// Computes the costs of all chunks that end in this block, stores those of the corner, and tries the others.
    #[inline(always)]
    fn reach<C: Running>(&self, space: &mut Space, layers: Range<usize>) {
        let Self { simd, lengths, problem, left } = *self;
        let (width, stage) = (width_of(problem), layers.start - 1);
        let Space { losses, weights, ends, best, corner: corner_costs, found, tile } = space;
        let losses = &losses[if problem.row.n_stages == 1 { 0 } else { stage * width }..][..width];
        let zero = simd.splat_f64s(0.0);
        let one = simd.splat_f64s(1.0);
        let mut sums = [C::open(simd, zero, zero); VECTORS];
        if !ends.is_empty() {
            let ends = load::<S>(&ends[stage * width + left..]);
            for v in 0..VECTORS {
                sums[v] = C::open(simd, ends[v], one);
            }
        }
        let corner = self.corner();
        corner_costs.resize(corner.len() * Self::LANES, 0.0);
        self.corner_costs::<C, 3>(losses, weights, &mut sums, corner_costs);
        self.corner_costs::<C, 2>(losses, weights, &mut sums, corner_costs);
        self.corner_costs::<C, 1>(losses, weights, &mut sums, corner_costs);
        self.corner_costs::<C, 0>(losses, weights, &mut sums, corner_costs);
        let lowest = stage * problem.min_steps;
        let tile = aligned::<S>(tile);
        let mut upper = corner.start;
        while upper > lowest {
            let lower = upper.saturating_sub(TILE).max(lowest);
            // chunks from the last start on the first end: `n` steps; each further start or end is one more
            let (n, starts) = ((left + 1 - upper) as isize, upper - lower);
            let inverses = lengths.inverse(n - 1).windows(Self::LANES);
            let rests = lengths.rest(n).windows(Self::LANES);
            let steps = losses[lower..upper].iter().zip(&weights[lower..upper]).rev();
            let out = tile[..starts].iter_mut().rev();
            for (((loss, weight), (inverse, rest)), costs) in steps.zip(inverses.zip(rests)).zip(out) {
                let (inverse, rest) = (load::<S>(inverse), load::<S>(rest));
                let (loss, weight) = (simd.splat_f64s(*loss), simd.splat_f64s(*weight));
                for v in 0..VECTORS {
                    let step = Step { loss, weight, begun: one, inverse: inverse[v], rest: rest[v] };
                    sums[v] = C::push(simd, sums[v], step);
                    costs[v] = C::cost(simd, sums[v]);
                }
            }
            if lengths.is_balanced() {
                self.charge(lower, &mut tile[..starts]);
            }
            for layer in layers.clone() {
                self.try_starts::<C>(best, found, layer, lower, &tile[..upper - lower]);
            }
            upper = lower;
        }
    }

    /// Charges the chunks that begin at `first`, `first + 1`, … for their lengths.
    #[inline(always)]
    fn charge(&self, first: usize, costs: &mut [Block<S>]) {
        for (start, costs) in (first..).zip(costs) {
            let charges = load::<S>(self.lengths.charges(self.left as isize - start as isize));
            for v in 0..VECTORS {
                costs[v] = self.simd.add_f64s(costs[v], charges[v]);
            }
        }
    }

    /// Starts of the corner at which the vectors from `V` on have begun.
    #[inline(always)]
    fn corner_part<const V: usize>(&self) -> Range<usize> {
        let corner = self.corner();
        let from = if V == 0 { corner.start } else { self.left + V * S::F64_LANES };
        let to = self.left + (V + 1) * S::F64_LANES;
        from.clamp(corner.start, corner.end)..to.clamp(corner.start, corner.end)
    }

    /// Costs of the corner's chunks, for a part of its starts; vectors before `V` have not begun there.
    #[inline(always)]
    fn corner_costs<C: Running, const V: usize>(
        &self,
        losses: &[f64],
        weights: &[f64],
        sums: &mut [C::Sums<S>; VECTORS],
        out: &mut [f64],
    ) {
        let Self { simd, lengths, left, .. } = *self;
        let corner = self.corner();
        for start in self.corner_part::<V>().rev() {
            let n = left as isize - start as isize;
            let (begun, bar) = (load::<S>(lengths.begun(n)), load::<S>(lengths.bar(n)));
            let (inverse, rest) = (load::<S>(lengths.inverse(n - 1)), load::<S>(lengths.rest(n)));
            let (loss, weight) = (simd.splat_f64s(losses[start]), simd.splat_f64s(weights[start]));
            let mut costs = [simd.splat_f64s(f64::INFINITY); VECTORS];
            for v in V..VECTORS {
                let (begun, weight) = (begun[v], simd.mul_f64s(weight, begun[v]));
                let step = Step { loss, weight, begun, inverse: inverse[v], rest: rest[v] };
                sums[v] = C::push(simd, sums[v], step);
                costs[v] = simd.add_f64s(C::cost(simd, sums[v]), bar[v]);
            }
            store::<S>(costs, &mut out[(start - corner.start) * Self::LANES..]);
        }
    }

    /// Improves a layer by chunks that begin at `first`, `first + 1`, …
    #[inline(always)]
    fn try_starts<C: Running>(
        &self,
        best: &[f64],
        found: &mut [f64],
        layer: usize,
        first: usize,
        costs: &[Block<S>],
    ) {
        let simd = self.simd;
        // the first chunk begins at 0; chunks before the others need steps as well
        let skipped = ((layer - 1) * self.problem.min_steps).saturating_sub(first).min(costs.len());
        let range = if layer == 1 { 0..usize::from(first == 0) } else { skipped..costs.len() };
        let before = &best[(layer - 1) * width_of(self.problem) + first..][range.clone()];
        let found = &mut found[layer * Self::LANES..];
        let (mut least, one) = (load::<S>(found), one(simd));
        let (before, last_before) = before.as_chunks::<UNROLLED>();
        let (costs, last_costs) = costs[range].as_chunks::<UNROLLED>();
        for (before, costs) in before.iter().zip(costs) {
            for start in 0..UNROLLED {
                self.try_start::<C>(one, before[start], &costs[start], &mut least);
            }
        }
        for (before, costs) in last_before.iter().zip(last_costs) {
            self.try_start::<C>(one, *before, costs, &mut least);
        }
        store::<S>(least, found);
    }

    #[inline(always)]
    fn try_start<C: Running>(&self, one: S::f64s, before: f64, costs: &Block<S>, least: &mut Block<S>) {
        let simd = self.simd;
        let before = simd.splat_f64s(before);
        for v in 0..VECTORS {
            least[v] = simd.min_f64s(least[v], C::join_by(simd, one, before, costs[v]));
        }
    }

    /// Tries the corner and writes a layer.
    #[inline(always)]
    fn finish<C: Running>(&self, space: &mut Space, layer: usize) {
        let width = width_of(self.problem);
        let (before, after) = space.best.split_at_mut(layer * width);
        let before = &before[(layer - 1) * width..];
        let mut least = load::<S>(&space.found[layer * Self::LANES..]);
        self.try_corner::<C, 0>(before, &space.corner, layer, &mut least);
        self.try_corner::<C, 1>(before, &space.corner, layer, &mut least);
        self.try_corner::<C, 2>(before, &space.corner, layer, &mut least);
        self.try_corner::<C, 3>(before, &space.corner, layer, &mut least);
        store::<S>(least, &mut after[self.left..]);
    }

    #[inline(always)]
    fn try_corner<C: Running, const V: usize>(
        &self,
        before: &[f64],
        costs: &[f64],
        layer: usize,
        least: &mut Block<S>,
    ) {
        let simd = self.simd;
        let (part, corner) = (self.corner_part::<V>(), self.corner());
        // the first chunk begins at 0
        let part = if layer == 1 { part.start..part.end.min(1).max(part.start) } else { part };
        let costs = &S::as_simd_f64s(costs).0.as_chunks::<VECTORS>().0[part.start - corner.start..];
        let one = one(simd);
        for (before, costs) in before[part].iter().zip(costs) {
            let before = simd.splat_f64s(*before);
            for v in V..VECTORS {
                least[v] = simd.min_f64s(least[v], C::join_by(simd, one, before, costs[v]));
            }
        }
    }
}

/// The blocks of a tile within its room, from the start of a cache line on: vectors that lie across two lines take a
/// third more time.
#[inline(always)]
fn aligned<S: Simd>(room: &mut [f64]) -> &mut [Block<S>] {
    let start = room.as_ptr().align_offset(LINE * size_of::<f64>()).min(LINE);
    S::as_mut_simd_f64s(&mut room[start..][..TILE * S::F64_LANES * VECTORS]).0.as_chunks_mut().0
}

#[inline(always)]
fn load<S: Simd>(values: &[f64]) -> Block<S> {
    let vectors = S::as_simd_f64s(&values[..S::F64_LANES * VECTORS]).0;
    std::array::from_fn(|v| vectors[v])
}

#[inline(always)]
fn store<S: Simd>(block: Block<S>, out: &mut [f64]) {
    S::as_mut_simd_f64s(&mut out[..S::F64_LANES * VECTORS]).0.copy_from_slice(&block);
}
