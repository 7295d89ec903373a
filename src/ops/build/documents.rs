//! The configuration and the manifest of a built image.

use crate::digest::Digest;
use crate::error::Result;
use crate::image::sealed::{seal, Sealed};
use crate::media_type::MediaType;
use crate::oci::{ContainerConfig, Descriptor, History, ImageConfig, Manifest, RootFs};
use crate::ops::build::base::Base;
use crate::ops::build::layers::NewLayer;
use crate::platform::Platform;
use crate::settings::fields::{merge, MergePolicy};
use crate::settings::BuildSpec;
use crate::time::Timestamp;

/// Returns how the image runs: as the spec says, or else as the base says.
pub(super) fn container_config(spec: &BuildSpec, base: Option<&Base>) -> ContainerConfig {
    let mut config = base.and_then(|base| base.config().config.clone()).unwrap_or_default();
    spec.cleared.iter().for_each(|field| field.clear(&mut config));
    merge(&mut config, &spec.config, MergePolicy::Inherit);
    config
}

/// Seals configuration and manifest. The base's steps and times in the history stay. Without a new layer, the new step
/// is marked as empty (image-spec, config.md#properties, `history`).
pub(super) fn documents(
    spec: &BuildSpec,
    platform: &Platform,
    container: ContainerConfig,
    base: Option<&Base>,
    new: &[NewLayer],
    created: Timestamp,
) -> Result<Sealed> {
    let step = History {
        created: Some(created.to_string()),
        created_by: Some("ocibake build".to_owned()),
        author: spec.author.clone(),
        ..History::default()
    };
    let (mut history, mended) = base.map(Base::history).unwrap_or_default();
    if new.is_empty() {
        history.push(History { empty_layer: Some(true), ..step.clone() });
    }
    history.extend(new.iter().map(|layer| layer.history(&step)));
    let mut diff_ids = base.map(|base| base.config().rootfs.diff_ids.clone()).unwrap_or_default();
    diff_ids.extend(new.iter().map(|layer| layer.layer.diff_id.clone()));

    let Platform { architecture, os, os_version, os_features, variant, .. } = platform.clone();
    let config = ImageConfig {
        created: Some(created.to_string()),
        author: spec.author.clone().or_else(|| base.and_then(|base| base.config().author.clone())),
        architecture,
        os,
        os_version,
        os_features,
        variant,
        config: Some(container),
        rootfs: RootFs::layers(diff_ids),
        history: Some(history),
        other: base.map(|base| base.config().other.clone()).unwrap_or_default(),
    };
    let mut layers = base.map(Base::layer_descriptors).transpose()?.unwrap_or_default();
    layers.extend(new.iter().map(NewLayer::descriptor));
    // The descriptor of the config is made when it is sealed.
    let mut manifest = Manifest::new(Descriptor::new(MediaType::CONFIG, Digest::of(b""), 0), layers);
    let mut annotations = base.map(Base::annotations).unwrap_or_default();
    annotations.extend(spec.annotations.clone());
    if !annotations.is_empty() {
        manifest.annotations = Some(annotations);
    }
    let mut sealed = seal(config, manifest, None)?;
    sealed.notes.extend(mended);
    Ok(sealed)
}
