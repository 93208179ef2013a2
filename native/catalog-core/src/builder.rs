//! Gathers rows and chooses the form of each column.

use hashbrown::HashTable;

use crate::column::{Coded, Column, MAX_FIELD_BYTES, MAX_ROWS, MAX_WORDS, Words, same};
use crate::fields::{FIELD_COUNT, ID};
use crate::rows::Rows;

/// Up to this many words a scan beats a table.
const SCANNED_WORDS: usize = 8;

/// Gathers rows one by one; [`RowsBuilder::finish`] makes them a [`Rows`].
#[derive(Debug)]
pub struct RowsBuilder {
    columns: [Gather; FIELD_COUNT],
    len: usize,
}

impl Default for RowsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RowsBuilder {
    pub fn new() -> Self {
        let mut columns: [Gather; FIELD_COUNT] = std::array::from_fn(|_| Gather::default());
        columns[ID].each = true;
        Self { columns, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Append one row, in the order of [`crate::FIELDS`]. The id is trimmed; a text above 2048
    /// bytes is cut between two characters. False once a batch is full (2,000,000 rows): the row
    /// is not taken.
    pub fn push(&mut self, row: &[&str; FIELD_COUNT]) -> bool {
        if self.len == MAX_ROWS {
            return false;
        }
        for (number, (column, text)) in self.columns.iter_mut().zip(row).enumerate() {
            let text = if number == ID { text.trim() } else { text };
            column.push(cut(text));
        }
        self.len += 1;
        true
    }

    pub fn finish(self) -> Rows {
        Rows::of_columns(self.columns.map(Gather::finish), self.len)
    }
}

fn cut(text: &str) -> &str {
    if text.len() <= MAX_FIELD_BYTES {
        return text;
    }
    let mut end = MAX_FIELD_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A column in the making: coded while it has few different words, then each for itself.
#[derive(Debug, Default)]
struct Gather {
    words: Words,
    codes: Vec<u8>,
    last: u8,
    table: HashTable<u8>,
    each: bool,
}

impl Gather {
    fn push(&mut self, text: &str) {
        if self.each {
            self.words.push(text);
            return;
        }
        if self.codes.is_empty() || !same(self.words.get(usize::from(self.last)), text) {
            match self.find(text) {
                Some(code) => self.last = code,
                None => match u8::try_from(self.words.len()) {
                    Ok(code) => self.learn(text, code),
                    Err(_) => return self.spread(text),
                },
            }
        }
        self.codes.push(self.last);
    }

    fn find(&self, text: &str) -> Option<u8> {
        if self.words.len() > SCANNED_WORDS {
            let found = |code: &u8| same(self.words.get(usize::from(*code)), text);
            return self.table.find(hash(text), found).copied();
        }
        let found = (0..self.words.len()).find(|&number| same(self.words.get(number), text))?;
        u8::try_from(found).ok()
    }

    fn learn(&mut self, text: &str, code: u8) {
        self.words.push(text);
        self.last = code;
        let first = match self.words.len() {
            ..=SCANNED_WORDS => return,
            len if len == SCANNED_WORDS + 1 => 0,
            _ => code,
        };
        let words = &self.words;
        let again = |code: &u8| hash(words.get(usize::from(*code)));
        for code in first..=code {
            self.table.insert_unique(again(&code), code, again);
        }
    }

    fn spread(&mut self, text: &str) {
        debug_assert_eq!(self.words.len(), MAX_WORDS);
        let mut words = Words::default();
        for code in std::mem::take(&mut self.codes) {
            words.push(self.words.get(usize::from(code)));
        }
        words.push(text);
        self.words = words;
        self.table = HashTable::new();
        self.each = true;
    }

    fn finish(mut self) -> Column {
        self.words.shrink();
        if self.each {
            return Column::Each(Box::new(self.words));
        }
        match self.words.len() {
            0 => Column::Same("".into()),
            1 => Column::Same(self.words.get(0).into()),
            // All different: the codes count from 0 upward and say nothing.
            len if len == self.codes.len() => Column::Each(Box::new(self.words)),
            _ => {
                self.codes.shrink_to_fit();
                Column::Coded(Box::new(Coded {
                    codes: self.codes,
                    words: self.words,
                }))
            }
        }
    }
}

/// FNV-1a, 64 bits. A peer who forces collisions slows down at most 256 words of its own batch.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{ADDRESS, NAME, STATUS};

    fn built(count: usize, row: impl Fn(usize) -> [String; 3]) -> Rows {
        let mut builder = RowsBuilder::new();
        for number in 0..count {
            let [id, name, status] = row(number);
            let mut fields = [""; FIELD_COUNT];
            (fields[ID], fields[NAME], fields[STATUS]) = (&id, &name, &status);
            assert!(builder.push(&fields));
        }
        builder.finish()
    }

    #[test]
    fn every_number_of_different_words_reads_back() {
        for different in [1, 2, 8, 9, 10, 255, 256, 257, 300] {
            let row = |number: usize| {
                [
                    number.to_string(),
                    format!("名{}", number % different),
                    "ON".to_owned(),
                ]
            };
            let rows = built(700, row);
            for number in 0..700 {
                assert_eq!(rows.get(number, ID), number.to_string());
                assert_eq!(rows.get(number, NAME), row(number)[1], "{different} words");
                assert_eq!(rows.get(number, STATUS), "ON");
                assert_eq!(rows.get(number, ADDRESS), "");
            }
        }
    }

    #[test]
    fn an_id_is_trimmed_and_a_long_text_cut_between_characters() {
        let rows = built(1, |_| [" 1 ".to_owned(), "模".repeat(1000), String::new()]);
        assert_eq!(rows.get(0, ID), "1");
        assert_eq!(rows.get(0, NAME), "模".repeat(MAX_FIELD_BYTES / 3));
    }
}
