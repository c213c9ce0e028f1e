//! Bindings of step splitting.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyList, PyListMethods, PyString};
use skipthink_core::{Error, Offsets, Rules, Spans, split_buffer as split_bytes, split_texts};

use crate::convert::{Ints, vector};
use crate::error::raise;
use crate::runtime::detached;

type SpanArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// Splits texts of a list; gives the ends of all steps in code points and the offsets of the rows.
#[pyfunction]
#[pyo3(signature = (texts, rules, separators, num_threads))]
pub fn split_list<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyList>,
    rules: &str,
    separators: Vec<String>,
    num_threads: Option<usize>,
) -> PyResult<SpanArrays<'py>> {
    let mut borrowed: Vec<PyBackedStr> = Vec::with_capacity(texts.len());
    for (row, item) in texts.iter().enumerate() {
        let Ok(text) = item.cast_into::<PyString>() else {
            return Err(raise(py, "InvalidTypeError", &format!("text of row {row} is not a str")));
        };
        let Ok(text) = text.try_into() else {
            let message =
                format!("text of row {row} holds a lone surrogate, which is no character; clean the text");
            return Err(raise(py, "InvalidInputError", &message));
        };
        borrowed.push(text);
    }
    let spans = detached(py, num_threads, |threads| {
        split_texts(&borrowed, &parse_rules(rules, separators)?, threads)
    })?;
    Ok(arrays(py, spans))
}

/// Splits texts of an Arrow string buffer (UTF-8 bytes and offsets).
#[pyfunction]
#[pyo3(signature = (data, offsets, rules, separators, num_threads))]
pub fn split_buffer<'py>(
    py: Python<'py>,
    data: numpy::PyReadonlyArray1<'py, u8>,
    offsets: Ints<'py>,
    rules: &str,
    separators: Vec<String>,
    num_threads: Option<usize>,
) -> PyResult<SpanArrays<'py>> {
    let (data, offsets) = (data.as_slice()?, offsets.as_slice()?);
    let spans = detached(py, num_threads, |threads| {
        let rows = Offsets::new("texts", offsets, data.len())?;
        split_bytes(data, rows, &parse_rules(rules, separators)?, threads)
    })?;
    Ok(arrays(py, spans))
}

fn arrays(py: Python<'_>, spans: Spans) -> SpanArrays<'_> {
    (vector(py, spans.ends), vector(py, spans.offsets))
}

fn parse_rules(name: &str, separators: Vec<String>) -> Result<Rules, Error> {
    match name {
        "auto" => Ok(Rules::Auto),
        "lines" => Ok(Rules::Lines),
        "sentences" => Ok(Rules::Sentences),
        "separators" if !separators.is_empty() && separators.iter().all(|one| !one.is_empty()) => {
            Ok(Rules::Separators(separators))
        }
        "separators" => Err(Error::Separators(separators)),
        _ => Err(Error::Rules(name.into())),
    }
}
