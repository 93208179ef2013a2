//! `lockgate_native.sip`: tuples in, events out. What is decided is decided in `sip-core`.

mod event;
mod given;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use net::signalling::Signalling;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use sip_core::{Limits, Message, Ring, Time, codec};

use event::{Event, events};
use given::{
    Address, fault, pair, prepare, read_replies, read_requests, settings, socket_address,
    with_answers,
};

#[pymodule]
pub(crate) mod sip {
    #[pymodule_export]
    use super::{Core, Engine, Event, authorize, ha1, parse};
}

/// The engine without socket and clock.
#[pyclass(module = "lockgate_native.sip", frozen)]
struct Core(Mutex<sip_core::Core>);

impl Core {
    fn lock(&self) -> MutexGuard<'_, sip_core::Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (local, realm, networks, seed, *, max_transactions=65536, max_cached=131_072, max_events=65536, max_nonces=262_144, qop=true))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments of Python
    fn new(
        local: Address,
        realm: String,
        networks: Vec<PyBackedStr>,
        seed: &[u8],
        max_transactions: usize,
        max_cached: usize,
        max_events: usize,
        max_nonces: usize,
        qop: bool,
    ) -> PyResult<Self> {
        let limits = Limits {
            transactions: max_transactions,
            cached: max_cached,
            events: max_events,
            nonces: max_nonces,
        };
        let settings = settings(&local, realm, &networks, seed, qop, limits)?;
        Ok(Core(Mutex::new(sip_core::Core::new(settings))))
    }

    #[getter]
    fn local(&self) -> (String, u16) {
        pair(self.lock().local())
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn feed(&self, datagram: &[u8], source: Address, now: f64) -> PyResult<()> {
        self.lock()
            .feed(datagram, socket_address(&source)?, Time::from_seconds(now));
        Ok(())
    }

    fn advance(&self, now: f64) {
        self.lock().advance(Time::from_seconds(now));
    }

    fn deadline(&self) -> Option<f64> {
        self.lock().deadline().map(Time::seconds)
    }

    fn take_events(&self, limit: usize) -> Vec<Event> {
        events(self.lock().take_events(limit))
    }

    fn take_outputs<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, (String, u16))> {
        let outputs = self.lock().take_outputs();
        outputs
            .iter()
            .map(|output| (PyBytes::new(py, &output.bytes), pair(output.destination)))
            .collect()
    }

    fn reply(&self, replies: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let replies = read_replies(replies)?;
        let mut core = self.lock();
        with_answers(&replies, |answers| {
            for answer in answers {
                core.reply(answer, Time::from_seconds(now));
            }
        });
        Ok(())
    }

    fn send(&self, requests: &Bound<'_, PyAny>, now: f64) -> PyResult<Vec<u64>> {
        let requests = read_requests(requests)?;
        let mut core = self.lock();
        let prepared = prepare(&mut core, &requests)?;
        let now = Time::from_seconds(now);
        Ok(prepared
            .into_iter()
            .map(|one| core.send(one, now))
            .collect())
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn adopt(&self, outline: &[u8], source: Address, now: f64) -> PyResult<Option<u64>> {
        let source = socket_address(&source)?;
        Ok(self.lock().adopt(outline, source, Time::from_seconds(now)))
    }

    fn cancel(&self, transaction: u64, now: f64) {
        self.lock().cancel(transaction, Time::from_seconds(now));
    }

    fn set_credentials(&self, user: &str, ha1: Option<&str>) -> PyResult<()> {
        self.lock().set_credentials(user, ha1).map_err(fault)
    }

    fn token(&self) -> String {
        self.lock().token()
    }

    fn counters(&self) -> HashMap<&'static str, u64> {
        self.lock().counters().into_iter().collect()
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn recall(
        &self,
        py: Python<'_>,
        needles: Vec<PyBackedBytes>,
        after: u64,
        limit: usize,
    ) -> (u64, Vec<Recalled>) {
        py.detach(|| recall(self.lock().ring(), &needles, after, limit))
    }
}

/// The same core over one UDP socket.
#[pyclass(module = "lockgate_native.sip", frozen)]
struct Engine {
    /// None once closed.
    open: Mutex<Option<Signalling>>,
    local: SocketAddr,
}

impl Engine {
    fn with<R>(&self, run: impl FnOnce(&mut Signalling) -> R) -> PyResult<R> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_mut()
            .map(run)
            .ok_or_else(|| fault("the engine is closed"))
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (local, realm, networks, seed, receive_buffer=4_194_304, *, max_transactions=65536, max_cached=131_072, max_events=65536, max_nonces=262_144, qop=true))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments of Python
    fn new(
        local: Address,
        realm: String,
        networks: Vec<PyBackedStr>,
        seed: &[u8],
        receive_buffer: usize,
        max_transactions: usize,
        max_cached: usize,
        max_events: usize,
        max_nonces: usize,
        qop: bool,
    ) -> PyResult<Self> {
        let limits = Limits {
            transactions: max_transactions,
            cached: max_cached,
            events: max_events,
            nonces: max_nonces,
        };
        let settings = settings(&local, realm, &networks, seed, qop, limits)?;
        let signalling = Signalling::bind(settings, receive_buffer)?;
        Ok(Engine {
            local: signalling.local(),
            open: Mutex::new(Some(signalling)),
        })
    }

    #[getter]
    fn local(&self) -> (String, u16) {
        pair(self.local)
    }

    #[getter]
    fn receive_buffer(&self) -> PyResult<usize> {
        Ok(self.with(|engine| engine.receive_buffer())??)
    }

    fn fileno(&self) -> i32 {
        self.with(|engine| engine.as_raw_fd()).unwrap_or(-1)
    }

    fn poll(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Event>> {
        let taken = py.detach(|| self.with(|engine| engine.poll(limit)))?;
        Ok(events(taken.into_iter()))
    }

    fn reply(&self, py: Python<'_>, replies: &Bound<'_, PyAny>) -> PyResult<()> {
        let replies = read_replies(replies)?;
        if replies.is_empty() {
            return Ok(());
        }
        py.detach(|| self.with(|engine| with_answers(&replies, |answers| engine.reply(answers))))
    }

    fn send(&self, py: Python<'_>, requests: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
        let requests = read_requests(requests)?;
        let prepared = self.with(|engine| prepare(engine.core(), &requests))??;
        py.detach(|| self.with(|engine| engine.send(prepared)))
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn adopt(&self, outline: &[u8], source: Address) -> PyResult<Option<u64>> {
        let source = socket_address(&source)?;
        self.with(|engine| engine.adopt(outline, source))
    }

    fn cancel(&self, transaction: u64) -> PyResult<()> {
        self.with(|engine| engine.cancel(transaction))
    }

    fn set_credentials(&self, user: &str, ha1: Option<&str>) -> PyResult<()> {
        self.with(|engine| engine.core().set_credentials(user, ha1))?
            .map_err(fault)
    }

    fn token(&self) -> PyResult<String> {
        self.with(|engine| engine.core().token())
    }

    fn counters(&self) -> PyResult<HashMap<&'static str, u64>> {
        self.with(|engine| engine.counters().into_iter().collect())
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn recall(
        &self,
        py: Python<'_>,
        needles: Vec<PyBackedBytes>,
        after: u64,
        limit: usize,
    ) -> PyResult<(u64, Vec<Recalled>)> {
        py.detach(|| self.with(|engine| recall(engine.core().ring(), &needles, after, limit)))
    }

    fn close(&self) {
        drop(
            self.open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

/// Number, moment, was it sent, peer, bytes of the whole, and what was kept of them.
type Recalled = (u64, f64, bool, (String, u16), usize, Cow<'static, [u8]>);

fn recall(
    ring: &Ring,
    needles: &[PyBackedBytes],
    after: u64,
    limit: usize,
) -> (u64, Vec<Recalled>) {
    let needles: Vec<&[u8]> = needles.iter().map(|needle| &**needle).collect();
    let found = ring.find(&needles, after, limit, |kept| {
        let bytes = Cow::Owned(kept.bytes.to_vec());
        (
            kept.number,
            kept.at.seconds(),
            kept.sent,
            pair(kept.peer),
            kept.length,
            bytes,
        )
    });
    (ring.newest(), found)
}

/// Read one datagram without an engine.
#[pyfunction]
fn parse(datagram: &[u8]) -> PyResult<Event> {
    let head = codec::parse(datagram).map_err(|refused| fault(refused.fault.to_string()))?;
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let message = Message {
        bytes: datagram.into(),
        head,
    };
    Ok(sip_core::Event::bare(&message, nowhere).into())
}

/// MD5(user:realm:password) in hex.
#[pyfunction]
fn ha1(user: &str, realm: &str, password: &str) -> String {
    String::from_utf8_lossy(&sip_core::digest::ha1(user, realm, password)).into_owned()
}

/// The value of the Authorization header that answers a challenge.
#[pyfunction]
#[pyo3(signature = (challenge, username, password, method, uri, cnonce, nc=1))]
fn authorize(
    challenge: &str,
    username: &str,
    password: &str,
    method: &str,
    uri: &str,
    cnonce: &str,
    nc: u32,
) -> PyResult<String> {
    sip_core::digest::authorize(challenge, username, password, method, uri, cnonce, nc)
        .map_err(fault)
}
