//! Answers out, with memory of them and without.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Answer, Core, hex};
use crate::codec::values::uri_user;
use crate::codec::{self, Head, Headers};
use crate::event::Kind;
use crate::hop::Hop;
use crate::kept::Kept;
use crate::limits::Limits;
use crate::ring::is_of_call;
use crate::server::State;
use crate::time::{GIVE_UP, Time};

impl Core {
    /// Answer a request. What is over or answered already is counted and left alone.
    pub fn reply(&mut self, answer: &Answer<'_>, now: Time) {
        self.ring.set_clock(now);
        self.answer(
            answer.transaction,
            answer.status,
            answer.headers,
            answer.body,
            now,
        );
    }

    pub(super) fn answer(
        &mut self,
        number: u64,
        status: u16,
        headers: Headers<'_>,
        body: &[u8],
        now: Time,
    ) {
        let waiting = self
            .servers
            .get(number)
            .filter(|server| server.state.awaits_answer());
        let Some((server, message)) =
            waiting.and_then(|server| Some((server, Arc::clone(server.message.as_ref()?))))
        else {
            self.counters.late_replies += 1;
            return;
        };
        let (bytes, head) = (&message.bytes[..], &message.head);
        let (hop, key, tag, stale) = (server.hop, server.key, server.tag, server.stale);
        let username = server.username;
        // What a stranger is refused it is refused again if it asks again.
        let kept = server.known || status < 300;
        let kind = Kind::of_method(head.method(bytes));

        let digits = hex(tag);
        let shown = (status > 100).then_some(&digits[..]);
        let out = &mut self.outbox.bytes;
        let start = out.len();
        codec::begin_response(out, bytes, head, hop.address, status, shown);
        let own = out.len();
        codec::put_headers(out, headers);
        if kind == Kind::Register && status == 401 && !names(headers, "WWW-Authenticate") {
            let user = uri_user(bytes, head.from_uri).of(bytes);
            let address = hop.address.ip();
            self.registrar.challenge(out, user, address, stale, now);
        }
        codec::put_end(out, body);

        let Some(server) = self.servers.get_mut(number) else {
            return;
        };
        server.answer(status, now);
        match server.state {
            State::Answered => {
                self.remove_server(number);
                if !hop.reliable() {
                    // By a stream nothing is repeated: timer J is 0.
                    self.keep(key, tag, status, hop, own, kept, now);
                }
            }
            State::Open => {}
            reached => {
                server.response = Some(Arc::from(&self.outbox.bytes[start..]));
                if reached == State::Accepted {
                    let local = if head.to_tag.is_empty() {
                        &digits[..]
                    } else {
                        head.to_tag.of(bytes)
                    };
                    let dialog = self.dialog_key(bytes, head, local);
                    self.by_dialog.insert(dialog, number);
                    if let Some(server) = self.servers.get_mut(number) {
                        server.dialog = dialog;
                    }
                }
                self.schedule_server(number);
            }
        }
        self.post(start, is_call(head, bytes), hop, 0);
        let proven = kind == Kind::Register && !username.is_empty();
        if proven && (200..300).contains(&status) {
            let registered = head.expires(bytes) != Some(0);
            self.know_stream(hop, username.of(bytes), registered, now);
        }
    }

    /// Keep the answer that stands in the outbox, its own headers from `own` on, for repeats of its request.
    #[allow(clippy::too_many_arguments)] // what is kept of an answer
    fn keep(
        &mut self,
        key: u128,
        tag: u64,
        status: u16,
        hop: Hop,
        own: usize,
        deserved: bool,
        now: Time,
    ) {
        let Limits {
            answers,
            answer_bytes,
            ..
        } = self.limits;
        let half_full =
            self.answers.len() >= answers / 2 || self.answers.bytes() >= answer_bytes / 2;
        if !deserved && half_full {
            self.counters.answers_unkept += 1;
            return;
        }
        let kept = Kept {
            status,
            tag,
            port: hop.address.port(),
            tail: &self.outbox.bytes[own..],
        };
        self.answers.keep(key, now.after(GIVE_UP), kept);
        self.evict_answers();
    }

    /// A request that was answered: the same answer again, to where this copy came from.
    pub(super) fn repeat_kept(&mut self, bytes: &[u8], head: &Head, hop: Hop, key: u128) {
        self.counters.retransmissions_absorbed += 1;
        let Some(kept) = self.answers.find(key) else {
            return;
        };
        let asked = SocketAddr::new(hop.address.ip(), kept.port);
        let tag = hex(kept.tag);
        let out = &mut self.outbox.bytes;
        let start = out.len();
        codec::begin_response(out, bytes, head, asked, kept.status, Some(&tag));
        out.extend_from_slice(kept.tail);
        self.post(start, is_call(head, bytes), hop, 0);
    }

    /// Answer without a transaction; false when the answer would be longer than `longest`.
    #[allow(clippy::too_many_arguments)] // one call for each of the few reasons
    pub(super) fn answer_stateless(
        &mut self,
        bytes: &[u8],
        head: &Head,
        hop: Hop,
        key: u128,
        status: u16,
        headers: Headers<'_>,
        longest: usize,
    ) -> bool {
        let start = self.begin_stateless(bytes, head, hop, key, status);
        codec::put_headers(&mut self.outbox.bytes, headers);
        self.end_stateless(start, hop, longest)
    }

    /// Where it begins; its own headers are the caller's to write, and its end is owed.
    pub(super) fn begin_stateless(
        &mut self,
        bytes: &[u8],
        head: &Head,
        hop: Hop,
        key: u128,
        status: u16,
    ) -> usize {
        let tag = hex(self.keys.tag(key));
        let out = &mut self.outbox.bytes;
        let start = out.len();
        codec::begin_response(out, bytes, head, hop.address, status, Some(&tag));
        start
    }

    pub(super) fn end_stateless(&mut self, start: usize, hop: Hop, longest: usize) -> bool {
        let out = &mut self.outbox.bytes;
        codec::put_end(out, b"");
        if out.len() - start > longest {
            out.truncate(start);
            return false;
        }
        let call = is_of_call(&out[start..]);
        self.post(start, call, hop, 0);
        true
    }
}

fn is_call(head: &Head, bytes: &[u8]) -> bool {
    is_of_call(head.method(bytes))
}

fn names(headers: Headers<'_>, wanted: &str) -> bool {
    headers
        .iter()
        .any(|(name, _)| codec::same_name(name, wanted))
}
