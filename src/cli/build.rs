use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use ocibake::layer::groups::PackageMap;
use ocibake::layout::Location;
use ocibake::ops::build::{build, check, BuildOptions, Rootfs, VolumeMask};
use ocibake::settings::{unknown_names, BuildSpec, Settings, VarsFile};
use ocibake::tree::{DeviceTable, Globs, IdMap, OwnerPolicy, TarPath, XattrPolicy};
use ocibake::Error;

use super::cache_flags::{CacheSizeFlag, OpenCache};
use super::output::{print, print_beside};
use super::setting_flags::SettingFlags;
use super::target_flags::TargetFlagsBesideTags;
use super::work_flags::WorkFlags;
use super::{report, say, Answer, Session};

/// Make an image of a root filesystem
///
/// Prints the digest of the image's manifest. A layout that exists gains the image: its ref name moves and everything
/// else stays. An archive is replaced. Nothing changes if anything fails.
///
/// Every setting comes from a flag, else from the environment, else from the variables file: the first that has it wins,
/// and an empty value is none. In variables, lists are shell words.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocibake build rootfs oci:out:v1 out.tar.zst --arch $(uname -m) --cmd '/bin/sh -l' --label .vendor=ACME
  ocibake build rootfs docker-archive:app.tar:team/app:v1 --additional-tag :latest --arch arm64")]
pub(super) struct Args {
    /// The root filesystem: a directory, or a tar archive (plain, gzip, xz, zstd or bzip2; `-` is standard input)
    ///
    /// It is left out where --overlay-upper names a directory instead.
    #[arg(required = true)]
    rootfs: OsString,

    /// Where the image goes; several targets share one reading of the rootfs
    #[arg(required_unless_present = "overlay_upper")]
    targets: Vec<OsString>,

    /// Read settings from a file of NAME=value words in shell quoting
    #[arg(long, value_name = "FILE")]
    vars: Option<PathBuf>,

    /// Check the settings and the targets' names and print the platform, but read no rootfs and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Tell on stderr how much work there was and how long it took: wall time, and where threads share a stage their time
    /// summed up, which is CPU time where nothing has to be waited for
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    stats: Option<StatsFormat>,

    #[command(flatten)]
    work: WorkFlags,

    #[command(flatten)]
    cache: CacheSizeFlag,

    #[command(flatten)]
    target: TargetFlagsBesideTags,

    #[command(flatten)]
    tree: TreeArgs,

    /// Take who owns which file from a table of PATH, PACKAGE, RECIPE and VERSION, with tabs between them: for --layers,
    /// in the place of the rootfs's package database
    #[arg(long, value_name = "FILE", help_heading = "The tree")]
    package_map: Option<PathBuf>,

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

/// What is changed on the way from the rootfs into the image.
#[derive(clap::Args)]
#[command(next_help_heading = "The tree")]
struct TreeArgs {
    /// Give everything to one user and group; ids inside of ACLs and file capabilities stay as they are
    #[arg(long, value_name = "UID:GID", conflicts_with_all = ["uid_map", "gid_map"], value_parser = parse_owner)]
    owner: Option<(u32, u32)>,

    /// Translate user ids of the host, those of ACLs and file capabilities too (repeatable)
    #[arg(long, value_name = "CONTAINER:HOST:SIZE")]
    uid_map: Vec<IdMap>,

    /// Translate group ids of the host, those of ACLs too (repeatable)
    #[arg(long, value_name = "CONTAINER:HOST:SIZE")]
    gid_map: Vec<IdMap>,

    /// Set owners and modes and make devices as a makedevs table says (repeatable)
    #[arg(long, value_name = "FILE")]
    device_table: Vec<PathBuf>,

    /// Keep only extended attributes whose names match (repeatable) [default: all but security.selinux,
    /// system.nfs4_acl and trusted.overlay.*]
    #[arg(long, value_name = "PATTERN", conflicts_with = "no_xattrs")]
    xattrs: Vec<String>,

    /// Keep no extended attributes
    #[arg(long)]
    no_xattrs: bool,
}

/// How the base image of `--base` is compared with the rootfs.
#[derive(clap::Args)]
#[command(next_help_heading = "The base image")]
struct BaseArgs {
    /// Take the changes from the upper directory of an overlay filesystem over the base, instead of from a rootfs
    #[arg(long, value_name = "DIR")]
    overlay_upper: Option<PathBuf>,

    /// Leave a path and all below it as it is in the base (repeatable)
    #[arg(long, value_name = "PATH", value_parser = parse_mask)]
    mask: Vec<TarPath>,

    /// Compare volumes too; otherwise they are masked
    #[arg(long)]
    no_mask_volumes: bool,
}

fn parse_mask(text: &str) -> Result<TarPath, Error> {
    TarPath::parse(text.as_bytes())
}

/// What becomes the image.
fn rootfs(args: &Args) -> Result<Rootfs> {
    Ok(match &args.base.overlay_upper {
        Some(upper) => Rootfs::OverlayUpper(upper.clone()),
        None => Rootfs::parse(&args.rootfs)?,
    })
}

/// The targets: with an upper directory, all positions are targets.
fn targets(args: &Args) -> Result<Vec<Location>> {
    let first = args.base.overlay_upper.is_some().then_some(&args.rootfs);
    Ok(first.into_iter().chain(&args.targets).map(|target| Location::parse_target(target)).collect::<Result<_, _>>()?)
}

fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    text.split_once(':')
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .ok_or_else(|| "UID:GID, two numbers such as 0:0".to_owned())
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    // Before anything can fail: a name that is misspelt may be why it does.
    for warning in unknown_names(env::vars_os()) {
        session.warn(&warning);
    }
    let settings = gather(&args.settings, args.vars.as_ref())?;
    let options = options(args, BuildSpec::resolve(&settings)?)?;
    let targets = targets(args)?;
    if args.dry_run {
        let mut report = check(&targets, &options)?;
        for warning in &report.warnings {
            session.warn(warning);
        }
        report.warnings.splice(0..0, settings.warnings().iter().cloned());
        print(args.work.json, &report, || {
            format!("{}\n", report.platform.as_deref().unwrap_or("(that of the base image)"))
        })?;
        return Ok(Answer::Yes);
    }

    let display = args.work.display(session);
    let cache = args.cache.open(options.spec.cache.as_deref(), session);
    let mut work = args.work.of(&display)?;
    work.cache = cache.as_ref().map(OpenCache::blocks);
    let mut report = build(&rootfs(args)?, &targets, &options, &work)?;
    drop(display);
    drop(cache);
    report.warnings.splice(0..0, settings.warnings().iter().cloned());
    print_beside(&targets, args.work.json, &report, || format!("{}\n", report.digest))?;
    match args.stats {
        Some(StatsFormat::Text) => report::stats(&report.stats).lines().for_each(say),
        Some(StatsFormat::Json) => say(&serde_json::to_string(&report.stats)?),
        None => {}
    }
    Ok(Answer::Yes)
}

fn gather(flags: &SettingFlags, vars: Option<&PathBuf>) -> Result<Settings> {
    let file = match vars {
        Some(path) => {
            let text = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            Some(VarsFile::parse(&path.display().to_string(), &text)?)
        }
        None => None,
    };
    Ok(Settings::new(flags.0.iter().cloned(), env::vars_os(), file)?)
}

fn options(all: &Args, spec: BuildSpec) -> Result<BuildOptions> {
    let args = &all.tree;
    let xattrs = if args.no_xattrs {
        XattrPolicy::None
    } else if args.xattrs.is_empty() {
        XattrPolicy::Portable
    } else {
        XattrPolicy::Matching(named_globs("--xattrs", &args.xattrs)?)
    };
    let owner = match args.owner {
        Some((uid, gid)) => OwnerPolicy::Fixed { uid, gid },
        None if args.uid_map.is_empty() && args.gid_map.is_empty() => OwnerPolicy::Keep,
        None => OwnerPolicy::Mapped {
            uids: IdMap::from_ranges(args.uid_map.iter().cloned()).context("--uid-map")?,
            gids: IdMap::from_ranges(args.gid_map.iter().cloned()).context("--gid-map")?,
        },
    };
    let mut device_table = DeviceTable::default();
    for path in &args.device_table {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        device_table.extend(DeviceTable::parse(&text, &path.display().to_string())?);
    }
    let mut options = BuildOptions::default();
    options.scan.exclude = named_globs("--exclude (OCI_IMAGE_EXCLUDE)", &spec.exclude)?;
    options.spec = spec;
    options.scan.xattrs = xattrs;
    options.owner = owner;
    options.device_table = device_table;
    options.base.masks.clone_from(&all.base.mask);
    options.base.volumes = if all.base.no_mask_volumes { VolumeMask::Compared } else { VolumeMask::Masked };
    options.base.cache.clone_from(&options.spec.cache);
    options.target = all.target.options();
    if let Some(path) = &all.package_map {
        let text = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        options.package_map = Some(PackageMap::parse(&path.display().to_string(), &text)?);
    }
    Ok(options)
}

/// Patterns, with the flag's name in the error.
fn named_globs(flag: &str, patterns: &[String]) -> Result<Globs> {
    Ok(Globs::parse(patterns).map_err(|error| match error {
        Error::Setting { value, accepted, .. } => Error::Setting { name: flag.to_owned(), value, accepted },
        error => error,
    })?)
}
