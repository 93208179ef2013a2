//! Whatever arrives: each datagram is refused and counted or passes, and the agreed stream is unharmed.

use std::net::SocketAddr;
use std::time::Duration;

use relay_core::{Answer, Counters, Event, Kind, Output, Twin};

const SSRC: u32 = 106_000_001;

/// A small generator: equal seeds, equal runs.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.roll(most + 1)).map(|_| self.byte()).collect()
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn port() -> SocketAddr {
    address("10.0.0.1:9000")
}

fn camera() -> SocketAddr {
    address("192.0.2.1:5000")
}

fn packet(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut made = vec![0x80, 96];
    made.extend(sequence.to_be_bytes());
    made.extend((u32::from(sequence) * 3600).to_be_bytes());
    made.extend(ssrc.to_be_bytes());
    made.extend(payload);
    made
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn tell(relay: &mut Twin, json: &str, now: f64) {
    let answer = relay.command(json.as_bytes(), at(now));
    assert!(
        !matches!(answer, Answer::Refused { .. }),
        "{json}: {answer:?}"
    );
}

fn expect(relay: &mut Twin, now: f64, ssrc: &str, hold: u16) {
    let json = r#"{"type":"Expect","stream":"s","source":["192.0.2.0/24"],"source_port":null,"ssrc":SSRC,
        "payload_type":96,"first_seconds":10.0,"idle_seconds":15.0,"max_bits_per_second":32000000,
        "packs":true,"hold_packets":HOLD}"#;
    tell(
        relay,
        &json
            .replace("SSRC", ssrc)
            .replace("HOLD", &hold.to_string()),
        now,
    );
}

fn add_viewer(relay: &mut Twin, name: u16) {
    let place = format!(
        r#"{{"type":"AddViewer","stream":"s","viewer":"{name}","address":"10.0.0.2","port":{name}}}"#
    );
    tell(relay, &place, 0.0);
}

fn aim(relay: &mut Twin, name: u16, now: f64) {
    let aim = format!(
        r#"{{"type":"AimViewer","stream":"s","viewer":"{name}","host":"198.51.100.1","port":{name},"ssrc":{name},
        "payload_type":98}}"#
    );
    tell(relay, &aim, now);
}

fn opened() -> Twin {
    let mut relay = Twin::new(1);
    tell(
        &mut relay,
        r#"{"type":"Open","stream":"s","address":"10.0.0.1","port":9000}"#,
        0.0,
    );
    relay
}

fn watched() -> Twin {
    let mut relay = opened();
    add_viewer(&mut relay, 100);
    aim(&mut relay, 100, 0.0);
    expect(&mut relay, 0.0, &SSRC.to_string(), 256);
    relay
}

fn refused(counters: &Counters) -> u64 {
    counters.streams["s"].refused.values().sum()
}

fn sequence(output: &Output) -> u16 {
    u16::from_be_bytes([output.datagram[2], output.datagram[3]])
}

/// Something that does not belong to the stream; `good` is a packet that does.
fn noise(dice: &mut Dice, good: &[u8]) -> (Vec<u8>, SocketAddr) {
    let mut bad = good.to_vec();
    match dice.roll(9) {
        0 => bad.truncate(usize::try_from(dice.roll(12)).unwrap()),
        1 => bad[0] = dice.byte() & 0x3f | 0x40,
        2 => bad[0] |= 0x10, // an extension whose length is payload: 0xffff words
        3 => {
            bad[0] |= 0x20; // padding of 0 or more than there is
            *bad.last_mut().unwrap() = if dice.roll(2) == 0 { 0 } else { 255 };
        }
        4 => bad[1] ^= 1 + u8::try_from(dice.roll(0x7f)).unwrap(),
        5 => bad[8] ^= 1 + u8::try_from(dice.roll(255)).unwrap(),
        6 => return (bad, address("192.0.2.1:5001")),
        7 => return (bad, address("203.0.113.9:5000")),
        _ => {
            return (
                dice.bytes(40).into_iter().map(|it| it & 0x7f).collect(),
                camera(),
            );
        }
    }
    (bad, camera())
}

#[test]
fn noise_between_the_packets_changes_nothing_that_leaves() {
    for seed in 1..40 {
        let mut dice = Dice(seed);
        let (mut quiet, mut noisy) = (watched(), watched());
        let (mut clean, mut disturbed) = (Vec::new(), Vec::new());
        let mut hostile = 0;
        let start = u16::try_from(dice.roll(65_536)).unwrap();
        for step in 0..300_u16 {
            let now = at(f64::from(step) * 0.01);
            let mut good = packet(start.wrapping_add(step), SSRC, &[0xff; 4]);
            good.extend(dice.bytes(30));
            good.extend([0xff; 4]);
            quiet.feed(port(), &good, camera(), now);
            if step > 0 {
                for _ in 0..dice.roll(4) {
                    let (bad, source) = noise(&mut dice, &good);
                    noisy.feed(port(), &bad, source, now);
                    hostile += 1;
                }
            }
            noisy.feed(port(), &good, camera(), now);
            clean.extend(quiet.take_outputs());
            disturbed.extend(noisy.take_outputs());
        }
        assert_eq!(clean.len(), 300);
        assert_eq!(clean, disturbed, "seed {seed}");
        assert_eq!(
            refused(&noisy.counters()),
            hostile,
            "seed {seed}: each one counted"
        );
    }
}

#[test]
fn any_bytes_are_refused_or_leave_not_longer_than_they_came() {
    let mut dice = Dice(7);
    let mut relay = opened();
    add_viewer(&mut relay, 100);
    aim(&mut relay, 100, 0.0);
    expect(&mut relay, 0.0, "null", 0);
    for step in 0..200_000_u64 {
        let mut any = dice.bytes(64);
        if dice.roll(4) > 0 && any.len() > 12 {
            any[0] = any[0] & 0x3f | 0x80;
            any[1] = 96;
            any[2] = 0;
            any[8..12].copy_from_slice(&SSRC.to_be_bytes());
            any.splice(12..12, [0, 0, 1, 0xba]);
        }
        relay.feed(port(), &any, camera(), Duration::from_micros(step * 100));
        for output in relay.take_outputs() {
            assert!(output.datagram.len() <= any.len());
            assert_eq!(output.datagram[0], 0x80);
        }
    }
    let counters = relay.counters();
    let stream = &counters.streams["s"];
    assert!(
        stream.admitted > 1000,
        "the generator reaches past the header: {}",
        stream.admitted
    );
    assert_eq!(stream.received, stream.admitted + refused(&counters));
    assert_eq!(stream.viewers["100"].sent, stream.admitted);
}

#[test]
fn any_command_is_carried_out_or_answered_with_a_reason() {
    let mut dice = Dice(3);
    let known = br#"{"type":"Expect","stream":"s","source":["::/0"],"source_port":1,"ssrc":2,"payload_type":96,"packs":true,
        "first_seconds":1e308,"idle_seconds":0.5,"max_bits_per_second":18446744073709551615,"hold_packets":1}"#;
    let mut relay = opened();
    let answer = relay.command(known, Duration::MAX);
    let Answer::Refused { error, .. } = answer else {
        panic!("no time is that long: {answer:?}");
    };
    assert!(error.starts_with("no relay command: "), "{error}");
    for _ in 0..20_000 {
        let mut json = known.to_vec();
        for _ in 0..dice.roll(4) {
            let place = usize::try_from(dice.roll(json.len() as u64)).unwrap();
            json[place] = dice.byte();
        }
        relay.command(&json, at(1.0));
        relay.command(&dice.bytes(30), at(1.0));
    }
}

#[test]
fn loss_and_reordering_leave_as_they_came() {
    for seed in 1..40 {
        let mut dice = Dice(seed);
        let mut relay = watched();
        let mut sent: Vec<u16> = (0..400).filter(|it| *it == 0 || dice.roll(5) > 0).collect();
        for place in 1..sent.len() - 5 {
            sent.swap(place.max(1), place + usize::try_from(dice.roll(5)).unwrap());
        }
        let start = u16::try_from(dice.roll(65_536)).unwrap();
        for number in &sent {
            let good = packet(start.wrapping_add(*number), SSRC, &number.to_be_bytes());
            relay.feed(port(), &good, camera(), at(0.5));
        }
        let left = relay.take_outputs();
        let base = sequence(&left[0]);
        let numbers: Vec<u16> = left
            .iter()
            .map(|it| sequence(it).wrapping_sub(base))
            .collect();
        assert_eq!(numbers, sent, "seed {seed}");
        let payloads = left
            .iter()
            .map(|it| u16::from_be_bytes([it.datagram[12], it.datagram[13]]));
        assert!(payloads.eq(sent));
    }
}

#[test]
fn nothing_is_admitted_before_the_answer_and_nothing_pinned() {
    let mut relay = opened();
    add_viewer(&mut relay, 100);
    aim(&mut relay, 100, 0.0);
    relay.feed(
        port(),
        &packet(1, SSRC, b"early"),
        address("192.0.2.66:1"),
        at(0.0),
    );
    expect(&mut relay, 1.0, &SSRC.to_string(), 0);
    relay.feed(port(), &packet(2, SSRC, b"late"), camera(), at(1.0));
    let left: Vec<_> = relay.take_outputs();
    assert_eq!(left.len(), 1);
    assert_eq!(&left[0].datagram[12..], b"late");
    assert_eq!(relay.counters().streams["s"].refused["before_answer"], 1);
}

#[test]
fn a_voice_has_no_packs_and_its_ssrc_is_learnt_all_the_same() {
    let mut relay = opened();
    let voice = r#"{"type":"Expect","stream":"s","source":["192.0.2.0/24"],"source_port":null,"ssrc":null,
        "payload_type":96,"packs":false,"first_seconds":10.0,"idle_seconds":15.0,"max_bits_per_second":32000000,
        "hold_packets":0}"#;
    tell(&mut relay, voice, 0.0);
    relay.feed(port(), &packet(1, 5, b"a-law"), camera(), at(0.0));
    relay.feed(port(), &packet(2, 66, b"another"), camera(), at(0.0));
    let counters = relay.counters();
    let stream = &counters.streams["s"];
    assert_eq!((stream.admitted, stream.refused["foreign_ssrc"]), (1, 1));
}

#[test]
fn an_ssrc_is_learnt_from_a_pack_header_only() {
    let mut relay = opened();
    expect(&mut relay, 0.0, "null", 0);
    relay.feed(
        port(),
        &packet(1, 66, b"\0\0\x01\xe0..."),
        address("192.0.2.66:1"),
        at(0.0),
    );
    relay.feed(port(), &packet(1, 5, b"\0\0\x01\xba..."), camera(), at(0.0));
    relay.feed(port(), &packet(2, 5, b"the rest"), camera(), at(0.0));
    relay.feed(
        port(),
        &packet(2, 66, b"\0\0\x01\xba..."),
        camera(),
        at(0.0),
    );
    relay.feed(
        port(),
        &packet(2, 66, b"\0\0\x01\xba..."),
        address("192.0.2.66:1"),
        at(0.0),
    );
    let counters = relay.counters();
    let stream = &counters.streams["s"];
    assert_eq!(stream.admitted, 2);
    assert_eq!(stream.refused["no_pack_header"], 1);
    assert_eq!(
        (
            stream.refused["foreign_ssrc"],
            stream.refused["foreign_source"]
        ),
        (1, 1)
    );
}

#[test]
fn a_burst_over_the_rate_is_cut_and_the_stream_goes_on() {
    let mut relay = watched();
    for number in 0..5000 {
        relay.feed(port(), &packet(number, SSRC, &[0; 1388]), camera(), at(1.0));
    }
    assert_eq!(
        relay.counters().streams["s"].refused["over_rate"],
        5000 - 2857
    ); // 4,000,000 bytes
    relay.take_outputs();
    relay.feed(port(), &packet(5000, SSRC, &[0; 1388]), camera(), at(2.0));
    assert_eq!(relay.take_outputs().len(), 1);
}

#[test]
fn silence_is_said_once_of_each_kind() {
    let mut relay = watched();
    let said = |relay: &mut Twin, now: f64| {
        relay.advance(at(now));
        let events = relay.take_events().into_iter();
        let kinds = events.filter_map(|it| match it {
            Event::Starved { kind, .. } => Some(kind),
            _ => None,
        });
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(relay.deadline(), Some(at(10.0)));
    assert_eq!(said(&mut relay, 9.9), []);
    assert_eq!(said(&mut relay, 10.0), [Kind::NoMedia]);
    assert_eq!(said(&mut relay, 100.0), []);
    relay.feed(port(), &packet(1, SSRC, b""), camera(), at(100.0));
    assert!(
        matches!(relay.take_events()[..], [Event::Started { .. }]),
        "late is better than never"
    );
    relay.feed(port(), &packet(2, SSRC, b""), camera(), at(110.0));
    relay.feed(port(), &packet(3, 66, b""), camera(), at(120.0));
    assert_eq!(said(&mut relay, 124.9), []);
    assert_eq!(
        said(&mut relay, 125.0),
        [Kind::MediaLost],
        "a refused packet is no sign of life"
    );
    relay.feed(port(), &packet(4, SSRC, b""), camera(), at(126.0));
    assert_eq!(said(&mut relay, 1000.0), []);
    assert_eq!(relay.deadline(), None);
}

#[test]
fn what_came_before_the_first_viewer_leaves_in_order_and_in_portions() {
    let mut relay = opened();
    add_viewer(&mut relay, 100);
    expect(&mut relay, 0.0, &SSRC.to_string(), 100);
    for number in 0..130 {
        relay.feed(
            port(),
            &packet(number, SSRC, &number.to_be_bytes()),
            camera(),
            at(0.5),
        );
    }
    let stream = &relay.counters().streams["s"];
    assert_eq!(
        (stream.admitted, stream.held, stream.held_dropped),
        (130, 100, 30)
    );
    aim(&mut relay, 100, 1.0);
    let mut portions = vec![relay.take_outputs()];
    relay.feed(
        port(),
        &packet(130, SSRC, &130_u16.to_be_bytes()),
        camera(),
        at(1.001),
    );
    assert!(relay.take_outputs().is_empty(), "it queues behind");
    while relay.deadline().is_some_and(|it| it < at(5.0)) {
        relay.advance(relay.deadline().unwrap());
        portions.push(relay.take_outputs());
    }
    assert_eq!(
        portions.iter().map(Vec::len).collect::<Vec<_>>(),
        [32, 32, 32, 5]
    );
    relay.feed(
        port(),
        &packet(131, SSRC, &131_u16.to_be_bytes()),
        camera(),
        at(2.0),
    );
    let left: Vec<_> = portions
        .into_iter()
        .flatten()
        .chain(relay.take_outputs())
        .collect();
    let payloads = left
        .iter()
        .map(|it| u16::from_be_bytes([it.datagram[12], it.datagram[13]]));
    assert!(payloads.eq(30..=131));
    let first = sequence(&left[0]);
    assert!(
        left.iter()
            .zip(0..)
            .all(|(it, n)| sequence(it) == first.wrapping_add(n))
    );
    assert_eq!(relay.counters().streams["s"].held, 0);
}

#[test]
fn each_viewer_has_numbers_of_its_own_and_the_same_payload() {
    let mut relay = opened();
    for name in [100, 200, 300] {
        add_viewer(&mut relay, name);
    }
    aim(&mut relay, 100, 0.0);
    aim(&mut relay, 200, 0.0);
    expect(&mut relay, 0.0, &SSRC.to_string(), 0);
    relay.feed(port(), &packet(9, SSRC, b"one"), camera(), at(0.0));
    aim(&mut relay, 300, 0.0);
    relay.feed(port(), &packet(11, SSRC, b"two"), camera(), at(0.0));
    let left = relay.take_outputs();
    assert_eq!(
        left.iter()
            .map(|it| it.destination.port())
            .collect::<Vec<_>>(),
        [100, 200, 100, 200, 300]
    );
    assert!(
        left.iter()
            .all(|it| it.port.port() == it.destination.port() && it.datagram[1] == 98)
    );
    assert!(left[2..].iter().all(|it| &it.datagram[12..] == b"two"));
    assert_eq!(sequence(&left[2]), sequence(&left[0]).wrapping_add(2));
    tell(
        &mut relay,
        r#"{"type":"DropViewer","stream":"s","viewer":"200"}"#,
        0.0,
    );
    relay.feed(port(), &packet(12, SSRC, b"three"), camera(), at(0.0));
    assert_eq!(relay.take_outputs().len(), 2);
}

#[test]
fn a_closed_stream_is_gone_with_its_ports() {
    let mut relay = watched();
    tell(&mut relay, r#"{"type":"Close","stream":"s"}"#, 0.0);
    tell(&mut relay, r#"{"type":"Close","stream":"s"}"#, 0.0); // again does nothing
    relay.feed(port(), &packet(1, SSRC, b""), camera(), at(0.0));
    relay.advance(at(1000.0));
    assert!(relay.take_outputs().is_empty() && relay.take_events().is_empty());
    let open = br#"{"type":"Open","stream":"t","address":"10.0.0.1","port":9000}"#;
    assert_eq!(relay.command(open, at(0.0)), Answer::Bound { port: 9000 });
    let again = br#"{"type":"Open","stream":"u","address":"10.0.0.1","port":9000}"#;
    assert!(matches!(
        relay.command(again, at(0.0)),
        Answer::Refused { taken: true, .. }
    ));
    let same = br#"{"type":"Open","stream":"t","address":"10.0.0.1","port":9002}"#;
    assert!(matches!(
        relay.command(same, at(0.0)),
        Answer::Refused { taken: false, .. }
    ));
}

#[test]
fn counters_tell_what_was_lost_when_media_came_and_who_else_sent() {
    let mut relay = opened();
    expect(&mut relay, 0.0, "5", 0);
    for (moment, sequence) in [(1.0, 65_534), (1.5, 65_535), (2.0, 3), (2.5, 2)] {
        let packet = packet(sequence, 5, b"payload");
        relay.feed(port(), &packet, camera(), at(moment));
    }
    relay.feed(port(), &packet(4, 66, b"another"), camera(), at(3.0));
    let counters = relay.counters();
    let stream = &counters.streams["s"];
    assert_eq!((stream.admitted, stream.lost), (4, 2), "0 and 1 never came");
    assert_eq!((stream.first, stream.last), (Some(1.0), Some(2.5)));
    assert_eq!(stream.foreign_ssrc, Some(66));
    expect(&mut relay, 4.0, "6", 0); // agreed anew: the numbers go on
    relay.feed(port(), &packet(900, 6, b"payload"), camera(), at(4.0));
    assert_eq!(relay.counters().streams["s"].lost, 2);
}
