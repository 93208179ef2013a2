//! By which way our requests go to whom we connect to.

use super::stream::orders;
use super::*;
use crate::streams::{Order, Route};

#[test]
fn a_route_is_dialled_once_and_what_waits_leaves_in_order() {
    let mut core = core();
    let route = Route {
        transport: Transport::Tls,
        large_by_tcp: false,
        pong: false,
    };
    core.set_route(address(PEER), Some(route));
    send(&mut core, "REGISTER", 0.0);
    send(&mut core, "MESSAGE", 0.0);
    let ordered = core.take_orders();
    assert_eq!(ordered.len(), 1);
    let Order::Dial {
        connection,
        peer,
        transport,
    } = ordered[0]
    else {
        panic!("{ordered:?}");
    };
    assert_eq!((peer, transport), (address(PEER), Transport::Tls));
    core.opened(connection, at(0.2));
    let lines = orders(&mut core);
    assert!(lines[0].starts_with("REGISTER ") && lines[1].starts_with("MESSAGE "));

    core.closed(connection, "refused", at(1.0));
    assert_eq!(events(&mut core).len(), 2);
    send(&mut core, "REGISTER", 2.0);
    assert_eq!(orders(&mut core), [format!("dial TLS {PEER}")]);
    core.advance(at(10.0));
    assert_eq!(event(&mut core).fault, "nothing came of it in time");
    assert_eq!(orders(&mut core), ["close"]);
}

#[test]
fn what_nobody_may_split_goes_by_tcp_where_that_is_configured() {
    let mut core = core();
    let route = Route {
        transport: Transport::Udp,
        large_by_tcp: true,
        pong: false,
    };
    core.set_route(address(PEER), Some(route));
    for (size, way) in [(100, "UDP"), (1200, "TCP")] {
        write_to_peer(&mut core, size, 0.0);
        let dialled = orders(&mut core).len();
        assert_eq!(
            (sent(&mut core).len(), dialled),
            if way == "UDP" { (1, 0) } else { (0, 1) }
        );
    }
}

/// A MESSAGE of so many bytes in its body to `PEER`; where Via says it goes by.
fn write_to_peer(core: &mut Core, size: usize, seconds: f64) {
    let headers = [
        ("From", "<sip:us@4401000000>;tag=a"),
        ("To", "<sip:x@y>"),
        ("Call-ID", "ours"),
        ("CSeq", "1 MESSAGE"),
        ("Content-Type", "text/plain"),
    ];
    let outgoing = Outgoing {
        method: "MESSAGE",
        uri: "sip:x@y",
        destination: Some(address(PEER)),
        headers: &headers,
        body: &vec![b'x'; size],
        ack_for: 0,
    };
    let prepared = core.prepare(&outgoing).unwrap();
    core.send(prepared, at(seconds));
}

#[test]
fn where_a_connection_is_refused_it_goes_as_a_datagram_after_all_and_is_repeated_as_one() {
    let mut core = core();
    let route = Route {
        transport: Transport::Udp,
        large_by_tcp: true,
        pong: false,
    };
    core.set_route(address(PEER), Some(route));
    let refuse = |core: &mut Core, seconds: f64| {
        let order = core.take_orders().remove(0);
        let Order::Dial { connection, .. } = order else {
            panic!("{order:?}");
        };
        core.closed(connection, "Connection refused", at(seconds));
    };
    write_to_peer(&mut core, 2000, 0.0);
    write_to_peer(&mut core, 64_000, 0.0);
    refuse(&mut core, 1.0);
    let outputs = core.take_outputs();
    assert_eq!(outputs.len(), 2);
    let first = text(&outputs[0]);
    assert!(header(&first, "Via").starts_with(&format!("SIP/2.0/UDP {US};rport;branch=z9hG4bK")));
    assert!(first.ends_with(&"x".repeat(2000)));
    assert_eq!(count(&core, "fell_back"), 2);
    assert_eq!(moments(&mut core, 4.0), [1.5, 1.5, 2.5, 2.5]); // as any datagram

    let answer = answer(&first, 200, "");
    feed(&mut core, &answer, 4.1);
    assert_eq!(event(&mut core).kind, Kind::Response);
    moments(&mut core, 40.0);
    assert_eq!(event(&mut core).kind, Kind::Timeout);

    write_to_peer(&mut core, 2000, 100.0); // it is not tried again soon
    assert_eq!(
        (core.take_orders().len(), core.take_outputs().len()),
        (0, 1)
    );
    moments(&mut core, 200.0);
    events(&mut core);
    core.advance(at(302.0));
    write_to_peer(&mut core, 2000, 302.0);
    refuse(&mut core, 302.0);
    assert_eq!(core.take_outputs().len(), 1);
}

#[test]
fn what_no_datagram_can_carry_is_undelivered_where_a_connection_is_refused() {
    let mut core = core();
    let route = Route {
        transport: Transport::Udp,
        large_by_tcp: true,
        pong: false,
    };
    core.set_route(address(PEER), Some(route));
    write_to_peer(&mut core, 66_000, 0.0);
    let Order::Dial { connection, .. } = core.take_orders().remove(0) else {
        panic!("no connection was ordered");
    };
    core.closed(connection, "Connection refused", at(1.0));
    let over = event(&mut core);
    assert_eq!(
        (over.kind, &*over.fault),
        (Kind::Undelivered, "Connection refused")
    );
    assert!(core.take_outputs().is_empty());
}
