//! Entries of a layer below a path that is something other than a directory in a lower layer. If the layer has no entry
//! for the directory, an overlay makes one in its place; others follow a link, and refuse a file.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::Result;
use crate::layer::{BelowLower, Changeset, Contents, Fold};
use crate::layout::{blob_path, Layout};
use crate::ops::verify::finding::{FindingPlace, Findings};
use crate::work::Work;

/// Compares the layers of an image, the base's first, with each other. `implied` are the layers that have entries
/// without directories above them; nothing can be wrong with others.
pub(super) fn check(
    layout: &Layout,
    layers: &[Digest],
    implied: &BTreeSet<Digest>,
    work: &Work<'_>,
    findings: &mut Findings,
) -> Result<()> {
    let Some(last) = layers.iter().rposition(|layer| implied.contains(layer)).filter(|last| *last > 0) else {
        return Ok(());
    };
    // A layer in between may have replaced what was there: only all of them together tell.
    let mut fold = Fold::new();
    for layer in layers.iter().take(last + 1) {
        let place = FindingPlace::file(blob_path(layer));
        let Some((blob, _)) = layout.stored_blob(layer)? else { return Ok(()) };
        let Ok(changeset) = Changeset::read(blob, Contents::Skip, &place.to_string(), work) else {
            work.observer.check()?;
            return Ok(());
        };
        let is_whole = fold.apply(changeset.members).is_ok();
        findings.add_layer_findings(fold.take_below_lower().iter().map(BelowLower::finding), &place);
        if !is_whole {
            return Ok(());
        }
    }
    Ok(())
}
