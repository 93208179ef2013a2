//! Server transactions (RFC 3261 section 17.2, RFC 6026): their states, and when they must be looked at.

use std::sync::Arc;

use crate::codec::Span;
use crate::event::Message;
use crate::hop::Hop;
use crate::time::{GIVE_UP, T1, T2, T4, TIMER_C, Time};

/// States of both machines; the first two are those of what is not an INVITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for our answer.
    Open,
    /// Answered; the transaction is over, and the answer is kept for repeats (timer J). An INVITE that was refused at once ends here
    /// too: its sender, who heard nothing before, repeats it until it hears this. Were we to repeat our
    /// refusal as after a 100, one forged datagram would be worth eleven of ours to its victim.
    Answered,
    /// An INVITE waits for our final answer.
    Proceeding,
    /// An INVITE was refused; the refusal is repeated until its ACK (timers G and H).
    Completed,
    /// The ACK of the refusal came; more of them are absorbed (timer I).
    Confirmed,
    /// An INVITE was accepted; the 2xx is repeated until its ACK (RFC 6026 section 8.7).
    Accepted,
    /// The ACK of the 2xx came; repeats of the INVITE are absorbed (timer L).
    Acknowledged,
}

impl State {
    pub fn awaits_answer(self) -> bool {
        matches!(self, State::Open | State::Proceeding)
    }
}

#[derive(Debug)]
pub struct Server {
    pub state: State,
    pub key: u128,
    /// The dialog's key once accepted, 0 before.
    pub dialog: u128,
    /// Where the last copy of the request came from; answers go there (Q07).
    pub hop: Hop,
    /// Of a REGISTER whose digest was right: its user, within the message.
    pub username: Span,
    /// The request; given up when no answer needs it any more.
    pub message: Option<Arc<Message>>,
    /// Of an INVITE: what was said last.
    pub response: Option<Arc<[u8]>>,
    pub tag: u64,
    /// The REGISTER's digest was right, so a 401 says `stale=true`.
    pub stale: bool,
    /// It came from a known peer.
    pub known: bool,
    /// A provisional answer has left, so the INVITE is not repeated any more and our answer must be.
    announced: bool,
    interval: u64,
    resend_at: Time,
    pub ends_at: Time,
    /// When the timer queue will look here; `NEVER` when it holds no entry.
    pub queued: Time,
}

/// What a timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Resend,
    /// The end; how it is told to the layers above depends on the state.
    End,
}

impl Server {
    pub fn new(
        key: u128,
        tag: u64,
        hop: Hop,
        message: Arc<Message>,
        invite: bool,
        now: Time,
    ) -> Self {
        let (state, wait) = if invite {
            (State::Proceeding, TIMER_C)
        } else {
            (State::Open, GIVE_UP)
        };
        Server {
            state,
            key,
            dialog: 0,
            hop,
            username: Span::default(),
            message: Some(message),
            response: None,
            tag,
            stale: false,
            known: false,
            announced: false,
            interval: T1,
            resend_at: Time::NEVER,
            ends_at: now.after(wait),
            queued: Time::NEVER,
        }
    }

    /// As after our 100: its sender waits, and does not repeat itself.
    #[must_use]
    pub fn announced(mut self) -> Self {
        self.announced = true;
        self
    }

    pub fn is_invite(&self) -> bool {
        !matches!(self.state, State::Open | State::Answered)
    }

    /// When `due` must be asked next. What is not an INVITE has no timer but its end.
    pub fn next_due(&self) -> Time {
        self.resend_at.min(self.ends_at)
    }

    /// We said that.
    pub fn answer(&mut self, status: u16, now: Time) {
        match (self.state, status) {
            (State::Proceeding, ..=199) => {
                self.announced = true;
                self.ends_at = now.after(TIMER_C);
            }
            (State::Proceeding, 300..) if !self.announced => self.state = State::Answered,
            (State::Proceeding, _) => {
                self.state = if status < 300 {
                    State::Accepted
                } else {
                    State::Completed
                };
                self.interval = T1;
                // A refusal arrives by a stream; a 2xx may have to go on from there (13.3.1.4).
                if status < 300 || !self.hop.reliable() {
                    self.resend_at = now.after(T1);
                }
                self.ends_at = now.after(GIVE_UP);
            }
            (State::Open, 200..) => self.state = State::Answered,
            _ => {}
        }
    }

    /// An ACK for this INVITE came; false when it changes nothing.
    pub fn acknowledge(&mut self, now: Time) -> bool {
        match self.state {
            State::Completed => {
                self.state = State::Confirmed;
                let wait = if self.hop.reliable() { 0 } else { T4 };
                self.ends_at = now.after(wait);
            }
            State::Accepted => self.state = State::Acknowledged,
            _ => return false,
        }
        self.resend_at = Time::NEVER;
        true
    }

    /// A timer set again counts from `now`, so a clock that is late gives one repeat and no burst.
    pub fn due(&mut self, now: Time) -> Due {
        if self.ends_at <= now {
            return Due::End;
        }
        if self.resend_at > now {
            return Due::Nothing;
        }
        self.interval = (self.interval * 2).min(T2);
        self.resend_at = now.after(self.interval);
        Due::Resend
    }
}
