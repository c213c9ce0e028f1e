//! Boundary search: average, greedy, annealing and optimal chunking over cached losses (method §4).

mod anneal;
mod average;
mod greedy;
mod optimal;

pub use anneal::{Annealing, SplitMix64};
pub use average::{average_boundaries, average_row};
pub use greedy::Scope;

use crate::error::{Error, Result};
use crate::losses::{Losses, Objective, RowCosts};
use crate::parallel::map_blocks;
use crate::ragged::check_boundaries;

/// How boundaries are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The start itself.
    Average,
    /// Greedy search-based chunking.
    Greedy(Scope),
    /// Simulated annealing.
    Anneal(Annealing),
    /// The global optimum.
    Optimal,
}

/// Options of a search.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Method.
    pub method: Method,
    /// Objective J.
    pub objective: Objective,
    /// A result replaces what it started from only if it lowers J by more than this (nats).
    pub eta: f64,
    /// Least steps of a chunk.
    pub min_steps: usize,
    /// Most sweeps of the greedy search.
    pub max_sweeps: usize,
    /// Seeds annealing, together with the row.
    pub seed: u64,
}

/// What a search found, for n rows.
#[derive(Debug, Default)]
pub struct Found {
    /// `(n, M + 1)`, row-major.
    pub boundaries: Vec<i64>,
    /// J of the boundaries found.
    pub objective: Vec<f64>,
    /// J of the start.
    pub initial: Vec<f64>,
    /// False for rows with fewer than `M · min_steps` steps, which keep their start.
    pub searched: Vec<bool>,
}

/// Searches boundaries of M chunks for every row, from `init` or from average chunks.
///
/// # Errors
/// What is wrong with losses, options or `init`, with the row.
pub fn find_boundaries(
    losses: &Losses<'_>,
    m: usize,
    init: Option<&[i64]>,
    options: &Options,
    threads: usize,
) -> Result<Found> {
    check_options(m, options)?;
    losses.check(m)?;
    if let Some(init) = init {
        if init.len() != losses.steps.len() * (m + 1) {
            return Err(Error::Rows {
                name: "init",
                got: init.len() / (m + 1),
                expected: losses.steps.len(),
            });
        }
        check_boundaries("init", init, m, |row| losses.steps.row(row).len())?;
    }
    let blocks = map_blocks(losses.steps.len(), threads, |rows| {
        let mut block = Found::default();
        let mut searcher = Searcher::new(m, *options);
        for row in rows {
            searcher.search(losses, row, init, &mut block);
        }
        Ok(block)
    })?;
    let mut found = Found::default();
    for block in blocks {
        found.boundaries.extend(block.boundaries);
        found.objective.extend(block.objective);
        found.initial.extend(block.initial);
        found.searched.extend(block.searched);
    }
    Ok(found)
}

fn check_options(m: usize, options: &Options) -> Result<()> {
    let wrong = |name, expected, got: String| Err(Error::Option { name, expected, got });
    if m == 0 {
        return wrong("M", "at least 1", m.to_string());
    }
    if !(options.eta >= 0.0 && options.eta.is_finite()) {
        return wrong("eta", "a finite number that is not negative", options.eta.to_string());
    }
    if options.max_sweeps == 0 {
        return wrong("max_sweeps", "at least 1", "0".into());
    }
    if let Method::Anneal(annealing) = &options.method {
        annealing.check()?;
    }
    Ok(())
}

/// Work space of one thread.
struct Searcher {
    options: Options,
    costs: RowCosts,
    start: Vec<usize>,
    best: Vec<usize>,
    table: optimal::Table,
}

impl Searcher {
    fn new(m: usize, options: Options) -> Self {
        Self {
            options,
            costs: RowCosts::new(options.objective, m),
            start: Vec::with_capacity(m + 1),
            best: Vec::with_capacity(m + 1),
            table: optimal::Table::default(),
        }
    }

    fn search(&mut self, losses: &Losses<'_>, row: usize, init: Option<&[i64]>, block: &mut Found) {
        self.costs.load(losses, row);
        let (m, k) = (self.costs.n_chunks(), self.costs.n_steps());
        self.start.clear();
        match init {
            Some(init) => self.start.extend(init[row * (m + 1)..][..=m].iter().map(|cut| *cut as usize)),
            None => self.start.extend(average_row(k, m)),
        }
        let initial = self.costs.total(&self.start);
        let searched = k >= m.saturating_mul(self.options.min_steps);
        self.best.clone_from(&self.start);
        if searched && m > 1 {
            self.improve(row);
        }
        let objective = self.costs.total(&self.best);
        block.boundaries.extend(self.best.iter().map(|cut| *cut as i64));
        block.objective.push(objective);
        block.initial.push(initial);
        block.searched.push(searched);
    }

    /// Moves `best` away from `start` where the method finds enough to gain.
    fn improve(&mut self, row: usize) {
        let options = &self.options;
        match options.method {
            Method::Average => {}
            Method::Greedy(scope) => greedy::search(
                &self.costs,
                &mut self.best,
                scope,
                options.eta,
                options.min_steps,
                options.max_sweeps,
            ),
            Method::Anneal(annealing) => {
                annealing.search(&self.costs, &mut self.best, options.min_steps, options.seed, row as u64);
                self.keep_if_worth_it();
            }
            Method::Optimal => {
                self.table.search(&self.costs, &mut self.best, options.min_steps);
                self.keep_if_worth_it();
            }
        }
    }

    fn keep_if_worth_it(&mut self) {
        let gain = self.costs.total(&self.start) - self.costs.total(&self.best);
        if gain.is_nan() || gain <= self.options.eta {
            self.best.clone_from(&self.start);
        }
    }
}
