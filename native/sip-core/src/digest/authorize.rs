//! The answer to a challenge: ours at the platforms above us, and that of simulated devices.

use super::{Algorithm, Hex, Parameters, Qop, ha1};
use crate::codec::Span;
use crate::codec::values::trim;

/// By what we prove who we are.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    Password(&'a str),
    /// What is kept instead of the password: it holds for one realm, and for these algorithms.
    Ha1 {
        realm: &'a str,
        keys: &'a [(Algorithm, Hex)],
    },
}

/// What is proven to be ours.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    pub cnonce: &'a str,
    pub nc: u32,
    /// Proven too where nothing but auth-int is offered.
    pub body: &'a [u8],
    pub qop: Qop,
}

/// Whether the nonce is counted, and what else is proven then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    Not,
    Auth,
    Body,
}

pub(super) struct Challenge<'a> {
    pub bytes: &'a [u8],
    pub asked: Parameters,
    pub algorithm: Algorithm,
    pub counting: Counting,
}

/// The value of the Authorization header that answers the strongest of these challenges that we can answer;
/// of equally strong ones the first (RFC 8760 section 2.4).
///
/// # Errors
/// A sentence: none of them can be answered, or a value can't stand in quotes.
pub fn authorize(
    challenges: &[&str],
    username: &str,
    secret: &Secret<'_>,
    request: &Request<'_>,
) -> Result<String, String> {
    for value in [username, request.uri, request.cnonce] {
        if value
            .bytes()
            .any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f))
        {
            return Err(format!("can't stand in quotes: {value:?}"));
        }
    }
    let mut best: Option<(Challenge<'_>, Hex)> = None;
    let mut why = "there is no challenge".to_owned();
    for text in challenges {
        match Challenge::read(text, request.qop)
            .and_then(|one| Ok((one.key(username, secret)?, one)))
        {
            Ok((key, one)) => {
                let better = best
                    .as_ref()
                    .is_none_or(|(best, _)| best.algorithm.strength() < one.algorithm.strength());
                if better {
                    best = Some((one, key));
                }
            }
            Err(sentence) => why = sentence,
        }
    }
    let (challenge, key) = best.ok_or(why)?;
    Ok(challenge.answer(username, &key, request))
}

impl<'a> Challenge<'a> {
    fn read(text: &'a str, wanted: Qop) -> Result<Self, String> {
        if text.len() > usize::from(u16::MAX) {
            return Err("a challenge longer than a datagram".to_owned());
        }
        let bytes = text.as_bytes();
        let whole = trim(bytes, Span::new(0, bytes.len()));
        let asked = Parameters::read(bytes, whole).ok_or("the challenge is not Digest")?;
        if asked.nonce.is_empty() {
            return Err("the challenge has no nonce".to_owned());
        }
        let said = |span: Span| String::from_utf8_lossy(span.of(bytes)).into_owned();
        let algorithm = Algorithm::read(asked.algorithm.of(bytes)).ok_or_else(|| {
            let name = said(asked.algorithm);
            format!("an algorithm that is not MD5, SHA-256 or SM3: {name:?}")
        })?;
        let offers = |wanted: &[u8]| {
            let each = asked.qop.of(bytes).split(|byte| *byte == b',');
            each.map(<[u8]>::trim_ascii)
                .any(|offer| offer.eq_ignore_ascii_case(wanted))
        };
        let counting = match wanted {
            Qop::None => Counting::Not,
            _ if offers(b"auth") => Counting::Auth,
            _ if offers(b"auth-int") => Counting::Body,
            _ if !asked.qop.is_empty() => {
                let offered = said(asked.qop);
                return Err(format!("no qop that is auth or auth-int: {offered:?}"));
            }
            Qop::Auth => return Err("it offers no qop, and one is agreed with it".to_owned()),
            Qop::Both => Counting::Not,
        };
        Ok(Challenge {
            bytes,
            asked,
            algorithm,
            counting,
        })
    }

    pub fn text(&self, span: Span) -> &'a str {
        std::str::from_utf8(span.of(self.bytes)).unwrap_or_default()
    }

    fn key(&self, username: &str, secret: &Secret<'_>) -> Result<Hex, String> {
        let asked = self.text(self.asked.realm);
        match *secret {
            Secret::Password(password) => Ok(ha1(self.algorithm, username, asked, password)),
            Secret::Ha1 { realm, .. } if realm != asked => Err(format!(
                "it asks for the realm {asked:?}, our secret is for {realm:?}; write its realm into the configuration and set the secret again"
            )),
            Secret::Ha1 { keys, .. } => keys
                .iter()
                .find(|(algorithm, _)| *algorithm == self.algorithm)
                .map(|(_, key)| *key)
                .ok_or_else(|| {
                    let name = self.algorithm.name();
                    format!("an algorithm that is not agreed with it: {name}")
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "44010600001180000001";
    const REALM: &str = "4401000000";
    const PASSWORD: &str = "Gz-nvr-2026";
    const REQUEST: Request<'static> = Request {
        method: "REGISTER",
        uri: "sip:44010000002000000001@4401000000",
        cnonce: "a1b2c3d4",
        nc: 1,
        body: b"",
        qop: Qop::Both,
    };

    fn answer(challenges: &[&str]) -> Result<String, String> {
        authorize(challenges, USER, &Secret::Password(PASSWORD), &REQUEST)
    }

    fn offered(algorithm: &str) -> String {
        format!("Digest realm=\"{REALM}\",nonce=\"6e1f0c7a9b2d4e53\",algorithm={algorithm}")
    }

    #[test]
    fn the_reference_vectors_come_out() {
        let plain = answer(&["Digest realm=\"4401000000\",nonce=\"6e1f0c7a9b2d4e53\""]).unwrap();
        assert!(
            plain.contains("response=\"fcd82243ab87fedf7086a5d9c699bff3\""),
            "{plain}"
        );
        assert!(!plain.contains("qop"));
        let counted = "digest nonce=6e1f0c7a9b2d4e53 , realm=4401000000,qop=\"auth-int,auth\",algorithm=\"md5\",opaque=\"o,x\"";
        let counted = answer(&[counted]).unwrap();
        assert!(
            counted.contains("response=\"4c3537189efcd144b9a564a4b9da6e7a\""),
            "{counted}"
        );
        assert!(counted.ends_with("opaque=\"o,x\", qop=auth, nc=00000001, cnonce=\"a1b2c3d4\""));
    }

    #[test]
    fn the_strongest_is_answered_and_of_equals_the_first() {
        let [md5, sha, sm3, new] = ["MD5", "SHA-256", "SM3", "SHA-512-256"].map(offered);
        for (challenges, chosen) in [
            (vec![&md5, &sha, &sm3], "SHA-256"),
            (vec![&sm3, &sha, &md5], "SM3"),
            (vec![&new, &md5], "MD5"),
        ] {
            let challenges: Vec<&str> = challenges.into_iter().map(String::as_str).collect();
            let value = answer(&challenges).unwrap();
            assert!(
                value.contains(&format!(", algorithm={chosen}")),
                "{chosen}: {value}"
            );
        }
    }

    #[test]
    fn what_is_kept_instead_of_a_password_answers_alike_for_its_realm_and_what_is_agreed() {
        let keys = [Algorithm::Sm3, Algorithm::Sha256]
            .map(|algorithm| (algorithm, ha1(algorithm, USER, REALM, PASSWORD)));
        let secret = Secret::Ha1 {
            realm: REALM,
            keys: &keys,
        };
        let by_keys = |challenge: &str| authorize(&[challenge, "Basic x"], USER, &secret, &REQUEST);
        for algorithm in ["SM3", "SHA-256"] {
            let challenge = offered(algorithm);
            assert_eq!(
                by_keys(&challenge),
                authorize(&[&challenge], USER, &Secret::Password(PASSWORD), &REQUEST)
            );
        }
        let refused =
            |challenge: &str| authorize(&[challenge], USER, &secret, &REQUEST).unwrap_err();
        assert!(refused(&offered("MD5")).contains("not agreed"));
        let other = offered("SM3").replace(REALM, "4402000000");
        assert!(refused(&other).contains("\"4402000000\""));
    }

    #[test]
    fn a_body_is_proven_where_nothing_else_is_offered_and_a_peer_may_want_no_count_or_one() {
        let answered = |offer: &str, qop| {
            let challenge = format!("{}{offer}", offered("MD5"));
            let request = Request { qop, ..REQUEST };
            authorize(&[&challenge], USER, &Secret::Password(PASSWORD), &request)
        };
        for (offer, wanted, written) in [
            ("", Qop::Both, Some("")),
            (",qop=\"auth\"", Qop::Both, Some("auth")),
            (",qop=\"auth-int\"", Qop::Both, Some("auth-int")),
            (",qop=\"auth-int, auth\"", Qop::Both, Some("auth")),
            ("", Qop::None, Some("")),
            (",qop=\"auth\"", Qop::None, Some("")),
            (",qop=\"auth-int\"", Qop::None, Some("")),
            ("", Qop::Auth, None),
            (",qop=\"auth\"", Qop::Auth, Some("auth")),
            (",qop=\"auth-int\"", Qop::Auth, Some("auth-int")),
            (",qop=\"auth-conf\"", Qop::Both, None),
        ] {
            let value = answered(offer, wanted).ok();
            let qop = value.as_deref().map(|value| {
                let behind = value.split_once(", qop=").map(|(_, behind)| behind);
                behind.map_or("", |behind| behind.split(',').next().unwrap_or_default())
            });
            assert_eq!(qop, written, "{offer} {wanted:?}: {value:?}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        for challenge in [
            "",
            "Basic realm=x",
            "Digest realm=\"x\"",
            "Digest realm=\"x\",nonce=\"y\",algorithm=SHA-512-256",
            "Digest realm=\"x\",nonce=\"y\",algorithm=MD5-sess",
            "Digest realm=\"x\",nonce=\"y\",qop=\"auth-conf\"",
        ] {
            assert!(answer(&[challenge]).is_err(), "{challenge}");
        }
        assert!(answer(&[]).is_err());
        let secret = Secret::Password("p");
        assert!(authorize(&["Digest nonce=a"], "u\"", &secret, &REQUEST).is_err());
    }
}
