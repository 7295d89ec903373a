//! What is reported about things that could not be set or made: all of it to programs, a line for each kind to people.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ops::unpack::disk::Disk;
use crate::ops::unpack::dress::LeftOut;
use crate::ops::unpack::xattr::Why;
use crate::tree::{path_members, shown, Kind, TarPath};

/// Something that is in the image but not on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// Its path.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// `owner`, `setuid` (or setgid), `char`, `block`, `fifo`, `xattr`; `host xattr` for one that describes a host, not
    /// an image; `mtime` for a time that the filesystem cannot hold.
    pub what: &'static str,
    /// The owner, the mode, the device's numbers, the attribute's name, or the date; empty for a pipe.
    pub wanted: String,
    /// Why no user could set an attribute there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
}

/// Returns everything that is missing on disk, in the order of the paths.
pub(super) fn list(disk: &Disk) -> Vec<Skipped> {
    disk.left_out().map(|(path, left_out)| describe(path, left_out)).collect()
}

fn describe(path: &TarPath, left_out: &LeftOut) -> Skipped {
    let mut why_not = None;
    let (what, wanted) = match left_out {
        LeftOut::Owner { uid, gid } => ("owner", format!("{uid}:{gid}")),
        LeftOut::SetId { mode } => ("setuid", format!("{mode:04o}")),
        LeftOut::Special(kind @ (Kind::CharDevice(device) | Kind::BlockDevice(device))) => {
            (kind.name(), format!("{}:{}", device.major, device.minor))
        }
        LeftOut::Special(kind) => (kind.name(), String::new()),
        LeftOut::Xattr { name, why } => {
            why_not = reason(*why);
            ("xattr", shown(name))
        }
        LeftOut::HostXattr(name) => ("host xattr", shown(name)),
        LeftOut::Time(mtime) => ("mtime", mtime.date()),
    };
    Skipped { path: path.clone(), what, wanted, why: why_not }
}

fn reason(why: Why) -> Option<&'static str> {
    match why {
        Why::Rights => None,
        Why::Filesystem => Some("this filesystem takes no such attributes"),
        Why::Kind => Some("no kernel takes them on entries of such a kind"),
        Why::Value => Some("no kernel takes such values"),
        Why::Size => Some("they are too large here"),
    }
}

/// How many of a kind are named in its line.
const SHOWN: usize = 3;

/// Returns a line for each kind that there is, with its number and the first few.
pub(super) fn summary(skipped: &[Skipped]) -> Vec<String> {
    let kinds = [
        ("owner", "owners not set"),
        ("setuid", "setuid and setgid not set, since the owner is another"),
        ("char", "character devices left out"),
        ("block", "block devices left out"),
        ("fifo", "pipes left out"),
        ("xattr", "attributes not set"),
        ("host xattr", "attributes not set that describe a host and no image"),
        ("mtime", "times set to the nearest that this filesystem holds"),
    ];
    let mut lines = Vec::new();
    for (what, text) in kinds {
        let mut by_reason: BTreeMap<Option<&str>, Vec<&Skipped>> = BTreeMap::new();
        for skipped in skipped.iter().filter(|skipped| skipped.what == what) {
            by_reason.entry(skipped.why).or_default().push(skipped);
        }
        for (why, all) in by_reason {
            let shown = all.iter().take(SHOWN).map(|skipped| match skipped.wanted.as_str() {
                "" => format!("`{}`", skipped.path),
                wanted => format!("`{}` ({})", skipped.path, wanted),
            });
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if all.len() > SHOWN { " …" } else { "" };
            let why = why.map(|why| format!(", since {why}")).unwrap_or_default();
            lines.push(format!("{text}{why}: {}: {shown}{more}", all.len()));
        }
    }
    lines
}
