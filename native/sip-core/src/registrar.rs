//! Whether a REGISTER proves who sent it (RFC 3261 section 22, RFC 7616, RFC 8760).

use std::net::IpAddr;

use crate::attempts::{Attempt, Attempts, Why};
use crate::codec::values::uri_user;
use crate::codec::{Head, Span};
use crate::credentials::{Credentials, Known};
use crate::digest::{self, Algorithm, Counted, Parameters, Qop};
use crate::nonce::{Nonces, Verdict};
use crate::random::Seed;
use crate::time::Time;

/// How a REGISTER proved itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Auth {
    /// No Digest at all.
    #[default]
    None = 0,
    Verified = 1,
    /// A wrong digest, or a user we do not know: nobody outside can tell which.
    Wrong = 2,
    /// The digest is right, but its nonce is not, not any more, or was used.
    Stale = 3,
}

#[derive(Debug)]
pub struct Registrar {
    pub nonces: Nonces,
    pub credentials: Credentials,
    attempts: Attempts,
    realm: String,
    qop: bool,
}

/// The outcome of one check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proof {
    pub auth: Auth,
    pub username: Span,
    pub full: bool,
}

impl Registrar {
    pub fn new(seed: &Seed, realm: &str, max_nonces: usize, qop: bool) -> Self {
        Registrar {
            nonces: Nonces::new(seed, realm, max_nonces),
            credentials: Credentials::new(seed),
            attempts: Attempts::default(),
            realm: realm.to_owned(),
            qop,
        }
    }

    /// Write the WWW-Authenticate for whoever says to be this user, the preferred one first (RFC 8760 section
    /// 2.3): one nonce, which is good for one of them. Q01: the algorithm is always named.
    pub fn challenge(
        &mut self,
        out: &mut Vec<u8>,
        user: &[u8],
        address: IpAddr,
        stale: bool,
        now: Time,
    ) {
        let nonce = self.nonces.issue(address, now);
        let offer = self.credentials.offered(user);
        let counts = self.qop && offer.qop != Qop::None;
        for algorithm in &offer.algorithms {
            let parts: [&[u8]; 8] = [
                b"WWW-Authenticate: Digest realm=\"",
                self.realm.as_bytes(),
                b"\", nonce=\"",
                &nonce,
                b"\", algorithm=",
                algorithm.name().as_bytes(),
                if counts { b", qop=\"auth\"" } else { b"" },
                if stale { b", stale=true\r\n" } else { b"\r\n" },
            ];
            for part in parts {
                out.extend_from_slice(part);
            }
        }
    }

    /// Check a REGISTER that is not a retransmission; a right digest uses up its nonce or count.
    ///
    /// Whoever is unknown costs the same hashes as whoever does not know the password.
    pub fn check(&mut self, bytes: &[u8], head: &Head, address: IpAddr, now: Time) -> Proof {
        let Some((value, given)) = self.find(bytes, head) else {
            return Proof::default();
        };
        let user = given.username.of(bytes);
        let read = Algorithm::read(given.algorithm.of(bytes));
        let algorithm = read.unwrap_or(Algorithm::Md5);
        let Known {
            key,
            offered,
            qop,
            exists: known,
        } = self.credentials.find(user, algorithm);
        let counted = !given.qop.is_empty();
        let expected = digest::response(
            algorithm,
            &key,
            given.nonce.of(bytes),
            counted.then_some(Counted {
                nc: given.nc.of(bytes),
                cnonce: given.cnonce.of(bytes),
                body: None,
            }),
            head.method(bytes),
            given.uri.of(bytes),
        );
        let right = digest::equal(&expected, given.response.of(bytes));
        let count = if counted {
            hex(given.nc.of(bytes))
        } else {
            None
        };
        let fits = if counted {
            given.qop.of(bytes).eq_ignore_ascii_case(b"auth")
        } else {
            qop != Qop::Auth
        };
        let wrong = if given.realm.of(bytes) != self.realm.as_bytes() {
            Some(Why::Realm)
        } else if !known {
            Some(Why::User)
        } else if read.is_none() || !offered {
            Some(Why::Algorithm)
        } else if !same_target(bytes, given.uri, head.uri()) {
            Some(Why::Target)
        } else if !fits {
            Some(Why::Qop)
        } else if counted && count.is_none() {
            Some(Why::Count)
        } else if !right {
            Some(Why::Response)
        } else {
            None
        };
        let (auth, why) = if let Some(why) = wrong {
            (Auth::Wrong, Some(why))
        } else {
            let nonce = given.nonce.of(bytes);
            match self.nonces.spend(nonce, count, address, now) {
                Verdict::Fresh => (Auth::Verified, None),
                Verdict::Foreign => (Auth::Stale, Some(Why::Foreign)),
                Verdict::Expired => (Auth::Stale, Some(Why::Expired)),
                Verdict::Used => (Auth::Stale, Some(Why::Used)),
                Verdict::Full => (Auth::Stale, Some(Why::Full)),
            }
        };
        if let Some(why) = why {
            let attempt = Attempt::new(why, now, address, head.uri().of(bytes), value.of(bytes));
            self.attempts.note(user, known, attempt);
        }
        Proof {
            auth,
            username: given.username,
            full: why == Some(Why::Full),
        }
    }

    /// What of this user was not right lately, the newest last; and when we issued the nonce of each, if we
    /// did and to that address.
    pub fn attempts(&self, user: &[u8]) -> impl Iterator<Item = (&Attempt, Option<Time>)> {
        self.attempts.of(user).map(|attempt| {
            let nonce = attempt.given().nonce.of(attempt.credentials());
            let issued = self.nonces.ours(nonce, attempt.source);
            (attempt, issued.map(|given| given.issued))
        })
    }

    /// Whether a REGISTER comes with a nonce that was given to its address: whoever made that up is not there.
    pub fn shows_nonce(&self, bytes: &[u8], head: &Head, address: IpAddr, now: Time) -> bool {
        self.find(bytes, head)
            .is_some_and(|(_, given)| self.nonces.is_ours(given.nonce.of(bytes), address, now))
    }

    /// The Digest for our realm, else the first one; and the whole value that it stands in.
    fn find(&self, bytes: &[u8], head: &Head) -> Option<(Span, Parameters)> {
        if !head.has_authorization() {
            return None;
        }
        if let Some(value) = head.only_authorization() {
            return Some((value, Parameters::read(bytes, value)?));
        }
        let mut found = None;
        for value in head.headers(bytes, b"Authorization") {
            let Some(given) = Parameters::read(bytes, value) else {
                continue;
            };
            if given.realm.of(bytes) == self.realm.as_bytes() {
                return Some((value, given));
            }
            found.get_or_insert((value, given));
        }
        found
    }
}

/// The digest's URI may name another host than the Request-URI (Q02), but nobody else than it.
fn same_target(bytes: &[u8], given: Span, target: Span) -> bool {
    let (given, target) = (
        uri_user(bytes, given).of(bytes),
        uri_user(bytes, target).of(bytes),
    );
    given.is_empty() || target.is_empty() || given == target
}

/// A nonce count: up to eight hex digits.
fn hex(digits: &[u8]) -> Option<u32> {
    if digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
