use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::*;
use crate::testing::model::{path, Inode, Model};

impl Content for Model {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        Ok(Box::new(io::Cursor::new(&self.inode(&entry.path).unwrap().content)))
    }
}

/// Makes a filesystem of these lines, with the database of a fixture in it.
fn with_database(fixture: &str, lines: &[&str]) -> Model {
    let mut model = Model::parse(lines);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/databases").join(fixture);
    let mut open: Vec<PathBuf> = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let on_disk = entry.unwrap().path();
            if on_disk.is_dir() {
                open.push(on_disk);
            } else {
                let name = on_disk.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                model.put(&path(&name), Inode::file(&fs::read(&on_disk).unwrap()));
            }
        }
    }
    model
}

fn detect(model: &Model) -> Groups {
    Groups::detect(&model.tree(), model).unwrap()
}

/// Returns the owners of a path as `PACKAGE<RECIPE=VERSION`.
fn owners(groups: &Groups, name: &str) -> Vec<String> {
    let show = |owner: &usize| {
        let Package { name, recipe, version } = &groups.packages()[*owner];
        format!("{name}<{recipe}={version}")
    };
    groups.owners(&path(name)).iter().map(show).collect()
}

#[track_caller]
fn check(groups: &Groups, expected: &[(&str, &[&str])]) {
    for (name, expected) in expected {
        assert_eq!(owners(groups, name), *expected, "{name}");
    }
}

#[test]
fn debian() {
    const GCC_LIB: &str = "libstdc++6<gcc-12=12.2.0-14+deb12u1";
    let model = with_database(
        "debian",
        &[
            "bin->usr/bin",
            "lib->usr/lib",
            "etc/debian_version=12.11",
            "etc/passwd=x",
            "usr/bin/dash=x",
            "usr/bin/sh->dash",
            "usr/bin/sh.distrib->x",
            "usr/lib/x86_64-linux-gnu/libz.so.1->libz.so.1.2.13",
            "usr/lib/x86_64-linux-gnu/libz.so.1.2.13=x",
            "usr/lib/x86_64-linux-gnu/libgcc_s.so.1=x",
            "usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30=x",
            "usr/share/doc/zlib1g/copyright=x",
            "usr/share/doc/zlib1g/copyright.old=x",
            "usr/share/doc/libgcc-s1->gcc-12-base",
            "usr/share/doc/gcc-12-base/copyright=x",
        ],
    );
    let groups = detect(&model);
    assert_eq!((groups.source(), groups.packages().len()), (Some("dpkg"), 7));
    check(
        &groups,
        &[
            ("etc/debian_version", &["base-files<base-files=12.4+deb12u11"]),
            ("etc/passwd", &[]),
            // Listed as /bin/dash; /bin is a link.
            ("usr/bin/dash", &["dash<dash=0.5.12-2"]),
            // dash is the package whose own file stays.
            ("usr/bin/sh", &["dash<dash=0.5.12-2"]),
            ("usr/bin/sh.distrib", &[]),
            ("usr/lib/x86_64-linux-gnu/libz.so.1", &["zlib1g<zlib=1:1.2.13.dfsg-1"]),
            ("usr/lib/x86_64-linux-gnu/libz.so.1.2.13", &["zlib1g<zlib=1:1.2.13.dfsg-1"]),
            ("usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30", &[GCC_LIB]),
            // A local diversion.
            ("usr/share/doc/zlib1g/copyright", &[]),
            ("usr/share/doc/zlib1g/copyright.old", &["zlib1g<zlib=1:1.2.13.dfsg-1"]),
            ("usr/share/doc/libgcc-s1", &["libgcc-s1<gcc-12=12.2.0-14+deb12u1"]),
            // Several recipes have it as a directory: the link belongs to none of them.
            ("lib", &[]),
            ("var/lib/dpkg/status", &[]),
            ("var/lib/dpkg/info/dash.list", &[]),
        ],
    );
    assert!(groups.owners(&path("usr/share/doc")).len() > 5);
    assert_eq!(owners(&groups, "usr/share/doc/gcc-12-base"), ["gcc-12-base<gcc-12=12.2.0-14+deb12u1"]);
}

#[test]
fn images_without_a_package_manager() {
    let lines = ["usr/lib/x86_64-linux-gnu/libssl.so.3=x", "usr/share/zoneinfo/UTC=x", "etc/passwd=x"];
    let groups = detect(&with_database("distroless", &lines));
    check(
        &groups,
        &[
            ("usr/lib/x86_64-linux-gnu/libssl.so.3", &["libssl3<openssl=3.0.15-1~deb12u1"]),
            ("usr/share/zoneinfo/UTC", &["tzdata<tzdata=2024b-0+deb12u1"]),
            ("etc/passwd", &[]),
            ("var/lib/dpkg/status.d/libssl3", &[]),
        ],
    );
}

#[test]
fn opkg_in_each_form() {
    let lines = [
        "bin/busybox->/usr/bin/busybox.nosuid",
        "bin/sh->/bin/busybox.nosuid",
        "etc/busybox.links.suid=x",
        "etc/passwd=x",
        "usr/bin/busybox.nosuid=x",
        "lib->usr/lib",
        "usr/lib/libc.so.6=x",
        "usr/lib/libstdc++.so.6->libstdc++.so.6.0.32",
        "usr/lib/libstdc++.so.6.0.32=x",
        "var/db",
    ];
    for fixture in ["opkg", "opkg-plain", "opkg-offline", "openwrt"] {
        let groups = detect(&with_database(fixture, &lines));
        assert_eq!(groups.source(), Some("opkg"));
        check(
            &groups,
            &[
                ("usr/bin/busybox.nosuid", &["busybox<busybox=1.36.1-r0"]),
                ("bin/sh", &["busybox<busybox=1.36.1-r0"]),
                ("usr/lib/libc.so.6", &["libc6<glibc=2.39+git0+1c19c74c68-r0"]),
                ("usr/lib/libstdc++.so.6", &["libstdc++6<gcc-runtime=13.2.0-r0"]),
                ("etc/passwd", &[]),
                ("etc", &["busybox<busybox=1.36.1-r0", "libc6<glibc=2.39+git0+1c19c74c68-r0"]),
                ("var/db", &["libc6<glibc=2.39+git0+1c19c74c68-r0"]),
                ("usr/lib/opkg/status", &[]),
                ("var/lib/opkg/info/libc6.list", &[]),
            ],
        );
        // If modes are listed, a link in place of a directory is not the package's.
        let expected: &[&str] = if fixture == "opkg" { &[] } else { &["libc6<glibc=2.39+git0+1c19c74c68-r0"] };
        assert_eq!(owners(&groups, "lib"), expected, "{fixture}");
    }
}

#[test]
fn alpine() {
    let lines = ["bin/busybox=x", "bin/sh->/bin/busybox", "etc/securetty=x", "lib/ld-musl-x86_64.so.1=x", "var/cache"];
    let groups = detect(&with_database("alpine", &lines));
    assert_eq!(groups.source(), Some("apk"));
    check(
        &groups,
        &[
            ("bin/busybox", &["busybox<busybox=1.36.1-r29"]),
            ("bin/sh", &["busybox-binsh<busybox=1.36.1-r29"]),
            ("bin", &["busybox-binsh<busybox=1.36.1-r29", "busybox<busybox=1.36.1-r29"]),
            ("lib/ld-musl-x86_64.so.1", &["musl<musl=1.2.5-r0"]),
            ("var/cache", &["busybox<busybox=1.36.1-r29"]),
            ("lib/apk/db/installed", &[]),
        ],
    );
}

#[test]
fn a_database_of_broken_lines_owns_what_the_others_say() {
    let mut model = Model::parse(&["bin/b=x"]);
    model.put(&path("lib/apk/db/installed"), Inode::file(b"P:a\nP\n:\nV:1\n\xff\nF:bin\nR\nR:b"));
    check(&detect(&model), &[("bin/b", &["a<a=1"])]);

    let mut model = Model::parse(&["bin/b=x"]);
    model.put(&path("var/lib/dpkg/status"), Inode::file(b"Package: a\nVersion: 1\n\n:\n: x\nPackage\n"));
    model.put(&path("var/lib/dpkg/info/a.list"), Inode::file(b"\n/\n/bin/b"));
    model.put(&path("var/lib/dpkg/diversions"), Inode::file(b"/bin/b\n/bin/c"));
    check(&detect(&model), &[("bin/b", &["a<a=1"])]);
}

#[test]
fn no_database() {
    for model in [Model::parse(&["a=x"]), Model::parse(&["var/lib/dpkg/status=", "var/lib/opkg/status"])] {
        assert_eq!(detect(&model), Groups::default());
    }
}

fn map(text: &str, tree: &Tree) -> Result<Groups> {
    Groups::of_map(&PackageMap::parse("map", text.as_bytes())?, tree)
}

#[test]
fn a_package_map() {
    let mut model = Model::parse(&["lib->usr/lib", "usr/lib/a=x", "usr/lib/größe=x", "opt/x%=x"]);
    model.put(&path("usr/lib/b c"), Inode::file(b"x"));
    let tree = model.tree();
    let text = "# made by hand\n\n/lib/a\tlibstdc++6\tgcc-runtime\t13.2\r\n/usr/lib/b%20c\tmy%20app\tgtk+\t\n\
                usr/lib/gr%C3%B6%C3%9fe\tlib32-größe\tgröße\t1%2509\n/opt/x%25\tx\tx\t1\n/opt\tx\tx\t1\n/opt\ty\ty\t1\n\
                /gone/file\tx\tx\t1\n/usr/lib/a\tlibstdc++6\tgcc-runtime\t13.2";
    let groups = map(text, &tree).unwrap();
    assert_eq!(groups.source(), Some("map"));
    check(
        &groups,
        &[
            ("usr/lib/a", &["libstdc++6<gcc-runtime=13.2"]),
            ("usr/lib/b c", &["my app<gtk+="]),
            ("usr/lib/größe", &["lib32-größe<größe=1%09"]),
            ("opt/x%", &["x<x=1"]),
            ("opt", &["x<x=1", "y<y=1"]),
            ("gone/file", &[]),
            ("lib", &[]),
        ],
    );
}

#[test]
fn what_is_no_package_map() {
    let tree = Model::parse(&["lib->usr/lib", "usr/lib/a=x"]).tree();
    for (text, expected) in [
        ("/a\tb\tc", "map:1: path, package, recipe and version expected, with tabs between them, found 3 columns"),
        ("\n/a b c d", "map:2: path, package, recipe and version expected, with tabs between them, found 1 column"),
        ("/a\t\tc\t1", "map:1: a package expected, found nothing"),
        ("/a\tb\t\t1", "map:1: a recipe expected, found nothing"),
        ("/a%\tb\tc\t1", "map:1: two hexadecimal digits expected after each `%` in `/a%`"),
        ("/a\t%ff\tc\t1", "map:1: package `%ff` is not UTF-8"),
        ("/../a\tb\tc\t1", "map:1: name `/../a`: `..` leads out of the tree"),
        (
            "/usr/lib/a\tx\tx\t1\n/b\tx\tx\t1\n/lib/a\ty\ty\t1\n",
            "map:3: `/usr/lib/a`: one owner expected, found y, and x in line 1",
        ),
        ("/gone\tx\tx\t1\n/gone\ty\ty\t1", "map:2: `/gone`: one owner expected, found y, and x in line 1"),
    ] {
        assert_eq!(map(text, &tree).unwrap_err().to_string(), expected, "{text}");
    }
}
