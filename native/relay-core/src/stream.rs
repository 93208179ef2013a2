//! One stream: its admission, its viewers, and whether it starves.

use std::net::SocketAddr;
use std::time::Duration;

use crate::admission::{Admission, Admitted, REFUSALS, Refusal};
use crate::hold::{Held, Hold};
use crate::rtp::{self, Header, Rtp};
use crate::wire::{Aim, Expect, Kind, StreamCounters, ViewerCounters};

/// `S` stands for a socket. Dropping the stream drops its own and those of its viewers.
#[derive(Debug)]
pub struct Stream<S> {
    pub name: String,
    pub socket: S,
    pub viewers: Vec<Viewer<S>>,
    pub(crate) watch: Option<Watch>,
    admission: Option<Admission>,
    hold: Option<Hold>,
    held_dropped: u64,
    /// A viewer was aimed once: from then on nothing is held.
    taken: bool,
    received: u64,
    admitted: u64,
    bytes: u64,
    refused: [u64; REFUSALS.len()],
    first: Option<Duration>,
    last: Duration,
    foreign_ssrc: Option<u32>,
}

impl<S> Stream<S> {
    pub(crate) fn new(name: String, socket: S) -> Self {
        Self {
            name,
            socket,
            viewers: Vec::new(),
            watch: None,
            admission: None,
            hold: None,
            held_dropped: 0,
            taken: false,
            received: 0,
            admitted: 0,
            bytes: 0,
            refused: [0; REFUSALS.len()],
            first: None,
            last: Duration::ZERO,
            foreign_ssrc: None,
        }
    }

    pub(crate) fn expect(&mut self, expect: Expect, now: Duration) {
        self.watch = Some(Watch::new(expect.first, expect.idle, now));
        if !self.taken && self.hold.is_none() && expect.hold > 0 {
            self.hold = Some(Hold::new(expect.hold));
        }
        self.admission = Some(Admission::new(expect.agreed, self.admission.as_ref(), now));
    }

    pub(crate) fn admission(&self) -> Option<&Admission> {
        self.admission.as_ref()
    }

    /// A viewer was aimed; what is held leaves from now on.
    pub(crate) fn release(&mut self, now: Duration) {
        self.taken = true;
        if let Some(hold) = self.hold.as_mut() {
            hold.release(now);
        }
    }

    /// When the next portion of what is held leaves.
    pub(crate) fn release_due(&self) -> Option<Duration> {
        self.hold.as_ref().and_then(Hold::due)
    }

    /// The portion that is due; after the last one packets pass at once.
    pub(crate) fn take_portion(&mut self, now: Duration) -> Vec<Held> {
        let portion = self
            .hold
            .as_mut()
            .map(|it| it.take(now))
            .unwrap_or_default();
        self.hold.take_if(|it| it.len() == 0);
        portion
    }

    /// Judge and count one datagram; whether it was admitted, and what is to be passed on at once.
    pub(crate) fn admit(
        &mut self,
        packet: &[u8],
        source: SocketAddr,
        now: Duration,
    ) -> (bool, Option<Admitted>) {
        self.received += 1;
        match self.judge(packet, source, now) {
            Ok(admitted) => {
                self.admitted += 1;
                self.bytes += packet.len() as u64;
                self.first.get_or_insert(now);
                self.last = now;
                let Some(hold) = self.hold.as_mut() else {
                    return (true, Some(admitted));
                };
                self.held_dropped += hold.put(&admitted, packet);
                (true, None)
            }
            Err(refusal) => {
                self.refused[refusal as usize] += 1;
                if refusal == Refusal::ForeignSsrc {
                    self.foreign_ssrc = Rtp::read(packet).map(|it| it.ssrc);
                }
                (false, None)
            }
        }
    }

    fn judge(
        &mut self,
        packet: &[u8],
        source: SocketAddr,
        now: Duration,
    ) -> Result<Admitted, Refusal> {
        let rtp = Rtp::read(packet).ok_or(Refusal::NotRtp)?;
        let admission = self.admission.as_mut().ok_or(Refusal::BeforeAnswer)?;
        admission.check(rtp, packet, source, now)
    }

    pub(crate) fn counters(&self) -> StreamCounters {
        let viewers = self.viewers.iter();
        StreamCounters {
            received: self.received,
            admitted: self.admitted,
            bytes: self.bytes,
            refused: REFUSALS
                .iter()
                .map(|it| (it.name(), self.refused[*it as usize]))
                .collect(),
            held: self.hold.as_ref().map_or(0, Hold::len),
            held_dropped: self.held_dropped,
            lost: self
                .admission
                .as_ref()
                .map_or(0, |it| it.span().saturating_sub(self.admitted)),
            first: self.first.map(|it| it.as_secs_f64()),
            last: self.first.map(|_| self.last.as_secs_f64()),
            foreign_ssrc: self.foreign_ssrc,
            viewers: viewers.map(|it| (it.name.clone(), it.counters)).collect(),
        }
    }
}

/// One who takes the stream.
#[derive(Debug)]
pub struct Viewer<S> {
    pub name: String,
    pub socket: S,
    pub counters: ViewerCounters,
    target: Option<Target>,
}

#[derive(Debug)]
struct Target {
    destination: SocketAddr,
    ssrc: u32,
    payload_type: u8,
    /// The sequence number of our first packet; random.
    start: u16,
    /// The stream's number of that packet.
    first: Option<u64>,
}

impl<S> Viewer<S> {
    pub(crate) fn new(name: String, socket: S) -> Self {
        Self {
            name,
            socket,
            counters: ViewerCounters::default(),
            target: None,
        }
    }

    pub(crate) fn aim(&mut self, aim: &Aim, start: u16) {
        self.target = Some(Target {
            destination: aim.destination,
            ssrc: aim.ssrc,
            payload_type: aim.payload_type,
            start,
            first: None,
        });
    }

    /// `None`: not aimed yet, nothing is sent.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.target.as_ref().map(|it| it.destination)
    }

    /// The header this viewer gets before the packet's payload; `None` while it is not aimed.
    ///
    /// Sequence: ours, started at random, with the gaps of the sender's (a lost packet stays visible).
    #[allow(clippy::cast_possible_truncation)] // a sequence number is the low 16 bits
    pub fn header(&mut self, admitted: &Admitted) -> Option<Header> {
        let target = self.target.as_mut()?;
        let first = *target.first.get_or_insert(admitted.number);
        let sequence = target
            .start
            .wrapping_add(admitted.number.wrapping_sub(first) as u16);
        let marker = admitted.marker;
        Some(rtp::write(
            marker,
            target.payload_type,
            sequence,
            admitted.timestamp,
            target.ssrc,
        ))
    }

    pub fn count_sent(&mut self, packets: usize, bytes: usize) {
        self.counters.sent += packets as u64;
        self.counters.bytes += bytes as u64;
    }

    pub fn count_unsent(&mut self, packets: usize) {
        self.counters.unsent += packets as u64;
    }
}

/// Whether media are late. A packet only writes down its moment; the alarm is looked at when it is due.
#[derive(Debug)]
pub(crate) struct Watch {
    state: State,
    idle: Duration,
    last: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing admitted yet; said so at the moment given.
    Waiting(Duration),
    /// Nothing admitted, and it was said.
    Missing,
    Flowing,
    /// It was said that media are lost.
    Lost,
}

impl Watch {
    fn new(first: Duration, idle: Duration, now: Duration) -> Self {
        Self {
            state: State::Waiting(now.saturating_add(first)),
            idle,
            last: now,
        }
    }

    /// A packet was admitted; `true` for the first one.
    pub(crate) fn touch(&mut self, now: Duration) -> bool {
        self.last = now;
        let first = matches!(self.state, State::Waiting(_) | State::Missing);
        if first {
            self.state = State::Flowing;
        }
        first
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        match self.state {
            State::Waiting(until) => Some(until),
            State::Flowing => Some(self.last.saturating_add(self.idle)),
            State::Missing | State::Lost => None,
        }
    }

    /// What is to be said at its due moment; each kind once.
    pub(crate) fn ring(&mut self) -> Kind {
        let (state, kind) = match self.state {
            State::Waiting(_) | State::Missing => (State::Missing, Kind::NoMedia),
            State::Flowing | State::Lost => (State::Lost, Kind::MediaLost),
        };
        self.state = state;
        kind
    }
}
