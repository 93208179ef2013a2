//! References in text: the five predefined ones and numbers, nothing else; and the way back.

use std::borrow::Cow;

/// The longest reference worth reading: `&#x10FFFF;` and a few leading zeros.
const LONGEST: usize = 16;

/// Whether XML 1.0 allows `c` in a document at all.
pub(crate) fn allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Where the first character is that XML 1.0 does not allow.
pub(crate) fn forbidden(text: &str) -> Option<usize> {
    // In UTF-8, what is forbidden is a byte below a blank or starts with EF.
    let suspect =
        |byte: &u8| *byte == 0xef || (*byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'));
    // Without an early end this loop is a few vector instructions.
    if !text
        .as_bytes()
        .iter()
        .fold(false, |any, byte| any | suspect(byte))
    {
        return None;
    }
    text.find(|c| !allowed(c))
}

/// What the reference at the start of `text` (which starts with `&`) stands for, and its length.
pub(crate) fn reference(text: &str) -> Option<(char, usize)> {
    let window = &text.as_bytes()[..text.len().min(LONGEST)];
    let end = window.iter().position(|&byte| byte == b';')?;
    let name = &text[1..end];
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => number(name.strip_prefix('#')?)?,
    };
    Some((c, end + 1))
}

fn number(digits: &str) -> Option<char> {
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None; // `from_str_radix` would take a sign
    }
    let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    allowed(c).then_some(c)
}

/// Whether every `&` in `text` starts a reference that [`expand`] knows.
pub(crate) fn expandable(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let Some((_, length)) = reference(&rest[at..]) else {
            return false;
        };
        rest = &rest[at + length..];
    }
    true
}

/// Text with its references replaced; one that is unknown stays as it is (see [`expandable`]).
pub(crate) fn expand(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (c, length) = reference(&rest[at..]).unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Append `text` so that a reader gets it back; what XML can't hold is left out.
pub(crate) fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"), // a reader would make it a line feed
            _ if allowed(c) => out.push(c),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predefined_and_numeric_references_are_read() {
        assert_eq!(
            expand("A&amp;B &lt;&gt;&quot;&apos; &#38376;&#x95E8;"),
            "A&B <>\"' 门门"
        );
    }

    #[test]
    fn signs_controls_and_unknown_names_are_no_references() {
        for text in [
            "&nbsp;",
            "&#+38;",
            "&#1;",
            "&#xD800;",
            "&",
            "&#;",
            "&amp",
            "&#99999999999;",
        ] {
            assert!(!expandable(text), "{text}");
        }
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        let mut out = String::new();
        escape_into(&mut out, "a<b>&\u{1}\r\n]]>");
        assert_eq!(out, "a&lt;b&gt;&amp;&#13;\n]]&gt;");
        assert_eq!(expand(&out), "a<b>&\r\n]]>");
    }
}
