use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{assert_same, list_directory, root, Fixture, Image, Layout, Listing, Peer, Scratch, Tool};

/// The image of `everything.tree`; none if this user cannot make one.
#[track_caller]
fn everything(scratch: &Scratch) -> Option<Image> {
    if !root() {
        return None;
    }
    let rootfs = scratch.rootfs("rootfs", "everything");
    let outcome = Tool::build(rootfs).oci(&scratch.join("out")).args(["--compression", "none"]).run();
    assert_eq!(
        outcome.stderr(),
        "ocibake: warning: `/run/socket` is a socket, which a layer cannot hold: left out\n"
    );
    let digest = outcome.digest_despite_warnings();
    let image = Layout::at(&scratch.join("out")).latest();
    assert_eq!(image.digest(), digest);
    Some(image)
}

#[test]
fn python_sees_every_entry_as_it_was_described() {
    let scratch = Scratch::new();
    let (Some(python), Some(image)) = (Peer::python(), everything(&scratch)) else { return };
    assert_same(&Fixture::named("everything").listing(), &image.listing(&python), "python's tarfile");
}
