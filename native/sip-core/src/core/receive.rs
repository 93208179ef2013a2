//! Datagrams in: the filter, the parser, and requests to their server transactions.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::judge::Objection;
use super::route::Plan;
use super::{Core, hex};
use crate::codec::values::MAGIC_COOKIE;
use crate::codec::{self, Fault, Head, Headers, MAX_DATAGRAM, Refused, Span, Start};
use crate::event::Kind;
use crate::hop::Hop;
use crate::limits::{Limits, without_reserve};
use crate::network::octets;
use crate::registrar::Auth;
use crate::server::{Server, State};
use crate::time::Time;

/// Malformed datagrams are told of so many times a second; all are counted.
const MALFORMED_EVENTS: u32 = 10;
const SECOND: u64 = 1_000_000;

impl Core {
    /// Take one datagram.
    pub fn feed(&mut self, datagram: &[u8], source: SocketAddr, now: Time) {
        self.feed_at(0, datagram, source, now);
    }

    /// Take one datagram that came to that one of our sockets.
    pub fn feed_at(&mut self, listener: u8, datagram: &[u8], source: SocketAddr, now: Time) {
        if !self.admits(source) {
            self.counters.received += 1;
            self.counters.foreign_source += 1;
            return;
        }
        let known = self.strangers.knows(source);
        self.feed_admitted(listener, datagram, source, known, now);
    }

    /// Take one datagram of an address that may speak to us.
    pub(super) fn feed_admitted(
        &mut self,
        listener: u8,
        datagram: &[u8],
        source: SocketAddr,
        known: bool,
        now: Time,
    ) {
        self.counters.received += 1;
        if datagram.len() <= 64
            && datagram
                .iter()
                .all(|byte| matches!(byte, b'\r' | b'\n' | 0))
        {
            self.counters.pings += 1;
            return;
        }
        self.ring.set_clock(now);
        self.ring.note(datagram, source, false);
        self.forget_expired(now);
        self.streams.away.is_back(source);
        let hop = Hop::datagram(source, listener);
        match codec::parse(datagram) {
            Ok(mut head) => {
                if head.beyond > 0 {
                    self.counters.body_beyond_length += 1;
                    if head.length == Some(0) && known && is_ours(datagram, &head) {
                        let end = head.body.bounds().1 + head.beyond;
                        head.body = Span::new(end - head.beyond, end); // Q105
                    }
                }
                self.receive(Cow::Borrowed(datagram), &head, hop, known, now);
            }
            Err(refused) => {
                self.counters.malformed += 1;
                let Refused { fault, head } = *refused;
                self.refuse(datagram, &head, &fault, &[], hop, now);
            }
        }
    }

    /// Take one message, by whatever way it came.
    pub(super) fn receive(
        &mut self,
        bytes: Cow<'_, [u8]>,
        head: &Head,
        hop: Hop,
        known: bool,
        now: Time,
    ) {
        match head.start {
            Start::Request { .. } => {
                self.whence.heard(hop);
                self.receive_request(bytes, head, hop, known, now);
            }
            Start::Response { status, .. } => {
                self.receive_response(bytes, head, status, hop, now);
            }
        }
    }

    /// Answer what is no message for us without memory of it, as far as it can be answered, and tell of it.
    pub(super) fn refuse(
        &mut self,
        datagram: &[u8],
        head: &Head,
        fault: &Fault,
        headers: Headers<'_>,
        hop: Hop,
        now: Time,
    ) {
        let enough = [
            head.via.sent_by,
            head.from,
            head.to,
            head.call_id,
            head.cseq_value,
        ];
        let method = head.method(datagram);
        if matches!(head.start, Start::Request { .. })
            && !method.is_empty()
            && method != b"ACK"
            && !enough.iter().any(|span| span.is_empty())
        {
            let key = self.transaction_key(datagram, head, hop, method);
            // A bigger answer than question would be a gift to whoever forges sources.
            if self.answer_stateless(
                datagram,
                head,
                hop,
                key,
                fault.status,
                headers,
                2 * datagram.len(),
            ) {
                self.counters.malformed_answered += 1;
            }
        }
        if now.since(self.malformed_since) >= SECOND {
            self.malformed_since = now;
            self.malformed_events = 0;
        }
        if self.malformed_events >= MALFORMED_EVENTS || self.events.len() >= self.limits.events {
            self.counters.malformed_silenced += 1;
            return;
        }
        self.malformed_events += 1;
        let kept = &datagram[..datagram.len().min(MAX_DATAGRAM)];
        let message = self.pool.message(Cow::Borrowed(kept), &Head::default());
        let mut event = self.event(Kind::Malformed, 0, hop, now, &message);
        event.readable = false;
        event.fault = Cow::Owned(fault.to_string());
        self.tell(event);
    }

    /// What makes two copies of a request the same, and ACK and CANCEL belong to their INVITE.
    ///
    /// The branch alone would do for a peer that follows RFC 3261. Cameras repeat branches, numbers
    /// or Call-IDs (Q12), so all of them count, and without the magic cookie the content too.
    pub(super) fn transaction_key(
        &self,
        bytes: &[u8],
        head: &Head,
        hop: Hop,
        method: &[u8],
    ) -> u128 {
        let address = octets(hop.address.ip());
        let branch = head.via.branch.of(bytes);
        let (mut body, mut authorization) = (&b""[..], &b""[..]);
        let unique = branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE);
        if !unique && method != b"INVITE" {
            body = head.body.of(bytes);
            authorization = head
                .headers(bytes, b"Authorization")
                .next()
                .map_or(b"", |value| value.of(bytes));
        }
        self.keys.hash(&[
            &address,
            method,
            branch,
            head.via.sent_by.of(bytes),
            head.call_id.of(bytes),
            &head.cseq.to_be_bytes(),
            head.from_tag.of(bytes),
            body,
            authorization,
        ])
    }

    /// What makes an ACK that of a 2xx: the dialog and the INVITE's number, whatever its branch.
    pub(super) fn dialog_key(&self, bytes: &[u8], head: &Head, local_tag: &[u8]) -> u128 {
        let number = head.cseq.to_be_bytes();
        self.keys.hash(&[
            b"ACK",
            head.call_id.of(bytes),
            head.from_tag.of(bytes),
            local_tag,
            &number,
        ])
    }

    fn receive_request(
        &mut self,
        given: Cow<'_, [u8]>,
        head: &Head,
        hop: Hop,
        known: bool,
        now: Time,
    ) {
        let bytes = &*given;
        let method = head.method(bytes);
        if method == b"ACK" {
            return self.receive_ack(given, head, hop, now);
        }
        let key = self.transaction_key(bytes, head, hop, method);
        if let Some(&number) = self.by_key.get(&key) {
            return self.repeat(number, hop);
        }
        if self.answers.find(key).is_some() {
            return self.repeat_kept(bytes, head, hop, key);
        }
        if method == b"CANCEL" {
            return self.receive_cancel(given, head, hop, key, known, now);
        }
        if !self.has_room(hop, known, now) {
            return self.refuse_for_now(bytes, head, hop, key);
        }
        if let Some(Objection { fault, header }) = self.object(bytes, head, method) {
            self.counters.unsupported += 1;
            let header = header.as_ref().map(|(name, value)| (*name, value.as_str()));
            return self.refuse(bytes, head, &fault, header.as_slice(), hop, now);
        }
        let kind = Kind::of_method(method);
        let message = self.pool.message(given, head);
        let bytes = &message.bytes;
        let tag = self.keys.tag(key);
        let mut event = self.event(kind, 0, hop, now, &message);
        event.tag = tag;
        event.awaits_answer = true;
        if kind == Kind::Register {
            let proof = self.registrar.check(bytes, head, hop.address.ip(), now);
            event.auth = proof.auth;
            event.username = proof.username;
            if proof.full {
                self.counters.nonces_full += 1;
                self.tell_limit("nonces", hop, now);
            }
            match proof.auth {
                Auth::None => {}
                Auth::Verified => self.counters.digest_verified += 1,
                Auth::Wrong => self.counters.digest_wrong += 1,
                Auth::Stale => self.counters.digest_stale += 1,
            }
            let stale = proof.auth == Auth::Stale;
            if (stale || proof.auth == Auth::Wrong) && !self.may_fail(hop, now) {
                return self.challenge_curtly(bytes, head, hop, key, stale, now);
            }
        }
        let mut server = Server::new(key, tag, hop, message, kind == Kind::Invite, now);
        server.known = known;
        server.stale = event.auth == Auth::Stale;
        if event.auth == Auth::Verified {
            server.username = event.username;
        }
        event.transaction = self.insert_server(server);
        self.tell(event);
    }

    /// Take up an INVITE of which an earlier process sent its 100 and no more, from the outline that was
    /// kept of it: its transaction, to be answered like any other. No event tells of it. None for what is
    /// no such request, comes from elsewhere than allowed, is here already, or finds no room.
    pub fn adopt(&mut self, outline: &[u8], source: SocketAddr, now: Time) -> Option<u64> {
        let head = codec::parse(outline).ok()?;
        let invite =
            matches!(head.start, Start::Request { .. }) && head.method(outline) == b"INVITE";
        if !invite || !self.admits(source) || self.servers.len() >= self.limits.requests {
            return None;
        }
        let Plan::Go(hop) = self.plan(source, 0) else {
            return None;
        };
        let key = self.transaction_key(outline, &head, hop, b"INVITE");
        if self.by_key.contains_key(&key) || self.answers.find(key).is_some() {
            return None;
        }
        let message = self.pool.message(Cow::Borrowed(outline), &head);
        let server = Server::new(key, self.keys.tag(key), hop, message, true, now).announced();
        Some(self.insert_server(server))
    }

    pub(super) fn admits(&self, source: SocketAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(source.ip()))
    }

    /// Whether one more request may wait here; who is known may have the last places. Counted if not.
    fn has_room(&mut self, hop: Hop, known: bool, now: Time) -> bool {
        let Limits {
            requests, events, ..
        } = self.limits;
        let may = |limit| {
            if known { limit } else { without_reserve(limit) }
        };
        let name = if self.servers.len() >= may(requests) {
            self.counters.overload += 1;
            "requests"
        } else if self.events.len() >= may(events) {
            self.counters.events_full += 1;
            "events"
        } else {
            return true;
        };
        self.tell_limit(name, hop, now);
        false
    }

    fn refuse_for_now(&mut self, bytes: &[u8], head: &Head, hop: Hop, key: u128) {
        let later = self.retry_after();
        let headers = [("Retry-After", later.as_str())];
        self.answer_stateless(bytes, head, hop, key, 503, &headers, usize::MAX);
    }

    pub(super) fn insert_server(&mut self, server: Server) -> u64 {
        let (key, ends_at, invite) = (server.key, server.ends_at, server.is_invite());
        let number = self.servers.insert(server);
        self.by_key.insert(key, number);
        if invite {
            self.sweep_timers();
            self.schedule_server(number);
        } else {
            self.sweep_expiry();
            self.expiry.push_back((ends_at, number));
        }
        number
    }

    /// A request that is known: its last answer again, to where this copy came from.
    fn repeat(&mut self, number: u64, hop: Hop) {
        self.counters.retransmissions_absorbed += 1;
        let Some(server) = self.servers.get_mut(number) else {
            return;
        };
        server.hop = hop;
        if matches!(server.state, State::Confirmed | State::Acknowledged) {
            return;
        }
        if let Some(response) = server.response.clone() {
            self.transmit(&response, hop, 0);
        }
    }

    fn receive_ack(&mut self, given: Cow<'_, [u8]>, head: &Head, hop: Hop, now: Time) {
        let bytes = &*given;
        let key = self.transaction_key(bytes, head, hop, b"INVITE");
        let dialog = self.dialog_key(bytes, head, head.to_tag.of(bytes));
        let number = self
            .by_key
            .get(&key)
            .or_else(|| self.by_dialog.get(&dialog))
            .copied();
        let mut transaction = 0;
        let mut tag = 0;
        if let Some((number, server)) =
            number.and_then(|number| Some((number, self.servers.get_mut(number)?)))
        {
            let accepted = server.state == State::Accepted;
            if server.acknowledge(now) {
                self.schedule_server(number);
            }
            if !accepted {
                self.counters.retransmissions_absorbed += 1;
                return;
            }
            transaction = number;
            tag = self.servers.get(number).map_or(0, |server| server.tag);
        } else if self.answers.find(key).is_some()
            || head.to_tag.of(bytes) == hex(self.keys.tag(key))
        {
            // Of a refusal at once, or of an answer that we gave without memory of it.
            self.counters.retransmissions_absorbed += 1;
            return;
        } else {
            self.counters.stray_acks += 1;
            if self.events.len() >= self.limits.events {
                self.counters.events_full += 1;
                return;
            }
        }
        let message = self.pool.message(given, head);
        let mut event = self.event(Kind::Ack, transaction, hop, now, &message);
        event.tag = tag;
        self.tell(event);
    }

    /// The CANCEL is answered here; the INVITE is left to the layer above (RFC 3261 section 9.2).
    fn receive_cancel(
        &mut self,
        given: Cow<'_, [u8]>,
        head: &Head,
        hop: Hop,
        key: u128,
        known: bool,
        now: Time,
    ) {
        let bytes = &*given;
        let invite_key = self.transaction_key(bytes, head, hop, b"INVITE");
        let invite = self.by_key.get(&invite_key).copied();
        let found = match invite.and_then(|number| self.servers.get(number)) {
            Some(server) => Some((server.state, server.tag)),
            None => (self.answers.find(invite_key)).map(|kept| (State::Answered, kept.tag)),
        };
        let status = if found.is_some() { 200 } else { 481 };
        if !self.has_room(hop, known, now) {
            return self.refuse_for_now(bytes, head, hop, key);
        }
        let message = self.pool.message(given, head);
        let tag = found.map_or_else(|| self.keys.tag(key), |(_, tag)| tag);
        let server = Server::new(key, tag, hop, Arc::clone(&message), false, now);
        let cancel = self.insert_server(server);
        self.answer(cancel, status, &[], &[], now);
        if let (Some(number), Some((State::Proceeding, tag))) = (invite, found) {
            let mut event = self.event(Kind::Cancel, number, hop, now, &message);
            event.tag = tag;
            event.awaits_answer = true;
            self.tell(event);
        }
    }
}

/// Whether its body is of a type that peers send us, however they spell it (Q108).
fn is_ours(bytes: &[u8], head: &Head) -> bool {
    let whole = head.content_type.of(bytes);
    let kind = whole.split(|byte| *byte == b';').next().unwrap_or(whole);
    [
        &b"application/manscdp+xml"[..],
        b"application/sdp",
        b"application/mansrtsp",
    ]
    .iter()
    .any(|known| kind.trim_ascii().eq_ignore_ascii_case(known))
}
