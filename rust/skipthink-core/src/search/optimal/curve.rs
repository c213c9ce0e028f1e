//! J of the best boundaries for every number of chunks at once: the last column of the dynamic programme.

use std::ops::Range;

use super::{Optimal, Paths, Problem, check_cells, lanes, tiles};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::losses::{Losses, Objective};
use crate::parallel::run_parts;
use crate::search::running::{OverCosts, Running, over_costs, total};
use crate::search::search_blocks;

/// J of every row in 1 … `max_m` chunks, `(n, max_m)`, row-major. A row that is too short for so many chunks of
/// `min_steps` steps counts as cut into as many as it has room for.
///
/// # Errors
/// What is wrong with losses or options, with the row.
pub fn objective_curves(
    losses: &Losses<'_>,
    max_m: usize,
    objective: Objective,
    min_steps: usize,
    threads: usize,
) -> Result<Vec<f64>> {
    if max_m == 0 {
        return Err(Error::Zero { name: "max_chunks" });
    }
    if min_steps == 0 {
        return Err(Error::EmptyChunks);
    }
    if objective == Objective::Mass {
        return Err(Error::NoCurve);
    }
    if losses.n_stages != 1 || losses.ends.is_some() {
        return Err(Error::StagesOfCurve(losses.n_stages));
    }
    let n = losses.steps.len();
    let mut curves = vec![0.0; n.saturating_mul(max_m)];
    let mut rest = &mut curves[..];
    let part = |rows: Range<usize>| {
        let out = rest.split_off_mut(..rows.len() * max_m).unwrap_or_default();
        (rows, out)
    };
    let parts = search_blocks(losses, threads).into_iter().map(part).collect();
    run_parts(
        parts,
        threads,
        || Optimal::new(Paths::default(), min_steps, 0.0),
        |space, (rows, out)| {
            losses.check_rows(rows.clone(), 1)?;
            let curves = Curves { space, losses, max_m, min_steps, rows, out };
            over_costs(objective, losses.weights.is_some(), curves)
        },
    )?;
    Ok(curves)
}

struct Curves<'a> {
    space: &'a mut Optimal,
    losses: &'a Losses<'a>,
    max_m: usize,
    min_steps: usize,
    rows: Range<usize>,
    out: &'a mut [f64],
}

impl OverCosts for Curves<'_> {
    type Output = Result<()>;

    fn with<C: Running>(mut self) -> Result<()> {
        let mut short = vec![Vec::new(); self.space.paths.short + 1];
        for row in self.rows.clone() {
            match self.losses.steps.row(row).len() {
                k if k < self.min_steps => self.whole::<C>(row),
                k if k > self.space.paths.short => self.long::<C>(row)?,
                k => short[k].push(row),
            }
        }
        let lanes = lanes::lanes(self.space.paths.arch);
        lanes::in_groups(&mut short, lanes, false, |rows| self.group::<C>(rows))
    }
}

impl Curves<'_> {
    /// A row that is shorter than one chunk: it is one all the same.
    fn whole<C: Running>(&mut self, row: usize) {
        let Optimal { row: loaded, lengths, .. } = &mut *self.space;
        loaded.load(self.losses, row, 1, false);
        lengths.fit(loaded.n_steps, 1);
        let whole = total::<C>(loaded, lengths, &[0, loaded.n_steps]);
        self.place(row).fill(whole);
    }

    /// Chunks that a row of `k` steps has room for.
    fn room(&self, k: usize) -> usize {
        (k / self.min_steps).min(self.max_m)
    }

    fn write(out: &mut [f64], m: usize, best: impl Fn(usize) -> f64) {
        for (at, place) in out.iter_mut().enumerate() {
            *place = best((at + 1).min(m));
        }
    }

    fn place(&mut self, row: usize) -> &mut [f64] {
        &mut self.out[(row - self.rows.start) * self.max_m..][..self.max_m]
    }

    fn long<C: Running>(&mut self, row: usize) -> Result<()> {
        let k = self.losses.steps.row(row).len();
        let m = self.room(k);
        check_cells(m, k)?;
        let Optimal { paths, row: loaded, lengths, tiles, .. } = &mut *self.space;
        loaded.load(self.losses, row, m, false);
        let problem =
            Problem { row: loaded, m, min_steps: self.min_steps, per_stage: false, all_layers: true };
        let best = tiles::fill::<C>(paths.arch, tiles, lengths, &problem)?;
        let out = &mut self.out[(row - self.rows.start) * self.max_m..][..self.max_m];
        Self::write(out, m, |m| best.at(m, k));
        Ok(())
    }

    fn group<C: Running>(&mut self, rows: &[usize]) -> Result<()> {
        let group = lanes::Group {
            losses: self.losses,
            rows,
            m: self.room(self.losses.steps.row(rows[0]).len()),
            min_steps: self.min_steps,
            with_ends: false,
            shares: false,
            all_layers: true,
        };
        let Optimal { paths, lengths, lanes, .. } = &mut *self.space;
        lanes::fill::<C>(paths.arch, lanes, lengths, &group);
        interrupt::check(lanes.n_steps(0) * rows.len())?;
        for (lane, row) in rows.iter().enumerate() {
            let k = self.space.lanes.n_steps(lane);
            let m = self.room(k);
            let out = &mut self.out[(row - self.rows.start) * self.max_m..][..self.max_m];
            Self::write(out, m, |m| self.space.lanes.at(m, k, lane));
        }
        Ok(())
    }
}
