//! What an encoder is asked for besides its bytes, and what it reports.

use std::time::Duration;

use crate::block_cache::KeptBlock;
use crate::digest::Digest;

/// Whether the digest of the input is wanted: the `diff_id` of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputDigest {
    /// Compute it.
    Compute,
    /// It is not needed: for an outer archive, for instance.
    Skip,
}

/// What an encoder reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The digest of all input, if it was asked for.
    pub input: Option<Digest>,
    /// Bytes that went in.
    pub input_size: u64,
    /// The digest of all output.
    pub output: Digest,
    /// Bytes that came out.
    pub output_size: u64,
    /// How long the threads were busy.
    pub busy: Busy,
    /// The blocks of the output in their order, where there is a cache.
    pub blocks: Vec<KeptBlock>,
}

/// Time spent on each stage, without waiting, summed over the stage's threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Digests of input and output.
    pub hash: Duration,
    /// Compression.
    pub compress: Duration,
    /// Calls of the inner writer.
    pub write: Duration,
}
