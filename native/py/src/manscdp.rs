//! `lockgate_native.manscdp`.
use catalog_core::{FIELD_COUNT, fields};
use manscdp_core::{Charset, Frame, Limits};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::catalog::{PyChanges, PyMapping, PyRows, PySnapshot};

#[pymodule]
pub(crate) mod manscdp {
    #[pymodule_export]
    use super::{
        CatalogNotice, CatalogPage, Head, clean, decode, encode, head, heads, mend, scan_catalog,
        scan_notice, write_catalog, write_changes, write_rows,
    };
    #[pymodule_export]
    use crate::sip::runs::keepalives;
}

/// Root, command, SN and ids of a body, checked; `operation` and `source_id` are "" where there is none.
#[pyclass(frozen, eq, get_all, module = "lockgate_native.manscdp")]
#[derive(PartialEq)]
pub(crate) struct Head {
    root: &'static str,
    cmd_type: String,
    sn: String,
    device_id: String,
    source_id: String,
    operation: String,
    well: bool,
}

#[pymethods]
impl Head {
    fn __repr__(&self) -> String {
        format!(
            "Head({} {} sn={} device_id={} operation={:?})",
            self.root, self.cmd_type, self.sn, self.device_id, self.operation
        )
    }
}

impl From<manscdp_core::Head> for Head {
    fn from(head: manscdp_core::Head) -> Self {
        Self {
            root: head.root,
            cmd_type: head.cmd_type,
            sn: head.sn,
            device_id: head.device_id,
            source_id: head.source_id,
            operation: head.operation,
            well: head.well,
        }
    }
}

/// One page of a catalog as it came; `sum_num` and `num` are the peer's claims.
#[pyclass(frozen, get_all, module = "lockgate_native.manscdp")]
struct CatalogPage {
    sn: String,
    device_id: String,
    sum_num: Option<u32>,
    num: Option<u32>,
    rows: Py<PyRows>,
    repaired: usize,
    replaced: usize,
    dropped: usize,
}

#[pymethods]
impl CatalogPage {
    #[new]
    #[pyo3(signature = (*, sn, device_id, sum_num, num, rows, repaired=0, replaced=0, dropped=0))]
    #[expect(clippy::too_many_arguments, reason = "its fields, by name")]
    fn new(
        sn: String,
        device_id: String,
        sum_num: Option<u32>,
        num: Option<u32>,
        rows: Py<PyRows>,
        repaired: usize,
        replaced: usize,
        dropped: usize,
    ) -> Self {
        Self {
            sn,
            device_id,
            sum_num,
            num,
            rows,
            repaired,
            replaced,
            dropped,
        }
    }
}

#[pyfunction]
fn head(body: &[u8]) -> Option<Head> {
    manscdp_core::head(body).map(Head::from)
}

#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what PyO3 makes of a sequence"
)]
fn heads(bodies: Vec<Bound<'_, PyBytes>>) -> Vec<Option<Head>> {
    bodies.iter().map(|body| head(body.as_bytes())).collect()
}

#[pyfunction]
fn decode(body: &[u8]) -> (String, usize) {
    let decoded = manscdp_core::decode(body);
    (decoded.text.into_owned(), decoded.replaced)
}

#[pyfunction]
fn encode<'py>(py: Python<'py>, text: &str, charset: &str) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &named(charset)?.encode(text)))
}

#[pyfunction]
fn mend(text: &str) -> (String, usize) {
    let (text, places) = manscdp_core::mend(text);
    (text.into_owned(), places)
}

#[pyfunction]
fn scan_catalog(py: Python<'_>, body: &[u8]) -> PyResult<CatalogPage> {
    let page = py
        .detach(|| manscdp_core::scan(body))
        .map_err(|refusal| PyValueError::new_err(refusal.to_string()))?;
    Ok(CatalogPage {
        sn: page.sn,
        device_id: page.device_id,
        sum_num: page.sum_num,
        num: page.num,
        rows: Py::new(py, PyRows(page.rows))?,
        repaired: page.repaired,
        replaced: page.replaced,
        dropped: page.dropped,
    })
}

/// A notice of changes: rows that came or are others, rows that turned, ids that are gone.
#[pyclass(frozen, get_all, module = "lockgate_native.manscdp")]
struct CatalogNotice {
    device_id: String,
    present: Py<PyRows>,
    turned: Py<PyRows>,
    gone: Vec<String>,
    repaired: usize,
    replaced: usize,
    dropped: usize,
}

#[pymethods]
impl CatalogNotice {
    #[new]
    #[pyo3(signature = (*, device_id, present, turned, gone, repaired=0, replaced=0, dropped=0))]
    fn new(
        device_id: String,
        present: Py<PyRows>,
        turned: Py<PyRows>,
        gone: Vec<String>,
        repaired: usize,
        replaced: usize,
        dropped: usize,
    ) -> Self {
        Self {
            device_id,
            present,
            turned,
            gone,
            repaired,
            replaced,
            dropped,
        }
    }
}

#[pyfunction]
fn scan_notice(py: Python<'_>, body: &[u8]) -> PyResult<CatalogNotice> {
    let notice = py
        .detach(|| manscdp_core::scan_notice(body))
        .map_err(|refusal| PyValueError::new_err(refusal.to_string()))?;
    Ok(CatalogNotice {
        device_id: notice.page.device_id,
        present: Py::new(py, PyRows(notice.present))?,
        turned: Py::new(py, PyRows(notice.turned))?,
        gone: notice.gone,
        repaired: notice.page.repaired,
        replaced: notice.page.replaced,
        dropped: notice.page.dropped,
    })
}

#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what PyO3 makes of a sequence"
)]
fn clean(items: Vec<Bound<'_, PyDict>>) -> PyResult<(PyRows, usize)> {
    let texts = items.iter().map(texts_of).collect::<PyResult<Vec<_>>>()?;
    let (rows, dropped) = manscdp_core::clean(texts.iter().map(borrowed));
    Ok((PyRows(rows), dropped))
}

#[pyfunction]
#[pyo3(signature = (snapshot, mapping, start, *, sn, device_id, own, charset, max_bytes, max_items))]
#[expect(clippy::too_many_arguments, reason = "by name")]
fn write_catalog<'py>(
    py: Python<'py>,
    snapshot: &PySnapshot,
    mapping: &PyMapping,
    start: usize,
    sn: u64,
    device_id: &str,
    own: &Bound<'py, PyDict>,
    charset: &str,
    max_bytes: usize,
    max_items: usize,
) -> PyResult<(Bound<'py, PyBytes>, usize)> {
    let own = texts_of(own)?;
    let frame = Frame {
        sn,
        device_id,
        charset: named(charset)?,
    };
    let limits = Limits {
        max_bytes,
        max_items,
    };
    let (page, next) = mapping.read(py, |mapping| {
        manscdp_core::write_snapshot(
            frame,
            limits,
            (&snapshot.0, mapping),
            &borrowed(&own),
            start,
        )
    });
    Ok((PyBytes::new(py, &page), next))
}

#[pyfunction]
#[pyo3(signature = (changes, mapping, start, *, sn, device_id, civil_code, charset, max_bytes, max_items))]
#[expect(clippy::too_many_arguments, reason = "by name")]
fn write_changes<'py>(
    py: Python<'py>,
    changes: &PyChanges,
    mapping: &PyMapping,
    start: usize,
    sn: u64,
    device_id: &str,
    civil_code: &str,
    charset: &str,
    max_bytes: usize,
    max_items: usize,
) -> PyResult<(Bound<'py, PyBytes>, usize)> {
    let frame = Frame {
        sn,
        device_id,
        charset: named(charset)?,
    };
    let limits = Limits {
        max_bytes,
        max_items,
    };
    let (page, next) = mapping.read(py, |mapping| {
        manscdp_core::write_changes(frame, limits, (&changes.0, mapping), civil_code, start)
    });
    Ok((PyBytes::new(py, &page), next))
}

#[pyfunction]
#[pyo3(signature = (rows, start, *, sn, device_id, charset, max_bytes, max_items))]
#[expect(clippy::too_many_arguments, reason = "by name")]
fn write_rows<'py>(
    py: Python<'py>,
    rows: &PyRows,
    start: usize,
    sn: u64,
    device_id: &str,
    charset: &str,
    max_bytes: usize,
    max_items: usize,
) -> PyResult<(Bound<'py, PyBytes>, usize)> {
    let frame = Frame {
        sn,
        device_id,
        charset: named(charset)?,
    };
    let limits = Limits {
        max_bytes,
        max_items,
    };
    let (page, next) = py.detach(|| manscdp_core::write_rows(frame, limits, &rows.0, start));
    Ok((PyBytes::new(py, &page), next))
}

fn named(charset: &str) -> PyResult<Charset> {
    Charset::named(charset)
        .ok_or_else(|| PyValueError::new_err(format!("not a charset we write: {charset:?}")))
}

fn texts_of(texts: &Bound<'_, PyDict>) -> PyResult<[String; FIELD_COUNT]> {
    let mut row: [String; FIELD_COUNT] = std::array::from_fn(|_| String::new());
    for (name, text) in texts.iter() {
        let name: String = name.extract()?;
        let number = fields::number(&name).ok_or_else(|| PyKeyError::new_err(name))?;
        row[number] = text.extract()?;
    }
    Ok(row)
}

fn borrowed(row: &[String; FIELD_COUNT]) -> [&str; FIELD_COUNT] {
    std::array::from_fn(|field| row[field].as_str())
}
