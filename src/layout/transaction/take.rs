//! Blobs on their way from one layout to another.

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

/// How much is believed of a blob that another layout shares with the new one. What is copied is always verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing: it is read and held to its descriptor.
    Nothing,
    /// That its digest is right, if its size is and if it takes the place of no other file: it is not read.
    Layout,
}

/// How a blob came into the new layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is one file with that of the other layout.
    Linked,
    /// Its bytes were written once more.
    Copied,
}

/// A blob that was taken and has no name yet.
#[derive(Debug)]
#[must_use]
pub(crate) struct TakenBlob {
    place: BlobPath,
    descriptor: Descriptor,
    /// How it was taken.
    pub(crate) how: Taken,
}

impl Stage {
    /// Takes a blob of another layout, byte for byte: by a hard link where that can be, else by a copy. Either way it is
    /// read once at most. Several threads may do so at once; [`keep`](Self::keep) gives it its name.
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

    /// Gives a blob that was taken its name.
    pub(crate) fn keep(&mut self, blob: &TakenBlob) -> Result<()> {
        self.adopt(&blob.place, &blob.descriptor.digest, blob.descriptor.size)
    }

    /// Takes a blob that was verified a moment ago.
    pub(crate) fn copy_blob(&mut self, layout: &Layout, descriptor: &Descriptor) -> Result<()> {
        if self.holds(&descriptor.digest) {
            return Ok(());
        }
        let taken = self.take(layout, descriptor, Trust::Layout, &Silent)?;
        self.keep(&taken)
    }

    /// Holds a file that is linked now to its descriptor, as far as it is not believed.
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
        while blob.read(&mut buffer).at("read", self.place())? > 0 {}
        Ok(())
    }
}

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// Makes a hard link, if that can be, and tells what it is one of.
fn link(from: &Path, to: &Path) -> Option<Metadata> {
    fs::hard_link(from, to).ok()?;
    let linked = to.symlink_metadata().ok().filter(Metadata::is_file);
    if linked.is_none() {
        // A symbolic link, perhaps into some store, is worth no more than what it leads to: that is copied.
        let _ = fs::remove_file(to);
    }
    linked
}

/// One thread reads and verifies, this one writes.
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

/// Tells the observer what is read, and stops when it says so.
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
