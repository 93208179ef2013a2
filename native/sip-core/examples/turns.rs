//! What a message costs the engine: `cargo run --release -p sip-core --example turns`.
//!
//! Turns of 48 datagrams, as a busy loop has them: a REGISTER that is challenged, its second with a right digest,
//! and a keepalive, each taken, drained and answered. Prints the best of several rounds in nanoseconds a
//! datagram, and what the process has resident afterwards. No socket, no Python.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip_core::digest::{self, Algorithm, Qop};
use sip_core::{Answer, Core, Event, Limits, Outbox, Settings, Time};

const SERVER: &str = "44010000002000000001";
const REALM: &str = "4401000000";
const PASSWORD: &str = "benchmark";
const DEVICES: usize = 1000;
const TURN: usize = 48;
const TURNS: usize = 250;
const ROUNDS: usize = 12;
const KEEPALIVE: &str = "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>17</SN>\r\n<DeviceID>44010700001180000001</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n";

struct Bench {
    core: Core,
    outbox: Outbox,
    clock: u64,
    number: u64,
}

/// Nanoseconds of taking and of answering.
#[derive(Default)]
struct Spent {
    taking: Duration,
    answering: Duration,
}

fn device(index: usize) -> (String, SocketAddr) {
    let port = u16::try_from(10_000 + index % 50_000).expect("a port");
    let user = format!("44010700001180{index:06}");
    (user, SocketAddr::from(([127, 0, 1, 2], port)))
}

impl Bench {
    fn new() -> Self {
        let mut core = Core::new(Settings {
            local: "127.0.1.1:5060".parse().expect("an address"),
            listeners: Vec::new(),
            realm: REALM.to_owned(),
            networks: vec!["127.0.1.0/24".parse().expect("a network")],
            seed: [7; 32],
            qop: true,
            limits: Limits::default(),
        });
        for index in 0..DEVICES {
            let (user, address) = device(index);
            let key = digest::ha1(Algorithm::Md5, &user, REALM, PASSWORD);
            core.set_credentials(&user, &[(Algorithm::Md5, Some(key.text()))], Qop::Both)
                .expect("hex digits");
            core.know(address, true);
        }
        Bench {
            core,
            outbox: Outbox::default(),
            clock: 1_000_000,
            number: 0,
        }
    }

    fn request(&mut self, method: &str, index: usize, more: &str, body: &str) -> Vec<u8> {
        self.number += 1;
        let number = self.number;
        let (user, address) = device(index);
        format!(
            "{method} sip:{SERVER}@{REALM} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};rport;branch=z9hG4bK{number:016x}\r\n\
             From: <sip:{user}@{REALM}>;tag={number:08x}\r\n\
             To: <sip:{user}@{REALM}>\r\n\
             Call-ID: {number:016x}@127.0.1.2\r\nCSeq: {} {method}\r\nMax-Forwards: 70\r\n\
             User-Agent: Embedded Net DVR\r\n{more}Content-Length: {}\r\n\r\n{body}",
            number % 10_000,
            body.len()
        )
        .into_bytes()
    }

    /// One turn; what was answered, by its device.
    fn turn(
        &mut self,
        datagrams: &[(usize, Vec<u8>)],
        status: u16,
        headers: &[(&str, &str)],
        spent: &mut Spent,
    ) -> HashMap<usize, String> {
        self.clock += 2_000;
        let now = Time::from_micros(self.clock);
        let sources: Vec<_> = datagrams
            .iter()
            .map(|(index, _)| device(*index).1)
            .collect();
        let begun = Instant::now();
        for ((_, datagram), source) in datagrams.iter().zip(&sources) {
            self.core.offer(0, datagram, *source, now);
        }
        self.core.advance(now);
        self.core.serve_strangers(256, now);
        let events: Vec<Event> = self.core.take_events(256).collect();
        spent.taking += begun.elapsed();
        assert_eq!(events.len(), datagrams.len());
        let begun = Instant::now();
        for event in &events {
            let answer = Answer {
                transaction: event.transaction,
                status,
                headers,
                body: b"",
            };
            self.core.reply(&answer, now);
        }
        self.core.swap_outbox(&mut self.outbox);
        spent.answering += begun.elapsed();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let answers = datagrams
            .iter()
            .zip(self.outbox.iter())
            .map(|((index, _), letter)| (*index, text(letter.bytes)))
            .collect();
        drop(events);
        answers
    }
}

fn main() {
    let mut bench = Bench::new();
    let mut best: HashMap<&str, f64> = HashMap::new();
    for _ in 0..ROUNDS {
        let mut spent: [Spent; 3] = Default::default();
        for turn in 0..TURNS {
            let who: Vec<usize> = (0..TURN)
                .map(|place| (turn * TURN + place) % DEVICES)
                .collect();
            let contact = |index| {
                let (user, address) = device(index);
                format!("Contact: <sip:{user}@{address}>\r\nExpires: 3600\r\n")
            };
            let first: Vec<_> = who
                .iter()
                .map(|index| {
                    (
                        *index,
                        bench.request("REGISTER", *index, &contact(*index), ""),
                    )
                })
                .collect();
            let asked = bench.turn(&first, 401, &[], &mut spent[0]);
            let proven: Vec<_> = who
                .iter()
                .map(|index| {
                    let challenge = asked[index]
                        .lines()
                        .find_map(|line| line.strip_prefix("WWW-Authenticate: "))
                        .expect("a challenge");
                    let (user, _) = device(*index);
                    let request = digest::Request {
                        method: "REGISTER",
                        uri: &format!("sip:{SERVER}@{REALM}"),
                        cnonce: "0a4f113b",
                        nc: 1,
                        body: b"",
                        qop: Qop::Both,
                    };
                    let secret = digest::Secret::Password(PASSWORD);
                    let proof = digest::authorize(&[challenge], &user, &secret, &request)
                        .expect("a challenge of ours");
                    let more = format!("{}Authorization: {proof}\r\n", contact(*index));
                    (*index, bench.request("REGISTER", *index, &more, ""))
                })
                .collect();
            let granted = [
                ("Date", "2026-11-23T15:30:00.000"),
                (
                    "Contact",
                    "<sip:44010700001180000001@127.0.1.2:10000>;expires=3600",
                ),
                ("Expires", "3600"),
            ];
            bench.turn(&proven, 200, &granted, &mut spent[1]);
            let alive: Vec<_> = who
                .iter()
                .map(|index| {
                    let kind = "Content-Type: Application/MANSCDP+xml\r\n";
                    (*index, bench.request("MESSAGE", *index, kind, KEEPALIVE))
                })
                .collect();
            bench.turn(&alive, 200, &[], &mut spent[2]);
        }
        #[allow(clippy::cast_precision_loss)] // a few thousand
        let each = |time: Duration| time.as_secs_f64() * 1e9 / (TURN * TURNS) as f64;
        for (name, spent) in ["challenge", "registration", "keepalive"]
            .iter()
            .zip(&spent)
        {
            for (what, time) in [("taken", spent.taking), ("answered", spent.answering)] {
                let key: &str = Box::leak(format!("{name}, {what}").into_boxed_str());
                let place = best.entry(key).or_insert(f64::MAX);
                *place = place.min(each(time));
            }
        }
    }
    let mut names: Vec<_> = best.keys().copied().collect();
    names.sort_unstable();
    for name in names {
        println!("{:8.0} ns  {name}", best[name]);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find(|line| line.starts_with("VmRSS"));
    println!("{}", resident.unwrap_or_default());
    for (name, value) in bench.core.counters() {
        if name.starts_with("now_") {
            println!("{value:8}     {name}");
        }
    }
}
