use std::path::Path;

use crate::harness::{assert_same, list_directory, root, Fixture, Image, Layout, Order, Peer, Scratch, Tool};

/// The image of `everything.tree`, or `None` if this user cannot make one.
#[track_caller]
fn everything(scratch: &Scratch) -> Option<Image> {
    if !root() {
        return None;
    }
    let rootfs = scratch.rootfs("rootfs", "everything");
    let outcome = Tool::build(rootfs).oci(&scratch.join("out")).args(["--compression", "none"]).run();
    assert_eq!(outcome.stderr(), "ocibake: warning: `/run/socket` is a socket, which a layer cannot hold: left out\n");
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

#[test]
fn gnu_tar_puts_the_same_tree_on_disk() {
    let scratch = Scratch::new();
    let (Some(tar), Some(image)) = (Peer::find("tar"), everything(&scratch)) else { return };
    let extracted = scratch.make_directory("extracted");
    let mut command = tar.command();
    command.arg("-xpf").arg(image.layer_path()).arg("-C").arg(&extracted);
    command.args(["--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp"]);
    tar.finish(command);
    assert_same(&list_directory(&scratch.join("rootfs")), &list_directory(&extracted), "GNU tar -x");
}

#[test]
fn gnu_tar_lists_names_owners_and_times() {
    let scratch = Scratch::new();
    let (Some(tar), Some(image)) = (Peer::find("tar"), everything(&scratch)) else { return };
    let mut command = tar.command();
    command.args(["-tv", "--numeric-owner", "--full-time", "--quoting-style=escape", "--utc", "-f"]);
    command.arg(image.layer_path());
    let listed = tar.finish(command);
    for line in [
        "drwxr-x--x 3/4               0 2011-03-13 07:06:40 ./",
        "-rwsr-xr-x 0/0            5000 2018-03-09 12:34:56 bin/su",
        "-rwxr-sr-x 0/5               4 2018-03-09 12:34:56 bin/wall",
        "hrwxr-xr-x 0/0               0 2018-03-09 12:34:56 bin/zcat link to bin/busybox",
        "crw------- 0/5             5,1 2018-03-09 12:34:56 dev/console",
        "brw-rw---- 0/6             8,0 2018-03-09 12:34:56 dev/sda",
        "prw--w---- 0/7               0 2018-03-09 12:34:56 dev/pipe",
        "drwxrwxrwt 0/0               0 2018-03-09 12:34:56 dirs/sticky/",
        "-rw-r--r-- 4294967294/4294967294 0 2018-03-09 12:34:56 ids/largest",
        "-rw-r--r-- 0/0                   7 2018-03-09 12:34:56 names/new\\nline",
        "-rw-r--r-- 0/0                   0 1969-12-31 23:59:59 times/before",
        "-rw-r--r-- 0/0                   0 2242-03-16 12:56:32 times/larger",
    ] {
        let words = |line: &str| line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        assert!(listed.lines().any(|listed| words(listed) == words(line)), "no `{line}` in\n{listed}");
    }
    assert!(!listed.contains("socket"));
}

#[test]
fn bsdtar_puts_the_same_tree_on_disk() {
    let scratch = Scratch::new();
    let (Some(bsdtar), Some(image)) = (Peer::find("bsdtar"), everything(&scratch)) else { return };
    let extracted = scratch.make_directory("extracted");
    let mut command = bsdtar.command();
    command.args(["-xp", "--xattrs", "--numeric-owner", "-C"]).arg(&extracted);
    command.arg("-f").arg(image.layer_path());
    bsdtar.finish(command);
    let (expected, mut found) = (list_directory(&scratch.join("rootfs")), list_directory(&extracted));
    // It does not change the time of the directory that it extracts into.
    found.get_mut(Path::new("")).unwrap().mtime = expected[Path::new("")].mtime;
    assert_same(&expected, &found, "bsdtar -x");
}

#[test]
fn umoci_unpacks_the_same_tree() {
    let scratch = Scratch::new();
    let (Some(umoci), Some(_)) = (Peer::find("umoci"), everything(&scratch)) else { return };
    let image = format!("{}:latest", scratch.join("out").display());
    umoci.run(["unpack".as_ref(), "--image".as_ref(), image.as_ref(), scratch.join("bundle").as_os_str()]);
    let (mut expected, found) =
        (list_directory(&scratch.join("rootfs")), list_directory(&scratch.join("bundle/rootfs")));
    // Go counts nanoseconds in 64 bits, which end in 2262, so it is no use for later times.
    let late = Path::new("times/largest-of-ext4");
    expected.get_mut(late).unwrap().mtime = found[late].mtime;
    assert_same(&expected, &found, "umoci");
}

#[test]
fn files_over_8_gib_keep_their_size() {
    let scratch = Scratch::new();
    let (Some(tar), Some(_)) = (Peer::find("tar"), Peer::find("zstd")) else { return };
    let rootfs = scratch.join("rootfs");
    // A hole costs neither disk nor much time.
    let tree = "d 0755 - 1 /\nf 0644 - 1 /behind text content";
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    let size = (8 << 30) + 1;
    std::fs::File::create(rootfs.join("a")).unwrap().set_len(size).unwrap();
    // Quiet: it warns of a layer that readers with limits refuse.
    let _ = Tool::build(&rootfs).oci(&scratch.join("out")).args(["--compression", "zstd:1", "-q"]).bake();
    let mut command = tar.command();
    command.args(["--zstd", "-tvf"]).arg(Layout::at(&scratch.join("out")).latest().layer_path());
    let listed = tar.finish(command);
    let sizes: Vec<&str> = listed.lines().map(|line| line.split_whitespace().nth(2).unwrap()).collect();
    assert_eq!(sizes, ["0", &size.to_string(), "7"], "{listed}");
}
