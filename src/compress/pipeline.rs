//! The threads of an encoder.
//!
//! ```text
//! blocks ─┬─> N workers: compress ─> joiner: digest of the output, write, in the order of the blocks
//!         └─> hasher: digest of the input
//! ```
//!
//! Order needs no sorting: for each block the joiner gets, in order, a channel on which the worker will answer. No
//! error and no panic can leave a thread waiting: a thread that ends drops its ends of the channels, which wakes the
//! others, and drops the buffers in them, which frees them.

use std::io::{self, Write};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::block::Frame;
use super::buffer::Buffer;
use super::compressors::{Compressed, Compressors};
use super::encoded::{Busy, Encoded, InputDigest};
use crate::block_cache::KeptBlock;
use crate::digest::{Digest, Hasher};
use crate::error::once_more;
use crate::parallel::no_thread;

/// The running threads. If it is dropped before the end, it waits for them.
pub(super) struct Pipeline<W> {
    /// `None` when the pipeline has ended.
    channels: Option<Channels>,
    joiner: Option<JoinHandle<io::Result<Joined<W>>>>,
    hasher: Option<JoinHandle<(Digest, Duration)>>,
    input: InputDigest,
    failure: Option<io::Error>,
    compressors: Arc<Compressors>,
}

struct Channels {
    order: Sender<Pending>,
    hash: Option<Sender<Arc<Buffer>>>,
}

/// What the joiner writes next.
enum Pending {
    Plain(Arc<Buffer>),
    Compressed(Receiver<io::Result<Compressed>>),
    /// All blocks were sent; without it, the stream was abandoned.
    End,
}

impl<W: Write + Send + 'static> Pipeline<W> {
    /// Starts the threads that write and hash, and writes the head to `inner` at once.
    pub(super) fn start(
        inner: W,
        compressors: &Arc<Compressors>,
        frame: Frame,
        input: InputDigest,
    ) -> io::Result<Self> {
        let (order, queue) = channel();
        // If nothing is compressed, input and output are the same.
        let (hash, hasher) = if input == InputDigest::Compute && compressors.compress() {
            let (hash, blocks) = channel();
            (Some(hash), Some(spawn("hash", move || hash_all(&blocks))?))
        } else {
            (None, None)
        };
        // If this one cannot be started, the channels go, and the hasher with them: no thread is left waiting.
        let joiner = Some(spawn("write", move || join(inner, &queue, frame))?);
        let channels = Some(Channels { order, hash });
        Ok(Pipeline { channels, joiner, hasher, input, failure: None, compressors: Arc::clone(compressors) })
    }

    /// Sends the next block to the workers; waits when too many are on their way.
    pub(super) fn push(&mut self, block: Buffer) -> io::Result<()> {
        let Some(channels) = &self.channels else { return Err(self.ended()) };
        let block = Arc::new(block);
        let hashed = match &channels.hash {
            Some(hash) => hash.send(Arc::clone(&block)).is_ok(),
            None => true,
        };
        let pending = if self.compressors.compress() {
            self.compressors.send(block).map(Pending::Compressed)
        } else {
            Some(Pending::Plain(block))
        };
        let Some(pending) = pending else {
            let _ = self.stop();
            self.failure = Some(panicked("compressing"));
            return Err(self.ended());
        };
        if channels.order.send(pending).is_ok() && hashed {
            Ok(())
        } else {
            Err(self.stop())
        }
    }

    /// Returns an error if an earlier call has ended the pipeline with one.
    pub(super) fn running(&self) -> io::Result<()> {
        match self.channels {
            Some(_) => Ok(()),
            None => Err(self.ended()),
        }
    }

    /// Says that all blocks were sent.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let Some(channels) = self.channels.take() else { return Err(self.ended()) };
        // If the joiner has ended early, its result says why.
        let _ = channels.order.send(Pending::End);
        Ok(())
    }

    /// Waits until everything is written and returns the inner writer and the report. The pipeline must have ended.
    pub(super) fn wait(mut self) -> io::Result<(W, Encoded)> {
        let (joined, hashed) = (self.join_joiner(), self.join_hasher());
        let (joined, hashed) = (joined?, hashed?);
        let output = joined.hasher.finish();
        let (input, hash) = match (self.input, hashed) {
            (InputDigest::Skip, _) => (None, Duration::ZERO),
            (InputDigest::Compute, Some((digest, busy))) => (Some(digest), busy),
            (InputDigest::Compute, None) => (Some(output.clone()), Duration::ZERO),
        };
        let encoded = Encoded {
            input,
            input_size: joined.input_size,
            output,
            output_size: joined.output_size,
            busy: Busy { hash: hash + joined.busy.hash, ..joined.busy },
            blocks: joined.blocks,
        };
        Ok((joined.inner, encoded))
    }

    /// Ends the pipeline after a failure and returns the failure.
    fn stop(&mut self) -> io::Error {
        self.channels = None;
        let (joined, hashed) = (self.join_joiner(), self.join_hasher());
        self.failure = joined.err().or(hashed.err());
        self.ended()
    }

    /// Returns the failure that ended the pipeline, once more.
    fn ended(&self) -> io::Error {
        match &self.failure {
            Some(failure) => once_more(failure),
            None => given_up(),
        }
    }

    fn join_joiner(&mut self) -> io::Result<Joined<W>> {
        match self.joiner.take().map(JoinHandle::join) {
            Some(Ok(joined)) => joined,
            Some(Err(_)) => Err(panicked("writing")),
            None => Err(given_up()),
        }
    }

    fn join_hasher(&mut self) -> io::Result<Option<(Digest, Duration)>> {
        self.hasher.take().map(|thread| thread.join().map_err(|_| panicked("hashing"))).transpose()
    }
}

impl<W> Drop for Pipeline<W> {
    fn drop(&mut self) {
        self.channels = None;
        let _ = self.joiner.take().map(JoinHandle::join);
        let _ = self.hasher.take().map(JoinHandle::join);
    }
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| no_thread(&error))
}

fn panicked(thread: &str) -> io::Error {
    io::Error::other(format!("the {thread} thread panicked"))
}

fn given_up() -> io::Error {
    io::Error::other("the stream was abandoned before its end")
}

fn hash_all(blocks: &Receiver<Arc<Buffer>>) -> (Digest, Duration) {
    let mut hasher = Hasher::default();
    let mut busy = Duration::ZERO;
    for block in blocks {
        let start = Instant::now();
        hasher.update(&block);
        busy += start.elapsed();
    }
    (hasher.finish(), busy)
}

/// What the joiner returns.
struct Joined<W> {
    inner: W,
    input_size: u64,
    hasher: Hasher,
    output_size: u64,
    busy: Busy,
    blocks: Vec<KeptBlock>,
}

/// Writes the head, the blocks in their order, and the tail.
fn join<W: Write>(inner: W, queue: &Receiver<Pending>, frame: Frame) -> io::Result<Joined<W>> {
    let (hasher, busy) = (Hasher::default(), Busy::default());
    let mut joined = Joined { inner, input_size: 0, hasher, output_size: 0, busy, blocks: Vec::new() };
    let mut checksum = crc32fast::Hasher::new();
    joined.put(frame.head())?;
    for pending in queue {
        match pending {
            Pending::Plain(block) => {
                joined.input_size += block.len() as u64;
                joined.put(&block)?;
            }
            Pending::Compressed(answer) => {
                let block = answer.recv().map_err(|_| panicked("compressing"))??;
                joined.input_size += block.input_size as u64;
                joined.busy.compress += block.took;
                checksum.combine(&block.encoded.checksum);
                joined.blocks.extend(kept(&block, joined.output_size));
                joined.put(&block.output)?;
            }
            Pending::End => {
                joined.put(&frame.tail(checksum, joined.input_size))?;
                joined.inner.flush()?;
                return Ok(joined);
            }
        }
    }
    Err(given_up())
}

/// Returns what a cache should keep about a block, or `None` if it does not identify the block.
fn kept(block: &Compressed, offset: u64) -> Option<KeptBlock> {
    let known = block.encoded.known.as_ref()?;
    Some(KeptBlock {
        block: known.block,
        checksum: block.encoded.checksum.clone().finalize(),
        offset,
        size: u32::try_from(block.output.len()).ok()?,
        stored_checksum: known.stored_checksum,
        was_found: known.was_found,
    })
}

impl<W: Write> Joined<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let start = Instant::now();
        self.hasher.update(bytes);
        let hashed = Instant::now();
        self.inner.write_all(bytes)?;
        self.busy.hash += hashed - start;
        self.busy.write += hashed.elapsed();
        self.output_size += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc::RecvTimeoutError;
    use std::sync::Mutex;

    use super::*;
    use crate::compress::block_encoder::{BlockEncoder, EncodedBlock, MakeEncoder};
    use crate::compress::buffer::Pool;
    use crate::compress::Codec;

    /// Fails if `run` hangs, which is what faulty error handling in threads causes.
    fn ends<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let thread = thread::spawn(move || done.send(run()));
        match result.recv_timeout(Duration::from_secs(60)) {
            Err(RecvTimeoutError::Timeout) => panic!("hangs"),
            Err(RecvTimeoutError::Disconnected) => panic!("{:?}", thread.join().map(|_| ())),
            Ok(result) => result,
        }
    }

    /// What goes wrong with a block that starts with this byte.
    const PANIC: u8 = 1;
    const FAIL: u8 = 2;

    /// Copies blocks unchanged.
    struct Copy;

    impl BlockEncoder for Copy {
        fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock> {
            match input.first() {
                Some(&PANIC) => panic!("as the test wants it"),
                Some(&FAIL) => return Err(io::Error::from_raw_os_error(5)),
                _ => {}
            }
            output.room()[..input.len()].copy_from_slice(input);
            output.fill(input.len());
            Ok(EncodedBlock::default())
        }
    }

    /// Fails or panics instead of writing more than `room` bytes; says when it is dropped.
    struct Sink {
        room: usize,
        fault: Fault,
        dropped: Arc<Mutex<bool>>,
    }

    enum Fault {
        NoSpace,
        Panic,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match (self.room.checked_sub(bytes.len()), &self.fault) {
                (Some(room), _) => self.room = room,
                (None, Fault::NoSpace) => return Err(io::Error::from_raw_os_error(28)),
                (None, Fault::Panic) => panic!("as the test wants it"),
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Drop for Sink {
        fn drop(&mut self) {
            *self.dropped.lock().unwrap() = true;
        }
    }

    fn compressors(threads: usize) -> Arc<Compressors> {
        let encoder: MakeEncoder = Arc::new(|| Ok(Box::new(Copy)));
        Compressors::with(Codec::Plain, Some(encoder), NonZeroUsize::new(threads).unwrap(), 100, 100).unwrap()
    }

    fn start<W: Write + Send + 'static>(inner: W, threads: usize) -> Pipeline<W> {
        start_with(inner, &compressors(threads))
    }

    fn start_with<W: Write + Send + 'static>(inner: W, compressors: &Arc<Compressors>) -> Pipeline<W> {
        Pipeline::start(inner, compressors, Frame::Bare, InputDigest::Compute).unwrap()
    }

    fn finish<W: Write + Send + 'static>(mut pipeline: Pipeline<W>) -> io::Result<(W, Encoded)> {
        pipeline.end()?;
        pipeline.wait()
    }

    /// Pushes blocks of 100 bytes, with `odd` at number `at`, until one is refused; returns how many were accepted.
    fn push_until_refused<W: Write + Send + 'static>(
        pipeline: &mut Pipeline<W>,
        at: usize,
        odd: u8,
    ) -> (usize, io::Error) {
        let mut inputs = Pool::new(3, 100);
        for number in 0.. {
            let mut block = inputs.take();
            block.room()[0] = if number == at { odd } else { 0 };
            block.fill(100);
            if let Err(error) = pipeline.push(block) {
                return (number, error);
            }
        }
        unreachable!("blocks without end")
    }

    #[test]
    fn an_error_of_the_writer_keeps_its_number_and_is_repeated() {
        for threads in [1, 2, 5] {
            ends(move || {
                let dropped = Arc::default();
                let sink = Sink { room: 1000, fault: Fault::NoSpace, dropped: Arc::clone(&dropped) };
                let mut pipeline = start(sink, threads);
                let (taken, error) = push_until_refused(&mut pipeline, 0, 0);
                assert_eq!(error.raw_os_error(), Some(28));
                // Those that were written, and those on their way.
                assert!((10..=10 + threads + 3).contains(&taken), "{taken}");
                assert!(*dropped.lock().unwrap());
                assert_eq!(pipeline.running().unwrap_err().raw_os_error(), Some(28));
                assert_eq!(finish(pipeline).map(|_| ()).unwrap_err().raw_os_error(), Some(28));
            });
        }
    }

    #[test]
    fn an_error_at_the_very_end_is_the_result_of_finish() {
        ends(|| {
            let mut pipeline = start(Sink { room: 50, fault: Fault::NoSpace, dropped: Arc::default() }, 2);
            let mut block = Pool::new(1, 100).take();
            block.fill(100);
            pipeline.push(block).unwrap();
            assert_eq!(finish(pipeline).map(|_| ()).unwrap_err().raw_os_error(), Some(28));
        });
    }

    #[test]
    fn errors_and_panics_of_workers_end_the_stream() {
        for threads in [1, 2, 5] {
            for at in [0, 1, 7] {
                ends(move || {
                    let (taken, error) = push_until_refused(&mut start(io::sink(), threads), at, FAIL);
                    assert_eq!(error.raw_os_error(), Some(5));
                    assert!(taken > at && taken <= at + threads + 3, "{taken}");
                    let (_, error) = push_until_refused(&mut start(io::sink(), threads), at, PANIC);
                    assert_eq!(error.to_string(), "the compressing thread panicked");
                });
            }
        }
    }

    #[test]
    fn a_panic_of_the_writer_ends_the_stream() {
        ends(|| {
            let mut pipeline = start(Sink { room: 300, fault: Fault::Panic, dropped: Arc::default() }, 2);
            let (_, error) = push_until_refused(&mut pipeline, 0, 0);
            assert_eq!(error.to_string(), "the writing thread panicked");
        });
    }

    #[test]
    fn given_up_it_waits_for_its_threads() {
        ends(|| {
            let dropped = Arc::default();
            let sink = Sink { room: 1000, fault: Fault::NoSpace, dropped: Arc::clone(&dropped) };
            let mut pipeline = start(sink, 2);
            let mut block = Pool::new(1, 100).take();
            block.fill(100);
            pipeline.push(block).unwrap();
            drop(pipeline);
            assert!(*dropped.lock().unwrap());
        });
    }

    #[test]
    fn one_that_fails_does_not_disturb_its_neighbours() {
        for odd in [0, FAIL] {
            ends(move || {
                let shared = compressors(2);
                let mut inputs = Pool::new(3, 100);
                let mut block = |first: u8| {
                    let mut block = inputs.take();
                    block.room()[0] = first;
                    block.fill(100);
                    block
                };
                let mut before = start_with(Vec::new(), &shared);
                before.push(block(0)).unwrap();
                before.end().unwrap();
                let mut failing =
                    start_with(Sink { room: 300, fault: Fault::NoSpace, dropped: Arc::default() }, &shared);
                let (_, error) = push_until_refused(&mut failing, 2, odd);
                assert!(matches!(error.raw_os_error(), Some(5 | 28)), "{error}");
                let mut after = start_with(Vec::new(), &shared);
                drop(shared);
                for _ in 0..20 {
                    after.push(block(0)).unwrap();
                }
                after.end().unwrap();
                assert_eq!(after.wait().unwrap().0, vec![0; 2000]);
                assert_eq!(before.wait().unwrap().0, vec![0; 100]);
            });
        }
    }
}
