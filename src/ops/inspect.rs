//! `inspect`: what is in an image.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::Serialize;

use crate::compress::Decoder;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::image::tree::{read_layers, ImageLayers, Wanted};
use crate::layout::{AttachedFile, Image, ImagePath, Layout, Referrer};
use crate::media_type::{LayerEncoding, MediaKind, MediaType};
use crate::observer::Observer;
use crate::oci::{Annotations, ContainerConfig, Descriptor, History};
use crate::platform::PlatformPattern;
use crate::tar;
use crate::tree::{Entry, Kind, TarPath};

/// An image as its documents describe it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Where it is.
    pub image: String,
    /// Its names in the layout.
    pub refs: Vec<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// How it runs.
    pub config: ContainerConfig,
    /// The manifest's annotations.
    pub annotations: Annotations,
    /// The layers, base first.
    pub layers: Vec<LayerInspection>,
    /// How it was made.
    pub history: Vec<History>,
    /// Bytes of all blobs: manifest, config and layers.
    pub size: u64,
    /// What is attached to its manifest, or to an index that lists it.
    pub attached: Vec<Attached>,
}

/// An artifact that is attached.
#[derive(Clone, Debug, Serialize)]
pub struct Attached {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of what it is attached to.
    pub subject: Digest,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// The manifest's annotations.
    pub annotations: Annotations,
    /// What it consists of.
    pub files: Vec<AttachedContent>,
}

/// A file that is attached.
#[derive(Clone, Debug, Serialize)]
pub struct AttachedContent {
    /// The digest of its blob.
    pub digest: Digest,
    /// What it holds.
    pub media_type: MediaType,
    /// Its bytes.
    pub size: u64,
    /// The name that it had.
    pub title: Option<String>,
}

/// A layer as the documents describe it.
#[derive(Clone, Debug, Serialize)]
pub struct LayerInspection {
    /// The digest of its blob.
    pub digest: Digest,
    /// The digest of its tar; missing where the config lists fewer than there are layers.
    pub diff_id: Option<Digest>,
    /// Its media type.
    pub media_type: MediaType,
    /// `none`, `gzip`, `zstd`, or `unknown`.
    pub compression: &'static str,
    /// The blob's bytes.
    pub size: u64,
    /// By what it was made, if the history tells.
    pub created_by: Option<String>,
}

/// Describes the one image that the layout's location means.
pub fn inspect(layout: &Layout, image: &Image) -> Result<Inspection> {
    let index = layout.index()?;
    let manifest = image.manifest.value();
    let config = image.config.value();
    let digest = &image.path.manifest().digest;
    let refs: Vec<String> = index
        .value()
        .manifests
        .iter()
        .filter(|descriptor| descriptor.digest == image.path.entry().digest)
        .filter_map(|descriptor| descriptor.ref_name().map(str::to_owned))
        .collect();
    let history = config.history.clone().unwrap_or_default();
    let mut steps = history.iter().filter(|step| !step.is_empty_layer());
    let layers: Vec<LayerInspection> = manifest
        .layers
        .iter()
        .enumerate()
        .map(|(i, layer)| LayerInspection {
            digest: layer.digest.clone(),
            diff_id: config.rootfs.diff_ids.get(i).cloned(),
            media_type: layer.media_type.clone(),
            compression: compression(&layer.media_type),
            size: layer.size,
            created_by: steps.next().and_then(|step| step.created_by.clone()),
        })
        .collect();
    Ok(Inspection {
        image: layout.location().to_string(),
        refs,
        digest: digest.clone(),
        media_type: image.path.manifest().media_type.clone(),
        platform: config.platform().to_string(),
        created: config.created.clone(),
        author: config.author.clone(),
        config: config.config.clone().unwrap_or_default(),
        annotations: manifest.annotations.clone().unwrap_or_default(),
        size: image.path.manifest().size + manifest.config.size + layers.iter().map(|layer| layer.size).sum::<u64>(),
        layers,
        history,
        attached: attached_to(layout, &image.path)?,
    })
}

/// What is attached to the descriptors of a path.
fn attached_to(layout: &Layout, path: &ImagePath) -> Result<Vec<Attached>> {
    let referrers = layout.referrers()?.into_iter().filter(|referrer| path.leads_through(&referrer.subject));
    let content = |file: AttachedFile| AttachedContent {
        digest: file.descriptor.digest,
        media_type: file.descriptor.media_type,
        size: file.descriptor.size,
        title: file.title,
    };
    let attached = |referrer: Referrer| Attached {
        digest: referrer.descriptor.digest,
        subject: referrer.subject,
        artifact_type: referrer.artifact_type,
        annotations: referrer.annotations,
        files: referrer.files.into_iter().map(content).collect(),
    };
    Ok(referrers.map(attached).collect())
}

/// The one file of what is attached to what the location means, or to the image for a platform and the indexes that list
/// it; `wanted` is the digest of the artifact or of the file, or the type of either.
pub fn attached_file(layout: &Layout, platform: Option<&PlatformPattern>, wanted: &str) -> Result<Descriptor> {
    let subjects = match (layout.image(platform), platform) {
        (Ok(image), _) => image.path,
        // Of an image for several platforms, all that is meant without one is its index.
        (Err(_), None) => ImagePath::from(layout.entry()?),
        (Err(error), Some(_)) => return Err(error),
    };
    let mut found = Vec::new();
    let mut there_is = Vec::new();
    for referrer in layout.referrers()?.into_iter().filter(|referrer| subjects.leads_through(&referrer.subject)) {
        let kind = referrer.artifact_type.unwrap_or_default();
        let is_wanted = kind == wanted || referrer.descriptor.digest.as_str() == wanted;
        for AttachedFile { descriptor, .. } in referrer.files {
            there_is.push(format!("{kind} {}", descriptor.digest));
            let is_wanted =
                is_wanted || descriptor.media_type.as_str() == wanted || descriptor.digest.as_str() == wanted;
            if is_wanted && !found.iter().any(|known: &Descriptor| known.digest == descriptor.digest) {
                found.push(descriptor);
            }
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => {
            let (location, wanted) = (layout.location(), wanted.escape_debug());
            let message =
                format!("image `{location}`: one file that is attached as `{wanted}` is wanted, found {count}");
            Err(if there_is.is_empty() {
                Error::refused_with_hint(message, "nothing is attached: `ocibake attach` does it")
            } else {
                Error::refused_with_hint(message, format!("give a type or a digest: there is {}", there_is.join(", ")))
            })
        }
    }
}

fn compression(media_type: &MediaType) -> &'static str {
    match media_type.kind() {
        MediaKind::Layer(LayerEncoding::Plain) => "none",
        MediaKind::Layer(LayerEncoding::Gzip) => "gzip",
        MediaKind::Layer(LayerEncoding::Zstd) => "zstd",
        _ => "unknown",
    }
}

/// Calls `visit` with each entry of a layer in the order of its tar. The blob is checked against its descriptor.
///
/// The error is the library's, or whatever `visit` gives.
pub fn for_each_entry<E: From<Error>>(
    layout: &Layout,
    layer: &Descriptor,
    mut visit: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    let place = &layout.location().path;
    let mut decoder = Decoder::new(layout.blob(layer)?).at("read a layer of", place)?;
    let mut reader = tar::Reader::new(&mut decoder, format!("layer {}", layer.digest.short()));
    while let Some(member) = reader.next_member()? {
        visit(member.entry?)?;
    }
    reader.finish()?;
    decoder.finish().at("read a layer of", place)?;
    Ok(())
}

/// How much a file or directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Its path, with a leading slash; bytes that are not UTF-8 replaced.
    pub path: String,
    /// Bytes of content at and below it.
    pub size: u64,
    /// Whether it is a directory.
    pub directory: bool,
}

/// The `count` largest files and directories of the image's filesystem, largest first. What upper layers remove or
/// replace does not count, and a file counts under the first of its names.
pub fn largest(
    layout: &Layout,
    image: &Image,
    count: usize,
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<Vec<Usage>> {
    let mut layers = ImageLayers::default();
    layers.push(read_layers(layout, image, usize::MAX, &Wanted::Entries, threads, observer)?)?;
    let tree = layers.into_tree().folded.tree;
    let mut sizes: BTreeMap<TarPath, u64> = BTreeMap::new();
    for entry in tree.iter().filter(|entry| entry.size() > 0) {
        for path in std::iter::successors(Some(entry.path.clone()), TarPath::parent) {
            *sizes.entry(path).or_default() += entry.size();
        }
    }
    let usage = |(path, size): (TarPath, u64)| Usage {
        directory: tree.get(&path).is_some_and(|entry| entry.kind == Kind::Directory),
        path: path.to_string(),
        size,
    };
    let mut all: Vec<Usage> = sizes.into_iter().map(usage).collect();
    all.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    all.truncate(count);
    Ok(all)
}
