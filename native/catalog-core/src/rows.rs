//! An immutable batch of rows, shared by reference.

use std::sync::Arc;

use crate::builder::RowsBuilder;
use crate::column::{Column, same};
use crate::fields::{COORDINATES, FIELD_COUNT, ID, LONGITUDE};

/// An immutable batch of rows. A clone or a slice shares the columns.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: Arc<[Column; FIELD_COUNT]>,
    start: usize,
    len: usize,
}

impl Default for Rows {
    fn default() -> Self {
        RowsBuilder::new().finish()
    }
}

impl Rows {
    /// Every column must hold `len` rows.
    pub(crate) fn of_columns(columns: [Column; FIELD_COUNT], len: usize) -> Self {
        Self {
            columns: Arc::new(columns),
            start: 0,
            len,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same for all batches that share these very rows, for as long as one of them lives.
    pub(crate) fn identity(&self) -> (usize, usize) {
        (Arc::as_ptr(&self.columns) as usize, self.start)
    }

    /// Text of one field, empty when absent.
    ///
    /// # Panics
    /// `row` or `field` is out of range.
    pub fn get(&self, row: usize, field: usize) -> &str {
        assert!(row < self.len, "row {row} of {}", self.len);
        self.columns[field].get(self.start + row)
    }

    pub fn id(&self, row: usize) -> &str {
        self.get(row, ID)
    }

    /// All fields of one row, in the order of [`crate::FIELDS`].
    pub fn row(&self, row: usize) -> [&str; FIELD_COUNT] {
        std::array::from_fn(|field| self.get(row, field))
    }

    /// Rows `start..stop`, without copying; bounds beyond the end are drawn in.
    #[must_use]
    pub fn slice(&self, start: usize, stop: usize) -> Self {
        let start = start.min(self.len);
        let len = stop.clamp(start, self.len) - start;
        Self {
            columns: Arc::clone(&self.columns),
            start: self.start + start,
            len,
        }
    }

    /// The given rows, in the given order.
    #[must_use]
    pub fn pick(&self, numbers: impl IntoIterator<Item = usize>) -> Self {
        let mut builder = RowsBuilder::new();
        for number in numbers {
            builder.push(&self.row(number));
        }
        builder.finish()
    }

    /// The same rows, those that have a place marked with the system it is in.
    #[must_use]
    pub fn located(&self, system: &str) -> Self {
        if (0..self.len).all(|row| self.get(row, LONGITUDE).is_empty()) {
            return self.clone();
        }
        let mut builder = RowsBuilder::new();
        for number in 0..self.len {
            let mut row = self.row(number);
            if !row[LONGITUDE].is_empty() {
                row[COORDINATES] = system;
            }
            builder.push(&row);
        }
        builder.finish()
    }

    /// The columns themselves, of exactly these rows: a slice is copied.
    pub(crate) fn own_columns(&self) -> Arc<[Column; FIELD_COUNT]> {
        let whole = match &self.columns[ID] {
            Column::Each(words) => words.len(),
            _ => self.len,
        };
        if whole == self.len {
            return Arc::clone(&self.columns);
        }
        self.pick(0..self.len).columns
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        let equal = |row: usize, field: usize| same(self.get(row, field), other.get(row, field));
        self.len == other.len
            && (0..self.len).all(|row| (0..FIELD_COUNT).all(|field| equal(row, field)))
    }
}

impl Eq for Rows {}
