//! Formats text and figures for the page. Names are escaped, and invisible characters in them are written out.

use crate::ops::inspect::Usage;
use crate::tree::{shown, TarPath};
use crate::units::ByteCount;

/// The most characters shown of a name.
const LONGEST: usize = 240;

/// Text for an element or a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes out invisible characters and those that change the direction of text, and shortens long text in the middle.
pub(super) fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
    }
    shortened(visible)
}

/// The name of something in an image.
pub(super) fn name(bytes: &[u8]) -> String {
    visible(&shown(bytes))
}

/// A path in an image; that of a directory ends in a slash.
pub(super) fn path(path: &TarPath, directory: bool) -> String {
    let slash = if directory && !path.is_root() { "/" } else { "" };
    format!("/{}{slash}", name(path.as_bytes()))
}

/// A layer by its number and its name.
pub(super) fn layer_name(at: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} {}", at + 1, visible(name)),
        None => format!("{}", at + 1),
    }
}

/// The path of a file or directory.
pub(super) fn usage_path(usage: &Usage) -> String {
    path(&usage.path, usage.directory)
}

fn shortened(text: String) -> String {
    let count = text.chars().count();
    if count <= LONGEST {
        return text;
    }
    let beginning: String = text.chars().take(LONGEST / 2).collect();
    let end: String = text.chars().skip(count - LONGEST / 2).collect();
    format!("{beginning}…{end}")
}

/// A number of bytes.
pub(super) fn bytes(count: u64) -> String {
    ByteCount(count).to_string()
}

/// A difference of bytes with its sign.
pub(super) fn signed(from: u64, to: u64) -> String {
    match to.abs_diff(from) {
        0 => "±0 B".to_owned(),
        by if to > from => format!("+{}", bytes(by)),
        by => format!("−{}", bytes(by)),
    }
}

/// A share in per cent, or nothing if the whole is zero.
pub(crate) fn share(part: u64, of: u64) -> String {
    if of == 0 {
        return "0%".to_owned();
    }
    // In thousandths, rounded half up.
    let (part, of) = (u128::from(part), u128::from(of));
    match (2000 * part + of) / (2 * of) {
        0 if part > 0 => "<0.1%".to_owned(),
        share => format!("{}.{}%", share / 10, share % 10),
    }
}

/// A number with separated thousands.
pub(super) fn number(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 entry`, `2 entries`.
pub(super) fn count(count: usize, one: &str, several: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup_or_hidden() {
        for (bytes, text) in [
            (&b"<script>alert('x')</script>"[..], "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            (b"a\"&b", "a&quot;&amp;b"),
            (b"\xff\n", "\\xff\\n"),
            ("gnp.\u{202e}exe".as_bytes(), "gnp.\\u{202e}exe"),
            ("größe".as_bytes(), "größe"),
        ] {
            assert_eq!(escape(&name(bytes)), text);
        }
        let long = name("x".repeat(5000).as_bytes());
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn figures() {
        assert_eq!([number(0), number(999), number(1000), number(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([share(0, 0), share(1, 100_000), share(1, 8), share(0, 5)], ["0%", "<0.1%", "12.5%", "0.0%"]);
        assert_eq!([share(49, 400), share(1, 2000), share(1, 2001)], ["12.3%", "0.1%", "<0.1%"]);
        assert_eq!([signed(1, 1), signed(0, 2000), signed(5, 0)], ["±0 B", "+2.00 kB", "−5 B"]);
    }
}
