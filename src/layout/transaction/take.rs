//! Moves blobs from one layout to another.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use crate::compress::ReadAhead;
use crate::error::{Error, IoContext, Result};
use crate::layout::transaction::{BlobPath, Stage};
use crate::layout::{blob_path, Layout, VerifiedReader};
use crate::oci::Descriptor;
use crate::work::{Observer, Silent};

/// How far a blob that is hard-linked from another layout is trusted. Copies are always verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Not at all: the blob is read and verified.
    Nothing,
    /// If its size is right and it replaces no other file, its digest is trusted and it is not read.
    Layout,
}

/// How a blob was transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Hard-linked with the other layout's file.
    Linked,
    /// Copied byte for byte.
    Copied,
}

/// A transferred blob that has no name yet.
#[derive(Debug)]
#[must_use]
pub(crate) struct TakenBlob {
    place: BlobPath,
    descriptor: Descriptor,
    /// How it was transferred.
    pub(crate) how: Taken,
}

impl Stage {
    /// Takes a blob of another layout unchanged, by a hard link if possible, else by a copy. It is read at most once.
    /// Several threads may do this at the same time; [`keep`](Self::keep) gives the blob its name.
    pub(crate) fn take(
        &self,
        layout: &Layout,
        descriptor: &Descriptor,
        trust: Trust,
        observer: &dyn Observer,
    ) -> Result<TakenBlob> {
        let place = self.new_place()?;
        let to = place.path();
        // A document that was read a moment ago is known, and held to its digest.
        let known = layout.known(descriptor);
        let trust = if known.is_some() { Trust::Layout } else { trust };
        let how = if let Some(linked) = layout.blob_on_disk(&descriptor.digest).and_then(|from| link(&from, to)) {
            self.check_linked(to, &linked, descriptor, trust, observer)?;
            Taken::Linked
        } else if let Some(raw) = known {
            fs::write(to, &raw).at("write", self.place())?;
            observer.advance(descriptor.size);
            Taken::Copied
        } else {
            let file = File::create(to).at("write", self.place())?;
            let blob = Watched { inner: layout.blob(descriptor)?, observer };
            copy(blob, file).at("write", self.place())?;
            Taken::Copied
        };
        Ok(TakenBlob { place, descriptor: descriptor.clone(), how })
    }

    /// Names a transferred blob.
    pub(crate) fn keep(&mut self, blob: &TakenBlob) -> Result<()> {
        self.adopt(&blob.place, &blob.descriptor.digest, blob.descriptor.size)
    }

    /// Copies a blob that was just verified.
    pub(crate) fn copy_blob(&mut self, layout: &Layout, descriptor: &Descriptor) -> Result<()> {
        if self.holds(&descriptor.digest) {
            return Ok(());
        }
        let taken = self.take(layout, descriptor, Trust::Layout, &Silent)?;
        self.keep(&taken)
    }

    /// Verifies a linked file, as far as it is not trusted.
    fn check_linked(
        &self,
        path: &Path,
        linked: &Metadata,
        descriptor: &Descriptor,
        trust: Trust,
        observer: &dyn Observer,
    ) -> Result<()> {
        if linked.len() != descriptor.size {
            let subject = format!("blob {}", descriptor.digest.short());
            let (expected, found) = (descriptor.size.to_string(), linked.len().to_string());
            return Err(Error::Mismatch { subject, what: "size", expected, found });
        }
        let present = self.place().join(blob_path(&descriptor.digest)).symlink_metadata();
        let replaces_another =
            present.is_ok_and(|present| (present.dev(), present.ino()) != (linked.dev(), linked.ino()));
        if trust == Trust::Layout && !replaces_another {
            observer.advance(descriptor.size);
            return observer.check();
        }
        let file = File::open(path).at("read", self.place())?;
        let mut blob = VerifiedReader::new(Watched { inner: file, observer }, descriptor)?;
        let mut buffer = vec![0; PIECE];
        loop {
            match blob.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => drop(read.at("read", self.place())?),
            }
        }
    }
}

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Makes a hard link if possible. Returns the metadata of the linked file.
fn link(from: &Path, to: &Path) -> Option<Metadata> {
    fs::hard_link(from, to).ok()?;
    let linked = to.symlink_metadata().ok().filter(Metadata::is_file);
    if linked.is_none() {
        // A symbolic link, perhaps into a blob store, is not enough: its target is copied.
        let _ = fs::remove_file(to);
    }
    linked
}

/// One thread reads and verifies while this one writes.
fn copy(blob: impl Read + Send, mut to: File) -> io::Result<()> {
    thread::scope(|scope| {
        let mut ahead = ReadAhead::new(scope, blob)?;
        loop {
            let piece = ahead.fill_buf()?;
            if piece.is_empty() {
                return Ok(());
            }
            to.write_all(piece)?;
            let length = piece.len();
            ahead.consume(length);
        }
    })
}

/// Reports what is read to the observer, and stops on request.
pub(crate) struct Watched<'a, R> {
    pub(crate) inner: R,
    pub(crate) observer: &'a dyn Observer,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.observer.check()?;
        let read = self.inner.read(buffer)?;
        self.observer.advance(read as u64);
        Ok(read)
    }
}
