//! What Python hands in: tuples, checked before anything of them counts.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyTuple};
use sip_core::{
    Answer, Limits, Network, Order, Outgoing, Prepared, Route, Settings, Transport, codec,
};

pub(super) type Address = (PyBackedStr, u16);
/// Where somebody was reached, who, and by which transport.
pub(super) type Cut = (Address, PyBackedStr, PyBackedStr);
type Headers = Vec<(PyBackedStr, PyBackedStr)>;

/// Transport, host, port.
pub(super) type Listener = (PyBackedStr, PyBackedStr, u16);

pub(super) fn transport_of(text: &str) -> PyResult<Transport> {
    text.parse().map_err(|sentence: String| fault(sentence))
}

pub(super) fn route(
    transport: Option<&str>,
    large_by_tcp: bool,
    pong: bool,
) -> PyResult<Option<Route>> {
    let Some(transport) = transport else {
        return Ok(None);
    };
    Ok(Some(Route {
        transport: transport_of(transport)?,
        large_by_tcp,
        pong,
    }))
}

/// Kind (1 write, 2 close, 3 dial), connection, bytes to write, whom to dial, and by which transport.
pub(super) type Ordered<'py> = (u8, u64, Bound<'py, PyBytes>, (String, u16), &'static str);

pub(super) fn ordered(py: Python<'_>, orders: Vec<Order>) -> Vec<Ordered<'_>> {
    let nobody = || (String::new(), 0);
    orders
        .into_iter()
        .map(|order| match order {
            Order::Write { connection, bytes } => {
                (1, connection, PyBytes::new(py, &bytes), nobody(), "")
            }
            Order::Close { connection } => (2, connection, PyBytes::new(py, b""), nobody(), ""),
            Order::Dial {
                connection,
                peer,
                transport,
            } => {
                let nothing = PyBytes::new(py, b"");
                (3, connection, nothing, pair(peer), transport.parameter())
            }
        })
        .collect()
}

pub(super) fn fault(sentence: impl Into<String>) -> PyErr {
    PyValueError::new_err(sentence.into())
}

pub(super) fn socket_address(address: &Address) -> PyResult<SocketAddr> {
    try_socket_address(address)
        .ok_or_else(|| fault(format!("not an IP address: {:?}", &*address.0)))
}

fn socket_address_of(host: &str, port: u16) -> PyResult<SocketAddr> {
    let ip: IpAddr = host
        .parse()
        .map_err(|_| fault(format!("not an IP address: {host:?}")))?;
    Ok(SocketAddr::new(ip, port))
}

fn try_socket_address((host, port): &Address) -> Option<SocketAddr> {
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip, *port))
}

pub(super) fn pair(address: SocketAddr) -> (String, u16) {
    (address.ip().to_canonical().to_string(), address.port())
}

/// CIDR strings.
pub(super) fn read_networks(networks: &[PyBackedStr]) -> PyResult<Vec<Network>> {
    let read: Result<Vec<Network>, String> = networks.iter().map(|text| text.parse()).collect();
    read.map_err(fault)
}

/// What both engines are made of, but for where their datagrams come from.
pub(super) fn settings(
    local: &Address,
    realm: String,
    networks: &[PyBackedStr],
    listeners: &[Listener],
    seed: &[u8],
    qop: bool,
    limits: Limits,
) -> PyResult<Settings> {
    if realm
        .bytes()
        .any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f))
    {
        return Err(fault("a realm that can't stand in quotes"));
    }
    let listener = |(transport, host, port): &Listener| {
        let address = socket_address_of(host, *port)?;
        PyResult::Ok((transport_of(transport)?, address))
    };
    Ok(Settings {
        local: socket_address(local)?,
        listeners: listeners.iter().map(listener).collect::<PyResult<_>>()?,
        realm,
        networks: read_networks(networks)?,
        seed: seed
            .try_into()
            .map_err(|_| fault("the seed is not 32 bytes"))?,
        qop,
        limits,
    })
}

/// Those that are named; the others are the usual ones.
pub(super) fn read_limits(named: &HashMap<String, usize>) -> PyResult<Limits> {
    let mut limits = Limits::default();
    for (name, value) in named {
        limits.set(name, *value).map_err(fault)?;
    }
    Ok(limits)
}

/// What is no address is nobody's.
pub(super) fn know(core: &mut sip_core::Core, came: &[Address], gone: &[Address], cut: &[Cut]) {
    for (address, user, transport) in cut {
        if let (Some(address), Ok(transport)) = (try_socket_address(address), transport.parse()) {
            core.cut_off(address, user, transport);
        }
    }
    for (addresses, known) in [(gone, false), (came, true)] {
        for address in addresses.iter().filter_map(try_socket_address) {
            core.know(address, known);
        }
    }
}

/// A connection that came in, to that address of ours where it is told; 0: it is to be closed at once.
pub(super) fn accept(
    core: &mut sip_core::Core,
    peer: &Address,
    transport: &str,
    to: Option<&Address>,
    now: sip_core::Time,
) -> PyResult<u64> {
    let (peer, transport) = (socket_address(peer)?, transport_of(transport)?);
    let accepted = match to.and_then(try_socket_address) {
        Some(local) => core.accept_at(local, peer, transport, now),
        None => core.accept(peer, transport, now),
    };
    Ok(accepted.unwrap_or(0))
}

/// Replies as Python gave them, checked; the headers of all lie in one place.
#[derive(Default)]
pub(super) struct Replies {
    replies: Vec<Reply>,
    headers: Headers,
}

struct Reply {
    transaction: u64,
    status: u16,
    headers: Range<usize>,
    body: Option<PyBackedBytes>,
}

impl Replies {
    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    fn read(&mut self, reply: &Bound<'_, PyAny>) -> PyResult<()> {
        let reply = reply.cast::<PyTuple>()?;
        let length = reply.len();
        if !(2..=4).contains(&length) {
            return Err(PyTypeError::new_err(
                "a reply is (transaction, status[, headers[, body]])",
            ));
        }
        let status: u16 = reply.get_item(1)?.extract()?;
        if !(100..700).contains(&status) {
            return Err(fault(format!("not a status: {status}")));
        }
        let first = self.headers.len();
        if length > 2 {
            for header in reply.get_item(2)?.try_iter()? {
                self.headers.push(header?.extract()?);
            }
        }
        let body = if length > 3 {
            Some(reply.get_item(3)?.extract()?)
        } else {
            None
        };
        check_headers(&self.headers[first..], body.as_ref())?;
        self.replies.push(Reply {
            transaction: reply.get_item(0)?.extract()?,
            status,
            headers: first..self.headers.len(),
            body,
        });
        Ok(())
    }
}

fn check_headers(
    headers: &[(PyBackedStr, PyBackedStr)],
    body: Option<&PyBackedBytes>,
) -> PyResult<()> {
    for (name, value) in headers {
        codec::check_header(name, value).map_err(fault)?;
    }
    let typed = || {
        headers
            .iter()
            .any(|(name, _)| codec::same_name(name, "Content-Type"))
    };
    if body.is_some_and(|body| !body.is_empty()) && !typed() {
        return Err(fault("a body without Content-Type"));
    }
    Ok(())
}

pub(super) fn read_replies(replies: &Bound<'_, PyAny>) -> PyResult<Replies> {
    let mut read = Replies::default();
    for reply in replies.try_iter()? {
        read.read(&reply?)?;
    }
    Ok(read)
}

fn borrowed(headers: &[(PyBackedStr, PyBackedStr)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}

/// Call `with` with the replies in the form the core takes.
pub(super) fn with_answers<R>(
    given: &Replies,
    with: impl FnOnce(&mut dyn Iterator<Item = Answer<'_>>) -> R,
) -> R {
    let headers = borrowed(&given.headers);
    let mut answers = given.replies.iter().map(|reply| Answer {
        transaction: reply.transaction,
        status: reply.status,
        headers: &headers[reply.headers.clone()],
        body: reply.body.as_deref().unwrap_or_default(),
    });
    with(&mut answers)
}

pub(super) type Request = (
    PyBackedStr,
    PyBackedStr,
    Address,
    Headers,
    PyBackedBytes,
    u64,
);

/// Taken before the core is locked: an iterator of Python may well ask the same engine for a token.
pub(super) fn read_requests(requests: &Bound<'_, PyAny>) -> PyResult<Vec<Request>> {
    let read = |request: Bound<'_, PyAny>| {
        let (method, uri, destination, headers, body, ack_for): Request = request.extract()?;
        check_headers(&headers, Some(&body))?;
        Ok((method, uri, destination, headers, body, ack_for))
    };
    requests.try_iter()?.map(|request| read(request?)).collect()
}

/// Write all requests, or raise before any of them counts.
pub(super) fn prepare(core: &mut sip_core::Core, requests: &[Request]) -> PyResult<Vec<Prepared>> {
    let write = |(method, uri, destination, headers, body, ack_for): &Request| {
        let outgoing = Outgoing {
            method,
            uri,
            destination: try_socket_address(destination),
            headers: &borrowed(headers),
            body,
            ack_for: *ack_for,
        };
        core.prepare(&outgoing).map_err(fault)
    };
    requests.iter().map(write).collect()
}
