use serde::Serialize;

use crate::digest::Digest;
use crate::json;
use crate::platform::Platform;
use crate::time::Timestamp;

/// What a build made.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BuildReport {
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// What it runs on.
    #[serde(serialize_with = "json::text")]
    pub platform: Platform,
    /// When the image says that it was made.
    #[serde(serialize_with = "json::text")]
    pub created: Timestamp,
    /// Bytes of all blobs of the image.
    pub size: u64,
    /// The digest of the new layer's tar; none if nothing differs from the base.
    pub diff_id: Option<Digest>,
    /// The blob of the new layer.
    pub layer: Option<Digest>,
    /// Where the image is, with its ref names.
    pub targets: Vec<TargetReport>,
    /// What was odd.
    pub warnings: Vec<String>,
    /// What it took.
    pub stats: BuildStats,
}

/// One place of the image.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TargetReport {
    /// Transport and path.
    pub target: String,
    /// Its names there.
    pub refs: Vec<String>,
}

/// What a build took. Times of stages are summed over their threads and overlap with each other.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct BuildStats {
    /// Entries of the rootfs.
    pub entries: usize,
    /// Bytes of the content of the rootfs' files.
    pub content_bytes: u64,
    /// Bytes of the new layer's tar.
    pub tar_bytes: u64,
    /// Bytes of the new layer's blob.
    pub layer_bytes: u64,
    /// Threads that compressed.
    pub threads: usize,
    /// Seconds of reading the rootfs' metadata.
    pub scan_seconds: f64,
    /// Seconds of reading the base image and comparing it with the rootfs.
    pub compare_seconds: f64,
    /// Seconds of opening and reading files for the layer.
    pub read_seconds: f64,
    /// Seconds of SHA-256.
    pub hash_seconds: f64,
    /// Seconds of compressing.
    pub compress_seconds: f64,
    /// Seconds of writing the layer's blob.
    pub write_seconds: f64,
    /// Seconds from the first look at the rootfs to the last rename.
    pub total_seconds: f64,
    /// The most memory that the process has had, in bytes, where the kernel tells.
    pub peak_memory_bytes: Option<u64>,
}

/// The line `VmHWM:  12345 kB` of the process's status.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}
