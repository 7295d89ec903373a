//! The documents of one image, with the changes.

use crate::error::{Error, ErrorKind, Result};
use crate::image::sealed::{seal, Sealed};
use crate::layout::Image;
use crate::oci::{Annotations, ContainerConfig, History, ImageConfig};
use crate::platform::Platform;
use crate::settings::changes::{is_name, Annotated, Field, HistoryChange, HistoryStep, ImageChanges, Removal};
use crate::settings::fields::{merge, MergePolicy};

/// Returns the documents with the changes, or `None` if nothing is different.
pub(super) fn changed(image: &Image, changes: &ImageChanges) -> Result<Option<Sealed>> {
    let (old_config, old_manifest) = (image.config.value(), image.manifest.value());
    let mut config = old_config.clone();
    change_config(&mut config, changes);
    let mut manifest = old_manifest.clone();
    manifest.annotations = annotated(manifest.annotations, Annotated::Manifest, changes);
    manifest.config.annotations = annotated(manifest.config.annotations, Annotated::Config, changes);

    let is_asked_for = matches!(&changes.history, HistoryChange::Step(step) if *step != HistoryStep::default());
    if config == *old_config && manifest == *old_manifest && !is_asked_for {
        return Ok(None);
    }
    if let HistoryChange::Step(step) = &changes.history {
        add_step(&mut config, manifest.layers.len(), step, changes, is_asked_for)?;
    }
    seal(config, manifest, Some(image)).map(Some)
}

fn change_config(config: &mut ImageConfig, changes: &ImageChanges) {
    let is_cleared = |field| changes.clear.contains(&field);
    if is_cleared(Field::Author) {
        config.author = None;
    }
    if is_cleared(Field::Created) {
        config.created = None;
    }
    if is_cleared(Field::History) {
        config.history = None;
    }
    let platform = platform(&config.platform(), changes);
    config.architecture = platform.architecture;
    config.os = platform.os;
    config.variant = platform.variant;
    config.os_version = platform.os_version;
    config.os_features = platform.os_features;
    if let Some(author) = &changes.author {
        config.author = Some(author.clone());
    }
    if let Some(created) = changes.created {
        config.created = Some(created.to_string());
    }
    let mut execution = config.config.clone().unwrap_or_default();
    change_execution(&mut execution, changes);
    if config.config.is_some() || execution != ContainerConfig::default() {
        config.config = Some(execution);
    }
}

/// A platform, of a config or of a descriptor, with the changes.
pub(super) fn platform(old: &Platform, changes: &ImageChanges) -> Platform {
    let mut platform = old.clone();
    for field in &changes.clear {
        match field {
            Field::Variant => platform.variant = None,
            Field::OsVersion => platform.os_version = None,
            Field::OsFeatures => platform.os_features.clear(),
            _ => {}
        }
    }
    changes.platform.of(&platform)
}

fn change_execution(config: &mut ContainerConfig, changes: &ImageChanges) {
    for field in &changes.clear {
        if let Field::Config(field) = field {
            field.clear(config);
        }
    }
    for removal in &changes.remove {
        if let Removal::Element(field, name) = removal {
            field.remove(config, name);
        }
    }
    merge(config, &changes.config, MergePolicy::Edit);
}

/// Applies the changes to the annotations of a place. The names of an image are never cleared.
pub(super) fn annotated(old: Option<Annotations>, place: Annotated, changes: &ImageChanges) -> Option<Annotations> {
    let mut annotations = old.clone().unwrap_or_default();
    if changes.clear.contains(&Field::Annotations(place)) {
        annotations.retain(|key, _| place == Annotated::Descriptor && is_name(key));
    }
    for removal in &changes.remove {
        match removal {
            Removal::Annotation(of, key) if *of == place => drop(annotations.remove(key)),
            _ => {}
        }
    }
    annotations.extend(changes.annotations.get(&place).cloned().unwrap_or_default());
    match old {
        None if annotations.is_empty() => None,
        Some(old) if old == annotations => Some(old),
        _ => Some(annotations).filter(|annotations| !annotations.is_empty()),
    }
}

/// Adds a step that made no layer. If the history lacks the steps of the layers, none may be added: readers count them
/// (image-spec, config.md#properties, `history`).
fn add_step(
    config: &mut ImageConfig,
    layers: usize,
    step: &HistoryStep,
    changes: &ImageChanges,
    is_asked_for: bool,
) -> Result<()> {
    let history = config.history.clone().unwrap_or_default();
    if history.is_empty() && layers > 0 {
        return if is_asked_for {
            Err(Error::refused_with_hint(
                "the image has layers and no history, to which no step can be added",
                "leave out what is said of the step",
            )
            .of_kind(ErrorKind::Unsupported))
        } else {
            Ok(())
        };
    }
    config.history.get_or_insert_with(Vec::new).push(History {
        created: step.created.map(|created| created.to_string()).or_else(|| config.created.clone()),
        created_by: Some(step.created_by.clone().unwrap_or_else(|| "ocibake config".to_owned())),
        author: step.author.clone().or_else(|| changes.author.clone()),
        comment: step.comment.clone(),
        empty_layer: Some(true),
        ..History::default()
    });
    Ok(())
}

/// Whether anything changes in the index that lists the image.
pub(super) fn changes_index(changes: &ImageChanges) -> bool {
    changes.clear.contains(&Field::Annotations(Annotated::Index))
        || changes.annotations.contains_key(&Annotated::Index)
        || changes.remove.iter().any(|removal| matches!(removal, Removal::Annotation(Annotated::Index, _)))
}

/// Whether the platform changes.
pub(super) fn changes_platform(changes: &ImageChanges) -> bool {
    let of_platform = [Field::Variant, Field::OsVersion, Field::OsFeatures];
    changes.platform.is_change() || changes.clear.iter().any(|field| of_platform.contains(field))
}
