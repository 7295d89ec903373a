//! The records of an extended header: `LENGTH KEY=VALUE\n`, the length in bytes counting itself (POSIX.1-2017, pax,
//! "pax Extended Header").

use std::collections::BTreeMap;

/// Before the name of an extended attribute; the value follows as it is.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Records to be written, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    /// Says `value` for `key`. Values may hold any byte, keys any but `=` and NUL.
    pub(super) fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let key = key.into();
        debug_assert!(!key.contains(&b'=') && !key.contains(&0));
        self.0.insert(key, value.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body of the extended header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in &self.0 {
            // The space, the equals sign and the newline.
            let length = with_own_digits(key.len() + value.len() + 3);
            body.extend_from_slice(length.to_string().as_bytes());
            body.push(b' ');
            body.extend_from_slice(key);
            body.push(b'=');
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        body
    }
}

/// The length of a record, its own decimal digits included, from the length of all else.
fn with_own_digits(rest: usize) -> usize {
    let mut length = rest;
    loop {
        let digits = length.to_string().len();
        if rest + digits == length {
            return length;
        }
        length = rest + digits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_their_own_digits() {
        // Nothing has the length 10, 101 or 1002: the digit more that it needs makes it one longer.
        let table = [
            (3, 4),
            (8, 9),
            (9, 11),
            (97, 99),
            (98, 101),
            (99, 102),
            (996, 999),
            (997, 1001),
            (998, 1002),
            (9995, 9999),
            (9996, 10_001),
        ];
        for (rest, expected) in table {
            assert_eq!(with_own_digits(rest), expected, "{rest}");
        }
    }
}
