//! One catalog row from the texts of its elements: spelling, placeholders and ranges put right.
//!
//! What is wrong costs the value, never the row; only a row without a usable id is dropped.

use std::borrow::Cow;

use catalog_core::{FIELD_COUNT, Rows, RowsBuilder, fields as field};

use crate::entity;
use crate::scanner::BLANKS;

/// Element of each field, in the order of `FIELDS`; `coordinates` and `branch` have none.
pub(crate) const TAGS: [&str; FIELD_COUNT - 2] = [
    "DeviceID",
    "Name",
    "Manufacturer",
    "Model",
    "Owner",
    "CivilCode",
    "Block",
    "Address",
    "Parental",
    "ParentID",
    "SafetyWay",
    "RegisterWay",
    "Secrecy",
    "Status",
    "Longitude",
    "Latitude",
    "BusinessGroupID",
    "PTZType",
    "PointType",
    "RoomType",
    "UseType",
    "SupplyLightType",
    "DirectionType",
    "Resolution",
];

/// Fields from here on may stand in `Info`.
const FIRST_IN_INFO: usize = field::BUSINESS_GROUP_ID;

/// The field that element `tag` of an Item, or of its `Info`, fills. `likely` is looked at first.
pub(crate) fn field_of(tag: &str, in_info: bool, likely: usize) -> Option<usize> {
    let first = if in_info { FIRST_IN_INFO } else { 0 };
    if likely >= first && TAGS.get(likely) == Some(&tag) {
        return Some(likely);
    }
    let known = &TAGS[first..];
    known
        .iter()
        .position(|known| *known == tag)
        .or_else(|| {
            known
                .iter()
                .position(|known| known.eq_ignore_ascii_case(tag))
        })
        .map(|at| first + at)
}

/// Texts of one Item as they stand in the page; the first of repeated elements counts.
#[derive(Default)]
pub(crate) struct Raw<'a> {
    direct: [Option<&'a str>; FIELD_COUNT],
    info: [Option<&'a str>; FIELD_COUNT],
    /// Of a notice what happened to it.
    pub(crate) event: Option<&'a str>,
}

impl<'a> Raw<'a> {
    pub(crate) fn set(&mut self, field: usize, in_info: bool, text: &'a str) {
        let place = if in_info {
            &mut self.info
        } else {
            &mut self.direct
        };
        place[field].get_or_insert(text);
    }

    /// The expanded text of a field. `PTZType` is looked for in `Info` first (Q30), others there last.
    fn text(&self, field: usize) -> Cow<'a, str> {
        let (first, second) = if field == field::PTZ_TYPE {
            (self.info[field], self.direct[field])
        } else {
            (self.direct[field], self.info[field])
        };
        let present = |text: &&str| !text.trim_matches(BLANKS).is_empty();
        entity::expand(first.filter(present).or(second).unwrap_or_default())
    }

    /// Add the row to `rows`; false: it has no usable id.
    pub(crate) fn push(&self, rows: &mut RowsBuilder) -> bool {
        let texts: [Cow<'a, str>; FIELD_COUNT] = std::array::from_fn(|field| self.text(field));
        push(&std::array::from_fn(|field| &*texts[field]), rows)
    }
}

/// Rows from the texts that another reader took out of a page, under the names of `FIELDS`; and how
/// many had no usable id.
pub fn clean<'a>(items: impl IntoIterator<Item = [&'a str; FIELD_COUNT]>) -> (Rows, usize) {
    let mut rows = RowsBuilder::new();
    let dropped = items
        .into_iter()
        .filter(|texts| !push(texts, &mut rows))
        .count();
    (rows.finish(), dropped)
}

fn push(texts: &[&str; FIELD_COUNT], rows: &mut RowsBuilder) -> bool {
    let mut values: [&str; FIELD_COUNT] = std::array::from_fn(|field| tidy(field, texts[field]));
    if values[field::ID].is_empty() {
        return false;
    }
    if !place_fits(values[field::LONGITUDE], values[field::LATITUDE]) {
        values[field::LONGITUDE] = "";
        values[field::LATITUDE] = "";
    }
    rows.push(&values);
    true
}

/// The value as we keep it, or "" where it says nothing.
fn tidy(field: usize, text: &str) -> &str {
    let text = text.trim();
    if text.eq_ignore_ascii_case("null") || (is_free_text(field) && text == TAGS[field]) {
        return ""; // placeholders sent as data (Q31)
    }
    let kept = match field {
        field::ID => is_id(text),
        field::CIVIL_CODE => (2..=8).contains(&text.len()) && all_digits(text),
        field::PARENTAL | field::SAFETY_WAY | field::REGISTER_WAY | field::SECRECY => {
            is_small(text)
        }
        field::POINT_TYPE
        | field::ROOM_TYPE
        | field::USE_TYPE
        | field::SUPPLY_LIGHT_TYPE
        | field::DIRECTION_TYPE => is_small(text),
        field::PTZ_TYPE => text.split('/').all(is_small),
        field::STATUS => return status(text),
        field::COORDINATES | field::BRANCH => false, // ours to fill in, never the peer's
        _ => true,
    };
    if kept { text } else { "" }
}

fn is_free_text(field: usize) -> bool {
    matches!(
        field,
        field::MANUFACTURER
            | field::MODEL
            | field::OWNER
            | field::CIVIL_CODE
            | field::BLOCK
            | field::ADDRESS
    )
}

/// 1 to 64 printable ASCII characters; `/` joins ids, so no id holds it.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'/')
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_small(text: &str) -> bool {
    (1..=2).contains(&text.len()) && all_digits(text)
}

/// ON, OFF, or "" for what says neither (Q29).
fn status(text: &str) -> &'static str {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["ON", "ONLINE", "OK", "1"].iter().any(is) {
        "ON"
    } else if ["OFF", "OFFLINE", "OFFILE", "0"].iter().any(is) {
        "OFF"
    } else {
        ""
    }
}

/// A place is two readable numbers in range, and not the point 0/0 that stands for "unknown" (Q32).
fn place_fits(longitude: &str, latitude: &str) -> bool {
    match (degrees(longitude, 180.0), degrees(latitude, 90.0)) {
        (Some(longitude), Some(latitude)) => longitude != 0.0 || latitude != 0.0,
        _ => false,
    }
}

fn degrees(text: &str, limit: f64) -> Option<f64> {
    if text.is_empty()
        || text.len() > 32
        || !text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'))
    {
        return None;
    }
    text.parse()
        .ok()
        .filter(|degrees: &f64| degrees.abs() <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(usize, &str)]) -> Vec<String> {
        let mut texts = [""; FIELD_COUNT];
        texts[field::ID] = "44010600001320000001";
        for (field, text) in fields {
            texts[*field] = text;
        }
        let (rows, dropped) = clean([texts]);
        assert_eq!(rows.len() + dropped, 1);
        if rows.is_empty() {
            return Vec::new();
        }
        rows.row(0).map(str::to_owned).to_vec()
    }

    #[test]
    fn the_tags_stand_in_the_order_of_the_columns() {
        let names = catalog_core::FIELDS;
        assert_eq!((names[field::ID], names[field::BRANCH]), ("id", "branch"));
        assert_eq!(names[TAGS.len()], "coordinates");
        for (tag, name) in TAGS.iter().zip(names).skip(1) {
            assert_eq!(tag.to_ascii_lowercase(), name.replace('_', ""));
        }
    }

    #[test]
    fn placeholders_are_absent() {
        let values = row(&[
            (field::CIVIL_CODE, "CivilCode"),
            (field::OWNER, "Owner"),
            (field::BLOCK, "NULL"),
            (field::COORDINATES, "x"),
            (field::BRANCH, "x"),
        ]);
        assert!(values[1..].iter().all(String::is_empty));
        assert_eq!(
            row(&[(field::CIVIL_CODE, "440106")])[field::CIVIL_CODE],
            "440106"
        );
    }

    #[test]
    fn a_status_is_on_or_off_or_unknown() {
        for (sent, kept) in [
            ("On", "ON"),
            ("ONLINE", "ON"),
            ("ok", "ON"),
            ("Off", "OFF"),
            ("offline", "OFF"),
            ("VLOST", ""),
        ] {
            assert_eq!(row(&[(field::STATUS, sent)])[field::STATUS], kept);
        }
    }

    #[test]
    fn a_place_needs_both_numbers_in_range() {
        let place = |longitude, latitude| {
            row(&[(field::LONGITUDE, longitude), (field::LATITUDE, latitude)])[field::LONGITUDE]
                .clone()
        };
        assert_eq!(place("113.361200", "23.124680"), "113.361200");
        for (longitude, latitude) in [
            ("23.1", "113.3"),
            ("0.0", "0.0"),
            ("", "23.1"),
            ("NaN", "1"),
            ("1e2", "1"),
            ("--1", "1"),
        ] {
            assert_eq!(place(longitude, latitude), "");
        }
    }

    #[test]
    fn a_row_without_a_usable_id_is_dropped() {
        for id in ["", "null", "门", "a/b", &"1".repeat(65)] {
            assert!(row(&[(field::ID, id)]).is_empty(), "{id}");
        }
    }
}
