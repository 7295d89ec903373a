//! Writes archives in one pass.

use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, IoContext, Result};
use crate::tar::encode::{cannot_store, headers};
use crate::tar::path_set::PathSet;
use crate::tar::{first, padding, Edge, Output, BLOCK};
use crate::tree::{is_reserved, Entry, Kind, Metadata, TarPath, Whiteout};

/// Writes entries one after another, in the order in which they are given.
///
/// The same entries give the same bytes. No path is written twice. After an error the archive is unusable, and
/// [`Writer::finish`] refuses it.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    /// Those that were written; `None` if whoever gives entries gives no path twice.
    paths: Option<PathSet>,
    headers: Vec<u8>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    AtEdge,
    InEntry,
}

impl<W: Output> Writer<W> {
    /// Starts an archive at the current position of the output.
    pub fn new(output: W) -> Self {
        Writer { output, paths: Some(PathSet::default()), headers: Vec::new(), state: State::AtEdge }
    }

    /// Starts an archive of entries among which no path is twice, as in a tree: none is remembered.
    pub(crate) fn of_unique_paths(output: W) -> Self {
        Writer { paths: None, ..Writer::new(output) }
    }

    /// Writes an entry. `content` is read only for a regular file that is not empty, and must then yield exactly as
    /// many bytes as the entry's size says.
    ///
    /// Refuses what an archive cannot hold: a path that it already has, names that begin with `.wh.`, device numbers
    /// over 2097151, attribute names with `=`, over 1 MiB of attributes.
    pub fn append(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if is_reserved(&entry.path) {
            return Err(cannot_store(&entry.path, "in a layer, a name that begins with `.wh.` means a removal"));
        }
        self.append_unchecked(entry, content)
    }

    /// Writes a whiteout: `path` is removed from the layers below.
    pub fn append_whiteout(&mut self, path: &TarPath) -> Result<()> {
        self.append_marker(&Whiteout::Remove(path.clone()), path)
    }

    /// Writes an opaque whiteout: what the layers below have in `directory` is removed.
    pub fn append_opaque_whiteout(&mut self, directory: &TarPath) -> Result<()> {
        self.append_marker(&Whiteout::Opaque(directory.clone()), directory)
    }

    /// Ends the archive with two blocks of zeros and returns the output. There is no padding to a record size.
    pub fn finish(mut self) -> io::Result<W> {
        if self.state == State::InEntry {
            return Err(io::Error::other("the last entry of the archive is not complete"));
        }
        self.output.write_all(&[0; 2 * BLOCK])?;
        Ok(self.output)
    }

    /// Writes a marker: an empty regular file whose metadata mean nothing.
    fn append_marker(&mut self, whiteout: &Whiteout, subject: &TarPath) -> Result<()> {
        if is_reserved(subject) {
            return Err(cannot_store(subject, "a layer cannot remove a name that begins with `.wh.`"));
        }
        let path = whiteout.marker().ok_or_else(|| cannot_store(subject, "a layer cannot remove the root"))?;
        let marker = Entry { path, metadata: Metadata::default(), kind: Kind::File { size: 0 } };
        self.append_unchecked(&marker, &mut io::empty())
    }

    fn append_unchecked(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if self.state == State::InEntry {
            return Err(cannot_store(&entry.path, "the entry before it is not complete"));
        }
        self.headers.clear();
        headers(entry, &mut self.headers)?;
        if self.paths.as_mut().is_some_and(|paths| !paths.insert(&entry.path)) {
            return Err(cannot_store(&entry.path, "the archive has an entry of this path already"));
        }
        let path = entry.path.below(Path::new("/"));
        self.state = State::InEntry;
        self.output.entry_edge(Edge::before(&self.headers, entry.size()));
        self.output.write_all(&self.headers).at("store", &path)?;
        if entry.size() > 0 {
            let mut content = Watched { reader: content, failed: false };
            let copied = copy_exactly(&mut self.output, &mut content, entry);
            let action = if content.failed { "read" } else { "store" };
            copied.at(action, &path)?;
            self.output.write_all(first(&[0; BLOCK], padding(entry.size()) as u64)).at("store", &path)?;
        }
        self.state = State::AtEdge;
        Ok(())
    }
}

/// Copies the content and checks that it ends where the entry says.
fn copy_exactly(output: &mut impl Output, content: &mut Watched<'_>, entry: &Entry) -> io::Result<()> {
    let size = entry.size();
    let changed = |found: String| Error::Mismatch {
        subject: entry.path.to_string(),
        what: "file changed while it was read: size",
        expected: size.to_string(),
        found,
    };
    let copied = output.read_from(content, size)?;
    if copied != size {
        return Err(changed(copied.to_string()).into());
    }
    if io::copy(&mut content.take(1), &mut io::sink())? > 0 {
        return Err(changed("more".to_owned()).into());
    }
    Ok(())
}

/// Remembers whether the content or the output caused an error.
struct Watched<'a> {
    reader: &'a mut dyn Read,
    failed: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.reader.read(buffer);
        self.failed |= matches!(&result, Err(error) if error.kind() != io::ErrorKind::Interrupted);
        result
    }
}
