//! Bindings of the skip ledger.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use skipthink_core::skip;

use crate::convert::{Bools, Ints, matrix, vector};
use crate::runtime::detached;

type Questions<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// State machine over (row, chunk); see `skipthink.SkipLedger`.
#[pyclass(module = "skipthink._core")]
pub struct Ledger(skip::Ledger);

#[pymethods]
impl Ledger {
    #[new]
    fn new(py: Python<'_>, boundaries: Ints<'_>, m: usize) -> PyResult<Self> {
        let boundaries = boundaries.as_slice()?;
        detached(py, Some(1), |_| skip::Ledger::new(boundaries, m)).map(Self)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, content: &[u8]) -> PyResult<Self> {
        detached(py, Some(1), |_| skip::Ledger::from_bytes(content)).map(Self)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    fn next_batch<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Questions<'py>> {
        let ledger = &mut self.0;
        let (rows, chunks) = detached(py, Some(1), |_| Ok(ledger.next_batch(limit)))?;
        Ok((vector(py, rows), vector(py, chunks)))
    }

    fn check(&self, py: Python<'_>, rows: Ints<'_>, chunks: Ints<'_>, n_right: usize) -> PyResult<()> {
        let (rows, chunks) = (rows.as_slice()?, chunks.as_slice()?);
        let ledger = &self.0;
        detached(py, Some(1), |_| ledger.check(rows, chunks, n_right))
    }

    fn record(&mut self, py: Python<'_>, rows: Ints<'_>, chunks: Ints<'_>, right: Bools<'_>) -> PyResult<()> {
        let (rows, chunks, right) = (rows.as_slice()?, chunks.as_slice()?, right.as_slice()?);
        let ledger = &mut self.0;
        detached(py, Some(1), |_| ledger.record(rows, chunks, right))
    }

    fn states<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        matrix(py, self.0.states().to_vec(), self.0.n_chunks())
    }

    fn base_right<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        vector(py, self.0.base_right().collect())
    }

    #[getter]
    fn n_chunks(&self) -> usize {
        self.0.n_chunks()
    }

    #[getter]
    fn n_settled(&self) -> usize {
        self.0.n_settled()
    }

    #[getter]
    fn asked(&self) -> u64 {
        self.0.asked()
    }

    #[getter]
    fn done(&self) -> bool {
        self.0.done()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}
