//! Extended attributes as libarchive writes them: `LIBARCHIVE.xattr.NAME=VALUE`, the name with `%XX` for bytes that are
//! not plain text, the value in base64.

/// The prefix of the encoded name of an extended attribute.
pub(super) const XATTR: &[u8] = b"LIBARCHIVE.xattr.";

/// Decodes the name of an attribute.
pub(super) fn decode_name(text: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let (high, low) = (hex(*bytes.next()?)?, hex(*bytes.next()?)?);
            name.push(high << 4 | low);
        } else {
            name.push(*byte);
        }
    }
    Some(name)
}

/// Decodes the value of an attribute. libarchive writes no `=` at the end; others do.
pub(super) fn decode_value(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut value = Vec::with_capacity(end / 4 * 3 + 2);
    for group in text[..end].chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for digit in group {
            bits = bits << 6 | u32::from(base64(*digit)?);
        }
        bits <<= 6 * (4 - group.len());
        value.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(value)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

fn base64(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let table: [(&[u8], Option<&[u8]>); 7] = [
            (b"user.a", Some(b"user.a")),
            (b"user.%3D%25%0a%ff", Some(b"user.=%\n\xff")),
            (b"", Some(b"")),
            (b"%", None),
            (b"%3", None),
            (b"%3G", None),
            (b"%%3D", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode_name(text).as_deref(), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn values() {
        let table: [(&[u8], Option<&[u8]>); 11] = [
            (b"", Some(b"")),
            (b"Zg", Some(b"f")),
            (b"Zg==", Some(b"f")),
            (b"Zm8", Some(b"fo")),
            (b"Zm8=", Some(b"fo")),
            (b"Zm9v", Some(b"foo")),
            (b"Zm9vYmFy", Some(b"foobar")),
            (b"+/+/", Some(b"\xfb\xff\xbf")),
            (b"Z", None),
            (b"Zm9vY", None),
            (b"Zm 9", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode_value(text).as_deref(), expected, "{}", text.escape_ascii());
        }
    }
}
