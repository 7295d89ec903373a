use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Fixture, Image, Layout, Order, Scratch, Tool};

/// A rootfs of three recipes and some files that no package owns, which every user can make.
pub(super) const TREE: &str = "d 0755 - 1000000000 /
    d 0755 - 1000000001 /etc
    f 0644 - 1000000002 /etc/app.conf text conf
    f 0644 - 1000000003 /etc/passwd text passwd
    d 0755 - 1000000004 /usr
    d 0755 - 1000000005 /usr/bin
    f 0755 - 1000000006 /usr/bin/app text app
    f 0755 - 1000000007 /usr/bin/sh noise 3000
    d 0755 - 1000000008 /usr/lib
    f 0644 - 1000000009 /usr/lib/libc.so noise 5000
    f 0644 - 1000000010 /usr/lib/libz.so noise 2000
    d 0755 - 1000000011 /usr/share
    d 0700 - 1000000012 /usr/share/app
    f 0644 - 1000000013 /usr/share/app/words words 9000
    h - - - /usr/share/app/words2 /usr/share/app/words
    d 0755 - 1000000014 /var
    d 0750 - 1000000015 /var/app";

pub(super) const MAP: &str = "/usr/bin/app\tapp\tapp\t1.0-r0
/etc/app.conf\tapp-conf\tapp\t1.0-r0
/usr/share/app/words\tapp\tapp\t1.0-r0
/var/app\tapp\tapp\t1.0-r0
/usr/bin/sh\tbusybox\tbusybox\t1.36
/usr/lib/libc.so\tlibc6\tglibc\t2.39
/usr/lib/libz.so\tlibz1\tzlib\t1.3
/usr/share/man/gone\tapp-doc\tapp\t1.0-r0
";

pub(super) const PLAN: &str = "libs: recipe:glibc recipe:zlib # what all others need
app: recipe:app
generated: generated
shell: *
";

/// Makes the rootfs, its map and a plan.
pub(super) fn make(scratch: &Scratch) -> PathBuf {
    let rootfs = scratch.join("rootfs");
    Fixture::parse(TREE).make(&rootfs, Order::AsListed);
    fs::write(scratch.join("map"), MAP).unwrap();
    fs::write(scratch.join("plan"), PLAN).unwrap();
    rootfs
}

/// A build in the scratch directory with its map and its plan.
pub(super) fn build(scratch: &Scratch, rootfs: &Path) -> Tool {
    Tool::build(rootfs).args(["--package-map", "map", "--layers", "@plan"]).within(scratch.path())
}

pub(super) fn image(scratch: &Scratch, name: &str) -> Image {
    Layout::at(&scratch.join(name)).latest()
}

/// The layers with the names of their members; directories that have lost their time end in `/0`.
pub(super) fn members(image: &Image) -> Vec<String> {
    let show = |(name, time): &(String, u64)| match name.strip_suffix('/') {
        Some(directory) if *time == 0 => format!("{directory}/0"),
        _ => name.clone(),
    };
    let layer = |(name, members): &(String, Vec<(String, u64)>)| {
        format!("{name}: {}", members.iter().map(show).collect::<Vec<_>>().join(" "))
    };
    image.named_layers().iter().map(layer).collect()
}
