//! `report`: what is in an image, how large it is and why, and what changed since an older one.
//!
//! [`report`] gathers a [`Report`] of plain values; [`page`] makes a page or a summary of it.

mod causes;
mod comparison;
mod contents;
mod image;
mod layers;
mod limit;
mod listed;
mod notices;
pub mod page;
mod recipes;
mod size_change;
mod size_tree;
mod waste;

pub use causes::{Cause, ChangedRecipe, FetchReason};
pub use comparison::{Comparison, OlderImage};
pub use layers::LayerUsage;
pub use limit::{Limit, Metric, TestedLimit};
pub use notices::{Notice, NoticeKind, NoticedEntry};
pub use recipes::RecipeUsage;
pub use size_change::{SizeChange, SizeChanges};
pub use size_tree::{SizeNode, SizeTree};
pub use waste::{Duplicate, DuplicatePath, LostFile, LostFiles, Waste};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::layer::groups::PackageMap;
use crate::layout::{Image, Layout, Location};
use crate::ops::inspect::{describe_image, describe_index, IndexInspection};
use crate::platform::PlatformPattern;
use crate::work::Work;

use contents::ImageContents;
pub use image::ImageReport;
use listed::LISTED;

/// Options of [`report`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReportOptions {
    /// Which image, if there are several. Without it, a multi-platform image is reported on as a whole.
    pub platform: Option<PlatformPattern>,
    /// An older image to compare with, platform by platform.
    pub old: Option<Location>,
    /// The owners of files, in place of a package database in the image.
    pub package_map: Option<PackageMap>,
    /// Limits to check.
    pub limits: Vec<Limit>,
}

/// The report on an image for one or several platforms.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The name of the image: that of its layout or archive, without the directories that lead there, and its ref name.
    pub name: String,
    /// The name of the older image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The index of a multi-platform image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexInspection>,
    /// The images, one for each platform.
    pub images: Vec<ImageReport>,
    /// The limits, and whether the image keeps them.
    pub limits: Vec<TestedLimit>,
}

impl Report {
    /// Whether the image keeps every limit.
    pub fn is_within_limits(&self) -> bool {
        self.limits.iter().all(|limit| !limit.broken)
    }
}

/// Reports on the image or images that the location means, and compares each with the older one for its platform.
pub fn report(location: &Location, options: &ReportOptions, work: &Work<'_>) -> Result<Report> {
    if let (None, Some(limit)) = (&options.old, options.limits.iter().find(|limit| limit.metric.needs_old())) {
        return Err(Error::invalid(format!("limit `{limit}`"), "an older image to compare with expected, found none"));
    }
    let layout = Layout::open(location, work.limits)?;
    let (index, images) = layout.by_one_index(|| {
        let index = if options.platform.is_none() { describe_index(&layout)? } else { None };
        let images = match &index {
            Some(_) => layout.images([layout.entry()?])?,
            None => vec![layout.image_now(options.platform.as_ref())?],
        };
        Ok((index, images))
    })?;
    let old = options.old.as_ref().map(|old| Older::open(old, index.is_some(), work)).transpose()?;
    let images = images.iter().map(|image| {
        work.observer.step(&format!("read {location} for {}", image.config.value().platform()));
        image_report(&layout, image, old.as_ref(), options, work)
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let limits = options.limits.iter().flat_map(|limit| images.iter().map(|image| limit.test(image))).collect();
    Ok(Report { name: short_name(location), old: options.old.as_ref().map(short_name), index, images, limits })
}

/// An image to compare with.
struct Older<'a> {
    location: &'a Location,
    layout: Layout,
    /// Whether it must be for the same platform.
    is_by_platform: bool,
}

impl<'a> Older<'a> {
    fn open(location: &'a Location, is_by_platform: bool, work: &Work<'_>) -> Result<Self> {
        Ok(Older { location, layout: Layout::open(location, work.limits)?, is_by_platform })
    }

    /// The older image to compare this one with.
    fn image(&self, new: &Image) -> Result<Option<Image>> {
        let mut images = self.layout.all_images()?;
        if images.len() == 1 && !self.is_by_platform {
            return Ok(images.pop());
        }
        let platforms: Vec<_> = images.iter().map(|image| image.config.value().platform()).collect();
        let pattern = PlatformPattern::from(&new.config.value().platform());
        match pattern.choose(&platforms)[..] {
            [at] => Ok(Some(images.swap_remove(at))),
            [] if self.is_by_platform => Ok(None),
            // The error lists the images.
            _ => self.layout.image(Some(&pattern)).map(Some),
        }
    }
}

fn image_report(
    layout: &Layout,
    image: &Image,
    old: Option<&Older<'_>>,
    options: &ReportOptions,
    work: &Work<'_>,
) -> Result<ImageReport> {
    let map = options.package_map.as_ref();
    let older = old.map(|old| old.image(image)).transpose()?.flatten();
    let stored = |image: &Image| image.manifest.value().layers.iter().map(|layer| layer.size).sum::<u64>();
    work.observer.expect(stored(image) + older.as_ref().map_or(0, stored));
    let contents = ImageContents::read(layout, image, map, work)?;
    let platform = image.config.value().platform();
    if let Some(reason) = contents.recipes.useless_map() {
        work.observer.warning(&format!("the image for {platform}: {reason}"));
    }
    let comparison = match (old, &older) {
        (Some(old), Some(older)) => {
            work.observer.step(&format!("read {}", old.location));
            let before = ImageContents::read(&old.layout, older, map, work)?;
            let comparison = Comparison::between((older, &before), (image, &contents))?;
            if let Some(other) = comparison.other_platform(&platform) {
                let message = format!("an image for {platform} is compared with one for another platform, {other}");
                work.observer.warning(&message);
            }
            Some(comparison)
        }
        _ => None,
    };
    let tree = contents.size_tree();
    let (largest_files, largest_directories) = tree.largest(LISTED);
    Ok(ImageReport {
        inspection: describe_image(layout, image)?,
        unpacked: contents.tree().content_size(),
        entries: contents.tree().len(),
        owners: contents.recipes.source().map(str::to_owned),
        recipes: contents.recipe_usage(),
        layers: layers::usage(image, &contents),
        largest_files,
        largest_directories,
        waste: Waste::of(&contents),
        notices: notices::of(&contents),
        comparison,
        tree,
    })
}

/// A location without the directories above it, so that a page does not depend on where it is made.
fn short_name(location: &Location) -> String {
    let mut short = location.clone();
    if let Some(name) = location.path.file_name() {
        short.path = name.into();
    }
    let text = short.to_string();
    text.split_once(':').map_or(text.as_str(), |(_, name)| name).to_owned()
}
