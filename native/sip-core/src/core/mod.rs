//! The engine: one state that takes inputs with `now`, and gives events, datagrams and one deadline.

mod advance;
mod answer;
mod judge;
mod receive;
mod request;
mod responses;
mod route;
mod strangers;
mod stream;

use route::Place;
use strangers::Strangers;

pub use request::Prepared;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::attempts::Attempt;
use crate::client::Client;
use crate::codec::Headers;
use crate::counters::Counters;
use crate::digest::{Algorithm, HEX, Qop};
use crate::event::{Event, Kind, Message};
use crate::hop::{Hop, Transport, Way};
use crate::kept::Answers;
use crate::limits::Limits;
use crate::network::Network;
use crate::outbox::{Letter, Outbox};
use crate::pool::Pool;
use crate::random::{ByHash, Keys, Random, Seed};
use crate::registrar::Registrar;
use crate::ring::{Ring, is_of_call};
use crate::server::Server;
use crate::slab::Slab;
use crate::streams::{Streams, Terms};
use crate::time::Time;
use crate::timers::Timers;
use crate::whence::Whence;

#[derive(Debug, Clone)]
pub struct Settings {
    /// What our Via says.
    pub local: SocketAddr,
    /// Our other addresses.
    pub listeners: Vec<(Transport, SocketAddr)>,
    pub realm: String,
    /// Allowed sources.
    pub networks: Vec<Network>,
    pub seed: Seed,
    /// Offer qop="auth".
    pub qop: bool,
    pub limits: Limits,
}

/// An answer to a request. The headers were checked by `codec::check_header`.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub transaction: u64,
    pub status: u16,
    pub headers: Headers<'a>,
    pub body: &'a [u8],
}

/// A request of ours, which brings its own From, To, Call-ID and `CSeq`.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    /// None: the caller's text was no address, and the request will be undelivered.
    pub destination: Option<SocketAddr>,
    pub headers: Headers<'a>,
    pub body: &'a [u8],
    /// The client transaction of the INVITE whose 2xx this ACK acknowledges; else 0.
    pub ack_for: u64,
}

/// A datagram to send, with memory of its own; see [`Letter`](crate::outbox::Letter).
#[derive(Debug, Clone)]
pub struct Output {
    pub bytes: Box<[u8]>,
    pub destination: SocketAddr,
    /// By which of our datagram sockets.
    pub listener: u8,
    pub transaction: u64,
}

type ByKey = HashMap<u128, u64, ByHash>;

#[derive(Debug)]
pub struct Core {
    /// Where we are; the first one is the datagram socket that counts where nothing says otherwise.
    places: Vec<Place>,
    networks: Vec<Network>,
    limits: Limits,
    keys: Keys,
    random: Random,
    registrar: Registrar,
    servers: Slab<Server>,
    /// Server transactions that are not over, by the hash of what identifies their request.
    by_key: ByKey,
    /// Accepted INVITEs by the hash of what identifies their ACK.
    by_dialog: ByKey,
    clients: Slab<Client>,
    /// Client transactions without a final answer.
    requests: usize,
    /// Client transactions by branch, and whether they are a CANCEL, which shares its INVITE's branch.
    by_branch: HashMap<(u64, bool), u64>,
    timers: Timers,
    /// Ends of transactions that are not INVITEs, oldest first.
    expiry: VecDeque<(Time, u64)>,
    /// Those that are over, for what is repeated.
    answers: Answers,
    events: VecDeque<Event>,
    pool: Pool,
    outbox: Outbox,
    streams: Streams,
    strangers: Strangers,
    whence: Whence,
    terms: HashMap<Box<[u8]>, Terms>,
    large_kinds: Vec<Box<[u8]>>,
    malformed_since: Time,
    malformed_events: u32,
    counters: Counters,
    ring: Ring,
    scratch: Vec<u8>,
}

impl Core {
    pub fn new(settings: Settings) -> Self {
        let Settings {
            local,
            listeners,
            realm,
            networks,
            seed,
            qop,
            limits,
        } = settings;
        let places = std::iter::once((Transport::Udp, local))
            .chain(listeners)
            .map(|(transport, address)| Place {
                transport,
                address,
                text: address.to_string(),
            })
            .collect::<Vec<Place>>();
        let several = 1 < places
            .iter()
            .filter(|place: &&Place| place.transport == Transport::Udp)
            .count();
        Core {
            places,
            networks,
            limits,
            keys: Keys::new(&seed),
            random: Random::new(&seed, "tokens and branches"),
            registrar: Registrar::new(&seed, &realm, limits.nonces, qop),
            servers: Slab::new(0),
            by_key: ByKey::default(),
            by_dialog: ByKey::default(),
            clients: Slab::new(1),
            requests: 0,
            by_branch: HashMap::new(),
            timers: Timers::default(),
            expiry: VecDeque::new(),
            answers: Answers::default(),
            events: VecDeque::new(),
            pool: Pool::default(),
            outbox: Outbox::default(),
            streams: Streams::new(&limits),
            strangers: Strangers::new(&seed),
            whence: Whence::new(several),
            terms: HashMap::new(),
            large_kinds: Vec::new(),
            malformed_since: Time::default(),
            malformed_events: 0,
            counters: Counters::default(),
            ring: Ring::new(),
            scratch: Vec::with_capacity(2048),
        }
    }

    pub fn local(&self) -> SocketAddr {
        self.places[0].address
    }

    /// From now on this user is offered these algorithms in this order and proves itself by these HA1; with
    /// None in place of an HA1 it is offered, and nothing is right. An empty list forgets the user.
    ///
    /// # Errors
    /// A sentence: not the hex digits of that algorithm, or one algorithm twice. Nothing has changed then.
    pub fn set_credentials(
        &mut self,
        user: &str,
        given: &[(Algorithm, Option<&str>)],
        qop: Qop,
    ) -> Result<(), String> {
        self.registrar.credentials.set(user, given, qop)
    }

    /// What was not right about the last digests of this user, the last from each address; and when we gave
    /// that address the nonce in it, if we did.
    pub fn attempts(&self, user: &[u8]) -> impl Iterator<Item = (&Attempt, Option<Time>)> {
        self.registrar.attempts(user)
    }

    /// 16 hex digits that nobody can guess.
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.random.number())
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Whether anything waits for somebody to come and take it.
    pub fn has_something(&self) -> bool {
        !self.events.is_empty() || self.strangers.waiting() > 0 || self.has_orders()
    }

    pub fn take_events(&mut self, limit: usize) -> impl Iterator<Item = Event> {
        let count = self.events.len().min(limit);
        self.events.drain(..count)
    }

    /// Datagrams to send, in order. The caller says [`Core::undelivered`] of those that can't leave.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        let taken = std::mem::take(&mut self.outbox);
        let owned = |letter: Letter<'_>| Output {
            bytes: letter.bytes.into(),
            destination: letter.destination,
            listener: letter.listener,
            transaction: letter.transaction,
        };
        taken.iter().map(owned).collect()
    }

    /// The same without a copy: what is to leave against an outbox that is empty.
    pub fn swap_outbox(&mut self, other: &mut Outbox) {
        other.clear();
        std::mem::swap(&mut self.outbox, other);
    }

    /// The last messages, both ways.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Totals, and what is held now.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let held = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let mut all: Vec<_> = self.counters.each().collect();
        all.extend([
            ("now_open", held(self.servers.len())),
            ("now_cached", held(self.answers.len())),
            ("now_cached_bytes", held(self.answers.bytes())),
            ("now_requests", held(self.requests)),
            ("now_events", held(self.events.len())),
            ("now_streams", held(self.streams.len())),
            ("now_strangers", held(self.strangers.waiting())),
            ("now_known", held(self.strangers.known())),
            ("now_nonces", held(self.registrar.nonces.counting())),
        ]);
        all
    }

    fn event(&self, kind: Kind, number: u64, hop: Hop, now: Time, message: &Arc<Message>) -> Event {
        let mut event = Event::new(kind, number, hop, now, message);
        if let Way::Stream(connection) = hop.way {
            event.certificate = self
                .streams
                .get(connection)
                .map(|stream| Arc::clone(&stream.certificate))
                .filter(|names| !names.is_empty());
        }
        event
    }

    fn tell(&mut self, event: Event) {
        self.counters.events += 1;
        self.events.push_back(event);
    }

    /// False: its connection is gone, or too much waits for it to be made.
    fn transmit(&mut self, bytes: &[u8], hop: Hop, transaction: u64) -> bool {
        let start = self.outbox.bytes.len();
        self.outbox.bytes.extend_from_slice(bytes);
        self.post(start, is_of_call(bytes), hop, transaction)
    }

    /// The same of what was written into the outbox from there on.
    fn post(&mut self, start: usize, call: bool, hop: Hop, transaction: u64) -> bool {
        self.counters.sent += 1;
        let bytes = &self.outbox.bytes[start..];
        self.ring.note_as(call, bytes, hop.address, true);
        match hop.way {
            Way::Datagram(listener) => {
                self.outbox.post(start, hop.address, listener, transaction);
            }
            Way::Stream(connection) => {
                let bytes: Arc<[u8]> = Arc::from(bytes);
                self.outbox.bytes.truncate(start);
                if !self.streams.write(connection, bytes) {
                    let here = self.streams.get(connection).is_some();
                    self.counters.dialling_full += u64::from(here);
                    self.counters.sent -= 1;
                    self.counters.streams_unsent += 1;
                    return false;
                }
            }
        }
        true
    }
}

fn hex(tag: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(tag.to_be_bytes()) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    digits
}

#[cfg(test)]
mod tests;
