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
pub use parse::{MAX_DATAGRAM, MAX_HEAD, parse, parse_head};
pub use write::{Headers, check_header, check_method, check_uri, outline, request, response};
pub(crate) use write::{begin_response, put_end, put_headers};

/// A piece of a message. Offsets fit: whoever reads messages bounds them far below 4 GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// # Panics
    /// When an offset is beyond 4 GiB: longer messages are refused before anything is read of them.
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset| u32::try_from(offset).expect("an offset into a message");
        Span {
            start: narrow(start),
            end: narrow(end),
        }
    }

    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    #[inline]
    pub fn bounds(self) -> (usize, usize) {
        (self.start as usize, self.end as usize)
    }

    #[inline]
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
