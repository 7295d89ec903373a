//! What the layers of an image hold.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error::Result;
use crate::image::tree::{read_layers, ImageLayers, Reading, Wanted};
use crate::layout::{Image, Layout};
use crate::oci::total_size;
use crate::tree::{members, path_members, shown, Entry, Kind, TarPath};
use crate::work::Work;

/// An entry of a layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerEntry {
    /// The number of the layer, counted from 1 at the base.
    pub layer: usize,
    /// The entry.
    pub entry: Entry,
}

impl Serialize for LayerEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Entry { path, metadata, kind } = &self.entry;
        let xattrs: Vec<_> = metadata.xattrs.keys().map(|name| shown(name)).collect();
        let mut object = serializer.serialize_struct("LayerEntry", 13)?;
        object.serialize_field("layer", &self.layer)?;
        let (text, raw) = members(&[b"/", path.as_bytes()].concat());
        object.serialize_field("path", &text)?;
        match raw {
            Some(raw) => object.serialize_field("path_base64", &raw)?,
            None => object.skip_field("path_base64")?,
        }
        object.serialize_field("type", kind.name())?;
        object.serialize_field("mode", &format!("{:04o}", metadata.mode))?;
        object.serialize_field("uid", &metadata.uid)?;
        object.serialize_field("gid", &metadata.gid)?;
        object.serialize_field("size", &self.entry.size())?;
        object.serialize_field("mtime", &metadata.mtime.seconds())?;
        match metadata.mtime.nanoseconds() {
            0 => object.skip_field("mtime_nanoseconds")?,
            nanoseconds => object.serialize_field("mtime_nanoseconds", &nanoseconds)?,
        }
        let (target, raw) = kind.target().map(|target| members(&target)).unzip();
        object.serialize_field("target", &target)?;
        match raw.flatten() {
            Some(raw) => object.serialize_field("target_base64", &raw)?,
            None => object.skip_field("target_base64")?,
        }
        object.serialize_field("xattrs", &xattrs)?;
        object.end()
    }
}

/// Returns the entries of all layers, and checks the blobs against their descriptors.
pub(super) fn files(layout: &Layout, image: &Image, work: &Work<'_>) -> Result<Vec<LayerEntry>> {
    work.observer.expect(total_size(&image.manifest.value().layers));
    let read = read_layers(layout, image, usize::MAX, &Wanted::Entries, Reading::Watched, work)?;
    let members = read.iter().enumerate().flat_map(|(number, layer)| layer.members().iter().map(move |m| (number, m)));
    let files = members.map(|(number, entry)| LayerEntry { layer: number + 1, entry: entry.clone() }).collect();
    // What the layers are together is judged too.
    ImageLayers::default().push(read, work.observer)?;
    Ok(files)
}

/// How much a file or directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Its path.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// Bytes of content at and below it.
    pub size: u64,
    /// Whether it is a directory.
    pub directory: bool,
}

/// Returns the `count` largest files and directories of the image's filesystem, largest first. What upper layers remove
/// or replace does not count, and a file counts under the first of its names.
pub(super) fn largest(layout: &Layout, image: &Image, count: usize, work: &Work<'_>) -> Result<Vec<Usage>> {
    let mut layers = ImageLayers::default();
    work.observer.expect(total_size(&image.manifest.value().layers));
    layers.push(read_layers(layout, image, usize::MAX, &Wanted::Entries, Reading::Watched, work)?, work.observer)?;
    let tree = layers.into_tree().folded.tree;
    let mut sizes: BTreeMap<TarPath, u64> = BTreeMap::new();
    for entry in tree.iter().filter(|entry| entry.size() > 0) {
        for path in std::iter::successors(Some(entry.path.clone()), TarPath::parent) {
            *sizes.entry(path).or_default() += entry.size();
        }
    }
    let usage = |(path, size): (TarPath, u64)| Usage {
        directory: tree.get(&path).is_some_and(|entry| entry.kind == Kind::Directory),
        path,
        size,
    };
    let mut all: Vec<Usage> = sizes.into_iter().map(usage).collect();
    all.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    all.truncate(count);
    Ok(all)
}
