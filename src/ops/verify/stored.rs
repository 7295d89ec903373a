//! Stored bytes: read once, counted and hashed on the way through.

use std::io::{self, Read};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, Result};
use crate::layout::{blob_path, Layout};
use crate::limits::Limits;
use crate::ops::verify::finding::{FindingPlace, Findings};
use crate::ops::verify::Rule;
use crate::work::Observer;

/// A blob's file, as the layout has it.
pub(super) enum Stored<'a> {
    Missing,
    /// The findings already say so.
    Unreadable,
    Here(StoredReader<'a>),
}

/// Opens a blob.
pub(super) fn open<'a>(
    layout: &'a Layout,
    digest: &Digest,
    observer: &'a dyn Observer,
    findings: &mut Findings,
) -> Stored<'a> {
    match layout.stored_blob(digest) {
        Ok(None) => Stored::Missing,
        Ok(Some((inner, _))) => Stored::Here(StoredReader {
            inner,
            algorithm: digest.algorithm(),
            hasher: digest.algorithm().map(Hasher::new),
            size: 0,
            observer,
            limits: layout.limits(),
            failure: None,
        }),
        Err(error) => {
            add_unreadable(digest, &error.to_string(), findings);
            Stored::Unreadable
        }
    }
}

/// Adds that a blob cannot be read.
pub(super) fn add_unreadable(digest: &Digest, found: &str, findings: &mut Findings) {
    findings.add(Rule::BlobUnreadable, &FindingPlace::file(blob_path(digest)), "a file that can be read", found);
}

/// Reads stored bytes, counts and hashes them, tells the observer, and stops if the observer says so.
pub(super) struct StoredReader<'a> {
    inner: Box<dyn Read + Send + 'a>,
    /// `None` for a digest that cannot be computed here.
    algorithm: Option<Algorithm>,
    hasher: Option<Hasher>,
    size: u64,
    observer: &'a dyn Observer,
    limits: Limits,
    failure: Option<String>,
}

impl<'a> StoredReader<'a> {
    pub(super) fn observer(&self) -> &'a dyn Observer {
        self.observer
    }

    /// How large what is decompressed may be.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the algorithm of the digest, or `None` if that cannot be computed here.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Returns the digest of what was read so far.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.hasher.clone().map(Hasher::finish)
    }

    /// Returns why the file could not be read to its end.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Reads the rest, compares the digest with the name, and returns the number of bytes, or `None` if the file cannot
    /// be read.
    pub(super) fn finish(mut self, digest: &Digest, findings: &mut Findings) -> Result<Option<u64>> {
        // An error is kept in `failure`.
        let _ = drain(&mut self);
        self.observer.check()?;
        if let Some(failure) = &self.failure {
            add_unreadable(digest, failure, findings);
            return Ok(None);
        }
        let found = self.hasher.map(Hasher::finish);
        if let Some(found) = found.filter(|found| found != digest) {
            let place = FindingPlace::file(blob_path(digest));
            findings.add(Rule::BlobDigest, &place, format!("bytes with digest {digest}"), found.to_string());
        }
        Ok(Some(self.size))
    }
}

/// Reads to the end.
pub(super) fn drain(mut reader: impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => drop(read?),
        }
    }
}

impl Read for StoredReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.observer.interrupted() {
            return Err(Error::Interrupted.into());
        }
        let read = self.inner.read(buffer).map_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failure.get_or_insert_with(|| error.to_string());
            }
            error
        })?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..read]);
        }
        self.size += read as u64;
        self.observer.advance(read as u64);
        Ok(read)
    }
}
