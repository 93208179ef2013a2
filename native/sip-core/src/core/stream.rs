//! Connections in and out: bytes become messages here, and take the path that datagrams take.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Core;
use crate::hop::{Hop, Transport, Way};
use crate::network::Network;
use crate::streams::away::Absent;
use crate::streams::framing::Found;
use crate::streams::{Displaced, Order, Route, Stream, Terms};
use crate::time::Time;

/// Connections closed for silence in one call of [`Core::advance`]; for others it is due again at once.
const CLOSED: usize = 64;

impl Core {
    /// A connection came in, to that address of ours; None: it is to be closed at once.
    pub fn accept_at(
        &mut self,
        local: SocketAddr,
        peer: SocketAddr,
        transport: Transport,
        now: Time,
    ) -> Option<u64> {
        let connection = self.accept(peer, transport, now)?;
        let mut own = (self.places.iter()).filter(|place| place.transport == transport);
        let place = own.position(|place| place.address == local);
        if let (Some(stream), Some(place)) = (self.streams.get_mut(connection), place) {
            stream.place = Some(place);
        }
        Some(connection)
    }

    /// A connection came in; None: it is to be closed at once.
    pub fn accept(&mut self, peer: SocketAddr, transport: Transport, now: Time) -> Option<u64> {
        if !self.admits(peer) {
            self.counters.foreign_source += 1;
            return None;
        }
        let was = self.streams.away.at(peer);
        let back = was.and_then(|absent| absent.user.clone());
        let Ok((connection, displaced)) = self.streams.accept(peer, transport, now) else {
            self.counters.streams_refused += 1;
            self.tell_limit("connections", Hop::incoming(peer, transport), now);
            return None;
        };
        self.counters.streams_accepted += 1;
        if let Some(displaced) = displaced {
            let (oldest, limit) = match displaced {
                Displaced::OfSource(oldest) => (oldest, "connections_of_source"),
                Displaced::OfAll(oldest) => (oldest, "connections"),
            };
            self.counters.streams_displaced += 1;
            self.counters.streams_of_source += u64::from(limit == "connections_of_source");
            let loser = self.streams.get(oldest).map_or(peer, |stream| stream.peer);
            self.tell_limit(limit, Hop::incoming(loser, transport), now);
            self.drop_stream(oldest, true, "a newer connection took its place", now);
        }
        if let (Some(user), Transport::Tcp) = (back, transport) {
            // From the very same port: what waits for that address leaves.
            let hop = Hop {
                way: Way::Stream(connection),
                ..Hop::incoming(peer, transport)
            };
            self.release(&user, hop, |destination| destination == peer, now);
        }
        Some(connection)
    }

    /// A connection that was ordered is made.
    pub fn opened(&mut self, connection: u64, now: Time) {
        self.streams.opened(connection, now);
    }

    /// The names in the certificate of its other end, which was verified.
    pub fn certified(&mut self, connection: u64, names: &str) {
        if let Some(stream) = self.streams.get_mut(connection) {
            stream.certificate = Arc::from(names);
        }
    }

    /// A connection is gone, or could not be made.
    pub fn closed(&mut self, connection: u64, reason: &str, now: Time) {
        self.drop_stream(connection, false, reason, now);
    }

    /// So many bytes wait for its other end to read them.
    pub fn backlog(&mut self, connection: u64, bytes: usize, now: Time) {
        let Some(stream) = self.streams.get(connection) else {
            return;
        };
        if bytes <= self.limits.unsent_bytes || stream.is_ending() {
            return;
        }
        let hop = stream_hop(stream, connection);
        self.counters.streams_slow += 1;
        self.tell_limit("unsent_bytes", hop, now);
        self.drop_stream(connection, true, "it does not read what we send", now);
    }

    /// What whoever holds the connections has to do.
    pub fn take_orders(&mut self) -> Vec<Order> {
        self.streams.take_orders()
    }

    pub fn has_orders(&self) -> bool {
        self.streams.waiting()
    }

    /// How requests of ours go to that address; None: as what comes from there.
    pub fn set_route(&mut self, peer: SocketAddr, route: Option<Route>) {
        self.streams.set_route(peer, route);
        self.strangers.set_hosts(self.streams.hosts());
    }

    /// From where anybody may speak to us, from now on. Who may not any more loses its connection; what it
    /// asked before is answered.
    pub fn set_networks(&mut self, networks: Vec<Network>, now: Time) {
        self.networks = networks;
        let strange: Vec<u64> = (self.streams.iter())
            .filter(|(_, stream)| !self.admits(stream.peer))
            .map(|(connection, _)| connection)
            .collect();
        for connection in strange {
            self.counters.streams_excluded += 1;
            self.drop_stream(
                connection,
                true,
                "its network may not speak to us any more",
                now,
            );
        }
    }

    /// Whoever is there spoke by a connection which is no more: no datagram goes there until one comes, and
    /// what we ask of it waits a moment for that user to connect.
    pub fn cut_off(&mut self, address: SocketAddr, user: &str, transport: Transport) {
        if self.streams.of(address).is_none() {
            let user = Some(Arc::from(user.as_bytes()));
            self.streams.away.left(address, Absent { transport, user });
        }
    }

    /// What that user may do on a connection by which it has registered. Of those with the usual terms, who are
    /// nearly all, nothing is kept.
    pub fn set_terms(&mut self, user: &str, terms: Terms) {
        if terms == Terms::default() {
            self.terms.remove(user.as_bytes());
        } else {
            self.terms.insert(user.as_bytes().into(), terms);
        }
    }

    /// Of whose body in its first KiB one of these stands, that may be large where terms say so.
    pub fn set_large_kinds(&mut self, kinds: Vec<Box<[u8]>>) {
        self.large_kinds = kinds;
    }

    /// Take what came by a connection, in any pieces.
    pub fn feed_stream(&mut self, connection: u64, bytes: &[u8], now: Time) {
        self.ring.set_clock(now);
        self.forget_expired(now);
        match self.streams.get_mut(connection) {
            Some(stream) if !stream.is_ending() => stream.framing.feed(bytes),
            _ => return,
        }
        while let Some(stream) = self.streams.get_mut(connection) {
            let allowed = stream.allowed(&self.large_kinds);
            match stream.framing.next(allowed, now) {
                Found::Nothing => break,
                Found::Ping => self.take_ping(connection, now),
                found => {
                    if !self.take_found(connection, found, now) {
                        break;
                    }
                }
            }
        }
        if let Some(stream) = self.streams.get_mut(connection) {
            stream.framing.settle();
        }
        self.streams.schedule(connection);
    }

    fn take_ping(&mut self, connection: u64, now: Time) {
        self.counters.pings += 1;
        let Some(stream) = self.streams.get_mut(connection) else {
            return;
        };
        if stream.known {
            stream.heard(now);
        }
        if stream.pong() {
            self.streams.write(connection, Arc::from(&b"\r\n"[..]));
        }
    }

    /// False: nothing more is read.
    fn take_found(&mut self, connection: u64, found: Found, now: Time) -> bool {
        let (head, fault, length, lost) = match found {
            Found::Nothing | Found::Ping => return true,
            Found::Message(head, length) => (head, None, length, false),
            Found::Refused(head, fault, length) => (head, Some(fault), length, false),
            Found::Lost(head, fault, length) => (head, Some(fault), length, true),
        };
        let Some(stream) = self.streams.get_mut(connection) else {
            return false;
        };
        let hop = stream_hop(stream, connection);
        let bytes = stream.framing.front(length).to_vec();
        stream.framing.take(length);
        stream.heard(now);
        let known = stream.known;
        self.counters.received += 1;
        if !known && !self.within_budget(hop.address, now) {
            self.counters.streams_over_budget += 1;
            self.drop_stream(connection, true, "it said too much", now);
            return false;
        }
        self.ring.note(&bytes, hop.address, false);
        match fault {
            None => self.receive(Cow::Owned(bytes), &head, hop, known, now),
            Some(fault) => {
                self.counters.malformed += 1;
                self.refuse(&bytes, &head, &fault, &[], hop, now);
            }
        }
        if lost {
            self.counters.streams_lost += 1;
            if let Some(stream) = self.streams.get_mut(connection) {
                stream.end(now);
            }
        }
        !lost
    }

    /// Close those whose time is over, some at a time: a crowd that came at once would else be closed at once,
    /// and come back at once.
    pub(super) fn expire_streams(&mut self, now: Time) {
        self.streams.forget_refusing(now);
        for _ in 0..CLOSED {
            let Some(connection) = self.streams.expired(now) else {
                return;
            };
            let lost = self.streams.get(connection).is_some_and(Stream::is_ending);
            self.counters.streams_timed_out += u64::from(!lost);
            let reason = if lost {
                "what it says is no SIP"
            } else {
                "nothing came of it in time"
            };
            self.drop_stream(connection, true, reason, now);
        }
    }

    fn drop_stream(&mut self, connection: u64, close: bool, reason: &str, now: Time) {
        let Some(stream) = self.streams.remove(connection, close) else {
            return;
        };
        if !stream.asked {
            return;
        }
        let waiting: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, client)| client.hop.connection() == connection && !client.is_over())
            .map(|(number, _)| number)
            .collect();
        let route = self.streams.route(stream.peer);
        let falls_back = stream.is_dialling()
            && route.is_some_and(|route| route.transport == Transport::Udp && route.large_by_tcp);
        if falls_back {
            self.streams.note_refusing(stream.peer, now);
        }
        for number in waiting {
            if falls_back && self.send_by(number, self.by_datagram(stream.peer), now) {
                self.counters.fell_back += 1;
            } else {
                self.undelivered(number, reason, now);
            }
        }
    }

    /// After our 2xx to a REGISTER that proved itself: whose connection it is, or no longer. What waited for
    /// that user leaves, by whatever it is here.
    pub(super) fn know_stream(&mut self, hop: Hop, user: &[u8], registered: bool, now: Time) {
        match hop.way {
            Way::Stream(connection) => {
                let terms = self.terms.get(user).copied().unwrap_or_default();
                let terms = registered.then_some(terms);
                self.streams.know(connection, Arc::from(user), terms, now);
            }
            Way::Datagram(listener) if registered => self.whence.registered(hop.address, listener),
            Way::Datagram(_) => {}
        }
        if registered {
            self.release(user, hop, |_| true, now);
        }
    }

    /// Let requests leave that waited for that user, of those destinations.
    fn release(&mut self, user: &[u8], hop: Hop, of: impl Fn(SocketAddr) -> bool, now: Time) {
        for number in self.streams.away.take_waiting(user) {
            let client = self.clients.get(number);
            if client.is_some_and(|client| !of(client.hop.address)) {
                self.streams.away.wait(&Arc::from(user), number, usize::MAX);
            } else if !self.send_by(number, hop, now) {
                self.undelivered(number, "it is too long for the way that is left", now);
            }
        }
    }

    /// Let a request wait for whoever is away from its destination.
    pub(super) fn wait_for(&mut self, number: u64, destination: SocketAddr, now: Time) {
        let absent = self.streams.away.at(destination);
        let Some(user) = absent.and_then(|absent| absent.user.clone()) else {
            return self.undelivered(number, "its connection is closed", now);
        };
        if !(self.streams.away).wait(&user, number, self.limits.dialling) {
            self.counters.dialling_full += 1;
            return self.undelivered(number, "too many requests wait for it to connect", now);
        }
        if let Some(client) = self.clients.get_mut(number) {
            client.wait_for(user, now);
        }
        self.counters.awaited += 1;
        self.schedule_client(number);
    }
}

pub(super) fn stream_hop(stream: &Stream, connection: u64) -> Hop {
    Hop {
        address: stream.peer,
        way: Way::Stream(connection),
        transport: stream.transport,
    }
}
