//! SIP messages as spans of their datagram (RFC 3261 sections 7, 18.3 and 25).
//!
//! One pass over the header block, nothing copied, nothing decoded: bodies are GB2312 as often as not.

mod message;
mod names;
mod parse;
mod status;
pub mod values;
mod write;

pub use message::{Head, Refused, Start, unfold};
pub use parse::{MAX_DATAGRAM, parse};
pub use write::{Headers, check_header, check_method, check_uri, outline, request, response};

/// A piece of a datagram. Offsets fit because no datagram is longer than 65,535 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// # Panics
    /// When an offset is beyond a datagram's largest length: the parser refuses longer ones first.
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset| u16::try_from(offset).expect("an offset into a datagram");
        Span {
            start: narrow(start),
            end: narrow(end),
        }
    }

    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..usize::from(self.end)]
    }

    pub fn bounds(self) -> (usize, usize) {
        (usize::from(self.start), usize::from(self.end))
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Why a datagram is no message for us, and the answer that a request has earned by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub reason: &'static str,
    pub at: usize,
}

impl Fault {
    pub const fn new(reason: &'static str, at: usize) -> Self {
        Fault {
            status: 400,
            reason,
            at,
        }
    }
}

/// Whether two header names mean the same header, in any case and form.
pub fn same_name(one: &str, other: &str) -> bool {
    names::same(one.as_bytes(), other.as_bytes())
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (byte {})", self.reason, self.at)
    }
}

impl std::error::Error for Fault {}
