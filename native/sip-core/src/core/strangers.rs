//! Known peers before strangers: who is known, what waits meanwhile, and who loses when it is too much.
//!
//! A datagram of a known address is taken at once. A stranger's is first charged to the budgets of its
//! address and of all strangers, unread; then it waits. Each turn serves of those that wait what room known
//! peers leave. Where more wait than a turn can serve, a REGISTER that shows no nonce of ours gets its
//! challenge here and anything else its 503, both without memory of it; who comes back with our nonce is at
//! its address, and is served.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::Core;
use crate::budget::{Budgets, Over};
use crate::codec::values::uri_user;
use crate::codec::{self, Head, Start};
use crate::event::Kind;
use crate::hop::Hop;
use crate::limits::Limits;
use crate::random::{Quick, Seed};
use crate::time::Time;

/// Strangers that are served in a turn in which known peers had something to say.
const BESIDE: usize = 64;
/// So many may wait for the next turn before any of them gets less than a decision.
const PRESSED: usize = 512;
/// How many are answered without memory in one turn.
const CURT: usize = 512;
/// Bytes that each waiting datagram may have on average.
const USUAL: usize = 2048;
/// Limits are told of so many times a second; what they cost is counted.
const TOLD: u32 = 10;
const SECOND: u64 = 1_000_000;

#[derive(Debug)]
struct Waiting {
    listener: u8,
    source: SocketAddr,
    bytes: Box<[u8]>,
}

#[derive(Debug)]
pub(super) struct Strangers {
    known: HashSet<SocketAddr, Quick>,
    hosts: HashSet<IpAddr>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    budgets: Budgets,
    failing: Budgets,
    told_since: Time,
    told: u32,
}

impl Strangers {
    pub fn new(seed: &Seed) -> Self {
        Strangers {
            known: HashSet::with_hasher(Quick::new(seed, "addresses")),
            hosts: HashSet::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            budgets: Budgets::new(),
            failing: Budgets::new(),
            told_since: Time::default(),
            told: 0,
        }
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Whoever is at one of these hosts is known.
    pub fn set_hosts(&mut self, hosts: HashSet<IpAddr>) {
        self.hosts = hosts;
    }

    pub(super) fn knows(&self, source: SocketAddr) -> bool {
        let ip = source.ip().to_canonical();
        self.known.contains(&SocketAddr::new(ip, source.port()))
            || (!self.hosts.is_empty() && self.hosts.contains(&ip))
    }

    fn pop(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.bytes.len();
        Some(next)
    }
}

impl Core {
    /// Whose traffic goes first from now on, and whose no longer: the addresses of leases.
    pub fn know(&mut self, address: SocketAddr, known: bool) {
        self.whence.know(address, known);
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if known {
            self.strangers.known.insert(address);
        } else {
            self.strangers.known.remove(&address);
        }
    }

    /// Take these limits from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.registrar.nonces.set_limit(limits.nonces);
        self.streams.set_limits(&limits);
        self.evict_answers();
    }

    /// Take one datagram that came to that one of our sockets, in the order that its sender's standing gives it.
    pub fn offer(&mut self, listener: u8, datagram: &[u8], source: SocketAddr, now: Time) {
        if !self.admits(source) {
            self.counters.received += 1;
            self.counters.foreign_source += 1;
            return;
        }
        if self.strangers.knows(source) {
            return self.feed_admitted(listener, datagram, source, true, now);
        }
        if !self.within_budget(source, now) {
            self.counters.received += 1;
            return;
        }
        let room = USUAL * self.limits.strangers_waiting;
        let waiting = &mut self.strangers;
        if waiting.waiting.len() >= self.limits.strangers_waiting
            || waiting.bytes + datagram.len() > room
        {
            self.counters.received += 1;
            self.counters.strangers_dropped += 1;
            return self.tell_limit("strangers_waiting", Hop::datagram(source, listener), now);
        }
        waiting.bytes += datagram.len();
        waiting.waiting.push_back(Waiting {
            listener,
            source,
            bytes: datagram.into(),
        });
    }

    /// Serve strangers until `limit` events wait, or those known leave room for no more of them.
    pub fn serve_strangers(&mut self, limit: usize, now: Time) {
        let known = self.events.len();
        let room = limit.saturating_sub(known);
        let full = known + if known == 0 { room } else { room.min(BESIDE) };
        while self.events.len() < full {
            let Some(next) = self.strangers.pop() else {
                return;
            };
            self.feed_at(next.listener, &next.bytes, next.source, now);
        }
        for _ in 0..CURT {
            if self.strangers.waiting() <= PRESSED {
                return;
            }
            if let Some(next) = self.strangers.pop() {
                self.answer_curtly(&next, now);
            }
        }
    }

    /// Of what waits nothing is read before it is served.
    pub fn strangers_waiting(&self) -> usize {
        self.strangers.waiting()
    }

    /// Charge one message to the budgets; false: it is over one of them, and counted.
    pub(super) fn within_budget(&mut self, source: SocketAddr, now: Time) -> bool {
        let (of_source, of_all) = (
            self.limits.strangers_of_source,
            self.limits.strangers_a_second,
        );
        let spent = self
            .strangers
            .budgets
            .spend(&self.keys, source.ip(), of_source, of_all, now);
        let name = match spent {
            Ok(()) => return true,
            Err(Over::Source) => {
                self.counters.strangers_of_source += 1;
                "strangers_of_source"
            }
            Err(Over::All) => {
                self.counters.strangers_a_second += 1;
                "strangers_a_second"
            }
        };
        self.tell_limit(name, Hop::datagram(source, 0), now);
        false
    }

    /// Charge one digest that was not right to its address, known or not: may it have a decision? Whoever forges
    /// a peer's address spends what is that peer's, who loses nothing by it: a right digest is never charged.
    pub(super) fn may_fail(&mut self, hop: Hop, now: Time) -> bool {
        let (source, most) = (hop.address.ip(), self.limits.failures_of_source);
        let spent = self
            .strangers
            .failing
            .spend(&self.keys, source, most, usize::MAX, now);
        if spent.is_err() {
            self.counters.failures_curtly += 1;
            self.tell_limit("failures_of_source", hop, now);
        }
        spent.is_ok()
    }

    /// Challenge a REGISTER, and remember nothing of it.
    pub(super) fn challenge_curtly(
        &mut self,
        bytes: &[u8],
        head: &Head,
        hop: Hop,
        key: u128,
        stale: bool,
        now: Time,
    ) {
        let user = uri_user(bytes, head.from_uri).of(bytes);
        let begun = self.begin_stateless(bytes, head, hop, key, 401);
        let (address, out) = (hop.address.ip(), &mut self.outbox.bytes);
        self.registrar.challenge(out, user, address, stale, now);
        self.end_stateless(begun, hop, usize::MAX);
    }

    /// Seconds after which somebody whom we refuse may come back: by chance, since many are refused at once.
    pub(super) fn retry_after(&mut self) -> String {
        let spread = u64::try_from(self.limits.retry_spread).unwrap_or(0) + 1;
        let shortest = u64::try_from(self.limits.retry_after).unwrap_or(0);
        (shortest + self.random.number() % spread).to_string()
    }

    /// An event that says which limit was met, and by whom: a few a second.
    pub(super) fn tell_limit(&mut self, name: &'static str, hop: Hop, now: Time) {
        let strangers = &mut self.strangers;
        if now.since(strangers.told_since) >= SECOND {
            strangers.told_since = now;
            strangers.told = 0;
        }
        if strangers.told >= TOLD || self.events.len() >= self.limits.events {
            return;
        }
        strangers.told += 1;
        let nothing = self.pool.message(Cow::Borrowed(b""), &Head::default());
        let mut event = self.event(Kind::Limited, 0, hop, now, &nothing);
        event.readable = false;
        event.fault = name.into();
        self.tell(event);
    }

    /// What one more stranger among too many gets: its challenge, 503, or nothing.
    fn answer_curtly(&mut self, waiting: &Waiting, now: Time) {
        let (bytes, hop) = (
            &waiting.bytes,
            Hop::datagram(waiting.source, waiting.listener),
        );
        let Ok(head) = codec::parse(bytes) else {
            self.counters.received += 1;
            self.counters.malformed += 1;
            self.counters.malformed_silenced += 1;
            return;
        };
        let method = head.method(bytes);
        let register = method == b"REGISTER";
        if register
            && self
                .registrar
                .shows_nonce(bytes, &head, hop.address.ip(), now)
        {
            return self.feed_at(waiting.listener, bytes, waiting.source, now);
        }
        self.counters.received += 1;
        self.counters.strangers_curtly += 1;
        if matches!(head.start, Start::Response { .. }) || method == b"ACK" {
            return;
        }
        let key = self.transaction_key(bytes, &head, hop, method);
        if register {
            self.challenge_curtly(bytes, &head, hop, key, false, now);
        } else {
            let later = self.retry_after();
            let headers = [("Retry-After", later.as_str())];
            self.answer_stateless(bytes, &head, hop, key, 503, &headers, usize::MAX);
        }
    }
}
