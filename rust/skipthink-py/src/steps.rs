//! Bindings of step splitting.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyListMethods, PyString, PyStringMethods};
use skipthink_core::error::Error;
use skipthink_core::parallel::map_blocks;
use skipthink_core::ragged::Offsets;
use skipthink_core::steps::{Rules, split_steps};

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
    let mut owned: Vec<pyo3::pybacked::PyBackedStr> = Vec::with_capacity(texts.len());
    for (row, item) in texts.iter().enumerate() {
        let Ok(text) = item.cast_into::<PyString>() else {
            return Err(raise(py, "InvalidTypeError", &format!("text of row {row} is not a str")));
        };
        if text.to_str().is_err() {
            let message =
                format!("text of row {row} holds a lone surrogate, which is no character; clean the text");
            return Err(raise(py, "InvalidInputError", &message));
        }
        owned.push(text.try_into()?);
    }
    split(py, owned.len(), |row| &owned[row], rules, separators, num_threads)
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
    let rows = detached(py, Some(1), |_| Offsets::new("texts", offsets, data.len()))?;
    let mut texts = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        match std::str::from_utf8(&data[rows.row(row)]) {
            Ok(text) => texts.push(text),
            Err(error) => {
                let message = format!("text of row {row} is not valid UTF-8: {error}");
                return Err(raise(py, "InvalidInputError", &message));
            }
        }
    }
    split(py, texts.len(), |row| texts[row], rules, separators, num_threads)
}

fn split<'a, 'py>(
    py: Python<'py>,
    n_rows: usize,
    text: impl Fn(usize) -> &'a str + Sync + Send,
    rules: &str,
    separators: Vec<String>,
    num_threads: Option<usize>,
) -> PyResult<SpanArrays<'py>> {
    let (ends, offsets) = detached(py, num_threads, |threads| {
        let rules = parse_rules(rules, separators)?;
        let blocks = map_blocks(n_rows, threads, |rows| {
            let (mut ends, mut counts, mut bytes) = (Vec::new(), Vec::with_capacity(rows.len()), Vec::new());
            for row in rows {
                bytes.clear();
                split_steps(text(row), &rules, &mut bytes);
                push_code_points(text(row), &bytes, &mut ends);
                counts.push(bytes.len() as i64);
            }
            Ok((ends, counts))
        })?;
        let (mut ends, mut offsets) = (Vec::new(), Vec::with_capacity(n_rows + 1));
        offsets.push(0);
        let mut total = 0;
        for (block, counts) in blocks {
            ends.extend(block);
            for count in counts {
                total += count;
                offsets.push(total);
            }
        }
        Ok((ends, offsets))
    })?;
    Ok((vector(py, ends), vector(py, offsets)))
}

/// Byte ends to code-point ends: what `str` slicing and tokenizers' offset mappings use.
fn push_code_points(text: &str, ends: &[usize], out: &mut Vec<i64>) {
    if text.is_ascii() {
        out.extend(ends.iter().map(|end| *end as i64));
        return;
    }
    let (mut start, mut points) = (0, 0);
    for &end in ends {
        points += text[start..end].chars().count() as i64;
        start = end;
        out.push(points);
    }
}

fn parse_rules(name: &str, separators: Vec<String>) -> Result<Rules, Error> {
    match name {
        "auto" => Ok(Rules::Auto),
        "lines" => Ok(Rules::Lines),
        "sentences" => Ok(Rules::Sentences),
        "separators" if !separators.is_empty() && separators.iter().all(|one| !one.is_empty()) => {
            Ok(Rules::Separators(separators))
        }
        _ => Err(Error::Option {
            name: "rules",
            expected: r#""auto", "lines", "sentences" or a list of separator strings, none empty"#,
            got: if name == "separators" { format!("{separators:?}") } else { format!("{name:?}") },
        }),
    }
}
