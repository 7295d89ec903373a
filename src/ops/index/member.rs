//! What an index lists: images, each for its platform, and what stands beside them.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::hint::{Hint, OptionName};
use crate::image::transfer::{without_names, ATTESTED};
use crate::layout::{choose, Choice, Content, Graph};
use crate::media_type::MediaKind;
use crate::oci::{Descriptor, ImageConfig};
use crate::platform::{Platform, PlatformPattern};

/// Something that the index is to list.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) descriptor: Descriptor,
    /// Of an image; what is none has none.
    pub(super) platform: Option<Platform>,
    /// Where it was found, for messages.
    pub(super) place: String,
}

impl Member {
    /// The image that it attests something of, which is a member too.
    fn attested(&self) -> Option<Digest> {
        self.descriptor.annotation(ATTESTED)?.parse().ok()
    }

    fn is_about(&self, image: &Member) -> bool {
        self.attested().is_some_and(|digest| digest == image.descriptor.digest)
    }

    /// Its platform, for messages.
    fn shown(&self) -> String {
        self.platform.as_ref().map(Platform::in_full).unwrap_or_default()
    }

    /// What messages call it.
    fn name(&self) -> String {
        format!("{} of `{}`", self.descriptor.digest.short(), self.place)
    }
}

/// What descriptors of a graph lead to through indexes. The platforms are those of the configs, and an index must not
/// contradict them; where a config says nothing of a variant or version, an index may know more.
pub(super) fn members<'d>(graph: &Graph<'_>, roots: impl IntoIterator<Item = &'d Descriptor>) -> Result<Vec<Member>> {
    let place = graph.layout().location().to_string();
    let mut members = Vec::<Member>::new();
    let mut missing = None;
    for descriptor in graph.manifests_below(roots)? {
        let mut descriptor = without_names(descriptor);
        let platform = match &graph.node(&descriptor.digest).content {
            Content::Missing if descriptor.media_type.kind() == MediaKind::Manifest => {
                // Of an image for several platforms, people often copy only those that they use.
                missing.get_or_insert(descriptor.digest);
                continue;
            }
            // BuildKit's attestations stand there as images for `unknown/unknown`.
            Content::Manifest(_, Some(config)) if config.value().os != "unknown" => {
                Some(platform(config.value(), &descriptor, &place)?)
            }
            _ => None,
        };
        if platform.is_some() {
            descriptor.platform.clone_from(&platform);
        }
        members.push(Member { descriptor, platform, place: place.clone() });
    }
    match missing {
        Some(digest) if members.iter().all(|member| member.platform.is_none()) => Err(graph.layout().lacks(&digest)),
        _ => Ok(members),
    }
}

fn platform(config: &ImageConfig, descriptor: &Descriptor, place: &str) -> Result<Platform> {
    let mut platform = config.platform_or(descriptor.platform.as_ref());
    if platform.os.is_empty() || platform.architecture.is_empty() {
        let subject = format!("config of image {} of `{place}`", descriptor.digest.short());
        return Err(Error::malformed(subject, "os and architecture expected, found none"));
    }
    let Some(listed) = &descriptor.platform else { return Ok(platform) };
    let contradicts = (&listed.os, &listed.architecture) != (&platform.os, &platform.architecture)
        || differ(listed.variant.as_ref(), platform.variant.as_ref())
        || differ(listed.os_version.as_ref(), platform.os_version.as_ref())
        || differ(not_empty(&listed.os_features), not_empty(&platform.os_features));
    if contradicts {
        return Err(Error::malformed(
            format!("image {} of `{place}`", descriptor.digest.short()),
            format!("the index says that it is for {}, and the config for {}", listed.in_full(), platform.in_full()),
        ));
    }
    platform.variant = platform.variant.or_else(|| listed.variant.clone());
    platform.os_version = platform.os_version.or_else(|| listed.os_version.clone());
    if platform.os_features.is_empty() {
        platform.os_features.clone_from(&listed.os_features);
    }
    platform.other.clone_from(&listed.other);
    Ok(platform)
}

/// Whether both are there and not the same.
fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

fn not_empty(list: &Vec<String>) -> Option<&Vec<String>> {
    (!list.is_empty()).then_some(list)
}

/// What is done about an image for a platform that has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamePlatform {
    /// It is an error.
    #[default]
    Refused,
    /// The new one takes the place of the old, with what was attested of that.
    Replaced,
}

/// Puts the members of several layouts together. An image that two of them have is one that somebody took for another.
pub(super) fn gather<'a>(layouts: impl IntoIterator<Item = &'a [Member]>) -> Result<Vec<Member>> {
    let mut gathered = Vec::<Member>::new();
    for members in layouts {
        let is_image = |member: &&Member| member.platform.is_some();
        for member in members.iter().filter(is_image) {
            let is_twin = |other: &&Member| other.descriptor.digest == member.descriptor.digest;
            if let Some(twin) = gathered.iter().find(is_twin) {
                let (digest, platform) = (member.descriptor.digest.short(), member.shown());
                let message =
                    format!("image {digest} for {platform} is given twice: `{}` and `{}`", twin.place, member.place);
                return Err(Error::refused_with_hint(message, "each image is given once"));
            }
        }
        join(&mut gathered, members.to_vec(), SamePlatform::Refused)?;
    }
    Ok(gathered)
}

/// Adds members behind those that are there, each once.
pub(super) fn join(members: &mut Vec<Member>, new: Vec<Member>, same: SamePlatform) -> Result<()> {
    for member in new {
        if members.iter().any(|known| known.descriptor.digest == member.descriptor.digest) {
            continue;
        }
        let is_same = |other: &Member| match (&other.platform, &member.platform) {
            (Some(a), Some(b)) => a.is_same_for_hosts(b),
            _ => false,
        };
        let Some(at) = members.iter().position(is_same) else {
            members.push(member);
            continue;
        };
        if same == SamePlatform::Refused {
            let (platform, first, second) = (member.shown(), members[at].name(), member.name());
            let message = format!("two images for {platform}: {first} and {second}");
            return Err(Error::refused_with_hint(
                message,
                Hint::default()
                    .option(OptionName::Add)
                    .text(" ")
                    .option(OptionName::Replace)
                    .text(" lets one take the place of one that is there"),
            ));
        }
        let old = std::mem::replace(&mut members[at], member);
        members.retain(|other| !other.is_about(&old));
    }
    Ok(())
}

/// Takes the image for a platform away, with what is attested of it.
pub(super) fn remove(members: &mut Vec<Member>, platform: &PlatformPattern, index: &str) -> Result<()> {
    let at = one_for(members, platform, index)?;
    let removed = members.remove(at);
    members.retain(|other| !other.is_about(&removed));
    Ok(())
}

/// The image for a platform, by its number among the members.
pub(super) fn one_for(members: &[Member], platform: &PlatformPattern, index: &str) -> Result<usize> {
    let images = members.iter().enumerate();
    let images = images.filter_map(|(at, member)| {
        let platform = member.platform.as_ref()?;
        Some((at, Choice::of_platform(&member.descriptor.digest, platform)))
    });
    let (positions, choices): (Vec<usize>, Vec<Choice>) = images.unzip();
    choose(index, platform, &choices).map(|at| positions[at])
}
