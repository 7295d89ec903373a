//! Reading ahead: a thread reads, and usually decodes and verifies, while the caller works on what was read before.

// This input is foreign: no value in it may end the process.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::{Builder, Scope};

use crate::compress::buffer::{Buffer, Pool};
use crate::parallel::no_thread;

/// Bytes of one buffer: enough that handing it over costs nothing compared with filling it.
const BUFFER_SIZE: usize = 256 << 10;

/// How far the thread may be ahead, in buffers: 2 MiB bridge the moments in which the caller is slow.
const BUFFERS: usize = 8;

/// Yields the bytes of a reader that another thread reads, at most 2 MiB ahead.
///
/// Bytes and errors come in the order in which the reader yields them: an error comes after the bytes before it, and
/// the end only when the reader has reported its end. So a reader that checks a digest at its end has checked it before
/// the end is seen here. Dropping a `ReadAhead` ends the thread at its next buffer.
pub(crate) struct ReadAhead {
    filled: Receiver<io::Result<Buffer>>,
    /// The buffer being consumed; an empty one is the end.
    current: Option<Buffer>,
    position: usize,
}

impl ReadAhead {
    /// Starts reading in a thread that does not outlive the scope.
    ///
    /// # Errors
    ///
    /// If the system has no thread to give.
    pub(crate) fn new<'scope, R: Read + Send + 'scope>(
        scope: &'scope Scope<'scope, '_>,
        reader: R,
    ) -> io::Result<Self> {
        let (sender, filled) = channel();
        let thread = Builder::new().name("read-ahead".to_owned());
        thread.spawn_scoped(scope, move || read_all(reader, &sender)).map_err(|error| no_thread(&error))?;
        Ok(ReadAhead { filled, current: None, position: 0 })
    }
}

/// Reads until the end, an error, or until the receiver is gone. An empty buffer marks the end.
fn read_all(mut reader: impl Read, sender: &Sender<io::Result<Buffer>>) {
    let mut pool = Pool::new(BUFFERS, BUFFER_SIZE);
    loop {
        // A caller that is gone has freed all its buffers, so this does not wait for ever.
        let mut buffer = pool.take();
        let result = fill(&mut reader, &mut buffer);
        let is_end = buffer.is_empty();
        if result.is_err() && is_end {
            let _ = sender.send(result.map(|()| buffer));
            return;
        }
        if sender.send(Ok(buffer)).is_err() || is_end {
            return;
        }
        if result.is_err() {
            let _ = sender.send(result.map(|()| pool.take()));
            return;
        }
    }
}

/// Reads until the buffer is full or the reader is at its end.
fn fill(reader: &mut impl Read, buffer: &mut Buffer) -> io::Result<()> {
    while !buffer.room().is_empty() {
        match reader.read(buffer.room()) {
            Ok(0) => break,
            Ok(count) => buffer.fill(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let used_up = self.current.as_ref().map_or(true, |buffer| !buffer.is_empty() && self.position == buffer.len());
        if used_up {
            // Free the buffer before waiting for the next.
            self.current = None;
            self.position = 0;
            let gone = |_| Err(io::Error::new(io::ErrorKind::BrokenPipe, "nothing can be read after an error"));
            self.current = Some(self.filled.recv().unwrap_or_else(gone)?);
        }
        Ok(self.current.as_deref().and_then(|buffer| buffer.get(self.position..)).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.position = self.position.saturating_add(count);
    }
}

impl Read for ReadAhead {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(output)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// Yields `size` bytes in uneven pieces, then `error` or the end.
    struct Source<'a> {
        left: usize,
        error: Option<&'static str>,
        reads: &'a AtomicUsize,
    }

    impl Read for Source<'_> {
        fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
            let reads = self.reads.fetch_add(1, Ordering::SeqCst);
            if reads % 5 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = output.len().min(self.left).min(70_001);
            for byte in &mut output[..count] {
                *byte = (self.left % 251) as u8;
                self.left -= 1;
            }
            match self.error {
                Some(error) if count == 0 => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                _ => Ok(count),
            }
        }
    }

    fn bytes(size: usize) -> Vec<u8> {
        (0..size).map(|at| ((size - at) % 251) as u8).collect()
    }

    #[test]
    fn bytes_come_in_order_whatever_their_number() {
        let reads = AtomicUsize::new(0);
        for size in [0, 1, BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 1, BUFFER_SIZE * (BUFFERS + 3) + 7] {
            thread::scope(|scope| {
                let mut ahead = ReadAhead::new(scope, Source { left: size, error: None, reads: &reads }).unwrap();
                let mut found = Vec::new();
                ahead.read_to_end(&mut found).unwrap();
                assert!(found == bytes(size), "{size}");
                assert_eq!(ahead.read(&mut [0; 9]).unwrap(), 0, "the end stays the end");
            });
        }
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        let reads = AtomicUsize::new(0);
        for size in [0, 1, BUFFER_SIZE, BUFFER_SIZE + 1] {
            thread::scope(|scope| {
                let source = Source { left: size, error: Some("damaged"), reads: &reads };
                let mut ahead = ReadAhead::new(scope, source).unwrap();
                let mut found = vec![0; size];
                ahead.read_exact(&mut found).unwrap();
                assert!(found == bytes(size));
                assert_eq!(ahead.read(&mut [0]).unwrap_err().to_string(), "damaged");
                ahead.read(&mut [0]).unwrap_err();
            });
        }
    }

    #[test]
    fn it_reads_ahead_but_not_without_bounds() {
        let reads = AtomicUsize::new(0);
        let consumed = thread::scope(|scope| {
            let source = Source { left: usize::MAX, error: None, reads: &reads };
            let mut ahead = ReadAhead::new(scope, source).unwrap();
            // Nothing is requested, and still something is read.
            while reads.load(Ordering::SeqCst) < 3 {
                thread::yield_now();
            }
            ahead.read(&mut [0; 1000]).unwrap()
        });
        // The scope has ended, so the thread has too, although the source has not. One buffer takes at most five reads.
        assert_eq!(consumed, 1000);
        assert!(reads.load(Ordering::SeqCst) <= 6 * (BUFFERS + 2), "{reads:?}");
    }
}
