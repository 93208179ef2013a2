//! Nonces, of which two bits each are remembered: was it used, and does its user count.
//!
//! base64(timestamp || number, covered || 8 random bytes || HMAC-SHA256(key, all that || address || realm)[:16]).
//! Bound to the address of the asker, not to its port: address translation changes ports at will. The number says
//! which two bits are those of a nonce; it is covered, lest it tell how many ask. Only of the last so many nonces are
//! there bits, and who answers an older one is challenged anew. A count above 1 takes an entry of its own.

use std::collections::{HashMap, VecDeque};
use std::hash::Hasher;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

use crate::network::octets;
use crate::random::{ByHash, Random, Seed, derive};
use crate::time::Time;

/// How long a nonce may be used.
pub const LIFETIME: u64 = 60_000_000;
/// Of how many nonces one may be counted beyond 1: who finds no place is challenged anew, and begins at 1.
const COUNTED: usize = 4;
const RAW: usize = 8 + 8 + 8 + 16;

/// What `RAW` bytes are in base64.
const TEXT: usize = RAW.div_ceil(3) * 4;

type Signature = [u8; 16];

/// As it stands in a challenge.
pub type Nonce = [u8; TEXT];

/// What is remembered of a nonce that is counted beyond 1.
#[derive(Debug, Clone, Copy)]
struct Use {
    highest: u32,
    /// Bit n: the count `highest - n` was seen.
    window: u64,
}

/// A bit for each of the last nonces.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Bits(vec![0; count.div_ceil(64)])
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }

    fn set(&mut self, place: usize, value: bool) {
        let bit = 1 << (place % 64);
        if value {
            self.0[place / 64] |= bit;
        } else {
            self.0[place / 64] &= !bit;
        }
    }
}

#[derive(Debug)]
pub struct Nonces {
    mac: Hmac<Sha256>,
    realm: String,
    random: Random,
    /// Covers the numbers.
    cover: [u8; 16],
    /// The number of the next nonce; those below `first` were given before the limit was changed.
    next: u64,
    first: u64,
    limit: usize,
    used: Bits,
    counted: Bits,
    /// How many bits of `used` are set.
    counts: HashMap<u64, Use, ByHash>,
    order: VecDeque<(Time, u64)>,
}

/// Whether a right digest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Fresh,
    /// Not of ours, or given to another address or for another realm.
    Foreign,
    Expired,
    /// It was used, or this count of it; or the count is 0.
    Used,
    /// So many were given since that nobody knows whether it was used; or too many are counted beyond 1.
    Full,
}

/// One that we gave to its asker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    pub issued: Time,
    number: u64,
}

impl Nonces {
    /// The last `limit` nonces may be used.
    pub fn new(seed: &Seed, realm: &str, limit: usize) -> Self {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&derive(seed, "nonce"))
            .expect("HMAC takes any key");
        let mut cover = [0; 16];
        cover.copy_from_slice(&derive(seed, "numbers of nonces")[..16]);
        let limit = limit.max(1);
        Nonces {
            mac,
            realm: realm.to_owned(),
            random: Random::new(seed, "nonce random"),
            cover,
            next: 0,
            first: 0,
            limit,
            used: Bits::new(limit),
            counted: Bits::new(limit),
            counts: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    pub fn issue(&mut self, address: IpAddr, now: Time) -> Nonce {
        let number = self.next;
        self.next += 1;
        let place = self.place(number);
        self.used.set(place, false);
        let mut raw = [0; RAW];
        raw[..8].copy_from_slice(&now.micros().to_be_bytes());
        raw[16..24].copy_from_slice(&self.random.bytes::<8>());
        let covered = number ^ self.cover(&raw);
        raw[8..16].copy_from_slice(&covered.to_be_bytes());
        let signature = self.sign(&raw[..24], address);
        raw[24..].copy_from_slice(&signature);
        let mut nonce = [0; TEXT];
        STANDARD
            .encode_slice(raw, &mut nonce)
            .expect("room for as many bytes in base64");
        nonce
    }

    fn place(&self, number: u64) -> usize {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        usize::try_from(number % limit).unwrap_or(0)
    }

    /// What its number is covered by.
    fn cover(&self, raw: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.cover);
        hasher.write(&raw[..8]);
        hasher.write(&raw[16..24]);
        hasher.finish()
    }

    fn sign(&self, head: &[u8], address: IpAddr) -> Signature {
        let mut mac = self.mac.clone();
        mac.update(head);
        mac.update(&octets(address));
        mac.update(self.realm.as_bytes());
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut signature = [0; 16];
        signature.copy_from_slice(&full[..16]);
        signature
    }

    /// Count one right digest; `count` is its nc, None without qop.
    pub fn spend(
        &mut self,
        nonce: &[u8],
        count: Option<u32>,
        address: IpAddr,
        now: Time,
    ) -> Verdict {
        let Some(Given { issued, number }) = self.ours(nonce, address) else {
            return Verdict::Foreign;
        };
        // A number still to come is of another process with the same seed.
        if now < issued || now.since(issued) > LIFETIME || number >= self.next {
            return Verdict::Expired;
        }
        let given_since = usize::try_from(self.next - number).unwrap_or(usize::MAX);
        if number < self.first || given_since > self.limit {
            return Verdict::Full;
        }
        let place = self.place(number);
        if !self.used.has(place) {
            match count {
                Some(0) => return Verdict::Used,
                None | Some(1) => {}
                Some(highest) => {
                    let entry = Use { highest, window: 1 };
                    if !self.remember(number, entry, now) {
                        return Verdict::Full;
                    }
                }
            }
            self.used.set(place, true);
            self.counted.set(place, count.is_some());
            return Verdict::Fresh;
        }
        let Some(count) = count.filter(|_| self.counted.has(place)) else {
            return Verdict::Used;
        };
        let begun = Use {
            highest: 1,
            window: 1,
        };
        let mut entry = self.counts.get(&number).copied().unwrap_or(begun);
        if !entry.see(count) {
            return Verdict::Used;
        }
        if self.remember(number, entry, now) {
            Verdict::Fresh
        } else {
            Verdict::Full
        }
    }

    /// Note how far this one is counted; false: there is no place for one more.
    fn remember(&mut self, number: u64, entry: Use, now: Time) -> bool {
        if let Some(place) = self.counts.get_mut(&number) {
            *place = entry;
            return true;
        }
        self.forget(now);
        if self.counts.len() >= self.limit.div_ceil(COUNTED) {
            return false;
        }
        self.counts.insert(number, entry);
        self.order.push_back((now.after(LIFETIME), number));
        true
    }

    /// When we issued this nonce, if we did and to this address.
    pub fn ours(&self, nonce: &[u8], address: IpAddr) -> Option<Given> {
        let mut raw = [0; RAW + 2]; // the decoder wants room for the padding
        let length = STANDARD.decode_slice(nonce, &mut raw).ok()?;
        let raw = raw.get(..length).filter(|raw| raw.len() == RAW)?;
        let signature = self.sign(&raw[..24], address);
        if !bool::from(signature.ct_eq(&raw[24..])) {
            return None;
        }
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).ok();
        Some(Given {
            issued: Time::from_micros(number(&raw[..8])?),
            number: number(&raw[8..16])? ^ self.cover(raw),
        })
    }

    /// Drop counts of nonces that have expired: they stand in the order in which they began, which is late enough.
    pub fn forget(&mut self, now: Time) {
        while let Some((_, number)) = self.order.front().filter(|(until, _)| *until < now) {
            self.counts.remove(number);
            self.order.pop_front();
            if self.order.is_empty() {
                self.counts = HashMap::default();
                self.order = VecDeque::new();
            }
        }
    }

    /// From now on the last so many may be used. Of those that were given before, none may.
    pub fn set_limit(&mut self, limit: usize) {
        let limit = limit.max(1);
        if limit == self.limit {
            return;
        }
        self.limit = limit;
        self.first = self.next;
        (self.used, self.counted) = (Bits::new(limit), Bits::new(limit));
        self.counts.clear();
        self.order.clear();
    }

    /// Whether that is a nonce of ours to this address which has not expired; it may be used up.
    pub fn is_ours(&self, nonce: &[u8], address: IpAddr, now: Time) -> bool {
        self.ours(nonce, address)
            .is_some_and(|given| given.issued <= now && now.since(given.issued) <= LIFETIME)
    }

    /// How many take memory besides their two bits: those that are counted beyond 1, until they expire.
    pub fn counting(&self) -> usize {
        self.counts.len()
    }

    /// How many of the last ones were used.
    #[cfg(test)]
    fn spent(&self) -> usize {
        (0..self.limit)
            .filter(|&place| self.used.has(place))
            .count()
    }
}

impl Use {
    fn see(&mut self, count: u32) -> bool {
        if count > self.highest {
            let shift = count - self.highest;
            self.window = if shift < 64 {
                (self.window << shift) | 1
            } else {
                1
            };
            self.highest = count;
            return true;
        }
        let back = self.highest - count;
        if count == 0 || back >= 64 || self.window & (1 << back) != 0 {
            return false;
        }
        self.window |= 1 << back;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    fn nonces(limit: usize) -> Nonces {
        Nonces::new(&[7; 32], "4401000000", limit)
    }

    #[test]
    fn without_a_count_a_nonce_is_good_once_for_its_own_address_and_time() {
        let mut nonces = nonces(9);
        let nonce = nonces.issue(HERE, at(100));
        assert_eq!(nonces.spend(&nonce, None, THERE, at(101)), Verdict::Foreign);
        assert_eq!(nonces.spend(&nonce, None, HERE, at(99)), Verdict::Expired);
        assert_eq!(nonces.spend(&nonce, None, HERE, at(161)), Verdict::Expired);
        assert_eq!(nonces.spend(&nonce, None, HERE, at(160)), Verdict::Fresh);
        assert_eq!(nonces.spend(&nonce, None, HERE, at(160)), Verdict::Used);
        assert_eq!(nonces.spend(&nonce, Some(1), HERE, at(160)), Verdict::Used);
    }

    #[test]
    fn with_counts_each_is_good_once_within_64() {
        let mut nonces = nonces(9);
        let nonce = nonces.issue(HERE, at(0));
        let mut spend = |count| nonces.spend(&nonce, Some(count), HERE, at(1)) == Verdict::Fresh;
        let outcomes: Vec<bool> = [1, 1, 3, 2, 2, 0, 66, 2, 4, 67, u32::MAX]
            .into_iter()
            .map(&mut spend)
            .collect();
        assert_eq!(
            outcomes,
            [
                true, false, true, true, false, false, true, false, true, true, true
            ]
        );
    }

    #[test]
    fn what_we_did_not_sign_is_stale_and_takes_no_memory() {
        let mut nonces = nonces(9);
        let mut other = Nonces::new(&[8; 32], "4401000000", 9);
        let mut realm = Nonces::new(&[7; 32], "4402000000", 9);
        for nonce in [
            &other.issue(HERE, at(1))[..],
            &realm.issue(HERE, at(1)),
            b"",
            &[b'x'; 9_000],
        ] {
            assert_eq!(nonces.spend(nonce, None, HERE, at(2)), Verdict::Foreign);
        }
        assert_eq!(nonces.spent(), 0);
    }

    #[test]
    fn who_answers_after_so_many_others_is_challenged_anew_and_nothing_is_replayed() {
        let mut nonces = nonces(3);
        let all: Vec<_> = (0..4).map(|_| nonces.issue(HERE, at(1))).collect();
        let mut spend = |which: usize| nonces.spend(&all[which], None, HERE, at(1));
        assert_eq!(spend(0), Verdict::Full);
        assert_eq!(spend(1), Verdict::Fresh);
        assert_eq!(spend(3), Verdict::Fresh);
        assert_eq!(spend(1), Verdict::Used);
        assert_eq!(nonces.spent(), 2);
        let next = nonces.issue(HERE, at(1)); // it has the bits that were those of the second
        assert_eq!(nonces.spent(), 1);
        assert_eq!(nonces.spend(&all[1], None, HERE, at(1)), Verdict::Full);
        assert_eq!(nonces.spend(&next, None, HERE, at(1)), Verdict::Fresh);
        assert_eq!(nonces.spend(&all[3], None, HERE, at(1)), Verdict::Used);
    }

    #[test]
    fn after_another_limit_only_newer_ones_count() {
        let mut nonces = nonces(9);
        let (used, open) = (nonces.issue(HERE, at(1)), nonces.issue(HERE, at(1)));
        assert_eq!(nonces.spend(&used, None, HERE, at(1)), Verdict::Fresh);
        nonces.set_limit(9);
        assert_eq!(nonces.spend(&used, None, HERE, at(1)), Verdict::Used);
        nonces.set_limit(99);
        assert_eq!(nonces.spend(&used, None, HERE, at(1)), Verdict::Full);
        assert_eq!(nonces.spend(&open, None, HERE, at(1)), Verdict::Full);
        let newer = nonces.issue(HERE, at(1));
        assert_eq!(nonces.spend(&newer, None, HERE, at(1)), Verdict::Fresh);
    }

    #[test]
    fn who_counts_beyond_one_where_too_many_do_is_challenged_anew_and_locks_out_nobody() {
        let mut nonces = nonces(8); // two of them may be counted beyond 1
        let all: Vec<_> = (0..4).map(|_| nonces.issue(HERE, at(1))).collect();
        let mut spend = |which: usize, count, seconds| {
            nonces.spend(&all[which], Some(count), HERE, at(seconds))
        };
        for which in 0..2 {
            assert_eq!(spend(which, 1, 1), Verdict::Fresh);
            assert_eq!(spend(which, 2, 1), Verdict::Fresh);
        }
        assert_eq!(spend(2, 1, 1), Verdict::Fresh);
        assert_eq!(spend(2, 2, 1), Verdict::Full);
        assert_eq!(spend(2, 1, 1), Verdict::Used);
        assert_eq!(spend(3, 7, 1), Verdict::Full);
        assert_eq!(spend(3, 1, 1), Verdict::Fresh);
        assert_eq!(spend(0, 3, 60), Verdict::Fresh);
        let fresh = nonces.issue(HERE, at(62));
        for count in [1, 2] {
            assert_eq!(
                nonces.spend(&fresh, Some(count), HERE, at(62)),
                Verdict::Fresh
            );
        }
        nonces.forget(at(200));
        assert_eq!((nonces.counts.len(), nonces.order.len()), (0, 0));
    }

    #[test]
    fn one_of_another_process_with_the_same_seed_is_not_ours_to_remember() {
        let mut other = nonces(9);
        other.issue(HERE, at(1));
        let nonce = other.issue(HERE, at(1));
        let mut nonces = nonces(9);
        nonces.issue(HERE, at(1));
        assert_eq!(nonces.spend(&nonce, None, HERE, at(1)), Verdict::Expired);
    }
}
