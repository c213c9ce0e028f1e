//! Core errors to Python exceptions: one exhaustive match.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use skipthink_core::Error;

/// The Python exception of a core error; its class lives in `skipthink.exceptions`.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Interrupted => return PyKeyboardInterrupt::new_err(()),
        Error::Ledger(_) => "LedgerError",
        Error::Zero { .. }
        | Error::Eta(_)
        | Error::Balance(_)
        | Error::Temperature { .. }
        | Error::ChunkDropout(_)
        | Error::Name { .. }
        | Error::Rules(_)
        | Error::Separators(_)
        | Error::NoSkipData
        | Error::Threads(_)
        | Error::ThreadsVariable { .. }
        | Error::ThreadsRefused { .. }
        | Error::TooManyBoundaries { .. }
        | Error::TooManyCells { .. }
        | Error::EmptyChunks
        | Error::NoCurve
        | Error::Stages { .. }
        | Error::StagesOfCurve(_)
        | Error::Rows { .. }
        | Error::EndLosses { .. }
        | Error::Loss { .. }
        | Error::Weight { .. }
        | Error::NegativeSteps { .. }
        | Error::NegativeLength { .. }
        | Error::NotUtf8 { .. }
        | Error::Offsets { .. }
        | Error::Boundaries { .. }
        | Error::StepTokens { .. } => "InvalidInputError",
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
