//! Keeps a stream's first packets until somebody takes them, so that its first key frame is not lost.
//!
//! Between our ACK below and the ACK above the camera sends already. What it sends then leaves in order and in
//! small portions, since a receiver with a stock buffer holds some 90 datagrams; what comes meanwhile queues behind.

use std::collections::VecDeque;
use std::time::Duration;

use crate::admission::Admitted;

/// One portion, and the pause before the next: together 190 Mbit/s with packets of 1,400 bytes.
const PORTION: usize = 32;
const PAUSE: Duration = Duration::from_millis(2);

/// An admitted packet with its payload: `admitted.payload` is all of `bytes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub admitted: Admitted,
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Hold {
    limit: usize,
    packets: VecDeque<Held>,
    /// When the next portion leaves; `None` while there is nobody to take it.
    due: Option<Duration>,
}

impl Hold {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            packets: VecDeque::new(),
            due: None,
        }
    }

    /// Queue a packet; return how many had to go for it (the oldest).
    pub(crate) fn put(&mut self, admitted: &Admitted, packet: &[u8]) -> u64 {
        let bytes = packet
            .get(admitted.payload.clone())
            .unwrap_or_default()
            .to_vec();
        let admitted = Admitted {
            payload: 0..bytes.len(),
            ..admitted.clone()
        };
        self.packets.push_back(Held { admitted, bytes });
        let full = self.packets.len() > self.limit;
        u64::from(full && self.packets.pop_front().is_some())
    }

    /// Somebody takes packets from now on.
    pub(crate) fn release(&mut self, now: Duration) {
        self.due.get_or_insert(now);
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// The portion that is due, oldest first.
    pub(crate) fn take(&mut self, now: Duration) -> Vec<Held> {
        self.due = Some(now.saturating_add(PAUSE));
        self.packets
            .drain(..PORTION.min(self.packets.len()))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }
}
