//! Verifies blobs while they are read.

use std::io::{self, Read};

use crate::digest::Hasher;
use crate::error::Error;
use crate::oci::Descriptor;

/// Yields the bytes of a blob. Fails at the end, or as soon as there are too many bytes, if size or digest differs from
/// the descriptor (image-spec, descriptor.md#verification).
///
/// The check happens at the end: a reader that stops early has verified nothing.
pub(crate) struct VerifiedReader<R> {
    inner: R,
    descriptor: Descriptor,
    hasher: Option<Hasher>,
    size: u64,
}

impl<R: Read> VerifiedReader<R> {
    /// Wraps `inner`, to be verified against the descriptor. Fails if the digest's algorithm is not supported.
    pub(crate) fn new(inner: R, descriptor: &Descriptor) -> Result<Self, Error> {
        let algorithm = descriptor.digest.algorithm().ok_or_else(|| {
            let reason = format!("digests of `{}` cannot be checked here", descriptor.digest.algorithm_name());
            Error::malformed(format!("blob {}", descriptor.digest.short()), reason)
        })?;
        let hasher = Some(Hasher::new(algorithm));
        Ok(VerifiedReader { inner, descriptor: descriptor.clone(), hasher, size: 0 })
    }

    fn mismatch(&self, what: &'static str, expected: String, found: String) -> io::Error {
        let subject = format!("blob {}", self.descriptor.digest.short());
        io::Error::new(io::ErrorKind::InvalidData, Error::Mismatch { subject, what, expected, found })
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.size = self.size.saturating_add(read as u64);
        let expected = self.descriptor.size;
        if self.size > expected || (read == 0 && !buffer.is_empty() && self.size < expected) {
            let found = if read == 0 { self.size.to_string() } else { format!("more than {expected}") };
            return Err(self.mismatch("size", expected.to_string(), found));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        if read == 0 && !buffer.is_empty() {
            if let Some(found) = self.hasher.take().map(Hasher::finish) {
                if found != self.descriptor.digest {
                    return Err(self.mismatch("digest", self.descriptor.digest.to_string(), found.to_string()));
                }
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::media_type::MediaType;

    #[test]
    fn size_and_digest_are_checked_at_the_end() {
        let digest = Digest::of(b"right");
        for (bytes, size, complaint) in [
            (&b"right"[..], 5, None),
            (b"wrong", 5, Some("digest")),
            (b"righ", 5, Some("size")),
            (b"right!", 5, Some("size")),
            (b"", 5, Some("size")),
        ] {
            let descriptor = Descriptor::new(MediaType::LAYER, digest.clone(), size);
            let result = io::copy(&mut VerifiedReader::new(bytes, &descriptor).unwrap(), &mut io::sink());
            match complaint {
                None => drop(result.unwrap()),
                Some(what) => {
                    let error = result.unwrap_err().to_string();
                    assert!(error.contains(&format!(": {what} should be ")), "{error}");
                }
            }
        }
    }
}
