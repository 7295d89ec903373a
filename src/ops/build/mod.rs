//! `build`: makes an image of a rootfs, alone or on a base, in one or several targets at once.

mod archive;
mod attributes;
mod base;
mod checks;
mod documents;
mod elf;
mod image_as_rootfs;
pub(crate) mod layers;
mod merged;
mod overlay;
mod places;
mod report;
mod rootfs;
mod warnings;

pub use base::{BaseOptions, VolumeMask};
pub use checks::CheckFinding;
pub use report::{BuildReport, BuildStats, CheckReport, LayerReport, TargetReport};
pub use rootfs::Rootfs;

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::image::few_files::FewFiles;
use crate::image::publish::{self, publish, write_layers, TargetOptions};
use crate::image::sealed::Sealed;
use crate::image::tree::{ImageLayers, ImageTree};
use crate::layer::groups::{database_files, PackageMap};
use crate::layer::{self, leave_unstorable, Folded, Layer, LayerTimes, Members, Step};
use crate::layout::Location;
use crate::platform::Platform;
use crate::settings::{BaseMode, BuildSpec};
use crate::time::Timestamp;
use crate::tree::{clamp_times, Content, DeviceTable, Entry, Mask, OwnerPolicy, ScanPolicy, TarPath, Tree};
use crate::work::Work;

use base::Base;
use checks::Checked;
use layers::{Cutting, NewLayer, PlannedMembers};
use rootfs::ReadRootfs;

/// How the rootfs is read and changed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BuildOptions {
    /// What the image is to be.
    pub spec: BuildSpec,
    /// What is left out.
    pub scan: ScanPolicy,
    /// Who owns the entries.
    pub owner: OwnerPolicy,
    /// Owners, modes and devices that the rootfs does not have; applied after `owner`.
    pub device_table: DeviceTable,
    /// How a base image, if the spec names one, is compared with the rootfs.
    pub base: BaseOptions,
    /// Who owns what, for cutting the rootfs into layers. Without it, the rootfs's package database tells.
    pub package_map: Option<PackageMap>,
    /// How the image appears in its targets. Its tags are added to those of the spec.
    pub target: TargetOptions,
}

/// Builds an image of `rootfs`. No target changes unless all of them can be written.
pub fn build(rootfs: &Rootfs, targets: &[Location], options: &BuildOptions, work: &Work<'_>) -> Result<BuildReport> {
    let (mut report, warnings) = work.with_warnings(|work| build_told(rootfs, targets, options, work))?;
    report.warnings = warnings;
    Ok(report)
}

fn build_told(rootfs: &Rootfs, targets: &[Location], options: &BuildOptions, work: &Work<'_>) -> Result<BuildReport> {
    let spec = &options.spec;
    let start = Instant::now();
    let mut stats = BuildStats { threads: work.threads.get(), ..BuildStats::default() };
    places::check(rootfs, targets, options.base.cache.as_deref())?;
    let base = Base::open(spec, work.limits)?;
    let platform = platform(spec, base.as_ref())?;
    let target_options = target_options(options);
    let mut opened = publish::open(targets, &target_options, work)?;

    let spool = || opened[0].stage().scratch_file();
    let read = read_rootfs(rootfs, base.as_ref(), &spool, options, work)
        .map_err(|error| opened[0].stage().about_scratch(error))?;
    stats.entries = read.rootfs.tree.len();
    stats.content_bytes = read.rootfs.tree.content_size();
    stats.scan_seconds = read.scan_seconds;

    let container = documents::container_config(spec, base.as_ref());
    let compare_start = Instant::now();
    let mask = base::mask(&container, &options.base)?;
    work.warn(settings_warnings(targets, options, &target_options)?);
    work.warn(&read.warnings);
    let base_tree = read.base.as_ref().map(|base| &base.folded.tree);
    work.warn(warnings::idle_masks(&options.base.masks, base_tree, &read.rootfs.tree));
    let checked = Checked {
        tree: &read.rootfs.tree,
        content: read.rootfs.content.as_ref(),
        of_base: &read.rootfs.of_base,
        base: base_tree,
        platform: &platform,
        container: &container,
    };
    let findings = checked.findings(&spec.checks)?;
    work.warn(findings.iter().map(|finding| &finding.message));
    let members = match &read.base {
        None => Some(Members::All(&read.rootfs.tree)),
        Some(base) => {
            let steps = difference(base, &read.rootfs, &mask, work)?;
            // An upper directory says itself what goes.
            if !matches!(rootfs, Rootfs::OverlayUpper(_)) {
                work.warn(steps.as_ref().and_then(|steps| warnings::most_removed(&base.folded.tree, steps)));
            }
            steps.map(Members::Steps)
        }
    };
    let planned = planned(members, &read, options, base.as_ref(), work)?;
    stats.compare_seconds = compare_start.elapsed().as_secs_f64() + read.base_seconds;
    let (described, layers): (Vec<_>, Vec<_>) =
        planned.into_iter().map(|planned| (planned.described, planned.members)).unzip();
    let written = if layers.is_empty() {
        Vec::new()
    } else {
        let content = read.rootfs.content.as_ref();
        let compression = target_options.compression(targets, spec.compression);
        write_layers(layers, content, &mut opened, compression, work)?
    };
    for (layer, times) in &written {
        add_layer(&mut stats, layer, *times);
        work.warn(warnings::beyond_limits(layer));
    }
    let new_layer = |((layer, _), described)| NewLayer { layer, described };
    let new: Vec<NewLayer> = written.into_iter().zip(described).map(new_layer).collect();

    let created = created(spec, &read.rootfs.tree);
    let documents = documents::documents(spec, &platform, container, base.as_ref(), &new, created)?;
    if let Some(base) = &base {
        opened.iter_mut().try_for_each(|target| base.share_layers(target.stage_mut()))?;
    }
    let Sealed { config, manifest, notes } = documents;
    work.warn(notes);
    let (descriptor, _) = publish(opened, &config, &manifest, &target_options, work)?;

    stats.total_seconds = start.elapsed().as_secs_f64();
    stats.peak_memory_bytes = report::peak_memory();
    let layer_sizes = manifest.value().layers.iter().map(|layer| layer.size);
    Ok(BuildReport {
        platform,
        created,
        size: descriptor.size + config.raw().len() as u64 + layer_sizes.sum::<u64>(),
        digest: descriptor.digest,
        targets: targets.iter().map(|target| target_report(target, &target_options)).collect::<Result<_>>()?,
        warnings: Vec::new(),
        findings,
        stats,
        layers: new.into_iter().map(layer_report).collect(),
    })
}

/// Returns what [`build`] would make of the settings. Invalid names in a target, and targets that exclude each other,
/// are errors. Nothing is read or written.
pub fn check(targets: &[Location], options: &BuildOptions) -> Result<CheckReport> {
    let (spec, target_options) = (&options.spec, target_options(options));
    publish::check(targets, &target_options)?;
    Ok(CheckReport {
        platform: spec.platform.clone(),
        targets: targets.iter().map(|target| target_report(target, &target_options)).collect::<Result<_>>()?,
        warnings: settings_warnings(targets, options, &target_options)?,
    })
}

/// Returns warnings about settings and targets.
fn settings_warnings(targets: &[Location], options: &BuildOptions, of_target: &TargetOptions) -> Result<Vec<String>> {
    let spec = &options.spec;
    let mut warnings = spec.warnings.clone();
    warnings.extend(spec.platform.as_ref().and_then(Platform::unknown_variant));
    warnings.extend(of_target.unused_tags(targets)?);
    if options.package_map.is_some() && spec.layers.is_none() {
        warnings.push("the package map has no effect: the rootfs is not cut into layers".to_owned());
    }
    if options.base.volumes == VolumeMask::Compared && spec.base.is_none() {
        warnings.push("that volumes are compared has no effect: there is no base image".to_owned());
    }
    Ok(warnings)
}

/// The spec's platform, or else the base's.
fn platform(spec: &BuildSpec, base: Option<&Base>) -> Result<Platform> {
    spec.platform
        .clone()
        .or_else(|| base.and_then(Base::platform))
        .ok_or_else(|| Error::refused("the image's architecture is not set").of_kind(ErrorKind::Invalid))
}

/// The rootfs, with the policies applied, and the tree of the base if there is one.
struct ReadTrees<'a> {
    rootfs: ReadRootfs<'a>,
    base: Option<ImageTree>,
    warnings: Vec<String>,
    scan_seconds: f64,
    base_seconds: f64,
}

fn read_rootfs<'a>(
    rootfs: &Rootfs,
    base: Option<&'a Base>,
    spool: &dyn Fn() -> Result<File>,
    options: &BuildOptions,
    work: &Work<'_>,
) -> Result<ReadTrees<'a>> {
    let (spec, observer) = (&options.spec, work.observer);
    let base_start = Instant::now();
    let layers = match base {
        Some(base) => {
            observer.step(&format!("read the base image of {} layers", base.image.manifest.value().layers.len()));
            Some(base.read(options.base.cache.as_deref(), work)?)
        }
        None => None,
    };
    let base_seconds = base_start.elapsed().as_secs_f64();

    let scan_start = Instant::now();
    let name = rootfs.name();
    let mut warnings = Vec::new();
    let mut owners_and_times = |tree: &mut Tree, made_up: &BTreeSet<TarPath>| -> Result<()> {
        if rootfs.directory().is_some() && options.owner == OwnerPolicy::Keep && options.device_table.is_empty() {
            warnings.extend(warnings::foreign_owner(tree, rustix::process::geteuid().as_raw()));
        }
        options.owner.apply_beside(tree, made_up)?;
        warnings.extend(options.owner.note(tree));
        // Fractions of a second come from the clock of the machine that made the rootfs, and would be a record in each
        // entry.
        tree.iter_mut().for_each(|entry| entry.metadata.mtime = entry.metadata.mtime.whole());
        if let Some(epoch) = spec.source_date_epoch {
            clamp_times(tree, epoch.seconds().into());
        }
        Ok(())
    };
    // Only a few files of the base are read here: those of package databases.
    let few_files = |base: &Base, merged: &Folded| match spec.layers {
        Some(_) if options.package_map.is_none() => base.few_files(merged, database_files(&merged.tree)),
        _ => Ok(FewFiles::default()),
    };
    observer.step(&format!("read {name}"));
    let (mut read, layers) = match rootfs {
        Rootfs::Directory(path) => {
            let mut read = rootfs::read_directory(path, &options.scan, observer)?;
            owners_and_times(&mut read.tree, &read.made_up)?;
            (read, layers)
        }
        Rootfs::Archive(_) | Rootfs::Stdin => {
            let path = if let Rootfs::Archive(path) = rootfs { Some(path.as_path()) } else { None };
            let mut read = archive::read(rootfs::open(path)?, rootfs, &options.scan, spool, work)?;
            owners_and_times(&mut read.tree, &read.made_up)?;
            (read, layers)
        }
        Rootfs::OverlayUpper(path) => {
            let (Some(base), Some(layers)) = (base, layers) else {
                return Err(Error::refused_with_hint(
                    "the upper directory of an overlay is only half of a rootfs: a base image is wanted",
                    Hint::from("name the image that the lower directory was unpacked from with ")
                        .option(OptionName::Base),
                )
                .of_kind(ErrorKind::Invalid));
            };
            let (changeset, upper) =
                overlay::read(path, &options.scan, |tree| owners_and_times(tree, &BTreeSet::new()), observer)?;
            let merged = layers.with(changeset)?;
            let of_base = layers.digests_of(&merged);
            let few = few_files(base, &merged)?;
            let content =
                Box::new(merged::MergedContent { upper: Box::new(upper.content), base, few, origins: merged.origins });
            let (warnings, excluded) = (rootfs::left_out(&upper.sockets), upper.excluded);
            let (tree, made_up) = (merged.tree, BTreeSet::new());
            (ReadRootfs { tree, content, warnings, excluded, made_up, of_base }, Some(layers))
        }
    };
    if let (Some(base), Some(layers), BaseMode::Merge) = (base, &layers, spec.base_mode) {
        if !matches!(rootfs, Rootfs::OverlayUpper(_)) {
            read = merged::merge(read, base, layers, |merged| few_files(base, merged))?;
        }
    }
    options.device_table.apply(&mut read.tree, read.content.as_ref())?;
    warnings.append(&mut read.warnings);
    warnings.extend(warnings::idle_patterns(&read.excluded));
    let scan_seconds = scan_start.elapsed().as_secs_f64();
    let mut base = layers.map(ImageLayers::into_tree);
    // Attributes that are not read from the rootfs tell nothing about what changed, whether they are in the base or
    // were left in an upper directory.
    let trees = base.iter_mut().map(|base| &mut base.folded.tree).chain([&mut read.tree]);
    for entry in trees.flat_map(Tree::iter_mut) {
        entry.metadata.xattrs.retain(|name, _| options.scan.xattrs.keeps(name));
    }
    warnings.extend(leave_unstorable(&mut read.tree));
    if let Some(base) = &mut base {
        // What no layer of ours can hold is no difference.
        drop(leave_unstorable(&mut base.folded.tree));
        keep_parts_of_seconds(&base.folded.tree, &mut read.tree);
    }
    Ok(ReadTrees { rootfs: read, base, warnings, scan_seconds, base_seconds })
}

/// Keeps the base's fractions of a second in times that are equal otherwise: a rootfs is read in whole seconds.
fn keep_parts_of_seconds(base: &Tree, tree: &mut Tree) {
    for entry in tree.iter_mut() {
        let old = base.get(&entry.path).map(|old| old.metadata.mtime);
        if let Some(old) = old.filter(|old| old.whole() == entry.metadata.mtime) {
            entry.metadata.mtime = old;
        }
    }
}

/// Reads a rootfs as a build would, with the policies applied. Returns tree, contents and warnings. No base is read.
pub(crate) fn read_tree(
    rootfs: &Rootfs,
    options: &BuildOptions,
    spool: &dyn Fn() -> Result<File>,
    work: &Work<'_>,
) -> Result<(Tree, Box<dyn Content + Sync>, Vec<String>)> {
    let read = read_rootfs(rootfs, None, spool, options, work)?;
    Ok((read.rootfs.tree, read.rootfs.content, read.warnings))
}

/// Returns what the layer over the base must hold, or `None` if there is no difference.
fn difference<'a>(
    base: &'a ImageTree,
    rootfs: &'a ReadRootfs<'_>,
    mask: &Mask,
    work: &Work<'_>,
) -> Result<Option<Vec<Step<'a>>>> {
    let ReadRootfs { tree, content, of_base, .. } = rootfs;
    let old = &base.folded.tree;
    work.observer.step(&format!("compare {} entries with {} of the base", tree.len(), old.len()));
    let changed = base::changed_contents(base, tree, of_base, content.as_ref(), work)?;
    let same_content = |old: &Entry, new: &Entry| Ok(!changed.contains(&(&old.path, &new.path)));
    let plan = layer::difference(old, tree, mask, same_content)?;
    Ok((!plan.is_empty()).then(|| plan.into_iter().collect()))
}

/// The new layers and what they hold.
fn planned<'a>(
    members: Option<Members<'a>>,
    read: &'a ReadTrees<'_>,
    options: &BuildOptions,
    base: Option<&Base>,
    work: &Work<'_>,
) -> Result<Vec<PlannedMembers<'a>>> {
    let Some(layering) = &options.spec.layers else {
        return Ok(members.into_iter().map(|members| PlannedMembers { described: None, members }).collect());
    };
    work.observer.step("plan the layers");
    let trees = read.base.as_ref().map(|base| &base.folded.tree).zip(base.map(Base::layer_count));
    let cutting = Cutting { layering, map: options.package_map.as_ref(), base: trees };
    let ReadRootfs { tree, content, .. } = &read.rootfs;
    let steps: Vec<_> = members.map(Members::into_steps).into_iter().flatten().collect();
    let (planned, about_plan) = cutting.cut(&steps, tree, content.as_ref())?;
    work.warn(about_plan);
    Ok(planned)
}

fn layer_report(new: NewLayer) -> LayerReport {
    let (name, groups) = new.described.map(|described| (described.name, described.groups.words())).unzip();
    let Layer { descriptor, diff_id, .. } = new.layer;
    LayerReport { name, groups, digest: descriptor.digest, diff_id, size: descriptor.size }
}

/// The spec's time, or else the epoch that file times are clamped to, or else that of the newest file. The clock is
/// never read.
fn created(spec: &BuildSpec, tree: &Tree) -> Timestamp {
    let newest = || Timestamp::saturating(tree.newest_mtime().unwrap_or_default().seconds());
    spec.created.or(spec.source_date_epoch).unwrap_or_else(newest)
}

fn target_options(options: &BuildOptions) -> TargetOptions {
    let tags = options.spec.tags.iter().chain(&options.target.tags).cloned().collect();
    let repository = options.spec.repository.clone().or_else(|| options.target.repository.clone());
    TargetOptions { tags, repository, ..options.target.clone() }
}

fn target_report(target: &Location, options: &TargetOptions) -> Result<TargetReport> {
    Ok(TargetReport { target: target.of_all().to_string(), refs: options.names(target)?.texts() })
}

fn add_layer(stats: &mut BuildStats, layer: &Layer, times: LayerTimes) {
    stats.tar_bytes += layer.unpacked_size;
    stats.layer_bytes += layer.descriptor.size;
    stats.blocks += layer.blocks.len();
    stats.cached_blocks += layer.blocks.iter().filter(|block| block.was_found).count();
    stats.read_seconds += times.read.as_secs_f64();
    stats.hash_seconds += times.busy.hash.as_secs_f64();
    stats.compress_seconds += times.busy.compress.as_secs_f64();
    stats.write_seconds += times.busy.write.as_secs_f64();
}
