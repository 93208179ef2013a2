//! A fleet against a registrar of the simplest kind, in time of our own.

use super::*;

const SERVER: &str = "10.0.0.1:5060";
const LOCAL: &str = "10.0.0.2:5060";

fn fleet(count: u32) -> Fleet {
    let terms = Terms {
        server: SERVER.parse().unwrap(),
        server_id: "44010000002000000001".to_owned(),
        domain: "4401000000".to_owned(),
        first_id: "44010700001180000000".to_owned(),
        count,
        password: "secret".to_owned(),
        expires: 3600,
        seed: 1,
    };
    Fleet::new(terms, vec![LOCAL.parse().unwrap()]).unwrap()
}

fn at(seconds: f64) -> Time {
    Time::from_seconds(seconds)
}

/// The answer to one request of the fleet's.
fn answer(fleet: &mut Fleet, request: &Output, status: u16, headers: &[(&str, &str)], now: Time) {
    let head = codec::parse(&request.bytes).unwrap();
    let mut bytes = Vec::new();
    let source = LOCAL.parse().unwrap();
    codec::response(
        &mut bytes,
        &request.bytes,
        &head,
        source,
        status,
        Some(b"s"),
        headers,
        b"",
    );
    fleet.feed(0, &bytes, SERVER.parse().unwrap(), now);
}

const CHALLENGE: (&str, &str) = (
    "WWW-Authenticate",
    "Digest realm=\"4401000000\", nonce=\"n\"",
);

fn has_proof(output: &Output) -> bool {
    codec::parse(&output.bytes).unwrap().has_authorization()
}

fn register_all(fleet: &mut Fleet, count: u64, now: Time) {
    fleet.aim(Work::Register, Pace::Window(4), Some(count), now);
    while !fleet.done() {
        fleet.advance(now);
        for output in fleet.take_outputs() {
            if has_proof(&output) {
                answer(fleet, &output, 200, &[], now);
            } else {
                answer(fleet, &output, 401, &[CHALLENGE], now);
            }
        }
    }
}

#[test]
fn a_window_registers_everybody_once() {
    let mut fleet = fleet(10);
    fleet.aim(Work::Register, Pace::Window(4), Some(10), at(1.0));
    fleet.advance(at(1.0));
    assert_eq!(fleet.take_outputs().len(), 4);
    let mut fleet = self::fleet(10);
    register_all(&mut fleet, 10, at(1.0));
    let report = fleet.report();
    assert_eq!((report.registered, report.finished[0]), (10, 10));
    assert_eq!((report.challenged, report.under_way), (10, 0));
    assert_eq!(report.latency[0].count(), 10);
}

#[test]
fn who_is_not_answered_repeats_itself_and_is_lost_in_the_end() {
    let mut fleet = fleet(1);
    fleet.aim(Work::Register, Pace::Window(1), Some(1), at(0.0));
    fleet.advance(at(0.0));
    let first = fleet.take_outputs();
    let mut repeats = 0;
    while let Some(due) = fleet.deadline() {
        fleet.advance(due);
        for output in fleet.take_outputs() {
            assert_eq!(output.bytes, first[0].bytes);
            repeats += 1;
        }
    }
    assert_eq!(repeats, 10); // timer E between 0.5 and 31.5 s
    assert_eq!((fleet.report().lost[0], fleet.report().under_way), (1, 0));
    assert!(fleet.done());
}

#[test]
fn a_late_answer_is_stray() {
    let mut fleet = fleet(1);
    fleet.aim(Work::Register, Pace::Window(1), Some(1), at(0.0));
    fleet.advance(at(0.0));
    let first = fleet.take_outputs();
    answer(&mut fleet, &first[0], 401, &[CHALLENGE], at(0.1));
    answer(&mut fleet, &first[0], 401, &[CHALLENGE], at(0.2));
    assert_eq!(fleet.report().stray, 1);
    assert_eq!(fleet.take_outputs().len(), 1);
}

#[test]
fn a_wrong_password_is_refused_once_and_not_tried_for_ever() {
    let mut fleet = fleet(1);
    fleet.aim(Work::Register, Pace::Window(1), Some(1), at(0.0));
    for _ in 0..2 {
        fleet.advance(at(0.0));
        for output in fleet.take_outputs() {
            answer(&mut fleet, &output, 401, &[CHALLENGE], at(0.0));
        }
    }
    assert_eq!(fleet.report().refused[&(Work::Register, 401)], 1);
    assert!(fleet.done());
}

#[test]
fn who_is_put_off_comes_back_when_told_to() {
    let mut fleet = fleet(1);
    fleet.aim(Work::Register, Pace::Window(1), Some(1), at(0.0));
    fleet.advance(at(0.0));
    let first = fleet.take_outputs();
    answer(
        &mut fleet,
        &first[0],
        503,
        &[("Retry-After", "7 (busy)")],
        at(0.0),
    );
    assert!(!fleet.done());
    fleet.advance(at(6.9));
    assert_eq!(fleet.take_outputs(), []);
    assert_eq!(fleet.later.peek().map(|it| it.0.0), Some(at(7.0)));
    fleet.advance(at(7.0));
    assert_eq!(fleet.take_outputs().len(), 1);
}

#[test]
fn keepalives_go_at_their_rate_and_only_from_who_is_registered() {
    let mut fleet = fleet(20);
    fleet.aim(Work::Keepalive, Pace::Rate(10.0), None, at(0.0));
    fleet.advance(at(5.0));
    assert_eq!(fleet.take_outputs(), []);
    fleet.rest(Work::Keepalive);
    register_all(&mut fleet, 20, at(5.0));
    fleet.aim(Work::Keepalive, Pace::Rate(10.0), None, at(6.0));
    let mut sent = 0;
    while let Some(due) = fleet.deadline().filter(|due| *due <= at(8.0)) {
        fleet.advance(due);
        for output in fleet.take_outputs() {
            sent += 1;
            answer(&mut fleet, &output, 200, &[], due);
        }
    }
    assert_eq!(sent, 20);
    assert_eq!(fleet.report().finished[Work::Keepalive as usize], 20);
    assert!(!fleet.done()); // without an end
    fleet.rest(Work::Keepalive);
    assert!(fleet.done());
}

#[test]
fn who_is_refused_a_keepalive_is_registered_no_more() {
    let mut fleet = fleet(1);
    register_all(&mut fleet, 1, at(0.0));
    fleet.aim(Work::Keepalive, Pace::Window(1), Some(1), at(1.0));
    fleet.advance(at(1.0));
    for output in fleet.take_outputs() {
        answer(&mut fleet, &output, 403, &[], at(1.0));
    }
    assert_eq!(fleet.report().registered, 0);
}

#[test]
fn strangers_do_not_care_for_answers() {
    let mut fleet = fleet(3);
    fleet.aim(Work::Forged, Pace::Rate(1000.0), Some(5), at(0.0));
    fleet.advance(at(1.0));
    let sent = fleet.take_outputs();
    assert_eq!(sent.len(), 5);
    for output in &sent {
        answer(&mut fleet, output, 403, &[], at(1.0));
    }
    assert_eq!(fleet.report().refused[&(Work::Forged, 403)], 5);
    assert!(fleet.done());
    assert_eq!(fleet.take_outputs(), []);
}

#[test]
fn a_catalog_that_is_asked_for_is_told() {
    let mut fleet = fleet(2);
    let body = "<?xml version=\"1.0\"?><Query><CmdType>Catalog</CmdType><SN>9</SN>\
                <DeviceID>44010700001180000001</DeviceID></Query>";
    let query = format!(
        "MESSAGE sip:44010700001180000001@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKq\r\n\
         From: <sip:44010000002000000001@4401000000>;tag=1\r\nTo: <sip:44010700001180000001@4401000000>\r\n\
         Call-ID: q\r\nCSeq: 1 MESSAGE\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    fleet.feed(0, query.as_bytes(), SERVER.parse().unwrap(), at(0.0));
    let sent = fleet.take_outputs();
    assert!(sent[0].bytes.starts_with(b"SIP/2.0 200"));
    assert!(String::from_utf8_lossy(&sent[1].bytes).contains("<SN>9</SN>"));
    answer(&mut fleet, &sent[1], 200, &[], at(0.1));
    assert_eq!((fleet.report().catalogs, fleet.report().under_way), (1, 0));
    let unknown = query.replace("44010700001180000001@", "44010700001180009999@");
    fleet.feed(0, unknown.as_bytes(), SERVER.parse().unwrap(), at(0.0));
    assert!(fleet.take_outputs()[0].bytes.starts_with(b"SIP/2.0 404"));
}

#[test]
fn what_is_no_message_is_counted() {
    let mut fleet = fleet(1);
    fleet.feed(0, b"\r\n\r\n", SERVER.parse().unwrap(), at(0.0));
    fleet.feed(
        0,
        b"SIP/2.0 nonsense\r\n\r\n",
        SERVER.parse().unwrap(),
        at(0.0),
    );
    assert_eq!(fleet.report().unreadable, 2);
}
