//! Borrowing arrays in and moving arrays out.

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

/// A contiguous numpy array of 64-bit integers, borrowed.
pub type Ints<'py> = PyReadonlyArray1<'py, i64>;
/// A contiguous numpy array of 64-bit floats, borrowed.
pub type Floats<'py> = PyReadonlyArray1<'py, f64>;
/// A contiguous numpy array of booleans, borrowed.
pub type Bools<'py> = PyReadonlyArray1<'py, bool>;

/// Moves a vector out as a numpy array of `width` columns.
///
/// # Errors
/// The length is no multiple of the width (a defect of the core).
pub fn matrix<T: numpy::Element>(
    py: Python<'_>,
    values: Vec<T>,
    width: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    let rows = values.len() / width;
    values.into_pyarray(py).reshape([rows, width])
}

/// Moves a vector out as a numpy array.
pub fn vector<T: numpy::Element>(py: Python<'_>, values: Vec<T>) -> Bound<'_, PyArray1<T>> {
    values.into_pyarray(py)
}
