//! Requests of ours.

use super::super::route::Plan;
use super::*;

#[test]
fn a_request_is_repeated_with_doubling_up_to_t2_and_then_given_up() {
    let mut core = core();
    let transaction = send(&mut core, "MESSAGE", 0.0);
    let request = text(&core.take_outputs()[0]);
    assert!(header(&request, "Via").starts_with("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK"));
    assert_eq!(header(&request, "Max-Forwards"), "70");
    assert_eq!(
        moments(&mut core, 31.9),
        [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    );
    assert!(moments(&mut core, 40.0).is_empty());
    let over = event(&mut core);
    assert_eq!(
        (over.kind, over.transaction, over.arrived),
        (Kind::Timeout, transaction, at(32.0))
    );
    assert_eq!(over.head().unwrap().call_id.of(over.bytes()), b"ours");
    assert_eq!(core.deadline(), None);
}

#[test]
fn a_late_clock_sends_one_repeat_not_a_burst() {
    let mut core = core();
    send(&mut core, "MESSAGE", 0.0);
    core.take_outputs();
    core.advance(at(10.0));
    assert_eq!(core.take_outputs().len(), 1);
    assert_eq!(core.deadline(), Some(at(11.0)));
}

#[test]
fn answers_reach_their_request_once() {
    let mut core = core();
    let transaction = send(&mut core, "MESSAGE", 0.0);
    let request = text(&core.take_outputs()[0]);
    feed(&mut core, &answer(&request, 100, ""), 0.1);
    assert_eq!(event(&mut core).kind, Kind::Response);
    assert_eq!(moments(&mut core, 9.0), [0.5, 4.5, 8.5]);
    feed(&mut core, &answer(&request, 200, ";tag=x"), 9.0);
    let seen = event(&mut core);
    assert_eq!(
        (seen.kind, seen.transaction, seen.head().unwrap().status()),
        (Kind::Response, transaction, 200)
    );
    feed(&mut core, &answer(&request, 200, ";tag=x"), 13.0);
    assert_eq!(count(&core, "retransmissions_absorbed"), 1);
    assert!(moments(&mut core, 20.0).is_empty());
    feed(&mut core, &answer(&request, 200, ";tag=x"), 20.0);
    feed(
        &mut core,
        &answer(&request.replace("7 MESSAGE", "7 INVITE"), 404, ""),
        20.0,
    );
    feed(
        &mut core,
        &answer(&request.replace("z9hG4bK", "z9hG4bKf"), 200, ""),
        20.0,
    );
    assert_eq!(count(&core, "stray_responses"), 3);
    assert!(events(&mut core).is_empty());
}

#[test]
fn a_2xx_to_an_invite_of_an_earlier_process_is_told() {
    let mut core = core();
    send(&mut core, "INVITE", 0.0);
    let request = text(&core.take_outputs()[0]).replace("z9hG4bK", "z9hG4bKf");
    for status in [100, 180, 302, 486] {
        feed(&mut core, &answer(&request, status, ";tag=x"), 0.1);
    }
    assert!(events(&mut core).is_empty());
    feed(&mut core, &answer(&request, 200, ";tag=x"), 0.2);
    let seen = event(&mut core);
    assert_eq!((seen.kind, seen.transaction), (Kind::Response, 0));
    assert_eq!(count(&core, "stray_responses"), 5);
    assert!(core.take_outputs().is_empty());
}

#[test]
fn an_invite_is_repeated_without_a_cap_until_something_comes_back() {
    let mut core = core();
    send(&mut core, "INVITE", 0.0);
    let request = text(&core.take_outputs()[0]);
    assert_eq!(moments(&mut core, 16.0), [0.5, 1.5, 3.5, 7.5, 15.5]);
    feed(&mut core, &answer(&request, 100, ""), 16.0);
    assert_eq!(event(&mut core).kind, Kind::Response);
    assert!(moments(&mut core, 195.0).is_empty());
    assert!(moments(&mut core, 197.0).is_empty());
    assert_eq!(event(&mut core).kind, Kind::Timeout);
}

#[test]
fn a_repeated_2xx_gets_the_stored_ack_and_that_of_another_branch_is_told() {
    let mut core = core();
    let transaction = send(&mut core, "INVITE", 0.0);
    let request = text(&core.take_outputs()[0]);
    feed(&mut core, &answer(&request, 200, ";tag=one"), 0.1);
    feed(&mut core, &answer(&request, 200, ";tag=one"), 0.2);
    assert_eq!(events(&mut core).len(), 1);
    assert!(core.take_outputs().is_empty());
    let ack = prepare(&mut core, "ACK", transaction);
    assert_eq!(core.send(ack, at(0.3)), 0);
    let ack = core.take_outputs().remove(0);
    feed(&mut core, &answer(&request, 200, ";tag=one"), 0.6);
    assert_eq!(core.take_outputs()[0].bytes, ack.bytes);
    feed(&mut core, &answer(&request, 200, ";tag=two"), 0.7);
    assert!(core.take_outputs().is_empty());
    let told = event(&mut core);
    assert_eq!((told.kind, told.transaction), (Kind::Response, 0));
    assert_eq!(count(&core, "forked_answers"), 1);
    assert!(moments(&mut core, 100.0).is_empty());
    assert_eq!(core.deadline(), None);
}

#[test]
fn a_refusal_of_our_invite_is_acknowledged_each_time() {
    let mut core = core();
    send(&mut core, "INVITE", 0.0);
    let request = text(&core.take_outputs()[0]);
    feed(&mut core, &answer(&request, 486, ";tag=busy"), 0.1);
    let ack = text(&core.take_outputs()[0]);
    assert!(ack.starts_with("ACK sip:44010600001180000001@203.0.113.50:5060 SIP/2.0\r\n"));
    for name in ["Via", "From", "Call-ID", "Route"] {
        assert_eq!(header(&ack, name), header(&request, name));
    }
    assert_eq!(
        (header(&ack, "To"), header(&ack, "CSeq")),
        ("<sip:x@y>;tag=busy".into(), "7 ACK".into())
    );
    feed(&mut core, &answer(&request, 486, ";tag=busy"), 0.6);
    assert_eq!(text(&core.take_outputs()[0]), ack);
    assert_eq!(events(&mut core).len(), 1);
}

#[test]
fn a_cancel_waits_for_a_sign_of_life_and_ends_in_487_or_a_time_out() {
    let mut core = core();
    let transaction = send(&mut core, "INVITE", 0.0);
    let request = text(&core.take_outputs()[0]);
    core.cancel(transaction, at(0.1));
    assert!(core.take_outputs().is_empty());
    feed(&mut core, &answer(&request, 100, ""), 0.2);
    let cancel = text(&core.take_outputs()[0]);
    assert!(cancel.starts_with("CANCEL "));
    for name in ["Via", "From", "To", "Call-ID", "Route"] {
        assert_eq!(header(&cancel, name), header(&request, name));
    }
    assert_eq!(header(&cancel, "CSeq"), "7 CANCEL");
    core.cancel(transaction, at(0.3));
    assert!(core.take_outputs().is_empty());
    feed(&mut core, &answer(&cancel, 200, ""), 0.4);
    assert_eq!(events(&mut core).len(), 1); // the 100; nobody asked about the CANCEL's own answer
    let mut silent = core_clone_after(&request, transaction);
    feed(&mut core, &answer(&request, 487, ";tag=x"), 0.5);
    assert_eq!(event(&mut core).head().unwrap().status(), 487);
    assert!(sent(&mut core)[0].starts_with("ACK "));
    moments(&mut silent, 40.0);
    assert_eq!(event(&mut silent).kind, Kind::Timeout);
}

/// The same story up to the CANCEL, for the other end of it.
fn core_clone_after(request: &str, transaction: u64) -> Core {
    let mut core = core();
    assert_eq!(send(&mut core, "INVITE", 0.0), transaction);
    assert_eq!(text(&core.take_outputs()[0]), request);
    core.cancel(transaction, at(0.1));
    feed(&mut core, &answer(request, 100, ""), 0.2);
    core.take_outputs();
    events(&mut core);
    core
}

#[test]
fn what_can_not_leave_is_told() {
    let mut core = core_with(Limits {
        requests: 1,
        ..Limits::default()
    });
    let first = send(&mut core, "MESSAGE", 0.0);
    let second = send(&mut core, "MESSAGE", 0.0);
    let told = event(&mut core);
    assert_eq!((told.kind, told.transaction), (Kind::Undelivered, second));
    core.undelivered(first, "Network is unreachable", at(0.0));
    let told = event(&mut core);
    assert_eq!(
        (told.transaction, &*told.fault),
        (first, "Network is unreachable")
    );
    assert_eq!(core.deadline(), None);
    let mut prepared = prepare(&mut core, "MESSAGE", 0);
    prepared.plan = Plan::Never("the destination is not an IP address");
    let third = core.send(prepared, at(0.0));
    assert_eq!(event(&mut core).transaction, third);
    assert_eq!(count(&core, "undelivered"), 3);
}

#[test]
fn a_request_that_we_would_refuse_is_not_written() {
    let mut core = core();
    let whole = [
        ("From", "<sip:a@b>;tag=1"),
        ("To", "<sip:c@d>"),
        ("Call-ID", "x"),
        ("CSeq", "1 MESSAGE"),
    ];
    let mut prepare = |method: &str, uri: &str, headers: &[(&str, &str)]| {
        let outgoing = Outgoing {
            method,
            uri,
            destination: None,
            headers,
            body: b"",
            ack_for: 0,
        };
        core.prepare(&outgoing).map(|_| ())
    };
    assert_eq!(prepare("MESSAGE", "sip:c@d", &whole), Ok(()));
    assert!(prepare("MESSAGE", "sip:c@d", &whole[..3]).is_err());
    assert!(prepare("MESSAGE", "sip:c d", &whole).is_err());
    assert!(prepare("MES SAGE", "sip:c@d", &whole).is_err());
    assert!(prepare("BYE", "sip:c@d", &whole).is_err());
    assert!(prepare("CANCEL", "sip:c@d", &whole).is_err());
}
