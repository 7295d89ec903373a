//! Limits on an image, and whether it keeps them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{as_typed, Error, Result};
use crate::json;
use crate::ops::report::{ImageReport, NoticeKind};
use crate::platform::Platform;
use crate::spelling;
use crate::units::ByteCount;

/// A maximum: `size>80MB`, `wasted>1%`, `setuid>3`. A larger value breaks it.
///
/// ```
/// # use ocibake::ops::report::Limit;
/// let limit: Limit = "size > 80 MB".parse()?;
/// assert_eq!(limit.to_string(), "size>80MB");
/// # Ok::<(), ocibake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// What is measured.
    pub metric: Metric,
    /// The maximum.
    most: Amount,
    /// The amount as written, without blanks.
    written: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// Bytes of all blobs of the image.
    Size,
    /// Bytes of content of its filesystem.
    Unpacked,
    /// Bytes that are wasted.
    Wasted,
    /// Entries of its filesystem.
    Entries,
    /// Layers.
    Layers,
    /// Bytes to fetch for an update from the older image.
    Update,
    /// Bytes by which the filesystem grew since the older image.
    Grown,
    /// Entries that deserve a look.
    Notice(NoticeKind),
}

/// An amount.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Number(u64),
    /// In millionths of the whole.
    Share(u64),
}

/// A limit, and whether an image keeps it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TestedLimit {
    /// The limit.
    #[serde(serialize_with = "json::text")]
    pub limit: Limit,
    /// The platform of the image.
    #[serde(serialize_with = "json::text")]
    pub platform: Platform,
    /// The measured bytes or number; `None` if there is no older image to compare with.
    pub value: Option<u64>,
    /// The whole in bytes, if the limit is a share.
    pub of: Option<u64>,
    /// Whether the value is above the maximum, or cannot be measured.
    pub broken: bool,
}

/// The value of a metric for an image.
struct Measured {
    value: u64,
    /// The whole, for metrics of which a share makes sense.
    of: Option<u64>,
}

impl Metric {
    /// The accepted form, for messages.
    const ACCEPTED: &'static str = "`METRIC>AMOUNT` expected, with size, unpacked, wasted, entries, layers, update, grown, \
        setuid, setgid, capabilities, world-writable, devices, unowned, broken-links, package-caches or static-libraries";

    const NUMBERS: [Metric; 7] = [
        Metric::Size,
        Metric::Unpacked,
        Metric::Wasted,
        Metric::Entries,
        Metric::Layers,
        Metric::Update,
        Metric::Grown,
    ];

    /// Its name in a limit.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Size => "size",
            Metric::Unpacked => "unpacked",
            Metric::Wasted => "wasted",
            Metric::Entries => "entries",
            Metric::Layers => "layers",
            Metric::Update => "update",
            Metric::Grown => "grown",
            Metric::Notice(kind) => kind.name(),
        }
    }

    fn named(name: &str) -> Option<Self> {
        let mut all = Metric::NUMBERS.into_iter().chain(NoticeKind::ALL.map(Metric::Notice));
        all.find(|metric| metric.name() == name)
    }

    fn nearest(name: &str) -> Option<&'static str> {
        let all = Metric::NUMBERS.into_iter().chain(NoticeKind::ALL.map(Metric::Notice));
        spelling::nearest(&name.to_lowercase(), all.map(Metric::name))
    }

    /// Whether it compares with an older image.
    pub(crate) fn needs_old(self) -> bool {
        matches!(self, Metric::Update | Metric::Grown)
    }

    fn is_bytes(self) -> bool {
        matches!(self, Metric::Size | Metric::Unpacked | Metric::Wasted | Metric::Update | Metric::Grown)
    }

    /// Whether it can be given as a share.
    fn is_share(self) -> bool {
        matches!(self, Metric::Wasted | Metric::Update | Metric::Grown)
    }

    fn measure(self, image: &ImageReport) -> Option<Measured> {
        let number = |value: u64| Some(Measured { value, of: None });
        let comparison = image.comparison.as_ref();
        match self {
            Metric::Size => number(image.inspection.size),
            Metric::Unpacked => number(image.unpacked),
            Metric::Wasted => Some(Measured { value: image.waste.bytes, of: Some(image.waste.of) }),
            Metric::Entries => number(image.entries as u64),
            Metric::Layers => number(image.layers.len() as u64),
            Metric::Update => {
                let update = &comparison?.update;
                Some(Measured { value: update.bytes, of: Some(update.of) })
            }
            Metric::Grown => {
                let before = comparison?.old.unpacked;
                Some(Measured { value: image.unpacked.saturating_sub(before), of: Some(before) })
            }
            Metric::Notice(kind) => {
                number(image.notices.iter().find(|notice| notice.kind == kind).map_or(0, |notice| notice.count as u64))
            }
        }
    }
}

impl Limit {
    pub(super) fn test(&self, image: &ImageReport) -> TestedLimit {
        let measured = self.metric.measure(image);
        // A value that cannot be measured may be above any maximum.
        let broken = measured.as_ref().map_or(true, |Measured { value, of }| match self.most {
            Amount::Number(most) => *value > most,
            // There is no share of zero.
            Amount::Share(millionths) => {
                u128::from(*value) * 1_000_000 > u128::from(millionths) * u128::from(of.unwrap_or_default())
            }
        });
        TestedLimit {
            limit: self.clone(),
            platform: image.inspection.platform.clone(),
            value: measured.as_ref().map(|measured| measured.value),
            of: measured.and_then(|measured| measured.of),
            broken,
        }
    }
}

impl TestedLimit {
    /// The measured value, or why there is none, for people.
    pub fn shown(&self) -> String {
        let Some(value) = self.value else { return format!("no older image for {}", self.platform) };
        let share = self.of.map(|of| format!(" ({})", super::page::share(value, of))).unwrap_or_default();
        if self.limit.metric.is_bytes() {
            format!("{}{share}", ByteCount(value))
        } else {
            value.to_string()
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.metric.name(), self.written)
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |reason: &str| Error::invalid(format!("limit `{}`", as_typed(text)), reason);
        let (name, amount) = text.split_once('>').unwrap_or((text, ""));
        let metric = Metric::named(name.trim()).ok_or_else(|| match Metric::nearest(name.trim()) {
            Some(nearest) => refused(Metric::ACCEPTED).advising(format!("did you mean `{nearest}`")),
            None => refused(Metric::ACCEPTED),
        })?;
        if !text.contains('>') {
            let hint = format!("quote it, as in `'{}>5%'`: a shell takes `>` away, and what follows", metric.name());
            return Err(refused(Metric::ACCEPTED).advising(hint));
        }
        let amount = amount.trim();
        let end = amount.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(amount.len());
        let (number, unit) = (&amount[..end], amount[end..].trim_start());
        let written = format!("{number}{unit}");
        let most = match unit.strip_suffix('%') {
            Some(_) if !metric.is_share() => {
                return Err(refused("it is no part of anything, so that no share of it can be asked for"));
            }
            Some("") => {
                let millionths = ByteCount::scaled(number, 10_000);
                millionths.map(Amount::Share).ok_or_else(|| refused("a number before `%` expected"))?
            }
            Some(_) => return Err(refused("a number before `%` expected")),
            None if metric.is_bytes() => {
                // A number without a unit is hardly meant in bytes, and a number is one word.
                let has_unit = unit.starts_with(|c: char| c.is_ascii_alphabetic());
                let is_meant = |count: &ByteCount| has_unit || (unit.is_empty() && *count == ByteCount(0));
                let count = written.parse().ok().filter(is_meant);
                let count: ByteCount = count.ok_or_else(|| refused(&format!("{} expected", ByteCount::ACCEPTED)))?;
                Amount::Number(count.0)
            }
            None if unit.is_empty() => Amount::Number(number.parse().map_err(|_| refused("a whole number expected"))?),
            None => return Err(refused("a whole number expected")),
        };
        Ok(Limit { metric, most, written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_shown() {
        for (text, shown, most) in [
            ("size>80MB", "size>80MB", Amount::Number(80_000_000)),
            (" update > 5 KiB", "update>5KiB", Amount::Number(5120)),
            ("wasted>1%", "wasted>1%", Amount::Share(10_000)),
            ("grown>0.25%", "grown>0.25%", Amount::Share(2500)),
            ("setuid>3", "setuid>3", Amount::Number(3)),
            ("broken-links>0", "broken-links>0", Amount::Number(0)),
            ("size>80 MB", "size>80MB", Amount::Number(80_000_000)),
            ("wasted > 1 %", "wasted>1%", Amount::Share(10_000)),
            ("update>0", "update>0", Amount::Number(0)),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!((limit.to_string().as_str(), limit.most), (shown, most), "{text}");
        }
        for (text, reason) in [
            ("size", "`METRIC>AMOUNT` expected"),
            ("size<80MB", "`METRIC>AMOUNT` expected"),
            ("weight>1", "`METRIC>AMOUNT` expected"),
            ("size>1%", "it is no part of anything"),
            ("size>heavy", "a number with B, kB"),
            ("setuid>1MB", "a whole number expected"),
            ("wasted>x%", "a number before `%` expected"),
            ("wasted>1%%", "a number before `%` expected"),
            ("wasted>%", "a number before `%` expected"),
            ("wasted>-1%", "a number before `%` expected"),
            ("update>5", "a number with B, kB"),
            ("update>-5MB", "a number with B, kB"),
            ("update>=5MB", "a number with B, kB"),
            ("size>8 0MB", "a number with B, kB"),
            ("size>80 M B", "a number with B, kB"),
            ("size>80M", "a number with B, kB"),
            ("size>1e3B", "a number with B, kB"),
            ("size>99999999PB", "a number with B, kB"),
            ("setuid>-1", "a whole number expected"),
            ("setuid>+1", "a whole number expected"),
            ("setuid>1.5", "a whole number expected"),
            ("setuid>", "a whole number expected"),
            ("SETUID>1", "`METRIC>AMOUNT` expected"),
            (">1", "`METRIC>AMOUNT` expected"),
            ("", "`METRIC>AMOUNT` expected"),
            ("wasted>", "a number with B, kB"),
        ] {
            let error = text.parse::<Limit>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("limit `{text}`: {reason}")), "{error}");
        }
    }

    #[test]
    fn the_message_names_every_metric() {
        for metric in Metric::NUMBERS.into_iter().chain(NoticeKind::ALL.map(Metric::Notice)) {
            assert!(Metric::ACCEPTED.contains(metric.name()), "{}", metric.name());
        }
    }
}
