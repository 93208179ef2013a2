//! An immutable batch of rows, shared by reference.

use std::sync::Arc;

use crate::builder::RowsBuilder;
use crate::column::{Column, same};
use crate::fields::{COORDINATES, FIELD_COUNT, ID, LONGITUDE};
use crate::packed::Packed;

/// An immutable batch of rows. A clone or a slice shares the columns.
#[derive(Debug, Clone)]
pub struct Rows {
    batch: Arc<Batch>,
    start: u32,
    len: u32,
}

/// The rows that batches share.
#[derive(Debug)]
struct Batch {
    len: u32,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Columns(Box<[Column; FIELD_COUNT]>),
    Packed(Packed),
}

impl Batch {
    fn get(&self, row: u32, field: usize) -> &str {
        match &self.form {
            Form::Columns(columns) => columns[field].get(row as usize),
            Form::Packed(packed) => packed.get(self.len as usize, row as usize, field),
        }
    }
}

fn number(rows: usize) -> u32 {
    u32::try_from(rows).expect("MAX_ROWS < 2^32")
}

impl Default for Rows {
    fn default() -> Self {
        RowsBuilder::new().finish()
    }
}

impl Rows {
    /// Every column must hold `len` rows.
    pub(crate) fn of_columns(columns: [Column; FIELD_COUNT], len: usize) -> Self {
        let form = match Packed::of(&columns, len) {
            Some(packed) => Form::Packed(packed),
            None => Form::Columns(Box::new(columns)),
        };
        let len = number(len);
        Self {
            batch: Arc::new(Batch { len, form }),
            start: 0,
            len,
        }
    }

    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same for all batches that share these very rows, for as long as one of them lives.
    pub(crate) fn identity(&self) -> (usize, u32) {
        (Arc::as_ptr(&self.batch) as usize, self.start)
    }

    #[cfg(test)]
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.batch.form, Form::Packed(_))
    }

    /// Text of one field, empty when absent.
    ///
    /// # Panics
    /// `row` or `field` is out of range.
    pub fn get(&self, row: usize, field: usize) -> &str {
        assert!(row < self.len(), "row {row} of {}", self.len);
        assert!(field < FIELD_COUNT, "field {field}");
        self.batch.get(self.start + number(row), field)
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
        let start = start.min(self.len());
        let len = stop.clamp(start, self.len()) - start;
        Self {
            batch: Arc::clone(&self.batch),
            start: self.start + number(start),
            len: number(len),
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
        if (0..self.len()).all(|row| self.get(row, LONGITUDE).is_empty()) {
            return self.clone();
        }
        let mut builder = RowsBuilder::new();
        for number in 0..self.len() {
            let mut row = self.row(number);
            if !row[LONGITUDE].is_empty() {
                row[COORDINATES] = system;
            }
            builder.push(&row);
        }
        builder.finish()
    }

    /// These rows in columns, for whoever writes them one by one.
    pub(crate) fn columns<T>(&self, read: impl FnOnce(&[Column; FIELD_COUNT]) -> T) -> T {
        if self.len != self.batch.len {
            return self.pick(0..self.len()).columns(read);
        }
        match &self.batch.form {
            Form::Columns(columns) => read(columns),
            Form::Packed(packed) => read(&packed.columns(self.len())),
        }
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        let equal = |row: usize, field: usize| same(self.get(row, field), other.get(row, field));
        self.len == other.len
            && (0..self.len()).all(|row| (0..FIELD_COUNT).all(|field| equal(row, field)))
    }
}

impl Eq for Rows {}
