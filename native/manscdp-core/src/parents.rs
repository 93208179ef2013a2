//! Where a row hangs in the tree that an upper platform sees (GB/T 28181-2016 annex J).

use catalog_core::{Mapping, Snapshot, fields as field};

/// What an id stands for in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 2 to 8 digits.
    Division,
    /// 200.
    System,
    /// 215.
    Group,
    /// 216.
    Organisation,
    /// Devices, channels, and whatever else.
    Equipment,
}

impl Kind {
    pub(crate) fn of(id: &str) -> Self {
        if id.len() <= 8 {
            return Self::Division;
        }
        match kind_digits(id) {
            Some("200") => Self::System,
            Some("215") => Self::Group,
            Some("216") => Self::Organisation,
            _ => Self::Equipment,
        }
    }
}

/// Digits 11 to 13 of an id of 20 digits.
pub(crate) fn kind_digits(id: &str) -> Option<&str> {
    let regular = id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit());
    regular.then(|| &id[10..13])
}

/// `ParentID` and `BusinessGroupID` as the upper platform shall read them; "" for none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) parent: String,
    pub(crate) group: String,
}

/// The place of row `number`, which is shown as `shown`.
///
/// The parent is the nearest ancestor that is exported too, else our own system; what is in an
/// organisation names that behind it. An organisation's parent is an organisation or, right under
/// its group, nobody. A division has none.
pub(crate) fn place(snapshot: &Snapshot, mapping: &Mapping, number: usize, shown: &str) -> Place {
    let tree = Tree {
        snapshot,
        mapping,
        number,
        shown,
    };
    let group = tree.exported(snapshot.get(number, field::BUSINESS_GROUP_ID), |kind| {
        kind == Kind::Group
    });
    let group = group.unwrap_or_default().to_owned();
    let own = mapping.own_id();
    let parent = match Kind::of(shown) {
        Kind::Division => String::new(),
        Kind::System | Kind::Group => tree
            .nearest(|kind| kind == Kind::System)
            .unwrap_or(own)
            .to_owned(),
        Kind::Organisation => {
            let above = tree.nearest(|kind| kind == Kind::Organisation);
            above
                .unwrap_or(if group.is_empty() { own } else { "" })
                .to_owned()
        }
        Kind::Equipment => {
            let carries = |kind| !matches!(kind, Kind::Group | Kind::Organisation);
            let mut path = tree.nearest(carries).unwrap_or(own).to_owned();
            for organisation in tree.organisations() {
                path.push('/');
                path.push_str(organisation);
            }
            path
        }
    };
    Place { parent, group }
}

struct Tree<'a> {
    snapshot: &'a Snapshot,
    mapping: &'a Mapping,
    number: usize,
    shown: &'a str,
}

impl<'a> Tree<'a> {
    /// What `id` of the same peer is shown as, if it is another thing than the row and of that kind.
    fn exported(&self, id: &str, fits: impl Fn(Kind) -> bool) -> Option<&'a str> {
        let id = id.trim();
        if id.is_empty() {
            return None;
        }
        let shown = self.mapping.shown(self.snapshot.peer(self.number), id)?;
        (shown != self.shown && fits(Kind::of(shown))).then_some(shown)
    }

    fn nearest(&self, fits: impl Fn(Kind) -> bool) -> Option<&'a str> {
        let branch = self.snapshot.get(self.number, field::BRANCH);
        branch.split('/').find_map(|id| self.exported(id, &fits))
    }

    /// The exported organisations that the row names as parents, in its order.
    fn organisations(&self) -> Vec<&'a str> {
        let mut found: Vec<&str> = Vec::new();
        for id in self.snapshot.get(self.number, field::PARENT_ID).split('/') {
            if let Some(shown) = self.exported(id, |kind| kind == Kind::Organisation)
                && !found.contains(&shown)
            {
                found.push(shown);
            }
        }
        found
    }
}
