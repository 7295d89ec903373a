//! What changes together: the files of one recipe are a group. The owner of a path comes from a package map, or else
//! from a package database in the tree; what no package owns belongs to the group `generated`.
//!
//! A path is one place, whatever names databases have for it: the links among its directories are followed, but never
//! the last component (`/lib/x` is `usr/lib/x` if `/lib` is a link). A listed path that is missing is not an error,
//! since scripts of packages remove files.

mod apk;
mod dpkg;
mod map;
mod opkg;
mod package;
mod stanza;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::tree::{Content, Entry, Kind, Resolver, TarPath, Tree};

pub use map::PackageMap;
pub use package::Package;
use package::{Database, Installed, Owned};

/// The name of the group for what no package owns.
pub(crate) const GENERATED: &str = "generated";

/// Who owns what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    source: Option<String>,
    /// Whether the source is a package map.
    is_mapped: bool,
    packages: Vec<Package>,
    /// The owner of each entry that has one and is not a directory, by its number.
    files: BTreeMap<TarPath, usize>,
    /// The owners of directories, which packages share.
    directories: BTreeMap<TarPath, Vec<usize>>,
}

impl Groups {
    /// Reads the package database of a tree: dpkg's, opkg's or apk's. Without one, everything is generated.
    pub fn detect(tree: &Tree, content: &dyn Content) -> Result<Self> {
        let database = Database { tree, content };
        let readers = [("dpkg", dpkg::read as Reader), ("opkg", opkg::read), ("apk", apk::read)];
        for (name, read) in readers {
            let packages = read(&database)?;
            if !packages.is_empty() {
                return Ok(Groups::of_database(name, packages, tree));
            }
        }
        Ok(Groups::default())
    }

    /// Reads a package map.
    pub fn of_map(map: &PackageMap, tree: &Tree) -> Result<Self> {
        let mut resolver = Resolver::new(tree);
        let mut groups = Groups {
            source: Some(map.name.clone()),
            is_mapped: true,
            packages: map.packages.clone(),
            ..Groups::default()
        };
        let mut lines: BTreeMap<TarPath, usize> = BTreeMap::new();
        for owned in &map.owned {
            // What does not exist cannot be found by another name.
            let path = match resolver.place(owned.path.as_bytes()) {
                Some(path) => path,
                None => owned.path.clone(),
            };
            if tree.get(&path).is_some_and(|entry| entry.kind == Kind::Directory) {
                add(groups.directories.entry(path).or_default(), owned.package);
                continue;
            }
            let before = groups.files.insert(path.clone(), owned.package);
            let line = lines.insert(path.clone(), owned.line);
            if let (Some(before), Some(line)) = (before.filter(|before| *before != owned.package), line) {
                let [first, second] = [before, owned.package].map(|package| &map.packages[package].name);
                return Err(Error::invalid(
                    format!("{}:{}", map.name, owned.line),
                    format!("`{path}`: one owner expected, found {second}, and {first} in line {line}"),
                ));
            }
        }
        groups.files.retain(|path, _| tree.get(path).is_some());
        Ok(groups)
    }

    fn of_database(name: &str, packages: Vec<Installed>, tree: &Tree) -> Self {
        let mut resolver = Resolver::new(tree);
        let mut claims: BTreeMap<TarPath, Vec<usize>> = BTreeMap::new();
        let mut groups = Groups { source: Some(name.to_owned()), ..Groups::default() };
        for Installed { package, owned } in packages {
            let number = groups.packages.len();
            for Owned { path, is_directory } in owned {
                let Some((place, entry)) =
                    resolver.place(&path).and_then(|place| Some((place.clone(), tree.get(&place)?)))
                else {
                    continue;
                };
                match (&entry.kind, is_directory) {
                    (Kind::Directory, Some(false)) => {}
                    (Kind::Directory, _) => add_in_order(groups.directories.entry(place).or_default(), number),
                    // Where the packages have a directory, something else is that is not theirs.
                    (_, Some(true)) => {}
                    (_, _) => add_in_order(claims.entry(place).or_default(), number),
                }
            }
            groups.packages.push(package);
        }
        // What several recipes claim belongs to none of them, like a directory: mostly it was one, and is a link now.
        let is_of_one_recipe = |owners: &[usize]| {
            let recipes: BTreeSet<&str> = owners.iter().map(|owner| groups.packages[*owner].recipe.as_str()).collect();
            recipes.len() == 1
        };
        let owned = claims.into_iter().filter(|(_, owners)| is_of_one_recipe(owners));
        groups.files = owned.map(|(path, owners)| (path, owners[0])).collect();
        groups
    }

    /// Returns where owners are known from: the package map, or the kind of database. `None` if there is neither, so
    /// that everything is generated.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Returns why nothing in the tree has an owner, if there is a package map that names none of its paths.
    pub(crate) fn useless_map(&self) -> Option<String> {
        let name = self.source.as_ref().filter(|_| self.is_mapped)?;
        let is_useless = self.files.is_empty() && self.directories.is_empty();
        is_useless.then(|| format!("no path of the package map `{}` is in the rootfs", name.escape_debug()))
    }

    /// Returns why nothing in the tree has an owner, if that is because of where owners are looked for.
    pub(crate) fn no_owner(&self) -> Option<String> {
        match self.source {
            Some(_) => self.useless_map(),
            None => Some("there is no package map, and no database of dpkg, opkg or apk in the rootfs".to_owned()),
        }
    }

    /// Returns all packages; owners are numbers in this list.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns the owners of an entry: at most one for anything but a directory.
    pub fn owners(&self, path: &TarPath) -> &[usize] {
        match self.files.get(path) {
            Some(owner) => std::slice::from_ref(owner),
            None => self.directories.get(path).map_or(&[], Vec::as_slice),
        }
    }
}

/// Adds a number to a list without duplicates, to which no smaller number is added any more: many packages share a
/// directory.
fn add_in_order(numbers: &mut Vec<usize>, number: usize) {
    if numbers.last() != Some(&number) {
        numbers.push(number);
    }
}

/// Adds a number to a list without duplicates.
fn add(numbers: &mut Vec<usize>, number: usize) {
    if !numbers.contains(&number) {
        numbers.push(number);
    }
}

/// Returns the files of a tree that [`Groups::detect`] may read.
pub(crate) fn database_files(tree: &Tree) -> Vec<&Entry> {
    let resolver = Resolver::new(tree);
    let roots = [dpkg::ROOT].into_iter().chain(opkg::ROOTS).chain(apk::ROOTS);
    let directories = roots.filter_map(|root| resolver.follow(root.as_bytes()));
    let below = directories.flat_map(|directory| tree.below(&directory.path)).filter_map(|path| tree.get(path));
    // Scripts are the largest part of what a package has there.
    let is_read = |entry: &&Entry| {
        let name = entry.path.file_name();
        let is_script = [&b".postinst"[..], b".postrm", b".preinst", b".prerm", b".templates", b".triggers"];
        entry.is_file() && !is_script.iter().any(|ending| name.ends_with(ending))
    };
    below.filter(is_read).map(|entry| tree.inode(entry)).collect()
}

type Reader = fn(&Database<'_>) -> Result<Vec<Installed>>;

#[cfg(test)]
mod tests;
