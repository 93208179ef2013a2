//! Connections: what comes by them, goes by them, and how they end.

use super::*;
use crate::streams::{Order, Terms};

pub(super) const USER: &str = "44010600001180000001";
const THEIRS: &str = "203.0.113.50:41000";

pub(super) fn accept(core: &mut Core, peer: &str, seconds: f64) -> u64 {
    core.accept(address(peer), Transport::Tcp, at(seconds))
        .unwrap()
}

/// What was written to each connection, and what else was ordered, as words.
pub(super) fn orders(core: &mut Core) -> Vec<String> {
    let word = |order: Order| match order {
        Order::Write { bytes, .. } => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.lines().next().unwrap_or_default().to_owned()
        }
        Order::Close { .. } => "close".to_owned(),
        Order::Dial {
            peer, transport, ..
        } => format!("dial {} {peer}", transport.name()),
    };
    core.take_orders().into_iter().map(word).collect()
}

pub(super) fn written(core: &mut Core) -> String {
    let text = |order: Order| match order {
        Order::Write { bytes, .. } => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    core.take_orders().into_iter().map(text).collect()
}

pub(super) fn say(core: &mut Core, connection: u64, bytes: &[u8], seconds: f64) {
    core.feed_stream(connection, bytes, at(seconds));
}

pub(super) fn register(core: &mut Core, connection: u64, expires: u32, seconds: f64) {
    registering(core, connection, expires, seconds);
    assert_eq!(orders(core), ["SIP/2.0 200 OK"]);
}

/// The same; what is ordered then is left to see.
pub(super) fn registering(core: &mut Core, connection: u64, expires: u32, seconds: f64) {
    admit(core, USER, &[Algorithm::Md5]);
    let branch = |number: u32| format!("z9hG4bK{number}at{seconds}");
    say(
        core,
        connection,
        &ask("REGISTER", &branch(1), 1, "", "", ""),
        seconds,
    );
    let first = event(core);
    reply(core, first.transaction, 401, seconds);
    let challenge = header(&written(core), "WWW-Authenticate");
    let uri = "sip:44010000002000000001@4401000000";
    let value = proof(&[&challenge], USER, "right", uri);
    let lines = format!("Authorization: {value}\r\nExpires: {expires}\r\n");
    say(
        core,
        connection,
        &ask("REGISTER", &branch(2), 2, "", &lines, ""),
        seconds,
    );
    let second = event(core);
    assert_eq!(second.auth, Auth::Verified);
    reply(core, second.transaction, 200, seconds);
}

#[test]
fn an_answer_goes_by_the_connection_of_its_request_and_nothing_is_kept_of_either() {
    let mut core = core();
    let one = accept(&mut core, THEIRS, 0.0);
    let request = ask("MESSAGE", "z9hG4bKa", 1, "", "", "hello");
    for byte in &request {
        say(&mut core, one, &[*byte], 0.1);
    }
    let asked = event(&mut core);
    assert_eq!(
        (asked.kind, asked.transport, asked.connection, asked.source),
        (Kind::Message, Transport::Tcp, one, address(THEIRS))
    );
    reply(&mut core, asked.transaction, 200, 0.1);
    assert!(sent(&mut core).is_empty());
    assert!(
        written(&mut core)
            .starts_with("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;rport=41000")
    );
    assert_eq!(
        (count(&core, "now_cached"), count(&core, "now_open")),
        (0, 0)
    );
}

#[test]
fn a_refused_invite_is_not_repeated_by_a_stream_and_an_accepted_one_is() {
    for (status, repeats) in [(486, 0), (200, 10)] {
        let mut core = core();
        let one = accept(&mut core, THEIRS, 0.0);
        say(
            &mut core,
            one,
            &ask("INVITE", "z9hG4bKi", 1, "", "", ""),
            0.0,
        );
        let invite = event(&mut core);
        reply(&mut core, invite.transaction, 100, 0.0);
        reply(&mut core, invite.transaction, status, 0.0);
        orders(&mut core);
        let mut repeated = 0;
        while let Some(deadline) = core.deadline().filter(|due| *due < at(40.0)) {
            core.advance(deadline);
            repeated += orders(&mut core).len();
        }
        assert_eq!(repeated, repeats, "{status}");
    }
}

#[test]
fn our_request_goes_by_the_connection_that_is_there_and_is_not_repeated() {
    let mut core = core();
    let one = accept(&mut core, PEER, 0.0);
    register(&mut core, one, 3600, 0.0);
    send(&mut core, "MESSAGE", 1.0);
    assert!(sent(&mut core).is_empty());
    let text = written(&mut core);
    assert!(text.contains("Via: SIP/2.0/TCP 192.0.2.1:5060;"), "{text}");
    assert!(moments(&mut core, 30.0).is_empty());
    say(&mut core, one, &answer(&text, 200, ";tag=b"), 31.0);
    assert_eq!(event(&mut core).kind, Kind::Response);
    assert_eq!(core.clients.len(), 0);
}

#[test]
fn an_answer_whose_connection_is_gone_is_counted_and_goes_nowhere() {
    let mut core = core();
    let one = accept(&mut core, THEIRS, 0.0);
    say(
        &mut core,
        one,
        &ask("MESSAGE", "z9hG4bKa", 1, "", "", ""),
        0.0,
    );
    let asked = event(&mut core);
    core.closed(one, "reset by peer", at(0.1));
    reply(&mut core, asked.transaction, 200, 0.2);
    assert!(sent(&mut core).is_empty());
    assert_eq!(count(&core, "streams_unsent"), 1);
}

#[test]
fn a_stranger_may_say_64_kib_and_a_registered_peer_a_mebibyte_and_its_catalog_more() {
    let sized = |start: &str, size: usize| {
        let body = format!("{start}{}", "x".repeat(size - start.len()));
        ask("MESSAGE", &format!("z9hG4bK{size}"), 1, "", "", &body)
    };
    let catalog = "<CmdType>Catalog<";
    for (large, start, size, known, taken) in [
        (0, "", 60_000, false, true),
        (0, "", 70_000, false, false),
        (0, "", 1_000_000, true, true),
        (0, catalog, 1_100_000, true, false),
        (16 << 20, "", 1_100_000, true, false),
        (16 << 20, catalog, 16_000_000, true, true),
        (16 << 20, catalog, 17_000_000, true, false),
    ] {
        let mut core = core();
        let terms = Terms {
            large,
            ..Terms::default()
        };
        core.set_terms(USER, terms);
        core.set_large_kinds(vec![Box::from(catalog.as_bytes())]);
        let one = accept(&mut core, THEIRS, 0.0);
        if known {
            register(&mut core, one, 3600, 0.0);
        }
        for piece in sized(start, size).chunks(65_536) {
            say(&mut core, one, piece, 1.0);
        }
        if taken {
            assert_eq!(
                event(&mut core).bytes().len() / 1000,
                sized(start, size).len() / 1000
            );
        } else {
            core.advance(at(1.5));
            assert_eq!(
                orders(&mut core),
                ["SIP/2.0 513 Message Too Large", "close"]
            );
        }
    }
}

#[test]
fn who_leaves_is_a_stranger_again() {
    let mut core = core();
    let one = accept(&mut core, THEIRS, 0.0);
    register(&mut core, one, 3600, 0.0);
    core.advance(at(300.0));
    assert!(orders(&mut core).is_empty());
    register(&mut core, one, 0, 300.0);
    core.advance(at(365.0));
    assert_eq!(orders(&mut core), ["close"]);
}

#[test]
fn no_byte_that_is_no_sip_leaves_unless_it_is_configured() {
    for pong in [false, true] {
        let mut core = core();
        core.set_terms(
            USER,
            Terms {
                pong,
                ..Terms::default()
            },
        );
        let one = accept(&mut core, THEIRS, 0.0);
        say(&mut core, one, b"\r\n\r\n", 0.1);
        assert!(orders(&mut core).is_empty());
        register(&mut core, one, 3600, 0.2);
        say(&mut core, one, b"\r\n\r\n", 1.0);
        assert_eq!(orders(&mut core).len(), usize::from(pong));
        assert_eq!(count(&core, "pings"), 2);
    }
}

#[test]
fn the_slow_and_the_silent_are_closed_in_time() {
    for (said, until) in [
        (&b""[..], 5.0),
        (b"\r\n\r\n", 5.0),
        (b"MESSAGE sip:a", 10.0),
        (&ask("MESSAGE", "z9hG4bK1", 1, "", "", "hello")[..258], 30.0),
        (&ask("OPTIONS", "z9hG4bK1", 1, "", "", ""), 64.0),
    ] {
        let mut core = core();
        let one = accept(&mut core, THEIRS, 0.0);
        say(&mut core, one, said, 0.0);
        core.advance(at(until - 0.1));
        orders(&mut core);
        assert_eq!(count(&core, "now_streams"), 1, "{until}");
        core.advance(at(until));
        assert_eq!(count(&core, "now_streams"), 0, "{until}");
        assert_eq!(orders(&mut core), ["close"]);
    }
}

#[test]
fn a_crowd_that_fell_silent_at_once_is_closed_some_at_a_time() {
    let mut core = core_with(Limits {
        connections_of_source: 1000,
        ..Limits::default()
    });
    for port in 0..200 {
        accept(&mut core, &format!("203.0.113.50:{}", 41_000 + port), 0.0);
    }
    let mut closed = Vec::new();
    while core.deadline() == Some(at(5.0)) {
        core.advance(at(5.0));
        closed.push(orders(&mut core).len());
    }
    assert_eq!(closed, [64, 64, 64, 8]);
    assert_eq!(count(&core, "streams_timed_out"), 200);
}

#[test]
fn the_newest_stranger_displaces_the_oldest_and_nobody_who_is_known() {
    let limits = Limits {
        connections: 4,
        connections_of_source: 2,
        ..Limits::default()
    };
    let mut core = core_with(limits);
    let known = accept(&mut core, "203.0.113.9:1", 0.0);
    register(&mut core, known, 3600, 0.0);
    for port in 1..=3 {
        accept(&mut core, &format!("203.0.113.10:{port}"), 1.0);
    }
    assert_eq!(
        (count(&core, "now_streams"), orders(&mut core).len()),
        (3, 1)
    );
    for host in 11..=20 {
        accept(&mut core, &format!("203.0.113.{host}:1"), 2.0);
    }
    assert_eq!(
        (
            count(&core, "now_streams"),
            count(&core, "streams_displaced")
        ),
        (4, 10)
    );
    for host in 30..=32 {
        let one = accept(&mut core, &format!("203.0.113.{host}:1"), 3.0);
        orders(&mut core);
        register(&mut core, one, 3600, 3.0);
    }
    let full = core.accept(address("203.0.113.40:1"), Transport::Tcp, at(4.0));
    assert_eq!((full, count(&core, "streams_refused")), (None, 1));
    assert_eq!(
        core.accept(address("198.51.100.1:1"), Transport::Tcp, at(4.0)),
        None
    );
}

#[test]
fn what_was_said_before_the_nonsense_is_answered_and_nothing_behind_it_is_read() {
    let mut core = core();
    let one = accept(&mut core, THEIRS, 0.0);
    let mut said = ask("MESSAGE", "z9hG4bKa", 1, "", "", "hello");
    said.extend_from_slice(b"\x16\x03\x01");
    say(&mut core, one, &said, 0.0);
    say(
        &mut core,
        one,
        &ask("MESSAGE", "z9hG4bKb", 2, "", "", ""),
        0.1,
    );
    let all = events(&mut core);
    assert_eq!(
        all.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [Kind::Message, Kind::Malformed]
    );
    reply(&mut core, all[0].transaction, 200, 0.2);
    core.advance(at(0.5));
    assert_eq!(orders(&mut core), ["SIP/2.0 200 OK", "close"]);
    assert_eq!(
        (
            count(&core, "streams_lost"),
            count(&core, "streams_timed_out")
        ),
        (1, 0)
    );
}

#[test]
fn who_may_not_speak_to_us_any_more_loses_its_connection_and_what_was_asked_of_it_is_told() {
    let mut core = core();
    let (theirs, other) = (
        accept(&mut core, PEER, 0.0),
        accept(&mut core, "203.0.113.200:1", 0.0),
    );
    let number = send(&mut core, "MESSAGE", 1.0);
    orders(&mut core);
    core.set_networks(vec!["203.0.113.128/25".parse().unwrap()], at(2.0));
    assert_eq!(orders(&mut core), ["close"]);
    let told = event(&mut core);
    assert_eq!((told.kind, told.transaction), (Kind::Undelivered, number));
    assert_eq!(core.counters.streams_excluded, 1);
    assert!(core.streams.get(theirs).is_none());
    assert!(core.streams.get(other).is_some());
    feed(&mut core, &ask("OPTIONS", "z9hG4bK9", 9, "", "", ""), 3.0);
    assert_eq!(core.counters.foreign_source, 1);
    assert!(
        core.accept(address(PEER), Transport::Tcp, at(3.0))
            .is_none()
    );
}
