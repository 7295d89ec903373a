//! Splits text into shell words and finds their positions.
//!
//! The crate `shell-words` removes quotes, but reports neither where a word begins nor that it skipped a comment. The
//! scan adds both.

/// A word with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// The word as written.
    pub(super) quoted: &'a str,
    /// The line on which it begins, from 1.
    pub(super) line: usize,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A word.
    Word(Word<'a>),
    /// A `#` where a word could begin, and the rest of its line.
    Comment,
}

/// A quote that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnclosedQuote {
    /// The line on which it opens, from 1.
    pub(super) line: usize,
}

/// Splits a text into words and comments by the rules of the shell (POSIX.1-2017, 2.2 and 2.3). Operators and
/// expansions are not recognised: their characters are literal.
pub(super) fn scan(text: &str) -> Result<Vec<Token<'_>>, UnclosedQuote> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    loop {
        rest = skip_blank(rest, &mut line);
        if rest.is_empty() {
            return Ok(tokens);
        }
        let length = if rest.starts_with('#') {
            tokens.push(Token::Comment);
            rest.find('\n').unwrap_or(rest.len())
        } else {
            let length = word_length(rest, line)?;
            tokens.push(Token::Word(Word { quoted: &rest[..length], line }));
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
}

/// The text from the next word or comment. A backslash before a line break joins the lines.
fn skip_blank<'a>(text: &'a str, line: &mut usize) -> &'a str {
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\\\n")) {
            *line += 1;
            rest = after;
        } else if let Some(after) = rest.strip_prefix([' ', '\t']) {
            rest = after;
        } else {
            return rest;
        }
    }
}

/// The length of the first word of a text.
fn word_length(text: &str, first_line: usize) -> Result<usize, UnclosedQuote> {
    let mut open: Option<(char, usize)> = None;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match (character, open) {
            ('\\', None | Some(('"', _))) => {
                characters.next();
            }
            (quote @ ('"' | '\''), None) => open = Some((quote, index)),
            (quote, Some((opening, _))) if quote == opening => open = None,
            (' ' | '\t' | '\n', None) => return Ok(index),
            _ => {}
        }
    }
    match open {
        None => Ok(text.len()),
        Some((_, index)) => Err(UnclosedQuote { line: first_line + text[..index].matches('\n').count() }),
    }
}

/// Whether a text is meant as a JSON list, as Docker writes commands, valid or not: in brackets without blanks beside
/// them, or a bracket and then a quote, or somewhere a word that ends with a comma. `[ -f FILE ]` is a command.
pub(super) fn is_meant_as_json(text: &str) -> bool {
    let Some(rest) = text.trim().strip_prefix('[') else { return false };
    let is_test = || rest.starts_with(char::is_whitespace) && rest.ends_with(" ]");
    let looks_quoted = rest.trim_start().starts_with(['"', '\'', ']']);
    let has_commas = rest.split_whitespace().any(|word| word.ends_with(','));
    // Of `["/bin/sh","-c"]`, a shell leaves `[/bin/sh,-c]`.
    let is_bare = !rest.starts_with(char::is_whitespace) && rest.ends_with(']');
    serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok()
        || has_commas
        || is_bare
        || (looks_quoted && !is_test())
}

/// Whether a text is a list in JSON, or begins like one of strings. A pattern such as `[a-z]*` is none.
pub(super) fn is_json_list(text: &str) -> bool {
    let text = text.trim();
    serde_json::from_str::<Vec<String>>(text).is_ok_and(|list| !list.is_empty())
        || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

impl Word<'_> {
    /// The word without its quotes.
    pub(super) fn unquote(&self) -> String {
        shell_words::split(self.quoted).unwrap_or_default().concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unquoted(text: &str) -> Result<Vec<String>, UnclosedQuote> {
        let words = scan(text)?.into_iter().filter_map(|token| match token {
            Token::Word(word) => Some(word.unquote()),
            Token::Comment => None,
        });
        Ok(words.collect())
    }

    #[test]
    fn words_know_their_lines() {
        let text = "a 'b\nc'd\\\ne # f\n\\\ng \"\\\"\n\"#";
        let words: Vec<_> = scan(text)
            .unwrap()
            .into_iter()
            .map(|token| match token {
                Token::Word(word) => (word.line, word.unquote()),
                Token::Comment => (0, String::new()),
            })
            .collect();
        let expected = [(1, "a"), (1, "b\ncde"), (0, ""), (5, "g"), (5, "\"\n#")];
        assert_eq!(words, expected.map(|(line, word)| (line, word.to_owned())));
    }

    #[test]
    fn an_unclosed_quote_is_told_where_it_opens() {
        for (text, line) in [("'", 1), ("a\nb'c\nd", 2), ("\"\\\"", 1), ("'a\nb'\"\n", 2), ("a\\\n'b", 2)] {
            assert_eq!(scan(text), Err(UnclosedQuote { line }), "{text}");
        }
        assert!(scan("\\'").is_ok() && scan("# it's").is_ok());
    }

    proptest! {
        #[test]
        fn agrees_with_the_crate(text in "[ab#=\\\\'\"$` \t\né]{0,24}") {
            prop_assert_eq!(unquoted(&text).ok(), shell_words::split(&text).ok());
        }
    }
}
