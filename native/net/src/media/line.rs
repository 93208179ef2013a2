//! The trunk's socket, and the sealed packets that wait to leave by it at the end of the turn.

use std::net::SocketAddr;

use relay_core::{Header, Trunk};

use super::worker::Socket;
use crate::train::{self, Packet};

/// So many bytes leave at once, also within a turn.
const BATCH_BYTES: usize = 1 << 19;

pub(super) struct Line {
    pub(super) socket: Socket,
    pub(super) peer: SocketAddr,
    pub(super) trunk: Trunk,
    sealed: Vec<u8>,
    packets: Vec<Packet<0>>,
    sender: train::Sender,
}

impl Line {
    pub(super) fn new(socket: Socket, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            trunk: Trunk::default(),
            sealed: Vec::new(),
            packets: Vec::new(),
            sender: train::Sender::default(),
        }
    }

    /// Seal one packet and let it wait for others; its length, or `None` when there is no key.
    pub(super) fn put(&mut self, number: u32, header: &Header, payload: &[u8]) -> Option<usize> {
        let place = self.trunk.seal(number, header, payload, &mut self.sealed)?;
        let length = place.len();
        self.packets.push(Packet {
            header: [],
            payload: place,
        });
        if self.sealed.len() >= BATCH_BYTES {
            self.flush();
        }
        Some(length)
    }

    /// Send what waits: packets of all streams make one train where they are of one length.
    pub(super) fn flush(&mut self) {
        if self.packets.is_empty() {
            return;
        }
        let socket = &mut self.socket;
        let sent = self.sender.send(
            &socket.udp,
            &self.sealed,
            &self.packets,
            Some(self.peer),
            &mut socket.merge,
        );
        self.trunk.count_unsent(sent.unsent);
        self.sealed.clear();
        self.packets.clear();
    }
}
