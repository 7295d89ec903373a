//! The tar of a layer, verified while it is read.

use std::io::{self, Read};
use std::path::Path;
use std::thread;

use crate::compress::{Decoder, ReadAhead};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, IoContext, Result};
use crate::tar::Reader;

/// The members of a layer's tar.
pub(crate) type LayerReader<'a> = Reader<&'a mut Hashed<ReadAhead>>;

/// Gives the tar in a blob, compressed or not, to `take`, reads what that leaves, and checks the digest of the tar
/// (image-spec, config.md#layer-diffid). The blob is read to its end, so that a reader that verifies it can do so.
///
/// A thread reads and decompresses the blob, while the caller's hashes and takes the tar. `layer` names the layer in
/// errors.
pub(crate) fn read<T>(
    blob: impl Read + Send,
    diff_id: &Digest,
    layer: &str,
    take: impl FnOnce(&mut LayerReader<'_>) -> Result<T>,
) -> Result<T> {
    let place = Path::new(layer);
    let algorithm = diff_id
        .algorithm()
        .ok_or_else(|| Error::malformed(layer, format!("the diff_id {diff_id} cannot be computed here")))?;
    let decoder = Decoder::new(blob).at("read", place)?;
    thread::scope(|scope| {
        let ahead = ReadAhead::new(scope, WholeBlob(Some(decoder))).at("read", place)?;
        let mut hashed = Hashed { inner: ahead, hasher: Hasher::new(algorithm) };
        let mut reader = Reader::new(&mut hashed, layer);
        let taken = take(&mut reader)?;
        reader.finish()?;
        let found = hashed.hasher.finish();
        if found != *diff_id {
            let (expected, found) = (diff_id.to_string(), found.to_string());
            return Err(Error::Mismatch { subject: layer.to_owned(), what: "diff_id", expected, found });
        }
        Ok(taken)
    })
}

/// The tar in a blob. Its end comes only when the whole blob was read, what stands behind the tar's compression
/// included, and so was verified.
struct WholeBlob<R>(Option<Decoder<R>>);

impl<R: Read> Read for WholeBlob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.0 else { return Ok(0) };
        let read = decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.0.take().map(Decoder::finish).transpose()?;
        }
        Ok(read)
    }
}

/// Hashes what is read through it.
pub(crate) struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
