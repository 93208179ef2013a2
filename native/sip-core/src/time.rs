//! Time as the caller counts it: microseconds of any monotonic clock, and the timers of RFC 3261.

/// A moment. Whole microseconds, so that a deadline survives the way through a float of seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

/// Round-trip estimate (RFC 3261 section 17.1.1.1), in microseconds as all intervals here.
pub const T1: u64 = 500_000;
/// Longest interval between repeats of what is not an INVITE.
pub const T2: u64 = 4_000_000;
/// How long a message may stay in the network.
pub const T4: u64 = 5_000_000;
/// Timers B, F, H, J, L and M.
pub const GIVE_UP: u64 = 64 * T1;
/// Timer D on UDP: "at least 32 seconds".
pub const TIMER_D: u64 = 32_000_000;
/// How long an INVITE may wait for its final answer, at either end (timer C of RFC 3261 16.6).
pub const TIMER_C: u64 = 180_000_000;

/// How long a request waits for whoever made connections to us and has none: so long as we wait for one of ours.
pub const AWAY: u64 = 8_000_000;

impl Time {
    /// Later than every deadline.
    pub const NEVER: Time = Time(u64::MAX);

    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// Rounded to the nearest microsecond; what is negative or no number is 0.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the cast saturates, as wanted
    pub fn from_seconds(seconds: f64) -> Self {
        Time((seconds * 1e6).round() as u64)
    }

    #[allow(clippy::cast_precision_loss)] // exact for 285 years
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    pub const fn micros(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn after(self, micros: u64) -> Self {
        Time(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here, 0 when it is later.
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_survives_the_way_through_a_float() {
        for micros in [0, 1, 500_000, 123_456_789_123, (1 << 50) + 1] {
            let time = Time::from_micros(micros);
            assert_eq!(Time::from_seconds(time.seconds()), time);
        }
        assert_eq!(Time::from_seconds(-1.0), Time::from_seconds(f64::NAN));
    }
}
