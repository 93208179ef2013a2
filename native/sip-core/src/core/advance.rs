//! Time: repeats, ends, and what is forgotten.

use std::sync::Arc;

use super::Core;
use crate::event::Kind;
use crate::hop::Hop;
use crate::server::{Due, State};
use crate::time::Time;

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

    /// Keep the queue as small as what is held: who is gone early, such as a stranger that was refused at
    /// once, leaves its entry behind. A pass comes only after as many new entries as may be held.
    pub(super) fn sweep_timers(&mut self) {
        let held = 2 * self.limits.requests + self.limits.answers;
        if self.timers.len() <= 2 * held {
            return;
        }
        let (servers, clients) = (&self.servers, &self.clients);
        self.timers.retain(|number, due| {
            servers.get(number).map(|server| server.queued) == Some(due)
                || clients.get(number).map(|client| client.queued) == Some(due)
        });
    }

    /// The same for the ends of what is not an INVITE: what came by a stream is gone once it is answered.
    pub(super) fn sweep_expiry(&mut self) {
        let held = self.limits.requests + self.limits.answers;
        if self.expiry.len() > 2 * held {
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
                    self.resend(response, source, 0);
                }
            }
        } else if let Some(client) = self.clients.get_mut(number) {
            match client.due(now) {
                Due::Nothing => {}
                Due::End => return self.end_client(number, now),
                Due::Resend => {
                    let request = client
                        .message
                        .as_ref()
                        .map(|message| Arc::clone(&message.bytes));
                    let destination = client.hop;
                    self.resend(request, destination, number);
                }
            }
        }
        self.schedule(number);
    }

    fn resend(&mut self, bytes: Option<Arc<[u8]>>, hop: Hop, transaction: u64) {
        if let Some(bytes) = bytes {
            self.counters.retransmissions_sent += 1;
            self.transmit(bytes, hop, transaction);
        }
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
        if server.state == State::Answered {
            self.cached -= 1;
        } else {
            self.open -= 1;
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

    /// End what is not an INVITE and has come to its time.
    pub(super) fn forget_expired(&mut self, now: Time) {
        while let Some(&(due, number)) = self.expiry.front() {
            if due > now {
                break;
            }
            self.expiry.pop_front();
            match self.servers.get(number).map(|server| server.ends_at) {
                // It was answered late, and its answer is kept from then on.
                Some(ends_at) if ends_at > now => self.expiry.push_back((ends_at, number)),
                Some(_) => self.end_server(number, now),
                None => {}
            }
        }
    }

    /// Forget the oldest kept answers beyond the limit.
    pub(super) fn evict_cached(&mut self) {
        while self.cached > self.limits.answers {
            let Some((due, number)) = self.expiry.pop_front() else {
                return;
            };
            match self.servers.get(number).map(|server| server.state) {
                Some(State::Answered) => {
                    self.remove_server(number);
                    self.counters.cached_evicted += 1;
                }
                Some(_) => self.expiry.push_back((due, number)),
                None => {}
            }
        }
    }
}
