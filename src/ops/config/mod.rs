//! `config`: edits an image's configuration, history and annotations.

mod image;
mod parents;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::json;
use crate::layout::{named, Draft, Image, Location, Stage, Transaction};
use crate::media_type::MediaType;
use crate::oci::{Descriptor, RefName};
use crate::platform::{Platform, PlatformPattern};
use crate::settings::changes::ImageChanges;
use crate::work::{Observer, Work};
use image::{changed, changes_index, changes_platform};
use parents::{without_index, Parents};

/// Which of the images that a location leads to are edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One; if there are several, the one for this platform.
    One(Option<PlatformPattern>),
    /// All.
    All,
}

impl Default for Which {
    fn default() -> Self {
        Which::One(None)
    }
}

/// How images are edited.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConfigOptions {
    /// Which images.
    pub which: Which,
    /// What is changed.
    pub changes: ImageChanges,
    /// The names of the new image. Without any, those of the old one move to it.
    pub tags: Vec<RefName>,
}

/// What was edited.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConfigReport {
    /// Where it is.
    pub image: String,
    /// Whether anything changed.
    pub changed: bool,
    /// The images, each with its manifest.
    pub images: Vec<EditedImage>,
    /// The names that lead to them.
    pub refs: Vec<String>,
    /// Documents that nothing leads to any more, and that were removed.
    pub removed: BTreeSet<Digest>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// An image that was edited.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EditedImage {
    /// What it runs on.
    #[serde(serialize_with = "json::text")]
    pub platform: Platform,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest that its manifest had before.
    pub previous: Digest,
}

/// Changes an image, or several in the same way: one new manifest for each, however many changes there are, new indexes
/// above it if it is in any, and one new index of the layout.
///
/// The location's name moves to the new image, or without a name all names of the image. With `tags`, only these lead
/// to the new image and the old one stays as it is. Other names of the same manifest are not touched. Documents that
/// nothing leads to any more are removed in the same step. Only what leads to the image is read and, to know what can
/// be removed, the documents of the layout.
pub fn config(location: &Location, options: &ConfigOptions, work: &Work<'_>) -> Result<ConfigReport> {
    let target = Transaction::edit(location, work.limits)?;
    let (mut report, warnings) = work.with_warnings(|work| {
        let report = target.commit(work, |draft| edit(draft, options, work.observer))?;
        work.warn(&report.warnings);
        Ok(report)
    })?;
    report.warnings = warnings;
    Ok(report)
}

fn edit(draft: &mut Draft<'_>, options: &ConfigOptions, observer: &dyn Observer) -> Result<ConfigReport> {
    let ConfigOptions { which, changes, tags } = options;
    let location = draft.target();
    let images = match which {
        Which::One(platform) => vec![draft.layout()?.image(platform.as_ref()).map_err(or_all)?],
        Which::All => draft.layout()?.all_images()?,
    };
    let layout = draft.layout()?;
    let name_it = || Hint::from("give it a name with ").verb("tag").text(" first");
    images.iter().try_for_each(|image| layout.refuse_unlisted(&image.path, name_it))?;
    if images.len() > 1 && changes_platform(changes) {
        let message = format!("image `{location}`: one platform cannot be that of {} images", images.len());
        return Err(Error::refused_with_hint(message, Hint::from("choose one with ").option(OptionName::Platform))
            .of_kind(ErrorKind::Ambiguous));
    }

    let mut warnings = Vec::new();
    if *which == Which::All {
        for left in draft.layout()?.left_out()? {
            let platform = left.platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
            let image = left.digest.short();
            warnings.push(format!("image {image}{platform} is not in `{}`, and stays as it is", location.of_all()));
        }
    }
    let mut edited = Vec::new();
    let mut parents = Parents::new(changes);
    for image in &images {
        let (new, platform, notes) = replace(draft.stage_mut(), image, changes, observer)?;
        warnings.extend(notes);
        if changes.platform.is_change() {
            warnings.extend(platform.unknown_variant());
        }
        let previous = image.path.descriptor().digest.clone();
        edited.push(EditedImage { platform: platform.clone(), digest: new.digest.clone(), previous: previous.clone() });
        parents.replace(previous, new, platform);
    }
    let refs = renew_entries(draft, &mut parents, tags)?;
    if changes_index(changes) && !parents.met_index {
        return Err(without_index(location));
    }

    let mut report = ConfigReport {
        image: location.to_string(),
        changed: draft.is_change(),
        images: edited,
        refs,
        removed: BTreeSet::new(),
        warnings,
    };
    if report.changed {
        report.warnings.append(&mut parents.warnings);
        observer.step("look for documents that nothing leads to any more");
        let replaced = draft.free_replaced()?;
        report.removed = replaced.freed;
        if tags.is_empty() {
            let left = parents.replaced().filter(|digest| replaced.subjects.contains(digest));
            report.warnings.extend(left.map(|digest| format!("what is attached to {digest} stays with it")));
        }
    }
    Ok(report)
}

/// Names the way to change all images where several are there and one is wanted.
fn or_all(error: Error) -> Error {
    match error.hint() {
        Some(hint) if error.kind() == ErrorKind::Ambiguous => {
            let hint = hint.text("; or change all with ").option(OptionName::AllPlatforms);
            error.advising(hint)
        }
        _ => error,
    }
}

/// Stores the new documents of an image, if it has any. Returns the descriptor of its manifest, the platform in its
/// config and what was mended.
fn replace(
    stage: &mut Stage,
    image: &Image,
    changes: &ImageChanges,
    observer: &dyn Observer,
) -> Result<(Descriptor, Platform, Vec<String>)> {
    let old = image.path.descriptor();
    let Some(new) = changed(image, changes)? else {
        return Ok((old.clone(), image.config.value().platform(), Vec::new()));
    };
    if new.config.digest() != image.manifest.value().config.digest {
        stage.put(&new.config, MediaType::CONFIG)?;
    }
    let manifest = stage.put(&new.manifest, MediaType::MANIFEST)?;
    observer.step(&format!("manifest {} takes the place of {}", manifest.digest, old.digest));
    Ok((manifest, new.config.value().platform(), new.notes))
}

/// Renews the entries of `index.json` that the location means, or lists them under other names. Returns the names that
/// then lead to the images.
fn renew_entries(draft: &mut Draft<'_>, parents: &mut Parents, tags: &[RefName]) -> Result<Vec<String>> {
    let entries = draft.index().manifests.clone();
    let meant = named(&entries, draft.target(), Descriptor::annotation).found;
    parents.renew_indexes(draft, &meant)?;
    let mut meant = meant.into_iter().peekable();
    let mut renewed = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        if meant.next_if(|meant| std::ptr::eq(*meant, entry)).is_some() {
            renewed.extend(parents.renewed(entry).map(|new| (position, new)));
        }
    }
    if tags.is_empty() {
        let names = renewed.iter().filter_map(|(_, new)| new.ref_name().map(str::to_owned)).collect();
        for (position, new) in renewed {
            draft.index_mut().manifests[position] = new;
        }
        parents.renew_attestations(draft)?;
        return Ok(names);
    }
    let digests: BTreeSet<&Digest> = renewed.iter().map(|(_, new)| &new.digest).collect();
    match (renewed.first(), digests.len()) {
        (Some((_, new)), 1) => tags.iter().for_each(|tag| draft.name(new, tag)),
        (_, count) => {
            return Err(Error::refused_with_hint(
                format!("image `{}`: one entry of the layout is wanted for new names, found {count}", draft.target()),
                Hint::from("name one, or choose with ").option(OptionName::Platform),
            )
            .of_kind(ErrorKind::Ambiguous));
        }
    }
    parents.renew_attestations(draft)?;
    Ok(tags.iter().map(ToString::to_string).collect())
}
