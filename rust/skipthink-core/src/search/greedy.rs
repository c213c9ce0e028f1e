//! Greedy search-based chunking: merge two adjacent chunks, try the cut points, accept what gains enough.
//!
//! The cut points of a pair are judged side by side, one per lane.
#![allow(clippy::inline_always)] // a call that is not inlined loses the vector unit it was chosen for

use std::marker::PhantomData;

use pulp::{Scalar, Simd, WithSimd};

use crate::error::Result;
use crate::interrupt;
use crate::search::prefix::PrefixCosts;
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

/// Moves boundaries, left to right, sweep after sweep, until nothing moves; `stale` is work space.
///
/// # Errors
/// `Error::Interrupted`.
pub fn search<C: Running>(
    arch: pulp::Arch,
    costs: &PrefixCosts,
    boundaries: &mut [usize],
    rule: Rule,
    stale: &mut Vec<bool>,
) -> Result<()> {
    stale.clear();
    stale.resize(boundaries.len(), true);
    arch.dispatch(Search::<C> { costs, boundaries, rule, stale, kind: PhantomData })
}

struct Search<'a, C> {
    costs: &'a PrefixCosts,
    boundaries: &'a mut [usize],
    rule: Rule,
    /// Boundaries that may move: what their last examination looked at has changed since.
    stale: &'a mut [bool],
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
                if self.stale[cut] {
                    moved |= self.move_cut(simd, cut);
                }
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
        let others = if C::WORST { self.worst_other(cut) } else { 0.0 };
        let last = simd.splat_f64s(high as f64);
        let far = simd.splat_f64s(f64::INFINITY);
        let (mut least, mut at, mut here) = (far, far, far);
        for place in (low..=high).step_by(S::F64_LANES) {
            let places = self.costs.places::<S>(place);
            let loss = self.judge(simd, cut, place, others);
            let loss = simd.select_f64s(simd.less_than_or_equal_f64s(places, last), loss, far);
            at = simd.select_f64s(simd.less_than_f64s(loss, least), places, at);
            least = simd.min_f64s(least, loss);
            here = simd.select_f64s(simd.equal_f64s(places, simd.splat_f64s(now as f64)), loss, here);
        }
        let loss = simd.reduce_min_f64s(least);
        let first = simd.less_than_or_equal_f64s(least, simd.splat_f64s(loss));
        let best = simd.reduce_min_f64s(simd.select_f64s(first, at, far)) as usize;
        // a start that was given may have shorter chunks than a move may make
        let allowed = (low..=high).contains(&now);
        let current = if allowed { simd.reduce_min_f64s(here) } else { self.judge(Scalar, cut, now, others) };
        self.stale[cut] = false;
        let moves = current - loss > eta && best != now;
        if moves {
            self.boundaries[cut] = best;
            if C::WORST {
                self.stale.fill(true);
                self.stale[cut] = false;
            } else {
                (self.stale[cut - 1], self.stale[cut + 1]) = (true, true);
            }
        }
        moves
    }

    /// The losses that the places `place`, `place + 1`, … of a boundary are judged by, one per lane.
    #[inline(always)]
    fn judge<S: Simd>(&self, simd: S, cut: usize, place: usize, others: f64) -> S::f64s {
        let range = (self.boundaries[cut - 1], self.boundaries[cut + 1]);
        let (left, right) = self.costs.costs_of_pair::<C, S>(simd, cut - 1, range, place);
        match self.rule.greedy.scope {
            Scope::Left => left,
            // J is the worst chunk of the whole row: a move that leaves another chunk the worst gains nothing
            Scope::Pair if C::WORST => C::join(simd, C::join(simd, left, right), simd.splat_f64s(others)),
            Scope::Pair => C::join(simd, left, right),
        }
    }

    /// The worst chunk of those that a boundary does not touch.
    fn worst_other(&self, cut: usize) -> f64 {
        let others = self.boundaries.windows(2).enumerate().filter(|(m, _)| *m + 1 != cut && *m != cut);
        others.fold(C::start(), |worst, (m, part)| {
            C::join(Scalar, worst, self.costs.cost::<C>(m, part[0], part[1]))
        })
    }
}
