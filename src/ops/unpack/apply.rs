//! Applies one layer to the tree (image-spec, layer.md#applying-changesets).

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layer::{stream, BelowLower, LayerCheck};
use crate::layout::Layout;
use crate::oci::Descriptor;
use crate::ops::unpack::disk::Disk;
use crate::tar::LostKeywords;
use crate::tree::Whiteout;
use crate::work::Observer;

/// Applies a layer, verified. One thread reads, hashes and decompresses the blob; this one hashes the tar and writes.
/// Returns warnings about what was ignored.
pub(super) fn layer(
    layout: &Layout,
    descriptor: &Descriptor,
    diff_id: &Digest,
    disk: &mut Disk,
    observer: &dyn Observer,
) -> Result<Vec<String>> {
    let name = format!("layer {}", descriptor.digest.short());
    let read = AtomicU64::new(0);
    let blob = Counted { inner: layout.blob(descriptor)?, count: &read };
    let mut progress = Progress { observer, read: &read, told: 0 };
    // The bookkeeping of AUFS is on disk until the layer is complete, since other names may be linked to it.
    let mut is_of_aufs = false;
    let mut lost = LostKeywords::default();
    let mut judge = LayerCheck::judging(descriptor.media_type.layer_encoding());
    disk.begin_layer();
    stream::read(blob, diff_id, &name, layout.limits(), &mut judge, |reader, judge| {
        while let Some(member) = reader.next_member()? {
            progress.tell();
            observer.check()?;
            lost.add(&member);
            judge.member(&member);
            let entry = member.entry?;
            judge.refuse(&name)?;
            disk.look_above(&entry.path);
            match Whiteout::of(&entry.path)? {
                kind @ (Whiteout::None | Whiteout::Aufs) => {
                    is_of_aufs |= kind == Whiteout::Aufs;
                    let mut content = Content { inner: &mut *reader, progress: &mut progress };
                    disk.put(entry, &mut content, &name)?;
                }
                whiteout => disk.hide(&whiteout)?,
            }
        }
        Ok(())
    })?;
    if is_of_aufs {
        disk.take_off_what_aufs_kept()?;
    }
    progress.tell();
    let mut warnings = judge.warnings(&name);
    warnings.extend(BelowLower::warnings(&disk.end_layer(), &name));
    warnings.extend(lost.warnings(&name));
    Ok(warnings)
}

/// Tells the observer what another thread has read: only one thread may call an observer.
struct Progress<'a> {
    observer: &'a dyn Observer,
    read: &'a AtomicU64,
    told: u64,
}

impl Progress<'_> {
    fn tell(&mut self) {
        let read = self.read.load(Ordering::Relaxed);
        if read > self.told {
            self.observer.advance(read - self.told);
            self.told = read;
        }
    }
}

/// The content of a file. Large files take a while, so progress and interruption are checked at each read.
struct Content<'a, 'b, R> {
    inner: R,
    progress: &'a mut Progress<'b>,
}

impl<R: Read> Read for Content<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.progress.tell();
        if self.progress.observer.interrupted() {
            return Err(Error::Interrupted.into());
        }
        self.inner.read(buffer)
    }
}

/// Counts what is read.
struct Counted<'a, R> {
    inner: R,
    count: &'a AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
