//! What devices do, and how much of it is wanted.

use sip_core::Time;

/// What devices do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    Register,
    /// Of those that are registered.
    Keepalive,
    /// A stranger's REGISTER: sent once, nothing is done about the answer.
    Forged,
}

pub(crate) const WORKS: usize = 3;

/// How much of one kind of work there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many under way at once.
    Window(u32),
    /// So many a second, whether answers come or not.
    Rate(f64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub pace: Pace,
    pub since: Time,
    /// `None`: without an end.
    pub count: Option<u64>,
    pub started: u64,
    pub cursor: u32,
    /// There was no device for the next one before this moment.
    pub stuck_until: Time,
}

/// When the next one of this is to be started, if that depends on time alone.
#[allow(clippy::cast_precision_loss)] // a count that fits: 2^53 messages
pub(crate) fn next_start(aim: &Aim) -> Option<Time> {
    if aim.count.is_some_and(|count| aim.started >= count) {
        return None;
    }
    match aim.pace {
        Pace::Rate(rate) if rate > 0.0 => {
            let due = aim.since.seconds() + (aim.started as f64 + 1.0) / rate;
            Some(Time::from_seconds(due).max(aim.stuck_until))
        }
        Pace::Rate(_) | Pace::Window(_) => None,
    }
}
