//! Documents with descriptors of what replaced others.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::Result;
use crate::image::sealed::{normalise, Fitted};
use crate::image::transfer::attestations::take_along;
use crate::image::transfer::plan::{may_be_elsewhere, TransferPlan};
use crate::layout::{Graph, NodeContent, Redirects, Stage};
use crate::media_type::MediaType;
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest};

/// Prefixes of annotations about the compressed bytes of a layer, as eStargz and zstd:chunked use them.
const OF_COMPRESSED_BYTES: [&str; 3] =
    ["containerd.io/snapshot/stargz/", "io.containers.estargz.", "io.github.containers.zstd-chunked."];

/// Documents that replaced others.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    indexes: Vec<Document<Index>>,
    manifests: Vec<Document<Manifest>>,
    configs: Vec<Document<ImageConfig>>,
    replaced: Redirects,
    /// Recompressed layers of images.
    layers: Redirects,
    /// Warnings about attestations of images that changed.
    pub(crate) warnings: Vec<String>,
}

impl Rewritten {
    /// Rewrites all documents that the plan marks as changed. `layers` are the recompressed ones by their old digest.
    pub(crate) fn of(graph: &Graph<'_>, plan: &TransferPlan, layers: BTreeMap<Digest, Descriptor>) -> Self {
        let layers = layers.into_iter().collect();
        let mut rewritten = Rewritten { layers, ..Rewritten::default() };
        for node in graph.nodes().filter(|node| plan.changed.contains_key(&node.descriptor.digest)) {
            let described = match &node.content {
                NodeContent::Index(index) => {
                    let document = Document::seal(rewritten.index(index.value().clone()));
                    let described = document.descriptor(MediaType::INDEX);
                    rewritten.indexes.push(document);
                    described
                }
                NodeContent::Manifest(manifest, config) => {
                    let mended = plan.mended.get(&node.descriptor.digest);
                    let document =
                        Document::seal(rewritten.manifest(manifest.value().clone(), config.is_some(), mended));
                    let described = document.descriptor(MediaType::MANIFEST);
                    rewritten.manifests.push(document);
                    rewritten.configs.extend(mended.map(|mended| mended.config.clone()));
                    described
                }
                NodeContent::Unknown | NodeContent::Missing => continue,
            };
            rewritten.replaced.put(node.descriptor.digest.clone(), described);
        }
        rewritten
    }

    /// Stores the documents.
    pub(crate) fn store(&self, stage: &mut Stage) -> Result<()> {
        for index in &self.indexes {
            stage.put(index, MediaType::INDEX)?;
        }
        for manifest in &self.manifests {
            stage.put(manifest, MediaType::MANIFEST)?;
        }
        for config in &self.configs {
            stage.put(config, MediaType::CONFIG)?;
        }
        Ok(())
    }

    /// Returns the replacement of a document, or `None` if none of those meant has changed.
    pub(crate) fn replacement(&self, is_meant: impl Fn(&Digest) -> bool) -> Option<&Descriptor> {
        self.replaced.pairs().find(|(old, _)| is_meant(old)).map(|(_, new)| new)
    }

    /// Points a descriptor at the replacement of its document, and an attestation at that of its image. Everything else
    /// in it stays.
    pub(crate) fn redirected(&mut self, descriptor: Descriptor) -> Descriptor {
        let mut descriptor = self.replaced.redirected(&descriptor).unwrap_or(descriptor);
        let warning = take_along(&mut descriptor, |image| self.replaced.get(image));
        if let Some(warning) = warning.filter(|warning| !self.warnings.contains(warning)) {
            self.warnings.push(warning);
        }
        descriptor
    }

    fn index(&mut self, mut index: Index) -> Index {
        index.media_type = Some(MediaType::INDEX);
        index.manifests = index.manifests.into_iter().map(|manifest| self.redirected(manifest)).collect();
        index.subject = index.subject.map(|subject| self.redirected(subject));
        index
    }

    fn manifest(&mut self, mut manifest: Manifest, is_image: bool, mended: Option<&Fitted>) -> Manifest {
        for layer in manifest.layers.iter_mut().filter(|layer| is_image && !may_be_elsewhere(layer)) {
            if let Some(new) = self.layers.redirected(layer) {
                *layer = new;
                forget_compressed_bytes(layer);
            }
        }
        normalise(&mut manifest);
        if let Some(mended) = mended {
            manifest.config.redirect(&mended.config.descriptor(MediaType::CONFIG));
        }
        manifest.subject = manifest.subject.map(|subject| self.redirected(subject));
        manifest
    }
}

fn forget_compressed_bytes(layer: &mut Descriptor) {
    if let Some(annotations) = &mut layer.annotations {
        annotations.retain(|key, _| !OF_COMPRESSED_BYTES.iter().any(|beginning| key.starts_with(beginning)));
    }
    layer.annotations = layer.annotations.take().filter(|annotations| !annotations.is_empty());
}
