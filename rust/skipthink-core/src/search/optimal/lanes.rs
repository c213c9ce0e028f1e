//! Optimal boundaries of short rows, one row in each lane.
//!
//! Rows of the same length go through the dynamic programme together, so nothing of a short row is spent on filling
//! vectors. Ends run upwards; the costs of all chunks that end there are computed once and serve all layers.
//! Loops over vectors are plain `for`s: what happens in a closure may not be compiled for the vector unit.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::losses::Row;
use crate::search::running::{Lengths, Running};

/// Vectors of rows in a group: enough independent sums to hide how long one takes.
const VECTORS: usize = 2;
/// Most rows in a group, on any machine.
pub const MOST_ROWS: usize = 16;

/// Work space, reused from group to group. All are `(…, lanes)`.
#[derive(Debug, Default)]
pub struct Space {
    losses: Vec<f64>,
    weights: Vec<f64>,
    ends: Vec<f64>,
    best: Vec<f64>,
    costs: Vec<f64>,
    lanes: usize,
    width: usize,
}

impl Space {
    /// J of the first `end` steps of a lane's row in `m` chunks; infinite where there are too few.
    #[inline]
    pub fn at(&self, m: usize, end: usize, lane: usize) -> f64 {
        self.best[(m * self.width + end) * self.lanes + lane]
    }
}

/// Rows in a group on this machine.
pub fn lanes(arch: pulp::Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F64_LANES * VECTORS
        }
    }
    arch.dispatch(Lanes)
}

/// Fills all layers of a group of rows of equal length, at most `lanes(arch)` of them. `initial` gets J of the cuts
/// `start`, the same in all rows.
#[allow(clippy::too_many_arguments)]
pub fn fill<C: Running>(
    arch: pulp::Arch,
    space: &mut Space,
    lengths: &mut Lengths,
    rows: &[Row],
    m: usize,
    min_steps: usize,
    all_layers: bool,
    start: &[usize],
    initial: &mut [f64; MOST_ROWS],
) {
    lengths.grow(rows[0].n_steps);
    arch.dispatch(Fill::<C> {
        space,
        lengths,
        rows,
        m,
        min_steps,
        all_layers,
        start,
        initial,
        costs: PhantomData,
    });
}

struct Fill<'a, C> {
    space: &'a mut Space,
    lengths: &'a Lengths,
    rows: &'a [Row],
    m: usize,
    min_steps: usize,
    all_layers: bool,
    start: &'a [usize],
    initial: &'a mut [f64; MOST_ROWS],
    costs: PhantomData<C>,
}

type Group<S> = [<S as Simd>::f64s; VECTORS];

impl<C: Running> WithSimd for Fill<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { space, lengths, rows, m, min_steps, all_layers, start, initial, .. } = self;
        let k = rows[0].n_steps;
        space.load(rows, S::F64_LANES * VECTORS, m, k);
        let Space { losses, weights, ends, best, costs, .. } = space;
        let per_stage = rows[0].n_stages > 1 || !ends.is_empty();
        let programme = Programme {
            simd,
            lengths,
            losses: groups::<S>(losses),
            weights: groups::<S>(weights),
            ends: groups::<S>(ends),
            n_stages: rows[0].n_stages,
            k,
        };
        groups_mut::<S>(&mut initial[..S::F64_LANES * VECTORS])[0] = programme.total::<C>(start);
        let (best, costs) = (groups_mut::<S>(best), groups_mut::<S>(costs));
        best[0] = [simd.splat_f64s(C::start()); VECTORS];
        for end in min_steps..=k {
            let spare = (k - end).checked_div(min_steps).unwrap_or(m);
            let low = if all_layers { 1 } else { m.saturating_sub(spare).max(1) };
            let high = end.checked_div(min_steps).unwrap_or(m).min(m);
            for layer in low..=high {
                let first = (layer - 1) * min_steps;
                if per_stage || layer == low {
                    programme.costs::<C>(layer - 1, first..end, costs);
                }
                let (before, after) = best.split_at_mut(layer * (k + 1));
                let before = &before[(layer - 1) * (k + 1)..];
                let starts = if layer == 1 { 0..1 } else { first..end - min_steps + 1 };
                let mut least = [simd.splat_f64s(f64::INFINITY); VECTORS];
                for (before, costs) in before[starts.clone()].iter().zip(&costs[starts]) {
                    for v in 0..VECTORS {
                        least[v] = simd.min_f64s(least[v], C::join(simd, before[v], costs[v]));
                    }
                }
                after[end] = least;
            }
        }
    }
}

impl Space {
    /// Lays rows side by side; lanes without a row get the first one.
    fn load(&mut self, rows: &[Row], lanes: usize, m: usize, k: usize) {
        let lay = |out: &mut Vec<f64>, length: usize, part: &dyn Fn(&Row) -> &[f64]| {
            out.resize(length * lanes, 0.0);
            for lane in 0..lanes {
                let values = part(rows.get(lane).unwrap_or(&rows[0]));
                for (place, value) in out.iter_mut().skip(lane).step_by(lanes).zip(values) {
                    *place = *value;
                }
            }
        };
        lay(&mut self.losses, rows[0].values.len(), &|row| &row.values);
        lay(&mut self.weights, k, &|row| &row.weights);
        lay(&mut self.ends, rows[0].ends.len(), &|row| &row.ends);
        self.costs.resize((k + 1) * lanes, 0.0);
        self.best.clear();
        self.best.resize((m + 1) * (k + 1) * lanes, f64::INFINITY);
        (self.lanes, self.width) = (lanes, k + 1);
    }
}

/// What a group is searched on.
struct Programme<'a, S: Simd> {
    simd: S,
    lengths: &'a Lengths,
    losses: &'a [Group<S>],
    weights: &'a [Group<S>],
    ends: &'a [Group<S>],
    n_stages: usize,
    k: usize,
}

impl<S: Simd> Programme<'_, S> {
    #[inline(always)]
    fn open<C: Running>(&self, chunk: usize, end: usize) -> [C::Sums<S>; VECTORS] {
        let simd = self.simd;
        let mut sums = [C::open(simd, simd.splat_f64s(0.0), simd.splat_f64s(0.0)); VECTORS];
        if let Some(ends) = self.ends.get(chunk * (self.k + 1) + end) {
            for v in 0..VECTORS {
                sums[v] = C::open(simd, ends[v], simd.splat_f64s(1.0));
            }
        }
        sums
    }

    #[inline(always)]
    fn push<C: Running>(&self, sums: &mut [C::Sums<S>; VECTORS], chunk: usize, start: usize, end: usize) {
        let stage = if self.n_stages == 1 { 0 } else { chunk };
        let (losses, weights) = (&self.losses[stage * self.k + start], &self.weights[start]);
        for v in 0..VECTORS {
            let step = self.lengths.step(self.simd, end - start, losses[v], weights[v]);
            sums[v] = C::push(self.simd, sums[v], step);
        }
    }

    /// Costs of a chunk that ends where `starts` ends, for all starts from there down to its beginning.
    #[inline(always)]
    fn costs<C: Running>(&self, chunk: usize, starts: Range<usize>, costs: &mut [Group<S>]) {
        let mut sums = self.open::<C>(chunk, starts.end);
        for v in 0..VECTORS {
            costs[starts.end][v] = C::cost(self.simd, sums[v]);
        }
        for start in starts.clone().rev() {
            self.push::<C>(&mut sums, chunk, start, starts.end);
            for v in 0..VECTORS {
                costs[start][v] = C::cost(self.simd, sums[v]);
            }
        }
    }

    /// J of the same boundaries in all rows.
    #[inline(always)]
    fn total<C: Running>(&self, boundaries: &[usize]) -> Group<S> {
        let mut joined = [self.simd.splat_f64s(C::start()); VECTORS];
        for (chunk, pair) in boundaries.windows(2).enumerate() {
            let mut sums = self.open::<C>(chunk, pair[1]);
            for start in (pair[0]..pair[1]).rev() {
                self.push::<C>(&mut sums, chunk, start, pair[1]);
            }
            for v in 0..VECTORS {
                joined[v] = C::join(self.simd, joined[v], C::cost(self.simd, sums[v]));
            }
        }
        joined
    }
}

#[inline(always)]
fn groups<S: Simd>(values: &[f64]) -> &[Group<S>] {
    S::as_simd_f64s(values).0.as_chunks().0
}

#[inline(always)]
fn groups_mut<S: Simd>(values: &mut [f64]) -> &mut [Group<S>] {
    S::as_mut_simd_f64s(values).0.as_chunks_mut().0
}
