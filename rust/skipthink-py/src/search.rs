//! Bindings of boundary search.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use skipthink_core::error::Error;
use skipthink_core::losses::{Losses, Objective};
use skipthink_core::ragged::Offsets;
use skipthink_core::search::{self, Annealing, Found, Method, Options, Scope};

use crate::convert::{AnyInts, Floats, Ints, matrix, vector};
use crate::runtime::detached;

type FoundArrays<'py> = (
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<bool>>,
);

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
            return Err(Error::Option { name: "M", expected: "at least 1", got: "0".into() });
        }
        if let Some(row) = n_steps.iter().position(|k| *k < 0) {
            let (got, expected) = (n_steps[row].to_string(), "a number of steps is not negative");
            return Err(Error::Value { name: "n_steps", row, index: 0, got, expected });
        }
        Ok(search::average_boundaries(n_steps, m))
    })?;
    matrix(py, boundaries, m + 1)
}

/// Searches boundaries; see `skipthink.chunk`.
#[pyfunction]
#[pyo3(signature = (values, n_stages, offsets, weights, ends, m, init, *, method, objective, scope, eta,
                    min_steps, max_sweeps, seed, first_row, annealing, num_threads))]
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
    method: &str,
    objective: &str,
    scope: &str,
    eta: f64,
    min_steps: usize,
    max_sweeps: usize,
    seed: u64,
    first_row: u64,
    annealing: (usize, usize, f64, f64),
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
        let options = Options {
            method: parse_method(method, scope, annealing)?,
            objective: parse_objective(objective)?,
            eta,
            min_steps,
            max_sweeps,
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
        search::find_boundaries(&losses, m, init, &options, threads)
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
        search::objective_curves(&losses, max_chunks, parse_objective(objective)?, min_steps, threads)
    })?;
    matrix(py, curves, max_chunks)
}

fn parse_objective(name: &str) -> Result<Objective, Error> {
    match name {
        "mean" => Ok(Objective::Mean),
        "variance" => Ok(Objective::Variance),
        "max" => Ok(Objective::Max),
        _ => Err(Error::Option {
            name: "objective",
            expected: r#""mean", "variance" or "max""#,
            got: format!("{name:?}"),
        }),
    }
}

fn parse_method(name: &str, scope: &str, annealing: (usize, usize, f64, f64)) -> Result<Method, Error> {
    let scope = match scope {
        "pair" => Scope::Pair,
        "left" => Scope::Left,
        _ => {
            let expected = r#""pair" or "left""#;
            return Err(Error::Option { name: "scope", expected, got: format!("{scope:?}") });
        }
    };
    let (moves, width, start, end) = annealing;
    match name {
        "average" => Ok(Method::Average),
        "greedy" => Ok(Method::Greedy(scope)),
        "anneal" => Ok(Method::Anneal(Annealing { moves, width, start, end })),
        "optimal" => Ok(Method::Optimal),
        _ => Err(Error::Option {
            name: "method",
            expected: r#""average", "greedy", "anneal" or "optimal""#,
            got: format!("{name:?}"),
        }),
    }
}
