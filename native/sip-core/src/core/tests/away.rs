//! Requests to whom made connections to us and has none.

use super::stream::{USER, accept, orders, register, registering};
use super::*;
use crate::streams::Terms;

const ELSEWHERE: &str = "203.0.113.50:41999";

/// Its user is registered by a connection from `PEER`, which broke at 2 s.
fn left() -> Core {
    let mut core = core();
    let one = accept(&mut core, PEER, 0.0);
    register(&mut core, one, 3600, 0.0);
    core.closed(one, "reset by peer", at(2.0));
    core
}

fn undelivered(core: &mut Core) -> Vec<(u64, String)> {
    let told = events(core).into_iter();
    told.filter(|event| event.kind == Kind::Undelivered)
        .map(|event| (event.transaction, event.fault.into_owned()))
        .collect()
}

#[test]
fn a_connection_that_goes_takes_what_went_by_it_along_and_what_comes_later_waits() {
    let mut core = core();
    let one = accept(&mut core, PEER, 0.0);
    register(&mut core, one, 3600, 0.0);
    let lost = send(&mut core, "INVITE", 1.0);
    orders(&mut core);
    core.closed(one, "reset by peer", at(2.0));
    assert_eq!(undelivered(&mut core), [(lost, "reset by peer".to_owned())]);
    let waits = send(&mut core, "MESSAGE", 3.0);
    assert!(orders(&mut core).is_empty() && sent(&mut core).is_empty());
    core.advance(at(10.9));
    assert!(undelivered(&mut core).is_empty());
    core.advance(at(11.0));
    let why = "its connection is closed, and it made no other in time";
    assert_eq!(undelivered(&mut core), [(waits, why.to_owned())]);
    assert_eq!(core.deadline(), None);
    assert!(sent(&mut core).is_empty(), "no datagram goes there");
    feed(&mut core, &ask("MESSAGE", "z9hG4bKu", 1, "", "", ""), 12.0);
    event(&mut core);
    send(&mut core, "MESSAGE", 13.0);
    assert_eq!(sent(&mut core).len(), 1, "until one came from there");
}

#[test]
fn what_waits_leaves_in_order_by_the_connection_at_which_its_user_registers() {
    let mut core = left();
    let (one, two) = (
        send(&mut core, "MESSAGE", 3.0),
        send(&mut core, "MESSAGE", 4.0),
    );
    let other = accept(&mut core, ELSEWHERE, 5.0);
    assert!(orders(&mut core).is_empty(), "it has proved nothing yet");
    registering(&mut core, other, 3600, 6.0);
    let left = core.take_orders();
    let texts: Vec<String> = (left.iter())
        .map(|order| format!("{order:?}"))
        .map(|text| text.chars().take(30).collect())
        .collect();
    assert_eq!(left.len(), 3, "{texts:?}");
    assert_eq!(count(&core, "awaited"), 2);
    core.advance(at(34.9));
    assert!(undelivered(&mut core).is_empty());
    core.advance(at(35.0));
    let over = events(&mut core);
    assert_eq!(over.len(), 1);
    assert_eq!((over[0].kind, over[0].transaction), (Kind::Timeout, one));
    core.advance(at(36.0));
    let over = events(&mut core);
    assert_eq!((over[0].kind, over[0].transaction), (Kind::Timeout, two));
}

#[test]
fn a_call_of_before_goes_on_by_the_connection_of_now() {
    let mut core = left();
    let other = accept(&mut core, ELSEWHERE, 5.0);
    register(&mut core, other, 3600, 5.0);
    send(&mut core, "BYE", 6.0);
    assert_eq!(
        orders(&mut core),
        ["BYE sip:44010600001180000001@203.0.113.50:5060 SIP/2.0"]
    );
    core.closed(other, "reset by peer", at(7.0));
    undelivered(&mut core);
    send(&mut core, "MESSAGE", 8.0);
    assert!(orders(&mut core).is_empty());
}

#[test]
fn from_the_very_same_port_it_leaves_at_once_and_what_was_for_another_one_waits_on() {
    let mut core = left();
    send(&mut core, "MESSAGE", 3.0);
    accept(&mut core, ELSEWHERE, 4.0);
    assert!(orders(&mut core).is_empty());
    accept(&mut core, PEER, 5.0);
    assert_eq!(orders(&mut core).len(), 1);
}

#[test]
fn where_it_may_be_dialled_it_is_and_that_counts_as_well_for_what_follows() {
    let mut core = left();
    let dial = Some(address("203.0.113.50:5062"));
    let terms = Terms {
        dial,
        ..Terms::default()
    };
    core.set_terms(USER, terms);
    send(&mut core, "MESSAGE", 3.0);
    send(&mut core, "MESSAGE", 3.0);
    assert_eq!(orders(&mut core), ["dial TCP 203.0.113.50:5062"]);
    assert_eq!(count(&core, "awaited"), 0);
}

#[test]
fn after_a_start_what_was_stored_waits_for_its_user() {
    let mut core = core();
    core.cut_off(address(PEER), USER, Transport::Tcp);
    let number = send(&mut core, "MESSAGE", 1.0);
    assert!(sent(&mut core).is_empty());
    let other = accept(&mut core, ELSEWHERE, 2.0);
    registering(&mut core, other, 3600, 2.0);
    assert_eq!(orders(&mut core).len(), 2, "our 200, and what waited");
    assert!(number > 0);
}

#[test]
fn what_is_cancelled_before_it_left_never_leaves() {
    let mut core = left();
    let number = send(&mut core, "INVITE", 3.0);
    core.cancel(number, at(4.0));
    let why = "it was cancelled before it could leave";
    assert_eq!(undelivered(&mut core), [(number, why.to_owned())]);
    let other = accept(&mut core, ELSEWHERE, 5.0);
    register(&mut core, other, 3600, 5.0);
}

#[test]
fn as_many_wait_for_one_user_as_for_a_connection_of_ours() {
    let mut core = left();
    let most = Limits::default().dialling;
    for _ in 0..most {
        send(&mut core, "MESSAGE", 3.0);
    }
    assert!(undelivered(&mut core).is_empty());
    let number = send(&mut core, "MESSAGE", 3.0);
    let why = "too many requests wait for it to connect";
    assert_eq!(undelivered(&mut core), [(number, why.to_owned())]);
    core.advance(at(11.0));
    assert_eq!(undelivered(&mut core).len(), most);
    assert_eq!(count(&core, "dialling_full"), 1);
    send(&mut core, "MESSAGE", 12.0);
    assert!(undelivered(&mut core).is_empty(), "there is room again");
}
