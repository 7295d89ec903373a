//! Where tests write. The tests of `tests/it` share this file.
//!
//! Not below `target`: a clone may be in a home directory that others cannot enter, and buildah reads a path with a
//! capital letter as a name.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// Returns a directory of this clone and this user, on a disk, that every user can enter and whose name every tool
/// accepts. `OCIBAKE_TEST_DIR` replaces the parent `/var/tmp`.
pub(crate) fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let parent = std::env::var_os("OCIBAKE_TEST_DIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
        check(&parent);
        let clone = clone().metadata().expect("the clone is there");
        let user = rustix::process::geteuid().as_raw();
        let users = open(&parent.join(format!("ocibake-tests-{user}")), user);
        open(&users.join(format!("{}-{}", clone.dev(), clone.ino())), user)
    })
}

/// Returns the clone. Cargo says where it is, also to test programs that were built elsewhere.
pub(crate) fn clone() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Fails unless every user can enter `parent` and every tool accepts its path.
fn check(parent: &Path) {
    let is_plain = |component: Component| {
        let text = component.as_os_str().to_str().unwrap_or("?");
        text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-'))
    };
    let can_enter = |path: &Path| path.metadata().is_ok_and(|found| found.is_dir() && found.mode() & 0o001 != 0);
    assert!(
        parent.is_absolute() && parent.components().all(is_plain) && parent.ancestors().all(can_enter),
        "tests cannot be run in `{}`: set OCIBAKE_TEST_DIR to a directory that every user can enter, with a path of small \
         letters, digits and `.`, `_`, `-`",
        parent.display()
    );
}

/// Makes a directory, unless it exists and is ours.
fn open(path: &Path, user: u32) -> PathBuf {
    let _ = fs::DirBuilder::new().mode(0o755).create(path);
    let found = path.symlink_metadata().unwrap_or_else(|error| panic!("cannot make `{}`: {error}", path.display()));
    assert!(found.is_dir() && found.uid() == user, "`{}` belongs to another user", path.display());
    // Whatever the umask.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path.to_path_buf()
}
