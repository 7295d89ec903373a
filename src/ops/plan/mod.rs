//! `plan`: shows which layer would hold what, and what an update would cost.

mod learn;
mod options;
mod report;

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{memfd_create, MemfdFlags};

use crate::error::{Error, IoContext, Result};
use crate::image::fetch::UpdateCost;
use crate::image::few_files::FewFiles;
use crate::image::read_tree::ReadTree;
use crate::image::tree::{read_layers, ImageLayers, Reading, Wanted};
use crate::layer::groups::{database_files, Groups};
use crate::layer::plan::{update, weigh, Assignment, Layering, Plan, PlanUpdate};
use crate::layer::{self, Members};
use crate::layout::Location;
use crate::ops::build::layers::{Cutting, NewLayer};
use crate::ops::build::{read_tree, Rootfs};
use crate::tree::{Content, Tree};
use crate::work::Work;

use learn::Learned;
pub use options::PlanOptions;
pub use report::{PlanReport, PlannedLayerReport};

/// What a plan is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanSubject {
    /// A rootfs.
    Rootfs(Rootfs),
    /// An image.
    Image(Location),
}

/// What is planned.
struct Subject<'a> {
    tree: Tree,
    content: Box<dyn Content + Sync + 'a>,
    warnings: Vec<String>,
}

/// Plans the layers of a rootfs or of an image. Nothing is written.
pub fn plan(subject: &PlanSubject, options: &PlanOptions, work: &Work<'_>) -> Result<PlanReport> {
    let (mut report, warnings) = work.with_warnings(|work| plan_told(subject, options, work))?;
    report.warnings = warnings;
    Ok(report)
}

fn plan_told(subject: &PlanSubject, options: &PlanOptions, work: &Work<'_>) -> Result<PlanReport> {
    let Subject { tree, content, warnings } = read(subject, options, work)?;
    let groups = match &options.build.package_map {
        Some(map) => Groups::of_map(map, &tree)?,
        None => Groups::detect(&tree, content.as_ref())?,
    };
    let default = Layering::parse(&["packages"]).map_err(|reason| Error::invalid("layers", reason))?;
    let layering = options.build.spec.layers.as_ref().unwrap_or(&default);
    let mut rates = None;
    let plan = match &options.update {
        None => layering.plan(&groups, &tree),
        Some(plan) => {
            let new = digests(subject, &tree, content.as_ref(), options, work)?;
            let learned = Learned::from(&options.old, &new, &groups, options, work)?;
            let weights = weigh(&groups, &tree);
            let fetched = learned.fetched(plan, &groups, &weights);
            let max = layering.max().unwrap_or(Layering::DEFAULT_MAX);
            let history = PlanUpdate { weights: &weights, rates: &learned.rates, fetched: &fetched, max };
            let updated = update(plan, &groups, &history);
            rates = Some(learned.rates);
            updated
        }
    };
    let assignment = Assignment::new(&plan, &groups, &tree);
    work.warn(warnings);
    work.warn(layering.warning(&groups));
    work.warn(assignment.warnings());
    let mut report = report::describe(&assignment, &tree, rates.as_ref());
    if let Some(old) = &options.simulate {
        report.update = Some(simulate(subject, old, &plan, &tree, content.as_ref(), options, work)?);
    }
    Ok(report)
}

/// A file without a name and without a place: there is no target beside which the contents of an archive could be kept.
fn file_in_memory() -> Result<File> {
    let file = memfd_create("contents", MemfdFlags::CLOEXEC).map_err(io::Error::from);
    Ok(file.at("keep in memory", Path::new("the archive's contents"))?.into())
}

fn read(subject: &PlanSubject, options: &PlanOptions, work: &Work<'_>) -> Result<Subject<'static>> {
    match subject {
        PlanSubject::Rootfs(rootfs) => {
            let (tree, content, warnings) = read_tree(rootfs, &options.build, &file_in_memory, work)?;
            Ok(Subject { tree, content, warnings })
        }
        PlanSubject::Image(location) => {
            let (layout, image) = options.open(location, work)?;
            work.observer.step(&format!("read {location}"));
            let mut layers = ImageLayers::default();
            layers.push(
                read_layers(&layout, &image, usize::MAX, &Wanted::Entries, Reading::Watched, work)?,
                work.observer,
            )?;
            let folded = layers.into_tree().folded;
            let wanted = database_files(&folded.tree);
            let content = FewFiles::read(&layout, &image.manifest.value().layers, &folded.origins, wanted)?;
            Ok(Subject { tree: folded.tree, content: Box::new(content), warnings: Vec::new() })
        }
    }
}

/// The tree with the digests of its contents.
fn digests(
    subject: &PlanSubject,
    tree: &Tree,
    content: &(dyn Content + Sync),
    options: &PlanOptions,
    work: &Work<'_>,
) -> Result<ReadTree> {
    match subject {
        PlanSubject::Rootfs(_) => ReadTree::of_tree(tree.clone(), content, work),
        PlanSubject::Image(location) => {
            let (layout, image) = options.open(location, work)?;
            ReadTree::of_image(&layout, &image, work)
        }
    }
}

/// Returns what an update from an image to the subject would cost, if the subject were built by the plan.
fn simulate(
    subject: &PlanSubject,
    old: &Location,
    plan: &Plan,
    tree: &Tree,
    content: &(dyn Content + Sync),
    options: &PlanOptions,
    work: &Work<'_>,
) -> Result<UpdateCost> {
    let (old_layout, old_image) = options.open(old, work)?;
    let PlanSubject::Rootfs(_) = subject else {
        let PlanSubject::Image(location) = subject else { unreachable!("there are two kinds") };
        return Ok(UpdateCost::of_images(&old_image, &options.open(location, work)?.1));
    };
    let layering = Layering::from(plan.clone());
    let cutting = Cutting { layering: &layering, map: options.build.package_map.as_ref(), base: None };
    let steps: Vec<_> = Members::All(tree).into_steps().collect();
    let (planned, _) = cutting.cut(&steps, tree, content)?;
    let (described, members): (Vec<_>, Vec<_>) = planned.into_iter().map(|one| (one.described, one.members)).unzip();
    work.observer.step(&format!("hash and compress {} layers", members.len()));
    work.observer.expect(members.iter().map(Members::size).sum());
    let nowhere = || {
        let path = Path::new("/dev/null");
        File::options().write(true).open(path).map_err(|cause| Error::Io { action: "open", path: path.into(), cause })
    };
    let written = layer::write(members, content, nowhere, options.build.spec.compression, work)?;
    let new =
        written.into_iter().zip(described).map(|((layer, _), described)| NewLayer { layer, described }.descriptor());
    let new: Vec<_> = new.collect();
    let groups = match &options.build.package_map {
        Some(map) => Groups::of_map(map, tree)?,
        None => Groups::detect(tree, content)?,
    };
    let before = ReadTree::and_databases(&old_layout, &old_image, work)?;
    let after = ReadTree::of_tree(tree.clone(), content, work)?;
    let changed = learn::changed_recipes(&before, &after, &groups, options)?;
    Ok(UpdateCost::of_layers(&old_image, &new, |recipe| Some(changed.contains(recipe))))
}
