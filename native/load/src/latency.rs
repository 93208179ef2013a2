//! How long things took, in buckets that are at most 1/32 wide of what they hold.

/// Buckets of one doubling.
const PARTS: u64 = 32;
const BUCKETS: usize = 1024;

/// Microseconds, each known to 3 %.
#[derive(Debug, Clone)]
pub struct Latency {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
    longest: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            counts: Box::new([0; BUCKETS]),
            total: 0,
            longest: 0,
        }
    }
}

/// Below `PARTS` each microsecond has its own bucket; above, each doubling has `PARTS` of them.
fn bucket(micros: u64) -> usize {
    let doubling = (micros / PARTS).checked_ilog2().map_or(0, |log| log + 1);
    let index = match doubling {
        0 => micros,
        _ => u64::from(doubling) * PARTS + (micros >> (doubling - 1)) - PARTS,
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The largest value of a bucket.
fn top(index: usize) -> u64 {
    let index = index as u64;
    match index / PARTS {
        0 => index,
        doubling => ((PARTS + index % PARTS + 1) << (doubling - 1)) - 1,
    }
}

impl Latency {
    pub fn add(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.longest = self.longest.max(micros);
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// What so many of a thousand did not exceed; 0 when there was none.
    pub fn within(&self, of_thousand: u64) -> u64 {
        let wanted = (self.total * of_thousand.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return top(index).min(self.longest);
            }
        }
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_told_to_three_percent() {
        for micros in (0..5000).chain((0..35).map(|shift| (1 << shift) + 7)) {
            let top = top(bucket(micros));
            assert!(top >= micros, "{micros}");
            assert!(top - micros <= micros / 32, "{micros} {top}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut latency = Latency::default();
        for micros in 1..=1000 {
            latency.add(micros);
        }
        assert_eq!(latency.count(), 1000);
        assert_eq!(latency.longest(), 1000);
        assert!((500..516).contains(&latency.within(500)));
        assert!((990..1001).contains(&latency.within(990)));
        assert_eq!(latency.within(1000), 1000);
        assert_eq!(Latency::default().within(500), 0);
    }

    #[test]
    fn what_is_absurdly_long_is_kept_too() {
        let mut latency = Latency::default();
        latency.add(u64::MAX);
        assert_eq!(latency.longest(), u64::MAX);
        assert!(latency.within(500) > 1 << 32);
    }
}
