//! One message after the other out of a stream (RFC 3261 section 18.3), whatever pieces it comes in.

use crate::codec::{self, Fault, Head, MAX_HEAD};
use crate::time::Time;

/// How much of a body is read before it is decided whether it may be large.
pub const GLIMPSE: usize = 1024;

/// How much one message may hold, and what makes a larger one welcome.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    /// Bytes of any message.
    pub usual: usize,
    /// Bytes of one in whose first [`GLIMPSE`] of body one of `kinds` stands.
    pub large: usize,
    pub kinds: &'a [Box<[u8]>],
}

/// What the next bytes of the stream are.
#[derive(Debug)]
pub enum Found {
    /// Nothing whole yet.
    Nothing,
    /// An empty line twice, where a message could begin: whoever sent it wants to know whether we live.
    Ping,
    /// One message of so many bytes from the front.
    Message(Box<Head>, usize),
    /// A request or response that is refused, of so many bytes. The stream can be read on.
    Refused(Box<Head>, Fault, usize),
    /// It can't: nobody knows where the next message begins.
    Lost(Box<Head>, Fault, usize),
}

#[derive(Debug, Default)]
pub struct Framing {
    buffer: Vec<u8>,
    /// Bytes in front that are done with.
    taken: usize,
    /// Up to where the end of the headers was looked for.
    searched: usize,
    /// Of the message in front, once its headers are here.
    head: Option<Box<Read>>,
    /// Line breaks since the last message.
    breaks: usize,
    /// When the first byte of the message in front came.
    pub began: Option<Time>,
}

#[derive(Debug)]
struct Read {
    head: Head,
    fault: Option<Fault>,
    need: usize,
    allowed: bool,
}

impl Framing {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Whether the headers of the message in front are here, and how long it is then.
    pub fn need(&self) -> Option<usize> {
        self.head.as_ref().map(|read| read.need)
    }

    /// What stands in front.
    pub fn front(&self, length: usize) -> &[u8] {
        &self.buffer[self.taken..self.taken + length]
    }

    /// Drop so many bytes from the front: the message that was found.
    pub fn take(&mut self, length: usize) {
        self.taken += length;
        self.searched = 0;
        self.head = None;
        self.began = None;
    }

    /// Give back memory that is done with; called once nothing more is found.
    pub fn settle(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * MAX_HEAD {
            self.buffer = Vec::new();
        }
    }

    pub fn next(&mut self, allowed: Allowed<'_>, now: Time) -> Found {
        if self.began.is_none() && self.skip_breaks() {
            return Found::Ping;
        }
        let there = self.held();
        if there == 0 {
            return Found::Nothing;
        }
        if self.began.is_none() {
            self.began = Some(now);
            self.breaks = 0;
            if !codec::values::is_token(self.buffer[self.taken]) {
                let fault = Fault::new("no message begins so", 0);
                return Found::Lost(Box::default(), fault, 0);
            }
        }
        if self.head.is_none() {
            let Some(end) = self.head_end() else {
                if there < MAX_HEAD {
                    return Found::Nothing;
                }
                let fault = Fault::new("header block over 16 KiB", MAX_HEAD);
                return Found::Lost(Box::default(), fault, 0);
            };
            match self.read(end) {
                Ok(read) => self.head = Some(Box::new(read)),
                Err((head, fault)) => return Found::Lost(head, fault, end),
            }
        }
        self.judge(allowed, there)
    }

    /// Step over line breaks between messages; true for each four of them, CR LF CR LF (RFC 5626 3.5.1).
    fn skip_breaks(&mut self) -> bool {
        while let Some(b'\r' | b'\n') = self.buffer.get(self.taken) {
            self.taken += 1;
            self.breaks += 1;
            if self.breaks == 4 {
                self.breaks = 0;
                return true;
            }
        }
        false
    }

    /// Behind the empty line.
    fn head_end(&mut self) -> Option<usize> {
        let window = &self.buffer[self.taken..];
        let window = &window[..window.len().min(MAX_HEAD)];
        let from = self.searched.saturating_sub(3);
        self.searched = window.len();
        memchr::memmem::find(&window[from..], b"\r\n\r\n").map(|at| from + at + 4)
    }

    fn read(&self, end: usize) -> Result<Read, (Box<Head>, Fault)> {
        let (head, fault) = match codec::parse_head(self.front(end)) {
            Ok(head) => (head, None),
            Err(refused) => (refused.head, Some(refused.fault)),
        };
        let Some(length) = head.length else {
            let missing = Fault::new("no Content-Length on a stream", end);
            return Err((Box::new(head), fault.unwrap_or(missing)));
        };
        Ok(Read {
            head,
            fault,
            need: end.saturating_add(length),
            allowed: false,
        })
    }

    fn judge(&mut self, allowed: Allowed<'_>, there: usize) -> Found {
        let front = &self.buffer[self.taken..];
        let Some(read) = &mut self.head else {
            return Found::Nothing;
        };
        let (start, _) = read.head.body.bounds();
        if !read.allowed && read.need > allowed.usual {
            let glimpse = read.need.min(start + GLIMPSE);
            let large = read.fault.is_none() && read.need <= allowed.large;
            if large && there < glimpse {
                return Found::Nothing;
            }
            if !(large && is_of(allowed.kinds, &front[start..glimpse])) {
                let fault = Fault {
                    status: 513,
                    reason: "longer than this peer may send",
                    at: allowed.usual,
                };
                return Found::Lost(Box::new(read.head), fault, start);
            }
        }
        read.allowed = true;
        if there < read.need {
            return Found::Nothing;
        }
        let need = read.need;
        let mut head = Box::new(read.head);
        if let Some(fault) = read.fault {
            return Found::Refused(head, fault, need);
        }
        head.body = codec::Span::new(start, need);
        Found::Message(head, need)
    }
}

fn is_of(kinds: &[Box<[u8]>], glimpse: &[u8]) -> bool {
    kinds
        .iter()
        .any(|kind| memchr::memmem::find(glimpse, kind).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Allowed<'static> = Allowed {
        usual: 4096,
        large: 0,
        kinds: &[],
    };

    fn message(body: &str, length: &str) -> String {
        format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n{length}\r\n{body}"
        )
    }

    /// Feed in pieces of `size`; what was found, by name, and the bodies.
    fn found(stream: &str, size: usize, allowed: Allowed<'_>) -> Vec<String> {
        let mut framing = Framing::default();
        let mut all = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            framing.feed(piece);
            loop {
                let (name, length) = match framing.next(allowed, Time::default()) {
                    Found::Nothing => break,
                    Found::Ping => ("ping".to_owned(), 0),
                    Found::Message(head, length) => {
                        let body = head.body.of(framing.front(length));
                        (String::from_utf8_lossy(body).into_owned(), length)
                    }
                    Found::Refused(_, fault, length) => (fault.status.to_string(), length),
                    Found::Lost(_, fault, _) => {
                        all.push(format!("lost {}", fault.status));
                        return all;
                    }
                };
                all.push(name);
                if length > 0 {
                    framing.take(length);
                }
            }
            framing.settle();
        }
        all.push(format!("+{}", framing.held()));
        all
    }

    #[test]
    fn messages_and_pings_are_found_alike_in_any_pieces() {
        let sound = |body: &str| message(body, &format!("Content-Length: {}\r\n", body.len()));
        let stream = format!(
            "\r\n\r\n{}\r\n{}\r\n\r\n\r\n\r\n{}{}rest",
            sound("one"),
            sound(""),
            sound("\r\n\r\nthree").replace("1 OPTIONS", "1 BYE"),
            sound("OPTIONS")
        );
        for size in [1, 2, 3, 7, 100, 10_000] {
            assert_eq!(
                found(&stream, size, USUAL),
                ["ping", "one", "", "ping", "ping", "400", "OPTIONS", "+4"],
                "{size}"
            );
        }
    }

    #[test]
    fn a_stream_that_cannot_be_read_on_is_lost() {
        for (stream, status) in [
            (message("abc", ""), 400),
            (message("abc", "Content-Length: 3\r\nl: 4\r\n"), 400),
            (message("abc", "Content-Length: -3\r\n"), 400),
            (message("", "Content-Length: 4097\r\n"), 513),
            (message("", "Content-Length: 99999999999999999999\r\n"), 513),
            ("\u{16}\u{3}\u{1}".to_owned(), 400),
            ("x".repeat(20_000), 400),
        ] {
            for size in [1, 10_000] {
                let expected = format!("lost {status}");
                assert_eq!(found(&stream, size, USUAL), [expected], "{stream:.60}");
            }
        }
    }

    #[test]
    fn a_large_body_is_taken_only_if_it_is_of_the_kind_that_may_be() {
        let kinds = [Box::from(&b"<CmdType>Catalog<"[..])];
        let allowed = Allowed {
            usual: 4096,
            large: 100_000,
            kinds: &kinds,
        };
        let body = |start: &str, size: usize| format!("{start}{}", "x".repeat(size - start.len()));
        let sized = |body: String| message(&body, &format!("Content-Length: {}\r\n", body.len()));
        let catalog = body("<CmdType>Catalog</CmdType>", 50_000);
        for size in [1000, 100_000] {
            let taken = found(&sized(catalog.clone()), size, allowed);
            assert_eq!(taken, [catalog.clone(), "+0".to_owned()]);
            for refused in [
                body("<CmdType>Alarm</CmdType>", 50_000),
                body("<CmdType>Catalog</CmdType>", 150_000),
                body(&"y".repeat(GLIMPSE), 2000) + &catalog,
            ] {
                assert_eq!(found(&sized(refused), size, allowed), ["lost 513"]);
            }
        }
    }
}
