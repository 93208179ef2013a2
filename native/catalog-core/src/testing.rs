//! What the tests of several modules need.

use crate::builder::RowsBuilder;
use crate::fields::{self, FIELD_COUNT, ID};
use crate::index::{Delta, Index};
use crate::rows::Rows;

pub(crate) const PEER: &str = "44010000002000000001";

/// Rows from "id field=value field=value".
pub(crate) fn rows(lines: &[&str]) -> Rows {
    let mut builder = RowsBuilder::new();
    for line in lines {
        let mut row = [""; FIELD_COUNT];
        let mut words = line.split(' ');
        row[ID] = words.next().unwrap();
        for word in words {
            let (field, value) = word.split_once('=').unwrap();
            row[fields::number(field).unwrap()] = value;
        }
        builder.push(&row);
    }
    builder.finish()
}

pub(crate) fn counts(delta: &Delta) -> [usize; 4] {
    [delta.added, delta.changed, delta.removed, delta.unchanged]
}

pub(crate) fn ids(rows: &Rows) -> Vec<&str> {
    (0..rows.len()).map(|row| rows.id(row)).collect()
}

pub(crate) fn shown(index: &mut Index) -> Vec<String> {
    let snapshot = index.snapshot();
    (0..snapshot.len())
        .map(|number| snapshot.id(number).to_owned())
        .collect()
}

/// A small deterministic generator (xorshift), so that a failure can be seen again.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}
