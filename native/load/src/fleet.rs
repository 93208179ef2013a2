//! The devices and what they have under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

use sip_core::Time;
use sip_core::codec::{self, Head, Start, values};

use crate::flight::{Doing, Flight, Slot};
use crate::repeats::Repeats;
use crate::report::Report;
use crate::wire::{BadTerms, Branch, From, Terms, Writer, catalog_query};
use crate::work::{Aim, Pace, WORKS, Work, next_start};

/// After so long without an answer a request is lost (timer F of RFC 3261 section 17.1.2.2).
const GIVE_UP: u64 = 32_000_000;
/// How many devices are looked at for one that has nothing under way, before it is left for the next turn.
const LOOK: u32 = 64;
/// What is started at once at most, so that answers get read between.
const BURST: u32 = 512;

/// Something to send, from one of the fleet's sockets to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub socket: usize,
    pub bytes: Arc<[u8]>,
    pub destination: SocketAddr,
}

#[derive(Debug, Default, Clone, Copy)]
struct Device {
    cseq: u32,
    busy: bool,
    registered: bool,
}

/// A fleet that shares some sockets. The caller gives what arrives and the time, and sends what comes out.
pub struct Fleet {
    writer: Writer,
    locals: Vec<SocketAddr>,
    devices: Vec<Device>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    repeats: Repeats<(u32, u32)>,
    later: BinaryHeap<Reverse<(Time, u32, Work)>>,
    aims: [Option<Aim>; WORKS],
    out: Vec<Output>,
    answer: Vec<u8>,
    report: Report,
}

impl Fleet {
    /// `locals`: the addresses of the sockets; device n speaks from socket n modulo their number.
    ///
    /// # Errors
    /// The terms can't be written in messages.
    pub fn new(terms: Terms, locals: Vec<SocketAddr>) -> Result<Self, BadTerms> {
        if locals.is_empty() {
            return Err(BadTerms("a fleet needs a socket"));
        }
        let count = usize::try_from(terms.count).unwrap_or(usize::MAX);
        let writer = Writer::new(terms)?;
        Ok(Fleet {
            writer,
            locals,
            devices: vec![Device::default(); count],
            slots: Vec::new(),
            free: Vec::new(),
            repeats: Repeats::new(),
            later: BinaryHeap::new(),
            aims: [None; WORKS],
            out: Vec::new(),
            answer: Vec::new(),
            report: Report::default(),
        })
    }

    /// Do so much of this from now on, `count` times or without an end; what is under way goes on.
    pub fn aim(&mut self, work: Work, pace: Pace, count: Option<u64>, now: Time) {
        let cursor = self.aims[work as usize].map_or(0, |aim| aim.cursor);
        self.aims[work as usize] = Some(Aim {
            pace,
            since: now,
            count,
            started: 0,
            cursor,
            stuck_until: now,
        });
    }

    /// Start no more of this.
    pub fn rest(&mut self, work: Work) {
        self.aims[work as usize] = None;
    }

    /// Is everything that was to be done a number of times done, and nothing under way?
    pub fn done(&self) -> bool {
        let all_started = |aim: &Aim| aim.count.is_some_and(|count| aim.started >= count);
        self.report.under_way == 0
            && self.later.is_empty()
            && self.aims.iter().flatten().all(all_started)
    }

    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Forget how long things took so far.
    pub fn forget_latency(&mut self) {
        self.report.latency = Default::default();
    }

    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// When something is to be done without any arrival; never later than anything under way needs.
    pub fn deadline(&self) -> Option<Time> {
        let later = self.later.peek().map(|Reverse((due, _, _))| *due);
        let aims = self.aims.iter().flatten().filter_map(next_start);
        self.repeats
            .next()
            .into_iter()
            .chain(later)
            .chain(aims)
            .min()
    }

    /// Send again what nobody answered, come back where we were put off, and start what is due.
    pub fn advance(&mut self, now: Time) {
        self.repeat(now);
        while let Some(Reverse((due, device, work))) = self.later.peek().copied() {
            if due > now {
                break;
            }
            self.later.pop();
            self.begin(device, work, now);
        }
        for work in [Work::Register, Work::Keepalive, Work::Forged] {
            self.start_due(work, now);
        }
    }

    fn repeat(&mut self, now: Time) {
        loop {
            let slots = &self.slots;
            let open = |(slot, generation): (u32, u32)| {
                let slot = &slots[slot as usize];
                slot.generation == generation && slot.flight.is_some()
            };
            let Some((slot, _)) = self.repeats.due(now, open) else {
                return;
            };
            let Some(flight) = &self.slots[slot as usize].flight else {
                continue;
            };
            if now.since(flight.sent) < GIVE_UP {
                self.report.retransmitted += 1;
                let output = self.output(flight.device, flight.bytes.clone());
                self.out.push(output);
            } else if let Some(flight) = self.end(slot)
                && let Doing::Work(work) = flight.doing
            {
                self.report.lost[work as usize] += 1;
            }
        }
    }

    fn start_due(&mut self, work: Work, now: Time) {
        for _ in 0..BURST {
            let Some(aim) = self.aims[work as usize] else {
                return;
            };
            if aim.count.is_some_and(|count| aim.started >= count) || aim.stuck_until > now {
                return;
            }
            let wanted = match aim.pace {
                Pace::Window(window) => self.report.under_way < u64::from(window),
                Pace::Rate(_) => next_start(&aim).is_some_and(|due| due <= now),
            };
            if !wanted {
                return;
            }
            let Some(device) = self.next_device(work) else {
                if let Some(aim) = &mut self.aims[work as usize] {
                    aim.stuck_until = now.after(1000);
                }
                return;
            };
            if let Some(aim) = &mut self.aims[work as usize] {
                aim.started += 1;
            }
            self.report.started[work as usize] += 1;
            if work == Work::Forged {
                self.forge(device);
            } else {
                self.begin(device, work, now);
            }
        }
    }

    /// Who is next in turn for this.
    fn next_device(&mut self, work: Work) -> Option<u32> {
        let count = self.writer.terms().count;
        let aim = self.aims[work as usize].as_mut()?;
        for _ in 0..LOOK.min(count) {
            let device = aim.cursor;
            aim.cursor = (device + 1) % count;
            let it = self.devices[device as usize];
            let fits = match work {
                Work::Register => !it.busy,
                Work::Keepalive => !it.busy && it.registered,
                Work::Forged => true,
            };
            if fits {
                return Some(device);
            }
        }
        None
    }

    fn forge(&mut self, device: u32) {
        let branch = Branch {
            slot: u32::MAX,
            generation: device,
        };
        let from = self.from(device, branch);
        let bytes = self.writer.forged(from).into();
        let output = self.output(device, bytes);
        self.out.push(output);
    }

    fn begin(&mut self, device: u32, work: Work, now: Time) {
        self.devices[device as usize].busy = true;
        self.launch(device, Doing::Work(work), now, |writer, from| match work {
            Work::Keepalive => Ok(writer.keepalive(from)),
            Work::Register | Work::Forged => writer.register(from, &[]),
        });
    }

    /// Send a request that somebody must answer.
    fn launch(
        &mut self,
        device: u32,
        doing: Doing,
        now: Time,
        write: impl FnOnce(&mut Writer, From) -> Result<&[u8], String>,
    ) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1)
                .expect("fewer requests than devices and their catalogs")
        });
        let flight = Flight {
            device,
            doing,
            proven: false,
            begun: now,
            sent: now,
            bytes: Arc::from([]),
        };
        self.report.under_way += 1;
        self.send(slot, flight, now, write);
    }

    /// Put `flight` into its slot as a request of its own.
    fn send(
        &mut self,
        slot: u32,
        mut flight: Flight,
        now: Time,
        write: impl FnOnce(&mut Writer, From) -> Result<&[u8], String>,
    ) {
        let held = &mut self.slots[slot as usize];
        held.generation = held.generation.wrapping_add(1);
        let branch = Branch {
            slot,
            generation: held.generation,
        };
        let device = flight.device;
        let from = self.from(device, branch);
        let written = write(&mut self.writer, from).map(Arc::<[u8]>::from);
        flight.sent = now;
        let Ok(bytes) = written else {
            self.report.unreadable += 1; // a challenge that nobody can answer
            self.slots[slot as usize].flight = Some(flight);
            self.end(slot);
            return;
        };
        flight.bytes = bytes.clone();
        self.slots[slot as usize].flight = Some(flight);
        self.repeats.add((slot, branch.generation), now);
        let output = self.output(device, bytes);
        self.out.push(output);
    }

    fn end(&mut self, slot: u32) -> Option<Flight> {
        let flight = self.slots[slot as usize].flight.take()?;
        self.free.push(slot);
        self.report.under_way -= 1;
        if flight.doing != Doing::Catalog {
            self.devices[flight.device as usize].busy = false;
        }
        Some(flight)
    }

    fn from(&mut self, device: u32, branch: Branch) -> From {
        let it = &mut self.devices[device as usize];
        it.cseq = it.cseq % i32::MAX.unsigned_abs() + 1;
        From {
            device,
            cseq: it.cseq,
            branch,
            local: self.locals[device as usize % self.locals.len()],
        }
    }

    fn output(&self, device: u32, bytes: Arc<[u8]>) -> Output {
        Output {
            socket: device as usize % self.locals.len(),
            bytes,
            destination: self.writer.terms().server,
        }
    }

    /// What arrived at one of the sockets.
    pub fn feed(&mut self, socket: usize, bytes: &[u8], source: SocketAddr, now: Time) {
        let Ok(head) = codec::parse(bytes) else {
            self.report.unreadable += 1;
            return;
        };
        match head.start {
            Start::Response { status, .. } => self.take_response(bytes, &head, status, now),
            Start::Request { .. } => self.take_request(socket, bytes, &head, source, now),
        }
    }

    fn take_response(&mut self, bytes: &[u8], head: &Head, status: u16, now: Time) {
        let branch = Branch::read(head.via.branch.of(bytes));
        if branch.is_some_and(|branch| branch.slot == u32::MAX) {
            *self
                .report
                .refused
                .entry((Work::Forged, status))
                .or_default() += 1;
            return;
        }
        let found = branch.filter(|branch| {
            let slot = self.slots.get(branch.slot as usize);
            slot.is_some_and(|slot| slot.generation == branch.generation && slot.flight.is_some())
        });
        let Some(Branch { slot, .. }) = found else {
            self.report.stray += 1;
            return;
        };
        if status < 200 {
            return;
        }
        if matches!(status, 401 | 407) && self.prove(slot, bytes, head, now) {
            return;
        }
        let Some(flight) = self.end(slot) else {
            return;
        };
        match flight.doing {
            Doing::Work(work) => self.take_outcome(&flight, work, status, bytes, head, now),
            Doing::Catalog if status < 300 => self.report.catalogs += 1,
            Doing::Catalog => {}
        }
    }

    /// Answer a challenge, once.
    fn prove(&mut self, slot: u32, bytes: &[u8], head: &Head, now: Time) -> bool {
        let Some(flight) = &self.slots[slot as usize].flight else {
            return false;
        };
        if flight.proven || flight.doing != Doing::Work(Work::Register) {
            return false;
        }
        let challenges: Vec<&str> = head
            .headers(bytes, b"WWW-Authenticate")
            .filter_map(|value| std::str::from_utf8(value.of(bytes)).ok())
            .collect();
        if challenges.is_empty() {
            return false;
        }
        let flight = Flight {
            proven: true,
            bytes: Arc::from([]),
            ..*flight
        };
        self.report.challenged += 1;
        self.send(slot, flight, now, |writer, from| {
            writer.register(from, &challenges)
        });
        true
    }

    fn take_outcome(
        &mut self,
        flight: &Flight,
        work: Work,
        status: u16,
        bytes: &[u8],
        head: &Head,
        now: Time,
    ) {
        if (200..300).contains(&status) {
            self.report.finished[work as usize] += 1;
            self.report.latency[work as usize].add(now.since(flight.begun));
            if work == Work::Register {
                self.set_registered(flight.device, self.writer.terms().expires > 0);
            }
            return;
        }
        *self.report.refused.entry((work, status)).or_default() += 1;
        if work == Work::Keepalive && status != 503 {
            self.set_registered(flight.device, false); // whoever refuses it does not know us
        }
        let retry = head.headers(bytes, b"Retry-After").next();
        let seconds = retry.and_then(|value| {
            let digits = value
                .of(bytes)
                .split(|byte| !byte.is_ascii_digit())
                .next()?;
            values::number(digits)
        });
        if let (503, Some(seconds)) = (status, seconds) {
            self.report.put_off += 1;
            self.devices[flight.device as usize].busy = true;
            let due = now.after(u64::from(seconds) * 1_000_000);
            self.later.push(Reverse((due, flight.device, work)));
        }
    }

    fn set_registered(&mut self, device: u32, registered: bool) {
        let it = &mut self.devices[device as usize];
        match (it.registered, registered) {
            (false, true) => self.report.registered += 1,
            (true, false) => self.report.registered -= 1,
            _ => {}
        }
        it.registered = registered;
    }

    /// The server asks one of the devices: 200 for what a device knows, and its catalog if that is wanted.
    fn take_request(
        &mut self,
        socket: usize,
        bytes: &[u8],
        head: &Head,
        source: SocketAddr,
        now: Time,
    ) {
        let user = values::uri_user(bytes, head.to_uri);
        let device = self.writer.device_of(user.of(bytes));
        let known = matches!(head.method(bytes), b"MESSAGE" | b"OPTIONS" | b"SUBSCRIBE");
        let status = match (device, known) {
            (None, _) => 404,
            (_, false) => 405,
            _ => 200,
        };
        self.report.answered += 1;
        let mut answer = std::mem::take(&mut self.answer);
        codec::response(
            &mut answer,
            bytes,
            head,
            source,
            status,
            Some(b"fleet"),
            &[],
            b"",
        );
        self.out.push(Output {
            socket,
            bytes: answer.as_slice().into(),
            destination: source,
        });
        self.answer = answer;
        let sn = catalog_query(head.body.of(bytes));
        if let (Some(device), Some(sn), b"MESSAGE") = (device, sn, head.method(bytes)) {
            self.launch(device, Doing::Catalog, now, |writer, from| {
                Ok(writer.catalog(from, sn))
            });
        }
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
