//! Covers secrets in a datagram, whatever it is: a message, half of one, or none.
//!
//! What is covered keeps its length, so that Content-Length and all offsets stay true. Of credentials and
//! challenges only parameters that are known to be no secret stay readable; digests over a shared secret
//! (`Note`, GB/T 28181 chapter 8) are covered too, since they can be tried offline.

use memchr::{memchr, memchr2, memmem, memrchr2};

pub(crate) const COVER: u8 = b'*';

/// Headers whose values are covered, but for what `OPEN` names.
const HEADERS: [&[u8]; 6] = [
    b"Authorization",
    b"Proxy-Authorization",
    b"WWW-Authenticate",
    b"Proxy-Authenticate",
    b"Authentication-Info",
    b"Note",
];

/// Parameters of credentials and challenges that stay readable.
const OPEN: [&[u8]; 8] = [
    b"username",
    b"realm",
    b"uri",
    b"algorithm",
    b"qop",
    b"nc",
    b"stale",
    b"domain",
];

/// Cover what must not be kept.
pub(crate) fn mask(datagram: &mut [u8]) {
    let body = mask_headers(datagram);
    mask_uris(&mut datagram[..body]);
    mask_body(&mut datagram[body..]);
}

/// Cover secrets of the lines up to the empty one; where the body begins. Either of CR and LF ends a
/// line here: nobody shall hide a header from this function that another parser would find.
fn mask_headers(bytes: &mut [u8]) -> usize {
    let mut at = 0;
    let mut secret = false;
    while at < bytes.len() {
        let (end, next) = next_line(bytes, at);
        if at == end {
            return next;
        }
        let line = &mut bytes[at..end];
        if matches!(line[0], b' ' | b'\t') {
            if secret {
                mask_parameters(line);
            }
        } else if secret || may_be_secret(line[0]) {
            secret = false;
            if let Some(colon) = memchr(b':', line) {
                secret = is_secret(line[..colon].trim_ascii());
                if secret {
                    mask_parameters(&mut line[colon + 1..]);
                }
            }
        }
        at = next;
    }
    bytes.len()
}

/// Where the line that starts at `at` ends, and where the next one starts.
fn next_line(bytes: &[u8], at: usize) -> (usize, usize) {
    let end = memchr2(b'\r', b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
    let next = match bytes.get(end..end + 2) {
        Some(b"\r\n") => end + 2,
        _ => (end + 1).min(bytes.len()),
    };
    (end, next)
}

/// May a header that begins so be one of `HEADERS`?
fn may_be_secret(letter: u8) -> bool {
    matches!(letter.to_ascii_lowercase(), b'a' | b'p' | b'w' | b'n')
}

fn is_secret(name: &[u8]) -> bool {
    matches!(name.len(), 4 | 13 | 16 | 18 | 19)
        && HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Cover all but the scheme's first word and the values of open parameters.
fn mask_parameters(value: &mut [u8]) {
    let mut at = 0;
    let mut first = true;
    while at < value.len() {
        let end = end_of_parameter(value, at);
        let parameter = &mut value[at..end];
        match memchr(b'=', parameter) {
            Some(equals) => {
                let name = parameter[..equals].trim_ascii();
                // A first one may follow the scheme: `Digest username="…"`.
                let name = match name.iter().rposition(u8::is_ascii_whitespace) {
                    Some(space) if first => &name[space + 1..],
                    _ => name,
                };
                if !OPEN.iter().any(|open| open.eq_ignore_ascii_case(name)) {
                    cover(&mut parameter[equals + 1..]);
                }
            }
            None if first && parameter.trim_ascii().iter().all(u8::is_ascii_alphanumeric) => {}
            None => cover(parameter),
        }
        first = false;
        at = end + 1;
    }
}

/// The next comma outside quotes, or the end. A quote that is never closed ends with the value.
fn end_of_parameter(value: &[u8], start: usize) -> usize {
    let mut quoted = false;
    let mut at = start;
    while at < value.len() {
        match value[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b',' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    value.len()
}

/// Blanks and quotes stay, so that the line still reads as what it is.
fn cover(value: &mut [u8]) {
    for byte in value {
        if !matches!(byte, b' ' | b'\t' | b'"') {
            *byte = COVER;
        }
    }
}

/// Cover the password in `sip:user:password@host` (RFC 3261 section 19.1.1).
fn mask_uris(lines: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = memchr(b'@', &lines[from..]) {
        let host = from + found;
        let start = lines[from..host]
            .iter()
            .rposition(|byte| matches!(byte, b'<' | b' ' | b'\t' | b'"' | b',' | b'\r' | b'\n'))
            .map_or(from, |blank| from + blank + 1);
        let mut colons = (start..host).filter(|at| lines[*at] == b':');
        if let (Some(first), Some(second)) = (colons.next(), colons.next()) {
            let scheme = lines[start..first].to_ascii_lowercase();
            if scheme.ends_with(b"sip") || scheme.ends_with(b"sips") {
                lines[second + 1..host].fill(COVER);
            }
        }
        from = host + 1;
    }
}

fn mask_body(body: &mut [u8]) {
    if memchr(0, body).is_some() {
        body.fill(COVER); // no text that can be searched, so nothing of it is known to be harmless
        return;
    }
    if body.starts_with(b"v=") {
        mask_keys(body);
    }
    mask_elements(body);
}

/// Keys of media in SDP: `k=` (RFC 4566 section 5.12) and `a=crypto:` (RFC 4568).
fn mask_keys(body: &mut [u8]) {
    for line in body.split_mut(|byte| matches!(byte, b'\r' | b'\n')) {
        let kept = if line.starts_with(b"k=") {
            2
        } else if line.len() > 9 && line[..9].eq_ignore_ascii_case(b"a=crypto:") {
            9
        } else {
            continue;
        };
        cover(&mut line[kept..]);
    }
}

/// Cover the text of every XML element whose name or attributes speak of a password or a secret.
fn mask_elements(body: &mut [u8]) {
    mask_elements_that_say(body, b"passw", 4);
    mask_elements_that_say(body, b"secret", 2);
}

/// `rare` is where the rarest letter of the word stands.
fn mask_elements_that_say(body: &mut [u8], word: &[u8], rare: usize) {
    let letter = word[rare];
    let mut at = 0;
    while let Some(found) = memchr2(letter, letter.to_ascii_uppercase(), &body[at..]) {
        let start = (at + found).checked_sub(rare);
        at += found + 1;
        let said = start.is_some_and(|start| {
            body.get(start..start + word.len())
                .is_some_and(|part| part.eq_ignore_ascii_case(word))
        });
        if !said {
            continue;
        }
        let tag = memrchr2(b'<', b'>', &body[..at]).filter(|it| body[*it] == b'<');
        if let Some(open) = tag {
            at = mask_element(body, open + 1);
        }
    }
}

/// Cover the attributes of the element whose tag begins at `open`, and its text; where that ends.
fn mask_element(body: &mut [u8], open: usize) -> usize {
    let end = memchr2(b'<', b'>', &body[open..]).map_or(body.len(), |length| open + length);
    let name = body[open..end]
        .iter()
        .position(u8::is_ascii_whitespace)
        .map_or(end, |length| open + length);
    cover(&mut body[name..end]); // attributes
    if body.get(open) == Some(&b'/') || body[..end].ends_with(b"/") {
        return end;
    }
    let text = (end + 1).min(body.len());
    let stop = memmem::find(&body[text..], b"</").map_or(body.len(), |length| text + length);
    cover(&mut body[text..stop]);
    stop
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        mask(&mut bytes);
        assert_eq!(bytes.len(), text.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn of_credentials_only_what_is_no_secret_stays() {
        assert_eq!(
            masked(
                "REGISTER sip:a SIP/2.0\r\naUTHORIZATION : Digest username=\"34,02\", realm=\"r\",nonce=\"ab\", \
                 uri=\"sip:x\",\r\n\tresponse = \"0123\",cnonce=77, algorithm=MD5\r\nMax-Forwards: 70\r\n\r\n"
            ),
            "REGISTER sip:a SIP/2.0\r\naUTHORIZATION : Digest username=\"34,02\", realm=\"r\",nonce=\"**\", \
             uri=\"sip:x\",\r\n\tresponse = \"****\",cnonce=**, algorithm=MD5\r\nMax-Forwards: 70\r\n\r\n"
        );
    }

    #[test]
    fn what_does_not_read_as_parameters_is_covered_whole() {
        assert_eq!(
            masked("X\r\nProxy-Authorization: Basic c2VjcmV0\r\n"),
            "X\r\nProxy-Authorization: ***** ********\r\n"
        );
        assert_eq!(
            masked("X\rAuthorization: Digest response=\"open\nNote: Digest nonce=\"dGVzdA==\""),
            "X\rAuthorization: Digest response=\"****\nNote: Digest nonce=\"********\""
        );
    }

    #[test]
    fn a_password_in_a_uri_is_covered() {
        assert_eq!(
            masked(
                "INVITE sip:34:pw@10.0.0.1:5060 SIP/2.0\r\nFrom: \"a\" <SIPS:u:p@h>;tag=1\r\n\
                 To: <sip:u@h>\r\nCall-ID: a:b:c@10.0.0.1\r\n"
            ),
            "INVITE sip:34:**@10.0.0.1:5060 SIP/2.0\r\nFrom: \"a\" <SIPS:u:*@h>;tag=1\r\n\
             To: <sip:u@h>\r\nCall-ID: a:b:c@10.0.0.1\r\n"
        );
    }

    #[test]
    fn elements_of_passwords_and_keys_of_media_are_covered() {
        let head = "MESSAGE sip:a SIP/2.0\r\n\r\n";
        assert_eq!(
            masked(&format!(
                "{head}<Item><PassWord a=\"1\">12<![CDATA[34]]></PassWord><Name>x</Name><Password/></Item>"
            )),
            format!(
                "{head}<Item><PassWord **\"*\">****************</PassWord><Name>x</Name><Password/></Item>"
            )
        );
        assert_eq!(
            masked(&format!(
                "{head}v=0\r\nk=clear:abc\r\na=crypto:1 X inline:z\r\na=rtpmap:96 PS\r\n"
            )),
            format!("{head}v=0\r\nk=*********\r\na=crypto:* * ********\r\na=rtpmap:96 PS\r\n")
        );
    }

    #[test]
    fn a_body_that_is_no_text_is_covered_whole() {
        assert_eq!(masked("A\r\n\r\n<\0P\0"), "A\r\n\r\n****");
    }

    #[test]
    fn any_bytes_keep_their_length() {
        let mut dice = 7_u32;
        for length in 0..600 {
            let mut bytes: Vec<u8> = (0..length)
                .map(|_| {
                    dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"\r\n:<>/=,\"\\ @aPassword\0v"[(dice >> 16) as usize % 23]
                })
                .collect();
            mask(&mut bytes);
            assert_eq!(bytes.len(), length);
        }
    }
}
