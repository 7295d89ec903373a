//! The tar of a layer, verified as it is read.

use std::io::{self, Read};
use std::path::Path;
use std::thread;

use crate::compress::{Decoder, ReadAhead};
use crate::digest::{Algorithm, Digest, HashReader};
use crate::error::{Error, IoContext, Result};
use crate::limits::Limits;
use crate::tar::Reader;

/// The members of a layer's tar.
pub(crate) type LayerReader<'a> = Reader<&'a mut HashReader<ReadAhead>>;

/// Passes the tar in a blob, compressed or not, to `take`, reads what that leaves, and checks the digest of the tar
/// (image-spec, config.md#layer-diffid). The blob is read to its end, so that a reader that verifies it sees all of it.
///
/// One thread reads and decompresses the blob, while the caller's thread hashes and takes the tar. `layer` names the
/// layer in errors.
pub(crate) fn read<T>(
    blob: impl Read + Send,
    diff_id: &Digest,
    layer: &str,
    limits: Limits,
    take: impl FnOnce(&mut LayerReader<'_>) -> Result<T>,
) -> Result<T> {
    let place = Path::new(layer);
    let algorithm = algorithm(diff_id, layer)?;
    let blob = WholeBlob::new(blob, limits).at("read", place)?;
    thread::scope(|scope| {
        let ahead = ReadAhead::new(scope, blob).at("read", place)?;
        let mut hashed = HashReader::new(ahead, algorithm);
        let mut reader = Reader::new(&mut hashed, layer, limits);
        let taken = take(&mut reader).and_then(|taken| reader.finish().map(|_| taken));
        let taken = taken.map_err(|error| blob_error(&mut hashed).unwrap_or(error))?;
        check(diff_id, &hashed.finish().1, layer)?;
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
pub(crate) struct WholeBlob<R>(Option<Decoder<R>>);

impl<R: Read> WholeBlob<R> {
    pub(crate) fn new(blob: R, limits: Limits) -> io::Result<Self> {
        Ok(WholeBlob(Some(Decoder::new(blob, limits)?)))
    }
}

impl<R: Read> Read for WholeBlob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.0 else { return Ok(0) };
        match decoder.read(buffer) {
            Ok(0) if !buffer.is_empty() => self.0.take().map_or(Ok(0), |decoder| decoder.finish().map(|_| 0)),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let mut rest = self.0.take().map(Decoder::into_inner);
                Err(rest.as_mut().and_then(blob_error).map_or(error, io::Error::from))
            }
            read => read,
        }
    }
}
