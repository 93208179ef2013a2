//! `lockgate_native.sip`: tuples in, events out. What is decided is decided in `sip-core`.

mod digests;
mod engine;
mod event;
mod given;
mod recalled;
pub(crate) mod runs;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use sip_core::{Message, Output, Terms, Time, codec};

use digests::{Attempt, Given};
use engine::Engine;
use event::{Event, events};
use given::{
    Address, Cut, Listener, Ordered, accept, fault, know, ordered, pair, prepare, read_limits,
    read_networks, read_replies, read_requests, route, settings, socket_address, with_answers,
};
use recalled::{Recalled, recall};

#[pymodule]
pub(crate) mod sip {
    #[pymodule_export]
    use super::digests::{authorize, ha1, respond};
    #[pymodule_export]
    use super::runs::registrations;
    #[pymodule_export]
    use super::{Core, Engine, Event, parse};
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
    #[pyo3(signature = (local, realm, networks, seed, *, limits=HashMap::new(), qop=true, listeners=Vec::new()))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments of Python
    fn new(
        local: Address,
        realm: String,
        networks: Vec<PyBackedStr>,
        seed: &[u8],
        limits: HashMap<String, usize>,
        qop: bool,
        listeners: Vec<Listener>,
    ) -> PyResult<Self> {
        let limits = read_limits(&limits)?;
        let settings = settings(&local, realm, &networks, &listeners, seed, qop, limits)?;
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

    /// As `Engine.poll` does with what its sockets hold.
    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    #[pyo3(signature = (datagram, source, now, *, listener=0))]
    fn offer(&self, datagram: &[u8], source: Address, now: f64, listener: u8) -> PyResult<()> {
        let source = socket_address(&source)?;
        self.lock()
            .offer(listener, datagram, source, Time::from_seconds(now));
        Ok(())
    }

    fn serve_strangers(&self, limit: usize, now: f64) {
        self.lock().serve_strangers(limit, Time::from_seconds(now));
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    #[pyo3(signature = (came, gone, cut=Vec::new()))]
    fn know(&self, came: Vec<Address>, gone: Vec<Address>, cut: Vec<Cut>) {
        know(&mut self.lock(), &came, &gone, &cut);
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_limits(&self, limits: HashMap<String, usize>) -> PyResult<()> {
        self.lock().set_limits(read_limits(&limits)?);
        Ok(())
    }

    fn take_outputs<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, (String, u16))> {
        let outputs = self.lock().take_outputs();
        outputs
            .iter()
            .map(|output| (PyBytes::new(py, &output.bytes), pair(output.destination)))
            .collect()
    }

    fn take_datagrams<'py>(
        &self,
        py: Python<'py>,
    ) -> Vec<(Bound<'py, PyBytes>, (String, u16), u8)> {
        let outputs = self.lock().take_outputs();
        let datagram = |output: &Output| {
            let bytes = PyBytes::new(py, &output.bytes);
            (bytes, pair(output.destination), output.listener)
        };
        outputs.iter().map(datagram).collect()
    }

    fn reply(&self, replies: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let replies = read_replies(replies)?;
        let mut core = self.lock();
        with_answers(&replies, |answers| {
            for answer in answers {
                core.reply(&answer, Time::from_seconds(now));
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

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    #[pyo3(signature = (peer, transport, now, *, to=None))]
    fn accept(
        &self,
        peer: Address,
        transport: &str,
        now: f64,
        to: Option<Address>,
    ) -> PyResult<u64> {
        let now = Time::from_seconds(now);
        accept(&mut self.lock(), &peer, transport, to.as_ref(), now)
    }

    fn opened(&self, connection: u64, now: f64) {
        self.lock().opened(connection, Time::from_seconds(now));
    }

    fn certified(&self, connection: u64, names: &str) {
        self.lock().certified(connection, names);
    }

    fn closed(&self, connection: u64, reason: &str, now: f64) {
        self.lock()
            .closed(connection, reason, Time::from_seconds(now));
    }

    fn feed_stream(&self, connection: u64, data: &[u8], now: f64) {
        self.lock()
            .feed_stream(connection, data, Time::from_seconds(now));
    }

    fn backlog(&self, connection: u64, waiting: usize, now: f64) {
        self.lock()
            .backlog(connection, waiting, Time::from_seconds(now));
    }

    fn take_orders<'py>(&self, py: Python<'py>) -> Vec<Ordered<'py>> {
        ordered(py, self.lock().take_orders())
    }

    #[pyo3(signature = (peer, transport, *, large_by_tcp=false, pong=false))]
    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_route(
        &self,
        peer: Address,
        transport: Option<&str>,
        large_by_tcp: bool,
        pong: bool,
    ) -> PyResult<()> {
        let route = route(transport, large_by_tcp, pong)?;
        self.lock().set_route(socket_address(&peer)?, route);
        Ok(())
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    #[pyo3(signature = (user, *, large=0, pong=false, dial=None))]
    fn set_terms(
        &self,
        user: &str,
        large: usize,
        pong: bool,
        dial: Option<Address>,
    ) -> PyResult<()> {
        let dial = dial.as_ref().map(socket_address).transpose()?;
        self.lock().set_terms(user, Terms { large, pong, dial });
        Ok(())
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_networks(&self, networks: Vec<PyBackedStr>, now: f64) -> PyResult<()> {
        let networks = read_networks(&networks)?;
        self.lock().set_networks(networks, Time::from_seconds(now));
        Ok(())
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_large_kinds(&self, kinds: Vec<PyBackedBytes>) {
        let kinds = kinds.iter().map(|kind| Box::from(&**kind)).collect();
        self.lock().set_large_kinds(kinds);
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn seen_from(&self, peer: Address) -> PyResult<(&'static str, (String, u16))> {
        let (transport, own) = self.lock().seen_from(socket_address(&peer)?);
        Ok((transport.parameter(), pair(own)))
    }

    #[pyo3(signature = (user, given, qop="both"))]
    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_credentials(&self, user: &str, given: Vec<Given>, qop: &str) -> PyResult<()> {
        digests::set(&mut self.lock(), user, &given, qop)
    }

    fn attempts(&self, user: &str) -> Vec<Attempt> {
        digests::attempts(&self.lock(), user)
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

/// Read one datagram without an engine.
#[pyfunction]
fn parse(datagram: &[u8]) -> PyResult<Event> {
    let head = codec::parse(datagram).map_err(|refused| fault(refused.fault.to_string()))?;
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let message = Arc::new(Message {
        bytes: datagram.into(),
        head,
    });
    Ok(sip_core::Event::bare(&message, nowhere).into())
}
