//! What each thing is called towards one upper platform: one to one, once, for ever.

use std::collections::HashMap;
use std::fmt;

use crate::ids;
use crate::snapshot::Snapshot;

/// Serials of generated ids begin here, where installers seldom number.
const FIRST_SERIAL: u32 = 900_000;
const SERIALS: u32 = 1_000_000;
const NETWORKS: u32 = 10;
/// Kind of what does not tell its own: a network camera.
const UNKNOWN_KIND: u16 = 132;

/// Why a mapping can't be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadMapping(String);

impl fmt::Display for BadMapping {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for BadMapping {}

/// A pair that `assign` has made and that has to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPair {
    pub peer: String,
    pub id: String,
    pub shown: String,
}

/// Ids shown to one upper platform (GB/T 28181-2016 annex D; 2022 annex D for kinds).
///
/// A pair is never changed and a shown id never given to another thing, also when the thing is
/// gone: uppers store them. Divisions are shown as they are, one for all peers that list them.
#[derive(Debug, Clone)]
pub struct Mapping {
    own_id: Box<str>,
    peers: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    /// Who has a shown id. Most show the id they have, so that is stored once.
    owners: HashMap<Box<str>, Owner>,
    /// Per peer: what is shown under another id than its own.
    renamed: Vec<HashMap<Box<str>, Box<str>>>,
    /// Next number to try, for each kind.
    next: HashMap<u16, u32>,
}

#[derive(Debug, Clone)]
struct Owner {
    peer: u32,
    /// None: the shown id itself.
    id: Option<Box<str>>,
}

impl Mapping {
    /// Restore a mapping from its stored pairs of (peer, id, shown).
    ///
    /// # Errors
    /// `own_id` is not 20 digits, a shown id is not one, is ours or has two owners, or a thing
    /// has two shown ids.
    pub fn new<'a>(
        own_id: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Result<Self, BadMapping> {
        if !ids::is_regular(own_id) {
            return Err(BadMapping(format!(
                "our own id is not 20 digits: {own_id:?}"
            )));
        }
        let mut mapping = Self {
            own_id: own_id.into(),
            peers: Vec::new(),
            numbers: HashMap::new(),
            owners: HashMap::new(),
            renamed: Vec::new(),
            next: HashMap::new(),
        };
        for (peer, id, shown) in pairs {
            mapping.restore(peer, id, shown)?;
        }
        Ok(mapping)
    }

    fn restore(&mut self, peer: &str, id: &str, shown: &str) -> Result<(), BadMapping> {
        if !ids::is_area(shown) && !ids::is_regular(shown) {
            return Err(BadMapping(format!("not an id to show: {shown:?}")));
        }
        if shown == &*self.own_id {
            return Err(BadMapping(format!("{shown} is our own id")));
        }
        if self.key(shown) == Some((peer, id)) {
            return Ok(());
        }
        if let Some((other, name)) = self.key(shown) {
            return Err(BadMapping(format!(
                "{shown} has two owners: {name:?} of {other} and {id:?} of {peer}"
            )));
        }
        if let Some(other) = self.shown(peer, id) {
            return Err(BadMapping(format!(
                "{id:?} of {peer} is shown as {other} and as {shown}"
            )));
        }
        self.enter(peer, id, shown);
        Ok(())
    }

    fn enter(&mut self, peer: &str, id: &str, shown: &str) {
        let number = match self.numbers.get(peer) {
            Some(&number) => number,
            None => self.add_peer(peer),
        };
        let same = id == shown;
        let owner = Owner {
            peer: number,
            id: (!same).then(|| id.into()),
        };
        self.owners.insert(shown.into(), owner);
        if !same {
            self.renamed[number as usize].insert(id.into(), shown.into());
        }
    }

    fn add_peer(&mut self, peer: &str) -> u32 {
        let number = u32::try_from(self.peers.len()).expect("fewer peers than rows");
        self.peers.push(peer.into());
        self.renamed.push(HashMap::new());
        self.numbers.insert(peer.into(), number);
        number
    }

    pub fn own_id(&self) -> &str {
        &self.own_id
    }

    /// How many things have a shown id, those that are gone among them.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// What the upper platform calls `id` of `peer`, None before [`Mapping::assign`] saw it.
    pub fn shown(&self, peer: &str, id: &str) -> Option<&str> {
        let number = self.numbers.get(peer);
        if let Some(shown) = number.and_then(|number| self.renamed[*number as usize].get(id)) {
            return Some(shown);
        }
        let (shown, owner) = self.owners.get_key_value(id)?;
        let same = owner.id.is_none() && (number == Some(&owner.peer) || ids::is_area(id));
        same.then_some(shown)
    }

    /// Whose and which thing the upper platform calls `shown`: peer and id.
    pub fn key(&self, shown: &str) -> Option<(&str, &str)> {
        let (shown, owner) = self.owners.get_key_value(shown)?;
        Some((
            &self.peers[owner.peer as usize],
            owner.id.as_deref().unwrap_or(shown),
        ))
    }

    /// Give each row of `snapshot` that has none a shown id, and return these pairs, in the order
    /// of the snapshot. The same rows give the same ids, however they came.
    ///
    /// First all that can be shown as they are: regular and free. Then the others get an id of our
    /// own centre, with their kind if they tell one. Ten million can be made for each kind; a row
    /// beyond them gets none.
    pub fn assign(&mut self, snapshot: &Snapshot) -> Vec<NewPair> {
        let mut fresh: Vec<usize> = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        for number in 0..snapshot.len() {
            let (peer, id) = (snapshot.peer(number), snapshot.id(number));
            if self.shown(peer, id).is_some() {
                continue;
            }
            fresh.push(number);
            let regular = ids::is_area(id) || ids::is_regular(id);
            if regular && !self.is_taken(id) {
                self.enter(peer, id, id);
            } else {
                waiting.push(number);
            }
        }
        for number in waiting {
            let (peer, id) = (snapshot.peer(number), snapshot.id(number));
            if let Some(shown) = self.generate(ids::kind(id).unwrap_or(UNKNOWN_KIND)) {
                self.enter(peer, id, &shown);
            }
        }
        let pair = |number: usize| {
            let (peer, id) = (snapshot.peer(number), snapshot.id(number));
            let shown = self.shown(peer, id)?.to_owned();
            Some(NewPair {
                peer: peer.to_owned(),
                id: id.to_owned(),
                shown,
            })
        };
        fresh.into_iter().filter_map(pair).collect()
    }

    fn is_taken(&self, shown: &str) -> bool {
        shown == &*self.own_id || self.owners.contains_key(shown)
    }

    fn generate(&mut self, kind: u16) -> Option<String> {
        let network = self.own_id[13..14].parse::<u32>().ok()?;
        let mut number = self.next.get(&kind).copied().unwrap_or(0);
        let shown = loop {
            if number == SERIALS * NETWORKS {
                break None;
            }
            let serial = (FIRST_SERIAL + number) % SERIALS;
            let digit = (network + number / SERIALS) % NETWORKS;
            let shown = format!("{}{kind:03}{digit}{serial:06}", &self.own_id[..10]);
            number += 1;
            if !self.is_taken(&shown) {
                break Some(shown);
            }
        };
        self.next.insert(kind, number);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::RowsBuilder;
    use crate::fields::{FIELD_COUNT, ID};
    use crate::index::Index;

    const OWN: &str = "44010600002000000009";
    const CAMERA: &str = "34020000001320000001";

    fn snapshot(rows: &[(&str, &str)]) -> Snapshot {
        let mut index = Index::new();
        for (peer, id) in rows {
            let mut builder = RowsBuilder::new();
            let mut row = [""; FIELD_COUNT];
            row[ID] = id;
            builder.push(&row);
            index.apply(peer, &builder.finish(), false);
        }
        index.snapshot()
    }

    fn texts(pairs: &[NewPair]) -> Vec<(&str, &str, &str)> {
        pairs
            .iter()
            .map(|pair| (&*pair.peer, &*pair.id, &*pair.shown))
            .collect()
    }

    fn empty() -> Mapping {
        Mapping::new(OWN, []).unwrap()
    }

    #[test]
    fn a_regular_free_id_is_shown_as_it_is() {
        let mut mapping = empty();
        let rows = snapshot(&[("a", CAMERA), ("a", "4401")]);
        assert_eq!(
            texts(&mapping.assign(&rows)),
            [("a", "4401", "4401"), ("a", CAMERA, CAMERA)]
        );
        assert_eq!(mapping.assign(&rows), []);
        assert_eq!(
            (mapping.shown("a", CAMERA), mapping.shown("b", CAMERA)),
            (Some(CAMERA), None)
        );
        assert_eq!(
            (mapping.key(CAMERA), mapping.key("4403")),
            (Some(("a", CAMERA)), None)
        );
    }

    #[test]
    fn what_is_taken_or_irregular_gets_an_id_of_our_centre() {
        let mut mapping = empty();
        let rows = snapshot(&[
            ("a", CAMERA),
            ("b", CAMERA),
            ("a", "cam 1"),
            ("a", "34020000001180000001"),
            ("b", "34020000001180000001"),
            ("b", OWN),
            ("b", "44010600001320900001"),
        ]);
        mapping.assign(&rows);
        for (peer, id, shown) in [
            ("a", CAMERA, CAMERA),
            ("b", CAMERA, "44010600001320900000"),
            ("b", "44010600001320900001", "44010600001320900001"),
            ("a", "cam 1", "44010600001320900002"),
            ("b", "34020000001180000001", "44010600001180900000"),
            ("b", OWN, "44010600002000900000"),
        ] {
            assert_eq!(mapping.shown(peer, id), Some(shown));
            assert_eq!(mapping.key(shown), Some((peer, id)));
        }
        assert_eq!(mapping.key(OWN), None);
    }

    #[test]
    fn a_division_is_shown_as_itself_for_all_peers() {
        let mut mapping = empty();
        assert_eq!(
            mapping
                .assign(&snapshot(&[("a", "4401"), ("b", "4401")]))
                .len(),
            1
        );
        assert_eq!(mapping.shown("b", "4401"), Some("4401"));
        assert_eq!(mapping.assign(&snapshot(&[("b", "4401")])), []);
    }

    #[test]
    fn a_shown_id_is_never_given_again_also_after_a_restart() {
        let mut mapping = empty();
        let mut pairs = mapping.assign(&snapshot(&[("a", "x"), ("a", "y")]));
        let mut restored = Mapping::new(OWN, texts(&pairs)).unwrap();
        pairs = restored.assign(&snapshot(&[("a", "z")]));
        assert_eq!(texts(&pairs), [("a", "z", "44010600001320900002")]);
        assert_eq!(pairs, mapping.assign(&snapshot(&[("a", "z")])));
        assert_eq!(
            (restored.len(), restored.shown("a", "x")),
            (3, Some("44010600001320900000"))
        );
    }

    #[test]
    fn serials_go_on_with_the_next_network_digit() {
        let mut mapping = empty();
        mapping.next.insert(132, SERIALS - 1);
        let pairs = mapping.assign(&snapshot(&[("a", "x"), ("a", "y")]));
        assert_eq!(
            pairs.iter().map(|pair| &*pair.shown).collect::<Vec<_>>(),
            ["44010600001320899999", "44010600001321900000"]
        );
        mapping.next.insert(132, SERIALS * NETWORKS);
        assert_eq!(mapping.assign(&snapshot(&[("a", "z")])), []);
        assert_eq!(mapping.shown("a", "z"), None);
    }

    #[test]
    fn contradictions_are_refused() {
        let other = "44010600001320900000";
        for pairs in [
            vec![("a", "x", "12"), ("b", "y", "12")],
            vec![("a", "x", other), ("a", "x", CAMERA)],
            vec![("a", CAMERA, CAMERA), ("a", CAMERA, other)],
            vec![("a", "x", OWN)],
            vec![("a", "x", "123")],
            vec![("a", "x", "3402000000132000000x")],
        ] {
            assert!(Mapping::new(OWN, pairs.clone()).is_err(), "{pairs:?}");
        }
        assert!(Mapping::new("4401", []).is_err());
        let twice = [("a", "x", other), ("a", "x", other)];
        assert_eq!(Mapping::new(OWN, twice).map(|mapping| mapping.len()), Ok(1));
    }
}
