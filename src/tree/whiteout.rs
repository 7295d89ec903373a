//! Names that say something about lower layers instead of naming a file (image-spec, layer.md#whiteouts).

use crate::error::{Error, Result};
use crate::tree::TarPath;

const PREFIX: &[u8] = b".wh.";
const AUFS_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a path in a layer says about the layers below it.
///
/// A whiteout acts on lower layers only, wherever it is in its own layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whiteout {
    /// Nothing: it names an entry.
    None,
    /// What lower layers have at this path is removed, with everything below it.
    Remove(TarPath),
    /// What lower layers have in this directory is removed; the directory stays.
    Opaque(TarPath),
    /// Bookkeeping of AUFS, or something below it: not an entry, and without effect.
    Aufs,
}

impl Whiteout {
    /// Classifies a path of a layer. Refuses a marker that hides nothing, `.` or `..`, and a path below a whiteout.
    pub(crate) fn of(path: &TarPath) -> Result<Whiteout> {
        let Some(directory) = path.parent() else { return Ok(Whiteout::None) };
        let mut above = directory.as_bytes().split(|byte| *byte == b'/');
        if let Some(marker) = above.find(|component| component.starts_with(PREFIX)) {
            if marker.starts_with(AUFS_PREFIX) {
                return Ok(Whiteout::Aufs);
            }
            return Err(malformed(path, "nothing can lie below a whiteout"));
        }
        match path.file_name() {
            OPAQUE => Ok(Whiteout::Opaque(directory)),
            name if name.starts_with(AUFS_PREFIX) => Ok(Whiteout::Aufs),
            name => match name.strip_prefix(PREFIX) {
                None => Ok(Whiteout::None),
                Some(b"") => Err(malformed(path, "a whiteout must hide a name, found none")),
                Some(b"." | b"..") => Err(malformed(path, "a whiteout must hide a name, found `.` or `..`")),
                Some(hidden) => Ok(Whiteout::Remove(directory.join(hidden))),
            },
        }
    }

    /// Returns the path of the marker, or `None` for [`Whiteout::None`], [`Whiteout::Aufs`], and a removed root.
    pub(crate) fn marker(&self) -> Option<TarPath> {
        match self {
            Whiteout::Remove(path) => path.parent().map(|parent| parent.join(&[PREFIX, path.file_name()].concat())),
            Whiteout::Opaque(directory) => Some(directory.join(OPAQUE)),
            Whiteout::None | Whiteout::Aufs => None,
        }
    }
}

/// Returns whether a component begins with `.wh.`: a layer cannot hold such a file (image-spec, layer.md#whiteouts).
pub(crate) fn is_reserved(path: &TarPath) -> bool {
    path.as_bytes().split(|byte| *byte == b'/').any(|component| component.starts_with(PREFIX))
}

fn malformed(path: &TarPath, reason: &str) -> Error {
    Error::malformed(format!("whiteout `{path}`"), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TarPath {
        TarPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_and_what_they_say() {
        let table = [
            ("", Whiteout::None),
            ("a", Whiteout::None),
            ("a/wh.b", Whiteout::None),
            ("a/x.wh.b", Whiteout::None),
            (".wh", Whiteout::None),
            (".wha", Whiteout::None),
            (".wh.b", Whiteout::Remove(path("b"))),
            ("a/.wh.b", Whiteout::Remove(path("a/b"))),
            ("a/.wh..hidden", Whiteout::Remove(path("a/.hidden"))),
            ("a/.wh....", Whiteout::Remove(path("a/..."))),
            (".wh..wh..opq", Whiteout::Opaque(TarPath::root())),
            ("a/b/.wh..wh..opq", Whiteout::Opaque(path("a/b"))),
            (".wh..wh.aufs", Whiteout::Aufs),
            (".wh..wh.", Whiteout::Aufs),
            (".wh..wh..opqx", Whiteout::Aufs),
            (".wh..wh.plnk/1.2", Whiteout::Aufs),
            (".wh..wh.plnk/.wh.x", Whiteout::Aufs),
        ];
        for (name, expected) in table {
            let whiteout = Whiteout::of(&path(name)).unwrap();
            assert_eq!(whiteout, expected, "{name}");
            let marker = matches!(whiteout, Whiteout::Remove(_) | Whiteout::Opaque(_)).then(|| path(name));
            assert_eq!(whiteout.marker(), marker, "{name}");
        }
    }

    #[test]
    fn markers_that_hide_nothing_or_lead_out_are_refused() {
        let table = [
            (".wh.", "whiteout `/.wh.`: a whiteout must hide a name, found none"),
            ("a/.wh..", "whiteout `/a/.wh..`: a whiteout must hide a name, found `.` or `..`"),
            ("a/.wh...", "whiteout `/a/.wh...`: a whiteout must hide a name, found `.` or `..`"),
            ("a/.wh.b/c", "whiteout `/a/.wh.b/c`: nothing can lie below a whiteout"),
        ];
        for (name, expected) in table {
            assert_eq!(Whiteout::of(&path(name)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_root_cannot_be_removed() {
        assert_eq!(Whiteout::Remove(TarPath::root()).marker(), None);
    }

    #[test]
    fn reserved_names() {
        for name in [".wh.a", "a/.wh.b", "a/.wh.b/c", ".wh..wh..opq"] {
            assert!(is_reserved(&path(name)), "{name}");
        }
        for name in ["", "a", ".wh", "a.wh.b", "wh.a"] {
            assert!(!is_reserved(&path(name)), "{name}");
        }
    }
}
