//! The flags that say how a rootfs is read and changed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use ocibake::layer::groups::PackageMap;
use ocibake::ops::build::BuildOptions;
use ocibake::settings::BuildSpec;
use ocibake::tree::{DeviceTable, Globs, IdMap, OwnerPolicy, XattrPolicy, DEVELOPMENT};
use ocibake::Error;

use super::input;

/// What is changed on the way from the rootfs into the image.
#[derive(clap::Args)]
#[command(next_help_heading = "The tree")]
pub(super) struct TreeFlags {
    /// Give everything to one user and group; ids in ACLs and file capabilities stay as they are
    #[arg(long, value_name = "UID:GID", conflicts_with_all = ["uid_map", "gid_map"], value_parser = parse_owner)]
    owner: Option<(u32, u32)>,

    /// Translate user ids of the host, also in ACLs and file capabilities (repeatable)
    #[arg(long, value_name = "CONTAINER:HOST:SIZE")]
    uid_map: Vec<IdMap>,

    /// Translate group ids of the host, also in ACLs (repeatable)
    #[arg(long, value_name = "CONTAINER:HOST:SIZE")]
    gid_map: Vec<IdMap>,

    /// Set owners and modes and make devices according to a makedevs table (repeatable)
    #[arg(long, value_name = "FILE")]
    device_table: Vec<PathBuf>,

    /// Leave out what only builds need: headers, static libraries, files for pkg-config, CMake and libtool, debug
    /// symbols
    #[arg(long, value_name = "PRESET", value_enum)]
    exclude_preset: Vec<Preset>,

    /// Keep only extended attributes whose names match (repeatable) [default: all but security.selinux,
    /// system.nfs4_acl and trusted.overlay.*]
    #[arg(long, value_name = "PATTERN", conflicts_with = "no_xattrs")]
    xattrs: Vec<String>,

    /// Keep no extended attributes
    #[arg(long)]
    no_xattrs: bool,

    /// Read who owns which file from a table of PATH, PACKAGE, RECIPE and VERSION, separated by tabs: for layers by
    /// recipe, instead of the rootfs's package database
    #[arg(long, value_name = "FILE")]
    package_map: Option<PathBuf>,
}

/// A list of patterns by name.
#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    Development,
}

fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    text.split_once(':')
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        // chown(2) takes the largest number for "unchanged".
        .filter(|(uid, gid)| *uid != u32::MAX && *gid != u32::MAX)
        .ok_or_else(|| "UID:GID, two numbers such as 0:0".to_owned())
}

impl TreeFlags {
    /// How a build with these settings reads and changes its rootfs.
    pub(super) fn options(&self, spec: BuildSpec) -> Result<BuildOptions> {
        let xattrs = if self.no_xattrs {
            XattrPolicy::None
        } else if self.xattrs.is_empty() {
            XattrPolicy::Portable
        } else {
            XattrPolicy::Matching(named_globs("--xattrs", &self.xattrs)?)
        };
        let owner = match self.owner {
            Some((uid, gid)) => OwnerPolicy::Fixed { uid, gid },
            None if self.uid_map.is_empty() && self.gid_map.is_empty() => OwnerPolicy::Keep,
            None => OwnerPolicy::Mapped {
                uids: IdMap::from_ranges(self.uid_map.iter().cloned()).context("--uid-map")?,
                gids: IdMap::from_ranges(self.gid_map.iter().cloned()).context("--gid-map")?,
            },
        };
        let mut device_table = DeviceTable::default();
        for path in &self.device_table {
            device_table.extend(input::read("--device-table", path, |name, bytes| {
                let text = std::str::from_utf8(bytes).map_err(|_| Error::invalid(name, "it is not UTF-8"))?;
                DeviceTable::parse(text, name)
            })?);
        }
        let mut options = BuildOptions::default();
        let mut exclude = named_globs("--exclude (OCI_IMAGE_EXCLUDE)", &spec.exclude)?;
        for preset in &self.exclude_preset {
            exclude = exclude.and(match preset {
                Preset::Development => DEVELOPMENT,
            })?;
        }
        options.scan.exclude = exclude;
        options.spec = spec;
        options.scan.xattrs = xattrs;
        options.owner = owner;
        options.device_table = device_table;
        if let Some(path) = &self.package_map {
            options.package_map = Some(input::read("--package-map", path, PackageMap::parse)?);
        }
        Ok(options)
    }
}

/// Parses patterns; an error names the flag.
fn named_globs(flag: &str, patterns: &[String]) -> Result<Globs> {
    Ok(Globs::parse(patterns).map_err(|error| match error {
        Error::Setting { value, accepted, .. } => Error::Setting { name: flag.to_owned(), value, accepted },
        error => error,
    })?)
}
