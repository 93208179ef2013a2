//! How many messages a second strangers may bring: all together, and from one address.
//!
//! The memory is fixed: addresses share buckets by a keyed hash, so that nobody can choose whose bucket to
//! empty, and a flood from addresses that were made up costs nothing to remember.

use std::net::IpAddr;

use crate::network::octets;
use crate::random::Keys;
use crate::time::Time;

const BUCKETS: usize = 16_384;
/// A message, in millionths of one.
const ONE: u64 = 1_000_000;

/// Which budget a message was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Source,
    All,
}

/// Holds the messages of one second, and begins full.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// Millionths of a message that are used up.
    used: u64,
    at: Time,
}

impl Bucket {
    /// What is used up of it by now.
    fn settle(&mut self, rate: u64, now: Time) -> u64 {
        let regained = now.since(self.at).saturating_mul(rate);
        self.used = self.used.saturating_sub(regained);
        self.at = self.at.max(now);
        self.used
    }

    fn has_room(&mut self, rate: u64, now: Time) -> bool {
        self.settle(rate, now) + ONE <= rate.saturating_mul(ONE)
    }
}

#[derive(Debug)]
pub struct Budgets {
    all: Bucket,
    sources: Box<[Bucket]>,
}

impl Budgets {
    pub fn new() -> Self {
        Budgets {
            all: Bucket::default(),
            sources: vec![Bucket::default(); BUCKETS].into_boxed_slice(),
        }
    }

    /// Take one message from there off both budgets, or off none; rates are messages a second.
    pub fn spend(
        &mut self,
        keys: &Keys,
        source: IpAddr,
        of_source: usize,
        of_all: usize,
        now: Time,
    ) -> Result<(), Over> {
        let rate = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
        let place = place(keys, source);
        if !self.sources[place].has_room(rate(of_source), now) {
            return Err(Over::Source);
        }
        if !self.all.has_room(rate(of_all), now) {
            return Err(Over::All);
        }
        self.sources[place].used += ONE;
        self.all.used += ONE;
        Ok(())
    }
}

/// Whoever has an IPv6 address has all of its /64.
#[allow(clippy::cast_possible_truncation)] // the lowest bits of a hash
fn place(keys: &Keys, source: IpAddr) -> usize {
    let octets = octets(source);
    let known = if source.to_canonical().is_ipv6() {
        &octets[..8]
    } else {
        &octets[..]
    };
    keys.hash(&[known]) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budgets: &mut Budgets, source: &str, times: usize, seconds: f64) -> (usize, usize) {
        let keys = Keys::new(&[5; 32]);
        let source: IpAddr = source.parse().unwrap();
        let outcomes: Vec<_> = (0..times)
            .map(|_| budgets.spend(&keys, source, 10, 25, Time::from_seconds(seconds)))
            .collect();
        let over = |which| outcomes.iter().filter(|each| **each == Err(which)).count();
        (over(Over::Source), over(Over::All))
    }

    #[test]
    fn a_source_has_its_second_and_all_have_theirs() {
        let mut budgets = Budgets::new();
        assert_eq!(taken(&mut budgets, "203.0.113.1", 12, 0.0), (2, 0));
        assert_eq!(taken(&mut budgets, "203.0.113.2", 10, 0.0), (0, 0));
        assert_eq!(taken(&mut budgets, "203.0.113.3", 10, 0.0), (0, 5));
        assert_eq!(taken(&mut budgets, "203.0.113.1", 6, 0.5), (1, 0));
        assert_eq!(taken(&mut budgets, "203.0.113.3", 9, 9.0), (0, 0));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_a_mapped_address_is_its_own() {
        let mut budgets = Budgets::new();
        assert_eq!(taken(&mut budgets, "2001:db8::1", 10, 0.0), (0, 0));
        assert_eq!(taken(&mut budgets, "2001:db8::9:9", 1, 0.0), (1, 0));
        assert_eq!(taken(&mut budgets, "2001:db8:0:1::1", 1, 0.0), (0, 0));
        assert_eq!(taken(&mut budgets, "203.0.113.7", 10, 0.0), (0, 0));
        assert_eq!(taken(&mut budgets, "::ffff:203.0.113.7", 1, 0.0), (1, 0));
    }
}
