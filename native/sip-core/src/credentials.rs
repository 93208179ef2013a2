//! Whose proof is right, by which algorithms; and what nobody's proof is measured by.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::LazyLock;

use siphasher::sip::SipHasher24;

use crate::digest::{Algorithm, Hex, Qop, unhex};
use crate::random::{Quick, Seed, derive};

/// What a user is offered: which algorithms, the preferred one first, and whether to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub algorithms: Box<[Algorithm]>,
    pub qop: Qop,
}

/// Where nobody is known.
static USUAL: LazyLock<Offer> = LazyLock::new(|| Offer {
    algorithms: Box::new([Algorithm::Md5]),
    qop: Qop::Both,
});

#[derive(Debug)]
struct Held {
    /// Place in the offers.
    offer: usize,
    /// HA1 of each in the order of the offer, one behind the other. Empty: nothing proves this name.
    keys: Box<[u8]>,
}

/// What one claim is measured by.
#[derive(Clone, Copy)]
pub struct Known {
    pub key: Hex,
    /// Is the algorithm one that this user is offered?
    pub offered: bool,
    pub qop: Qop,
    pub exists: bool,
}

/// The users of one side. Few offers are in use, so each is kept once, with the number of its users.
#[derive(Debug)]
pub struct Credentials {
    users: HashMap<Box<[u8]>, Held, Quick>,
    offers: Vec<(Offer, u64)>,
    dummy: Seed,
    draw: [u8; 16],
}

impl Credentials {
    pub fn new(seed: &Seed) -> Self {
        let mut draw = [0; 16];
        draw.copy_from_slice(&derive(seed, "strangers' lists")[..16]);
        Credentials {
            users: HashMap::with_hasher(Quick::new(seed, "names of users")),
            offers: Vec::new(),
            dummy: derive(seed, "nobody's password"),
            draw,
        }
    }

    /// From now on this user is offered these algorithms in this order and proves itself by these HA1; with
    /// None in place of an HA1 it is offered, and nothing is right. An empty list forgets the user.
    ///
    /// # Errors
    /// A sentence: not the hex digits of that algorithm, or one algorithm twice. Nothing has changed then.
    pub fn set(
        &mut self,
        user: &str,
        given: &[(Algorithm, Option<&str>)],
        qop: Qop,
    ) -> Result<(), String> {
        let mut keys = Vec::new();
        for (index, (algorithm, ha1)) in given.iter().enumerate() {
            if given[..index].iter().any(|(other, _)| other == algorithm) {
                return Err(format!("{} twice", algorithm.name()));
            }
            let Some(ha1) = ha1 else { continue };
            let key = unhex(ha1.as_bytes()).filter(|key| key.len() == algorithm.bytes());
            keys.extend(key.ok_or_else(|| {
                let digits = 2 * algorithm.bytes();
                format!("HA1 of {} is not {digits} hex digits", algorithm.name())
            })?);
        }
        let whole: usize = given.iter().map(|(algorithm, _)| algorithm.bytes()).sum();
        if keys.len() != whole {
            keys.clear();
        }
        if let Some(before) = self.users.remove(user.as_bytes()) {
            self.offers[before.offer].1 -= 1;
        }
        if given.is_empty() {
            return Ok(());
        }
        let algorithms = given.iter().map(|(algorithm, _)| *algorithm).collect();
        let wanted = Offer { algorithms, qop };
        let place = self.offers.iter().position(|(one, _)| *one == wanted);
        let offer = place.unwrap_or(self.offers.len());
        if place.is_none() {
            self.offers.push((wanted, 0)); // at most one of each order of three, three times
        }
        self.offers[offer].1 += 1;
        let keys = keys.into_boxed_slice();
        self.users
            .insert(user.as_bytes().into(), Held { offer, keys });
        Ok(())
    }

    /// What whoever says to be this user is asked for.
    pub fn offered(&self, user: &[u8]) -> &Offer {
        match self.users.get(user) {
            Some(held) => &self.offers[held.offer].0,
            None => self.drawn(user),
        }
    }

    pub fn find(&self, user: &[u8], algorithm: Algorithm) -> Known {
        let held = self.users.get(user);
        let offer = match held {
            Some(held) => &self.offers[held.offer].0,
            None => self.drawn(user),
        };
        let list = &offer.algorithms;
        let place = list.iter().position(|one| *one == algorithm);
        let key = held.zip(place).and_then(|(held, place)| {
            let start: usize = list[..place].iter().map(|one| one.bytes()).sum();
            held.keys.get(start..start + algorithm.bytes())
        });
        Known {
            key: Hex::of(key.unwrap_or(&self.dummy[..algorithm.bytes()])),
            offered: place.is_some(),
            qop: offer.qop,
            exists: held.is_some_and(|held| !held.keys.is_empty()),
        }
    }

    /// The offer to an unknown name: that to one of the users, always to the same one, so that no offer says
    /// that its user exists.
    fn drawn(&self, user: &[u8]) -> &Offer {
        let all: u64 = self.offers.iter().map(|(_, users)| users).sum();
        if all == 0 {
            return &USUAL;
        }
        let mut hasher = SipHasher24::new_with_key(&self.draw);
        hasher.write(user);
        let mut left = hasher.finish() % all;
        for (offer, users) in &self.offers {
            if left < *users {
                return offer;
            }
            left -= users;
        }
        &USUAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ha1;

    const REALM: &str = "4401000000";

    fn keys(user: &str, list: &[Algorithm]) -> Vec<(Algorithm, String)> {
        let key = |one| ha1(one, user, REALM, "right").text().to_uppercase();
        list.iter().map(|one| (*one, key(*one))).collect()
    }

    fn set(users: &mut Credentials, user: &str, list: &[Algorithm]) {
        let keys = keys(user, list);
        let given: Vec<_> = keys
            .iter()
            .map(|(one, key)| (*one, Some(key.as_str())))
            .collect();
        users.set(user, &given, Qop::Both).unwrap();
    }

    fn list(users: &Credentials, user: &str) -> Vec<Algorithm> {
        users.offered(user.as_bytes()).algorithms.to_vec()
    }

    #[test]
    fn each_user_has_a_list_and_keys_of_its_own() {
        let [md5, sha, sm3] = Algorithm::ALL;
        let mut users = Credentials::new(&[1; 32]);
        assert_eq!(list(&users, "a"), [md5]);
        set(&mut users, "a", &[sm3, md5]);
        set(&mut users, "b", &[sha]);
        assert_eq!(list(&users, "a"), [sm3, md5]);
        assert_eq!(list(&users, "b"), [sha]);
        for (user, algorithm, offered) in [
            ("a", sm3, true),
            ("a", md5, true),
            ("a", sha, false),
            ("b", sha, true),
        ] {
            let known = users.find(user.as_bytes(), algorithm);
            assert_eq!((known.exists, known.offered), (true, offered));
            let expected = ha1(algorithm, user, REALM, "right");
            assert_eq!(known.key.text() == expected.text(), offered);
        }
        set(&mut users, "a", &[md5]);
        assert!(!users.find(b"a", sm3).offered);
        users.set("a", &[], Qop::Both).unwrap();
        assert!(!users.find(b"a", md5).exists);
        assert_eq!(users.offers.iter().map(|(_, count)| count).sum::<u64>(), 1);
    }

    #[test]
    fn what_is_no_key_changes_nothing() {
        let [md5, sha, _] = Algorithm::ALL;
        let mut users = Credentials::new(&[1; 32]);
        set(&mut users, "a", &[md5]);
        let (short, odd) = ("0".repeat(32), "x".repeat(32));
        for given in [
            vec![(sha, Some(short.as_str()))],
            vec![(md5, Some(odd.as_str()))],
            vec![(md5, Some(short.as_str())), (md5, Some(short.as_str()))],
        ] {
            assert!(users.set("a", &given, Qop::Both).is_err());
            assert_eq!(list(&users, "a"), [md5]);
        }
    }

    #[test]
    fn a_name_without_keys_is_offered_its_list_and_never_known() {
        let mut users = Credentials::new(&[1; 32]);
        users
            .set(
                "alias",
                &[(Algorithm::Sm3, None), (Algorithm::Md5, None)],
                Qop::Both,
            )
            .unwrap();
        assert_eq!(list(&users, "alias"), [Algorithm::Sm3, Algorithm::Md5]);
        assert!(!users.find(b"alias", Algorithm::Sm3).exists);
    }

    #[test]
    fn strangers_are_offered_what_users_are_each_always_the_same() {
        let [md5, sha, sm3] = Algorithm::ALL;
        let mut users = Credentials::new(&[1; 32]);
        for number in 0..100 {
            let lists: [&[Algorithm]; 2] = [&[md5], &[sm3, sha]];
            set(
                &mut users,
                &format!("{number}"),
                lists[usize::from(number % 4 == 0)],
            );
        }
        let strong = (0..4000)
            .filter(|number| {
                let name = format!("stranger {number}");
                let offered = list(&users, &name);
                assert_eq!(offered, list(&users, &name));
                assert!(!users.find(name.as_bytes(), md5).exists);
                offered == [sm3, sha]
            })
            .count();
        assert!((900..1100).contains(&strong), "{strong}");
    }
}
