//! At which of our datagram addresses each peer speaks to us: from there it is spoken to.
//!
//! A translator in front of a peer lets only that one in. Nothing is kept where a side has one such address.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::hop::{Hop, Way};

#[derive(Debug)]
pub struct Whence {
    several: bool,
    /// Of known addresses; None: nothing was heard from there yet.
    at: HashMap<SocketAddr, Option<u8>>,
}

impl Whence {
    pub fn new(several: bool) -> Self {
        Whence {
            several,
            at: HashMap::new(),
        }
    }

    /// Somebody is there, or nobody any more.
    pub fn know(&mut self, peer: SocketAddr, known: bool) {
        if self.several && known {
            self.at.entry(peer).or_default();
        } else if self.several {
            self.at.remove(&peer);
        }
    }

    /// Its REGISTER that came to that one of ours was accepted.
    pub fn registered(&mut self, peer: SocketAddr, listener: u8) {
        if self.several {
            self.at.insert(peer, Some(listener));
        }
    }

    /// A request came from there: it counts only where no REGISTER has said so since our start.
    pub fn heard(&mut self, hop: Hop) {
        if self.several
            && let Way::Datagram(listener) = hop.way
            && let Some(at @ None) = self.at.get_mut(&hop.address)
        {
            *at = Some(listener);
        }
    }

    pub fn of(&self, peer: SocketAddr) -> Option<u8> {
        self.at.get(&peer).copied().flatten()
    }
}
