use std::fs;
use std::path::Path;

use super::made::image;
use crate::harness::{Fixture, Order, Scratch, Tool};

/// Puts the database of a fixture into a rootfs.
pub(super) fn copy_database(fixture: &str, rootfs: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/databases").join(fixture);
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let to = rootfs.join(path.strip_prefix(&root).unwrap());
            if path.is_dir() {
                fs::create_dir_all(to).unwrap();
                open.push(path);
            } else {
                fs::copy(path, to).unwrap();
            }
        }
    }
}

/// The layers of a rootfs with this database, each with its groups.
fn layers(scratch: &Scratch, fixture: &str, tree: &str) -> Vec<String> {
    let rootfs = scratch.join(fixture);
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    copy_database(fixture, &rootfs);
    let out = format!("{fixture}-out");
    let tool = Tool::build(&rootfs).args([&format!("oci:{out}"), "--layers", "packages"]).within(scratch.path());
    let _ = tool.bake();
    let image = image(scratch, &out);
    let annotation = |layer: &serde_json::Value, key: &str| {
        layer["annotations"][format!("io.github.ocibake.{key}")].as_str().unwrap().to_owned()
    };
    let show = |layer| format!("{} [{}]", annotation(layer, "layer"), annotation(layer, "groups"));
    image.manifest["layers"].as_array().unwrap().iter().map(show).collect()
}

#[test]
fn dpkg_with_merged_directories() {
    let scratch = Scratch::new();
    let tree = "d 0755 - 1 /\nd 0755 - 1 /usr\nd 0755 - 1 /usr/bin\nl 0777 - 1 /bin usr/bin\nf 0755 - 1 /usr/bin/dash text x
        d 0755 - 1 /usr/lib\nl 0777 - 1 /lib usr/lib\nd 0755 - 1 /usr/lib/x86_64-linux-gnu
        f 0644 - 1 /usr/lib/x86_64-linux-gnu/libz.so.1.2.13 text x\nf 0644 - 1 /usr/lib/x86_64-linux-gnu/libgcc_s.so.1 text x
        d 0755 - 1 /etc\nf 0644 - 1 /etc/debian_version text 12\nf 0644 - 1 /etc/passwd text x";
    assert_eq!(
        layers(&scratch, "debian", tree),
        [
            "base-files [base-files=12.4+deb12u11]",
            "dash [dash=0.5.12-2]",
            "gcc-12 [gcc-12=12.2.0-14+deb12u1]",
            "tzdata [tzdata=2025b-0+deb12u2]",
            "zlib [zlib=1:1.2.13.dfsg-1]",
            "generated [generated]",
        ]
    );
}

#[test]
fn opkg_apk_and_images_without_a_package_manager() {
    let scratch = Scratch::new();
    let opkg = "d 0755 - 1 /\nd 0755 - 1 /usr\nd 0755 - 1 /usr/bin\nf 0755 - 1 /usr/bin/busybox.nosuid text x
        d 0755 - 1 /usr/lib\nl 0777 - 1 /lib usr/lib\nf 0755 - 1 /usr/lib/libc.so.6 text x";
    for fixture in ["opkg", "opkg-plain", "opkg-offline", "openwrt"] {
        let found = layers(&scratch, fixture, opkg);
        assert!(found.contains(&"busybox [busybox=1.36.1-r0]".to_owned()), "{fixture}: {found:?}");
        assert!(found.contains(&"glibc [glibc=2.39+git0+1c19c74c68-r0]".to_owned()), "{fixture}: {found:?}");
        assert_eq!(found.last().map(String::as_str), Some("generated [generated]"));
    }
    let alpine = "d 0755 - 1 /\nd 0755 - 1 /bin\nf 0755 - 1 /bin/busybox text x\nl 0777 - 1 /bin/sh /bin/busybox
        d 0755 - 1 /lib\nf 0755 - 1 /lib/ld-musl-x86_64.so.1 text x";
    assert_eq!(
        layers(&scratch, "alpine", alpine),
        ["busybox [busybox=1.36.1-r29]", "musl [musl=1.2.5-r0]", "generated [generated]"]
    );
    let distroless = "d 0755 - 1 /\nd 0755 - 1 /usr\nd 0755 - 1 /usr/share\nd 0755 - 1 /usr/share/zoneinfo
        f 0644 - 1 /usr/share/zoneinfo/UTC text x";
    assert_eq!(
        layers(&scratch, "distroless", distroless),
        ["tzdata [tzdata=2024b-0+deb12u1]", "generated [generated]"]
    );
}
