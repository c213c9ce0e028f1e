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

/// Memory of the search, reused from row to row.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Boundaries that would stay if they were looked at.
    is_settled: Vec<bool>,
    /// Losses of the candidates for a boundary.
    losses: Vec<f64>,
}

/// Moves boundaries, left to right, sweep after sweep, until nothing moves.
///
/// A boundary whose neighbours stand where they stood when it was looked at would stay, so it is passed over: this spares
/// the last sweep and much of those before it. Under `Objective::Max` all boundaries count as neighbours.
///
/// # Errors
/// `Error::Interrupted`.
pub fn search(
    costs: &PrefixCosts,
    boundaries: &mut [usize],
    greedy: Greedy,
    eta: f64,
    min_steps: usize,
    scratch: &mut Scratch,
) -> Result<()> {
    let last = boundaries.len() - 1;
    let reach = if costs.objective() == Objective::Max { last } else { 1 };
    let Scratch { is_settled, losses } = scratch;
    is_settled.clear();
    is_settled.resize(last + 1, false);
    for _ in 0..greedy.max_sweeps {
        let mut moved = false;
        for cut in 1..last {
            if is_settled[cut] {
                continue;
            }
            interrupt::check(5 * (boundaries[cut + 1] - boundaries[cut - 1]))?;
            if move_cut(costs, boundaries, cut, greedy.scope, eta, min_steps, losses) {
                moved = true;
                is_settled[cut.saturating_sub(reach)..=(cut + reach).min(last)].fill(false);
            }
            is_settled[cut] = true;
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
    losses: &mut Vec<f64>,
) -> bool {
    let (start, end) = (boundaries[cut - 1], boundaries[cut + 1]);
    let candidates = start + min_steps..=end.saturating_sub(min_steps);
    losses.clear();
    if scope == Scope::Pair && costs.are_plain_means() {
        costs.pairs_of_means(cut - 1, start, end, candidates.clone(), losses);
    } else {
        losses.extend(candidates.clone().map(|candidate| judged(costs, boundaries, cut, candidate, scope)));
    }
    let current = judged(costs, boundaries, cut, boundaries[cut], scope);
    let mut best = (f64::INFINITY, boundaries[cut]);
    for (candidate, &loss) in candidates.zip(losses.iter()) {
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
