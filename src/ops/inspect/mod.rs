//! `inspect`: shows what is in an image, or which images are in an index.

mod attached;
mod contents;
mod image;
mod index;
mod options;

pub use attached::{copy_attached, Attached, AttachedContent};
pub use contents::{LayerEntry, Usage};
pub(crate) use image::describe as describe_image;
pub use image::{ImageInspection, LayerInspection};
pub(crate) use index::describe as describe_index;
pub use index::{IndexInspection, ListedImage};
pub use options::{Files, InspectOptions};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{Layout, Location};
use crate::work::Work;

/// What the location means.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum InspectReport {
    /// One image.
    Image(Box<ImageInspection>),
    /// Several under one name, for several platforms.
    Index(Box<IndexInspection>),
}

impl InspectReport {
    /// The digest of the manifest, or of the index.
    pub fn digest(&self) -> &Digest {
        match self {
            InspectReport::Image(image) => &image.digest,
            InspectReport::Index(index) => &index.digest,
        }
    }
}

/// Describes the one image that the location means, or the index that lists several. The contents of layers are only
/// shown for one image: if they are asked for, there must be no choice.
pub fn inspect(location: &Location, options: &InspectOptions, work: &Work<'_>) -> Result<InspectReport> {
    let layout = Layout::open(location, work.limits)?;
    let InspectOptions { platform, files, largest } = options;
    if platform.is_none() && *files == Files::Omitted && largest.is_none() {
        if let Some(index) = layout.by_one_index(|| index::describe(&layout))? {
            return Ok(InspectReport::Index(Box::new(index)));
        }
    }
    let (image, mut report) = layout.by_one_index(|| {
        let image = layout.image_now(platform.as_ref())?;
        let report = image::describe(&layout, &image)?;
        Ok((image, report))
    })?;
    if *files == Files::Listed {
        report.files = Some(contents::files(&layout, &image, work)?);
    }
    report.largest = largest.map(|count| contents::largest(&layout, &image, count, work)).transpose()?;
    Ok(InspectReport::Image(Box::new(report)))
}

/// A document that leads to an image, or describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageDocument {
    /// `index.json` of the layout.
    Index,
    /// The image's manifest.
    Manifest,
    /// The image's configuration.
    Config,
}

/// Returns the bytes of a document as they are stored.
pub fn document(
    location: &Location,
    which: ImageDocument,
    options: &InspectOptions,
    work: &Work<'_>,
) -> Result<Vec<u8>> {
    let layout = Layout::open(location, work.limits)?;
    if which == ImageDocument::Index {
        return Ok(layout.index()?.raw().to_vec());
    }
    let image = layout.image(options.platform.as_ref())?;
    Ok(match which {
        ImageDocument::Config => image.config.raw().to_vec(),
        _ => image.manifest.raw().to_vec(),
    })
}
