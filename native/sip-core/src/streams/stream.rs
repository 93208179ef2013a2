//! One connection: how long it may be silent, and how much it may say at once.

use std::net::SocketAddr;
use std::sync::Arc;

use super::framing::{Allowed, Framing};
use crate::hop::Transport;
use crate::time::Time;

/// Microseconds, as all of these: from the connection to its first byte.
const FIRST_BYTE: u64 = 5_000_000;
/// From the first byte of a message to its empty line.
const HEAD: u64 = 10_000_000;
/// From there to its end, and one second more for each so many bytes of it.
const MESSAGE: u64 = 30_000_000;
const BYTES_A_SECOND: u64 = 65_536;
/// Silence of a stranger between messages.
const IDLE: u64 = 64_000_000;
/// Silence of a known one: three of the longest keepalives that are usual, and some.
const IDLE_KNOWN: u64 = 960_000_000;
/// How long answers may still leave by a connection that is not read any more.
const ENDING: u64 = 500_000;
/// How long the other end may take to accept a connection of ours.
const DIAL: u64 = 8_000_000;
/// Bytes in one message of a stranger, and of somebody known.
const USUAL: usize = 64 * 1024;
const USUAL_KNOWN: usize = 1024 * 1024;

/// What a user may do on the connection by which it is registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Bytes in one message of a kind that may be large; 0: no such.
    pub large: usize,
    pub pong: bool,
    /// Where it takes connections, so that we may make one while its own is away.
    pub dial: Option<SocketAddr>,
}

#[derive(Debug)]
pub struct Stream {
    pub peer: SocketAddr,
    pub transport: Transport,
    pub known: bool,
    /// To which of our addresses of its transport it came; None: the first of its kind.
    pub place: Option<usize>,
    pub framing: Framing,
    /// Names in the certificate that the other end showed, in one text; empty without one.
    pub certificate: Arc<str>,
    /// Whose REGISTER came by it and was accepted.
    pub user: Option<Arc<[u8]>>,
    /// Requests of ours that went by it.
    pub asked: bool,
    pub(super) terms: Terms,
    /// What waits until it is made; None once it is.
    pub(super) dialling: Option<Vec<Arc<[u8]>>>,
    pub(super) opened: Time,
    pub(super) heard: Option<Time>,
    /// It is not read any more, and closed then.
    pub(super) ends: Option<Time>,
    pub(super) queued: Time,
}

impl Stream {
    pub(super) fn due(&self) -> Time {
        if let Some(ends) = self.ends {
            return ends;
        }
        if self.dialling.is_some() {
            return self.opened.after(DIAL);
        }
        match (self.framing.began, self.framing.need(), self.heard) {
            (Some(began), None, _) => began.after(HEAD),
            (Some(began), Some(need), _) => {
                let longer = u64::try_from(need).unwrap_or(u64::MAX) / BYTES_A_SECOND;
                began.after(MESSAGE + longer * 1_000_000)
            }
            (None, _, None) if !self.known => self.opened.after(FIRST_BYTE),
            (None, _, heard) => {
                let idle = if self.known { IDLE_KNOWN } else { IDLE };
                heard.unwrap_or(self.opened).after(idle)
            }
        }
    }

    /// Something whole came, so it counts as alive: a message, or a ping of somebody known.
    pub fn heard(&mut self, now: Time) {
        self.heard = Some(now);
    }

    /// Read it no more: what it said before is answered, and then it is closed.
    pub fn end(&mut self, now: Time) {
        self.framing = Framing::default();
        self.ends = Some(now.after(ENDING));
    }

    /// It is one of ours, and not made yet.
    pub fn is_dialling(&self) -> bool {
        self.dialling.is_some()
    }

    pub fn is_ending(&self) -> bool {
        self.ends.is_some()
    }

    pub fn pong(&self) -> bool {
        self.terms.pong
    }

    /// How long its messages may be; `kinds` are those that may be large.
    pub fn allowed<'a>(&self, kinds: &'a [Box<[u8]>]) -> Allowed<'a> {
        Allowed {
            usual: if self.known { USUAL_KNOWN } else { USUAL },
            large: if self.known { self.terms.large } else { 0 },
            kinds,
        }
    }
}
