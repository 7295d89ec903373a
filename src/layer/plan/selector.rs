//! What one line of a plan takes: recipes, packages or paths.

use std::fmt;

use crate::error::Result;
use crate::layer::groups::{Package, GENERATED};
use crate::layer::percent;
use crate::tree::{Globs, TarPath};

/// What a line of a plan takes.
///
/// `recipe:GLOB`, `package:GLOB`, `generated`, `*` (everything left), or a path or glob, which takes the path and
/// everything below it. `%` and two hexadecimal digits stand for a byte, taken literally.
#[derive(Clone, Debug)]
pub struct Selector {
    text: String,
    takes: Takes,
}

/// What a selector takes.
#[derive(Clone, Debug)]
pub(crate) enum Takes {
    Recipes(Globs),
    Packages(Globs),
    Paths(Globs),
    Generated,
    Rest,
}

impl Selector {
    /// Parses a selector as written in a plan.
    pub fn parse(text: &str) -> Result<Self, String> {
        let takes = match text {
            "*" => Takes::Rest,
            GENERATED => Takes::Generated,
            _ => match text.split_once(':') {
                Some(("recipe", glob)) => Takes::Recipes(globs(glob)?),
                Some(("package", glob)) => Takes::Packages(globs(glob)?),
                Some((word, _)) if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                    return Err(format!(
                        "`{text}` is not a selector: `recipe:`, `package:` or a path expected (a path with a colon begins \
                         with a slash)"
                    ));
                }
                _ => Takes::Paths(globs(text)?),
            },
        };
        Ok(Selector { text: text.to_owned(), takes })
    }

    /// Returns the selector that takes exactly this recipe.
    pub fn recipe(name: &str) -> Self {
        let text = format!("recipe:{}", percent::encode(name.as_bytes(), b"#,=*?[]\\!^"));
        Selector::parse(&text).expect("an encoded name is a pattern")
    }

    /// Returns the text as written in a plan.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn takes(&self) -> &Takes {
        &self.takes
    }

    /// Returns whether it takes the package, by its name or its recipe's.
    pub(crate) fn takes_package(&self, package: &Package) -> bool {
        match &self.takes {
            Takes::Recipes(globs) => globs.matches_name(package.recipe.as_bytes()),
            Takes::Packages(globs) => globs.matches_name(package.name.as_bytes()),
            Takes::Paths(_) | Takes::Generated | Takes::Rest => false,
        }
    }

    /// Returns whether it takes the path itself, by its name.
    pub(crate) fn takes_path(&self, path: &TarPath) -> bool {
        matches!(&self.takes, Takes::Paths(globs) if globs.matches(path))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Selector {}

fn globs(text: &str) -> Result<Globs, String> {
    let mut pattern = Vec::with_capacity(text.len());
    for (byte, is_encoded) in percent::decode_marked(text.as_bytes())? {
        if is_encoded && b"*?[]\\!^-/".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    Globs::parse([pattern])
        .map_err(|_| format!("`{text}` is not a pattern: a name or path with `*`, `?`, `**`, `[set]` expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, recipe: &str) -> Package {
        Package { name: name.to_owned(), recipe: recipe.to_owned(), version: String::new() }
    }

    fn path(text: &str) -> TarPath {
        TarPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn packages_by_name_and_recipe() {
        for (selector, taken, others) in [
            ("recipe:gcc*", &[("libstdc++6", "gcc-runtime")][..], &[("gcc-doc", "docs")][..]),
            ("package:libstdc++6", &[("libstdc++6", "gcc-runtime")], &[("libstdc++6-dev", "gcc-runtime")]),
            ("recipe:a%20b", &[("x", "a b")], &[("x", "a"), ("x", "a%20b")]),
            ("recipe:%2A", &[("x", "*")], &[("x", "a")]),
            ("recipe:größe", &[("x", "größe")], &[("x", "grosse")]),
            ("recipe:gr%C3%B6%C3%9Fe", &[("x", "größe")], &[]),
            ("package:[ab]?", &[("a1", "x"), ("b2", "x")], &[("c1", "x"), ("a", "x")]),
        ] {
            let parsed = Selector::parse(selector).unwrap();
            for (name, recipe) in taken {
                assert!(parsed.takes_package(&package(name, recipe)), "{selector} {name}");
            }
            for (name, recipe) in others {
                assert!(!parsed.takes_package(&package(name, recipe)), "{selector} {name}");
            }
            assert!(!parsed.takes_path(&path("recipe")));
        }
    }

    #[test]
    fn exact_recipes() {
        for name in ["gtk+", "a b", "c*", "[x]", "a\\b", "100%", "größe", "a,b=c", "#1", "ab!", "tab\t"] {
            let selector = Selector::recipe(name);
            assert!(selector.takes_package(&package("x", name)), "{name}");
            assert!(!selector.text().contains([' ', ',', '#', '=']), "{selector}");
            assert_eq!(Selector::parse(selector.text()).unwrap(), selector);
        }
        assert!(!Selector::recipe("c*").takes_package(&package("x", "cc")));
    }

    #[test]
    fn paths() {
        for (selector, taken, other) in [
            ("/usr/share", "usr/share", "usr/share/doc"),
            ("usr/lib/*.so", "usr/lib/a.so", "usr/lib/a/b.so"),
            ("/opt/my%20app", "opt/my app", "opt/my"),
            ("/a:b", "a:b", "a"),
            ("Recipe:x", "Recipe:x", "x"),
        ] {
            let parsed = Selector::parse(selector).unwrap();
            assert!(parsed.takes_path(&path(taken)), "{selector}");
            assert!(!parsed.takes_path(&path(other)), "{selector}");
        }
        let bytes = TarPath::parse(b"opt/\xff").unwrap();
        assert!(Selector::parse("/opt/%FF").unwrap().takes_path(&bytes));
    }

    #[test]
    fn what_is_no_selector() {
        for (text, expected) in [
            ("recipes:x", "`recipes:x` is not a selector: `recipe:`, `package:` or a path expected"),
            ("recipe:", "`` is not a pattern"),
            ("package:[a", "`[a` is not a pattern"),
            ("/", "`/` is not a pattern"),
            ("", "`` is not a pattern"),
            ("/opt/%2", "two hexadecimal digits expected after each `%` in `/opt/%2`"),
        ] {
            let error = Selector::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
