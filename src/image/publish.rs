//! The last step of every verb that makes an image: store the documents in all targets, then publish them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::block_cache::BlockCache;
use crate::compress::{encoding, Compression};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::layer::{self, Layer, LayerTimes, Members};
use crate::layout::{
    commit_all, AdditionalName, BlobPath, Checksum, DockerForm, DockerName, ImageName, Location, Names, Transaction,
    Transport,
};
use crate::media_type::MediaType;
use crate::oci::{Descriptor, Document, ImageConfig, Manifest};
use crate::tree::Content;
use crate::work::Work;

/// How an image is published in its targets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TargetOptions {
    /// Names for targets that give none. Without any, it is `latest` in a layout and has no name in a docker archive.
    /// If a target gives only a name without a tag (`docker-archive:FILE:NAME`), these are its tags.
    pub tags: Vec<ImageName>,
    /// The repository of tags without one, in archives.
    pub repository: Option<DockerName>,
    /// Names in addition to the one in the target.
    pub additional_tags: Vec<AdditionalName>,
    /// What is written to docker archives. If not the default, one must be among the targets.
    pub docker_form: DockerForm,
    /// Whether archives get checksums. If they do, one must be among the targets.
    pub checksum: Checksum,
}

impl TargetOptions {
    /// The compression of new layers: `wanted`, or no compression if every target stores layers uncompressed.
    pub(crate) fn compression(&self, targets: &[Location], wanted: Compression) -> Compression {
        let is_plain = self.docker_form == DockerForm::LegacyOnly && targets.iter().all(Location::is_docker_archive);
        if is_plain {
            Compression::None
        } else {
            wanted
        }
    }

    /// Whether the target or these options give the image a name.
    pub(crate) fn gives_names(&self, target: &Location) -> bool {
        target.name.is_some() || !self.tags.is_empty() || !self.additional_tags.is_empty()
    }

    /// Warnings about tags that are unused, because every target names the image itself, and about a repository that
    /// is, because no target is an archive.
    pub(crate) fn unused_tags(&self, targets: &[Location]) -> Result<Vec<String>> {
        let mut unused = Vec::new();
        if let Some(name) = &self.repository {
            let name = name.repository();
            let names = if targets.len() == 1 { "the target names" } else { "the targets name" };
            if targets.iter().all(|target| target.transport == Transport::Oci) {
                unused.push(format!("the repository `{name}` is not used: no target is an archive"));
            } else if !targets.iter().any(takes_repository) {
                unused.push(format!("the repository `{name}` is not used: {names} the image already"));
            }
        }
        for tag in &self.tags {
            let mut is_used = false;
            for target in targets {
                let texts = |tags: &[ImageName]| Ok(self.names_for(target, tags)?.texts());
                let with: Vec<String> = texts(std::slice::from_ref(tag))?;
                is_used |= with != texts(&[])? || with.iter().any(|text| text == tag.as_str());
            }
            if !is_used {
                let names = if targets.len() == 1 { "the target names" } else { "the targets name" };
                unused.push(format!("the tag `{tag}` is not used: {names} the image already"));
            }
        }
        Ok(unused)
    }

    /// The names of the image in a target.
    pub(crate) fn names(&self, target: &Location) -> Result<Names> {
        self.names_for(target, &self.tags)
    }

    fn names_for(&self, target: &Location, tags: &[ImageName]) -> Result<Names> {
        Names::of(target, self.repository.as_ref(), tags, &self.additional_tags)
    }
}

/// Whether a repository has an effect in a target: it is an archive, and has no full name.
fn takes_repository(target: &Location) -> bool {
    match (target.transport, &target.name) {
        (Transport::Oci, _) | (Transport::DockerArchive, Some(_)) => false,
        (_, name) => name.as_ref().map_or(true, ImageName::is_word),
    }
}

/// Whether two targets are the same: one path, or one place in two spellings. A layout that is given twice with
/// different names gets both.
fn is_same(one: &Location, other: &Location) -> bool {
    if one.is_stream() || other.is_stream() {
        return one.is_stream() && other.is_stream();
    }
    if one.path == other.path {
        return true;
    }
    let are_layouts = one.transport == Transport::Oci && other.transport == Transport::Oci;
    if are_layouts && one.name != other.name {
        return false;
    }
    let inode = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    let place = |target: &Location| match inode(&target.path) {
        Some(found) => Some((found, None)),
        None => Some((inode(target.directory())?, target.path.file_name().map(OsStr::to_os_string))),
    };
    place(one).is_some_and(|found| place(other) == Some(found))
}

/// Checks targets and options against each other, without reading the targets.
pub(crate) fn check(targets: &[Location], options: &TargetOptions) -> Result<()> {
    if targets.is_empty() {
        return Err(Error::refused("a target is missing: where should the image go").of_kind(ErrorKind::Invalid));
    }
    for (i, target) in targets.iter().enumerate() {
        let Some(other) = targets[..i].iter().find(|other| is_same(other, target)) else { continue };
        if target.is_stream() {
            let message = format!("`{other}` and `{target}` cannot both go to stdout");
            return Err(Error::refused_with_hint(message, "write one of them to a file"));
        }
        let message = if other.path == target.path {
            format!("target `{}` is given twice", target.path.display())
        } else {
            let (first, second) = (other.path.display(), target.path.display());
            format!("target `{first}` is given twice, the second time as `{second}`")
        };
        let more = match target.name {
            Some(_) => OptionName::AdditionalTags,
            None => OptionName::Tags,
        };
        let hint = Hint::from("give one target several names with ").option(more);
        return Err(Error::refused_with_hint(message, hint));
    }
    for target in targets {
        options.names(target)?;
    }
    if options.docker_form == DockerForm::LegacyOnly && !targets.iter().any(Location::is_docker_archive) {
        return Err(Error::refused_with_hint(
            "Docker's older form is for docker archives, and no target is one",
            "write to `docker-archive:FILE[:NAME[:TAG]]`",
        ));
    }
    Ok(())
}

/// Opens all targets. They do not change yet.
pub(crate) fn open(targets: &[Location], options: &TargetOptions, work: &Work<'_>) -> Result<Vec<Transaction>> {
    check(targets, options)?;
    check_checksum(targets, options.checksum)?;
    let open = |target| Transaction::create(target, options.docker_form, options.checksum, work.limits);
    targets.iter().map(open).collect()
}

/// Refuses a checksum if no target is an archive in a file.
pub(crate) fn check_checksum(targets: &[Location], checksum: Checksum) -> Result<()> {
    if checksum != Checksum::None
        && targets.iter().all(|target| target.transport == Transport::Oci || target.is_stream())
    {
        return Err(Error::refused_with_hint(
            "checksums are for archives in files, and no target is one",
            Hint::from("what a layout holds goes by its digests: leave ").option(OptionName::Checksum).text(" out"),
        ));
    }
    Ok(())
}

/// Writes a layer once, into the first target's staging directory, and shares it with the other targets.
pub(crate) fn write_layer(
    members: Members<'_>,
    content: &dyn Content,
    targets: &mut [Transaction],
    compression: Compression,
    work: &Work<'_>,
) -> Result<(Layer, LayerTimes)> {
    let written = write_layers(vec![members], content, targets, compression, work)?;
    Ok(written.into_iter().next().expect("one layer was given"))
}

/// Writes several layers, each once.
pub(crate) fn write_layers(
    layers: Vec<Members<'_>>,
    content: &dyn Content,
    targets: &mut [Transaction],
    compression: Compression,
    work: &Work<'_>,
) -> Result<Vec<(Layer, LayerTimes)>> {
    let (count, entries) = (layers.len(), layers.iter().map(Members::len).sum::<usize>());
    let what = if count == 1 { "a layer".to_owned() } else { format!("{count} layers") };
    work.observer.step(&format!("write {what} of {entries} entries, {compression}"));
    work.observer.expect(layers.iter().map(Members::size).sum());
    let (first, others) = targets.split_first_mut().expect("there is a target");
    let first = first.stage_mut();
    let mut places = Vec::with_capacity(count);
    let blob = || {
        let (file, place) = first.blob_file()?;
        places.push(place);
        Ok(file)
    };
    let written = layer::write(layers, content, blob, compression, work)?;
    for ((layer, _), place) in written.iter().zip(&places) {
        keep_blocks(layer, compression, place, work.cache);
        first.adopt(place, &layer.descriptor.digest, layer.descriptor.size)?;
        for other in &mut *others {
            other.stage_mut().share(first, &layer.descriptor.digest)?;
        }
    }
    Ok(written)
}

/// Adds the blocks of a layer written at `place` to the cache, if there is one.
pub(crate) fn keep_blocks(
    layer: &Layer,
    compression: Compression,
    place: &BlobPath,
    cache: Option<&Arc<dyn BlockCache>>,
) {
    if let Some((cache, encoding)) = cache.zip(encoding(compression)) {
        cache.keep(&encoding, &layer.descriptor.digest, place.path(), &layer.blocks);
    }
}

/// Stores the documents in all targets, which have the layers already, and publishes the image. No target changes
/// unless all of them can be written. Returns what [`commit_all`] says of other entries too.
pub(crate) fn publish(
    mut targets: Vec<Transaction>,
    config: &Document<ImageConfig>,
    manifest: &Document<Manifest>,
    options: &TargetOptions,
    work: &Work<'_>,
) -> Result<(Descriptor, BTreeSet<Digest>)> {
    let mut descriptor = manifest.descriptor(MediaType::MANIFEST);
    descriptor.platform = Some(config.value().platform());
    for target in &mut targets {
        target.stage_mut().put(config, MediaType::CONFIG)?;
        target.stage_mut().put(manifest, MediaType::MANIFEST)?;
    }
    let (_, orphans) = commit_all(targets, work, |draft| {
        let names = options.names(draft.target())?;
        names.descriptors(&descriptor).into_iter().try_for_each(|named| draft.list(named))
    })?;
    Ok((descriptor, orphans))
}
