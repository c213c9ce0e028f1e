//! Bindings of boundary search.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use skipthink_core::{Error, Found, Losses, Method, Objective, Offsets, Scope, SearchOptions};

use crate::convert::{AnyInts, Floats, Ints, matrix, vector};
use crate::runtime::detached;

type FoundArrays<'py> = (
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<bool>>,
);

/// A search method as `skipthink.core.options` has it: a name, or the options of a method that has some.
#[derive(FromPyObject)]
pub enum MethodOptions {
    /// "average" or "optimal".
    Name(String),
    /// `Greedy`.
    Greedy {
        /// "pair" or "left".
        scope: String,
        /// Most sweeps.
        max_sweeps: usize,
    },
    /// `Anneal`.
    Anneal {
        /// Moves tried a row.
        moves: usize,
        /// Largest shift of a boundary, steps.
        width: usize,
        /// First temperature, nats.
        start: f64,
        /// Last temperature, nats.
        end: f64,
    },
}

impl MethodOptions {
    fn parse(self) -> Result<Method, Error> {
        Ok(match self {
            Self::Name(name) => match name.as_str() {
                "average" => Method::Average,
                "optimal" => Method::Optimal,
                _ => return Err(Error::Name { option: "method", known: &["average", "optimal"], got: name }),
            },
            Self::Greedy { scope, max_sweeps } => {
                Method::Greedy(skipthink_core::Greedy { scope: parse_scope(&scope)?, max_sweeps })
            }
            Self::Anneal { moves, width, start, end } => {
                Method::Anneal(skipthink_core::Anneal { moves, width, start, end })
            }
        })
    }
}

/// Average boundaries `(n, M + 1)` of rows of K steps.
#[pyfunction]
pub fn average_boundaries<'py>(
    py: Python<'py>,
    n_steps: Ints<'py>,
    m: usize,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let n_steps = n_steps.as_slice()?;
    let boundaries = detached(py, Some(1), |_| {
        if m == 0 {
            return Err(Error::Zero { name: "M" });
        }
        if let Some(row) = n_steps.iter().position(|k| *k < 0) {
            return Err(Error::NegativeSteps { row, got: n_steps[row] });
        }
        Ok(skipthink_core::average_boundaries(n_steps, m))
    })?;
    matrix(py, boundaries, m + 1)
}

/// Searches boundaries; see `skipthink.chunk`.
#[pyfunction]
#[pyo3(signature = (values, n_stages, offsets, weights, ends, m, init, *, method, objective, balance, eta, min_steps,
                    seed, first_row, num_threads))]
#[allow(clippy::too_many_arguments)]
pub fn find_boundaries<'py>(
    py: Python<'py>,
    values: Floats<'py>,
    n_stages: usize,
    offsets: AnyInts<'py>,
    weights: Option<Floats<'py>>,
    ends: Option<(Floats<'py>, AnyInts<'py>)>,
    m: usize,
    init: Option<Ints<'py>>,
    method: MethodOptions,
    objective: &str,
    balance: f64,
    eta: f64,
    min_steps: usize,
    seed: u64,
    first_row: u64,
    num_threads: Option<usize>,
) -> PyResult<FoundArrays<'py>> {
    let (values, offsets) = (values.borrow()?, offsets.borrow()?);
    let weights = weights.as_ref().map(Floats::borrow).transpose()?;
    let init = init.as_ref().map(|init| init.as_slice()).transpose()?;
    let ends = match &ends {
        Some((ends, offsets)) => Some((ends.borrow()?, offsets.borrow()?)),
        None => None,
    };
    let found: Found = detached(py, num_threads, |threads| {
        let options = SearchOptions {
            method: method.parse()?,
            objective: parse_objective(objective)?,
            balance,
            eta,
            min_steps,
            seed,
            first_row,
        };
        let losses = Losses {
            values,
            n_stages,
            steps: Offsets::new("losses", offsets, values.len() / n_stages.max(1))?,
            weights,
            ends: match ends {
                Some((ends, offsets)) => {
                    Some((ends, Offsets::new("end_losses", offsets, ends.len() / m.max(1))?))
                }
                None => None,
            },
        };
        skipthink_core::find_boundaries(&losses, m, init, &options, threads)
    })?;
    Ok((
        matrix(py, found.boundaries, m + 1)?,
        vector(py, found.objective),
        vector(py, found.initial),
        vector(py, found.searched),
    ))
}

/// J in 1 … `max_chunks` chunks `(n, max_chunks)`; see `skipthink.suggest_n_chunks`.
#[pyfunction]
#[pyo3(signature = (values, offsets, weights, *, max_chunks, objective, min_steps, num_threads))]
#[allow(clippy::too_many_arguments)]
pub fn objective_curves<'py>(
    py: Python<'py>,
    values: Floats<'py>,
    offsets: AnyInts<'py>,
    weights: Option<Floats<'py>>,
    max_chunks: usize,
    objective: &str,
    min_steps: usize,
    num_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (values, offsets) = (values.borrow()?, offsets.borrow()?);
    let weights = weights.as_ref().map(Floats::borrow).transpose()?;
    let curves = detached(py, num_threads, |threads| {
        let steps = Offsets::new("losses", offsets, values.len())?;
        let losses = Losses { values, n_stages: 1, steps, weights, ends: None };
        skipthink_core::objective_curves(&losses, max_chunks, parse_objective(objective)?, min_steps, threads)
    })?;
    matrix(py, curves, max_chunks)
}

const OBJECTIVES: &[&str] = &["mean", "variance", "max", "mass"];

fn parse_objective(name: &str) -> Result<Objective, Error> {
    match name {
        "mean" => Ok(Objective::Mean),
        "variance" => Ok(Objective::Variance),
        "max" => Ok(Objective::Max),
        "mass" => Ok(Objective::Mass),
        _ => Err(Error::Name { option: "objective", known: OBJECTIVES, got: name.into() }),
    }
}

fn parse_scope(name: &str) -> Result<Scope, Error> {
    match name {
        "pair" => Ok(Scope::Pair),
        "left" => Ok(Scope::Left),
        _ => Err(Error::Name { option: "scope", known: &["pair", "left"], got: name.into() }),
    }
}
