//! `squash`: makes one layer of several layers of an image.

use serde::Serialize;

use crate::compress::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::image::publish::{open, publish, write_layer, TargetOptions};
use crate::image::sealed::{fit_history, seal, Sealed};
use crate::image::transfer;
use crate::image::tree::{read_layers, ImageLayers, Reading, Wanted};
use crate::layer::Folded;
use crate::layer::{self, leave_unstorable, Layer, Members, Step};
use crate::layout::{Image, Layout, Location};
use crate::oci::annotations::{BASE_DIGEST, BASE_NAME};
use crate::oci::History;
use crate::platform::PlatformPattern;
use crate::tree::{Entry, Mask};
use crate::work::Work;

/// How layers are squashed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SquashOptions {
    /// The platform of the image, if there are several.
    pub platform: Option<PlatformPattern>,
    /// The first layer to squash, counted from 1. `None` means the lowest.
    pub first: Option<usize>,
    /// The last layer to squash. `None` means the highest.
    pub last: Option<usize>,
    /// How the new layer is compressed.
    pub compression: Compression,
    /// How the new image appears in its targets.
    pub target: TargetOptions,
}

/// What a squash made.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SquashReport {
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// How many layers became one.
    pub squashed: usize,
    /// How many layers the image has now.
    pub layers: usize,
    /// The digest of the new layer's tar.
    pub diff_id: Digest,
    /// Bytes of the new layer's blob.
    pub size: u64,
    /// What was odd about the image and was repaired.
    pub warnings: Vec<String>,
}

/// Squashes layers of an image.
///
/// Each layer is decompressed once. The contents of files go to unnamed files beside the first target until they are
/// written. So memory grows only with the entries, and the new layer can be in tree order: if all layers are squashed,
/// it is the layer that a build of the image's tree would make. Layers outside of the range are used as they are.
pub fn squash(
    location: &Location,
    targets: &[Location],
    options: &SquashOptions,
    work: &Work<'_>,
) -> Result<SquashReport> {
    let (mut report, warnings) = work.with_warnings(|work| squash_told(location, targets, options, work))?;
    report.warnings = warnings;
    Ok(report)
}

fn squash_told(
    location: &Location,
    targets: &[Location],
    options: &SquashOptions,
    work: &Work<'_>,
) -> Result<SquashReport> {
    let layout = &Layout::open(location, work.limits)?;
    let image = &layout.image(options.platform.as_ref())?;
    let count = image.manifest.value().layers.len();
    let (first, last) = checked(options.first, options.last, count)?;
    work.warn(options.target.unused_tags(targets)?);
    let mut opened = open(targets, &options.target, work)?;

    work.observer.step(&format!("read layers 1 to {last} of {count}"));
    let scratch = || opened[0].stage().scratch_file();
    let mut below = read_layers(layout, image, last, &Wanted::Contents(&scratch), Reading::Unwatched, work)
        .map_err(|error| opened[0].stage().about_scratch(error))?;
    let squashed = below.split_off(first - 1);
    let mut layers = ImageLayers::default();
    layers.push(below, work.observer)?;
    let mut lower = (first > 1).then(|| layers.so_far());
    layers.push(squashed, work.observer)?;
    let mut tree = layers.into_tree();
    let unstorable = leave_unstorable(&mut tree.folded.tree);
    if let Some(lower) = &mut lower {
        // These are not the difference.
        drop(leave_unstorable(&mut lower.tree));
    }
    let members = match &lower {
        None => Members::All(&tree.folded.tree),
        Some(lower) => Members::Steps(difference(lower, &tree.folded)?),
    };

    let compression = options.target.compression(targets, options.compression);
    let (layer, _) = write_layer(members, &tree.content, &mut opened, compression, work)?;

    let old = &image.manifest.value().layers;
    for target in &mut opened {
        for unchanged in old[..first - 1].iter().chain(&old[last..]) {
            target.stage_mut().copy_blob(layout, unchanged)?;
        }
    }
    let Sealed { config, manifest, notes } = documents(image, first, last, &layer)?;
    let attestations = layout.attestations([image.path.entry()])?;
    work.warn(notes);
    work.warn(unstorable);
    let (descriptor, orphans) = publish(opened, &config, &manifest, &options.target, work)?;
    // What went with the image, because the new one took its place, is told already.
    let is_told = |digest: &Digest| orphans.contains(digest);
    work.warn(transfer::left_attestations(&attestations, [&image.path.descriptor().digest], is_told));
    Ok(SquashReport {
        digest: descriptor.digest,
        squashed: last - first + 1,
        layers: manifest.value().layers.len(),
        diff_id: layer.diff_id,
        size: layer.descriptor.size,
        warnings: Vec::new(),
    })
}

fn checked(first: Option<usize>, last: Option<usize>, count: usize) -> Result<(usize, usize)> {
    if count == 0 {
        return Err(Error::refused("the image has no layers to squash").of_kind(ErrorKind::NotFound));
    }
    let (first, last) = (first.unwrap_or(1), last.unwrap_or(count));
    if first == 0 || first > last || last > count {
        return Err(Error::refused(format!("layers {first} to {last}: the image has layers 1 to {count}"))
            .of_kind(ErrorKind::Invalid));
    }
    Ok((first, last))
}

/// Returns what the range changes in the tree below it. A file is the same if no layer of the range brought it.
fn difference<'a>(lower: &'a Folded, upper: &'a Folded) -> Result<Vec<Step<'a>>> {
    let same = |old: &Entry, new: &Entry| Ok(lower.origins.get(&old.path) == upper.origins.get(&new.path));
    Ok(layer::difference(&lower.tree, &upper.tree, &Mask::default(), same)?.into_iter().collect())
}

/// Returns the documents with one layer in place of several. The history keeps the steps of the squashed layers, marked
/// as empty, and adds one for the new layer.
fn documents(image: &Image, first: usize, last: usize, layer: &Layer) -> Result<Sealed> {
    let replaced = first - 1..last;
    let mut config = image.config.value().clone();
    let mut manifest = image.manifest.value().clone();
    let mended = fit_history(&mut config.history, manifest.layers.len());
    config.rootfs.diff_ids.splice(replaced.clone(), [layer.diff_id.clone()]);
    config.history = config.history.map(|history| squashed_history(history, first, last, config.created.as_deref()));
    if first == 1 {
        // The layers of the base image are no longer part of the image.
        if let Some(annotations) = &mut manifest.annotations {
            annotations.retain(|key, _| key != BASE_DIGEST && key != BASE_NAME);
        }
        manifest.annotations = manifest.annotations.filter(|annotations| !annotations.is_empty());
    }
    manifest.layers.splice(replaced, [layer.descriptor.clone()]);
    let mut sealed = seal(config, manifest, Some(image))?;
    sealed.notes.extend(mended);
    Ok(sealed)
}

fn squashed_history(history: Vec<History>, first: usize, last: usize, created: Option<&str>) -> Vec<History> {
    let mut squashed = Vec::with_capacity(history.len() + 1);
    let mut layer = 0;
    for mut step in history {
        if step.is_empty_layer() {
            squashed.push(step);
            continue;
        }
        layer += 1;
        if (first..=last).contains(&layer) {
            step.empty_layer = Some(true);
        }
        squashed.push(step);
        if layer == last {
            squashed.push(History {
                created: created.map(str::to_owned),
                created_by: Some("ocibake squash".to_owned()),
                comment: Some(format!("layers {first} to {last} in one")),
                ..History::default()
            });
        }
    }
    squashed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_stays_truthful() {
        let step = |name: &str, empty: bool| History {
            created_by: Some(name.to_owned()),
            empty_layer: empty.then_some(true),
            ..History::default()
        };
        let history = vec![step("1", false), step("env", true), step("2", false), step("3", false), step("cmd", true)];
        let shown = |first, last| -> Vec<String> {
            squashed_history(history.clone(), first, last, None)
                .iter()
                .map(|step| {
                    format!("{}{}", step.created_by.as_deref().unwrap(), if step.is_empty_layer() { "-" } else { "" })
                })
                .collect()
        };
        assert_eq!(shown(1, 3), ["1-", "env-", "2-", "3-", "ocibake squash", "cmd-"]);
        assert_eq!(shown(2, 2), ["1", "env-", "2-", "ocibake squash", "3", "cmd-"]);
    }

    #[test]
    fn ranges() {
        for ((first, last), expected) in [
            ((None, None), Some((1, 3))),
            ((Some(2), Some(3)), Some((2, 3))),
            ((Some(2), None), Some((2, 3))),
            ((None, Some(2)), Some((1, 2))),
            ((Some(0), Some(1)), None),
            ((Some(2), Some(4)), None),
            ((Some(3), Some(2)), None),
        ] {
            assert_eq!(checked(first, last, 3).ok(), expected);
        }
        assert!(checked(None, None, 0).is_err());
    }
}
