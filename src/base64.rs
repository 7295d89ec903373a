//! Bytes as text (RFC 4648, 4: with padding, without line breaks).

/// Bytes as base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 0x3f;
            text.push(if digit <= group.len() { DIGITS[value as usize].into() } else { '=' });
        }
    }
    text
}

/// Returns the bytes that `text` encodes, or `None` if it is malformed.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() % 4 != 0 {
        return None;
    }
    let digits = text.strip_suffix("==").or(text.strip_suffix('=')).unwrap_or(text).as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits: u32 = 0;
        for position in 0..4 {
            bits = bits << 6 | group.get(position).map_or(Some(0), |digit| value(*digit))?;
        }
        // Two digits make one byte, three make two. A single digit is invalid, and so are bits that belong to no byte.
        let count = group.len().checked_sub(1).filter(|count| *count > 0)?;
        let [_, all @ ..] = bits.to_be_bytes();
        if all[count..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&all[..count]);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("e30=", Some(b"{}")),
            ("Zg==", Some(b"f")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("+/+/", Some(&[0xFB, 0xFF, 0xBF])),
            ("e30", None),
            ("e3==", None),
            ("Zh==", None),
            ("Z===", None),
            ("====", None),
            ("=e30", None),
            ("e30\n", None),
            ("e-0=", None),
            ("é30", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes, "{text}");
            assert!(bytes.map_or(true, |bytes| encode(bytes) == text), "{text}");
        }
    }
}
