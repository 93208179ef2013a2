//! Places by keys: one array of numbers, eight bytes a place, so that to look one up is one cold line of memory.

/// An array that is no larger is not made smaller.
const SMALL: usize = 4096;

/// Open addressing. In a slot the upper half is of the key and never 0, the lower half is the place; 0 is nothing.
/// Keys are keyed hashes, so nobody can choose where theirs go.
#[derive(Debug, Default)]
pub struct Index {
    /// As many as a power of two, or none.
    slots: Vec<u64>,
    count: usize,
}

fn slot(key: u64, place: u32) -> u64 {
    (key | 1 << 32) & 0xffff_ffff_0000_0000 | u64::from(place)
}

#[allow(clippy::cast_possible_truncation)] // the lower half
fn place(slot: u64) -> u32 {
    slot as u32
}

impl Index {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.count
    }

    /// How many slots there are.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn home(&self, slot: u64) -> usize {
        usize::try_from(slot >> 33).unwrap_or(0) & (self.slots.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// The first place of that key for which `is_it` holds.
    pub fn find(&self, key: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let wanted = slot(key, 0);
        let mut at = self.home(wanted);
        while self.slots[at] != 0 {
            let found = place(self.slots[at]);
            if self.slots[at] ^ wanted == u64::from(found) && is_it(found) {
                return Some(found);
            }
            at = self.next(at);
        }
        None
    }

    pub fn insert(&mut self, key: u64, place: u32) {
        if 4 * (self.count + 1) > 3 * self.slots.len() {
            self.resize((2 * self.slots.len()).max(64));
        }
        self.put(slot(key, place));
        self.count += 1;
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home(slot);
        while self.slots[at] != 0 {
            at = self.next(at);
        }
        self.slots[at] = slot;
    }

    /// Forget that place of that key, if it is there.
    pub fn remove(&mut self, key: u64, place: u32) {
        if self.slots.is_empty() {
            return;
        }
        let wanted = slot(key, place);
        let mut hole = self.home(wanted);
        while self.slots[hole] != wanted {
            if self.slots[hole] == 0 {
                return;
            }
            hole = self.next(hole);
        }
        // Whoever stands behind the hole and could stand in it moves there, so that nobody is behind a gap.
        let mask = self.slots.len() - 1;
        let mut at = self.next(hole);
        while self.slots[at] != 0 {
            let begun = self.home(self.slots[at]);
            if at.wrapping_sub(begun) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.slots[hole] = 0;
        self.count -= 1;
    }

    /// Give back what is not needed.
    pub fn shrink(&mut self) {
        if self.slots.len() > SMALL && 8 * self.count < self.slots.len() {
            self.resize((4 * self.count).next_power_of_two().max(SMALL));
        }
    }

    fn resize(&mut self, slots: usize) {
        let before = std::mem::replace(&mut self.slots, vec![0; slots]);
        for slot in before.into_iter().filter(|slot| *slot != 0) {
            self.put(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::Random;

    /// Keys of which many share a home, and some a whole upper half.
    fn key(random: &mut Random) -> u64 {
        ((random.number() % 61) << 33) | (random.number() % 5)
    }

    #[test]
    fn it_holds_what_a_set_would_hold() {
        let mut random = Random::new(&[1; 32], "keys");
        let (mut index, mut oracle) = (Index::default(), HashSet::new());
        for number in 0..20_000u32 {
            let key = key(&mut random);
            if number % 3 == 2 {
                let gone = oracle.iter().next().copied();
                if let Some((key, place)) = gone {
                    oracle.remove(&(key, place));
                    index.remove(key, place);
                }
                index.remove(key, number); // it is not there
            } else if oracle.len() < 900 {
                index.insert(key, number);
                oracle.insert((key, number));
            }
            assert_eq!(index.len(), oracle.len());
            if number % 500 == 0 {
                index.shrink();
                for (key, place) in &oracle {
                    assert_eq!(index.find(*key, |one| one == *place), Some(*place));
                }
                assert_eq!(index.find(key, |one| one == u32::MAX), None);
            }
        }
        assert!(oracle.len() > 500);
    }

    #[test]
    fn it_shrinks_when_little_is_left() {
        let mut index = Index::default();
        let key = |place: u32| u64::from(place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..100_000).for_each(|place| index.insert(key(place), place));
        let most = index.capacity();
        (10..100_000).for_each(|place| index.remove(key(place), place));
        index.shrink();
        assert!(index.capacity() <= SMALL && most > 100_000);
        assert!((0..10).all(|place| index.find(key(place), |_| true) == Some(place)));
    }
}
