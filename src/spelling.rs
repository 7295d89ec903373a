//! Suggestions for misspelt names.

/// Returns the name nearest to a misspelt one, or `None` if none is near: a quarter of its characters may be wrong, or
/// one if it is short.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let allowed = (length / 4).max(1);
    // The name may be one of millions of characters, which is like none of these.
    let comparable = names.into_iter().filter(|other| other.chars().count().abs_diff(length) <= allowed);
    let distances = comparable.map(|other| (edit_distance(other, name), other));
    distances.filter(|(distance, _)| *distance <= allowed).min().map(|(_, other)| other)
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
