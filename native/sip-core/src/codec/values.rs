//! Readers of header values. All take the whole datagram and spans of it, and give spans back.
//!
//! White space is SP, HT and the CR LF of a folded line (RFC 3261 section 7.3.1), so folding needs no copy.

use super::{Fault, Span};

pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// The topmost Via value (RFC 3261 section 20.42).
#[derive(Debug, Clone, Copy, Default)]
pub struct Via {
    /// `SIP/2.0/UDP host:port`, without parameters.
    pub protocol_and_sender: Span,
    pub sent_by: Span,
    /// From the first `;`, or empty.
    pub parameters: Span,
    /// The values behind it in the same header, after the comma; or empty.
    pub rest: Span,
    pub branch: Span,
}

/// An address of From, To or Contact: the URI, and the header parameters from the first `;` on.
#[derive(Debug, Clone, Copy)]
pub struct NameAddr {
    pub uri: Span,
    pub parameters: Span,
}

#[inline]
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const fn table(bits: u8, of: &[u8], mut kinds: [u8; 256]) -> [u8; 256] {
    let mut at = 0;
    while at < of.len() {
        kinds[of[at] as usize] |= bits;
        at += 1;
    }
    kinds
}

const TOKEN: u8 = 1;
/// What no URI of an address may hold.
const NO_URI: u8 = 2;
/// Of a name or IPv4 address in a Via or URI.
const HOST: u8 = 4;

/// What each byte may be, so that nobody compares it with one character after the other.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte: u8 = 0;
    loop {
        if byte.is_ascii_alphanumeric() {
            kinds[byte as usize] = TOKEN | HOST;
        }
        if byte <= b' ' {
            kinds[byte as usize] = NO_URI;
        }
        if byte == 0xff {
            break;
        }
        byte += 1;
    }
    let kinds = table(HOST, b".-_", kinds);
    table(NO_URI, b"\x7f\"<", table(TOKEN, b"-.!%*_+`'~", kinds))
};

/// A character of `token` (RFC 3261 section 25.1).
#[inline]
pub fn is_token(byte: u8) -> bool {
    KINDS[usize::from(byte)] & TOKEN != 0
}

/// How many characters of `token` it begins with.
#[inline]
pub fn token_length(text: &[u8]) -> usize {
    text.iter()
        .position(|byte| !is_token(*byte))
        .unwrap_or(text.len())
}

#[inline]
pub fn trim(bytes: &[u8], span: Span) -> Span {
    let (mut start, mut end) = span.bounds();
    while start < end && is_space(bytes[start]) {
        start += 1;
    }
    while start < end && is_space(bytes[end - 1]) {
        end -= 1;
    }
    Span::new(start, end)
}

/// The same for a slice.
fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().take_while(|byte| is_space(**byte)).count();
    let blanks = text[start..]
        .iter()
        .rev()
        .take_while(|byte| is_space(**byte))
        .count();
    &text[start..text.len() - blanks]
}

/// Position of the first of two bytes. Most values are short, and eight bytes at once are looked at: that is less
/// to set up than what finds them fastest in long ones.
#[inline]
fn find_either(text: &[u8], one: u8, other: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let (ones, others) = (u64::from(one) * ONES, u64::from(other) * ONES);
    let mut at = 0;
    while let Some(Ok(eight)) = text.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let eight = u64::from_le_bytes(eight);
        let zero = |of: u64| of.wrapping_sub(ONES) & !of & HIGH; // the lowest bit set is where it says
        let found = zero(eight ^ ones) | zero(eight ^ others);
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = text[at..].iter();
    let found = rest.take_while(|byte| **byte != one && **byte != other);
    Some(at + found.count()).filter(|at| *at < text.len())
}

/// Position of the first `wanted` outside quoted strings, or the end of the span.
pub fn find_unquoted(bytes: &[u8], span: Span, wanted: u8) -> usize {
    let (mut at, end) = span.bounds();
    if at < end && bytes[at] == wanted {
        return at;
    }
    loop {
        let Some(found) = find_either(&bytes[at..end], wanted, b'"') else {
            return end;
        };
        at += found;
        if bytes[at] == wanted {
            return at;
        }
        at += 1;
        loop {
            let Some(found) = find_either(&bytes[at..end], b'"', b'\\') else {
                return end;
            };
            at += found + 1;
            if bytes[at - 1] == b'"' {
                break;
            }
            at += 1; // whatever is escaped
            if at > end {
                return end;
            }
        }
    }
}

/// Value of a `;name=value` parameter without its quotes, an empty span for `;name`; None when absent.
pub fn parameter(bytes: &[u8], parameters: Span, name: &str) -> Option<Span> {
    let (mut at, end) = parameters.bounds();
    while at < end {
        let stop = find_unquoted(bytes, Span::new(at, end), b';');
        let piece = trim(bytes, Span::new(at, stop));
        let text = piece.of(bytes);
        let begins = text.get(..name.len());
        if begins.is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes())) {
            let (start, end) = piece.bounds();
            let equals = find_unquoted(bytes, Span::new(start + name.len(), end), b'=');
            if trim(bytes, Span::new(start + name.len(), equals)).is_empty() {
                let value = Span::new((equals + 1).min(end), end);
                return Some(unquote(bytes, trim(bytes, value)));
            }
        }
        at = stop + 1;
    }
    None
}

pub fn unquote(bytes: &[u8], span: Span) -> Span {
    match span.of(bytes) {
        [b'"', .., b'"'] => Span::new(span.bounds().0 + 1, span.bounds().1 - 1),
        _ => span,
    }
}

/// Digits only, no sign, no blank; None for anything else. Saturates at `u32::MAX`.
pub fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
    }))
}

/// `"Name" <uri>;parameters`, `<uri>` or a bare `uri;parameters`.
pub fn name_addr(bytes: &[u8], value: Span) -> Result<NameAddr, Fault> {
    let value = trim(bytes, value);
    let (start, end) = value.bounds();
    let open = find_unquoted(bytes, value, b'<');
    let (uri, parameters) = if open < end {
        let close = open
            + memchr::memchr(b'>', &bytes[open..end])
                .ok_or(Fault::new("< without > in an address", open))?;
        (
            Span::new(open + 1, close),
            trim(bytes, Span::new(close + 1, end)),
        )
    } else {
        let stop = find_unquoted(bytes, value, b';');
        (Span::new(start, stop), Span::new(stop, end))
    };
    let uri = trim(bytes, uri);
    let text = uri.of(bytes);
    let wrong = |byte: &u8| KINDS[usize::from(*byte)] & NO_URI != 0;
    if text.is_empty() || text.iter().any(wrong) {
        return Err(Fault::new("an address without a usable URI", start));
    }
    if !matches!(parameters.of(bytes), [] | [b';', ..]) {
        return Err(Fault::new(
            "text behind the > of an address",
            parameters.bounds().0,
        ));
    }
    Ok(NameAddr { uri, parameters })
}

/// The user part of a sip or sips URI, without password; empty when there is none.
pub fn uri_user(bytes: &[u8], uri: Span) -> Span {
    let (start, end) = uri.bounds();
    let text = uri.of(bytes);
    let scheme = match text.iter().position(|byte| *byte == b':') {
        Some(at)
            if text[..at].eq_ignore_ascii_case(b"sip")
                || text[..at].eq_ignore_ascii_case(b"sips") =>
        {
            at + 1
        }
        _ => return Span::new(start, start),
    };
    let Some(host) = memchr::memchr(b'@', &text[scheme..]) else {
        return Span::new(start, start);
    };
    let user = &text[scheme..scheme + host];
    let length = memchr::memchr(b':', user).unwrap_or(user.len());
    Span::new(start + scheme, (start + scheme + length).min(end))
}

/// The first of the comma-separated addresses of a Contact value; commas in brackets do not count.
pub fn first_contact(bytes: &[u8], value: Span) -> Option<NameAddr> {
    let value = trim(bytes, value);
    let (start, end) = value.bounds();
    let comma = find_unquoted(bytes, value, b',');
    if comma == end {
        return name_addr(bytes, value).ok();
    }
    let open = find_unquoted(bytes, value, b'<');
    let from = if open < comma {
        open + memchr::memchr(b'>', &bytes[open..end])?
    } else {
        start
    };
    let stop = find_unquoted(bytes, Span::new(from, end), b',');
    name_addr(bytes, Span::new(start, stop)).ok()
}

/// Split the first Via value and check its form; a missing branch is no fault (RFC 2543 peers).
///
/// `any_version`: of the protocol; else 2.0.
pub fn top_via(bytes: &[u8], value: Span, any_version: bool) -> Result<Via, Fault> {
    let value = trim(bytes, value);
    let comma = find_unquoted(bytes, value, b',');
    split_via(bytes, value, comma, any_version)
}

/// The same of a value without white space around it, whose first comma is known; or its end.
pub(super) fn split_via(
    bytes: &[u8],
    value: Span,
    comma: usize,
    any_version: bool,
) -> Result<Via, Fault> {
    let (start, end) = value.bounds();
    let fault = || Fault::new("Via is not SIP/2.0/transport and a sender", start);
    let semicolon = find_unquoted(bytes, Span::new(start, comma), b';');
    let head = trim(bytes, Span::new(start, semicolon));
    let (_, head_end) = head.bounds();

    let mut slashes = memchr::memchr_iter(b'/', head.of(bytes)).map(|at| start + at);
    let (Some(first), Some(second)) = (slashes.next(), slashes.next()) else {
        return Err(fault());
    };
    let name = trim(bytes, Span::new(start, first));
    let version = trim(bytes, Span::new(first + 1, second));
    let tail = trim(bytes, Span::new(second + 1, head_end));
    let transport = token_length(tail.of(bytes));
    let after = tail.bounds().0 + transport;
    let sent_by = trim(bytes, Span::new(after, head_end));
    let plausible = name.of(bytes).eq_ignore_ascii_case(b"SIP")
        && (version.of(bytes) == b"2.0" || any_version)
        && transport > 0
        && after < head_end
        && is_space(bytes[after])
        && is_sender(sent_by.of(bytes));
    if !plausible {
        return Err(fault());
    }
    let parameters = Span::new(semicolon, comma);
    Ok(Via {
        protocol_and_sender: head,
        sent_by,
        parameters,
        rest: Span::new((comma + 1).min(end), end),
        branch: parameter(bytes, parameters, "branch").unwrap_or_default(),
    })
}

/// What keeps a Request-URI from being one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadUri {
    /// Neither sip nor sips.
    Scheme,
    /// No host that can be read, or a port that is none.
    Host,
    /// Headers behind a `?`, which no Request-URI has (RFC 3261 section 19.1.1).
    Headers,
}

/// Check a Request-URI as far as whoever is asked must understand it: scheme, host and port.
pub fn check_request_uri(text: &[u8]) -> Result<(), BadUri> {
    let colon = memchr::memchr(b':', text).ok_or(BadUri::Scheme)?;
    let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
    if !(scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips")) {
        return Err(BadUri::Scheme);
    }
    let place = memchr::memrchr(b'@', rest).map_or(rest, |at| &rest[at + 1..]);
    let end = memchr::memchr2(b';', b'?', place).unwrap_or(place.len());
    if !is_sender(&place[..end]) {
        return Err(BadUri::Host);
    }
    match memchr::memchr(b'?', &place[end..]) {
        Some(_) => Err(BadUri::Headers),
        None => Ok(()),
    }
}

/// `host`, `host:port` or `[v6]:port`, with white space allowed around the colon.
fn is_sender(text: &[u8]) -> bool {
    let host = if text.first() == Some(&b'[') {
        let Some(close) = memchr::memchr(b']', text).filter(|close| *close > 1) else {
            return false;
        };
        if !text[1..close]
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        {
            return false;
        }
        close + 1
    } else {
        let other = |byte: &u8| KINDS[usize::from(*byte)] & HOST == 0;
        text.iter().position(other).unwrap_or(text.len())
    };
    let behind = trimmed(&text[host..]);
    host > 0
        && match behind {
            [] => true,
            [b':', port @ ..] => {
                number(trimmed(port)).is_some_and(|port| (1..=65_535).contains(&port))
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> (&[u8], Span) {
        (text.as_bytes(), Span::new(0, text.len()))
    }

    #[test]
    fn an_address_in_any_of_its_forms_gives_its_uri_and_parameters() {
        for text in [
            "\"Gate <north>, \\\" west\" <sip:4401@x>;tag=a",
            "Gate <sip:4401@x> ; tag=a",
            "sip:4401@x;tag=a",
            "<sip:4401@x>\r\n ;x=\";tag=b\" ;TAG = a",
        ] {
            let (bytes, span) = whole(text);
            let found = name_addr(bytes, span).unwrap();
            assert_eq!(found.uri.of(bytes), b"sip:4401@x", "{text}");
            assert_eq!(
                parameter(bytes, found.parameters, "tag").unwrap().of(bytes),
                b"a",
                "{text}"
            );
            assert_eq!(uri_user(bytes, found.uri).of(bytes), b"4401", "{text}");
        }
        for text in [
            "",
            "<sip:4401@x",
            "\"open <sip:4401@x>",
            "Gate sip:4401@x",
            "<sip:a@b> c",
        ] {
            let (bytes, span) = whole(text);
            assert!(name_addr(bytes, span).is_err(), "{text}");
        }
    }

    #[test]
    fn a_via_may_lack_a_branch_but_not_a_sender() {
        let (bytes, span) =
            whole("sip / 2.0 /UDP  192.0.2.9 : 5060 ;rport;branch=z9hG4bKa, SIP/2.0/UDP b");
        let via = top_via(bytes, span, false).unwrap();
        assert_eq!(via.branch.of(bytes), b"z9hG4bKa");
        assert_eq!(via.rest.of(bytes), b" SIP/2.0/UDP b");
        for text in ["SIP/2.0/UDP a", "SIP/2.0/UDP [2001:db8::1]:5060;x"] {
            let (bytes, span) = whole(text);
            assert!(
                top_via(bytes, span, false).unwrap().branch.is_empty(),
                "{text}"
            );
        }
        for text in [
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ;branch=x",
            "SIP/3.0/UDP a",
            "a",
            "SIP/2.0/UDP a:0",
            "SIP/2.0/UDP a b",
        ] {
            let (bytes, span) = whole(text);
            assert!(top_via(bytes, span, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_uri_has_a_scheme_and_a_host_of_ours_and_no_headers() {
        for text in [
            "sip:34020000002000000001@3402000000",
            "SIPS:gate.example:5061;transport=tls",
            "sip:user;par=u%40example.net@example.com",
            "sip:a?b:c@example.com",
            "sip:user@[2001:db8::10]:5070",
            "sip:[2001:db8:::192.0.2.1]",
        ] {
            assert_eq!(check_request_uri(text.as_bytes()), Ok(()), "{text}");
        }
        for (text, why) in [
            ("tel:110", BadUri::Scheme),
            ("soap.beep://192.0.2.103:3002", BadUri::Scheme),
            ("sip:2001:db8::10", BadUri::Host),
            ("sip:user@", BadUri::Host),
            ("sip:user@example.com:0", BadUri::Host),
            ("sip:user@example.com?Route=%3Csip:x%3E", BadUri::Headers),
        ] {
            assert_eq!(check_request_uri(text.as_bytes()), Err(why), "{text}");
        }
    }

    #[test]
    fn the_first_contact_is_split_outside_quotes_and_brackets() {
        for text in [
            "<sip:a@b;x=1,2>;expires=9, <sip:c@d>",
            "\"x, y\" <sip:a@b;x=1,2>;expires=9",
            "sip:a@b;expires=9,sip:c@d",
        ] {
            let (bytes, span) = whole(text);
            let contact = first_contact(bytes, span).unwrap();
            assert!(contact.uri.of(bytes).starts_with(b"sip:a@b"), "{text}");
            assert_eq!(
                parameter(bytes, contact.parameters, "expires")
                    .unwrap()
                    .of(bytes),
                b"9",
                "{text}"
            );
        }
    }
}
