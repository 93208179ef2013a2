//! All rows of all peers, by (peer, id): applies answers, says what changed, keeps the branches.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::builder::RowsBuilder;
use crate::changes::{View, is_within};
use crate::family::Family;
use crate::fields::{BRANCH, FIELD_COUNT, ID, OWNER, STATUS};
use crate::peer::Peer;
use crate::provenance::came_through;
use crate::rows::Rows;
use crate::snapshot::{OFF, Part, Snapshot};

/// What an application changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Ids that were not there.
    pub added: usize,
    /// Ids that were there with another row, and rows elsewhere whose branch is another now.
    pub changed: usize,
    pub removed: usize,
    /// Ids of the batch whose row is as it was.
    pub unchanged: usize,
    /// Rows of the batch without a usable id, and above 2,000,000 of one peer.
    pub dropped: usize,
    /// Of those whose branch was computed, the rows above themselves by way of others (Q26).
    pub loops: usize,
    /// The added and changed rows as they are now, with their branch.
    pub present: Rows,
    /// The removed rows as they were.
    pub gone: Rows,
    /// Id, former branch and former owner of each changed row that has another of these now: a rule
    /// that knew it by them may decide otherwise from now on.
    pub former: Rows,
}

/// All rows of all peers. The key of a row is (peer, id): factory-set ids repeat (Q11).
#[derive(Debug, Default)]
pub struct Index {
    peers: BTreeMap<Box<str>, Peer>,
    told: bool,
    snapshot: Option<Snapshot>,
    /// Snapshots for some readers, by what they leave out; as good as `snapshot` is.
    parted: HashMap<Vec<Box<str>>, Snapshot>,
    /// Views that were asked for since the last change.
    views: HashMap<ViewKey, View>,
}

/// What a view leaves out, and below what it is.
type ViewKey = (Vec<Box<str>>, Option<(Box<str>, Box<str>)>);

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose rows say themselves in which branch they stand: what another index computed, which
    /// knows more of them, or told less of it.
    pub fn told() -> Self {
        Self {
            told: true,
            ..Self::default()
        }
    }

    pub fn len(&self) -> usize {
        self.peers.values().map(|peer| peer.family.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn count(&self, peer: &str) -> usize {
        self.peers.get(peer).map_or(0, |peer| peer.family.len())
    }

    /// Peers that have rows, in order.
    pub fn peers(&self) -> Vec<String> {
        let with_rows = self.peers.iter().filter(|(_, peer)| peer.family.len() > 0);
        with_rows.map(|(name, _)| name.to_string()).collect()
    }

    /// The fields of one row; its status is OFF while the peer is offline.
    pub fn find(&self, peer: &str, id: &str) -> Option<[&str; FIELD_COUNT]> {
        let family = &self.peers.get(peer)?.family;
        let mut row = family.row(family.find(id)?);
        if !family.online {
            row[STATUS] = OFF;
        }
        Some(row)
    }

    /// The branch and the owner of one row: what rules know it by besides its id.
    pub fn place(&self, peer: &str, id: &str) -> Option<(&str, &str)> {
        let family = &self.peers.get(peer)?.family;
        let (rows, row) = family.place(family.find(id)?);
        Some((rows.get(row, BRANCH), rows.get(row, OWNER)))
    }

    /// All rows of a peer, with the status that the peer gave.
    pub fn rows(&self, peer: &str) -> Rows {
        self.peers
            .get(peer)
            .map_or_else(Rows::default, |peer| peer.family.rows(peer.family.slots()))
    }

    /// Whether the peer is there. While it is not, the status of all its rows reads OFF. Returns
    /// how many rows read another status now; may be told of a peer before its first row comes.
    pub fn set_online(&mut self, peer: &str, online: bool) -> usize {
        let family = &mut self.peer(peer).family;
        if family.online == online {
            return 0;
        }
        family.online = online;
        let turned = family
            .slots()
            .filter(|&slot| family.get(slot, STATUS) != OFF)
            .count();
        self.forget_snapshots();
        turned
    }

    /// Take rows of a peer. `complete`: these are all it has, so that others are gone; otherwise
    /// nothing is deleted. Of one id the last row counts. A row whose status is empty keeps the
    /// one it had (Q29). What the rows say of their branch is not read: it is computed, unless this
    /// is an index of what is told.
    pub fn apply(&mut self, peer: &str, rows: &Rows, complete: bool) -> Delta {
        let delta = self.peer(peer).apply(rows, complete);
        self.forget_snapshot(&delta);
        delta
    }

    /// Rows of a peer of which only what they say is another: what is empty in them is as it was. How many
    /// of them were not known; with `known` these are left out.
    pub fn merge(&self, peer: &str, rows: &Rows, known: bool) -> (Rows, usize) {
        let family = self.peers.get(peer).map(|peer| &peer.family);
        let mut merged = RowsBuilder::new();
        let mut unknown = 0;
        for number in 0..rows.len() {
            let mut row = rows.row(number);
            if let Some((family, slot)) =
                family.and_then(|family| family.find(row[ID]).map(|slot| (family, slot)))
            {
                for (said, before) in row.iter_mut().zip(family.row(slot)) {
                    if said.is_empty() {
                        *said = before;
                    }
                }
            } else {
                unknown += 1;
                if known {
                    continue;
                }
            }
            merged.push(&row);
        }
        (merged.finish(), unknown)
    }

    /// Take rows away; ids that are not there are passed over. Rows below them stay, with another
    /// branch.
    pub fn remove<'a>(&mut self, peer: &str, ids: impl IntoIterator<Item = &'a str>) -> Delta {
        let Some(peer) = self.peers.get_mut(peer) else {
            return Delta::default();
        };
        let delta = peer.remove(ids);
        self.forget_snapshot(&delta);
        delta
    }

    /// From here on all rows of a peer are told anew, by `apply`, until `finish`.
    pub fn begin(&mut self, peer: &str) {
        self.peer(peer).begin();
    }

    /// All rows of a peer have been told since `begin`: those that were not are gone. Nothing is done
    /// where nothing was begun.
    pub fn finish(&mut self, peer: &str) -> Delta {
        let delta = self.peer(peer).finish();
        self.forget_snapshot(&delta);
        delta
    }

    /// All rows as they are now, in the order of sending.
    pub fn snapshot(&mut self) -> Snapshot {
        if let Some(snapshot) = &self.snapshot {
            return snapshot.clone();
        }
        let snapshot = self.freeze(&[]);
        self.snapshot = Some(snapshot.clone());
        snapshot
    }

    /// The same, without the rows that came through one of `names`: the peer, the row itself, or
    /// what its branch says.
    pub fn snapshot_without(&mut self, names: &[&str]) -> Snapshot {
        let key: Vec<Box<str>> = names.iter().map(|&name| name.into()).collect();
        if let Some(snapshot) = self.parted.get(&key) {
            return snapshot.clone();
        }
        let snapshot = if self.any_through(names) {
            self.freeze(names)
        } else {
            self.snapshot()
        };
        self.parted.insert(key, snapshot.clone());
        snapshot
    }

    /// All rows as they are now, in no order, without those that came through one of `names`; of `top`,
    /// a peer and an id, those that are it or stand below it.
    pub fn view(&mut self, names: &[&str], top: Option<(&str, &str)>) -> View {
        let owned = |text: &str| Box::<str>::from(text);
        let key: ViewKey = (
            names.iter().map(|name| owned(name)).collect(),
            top.map(|(peer, id)| (owned(peer), owned(id))),
        );
        if let Some(view) = self.views.get(&key) {
            return view.clone();
        }
        let (parts, live) = self.gather(names, top);
        let view = View::new(parts, live);
        self.views.insert(key, view.clone());
        view
    }

    fn freeze(&self, without: &[&str]) -> Snapshot {
        let (parts, live) = self.gather(without, None);
        Snapshot::new(parts, live.into_iter())
    }

    /// Numbers of part and row of what a reader is shown.
    fn gather(&self, without: &[&str], top: Option<(&str, &str)>) -> (Vec<Part>, Vec<(u32, u32)>) {
        let mut parts = Vec::new();
        let mut live = Vec::new();
        let families = self
            .families()
            .filter(|family| top.is_none_or(|(peer, _)| *family.peer == *peer));
        for family in families {
            for (rows, numbers) in family.batches() {
                let part = u32::try_from(parts.len()).expect("fewer batches than rows");
                let offered = |row: &u32| {
                    let place = *row as usize;
                    let (id, branch) = (rows.get(place, ID), rows.get(place, BRANCH));
                    let within = top.is_none_or(|(_, top)| is_within(rows, place, top));
                    within && !came_through(&family.peer, id, branch, without)
                };
                live.extend(numbers.filter(offered).map(|row| (part, row)));
                let peer = Arc::clone(&family.peer);
                parts.push(Part {
                    peer,
                    online: family.online,
                    rows: rows.clone(),
                });
            }
        }
        (parts, live)
    }

    pub(crate) fn families(&self) -> impl Iterator<Item = &Family> {
        self.peers.values().map(|peer| &peer.family)
    }

    #[cfg(test)]
    pub(crate) fn batch_count(&self) -> usize {
        self.peers
            .values()
            .map(|peer| peer.family.batches().count())
            .sum()
    }

    fn peer(&mut self, peer: &str) -> &mut Peer {
        self.peers
            .entry(peer.into())
            .or_insert_with(|| Peer::new(peer, self.told))
    }

    fn forget_snapshot(&mut self, delta: &Delta) {
        if delta.added + delta.changed + delta.removed > 0 {
            self.forget_snapshots();
        }
    }

    fn forget_snapshots(&mut self) {
        self.snapshot = None;
        self.parted.clear();
        self.views.clear();
    }
}
