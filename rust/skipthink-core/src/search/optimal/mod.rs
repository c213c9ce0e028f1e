//! The global optimum of J by dynamic programming over (stage, step).
//!
//! `best_m(j) = min over i of best_{m-1}(i) ∘ c_m(i, j)`, ∘ being + or max, is filled for all m and j without a note of
//! which i it was: the boundaries are found backwards, by computing the costs of the chunks that end at a boundary
//! once more. Ties: the largest start of each chunk, decided from the last chunk backwards. So the walk back ends
//! as soon as it meets an equal value, and looks at each step of a row about once.

mod lanes;
mod tiles;

use pulp::Scalar;

use crate::error::{Error, Result};
use crate::losses::Row;
use crate::search::running::{Lengths, OverCosts, Running, costs_to_the_left, over_costs, total};
use crate::search::{MOST_CELLS, Part, Task, average_row};

/// Longest rows that are searched side by side; longer ones fill vectors by themselves.
const SHORT: usize = 24;

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
    arch: pulp::Arch,
    lengths: Lengths,
    lanes: lanes::Space,
    tiles: tiles::Space,
    rows: Vec<Row>,
    cuts: Vec<usize>,
}

impl Optimal {
    /// Empty work space.
    pub fn new(arch: pulp::Arch) -> Self {
        let (lanes, tiles) = (lanes::Space::default(), tiles::Space::default());
        Self { arch, lengths: Lengths::default(), lanes, tiles, rows: Vec::new(), cuts: Vec::new() }
    }

    /// Searches the rows of a part.
    ///
    /// # Errors
    /// `Error::Option` when M · K is too much for a programme.
    pub fn search(&mut self, task: &Task<'_>, part: &mut Part<'_>) -> Result<()> {
        let longest = part.rows.clone().map(|row| task.losses.steps.row(row).len()).max().unwrap_or(0);
        if task.is_searched(longest) && task.m.saturating_mul(longest + 1) > MOST_CELLS {
            let expected = "M · (K + 1) of at most 2**28; search so long rows by method=\"greedy\"";
            return Err(Error::Option { name: "M", expected, got: format!("{} with K = {longest}", task.m) });
        }
        over_costs(task.options.objective, task.losses.weights.is_some(), Search { space: self, task, part });
        Ok(())
    }
}

struct Search<'a, 'p> {
    space: &'a mut Optimal,
    task: &'a Task<'a>,
    part: &'a mut Part<'p>,
}

impl OverCosts for Search<'_, '_> {
    type Output = ();

    fn with<C: Running>(mut self) {
        let task = self.task;
        let mut short: [Vec<usize>; SHORT + 1] = std::array::from_fn(|_| Vec::new());
        for row in self.part.rows.clone() {
            let k = task.losses.steps.row(row).len();
            if !task.is_searched(k) {
                self.keep::<C>(row);
            } else if k > SHORT {
                self.long::<C>(row);
            } else {
                short[k].push(row);
            }
        }
        let lanes = lanes::lanes(self.space.arch);
        short.iter().flat_map(|rows| rows.chunks(lanes)).for_each(|rows| self.group::<C>(rows));
    }
}

impl Search<'_, '_> {
    fn load(&mut self, place: usize, row: usize) {
        if self.space.rows.len() <= place {
            self.space.rows.resize_with(place + 1, Row::default);
        }
        self.space.rows[place].load(self.task.losses, row, self.task.m, self.task.with_ends());
    }

    /// A row that is not searched.
    fn keep<C: Running>(&mut self, row: usize) {
        self.load(0, row);
        let Optimal { rows, lengths, cuts, .. } = &mut *self.space;
        self.task.start(row, rows[0].n_steps, cuts);
        lengths.grow(rows[0].n_steps);
        let total = total::<C>(&rows[0], lengths, cuts);
        self.part.write(row, cuts, total, total, rows[0].n_steps >= self.task.least_steps());
    }

    /// A row that fills vectors by itself.
    fn long<C: Running>(&mut self, row: usize) {
        self.load(0, row);
        let Optimal { arch, rows, lengths, tiles, cuts, .. } = &mut *self.space;
        let loaded = &rows[0];
        let problem = Problem {
            row: loaded,
            m: self.task.m,
            min_steps: self.task.options.min_steps,
            per_stage: loaded.n_stages > 1 || !loaded.ends.is_empty(),
            all_layers: false,
        };
        let best = tiles::fill::<C>(*arch, tiles, lengths, &problem);
        self.task.start(row, loaded.n_steps, cuts);
        let initial = total::<C>(loaded, lengths, cuts);
        let mut found = best.at(problem.m, loaded.n_steps);
        if initial - found > self.task.options.eta {
            walk_back::<C>(loaded, lengths, problem.min_steps, cuts, |m, end| best.at(m, end));
        } else {
            found = initial;
        }
        self.part.write(row, cuts, found, initial, true);
    }

    /// Rows of the same length, side by side.
    fn group<C: Running>(&mut self, group: &[usize]) {
        for (lane, row) in group.iter().enumerate() {
            self.load(lane, *row);
        }
        let Optimal { arch, rows, lengths, lanes, cuts, .. } = &mut *self.space;
        let rows = &rows[..group.len()];
        let (k, m, min_steps) = (rows[0].n_steps, self.task.m, self.task.options.min_steps);
        cuts.clear();
        cuts.extend(average_row(k, m));
        let mut initial = [0.0; lanes::MOST_ROWS];
        lanes::fill::<C>(*arch, lanes, lengths, rows, m, min_steps, false, cuts, &mut initial);
        for (lane, row) in group.iter().enumerate() {
            self.task.start(*row, k, cuts);
            if self.task.init.is_some() {
                initial[lane] = total::<C>(&rows[lane], lengths, cuts);
            }
            let mut found = lanes.at(m, k, lane);
            if initial[lane] - found > self.task.options.eta {
                walk_back::<C>(&rows[lane], lengths, min_steps, cuts, |m, end| lanes.at(m, end, lane));
            } else {
                found = initial[lane];
            }
            self.part.write(*row, cuts, found, initial[lane], true);
        }
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
            end - start >= min_steps && C::join(Scalar, best(chunk, *start), *cost) == goal
        };
        let found = costs_to_the_left::<C>(row, lengths, chunk, end).find(reaches);
        cuts[chunk] = found.expect("the same operations on the same numbers give the same optimum").0;
    }
}
