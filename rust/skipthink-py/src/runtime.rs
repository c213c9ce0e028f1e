//! The one doorway into the core: detach from the interpreter, compute, translate errors.

use pyo3::marker::Ungil;
use pyo3::prelude::*;
use skipthink_core::error::Result;
use skipthink_core::parallel::resolve_threads;

use crate::error::to_python;

/// Runs `work` with the GIL released and the number of threads resolved.
pub fn detached<T: Ungil + Send>(
    py: Python<'_>,
    num_threads: Option<usize>,
    work: impl FnOnce(usize) -> Result<T> + Ungil + Send,
) -> PyResult<T> {
    let result = py.detach(|| resolve_threads(num_threads).and_then(work));
    result.map_err(|error| to_python(py, &error))
}
