//! The relay without sockets: packets are handed in and taken out. For tests in virtual time, and replay.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::admission::Admitted;
use crate::core::{Core, Problem, Slot};
use crate::wire::{Answer, Command, Counters, Event};

/// By how much a clock of floating seconds may fall short of the deadline that it was set to.
const LAST_BIT: Duration = Duration::from_nanos(1);

/// A datagram to send from one of our ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub datagram: Vec<u8>,
    pub destination: SocketAddr,
    pub port: SocketAddr,
}

#[derive(Debug)]
pub struct Twin {
    core: Core<SocketAddr>,
    receiving: HashMap<SocketAddr, Slot>,
    sending: HashSet<SocketAddr>,
    outputs: Vec<Output>,
}

impl Twin {
    pub fn new(seed: u64) -> Self {
        Self {
            core: Core::new(seed),
            receiving: HashMap::new(),
            sending: HashSet::new(),
            outputs: Vec::new(),
        }
    }

    /// Carry out one command, written as JSON. As in the engine, one that has no answer and names what is
    /// not there does nothing: its stream has just been closed.
    pub fn command(&mut self, json: &[u8], now: Duration) -> Answer {
        let refused = |error| Answer::Refused {
            error,
            taken: false,
        };
        let command = match Command::read(json) {
            Err(error) => return refused(error),
            Ok(command) => command,
        };
        let binds = matches!(command, Command::Open(_) | Command::AddViewer(_));
        match self.apply(command, now) {
            Ok(answer) => answer,
            Err(problem) if binds => refused(problem.to_string()),
            Err(_) => Answer::Done {},
        }
    }

    fn apply(&mut self, command: Command, now: Duration) -> Result<Answer, Problem> {
        match command {
            Command::Open(place) => {
                let local = SocketAddr::new(place.address, place.port);
                if self.taken(local) {
                    return Ok(taken(local));
                }
                let slot = self.core.open(place.stream, local)?;
                self.receiving.insert(local, slot);
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::AddViewer(place) => {
                let local = SocketAddr::new(place.address, place.port);
                if self.taken(local) {
                    return Ok(taken(local));
                }
                self.core.add_viewer(&place.stream, place.viewer, local)?;
                self.sending.insert(local);
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::Expect(expect) => self.core.expect(expect, now)?,
            Command::AimViewer(aim) => {
                self.core.aim(&aim, now)?;
                self.release(now);
            }
            Command::DropViewer(name) => {
                let viewer = self.core.drop_viewer(&name.stream, &name.viewer)?;
                self.sending.remove(&viewer.socket);
            }
            Command::Close(name) => {
                let stream = self.core.close(&name.stream)?;
                self.receiving.remove(&stream.socket);
                for viewer in stream.viewers {
                    self.sending.remove(&viewer.socket);
                }
            }
        }
        Ok(Answer::Done {})
    }

    fn taken(&self, local: SocketAddr) -> bool {
        self.receiving.contains_key(&local) || self.sending.contains(&local)
    }

    /// Hand in a datagram that came to `port`; one for a port that is not open is dropped.
    pub fn feed(&mut self, port: SocketAddr, packet: &[u8], source: SocketAddr, now: Duration) {
        let Some(&slot) = self.receiving.get(&port) else {
            return;
        };
        if let Some(admitted) = self.core.admit(slot, packet, source, now) {
            let payload = packet.get(admitted.payload.clone()).unwrap_or_default();
            self.send(slot, &admitted, payload);
        }
    }

    fn send(&mut self, slot: Slot, admitted: &Admitted, payload: &[u8]) {
        let viewers = self.core.stream_mut(slot).map(|it| &mut it.viewers);
        for viewer in viewers.into_iter().flatten() {
            let (Some(destination), Some(header)) = (viewer.destination(), viewer.header(admitted))
            else {
                continue;
            };
            let datagram = [&header[..], payload].concat();
            viewer.count_sent(1, datagram.len());
            self.outputs.push(Output {
                datagram,
                destination,
                port: viewer.socket,
            });
        }
    }

    fn release(&mut self, now: Duration) {
        while let Some((slot, portion)) = self.core.release(now) {
            for held in portion {
                self.send(slot, &held.admitted, &held.bytes);
            }
        }
    }

    pub fn advance(&mut self, now: Duration) {
        let now = now.saturating_add(LAST_BIT);
        self.release(now);
        self.core.advance(now);
    }

    pub fn deadline(&self) -> Option<Duration> {
        self.core.deadline()
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        self.core.take_events()
    }

    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    pub fn counters(&self) -> Counters {
        self.core.counters()
    }
}

fn taken(local: SocketAddr) -> Answer {
    Answer::Refused {
        error: format!("{local} is in use"),
        taken: true,
    }
}
