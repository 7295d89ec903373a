//! dpkg's database: `status`, `info/PACKAGE[:ARCHITECTURE].list`, `diversions`, and the form in images without a
//! package manager, `status.d/PACKAGE` with `status.d/PACKAGE.md5sums`.

use std::collections::BTreeMap;

use super::stanza::Stanza;
use super::{Database, Installed, Owned, Package};
use crate::error::Result;

pub(super) const ROOT: &str = "var/lib/dpkg";

pub(super) fn read(database: &Database<'_>) -> Result<Vec<Installed>> {
    let mut packages = with_lists(database)?;
    packages.extend(with_sums(database)?);
    Ok(packages)
}

/// Returns the packages of a tree with dpkg in it.
fn with_lists(database: &Database<'_>) -> Result<Vec<Installed>> {
    let Some(status) = database.read(&format!("{ROOT}/status"))? else { return Ok(Vec::new()) };
    let diversions = Diversions::parse(&database.read(&format!("{ROOT}/diversions"))?.unwrap_or_default());
    let mut packages = Vec::new();
    for stanza in Stanza::all(&String::from_utf8_lossy(&status)).iter().filter(|stanza| stanza.is_installed()) {
        let Some(name) = stanza.get("Package") else { continue };
        let architecture = stanza.get("Architecture").unwrap_or_default();
        let mut names = [format!("{name}:{architecture}"), name.to_owned()];
        if stanza.get("Multi-Arch") != Some("same") {
            names.reverse();
        }
        let mut owned = Vec::new();
        for file in names {
            if let Some(list) = database.read(&format!("{ROOT}/info/{file}.list"))? {
                let paths = list.split(|byte| *byte == b'\n').filter(|path| !path.is_empty());
                owned = paths.map(|path| Owned::unknown(diversions.place(path, name))).collect();
                break;
            }
        }
        packages.push(Installed { package: package(name, stanza), owned });
    }
    Ok(packages)
}

/// Returns the packages of a tree without dpkg.
fn with_sums(database: &Database<'_>) -> Result<Vec<Installed>> {
    let directory = format!("{ROOT}/status.d");
    let names = database.names(&directory);
    let mut packages = Vec::new();
    for file in names.iter().filter(|name| !name.ends_with(".md5sums")) {
        let Some(text) = database.read(&format!("{directory}/{file}"))? else { continue };
        let text = String::from_utf8_lossy(&text);
        let stanzas = Stanza::all(&text);
        let Some((name, stanza)) = stanzas.iter().find_map(|stanza| Some((stanza.get("Package")?, stanza))) else {
            continue;
        };
        let sums = database.read(&format!("{directory}/{file}.md5sums"))?.unwrap_or_default();
        let lines = sums.split(|byte| *byte == b'\n');
        // 32 digits, two spaces, and the path.
        let owned = lines.filter_map(|line| line.get(34..)).map(Owned::unknown).collect();
        packages.push(Installed { package: package(name, stanza), owned });
    }
    Ok(packages)
}

/// Returns the package of a stanza. `Source` is `NAME` or `NAME (VERSION)`; a missing name or version is the package's
/// own.
fn package(name: &str, stanza: &Stanza<'_>) -> Package {
    let own = stanza.get("Version").unwrap_or_default();
    let (recipe, version) = match stanza.get("Source") {
        Some(source) => match source.split_once(" (") {
            Some((recipe, version)) => (recipe.trim(), version.trim_end_matches(')')),
            None => (source, own),
        },
        None => (name, own),
    };
    Package { name: name.to_owned(), recipe: recipe.to_owned(), version: version.to_owned() }
}

/// Files that are not where their packages say.
struct Diversions(BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>);

impl Diversions {
    /// Parses three lines each: from, to, and the package whose own file stays at `from` (`:` for none).
    fn parse(text: &[u8]) -> Self {
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let diversion = |lines: &[&[u8]]| match lines {
            [from, to, package] => Some((from.to_vec(), (to.to_vec(), package.to_vec()))),
            _ => None,
        };
        Diversions(lines.chunks(3).filter_map(diversion).collect())
    }

    fn place<'a>(&'a self, path: &'a [u8], package: &str) -> &'a [u8] {
        match self.0.get(path) {
            Some((to, stays)) if stays != package.as_bytes() => to,
            _ => path,
        }
    }
}
