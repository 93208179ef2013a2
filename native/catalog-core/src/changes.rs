//! What came, went and turned between two looks at the index, for a reader who was told of the first.
//!
//! A look holds row numbers and shares the columns, as a snapshot does, but in no order. Rows that
//! stand where they stood are passed over by their place, so that what is compared field by field is
//! what somebody has applied meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::column::same;
use crate::fields::{BRANCH, FIELD_COUNT, ID, STATUS};
use crate::ids;
use crate::rows::Rows;
use crate::snapshot::{OFF, Part, Snapshot};

/// A row: numbers of part and row.
type Place = (u32, u32);

/// What a reader has to be told of a row (GB/T 28181-2016 A.2.5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Add,
    Update,
    On,
    Off,
    Del,
}

impl Event {
    /// As it stands in a notice.
    pub fn label(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Update => "UPDATE",
            Self::On => "ON",
            Self::Off => "OFF",
            Self::Del => "DEL",
        }
    }
}

/// All rows that a reader is shown, at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    parts: Vec<Part>,
    live: Vec<Place>,
}

/// What a reader of one view must hear to know another: rows that are there, parents first, each with
/// its event; then those that are gone, children first.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    present: Snapshot,
    events: Vec<Event>,
    gone: Snapshot,
}

impl Changes {
    pub fn len(&self) -> usize {
        self.events.len() + self.gone.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows that are there.
    pub fn present(&self) -> &Snapshot {
        &self.present
    }

    /// What happened to the row of that number, and where it is found.
    ///
    /// # Panics
    /// `number` is out of range.
    pub fn get(&self, number: usize) -> (Event, &Snapshot, usize) {
        match self.events.get(number) {
            Some(&event) => (event, &self.present, number),
            None => (
                Event::Del,
                &self.gone,
                self.gone.len() - 1 - (number - self.events.len()),
            ),
        }
    }
}

impl View {
    pub(crate) fn new(parts: Vec<Part>, live: Vec<Place>) -> Self {
        Self {
            seen: Arc::new(Seen { parts, live }),
        }
    }

    pub fn len(&self) -> usize {
        self.seen.live.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is not there or not well, for a reader who takes everything to be well.
    #[must_use]
    pub fn faults(&self) -> Changes {
        let off = |place: &Place| has_status(self.id(*place)) && self.is_off(*place);
        let events = self.seen.live.iter().copied().filter(off);
        self.told(&events.map(|place| (place, Event::Off)).collect())
    }

    /// What has changed since `former`.
    #[must_use]
    pub fn changes_since(&self, former: &Self) -> Changes {
        let mut events: HashMap<Place, Event> = HashMap::new();
        let (came, went) = self.moved(former, &mut events);
        let shared = Areas::of(&came, &went, self, former);
        let mut before: HashMap<(&str, &str), Place> = went
            .iter()
            .map(|&place| (former.key(place), place))
            .collect();
        for place in came {
            let key = self.key(place);
            let event = match before.remove(&key) {
                Some(old) => self.compared(place, former, old),
                None if shared.before.contains(key.1) => None,
                None => Some(Event::Add),
            };
            if let Some(event) = event {
                events.insert(place, event);
            }
        }
        before.retain(|(_, id), _| !shared.now.contains(id));
        let parts = former.seen.parts.clone();
        Changes {
            gone: Snapshot::new(parts, before.into_values()),
            ..self.told(&events)
        }
    }

    /// Rows that do not stand where they stood, and those that stand there no more. Of those that do,
    /// `events` gets the ones whose peer came or went.
    fn moved(&self, former: &Self, events: &mut HashMap<Place, Event>) -> (Vec<Place>, Vec<Place>) {
        let old = &former.seen.parts;
        let numbers: HashMap<((usize, u32), &str), usize> = old
            .iter()
            .enumerate()
            .map(|(number, part)| ((part.rows.identity(), &*part.peer), number))
            .collect();
        let mut standing: Vec<Vec<bool>> = old
            .iter()
            .map(|part| vec![false; part.rows.len()])
            .collect();
        for &(part, row) in &former.seen.live {
            standing[part as usize][row as usize] = true;
        }
        let same: Vec<Option<usize>> = self
            .seen
            .parts
            .iter()
            .map(|part| numbers.get(&(part.rows.identity(), &*part.peer)).copied())
            .collect();
        let mut came = Vec::new();
        for &place in &self.seen.live {
            let (part, row) = (place.0 as usize, place.1 as usize);
            match same[part] {
                Some(number) if standing[number][row] => {
                    standing[number][row] = false;
                    if self.seen.parts[part].online != old[number].online {
                        let turned = (u32::try_from(number).unwrap_or(0), place.1);
                        if let Some(event) = self.turned(place, former, turned) {
                            events.insert(place, event);
                        }
                    }
                }
                _ => came.push(place),
            }
        }
        let left = |&&(part, row): &&Place| standing[part as usize][row as usize];
        let went = former.seen.live.iter().filter(left).copied().collect();
        (came, went)
    }

    fn compared(&self, place: Place, former: &Self, old: Place) -> Option<Event> {
        let (now, before) = (self.row(place), former.row(old));
        let other = |field: usize| field != STATUS && !same(now[field], before[field]);
        if (0..FIELD_COUNT).any(other) {
            return Some(Event::Update);
        }
        self.turned(place, former, old)
    }

    fn turned(&self, place: Place, former: &Self, old: Place) -> Option<Event> {
        if !has_status(self.id(place)) {
            return None;
        }
        match (former.is_off(old), self.is_off(place)) {
            (true, false) => Some(Event::On),
            (false, true) => Some(Event::Off),
            _ => None,
        }
    }

    fn told(&self, events: &HashMap<Place, Event>) -> Changes {
        let present = Snapshot::new(self.seen.parts.clone(), events.keys().copied());
        Changes {
            events: present.places().map(|place| events[&place]).collect(),
            present,
            gone: Snapshot::default(),
        }
    }

    fn part(&self, place: Place) -> &Part {
        &self.seen.parts[place.0 as usize]
    }

    fn row(&self, place: Place) -> [&str; FIELD_COUNT] {
        self.part(place).rows.row(place.1 as usize)
    }

    fn id(&self, place: Place) -> &str {
        self.part(place).rows.get(place.1 as usize, ID)
    }

    fn key(&self, place: Place) -> (&str, &str) {
        (&self.part(place).peer, self.id(place))
    }

    fn is_off(&self, place: Place) -> bool {
        let part = self.part(place);
        !part.online || part.rows.get(place.1 as usize, STATUS) == OFF
    }

    fn areas(&self) -> HashSet<&str> {
        let ids = self.seen.live.iter().map(|&place| self.id(place));
        ids.filter(|id| ids::is_area(id)).collect()
    }
}

/// Divisions that somebody lists: they mean the same for all, so that one more peer that lists one
/// brings nothing, and one less takes nothing.
#[derive(Default)]
struct Areas<'a> {
    before: HashSet<&'a str>,
    now: HashSet<&'a str>,
}

impl<'a> Areas<'a> {
    fn of(came: &[Place], went: &[Place], view: &'a View, former: &'a View) -> Self {
        let concerned = came.iter().any(|&place| ids::is_area(view.id(place)))
            || went.iter().any(|&place| ids::is_area(former.id(place)));
        if !concerned {
            return Self::default();
        }
        Self {
            before: former.areas(),
            now: view.areas(),
        }
    }
}

/// Divisions, business groups and organisations are neither on nor off.
fn has_status(id: &str) -> bool {
    !ids::is_area(id) && !matches!(ids::kind(id), Some(215 | 216))
}

/// Whether a row is `top` or below it.
pub(crate) fn is_within(rows: &Rows, row: usize, top: &str) -> bool {
    let branch = rows.get(row, BRANCH);
    rows.id(row) == top || branch.contains(top) && branch.split('/').any(|each| each == top)
}
