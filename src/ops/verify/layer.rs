//! Layers: stored bytes are decompressed, and the tar that comes out is hashed and walked in the same pass.

use std::io::{self, Read};

use crate::compress::{Decoder, Format};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::ops::verify::blob::{drain, StoredReader};
use crate::ops::verify::changeset;
use crate::ops::verify::finding::{Findings, Place};
use crate::ops::verify::side_hasher::SideHasher;
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
    let stored_algorithm = stored.algorithm();
    let (format, failure, hasher) = match Decoder::new(&mut *stored) {
        Err(error) => (Format::Plain, Some(error.to_string()), None),
        Ok(decoder) => {
            let format = decoder.format();
            if format == Format::Plain {
                // The stored bytes are the tar, and hashed already.
                wanted.retain(|algorithm| Some(*algorithm) != stored_algorithm);
            }
            let hasher = (!wanted.is_empty()).then(|| SideHasher::start(wanted));
            let mut tar = TarReader { inner: decoder, hasher, observer, failure: None };
            let result = changeset::check(&mut tar, place, findings);
            // The tail is part of the diff_id, whether somebody could read it as tar or not. An error is kept.
            let _ = drain(&mut tar);
            match (result, &tar.failure) {
                // What cannot be decompressed cannot be a whole tar either.
                (_, Some(_)) | (Ok(()), None) => {}
                (Err(error), None) => {
                    let expected = "a tar that can be followed to its end";
                    findings.add(Rule::TarFraming, place, expected, changeset::reason_of(error));
                }
            }
            if tar.failure.is_none() {
                check_rest(tar.inner, place, findings);
            }
            (format, tar.failure, tar.hasher)
        }
    };
    let mut diff_ids = hasher.map(SideHasher::finish).unwrap_or_default();
    if format == Format::Plain {
        diff_ids.extend(stored.digest());
    }
    observer.check()?;
    if stored.failure().is_some() {
        return Ok(None);
    }
    if let Some(failure) = failure {
        findings.add(Rule::LayerCompression, place, "a layer that can be decompressed", failure);
        diff_ids.clear();
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
    hasher: Option<SideHasher>,
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
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&buffer[..read]);
                }
                Ok(read)
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                Err(error)
            }
        }
    }
}
