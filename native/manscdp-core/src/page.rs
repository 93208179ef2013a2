//! A page of a catalog (GB/T 28181-2016 annex A.2.6.1, A.2.5.7) as rows in columns.

use catalog_core::{Rows, RowsBuilder};

use crate::charset::decode;
use crate::head;
use crate::item::{Raw, field_of};
use crate::notice::Turn;
use crate::repair;
use crate::scanner::{Refusal, Scanner, Token, attribute};

/// Elements of one Item; of a page outside its Items.
const MAX_ITEM_ELEMENTS: usize = 64;
const MAX_ELEMENTS: usize = 20_000;
const MAX_ITEMS: usize = 10_000;

/// One page as it came. `sum_num` and `num` are the peer's claims, None where it made none.
#[derive(Debug, Clone)]
pub struct Page {
    /// 1 to 18 digits, as sent.
    pub sn: String,
    /// What the answer is about; "" where the page does not say.
    pub device_id: String,
    pub sum_num: Option<u32>,
    /// None, too, where the page had to be cut into its items.
    pub num: Option<u32>,
    pub rows: Rows,
    /// Of each row what a notice says of it.
    pub(crate) turns: Vec<Turn>,
    /// Places that had to be put right before the page could be read.
    pub repaired: usize,
    /// Characters that were unreadable in the body's charset.
    pub replaced: usize,
    /// Items that could not be kept: unreadable, or without a usable id.
    pub dropped: usize,
}

/// Read a Catalog answer (or notice). A page that is not well-formed is repaired where that is
/// possible without guessing (Q21, Q22, Q23); what can't be repaired loses the Item, not the page.
///
/// # Errors
/// The refusal of the strict reading: not a Catalog page, of another kind of XML, or beyond repair.
pub fn scan(body: &[u8]) -> Result<Page, Refusal> {
    let decoded = decode(body);
    let text = decoded
        .text
        .as_ref()
        .trim_start_matches('\u{feff}')
        .trim_start();
    let mut page = match read(text) {
        Ok(draft) => draft.finish(0)?,
        Err(refusal @ Refusal::NotOurs { .. }) => return Err(refusal),
        Err(refusal) => mend(text, refusal)?,
    };
    page.replaced = decoded.replaced;
    Ok(page)
}

fn mend(text: &str, refusal: Refusal) -> Result<Page, Refusal> {
    let (mended, repaired) = repair::mend(text);
    match read(&mended) {
        Ok(draft) => draft.finish(repaired),
        Err(Refusal::Broken { .. }) => {
            cut(&mended).map_or(Err(refusal), |draft| draft.finish(repaired + 1))
        }
        Err(other) => Err(other),
    }
}

#[derive(Default)]
struct Draft<'a> {
    cmd_type: Option<&'a str>,
    sn: Option<&'a str>,
    device_id: Option<&'a str>,
    sum_num: Option<&'a str>,
    num: Option<&'a str>,
    rows: RowsBuilder,
    turns: Vec<Turn>,
    items: usize,
    elements: usize,
    dropped: usize,
}

impl<'a> Draft<'a> {
    fn set(&mut self, tag: &str, text: &'a str) {
        let slot = match tag {
            _ if tag.eq_ignore_ascii_case("CmdType") => &mut self.cmd_type,
            _ if tag.eq_ignore_ascii_case("SN") => &mut self.sn,
            _ if tag.eq_ignore_ascii_case("DeviceID") => &mut self.device_id,
            _ if tag.eq_ignore_ascii_case("SumNum") => &mut self.sum_num,
            _ => return,
        };
        slot.get_or_insert(text);
    }

    /// Take an Item; one without a usable id is dropped.
    fn push(&mut self, raw: Option<&Raw<'_>>) {
        match raw {
            Some(raw) if raw.push(&mut self.rows) => self.turns.push(Turn::read(raw.event)),
            _ => self.dropped += 1,
        }
    }

    fn finish(self, repaired: usize) -> Result<Page, Refusal> {
        let refuse = |what| Err(Refusal::Broken { what, at: 0 });
        if self.cmd_type.map(str::trim) != Some("Catalog") {
            return refuse("not a Catalog page");
        }
        let Some(sn) = self.sn.and_then(|text| head::digits(text.as_bytes())) else {
            return refuse("a page without an SN");
        };
        let device_id = match self.device_id.map(str::trim) {
            None | Some("") => String::new(),
            Some(text) => match head::name(text.as_bytes()) {
                Some(name) => name,
                None => return refuse("a page with an unfit DeviceID"),
            },
        };
        Ok(Page {
            sn,
            device_id,
            sum_num: claim(self.sum_num),
            num: claim(self.num),
            rows: self.rows.finish(),
            turns: self.turns,
            repaired,
            replaced: 0,
            dropped: self.dropped,
        })
    }
}

/// Up to nine digits, white space around them allowed (Q33).
fn claim(text: Option<&str>) -> Option<u32> {
    let text = text?.trim();
    let fits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn read(text: &str) -> Result<Draft<'_>, Refusal> {
    let mut scanner = Scanner::new(text)?;
    let mut draft = Draft::default();
    loop {
        match (scanner.depth(), scanner.next()?) {
            (_, Token::End) => return Ok(draft),
            (_, Token::Text(_) | Token::Close) => {}
            (0, Token::Open(root, _)) => {
                if !["Response", "Notify"]
                    .iter()
                    .any(|known| root.eq_ignore_ascii_case(known))
                {
                    return scanner.broken("not a Response or Notify");
                }
            }
            (_, Token::Open(tag, attributes)) if tag.eq_ignore_ascii_case("DeviceList") => {
                if draft.num.is_none() {
                    draft.num = attribute(attributes, "Num");
                }
                list(&mut scanner, &mut draft)?;
            }
            (_, Token::Open(tag, _)) => {
                if ["CmdType", "SN", "DeviceID", "SumNum"]
                    .iter()
                    .any(|known| tag.eq_ignore_ascii_case(known))
                {
                    let text = leaf(&mut scanner)?;
                    draft.set(tag, text);
                } else {
                    let inside = skip(&mut scanner, MAX_ELEMENTS)?;
                    draft.elements += inside;
                }
                draft.elements += 1;
                if draft.elements > MAX_ELEMENTS {
                    return scanner.broken("too many elements");
                }
            }
        }
    }
}

fn list<'a>(scanner: &mut Scanner<'a>, draft: &mut Draft<'a>) -> Result<(), Refusal> {
    let mut others = 0;
    loop {
        match scanner.next()? {
            Token::Open(tag, _) if tag.eq_ignore_ascii_case("Item") => {
                draft.items += 1;
                if draft.items > MAX_ITEMS {
                    return scanner.broken("more than 10,000 items");
                }
                let raw = item(scanner)?;
                draft.push(Some(&raw));
            }
            Token::Open(..) => {
                others += 1 + skip(scanner, MAX_ELEMENTS)?;
                if others > MAX_ELEMENTS {
                    return scanner.broken("too many elements");
                }
            }
            Token::Text(_) => {}
            Token::Close | Token::End => return Ok(()),
        }
    }
}

/// The Item whose start tag was just read, up to its end tag.
fn item<'a>(scanner: &mut Scanner<'a>) -> Result<Raw<'a>, Refusal> {
    let mut raw = Raw::default();
    let mut elements = 0;
    let mut in_info = false;
    let mut likely = 0;
    loop {
        match scanner.next()? {
            Token::Open(tag, _) => {
                elements += 1;
                if let Some(field) = field_of(tag, in_info, likely) {
                    likely = field + 1; // most keep the order of the schema
                    raw.set(field, in_info, leaf(scanner)?);
                } else if !in_info && tag.eq_ignore_ascii_case("Info") {
                    in_info = true;
                } else if !in_info && raw.event.is_none() && tag.eq_ignore_ascii_case("Event") {
                    raw.event = Some(leaf(scanner)?);
                } else {
                    elements += skip(scanner, MAX_ITEM_ELEMENTS)?;
                }
                if elements > MAX_ITEM_ELEMENTS {
                    return scanner.broken("more than 64 elements in an item");
                }
            }
            Token::Text(_) => {}
            Token::Close if in_info => in_info = false,
            Token::Close | Token::End => return Ok(raw),
        }
    }
}

/// The text of the element whose start tag was just read; elements inside are refused.
fn leaf<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, Refusal> {
    let text = match scanner.next()? {
        Token::Text(text) => text,
        Token::Close => return Ok(""),
        Token::Open(..) | Token::End => return scanner.broken("an element inside a value"),
    };
    match scanner.next()? {
        Token::Close => Ok(text),
        _ => scanner.broken("an element inside a value"),
    }
}

/// Go behind the end of the element whose start tag was just read; how many elements it held.
fn skip(scanner: &mut Scanner<'_>, most: usize) -> Result<usize, Refusal> {
    let outside = scanner.depth() - 1;
    let mut inside = 0;
    loop {
        match scanner.next()? {
            Token::Open(..) => {
                inside += 1;
                if inside > most {
                    return scanner.broken("too many elements");
                }
            }
            Token::Close if scanner.depth() == outside => return Ok(inside),
            Token::End => return Ok(inside),
            _ => {}
        }
    }
}

/// What a page that can't be read as a whole still holds: its head, and each Item that stands alone.
fn cut(text: &str) -> Option<Draft<'_>> {
    let mut pieces = repair::pieces(text);
    let mut draft = Draft::default();
    let before = &text[..pieces.start()?];
    let (_, children) = head::open(before.as_bytes())?;
    for child in children {
        for tag in ["CmdType", "SN", "DeviceID", "SumNum"] {
            if child.is(tag) {
                draft.set(
                    tag,
                    std::str::from_utf8(child.value.unwrap_or_default()).ok()?,
                );
            }
        }
    }
    for piece in &mut pieces {
        draft.items += 1;
        if draft.items > MAX_ITEMS {
            draft.dropped += 1;
            continue;
        }
        draft.push(piece.and_then(|piece| alone(piece).ok()).as_ref());
    }
    Some(draft)
}

fn alone(piece: &str) -> Result<Raw<'_>, Refusal> {
    let mut scanner = Scanner::new(piece)?;
    scanner.next()?;
    let raw = item(&mut scanner)?;
    match scanner.next()? {
        Token::End => Ok(raw),
        _ => scanner.broken("more than an item"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog_core::fields as field;

    fn page(items: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Response><CmdType>Catalog</CmdType><SN>17430</SN>\
             <DeviceID>44010600001180000001</DeviceID><SumNum> 3 </SumNum><DeviceList Num=\"1\">{items}</DeviceList></Response>"
        )
    }

    const CAMERA: &str = "<Item><DeviceID>44010600001320000001</DeviceID><Name>Gate &amp; wall</Name><Block/>\
        <Password>secret</Password><Status>online</Status><PTZType>2</PTZType>\
        <Info><PTZType>1</PTZType><BusinessGroupID>44010600002150000001</BusinessGroupID></Info></Item>";

    #[test]
    fn a_page_becomes_rows() {
        let page = scan(page(CAMERA).as_bytes()).unwrap();
        assert_eq!(
            (page.sn.as_str(), page.sum_num, page.num, page.rows.len()),
            ("17430", Some(3), Some(1), 1)
        );
        assert_eq!((page.repaired, page.replaced, page.dropped), (0, 0, 0));
        assert_eq!(page.rows.get(0, field::NAME), "Gate & wall");
        assert_eq!(page.rows.get(0, field::STATUS), "ON");
        assert_eq!(page.rows.get(0, field::PTZ_TYPE), "1");
        assert_eq!(
            page.rows.get(0, field::BUSINESS_GROUP_ID),
            "44010600002150000001"
        );
        assert!(page.rows.row(0).iter().all(|text| *text != "secret"));
    }

    #[test]
    fn an_empty_answer_is_a_page() {
        let body = b"<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>d</DeviceID><SumNum>0</SumNum></Response>";
        let page = scan(body).unwrap();
        assert_eq!(
            (page.sum_num, page.num, page.rows.len()),
            (Some(0), None, 0)
        );
    }

    #[test]
    fn a_broken_item_costs_itself() {
        let broken = "<Item><DeviceID>44010600001320000002</DeviceID><Name>x</Nam></Item>";
        let page = scan(page(&format!("{CAMERA}{broken}{CAMERA}<Item>")).as_bytes()).unwrap();
        assert_eq!((page.rows.len(), page.dropped, page.repaired), (2, 2, 1));
        assert_eq!((page.sn.as_str(), page.sum_num), ("17430", Some(3)));
    }

    #[test]
    fn comments_and_other_commands_are_refused() {
        assert!(matches!(
            scan(page("<!-- x -->").as_bytes()),
            Err(Refusal::NotOurs { .. })
        ));
        assert!(scan(b"<Response><CmdType>Alarm</CmdType><SN>1</SN></Response>").is_err());
        assert!(
            scan(b"<Response><CmdType>Catalog</CmdType><DeviceID>1</DeviceID></Response>").is_err()
        );
        assert!(scan(b"").is_err());
    }

    #[test]
    fn an_item_of_more_than_64_elements_is_dropped() {
        let page =
            scan(page(&format!("<Item>{}</Item>{CAMERA}", "<X/>".repeat(65))).as_bytes()).unwrap();
        assert_eq!((page.rows.len(), page.dropped), (1, 1));
    }
}
