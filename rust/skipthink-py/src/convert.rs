//! Borrowing arrays in and moving arrays out.

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use skipthink_core::{Cuts, Numbers};

/// A contiguous numpy array of 64-bit integers, borrowed.
pub type Ints<'py> = PyReadonlyArray1<'py, i64>;
/// A contiguous numpy array of booleans, borrowed.
pub type Bools<'py> = PyReadonlyArray1<'py, bool>;

/// A contiguous numpy array of floats of either width, borrowed.
#[derive(FromPyObject)]
pub enum Floats<'py> {
    /// 32 bits.
    Single(PyReadonlyArray1<'py, f32>),
    /// 64 bits.
    Double(PyReadonlyArray1<'py, f64>),
}

impl Floats<'_> {
    /// The numbers.
    pub fn borrow(&self) -> PyResult<Numbers<'_>> {
        Ok(match self {
            Self::Single(values) => Numbers::Single(values.as_slice()?),
            Self::Double(values) => Numbers::Double(values.as_slice()?),
        })
    }
}

/// A contiguous numpy array of integers of either width, borrowed.
#[derive(FromPyObject)]
pub enum AnyInts<'py> {
    /// 32 bits.
    Narrow(PyReadonlyArray1<'py, i32>),
    /// 64 bits.
    Wide(PyReadonlyArray1<'py, i64>),
}

impl AnyInts<'_> {
    /// The offsets.
    pub fn borrow(&self) -> PyResult<Cuts<'_>> {
        Ok(match self {
            Self::Narrow(cuts) => Cuts::Narrow(cuts.as_slice()?),
            Self::Wide(cuts) => Cuts::Wide(cuts.as_slice()?),
        })
    }
}

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
