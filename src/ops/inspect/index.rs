//! The images under one name, for several platforms.

use serde::Serialize;

use super::attached::attached_to_any;
use super::image::refs;
use super::Attached;
use crate::digest::Digest;
use crate::error::Result;
use crate::json;
use crate::layout::{Image, Layout, Opened, Subjects, Walk};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Annotations, Descriptor, Document, Index};
use crate::platform::Platform;

/// An index that lists several images, as the documents describe it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IndexInspection {
    /// Where it is.
    pub image: String,
    /// Its names in the layout.
    pub refs: Vec<String>,
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its annotations.
    pub annotations: Annotations,
    /// The images that it leads to, in its order, including those that are not in the layout.
    pub images: Vec<ListedImage>,
    /// What is attached to it or to one of its images.
    pub attached: Vec<Attached>,
}

/// An image among several.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ListedImage {
    /// What it runs on, as its configuration or else the index says; `None` if neither tells.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// Bytes of manifest, config and layers; `None` if it is not in the layout.
    pub size: Option<u64>,
    /// When it was made, as in its configuration.
    pub created: Option<String>,
}

/// Describes the index that the location means. Returns `None` if that is not one index of several images.
pub(crate) fn describe(layout: &Layout) -> Result<Option<IndexInspection>> {
    let Ok(entry) = layout.entry() else { return Ok(None) };
    if entry.media_type.kind() != MediaKind::Index {
        return Ok(None);
    }
    let Ok(present) = layout.images([entry.clone()]) else { return Ok(None) };
    let mut images = Vec::<ListedImage>::new();
    for met in Walk::new(layout, Opened::Indexes, Subjects::Left, [entry.clone()]) {
        let descriptor = met?.path.descriptor().clone();
        let image = present.iter().find(|image| image.path.descriptor().digest == descriptor.digest);
        // Artifacts and attestations in the layout are not shown as images.
        let is_image = descriptor.media_type.kind() == MediaKind::Manifest
            && (image.is_some() || !layout.holds(&descriptor.digest)?);
        if is_image {
            images.push(listed(descriptor, image));
        }
    }
    if images.len() < 2 {
        return Ok(None);
    }
    let document: Document<Index> = layout.document(&entry)?;
    let manifests = images.iter().map(|image| &image.digest);
    let subjects: Vec<&Digest> = manifests.chain([&entry.digest]).collect();
    Ok(Some(IndexInspection {
        image: layout.location().to_string(),
        refs: refs(layout, &entry)?,
        attached: attached_to_any(layout, &subjects)?,
        annotations: document.into_value().annotations.unwrap_or_default(),
        media_type: entry.media_type,
        digest: entry.digest,
        images,
    }))
}

fn listed(manifest: Descriptor, image: Option<&Image>) -> ListedImage {
    let size = |image: &Image| {
        let documents = image.manifest.value();
        manifest.size + documents.config.size + documents.layers.iter().map(|layer| layer.size).sum::<u64>()
    };
    ListedImage {
        size: image.map(size),
        created: image.and_then(|image| image.config.value().created.clone()),
        platform: image.map(|image| image.config.value().platform()).or(manifest.platform),
        digest: manifest.digest,
        media_type: manifest.media_type,
    }
}
