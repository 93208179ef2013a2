//! A token bucket in bits: one second of the agreed rate may come at once, no more in the long run.

use std::time::Duration;

const NANOSECONDS: u128 = 1_000_000_000;
/// Whatever the rate, one datagram of the largest size fits.
const LEAST_BITS: u64 = 65_535 * 8;

/// Tokens are kept in bits times 10^9, so that no fraction is lost between packets that follow closely.
#[derive(Debug)]
pub(crate) struct Bucket {
    bits_per_second: u64,
    capacity: u128,
    tokens: u128,
    filled: Duration,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(bits_per_second: u64, now: Duration) -> Self {
        let capacity = u128::from(bits_per_second.max(LEAST_BITS)) * NANOSECONDS;
        Self {
            bits_per_second,
            capacity,
            tokens: capacity,
            filled: now,
        }
    }

    /// Take the bits of one datagram; `false` takes none. A clock that goes back adds nothing.
    pub(crate) fn spend(&mut self, bytes: usize, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.filled).as_nanos();
        // In 2^32 s any rate fills any bucket: without the bound the product could overflow.
        let gained = u128::from(self.bits_per_second) * elapsed.min(NANOSECONDS << 32);
        self.tokens = self.capacity.min(self.tokens + gained);
        self.filled = self.filled.max(now);
        let price = bytes as u128 * 8 * NANOSECONDS;
        let enough = price <= self.tokens;
        if enough {
            self.tokens -= price;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(8_000_000, Duration::ZERO);
        let passed =
            |bucket: &mut Bucket, now| (0..2000).filter(|_| bucket.spend(1000, now)).count();
        assert_eq!(passed(&mut bucket, Duration::ZERO), 1000);
        assert_eq!(passed(&mut bucket, Duration::from_millis(1)), 1);
        assert_eq!(passed(&mut bucket, Duration::from_millis(501)), 500);
        assert_eq!(
            passed(&mut bucket, Duration::MAX),
            1000,
            "never more than a second"
        );
    }

    #[test]
    fn closely_following_packets_lose_no_fraction() {
        let mut bucket = Bucket::new(64_000, Duration::ZERO);
        while bucket.spend(1, Duration::ZERO) {}
        let passed = (1..=1_000_000)
            .filter(|&us| bucket.spend(1, Duration::from_micros(us)))
            .count();
        assert_eq!(passed, 8000);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::new(u64::MAX, Duration::from_secs(9));
        assert!(bucket.spend(65_535, Duration::ZERO));
        assert!(bucket.spend(65_535, Duration::MAX));
    }
}
