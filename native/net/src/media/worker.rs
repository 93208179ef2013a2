//! The relay's thread: the only place where packets move, and the owner of every media socket.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relay_core::{
    Admitted, Aim, Answer, Command, Core, Counters, Event, HEADER_BYTES, Slot, Stream,
};

use super::refused;
use crate::arena::Arena;
use crate::poll::{Bell, Poll, monotonic};
use crate::train::{self, Packet};

/// Receive calls for one stream before the others get their turn.
const ROUNDS: usize = 4;
/// From so many packets a second on the thread lets them gather for a tick: fewer wake-ups, longer trains.
const GATHER_FROM: f64 = 5_000.0;
const TICK_MILLISECONDS: i32 = 1;
/// The token of the bell; slots are 32 bits.
pub(super) const BELL: u64 = u64::MAX;

pub(super) struct Socket {
    pub(super) udp: UdpSocket,
    /// Its device cuts trains.
    pub(super) merge: bool,
}

pub(super) enum Order {
    /// The command, with the socket it needs, and who waits for the outcome.
    Carry(Command, Option<Socket>, Option<Sender<Answer>>),
    Count(Sender<Counters>),
    Stop,
}

/// Events on their way to the owner of the engine.
pub(super) struct Outbox {
    events: Mutex<Vec<Event>>,
    /// Readable while events wait.
    pub(super) bell: Bell,
}

impl Outbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            events: Mutex::default(),
            bell: Bell::new()?,
        })
    }

    fn put(&self, events: Vec<Event>) {
        let mut waiting = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(events);
        drop(waiting);
        self.bell.ring();
    }

    pub(super) fn take(&self) -> Vec<Event> {
        self.bell.clear(); // before the list is taken: what comes later rings again
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Worker {
    orders: Receiver<Order>,
    wake: Arc<Bell>,
    outbox: Arc<Outbox>,
    poll: Poll,
    core: Core<Socket>,
    arena: Arena,
    outlet: Outlet,
    admitted: Vec<Admitted>,
    pace: Pace,
}

impl Worker {
    /// Made in its own thread. `poll` holds `wake` as [`BELL`].
    pub(super) fn new(
        orders: Receiver<Order>,
        wake: Arc<Bell>,
        outbox: Arc<Outbox>,
        poll: Poll,
    ) -> Self {
        Self {
            orders,
            wake,
            outbox,
            poll,
            core: Core::new(RandomState::new().build_hasher().finish()),
            arena: Arena::default(),
            outlet: Outlet::default(),
            admitted: Vec::new(),
            pace: Pace::default(),
        }
    }

    pub(super) fn run(mut self) {
        if let Err(error) = self.serve() {
            self.fail_all(&error.to_string());
        }
    }

    /// Tell the owners of all streams: nothing moves any more.
    fn fail_all(&mut self, why: &str) {
        let names: Vec<_> = self.core.streams().map(|it| it.name.clone()).collect();
        for name in names {
            self.core
                .failed(name, None, format!("the relay thread ended: {why}"));
        }
        self.publish();
    }

    /// Until told to stop.
    fn serve(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            let timeout = self
                .core
                .deadline()
                .map(|it| it.saturating_sub(monotonic()));
            ready.clear();
            ready.extend_from_slice(self.poll.wait(timeout)?);
            if self.pace.fast && ready.iter().any(|it| *it != BELL) {
                self.wake.wait(TICK_MILLISECONDS);
                ready.clear();
                ready.extend_from_slice(self.poll.wait(Some(Duration::ZERO))?);
            }
            // Commands first: what was expected before a packet was sent is expected when it is judged.
            if ready.contains(&BELL) {
                self.wake.clear();
            }
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Carry(command, socket, answers) => {
                        let answer = self.carry(command, socket).unwrap_or_else(refused);
                        let _ = answers.map(|it| it.send(answer));
                    }
                    Order::Count(answers) => drop(answers.send(self.core.counters())),
                    Order::Stop => return Ok(()),
                }
            }
            self.release();
            for &token in &ready {
                if let Ok(slot) = u32::try_from(token) {
                    self.relay(Slot(slot));
                }
            }
            let now = monotonic();
            self.pace.judge(now);
            self.core.advance(now);
            self.publish();
        }
    }

    fn publish(&mut self) {
        let events = self.core.take_events();
        if !events.is_empty() {
            self.outbox.put(events);
        }
    }

    fn carry(&mut self, command: Command, socket: Option<Socket>) -> Result<Answer, String> {
        let say = |problem: relay_core::Problem| problem.to_string();
        let missing = || "a port was to be bound and was not".to_owned();
        match command {
            Command::Open(place) => {
                let socket = socket.ok_or_else(missing)?;
                let local = socket.udp.local_addr().map_err(|it| it.to_string())?;
                let slot = self.core.open(place.stream.clone(), socket).map_err(say)?;
                let stream = self.core.stream_mut(slot);
                let added = stream.map(|it| self.poll.add(&it.socket.udp, slot.0.into()));
                if let Some(Err(error)) = added {
                    let _ = self.core.close(&place.stream);
                    return Err(error.to_string());
                }
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::AddViewer(place) => {
                let socket = socket.ok_or_else(missing)?;
                let local = socket.udp.local_addr().map_err(|it| it.to_string())?;
                let added = self.core.add_viewer(&place.stream, place.viewer, socket);
                added.map_err(say)?;
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::Expect(expect) => self.core.expect(expect, monotonic()).map_err(say)?,
            Command::AimViewer(aim) => self.aim(aim)?,
            Command::DropViewer(it) => {
                self.core
                    .drop_viewer(&it.stream, &it.viewer)
                    .map(drop)
                    .map_err(say)?;
            }
            Command::Close(name) => self.core.close(&name.stream).map(drop).map_err(say)?,
        }
        Ok(Answer::Done {})
    }

    fn aim(&mut self, aim: Aim) -> Result<(), String> {
        let viewer = self
            .core
            .aim(&aim, monotonic())
            .map_err(|it| it.to_string())?;
        // Connected: the route is looked up once, and nobody else can put anything into the socket.
        if let Err(error) = viewer.socket.udp.connect(aim.destination) {
            let reason = format!("no way to {}: {error}", aim.destination);
            self.core.failed(aim.stream, Some(aim.viewer), reason);
        }
        Ok(())
    }

    /// Move what waits at one stream's socket.
    fn relay(&mut self, slot: Slot) {
        for _ in 0..ROUNDS {
            let Some(stream) = self.core.stream_mut(slot) else {
                return;
            };
            match self.arena.receive(&stream.socket.udp) {
                Ok(more) => {
                    self.pass(slot);
                    if !more {
                        return;
                    }
                }
                Err(error) => {
                    let _ = self.poll.remove(&stream.socket.udp);
                    let name = stream.name.clone();
                    self.core
                        .failed(name, None, format!("its socket failed: {error}"));
                    return;
                }
            }
        }
    }

    /// Judge the packets in the arena, and send each viewer those that were admitted.
    fn pass(&mut self, slot: Slot) {
        let now = monotonic();
        let bytes = self.arena.bytes();
        self.pace.packets += self.arena.packets().len();
        self.admitted.clear();
        for (range, source) in self.arena.packets() {
            if let Some(mut admitted) = self.core.admit(slot, &bytes[range.clone()], *source, now) {
                let payload = admitted.payload;
                admitted.payload = range.start + payload.start..range.start + payload.end;
                self.admitted.push(admitted);
            }
        }
        if let Some(stream) = self.core.stream_mut(slot) {
            self.outlet.send(stream, bytes, &self.admitted);
        }
    }

    /// Send what was held for a first viewer, as far as it is due.
    fn release(&mut self) {
        while let Some((slot, portion)) = self.core.release(monotonic()) {
            let mut bytes = Vec::new();
            self.admitted.clear();
            for held in portion {
                let mut admitted = held.admitted;
                admitted.payload = bytes.len()..bytes.len() + held.bytes.len();
                bytes.extend(held.bytes);
                self.admitted.push(admitted);
            }
            if let Some(stream) = self.core.stream_mut(slot) {
                self.outlet.send(stream, &bytes, &self.admitted);
            }
        }
    }
}

/// A bug must not leave the owners waiting for media for ever.
impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail_all("a bug");
        }
    }
}

/// How fast packets come, looked at from time to time.
#[derive(Default)]
struct Pace {
    packets: usize,
    since: Duration,
    fast: bool,
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(50);

    #[allow(clippy::cast_precision_loss)] // a count of 50 ms
    fn judge(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= Self::WINDOW {
            self.fast = self.packets as f64 > GATHER_FROM * elapsed.as_secs_f64();
            self.packets = 0;
            self.since = now;
        }
    }
}

/// Where packets leave; keeps its lists from one batch to the next.
#[derive(Default)]
struct Outlet {
    sender: train::Sender,
    packets: Vec<Packet<HEADER_BYTES>>,
}

impl Outlet {
    /// Give each viewer its own headers before the same payloads.
    fn send(&mut self, stream: &mut Stream<Socket>, bytes: &[u8], admitted: &[Admitted]) {
        for viewer in &mut stream.viewers {
            self.packets.clear();
            self.packets.extend(admitted.iter().filter_map(|it| {
                let (header, payload) = (viewer.header(it)?, it.payload.clone());
                Some(Packet { header, payload })
            }));
            if !self.packets.is_empty() {
                let socket = &mut viewer.socket;
                let sent = self
                    .sender
                    .send(&socket.udp, bytes, &self.packets, &mut socket.merge);
                viewer.count_sent(sent.packets, sent.bytes);
                viewer.count_unsent(sent.unsent);
            }
        }
    }
}
