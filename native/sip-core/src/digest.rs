//! Digest authentication with MD5, with and without qop (RFC 2617 sections 3.2 and 3.5, RFC 2069).

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::codec::Span;
use crate::codec::values::{find_unquoted, is_space, trim, unquote};

/// A hash in lower-case hex.
pub type Hex = [u8; 32];

pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";

fn hash(parts: &[&[u8]]) -> Hex {
    let mut md5 = Md5::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            md5.update(b":");
        }
        md5.update(part);
    }
    let digest: [u8; 16] = md5.finalize().into();
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    hex
}

pub fn ha1(user: &str, realm: &str, password: &str) -> Hex {
    hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// The response; `counted` is nc and cnonce where qop is auth. `uri` as the client wrote it (Q02).
pub fn response(
    ha1: &Hex,
    nonce: &[u8],
    counted: Option<(&[u8], &[u8])>,
    method: &[u8],
    uri: &[u8],
) -> Hex {
    let ha2 = hash(&[method, uri]);
    match counted {
        Some((nc, cnonce)) => hash(&[ha1, nonce, nc, cnonce, b"auth", &ha2]),
        None => hash(&[ha1, nonce, &ha2]),
    }
}

/// Equal in any case, in a time that tells nothing about where they differ.
pub fn equal(expected: &Hex, given: &[u8]) -> bool {
    let Ok(mut given) = <Hex>::try_from(given) else {
        return false;
    };
    given.make_ascii_lowercase();
    expected.ct_eq(&given).into()
}

/// What stands behind `Digest`: parameters quoted or not, in any order; the first of equal names counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parameters {
    pub username: Span,
    pub realm: Span,
    pub nonce: Span,
    pub uri: Span,
    pub response: Span,
    pub algorithm: Span,
    pub qop: Span,
    pub nc: Span,
    pub cnonce: Span,
    pub opaque: Span,
}

impl Parameters {
    /// None when the scheme is another than Digest.
    pub fn read(bytes: &[u8], value: Span) -> Option<Self> {
        let (start, end) = value.bounds();
        let scheme = value.of(bytes).get(..6)?;
        if !scheme.eq_ignore_ascii_case(b"Digest")
            || !bytes.get(start + 6).is_some_and(|byte| is_space(*byte))
        {
            return None;
        }
        let mut found = Parameters::default();
        let mut at = start + 6;
        while at < end {
            let stop = find_unquoted(bytes, Span::new(at, end), b',');
            let equals = find_unquoted(bytes, Span::new(at, stop), b'=');
            let name = trim(bytes, Span::new(at, equals))
                .of(bytes)
                .to_ascii_lowercase();
            let place = match name.as_slice() {
                b"username" => Some(&mut found.username),
                b"realm" => Some(&mut found.realm),
                b"nonce" => Some(&mut found.nonce),
                b"uri" => Some(&mut found.uri),
                b"response" => Some(&mut found.response),
                b"algorithm" => Some(&mut found.algorithm),
                b"qop" => Some(&mut found.qop),
                b"nc" => Some(&mut found.nc),
                b"cnonce" => Some(&mut found.cnonce),
                b"opaque" => Some(&mut found.opaque),
                _ => None,
            };
            if let Some(place) = place.filter(|place| place.is_empty()) {
                *place = unquote(bytes, trim(bytes, Span::new((equals + 1).min(stop), stop)));
            }
            at = stop + 1;
        }
        Some(found)
    }

    pub fn is_md5(&self, bytes: &[u8]) -> bool {
        self.algorithm.is_empty() || self.algorithm.of(bytes).eq_ignore_ascii_case(b"MD5")
    }
}

/// The value of the Authorization header that answers a challenge.
///
/// # Errors
/// A sentence: the challenge can't be answered, or a value can't stand in quotes.
#[allow(clippy::too_many_arguments)] // the inputs of the formula
pub fn authorize(
    challenge: &str,
    username: &str,
    password: &str,
    method: &str,
    uri: &str,
    cnonce: &str,
    nc: u32,
) -> Result<String, String> {
    if challenge.len() > usize::from(u16::MAX) {
        return Err("a challenge longer than a datagram".to_owned());
    }
    let bytes = challenge.as_bytes();
    let whole = trim(bytes, Span::new(0, bytes.len()));
    let asked = Parameters::read(bytes, whole).ok_or("the challenge is not Digest")?;
    let text = |span: Span| String::from_utf8_lossy(span.of(bytes)).into_owned();
    if asked.nonce.is_empty() {
        return Err("the challenge has no nonce".to_owned());
    }
    if !asked.is_md5(bytes) {
        return Err(format!(
            "an algorithm that is not MD5: {:?}",
            text(asked.algorithm)
        ));
    }
    let offers = asked.qop.of(bytes);
    let counted = offers
        .split(|byte| *byte == b',')
        .any(|offer| offer.trim_ascii().eq_ignore_ascii_case(b"auth"));
    if !counted && !offers.is_empty() {
        return Err(format!("no qop that is auth: {:?}", text(asked.qop)));
    }
    for value in [username, uri, cnonce] {
        if value
            .bytes()
            .any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f))
        {
            return Err(format!("can't stand in quotes: {value:?}"));
        }
    }
    let (realm, nonce) = (text(asked.realm), text(asked.nonce));
    let count = format!("{nc:08x}");
    let hex = response(
        &ha1(username, &realm, password),
        asked.nonce.of(bytes),
        counted.then_some((count.as_bytes(), cnonce.as_bytes())),
        method.as_bytes(),
        uri.as_bytes(),
    );
    let mut value = format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{}\", algorithm=MD5",
        String::from_utf8_lossy(&hex),
    );
    if !asked.opaque.is_empty() {
        value.extend([", opaque=\"", &text(asked.opaque), "\""]);
    }
    if counted {
        value.extend([", qop=auth, nc=", &count, ", cnonce=\"", cnonce, "\""]);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "44010600001180000001";
    const URI: &str = "sip:44010000002000000001@4401000000";

    fn answer(challenge: &str) -> Result<String, String> {
        authorize(
            challenge,
            USER,
            "Gz-nvr-2026",
            "REGISTER",
            URI,
            "a1b2c3d4",
            1,
        )
    }

    #[test]
    fn the_reference_vectors_come_out() {
        let plain = answer("Digest realm=\"4401000000\",nonce=\"6e1f0c7a9b2d4e53\"").unwrap();
        assert!(
            plain.contains("response=\"fcd82243ab87fedf7086a5d9c699bff3\""),
            "{plain}"
        );
        assert!(!plain.contains("qop"));
        let counted = "digest nonce=6e1f0c7a9b2d4e53 , realm=4401000000,qop=\"auth-int,auth\",algorithm=\"md5\",opaque=\"o,x\"";
        let counted = answer(counted).unwrap();
        assert!(
            counted.contains("response=\"4c3537189efcd144b9a564a4b9da6e7a\""),
            "{counted}"
        );
        assert!(counted.ends_with("opaque=\"o,x\", qop=auth, nc=00000001, cnonce=\"a1b2c3d4\""));
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        for challenge in [
            "",
            "Basic realm=x",
            "Digest realm=\"x\"",
            "Digest realm=\"x\",nonce=\"y\",algorithm=SHA-256",
            "Digest realm=\"x\",nonce=\"y\",qop=\"auth-int\"",
        ] {
            assert!(answer(challenge).is_err(), "{challenge}");
        }
        assert!(authorize("Digest nonce=a", "u\"", "p", "M", "sip:x", "c", 1).is_err());
    }
}
