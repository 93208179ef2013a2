//! What deciders read of each message of a run, made in one call: an attribute asked of an event in Python costs as
//! much as all of its tuple here.

use std::net::{IpAddr, SocketAddr};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::event::Event;
use crate::manscdp::Head;

/// Text of addresses, of which a run has few.
#[derive(Default)]
struct Hosts<'py>(Option<(IpAddr, Bound<'py, PyString>)>);

impl<'py> Hosts<'py> {
    fn pair(&mut self, py: Python<'py>, source: SocketAddr) -> PyResult<Bound<'py, PyTuple>> {
        let ip = source.ip().to_canonical();
        let host = match &self.0 {
            Some((last, text)) if *last == ip => text.clone(),
            _ => {
                let text = PyString::new(py, &ip.to_string());
                self.0 = Some((ip, text.clone()));
                text
            }
        };
        (host, source.port()).into_pyobject(py)
    }
}

/// Of each REGISTER: transaction, auth, X-GB-Ver, From user, and what was proven, None if nothing was.
#[pyfunction]
pub(super) fn registrations<'py>(run: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
    let py = run.py();
    let mut hosts = Hosts::default();
    let read = PyList::empty(py);
    for item in run.iter() {
        let event = item.cast::<Event>()?.get();
        let user = event.sender(py);
        let proven = if event.verified() {
            let username = event.username();
            let named = if user.to_str()? == &*username {
                user.clone()
            } else {
                PyString::new(py, &username)
            };
            let source = hosts.pair(py, event.address())?;
            Some((
                named,
                source,
                event.arrived(),
                event.transport(py),
                event.certificate(),
                event.expires(),
                event.contact(),
            ))
        } else {
            None
        };
        let version = event.header("X-GB-Ver");
        read.append((event.transaction(), event.auth(), version, user, proven))?;
    }
    Ok(read)
}

/// Keepalives that say OK, each with transaction, From user, source and moment; and the others with their heads.
#[pyfunction]
pub(crate) fn keepalives<'py>(
    run: &Bound<'py, PyList>,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
    let py = run.py();
    let mut hosts = Hosts::default();
    let (alive, others) = (PyList::empty(py), PyList::empty(py));
    for item in run.iter() {
        let event = item.cast::<Event>()?.get();
        let head = manscdp_core::head(event.content());
        match head {
            Some(head) if head.well && head.cmd_type == "Keepalive" && head.root == "Notify" => {
                let source = hosts.pair(py, event.address())?;
                let user = event.sender(py);
                alive.append((&item, event.transaction(), user, source, event.arrived()))?;
            }
            head => others.append((&item, head.map(Head::from)))?,
        }
    }
    Ok((alive, others))
}
