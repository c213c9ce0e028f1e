//! Boundary search: average, greedy, annealing and optimal chunking over cached losses (method §4).

mod anneal;
mod average;
mod greedy;
mod optimal;
mod prefix;
mod running;
#[cfg(test)]
mod tests;

pub use anneal::{Anneal, SplitMix64};
pub use average::{average_boundaries, average_row};
pub use greedy::{Greedy, Scope};
pub use optimal::objective_curves;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::interrupt;
use crate::losses::{Losses, Objective, Row};
use crate::parallel::{ROWS_A_BLOCK, blocks, run_parts};
use crate::ragged::check_boundaries;
use greedy::Rule;
use optimal::{Optimal, Paths};
use prefix::PrefixCosts;
use running::{Lengths, OverCosts, Running, over_costs, total};

/// Steps of rows of which a block has at least `ROWS_A_BLOCK`.
const USUAL_STEPS: usize = 12;
/// Most rows of a block: enough that groups hold rows of nearly the same length, few enough that they and their results
/// stay in a cache while they are taken in the order of their lengths.
const BLOCK_ROWS: usize = 1 << 12;
/// Most cells (chunks × steps) of a row's dynamic programme.
const MOST_CELLS: usize = 1 << 28;

/// How boundaries are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The start itself.
    Average,
    /// Greedy search-based chunking.
    Greedy(Greedy),
    /// Simulated annealing.
    Anneal(Anneal),
    /// The global optimum.
    Optimal,
}

/// Options of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions {
    /// Method.
    pub method: Method,
    /// Objective J.
    pub objective: Objective,
    /// Weight λ of what a chunk of n of the K steps is charged, λ · (n · M / K − 1)².
    pub balance: f64,
    /// A result replaces what it started from only if it lowers J by more than this (nats).
    pub eta: f64,
    /// Least steps of a chunk.
    pub min_steps: usize,
    /// Seeds annealing, together with the row.
    pub seed: u64,
    /// Number of the first row: a batch of a stream is annealed as it would be within the whole.
    pub first_row: u64,
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

/// One search over a batch.
#[derive(Debug, Clone, Copy)]
struct Task<'a> {
    losses: &'a Losses<'a>,
    m: usize,
    init: Option<&'a [i64]>,
    options: &'a SearchOptions,
}

impl Task<'_> {
    /// Steps below which a row keeps its start.
    fn least_steps(&self) -> usize {
        self.m.saturating_mul(self.options.min_steps)
    }

    /// Steps from which on there is anything to search in a row.
    fn fewest_searched(&self) -> usize {
        if self.m > 1 { self.least_steps().max(1) } else { usize::MAX }
    }

    /// The end token is no step, so its losses enter neither deviations nor shares of the row's loss.
    fn with_ends(&self) -> bool {
        matches!(self.options.objective, Objective::Mean | Objective::Max)
    }

    /// Loads a row; for shares of its loss, scaled.
    fn load(&self, loaded: &mut Row, row: usize) {
        loaded.load(self.losses, row, self.m, self.with_ends());
        if self.options.objective == Objective::Mass {
            loaded.scale_to_shares(self.m);
        }
    }

    /// Writes the boundaries that a row starts from.
    fn start(&self, row: usize, k: usize, cuts: &mut Vec<usize>) {
        cuts.clear();
        match self.init {
            Some(init) => cuts.extend(init[row * (self.m + 1)..][..=self.m].iter().map(|cut| *cut as usize)),
            None => cuts.extend(average_row(k, self.m)),
        }
    }
}

/// Where the results of a block of rows go.
#[derive(Debug)]
struct Part<'a> {
    rows: Range<usize>,
    /// Boundaries of a row.
    width: usize,
    boundaries: &'a mut [i64],
    objective: &'a mut [f64],
    initial: &'a mut [f64],
    searched: &'a mut [bool],
}

impl Part<'_> {
    /// Writes what a row came to.
    fn write(&mut self, row: usize, cuts: &[usize], objective: f64, initial: f64, searched: bool) {
        for (to, cut) in self.put(row, objective, initial).iter_mut().zip(cuts) {
            *to = *cut as i64;
        }
        self.searched[row - self.rows.start] = searched;
    }

    /// Writes J of a row that was searched; its boundaries are left to be written.
    #[inline]
    fn put(&mut self, row: usize, objective: f64, initial: f64) -> &mut [i64] {
        let (place, width) = (row - self.rows.start, self.width);
        self.objective[place] = objective;
        self.initial[place] = initial;
        self.searched[place] = true;
        &mut self.boundaries[place * width..][..width]
    }
}

impl Found {
    fn new(n: usize, m: usize) -> Result<Self> {
        let too_many = |_| Error::TooManyBoundaries { m, n_rows: n };
        let places = n.saturating_mul(m.saturating_add(1));
        Vec::<i64>::new().try_reserve_exact(places).map_err(too_many)?;
        // zeros as the operating system gives them: each page is touched first by the thread that writes it
        Ok(Self {
            boundaries: vec![0; places],
            objective: vec![0.0; n],
            initial: vec![0.0; n],
            searched: vec![false; n],
        })
    }

    /// Cuts the results into blocks of rows.
    fn parts(&mut self, m: usize, blocks: Vec<Range<usize>>) -> Vec<Part<'_>> {
        let mut boundaries = &mut self.boundaries[..];
        let mut objective = &mut self.objective[..];
        let mut initial = &mut self.initial[..];
        let mut searched = &mut self.searched[..];
        let part = |rows: Range<usize>| Part {
            width: m + 1,
            boundaries: boundaries.split_off_mut(..rows.len() * (m + 1)).unwrap_or_default(),
            objective: objective.split_off_mut(..rows.len()).unwrap_or_default(),
            initial: initial.split_off_mut(..rows.len()).unwrap_or_default(),
            searched: searched.split_off_mut(..rows.len()).unwrap_or_default(),
            rows,
        };
        blocks.into_iter().map(part).collect()
    }
}

/// Searches boundaries of M chunks for every row, from `init` or from average chunks.
///
/// # Errors
/// What is wrong with losses, options or `init`, with the row.
pub fn find_boundaries(
    losses: &Losses<'_>,
    m: usize,
    init: Option<&[i64]>,
    options: &SearchOptions,
    threads: usize,
) -> Result<Found> {
    find_boundaries_on(Paths::default(), losses, m, init, options, threads)
}

/// The same with the paths named, so that tests can compare them.
fn find_boundaries_on(
    paths: Paths,
    losses: &Losses<'_>,
    m: usize,
    init: Option<&[i64]>,
    options: &SearchOptions,
    threads: usize,
) -> Result<Found> {
    check_options(m, options)?;
    losses.check_shape(m)?;
    let n = losses.steps.len();
    if let Some(init) = init {
        if init.len() != n * (m + 1) {
            return Err(Error::Rows { name: "init", got: init.len() / (m + 1), expected: n });
        }
        check_boundaries("init", init, m, |row| losses.steps.row(row).len())?;
    }
    let task = Task { losses, m, init, options };
    let mut found = Found::new(n, m)?;
    let parts = found.parts(m, search_blocks(losses, threads));
    run_parts(
        parts,
        threads,
        || Searcher::new(paths, options),
        |searcher, mut part| {
            losses.check_rows(part.rows.clone(), m)?;
            searcher.search(&task, &mut part)
        },
    )?;
    Ok(found)
}

/// Blocks of rows; long rows are worth a thread sooner.
fn search_blocks(losses: &Losses<'_>, threads: usize) -> Vec<Range<usize>> {
    let n = losses.steps.len();
    let steps = losses.steps.rows(0..n).len();
    let least = (ROWS_A_BLOCK * USUAL_STEPS * n / steps.max(1)).clamp(1, ROWS_A_BLOCK);
    blocks(n, threads, least, BLOCK_ROWS)
}

fn check_options(m: usize, options: &SearchOptions) -> Result<()> {
    if m == 0 {
        return Err(Error::Zero { name: "M" });
    }
    if !(options.eta >= 0.0 && options.eta.is_finite()) {
        return Err(Error::Eta(options.eta));
    }
    if !(options.balance >= 0.0 && options.balance.is_finite()) {
        return Err(Error::Balance(options.balance));
    }
    match &options.method {
        Method::Greedy(Greedy { max_sweeps: 0, .. }) => Err(Error::Zero { name: "max_sweeps" }),
        Method::Anneal(anneal) => anneal.check(),
        Method::Average | Method::Greedy(_) | Method::Optimal => Ok(()),
    }
}

/// Work space of one thread.
struct Searcher {
    arch: pulp::Arch,
    optimal: Optimal,
    row: Row,
    costs: PrefixCosts,
    lengths: Lengths,
    stale: Vec<bool>,
    temperatures: Vec<f64>,
    start: Vec<usize>,
    best: Vec<usize>,
}

impl Searcher {
    fn new(paths: Paths, options: &SearchOptions) -> Self {
        let temperatures = match &options.method {
            Method::Anneal(anneal) => anneal.temperatures(),
            _ => Vec::new(),
        };
        Self {
            arch: paths.arch,
            optimal: Optimal::new(paths, options.min_steps, options.balance),
            row: Row::default(),
            costs: PrefixCosts::new(options.balance),
            lengths: Lengths::new(options.min_steps, options.balance),
            stale: Vec::new(),
            temperatures,
            start: Vec::new(),
            best: Vec::new(),
        }
    }

    fn search(&mut self, task: &Task<'_>, part: &mut Part<'_>) -> Result<()> {
        if task.options.method == Method::Optimal {
            return self.optimal.search(task, part);
        }
        let weighted = task.losses.weights.is_some();
        over_costs(task.options.objective, weighted, ByMoves { searcher: self, task, part })
    }
}

/// Search by moving boundaries of one row after the other.
struct ByMoves<'a, 'p> {
    searcher: &'a mut Searcher,
    task: &'a Task<'a>,
    part: &'a mut Part<'p>,
}

impl OverCosts for ByMoves<'_, '_> {
    type Output = Result<()>;

    fn with<C: Running>(self) -> Result<()> {
        let Self { searcher, task, part } = self;
        for row in part.rows.clone() {
            interrupt::check(task.losses.steps.row(row).len())?;
            let Searcher { row: loaded, lengths, start, best, .. } = searcher;
            task.load(loaded, row);
            lengths.fit(loaded.n_steps, task.m);
            task.start(row, loaded.n_steps, start);
            best.clone_from(start);
            let initial = total::<C>(loaded, lengths, start);
            let searched = loaded.n_steps >= task.least_steps();
            let mut objective = initial;
            if loaded.n_steps >= task.fewest_searched() && task.options.method != Method::Average {
                searcher.move_boundaries::<C>(task, row)?;
                if searcher.best != searcher.start {
                    objective = total::<C>(&searcher.row, &searcher.lengths, &searcher.best);
                }
                let gain = initial - objective;
                let refused = match task.options.method {
                    Method::Anneal(_) => gain <= task.options.eta,
                    // greedy has asked eta of each of its moves, by sums in which huge losses swallow small ones
                    Method::Greedy(Greedy { scope: Scope::Pair, .. }) => gain < 0.0,
                    _ => false,
                };
                if refused {
                    searcher.best.clone_from(&searcher.start);
                    objective = initial;
                }
            }
            part.write(row, &searcher.best, objective, initial, searched);
        }
        Ok(())
    }
}

impl Searcher {
    /// Moves `best` away from `start`.
    fn move_boundaries<C: Running>(&mut self, task: &Task<'_>, row: usize) -> Result<()> {
        let options = task.options;
        self.costs.load::<C>(&self.row, task.m);
        match options.method {
            Method::Average | Method::Optimal => Ok(()),
            Method::Greedy(greedy) => {
                let rule = Rule { greedy, eta: options.eta, min_steps: options.min_steps };
                greedy::search::<C>(self.arch, &self.costs, &mut self.best, rule, &mut self.stale)
            }
            Method::Anneal(anneal) => {
                let random = SplitMix64::of_row(options.seed, options.first_row.wrapping_add(row as u64));
                let least = options.min_steps;
                anneal.search::<C>(&self.costs, &mut self.best, least, random, &self.temperatures)
            }
        }
    }
}
