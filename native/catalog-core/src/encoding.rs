//! A batch as bytes: what the store keeps, and what crosses a link between two processes.
//!
//! `LGR`, a version byte (2), the number of rows, then each column in the order of
//! [`crate::FIELDS`]: a byte for its form, then
//!
//! - same (0): one text;
//! - coded (1): number of words less one in a byte, the words, a byte a row;
//! - each (2): the lengths of all texts, then the texts. The id is always in this form, so that a
//!   short message can't claim many rows.
//!
//! A text is its length and its UTF-8; numbers and lengths are LEB128. Nothing may follow.

use std::fmt;

use crate::column::{Coded, Column, MAX_FIELD_BYTES, MAX_ROWS, Words};
use crate::fields::{FIELD_COUNT, ID};
use crate::rows::Rows;

const MAGIC: [u8; 4] = *b"LGR\x02";
const SAME: u8 = 0;
const CODED: u8 = 1;
const EACH: u8 = 2;

/// Bytes that are no batch of rows: what was wrong first, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt {
    pub what: &'static str,
    pub at: usize,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "not rows: {} (byte {})", self.what, self.at)
    }
}

impl std::error::Error for Corrupt {}

impl Rows {
    /// The batch as bytes, about as long as its texts.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = MAGIC.to_vec();
        write_number(&mut to, self.len());
        self.columns(|columns| {
            for column in columns {
                write_column(&mut to, column);
            }
        });
        to
    }

    /// The batch that `encode` made these bytes of.
    ///
    /// # Errors
    /// Anything else, whatever the bytes: see the tests.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut from = Reader { bytes, at: 0 };
        if from.take(MAGIC.len())? != MAGIC {
            return Err(from.corrupt("another format or version"));
        }
        let len = from.number(MAX_ROWS)?;
        let mut columns: [Column; FIELD_COUNT] = std::array::from_fn(|_| Column::Same("".into()));
        for (field, column) in columns.iter_mut().enumerate() {
            *column = from.column(len)?;
            if field == ID && !matches!(column, Column::Each(_)) {
                return Err(from.corrupt("form of the ids"));
            }
        }
        if from.at != bytes.len() {
            return Err(from.corrupt("bytes after the end"));
        }
        Ok(Self::of_columns(columns, len))
    }
}

fn write_number(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

fn write_text(to: &mut Vec<u8>, text: &str) {
    write_number(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

fn write_column(to: &mut Vec<u8>, column: &Column) {
    match column {
        Column::Same(text) => {
            to.push(SAME);
            write_text(to, text);
        }
        Column::Coded(coded) => {
            to.push(CODED);
            to.push((coded.words.len() - 1).to_le_bytes()[0]);
            (0..coded.words.len()).for_each(|number| write_text(to, coded.words.get(number)));
            to.extend_from_slice(&coded.codes);
        }
        Column::Each(words) => {
            to.push(EACH);
            (0..words.len()).for_each(|number| write_number(to, words.get(number).len()));
            to.extend_from_slice(words.text().as_bytes());
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn corrupt(&self, what: &'static str) -> Corrupt {
        Corrupt { what, at: self.at }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        self.at += taken.map_or(0, <[u8]>::len);
        taken.ok_or(self.corrupt("too short"))
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.take(1)?[0])
    }

    /// A number of at most four bytes, up to `most`.
    fn number(&mut self, most: usize) -> Result<usize, Corrupt> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if number <= most {
                    Ok(number)
                } else {
                    Err(self.corrupt("number too large"))
                };
            }
        }
        Err(self.corrupt("number too long"))
    }

    fn text(&mut self) -> Result<&'a str, Corrupt> {
        let len = self.number(MAX_FIELD_BYTES)?;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("not UTF-8"))
    }

    fn column(&mut self, rows: usize) -> Result<Column, Corrupt> {
        match self.byte()? {
            SAME => Ok(Column::Same(self.text()?.into())),
            CODED => self.coded(rows),
            EACH => self.each(rows),
            _ => Err(self.corrupt("unknown form of a column")),
        }
    }

    fn coded(&mut self, rows: usize) -> Result<Column, Corrupt> {
        let last = self.byte()?;
        let mut words = Words::default();
        for _ in 0..=last {
            words.push(self.text()?);
        }
        words.shrink();
        let codes = self.take(rows)?;
        if codes.iter().any(|&code| code > last) {
            return Err(self.corrupt("code without a word"));
        }
        Ok(Column::Coded(Box::new(Coded {
            codes: codes.to_vec(),
            words,
        })))
    }

    fn each(&mut self, rows: usize) -> Result<Column, Corrupt> {
        if rows > self.bytes.len() - self.at {
            return Err(self.corrupt("too short"));
        }
        let mut ends = Vec::with_capacity(rows);
        let mut end = 0;
        for _ in 0..rows {
            end += self.number(MAX_FIELD_BYTES)?;
            ends.push(u32::try_from(end).map_err(|_| self.corrupt("too long"))?);
        }
        let text = self.take(end)?;
        let text = std::str::from_utf8(text).map_err(|_| self.corrupt("not UTF-8"))?;
        if !ends.iter().all(|&end| text.is_char_boundary(end as usize)) {
            return Err(self.corrupt("cut inside a character"));
        }
        Ok(Column::Each(Box::new(Words::with_parts(
            text.to_owned(),
            ends,
        ))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::RowsBuilder;
    use crate::fields::{MODEL, NAME, STATUS};
    use crate::testing::Noise;

    fn sample(count: usize) -> Rows {
        let mut builder = RowsBuilder::new();
        for number in 0..count {
            let (id, name) = (number.to_string(), format!("名{}", number % 7));
            let mut row = [""; FIELD_COUNT];
            (row[ID], row[NAME], row[STATUS], row[MODEL]) = (&id, &name, "ON", &id);
            builder.push(&row);
        }
        builder.finish()
    }

    fn byte(noise: &mut Noise) -> u8 {
        noise.below(256).to_le_bytes()[0]
    }

    #[test]
    fn what_is_written_is_read_back() {
        for count in [0, 1, 2, 100, 1000] {
            let rows = sample(count);
            assert_eq!(Rows::decode(&rows.encode()), Ok(rows));
        }
    }

    #[test]
    fn a_slice_carries_only_its_own_rows() {
        let slice = sample(1000).slice(500, 510);
        let bytes = slice.encode();
        assert_eq!(Rows::decode(&bytes), Ok(slice.clone()));
        assert_eq!(bytes, slice.pick(0..10).encode());
        assert!(bytes.len() < 300, "{}", bytes.len());
    }

    #[test]
    fn every_shortening_is_refused() {
        let bytes = sample(20).encode();
        for end in 0..bytes.len() {
            assert!(Rows::decode(&bytes[..end]).is_err(), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            Rows::decode(&longer).map_err(|error| error.what),
            Err("bytes after the end")
        );
    }

    #[test]
    fn a_short_message_cannot_claim_many_rows() {
        let mut bytes = MAGIC.to_vec();
        write_number(&mut bytes, MAX_ROWS);
        bytes.extend([SAME, 0].repeat(FIELD_COUNT));
        assert_eq!(
            Rows::decode(&bytes).map_err(|error| error.what),
            Err("form of the ids")
        );
    }

    /// Any bytes give rows that can be read to the end and written again, or `Corrupt`.
    #[test]
    fn any_change_gives_rows_or_corrupt() {
        let mut noise = Noise(0x5eed);
        for round in 0..20_000 {
            let mut bytes = sample(round % 12).encode();
            for _ in 0..=noise.below(4) {
                let at = noise.place(bytes.len());
                match noise.below(3) {
                    0 => bytes[at] = byte(&mut noise),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte(&mut noise)),
                }
            }
            if let Ok(rows) = Rows::decode(&bytes) {
                assert!((0..rows.len()).all(|row| rows.row(row).len() == FIELD_COUNT));
                assert_eq!(Rows::decode(&rows.encode()), Ok(rows));
            }
        }
    }
}
