//! Pages of one catalog answer, gathered by id.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::builder::RowsBuilder;
use crate::column::MAX_ROWS;
use crate::ids;
use crate::rows::Rows;

/// Rows by id, in the order in which the ids first came. Pages come in any order and several
/// times, and their number says nothing; what counts is how many different ids came (Q16).
#[derive(Debug, Default)]
pub struct RowSet {
    pages: Vec<Rows>,
    /// Page and row of each id; a later row of the same id replaces the earlier one.
    places: Vec<(usize, usize)>,
    /// Numbers into `places`.
    table: HashTable<usize>,
    hasher: RandomState,
}

impl RowSet {
    pub fn new() -> Self {
        Self::default()
    }

    /// Different ids so far.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Take a page and return how many different ids came so far. A row whose id is no name
    /// (1 to 64 printable characters) is dropped, and so are new ids above 2,000,000.
    pub fn add(&mut self, page: &Rows) -> usize {
        let page_number = self.pages.len();
        let mut used = false;
        self.pages.push(page.clone());
        let (pages, places, hasher) = (&self.pages, &mut self.places, &self.hasher);
        for row in 0..page.len() {
            let id = page.id(row);
            if !ids::is_name(id) {
                continue;
            }
            let hash = hasher.hash_one(id);
            let same = |&number: &usize| {
                let (page, row) = places[number];
                pages[page].id(row) == id
            };
            if let Some(&number) = self.table.find(hash, same) {
                let (earlier, place) = places[number];
                if pages[earlier].slice(place, place + 1) != page.slice(row, row + 1) {
                    places[number] = (page_number, row);
                    used = true;
                }
            } else if places.len() < MAX_ROWS {
                let again = |&number: &usize| {
                    let (page, row): (usize, usize) = places[number];
                    hasher.hash_one(pages[page].id(row))
                };
                self.table.insert_unique(hash, places.len(), again);
                places.push((page_number, row));
                used = true;
            }
        }
        if !used {
            self.pages.pop();
        }
        self.places.len()
    }

    /// All rows gathered so far.
    pub fn rows(&self) -> Rows {
        match &self.pages[..] {
            [page] if page.len() == self.places.len() => return page.clone(),
            _ => {}
        }
        let mut builder = RowsBuilder::new();
        for &(page, row) in &self.places {
            builder.push(&self.pages[page].row(row));
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{FIELD_COUNT, ID, NAME};

    fn page(rows: &[(&str, &str)]) -> Rows {
        let mut builder = RowsBuilder::new();
        for (id, name) in rows {
            let mut row = [""; FIELD_COUNT];
            (row[ID], row[NAME]) = (id, name);
            builder.push(&row);
        }
        builder.finish()
    }

    #[test]
    fn ids_are_counted_once_and_the_last_row_stands() {
        let mut set = RowSet::new();
        assert_eq!(set.add(&page(&[("1", "a"), ("2", "b")])), 2);
        assert_eq!(set.add(&page(&[("2", "c"), ("", "no id"), ("3", "d")])), 3);
        assert_eq!(set.add(&page(&[("1", "a")])), 3);
        assert_eq!(set.rows(), page(&[("1", "a"), ("2", "c"), ("3", "d")]));
    }

    #[test]
    fn a_page_with_the_same_id_twice_keeps_the_last() {
        let mut set = RowSet::new();
        assert_eq!(set.add(&page(&[("1", "a"), ("1", "b")])), 1);
        assert_eq!(set.rows(), page(&[("1", "b")]));
    }

    #[test]
    fn a_single_clean_page_is_shared() {
        let mut set = RowSet::new();
        assert!(set.is_empty());
        let one = page(&[("1", "a"), ("2", "b")]);
        set.add(&one);
        assert_eq!(set.rows(), one);
    }
}
