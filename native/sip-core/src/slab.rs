//! Numbered places that are used again, with numbers that are not.

/// Values by number. A number holds place, generation and one bit that tells the table, and is never 0;
/// a number whose value is gone finds nothing, also after its place got another value.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    table: u64,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

const LAST_GENERATION: u32 = 0x7fff_ffff; // numbers stay positive as 64-bit integers with a sign

impl<T> Slab<T> {
    /// `table` is 0 or 1, and the lowest bit of all its numbers.
    pub fn new(table: u8) -> Self {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
            table: u64::from(table & 1),
        }
    }

    pub fn insert(&mut self, value: T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                value: None,
            });
            u32::try_from(self.places.len() - 1).expect("bounded by the limits of the core")
        });
        let place = &mut self.places[index as usize];
        place.generation = place.generation % LAST_GENERATION + 1;
        place.value = Some(value);
        (u64::from(place.generation) << 32) | (u64::from(index) << 1) | self.table
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        let (index, generation) = self.split(number)?;
        self.places
            .get(index)
            .filter(|place| place.generation == generation)?
            .value
            .as_ref()
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (index, generation) = self.split(number)?;
        self.places
            .get_mut(index)
            .filter(|place| place.generation == generation)?
            .value
            .as_mut()
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let (index, generation) = self.split(number)?;
        let place = self
            .places
            .get_mut(index)
            .filter(|place| place.generation == generation)?;
        let value = place.value.take()?;
        self.free.push(u32::try_from(index).ok()?);
        Some(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.places.iter().zip(0u64..).filter_map(|(place, index)| {
            let number = (u64::from(place.generation) << 32) | (index << 1) | self.table;
            Some((number, place.value.as_ref()?))
        })
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    #[allow(clippy::cast_possible_truncation)] // both halves are cut on purpose
    fn split(&self, number: u64) -> Option<(usize, u32)> {
        (number & 1 == self.table).then_some(((number as u32 >> 1) as usize, (number >> 32) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_used_again() {
        let mut slab = Slab::new(1);
        let first = slab.insert("a");
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b");
        assert_ne!(first, second);
        assert_eq!(
            (slab.get(first), slab.get(second), slab.len()),
            (None, Some(&"b"), 1)
        );
        assert_eq!((slab.remove(first), slab.get(0)), (None, None));
    }
}
