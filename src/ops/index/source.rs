//! The images that `index` combines, and their blobs on the way into the target.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::Result;
use crate::image::transfer::{self, attached_to, move_all, BlobReport, EntryKind, IndexEntry, Rewritten, TransferPlan};
use crate::layout::{about, DescriptorPath, Graph, Layout, NodeContent, Transaction, Trust};
use crate::oci::Descriptor;
use crate::ops::index::member::{members, no_image, Candidate};
use crate::work::Work;

/// A layout with images for the index.
pub(super) struct Source<'a> {
    layout: &'a Layout,
    pub(super) members: Vec<Candidate>,
    /// What is attached to them, for `index.json`.
    pub(super) attached: Vec<Descriptor>,
    pub(super) warnings: Vec<String>,
    plan: TransferPlan,
    rewritten: Rewritten,
}

impl<'a> Source<'a> {
    pub(super) fn read(layout: &'a Layout) -> Result<Self> {
        layout.by_one_index(|| Source::read_now(layout))
    }

    fn read_now(layout: &'a Layout) -> Result<Self> {
        let entries = transfer::entries(layout)?;
        let is_listed = |entry: &&IndexEntry| !matches!(entry.kind, EntryKind::Attached | EntryKind::Signature);
        let images = entries.iter().filter(is_listed).map(|entry| &entry.descriptor);
        let all = Graph::read(layout, entries.iter().map(|entry| &entry.descriptor))?;
        let mut members = members(&all, images)?;
        if members.iter().all(|member| member.platform.is_none()) {
            return Err(no_image(&all, &members));
        }
        let lost = take_lost(&mut members);
        let images = members.iter().map(|member| &member.descriptor.digest);
        let mut attached: Vec<IndexEntry> = attached_to(&entries, &all, images).into_iter().cloned().collect();
        let taken: BTreeSet<Digest> = attached.iter().map(|entry| entry.descriptor.digest.clone()).collect();
        // What tells its image by its descriptor is told with that.
        let left = entries.iter().filter(|entry| entry.kind == EntryKind::Attached).map(|entry| &entry.descriptor);
        let left: Vec<&Descriptor> =
            left.filter(|entry| about(entry).is_none() && !taken.contains(&entry.digest)).collect();
        let beside = transfer::left_beside(&left);

        // Nothing else is taken, such as the indexes that the images were taken from.
        let read = |attached: &[IndexEntry]| {
            let taken = members.iter().map(|member| &member.descriptor);
            Graph::read(layout, taken.chain(attached.iter().map(|entry| &entry.descriptor)))
        };
        let mut graph = read(&attached)?;
        let mut plan = TransferPlan::of(&graph, None)?;
        if transfer::leave_untrue(&mut attached, &plan) {
            graph = read(&attached)?;
            plan = TransferPlan::of(&graph, None)?;
        }
        let mut rewritten = Rewritten::of(&graph, &plan, BTreeMap::new());
        let attached = attached.iter().map(|entry| entry.redirected(&mut rewritten).descriptor).collect();
        let attestations = layout.attestations(layout.meant()?.iter().map(DescriptorPath::entry))?;
        // The indexes that the images were taken from may be signed too.
        let indexes = all.nodes().filter(|node| matches!(node.content, NodeContent::Index(_)));
        let indexes = indexes.map(|node| &node.descriptor.digest).filter(|digest| !graph.has(digest));
        let images = members.iter().map(|member| &member.descriptor.digest).chain(&lost).chain(indexes);
        let left = transfer::left_attestations(&attestations, images, |digest| graph.has(digest));
        for member in &mut members {
            member.descriptor = rewritten.redirected(member.descriptor.clone());
        }
        let mut warnings = left;
        warnings.extend(beside);
        let signatures = entries.iter().filter(|entry| entry.kind == EntryKind::Signature);
        warnings.extend(signatures.map(|entry| {
            let signature = entry.descriptor.digest.short();
            format!("signature {signature} has no name that tells its image, and does not go along")
        }));
        warnings.append(&mut rewritten.warnings);
        warnings.extend(transfer::warnings(&graph, &plan));
        // What these indexes list but the layout lacks is not taken either.
        warnings.extend(transfer::missing(&all));
        Ok(Source { layout, members, attached, warnings, plan, rewritten })
    }
}

/// Takes away the attestations of images that are not there. Returns the digests of these images.
fn take_lost(members: &mut Vec<Candidate>) -> BTreeSet<Digest> {
    let here: BTreeSet<Digest> = members.iter().map(|member| member.descriptor.digest.clone()).collect();
    let attested = members.iter().filter_map(|member| member.descriptor.attested());
    let lost: BTreeSet<Digest> = attested.filter(|image| !here.contains(image)).collect();
    members.retain(|member| !member.descriptor.attested().is_some_and(|image| lost.contains(&image)));
    lost
}

/// Stages the blobs and documents of all sources for the target.
pub(super) fn stage(
    sources: &[Source<'_>],
    target: &mut Transaction,
    trust: Trust,
    work: &Work<'_>,
) -> Result<Vec<BlobReport>> {
    let from: Vec<transfer::BlobSource<'_>> =
        sources.iter().map(|source| transfer::BlobSource { layout: source.layout, plan: &source.plan }).collect();
    let (blobs, _) = move_all(&from, std::slice::from_mut(target), None, trust, work)?;
    sources.iter().try_for_each(|source| source.rewritten.store(target.stage_mut()))?;
    Ok(blobs)
}
