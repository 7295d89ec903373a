//! Moves blobs from a layout into the targets, several at a time: linked, copied or recompressed.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroUsize;

use serde::Serialize;

use crate::compress::Compression;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::image::publish::keep_blocks;
use crate::image::transfer::plan::{LayerToRecompress, TransferPlan};
use crate::layer;
use crate::layout::{BlobPath, Layout, Stage, Taken, TakenBlob, Transaction, Trust, VerifiedReader, Watched};
use crate::oci::{total_size, Descriptor};
use crate::parallel;
use crate::work::Work;

/// The outcome of moving a blob.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BlobReport {
    /// The digest in the source.
    pub from: Digest,
    /// The digest in the targets; it differs if the layer was recompressed.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How the blob was moved.
    pub how: How,
}

/// How a blob was moved into the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum How {
    /// Hard-linked with the source's file.
    Linked,
    /// Copied byte for byte.
    Copied,
    /// The same layer in another compression.
    Recompressed,
}

/// A blob to be moved.
struct Job<'a> {
    layout: &'a Layout,
    step: Step<'a>,
}

enum Step<'a> {
    Take(&'a Descriptor),
    Recompress { layer: &'a LayerToRecompress, compression: Compression, threads: NonZeroUsize },
}

/// A staged blob that has no name yet.
enum Moved {
    Taken(TakenBlob),
    Recompressed(BlobPath, Descriptor),
}

impl Job<'_> {
    fn descriptor(&self) -> &Descriptor {
        match &self.step {
            Step::Take(descriptor) => descriptor,
            Step::Recompress { layer, .. } => &layer.descriptor,
        }
    }

    fn run(&self, stage: &Stage, trust: Trust, work: &Work<'_>) -> Result<Moved> {
        let observer = work.observer;
        match &self.step {
            Step::Take(descriptor) => stage.take(self.layout, descriptor, trust, observer).map(Moved::Taken),
            Step::Recompress { layer, compression, threads } => {
                let (file, place) = stage.blob_file()?;
                let descriptor = &layer.descriptor;
                observer.step(&format!("compress layer {} anew, {compression}", descriptor.digest.short()));
                let Some((stored, _)) = self.layout.stored_blob(&descriptor.digest)? else {
                    let reason = format!("blob {} is missing", descriptor.digest);
                    return Err(Error::malformed(self.layout.location().to_string(), reason));
                };
                let stored = Watched { inner: stored, observer };
                // An uncompressed blob is its own tar and need not be hashed twice.
                let is_tar = descriptor.digest == layer.diff_id;
                let blob: Box<dyn Read + Send + '_> =
                    if is_tar { Box::new(stored) } else { Box::new(VerifiedReader::new(stored, descriptor)?) };
                let name = format!("layer {}", descriptor.digest.short());
                let share = Work { threads: *threads, ..*work };
                let new = layer::recompress(blob, &layer.diff_id, &name, file, *compression, &share)?;
                if is_tar && new.unpacked_size != descriptor.size {
                    let (expected, found) = (descriptor.size.to_string(), new.unpacked_size.to_string());
                    return Err(Error::Mismatch { subject: name, what: "size", expected, found });
                }
                keep_blocks(&new, *compression, &place, work.cache);
                Ok(Moved::Recompressed(place, new.descriptor))
            }
        }
    }
}

/// A layout that blobs come from, and the plan for them.
pub(crate) struct BlobSource<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) plan: &'a TransferPlan,
}

/// Moves blobs into the stage of the first target and shares them with the others. Several are moved at a time. Returns
/// what became of each, and the recompressed layers by their old digest.
pub(crate) fn move_all(
    sources: &[BlobSource<'_>],
    targets: &mut [Transaction],
    compression: Option<Compression>,
    trust: Trust,
    work: &Work<'_>,
) -> Result<(Vec<BlobReport>, BTreeMap<Digest, Descriptor>)> {
    let jobs = jobs(sources, compression, work.threads);
    work.observer.expect(total_size(jobs.iter().map(Job::descriptor)));
    let (first, others) = targets.split_first_mut().expect("there is a target");
    let first = first.stage_mut();
    let moved = parallel::map(&jobs, work.threads, |job| job.run(&*first, trust, work))?;

    let mut reports = Vec::with_capacity(jobs.len());
    let mut recompressed = BTreeMap::new();
    for (job, moved) in jobs.iter().zip(moved) {
        let from = job.descriptor();
        let (new, how) = match moved {
            Moved::Taken(blob) => {
                first.keep(&blob)?;
                let how = if blob.how == Taken::Linked { How::Linked } else { How::Copied };
                (from.clone(), how)
            }
            Moved::Recompressed(place, new) => {
                first.adopt(&place, &new.digest, new.size)?;
                recompressed.insert(from.digest.clone(), new.clone());
                (new, How::Recompressed)
            }
        };
        for other in &mut *others {
            other.stage_mut().share(first, &new.digest)?;
        }
        reports.push(BlobReport { from: from.digest.clone(), digest: new.digest, size: new.size, how });
    }
    Ok((reports, recompressed))
}

/// Lists each blob once, those with the most work first, so that no long job runs alone at the end.
fn jobs<'a>(sources: &[BlobSource<'a>], compression: Option<Compression>, threads: NonZeroUsize) -> Vec<Job<'a>> {
    let mut taken = BTreeMap::new();
    let mut recompressed = BTreeMap::new();
    for BlobSource { layout, plan } in sources {
        for (digest, descriptor) in &plan.taken {
            // Of several sources, prefer one that can be hard-linked.
            let can_be_linked = layout.blob_on_disk(digest).is_some();
            if can_be_linked || !taken.contains_key(digest) {
                taken.insert(digest, (*layout, descriptor));
            }
        }
        recompressed.extend(plan.recompressed.iter().map(|(digest, layer)| (digest, (*layout, layer))));
    }
    let total: u64 = total_size(recompressed.values().map(|(_, layer)| &layer.descriptor));
    let mut jobs = Vec::with_capacity(taken.len() + recompressed.len());
    if let Some(compression) = compression {
        jobs.extend(recompressed.into_values().map(|(layout, layer)| {
            let threads = share_of(threads, layer.descriptor.size, total);
            Job { layout, step: Step::Recompress { layer, compression, threads } }
        }));
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.descriptor().size));
    let mut others: Vec<_> = taken.into_values().collect();
    others.sort_by_key(|(_, descriptor)| std::cmp::Reverse(descriptor.size));
    jobs.extend(others.into_iter().map(|(layout, descriptor)| Job { layout, step: Step::Take(descriptor) }));
    jobs
}

/// The number of threads that compress a layer: its share of all bytes. So layers that start together end together, and
/// memory depends only on the number of threads.
fn share_of(threads: NonZeroUsize, size: u64, total: u64) -> NonZeroUsize {
    let all = threads.get() as u128;
    let share = (all * u128::from(size)).div_ceil(u128::from(total.max(1)));
    NonZeroUsize::new(share.min(all) as usize).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_shared_by_size() {
        let shares = |threads: usize, sizes: &[u64]| -> Vec<usize> {
            let total = sizes.iter().sum();
            let threads = NonZeroUsize::new(threads).unwrap();
            sizes.iter().map(|size| share_of(threads, *size, total).get()).collect()
        };
        assert_eq!(shares(8, &[700, 100]), [7, 1]);
        assert_eq!(shares(2, &[u64::MAX / 2, 1]), [2, 1]);
        assert_eq!(shares(4, &[0]), [1]);
        assert_eq!(shares(1, &[10, 10]), [1, 1]);
    }
}
