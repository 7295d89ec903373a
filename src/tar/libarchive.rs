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
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let (digits, _) = text.split_at(text.len().saturating_sub(padding));
    let mut value = Vec::with_capacity(text.len());
    for group in digits.chunks(4) {
        let count = group.len().checked_sub(1).filter(|count| *count > 0)?;
        let mut bits: u32 = 0;
        for position in 0..4 {
            bits = bits << 6 | group.get(position).map_or(Some(0), |digit| base64(*digit))?;
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        value.extend(bytes.iter().take(count));
    }
    Some(value)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

fn base64(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit.checked_sub(b'A')?,
        b'a'..=b'z' => digit.checked_sub(b'a' - 26)?,
        b'0'..=b'9' => digit.checked_add(52 - b'0')?,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
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
