//! Catalog rows in columns: batches, differences, ancestry, selectors, snapshots, shown ids.
//!
//! Knows neither XML nor SIP: `manscdp-core` makes rows and writes them, the gate judges them,
//! this crate holds them. No socket, no clock, no thread of its own.
#![forbid(unsafe_code)]

mod ancestry;
#[cfg(test)]
mod branch_tests;
mod builder;
mod changes;
#[cfg(test)]
mod changes_tests;
mod column;
mod encoding;
mod family;
pub mod fields;
mod held;
mod ids;
mod index;
#[cfg(test)]
mod index_tests;
mod mapping;
mod packed;
mod peer;
mod provenance;
mod renewal;
mod row_set;
mod rows;
mod selector;
#[cfg(test)]
mod selector_tests;
mod snapshot;
#[cfg(test)]
mod testing;
mod veil;

pub use builder::RowsBuilder;
pub use changes::{Changes, Event, View};
pub use encoding::Corrupt;
pub use fields::{FIELD_COUNT, FIELDS};
pub use index::{Delta, Index};
pub use mapping::{BadMapping, Mapping, NewPair};
pub use renewal::Renewal;
pub use row_set::RowSet;
pub use rows::Rows;
pub use selector::{BadSelector, RuleText, Selection, Selector};
pub use snapshot::Snapshot;
