//! What is done to a page that is not well-formed: only what needs no guess about its meaning.

use std::borrow::Cow;

use crate::entity;
use crate::scanner::MAX_NAME;

/// Values in which devices send whatever their memory holds (Q23). Only text can stand in them.
const FREE_TEXT: [&str; 7] = [
    "Name",
    "DeviceName",
    "Address",
    "Owner",
    "Block",
    "Manufacturer",
    "Model",
];

/// `text` without what XML forbids (Q22), with `&` that starts no reference (Q21) and angle brackets
/// inside free text (Q23) escaped; and how many places that were. Linear in the length of `text`.
pub fn mend(text: &str) -> (Cow<'_, str>, usize) {
    let mut out = String::with_capacity(text.len() + 64);
    let mut places = 0;
    let mut ends = Ends::default();
    let mut rest = 0;
    while let Some(at) = text[rest..]
        .find(|c| c == '<' || c == '&' || !entity::allowed(c))
        .map(|at| rest + at)
    {
        out.push_str(&text[rest..at]);
        rest = at + mend_at(text, at, &mut out, &mut places, &mut ends);
    }
    if places == 0 {
        return (Cow::Borrowed(text), 0);
    }
    out.push_str(&text[rest..]);
    (Cow::Owned(out), places)
}

/// Write what stands at `at` as it should be; how many bytes of `text` that took.
fn mend_at(text: &str, at: usize, out: &mut String, places: &mut usize, ends: &mut Ends) -> usize {
    let here = &text[at..];
    match here.as_bytes()[0] {
        b'&' => {
            if let Some((_, length)) = entity::reference(here) {
                out.push_str(&here[..length]);
                return length;
            }
            out.push_str("&amp;");
            *places += 1;
            1
        }
        b'<' => {
            let Some((leaf, opening)) = free_text(here) else {
                out.push('<');
                return 1;
            };
            out.push_str(&here[..opening]);
            if let Some(end) = ends.find(text, at + opening, leaf) {
                *places += mend_value(&text[at + opening..end], out);
                return end - at;
            }
            opening
        }
        _ => {
            *places += 1;
            here.chars().next().map_or(1, char::len_utf8)
        }
    }
}

/// Write the text of a value; the number of places put right.
fn mend_value(value: &str, out: &mut String) -> usize {
    let mut places = 0;
    let brackets = value.contains('<') || value.contains("]]>");
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '&' => {
                if let Some((_, known)) = entity::reference(rest) {
                    length = known;
                    out.push_str(&rest[..length]);
                } else {
                    out.push_str("&amp;");
                    places += 1;
                }
            }
            '<' => out.push_str("&lt;"),
            '>' if brackets => out.push_str("&gt;"),
            _ if entity::allowed(c) => out.push(c),
            _ => places += 1,
        }
        rest = &rest[length..];
    }
    places + usize::from(brackets)
}

/// The free-text element whose bare start tag stands at the start of `text`, and the tag's length.
fn free_text(text: &str) -> Option<(usize, usize)> {
    let inside = text.as_bytes().get(1..)?;
    FREE_TEXT.iter().enumerate().find_map(|(leaf, tag)| {
        let named = inside
            .get(..tag.len())?
            .eq_ignore_ascii_case(tag.as_bytes());
        (named && inside.get(tag.len()) == Some(&b'>')).then_some((leaf, tag.len() + 2))
    })
}

/// Where values end. Remembers where nothing was found, so that the whole stays linear.
#[derive(Default)]
struct Ends {
    boundary: usize,
    none_before: [usize; FREE_TEXT.len()],
}

impl Ends {
    /// Start of the end tag of `leaf` behind `from`, within the same Item.
    fn find(&mut self, text: &str, from: usize, leaf: usize) -> Option<usize> {
        if self.boundary < from {
            self.boundary = next_boundary(text, from);
        }
        if from < self.none_before[leaf] {
            return None;
        }
        let end = end_tag(&text[from..self.boundary], FREE_TEXT[leaf]);
        if end.is_none() {
            self.none_before[leaf] = self.boundary;
        }
        end.map(|end| from + end)
    }
}

/// Where the next start or end tag of an Item is, or the end of `text`.
fn next_boundary(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    (from..bytes.len())
        .find(|&at| {
            bytes[at] == b'<' && (item_start(&bytes[at..]) || item_end(&bytes[at..]).is_some())
        })
        .unwrap_or(bytes.len())
}

fn end_tag(text: &str, tag: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&at| {
        bytes[at..].starts_with(b"</")
            && bytes[at + 2..]
                .get(..tag.len())
                .is_some_and(|name| name.eq_ignore_ascii_case(tag.as_bytes()))
            && bytes[at + 2 + tag.len()..]
                .trim_ascii_start()
                .starts_with(b">")
    })
}

fn item_start(bytes: &[u8]) -> bool {
    bytes.len() > 5
        && bytes[..5].eq_ignore_ascii_case(b"<Item")
        && (bytes[5] == b'>' || bytes[5] == b'/' || bytes[5].is_ascii_whitespace())
}

/// Length of the end tag of an Item at the start of `bytes`.
fn item_end(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < 7 || !bytes[..6].eq_ignore_ascii_case(b"</Item") {
        return None;
    }
    let blanks = bytes[6..]
        .iter()
        .take(MAX_NAME)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    (bytes.get(6 + blanks) == Some(&b'>')).then_some(6 + blanks + 1)
}

/// The Items of a broken page. None stands for one whose end is missing.
pub(crate) struct Pieces<'a> {
    text: &'a str,
    at: Option<usize>,
}

pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces {
        text,
        at: next_start(text, 0),
    }
}

impl Pieces<'_> {
    /// Where the next piece starts.
    pub(crate) fn start(&self) -> Option<usize> {
        self.at
    }
}

fn next_start(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find(|&at| bytes[at] == b'<' && item_start(&bytes[at..]))
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Option<&'a str>> {
        let start = self.at?;
        let boundary = next_boundary(self.text, start + 1);
        let piece = item_end(&self.text.as_bytes()[boundary..])
            .map(|length| &self.text[start..boundary + length]);
        self.at = next_start(self.text, boundary);
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_ampersands_are_escaped_and_references_kept() {
        let (text, places) = mend("<a>A&B &amp; &#38; &nbsp;</a>");
        assert_eq!(
            (text.as_ref(), places),
            ("<a>A&amp;B &amp; &#38; &amp;nbsp;</a>", 2)
        );
    }

    #[test]
    fn control_characters_go() {
        assert_eq!(
            mend("<a>\u{1}x\u{8}\t</a>"),
            (Cow::Borrowed("<a>x\t</a>"), 2)
        );
    }

    #[test]
    fn brackets_in_free_text_are_escaped_up_to_its_end() {
        let (text, places) = mend("<Item><Address>??<KP?<K?'@?</Address><X>1</X></Item>");
        assert_eq!(
            text,
            "<Item><Address>??&lt;KP?&lt;K?'@?</Address><X>1</X></Item>"
        );
        assert_eq!(places, 1);
    }

    #[test]
    fn a_value_without_an_end_does_not_swallow_the_next_item() {
        let text = "<Item><Name>x<</Item><Item><Name>y</Name></Item>";
        assert_eq!(mend(text), (Cow::Borrowed(text), 0));
    }

    #[test]
    fn pieces_are_items_that_have_an_end() {
        let text = "<R><Item>1</Item><Item>2<Item>3</item ><Items/><Item>4";
        assert_eq!(
            pieces(text).collect::<Vec<_>>(),
            [Some("<Item>1</Item>"), None, Some("<Item>3</item >"), None]
        );
    }
}
