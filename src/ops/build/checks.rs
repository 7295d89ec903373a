//! The checks of a rootfs that settings ask for: what would keep a container from starting, or let it do too much.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use crate::digest::ContentDigest;
use crate::error::{Error, IoContext, Result};
use crate::hint::Hint;
use crate::oci::ContainerConfig;
use crate::ops::build::elf::{arm_version, Elf, HEADER};
use crate::ops::build::warnings::unknown_accounts;
use crate::platform::Platform;
use crate::settings::{Check, CheckLevel, Checks};
use crate::tree::{Content, Entry, Resolver, TarPath, Tree};

/// Something that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckFinding {
    /// The check.
    pub check: Check,
    /// How much it weighs.
    pub level: CheckLevel,
    /// What was found.
    pub message: String,
}

/// What is checked.
pub(super) struct Checked<'a> {
    pub(super) tree: &'a Tree,
    pub(super) content: &'a dyn Content,
    /// The files whose content is not in the rootfs but in the base image.
    pub(super) of_base: &'a BTreeMap<TarPath, ContentDigest>,
    pub(super) base: Option<&'a Tree>,
    pub(super) platform: &'a Platform,
    pub(super) container: &'a ContainerConfig,
}

/// So many executables are looked at, and so many files are opened for them.
const EXECUTABLES: usize = 16;
const OPENED: usize = 64;
/// Directories that hold the executables that matter most.
const OF_PROGRAMS: [&[u8]; 5] = [b"bin", b"sbin", b"lib", b"lib64", b"libexec"];
/// Bytes of a file that are read for its attributes.
const READ_AT_MOST: u64 = 16 << 20;
/// Paths that a finding names.
const NAMED: usize = 3;
/// `PATH` where the image does not set it, as engines have it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Checked<'_> {
    /// Returns what the checks find that are not skipped.
    ///
    /// # Errors
    ///
    /// A finding that weighs as an error; the message has all of them.
    pub(super) fn findings(&self, checks: &Checks) -> Result<Vec<CheckFinding>> {
        let mut findings = Vec::new();
        for (check, _) in Check::ALL {
            let level = checks.level(*check);
            if level == CheckLevel::Skip {
                continue;
            }
            let messages = match check {
                Check::Arch => self.other_architectures()?,
                Check::UserMissing => {
                    let user = self.container.user.as_deref().unwrap_or_default();
                    unknown_accounts(user, self.tree, self.content)?
                }
                Check::EntrypointMissing => self.missing_program().into_iter().collect(),
                Check::SetuidNew => self.new_setuid().into_iter().collect(),
            };
            findings.extend(messages.into_iter().map(|message| CheckFinding { check: *check, level, message }));
        }
        let errors: Vec<&CheckFinding> = findings.iter().filter(|finding| finding.level == CheckLevel::Error).collect();
        let Some(first) = errors.first() else { return Ok(findings) };
        let messages: Vec<String> =
            errors.iter().map(|finding| format!("check `{}`: {}", finding.check, finding.message)).collect();
        Err(Error::refused_with_hint(
            messages.join("; "),
            Hint::from("mend it, or let it weigh less with `")
                .text(format!("{}:warn` in ", first.check))
                .setting("OCI_IMAGE_QA"),
        ))
    }

    /// Compares a few executables with the platform.
    fn other_architectures(&self) -> Result<Vec<String>> {
        let is_here = |entry: &&Entry| {
            entry.is_file()
                && entry.metadata.mode & 0o111 != 0
                && entry.size() >= HEADER as u64
                && !self.of_base.contains_key(&entry.path)
        };
        let is_program =
            |entry: &&Entry| entry.path.as_bytes().split(|byte| *byte == b'/').any(|name| OF_PROGRAMS.contains(&name));
        let (first, others): (Vec<&Entry>, Vec<&Entry>) = self.tree.iter().filter(is_here).partition(is_program);
        let mut looked_at = 0;
        let mut foreign: BTreeMap<String, Vec<&TarPath>> = BTreeMap::new();
        for entry in first.into_iter().chain(others).take(OPENED) {
            let Some(elf) = self.elf(entry)? else { continue };
            if !elf.runs_on(&self.platform.architecture) {
                let machine = elf.architecture().unwrap_or_default().to_owned();
                foreign.entry(machine).or_default().push(&entry.path);
            } else if let Some(needed) = self.newer_arm(entry, elf)? {
                foreign.entry(format!("arm/v{needed}")).or_default().push(&entry.path);
            }
            looked_at += 1;
            if looked_at == EXECUTABLES {
                break;
            }
        }
        let message = |(machine, paths): (String, Vec<&TarPath>)| {
            format!("the image is for {}, and {} for {machine}", self.platform, named(&paths))
        };
        Ok(foreign.into_iter().map(message).collect())
    }

    fn elf(&self, entry: &Entry) -> Result<Option<Elf>> {
        let mut start = Vec::with_capacity(HEADER);
        let content = self.content.open(entry)?;
        content.take(HEADER as u64).read_to_end(&mut start).at("read", Path::new(&entry.path.to_string()))?;
        Ok(Elf::read(&start))
    }

    /// Returns the version of Arm that a file needs, if the variant of the platform is an older one.
    fn newer_arm(&self, entry: &Entry, elf: Elf) -> Result<Option<u8>> {
        let variant = self.platform.variant.as_deref().and_then(|variant| variant.strip_prefix('v'));
        let Some(variant) = variant.and_then(|variant| variant.parse::<u8>().ok()) else { return Ok(None) };
        if self.platform.architecture != "arm" || !elf.has_arm_version() {
            return Ok(None);
        }
        let mut file = Vec::new();
        let content = self.content.open(entry)?;
        io::copy(&mut content.take(READ_AT_MOST), &mut file).at("read", Path::new(&entry.path.to_string()))?;
        Ok(arm_version(&file).filter(|needed| *needed > variant))
    }

    /// Looks for the program that the image starts.
    fn missing_program(&self) -> Option<String> {
        let ContainerConfig { entrypoint, cmd, env, working_dir, .. } = self.container;
        let program = [entrypoint, cmd].into_iter().flatten().flatten().next().filter(|word| !word.is_empty())?;
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        let places: Vec<String> = if program.starts_with('/') {
            vec![program.clone()]
        } else if program.contains('/') {
            vec![format!("{}/{program}", working_dir.as_deref().unwrap_or_default())]
        } else {
            path.split(':').map(|directory| format!("{directory}/{program}")).collect()
        };
        let resolver = Resolver::new(self.tree);
        let found: Vec<&Entry> = places.iter().filter_map(|place| resolver.follow(place.as_bytes())).collect();
        let is_program = |entry: &&Entry| entry.is_file() && entry.metadata.mode & 0o111 != 0;
        let where_else = if program.contains('/') { String::new() } else { format!(" in `{path}`") };
        match (found.iter().any(is_program), found.is_empty()) {
            (true, _) => None,
            (false, true) => Some(format!("the image starts `{program}`, which is not in it{where_else}")),
            (false, false) => Some(format!("the image starts `{program}`, which is no executable file")),
        }
    }

    /// Looks for files that run as their owner or group, and that the base image does not have so.
    fn new_setuid(&self) -> Option<String> {
        let bits = |entry: &Entry| entry.metadata.mode & 0o6000;
        let had = |path: &TarPath| self.base.and_then(|base| base.get(path)).map_or(0, bits);
        let is_new = |entry: &&Entry| entry.is_file() && bits(entry) & !had(&entry.path) != 0;
        let new: Vec<&TarPath> = self.tree.iter().filter(is_new).map(|entry| &entry.path).collect();
        (!new.is_empty()).then(|| format!("setuid or setgid, and not so in a base image: {}", named(&new)))
    }
}

/// The first few paths for people.
fn named(paths: &[&TarPath]) -> String {
    let first: Vec<String> = paths.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    let more = if paths.len() > NAMED { format!(" and {} more", paths.len() - NAMED) } else { String::new() };
    format!("{}{more}", first.join(", "))
}
