//! The global optimum of J by dynamic programming over (stage, step).
//!
//! `best_m(j) = min over i of best_{m-1}(i) ∘ c_m(i, j)`, ∘ being + or max, is filled for all m and j without a note of
//! which i it was: the boundaries are found backwards, by computing the costs of the chunks that end at a boundary
//! once more. Ties: the largest start of each chunk, decided from the last chunk backwards. So the walk back ends
//! as soon as it meets an equal value, and looks at each step of a row about once.

mod curve;
mod lanes;
mod pruned;
mod tiles;

pub use curve::objective_curves;

use pulp::Scalar;

use crate::error::{Error, Result};
use crate::interrupt;
use crate::losses::{Objective, Row};
use crate::search::running::{Lengths, OverCosts, Running, costs_to_the_left, over_costs, total};
use crate::search::{MOST_CELLS, Part, Task};

/// Which way rows are searched; what is found does not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// Vector unit.
    pub arch: pulp::Arch,
    /// Longest rows that are searched side by side; longer ones fill vectors by themselves.
    pub short: usize,
    /// Longest rows that are searched without forgetting starts, under the variance; beyond, forgetting pays.
    pub long: usize,
}

impl Default for Paths {
    fn default() -> Self {
        Self { arch: pulp::Arch::new(), short: 96, long: 1600 }
    }
}

/// One row to search.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    row: &'a Row,
    m: usize,
    min_steps: usize,
    /// Whether a chunk's cost depends on its stage.
    per_stage: bool,
    /// Whether J of fewer chunks is wanted too.
    all_layers: bool,
}

/// Work space of one thread.
#[derive(Debug)]
pub struct Optimal {
    paths: Paths,
    lengths: Lengths,
    lanes: lanes::Space,
    tiles: tiles::Space,
    pruned: pruned::Space,
    row: Row,
    cuts: Vec<usize>,
    start: Vec<usize>,
}

impl Optimal {
    /// Empty work space for chunks of at least `min_steps` steps, whose length is charged with the weight `balance`.
    pub fn new(paths: Paths, min_steps: usize, balance: f64) -> Self {
        Self {
            paths,
            lengths: Lengths::new(min_steps, balance),
            lanes: lanes::Space::default(),
            tiles: tiles::Space::default(),
            pruned: pruned::Space::default(),
            row: Row::default(),
            cuts: Vec::new(),
            start: Vec::new(),
        }
    }

    /// Searches the rows of a part.
    ///
    /// # Errors
    /// `Error::TooManyCells` when M · K is too much for a programme; `Error::Interrupted`.
    pub fn search(&mut self, task: &Task<'_>, part: &mut Part<'_>) -> Result<()> {
        let longest = part.rows.clone().map(|row| task.losses.steps.row(row).len()).max().unwrap_or(0);
        if longest >= task.fewest_searched() {
            check_cells(task.m, longest)?;
        }
        over_costs(task.options.objective, task.losses.weights.is_some(), Search { space: self, task, part })
    }
}

fn check_cells(m: usize, k: usize) -> Result<()> {
    if m.saturating_mul(k + 1) <= MOST_CELLS {
        return Ok(());
    }
    Err(Error::TooManyCells { m, k })
}

struct Search<'a, 'p> {
    space: &'a mut Optimal,
    task: &'a Task<'a>,
    part: &'a mut Part<'p>,
}

impl OverCosts for Search<'_, '_> {
    type Output = Result<()>;

    fn with<C: Running>(mut self) -> Result<()> {
        let task = self.task;
        let mut short = vec![Vec::new(); self.space.paths.short + 1];
        let fewest = task.fewest_searched();
        for row in self.part.rows.clone() {
            let k = task.losses.steps.row(row).len();
            if k < fewest {
                interrupt::check(k)?;
                self.keep::<C>(row);
            } else if k > self.space.paths.long && self.can_forget() {
                self.forgetting::<C>(row)?;
            } else if k > self.space.paths.short {
                self.long::<C>(row)?;
            } else {
                short[k].push(row);
            }
        }
        let lanes = lanes::lanes(self.space.paths.arch);
        // what lengths are charged depends on the row's
        let alike = self.space.lengths.is_balanced();
        lanes::in_groups(&mut short, lanes, alike, |rows| self.group::<C>(rows))
    }
}

impl Search<'_, '_> {
    /// Loads a row and what it starts from; gives J of that.
    fn load_start<C: Running>(&mut self, row: usize) -> f64 {
        self.load(row);
        let Optimal { row: loaded, lengths, cuts, .. } = &mut *self.space;
        lengths.fit(loaded.n_steps, self.task.m);
        total::<C>(loaded, lengths, cuts)
    }

    /// Loads a row and what it starts from.
    fn load(&mut self, row: usize) {
        let Optimal { row: loaded, cuts, .. } = &mut *self.space;
        self.task.load(loaded, row);
        self.task.start(row, loaded.n_steps, cuts);
    }

    /// A row that is not searched.
    fn keep<C: Running>(&mut self, row: usize) {
        let total = self.load_start::<C>(row);
        let searched = self.space.row.n_steps >= self.task.least_steps();
        self.part.write(row, &self.space.cuts, total, total, searched);
    }

    /// A row that fills vectors by itself.
    fn long<C: Running>(&mut self, row: usize) -> Result<()> {
        let initial = self.load_start::<C>(row);
        let Optimal { paths, row: loaded, lengths, tiles, cuts, .. } = &mut *self.space;
        let problem = Problem {
            row: loaded,
            m: self.task.m,
            min_steps: self.task.options.min_steps,
            per_stage: loaded.n_stages > 1 || !loaded.ends.is_empty(),
            all_layers: false,
        };
        let best = tiles::fill::<C>(paths.arch, tiles, lengths, &problem)?;
        let mut found = best.at(problem.m, loaded.n_steps);
        if initial - found > self.task.options.eta {
            walk_back::<C>(loaded, lengths, problem.min_steps, cuts, |m, end| best.at(m, end));
        } else {
            found = initial;
        }
        self.part.write(row, cuts, found, initial, true);
        Ok(())
    }

    /// Whether the search may forget starts: squared deviations, the same for all stages.
    fn can_forget(&self) -> bool {
        let Task { losses, options, .. } = self.task;
        let alike = losses.n_stages == 1 && options.balance == 0.0;
        options.objective == Objective::Variance && options.min_steps == 1 && alike
    }

    /// A long row.
    fn forgetting<C: Running>(&mut self, row: usize) -> Result<()> {
        let initial = self.load_start::<C>(row);
        let Optimal { paths, row: loaded, lengths, pruned, cuts, start, .. } = &mut *self.space;
        start.clone_from(cuts);
        pruned::fill(paths.arch, pruned, loaded, self.task.m)?;
        pruned.walk_back::<C>(loaded, lengths, cuts);
        let mut found = total::<C>(loaded, lengths, cuts);
        if initial - found <= self.task.options.eta {
            cuts.clone_from(start);
            found = initial;
        }
        self.part.write(row, cuts, found, initial, true);
        Ok(())
    }

    /// Rows that are searched side by side.
    fn group<C: Running>(&mut self, rows: &[usize]) -> Result<()> {
        let Task { losses, m, init, options } = *self.task;
        let (min_steps, with_ends) = (options.min_steps, self.task.with_ends());
        let shares = options.objective == Objective::Mass;
        let group = lanes::Group { losses, rows, m, min_steps, with_ends, shares, all_layers: false };
        let Optimal { paths, lengths, lanes, .. } = &mut *self.space;
        lanes::fill::<C>(paths.arch, lanes, lengths, &group);
        interrupt::check(lanes.n_steps(0) * rows.len())?;
        for (lane, row) in rows.iter().enumerate() {
            let initial =
                if init.is_some() { self.load_start::<C>(*row) } else { self.space.lanes.initial(lane) };
            let Optimal { lanes, cuts, .. } = &mut *self.space;
            let k = lanes.n_steps(lane);
            let found = lanes.at(m, k, lane);
            if initial - found <= options.eta {
                self.task.start(*row, k, cuts);
                self.part.write(*row, cuts, initial, initial, true);
            } else if lanes.noted() {
                lanes.read_back(lane, self.part.put(*row, found, initial));
            } else {
                if init.is_none() {
                    self.load(*row);
                }
                let Optimal { row: loaded, lengths, lanes, cuts, .. } = &mut *self.space;
                walk_back::<C>(loaded, lengths, min_steps, cuts, |m, end| lanes.at(m, end, lane));
                self.part.write(*row, cuts, found, initial, true);
            }
        }
        Ok(())
    }
}

/// Finds the boundaries that reach the optimum, from the last one back.
#[allow(clippy::float_cmp)] // the same operations on the same numbers give the same bits
fn walk_back<C: Running>(
    row: &Row,
    lengths: &Lengths,
    min_steps: usize,
    cuts: &mut [usize],
    best: impl Fn(usize, usize) -> f64,
) {
    let m = cuts.len() - 1;
    for chunk in (1..m).rev() {
        let end = cuts[chunk + 1];
        let goal = best(chunk + 1, end);
        let reaches = |(start, cost): &(usize, f64)| {
            let cost = lengths.charged(*cost, end - start);
            end - start >= min_steps && C::join(Scalar, best(chunk, *start), cost) == goal
        };
        let found = costs_to_the_left::<C>(row, lengths, chunk, end).find(reaches);
        cuts[chunk] = found.expect("the same operations on the same numbers give the same optimum").0;
    }
}
