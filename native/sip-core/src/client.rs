//! Client transactions (RFC 3261 section 17.1, RFC 6026): their states, and when they must be looked at.

use std::sync::Arc;

use crate::event::Message;
use crate::hop::Hop;
use crate::server::Due;
use crate::time::{AWAY, GIVE_UP, T1, T2, T4, TIMER_C, TIMER_D, Time};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing came back yet; the request is repeated (timers A and B, E and F).
    Trying,
    /// A provisional answer came.
    Proceeding,
    /// A final answer came; its repeats are absorbed (timer K), and refusals acknowledged again (timer D).
    Completed,
    /// An INVITE was accepted; repeats of the 2xx get the stored ACK (timer M).
    Accepted,
}

/// Whether an INVITE is to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    No,
    /// Not sent yet because nothing came back (RFC 3261 section 9.1).
    Wanted,
    Sent,
}

#[derive(Debug)]
pub struct Client {
    pub state: State,
    pub branch: u64,
    pub invite: bool,
    /// A CANCEL of ours: nobody above waits for its answer.
    pub silent: bool,
    pub cancel: Cancel,
    pub hop: Hop,
    /// The request; given up when it can't be needed any more.
    pub message: Option<Arc<Message>>,
    pub ack: Option<(Arc<[u8]>, Hop)>,
    /// It has not left: it waits for that user's connection.
    pub awaited: Option<Arc<[u8]>>,
    /// The To tag of the 2xx that counted.
    pub to_tag: Box<[u8]>,
    interval: u64,
    resend_at: Time,
    pub ends_at: Time,
    pub queued: Time,
}

/// What an answer means to its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The layer above must hear of it.
    Tell,
    /// The same, and the refusal must be acknowledged.
    TellAndAcknowledge,
    /// A repeat; the ACK goes out again where there is one.
    Repeat,
    /// A provisional answer that comes late, or a final one that contradicts the one that counted.
    Absorbed,
    /// A 2xx of another branch of a forked INVITE.
    Forked,
}

impl Client {
    pub fn new(branch: u64, invite: bool, hop: Hop, message: Arc<Message>, now: Time) -> Self {
        Client {
            state: State::Trying,
            branch,
            invite,
            silent: false,
            cancel: Cancel::No,
            hop,
            message: Some(message),
            ack: None,
            awaited: None,
            to_tag: Box::default(),
            interval: T1,
            resend_at: if hop.reliable() {
                Time::NEVER
            } else {
                now.after(T1)
            },
            ends_at: now.after(GIVE_UP),
            queued: Time::NEVER,
        }
    }

    /// Begin anew by another way.
    pub fn again(&mut self, hop: Hop, message: Arc<Message>, now: Time) {
        let begun = Client::new(self.branch, self.invite, hop, message, now);
        *self = Client {
            silent: self.silent,
            cancel: self.cancel,
            queued: self.queued,
            ..begun
        };
    }

    /// It does not leave before that user has a connection, and waits for that a part of its time.
    pub fn wait_for(&mut self, user: Arc<[u8]>, now: Time) {
        self.awaited = Some(user);
        self.ends_at = now.after(AWAY);
    }

    /// What is left of its whole time once it leaves after all.
    pub fn leaves(&mut self, hop: Hop, message: Arc<Message>, now: Time) {
        let ends_at = self.ends_at.after(GIVE_UP - AWAY);
        self.again(hop, message, now);
        self.ends_at = ends_at;
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Completed | State::Accepted)
    }

    pub fn next_due(&self) -> Time {
        self.resend_at.min(self.ends_at)
    }

    pub fn receive(&mut self, status: u16, to_tag: &[u8], now: Time) -> Taken {
        match (self.state, status) {
            (State::Trying | State::Proceeding, ..=199) => {
                self.state = State::Proceeding;
                if self.invite {
                    self.resend_at = Time::NEVER;
                    if self.cancel != Cancel::Sent {
                        self.ends_at = now.after(TIMER_C);
                    }
                }
                Taken::Tell
            }
            (State::Trying | State::Proceeding, _) => {
                self.resend_at = Time::NEVER;
                let (state, taken, wait) = match (self.invite, status) {
                    (false, _) => (State::Completed, Taken::Tell, T4),
                    (true, ..=299) => (State::Accepted, Taken::Tell, GIVE_UP),
                    (true, _) => (State::Completed, Taken::TellAndAcknowledge, TIMER_D),
                };
                if state == State::Accepted {
                    self.to_tag = to_tag.into();
                }
                if !self.invite {
                    self.message = None;
                }
                self.state = state;
                self.ends_at = now.after(wait);
                taken
            }
            (State::Accepted, 200..=299) if *self.to_tag != *to_tag => Taken::Forked,
            (State::Accepted, 200..=299) | (State::Completed, 300..) => Taken::Repeat,
            _ => Taken::Absorbed,
        }
    }

    /// The CANCEL has left: the INVITE gets as long as any request to come to its end.
    pub fn cancel_sent(&mut self, now: Time) {
        self.cancel = Cancel::Sent;
        self.ends_at = now.after(GIVE_UP);
    }

    /// A timer set again counts from `now`, so a clock that is late gives one repeat and no burst.
    pub fn due(&mut self, now: Time) -> Due {
        if self.ends_at <= now {
            return Due::End;
        }
        if self.resend_at > now {
            return Due::Nothing;
        }
        self.interval = match (self.invite, self.state) {
            (true, _) => self.interval * 2,
            (false, State::Trying) => (self.interval * 2).min(T2),
            (false, _) => T2,
        };
        self.resend_at = now.after(self.interval);
        Due::Resend
    }
}
