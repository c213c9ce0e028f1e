//! Core errors to Python exceptions: one exhaustive match.

use pyo3::prelude::*;
use skipthink_core::error::Error;

/// The Python exception of a core error; its class lives in `skipthink.exceptions`.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Ledger(_) => "LedgerError",
        _ => "InvalidInputError",
    };
    raise(py, class, &error.to_string())
}

/// An exception of `skipthink.exceptions` by the name of its class.
pub fn raise(py: Python<'_>, class: &str, message: &str) -> PyErr {
    let made = py
        .import("skipthink.exceptions")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message,)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
