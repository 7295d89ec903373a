//! Layers: stored bytes are decompressed, and the tar that comes out is hashed and walked in the same pass.

use std::io::{self, Read};

use crate::compress::{Decoder, Format};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::ops::verify::blob::{drain, StoredReader};
use crate::ops::verify::changeset;
use crate::ops::verify::finding::{Findings, Place};
use crate::ops::verify::Rule;

/// What reading a layer brought to light.
pub(super) struct LayerFacts {
    pub(super) format: Format,
    /// One of each algorithm that was asked for; none if the layer cannot be decompressed.
    pub(super) diff_ids: Vec<Digest>,
}

/// Reads a layer to the end of what can be decompressed; none if the file cannot be read. Only interruption is an
/// error.
pub(super) fn read(
    stored: &mut StoredReader,
    algorithms: impl Iterator<Item = Algorithm>,
    place: &Place,
    findings: &mut Findings,
) -> Result<Option<LayerFacts>> {
    let mut wanted = Vec::new();
    for algorithm in algorithms {
        if !wanted.contains(&algorithm) {
            wanted.push(algorithm);
        }
    }

    let observer = stored.observer();
    let (format, failure, diff_ids) = match Decoder::new(&mut *stored) {
        Err(error) => (Format::Plain, Some(error.to_string()), Vec::new()),
        Ok(decoder) => {
            let format = decoder.format();
            let hashers = wanted.into_iter().map(Hasher::new).collect();
            let mut tar = TarReader { inner: decoder, hashers, observer, failure: None };
            let result = changeset::check(&mut tar, place, findings);
            // The tail is part of the diff_id, whether somebody could read it as tar or not. An error is kept.
            let _ = drain(&mut tar);
            match (result, &tar.failure) {
                (Err(Error::Malformed { reason, .. }), None) => {
                    findings.add(Rule::TarFraming, place, "a tar that can be followed to its end", reason);
                }
                // What cannot be decompressed cannot be a whole tar either.
                (_, Some(_)) | (Ok(()), None) => {}
                (Err(error), None) => findings.add(Rule::TarFraming, place, "a tar", error.to_string()),
            }
            if tar.failure.is_none() {
                check_rest(tar.inner, place, findings);
                (format, None, tar.hashers.into_iter().map(Hasher::finish).collect())
            } else {
                (format, tar.failure, Vec::new())
            }
        }
    };
    observer.check()?;
    if stored.failure().is_some() {
        return Ok(None);
    }
    if let Some(failure) = failure {
        findings.add(Rule::LayerCompression, place, "a layer that can be decompressed", failure);
    }
    Ok(Some(LayerFacts { format, diff_ids }))
}

/// What stands behind the compressed stream, and in how many pieces it comes.
fn check_rest(decoder: Decoder<&mut StoredReader>, place: &Place, findings: &mut Findings) {
    let format = decoder.format();
    // An error is one of the file, which keeps it.
    let Ok(rest) = decoder.finish() else { return };
    if format == Format::Gzip && rest.streams > 1 {
        findings.add(Rule::GzipMembers, place, "one gzip member", format!("{} of them", rest.streams));
    }
    if rest.trailing > 0 {
        let found = format!("{} bytes behind it", rest.trailing);
        findings.add(Rule::LayerTrailingBytes, place, "the end of the compressed stream", found);
    }
}

/// Yields what the decoder yields and takes the digests of it.
struct TarReader<'a, 'b> {
    inner: Decoder<&'a mut StoredReader<'b>>,
    hashers: Vec<Hasher>,
    observer: &'a dyn Observer,
    /// Why nothing more comes.
    failure: Option<String>,
}

impl Read for TarReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A few stored bytes can stand for hours of zeros, so the reader of stored bytes does not ask often enough.
        if self.observer.interrupted() {
            return Err(Error::Interrupted.into());
        }
        if let Some(failure) = &self.failure {
            return Err(io::Error::other(failure.clone()));
        }
        match self.inner.read(buffer) {
            Ok(read) => {
                self.hashers.iter_mut().for_each(|hasher| hasher.update(&buffer[..read]));
                Ok(read)
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                Err(error)
            }
        }
    }
}
