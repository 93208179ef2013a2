//! The engine in virtual time: whole exchanges, each sentence of the transaction rules once.

mod away;
mod client;
mod guard;
mod routes;
mod server;
mod strangers;
mod stream;

use super::*;
use crate::digest::{self, Algorithm, Qop};
use crate::event::Kind;
use crate::registrar::Auth;

const US: &str = "192.0.2.1:5060";
const PEER: &str = "203.0.113.50:5060";

fn at(seconds: f64) -> Time {
    Time::from_seconds(seconds)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// `PEER` is known there.
fn core_with(limits: Limits) -> Core {
    let mut core = Core::new(Settings {
        local: address(US),
        listeners: vec![(Transport::Tcp, address(US))],
        realm: "4401000000".to_owned(),
        networks: vec!["203.0.113.0/24".parse().unwrap()],
        seed: [3; 32],
        qop: true,
        limits,
    });
    core.know(address(PEER), true);
    core
}

fn core() -> Core {
    core_with(Limits::default())
}

/// A request of the peer; `extra` holds whole header lines, `body` follows Content-Length.
fn ask(method: &str, branch: &str, cseq: u32, to_tag: &str, extra: &str, body: &str) -> Vec<u8> {
    let number_method = if extra.contains("CSeq") {
        String::new()
    } else {
        format!("CSeq: {cseq} {method}\r\n")
    };
    format!(
        "{method} sip:44010000002000000001@4401000000 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.5:5060;rport;branch={branch}\r\n\
         From: <sip:44010600001180000001@4401060000>;tag=r1\r\n\
         To: <sip:44010000002000000001@4401000000>{to_tag}\r\n\
         Call-ID: call-1\r\n{number_method}{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn feed(core: &mut Core, datagram: &[u8], seconds: f64) {
    core.feed(datagram, address(PEER), at(seconds));
}

fn events(core: &mut Core) -> Vec<Event> {
    core.take_events(usize::MAX)
        .filter(|event| event.kind != Kind::Limited)
        .collect()
}

/// The limits that were met, and by whom.
fn limits_met(core: &mut Core) -> Vec<String> {
    core.take_events(usize::MAX)
        .filter(|event| event.kind == Kind::Limited)
        .map(|event| format!("{} {}", event.fault, event.source))
        .collect()
}

/// The only event that waits.
fn event(core: &mut Core) -> Event {
    let mut all = events(core);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Start lines of what went out, and where to.
fn sent(core: &mut Core) -> Vec<String> {
    core.take_outputs()
        .iter()
        .map(|output| text(output).lines().next().unwrap().to_owned())
        .collect()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.bytes.to_vec()).unwrap()
}

fn header(text: &str, name: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .to_owned()
}

/// The answer of one that knows the password.
fn proof(challenges: &[&str], user: &str, password: &str, uri: &str) -> String {
    let request = digest::Request {
        method: "REGISTER",
        uri,
        cnonce: "c",
        nc: 1,
        body: b"",
        qop: Qop::Both,
    };
    digest::authorize(
        challenges,
        user,
        &digest::Secret::Password(password),
        &request,
    )
    .unwrap()
}

/// May register with the password "right", by these.
fn admit(core: &mut Core, user: &str, algorithms: &[Algorithm]) {
    let keys: Vec<_> = algorithms
        .iter()
        .map(|one| (*one, digest::ha1(*one, user, "4401000000", "right")))
        .collect();
    let given: Vec<_> = keys
        .iter()
        .map(|(one, key)| (*one, Some(key.text())))
        .collect();
    core.set_credentials(user, &given, Qop::Both).unwrap();
}

fn reply(core: &mut Core, transaction: u64, status: u16, seconds: f64) {
    core.reply(
        &Answer {
            transaction,
            status,
            headers: &[],
            body: b"",
        },
        at(seconds),
    );
}

fn count(core: &Core, name: &str) -> u64 {
    core.counters()
        .into_iter()
        .find(|(counter, _)| *counter == name)
        .unwrap()
        .1
}

/// Run the clock from deadline to deadline until `until`; the moments at which something left.
fn moments(core: &mut Core, until: f64) -> Vec<f64> {
    let mut moments = Vec::new();
    while let Some(deadline) = core.deadline().filter(|deadline| *deadline <= at(until)) {
        core.advance(deadline);
        moments.extend(core.take_outputs().iter().map(|_| deadline.seconds()));
    }
    moments
}

fn prepare(core: &mut Core, method: &str, ack_for: u64) -> Prepared {
    let number = format!("7 {method}");
    let headers = [
        ("From", "<sip:us@4401000000>;tag=a"),
        ("To", "<sip:44010600001180000001@4401060000>"),
        ("Call-ID", "ours"),
        ("CSeq", number.as_str()),
        ("Route", "<sip:first;lr>"),
    ];
    let outgoing = Outgoing {
        method,
        uri: "sip:44010600001180000001@203.0.113.50:5060",
        destination: Some(address(PEER)),
        headers: &headers,
        body: b"",
        ack_for,
    };
    core.prepare(&outgoing).unwrap()
}

fn send(core: &mut Core, method: &str, seconds: f64) -> u64 {
    let prepared = prepare(core, method, 0);
    core.send(prepared, at(seconds))
}

/// The peer's answer to a request of ours.
fn answer(request: &str, status: u16, to_tag: &str) -> Vec<u8> {
    let line = |name: &str| format!("{name}: {}\r\n", header(request, name));
    format!(
        "SIP/2.0 {status} Whatever\r\n{}{}To: <sip:x@y>{to_tag}\r\n{}{}Content-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("Call-ID"),
        line("CSeq"),
    )
    .into_bytes()
}
