//! Answers to requests of ours, to their client transactions.

use std::borrow::Cow;

use super::Core;
use crate::client::{Cancel, Taken};
use crate::codec::{Head, values::MAGIC_COOKIE};
use crate::event::Kind;
use crate::hop::Hop;
use crate::time::Time;

/// The number inside a branch of ours.
fn our_branch(branch: &[u8]) -> Option<u64> {
    let digits = branch
        .strip_prefix(MAGIC_COOKIE)
        .filter(|digits| digits.len() == 16)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl Core {
    pub(super) fn receive_response(
        &mut self,
        given: Cow<'_, [u8]>,
        head: &Head,
        status: u16,
        hop: Hop,
        now: Time,
    ) {
        let bytes = &*given;
        let method = head.method(bytes);
        let number = our_branch(head.via.branch.of(bytes))
            .and_then(|branch| self.by_branch.get(&(branch, method == b"CANCEL")))
            .copied();
        let found = number.and_then(|number| Some((number, self.clients.get_mut(number)?)));
        let Some((number, client)) =
            found.filter(|(_, client)| client.invite == (method == b"INVITE"))
        else {
            self.counters.stray_responses += 1;
            if number.is_none() && method == b"INVITE" && (200..300).contains(&status) {
                self.tell_stray(given, head, hop, now);
            }
            return;
        };
        let was_over = client.is_over();
        let taken = client.receive(status, head.to_tag.of(bytes), now);
        let (over, invite) = (client.is_over(), client.invite);
        let silent = client.silent;
        let reliable = client.hop.reliable();
        let cancel = client.cancel == Cancel::Wanted && !over;
        let ack = client.ack.clone();
        self.schedule_client(number);
        if over && !was_over {
            self.requests -= 1;
        }
        match taken {
            Taken::Forked => {
                self.counters.forked_answers += 1;
                return self.tell_stray(given, head, hop, now);
            }
            Taken::Repeat | Taken::Absorbed => {
                self.counters.retransmissions_absorbed += 1;
                if let Some((ack, way)) = ack.filter(|_| taken == Taken::Repeat) {
                    // Of a connection that is gone: by that which the repeat came by.
                    let there = !way.reliable() || self.streams.get(way.connection()).is_some();
                    self.transmit(&ack, if there { way } else { hop }, number);
                }
                return;
            }
            Taken::TellAndAcknowledge => self.acknowledge_refusal(number, bytes, head),
            Taken::Tell => {}
        }
        if cancel {
            self.send_cancel(number, now);
        }
        // Nothing is repeated by a stream (timers D and K are 0); else repeats become strays, that is all.
        let absorbs = !reliable || (invite && status < 300);
        if over && (!absorbs || (!invite && self.clients.len() > 2 * self.limits.requests)) {
            self.remove_client(number);
        }
        // Final answers are few, one for each request of ours; provisional ones a peer can make at will.
        if !silent && (status >= 200 || self.events.len() < self.limits.events) {
            let message = self.pool.message(given, head);
            let event = self.event(Kind::Response, number, hop, now, &message);
            self.tell(event);
        }
    }

    /// A 2xx to an INVITE that this process did not send, since an earlier one did, or of another branch of
    /// a forked one: its owner has to end what came of it (RFC 3261 section 13.2.2.4).
    fn tell_stray(&mut self, given: Cow<'_, [u8]>, head: &Head, hop: Hop, now: Time) {
        if self.events.len() < self.limits.events {
            let message = self.pool.message(given, head);
            let event = self.event(Kind::Response, 0, hop, now, &message);
            self.tell(event);
        }
    }
}
