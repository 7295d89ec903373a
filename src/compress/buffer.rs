//! Reusable buffers: a [`Pool`] makes a fixed number of them, and a dropped buffer is free again, wherever it is
//! dropped. This bounds memory, and buffers need not be returned explicitly, in particular after an error.

use std::ops::Deref;
use std::sync::mpsc::{channel, Receiver, Sender};

/// A fixed number of buffers of one size, made when first needed.
pub(super) struct Pool {
    size: usize,
    unmade: usize,
    free: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
}

impl Pool {
    /// Makes a pool of `count` buffers of `size` bytes.
    pub(super) fn new(count: usize, size: usize) -> Self {
        let (give_back, free) = channel();
        Pool { size, unmade: count, free, give_back }
    }

    /// Returns an empty buffer; waits until one is free.
    pub(super) fn take(&mut self) -> Buffer {
        let bytes = match self.free.try_recv() {
            Ok(bytes) => bytes,
            Err(_) if self.unmade > 0 => {
                self.unmade -= 1;
                // Zeroed memory comes from the kernel untouched: pages that are never written cost nothing.
                vec![0; self.size]
            }
            // The pool holds a sender itself, so this cannot find the channel closed.
            Err(_) => self.free.recv().unwrap_or_default(),
        };
        Buffer { bytes, filled: 0, give_back: self.give_back.clone() }
    }
}

/// A buffer of a pool; it derefs to its filled part.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    give_back: Sender<Vec<u8>>,
}

impl Buffer {
    /// Returns the part that is not filled yet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Marks what is after `length` bytes as not filled.
    pub(super) fn truncate(&mut self, length: usize) {
        self.filled = self.filled.min(length);
    }

    /// Marks `count` more bytes of [`room`](Self::room) as filled.
    pub(super) fn fill(&mut self, count: usize) {
        debug_assert!(count <= self.bytes.len() - self.filled);
        self.filled += count;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Fails only if the pool is gone, and then no one needs the buffer.
        let _ = self.give_back.send(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_free_again_and_empty() {
        let mut pool = Pool::new(1, 8);
        for text in [&b"abc"[..], b"12345678"] {
            let mut buffer = pool.take();
            assert!(buffer.is_empty());
            buffer.room()[..text.len()].copy_from_slice(text);
            buffer.fill(text.len());
            assert_eq!(&*buffer, text);
        }
    }

    #[test]
    fn a_pool_waits_for_a_free_buffer() {
        let mut pool = Pool::new(1, 8);
        let buffer = pool.take();
        let address = buffer.bytes.as_ptr() as usize;
        let thread = std::thread::spawn(move || drop(buffer));
        assert_eq!(pool.take().bytes.as_ptr() as usize, address);
        thread.join().unwrap();
    }
}
