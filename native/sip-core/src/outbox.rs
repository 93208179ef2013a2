//! What is to leave as datagrams: written one behind the other into memory that is used again.

use std::net::SocketAddr;
use std::ops::Range;

/// A turn with more bytes than that gives its memory back.
const USUAL: usize = 1024 * 1024;

#[derive(Debug, Clone)]
struct Entry {
    bytes: Range<usize>,
    destination: SocketAddr,
    listener: u8,
    transaction: u64,
}

/// A datagram to send; `transaction` is that of a request of ours, else 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter<'a> {
    pub bytes: &'a [u8],
    pub destination: SocketAddr,
    /// By which of our datagram sockets.
    pub listener: u8,
    pub transaction: u64,
}

/// Datagrams in the order in which they leave.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Whoever writes one writes it here, and says then where it goes, or takes it back.
    pub(crate) bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Letter<'_>> {
        self.entries.iter().map(|entry| Letter {
            bytes: &self.bytes[entry.bytes.clone()],
            destination: entry.destination,
            listener: entry.listener,
            transaction: entry.transaction,
        })
    }

    /// Forget all of them.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        if self.bytes.capacity() > USUAL {
            self.bytes = Vec::new();
        }
    }

    /// What was written from there on is one datagram to there.
    pub(crate) fn post(
        &mut self,
        start: usize,
        destination: SocketAddr,
        listener: u8,
        transaction: u64,
    ) {
        self.entries.push(Entry {
            bytes: start..self.bytes.len(),
            destination,
            listener,
            transaction,
        });
    }
}
