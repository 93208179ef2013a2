//! By which way a request of ours goes, and what its Via says of us.

use std::net::SocketAddr;

use super::Core;
use super::stream::stream_hop;
use crate::hop::{Hop, Transport, Way};
use crate::streams::away::Absent;
use crate::time::Time;

/// Longer ones may be split on the way (RFC 3261 section 18.1.1).
pub(super) const UNSPLIT: usize = 1300;

/// One address of ours.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub transport: Transport,
    pub address: SocketAddr,
    /// As our Via writes it.
    pub text: String,
}

/// How a request will go, once it is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plan {
    Go(Hop),
    Dial(SocketAddr, Transport),
    /// Once who is away from there has connected.
    Wait(SocketAddr, Transport),
    Never(&'static str),
}

impl Core {
    /// Of all ways to `destination` the one that counts for a message of `size` bytes.
    pub(super) fn plan(&self, destination: SocketAddr, size: usize) -> Plan {
        let transport = match self.streams.route(destination) {
            Some(route) if route.transport != Transport::Udp => route.transport,
            Some(route)
                if route.large_by_tcp
                    && size > UNSPLIT
                    && !self.streams.is_refusing(destination) =>
            {
                Transport::Tcp
            }
            Some(_) => return Plan::Go(self.by_datagram(destination)),
            None => {
                return match (
                    self.streams.of(destination),
                    self.streams.away.at(destination),
                ) {
                    (Some(connection), _) => self.by_stream(connection),
                    (None, Some(absent)) => self.plan_absent(destination, absent),
                    (None, None) => Plan::Go(match self.whence.of(destination) {
                        Some(listener) => Hop::datagram(destination, listener),
                        None => self.by_datagram(destination),
                    }),
                };
            }
        };
        self.by_connection(destination, transport)
    }

    fn by_connection(&self, destination: SocketAddr, transport: Transport) -> Plan {
        match self.streams.of(destination) {
            Some(connection) => self.by_stream(connection),
            None => Plan::Dial(destination, transport),
        }
    }

    /// To who made a connection to us that is gone: by another of its own, by one that we make where its terms
    /// say so, else once it makes one (RFC 3261 sections 18.1.1 and 18.4).
    fn plan_absent(&self, destination: SocketAddr, absent: &Absent) -> Plan {
        let Some(user) = &absent.user else {
            return Plan::Never("its connection is closed");
        };
        if let Some(connection) = self.streams.away.connection(user) {
            return self.by_stream(connection);
        }
        match self.terms.get(&**user).and_then(|terms| terms.dial) {
            Some(there) => self.by_connection(there, absent.transport),
            None => Plan::Wait(destination, absent.transport),
        }
    }

    fn by_stream(&self, connection: u64) -> Plan {
        match self.streams.get(connection) {
            Some(stream) => Plan::Go(stream_hop(stream, connection)),
            None => Plan::Never("its connection is closed"),
        }
    }

    pub(super) fn by_datagram(&self, destination: SocketAddr) -> Hop {
        let listener = self
            .places
            .iter()
            .filter(|place| place.transport == Transport::Udp)
            .position(|place| place.address.is_ipv6() == destination.is_ipv6());
        let listener = listener.and_then(|place| u8::try_from(place).ok());
        Hop::datagram(destination, listener.unwrap_or(0))
    }

    /// The hop itself; a connection that is not there is ordered.
    pub(super) fn take_way(&mut self, plan: Plan, now: Time) -> Result<Hop, &'static str> {
        match plan {
            Plan::Go(hop) => Ok(hop),
            Plan::Wait(peer, transport) => Ok(Hop::incoming(peer, transport)),
            Plan::Never(reason) => Err(reason),
            Plan::Dial(peer, transport) => {
                let connection = self
                    .streams
                    .of(peer)
                    .unwrap_or_else(|| self.streams.dial(peer, transport, now));
                match self.by_stream(connection) {
                    Plan::Go(hop) => Ok(hop),
                    _ => Err("its connection is closed"),
                }
            }
        }
    }

    /// Which of our addresses a message to there names.
    pub(super) fn place(&self, transport: Transport, way: Option<Way>, v6: bool) -> &Place {
        let own = || {
            self.places
                .iter()
                .filter(|place| place.transport == transport)
        };
        let found = match way {
            Some(Way::Datagram(listener)) => own().nth(usize::from(listener)),
            Some(Way::Stream(connection)) => (self.streams.get(connection))
                .and_then(|stream| stream.place)
                .and_then(|place| own().nth(place)),
            None => None,
        };
        found
            .or_else(|| own().find(|place| place.address.is_ipv6() == v6))
            .or_else(|| own().next())
            .unwrap_or(&self.places[0])
    }

    pub(super) fn place_of(&self, plan: Plan) -> (Transport, &Place) {
        match plan {
            Plan::Go(hop) => (
                hop.transport,
                self.place(hop.transport, Some(hop.way), hop.address.is_ipv6()),
            ),
            Plan::Dial(peer, transport) | Plan::Wait(peer, transport) => {
                (transport, self.place(transport, None, peer.is_ipv6()))
            }
            Plan::Never(_) => (Transport::Udp, &self.places[0]),
        }
    }

    /// By which transport a request goes to `destination`, and our address there: for a Contact.
    pub fn seen_from(&self, destination: SocketAddr) -> (Transport, SocketAddr) {
        let (transport, place) = self.place_of(self.plan(destination, 0));
        (transport, place.address)
    }
}
