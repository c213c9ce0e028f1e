//! Costs of any chunk of a row in constant time, for searches that look at few chunks of many.
#![allow(clippy::inline_always)] // a call per candidate would cost these searches a third

use std::ops::RangeInclusive;

use crate::losses::{Objective, Row};
use crate::search::running::charge_of;

/// Which formula a cost has: one comparison per cost, as there are few operations beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mean,
    Variance,
    Ours,
}

/// Prefix sums of one row; reused from row to row. They are taken of losses less a centre near the row's mean,
/// so that little cancels when they are subtracted.
#[derive(Debug)]
pub struct PrefixCosts {
    objective: Objective,
    balance: f64,
    kind: Kind,
    m: usize,
    n_stages: usize,
    centre: f64,
    weight: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    /// `(M, K + 1)`, empty where end losses do not enter.
    ends: Vec<f64>,
    n_steps: usize,
}

impl PrefixCosts {
    /// Empty sums under an objective; lengths are charged with the weight `balance`.
    pub fn new(objective: Objective, balance: f64) -> Self {
        Self {
            objective,
            balance,
            kind: match objective {
                Objective::Mean | Objective::Max if balance == 0.0 => Kind::Mean,
                Objective::Variance if balance == 0.0 => Kind::Variance,
                _ => Kind::Ours,
            },
            m: 1,
            n_stages: 1,
            centre: 0.0,
            weight: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            ends: Vec::new(),
            n_steps: 0,
        }
    }

    /// The objective.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// Loads a row that is cut into `m` chunks.
    pub fn load(&mut self, row: &Row, m: usize) {
        self.m = m;
        self.n_stages = row.n_stages;
        self.n_steps = row.n_steps;
        let mean = row.values.iter().sum::<f64>() / row.values.len().max(1) as f64;
        // a multiple of 1/64 takes nothing away from losses of few digits, so equal cuts stay exactly equal
        self.centre = (mean * 64.0).round() / 64.0;
        self.weight.clear();
        self.weight.push(0.0);
        let mut total = 0.0;
        self.weight.extend(row.weights.iter().map(|weight| {
            total += weight;
            total
        }));
        self.first.clear();
        self.second.clear();
        for stage in 0..row.n_stages {
            let (mut first, mut second) = (0.0, 0.0);
            self.first.push(0.0);
            self.second.push(0.0);
            for (x, weight) in row.stage(stage).iter().zip(&row.weights) {
                let x = x - self.centre;
                first += weight * x;
                second += weight * x * x;
                self.first.push(first);
                self.second.push(second);
            }
        }
        self.ends.clone_from(&row.ends);
    }

    /// Cost of chunk `m` (0-based) over steps `start..end`.
    #[inline(always)]
    pub fn cost(&self, m: usize, start: usize, end: usize) -> f64 {
        if self.kind == Kind::Mean {
            self.mean(m, start, end)
        } else if self.kind == Kind::Variance {
            self.variance(m, start, end)
        } else {
            self.ours(m, start, end)
        }
    }

    /// Whether a cost is a mean loss and nothing else, and J their sum: what most searches ask for.
    pub fn are_plain_means(&self) -> bool {
        self.kind == Kind::Mean && self.objective == Objective::Mean && self.ends.is_empty()
    }

    /// `cost(m, start, cut) + cost(m + 1, cut, end)` for each cut, bit by bit, where the costs are plain means. The loop
    /// has no branch and no call, so that several cuts are computed at once.
    pub fn pairs_of_means(
        &self,
        m: usize,
        start: usize,
        end: usize,
        cuts: RangeInclusive<usize>,
        pairs: &mut Vec<f64>,
    ) {
        let (left, right) = (self.stage(m), self.stage(m + 1));
        let (before, after) = (self.weight[start], self.weight[end]);
        let (first_before, first_after) = (self.first[left + start], self.first[right + end]);
        let (low, high) = cuts.into_inner();
        if low > high {
            return;
        }
        let weights = &self.weight[low..=high];
        let lefts = &self.first[left + low..=left + high];
        let rights = &self.first[right + low..=right + high];
        pairs.extend(weights.iter().zip(lefts).zip(rights).map(|((weight, left), right)| {
            let (lighter, heavier) = (weight - before, after - weight);
            let left = ((left - first_before) + self.centre * lighter) / lighter;
            let right = ((first_after - right) + self.centre * heavier) / heavier;
            (if lighter > 0.0 { left } else { 0.0 }) + (if heavier > 0.0 { right } else { 0.0 })
        }));
    }

    /// Sums of a chunk: its weight, and its losses less the centre.
    #[inline(always)]
    fn sums(&self, m: usize, start: usize, end: usize) -> (f64, f64) {
        let sums = self.stage(m);
        (self.weight[end] - self.weight[start], self.first[sums + end] - self.first[sums + start])
    }

    #[inline(always)]
    fn stage(&self, m: usize) -> usize {
        if self.n_stages == 1 { 0 } else { m * (self.n_steps + 1) }
    }

    #[inline(always)]
    fn total(&self, weight: f64, sum: f64) -> f64 {
        if weight > 0.0 { sum + self.centre * weight } else { 0.0 }
    }

    #[inline(always)]
    fn mean(&self, m: usize, start: usize, end: usize) -> f64 {
        let (weight, sum) = self.sums(m, start, end);
        let total = self.total(weight, sum);
        if !self.ends.is_empty() {
            return (total + self.ends[m * (self.n_steps + 1) + end]) / (weight + 1.0);
        }
        if weight > 0.0 { total / weight } else { 0.0 }
    }

    #[inline(always)]
    fn variance(&self, m: usize, start: usize, end: usize) -> f64 {
        let (weight, sum) = self.sums(m, start, end);
        if weight <= 0.0 || end - start < 2 {
            return 0.0;
        }
        let sums = self.stage(m);
        (self.second[sums + end] - self.second[sums + start] - sum * sum / weight).max(0.0)
    }

    /// The cost under what few searches ask for: equal mass, or a charge for lengths.
    #[cold]
    #[inline(never)]
    fn ours(&self, m: usize, start: usize, end: usize) -> f64 {
        let cost = match self.objective {
            Objective::Mean | Objective::Max => self.mean(m, start, end),
            Objective::Variance => self.variance(m, start, end),
            Objective::Mass => {
                let (weight, sum) = self.sums(m, start, end);
                let off = self.total(weight, sum) - 1.0;
                off * off
            }
        };
        cost + charge_of(self.balance, end - start, self.n_steps, self.m)
    }
}
