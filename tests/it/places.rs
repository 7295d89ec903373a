use std::fs;

use crate::harness::{bytes_of, names_below, Layout, Peer, Scratch, Tool};

/// The argument, words of the error, and words of the hint.
type Case = (&'static str, &'static [&'static str], &'static str);

/// Arguments that look like something other than a place, both as a target and as an image.
const MISTAKEN: &[Case] = &[
    ("docker-archive:app.tar:my..app:v1", &["the path `app.tar` and the name `my..app:v1`", "no name"], ""),
    ("oci:out:app~x:1", &["the path `out` and the name `app~x:1`", "no ref name"], ""),
    ("oci-archive:out.tar:a b:c", &["the path `out.tar` and the name `a b:c`"], ""),
    ("out.tar:a..b:v1", &["the path `out.tar` and the name `a..b:v1`"], ""),
    ("out:v1:", &["the path `out` and the name `v1:`"], ""),
    ("docker-archive:out.tar.gz:App/x:v1 ", &["the path `out.tar.gz` and the name `App/x:v1 `"], ""),
    ("localhost:5000/app:v1", &["`localhost:5000/app:v1`", "registry"], "docker://localhost:5000/app:v1"),
    ("registry.example/team/app", &["registry"], "docker://registry.example/team/app"),
    ("docker://registry.example/app:v1", &["`docker:`"], "docker://registry.example/app:v1"),
    ("docker-daemon:app:v1", &["`docker-daemon:`"], "docker-daemon:app:v1"),
    ("dir:x2", &["`dir:`"], "dir:x2"),
    ("OCI:x2", &["`OCI:`", "`oci:DIR[:REF]`"], "`oci:x2`"),
    ("oic:x2:v1", &["`oic:`", "`oci:DIR[:REF]`"], "`oci:x2:v1`"),
    ("oci://x2:v1", &["no `//`"], "`oci:x2:v1`"),
    ("oci-archive:///x.tar", &["no `//`"], "`oci-archive:/x.tar`"),
    ("docker_archive:x.tar:app", &["`docker_archive:`"], "`docker-archive:x.tar:app`"),
    ("tar:x.tar:v1", &["`tar:`"], "`oci-archive:x.tar:v1`"),
    ("archive:x.tar", &["`archive:`"], "`oci-archive:x.tar`"),
    ("file:x", &["`file:`"], "`oci:x`"),
    ("containers-storage:app:v1", &["`containers-storage:`"], "containers-storage:app:v1"),
    ("ostree:x", &["`ostree:`"], "ostree:x"),
    ("sif:x", &["`sif:`"], "sif:x"),
    ("out.tar.lz4", &["`.tar.lz4`"], ""),
    ("out.zip:v1", &["`.zip`"], ""),
    ("out.tar.gz.xz:v1", &["`.tar.gz.xz`"], ""),
    ("out.tar.gpg", &["`.tar.gpg`"], ""),
    ("out.tar.old", &["`.tar.old`"], ""),
    ("out.tar.gz.tmp", &["`.tar.gz.tmp`"], ""),
    ("out.tar.sha256:v1", &["`.tar.sha256`"], ""),
    ("out.tar.", &["`.tar.`"], ""),
    ("out.tar.d", &["`.tar.d`"], ""),
    ("out.xz", &["`.xz`"], ""),
    ("out.iso", &["`.iso`"], ""),
    ("out.img", &["`.img`"], ""),
    ("docker-archve:a.tar:v1", &["`docker-archve:`"], "did you mean `docker-archive:a.tar:v1`"),
    ("docker-archiv:a.tar", &["`docker-archiv:`"], "did you mean `docker-archive:a.tar`"),
    ("docker-arhcive:a.tar", &["`docker-arhcive:`"], "did you mean `docker-archive:a.tar`"),
    ("oci-archve:a.tar", &["`oci-archve:`"], "did you mean `oci-archive:a.tar`"),
    ("oci-archiv:a.tar", &["`oci-archiv:`"], "did you mean `oci-archive:a.tar`"),
    ("oci-archives:a.tar", &["`oci-archives:`"], "did you mean `oci-archive:a.tar`"),
    ("ocl:x2", &["`ocl:`"], "did you mean `oci:x2`; if it is a directory and a name, write `oci:ocl:x2`"),
    ("ocia:x2", &["`ocia:`"], "did you mean `oci:x2`"),
    ("docke:app", &["`docke:`"], "did you mean `docker:`, then "),
    ("-", &["`-`", "standard"], "`"),
    ("oci:-", &["`oci:-`", "directory"], "`oci:./-`"),
    ("oci:-:v1", &["`oci:-:v1`"], "`oci-archive:-`"),
];

#[test]
fn what_looks_like_something_else_is_never_a_path() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs").arg("oci:good:v1").within(scratch.path()).bake();
    let before = bytes_of(scratch.path());
    for &(text, words, hint) in MISTAKEN {
        for (role, tool) in [
            ("target", Tool::build("rootfs").arg(text)),
            ("target", Tool::new("convert").args(["oci:good:v1", text])),
            ("target", Tool::new("squash").args(["oci:good:v1", text])),
            ("target", Tool::new("index").args(["oci:good:v1", text])),
            ("image", Tool::new("inspect").arg(text)),
            ("image", Tool::new("tag").args([text, "v2"])),
            ("image", Tool::new("convert").args([text, "oci:out"])),
            ("image", Tool::new("index").args([text, "oci:out"])),
            ("image", Tool::build("rootfs").args(["oci:out", "--base", text])),
        ] {
            let outcome = tool.within(scratch.path()).run();
            let said = outcome.stderr().to_owned();
            let (error, hinted) = said.split_once('\n').unwrap();
            assert_eq!(outcome.code(), 2, "{role} {text}: {said}");
            assert!(error.contains(&format!("{role} `{text}`")), "{role} {text}: {said}");
            for word in words {
                assert!(error.contains(word), "no {word}: {said}");
            }
            assert!(hinted.contains(hint), "no {hint}: {said}");
        }
        assert!(bytes_of(scratch.path()) == before, "{text} was written");
    }
}

/// Where a path is wanted, a location is not taken for a strange name.
#[test]
fn a_location_is_no_path() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs").arg("oci:good:v1").within(scratch.path()).bake();
    let before = bytes_of(scratch.path());
    for place in ["oci:z", "oci-archive:z.tar", "docker://host/z", "dir:z", "tar:z", "file:z", "containers-storage:z"] {
        for tool in [
            Tool::new("unpack").args(["oci:good:v1", place]),
            Tool::build(place).arg("oci:out"),
            Tool::build("rootfs").args(["oci:out", "--cache", place]),
            Tool::new("convert").args(["oci:good:v1", "oci:out", "--compression", "zstd", "--cache", place]),
            Tool::new("cache").arg(place),
            Tool::new("man").arg(place),
            Tool::new("cat").args(["oci:good:v1", "etc/hostname", "-o", place]),
            Tool::new("report").args(["oci:good:v1", "-o", place]),
        ] {
            let outcome = tool.within(scratch.path()).run();
            assert_eq!(outcome.code(), 2, "{}: {}", outcome.shown(), outcome.stderr());
            let (error, hint) = outcome.stderr().split_once('\n').unwrap();
            assert!(error.contains(place) && hint.starts_with("hint: "), "{}: {error} {hint}", outcome.shown());
        }
        assert!(bytes_of(scratch.path()) == before, "{place} was written");
    }
    for name in ["./oci:z", "./tar:z"] {
        let _ = Tool::new("unpack").args(["oci:good:v1", name, "--rootless"]).within(scratch.path()).run().stdout();
        assert!(scratch.join(name).join("etc").is_dir());
    }
}

/// The command in the hint carries the image there.
#[test]
fn the_hint_for_a_registry_can_be_typed() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let Some(registry) = crate::harness::Registry::start(&scratch) else { return };
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let there = registry.image("team/app:v1");
    let named = there.strip_prefix("docker://").unwrap();
    let commands = |tool: Tool| -> Vec<String> {
        let outcome = tool.within(scratch.path()).run();
        let said = outcome.stderr().to_owned();
        said.split('`').filter_map(|words| words.strip_prefix("skopeo copy ")).map(str::to_owned).collect()
    };
    let _ = Tool::build("rootfs").arg("oci:app:v1").within(scratch.path()).bake();
    let mut copies = commands(Tool::build("rootfs").arg(named));
    assert_eq!(copies, [format!("oci:app:v1 {there}")]);
    copies.extend(commands(Tool::new("inspect").arg(named)));
    assert_eq!(copies[1], format!("{there} oci:app:v1"));
    for copy in copies {
        let mut command = skopeo.command();
        command.args(["copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        skopeo.finish({
            command.args(copy.split(' ')).current_dir(scratch.path());
            command
        });
    }
    let _ = Tool::new("inspect").arg("oci:app:v1").within(scratch.path()).run().stdout();
}

#[test]
fn what_is_on_disk_is_meant() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    scratch.make_directory("with:colon");
    scratch.make_directory("layout:1");
    let build = |target: &str| Tool::build("rootfs").arg(target).within(scratch.path()).bake();
    for (target, path, names) in [
        ("oci:with:colon/out:v1", "with:colon/out", &["v1"][..]),
        ("with:colon/bare", "with:colon/bare", &["latest"]),
        ("oci:layout:1:v1", "layout:1", &["v1"]),
        ("oci:./dir:x", "dir", &["x"]),
        ("./OCI:x2", "OCI", &["x2"]),
        ("./localhost:5000/app:v1", "localhost", &["5000/app:v1"]),
        ("oci:./-:v1", "-", &["v1"]),
        ("oci:out.zip", "out.zip", &["latest"]),
        ("oci:out.tar.d", "out.tar.d", &["latest"]),
        ("out.oci", "out.oci", &["latest"]),
        ("out.tar.d:v2", "out.tar.d", &["latest", "v2"]),
        ("ci:v1", "ci", &["v1"]),
        ("oci2:v1", "oci2", &["v1"]),
        // Those are there now.
        ("out.zip:v2", "out.zip", &["latest", "v2"]),
        ("layout:1:v2", "layout:1", &["v1", "v2"]),
        ("./tar:v1", "tar", &["v1"]),
        ("tar:v2", "tar", &["v1", "v2"]),
        ("dir:y", "dir", &["x", "y"]),
    ] {
        let digest = build(target);
        let refs = Layout::at(&scratch.join(path)).refs();
        assert_eq!(refs.keys().collect::<Vec<_>>(), names, "{target}");
        assert!(refs.values().any(|found| *found == digest), "{target}");
    }
    // Archives by other endings.
    for target in ["a.oci-archive", "A.TAR", "b.tgz:v1", "docker-archive:with:colon/-:app:v1"] {
        let digest = build(target);
        let image = Tool::new("inspect").args([target, "--json"]).within(scratch.path()).run().json();
        assert_eq!(image["digest"], digest.as_str(), "{target}");
    }
    assert!(scratch.join("A.TAR").is_file() && scratch.join("-").is_dir());
    assert_eq!(fs::read(scratch.join("b.tgz")).unwrap()[..2], [0x1f, 0x8b]);
}

/// A run whose standard output goes to a file.
fn into(tool: Tool, scratch: &Scratch, file: &str) -> Tool {
    tool.within(scratch.path()).behind(["sh", "-c", &format!("exec \"$0\" \"$@\" > {file}")])
}

#[test]
fn an_archive_goes_to_standard_output_and_all_talk_beside_it() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let runs = [
        ("docker-archive:-:app:v1", Tool::build("rootfs").args(["docker-archive:-:app:v1", "oci:out:v1"])),
        ("oci-archive:-", Tool::build("rootfs").arg("oci-archive:-")),
        ("oci-archive:-:v2", Tool::new("convert").args(["oci:out:v1", "oci-archive:-:v2"])),
        ("docker-archive:-:app", Tool::new("squash").args(["oci:out:v1", "docker-archive:-:app"])),
        ("oci-archive:-:v3", Tool::new("index").args(["oci:out:v1", "oci-archive:-:v3"])),
    ];
    for (stream, tool) in runs {
        let outcome = into(tool, &scratch, "streamed.tar").run();
        assert_eq!(outcome.code(), 0, "{stream}: {}", outcome.stderr());
        let digest = outcome.stderr().trim_end().to_owned();
        let place = stream.replacen(":-", ":streamed.tar", 1);
        let image = Tool::new("inspect").args([&place, "--json"]).within(scratch.path()).run().json();
        assert!(
            digest == image["digest"].as_str().unwrap() || image["index"] == digest.as_str() || stream.ends_with("v3")
        );
        // The same bytes as in a file, and nothing after them.
        let file = stream.replacen(":-", ":file.tar", 1);
        if stream == "oci-archive:-" {
            let _ = Tool::build("rootfs").arg(&file).within(scratch.path()).bake();
            assert!(fs::read(scratch.join("file.tar")).unwrap() == fs::read(scratch.join("streamed.tar")).unwrap());
            fs::remove_file(scratch.join("file.tar")).unwrap();
        }
        let _ = Tool::new("verify").arg(&place).within(scratch.path()).run().stdout();
    }
    let mut names = names_below(scratch.path());
    names.retain(|name| !name.contains('/'));
    assert_eq!(names, ["streamed.tar"], "nothing is left of what was staged");
}

#[test]
fn a_report_in_json_stands_beside_a_stream_too() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let outcome = into(Tool::build("rootfs").args(["oci-archive:-", "--json"]), &scratch, "streamed.tar").run();
    let report: serde_json::Value = serde_json::from_str(outcome.stderr()).unwrap();
    assert_eq!(report["targets"][0]["target"], "oci-archive:-");
}

#[test]
fn a_reader_of_a_stream_that_goes_away_is_an_error_and_no_other_target_changes() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let script = "set -o pipefail; \"$0\" \"$@\" | true";
    let Some(bash) = Peer::find("bash") else { return };
    let bash = bash.path().to_str().unwrap();
    // More than a pipe holds.
    fs::write(scratch.join("rootfs/large"), vec![7; 1 << 20]).unwrap();
    let tool = Tool::build("rootfs").args(["docker-archive:-:app:v1", "oci:out", "--compression", "none"]);
    let outcome = tool.within(scratch.path()).behind([bash, "-c", script]).run();
    assert_eq!(outcome.code(), 2, "{}", outcome.stderr());
    assert!(outcome.stderr().contains("cannot write to stdout: Broken pipe"), "{}", outcome.stderr());
    let mut names = names_below(scratch.path());
    names.retain(|name| !name.starts_with("rootfs/"));
    assert_eq!(names, Vec::<String>::new());
}

#[test]
fn what_a_stream_cannot_have() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (directory, args, words) in [
        (".", &["rootfs", "oci-archive:-", "--checksum"][..], "no target is one"),
        (".", &["rootfs", "oci-archive:-", "docker-archive:-:app:v1"], "cannot both go to stdout"),
        ("rootfs", &[".", "oci-archive:-"], "inside of the rootfs"),
    ] {
        let tool = Tool::new("build").args(args).args(["--arch", "amd64"]);
        let error = tool.within(&scratch.join(directory)).run().error();
        assert!(error.contains(words), "{error}");
    }
}
