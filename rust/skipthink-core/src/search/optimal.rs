//! The global optimum of J by dynamic programming over (stage, step).

use crate::losses::RowCosts;

/// Work space, reused from row to row.
#[derive(Debug, Default)]
pub struct Table {
    before: Vec<f64>,
    after: Vec<f64>,
    choice: Vec<u32>,
}

impl Table {
    /// Writes optimal boundaries.
    ///
    /// `best_m(j) = min over i of best_{m-1}(i) ∘ c_m(i, j)`, ∘ being + or max. Ties: for each end j the smallest
    /// start i of the chunk, decided from the last chunk backwards; so the result is the same on every machine.
    pub fn search(&mut self, costs: &RowCosts, boundaries: &mut [usize], min_steps: usize) {
        let (m, k) = (costs.n_chunks(), costs.n_steps());
        let objective = costs.objective();
        let width = k + 1;
        self.choice.clear();
        self.choice.resize(m * width, 0);
        self.before.clear();
        self.before.resize(width, f64::INFINITY);
        self.before[0] = objective.start();
        for chunk in 0..m {
            self.after.clear();
            self.after.resize(width, f64::INFINITY);
            // steps that earlier and later chunks need at least
            let (low, high) = ((chunk + 1) * min_steps, k - (m - 1 - chunk) * min_steps);
            for end in low..=high {
                for start in chunk * min_steps..=end - min_steps {
                    if self.before[start] == f64::INFINITY {
                        continue;
                    }
                    let joined = objective.join(self.before[start], costs.cost(chunk, start, end));
                    if joined < self.after[end] {
                        self.after[end] = joined;
                        self.choice[chunk * width + end] = start as u32;
                    }
                }
            }
            std::mem::swap(&mut self.before, &mut self.after);
        }
        boundaries[m] = k;
        for chunk in (0..m).rev() {
            boundaries[chunk] = self.choice[chunk * width + boundaries[chunk + 1]] as usize;
        }
    }
}
