//! What the parser found, and what is read from it when somebody asks.

use std::borrow::Cow;

use super::parse::next_line;
use super::values::{self, Via};
use super::{Fault, Span, names};

/// The start line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Request { method: Span, uri: Span },
    Response { status: u16, reason: Span },
}

impl Default for Start {
    fn default() -> Self {
        Start::Response {
            status: 0,
            reason: Span::default(),
        }
    }
}

/// Where things are in a datagram. An empty span is an absent thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head {
    pub start: Start,
    pub via: Via,
    pub from: Span,
    pub to: Span,
    pub from_uri: Span,
    pub to_uri: Span,
    pub from_tag: Span,
    pub to_tag: Span,
    pub call_id: Span,
    /// The whole value, number and method.
    pub cseq_value: Span,
    pub cseq: u32,
    pub cseq_method: Span,
    pub contact: Span,
    pub expires: Span,
    pub content_type: Span,
    pub content_encoding: Span,
    pub max_forwards: Span,
    /// The first Require; there may be more of them.
    pub require: Span,
    pub body: Span,
    /// What Content-Length says; None where it is absent or no number.
    pub length: Option<usize>,
    /// How many bytes of the datagram lie behind the body that Content-Length names.
    pub beyond: usize,
    /// From the first header to the empty line.
    pub(super) block: Span,
    pub(super) via_headers: usize,
    /// At least one header stands on several lines.
    pub(super) folded: bool,
    /// At least one header has a name that begins with an X.
    pub(super) extended: bool,
    pub(super) authorizations: usize,
    /// The first of them.
    pub(super) authorization: Span,
}

/// A datagram that was refused, with what was read of it, for a stateless answer.
#[derive(Debug)]
pub struct Refused {
    pub fault: Fault,
    pub head: Head,
}

impl Head {
    pub fn method<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.start {
            Start::Request { method, .. } => method.of(bytes),
            Start::Response { .. } => self.cseq_method.of(bytes),
        }
    }

    /// The Request-URI, empty for a response.
    pub fn uri(&self) -> Span {
        match self.start {
            Start::Request { uri, .. } => uri,
            Start::Response { .. } => Span::default(),
        }
    }

    /// 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    pub fn has_authorization(&self) -> bool {
        self.authorizations > 0
    }

    /// Its Authorization, if it has one alone.
    pub fn only_authorization(&self) -> Option<Span> {
        (self.authorizations == 1).then_some(self.authorization)
    }

    pub fn has_more_vias(&self) -> bool {
        self.via_headers > 1
    }

    /// All values of a header in order, by any form of its name.
    pub fn headers<'a>(&self, bytes: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = Span> + 'a {
        let (mut at, end) = self.block.bounds();
        // The block was parsed before, so its lines are sound; its end stands for the empty line.
        let window = &bytes[..end];
        let name = names::long_form(name);
        if !self.extended && matches!(name, [b'X' | b'x', _, ..]) {
            at = end;
        }
        std::iter::from_fn(move || {
            while at < end {
                if !may_be(&window[at..], name) {
                    at += memchr::memchr(b'\n', &window[at..])? + 1; // a line folded into it is none either
                    continue;
                }
                let line = next_line(bytes, window, at).ok()??;
                at = line.next;
                if names::same(line.name.of(bytes), name) {
                    return Some(line.value);
                }
            }
            None
        })
    }

    /// Seconds: the first Contact's `expires`, else Expires. `Contact: *` removes all bindings, so 0.
    /// What is no number counts as absent (RFC 3261 section 20.19).
    pub fn expires(&self, bytes: &[u8]) -> Option<u32> {
        if self.contact.of(bytes) == b"*" {
            return Some(0);
        }
        values::first_contact(bytes, self.contact)
            .and_then(|contact| values::parameter(bytes, contact.parameters, "expires"))
            .and_then(|value| values::number(value.of(bytes)))
            .or_else(|| values::number(self.expires.of(bytes)))
    }

    /// The URI inside the first Contact, or `*`.
    pub fn contact(&self, bytes: &[u8]) -> Option<Span> {
        if self.contact.of(bytes) == b"*" {
            return Some(self.contact);
        }
        values::first_contact(bytes, self.contact).map(|contact| contact.uri)
    }

    /// Type and subtype as written, without parameters.
    pub fn content_type(&self, bytes: &[u8]) -> Span {
        let (start, _) = self.content_type.bounds();
        let end = values::find_unquoted(bytes, self.content_type, b';');
        values::trim(bytes, Span::new(start, end))
    }
}

/// By its first letters: may a line that begins so be that header, or one in its compact form?
fn may_be(line: &[u8], name: &[u8]) -> bool {
    match (line, name) {
        ([first, second, ..], [wanted, ..]) => {
            first.eq_ignore_ascii_case(wanted)
                || (values::is_token(*first) && !values::is_token(*second))
        }
        _ => false,
    }
}

/// A value on one line: each fold becomes one space.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\r', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(fold) = memchr::memchr(b'\n', rest) {
        let blanks = rest[..fold]
            .iter()
            .rev()
            .take_while(|byte| values::is_space(**byte))
            .count();
        out.extend_from_slice(&rest[..fold - blanks]);
        out.push(b' ');
        rest = &rest[fold + 1..];
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        rest = &rest[blanks..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn a_header_is_found_by_each_of_its_forms_and_never_within_another() {
        let bytes = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:a>;tag=1\r\n\
            Subject: one\r\n Subject: folded\r\nTo: <sip:a>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\
            S : two\r\n  : three\r\nsUBJECT\t:four\r\nSubject-Of: five\r\nContent-Length: 0\r\n\r\n";
        let head = parse(bytes).unwrap();
        let found = |name: &'static [u8]| -> Vec<String> {
            let values = head.headers(bytes, name);
            let text = |value: super::Span| String::from_utf8_lossy(value.of(bytes)).into_owned();
            values.map(text).collect()
        };
        let all = ["one\r\n Subject: folded", "two\r\n  : three", "four"];
        assert_eq!(found(b"Subject"), all);
        assert_eq!(found(b"s"), all);
        assert_eq!(found(b"subject-of"), ["five"]);
        assert_eq!(found(b"From"), ["<sip:a>;tag=1"]);
        assert!(found(b"Supported").is_empty());
        assert!(found(b"").is_empty());
    }
}
