use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{
    is_root, names_below, root, tar_of, unprivileged_words, until_it_writes, Fixture, Member, Order, Peer, Scratch,
    Tool, NOBODY,
};

/// A run that must be refused with `words` in its message, and leave everything below the scratch directory unchanged.
#[track_caller]
fn refused(scratch: &Scratch, tool: Tool, words: &[&str]) {
    let before = names_below(scratch.path());
    let error = tool.within(scratch.path()).run().error();
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
    assert_eq!(names_below(scratch.path()), before, "after: {error}");
}

#[test]
fn a_rootfs_that_is_none() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    scratch.make_directory("empty");
    fs::write(scratch.join("file"), "x").unwrap();
    std::os::unix::fs::symlink("nowhere", scratch.join("dangling")).unwrap();
    for (rootfs, words) in [
        ("missing", &["`missing`", "No such file"][..]),
        ("empty", &["`empty`", "empty"]),
        ("file", &["file: "]),
        ("dangling", &["`dangling`"]),
        ("rootfs/etc/hostname", &["rootfs/etc/hostname: "]),
        ("rootfs/etc/hostname/x", &["`rootfs/etc/hostname/x`"]),
        ("", &[]),
    ] {
        refused(&scratch, Tool::build(rootfs).arg("oci:out").arg("out.tar"), words);
    }
    // Excluded entries do not count as content either.
    refused(&scratch, Tool::build("rootfs").arg("oci:out").args(["--exclude", "*"]), &["`rootfs`", "nothing is left"]);
}

#[test]
fn files_that_are_no_archives() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let noise: Vec<u8> = (0..100_u32).flat_map(|i| (i * i).to_le_bytes().repeat(5)).collect();
    fs::write(scratch.join("noise.tar"), &noise).unwrap();
    fs::write(scratch.join("letter.tar"), "Dear reader,\n").unwrap();
    fs::write(scratch.join("page.tar.gz"), "<!DOCTYPE html>\n".repeat(100)).unwrap();
    for name in ["noise.tar", "letter.tar", "page.tar.gz"] {
        let words = [name, "not a tar archive"];
        refused(&scratch, Tool::build(name).arg("oci:out"), &words);
        refused(&scratch, Tool::build("rootfs").args(["oci:out", "--base", name]), &words);
        for verb in ["inspect", "verify", "ls"] {
            refused(&scratch, Tool::new(verb).arg(name), &words);
        }
        for transport in ["oci-archive", "docker-archive"] {
            refused(&scratch, Tool::new("inspect").arg(format!("{transport}:{name}")), &words);
        }
    }
}

/// An archive of files that is given where an image is wanted.
#[test]
fn a_rootfs_archive_that_is_given_as_the_image() {
    let scratch = Scratch::new();
    fs::write(scratch.join("r.tar"), tar_of(&[Member::File("etc/f", "x")])).unwrap();
    for words in [&["diff", "r.tar", "oci:x"][..], &["inspect", "r.tar"], &["unpack", "r.tar", "tree"]] {
        let hint = "hint: if it is a root filesystem, `ocibake build` makes an image of it";
        refused(&scratch, Tool::new(words[0]).args(&words[1..]), &["r.tar", "no image layout", hint]);
    }
}

#[test]
fn words_that_mean_nothing_on_the_command_line() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (words, message) in [
        ("build rootfs oci:out --threads 0", "--threads: `0` is not accepted: a whole number from 1 on"),
        ("build rootfs oci:out --threads -2", "--threads: `-2` is not accepted: a whole number from 1 on"),
        ("build rootfs oci:out --stat", "there is no flag `--stat`\nhint: did you mean `--stats`"),
        (
            "build rootfs oci:out --platform linux/arm/v7",
            "there is no flag `--platform`\nhint: did you mean `--arch arm --variant v7`",
        ),
        ("inspect oci:out --arch arm", "there is no flag `--arch`\nhint: did you mean `--platform linux/arm`"),
        ("inspect oci:out --largest -3", "--largest: `-3` is not accepted: a whole number from 1 on"),
        ("squash oci:out oci:flat --to 0", "--to: `0` is not accepted: a whole number from 1 on"),
        (
            "convert oci:out oci:other --progress fast",
            "--progress: `fast` is not accepted: `auto`, `percent` or `none`",
        ),
        ("vrify oci:out", "there is no command `vrify`\nhint: did you mean `verify`"),
        (
            "cat etc/motd oci:out:v1",
            "`etc/motd`: an image is wanted here, and `oci:out:v1` after it looks like one\nhint: the image comes first: \
             `ocibake cat oci:out:v1 etc/motd`",
        ),
        (
            "attach sbom.json oci:out:v1",
            "`sbom.json`: an image is wanted here, and `oci:out:v1` after it looks like one\nhint: the image comes first: \
             `ocibake attach oci:out:v1 sbom.json`",
        ),
        (
            "build oci:out:v1 rootfs",
            "`oci:out:v1`: a root filesystem is wanted here, and `rootfs` after it looks like one\nhint: the rootfs comes first: \
             `ocibake build rootfs oci:out:v1`",
        ),
        (
            "unpack dir oci:out:v1",
            "`dir`: an image is wanted here, and `oci:out:v1` after it looks like one\nhint: the image comes first: \
             `ocibake unpack oci:out:v1 dir`",
        ),
        (
            "tag v2 oci:out:v1",
            "`v2`: an image is wanted here, and `oci:out:v1` after it looks like one\nhint: the image comes first: \
             `ocibake tag oci:out:v1 v2`",
        ),
        (
            "build rootfs oci:~/out:v1 --arch amd64",
            "target `oci:~/out:v1`: its directory `~` is missing\nhint: a shell does not expand `~` after a colon: write \
             `oci:$HOME/out:v1`",
        ),
        (
            "build rootfs oci-archive:/dev/stdout --arch amd64",
            "target `oci-archive:/dev/stdout` is a symbolic link, which is not followed\nhint: for standard output, write \
             `oci-archive:-`",
        ),
        ("pull oci:out:v1 oci:b", "there is no command `pull`\nhint: it is on disk already, and `convert` copies it: \
          `ocibake convert oci:out:v1 oci:b`"),
    ] {
        let error = Tool::new("--quiet").args(words.split(' ')).within(scratch.path()).run().error();
        assert_eq!(error.trim_end_matches("\nhint: "), message, "{words}");
    }
}

/// An archive that ends early is at fault itself, and not the target beside which its contents are kept.
#[test]
fn a_rootfs_archive_that_is_cut_short() {
    let scratch = Scratch::new();
    let mut tar = Vec::new();
    {
        let mut state = 1u32;
        let noise = (0..100_000).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.collect();
        let mut writer = tar::Builder::new(&mut tar);
        let mut header = tar::Header::new_ustar();
        header.set_size(noise.len() as u64);
        header.set_mode(0o644);
        writer.append_data(&mut header, "noise", &*noise).unwrap();
        writer.finish().unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    let gzip = gzip.finish().unwrap();
    for length in [200, 40_000, gzip.len() - 9] {
        fs::write(scratch.join("cut.tgz"), &gzip[..length]).unwrap();
        refused(
            &scratch,
            Tool::build("cut.tgz").arg("oci:n4"),
            &["cannot read `cut.tgz`", "the gzip stream is cut short"],
        );
    }
}

/// A command in a hint does what it says although names have blanks.
#[test]
fn a_command_in_a_hint_is_quoted_for_a_shell() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::rename(scratch.join("rootfs"), scratch.join("my root")).unwrap();
    let error = Tool::new("build").args(["oci:x y:v1", "my root"]).within(scratch.path()).run().error();
    assert!(error.ends_with("`ocibake build 'my root' 'oci:x y:v1'`"), "{error}");
}

/// Leaving the name out would not help.
#[test]
fn a_layout_that_has_lost_its_images() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs").arg("oci:out:v1").within(scratch.path()).bake();
    let _ = Tool::new("rm").arg("oci:out:v1").within(scratch.path()).run().stdout();
    let error = Tool::new("inspect").arg("oci:out:v1").within(scratch.path()).run().error();
    assert_eq!(error.trim_end_matches("\nhint: "), "image `oci:out:v1`: the layout holds no image");
}

/// What was typed is shown as it was typed, with how it was read.
#[test]
fn settings_whose_quotes_a_shell_took_away() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (flag, value, words) in [
        ("--cmd", "[/bin/sh,-c]", &["--cmd: `[/bin/sh,-c]` is not accepted", "which a shell must get in quotes"][..]),
        ("--cmd", r#"["a""#, &[r#"--cmd: `["a"` is not accepted"#]),
        ("--entrypoint", r#"["a\u0000b"]"#, &[r"--entrypoint: `a\0b` is not accepted: text without NUL"]),
        ("--env", r#"["A=b","C=d"]"#, &[r#"--env: `["A=b","C=d"]` is not accepted"#, "found a list in JSON"]),
        ("--env", "[A=b,C=d]", &["--env: `[A=b,C=d]` is not accepted"]),
        ("--label", "[a=b]", &["--label: `[a=b]` is not accepted"]),
        ("--exclude", r#"["/usr"]"#, &["found a list in JSON"]),
    ] {
        refused(&scratch, Tool::build("rootfs").args(["oci:out", flag, value]), words);
    }
    for (name, value) in [("OCI_IMAGE_ENV_VARS", r#"["A=b"]"#), ("OCI_IMAGE_LABELS", r#"["a=b", "c=d"]"#)] {
        let words = [name, value, "found a list in JSON"];
        refused(&scratch, Tool::build("rootfs").arg("oci:out").env(name, value), &words);
    }
    let arch = |arch: &str| Tool::new("build").args(["rootfs", "oci:out", "--arch", arch]);
    for (name, hint) in [
        ("linux/arm64", "hint: write `arm64`"),
        ("linux/arm/v7", "hint: write `arm`, and set `v7` with OCI_IMAGE_SUBARCH (--variant)"),
        ("amd46", "hint: did you mean `amd64`"),
        ("armv7", "hint: did you mean `armv7l`"),
        ("arm64/", "hint: write `arm64`"),
    ] {
        refused(&scratch, arch(name), &[&format!("--arch: `{name}` is not accepted"), hint]);
    }
}

#[test]
fn lines_of_a_device_table() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (line, words) in [
        ("/dev/null c 666 0", &["table:1: ", "numbers"][..]),
        ("/dev/null c 666 0 0", &["numbers"]),
        ("/dev/null c 666 0 0 1", &["numbers"]),
        ("/dev/vda b 660 0 6 - 0", &["numbers"]),
        ("/dev/null c 666 0 0 1 x", &["`x`", "number"]),
        ("/dev/null c 666 0 0 99999 3", &["table:1: ", "99999,3", "4095"]),
        ("/dev/null c 666 4294967295 0 1 3", &["table:1: ", "4294967295"]),
    ] {
        fs::write(scratch.join("table"), format!("{line}\n")).unwrap();
        refused(&scratch, Tool::build("rootfs").args(["oci:out", "--device-table", "table"]), words);
    }
}

#[test]
fn a_rootfs_that_this_user_cannot_read_in_parts() {
    let scratch = Scratch::new();
    let directory = scratch.make_directory("nobodys");
    let rootfs = directory.join("rootfs");
    Fixture::named("small").make(&rootfs, Order::AsListed);
    if is_root() {
        let mut paths = vec![directory.clone(), rootfs.clone()];
        paths.extend(names_below(&rootfs).iter().map(|name| rootfs.join(name)));
        for path in paths {
            std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let build = || {
        let tool = Tool::build("rootfs").args(["oci:out", "out.tar"]);
        tool.behind(unprivileged_words()).within(&directory)
    };
    for path in ["root", "etc/shadow", "usr/words", "tmp"] {
        let path = rootfs.join(path);
        let mode = path.metadata().unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let before = names_below(&directory);
        let error = build().run().error();
        let relative = path.strip_prefix(&directory).unwrap().display().to_string();
        assert!(error.contains(&format!("`{relative}`: Permission denied")), "{error}");
        assert_eq!(names_below(&directory), before);
        fs::set_permissions(&path, mode).unwrap();
    }
    // Everything belongs to this user, which causes a warning.
    let _ = build().run().digest_despite_warnings();
}

#[test]
fn names_that_mean_a_removal() {
    let scratch = Scratch::new();
    for name in [".wh.x", ".wh..wh..opq", ".wh.", "deep/.wh.dir/file"] {
        let rootfs = scratch.small_rootfs();
        let path = rootfs.join("usr").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        let first = name.find(".wh.").map(|at| name[at..].split('/').next().unwrap()).unwrap();
        refused(&scratch, Tool::build("rootfs").arg("oci:out"), &[first, "/usr/", "removal"]);
        fs::remove_dir_all(&rootfs).unwrap();
    }
}

#[test]
fn values_of_every_setting() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::write(scratch.join("bytes"), b"OCI_IMAGE_AUTHOR=caf\xe9\n").unwrap();
    for (variable, flag, value, accepted) in [
        ("OCI_IMAGE_ARCH", "--arch", "z80", &["amd64"][..]),
        ("OCI_IMAGE_ARCH", "--arch", "armv9x", &[]),
        ("OCI_IMAGE_SUBARCH", "--variant", "a b", &["auto"]),
        ("OCI_IMAGE_OS", "--os", "Linux", &["linux"]),
        ("OCI_IMAGE_TAG", "--tag", "-v1", &["ref name"]),
        ("OCI_IMAGE_TAG", "--tag", "a/../b", &["ref name"]),
        ("OCI_IMAGE_ENTRYPOINT", "--entrypoint", "sh 'unclosed", &["shell words"]),
        ("OCI_IMAGE_CMD", "--cmd", "\"", &["shell words"]),
        ("OCI_IMAGE_CMD", "--cmd", r#"["/bin/sh", "-c""#, &["JSON"]),
        ("OCI_IMAGE_ENTRYPOINT", "--entrypoint", "['/bin/sh']", &["JSON"]),
        ("OCI_IMAGE_HEALTHCHECK", "--healthcheck", r#"["CMD", 1]"#, &["JSON"]),
        ("OCI_IMAGE_WORKINGDIR", "--working-dir", "srv", &["absolute"]),
        ("OCI_IMAGE_VOLUMES", "--volume", "/a/../b", &["absolute", "without `..`"]),
        ("OCI_IMAGE_RUNTIME_UID", "--user", "a b", &["USER[:GROUP]"]),
        ("OCI_IMAGE_RUNTIME_UID", "--user", "4294967295", &["USER[:GROUP]"]),
        ("OCI_IMAGE_STOPSIGNAL", "--stop-signal", "SIGWHAT", &["SIGTERM"]),
        ("OCI_IMAGE_STOPSIGNAL", "--stop-signal", "65", &["SIGTERM"]),
        ("OCI_IMAGE_PORTS", "--port", "70000", &["PORT"]),
        ("OCI_IMAGE_PORTS", "--port", "80/icmp", &["PORT"]),
        ("OCI_IMAGE_VOLUMES", "--volume", "data", &["absolute"]),
        ("OCI_IMAGE_LABELS", "--label", "novalue", &["key=value"]),
        ("OCI_IMAGE_LABELS", "--label", "=x", &["key=value"]),
        ("OCI_IMAGE_ENV_VARS", "--env", "novalue", &["key=value"]),
        ("OCI_IMAGE_ANNOTATIONS", "--annotation", "novalue", &["key=value"]),
        ("OCI_IMAGE_HEALTHCHECK", "--healthcheck", "CMD-SHELL", &["CMD-SHELL"]),
        ("OCI_IMAGE_HEALTHCHECK_INTERVAL", "--healthcheck-interval", "30", &["30s"]),
        ("OCI_IMAGE_HEALTHCHECK_RETRIES", "--healthcheck-retries", "0", &["whole number"]),
        ("OCI_IMAGE_MEMORY", "--memory", "much", &["bytes"]),
        ("OCI_IMAGE_CPU_SHARES", "--cpu-shares", "1", &["262144"]),
        ("OCI_IMAGE_CREATED", "--created", "yesterday", &["RFC 3339"]),
        ("OCI_IMAGE_CREATED", "--created", "2018-02-30T00:00:00Z", &["RFC 3339"]),
        ("OCI_IMAGE_COMPRESSION", "--compression", "bzip2", &["gzip", "zstd"]),
        ("OCI_IMAGE_COMPRESSION", "--compression", "gzip:99", &["gzip"]),
        ("OCI_IMAGE_EXCLUDE", "--exclude", "a[", &[]),
    ] {
        let mut build = Tool::new("build").args(["rootfs", "oci:out", "out.tar"]);
        if flag != "--arch" {
            build = build.args(["--arch", "amd64"]);
        }
        let words: Vec<&str> = [flag].into_iter().chain(accepted.iter().copied()).collect();
        refused(&scratch, build.args([flag, value]), &words);
        let build = Tool::new("build").args(["rootfs", "oci:out", "out.tar"]).env("OCI_IMAGE_ARCH", "amd64");
        let words: Vec<&str> = [variable].into_iter().chain(accepted.iter().copied()).collect();
        refused(&scratch, build.env(variable, value), &words);
    }
    let build = || Tool::build("rootfs").args(["oci:out", "out.tar"]);
    refused(&scratch, build().env("SOURCE_DATE_EPOCH", "1.5"), &["SOURCE_DATE_EPOCH", "`1.5`"]);
    refused(&scratch, build().args(["--vars", "bytes"]), &["bytes:1", "UTF-8"]);
    refused(&scratch, build().args(["--vars", "missing"]), &["`missing`", "No such file"]);
    refused(&scratch, build().args(["--vars", "rootfs"]), &["`rootfs`"]);
}

#[test]
fn values_of_every_other_flag() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::write(scratch.join("table"), "/dev/x q 0 0 0\n").unwrap();
    for (args, word) in [
        (&["--threads", "0"][..], "--threads"),
        (&["--threads", "many"], "--threads"),
        (&["--progress", "loud"], "--progress"),
        (&["--stats=xml"], "--stats"),
        (&["--owner", "root:root"], "--owner"),
        (&["--owner", "0"], "--owner"),
        (&["--owner", "0:4294967296"], "--owner"),
        (&["--owner", "0:0", "--uid-map", "0:0:1"], "--uid-map"),
        (&["--uid-map", "0:0"], "--uid-map"),
        (&["--uid-map", "0:0:0"], "--uid-map"),
        (&["--gid-map", "x:0:1"], "--gid-map"),
        (&["--uid-map", "0:0:10", "--uid-map", "5:5:10"], "--uid-map"),
        (&["--gid-map", "0:0:10", "--gid-map", "0:5:10"], "--gid-map"),
        (&["--device-table", "table"], "table:1: "),
        (&["--device-table", "missing"], "`missing`"),
        (&["--xattrs", "a["], "--xattrs"),
        (&["--xattrs", "user.*", "--no-xattrs"], "--no-xattrs"),
        (&["-v", "-q"], "--quiet"),
        (&["--unknown-flag"], "--unknown-flag"),
        (&["--archh", "x"], "--archh"),
        (&["--arch"], "--arch"),
    ] {
        refused(&scratch, Tool::build("rootfs").args(["oci:out", "out.tar"]).args(args), &[word]);
    }
    for words in [&[][..], &["rootfs"]] {
        refused(&scratch, Tool::new("build").args(words), &[]);
    }
    refused(&scratch, Tool::new("bake").arg("rootfs"), &["bake"]);
    // Without an architecture there is no platform: it is not the host's.
    refused(&scratch, Tool::new("build").args(["rootfs", "oci:out"]), &["architecture", "--arch", "OCI_IMAGE_ARCH"]);
}

#[test]
fn targets_that_cannot_be() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::write(scratch.join("file"), "x").unwrap();
    fs::write(scratch.make_directory("other").join("files"), "x").unwrap();
    let newer = scratch.make_directory("newer");
    fs::write(newer.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    fs::write(newer.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    scratch.make_directory("directory.tar");
    std::os::unix::fs::symlink("rootfs/usr", scratch.join("link")).unwrap();
    for (targets, words) in [
        (&["oci:missing/out"][..], &["`missing"][..]),
        (&["oci-archive:missing/out.tar"], &["`missing"]),
        (&["oci:file"], &["file`", "directory"]),
        (&["file"], &["`file`", "directory"]),
        (&["oci:file/out"], &["`file"]),
        (&["oci-archive:directory.tar"], &["directory.tar`", "a directory"]),
        (&["oci:other"], &["other`", "other files"]),
        (&["oci:newer"], &["newer", "1.0.0"]),
        (&["oci:rootfs/out"], &["inside of the rootfs"]),
        (&["oci-archive:rootfs/etc/out.tar"], &["inside of the rootfs"]),
        (&["oci:rootfs/etc/../out"], &["inside of the rootfs"]),
        (&["oci:link/out"], &["inside of the rootfs"]),
        (&["oci:rootfs"], &["rootfs"]),
        (&["oci:out", "oci:out"], &["`out`", "twice"]),
        (&["oci:out:a", "oci:out:b"], &["`out`", "twice"]),
        (&["out.tar", "oci-archive:out.tar:v1"], &["`out.tar`", "twice"]),
        (&["oci:out:-x"], &["ref name"]),
        (&["oci::x"], &["path"]),
        (&["docker://example.org/x"], &["`docker:`"]),
        (&["docker-archive:x.tar.bz2:app:v1"], &["`docker-archive:x.tar.bz2:app:v1`", "not written"]),
        (&["docker-archive:x.tar::v1"], &["NAME[:TAG]"]),
        (&["x.tar", "docker-archive:x.tar:app:v1"], &["`x.tar`", "twice"]),
        (&["x.tar.bz2"], &["`oci-archive:x.tar.bz2`", "not written"]),
        (&["good", "oci:missing/out"], &["`missing"]),
    ] {
        refused(&scratch, Tool::build("rootfs").args(targets), words);
    }
}

#[test]
fn an_image_that_would_become_part_of_itself() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::create_dir_all(scratch.join("rootfs/sub/deep")).unwrap();
    std::os::unix::fs::symlink("rootfs", scratch.join("link")).unwrap();
    std::os::unix::fs::symlink("../rootfs/usr", scratch.make_directory("far").join("link")).unwrap();
    let _ = Tool::build("rootfs").args(["oci:base:v1", "oci:layout:v1"]).within(scratch.path()).bake();
    // A rootfs within a layout, and a layout named through a link.
    Fixture::named("small").make(&scratch.join("layout/rootfs"), Order::AsListed);
    std::os::unix::fs::symlink("layout", scratch.join("alias")).unwrap();
    let here = scratch.path().display();
    let (absolute, archive) = (format!("oci:{here}/rootfs/x/y"), format!("oci-archive:{here}/rootfs/o.tar"));
    let upper = ["--base", "oci:base:v1", "--overlay-upper"];
    for (rootfs, targets, words) in [
        ("rootfs", &["oci:rootfs"][..], &["`oci:rootfs`", "`rootfs`", "one directory"][..]),
        ("rootfs", &["oci:rootfs:v1"], &["one directory"]),
        ("rootfs", &["oci:./rootfs/"], &["one directory"]),
        ("rootfs", &["oci:link"], &["one directory"]),
        ("link", &["oci:rootfs"], &["one directory"]),
        ("link/.", &["oci:rootfs/sub/.."], &["one directory"]),
        ("rootfs", &["good", "oci:rootfs/out"], &["inside of the rootfs"]),
        ("rootfs", &["oci:rootfs/sub/deep"], &["inside of the rootfs"]),
        ("rootfs", &["oci:far/link"], &["inside of the rootfs"]),
        ("rootfs", &["oci:far/link/out"], &["inside of the rootfs"]),
        ("rootfs", &["oci:link/out"], &["inside of the rootfs"]),
        ("link", &[&absolute], &["inside of the rootfs"]),
        ("link", &[&archive], &["inside of the rootfs"]),
        ("rootfs", &["far/link/out.tar"], &["inside of the rootfs"]),
        ("rootfs", &["docker-archive:rootfs/out.tar:app:v1"], &["inside of the rootfs"]),
        ("layout/rootfs", &["oci:layout:v2"], &["`layout/rootfs` is inside of the target `oci:layout:v2`"]),
        ("layout/rootfs", &["oci:alias"], &["inside of the target"]),
    ] {
        refused(&scratch, Tool::build(rootfs).args(targets), words);
        if words.iter().all(|word| !word.contains("`rootfs`")) {
            let tool = Tool::new("build").args(targets).args(upper).arg(rootfs);
            refused(&scratch, tool, &words[words.len() - 1..]);
        }
    }
    refused(
        &scratch,
        Tool::build("rootfs").args(["oci:out", "--base", "oci:base", "--cache", "link/c"]),
        &["cache", "inside"],
    );

    // An archive that is both read and written.
    let tar = crate::harness::tar_of(&[crate::harness::Member::File("a", "1")]);
    fs::write(scratch.join("root.tar"), &tar).unwrap();
    fs::hard_link(scratch.join("root.tar"), scratch.join("name.tar")).unwrap();
    for target in ["root.tar", "oci-archive:./root.tar", "docker-archive:name.tar:app:v1"] {
        refused(&scratch, Tool::build("root.tar").arg(target), &["`root.tar` are one file"]);
    }
    assert_eq!(fs::read(scratch.join("root.tar")).unwrap(), tar);
    // A target next to the rootfs is allowed, and an archive in a layout directory.
    fs::write(scratch.join("layout/root.tar"), &tar).unwrap();
    let _ = Tool::build("layout/root.tar").arg("oci:layout:v3").within(scratch.path()).bake();
}

#[test]
fn an_image_that_is_given_as_the_rootfs() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs")
        .args(["oci:image:v1", "image.tar", "docker-archive:docker.tar:app:v1", "docker-archive:old.tar:app:v1"])
        .args(["packed.tar.xz"])
        .within(scratch.path())
        .bake();
    std::os::unix::fs::symlink("image", scratch.join("link")).unwrap();
    for (rootfs, location) in [
        ("image", "oci:image"),
        ("./image/", "oci:./image/"),
        ("link", "oci:link"),
        ("oci:image:v1", "oci:image:v1"),
        ("oci:nowhere", "oci:nowhere"),
        ("image.tar", "oci-archive:image.tar"),
        ("packed.tar.xz", "oci-archive:packed.tar.xz"),
        ("docker.tar", "docker.tar"),
        ("docker-archive:docker.tar", "docker-archive:docker.tar"),
    ] {
        for words in [
            &["a root filesystem is wanted, found an image", location][..],
            &["--base", "ocibake convert", "ocibake config"],
        ] {
            refused(&scratch, Tool::build(rootfs).arg("oci:out"), words);
        }
    }
    refused(
        &scratch,
        Tool::new("build").args(["oci:out", "--base", "oci:image", "--overlay-upper", "image"]),
        &["an image"],
    );
    // This is reported before missing settings.
    for (rootfs, words) in [
        ("oci:image:v1", "found an image"),
        ("image", "found an image layout"),
        ("docker://alpine", "skopeo copy docker://alpine"),
        ("nowhere", "cannot read the rootfs `nowhere`"),
        ("nowhere", "hint: it is a directory or a tar archive, or `-` for an archive on standard input"),
    ] {
        refused(&scratch, Tool::new("build").args([rootfs, "oci:out"]), &[words]);
    }
    // A rootfs may well have files of such names.
    for name in ["index.json", "manifest.json", "oci-layout"] {
        fs::write(scratch.join("rootfs").join(name), "{}").unwrap();
        let _ = Tool::build("rootfs").arg("oci:out").within(scratch.path()).bake();
        fs::remove_file(scratch.join("rootfs").join(name)).unwrap();
    }
}

/// A file of the kernel differs in size from its `lstat`, without any race.
#[test]
fn a_file_that_is_shorter_than_it_was() {
    let scratch = Scratch::new();
    let rootfs = Path::new("/sys/devices/virtual/net/lo");
    if !rootfs.is_dir() {
        crate::harness::missing("sysfs");
        return;
    }
    for threads in ["1", "4"] {
        let tool = Tool::build(rootfs).args(["oci:out", "out.tar", "--threads", threads]);
        refused(&scratch, tool, &["/addr_assign_type: file changed while it was read: size should be 4096"]);
    }
}

/// Changes a file of a rootfs after the scan, before the file is read: the run is stopped in between, in another file
/// that takes long.
#[test]
fn a_file_that_grows_or_shrinks_after_the_scan() {
    for (file, from, to) in
        [("b", 100_000, 100_001), ("b", 100_000, 99_999), ("b", 1 << 21, 1 << 20), ("a", 1 << 29, 1)]
    {
        let scratch = Scratch::new();
        let rootfs = scratch.small_rootfs();
        let open = |name: &str| fs::File::create(rootfs.join(name)).unwrap();
        open("a").set_len(1 << 29).unwrap();
        open("b").set_len(from).unwrap();
        let before = names_below(scratch.path());

        let mut running = Tool::build(&rootfs).oci(&scratch.join("out")).args(["--compression", "zstd:1"]).start();
        until_it_writes(&mut running, scratch.path());
        running.signal(Signal::STOP);
        fs::OpenOptions::new().write(true).open(rootfs.join(file)).unwrap().set_len(to).unwrap();
        running.signal(Signal::CONT);
        let error = running.wait().error();
        let is_named = error.contains(&format!("/{file}"));
        assert!(is_named && error.contains("file changed while it was read"), "{error}");
        assert_eq!(names_below(scratch.path()), before);
    }
}

#[test]
fn a_full_disk() {
    let scratch = Scratch::new();
    // 300 kB of noise do not compress.
    let rootfs = scratch.join("rootfs");
    Fixture::parse("d 0755 - 1 /\nf 0644 - 1 /f noise 3000000").make(&rootfs, Order::AsListed);
    // This works without root: no file may grow over 100 KiB, and the signal for it is ignored.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""];
    for target in ["oci:out", "out.tar"] {
        refused(&scratch, Tool::build("rootfs").arg(target).behind(limited), &["File too large"]);
    }

    if !root() {
        return;
    }
    let Some(mount) = Peer::find("mount") else { return };
    let disk = scratch.make_directory("disk");
    let mounted = mount.command().args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk).output().unwrap();
    if !mounted.status.success() {
        crate::harness::missing("the right to mount");
        return;
    }
    let unmount = Unmount(&disk);
    let build = |targets: &[&str]| Tool::build("rootfs").args(targets);
    for targets in
        [&["oci:disk/out"][..], &["disk/out.tar"], &["oci:out", "oci:disk/out"], &["disk/out.tar", "out.tar"]]
    {
        refused(&scratch, build(targets), &["No space left on device", "hint: "]);
    }
    // More blocks than wait for the disk: the error is told again to who sends the next.
    Fixture::parse("d 0755 - 1 /\nf 0644 - 1 /f noise 30000000").make(&scratch.join("large"), Order::AsListed);
    let full = "cannot write `disk/out`: No space left on device\nhint: free some space";
    assert!(Tool::build("large").arg("oci:disk/out").within(scratch.path()).run().error().starts_with(full));
    // An existing layout does not change.
    let small = scratch.rootfs("small", "small");
    let _ = Tool::build(&small).arg("oci:disk/out").within(scratch.path()).bake();
    let before = crate::harness::bytes_of(&disk);
    refused(&scratch, build(&["oci:disk/out:more"]), &["No space left on device"]);
    assert!(crate::harness::bytes_of(&disk) == before);
    drop(unmount);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_target_directory_that_this_user_cannot_write() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let directory = scratch.make_directory("nobodys");
    if !is_root() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    }
    fs::set_permissions(rootfs.join("etc/shadow"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(rootfs.join("root"), fs::Permissions::from_mode(0o755)).unwrap();
    for target in ["oci:nobodys/out", "nobodys/out.tar"] {
        let tool = Tool::build("rootfs").arg(target).behind(unprivileged_words());
        refused(&scratch, tool, &["nobodys", "Permission denied"]);
    }
    if !is_root() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_file_that_a_flag_names_is_told_with_the_flag() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs").arg("oci:out:v1").within(scratch.path()).bake();
    let not_there = "cannot read `nope`: No such file or directory\nhint: ";
    for (verb, flag) in [
        ("build rootfs oci:out --arch amd64", "--vars"),
        ("build rootfs oci:out --arch amd64", "--package-map"),
        ("build rootfs oci:out --arch amd64", "--device-table"),
        ("plan rootfs", "--vars"),
        ("plan rootfs", "--package-map"),
        ("plan rootfs", "--update"),
        ("report oci:out:v1", "--package-map"),
    ] {
        let mut words = verb.split(' ');
        let tool = Tool::new(words.next().unwrap()).args(words).args([flag, "nope"]);
        let tool = if flag == "--update" { tool.args(["--old", "oci:out:v1"]) } else { tool };
        let said = tool.within(scratch.path()).run().error();
        assert_eq!(said, format!("{flag}: {not_there}"), "{verb}");
    }
    let plan = Tool::build("rootfs").args(["oci:out", "--layers", "@nope"]).within(scratch.path());
    assert!(plan.run().error().contains("cannot read the plan `nope`: No such file or directory\n"));
    fs::write(scratch.join("table"), b"/dev/\xff c 600 0 0 1 1\n").unwrap();
    let table = Tool::build("rootfs").args(["oci:out", "--device-table", "table"]).within(scratch.path());
    assert_eq!(table.run().error(), "table: it is not UTF-8\nhint: ");
}

#[test]
fn man_pages_go_to_a_directory_and_no_parent_is_made() {
    let scratch = Scratch::new();
    fs::write(scratch.join("f.txt"), "").unwrap();
    std::os::unix::fs::symlink("gone", scratch.join("dangling")).unwrap();
    for (place, expected) in [
        ("no/such/dir", "cannot create `no/such/dir`: No such file or directory\nhint: "),
        ("f.txt", "`f.txt`: a directory is wanted, found a file\nhint: "),
        ("f.txt/man", "cannot create `f.txt/man`: Not a directory\nhint: "),
        ("dangling", "`dangling`: a directory is wanted, found a link that leads nowhere\nhint: "),
    ] {
        assert_eq!(Tool::new("man").arg(place).within(scratch.path()).run().error(), expected);
    }
    assert_eq!(names_below(scratch.path()), ["dangling", "f.txt"]);
    // As `mkdir -p` leaves it.
    scratch.make_directory("man1");
    assert_eq!(Tool::new("man").arg("man1/").within(scratch.path()).run().stdout(), "");
}
