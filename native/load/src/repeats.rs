//! When what is under way is sent again: timer E of RFC 3261 section 17.1.2.2, 0.5, 1, 2 and then 4 s.

use std::collections::VecDeque;

use sip_core::Time;

/// Each interval is a queue of its own, so that what is due next stands in front and nothing is sorted.
const INTERVALS: [u64; 4] = [500_000, 1_000_000, 2_000_000, 4_000_000];

#[derive(Debug, Clone, Copy)]
struct Waiting<K> {
    due: Time,
    step: usize,
    key: K,
}

#[derive(Debug)]
pub struct Repeats<K> {
    queues: [VecDeque<Waiting<K>>; 4],
}

impl<K: Copy> Repeats<K> {
    pub fn new() -> Self {
        Repeats {
            queues: Default::default(),
        }
    }

    /// Something was sent for the first time.
    pub fn add(&mut self, key: K, now: Time) {
        self.push(key, 0, now);
    }

    fn push(&mut self, key: K, step: usize, now: Time) {
        self.queues[step].push_back(Waiting {
            due: now.after(INTERVALS[step]),
            step,
            key,
        });
    }

    /// One that is due, if any; `again` says to whom the next interval belongs.
    pub fn due(&mut self, now: Time, again: impl Fn(K) -> bool) -> Option<K> {
        for step in 0..self.queues.len() {
            while self.queues[step]
                .front()
                .is_some_and(|first| first.due <= now)
            {
                let Some(first) = self.queues[step].pop_front() else {
                    break;
                };
                if again(first.key) {
                    let next = (first.step + 1).min(INTERVALS.len() - 1);
                    self.push(first.key, next, now);
                    return Some(first.key);
                }
            }
        }
        None
    }

    pub fn next(&self) -> Option<Time> {
        self.queues
            .iter()
            .filter_map(|queue| queue.front())
            .map(|first| first.due)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_come_after_a_half_one_two_and_each_four_seconds() {
        let mut repeats = Repeats::new();
        repeats.add('a', Time::default());
        let mut at = Vec::new();
        while at.len() < 6 {
            let now = repeats.next().unwrap();
            assert_eq!(repeats.due(now, |_| true), Some('a'));
            at.push(now.micros() / 100_000);
        }
        assert_eq!(at, [5, 15, 35, 75, 115, 155]);
    }

    #[test]
    fn what_was_answered_is_not_sent_again() {
        let mut repeats = Repeats::new();
        for key in 0..3 {
            repeats.add(key, Time::default());
        }
        let now = Time::from_seconds(1.0);
        assert_eq!(repeats.due(now, |key| key == 1), Some(1));
        assert_eq!(repeats.due(now, |key| key == 1), None);
        assert_eq!(repeats.next(), Some(Time::from_seconds(2.0)));
    }
}
