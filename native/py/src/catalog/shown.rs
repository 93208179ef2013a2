//! What readers of the index are shown: views, what changed since, snapshots, and what each thing is called.
use std::sync::{PoisonError, RwLock};

use catalog_core::{Changes, Mapping, Snapshot, View};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{dict, in_range};

/// What a reader is shown at one moment.
#[pyclass(frozen, name = "View", module = "lockgate_native.catalog")]
pub struct PyView(pub View);

#[pymethods]
impl PyView {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn faults(&self, py: Python<'_>) -> PyChanges {
        PyChanges(py.detach(|| self.0.faults()))
    }

    fn changes_since(&self, py: Python<'_>, former: &Self) -> PyChanges {
        PyChanges(py.detach(|| self.0.changes_since(&former.0)))
    }
}

/// What has to be told to somebody who was told of an earlier view.
#[pyclass(frozen, name = "Changes", module = "lockgate_native.catalog")]
pub struct PyChanges(pub Changes);

#[pymethods]
impl PyChanges {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn present(&self) -> PySnapshot {
        PySnapshot(self.0.present().clone())
    }
}

/// A frozen view of all rows.
#[pyclass(frozen, name = "Snapshot", module = "lockgate_native.catalog")]
pub struct PySnapshot(pub Snapshot);

#[pymethods]
impl PySnapshot {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn key(&self, number: usize) -> PyResult<(&str, &str)> {
        in_range(number, self.0.len())?;
        Ok((self.0.peer(number), self.0.id(number)))
    }

    fn get<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyDict>> {
        in_range(number, self.0.len())?;
        dict(py, &self.0.row(number))
    }
}

/// What each thing is called towards one upper platform.
#[pyclass(frozen, name = "Mapping", module = "lockgate_native.catalog")]
pub struct PyMapping(pub RwLock<Mapping>);

impl PyMapping {
    /// Read it with the GIL released.
    pub(crate) fn read<T: Send>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&Mapping) -> T + Send,
    ) -> T {
        py.detach(|| read(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[pymethods]
impl PyMapping {
    #[new]
    fn new(py: Python<'_>, own_id: &str, pairs: Vec<(String, String, String)>) -> PyResult<Self> {
        let mapping = py.detach(move || {
            Mapping::new(
                own_id,
                pairs
                    .iter()
                    .map(|(peer, id, shown)| (&**peer, &**id, &**shown)),
            )
        });
        let mapping = mapping.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self(RwLock::new(mapping)))
    }

    fn assign(&self, py: Python<'_>, snapshot: &PySnapshot) -> Vec<(String, String, String)> {
        let pairs = py.detach(|| {
            let mut mapping = self.0.write().unwrap_or_else(PoisonError::into_inner);
            mapping.assign(&snapshot.0)
        });
        pairs
            .into_iter()
            .map(|pair| (pair.peer, pair.id, pair.shown))
            .collect()
    }

    fn shown(&self, py: Python<'_>, peer: &str, id: &str) -> Option<String> {
        self.read(py, |mapping| mapping.shown(peer, id).map(str::to_owned))
    }

    fn key(&self, py: Python<'_>, shown: &str) -> Option<(String, String)> {
        self.read(py, |mapping| {
            mapping
                .key(shown)
                .map(|(peer, id)| (peer.to_owned(), id.to_owned()))
        })
    }

    #[getter]
    fn own_id(&self, py: Python<'_>) -> String {
        self.read(py, |mapping| mapping.own_id().to_owned())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.read(py, Mapping::len)
    }
}
