//! Python bindings: module `skipthink._core`.
#![deny(unsafe_code)]

use pyo3::prelude::*;

/// Native core of skipthink.
#[pymodule]
mod _core {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
