//! What a fleet counts.

use std::collections::BTreeMap;

use crate::latency::Latency;
use crate::work::{WORKS, Work};

/// What happened so far.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Devices that hold a registration as far as they know.
    pub registered: u64,
    pub under_way: u64,
    pub started: [u64; WORKS],
    /// Ended in 200.
    pub finished: [u64; WORKS],
    /// Ended in another status.
    pub refused: BTreeMap<(Work, u16), u64>,
    /// No answer within 32 s.
    pub lost: [u64; WORKS],
    pub retransmitted: u64,
    pub challenged: u64,
    /// Told to come back later (503 with Retry-After), and did.
    pub put_off: u64,
    /// Catalogs told to who asked.
    pub catalogs: u64,
    /// Requests of the server that were answered.
    pub answered: u64,
    /// Answers to what is no longer under way.
    pub stray: u64,
    pub unreadable: u64,
    pub latency: [Latency; WORKS],
}
