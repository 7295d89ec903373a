//! Reads the filesystem of an image as a tree, from its layers, without extracting anything.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::digest::{ContentDigest, Digest};
use crate::error::{Error, Result};
use crate::image::cache::changesets;
use crate::image::kept_content::{KeptContent, KeptFile};
use crate::layer::{too_many_layers, BelowLower, ByMember, Changeset, Contents, LAYER_LIMIT};
use crate::layer::{Fold, Folded, Origin};
use crate::layout::{Image, Layout, Watched};
use crate::oci::Descriptor;
use crate::parallel;
use crate::tree::{Entry, TarPath};
use crate::work::{Observer, Silent, Work};

/// What to read of the contents of an image's files.
pub(crate) enum Wanted<'a> {
    /// Nothing.
    Entries,
    /// Their digests; with a cache, a layer that was read before is not decompressed again.
    Digests {
        /// The cache's directory.
        cache: Option<PathBuf>,
    },
    /// The contents, stored in files that this function creates.
    Contents(&'a (dyn Fn() -> Result<File> + Sync)),
}

/// Whether reading is reported to the observer, which must already expect the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is reported.
    Watched,
    /// It is not: progress counts other bytes.
    Unwatched,
}

/// A layer that was read and verified.
#[derive(Debug)]
pub(crate) struct ReadLayer {
    name: String,
    changeset: Changeset,
    /// The contents, if requested.
    kept: Option<KeptFile>,
}

/// A stack of layers.
#[derive(Debug, Default)]
pub(crate) struct ImageLayers {
    fold: Fold,
    digests: Digests,
    /// Contents by layer number: the file, and where its members begin.
    kept: BTreeMap<usize, (KeptFile, ByMember<u64>)>,
}

/// The tree of an image.
#[derive(Debug)]
pub(crate) struct ImageTree {
    /// The tree and the origins of its contents.
    pub folded: Folded,
    digests: Digests,
    /// The contents; empty unless requested.
    pub(crate) content: KeptContent,
}

/// Reads the first `count` layers of an image, or all if there are fewer, several at a time. Sizes, digests and
/// diff_ids are verified.
pub(crate) fn read_layers(
    layout: &Layout,
    image: &Image,
    count: usize,
    wanted: &Wanted<'_>,
    reading: Reading,
    work: &Work<'_>,
) -> Result<Vec<ReadLayer>> {
    let mut jobs = layers_of(layout, image, work.observer)?;
    jobs.truncate(count);
    parallel::map(&jobs, work.threads, |(descriptor, diff_id)| {
        let name = format!("layer {}", descriptor.digest.short());
        let read = |contents: Contents<'_>| {
            let observer = if reading == Reading::Watched { work.observer } else { &Silent };
            let blob = Watched { inner: layout.blob(descriptor)?, observer };
            let encoding = descriptor.media_type.layer_encoding();
            Changeset::read_layer(blob, diff_id, encoding, contents, &name, work)
        };
        let mut kept = None;
        let changeset = match wanted {
            Wanted::Entries => read(Contents::Skip)?,
            Wanted::Digests { cache: None } => read(Contents::Digest)?,
            Wanted::Digests { cache: Some(cache) } => {
                let (blob, read) = (|| layout.blob(descriptor), || read(Contents::Digest));
                changesets::get_or_read(cache, diff_id, blob, read)?
            }
            Wanted::Contents(make) => read(Contents::Spool(kept.insert(make()?)))?,
        };
        let kept = kept.map(|file| KeptFile { file, source: layout.location().path.clone() });
        Ok(ReadLayer { name, changeset, kept })
    })
}

/// The layers of an image with their diff_ids, the base's first. Warns the observer if they are more than others take.
pub(crate) fn layers_of<'a>(
    layout: &Layout,
    image: &'a Image,
    observer: &dyn Observer,
) -> Result<Vec<(&'a Descriptor, &'a Digest)>> {
    let layers = &image.manifest.value().layers;
    let diff_ids = &image.config.value().rootfs.diff_ids;
    let subject = format!("image `{}`", layout.location());
    image.config.value().check_layers(layers.len(), || subject.clone())?;
    if let Some(other) = layers.iter().find(|layer| layer.media_type.layer_encoding().is_none()) {
        return Err(Error::malformed(subject, format!("`{}` is not the media type of a layer", other.media_type)));
    }
    if layers.len() > LAYER_LIMIT {
        observer.warning(&too_many_layers(layers.len()).warning(&subject, 0));
    }
    Ok(layers.iter().zip(diff_ids).collect())
}

impl ReadLayer {
    /// The members of its tar, whiteouts among them.
    pub(crate) fn members(&self) -> &[Entry] {
        &self.changeset.members
    }
}

impl ImageLayers {
    /// Adds layers on top. Warns the observer of what is wrong with them.
    pub(crate) fn push(&mut self, layers: impl IntoIterator<Item = ReadLayer>, observer: &dyn Observer) -> Result<()> {
        for ReadLayer { name, changeset: Changeset { members, digests, offsets, warnings, .. }, kept } in layers {
            for warning in &warnings {
                observer.warning(warning);
            }
            let layer = self.fold.layers();
            self.digests.0.push(digests);
            if let Some(file) = kept {
                self.kept.insert(layer, (file, offsets));
            }
            self.fold.apply(members)?;
            for warning in BelowLower::warnings(&self.fold.take_below_lower(), &name) {
                observer.warning(&warning);
            }
        }
        Ok(())
    }

    /// The tree of the layers so far.
    pub(crate) fn so_far(&self) -> Folded {
        self.fold.clone().finish()
    }

    /// The tree with one more layer on top.
    pub(crate) fn with(&self, changeset: Changeset) -> Result<Folded> {
        let mut fold = self.fold.clone();
        fold.apply(changeset.members)?;
        Ok(fold.finish())
    }

    /// The digests of the files of a tree whose content is in these layers, by path.
    pub(crate) fn digests_of(&self, folded: &Folded) -> BTreeMap<TarPath, ContentDigest> {
        self.digests.by_path(folded)
    }

    /// The tree of all layers.
    pub(crate) fn into_tree(self) -> ImageTree {
        let folded = self.fold.finish();
        let mut content = KeptContent::default();
        for (layer, (file, offsets)) in self.kept {
            content.add(file, &offsets, &folded.origins, layer);
        }
        ImageTree { folded, digests: self.digests, content }
    }
}

impl ImageTree {
    /// Returns the digest of the regular file at a path, or `None` if there is none or digests were not requested.
    pub(crate) fn digest(&self, path: &TarPath) -> Option<&ContentDigest> {
        self.digests.get(*self.folded.origins.get(path)?)
    }

    /// The digests of all regular files, by path.
    pub(crate) fn digests(&self) -> BTreeMap<TarPath, ContentDigest> {
        self.digests.by_path(&self.folded)
    }
}

/// The digests of contents, by layer.
#[derive(Debug, Default)]
struct Digests(Vec<ByMember<ContentDigest>>);

impl Digests {
    fn get(&self, origin: Origin) -> Option<&ContentDigest> {
        self.0.get(origin.layer)?.get(origin.member)
    }

    fn by_path(&self, folded: &Folded) -> BTreeMap<TarPath, ContentDigest> {
        let digest = |(path, origin): (&TarPath, &Origin)| Some((path.clone(), *self.get(*origin)?));
        folded.origins.iter().filter_map(digest).collect()
    }
}

/// Requests digests, with a cache if one is given.
pub(crate) fn digests_with(cache: Option<&Path>) -> Wanted<'static> {
    Wanted::Digests { cache: cache.map(Path::to_path_buf) }
}
