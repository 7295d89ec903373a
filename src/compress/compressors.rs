//! The threads that compress, and the memory that passes through them. Several encoders can share one set, which then
//! needs no more of either than one encoder does.
//!
//! They cannot deadlock: a worker waits for nothing but work, and each block has both its buffers before it is sent. So
//! it always comes out and frees them, whichever encoder it belongs to.

use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::block::{self, BlockSize};
use super::block_encoder::{BlockEncoder, EncodedBlock, MakeEncoder};
use super::buffer::{Buffer, Pool};
use super::caching::{caching, encoding};
use super::codec::Codec;
use crate::block_cache::BlockCache;
use crate::parallel::no_thread;

/// Threads that compress blocks. They end when all encoders that use them have ended.
pub(crate) struct Compressors {
    pub(super) codec: Codec,
    /// Buffers that encoders fill.
    inputs: Mutex<Pool>,
    /// Buffers for compressed blocks.
    outputs: Mutex<Pool>,
    /// `None` if nothing is compressed.
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

/// How many threads per core may have work at the same time.
const BUSY: usize = 8;

struct Job {
    input: Arc<Buffer>,
    output: Buffer,
    answer: SyncSender<io::Result<Compressed>>,
}

/// A compressed block.
pub(super) struct Compressed {
    pub(super) output: Buffer,
    pub(super) encoded: EncodedBlock,
    pub(super) input_size: usize,
    pub(super) took: Duration,
}

impl Compressors {
    /// Starts `threads` threads. Blocks that `cache` knows are copied from there; the output is the same.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub(crate) fn start(
        codec: impl Into<Codec>,
        threads: NonZeroUsize,
        cache: Option<&Arc<dyn BlockCache>>,
    ) -> io::Result<Arc<Self>> {
        let codec = codec.into();
        let encoder = block::encoder(codec).map(|encoder| match cache.zip(encoding(codec)) {
            Some((cache, encoding)) => caching(encoder, encoding, Arc::clone(cache)),
            None => encoder,
        });
        let limit = BlockSize::of(codec).most;
        Compressors::with(codec, encoder, threads, limit, block::bound(codec, limit))
    }

    /// `limit` and `bound` are the most bytes of a block before and after compression.
    pub(super) fn with(
        codec: Codec,
        encoder: Option<MakeEncoder>,
        threads: NonZeroUsize,
        limit: usize,
        bound: usize,
    ) -> io::Result<Arc<Self>> {
        // More threads than the machine can run do nothing but take memory.
        let most = thread::available_parallelism().map_or(usize::MAX, |cores| cores.get().saturating_mul(BUSY));
        let count = encoder.as_ref().map_or(1, |_| threads.get().min(most));
        let mut compressors = Compressors {
            codec,
            // One for each worker, one being filled, and one ready for the next worker that is free.
            inputs: Mutex::new(Pool::new(count + 2, limit)),
            // One for each worker, one being written, and one waiting to be written.
            outputs: Mutex::new(Pool::new(count + 2, bound)),
            jobs: None,
            workers: Vec::new(),
        };
        if let Some(encoder) = encoder {
            let (jobs, queue) = channel();
            compressors.jobs = Some(jobs);
            let queue = Arc::new(Mutex::new(queue));
            for number in 0..count {
                let (encoder, queue) = (Arc::clone(&encoder), Arc::clone(&queue));
                let thread = thread::Builder::new().name(format!("compress-{number}"));
                match thread.spawn(move || work(&*encoder, &queue)) {
                    Ok(worker) => compressors.workers.push(worker),
                    Err(error) if compressors.workers.is_empty() => return Err(no_thread(&error)),
                    // Where the system has no more, fewer do it.
                    Err(_) => break,
                }
            }
        }
        Ok(Arc::new(compressors))
    }

    /// Returns an empty buffer for a block; waits until one is free.
    pub(super) fn input(&self) -> Buffer {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns whether blocks are compressed.
    pub(super) fn compress(&self) -> bool {
        self.jobs.is_some()
    }

    /// Sends a block to the workers; waits when too many are on their way. Returns the channel for the answer, or
    /// `None` if there is no worker.
    pub(super) fn send(&self, input: Arc<Buffer>) -> Option<Receiver<io::Result<Compressed>>> {
        let jobs = self.jobs.as_ref()?;
        let output = self.outputs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (answer, compressed) = sync_channel(1);
        jobs.send(Job { input, output, answer }).ok().map(|()| compressed)
    }
}

impl Drop for Compressors {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

/// Compresses blocks until there are no more.
fn work(make: &dyn Fn() -> io::Result<Box<dyn BlockEncoder>>, queue: &Mutex<Receiver<Job>>) {
    let mut encoder = None;
    loop {
        // Nothing panics while the lock is held, so it is never poisoned.
        let job = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some(Job { input, mut output, answer }) = job else { return };
        let start = Instant::now();
        let result = match &mut encoder {
            Some(encoder) => Ok(encoder),
            None => make().map(|new| encoder.insert(new)),
        }
        .and_then(|encoder| encoder.encode(&input, &mut output));
        let took = start.elapsed();
        let input_size = input.len();
        drop(input);
        // If its encoder has failed, the receiver is gone.
        let _ = answer.send(result.map(|encoded| Compressed { output, encoded, input_size, took }));
    }
}
