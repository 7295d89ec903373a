use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::harness::{
    bytes_of, named, names_below, sha256, tar_of, with, ByHand, FakeRoot, Faker, Layout, Member, Peer, Scratch,
    Storage, Tool, MANIFEST,
};

fn oci(layout: &Path, name: &str) -> String {
    format!("oci:{}{name}", layout.display())
}

fn config(image: impl AsRef<std::ffi::OsStr>) -> Tool {
    Tool::new("config").arg(image)
}

/// No findings, not even notes: no unreferenced blob is left.
#[track_caller]
fn assert_verified(image: impl AsRef<str>) {
    let verified = Tool::new("verify").arg(image.as_ref()).run();
    assert_eq!((verified.printed(), verified.code()), (String::new(), 0), "{}", image.as_ref());
}

/// A config with every field set, and with unknown members.
fn full_config() -> Value {
    json!({
        "author": "A B <a@b>", "variant": "v2", "os.version": "10.0", "os.features": ["win32k"],
        "config": {
            "User": "app", "ExposedPorts": {"80": {}, "53/udp": {}}, "Env": ["PATH=/bin", "A=1", "B=x=y"],
            "Entrypoint": ["/init"], "Cmd": ["serve", "-v"], "Volumes": {"/data": {}}, "WorkingDir": "/srv",
            "Labels": {"a": "1", "org.opencontainers.image.title": "x"}, "StopSignal": "SIGHUP", "Memory": 1024,
            "MemorySwap": -1, "CpuShares": 2,
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000_i64, "Retries": 3},
            "ArgsEscaped": true,
        },
        "history": [{"created_by": "somebody", "org.example": 1}],
        "moby.buildkit": {"z": [1, 2], "a": null},
    })
}

/// One image, `v1`, with everything in it, in every document.
fn full_layout(path: &Path) -> ByHand {
    let layout = ByHand::at(path);
    let image = layout.image(&[tar_of(&[Member::File("a", "1")])], &full_config());
    let mut manifest: Value = serde_json::from_slice(&Layout::at(path).blob(&image)).unwrap();
    fs::remove_file(blob(path, &image)).unwrap();
    manifest["annotations"] = json!({"a": "1", "org.opencontainers.image.title": "x"});
    manifest["config"]["annotations"] = json!({"c": "1"});
    manifest["config"]["org.example"] = json!({"z": 1});
    manifest["org.example"] = json!([1, {"a": null}]);
    let descriptor = with(
        layout.document(&manifest),
        &json!({"annotations": {"d": "1"}, "org.example": 1.5, "urls": ["http://a/b"], "platform": {
            "architecture": "amd64", "os": "linux", "variant": "v2", "os.version": "10.0", "os.features": ["win32k"], "x": 1,
        }}),
    );
    layout.list(&[with(descriptor, &json!({"annotations": {"d": "1", "org.opencontainers.image.ref.name": "v1"}}))]);
    layout
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    layout.join("blobs").join(descriptor["digest"].as_str().unwrap().replace(':', "/"))
}

/// The documents of an image as one value.
fn documents(layout: &Path, name: &str) -> Value {
    let image = Layout::at(layout).image(name);
    let mut descriptor = image.descriptor;
    let mut manifest = image.manifest;
    for (descriptor, members) in
        [(&mut descriptor, &["digest", "size"][..]), (&mut manifest["config"], &["digest", "size"])]
    {
        descriptor.as_object_mut().unwrap().retain(|member, _| !members.contains(&member.as_str()));
    }
    descriptor["annotations"].as_object_mut().unwrap().remove("org.opencontainers.image.ref.name");
    json!({"config": image.config, "manifest": manifest, "descriptor": descriptor})
}

/// The members that differ, by JSON pointer, with their new values.
fn differences(old: &Value, new: &Value, pointer: &str, found: &mut BTreeMap<String, Value>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let nothing = missing();
                let (old, new) = (old.get(key).unwrap_or(&nothing), new.get(key).unwrap_or(&nothing));
                differences(old, new, &format!("{pointer}/{key}"), found);
            }
        }
        (old, new) if old != new => drop(found.insert(pointer.to_owned(), new.clone())),
        _ => {}
    }
}

/// Changes, and everything that then differs: members by JSON pointer, with their new values. `-` is no value.
const ROWS: &str = r#"
    --env A=2                                => config/config/Env ["PATH=/bin","A=2","B=x=y"]
    --env C= --env PATH=                     => config/config/Env ["PATH=","A=1","B=x=y","C="]
    --remove-env A --remove-env Z            => config/config/Env ["PATH=/bin","B=x=y"]
    --clear env                              => config/config/Env -
    --env ''                                 => config/config/Env -
    --env Z=1 --clear env                    => config/config/Env ["Z=1"]
    --remove-env=A --env=A=3                 => config/config/Env ["PATH=/bin","B=x=y","A=3"]
    --label b=2 --label .title=y             => config/config/Labels/b "2"
                                             => config/config/Labels/org.opencontainers.image.title "y"
    --remove-label a                         => config/config/Labels/a -
    --remove-label .title                    => config/config/Labels/org.opencontainers.image.title -
    --clear label                            => config/config/Labels -
    --entrypoint "/app 'a b'"                => config/config/Entrypoint ["/app","a b"]
    --clear entrypoint                       => config/config/Entrypoint -
    --cmd -x                                 => config/config/Cmd ["-x"]
    --cmd ''                                 => config/config/Cmd -
    --clear cmd                              => config/config/Cmd -
    --user 1000:1000                         => config/config/User "1000:1000"
    --clear user                             => config/config/User -
    # It was `80` and stays so: that is what `80/tcp` is.
    --port 80/tcp --port 81                  => config/config/ExposedPorts/81/tcp {}
    --remove-port 80                         => config/config/ExposedPorts/80 -
    --remove-port 53/udp                     => config/config/ExposedPorts/53/udp -
    --clear port                             => config/config/ExposedPorts -
    --volume /data --volume /b               => config/config/Volumes//b {}
    --remove-volume /data                    => config/config/Volumes -
    --clear volume                           => config/config/Volumes -
    --working-dir /                          => config/config/WorkingDir "/"
    --clear working-dir                      => config/config/WorkingDir -
    --stop-signal 9                          => config/config/StopSignal "9"
    --clear stop-signal                      => config/config/StopSignal -
    --memory 2k                              => config/config/Memory 2048
    --clear memory                           => config/config/Memory -
    --memory-swap 2k                         => config/config/MemorySwap 2048
    --clear memory-swap                      => config/config/MemorySwap -
    --cpu-shares 3                           => config/config/CpuShares 3
    --clear cpu-shares                       => config/config/CpuShares -
    --healthcheck "CMD-SHELL 'a | b'"        => config/config/Healthcheck/Test ["CMD-SHELL","a | b"]
    --healthcheck-timeout 5s                 => config/config/Healthcheck/Timeout 5000000000
    --healthcheck-interval 2s                => config/config/Healthcheck/Interval 2000000000
    --healthcheck-start-period 5s            => config/config/Healthcheck/StartPeriod 5000000000
    --healthcheck-start-interval 5s          => config/config/Healthcheck/StartInterval 5000000000
    --healthcheck-retries 5                  => config/config/Healthcheck/Retries 5
    --clear healthcheck                      => config/config/Healthcheck -
    --author C                               => config/author "C"
    --clear author                           => config/author -
    --author=                                => config/author -
    --created 5                              => config/created "1970-01-01T00:00:05Z"
    --clear created                          => config/created -
    --arch aarch64                           => config/architecture "arm64"
                                             => config/variant "v8"
                                             => descriptor/platform/architecture "arm64"
                                             => descriptor/platform/variant "v8"
    --variant v3                             => config/variant "v3"
                                             => descriptor/platform/variant "v3"
    --variant none                           => config/variant -
                                             => descriptor/platform/variant -
    --clear variant                          => config/variant -
                                             => descriptor/platform/variant -
    --os freebsd                             => config/os "freebsd"
                                             => descriptor/platform/os "freebsd"
    --os-version 11                          => config/os.version "11"
                                             => descriptor/platform/os.version "11"
    --clear os-version                       => config/os.version -
                                             => descriptor/platform/os.version -
    --os-feature a --os-feature b            => config/os.features ["a","b"]
                                             => descriptor/platform/os.features ["a","b"]
    --clear os-feature                       => config/os.features -
                                             => descriptor/platform/os.features -
    --annotation .title=y                    => manifest/annotations/org.opencontainers.image.title "y"
    --remove-annotation .title               => manifest/annotations/org.opencontainers.image.title -
    --clear annotation                       => manifest/annotations -
    --annotation ''                          => manifest/annotations -
    --config-annotation b=2                  => manifest/config/annotations/b "2"
    --remove-config-annotation c             => manifest/config/annotations -
    --clear config-annotation                => manifest/config/annotations -
    --descriptor-annotation e=2              => descriptor/annotations/e "2"
    --remove-descriptor-annotation d         => descriptor/annotations/d -
    --clear descriptor-annotation            => descriptor/annotations/d -
    --clear history                          => config/history -
"#;

/// The arguments of a change, and its effect.
type Row = (Vec<String>, BTreeMap<String, Value>);

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in ROWS.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')) {
        let (args, difference) = line.split_once(" => ").unwrap_or_else(|| panic!("{line}"));
        let (pointer, value) = difference.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value = if value == "-" { missing() } else { serde_json::from_str(value).unwrap() };
        if !args.trim().is_empty() {
            rows.push((shell_words::split(args).unwrap(), BTreeMap::new()));
        }
        rows.last_mut().unwrap().1.insert(format!("/{pointer}"), value);
    }
    rows
}

fn missing() -> Value {
    json!("(missing)")
}

/// Every field can be set, added to, taken from and cleared, and nothing else changes, known or unknown.
#[test]
fn every_field_changes_alone() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    full_layout(&out);
    let before = documents(&out, "v1");
    for (args, expected) in rows() {
        let digest = config(oci(&out, ":v1")).args(&args).args(["--no-history", "--tag", "edited", "-q"]).bake();
        assert_eq!(Layout::at(&out).image("edited").digest(), digest, "{args:?}");
        let mut found = BTreeMap::new();
        differences(&before, &documents(&out, "edited"), "", &mut found);
        assert_eq!(found, expected, "{args:?}");
        // The documents of the previous edit are removed.
        let garbage = Tool::new("gc").arg(oci(&out, "")).args(["--dry-run", "--json"]).run().json();
        assert_eq!(garbage["freed"], json!([]), "{args:?}");
    }
}

#[test]
fn every_flag_and_field_has_a_row() {
    let scratch = Scratch::new();
    let rows = rows();
    let help = Tool::new("config").arg("--help").run().stdout();
    // The commands of images, in examples, have flags of their own.
    let (help, _) = help.split_once("Examples:").unwrap();
    let flags = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 3);
    // These change nothing in the documents, or have their own tests.
    let elsewhere = [
        "--tag",
        "--platform",
        "--all-platforms",
        "--json",
        "--no-sync",
        "--max-layer-size",
        "--max-ratio",
        "--max-metadata",
        "--history",
        "--no-history",
        "--index",
        "--remove-index",
        "--help",
        "--verbose",
        "--quiet",
    ];
    for flag in flags.map(|flag| flag.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())) {
        let is_tried = rows.iter().any(|(args, _)| args.iter().any(|arg| arg.split('=').next() == Some(flag)));
        assert!(is_tried || elsewhere.iter().any(|other| flag.starts_with(other)), "{flag} is not tried");
    }
    full_layout(&scratch.join("out"));
    let error = config(oci(&scratch.join("out"), ":v1")).args(["--clear", "x"]).run().error();
    let fields = error.split("one of ").nth(1).and_then(|rest| rest.split(" expected").next()).unwrap();
    let fields = fields.split(", ").map(|field| field.trim_matches('`'));
    for field in fields.filter(|field| *field != "index-annotation") {
        assert!(rows.iter().any(|(args, _)| *args == ["--clear", field]), "{field} is not cleared");
    }
}

/// In a build an entrypoint clears an inherited command; an edit changes only what it is asked to.
#[test]
fn many_changes_are_one_manifest_and_the_old_one_is_gone() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    full_layout(&out);
    let before = Layout::at(&out).image("v1");
    let files = names_below(&out).len();
    let args = ["--entrypoint", "/app", "--label", "b=2", "--annotation", "b=2", "--arch", "arm", "--author", "C"];
    let report = config(oci(&out, ":v1")).args(args).arg("--json").run().json();
    let after = Layout::at(&out).image("v1");
    let old_config = before.manifest["config"]["digest"].clone();
    let mut removed = [json!(before.digest()), old_config];
    removed.sort_by_key(ToString::to_string);
    assert_eq!(
        report,
        json!({
            "image": oci(&out, ":v1"), "changed": true, "refs": ["v1"], "removed": removed, "warnings": [],
            "images": [{"platform": "linux/arm", "digest": after.digest(), "previous": before.digest()}],
        })
    );
    assert_eq!(after.config["config"]["Cmd"], json!(["serve", "-v"]));
    assert_eq!(after.layers(), before.layers());
    assert_eq!(names_below(&out).len(), files, "more or fewer blobs than before");
    let step =
        json!({"created": "2001-01-01T00:00:00Z", "created_by": "ocibake config", "author": "C", "empty_layer": true});
    assert_eq!(after.config["history"], json!([{"created_by": "somebody", "org.example": 1}, step]));
}

#[test]
fn the_history_says_what_it_is_told_to() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    full_layout(&out);
    let steps = |args: &[&str]| {
        let _ = config(oci(&out, ":v1")).args(args).args(["--tag", "x"]).bake();
        let history = Layout::at(&out).image("x").config["history"].take();
        history.as_array().cloned().unwrap_or_default().into_iter().skip(1).collect::<Vec<_>>()
    };
    let created = "2001-01-01T00:00:00Z";
    let step = |members: Value| {
        let step = json!({"created": created, "created_by": "ocibake config", "empty_layer": true});
        vec![with(step, &members)]
    };
    assert_eq!(steps(&["--user", "x"]), step(json!({})));
    assert_eq!(steps(&["--annotation", "x=y"]), step(json!({})));
    assert_eq!(steps(&["--history-comment", "why"]), step(json!({"comment": "why"})));
    assert_eq!(
        steps(&["--history-author=a", "--history-created=7", "--history-created-by=make", "--author=b", "--created=9"]),
        step(json!({"author": "a", "created": "1970-01-01T00:00:07Z", "created_by": "make"}))
    );
    assert_eq!(
        steps(&["--created", "9", "--author", "b"]),
        step(json!({"author": "b", "created": "1970-01-01T00:00:09Z"}))
    );
    assert_eq!(steps(&["--no-history", "--user", "x"]), Vec::<Value>::new());
    // Without a new manifest there is no step.
    assert_eq!(steps(&["--descriptor-annotation", "x=y"]), Vec::<Value>::new());

    // Readers count the steps with a layer, so nothing can be added to an absent history.
    let layout = ByHand::at(&scratch.join("none"));
    layout.list(&[named(&layout.platform("amd64", None), "v1")]);
    let none = oci(&scratch.join("none"), ":v1");
    let _ = config(&none).args(["--user", "x"]).bake();
    assert!(Layout::at(&scratch.join("none")).image("v1").config.get("history").is_none());
    assert_verified(&none);
    let error = config(&none).args(["--user", "y", "--history-comment", "why"]).run().error();
    assert!(error.contains("no history"), "{error}");
}

/// The clock is never read.
#[test]
fn created_is_told_or_stays() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    full_layout(&out);
    for (epoch, args, created) in [
        (None, &["--user", "a"][..], "2001-01-01T00:00:00Z"),
        (Some("7"), &["--user", "b"], "2001-01-01T00:00:00Z"),
        (Some("8"), &["--user", "c", "--created", "9"], "1970-01-01T00:00:09Z"),
        // Nothing is asked for, so nothing changes.
        (Some("10"), &[], "1970-01-01T00:00:09Z"),
        (Some("10"), &["--user", "c"], "1970-01-01T00:00:09Z"),
        (Some(""), &["--user", "d"], "1970-01-01T00:00:09Z"),
    ] {
        let tool = config(oci(&out, ":v1")).args(args);
        let tool = match epoch {
            Some(epoch) => tool.env("SOURCE_DATE_EPOCH", epoch),
            None => tool,
        };
        let _ = tool.env("OCI_IMAGE_AUTHOR", "nobody").run().stdout();
        let image = Layout::at(&out).image("v1");
        assert_eq!(image.config["created"], created, "{epoch:?} {args:?}");
        assert_eq!(image.config["author"], "A B <a@b>", "a variable of `build` was read");
    }
}

#[test]
fn no_difference_is_no_change() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    full_layout(&out);
    let digest = Layout::at(&out).image("v1").digest();
    let before = bytes_of(&out);
    let modified = || fs::metadata(&out).and_then(|metadata| metadata.modified()).unwrap();
    let time = modified();
    for args in [
        &[][..],
        &["--env", "A=1", "--label", "a=1", "--user", "app", "--arch", "amd64", "--os", "linux", "--port", "80"],
        &["--remove-env", "Z", "--remove-port", "81", "--remove-volume", "/z", "--remove-annotation", "z"],
        &["--tag", "v1"],
        &["--healthcheck-retries", "3", "--variant", "v2"],
    ] {
        let outcome = config(oci(&out, ":v1")).args(args).run();
        let said = outcome.stderr().to_owned();
        assert_eq!(outcome.stdout(), format!("{digest}\n"), "{args:?}");
        assert!(said.ends_with(": nothing is different, nothing was written\n") && said.lines().count() == 1, "{said}");
        assert_eq!(config(oci(&out, ":v1")).args(args).arg("-q").bake(), digest);
        assert_eq!(config(oci(&out, ":v1")).args(args).arg("--json").run().json()["changed"], false);
    }
    assert!(bytes_of(&out) == before);
    assert_eq!(modified(), time, "something was written and taken back");
}

/// `multi` for amd64, arm/v7 and an attestation, in an index within an index; `same` leads to the inner one, `amd64`
/// and `again` to the first manifest alone. The descriptors within hold the documents' own bytes too.
fn nested_layout(path: &Path) -> ByHand {
    let layout = ByHand::at(path);
    let with_data = |descriptor: &Value| {
        let raw = Layout::at(path).blob(descriptor);
        with(descriptor.clone(), &json!({"data": base64(&raw), "annotations": {"of.a": "descriptor"}, "x": 1}))
    };
    let (amd64, arm) = (layout.platform("amd64", None), layout.platform("arm", Some("v7")));
    let attestation = with(
        layout.image(&[tar_of(&[])], &json!({"architecture": "unknown", "os": "unknown"})),
        &json!({"platform": {"architecture": "unknown", "os": "unknown"}}),
    );
    let inner = layout.document(&json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "x": {"z": 1},
        "manifests": [with_data(&amd64), with_data(&arm), attestation], "annotations": {"of.an": "index"},
    }));
    let outer = layout.index(&[with_data(&inner)]);
    let multi = with(named(&outer, "multi"), &json!({"data": base64(&Layout::at(path).blob(&outer)), "y": 2}));
    layout.list(&[multi, named(&inner, "same"), named(&amd64, "amd64"), named(&amd64, "again")]);
    layout
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > group.len() { '=' } else { char::from(DIGITS[index as usize]) });
        }
    }
    text
}

/// The documents from the entry of a name down: the first manifest of each index, or the one at a position in the last.
fn chain(layout: &Path, name: &str, last: usize) -> Vec<Value> {
    let index = Layout::at(layout).index();
    let is_called = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
    let mut descriptor = index["manifests"].as_array().unwrap().iter().find(is_called).expect("the name").clone();
    let mut chain = vec![descriptor.clone()];
    loop {
        let document: Value = serde_json::from_slice(&Layout::at(layout).blob(&descriptor)).unwrap();
        let manifests = document["manifests"].as_array().cloned();
        chain.push(document);
        let Some(manifests) = manifests else { return chain };
        descriptor = manifests[if manifests.len() > 1 { last } else { 0 }].clone();
    }
}

#[test]
fn the_indexes_above_an_image_are_written_anew_and_other_names_stay() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    nested_layout(&out);
    assert_verified(oci(&out, ":same"));
    let before = bytes_of(&out);
    let old = chain(&out, "multi", 0);
    let others = |layout: &Path| Layout::at(layout).index()["manifests"].as_array().unwrap()[1..].to_vec();
    let others_before = others(&out);

    let args = ["--platform", "linux/amd64", "--label", "a=b", "--index-annotation", "new=1", "--no-history"];
    let report = config(oci(&out, ":multi")).args(args).arg("--json").run().json();
    let new = chain(&out, "multi", 0);
    assert_eq!(report["images"][0]["previous"], old[2]["manifests"][0]["digest"]);
    assert_eq!(report["images"][0]["digest"], new[2]["manifests"][0]["digest"]);
    assert_eq!(report["refs"], json!(["multi"]));
    assert_eq!(others(&out), others_before);
    // Digest and size differ, the bytes embedded in the descriptor are gone, and everything else is unchanged.
    let expected = |old: &Value, new: &Value| {
        let mut old = old.clone();
        old["digest"] = new["digest"].clone();
        old["size"] = new["size"].clone();
        old.as_object_mut().unwrap().remove("data");
        old
    };
    assert_eq!(new[0], expected(&old[0], &new[0]));
    assert_eq!(new[1]["manifests"][0], expected(&old[1]["manifests"][0], &new[1]["manifests"][0]));
    let mut inner = old[2].clone();
    inner["manifests"][0] = expected(&old[2]["manifests"][0], &new[2]["manifests"][0]);
    inner["annotations"]["new"] = json!("1");
    assert_eq!(new[2], inner);
    // Only the outer index has become unreachable.
    let outer = blob(&out, &old[0]).strip_prefix(&out).unwrap().to_path_buf();
    assert_eq!(report["removed"], json!([old[0]["digest"]]));
    let after = bytes_of(&out);
    for (path, bytes) in before.iter().filter(|(path, _)| **path != outer && *path != Path::new("index.json")) {
        assert!(after.get(path) == Some(bytes), "{} changed", path.display());
    }
    // Two indexes, a manifest and a config are new.
    assert_eq!(after.len(), before.len() - 1 + 4);
    let garbage = Tool::new("gc").arg(oci(&out, "")).args(["--dry-run", "--json"]).run().json();
    assert_eq!(garbage["freed"], json!([]));

    let args = ["--platform=linux/amd64", "--clear=index-annotation", "--index-annotation=.title=x", "--no-history"];
    let _ = config(oci(&out, ":multi")).args(args).bake();
    let title = json!({"org.opencontainers.image.title": "x"});
    assert_eq!(chain(&out, "multi", 0)[2]["annotations"], title);
    let _ = config(oci(&out, ":multi")).args(["--platform=linux/arm", "--remove-index-annotation=.title"]).bake();
    assert!(chain(&out, "multi", 0)[2].get("annotations").is_none());

    // Of two names of one manifest, one moves.
    let moved = config(oci(&out, ":again")).args(["--label", "b=c"]).bake();
    let refs = Layout::at(&out).refs();
    assert_eq!(refs["again"], moved);
    assert_eq!(json!(refs["amd64"]), others_before[1]["digest"]);
    assert_eq!(json!(refs["same"]), others_before[0]["digest"]);

    if let (Some(umoci), Some(skopeo)) = (Peer::find("umoci"), Peer::find("skopeo")) {
        let listed = umoci.run(["list", "--layout", &out.display().to_string()]);
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["multi", "same", "amd64", "again"]);
        let to = format!("dir:{}", scratch.join("dir").display());
        skopeo.run(["--insecure-policy", "copy", "-q", "--override-arch", "amd64", &oci(&out, ":same"), &to]);
    }
}

#[test]
fn a_choice_has_to_be_made_or_all_are_meant() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    nested_layout(&out);
    let before = bytes_of(&out);
    let error = config(oci(&out, ":multi")).args(["--user", "x"]).run().error();
    assert!(error.contains("linux/amd64") && error.contains("linux/arm/v7") && error.contains("--platform"), "{error}");
    let error = config(oci(&out, ":multi")).args(["--all-platforms", "--arch", "arm64"]).run().error();
    assert!(error.contains("one platform cannot be that of 2 images"), "{error}");
    let error = config(oci(&out, ":multi")).args(["--platform", "linux/arm", "--arch", "amd64"]).run().error();
    assert!(error.contains("two images for linux/amd64"), "{error}");
    assert!(bytes_of(&out) == before);

    let digests = config(oci(&out, ":multi")).args(["--all-platforms", "--user", "x", "--tag", "all"]).run().stdout();
    let digests: Vec<&str> = digests.lines().collect();
    for (position, variant) in [(0, Value::Null), (1, json!("v7"))] {
        let chain = chain(&out, "all", position);
        assert_eq!(chain[2]["manifests"][position]["digest"], digests[position]);
        let image: Value = serde_json::from_slice(&Layout::at(&out).blob(&chain[3]["config"])).unwrap();
        assert_eq!((&image["config"]["User"], &image["variant"]), (&json!("x"), &variant));
        assert_eq!(chain[2]["manifests"][position]["platform"]["variant"], variant);
    }
    // The attestation is not an image and does not change.
    assert_eq!(chain(&out, "all", 0)[2]["manifests"][2], chain(&out, "multi", 0)[2]["manifests"][2]);
    let seen = Tool::new("inspect").args([oci(&out, ":all"), "--platform=linux/arm/v7".into(), "--json".into()]).run();
    assert_eq!(seen.json()["config"]["User"], "x");

    // A platform that only the index has is kept there, and an unknown one is not made up.
    let layout = ByHand::at(&scratch.join("flat"));
    let arm = with(
        layout.image(&[], &json!({"architecture": "arm"})),
        &json!({
            "platform": {"architecture": "arm", "os": "linux", "variant": "v7"}
        }),
    );
    let bare = layout.image(&[], &json!({"architecture": "amd64"}));
    layout.list(&[named(&arm, "arm"), named(&bare, "bare")]);
    let flat = scratch.join("flat");
    for name in ["arm", "bare"] {
        let _ = config(oci(&flat, &format!(":{name}"))).args(["--user", "x"]).bake();
    }
    let after = Layout::at(&flat).index();
    assert_eq!(after["manifests"][0]["platform"], arm["platform"]);
    assert!(after["manifests"][1].get("platform").is_none());
    let _ = config(oci(&flat, ":bare")).args(["--variant", "v2"]).bake();
    let platform = json!({"architecture": "amd64", "os": "linux", "variant": "v2"});
    assert_eq!(Layout::at(&flat).index()["manifests"][1]["platform"], platform);
}

/// Without a name, the only image is edited, whatever it is called.
#[test]
fn an_image_without_a_name_moves_with_all_its_names() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let _ = Tool::build(scratch.small_rootfs()).oci(&out).args(["--tag", "a", "--tag", "b"]).bake();
    let digest = config(oci(&out, "")).args(["--user", "x"]).bake();
    let both = [("a".to_owned(), digest.clone()), ("b".to_owned(), digest.clone())];
    assert_eq!(Layout::at(&out).refs(), both.into());
    assert_verified(oci(&out, ""));
    let image = Layout::at(&out).image("a");
    assert_eq!(image.descriptor["platform"], json!({"architecture": "amd64", "os": "linux"}));
    let new = config(oci(&out, ":a")).args(["--user", "y", "--tag", "c", "--tag", "reg:5/d"]).bake();
    let refs = Layout::at(&out).refs();
    assert_eq!([&refs["a"], &refs["b"], &refs["c"], &refs["reg:5/d"]], [&digest, &digest, &new, &new]);
}

#[test]
fn documents_of_docker_become_those_of_oci() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let layer = tar_of(&[Member::File("a", "1")]);
    let diff_id = format!("sha256:{}", sha256(&layer));
    let image = json!({"architecture": "amd64", "os": "linux", "container": "abc", "docker_version": "20",
        "config": {"Hostname": "x", "Env": null}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let manifest = json!({"schemaVersion": 2, "mediaType": docker,
        "config": layout.blob(image.to_string().as_bytes(), "application/vnd.docker.container.image.v1+json"),
        "layers": [layout.blob(&layer, "application/vnd.docker.image.rootfs.diff.tar")]});
    layout.list(&[named(&layout.document(&manifest), "v1")]);
    let _ = config(oci(&out, ":v1")).args(["--env", "A=1"]).bake();
    let after = Layout::at(&out).image("v1");
    assert_eq!((&after.descriptor["mediaType"], &after.manifest["mediaType"]), (&json!(MANIFEST), &json!(MANIFEST)));
    let types = [&after.manifest["config"]["mediaType"], &after.manifest["layers"][0]["mediaType"]];
    let expected = ["application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"];
    assert_eq!(types, expected);
    assert_eq!(after.config["config"], json!({"Hostname": "x", "Env": ["A=1"]}));
    assert_eq!((&after.config["container"], &after.config["docker_version"]), (&json!("abc"), &json!("20")));
    assert_verified(oci(&out, ":v1"));
}

#[test]
fn an_archive_is_edited_like_a_layout() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let args = ["--label", "a=b", "--entrypoint", "/x", "--no-history"];
    for name in ["a.tar", "a.tar.zst"] {
        let archive = scratch.join(name);
        let place = format!("oci-archive:{}", archive.display());
        let _ = Tool::build(&rootfs).archive(&archive).bake();
        let digest = config(&place).args(args).bake();
        let expected = scratch.join(&format!("expected-{name}"));
        assert_eq!(Tool::build(&rootfs).archive(&expected).args(&args[..4]).bake(), digest);
        assert!(fs::read(&archive).unwrap() == fs::read(&expected).unwrap(), "{name}");
        assert_verified(&place);
    }
    assert_eq!(names_below(scratch.path()).iter().filter(|name| name.contains(".ocibake-")).count(), 0);
}

#[test]
fn what_is_wrong_is_said_in_a_line_and_nothing_was_touched() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    full_layout(&out);
    let _ = Tool::build(scratch.small_rootfs()).archive(&scratch.join("a.tar")).bake();
    let _ = Tool::build("rootfs")
        .arg("docker-archive:docker.tar:app:v1")
        .args(["--docker-legacy-only"])
        .within(scratch.path())
        .bake();
    let before = bytes_of(scratch.path());
    for (args, words) in [
        (&["oci:out:v2", "--user=x"][..], &["no image of this name", "`v1`"][..]),
        (&["oci:out:v1", "--tag=-x"], &["`-x`", "letters and digits"]),
        (&["oci:out:v1", "--platform=linux/s390x"], &["linux/s390x", "linux/amd64/v2"]),
        (&["oci:out:v1", "--env=A"], &["--env: `A` is not accepted"]),
        (&["oci:out:v1", "--remove-env=A=1"], &["--remove-env: `A=1` is not accepted"]),
        (&["oci:out:v1", "--remove-env="], &["--remove-env: `` is not accepted"]),
        (&["oci:out:v1", "--remove-label="], &["--remove-label"]),
        (&["oci:out:v1", "--remove-port=http"], &["--remove-port: `http` is not accepted"]),
        (&["oci:out:v1", "--port=http"], &["--port: `http` is not accepted"]),
        (&["oci:out:v1", "--created=now"], &["--created: `now` is not accepted"]),
        (&["oci:out:v1", "--arch=z80"], &["--arch: `z80` is not accepted"]),
        (&["oci:out:v1", "--os=Linux"], &["--os: `Linux` is not accepted"]),
        (&["oci:out:v1", "--variant=exact"], &["--variant: `exact` is not accepted"]),
        (&["oci:out:v1", "--os-version="], &["--os-version"]),
        (&["oci:out:v1", "--clear=everything"], &["`everything`", "env", "descriptor-annotation"]),
        (&["oci:out:v1", "--index-annotation=a=b"], &["no index of its own", "--descriptor-annotation"]),
        (&["oci:out:v1", "--config-annotation=a"], &["--config-annotation: `a` is not accepted"]),
        (&["oci:out:v1", "--descriptor-annotation=.ref.name=x"], &["org.opencontainers.image.ref.name", "ocibake tag"]),
        (&["oci:out:v1", "--remove-descriptor-annotation=.ref.name"], &["ref.name", "ocibake rm"]),
        (&["oci:out:v1", "--no-history", "--history-comment=x"], &["--no-history"]),
        (&["oci:out:v1", "--history-created=now"], &["now"]),
        (&["oci:out:v1", "--all-platforms", "--platform=linux/amd64"], &["--all-platforms"]),
        (&["docker-archive:docker.tar", "--user=x"], &["docker archives are read, not edited", "ocibake convert"]),
        (&["docker.tar", "--user=x"], &["docker archives are read, not edited"]),
        (&["oci:missing", "--user=x"], &["missing"]),
        (&["oci-archive:out", "--user=x"], &["found a directory"]),
    ] {
        let error = Tool::new("config").args(args).within(scratch.path()).run().error();
        for word in words {
            assert!(error.contains(word), "no `{word}` for {args:?}: {error}");
        }
    }
    assert!(bytes_of(scratch.path()) == before);
}

/// Damage elsewhere in the layout does not prevent an edit; it only makes it impossible to tell what may be removed.
#[test]
fn only_what_is_on_the_way_is_needed() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = full_layout(&out);
    let other = layout.platform("amd64", None);
    let listed = |descriptors: &[Value]| {
        let mut index = Layout::at(&out).index();
        index["manifests"].as_array_mut().unwrap().extend(descriptors.iter().cloned());
        fs::write(out.join("index.json"), index.to_string()).unwrap();
    };
    let missing = json!({"mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 5});
    listed(&[named(&other, "other"), named(&missing, "missing")]);
    let before = Layout::at(&out).image("v1").digest();
    let report = config(oci(&out, ":v1")).args(["--user", "x", "--json"]).run().json();
    assert_eq!(report["removed"].as_array().map(Vec::len), Some(2), "{report:#}");

    fs::write(blob(&out, &other), "damaged").unwrap();
    let report = config(oci(&out, ":v1")).args(["--user", "y", "--json"]).run().json();
    assert_eq!((&report["changed"], &report["removed"]), (&json!(true), &json!([])));
    assert_ne!(Layout::at(&out).image("v1").digest(), before);
}

/// An artifact belongs to the manifest that it was attached to.
#[test]
fn what_is_attached_keeps_the_old_manifest_and_is_told() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let image = layout.platform("amd64", None);
    layout.list(&[named(&image, "v1"), layout.artifact(&image, "note")]);
    let outcome = config(oci(&out, ":v1")).args(["--user", "x"]).run();
    let previous = image["digest"].as_str().unwrap();
    assert_eq!(outcome.stderr(), format!("ocibake: warning: what is attached to {previous} stays with it\n"));
    assert!(blob(&out, &image).is_file());
    assert_verified(oci(&out, ""));
}

/// Whenever a run is killed, the layout is intact and has the old image or the new one.
#[test]
fn killed_in_between_it_leaves_a_layout_that_is_whole() {
    let scratch = Scratch::new();
    let (rootfs, out, archive) = (scratch.small_rootfs(), scratch.join("out"), scratch.join("a.tar"));
    let _ = Tool::build(&rootfs).target("oci", &out, "v1").target("oci-archive", &archive, "v1").bake();
    let mut digest = Layout::at(&out).image("v1").digest();
    let mut killed = 0;
    for number in 0..60 {
        let label = format!("n={number}");
        for place in [oci(&out, ":v1"), format!("oci-archive:{}:v1", archive.display())] {
            let running = config(&place).args(["--label", &label]).start();
            std::thread::sleep(Duration::from_micros(number * 150));
            running.signal(Signal::KILL);
            let outcome = running.wait();
            killed += usize::from(outcome.signal() == Some(9));
        }
        let image = Layout::at(&out).image("v1");
        if image.digest() == digest {
            assert_ne!(image.config["config"]["Labels"]["n"], number.to_string());
        } else {
            assert_eq!(image.config["config"]["Labels"]["n"], number.to_string());
            digest = image.digest();
        }
        let _ = image.stream();
    }
    assert!(killed > 0, "no run was killed");
    for place in [oci(&out, ":v1"), format!("oci-archive:{}:v1", archive.display())] {
        let _ = config(&place).args(["--label", "n=last"]).bake();
        assert_verified(&place);
    }
    // Left by the killed runs.
    let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
    assert_verified(oci(&out, ""));
    assert_eq!(names_below(scratch.path()).iter().filter(|name| name.contains(".ocibake-")).count(), 0);
}

#[test]
fn the_tools_that_people_have_take_what_was_edited() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let _ = Tool::build(scratch.small_rootfs()).target("oci", &out, "v1").bake();
    let args = ["--env", "A=b c", "--cmd", "/bin/sh -l", "--user", "4242:4242", "--arch", "arm64", "--label", "x=y"];
    let digest = config(oci(&out, ":v1")).args(args).bake();
    let _ = config(oci(&out, ":v1")).args(["--remove-label", "x", "--tag", "v2", "--history-comment", "less"]).bake();
    for name in [":v1", ":v2"] {
        assert_verified(oci(&out, name));
    }
    if let Some(skopeo) = Peer::find("skopeo") {
        let seen: Value = serde_json::from_str(&skopeo.run(["inspect", &oci(&out, ":v1")])).unwrap();
        assert_eq!((&seen["Digest"], &seen["Architecture"]), (&json!(digest), &json!("arm64")));
        assert_eq!((&seen["Labels"]["x"], &seen["Env"]), (&json!("y"), &json!(["A=b c"])));
    }
    if let Some(umoci) = Peer::find("umoci") {
        let image = format!("{}:v2", out.display());
        let seen: Value = serde_json::from_str(&umoci.run(["stat", "--json", "--image", &image])).unwrap();
        let steps = seen["history"].as_array().unwrap();
        assert_eq!(steps.iter().filter(|step| step["empty_layer"] == true).count(), 2, "{seen:#}");
        assert_eq!(steps.last().unwrap()["comment"], "less");
        umoci.run(["unpack", "--rootless", "--image", &image, &scratch.join("bundle").display().to_string()]);
        assert!(scratch.join("bundle/rootfs/etc/hostname").is_file());
        // And umoci can edit the image further.
        umoci.run(["config", "--image", &image, "--config.label", "theirs=1"]);
        let _ = config(oci(&out, ":v2")).args(["--label", "ours=1"]).bake();
        let labels = json!({"theirs": "1", "ours": "1"});
        assert_eq!(Layout::at(&out).image("v2").config["config"]["Labels"], labels);
    }
    if let Some(podman) = Storage::of("podman", &scratch) {
        podman.run(&["pull", "-q", &oci(&out, ":v1")]);
        let images: Value = serde_json::from_str(&podman.run(&["images", "--format", "json"])).unwrap();
        let id = images[0]["Id"].as_str().unwrap().to_owned();
        let seen: Value = serde_json::from_str(&podman.run(&["image", "inspect", &id])).unwrap();
        assert_eq!(seen[0]["Config"]["Cmd"], json!(["/bin/sh", "-l"]));
        assert_eq!(seen[0]["User"], "4242:4242");
    }
}

/// As in a BitBake task: every verb that changes a layout, under pseudo.
#[test]
fn an_ordinary_user_under_pseudo_edits_as_everybody_does() {
    let scratch = Scratch::new();
    let Some(pseudo) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    pseudo.script("rootfs", b"mkdir etc; echo x > etc/motd; chown -R 4242:7 etc; touch -d @5 etc/motd etc .");
    let run = |args: &[&str]| pseudo.tool(args).stdout();
    let _ = run(&["build", "rootfs", "oci:out:v1", "--arch", "arm64"]);
    let digest = run(&["config", "oci:out:v1", "--user", "app", "--label", "a=b"]);
    assert_eq!(run(&["config", "oci:out:v1", "--user", "app", "-q"]), digest);
    assert_eq!(run(&["tag", "oci:out:v1", "v2"]), digest);
    let _ = run(&["build", "rootfs", "oci:out:v1", "--arch", "arm64"]);
    assert_eq!(run(&["gc", "oci:out", "-q"]), "");
    assert_verified(oci(&pseudo.home().join("out"), ""));
    assert_eq!(pseudo.log_of_trouble(), Vec::<String>::new());
    assert_eq!(Layout::at(&pseudo.home().join("out")).image("v2").config["config"]["User"], "app");
}

/// An image may be both in `index.json` and in an index. Only the paths to it from the name are edited, or all of them
/// if no name was given.
#[test]
fn an_index_is_met_wherever_it_lists_the_image() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let write = || {
        let layout = ByHand::at(&out);
        let image = layout.platform("amd64", None);
        let index = layout.index(&[image.clone()]);
        layout.list(&[named(&image, "direct"), named(&index, "multi"), named(&layout.index(&[index]), "outer")]);
    };
    write();
    let _ = config(oci(&out, "")).args(["--index-annotation", "a=b"]).bake();
    let layout = Layout::at(&out);
    let read = |out: &Path, entry: &Value| -> Value { serde_json::from_slice(&Layout::at(out).blob(entry)).unwrap() };
    let index = read(&out, &layout.index()["manifests"][1]);
    assert_eq!(index["annotations"], json!({"a": "b"}));
    // Only what lists the image itself is annotated.
    let outer = read(&out, &layout.index()["manifests"][2]);
    assert_eq!(outer.get("annotations"), None);
    assert_eq!(outer["manifests"][0]["digest"], layout.index()["manifests"][1]["digest"]);

    write();
    let before = bytes_of(&out);
    let error = config(oci(&out, ":direct")).args(["--index-annotation", "a=b"]).run().error();
    assert!(error.contains("no index of its own that could have annotations"), "{error}");
    assert!(bytes_of(&out) == before);
    let _ = config(oci(&out, ":outer")).args(["--index-annotation", "a=b", "--user", "x"]).bake();
    let refs = layout.refs();
    let outer = read(&out, &layout.index()["manifests"][2]);
    assert_eq!(read(&out, &outer["manifests"][0])["annotations"], json!({"a": "b"}));
    // An image with other names keeps them.
    let made = scratch.join("made");
    fs::rename(&out, &made).unwrap();
    write();
    for name in ["direct", "multi"] {
        assert_eq!(refs[name], Layout::at(&out).refs()[name], "{name}");
    }
}

#[test]
fn where_there_are_several_platforms_the_way_to_change_all_is_named() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("out"));
    layout.list(&[named(&layout.index(&[layout.platform("amd64", None), layout.platform("arm64", None)]), "v1")]);
    let error = config("oci:out:v1").args(["--label", "a=b"]).within(scratch.path()).run().error();
    assert!(error.contains("one image is wanted, found 2") && error.contains("--platform: v1 linux/amd64"), "{error}");
    assert!(error.ends_with("; or change all with --all-platforms"), "{error}");
}
