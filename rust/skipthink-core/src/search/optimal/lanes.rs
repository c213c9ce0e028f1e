//! Optimal boundaries of short rows, one row in each lane.
//!
//! Rows go through the dynamic programme together, so nothing of a short row is spent on filling vectors. They are
//! sorted by length, so that rows of a group are of the same length or nearly so: each lane holds what a row of the
//! group's longest length would, and is read at the end of its own row. Ends run upwards; the costs of all chunks that
//! end there are computed once and serve all layers.
//! Loops over vectors are plain `for`s: what happens in a closure may not be compiled for the vector unit.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::error::Result;
use crate::losses::{Losses, share_factor};
use crate::ragged::Numbers;
use crate::search::average_row;
use crate::search::running::{Lengths, Running, one};

/// Longest rows whose choices are noted while the programme is filled; to find those of longer ones again costs less.
pub const NOTED: usize = 32;
/// Choices are noted as numbers whose last bits are the start: reading these takes one operation.
const NOTE: f64 = 4_503_599_627_370_496.0;
/// Vectors of rows in a group: enough independent sums to hide how long one takes.
const VECTORS: usize = 4;
/// Most rows in a group, on any machine.
pub const MOST_ROWS: usize = 32;

/// Work space, reused from group to group. All are `(…, lanes)`.
#[derive(Debug, Default)]
pub struct Space {
    losses: Vec<f64>,
    weights: Vec<f64>,
    ends: Vec<f64>,
    costs: Vec<f64>,
    best: Vec<f64>,
    choices: Vec<f64>,
    lanes: usize,
    width: usize,
    /// Steps of each lane's row, the most first.
    steps: Vec<usize>,
    initial: [f64; MOST_ROWS],
}

impl Space {
    /// Steps of a lane's row.
    pub fn n_steps(&self, lane: usize) -> usize {
        self.steps[lane]
    }

    /// J of average chunks of a lane's row, of a group without `all_layers`.
    pub fn initial(&self, lane: usize) -> f64 {
        self.initial[lane]
    }

    /// Whether choices were noted.
    pub fn noted(&self) -> bool {
        self.width <= NOTED + 1
    }

    /// J of the first `end` steps of a lane's row in `m` chunks, which they suffice for.
    #[inline]
    pub fn at(&self, m: usize, end: usize, lane: usize) -> f64 {
        self.best[(m * self.width + end) * self.lanes + lane]
    }

    /// Writes the boundaries of a lane's row, where choices were noted.
    #[inline]
    pub fn read_back(&self, lane: usize, boundaries: &mut [i64]) {
        let m = boundaries.len() - 1;
        let mut end = self.steps[lane];
        boundaries[m] = end as i64;
        for chunk in (1..m).rev() {
            let choice = self.choices[((chunk + 1) * self.width + end) * self.lanes + lane];
            end = choice.to_bits() as u32 as usize;
            boundaries[chunk] = end as i64;
        }
        boundaries[0] = 0;
    }
}

/// At most `lanes(arch)` rows, the longest first.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Losses of all rows.
    pub losses: &'a Losses<'a>,
    /// The rows.
    pub rows: &'a [usize],
    /// Chunks; all rows have steps enough for them, or with `all_layers` the longest.
    pub m: usize,
    /// Least steps of a chunk.
    pub min_steps: usize,
    /// Whether losses of the end token enter.
    pub with_ends: bool,
    /// Whether losses are scaled to shares of their row's.
    pub shares: bool,
    /// Whether J of fewer chunks is wanted too, instead of that of average chunks.
    pub all_layers: bool,
}

/// Takes rows, listed by their number of steps, out of the lists and hands them on in groups, the longest rows first. What
/// is left of one length is filled up with the next one, unless rows of a group are to be `alike`.
///
/// # Errors
/// The first one of `search`.
pub fn in_groups(
    by_steps: &mut [Vec<usize>],
    lanes: usize,
    alike: bool,
    mut search: impl FnMut(&[usize]) -> Result<()>,
) -> Result<()> {
    let mut waiting = Vec::new();
    for (k, rows) in by_steps.iter_mut().enumerate().rev() {
        waiting.append(rows);
        let ready = if alike || k == 0 { waiting.len() } else { waiting.len() / lanes * lanes };
        waiting[..ready].chunks(lanes).try_for_each(&mut search)?;
        waiting.drain(..ready);
    }
    Ok(())
}

/// Rows in a group on this machine.
pub fn lanes(arch: pulp::Arch) -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F64_LANES * VECTORS
        }
    }
    arch.dispatch(Width)
}

/// Fills all layers of a group.
pub fn fill<C: Running>(arch: pulp::Arch, space: &mut Space, lengths: &mut Lengths, group: &Group<'_>) {
    space.list_steps(group);
    lengths.fit(space.steps[0], group.m);
    // two programmes: what charges lengths would slow down, within its loops, what does not
    if lengths.is_balanced() {
        fill_charged::<C, true>(arch, space, lengths, group);
    } else {
        fill_charged::<C, false>(arch, space, lengths, group);
    }
}

fn fill_charged<C: Running, const CHARGED: bool>(
    arch: pulp::Arch,
    space: &mut Space,
    lengths: &Lengths,
    group: &Group<'_>,
) {
    if space.noted() {
        arch.dispatch(Fill::<C, true, CHARGED> { space, lengths, group, costs: PhantomData });
    } else {
        arch.dispatch(Fill::<C, false, CHARGED> { space, lengths, group, costs: PhantomData });
    }
}

struct Fill<'a, C, const NOTES: bool, const CHARGED: bool> {
    space: &'a mut Space,
    lengths: &'a Lengths,
    group: &'a Group<'a>,
    costs: PhantomData<C>,
}

/// One number per row.
type Lanes<S> = [<S as Simd>::f64s; VECTORS];

impl<C: Running, const NOTES: bool, const CHARGED: bool> WithSimd for Fill<'_, C, NOTES, CHARGED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { space, lengths, group, .. } = self;
        let Group { m, min_steps, all_layers, .. } = *group;
        space.load::<S>(group);
        let k = space.width - 1;
        let Space { losses, weights, ends, best, choices, costs, steps, initial, .. } = space;
        let n_stages = group.losses.n_stages;
        let per_stage = n_stages > 1 || !ends.is_empty();
        let (losses, weights, ends) = (lanes_of::<S>(losses), lanes_of::<S>(weights), lanes_of::<S>(ends));
        let programme = Programme { simd, lengths, losses, weights, ends, n_stages, k, min_steps };
        if !all_layers {
            programme.totals::<C, CHARGED>(m, steps, initial);
        }
        let shortest = steps[steps.len() - 1];
        let (best, costs) = (lanes_of_mut::<S>(best), lanes_of_mut::<S>(costs));
        let choices = lanes_of_mut::<S>(choices);
        best[0] = [simd.splat_f64s(C::start()); VECTORS];
        let mut end = min_steps;
        while end <= k {
            // two ends at once read the layer before once; with choices there are not registers enough for that
            let both = !NOTES && end < k;
            let spare = (k - end).checked_div(min_steps).unwrap_or(m);
            let low = if all_layers { 1 } else { m.saturating_sub(spare).max(1) };
            let last_end = end + usize::from(both);
            // the last chunk ends with the last step of its row
            let last = if all_layers || last_end >= shortest { m } else { m - 1 };
            let layers = low..last_end.checked_div(min_steps).unwrap_or(m).min(last) + 1;
            if both {
                programme.sweep::<C, 2, NOTES, CHARGED>(layers, end, per_stage, best, costs, choices);
            } else {
                programme.sweep::<C, 1, NOTES, CHARGED>(layers, end, per_stage, best, costs, choices);
            }
            end = last_end + 1;
        }
    }
}

impl Space {
    /// Notes how long the rows of a group are.
    fn list_steps(&mut self, group: &Group<'_>) {
        self.steps.clear();
        self.steps.extend(group.rows.iter().map(|row| group.losses.steps.row(*row).len()));
        self.width = self.steps[0] + 1;
    }

    /// Lays rows side by side. Behind the end of a row, and in lanes without one, stays what was there before: numbers
    /// that nothing of a row depends on.
    fn load<S: Simd>(&mut self, group: &Group<'_>) {
        let Group { losses, m, .. } = *group;
        let (k, lanes) = (self.width - 1, S::F64_LANES * VECTORS);
        let ends = losses.ends.filter(|_| group.with_ends);
        make_room(&mut self.losses, k * losses.n_stages * lanes, 0.0);
        make_room(&mut self.ends, ends.map_or(0, |_| (k + 1) * m * lanes), 0.0);
        make_room(&mut self.weights, k * lanes, 1.0);
        for (lane, row) in group.rows.iter().enumerate() {
            let steps = losses.steps.row(*row);
            lay::<S>(losses.values, steps.clone(), losses.n_stages, &mut self.losses, lane, k);
            if let Some(weights) = losses.weights {
                lay::<S>(weights, steps, 1, &mut self.weights, lane, k);
            }
            if let Some((ends, offsets)) = ends {
                lay::<S>(ends, offsets.row(*row), m, &mut self.ends, lane, k + 1);
            }
            if group.shares {
                self.scale_to_shares(group, lane, lanes);
            }
        }
        make_room(&mut self.costs, 2 * (k + 1) * lanes, 0.0);
        make_room(&mut self.best, (m + 1) * (k + 1) * lanes, 0.0);
        if self.noted() {
            make_room(&mut self.choices, (m + 1) * (k + 1) * lanes, 0.0);
        }
        self.lanes = lanes;
    }

    /// As `Row::scale_to_shares`, of the row in a lane.
    fn scale_to_shares(&mut self, group: &Group<'_>, lane: usize, lanes: usize) {
        let (k, n_steps, n_stages) = (self.width - 1, self.steps[lane], group.losses.n_stages);
        let (losses, weights) = (&mut self.losses, &self.weights);
        let place = |stage: usize, step: usize| (stage * k + step) * lanes + lane;
        let loss = |stage: usize, step: usize| losses[place(stage, step)];
        let factor = share_factor(group.m, n_steps, n_stages, loss, |step| weights[step * lanes + lane]);
        for stage in 0..n_stages {
            (0..n_steps).for_each(|step| losses[place(stage, step)] *= factor);
        }
    }
}

/// Room for at least `n` numbers, never less than before: groups grow and shrink all the time.
fn make_room(numbers: &mut Vec<f64>, n: usize, fill: f64) {
    if numbers.len() < n {
        numbers.resize(n, fill);
    }
}

/// Writes `(positions, width)` numbers to one lane of `(width, room, lanes)`.
fn lay<S: Simd>(
    numbers: Numbers<'_>,
    positions: Range<usize>,
    width: usize,
    out: &mut [f64],
    lane: usize,
    room: usize,
) {
    let range = positions.start * width..positions.end * width;
    match numbers {
        Numbers::Single(values) => scatter::<S, f32>(&values[range], width, out, lane, room),
        Numbers::Double(values) => scatter::<S, f64>(&values[range], width, out, lane, room),
    }
}

#[inline]
fn scatter<S: Simd, T: Copy + Into<f64>>(
    values: &[T],
    width: usize,
    out: &mut [f64],
    lane: usize,
    room: usize,
) {
    let lanes = S::F64_LANES * VECTORS;
    assert!(lane < lanes, "a lane of the group");
    if width == 1 {
        for (place, value) in out.chunks_exact_mut(lanes).zip(values) {
            place[lane] = (*value).into();
        }
        return;
    }
    for column in 0..width {
        let places = out[column * room * lanes..].chunks_exact_mut(lanes);
        for (place, value) in places.zip(values.iter().skip(column).step_by(width)) {
            place[lane] = (*value).into();
        }
    }
}

/// What a group is searched on.
struct Programme<'a, S: Simd> {
    simd: S,
    lengths: &'a Lengths,
    losses: &'a [Lanes<S>],
    weights: &'a [Lanes<S>],
    ends: &'a [Lanes<S>],
    n_stages: usize,
    k: usize,
    min_steps: usize,
}

impl<S: Simd> Programme<'_, S> {
    /// Fills layers at `ENDS` ends from `end` on.
    #[inline(always)]
    fn sweep<C: Running, const ENDS: usize, const NOTES: bool, const CHARGED: bool>(
        &self,
        layers: Range<usize>,
        end: usize,
        per_stage: bool,
        best: &mut [Lanes<S>],
        costs: &mut [Lanes<S>],
        choices: &mut [Lanes<S>],
    ) {
        let (simd, width, one) = (self.simd, self.k + 1, one(self.simd));
        let mut costs: [&mut [Lanes<S>]; ENDS] = {
            let mut columns = costs.chunks_exact_mut(width);
            std::array::from_fn(|_| columns.next().expect("a column for each end"))
        };
        for layer in layers.clone() {
            let first = (layer - 1) * self.min_steps;
            if per_stage || layer == layers.start {
                for (at, column) in costs.iter_mut().enumerate() {
                    self.costs::<C, CHARGED>(layer - 1, first.min(end)..end + at, column);
                }
            }
            let (before, after) = best.split_at_mut(layer * width);
            let before = &before[(layer - 1) * width..];
            let mut least = [[simd.splat_f64s(f64::INFINITY); VECTORS]; ENDS];
            let mut choice = [simd.splat_f64s(0.0); VECTORS];
            // starts of all ends; the first chunk begins at 0
            let common = if layer == 1 { 0..1 } else { first..(end + 1 - self.min_steps).max(first) };
            let mut start = NOTE + common.start as f64;
            for place in common.clone() {
                let (before, this) = (before[place], simd.splat_f64s(start));
                for at in 0..ENDS {
                    for v in 0..VECTORS {
                        let joined = C::join_by(simd, one, before[v], costs[at][place][v]);
                        if NOTES {
                            // among equals the last start wins
                            let wins = simd.less_than_or_equal_f64s(joined, least[at][v]);
                            choice[v] = simd.select_f64s(wins, this, choice[v]);
                        }
                        least[at][v] = simd.min_f64s(least[at][v], joined);
                    }
                }
                start += 1.0;
            }
            after[end] = least[0];
            if NOTES {
                choices[layer * width + end] = choice;
            }
            if ENDS == 2 {
                // one start more, with a chunk of `min_steps` steps
                let place = end + 1 - self.min_steps;
                if layer > 1 && place >= first {
                    let before = before[place];
                    for v in 0..VECTORS {
                        let joined = C::join_by(simd, one, before[v], costs[1][place][v]);
                        least[1][v] = simd.min_f64s(least[1][v], joined);
                    }
                }
                after[end + 1] = least[1];
            }
        }
    }

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
    fn costs<C: Running, const CHARGED: bool>(
        &self,
        chunk: usize,
        starts: Range<usize>,
        costs: &mut [Lanes<S>],
    ) {
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
        if CHARGED {
            let charged = costs[starts.start..=starts.end].iter_mut().rev();
            for (n, costs) in charged.enumerate() {
                for cost in costs {
                    *cost = self.charged(*cost, n);
                }
            }
        }
    }

    /// A cost with what the chunk is charged for its length.
    #[inline(always)]
    fn charged(&self, cost: S::f64s, n: usize) -> S::f64s {
        self.simd.add_f64s(cost, self.simd.splat_f64s(self.lengths.charges(n as isize)[0]))
    }

    /// J of average chunks of each lane's row; `steps` as `Space` has them.
    #[inline(always)]
    fn totals<C: Running, const CHARGED: bool>(
        &self,
        m: usize,
        steps: &[usize],
        initial: &mut [f64; MOST_ROWS],
    ) {
        let mut totals = [0.0; MOST_ROWS];
        let mut first = 0;
        while first < steps.len() {
            let k = steps[first];
            lanes_of_mut::<S>(&mut totals)[0] = self.total::<C, CHARGED>(k, m);
            // lanes of shorter rows are written anew
            initial[first..].copy_from_slice(&totals[first..]);
            while first < steps.len() && steps[first] == k {
                first += 1;
            }
        }
    }

    /// J of average chunks of the first `k` steps in all lanes.
    #[inline(always)]
    fn total<C: Running, const CHARGED: bool>(&self, k: usize, m: usize) -> Lanes<S> {
        let mut joined = [self.simd.splat_f64s(C::start()); VECTORS];
        let mut first = 0;
        for (chunk, end) in average_row(k, m).skip(1).enumerate() {
            let mut sums = self.open::<C>(chunk, end);
            for start in (first..end).rev() {
                self.push::<C>(&mut sums, chunk, start, end);
            }
            for v in 0..VECTORS {
                let mut cost = C::cost(self.simd, sums[v]);
                if CHARGED {
                    cost = self.charged(cost, end - first);
                }
                joined[v] = C::join(self.simd, joined[v], cost);
            }
            first = end;
        }
        joined
    }
}

#[inline(always)]
fn lanes_of<S: Simd>(values: &[f64]) -> &[Lanes<S>] {
    S::as_simd_f64s(values).0.as_chunks().0
}

#[inline(always)]
fn lanes_of_mut<S: Simd>(values: &mut [f64]) -> &mut [Lanes<S>] {
    S::as_mut_simd_f64s(values).0.as_chunks_mut().0
}
