//! Manifests (image-spec, manifest.md): the config and the layers of an image, or what an artifact consists of.

use std::rc::Rc;

use serde_json::Value;

use crate::digest::Digest;
use crate::error::Result;
use crate::layer::{too_many_layers, LAYER_LIMIT};
use crate::media_type::MediaKind;
use crate::oci;
use crate::ops::verify::blob::BlobRole;
use crate::ops::verify::config::ConfigFacts;
use crate::ops::verify::documents::{DocumentKind, DocumentWalk};
use crate::ops::verify::finding::FindingPlace;
use crate::ops::verify::mention::{check_annotations, AnnotationsOf, BlobMention};
use crate::ops::verify::{shape, Rule};

impl DocumentWalk<'_> {
    /// Checks a manifest. Returns what the config says, or `None` if the manifest is not one of an image.
    pub(super) fn manifest(&mut self, value: &Value, place: &FindingPlace) -> Result<Option<Rc<ConfigFacts>>> {
        let errors = self.findings.errors();
        shape::MANIFEST.check(value, place, self.findings);
        self.check_head(value, place);
        let config_place = place.member("config");
        check_annotations(&value["config"], AnnotationsOf::Other, &config_place, self.findings);
        let config = BlobMention::read(&value["config"], config_place, self.findings);
        let layers_place = place.member("layers");
        let layers = value["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut mentions = Vec::new();
        for (number, layer) in layers.iter().enumerate() {
            check_annotations(layer, AnnotationsOf::Other, &layers_place.member(number), self.findings);
            mentions.push(BlobMention::read(layer, layers_place.member(number), self.findings));
        }
        let subject = self.subject(value, place);
        self.check_readable::<oci::Manifest>(value, errors, place);

        let mut facts = None;
        match config {
            Some(config) if config.media_type.kind() == MediaKind::Config && is_image(&mentions) => {
                facts.clone_from(&self.follow(&config, DocumentKind::Config)?.config);
                self.images += 1;
                self.image(mentions, facts.as_deref(), &layers_place);
            }
            other => {
                if let Some(config) = other {
                    self.artifact_config(config, value, place);
                }
                // The content of an artifact's blobs is not defined here.
                mentions.into_iter().flatten().for_each(|mention| self.blobs.mention(mention, BlobRole::Opaque));
            }
        }
        self.follow_subject(subject);
        Ok(facts)
    }

    fn artifact_config(&mut self, config: BlobMention, manifest: &Value, place: &FindingPlace) {
        match config.media_type.kind() {
            MediaKind::Empty if manifest["artifactType"].as_str().unwrap_or_default().is_empty() => {
                let place = place.member("artifactType");
                self.findings.add(Rule::ArtifactType, &place, "a media type, since the config is empty", "nothing");
            }
            MediaKind::Other => self.add_unknown(&config, "an image's config"),
            MediaKind::Index | MediaKind::Manifest | MediaKind::Layer(_) => self.add_misplaced(&config, "a config"),
            MediaKind::Config | MediaKind::Empty => {}
        }
        self.blobs.mention(config, BlobRole::Opaque);
    }

    /// Compares the layers with what the config says about them.
    fn image(&mut self, layers: Vec<Option<BlobMention>>, config: Option<&ConfigFacts>, place: &FindingPlace) {
        let count = layers.len();
        if count == 0 {
            self.findings.add(Rule::NoLayers, place, "a layer", "none");
        }
        if count > LAYER_LIMIT {
            self.findings.add_layer_findings([too_many_layers(count)], place);
        }
        let is_layer = |mention: &&BlobMention| matches!(mention.media_type.kind(), MediaKind::Layer(_));
        let digests = layers.iter().flatten().filter(is_layer).map(|mention| mention.digest.clone());
        if count > 1 {
            self.layered.insert(digests.collect());
        }
        let mut diff_ids: &[Option<Digest>] = &[];
        if let Some(config) = config {
            let expected = |what: &str| format!("{count} {what}, as there are {place}");
            if config.diff_ids.len() == count {
                diff_ids = &config.diff_ids;
            } else {
                let place = config.place.member("rootfs").member("diff_ids");
                self.findings.add(Rule::DiffIdCount, &place, expected("diff_ids"), config.diff_ids.len().to_string());
            }
            if let Some(found) = config.history_layers.filter(|found| *found != count) {
                let place = config.place.member("history");
                let expected = expected("entries with a layer");
                self.findings.add(Rule::HistoryCount, &place, expected, found.to_string());
            }
        }
        for (number, mention) in layers.into_iter().enumerate() {
            let Some(mention) = mention else { continue };
            let role = match mention.media_type.kind() {
                MediaKind::Layer(encoding) => {
                    let diff_id = diff_ids.get(number).cloned().flatten().zip(config);
                    let place_of =
                        |config: &ConfigFacts| config.place.member("rootfs").member("diff_ids").member(number);
                    BlobRole::Layer(encoding, diff_id.map(|(diff_id, config)| (place_of(config), diff_id)))
                }
                MediaKind::Other => {
                    self.add_unknown(&mention, "a layer");
                    BlobRole::Opaque
                }
                MediaKind::Index | MediaKind::Manifest | MediaKind::Config | MediaKind::Empty => {
                    self.add_misplaced(&mention, "a layer");
                    BlobRole::Opaque
                }
            };
            self.blobs.mention(mention, role);
        }
    }

    pub(super) fn subject(&mut self, value: &Value, place: &FindingPlace) -> Option<BlobMention> {
        let subject = value.get("subject").filter(|subject| subject.is_object())?;
        check_annotations(subject, AnnotationsOf::Other, &place.member("subject"), self.findings);
        BlobMention::read(subject, place.member("subject"), self.findings)
    }

    /// Follows a subject. It need not be there: the association is a weak one (image-spec, manifest.md, `subject`).
    pub(super) fn follow_subject(&mut self, subject: Option<BlobMention>) {
        let Some(mention) = subject else { return };
        let is_here = self.layout.holds(&mention.digest).unwrap_or(true);
        match mention.media_type.kind() {
            MediaKind::Manifest if is_here => self.queue.push_back((mention, DocumentKind::Manifest)),
            MediaKind::Index if is_here => self.queue.push_back((mention, DocumentKind::Index)),
            MediaKind::Manifest | MediaKind::Index => {}
            MediaKind::Other => self.add_unknown(&mention, "a manifest or an index"),
            MediaKind::Config | MediaKind::Layer(_) | MediaKind::Empty => {
                self.add_misplaced(&mention, "a manifest or an index");
            }
        }
    }
}

/// Whether a filesystem can be made of the layers, or there are none: [`oci::Manifest::is_image`].
fn is_image(layers: &[Option<BlobMention>]) -> bool {
    let is_foreign = |mention: &BlobMention| mention.media_type.is_foreign();
    layers.is_empty() || !layers.iter().all(|mention| mention.as_ref().is_some_and(is_foreign))
}
