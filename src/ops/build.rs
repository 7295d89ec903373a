//! `build`: a rootfs becomes an image, in one or several targets at once.

use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::layer::{self, Layer, LayerTimes, Step};
use crate::layout::{LayoutWriter, Location};
use crate::media_type::MediaType;
use crate::observer::Observer;
use crate::oci::{Descriptor, Document, History, ImageConfig, Manifest, RefName, RootFs};
use crate::platform::Platform;
use crate::spec::BuildSpec;
use crate::time::Timestamp;
use crate::tree::{self, clamp_times, DeviceTable, Directory, OwnerPolicy, ScanPolicy, Tree};

/// How the rootfs is read and what is changed on the way.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// What is left out.
    pub scan: ScanPolicy,
    /// Who owns the entries.
    pub owner: OwnerPolicy,
    /// Owners, modes and devices that the rootfs does not have; applied after `owner`.
    pub device_table: DeviceTable,
    /// How many threads compress. The image does not depend on it.
    pub threads: NonZeroUsize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        BuildOptions {
            scan: ScanPolicy::default(),
            owner: OwnerPolicy::default(),
            device_table: DeviceTable::default(),
            threads: NonZeroUsize::MIN,
        }
    }
}

/// What a build made.
#[derive(Clone, Debug, Serialize)]
pub struct BuildReport {
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// When the image says that it was made, RFC 3339.
    pub created: String,
    /// Bytes of all blobs of the image.
    pub size: u64,
    /// The digest of the layer's tar.
    pub diff_id: Digest,
    /// The blob of the layer.
    pub layer: Digest,
    /// Where the image is, with its ref names.
    pub targets: Vec<TargetReport>,
    /// What was odd.
    pub warnings: Vec<String>,
    /// What it took.
    pub stats: BuildStats,
}

/// One place of the image.
#[derive(Clone, Debug, Serialize)]
pub struct TargetReport {
    /// Transport and path.
    pub target: String,
    /// Its names there.
    pub refs: Vec<String>,
}

/// What a build took. Times of stages are summed over their threads and overlap with each other.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BuildStats {
    /// Entries of the layer.
    pub entries: usize,
    /// Bytes of the files' content.
    pub content_bytes: u64,
    /// Bytes of the layer's tar.
    pub tar_bytes: u64,
    /// Bytes of the layer's blob.
    pub layer_bytes: u64,
    /// Threads that compressed.
    pub threads: usize,
    /// Seconds of the scan.
    pub scan_seconds: f64,
    /// Seconds of opening and reading files.
    pub read_seconds: f64,
    /// Seconds of SHA-256.
    pub hash_seconds: f64,
    /// Seconds of compressing.
    pub compress_seconds: f64,
    /// Seconds of writing the layer's blob.
    pub write_seconds: f64,
    /// Seconds from the first look at the rootfs to the last rename.
    pub total_seconds: f64,
    /// The most memory that the process has had, in bytes, where the kernel tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Builds an image of `rootfs`. No target changes unless all of them can be written.
pub fn build(
    rootfs: &Path,
    targets: &[Location],
    spec: &BuildSpec,
    options: &BuildOptions,
    observer: &dyn Observer,
) -> Result<BuildReport> {
    let start = Instant::now();
    check_targets(rootfs, targets)?;
    let mut writers = targets.iter().map(LayoutWriter::create).collect::<Result<Vec<_>>>()?;

    observer.step(&format!("scan {}", rootfs.display()));
    let content = Directory::new(rootfs);
    let (tree, warnings) = read_tree(rootfs, &content, spec, options, observer)?;
    let scan_time = start.elapsed();

    observer.step(&format!("write a layer of {} entries, {}", tree.len(), spec.compression));
    observer.expect(tree.content_size());
    let (layer, times) = write_layer(&tree, &content, &mut writers, spec, options, observer)?;

    let created = created(spec, &tree);
    let documents = documents(spec, &layer, created);
    let mut manifest = None;
    for writer in &mut writers {
        observer.step(&format!("write {}", writer.target()));
        writer.put(&documents.config, MediaType::CONFIG)?;
        let mut descriptor = writer.put(&documents.manifest, MediaType::MANIFEST)?;
        descriptor.platform = Some(spec.platform.clone());
        for name in ref_names(writer.target(), spec) {
            writer.list(descriptor.clone().with_ref_name(&name));
        }
        writer.prepare(options.threads)?;
        manifest = Some(descriptor);
    }
    observer.check()?;
    writers.into_iter().try_for_each(LayoutWriter::commit)?;

    let manifest = manifest.expect("there is a target");
    Ok(BuildReport {
        platform: spec.platform.to_string(),
        created: created.to_string(),
        size: manifest.size + documents.config.raw().len() as u64 + layer.descriptor.size,
        digest: manifest.digest,
        targets: targets.iter().map(|target| target_report(target, spec)).collect(),
        warnings,
        stats: stats(&tree, &layer, times, options, scan_time, start.elapsed()),
        diff_id: layer.diff_id,
        layer: layer.descriptor.digest,
    })
}

/// Refuses what can be seen to go wrong before anything is read or written.
fn check_targets(rootfs: &Path, targets: &[Location]) -> Result<()> {
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
    let rootfs_inode = {
        let metadata = rootfs.metadata().at("read the rootfs", rootfs)?;
        (metadata.dev(), metadata.ino())
    };
    for target in targets {
        if with_directories_above(target.directory()).any(|inode| inode == rootfs_inode) {
            return Err(Error::refused(format!("target `{target}` lies inside of the rootfs `{}`", rootfs.display())));
        }
    }
    Ok(())
}

/// Device and inode of a directory and of all above it, found by `..`, which no symbolic link can fool.
fn with_directories_above(directory: &Path) -> impl Iterator<Item = (u64, u64)> {
    let mut path = directory.to_path_buf();
    let mut below = None;
    std::iter::from_fn(move || {
        let metadata = path.metadata().ok()?;
        let inode = (metadata.dev(), metadata.ino());
        path.push("..");
        // Above the root of the filesystem is the root again.
        (below.replace(inode) != Some(inode)).then_some(inode)
    })
}

/// Scans the rootfs and applies the policies.
fn read_tree(
    rootfs: &Path,
    content: &Directory,
    spec: &BuildSpec,
    options: &BuildOptions,
    observer: &dyn Observer,
) -> Result<(Tree, Vec<String>)> {
    let tree::Scan { mut tree, sockets } = tree::scan(rootfs, &options.scan, observer)?;
    if tree.len() == 1 {
        return Err(Error::refused(format!("rootfs `{}` is empty", rootfs.display())));
    }
    let warnings: Vec<String> =
        sockets.iter().map(|path| format!("`{path}` is a socket, which a layer cannot hold: left out")).collect();
    for warning in &warnings {
        observer.warning(warning);
    }
    options.owner.apply(&mut tree)?;
    options.device_table.apply(&mut tree, content)?;
    if let Some(epoch) = spec.source_date_epoch {
        clamp_times(&mut tree, epoch.seconds());
    }
    Ok((tree, warnings))
}

/// Writes the layer once, into the first target's staging directory, and shares it with the others.
fn write_layer(
    tree: &Tree,
    content: &Directory,
    writers: &mut [LayoutWriter],
    spec: &BuildSpec,
    options: &BuildOptions,
    observer: &dyn Observer,
) -> Result<(Layer, LayerTimes)> {
    let (first, others) = writers.split_first_mut().expect("there is a target");
    let (file, place) = first.blob_file()?.into_parts();
    let (layer, times) =
        layer::write(tree.iter().map(Step::put), content, file, spec.compression, options.threads, observer)?;
    first.adopt(&place, &layer.descriptor.digest, layer.descriptor.size)?;
    for other in others {
        other.share(first, &layer.descriptor.digest)?;
    }
    Ok((layer, times))
}

/// The spec's time, else the epoch that file times are clamped to, else the newest file's: never the clock's.
fn created(spec: &BuildSpec, tree: &Tree) -> Timestamp {
    let newest = || Timestamp::saturating(tree.newest_mtime().unwrap_or(0));
    spec.created.or(spec.source_date_epoch).unwrap_or_else(newest)
}

struct Documents {
    config: Document<ImageConfig>,
    manifest: Document<Manifest>,
}

fn documents(spec: &BuildSpec, layer: &Layer, created: Timestamp) -> Documents {
    let Platform { architecture, os, variant, .. } = spec.platform.clone();
    let history = History {
        created: Some(created.to_string()),
        created_by: Some("ocibake build".to_owned()),
        author: spec.author.clone(),
        ..History::default()
    };
    let config = Document::seal(ImageConfig {
        created: Some(created.to_string()),
        author: spec.author.clone(),
        architecture,
        os,
        os_version: None,
        os_features: Vec::new(),
        variant,
        config: Some(spec.config.clone()),
        rootfs: RootFs::layers(vec![layer.diff_id.clone()]),
        history: Some(vec![history]),
        other: std::collections::BTreeMap::new(),
    });
    let descriptor: Descriptor = config.descriptor(MediaType::CONFIG);
    let mut manifest = Manifest::new(descriptor, vec![layer.descriptor.clone()]);
    if !spec.annotations.is_empty() {
        manifest.annotations = Some(spec.annotations.clone());
    }
    Documents { config, manifest: Document::seal(manifest) }
}

/// The name that the target gives, else the spec's, else `latest`.
fn ref_names(target: &Location, spec: &BuildSpec) -> Vec<RefName> {
    match &target.ref_name {
        Some(name) => vec![name.clone()],
        None if spec.tags.is_empty() => vec![RefName::latest()],
        None => spec.tags.clone(),
    }
}

fn target_report(target: &Location, spec: &BuildSpec) -> TargetReport {
    TargetReport {
        target: Location { ref_name: None, ..target.clone() }.to_string(),
        refs: ref_names(target, spec).iter().map(ToString::to_string).collect(),
    }
}

fn stats(
    tree: &Tree,
    layer: &Layer,
    times: LayerTimes,
    options: &BuildOptions,
    scan: Duration,
    total: Duration,
) -> BuildStats {
    BuildStats {
        entries: tree.len(),
        content_bytes: tree.content_size(),
        tar_bytes: layer.unpacked_size,
        layer_bytes: layer.descriptor.size,
        threads: options.threads.get(),
        scan_seconds: scan.as_secs_f64(),
        read_seconds: times.read.as_secs_f64(),
        hash_seconds: times.busy.hash.as_secs_f64(),
        compress_seconds: times.busy.compress.as_secs_f64(),
        write_seconds: times.busy.write.as_secs_f64(),
        total_seconds: total.as_secs_f64(),
        peak_memory_bytes: peak_memory(),
    }
}

/// The line `VmHWM:  12345 kB` of the process's status.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}
