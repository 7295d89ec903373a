use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{
    is_missing, is_root, list_directory, make_layout, root, tar_of, ByHand, Image, Layout, Member, Outcome, Peer,
    Scratch, Tool,
};
use crate::verify::archive_with;
use crate::verify::members::{directory, extended, file, hardlink, lone_zero_block, member, pax, Member as Raw};

/// Members without end blocks.
fn members(members: &[Raw]) -> Vec<u8> {
    members.iter().flat_map(Raw::bytes).collect()
}

fn ended(mut tar: Vec<u8>) -> Vec<u8> {
    tar.extend([0; 1024]);
    tar
}

fn oci(path: &Path) -> String {
    format!("oci:{}", path.display())
}

/// Runs of all verbs that read a layer, on an image of this one over another.
fn readings(scratch: &Scratch, layer: &[u8]) -> Vec<(&'static str, Outcome)> {
    let (image, rootfs) = (scratch.join("image"), scratch.join("rootfs"));
    for name in ["image", "rootfs", "unpacked", "squashed", "built"] {
        let _ = fs::remove_dir_all(scratch.join(name));
    }
    let lower = tar_of(&[Member::File("lower", "1")]);
    make_layout(&image, &[lower.clone(), layer.to_vec()]);
    make_layout(&scratch.join("lower"), &[lower]);
    fs::create_dir_all(&rootfs).unwrap();
    fs::write(rootfs.join("new"), "").unwrap();
    let run = |verb: &str| Tool::new(verb).arg(format!("{}:latest", oci(&image))).arg("-q");
    let built = Tool::build(&rootfs).oci(&scratch.join("built")).args(["--base", &oci(&image)]);
    vec![
        ("unpack", run("unpack").arg(scratch.join("unpacked")).arg("--rootless").run()),
        ("squash", run("squash").oci(&scratch.join("squashed")).run()),
        ("diff", run("diff").arg(oci(&scratch.join("lower"))).run()),
        ("inspect", Tool::new("inspect").args([&oci(&image), "--files", "--json"]).run()),
        ("build", built.run()),
    ]
}

fn findings(image: &str) -> (Vec<String>, i32) {
    let outcome = Tool::new("verify").args([image, "--json"]).run();
    let report: Value = serde_json::from_str(&outcome.printed()).unwrap();
    let rules =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap().to_owned());
    (rules.collect(), outcome.code())
}

/// As `umoci insert` wrote them.
#[test]
fn a_layer_may_end_after_a_whole_member() {
    let scratch = Scratch::new();
    let whole = members(&[directory("d/"), file("d/a", "abc"), file("z", "last")]);
    let content_end = whole.len() - 512 + 4;
    let lengths = [whole.len(), content_end, content_end + 1, whole.len() - 1];
    let tars = lengths.map(|length| whole[..length].to_vec()).into_iter();
    for tar in tars.chain([[&whole[..], &[0; 512]].concat(), [&whole[..], &[0; 700]].concat()]) {
        for (verb, outcome) in readings(&scratch, &tar) {
            assert_eq!(
                outcome.code(),
                i32::from(verb == "diff"),
                "{verb} at {} of {}: {}",
                tar.len(),
                whole.len(),
                outcome.stderr()
            );
        }
        assert_eq!(fs::read(scratch.join("unpacked/z")).unwrap(), b"last");
        let (rules, code) = findings(&oci(&scratch.join("image")));
        assert_eq!((rules.contains(&"tar-end".to_owned()), code), (true, 0), "{rules:?}");
        // And so may a rootfs.
        let rootfs = scratch.join("rootfs.tar");
        fs::write(&rootfs, &tar).unwrap();
        let _ = Tool::build(&rootfs).oci(&scratch.join("of-archive")).bake();
    }
    for length in [content_end - 1, whole.len() - 600] {
        for (verb, outcome) in readings(&scratch, &whole[..length]) {
            let error = outcome.error();
            assert!(error.contains("cut off"), "{verb} at {length}: {error}");
        }
        assert_eq!(findings(&oci(&scratch.join("image"))), (vec!["tar-framing".to_owned()], 1));
    }
}

/// Each of the two hides what comes after it from some readers.
fn tars_with_a_hidden_part() -> [(&'static str, Vec<u8>); 3] {
    let tar = ended(members(&[file("a", "text")]));
    let mut lone = tar.clone();
    lone_zero_block(&mut lone);
    let padded = [&tar[..], &[0; 8192], &members(&[file("late", "")])].concat();
    [
        ("a lone block of zeros", lone),
        ("a member after the end", padded),
        ("another archive", [&tar[..], &tar].concat()),
    ]
}

#[test]
fn nothing_is_lost_after_a_block_of_zeros() {
    let scratch = Scratch::new();
    for (what, tar) in tars_with_a_hidden_part() {
        for (verb, outcome) in readings(&scratch, &tar) {
            let error = outcome.error();
            assert!(error.contains("at byte ") && error.contains("end"), "{what}, {verb}: {error}");
        }
        assert_eq!(findings(&oci(&scratch.join("image"))), (vec!["tar-framing".to_owned()], 1), "{what}");
        let rootfs = scratch.join("rootfs.tar");
        for compress in [false, true] {
            fs::write(&rootfs, if compress { zstd::encode_all(&*tar, 1).unwrap() } else { tar.clone() }).unwrap();
            let error = Tool::build(&rootfs).oci(&scratch.join("of-archive")).run().error();
            assert!(error.contains("rootfs.tar: at byte "), "{what}: {error}");
        }
    }
}

/// The outer archives of images have end blocks too.
#[test]
fn nor_in_the_archive_of_an_image() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    for transport in ["oci-archive", "docker-archive"] {
        let good = scratch.join("good.tar");
        let _ = fs::remove_file(&good);
        let target = format!("{transport}:{}:app:v1", good.display());
        let _ = Tool::build(&rootfs).arg(target).bake();
        let tar = fs::read(&good).unwrap();
        let late = members(&[file("late", "x")]);
        let mut lone = tar[..tar.len() - 512].to_vec();
        lone.extend(ended(late.clone()));
        for (what, bytes) in [("lone", lone), ("late", [&tar[..], &late].concat())] {
            for compress in [false, true] {
                let path = scratch.join(&format!("{what}.tar"));
                fs::write(&path, if compress { zstd::encode_all(&*bytes, 1).unwrap() } else { bytes.clone() }).unwrap();
                let image = format!("{transport}:{}", path.display());
                for verb in ["inspect", "ls"] {
                    let error = Tool::new(verb).arg(&image).run().error();
                    assert!(error.contains("at byte "), "{what}, {verb} of {image}: {error}");
                }
            }
        }
    }
}

/// Readers differ in which of two files they take, so one archive would be two images.
#[test]
fn no_file_of_an_archive_may_be_there_twice() {
    let scratch = Scratch::new();
    let layout = scratch.join("layout");
    make_layout(&layout, &[tar_of(&[Member::File("a", "1")])]);
    fs::write(layout.join("manifest.json"), "[]").unwrap();
    let blob = fs::read_dir(layout.join("blobs/sha256")).unwrap().next().unwrap().unwrap().path();
    let blob = blob.strip_prefix(&layout).unwrap().to_str().unwrap().to_owned();
    for twice in ["index.json", "oci-layout", "manifest.json", &blob] {
        let image = archive_with(&layout, twice, &scratch.join("twice.tar"));
        let out = scratch.join("out");
        for tool in [
            Tool::new("inspect").arg(&image),
            Tool::new("ls").arg(&image),
            Tool::new("unpack").arg(&image).arg(&out),
            Tool::new("convert").arg(&image).oci(&out),
            Tool::new("squash").arg(&image).oci(&out),
            Tool::new("config").args([&image, "--author", "A"]),
            Tool::new("gc").arg(&image),
        ] {
            let error = tool.run().error();
            assert!(error.contains(&format!("one `{twice}` expected, found several")), "{error}");
        }
        assert!(findings(&image).0.contains(&"archive-repeated-file".to_owned()));
        assert!(is_missing(&out));
    }
}

#[test]
fn blobs_may_be_links_within_their_archive() {
    let scratch = Scratch::new();
    let Some(tar) = Peer::find("tar") else { return };
    let image = scratch.join("image");
    make_layout(&image, &[tar_of(&[Member::File("a", &"1".repeat(5000))])]);
    let largest = Layout::at(&image).latest().layer_path();
    let name = largest.file_name().unwrap().to_str().unwrap();
    let elsewhere = image.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let archive = |name: &str| {
        let path = scratch.join(name);
        let parts = ["elsewhere", "blobs", "index.json", "oci-layout"];
        tar.run(["-C", image.to_str().unwrap(), "-cf", path.to_str().unwrap()].into_iter().chain(parts));
        format!("oci-archive:{}:latest", path.display())
    };
    fs::hard_link(&largest, elsewhere.join("x")).unwrap();
    let hard = archive("hard.tar");
    fs::remove_file(&largest).unwrap();
    std::os::unix::fs::symlink("../../elsewhere/x", &largest).unwrap();
    let soft = archive("soft.tar");
    fs::remove_file(&largest).unwrap();
    std::os::unix::fs::symlink(name, &largest).unwrap();
    let circle = archive("circle.tar");
    fs::remove_file(&largest).unwrap();
    std::os::unix::fs::symlink("../../../elsewhere/x", &largest).unwrap();
    let out = archive("out.tar");
    for (number, image) in [hard, soft].into_iter().enumerate() {
        assert_eq!(findings(&image).1, 0, "{image}");
        let copy = scratch.join(&format!("copy{number}"));
        let _ = Tool::new("convert").arg(&image).oci(&copy).run().stdout();
        assert_eq!(findings(&oci(&copy)).1, 0, "{image}");
        let _ = Tool::new("squash").arg(&image).oci(&scratch.join(&format!("squashed{number}"))).run().stdout();
    }
    for image in [circle, out] {
        let error = Tool::new("unpack").arg(&image).arg(scratch.join("none")).arg("--rootless").run().error();
        assert!(error.contains(name) && error.contains("it leads "), "{error}");
    }
    // A layout directory has them too, and nothing is missing there.
    fs::remove_file(&largest).unwrap();
    std::os::unix::fs::symlink("../../elsewhere/x", &largest).unwrap();
    let report = Tool::new("gc").args([&oci(&image), "--json"]).run().json();
    assert_eq!((&report["kept"], &report["bytes"]), (&json!(3), &json!(0)));
    assert_eq!(findings(&oci(&image)).1, 0);
}

#[test]
fn aufs_kept_files_for_hard_links() {
    let scratch = Scratch::new();
    let link = |name: &str| hardlink(name, ".wh..wh.plnk/4.2");
    let layer = ended(members(&[
        directory(".wh..wh.plnk/"),
        file(".wh..wh.plnk/4.2", "kept"),
        directory("d/"),
        link("d/b"),
        link("a"),
    ]));
    for (verb, outcome) in readings(&scratch, &layer) {
        assert_eq!(outcome.code(), i32::from(verb == "diff"), "{verb}: {}", outcome.stderr());
    }
    let squashed = scratch.join("squashed");
    let unpacked = scratch.join("of-squashed");
    let _ = Tool::new("unpack").arg(oci(&squashed)).arg(&unpacked).args(["--rootless", "-q"]).run().stdout();
    for root in [unpacked, scratch.join("unpacked")] {
        let shown: Vec<String> = list_directory(&root).keys().map(|path| path.display().to_string()).collect();
        assert_eq!(shown, ["", "a", "d", "d/b", "lower"]);
        let inode = |name: &str| root.join(name).metadata().unwrap().ino();
        assert_eq!((inode("a"), fs::read(root.join("a")).unwrap()), (inode("d/b"), b"kept".to_vec()));
    }
}

/// Labels and lists as written by options of GNU tar.
#[test]
fn archives_of_gnu_tar_with_more_than_entries() {
    let scratch = Scratch::new();
    let Some(tar) = Peer::find("tar") else { return };
    let rootfs = scratch.small_rootfs();
    let out = scratch.join("out");
    let expected = Tool::build(&rootfs).oci(&out).bake();
    for (number, options) in [
        &["--label=stage"][..],
        &["--label=stage", "--format=posix"],
        &["--listed-incremental=snapshot"],
        &["--listed-incremental=snapshot2", "--format=posix"],
        &["--listed-incremental=snapshot3", "--label=x", "--format=oldgnu"],
    ]
    .into_iter()
    .enumerate()
    {
        let archive = scratch.join(&format!("{number}.tar"));
        archived(&tar, &scratch, &rootfs, &archive, &[options, &["--sort=name"]].concat());
        let outcome = Tool::build(&archive).oci(&out).run();
        assert_eq!((outcome.printed().trim(), outcome.stderr()), (expected.as_str(), ""), "{options:?}");
    }
    // Other tools write the root without a name, and its records in headers of Solaris.
    let archive = scratch.join("nameless.tar");
    let solaris = extended(b'X', &[("path", "long")]);
    fs::write(&archive, ended(members(&[member(b'5', "").mode(0o711), solaris, file("short", "x")]))).unwrap();
    let _ = Tool::build(&archive).oci(&out).bake();
    let names = Layout::at(&out).latest().last_layer_names();
    assert_eq!(names, ["./", "long"]);
}

/// Makes an archive of a directory with GNU tar, which keeps its snapshots in the scratch directory.
fn archived(tar: &Peer, scratch: &Scratch, directory: &Path, archive: &Path, options: &[&str]) {
    let mut command = tar.command();
    command.current_dir(scratch.path()).args(options).arg("-C").arg(directory).arg("-cf").arg(archive).arg(".");
    tar.finish(command);
}

/// Directories that have lists of their content stand before the files of the image.
#[test]
fn an_image_in_an_archive_of_gnu_tar_with_lists_is_read() {
    let scratch = Scratch::new();
    let Some(tar) = Peer::find("tar") else { return };
    let image = scratch.join("image");
    make_layout(&image, &[tar_of(&[Member::File("a", "text")])]);
    let name = |path: &Path| format!("oci-archive:{}:latest", path.display());
    // All but the first line, which is the name.
    let shown = |image: &str| {
        let shown = Tool::new("inspect").arg(image).arg("--files").run().stdout();
        shown.split_once('\n').unwrap().1.to_owned()
    };
    let expected = shown(&format!("{}:latest", oci(&image)));
    for (number, options) in [
        &["--listed-incremental=snapshot"][..],
        &["--listed-incremental=snapshot1", "--gzip"],
        &["--listed-incremental=snapshot2", "--format=posix"],
        &["--listed-incremental=snapshot3", "--label=x", "--format=oldgnu"],
    ]
    .into_iter()
    .enumerate()
    {
        let archive = scratch.join(&format!("{number}.tar"));
        archived(&tar, &scratch, &image, &archive, options);
        assert_eq!(findings(&name(&archive)).1, 0, "{options:?}");
        assert_eq!(shown(&name(&archive)), expected, "{options:?}");
    }
}

#[test]
fn acls_are_what_they_are_in_a_directory() {
    let scratch = Scratch::new();
    let (true, Some(setfacl)) = (root(), Peer::find("setfacl")) else { return };
    let rootfs = scratch.small_rootfs();
    fs::create_dir_all(rootfs.join("etc")).unwrap();
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0::/:\napp:x:61234:1::/:\n").unwrap();
    fs::write(rootfs.join("f"), "x").unwrap();
    fs::hard_link(rootfs.join("f"), rootfs.join("etc/f-too")).unwrap();
    for (entry, path) in
        [("u:61234:rw", "f"), ("g:61236:r-x,m::r", "etc"), ("d:u:61234:rwx", "etc"), ("g:61235:rwx", "etc/passwd")]
    {
        setfacl.run(["-m", entry, rootfs.join(path).to_str().unwrap()]);
    }
    let out = scratch.join("out");
    let expected = Tool::build(&rootfs).oci(&out).bake();
    for (program, options) in [
        ("tar", &["--acls", "--numeric-owner"][..]),
        ("tar", &["--acls", "--xattrs", "--numeric-owner"]),
        ("bsdtar", &["--acls", "--format=pax"]),
    ] {
        let Some(peer) = Peer::find(program) else { continue };
        let archive = scratch.join("rootfs.tar");
        let mut command = peer.command();
        command.args(options).arg("-cf").arg(&archive).arg("-C").arg(&rootfs).arg(".");
        peer.finish(command);
        let outcome = Tool::build(&archive).oci(&out).run();
        assert_eq!((outcome.printed().trim(), outcome.stderr()), (expected.as_str(), ""), "{program} {options:?}");
    }
    // A name is looked up in the image. An unknown name drops the ACL, which gives no user more rights than before.
    let acl = |text: &str| {
        let records = [("SCHILY.acl.access", text), ("SCHILY.acl.ace", "owner@:r::allow"), ("VENDOR.x", "1")];
        let passwd = file("etc/passwd", "app:x:61234:1::/:\n");
        let archive = scratch.join("made.tar");
        fs::write(&archive, ended(members(&[passwd, pax(&records), file("g", "x").mode(0o670)]))).unwrap();
        let outcome = Tool::build(&archive).oci(&out).run();
        let unpacked = scratch.join("unpacked");
        let _ = fs::remove_dir_all(&unpacked);
        let _ = Tool::new("unpack").arg(oci(&out)).arg(&unpacked).run().stdout();
        let node = list_directory(&unpacked).remove(Path::new("g")).unwrap();
        (node.mode, node.xattrs.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect(), outcome)
    };
    let (mode, names, outcome): (u32, Vec<String>, Outcome) =
        acl("user::rw-\nuser:app:rwx\ngroup::r--\nmask::rwx\nother::---\n");
    assert_eq!((mode, names), (0o670, vec!["system.posix_acl_access".to_owned()]));
    let warnings = outcome.stderr();
    assert_eq!(warnings.lines().count(), 2, "{warnings}");
    assert!(warnings.contains("`SCHILY.acl.ace`") && warnings.contains("`VENDOR.x`"), "{warnings}");
    let (mode, names, outcome) = acl("user::rw-\nuser:stranger:rwx\ngroup::r--\nmask::rwx\nother::---\n");
    assert_eq!((mode, names), (0o640, vec![]));
    assert!(outcome.stderr().contains("`stranger`"), "{}", outcome.stderr());
    // `tar --acls --xattrs` writes ACLs twice: with ids, and with names that may be the host's.
    let value = "\x02\0\0\0\x01\0\x06\0\0\0\0\0\x04\0\x04\0\0\0\0\0\x10\0\x06\0\0\0\0\0 \0\0\0\0\0\0\0";
    let records = [("SCHILY.xattr.system.posix_acl_access", value), ("SCHILY.acl.access", "user:stranger:rwx")];
    let archive = scratch.join("twice.tar");
    fs::write(&archive, ended(members(&[pax(&records), file("g", "x").mode(0o660)]))).unwrap();
    let outcome = Tool::build(&archive).oci(&out).run();
    assert_eq!(outcome.stderr(), "");
    let listed = Tool::new("inspect").args([&oci(&out), "--files", "--json"]).run().json();
    assert_eq!(listed["files"][1]["mode"], json!("0660"), "{listed}");
    let (mode, names, _) = acl("user::rw-\ngroup::r--\nother::r--\n");
    assert_eq!((mode, names), (0o644, vec![]));
}

/// Fractions of a second, which Docker and umoci among others keep. Every verb that reads a layer for its content warns
/// about unknown keywords in it, each time.
#[test]
fn keywords_that_are_not_understood_are_told() {
    let scratch = Scratch::new();
    let records = [("VENDOR.quota", "1"), ("SCHILY.fflags", "immutable"), ("comment", "x"), ("atime", "1")];
    let layer = ended(members(&[pax(&records), file("f", "x")]));
    let root = scratch.join("image");
    make_layout(&root, &[layer]);
    let rootfs = scratch.make_directory("rootfs");
    fs::write(rootfs.join("f"), "x").unwrap();
    let (image, rootfs) = (oci(&root), rootfs.display().to_string());
    let (cache, new) = (scratch.join("cache").display().to_string(), oci(&scratch.join("new")));
    let unpacked = scratch.join("unpacked").display().to_string();
    let on_base = [&rootfs, &new, "--base", &image, "--owner", "0:0", "--cache", &cache];
    for (verb, args) in [
        ("unpack", &[&image, &unpacked, "--rootless"][..]),
        ("squash", &[&image, &new]),
        ("diff", &[&image, &rootfs]),
        ("build", &on_base),
        ("build", &on_base),
    ] {
        let outcome = Tool::new(verb).args(args).run();
        let told = |keyword: &str| outcome.stderr().contains(&format!("PAX keyword `{keyword}` is not understood"));
        assert!(told("VENDOR.quota") && told("SCHILY.fflags"), "{verb}: {}", outcome.stderr());
        assert!(!told("comment") && !told("atime"), "{verb}: {}", outcome.stderr());
    }
}

/// What is said is also in the report, line by line.
#[test]
fn what_a_layer_says_that_is_not_kept_is_in_every_report() {
    let scratch = Scratch::new();
    let layer = ended(members(&[pax(&[("RHT.security.selinux", "a_u:object_r:b_t:s0")]), file("f", "x")]));
    let root = scratch.join("image");
    make_layout(&root, &[layer]);
    let rootfs = scratch.make_directory("rootfs");
    fs::write(rootfs.join("f"), "x").unwrap();
    let (image, rootfs) = (oci(&root), rootfs.display().to_string());
    let new = oci(&scratch.join("new"));
    let unpacked = scratch.join("unpacked").display().to_string();
    for (verb, args) in [
        ("unpack", &[&image, &unpacked, "--rootless"][..]),
        ("squash", &[&image, &new]),
        ("squash", &[&image, &new, "--additional-tag", "unused"]),
        ("plan", &[&image]),
        ("build", &[&rootfs, &new, "--base", &image, "--owner", "0:0"]),
    ] {
        let outcome = Tool::new(verb).args(args).arg("--json").run();
        let report: Value = serde_json::from_str(&outcome.printed()).unwrap();
        let listed: Vec<&str> = report["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let lines = outcome.stderr().lines();
        let said: Vec<&str> = lines.filter_map(|line| line.strip_prefix("ocibake: warning: ")).collect();
        assert!(said.iter().any(|line| line.contains("`RHT.security.selinux` is not understood")), "{verb}: {said:?}");
        assert_eq!(listed, said, "{verb}: {}", outcome.stderr());
    }
}

#[test]
fn parts_of_seconds_stay() {
    let scratch = Scratch::new();
    let layer = |time: &str| ended(members(&[pax(&[("mtime", time)]), file("f", "x")]));
    let image = |name: &str, layers: &[Vec<u8>]| {
        make_layout(&scratch.join(name), layers);
        oci(&scratch.join(name))
    };
    let (one, nine) = (image("one", &[layer("1000000000.1")]), image("nine", &[layer("1000000000.9")]));
    let difference = Tool::new("diff").args([&one, &nine]).run();
    assert!(
        difference.printed().contains("~ /f mtime 2001-09-09T01:46:40.1Z -> 2001-09-09T01:46:40.9Z"),
        "{}",
        difference.printed()
    );
    let report: Value = serde_json::from_str(&Tool::new("diff").args([&one, &nine, "--json"]).run().printed()).unwrap();
    let fields = &report["entries"][0]["fields"];
    assert_eq!(fields[0]["from_nanoseconds"], json!(100_000_000), "{report:#}");

    let two = image("two", &[tar_of(&[Member::File("g", "y")]), layer("1000000000.75"), layer("-0.25")]);
    let squashed = scratch.join("squashed");
    let _ = Tool::new("squash").arg(&two).oci(&squashed).run().stdout();
    for (number, image) in [&two, &oci(&squashed)].into_iter().enumerate() {
        let root = scratch.join(&format!("unpacked{number}"));
        let _ = Tool::new("unpack").arg(image).arg(&root).args(["--rootless", "-q"]).run().stdout();
        let metadata = fs::metadata(root.join("f")).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-1, 750_000_000), "{image}");
    }
    // A build reads whole seconds. On a base, untouched entries are not written again.
    let root = scratch.join("unpacked1");
    fs::write(root.join("new"), "").unwrap();
    let built = scratch.join("built");
    let owner = if is_root() { &[][..] } else { &["--owner", "0:0"] };
    let base = oci(&squashed);
    let _ = Tool::build(&root).oci(&built).args(["--base", &base]).args(owner).bake();
    let names = Layout::at(&built).latest().last_layer_names();
    assert!(names.contains(&"new".to_owned()) && !names.contains(&"f".to_owned()), "{names:?}");
    let _ = fs::remove_dir_all(&built);
    let _ = Tool::build(&root).oci(&built).bake();
    let stream = String::from_utf8_lossy(&Layout::at(&built).latest().stream()).into_owned();
    assert!(stream.contains("mtime=-1\n") && !stream.contains("mtime=-0.25"));
}

/// Go reads null as an empty value wherever it stands, and takes a missing version for none.
#[test]
fn what_go_reads_without_a_word_is_read_and_written_clean() {
    let scratch = Scratch::new();
    let _ = Tool::build(scratch.small_rootfs()).oci(&scratch.join("good")).bake();
    let good = Layout::at(&scratch.join("good"));
    let (mut index, Image { mut manifest, mut config, .. }) = (good.index(), good.image("latest"));
    config["config"] = json!({
        "Env": [null, "A=b"], "Cmd": ["sh", null], "Entrypoint": [null], "Labels": {"a": null, "b": "c"},
        "Volumes": {"/v": null}, "ExposedPorts": {"80/tcp": null}, "Healthcheck": {"Test": ["CMD", null]},
    });
    manifest["annotations"] = json!({"a": null});
    manifest["layers"][0]["urls"] = json!([null]);
    let layout = ByHand::at(&scratch.join("good"));
    let bytes = config.to_string().into_bytes();
    manifest["config"] = layout.blob(&bytes, "application/vnd.oci.image.config.v1+json");
    manifest.as_object_mut().unwrap().remove("schemaVersion");
    let described = layout.document(&manifest);
    for member in ["digest", "size"] {
        index["manifests"][0][member] = described[member].clone();
    }
    index["manifests"][0]["annotations"]["x"] = json!(null);
    index.as_object_mut().unwrap().remove("schemaVersion");
    fs::write(scratch.join("good/index.json"), index.to_string()).unwrap();

    let image = format!("{}:latest", oci(&scratch.join("good")));
    let (rules, code) = findings(&image);
    let found = |rule: &str| rules.iter().filter(|found| *found == rule).count();
    assert_eq!((code, found("schema-version"), found("document-null")), (1, 2, 10), "{rules:?}");
    // Nothing else is wrong but the variable without a name, which Go reads.
    assert_eq!(rules.iter().filter(|rule| *rule != "blob-unreferenced").count(), 13, "{rules:?}");
    let target = oci(&scratch.join("new"));
    for (verb, words) in [("convert", vec![&image, &target]), ("squash", vec![&image, &target])] {
        let _ = Tool::new(verb).args(words).run().stdout();
        let new = Layout::at(&scratch.join("new"));
        assert_eq!(new.index()["schemaVersion"], 2, "{verb}");
        let new = new.image("latest");
        assert_eq!(new.manifest["schemaVersion"], 2, "{verb}");
        let mut expected = json!({
            "Env": ["A=b"], "Cmd": ["sh", ""], "Entrypoint": [""], "Labels": {"a": "", "b": "c"}, "Volumes": {"/v": {}},
            "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", ""]},
        });
        assert_eq!(new.config["config"], expected.take(), "{verb}");
        assert_eq!(findings(&target).0, [""; 0], "{verb}");
        fs::remove_dir_all(scratch.join("new")).unwrap();
    }
    let _ = Tool::new("config").args([&image, "--author", "A"]).run().stdout();
    assert_eq!(Layout::at(&scratch.join("good")).index()["schemaVersion"], 2);
    // Other values are no version.
    for wrong in [json!("2"), json!(2.0), json!(-1)] {
        index["schemaVersion"] = wrong;
        fs::write(scratch.join("good/index.json"), index.to_string()).unwrap();
        let error = Tool::new("convert").args([&image, &target]).run().error();
        assert!(error.contains("index.json"), "{error}");
    }
}
