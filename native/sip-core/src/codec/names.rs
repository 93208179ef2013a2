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

const READ: [(&str, Name); 13] = [
    ("Via", Name::Via),
    ("From", Name::From),
    ("To", Name::To),
    ("Call-ID", Name::CallId),
    ("CSeq", Name::CSeq),
    ("Contact", Name::Contact),
    ("Expires", Name::Expires),
    ("Content-Type", Name::ContentType),
    ("Content-Length", Name::ContentLength),
    ("Authorization", Name::Authorization),
    ("Max-Forwards", Name::MaxForwards),
    ("Require", Name::Require),
    ("Content-Encoding", Name::ContentEncoding),
];

/// Which of the headers the engine reads this is, in any case and either form.
pub fn recognise(name: &[u8]) -> Name {
    let name = long_form(name);
    // The lengths of READ; most other headers are told apart here, without comparing text.
    if !matches!(name.len(), 2 | 3 | 4 | 7 | 12 | 13 | 14 | 16) {
        return Name::Other;
    }
    READ.iter()
        .find(|(text, _)| name.eq_ignore_ascii_case(text.as_bytes()))
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
