//! The one doorway into the core: detach from the interpreter, compute, translate errors.

use std::cell::RefCell;

use pyo3::marker::Ungil;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use skipthink_core::{Error, Result, after_fork, before_fork, resolve_threads, set_ask};

use crate::error::to_python;

thread_local! {
    /// What a signal handler raised while this thread was in the core.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs `work` with the GIL released and the number of threads resolved. Signals are handled meanwhile: an
/// exception of a handler (Ctrl-C) ends the work and comes out.
pub fn detached<T: Ungil + Send>(
    py: Python<'_>,
    num_threads: Option<usize>,
    work: impl FnOnce(usize) -> Result<T> + Ungil + Send,
) -> PyResult<T> {
    py.detach(|| resolve_threads(num_threads).and_then(work)).map_err(|error| {
        let raised = if error == Error::Interrupted { RAISED.take() } else { None };
        raised.unwrap_or_else(|| to_python(py, &error))
    })
}

/// Prepares for signals and forks; to be called once, when the module is imported.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    set_ask(handle_signals);
    let os = py.import("os")?;
    if let Ok(register) = os.getattr("register_at_fork") {
        let call = |function: fn()| {
            PyCFunction::new_closure(
                py,
                None,
                None,
                move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| function(),
            )
        };
        let options = PyDict::new(py);
        options.set_item("before", call(before_fork)?)?;
        options.set_item("after_in_parent", call(after_fork)?)?;
        options.set_item("after_in_child", call(after_fork)?)?;
        register.call((), Some(&options))?;
    }
    Ok(())
}

/// Handles signals that have come in; whether the work is to stop, for a handler raised an exception.
fn handle_signals() -> bool {
    let handled = Python::try_attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(raised) => {
            RAISED.set(Some(raised));
            true
        }
    });
    // no interpreter, then: it is shutting down, and nobody waits any more
    handled.unwrap_or(true)
}
