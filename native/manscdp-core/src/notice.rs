//! A notice of changes (GB/T 28181-2016 A.2.5.7): its Items by what happened to them.

use std::collections::HashSet;

use catalog_core::{FIELD_COUNT, Rows, RowsBuilder, fields as field};

use crate::page::{Page, scan};
use crate::scanner::Refusal;

/// What a notice says of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It came, or is another: ADD, UPDATE, and what says nothing.
    Whole,
    On,
    /// OFF, and what shows no picture: VLOST, DEFECT.
    Off,
    Gone,
}

impl Turn {
    /// By the text of `Event`, in any case (Q38).
    pub(crate) fn read(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default().trim();
        let is = |word: &&str| text.eq_ignore_ascii_case(word);
        if is(&"ON") {
            Self::On
        } else if ["OFF", "VLOST", "DEFECT"].iter().any(is) {
            Self::Off
        } else if is(&"DEL") {
            Self::Gone
        } else {
            Self::Whole
        }
    }
}

/// One notice as it came. Of an id that stands in it several times the last Item counts.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What came or is another; what is empty in these rows was not said.
    pub present: Rows,
    /// What turned: id and status alone, whatever else was sent along (Q38).
    pub turned: Rows,
    pub gone: Vec<String>,
    /// Its head, and what was wrong with it; its rows are those above.
    pub page: Page,
}

/// Read a notice as [`scan`] reads a page.
///
/// # Errors
/// As [`scan`].
pub fn scan_notice(body: &[u8]) -> Result<Notice, Refusal> {
    let page = scan(body)?;
    let mut seen: HashSet<&str> = HashSet::with_capacity(page.rows.len());
    let mut last: Vec<usize> = (0..page.rows.len())
        .rev()
        .filter(|&row| seen.insert(page.rows.id(row)))
        .collect();
    last.reverse();
    let turn = |row: usize| page.turns.get(row).copied().unwrap_or(Turn::Whole);
    let mut turned = RowsBuilder::new();
    for &row in &last {
        let status = match turn(row) {
            Turn::On => "ON",
            Turn::Off => "OFF",
            Turn::Whole | Turn::Gone => continue,
        };
        let mut bare = [""; FIELD_COUNT];
        (bare[field::ID], bare[field::STATUS]) = (page.rows.id(row), status);
        turned.push(&bare);
    }
    let of = |wanted: Turn| last.iter().copied().filter(move |&row| turn(row) == wanted);
    Ok(Notice {
        present: page.rows.pick(of(Turn::Whole)),
        turned: turned.finish(),
        gone: of(Turn::Gone)
            .map(|row| page.rows.id(row).to_owned())
            .collect(),
        page,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn notice(items: &[(&str, &str)]) -> Notice {
        let mut list = String::new();
        for (id, rest) in items {
            let _ = write!(list, "<Item><DeviceID>{id}</DeviceID>{rest}</Item>");
        }
        let body = format!(
            "<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>d</DeviceID><SumNum>9</SumNum>\
             <DeviceList Num=\"9\">{list}</DeviceList></Notify>"
        );
        scan_notice(body.as_bytes()).unwrap()
    }

    fn ids(rows: &Rows) -> Vec<&str> {
        (0..rows.len()).map(|row| rows.id(row)).collect()
    }

    #[test]
    fn items_are_parted_by_what_happened_to_them() {
        let event = |word: &str| format!("<Event>{word}</Event><Name>n</Name>");
        let words = [
            "ADD", "update", "On", "OFF", "VLost", "DEFECT", "DEL", "?", "",
        ];
        let texts: Vec<(String, String)> = (0..)
            .zip(words)
            .map(|(number, word)| (number.to_string(), event(word)))
            .collect();
        let items: Vec<(&str, &str)> = texts.iter().map(|(id, rest)| (&**id, &**rest)).collect();
        let found = notice(&items);
        assert_eq!(ids(&found.present), ["0", "1", "7", "8"]);
        assert_eq!(
            (ids(&found.turned), found.gone),
            (vec!["2", "3", "4", "5"], vec!["6".to_owned()])
        );
        let states: Vec<&str> = (0..4)
            .map(|row| found.turned.get(row, field::STATUS))
            .collect();
        assert_eq!(states, ["ON", "OFF", "OFF", "OFF"]);
        assert_eq!(found.turned.get(0, field::NAME), "");
    }

    #[test]
    fn of_one_id_the_last_word_counts() {
        let found = notice(&[
            ("1", "<Event>DEL</Event>"),
            ("1", "<Event>ADD</Event><Name>n</Name>"),
            ("2", "<Event>ADD</Event>"),
            ("2", "<Event>DEL</Event>"),
            ("3", "<Info><Event>DEL</Event></Info><Name>n</Name>"),
        ]);
        assert_eq!(ids(&found.present), ["1", "3"]);
        assert_eq!((found.turned.len(), found.gone), (0, vec!["2".to_owned()]));
    }
}
