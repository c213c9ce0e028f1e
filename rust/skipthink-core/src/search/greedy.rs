//! Greedy search-based chunking: merge two adjacent chunks, try the cut points, accept what gains enough.
//!
//! The cut points of a pair are judged side by side, one per lane.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use std::marker::PhantomData;

use pulp::{Scalar, Simd, WithSimd};

use crate::error::Result;
use crate::interrupt;
use crate::search::prefix::{PrefixCosts, ROOM};
use crate::search::running::Running;

/// Which loss a move is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The two chunks that the boundary separates; what J changes by.
    Pair,
    /// The left chunk alone; may raise J.
    Left,
}

/// Options of the greedy search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greedy {
    /// Which loss a move is judged by.
    pub scope: Scope,
    /// Most sweeps over the boundaries of a row.
    pub max_sweeps: usize,
}

/// When a move is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Options.
    pub greedy: Greedy,
    /// What a move must gain more than.
    pub eta: f64,
    /// Least steps of a chunk.
    pub min_steps: usize,
}

/// Moves boundaries, left to right, sweep after sweep, until nothing moves; `judged` is work space.
///
/// # Errors
/// `Error::Interrupted`.
pub fn search<C: Running>(
    arch: pulp::Arch,
    costs: &PrefixCosts,
    boundaries: &mut [usize],
    rule: Rule,
    judged: &mut Vec<f64>,
) -> Result<()> {
    let n_steps = boundaries[boundaries.len() - 1];
    judged.resize(judged.len().max(n_steps + 1 + ROOM), 0.0);
    arch.dispatch(Search::<C> { costs, boundaries, rule, judged, kind: PhantomData })
}

struct Search<'a, C> {
    costs: &'a PrefixCosts,
    boundaries: &'a mut [usize],
    rule: Rule,
    judged: &'a mut [f64],
    kind: PhantomData<C>,
}

impl<C: Running> WithSimd for Search<'_, C> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> Result<()> {
        let m = self.boundaries.len() - 1;
        for _ in 0..self.rule.greedy.max_sweeps {
            interrupt::check(10 * self.boundaries[m])?;
            let mut moved = false;
            for cut in 1..m {
                moved |= self.move_cut(simd, cut);
            }
            if !moved {
                break;
            }
        }
        Ok(())
    }
}

impl<C: Running> Search<'_, C> {
    /// Moves a boundary to its best place, the first one of several, if that gains enough.
    #[inline(always)]
    fn move_cut<S: Simd>(&mut self, simd: S, cut: usize) -> bool {
        let Rule { eta, min_steps, .. } = self.rule;
        let now = self.boundaries[cut];
        let (low, high) =
            (self.boundaries[cut - 1] + min_steps, self.boundaries[cut + 1].saturating_sub(min_steps));
        // a start that was given may have shorter chunks than a move may make
        let first = low.min(now);
        self.judge(simd, cut, first, high.max(now));
        let current = self.judged[now - first];
        let mut best = (f64::INFINITY, now);
        for candidate in low..=high {
            let loss = self.judged[candidate - first];
            if loss < best.0 {
                best = (loss, candidate);
            }
        }
        let accepted = current - best.0 > eta && best.1 != now;
        if accepted {
            self.boundaries[cut] = best.1;
        }
        accepted
    }

    /// Writes the losses that the places `first` to `last` of a boundary are judged by.
    #[inline(always)]
    fn judge<S: Simd>(&mut self, simd: S, cut: usize, first: usize, last: usize) {
        let Self { costs, boundaries, rule, judged, .. } = self;
        let range = (boundaries[cut - 1], boundaries[cut + 1]);
        let others = simd.splat_f64s(if C::WORST { worst_other::<C>(costs, boundaries, cut) } else { 0.0 });
        let (blocks, _) = S::as_mut_simd_f64s(judged);
        for (place, block) in (first..=last).step_by(S::F64_LANES).zip(blocks) {
            let (left, right) = costs.costs_of_pair::<C, S>(simd, cut - 1, range, place);
            *block = match rule.greedy.scope {
                Scope::Left => left,
                // J is the worst chunk of the whole row: a move that leaves another chunk the worst gains nothing
                Scope::Pair if C::WORST => C::join(simd, C::join(simd, left, right), others),
                Scope::Pair => C::join(simd, left, right),
            };
        }
    }
}

/// The worst chunk of those that a boundary does not touch.
fn worst_other<C: Running>(costs: &PrefixCosts, boundaries: &[usize], cut: usize) -> f64 {
    let others = boundaries.windows(2).enumerate().filter(|(m, _)| *m + 1 != cut && *m != cut);
    others.fold(C::start(), |worst, (m, part)| C::join(Scalar, worst, costs.cost::<C>(m, part[0], part[1])))
}
