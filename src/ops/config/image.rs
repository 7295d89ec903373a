//! The documents of one image, with the changes.

use crate::error::{Error, Result};
use crate::layout::Image;
use crate::oci::{Annotations, ContainerConfig, Document, Healthcheck, History, ImageConfig, Manifest};
use crate::platform::Platform;
use crate::settings::changes::{is_name, Annotated, Field, HistoryChange, HistoryStep, ImageChanges, Removal};
use crate::settings::values::{member, PORT};
use crate::settings::{clear, env_name, set_env};

/// An image's documents; of one that did not change, the old one.
pub(super) struct Changed {
    pub(super) config: Document<ImageConfig>,
    pub(super) manifest: Document<Manifest>,
}

/// The documents with the changes; none if nothing is different.
pub(super) fn changed(image: &Image, changes: &ImageChanges) -> Result<Option<Changed>> {
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
    // An implied time is not a change by itself: it would move an image at every build.
    if let (None, Some(epoch)) = (changes.created, changes.source_date_epoch) {
        config.created = Some(epoch.to_string());
    }
    if let HistoryChange::Step(step) = &changes.history {
        add_step(&mut config, manifest.layers.len(), step, changes, is_asked_for)?;
    }
    let config = if config == *old_config {
        image.config.clone()
    } else {
        let config = Document::seal(config);
        let described = config.descriptor(manifest.config.media_type.clone());
        manifest.config.digest = described.digest;
        manifest.config.size = described.size;
        manifest.config.data = None;
        config
    };
    Ok(Some(Changed { config, manifest: Document::seal(manifest) }))
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
            clear(config, *field);
        }
    }
    for removal in &changes.remove {
        match removal {
            Removal::Env(name) => config.env.retain(|pair| env_name(pair) != name),
            Removal::Label(key) => drop(config.labels.remove(key)),
            // `80` and `80/tcp` are one.
            Removal::Port(port) => config.exposed_ports.retain(|known, _| (PORT.read)(known).as_ref() != Some(port)),
            Removal::Volume(path) => drop(config.volumes.remove(path)),
            Removal::Annotation(..) => {}
        }
    }
    let given = changes.config.clone();
    set_env(&mut config.env, given.env);
    config.labels.extend(given.labels);
    for port in given.exposed_ports.into_keys() {
        if !config.exposed_ports.keys().any(|known| (PORT.read)(known).as_ref() == Some(&port)) {
            config.exposed_ports.insert(port, member());
        }
    }
    for path in given.volumes.into_keys() {
        config.volumes.entry(path).or_insert_with(member);
    }
    set(&mut config.user, given.user);
    set(&mut config.entrypoint, given.entrypoint);
    set(&mut config.cmd, given.cmd);
    set(&mut config.working_dir, given.working_dir);
    set(&mut config.stop_signal, given.stop_signal);
    set(&mut config.memory, given.memory);
    set(&mut config.memory_swap, given.memory_swap);
    set(&mut config.cpu_shares, given.cpu_shares);
    if let Some(check) = given.healthcheck {
        change_healthcheck(config.healthcheck.get_or_insert_with(Healthcheck::default), check);
    }
}

fn change_healthcheck(check: &mut Healthcheck, given: Healthcheck) {
    if !given.test.is_empty() {
        check.test = given.test;
    }
    set(&mut check.interval, given.interval);
    set(&mut check.timeout, given.timeout);
    set(&mut check.start_period, given.start_period);
    set(&mut check.retries, given.retries);
}

fn set<T>(member: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *member = given;
    }
}

/// The annotations of a place with the changes. What an image is called is none of them.
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

/// Adds a step that made no layer. Where the steps that made the layers are not told, none may be added: readers count
/// them (image-spec, config.md#properties, `history`).
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
                "leave the flags of the step out",
            ))
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

/// Whether anything is to change in the index that lists the image.
pub(super) fn changes_index(changes: &ImageChanges) -> bool {
    changes.clear.contains(&Field::Annotations(Annotated::Index))
        || changes.annotations.contains_key(&Annotated::Index)
        || changes.remove.iter().any(|removal| matches!(removal, Removal::Annotation(Annotated::Index, _)))
}

/// Whether the platform is to change.
pub(super) fn changes_platform(changes: &ImageChanges) -> bool {
    let of_platform = [Field::Variant, Field::OsVersion, Field::OsFeatures];
    changes.platform.is_change() || changes.clear.iter().any(|field| of_platform.contains(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_the_execution_parameters_can_be_cleared() {
        let full = r#"{"User":"a","ExposedPorts":{"80":{}},"Env":["A=1"],"Entrypoint":["a"],"Cmd":["a"],"Volumes":{"/a":{}},
            "WorkingDir":"/","Labels":{"a":"b"},"StopSignal":"SIGHUP","Memory":1,"MemorySwap":1,"CpuShares":2,
            "Healthcheck":{"Test":["NONE"]}}"#;
        let mut config: ContainerConfig = serde_json::from_str(full).unwrap();
        for (_, field) in Field::all() {
            if let Field::Config(field) = field {
                clear(&mut config, field);
            }
        }
        assert_eq!(config, ContainerConfig::default());
    }
}
