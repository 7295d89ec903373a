//! opkg's database: `status`, `info/PACKAGE.list` and `info/PACKAGE.control`.

use std::collections::BTreeSet;

use super::stanza::Stanza;
use super::{Database, Installed, Owned, Package};
use crate::error::Result;
use crate::tree::Resolver;

/// Where it may be; the second is that of `OpenWrt`.
pub(super) const ROOTS: [&str; 2] = ["var/lib/opkg", "usr/lib/opkg"];

pub(super) fn read(database: &Database<'_>) -> Result<Vec<Installed>> {
    let mut packages = Vec::new();
    for root in ROOTS {
        let Some(status) = database.read(&format!("{root}/status"))? else { continue };
        for stanza in Stanza::all(&String::from_utf8_lossy(&status)).iter().filter(|stanza| stanza.is_installed()) {
            let Some(name) = stanza.get("Package") else { continue };
            let control = database.read(&format!("{root}/info/{name}.control"))?.unwrap_or_default();
            let control = String::from_utf8_lossy(&control).into_owned();
            let controls = Stanza::all(&control);
            let field = |key| stanza.get(key).or_else(|| controls.first()?.get(key));
            let recipe = field("SourceName").or_else(|| field("Source").map(recipe)).unwrap_or(name).to_owned();
            let version = field("Version").unwrap_or_default().to_owned();
            let list = database.read(&format!("{root}/info/{name}.list"))?.unwrap_or_default();
            let owned = list.split(|byte| *byte == b'\n').filter_map(owned).collect();
            packages.push(Installed { package: Package { name: name.to_owned(), recipe, version }, owned });
        }
        if !packages.is_empty() {
            break;
        }
    }
    strip_offline_root(&mut packages, database);
    Ok(packages)
}

/// Returns the recipe in a `Source`: OpenEmbedded writes the name of its file, others a directory.
fn recipe(source: &str) -> &str {
    let file = source.rsplit('/').next().unwrap_or(source);
    let recipe = file.strip_suffix(".bb").map_or(file, |stem| stem.split('_').next().unwrap_or(stem));
    if recipe.is_empty() {
        source
    } else {
        recipe
    }
}

/// Parses `PATH`, `PATH<TAB>MODE` or `PATH<TAB>MODE<TAB>LINK`; the mode is the whole of `st_mode` in octal digits.
fn owned(line: &[u8]) -> Option<Owned> {
    let mut columns = line.split(|byte| *byte == b'\t');
    let path = columns.next().filter(|path| !path.is_empty())?.to_vec();
    let mode = columns.next().and_then(|mode| u32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok());
    Some(Owned { path, is_directory: mode.map(|mode| mode & 0o170_000 == 0o040_000) })
}

/// A root is looked for in so many directories at most, so that a path of nothing but slashes costs little.
const DEEPEST_ROOT: usize = 64;

/// Removes the root that some versions write before the paths that they installed. Of all directories above the listed
/// paths, it is the one below which the tree has most of them.
fn strip_offline_root(packages: &mut [Installed], database: &Database<'_>) {
    let paths = || packages.iter().flat_map(|package| &package.owned).map(|owned| owned.path.as_slice());
    let Some(first) = paths().next() else { return };
    let slashes = first.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).take(DEEPEST_ROOT);
    let roots: BTreeSet<&[u8]> =
        slashes.filter_map(|at| first.get(..at)).filter(|root| paths().all(|path| path.starts_with(root))).collect();
    let mut resolver = Resolver::new(database.tree);
    let mut found_below = |root: &[u8]| {
        let places = paths().filter_map(|path| resolver.place(path.strip_prefix(root)?));
        places.filter(|place| !place.is_root() && database.tree.get(place).is_some()).count()
    };
    // Shorter roots come first, and win if as much is found.
    let best = roots.into_iter().map(|root| (found_below(root), root)).fold((0, &b""[..]), |best, next| {
        if next.0 > best.0 {
            next
        } else {
            best
        }
    });
    let length = best.1.len();
    for owned in packages.iter_mut().flat_map(|package| &mut package.owned) {
        owned.path.drain(..length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes() {
        for (source, expected) in [
            ("busybox_1.36.1.bb", "busybox"),
            ("linux-firmware_git.bb", "linux-firmware"),
            ("packagegroup-core.bb", "packagegroup-core"),
            ("feeds/packages/net/curl", "curl"),
            ("package/utils/busybox", "busybox"),
            ("gcc-runtime", "gcc-runtime"),
            ("odd/", "odd/"),
        ] {
            assert_eq!(recipe(source), expected);
        }
    }

    #[test]
    fn lines_of_both_forms() {
        for (line, expected) in [
            ("/usr/bin/curl", Some(("/usr/bin/curl", None))),
            ("/usr/bin/curl\t0100755", Some(("/usr/bin/curl", Some(false)))),
            ("/bin/sh\t0120777\t/bin/busybox", Some(("/bin/sh", Some(false)))),
            ("/etc\t040755", Some(("/etc", Some(true)))),
            ("/odd\tname", Some(("/odd", None))),
            ("", None),
        ] {
            let found = owned(line.as_bytes());
            let found = found.as_ref().map(|owned| (std::str::from_utf8(&owned.path).unwrap(), owned.is_directory));
            assert_eq!(found, expected, "{line}");
        }
    }
}
