//! Packages, and the databases in a tree that list them.

use std::io::Read;
use std::path::Path;

use crate::error::{IoContext, Result};
use crate::tree::{Content, Resolver, Tree};

/// A package and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The recipe, or source package, that it was made from: the name of its group.
    pub recipe: String,
    /// The version of the recipe; empty if unknown.
    pub version: String,
}

/// A package of a database, with what it has in the tree.
pub(super) struct Installed {
    pub(super) package: Package,
    pub(super) owned: Vec<Owned>,
}

/// A path as a database names it.
pub(super) struct Owned {
    pub(super) path: Vec<u8>,
    /// Whether it is a directory, if the database says so.
    pub(super) is_directory: Option<bool>,
}

impl Owned {
    /// A path of which the database does not say whether it is a directory.
    pub(super) fn unknown(path: &[u8]) -> Self {
        Owned { path: path.to_vec(), is_directory: None }
    }
}

/// The files of a database, wherever the tree has them.
pub(super) struct Database<'a> {
    pub(super) tree: &'a Tree,
    pub(super) content: &'a dyn Content,
}

/// The most bytes that are read of one file of a database.
const FILE_LIMIT: u64 = 256 << 20;

impl Database<'_> {
    /// Returns the bytes of a file, or `None` if it does not exist.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(entry) = Resolver::new(self.tree).follow(path.as_bytes()).filter(|entry| entry.is_file()) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let content = self.content.open(entry)?;
        content.take(FILE_LIMIT).read_to_end(&mut bytes).at("read", Path::new(path))?;
        Ok(Some(bytes))
    }

    /// Returns the names in a directory, in order; empty if it does not exist.
    pub(super) fn names(&self, directory: &str) -> Vec<String> {
        let Some(entry) = Resolver::new(self.tree).follow(directory.as_bytes()) else { return Vec::new() };
        let below = self.tree.below(&entry.path).filter(|below| below.parent().as_ref() == Some(&entry.path));
        below.map(|path| String::from_utf8_lossy(path.file_name()).into_owned()).collect()
    }
}
