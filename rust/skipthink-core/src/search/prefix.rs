//! Costs of any chunk of a row in constant time, for searches that look at few chunks of many.

use crate::losses::{Objective, Row};
use crate::search::running::charge_of;

/// Prefix sums of one row; reused from row to row. They are taken of losses less a centre near the row's mean,
/// so that little cancels when they are subtracted.
#[derive(Debug)]
pub struct PrefixCosts {
    objective: Objective,
    balance: f64,
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
    #[inline]
    pub fn cost(&self, m: usize, start: usize, end: usize) -> f64 {
        let cost = self.cost_of_losses(m, start, end);
        if self.balance > 0.0 {
            cost + charge_of(self.balance, end - start, self.n_steps, self.m)
        } else {
            cost
        }
    }

    #[inline]
    fn cost_of_losses(&self, m: usize, start: usize, end: usize) -> f64 {
        let sums = if self.n_stages == 1 { 0 } else { m * (self.n_steps + 1) };
        let weight = self.weight[end] - self.weight[start];
        let sum = self.first[sums + end] - self.first[sums + start];
        if self.objective == Objective::Variance {
            if weight <= 0.0 || end - start < 2 {
                return 0.0;
            }
            return (self.second[sums + end] - self.second[sums + start] - sum * sum / weight).max(0.0);
        }
        let total = if weight > 0.0 { sum + self.centre * weight } else { 0.0 };
        if self.objective == Objective::Mass {
            return (total - 1.0) * (total - 1.0);
        }
        if !self.ends.is_empty() {
            return (total + self.ends[m * (self.n_steps + 1) + end]) / (weight + 1.0);
        }
        if weight > 0.0 { total / weight } else { 0.0 }
    }
}
