//! Requests of peers.

use super::*;
use crate::codec;

fn invite() -> Vec<u8> {
    ask("INVITE", "z9hG4bKi1", 1, "", "", "v=0\r\n")
}

#[test]
fn an_answer_goes_to_the_packet_source_and_carries_everything_back() {
    let mut core = core();
    feed(
        &mut core,
        &ask(
            "MESSAGE",
            "z9hG4bKm1",
            20,
            "",
            "Via: SIP/2.0/UDP second\r\n",
            "<x/>",
        ),
        1.5,
    );
    let event = event(&mut core);
    assert_eq!(
        (event.kind, event.arrived, event.awaits_answer),
        (Kind::Message, at(1.5), true)
    );
    let headers = [("Date", "2026-03-01T08:00:00.000")];
    core.reply(
        &Answer {
            transaction: event.transaction,
            status: 200,
            headers: &headers,
            body: b"",
        },
        at(1.6),
    );
    let outputs = core.take_outputs();
    assert_eq!(outputs[0].destination, address(PEER));
    let tag = format!("{:016x}", event.tag);
    assert_eq!(
        text(&outputs[0]),
        format!(
            "SIP/2.0 200 OK\r\n\
             Via: SIP/2.0/UDP 10.0.0.5:5060;rport=5060;received=203.0.113.50;branch=z9hG4bKm1\r\n\
             Via: SIP/2.0/UDP second\r\n\
             From: <sip:44010600001180000001@4401060000>;tag=r1\r\n\
             To: <sip:44010000002000000001@4401000000>;tag={tag}\r\n\
             Call-ID: call-1\r\nCSeq: 20 MESSAGE\r\n\
             Date: 2026-03-01T08:00:00.000\r\nContent-Length: 0\r\n\r\n"
        )
    );
}

#[test]
fn a_repeated_request_gets_the_kept_answer_for_32_seconds_and_makes_no_event() {
    let mut core = core();
    let message = ask("MESSAGE", "z9hG4bKm1", 20, "", "", "");
    feed(&mut core, &message, 0.0);
    let transaction = event(&mut core).transaction;
    feed(&mut core, &message, 0.5);
    assert!(sent(&mut core).is_empty());
    reply(&mut core, transaction, 200, 1.0);
    let first = core.take_outputs();
    core.feed(&message, address("203.0.113.50:61000"), at(32.9));
    let again = core.take_outputs();
    assert_eq!(
        (&again[0].bytes, again[0].destination),
        (&first[0].bytes, address("203.0.113.50:61000"))
    );
    assert!(events(&mut core).is_empty());
    assert_eq!(count(&core, "retransmissions_absorbed"), 2);
    feed(&mut core, &message, 33.1);
    assert_eq!(event(&mut core).kind, Kind::Message);
    reply(&mut core, transaction, 200, 33.1);
    assert_eq!(count(&core, "late_replies"), 1);
}

#[test]
fn another_source_call_or_content_is_another_request() {
    let mut core = core();
    let message = ask("MESSAGE", "z9hG4bKm1", 20, "", "", "");
    feed(&mut core, &message, 0.0);
    core.feed(&message, address("203.0.113.51:5060"), at(0.0));
    feed(&mut core, &ask("MESSAGE", "z9hG4bKm1", 21, "", "", ""), 0.0);
    feed(&mut core, &ask("MESSAGE", "old", 20, "", "", "one"), 0.0);
    feed(&mut core, &ask("MESSAGE", "old", 20, "", "", "two"), 0.0);
    feed(&mut core, &ask("MESSAGE", "old", 20, "", "", "two"), 0.0);
    assert_eq!(events(&mut core).len(), 5);
}

#[test]
fn a_2xx_to_invite_is_repeated_until_its_ack() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    let event_invite = event(&mut core);
    let transaction = event_invite.transaction;
    reply(&mut core, transaction, 100, 0.0);
    reply(&mut core, transaction, 180, 0.1);
    let provisional: Vec<String> = core.take_outputs().iter().map(text).collect();
    assert!(!header(&provisional[0], "To").contains("tag"));
    assert!(header(&provisional[1], "To").contains("tag"));
    feed(&mut core, &invite(), 0.5);
    assert_eq!(sent(&mut core), ["SIP/2.0 180 Ringing"]);
    reply(&mut core, transaction, 200, 1.0);
    sent(&mut core);
    assert_eq!(moments(&mut core, 13.0), [1.5, 2.5, 4.5, 8.5, 12.5]);
    let tag = format!(";tag={:016x}", event_invite.tag);
    feed(
        &mut core,
        &ask("ACK", "z9hG4bKother", 1, &tag, "", ""),
        13.0,
    );
    let ack = event(&mut core);
    assert_eq!(
        (ack.kind, ack.transaction, ack.awaits_answer),
        (Kind::Ack, transaction, false)
    );
    feed(
        &mut core,
        &ask("ACK", "z9hG4bKother", 1, &tag, "", ""),
        13.1,
    );
    feed(&mut core, &invite(), 13.2);
    assert!(events(&mut core).is_empty() && sent(&mut core).is_empty());
    assert!(moments(&mut core, 100.0).is_empty());
    assert!(events(&mut core).is_empty());
    assert_eq!((count(&core, "now_open"), core.deadline()), (0, None));
}

#[test]
fn a_2xx_without_ack_is_reported_after_32_seconds() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    let transaction = event(&mut core).transaction;
    reply(&mut core, transaction, 200, 0.0);
    sent(&mut core);
    assert_eq!(moments(&mut core, 100.0).len(), 10);
    let over = event(&mut core);
    assert_eq!(
        (over.kind, over.transaction, over.arrived),
        (Kind::Unacknowledged, transaction, at(32.0))
    );
    assert_eq!(over.head().unwrap().method(over.bytes()), b"INVITE");
}

#[test]
fn a_refusal_of_invite_is_repeated_until_its_ack_which_makes_no_event() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    let event_invite = event(&mut core);
    reply(&mut core, event_invite.transaction, 100, 0.0);
    reply(&mut core, event_invite.transaction, 486, 0.0);
    sent(&mut core);
    assert_eq!(moments(&mut core, 4.0), [0.5, 1.5, 3.5]);
    let tag = format!(";tag={:016x}", event_invite.tag);
    feed(&mut core, &ask("ACK", "z9hG4bKi1", 1, &tag, "", ""), 4.0);
    feed(&mut core, &invite(), 4.1);
    assert!(moments(&mut core, 100.0).is_empty());
    assert!(events(&mut core).is_empty());
}

#[test]
fn a_refusal_with_nothing_before_it_is_sent_once_for_each_copy_of_the_invite() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    let refused = event(&mut core);
    reply(&mut core, refused.transaction, 403, 0.0);
    assert_eq!(sent(&mut core), ["SIP/2.0 403 Forbidden"]);
    assert!(moments(&mut core, 31.0).is_empty());
    assert_eq!(
        (count(&core, "now_open"), count(&core, "now_cached")),
        (0, 1)
    );
    feed(&mut core, &invite(), 31.5);
    assert_eq!(sent(&mut core), ["SIP/2.0 403 Forbidden"]);
    let tag = format!(";tag={:016x}", refused.tag);
    feed(&mut core, &ask("ACK", "z9hG4bKi1", 1, &tag, "", ""), 31.6);
    assert!(moments(&mut core, 200.0).is_empty());
    core.advance(at(200.0)); // forgetting has no deadline of its own
    assert!(events(&mut core).is_empty());
    assert_eq!(
        (count(&core, "now_open"), count(&core, "now_cached")),
        (0, 0)
    );
}

#[test]
fn strangers_that_are_refused_at_once_leave_room_for_others() {
    let mut core = core_with(Limits {
        requests: 4,
        answers: 4,
        ..Limits::default()
    });
    for number in 0..40 {
        let branch = format!("z9hG4bKi{number}");
        feed(&mut core, &ask("INVITE", &branch, 1, "", "", ""), 0.0);
        let stranger = event(&mut core);
        reply(&mut core, stranger.transaction, 403, 0.0);
    }
    assert_eq!(count(&core, "overload"), 0);
    assert_eq!(
        (count(&core, "now_open"), count(&core, "now_cached")),
        (0, 4)
    );
    assert!(core.timers.len() <= 25, "{}", core.timers.len());
}

#[test]
fn a_cancel_is_answered_and_leaves_the_487_to_us() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    let transaction = event(&mut core).transaction;
    let cancel = ask("CANCEL", "z9hG4bKi1", 1, "", "", "");
    feed(&mut core, &cancel, 1.0);
    let seen = event(&mut core);
    assert_eq!(
        (seen.kind, seen.transaction, seen.awaits_answer),
        (Kind::Cancel, transaction, true)
    );
    feed(&mut core, &cancel, 1.5);
    assert_eq!(sent(&mut core), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
    reply(&mut core, transaction, 487, 2.0);
    assert_eq!(sent(&mut core), ["SIP/2.0 487 Request Terminated"]);
    feed(&mut core, &ask("CANCEL", "z9hG4bKnone", 1, "", "", ""), 3.0);
    assert_eq!(
        sent(&mut core),
        ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    );
    assert!(events(&mut core).is_empty());
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    let transaction = event(&mut core).transaction;
    reply(&mut core, transaction, 200, 0.0);
    feed(&mut core, &ask("CANCEL", "z9hG4bKi1", 1, "", "", ""), 0.1);
    assert_eq!(sent(&mut core), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
    assert!(events(&mut core).is_empty());
}

#[test]
fn what_nobody_answers_is_given_up() {
    let mut core = core();
    feed(&mut core, &invite(), 0.0);
    feed(&mut core, &ask("OPTIONS", "z9hG4bKo", 1, "", "", ""), 0.0);
    assert_eq!(events(&mut core).len(), 2);
    core.advance(at(33.0));
    assert_eq!(
        (count(&core, "unanswered"), count(&core, "now_open")),
        (1, 1)
    );
    core.advance(at(181.0));
    assert_eq!(
        (count(&core, "unanswered"), count(&core, "now_open")),
        (2, 0)
    );
}

#[test]
fn a_full_house_answers_503_without_memory_and_keeps_a_bounded_cache() {
    let mut core = core_with(Limits {
        requests: 2,
        answers: 1,
        retry_spread: 0,
        ..Limits::default()
    });
    for n in 0..4 {
        feed(
            &mut core,
            &ask("MESSAGE", &format!("z9hG4bKf{n}"), n, "", "", ""),
            0.0,
        );
    }
    let outputs = core.take_outputs();
    assert_eq!(outputs.len(), 2);
    assert!(text(&outputs[0]).starts_with("SIP/2.0 503 Service Unavailable"));
    assert_eq!(header(&text(&outputs[0]), "Retry-After"), "10");
    for event in events(&mut core) {
        reply(&mut core, event.transaction, 200, 0.1);
    }
    assert_eq!(
        (
            count(&core, "now_cached"),
            count(&core, "cached_evicted"),
            count(&core, "overload")
        ),
        (1, 1, 2)
    );
    feed(&mut core, &ask("INVITE", "z9hG4bKf9", 9, "", "", ""), 0.2);
    assert_eq!(event(&mut core).kind, Kind::Invite);
}

#[test]
fn what_is_kept_of_an_answer_makes_the_same_bytes_again() {
    let mut core = core();
    admit(&mut core, "44010600001180000001", &Algorithm::ALL);
    let vias = "v: SIP/2.0/UDP second;branch=b\r\nVia: SIP/2.0/UDP third, SIP/2.0/UDP fourth\r\n";
    let said = [("Expires", "60"), ("X-GB-Ver", "2.0")];
    let typed = [("Content-Type", "text/plain")];
    for (number, method, status, headers, body, to_tag) in [
        (1, "REGISTER", 401, &said[..], &b""[..], ""),
        (2, "REGISTER", 200, &said[..], b"", ""),
        (3, "MESSAGE", 200, &[], b"", ""),
        (4, "MESSAGE", 413, &typed, b"\xc4\xa3", ";tag=ours"),
        (5, "INVITE", 486, &[], b"", ""),
        (6, "OPTIONS", 699, &said, b"", ""),
    ] {
        let branch = format!("z9hG4bKkept{number}");
        let request = ask(method, &branch, number, to_tag, vias, "");
        feed(&mut core, &request, 0.0);
        let transaction = event(&mut core).transaction;
        let answer = Answer {
            transaction,
            status,
            headers,
            body,
        };
        core.reply(&answer, at(0.0));
        let first = core.take_outputs();
        for (source, seconds) in [(PEER, 1.0), ("203.0.113.50:61000", 30.0)] {
            core.feed(&request, address(source), at(seconds));
            let again = core.take_outputs();
            assert_eq!(again.len(), 1, "{method} {status}");
            assert_eq!(again[0].bytes, first[0].bytes, "{method} {status}");
            assert_eq!(again[0].destination, address(source));
        }
    }
    assert_eq!(count(&core, "now_open"), 0);
    core.advance(at(32.0));
    let held = (count(&core, "now_cached"), count(&core, "now_cached_bytes"));
    assert_eq!(held, (0, 0));
}

#[test]
fn kept_answers_are_bounded_in_bytes_too_and_the_oldest_goes() {
    let mut core = core_with(Limits {
        answer_bytes: 10_000,
        ..Limits::default()
    });
    let message = |number| ask("MESSAGE", &format!("z9hG4bKb{number}"), number, "", "", "");
    for number in 0..9 {
        feed(&mut core, &message(number), 0.0);
        let answer = Answer {
            transaction: event(&mut core).transaction,
            status: 200,
            headers: &[("Content-Type", "text/plain")],
            body: &[b'x'; 2000],
        };
        core.reply(&answer, at(0.0));
    }
    assert!(count(&core, "now_cached_bytes") <= 10_000);
    let held = ["now_cached", "answers_too_long", "cached_evicted"].map(|name| count(&core, name));
    assert_eq!(held, [4, 5, 0]);
    core.take_outputs();
    feed(&mut core, &message(8), 0.1);
    feed(&mut core, &message(0), 0.1);
    assert_eq!(sent(&mut core), ["SIP/2.0 200 OK"]);
    assert_eq!(event(&mut core).kind, Kind::Message); // forgotten, so it is a new one
}

/// What `request` leaves to a later process.
fn outline(request: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    codec::outline(&mut kept, request, &codec::parse(request).unwrap());
    kept
}

#[test]
fn an_outline_is_the_same_request_without_what_no_answer_needs() {
    let extra = "v: SIP/2.0/UDP second\r\nContact: <sip:a@b>\r\nAuthorization: Digest a=\"b\"\r\n";
    let whole = ask("INVITE", "z9hG4bKi1", 7, "", extra, "v=0\r\n");
    assert_eq!(
        String::from_utf8(outline(&whole)).unwrap(),
        "INVITE sip:44010000002000000001@4401000000 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bKi1\r\n\
         Via: SIP/2.0/UDP second\r\n\
         From: <sip:44010600001180000001@4401060000>;tag=r1\r\n\
         To: <sip:44010000002000000001@4401000000>\r\n\
         Call-ID: call-1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(outline(&outline(&whole)), outline(&whole));
}

#[test]
fn an_invite_of_an_earlier_process_is_refused_like_any_that_had_its_100() {
    let mut core = core();
    let invite = ask(
        "INVITE",
        "z9hG4bKi1",
        1,
        "",
        "v: SIP/2.0/UDP second\r\n",
        "v=0\r\n",
    );
    let number = core
        .adopt(&outline(&invite), address(PEER), at(0.0))
        .unwrap();
    assert_eq!((sent(&mut core).len(), events(&mut core).len()), (0, 0));
    reply(&mut core, number, 503, 0.0);
    let output = core.take_outputs().remove(0);
    assert_eq!(output.destination, address(PEER));
    let refusal = text(&output);
    assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    assert!(
        refusal.contains(";branch=z9hG4bKi1\r\nVia: SIP/2.0/UDP second\r\n"),
        "{refusal}"
    );
    assert_eq!(header(&refusal, "Call-ID"), "call-1");
    assert_eq!(header(&refusal, "CSeq"), "1 INVITE");
    assert_eq!(moments(&mut core, 4.0), [0.5, 1.5, 3.5]);
    feed(&mut core, &invite, 4.0); // its 100 was lost
    let cancel = ask("CANCEL", "z9hG4bKi1", 1, "", "", "");
    feed(&mut core, &cancel, 4.1);
    assert_eq!(
        sent(&mut core),
        ["SIP/2.0 503 Service Unavailable", "SIP/2.0 200 OK"]
    );
    let tag = header(&refusal, "To")
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    feed(
        &mut core,
        &ask("ACK", "z9hG4bKi1", 1, &format!(";tag={tag}"), "", ""),
        4.2,
    );
    assert_eq!(moments(&mut core, 60.0), []);
    assert_eq!((events(&mut core).len(), count(&core, "now_open")), (0, 0));
}

#[test]
fn what_is_no_invite_of_an_earlier_process_is_not_adopted() {
    let mut core = core_with(Limits {
        requests: 2,
        ..Limits::default()
    });
    let invite = outline(&invite());
    let adopt =
        |core: &mut Core, bytes: &[u8], from: &str| core.adopt(bytes, address(from), at(0.0));
    assert_eq!(adopt(&mut core, b"INVITE", PEER), None);
    assert_eq!(
        adopt(
            &mut core,
            &outline(&ask("MESSAGE", "z9hG4bKm", 1, "", "", "")),
            PEER
        ),
        None
    );
    assert_eq!(adopt(&mut core, &invite, "198.51.100.1:5060"), None);
    assert!(adopt(&mut core, &invite, PEER).is_some());
    assert_eq!(adopt(&mut core, &invite, PEER), None, "it is here already");
    feed(&mut core, &ask("INVITE", "z9hG4bKi2", 1, "", "", ""), 0.0);
    let other = outline(&ask("INVITE", "z9hG4bKi3", 1, "", "", ""));
    assert_eq!(adopt(&mut core, &other, PEER), None, "there is no room");
}

#[test]
fn a_body_behind_a_length_of_zero_is_taken_of_known_peers_and_of_types_of_ours_alone() {
    let datagram = |kind: &str, branch: &str| {
        let extra = format!("Content-Type: {kind}\r\n");
        let mut bytes = ask("MESSAGE", branch, 20, "", &extra, "");
        bytes.extend_from_slice(b"<Notify/>");
        bytes
    };
    let body = |core: &mut Core, kind: &str, branch: &str| {
        feed(core, &datagram(kind, branch), 0.0);
        let event = event(core);
        let head = event.head().unwrap();
        head.body.of(event.bytes()).to_vec()
    };
    let ours = "APPLICATION/manscdp+xml ; charset=gb2312";
    let mut core = core();
    core.know(address(PEER), false);
    assert_eq!(body(&mut core, ours, "z9hG4bKq1"), b"");
    core.know(address(PEER), true);
    assert_eq!(body(&mut core, ours, "z9hG4bKq2"), b"<Notify/>");
    assert_eq!(
        body(&mut core, "Application/SDP", "z9hG4bKq3"),
        b"<Notify/>"
    );
    assert_eq!(body(&mut core, "text/plain", "z9hG4bKq4"), b"");
    assert_eq!(count(&core, "body_beyond_length"), 4);
}
