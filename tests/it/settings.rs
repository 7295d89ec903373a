use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::harness::{is_root, names_below, unprivileged_words, Fixture, Image, Layout, Order, Scratch, Tool, NOBODY};

/// The sources of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Flag,
    Environment,
    File,
}

const SOURCES: [Source; 3] = [Source::Flag, Source::Environment, Source::File];

/// A setting as variable and flag, a value for each, and the result: where in the image, and what.
struct Row {
    variable: &'static str,
    /// The variable's value.
    value: &'static str,
    /// The same for the flag, once or repeated; empty if there is no flag.
    flag: &'static [(&'static str, &'static str)],
    place: &'static str,
    becomes: Value,
}

fn row(
    variable: &'static str,
    value: &'static str,
    flag: &'static [(&'static str, &'static str)],
    place: &'static str,
    becomes: Value,
) -> Row {
    Row { variable, value, flag, place, becomes }
}

/// Every setting, most of them with values that a shell or a JSON writer would stumble over.
#[allow(clippy::too_many_lines)] // A table.
fn rows() -> Vec<Row> {
    vec![
        row("OCI_IMAGE_ARCH", "aarch64", &[("--arch", "aarch64")], "/config/architecture", json!("arm64")),
        row("OCI_IMAGE_ARCH", "aarch64", &[("--arch", "arm64")], "/config/variant", json!("v8")),
        row("OCI_IMAGE_SUBARCH", "v3", &[("--variant", "v3")], "/config/variant", json!("v3")),
        row("OCI_IMAGE_SUBARCH", "v3", &[("--variant", "v3")], "/descriptor/platform/variant", json!("v3")),
        row("OCI_IMAGE_OS", "freebsd", &[("--os", "freebsd")], "/descriptor/platform/os", json!("freebsd")),
        row("OCI_IMAGE_OS", "freebsd", &[("--os", "freebsd")], "/config/os", json!("freebsd")),
        row(
            "OCI_IMAGE_AUTHOR",
            "Ada \"B\" <a@b>",
            &[("--author", "Ada \"B\" <a@b>")],
            "/config/author",
            json!("Ada \"B\" <a@b>"),
        ),
        row("OCI_IMAGE_AUTHOR", "Ada", &[("--author", "Ada")], "/config/history/0/author", json!("Ada")),
        row("OCI_IMAGE_AUTHOR_EMAIL", "a@b", &[], "/config/author", json!("a@b")),
        row(
            "OCI_IMAGE_TAG",
            "v1",
            &[("--tag", "v1")],
            "/descriptor/annotations/org.opencontainers.image.ref.name",
            json!("v1"),
        ),
        row(
            "OCI_IMAGE_ENTRYPOINT",
            r#"/bin/sh -c 'echo "$HOME" `id` > /dev/null; exit' "two words" \$ '' ü"#,
            &[("--entrypoint", r#"/bin/sh -c 'echo "$HOME" `id` > /dev/null; exit' "two words" \$ '' ü"#)],
            "/config/config/Entrypoint",
            json!(["/bin/sh", "-c", "echo \"$HOME\" `id` > /dev/null; exit", "two words", "$", "", "ü"]),
        ),
        row(
            "OCI_IMAGE_ENTRYPOINT",
            r#"["/bin/sh", "-c", "echo \"$HOME\" 'x' \u00fc\n", ""]"#,
            &[("--entrypoint", r#"["/bin/sh", "-c", "echo \"$HOME\" 'x' \u00fc\n", ""]"#)],
            "/config/config/Entrypoint",
            json!(["/bin/sh", "-c", "echo \"$HOME\" 'x' ü\n", ""]),
        ),
        row(
            "OCI_IMAGE_CMD",
            r#"["-a","b c"]"#,
            &[("--cmd", r#" [ "-a", "b c" ] "#)],
            "/config/config/Cmd",
            json!(["-a", "b c"]),
        ),
        row(
            "OCI_IMAGE_CMD",
            "[ -e /x ]",
            &[("--cmd", "[ -e /x ]")],
            "/config/config/Cmd",
            json!(["[", "-e", "/x", "]"]),
        ),
        row("OCI_IMAGE_ENTRYPOINT_ARGS", r#"["b c"]"#, &[], "/config/config/Cmd", json!(["b c"])),
        row(
            "OCI_IMAGE_HEALTHCHECK",
            r#"["CMD-SHELL", "a | b"]"#,
            &[("--healthcheck", r#"["CMD-SHELL", "a | b"]"#)],
            "/config/config/Healthcheck/Test",
            json!(["CMD-SHELL", "a | b"]),
        ),
        row("OCI_IMAGE_CMD", "-a 'b c'", &[("--cmd", "-a 'b c'")], "/config/config/Cmd", json!(["-a", "b c"])),
        row("OCI_IMAGE_ENTRYPOINT_ARGS", "-a 'b c'", &[], "/config/config/Cmd", json!(["-a", "b c"])),
        row(
            "OCI_IMAGE_WORKINGDIR",
            "/srv/a b",
            &[("--working-dir", "/srv/a b")],
            "/config/config/WorkingDir",
            json!("/srv/a b"),
        ),
        row(
            "OCI_IMAGE_RUNTIME_UID",
            "www-data:33",
            &[("--user", "www-data:33")],
            "/config/config/User",
            json!("www-data:33"),
        ),
        row(
            "OCI_IMAGE_STOPSIGNAL",
            "SIGRTMIN+3",
            &[("--stop-signal", "SIGRTMIN+3")],
            "/config/config/StopSignal",
            json!("SIGRTMIN+3"),
        ),
        row(
            "OCI_IMAGE_PORTS",
            "80 53/udp 9/sctp",
            &[("--port", "80"), ("--port", "53/udp"), ("--port", "9/sctp")],
            "/config/config/ExposedPorts",
            json!({"53/udp": {}, "80/tcp": {}, "9/sctp": {}}),
        ),
        row(
            "OCI_IMAGE_VOLUMES",
            "/data '/with blank'",
            &[("--volume", "/data"), ("--volume", "/with blank")],
            "/config/config/Volumes",
            json!({"/data": {}, "/with blank": {}}),
        ),
        row(
            "OCI_IMAGE_LABELS",
            r#".title="a 'title'" b= 'c=d=e' "q=\"\\$(id)\`" 'l=one
two'"#,
            &[
                ("--label", ".title=a 'title'"),
                ("--label", "b="),
                ("--label", "c=d=e"),
                ("--label", "q=\"\\$(id)`"),
                ("--label", "l=one\ntwo"),
            ],
            "/config/config/Labels",
            json!({"org.opencontainers.image.title": "a 'title'", "b": "", "c": "d=e", "q": "\"\\$(id)`", "l": "one\ntwo"}),
        ),
        row(
            "OCI_IMAGE_ENV_VARS",
            "PATH=/bin:/sbin Z=1 'A=a  b' EMPTY= Z=2",
            &[
                ("--env", "PATH=/bin:/sbin"),
                ("--env", "Z=1"),
                ("--env", "A=a  b"),
                ("--env", "EMPTY="),
                ("--env", "Z=2"),
            ],
            "/config/config/Env",
            json!(["PATH=/bin:/sbin", "Z=2", "A=a  b", "EMPTY="]),
        ),
        row(
            "OCI_IMAGE_ANNOTATIONS",
            "'org.example.a=ключ ☃' .vendor=ACME",
            &[("--annotation", "org.example.a=ключ ☃"), ("--annotation", ".vendor=ACME")],
            "/manifest/annotations",
            json!({"org.example.a": "ключ ☃", "org.opencontainers.image.vendor": "ACME"}),
        ),
        row(
            "OCI_IMAGE_HEALTHCHECK",
            "CMD-SHELL 'curl -f x || exit 1'",
            &[("--healthcheck", "CMD-SHELL 'curl -f x || exit 1'")],
            "/config/config/Healthcheck/Test",
            json!(["CMD-SHELL", "curl -f x || exit 1"]),
        ),
        row(
            "OCI_IMAGE_HEALTHCHECK_INTERVAL",
            "1m30s",
            &[("--healthcheck-interval", "1m30s")],
            "/config/config/Healthcheck/Interval",
            json!(90_000_000_000_u64),
        ),
        row(
            "OCI_IMAGE_HEALTHCHECK_TIMEOUT",
            "500ms",
            &[("--healthcheck-timeout", "500ms")],
            "/config/config/Healthcheck/Timeout",
            json!(500_000_000),
        ),
        row(
            "OCI_IMAGE_HEALTHCHECK_START_PERIOD",
            "2s",
            &[("--healthcheck-start-period", "2s")],
            "/config/config/Healthcheck/StartPeriod",
            json!(2_000_000_000),
        ),
        row(
            "OCI_IMAGE_HEALTHCHECK_START_INTERVAL",
            "250ms",
            &[("--healthcheck-start-interval", "250ms")],
            "/config/config/Healthcheck/StartInterval",
            json!(250_000_000),
        ),
        row(
            "OCI_IMAGE_HEALTHCHECK_RETRIES",
            "3",
            &[("--healthcheck-retries", "3")],
            "/config/config/Healthcheck/Retries",
            json!(3),
        ),
        row("OCI_IMAGE_MEMORY", "64m", &[("--memory", "64m")], "/config/config/Memory", json!(67_108_864)),
        row("OCI_IMAGE_MEMORY_SWAP", "-1", &[("--memory-swap", "-1")], "/config/config/MemorySwap", json!(-1)),
        row("OCI_IMAGE_CPU_SHARES", "512", &[("--cpu-shares", "512")], "/config/config/CpuShares", json!(512)),
        row(
            "OCI_IMAGE_CREATED",
            "2018-03-09T12:34:56Z",
            &[("--created", "1520598896")],
            "/config/created",
            json!("2018-03-09T12:34:56Z"),
        ),
        row("SOURCE_DATE_EPOCH", "1520598000", &[], "/config/created", json!("2018-03-09T12:20:00Z")),
        row(
            "OCI_IMAGE_COMPRESSION",
            "zstd:5",
            &[("--compression", "zstd:5")],
            "/manifest/layers/0/mediaType",
            json!("application/vnd.oci.image.layer.v1.tar+zstd"),
        ),
        row(
            "OCI_IMAGE_COMPRESSION",
            "none",
            &[("--compression", "none")],
            "/manifest/layers/0/mediaType",
            json!("application/vnd.oci.image.layer.v1.tar"),
        ),
    ]
}

/// Settings that have an effect only together with others, or none on the image.
const ELSEWHERE: [&str; 11] = [
    "TARGET_ARCH",
    "TUNE_FEATURES",
    "MACHINEOVERRIDES",
    "OCI_IMAGE_NAME",
    "OCI_IMAGE_EXCLUDE",
    "OCI_IMAGE_LAYERS",
    "OCI_IMAGE_CACHE",
    "OCI_BASE_IMAGE_MODE",
    "OCI_IMAGE_QA",
    "OECORE_TARGET_ARCH",
    "OECORE_TUNE_CCARGS",
];

/// A value in single quotes, as a shell would write it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A series of runs on one rootfs.
struct Bench {
    scratch: Scratch,
    rootfs: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let scratch = Scratch::new();
        let rootfs = scratch.small_rootfs();
        Bench { scratch, rootfs }
    }

    fn vars(&self, text: &str) -> PathBuf {
        let path = self.scratch.join("vars");
        fs::write(&path, text).unwrap();
        path
    }

    /// A run with a setting from one source, with an architecture only if it needs one.
    fn tool(&self, row: &Row, source: Source) -> Tool {
        let mut tool = Tool::new("build").arg(&self.rootfs).oci(&self.scratch.join("out"));
        if row.variable != "OCI_IMAGE_ARCH" {
            tool = tool.args(["--arch", "amd64"]);
        }
        match source {
            Source::Flag => row.flag.iter().fold(tool, |tool, (flag, value)| tool.args([flag, value])),
            Source::Environment => tool.env(row.variable, row.value),
            Source::File => {
                let vars = self.vars(&format!("# A comment.\n\n{}={}\n", row.variable, quoted(row.value)));
                tool.arg("--vars").arg(vars)
            }
        }
    }

    /// The output of a run, as one object for JSON pointers.
    #[track_caller]
    fn image(&self, tool: Tool) -> Value {
        let out = self.scratch.join("out");
        // The rootfs has no users, which causes a warning.
        let _ = tool.run().digest_despite_warnings();
        let layout = Layout::at(&out);
        let names: Vec<String> = layout.refs().into_keys().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let Image { descriptor, manifest, config, .. } = layout.image(&names[0]);
        fs::remove_dir_all(&out).unwrap();
        json!({"descriptor": descriptor, "manifest": manifest, "config": config})
    }
}

#[test]
fn every_setting_arrives_as_it_was_written_from_wherever_it_came() {
    let bench = Bench::new();
    for row in rows() {
        for source in SOURCES {
            if source == Source::Flag && row.flag.is_empty() {
                continue;
            }
            let image = bench.image(bench.tool(&row, source));
            assert_eq!(image.pointer(row.place), Some(&row.becomes), "{} from {source:?}", row.variable);
        }
    }
}

#[test]
fn the_table_knows_every_setting() {
    let help = Tool::new("build").arg("--help").run().stdout();
    for word in help.split(|c: char| !(c.is_ascii_uppercase() || c == '_')) {
        if word.starts_with("OCI_IMAGE_") {
            let is_known = rows().iter().any(|row| row.variable == word) || ELSEWHERE.contains(&word);
            assert!(is_known, "{word} is not tested");
        }
    }
}

#[test]
fn the_repository_of_tags_in_archives() {
    let bench = Bench::new();
    let archive = format!("oci-archive:{}:v1", bench.scratch.join("a.tar").display());
    let build = || Tool::build(&bench.rootfs).arg(&archive);
    for tool in [
        build().args(["--repository", "reg:5/app"]),
        build().env("OCI_IMAGE_NAME", "reg:5/app"),
        build().arg("--vars").arg(bench.vars("OCI_IMAGE_NAME=reg:5/app")),
    ] {
        let _ = tool.bake();
        let index = Tool::new("inspect").args([&archive, "--raw", "index"]).run().json();
        let expected = json!({"io.containerd.image.name": "reg:5/app:v1", "org.opencontainers.image.ref.name": "v1"});
        assert_eq!(index["manifests"][0]["annotations"], expected);
        // By either name.
        for name in ["v1", "reg:5/app:v1"] {
            let _ = Tool::new("inspect").arg(archive.replace(":v1", &format!(":{name}"))).run().stdout();
        }
    }
    let refused = build().args(["--repository", "reg:5/app:v1"]).run().error();
    assert!(refused.contains("`reg:5/app:v1` is not accepted: [REGISTRY/]NAME"), "{refused}");
}

#[test]
fn what_was_not_set_is_not_there() {
    let bench = Bench::new();
    let image = bench.image(Tool::build(&bench.rootfs).oci(&bench.scratch.join("out")));
    assert_eq!(image["config"].get("config").map(|config| config.as_object().unwrap().len()), Some(0));
    for place in ["/config/author", "/config/variant", "/manifest/annotations", "/descriptor/platform/variant"] {
        assert_eq!(image.pointer(place), None, "{place}");
    }
    assert_eq!(image["config"]["created"], "2018-03-09T12:34:56Z", "the newest time in the tree");
    assert_eq!(image["config"]["history"], json!([{"created": "2018-03-09T12:34:56Z", "created_by": "ocibake build"}]));
    assert_eq!(image["descriptor"]["platform"], json!({"architecture": "amd64", "os": "linux"}));
    assert_eq!(image["manifest"]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(image["manifest"]["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let bench = Bench::new();
    let given = |source: Source, all: &[Source]| all.contains(&source);
    for (sources, winner) in [
        (&[Source::Flag, Source::Environment, Source::File][..], "flag"),
        (&[Source::Environment, Source::File], "environment"),
        (&[Source::Flag, Source::File], "flag"),
        (&[Source::File], "file"),
    ] {
        let mut tool = Tool::build(&bench.rootfs).oci(&bench.scratch.join("out"));
        if given(Source::Flag, sources) {
            tool = tool.args(["--label", "from=flag", "--user", "flag"]);
        }
        if given(Source::Environment, sources) {
            tool = tool.env("OCI_IMAGE_LABELS", "from=environment e=1").env("OCI_IMAGE_RUNTIME_UID", "environment");
        }
        if given(Source::File, sources) {
            tool = tool.arg("--vars").arg(bench.vars("OCI_IMAGE_LABELS='from=file f=1' OCI_IMAGE_RUNTIME_UID=file"));
        }
        let image = bench.image(tool);
        let labels = image.pointer("/config/config/Labels").unwrap();
        assert_eq!(labels["from"], winner);
        // The first source that has a list provides all of it.
        assert_eq!(labels.get("f").is_some(), winner == "file", "{labels}");
        assert_eq!(image.pointer("/config/config/User"), Some(&json!(winner)));
    }
}

#[test]
fn an_empty_variable_is_none_and_an_empty_flag_is_meant_so() {
    let bench = Bench::new();
    let vars = "OCI_IMAGE_RUNTIME_UID=file OCI_IMAGE_LABELS='' OCI_IMAGE_CMD=\nOCI_IMAGE_AUTHOR='  '";
    let tool = Tool::build(&bench.rootfs).oci(&bench.scratch.join("out"));
    let tool = tool.arg("--vars").arg(bench.vars(vars)).env("OCI_IMAGE_RUNTIME_UID", "");
    let image = bench.image(tool.env("OCI_IMAGE_ENV_VARS", "").env("OCI_IMAGE_TAG", " "));
    assert_eq!(image["config"]["config"], json!({"User": "file"}));
    assert_eq!(image["config"].get("author"), None);
    let name = image.pointer("/descriptor/annotations/org.opencontainers.image.ref.name");
    assert_eq!(name, Some(&json!("latest")));

    let tool = Tool::build(&bench.rootfs).oci(&bench.scratch.join("out")).args(["--user", "", "--cmd", ""]);
    let image = bench.image(tool.env("OCI_IMAGE_RUNTIME_UID", "somebody").env("OCI_IMAGE_CMD", "sh"));
    assert_eq!(image["config"]["config"], json!({}));
}

#[test]
fn a_variables_file_is_read_and_not_run() {
    let bench = Bench::new();
    let file = r#"
# Written by a class; read by shells too.
export OCI_IMAGE_AUTHOR="$USER `touch pwned` $(touch pwned)" # and a comment
OCI_IMAGE_ENV_VARS='A="1 2"
B=3'   OCI_IMAGE_WORKINGDIR=/a\ b;touch\ pwned
OCI_IMAGE_CMD="a \"b c\" \
d"
SOMETHING_ELSE=ignored
"#;
    let vars = bench.vars(file);
    let before = names_below(bench.scratch.path());
    let image = bench.image(
        Tool::build(&bench.rootfs).oci(&bench.scratch.join("out")).arg("--vars").arg(vars).within(bench.scratch.path()),
    );
    assert_eq!(image["config"]["author"], "$USER `touch pwned` $(touch pwned)");
    assert_eq!(image["config"]["config"]["Env"], json!(["A=1 2", "B=3"]));
    assert_eq!(image["config"]["config"]["WorkingDir"], "/a b;touch pwned");
    assert_eq!(image["config"]["config"]["Cmd"], json!(["a", "b c", "d"]));
    assert_eq!(names_below(bench.scratch.path()), before);
}

#[test]
fn an_unknown_name_in_the_file_stops_and_in_the_environment_warns() {
    let bench = Bench::new();
    let build = || Tool::build(&bench.rootfs).oci(&bench.scratch.join("out"));
    let vars = bench.vars("A=1\nOCI_IMAGE_LABLES=a=b\n");
    let error = build().arg("--vars").arg(&vars).run().error();
    let place =
        format!("{}:2: there is no variable OCI_IMAGE_LABLES\nhint: did you mean OCI_IMAGE_LABELS", vars.display());
    assert_eq!(error, place);
    assert!(bench.scratch.join("out").symlink_metadata().is_err());

    let outcome = build().env("OCI_IMAGE_LABLES", "a=b").env("OCI_X", "1").run();
    assert_eq!(
        outcome.stderr(),
        "ocibake: warning: OCI_IMAGE_LABLES (environment): there is no such variable, did you mean OCI_IMAGE_LABELS\n\
         ocibake: warning: OCI_X (environment): there is no such variable\n"
    );
    let _ = outcome.digest_despite_warnings();
    let _ = build().env("OCI_X", "1").arg("-q").bake();
    let report = build().env("OCI_X", "1").args(["-q", "--json"]).run().json();
    assert_eq!(report["warnings"], json!(["OCI_X (environment): there is no such variable"]));

    // It may be the reason for another failure.
    let bare = || Tool::new("build").arg(&bench.rootfs).oci(&bench.scratch.join("out")).env("OCI_IMAGE_ARHC", "arm64");
    let warning =
        "ocibake: warning: OCI_IMAGE_ARHC (environment): there is no such variable, did you mean OCI_IMAGE_ARCH\n";
    let broken = bench.vars("OCI_IMAGE_CMD='");
    for (tool, words) in [
        (bare(), "architecture is not set"),
        (bare().arg("--vars").arg(&broken), "quote is not closed"),
        (bare().args(["--arch", "z80"]), "--arch"),
        (bare().args(["--arch", "arm", "--base", "oci:nowhere"]), "nowhere"),
    ] {
        let outcome = tool.run();
        assert!(outcome.stderr().starts_with(warning), "{}", outcome.stderr());
        assert!(outcome.error().contains(words));
    }
}

/// Everything that is given without effect, or with an unwanted one.
#[test]
fn what_is_odd_is_told_and_done_all_the_same() {
    let bench = Bench::new();
    let out = bench.scratch.join("out");
    let base = bench.scratch.join("base");
    let _ = Tool::build(&bench.rootfs).target("oci", &base, "v1").bake();
    let base = format!("oci:{}:v1", base.display());
    let build = |name: &str| Tool::build(&bench.rootfs).target("oci", &out, name);
    let on_base = || Tool::new("build").arg(&bench.rootfs).oci(&out).args(["--base", &base]);
    let vars = bench.vars("OCI_IMAGE_TAG='v2 v3' OCI_IMAGE_EXCLUDE='usr/nowhere/* tmp'");
    for (tool, warnings) in [
        (build("v1").args(["--tag", "v1"]), &[][..]),
        (build("v1").args(["--repository", "a/b"]), &["the repository `a/b` is not used: no target is an archive"]),
        (build("v1").args(["--tag", "v2"]), &["the tag `v2` is not used: the target names the image already"]),
        (
            build("v1").arg("--vars").arg(&vars),
            &[
                "the tag `v2` is not used: the target names the image already",
                "the tag `v3` is not used: the target names the image already",
                "nothing in the rootfs matches the pattern to exclude: `usr/nowhere/*`",
            ],
        ),
        (
            build("v1").args(["--exclude", "/usr/words", "--exclude", "**/*.pyc"]),
            &["nothing in the rootfs matches the pattern to exclude: `**/*.pyc`"],
        ),
        (
            build("v1").args(["--exclude", "./usr/words", "--exclude", "*.pyc", "--exclude", "/lost"]),
            &[
                "nothing in the rootfs matches the pattern to exclude: `./usr/words`; a pattern is a path in the image, \
                 without `.` and `..`: `usr/words`",
                "nothing in the rootfs matches the pattern to exclude: `*.pyc`; it is only looked for at the top, and \
                 `**/*.pyc` in every directory",
                "nothing in the rootfs matches the pattern to exclude: `/lost`",
            ],
        ),
        (build("v1").args(["--mask", "/tmp"]), &["without a base image, the mask `/tmp` has no effect"]),
        (on_base().args(["--mask", "tmp"]), &[]),
        (
            on_base().args(["--mask", "srv/data", "--mask", "usr"]),
            &["neither the base image nor the rootfs has what is masked: `/srv/data`"],
        ),
        (build("v1").args(["--variant", "v33"]), &["`v33` is not a known variant of amd64, did you mean `v3`"]),
        (build("v1").args(["--variant", "v3"]), &[]),
        (on_base().args(["--variant", "v3"]), &["--variant has no effect: the platform is the base image's"]),
        (build("v1").args(["--user", "0:0"]), &[]),
        (build("v1").args(["--user", "4711"]), &[]),
        (
            build("v1").args(["--user", "www:staff"]),
            &[
                "the image runs as the user `www`, which is not in its `/etc/passwd`",
                "the image runs as the group `staff`, which is not in its `/etc/group`",
            ],
        ),
    ] {
        let shown = format!("{warnings:?}");
        let report = tool.args(["-q", "--json"]).run().json();
        assert_eq!(report["warnings"], json!(warnings), "{shown}");
    }
    std::fs::write(bench.rootfs.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nwww:x:33:33::/:/bin/sh\n").unwrap();
    std::fs::write(bench.rootfs.join("etc/group"), "staff:x:50:\n").unwrap();
    let _ = build("v1").args(["--user", "www:staff"]).bake();
    let dry = build("v1").args(["--dry-run", "--json", "--tag", "v2", "--variant", "v33"]).run();
    assert!(dry.stderr().contains("the tag `v2`") && dry.stderr().contains("did you mean `v3`"), "{}", dry.stderr());
    let dry = dry.json();
    assert_eq!(dry["platform"], "linux/amd64/v33");
    assert_eq!(dry["targets"], json!([{"target": format!("oci:{}", out.display()), "refs": ["v1"]}]));
    assert_eq!(dry["warnings"].as_array().unwrap().len(), 2);
}

#[test]
fn archives_of_a_rootfs_know_what_was_excluded_too() {
    let bench = Bench::new();
    let tar = crate::harness::tar_of(&[crate::harness::Member::File("a", "1")]);
    let archive = bench.scratch.join("rootfs.tar");
    fs::write(&archive, tar).unwrap();
    let build = || Tool::build(&archive).oci(&bench.scratch.join("out"));
    let report = build().args(["-q", "--json", "--exclude", "/b"]).run().json();
    assert_eq!(report["warnings"], json!(["nothing in the rootfs matches the pattern to exclude: `/b`"]));
    let error = build().args(["--exclude", "a"]).run().error();
    assert!(error.contains("nothing is left of the rootfs"), "{error}");
}

/// A user who is not root owns everything that he makes.
#[test]
fn an_owner_that_is_whoever_builds_is_told() {
    let scratch = Scratch::new();
    let directory = scratch.make_directory("nobodys");
    fs::copy(Tool::path(), directory.join("ocibake")).unwrap();
    let rootfs = directory.join("rootfs");
    Fixture::named("small").make(&rootfs, Order::AsListed);
    if is_root() {
        let mut paths = vec![directory.clone(), rootfs.clone()];
        paths.extend(names_below(&rootfs).iter().map(|name| rootfs.join(name)));
        for path in paths {
            std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    fs::write(directory.join("table"), "/etc d 755 0 0\n").unwrap();
    let build = |flags: &[&str]| {
        let tool = Tool::build("rootfs").arg("oci:out").args(flags).args(["-q", "--json"]);
        let tool = tool.behind(unprivileged_words()).program(&directory.join("ocibake")).within(&directory);
        tool.run().json()["warnings"].as_array().unwrap().clone()
    };
    let told = build(&[]);
    assert_eq!(told.len(), 1, "{told:?}");
    for word in ["uid", "the owner 0:0", "a device table", "fakeroot"] {
        assert!(told[0].as_str().unwrap().contains(word), "{told:?}");
    }
    let uid = if is_root() { NOBODY } else { rustix::process::getuid().as_raw() };
    let map = format!("0:{uid}:1");
    for flags in [&["--owner", "0:0"][..], &["--device-table", "table"], &["--uid-map", &map]] {
        assert_eq!(build(flags), [] as [Value; 0], "{flags:?}");
    }
}

#[test]
fn a_platform_is_derived_from_what_bitbake_knows() {
    let bench = Bench::new();
    for (vars, platform) in [
        ("TARGET_ARCH=x86_64", json!({"architecture": "amd64", "os": "linux"})),
        ("TARGET_ARCH=aarch64", json!({"architecture": "arm64", "os": "linux", "variant": "v8"})),
        (
            "TARGET_ARCH=arm TUNE_FEATURES='arm vfp cortexa15 neon' MACHINEOVERRIDES=qemuarm:armv7ve:x",
            json!({"architecture": "arm", "os": "linux", "variant": "v7"}),
        ),
        ("TARGET_ARCH=arm OCI_IMAGE_ARCH=riscv64", json!({"architecture": "riscv64", "os": "linux"})),
    ] {
        let tool = Tool::new("build").arg(&bench.rootfs).oci(&bench.scratch.join("out"));
        let image = bench.image(tool.arg("--vars").arg(bench.vars(vars)));
        assert_eq!(image["descriptor"]["platform"], platform, "{vars}");
        assert_eq!(image["config"].get("variant"), platform.get("variant"), "{vars}");
    }
}

#[test]
fn several_tags_name_one_image() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let out = scratch.join("out");
    let tags = "v1 registry.example:5000/team/app:2.0-rc1 v1";
    let digest = Tool::build(&rootfs).oci(&out).env("OCI_IMAGE_TAG", tags).bake();
    let refs = Layout::at(&out).refs();
    let expected = ["registry.example:5000/team/app:2.0-rc1", "v1"].map(|name| (name.to_owned(), digest.clone()));
    assert_eq!(refs, expected.into());

    // A name in a target overrides them.
    let named = scratch.join("named");
    let outcome = Tool::build(&rootfs).target("oci", &named, "localhost:5000/x").args(["--tag", "unused"]).run();
    let _ = outcome.digest_despite_warnings();
    assert_eq!(Layout::at(&named).refs().into_keys().collect::<Vec<_>>(), ["localhost:5000/x"]);
    assert_eq!(Path::new("named"), named.strip_prefix(scratch.path()).unwrap());
}
