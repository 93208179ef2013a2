//! Everything unpredictable comes from one 32-byte seed, so a test that fixes the seed fixes it all.

use std::hash::{BuildHasherDefault, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher13};

pub type Seed = [u8; 32];

/// A key of its own for each purpose.
pub fn derive(seed: &Seed, purpose: &str) -> Seed {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(seed).expect("HMAC takes any key");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}

fn half(seed: &Seed) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&seed[..16]);
    key
}

/// A stream of unpredictable bytes: SHA-256 over key and counter.
#[derive(Debug)]
pub struct Random {
    key: Seed,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Random {
    pub fn new(seed: &Seed, purpose: &str) -> Self {
        Random {
            key: derive(seed, purpose),
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for byte in &mut out {
            if self.used == self.block.len() {
                let hash = Sha256::new()
                    .chain_update(self.key)
                    .chain_update(self.counter.to_be_bytes());
                self.block = hash.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
        out
    }

    pub fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }
}

/// Keyed hashes: nobody who does not know the seed can make two requests collide.
#[derive(Debug)]
pub struct Keys {
    table: [u8; 16],
    tag: [u8; 16],
}

impl Keys {
    pub fn new(seed: &Seed) -> Self {
        Keys {
            table: half(&derive(seed, "table")),
            tag: half(&derive(seed, "tag")),
        }
    }

    /// Hash of the parts, of which there are a dozen at most, and of their lengths, so that no two splits are alike.
    pub fn hash(&self, parts: &[&[u8]]) -> u128 {
        // Into one piece first: a hasher is slow at many short ones, and to it they are all the same.
        let mut whole = [0; 512];
        let mut length = 0;
        let mut hasher = SipHasher13::new_with_key(&self.table);
        for part in parts {
            let size = part.len().to_le_bytes();
            whole[length..length + 4].copy_from_slice(&size[..4]);
            length += 4;
        }
        for part in parts {
            if length + part.len() > whole.len() {
                hasher.write(&whole[..length]);
                length = 0;
            }
            match whole.get_mut(length..length + part.len()) {
                Some(place) => {
                    place.copy_from_slice(part);
                    length += part.len();
                }
                None => hasher.write(part),
            }
        }
        hasher.write(&whole[..length]);
        hasher.finish128().as_u128()
    }

    /// The tag of our answers in a transaction, known again without memory of it.
    pub fn tag(&self, transaction_key: u128) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.tag);
        hasher.write_u128(transaction_key);
        hasher.finish()
    }
}

/// Of a table whose keys are keyed hashes already, or numbers of ours: no need to hash them again.
pub type ByHash = BuildHasherDefault<AsItIs>;

#[derive(Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    #[allow(clippy::cast_possible_truncation)] // half of a hash is a hash
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
