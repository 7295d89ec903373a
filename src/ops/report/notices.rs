//! Entries that deserve a look: those that grant rights, links to nothing, and files that images rarely need.

use serde::Serialize;

use crate::ops::report::contents::ImageContents;
use crate::ops::report::LISTED;
use crate::tree::{path_members, shown, Device, Entry, Kind, Lost, Resolver, TarPath};

/// The kinds of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoticeKind {
    /// A file that runs with the rights of its owner.
    Setuid,
    /// A file that runs with the rights of its group.
    Setgid,
    /// A file with capabilities.
    Capabilities,
    /// A file, or a directory without the sticky bit, that everyone may write to.
    WorldWritable,
    /// A device.
    Devices,
    /// An entry of a user that `etc/passwd` does not list.
    Unowned,
    /// A symbolic link to nothing.
    BrokenLinks,
    /// A cache of a package manager or of a language's tools.
    PackageCaches,
    /// A static library.
    StaticLibraries,
}

/// The entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// The kinds of notices.
    pub kind: NoticeKind,
    /// How many entries.
    pub count: usize,
    /// Bytes of their content.
    pub bytes: u64,
    /// The first of them in the order of paths.
    pub entries: Vec<NoticedEntry>,
}

/// An entry that is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NoticedEntry {
    /// Where it stands.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// Its mode, its owner or its target, depending on the kind.
    pub remark: String,
    /// Bytes of its content.
    pub size: u64,
}

impl NoticeKind {
    /// All kinds, the most important first.
    pub const ALL: [NoticeKind; 9] = [
        NoticeKind::Setuid,
        NoticeKind::Setgid,
        NoticeKind::Capabilities,
        NoticeKind::WorldWritable,
        NoticeKind::Devices,
        NoticeKind::Unowned,
        NoticeKind::BrokenLinks,
        NoticeKind::PackageCaches,
        NoticeKind::StaticLibraries,
    ];

    /// Its name in a limit.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Setuid => "setuid",
            NoticeKind::Setgid => "setgid",
            NoticeKind::Capabilities => "capabilities",
            NoticeKind::WorldWritable => "world-writable",
            NoticeKind::Devices => "devices",
            NoticeKind::Unowned => "unowned",
            NoticeKind::BrokenLinks => "broken-links",
            NoticeKind::PackageCaches => "package-caches",
            NoticeKind::StaticLibraries => "static-libraries",
        }
    }

    /// A description for people.
    pub fn title(self) -> &'static str {
        match self {
            NoticeKind::Setuid => "Setuid files",
            NoticeKind::Setgid => "Setgid files",
            NoticeKind::Capabilities => "Files with capabilities",
            NoticeKind::WorldWritable => "World-writable",
            NoticeKind::Devices => "Devices",
            NoticeKind::Unowned => "Owners that /etc/passwd does not list",
            NoticeKind::BrokenLinks => "Broken links",
            NoticeKind::PackageCaches => "Package caches",
            NoticeKind::StaticLibraries => "Static libraries",
        }
    }
}

/// All notices about the entries of an image, one for each kind, even if it has no entries.
pub(super) fn of(contents: &ImageContents) -> Vec<Notice> {
    let notice = |kind: &NoticeKind| Notice { kind: *kind, count: 0, bytes: 0, entries: Vec::new() };
    let mut notices: Vec<Notice> = NoticeKind::ALL.iter().map(notice).collect();
    let resolver = Resolver::new(contents.tree());
    for entry in contents.tree().iter() {
        if matches!(entry.kind, Kind::Hardlink { .. }) {
            continue;
        }
        for notice in &mut notices {
            let Some(remark) = remark(notice.kind, entry, contents, &resolver) else { continue };
            notice.count += 1;
            notice.bytes += entry.size();
            if notice.entries.len() < LISTED {
                notice.entries.push(NoticedEntry { path: entry.path.clone(), remark, size: entry.size() });
            }
        }
    }
    notices
}

/// The detail of an entry, if it is of the kind.
fn remark(kind: NoticeKind, entry: &Entry, contents: &ImageContents, resolver: &Resolver<'_>) -> Option<String> {
    let metadata = &entry.metadata;
    let mode = || format!("mode {:04o}, owner {}:{}", metadata.mode, metadata.uid, metadata.gid);
    let has = |bits: u16| metadata.mode & bits == bits;
    match kind {
        NoticeKind::Setuid => (entry.is_file() && has(0o4000)).then(mode),
        NoticeKind::Setgid => (entry.is_file() && has(0o2000)).then(mode),
        NoticeKind::Capabilities => metadata.xattrs.get(&b"security.capability"[..]).map(|value| capabilities(value)),
        NoticeKind::WorldWritable => {
            let is_meant = match entry.kind {
                Kind::Directory => !has(0o1000),
                Kind::File { .. } | Kind::Fifo => true,
                _ => false,
            };
            (is_meant && has(0o002)).then(mode)
        }
        NoticeKind::Devices => match entry.kind {
            Kind::CharDevice(Device { major, minor }) => Some(format!("character device {major},{minor}")),
            Kind::BlockDevice(Device { major, minor }) => Some(format!("block device {major},{minor}")),
            _ => None,
        },
        NoticeKind::Unowned => {
            let is_known = contents.users.as_ref().map_or(metadata.uid == 0, |users| users.contains(&metadata.uid));
            (!is_known).then(|| format!("owner {}:{}", metadata.uid, metadata.gid))
        }
        NoticeKind::BrokenLinks => match &entry.kind {
            Kind::Symlink { target } => broken(entry, target, resolver),
            _ => None,
        },
        NoticeKind::PackageCaches => (entry.is_file() && is_in_a_cache(&entry.path)).then(String::new),
        NoticeKind::StaticLibraries => {
            let name = entry.path.file_name();
            (entry.size() > 0 && (name.ends_with(b".a") || name.ends_with(b".la"))).then(String::new)
        }
    }
}

/// Where engines mount filesystems when a container starts.
const MOUNTED: [&[u8]; 4] = [b"proc", b"sys", b"dev", b"run"];

/// Why a link is broken, or `None` if it is not.
fn broken(link: &Entry, target: &[u8], resolver: &Resolver<'_>) -> Option<String> {
    let is_mounted =
        |path: &TarPath| MOUNTED.iter().any(|mounted| path.as_bytes().split(|b| *b == b'/').next() == Some(mounted));
    let why = match resolver.find(&[b"/", link.path.as_bytes()].concat()) {
        Err(Lost::Missing(path) | Lost::NoDirectory(path)) if is_mounted(&path) => return None,
        Err(Lost::Missing(_)) => "",
        Err(Lost::NoDirectory(_)) => " (through a file)",
        Err(Lost::Loop) => " (in a circle)",
        Ok(_) => return None,
    };
    Some(format!("→ {}{why}", shown(target)))
}

/// Directories with caches and package lists that can be fetched again.
const CACHES: [&str; 14] = [
    "root/.cache",
    "root/.cargo/registry",
    "root/.npm",
    "var/cache/apk",
    "var/cache/apt",
    "var/cache/dnf",
    "var/cache/opkg",
    "var/cache/pacman/pkg",
    "var/cache/yum",
    "var/cache/zypp",
    "var/lib/apt/lists",
    "var/lib/opkg/lists",
    "var/lib/smart/packages",
    "etc/apk/cache",
];

fn is_in_a_cache(path: &TarPath) -> bool {
    let path = path.as_bytes();
    CACHES.iter().any(|cache| path.strip_prefix(cache.as_bytes()).is_some_and(|rest| rest.starts_with(b"/")))
}

/// The names of capabilities in the order of their bits (linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The content of `security.capability`: the names of permitted capabilities, and `e` if they are effective.
fn capabilities(value: &[u8]) -> String {
    let word =
        |at: usize| value.get(at..at + 4).map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let permitted = u64::from(word(4)) | u64::from(word(12)) << 32;
    let permitted_ones = CAPABILITIES.iter().enumerate().filter(|(bit, _)| permitted >> bit & 1 == 1);
    let names: Vec<String> = permitted_ones.map(|(_, name)| format!("cap_{name}")).collect();
    let effective = if word(0) & 1 == 1 { "e" } else { "" };
    if names.is_empty() {
        return "no capability that is known".to_owned();
    }
    format!("{}={effective}p", names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model::path;

    #[test]
    fn capabilities_have_names() {
        let value = |magic: u32, low: u32, high: u32| {
            [magic, low, 0, high, 0].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()
        };
        for (value, text) in [
            (value(0x0200_0001, 1 << 13, 0), "cap_net_raw=ep"),
            (value(0x0200_0000, 1 << 10 | 1 << 12, 1 << 7), "cap_net_bind_service,cap_net_admin,cap_bpf=p"),
            (vec![1, 0, 0], "no capability that is known"),
            (Vec::new(), "no capability that is known"),
        ] {
            assert_eq!(capabilities(&value), text);
        }
    }

    #[test]
    fn a_cache_is_what_lies_below_one() {
        for (name, expected) in [
            ("var/cache/apt/archives/a.deb", true),
            ("var/cache/apt", false),
            ("var/cache/apt-cacher/x", false),
            ("root/.cache/pip/x", true),
            ("home/x/.cache/y", false),
        ] {
            assert_eq!(is_in_a_cache(&path(name)), expected, "{name}");
        }
    }
}
