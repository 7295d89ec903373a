//! Bytes in words of text: `%` and two hexadecimal digits stand for a byte.

use std::fmt::Write;

/// Writes bytes as a word. Encodes bytes below 0x21, 0x7f, `%`, those in `more`, and what is not UTF-8.
pub(crate) fn encode(bytes: &[u8], more: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (valid, invalid) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, 0),
            Err(error) => {
                let valid = std::str::from_utf8(&rest[..error.valid_up_to()]).expect("valid up to there");
                (valid, error.error_len().unwrap_or(rest.len() - valid.len()))
            }
        };
        for character in valid.chars() {
            match u8::try_from(character) {
                Ok(byte) if byte < 0x21 || byte == 0x7f || byte == b'%' || more.contains(&byte) => {
                    push(&mut text, byte);
                }
                _ => text.push(character),
            }
        }
        for byte in &rest[valid.len()..valid.len() + invalid] {
            push(&mut text, *byte);
        }
        rest = &rest[valid.len() + invalid..];
    }
    text
}

fn push(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("writing to a string");
}

/// Decodes a word, byte by byte, and tells whether each was encoded. Fails on a `%` without its digits.
pub(crate) fn decode_marked(word: &[u8]) -> Result<Vec<(u8, bool)>, String> {
    let mut decoded = Vec::with_capacity(word.len());
    let mut bytes = word.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            decoded.push((*byte, false));
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(*byte).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => decoded.push(((high * 16 + low) as u8, true)),
            _ => return Err(format!("two hexadecimal digits expected after each `%` in `{}`", word.escape_ascii())),
        }
    }
    Ok(decoded)
}

/// Decodes a word.
pub(crate) fn decode(word: &[u8]) -> Result<Vec<u8>, String> {
    Ok(decode_marked(word)?.into_iter().map(|(byte, _)| byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written() {
        for (bytes, word) in [
            (&b"libstdc++6"[..], "libstdc++6"),
            (b"a b", "a%20b"),
            (b"100%", "100%25"),
            ("größe".as_bytes(), "größe"),
            (b"\xff\xc3", "%FF%C3"),
            (b"a\xc3", "a%C3"),
            (b"tab\there\x7f\n", "tab%09here%7F%0A"),
            (b"", ""),
            (b"a,b=c", "a%2Cb%3Dc"),
        ] {
            assert_eq!(encode(bytes, b",="), word);
            assert_eq!(decode(word.as_bytes()).unwrap(), bytes);
        }
        assert_eq!(decode(b"%c3%B6%2f").unwrap(), "ö/".as_bytes());
    }

    #[test]
    fn what_is_no_word() {
        for word in ["%", "a%2", "%zz", "%%41"] {
            assert!(decode(word.as_bytes()).is_err(), "{word}");
        }
    }
}
