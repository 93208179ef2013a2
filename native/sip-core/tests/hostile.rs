//! The short form of the fuzz targets in native/fuzz: their corpus, and mutations of sound messages.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/held/exchange.rs"]
mod exchange;
#[path = "../../fuzz/held/invariants.rs"]
mod invariants;

const ROUNDS: u64 = 4_000;
const SOUND: [&[u8]; 4] = [
    b"REGISTER sip:a@r SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@r>;tag=1\r\nTo: <sip:a@r>\r\n\
      Call-ID: c\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@h>\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n",
    b"INVITE sip:b@r SIP/2.0\r\nv: SIP/2.0/UDP h:5060;rport;branch=z9hG4bK2\r\nf: \"A\" <sip:a@r>;tag=2\r\nt: <sip:b@r>\r\n\
      i: d\r\nCSeq: 7 INVITE\r\nMax-Forwards: 70\r\nc: application/sdp\r\nl: 5\r\n\r\nv=0\r\n",
    b"CANCEL sip:b@r SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK2\r\nFrom: <sip:a@r>;tag=2\r\nTo: <sip:b@r>\r\n\
      Call-ID: d\r\nCSeq: 7 CANCEL\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK00000000000000ab\r\nFrom: <sip:a@r>;tag=3\r\nTo: <sip:b@r>;tag=4\r\n\
      Call-ID: e\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
];
const PIECES: [&[u8]; 14] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\"",
    b"<",
    b";",
    b",",
    b"\xfe",
    b"\xff",
    b"99999999999",
    b"Content-Length: 3\r\n",
    b"Require: x\r\n",
    b"SIP/2.0",
    b"SIP/7.0",
];

/// Numbers that are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }
}

/// One to four sound messages with a few pieces put in, taken out or doubled; the first byte is for `stream`.
fn mutated(dice: &mut Dice) -> Vec<u8> {
    let mut data = vec![u8::try_from(dice.below(256)).expect("a byte")];
    for _ in 0..=dice.below(4) {
        data.extend_from_slice(SOUND[dice.below(SOUND.len())]);
        if dice.below(2) == 0 {
            data.push(0xfe);
        }
    }
    let times = dice.below(8);
    spoil(dice, &mut data, 1, times);
    data
}

/// Put a piece in, take one out or double one, so many times, nowhere before `from`.
fn spoil(dice: &mut Dice, data: &mut Vec<u8>, from: usize, times: usize) {
    for _ in 0..times {
        let start = from + dice.below(data.len());
        let stop = (start + dice.below(40)).min(data.len());
        let start = start.min(stop);
        let piece = PIECES[dice.below(PIECES.len())].to_vec();
        match dice.below(3) {
            0 => drop(data.splice(start..start, piece)),
            1 => drop(data.splice(start..stop, piece)),
            _ => data.extend_from_within(start..stop),
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let files = fs::read_dir(folder).expect("the corpus stands beside its targets");
    files
        .map(|file| fs::read(file.expect("an entry").path()).expect("a file"))
        .collect()
}

#[test]
fn any_datagrams_give_messages_or_the_peers_error_and_state_stays_bounded() {
    let mut dice = Dice(0x5eed);
    for data in corpus("datagram") {
        invariants::datagrams(&data);
    }
    (0..ROUNDS).for_each(|_| invariants::datagrams(&mutated(&mut dice)));
}

#[test]
fn any_stream_means_the_same_in_any_pieces_and_state_stays_bounded() {
    let mut dice = Dice(0x5eed_5eed);
    for data in corpus("stream") {
        invariants::stream(&data);
    }
    (0..ROUNDS).for_each(|_| invariants::stream(&mutated(&mut dice)));
}

#[test]
fn whatever_is_played_no_proof_counts_twice_and_nothing_is_left() {
    let mut dice = Dice(0x5eed_0f0f);
    let plays = corpus("exchange");
    for play in &plays {
        exchange::exchange(play);
    }
    for _ in 0..ROUNDS / 4 {
        let mut play = plays[dice.below(plays.len())].clone();
        let times = dice.below(6);
        spoil(&mut dice, &mut play, 0, times);
        exchange::exchange(&play);
    }
}

/// The invariant has teeth: in these plays proofs do count, each once.
#[test]
fn a_right_proof_counts_once_however_often_it_comes() {
    let register = |branch: &str, extra: &str| {
        let text = format!(
            "<REGISTER sip:b@r SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK{branch}\r\nFrom: <sip:a@r>;tag=1\r\n\
             To: <sip:a@r>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@h>\r\n{extra}Content-Length: 0\r\n\r\n"
        );
        text.into_bytes()
    };
    let plays = |more: &[Vec<u8>]| {
        let mut acts = vec![register("1", ""), b">401".to_vec()];
        acts.extend_from_slice(more);
        exchange::exchange(&acts.join(&0xfe))
    };
    let (first, again) = (
        register("2", "Authorization: $A\r\n"),
        register("3", "Authorization: $A\r\n"),
    );
    assert_eq!(plays(&[]), 0);
    assert_eq!(plays(&[first.clone(), b">200".to_vec(), first.clone()]), 1);
    assert_eq!(plays(&[first.clone(), b">200".to_vec(), again]), 2);
    let late = [b"+\xf8".to_vec(), first];
    assert_eq!(plays(&late), 0, "its nonce has expired");
}
