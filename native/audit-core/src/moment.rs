//! Times of day as records have them: UTC, to the microsecond.

use crate::json::six_digits;

const DAY: i64 = 86_400;

/// Writes times of day; remembers the second of the last one, since most are of the same.
#[derive(Default)]
pub struct Moments {
    second: f64,
    text: String,
}

impl Moments {
    /// The time of day `wall` seconds after the beginning of 1970.
    pub fn write(&mut self, wall: f64) -> String {
        let second = wall.floor();
        if self.text.is_empty() || second.to_bits() != self.second.to_bits() {
            self.second = second;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "no clock says what does not fit"
            )]
            let whole = second as i64;
            self.text = date_and_time(whole);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 999,999"
        )]
        let micros = ((wall - second) * 1e6) as u64;
        let mut out = Vec::with_capacity(32);
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'.');
        six_digits(&mut out, micros);
        out.extend_from_slice(b"+00:00");
        String::from_utf8(out).unwrap_or_default()
    }
}

fn date_and_time(second: i64) -> String {
    let (year, month, day) = date(second.div_euclid(DAY));
    let rest = second.rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day counted from 1970, by the Gregorian calendar. Its cycle of 400 years is
/// counted from a first of March, so that a leap day is the last of its year.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (cycle, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let in_month = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + later, month, in_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(wall: f64) -> String {
        Moments::default().write(wall)
    }

    #[test]
    fn moments_of_other_calendars() {
        assert_eq!(written(0.0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(written(951_782_399.5), "2000-02-28T23:59:59.500000+00:00");
        assert_eq!(written(951_782_400.0), "2000-02-29T00:00:00.000000+00:00");
        assert_eq!(written(4_107_542_399.0), "2100-02-28T23:59:59.000000+00:00");
        assert_eq!(written(4_107_542_400.0), "2100-03-01T00:00:00.000000+00:00");
        assert_eq!(
            written(1_798_761_599.999_999),
            "2026-12-31T23:59:59.999999+00:00"
        );
        assert_eq!(written(-0.25), "1969-12-31T23:59:59.750000+00:00");
    }

    #[test]
    fn a_clock_may_go_either_way() {
        let mut moments = Moments::default();
        let texts = [5.25, 5.5, 6.0, 5.75].map(|wall| moments.write(wall));
        assert_eq!(
            texts.map(|text| text[17..26].to_owned()),
            ["05.250000", "05.500000", "06.000000", "05.750000"]
        );
    }
}
