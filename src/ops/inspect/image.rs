//! One image, as its documents describe it.

use serde::Serialize;

use super::attached::attached_to;
use super::{Attached, LayerEntry, Usage};
use crate::digest::Digest;
use crate::error::Result;
use crate::image::fetch::annotation;
use crate::json;
use crate::layout::{Image, Layout, TellingNames};
use crate::media_type::{LayerEncoding, MediaKind, MediaType};
use crate::oci::annotations::{LAYER_GROUPS, LAYER_NAME};
use crate::oci::{Annotations, ContainerConfig, Descriptor, History};
use crate::platform::Platform;

/// An image as its documents describe it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ImageInspection {
    /// Where it is.
    pub image: String,
    /// Its names in the layout.
    pub refs: Vec<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// What it runs on.
    #[serde(serialize_with = "json::text")]
    pub platform: Platform,
    /// When it was made, as in the configuration: RFC 3339, perhaps with an offset and a fraction of a second.
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
    /// The entries of all layers, base first, each layer's in the order of its tar; if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<LayerEntry>>,
    /// The largest files and directories, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest: Option<Vec<Usage>>,
}

/// A layer as the documents describe it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerInspection {
    /// The digest of its blob.
    pub digest: Digest,
    /// The digest of its tar; `None` if the config lists fewer than there are layers.
    pub diff_id: Option<Digest>,
    /// Its media type.
    pub media_type: MediaType,
    /// `none`, `gzip`, `zstd`, or `unknown`.
    pub compression: &'static str,
    /// The blob's bytes.
    pub size: u64,
    /// The command that made it, if the history tells.
    pub created_by: Option<String>,
    /// Its name in the plan, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it holds of which recipes, as words `RECIPE=VERSION`, if there was a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
}

/// Describes an image.
pub(crate) fn describe(layout: &Layout, image: &Image) -> Result<ImageInspection> {
    let manifest = image.manifest.value();
    let config = image.config.value();
    let digest = &image.path.descriptor().digest;
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
            name: annotation(layer, LAYER_NAME).map(str::to_owned),
            groups: annotation(layer, LAYER_GROUPS).map(str::to_owned),
        })
        .collect();
    Ok(ImageInspection {
        image: layout.location().to_string(),
        refs: refs(layout, image.path.entry())?,
        digest: digest.clone(),
        media_type: image.path.descriptor().media_type.clone(),
        platform: config.platform(),
        created: config.created.clone(),
        author: config.author.clone(),
        config: config.config.clone().unwrap_or_default(),
        annotations: manifest.annotations.clone().unwrap_or_default(),
        size: image.path.descriptor().size + manifest.config.size + layers.iter().map(|layer| layer.size).sum::<u64>(),
        layers,
        history,
        attached: attached_to(layout, &image.path)?,
        files: None,
        largest: None,
    })
}

/// Returns the names under which the layout lists what an entry leads to.
pub(super) fn refs(layout: &Layout, entry: &Descriptor) -> Result<Vec<String>> {
    let index = layout.index()?;
    let entries = index.value().manifests.iter().filter(|other| other.digest == entry.digest);
    let names = TellingNames::of(index.value());
    Ok(entries.filter_map(|entry| names.name(entry)).collect())
}

fn compression(media_type: &MediaType) -> &'static str {
    match media_type.kind() {
        MediaKind::Layer(LayerEncoding::Plain) => "none",
        MediaKind::Layer(LayerEncoding::Gzip) => "gzip",
        MediaKind::Layer(LayerEncoding::Zstd) => "zstd",
        _ => "unknown",
    }
}
