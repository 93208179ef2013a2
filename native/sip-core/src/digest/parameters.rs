//! What stands in a challenge and in its answer.

use crate::codec::Span;
use crate::codec::values::{find_unquoted, is_space, trim, unquote};

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
    /// Where the value of that parameter goes, in any case of its name.
    fn place(&mut self, name: &[u8]) -> Option<&mut Span> {
        let mut lower = [0; 9];
        let lower = lower.get_mut(..name.len())?; // no name that counts is longer
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"username" => Some(&mut self.username),
            b"realm" => Some(&mut self.realm),
            b"nonce" => Some(&mut self.nonce),
            b"uri" => Some(&mut self.uri),
            b"response" => Some(&mut self.response),
            b"algorithm" => Some(&mut self.algorithm),
            b"qop" => Some(&mut self.qop),
            b"nc" => Some(&mut self.nc),
            b"cnonce" => Some(&mut self.cnonce),
            b"opaque" => Some(&mut self.opaque),
            _ => None,
        }
    }

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
            let named = bytes[at..end]
                .iter()
                .take_while(|byte| !matches!(byte, b'=' | b',' | b'"'));
            let behind = at + named.count();
            let (equals, stop) = if behind < end && bytes[behind] == b'=' {
                let stop = find_unquoted(bytes, Span::new(behind + 1, end), b',');
                (behind, stop)
            } else {
                let stop = find_unquoted(bytes, Span::new(at, end), b',');
                (find_unquoted(bytes, Span::new(at, stop), b'='), stop)
            };
            let name = trim(bytes, Span::new(at, equals)).of(bytes);
            let place = found.place(name);
            if let Some(place) = place.filter(|place| place.is_empty()) {
                *place = unquote(bytes, trim(bytes, Span::new((equals + 1).min(stop), stop)));
            }
            at = stop + 1;
        }
        Some(found)
    }
}
