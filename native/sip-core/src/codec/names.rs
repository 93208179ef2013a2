//! Header names: the ones the engine reads, and the compact forms (RFC 3261 section 7.3.3).

/// What the engine itself looks at; everything else is found by text when somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    Expires,
    ContentType,
    ContentLength,
    Authorization,
    MaxForwards,
    Require,
    ContentEncoding,
    Other,
}

const COMPACT: [(u8, &str); 20] = [
    (b'a', "Accept-Contact"),
    (b'b', "Referred-By"),
    (b'c', "Content-Type"),
    (b'd', "Request-Disposition"),
    (b'e', "Content-Encoding"),
    (b'f', "From"),
    (b'i', "Call-ID"),
    (b'j', "Reject-Contact"),
    (b'k', "Supported"),
    (b'l', "Content-Length"),
    (b'm', "Contact"),
    (b'n', "Identity-Info"),
    (b'o', "Event"),
    (b'r', "Refer-To"),
    (b's', "Subject"),
    (b't', "To"),
    (b'u', "Allow-Events"),
    (b'v', "Via"),
    (b'x', "Session-Expires"),
    (b'y', "Identity"),
];

/// Those that are as long as that.
const fn read(length: usize) -> &'static [(&'static str, Name)] {
    match length {
        2 => &[("To", Name::To)],
        3 => &[("Via", Name::Via)],
        4 => &[("From", Name::From), ("CSeq", Name::CSeq)],
        7 => &[
            ("Call-ID", Name::CallId),
            ("Contact", Name::Contact),
            ("Expires", Name::Expires),
            ("Require", Name::Require),
        ],
        12 => &[
            ("Max-Forwards", Name::MaxForwards),
            ("Content-Type", Name::ContentType),
        ],
        13 => &[("Authorization", Name::Authorization)],
        14 => &[("Content-Length", Name::ContentLength)],
        16 => &[("Content-Encoding", Name::ContentEncoding)],
        _ => &[],
    }
}

/// Of a line that begins with a header in its long form as RFC 3261 spells it, and a colon right behind: which
/// header, and where its value begins. Most lines do.
#[inline]
pub fn usual(line: &[u8]) -> Option<(Name, usize)> {
    let (spelled, name): (&[u8], Name) = match line.first()? {
        b'V' => (b"Via:", Name::Via),
        b'F' => (b"From:", Name::From),
        b'T' => (b"To:", Name::To),
        b'M' => (b"Max-Forwards:", Name::MaxForwards),
        b'U' => (b"User-Agent:", Name::Other),
        b'E' => (b"Expires:", Name::Expires),
        b'A' => (b"Authorization:", Name::Authorization),
        b'C' => match line.get(..9)? {
            [_, b'S', b'e', b'q', b':', ..] => (b"CSeq:", Name::CSeq),
            b"Call-ID: " => (b"Call-ID:", Name::CallId),
            b"Contact: " => (b"Contact:", Name::Contact),
            b"Content-L" => (b"Content-Length:", Name::ContentLength),
            b"Content-T" => (b"Content-Type:", Name::ContentType),
            _ => return None,
        },
        _ => return None,
    };
    line.starts_with(spelled).then_some((name, spelled.len()))
}

/// Which of the headers the engine reads this is, in any case and either form.
pub fn recognise(name: &[u8]) -> Name {
    let name = long_form(name);
    let alike = |text: &str| {
        let text = text.as_bytes();
        name[0] | 0x20 == text[0] | 0x20 && (name == text || name.eq_ignore_ascii_case(text))
    };
    read(name.len())
        .iter()
        .find(|(text, _)| alike(text))
        .map_or(Name::Other, |(_, name)| *name)
}

/// The long form of a compact name; any other name as it is.
pub fn long_form(name: &[u8]) -> &[u8] {
    let [letter] = name else { return name };
    let letter = letter.to_ascii_lowercase();
    COMPACT
        .iter()
        .find(|(short, _)| *short == letter)
        .map_or(name, |(_, long)| long.as_bytes())
}

pub fn same(one: &[u8], other: &[u8]) -> bool {
    long_form(one).eq_ignore_ascii_case(long_form(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_in_their_compact_form() {
        assert_eq!(recognise(b"cAll-iD"), Name::CallId);
        assert_eq!(recognise(b"I"), Name::CallId);
        assert_eq!(recognise(b"Subject"), Name::Other);
        assert!(same(b"s", b"SUBJECT"));
        assert!(!same(b"s", b"Supported"));
    }
}
