//! The base image: its layers are used as they are, and only what differs from it becomes a layer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::compress::Decoder;
use crate::digest::ContentDigest;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::image::content_digests;
use crate::image::few_files::FewFiles;
use crate::image::sealed::fit_history;
use crate::image::tree::{digests_with, read_layers, ImageLayers, ImageTree, Reading};
use crate::layer::{Folded, Origin};
use crate::layout::{Image, Layout, Location, Stage};
use crate::limits::Limits;
use crate::media_type::{MediaKind, MediaType};
use crate::oci::annotations::{BASE_DIGEST, BASE_NAME};
use crate::oci::{Annotations, ContainerConfig, Descriptor, History, ImageConfig};
use crate::parallel;
use crate::platform::{Platform, PlatformPattern};
use crate::settings::BuildSpec;
use crate::tar;
use crate::tree::{Content, Entry, Mask, TarPath, Tree};
use crate::work::Work;

/// How the base image is compared with the rootfs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BaseOptions {
    /// Paths that are left out of the comparison, with everything below them: they stay as they are in the base.
    pub masks: Vec<TarPath>,
    /// Whether the volumes of the configuration are masked too.
    pub volumes: VolumeMask,
    /// Where entries of layers are kept, so that a base that was read once need not be decompressed again.
    pub cache: Option<PathBuf>,
}

/// What happens to volumes when the base is compared with the rootfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VolumeMask {
    /// They are left out: their content belongs to containers.
    #[default]
    Masked,
    /// They are compared like everything else.
    Compared,
}

/// The paths that are left out of the comparison with the base.
pub(super) fn mask(container: &ContainerConfig, options: &BaseOptions) -> Result<Mask> {
    let mut masks = options.masks.clone();
    if options.volumes == VolumeMask::Masked {
        for volume in container.volumes.keys() {
            masks.push(without_dots(volume)?);
        }
    }
    Ok(masks.into_iter().collect())
}

/// The path of a volume of the base, in which `..` leaves a directory, as where an engine mounts it.
fn without_dots(volume: &str) -> Result<TarPath> {
    let mut components = Vec::new();
    for component in volume.split('/') {
        match component {
            ".." => {
                components.pop();
            }
            "" | "." => {}
            component => components.push(component),
        }
    }
    TarPath::parse(components.join("/").as_bytes())
}

/// A base image and where it is.
pub(super) struct Base {
    layout: Layout,
    pub(super) image: Image,
    /// Where it is set.
    origin: String,
}

impl Base {
    /// Opens the base. If there are several images, the platform of the new image chooses one; a single image must have
    /// that platform.
    pub(super) fn open(spec: &BuildSpec, limits: Limits) -> Result<Option<Self>> {
        let Some(location) = &spec.base else { return Ok(None) };
        let origin = spec.base_origin.clone().unwrap_or_else(|| "base image".to_owned());
        let opened = Base::open_image(location, spec.platform.as_ref(), limits);
        let (layout, image) = opened.map_err(|error| error.about(&origin))?;
        Ok(Some(Base { layout, image, origin }))
    }

    fn open_image(location: &Location, platform: Option<&Platform>, limits: Limits) -> Result<(Layout, Image)> {
        let layout = Layout::open(location, limits)?;
        let image = match layout.image(platform.map(PlatformPattern::from).as_ref()) {
            // Without a match or a choice, the image that is there makes a clearer error.
            Err(error) if platform.is_some() => layout.image(None).map_err(|_| error)?,
            image => image?,
        };
        let found = image.config.value().platform_or(image.path.descriptor().platform.as_ref());
        if let Some(wanted) = platform {
            if (&wanted.os, &wanted.architecture) != (&found.os, &found.architecture) {
                return Err(Error::refused_with_hint(
                    format!("image `{location}`: platform {wanted} expected, found {found}"),
                    "leave the architecture out to take the base's",
                )
                .of_kind(ErrorKind::NotFound));
            }
        }
        Ok((layout, image))
    }

    /// Returns the platform, or `None` if neither the config nor the index tells it.
    pub(super) fn platform(&self) -> Option<Platform> {
        let platform = self.config().platform_or(self.image.path.descriptor().platform.as_ref());
        (!platform.os.is_empty() && !platform.architecture.is_empty()).then_some(platform)
    }

    pub(super) fn config(&self) -> &ImageConfig {
        self.image.config.value()
    }

    /// Reads and verifies the layers.
    pub(super) fn read(&self, cache: Option<&Path>, work: &Work<'_>) -> Result<ImageLayers> {
        let mut layers = ImageLayers::default();
        let wanted = digests_with(cache);
        let read = read_layers(&self.layout, &self.image, usize::MAX, &wanted, Reading::Unwatched, work);
        let pushed = read.and_then(|read| layers.push(read, work.observer));
        pushed.map(|()| layers).map_err(|error| error.about(&self.origin))
    }

    pub(super) fn layer_count(&self) -> usize {
        self.image.manifest.value().layers.len()
    }

    /// Opens the content of a regular file in a layer, by decompressing the layer up to it. This is for a few files:
    /// reading and verifying a layer keeps no contents.
    pub(super) fn content<'a>(&'a self, origin: Origin) -> Result<Box<dyn Read + 'a>> {
        let place = &self.layout.location().path;
        let layer = &self.image.manifest.value().layers[origin.layer];
        let limits = self.layout.limits();
        let decoder = Decoder::new(self.layout.blob(layer)?, limits).at("read a layer of", place)?;
        let mut reader = tar::Reader::new(decoder, format!("layer {}", layer.digest.short()), limits);
        for _ in 0..=origin.member {
            reader.next_member()?;
        }
        Ok(Box::new(reader))
    }

    /// Reads some files of the layers into memory.
    pub(super) fn few_files<'a>(
        &self,
        folded: &Folded,
        wanted: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<FewFiles> {
        FewFiles::read(&self.layout, &self.image.manifest.value().layers, &folded.origins, wanted)
    }

    /// Shares the layers, byte for byte.
    pub(super) fn share_layers(&self, stage: &mut Stage) -> Result<()> {
        self.image.manifest.value().layers.iter().try_for_each(|layer| stage.copy_blob(&self.layout, layer))
    }

    /// Returns the layers as the new manifest lists them, in OCI's media types.
    pub(super) fn layer_descriptors(&self) -> Result<Vec<Descriptor>> {
        let describe = |layer: &Descriptor| {
            let MediaKind::Layer(encoding) = layer.media_type.kind() else {
                let image = format!("image `{}`", self.layout.location());
                let error = Error::malformed(image, format!("a layer expected, found `{}`", layer.media_type));
                return Err(error.about(&self.origin));
            };
            Ok(Descriptor { media_type: MediaType::layer(encoding), ..layer.clone() })
        };
        self.image.manifest.value().layers.iter().map(describe).collect()
    }

    /// Returns the history, with a step for each layer even if the base has none, and a note on what was repaired:
    /// readers refuse an image whose steps do not match its layers.
    pub(super) fn history(&self) -> (Vec<History>, Option<String>) {
        let mut history = self.config().history.clone().filter(|history| !history.is_empty());
        let note = fit_history(&mut history, self.layer_count());
        let steps = history.unwrap_or_else(|| vec![History::default(); self.layer_count()]);
        (steps, note.map(|note| format!("base image: {note}")))
    }

    /// Returns what the new manifest says about its base (image-spec, annotations.md#pre-defined-annotation-keys).
    pub(super) fn annotations(&self) -> Annotations {
        let digest = self.image.path.descriptor().digest.to_string();
        let mut annotations = Annotations::from([(BASE_DIGEST.to_owned(), digest)]);
        if let Some(name) = self.image.path.entry().ref_name() {
            annotations.insert(BASE_NAME.to_owned(), name.to_owned());
        }
        annotations
    }
}

/// Returns the files of the base and of `tree` at one path that have the same size and different contents. Files whose
/// digests are `known` need not be read. A file with several names may meet several files of the base.
pub(super) fn changed_contents<'t>(
    base: &'t ImageTree,
    tree: &'t Tree,
    known: &BTreeMap<TarPath, ContentDigest>,
    content: &(dyn Content + Sync),
    work: &Work<'_>,
) -> Result<BTreeSet<(&'t TarPath, &'t TarPath)>> {
    let mut changed = BTreeSet::new();
    let mut unknown = BTreeMap::new();
    for entry in tree.iter() {
        let old_tree = &base.folded.tree;
        let Some(old) = old_tree.get(&entry.path).map(|old| old_tree.inode(old)) else { continue };
        let new = tree.inode(entry);
        if !new.is_file() || old.kind != new.kind {
            continue;
        }
        let pair = (&old.path, &new.path);
        match known.get(&new.path) {
            Some(digest) if base.digest(&old.path) != Some(digest) => drop(changed.insert(pair)),
            Some(_) => {}
            None => drop(unknown.insert(pair, (old, new))),
        }
    }
    let unknown: Vec<(&Entry, &Entry)> = unknown.into_values().collect();
    work.observer.expect(unknown.iter().map(|(_, new)| new.size()).sum());
    let differ = parallel::map(&unknown, work.threads, |(old, new)| {
        Ok(base.digest(&old.path) != Some(&content_digests::digest(new, content, work.observer)?))
    })?;
    let pairs = unknown.iter().map(|(old, new)| (&old.path, &new.path));
    changed.extend(pairs.zip(differ).filter_map(|(pair, differs)| differs.then_some(pair)));
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_masked_where_an_engine_mounts_it() {
        for (volume, masked) in [("/data", "data"), ("/a/../b//c/.", "b/c"), ("/../x", "x")] {
            assert_eq!(without_dots(volume).unwrap(), TarPath::parse(masked.as_bytes()).unwrap(), "{volume}");
        }
    }
}
