//! Costs of chunks that grow step by step on their left, in one lane or many.
//!
//! Nothing is subtracted from a larger sum, so a cost is as exact as its own size allows, whatever stands outside
//! the chunk. Every path of the search uses these few operations in this order and none is fused: results are the
//! same, bit for bit, on every machine.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use std::ops::Range;

use pulp::{Scalar, Simd};

use crate::losses::{Objective, Row};

/// What a step adds to the chunk it joins. All lanes may stand at different lengths of their chunks.
#[derive(Clone, Copy)]
pub struct Step<S: Simd> {
    /// Mean loss of the step.
    pub loss: S::f64s,
    /// Its weight; 0 where it does not belong to the lane's chunk.
    pub weight: S::f64s,
    /// Losses count: 0 where the step does not belong to the lane's chunk, else 1.
    pub begun: S::f64s,
    /// 1 / (n - 1), n counting the chunk's steps with this one; 0 where there is none before.
    pub inverse: S::f64s,
    /// (n - 1) / n; 0 where the step does not belong to the lane's chunk.
    pub rest: S::f64s,
}

/// A chunk as prefix sums know it.
#[derive(Clone, Copy)]
pub struct Chunk<S: Simd> {
    /// Its number of steps.
    pub steps: S::f64s,
    /// Its weight.
    pub weight: S::f64s,
    /// Its summed loss less the centre's.
    pub off: S::f64s,
    /// Its summed squares of losses less the centre, where `Running::SQUARES`.
    pub squares: S::f64s,
    /// Its summed loss.
    pub loss: S::f64s,
    /// Loss of its end token, 0 where none enters.
    pub end: S::f64s,
    /// Weight of the end token: 0 or 1.
    pub end_weight: S::f64s,
}

/// A chunk's sums under one objective.
pub trait Running: Copy + Send + Sync {
    /// Whether J is the worst chunk instead of the sum.
    const WORST: bool;
    /// Whether the cost by prefix sums needs those of squares.
    const SQUARES: bool = false;
    /// The sums.
    type Sums<S: Simd>: Copy;

    /// An empty chunk: the loss of its end token (0 where none enters) and its weight (0 or 1).
    fn open<S: Simd>(simd: S, end: S::f64s, end_weight: S::f64s) -> Self::Sums<S>;
    /// The chunk with one step more on its left.
    fn push<S: Simd>(simd: S, sums: Self::Sums<S>, step: Step<S>) -> Self::Sums<S>;
    /// Its cost.
    fn cost<S: Simd>(simd: S, sums: Self::Sums<S>) -> S::f64s;
    /// The cost of a chunk by prefix sums.
    fn prefix_cost<S: Simd>(simd: S, chunk: Chunk<S>) -> S::f64s;

    /// Joins costs: J of two parts.
    #[inline(always)]
    fn join<S: Simd>(simd: S, left: S::f64s, right: S::f64s) -> S::f64s {
        if Self::WORST { simd.max_f64s(left, right) } else { simd.add_f64s(left, right) }
    }

    /// The same, bit for bit, by the multiplying unit, `left · one + right`: where minima are taken at once, the adding
    /// unit is busy with these. `one` must come from [`one`].
    #[inline(always)]
    fn join_by<S: Simd>(simd: S, one: S::f64s, left: S::f64s, right: S::f64s) -> S::f64s {
        if Self::WORST { simd.max_f64s(left, right) } else { simd.mul_add_e_f64s(left, one, right) }
    }

    /// J of no chunk.
    fn start() -> f64 {
        if Self::WORST { f64::NEG_INFINITY } else { 0.0 }
    }
}

/// Squared deviation from the mean, every step weighing the same (Welford's update, on the sum instead of the mean).
#[derive(Clone, Copy)]
pub struct Deviation;

impl Running for Deviation {
    const WORST: bool = false;
    const SQUARES: bool = true;
    type Sums<S: Simd> = (S::f64s, S::f64s);

    #[inline(always)]
    fn open<S: Simd>(simd: S, _end: S::f64s, _end_weight: S::f64s) -> Self::Sums<S> {
        (simd.splat_f64s(0.0), simd.splat_f64s(0.0))
    }

    #[inline(always)]
    fn push<S: Simd>(simd: S, (sum, squares): Self::Sums<S>, step: Step<S>) -> Self::Sums<S> {
        // the mean so far is no sum of its own: the next one would have to wait for it three times as long
        let off = simd.sub_f64s(step.loss, simd.mul_f64s(sum, step.inverse));
        let sum = simd.add_f64s(sum, simd.mul_f64s(step.loss, step.begun));
        (sum, simd.add_f64s(squares, simd.mul_f64s(simd.mul_f64s(off, off), step.rest)))
    }

    #[inline(always)]
    fn cost<S: Simd>(_simd: S, (_, squares): Self::Sums<S>) -> S::f64s {
        squares
    }

    #[inline(always)]
    fn prefix_cost<S: Simd>(simd: S, chunk: Chunk<S>) -> S::f64s {
        WeightedDeviation::prefix_cost(simd, chunk)
    }
}

/// Squared deviation from the mean, steps weighing as they are given (West's update).
#[derive(Clone, Copy)]
pub struct WeightedDeviation;

impl Running for WeightedDeviation {
    const WORST: bool = false;
    const SQUARES: bool = true;
    type Sums<S: Simd> = (S::f64s, S::f64s, S::f64s);

    #[inline(always)]
    fn open<S: Simd>(simd: S, _end: S::f64s, _end_weight: S::f64s) -> Self::Sums<S> {
        let zero = simd.splat_f64s(0.0);
        (zero, zero, zero)
    }

    #[inline(always)]
    fn push<S: Simd>(simd: S, (before, mean, squares): Self::Sums<S>, step: Step<S>) -> Self::Sums<S> {
        let weight = simd.add_f64s(before, step.weight);
        let share = or_zero(simd, weight, simd.div_f64s(step.weight, weight));
        let off = simd.sub_f64s(step.loss, mean);
        let mean = simd.add_f64s(mean, simd.mul_f64s(off, share));
        let grown = simd.mul_f64s(simd.mul_f64s(off, off), simd.mul_f64s(before, share));
        (weight, mean, simd.add_f64s(squares, grown))
    }

    #[inline(always)]
    fn cost<S: Simd>(_simd: S, (_, _, squares): Self::Sums<S>) -> S::f64s {
        squares
    }

    #[inline(always)]
    fn prefix_cost<S: Simd>(simd: S, chunk: Chunk<S>) -> S::f64s {
        let Chunk { steps, weight, off, squares, .. } = chunk;
        let rest = simd.sub_f64s(squares, simd.div_f64s(simd.mul_f64s(off, off), weight));
        let zero = simd.splat_f64s(0.0);
        // one step does not deviate, whatever the rounding of its square
        let several = simd.less_than_f64s(simd.splat_f64s(1.0), steps);
        or_zero(simd, weight, simd.select_f64s(several, simd.max_f64s(rest, zero), zero))
    }
}

/// Mean token loss; J is their sum, or with `WORST` the largest.
#[derive(Clone, Copy)]
pub struct MeanLoss<const WORST: bool>;

impl<const WORST: bool> Running for MeanLoss<WORST> {
    const WORST: bool = WORST;
    type Sums<S: Simd> = (S::f64s, S::f64s);

    #[inline(always)]
    fn open<S: Simd>(_simd: S, end: S::f64s, end_weight: S::f64s) -> Self::Sums<S> {
        (end, end_weight)
    }

    #[inline(always)]
    fn push<S: Simd>(simd: S, (sum, weight): Self::Sums<S>, step: Step<S>) -> Self::Sums<S> {
        (simd.add_f64s(sum, simd.mul_f64s(step.weight, step.loss)), simd.add_f64s(weight, step.weight))
    }

    #[inline(always)]
    fn cost<S: Simd>(simd: S, (sum, weight): Self::Sums<S>) -> S::f64s {
        or_zero(simd, weight, simd.div_f64s(sum, weight))
    }

    #[inline(always)]
    fn prefix_cost<S: Simd>(simd: S, chunk: Chunk<S>) -> S::f64s {
        let sum = simd.add_f64s(chunk.loss, chunk.end);
        Self::cost(simd, (sum, simd.add_f64s(chunk.weight, chunk.end_weight)))
    }
}

/// Squared deviation of the summed loss from an even share, which losses are scaled to: it is 1.
#[derive(Clone, Copy)]
pub struct Mass;

impl Running for Mass {
    const WORST: bool = false;
    type Sums<S: Simd> = S::f64s;

    #[inline(always)]
    fn open<S: Simd>(simd: S, _end: S::f64s, _end_weight: S::f64s) -> Self::Sums<S> {
        simd.splat_f64s(0.0)
    }

    #[inline(always)]
    fn push<S: Simd>(simd: S, sum: Self::Sums<S>, step: Step<S>) -> Self::Sums<S> {
        simd.add_f64s(sum, simd.mul_f64s(step.weight, step.loss))
    }

    #[inline(always)]
    fn cost<S: Simd>(simd: S, sum: Self::Sums<S>) -> S::f64s {
        let off = simd.sub_f64s(sum, simd.splat_f64s(1.0));
        simd.mul_f64s(off, off)
    }

    #[inline(always)]
    fn prefix_cost<S: Simd>(simd: S, chunk: Chunk<S>) -> S::f64s {
        Self::cost(simd, chunk.loss)
    }
}

/// 1 in all lanes, in a way that lets no compiler turn a product with it into something else.
#[inline(always)]
pub fn one<S: Simd>(simd: S) -> S::f64s {
    simd.splat_f64s(std::hint::black_box(1.0))
}

/// A quotient, or 0 where there is no weight to divide by.
#[inline(always)]
pub fn or_zero<S: Simd>(simd: S, weight: S::f64s, quotient: S::f64s) -> S::f64s {
    let zero = simd.splat_f64s(0.0);
    simd.select_f64s(simd.less_than_f64s(zero, weight), quotient, zero)
}

/// What chunks of n steps need, for n from `-PAD` up: lanes that stand at n ≤ 0 have not begun their chunk.
#[derive(Debug)]
pub struct Lengths {
    min_steps: usize,
    balance: f64,
    /// Steps and chunks of the rows that the charges are for.
    charged: Option<(usize, usize)>,
    begun: Vec<f64>,
    bar: Vec<f64>,
    charge: Vec<f64>,
    inverse: Vec<f64>,
    rest: Vec<f64>,
}

impl Lengths {
    /// Room on the left: the most ends that one block of lanes holds.
    pub const PAD: usize = 64;

    /// Empty tables for chunks of at least `min_steps` steps, whose length is charged with the weight `balance`.
    pub fn new(min_steps: usize, balance: f64) -> Self {
        Self {
            min_steps,
            balance,
            charged: None,
            begun: Vec::new(),
            bar: Vec::new(),
            charge: Vec::new(),
            inverse: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// Makes the tables long enough for a row of `k` steps (and a block of lanes), and charges lengths as `m` chunks
    /// of it want.
    pub fn fit(&mut self, k: usize, m: usize) {
        self.grow(k);
        if self.is_balanced() && self.charged != Some((k, m)) {
            self.charged = Some((k, m));
            for (at, (charge, bar)) in self.charge.iter_mut().zip(&mut self.bar).enumerate() {
                *charge = charge_of(self.balance, at.saturating_sub(Self::PAD), k, m);
                if *bar < f64::INFINITY {
                    *bar = *charge;
                }
            }
        }
    }

    /// Grows the tables up to chunks of `longest` steps (and a block of lanes).
    fn grow(&mut self, longest: usize) {
        for at in self.begun.len()..=longest + 2 * Self::PAD {
            let n = at as f64 - Self::PAD as f64;
            self.charged = None;
            self.charge.push(0.0);
            self.begun.push(if n > 0.0 { 1.0 } else { 0.0 });
            self.bar.push(if n >= self.min_steps as f64 { 0.0 } else { f64::INFINITY });
            self.inverse.push(if n > 0.0 { 1.0 / n } else { 0.0 });
            self.rest.push(if n > 0.0 { (n - 1.0) / n } else { 0.0 });
        }
    }

    /// 1 for n > 0, else 0, for n from `first` on.
    pub fn begun(&self, first: isize) -> &[f64] {
        &self.begun[Self::at(first)..]
    }

    /// Whether lengths are charged at all.
    #[inline(always)]
    pub fn is_balanced(&self) -> bool {
        self.balance > 0.0
    }

    /// The cost of a chunk of n steps with what it is charged for its length.
    #[inline(always)]
    pub fn charged(&self, cost: f64, n: usize) -> f64 {
        if self.is_balanced() { cost + self.charge[n + Self::PAD] } else { cost }
    }

    /// What chunks are charged for their length, for n from `first` on; without meaning for n < 0.
    pub fn charges(&self, first: isize) -> &[f64] {
        &self.charge[Self::at(first)..]
    }

    /// What keeps chunks from being too short: infinite for n < `min_steps`, else their charge, for n from `first` on.
    pub fn bar(&self, first: isize) -> &[f64] {
        &self.bar[Self::at(first)..]
    }

    /// 1 / n, for n from `first` on; 0 for n ≤ 0.
    pub fn inverse(&self, first: isize) -> &[f64] {
        &self.inverse[Self::at(first)..]
    }

    /// (n - 1) / n, for n from `first` on; 0 for n ≤ 0.
    pub fn rest(&self, first: isize) -> &[f64] {
        &self.rest[Self::at(first)..]
    }

    fn at(n: isize) -> usize {
        (n + Self::PAD as isize) as usize
    }

    /// A step that is the n-th of the chunk in every lane.
    #[inline(always)]
    pub fn step<S: Simd>(&self, simd: S, n: usize, loss: S::f64s, weight: S::f64s) -> Step<S> {
        let (inverse, rest) = (self.inverse[n - 1 + Self::PAD], self.rest[n + Self::PAD]);
        let begun = simd.splat_f64s(1.0);
        Step { loss, weight, begun, inverse: simd.splat_f64s(inverse), rest: simd.splat_f64s(rest) }
    }
}

/// What a chunk of n of the K steps is charged for its length: λ · (n · M / K − 1)².
pub fn charge_of(balance: f64, n: usize, k: usize, m: usize) -> f64 {
    let share = if k > 0 { n as f64 * m as f64 / k as f64 } else { 0.0 };
    let off = share - 1.0;
    balance * (off * off)
}

/// The costs of chunk `m` that ends at `end`, not charged for lengths, for starts from `end` down to 0.
#[inline(always)]
pub fn costs_to_the_left<'a, C: Running>(
    row: &'a Row,
    lengths: &'a Lengths,
    m: usize,
    end: usize,
) -> impl Iterator<Item = (usize, f64)> + use<'a, C> {
    let mut sums = open::<C>(row, m, end);
    let empty = std::iter::once((end, C::cost(Scalar, sums)));
    let steps = steps_to_the_left(row, lengths, m, 0..end);
    empty.chain((0..end).rev().zip(steps).map(move |(start, step)| {
        sums = C::push(Scalar, sums, step);
        (start, C::cost(Scalar, sums))
    }))
}

/// J of boundaries `b_0 … b_M`.
pub fn total<C: Running>(row: &Row, lengths: &Lengths, boundaries: &[usize]) -> f64 {
    boundaries.windows(2).enumerate().fold(C::start(), |joined, (m, pair)| {
        let (start, end) = (pair[0], pair[1]);
        let mut sums = open::<C>(row, m, end);
        // one cost a chunk: a division less for each of its steps than `costs_to_the_left` makes
        for step in steps_to_the_left(row, lengths, m, start..end) {
            sums = C::push(Scalar, sums, step);
        }
        C::join(Scalar, joined, lengths.charged(C::cost(Scalar, sums), end - start))
    })
}

/// A chunk `m` without steps that ends at `end`.
#[inline(always)]
fn open<C: Running>(row: &Row, m: usize, end: usize) -> C::Sums<Scalar> {
    let (loss, weight) = row.end(m, end).map_or((0.0, 0.0), |loss| (loss, 1.0));
    C::open(Scalar, loss, weight)
}

/// The steps of chunk `m`, from the last one to the first.
#[inline(always)]
fn steps_to_the_left<'a>(
    row: &'a Row,
    lengths: &'a Lengths,
    m: usize,
    steps: Range<usize>,
) -> impl Iterator<Item = Step<Scalar>> {
    let (inverses, rests) = (&lengths.inverse(0)[..steps.len()], &lengths.rest(1)[..steps.len()]);
    let losses = row.stage(m)[steps.clone()].iter().zip(&row.weights[steps]).rev();
    losses.zip(inverses.iter().zip(rests)).map(|((loss, weight), (inverse, rest))| Step {
        loss: *loss,
        weight: *weight,
        begun: 1.0,
        inverse: *inverse,
        rest: *rest,
    })
}

/// A computation that is written once for all objectives.
pub trait OverCosts {
    /// Its result.
    type Output;
    /// The computation.
    fn with<C: Running>(self) -> Self::Output;
}

/// Picks the costs of an objective.
pub fn over_costs<F: OverCosts>(objective: Objective, weighted: bool, call: F) -> F::Output {
    match (objective, weighted) {
        (Objective::Variance, false) => call.with::<Deviation>(),
        (Objective::Variance, true) => call.with::<WeightedDeviation>(),
        (Objective::Mean, _) => call.with::<MeanLoss<false>>(),
        (Objective::Max, _) => call.with::<MeanLoss<true>>(),
        (Objective::Mass, _) => call.with::<Mass>(),
    }
}
