//! Greedy search-based chunking: merge two adjacent chunks, try the cut points, accept what gains enough.

use crate::error::Result;
use crate::interrupt;
use crate::losses::Objective;
use crate::search::prefix::PrefixCosts;

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

/// Moves boundaries, left to right, sweep after sweep, until nothing moves.
///
/// # Errors
/// `Error::Interrupted`.
pub fn search(
    costs: &PrefixCosts,
    boundaries: &mut [usize],
    greedy: Greedy,
    eta: f64,
    min_steps: usize,
) -> Result<()> {
    for _ in 0..greedy.max_sweeps {
        let mut moved = false;
        for cut in 1..boundaries.len() - 1 {
            interrupt::check(5 * (boundaries[cut + 1] - boundaries[cut - 1]))?;
            moved |= move_cut(costs, boundaries, cut, greedy.scope, eta, min_steps);
        }
        if !moved {
            break;
        }
    }
    Ok(())
}

fn move_cut(
    costs: &PrefixCosts,
    boundaries: &mut [usize],
    cut: usize,
    scope: Scope,
    eta: f64,
    min_steps: usize,
) -> bool {
    let (low, high) = (boundaries[cut - 1] + min_steps, boundaries[cut + 1].saturating_sub(min_steps));
    let current = judged(costs, boundaries, cut, boundaries[cut], scope);
    let mut best = (f64::INFINITY, boundaries[cut]);
    for candidate in low..=high {
        let loss = judged(costs, boundaries, cut, candidate, scope);
        if loss < best.0 {
            best = (loss, candidate);
        }
    }
    let accepted = current - best.0 > eta && best.1 != boundaries[cut];
    if accepted {
        boundaries[cut] = best.1;
    }
    accepted
}

/// The loss that a candidate for one boundary is judged by.
fn judged(costs: &PrefixCosts, boundaries: &[usize], cut: usize, candidate: usize, scope: Scope) -> f64 {
    let left = costs.cost(cut - 1, boundaries[cut - 1], candidate);
    if scope == Scope::Left {
        return left;
    }
    let pair = costs.objective().join(left, costs.cost(cut, candidate, boundaries[cut + 1]));
    if costs.objective() != Objective::Max {
        return pair;
    }
    // J is the worst chunk of the whole row: a move that leaves another chunk the worst gains nothing
    let others = boundaries.windows(2).enumerate().filter(|(m, _)| *m + 1 != cut && *m != cut);
    others.fold(pair, |worst, (m, part)| worst.max(costs.cost(m, part[0], part[1])))
}
