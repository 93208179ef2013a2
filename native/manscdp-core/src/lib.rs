//! MANSCDP on the wire (GB/T 28181-2016 annex A): the charset rule, the bounded scan of a head, the
//! strict one-pass scanner that turns Catalog pages into rows, and the writer of such pages.
//!
//! No socket, no clock, no I/O; nothing here can fail otherwise than by a [`Refusal`].
#![forbid(unsafe_code)]

mod charset;
mod entity;
mod head;
mod item;
mod notice;
mod page;
mod parents;
mod repair;
mod scanner;
mod writer;

pub use charset::{Charset, Decoded, decode};
pub use head::{Head, head};
pub use item::clean;
pub use notice::{Notice, scan_notice};
pub use page::{Page, scan};
pub use repair::mend;
pub use scanner::Refusal;
pub use writer::{Frame, Limits, write_changes, write_rows, write_snapshot};
