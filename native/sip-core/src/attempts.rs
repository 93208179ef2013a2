//! What was not right about the last digests of a user, for whoever asks why it does not register.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::codec::Span;
use crate::digest::Parameters;
use crate::time::Time;

/// Users with an attempt, those whom we know and as many others; who failed first is forgotten first.
const USERS: usize = 2048;
/// Of one user: from so many addresses, the last from each.
const SOURCES: usize = 4;
/// Bytes kept of its credentials, and of its Request-URI.
const KEPT: usize = 768;

/// The first thing that was not right, in the order of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Realm,
    /// Nobody whom we know.
    User,
    /// One that nobody knows, or that this user is not offered.
    Algorithm,
    /// Its URI is for somebody else than the Request-URI.
    Target,
    /// Another qop than auth, or none where one is agreed.
    Qop,
    /// A nonce count that is no number.
    Count,
    /// The hash: another password, or something else was hashed than what stands there.
    Response,
    /// The hash is right; the nonce is not ours, or was given to another address.
    Foreign,
    Expired,
    /// The nonce was used, or its count.
    Used,
    /// So many nonces were given since that nobody knows whether it was used; or too many are counted.
    Full,
}

impl Why {
    pub fn name(self) -> &'static str {
        match self {
            Why::Realm => "realm",
            Why::User => "user",
            Why::Algorithm => "algorithm",
            Why::Target => "target",
            Why::Qop => "qop",
            Why::Count => "count",
            Why::Response => "response",
            Why::Foreign => "nonce-foreign",
            Why::Expired => "nonce-expired",
            Why::Used => "nonce-used",
            Why::Full => "nonces-full",
        }
    }
}

/// One digest that was not right.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub why: Why,
    pub at: Time,
    pub source: IpAddr,
    /// The Request-URI and behind it the value of Authorization, each cut off.
    text: Box<[u8]>,
    target: usize,
}

impl Attempt {
    pub fn new(why: Why, at: Time, source: IpAddr, target: &[u8], credentials: &[u8]) -> Self {
        let target = &target[..target.len().min(KEPT)];
        let credentials = &credentials[..credentials.len().min(KEPT)];
        Attempt {
            why,
            at,
            source,
            text: [target, credentials].concat().into(),
            target: target.len(),
        }
    }

    pub fn target(&self) -> &[u8] {
        &self.text[..self.target]
    }

    pub fn credentials(&self) -> &[u8] {
        &self.text[self.target..]
    }

    /// Where things are in its credentials.
    pub fn given(&self) -> Parameters {
        let bytes = self.credentials();
        Parameters::read(bytes, Span::new(0, bytes.len())).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Table {
    users: HashMap<Box<[u8]>, VecDeque<Attempt>>,
    order: VecDeque<Box<[u8]>>,
}

/// Those whom we know and the others have a table each, so that no stranger displaces a peer.
#[derive(Debug, Default)]
pub struct Attempts {
    tables: [Table; 2],
}

impl Attempts {
    pub fn note(&mut self, user: &[u8], known: bool, attempt: Attempt) {
        let user = &user[..user.len().min(64)];
        let table = &mut self.tables[usize::from(known)];
        if !table.users.contains_key(user) {
            if table.users.len() >= USERS {
                let oldest = table.order.pop_front().unwrap_or_default();
                table.users.remove(&oldest);
            }
            table.order.push_back(user.into());
        }
        let kept = table.users.entry(user.into()).or_default();
        kept.retain(|old| old.source != attempt.source);
        if kept.len() >= SOURCES {
            kept.pop_front();
        }
        kept.push_back(attempt);
    }

    /// The oldest first.
    pub fn of(&self, user: &[u8]) -> impl Iterator<Item = &Attempt> {
        self.tables
            .iter()
            .filter_map(move |table| table.users.get(user))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(last: u8, why: Why) -> Attempt {
        let source = IpAddr::V4(Ipv4Addr::new(203, 0, 113, last));
        let credentials = [b"Digest username=\"u\", nc=".as_slice(), &[b'1'; 2000]].concat();
        Attempt::new(why, Time::default(), source, b"sip:x", &credentials)
    }

    #[test]
    fn the_last_of_each_of_four_addresses_is_kept_cut_off_and_readable() {
        let mut attempts = Attempts::default();
        for (last, why) in [
            (1, Why::User),
            (2, Why::Realm),
            (1, Why::Response),
            (3, Why::Qop),
            (4, Why::Qop),
            (5, Why::Qop),
        ] {
            attempts.note(b"u", true, from(last, why));
        }
        let kept: Vec<_> = attempts.of(b"u").collect();
        assert_eq!(
            kept.iter().map(|one| one.why).collect::<Vec<_>>(),
            [Why::Response, Why::Qop, Why::Qop, Why::Qop]
        );
        let first = kept[0];
        assert_eq!(first.target(), b"sip:x");
        assert_eq!(first.credentials().len(), KEPT);
        assert_eq!(first.given().username.of(first.credentials()), b"u");
    }

    #[test]
    fn strangers_displace_the_oldest_stranger_and_no_peer() {
        let mut attempts = Attempts::default();
        attempts.note(b"peer", true, from(1, Why::Response));
        for number in 0..=USERS {
            attempts.note(number.to_string().as_bytes(), false, from(2, Why::User));
        }
        assert_eq!(attempts.of(b"peer").count(), 1);
        assert_eq!(attempts.of(b"0").count(), 0);
        assert_eq!(attempts.of(USERS.to_string().as_bytes()).count(), 1);
        assert_eq!(attempts.tables[0].users.len(), USERS);
        assert_eq!(attempts.tables[0].order.len(), USERS);
    }
}
