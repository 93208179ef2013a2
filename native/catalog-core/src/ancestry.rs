//! Who is above whom within one peer's rows (GB/T 28181-2016 annex O, 2022 annex J).
//!
//! What a row says of its parents is read the way it is meant in the field:
//!
//! - `ParentID` may be a path or several parents: the last element is the parent, the others are
//!   further memberships (Q25). Only ids that are rows of the same peer count as ancestors.
//! - `BusinessGroupID` is a membership too.
//! - What is named above but has no row, yet or any more, ends the branch: a rule about it must hold
//!   for who says to be below it, whichever page was lost and whatever its peer leaves out.
//! - Where none of them is known, the registered peer itself is the parent, if it has a row (Q27).
//!   Divisions stand alone.
//! - The division of a row is its `CivilCode`, else a division in its `ParentID`, else that of its
//!   nearest ancestor. It and those around it close the branch, whether they have rows or not.
//! - What begins with "~" is no id here: veils do (see `veil`).
//! - A row is not its own parent, and of a longer loop only the steps to smaller ids stay (Q26).

use crate::family::{Family, Slot};
use crate::fields::{BUSINESS_GROUP_ID, CIVIL_CODE, PARENT_ID};
use crate::ids;
use crate::veil;

/// Generations that are followed upward.
const MAX_DEPTH: usize = 16;
/// A row and its ancestors, divisions not counted. At most 64: sets of them are bits.
const MAX_NODES: usize = 48;
/// Elements of one `ParentID` that are read.
pub(crate) const MAX_PARENTS: usize = 8;

/// Ids that a row names as above it, nearest first; whether they are rows is another question. What
/// looks like a veil is no name: those are put into branches by a door alone.
pub(crate) fn mentioned(family: &Family, slot: Slot) -> impl Iterator<Item = &str> {
    let (rows, row) = family.place(slot);
    let parents = rows.get(row, PARENT_ID).rsplit('/').take(MAX_PARENTS);
    // The last element first, then the others as they stand.
    let mut parents: Vec<&str> = parents.map(str::trim).collect();
    parents[1..].reverse();
    parents.push(rows.get(row, BUSINESS_GROUP_ID).trim());
    parents
        .into_iter()
        .filter(|id| !id.is_empty() && !id.starts_with(veil::SIGN))
}

/// Computes branches; keeps its scratch space from row to row.
#[derive(Debug, Default)]
pub(crate) struct Ancestry {
    /// The row itself, then its ancestors as they are found: breadth first.
    nodes: Vec<Slot>,
    depths: Vec<usize>,
    /// From child to parent, numbers into `nodes`.
    steps: Vec<(usize, usize)>,
    /// Those of them that name something above without a row.
    orphans: Vec<Slot>,
    /// Rows met so far that are above themselves; whoever reports them takes the number.
    pub(crate) loops: usize,
}

impl Ancestry {
    /// Ids of the ancestors of a row, nearest first, joined by "/".
    pub(crate) fn branch(&mut self, family: &Family, slot: Slot) -> String {
        self.walk(family, slot);
        if self.steps.iter().any(|&(child, parent)| parent <= child) {
            self.break_loops(family);
        }
        let ancestors = &self.nodes[1..];
        let mut branch: Vec<&str> = ancestors.iter().map(|&slot| family.id(slot)).collect();
        let division = self.nodes.iter().find_map(|&slot| division(family, slot));
        let around = ancestors
            .iter()
            .map(|&slot| family.id(slot))
            .filter(|id| ids::is_area(id));
        for area in division
            .into_iter()
            .flatten()
            .chain(around)
            .flat_map(ids::areas_upward)
        {
            if area != family.id(slot) && !branch.contains(&area) {
                branch.push(area);
            }
        }
        let orphans = self.orphans.iter().filter(|slot| self.nodes.contains(slot));
        for missing in orphans
            .flat_map(|&slot| mentioned(family, slot))
            .filter(|id| family.find(id).is_none())
        {
            if branch.len() == MAX_NODES {
                break;
            }
            if !branch.contains(&missing) {
                branch.push(missing);
            }
        }
        branch.join("/")
    }

    fn walk(&mut self, family: &Family, slot: Slot) {
        self.start(slot);
        self.orphans.clear();
        let mut child = 0;
        while child < self.nodes.len() {
            let (parents, all_known) = parents(family, self.nodes[child]);
            if !all_known {
                self.orphans.push(self.nodes[child]);
            }
            for parent in parents {
                self.step(child, parent);
            }
            child += 1;
        }
    }

    fn start(&mut self, slot: Slot) {
        self.nodes.clear();
        self.depths.clear();
        self.steps.clear();
        self.nodes.push(slot);
        self.depths.push(0);
    }

    fn step(&mut self, child: usize, parent: Slot) {
        let known = self.nodes.iter().position(|&node| node == parent);
        let number = known.unwrap_or(self.nodes.len());
        if known.is_none() {
            if self.nodes.len() == MAX_NODES || self.depths[child] == MAX_DEPTH {
                return;
            }
            self.nodes.push(parent);
            self.depths.push(self.depths[child] + 1);
        }
        self.steps.push((child, number));
    }

    /// Walk again without the steps that stay inside a loop and do not go to a smaller id. Every
    /// row of the loop comes to the same choice, so nobody is above itself.
    fn break_loops(&mut self, family: &Family) {
        let reach = self.reach();
        self.loops += usize::from(reach[0] & 1 != 0);
        let (nodes, steps) = (
            std::mem::take(&mut self.nodes),
            std::mem::take(&mut self.steps),
        );
        let kept = |&(child, parent): &(usize, usize)| {
            reach[parent] & (1 << child) == 0 || family.id(nodes[parent]) < family.id(nodes[child])
        };
        let kept: Vec<(usize, usize)> = steps.iter().copied().filter(kept).collect();
        self.start(nodes[0]);
        let mut child = 0;
        while child < self.nodes.len() {
            let slot = self.nodes[child];
            for &(_, parent) in kept.iter().filter(|&&(from, _)| nodes[from] == slot) {
                self.step(child, nodes[parent]);
            }
            child += 1;
        }
    }

    /// For each node, a bit for each node that is above it.
    fn reach(&self) -> Vec<u64> {
        let mut reach = vec![0_u64; self.nodes.len()];
        for &(child, parent) in &self.steps {
            reach[child] |= 1 << parent;
        }
        for middle in 0..reach.len() {
            for from in 0..reach.len() {
                if reach[from] & (1 << middle) != 0 {
                    reach[from] |= reach[middle];
                }
            }
        }
        reach
    }
}

/// The parents that have rows, and whether every id that is named has one.
fn parents(family: &Family, slot: Slot) -> (Vec<Slot>, bool) {
    let mut parents: Vec<Slot> = Vec::with_capacity(2);
    let mut all_known = true;
    for id in mentioned(family, slot) {
        match family.find(id) {
            Some(parent) if parent != slot && !parents.contains(&parent) => parents.push(parent),
            Some(_) => {}
            None => all_known = false,
        }
    }
    if parents.is_empty() && !ids::is_area(family.id(slot)) {
        parents.extend(family.find(&family.peer).filter(|&own| own != slot));
    }
    (parents, all_known)
}

/// The divisions that a row itself says it is in: as it is written, and with zero pairs trimmed.
fn division(family: &Family, slot: Slot) -> Option<impl Iterator<Item = &str>> {
    let (rows, row) = family.place(slot);
    let code = if ids::is_area(rows.id(row)) {
        rows.id(row)
    } else {
        rows.get(row, CIVIL_CODE).trim()
    };
    let found = ids::area_of_civil_code(code)
        .map(|area| (code, area))
        .or_else(|| {
            mentioned(family, slot)
                .find(|id| ids::is_area(id))
                .map(|id| (id, ids::area_of_civil_code(id).unwrap_or(id)))
        });
    let (code, area) = found?;
    let written = (ids::is_area(code) && code != area).then_some(code);
    Some(written.into_iter().chain([area]))
}
