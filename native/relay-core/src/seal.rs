//! Keys of the trunk: one for each direction and epoch, AES-256-GCM (NIST SP 800-38D, RFC 5116).
//!
//! Who receives makes the key and tells the sender, on a channel that is private and authentic already. So
//! it can open before anybody seals, and a packet that is sent back to its sender opens nothing.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::replay::Replay;

pub(crate) const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const VERSION: u8 = 1;
/// How many packets one key may seal: up to 2^11 bytes each, RFC 9001 appendix B.1.1.
pub const KEY_PACKETS: u64 = 1 << 28;

/// What one host tells the other so that it can seal: version, epoch, key.
pub const OFFER_BYTES: usize = 2 + KEY_BYTES;
pub type Offer = [u8; OFFER_BYTES];

/// Why no key came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKey {
    NotAnOffer,
    NoRandomness,
}

impl std::fmt::Display for BadKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::NotAnOffer => "that is no offer of a key",
            Self::NoRandomness => "the system gives no random numbers",
        })
    }
}

fn key(bytes: &[u8]) -> Result<LessSafeKey, BadKey> {
    let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| BadKey::NotAnOffer)?;
    Ok(LessSafeKey::new(key))
}

/// A counter is used once under one key: that is all that GCM asks of a nonce.
fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// What the other host gave us to seal with.
pub(crate) struct Sealer {
    pub(crate) epoch: u8,
    key: LessSafeKey,
    /// The counter from which on the key is spent.
    until: u64,
}

impl Sealer {
    /// `counter`: of the next packet; it goes on rising over all keys, so no key ever sees one twice.
    pub(crate) fn new(offer: &[u8], counter: u64) -> Result<Self, BadKey> {
        match offer {
            [VERSION, epoch, bytes @ ..] => Ok(Self {
                epoch: *epoch,
                key: key(bytes)?,
                until: counter.saturating_add(KEY_PACKETS),
            }),
            _ => Err(BadKey::NotAnOffer),
        }
    }

    /// Seal `head` ‖ `body` in place; `None` when the key is spent.
    pub(crate) fn seal(
        &self,
        counter: u64,
        head: &[u8],
        body: &mut [u8],
    ) -> Option<[u8; TAG_BYTES]> {
        if counter >= self.until {
            return None;
        }
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce(counter), Aad::from(head), body);
        sealed.ok()?.as_ref().try_into().ok()
    }
}

/// What we gave the other host, and what came sealed with it.
pub(crate) struct Opener {
    pub(crate) epoch: u8,
    pub(crate) replay: Replay,
    key: LessSafeKey,
}

impl Opener {
    /// A new random key, and what to tell the other host.
    pub(crate) fn new(epoch: u8) -> Result<(Self, Offer), BadKey> {
        let mut offer = [0; OFFER_BYTES];
        offer[..2].copy_from_slice(&[VERSION, epoch]);
        let filled = SystemRandom::new().fill(&mut offer[2..]);
        filled.map_err(|_| BadKey::NoRandomness)?;
        let opener = Self {
            epoch,
            replay: Replay::new(),
            key: key(&offer[2..])?,
        };
        Ok((opener, offer))
    }

    /// Open `body` (with its tag) in place; return the length of what was sealed.
    pub(crate) fn open(&self, counter: u64, head: &[u8], body: &mut [u8]) -> Option<usize> {
        let opened = self
            .key
            .open_in_place(nonce(counter), Aad::from(head), body);
        opened.ok().map(|it| it.len())
    }
}

pub(crate) fn random_byte() -> Result<u8, BadKey> {
    let mut byte = [0];
    let filled = SystemRandom::new().fill(&mut byte);
    filled.map_err(|_| BadKey::NoRandomness)?;
    Ok(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_key_seals_nothing_more() {
        let (opener, offer) = Opener::new(7).unwrap();
        let first = 1 << 40;
        let sealer = Sealer::new(&offer, first).unwrap();
        let mut body = *b"payload";
        assert!(
            sealer
                .seal(first + KEY_PACKETS, b"head", &mut body)
                .is_none()
        );
        assert_eq!(&body, b"payload", "and it did not touch it");
        let last = first + KEY_PACKETS - 1;
        let tag = sealer.seal(last, b"head", &mut body).unwrap();
        let mut datagram = [&body[..], &tag].concat();
        assert_eq!(opener.open(last, b"head", &mut datagram), Some(7));
        assert_eq!(&datagram[..7], b"payload");
    }
}
