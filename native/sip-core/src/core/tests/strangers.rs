//! Known peers before strangers, and what strangers get when they are too many.

use super::*;

const USER: &str = "44010600001180000001";
const URI: &str = "sip:44010000002000000001@4401000000";

/// A request of a stranger with that branch; REGISTER without credentials where nothing else is said.
fn plea(method: &str, number: usize) -> Vec<u8> {
    ask(method, &format!("z9hG4bKs{number}"), 1, "", "", "")
}

fn stranger(number: usize) -> SocketAddr {
    let number = u32::try_from(number).unwrap();
    SocketAddr::from((
        [203, 0, 113, 51 + (number % 200) as u8],
        1024 + (number / 200 % 60_000) as u16,
    ))
}

fn offer(core: &mut Core, datagram: &[u8], source: SocketAddr, seconds: f64) {
    core.offer(0, datagram, source, at(seconds));
}

fn sources(core: &mut Core) -> Vec<SocketAddr> {
    events(core).iter().map(|event| event.source).collect()
}

#[test]
fn what_a_known_peer_says_comes_before_what_strangers_said_earlier() {
    let mut core = core();
    for number in 0..300 {
        offer(&mut core, &plea("REGISTER", number), stranger(number), 0.0);
    }
    offer(&mut core, &plea("MESSAGE", 999), address(PEER), 0.0);
    core.serve_strangers(256, at(0.0));
    let turn = sources(&mut core);
    assert_eq!((turn[0], turn[1]), (address(PEER), stranger(0)));
    assert_eq!(turn.len(), 1 + 64);
    core.serve_strangers(100, at(0.0)); // nobody known wants anything: the whole turn is theirs
    assert_eq!(sources(&mut core).len(), 100);
    assert_eq!(
        (core.strangers_waiting(), count(&core, "now_strangers")),
        (136, 136)
    );
    assert!(core.has_something());
}

#[test]
fn whoever_is_forgotten_waits_with_the_strangers_and_a_host_that_we_dial_does_not() {
    let mut core = core();
    core.know(address(PEER), false);
    let route = crate::streams::Route {
        transport: Transport::Udp,
        large_by_tcp: false,
        pong: false,
    };
    core.set_route(address("203.0.113.60:5060"), Some(route));
    offer(&mut core, &plea("MESSAGE", 1), address(PEER), 0.0);
    offer(
        &mut core,
        &plea("MESSAGE", 2),
        address("203.0.113.60:7777"),
        0.0,
    );
    offer(
        &mut core,
        &plea("MESSAGE", 3),
        address("[::ffff:203.0.113.60]:7777"),
        0.0,
    );
    assert_eq!(sources(&mut core).len(), 2);
    core.set_route(address("203.0.113.60:5060"), None);
    offer(
        &mut core,
        &plea("MESSAGE", 4),
        address("203.0.113.60:7777"),
        0.0,
    );
    assert_eq!(
        (sources(&mut core), core.strangers_waiting()),
        (Vec::new(), 2)
    );
}

#[test]
fn of_too_many_waiting_strangers_the_newest_is_dropped_unread_and_told_of_once_a_while() {
    let mut core = core_with(Limits {
        strangers_waiting: 20,
        ..Limits::default()
    });
    for number in 0..60 {
        offer(&mut core, b"no SIP at all", stranger(number), 0.0);
    }
    assert_eq!(core.strangers_waiting(), 20);
    assert_eq!(
        (count(&core, "strangers_dropped"), count(&core, "malformed")),
        (40, 0)
    );
    let told = limits_met(&mut core);
    assert_eq!(
        (told.len(), &*told[0]),
        (10, "strangers_waiting 203.0.113.71:1024")
    );
    let large = vec![b'x'; 60_000];
    let mut core = core_with(Limits::default());
    for number in 0..200 {
        offer(&mut core, &large, stranger(number), 0.0);
    }
    assert_eq!(core.strangers_waiting(), 4096 * 2048 / 60_000); // bytes are bounded as well
}

#[test]
fn one_address_of_strangers_and_all_of_them_have_their_messages_a_second() {
    let mut core = core_with(Limits {
        strangers_of_source: 5,
        strangers_a_second: 12,
        ..Limits::default()
    });
    for number in 0..8 {
        offer(
            &mut core,
            &plea("OPTIONS", number),
            address("203.0.113.51:5060"),
            0.0,
        );
        offer(
            &mut core,
            &plea("OPTIONS", number),
            address("203.0.113.52:5060"),
            0.0,
        );
        offer(&mut core, &plea("OPTIONS", number), address(PEER), 0.0);
    }
    for number in 0..4 {
        offer(
            &mut core,
            &plea("OPTIONS", number),
            address("203.0.113.53:5060"),
            0.0,
        );
    }
    assert_eq!(core.strangers_waiting(), 12);
    assert_eq!(
        (
            count(&core, "strangers_of_source"),
            count(&core, "strangers_a_second")
        ),
        (6, 2)
    );
    let told = limits_met(&mut core);
    assert_eq!(
        told.first().unwrap(),
        "strangers_of_source 203.0.113.51:5060"
    );
    assert_eq!(told.last().unwrap(), "strangers_a_second 203.0.113.53:5060");
    offer(
        &mut core,
        &plea("OPTIONS", 9),
        address("203.0.113.51:5060"),
        0.5,
    );
    assert_eq!(core.strangers_waiting(), 13); // half a second later there is room again
}

#[test]
fn among_too_many_a_register_is_challenged_without_memory_and_all_else_refused_for_a_while() {
    let mut core = core();
    for number in 0..1000 {
        let method = if number % 2 == 0 {
            "REGISTER"
        } else {
            "OPTIONS"
        };
        offer(&mut core, &plea(method, number), stranger(number), 0.0);
    }
    core.serve_strangers(100, at(0.0));
    assert_eq!(events(&mut core).len(), 100);
    assert_eq!(
        (core.strangers_waiting(), count(&core, "now_open")),
        (512, 100)
    );
    assert_eq!(count(&core, "strangers_curtly"), 388);
    let outputs = core.take_outputs();
    let (challenges, refusals): (Vec<_>, Vec<_>) = outputs
        .iter()
        .map(text)
        .partition(|text| text.starts_with("SIP/2.0 401"));
    assert_eq!((challenges.len(), refusals.len()), (194, 194));
    assert!(header(&challenges[0], "WWW-Authenticate").starts_with("Digest realm="));
    let mut later: Vec<u32> = refusals
        .iter()
        .map(|text| header(text, "Retry-After").parse().unwrap())
        .collect();
    later.sort_unstable();
    later.dedup();
    assert_eq!(later, (10..=30).collect::<Vec<_>>()); // spread over the whole time
}

#[test]
fn whoever_comes_back_with_our_nonce_is_served_among_too_many() {
    let mut core = core();
    admit(&mut core, USER, &[Algorithm::Md5]);
    let flood = |core: &mut Core, seconds: f64| {
        for number in 0..600 {
            offer(core, &plea("REGISTER", number), stranger(number), seconds);
        }
    };
    let real = address("203.0.113.40:5060");
    offer(&mut core, &plea("REGISTER", 5000), real, 0.0);
    flood(&mut core, 0.0);
    core.serve_strangers(0, at(0.0));
    let challenge = core
        .take_outputs()
        .iter()
        .find(|output| output.destination == real)
        .map(|output| header(&text(output), "WWW-Authenticate"))
        .unwrap();
    let answer = proof(&[&challenge], USER, "right", URI);
    let proof = |nonce: &str| {
        let value = format!("Authorization: {}\r\n", answer.replace("nonce=\"", nonce));
        ask("REGISTER", "z9hG4bKreal", 2, "", &value, "")
    };
    core.serve_strangers(usize::MAX, at(0.5)); // those that were left
    events(&mut core);
    offer(
        &mut core,
        &proof("nonce=\"AAAA"),
        address("203.0.113.41:5060"),
        1.0,
    ); // made up
    offer(&mut core, &proof("nonce=\""), real, 1.0);
    flood(&mut core, 1.0);
    core.serve_strangers(0, at(1.0));
    let seen = event(&mut core);
    assert_eq!((seen.source, seen.auth), (real, Auth::Verified));
}

#[test]
fn the_last_places_and_half_of_the_kept_answers_are_for_known_peers() {
    let limits = Limits {
        requests: 16,
        answers: 16,
        ..Limits::default()
    };
    let mut core = core_with(limits);
    for number in 0..20 {
        core.feed(&plea("OPTIONS", number), stranger(number), at(0.0));
    }
    assert_eq!(
        (count(&core, "now_open"), count(&core, "overload")),
        (14, 6)
    );
    feed(&mut core, &plea("OPTIONS", 900), 0.0);
    feed(&mut core, &plea("OPTIONS", 901), 0.0);
    feed(&mut core, &plea("OPTIONS", 902), 0.0);
    assert_eq!(
        (count(&core, "now_open"), count(&core, "overload")),
        (16, 7)
    );
    assert!(limits_met(&mut core_with(limits)).is_empty());

    let mut core = core_with(limits);
    for number in 0..8 {
        feed(&mut core, &plea("OPTIONS", 900 + number), 0.0);
        let event = event(&mut core);
        reply(&mut core, event.transaction, 403, 0.0);
    }
    for number in 0..30 {
        core.feed(&plea("OPTIONS", number), stranger(number), at(0.0));
        let event = event(&mut core);
        reply(&mut core, event.transaction, 403, 0.0);
    }
    core.take_outputs();
    assert_eq!(
        (count(&core, "now_cached"), count(&core, "answers_unkept")),
        (8, 30)
    );
    for number in 0..8 {
        feed(&mut core, &plea("OPTIONS", 900 + number), 0.1);
    }
    assert_eq!(sent(&mut core), ["SIP/2.0 403 Forbidden"; 8]); // none of them was pushed out
}

#[test]
fn events_that_nobody_takes_are_bounded_and_known_peers_have_the_last_of_them() {
    let mut core = core_with(Limits {
        events: 16,
        ..Limits::default()
    });
    for number in 0..20 {
        core.feed(&plea("OPTIONS", number), stranger(number), at(0.0));
    }
    assert_eq!(
        (count(&core, "now_events"), count(&core, "events_full")),
        (16, 6)
    ); // two tell of the limit
    core.take_events(2).for_each(drop);
    feed(&mut core, &plea("OPTIONS", 900), 0.0);
    assert_eq!(
        (count(&core, "now_events"), count(&core, "events_full")),
        (15, 6)
    );
}

#[test]
fn limits_count_from_the_moment_in_which_they_are_set() {
    let mut core = core();
    for number in 0..10 {
        feed(&mut core, &plea("OPTIONS", number), 0.0);
        let event = event(&mut core);
        reply(&mut core, event.transaction, 200, 0.0);
    }
    let mut limits = Limits::default();
    limits.set("answers", 4).unwrap();
    limits.set("strangers_waiting", 1).unwrap();
    limits.set("connections", 1).unwrap();
    assert!(limits.set("nonsense", 1).is_err());
    core.set_limits(limits);
    assert_eq!(count(&core, "now_cached"), 4);
    for number in 0..3 {
        offer(&mut core, &plea("OPTIONS", number), stranger(number), 0.0);
        core.accept(stranger(number), Transport::Tcp, at(0.0))
            .unwrap();
    }
    assert_eq!(
        (core.strangers_waiting(), count(&core, "now_streams")),
        (1, 1)
    );
}

#[test]
fn a_strangers_connection_that_says_too_much_is_closed_and_a_known_one_is_not() {
    let mut core = core_with(Limits {
        strangers_of_source: 3,
        ..Limits::default()
    });
    let source = address("203.0.113.51:7000");
    let connection = core.accept(source, Transport::Tcp, at(0.0)).unwrap();
    let many: Vec<u8> = (0..9).flat_map(|number| plea("OPTIONS", number)).collect();
    core.feed_stream(connection, &many, at(0.0));
    assert_eq!(events(&mut core).len(), 3);
    assert_eq!(
        (
            count(&core, "streams_over_budget"),
            count(&core, "now_streams")
        ),
        (1, 0)
    );
    let route = crate::streams::Route {
        transport: Transport::Tcp,
        large_by_tcp: false,
        pong: false,
    };
    core.set_route(address("203.0.113.52:5060"), Some(route));
    let upper = address("203.0.113.52:7000");
    let connection = core.accept(upper, Transport::Tcp, at(0.0)).unwrap();
    core.feed_stream(connection, &many, at(0.0));
    assert_eq!(events(&mut core).len(), 9);
}

#[test]
fn whoever_does_not_read_loses_its_connection() {
    let mut core = core();
    let connection = core.accept(stranger(1), Transport::Tcp, at(0.0)).unwrap();
    core.backlog(connection, 4 * 1024 * 1024, at(0.0));
    assert_eq!(count(&core, "now_streams"), 1);
    core.backlog(connection, 4 * 1024 * 1024 + 1, at(0.0));
    assert_eq!(
        (count(&core, "now_streams"), count(&core, "streams_slow")),
        (0, 1)
    );
    assert_eq!(
        limits_met(&mut core),
        [format!("unsent_bytes {}", stranger(1))]
    );
    assert!(matches!(
        core.take_orders()[..],
        [crate::streams::Order::Close { .. }]
    ));
}

/// 50,000 forged REGISTER a second for two seconds from made-up addresses, and a hundred known peers with a
/// keepalive a second; whoever decides gets through 200 events in each of 100 turns a second.
#[test]
fn a_flood_of_strangers_costs_known_peers_nothing_and_no_memory() {
    let mut core = core();
    let peers: Vec<SocketAddr> = (0..100)
        .map(|number| SocketAddr::from(([203, 0, 113, 10], 20_000 + number)))
        .collect();
    for peer in &peers {
        core.know(*peer, true);
    }
    let (mut forged, mut served) = (0, 0);
    for turn in 0..200_u32 {
        let seconds = f64::from(turn) / 100.0;
        for _ in 0..500 {
            forged += 1;
            offer(
                &mut core,
                &plea("REGISTER", forged),
                stranger(forged),
                seconds,
            );
        }
        let peer = peers[turn as usize % peers.len()];
        let keepalive = ask("MESSAGE", &format!("z9hG4bKk{turn}"), turn, "", "", "");
        offer(&mut core, &keepalive, peer, seconds);
        core.advance(at(seconds));
        core.serve_strangers(200, at(seconds));
        let taken: Vec<_> = core.take_events(200).collect();
        for event in taken.iter().filter(|event| event.awaits_answer) {
            let known = peers.contains(&event.source);
            served += u32::from(known);
            reply(
                &mut core,
                event.transaction,
                if known { 200 } else { 401 },
                seconds,
            );
        }
        core.take_outputs();
    }
    assert_eq!(served, 200);
    assert!(count(&core, "now_strangers") <= 4096);
    assert!(count(&core, "now_open") == 0 && count(&core, "now_events") <= 200);
    assert!(count(&core, "now_cached") <= 65_536 + 200);
    assert_eq!(count(&core, "cached_evicted"), 0);
    assert!(count(&core, "strangers_a_second") > 30_000); // the most of it was dropped unread
}
