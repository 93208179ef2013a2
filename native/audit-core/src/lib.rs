//! How one audit record is written: canonical JSON, and the hash that chains it to the one before.
//!
//! Keys sorted, no spaces, printable ASCII only, so that nothing a peer wrote can start a line or move
//! a terminal's cursor. `gateway.chamber.chain` checks files of such lines; both write the same bytes.
//! No file, no clock: what has to be written comes in, the line comes out.
#![forbid(unsafe_code)]

mod json;
mod moment;
mod record;

pub use json::{List, Object, seconds, text};
pub use moment::Moments;
pub use record::{Place, RowCounts, Told, tell};
