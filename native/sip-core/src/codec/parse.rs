//! The parser: one pass from the start line to the empty line, then the checks that need the whole.

use super::message::{Head, Refused, Start};
use super::names::{self, Name};
use super::values::{self, Via, is_token};
use super::{Fault, Span};

pub const MAX_DATAGRAM: usize = 65_535;
pub const MAX_HEAD: usize = 16 * 1024;
const MAX_LINE: usize = 4 * 1024;
const MAX_HEADERS: usize = 100;
const MAX_VIAS: usize = 20;
const MAX_CSEQ: u32 = 0x7fff_ffff;

#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub name: Span,
    pub value: Span,
    pub next: usize,
    /// Over several lines.
    pub folded: bool,
}

/// Read one message from one datagram.
///
/// Bytes behind Content-Length are dropped (RFC 3261 section 18.3); without it the body is the rest.
///
/// # Errors
/// The first fault found, whatever the bytes; nothing else leaves this function.
pub fn parse(bytes: &[u8]) -> Result<Head, Box<Refused>> {
    let mut head = Head::default();
    match read(bytes, &mut head) {
        Ok(()) => Ok(head),
        Err(fault) => Err(Box::new(Refused { fault, head })),
    }
}

/// Read the headers of one message from a stream, up to and with the empty line. The body is empty and
/// begins where it will; `Head::length` says how long it is, also of what is refused.
///
/// # Errors
/// As [`parse`], but for the body.
pub fn parse_head(bytes: &[u8]) -> Result<Head, Box<Refused>> {
    let mut head = Head::default();
    let end = bytes.len();
    head.body = Span::new(end, end);
    match read_head(bytes, &mut head) {
        Ok(_) => Ok(head),
        Err(fault) => Err(Box::new(Refused { fault, head })),
    }
}

/// What is counted on the way and judged at the end.
#[derive(Default)]
struct Tally {
    headers: usize,
    vias: usize,
    /// In the first Via, or its end.
    via_comma: usize,
    max_forwards: usize,
    content_length: Span,
    /// Different ones, or such that are no number.
    lengths: usize,
}

fn read(bytes: &[u8], head: &mut Head) -> Result<(), Fault> {
    if bytes.len() > MAX_DATAGRAM {
        let reason = "longer than a datagram";
        return Err(Fault {
            status: 513,
            reason,
            at: MAX_DATAGRAM,
        });
    }
    let (end, length) = read_head(bytes, head)?;
    read_body(bytes, head, end, length)
}

/// Where the body begins, and the value of Content-Length.
fn read_head(bytes: &[u8], head: &mut Head) -> Result<(usize, Span), Fault> {
    let start = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let window = &bytes[..bytes.len().min(start + MAX_HEAD)];
    let first = line_end(bytes, window, start)?;
    let version = read_start(bytes, Span::new(start, first), head);

    let mut at = first + 2;
    let mut tally = Tally::default();
    // A header that is wrong by itself stops nothing: its sender is owed an answer, made of the others.
    let mut taken = Ok(());
    loop {
        let usual = names::usual(&window[at..]);
        let (name, value, next) = if let Some((name, length)) = usual {
            let (end, folded) = header_end(bytes, window, at)?;
            head.folded |= folded;
            (
                name,
                values::trim(bytes, Span::new(at + length, end)),
                end + 2,
            )
        } else {
            let Some(line) = next_line(bytes, window, at)? else {
                break;
            };
            head.folded |= line.folded;
            head.extended |= bytes[at] | 0x20 == b'x';
            (names::recognise(line.name.of(bytes)), line.value, line.next)
        };
        tally.headers += 1;
        if tally.headers > MAX_HEADERS {
            return Err(Fault::new("more than 100 headers", at));
        }
        if let Err(fault) = take(bytes, head, &mut tally, name, value) {
            taken = taken.and(Err(fault));
        }
        at = next;
    }
    head.block = Span::new(first + 2, at);
    if tally.lengths == 1 {
        let length = values::number(tally.content_length.of(bytes));
        head.length = length.and_then(|length| usize::try_from(length).ok());
    }
    if let Some(nul) = memchr::memchr(0, &bytes[..at]) {
        // Nothing of such a head is given back in an answer.
        head.start = Start::default();
        return Err(Fault::new("a NUL in the headers", nul));
    }
    let via = split_via(bytes, head, tally.via_comma, version.is_err());
    version?;
    taken?;
    if tally.vias > MAX_VIAS {
        return Err(Fault::new("more than 20 Via", at));
    }
    if tally.max_forwards > 1 {
        return Err(Fault::new("more than one Max-Forwards", at));
    }
    via?;
    check(bytes, head, at)?;
    Ok((at + 2, tally.content_length))
}

/// Note where one header is, or count it.
fn take(
    bytes: &[u8],
    head: &mut Head,
    tally: &mut Tally,
    name: Name,
    value: Span,
) -> Result<(), Fault> {
    let at = value.bounds().0;
    let single = match name {
        Name::From => &mut head.from,
        Name::To => &mut head.to,
        Name::CallId => &mut head.call_id,
        Name::CSeq => &mut head.cseq_value,
        other => {
            match other {
                Name::Via => {
                    let comma = values::find_unquoted(bytes, value, b',');
                    tally.vias += 1 + commas(bytes, Span::new(comma, value.bounds().1));
                    head.via_headers += 1;
                    if head.via_headers == 1 {
                        head.via.protocol_and_sender = value; // until it is split below
                        tally.via_comma = comma;
                    }
                }
                Name::MaxForwards => {
                    tally.max_forwards += 1;
                    keep_first(&mut head.max_forwards, value);
                }
                Name::Require => keep_first(&mut head.require, value),
                Name::ContentEncoding => keep_first(&mut head.content_encoding, value),
                Name::Authorization => {
                    head.authorizations += 1;
                    keep_first(&mut head.authorization, value);
                }
                Name::Contact => keep_first(&mut head.contact, value),
                Name::Expires => keep_first(&mut head.expires, value),
                Name::ContentType => keep_first(&mut head.content_type, value),
                Name::ContentLength if value.is_empty() => {
                    tally.lengths += 2;
                    return Err(Fault::new("Content-Length is no number", at));
                }
                Name::ContentLength => {
                    if tally.content_length.is_empty() {
                        tally.lengths += 1;
                        tally.content_length = value;
                    }
                    if tally.content_length.of(bytes) != value.of(bytes) {
                        tally.lengths += 1;
                        return Err(Fault::new("two different Content-Length", at));
                    }
                }
                _ => {}
            }
            return Ok(());
        }
    };
    if !single.is_empty() {
        return Err(Fault::new("a header twice that may stand once", at));
    }
    *single = value;
    Ok(())
}

fn keep_first(place: &mut Span, value: Span) {
    if place.is_empty() {
        *place = value;
    }
}

fn commas(bytes: &[u8], value: Span) -> usize {
    let (mut at, end) = value.bounds();
    let mut count = 0;
    loop {
        at = values::find_unquoted(bytes, Span::new(at, end), b',');
        if at >= end {
            return count;
        }
        count += 1;
        at += 1;
    }
}

/// Where the line that begins at `at` ends: the offset of its CR LF.
fn line_end(bytes: &[u8], window: &[u8], at: usize) -> Result<usize, Fault> {
    let cut = if bytes.len() > window.len() {
        "header block over 16 KiB"
    } else {
        "no empty line after the headers"
    };
    let short = Fault::new(cut, window.len());
    let end = next_break(window, at).ok_or(short)?;
    match window.get(end..) {
        Some([b'\r', b'\n', ..]) if end - at > MAX_LINE => Err(Fault::new("a line over 4 KiB", at)),
        Some([b'\r', b'\n', ..]) => Ok(end),
        Some([b'\r']) => Err(short),
        _ => Err(Fault::new("CR or LF alone", end)),
    }
}

/// Where the next CR or LF is. Most lines are short, and eight bytes at once are looked at for any control
/// character: that is less to set up than a search for two of them.
fn next_break(window: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    loop {
        while let Some(Ok(eight)) = window.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let eight = u64::from_le_bytes(eight);
            let controls = eight.wrapping_sub(0x20 * ONES) & !eight & (0x80 * ONES);
            if controls != 0 {
                at += (controls.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match window.get(at)? {
            b'\r' | b'\n' => return Some(at),
            _ => at += 1,
        }
    }
}

/// The header line at `at` with the lines folded into it, None at the empty line.
pub(super) fn next_line(bytes: &[u8], window: &[u8], at: usize) -> Result<Option<Line>, Fault> {
    let (end, folded) = header_end(bytes, window, at)?;
    if end == at {
        return Ok(None);
    }
    let name = values::token_length(&window[at..end]);
    let mut colon = at + name;
    while matches!(window[colon], b' ' | b'\t') {
        colon += 1;
    }
    if name == 0 || window[colon] != b':' {
        return Err(Fault::new("a header without a name and a colon", at));
    }
    Ok(Some(Line {
        name: Span::new(at, at + name),
        value: values::trim(bytes, Span::new(colon + 1, end)),
        next: end + 2,
        folded,
    }))
}

/// Where the header that begins at `at` ends, the lines folded into it included; and whether there are such.
#[inline]
fn header_end(bytes: &[u8], window: &[u8], at: usize) -> Result<(usize, bool), Fault> {
    let mut end = line_end(bytes, window, at)?;
    let mut folded = false;
    while end > at && matches!(window.get(end + 2), Some(b' ' | b'\t')) {
        folded = true;
        end = line_end(bytes, window, end + 2)?;
        if end - at > MAX_LINE {
            return Err(Fault::new("a line over 4 KiB", at));
        }
    }
    Ok((end, folded))
}

fn read_start(bytes: &[u8], line: Span, head: &mut Head) -> Result<(), Fault> {
    let (start, end) = values::trim(bytes, line).bounds();
    let text = &bytes[start..end];
    if start != line.bounds().0 {
        return Err(Fault::new("white space before the start line", start));
    }
    if let Some(behind) = text
        .get(8..)
        .filter(|_| text[..8].eq_ignore_ascii_case(b"SIP/2.0 "))
    {
        let digits = behind
            .get(..3)
            .filter(|_| matches!(behind.get(3), None | Some(b' ' | b'\t')));
        let status = digits
            .and_then(values::number)
            .filter(|status| (100..700).contains(status));
        let status = status.ok_or(Fault::new("a status that is not 100 to 699", start + 8))?;
        let reason = values::trim(bytes, Span::new(start + 11, end));
        head.start = Start::Response {
            status: u16::try_from(status).unwrap_or(0),
            reason,
        };
        return Ok(());
    }
    let method = values::token_length(text);
    let spaced = |byte: &u8| matches!(byte, b' ' | b'\t');
    let version = text.iter().rposition(spaced).map_or(0, |at| at + 1);
    if method == 0 || version <= method || !spaced(&text[method]) {
        return Err(Fault::new(
            "no method, URI and version in the start line",
            start,
        ));
    }
    let uri = values::trim(bytes, Span::new(start + method, start + version));
    let method = Span::new(start, start + method);
    if !is_uri(uri.of(bytes)) {
        if text[version..].eq_ignore_ascii_case(b"SIP/2.0") {
            head.start = Start::Request { method, uri };
        }
        return Err(Fault::new("a Request-URI that is none", uri.bounds().0));
    }
    match &text[version..] {
        text if text.eq_ignore_ascii_case(b"SIP/2.0") => {
            head.start = Start::Request { method, uri };
            Ok(())
        }
        text if text
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/")) =>
        {
            head.start = Start::Request { method, uri };
            Err(Fault {
                status: 505,
                reason: "another version than SIP/2.0",
                at: start + version,
            })
        }
        _ => Err(Fault::new("a version that is not SIP/2.0", start + version)),
    }
}

/// A scheme, a colon, and visible ASCII without `<>"`.
pub(super) fn is_uri(text: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', text) else {
        return false;
    };
    text[..colon].first().is_some_and(u8::is_ascii_alphabetic)
        && text[..colon]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && colon + 1 < text.len()
        && text
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'))
}

/// `foreign`: the message is refused already, and its Via may name the version of its start line.
fn split_via(bytes: &[u8], head: &mut Head, comma: usize, foreign: bool) -> Result<(), Fault> {
    let value = head.via.protocol_and_sender;
    head.via = Via::default();
    if head.via_headers > 0 {
        head.via = values::split_via(bytes, value, comma, foreign)?;
    }
    Ok(())
}

fn check(bytes: &[u8], head: &mut Head, end: usize) -> Result<(), Fault> {
    for (span, missing) in [
        (head.via.sent_by, "no Via"),
        (head.from, "no From"),
        (head.to, "no To"),
        (head.call_id, "no Call-ID"),
        (head.cseq_value, "no CSeq"),
    ] {
        if span.is_empty() {
            return Err(Fault::new(missing, end));
        }
    }
    let from = values::name_addr(bytes, head.from)?;
    let to = values::name_addr(bytes, head.to)?;
    head.from_uri = from.uri;
    head.to_uri = to.uri;
    head.from_tag = values::parameter(bytes, from.parameters, "tag").unwrap_or_default();
    head.to_tag = values::parameter(bytes, to.parameters, "tag").unwrap_or_default();

    let (start, stop) = head.cseq_value.bounds();
    let digits = head
        .cseq_value
        .of(bytes)
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    head.cseq_method = values::trim(bytes, Span::new(start + digits, stop));
    let method = head.cseq_method.of(bytes);
    let number = values::number(&bytes[start..start + digits]).filter(|number| *number <= MAX_CSEQ);
    let spaced = digits < stop - start && values::is_space(bytes[start + digits]);
    match number {
        Some(number)
            if spaced && !method.is_empty() && method.iter().all(|byte| is_token(*byte)) =>
        {
            head.cseq = number;
        }
        _ => {
            return Err(Fault::new(
                "CSeq is not a number below 2^31 and a method",
                start,
            ));
        }
    }
    match head.start {
        Start::Request { method: ours, .. } if ours.of(bytes) != method => Err(Fault::new(
            "CSeq names another method",
            head.cseq_method.bounds().0,
        )),
        _ => Ok(()),
    }
}

fn read_body(bytes: &[u8], head: &mut Head, at: usize, length: Span) -> Result<(), Fault> {
    let available = bytes.len() - at;
    let length = if length.is_empty() {
        available
    } else {
        let number =
            values::number(length.of(bytes)).and_then(|number| usize::try_from(number).ok());
        number.ok_or(Fault::new("Content-Length is no number", length.bounds().0))?
    };
    if length > available {
        return Err(Fault::new(
            "Content-Length is more than the datagram holds",
            at,
        ));
    }
    head.body = Span::new(at, at + length);
    head.beyond = available - length;
    Ok(())
}
