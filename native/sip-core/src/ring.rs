//! The last messages of a socket, secrets covered, for whoever asks afterwards what went wrong.
//!
//! Two shelves of fixed size, so that a flood of keepalives does not push out the calls. Noting a message
//! copies it into its shelf and nothing else: no memory is asked for once a shelf has been begun. Secrets are
//! covered in what is read, and only there is searched: a question finds nothing by what it may not see.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use memchr::memchr_iter;
use memchr::memmem::Finder;

use crate::mask::{COVER, mask};
use crate::time::Time;

/// Bytes of a shelf.
const SHELF: usize = 8 * 1024 * 1024;
/// Messages of a shelf.
const MESSAGES: usize = 32_768;
/// What is kept of one message: a page of a catalog is longer, a message of a call is not.
const CUT: usize = 8 * 1024;

/// One message as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Counts the messages of the socket, both ways, from 1.
    pub number: u64,
    pub at: Time,
    /// By us; else by the peer.
    pub sent: bool,
    pub peer: SocketAddr,
    /// Bytes of the whole message.
    pub length: usize,
    /// Secrets covered.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    at: Time,
    sent: bool,
    peer: SocketAddr,
    length: usize,
    start: usize,
    end: usize,
}

struct Shelf {
    bytes: Vec<u8>, // as long as it was ever written
    entries: VecDeque<Entry>,
    end: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Ring {
    calls: Shelf,
    others: Shelf,
    newest: u64,
    clock: Time,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Shelf({} messages)", self.entries.len())
    }
}

impl Shelf {
    fn new() -> Self {
        Shelf {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            end: 0,
        }
    }

    fn put(&mut self, mut entry: Entry, message: &[u8]) {
        let message = &message[..message.len().min(CUT)];
        self.bytes.reserve_exact(SHELF - self.bytes.len()); // once, and pages come as they are written
        entry.start = self.end;
        if entry.start + message.len() > SHELF {
            self.drop_from(self.end); // what lies behind is older than all before
            entry.start = 0;
        }
        entry.end = entry.start + message.len();
        self.end = entry.end;
        if self.bytes.len() < entry.end {
            self.bytes.resize(entry.end, 0);
        }
        while self.entries.front().is_some_and(|oldest| {
            self.entries.len() >= MESSAGES || (oldest.start < entry.end && oldest.end > entry.start)
        }) {
            self.entries.pop_front();
        }
        self.bytes[entry.start..entry.end].copy_from_slice(message);
        self.entries.push_back(entry);
    }

    fn drop_from(&mut self, start: usize) {
        while self
            .entries
            .front()
            .is_some_and(|oldest| oldest.start >= start)
        {
            self.entries.pop_front();
        }
    }

    /// The newest `limit` behind `after` that hold one of the needles; the newest first.
    fn find<'a>(
        &'a self,
        needles: &'a [Finder<'_>],
        after: u64,
        limit: usize,
    ) -> impl Iterator<Item = Kept> + 'a {
        self.entries
            .iter()
            .rev()
            .take_while(move |entry| entry.number > after)
            .filter_map(move |entry| {
                let bytes = covered(&self.bytes[entry.start..entry.end], needles)?;
                Some(Kept {
                    number: entry.number,
                    at: entry.at,
                    sent: entry.sent,
                    peer: entry.peer,
                    length: entry.length,
                    bytes,
                })
            })
            .take(limit)
    }
}

/// The message with its secrets covered, if one of the needles is in it then, or there are none.
fn covered(message: &[u8], needles: &[Finder<'_>]) -> Option<Vec<u8>> {
    // What was not there before can only be there now if it is of the cover.
    let may_hold = |it: &Finder<'_>| it.needle().contains(&COVER) || it.find(message).is_some();
    if !needles.is_empty() && !needles.iter().any(may_hold) {
        return None;
    }
    let mut message = message.to_vec();
    mask(&mut message);
    let holds = |it: &Finder<'_>| it.find(&message).is_some();
    (needles.is_empty() || needles.iter().any(holds)).then_some(message)
}

impl Ring {
    pub(crate) fn new() -> Self {
        Ring {
            calls: Shelf::new(),
            others: Shelf::new(),
            newest: 0,
            clock: Time::default(),
        }
    }

    /// What is noted from now on happened at that moment.
    pub(crate) fn set_clock(&mut self, now: Time) {
        self.clock = now;
    }

    /// Keep a message that came from `peer`, or that leaves to it.
    pub(crate) fn note(&mut self, message: &[u8], peer: SocketAddr, sent: bool) {
        self.note_as(is_of_call(message), message, peer, sent);
    }

    /// The same of one that is known to be of a call, or not to be.
    pub(crate) fn note_as(&mut self, call: bool, message: &[u8], peer: SocketAddr, sent: bool) {
        self.newest += 1;
        let place = if call {
            &mut self.calls
        } else {
            &mut self.others
        };
        let entry = Entry {
            number: self.newest,
            at: self.clock,
            sent,
            peer,
            length: message.len(),
            start: 0,
            end: 0,
        };
        place.put(entry, message);
    }

    /// The number of the newest message, 0 before the first.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The newest messages with a number above `after` in which one of the needles occurs (with none:
    /// all), in the order of their numbers; at most `limit` of calls, and as many others.
    pub fn find<R>(
        &self,
        needles: &[&[u8]],
        after: u64,
        limit: usize,
        take: impl Fn(Kept) -> R,
    ) -> Vec<R> {
        let finders: Vec<_> = needles.iter().map(Finder::new).collect();
        let mut found: Vec<_> = self
            .calls
            .find(&finders, after, limit)
            .chain(self.others.find(&finders, after, limit))
            .collect();
        found.sort_unstable_by_key(|kept| kept.number);
        found.into_iter().map(take).collect()
    }
}

/// Of an INVITE dialog, by its first line or the `CSeq` that follows; a guess is good enough.
pub(crate) fn is_of_call(message: &[u8]) -> bool {
    const METHODS: [&[u8]; 5] = [b"INVITE", b"ACK", b"BYE", b"CANCEL", b"INFO"];
    let method = if message.starts_with(b"SIP/2.0") {
        let name = b"\nCSeq:";
        let Some(at) = memchr_iter(b'\n', message).find(|at| message[*at..].starts_with(name))
        else {
            return false;
        };
        let value = message[at + name.len()..].trim_ascii_start();
        let digits = value.iter().take_while(|it| it.is_ascii_digit()).count();
        value[digits..].trim_ascii_start()
    } else {
        message
    };
    matches!(method, [b'I' | b'A' | b'B' | b'C', ..])
        && METHODS.iter().any(|known| {
            method.starts_with(known)
                && method
                    .get(known.len())
                    .is_none_or(|it| !it.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        5060,
    );

    fn numbers(ring: &Ring, needles: &[&[u8]], after: u64, limit: usize) -> Vec<u64> {
        ring.find(needles, after, limit, |kept| kept.number)
    }

    #[test]
    fn what_is_asked_for_comes_in_order_from_both_shelves() {
        let mut ring = Ring::new();
        ring.set_clock(Time::from_seconds(2.5));
        ring.note(b"INVITE sip:34 SIP/2.0\r\n\r\n", PEER, false);
        ring.note(b"MESSAGE sip:34 SIP/2.0\r\n\r\n", PEER, true);
        ring.note(
            b"SIP/2.0 200 OK\r\nCSeq: 3 INVITE\r\nTo: 35\r\n\r\n",
            PEER,
            true,
        );
        assert_eq!(ring.newest(), 3);
        assert_eq!(ring.calls.entries.len(), 2);
        assert_eq!(numbers(&ring, &[], 0, 9), [1, 2, 3]);
        assert_eq!(numbers(&ring, &[b":34"], 0, 9), [1, 2]);
        assert_eq!(numbers(&ring, &[b":34", b"35"], 1, 9), [2, 3]);
        assert_eq!(numbers(&ring, &[], 0, 1), [2, 3], "the newest of each kind");
        let [first] = &ring.find(&[b"INVITE sip"], 0, 9, |kept| {
            (kept.at, kept.sent, kept.length)
        })[..] else {
            panic!("one was asked for");
        };
        assert_eq!(*first, (Time::from_seconds(2.5), false, 25));
    }

    #[test]
    fn a_flood_of_keepalives_does_not_push_out_a_call() {
        let mut ring = Ring::new();
        ring.note(b"INVITE sip:34 SIP/2.0\r\n\r\n", PEER, false);
        for _ in 0..2 * MESSAGES {
            ring.note(b"MESSAGE sip:1 SIP/2.0\r\n\r\n", PEER, false);
        }
        assert_eq!(ring.others.entries.len(), MESSAGES);
        assert_eq!(numbers(&ring, &[b"INVITE"], 0, 9), [1]);
    }

    #[test]
    fn a_shelf_is_bounded_in_bytes_and_each_message_stays_whole() {
        let mut ring = Ring::new();
        for number in 1..4000_usize {
            let mut message = format!("MESSAGE {number:08} ").into_bytes();
            message.resize(20 + number * 7919 % 9000, b'x');
            ring.note(&message, PEER, false);
        }
        let kept = ring.find(&[], 0, usize::MAX, |kept| {
            let text = format!("MESSAGE {:08} ", kept.number);
            assert!(kept.bytes.starts_with(text.as_bytes()));
            assert_eq!(kept.bytes.len(), kept.length.min(CUT));
            (kept.number, kept.bytes.len())
        });
        let total: usize = kept.iter().map(|(_, length)| length).sum();
        assert!(total <= SHELF && total > SHELF - 3 * CUT, "{total}");
        assert_eq!(kept.last().unwrap().0, 3999);
        assert!(kept.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    }

    #[test]
    fn a_shelf_takes_its_place_once_and_touches_no_more_than_it_wrote() {
        let mut ring = Ring::new();
        ring.note(b"MESSAGE sip:1 SIP/2.0\r\n\r\n", PEER, false);
        let place = ring.others.bytes.as_ptr();
        assert_eq!(ring.others.bytes.len(), 25);
        for _ in 0..3 * SHELF / CUT {
            ring.note(&[b'x'; CUT - 1], PEER, false);
        }
        assert_eq!(ring.others.bytes.as_ptr(), place);
        assert!(ring.others.bytes.len() <= SHELF);
        assert_eq!(ring.others.bytes.capacity(), SHELF);
        assert_eq!(ring.calls.bytes.capacity(), 0);
    }

    #[test]
    fn nothing_is_found_by_its_secrets_and_none_is_given() {
        let mut ring = Ring::new();
        ring.note(
            b"REGISTER sip:a SIP/2.0\r\nAuthorization: Digest response=\"abcd\"\r\n\r\n",
            PEER,
            false,
        );
        assert_eq!(numbers(&ring, &[b"abcd"], 0, 9), []);
        assert_eq!(numbers(&ring, &[b"\"****\""], 0, 9), [1]);
        assert_eq!(numbers(&ring, &[b"abcd", b"sip:a"], 0, 9), [1]);
        let shown = ring.find(&[], 0, 9, |kept| kept.bytes);
        assert_eq!(
            shown[0],
            b"REGISTER sip:a SIP/2.0\r\nAuthorization: Digest response=\"****\"\r\n\r\n"
        );
    }
}
