//! Cached step losses and the cost of a chunk (method §4).

use crate::error::{Error, Result};
use crate::ragged::Offsets;

/// What boundary search minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Sum of the chunks' mean token losses: what chunk-wise training itself minimises.
    Mean,
    /// Sum of the token-weighted squared deviations of step losses inside chunks.
    Variance,
    /// Mean token loss of the worst chunk.
    Max,
}

impl Objective {
    /// Joins costs of chunks: J of two parts.
    pub fn join(self, left: f64, right: f64) -> f64 {
        if self == Self::Max { left.max(right) } else { left + right }
    }

    /// J of no chunk.
    pub fn start(self) -> f64 {
        if self == Self::Max { f64::NEG_INFINITY } else { 0.0 }
    }
}

/// Borrowed losses of a batch of rows.
#[derive(Debug, Clone, Copy)]
pub struct Losses<'a> {
    /// Mean loss of a step, nats a token: `(total_steps, n_stages)`, row-major.
    pub values: &'a [f64],
    /// 1 (stage-free) or M (stage-conditioned).
    pub n_stages: usize,
    /// Rows of steps.
    pub steps: Offsets<'a>,
    /// Tokens of a step, in the order of `values`; None: 1 each.
    pub weights: Option<&'a [f64]>,
    /// Losses of the end token after k steps: `(total_steps + n, M)`, and their row offsets.
    pub ends: Option<(&'a [f64], Offsets<'a>)>,
}

impl Losses<'_> {
    /// Checks shapes and values of all rows.
    ///
    /// # Errors
    /// What is wrong first, with its row.
    pub fn check(&self, m: usize) -> Result<()> {
        if self.n_stages != 1 && self.n_stages != m {
            return Err(Error::Option {
                name: "losses",
                expected: "one loss a step, or M losses a step (one a stage)",
                got: format!("{} a step with M = {m}", self.n_stages),
            });
        }
        if let Some((_, offsets)) = self.ends
            && offsets.len() != self.steps.len()
        {
            return Err(Error::Rows { name: "end_losses", got: offsets.len(), expected: self.steps.len() });
        }
        for row in 0..self.steps.len() {
            self.check_row(row, m)?;
        }
        Ok(())
    }

    fn check_row(&self, row: usize, m: usize) -> Result<()> {
        let steps = self.steps.row(row);
        let values = &self.values[steps.start * self.n_stages..steps.end * self.n_stages];
        check_values("losses", row, self.n_stages, values, false)?;
        if let Some(weights) = self.weights {
            check_values("n_tokens", row, 1, &weights[steps.clone()], true)?;
        }
        if let Some((ends, offsets)) = self.ends {
            let found = offsets.row(row);
            if found.len() != steps.len() + 1 {
                return Err(Error::RowLength {
                    name: "end_losses",
                    row,
                    got: found.len(),
                    expected: steps.len() + 1,
                    hint: "one loss of the end token before each step and one after the last",
                });
            }
            check_values("end_losses", row, m, &ends[found.start * m..found.end * m], false)?;
        }
        Ok(())
    }
}

fn check_values(name: &'static str, row: usize, width: usize, values: &[f64], positive: bool) -> Result<()> {
    let allowed = |value: &f64| value.is_finite() && (!positive || *value >= 0.0);
    match values.iter().position(|value| !allowed(value)) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            name,
            row,
            index: index / width,
            got: values[index].to_string(),
            expected: if positive {
                "weights are finite and not negative"
            } else {
                "losses are finite numbers"
            },
        }),
    }
}

/// Prefix sums of one row; reused from row to row. They are taken of losses less the row's mean, so that
/// little cancels when they are subtracted.
#[derive(Debug)]
pub struct RowCosts {
    objective: Objective,
    m: usize,
    n_stages: usize,
    n_steps: usize,
    centre: f64,
    weight: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    ends: Vec<f64>,
    has_ends: bool,
}

impl RowCosts {
    /// Empty sums for M chunks under an objective.
    pub fn new(objective: Objective, m: usize) -> Self {
        Self {
            objective,
            m,
            n_stages: 1,
            n_steps: 0,
            centre: 0.0,
            weight: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            ends: Vec::new(),
            has_ends: false,
        }
    }

    /// Number of steps K of the loaded row.
    pub fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// Number of chunks M.
    pub fn n_chunks(&self) -> usize {
        self.m
    }

    /// The objective.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// Loads a row.
    pub fn load(&mut self, losses: &Losses<'_>, row: usize) {
        let steps = losses.steps.row(row);
        let stages = losses.n_stages;
        let values = &losses.values[steps.start * stages..steps.end * stages];
        let weight = |step: usize| losses.weights.map_or(1.0, |weights| weights[steps.start + step]);
        self.n_stages = stages;
        self.n_steps = steps.len();
        self.centre = values.iter().sum::<f64>() / values.len().max(1) as f64;
        self.weight.clear();
        self.weight.push(0.0);
        self.first.clear();
        self.first.resize(stages, 0.0);
        self.second.clear();
        self.second.resize(stages, 0.0);
        for step in 0..steps.len() {
            let w = weight(step);
            self.weight.push(self.weight[step] + w);
            for stage in 0..stages {
                let x = values[step * stages + stage] - self.centre;
                let before = step * stages + stage;
                self.first.push(self.first[before] + w * x);
                self.second.push(self.second[before] + w * x * x);
            }
        }
        self.ends.clear();
        self.has_ends = losses.ends.is_some() && self.objective != Objective::Variance;
        if let Some((ends, offsets)) = losses.ends.filter(|_| self.has_ends) {
            let found = offsets.row(row);
            self.ends.extend_from_slice(&ends[found.start * self.m..found.end * self.m]);
        }
    }

    /// Cost of chunk `m` (0-based) over steps `start..end`.
    pub fn cost(&self, m: usize, start: usize, end: usize) -> f64 {
        let stage = if self.n_stages == 1 { 0 } else { m };
        let difference =
            |sums: &[f64]| sums[end * self.n_stages + stage] - sums[start * self.n_stages + stage];
        let weight = self.weight[end] - self.weight[start];
        if self.objective == Objective::Variance {
            if weight <= 0.0 || end - start < 2 {
                return 0.0;
            }
            let sum = difference(&self.first);
            return (difference(&self.second) - sum * sum / weight).max(0.0);
        }
        let total = if weight > 0.0 { difference(&self.first) + self.centre * weight } else { 0.0 };
        if self.has_ends {
            return (total + self.ends[end * self.m + m]) / (weight + 1.0);
        }
        if weight > 0.0 { total / weight } else { 0.0 }
    }

    /// J of boundaries `b_0 … b_M`.
    pub fn total(&self, boundaries: &[usize]) -> f64 {
        boundaries.windows(2).enumerate().fold(self.objective.start(), |joined, (m, pair)| {
            self.objective.join(joined, self.cost(m, pair[0], pair[1]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(objective: Objective, m: usize, values: &[f64], ends: Option<&[f64]>) -> RowCosts {
        let k = values.len();
        let steps = [0, k as i64];
        let end_offsets = [0, k as i64 + 1];
        let losses = Losses {
            values,
            n_stages: 1,
            steps: Offsets::new("losses", &steps, k).unwrap(),
            weights: None,
            ends: ends.map(|ends| (ends, Offsets::new("end_losses", &end_offsets, k + 1).unwrap())),
        };
        losses.check(m).unwrap();
        let mut row = RowCosts::new(objective, m);
        row.load(&losses, 0);
        row
    }

    #[test]
    fn the_example_of_the_method() {
        let losses = [0.1, 0.1, 0.1, 3.0];
        let mean = costs(Objective::Mean, 2, &losses, None);
        assert!((mean.total(&[0, 1, 4]) - (0.1 + 3.2 / 3.0)).abs() < 1e-12);
        let variance = costs(Objective::Variance, 2, &losses, None);
        assert!(variance.total(&[0, 3, 4]).abs() < 1e-12);
        let max = costs(Objective::Max, 2, &losses, None);
        assert!((max.total(&[0, 3, 4]) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn an_empty_chunk_costs_its_end_token() {
        let row = costs(Objective::Mean, 2, &[1.0, 2.0], Some(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]));
        assert!((row.cost(1, 2, 2) - 0.6).abs() < 1e-12);
        assert!((row.cost(0, 0, 2) - (3.0 + 0.5) / 3.0).abs() < 1e-12);
        assert!(costs(Objective::Mean, 2, &[1.0, 2.0], None).cost(1, 2, 2).abs() < 1e-12);
    }
}
