//! The table of connections: who is there, for how long, and who has to go when it is full.
//!
//! A connection is a stranger's until a REGISTER that came by it is accepted, or it is one that we made, or
//! it comes from a host that we make connections to. Strangers are bounded in number by source and in all,
//! in the length of a message, and in time; the newest of them displaces the oldest, a known one nobody.

pub mod away;
pub mod framing;
mod stream;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::hop::Transport;
use crate::limits::Limits;
use crate::slab::Slab;
use crate::time::Time;
use crate::timers::Timers;
use away::{Absent, Away};
use framing::Framing;
pub use stream::{Stream, Terms};

/// How long what is too long for a datagram goes as one all the same, after a connection was refused.
const REFUSING: u64 = 300_000_000;

/// How requests of ours go to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub transport: Transport,
    /// By TCP what is too long for a datagram that nobody splits (RFC 3261 section 18.1.1).
    pub large_by_tcp: bool,
    /// Whether an empty line twice from there is answered (RFC 5626 section 3.5.1).
    pub pong: bool,
}

/// What whoever holds the sockets has to do, in this order.
#[derive(Debug, Clone)]
pub enum Order {
    Write {
        connection: u64,
        bytes: Arc<[u8]>,
    },
    /// After what was written has left.
    Close {
        connection: u64,
    },
    Dial {
        connection: u64,
        peer: SocketAddr,
        transport: Transport,
    },
}

/// Who has to go for a newer one: of too many from one address, or of too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displaced {
    OfSource(u64),
    OfAll(u64),
}

/// Why there is no place for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

#[derive(Debug)]
pub struct Streams {
    table: Slab<Stream>,
    most: usize,
    of_source: usize,
    dialling: usize,
    by_peer: HashMap<SocketAddr, u64>,
    /// Connections of strangers, oldest first; those that are gone or known by now are passed over.
    strangers: VecDeque<u64>,
    by_source: HashMap<IpAddr, VecDeque<u64>>,
    routes: HashMap<SocketAddr, Route>,
    pub away: Away,
    /// Where a connection could not be made that a datagram can do without, and until when none is tried.
    refusing: HashMap<SocketAddr, Time>,
    timers: Timers,
    orders: Vec<Order>,
}

impl Streams {
    pub fn new(limits: &Limits) -> Self {
        Streams {
            table: Slab::new(0),
            most: limits.connections,
            of_source: limits.connections_of_source,
            dialling: limits.dialling,
            by_peer: HashMap::new(),
            strangers: VecDeque::new(),
            by_source: HashMap::new(),
            routes: HashMap::new(),
            away: Away::default(),
            refusing: HashMap::new(),
            timers: Timers::default(),
            orders: Vec::new(),
        }
    }

    /// Who is here stays, however many they are.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.most = limits.connections;
        self.of_source = limits.connections_of_source;
        self.dialling = limits.dialling;
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Stream)> {
        self.table.iter()
    }

    pub fn get(&self, connection: u64) -> Option<&Stream> {
        self.table.get(connection)
    }

    pub fn get_mut(&mut self, connection: u64) -> Option<&mut Stream> {
        self.table.get_mut(connection)
    }

    /// The connection with that address at its other end.
    pub fn of(&self, peer: SocketAddr) -> Option<u64> {
        self.by_peer.get(&peer).copied()
    }

    pub fn route(&self, peer: SocketAddr) -> Option<Route> {
        self.routes.get(&peer).copied()
    }

    pub fn set_route(&mut self, peer: SocketAddr, route: Option<Route>) {
        self.refusing.remove(&peer);
        match route {
            Some(route) => self.routes.insert(peer, route),
            None => self.routes.remove(&peer),
        };
    }

    /// Whether a connection there could not be made lately.
    pub fn is_refusing(&self, peer: SocketAddr) -> bool {
        !self.refusing.is_empty() && self.refusing.contains_key(&peer)
    }

    /// Try no connection there for a while.
    pub fn note_refusing(&mut self, peer: SocketAddr, now: Time) {
        self.refusing.insert(peer, now.after(REFUSING));
    }

    /// Let connections be tried again whose while is over.
    pub fn forget_refusing(&mut self, now: Time) {
        self.refusing.retain(|_, until| *until > now);
    }

    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    pub fn waiting(&self) -> bool {
        !self.orders.is_empty()
    }

    /// The hosts that we make connections to.
    pub fn hosts(&self) -> HashSet<IpAddr> {
        let hosts = self.routes.keys().map(|at| at.ip().to_canonical());
        hosts.collect()
    }

    /// A connection that came in; who has to go for it, if anybody must.
    pub fn accept(
        &mut self,
        peer: SocketAddr,
        transport: Transport,
        now: Time,
    ) -> Result<(u64, Option<Displaced>), Full> {
        let source = peer.ip();
        let route = self.routes.iter().find(|(at, _)| at.ip() == source);
        let terms = route.map_or(Terms::default(), |(_, route)| Terms {
            pong: route.pong,
            ..Terms::default()
        });
        let known = route.is_some();
        let mut displaced = None;
        if !known {
            let oldest = self.oldest_of(source);
            let full = self.table.len() >= self.most;
            displaced = oldest.map(Displaced::OfSource);
            if displaced.is_none() && full {
                displaced = self.oldest().map(Displaced::OfAll);
            }
            if full && displaced.is_none() {
                return Err(Full);
            }
        }
        let connection = self.insert(peer, transport, known, terms, None, now);
        if !known {
            self.strangers.push_back(connection);
            self.by_source
                .entry(source)
                .or_default()
                .push_back(connection);
        }
        Ok((connection, displaced))
    }

    /// The oldest stranger from there, if there are as many as may be.
    fn oldest_of(&mut self, source: IpAddr) -> Option<u64> {
        let table = &self.table;
        let queue = self.by_source.get_mut(&source)?;
        queue.retain(|connection| table.get(*connection).is_some_and(|stream| !stream.known));
        if queue.is_empty() {
            self.by_source.remove(&source);
            return None;
        }
        (queue.len() >= self.of_source)
            .then(|| queue.front().copied())
            .flatten()
    }

    fn oldest(&mut self) -> Option<u64> {
        while let Some(&connection) = self.strangers.front() {
            if self
                .table
                .get(connection)
                .is_some_and(|stream| !stream.known)
            {
                return Some(connection);
            }
            self.strangers.pop_front();
        }
        None
    }

    /// A connection of ours to `peer`, to be made. What is written meanwhile waits for it.
    pub fn dial(&mut self, peer: SocketAddr, transport: Transport, now: Time) -> u64 {
        let pong = self.routes.get(&peer).is_some_and(|route| route.pong);
        let terms = Terms {
            pong,
            ..Terms::default()
        };
        let connection = self.insert(peer, transport, true, terms, Some(Vec::new()), now);
        self.orders.push(Order::Dial {
            connection,
            peer,
            transport,
        });
        connection
    }

    fn insert(
        &mut self,
        peer: SocketAddr,
        transport: Transport,
        known: bool,
        terms: Terms,
        dialling: Option<Vec<Arc<[u8]>>>,
        now: Time,
    ) -> u64 {
        self.away.is_back(peer);
        let connection = self.table.insert(Stream {
            peer,
            transport,
            known,
            place: None,
            framing: Framing::default(),
            certificate: Arc::from(""),
            user: None,
            asked: false,
            terms,
            dialling,
            opened: now,
            heard: None,
            ends: None,
            queued: Time::NEVER,
        });
        self.by_peer.insert(peer, connection);
        self.schedule(connection);
        connection
    }

    /// A connection of ours is made: what waited for it leaves.
    pub fn opened(&mut self, connection: u64, now: Time) {
        let Some(stream) = self.table.get_mut(connection) else {
            return;
        };
        stream.opened = now;
        for bytes in stream.dialling.take().unwrap_or_default() {
            self.orders.push(Order::Write { connection, bytes });
        }
        self.schedule(connection);
    }

    /// False: it is gone, or too much waits for it.
    pub fn write(&mut self, connection: u64, bytes: Arc<[u8]>) -> bool {
        let Some(stream) = self.table.get_mut(connection) else {
            return false;
        };
        match &mut stream.dialling {
            Some(waiting) if waiting.len() >= self.dialling => return false,
            Some(waiting) => waiting.push(bytes),
            None => self.orders.push(Order::Write { connection, bytes }),
        }
        true
    }

    /// It is known who this is, or not any more.
    pub fn know(&mut self, connection: u64, user: Arc<[u8]>, terms: Option<Terms>, now: Time) {
        let Some(stream) = self.table.get_mut(connection) else {
            return;
        };
        if terms.is_some() {
            self.away.is_here(&user, connection);
        } else {
            self.away.is_not_here(&user, connection);
        }
        stream.user = terms.map(|_| user);
        stream.known = terms.is_some();
        stream.terms = terms.unwrap_or_default();
        stream.heard = Some(now);
        let source = stream.peer.ip();
        if terms.is_none() {
            self.strangers.push_back(connection);
            self.by_source
                .entry(source)
                .or_default()
                .push_back(connection);
        }
        self.schedule(connection);
    }

    /// Forget a connection; `close`: it is still there, and is to be closed.
    pub fn remove(&mut self, connection: u64, close: bool) -> Option<Stream> {
        let stream = self.table.remove(connection)?;
        if let Some(user) = &stream.user {
            self.away.is_not_here(user, connection);
        }
        if self.by_peer.get(&stream.peer) == Some(&connection) {
            self.by_peer.remove(&stream.peer);
            if stream.known || stream.asked {
                let (transport, user) = (stream.transport, stream.user.clone());
                self.away.left(stream.peer, Absent { transport, user });
            }
        }
        if let Some(queue) = self.by_source.get_mut(&stream.peer.ip()) {
            queue.retain(|other| *other != connection);
            if queue.is_empty() {
                self.by_source.remove(&stream.peer.ip());
            }
        }
        if self.strangers.len() > 2 * self.most {
            let table = &self.table;
            self.strangers
                .retain(|other| table.get(*other).is_some_and(|stream| !stream.known));
        }
        if close {
            self.orders.push(Order::Close { connection });
        }
        Some(stream)
    }

    pub fn schedule(&mut self, connection: u64) {
        if let Some(stream) = self.table.get_mut(connection) {
            self.timers
                .schedule(connection, stream.due(), &mut stream.queued);
        }
    }

    pub fn deadline(&mut self) -> Option<Time> {
        while let Some((due, connection)) = self.timers.peek() {
            if let Some(stream) = self.table.get_mut(connection) {
                if stream.queued == due && stream.due() == due {
                    return Some(due);
                }
                if stream.queued == due {
                    stream.queued = Time::NEVER;
                    self.timers.pop();
                    self.schedule(connection);
                    continue;
                }
            }
            self.timers.pop();
        }
        None
    }

    /// Who has come to the end of its time; called until there is none.
    pub fn expired(&mut self, now: Time) -> Option<u64> {
        self.deadline().filter(|due| *due <= now)?;
        let (_, connection) = self.timers.peek()?;
        self.timers.pop();
        Some(connection)
    }
}
