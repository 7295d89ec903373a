use std::fs;

use serde_json::{json, Value};

use crate::harness::{names_below, sha256, Layout, Peer, Scratch, Terminal, Tool};

pub(crate) const VERBS: &[&str] = &[
    "build",
    "inspect",
    "unpack",
    "cat",
    "verify",
    "diff",
    "squash",
    "convert",
    "index",
    "config",
    "attach",
    "plan",
    "report",
    "ls",
    "tag",
    "rm",
    "gc",
    "cache",
    "platform",
    "completions",
    "man",
];

/// An image of the small rootfs in `out`, named `v1`, and its digest.
fn image(scratch: &Scratch) -> String {
    let tool = Tool::build(scratch.small_rootfs()).target("oci", &scratch.join("out"), "v1");
    tool.args(["--owner", "0:0", "--cmd", "/bin/sh -l", "--label", "a=b"]).bake()
}

/// A run in the scratch directory, where the image is `oci:out:v1`.
fn run(scratch: &Scratch, words: &[&str]) -> Tool {
    Tool::new(words[0]).args(&words[1..]).within(scratch.path())
}

#[test]
fn build_says_on_stderr_what_it_does_and_nothing_unless_asked() {
    let scratch = Scratch::new();
    let digest = image(&scratch);
    let said = |args: &[&str]| {
        let outcome = run(&scratch, &["build", "rootfs", "oci:out", "--arch=amd64", "--owner=0:0"]).args(args).run();
        let said = outcome.stderr().to_owned();
        let stdout = outcome.stdout();
        assert!(stdout.starts_with("sha256:") || stdout.starts_with('{'), "{stdout}");
        said
    };
    assert_eq!(said(&[]), "");
    assert_eq!(said(&["-q"]), "");
    assert_eq!(said(&["--progress=none"]), "");

    let steps = said(&["-v"]);
    assert!(steps.lines().count() >= 3 && steps.lines().all(|line| line.starts_with("ocibake: ")), "{steps}");

    // BitBake's task progress looks for the last `(\d+)%`.
    let percent = said(&["--progress=percent"]);
    let numbers: Vec<u32> = percent.lines().map(|line| line.strip_suffix('%').unwrap().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert_eq!((numbers.first(), numbers.last()), (Some(&0), Some(&100)), "{numbers:?}");

    for name in ["entries", "content", "tar", "layer", "threads", "scan", "read", "hash", "compress", "peak memory"] {
        assert!(said(&["--stats"]).lines().any(|line| line.starts_with(name)), "{name}");
    }
    // Each time is marked as wall time or CPU time.
    for line in said(&["--stats"]).lines().filter(|line| line.contains(" s ")) {
        let wall = ["scan", "compare", "total"].iter().any(|name| line.starts_with(name));
        assert!(line.contains(if wall { " s wall" } else { " s CPU" }), "{line}");
    }
    let stats: Value = serde_json::from_str(&said(&["--stats=json", "--threads=3"])).unwrap();
    assert_eq!(stats["entries"], 12);
    assert_eq!(stats["threads"], 3);
    assert_eq!(stats["content_bytes"], 30_000 + 5 + 26 + 20_000);
    for name in ["scan_seconds", "read_seconds", "hash_seconds", "compress_seconds", "total_seconds"] {
        assert!(stats[name].as_f64().is_some_and(|seconds| (0.0..600.0).contains(&seconds)), "{name} in {stats}");
    }
    assert!(stats["peak_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{stats}");
    assert_eq!(Layout::at(&scratch.join("out")).refs()["v1"], digest);
}

#[test]
fn build_reports_in_json_what_it_made() {
    let scratch = Scratch::new();
    let tool = Tool::build(scratch.small_rootfs()).target("oci", &scratch.join("out"), "v1");
    let report = tool.args(["--json", "--created", "0", "--variant", "v2"]).run().json();
    let image = Layout::at(&scratch.join("out")).image("v1");
    let layer = &image.manifest["layers"][0];
    let size = |descriptor: &Value| descriptor["size"].as_u64().unwrap();
    for (member, value) in [
        ("digest", json!(image.digest())),
        ("platform", json!("linux/amd64/v2")),
        ("created", json!("1970-01-01T00:00:00Z")),
        ("size", json!(size(&image.descriptor) + size(&image.manifest["config"]) + size(layer))),
        ("layers", json!([{"digest": layer["digest"], "diff_id": image.diff_id(), "size": layer["size"]}])),
        ("targets", json!([{"target": format!("oci:{}", scratch.join("out").display()), "refs": ["v1"]}])),
        ("warnings", json!([])),
    ] {
        assert_eq!(report[member], value, "{member}");
    }
    assert_eq!(report["stats"]["tar_bytes"], image.stream().len() as u64);
    assert_eq!(report["stats"]["layer_bytes"], layer["size"]);
}

#[test]
fn inspect_shows_a_person_one_screen_and_a_program_an_object() {
    let scratch = Scratch::new();
    let digest = image(&scratch);
    let shown = run(&scratch, &["inspect", "oci:out:v1"]).run().stdout();
    for word in ["v1", &digest, "linux/amd64", "2018-03-09T12:34:56Z", "/bin/sh -l", "gzip", "a=b"] {
        assert!(shown.contains(word), "no {word} in\n{shown}");
    }
    assert!(shown.lines().count() <= 24, "{shown}");

    let files = run(&scratch, &["inspect", "oci:out:v1", "--files"]).run().stdout();
    let line = files.lines().find(|line| line.contains("/etc/shadow")).unwrap_or_else(|| panic!("{files}"));
    for word in ["-rw-------", "0:0", "26", "2018-03-09T12:34:51Z"] {
        assert!(line.split_whitespace().any(|found| found == word), "no {word} in {line}");
    }
    let largest = run(&scratch, &["inspect", "oci:out:v1", "--largest", "3"]).run().stdout();
    assert!(largest.contains("/bin/busybox") && !largest.contains("/usr/words"), "{largest}");

    let object = run(&scratch, &["inspect", "oci:out:v1", "--json", "--files", "--largest", "1"]).run().json();
    assert_eq!(object["digest"], digest.as_str());
    assert_eq!(object["refs"], json!(["v1"]));
    assert_eq!(object["files"].as_array().map(Vec::len), Some(12));
    assert_eq!(object["config"]["Cmd"], json!(["/bin/sh", "-l"]));
    let mtab = object["files"].as_array().unwrap().iter().find(|file| file["path"] == "/etc/mtab").unwrap();
    assert_eq!((&mtab["target"], &mtab["mode"]), (&json!("../proc/self/mounts"), &json!("0777")));
}

#[test]
fn inspect_shows_which_platforms_there_are() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for arch in ["amd64", "arm64"] {
        let _ = run(&scratch, &["build", "rootfs", &format!("oci:{arch}:v1"), "--arch", arch, "--created", "1"]).bake();
    }
    let index = ["index", "oci:amd64:v1", "oci:arm64:v1", "oci:out:all", "--annotation", "a=b"];
    let digest = run(&scratch, &index).bake();
    fs::write(scratch.join("bill"), "{}").unwrap();
    let _ = run(&scratch, &["attach", "oci:out:all", "bill", "--type", "text/plain"]).bake();
    let of = |arch: &str| run(&scratch, &["inspect", &format!("oci:{arch}:v1"), "--json"]).run().json();

    let shown = run(&scratch, &["inspect", "oci:out:all"]).run().stdout();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "oci:out:all");
    for (number, text) in [(1, "refs         all"), (2, &format!("digest       {digest}")[..]), (3, "annotation   a=b")]
    {
        assert_eq!(lines[number].trim_start(), text, "{shown}");
    }
    assert_eq!(lines[4], "images");
    for (line, arch, platform) in [(lines[5], "amd64", "linux/amd64 "), (lines[6], "arm64", "linux/arm64/v8 ")] {
        assert!(line.trim_start().starts_with(platform), "{shown}");
        assert!(line.ends_with(of(arch)["digest"].as_str().unwrap()), "{shown}");
    }
    assert!(lines[7] == "attached" && lines[8].contains("text/plain"), "{shown}");

    let report = run(&scratch, &["inspect", "oci:out:all", "--json"]).run().json();
    assert_eq!(report["digest"], digest.as_str());
    assert_eq!(report["annotations"], json!({"a": "b"}));
    for (number, arch, platform) in [(0, "amd64", "linux/amd64"), (1, "arm64", "linux/arm64/v8")] {
        let (found, alone) = (&report["images"][number], of(arch));
        assert_eq!(found["platform"], platform);
        for member in ["digest", "size", "created", "media_type"] {
            assert_eq!(found[member], alone[member], "{member}");
        }
    }
    // A single image is shown as usual, and options for a single image are refused for several.
    for words in [&["--platform", "linux/arm64"][..], &["--platform", "linux/arm64", "--files"]] {
        let one = run(&scratch, &["inspect", "oci:out:all"]).args(words).run().stdout();
        assert!(one.contains("platform     linux/arm64/v8"), "{one}");
    }
    for words in [&["--files"][..], &["--largest", "3"], &["--raw", "manifest"]] {
        let error = run(&scratch, &["inspect", "oci:out:all"]).args(words).run().error();
        assert!(error.contains("one image is wanted, found 2") && error.contains("linux/arm64/v8"), "{error}");
    }
    // As if only one platform was copied.
    let gone = of("amd64")["digest"].as_str().unwrap().replace("sha256:", "out/blobs/sha256/");
    fs::remove_file(scratch.join(&gone)).unwrap();
    let shown = run(&scratch, &["inspect", "oci:out:all"]).run().stdout();
    assert!(shown.lines().any(|line| line.contains("linux/amd64") && line.contains("missing")), "{shown}");
}

#[test]
fn inspect_prints_documents_as_they_are_from_directories_and_archives() {
    let scratch = Scratch::new();
    let digest = image(&scratch);
    let archives = ["a.tar", "a.tar.gz", "a.tar.xz", "a.tar.zst"];
    let tool = run(&scratch, &["build", "rootfs", "--arch=amd64", "--owner=0:0", "--tag=v1"]);
    let _ = tool.args(["--cmd", "/bin/sh -l", "--label", "a=b"]).args(archives).bake();
    let layout = Layout::at(&scratch.join("out")).image("v1");
    for place in ["oci:out:v1", "out:v1", "a.tar:v1", "a.tar.gz", "oci-archive:a.tar.xz:v1", "a.tar.zst"] {
        let raw = |document: &str| run(&scratch, &["inspect", place, "--raw", document]).run().stdout();
        assert_eq!(format!("sha256:{}", sha256(raw("manifest").as_bytes())), digest, "{place}");
        let config = layout.manifest["config"]["digest"].as_str().unwrap();
        assert_eq!(format!("sha256:{}", sha256(raw("config").as_bytes())), config, "{place}");
        assert_eq!(raw("index").into_bytes(), fs::read(scratch.join("out/index.json")).unwrap(), "{place}");
        let verified = run(&scratch, &["verify", place]).run();
        assert_eq!((verified.code(), verified.stdout()), (0, String::new()), "{place}");
    }
}

#[test]
fn inspect_reads_what_others_wrote() {
    let scratch = Scratch::new();
    let (Some(umoci), Some(skopeo)) = (Peer::find("umoci"), Peer::find("skopeo")) else { return };
    let digest = image(&scratch);
    skopeo.run([
        "--insecure-policy",
        "copy",
        "-q",
        &format!("oci:{}:v1", scratch.join("out").display()),
        &format!("oci-archive:{}:v1", scratch.join("theirs.tar").display()),
    ]);
    let shown = run(&scratch, &["inspect", "theirs.tar", "--json"]).run().json();
    assert_eq!(shown["digest"], digest.as_str());

    let layout = scratch.join("theirs");
    umoci.run(["init", "--layout", layout.to_str().unwrap()]);
    umoci.run(["new", "--image", &format!("{}:empty", layout.display())]);
    let shown = run(&scratch, &["inspect", "oci:theirs:empty", "--json"]).run().json();
    assert_eq!(shown["layers"], json!([]));
}

#[test]
fn images_that_cannot_be_shown() {
    let scratch = Scratch::new();
    image(&scratch);
    scratch.make_directory("empty");
    fs::write(scratch.join("no.tar"), "not a tar at all").unwrap();
    fs::write(scratch.join("cut.tar.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    let _ = run(&scratch, &["build", "rootfs", "oci:out:v2", "--arch=amd64", "--created=0"]).bake();
    for verb in ["inspect", "verify"] {
        for (place, words) in [
            ("oci:missing", &["missing"][..]),
            ("missing.tar", &["missing.tar"]),
            ("no.tar", &["no.tar"]),
            ("cut.tar.gz", &["cut.tar.gz"]),
            ("oci:out:v3", &["v3", "v1", "v2"]),
        ] {
            let error = run(&scratch, &[verb, place]).run().error();
            for word in words {
                assert!(error.contains(word), "no `{word}` in: {error}");
            }
        }
    }
    let error = run(&scratch, &["inspect", "oci:empty"]).run().error();
    assert!(error.contains("empty"), "{error}");
    // With two images one has to be named; verify checks both.
    let error = run(&scratch, &["inspect", "oci:out"]).run().error();
    assert!(error.contains("v1") && error.contains("v2"), "{error}");
    let verified = run(&scratch, &["verify", "oci:out"]).run();
    assert_eq!((verified.code(), verified.stdout()), (0, String::new()));
}

#[test]
fn verify_tells_yes_no_and_trouble_apart() {
    let scratch = Scratch::new();
    image(&scratch);
    let verify = || run(&scratch, &["verify", "oci:out:v1"]);
    let verified = verify().run();
    assert_eq!((verified.code(), verified.stdout()), (0, String::new()));

    // A byte in the middle of the layer.
    let layer = Layout::at(&scratch.join("out")).image("v1").layer_path();
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let found = verify().run();
    assert_eq!(found.code(), 1, "{}", found.stderr());
    let digest = layer.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(found.printed().contains(&digest), "{}", found.printed());
    let found = verify().arg("--json").run();
    assert_eq!(found.code(), 1);
    let object: Value = serde_json::from_str(&found.printed()).unwrap();
    assert!(object.to_string().contains(&digest), "{object}");

    fs::remove_file(scratch.join("out/oci-layout")).unwrap();
    assert_ne!(verify().run().code(), 0);
}

#[test]
fn platform_answers_in_text_and_in_json() {
    let scratch = Scratch::new();
    for (words, text, object) in [
        (&["aarch64"][..], "linux/arm64/v8\n", json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
        (&["x86_64"], "linux/amd64\n", json!({"os": "linux", "architecture": "amd64", "variant": null})),
        (
            &["arm", "--machine-overrides", "qemuarm:armv7a", "--tune-features", "arm vfp cortexa8"],
            "linux/arm/v7\n",
            json!({"os": "linux", "architecture": "arm", "variant": "v7"}),
        ),
        (
            &["aarch64", "--variant", "none"],
            "linux/arm64\n",
            json!({"os": "linux", "architecture": "arm64", "variant": null}),
        ),
    ] {
        let words: Vec<&str> = ["platform"].into_iter().chain(words.iter().copied()).collect();
        assert_eq!(run(&scratch, &words).run().stdout(), text);
        assert_eq!(run(&scratch, &words).arg("--json").run().json(), object);
    }
    let error = run(&scratch, &["platform", "microblaze"]).run().error();
    assert!(error.contains("`microblaze` has no name in OCI") && error.contains("OCI_IMAGE_ARCH"), "{error}");
    let error = run(&scratch, &["platform", "z80"]).run().error();
    assert!(error.contains("`z80` is not known") && error.contains("amd64"), "{error}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_trouble() {
    let scratch = Scratch::new();
    image(&scratch);
    for words in ["inspect oci:out:v1 --json --files", "completions zsh", "inspect oci:out:v1 --raw manifest"] {
        let script = format!("\"$0\" {words} | true; exec 3>&1; \"$0\" {words} 2>&1 >/dev/full | head -n 1 >&3");
        let words = ["-c", &script, Tool::path().to_str().unwrap()];
        let output = std::process::Command::new("sh").args(words).current_dir(scratch.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "a reader that is gone");
        // A full disk is trouble, even if only stdout is affected.
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "ocibake: error: cannot write to stdout: No space left on device\n");
    }
    // An archive on a full stdout says the same, and what to do.
    for words in [
        "build rootfs oci-archive:- --arch amd64",
        "convert oci:out:v1 docker-archive:-:a:b",
        "inspect oci:out:v1 --json",
    ] {
        let script = format!("exec \"$0\" {words} > /dev/full");
        let words = ["-c", &script, Tool::path().to_str().unwrap()];
        let output = std::process::Command::new("sh").args(words).current_dir(scratch.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let told = "ocibake: error: cannot write to stdout: No space left on device\nhint: free some space";
        assert!(said.starts_with(told), "{said}");
        assert_eq!(output.status.code(), Some(2));
    }
}

/// Where the reader of stdout is gone before the first byte, verbs with an answer still give it.
#[test]
fn an_answer_survives_a_closed_stdout() {
    let scratch = Scratch::new();
    image(&scratch);
    fs::write(scratch.join("rootfs/more"), "more\n").unwrap();
    let _ = Tool::build("rootfs").args(["oci:bad", "--cache", "kept"]).within(scratch.path()).bake();
    // The cache has links to the blobs.
    for name in names_below(&scratch.join("bad/blobs/sha256")) {
        let path = scratch.join("bad/blobs/sha256").join(name);
        let content = fs::read(&path).unwrap();
        if !content.starts_with(b"{") {
            fs::write(&path, &content[..content.len() - 1]).unwrap();
        }
    }
    for (words, status) in [
        ("diff oci:out:v1 rootfs", 1),
        ("diff oci:out:v1 rootfs --summary", 1),
        ("diff oci:out:v1 rootfs --json", 1),
        ("diff oci:out:v1 oci:out:v1", 0),
        ("verify oci:bad", 1),
        ("verify oci:bad --json", 1),
        ("verify --cache kept", 1),
        ("verify --cache kept --json", 1),
        ("verify oci:out:v1 --json", 0),
        ("report oci:out:v1 --fail-if size>1B", 1),
        ("report oci:out:v1 --fail-if size>1B --json", 1),
        ("report oci:out:v1 --fail-if size>1B -o -", 1),
        ("report oci:out:v1 --fail-if size>1B -o page.html --json", 1),
        ("report oci:out:v1", 0),
        ("ls oci:out", 0),
        ("inspect oci:out:v1 --json", 0),
        ("cat oci:out:v1 /bin/sh", 0),
        ("cat oci:nowhere /bin/sh", 2),
    ] {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        let mut command = std::process::Command::new(Tool::path());
        let command =
            command.args(words.split(' ')).current_dir(scratch.path()).stdout(std::os::fd::OwnedFd::from(ours));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{words}: {said}");
        assert!(!said.contains("stdout"), "{words}: {said}");
    }
}

#[test]
fn a_bar_moves_on_terminals_that_can_show_it() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (env, expected) in [
        (&[("TERM", "xterm"), ("LC_ALL", "C.UTF-8")][..], true),
        (&[("TERM", "dumb"), ("LC_ALL", "C.UTF-8")], false),
        (&[("TERM", "xterm"), ("LC_ALL", "C")], false),
    ] {
        let terminal = Terminal { columns: 100, env, directory: scratch.path() };
        let words = ["ocibake", "build", "rootfs", "oci:out", "--arch", "amd64", "--owner", "0:0"];
        let Some(shown) = terminal.run(&words) else { return };
        assert_eq!(shown.contains('\u{1b}'), expected, "{env:?}: {shown:?}");
        assert!(shown.contains("sha256:"), "{shown}");
    }
}

/// For verbs of other tools, the error names the command that does the same here.
#[test]
fn verbs_of_other_tools_are_answered_with_what_does_their_job() {
    for (words, hint) in [
        ("push oci:out:v1 registry.example/app:v1", "`skopeo copy oci:out:v1 docker://registry.example/app:v1`"),
        ("pull registry.example/app", "`skopeo copy docker://registry.example/app oci:app:latest`"),
        ("copy oci:out:v1 app.tar", "`ocibake convert oci:out:v1 app.tar`"),
        ("run oci:out:v1", "podman run --rm"),
        ("save oci:out:v1", "`ocibake convert oci:out:v1 docker-archive:FILE:NAME:TAG`"),
        ("load app.tar", "`ocibake convert app.tar oci:DIR`"),
        ("history oci:out:v1", "`ocibake inspect oci:out:v1 --raw config | jq .history`"),
        ("-q push oci:out:v1 registry.example/app", "`skopeo copy oci:out:v1 docker://registry.example/app`"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let error = Tool::new(words[0]).args(&words[1..]).run().error();
        let verb = words.iter().find(|word| !word.starts_with('-')).unwrap();
        assert!(error.starts_with(&format!("there is no command `{verb}`")) && error.contains(hint), "{error}");
    }
    let error = Tool::new("biuld").run().error();
    assert!(error.contains("`build`") && !error.contains("skopeo"), "{error}");
}

/// The hints name existing verbs.
#[test]
fn hints_for_verbs_of_other_tools_can_be_typed() {
    for verb in
        ["copy", "save", "load", "history", "images", "rmi", "prune", "extract", "import", "commit", "merge", "edit"]
    {
        let error = Tool::new(verb).run().error();
        let named =
            error.split("`ocibake ").nth(1).unwrap_or_else(|| panic!("{error}")).split([' ', '`']).next().unwrap();
        assert!(VERBS.contains(&named), "{error}");
    }
}

#[test]
fn every_verb_and_flag_is_explained() {
    let scratch = Scratch::new();
    for words in [&["--help"][..], &["--version"], &["help", "build"]] {
        assert_ne!(run(&scratch, words).run().stdout(), "");
    }
    for verb in VERBS {
        let help = run(&scratch, &[verb, "-h"]).run().stdout();
        let lines: Vec<&str> = help.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('-')) {
            // Next to the flag, or on its own line if the flag is long.
            let beside = line.trim_start().split_once("  ").map_or("", |(_, text)| text.trim());
            let below = lines.get(number + 1).map_or("", |line| line.trim());
            let explained = if beside.is_empty() { below } else { beside };
            assert!(explained.starts_with(|c: char| c.is_uppercase() || c == '`'), "{verb}: {line}\n{below}");
        }
    }
}
