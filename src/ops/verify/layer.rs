//! Layers: stored bytes are decompressed, and the tar that comes out is hashed and walked in the same pass. One thread
//! reads and decompresses, another takes digests and looks at entries.

use std::io::{self, Read};
use std::path::Path;
use std::thread;

use crate::compress::{Decoder, Format, ReadAhead};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, IoContext, Result};
use crate::layer::{reason_of, LayerCheck};
use crate::limits::Limits;
use crate::ops::verify::finding::{FindingPlace, Findings};
use crate::ops::verify::stored::{drain, StoredReader};
use crate::ops::verify::Rule;
use crate::tar::Reader;
use crate::work::Observer;

/// What is known about a layer that was read.
pub(super) struct LayerFacts {
    pub(super) format: Format,
    /// One for each algorithm that was asked for; empty if the layer cannot be decompressed.
    pub(super) diff_ids: Vec<Digest>,
    /// Whether entries are below directories that the layer has no entries for.
    pub(super) implies_directories: bool,
}

/// Reads a layer to the end of what can be decompressed. Returns `None` if the file cannot be read.
///
/// # Errors
///
/// The work was interrupted, or the system has no thread left.
pub(super) fn read(
    stored: &mut StoredReader,
    mut algorithms: Vec<Algorithm>,
    place: &FindingPlace,
    findings: &mut Findings,
) -> Result<Option<LayerFacts>> {
    let (observer, limits) = (stored.observer(), stored.limits());
    let mut outcome = Outcome::default();
    let stored_algorithm = stored.algorithm();
    let mut implies_directories = false;
    let (format, diff_ids) = match Decoder::new(&mut *stored, limits) {
        Err(error) => {
            outcome.failure = Some(error.to_string());
            (Format::Plain, Vec::new())
        }
        Ok(decoder) => {
            let format = decoder.format();
            if format == Format::Plain {
                // The stored bytes are the tar, and hashed already.
                algorithms.retain(|algorithm| Some(*algorithm) != stored_algorithm);
            }
            let decoding = Decoding { decoder: Some(decoder), observer, limits, outcome: &mut outcome };
            let (result, diff_ids) = walk(decoding, &algorithms, place, findings, &mut implies_directories)?;
            // What cannot be decompressed cannot be a whole tar either.
            if let (Err(error), None) = (result, &outcome.failure) {
                let expected = "a tar that can be followed to its end";
                findings.add(Rule::TarFraming, place, expected, reason_of(&error));
            }
            (format, diff_ids)
        }
    };
    observer.check()?;
    if stored.failure().is_some() {
        return Ok(None);
    }
    if let Some(failure) = outcome.failure {
        findings.add(Rule::LayerCompression, place, "a layer that can be decompressed", failure);
        return Ok(Some(LayerFacts { format, diff_ids: Vec::new(), implies_directories }));
    }
    if format == Format::Gzip && outcome.streams > 1 {
        findings.add(Rule::GzipMembers, place, "one gzip member", format!("{} of them", outcome.streams));
    }
    if outcome.trailing > 0 {
        let found = format!("{} bytes after it", outcome.trailing);
        findings.add(Rule::LayerTrailingBytes, place, "the end of the compressed stream", found);
    }
    let stored_digest = if format == Format::Plain { stored.digest() } else { None };
    Ok(Some(LayerFacts { format, diff_ids: diff_ids.into_iter().chain(stored_digest).collect(), implies_directories }))
}

/// Walks the tar and hashes it to the very end: the tail is part of the `diff_id`, whether or not it can be read as
/// tar.
fn walk(
    decoding: Decoding,
    algorithms: &[Algorithm],
    place: &FindingPlace,
    findings: &mut Findings,
    implies_directories: &mut bool,
) -> Result<(Result<()>, Vec<Digest>)> {
    let limits = decoding.limits;
    thread::scope(|scope| {
        let ahead = ReadAhead::new(scope, decoding).at("read", Path::new(&place.to_string()))?;
        let hashers = algorithms.iter().copied().map(Hasher::new).collect();
        let mut tar = Hashed { inner: ahead, hashers };
        let mut check = LayerCheck::listing();
        let result = members(&mut tar, limits, &mut check);
        *implies_directories = check.implies_directories();
        findings.add_layer(check, place);
        // An error is kept in the outcome.
        let _ = drain(&mut tar);
        Ok((result, tar.hashers.into_iter().map(Hasher::finish).collect()))
    })
}

/// Shows all members to the check. An error means that nothing after it can be read.
fn members(tar: &mut impl Read, limits: Limits, check: &mut LayerCheck) -> Result<()> {
    let mut reader = Reader::new(tar, "layer", limits);
    while let Some(member) = reader.next_member()? {
        check.member(&member);
    }
    check.end(&reader.finish()?);
    Ok(())
}

/// How decompressing ended.
#[derive(Default)]
struct Outcome {
    /// Why nothing more could be decompressed.
    failure: Option<String>,
    /// What [`crate::compress::Decoder`] says.
    streams: u64,
    trailing: u64,
}

/// Yields the tar, and reads what follows the stream before it reports the end.
struct Decoding<'a, 'b> {
    decoder: Option<Decoder<&'a mut StoredReader<'b>>>,
    limits: Limits,
    observer: &'a dyn Observer,
    outcome: &'a mut Outcome,
}

impl Decoding<'_, '_> {
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        let read = decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            if let Some(rest) = self.decoder.take().map(Decoder::finish).transpose()? {
                self.outcome.streams = rest.streams;
                self.outcome.trailing = rest.trailing;
            }
        }
        Ok(read)
    }
}

impl Read for Decoding<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A few stored bytes can expand to hours of zeros, so the reader of stored bytes does not ask often enough.
        if self.observer.interrupted() {
            return Err(Error::Interrupted.into());
        }
        self.step(buffer).map_err(|error| {
            self.outcome.failure = Some(error.to_string());
            error
        })
    }
}

/// Takes digests of what is read through it.
struct Hashed {
    inner: ReadAhead,
    hashers: Vec<Hasher>,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for hasher in &mut self.hashers {
            hasher.update(&buffer[..read]);
        }
        Ok(read)
    }
}
