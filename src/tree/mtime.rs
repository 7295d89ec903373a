//! Modification times of any range, to the nanosecond.

use std::fmt;

use crate::time::Timestamp;

/// When something was last changed, to the nanosecond: any 64-bit number of seconds since the epoch, and the fraction
/// of a second after it.
///
/// Packed, so that the nanoseconds fit into the padding that an entry had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(4))]
pub struct Mtime {
    seconds: i64,
    nanoseconds: u32,
}

/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;

impl Mtime {
    /// Makes a time from seconds since the epoch, rounded down, and the nanoseconds after them; `None` if these are
    /// more than 999,999,999.
    pub fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        (nanoseconds < SECOND).then_some(Mtime { seconds, nanoseconds })
    }

    /// Returns the seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after the whole second, 999,999,999 at most.
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Returns the same time without the fraction of a second.
    #[must_use]
    pub fn whole(self) -> Self {
        Mtime { nanoseconds: 0, ..self }
    }

    /// Returns this time of a file on disk as it compares with the one that an image holds: an image built from a
    /// directory holds whole seconds, and tells nothing about fractions.
    #[must_use]
    pub(crate) fn beside(self, held: Mtime) -> Self {
        if held.nanoseconds == 0 {
            self.whole()
        } else {
            self
        }
    }

    /// Reads a decimal number of seconds in the form of PAX records: `1520598896`, `-1`, `1520598896.75`. Anything
    /// smaller than a nanosecond is cut off.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &b""[..]),
        };
        if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return None;
        }
        let whole: i128 = std::str::from_utf8(whole).ok()?.parse().ok()?;
        let digit = |at| fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'));
        let nanoseconds = (0..9).fold(0, |sum, at| sum * 10 + digit(at));
        let (seconds, nanoseconds) = match (negative, nanoseconds) {
            (false, _) => (whole, nanoseconds),
            (true, 0) => (-whole, 0),
            (true, _) => (-whole - 1, SECOND - nanoseconds),
        };
        Some(Mtime { seconds: i64::try_from(seconds).ok()?, nanoseconds })
    }
}

/// Whole seconds since the epoch.
impl From<i64> for Mtime {
    fn from(seconds: i64) -> Self {
        Mtime { seconds, nanoseconds: 0 }
    }
}

/// The decimal number of seconds, as short as it can be: `1520598896`, `-1`, `1520598896.75`.
impl Mtime {
    /// Returns the date for people: RFC 3339 in UTC, with as many digits of the second as there are, or seconds since
    /// 1970 if the year does not have four digits.
    pub fn date(self) -> String {
        let whole = Timestamp::saturating(self.seconds);
        if whole.seconds() != self.seconds {
            return self.to_string();
        }
        let fraction = format!("{:09}", self.nanoseconds);
        match fraction.trim_end_matches('0') {
            "" => whole.to_string(),
            digits => format!("{}.{digits}Z", whole.to_string().trim_end_matches('Z')),
        }
    }
}

impl fmt::Display for Mtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = (self.seconds, self.nanoseconds);
        if nanoseconds == 0 {
            return write!(f, "{seconds}");
        }
        let (sign, whole, rest) = match seconds {
            0.. => ("", seconds.unsigned_abs(), nanoseconds),
            _ => ("-", (seconds + 1).unsigned_abs(), SECOND - nanoseconds),
        };
        let fraction = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64, nanoseconds: u32) -> Option<Mtime> {
        Mtime::new(seconds, nanoseconds)
    }

    #[test]
    fn people_read_dates() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_520_598_896, 0, "2018-03-09T12:34:56Z"),
            (1_520_598_896, 100_000_000, "2018-03-09T12:34:56.1Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (i64::MAX, 0, "9223372036854775807"),
            (i64::MIN, 500_000_000, "-9223372036854775807.5"),
        ] {
            assert_eq!(time(seconds, nanoseconds).unwrap().date(), text);
        }
    }

    #[test]
    fn decimal_seconds_are_read() {
        let table: [(&[u8], Option<Mtime>); 22] = [
            (b"0", time(0, 0)),
            (b"1520598896", time(1_520_598_896, 0)),
            (b"1520598896.999999999", time(1_520_598_896, 999_999_999)),
            (b"1520598896.9999999999", time(1_520_598_896, 999_999_999)),
            (b"1.000000001", time(1, 1)),
            (b"1.0000000001", time(1, 0)),
            (b"1.", time(1, 0)),
            (b"-1", time(-1, 0)),
            (b"-1.0", time(-1, 0)),
            (b"-1.5", time(-2, 500_000_000)),
            (b"-0.000000001", time(-1, 999_999_999)),
            (b"-0.25", time(-1, 750_000_000)),
            (b"9223372036854775807.5", time(i64::MAX, 500_000_000)),
            (b"-9223372036854775808", time(i64::MIN, 0)),
            (b"-9223372036854775808.1", None),
            (b"9223372036854775808", None),
            (b"", None),
            (b"-", None),
            (b".5", None),
            (b"+1", None),
            (b"1e3", None),
            (b"1.5.5", None),
        ];
        for (text, expected) in table {
            assert_eq!(Mtime::parse(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (0, 1, "0.000000001"),
            (1, 750_000_000, "1.75"),
            (-1, 750_000_000, "-0.25"),
            (-2, 500_000_000, "-1.5"),
            (i64::MAX, 999_999_999, "9223372036854775807.999999999"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
            (i64::MIN, 0, "-9223372036854775808"),
        ] {
            let time = Mtime::new(seconds, nanoseconds).unwrap();
            assert_eq!((time.to_string().as_str(), Mtime::parse(text.as_bytes())), (text, Some(time)));
        }
    }

    #[test]
    fn a_time_on_disk_is_as_exact_as_that_of_an_image() {
        for (on_disk, held, is_same) in [
            ((1, 5), (1, 0), true),
            ((1, 5), (1, 5), true),
            ((1, 5), (1, 6), false),
            ((1, 0), (1, 6), false),
            ((2, 0), (1, 0), false),
            ((-1, 5), (-1, 0), true),
        ] {
            let [on_disk, held] = [on_disk, held].map(|(s, n)| Mtime::new(s, n).unwrap());
            assert_eq!(on_disk.beside(held) == held, is_same, "{on_disk} {held}");
        }
    }

    #[test]
    fn times_are_in_order_and_small() {
        let times = [(-1, 0), (-1, 5), (0, 0), (0, 1), (1, 0)].map(|(s, n)| Mtime::new(s, n).unwrap());
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Mtime::new(0, 1_000_000_000), None);
        assert_eq!(std::mem::size_of::<Mtime>(), 12);
    }
}
