//! The records of an extended header: `LENGTH KEY=VALUE\n`, the length in bytes counting itself (POSIX.1-2017, pax,
//! "pax Extended Header").

use std::collections::BTreeMap;

/// The prefix of the name of an extended attribute; the value follows unencoded.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Records to be written, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    /// Sets `value` for `key`. Values may hold any byte, keys any but `=` and NUL.
    pub(super) fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let key = key.into();
        debug_assert!(!key.contains(&b'=') && !key.contains(&0));
        self.0.insert(key, value.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the body of the extended header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in &self.0 {
            let record = [b" ", &key[..], b"=", value, b"\n"].concat();
            body.extend_from_slice(with_own_digits(record.len()).to_string().as_bytes());
            body.extend_from_slice(&record);
        }
        body
    }
}

/// Returns the length of a record including its own decimal digits, from the length of the rest.
fn with_own_digits(rest: usize) -> usize {
    let mut length = rest;
    loop {
        let with_digits = rest.saturating_add(length.to_string().len());
        if with_digits == length {
            return length;
        }
        length = with_digits;
    }
}

/// Keyword and value.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// Returns the records in the body of an extended header, in their order. Refuses a body that is anything but records.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Record<'_>>, String> {
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (record, after) = split_record(rest).map_err(|reason| {
            let offset = body.len().saturating_sub(rest.len());
            format!("PAX record at byte {offset} of its header: {reason}")
        })?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn split_record(bytes: &[u8]) -> Result<(Record<'_>, &[u8]), &'static str> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or("no length")?;
    let length = decimal(bytes.split_at(space).0).ok_or("the length is not a number")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > bytes.len() {
        return Err("it is longer than its header");
    }
    let (record, after) = bytes.split_at(length);
    let record = record.get(space..).and_then(|record| record.strip_prefix(b" ")).unwrap_or_default();
    if record.is_empty() {
        return Err("it is shorter than its own length");
    }
    let record = record.strip_suffix(b"\n").ok_or("no newline at its end")?;
    let mut parts = record.splitn(2, |byte| *byte == b'=');
    match (parts.next(), parts.next()) {
        (Some(b""), Some(_)) => Err("no keyword"),
        (Some(keyword), Some(value)) => Ok(((keyword, value), after)),
        _ => Err("no `=`"),
    }
}

/// Reads a number made of digits alone.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_count_their_own_digits() {
        // No record has the length 10, 101 or 1002: the extra digit that it needs makes it one longer.
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

    #[test]
    fn bodies_that_are_not_records_are_refused() {
        let table: [(&[u8], &str); 14] = [
            (b"x", "no length"),
            (b"\0", "no length"),
            (b"6 a=b\n\0", "no length"),
            (b" 6 a=b\n", "the length is not a number"),
            (b"+6 a=b\n", "the length is not a number"),
            (b"6x a=b\n", "the length is not a number"),
            (b"18446744073709551616 a=b\n", "no length"),
            (b"9999999999999999999 a=b\n", "it is longer than its header"),
            (b"7 a=b\n", "it is longer than its header"),
            (b"2 a=b\n", "it is shorter than its own length"),
            (b"0 ", "it is shorter than its own length"),
            (b"5 a=b\n", "no newline at its end"),
            (b"6 a:b\n", "no `=`"),
            (b"5 =b\n", "no keyword"),
        ];
        for (body, expected) in table {
            let error = parse(body).unwrap_err();
            assert!(error.ends_with(&format!(" of its header: {expected}")), "{}: {error}", body.escape_ascii());
        }
        assert!(parse(b"6 a=b\n7 a=b\n").unwrap_err().starts_with("PAX record at byte 6 of"));
        assert_eq!(parse(b"").unwrap(), []);
        assert_eq!(parse(b"007 a=\n").unwrap(), [(&b"a"[..], &b""[..])]);
    }

    proptest! {
        #[test]
        fn records_are_read_as_they_were_written(
            records in prop::collection::btree_map(
                prop::collection::vec(any::<u8>().prop_filter("key", |byte| !b"=\0".contains(byte)), 1..20),
                prop::collection::vec(any::<u8>(), 0..1200),
                0..5,
            ),
        ) {
            let mut written = Records::default();
            for (key, value) in &records {
                written.insert(key.as_slice(), value.as_slice());
            }
            let body = written.encode();
            let read: Vec<_> = parse(&body).unwrap();
            let expected: Vec<_> = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_body_makes_the_parser_panic(body in prop::collection::vec(
            prop_oneof![Just(b' '), Just(b'='), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..40)) {
            let _ = parse(&body);
        }
    }
}
