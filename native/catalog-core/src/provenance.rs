//! Where rows have been: a row came through its peer and through whatever stands above it.
//!
//! Platforms that stand above each other, or in a ring, show each other what they were shown. A row
//! is kept from whoever it came through, and is no row where it comes back to. Divisions tell
//! nothing here: all platforms share them.

use std::collections::HashSet;

use crate::fields::{BRANCH, BUSINESS_GROUP_ID, PARENT_ID};
use crate::ids;
use crate::index::Index;
use crate::rows::Rows;
use crate::veil::parents;

/// Whether a row of `peer` that stands in `branch` is one of `names`, or came through one.
pub(crate) fn came_through(peer: &str, id: &str, branch: &str, names: &[&str]) -> bool {
    names.iter().any(|&name| {
        peer == name
            || id == name
            || branch.contains(name) && branch.split('/').any(|each| each == name)
    })
}

impl Rows {
    /// Rows as a peer lists them, parted: those that neither are one of `names` nor stand below one
    /// in this list, however far; and the others.
    #[must_use]
    pub fn through(&self, names: &HashSet<String>) -> (Self, Self) {
        let mut above: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut through = vec![false; self.len()];
        let mut grown = true;
        while grown {
            grown = false;
            for (row, found) in through.iter_mut().enumerate() {
                if !*found && self.is_below(row, &above) {
                    *found = true;
                    grown |= above.insert(self.id(row));
                }
            }
        }
        if !through.contains(&true) {
            return (self.clone(), self.slice(0, 0));
        }
        let of = |wanted: bool| {
            (0..self.len())
                .filter(|&row| through[row] == wanted)
                .collect()
        };
        let (kept, echoes): (Vec<usize>, Vec<usize>) = (of(false), of(true));
        (self.pick(kept), self.pick(echoes))
    }

    fn is_below(&self, row: usize, above: &HashSet<&str>) -> bool {
        !ids::is_area(self.id(row))
            && (above.contains(self.id(row))
                || above.contains(self.get(row, BUSINESS_GROUP_ID).trim())
                || parents(self.get(row, PARENT_ID)).any(|parent| above.contains(parent)))
    }
}

impl Index {
    /// The ids among these rows of `peer` that another peer has too. Looks at every row there is.
    pub fn elsewhere(&self, peer: &str, rows: &Rows) -> Vec<String> {
        let own: HashSet<&str> = (0..rows.len())
            .map(|row| rows.id(row))
            .filter(|id| !ids::is_area(id))
            .collect();
        let mut found: HashSet<&str> = HashSet::new();
        let others = self.places().filter(|(other, ..)| *other != peer);
        found.extend(others.filter_map(|(_, rows, row)| own.get(rows.id(row))));
        let mut found: Vec<String> = found.into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    }

    /// Whether any row came through one of `names`.
    pub(crate) fn any_through(&self, names: &[&str]) -> bool {
        self.places()
            .any(|(peer, rows, row)| came_through(peer, rows.id(row), rows.get(row, BRANCH), names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PEER, ids, rows};

    fn names(names: &[&str]) -> HashSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn snapshot(index: &mut Index, without: &[&str]) -> Vec<String> {
        let snapshot = index.snapshot_without(without);
        let mut ids: Vec<String> = (0..snapshot.len())
            .map(|number| snapshot.id(number).to_owned())
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_stands_below_a_name_came_through_it_in_whatever_order_it_is_listed() {
        let given = rows(&[
            "3 parent_id=2",
            "2 parent_id=x/1",
            "1 parent_id=us",
            "4 business_group_id=1",
            "44 parent_id=us",
            "5 parent_id=44",
            "6",
        ]);
        let (kept, echoes) = given.through(&names(&["us"]));
        assert_eq!(
            (ids(&kept), ids(&echoes)),
            (vec!["44", "5", "6"], vec!["3", "2", "1", "4"])
        );
        let (kept, echoes) = given.through(&names(&["them"]));
        assert_eq!((kept, echoes.len()), (given.clone(), 0));
        let (kept, echoes) = given.through(&names(&["2"]));
        assert_eq!((ids(&echoes), kept.len()), (vec!["3", "2"], 5));
    }

    #[test]
    fn rows_that_another_peer_has_too_are_found() {
        let mut index = Index::new();
        index.apply("a", &rows(&["1", "2", "4401"]), true);
        index.apply("b", &rows(&["2", "3"]), true);
        assert_eq!(
            index.elsewhere("c", &rows(&["1", "3", "4", "4401"])),
            ["1", "3"]
        );
        assert_eq!(index.elsewhere("a", &rows(&["1", "2"])), ["2"]);
    }

    #[test]
    fn a_snapshot_leaves_out_what_came_through_somebody() {
        let mut index = Index::told();
        index.apply(
            PEER,
            &rows(&["1 branch=u/44", "2 branch=uu", "u", "44 branch=u"]),
            true,
        );
        index.apply("u", &rows(&["3", "44"]), true);
        assert_eq!(snapshot(&mut index, &[]), ["1", "2", "3", "44", "u"]);
        assert_eq!(snapshot(&mut index, &["u"]), ["2"]);
        assert_eq!(snapshot(&mut index, &["44"]), ["2", "3", "u"]);
        assert_eq!(snapshot(&mut index, &["nobody"]).len(), 5);
        index.remove(PEER, ["2"]);
        assert_eq!(snapshot(&mut index, &["u"]).len(), 0);
    }
}
