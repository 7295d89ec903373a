use std::fs;
use std::path::Path;

use crate::harness::{
    assert_same, is_missing, list_directory, make_layout, root, tar_of, unprivileged_words, Fixture, Layout, Member,
    Order, Peer, Scratch, Tool, NOBODY,
};
use crate::verify::members;

const TREE: &str = "d 0755 0:0 1000000000 /
    d 0750 1000:1001 1000000000 /dir
    f 4755 0:0 1000000001 /dir/setuid text content
    h - - - /dir/setuid-too /dir/setuid
    f 0644 3000000:70000 1000000002 /large-ids text x
    l 0777 5:5 1000000003 /link dir/setuid
    c 0600 0:5 1000000004 /null 1:3
    b 0660 0:6 1000000005 /sda 8:0
    p 0600 0:0 1000000006 /fifo
    f 0644 0:0 1000000007 /sparse hole 2000000
    d 0700 0:0 1000000008 /{n*60}
    f 0644 0:0 1000000009 /{n*60}/{m*60} text long";

/// Archives of the tree, by GNU tar, bsdtar and Python's tarfile.
fn archives(scratch: &Scratch, rootfs: &Path) -> Vec<(&'static str, std::path::PathBuf)> {
    let mut archives = Vec::new();
    for (name, program, options) in [
        ("posix", "tar", &["--format=posix", "--numeric-owner"][..]),
        ("gnu", "tar", &["--format=gnu"]),
        ("sparse", "tar", &["--format=posix", "--sparse"]),
        ("gnu-sparse", "tar", &["--format=gnu", "--sparse"]),
        ("bsdtar", "bsdtar", &["--format=pax"]),
    ] {
        let Some(program) = Peer::find(program) else { continue };
        let path = scratch.join(&format!("{name}.tar"));
        let mut command = program.command();
        command.args(options).arg("-cf").arg(&path).arg("-C").arg(rootfs).arg(".");
        program.finish(command);
        archives.push((name, path));
    }
    if let Some(python) = Peer::python() {
        let path = scratch.join("python.tar");
        let script = "import sys,tarfile\nt=tarfile.open(sys.argv[1],'w')\nt.add(sys.argv[2],arcname='.')\nt.close()";
        python.run(["-c", script, &path.display().to_string(), &rootfs.display().to_string()]);
        archives.push(("python", path));
    }
    archives
}

#[test]
fn an_archive_is_as_good_as_the_directory() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let rootfs = scratch.join("rootfs");
    Fixture::parse(TREE).make(&rootfs, Order::AsListed);
    let out = scratch.join("out");
    let expected = Tool::build(&rootfs).oci(&out).bake();
    let shell = |script: &str, archive: &Path| {
        let words = ["sh", "-c", script, "sh"].map(std::ffi::OsString::from);
        Tool::build("-").oci(&out).behind(words.into_iter().chain([archive.as_os_str().to_owned()])).bake()
    };
    let all = archives(&scratch, &rootfs);
    for (name, archive) in &all {
        assert_eq!(Tool::build(archive).oci(&out).bake(), expected, "{name}");
        assert_eq!(shell("f=$1; shift; cat \"$f\" | \"$@\"", archive), expected, "{name} through a pipe");
        assert_eq!(shell("f=$1; shift; exec \"$@\" < \"$f\"", archive), expected, "{name} on standard input");
    }
    // An ordinary user builds the same image from what root packed.
    let theirs = scratch.make_directory("theirs");
    std::os::unix::fs::chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    let digest = Tool::build(&all[0].1).oci(&theirs.join("out")).behind(unprivileged_words()).bake();
    assert_eq!(digest, expected);

    for program in ["gzip", "xz", "zstd", "bzip2"] {
        let Some(peer) = Peer::find(program) else { continue };
        for (name, archive) in [&all[0], &all[2]] {
            let compressed = scratch.join("compressed");
            let mut command = peer.command();
            command.arg("-c").arg(archive);
            fs::write(&compressed, command.output().unwrap().stdout).unwrap();
            assert_eq!(Tool::build(&compressed).oci(&out).bake(), expected, "{name}, {program}");
            assert_eq!(shell("f=$1; shift; cat \"$f\" | \"$@\"", &compressed), expected, "{name}, {program}");
            let whole = fs::read(&compressed).unwrap();
            fs::write(&compressed, &whole[..whole.len() / 2]).unwrap();
            let nothing = scratch.join("nothing");
            let _ = Tool::build(&compressed).oci(&nothing).run().error();
            assert!(is_missing(&nothing), "{program}");
        }
    }
}

#[test]
fn a_truncated_archive_is_refused() {
    let scratch = Scratch::new();
    let (archive, out) = (scratch.join("a.tar"), scratch.join("out"));
    let bytes = tar_of(&[Member::File("a", "1"), Member::File("b", &"x".repeat(3000)), Member::File("c", "1")]);
    // In a header, in content, and between members without end blocks.
    for length in [100, 512 * 2 + 100, 512 * 3 + 10, 512 * 4] {
        fs::write(&archive, &bytes[..length]).unwrap();
        let _ = Tool::build(&archive).oci(&out).run().error();
        assert!(is_missing(&out), "cut at {length}");
    }
    fs::write(&archive, b"").unwrap();
    let _ = Tool::build(&archive).oci(&out).run().error();
    fs::write(&archive, "no archive at all\n".repeat(100)).unwrap();
    let _ = Tool::build(&archive).oci(&out).run().error();
    assert!(is_missing(&out));
}

#[test]
fn of_two_entries_of_one_name_the_last_counts() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    let (archive, out) = (scratch.join("a.tar"), scratch.join("out"));
    let members = [
        Member::Directory("./"),
        Member::File("x", "first"),
        Member::Directory("d/"),
        Member::File("d/gone", "1"),
        Member::Hardlink("link", "x"),
        Member::File("./x", "second"),
        Member::File("d", "now a file"),
    ];
    fs::write(&archive, tar_of(&members)).unwrap();
    let _ = Tool::build(&archive).oci(&out).bake();
    let expected = Fixture::parse(
        "d 0755 0:0 1 /\nf 0644 0:0 1 /d text \"now a file\"\nf 0644 0:0 1 /link text first\nf 0644 0:0 1 /x text second",
    );
    assert_same(&expected.listing(), &Layout::at(&out).latest().listing(&python), "python");
}

#[test]
fn what_a_layer_cannot_hold_is_refused_or_left_out() {
    let scratch = Scratch::new();
    let Some(python) = Peer::python() else { return };
    let (archive, out) = (scratch.join("a.tar"), scratch.join("out"));
    let members =
        [Member::Directory("./"), Member::File("x", "1"), Member::Directory("d/"), Member::File("d/.wh.x", "")];
    fs::write(&archive, tar_of(&members)).unwrap();
    let error = Tool::build(&archive).oci(&out).run().error();
    assert!(error.contains("/d/.wh.x") && error.contains("--exclude"), "{error}");
    assert!(is_missing(&out));
    let _ = Tool::build(&archive).oci(&out).args(["--exclude", "d/*"]).bake();
    let expected = Fixture::parse("d 0755 0:0 1 /\nd 0755 0:0 1 /d\nf 0644 0:0 1 /x text 1");
    assert_same(&expected.listing(), &Layout::at(&out).latest().listing(&python), "python");
}

/// With a base, an archive is compared like a directory.
#[test]
fn an_archive_on_a_base() {
    let scratch = Scratch::new();
    let (base, out) = (scratch.join("base"), scratch.join("out"));
    let pack = |members: &[Member<'_>]| {
        let path = scratch.join("a.tar");
        fs::write(&path, tar_of(members)).unwrap();
        path
    };
    let old = [Member::Directory("./"), Member::Directory("d/"), Member::File("d/x", "1"), Member::File("y", "1")];
    let _ = Tool::build(pack(&old)).oci(&base).bake();
    let new = [Member::Directory("."), Member::File("y", "1"), Member::Directory("d"), Member::File("d/z", "1")];
    let base = format!("oci:{}", base.display());
    let _ = Tool::new("build").arg(pack(&new)).oci(&out).args(["--base", &base]).bake();
    assert_eq!(Layout::at(&out).latest().last_layer_names(), ["./", "d/", "d/.wh.x", "d/z"]);
    let unpacked = scratch.join("unpacked");
    let _ = Tool::new("unpack").arg(format!("oci:{}", out.display())).arg(&unpacked).arg("--rootless").run().stdout();
    assert_eq!(list_directory(&unpacked).len(), 4);
}

/// What an image could not hold, and what follows the end, is judged as in a layer.
#[test]
fn an_archive_is_judged_as_a_layer_is() {
    let scratch = Scratch::new();
    let write = |members: &[members::Member], rest: &[u8]| {
        let tar: Vec<u8> = members.iter().flat_map(members::Member::bytes).chain([0; 1024]).collect();
        fs::write(scratch.join("a.tar"), [&tar, rest].concat()).unwrap();
    };
    let build = || Tool::build("a.tar").arg("oci:out").within(scratch.path()).run();
    let verified = || Tool::new("verify").arg("oci:out:latest").within(scratch.path()).run().stdout();
    let root = || members::directory("./");

    for (rest, words) in [
        (
            &b"junk after it\n"[..],
            &["a.tar: tar-trailing-bytes: expected the end of the tar, found something other than zeros after it, at byte 2048"][..],
        ),
        (&[&[0; 512][..], b"x"].concat(), &["a.tar: tar-trailing-bytes: ", "at byte 2560"]),
        (&[0; 10240], &[]),
    ] {
        write(&[root(), members::file("f", "")], rest);
        let outcome = build();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        assert_eq!(outcome.stderr().lines().count(), usize::from(!words.is_empty()), "{}", outcome.stderr());
        assert!(words.iter().all(|word| outcome.stderr().contains(word)), "{}", outcome.stderr());
        assert_eq!(verified(), "");
    }
    let late: Vec<u8> = members::file("late", "x").bytes();
    write(&[root(), members::file("f", "")], &late);
    let error = build().error();
    assert!(error.contains("a member after the end of the archive"), "{error}");

    // Nothing could set it: left out, and said once.
    let large = "v".repeat(70_000);
    let name = format!("SCHILY.xattr.user.{}", "n".repeat(300));
    let records = [("SCHILY.xattr.user.big", large.as_str()), (&name, "x"), ("SCHILY.xattr.user.kept", "y")];
    write(
        &[root(), members::pax(&records), members::file("f", "x"), members::pax(&records), members::file("g", "x")],
        b"",
    );
    let outcome = build();
    assert_eq!(outcome.stderr().lines().count(), 1, "{}", outcome.stderr());
    assert!(outcome.stderr().contains("a.tar: tar-xattr-size: /f: "), "{}", outcome.stderr());
    assert_eq!(verified(), "");
    if let Some(python) = Peer::python() {
        let listing = Layout::at(&scratch.join("out")).latest().listing(&python);
        for file in ["f", "g"] {
            let kept: Vec<&[u8]> = listing[Path::new(file)].xattrs.keys().map(Vec::as_slice).collect();
            assert_eq!(kept, [&b"user.kept"[..]], "{file}");
        }
    }

    let long = "n".repeat(256);
    for (member, words) in [
        (members::pax(&[("path", &long)]), "a.tar: tar-name-length: "),
        (members::pax(&[("SCHILY.devmajor", "99999")]), "the device 99999,0 is out of range"),
    ] {
        write(&[root(), member, members::member(b'3', "x")], b"");
        let error = build().error();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_is_no_archive_is_named() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (start, words, hint) in [
        (&b"\x04\x22\x4d\x18\x64\x40\xa7"[..], "found lz4", "decompress it first"),
        (b"PK\x03\x04", "found a zip archive", "extract it"),
        (b"070701000", "found a cpio archive", "extract it"),
        (b"hsqs\x01", "found a SquashFS image", "extract it"),
        (b"XFSB\0\0\x10\0", "found an XFS image", "extract it"),
        (b"UBI#\x01", "found a UBI image", "extract it"),
        (b"\x31\x18\x10\x06\0", "found a UBIFS image", "extract it"),
        (b"\x85\x19\x03\x20", "found a JFFS2 image", "extract it"),
        (b"\x45\x3d\xcd\x28\0", "found a cramfs image", "extract it"),
    ] {
        for length in [100, 5000] {
            let mut bytes = start.to_vec();
            bytes.resize(length, b'x');
            fs::write(scratch.join("a.tar"), bytes).unwrap();
            for tool in [Tool::build("a.tar").arg("oci:out"), Tool::new("inspect").arg("a.tar")] {
                let error = tool.within(scratch.path()).run().error();
                assert!(error.contains(words) && error.contains(&format!("hint: {hint}")), "{error}");
            }
        }
    }
    // A filesystem image: zeros, and what it is later; a disk with partitions; a window that takes too much memory.
    let zeros = |rest: &[u8]| [&[0; 1024], rest].concat();
    let boot = [&[0x33; 510][..], b"\x55\xaa"].concat();
    let long_window = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
    for (bytes, words) in [
        (zeros(b"x"), "this is not a tar archive: zeros, and then something else\nhint: filesystem images"),
        (boot, "found a disk image\nhint: extract it"),
        (long_window, "a window of more than 128 MiB: decompress it first"),
        (zeros(&[0; 4096]), "rootfs `a.tar` is empty"),
    ] {
        fs::write(scratch.join("a.tar"), bytes).unwrap();
        let error = Tool::build("a.tar").arg("oci:out").within(scratch.path()).run().error();
        assert!(error.contains(words), "{error}");
    }
    // An image on standard input has no name that could be typed.
    let _ = Tool::build("rootfs").arg("image.tar").within(scratch.path()).bake();
    let shell = ["sh", "-c", "exec \"$0\" \"$@\" < image.tar"];
    let error = Tool::build("-").arg("oci:out").within(scratch.path()).behind(shell).run().error();
    assert!(error.contains("found an image layout\nhint: write it to a file") && !error.contains("`oci-"), "{error}");
}

/// Changes the header of the first member of a tar.
fn with_header(mut tar: Vec<u8>, change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes().copy_from_slice(&tar[..512]);
    change(&mut header);
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    tar
}

/// Python's tarfile gives symbolic links the mode 0644, which none has on Linux.
#[test]
fn the_mode_of_a_symbolic_link_is_that_of_linux() {
    let scratch = Scratch::new();
    let members = [Member::Symlink("l", "a"), Member::File("a", "x")];
    for (name, mode) in [("odd", 0o644), ("usual", 0o777)] {
        let tar = with_header(tar_of(&members), |header| header.set_mode(mode));
        fs::write(scratch.join(&format!("{name}.tar")), &tar).unwrap();
        let _ = Tool::build(scratch.join(&format!("{name}.tar"))).oci(&scratch.join(name)).bake();
        make_layout(&scratch.join(&format!("layer-{name}")), &[tar]);
    }
    let layers = |name: &str| Layout::at(&scratch.join(name)).latest().layers();
    assert_eq!(layers("odd"), layers("usual"));
    let image = |name: &str| format!("oci:{}", scratch.join(name).display());
    let differ = Tool::new("diff").arg(image("layer-odd")).arg(image("layer-usual")).run();
    let said = differ.printed();
    assert!(said.starts_with("the filesystems are equal"), "{said}");
}

/// Nothing in an archive without an entry for its root says which user of the host owns it.
#[test]
fn directories_that_are_made_up_belong_to_root_after_the_map() {
    let scratch = Scratch::new();
    let tar = with_header(tar_of(&[Member::File("etc/a", "x")]), |header| {
        header.set_uid(100_000);
        header.set_gid(100_007);
    });
    fs::write(scratch.join("r.tar"), tar).unwrap();
    let out = scratch.join("out");
    let maps = ["--uid-map", "0:100000:65536", "--gid-map", "0:100000:65536"];
    let _ = Tool::new("build").arg(scratch.join("r.tar")).oci(&out).args(["--arch", "amd64"]).args(maps).bake();
    let listed = Tool::new("inspect").arg(format!("oci:{}", out.display())).arg("--files").run().stdout();
    let owner = |path: &str| {
        let line = listed.lines().find(|line| line.ends_with(&format!(" {path}"))).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(["/", "/etc", "/etc/a"].map(owner), ["0:0", "0:0", "0:7"]);
}

#[test]
fn a_time_beyond_all_dates_is_shown_as_a_number() {
    let scratch = Scratch::new();
    let tar = with_header(tar_of(&[Member::File("a", "x")]), |header| header.set_mtime(99_999_999_999_999));
    make_layout(&scratch.join("out"), &[tar]);
    let listed =
        Tool::new("inspect").arg(format!("oci:{}", scratch.join("out").display())).arg("--files").run().stdout();
    assert!(listed.contains(" 99999999999999 /a"), "{listed}");
}

#[test]
fn a_cache_in_the_target_is_refused() {
    let scratch = Scratch::new();
    fs::write(scratch.join("r.tar"), tar_of(&[Member::File("a", "x")])).unwrap();
    let (out, tar) = (scratch.join("out"), scratch.join("r.tar"));
    let refused = |cache: &Path| {
        let said = Tool::build(&tar).oci(&out).arg("--cache").arg(cache).run().error();
        assert!(said.contains("is inside of the target"), "{said}");
    };
    refused(&out);
    refused(&out.join("cache"));
    assert!(is_missing(&out));
    let _ = Tool::build(&tar).oci(&out).arg("--cache").arg(scratch.join("cache")).bake();
    refused(&out);
    refused(&out.join("cache"));
}

/// A record's keyword ends at the first `=`, so that a layer holds no attribute with one in its name. libarchive
/// encodes it in its own records.
#[test]
fn attributes_that_no_layer_can_hold_are_left_out_with_one_warning() {
    let scratch = Scratch::new();
    let records = members::pax(&[("LIBARCHIVE.xattr.user.a%3Db", "YmFy"), ("SCHILY.xattr.user.c", "kept")]);
    let mut tar = vec![0; 1024];
    let (f, g) = (members::file("f", "x"), members::file("g", "x"));
    members::append(&mut tar, &[members::directory("./"), records.clone(), f, records, g]);
    fs::write(scratch.join("r.tar"), &tar).unwrap();
    make_layout(&scratch.join("made"), &[tar]);
    let warning =
        "the attribute `user.a=b` of `/f` and 1 more has `=` in its name, which a layer cannot hold: left out";
    for words in [
        &["build", "r.tar", "oci:out:built", "--arch", "amd64"][..],
        &["squash", "oci:made:latest", "oci:out:squashed"],
        &["build", "r.tar", "oci:out:on", "--base", "oci:made:latest"],
    ] {
        let outcome = Tool::new(words[0]).args(&words[1..]).arg("--json").within(scratch.path()).run();
        assert_eq!(outcome.stderr().matches(warning).count(), 1, "{words:?}: {}", outcome.stderr());
        let is_it = |said: &serde_json::Value| said == warning;
        assert!(outcome.json()["warnings"].as_array().unwrap().iter().any(is_it), "{words:?}");
    }
    let stream = Layout::at(&scratch.join("out")).image("built").stream();
    assert!(stream.windows(24).any(|bytes| bytes == b"SCHILY.xattr.user.c=kept"));
    // It makes no difference to the base.
    assert_eq!(Layout::at(&scratch.join("out")).image("on").layers().len(), 1);
    // A directory has such an attribute as it is.
    if !root() {
        return;
    }
    let rootfs = scratch.join("rootfs");
    Fixture::parse("d 0755 0:0 1 /\nf 0644 0:0 1 /f text x @user.a=b=63").make(&rootfs, Order::AsListed);
    let outcome = Tool::build(&rootfs).oci(&scratch.join("of_directory")).run();
    assert!(outcome.stderr().contains("the attribute `user.a=b` of `/f` has `=`"), "{}", outcome.stderr());
    assert_eq!(outcome.code(), 0);
}
