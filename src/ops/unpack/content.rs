//! The content of regular files, with holes where there are long runs of zeros.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{IoContext, Result};

/// A run of this many zeros, at a multiple of this many bytes, becomes a hole.
const HOLE: usize = 64 << 10;
/// The same as a distance in a file.
const HOLE_STEP: i64 = 64 << 10;
static ZEROS: [u8; HOLE] = [0; HOLE];

/// Copies contents to files, through one buffer.
#[derive(Debug)]
pub(super) struct Copier {
    buffer: Box<[u8]>,
    written: u64,
}

impl Default for Copier {
    fn default() -> Self {
        Copier { buffer: vec![0; 4 * HOLE].into(), written: 0 }
    }
}

impl Copier {
    /// Copies all of `content`, which `source` names, to an empty file. The inner error is the file's.
    pub(super) fn copy(&mut self, content: &mut dyn Read, source: &str, file: &File) -> Result<io::Result<()>> {
        let mut output = Output { file, size: 0, ends_in_hole: false };
        loop {
            let filled = fill(content, &mut self.buffer).at("read", Path::new(source))?;
            let result = output.write(&self.buffer[..filled]);
            if result.is_err() {
                return Ok(result);
            }
            // A buffer that is not full holds the end of the content: another read is not needed.
            if filled < self.buffer.len() {
                self.written += output.size;
                return Ok(output.finish());
            }
        }
    }

    /// Bytes of all contents so far, including holes.
    pub(super) fn written(&self) -> u64 {
        self.written
    }
}

/// Fills the buffer, unless the end comes first.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

struct Output<'a> {
    file: &'a File,
    size: u64,
    ends_in_hole: bool,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        let mut start = 0;
        for (number, piece) in bytes.chunks_exact(HOLE).enumerate() {
            if piece == ZEROS {
                let at = number * HOLE;
                self.write_stored(&bytes[start..at])?;
                self.file.seek(SeekFrom::Current(HOLE_STEP))?;
                self.ends_in_hole = true;
                start = at + HOLE;
            }
        }
        self.write_stored(&bytes[start..])
    }

    fn write_stored(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.ends_in_hole = false;
        self.file.write_all(bytes)
    }

    fn finish(self) -> io::Result<()> {
        if self.ends_in_hole {
            self.file.set_len(self.size)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    /// Yields seven bytes more with each call.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
            self.1 += 7;
            let count = output.len().min(self.1);
            self.0.read(&mut output[..count])
        }
    }

    #[test]
    fn content_is_the_same_wherever_the_zeros_are() {
        let dir = TempDir::new("content");
        let mut copier = Copier::default();
        let mut total = 0;
        for (size, stored) in [
            (0, &[][..]),
            (1, &[0]),
            (HOLE - 1, &[]),
            (HOLE, &[]),
            (HOLE + 1, &[]),
            (4 * HOLE, &[]),
            (4 * HOLE, &[0]),
            (5 * HOLE, &[HOLE - 1, 4 * HOLE]),
            (9 * HOLE + 5, &[3 * HOLE, 9 * HOLE]),
            (12 * HOLE, &[7 * HOLE + 9]),
        ] {
            let mut bytes = vec![0; size];
            for at in stored {
                bytes[*at] = 1;
            }
            let path = dir.path().join("file");
            let file = File::create(&path).unwrap();
            copier.copy(&mut Slow(&bytes, 0), "test", &file).unwrap().unwrap();
            assert!(fs::read(&path).unwrap() == bytes, "{size} bytes, {stored:?}");
            total += size as u64;
            assert_eq!(copier.written(), total);
        }
    }

    #[test]
    fn zeros_take_no_room() {
        let dir = TempDir::new("content-hole");
        let path = dir.path().join("file");
        let mut zeros = io::repeat(0).take(64 << 20);
        Copier::default().copy(&mut zeros, "test", &File::create(&path).unwrap()).unwrap().unwrap();
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.size(), 64 << 20);
        assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    }
}
