//! All streams of one relay: commands in, packets through, events out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::admission::Admitted;
use crate::hold::Held;
use crate::random::Random;
use crate::stream::{Stream, Viewer};
use crate::trunk::Port;
use crate::wire::{Aim, Counters, Event, Expect};

/// Where a stream stands in its [`Core`]; given out again after the stream has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    StreamExists,
    NoSuchStream,
    ViewerExists,
    NoSuchViewer,
    TooManyStreams,
    NoTrunk,
    TrunkExists,
    NumberTaken,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::StreamExists => "a stream of that name is open",
            Self::NoSuchStream => "no stream of that name is open",
            Self::ViewerExists => "the stream has a viewer of that name",
            Self::NoSuchViewer => "the stream has no viewer of that name",
            Self::TooManyStreams => "more streams than the relay can number",
            Self::NoTrunk => "there is no trunk to another host",
            Self::TrunkExists => "the trunk is joined already",
            Self::NumberTaken => "another stream has that number on the trunk",
        })
    }
}

/// When to look whether a stream starves; stale when its stream is gone or was told anew.
type Alarm = Reverse<(Duration, Slot, u64)>;

/// `S` stands for a socket: a real one, or its address in the [`Twin`](crate::Twin).
#[derive(Debug)]
pub struct Core<S> {
    streams: Vec<Option<(u64, Stream<S>)>>,
    free: Vec<Slot>,
    names: HashMap<String, Slot>,
    alarms: BinaryHeap<Alarm>,
    /// When a portion of what a stream holds leaves; stale when the stream says otherwise.
    releases: BinaryHeap<Reverse<(Duration, Slot)>>,
    events: Vec<Event>,
    serial: u64,
    random: Random,
}

impl<S> Core<S> {
    /// `seed`: where the first sequence numbers of viewers come from.
    pub fn new(seed: u64) -> Self {
        Self {
            streams: Vec::new(),
            free: Vec::new(),
            names: HashMap::new(),
            alarms: BinaryHeap::new(),
            releases: BinaryHeap::new(),
            events: Vec::new(),
            serial: 0,
            random: Random::new(seed),
        }
    }

    /// Hold `socket` for a new stream; nothing is admitted yet.
    pub fn open(&mut self, name: String, socket: S) -> Result<Slot, Problem> {
        if self.names.contains_key(&name) {
            return Err(Problem::StreamExists);
        }
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            let next = u32::try_from(self.streams.len()).map_err(|_| Problem::TooManyStreams)?;
            self.streams.push(None);
            Slot(next)
        };
        self.names.insert(name.clone(), slot);
        self.streams[slot.0 as usize] = Some((0, Stream::new(name, socket)));
        Ok(slot)
    }

    /// Admit from now on what fits.
    pub fn expect(&mut self, expect: Expect, now: Duration) -> Result<(), Problem> {
        let slot = self.slot(&expect.stream)?;
        let stream = self.stream_mut(slot).ok_or(Problem::NoSuchStream)?;
        stream.expect(expect, now);
        self.set_alarm(slot);
        Ok(())
    }

    /// Hold `socket` for one more viewer; nothing is sent yet.
    pub fn add_viewer(&mut self, stream: &str, viewer: String, socket: S) -> Result<(), Problem> {
        let stream = self.named(stream)?;
        if stream.viewers.iter().any(|it| it.name == viewer) {
            return Err(Problem::ViewerExists);
        }
        stream.viewers.push(Viewer::new(viewer, socket));
        Ok(())
    }

    /// Send the viewer what is admitted from now on, and the first one what was held so far; return the
    /// viewer, whose socket may need to know.
    pub fn aim(&mut self, aim: &Aim, now: Duration) -> Result<&mut Viewer<S>, Problem> {
        let start = self.random.next();
        let slot = self.slot(&aim.stream)?;
        let (_, stream) = self.streams[slot.0 as usize]
            .as_mut()
            .ok_or(Problem::NoSuchStream)?;
        let found = stream.viewers.iter().position(|it| it.name == aim.viewer);
        let found = found.ok_or(Problem::NoSuchViewer)?;
        stream.release(now);
        self.releases
            .extend(stream.release_due().map(|due| Reverse((due, slot))));
        let viewer = &mut stream.viewers[found];
        viewer.aim(aim, start);
        Ok(viewer)
    }

    /// Take a viewer and its socket out.
    pub fn drop_viewer(&mut self, stream: &str, viewer: &str) -> Result<Viewer<S>, Problem> {
        let stream = self.named(stream)?;
        let found = stream.viewers.iter().position(|it| it.name == viewer);
        Ok(stream
            .viewers
            .swap_remove(found.ok_or(Problem::NoSuchViewer)?))
    }

    /// Take a stream out, with its socket and those of its viewers.
    pub fn close(&mut self, stream: &str) -> Result<Stream<S>, Problem> {
        let slot = self.names.remove(stream).ok_or(Problem::NoSuchStream)?;
        self.free.push(slot);
        let entry = self.streams.get_mut(slot.0 as usize).and_then(Option::take);
        entry.map(|(_, stream)| stream).ok_or(Problem::NoSuchStream)
    }

    /// Judge one datagram that came to the stream's socket; `None` when there is nothing to pass on now: it was
    /// refused, or is held for the first viewer.
    pub fn admit(
        &mut self,
        slot: Slot,
        packet: &[u8],
        source: SocketAddr,
        now: Duration,
    ) -> Option<Admitted> {
        let stream = self.stream_mut(slot)?;
        let (admitted, passes) = stream.admit(packet, source, now);
        if admitted && stream.watch.as_mut().is_some_and(|it| it.touch(now)) {
            self.started(slot, now);
        }
        passes
    }

    /// A portion of held packets that is to leave now, to all viewers of its stream. Call until `None`.
    pub fn release(&mut self, now: Duration) -> Option<(Slot, Vec<Held>)> {
        while let Some(&Reverse((due, slot))) = self.releases.peek() {
            if due > now {
                return None;
            }
            self.releases.pop();
            let Some(stream) = self.stream_mut(slot) else {
                continue;
            };
            if stream.release_due() == Some(due) {
                let portion = stream.take_portion(now);
                let next = stream.release_due();
                self.releases.extend(next.map(|due| Reverse((due, slot))));
                return Some((slot, portion));
            }
        }
        None
    }

    fn started(&mut self, slot: Slot, now: Duration) {
        self.set_alarm(slot);
        let stream = self.stream_mut(slot);
        let event = stream.and_then(|stream| {
            let pinned = stream.admission()?.pinned()?;
            Some(Event::Started {
                stream: stream.name.clone(),
                ssrc: pinned.ssrc,
                source: (pinned.source.ip(), pinned.source.port()),
                at: now.as_secs_f64(),
            })
        });
        self.events.extend(event);
    }

    /// Look at the stream when it is next due; an alarm set earlier for it is stale from now on.
    fn set_alarm(&mut self, slot: Slot) {
        let alarm = self.serial + 1;
        let entry = self.entry(slot);
        let due = entry.and_then(|(serial, stream)| {
            *serial = alarm;
            stream.watch.as_ref()?.due()
        });
        self.serial = alarm;
        self.alarms
            .extend(due.map(|due| Reverse((due, slot, alarm))));
    }

    /// When `release` and `advance` are to be called; they may then find nothing to do.
    pub fn deadline(&self) -> Option<Duration> {
        let alarm = self.alarms.peek().map(|Reverse((due, _, _))| *due);
        let release = self.releases.peek().map(|Reverse((due, _))| *due);
        alarm.into_iter().chain(release).min()
    }

    /// Say which streams have starved up to `now`.
    pub fn advance(&mut self, now: Duration) {
        while let Some(&Reverse((due, slot, alarm))) = self.alarms.peek() {
            if due > now {
                return;
            }
            self.alarms.pop();
            let Some((serial, stream)) = self.entry(slot) else {
                continue;
            };
            let Some(watch) = stream.watch.as_mut().filter(|_| *serial == alarm) else {
                continue;
            };
            match watch.due() {
                Some(due) if due > now => self.alarms.push(Reverse((due, slot, alarm))),
                Some(_) => {
                    let kind = watch.ring();
                    let stream = stream.name.clone();
                    self.events.push(Event::Starved { stream, kind });
                }
                None => {}
            }
        }
    }

    /// Tell the stream's owner that a socket of it is of no use any more.
    pub fn failed(&mut self, stream: String, viewer: Option<String>, reason: String) {
        self.events.push(Event::Failed {
            stream,
            viewer,
            reason,
        });
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn stream_mut(&mut self, slot: Slot) -> Option<&mut Stream<S>> {
        self.entry(slot).map(|(_, stream)| stream)
    }

    pub fn streams(&self) -> impl Iterator<Item = &Stream<S>> {
        self.streams.iter().flatten().map(|(_, stream)| stream)
    }

    fn slot(&self, name: &str) -> Result<Slot, Problem> {
        self.names.get(name).copied().ok_or(Problem::NoSuchStream)
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut (u64, Stream<S>)> {
        self.streams.get_mut(slot.0 as usize)?.as_mut()
    }

    fn named(&mut self, name: &str) -> Result<&mut Stream<S>, Problem> {
        let slot = self.slot(name)?;
        self.stream_mut(slot).ok_or(Problem::NoSuchStream)
    }
}

impl<S> Core<Port<S>> {
    pub fn counters(&self) -> Counters {
        let streams = || self.streams.iter().flatten().map(|(_, stream)| stream);
        let own = |port: &Port<S>| matches!(port, Port::Own(_));
        Counters {
            receiving_sockets: streams().filter(|it| own(&it.socket)).count(),
            sending_sockets: streams()
                .flat_map(|it| &it.viewers)
                .filter(|it| own(&it.socket))
                .count(),
            streams: streams()
                .map(|it| (it.name.clone(), it.counters()))
                .collect(),
            trunk: None,
        }
    }
}
