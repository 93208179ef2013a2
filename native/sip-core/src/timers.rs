//! The queue of deadlines: at most one live entry for each transaction.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Time;

/// Deadlines in order. A transaction whose deadline moved later keeps its early entry, which is put
/// right when it comes up; one that moved earlier gets another, and the old entry is recognised as stale.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Time, u64)>>,
}

impl Timers {
    /// Make sure that `number` comes up at `due`; `queued` is the caller's note of its live entry.
    pub fn schedule(&mut self, number: u64, due: Time, queued: &mut Time) {
        if due < *queued {
            *queued = due;
            self.heap.push(Reverse((due, number)));
        }
    }

    pub fn peek(&self) -> Option<(Time, u64)> {
        self.heap.peek().map(|entry| entry.0)
    }

    pub fn pop(&mut self) {
        self.heap.pop();
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drop every entry that `is_live` does not know. Costs a pass over all.
    pub fn retain(&mut self, mut is_live: impl FnMut(u64, Time) -> bool) {
        self.heap
            .retain(|Reverse((due, number))| is_live(*number, *due));
    }
}
