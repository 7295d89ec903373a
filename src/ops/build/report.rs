//! What `build` reports.

use serde::Serialize;

use crate::digest::Digest;
use crate::json;
use crate::ops::build::checks::CheckFinding;
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
    /// The creation time in the image.
    #[serde(serialize_with = "json::text")]
    pub created: Timestamp,
    /// Bytes of all blobs of the image.
    pub size: u64,
    /// The new layers, the lowest first; empty if nothing differs from the base.
    pub layers: Vec<LayerReport>,
    /// Where the image is, with its ref names.
    pub targets: Vec<TargetReport>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// What the checks found; the messages are among the warnings too.
    pub findings: Vec<CheckFinding>,
    /// How much work it was.
    pub stats: BuildStats,
}

/// A new layer.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Its name in the plan, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The groups in it: words `RECIPE=VERSION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// The digest of its blob.
    pub digest: Digest,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The blob's bytes.
    pub size: u64,
}

/// What a build would make.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// The platform, or `None` if it is the base image's.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// Where the image would be, with its ref names.
    pub targets: Vec<TargetReport>,
    /// Warnings about the settings.
    pub warnings: Vec<String>,
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

/// How much work a build was. Times are wall time, except for stages that threads share: these are summed over the
/// threads and overlap with each other.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct BuildStats {
    /// Entries of the rootfs.
    pub entries: usize,
    /// Bytes of the content of the rootfs' files.
    pub content_bytes: u64,
    /// Bytes of the new layers' tars.
    pub tar_bytes: u64,
    /// Bytes of the new layers' blobs.
    pub layer_bytes: u64,
    /// Compressed blocks of the new layers; counted only with a cache.
    pub blocks: usize,
    /// How many of them were copied from the cache.
    pub cached_blocks: usize,
    /// Threads that compressed.
    pub threads: usize,
    /// Seconds of reading the rootfs' metadata.
    pub scan_seconds: f64,
    /// Seconds of reading the base image and comparing it with the rootfs.
    pub compare_seconds: f64,
    /// Seconds of opening and reading files for the layers.
    pub read_seconds: f64,
    /// Seconds of SHA-256.
    pub hash_seconds: f64,
    /// Seconds of compressing.
    pub compress_seconds: f64,
    /// Seconds of writing the layers' blobs.
    pub write_seconds: f64,
    /// Seconds from the first look at the rootfs to the last rename.
    pub total_seconds: f64,
    /// The peak memory of the process in bytes, if the kernel tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Reads the line `VmHWM:  12345 kB` of the process's status.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}
