//! The changes since an older image.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::Result;
use crate::image::fetch::UpdateCost;
use crate::json;
use crate::layer::groups::GENERATED;
use crate::layout::Image;
use crate::ops::diff::{between, is_same_content, DiffSummary, DocumentDifference};
use crate::ops::report::causes::{self, Cause, FetchReason};
use crate::ops::report::contents::ImageContents;
use crate::ops::report::size_change::{size_change, SizeChange, SizeChanges};
use crate::ops::report::size_tree::{Leaf, SizeTree};
use crate::platform::{Platform, PlatformPattern};
use crate::tree::{diff, Change, Entry, Mask, TarPath};

/// The changes since an older image.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The older image.
    pub old: OlderImage,
    /// In one line, why the digests differ, as `diff` says it.
    pub reason: String,
    /// How many entries and members of documents differ, as `diff` says it.
    pub summary: DiffSummary,
    /// Entries that the older image lacks.
    pub added: SizeChanges,
    /// Entries that only the older image has.
    pub removed: SizeChanges,
    /// Entries that differ.
    pub changed: SizeChanges,
    /// Members of the manifest and the configuration that differ, as `diff` lists them, except those that follow from
    /// the layers.
    pub documents: Vec<DocumentDifference>,
    /// What a device that has the older image must fetch, as in `diff`.
    pub update: UpdateCost,
    /// Why each layer is fetched, in their order.
    pub fetched: Vec<FetchReason>,
    /// The cost of each changed recipe, largest first, and last that of the documents. The sum is the cost of the
    /// update.
    pub causes: Vec<Cause>,
    /// The growth or shrinkage of each file.
    #[serde(skip)]
    pub tree: SizeTree,
}

/// The older image of a comparison.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct OlderImage {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its platform.
    #[serde(serialize_with = "json::text")]
    pub platform: Platform,
    /// When it was made, according to its configuration.
    pub created: Option<String>,
    /// Bytes of all blobs: manifest, config and layers.
    pub size: u64,
    /// Bytes of content of all files of its filesystem.
    pub unpacked: u64,
    /// Entries of its filesystem.
    pub entries: usize,
    /// How many layers it has.
    pub layers: usize,
}

impl Comparison {
    /// Whether both images tell which recipe owns what.
    pub(super) fn is_by_recipe(&self) -> bool {
        self.causes.iter().filter_map(|cause| cause.recipe.as_deref()).any(|recipe| recipe != GENERATED)
    }

    /// The platform of the older image if it differs from that of the newer one.
    pub(super) fn other_platform(&self, new: &Platform) -> Option<&Platform> {
        let old = &self.old.platform;
        PlatformPattern::from(new).choose([old]).is_empty().then_some(old)
    }

    pub(super) fn between(old: (&Image, &ImageContents), new: (&Image, &ImageContents)) -> Result<Self> {
        let ((old_image, before), (new_image, after)) = (old, new);
        let entries = if is_same_content(old_image, new_image) {
            Vec::new()
        } else {
            let same = |a: &Entry, b: &Entry| Ok(before.digests.get(&a.path) == after.digests.get(&b.path));
            diff(before.tree(), after.tree(), &Mask::default(), same)?
        };
        let differences = between(old_image, new_image, entries)?;
        let update = UpdateCost::of_images(old_image, new_image);
        let sizes: Vec<SizeChange> =
            differences.entries.iter().map(|entry| size_change(entry, before, after)).collect();
        let happened = |is_meant: fn(&Change) -> bool| {
            let those = differences.entries.iter().zip(&sizes).filter(|(entry, _)| is_meant(&entry.change));
            SizeChanges::of(those.map(|(_, sizes)| sizes))
        };
        let fetched = causes::of_layers(old, new, &differences.entries, &sizes);
        Ok(Comparison {
            old: OlderImage {
                digest: old_image.path.descriptor().digest.clone(),
                platform: old_image.config.value().platform(),
                created: old_image.config.value().created.clone(),
                size: UpdateCost::of_images(old_image, old_image).of,
                unpacked: before.tree().content_size(),
                entries: before.tree().len(),
                layers: before.layers.len(),
            },
            added: happened(|change| matches!(change, Change::Added { .. })),
            removed: happened(|change| matches!(change, Change::Removed { .. })),
            changed: happened(|change| matches!(change, Change::Changed { .. })),
            causes: causes::by_recipe(old, new, &fetched, &update),
            fetched,
            tree: size_tree(&sizes, before, after),
            reason: differences.reason,
            summary: differences.summary,
            documents: differences.documents.into_iter().filter(|one| !one.follows_from_layers()).collect(),
            update,
        })
    }
}

/// The files of both images with their growth and shrinkage. A recipe may be in only one of the images.
fn size_tree(sizes: &[SizeChange], before: &ImageContents, after: &ImageContents) -> SizeTree {
    let contents = |path: &TarPath| if after.tree().get(path).is_some() { after } else { before };
    let recipe = |path: &TarPath| {
        let contents = contents(path);
        contents.recipes.name(contents.recipe_of(path)).to_owned()
    };
    let differ: Vec<&SizeChange> = sizes.iter().filter(|change| change.from != change.to).collect();
    let names: BTreeSet<String> = differ.iter().map(|change| recipe(&change.path)).collect();
    let numbers: BTreeMap<&String, usize> = names.iter().enumerate().map(|(number, name)| (name, number)).collect();
    let leaves = differ.iter().map(|change| Leaf {
        path: &change.path,
        more: change.to.saturating_sub(change.from),
        less: change.from.saturating_sub(change.to),
        recipe: numbers[&recipe(&change.path)],
        layer: contents(&change.path).layer_of(&change.path),
    });
    let is_known = before.recipes.source().is_some() || after.recipes.source().is_some();
    SizeTree::of(leaves, if is_known { names.iter().cloned().collect() } else { Vec::new() })
}
