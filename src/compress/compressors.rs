//! The threads that compress, and the memory that goes through them: one set for an encoder, or for several side by side,
//! which then need no more of either than one does.
//!
//! They cannot wait for each other in a ring: a worker waits for nothing but work, and each block has its two buffers
//! before it is sent on its way, so that it comes out and gives them back, whosever it is.

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

/// Threads that compress blocks. They end when all encoders that use them have ended.
pub struct Compressors {
    pub(super) codec: Codec,
    /// What encoders fill.
    inputs: Mutex<Pool>,
    /// Where compressed blocks go.
    outputs: Mutex<Pool>,
    /// None where nothing is compressed.
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

struct Job {
    input: Arc<Buffer>,
    output: Buffer,
    answer: SyncSender<io::Result<Compressed>>,
}

/// A block that was compressed.
pub(super) struct Compressed {
    pub(super) output: Buffer,
    pub(super) encoded: EncodedBlock,
    pub(super) input_size: usize,
    pub(super) took: Duration,
}

impl Compressors {
    /// Starts `threads` of them. Blocks that `cache` knows are copied from there; the output is the same.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn start(
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

    /// `limit` and `bound` are the most bytes of a block before and after.
    pub(super) fn with(
        codec: Codec,
        encoder: Option<MakeEncoder>,
        threads: NonZeroUsize,
        limit: usize,
        bound: usize,
    ) -> io::Result<Arc<Self>> {
        let count = encoder.as_ref().map_or(1, |_| threads.get());
        let mut compressors = Compressors {
            codec,
            // One for each worker, one that is filled, and one that is ready for the next worker that has time.
            inputs: Mutex::new(Pool::new(count + 2, limit)),
            // One for each worker, one that is written, and one that waits for that.
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
                compressors.workers.push(thread.spawn(move || work(&*encoder, &queue))?);
            }
        }
        Ok(Arc::new(compressors))
    }

    /// An empty buffer for a block; waits until one is free.
    pub(super) fn input(&self) -> Buffer {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether blocks are changed.
    pub(super) fn compress(&self) -> bool {
        self.jobs.is_some()
    }

    /// Sends a block on its way; waits when too many are. The answer comes in the channel; none if nobody will.
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
        // Nothing can panic while the lock is held, so it is never poisoned.
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
        // Nobody waits for it where its encoder has failed.
        let _ = answer.send(result.map(|encoded| Compressed { output, encoded, input_size, took }));
    }
}
