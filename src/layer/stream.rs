//! The tar of a layer, verified as it is read.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::compress::{Decoder, Format, ReadAhead, Rest};
use crate::digest::{Algorithm, Digest, HashReader};
use crate::error::{Error, IoContext, Result};
use crate::layer::check::LayerCheck;
use crate::limits::Limits;
use crate::tar::Reader;

/// The members of a layer's tar.
pub(crate) type LayerReader<'a> = Reader<&'a mut HashReader<ReadAhead>>;

/// Passes the tar in a blob, compressed or not, to `take`, reads what that leaves, and checks the digest of the tar
/// (image-spec, config.md#layer-diffid). The blob is read to its end, so that a reader that verifies it sees all of it.
///
/// One thread reads and decompresses the blob, while the caller's thread hashes and takes the tar. `layer` names the
/// layer in errors. What `take` shows to `judge`, and how the layer ends, is judged.
pub(crate) fn read<T>(
    blob: impl Read + Send,
    diff_id: &Digest,
    layer: &str,
    limits: Limits,
    judge: &mut LayerCheck,
    take: impl FnOnce(&mut LayerReader<'_>, &mut LayerCheck) -> Result<T>,
) -> Result<T> {
    let place = Path::new(layer);
    let algorithm = algorithm(diff_id, layer)?;
    let blob = WholeBlob::new(blob, limits).at("read", place)?;
    let (format, rest) = (blob.format, Arc::clone(&blob.rest));
    thread::scope(|scope| {
        let ahead = ReadAhead::new(scope, blob).at("read", place)?;
        let mut hashed = HashReader::new(ahead, algorithm);
        let mut reader = Reader::new(&mut hashed, layer, limits);
        let taken = take(&mut reader, judge).and_then(|taken| reader.finish().map(|end| (taken, end)));
        let (taken, end) = taken.map_err(|error| blob_error(&mut hashed).unwrap_or(error))?;
        check(diff_id, &hashed.finish().1, layer)?;
        judge.end(&end);
        if let Some(rest) = rest.get() {
            judge.compression(format, rest);
        }
        judge.refuse(layer)?;
        Ok(taken)
    })
}

/// What is wrong with the blob itself, where what is in it could not be understood: bytes that are not those of the
/// digest are the cause, and what a reader made of them is not.
fn blob_error(rest: &mut impl Read) -> Option<Error> {
    let error = io::copy(rest, &mut io::sink()).err()?;
    Error::carried_by(error).ok().filter(|error| matches!(error, Error::Mismatch { .. }))
}

/// How a `diff_id` is computed.
pub(crate) fn algorithm(diff_id: &Digest, layer: &str) -> Result<Algorithm> {
    let unknown = || Error::malformed(layer, format!("the diff_id {diff_id} cannot be computed here"));
    diff_id.algorithm().ok_or_else(unknown)
}

/// Checks the digest of a layer's tar against its `diff_id`.
pub(crate) fn check(diff_id: &Digest, found: &Digest, layer: &str) -> Result<()> {
    if found == diff_id {
        return Ok(());
    }
    let (expected, found) = (diff_id.to_string(), found.to_string());
    Err(Error::Mismatch { subject: layer.to_owned(), what: "diff_id", expected, found })
}

/// The tar in a blob. It ends only when the whole blob was read, including what follows the compressed tar, and so was
/// verified.
pub(crate) struct WholeBlob<R> {
    decoder: Option<Decoder<R>>,
    format: Format,
    /// What followed the compressed tar, at the end.
    rest: Arc<OnceLock<Rest>>,
}

impl<R: Read> WholeBlob<R> {
    pub(crate) fn new(blob: R, limits: Limits) -> io::Result<Self> {
        let decoder = Decoder::new(blob, limits)?;
        Ok(WholeBlob { format: decoder.format(), decoder: Some(decoder), rest: Arc::default() })
    }
}

impl<R: Read> Read for WholeBlob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        match decoder.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                if let Some(decoder) = self.decoder.take() {
                    let _ = self.rest.set(decoder.finish()?);
                }
                Ok(0)
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let mut rest = self.decoder.take().map(Decoder::into_inner);
                Err(rest.as_mut().and_then(blob_error).map_or(error, io::Error::from))
            }
            read => read,
        }
    }
}
