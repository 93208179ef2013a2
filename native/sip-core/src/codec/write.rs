//! The writers: answers out of the request they answer, and requests.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::message::unfold;
use super::names::{self, Name};
use super::parse::is_uri;
use super::status::phrase;
use super::values::{self, is_token};
use super::{Head, Span};

/// Headers as name and value, already checked by [`check_header`].
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// Write the whole answer to a request, instead of what is in `out`.
#[allow(clippy::too_many_arguments)] // the fields of one answer, each from another owner
pub fn response(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &Head,
    source: SocketAddr,
    status: u16,
    tag: Option<&[u8]>,
    headers: Headers<'_>,
    body: &[u8],
) {
    out.clear();
    begin_response(out, bytes, head, source, status, tag);
    put_headers(out, headers);
    put_end(out, body);
}

/// Write of the answer to a request (RFC 3261 section 8.2.6) all but its own headers and its end: behind what
/// is in `out` already, up to and with `CSeq`.
///
/// `tag` is appended to To where the request had none. The topmost Via tells the asker where its packet
/// came from, asked or not (RFC 3581; devices behind address translation forget to ask).
pub fn begin_response(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &Head,
    source: SocketAddr,
    status: u16,
    tag: Option<&[u8]>,
) {
    match status {
        200 => out.extend_from_slice(b"SIP/2.0 200 OK\r\nVia: "),
        401 => out.extend_from_slice(b"SIP/2.0 401 Unauthorized\r\nVia: "),
        _ => {
            out.extend_from_slice(b"SIP/2.0 ");
            put_number(out, usize::from(status));
            out.push(b' ');
            out.extend_from_slice(phrase(status).as_bytes());
            out.extend_from_slice(b"\r\nVia: ");
        }
    }
    if head.folded {
        out.extend_from_slice(&unfold(head.via.protocol_and_sender.of(bytes)));
    } else {
        out.extend_from_slice(head.via.protocol_and_sender.of(bytes));
    }
    out.extend_from_slice(b";rport=");
    put_number(out, usize::from(source.port()));
    out.extend_from_slice(b";received=");
    put_address(out, source.ip().to_canonical());
    put_other_parameters(out, bytes, head.via.parameters);
    out.extend_from_slice(b"\r\n");
    if !head.via.rest.is_empty() {
        put_line(out, "Via", head.via.rest.of(bytes));
    }
    if head.has_more_vias() {
        for value in head.headers(bytes, b"Via").skip(1) {
            put_line(out, "Via", value.of(bytes));
        }
    }
    put_pair(out, bytes, head, ("From", head.from), ("To", head.to));
    if let Some(tag) = tag.filter(|_| head.to_tag.is_empty()) {
        out.extend_from_slice(b";tag=");
        out.extend_from_slice(tag);
    }
    out.extend_from_slice(b"\r\n");
    put_pair(
        out,
        bytes,
        head,
        ("Call-ID", head.call_id),
        ("CSeq", head.cseq_value),
    );
    out.extend_from_slice(b"\r\n");
}

/// Two lines but for the end of the second. Where they stand so already, one below the other, they are one piece.
fn put_pair(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &Head,
    (name, value): (&str, Span),
    (name_below, value_below): (&str, Span),
) {
    let ((start, end), (below, end_below)) = (value.bounds(), value_below.bounds());
    let stands = |at: usize, name: &str| {
        let line = at.checked_sub(name.len() + 4).map(|line| &bytes[line..at]);
        line.is_some_and(|line| {
            line.starts_with(b"\r\n")
                && line.ends_with(b": ")
                && line[2..].starts_with(name.as_bytes())
        })
    };
    let begin = start.saturating_sub(name.len() + 2);
    if !head.folded
        && below == end + name_below.len() + 4
        && stands(start, name)
        && stands(below, name_below)
    {
        return out.extend_from_slice(&bytes[begin..end_below]);
    }
    put_line(out, name, value.of(bytes));
    put_line(out, name_below, value_below.of(bytes));
    out.truncate(out.len() - 2);
}

/// Write of a request what an answer to it is made of, and nothing else: its line, its Vias, From, To,
/// Call-ID and `CSeq`. It reads as a request again, and as the same one.
pub fn outline(out: &mut Vec<u8>, bytes: &[u8], head: &Head) {
    out.clear();
    out.extend_from_slice(head.method(bytes));
    out.push(b' ');
    out.extend_from_slice(head.uri().of(bytes));
    out.extend_from_slice(b" SIP/2.0\r\n");
    for value in head.headers(bytes, b"Via") {
        put_line(out, "Via", value.of(bytes));
    }
    put_line(out, "From", head.from.of(bytes));
    put_line(out, "To", head.to.of(bytes));
    put_line(out, "Call-ID", head.call_id.of(bytes));
    put_line(out, "CSeq", head.cseq_value.of(bytes));
    put_end(out, b"");
}

/// Write a request, with Via and Content-Length, and Max-Forwards where the headers bring none.
pub fn request(
    out: &mut Vec<u8>,
    method: &str,
    uri: &str,
    (transport, sent_by): (&str, &str),
    branch: &str,
    headers: Headers<'_>,
    body: &[u8],
) {
    out.clear();
    put(
        out,
        format_args!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {sent_by};rport;branch={branch}\r\n"
        ),
    );
    let hops = headers
        .iter()
        .any(|(name, _)| names::recognise(name.as_bytes()) == Name::MaxForwards);
    if !hops {
        out.extend_from_slice(b"Max-Forwards: 70\r\n");
    }
    put_headers(out, headers);
    put_end(out, body);
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // a Vec takes everything
}

/// Decimal digits.
fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut left = number;
    loop {
        first -= 1;
        digits[first] = b"0123456789"[left % 10];
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        return put(out, format_args!("{address}"));
    };
    let mut text = [0; 15];
    let mut length = 0;
    for octet in address.octets() {
        if length > 0 {
            text[length] = b'.';
            length += 1;
        }
        for (least, part) in [(100, octet / 100), (10, octet / 10 % 10), (0, octet % 10)] {
            if octet >= least {
                text[length] = b'0' + part;
                length += 1;
            }
        }
    }
    out.extend_from_slice(&text[..length]);
}

pub fn put_headers(out: &mut Vec<u8>, headers: Headers<'_>) {
    for (name, value) in headers {
        put_line(out, name, value.as_bytes());
    }
}

/// One header, and what stands on its line.
pub fn put_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(unfold(value).trim_ascii());
    out.extend_from_slice(b"\r\n");
}

/// Content-Length, the empty line and the body.
pub fn put_end(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(b"Content-Length: ");
    put_number(out, body.len());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

/// What the asker itself wrote as `received` and `rport` is not repeated.
fn put_other_parameters(out: &mut Vec<u8>, bytes: &[u8], parameters: Span) {
    let (start, end) = parameters.bounds();
    let mut at = (start + 1).min(end);
    while at < end {
        let stop = values::find_unquoted(bytes, Span::new(at, end), b';');
        let piece = values::trim(bytes, Span::new(at, stop));
        let (from, _) = piece.bounds();
        let text = piece.of(bytes);
        let ours = || {
            let equals = values::find_unquoted(bytes, piece, b'=');
            let name = values::trim(bytes, Span::new(from, equals)).of(bytes);
            name.is_empty()
                || name.eq_ignore_ascii_case(b"received")
                || name.eq_ignore_ascii_case(b"rport")
        };
        let may_be_ours = matches!(text.first(), None | Some(b'r' | b'R' | b'='));
        if !(may_be_ours && ours()) {
            out.push(b';');
            out.extend_from_slice(&unfold(text));
        }
        at = stop + 1;
    }
}

/// Whether a header may be written: no line break can get in, and nothing that the engine writes itself.
///
/// # Errors
/// A sentence for the programmer who passed it.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("not a header name: {name:?}"));
    }
    if value
        .bytes()
        .any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
    {
        return Err(format!("a control character in the value of {name}"));
    }
    match names::recognise(name.as_bytes()) {
        Name::Via | Name::ContentLength => Err(format!("{name} is written by the engine")),
        _ => Ok(()),
    }
}

/// # Errors
/// A sentence for the programmer who passed it.
pub fn check_method(method: &str) -> Result<(), String> {
    if !method.is_empty() && method.bytes().all(is_token) {
        return Ok(());
    }
    Err(format!("not a method: {method:?}"))
}

/// # Errors
/// A sentence for the programmer who passed it.
pub fn check_uri(uri: &str) -> Result<(), String> {
    if is_uri(uri.as_bytes()) {
        Ok(())
    } else {
        Err(format!("not a URI: {uri:?}"))
    }
}
