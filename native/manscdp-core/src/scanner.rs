//! The strict scanner: one pass over text, spans only, refuses what it does not need to know.
//!
//! What it accepts without a word is well-formed XML. Comments, CDATA, DTDs, processing instructions
//! and prefixed names are refused at once ([`Refusal::NotOurs`]): the general parser may read them.

use std::fmt;

use crate::entity;

pub(crate) const MAX_DEPTH: usize = 16;
pub(crate) const MAX_NAME: usize = 64;
/// Bytes of UTF-8 in one text.
pub(crate) const MAX_TEXT: usize = 4096;
pub(crate) const MAX_ATTRIBUTES: usize = 16;

/// Why a text was refused; `at` is a byte of the decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Legal XML perhaps, but of a kind that a page has no need of: not worth a repair.
    NotOurs { what: &'static str, at: usize },
    /// Broken, or beyond a limit: a repair may help.
    Broken { what: &'static str, at: usize },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotOurs { what, at } | Self::Broken { what, at }) = self;
        write!(f, "{what} (byte {at} of the text)")
    }
}

impl std::error::Error for Refusal {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Name and the raw text of the attributes. An empty element is an `Open` and a `Close`.
    Open(&'a str, &'a str),
    Text(&'a str),
    Close,
    /// The root is closed and nothing follows.
    End,
}

pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    open: Vec<&'a str>,
    closing: bool,
    begun: bool,
}

impl<'a> Scanner<'a> {
    /// Scan one document, or one element of it.
    pub(crate) fn new(text: &'a str) -> Result<Self, Refusal> {
        if let Some(at) = entity::forbidden(text) {
            return Err(Refusal::Broken {
                what: "a character that XML does not allow",
                at,
            });
        }
        let mut scanner = Self {
            text,
            at: 0,
            open: Vec::with_capacity(MAX_DEPTH),
            closing: false,
            begun: false,
        };
        scanner.skip_declaration()?;
        Ok(scanner)
    }

    pub(crate) fn broken<T>(&self, what: &'static str) -> Result<T, Refusal> {
        Err(Refusal::Broken { what, at: self.at })
    }

    fn skip_declaration(&mut self) -> Result<(), Refusal> {
        if !self.text.starts_with("<?xml") {
            return Ok(());
        }
        match self.text.find("?>") {
            Some(end) if self.text[5..end].starts_with([' ', '\t', '\r', '\n']) => {
                self.at = end + 2;
                Ok(())
            }
            _ => self.broken("an XML declaration without an end"),
        }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, Refusal> {
        if self.closing {
            self.closing = false;
            self.open.pop();
            return Ok(Token::Close);
        }
        let rest = &self.text[self.at..];
        let end = find(rest, b'<').unwrap_or(rest.len());
        let text = &rest[..end];
        if self.open.is_empty() {
            if !text.trim_matches(BLANKS).is_empty() {
                return self.broken("text outside the root");
            }
            self.at += end;
        } else if end == rest.len() {
            return self.broken("the text ends inside an element");
        } else if end > 0 {
            self.check_text(text)?;
            self.at += end;
            return Ok(Token::Text(text));
        }
        match self.text.as_bytes().get(self.at + 1) {
            None if self.at == self.text.len() && self.begun => Ok(Token::End),
            None => self.broken("the text ends too early"),
            Some(b'!') => Err(Refusal::NotOurs {
                what: "a comment, CDATA section or DTD",
                at: self.at,
            }),
            Some(b'?') => Err(Refusal::NotOurs {
                what: "a processing instruction",
                at: self.at,
            }),
            Some(b'/') => self.close(),
            Some(_) => self.open(),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), Refusal> {
        if text.len() > MAX_TEXT {
            return self.broken("a text longer than 4 KiB");
        }
        if !text.bytes().any(|byte| matches!(byte, b']' | b'&')) {
            return Ok(());
        }
        if text.contains("]]>") {
            return self.broken("]]> in a text");
        }
        if !entity::expandable(text) {
            return self.broken("an unknown reference");
        }
        Ok(())
    }

    fn close(&mut self) -> Result<Token<'a>, Refusal> {
        let rest = &self.text[self.at + 2..];
        let Some(end) = find(rest, b'>') else {
            return self.broken("an end tag without an end");
        };
        if self.open.last() != Some(&rest[..end].trim_end_matches(BLANKS)) {
            return self.broken("an end tag without its start tag");
        }
        self.open.pop();
        self.at += 2 + end + 1;
        Ok(Token::Close)
    }

    fn open(&mut self) -> Result<Token<'a>, Refusal> {
        if self.begun && self.open.is_empty() {
            return self.broken("a second root");
        }
        if self.open.len() == MAX_DEPTH {
            return self.broken("elements nested deeper than 16");
        }
        let start = self.at + 1;
        let name = self.name(start)?;
        self.at = start + name.len();
        let attributes = self.attributes()?;
        self.begun = true;
        self.open.push(name);
        if self.text[self.at..].starts_with("/>") {
            self.at += 2;
            self.closing = true;
        } else {
            self.at += 1;
        }
        Ok(Token::Open(name, attributes))
    }

    fn name(&self, start: usize) -> Result<&'a str, Refusal> {
        let rest = &self.text[start..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(rest.len());
        let name = &rest[..end];
        if rest[end..].starts_with(|c: char| c == ':' || !c.is_ascii()) {
            return Err(Refusal::NotOurs {
                what: "a name with a prefix or beyond ASCII",
                at: start,
            });
        }
        if end > MAX_NAME || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(Refusal::Broken {
                what: "a name that is none",
                at: start,
            });
        }
        Ok(name)
    }

    /// Check the attributes up to `>` or `/>`, where this leaves `at`; their raw text.
    fn attributes(&mut self) -> Result<&'a str, Refusal> {
        let start = self.at;
        let mut names: Vec<&str> = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches(BLANKS);
            let blanks = rest.len() - trimmed.len();
            self.at += blanks;
            if trimmed.starts_with('>') || trimmed.starts_with("/>") {
                return Ok(&self.text[start..self.at]);
            }
            if blanks == 0 {
                return self.broken("a tag that is none");
            }
            let name = self.name(self.at)?;
            if names.contains(&name) || names.len() == MAX_ATTRIBUTES {
                return self.broken("an attribute twice, or too many");
            }
            names.push(name);
            self.at += name.len();
            self.value()?;
        }
    }

    fn value(&mut self) -> Result<(), Refusal> {
        let rest = self.text[self.at..].trim_start_matches(BLANKS);
        let Some(rest) = rest.strip_prefix('=') else {
            return self.broken("an attribute without a value");
        };
        let rest = rest.trim_start_matches(BLANKS);
        let Some(quote) = rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))
        else {
            return self.broken("an attribute without quotes");
        };
        let Some(end) = rest[1..].find(quote) else {
            return self.broken("an attribute without an end");
        };
        let value = &rest[1..=end];
        if value.len() > MAX_TEXT || value.contains('<') || !entity::expandable(value) {
            return self.broken("an attribute with an unfit value");
        }
        self.at = self.text.len() - rest.len() + end + 2;
        Ok(())
    }
}

/// Tags and values are a few bytes long: a plain loop beats what is made for long texts.
fn find(text: &str, what: u8) -> Option<usize> {
    text.bytes().position(|byte| byte == what)
}

pub(crate) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The value of attribute `name` (any case) in the raw text of checked attributes.
pub(crate) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start_matches(BLANKS);
        let quote = after.chars().next()?;
        let (value, tail) = after[1..].split_once(quote)?;
        if key.trim_matches(BLANKS).eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Vec<Token<'_>>, Refusal> {
        let mut scanner = Scanner::new(text)?;
        let mut tokens = Vec::new();
        loop {
            match scanner.next()? {
                Token::End => return Ok(tokens),
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn a_document_becomes_tokens() {
        let tokens = scan("<?xml version='1.0'?>\n<a x='1' y=\"2\"><b/>t&amp;u</a >\n").unwrap();
        assert_eq!(
            tokens,
            [
                Token::Open("a", " x='1' y=\"2\""),
                Token::Open("b", ""),
                Token::Close,
                Token::Text("t&amp;u"),
                Token::Close
            ]
        );
        assert_eq!(attribute(" x='1' y=\"2\"", "Y"), Some("2"));
        assert_eq!(attribute(" x='1'", "y"), None);
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in [
            "",
            " ",
            "<",
            "<a",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a>&x;</a>",
            "<a>&</a>",
            "<a>]]></a>",
            "<a b></a>",
            "<a b=1></a>",
            "<a b='1' b='2'></a>",
            "<a b='1'c='2'></a>",
            "<a b='<'></a>",
            "<a>\u{1}</a>",
            "<1/>",
            "<a>x",
            "<?xml",
            "<a b='1></a>",
            "< a/>",
        ] {
            assert!(
                matches!(scan(text), Err(Refusal::Broken { .. })),
                "{text:?}: {:?}",
                scan(text)
            );
        }
    }

    #[test]
    fn what_the_general_parser_may_read_is_told_apart() {
        for text in [
            "<a><!-- x --></a>",
            "<a><![CDATA[x]]></a>",
            "<!DOCTYPE a []><a/>",
            "<a><?p?></a>",
            "<n:a/>",
            "<门/>",
        ] {
            assert!(
                matches!(scan(text), Err(Refusal::NotOurs { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn depth_text_and_attributes_are_limited() {
        let deep = |n: usize| "<a>".repeat(n) + &"</a>".repeat(n);
        assert!(scan(&deep(MAX_DEPTH)).is_ok());
        assert!(scan(&deep(MAX_DEPTH + 1)).is_err());
        assert!(scan(&format!("<a>{}</a>", "x".repeat(MAX_TEXT))).is_ok());
        assert!(scan(&format!("<a>{}</a>", "x".repeat(MAX_TEXT + 1))).is_err());
        let attributes =
            (0..=MAX_ATTRIBUTES).fold(String::new(), |all, n| all + &format!(" a{n}='1'"));
        assert!(scan(&format!("<a{attributes}/>")).is_err());
    }
}
