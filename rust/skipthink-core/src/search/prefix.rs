//! Costs of any chunk of a row in constant time, for searches that look at few chunks of many.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use pulp::{Scalar, Simd};

use crate::losses::Row;
use crate::search::running::{Chunk, Running, or_zero};

/// Numbers behind the last sum, which a vector that begins with it holds as well.
const ROOM: usize = 8;

/// Prefix sums of one row; reused from row to row. They are taken of losses less a centre near the row's mean,
/// so that little cancels when they are subtracted.
#[derive(Debug)]
pub struct PrefixCosts {
    balance: f64,
    m: usize,
    n_stages: usize,
    n_steps: usize,
    centre: f64,
    /// 0, 1, 2, …
    steps: Vec<f64>,
    weight: Vec<f64>,
    /// Losses, `(n_stages, K + 1)`.
    first: Vec<f64>,
    /// Squares of losses, `(n_stages, K + 1)`.
    second: Vec<f64>,
    /// Losses of the end token, `(M, K + 1)`; empty where none enter.
    ends: Vec<f64>,
}

/// Sums of the steps before a cut, one cut per lane or the same in all.
#[derive(Clone, Copy)]
struct Sums<S: Simd> {
    steps: S::f64s,
    weight: S::f64s,
    first: S::f64s,
    second: S::f64s,
}

impl PrefixCosts {
    /// Empty sums; lengths of chunks are charged with the weight `balance`.
    pub fn new(balance: f64) -> Self {
        Self {
            balance,
            m: 1,
            n_stages: 1,
            n_steps: 0,
            centre: 0.0,
            steps: Vec::new(),
            weight: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Loads a row that is cut into `m` chunks.
    pub fn load<C: Running>(&mut self, row: &Row, m: usize) {
        self.m = m;
        self.n_stages = row.n_stages;
        self.n_steps = row.n_steps;
        let mean = row.values.iter().sum::<f64>() / row.values.len().max(1) as f64;
        // a multiple of 1/64 takes nothing away from losses of few digits, so equal cuts stay exactly equal
        self.centre = (mean * 64.0).round() / 64.0;
        let counted = self.steps.len();
        self.steps.extend((counted..=row.n_steps + ROOM).map(|n| n as f64));
        self.weight.clear();
        add_up(row.weights.iter().copied(), &mut self.weight);
        self.first.clear();
        self.second.clear();
        let centre = self.centre;
        for stage in 0..row.n_stages {
            let steps = row.stage(stage).iter().zip(&row.weights).map(|(x, weight)| (x - centre, weight));
            add_up(steps.clone().map(|(x, weight)| weight * x), &mut self.first);
            if C::SQUARES {
                add_up(steps.map(|(x, weight)| weight * x * x), &mut self.second);
            }
        }
        self.ends.clone_from(&row.ends);
        for sums in [&mut self.weight, &mut self.first, &mut self.second, &mut self.ends] {
            if !sums.is_empty() {
                sums.resize(sums.len() + ROOM, 0.0);
            }
        }
    }

    /// The places `place`, `place + 1`, … as numbers, one per lane.
    #[inline(always)]
    pub fn places<S: Simd>(&self, place: usize) -> S::f64s {
        S::as_simd_f64s(&self.steps[place..place + S::F64_LANES]).0[0]
    }

    /// Cost of chunk `m` (0-based) over steps `start..end`.
    #[inline(always)]
    pub fn cost<C: Running>(&self, m: usize, start: usize, end: usize) -> f64 {
        let (before, after) =
            (self.sums::<C, Scalar, false>(Scalar, m, start), self.sums::<C, _, false>(Scalar, m, end));
        self.cost_of::<C, Scalar>(Scalar, before, after, self.end_loss::<_, false>(Scalar, m, end))
    }

    /// Costs of chunks `m` and `m + 1` over steps `start..end` that meet at `cut`, `cut + 1`, …, one cut per lane.
    #[inline(always)]
    pub fn costs_of_pair<C: Running, S: Simd>(
        &self,
        simd: S,
        m: usize,
        (start, end): (usize, usize),
        cut: usize,
    ) -> (S::f64s, S::f64s) {
        let (before, after) =
            (self.sums::<C, S, false>(simd, m, start), self.sums::<C, S, false>(simd, m + 1, end));
        let left = self.sums::<C, S, true>(simd, m, cut);
        let right = if self.n_stages == 1 { left } else { self.sums::<C, S, true>(simd, m + 1, cut) };
        (
            self.cost_of::<C, S>(simd, before, left, self.end_loss::<S, true>(simd, m, cut)),
            self.cost_of::<C, S>(simd, right, after, self.end_loss::<S, false>(simd, m + 1, end)),
        )
    }

    /// Sums before `cut`, or with `EACH` before `cut`, `cut + 1`, …, under the stage of chunk `m`.
    #[inline(always)]
    fn sums<C: Running, S: Simd, const EACH: bool>(&self, simd: S, m: usize, cut: usize) -> Sums<S> {
        let stage = if self.n_stages == 1 { 0 } else { m * (self.n_steps + 1) };
        let zero = simd.splat_f64s(0.0);
        Sums {
            // what is not needed is not read: checks of the place would stay
            steps: if C::SQUARES || self.balance > 0.0 {
                read::<S, EACH>(simd, &self.steps, cut)
            } else {
                zero
            },
            weight: read::<S, EACH>(simd, &self.weight, cut),
            first: read::<S, EACH>(simd, &self.first, stage + cut),
            second: if C::SQUARES { read::<S, EACH>(simd, &self.second, stage + cut) } else { zero },
        }
    }

    /// Loss of the end token of chunk `m` that ends at `end`, or with `EACH` at `end`, `end + 1`, …, and its weight.
    #[inline(always)]
    fn end_loss<S: Simd, const EACH: bool>(&self, simd: S, m: usize, end: usize) -> (S::f64s, S::f64s) {
        if self.ends.is_empty() {
            return (simd.splat_f64s(0.0), simd.splat_f64s(0.0));
        }
        (read::<S, EACH>(simd, &self.ends, m * (self.n_steps + 1) + end), simd.splat_f64s(1.0))
    }

    #[inline(always)]
    fn cost_of<C: Running, S: Simd>(
        &self,
        simd: S,
        before: Sums<S>,
        after: Sums<S>,
        (end, end_weight): (S::f64s, S::f64s),
    ) -> S::f64s {
        let steps = simd.sub_f64s(after.steps, before.steps);
        let weight = simd.sub_f64s(after.weight, before.weight);
        let off = simd.sub_f64s(after.first, before.first);
        let squares = simd.sub_f64s(after.second, before.second);
        let centres = simd.mul_f64s(simd.splat_f64s(self.centre), weight);
        let loss = or_zero(simd, weight, simd.add_f64s(off, centres));
        let cost = C::prefix_cost(simd, Chunk { steps, weight, off, squares, loss, end, end_weight });
        if self.balance == 0.0 {
            return cost;
        }
        // as `charge_of`
        let scaled = simd.mul_f64s(steps, simd.splat_f64s(self.m as f64));
        let share = simd.div_f64s(scaled, simd.splat_f64s(self.n_steps as f64));
        let off = simd.sub_f64s(share, simd.splat_f64s(1.0));
        simd.add_f64s(cost, simd.mul_f64s(simd.splat_f64s(self.balance), simd.mul_f64s(off, off)))
    }
}

/// The number at a place in all lanes, or with `EACH` the numbers from there on.
#[inline(always)]
fn read<S: Simd, const EACH: bool>(simd: S, numbers: &[f64], at: usize) -> S::f64s {
    if EACH { S::as_simd_f64s(&numbers[at..at + S::F64_LANES]).0[0] } else { simd.splat_f64s(numbers[at]) }
}

/// Appends 0 and the sums of the first numbers.
fn add_up(numbers: impl Iterator<Item = f64>, sums: &mut Vec<f64>) {
    let mut sum = 0.0;
    sums.push(sum);
    sums.extend(numbers.map(|number| {
        sum += number;
        sum
    }));
}
