//! The threads behind an encoder.
//!
//! ```text
//! blocks ─┬─> N workers: compress ─> joiner: digest of the output, write, in the order of the blocks
//!         └─> hasher: digest of the input
//! ```
//!
//! Order needs no sorting: for each block the joiner gets, in order, a channel on which the worker will answer. No
//! error and no panic can leave anybody waiting: a thread that ends drops its ends of the channels, which wakes the
//! others, and drops the buffers in them, which frees them.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::block::Frame;
use super::block_encoder::{BlockEncoder, MakeEncoder};
use super::buffer::{Buffer, Pool};
use super::encoded::{Busy, Encoded, InputDigest};
use crate::digest::{Digest, Hasher};

/// What happens to the blocks.
pub(super) struct Plan {
    /// What compresses them, if anything does.
    pub(super) workers: Option<Workers>,
    /// What stands around them.
    pub(super) frame: Frame,
    /// Whether the input is hashed.
    pub(super) input: InputDigest,
}

/// Threads that compress.
pub(super) struct Workers {
    pub(super) encoder: MakeEncoder,
    pub(super) count: NonZeroUsize,
    /// The most bytes that a block can become.
    pub(super) bound: usize,
}

/// The running threads. Dropped before its end, it waits for them.
pub(super) struct Pipeline<W> {
    /// Gone when the pipeline has ended.
    channels: Option<Channels>,
    /// Where compressed blocks go.
    outputs: Pool,
    joiner: Option<JoinHandle<io::Result<Joined<W>>>>,
    workers: Vec<JoinHandle<Duration>>,
    hasher: Option<JoinHandle<(Digest, Duration)>>,
    input: InputDigest,
    failure: Option<io::Error>,
}

struct Channels {
    jobs: Option<Sender<Job>>,
    order: Sender<Pending>,
    hash: Option<Sender<Arc<Buffer>>>,
}

struct Job {
    input: Arc<Buffer>,
    output: Buffer,
    answer: SyncSender<io::Result<Compressed>>,
}

struct Compressed {
    output: Buffer,
    checksum: crc32fast::Hasher,
    input_size: usize,
}

/// What the joiner writes next.
enum Pending {
    Plain(Arc<Buffer>),
    Compressed(Receiver<io::Result<Compressed>>),
    /// All blocks were there: without it, the stream was given up.
    End,
}

impl<W: Write + Send + 'static> Pipeline<W> {
    /// Starts the threads; the head is written to `inner` at once.
    pub(super) fn start(inner: W, plan: Plan) -> io::Result<Self> {
        let Plan { workers, frame, input } = plan;
        let (order, queue) = channel();
        let mut channels = Channels { jobs: None, order, hash: None };
        let mut pipeline = Pipeline {
            channels: None,
            outputs: Pool::new(0, 0),
            joiner: Some(spawn("write", move || join(inner, &queue, frame))?),
            workers: Vec::new(),
            hasher: None,
            input,
            failure: None,
        };
        if let Some(Workers { encoder, count, bound }) = workers {
            let (jobs, queue) = channel();
            channels.jobs = Some(jobs);
            // One for each worker, one that is written, and one that waits for that.
            pipeline.outputs = Pool::new(count.get() + 2, bound);
            let queue = Arc::new(Mutex::new(queue));
            for number in 0..count.get() {
                let (encoder, queue) = (Arc::clone(&encoder), Arc::clone(&queue));
                pipeline.workers.push(spawn(&format!("compress-{number}"), move || work(&*encoder, &queue))?);
            }
            // Without workers, input and output are the same.
            if input == InputDigest::Compute {
                let (hash, blocks) = channel();
                channels.hash = Some(hash);
                pipeline.hasher = Some(spawn("hash", move || hash_all(&blocks))?);
            }
        }
        pipeline.channels = Some(channels);
        Ok(pipeline)
    }

    /// Sends the next block on its way; waits when too many are.
    pub(super) fn push(&mut self, block: Buffer) -> io::Result<()> {
        let Some(channels) = &self.channels else { return Err(self.ended()) };
        let block = Arc::new(block);
        let mut sent = match &channels.hash {
            Some(hash) => hash.send(Arc::clone(&block)).is_ok(),
            None => true,
        };
        let pending = match &channels.jobs {
            Some(jobs) => {
                // In the order of the blocks: so the block that the joiner waits for always has its buffer.
                let output = self.outputs.take();
                let (answer, compressed) = sync_channel(1);
                sent &= jobs.send(Job { input: block, output, answer }).is_ok();
                Pending::Compressed(compressed)
            }
            None => Pending::Plain(block),
        };
        sent &= channels.order.send(pending).is_ok();
        if sent {
            Ok(())
        } else {
            Err(self.stop())
        }
    }

    /// An error if an earlier call has ended the pipeline with one.
    pub(super) fn running(&self) -> io::Result<()> {
        match self.channels {
            Some(_) => Ok(()),
            None => Err(self.ended()),
        }
    }

    /// Waits until all is written and gives back what was wrapped.
    pub(super) fn finish(mut self) -> io::Result<(W, Encoded)> {
        let Some(channels) = self.channels.take() else { return Err(self.ended()) };
        // If the joiner has ended early, its result says why.
        let _ = channels.order.send(Pending::End);
        drop(channels);
        let (joined, hashed, compress) = (self.join_joiner(), self.join_hasher(), self.join_workers());
        let (joined, hashed, compress) = (joined?, hashed?, compress?);
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
            busy: Busy { hash: hash + joined.busy.hash, compress, write: joined.busy.write },
        };
        Ok((joined.inner, encoded))
    }

    /// Ends the pipeline after a failure and says what it was.
    fn stop(&mut self) -> io::Error {
        self.channels = None;
        let (joined, hashed, worked) = (self.join_joiner(), self.join_hasher(), self.join_workers());
        self.failure = joined.err().or(hashed.err()).or(worked.err());
        self.ended()
    }

    /// The failure that ended the pipeline, once more.
    fn ended(&self) -> io::Error {
        match &self.failure {
            Some(failure) => match failure.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(failure.kind(), failure.to_string()),
            },
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

    fn join_workers(&mut self) -> io::Result<Duration> {
        // All of them, also behind one that panicked.
        let ends: Vec<_> = self.workers.drain(..).map(JoinHandle::join).collect();
        ends.into_iter().sum::<Result<_, _>>().map_err(|_| panicked("compressing"))
    }
}

impl<W> Drop for Pipeline<W> {
    fn drop(&mut self) {
        self.channels = None;
        let _ = self.joiner.take().map(JoinHandle::join);
        let _ = self.hasher.take().map(JoinHandle::join);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn panicked(thread: &str) -> io::Error {
    io::Error::other(format!("the {thread} thread panicked"))
}

fn given_up() -> io::Error {
    io::Error::other("the stream was given up before its end")
}

/// Compresses blocks until there are no more; returns the time it took.
fn work(make: &dyn Fn() -> io::Result<Box<dyn BlockEncoder>>, queue: &Mutex<Receiver<Job>>) -> Duration {
    let mut busy = Duration::ZERO;
    let mut encoder = None;
    loop {
        // Nothing can panic while the lock is held, so it is never poisoned.
        let job = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some(Job { input, mut output, answer }) = job else { return busy };
        let start = Instant::now();
        let checksum = match &mut encoder {
            Some(encoder) => Ok(encoder),
            None => make().map(|made| encoder.insert(made)),
        }
        .and_then(|encoder| encoder.encode(&input, &mut output));
        busy += start.elapsed();
        let input_size = input.len();
        drop(input);
        if answer.send(checksum.map(|checksum| Compressed { output, checksum, input_size })).is_err() {
            return busy;
        }
    }
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

/// What the joiner gives back.
struct Joined<W> {
    inner: W,
    input_size: u64,
    hasher: Hasher,
    output_size: u64,
    busy: Busy,
}

/// Writes what stands in front, the blocks in their order, and what stands behind them.
fn join<W: Write>(inner: W, queue: &Receiver<Pending>, frame: Frame) -> io::Result<Joined<W>> {
    let (hasher, busy) = (Hasher::default(), Busy::default());
    let mut joined = Joined { inner, input_size: 0, hasher, output_size: 0, busy };
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
                checksum.combine(&block.checksum);
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
    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    /// Fails if `run` hangs, which is what errors in threads do when they go wrong.
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

    /// Copies.
    struct Copy;

    impl BlockEncoder for Copy {
        fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<crc32fast::Hasher> {
            match input.first() {
                Some(&PANIC) => panic!("as the test wants it"),
                Some(&FAIL) => return Err(io::Error::from_raw_os_error(5)),
                _ => {}
            }
            output.room()[..input.len()].copy_from_slice(input);
            output.fill(input.len());
            Ok(crc32fast::Hasher::new())
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

    fn start<W: Write + Send + 'static>(inner: W, threads: usize) -> Pipeline<W> {
        let encoder: MakeEncoder = Arc::new(|| Ok(Box::new(Copy)));
        let workers = Workers { encoder, count: NonZeroUsize::new(threads).unwrap(), bound: 100 };
        let plan = Plan { workers: Some(workers), frame: Frame::Bare, input: InputDigest::Compute };
        Pipeline::start(inner, plan).unwrap()
    }

    /// Pushes blocks of 100 bytes, `odd` as the one numbered `at`, until one is refused; returns how many were taken.
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
                // Those that were written, and those that were on their way.
                assert!((10..=10 + threads + 3).contains(&taken), "{taken}");
                assert!(*dropped.lock().unwrap());
                assert_eq!(pipeline.running().unwrap_err().raw_os_error(), Some(28));
                assert_eq!(pipeline.finish().map(|_| ()).unwrap_err().raw_os_error(), Some(28));
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
            assert_eq!(pipeline.finish().map(|_| ()).unwrap_err().raw_os_error(), Some(28));
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
}
