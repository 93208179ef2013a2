//! Whose connection is away: who was where, by which connection each is here, and what waits for it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::hop::Transport;

/// Addresses remembered of connections that are gone: as many as a province has devices.
const GONE: usize = 131_072;

/// Who had a connection with that address at its other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    pub transport: Transport,
    /// By whose REGISTER it was known; None: nobody's.
    pub user: Option<Arc<[u8]>>,
}

#[derive(Debug, Default)]
pub struct Away {
    gone: HashMap<SocketAddr, Absent>,
    gone_in_order: VecDeque<SocketAddr>,
    here: HashMap<Arc<[u8]>, u64>,
    waiting: HashMap<Arc<[u8]>, Vec<u64>>,
}

impl Away {
    /// Who was there, if a connection of that address is gone and nothing else was heard from there since.
    pub fn at(&self, peer: SocketAddr) -> Option<&Absent> {
        self.gone.get(&peer)
    }

    /// Where a connection was, no datagram goes.
    pub fn left(&mut self, peer: SocketAddr, absent: Absent) {
        if self.gone.insert(peer, absent).is_none() {
            self.gone_in_order.push_back(peer);
        }
        while self.gone_in_order.len() > GONE {
            if let Some(oldest) = self.gone_in_order.pop_front() {
                self.gone.remove(&oldest);
            }
        }
    }

    /// Something came from there.
    pub fn is_back(&mut self, peer: SocketAddr) {
        if !self.gone.is_empty() {
            self.gone.remove(&peer);
        }
    }

    /// By which connection that user is registered.
    pub fn connection(&self, user: &[u8]) -> Option<u64> {
        self.here.get(user).copied()
    }

    /// That user is registered by this connection.
    pub fn is_here(&mut self, user: &Arc<[u8]>, connection: u64) {
        self.here.insert(Arc::clone(user), connection);
    }

    /// It is so no longer.
    pub fn is_not_here(&mut self, user: &[u8], connection: u64) {
        if self.here.get(user) == Some(&connection) {
            self.here.remove(user);
        }
    }

    /// That request waits for that user; false: `most` do already.
    pub fn wait(&mut self, user: &Arc<[u8]>, request: u64, most: usize) -> bool {
        let waiting = self.waiting.entry(Arc::clone(user)).or_default();
        if waiting.len() >= most {
            return false;
        }
        waiting.push(request);
        true
    }

    /// It waits no more.
    pub fn wait_no_more(&mut self, user: &[u8], request: u64) {
        if let Some(waiting) = self.waiting.get_mut(user) {
            waiting.retain(|other| *other != request);
            if waiting.is_empty() {
                self.waiting.remove(user);
            }
        }
    }

    /// What waited for that user, in its order.
    pub fn take_waiting(&mut self, user: &[u8]) -> Vec<u64> {
        self.waiting.remove(user).unwrap_or_default()
    }
}
