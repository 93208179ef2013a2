//! One record, from what was decided to its line.

use sha2::{Digest, Sha256};

use crate::json::{HEX, List, Object, text};

/// What a record says of a crossing. `details` and `correlation` are JSON already.
pub struct Told<'a> {
    pub action: &'a str,
    pub correlation: &'a [u8],
    /// The record was too long with what it named: that is left out.
    pub cut: bool,
    pub details: &'a [u8],
    pub direction: &'a str,
    pub door: &'a str,
    pub kind: &'a str,
    pub origin: &'a str,
    pub rows: Option<RowCounts<'a>>,
    pub rule: &'a str,
    pub side: &'a str,
    pub subjects: &'a [String],
    /// How many more it names.
    pub subjects_not_listed: usize,
    pub users: &'a [String],
    pub passed: bool,
}

/// Of a batch: how many rows there were, passed, and were refused, by rule in their order.
pub struct RowCounts<'a> {
    pub rows: usize,
    pub passed: usize,
    pub refused: &'a [(String, u64)],
}

/// Where a record stands in its chain. `monotonic` is JSON already.
pub struct Place<'a> {
    pub monotonic: &'a [u8],
    /// The hash of the record before, 64 digits.
    pub previous: &'a str,
    pub sequence: u64,
    pub time: &'a str,
}

/// The line of a record with its newline, and its hash. Without a place it has no hash and no newline.
///
/// The hash is SHA-256 over the hash of the record before and the line without its own hash, which
/// stands in it as the last key.
pub fn tell(told: &Told<'_>, place: Option<&Place<'_>>) -> (Vec<u8>, String) {
    let mut out = Vec::with_capacity(768 + told.details.len());
    write(&mut out, told, place);
    let Some(place) = place else {
        return (out, String::new());
    };
    let hash = hex(&Sha256::new()
        .chain_update(place.previous)
        .chain_update(&out)
        .finalize());
    out.pop();
    out.extend_from_slice(b",\"hash\":\"");
    out.extend_from_slice(hash.as_bytes());
    out.extend_from_slice(b"\"}\n");
    (out, hash)
}

/// The keys in their order; those of the chain among them.
fn write(out: &mut Vec<u8>, told: &Told<'_>, place: Option<&Place<'_>>) {
    let mut record = Object::new(out);
    text(record.ours("action"), told.action);
    raw(record.ours("correlation"), told.correlation);
    if told.cut {
        raw(record.ours("cut"), b"true");
    }
    raw(record.ours("details"), told.details);
    text(record.ours("direction"), told.direction);
    text(record.ours("door"), told.door);
    if place.is_some() {
        text(record.ours("hash_algorithm"), "sha256");
    }
    text(record.ours("kind"), told.kind);
    if let Some(place) = place {
        raw(record.ours("monotonic"), place.monotonic);
    }
    text(record.ours("origin"), told.origin);
    if let Some(place) = place {
        text(record.ours("previous"), place.previous);
    }
    if let Some(rows) = &told.rows {
        number(record.ours("rows"), rows.rows as u64);
        number(record.ours("rows_passed"), rows.passed as u64);
        let mut refused = Object::new(record.ours("rows_refused"));
        for (rule, count) in rows.refused {
            number(refused.key(rule), *count);
        }
        refused.end();
    }
    text(record.ours("rule"), told.rule);
    if let Some(place) = place {
        number(record.ours("sequence"), place.sequence);
    }
    text(record.ours("side"), told.side);
    texts(record.ours("subjects"), told.subjects);
    if told.subjects_not_listed > 0 {
        number(
            record.ours("subjects_not_listed"),
            told.subjects_not_listed as u64,
        );
    }
    if let Some(place) = place {
        text(record.ours("time"), place.time);
    }
    texts(record.ours("users"), told.users);
    text(
        record.ours("verdict"),
        if told.passed { "passed" } else { "refused" },
    );
    record.end();
}

fn raw(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(json);
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(value.to_string().as_bytes());
}

fn texts(out: &mut Vec<u8>, values: &[String]) {
    let mut list = List::new(out);
    for value in values {
        text(list.item(), value);
    }
    list.end();
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes
        .iter()
        .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]])
        .collect();
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>() -> Told<'a> {
        Told {
            action: "media.live",
            correlation: b"7",
            cut: false,
            details: br#"{"stream_number":1}"#,
            direction: "outward",
            door: "send",
            kind: "StreamOpen",
            origin: "44",
            rows: None,
            rule: "live",
            side: "inner",
            subjects: &[],
            subjects_not_listed: 0,
            users: &[],
            passed: true,
        }
    }

    #[test]
    fn a_record_without_a_place_is_what_was_told() {
        let (line, hash) = tell(&told(), None);
        let expected = concat!(
            r#"{"action":"media.live","correlation":7,"details":{"stream_number":1},"direction":"outward","#,
            r#""door":"send","kind":"StreamOpen","origin":"44","rule":"live","side":"inner","subjects":[],"#,
            r#""users":[],"verdict":"passed"}"#
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        assert!(hash.is_empty());
    }

    /// The vector is of an independent writer: `json.dumps(sort_keys=True)` and `hashlib`.
    #[test]
    fn the_hash_covers_the_hash_before_and_the_line() {
        let subjects = ["44/1".to_owned(), "44/路".to_owned()];
        let refused = [("no-schools".to_owned(), 2)];
        let told = Told {
            cut: true,
            details: b"{}",
            kind: "CatalogBatch",
            rows: Some(RowCounts {
                rows: 3,
                passed: 1,
                refused: &refused,
            }),
            subjects: &subjects,
            subjects_not_listed: 5,
            users: &subjects[..1],
            passed: false,
            ..told()
        };
        let place = Place {
            monotonic: b"1.5",
            previous: &"0".repeat(64),
            sequence: 1,
            time: "2026-01-01T00:00:00.000000+00:00",
        };
        let (line, hash) = tell(&told, Some(&place));
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, include_str!("vectors/chained.jsonl"));
        assert!(line.ends_with(&format!(",\"hash\":\"{hash}\"}}\n")));
    }
}
