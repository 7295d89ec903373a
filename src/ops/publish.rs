//! The last step of every verb that makes an image: its documents go to all targets, and then it appears.

use std::num::NonZeroUsize;

use crate::compress::Compression;
use crate::error::{Error, Result};
use crate::layer::{self, Layer, LayerTimes, Step};
use crate::layout::{LayoutWriter, Location};
use crate::media_type::MediaType;
use crate::observer::Observer;
use crate::oci::{Descriptor, Document, ImageConfig, Manifest, RefName};
use crate::tree::Content;

/// Makes a writer for each target. Nothing of a target changes yet.
pub(super) fn writers(targets: &[Location]) -> Result<Vec<LayoutWriter>> {
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
    targets.iter().map(LayoutWriter::create).collect()
}

/// Writes a layer once, into the first target's staging directory, and shares it with the others.
pub(super) fn write_layer(
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
pub(super) fn publish(
    mut writers: Vec<LayoutWriter>,
    config: &Document<ImageConfig>,
    manifest: &Document<Manifest>,
    tags: &[RefName],
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
        for name in ref_names(writer.target(), tags) {
            writer.list(descriptor.clone().with_ref_name(&name));
        }
        writer.prepare(threads)?;
    }
    observer.check()?;
    writers.into_iter().try_for_each(LayoutWriter::commit)?;
    Ok(descriptor)
}

/// The name that the target gives, else the tags, else `latest`.
pub(super) fn ref_names(target: &Location, tags: &[RefName]) -> Vec<RefName> {
    match &target.ref_name {
        Some(name) => vec![name.clone()],
        None if tags.is_empty() => vec![RefName::latest()],
        None => tags.to_vec(),
    }
}
