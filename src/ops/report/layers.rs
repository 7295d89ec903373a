//! The content of each layer.

use serde::Serialize;

use crate::image::fetch::annotation;
use crate::layout::Image;
use crate::oci::annotations::{LAYER_GROUPS, LAYER_NAME};
use crate::ops::report::contents::ImageContents;

/// A layer and its content.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerUsage {
    /// Its name in the plan, else the command or tool that made it, from the history; `None` if neither is known.
    pub name: Option<String>,
    /// The recipes in it, as words `RECIPE=VERSION`; `None` without a plan.
    pub groups: Option<String>,
    /// Bytes of its blob.
    pub stored: u64,
    /// Bytes of content of its files, including those that a later layer hides.
    pub unpacked: u64,
    /// Members of its tar.
    pub entries: usize,
    /// Bytes of content of its files that are in the filesystem.
    pub used: u64,
}

/// The layers of an image, base first.
pub(super) fn usage(image: &Image, contents: &ImageContents) -> Vec<LayerUsage> {
    let history = image.config.value().history.clone().unwrap_or_default();
    let mut steps = history.iter().filter(|step| !step.is_empty_layer());
    let descriptors = image.manifest.value().layers.iter();
    let layers = descriptors.zip(&contents.layers).map(|(descriptor, content)| {
        let made_by = steps.next().and_then(|step| step.created_by.clone());
        LayerUsage {
            name: annotation(descriptor, LAYER_NAME).map(str::to_owned).or(made_by),
            groups: annotation(descriptor, LAYER_GROUPS).map(str::to_owned),
            stored: descriptor.size,
            unpacked: content.bytes,
            entries: content.entries,
            used: 0,
        }
    });
    let mut layers: Vec<LayerUsage> = layers.collect();
    for (path, origin) in &contents.folded.origins {
        layers[origin.layer].used += contents.tree().get(path).map_or(0, crate::tree::Entry::size);
    }
    layers
}
