use std::sync::mpsc::{channel, sync_channel, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use crate::digest::{Algorithm, Digest, Hasher};

/// Takes digests in a thread of its own, while bytes are decompressed in another.
pub(super) struct SideHasher {
    chunk: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Vec<Digest>>,
}

/// Bytes that go over at a time, and how many such chunks may wait.
const CHUNK: usize = 256 * 1024;
const WAITING: usize = 2;

impl SideHasher {
    /// Starts one digest of each algorithm.
    pub(super) fn start(algorithms: Vec<Algorithm>) -> Self {
        let (full, chunks) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, empty) = channel();
        let thread = thread::spawn(move || {
            let mut hashers: Vec<Hasher> = algorithms.into_iter().map(Hasher::new).collect();
            for mut chunk in chunks {
                for hasher in &mut hashers {
                    hasher.update(&chunk);
                }
                chunk.clear();
                // The other side may be done with taking chunks back.
                let _ = give_back.send(chunk);
            }
            hashers.into_iter().map(Hasher::finish).collect()
        });
        SideHasher { chunk: Vec::with_capacity(CHUNK), full, empty, thread }
    }

    /// Takes in more bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK {
                let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
                self.send(next);
            }
        }
    }

    /// The digests of all bytes taken in.
    pub(super) fn finish(mut self) -> Vec<Digest> {
        self.send(Vec::new());
        drop(self.full);
        self.thread.join().expect("hashing does not panic")
    }

    fn send(&mut self, next: Vec<u8>) {
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.full.send(chunk).expect("the thread lives until the last chunk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_all_bytes_however_they_are_cut() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        for size in [1000, CHUNK, bytes.len()] {
            let mut hasher = SideHasher::start(vec![Algorithm::Sha256, Algorithm::Sha512]);
            bytes.chunks(size).for_each(|chunk| hasher.update(chunk));
            let digests = hasher.finish();
            let mut sha512 = Hasher::new(Algorithm::Sha512);
            sha512.update(&bytes);
            assert_eq!(digests, [Digest::of(&bytes), sha512.finish()]);
        }
        assert_eq!(SideHasher::start(vec![Algorithm::Sha256]).finish(), [Digest::of(b"")]);
    }
}
