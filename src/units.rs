//! Numbers of bytes as people write and read them.

use std::fmt;
use std::str::FromStr;

use crate::error::{as_typed, Error, Result};

/// A number of bytes. It is shown with three digits and a decimal unit, `1.54 GB`, and read with a decimal or a binary
/// one.
///
/// ```
/// # use ocibake::units::ByteCount;
/// assert_eq!(ByteCount(1_540_000_000).to_string(), "1.54 GB");
/// assert_eq!("1.5 MB".parse::<ByteCount>()?, ByteCount(1_500_000));
/// assert_eq!("2KiB".parse::<ByteCount>()?, ByteCount(2048));
/// # Ok::<(), ocibake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

/// Decimal units, each a thousand times the one before.
const DECIMAL: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
/// Binary units after the byte, each 1024 times the one before.
const BINARY: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

impl ByteCount {
    /// What is accepted, for a message.
    pub(crate) const ACCEPTED: &'static str = "a number with B, kB, MB, GB, KiB, MiB or GiB";

    /// How many bytes a unit stands for; letters may be large or small.
    fn unit(name: &str) -> Option<u128> {
        let power = |base: u128, units: &[&str]| {
            let at = units.iter().position(|unit| unit.eq_ignore_ascii_case(name))?;
            Some(base.pow(at as u32))
        };
        power(1000, &DECIMAL).or_else(|| power(1024, &BINARY).map(|factor| factor * 1024))
    }

    /// A number with or without a fraction, times a factor, or `None` if it is not a number or too large.
    pub(crate) fn scaled(number: &str, factor: u128) -> Option<u64> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| if text.len() > 15 { None } else { text.parse::<u128>().ok() };
        let below = digits(fraction)? * factor / 10_u128.pow(fraction.len() as u32);
        u64::try_from(digits(whole)? * factor + below).ok()
    }
}

/// A quotient to the nearest whole number; a half goes up, as when people round.
fn rounded(count: u64, by: u128) -> u128 {
    (2 * u128::from(count) + by) / (2 * by)
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        let mut unit = 1;
        while unit + 1 < DECIMAL.len() && rounded(self.0, 1000_u128.pow(unit as u32)) >= 1000 {
            unit += 1;
        }
        // As many digits after the point as make three in all.
        let factor = 1000_u128.pow(unit as u32);
        let digits =
            [2, 1].into_iter().find(|digits| rounded(self.0, factor / 10_u128.pow(*digits)) < 1000).unwrap_or(0);
        let shown = 10_u128.pow(digits);
        let value = rounded(self.0, factor / shown);
        match digits {
            0 => write!(f, "{value} {}", DECIMAL[unit]),
            digits => {
                write!(f, "{}.{:0width$} {}", value / shown, value % shown, DECIMAL[unit], width = digits as usize)
            }
        }
    }
}

impl FromStr for ByteCount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim());
        let factor = if unit.is_empty() { Some(1) } else { ByteCount::unit(unit) };
        let count = factor.and_then(|factor| ByteCount::scaled(number, factor));
        count.map(ByteCount).ok_or_else(|| {
            let subject = format!("`{}`", as_typed(text));
            Error::invalid(subject, format!("{} expected", ByteCount::ACCEPTED))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_995, "10.0 kB"),
            (1_004, "1.00 kB"),
            (1_005, "1.01 kB"),
            (1_125, "1.13 kB"),
            (12_250, "12.3 kB"),
            (100_500, "101 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_540_000_000, "1.54 GB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(ByteCount(count).to_string(), text);
        }
    }

    #[test]
    fn what_people_write() {
        for (text, count) in [
            ("0", 0),
            ("5MB", 5_000_000),
            ("5 mb", 5_000_000),
            ("1.5GB", 1_500_000_000),
            ("80KiB", 81_920),
            ("2gib", 2 << 30),
            ("17B", 17),
        ] {
            assert_eq!(text.parse::<ByteCount>().unwrap(), ByteCount(count), "{text}");
        }
        for text in ["", "MB", "-1", "1.2.3MB", "5 apples", "5M", "1e3", ".", "99999PB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }
}
