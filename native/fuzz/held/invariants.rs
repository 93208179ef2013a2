//! Any bytes give a message or the peer's error, never anything else; and state stays bounded.
//!
//! The fuzz targets and the short form in the tests hold the engine to the same two functions.

use std::net::SocketAddr;

use sip_core::{Answer, Core, Kind, Limits, Network, Order, Settings, Time, Transport};

const LIMIT: usize = 8;

pub fn core() -> Core {
    let everywhere: Network = "0.0.0.0/0".parse().expect("a network");
    Core::new(Settings {
        local: address("192.0.2.1:5060"),
        listeners: vec![(Transport::Tcp, address("192.0.2.1:5060"))],
        realm: "r".to_owned(),
        networks: vec![everywhere],
        seed: [7; 32],
        qop: true,
        limits: Limits {
            requests: LIMIT,
            answers: LIMIT,
            events: 2 * LIMIT,
            nonces: LIMIT,
            connections: LIMIT,
            connections_of_source: LIMIT,
            ..Limits::default()
        },
    })
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn at(seconds: u64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

fn count(core: &Core, name: &str) -> u64 {
    let found = core.counters().into_iter().find(|(key, _)| *key == name);
    found.expect("a counter of that name").1
}

/// Answer whatever waits; the kinds of what there was.
fn answer(core: &mut Core, now: Time) -> Vec<Kind> {
    let events: Vec<_> = core.take_events(usize::MAX).collect();
    assert!(events.len() <= 2 * LIMIT + 1, "more events than may wait");
    for event in &events {
        assert_eq!(event.head().is_none(), event.kind == Kind::Malformed);
        assert_eq!(event.fault.is_empty(), event.kind != Kind::Malformed);
        if event.awaits_answer {
            let status = if event.kind == Kind::Register {
                401
            } else {
                486
            };
            core.reply(
                &Answer {
                    transaction: event.transaction,
                    status,
                    headers: &[],
                    body: b"",
                },
                now,
            );
        }
    }
    events.iter().map(|event| event.kind).collect()
}

pub fn bounded(core: &Core) {
    for name in ["now_open", "now_cached", "now_streams"] {
        assert!(count(core, name) <= LIMIT as u64, "{name}");
    }
    // A CANCEL has its place beside its INVITE, however full it is: refused, it would leave somebody ringing.
    assert!(
        count(core, "now_requests") <= 2 * LIMIT as u64,
        "now_requests"
    );
}

/// Let every timer run out: nothing may be left then.
pub fn run_out(core: &mut Core) {
    for _ in 0..10_000 {
        let Some(deadline) = core.deadline() else {
            break;
        };
        core.advance(deadline);
        core.take_outputs();
        core.take_orders();
        core.take_events(usize::MAX).for_each(drop);
    }
    assert_eq!(core.deadline(), None, "a timer that never ends");
    core.advance(at(1_000_000));
    for name in ["now_open", "now_cached", "now_requests", "now_streams"] {
        assert_eq!(count(core, name), 0, "{name}");
    }
}

/// Datagrams, parted by a byte that no sound one holds.
pub fn datagrams(data: &[u8]) {
    let mut core = core();
    let peer = address("203.0.113.9:5060");
    for datagram in data.split(|byte| *byte == 0xfe) {
        core.feed(datagram, peer, at(1));
        let answered: usize = core
            .take_outputs()
            .iter()
            .map(|output| {
                assert_eq!(output.destination, peer, "an answer to somebody else");
                output.bytes.len()
            })
            .sum();
        // What is answered without being asked above; a 503 is longer by Retry-After and a tag.
        assert!(
            answered <= 2 * datagram.len() + 256,
            "an answer that is worth forging for"
        );
        answer(&mut core, at(1));
        core.take_outputs();
        bounded(&core);
    }
    run_out(&mut core);
}

/// One connection: the same in one piece and in pieces, whose size is the first byte.
pub fn stream(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let whole = said(&[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
    assert_eq!(whole, said(&pieces), "another meaning in pieces of {size}");
}

/// What came of a connection: kinds of events, and what was written.
fn said(pieces: &[&[u8]]) -> (Vec<Kind>, Vec<u8>) {
    let mut core = core();
    let connection = core
        .accept(address("203.0.113.9:40000"), Transport::Tcp, at(1))
        .expect("a place in an empty table");
    let mut kinds = Vec::new();
    for piece in pieces {
        core.feed_stream(connection, piece, at(1));
        bounded(&core);
    }
    kinds.extend(answer(&mut core, at(1)));
    let mut written = Vec::new();
    for order in core.take_orders() {
        match order {
            Order::Write { bytes, .. } => written.extend_from_slice(&bytes),
            Order::Close { .. } => {}
            Order::Dial { .. } => panic!("a stranger made us dial"),
        }
    }
    assert!(core.take_outputs().is_empty(), "a datagram to a connection");
    run_out(&mut core);
    (kinds, written)
}
