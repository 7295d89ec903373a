//! Points in time as documents write them: RFC 3339, in UTC, whole seconds (image-spec, config.md#properties).
//!
//! The clock is never read: every time comes from a setting or from the rootfs.

use std::fmt;
use std::str::FromStr;

use crate::error::{as_typed, Error};

/// Seconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999 that RFC 3339 can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

const MIN: i64 = -62_167_219_200;
const MAX: i64 = 253_402_300_799;
const DAY: i64 = 86_400;
/// `YYYYMMDDhhmmss`.
const DATETIME_DIGITS: usize = 14;

impl Timestamp {
    /// Returns the nearest time that RFC 3339 can write: a file may have any 64-bit mtime.
    pub fn saturating(seconds: i64) -> Self {
        Timestamp(seconds.clamp(MIN, MAX))
    }

    /// Returns the seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads whole seconds since the epoch (`1520598896`, `-1`), RFC 3339 (`2018-03-09T12:34:56Z`, with an optional
    /// offset; a fraction is cut off), or 14 digits (`20180309123456`, in UTC), as Yocto's DATETIME has them. So many
    /// digits are no seconds of a year that RFC 3339 can write. 8 digits that are a date (`20180309`) are refused: as
    /// seconds, they would be a day of 1970.
    fn from_str(text: &str) -> Result<Self, Error> {
        let is_digits = text.bytes().all(|b| b.is_ascii_digit());
        let seconds = if is_digits && text.len() == DATETIME_DIGITS {
            let (date, time) = text.split_at(8);
            rfc3339(&format!(
                "{}-{}-{}T{}:{}:{}Z",
                &date[..4],
                &date[4..6],
                &date[6..],
                &time[..2],
                &time[2..4],
                &time[4..]
            ))
        } else if is_digits && is_date(text) {
            None
        } else if text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit()) {
            text.parse().ok()
        } else {
            rfc3339(text)
        };
        seconds.filter(|seconds| (MIN..=MAX).contains(seconds)).map(Timestamp).ok_or_else(|| {
            Error::invalid(
                format!("time `{}`", as_typed(text)),
                "seconds since 1970 or RFC 3339 expected, such as 1520598896 or 2018-03-09T12:34:56Z",
            )
        })
    }
}

/// Whether 8 digits are a date as people write it, `YYYYMMDD`.
fn is_date(digits: &str) -> bool {
    digits.len() == 8
        && matches!(&digits[..2], "19" | "20")
        && rfc3339(&format!("{}-{}-{}T00:00:00Z", &digits[..4], &digits[4..6], &digits[6..])).is_some()
}

fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separator = |at: usize, accepted: &[u8]| bytes.get(at).filter(|b| accepted.contains(b)).map(|_| ());

    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    separator(4, b"-").and(separator(7, b"-")).and(separator(10, b"Tt "))?;
    separator(13, b":").and(separator(16, b":"))?;
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // 60 is a leap second, which seconds since the epoch do not count.
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }

    let mut zone = 19;
    if bytes.get(zone) == Some(&b'.') {
        let digits = bytes[zone + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        zone += 1 + digits;
    }
    let offset = match bytes.get(zone)? {
        b'Z' | b'z' if bytes.len() == zone + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == zone + 6 => {
            separator(zone + 3, b":")?;
            let (hours, minutes) = (number(zone + 1, zone + 3)?, number(zone + 4, zone + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    Some(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset)
}

/// Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years are counted from March, so
/// that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Returns the date; the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_both_ways() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_520_598_896, "2018-03-09T12:34:56Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (MIN, "0000-01-01T00:00:00Z"),
            (MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap(), Timestamp(seconds));
            assert_eq!(seconds.to_string().parse::<Timestamp>().unwrap(), Timestamp(seconds));
        }
    }

    #[test]
    fn every_day_survives_the_round_trip() {
        for day in (MIN / DAY..=MAX / DAY).step_by(97) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
        }
    }

    #[test]
    fn offsets_and_fractions() {
        for text in ["2018-03-09T13:34:56+01:00", "2018-03-09t12:34:56.999z", "2018-03-09 07:04:56.1-05:30"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().seconds(), 1_520_598_896, "{text}");
        }
    }

    #[test]
    fn a_date_and_time_in_digits() {
        assert_eq!("20261126173000".parse::<Timestamp>().unwrap().to_string(), "2026-11-26T17:30:00Z");
        assert_eq!("20180309123456".parse::<Timestamp>().unwrap().seconds(), 1_520_598_896);
        for text in ["20181309123456", "20180230123456", "20180309243456", "2018030912345", "201803091234567"] {
            assert!(text.parse::<Timestamp>().map_or(true, |time| time.to_string().starts_with('8')), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "-",
            "now",
            "2018",
            "2018-03-09",
            "2018-03-09T12:34:56",
            "2018-02-29T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-03-09T24:00:00Z",
            "2018-03-09T12:34:56.Z",
            "2018-03-09T12:34:56+0100",
            "2018-03-09T12:34:56ZZ",
            "1.5",
            "+5",
            "99999999999999999999",
            "253402300800",
            "2018-03-09T12:34:5é",
        ] {
            let parsed = text.parse::<Timestamp>();
            // A bare year is also a number of seconds.
            assert_eq!(parsed.is_ok(), text == "2018", "{text}");
        }
    }
}
