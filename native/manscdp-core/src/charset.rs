//! The one charset rule for bodies, and its counterpart for what we write.
//!
//! A body is decided by its bytes; what it declares only breaks a tie, since declarations lie (Q24).
//! Short GB2312 names are often valid UTF-8 by chance, so UTF-8 has to be declared or to hold a
//! character of three bytes. All else is GB18030, the superset of what cameras send.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, GB18030};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How far a declaration is looked for.
const DECLARATION_BYTES: usize = 128;

/// Text of a body, and how many unreadable sequences became U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    pub text: Cow<'a, str>,
    pub replaced: usize,
}

/// Read a body by the rule of this module.
pub fn decode(body: &[u8]) -> Decoded<'_> {
    if let Some(rest) = body.strip_prefix(BOM) {
        return lossy_utf8(rest);
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.is_ascii() || has_three_bytes(body) || declares_utf8(body) => Decoded {
            text: Cow::Borrowed(text),
            replaced: 0,
        },
        _ => gb18030(body),
    }
}

fn lossy_utf8(bytes: &[u8]) -> Decoded<'_> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded {
            text: Cow::Borrowed(text),
            replaced: 0,
        };
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    let mut replaced = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            replaced += 1;
        }
    }
    Decoded {
        text: Cow::Owned(text),
        replaced,
    }
}

fn gb18030(bytes: &[u8]) -> Decoded<'_> {
    if let Some(text) = GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
        return Decoded { text, replaced: 0 };
    }
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len() * 2 + 16);
    let mut replaced = 0;
    let mut rest = bytes;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut text, true);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => {
                return Decoded {
                    text: Cow::Owned(text),
                    replaced,
                };
            }
            DecoderResult::OutputFull => text.reserve(rest.len() * 2 + 16),
            DecoderResult::Malformed(..) => {
                text.push(char::REPLACEMENT_CHARACTER);
                replaced += 1;
            }
        }
    }
}

/// In valid UTF-8, a byte from E0 on starts a character of three or four bytes.
fn has_three_bytes(valid: &[u8]) -> bool {
    valid.iter().any(|&byte| byte >= 0xe0)
}

fn declares_utf8(body: &[u8]) -> bool {
    let start = &body[..body.len().min(DECLARATION_BYTES)];
    let Some(declaration) = start.trim_ascii_start().strip_prefix(b"<?xml") else {
        return false;
    };
    let end = declaration
        .windows(2)
        .position(|pair| pair == b"?>")
        .unwrap_or(declaration.len());
    let lower = declaration[..end].to_ascii_lowercase();
    let Some(at) = lower.windows(8).position(|word| word == b"encoding") else {
        return false;
    };
    let value = lower[at + 8..].trim_ascii_start();
    let Some(value) = value.strip_prefix(b"=") else {
        return false;
    };
    let value = value.trim_ascii_start();
    let value = value
        .strip_prefix(b"\"")
        .or_else(|| value.strip_prefix(b"'"))
        .unwrap_or(value);
    value.starts_with(b"utf-8") || value.starts_with(b"utf8")
}

/// What a page we write is labelled with. `Gb2312` is a label: bytes beyond it are GB18030's, which
/// every reader of that label in the field understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Gb2312,
    Gb18030,
    Utf8,
}

impl Charset {
    /// By its label, in any case; None for one we never write.
    pub fn named(label: &str) -> Option<Self> {
        [Self::Gb2312, Self::Gb18030, Self::Utf8]
            .into_iter()
            .find(|charset| charset.label().eq_ignore_ascii_case(label))
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Gb2312 => "GB2312",
            Self::Gb18030 => "GB18030",
            Self::Utf8 => "UTF-8",
        }
    }

    /// Bytes of `text`; the one code point that GB18030 lacks becomes a numeric reference.
    pub fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Utf8 => Cow::Borrowed(text.as_bytes()),
            Self::Gb2312 | Self::Gb18030 => GB18030.encode(text).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> (String, usize) {
        let decoded = decode(body);
        (decoded.text.into_owned(), decoded.replaced)
    }

    #[test]
    fn a_short_gb2312_name_that_is_also_utf8_is_gb2312() {
        assert_eq!(read(b"<a>\xc4\xa3</a>"), ("<a>模</a>".to_owned(), 0));
    }

    #[test]
    fn the_same_bytes_are_utf8_when_it_is_declared() {
        let body = b"<?xml version='1.0' encoding = 'utf-8'?><a>\xc4\xa3</a>";
        assert!(read(body).0.ends_with("<a>\u{123}</a>"));
    }

    #[test]
    fn three_byte_characters_are_utf8_whatever_is_declared() {
        let body = "<?xml version=\"1.0\" encoding=\"GB2312\"?><a>门口</a>";
        assert_eq!(read(body.as_bytes()), (body.to_owned(), 0));
    }

    #[test]
    fn declared_utf8_with_gbk_bytes_is_gb18030() {
        let (text, replaced) = read(b"<?xml encoding=\"UTF-8\"?><a>\xc3\xc5\xbf\xda</a>");
        assert!(text.ends_with("<a>门口</a>"));
        assert_eq!(replaced, 0);
    }

    #[test]
    fn rare_and_four_byte_characters_are_read() {
        assert_eq!(read(b"\xe9\x46").0, "镕".to_owned());
        assert_eq!(read(b"\x95\x32\x82\x36").0, "\u{20000}".to_owned());
    }

    #[test]
    fn a_name_cut_in_the_middle_of_a_character_keeps_the_markup() {
        assert_eq!(
            read(b"<a>\xc3\xc5\xbf</a>"),
            ("<a>门\u{fffd}</a>".to_owned(), 1)
        );
        assert_eq!(
            read(b"\xef\xbb\xbf<a>\xe9\x97</a>"),
            ("<a>\u{fffd}</a>".to_owned(), 1)
        );
    }
}
