//! Two relays on two hosts, joined by a trunk: what one admits comes out of the other, and nothing else does.

use std::net::SocketAddr;
use std::time::Duration;

use relay_core::{Answer, OFFER_BYTES, Output, TRUNK_BYTES, TrunkCounters, Twin};

const NOW: Duration = Duration::from_secs(1);

/// A small generator: equal seeds, equal runs.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn outer() -> SocketAddr {
    address("10.0.0.1:7000")
}

fn inner() -> SocketAddr {
    address("10.0.0.2:7000")
}

fn camera() -> SocketAddr {
    address("192.0.2.1:5000")
}

fn tell(relay: &mut Twin, json: &str) -> Answer {
    relay.command(json.as_bytes(), NOW)
}

fn told(relay: &mut Twin, json: &str) {
    let answer = tell(relay, json);
    assert!(
        !matches!(answer, Answer::Refused { .. }),
        "{json}: {answer:?}"
    );
}

fn refused(relay: &mut Twin, json: &str, why: &str) {
    match tell(relay, json) {
        Answer::Refused { error, .. } => assert!(error.contains(why), "{error}"),
        other => panic!("{json}: {other:?}"),
    }
}

fn join(ours: SocketAddr, theirs: SocketAddr) -> String {
    let (local, peer) = (ours.ip(), theirs.ip());
    format!(r#"{{"type":"Join","address":"{local}","port":7000,"host":"{peer}","host_port":7000}}"#)
}

fn expect(stream: &str, source: &str, ssrc: u32, rate: u64) -> String {
    format!(
        r#"{{"type":"Expect","stream":"{stream}","source":["{source}"],"source_port":null,"ssrc":{ssrc},
        "payload_type":96,"first_seconds":10.0,"idle_seconds":15.0,"max_bits_per_second":{rate},
        "packs":true,"hold_packets":0}}"#
    )
}

fn over_trunk(stream: &str, number: u32) -> String {
    format!(
        r#"{{"type":"ViewOverTrunk","stream":"{stream}","viewer":"trunk","number":{number},"payload_type":96}}"#
    )
}

fn from_trunk(stream: &str, number: u32) -> String {
    format!(r#"{{"type":"OpenFromTrunk","stream":"{stream}","number":{number}}}"#)
}

fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut made = vec![0x80, 96];
    made.extend(sequence.to_be_bytes());
    made.extend(u32::from(sequence).to_be_bytes());
    made.extend(7_u32.to_be_bytes());
    made.extend(payload);
    made
}

/// A camera's stream `s` at the outer host crosses as number 5 to a viewer beyond the inner host.
struct Pair {
    outer: Twin,
    inner: Twin,
    sequence: u16,
}

impl Pair {
    fn joined() -> Self {
        let (mut one, mut two) = (Twin::new(1), Twin::new(2));
        told(&mut one, &join(outer(), inner()));
        told(&mut two, &join(inner(), outer()));
        Self {
            outer: one,
            inner: two,
            sequence: 0,
        }
    }

    fn keyed() -> Self {
        let mut pair = Self::joined();
        pair.rekey();
        pair.open(32_000_000);
        pair
    }

    fn rekey(&mut self) {
        let offer = self.inner.offer().unwrap().unwrap();
        self.outer.accept(&offer).unwrap().unwrap();
        let offer = self.outer.offer().unwrap().unwrap();
        self.inner.accept(&offer).unwrap().unwrap();
    }

    fn open(&mut self, rate: u64) {
        let open = r#"{"type":"Open","stream":"s","address":"10.0.0.1","port":9000}"#;
        told(&mut self.outer, open);
        told(&mut self.outer, &expect("s", "192.0.2.1", 7, 1 << 40));
        told(&mut self.outer, &over_trunk("s", 5));
        told(&mut self.inner, &from_trunk("5", 5));
        told(&mut self.inner, &expect("5", "10.0.0.1", 5, rate));
        let viewer =
            r#"{"type":"AddViewer","stream":"5","viewer":"v","address":"10.0.0.2","port":9100}"#;
        told(&mut self.inner, viewer);
        let aim = r#"{"type":"AimViewer","stream":"5","viewer":"v","host":"198.51.100.1","port":30000,
            "ssrc":99,"payload_type":98}"#;
        told(&mut self.inner, aim);
    }

    /// What the outer host sends for one packet of the camera.
    fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let packet = packet(self.sequence, payload);
        self.outer
            .feed(address("10.0.0.1:9000"), &packet, camera(), NOW);
        let mut outputs = self.outer.take_outputs();
        assert_eq!(outputs.len(), 1);
        let output = outputs.remove(0);
        assert_eq!((output.destination, output.port), (inner(), outer()));
        output.datagram
    }

    /// Payloads that leave towards the viewer when this comes to the inner host's trunk.
    fn arrive(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.inner.feed(inner(), datagram, outer(), NOW);
        let outputs = self.inner.take_outputs();
        outputs.iter().map(payload).collect()
    }

    fn trunk(&self) -> TrunkCounters {
        self.inner.counters().trunk.unwrap()
    }

    fn count(&self, refusal: &str) -> u64 {
        let counters = self.trunk();
        let total: u64 = counters.refused.values().sum();
        assert_eq!(counters.received, counters.opened + total);
        counters.refused[refusal]
    }
}

fn payload(output: &Output) -> Vec<u8> {
    assert_eq!(output.destination, address("198.51.100.1:30000"));
    assert_eq!(output.datagram[..2], [0x80, 98]);
    assert_eq!(output.datagram[8..12], 99_u32.to_be_bytes());
    output.datagram[12..].to_vec()
}

#[test]
fn what_the_camera_sends_reaches_the_viewer_beyond_and_is_not_readable_between() {
    let mut pair = Pair::keyed();
    for length in [0, 1, 15, 16, 17, 1400, 9000] {
        let payload = vec![0x5a; length];
        let datagram = pair.seal(&payload);
        assert_eq!(datagram.len(), 12 + length + TRUNK_BYTES);
        assert!(!datagram.windows(4).any(|it| it == [0x5a; 4]));
        assert_eq!(pair.arrive(&datagram), [payload]);
    }
    let counters = pair.trunk();
    assert_eq!((counters.opened, counters.lost), (7, 0));
    assert_eq!(pair.outer.counters().trunk.unwrap().sealed, 7);
}

#[test]
fn streams_share_the_port_pair_and_keep_apart() {
    let mut pair = Pair::keyed();
    let open = r#"{"type":"Open","stream":"t","address":"10.0.0.1","port":9002}"#;
    told(&mut pair.outer, open);
    told(&mut pair.outer, &expect("t", "192.0.2.1", 7, 1 << 40));
    told(&mut pair.outer, &over_trunk("t", 7));
    let first = pair.seal(b"first");
    let other = packet(1, b"other");
    pair.outer
        .feed(address("10.0.0.1:9002"), &other, camera(), NOW);
    let other = pair.outer.take_outputs().remove(0).datagram;
    assert!(pair.arrive(&other).is_empty(), "nobody takes number 7");
    assert_eq!(pair.count("unknown_stream"), 1);
    assert_eq!(pair.arrive(&first), [b"first"]);
    assert_eq!(pair.inner.counters().streams["5"].received, 1);
}

#[test]
fn a_packet_opens_once_and_may_come_late() {
    let mut pair = Pair::keyed();
    let datagrams: Vec<_> = (0..60_u8).map(|it| pair.seal(&[it])).collect();
    let (mut order, mut dice) = ((0..60).collect::<Vec<usize>>(), Dice(9));
    for at in (1..60).rev() {
        order.swap(at, dice.roll(at + 1));
    }
    let mut seen = Vec::new();
    for at in order.iter().chain(&order) {
        seen.extend(pair.arrive(&datagrams[*at]));
    }
    assert_eq!(pair.count("replayed"), 60);
    let first = order[0];
    // RTP's own window, which the second host judges too, begins at the first that came.
    assert!(seen.contains(&vec![u8::try_from(first).unwrap()]));
    assert_eq!(seen.len(), 60);
    assert_eq!(pair.trunk().lost, 0);
}

#[test]
fn a_gap_is_counted_as_lost_until_it_is_filled() {
    let mut pair = Pair::keyed();
    let datagrams: Vec<_> = (0..10_u8).map(|it| pair.seal(&[it])).collect();
    for at in [0, 1, 2, 6, 9] {
        pair.arrive(&datagrams[at]);
    }
    assert_eq!(pair.trunk().lost, 5);
    pair.arrive(&datagrams[5]);
    assert_eq!(pair.trunk().lost, 4);
    pair.rekey();
    pair.rekey();
    assert_eq!(
        pair.trunk().lost,
        4,
        "keys that are gone took nothing along"
    );
}

#[test]
fn every_changed_bit_and_every_cut_is_refused() {
    let mut pair = Pair::keyed();
    let good = pair.seal(b"payload");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(pair.arrive(&bad).is_empty(), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(pair.arrive(&good[..length]).is_empty(), "{length} bytes");
    }
    let longer = [&good[..], &[0]].concat();
    assert!(pair.arrive(&longer).is_empty());
    assert_eq!(
        pair.count("replayed"),
        0,
        "what does not open moves no window"
    );
    assert_eq!(pair.arrive(&good), [b"payload"]);
}

#[test]
fn what_is_sent_back_to_its_sender_opens_nothing() {
    let mut pair = Pair::keyed();
    told(&mut pair.outer, &from_trunk("back", 5));
    for _ in 0..300 {
        // Both epochs are random: make them meet.
        let offer = pair.outer.offer().unwrap().unwrap();
        pair.inner.accept(&offer).unwrap().unwrap();
        let ours = pair.seal(b"ours");
        pair.outer.feed(outer(), &ours, inner(), NOW);
    }
    let counters = pair.outer.counters().trunk.unwrap();
    assert_eq!((counters.received, counters.opened), (300, 0));
    assert!(counters.refused["bad_tag"] > 0);
}

#[test]
fn a_key_of_others_opens_nothing() {
    let (mut pair, mut other) = (Pair::keyed(), Pair::keyed());
    for _ in 0..300 {
        let offer = other.inner.offer().unwrap().unwrap();
        other.outer.accept(&offer).unwrap().unwrap();
        let forged = other.seal(b"forged");
        assert!(pair.arrive(&forged).is_empty());
    }
    assert!(pair.count("unknown_epoch") > 0 && pair.count("bad_tag") > 0);
}

#[test]
fn only_the_other_host_is_heard() {
    let mut pair = Pair::keyed();
    let good = pair.seal(b"good");
    for stranger in ["10.0.0.1:7001", "10.0.0.3:7000", "[::1]:7000"] {
        pair.inner.feed(inner(), &good, address(stranger), NOW);
    }
    assert!(pair.inner.take_outputs().is_empty());
    assert_eq!(pair.count("foreign_source"), 3);
    assert_eq!(pair.arrive(&good), [b"good"]);
}

#[test]
fn without_a_key_nothing_leaves() {
    let mut pair = Pair::joined();
    pair.open(32_000_000);
    let packet = packet(1, b"clear");
    pair.outer
        .feed(address("10.0.0.1:9000"), &packet, camera(), NOW);
    assert!(pair.outer.take_outputs().is_empty());
    let counters = pair.outer.counters();
    assert_eq!(counters.trunk.unwrap().unsealed, 1);
    assert_eq!(counters.streams["s"].viewers["trunk"].unsent, 1);
}

#[test]
fn a_new_key_loses_nothing_that_is_on_its_way() {
    let mut pair = Pair::keyed();
    let before = pair.seal(b"before");
    pair.rekey();
    let after = pair.seal(b"after");
    assert!(pair.trunk().fresh_key);
    assert_eq!(pair.arrive(&after), [b"after"]);
    assert!(!pair.trunk().fresh_key);
    assert_eq!(pair.arrive(&before), [b"before"]);
    assert!(pair.arrive(&before).is_empty());
    assert_eq!(pair.count("replayed"), 1);
    pair.rekey();
    assert!(pair.arrive(&before).is_empty());
    assert_eq!(pair.count("unknown_epoch"), 1);
}

#[test]
fn the_same_key_accepted_again_never_sees_a_counter_again() {
    let mut pair = Pair::keyed();
    let offer = pair.inner.offer().unwrap().unwrap();
    for _ in 0..3 {
        pair.outer.accept(&offer).unwrap().unwrap();
        let datagram = pair.seal(b"same");
        assert_eq!(pair.arrive(&datagram), [b"same"]);
    }
    assert_eq!(pair.count("replayed"), 0);
}

#[test]
fn a_host_that_starts_anew_is_heard_once_keys_are_new() {
    let mut pair = Pair::keyed();
    let first = pair.seal(b"first");
    assert_eq!(pair.arrive(&first), [b"first"]);
    pair.outer = Twin::new(3);
    told(&mut pair.outer, &join(outer(), inner()));
    pair.rekey();
    told(&mut pair.inner, r#"{"type":"Close","stream":"5"}"#);
    pair.open(32_000_000);
    let again = pair.seal(b"again");
    assert_eq!(pair.arrive(&again), [b"again"]);
    assert!(pair.arrive(&first).is_empty());
}

#[test]
fn the_second_host_judges_rate_and_header_itself() {
    let mut lean = Pair::joined();
    lean.rekey();
    lean.open(8 * 65_535);
    for _ in 0..100 {
        let datagram = lean.seal(&[0; 1400]);
        lean.arrive(&datagram);
    }
    let counted = &lean.inner.counters().streams["5"];
    assert_eq!(counted.admitted, 65_535 / 1412);
    assert_eq!(counted.refused["over_rate"], 100 - 65_535 / 1412);
    told(&mut lean.inner, &expect("5", "10.0.0.1", 6, 1 << 40));
    let datagram = lean.seal(b"agreed was another number");
    lean.arrive(&datagram);
    assert_eq!(
        lean.inner.counters().streams["5"].refused["foreign_ssrc"],
        1
    );
}

#[test]
fn any_bytes_are_refused_and_counted() {
    let mut pair = Pair::keyed();
    let (mut dice, mut good) = (Dice(77), 0);
    for round in 0..20_000 {
        let mut datagram = pair.seal(&[1; 40]);
        match dice.roll(6) {
            0 => datagram = (0..dice.roll(80)).map(|_| byte(&mut dice)).collect(),
            1 => datagram.truncate(dice.roll(datagram.len())),
            2 => {
                let at = dice.roll(datagram.len());
                datagram[at] ^= 1 + byte(&mut dice) % 255;
            }
            3 => {
                let at = dice.roll(12);
                for it in &mut datagram[at..] {
                    *it = byte(&mut dice);
                }
            }
            4 => datagram.extend((0..=dice.roll(40)).map(|_| byte(&mut dice))),
            _ => {
                good += 1;
                let (seconds, told) = (Duration::from_millis(round), datagram);
                pair.inner.feed(inner(), &told, outer(), NOW + seconds);
                assert_eq!(pair.inner.take_outputs().len(), 1);
                continue;
            }
        }
        assert!(pair.arrive(&datagram).is_empty());
    }
    assert_eq!(pair.trunk().opened, good);
    assert_eq!(pair.count("unknown_stream"), 0);
    assert_eq!(pair.trunk().received, 20_000);
}

fn byte(dice: &mut Dice) -> u8 {
    u8::try_from(dice.roll(256)).unwrap()
}

#[test]
fn only_offers_are_accepted() {
    let mut pair = Pair::keyed();
    let offer = pair.inner.offer().unwrap().unwrap();
    for length in 0..OFFER_BYTES {
        assert!(pair.outer.accept(&offer[..length]).unwrap().is_err());
    }
    assert!(
        pair.outer
            .accept(&[&offer[..], &[0]].concat())
            .unwrap()
            .is_err()
    );
    let mut another = offer;
    another[0] = 2;
    assert!(pair.outer.accept(&another).unwrap().is_err());
    let good = pair.seal(b"the key before holds");
    assert_eq!(pair.arrive(&good), [b"the key before holds"]);
    let said = format!("{:?}", pair.outer);
    let key = format!("{:?}", &offer[2..6]);
    let digits = key.trim_matches(['[', ']']);
    assert!(!said.contains(digits), "a key in {said}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let mut alone = Twin::new(1);
    refused(&mut alone, &from_trunk("5", 5), "no trunk");
    assert!(alone.offer().is_none() && alone.accept(&[]).is_none());
    let mut pair = Pair::keyed();
    refused(&mut pair.inner, &join(inner(), outer()), "joined already");
    refused(&mut pair.inner, &from_trunk("6", 5), "that number");
    refused(&mut pair.inner, &from_trunk("5", 6), "is open");
    told(&mut pair.outer, &over_trunk("gone", 5)); // its stream has just been closed
    let at = r#"{"type":"Open","stream":"x","address":"10.0.0.2","port":7000}"#;
    refused(&mut pair.inner, at, "in use");
}

#[test]
fn a_closed_stream_leaves_its_number_free_and_is_heard_no_more() {
    let mut pair = Pair::keyed();
    told(&mut pair.inner, r#"{"type":"Close","stream":"5"}"#);
    let late = pair.seal(b"late");
    assert!(pair.arrive(&late).is_empty());
    assert_eq!(pair.count("unknown_stream"), 1);
    told(&mut pair.inner, &from_trunk("again", 5));
    let open = r#"{"type":"DropViewer","stream":"s","viewer":"trunk"}"#;
    told(&mut pair.outer, open);
    told(&mut pair.outer, &over_trunk("s", 5));
    let (before, beyond) = (pair.outer.counters(), pair.inner.counters());
    let sockets = (before.receiving_sockets, before.sending_sockets);
    assert_eq!(sockets, (1, 0));
    let sockets = (beyond.receiving_sockets, beyond.sending_sockets);
    assert_eq!(sockets, (0, 0));
}
