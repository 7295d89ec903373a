//! The grammars of values: how a value is parsed, and the text that says what is accepted.

use serde_json::Value;

use crate::compress::Compression;
use crate::layout::{DockerName, ImageName};
use crate::oci::annotations;
use crate::platform::{self, VariantPolicy};
use crate::settings::{checks, BaseMode, Check, CheckLevel};
use crate::time::Timestamp;

/// How a value is parsed.
#[derive(Debug)]
pub(crate) struct Grammar<T> {
    /// What is accepted, for a message.
    pub(crate) accepted: &'static str,
    /// Parses one value. Returns `None` if it is not accepted.
    pub(crate) read: fn(&str) -> Option<T>,
}

/// `80`, `80/tcp`, `53/udp`: always with the protocol (image-spec, config.md, `ExposedPorts`).
pub(crate) const PORT: Grammar<String> =
    Grammar { accepted: "PORT[/tcp|udp|sctp], with PORT from 1 to 65535", read: port };

/// `key=value`. The value may be empty and may contain `=`.
pub(crate) const ENV: Grammar<(String, String)> = Grammar { accepted: "words `key=value`", read: key_value };

/// As [`ENV`]; a key `.x` is short for `org.opencontainers.image.x`.
pub(crate) const ANNOTATION: Grammar<(String, String)> =
    Grammar { accepted: "words `key=value`; `.x=` is short for `org.opencontainers.image.x=`", read: annotation };

/// An absolute path.
pub(crate) const ABSOLUTE_PATH: Grammar<String> =
    Grammar { accepted: "an absolute path", read: |text| text.starts_with('/').then(|| text.to_owned()) };

/// An absolute path other than the root, where nothing can be mounted.
pub(crate) const VOLUME: Grammar<String> = Grammar {
    accepted: "absolute paths below `/`",
    read: |text| (text.starts_with('/') && !text.trim_matches('/').is_empty()).then(|| text.to_owned()),
};

/// A volume to add. An engine would mount one with `..` in an unexpected place.
pub(super) const NEW_VOLUME: Grammar<String> = Grammar {
    accepted: "absolute paths below `/`, without `..`",
    read: |text| (VOLUME.read)(text).filter(|path| !path.split('/').any(|component| component == "..")),
};

/// A volume to remove, whatever its name.
pub(super) const ANY_VOLUME: Grammar<String> = Grammar { accepted: "the path of a volume", read: NOT_EMPTY.read };

/// The name of an environment variable.
pub(super) const ENV_NAME: Grammar<String> = Grammar {
    accepted: "the name of a variable, without `=`",
    read: |text| (!text.is_empty() && !text.contains('=')).then(|| text.to_owned()),
};

/// The key of a label or an annotation.
pub(super) const KEY: Grammar<String> =
    Grammar { accepted: "a key; `.x` is short for `org.opencontainers.image.x`", read: key };

/// `user`, `uid`, `user:group`, `uid:gid`, `uid:group`, `user:gid` (image-spec, config.md, `User`).
pub(crate) const USER: Grammar<String> =
    Grammar { accepted: "USER[:GROUP], each a name or a number below 4294967295", read: user };

/// `SIGTERM`, `SIGRTMIN+3` (image-spec, config.md, `StopSignal`); `TERM` and `term` are accepted too. Numbers stay
/// numbers.
pub(crate) const SIGNAL: Grammar<String> =
    Grammar { accepted: "a signal such as `SIGTERM`, `SIGRTMIN+3`, or a number from 1 to 64", read: signal };

/// `arch:error`, or several joined by commas.
pub(super) const CHECK: Grammar<Vec<(Check, CheckLevel)>> = Grammar {
    accepted: "`NAME:error`, `NAME:warn` or `NAME:skip`, with NAME `arch`, `user-missing`, `entrypoint-missing` or `setuid-new`",
    read: checks::read,
};

/// Seconds since 1970, RFC 3339, or a date and time in digits.
pub(super) const TIME: Grammar<Timestamp> = Grammar {
    accepted:
        "seconds since 1970, RFC 3339 or 14 digits, such as `1520598896`, `2018-03-09T12:34:56Z` or `20180309123456`",
    read: |text| text.parse().ok(),
};

/// Seconds since 1970.
pub(super) const EPOCH: Grammar<Timestamp> = Grammar {
    accepted: "whole seconds since 1970",
    // Here, 8 digits are no date.
    read: |text| match number(text) {
        Some(seconds) if text.len() == 8 => Some(Timestamp::saturating(seconds)),
        _ if text.contains(['T', 't', ' ']) => None,
        _ => text.parse().ok(),
    },
};

/// A time span in nanoseconds: `1m30s`, `500ms`; at least a millisecond, Docker's minimum.
pub(super) const DURATION: Grammar<i64> =
    Grammar { accepted: "a time from `1ms` on, such as `30s`, `1m30s` or `500ms`", read: duration };

/// A number of failures.
pub(super) const RETRIES: Grammar<i64> =
    Grammar { accepted: "a whole number from 1 on", read: |text| number(text).filter(|n| *n >= 1) };

/// Bytes.
pub(super) const SIZE: Grammar<i64> =
    Grammar { accepted: "bytes, or a number with `k`, `m` or `g` (of 1024)", read: size };

/// Bytes, or -1 for no limit.
pub(super) const SIZE_OR_UNLIMITED: Grammar<i64> = Grammar {
    accepted: "bytes, or a number with `k`, `m` or `g` (of 1024), or `-1` for no limit",
    read: |text| if text == "-1" { Some(-1) } else { size(text) },
};

/// The range that the kernel accepts for cpu.shares.
pub(super) const CPU_SHARES: Grammar<i64> = Grammar {
    accepted: "a whole number from 2 to 262144",
    read: |text| number(text).filter(|n| (2..=262_144).contains(n)),
};

/// A ref name, or a name that Docker accepts.
pub(super) const NAME: Grammar<ImageName> = Grammar {
    accepted: "ref names: letters and digits, joined by `/`, by one of `-` `.` `_` `:` `@` `+`, or by `--`",
    read: |text| text.parse().ok(),
};

/// A repository: a name without a tag.
pub(super) const REPOSITORY: Grammar<DockerName> = Grammar {
    accepted: "[REGISTRY/]NAME as Docker takes it, in lower case and without a tag",
    read: |text| text.parse().ok().filter(|name: &DockerName| name.tag().is_none()),
};

/// The choice of a variant.
pub(super) const VARIANT: Grammar<VariantPolicy> =
    Grammar { accepted: VariantPolicy::ACCEPTED, read: |text| text.parse().ok() };

/// An operating system.
pub(super) const OS: Grammar<String> =
    Grammar { accepted: "a GOOS such as `linux`", read: |text| platform::is_known_os(text).then(|| text.to_owned()) };

/// What happens to files that only the base image has.
pub(super) const BASE_MODE: Grammar<BaseMode> = Grammar {
    accepted: "`exact` or `merge`",
    read: |text| match text {
        "exact" => Some(BaseMode::Exact),
        "merge" => Some(BaseMode::Merge),
        _ => None,
    },
};

/// How layers are compressed.
pub(super) const COMPRESSION: Grammar<Compression> =
    Grammar { accepted: Compression::ACCEPTED, read: |text| text.parse().ok() };

/// Any non-empty text.
pub(super) const NOT_EMPTY: Grammar<String> =
    Grammar { accepted: "words that are not empty", read: |text| (!text.is_empty()).then(|| text.to_owned()) };

/// The name or the address in `Name <email>`.
pub(super) const AUTHOR_PART: Grammar<String> = Grammar {
    accepted: "text without `<` and `>` where both name and address are set",
    read: |text| (!text.contains(['<', '>'])).then(|| text.to_owned()),
};

/// The value of a member in a JSON object used as a set.
pub(crate) fn member() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Digits only: `+1` and ` 1` are most likely mistakes.
fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn port(text: &str) -> Option<String> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port = number(port).filter(|port| (1..=65535).contains(port))?;
    matches!(protocol, "tcp" | "udp" | "sctp").then(|| format!("{port}/{protocol}"))
}

fn key_value(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    // What a shell leaves of a list in JSON: `[A=1,B=2]`.
    let is_list = text.starts_with('[') && text.ends_with(']');
    (!key.is_empty() && !is_list).then(|| (key.to_owned(), value.to_owned()))
}

fn annotation(text: &str) -> Option<(String, String)> {
    let (name, value) = key_value(text)?;
    Some((key(&name)?, value))
}

fn key(text: &str) -> Option<String> {
    match text.strip_prefix('.') {
        Some("") => None,
        Some(_) => Some(format!("{}{text}", annotations::PREFIX)),
        None => (!text.is_empty()).then(|| text.to_owned()),
    }
}

fn user(text: &str) -> Option<String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    (is_account(user) && group.map_or(true, is_account)).then(|| text.to_owned())
}

/// A name that is valid in `/etc/passwd`, or an ID. 4294967295 is reserved for "no ID".
fn is_account(text: &str) -> bool {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<u32>().is_ok_and(|id| id != u32::MAX);
    }
    !text.is_empty()
        && !text.starts_with(['-', '+', '~'])
        && !text.contains([':', '/', ',', '"', '\'', '\\', '`', '$'])
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn signal(text: &str) -> Option<String> {
    if let Some(signal) = number(text) {
        return (1..=64).contains(&signal).then(|| signal.to_string());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_known = match name.split_once(['+', '-']) {
        Some(("RTMIN", offset)) if name.contains('+') => number(offset).is_some_and(|n| (1..=15).contains(&n)),
        Some(("RTMAX", offset)) if name.contains('-') => number(offset).is_some_and(|n| (1..=14).contains(&n)),
        Some(_) => false,
        None => SIGNALS.contains(&name),
    };
    is_known.then(|| format!("SIG{name}"))
}

/// The signal names of Linux, signal(7).
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "EMT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN",
    "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

fn duration(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (count, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let nanoseconds = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        total = total.checked_add(number(count)?.checked_mul(nanoseconds)?)?;
        rest = after;
    }
    (total >= 1_000_000).then_some(total)
}

fn size(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor: i64 = match unit {
        "" | "b" | "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number(count)?.checked_mul(factor).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn accepts<T: PartialEq + Debug>(grammar: &Grammar<T>, rows: &[(&str, T)]) {
        for (text, value) in rows {
            assert_eq!((grammar.read)(text).as_ref(), Some(value), "{text}");
        }
    }

    #[track_caller]
    fn same(grammar: &Grammar<String>, texts: &[&str]) {
        for text in texts {
            assert_eq!((grammar.read)(text).as_deref(), Some(*text), "{text}");
        }
    }

    #[track_caller]
    fn refuses<T: Debug>(grammar: &Grammar<T>, texts: &[&str]) {
        for text in texts {
            let read = (grammar.read)(text);
            assert!(read.is_none(), "{text:?} was read as {read:?}");
        }
    }

    #[test]
    fn ports() {
        for (text, port) in [("80", "80/tcp"), ("1/tcp", "1/tcp"), ("65535/udp", "65535/udp"), ("5/sctp", "5/sctp")] {
            assert_eq!((PORT.read)(text).as_deref(), Some(port));
        }
        assert_eq!((PORT.read)("080").as_deref(), Some("80/tcp"));
        let refused = [
            "",
            "0",
            "65536",
            "-1",
            "+1",
            "80/",
            "/tcp",
            "80/TCP",
            "80/icmp",
            "80/tcp/",
            "80-90",
            "8080:80",
            "80 ",
            "http",
            "８０",
            "99999999999999999999",
        ];
        refuses(&PORT, &refused);
    }

    #[test]
    fn pairs() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let both = [
            ("a=b", pair("a", "b")),
            ("a=", pair("a", "")),
            ("a=b=c", pair("a", "b=c")),
            ("a==", pair("a", "=")),
            ("größe='\"$`\\\n", pair("größe", "'\"$`\\\n")),
        ];
        accepts(&ENV, &both);
        accepts(&ANNOTATION, &both);
        accepts(&ENV, &[(".x=y", pair(".x", "y"))]);
        accepts(&ANNOTATION, &[(".x=y", pair("org.opencontainers.image.x", "y"))]);
        accepts(&ANNOTATION, &[(".ref.name==", pair("org.opencontainers.image.ref.name", "="))]);
        refuses(&ENV, &["", "=", "=b", "a", "[A=1,B=2]", "[A=1]"]);
        accepts(&ENV, &[("[a=b", pair("[a", "b"))]);
        refuses(&ANNOTATION, &["", "=", "=b", "a", ".=b", ".x"]);
    }

    #[test]
    fn paths() {
        same(&ABSOLUTE_PATH, &["/", "/a b/ü", "/a/"]);
        refuses(&ABSOLUTE_PATH, &["", "a", "./a", "~", " /a"]);
        same(&VOLUME, &["/data", "/a b"]);
        refuses(&VOLUME, &["", "data", "/", "//"]);
        same(&NEW_VOLUME, &["/data", "/a b", "/a..b/.../c"]);
        refuses(&NEW_VOLUME, &["", "data", "/", "/a/../b", "/..", "/a/.."]);
    }

    #[test]
    fn users() {
        let accepted = ["root", "0", "1000:1000", "app:0", "0:app", "app:app", "_a-b.c@d", "4294967294", "größe"];
        same(&USER, &accepted);
        let refused = [
            "",
            ":",
            "a:",
            ":a",
            "a:b:c",
            "a b",
            "a\n",
            "-1",
            "-a",
            "+1",
            "4294967295",
            "4294967296:0",
            "0:99999999999",
            "a/b",
            "$USER",
            "`id`",
            "'a'",
            "\"a\"",
            "a\\",
        ];
        refuses(&USER, &refused);
    }

    #[test]
    fn signals() {
        for (text, signal) in [
            ("SIGTERM", "SIGTERM"),
            ("TERM", "SIGTERM"),
            ("sigusr1", "SIGUSR1"),
            ("SIGRTMIN", "SIGRTMIN"),
            ("SIGRTMIN+3", "SIGRTMIN+3"),
            ("RTMIN+15", "SIGRTMIN+15"),
            ("SIGRTMAX-14", "SIGRTMAX-14"),
            ("9", "9"),
            ("64", "64"),
            ("09", "9"),
        ] {
            assert_eq!((SIGNAL.read)(text).as_deref(), Some(signal));
        }
        let refused = [
            "",
            "SIG",
            "SIGSIGTERM",
            "SIGFOO",
            "0",
            "65",
            "-9",
            "SIGRTMIN+0",
            "SIGRTMIN+16",
            "SIGRTMIN-1",
            "SIGRTMIN+",
            "SIGRTMAX+1",
            "SIGRTMAX-15",
            "SIGTERM+1",
            "SIGTERM ",
            "SIGTERM\n",
        ];
        refuses(&SIGNAL, &refused);
    }

    #[test]
    fn durations() {
        let rows = [
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("1h", 3_600_000_000_000),
            ("1ms", 1_000_000),
            ("1000us", 1_000_000),
            ("1s5ns", 1_000_000_005),
        ];
        accepts(&DURATION, &rows);
        let refused = [
            "",
            "0",
            "0s",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30 s",
            "30S",
            "1d",
            "999us",
            "1s30",
            "1sm",
            "é",
            "1é",
            "9223372036854775807h",
            "9223372036854775807ns1ns",
            "99999999999999999999s",
        ];
        refuses(&DURATION, &refused);
    }

    #[test]
    fn numbers() {
        accepts(&RETRIES, &[("1", 1), ("30", 30)]);
        refuses(&RETRIES, &["", "0", "-1", "1.0", "x", "+1"]);
        let sizes = [("1", 1), ("1024b", 1024), ("64k", 65_536), ("6m", 6_291_456), ("2G", 2_147_483_648)];
        accepts(&SIZE, &sizes);
        accepts(&SIZE_OR_UNLIMITED, &sizes);
        accepts(&SIZE_OR_UNLIMITED, &[("-1", -1)]);
        let refused = ["", "0", "k", "1.5g", "1kb", "1 k", "-2", "9999999999g", "1é"];
        refuses(&SIZE, &refused);
        refuses(&SIZE, &["-1"]);
        refuses(&SIZE_OR_UNLIMITED, &refused);
        accepts(&CPU_SHARES, &[("2", 2), ("1024", 1024), ("262144", 262_144)]);
        refuses(&CPU_SHARES, &["", "1", "262145", "-1", "1k"]);
    }

    #[test]
    fn times() {
        let second = Timestamp::saturating(1_520_598_896);
        accepts(&TIME, &[("1520598896", second), ("2018-03-09T12:34:56Z", second)]);
        accepts(&TIME, &[("20181309", Timestamp::saturating(20_181_309)), ("00000001", Timestamp::saturating(1))]);
        refuses(&TIME, &["", "now", "2018-03-09", "20180309", "1.5", " 1"]);
        accepts(&EPOCH, &[("20180309", Timestamp::saturating(20_180_309))]);
        accepts(&EPOCH, &[("1520598896", second), ("0", Timestamp::saturating(0)), ("-1", Timestamp::saturating(-1))]);
        refuses(&EPOCH, &["", "2018-03-09T12:34:56Z", "2018-03-09t12:34:56z", "2018-03-09 12:34:56Z", "1.5", "-"]);
    }

    #[test]
    fn the_rest() {
        same(&OS, &["linux", "freebsd"]);
        refuses(&OS, &["", "Linux", "linux "]);
        same(&NOT_EMPTY, &["dev/*", " "]);
        refuses(&NOT_EMPTY, &[""]);
        same(&AUTHOR_PART, &["A B", "größe", "a@b"]);
        refuses(&AUTHOR_PART, &["A <a@b>", "<", ">"]);
        accepts(&NAME, &["latest", "reg:5/app:v1", "my__app"].map(|text| (text, text.parse().unwrap())));
        refuses(&NAME, &["", "a b", "-a"]);
        accepts(&REPOSITORY, &["app", "reg:5/team/my__app"].map(|text| (text, text.parse().unwrap())));
        refuses(&REPOSITORY, &["", "App", "app:v1", "app@sha256:00"]);
        accepts(&VARIANT, &[("auto", VariantPolicy::Auto)]);
        refuses(&VARIANT, &["", "7"]);
    }
}
