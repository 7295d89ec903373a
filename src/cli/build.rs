//! The command `build`: its arguments, and how they become a call of the library.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use ocibake::error::as_typed;
use ocibake::layout::{holds_no_image, Location};
use ocibake::ops::build::{build, check, BuildOptions, Rootfs, VolumeMask};
use ocibake::settings::{unknown_names, BuildSpec, FlagValue, Settings, Variable, VarsFile};
use ocibake::tree::TarPath;
use ocibake::Error;

use super::cache_flags::{CacheSizeFlag, OpenCache};
use super::foreign::command;
use super::output::{print, print_beside};
use super::setting_flags::SettingFlags;
use super::target_flags::{warn_of_stray_targets, TargetFlagsBesideTags};
use super::tree_flags::TreeFlags;
use super::work_flags::WorkFlags;
use super::{input, names_image, say, text, Answer, Session};

/// Make an image of a root filesystem
///
/// Prints the digest of the image's manifest. An existing layout gains the image: the ref name moves and everything
/// else stays. The image that had the name cannot be named any more if it has no other; `ocibake gc` removes it. An
/// archive is replaced. If anything fails, nothing changes.
///
/// Each setting comes from its flag, the environment or the variables file; the first that has it wins. An empty
/// variable counts as unset. In variables, lists are shell words.
#[derive(clap::Args)]
#[command(
    override_usage = "ocibake build [OPTIONS] <ROOTFS> <TARGETS>...\n       \
                      ocibake build [OPTIONS] --overlay-upper <DIR> <TARGETS>...",
    after_help = "Examples:
  ocibake build rootfs oci:out:v1 out.tar.zst --arch $(uname -m) --cmd '/bin/sh -l' --label .vendor=ACME
  ocibake build rootfs docker-archive:app.tar:team/app:v1 --additional-tag :latest --arch arm64"
)]
pub(super) struct Args {
    /// The root filesystem: a directory, or a tar archive (plain, gzip, xz, zstd or bzip2; `-` is standard input)
    ///
    /// Omit it with --overlay-upper, which names a directory instead.
    #[arg(required = true)]
    rootfs: OsString,

    /// Where the image goes; for several targets, the rootfs is read once
    #[arg(required_unless_present = "overlay_upper")]
    targets: Vec<OsString>,

    /// Read settings from a file of NAME=value words in shell quoting
    #[arg(long, value_name = "FILE")]
    vars: Option<PathBuf>,

    /// Check the settings and the names of the targets and print the platform, but read no rootfs and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Print on stderr how much work there was and how long it took: wall time, or for stages that threads share the
    /// sum of their times
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    stats: Option<StatsFormat>,

    #[command(flatten)]
    work: WorkFlags,

    #[command(flatten)]
    cache: CacheSizeFlag,

    #[command(flatten)]
    target: TargetFlagsBesideTags,

    #[command(flatten)]
    tree: TreeFlags,

    #[command(flatten)]
    base: BaseArgs,

    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Clone, Copy, ValueEnum)]
enum StatsFormat {
    Text,
    Json,
}

/// How the base image of `--base` is compared with the rootfs.
#[derive(clap::Args)]
#[command(next_help_heading = "The base image")]
struct BaseArgs {
    /// Take the changes from the upper directory of an overlay filesystem over the base, instead of from a rootfs
    #[arg(long, value_name = "DIR")]
    overlay_upper: Option<PathBuf>,

    /// Leave a path and everything below it as it is in the base (repeatable)
    #[arg(long, value_name = "PATH", value_parser = parse_mask)]
    mask: Vec<TarPath>,

    /// Compare volumes too; otherwise they are masked
    #[arg(long)]
    no_mask_volumes: bool,
}

fn parse_mask(text: &str) -> Result<TarPath, Error> {
    TarPath::parse(text.as_bytes())
}

/// The root filesystem that the arguments name.
fn rootfs(args: &Args) -> Result<Rootfs> {
    if let Some(upper) = &args.base.overlay_upper {
        return Ok(Rootfs::OverlayUpper(upper.clone()));
    }
    refuse_swapped(args)?;
    Ok(Rootfs::parse(&args.rootfs)?)
}

/// Refuses a target in the place of the rootfs, where the rootfs stands in that of the target.
fn refuse_swapped(args: &Args) -> Result<()> {
    let [target] = args.targets.as_slice() else { return Ok(()) };
    let is_rootfs = Path::new(target).is_dir() && !names_image(target);
    if is_rootfs && names_image(&args.rootfs) && Path::new(&args.rootfs).symlink_metadata().is_err() {
        let [first, second] = [&args.rootfs, target].map(|word| as_typed(&word.to_string_lossy()));
        return Err(Error::refused_with_hint(
            format!("`{first}`: a root filesystem is wanted here, and `{second}` after it looks like one"),
            format!("the rootfs comes first: {}", command(&["ocibake", "build", &second, &first])),
        )
        .into());
    }
    Ok(())
}

/// The targets. With an upper directory, all operands are targets.
fn targets(args: &Args) -> Result<Vec<Location>> {
    if args.base.overlay_upper.is_some() && !args.targets.is_empty() && holds_no_image(Path::new(&args.rootfs)) {
        let rootfs = as_typed(&args.rootfs.to_string_lossy());
        return Err(Error::refused_with_hint(
            format!("`{rootfs}` is no target: it is there, and no image"),
            format!("--overlay-upper stands in place of ROOTFS: leave `{rootfs}` out"),
        )
        .into());
    }
    let first = args.base.overlay_upper.is_some().then_some(&args.rootfs);
    Ok(first.into_iter().chain(&args.targets).map(|target| Location::parse_target(target)).collect::<Result<_, _>>()?)
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    // First of all: a misspelt name may be the reason for an error below.
    for warning in unknown_names(env::vars_os()) {
        session.warn(&warning);
    }
    // A rootfs that is none is a better reason to stop than a setting that it lacks. A dry run needs none.
    let rootfs = if args.dry_run { None } else { Some(rootfs(args)?) };
    let settings = gather(&args.settings.0, args.vars.as_ref())?;
    let options = options(args, BuildSpec::resolve(&settings)?)?;
    let targets = targets(args)?;
    let strays = warn_of_stray_targets(&targets, session);
    let Some(rootfs) = rootfs else {
        let mut report = check(&targets, &options)?;
        for warning in &report.warnings {
            session.warn(warning);
        }
        report.warnings.splice(0..0, settings.warnings().iter().cloned().chain(strays));
        print(args.work.json, &report, || {
            format!("{}\n", report.platform.as_ref().map_or("(that of the base image)".to_owned(), ToString::to_string))
        })?;
        return Ok(Answer::Yes);
    };

    let display = args.work.display(session);
    let cache = args.cache.open(options.spec.cache.as_deref(), session);
    let mut work = args.work.of(&display)?;
    work.cache = cache.as_ref().map(OpenCache::blocks);
    let mut report = build(&rootfs, &targets, &options, &work)?;
    drop(display);
    drop(cache);
    report.warnings.splice(0..0, settings.warnings().iter().cloned().chain(strays));
    print_beside(&targets, args.work.json, &report, || format!("{}\n", report.digest))?;
    match args.stats {
        Some(StatsFormat::Text) => text::stats(&report.stats).lines().for_each(say),
        Some(StatsFormat::Json) => say(&serde_json::to_string(&report.stats)?),
        None => {}
    }
    Ok(Answer::Yes)
}

pub(super) fn gather(flags: &[(Variable, FlagValue)], vars: Option<&PathBuf>) -> Result<Settings> {
    let file = match vars {
        Some(path) => Some(input::read("--vars", path, VarsFile::parse)?),
        None => None,
    };
    Ok(Settings::new(flags.iter().cloned(), env::vars_os(), file)?)
}

fn options(args: &Args, spec: BuildSpec) -> Result<BuildOptions> {
    let mut options = args.tree.options(spec)?;
    options.base.masks.clone_from(&args.base.mask);
    options.base.volumes = if args.base.no_mask_volumes { VolumeMask::Compared } else { VolumeMask::Masked };
    options.base.cache.clone_from(&options.spec.cache);
    options.target = args.target.options();
    Ok(options)
}
