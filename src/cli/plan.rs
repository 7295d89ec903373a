//! The command `plan`: its arguments, and how they become a call of the library.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ocibake::layer::plan::Plan;
use ocibake::layout::Location;
use ocibake::ops::build::Rootfs;
use ocibake::ops::plan::{plan, PlanOptions, PlanSubject};
use ocibake::platform::PlatformPattern;
use ocibake::settings::BuildSpec;

use super::build::gather;
use super::output::print;
use super::progress::ProgressMode;
use super::setting_flags::LayerSettingFlags;
use super::tree_flags::TreeFlags;
use super::{input, text, Answer, LocationParser, Session};

/// Show which layer would hold what, and what an update would cost
///
/// Prints a plan for `build --layers @FILE`, with the contents of each layer as comments. Nothing is written.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocibake plan rootfs > image.plan
  ocibake plan rootfs --update image.plan --old oci:out:v1 --old oci:out:v2 > new.plan
  ocibake plan rootfs --layers @image.plan --simulate oci:out:v2")]
pub(super) struct Args {
    /// A rootfs (a directory, a tar archive, or `-` for an archive from stdin), or an image
    rootfs: OsString,

    /// Update this plan with what earlier releases tell about which recipes change; layers that need not be fetched
    /// anyway keep their recipes
    #[arg(long, value_name = "PLAN", requires = "old")]
    update: Option<PathBuf>,

    /// An image of an earlier release, the oldest first (repeatable)
    #[arg(long, value_name = "IMAGE", value_parser = LocationParser, requires = "update")]
    old: Vec<Location>,

    /// Show instead what an update from an older image would cost
    #[arg(long, value_name = "OLD", value_parser = LocationParser)]
    simulate: Option<Location>,

    /// Which platform of the images, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Read settings from a file of NAME=value words in shell quoting
    #[arg(long, value_name = "FILE")]
    vars: Option<PathBuf>,

    /// Number of threads [default: the machine's cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tree: TreeFlags,

    #[command(flatten)]
    settings: LayerSettingFlags,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let settings = gather(&args.settings.0, args.vars.as_ref())?;
    let mut options = PlanOptions::default();
    options.build = args.tree.options(BuildSpec::resolve_tree(&settings)?)?;
    for warning in settings.warnings() {
        session.warn(warning);
    }
    options.platform.clone_from(&args.platform);
    options.old.clone_from(&args.old);
    options.simulate.clone_from(&args.simulate);
    if let Some(path) = &args.update {
        options.update = Some(input::read("--update", path, Plan::parse)?);
    }
    let subject = subject(&args.rootfs)?;
    let reads_no_image = matches!(subject, PlanSubject::Rootfs(_)) && args.old.is_empty() && args.simulate.is_none();
    if args.platform.is_some() && reads_no_image {
        session.warn("--platform has no effect: no image is read");
    }
    let display = session.display(ProgressMode::None);
    let report = plan(&subject, &options, &display.work(args.threads)?)?;
    drop(display);
    print(args.json, &report, || match &report.update {
        Some(cost) => text::update_cost(cost),
        None => text::plan(&report),
    })?;
    Ok(Answer::Yes)
}

/// An image if a transport says so or the directory is a layout, otherwise a rootfs.
fn subject(operand: &OsString) -> Result<PlanSubject> {
    let text = operand.to_string_lossy();
    let transports = ["oci:", "oci-archive:", "docker-archive:"];
    let is_layout = Path::new(operand).join("oci-layout").is_file();
    Ok(if is_layout || transports.iter().any(|transport| text.starts_with(transport)) {
        PlanSubject::Image(Location::parse(operand)?)
    } else {
        PlanSubject::Rootfs(Rootfs::parse(operand)?)
    })
}
