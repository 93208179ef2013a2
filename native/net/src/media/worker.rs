//! The relay's thread: the only place where packets move, and the owner of every media socket.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relay_core::{
    Admitted, Aim, Answer, BadKey, Command, Core, Counters, Event, Offer, OpenFromTrunk, Port,
    Problem, Slot, ViewOverTrunk,
};

use super::line::Line;
use super::outlet::Outlet;
use super::refused;
use crate::arena::Arena;
use crate::poll::{Bell, Poll, monotonic};

/// Receive calls for one stream before the others get their turn.
const ROUNDS: usize = 4;
/// And for the trunk, which carries those of many.
const TRUNK_ROUNDS: usize = 64;
/// From so many packets a second on the thread lets them gather for a tick: fewer wake-ups, longer trains.
const GATHER_FROM: f64 = 5_000.0;
const TICK_MILLISECONDS: i32 = 1;
/// The token of the bell; slots are 32 bits.
pub(super) const BELL: u64 = u64::MAX;
const TRUNK: u64 = u64::MAX - 1;

pub(super) struct Socket {
    pub(super) udp: UdpSocket,
    /// Its device cuts trains.
    pub(super) merge: bool,
}

pub(super) enum Order {
    /// The command, with the socket it needs, and who waits for the outcome.
    Carry(Command, Option<Socket>, Option<Sender<Answer>>),
    Offer(Sender<Option<Result<Offer, BadKey>>>),
    Accept(Vec<u8>, Sender<Option<Result<(), BadKey>>>),
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
    core: Core<Port<Socket>>,
    arena: Arena,
    outlet: Outlet,
    line: Option<Line>,
    admitted: Vec<Admitted>,
    /// What came over the trunk, whose it is; some of `admitted` at a time.
    mixed: Vec<(Slot, Admitted)>,
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
            line: None,
            admitted: Vec::new(),
            mixed: Vec::new(),
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
                    Order::Offer(answers) => {
                        let offer = self.line.as_mut().map(|it| it.trunk.offer());
                        let _ = answers.send(offer);
                    }
                    Order::Accept(offer, answers) => {
                        let accepted = self.line.as_mut().map(|it| it.trunk.accept(&offer));
                        let _ = answers.send(accepted);
                    }
                    Order::Count(answers) => drop(answers.send(self.counters())),
                    Order::Stop => return Ok(()),
                }
            }
            self.release();
            for &token in &ready {
                if let Ok(slot) = u32::try_from(token) {
                    self.relay(Slot(slot));
                } else if token == TRUNK {
                    self.relay_trunk();
                }
            }
            if let Some(line) = &mut self.line {
                line.flush();
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
                let name = place.stream.clone();
                let slot = self.core.open(name, Port::Own(socket)).map_err(say)?;
                let stream = self.core.stream_mut(slot);
                if let Some(Port::Own(socket)) = stream.map(|it| &it.socket) {
                    if let Err(error) = self.poll.add(&socket.udp, slot.0.into()) {
                        let _ = self.core.close(&place.stream);
                        return Err(error.to_string());
                    }
                }
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::AddViewer(place) => {
                let socket = socket.ok_or_else(missing)?;
                let local = socket.udp.local_addr().map_err(|it| it.to_string())?;
                let socket = Port::Own(socket);
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
            Command::Close(name) => {
                let stream = self.core.close(&name.stream).map_err(say)?;
                if let (Port::Trunk(number), Some(line)) = (stream.socket, &mut self.line) {
                    line.trunk.leave(number);
                }
            }
            Command::Join(join) => {
                let socket = socket.ok_or_else(missing)?;
                if self.line.is_some() {
                    return Err(say(Problem::TrunkExists));
                }
                let local = socket.udp.local_addr().map_err(|it| it.to_string())?;
                let added = self.poll.add(&socket.udp, TRUNK);
                added.map_err(|it| it.to_string())?;
                self.line = Some(Line::new(socket, join.peer()));
                return Ok(Answer::Bound { port: local.port() });
            }
            Command::OpenFromTrunk(open) => return self.open_from_trunk(open).map_err(say),
            Command::ViewOverTrunk(view) => self.view_over_trunk(&view).map_err(say)?,
        }
        Ok(Answer::Done {})
    }

    fn open_from_trunk(&mut self, open: OpenFromTrunk) -> Result<Answer, Problem> {
        let line = self.line.as_mut().ok_or(Problem::NoTrunk)?;
        let name = open.stream.clone();
        let slot = self.core.open(open.stream, Port::Trunk(open.number))?;
        if !line.trunk.take(open.number, slot) {
            self.core.close(&name)?;
            return Err(Problem::NumberTaken);
        }
        let port = line.socket.udp.local_addr().map_or(0, |it| it.port());
        Ok(Answer::Bound { port })
    }

    fn view_over_trunk(&mut self, view: &ViewOverTrunk) -> Result<(), Problem> {
        let peer = self.line.as_ref().ok_or(Problem::NoTrunk)?.peer;
        let socket = Port::Trunk(view.number);
        let viewer = view.viewer.clone();
        self.core.add_viewer(&view.stream, viewer, socket)?;
        self.core.aim(&view.aim(peer), monotonic()).map(drop)
    }

    fn counters(&self) -> Counters {
        Counters {
            trunk: self.line.as_ref().map(|it| it.trunk.counters()),
            ..self.core.counters()
        }
    }

    fn aim(&mut self, aim: Aim) -> Result<(), String> {
        let viewer = self
            .core
            .aim(&aim, monotonic())
            .map_err(|it| it.to_string())?;
        // Connected: the route is looked up once, and nobody else can put anything into the socket.
        let Port::Own(socket) = &viewer.socket else {
            return Ok(());
        };
        if let Err(error) = socket.udp.connect(aim.destination) {
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
            let Port::Own(socket) = &stream.socket else {
                return;
            };
            match self.arena.receive(&socket.udp) {
                Ok(more) => {
                    self.pass(slot);
                    if !more {
                        return;
                    }
                }
                Err(error) => {
                    let _ = self.poll.remove(&socket.udp);
                    let name = stream.name.clone();
                    self.core
                        .failed(name, None, format!("its socket failed: {error}"));
                    return;
                }
            }
        }
    }

    /// Open what waits at the trunk's socket, and move it as if it had come to a socket of its stream.
    fn relay_trunk(&mut self) {
        for _ in 0..TRUNK_ROUNDS {
            let Some(line) = &mut self.line else {
                return;
            };
            match self.arena.receive(&line.socket.udp) {
                Ok(more) => {
                    self.pass_trunk();
                    if !more {
                        return;
                    }
                }
                Err(error) => {
                    let _ = self.poll.remove(&line.socket.udp);
                    let streams = self.core.streams();
                    let lost = streams.filter(|it| matches!(it.socket, Port::Trunk(_)));
                    let names: Vec<_> = lost.map(|it| it.name.clone()).collect();
                    for name in names {
                        let reason = format!("the socket to the other host failed: {error}");
                        self.core.failed(name, None, reason);
                    }
                    return;
                }
            }
        }
    }

    fn pass_trunk(&mut self) {
        let Some(line) = &mut self.line else {
            return;
        };
        let now = monotonic();
        self.mixed.clear();
        let (bytes, packets) = self.arena.parts();
        self.pace.packets += packets.len();
        for (range, source) in packets {
            let known = *source == line.peer;
            let Some((slot, rtp)) = line.trunk.open(&mut bytes[range.clone()], known) else {
                continue;
            };
            let start = range.start + rtp.start;
            let packet = &bytes[start..range.start + rtp.end];
            if let Some(mut admitted) = self.core.admit(slot, packet, line.peer, now) {
                let payload = admitted.payload;
                admitted.payload = start + payload.start..start + payload.end;
                self.mixed.push((slot, admitted));
            }
        }
        // Each stream's together and in their order: one call for each viewer.
        self.mixed.sort_by_key(|(slot, _)| *slot);
        let mut mixed = self.mixed.drain(..).peekable();
        while let Some((slot, first)) = mixed.next() {
            self.admitted.clear();
            self.admitted.push(first);
            while let Some((_, next)) = mixed.next_if(|it| it.0 == slot) {
                self.admitted.push(next);
            }
            if let Some(stream) = self.core.stream_mut(slot) {
                let line = self.line.as_mut();
                self.outlet
                    .send(stream, self.arena.bytes(), &self.admitted, line);
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
            self.outlet
                .send(stream, bytes, &self.admitted, self.line.as_mut());
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
                let line = self.line.as_mut();
                self.outlet.send(stream, &bytes, &self.admitted, line);
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
