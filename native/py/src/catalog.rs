//! `lockgate_native.catalog`.
//!
//! The index, a row set and a mapping are behind locks, taken only while the GIL is released: a
//! thread that waits for one never keeps the others from finishing.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalog_core::{
    FIELD_COUNT, FIELDS, Index, Renewal, RowSet, Rows, RowsBuilder, RuleText, Selector, fields,
};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyMapping as AnyMapping, PyString};

mod shown;

pub(crate) use shown::{PyChanges, PyMapping, PySnapshot, PyView};

#[pymodule]
pub(crate) mod catalog {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    #[pymodule_export]
    use super::{
        PyChanges, PyDelta, PyIndex, PyMapping, PyRenewal, PyRowSet, PyRows, PySelector,
        PySnapshot, PyView,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("FIELDS", PyTuple::new(module.py(), catalog_core::FIELDS)?)
    }
}

/// An immutable batch of rows.
#[pyclass(frozen, eq, name = "Rows", module = "lockgate_native.catalog")]
#[derive(PartialEq)]
pub struct PyRows(pub Rows);

#[pymethods]
impl PyRows {
    #[staticmethod]
    fn build(rows: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut builder = RowsBuilder::new();
        for (number, row) in rows.try_iter()?.enumerate() {
            push(&mut builder, number, row?.cast::<AnyMapping>()?)?;
        }
        Ok(Self(builder.finish()))
    }

    #[staticmethod]
    fn decode(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let rows = py.detach(|| Rows::decode(data));
        rows.map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.0.encode()))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!("<Rows: {}>", self.0.len())
    }

    fn get<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyDict>> {
        in_range(row, self.0.len())?;
        dict(py, &self.0.row(row))
    }

    fn ids(&self) -> Vec<&str> {
        (0..self.0.len()).map(|row| self.0.id(row)).collect()
    }

    fn slice(&self, start: usize, stop: usize) -> Self {
        Self(self.0.slice(start, stop))
    }

    fn named_above(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.0.named_above())
    }

    fn veil(&self, py: Python<'_>, veils: HashMap<String, String>) -> Self {
        Self(py.detach(move || self.0.veil(&veils)))
    }

    fn through(&self, py: Python<'_>, names: HashSet<String>) -> (Self, Self) {
        let (kept, echoes) = py.detach(move || self.0.through(&names));
        (Self(kept), Self(echoes))
    }

    fn located(&self, py: Python<'_>, system: &str) -> Self {
        Self(py.detach(|| self.0.located(system)))
    }

    fn select(&self, py: Python<'_>, selector: &PySelector) -> (Self, BTreeMap<String, usize>) {
        let selection = py.detach(|| self.0.select(&selector.0));
        (Self(selection.admitted), selection.refused)
    }
}

fn push(builder: &mut RowsBuilder, number: usize, row: &Bound<'_, AnyMapping>) -> PyResult<()> {
    let items = row.items()?;
    let mut texts: Vec<(usize, Bound<'_, PyString>)> = Vec::with_capacity(items.len());
    for item in &items {
        let (name, text): (String, Bound<'_, PyString>) = item.extract()?;
        let field = fields::number(&name)
            .ok_or_else(|| PyValueError::new_err(format!("row {number}: no field {name:?}")))?;
        texts.push((field, text));
    }
    let mut fields = [""; FIELD_COUNT];
    let texts = texts
        .iter()
        .map(|(field, text)| Ok((*field, text.to_cow()?)));
    let texts = texts.collect::<PyResult<Vec<_>>>()?;
    for (field, text) in &texts {
        fields[*field] = text;
    }
    if builder.push(&fields) {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!("more than {number} rows")))
    }
}

/// The fields of a row that are there.
fn dict<'py>(py: Python<'py>, row: &[&str; FIELD_COUNT]) -> PyResult<Bound<'py, PyDict>> {
    static NAMES: PyOnceLock<Vec<Py<PyString>>> = PyOnceLock::new();
    let names = NAMES.get_or_init(py, || {
        FIELDS
            .iter()
            .map(|name| PyString::intern(py, name).unbind())
            .collect()
    });
    let dict = PyDict::new(py);
    for (name, text) in names.iter().zip(row).filter(|(_, text)| !text.is_empty()) {
        dict.set_item(name, text)?;
    }
    Ok(dict)
}

fn in_range(number: usize, len: usize) -> PyResult<()> {
    if number < len {
        Ok(())
    } else {
        Err(PyIndexError::new_err(format!("row {number} of {len}")))
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pages of one answer, gathered by id.
#[pyclass(frozen, name = "RowSet", module = "lockgate_native.catalog")]
pub struct PyRowSet(Mutex<RowSet>);

#[pymethods]
impl PyRowSet {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(RowSet::new()))
    }

    fn add(&self, py: Python<'_>, rows: &PyRows) -> usize {
        py.detach(|| held(&self.0).add(&rows.0))
    }

    fn rows(&self, py: Python<'_>) -> PyRows {
        PyRows(py.detach(|| held(&self.0).rows()))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| held(&self.0).len())
    }
}

/// A compiled rule list.
#[pyclass(frozen, name = "Selector", module = "lockgate_native.catalog")]
pub struct PySelector(pub Selector);

#[pymethods]
impl PySelector {
    #[new]
    fn new(rules: Vec<(String, bool, Vec<String>)>) -> PyResult<Self> {
        let rules = rules.into_iter().map(|(id, allow, selectors)| RuleText {
            id,
            allow,
            selectors,
        });
        Selector::new(rules)
            .map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[pyo3(signature = (id, branch, owner=""))]
    fn judge(&self, id: &str, branch: &str, owner: &str) -> (bool, &str) {
        self.0.judge(id, branch, owner)
    }
}

/// What an application changed.
#[pyclass(frozen, name = "Delta", module = "lockgate_native.catalog")]
pub struct PyDelta(catalog_core::Delta);

#[pymethods]
impl PyDelta {
    #[getter]
    fn added(&self) -> usize {
        self.0.added
    }

    #[getter]
    fn changed(&self) -> usize {
        self.0.changed
    }

    #[getter]
    fn removed(&self) -> usize {
        self.0.removed
    }

    #[getter]
    fn unchanged(&self) -> usize {
        self.0.unchanged
    }

    #[getter]
    fn dropped(&self) -> usize {
        self.0.dropped
    }

    #[getter]
    fn loops(&self) -> usize {
        self.0.loops
    }

    fn present(&self) -> PyRows {
        PyRows(self.0.present.clone())
    }

    fn gone(&self) -> PyRows {
        PyRows(self.0.gone.clone())
    }

    fn former(&self) -> PyRows {
        PyRows(self.0.former.clone())
    }

    fn __repr__(&self) -> String {
        let catalog_core::Delta {
            added,
            changed,
            removed,
            unchanged,
            dropped,
            ..
        } = &self.0;
        format!(
            "<Delta: {added} added, {changed} changed, {removed} removed, {unchanged} unchanged, {dropped} dropped>"
        )
    }
}

/// A long answer on its way into the index; None once it is there.
#[pyclass(frozen, name = "Renewal", module = "lockgate_native.catalog")]
pub struct PyRenewal(Mutex<Option<Renewal>>);

/// All rows of all peers.
#[pyclass(frozen, name = "Index", module = "lockgate_native.catalog")]
pub struct PyIndex(Mutex<Index>);

#[pymethods]
impl PyIndex {
    #[new]
    #[pyo3(signature = (*, told=false))]
    fn new(told: bool) -> Self {
        let index = if told { Index::told() } else { Index::new() };
        Self(Mutex::new(index))
    }

    fn apply(&self, py: Python<'_>, peer: &str, rows: &PyRows, complete: bool) -> PyDelta {
        PyDelta(py.detach(|| held(&self.0).apply(peer, &rows.0, complete)))
    }

    fn renew(&self, py: Python<'_>, peer: &str, rows: &PyRows, complete: bool) -> PyRenewal {
        let renewal = py.detach(|| held(&self.0).renew(peer, &rows.0, complete));
        PyRenewal(Mutex::new(Some(renewal)))
    }

    fn step(&self, py: Python<'_>, renewal: &PyRenewal, most: usize) -> bool {
        py.detach(|| {
            let mut renewal = held(&renewal.0);
            let index = held(&self.0);
            renewal
                .as_mut()
                .is_some_and(|renewal| index.step(renewal, most))
        })
    }

    fn renewed(&self, py: Python<'_>, renewal: &PyRenewal) -> Vec<PyDelta> {
        let deltas = py.detach(|| {
            let renewal = held(&renewal.0).take();
            renewal.map(|renewal| held(&self.0).renewed(renewal))
        });
        deltas.into_iter().flatten().map(PyDelta).collect()
    }

    #[pyo3(signature = (peer, rows, *, known=false))]
    fn merge(&self, py: Python<'_>, peer: &str, rows: &PyRows, known: bool) -> (PyRows, usize) {
        let (merged, unknown) = py.detach(|| held(&self.0).merge(peer, &rows.0, known));
        (PyRows(merged), unknown)
    }

    fn remove(&self, py: Python<'_>, peer: &str, ids: Vec<String>) -> PyRows {
        let gone = move || {
            held(&self.0)
                .remove(peer, ids.iter().map(String::as_str))
                .gone
        };
        PyRows(py.detach(gone))
    }

    fn begin(&self, py: Python<'_>, peer: &str) {
        py.detach(|| held(&self.0).begin(peer));
    }

    fn finish(&self, py: Python<'_>, peer: &str) -> PyRows {
        PyRows(py.detach(|| held(&self.0).finish(peer).gone))
    }

    fn set_online(&self, py: Python<'_>, peer: &str, online: bool) -> usize {
        py.detach(|| held(&self.0).set_online(peer, online))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| held(&self.0).len())
    }

    fn count(&self, py: Python<'_>, peer: &str) -> usize {
        py.detach(|| held(&self.0).count(peer))
    }

    fn peers(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| held(&self.0).peers())
    }

    fn find<'py>(
        &self,
        py: Python<'py>,
        peer: &str,
        id: &str,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let owned = |row: [&str; FIELD_COUNT]| row.map(str::to_owned);
        let found = py.detach(|| held(&self.0).find(peer, id).map(owned));
        found
            .map(|row| dict(py, &row.each_ref().map(String::as_str)))
            .transpose()
    }

    fn place(&self, py: Python<'_>, peer: &str, id: &str) -> Option<(String, String)> {
        py.detach(|| {
            let index = held(&self.0);
            let (branch, owner) = index.place(peer, id)?;
            Some((branch.to_owned(), owner.to_owned()))
        })
    }

    fn rows(&self, py: Python<'_>, peer: &str) -> PyRows {
        PyRows(py.detach(|| held(&self.0).rows(peer)))
    }

    fn elsewhere(&self, py: Python<'_>, peer: &str, rows: &PyRows) -> Vec<String> {
        py.detach(|| held(&self.0).elsewhere(peer, &rows.0))
    }

    #[pyo3(signature = (*, without=Vec::new(), top=None))]
    fn view(&self, py: Python<'_>, without: Vec<String>, top: Option<(String, String)>) -> PyView {
        PyView(py.detach(move || {
            let without: Vec<&str> = without.iter().map(String::as_str).collect();
            let top = top.as_ref().map(|(peer, id)| (peer.as_str(), id.as_str()));
            held(&self.0).view(&without, top)
        }))
    }

    #[pyo3(signature = (*, without=Vec::new()))]
    fn snapshot(&self, py: Python<'_>, without: Vec<String>) -> PySnapshot {
        PySnapshot(py.detach(move || {
            let without: Vec<&str> = without.iter().map(String::as_str).collect();
            if without.is_empty() {
                held(&self.0).snapshot()
            } else {
                held(&self.0).snapshot_without(&without)
            }
        }))
    }
}
