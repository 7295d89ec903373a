use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{
    assert_same, is_missing, list_directory, missing, root, Fixture, Layout, Order, Peer, Scratch, Tool, What,
};

const LOWER: &str = "d 0755 0:0 1 /
    d 0755 0:0 1 /etc
    f 0644 0:0 1 /etc/kept text kept
    f 0644 0:0 1 /etc/changed text old
    f 0644 0:0 1 /etc/mode text mode
    d 0755 0:0 1 /gone
    f 0644 0:0 1 /gone/x
    f 0644 0:0 1 /gone-not text x
    d 0755 0:0 1 /opaque
    f 0644 0:0 1 /opaque/low text low
    d 0755 0:0 1 /to-link
    f 0644 0:0 1 /to-link/x
    d 0755 0:0 1 /untouched
    f 0644 0:0 1 /untouched/a text a
    h - - - /untouched/b /untouched/a
    l 0777 0:0 1 /zlink etc";

/// Changes as made in a container.
const WORK: &str = "set -e
    echo new > etc/changed; chmod 0600 etc/mode; chown 5:6 zlink -h
    rm -r gone
    rm -r opaque; mkdir opaque; echo high > opaque/high
    rm -r to-link; ln -s etc to-link
    mkdir -p new/deep; echo x > new/deep/file; ln new/deep/file new/link
    find . -newermt 2000-01-01 -exec touch -h -d @1000000000 {} +";

/// The image of the upper directory over the lower one is this tree.
#[track_caller]
fn assert_image_of(scratch: &Scratch, base: &str, upper: &Path, merged: &Path) -> Vec<String> {
    let (out, unpacked) = (scratch.join("out"), scratch.join("unpacked"));
    for path in [&out, &unpacked] {
        let _ = fs::remove_dir_all(path);
    }
    let _ = Tool::new("build").oci(&out).args(["--base", base, "--overlay-upper"]).arg(upper).bake();
    let _ = Tool::new("unpack").arg(format!("oci:{}", out.display())).arg(&unpacked).run().stdout();
    assert_same(&list_directory(merged), &list_directory(&unpacked), "the image");

    // The same layer as from a comparison with the merged tree.
    let whole = scratch.join("whole");
    let _ = Tool::new("build").arg(merged).oci(&whole).args(["--base", base]).bake();
    let image = Layout::at(&out).latest();
    assert_eq!(image.layers(), Layout::at(&whole).latest().layers());
    image.last_layer_names()
}

fn lower(scratch: &Scratch) -> (std::path::PathBuf, String) {
    let lower = scratch.join("lower");
    Fixture::parse(LOWER).make(&lower, Order::AsListed);
    let base = scratch.join("base");
    let _ = Tool::build(&lower).oci(&base).bake();
    (lower, format!("oci:{}", base.display()))
}

#[test]
fn what_the_kernel_wrote() {
    // The kernel needs a filesystem that is not itself an overlay.
    let scratch = Scratch::in_memory();
    if !root() {
        return;
    }
    let (lower, base) = lower(&scratch);
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| scratch.make_directory(name));
    let options = format!(
        "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off",
        lower.display(),
        upper.display(),
        work.display()
    );
    let mut mount = Command::new("mount");
    mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged);
    if !mount.status().is_ok_and(|status| status.success()) {
        return missing("the right to mount an overlay");
    }
    let worked = Command::new("sh").args(["-c", WORK]).current_dir(&merged).status();
    let copied = Command::new("cp").arg("-a").arg(&merged).arg(scratch.join("copy")).status();
    let unmounted = Command::new("umount").arg(&merged).status();
    assert!([worked, copied, unmounted].into_iter().all(|status| status.unwrap().success()));

    let names = assert_image_of(&scratch, &base, &upper, &scratch.join("copy"));
    assert!(names.contains(&".wh.gone".to_owned()) && names.contains(&"opaque/.wh.low".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("untouched")), "{names:?}");
}

#[test]
fn marks_in_both_namespaces() {
    let scratch = Scratch::new();
    let (true, Some(setfattr)) = (root(), Peer::find("setfattr")) else { return };
    let (_, base) = lower(&scratch);
    for namespace in ["trusted", "user"] {
        let upper = scratch.join("upper");
        let _ = fs::remove_dir_all(&upper);
        Fixture::parse(
            "d 0755 0:0 1 /
            d 0755 0:0 1 /etc
            f 0644 0:0 2 /etc/changed text new
            c 0600 0:0 1 /gone 0:0
            d 0755 0:0 1 /opaque
            f 0644 0:0 1 /opaque/high text high
            f 0644 0:0 1 /to-link",
        )
        .make(&upper, Order::AsListed);
        let mark = |name: &str, value: &str, path: &str| {
            let attribute = format!("{namespace}.overlay.{name}");
            setfattr.run(["-n", &attribute, "-v", value, &upper.join(path).display().to_string()]);
        };
        mark("opaque", "y", "opaque");
        mark("origin", "kept-by-the-kernel", "etc/changed");
        // As the kernel writes them if devices cannot be made.
        mark("whiteout", "y", "to-link");

        let merged = scratch.join("merged");
        let _ = fs::remove_dir_all(&merged);
        let of_merged: String = LOWER
            .lines()
            .filter(|line| {
                !["/gone", "/gone/x", "/opaque/low", "/to-link", "/to-link/x"]
                    .iter()
                    .any(|gone| line.split(' ').any(|word| word == *gone))
            })
            .map(|line| line.replace("1 /etc/changed text old", "2 /etc/changed text new") + "\n")
            .collect();
        let of_merged = of_merged.replace("/opaque\n", "/opaque\nf 0644 0:0 1 /opaque/high text high\n");
        Fixture::parse(&of_merged).make(&merged, Order::AsListed);
        let names = assert_image_of(&scratch, &base, &upper, &merged);
        let expected =
            ["./", ".wh.gone", ".wh.to-link", "etc/", "etc/changed", "opaque/", "opaque/.wh.low", "opaque/high"];
        assert_eq!(names, expected, "{namespace}");
    }
}

/// Times are clamped and owners set for entries of the upper directory; the base is not touched.
#[test]
fn policies_leave_the_base_alone() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let (_, base) = lower(&scratch);
    let (upper, out) = (scratch.join("upper"), scratch.join("out"));
    Fixture::parse("d 0755 0:0 1 /\nd 0755 0:0 1 /etc\nf 0644 7:7 1000 /etc/new text new")
        .make(&upper, Order::AsListed);
    let build = |args: &[&str]| {
        let _ = fs::remove_dir_all(&out);
        let build = Tool::new("build").oci(&out).args(["--base", &base, "--overlay-upper"]).arg(&upper);
        let _ = build.args(args).env("SOURCE_DATE_EPOCH", "0").bake();
        let unpacked = scratch.join("unpacked");
        let _ = fs::remove_dir_all(&unpacked);
        let _ = Tool::new("unpack").arg(format!("oci:{}", out.display())).arg(&unpacked).run().stdout();
        list_directory(&unpacked)
    };
    let found = build(&["--owner", "5:6"]);
    let of = |path: &str| (found[Path::new(path)].uid, found[Path::new(path)].gid, found[Path::new(path)].mtime);
    assert_eq!(of("etc/new"), (5, 6, 0));
    assert_eq!(of("etc/kept"), (0, 0, 1));
}

#[test]
fn half_of_a_tree_is_refused() {
    let scratch = Scratch::new();
    let upper = scratch.small_rootfs();
    let out = scratch.join("out");
    let error = Tool::new("build").oci(&out).args(["--arch", "amd64", "--overlay-upper"]).arg(&upper).run().error();
    assert!(error.contains("base"), "{error}");
    let (true, Some(setfattr)) = (root(), Peer::find("setfattr")) else { return };
    let (_, base) = lower(&scratch);
    setfattr.run(["-n", "trusted.overlay.redirect", "-v", "/other", &upper.display().to_string()]);
    let error = Tool::new("build").oci(&out).args(["--base", &base, "--overlay-upper"]).arg(&upper).run().error();
    assert!(error.contains("overlay.redirect") && error.contains("redirect_dir=off"), "{error}");
    assert!(is_missing(&out));
}

/// A device table names users and files of the base, whose content is not in a directory.
#[test]
fn a_device_table_reaches_into_the_base() {
    let scratch = Scratch::new();
    let lower = scratch.join("lower");
    Fixture::parse(
        "d 0755 0:0 1 /
        d 0755 0:0 1 /etc
        f 0644 0:0 1 /etc/passwd text root:x:0:0::/:/bin/sh\\nweb:x:33:33::/:/bin/sh
        f 0644 0:0 1 /etc/group text root:x:0:\\nwww:x:34:
        f 0644 0:0 1 /etc/secret text hidden
        h - - - /etc/secret-too /etc/secret",
    )
    .make(&lower, Order::AsListed);
    let base = scratch.join("base");
    let _ = Tool::build(&lower).oci(&base).args(["--owner", "0:0"]).bake();
    let upper = scratch.make_directory("upper");
    let table = scratch.join("table");
    fs::write(&table, "/etc/secret f 600 web www - - - - -\n/dev d 755 web root - - - - -\n").unwrap();

    let out = scratch.join("out");
    let base = format!("oci:{}", base.display());
    let tool = Tool::new("build").oci(&out).args(["--base", &base, "--owner", "0:0", "--overlay-upper"]).arg(&upper);
    let _ = tool.arg("--device-table").arg(&table).bake();

    if !root() {
        return;
    }
    let unpacked = scratch.join("unpacked");
    let _ = Tool::new("unpack").arg(format!("oci:{}", out.display())).arg(&unpacked).run().stdout();
    let listing = list_directory(&unpacked);
    let secret = &listing[Path::new("etc/secret")];
    assert_eq!((secret.mode, secret.uid, secret.gid), (0o600, 33, 34));
    assert_eq!(fs::read(unpacked.join("etc/secret")).unwrap(), b"hidden");
    assert_eq!(listing[Path::new("etc/secret-too")].what, What::Hardlink("etc/secret".into()));
}

/// fuse-overlayfs has names of its own, and where it cannot make devices, the marks of a layer. What an ordinary user
/// cannot set is in an attribute.
#[test]
fn what_fuse_overlayfs_wrote() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let (_, base) = lower(&scratch);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let is_kept = |line: &&str| {
        let gone = ["/gone", "/gone/x", "/opaque/low", "/to-link", "/to-link/x"];
        !gone.iter().any(|gone| line.split(' ').any(|word| word == *gone))
    };
    let below: String = LOWER.lines().filter(is_kept).map(|line| line.trim().to_owned() + "\n").collect();
    for (opaque, gone) in [
        (format!("d 0755 0:0 1 /opaque @user.fuseoverlayfs.opaque={}", hex("y")), "c 0600 0:0 1 /gone 0:0"),
        ("d 0755 0:0 1 /opaque\nf 0644 0:0 1 /opaque/.wh..wh..opq".to_owned(), "f 0644 0:0 1 /.wh.gone"),
    ] {
        for namespace in ["user.fuseoverlayfs", "user.containers"] {
            let stat = |value: &str| format!("@{namespace}.override_stat={}", hex(value));
            let upper = scratch.join("upper");
            let _ = fs::remove_dir_all(&upper);
            let tree = format!(
                "d 0755 0:0 1 /\nd 0755 0:0 1 /etc\nf 0600 0:0 2 /etc/changed text new {}\nf 0644 0:0 1 /null {}\n{opaque}\n\
                 f 0644 0:0 1 /opaque/high text high\nf 0644 0:0 1 /.wh.to-link\n{gone}",
                stat("7:8:4755"),
                stat("0:5:666:char-1-3"),
            );
            Fixture::parse(&tree).make(&upper, Order::AsListed);
            let merged = scratch.join("merged");
            let _ = fs::remove_dir_all(&merged);
            let of_merged = below.replace("f 0644 0:0 1 /etc/changed text old", "f 4755 7:8 2 /etc/changed text new");
            let of_merged = of_merged.replace("/opaque\n", "/opaque\nf 0644 0:0 1 /opaque/high text high\n");
            Fixture::parse(&(of_merged + "c 0666 0:5 1 /null 1:3")).make(&merged, Order::AsListed);
            let names = assert_image_of(&scratch, &base, &upper, &merged);
            let expected = [
                "./",
                ".wh.gone",
                ".wh.to-link",
                "etc/",
                "etc/changed",
                "null",
                "opaque/",
                "opaque/.wh.low",
                "opaque/high",
            ];
            assert_eq!(names, expected, "{namespace} {gone}");
        }
    }
    // What it cannot mean is an error.
    let upper = scratch.join("odd");
    Fixture::parse(&format!("d 0755 0:0 1 /\nf 0644 0:0 1 /f @user.fuseoverlayfs.override_stat={}", hex("root:0:755")))
        .make(&upper, Order::AsListed);
    let tool = Tool::new("build").oci(&scratch.join("none")).args(["--base", &base, "--overlay-upper"]).arg(&upper);
    let error = tool.run().error();
    assert!(error.contains("`/f` in the upper directory: override_stat has `UID:GID:MODE:TYPE`"), "{error}");
}
