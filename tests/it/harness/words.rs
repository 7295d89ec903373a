//! The words of a fixture's line: bytes of any value, written as text.

/// Splits a line into words. Blanks separate words except between double quotes; `\n`, `\t`, `\0`, `\\`, `\"` and
/// `\xHH` are single bytes; `{c*N}` is the character `c` N times.
pub(super) fn cut(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == ' ' && !quoted {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(Vec::new);
        match c {
            '"' => quoted = !quoted,
            '\\' => word.push(escaped(&mut chars)),
            '{' => {
                let text: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (unit, count) = text.split_once('*').expect("{c*N}");
                word.extend(unit.repeat(count.parse().expect("{c*N}")).into_bytes());
            }
            c => word.extend(c.to_string().into_bytes()),
        }
    }
    assert!(!quoted, "a quote is not closed: {line}");
    words.extend(word);
    words
}

fn escaped(chars: &mut std::str::Chars<'_>) -> u8 {
    match chars.next().expect("something after a backslash") {
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
        }
        other => u8::try_from(other).expect("an ASCII character after a backslash"),
    }
}

#[test]
fn words_of_a_line() {
    let words = cut(r#"f  "a b" \x20\n {ab*2}c "" "{x*3}\"""#);
    let expected: [&[u8]; 6] = [b"f", b"a b", b" \n", b"ababc", b"", b"xxx\""];
    assert_eq!(words, expected);
}
