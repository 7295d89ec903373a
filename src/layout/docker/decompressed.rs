//! A layer of a docker archive as the tar in it. No digest covers its stored bytes, so they are held to their format:
//! there is one compressed stream, or several, and nothing after it.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::compress::Decoder;
use crate::error::{once_more, Error, IoContext, Result};
use crate::layout::archive::Archive;
use crate::limits::Exceeded;

/// Yields the tar in a layer. Errors name the archive and the layer.
pub(super) struct DecompressedLayer<'a, R> {
    /// `None` at the end.
    decoder: Option<Decoder<R>>,
    archive: &'a Archive,
    member: &'a str,
    /// Why it cannot be read on.
    failure: Option<io::Error>,
}

impl<'a, R: Read> DecompressedLayer<'a, R> {
    /// `stored` is the content of the member.
    pub(super) fn new(stored: R, archive: &'a Archive, member: &'a str) -> Result<Self> {
        let decoder = Decoder::new(stored, archive.limits()).at("read", archive.path())?;
        Ok(DecompressedLayer { decoder: Some(decoder), archive, member, failure: None })
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        let read = decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let rest = self.decoder.take().map(Decoder::finish).transpose()?;
            if let Some(rest) = rest.filter(|rest| rest.trailing > 0) {
                let found =
                    format!("the end of the compressed stream expected, found {} bytes after it", rest.trailing);
                return Err(io::Error::new(io::ErrorKind::InvalidData, found));
            }
        }
        Ok(read)
    }
}

/// Adds the place to an error about the bytes of a layer. One of the system has its own.
pub(super) fn placed(error: io::Error, archive: &Archive, member: &str) -> io::Error {
    let member = member.escape_debug();
    match Error::carried_by(error) {
        Ok(carried) => carried.into(),
        Err(cause) if Exceeded::carried_by(&cause).is_some() => {
            let path = PathBuf::from(format!("{}: layer {member}", archive.path().display()));
            Error::Io { action: "read", path, cause }.into()
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Error::malformed(archive.name(), format!("layer `{member}`: {error}")).into()
        }
        Err(error) => error,
    }
}

impl<R: Read> Read for DecompressedLayer<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failure) = &self.failure {
            return Err(once_more(failure));
        }
        match self.step(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let error = placed(error, self.archive, self.member);
                self.failure = Some(once_more(&error));
                Err(error)
            }
            read => read,
        }
    }
}
