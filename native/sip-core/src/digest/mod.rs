//! Digest authentication with MD5, SHA-256 and SM3, with and without qop (RFC 7616, RFC 8760, RFC 2069).

mod answer;
mod authorize;
mod parameters;

use std::ops::Deref;

use md5::Md5;
use sha2::Sha256;
use sm3::Sm3;
use subtle::ConstantTimeEq;

pub use authorize::{Request, Secret, authorize};
pub use parameters::Parameters;

pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";

/// What a digest is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Algorithm {
    Md5 = 0,
    Sha256 = 1,
    Sm3 = 2,
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sm3];

    /// As it stands in a challenge (Q01: it always does).
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sm3 => "SM3",
        }
    }

    /// In any case; an absent one is MD5 (RFC 7616 section 3.3). None: one that nobody here knows.
    pub fn read(name: &[u8]) -> Option<Self> {
        if name.is_empty() {
            return Some(Algorithm::Md5);
        }
        Algorithm::ALL
            .into_iter()
            .find(|one| one.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Bytes of its hash.
    pub fn bytes(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha256 | Algorithm::Sm3 => 32,
        }
    }

    /// Two that are equally strong have the same.
    fn strength(self) -> usize {
        self.bytes()
    }

    fn hash(self, parts: &[&[u8]]) -> Hex {
        #[cfg(test)]
        tests::HASHED.with(|hashed| hashed.set(hashed.get() + 1));
        match self {
            Algorithm::Md5 => hash::<Md5>(parts),
            Algorithm::Sha256 => hash::<Sha256>(parts),
            Algorithm::Sm3 => hash::<Sm3>(parts),
        }
    }
}

/// Is a proof to count its nonce (RFC 7616 section 3.3)?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Qop {
    /// As the other end can: offered, and not asked for.
    #[default]
    Both,
    /// Not offered, and as a client not used (RFC 2069).
    None,
    /// Nothing else is right.
    Auth,
}

impl Qop {
    pub const ALL: [Qop; 3] = [Qop::Both, Qop::None, Qop::Auth];

    pub fn name(self) -> &'static str {
        match self {
            Qop::Both => "both",
            Qop::None => "none",
            Qop::Auth => "auth",
        }
    }
}

/// What a counted proof has besides.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    pub nc: &'a [u8],
    pub cnonce: &'a [u8],
    /// The body, where it is proven too: qop is auth-int.
    pub body: Option<&'a [u8]>,
}

impl Counted<'_> {
    /// The value of qop.
    pub fn qop(&self) -> &'static str {
        match self.body {
            Some(_) => "auth-int",
            None => "auth",
        }
    }
}

fn hash<H: md5::Digest>(parts: &[&[u8]]) -> Hex {
    let mut state = H::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    Hex::of(&state.finalize())
}

/// A hash in lower-case hex.
#[derive(Clone, Copy)]
pub struct Hex {
    digits: [u8; 64],
    length: u8,
}

impl Hex {
    /// Of at most 32 bytes; more are cut off.
    pub fn of(hash: &[u8]) -> Self {
        let mut digits = [0; 64];
        let mut length = 0;
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            length += 2;
        }
        Hex { digits, length }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self).unwrap_or_default()
    }
}

impl Deref for Hex {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

/// The bytes of so many hex digits in any case.
pub fn unhex(digits: &[u8]) -> Option<Box<[u8]>> {
    let nibble = |digit: &u8| char::from(*digit).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(nibble(high)? << 4 | nibble(low)?).ok(),
            _ => None,
        })
        .collect()
}

pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Hex {
    algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// The response; `counted` where there is a qop. `uri` as the client wrote it (Q02).
pub fn response(
    algorithm: Algorithm,
    ha1: &Hex,
    nonce: &[u8],
    counted: Option<Counted<'_>>,
    method: &[u8],
    uri: &[u8],
) -> Hex {
    let ha2 = match counted.and_then(|one| one.body) {
        Some(body) => algorithm.hash(&[method, uri, &algorithm.hash(&[body])]),
        None => algorithm.hash(&[method, uri]),
    };
    match counted {
        Some(one) => {
            let qop = one.qop().as_bytes();
            algorithm.hash(&[ha1, nonce, one.nc, one.cnonce, qop, &ha2])
        }
        None => algorithm.hash(&[ha1, nonce, &ha2]),
    }
}

/// Equal in any case, in a time that tells nothing about where they differ.
pub fn equal(expected: &Hex, given: &[u8]) -> bool {
    let mut lower = [0; 64];
    let Some(lower) = lower.get_mut(..given.len()) else {
        return false;
    };
    lower.copy_from_slice(given);
    lower.make_ascii_lowercase();
    expected.ct_eq(lower).into() // false at once where the lengths differ: that of a hash is no secret
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many hashes this thread has made.
        pub(crate) static HASHED: Cell<u32> = const { Cell::new(0) };
    }

    #[test]
    fn sm3_is_that_of_the_standard() {
        let hash = Algorithm::Sm3.hash(&[b"abc"]);
        assert_eq!(
            hash.text(),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
    }

    #[test]
    fn algorithms_are_read_in_any_case_and_an_absent_one_is_md5() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.name();
            assert_eq!(Algorithm::read(name.as_bytes()), Some(algorithm));
            assert_eq!(
                Algorithm::read(name.to_lowercase().as_bytes()),
                Some(algorithm)
            );
        }
        assert_eq!(Algorithm::read(b""), Some(Algorithm::Md5));
        for unknown in ["MD5-sess", "SHA256", "SHA-512-256", "SM4"] {
            assert_eq!(Algorithm::read(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn a_response_is_compared_in_any_case_and_no_other_length_is_right() {
        let hash = Algorithm::Sha256.hash(&[b"x"]);
        assert!(equal(&hash, hash.text().to_uppercase().as_bytes()));
        for wrong in [&hash[..63], &[&*hash, b"0"].concat(), b"", &[b'f'; 64]] {
            assert!(!equal(&hash, wrong));
        }
        assert_eq!(unhex(&hash).map(|bytes| bytes.len()), Some(32));
        assert_eq!(unhex(b"abc"), None);
        assert_eq!(unhex(b"xy"), None);
    }
}
