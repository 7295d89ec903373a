//! Paragraphs of `Key: value` lines, as package databases hold them.

use std::collections::BTreeMap;

/// The first lines of the fields of a paragraph; keys are compared ignoring case, as Debian's policy says.
#[derive(Debug)]
pub(super) struct Stanza<'a>(BTreeMap<String, &'a str>);

impl<'a> Stanza<'a> {
    /// Splits a text into its paragraphs.
    pub(super) fn all(text: &'a str) -> Vec<Self> {
        let mut stanzas = Vec::new();
        let mut fields = BTreeMap::new();
        for line in text.lines().chain([""]) {
            if line.trim().is_empty() {
                if !fields.is_empty() {
                    stanzas.push(Stanza(std::mem::take(&mut fields)));
                }
            } else if let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t', '#'])) {
                fields.insert(key.to_ascii_lowercase(), value.trim());
            }
        }
        stanzas
    }

    /// Returns a field's value, or `None` if it is missing or empty.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(&key.to_ascii_lowercase()).copied().filter(|value| !value.is_empty())
    }

    /// Returns whether the package has files in the tree: the third word of its status.
    pub(super) fn is_installed(&self) -> bool {
        let state = self.get("Status").and_then(|status| status.split_whitespace().nth(2));
        !matches!(state, Some("not-installed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs() {
        let text =
            "\n\nPackage: a\nDescription: first\n more: text\n .\n\tand: more\nVersion: 1:2-3\n\n\nPackage:b\nempty:\n";
        let stanzas = Stanza::all(text);
        let of = |index: usize, key: &str| stanzas[index].get(key);
        assert_eq!(stanzas.len(), 2);
        assert_eq!((of(0, "package"), of(0, "Version"), of(0, "more")), (Some("a"), Some("1:2-3"), None));
        assert_eq!((of(0, "Description"), of(1, "Package"), of(1, "Empty")), (Some("first"), Some("b"), None));
    }

    #[test]
    fn states() {
        for (status, installed) in [
            ("install ok installed", true),
            ("install ok half-configured", true),
            ("deinstall ok config-files", true),
            ("purge ok not-installed", false),
            ("", true),
        ] {
            let text = format!("Package: a\nStatus: {status}\n");
            assert_eq!(Stanza::all(&text)[0].is_installed(), installed, "{status}");
        }
    }
}
