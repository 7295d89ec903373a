//! Entries of a layer below a path that is a symbolic link in a lower layer. If the layer has no entry for the
//! directory, an overlay makes one in place of the link, and others follow the link.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::Result;
use crate::layer::{Changeset, Contents, Fold};
use crate::layout::{blob_path, Layout};
use crate::ops::verify::finding::{FindingPlace, Findings};
use crate::ops::verify::Rule;
use crate::tree::{Kind, TarPath};
use crate::work::Work;

/// What in a layer concerns links: little compared with its entries.
#[derive(Clone, Debug, Default)]
pub(super) struct LayerLinks {
    /// Its symbolic links.
    pub(super) links: BTreeSet<TarPath>,
    /// Directories that lead to entries and are not entries themselves, each with the first of those entries.
    pub(super) implied: BTreeMap<TarPath, TarPath>,
}

/// Layers by the digests of their blobs.
pub(super) type LinksOf = BTreeMap<Digest, LayerLinks>;

/// Compares the layers of an image, the base's first, with each other.
pub(super) fn check(
    layout: &Layout,
    layers: &[Digest],
    links: &LinksOf,
    work: &Work<'_>,
    findings: &mut Findings,
) -> Result<()> {
    let is_suspect = |number: usize, path: &TarPath| {
        layers[..number].iter().any(|lower| links.get(lower).is_some_and(|lower| lower.links.contains(path)))
    };
    let suspects = |number: usize| -> Vec<(&TarPath, &TarPath)> {
        let implied = links.get(&layers[number]).into_iter().flat_map(|layer| &layer.implied);
        implied.filter(|(directory, _)| is_suspect(number, directory)).collect()
    };
    let suspects: Vec<_> = (0..layers.len()).map(suspects).collect();
    let Some(last) = suspects.iter().rposition(|suspects| !suspects.is_empty()) else { return Ok(()) };
    // A layer in between may have replaced the link: only all of them together tell.
    let mut fold = Fold::new();
    for (layer, suspects) in layers.iter().zip(&suspects).take(last + 1) {
        let place = FindingPlace::file(blob_path(layer));
        let Some((blob, _)) = layout.stored_blob(layer)? else { return Ok(()) };
        let Ok(changeset) = Changeset::read(blob, Contents::Skip, &place.to_string(), work) else {
            work.observer.check()?;
            return Ok(());
        };
        if fold.hide(&changeset.members).is_err() {
            return Ok(());
        }
        for (directory, entry) in suspects {
            if matches!(fold.kind(directory), Some(Kind::Symlink { .. })) {
                let found = format!("{directory} is a symbolic link in a lower layer");
                findings.add(Rule::TarBelowLink, &place.entry(entry), "a directory above it", found);
            }
        }
        if fold.apply(changeset.members).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
