//! Bindings of item planning.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use skipthink_core::{Error, Offsets, PlanOptions, PlanRows, Scheme, Thought};

use crate::convert::{Bools, Ints, matrix, vector};
use crate::runtime::detached;

type Array<'py> = Bound<'py, PyArray1<i64>>;
type PlanArrays<'py> =
    (Array<'py>, Array<'py>, Bound<'py, PyArray2<i64>>, Array<'py>, Array<'py>, Array<'py>, Array<'py>);

/// Plans items; see `skipthink.plan_items`.
#[pyfunction]
#[pyo3(signature = (boundaries, m, step_tokens, step_offsets, n_question, n_answer, *, scheme, skipped, thought,
                    chunk_dropout, seed, num_threads))]
#[allow(clippy::too_many_arguments)]
pub fn plan_items<'py>(
    py: Python<'py>,
    boundaries: Ints<'py>,
    m: usize,
    step_tokens: Ints<'py>,
    step_offsets: Ints<'py>,
    n_question: Ints<'py>,
    n_answer: Ints<'py>,
    scheme: &str,
    skipped: Option<Bools<'py>>,
    thought: &str,
    chunk_dropout: f64,
    seed: u64,
    num_threads: Option<usize>,
) -> PyResult<PlanArrays<'py>> {
    let (boundaries, step_tokens, step_offsets) =
        (boundaries.as_slice()?, step_tokens.as_slice()?, step_offsets.as_slice()?);
    let (n_question, n_answer) = (n_question.as_slice()?, n_answer.as_slice()?);
    let skipped = skipped.as_ref().map(|skipped| skipped.as_slice()).transpose()?;
    let plan = detached(py, num_threads, |threads| {
        let options = PlanOptions {
            scheme: parse_scheme(scheme)?,
            thought: parse_thought(thought)?,
            chunk_dropout,
            seed,
        };
        let offsets = Offsets::new("step_token_offsets", step_offsets, step_tokens.len())?;
        let rows =
            PlanRows { boundaries, m, step_tokens: (step_tokens, offsets), n_question, n_answer, skipped };
        skipthink_core::plan_items(&rows, &options, threads)
    })?;
    Ok((
        vector(py, plan.rows),
        vector(py, plan.stages),
        matrix(py, plan.pieces, 3)?,
        vector(py, plan.piece_offsets),
        vector(py, plan.n_prompt_pieces),
        vector(py, plan.n_prompt_tokens),
        vector(py, plan.n_target_tokens),
    ))
}

fn parse_scheme(name: &str) -> Result<Scheme, Error> {
    match name {
        "answer-only" => Ok(Scheme::AnswerOnly),
        "base" => Ok(Scheme::Base),
        "chunkwise" => Ok(Scheme::Chunkwise),
        "skip" => Ok(Scheme::Skip),
        _ => Err(Error::Name {
            option: "scheme",
            known: &["answer-only", "base", "chunkwise", "skip"],
            got: name.into(),
        }),
    }
}

fn parse_thought(name: &str) -> Result<Thought, Error> {
    match name {
        "per-chunk" => Ok(Thought::PerChunk),
        "collapse" => Ok(Thought::Collapse),
        "none" => Ok(Thought::None),
        _ => Err(Error::Name {
            option: "thought",
            known: &["per-chunk", "collapse", "none"],
            got: name.into(),
        }),
    }
}
