//! The relay without sockets: packets are handed in and taken out. For tests in virtual time, and replay.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::admission::Admitted;
use crate::core::{Core, Problem, Slot};
use crate::seal::{BadKey, Offer};
use crate::trunk::{Port, Trunk};
use crate::wire::{Answer, Command, Counters, Event, Join, OpenFromTrunk, ViewOverTrunk};

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
struct Joined {
    local: SocketAddr,
    peer: SocketAddr,
    trunk: Trunk,
}

#[derive(Debug)]
pub struct Twin {
    core: Core<Port<SocketAddr>>,
    receiving: HashMap<SocketAddr, Slot>,
    sending: HashSet<SocketAddr>,
    joined: Option<Joined>,
    outputs: Vec<Output>,
}

impl Twin {
    pub fn new(seed: u64) -> Self {
        Self {
            core: Core::new(seed),
            receiving: HashMap::new(),
            sending: HashSet::new(),
            joined: None,
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
        let binds = command.binds();
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
                let slot = self.core.open(place.stream, Port::Own(local))?;
                self.receiving.insert(local, slot);
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::AddViewer(place) => {
                let local = SocketAddr::new(place.address, place.port);
                if self.taken(local) {
                    return Ok(taken(local));
                }
                let socket = Port::Own(local);
                self.core.add_viewer(&place.stream, place.viewer, socket)?;
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
                self.free(viewer.socket);
            }
            Command::Close(name) => {
                let stream = self.core.close(&name.stream)?;
                if let (Port::Trunk(number), Some(joined)) = (stream.socket, &mut self.joined) {
                    joined.trunk.leave(number);
                }
                self.free(stream.socket);
                for viewer in stream.viewers {
                    self.free(viewer.socket);
                }
            }
            Command::Join(join) => return self.join(join),
            Command::OpenFromTrunk(open) => return self.open_from_trunk(open),
            Command::ViewOverTrunk(view) => {
                self.view_over_trunk(&view, now)?;
                self.release(now);
            }
        }
        Ok(Answer::Done {})
    }

    fn join(&mut self, join: Join) -> Result<Answer, Problem> {
        if self.joined.is_some() {
            return Err(Problem::TrunkExists);
        }
        let local = SocketAddr::new(join.address, join.port);
        if self.taken(local) {
            return Ok(taken(local));
        }
        self.joined = Some(Joined {
            local,
            peer: join.peer(),
            trunk: Trunk::default(),
        });
        Ok(Answer::Bound { port: join.port })
    }

    fn open_from_trunk(&mut self, open: OpenFromTrunk) -> Result<Answer, Problem> {
        let joined = self.joined.as_mut().ok_or(Problem::NoTrunk)?;
        let name = open.stream.clone();
        let slot = self.core.open(open.stream, Port::Trunk(open.number))?;
        if !joined.trunk.take(open.number, slot) {
            self.core.close(&name)?;
            return Err(Problem::NumberTaken);
        }
        Ok(Answer::Bound {
            port: joined.local.port(),
        })
    }

    fn view_over_trunk(&mut self, view: &ViewOverTrunk, now: Duration) -> Result<(), Problem> {
        let peer = self.joined.as_ref().ok_or(Problem::NoTrunk)?.peer;
        let socket = Port::Trunk(view.number);
        self.core
            .add_viewer(&view.stream, view.viewer.clone(), socket)?;
        self.core.aim(&view.aim(peer), now).map(drop)
    }

    fn free(&mut self, socket: Port<SocketAddr>) {
        if let Port::Own(local) = socket {
            self.receiving.remove(&local);
            self.sending.remove(&local);
        }
    }

    /// A key for the other host, see [`Trunk::offer`]; `None` without a trunk.
    pub fn offer(&mut self) -> Option<Result<Offer, BadKey>> {
        self.joined.as_mut().map(|it| it.trunk.offer())
    }

    /// The other host's key, see [`Trunk::accept`]; `None` without a trunk.
    pub fn accept(&mut self, offer: &[u8]) -> Option<Result<(), BadKey>> {
        self.joined.as_mut().map(|it| it.trunk.accept(offer))
    }

    fn taken(&self, local: SocketAddr) -> bool {
        let joined = self.joined.as_ref().is_some_and(|it| it.local == local);
        joined || self.receiving.contains_key(&local) || self.sending.contains(&local)
    }

    /// Hand in a datagram that came to `port`; one for a port that is not open is dropped.
    pub fn feed(&mut self, port: SocketAddr, packet: &[u8], source: SocketAddr, now: Duration) {
        if let Some(joined) = self.joined.as_mut().filter(|it| it.local == port) {
            let (mut datagram, peer) = (packet.to_vec(), joined.peer);
            if let Some((slot, rtp)) = joined.trunk.open(&mut datagram, source == peer) {
                self.relay(slot, &datagram[rtp], peer, now);
            }
        } else if let Some(&slot) = self.receiving.get(&port) {
            self.relay(slot, packet, source, now);
        }
    }

    fn relay(&mut self, slot: Slot, packet: &[u8], source: SocketAddr, now: Duration) {
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
            let mut datagram = Vec::new();
            let port = match (viewer.socket, self.joined.as_mut()) {
                (Port::Own(local), _) => {
                    datagram = [&header[..], payload].concat();
                    Some(local)
                }
                (Port::Trunk(number), Some(joined)) => joined
                    .trunk
                    .seal(number, &header, payload, &mut datagram)
                    .map(|_| joined.local),
                (Port::Trunk(_), None) => None,
            };
            if let Some(port) = port {
                viewer.count_sent(1, datagram.len());
                self.outputs.push(Output {
                    datagram,
                    destination,
                    port,
                });
            } else {
                viewer.count_unsent(1);
            }
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
        Counters {
            trunk: self.joined.as_ref().map(|it| it.trunk.counters()),
            ..self.core.counters()
        }
    }
}

fn taken(local: SocketAddr) -> Answer {
    Answer::Refused {
        error: format!("{local} is in use"),
        taken: true,
    }
}
