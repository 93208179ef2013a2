//! Everything unpredictable comes from one 32-byte seed, so a test that fixes the seed fixes it all.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

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

/// Of a table whose keys are names or addresses that nobody gets into it unasked: users of ours, and where those are
/// who proved it. Keyed and quick; whoever could fill a table with what it likes is hashed by `SipHash`.
#[derive(Debug, Clone)]
pub struct Quick {
    begin: u64,
    key: u64,
}

impl Quick {
    pub fn new(seed: &Seed, purpose: &str) -> Self {
        let key = half(&derive(seed, purpose));
        let [begin, key] = [&key[..8], &key[8..]].map(word);
        Quick {
            begin,
            key: key | 1,
        }
    }
}

impl BuildHasher for Quick {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded {
            state: self.begin,
            key: self.key,
        }
    }
}

/// Each word is multiplied by the key, and both halves of the product folded into one.
#[derive(Debug)]
pub struct Folded {
    state: u64,
    key: u64,
}

/// Up to eight bytes.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            self.write_u64(word(piece));
        }
        self.write_usize(bytes.len());
    }

    #[allow(clippy::cast_possible_truncation)] // both halves are taken
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(word.rotate_left(32));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
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
