//! What was built, and what it runs on.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use skipthink_core::{resolve_threads, vector_unit};

use crate::runtime::detached;

/// What this build of the core is, and what it makes of the machine it runs on.
///
/// Returns:
///     `version`; `profile` ("release" or "debug"); `target` (the platform it was built for); `rustc` (the compiler);
///     `vector_unit` (the widest one found when run: "AVX-512", "AVX2", "NEON" or "scalar");
///     `threads` (what `num_threads=None` means here).
///
/// Raises:
///     `InvalidInputError`: `SKIPTHINK_NUM_THREADS` holds no positive number.
#[pyfunction]
pub fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let threads = detached(py, Some(1), |_| resolve_threads(None))?;
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    info.set_item("target", env!("SKIPTHINK_TARGET"))?;
    info.set_item("rustc", env!("SKIPTHINK_RUSTC"))?;
    info.set_item("vector_unit", vector_unit())?;
    info.set_item("threads", threads)?;
    Ok(info)
}
