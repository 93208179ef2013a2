//! Which packets of one key were opened before (a window of bits that moves up, after RFC 6479).

/// How far a packet may lie behind the newest: at 180,000 packets a second, 45 ms of reordering.
const WINDOW: u64 = 8192;
const WORDS: usize = 128; // WINDOW / 64

/// Nothing changes until a counter is committed, so that what is forged moves nothing.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The lowest and the highest counter that were committed.
    seen: Option<(u64, u64)>,
    bits: [u64; WORDS],
}

impl Replay {
    pub(crate) fn new() -> Self {
        Self {
            seen: None,
            bits: [0; WORDS],
        }
    }

    /// May this counter still come: neither seen, nor so old that nobody knows?
    pub(crate) fn admits(&self, counter: u64) -> bool {
        match self.seen {
            None => true,
            Some((_, highest)) if counter > highest => true,
            Some((_, highest)) => {
                let (word, bit) = place(counter);
                highest - counter < WINDOW && self.bits[word] & bit == 0
            }
        }
    }

    /// Take down a counter that was admitted.
    pub(crate) fn commit(&mut self, counter: u64) {
        let (lowest, highest) = self.seen.unwrap_or((counter, counter));
        if counter > highest {
            // What the window leaves behind: at most all of it, whatever the step.
            let first = (highest + 1).max(counter.saturating_sub(WINDOW - 1));
            for passed in first..=counter {
                let (word, bit) = place(passed);
                self.bits[word] &= !bit;
            }
        }
        self.seen = Some((lowest.min(counter), highest.max(counter)));
        let (word, bit) = place(counter);
        self.bits[word] |= bit;
    }

    /// How many counters lie from the lowest to the highest seen.
    pub(crate) fn span(&self) -> u64 {
        self.seen
            .map_or(0, |(lowest, highest)| highest - lowest + 1)
    }
}

#[allow(clippy::cast_possible_truncation)] // below 128
fn place(counter: u64) -> (usize, u64) {
    let at = counter % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn taken(window: &mut Replay, counter: u64) -> bool {
        let admitted = window.admits(counter);
        if admitted {
            window.commit(counter);
        }
        admitted
    }

    #[test]
    fn each_counter_passes_once_in_whatever_order() {
        let mut window = Replay::new();
        for counter in [7, 5, 6, 100, 99, 8] {
            assert!(taken(&mut window, counter), "{counter}");
        }
        for counter in [7, 5, 6, 100, 99, 8] {
            assert!(!taken(&mut window, counter), "{counter}");
        }
        assert_eq!(window.span(), 96);
    }

    #[test]
    fn what_lies_behind_the_window_is_as_good_as_seen() {
        let mut window = Replay::new();
        assert!(taken(&mut window, WINDOW));
        assert!(taken(&mut window, 1));
        assert!(!taken(&mut window, 0));
        assert!(taken(&mut window, (1 << 48) - 1), "a step of any length");
        assert!(!taken(&mut window, WINDOW));
        assert!(taken(&mut window, (1 << 48) - WINDOW), "its bits are clear");
    }

    #[test]
    fn it_agrees_with_a_set_of_all_that_was_seen() {
        let mut window = Replay::new();
        let (mut seen, mut highest, mut dice) = (HashSet::new(), 0_u64, 88_172_645_463_325_252_u64);
        for _ in 0..200_000 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let step = if dice % 1000 == 0 { WINDOW * 2 } else { 40 };
            let counter = (highest + dice / 7 % step).saturating_sub(20 + dice % 3 * WINDOW / 2);
            let known = highest.saturating_sub(counter) < WINDOW || seen.is_empty();
            let expected = known && !seen.contains(&counter);
            assert_eq!(taken(&mut window, counter), expected);
            if expected {
                seen.insert(counter);
                highest = highest.max(counter);
            }
        }
    }
}
