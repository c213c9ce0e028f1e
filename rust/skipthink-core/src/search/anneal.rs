//! Simulated annealing over boundaries, with one generator per row (method §4).

use std::marker::PhantomData;

use pulp::Scalar;

use crate::error::{Error, Result};
use crate::interrupt;
use crate::search::prefix::PrefixCosts;
use crate::search::running::Running;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Moves between two questions whether to stop.
const MOVES_A_CHECK: usize = 1024;

/// Options of the annealing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anneal {
    /// Moves tried a row.
    pub moves: usize,
    /// Largest shift of a boundary, in steps.
    pub width: usize,
    /// First temperature, nats.
    pub start: f64,
    /// Last temperature, nats.
    pub end: f64,
}

/// The generator `SplitMix64`; written out here because results must not change with a library's version.
#[derive(Debug, Clone)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// A generator of one row: independent of threads and of the order of rows.
    pub fn of_row(seed: u64, row: u64) -> Self {
        Self(seed ^ row.wrapping_add(1).wrapping_mul(GOLDEN))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A uniform number in [0, 1).
    pub fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

impl Anneal {
    /// Checks the options.
    ///
    /// # Errors
    /// `Error::Zero` or `Error::Temperature` for the first one outside its range.
    pub fn check(&self) -> Result<()> {
        for (name, count) in [("moves", self.moves), ("width", self.width)] {
            if count == 0 {
                return Err(Error::Zero { name });
            }
        }
        for (name, got) in [("start", self.start), ("end", self.end)] {
            if !(got > 0.0 && got.is_finite()) {
                return Err(Error::Temperature { name, got });
            }
        }
        Ok(())
    }

    /// The temperature of each move: geometric cooling.
    pub fn temperatures(&self) -> Vec<f64> {
        let last = (self.moves - 1).max(1) as f64;
        (0..self.moves).map(|step| self.start * (self.end / self.start).powf(step as f64 / last)).collect()
    }

    /// Walks from `boundaries` and leaves the best state met there.
    ///
    /// # Errors
    /// `Error::Interrupted`.
    pub fn search<C: Running>(
        &self,
        costs: &PrefixCosts,
        boundaries: &mut [usize],
        min_steps: usize,
        mut random: SplitMix64,
        temperatures: &[f64],
    ) -> Result<()> {
        let mut state = State::<C>::new(costs, boundaries);
        let mut best = state.total();
        for (step, temperature) in temperatures.iter().enumerate() {
            if step % MOVES_A_CHECK == 0 {
                interrupt::check(10 * MOVES_A_CHECK)?;
            }
            let cut = 1 + (random.next_u64() % (boundaries.len() as u64 - 2)) as usize;
            let drawn = (random.next_u64() % (2 * self.width as u64)) as usize;
            let unit = random.next_unit();
            let Some(candidate) = self.shifted(state.cuts[cut], drawn) else { continue };
            if candidate < state.cuts[cut - 1] + min_steps || candidate + min_steps > state.cuts[cut + 1] {
                continue;
            }
            let (left, right) = state.costs_if(cut, candidate);
            let change = state.judged(cut, left, right)
                - state.judged(cut, state.chunk_costs[cut - 1], state.chunk_costs[cut]);
            if change <= 0.0 || unit < (-change / temperature).exp() {
                state.cuts[cut] = candidate;
                (state.chunk_costs[cut - 1], state.chunk_costs[cut]) = (left, right);
                let total = state.total();
                if total < best {
                    best = total;
                    boundaries.copy_from_slice(&state.cuts);
                }
            }
        }
        Ok(())
    }

    /// The boundary shifted by −w … −1 or 1 … w; None where it would leave the row on the left.
    fn shifted(&self, boundary: usize, drawn: usize) -> Option<usize> {
        if drawn < self.width {
            boundary.checked_sub(self.width - drawn)
        } else {
            Some(boundary + drawn - self.width + 1)
        }
    }
}

/// Boundaries with the costs of their chunks, so that a move computes no cost anew that it does not change.
struct State<'a, C> {
    costs: &'a PrefixCosts,
    cuts: Vec<usize>,
    chunk_costs: Vec<f64>,
    kind: PhantomData<C>,
}

impl<'a, C: Running> State<'a, C> {
    fn new(costs: &'a PrefixCosts, cuts: &[usize]) -> Self {
        let chunk_costs = cuts.windows(2).enumerate().map(|(m, pair)| costs.cost::<C>(m, pair[0], pair[1]));
        Self { costs, cuts: cuts.to_vec(), chunk_costs: chunk_costs.collect(), kind: PhantomData }
    }

    /// Costs of the two chunks at a boundary if it stood at `candidate`.
    fn costs_if(&self, cut: usize, candidate: usize) -> (f64, f64) {
        let left = self.costs.cost::<C>(cut - 1, self.cuts[cut - 1], candidate);
        (left, self.costs.cost::<C>(cut, candidate, self.cuts[cut + 1]))
    }

    /// What a move is judged by: the loss of the pair or, for the worst chunk, of the whole row.
    fn judged(&self, cut: usize, left: f64, right: f64) -> f64 {
        let pair = C::join(Scalar, left, right);
        if !C::WORST {
            return pair;
        }
        let others = self.chunk_costs.iter().enumerate().filter(|(m, _)| *m + 1 != cut && *m != cut);
        others.fold(pair, |worst, (_, cost)| worst.max(*cost))
    }

    fn total(&self) -> f64 {
        self.chunk_costs.iter().fold(C::start(), |joined, cost| C::join(Scalar, joined, *cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_its_published_numbers() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }
}
