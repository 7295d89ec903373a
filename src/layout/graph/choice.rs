//! Chooses one of several images by platform.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::most_specific;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::Descriptor;
use crate::platform::{Platform, PlatformPattern};

/// An image among several.
pub(crate) struct Choice {
    /// Name and platform.
    text: String,
    digest: Digest,
    /// The platform from the index, or from the config if the index states none.
    listed: Platform,
    /// The same, completed from the config: older writers state the variant in only one of the two.
    full: Platform,
}

impl Choice {
    /// Creates a choice from the image's descriptor, the entry of `index.json` that leads to it, and the platform from
    /// its config if that is present. Returns `None` if no platform is known. A descriptor that names none, or half of
    /// one, says less than the config.
    pub(crate) fn new(descriptor: &Descriptor, entry: &Descriptor, config: Option<&Platform>) -> Option<Self> {
        let listed = match (&descriptor.platform, config) {
            (Some(listed), Some(config)) if !listed.is_told() => config,
            (listed, config) => listed.as_ref().or(config)?,
        };
        let name = most_specific(entry.annotation(CONTAINERD_NAME), entry.ref_name()).unwrap_or("(no name)");
        let full = config.map_or_else(|| listed.clone(), |config| filled(listed, config));
        Some(Choice { text: format!("{name} {}", full.in_full()), ..Choice::of(&descriptor.digest, listed, full) })
    }

    /// Creates a choice for an image with one known platform.
    pub(crate) fn of_platform(digest: &Digest, platform: &Platform) -> Self {
        Choice::of(digest, platform, platform.clone())
    }

    fn of(digest: &Digest, listed: &Platform, full: Platform) -> Self {
        Choice { text: full.in_full(), digest: digest.clone(), listed: listed.clone(), full }
    }

    /// Whether nothing says which platform the image is for.
    pub(crate) fn is_nameless(&self) -> bool {
        !self.full.is_named()
    }

    /// The digest of the image.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    fn with_digest(&self) -> String {
        format!("{} {}", self.text, self.digest)
    }
}

/// The platform from the index. If the index omits variant or version, they come from the config.
fn filled(listed: &Platform, config: &Platform) -> Platform {
    let mut full = listed.clone();
    if (&listed.os, &listed.architecture) == (&config.os, &config.architecture) {
        full.variant = full.variant.or_else(|| config.variant.clone());
        full.os_version = full.os_version.or_else(|| config.os_version.clone());
    }
    full
}

/// Positions of the best matches. Details that only the config states count only if nothing matches without them. A
/// sole image that names no platform is taken for the one that is asked for.
pub(crate) fn fitting(pattern: &PlatformPattern, choices: &[Choice]) -> Vec<usize> {
    let meant = pattern.choose(choices.iter().map(|choice| &choice.listed));
    if !meant.is_empty() {
        return meant;
    }
    match choices {
        [only] if pattern.may_mean(&only.full) => vec![0],
        _ => pattern.choose(choices.iter().map(|choice| &choice.full)),
    }
}

/// Position of the one matching image. `subject` names the place of the images in errors.
pub(crate) fn choose(subject: &str, pattern: &PlatformPattern, choices: &[Choice]) -> Result<usize> {
    let meant = fitting(pattern, choices);
    match meant[..] {
        [one] => Ok(one),
        [] if choices.is_empty() => {
            Err(Error::refused(format!("{subject}: no image for platform `{pattern}`")).of_kind(ErrorKind::NotFound))
        }
        [] => Err(Error::refused_with_hint(
            format!("{subject}: no image for platform `{pattern}`"),
            format!("there is {}", list(choices)),
        )
        .of_kind(ErrorKind::NotFound)),
        _ => {
            let texts: Vec<String> = meant.iter().filter_map(|at| Some(choices.get(*at)?.with_digest())).collect();
            Err(Error::refused_with_hint(
                format!("{subject}: one image for platform `{pattern}` is wanted, found {}", meant.len()),
                format!("choose by platform or digest: {}", texts.join(", ")),
            )
            .of_kind(ErrorKind::Ambiguous))
        }
    }
}

/// The images in readable form, with digests where the rest is ambiguous.
pub(crate) fn list(choices: &[Choice]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for choice in choices {
        let count = counts.entry(&choice.text).or_default();
        *count = count.saturating_add(1);
    }
    let is_alone = |choice: &Choice| counts.get(choice.text.as_str()) == Some(&1);
    let text = |choice: &Choice| if is_alone(choice) { choice.text.clone() } else { choice.with_digest() };
    choices.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;

    fn platform(variant: Option<&str>, version: Option<&str>) -> Platform {
        Platform {
            os: "linux".to_owned(),
            architecture: "arm".to_owned(),
            variant: variant.map(str::to_owned),
            os_version: version.map(str::to_owned),
            ..Platform::default()
        }
    }

    #[test]
    fn what_an_index_says_comes_first_and_a_config_may_add_to_it() {
        let (plain, v6, v7) = (platform(None, None), platform(Some("v6"), None), platform(Some("v7"), None));
        for (images, pattern, chosen) in [
            // As some older writers do: the variant only in the index, or only in the config.
            (&[(Some(&v6), &v6), (Some(&v7), &plain)][..], "linux/arm/v7", Ok(1)),
            (&[(Some(&v6), &v6), (Some(&v7), &plain)], "linux/arm", Err(2)),
            (&[(Some(&plain), &v6), (Some(&plain), &v7)], "linux/arm/v7", Ok(1)),
            (&[(Some(&plain), &v6), (Some(&v7), &v7)], "linux/arm", Ok(0)),
            (&[(None, &v6), (None, &v7)], "linux/arm/v6", Ok(0)),
            (&[(Some(&plain), &platform(None, Some("1"))), (Some(&plain), &plain)], "linux/arm", Err(2)),
            (&[(Some(&v6), &v6)], "linux/arm64", Err(0)),
            (&[], "linux/arm64", Err(0)),
        ] {
            let digest = |at: usize| Digest::of(at.to_string().as_bytes());
            let choice = |(at, (listed, config)): (usize, &(Option<&Platform>, &Platform))| {
                let mut descriptor = Descriptor::new(MediaType::MANIFEST, digest(at), 1);
                descriptor.platform = listed.cloned();
                Choice::new(&descriptor, &descriptor, Some(config)).unwrap()
            };
            let choices: Vec<Choice> = images.iter().enumerate().map(choice).collect();
            let found = choose("here", &pattern.parse().unwrap(), &choices);
            match chosen {
                Ok(at) => assert_eq!(found.unwrap(), at, "{pattern}"),
                Err(0) => {
                    let message = format!("here: no image for platform `{pattern}`");
                    assert_eq!(found.unwrap_err().to_string(), message);
                }
                Err(count) => {
                    let error = found.unwrap_err();
                    let message = format!("here: one image for platform `{pattern}` is wanted, found {count}");
                    assert_eq!(error.to_string(), message);
                    let hint = error.hint().unwrap().to_string();
                    assert!((0..count).all(|at| hint.contains(digest(at).as_str())), "{hint}");
                }
            }
        }
    }

    #[test]
    fn digests_are_shown_where_nothing_else_tells_images_apart() {
        let choice =
            |content: &str, variant| Choice::of_platform(&Digest::of(content.as_bytes()), &platform(variant, None));
        let twins = [choice("1", None), choice("2", None), choice("3", Some("v7"))];
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!(list(&twins), format!("linux/arm {one}, linux/arm {two}, linux/arm/v7"));
    }
}
