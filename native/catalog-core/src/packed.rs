//! A batch of few rows, all their texts one behind the other: most peers are devices and have few.
//!
//! In columns a batch of one row takes 1,200 bytes in thirty pieces; packed it takes 200 in three.

use crate::column::{Column, Words};
use crate::fields::FIELD_COUNT;

/// Most rows of one packed batch.
pub(crate) const MOST: usize = 32;

/// Texts of the columns in their order: of one that is the same in every row once, of others a text a row,
/// and nothing of one that is empty in every row.
#[derive(Debug)]
pub(crate) struct Packed {
    /// Bit n: column n has the same text in every row, and it is not empty.
    same: u32,
    /// Bit n: column n has a text for each row.
    each: u32,
    /// Where each text ends.
    ends: Box<[u16]>,
    text: Box<str>,
}

impl Packed {
    /// None where it is too much for that form.
    pub(crate) fn of(columns: &[Column; FIELD_COUNT], rows: usize) -> Option<Self> {
        if rows > MOST {
            return None;
        }
        let (mut same, mut each) = (0, 0);
        let (mut ends, mut text) = (Vec::new(), String::new());
        for (number, column) in columns.iter().enumerate() {
            let texts = match column {
                Column::Same(word) if word.is_empty() => 0,
                Column::Same(_) => {
                    same |= 1 << number;
                    1
                }
                _ => {
                    each |= 1 << number;
                    rows
                }
            };
            for row in 0..texts {
                text.push_str(column.get(row));
                ends.push(u16::try_from(text.len()).ok()?);
            }
        }
        let (ends, text) = (ends.into(), text.into());
        Some(Self {
            same,
            each,
            ends,
            text,
        })
    }

    pub(crate) fn get(&self, rows: usize, row: usize, field: usize) -> &str {
        let bit = 1_u32 << field;
        let is_each = self.each & bit != 0;
        if !is_each && self.same & bit == 0 {
            return "";
        }
        let before = bit - 1;
        let once = (self.same & before).count_ones() as usize;
        let many = (self.each & before).count_ones() as usize * rows;
        let number = once + many + if is_each { row } else { 0 };
        let start = number.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.text[usize::from(start)..usize::from(self.ends[number])]
    }

    /// The same in columns.
    pub(crate) fn columns(&self, rows: usize) -> [Column; FIELD_COUNT] {
        std::array::from_fn(|field| {
            if self.each & (1 << field) == 0 {
                return Column::Same(self.get(rows, 0, field).into());
            }
            let mut words = Words::default();
            for row in 0..rows {
                words.push(self.get(rows, row, field));
            }
            Column::Each(Box::new(words))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::RowsBuilder;
    use crate::fields::{ADDRESS, BRANCH, ID, NAME, STATUS};
    use crate::rows::Rows;

    fn rows(count: usize, name: impl Fn(usize) -> String) -> Rows {
        let mut builder = RowsBuilder::new();
        for number in 0..count {
            let (id, name) = (number.to_string(), name(number));
            let mut row = [""; FIELD_COUNT];
            (row[ID], row[NAME], row[STATUS], row[BRANCH]) = (&id, &name, "ON", "44");
            builder.push(&row);
        }
        builder.finish()
    }

    #[test]
    fn few_rows_read_back_as_they_came() {
        for count in [0, 1, 2, 3, MOST, MOST + 1] {
            for words in [1, 2, 40] {
                let given = rows(count, |number| format!("名{}", number % words));
                for number in 0..count {
                    assert_eq!(given.id(number), number.to_string());
                    assert_eq!(given.get(number, NAME), format!("名{}", number % words));
                    assert_eq!(given.get(number, ADDRESS), "");
                    assert_eq!(
                        (given.get(number, STATUS), given.get(number, BRANCH)),
                        ("ON", "44")
                    );
                }
                assert_eq!(given.is_packed(), count <= MOST);
                assert_eq!(Rows::decode(&given.encode()), Ok(given));
            }
        }
    }

    #[test]
    fn long_texts_of_few_rows_stand_in_columns() {
        let long = |count: usize| rows(count, |number| format!("{number:02048}"));
        assert!(long(20).is_packed());
        assert!(!long(MOST).is_packed() && long(MOST + 1).get(7, NAME).ends_with("07"));
        assert_eq!(long(MOST).get(31, NAME), format!("{:02048}", 31));
    }
}
