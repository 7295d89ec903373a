use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{assert_same, root, Fixture, Image, Layout, Listing, Node, Order, Peer, Scratch, Tool, What};

/// The image of a tree, built with `args`.
#[track_caller]
fn bake(scratch: &Scratch, tree: &str, args: &[&str]) -> Image {
    let (rootfs, out) = (scratch.join("rootfs"), scratch.join("out"));
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    let _ = Tool::build(&rootfs).oci(&out).args(args).bake();
    let image = Layout::at(&out).latest();
    fs::remove_dir_all(&rootfs).unwrap();
    image
}

fn paths(listing: &Listing) -> Vec<String> {
    listing.keys().map(|path| format!("/{}", path.display())).collect()
}

#[test]
fn exclude_leaves_out_what_matches_and_keeps_a_directory_for_its_star() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    let tree = "d 0755 - 1 /
        d 0755 - 1 /boot
        f 0644 - 1 /boot/vmlinuz text x
        d 0755 - 1 /usr
        d 0755 - 1 /usr/lib
        f 0644 - 1 /usr/lib/a.py text x
        f 0644 - 1 /usr/lib/a.pyc text x
        d 0755 - 1 /usr/lib/deep
        f 0644 - 1 /usr/lib/deep/b.pyc text x
        d 0755 - 1 /var
        d 0755 - 1 /var/cache
        f 0644 - 1 /var/cache/.hidden text x
        d 0755 - 1 /var/cache/opkg
        f 0644 - 1 /var/cache/opkg/lists text x
        f 0644 - 1 /var/original text hard
        h - - - /var/second /var/original
        h - - - /var/third /var/original";
    let args =
        ["--exclude", "/var/cache/*", "--exclude", "boot", "--exclude", "**/*.pyc", "--exclude", "/var/original"];
    let listing = bake(&scratch, tree, &args).listing(&python);
    assert_eq!(
        paths(&listing),
        ["/", "/usr", "/usr/lib", "/usr/lib/a.py", "/usr/lib/deep", "/var", "/var/cache", "/var/second", "/var/third"]
    );
    // The first remaining name has the content.
    assert!(matches!(&listing[Path::new("var/second")].what, What::File(file) if file.size == 4));
    assert_eq!(listing[Path::new("var/third")].what, What::Hardlink(PathBuf::from("var/second")));

    // The variable holds the same globs in one value.
    let rootfs = scratch.join("rootfs");
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    let globs = "'/var/cache/*' boot **/*.pyc /var/original";
    let digest = Tool::build(&rootfs).oci(&scratch.join("again")).env("OCI_IMAGE_EXCLUDE", globs).bake();
    assert_eq!(Layout::at(&scratch.join("out")).latest().digest(), digest);
}

/// Entries of several owners, which only root can make.
const OWNERS: &str = "d 0755 100000:100000 1 /
    f 4755 100000:100000 1 /a text x
    f 0644 101000:100005 1 /b text x
    l 0777 165535:165535 1 /c b";

fn owners(listing: &Listing) -> Vec<(u32, u32)> {
    listing.values().map(|node| (node.uid, node.gid)).collect()
}

#[test]
fn owners_are_kept_fixed_or_mapped() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    if !root() {
        return;
    }
    for (args, expected) in [
        (&[][..], [(100_000, 100_000), (100_000, 100_000), (101_000, 100_005), (165_535, 165_535)]),
        (&["--owner", "7:8"], [(7, 8); 4]),
        (&["--uid-map", "0:100000:65536", "--gid-map", "0:100000:65536"], [(0, 0), (0, 0), (1000, 5), (65535, 65535)]),
        (
            &["--uid-map", "0:100000:1000", "--uid-map", "5000:101000:64536", "--gid-map", "0:100000:65536"],
            [(0, 0), (0, 0), (5000, 5), (69535, 65535)],
        ),
    ] {
        let image = bake(&scratch, OWNERS, args);
        assert_eq!(owners(&image.listing(&python)), expected, "{args:?}");
        // setuid does not depend on owners.
        assert_eq!(image.listing(&python)[Path::new("a")].mode, 0o4755);
    }

    // An owner outside the map does not exist in the container.
    let rootfs = scratch.join("rootfs");
    Fixture::parse(OWNERS).make(&rootfs, Order::AsListed);
    let tool = Tool::build(&rootfs).oci(&scratch.join("new")).args(["--uid-map", "0:100000:1000"]);
    let error = tool.args(["--gid-map", "0:100000:65536"]).run().error();
    assert!(error.contains("/b") && error.contains("101000"), "{error}");
}

#[test]
fn a_device_table_gives_what_only_root_could() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    let table = scratch.join("table");
    // The columns of OE-core's files/device_table-minimal.txt, with owners from the image's own accounts.
    fs::write(
        &table,
        "#<path>     <type> <mode> <uid>  <gid>  <major> <minor> <start> <inc> <count>\n\
         /dev        d 755 0 0 - - - - -\n\
         /dev/console c 600 0 tty 5 1 - - -\n\
         /dev/hda    b 640 root disk 3 0 0 0 -\n\
         /dev/hda    b 640 root disk 3 1 1 1 3\n\
         /dev/initctl p 600 0 0 - - - - -\n\
         /dev/tty    c 666 0 0 4 0 0 1 2\n\
         /bin/su     f 4755 0 0 - - - - -\n\
         /home       d 2755 baker 4243 - - - - -\n",
    )
    .unwrap();
    let tree = "d 0755 - 9 /
        d 0755 - 9 /bin
        f 0755 - 9 /bin/su text x
        d 0755 - 9 /etc
        f 0644 - 9 /etc/group text \"root:x:0:\\ntty:x:5:\\ndisk:x:6:\\n\"
        f 0644 - 9 /etc/passwd text \"root:x:0:0::/:/bin/sh\\nbaker:x:4242:4243::/:/bin/sh\\n\"
        d 0755 - 9 /home
        f 0644 - 9 /home/bread text x";
    let args = ["--owner", "0:0", "--device-table", table.to_str().unwrap()];
    let found = bake(&scratch, tree, &args).listing(&python);
    let row = |path: &str| {
        let Node { what, mode, uid, gid, .. } =
            found.get(Path::new(path)).unwrap_or_else(|| panic!("no {path} in {:?}", paths(&found)));
        (what.clone(), *mode, *uid, *gid)
    };
    for (path, expected) in [
        ("dev", (What::Directory, 0o755, 0, 0)),
        ("dev/console", (What::CharDevice(5, 1), 0o600, 0, 5)),
        ("dev/hda", (What::BlockDevice(3, 0), 0o640, 0, 6)),
        ("dev/hda1", (What::BlockDevice(3, 1), 0o640, 0, 6)),
        ("dev/hda3", (What::BlockDevice(3, 3), 0o640, 0, 6)),
        ("dev/initctl", (What::Fifo, 0o600, 0, 0)),
        ("dev/tty0", (What::CharDevice(4, 0), 0o666, 0, 0)),
        ("dev/tty1", (What::CharDevice(4, 1), 0o666, 0, 0)),
        ("home", (What::Directory, 0o2755, 4242, 4243)),
    ] {
        assert_eq!(row(path), expected, "{path}");
    }
    assert_eq!((row("bin/su").1, row("bin/su").2, row("home/bread").2), (0o4755, 0, 0));
    assert_eq!(found.len(), 9 + 8, "{:?}", paths(&found));
}

#[test]
fn a_device_table_that_contradicts_something_names_what_made_it() {
    let scratch = Scratch::new();
    let rootfs = scratch.join("rootfs");
    fs::create_dir(&rootfs).unwrap();
    fs::write(rootfs.join("file"), "x").unwrap();
    let table = scratch.join("table");
    let null = "/dev/null c 666 0 0 1 3 - - -";
    for (first, second, expected) in [
        (null, "/dev/null d 755 0 0 - - - - -", "dev/null` is made by TABLE:1 and is something else"),
        (null, "/dev/null/a d 755 0 0 - - - - -", "dev/null` is made by TABLE:1 and is not a directory"),
        (null, "/dev/null f 644 0 0 - - - - -", "dev/null` is made by TABLE:1 and is not a regular file"),
        (null, "/dev p 600 0 0 - - - - -", "dev` is made by TABLE:1 and is something else"),
        ("#", "/file d 755 0 0 - - - - -", "file` is in the rootfs and is something else"),
        ("#", "/file/a d 755 0 0 - - - - -", "file` is in the rootfs and is not a directory"),
    ] {
        fs::write(&table, format!("{first}\n{second}\n")).unwrap();
        let error = Tool::build(&rootfs).oci(&scratch.join("out")).arg("--device-table").arg(&table).run().error();
        let table = table.to_str().unwrap();
        assert!(error.contains(&format!("{table}:2: `")), "{error}");
        assert!(error.contains(&expected.replace("TABLE", table)), "{second}: {error}");
    }
}

#[test]
fn attributes_are_kept_chosen_or_left_out() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    if !root() {
        return;
    }
    let tree = "d 0755 0:0 1 / @user.r=72
        f 0644 0:0 1 /f text x @security.capability=0100000200200000000000000000000000000000 @trusted.overlay.opaque=79 @trusted.t=74 @user.a=61 @user.b=62
        l 0777 0:0 1 /l f @trusted.overlay.x=78 @trusted.t=74";
    for (args, root, file, link) in [
        (&[][..], &["user.r"][..], &["security.capability", "trusted.t", "user.a", "user.b"][..], &["trusted.t"][..]),
        (&["--no-xattrs"], &[], &[], &[]),
        (&["--xattrs", "security.capability"], &[], &["security.capability"], &[]),
        (
            &["--xattrs", "user.*", "--xattrs", "trusted.t"],
            &["user.r"],
            &["trusted.t", "user.a", "user.b"],
            &["trusted.t"],
        ),
        (
            &["--xattrs", "*"],
            &["user.r"],
            &["security.capability", "trusted.overlay.opaque", "trusted.t", "user.a", "user.b"],
            &["trusted.overlay.x", "trusted.t"],
        ),
    ] {
        let listing = bake(&scratch, tree, args).listing(&python);
        let names = |path: &str| -> Vec<String> {
            listing[Path::new(path)].xattrs.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
        };
        assert_eq!((names(""), names("f"), names("l")), (strings(root), strings(file), strings(link)), "{args:?}");
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn access_control_lists_reach_the_disk_again() {
    let scratch = Scratch::new();
    let (Some(setfacl), Some(getfacl), Some(tar)) = (Peer::find("setfacl"), Peer::find("getfacl"), Peer::find("tar"))
    else {
        return;
    };
    if !root() {
        return;
    }
    let rootfs = scratch.small_rootfs();
    for (option, path) in [("-m", "etc/shadow"), ("-dm", "etc")] {
        setfacl.run([option.as_ref(), "u:4242:rw,g:7:r".as_ref(), rootfs.join(path).as_os_str()]);
    }
    let out = scratch.join("out");
    let _ = Tool::build(&rootfs).oci(&out).args(["--compression", "none"]).bake();
    let extracted = scratch.make_directory("extracted");
    let mut command = tar.command();
    command.args(["-xp", "--xattrs", "--xattrs-include=*", "-C"]).arg(&extracted);
    command.arg("-f").arg(Layout::at(&out).latest().layer_path());
    tar.finish(command);
    let show = |directory: &Path| {
        let mut command = getfacl.command();
        command.args(["-R", "-n", "."]).current_dir(directory);
        getfacl.finish(command)
    };
    assert!(show(&rootfs).contains("user:4242:rw-"));
    assert_eq!(show(&rootfs), show(&extracted));
    assert_same(&crate::harness::list_directory(&rootfs), &crate::harness::list_directory(&extracted), "GNU tar");
}

/// ACLs and file capabilities hold ids too, and like owners those of the host are not those of the image.
#[test]
fn ids_inside_attributes_are_translated() {
    let scratch = Scratch::new();
    let (Some(setfacl), Some(getfacl), Some(getfattr)) =
        (Peer::find("setfacl"), Peer::find("getfacl"), Peer::find("getfattr"))
    else {
        return;
    };
    if !root() {
        return;
    }
    let capability = |revision: &str, root: &str| format!("01000{revision}00200000000000000000000000000000{root}");
    let tree = format!(
        "d 0755 100000:100000 1 /\nd 2755 100000:100005 1 /d\nf 0644 100007:100000 1 /f text x
        f 0755 100000:100000 1 /root text x @security.capability={}
        f 0755 100000:100000 1 /other text x @security.capability={}
        h - - - /g /f",
        // 100000 and 100009, little-endian.
        capability("003", "a0860100"),
        capability("003", "a9860100"),
    );
    let rootfs = scratch.join("rootfs");
    Fixture::parse(&tree).make(&rootfs, Order::AsListed);
    setfacl.run(["-m".as_ref(), "u:101000:rwx,u:100500:r,g:100050:r".as_ref(), rootfs.join("f").as_os_str()]);
    setfacl.run(["-dm".as_ref(), "u:100001:rx".as_ref(), rootfs.join("d").as_os_str()]);
    let maps = ["--uid-map", "0:100000:65536", "--gid-map", "10:100000:65536"];
    let _ = Tool::build(&rootfs).oci(&scratch.join("image")).args(maps).bake();
    let _ = Tool::new("unpack").args(["oci:image", "out"]).within(scratch.path()).run().stdout();

    let acl = |path: &str| {
        let shown = getfacl.run(["-n".as_ref(), "-c".as_ref(), "-p".as_ref(), scratch.join(path).as_os_str()]);
        shown.lines().filter(|line| line.contains(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(acl("out/f"), "user:500:r-- user:1000:rwx group:60:r--");
    assert_eq!(acl("out/d"), "default:user:1:r-x");
    let capability_of = |path: &str| {
        let args = ["--only-values", "--absolute-names", "-e", "hex", "-n", "security.capability"];
        let mut command = getfattr.command();
        command.args(args).arg(scratch.join(path));
        let shown = command.output().unwrap().stdout;
        shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(capability_of("out/root"), capability("002", ""));
    assert_eq!(capability_of("out/other"), capability("003", "09000000"));

    for (maps, expected) in [
        (&["--uid-map", "0:100000:500"][..], "`/f`: uid 100500 in system.posix_acl_access is outside of the map"),
        (&["--gid-map", "0:100000:6"], "`/f`: gid 100050 in system.posix_acl_access is outside of the map"),
        (
            &["--uid-map", "0:100000:9", "--exclude", "**/[fg]"],
            "`/other`: uid 100009 in security.capability is outside",
        ),
    ] {
        let error = Tool::build(&rootfs).oci(&scratch.join("refused")).args(maps).run().error();
        assert!(error.contains(expected) && error.contains("\nhint: extend --"), "{error}");
    }

    // With one owner for everything they stay, and a warning says so.
    let outcome = Tool::build(&rootfs).oci(&scratch.join("owned")).args(["--owner", "0:0"]).run();
    let said = "one owner for all leaves ids inside attributes as they are: 5: `/d` (system.posix_acl_default), `/f` \
                (system.posix_acl_access), `/g` (system.posix_acl_access) …";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    let _ = Tool::new("unpack").args(["oci:owned", "owned-out"]).within(scratch.path()).run().stdout();
    assert_eq!(acl("owned-out/f"), acl("rootfs/f"));
}
