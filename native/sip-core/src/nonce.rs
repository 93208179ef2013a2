//! Nonces that cost no memory until a right digest has used one.
//!
//! base64(timestamp || 16 random bytes || HMAC-SHA256(key, timestamp || random || address || realm)[:16]).
//! Bound to the address of the asker, not to its port: address translation changes ports at will.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::network::octets;
use crate::random::{ByHash, Quick, Random, Seed, derive};
use crate::time::Time;

/// How long a nonce may be used.
pub const LIFETIME: u64 = 60_000_000;
/// How many used nonces one user may have us remember: 68 registrations a second, for as long as it likes.
pub const SHARE: u32 = 4096;
/// Tables with more room than that and eight times what is in them give back what they do not need.
const SMALL: usize = 4096;
const RAW: usize = 8 + 16 + 16;

/// What `RAW` bytes are in base64.
const TEXT: usize = RAW.div_ceil(3) * 4;

type Signature = [u8; 16];

/// As it stands in a challenge.
pub type Nonce = [u8; TEXT];

/// What is remembered of a nonce from its first right use until it has expired.
#[derive(Debug)]
struct Use {
    highest: u32,
    /// Bit n: the count `highest - n` was seen.
    window: u64,
    /// Used once without a count, so never again.
    spent: bool,
}

#[derive(Debug)]
pub struct Nonces {
    mac: Hmac<Sha256>,
    realm: String,
    random: Random,
    /// By half of the signature: of two that share it the second is challenged anew, once in 2^64.
    used: HashMap<u64, Use, ByHash>,
    order: VecDeque<(Time, u64, u64)>,
    /// How many of them each user has, by a hash of its name under a key of our own.
    shares: HashMap<u64, u32, ByHash>,
    hasher: Quick,
    limit: usize,
    share: u32,
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
    /// It would be fresh, but the memory of used ones is full, or this user's share of it, and nothing in it
    /// may be forgotten yet.
    Full,
}

impl Nonces {
    /// At most `limit` used nonces are remembered, of one user at most [`SHARE`]: whoever uses up its own
    /// locks out nobody else.
    pub fn new(seed: &Seed, realm: &str, limit: usize) -> Self {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&derive(seed, "nonce"))
            .expect("HMAC takes any key");
        Nonces {
            mac,
            realm: realm.to_owned(),
            random: Random::new(seed, "nonce random"),
            used: HashMap::default(),
            order: VecDeque::new(),
            shares: HashMap::default(),
            hasher: Quick::new(seed, "shares of users"),
            limit,
            share: SHARE,
        }
    }

    pub fn issue(&mut self, address: IpAddr, now: Time) -> Nonce {
        let mut raw = [0; RAW];
        raw[..8].copy_from_slice(&now.micros().to_be_bytes());
        raw[8..24].copy_from_slice(&self.random.bytes::<16>());
        let signature = self.sign(&raw[..24], address);
        raw[24..].copy_from_slice(&signature);
        let mut nonce = [0; TEXT];
        STANDARD
            .encode_slice(raw, &mut nonce)
            .expect("room for as many bytes in base64");
        nonce
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

    /// Count one right digest of `user`; `count` is its nc, None without qop.
    pub fn spend(
        &mut self,
        user: &[u8],
        nonce: &[u8],
        count: Option<u32>,
        address: IpAddr,
        now: Time,
    ) -> Verdict {
        self.forget(now);
        let Some((issued, signature)) = self.ours(nonce, address) else {
            return Verdict::Foreign;
        };
        if now < issued || now.since(issued) > LIFETIME {
            return Verdict::Expired;
        }
        let mut place = [0; 8];
        place.copy_from_slice(&signature[..8]);
        let place = u64::from_be_bytes(place);
        if let Some(entry) = self.used.get_mut(&place) {
            let fresh = count.is_some_and(|count| !entry.spent && entry.see(count));
            return if fresh { Verdict::Fresh } else { Verdict::Used };
        }
        if count == Some(0) {
            return Verdict::Used;
        }
        let user = self.hasher.hash_one(user);
        let share = self.shares.entry(user).or_default();
        if self.used.len() >= self.limit || *share >= self.share {
            if *share == 0 {
                self.shares.remove(&user);
            }
            return Verdict::Full;
        }
        *share += 1;
        let entry = Use {
            highest: count.unwrap_or(0),
            window: 1,
            spent: count.is_none(),
        };
        self.used.insert(place, entry);
        self.order.push_back((now.after(LIFETIME), place, user));
        Verdict::Fresh
    }

    /// When we issued this nonce, if we did and to this address; and its signature.
    pub fn ours(&self, nonce: &[u8], address: IpAddr) -> Option<(Time, Signature)> {
        let mut raw = [0; RAW + 2]; // the decoder wants room for the padding
        let length = STANDARD.decode_slice(nonce, &mut raw).ok()?;
        let raw = raw.get(..length).filter(|raw| raw.len() == RAW)?;
        let signature = self.sign(&raw[..24], address);
        if !bool::from(signature.ct_eq(&raw[24..])) {
            return None;
        }
        let mut issued = [0; 8];
        issued.copy_from_slice(&raw[..8]);
        Some((Time::from_micros(u64::from_be_bytes(issued)), signature))
    }

    /// Drop what has expired: entries stand in the order of their first use, which is late enough.
    pub fn forget(&mut self, now: Time) {
        while let Some((until, place, user)) = self.order.front() {
            if *until >= now {
                break;
            }
            self.used.remove(place);
            if let Entry::Occupied(mut share) = self.shares.entry(*user) {
                *share.get_mut() -= 1;
                if *share.get() == 0 {
                    share.remove();
                }
            }
            self.order.pop_front();
            if self.used.capacity() > SMALL && self.used.len() < self.used.capacity() / 8 {
                self.used.shrink_to(2 * self.used.len());
                self.shares.shrink_to(2 * self.shares.len());
                self.order.shrink_to(2 * self.order.len());
            }
        }
    }

    /// Remember so many from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether that is a nonce of ours to this address which has not expired; it may be used up.
    pub fn is_ours(&self, nonce: &[u8], address: IpAddr, now: Time) -> bool {
        self.ours(nonce, address)
            .is_some_and(|(issued, _)| issued <= now && now.since(issued) <= LIFETIME)
    }

    pub fn remembered(&self) -> usize {
        self.used.len()
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

    const USER: &[u8] = b"44010600002000000001";

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
        assert_eq!(
            nonces.spend(USER, &nonce, None, THERE, at(101)),
            Verdict::Foreign
        );
        assert_eq!(
            nonces.spend(USER, &nonce, None, HERE, at(99)),
            Verdict::Expired
        );
        assert_eq!(
            nonces.spend(USER, &nonce, None, HERE, at(161)),
            Verdict::Expired
        );
        assert_eq!(
            nonces.spend(USER, &nonce, None, HERE, at(160)),
            Verdict::Fresh
        );
        assert_eq!(
            nonces.spend(USER, &nonce, None, HERE, at(160)),
            Verdict::Used
        );
        assert_eq!(
            nonces.spend(USER, &nonce, Some(1), HERE, at(160)),
            Verdict::Used
        );
    }

    #[test]
    fn with_counts_each_is_good_once_within_64() {
        let mut nonces = nonces(9);
        let nonce = nonces.issue(HERE, at(0));
        let mut spend =
            |count| nonces.spend(USER, &nonce, Some(count), HERE, at(1)) == Verdict::Fresh;
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
            assert_eq!(
                nonces.spend(USER, nonce, None, HERE, at(2)),
                Verdict::Foreign
            );
        }
        assert_eq!(nonces.remembered(), 0);
    }

    #[test]
    fn a_full_memory_forgets_nothing_that_could_be_replayed() {
        let mut nonces = nonces(1);
        let (first, second) = (nonces.issue(HERE, at(0)), nonces.issue(HERE, at(30)));
        assert_eq!(
            nonces.spend(USER, &first, None, HERE, at(20)),
            Verdict::Fresh
        );
        assert_eq!(
            nonces.spend(USER, &second, None, HERE, at(31)),
            Verdict::Full
        );
        assert_eq!(
            nonces.spend(USER, &first, None, HERE, at(40)),
            Verdict::Used
        );
        assert_eq!(
            nonces.spend(USER, &second, None, HERE, at(81)),
            Verdict::Fresh
        );
    }

    #[test]
    fn who_uses_up_its_share_locks_out_nobody_else() {
        let mut nonces = nonces(9);
        nonces.share = 3;
        let other: &[u8] = b"44010600002000000002";
        let mut spend = |user: &[u8], seconds| {
            let nonce = nonces.issue(HERE, at(seconds));
            nonces.spend(user, &nonce, None, HERE, at(seconds))
        };
        for _ in 0..3 {
            assert_eq!(spend(USER, 1), Verdict::Fresh);
        }
        for _ in 0..9 {
            assert_eq!(spend(USER, 2), Verdict::Full);
        }
        assert_eq!(spend(other, 2), Verdict::Fresh);
        assert_eq!(spend(USER, 62), Verdict::Fresh, "its own have expired");
        assert_eq!(spend(other, 200), Verdict::Fresh);
        assert_eq!((nonces.remembered(), nonces.shares.len()), (1, 1));
    }
}
