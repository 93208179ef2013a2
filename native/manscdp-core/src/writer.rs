//! Pages of a catalog as we send them (GB/T 28181-2016 annex A.2.6.1): order of the schema, mandatory
//! fields filled, pages cut by bytes and items. Passwords, addresses and ports of devices have no
//! field in a row, so none can be written.

use std::fmt::Write;

use catalog_core::{Changes, Event, FIELD_COUNT, Mapping, Rows, Snapshot, fields as field};

use crate::charset::Charset;
use crate::entity::escape_into;
use crate::item::TAGS;
use crate::parents::{Kind, Place, kind_digits, place};

/// Longer texts are clipped, so that one item always fits a datagram.
const MAX_CHARACTERS: usize = 255;

/// Fields of an Item and of its `Info`, in the order of writing.
const IN_ITEM: std::ops::RangeInclusive<usize> = field::ID..=field::LATITUDE;
const IN_INFO: [usize; 8] = [
    field::PTZ_TYPE,
    field::ROOM_TYPE,
    field::USE_TYPE,
    field::SUPPLY_LIGHT_TYPE,
    field::DIRECTION_TYPE,
    field::RESOLUTION,
    field::BUSINESS_GROUP_ID,
    field::POINT_TYPE,
];

const LIST_END: &str = "</DeviceList>\r\n";

/// What a page is: of an answer, which says how many items all of its pages hold, or a notice, which says
/// how many it holds itself.
#[derive(Clone, Copy)]
enum Sort {
    Answer { total: usize },
    Notice,
}

impl Sort {
    fn root(self) -> &'static str {
        match self {
            Self::Answer { .. } => "Response",
            Self::Notice => "Notify",
        }
    }
}

/// What all pages of one answer share.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub sn: u64,
    pub device_id: &'a str,
    pub charset: Charset,
}

/// Where a page ends. It holds one item at least, whatever the limits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_bytes: usize,
    pub max_items: usize,
}

/// One page of the answer that shows `snapshot` to an upper platform, from item `start` on, and the
/// item after it. Item 0 is our own system, as `own` says in the order of `FIELDS`; a row that
/// `mapping` does not show is passed over.
pub fn write_snapshot(
    frame: Frame<'_>,
    limits: Limits,
    (snapshot, mapping): (&Snapshot, &Mapping),
    own: &[&str; FIELD_COUNT],
    start: usize,
) -> (Vec<u8>, usize) {
    let total = snapshot.len() + 1;
    let sort = Sort::Answer { total };
    write_page(
        frame,
        limits,
        sort,
        start..total,
        |number, out| match number.checked_sub(1) {
            None => {
                let mut row = *own;
                if row[field::ID].is_empty() {
                    row[field::ID] = mapping.own_id();
                }
                write_complete(&row, None, &Place::default(), row[field::CIVIL_CODE], out);
            }
            Some(number) => {
                let mut row = snapshot.row(number);
                if let Some(shown) = mapping.shown(snapshot.peer(number), row[field::ID]) {
                    let place = place(snapshot, mapping, number, shown);
                    row[field::ID] = shown;
                    write_complete(&row, None, &place, own[field::CIVIL_CODE], out);
                }
            }
        },
    )
}

/// One page of an answer with `rows` as they stand, from row `start` on, and the row after it.
/// Nothing is mapped or filled in: this is what a device says of itself.
pub fn write_rows(frame: Frame<'_>, limits: Limits, rows: &Rows, start: usize) -> (Vec<u8>, usize) {
    let total = rows.len();
    let sort = Sort::Answer { total };
    write_page(frame, limits, sort, start..total, |number, out| {
        write_item(&rows.row(number), None, out);
    })
}

/// One notice of `changes` to an upper platform, from change `start` on, and the change after it
/// (GB/T 28181-2016 A.2.5.7). Who came or is another is told whole, the rest by id and event alone;
/// what `mapping` does not show is passed over. A notice of nothing holds no list.
pub fn write_changes(
    frame: Frame<'_>,
    limits: Limits,
    (changes, mapping): (&Changes, &Mapping),
    civil_code: &str,
    start: usize,
) -> (Vec<u8>, usize) {
    write_page(
        frame,
        limits,
        Sort::Notice,
        start..changes.len(),
        |number, out| {
            let (event, rows, number) = changes.get(number);
            let Some(shown) = mapping.shown(rows.peer(number), rows.id(number)) else {
                return;
            };
            if matches!(event, Event::Add | Event::Update) {
                let place = place(rows, mapping, number, shown);
                let mut row = rows.row(number);
                row[field::ID] = shown;
                write_complete(&row, Some(event), &place, civil_code, out);
            } else {
                let mut row = [""; FIELD_COUNT];
                row[field::ID] = shown;
                write_item(&row, Some(event), out);
            }
        },
    )
}

fn write_page(
    frame: Frame<'_>,
    limits: Limits,
    sort: Sort,
    numbers: std::ops::Range<usize>,
    mut render: impl FnMut(usize, &mut String),
) -> (Vec<u8>, usize) {
    let root = sort.root();
    let mut before = String::new();
    let label = frame.charset.label();
    let _ = write!(
        before,
        "<?xml version=\"1.0\" encoding=\"{label}\"?>\r\n<{root}>\r\n<CmdType>Catalog</CmdType>\r\n"
    );
    let _ = write!(before, "<SN>{}</SN>\r\n<DeviceID>", frame.sn);
    escape_into(&mut before, frame.device_id);
    before.push_str("</DeviceID>\r\n");
    let end = format!("</{root}>\r\n");
    let around = before.len()
        + sum_num(sort, 10_000).len()
        + "<DeviceList Num=\"10000\">\r\n".len()
        + LIST_END.len()
        + end.len();

    let mut items: Vec<u8> = Vec::new();
    let mut count = 0;
    let mut next = numbers.start;
    let mut item = String::new();
    while next < numbers.end {
        item.clear();
        render(next, &mut item);
        if !item.is_empty() {
            let bytes = frame.charset.encode(&item);
            let full = count == limits.max_items.max(1)
                || around + items.len() + bytes.len() > limits.max_bytes;
            if full && count > 0 {
                break;
            }
            items.extend_from_slice(&bytes);
            count += 1;
        }
        next += 1;
    }
    before.push_str(&sum_num(sort, count));
    let mut page = frame.charset.encode(&before).into_owned();
    if count > 0 {
        page.extend_from_slice(format!("<DeviceList Num=\"{count}\">\r\n").as_bytes());
        page.append(&mut items);
        page.extend_from_slice(LIST_END.as_bytes());
    }
    page.extend_from_slice(end.as_bytes());
    (page, next)
}

fn sum_num(sort: Sort, count: usize) -> String {
    let sum = match sort {
        Sort::Answer { total } => total,
        Sort::Notice => count,
    };
    format!("<SumNum>{sum}</SumNum>\r\n")
}

/// An item with every field that readers choke without (Q100), at its place in our tree.
fn write_complete(
    row: &[&str; FIELD_COUNT],
    event: Option<Event>,
    place: &Place,
    civil_code: &str,
    out: &mut String,
) {
    let mut full = *row;
    let id = row[field::ID];
    full[field::PARENT_ID] = &place.parent;
    full[field::BUSINESS_GROUP_ID] = &place.group;
    or_else(&mut full, field::NAME, id);
    let kind = Kind::of(id);
    if kind == Kind::Division {
        keep(&mut full, &[field::ID, field::NAME]);
        return write_item(&full, event, out);
    }
    or_else(
        &mut full,
        field::CIVIL_CODE,
        area_of(id).unwrap_or(civil_code),
    );
    if matches!(kind, Kind::Group | Kind::Organisation) {
        keep(
            &mut full,
            &[
                field::ID,
                field::NAME,
                field::CIVIL_CODE,
                field::PARENT_ID,
                field::BUSINESS_GROUP_ID,
            ],
        );
        return write_item(&full, event, out);
    }
    or_else(&mut full, field::MANUFACTURER, "Unknown");
    or_else(&mut full, field::MODEL, "Unknown");
    or_else(
        &mut full,
        field::OWNER,
        if row[field::MANUFACTURER].is_empty() {
            "0"
        } else {
            row[field::MANUFACTURER]
        },
    );
    or_else(&mut full, field::ADDRESS, "Unknown");
    or_else(
        &mut full,
        field::PARENTAL,
        if has_children(id) { "1" } else { "0" },
    );
    or_else(&mut full, field::SAFETY_WAY, "0");
    or_else(&mut full, field::REGISTER_WAY, "1");
    or_else(&mut full, field::SECRECY, "0");
    full[field::STATUS] = if row[field::STATUS] == "OFF" {
        "OFF"
    } else {
        "ON"
    };
    write_item(&full, event, out);
}

fn or_else<'a>(row: &mut [&'a str; FIELD_COUNT], field: usize, instead: &'a str) {
    if row[field].is_empty() {
        row[field] = instead;
    }
}

fn keep(row: &mut [&str; FIELD_COUNT], fields: &[usize]) {
    for (field, value) in row.iter_mut().enumerate() {
        if !fields.contains(&field) {
            *value = "";
        }
    }
}

/// County of a regular id.
fn area_of(id: &str) -> Option<&str> {
    kind_digits(id).map(|_| &id[..6])
}

/// Systems, recorders, encoders and servers; cameras and what is smaller have none.
fn has_children(id: &str) -> bool {
    kind_digits(id).is_some_and(|kind| kind == "200" || ("111".."131").contains(&kind))
}

fn write_item(row: &[&str; FIELD_COUNT], event: Option<Event>, out: &mut String) {
    out.push_str("<Item>");
    for field in IN_ITEM {
        write_leaf(row, field, out);
        if let (field::ID, Some(event)) = (field, event) {
            let _ = write!(out, "<Event>{}</Event>", event.label());
        }
    }
    if IN_INFO.iter().any(|&field| !row[field].is_empty()) {
        out.push_str("<Info>");
        for field in IN_INFO {
            write_leaf(row, field, out);
        }
        out.push_str("</Info>");
    }
    out.push_str("</Item>\r\n");
}

fn write_leaf(row: &[&str; FIELD_COUNT], field: usize, out: &mut String) {
    let text = row[field];
    if text.is_empty() {
        return;
    }
    let end = text
        .char_indices()
        .nth(MAX_CHARACTERS)
        .map_or(text.len(), |(at, _)| at);
    let _ = write!(out, "<{}>", TAGS[field]);
    escape_into(out, &text[..end]);
    let _ = write!(out, "</{}>", TAGS[field]);
}
