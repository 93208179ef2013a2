//! A frozen view of all rows, in the order in which a catalog answer sends them.

use std::sync::Arc;

use crate::fields::{BRANCH, FIELD_COUNT, ID, STATUS};
use crate::ids;
use crate::rows::Rows;
use crate::veil;

/// Status of every row whose peer is offline, whatever the peer said last.
pub(crate) const OFF: &str = "OFF";

/// What a snapshot is made from: one batch of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) peer: Arc<str>,
    pub(crate) online: bool,
    pub(crate) rows: Rows,
}

/// A frozen view of all rows. It holds row numbers and shares the columns, so that what happens
/// to the index afterwards can't be seen in it.
///
/// Order: systems (kind 200), divisions from the shortest, business groups (215), virtual
/// organisations (216), devices, channels; within these by depth, then by id, then by peer. What
/// has ancestors of a later kind is put after them, so parents always precede their children.
/// A division that several peers list stands here once, since its digits mean the same for all.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    frozen: Arc<Frozen>,
}

#[derive(Debug, Default)]
struct Frozen {
    parts: Vec<Part>,
    /// Numbers of part and row.
    order: Vec<(u32, u32)>,
}

impl Snapshot {
    /// `live` says which rows of the parts are there: numbers of part and row.
    pub(crate) fn new(parts: Vec<Part>, live: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut ranked: Vec<(u16, &str, bool, u32, u32)> = live
            .map(|(part, row)| {
                let Part { rows, online, .. } = &parts[part as usize];
                let id = rows.id(row as usize);
                (
                    rank(id, rows.get(row as usize, BRANCH)),
                    id,
                    !online,
                    part,
                    row,
                )
            })
            .collect();
        ranked.sort_unstable();
        ranked.dedup_by(|later, earlier| later.1 == earlier.1 && ids::is_area(later.1));
        let order = ranked
            .into_iter()
            .map(|(_, _, _, part, row)| (part, row))
            .collect();
        Self {
            frozen: Arc::new(Frozen { parts, order }),
        }
    }

    pub fn len(&self) -> usize {
        self.frozen.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of part and row of each row.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.frozen.order.iter().copied()
    }

    fn place(&self, number: usize) -> (&Part, usize) {
        let (part, row) = self.frozen.order[number];
        (&self.frozen.parts[part as usize], row as usize)
    }

    /// The peer whose row this is.
    ///
    /// # Panics
    /// `number` is out of range.
    pub fn peer(&self, number: usize) -> &str {
        &self.place(number).0.peer
    }

    /// Text of one field, empty when absent; the status is OFF while the peer is offline.
    ///
    /// # Panics
    /// `number` or `field` is out of range.
    pub fn get(&self, number: usize, field: usize) -> &str {
        let (part, row) = self.place(number);
        if field == STATUS && !part.online {
            return OFF;
        }
        part.rows.get(row, field)
    }

    pub fn id(&self, number: usize) -> &str {
        self.get(number, ID)
    }

    /// All fields of one row, in the order of [`crate::FIELDS`].
    pub fn row(&self, number: usize) -> [&str; FIELD_COUNT] {
        std::array::from_fn(|field| self.get(number, field))
    }
}

/// Class, then depth below what is not a division: a child's set of ancestors holds its parent's.
fn rank(id: &str, branch: &str) -> u16 {
    let own = ids::class(id);
    if own == ids::AREA_CLASS {
        return rank_of(own, id.len());
    }
    let mut depth = 0;
    let mut latest = own;
    for ancestor in branch
        .split('/')
        .filter(|id| !id.is_empty() && !ids::is_area(id) && !id.starts_with(veil::SIGN))
    {
        depth += 1;
        latest = latest.max(ids::class(ancestor));
    }
    rank_of(latest, depth)
}

fn rank_of(class: u8, depth: usize) -> u16 {
    u16::from(class) * 256 + u16::try_from(depth.min(255)).unwrap_or(255)
}
