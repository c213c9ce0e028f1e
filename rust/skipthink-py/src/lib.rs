//! Python bindings: module `skipthink._core`. Every function goes extract → validate → detach → compute → wrap.
#![forbid(unsafe_code)]
// pyo3 hands arguments over by value
#![allow(clippy::needless_pass_by_value, clippy::missing_errors_doc)]

mod convert;
mod error;
mod info;
mod plan;
mod runtime;
mod search;
mod skip;
mod steps;

use pyo3::prelude::*;

/// Native core of skipthink.
#[pymodule]
mod _core {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::info::build_info;
    #[pymodule_export]
    use super::plan::plan_items;
    #[pymodule_export]
    use super::search::{average_boundaries, find_boundaries, objective_curves};
    #[pymodule_export]
    use super::skip::Ledger;
    #[pymodule_export]
    use super::steps::{split_buffer, split_list};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::runtime::prepare(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }
}
