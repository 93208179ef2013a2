//! Events as Python sees them: read-only, each attribute read from the datagram on access.

use std::borrow::Cow;
use std::net::SocketAddr;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};
use sip_core::Auth;
use sip_core::codec::{self, Span};

use super::given::pair;

/// One thing that happened, read-only; attributes are read from the datagram on access.
#[pyclass(module = "lockgate_native.sip", frozen)]
pub(super) struct Event(sip_core::Event, Made);

/// Python values that several deciders ask of the same event: made once, so that asking again is free.
struct Made {
    source: PyOnceLock<Py<PyTuple>>,
    sender: PyOnceLock<Py<PyString>>,
}

impl From<sip_core::Event> for Event {
    fn from(event: sip_core::Event) -> Self {
        let made = Made {
            source: PyOnceLock::new(),
            sender: PyOnceLock::new(),
        };
        Self(event, made)
    }
}

impl Event {
    pub(super) fn address(&self) -> SocketAddr {
        self.0.source
    }

    pub(super) fn verified(&self) -> bool {
        self.0.auth == Auth::Verified
    }

    /// Its body.
    pub(super) fn content(&self) -> &[u8] {
        let head = self.0.head();
        head.map_or(&b""[..], |head| head.body.of(self.0.bytes()))
    }

    fn text(&self, find: impl FnOnce(&codec::Head, &[u8]) -> Span) -> Cow<'_, str> {
        let bytes = self.0.bytes();
        match self.0.head() {
            Some(head) => readable(find(head, bytes).of(bytes)),
            None => Cow::Borrowed(""),
        }
    }

    fn user(&self, find: impl FnOnce(&codec::Head) -> Span) -> Cow<'_, str> {
        self.text(|head, bytes| codec::values::uri_user(bytes, find(head)))
    }
}

/// Text for Python: folds joined, bytes that are not UTF-8 replaced.
fn readable(value: &[u8]) -> Cow<'_, str> {
    match codec::unfold(value) {
        Cow::Borrowed(value) => String::from_utf8_lossy(value),
        Cow::Owned(value) => Cow::Owned(String::from_utf8_lossy(&value).into_owned()),
    }
}

#[pymethods]
impl Event {
    #[getter]
    fn kind(&self) -> u8 {
        self.0.kind as u8
    }

    #[getter]
    pub(super) fn transaction(&self) -> u64 {
        self.0.transaction
    }

    #[getter]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = || PyResult::Ok(pair(self.0.source).into_pyobject(py)?.unbind());
        Ok(self.1.source.get_or_try_init(py, make)?.bind(py).clone())
    }

    #[getter]
    pub(super) fn transport<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.0.transport {
            sip_core::Transport::Udp => pyo3::intern!(py, "udp").clone(),
            sip_core::Transport::Tcp => pyo3::intern!(py, "tcp").clone(),
            sip_core::Transport::Tls => pyo3::intern!(py, "tls").clone(),
        }
    }

    #[getter]
    fn connection(&self) -> u64 {
        self.0.connection
    }

    #[getter]
    pub(super) fn certificate(&self) -> &str {
        self.0.certificate.as_deref().unwrap_or_default()
    }

    #[getter]
    pub(super) fn arrived(&self) -> f64 {
        self.0.arrived.seconds()
    }

    #[getter]
    fn awaits_answer(&self) -> bool {
        self.0.awaits_answer
    }

    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let method = self
            .0
            .head()
            .map_or(&b""[..], |head| head.method(self.0.bytes()));
        match method {
            b"REGISTER" => pyo3::intern!(py, "REGISTER").clone(),
            b"MESSAGE" => pyo3::intern!(py, "MESSAGE").clone(),
            b"INVITE" => pyo3::intern!(py, "INVITE").clone(),
            b"ACK" => pyo3::intern!(py, "ACK").clone(),
            b"BYE" => pyo3::intern!(py, "BYE").clone(),
            other => PyString::new(py, &String::from_utf8_lossy(other)),
        }
    }

    #[getter]
    fn uri(&self) -> Cow<'_, str> {
        self.text(|head, _| head.uri())
    }

    #[getter]
    fn uri_user(&self) -> Cow<'_, str> {
        self.user(codec::Head::uri)
    }

    #[getter(from_user)]
    pub(super) fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let make = || PyString::new(py, &self.user(|head| head.from_uri)).unbind();
        self.1.sender.get_or_init(py, make).bind(py).clone()
    }

    #[getter]
    fn to_user(&self) -> Cow<'_, str> {
        self.user(|head| head.to_uri)
    }

    #[getter(from_tag)]
    fn sender_tag(&self) -> Cow<'_, str> {
        self.text(|head, _| head.from_tag)
    }

    #[getter]
    fn to_tag(&self) -> Cow<'_, str> {
        self.text(|head, _| head.to_tag)
    }

    #[getter]
    fn local_tag(&self) -> Cow<'_, str> {
        if self.0.tag == 0 {
            return Cow::Borrowed("");
        }
        match self.to_tag() {
            Cow::Borrowed("") => Cow::Owned(format!("{:016x}", self.0.tag)),
            tag => tag,
        }
    }

    #[getter]
    fn call_id(&self) -> Cow<'_, str> {
        self.text(|head, _| head.call_id)
    }

    #[getter]
    fn cseq(&self) -> u32 {
        self.0.head().map_or(0, |head| head.cseq)
    }

    #[getter]
    fn branch(&self) -> Cow<'_, str> {
        self.text(|head, _| head.via.branch)
    }

    #[getter]
    pub(super) fn auth(&self) -> u8 {
        self.0.auth as u8
    }

    #[getter]
    pub(super) fn username(&self) -> Cow<'_, str> {
        self.text(|_, _| self.0.username)
    }

    #[getter]
    pub(super) fn expires(&self) -> Option<u32> {
        self.0.head()?.expires(self.0.bytes())
    }

    #[getter]
    pub(super) fn contact(&self) -> Option<Cow<'_, str>> {
        let uri = self.0.head()?.contact(self.0.bytes())?;
        Some(readable(uri.of(self.0.bytes())))
    }

    #[getter]
    fn content_type(&self) -> String {
        self.text(codec::Head::content_type).to_ascii_lowercase()
    }

    #[getter]
    fn status(&self) -> u16 {
        self.0.head().map_or(0, codec::Head::status)
    }

    #[getter]
    fn reason(&self) -> Cow<'_, str> {
        if !self.0.fault.is_empty() {
            return Cow::Borrowed(&self.0.fault);
        }
        self.text(|head, _| match head.start {
            codec::Start::Response { reason, .. } => reason,
            codec::Start::Request { .. } => Span::default(),
        })
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.content())
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }

    #[getter]
    fn outline<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut outline = Vec::with_capacity(512);
        if let Some(head) = self.0.head() {
            codec::outline(&mut outline, self.0.bytes(), head);
        }
        PyBytes::new(py, &outline)
    }

    pub(super) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let bytes = self.0.bytes();
        let value = self.0.head()?.headers(bytes, name.as_bytes()).next()?;
        Some(readable(value.of(bytes)))
    }

    fn headers(&self, name: &str) -> Vec<Cow<'_, str>> {
        let bytes = self.0.bytes();
        let Some(head) = self.0.head() else {
            return Vec::new();
        };
        let values: Vec<Span> = head.headers(bytes, name.as_bytes()).collect();
        values
            .into_iter()
            .map(|value| readable(value.of(bytes)))
            .collect()
    }

    fn __repr__(&self) -> String {
        format!(
            "<Event {:?} {} from {}>",
            self.0.kind, self.0.transaction, self.0.source
        )
    }
}

pub(super) fn events(taken: impl Iterator<Item = sip_core::Event>) -> Vec<Event> {
    taken.map(Event::from).collect()
}
