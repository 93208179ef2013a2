//! Answers out, with memory of them and without.

use std::sync::Arc;

use super::{Answer, Core, hex};
use crate::codec::values::uri_user;
use crate::codec::{self, Head, Headers};
use crate::event::Kind;
use crate::hop::Hop;
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
            .get_mut(number)
            .filter(|server| server.state.awaits_answer());
        let Some((server, message)) =
            waiting.and_then(|server| server.message.clone().map(|m| (server, m)))
        else {
            self.counters.late_replies += 1;
            return;
        };
        let (bytes, head) = (&message.bytes, &message.head);
        let (hop, tag) = (server.hop, hex(server.tag));
        let username = server.username;
        // What a stranger is refused it is refused again if it asks again.
        let kept = server.known || status < 300;
        let kind = Kind::of_method(head.method(bytes));

        let asks = kind == Kind::Register && status == 401 && !names(headers, "WWW-Authenticate");
        let challenges;
        let mut all;
        let mut given = headers;
        if asks {
            let user = uri_user(bytes, head.from_uri).of(bytes);
            challenges = self
                .registrar
                .challenge(user, hop.address.ip(), server.stale, now);
            all = headers.to_vec();
            let asked = challenges.iter().filter(|text| !text.is_empty());
            all.extend(asked.map(|text| ("WWW-Authenticate", text.as_str())));
            given = &all;
        }
        let shown = (status > 100).then_some(&tag[..]);
        codec::response(
            &mut self.scratch,
            bytes,
            head,
            hop.address,
            status,
            shown,
            given,
            body,
        );
        let response: Arc<[u8]> = Arc::from(self.scratch.as_slice());

        server.answer(status, Arc::clone(&response), now);
        let state = server.state;
        if state == State::Accepted {
            let local = if head.to_tag.is_empty() {
                &tag[..]
            } else {
                head.to_tag.of(bytes)
            };
            let dialog = self.dialog_key(bytes, head, local);
            self.by_dialog.insert(dialog, number);
            if let Some(server) = self.servers.get_mut(number) {
                server.dialog = dialog;
            }
        }
        match state {
            State::Answered if hop.reliable() => {
                self.open -= 1; // nothing is repeated by a stream: timer J is 0
                self.cached += 1;
                self.remove_server(number);
            }
            State::Answered if !kept && self.cached >= self.limits.answers / 2 => {
                self.counters.answers_unkept += 1;
                self.open -= 1;
                self.cached += 1;
                self.remove_server(number);
            }
            State::Answered => {
                self.open -= 1;
                self.cached += 1;
                if kind == Kind::Invite {
                    self.expiry.push_back((now.after(GIVE_UP), number));
                }
                self.evict_cached();
            }
            State::Open => {}
            _ => self.schedule_server(number),
        }
        self.transmit(response, hop, 0);
        if kind == Kind::Register && (200..300).contains(&status) && !username.is_empty() {
            let registered = head.expires(bytes) != Some(0);
            self.know_stream(hop, username.of(bytes), registered, now);
        }
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
        let tag = hex(self.keys.tag(key));
        codec::response(
            &mut self.scratch,
            bytes,
            head,
            hop.address,
            status,
            Some(&tag),
            headers,
            b"",
        );
        if self.scratch.len() > longest {
            return false;
        }
        let response: Arc<[u8]> = Arc::from(self.scratch.as_slice());
        self.transmit(response, hop, 0);
        true
    }
}

fn names(headers: Headers<'_>, wanted: &str) -> bool {
    headers
        .iter()
        .any(|(name, _)| codec::same_name(name, wanted))
}
