//! The last step of every verb that makes an image: its documents go to all targets, and then it appears.

use std::num::NonZeroUsize;

use crate::compress::Compression;
use crate::error::{Error, Result};
use crate::layer::{self, Layer, LayerTimes, Step};
use crate::layout::{AdditionalName, Checksum, DockerForm, ImageName, LayoutWriter, Location, Names, Transport};
use crate::media_type::MediaType;
use crate::observer::Observer;
use crate::oci::{Descriptor, Document, ImageConfig, Manifest};
use crate::tree::Content;

/// How an image appears in its targets.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// Its names where a target gives none. Without any, it is `latest` in a layout and has no name in a docker archive.
    /// To a target that names no more than what is tagged (`docker-archive:FILE:NAME`) they are its tags.
    pub tags: Vec<ImageName>,
    /// Its names beside the one that the target gives.
    pub additional_tags: Vec<AdditionalName>,
    /// What docker archives hold. If not the default, one must be among the targets.
    pub docker_form: DockerForm,
    /// Whether archives get checksums. If they do, one must be among the targets.
    pub checksum: Checksum,
}

impl TargetOptions {
    /// How new layers are compressed: not at all where every target holds them plain, whatever is `wanted`.
    pub(crate) fn compression(&self, targets: &[Location], wanted: Compression) -> Compression {
        let is_plain = self.docker_form == DockerForm::LegacyOnly && targets.iter().all(Location::is_docker_archive);
        if is_plain {
            Compression::None
        } else {
            wanted
        }
    }

    /// Whether an image gets names that it would not have by itself.
    pub(crate) fn gives_names(&self, target: &Location) -> bool {
        target.name.is_some() || !self.tags.is_empty() || !self.additional_tags.is_empty()
    }

    /// Tells a writer of the checksum that its target is to have.
    pub(crate) fn apply_checksum(&self, writer: &mut LayoutWriter) -> Result<()> {
        match self.checksum {
            Checksum::None => Ok(()),
            Checksum::Sha256 => writer.with_checksum(),
        }
    }

    /// What the image is called in a target.
    pub(crate) fn names(&self, target: &Location) -> Result<Names> {
        Names::of(target, &self.tags, &self.additional_tags)
    }
}

/// Whether the image can be in the targets as it is asked for, as far as this can be told without looking at them.
pub(crate) fn check(targets: &[Location], options: &TargetOptions) -> Result<()> {
    if targets.is_empty() {
        return Err(Error::refused("a target is missing: where should the image go"));
    }
    for (i, target) in targets.iter().enumerate() {
        if targets[..i].iter().any(|other| other.path == target.path) {
            return Err(Error::refused_with_hint(
                format!("target `{}` is given twice", target.path.display()),
                "give one target several names with --tag",
            ));
        }
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

/// Makes a writer for each target. Nothing of a target changes yet.
pub(crate) fn writers(targets: &[Location], options: &TargetOptions) -> Result<Vec<LayoutWriter>> {
    check(targets, options)?;
    check_checksum(targets, options.checksum)?;
    let writer = |target: &Location| {
        let mut writer = LayoutWriter::create(target, options.docker_form)?;
        options.apply_checksum(&mut writer)?;
        Ok(writer)
    };
    targets.iter().map(writer).collect()
}

/// Refuses a checksum where no target is a file that could have one.
pub(crate) fn check_checksum(targets: &[Location], checksum: Checksum) -> Result<()> {
    if checksum != Checksum::None && targets.iter().all(|target| target.transport == Transport::Oci) {
        return Err(Error::refused_with_hint(
            "checksums are for archives, and no target is one",
            "what a layout holds goes by its digests: leave --checksum out",
        ));
    }
    Ok(())
}

/// Writes a layer once, into the first target's staging directory, and shares it with the others.
pub(crate) fn write_layer(
    steps: Vec<Step<'_>>,
    content: &dyn Content,
    writers: &mut [LayoutWriter],
    compression: Compression,
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<(Layer, LayerTimes)> {
    observer.step(&format!("write a layer of {} entries, {compression}", steps.len()));
    observer.expect(steps.iter().map(Step::size).sum());
    let (first, others) = writers.split_first_mut().expect("there is a target");
    let (file, place) = first.blob_file()?.into_parts();
    let (layer, times) = layer::write(steps, content, file, compression, threads, observer)?;
    first.adopt(&place, &layer.descriptor.digest, layer.descriptor.size)?;
    for other in others {
        other.share(first, &layer.descriptor.digest)?;
    }
    Ok((layer, times))
}

/// Stores the documents in all targets, whose layers are there already, and shows the image. No target changes unless
/// all of them can be written.
pub(crate) fn publish(
    mut writers: Vec<LayoutWriter>,
    config: &Document<ImageConfig>,
    manifest: &Document<Manifest>,
    options: &TargetOptions,
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<Descriptor> {
    let mut descriptor = manifest.descriptor(MediaType::MANIFEST);
    descriptor.platform = Some(config.value().platform());
    for writer in &mut writers {
        observer.check()?;
        observer.step(&format!("write {}", writer.target()));
        writer.put(config, MediaType::CONFIG)?;
        writer.put(manifest, MediaType::MANIFEST)?;
        for named in options.names(writer.target())?.descriptors(&descriptor) {
            writer.list(named);
        }
        writer.prepare(threads)?;
    }
    observer.check()?;
    writers.into_iter().try_for_each(LayoutWriter::commit)?;
    Ok(descriptor)
}
