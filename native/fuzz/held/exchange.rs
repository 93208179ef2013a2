//! A peer, a stranger, our own decisions and time against one engine: what must hold whatever the order.
//!
//! The input is a play of acts parted by 0xfe, readable on purpose. The first byte of an act says what it is:
//! `<` a datagram of the peer, `!` one of a stranger, `=` bytes on the peer's connection, `+` time (quarter
//! seconds, one byte), `>` our answer to the oldest request that waits (three digits), `?` a request of ours
//! (its method), `x` we cancel the last one, `~` it could not leave, `0` the connection ends, `#` the peer makes
//! one from another port. In what is fed, `$A` stands for the right Authorization for the last challenge, `$N` for
//! its nonce, `$B` for the branch of our last request and `$T` for the tag of our last answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use sip_core::codec::{self, Head, Span};
use sip_core::digest::{self, Algorithm, Parameters, Qop, Request, Secret};
use sip_core::{Answer, Auth, Core, Event, Kind, Order, Outgoing, Time, Transport};

use super::invariants::{address, bounded, core, run_out};

const USER: &str = "a";
const PASSWORD: &str = "p";
const REALM: &str = "r";
const NONCE_LIFETIME: u64 = 60_000_000;

/// One play, and what is known of it so far.
struct Play {
    core: Core,
    now: Time,
    connection: u64,
    waiting: VecDeque<(u64, Kind)>,
    /// The client transaction of our last request.
    asked: u64,
    challenge: String,
    branch: Vec<u8>,
    tag: Vec<u8>,
    counted: u32,
    issued: HashMap<Vec<u8>, (IpAddr, Time)>,
    spent: HashSet<(Vec<u8>, Vec<u8>)>,
    /// Something is fed: what is refused at once shows its sender its own broken lines.
    echoing: bool,
}

/// Any play: each answer goes to who asked, no proof counts twice, and in the end nothing is left.
/// How many proofs counted.
pub fn exchange(data: &[u8]) -> usize {
    let mut play = Play::new();
    for act in data.split(|byte| *byte == 0xfe).take(64) {
        if let Some((kind, rest)) = act.split_first() {
            play.act(*kind, rest);
        }
    }
    run_out(&mut play.core);
    play.spent.len()
}

impl Play {
    fn new() -> Self {
        let mut core = core();
        let ha1 = digest::ha1(Algorithm::Md5, USER, REALM, PASSWORD);
        core.set_credentials(USER, &[(Algorithm::Md5, Some(ha1.text()))], Qop::Both)
            .expect("an HA1");
        Play {
            core,
            now: Time::from_micros(1_000_000),
            connection: 0,
            waiting: VecDeque::new(),
            asked: 0,
            challenge: String::new(),
            branch: b"z9hG4bK".to_vec(),
            tag: b"t".to_vec(),
            counted: 0,
            issued: HashMap::new(),
            spent: HashSet::new(),
            echoing: false,
        }
    }

    fn act(&mut self, kind: u8, rest: &[u8]) {
        let (peer, stranger) = (address("203.0.113.9:5060"), address("198.51.100.66:5061"));
        match kind {
            b'<' => self.feed(rest, peer, peer),
            b'!' => self.feed(rest, stranger, peer),
            b'=' => self.feed_stream(rest, peer),
            b'+' => self.wait(u64::from(rest.first().copied().unwrap_or(0))),
            b'>' => self.answer(rest),
            b'?' => self.ask(rest, peer),
            b'x' => self.core.cancel(self.asked, self.now),
            b'~' => self.core.undelivered(self.asked, "no route", self.now),
            b'0' => {
                self.core.closed(self.connection, "ended", self.now);
                self.connection = 0;
            }
            b'#' => {
                let other = address("203.0.113.9:40000"); // another connection of the same host
                let accepted = self.core.accept(other, Transport::Tcp, self.now);
                self.connection = accepted.unwrap_or(0);
            }
            _ => {}
        }
        self.take(&[peer, stranger], None);
        bounded(&self.core);
    }

    fn feed(&mut self, given: &[u8], source: SocketAddr, peer: SocketAddr) {
        let datagram = self.filled(given);
        self.echoing = true;
        self.core.feed(&datagram, source, self.now);
        self.take(&[source, peer], Some((source, datagram.len())));
        self.echoing = false;
    }

    fn feed_stream(&mut self, given: &[u8], peer: SocketAddr) {
        let bytes = self.filled(given);
        if self.connection == 0 {
            let accepted = self.core.accept(peer, Transport::Tcp, self.now);
            self.connection = accepted.unwrap_or(0);
        }
        self.echoing = true;
        self.core.feed_stream(self.connection, &bytes, self.now);
        self.take(&[peer], None);
        self.echoing = false;
    }

    fn wait(&mut self, quarters: u64) {
        let until = self.now.after(quarters * 250_000);
        for _ in 0..1_000 {
            let Some(due) = self.core.deadline().filter(|due| *due <= until) else {
                break;
            };
            self.core.advance(due);
            self.now = self.now.max(due);
        }
        self.now = until;
        self.core.advance(until);
    }

    fn answer(&mut self, rest: &[u8]) {
        let Some((transaction, kind)) = self.waiting.pop_front() else {
            return;
        };
        let digits = std::str::from_utf8(rest.get(..3).unwrap_or(b"401")).unwrap_or("401");
        let status = digits.parse().unwrap_or(401).clamp(100, 699);
        let answer = Answer {
            transaction,
            status,
            headers: &[("Server", "lockgate")],
            body: b"",
        };
        self.core.reply(&answer, self.now);
        if status < 200 {
            self.waiting.push_back((transaction, kind));
        }
    }

    fn ask(&mut self, rest: &[u8], peer: SocketAddr) {
        let Ok(method) = std::str::from_utf8(rest.get(..rest.len().min(16)).unwrap_or(b"")) else {
            return;
        };
        let number = format!("7 {method}");
        let outgoing = Outgoing {
            method,
            uri: "sip:b@203.0.113.9",
            destination: Some(peer),
            headers: &[
                ("From", "<sip:us@r>;tag=ours"),
                ("To", "<sip:b@r>"),
                ("Call-ID", "ours"),
                ("CSeq", &number),
                ("Max-Forwards", "70"),
            ],
            body: b"",
            ack_for: self.asked,
        };
        if let Ok(prepared) = self.core.prepare(&outgoing) {
            let number = self.core.send(prepared, self.now);
            if number != 0 {
                self.asked = number;
            }
        }
    }

    /// Put in what only the engine's own answers can tell.
    fn filled(&mut self, given: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(given.len() + 256);
        let mut rest = given;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            filled.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            let Some((kind, tail)) = rest.split_first() else {
                break;
            };
            match kind {
                b'A' => {
                    self.counted += 1;
                    let request = Request {
                        method: "REGISTER",
                        uri: "sip:b@r",
                        cnonce: "c",
                        nc: self.counted,
                        body: b"",
                        qop: Qop::Both,
                    };
                    let secret = Secret::Password(PASSWORD);
                    let made = digest::authorize(&[&self.challenge], USER, &secret, &request);
                    filled.extend_from_slice(made.unwrap_or_default().as_bytes());
                }
                b'N' => filled.extend_from_slice(&nonce_of(self.challenge.as_bytes())),
                b'B' => filled.extend_from_slice(&self.branch),
                b'T' => filled.extend_from_slice(&self.tag),
                _ => {
                    filled.push(b'$');
                    continue;
                }
            }
            rest = tail;
        }
        filled.extend_from_slice(rest);
        filled
    }

    /// Look at everything that came of it. `asked`: who spoke and how many bytes that was.
    fn take(&mut self, allowed: &[SocketAddr], asked: Option<(SocketAddr, usize)>) {
        let outputs = self.core.take_outputs();
        for output in &outputs {
            assert!(
                allowed.contains(&output.destination),
                "an answer to somebody else"
            );
            self.learn(&output.bytes, output.destination);
        }
        if let Some((source, length)) = asked {
            // A stranger is never worth answering at length: no timer of ours sends to it.
            let answered: usize = outputs
                .iter()
                .filter(|output| output.destination == source && output.transaction == 0)
                .map(|output| output.bytes.len())
                .sum();
            assert!(answered <= 2 * length + 1024, "an answer worth forging for");
        }
        for order in self.core.take_orders() {
            match order {
                Order::Write { bytes, .. } => self.learn(&bytes, address("203.0.113.9:5060")),
                Order::Close { connection, .. } => {
                    if connection == self.connection {
                        self.core.closed(connection, "closed", self.now);
                        self.connection = 0;
                    }
                }
                Order::Dial { connection, .. } => {
                    self.core.closed(connection, "refused", self.now);
                }
            }
        }
        let events: Vec<Event> = self.core.take_events(usize::MAX).collect();
        for event in &events {
            self.check(event);
            if event.awaits_answer && event.kind != Kind::Cancel {
                self.waiting.push_back((event.transaction, event.kind));
            }
        }
    }

    /// Learn from what was sent what a peer would.
    fn learn(&mut self, bytes: &[u8], destination: SocketAddr) {
        let head = match codec::parse(bytes) {
            Ok(head) => head,
            Err(refused) if self.echoing && refused.head.status() >= 400 => return,
            Err(refused) => panic!("we would not take what we send: {}", refused.fault),
        };
        if head.status() == 0 {
            self.branch = head.via.branch.of(bytes).to_vec();
            return;
        }
        self.tag = head.to_tag.of(bytes).to_vec();
        if let Some(challenge) = head.headers(bytes, b"WWW-Authenticate").next() {
            let text = String::from_utf8_lossy(challenge.of(bytes)).into_owned();
            let nonce = nonce_of(text.as_bytes());
            self.issued
                .entry(nonce)
                .or_insert((destination.ip(), self.now));
            self.challenge = text;
            self.counted = 0;
        }
    }

    /// A proof counts for the user, the address and the minute it was made for, and once.
    fn check(&mut self, event: &Event) {
        if event.auth != Auth::Verified {
            return;
        }
        let head = event.head().expect("a REGISTER is a message");
        let bytes = event.bytes();
        assert_eq!(event.username.of(bytes), USER.as_bytes());
        let (nonce, count) = proof(bytes, head);
        let (address, issued) = self.issued.get(&nonce).expect("a nonce of our making");
        assert_eq!(*address, event.source.ip(), "a nonce of another source");
        assert!(
            self.now.since(*issued) <= NONCE_LIFETIME,
            "a nonce that has expired"
        );
        assert!(
            self.spent.insert((nonce, count)),
            "a proof that counts twice"
        );
    }
}

fn nonce_of(challenge: &[u8]) -> Vec<u8> {
    let whole = Span::new(0, challenge.len());
    Parameters::read(challenge, whole)
        .map(|asked| asked.nonce.of(challenge).to_vec())
        .unwrap_or_default()
}

/// Nonce and count of the digest for our realm, else of the first one; a count by its value.
fn proof(bytes: &[u8], head: &Head) -> (Vec<u8>, Vec<u8>) {
    let given: Vec<Parameters> = head
        .headers(bytes, b"Authorization")
        .filter_map(|value| Parameters::read(bytes, value))
        .collect();
    let ours = given
        .iter()
        .find(|given| given.realm.of(bytes) == REALM.as_bytes())
        .or(given.first())
        .expect("what was verified has a digest");
    let count = if ours.qop.is_empty() {
        Vec::new()
    } else {
        let digits = ours.nc.of(bytes).to_ascii_lowercase();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        [b"n", &digits[zeros..]].concat()
    };
    (ours.nonce.of(bytes).to_vec(), count)
}
