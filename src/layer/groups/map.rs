//! A table of the owners of files, for images without a package database.

use std::collections::BTreeMap;

use super::Package;
use crate::error::{Error, Result};
use crate::layer::percent;
use crate::tree::TarPath;

/// A text that says who owns what, one line per path: `PATH<TAB>PACKAGE<TAB>RECIPE<TAB>VERSION`.
///
/// In each column `%` and two hexadecimal digits stand for a byte; a space, a control character and `%` itself are
/// always written this way. Empty lines, and lines that begin with `#`, are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageMap {
    /// Its name in messages.
    pub(super) name: String,
    pub(super) packages: Vec<Package>,
    pub(super) owned: Vec<OwnedLine>,
}

/// A line of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedLine {
    pub(super) path: TarPath,
    /// The number of its package.
    pub(super) package: usize,
    pub(super) line: usize,
}

impl PackageMap {
    /// Parses a map, which messages call `name`.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self> {
        let mut numbers: BTreeMap<Package, usize> = BTreeMap::new();
        let mut map = PackageMap { name: name.to_owned(), ..PackageMap::default() };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let line_number = index + 1;
            let (path, package) =
                columns(line).map_err(|reason| Error::invalid(format!("{name}:{line_number}"), reason))?;
            let count = numbers.len();
            let number = *numbers.entry(package).or_insert_with_key(|package| {
                map.packages.push(package.clone());
                count
            });
            map.owned.push(OwnedLine { path, package: number, line: line_number });
        }
        Ok(map)
    }
}

fn columns(line: &[u8]) -> Result<(TarPath, Package), String> {
    let columns: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
    let [path, package, recipe, version] = columns[..] else {
        return Err(format!(
            "path, package, recipe and version expected, with tabs between them, found {}",
            match columns.len() {
                1 => "1 column".to_owned(),
                count => format!("{count} columns"),
            }
        ));
    };
    let path = TarPath::parse(&percent::decode(path)?).map_err(|error| error.to_string())?;
    let text = |what: &str, column: &[u8]| {
        let decoded = percent::decode(column)?;
        String::from_utf8(decoded).map_err(|_| format!("{what} `{}` is not UTF-8", column.escape_ascii()))
    };
    let named = |what: &str, column: &[u8]| match text(what, column)? {
        name if name.is_empty() => Err(format!("a {what} expected, found nothing")),
        name => Ok(name),
    };
    let package = Package {
        name: named("package", package)?,
        recipe: named("recipe", recipe)?,
        version: text("version", version)?,
    };
    Ok((path, package))
}
