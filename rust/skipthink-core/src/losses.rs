//! Cached step losses, checked and loaded row by row (method §4).

use std::ops::Range;

use crate::error::{Error, MAX_LOSS, MAX_WEIGHT, Result};
use crate::ragged::{Numbers, Offsets};

/// What boundary search minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Sum of the chunks' mean token losses: what chunk-wise training itself minimises.
    Mean,
    /// Sum of the token-weighted squared deviations of step losses inside chunks.
    Variance,
    /// Mean token loss of the worst chunk.
    Max,
    /// Sum of the squared deviations of the chunks' summed losses from an even share, as shares of it.
    Mass,
}

/// Borrowed losses of a batch of rows.
#[derive(Debug, Clone, Copy)]
pub struct Losses<'a> {
    /// Mean loss of a step, nats per token: `(total_steps, n_stages)`, row-major.
    pub values: Numbers<'a>,
    /// 1 (stage-free) or M (stage-conditioned).
    pub n_stages: usize,
    /// Rows of steps.
    pub steps: Offsets<'a>,
    /// Tokens of a step, in the order of `values`; None: 1 each.
    pub weights: Option<Numbers<'a>>,
    /// Losses of the end token after k steps: `(total_steps + n, M)`, and their row offsets.
    pub ends: Option<(Numbers<'a>, Offsets<'a>)>,
}

impl Losses<'_> {
    /// Checks what concerns all rows.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn check_shape(&self, m: usize) -> Result<()> {
        if self.n_stages != 1 && self.n_stages != m {
            return Err(Error::Stages { got: self.n_stages, m });
        }
        match self.ends {
            Some((_, offsets)) if offsets.len() != self.steps.len() => {
                Err(Error::Rows { name: "end_losses", got: offsets.len(), expected: self.steps.len() })
            }
            _ => Ok(()),
        }
    }

    /// Checks lengths and values of some rows.
    ///
    /// # Errors
    /// What is wrong first, with its row.
    pub fn check_rows(&self, rows: Range<usize>, m: usize) -> Result<()> {
        let steps = self.steps.rows(rows.clone());
        let scaled = |range: Range<usize>, width: usize| range.start * width..range.end * width;
        let mut fine = self.values.all_within(scaled(steps.clone(), self.n_stages), -MAX_LOSS, MAX_LOSS);
        fine &= self.weights.is_none_or(|weights| weights.all_within(steps, 0.0, MAX_WEIGHT));
        if let Some((ends, offsets)) = self.ends {
            let positions = scaled(offsets.rows(rows.clone()), m);
            fine &= ends.all_within(positions, -MAX_LOSS, MAX_LOSS);
            fine &= rows.clone().all(|row| offsets.row(row).len() == self.steps.row(row).len() + 1);
        }
        // which row it is, is looked for only where something is wrong
        if fine { Ok(()) } else { rows.into_iter().try_for_each(|row| self.check_row(row, m)) }
    }

    fn check_row(&self, row: usize, m: usize) -> Result<()> {
        let steps = self.steps.row(row);
        check_losses("losses", row, self.n_stages, self.values, steps.clone())?;
        if let Some(weights) = self.weights {
            check_weights(row, weights, steps.clone())?;
        }
        if let Some((ends, offsets)) = self.ends {
            let found = offsets.row(row);
            if found.len() != steps.len() + 1 {
                return Err(Error::EndLosses { row, got: found.len(), expected: steps.len() + 1 });
            }
            check_losses("end_losses", row, m, ends, found)?;
        }
        Ok(())
    }
}

fn check_losses(
    name: &'static str,
    row: usize,
    width: usize,
    losses: Numbers<'_>,
    range: Range<usize>,
) -> Result<()> {
    let mut places = range.start * width..range.end * width;
    match places.find(|place| !(-MAX_LOSS..=MAX_LOSS).contains(&losses.at(*place))) {
        None => Ok(()),
        Some(place) => {
            let index = (place - range.start * width) / width;
            Err(Error::Loss { name, row, index, got: losses.at(place) })
        }
    }
}

fn check_weights(row: usize, weights: Numbers<'_>, mut range: Range<usize>) -> Result<()> {
    let first = range.start;
    match range.find(|place| !(0.0..=MAX_WEIGHT).contains(&weights.at(*place))) {
        None => Ok(()),
        Some(place) => Err(Error::Weight { row, index: place - first, got: weights.at(place) }),
    }
}

/// One row, widened to 64 bits and ordered by stage; reused from row to row.
#[derive(Debug, Default)]
pub struct Row {
    /// Steps K.
    pub n_steps: usize,
    /// Mean losses, `(n_stages, K)`.
    pub values: Vec<f64>,
    /// 1 or M.
    pub n_stages: usize,
    /// Weights, `(K,)`; 1 each where none were given.
    pub weights: Vec<f64>,
    /// Losses of the end token, `(M, K + 1)`; empty where none enter.
    pub ends: Vec<f64>,
    scratch: Vec<f64>,
}

impl Row {
    /// Loads a row of checked losses; `with_ends`: whether losses of the end token enter.
    pub fn load(&mut self, losses: &Losses<'_>, row: usize, m: usize, with_ends: bool) {
        let steps = losses.steps.row(row);
        self.n_steps = steps.len();
        self.n_stages = losses.n_stages;
        let values = steps.start * self.n_stages..steps.end * self.n_stages;
        if self.n_stages == 1 {
            self.values.resize(values.len(), 0.0);
            losses.values.copy_to(values, &mut self.values);
        } else {
            self.scratch.resize(values.len(), 0.0);
            losses.values.copy_to(values, &mut self.scratch);
            transpose(&self.scratch, self.n_stages, &mut self.values);
        }
        self.weights.clear();
        self.weights.resize(steps.len(), 1.0);
        if let Some(weights) = losses.weights {
            weights.copy_to(steps, &mut self.weights);
        }
        self.ends.clear();
        if let Some((ends, offsets)) = losses.ends.filter(|_| with_ends) {
            let positions = offsets.row(row);
            self.scratch.resize(positions.len() * m, 0.0);
            ends.copy_to(positions.start * m..positions.end * m, &mut self.scratch);
            transpose(&self.scratch, m, &mut self.ends);
        }
    }

    /// Scales losses so that an even share of the row's loss among `m` chunks is 1.
    pub fn scale_to_shares(&mut self, m: usize) {
        let Self { n_steps, n_stages, values, weights, .. } = &*self;
        let factor = share_factor(
            m,
            *n_steps,
            *n_stages,
            |stage, step| values[stage * n_steps + step],
            |step| weights[step],
        );
        self.values.iter_mut().for_each(|loss| *loss *= factor);
    }

    /// Losses of a chunk's stage, `(K,)`.
    pub fn stage(&self, chunk: usize) -> &[f64] {
        let stage = if self.n_stages == 1 { 0 } else { chunk };
        &self.values[stage * self.n_steps..][..self.n_steps]
    }

    /// Loss of the end token after `end` steps under a chunk's stage, where it enters.
    pub fn end(&self, chunk: usize, end: usize) -> Option<f64> {
        self.ends.get(chunk * (self.n_steps + 1) + end).copied()
    }
}

/// What makes an even share of a row's loss 1: M over the loss of all steps, in its absolute value and as the mean of the
/// stages; 0 for a row without loss.
pub fn share_factor(
    m: usize,
    n_steps: usize,
    n_stages: usize,
    loss: impl Fn(usize, usize) -> f64,
    weight: impl Fn(usize) -> f64,
) -> f64 {
    let mut all = 0.0;
    for step in 0..n_steps {
        let stages = (0..n_stages).fold(0.0, |sum, stage| sum + loss(stage, step).abs());
        all += weight(step) * (stages / n_stages as f64);
    }
    let factor = m as f64 / all;
    if factor.is_finite() { factor } else { 0.0 }
}

/// `(rows, width)` to `(width, rows)`.
fn transpose(values: &[f64], width: usize, out: &mut Vec<f64>) {
    out.clear();
    if width == 1 {
        out.extend_from_slice(values);
    } else {
        (0..width).for_each(|column| out.extend(values.iter().skip(column).step_by(width)));
    }
}
