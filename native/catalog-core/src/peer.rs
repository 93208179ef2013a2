//! One peer's rows and who names whom: applies an answer and refreshes the branches below it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ancestry::{self, Ancestry};
use crate::builder::RowsBuilder;
use crate::column;
use crate::family::{Family, Slot};
use crate::fields::{
    BRANCH, BUSINESS_GROUP_ID, CIVIL_CODE, FIELD_COUNT, ID, OWNER, PARENT_ID, STATUS,
};
use crate::ids;
use crate::index::Delta;
use crate::rows::Rows;

/// The fields from which ancestry is read.
const UPWARD: [usize; 3] = [PARENT_ID, BUSINESS_GROUP_ID, CIVIL_CODE];

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) family: Family,
    /// Who names an id as above it. May hold slots that no longer do; never lacks one that does.
    mentions: HashMap<Box<str>, Vec<Slot>>,
    mention_count: usize,
    mention_limit: usize,
    ancestry: Ancestry,
    /// The branches of rows are those that the rows themselves say.
    told: bool,
    /// Since `begin`: whether the row of each slot was among what was applied.
    confirmed: Option<Vec<bool>>,
}

/// One application on its way: what the rows of the batch mean for those that were there.
#[derive(Default)]
struct Change {
    delta: Delta,
    /// The batch itself, while rows stand in it.
    held: Option<u32>,
    /// Rows of the batch that are new or another than before.
    pending: Vec<Pending>,
    /// Rows of the batch that are as they were.
    same: Vec<Slot>,
    /// Ids that came, went, or have other parents: the branches below them may be others.
    moved: Vec<Box<str>>,
    /// Batches that a row has left.
    touched: Vec<u32>,
}

/// A row of the batch on its way into the index.
struct Pending {
    slot: Slot,
    /// The status it had; it keeps it where the batch says none (Q29).
    status: Box<str>,
    /// The branch and the owner that it had, None for a new row.
    before: Option<[Box<str>; 2]>,
}

impl Peer {
    /// With these rows, each of which has an id of its own, and a branch.
    pub(crate) fn with(name: &Arc<str>, told: bool, rows: &Rows) -> Self {
        let mut peer = Self {
            told,
            confirmed: None,
            family: Family::new(name),
            mentions: HashMap::new(),
            mention_count: 0,
            mention_limit: 1024,
            ancestry: Ancestry::default(),
        };
        peer.family.begin_with(rows);
        for slot in peer.family.slots().collect::<Vec<_>>() {
            peer.mention(slot);
        }
        peer
    }

    /// Is there nothing to remember but the rows themselves?
    pub(crate) fn rests(&self) -> bool {
        self.confirmed.is_none()
    }

    pub(crate) fn apply(&mut self, rows: &Rows, complete: bool) -> Delta {
        let held = self.family.hold(rows.clone());
        let mut change = Change {
            held: Some(held),
            touched: vec![held],
            ..Change::default()
        };
        for row in last_of_each_id(rows, &mut change.delta.dropped) {
            match self.family.find(rows.id(row)) {
                Some(slot) => self.compare(slot, held, rows, row, &mut change),
                None => self.add(held, rows, row, &mut change),
            }
        }
        change.same.sort_unstable();
        self.confirm(&change);
        let gone = if complete {
            self.others(&change)
        } else {
            Vec::new()
        };
        self.settle(change, &gone)
    }

    /// From here on all rows are told anew.
    pub(crate) fn begin(&mut self) {
        self.confirmed = Some(Vec::new());
    }

    /// Take away what was not told since `begin`.
    pub(crate) fn finish(&mut self) -> Delta {
        let Some(confirmed) = self.confirmed.take() else {
            return Delta::default();
        };
        let told = |slot: &Slot| confirmed.get(*slot as usize).copied().unwrap_or(false);
        let gone: Vec<Slot> = self.family.slots().filter(|slot| !told(slot)).collect();
        self.settle(Change::default(), &gone)
    }

    fn confirm(&mut self, change: &Change) {
        let Some(confirmed) = &mut self.confirmed else {
            return;
        };
        confirmed.resize(self.family.slot_count(), false);
        let pending = change.pending.iter().map(|pending| pending.slot);
        for slot in pending.chain(change.same.iter().copied()) {
            confirmed[slot as usize] = true;
        }
    }

    /// The rows that the batch does not name.
    fn others(&self, change: &Change) -> Vec<Slot> {
        let mut named = vec![false; self.family.slot_count()];
        for &slot in change
            .pending
            .iter()
            .map(|pending| &pending.slot)
            .chain(&change.same)
        {
            named[slot as usize] = true;
        }
        self.family
            .slots()
            .filter(|&slot| !named[slot as usize])
            .collect()
    }

    pub(crate) fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) -> Delta {
        let mut gone: Vec<Slot> = ids
            .into_iter()
            .filter_map(|id| self.family.find(id))
            .collect();
        gone.sort_unstable();
        gone.dedup();
        self.settle(Change::default(), &gone)
    }

    fn add(&mut self, held: u32, rows: &Rows, row: usize, change: &mut Change) {
        let Some(slot) = self.family.insert(held, row) else {
            change.delta.dropped += 1;
            return;
        };
        change.delta.added += 1;
        change.moved.push(rows.id(row).into());
        change.pending.push(Pending {
            slot,
            status: "".into(),
            before: None,
        });
        self.mention(slot);
    }

    fn compare(&mut self, slot: Slot, held: u32, rows: &Rows, row: usize, change: &mut Change) {
        let (known, place) = self.family.place(slot);
        let told = self.told;
        let same = |field: usize| match (field, rows.get(row, field)) {
            (BRANCH, _) if !told => true,
            (STATUS, "") => true,
            (_, text) => column::same(text, known.get(place, field)),
        };
        if (0..FIELD_COUNT).all(same) {
            change.same.push(slot);
            return;
        }
        let moved = !UPWARD.into_iter().all(same);
        change.delta.changed += 1;
        change.pending.push(Pending {
            slot,
            status: known.get(place, STATUS).into(),
            before: Some([BRANCH, OWNER].map(|field| known.get(place, field).into())),
        });
        change.touched.push(self.family.chunk_of(slot));
        self.family.stand(slot, held, row);
        if moved {
            change.moved.push(rows.id(row).into());
            self.mention(slot);
        }
    }

    /// Take away what is gone, refresh the branches and put all changed rows into one new batch.
    fn settle(&mut self, mut change: Change, gone: &[Slot]) -> Delta {
        change.delta.gone = self.family.rows(gone.iter().copied());
        change.delta.removed = gone.len();
        for &slot in gone {
            change.moved.push(self.family.id(slot).into());
            change.touched.push(self.family.chunk_of(slot));
            self.family.remove(slot);
        }
        self.ancestry.loops = 0;
        let (rows, slots) = self.present(&mut change);
        change.delta.loops = self.ancestry.loops;
        let Change {
            mut delta,
            mut touched,
            ..
        } = change;
        delta.present = rows.clone();
        let held = self.family.hold(rows);
        for (row, &slot) in slots.iter().enumerate() {
            touched.push(self.family.chunk_of(slot));
            self.family.stand(slot, held, row);
        }
        touched.sort_unstable();
        touched.dedup();
        self.family.tidy(held, &touched);
        self.tidy_mentions();
        delta
    }

    /// The rows that are new or changed, as they are now, and their slots: those of the batch, then
    /// those that only have another branch.
    fn present(&mut self, change: &mut Change) -> (Rows, Vec<Slot>) {
        let mut builder = RowsBuilder::new();
        let mut former = RowsBuilder::new();
        let mut slots = Vec::with_capacity(change.pending.len());
        for pending in &change.pending {
            let branch = self.branch(pending.slot);
            let mut row = self.family.row(pending.slot);
            if let Some([stood, owner]) = &pending.before
                && (**stood != *branch || **owner != *row[OWNER])
            {
                former.push(&named(row[ID], stood, owner));
            }
            row[BRANCH] = &branch;
            if row[STATUS].is_empty() {
                row[STATUS] = &pending.status;
            }
            builder.push(&row);
            slots.push(pending.slot);
        }
        change.delta.unchanged = change.same.len();
        for slot in self.below(&change.moved) {
            if change.held == Some(self.family.chunk_of(slot)) {
                continue; // pending: is among them already
            }
            let branch = self.branch(slot);
            let mut row = self.family.row(slot);
            if row[BRANCH] == branch {
                continue;
            }
            former.push(&named(row[ID], row[BRANCH], row[OWNER]));
            row[BRANCH] = &branch;
            builder.push(&row);
            slots.push(slot);
            change.delta.changed += 1;
            change.delta.unchanged -= usize::from(change.same.binary_search(&slot).is_ok());
        }
        change.delta.former = former.finish();
        (builder.finish(), slots)
    }

    /// The branch of a row, and whether it is above itself by way of others (0 or 1).
    pub(crate) fn judged(&mut self, slot: Slot) -> (String, usize) {
        self.ancestry.loops = 0;
        (self.branch(slot), self.ancestry.loops)
    }

    fn branch(&mut self, slot: Slot) -> String {
        if self.told {
            return self.family.get(slot, BRANCH).to_owned();
        }
        self.ancestry.branch(&self.family, slot)
    }

    /// The rows that may have one of these ids above them, in the order of their slots. None where they
    /// are told: whoever computes the branches says each one that is another.
    fn below(&self, moved: &[Box<str>]) -> Vec<Slot> {
        if moved.is_empty() || self.told {
            return Vec::new();
        }
        let mut seen = vec![false; self.family.slot_count()];
        let mut below = Vec::new();
        let mut waiting: Vec<&str> = moved.iter().map(|id| &**id).collect();
        while let Some(id) = waiting.pop() {
            if *id == *self.family.peer {
                // Whoever has no other parent stands below the peer itself, and names nobody.
                return self.family.slots().collect();
            }
            for &slot in self.mentions.get(id).into_iter().flatten() {
                if self.family.is_live(slot) && !std::mem::replace(&mut seen[slot as usize], true) {
                    below.push(slot);
                    waiting.push(self.family.id(slot));
                }
            }
        }
        below.sort_unstable();
        below
    }

    pub(crate) fn mention(&mut self, slot: Slot) {
        if self.told {
            return;
        }
        let Self {
            family,
            mentions,
            mention_count,
            ..
        } = self;
        for id in ancestry::mentioned(family, slot) {
            match mentions.get_mut(id) {
                Some(slots) => slots.push(slot),
                None => drop(mentions.insert(id.into(), vec![slot])),
            }
            *mention_count += 1;
        }
    }

    /// Each names those that it names, and no other.
    pub(crate) fn mentions_are_tidy(&mut self) {
        self.mention_limit = 2 * self.mention_count + 1024;
    }

    /// Forget who no longer names whom, once that may be most of it.
    fn tidy_mentions(&mut self) {
        if self.mention_count <= self.mention_limit {
            return;
        }
        self.mentions.clear();
        self.mention_count = 0;
        for slot in self.family.slots().collect::<Vec<_>>() {
            self.mention(slot);
        }
        self.mentions_are_tidy();
    }
}

/// A row that says no more than what rules know it by.
pub(crate) fn named<'a>(id: &'a str, branch: &'a str, owner: &'a str) -> [&'a str; FIELD_COUNT] {
    let mut row = [""; FIELD_COUNT];
    row[ID] = id;
    row[BRANCH] = branch;
    row[OWNER] = owner;
    row
}

/// Numbers of the rows to take: of one id the last, and none without a usable one.
fn last_of_each_id(rows: &Rows, dropped: &mut usize) -> Vec<usize> {
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for row in 0..rows.len() {
        last.insert(rows.id(row), row);
    }
    let mut taken = Vec::with_capacity(last.len());
    for row in 0..rows.len() {
        if !ids::is_name(rows.id(row)) {
            *dropped += 1;
        } else if last[rows.id(row)] == row {
            taken.push(row);
        }
    }
    taken
}
