//! Time: repeats, ends, and what is forgotten.

use super::Core;
use crate::event::Kind;
use crate::hop::Hop;
use crate::server::{Due, State};
use crate::time::Time;

/// Entries of a queue that may be of nobody, beside as many as are of somebody.
const SPARE: usize = 1024;

impl Core {
    /// Do what is due at `now`.
    pub fn advance(&mut self, now: Time) {
        self.ring.set_clock(now);
        while let Some((due, number)) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            if self.is_queued(number, due) {
                self.fire(number, now);
            }
        }
        self.expire_streams(now);
        self.forget_expired(now);
    }

    /// When [`Core::advance`] has something to do; None while it has not. Forgetting kept answers has no
    /// deadline: it is done along with whatever happens next.
    pub fn deadline(&mut self) -> Option<Time> {
        match (self.transaction_deadline(), self.streams.deadline()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn transaction_deadline(&mut self) -> Option<Time> {
        while let Some((due, number)) = self.timers.peek() {
            if self.is_queued(number, due) {
                let next = self.next_due(number);
                if next == due {
                    return Some(due);
                }
                self.timers.pop();
                self.schedule(number);
            } else {
                self.timers.pop();
            }
        }
        None
    }

    /// Whether this entry of the timer queue is its transaction's live one.
    fn is_queued(&self, number: u64, due: Time) -> bool {
        match (self.servers.get(number), self.clients.get(number)) {
            (Some(server), _) => server.queued == due,
            (_, Some(client)) => client.queued == due,
            _ => false,
        }
    }

    /// Keep the queue as small as what is held: who is gone early leaves its entry behind. A pass comes only
    /// after as many new entries as may be held.
    pub(super) fn sweep_timers(&mut self) {
        let held = self.servers.len() + self.clients.len();
        if self.timers.len() <= 2 * held + SPARE.min(self.limits.requests) {
            return;
        }
        let (servers, clients) = (&self.servers, &self.clients);
        self.timers.retain(|number, due| {
            servers.get(number).map(|server| server.queued) == Some(due)
                || clients.get(number).map(|client| client.queued) == Some(due)
        });
    }

    /// The same for the ends of what is not an INVITE: most of it is answered long before.
    pub(super) fn sweep_expiry(&mut self) {
        if self.expiry.len() > 2 * self.servers.len() + SPARE.min(self.limits.requests) {
            let servers = &self.servers;
            self.expiry
                .retain(|(_, number)| servers.get(*number).is_some());
        }
    }

    fn next_due(&self, number: u64) -> Time {
        match (self.servers.get(number), self.clients.get(number)) {
            (Some(server), _) => server.next_due(),
            (_, Some(client)) => client.next_due(),
            _ => Time::NEVER,
        }
    }

    /// Put a transaction back into the queue after its entry was taken out.
    fn schedule(&mut self, number: u64) {
        if let Some(server) = self.servers.get_mut(number) {
            server.queued = Time::NEVER;
            self.timers
                .schedule(number, server.next_due(), &mut server.queued);
        } else if let Some(client) = self.clients.get_mut(number) {
            client.queued = Time::NEVER;
            self.timers
                .schedule(number, client.next_due(), &mut client.queued);
        }
    }

    pub(super) fn schedule_server(&mut self, number: u64) {
        if let Some(server) = self.servers.get_mut(number) {
            self.timers
                .schedule(number, server.next_due(), &mut server.queued);
        }
    }

    pub(super) fn schedule_client(&mut self, number: u64) {
        if let Some(client) = self.clients.get_mut(number) {
            self.timers
                .schedule(number, client.next_due(), &mut client.queued);
        }
    }

    fn fire(&mut self, number: u64, now: Time) {
        if let Some(server) = self.servers.get_mut(number) {
            match server.due(now) {
                Due::Nothing => {}
                Due::End => return self.end_server(number, now),
                Due::Resend => {
                    let (response, source) = (server.response.clone(), server.hop);
                    if let Some(response) = response {
                        self.resend(&response, source, 0);
                    }
                }
            }
        } else if let Some(client) = self.clients.get_mut(number) {
            match client.due(now) {
                Due::Nothing => {}
                Due::End => return self.end_client(number, now),
                Due::Resend => {
                    let (request, destination) = (client.message.clone(), client.hop);
                    if let Some(request) = request {
                        self.resend(&request.bytes, destination, number);
                    }
                }
            }
        }
        self.schedule(number);
    }

    fn resend(&mut self, bytes: &[u8], hop: Hop, transaction: u64) {
        self.counters.retransmissions_sent += 1;
        self.transmit(bytes, hop, transaction);
    }

    fn end_server(&mut self, number: u64, now: Time) {
        let Some(server) = self.remove_server(number) else {
            return;
        };
        match server.state {
            State::Open | State::Proceeding => self.counters.unanswered += 1,
            State::Accepted => {
                self.counters.unacknowledged += 1;
                if let Some(message) = &server.message {
                    let mut event =
                        self.event(Kind::Unacknowledged, number, server.hop, now, message);
                    event.tag = server.tag;
                    self.tell(event);
                }
            }
            _ => {}
        }
    }

    fn end_client(&mut self, number: u64, now: Time) {
        if (self.clients.get(number)).is_some_and(|client| client.awaited.is_some()) {
            let reason = "its connection is closed, and it made no other in time";
            return self.undelivered(number, reason, now);
        }
        let Some(client) = self.remove_client(number) else {
            return;
        };
        if client.is_over() || client.silent {
            return;
        }
        self.counters.timeouts += 1;
        if let Some(message) = &client.message {
            let event = self.event(Kind::Timeout, number, client.hop, now, message);
            self.tell(event);
        }
    }

    pub(super) fn remove_server(&mut self, number: u64) -> Option<crate::server::Server> {
        let server = self.servers.remove(number)?;
        self.by_key.remove(&server.key);
        if server.dialog != 0 {
            self.by_dialog.remove(&server.dialog);
        }
        Some(server)
    }

    pub(super) fn remove_client(&mut self, number: u64) -> Option<crate::client::Client> {
        let client = self.clients.remove(number)?;
        self.by_branch.remove(&(client.branch, client.silent));
        if let Some(user) = &client.awaited {
            self.streams.away.wait_no_more(user, number);
        }
        if !client.is_over() {
            self.requests -= 1;
        }
        Some(client)
    }

    /// End what is not an INVITE and has come to its time, and forget answers whose time is over.
    pub(super) fn forget_expired(&mut self, now: Time) {
        self.answers.forget(now);
        self.registrar.nonces.forget(now);
        while let Some(&(due, number)) = self.expiry.front() {
            let gone = self.servers.get(number).is_none();
            if due > now && !gone {
                break;
            }
            self.expiry.pop_front();
            if !gone {
                self.end_server(number, now);
            }
        }
    }

    /// Forget the oldest kept answers beyond the limits.
    pub(super) fn evict_answers(&mut self) {
        while self.answers.len() > self.limits.answers {
            self.answers.forget_oldest();
            self.counters.cached_evicted += 1;
        }
        while self.answers.bytes() > self.limits.answer_bytes {
            self.answers.forget_oldest();
            self.counters.answers_too_long += 1;
        }
    }
}
