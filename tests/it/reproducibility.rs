use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{bytes_of, root, sha256, Fixture, Layout, Listing, Order, Peer, Scratch, Tool};

/// Every file that a run made, by its digest.
type Made = BTreeMap<PathBuf, String>;

/// Bakes into a layout and two archives in a directory of this name, with the changes from `adjust`.
fn made(scratch: &Scratch, name: &str, tool: Tool) -> Made {
    let directory = scratch.make_directory(name);
    let tool = tool.oci(&directory.join("out")).arg(directory.join("image.tar")).arg(directory.join("image.tar.zst"));
    let _ = tool.args(["--owner", "0:0"]).bake();
    digests(&directory)
}

fn digests(directory: &Path) -> Made {
    let digest = |bytes: Option<Vec<u8>>| bytes.map_or("directory".to_owned(), |bytes| sha256(&bytes));
    bytes_of(directory).into_iter().map(|(path, bytes)| (path, digest(bytes))).collect()
}

#[track_caller]
fn assert_made_the_same(expected: &Made, found: &Made, what: &str) {
    let paths: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differences: Vec<_> = paths.into_iter().filter(|path| expected.get(*path) != found.get(*path)).collect();
    assert!(differences.is_empty(), "{what} makes other files: {differences:?}");
}

#[test]
fn threads_do_not_matter() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "blocks");
    for compression in ["gzip", "zstd", "none"] {
        let made = |threads: &str| {
            let tool = Tool::build(&rootfs).args(["--compression", compression, "--threads", threads]);
            made(&scratch, &format!("{compression}-{threads}"), tool)
        };
        let one = made("1");
        for threads in ["2", "3", "8"] {
            assert_made_the_same(&one, &made(threads), &format!("{compression} with {threads} threads"));
        }
    }
}

#[test]
fn the_environment_does_not_matter() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let expected = made(&scratch, "plain", Tool::build(&rootfs));
    let umask = |mask: &str| ["sh".to_owned(), "-c".to_owned(), format!("umask {mask}; exec \"$0\" \"$@\"")];
    let build = || Tool::build(&rootfs);
    let mut with_slash = rootfs.clone().into_os_string();
    with_slash.push("/");
    fs::create_dir(scratch.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(&rootfs, scratch.join("link")).unwrap();
    for (what, tool) in [
        ("a second run", build()),
        ("umask 077", build().behind(umask("077"))),
        ("umask 000", build().behind(umask("000"))),
        ("a time zone", build().env("TZ", "Asia/Tokyo")),
        ("another time zone", build().env("TZ", "America/St_Johns")),
        ("German", build().env("LC_ALL", "de_DE.UTF-8").env("LANG", "de_DE.UTF-8")),
        ("Turkish", build().env("LC_ALL", "tr_TR.UTF-8").env("LANG", "tr_TR")),
        ("the C locale", build().env("LC_ALL", "C").env("LANG", "C")),
        ("no locale", build().env("LC_ALL", "")),
        ("other variables", build().env("USER", "baker").env("HOSTNAME", "oven").env("TMPDIR", "/nowhere")),
        ("the root as current directory", build().within(Path::new("/"))),
        ("a relative rootfs", Tool::build("rootfs").within(scratch.path())),
        ("a winding rootfs", Tool::build("../elsewhere/.././rootfs/.").within(&scratch.join("elsewhere"))),
        ("the rootfs as current directory", Tool::build(".").within(&rootfs)),
        ("a rootfs with a slash at its end", Tool::build(&with_slash)),
        ("a link to the rootfs with a slash", Tool::build(scratch.join("link/"))),
        ("no terminal, percentages", build().args(["--progress", "percent", "-q"])),
    ] {
        // Progress lines do not matter in this test.
        let directory = scratch.make_directory("again");
        let targets = [directory.join("image.tar"), directory.join("image.tar.zst")];
        let outcome = tool.oci(&directory.join("out")).args(targets).args(["--owner", "0:0"]).run();
        let _ = outcome.digest_despite_warnings();
        assert_made_the_same(&expected, &digests(&directory), what);
        fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn the_order_of_creation_does_not_matter() {
    let scratch = Scratch::new();
    for (name, needs_root) in [("small", false), ("everything", true)] {
        if needs_root && !root() {
            return;
        }
        let (forth, back) = (scratch.join(&format!("{name}-forth")), scratch.join(&format!("{name}-back")));
        Fixture::named(name).make(&forth, Order::AsListed);
        Fixture::named(name).make(&back, Order::Reversed);
        let digest = |rootfs: &Path| {
            let out = rootfs.with_extension("out");
            let tool = Tool::build(rootfs).oci(&out).args(["--compression", "zstd:1"]);
            tool.run().digest_despite_warnings()
        };
        assert_eq!(digest(&forth), digest(&back), "{name}");
    }
}

#[test]
fn the_filesystem_does_not_matter() {
    let (on_disk, in_memory) = (Scratch::new(), Scratch::in_memory());
    // The tree on one filesystem, the image on the other, both ways.
    let expected = made(&on_disk, "made", Tool::build(on_disk.small_rootfs()));
    assert_made_the_same(&expected, &made(&on_disk, "again", Tool::build(in_memory.small_rootfs())), "a tmpfs");
    assert_made_the_same(&expected, &made(&in_memory, "made", Tool::build(on_disk.join("rootfs"))), "to a tmpfs");
}

#[test]
fn targets_together_are_targets_alone() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let (together, alone) = (scratch.make_directory("together"), scratch.make_directory("alone"));
    let build = || Tool::build(&rootfs).args(["--owner", "0:0"]);
    let names = ["a.tar", "a.tar.gz", "a.tar.xz", "a.tar.zst", "a"];
    // Beside other targets, a new layout has its transport.
    let [archives @ .., layout] = names.map(|name| together.join(name));
    let _ = build().args(archives).arg(format!("oci:{}", layout.display())).bake();
    for name in names {
        let _ = build().arg(alone.join(name)).bake();
    }
    assert_made_the_same(&digests(&together), &digests(&alone), "one target a run");

    // An archive holds the same files as a layout.
    let unpacked = scratch.make_directory("unpacked");
    let Some(tar) = Peer::find("tar") else { return };
    for (name, option) in [("a.tar", "-x"), ("a.tar.gz", "-xz"), ("a.tar.xz", "-xJ"), ("a.tar.zst", "-x")] {
        let mut command = tar.command();
        if name == "a.tar.zst" {
            command.arg("--zstd");
        }
        command.arg(option).arg("-f").arg(together.join(name)).arg("-C").arg(&unpacked);
        tar.finish(command);
        assert_made_the_same(&digests(&together.join("a")), &digests(&unpacked), name);
        fs::remove_dir_all(&unpacked).unwrap();
        fs::create_dir(&unpacked).unwrap();
    }
}

/// Three files of three ages.
const AGES: &str = "d 0755 - 100 /
    f 0644 - 100 /a
    f 0644 - 200 /b
    l 0777 - 300 /c a
    f 0644 - -100 /d";

#[test]
fn source_date_epoch_clamps_what_is_newer_and_created_does_not() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    let rootfs = scratch.join("rootfs");
    Fixture::parse(AGES).make(&rootfs, Order::AsListed);
    let bake = |name: &str, tool: Tool| {
        let out = scratch.join(name);
        let _ = tool.oci(&out).bake();
        let image = Layout::at(&out).latest();
        let times: Listing = image.listing(&python);
        let times: Vec<i64> = times.values().map(|node| node.mtime).collect();
        let created = image.config["created"].as_str().unwrap().to_owned();
        assert_eq!(image.config["history"][0]["created"], image.config["created"]);
        (times, created)
    };
    let build = || Tool::build(&rootfs);
    let epoch = |epoch: &str| build().env("SOURCE_DATE_EPOCH", epoch);
    let vars = scratch.join("vars");
    fs::write(&vars, "SOURCE_DATE_EPOCH=150\n").unwrap();
    let unclamped = vec![100, 100, 200, 300, -100];
    for (name, tool, times, created) in [
        ("newest", build(), unclamped.clone(), "1970-01-01T00:05:00Z"),
        ("epoch", epoch("150"), vec![100, 100, 150, 150, -100], "1970-01-01T00:02:30Z"),
        ("epoch-in-file", build().arg("--vars").arg(&vars), vec![100, 100, 150, 150, -100], "1970-01-01T00:02:30Z"),
        ("epoch-0", epoch("0"), vec![0, 0, 0, 0, -100], "1970-01-01T00:00:00Z"),
        ("epoch-later", epoch("4000"), unclamped.clone(), "1970-01-01T01:06:40Z"),
        ("epoch-empty", epoch(""), unclamped.clone(), "1970-01-01T00:05:00Z"),
        ("created", build().args(["--created", "50"]), unclamped.clone(), "1970-01-01T00:00:50Z"),
        (
            "both",
            epoch("150").args(["--created", "1970-01-01T00:00:07Z"]),
            vec![100, 100, 150, 150, -100],
            "1970-01-01T00:00:07Z",
        ),
        ("before-1970", build().args(["--created", "-1"]), unclamped, "1969-12-31T23:59:59Z"),
    ] {
        assert_eq!(bake(name, tool), (times, created.to_owned()), "{name}");
    }
}
