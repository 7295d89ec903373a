use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{make_layout, named, with, ByHand, Fixture, Order, Scratch, Tool};
use crate::verify::members::{directory, file, hardlink, member, pax, Member};

/// Two releases of a rootfs of three recipes, in layers of a plan: `oci:new` and `oci:old`, and their package `map`s.
pub(super) fn releases(scratch: &Scratch) {
    const NEW: &str = "d 0755 - 1000000000 /
        d 0755 - 1000000001 /etc
        f 0644 - 1000000002 /etc/passwd text root:x:0:0::/root:/bin/sh
        d 0755 - 1000000003 /usr
        d 0755 - 1000000004 /usr/bin
        f 0755 - 1000000005 /usr/bin/app noise 70000
        f 4755 - 1000000006 /usr/bin/su noise 3000
        d 0755 - 1000000007 /usr/lib
        f 0644 - 1000000008 /usr/lib/libc.so noise 500000
        f 0644 - 1000000009 /usr/lib/libz.so noise 20000
        d 0755 - 1000000010 /usr/share
        f 0644 - 1000000011 /usr/share/words words 90000";
    const MAP: &str =
        "/usr/bin/app\tapp\tapp\t1.1\n/usr/share/words\tapp-data\tapp\t1.1\n/usr/bin/su\tsu\tshadow\t4.13\n\
        /usr/lib/libc.so\tlibc6\tglibc\t2.39\n/usr/lib/libz.so\tlibz1\tzlib\t1.3\n";
    let old = NEW
        .replace("/usr/bin/app noise 70000", "/usr/bin/app noise 50000")
        .replace("/usr/lib/libz.so noise 20000", "/usr/lib/libz.so noise 24000");
    let old = format!("{old}\nf 0644 - 1000000011 /usr/share/gone noise 7000");
    let old_map = MAP.replace("1.1", "1.0").replace("1.3", "1.2") + "/usr/share/gone\tapp-data\tapp\t1.0\n";
    for (name, tree, map) in [("old", old.as_str(), old_map.as_str()), ("new", NEW, MAP)] {
        let rootfs = scratch.join(&format!("rootfs-{name}"));
        Fixture::parse(tree).make(&rootfs, Order::AsListed);
        fs::write(scratch.join(&format!("map-{name}")), map).unwrap();
        let tool = Tool::build(&rootfs).args([&format!("oci:{name}"), "--package-map", &format!("map-{name}")]);
        let tool = tool.args(["--owner", "0:0", "--layers", "packages", "--entrypoint", "/usr/bin/app"]);
        let _ = tool.within(scratch.path()).bake();
    }
}

pub(super) fn tar(members: &[Member]) -> Vec<u8> {
    let bytes = members.iter().flat_map(|member| member.clone().bytes());
    bytes.chain(vec![0; 1024]).collect()
}

/// An image of three layers with everything that a report can find.
pub(super) fn findings(path: &Path) {
    let base = [
        directory("etc"),
        file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        directory("usr"),
        file("usr/replaced", &"1".repeat(1000)),
        file("usr/removed", &"2".repeat(300)),
        directory("usr/hidden"),
        file("usr/hidden/file", &"3".repeat(40)),
        file("usr/a-copy", &"4".repeat(500)),
        file("usr/b-copy", &"4".repeat(500)),
        hardlink("usr/c-no-copy", "usr/a-copy"),
    ];
    let middle =
        [file("usr/replaced", &"5".repeat(1100)), file("usr/.wh.removed", ""), file("usr/hidden/.wh..wh..opq", "")];
    let top = [
        file("usr/replaced", &"6".repeat(1200)),
        file("usr/su", "s").mode(0o4755),
        file("usr/wall", "w").mode(0o2755),
        pax(&[("SCHILY.xattr.security.capability", "\u{1}\0\0\u{2}\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0")]),
        file("usr/ping", "p"),
        file("usr/everyone", "e").mode(0o666),
        directory("tmp").mode(0o1777),
        directory("spool").mode(0o777),
        member(b'3', "null").mode(0o666),
        member(b'2', "broken").link("usr/nowhere"),
        member(b'2', "mounted").link("/proc/self/mounts"),
        member(b'2', "good").link("usr/replaced"),
        directory("var/cache/apt"),
        file("var/cache/apt/pkgcache.bin", &"7".repeat(250)),
        file("usr/libx.a", &"8".repeat(160)),
    ];
    make_layout(path, &[tar(&base), tar(&middle), tar(&top)]);
}

/// An index of images for two platforms and a missing third, and an older one that lacks one of them.
pub(super) fn platforms(scratch: &Scratch) {
    let layout = ByHand::at(&scratch.join("both"));
    let absent = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest":
        format!("sha256:{}", "0".repeat(64)), "platform": {"os": "linux", "architecture": "s390x"}});
    let index = layout.index(&[layout.platform("amd64", None), layout.platform("arm64", Some("v8")), absent]);
    layout.list(&[named(&index, "latest")]);
    let layout = ByHand::at(&scratch.join("one"));
    let platform = json!({"architecture": "arm64", "os": "linux", "variant": "v8"});
    let older = with(layout.image(&[tar(&[file("arch", "older")])], &platform), &json!({"platform": platform}));
    layout.list(&[named(&older, "latest")]);
}

/// An index of an image for each of these variants.
pub(super) fn variants(scratch: &Scratch, name: &str, variants: &[usize]) {
    let layout = ByHand::at(&scratch.join(name));
    let images = variants.iter().enumerate().map(|(at, variant)| {
        let platform = json!({"architecture": "riscv64", "os": "linux", "variant": format!("v{variant}")});
        let layer =
            tar(&[file("usr/lib/one", &name.repeat(100 + at)), file("usr/share/two", "two"), file("same", "3")]);
        with(layout.image(&[layer], &platform), &json!({"platform": platform}))
    });
    let index = layout.index(&images.collect::<Vec<_>>());
    layout.list(&[named(&index, "latest")]);
}

/// An image with files of sizes that stand between two figures.
pub(super) fn halves(path: &Path) {
    let sizes = [1005, 1115, 1125, 9995, 12_250, 12_349, 99_950, 100_500, 101_500, 499_500, 999_500];
    let files: Vec<Member> = sizes.iter().map(|size| file(&format!("of-{size}"), &"x".repeat(*size))).collect();
    make_layout(path, &[tar(&files)]);
}

/// What `report --json` prints.
pub(super) fn json(scratch: &Scratch, words: &[&str]) -> Value {
    Tool::new("report").args(words).arg("--json").within(scratch.path()).run().json()
}

/// The page of an image.
pub(super) fn html(scratch: &Scratch, words: &[&str]) -> String {
    Tool::new("report").args(words).args(["-o", "-"]).within(scratch.path()).run().stdout()
}
