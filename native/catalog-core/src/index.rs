//! All rows of all peers, by (peer, id): applies answers, says what changed, keeps the branches.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::builder::RowsBuilder;
use crate::changes::{View, is_within};
use crate::fields::{BRANCH, FIELD_COUNT, ID, OWNER, STATUS};
use crate::held::Held;
use crate::peer::Peer;
use crate::provenance::came_through;
use crate::renewal::Renewal;
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
    peers: BTreeMap<Arc<str>, Held>,
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
        self.peers.values().map(Held::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn count(&self, peer: &str) -> usize {
        self.peers.get(peer).map_or(0, Held::len)
    }

    /// Peers that have rows, in order.
    pub fn peers(&self) -> Vec<String> {
        let with_rows = self.peers.iter().filter(|(_, held)| held.len() > 0);
        with_rows.map(|(name, _)| name.to_string()).collect()
    }

    /// The fields of one row; its status is OFF while the peer is offline.
    pub fn find(&self, peer: &str, id: &str) -> Option<[&str; FIELD_COUNT]> {
        let held = self.peers.get(peer)?;
        let (rows, number) = held.find(id)?;
        let mut row = rows.row(number);
        if !held.online {
            row[STATUS] = OFF;
        }
        Some(row)
    }

    /// The branch and the owner of one row: what rules know it by besides its id.
    pub fn place(&self, peer: &str, id: &str) -> Option<(&str, &str)> {
        let (rows, row) = self.peers.get(peer)?.find(id)?;
        Some((rows.get(row, BRANCH), rows.get(row, OWNER)))
    }

    /// All rows of a peer, with the status that the peer gave.
    pub fn rows(&self, peer: &str) -> Rows {
        self.peers.get(peer).map_or_else(Rows::default, Held::rows)
    }

    /// Whether the peer is there. While it is not, the status of all its rows reads OFF. Returns
    /// how many rows read another status now; may be told of a peer before its first row comes.
    pub fn set_online(&mut self, peer: &str, online: bool) -> usize {
        if self.peers.get(peer).is_none_or(|held| held.online) == online {
            return 0;
        }
        let (name, mut held) = self.taken(peer);
        held.online = online;
        let turned = held
            .places()
            .filter(|(rows, row)| rows.get(*row, STATUS) != OFF)
            .count();
        self.put(name, held);
        self.forget_snapshots();
        turned
    }

    /// Take rows of a peer. `complete`: these are all it has, so that others are gone; otherwise
    /// nothing is deleted. Of one id the last row counts. A row whose status is empty keeps the
    /// one it had (Q29). What the rows say of their branch is not read: it is computed, unless this
    /// is an index of what is told.
    pub fn apply(&mut self, peer: &str, rows: &Rows, complete: bool) -> Delta {
        let delta = self.stir(peer, |peer| peer.apply(rows, complete));
        self.forget_snapshot(&delta);
        delta
    }

    /// As `apply`, in steps, for a long answer: nobody sees any of it before `renewed`. Nothing else of this peer
    /// is applied, removed or told anew meanwhile.
    pub fn renew(&self, peer: &str, rows: &Rows, complete: bool) -> Renewal {
        Renewal::new(peer, self.told, self.peers.get(peer), rows, complete)
    }

    /// Go on by so many rows; whether there is more to do.
    pub fn step(&self, renewal: &mut Renewal, most: usize) -> bool {
        renewal.step(self.peers.get(&*renewal.name), most)
    }

    /// From now on these are the rows: what that changes, a part for each step.
    pub fn renewed(&mut self, mut renewal: Renewal) -> Vec<Delta> {
        while self.step(&mut renewal, usize::MAX) {}
        let (name, mut held) = self.taken(&renewal.name.clone());
        let (peer, deltas) = renewal.finish();
        held.renew(peer);
        self.put(name, held);
        for delta in &deltas {
            self.forget_snapshot(delta);
        }
        deltas
    }

    /// Rows of a peer of which only what they say is another: what is empty in them is as it was. How many
    /// of them were not known; with `known` these are left out.
    pub fn merge(&self, peer: &str, rows: &Rows, known: bool) -> (Rows, usize) {
        let held = self.peers.get(peer);
        let mut merged = RowsBuilder::new();
        let mut unknown = 0;
        for number in 0..rows.len() {
            let mut row = rows.row(number);
            if let Some((known, place)) = held.and_then(|held| held.find(row[ID])) {
                for (said, before) in row.iter_mut().zip(known.row(place)) {
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
        if !self.peers.contains_key(peer) {
            return Delta::default();
        }
        let delta = self.stir(peer, |peer| peer.remove(ids));
        self.forget_snapshot(&delta);
        delta
    }

    /// From here on all rows of a peer are told anew, by `apply`, until `finish`.
    pub fn begin(&mut self, peer: &str) {
        self.stir(peer, Peer::begin);
    }

    /// All rows of a peer have been told since `begin`: those that were not are gone. Nothing is done
    /// where nothing was begun.
    pub fn finish(&mut self, peer: &str) -> Delta {
        let delta = self.stir(peer, Peer::finish);
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
        let some = self
            .peers
            .iter()
            .filter(|(name, _)| top.is_none_or(|(peer, _)| ***name == *peer));
        for (name, held) in some {
            for (rows, numbers) in held.batches() {
                let part = u32::try_from(parts.len()).expect("fewer batches than rows");
                let offered = |row: &u32| {
                    let place = *row as usize;
                    let (id, branch) = (rows.get(place, ID), rows.get(place, BRANCH));
                    let within = top.is_none_or(|(_, top)| is_within(rows, place, top));
                    within && !came_through(name, id, branch, without)
                };
                live.extend(numbers.filter(offered).map(|row| (part, row)));
                parts.push(Part {
                    peer: Arc::clone(name),
                    online: held.online,
                    rows: rows.clone(),
                });
            }
        }
        (parts, live)
    }

    /// Every row with its peer: the batch in which it stands, and where in it.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &Rows, usize)> {
        self.peers.iter().flat_map(|(name, held)| {
            let of = move |(rows, row)| (&**name, rows, row);
            held.places().map(of)
        })
    }

    #[cfg(test)]
    pub(crate) fn batch_count(&self) -> usize {
        self.peers.values().map(|held| held.batches().count()).sum()
    }

    /// Peers of which something is known.
    #[cfg(test)]
    pub(crate) fn known_count(&self) -> usize {
        self.peers.len()
    }

    fn taken(&mut self, peer: &str) -> (Arc<str>, Held) {
        self.peers
            .remove_entry(peer)
            .unwrap_or_else(|| (peer.into(), Held::default()))
    }

    fn put(&mut self, name: Arc<str>, held: Held) {
        if !held.says_nothing() {
            self.peers.insert(name, held);
        }
    }

    fn stir<T>(&mut self, peer: &str, act: impl FnOnce(&mut Peer) -> T) -> T {
        let (name, mut held) = self.taken(peer);
        let done = held.stir(&name, self.told, act);
        self.put(name, held);
        done
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
