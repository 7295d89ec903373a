//! Decides, before anything is written, which documents and layers of a transfer change, and why.

use std::collections::BTreeMap;

use crate::compress::Compression;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::image::sealed::{fitted, has_null_in_document, Fitted, NULL};
use crate::layout::{Graph, Layout, Node, NodeContent};
use crate::media_type::MediaKind;
use crate::oci::{Descriptor, Document, ImageConfig, Manifest};

/// What happens to documents and blobs.
#[derive(Debug, Default)]
pub(crate) struct TransferPlan {
    /// Blobs that are taken unchanged, documents included.
    pub(crate) taken: BTreeMap<Digest, Descriptor>,
    /// Layers to be recompressed.
    pub(crate) recompressed: BTreeMap<Digest, LayerToRecompress>,
    /// Documents that change, with the reason.
    pub(crate) changed: BTreeMap<Digest, String>,
    /// Configs that do not fit their images and are corrected, by the digests of the manifests.
    pub(crate) mended: BTreeMap<Digest, Fitted>,
    /// Manifests and indexes with null in the place of a list.
    pub(crate) with_null: Vec<Digest>,
    /// Images without a platform.
    pub(crate) nameless: Vec<Digest>,
}

#[derive(Debug)]
pub(crate) struct LayerToRecompress {
    pub(crate) descriptor: Descriptor,
    /// The diff_id from the config.
    pub(crate) diff_id: Digest,
}

impl TransferPlan {
    /// Docker's media types become those of OCI, layers in another compression than the wanted one are recompressed,
    /// and a history that does not fit the layers is corrected. Everything else stays as it is.
    ///
    /// # Errors
    ///
    /// An image that would change has another number of diff_ids than of layers: nothing tells which of them is right.
    pub(crate) fn of(graph: &Graph<'_>, compression: Option<Compression>) -> Result<Self> {
        let mut plan = TransferPlan::default();
        for node in graph.nodes() {
            let digest = &node.descriptor.digest;
            let reason = match &node.content {
                NodeContent::Missing => continue,
                NodeContent::Unknown => None,
                NodeContent::Index(index) => {
                    let is_null = has_null_in_document(index.raw(), "manifests", index.value().manifests.is_empty());
                    let mentioned = index.value().manifests.iter().chain(&index.value().subject);
                    let reason = plan
                        .reason_of_null(digest, is_null)
                        .or_else(|| reason_of_version(index.value().schema_version));
                    reason.or_else(|| plan.reason_of_document(node, mentioned))
                }
                NodeContent::Manifest(manifest, config) => {
                    let config = config.as_deref();
                    let listed = node.descriptor.platform.as_ref();
                    if config.is_some_and(|config| !config.value().platform_or(listed).is_named()) {
                        plan.nameless.push(digest.clone());
                    }
                    let reason =
                        plan.add_blobs(graph.layout(), &node.descriptor, manifest.value(), config, compression)?;
                    let is_null = has_null_in_document(manifest.raw(), "layers", manifest.value().layers.is_empty());
                    let reason = plan.reason_of_null(digest, is_null).or(reason);
                    let reason = reason.or_else(|| reason_of_version(manifest.value().schema_version));
                    let reason = reason.or_else(|| plan.reason_of_document(node, &manifest.value().subject));
                    if let (Some(config), true) = (config, reason.is_some()) {
                        let image = || format!("image {} of `{}`", digest.short(), graph.layout().location());
                        config.value().check_layers(manifest.value().layers.len(), image)?;
                    }
                    reason
                }
            };
            match reason {
                Some(reason) => drop(plan.changed.insert(digest.clone(), reason)),
                None => drop(plan.taken.insert(digest.clone(), node.descriptor.clone())),
            }
        }
        Ok(plan)
    }

    /// Records a manifest or an index with null in the place of a list. Returns that as the reason why it must change.
    fn reason_of_null(&mut self, digest: &Digest, is_null: bool) -> Option<String> {
        is_null.then(|| {
            self.with_null.push(digest.clone());
            NULL.to_owned()
        })
    }

    /// Returns why a document must change, or `None` if it need not.
    fn reason_of_document<'d>(
        &self,
        node: &Node,
        mentioned: impl IntoIterator<Item = &'d Descriptor>,
    ) -> Option<String> {
        for media_type in [node.media_type(), &node.descriptor.media_type] {
            if *media_type != media_type.in_oci() {
                return Some(format!("its media type `{media_type}` is Docker's"));
            }
        }
        let changed = mentioned.into_iter().find(|descriptor| self.changed.contains_key(&descriptor.digest))?;
        Some(format!("it mentions {}", changed.digest))
    }

    /// Records config and layers. Returns why the manifest must change for them, or `None` if it need not.
    fn add_blobs(
        &mut self,
        layout: &Layout,
        described: &Descriptor,
        manifest: &Manifest,
        config: Option<&Document<ImageConfig>>,
        compression: Option<Compression>,
    ) -> Result<Option<String>> {
        let mut reason = None;
        if let Some(mended) =
            config.and_then(|config| fitted(config, manifest.layers.len(), described.platform.as_ref()))
        {
            reason = Some(mended.note.clone());
            self.mended.insert(described.digest.clone(), mended);
        } else {
            self.taken.insert(manifest.config.digest.clone(), manifest.config.clone());
        }
        let mut blobs = vec![&manifest.config];
        for (number, layer) in manifest.layers.iter().enumerate() {
            blobs.push(layer);
            if may_be_elsewhere(layer) {
                // Its URLs lead to these very bytes, so it is not recompressed.
                if layout.holds(&layer.digest)? {
                    self.taken.insert(layer.digest.clone(), layer.clone());
                }
                continue;
            }
            let wanted = compression.map(Compression::encoding);
            let (Some(wanted), MediaKind::Layer(found), Some(config)) = (wanted, layer.media_type.kind(), config)
            else {
                self.taken.insert(layer.digest.clone(), layer.clone());
                continue;
            };
            if found == wanted {
                self.taken.insert(layer.digest.clone(), layer.clone());
                continue;
            }
            let reason_of_type = || format!("its layer {} is `{}`", number + 1, layer.media_type);
            // Without one for each layer, the image cannot change.
            let Some(diff_id) = config.value().rootfs.diff_ids.get(number) else {
                return Ok(Some(reason_of_type()));
            };
            let new = || LayerToRecompress { descriptor: layer.clone(), diff_id: diff_id.clone() };
            let known = self.recompressed.entry(layer.digest.clone()).or_insert_with(new);
            if known.diff_id != *diff_id {
                let subject = format!("{}: layer {}", layout.location(), layer.digest.short());
                let reason = format!("one diff_id expected, found {} and {diff_id}", known.diff_id);
                return Err(Error::malformed(subject, reason));
            }
            reason.get_or_insert_with(reason_of_type);
        }
        let of_docker = blobs.into_iter().find(|blob| blob.media_type != blob.media_type.in_oci());
        Ok(reason.or_else(|| of_docker.map(|blob| format!("the media type `{}` in it is Docker's", blob.media_type))))
    }
}

/// Returns why a document must change if its `schemaVersion` is not the only one there is.
fn reason_of_version(version: u32) -> Option<String> {
    (version != 2).then(|| "its `schemaVersion` is not 2".to_owned())
}

/// Whether a layer may be missing from the layout (image-spec, layer.md#non-distributable-layers).
pub(super) fn may_be_elsewhere(layer: &Descriptor) -> bool {
    !layer.urls.is_empty() || layer.media_type.is_non_distributable()
}
