//! Corrects the documents of an image, for every verb that writes some: wherever they came from, media types are OCI's,
//! and a history has an entry for each layer (image-spec, config.md#properties).

use serde_json::Value;

use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::layout::Image;
use crate::media_type::MediaType;
use crate::oci::{Document, History, ImageConfig, Manifest};
use crate::platform::Platform;

/// The documents of an image, ready to be written.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) config: Document<ImageConfig>,
    pub(crate) manifest: Document<Manifest>,
    /// What was corrected.
    pub(crate) notes: Vec<String>,
}

/// A corrected config.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) config: Document<ImageConfig>,
    /// The corrections.
    pub(crate) note: String,
}

/// The corrected config of an image with this many layers, if it needs corrections. `listed` is the platform under
/// which the image is listed.
pub(crate) fn fitted(config: &Document<ImageConfig>, layers: usize, listed: Option<&Platform>) -> Option<Fitted> {
    let mut mended = config.value().clone();
    let mut notes = mend(&mut mended, layers, listed);
    notes.extend(has_null_in_config(config).then(|| NULL.to_owned()));
    (!notes.is_empty()).then(|| Fitted { config: Document::seal(mended), note: notes.join("; ") })
}

/// The note about a document in which Go wrote null for something empty.
pub(crate) const NULL: &str = "it had null or nothing where a value belongs";

/// Whether a config has null or nothing in place of a value.
fn has_null_in_config(config: &Document<ImageConfig>) -> bool {
    if !config.value().rootfs.diff_ids.is_empty() && !names_null(config.raw()) {
        return false;
    }
    let Ok(value) = serde_json::from_slice::<Value>(config.raw()) else { return false };
    let is_null = |member: &str| value.get(member).is_some_and(Value::is_null);
    let execution = &value["config"];
    let in_execution = ["Env", "Entrypoint", "Cmd", "ExposedPorts", "Volumes", "Labels"];
    is_null("config")
        || is_null("history")
        || !value["rootfs"]["diff_ids"].is_array()
        || has_null(&value["os.features"])
        || has_null(&value["history"])
        || has_null(&execution["Healthcheck"]["Test"])
        || in_execution.iter().any(|member| has_null(&execution[*member]))
}

/// Whether a document may have null anywhere.
fn names_null(raw: &[u8]) -> bool {
    raw.windows(4).any(|word| word == b"null")
}

/// Whether a list or an object contains null, which Go reads as an empty value.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(Value::is_null),
        Value::Object(object) => object.values().any(Value::is_null),
        _ => false,
    }
}

/// Whether a manifest or an index has null or nothing in place of a value. `list` is its list of descriptors;
/// `is_empty` says that it was read as an empty one.
pub(crate) fn has_null_in_document(raw: &[u8], list: &str, is_empty: bool) -> bool {
    if !is_empty && !names_null(raw) {
        return false;
    }
    let Ok(value) = serde_json::from_slice::<Value>(raw) else { return false };
    let described = value[list].as_array().into_iter().flatten();
    let mut described = described.chain(["config", "subject"].into_iter().filter_map(|member| value.get(member)));
    !value[list].is_array() || has_null(&value["annotations"]) || described.any(has_null_in_descriptor)
}

/// Whether an entry of `index.json` that `is_meant` has null where a value belongs.
pub(crate) fn has_null_in_entries(raw: &[u8], is_meant: impl Fn(&str) -> bool) -> bool {
    if !names_null(raw) {
        return false;
    }
    let Ok(value) = serde_json::from_slice::<Value>(raw) else { return false };
    let mut entries = value["manifests"].as_array().into_iter().flatten();
    entries.any(|entry| entry["digest"].as_str().is_some_and(&is_meant) && has_null_in_descriptor(entry))
}

fn has_null_in_descriptor(descriptor: &Value) -> bool {
    let features = &descriptor["platform"]["os.features"];
    [&descriptor["annotations"], &descriptor["urls"], features].into_iter().any(has_null)
}

/// The error for an image without a platform: no machine could be matched with it.
pub(crate) fn nameless(image: &str, hint: Hint) -> Error {
    Error::refused_with_hint(
        format!("{image}: neither its config nor its descriptor says which architecture and system it is for"),
        hint,
    )
    .of_kind(ErrorKind::Damaged)
}

/// The hint to state the platform of an image, for a verb with an option for it.
pub(crate) fn say_the_platform() -> Hint {
    Hint::from("say it with ").option(OptionName::Platform).text(", or in a layout with ").then(in_the_image())
}

/// The hint to state the platform in the image itself.
pub(crate) fn in_the_image() -> Hint {
    Hint::default().verb("config").text(", ").option(OptionName::Architecture).text(" and ").option(OptionName::Os)
}

/// Corrects a config: a missing platform is taken from the entry that lists the image. Returns the corrections.
fn mend(config: &mut ImageConfig, layers: usize, listed: Option<&Platform>) -> Vec<String> {
    let mut notes: Vec<String> = fit_history(&mut config.history, layers).into_iter().collect();
    let platform = config.platform_or(listed);
    if (&platform.os, &platform.architecture) != (&config.os, &config.architecture) {
        let variant = platform.variant.or_else(|| listed.and_then(|listed| listed.variant.clone()));
        let stale = std::mem::replace(&mut config.variant, variant).filter(|old| Some(old) != config.variant.as_ref());
        (config.os, config.architecture) = (platform.os, platform.architecture);
        let platform = config.platform();
        let stale = stale.map(|stale| format!(", without the variant `{}`", as_typed(&stale))).unwrap_or_default();
        notes.push(format!("the config named no platform, and is for {platform} now{stale}"));
        notes.extend(platform.unknown_variant());
    }
    notes
}

/// Seals the documents of an image, the manifest's descriptor of the config with them.
///
/// If the config of the `old` image names no platform, that of its descriptor is used. A config that does not change is
/// kept byte for byte.
///
/// # Errors
///
/// The config names no platform, so the image could not be matched to a machine; or it has another number of layers.
pub(crate) fn seal(mut config: ImageConfig, mut manifest: Manifest, old: Option<&Image>) -> Result<Sealed> {
    let listed = old.and_then(|old| old.path.descriptor().platform.as_ref());
    let image = || {
        let image = old.map(|old| format!("image {}", old.path.descriptor().digest.short()));
        image.unwrap_or_else(|| "the image".to_owned())
    };
    config.check_layers(manifest.layers.len(), image)?;
    let notes = mend(&mut config, manifest.layers.len(), listed);
    let config = match old {
        _ if !config.platform().is_named() => {
            return Err(nameless(&image(), say_the_platform()));
        }
        Some(old) if *old.config.value() == config && !has_null_in_config(&old.config) => old.config.clone(),
        _ => Document::seal(config),
    };
    normalise(&mut manifest);
    manifest.config.redirect(&config.descriptor(MediaType::CONFIG));
    Ok(Sealed { config, manifest: Document::seal(manifest), notes })
}

/// Replaces Docker's media types with those of OCI.
pub(crate) fn normalise(manifest: &mut Manifest) {
    manifest.schema_version = 2;
    manifest.media_type = Some(MediaType::MANIFEST);
    for descriptor in manifest.layers.iter_mut().chain([&mut manifest.config]) {
        descriptor.media_type = descriptor.media_type.in_oci();
    }
}

/// Makes a history match the number of layers. Surplus entries at the end are marked as empty layers, since nothing
/// tells which ones they are. Returns a note if anything was corrected.
pub(crate) fn fit_history(history: &mut Option<Vec<History>>, layers: usize) -> Option<String> {
    let steps = history.as_mut().filter(|history| !history.is_empty())?;
    let found = steps.iter().filter(|step| !step.is_empty_layer()).count();
    if found == layers {
        return None;
    }
    for step in steps.iter_mut().rev().filter(|step| !step.is_empty_layer()).take(found.saturating_sub(layers)) {
        step.empty_layer = Some(true);
    }
    steps.resize_with(steps.len() + layers.saturating_sub(found), History::default);
    Some(format!(
        "the history told of a number of layers that the image does not have: it said {found}, and says {layers} now"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, empty: bool) -> History {
        History { created_by: Some(name.to_owned()), empty_layer: empty.then_some(true), ..History::default() }
    }

    #[test]
    fn a_platform_comes_from_the_descriptor_where_the_config_names_none() {
        let config: Document<ImageConfig> =
            Document::parse(br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec(), "config").unwrap();
        let listed: Platform = serde_json::from_str(r#"{"architecture":"arm","os":"linux","variant":"v7"}"#).unwrap();
        let mended = fitted(&config, 0, Some(&listed)).unwrap();
        assert_eq!(mended.config.value().platform().to_string(), "linux/arm/v7");
        assert!(mended.note.contains("for linux/arm/v7 now"), "{}", mended.note);
        assert!(fitted(&mended.config, 0, Some(&listed)).is_none());
        assert!(fitted(&config, 0, None).is_none());
    }

    #[test]
    fn null_is_written_as_what_it_stands_for() {
        let named = r#""architecture":"amd64","os":"linux""#;
        for (members, is_mended) in [
            (r#""rootfs":{"type":"layers","diff_ids":[]}"#, false),
            (r#""rootfs":{"type":"layers","diff_ids":null}"#, true),
            (r#""rootfs":{"type":"layers"}"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"config":null"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"history":null"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"config":{"Env":null,"Cmd":null},"history":[]"#, false),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"config":{"Env":["A=b",null]}"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"config":{"Labels":{"a":null}}"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"config":{"Volumes":{"/v":null}}"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"config":{"Healthcheck":{"Test":[null]}}"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"history":[null]"#, true),
            (r#""rootfs":{"type":"layers","diff_ids":[]},"os.features":[null]"#, true),
        ] {
            let raw = format!("{{{named},{members}}}");
            let config: Document<ImageConfig> = Document::parse(raw.into_bytes(), "config").unwrap();
            let mended = fitted(&config, 0, None);
            assert_eq!(mended.is_some(), is_mended, "{members}");
            assert!(mended.map_or(true, |mended| fitted(&mended.config, 0, None).is_none()), "{members}");
        }
        for (raw, expected) in [
            (r#"{"layers":null}"#, true),
            ("{}", true),
            (r#"{"layers":[]}"#, false),
            (r#"{"layers":[{"urls":[null]}]}"#, true),
            (r#"{"layers":[],"annotations":{"a":null}}"#, true),
        ] {
            assert_eq!(has_null_in_document(raw.as_bytes(), "layers", true), expected, "{raw}");
        }
    }

    #[test]
    fn a_history_fits_its_layers() {
        let history = || Some(vec![step("a", false), step("env", true), step("b", false)]);
        let shown = |layers| {
            let mut history = history();
            let note = fit_history(&mut history, layers);
            let steps = history.unwrap();
            let name = |step: &History| step.created_by.clone().unwrap_or_else(|| "?".to_owned());
            let steps: Vec<String> =
                steps.iter().map(|step| name(step) + if step.is_empty_layer() { "-" } else { "" }).collect();
            (steps.join(" "), note.is_some())
        };
        assert_eq!(shown(2), ("a env- b".to_owned(), false));
        assert_eq!(shown(1), ("a env- b-".to_owned(), true));
        assert_eq!(shown(0), ("a- env- b-".to_owned(), true));
        assert_eq!(shown(4), ("a env- b ? ?".to_owned(), true));
        for nothing in [None, Some(Vec::new())] {
            let mut history = nothing.clone();
            assert_eq!((fit_history(&mut history, 3), history), (None, nothing));
        }
    }
}
