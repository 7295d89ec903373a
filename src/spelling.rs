//! Suggestions for misspelt names.

/// Returns the name nearest to a misspelt one, or `None` if none is near: a quarter of its characters may be wrong, or
/// one if it is short.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let allowed = (length / 4).max(1);
    // The name may be one of millions of characters, which is like none of these.
    let comparable = names.into_iter().filter(|other| other.chars().count().abs_diff(length) <= allowed);
    let distances = comparable.map(|other| (edit_distance(other, name), other));
    distances.filter(|(distance, _)| *distance <= allowed).min().map(|(_, other)| other)
}

/// Returns which of the words in backquotes in `accepted` is meant by a value that is none of them: the nearest,
/// whatever its case, or the only one that begins so. What follows a colon or an equals sign is another part.
pub fn meant<'a>(value: &str, accepted: &'a str) -> Option<&'a str> {
    let part = |text: &'a str| text.split([':', '=', '[']).next().unwrap_or_default();
    let typed = value.split([':', '=']).next().unwrap_or_default().trim();
    let value = typed.to_lowercase();
    let words = accepted.split('`').skip(1).step_by(2).map(part);
    let words = words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    // A single letter is near to every other.
    let words: Vec<&str> = words.filter(|word| value.len() > 1 || word.contains(&value)).collect();
    // The name of a file after `@` is quoted where it cannot be read.
    if typed.is_empty() || words.contains(&typed.trim_start_matches('@')) {
        return None;
    }
    let lower = |word: &str| word.to_lowercase();
    let of_lower = |found: &str| words.iter().copied().find(|word| lower(word) == found);
    let all: Vec<String> = words.iter().map(|word| lower(word)).collect();
    let begun: Vec<&String> = all.iter().filter(|word| value.len() > 2 && word.starts_with(&value)).collect();
    match begun.as_slice() {
        [only] => of_lower(only),
        _ => of_lower(nearest(&value, all.iter().map(String::as_str))?),
    }
}

/// Returns the form of RFC 3339 that a date or a time without a zone lacks: `2024-01-01T00:00:00Z` for `20240101`,
/// `2024-01-01` and `2024-01-01 00:00:00`. The numbers are not checked.
pub(crate) fn whole_time(text: &str) -> Option<String> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let date = |text: &str| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]);
    Some(match shape.as_str() {
        "00000000" => format!("{}T00:00:00Z", date(text)),
        "0000-00-00" | "0000/00/00" => format!("{}T00:00:00Z", text.replace('/', "-")),
        "0000-00-00T00:00" | "0000-00-00 00:00" => format!("{}T{}:00Z", &text[..10], &text[11..]),
        "0000-00-00T00:00:00" | "0000-00-00 00:00:00" => format!("{}T{}Z", &text[..10], &text[11..]),
        _ => return None,
    })
}

/// Returns what a value may mean where words in backquotes, or a time, are accepted: for a hint.
pub fn suggestion(value: &str, accepted: &str) -> Option<String> {
    if accepted.contains("RFC 3339") {
        return whole_time(value).map(|time| format!("write `{time}`"));
    }
    meant(value, accepted).map(|word| format!("did you mean `{word}`"))
}

/// Returns how many characters must be added, removed, replaced or swapped with their neighbour.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut distance = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                distance = distance.min(before_last[j - 2] + 1);
            }
            row.push(distance);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_several() {
        let names = ["openssl", "openssh", "zlib", "gcc-runtime"];
        for (name, expected) in [
            ("opensll", Some("openssl")),
            ("zib", Some("zlib")),
            ("gcc-runtme", Some("gcc-runtime")),
            ("bash", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }

    #[test]
    fn what_is_meant_of_a_closed_list() {
        for (value, accepted, expected) in [
            ("mrege", "`exact` or `merge`", Some("merge")),
            ("Merge", "`exact` or `merge`", Some("merge")),
            ("merge", "`exact` or `merge`", None),
            ("both", "`exact` or `merge`", None),
            ("devel", "`development`", Some("development")),
            ("user-mising:warn", "`NAME:error`, with NAME `arch` or `user-missing`", Some("user-missing")),
            ("user-missing:wran", "`NAME:error`, with NAME `arch` or `user-missing`", None),
            ("SIGTREM", "a signal such as `SIGTERM`", Some("SIGTERM")),
            ("gzpi:1", "`none`, `gzip` or `zstd`, with a level: `gzip:1`", Some("gzip")),
            ("pakages", "`packages[:MAX]`, `@FILE`", Some("packages")),
            ("7", "a variant such as `v7`", Some("v7")),
            ("", "`a`", None),
            ("x", "no words", None),
            ("x", "`k`, `m` or `g`", None),
        ] {
            assert_eq!(meant(value, accepted), expected, "{value}");
        }
    }

    #[test]
    fn times_that_lack_something() {
        for (text, expected) in [
            ("20240101", Some("2024-01-01T00:00:00Z")),
            ("2024-01-01", Some("2024-01-01T00:00:00Z")),
            ("2024/01/01", Some("2024-01-01T00:00:00Z")),
            ("2024-01-01 12:30", Some("2024-01-01T12:30:00Z")),
            ("2024-01-01T12:30:01", Some("2024-01-01T12:30:01Z")),
            ("now", None),
            ("2024-1-1", None),
        ] {
            assert_eq!(
                suggestion(text, "seconds or RFC 3339"),
                expected.map(|time| format!("write `{time}`")),
                "{text}"
            );
        }
    }

    #[test]
    fn distances() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
            ("größe", "grösse", 2),
            ("a", "a", 0),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }
}
