//! What an index lists: images, each for its platform, and what goes with them.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{as_typed, despite_damage, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::image::sealed::{in_the_image, nameless};
use crate::image::transfer::without_names;
use crate::layout::{
    choose, Choice, DigestPrefix, Documents, Graph, Layout, Location, NodeContent, Opened, Subjects, Walk,
};
use crate::media_type::MediaKind;
use crate::oci::{Descriptor, Document, ImageConfig};
use crate::ops::index::IndexMember;
use crate::platform::{HostPlatform, Platform, PlatformPattern};

/// Something that the index is to list.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) descriptor: Descriptor,
    /// The platform of an image; `None` for anything else.
    pub(super) platform: Option<Platform>,
    /// Where it was found, for messages.
    pub(super) place: String,
    /// Whether it is there, and not only listed.
    pub(super) is_here: bool,
}

impl Candidate {
    /// The image that it attests something about, which is also a member.
    fn attested(&self) -> Option<Digest> {
        self.descriptor.attested()
    }

    fn is_about(&self, image: &Candidate) -> bool {
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

/// Returns what descriptors of a graph lead to through indexes. Platforms are those of the configs, and an index must
/// not contradict them. If a config has no variant or version, an index may have one.
pub(super) fn members<'d>(
    graph: &Graph<'_>,
    roots: impl IntoIterator<Item = &'d Descriptor>,
) -> Result<Vec<Candidate>> {
    let place = graph.layout().location().to_string();
    let mut members = Vec::<Candidate>::new();
    let mut missing = None;
    for descriptor in graph.manifests_below(roots)? {
        let mut descriptor = without_names(descriptor);
        let platform = match &graph.node(&descriptor.digest).content {
            NodeContent::Missing if descriptor.media_type.kind() == MediaKind::Manifest => {
                // An image for several platforms is often copied only in part.
                missing.get_or_insert(descriptor.digest);
                continue;
            }
            // BuildKit lists attestations as images for `unknown/unknown`.
            NodeContent::Manifest(_, Some(config)) if config.value().os != "unknown" => {
                Some(platform(config.value(), &descriptor, graph.layout().location())?)
            }
            _ => None,
        };
        if platform.is_some() {
            descriptor.platform.clone_from(&platform);
        }
        members.push(Candidate { descriptor, platform, place: place.clone(), is_here: true });
    }
    match missing {
        Some(digest) if members.iter().all(|member| member.platform.is_none()) => Err(graph.layout().lacks(&digest)),
        _ => Ok(members),
    }
}

/// Returns what entries of a layout lead to through indexes, as far as the indexes and the configs that can be read
/// tell.
pub(super) fn listed(layout: &Layout, entries: &[Descriptor]) -> Result<Vec<Candidate>> {
    let place = layout.location().to_string();
    let mut candidates = Vec::new();
    for met in Walk::new(layout, Opened::Indexes, Subjects::Left, entries.iter().cloned()) {
        let met = met?;
        let descriptor = without_names(met.path.descriptor().clone());
        let is_here = layout.holds(&descriptor.digest)?;
        if descriptor.media_type.kind() == MediaKind::Index && is_here {
            continue;
        }
        if descriptor.media_type.kind() == MediaKind::Index && met.path.index().is_none() {
            return Err(layout.lacks(&descriptor.digest));
        }
        let platform = match &descriptor.platform {
            Some(platform) if platform.os == "unknown" => None,
            listed => config(layout, &descriptor)?.map(|config| told(&config, listed.as_ref())).or(listed.clone()),
        };
        candidates.push(Candidate { platform, descriptor, place: place.clone(), is_here });
    }
    Ok(candidates)
}

/// The config of an image; `None` if it cannot be read, or if there is none.
fn config(layout: &Layout, manifest: &Descriptor) -> Result<Option<ImageConfig>> {
    let Some(links) = despite_damage(layout.links(manifest))?.flatten().filter(|links| links.is_image()) else {
        return Ok(None);
    };
    let Some(config) = &links.config else { return Ok(None) };
    Ok(despite_damage(layout.document(&config.descriptor()))?.map(Document::into_value))
}

/// The platform in a config, completed from an index.
fn told(config: &ImageConfig, listed: Option<&Platform>) -> Platform {
    let mut platform = config.platform_or(listed);
    if let Some(listed) = listed {
        platform.variant = platform.variant.or_else(|| listed.variant.clone());
        platform.os_version = platform.os_version.or_else(|| listed.os_version.clone());
        if platform.os_features.is_empty() {
            platform.os_features.clone_from(&listed.os_features);
        }
    }
    platform
}

fn platform(config: &ImageConfig, descriptor: &Descriptor, place: &Location) -> Result<Platform> {
    let platform = config.platform_or(descriptor.platform.as_ref());
    if !platform.is_named() {
        let image = format!("image {} of `{place}`", descriptor.digest.short());
        return Err(nameless(&image, say_it_first(place)));
    }
    let Some(listed) = &descriptor.platform else { return Ok(platform) };
    let says_another = |listed: &str, own: &str| !matches!(listed, "" | "unknown") && listed != own;
    let contradicts = says_another(&listed.os, &platform.os)
        || says_another(&listed.architecture, &platform.architecture)
        || differ(listed.variant.as_ref(), platform.variant.as_ref())
        || differ(listed.os_version.as_ref(), platform.os_version.as_ref())
        || differ(not_empty(&listed.os_features), not_empty(&platform.os_features));
    if contradicts {
        return Err(Error::malformed(
            format!("image {} of `{place}`", descriptor.digest.short()),
            format!("the index says that it is for {}, and the config for {}", listed.in_full(), platform.in_full()),
        ));
    }
    let mut platform = told(config, Some(listed));
    platform.other.clone_from(&listed.other);
    Ok(platform)
}

/// What to do about an image that does not say what it runs on.
fn say_it_first(place: &Location) -> Hint {
    let hint = Hint::from("say it first with ");
    if place.is_docker_archive() {
        // It is not edited.
        hint.verb("convert").text(" and ").option(OptionName::Platform).text(", and take what that writes")
    } else {
        hint.then(in_the_image())
    }
}

/// That nothing of what a layout holds, the `members`, is an image that an index could list by its platform.
pub(super) fn no_image(graph: &Graph<'_>, members: &[Candidate]) -> Error {
    let place = graph.layout().location();
    let manifests = members.iter().filter_map(|member| match &graph.node(&member.descriptor.digest).content {
        NodeContent::Manifest(manifest, config) => Some((member, manifest.value(), config)),
        _ => None,
    });
    let mut found = format!("image `{place}`: it holds no image for an index");
    for (member, manifest, config) in manifests {
        let digest = member.descriptor.digest.short();
        if let (true, None, Some(config)) = (manifest.is_image(), member.attested(), config) {
            let platform = config.value().platform_or(member.descriptor.platform.as_ref()).in_full();
            let message = format!("image {digest} of `{place}`: an index wants its platform, found {platform}");
            return Error::refused_with_hint(message, say_it_first(place)).of_kind(ErrorKind::Damaged);
        }
        if let Some(image) = member.attested() {
            found = format!("image `{place}`: an image is wanted, found an attestation of {}", image.short());
            return Error::refused_with_hint(found, "give the image: its attestations go along")
                .of_kind(ErrorKind::NotFound);
        }
        let kind = manifest.artifact_type.as_deref().unwrap_or(manifest.config.media_type.as_str());
        found = format!("image `{place}`: an image is wanted, found an artifact, {}", as_typed(kind));
    }
    Error::refused(found).of_kind(ErrorKind::NotFound)
}

/// Whether both are there and differ.
fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

fn not_empty(list: &Vec<String>) -> Option<&Vec<String>> {
    (!list.is_empty()).then_some(list)
}

/// What happens if there is already an image for a platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamePlatform {
    /// It is an error.
    #[default]
    Refused,
    /// The new image replaces the old one and its attestations.
    Replaced,
}

/// Joins the members of several layouts. An image that two of them have is an error: one was mistaken for another.
pub(super) fn gather<'a>(layouts: impl IntoIterator<Item = &'a [Candidate]>) -> Result<Vec<Candidate>> {
    let mut gathered = Roll::default();
    for members in layouts {
        for member in members.iter().filter(|member| member.platform.is_some()) {
            if let Some(twin) = gathered.of_digest(member).filter(|twin| twin.platform.is_some()) {
                let (digest, platform) = (member.descriptor.digest.short(), member.shown());
                let message =
                    format!("image {digest} for {platform} is given twice: `{}` and `{}`", twin.place, member.place);
                return Err(Error::refused_with_hint(message, "each image is given once"));
            }
        }
        members
            .iter()
            .try_for_each(|member| gathered.add(member.clone(), SamePlatform::Refused, || "give one of them".into()))?;
    }
    Ok(gathered.into_members())
}

/// Adds members after those that are there, each once.
pub(super) fn join(members: &mut Vec<Candidate>, new: Vec<Candidate>, same: SamePlatform) -> Result<()> {
    let mut roll = Roll::default();
    for member in std::mem::take(members) {
        roll.push(member);
    }
    let replace = || {
        Hint::default()
            .option(OptionName::Add)
            .text(" ")
            .option(OptionName::Replace)
            .text(" lets one take the place of one that is there")
    };
    new.into_iter().try_for_each(|member| roll.add(member, same, replace))?;
    *members = roll.into_members();
    Ok(())
}

/// Members in their order, found by digest and by platform.
#[derive(Default)]
struct Roll {
    /// None where one was taken away.
    members: Vec<Option<Candidate>>,
    by_digest: BTreeMap<Digest, usize>,
    by_platform: BTreeMap<HostPlatform, usize>,
    /// Those that attest something, by the digests of the images.
    by_attested: BTreeMap<Digest, Vec<usize>>,
}

impl Roll {
    fn of_digest(&self, member: &Candidate) -> Option<&Candidate> {
        self.by_digest.get(&member.descriptor.digest).and_then(|at| self.members[*at].as_ref())
    }

    fn push(&mut self, member: Candidate) {
        self.enter(self.members.len(), &member);
        self.members.push(Some(member));
    }

    fn enter(&mut self, at: usize, member: &Candidate) {
        self.by_digest.entry(member.descriptor.digest.clone()).or_insert(at);
        if let Some(platform) = &member.platform {
            self.by_platform.entry(platform.for_hosts()).or_insert(at);
        }
        if let Some(attested) = member.attested() {
            self.by_attested.entry(attested).or_default().push(at);
        }
    }

    fn add(&mut self, member: Candidate, same: SamePlatform, way_out: impl Fn() -> Hint) -> Result<()> {
        if let Some(known) = self.by_digest.get(&member.descriptor.digest).and_then(|at| self.members[*at].as_mut()) {
            known.is_here |= member.is_here;
            return Ok(());
        }
        let at = member.platform.as_ref().and_then(|platform| self.by_platform.get(&platform.for_hosts())).copied();
        let Some((at, old)) = at.and_then(|at| Some((at, self.members[at].take()?))) else {
            self.push(member);
            return Ok(());
        };
        if same == SamePlatform::Refused {
            let (platform, first, second) = (member.shown(), old.name(), member.name());
            let message = format!("two images for {platform}: {first} and {second}");
            return Err(Error::refused_with_hint(message, way_out()));
        }
        self.by_digest.remove(&old.descriptor.digest);
        for about_it in self.by_attested.remove(&old.descriptor.digest).into_iter().flatten() {
            if let Some(gone) = self.members[about_it].take() {
                self.by_digest.remove(&gone.descriptor.digest);
            }
        }
        self.enter(at, &member);
        self.members[at] = Some(member);
        Ok(())
    }

    fn into_members(self) -> Vec<Candidate> {
        self.members.into_iter().flatten().collect()
    }
}

/// Takes away what is meant, with what is attested of it.
pub(super) fn remove(members: &mut Vec<Candidate>, meant: &IndexMember, index: &str) -> Result<()> {
    let at = one_of(members, meant, index)?;
    let removed = members.remove(at);
    members.retain(|other| !other.is_about(&removed));
    Ok(())
}

/// What is meant, by its number among the members.
pub(super) fn one_of(members: &[Candidate], meant: &IndexMember, index: &str) -> Result<usize> {
    match meant {
        IndexMember::Platform(platform) => one_for(members, platform, index),
        IndexMember::Digest(digest) => one_called(members, digest, index),
    }
}

fn one_for(members: &[Candidate], platform: &PlatformPattern, index: &str) -> Result<usize> {
    let images = members.iter().enumerate();
    let images = images.filter_map(|(at, member)| {
        let platform = member.platform.as_ref()?;
        Some((at, Choice::of_platform(&member.descriptor.digest, platform)))
    });
    let (positions, choices): (Vec<usize>, Vec<Choice>) = images.unzip();
    choose(index, platform, &choices).map(|at| positions[at])
}

fn one_called(members: &[Candidate], digest: &DigestPrefix, index: &str) -> Result<usize> {
    let mut meant = members.iter().enumerate().filter(|(_, member)| digest.begins(&member.descriptor.digest));
    match (meant.next(), meant.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => {
            Err(Error::refused(format!("{index}: `{digest}` is the beginning of several digests in it"))
                .of_kind(ErrorKind::Ambiguous))
        }
        (None, _) => {
            let there: Vec<&str> = members.iter().map(|member| member.descriptor.digest.as_str()).collect();
            Err(Error::refused_with_hint(
                format!("{index}: it lists nothing of the digest `{digest}`"),
                format!("there is {}", there.join(", ")),
            )
            .of_kind(ErrorKind::NotFound))
        }
    }
}
