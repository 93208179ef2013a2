//! The engine over its own sockets, in Python.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use net::signalling::Signalling;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use sip_core::Terms;

use super::digests::{Attempt, Given};
use super::event::{Event, events};
use super::given::{
    Address, Cut, Listener, Ordered, accept, fault, know, ordered, pair, prepare, read_limits,
    read_networks, read_replies, read_requests, route, settings, socket_address, with_answers,
};
use super::recalled::{Recalled, recall};

/// The same core over one UDP socket.
#[pyclass(module = "lockgate_native.sip", frozen)]
pub(super) struct Engine {
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
    #[pyo3(signature = (local, realm, networks, seed, receive_buffer=4_194_304, *, limits=HashMap::new(), qop=true, listeners=Vec::new()))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments of Python
    fn new(
        local: Address,
        realm: String,
        networks: Vec<PyBackedStr>,
        seed: &[u8],
        receive_buffer: usize,
        limits: HashMap<String, usize>,
        qop: bool,
        listeners: Vec<Listener>,
    ) -> PyResult<Self> {
        let limits = read_limits(&limits)?;
        let settings = settings(&local, realm, &networks, &listeners, seed, qop, limits)?;
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

    fn gather(&self, seconds: f64) -> PyResult<()> {
        let every =
            Duration::try_from_secs_f64(seconds).map_err(|error| fault(error.to_string()))?;
        self.with(|engine| engine.gather(every))
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

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    #[pyo3(signature = (peer, transport, *, to=None))]
    fn accept(&self, peer: Address, transport: &str, to: Option<Address>) -> PyResult<u64> {
        self.with(|engine| {
            engine.with_core(|core, now| accept(core, &peer, transport, to.as_ref(), now))
        })?
    }

    fn opened(&self, connection: u64) -> PyResult<()> {
        self.with(|engine| engine.with_core(|core, now| core.opened(connection, now)))
    }

    fn certified(&self, connection: u64, names: &str) -> PyResult<()> {
        self.with(|engine| engine.core().certified(connection, names))
    }

    fn closed(&self, connection: u64, reason: &str) -> PyResult<()> {
        self.with(|engine| engine.with_core(|core, now| core.closed(connection, reason, now)))
    }

    fn feed_stream(&self, connection: u64, data: &[u8]) -> PyResult<()> {
        self.with(|engine| engine.with_core(|core, now| core.feed_stream(connection, data, now)))
    }

    fn backlog(&self, connection: u64, waiting: usize) -> PyResult<()> {
        self.with(|engine| engine.with_core(|core, now| core.backlog(connection, waiting, now)))
    }

    fn take_orders<'py>(&self, py: Python<'py>) -> PyResult<Vec<Ordered<'py>>> {
        Ok(ordered(
            py,
            self.with(net::signalling::Signalling::take_orders)?,
        ))
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
        let peer = socket_address(&peer)?;
        self.with(|engine| engine.core().set_route(peer, route))
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
        let terms = Terms { large, pong, dial };
        self.with(|engine| engine.core().set_terms(user, terms))
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_networks(&self, networks: Vec<PyBackedStr>) -> PyResult<()> {
        let networks = read_networks(&networks)?;
        self.with(|engine| engine.with_core(|core, now| core.set_networks(networks, now)))
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_large_kinds(&self, kinds: Vec<PyBackedBytes>) -> PyResult<()> {
        let kinds = kinds.iter().map(|kind| Box::from(&**kind)).collect();
        self.with(|engine| engine.core().set_large_kinds(kinds))
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn seen_from(&self, peer: Address) -> PyResult<(&'static str, (String, u16))> {
        let peer = socket_address(&peer)?;
        let (transport, own) = self.with(|engine| engine.core().seen_from(peer))?;
        Ok((transport.parameter(), pair(own)))
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    #[pyo3(signature = (came, gone, cut=Vec::new()))]
    fn know(&self, came: Vec<Address>, gone: Vec<Address>, cut: Vec<Cut>) -> PyResult<()> {
        self.with(|engine| know(engine.core(), &came, &gone, &cut))
    }

    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_limits(&self, limits: HashMap<String, usize>) -> PyResult<()> {
        let limits = read_limits(&limits)?;
        self.with(|engine| engine.core().set_limits(limits))
    }

    #[pyo3(signature = (user, given, qop="both"))]
    #[allow(clippy::needless_pass_by_value)] // extracted from Python
    fn set_credentials(&self, user: &str, given: Vec<Given>, qop: &str) -> PyResult<()> {
        self.with(|engine| super::digests::set(engine.core(), user, &given, qop))?
    }

    fn attempts(&self, user: &str) -> PyResult<Vec<Attempt>> {
        self.with(|engine| super::digests::attempts(engine.core(), user))
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
