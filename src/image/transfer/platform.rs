//! Selects the entries of a layout for one platform.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::Result;
use crate::image::transfer::attestations::{left_beside, left_of};
use crate::image::transfer::entry::{attached_to, EntryKind, IndexEntry};
use crate::layout::{choose, fitting, is_artifact, Choice, Graph, Layout, NodeContent};
use crate::media_type::MediaKind;
use crate::oci::Descriptor;
use crate::platform::PlatformPattern;

/// Replaces each image entry by its image for the platform, and keeps what is attached to these images. All else is
/// dropped. Returns warnings about what was beside other images, and about what only an index tells of the chosen ones.
pub(crate) fn of_platform(
    layout: &Layout,
    entries: &[IndexEntry],
    platform: &PlatformPattern,
) -> Result<(Vec<IndexEntry>, Vec<String>)> {
    let graph = Graph::read(layout, entries.iter().map(|entry| &entry.descriptor))?;
    let mut chosen = images(&graph, entries, platform)?;
    let attached = attached_to(entries, &graph, chosen.iter().map(|entry| &entry.descriptor.digest));
    let key = |entry: &IndexEntry| (entry.descriptor.digest.clone(), entry.descriptor.ref_name().map(str::to_owned));
    let taken: BTreeSet<_> = attached.iter().map(|entry| key(entry)).collect();
    // The fate of BuildKit's attestations is reported with their images.
    let is_left = |entry: &&IndexEntry| {
        entry.kind != EntryKind::Image && entry.descriptor.attested().is_none() && !taken.contains(&key(entry))
    };
    let left: Vec<&Descriptor> = entries.iter().filter(is_left).map(|entry| &entry.descriptor).collect();
    let attached: Vec<IndexEntry> = attached.into_iter().cloned().collect();
    let mut warnings = left_within(&graph, &chosen, &attached);
    warnings.extend(left_beside(&left));
    chosen.extend(attached);
    Ok((chosen, warnings))
}

/// Warnings about what has a chosen image as its subject and stands with it in an index that is not taken. What
/// `BuildKit` annotates is told elsewhere.
fn left_within(graph: &Graph<'_>, chosen: &[IndexEntry], attached: &[IndexEntry]) -> Vec<String> {
    let is_in =
        |entries: &[IndexEntry], digest: &Digest| entries.iter().any(|entry| entry.descriptor.digest == *digest);
    let left = graph.nodes().filter(|node| {
        node.descriptor.attested().is_none()
            && !is_in(chosen, &node.descriptor.digest)
            && !is_in(attached, &node.descriptor.digest)
    });
    let subject = left.filter_map(|node| Some((&node.descriptor, &node.content.subject()?.digest)));
    let of_chosen = subject.filter(|(_, subject)| is_in(chosen, subject));
    of_chosen.map(|(left, subject)| left_of("artifact", left, subject)).collect()
}

fn images(graph: &Graph<'_>, entries: &[IndexEntry], platform: &PlatformPattern) -> Result<Vec<IndexEntry>> {
    let subject = format!("image `{}`", graph.layout().location());
    let mut chosen = Vec::new();
    let mut all = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Image) {
        let mut manifests = Vec::new();
        let mut choices = Vec::new();
        for manifest in graph.manifests_below([&entry.descriptor])? {
            if is_artifact(&manifest) {
                continue;
            }
            let config = match &graph.node(&manifest.digest).content {
                NodeContent::Manifest(_, Some(config)) => Some(config.value().platform_or(manifest.platform.as_ref())),
                NodeContent::Missing if manifest.media_type.kind() == MediaKind::Manifest => None,
                _ => continue,
            };
            let Some(choice) = Choice::new(&manifest, &entry.descriptor, config.as_ref()) else { continue };
            choices.push(choice);
            manifests.push(manifest);
        }
        // Another entry may have a matching image.
        if !fitting(platform, &choices).is_empty() {
            let at = choose(&subject, platform, &choices)?;
            let mut taken = entry.with(manifests.swap_remove(at));
            if choices[at].is_nameless() {
                taken.descriptor.platform = Some(platform.to_be_named()?);
            }
            chosen.push(taken);
        }
        all.extend(choices);
    }
    if chosen.is_empty() {
        choose(&subject, platform, &all)?;
    }
    Ok(chosen)
}
