//! Whether a REGISTER proves who sent it (RFC 3261 section 22, RFC 2617).

use std::collections::HashMap;
use std::net::IpAddr;

use crate::codec::values::uri_user;
use crate::codec::{Head, Span};
use crate::digest::{self, Hex, Parameters};
use crate::nonce::{Nonces, Verdict};
use crate::random::{Seed, derive};
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
    realm: String,
    credentials: HashMap<Box<[u8]>, Hex>,
    dummy: Hex,
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
        let secret = derive(seed, "nobody's password");
        let secret = secret.escape_ascii().to_string();
        Registrar {
            nonces: Nonces::new(seed, realm, max_nonces),
            realm: realm.to_owned(),
            credentials: HashMap::new(),
            dummy: digest::ha1("", realm, &secret),
            qop,
        }
    }

    /// # Errors
    /// A sentence: not 32 hex digits.
    pub fn set_credentials(&mut self, user: &str, ha1: Option<&str>) -> Result<(), String> {
        let Some(ha1) = ha1 else {
            self.credentials.remove(user.as_bytes());
            return Ok(());
        };
        let mut hex = Hex::try_from(ha1.as_bytes()).map_err(|_| "HA1 is not 32 hex digits")?;
        if !hex.iter().all(u8::is_ascii_hexdigit) {
            return Err("HA1 is not 32 hex digits".to_owned());
        }
        hex.make_ascii_lowercase();
        self.credentials.insert(user.as_bytes().into(), hex);
        Ok(())
    }

    /// The value of WWW-Authenticate (Q01: the algorithm is always named).
    pub fn challenge(&mut self, address: IpAddr, stale: bool, now: Time) -> String {
        let nonce = self.nonces.issue(address, now);
        let realm = &self.realm;
        let qop = if self.qop { ", qop=\"auth\"" } else { "" };
        let stale = if stale { ", stale=true" } else { "" };
        format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=MD5{qop}{stale}")
    }

    /// Check a REGISTER that is not a retransmission; a right digest uses up its nonce or count.
    pub fn check(&mut self, bytes: &[u8], head: &Head, address: IpAddr, now: Time) -> Proof {
        let Some(given) = self.find(bytes, head) else {
            return Proof::default();
        };
        let username = given.username;
        let known = self.credentials.get(username.of(bytes));
        let counted = !given.qop.is_empty();
        let expected = digest::response(
            known.unwrap_or(&self.dummy),
            given.nonce.of(bytes),
            counted.then_some((given.nc.of(bytes), given.cnonce.of(bytes))),
            head.method(bytes),
            given.uri.of(bytes),
        );
        let right = digest::equal(&expected, given.response.of(bytes));
        let count = if counted {
            hex(given.nc.of(bytes))
        } else {
            None
        };
        let sound = given.is_md5(bytes)
            && (!counted || (given.qop.of(bytes).eq_ignore_ascii_case(b"auth") && count.is_some()))
            && same_target(bytes, given.uri, head.uri());
        if !(right && sound && known.is_some()) {
            return Proof {
                auth: Auth::Wrong,
                username,
                full: false,
            };
        }
        let verdict = self.nonces.spend(
            username.of(bytes),
            given.nonce.of(bytes),
            count,
            address,
            now,
        );
        let auth = if verdict == Verdict::Fresh {
            Auth::Verified
        } else {
            Auth::Stale
        };
        Proof {
            auth,
            username,
            full: verdict == Verdict::Full,
        }
    }

    /// The Digest for our realm, else the first one.
    fn find(&self, bytes: &[u8], head: &Head) -> Option<Parameters> {
        if !head.has_authorization() {
            return None;
        }
        let mut found = None;
        for value in head.headers(bytes, b"Authorization") {
            let Some(given) = Parameters::read(bytes, value) else {
                continue;
            };
            if given.realm.of(bytes) == self.realm.as_bytes() {
                return Some(given);
            }
            found.get_or_insert(given);
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
