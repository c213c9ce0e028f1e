//! Bindings of the skip ledger.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArray1, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::convert::{Bools, Ints, matrix, vector};
use crate::runtime::detached;

type Questions<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);
type Codes<'py> = PyReadonlyArray1<'py, u8>;
type Counts<'py> = ([u64; 3], [u64; 4], Bound<'py, PyArray2<u64>>, Bound<'py, PyArray2<u64>>);

/// State machine over (row, chunk); see `skipthink.SkipLedger`. Behind a lock, which is waited for without the
/// interpreter: many Python threads may call at once.
#[pyclass(module = "skipthink._core", frozen)]
pub struct Ledger(Mutex<skipthink_core::Ledger>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, skipthink_core::Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the ledger with the interpreter let go.
    fn read<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&skipthink_core::Ledger) -> T + Send,
    ) -> PyResult<T> {
        detached(py, Some(1), |_| Ok(work(&self.lock())))
    }
}

#[pymethods]
impl Ledger {
    #[new]
    fn new(py: Python<'_>, boundaries: Ints<'_>, m: usize) -> PyResult<Self> {
        let boundaries = boundaries.as_slice()?;
        detached(py, Some(1), |_| skipthink_core::Ledger::new(boundaries, m))
            .map(|ledger| Self(Mutex::new(ledger)))
    }

    #[staticmethod]
    fn from_states(py: Python<'_>, base: Codes<'_>, chunks: Codes<'_>, m: usize) -> PyResult<Self> {
        let (base, chunks) = (base.as_slice()?, chunks.as_slice()?);
        detached(py, Some(1), |_| skipthink_core::Ledger::from_states(base, chunks, m))
            .map(|ledger| Self(Mutex::new(ledger)))
    }

    fn next_batch<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Questions<'py>> {
        let (rows, chunks) = self.read(py, |ledger| ledger.next_batch(limit))?;
        Ok((vector(py, rows), vector(py, chunks)))
    }

    fn check(&self, py: Python<'_>, rows: Ints<'_>, chunks: Ints<'_>, n_right: usize) -> PyResult<()> {
        let (rows, chunks) = (rows.as_slice()?, chunks.as_slice()?);
        detached(py, Some(1), |_| self.lock().check(rows, chunks, n_right))
    }

    fn record(&self, py: Python<'_>, rows: Ints<'_>, chunks: Ints<'_>, right: Bools<'_>) -> PyResult<()> {
        let (rows, chunks, right) = (rows.as_slice()?, chunks.as_slice()?, right.as_slice()?);
        detached(py, Some(1), |_| self.lock().record(rows, chunks, right))
    }

    fn states<'py>(&self, py: Python<'py>, rows: Option<Ints<'py>>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        let rows = rows.as_ref().map(|rows| rows.as_slice()).transpose()?;
        let (states, width) = detached(py, Some(1), |_| {
            let ledger = self.lock();
            let states = rows.map_or_else(|| Ok(ledger.states().to_vec()), |rows| ledger.states_of(rows))?;
            Ok((states, ledger.n_chunks()))
        })?;
        matrix(py, states, width)
    }

    fn base<'py>(&self, py: Python<'py>, rows: Option<Ints<'py>>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let rows = rows.as_ref().map(|rows| rows.as_slice()).transpose()?;
        let base = detached(py, Some(1), |_| {
            let ledger = self.lock();
            rows.map_or_else(|| Ok(ledger.base().to_vec()), |rows| ledger.base_of(rows))
        })?;
        Ok(vector(py, base))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Counts<'py>> {
        let stats = self.read(py, skipthink_core::Ledger::stats)?;
        let by_chunk = matrix(py, stats.by_chunk.concat(), 2)?;
        let by_n_chunks = matrix(py, stats.by_n_chunks.concat(), 3)?;
        Ok((stats.base, stats.states, by_chunk, by_n_chunks))
    }

    #[getter]
    fn n_chunks(&self, py: Python<'_>) -> PyResult<usize> {
        self.read(py, skipthink_core::Ledger::n_chunks)
    }

    #[getter]
    fn n_settled(&self, py: Python<'_>) -> PyResult<usize> {
        self.read(py, skipthink_core::Ledger::n_settled)
    }

    #[getter]
    fn asked(&self, py: Python<'_>) -> PyResult<u64> {
        self.read(py, skipthink_core::Ledger::asked)
    }

    #[getter]
    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        self.read(py, skipthink_core::Ledger::done)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.read(py, skipthink_core::Ledger::len)
    }
}
