//! All rows of one peer, in batches that are never changed.
//!
//! A row has a slot for as long as it is there; the slot says in which chunk, and in which row of
//! it, the row stands now. A changed row stands in a new chunk and leaves a dead place in the old
//! one. Snapshots share the chunks, so they cost row numbers only.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::builder::RowsBuilder;
use crate::column::MAX_ROWS;
use crate::fields::FIELD_COUNT;
use crate::rows::Rows;

pub(crate) type Slot = u32;

const NOWHERE: u32 = u32::MAX;

/// Chunks below this many rows are joined with their neighbours in age.
const SMALL_CHUNK: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: u32,
    row: u32,
}

#[derive(Debug)]
struct Chunk {
    rows: Rows,
    /// Slot of each row, `NOWHERE` where the row is dead.
    slots: Vec<Slot>,
    live: usize,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) peer: Arc<str>,
    chunks: Vec<Option<Chunk>>,
    free_chunks: Vec<u32>,
    /// Small chunks from the oldest to the youngest.
    small: Vec<u32>,
    places: Vec<Place>,
    free_slots: Vec<Slot>,
    table: HashTable<Slot>,
    hasher: RandomState,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("MAX_ROWS < 2^32")
}

impl Family {
    pub(crate) fn new(peer: &Arc<str>) -> Self {
        Self {
            peer: Arc::clone(peer),
            chunks: Vec::new(),
            free_chunks: Vec::new(),
            small: Vec::new(),
            places: Vec::new(),
            free_slots: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Slots are numbers below this one.
    pub(crate) fn slot_count(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..number(self.places.len())).filter(|&slot| self.is_live(slot))
    }

    pub(crate) fn is_live(&self, slot: Slot) -> bool {
        self.places[slot as usize].chunk != NOWHERE
    }

    fn chunk(&self, chunk: u32) -> &Chunk {
        self.chunks[chunk as usize]
            .as_ref()
            .expect("a live slot keeps its chunk")
    }

    /// The batch in which a row stands, and where in it.
    pub(crate) fn place(&self, slot: Slot) -> (&Rows, usize) {
        let Place { chunk, row } = self.places[slot as usize];
        (&self.chunk(chunk).rows, row as usize)
    }

    pub(crate) fn get(&self, slot: Slot, field: usize) -> &str {
        let (rows, row) = self.place(slot);
        rows.get(row, field)
    }

    pub(crate) fn row(&self, slot: Slot) -> [&str; FIELD_COUNT] {
        let (rows, row) = self.place(slot);
        rows.row(row)
    }

    pub(crate) fn id(&self, slot: Slot) -> &str {
        let (rows, row) = self.place(slot);
        rows.id(row)
    }

    pub(crate) fn find(&self, id: &str) -> Option<Slot> {
        self.table
            .find(self.hasher.hash_one(id), |&slot| self.id(slot) == id)
            .copied()
    }

    pub(crate) fn rows(&self, slots: impl IntoIterator<Item = Slot>) -> Rows {
        let mut builder = RowsBuilder::new();
        for slot in slots {
            builder.push(&self.row(slot));
        }
        builder.finish()
    }

    /// All rows in one batch: the very one in which they stand, where there is no other and no row of it is
    /// elsewhere.
    pub(crate) fn gathered(&self) -> Rows {
        let mut held = self.chunks.iter().flatten();
        if let (Some(chunk), None) = (held.next(), held.next())
            && chunk.slots.is_sorted()
            && chunk.live == chunk.slots.len()
        {
            return chunk.rows.clone();
        }
        self.rows(self.slots())
    }

    /// So many rows will come: nothing has to be moved meanwhile.
    pub(crate) fn expect(&mut self, count: usize) {
        self.places.reserve(count);
        let Self {
            table,
            places,
            chunks,
            hasher,
            ..
        } = self;
        table.reserve(count, |slot| {
            let Place { chunk, row } = places[*slot as usize];
            let chunk = chunks[chunk as usize]
                .as_ref()
                .expect("a live slot keeps its chunk");
            hasher.hash_one(chunk.rows.id(row as usize))
        });
    }

    /// A batch that is kept.
    pub(crate) fn batch(&self, chunk: u32) -> &Rows {
        &self.chunk(chunk).rows
    }

    /// Keep a batch whose rows stand nowhere yet.
    pub(crate) fn hold(&mut self, rows: Rows) -> u32 {
        let chunk = Chunk {
            slots: vec![NOWHERE; rows.len()],
            rows,
            live: 0,
        };
        if let Some(free) = self.free_chunks.pop() {
            self.chunks[free as usize] = Some(chunk);
            return free;
        }
        self.chunks.push(Some(chunk));
        number(self.chunks.len() - 1)
    }

    /// Keep a batch of rows that are all there is, each with an id of its own.
    pub(crate) fn begin_with(&mut self, rows: &Rows) {
        if rows.is_empty() {
            return;
        }
        let held = self.hold(rows.clone());
        for row in 0..rows.len() {
            self.insert(held, row);
        }
        self.small.push(held);
    }

    /// A new slot for a row whose id has none; None when the peer has 2,000,000 rows.
    pub(crate) fn insert(&mut self, chunk: u32, row: usize) -> Option<Slot> {
        if self.len() >= MAX_ROWS {
            return None;
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.places.push(Place {
                chunk: NOWHERE,
                row: 0,
            });
            number(self.places.len() - 1)
        });
        self.stand(slot, chunk, row);
        let hash = self.hasher.hash_one(self.id(slot));
        let Self {
            table,
            places,
            chunks,
            hasher,
            ..
        } = self;
        let again = |slot: &Slot| {
            let Place { chunk, row } = places[*slot as usize];
            let chunk = chunks[chunk as usize]
                .as_ref()
                .expect("a live slot keeps its chunk");
            hasher.hash_one(chunk.rows.id(row as usize))
        };
        table.insert_unique(hash, slot, again);
        Some(slot)
    }

    /// Let a slot stand at another place: the same id in a batch that is held.
    pub(crate) fn stand(&mut self, slot: Slot, chunk: u32, row: usize) {
        self.leave(slot);
        let to = self.chunks[chunk as usize].as_mut().expect("a held chunk");
        to.slots[row] = slot;
        to.live += 1;
        self.places[slot as usize] = Place {
            chunk,
            row: number(row),
        };
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        let hash = self.hasher.hash_one(self.id(slot));
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.leave(slot);
        self.free_slots.push(slot);
    }

    fn leave(&mut self, slot: Slot) {
        let place = &mut self.places[slot as usize];
        let Place { chunk, row } = *place;
        place.chunk = NOWHERE;
        if let Some(from) = self.chunks.get_mut(chunk as usize).and_then(Option::as_mut) {
            from.slots[row as usize] = NOWHERE;
            from.live -= 1;
        }
    }

    /// Give back what nobody stands in any more, join small batches and rewrite those that are
    /// half dead. `youngest` is the batch held last, `touched` those that rows have left.
    ///
    /// A row is rewritten a number of times that grows with the logarithm of `SMALL_CHUNK`, and
    /// the memory of dead rows stays below that of live ones.
    pub(crate) fn tidy(&mut self, youngest: u32, touched: &[u32]) {
        for &chunk in touched {
            self.thin(chunk);
        }
        self.thin(youngest);
        self.small
            .retain(|&chunk| self.chunks[chunk as usize].is_some());
        let small = |chunk: &Chunk| chunk.live < SMALL_CHUNK;
        if self.chunks[youngest as usize].as_ref().is_some_and(small) {
            self.small.push(youngest);
            self.join_small();
        }
    }

    /// The chunk in which a slot stands, for `tidy`.
    pub(crate) fn chunk_of(&self, slot: Slot) -> u32 {
        self.places[slot as usize].chunk
    }

    fn thin(&mut self, chunk: u32) {
        let Some(Chunk { live, slots, .. }) = &self.chunks[chunk as usize] else {
            return;
        };
        if *live == 0 {
            self.chunks[chunk as usize] = None;
            self.free_chunks.push(chunk);
        } else if *live * 2 < slots.len() {
            self.rewrite(&[chunk]);
        }
    }

    /// As in a binary counter: two neighbours of about one size become one of twice that size.
    fn join_small(&mut self) {
        while let [.., older, younger] = self.small[..] {
            if self.chunk(older).live > 2 * self.chunk(younger).live {
                return;
            }
            self.small.truncate(self.small.len() - 2);
            let joined = self.rewrite(&[older, younger]);
            if self.chunk(joined).live >= SMALL_CHUNK {
                return;
            }
            self.small.push(joined);
        }
    }

    /// Copy the live rows of some chunks into the first of them, and give back the others.
    fn rewrite(&mut self, chunks: &[u32]) -> u32 {
        let live = |&chunk: &u32| self.chunk(chunk).slots.iter().copied();
        let slots: Vec<Slot> = chunks
            .iter()
            .flat_map(live)
            .filter(|&slot| slot != NOWHERE)
            .collect();
        let rows = self.rows(slots.iter().copied());
        for (row, &slot) in slots.iter().enumerate() {
            self.places[slot as usize] = Place {
                chunk: chunks[0],
                row: number(row),
            };
        }
        for &chunk in &chunks[1..] {
            self.chunks[chunk as usize] = None;
            self.free_chunks.push(chunk);
        }
        let live = slots.len();
        self.chunks[chunks[0] as usize] = Some(Chunk { rows, slots, live });
        chunks[0]
    }

    /// Every batch that somebody stands in, with the numbers of its live rows.
    pub(crate) fn batches(
        &self,
    ) -> impl Iterator<Item = (&Rows, impl Iterator<Item = u32> + '_)> + '_ {
        self.chunks.iter().flatten().map(|chunk| {
            let live = |(row, slot): (usize, &Slot)| (*slot != NOWHERE).then(|| number(row));
            (&chunk.rows, chunk.slots.iter().enumerate().filter_map(live))
        })
    }
}
