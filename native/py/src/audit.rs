//! `lockgate_native.audit`: reads what crosses, and has the record of it written.
//!
//! Which types there are, and what of them is shown, is Python's: it is asked once for each type.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use audit_core::{List, Moments, Object, Place, RowCounts, Told, seconds, tell, text};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

#[pymodule]
pub(crate) mod audit {
    #[pymodule_export]
    use super::PyScribe;
}

/// How a value stands among the details.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Masked,
    Text,
    Truth,
    Number,
    Float,
    Nothing,
    Length,
    List,
    Parts,
    Other,
}

/// What of a value is a name.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Nothing,
    Name,
    Channel,
    Items,
    Parts,
}

/// One type, as the plan says.
struct Kind {
    name: String,
    action: Option<String>,
    rows: bool,
    way: Way,
    named: Named,
    fields: Vec<Py<PyString>>,
    /// The same in the order of their names.
    sorted: Vec<(String, Py<PyString>)>,
    shown: Vec<Py<PyString>>,
    shown_sorted: Vec<(String, Py<PyString>)>,
}

/// (name, action, rows, way, named, fields, shown).
type Plan = (
    String,
    Option<String>,
    bool,
    String,
    String,
    Vec<Py<PyString>>,
    Vec<Py<PyString>>,
);

impl Kind {
    fn new(py: Python<'_>, plan: Plan) -> PyResult<Self> {
        let (name, action, rows, way, named, fields, shown) = plan;
        let way = match way.as_str() {
            "masked" => Way::Masked,
            "text" => Way::Text,
            "truth" => Way::Truth,
            "number" => Way::Number,
            "float" => Way::Float,
            "nothing" => Way::Nothing,
            "length" => Way::Length,
            "list" => Way::List,
            "parts" => Way::Parts,
            "other" => Way::Other,
            _ => return Err(PyValueError::new_err(way)),
        };
        let named = match named.as_str() {
            "" => Named::Nothing,
            "name" => Named::Name,
            "channel" => Named::Channel,
            "items" => Named::Items,
            "parts" => Named::Parts,
            _ => return Err(PyValueError::new_err(named)),
        };
        Ok(Self {
            name,
            action,
            rows,
            way,
            named,
            sorted: sorted(py, &fields)?,
            shown_sorted: sorted(py, &shown)?,
            fields,
            shown,
        })
    }
}

fn sorted(py: Python<'_>, names: &[Py<PyString>]) -> PyResult<Vec<(String, Py<PyString>)>> {
    let mut sorted = names
        .iter()
        .map(|name| Ok((name.bind(py).to_cow()?.into_owned(), name.clone_ref(py))))
        .collect::<PyResult<Vec<_>>>()?;
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(sorted)
}

/// Where a record is written, and its place in the chain: (wall, monotonic, sequence, previous).
type Post = (PyBackedStr, PyBackedStr, PyBackedStr);
type Chained = (f64, f64, u64, PyBackedStr);

/// Addresses of types are spread well enough, and no peer chooses them.
#[derive(Default)]
struct ByAddress(u64);

impl Hasher for ByAddress {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Writes what crosses as records; remembers how each type is written.
#[pyclass(name = "Scribe", module = "lockgate_native.audit")]
pub struct PyScribe {
    plan: Py<PyAny>,
    encode: Py<PyAny>,
    subjects: usize,
    items: usize,
    chars: usize,
    moments: Moments,
    kinds: HashMap<usize, Arc<Kind>, BuildHasherDefault<ByAddress>>,
    types: Vec<Py<PyAny>>,
}

#[pymethods]
impl PyScribe {
    #[new]
    fn new(
        plan: Py<PyAny>,
        encode: Py<PyAny>,
        subjects: usize,
        items: usize,
        chars: usize,
    ) -> Self {
        Self {
            plan,
            encode,
            subjects,
            items,
            chars,
            moments: Moments::default(),
            kinds: HashMap::default(),
            types: Vec::new(),
        }
    }

    #[pyo3(signature = (crossing, verdict, post, chained=None, cut=false))]
    fn tell<'py>(
        &mut self,
        crossing: &Bound<'py, PyAny>,
        verdict: &Bound<'py, PyAny>,
        post: Post,
        chained: Option<Chained>,
        cut: bool,
    ) -> PyResult<(Bound<'py, PyBytes>, String)> {
        let py = crossing.py();
        let (side, door, direction) = post;
        let envelope = self.kind(crossing)?;
        let about = match crossing.getattr_opt(pyo3::intern!(py, "payload"))? {
            Some(payload) => payload,
            None => crossing.clone(),
        };
        let kind = self.kind(&about)?;
        let action = match &kind.action {
            Some(action) => action.clone(),
            None => string(&about.getattr(pyo3::intern!(py, "action"))?)?.into_owned(),
        };
        let mut correlation = Vec::new();
        self.number(
            &mut correlation,
            &crossing.getattr(pyo3::intern!(py, "correlation"))?,
        )?;
        let origin = crossing.getattr(pyo3::intern!(py, "origin"))?;
        let origin = string(&origin)?;
        let passes = verdict.getattr(pyo3::intern!(py, "passes"))?;
        let rule = verdict.getattr(pyo3::intern!(py, "rule"))?;
        let rule = string(&rule)?;
        let mut details = Vec::new();
        let mut users = Vec::new();
        let named = self.subjects(&about, &kind)?;
        let listed = if cut {
            0
        } else {
            named.len().min(self.subjects)
        };
        if cut {
            details.extend_from_slice(b"{}");
        } else {
            self.details(&mut details, &about, &kind)?;
            users = self.users(&crossing.getattr(pyo3::intern!(py, "users"))?)?;
        }
        let (seconds, place, time, previous);
        let place = match chained {
            Some((wall, monotonic, sequence, before)) => {
                (time, previous) = (self.moments.write(wall), before);
                seconds = self.seconds(py, monotonic)?;
                place = Place {
                    monotonic: &seconds,
                    previous: &previous,
                    sequence,
                    time: &time,
                };
                Some(&place)
            }
            None => None,
        };
        let refused;
        let rows = if envelope.rows {
            refused = counts(&verdict.getattr(pyo3::intern!(py, "refused"))?)?;
            let admitted = if passes.is_none() {
                0
            } else {
                rows_of(&passes)?
            };
            Some(RowCounts {
                rows: rows_of(crossing)?,
                passed: admitted,
                refused: &refused,
            })
        } else {
            None
        };
        let told = Told {
            action: &action,
            correlation: &correlation,
            cut,
            details: &details,
            direction: &direction,
            door: &door,
            kind: &envelope.name,
            origin: &origin,
            rows,
            rule: &rule,
            side: &side,
            subjects: &named[..listed],
            subjects_not_listed: named.len().saturating_sub(self.subjects),
            users: &users,
            passed: !passes.is_none(),
        };
        let (line, hash) = tell(&told, place);
        Ok((PyBytes::new(py, &line), hash))
    }

    fn moment(&mut self, wall: f64) -> String {
        self.moments.write(wall)
    }
}

impl PyScribe {
    fn kind(&mut self, value: &Bound<'_, PyAny>) -> PyResult<Arc<Kind>> {
        let of = value.get_type();
        let key = of.as_ptr() as usize;
        if let Some(kind) = self.kinds.get(&key) {
            return Ok(Arc::clone(kind));
        }
        let py = value.py();
        let plan: Plan = self.plan.bind(py).call1((&of,))?.extract()?;
        let kind = Arc::new(Kind::new(py, plan)?);
        self.types.push(of.into_any().unbind()); // or its address might become another's
        self.kinds.insert(key, Arc::clone(&kind));
        Ok(kind)
    }

    /// What the crossing says, without the names, which have a list of their own.
    fn details(
        &mut self,
        out: &mut Vec<u8>,
        about: &Bound<'_, PyAny>,
        kind: &Kind,
    ) -> PyResult<()> {
        let mut object = Object::new(out);
        for (name, field) in &kind.shown_sorted {
            let value = about.getattr(field.bind(about.py()))?;
            let kind = self.kind(&value)?;
            if kind.named != Named::Channel {
                self.value(object.key(name), &value, &kind)?;
            }
        }
        object.end();
        Ok(())
    }

    fn value(&mut self, out: &mut Vec<u8>, value: &Bound<'_, PyAny>, kind: &Kind) -> PyResult<()> {
        match kind.way {
            Way::Masked => text(out, "***"),
            Way::Text => text(out, self.shortened(&string(value)?)),
            Way::Truth => out.extend_from_slice(if value.is_truthy()? {
                b"true"
            } else {
                b"false"
            }),
            Way::Number => self.number(out, value)?,
            Way::Float => self.encoded(out, value)?,
            Way::Nothing => out.extend_from_slice(b"null"),
            Way::Length => out.extend_from_slice(value.len()?.to_string().as_bytes()),
            Way::List => {
                let mut list = List::new(out);
                for item in value.try_iter()?.take(self.items) {
                    let item = item?;
                    let kind = self.kind(&item)?;
                    self.value(list.item(), &item, &kind)?;
                }
                list.end();
            }
            Way::Parts => {
                let mut object = Object::new(out);
                for (name, field) in &kind.sorted {
                    let part = value.getattr(field.bind(value.py()))?;
                    let kind = self.kind(&part)?;
                    self.value(object.key(name), &part, &kind)?;
                }
                object.end();
            }
            Way::Other => text(out, self.shortened(&string(value.str()?.as_any())?)),
        }
        Ok(())
    }

    fn number(&self, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match value.extract::<i64>() {
            Ok(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Err(_) => self.encoded(out, value)?,
        }
        Ok(())
    }

    /// What is seldom is left to who reads it again.
    fn encoded(&self, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let json = self.encode.bind(value.py()).call1((value,))?;
        out.extend_from_slice(json.extract::<&[u8]>()?);
        Ok(())
    }

    fn seconds(&self, py: Python<'_>, value: f64) -> PyResult<Vec<u8>> {
        if let Some(written) = seconds(value) {
            return Ok(written);
        }
        let mut out = Vec::new();
        let rounded = (value * 1e6).round_ties_even() / 1e6;
        self.encoded(&mut out, rounded.into_pyobject(py)?.as_any())?;
        Ok(out)
    }

    fn shortened<'a>(&self, text: &'a str) -> &'a str {
        if text.len() <= self.chars {
            return text;
        }
        match text.char_indices().nth(self.chars) {
            Some((end, _)) => &text[..end],
            None => text,
        }
    }

    fn users(&self, users: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let users = users.cast::<PyTuple>()?;
        users
            .iter_borrowed()
            .take(self.items)
            .map(|user| Ok(self.shortened(&string(&user)?).to_owned()))
            .collect()
    }

    /// What it names, once each, in the order of its fields.
    fn subjects(&mut self, about: &Bound<'_, PyAny>, kind: &Kind) -> PyResult<Vec<String>> {
        let mut found = Vec::new();
        for field in &kind.shown {
            self.gather(&mut found, &about.getattr(field.bind(about.py()))?)?;
        }
        if found.len() > 1 {
            let mut met = HashSet::with_capacity(found.len());
            let kept: Vec<bool> = found.iter().map(|name| met.insert(name)).collect();
            let mut kept = kept.into_iter();
            found.retain(|_| kept.next().unwrap_or(true));
        }
        Ok(found)
    }

    fn gather(&mut self, found: &mut Vec<String>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let kind = self.kind(value)?;
        match kind.named {
            Named::Nothing => {}
            Named::Name => found.push(string(value)?.into_owned()),
            Named::Channel => {
                let peer = value.getattr(pyo3::intern!(py, "peer"))?;
                let name = value.getattr(pyo3::intern!(py, "name"))?;
                found.push(format!("{}/{}", string(&peer)?, string(&name)?));
            }
            Named::Items => {
                for item in value.try_iter()? {
                    self.gather(found, &item?)?;
                }
            }
            Named::Parts => {
                for field in &kind.fields {
                    self.gather(found, &value.getattr(field.bind(py))?)?;
                }
            }
        }
        Ok(())
    }
}

/// The text of a `str`; half a surrogate pair is "?".
fn string<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    let value = value.cast::<PyString>()?;
    if let Ok(text) = value.to_str() {
        return Ok(Cow::Borrowed(text));
    }
    let replaced = value.call_method1("encode", ("utf-8", "replace"))?;
    let bytes = replaced.extract::<&[u8]>()?;
    Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
}

fn rows_of(batch: &Bound<'_, PyAny>) -> PyResult<usize> {
    batch.getattr(pyo3::intern!(batch.py(), "rows"))?.len()
}

fn counts(refused: &Bound<'_, PyAny>) -> PyResult<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for (rule, count) in refused.cast::<PyDict>()? {
        counts.push((string(&rule)?.into_owned(), count.extract()?));
    }
    counts.sort();
    Ok(counts)
}
