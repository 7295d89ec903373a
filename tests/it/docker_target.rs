use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::harness::{bytes_of, make_layout, sha256, tar_of, Layout, Member, Peer, Scratch, Storage, Tool};

/// The command and the labels of the image.
const SETTINGS: [&str; 6] = ["--cmd", "/bin/sh -l", "--label", ".title=An image", "--env", "A=b c"];

/// `docker-archive:PATH`, followed by a name or not.
fn docker(path: &Path, name: &str) -> String {
    format!("docker-archive:{}{name}", path.display())
}

fn oci(path: &Path, name: &str) -> String {
    format!("oci:{}{name}", path.display())
}

/// The members of an archive in order, read by another reader: the content of files, the target of links.
fn members(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(fs::File::open(archive).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        match entry.link_name_bytes() {
            Some(link) => content.extend_from_slice(&link),
            None => drop(std::io::Read::read_to_end(&mut entry, &mut content).unwrap()),
        }
        let header = entry.header();
        let seen = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
        assert_eq!(seen, (0, 0, 0), "{name}");
        (name, content)
    };
    tar.entries().unwrap().map(read).collect()
}

/// A document of an archive.
fn json_of(members: &[(String, Vec<u8>)], name: &str) -> Value {
    let found = members.iter().find(|(found, _)| found == name);
    serde_json::from_slice(&found.unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

fn names(members: &[(String, Vec<u8>)]) -> Vec<&str> {
    members.iter().map(|(name, _)| name.as_str()).collect()
}

fn texts(values: &Value) -> Vec<&str> {
    values
        .as_array()
        .unwrap_or_else(|| panic!("a list expected: {values}"))
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect()
}

/// The v1 ids of an image's layers: the SHA-256 of diff_id, parent and, at the top, the config.
fn v1_ids(config: &[u8]) -> Vec<String> {
    let parsed: Value = serde_json::from_slice(config).unwrap();
    let diff_ids = texts(&parsed["rootfs"]["diff_ids"]);
    let mut ids = Vec::<String>::new();
    for (number, diff_id) in diff_ids.iter().enumerate() {
        let hex = diff_id.strip_prefix("sha256:").unwrap();
        let mut text = format!("{hex} {}", ids.last().map_or("", String::as_str)).into_bytes();
        if number + 1 == diff_ids.len() {
            text.extend_from_slice(b" ");
            text.extend_from_slice(config);
        }
        ids.push(sha256(&text));
    }
    ids
}

/// The small rootfs, and as its base three layers in `oci:base`, of which the first and the last are equal.
fn with_base(scratch: Scratch) -> Scratch {
    let tar = |name| tar_of(&[Member::Directory("./"), Member::File(name, "1")]);
    make_layout(&scratch.join("base"), &[tar("one"), tar("two"), tar("one")]);
    scratch.small_rootfs();
    scratch
}

/// The image on that base, as a docker archive and as a layout.
fn bake_on_base(scratch: &Scratch, flags: &[&str]) -> (PathBuf, PathBuf) {
    let (archive, out) = (scratch.join("a.tar"), scratch.join("out"));
    let tool = Tool::new("build").arg(scratch.join("rootfs")).args(["--base", &oci(&scratch.join("base"), "")]);
    let _ = tool.arg(docker(&archive, ":team/app:v1")).arg(oci(&out, ":v1")).args(SETTINGS).args(flags).bake();
    (archive, out)
}

/// The entries that differ between two images.
fn differences(one: &str, other: &str) -> Value {
    let difference = Tool::new("diff").args([one, other]).arg("--json").run().printed();
    serde_json::from_str::<Value>(&difference).unwrap()["entries"].take()
}

/// podman's list of images: `NAME:TAG` by the id.
fn podmans_images(podman: &Storage<'_>) -> BTreeSet<(String, String)> {
    let shown = podman.run(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]);
    let pair = |line: &str| {
        let (id, name) = line.split_once(' ').unwrap();
        (name.to_owned(), id.to_owned())
    };
    shown.lines().map(pair).collect()
}

#[test]
fn podman_loads_it_under_every_name() {
    let scratch = Scratch::new();
    let Some(podman) = Storage::of("podman", &scratch) else { return };
    let rootfs = scratch.small_rootfs();
    let mut expected = BTreeSet::new();
    for (archive, given, additional, flags, loaded) in [
        ("one.tar", "example.org/one:v1", &[][..], &[][..], &["example.org/one:v1"][..]),
        ("hub.tar", "hub", &[], &[], &["docker.io/library/hub:latest"]),
        (
            "many.tar",
            "registry:5000/team/app:v1",
            &[":v2", "docker.io/my__app---x:V_1", "example.org/other"],
            &["--compression", "zstd"],
            &[
                "registry:5000/team/app:v1",
                "registry:5000/team/app:v2",
                "docker.io/library/my__app---x:V_1",
                "example.org/other:v1",
            ],
        ),
        (
            "old.tar",
            "registry:5000/old/app:v1",
            &[":v2", "localhost/old"],
            &["--docker-legacy-only"],
            &["registry:5000/old/app:v1", "registry:5000/old/app:v2", "localhost/old:v1"],
        ),
        // podman 4.3 does not read a docker archive that is compressed as a whole, not even its own; it reads the
        // layout in it.
        ("whole.tar.gz", "example.org/gz:v1", &[], &[], &["example.org/gz:v1"]),
    ] {
        let path = scratch.join(archive);
        let tool = Tool::build(&rootfs).arg(docker(&path, &format!(":{given}"))).args(SETTINGS).args(flags);
        // A different image each, because podman merges the names of equal images.
        let tool = tool.args(["--label", &format!("archive={archive}")]);
        let _ = tool.args(additional.iter().map(|name| format!("--additional-tag={name}"))).bake();
        podman.run(&["load", "-q", "-i", &path.display().to_string()]);
        let config = Tool::new("inspect").arg(docker(&path, "")).args(["--raw", "config"]).run().stdout();
        let id = format!("sha256:{}", sha256(config.as_bytes()));
        expected.extend(loaded.iter().map(|name| ((*name).to_owned(), id.clone())));
        assert_eq!(podmans_images(&podman), expected, "{archive}");
    }
    // Without a name.
    let path = scratch.join("nameless.tar");
    for flags in [&["--label", "a=1"][..], &["--label", "a=2", "--docker-legacy-only"]] {
        let _ = Tool::build(&rootfs).arg(docker(&path, "")).args(flags).bake();
        let loaded = podman.run(&["load", "-q", "-i", &path.display().to_string()]);
        let config = Tool::new("inspect").arg(docker(&path, "")).args(["--raw", "config"]).run().stdout();
        assert_eq!(loaded, format!("Loaded image: sha256:{}", sha256(config.as_bytes())));
    }
}

#[test]
fn both_halves_hold_the_image_and_each_blob_once() {
    let scratch = with_base(Scratch::new());
    let (archive, out) = bake_on_base(&scratch, &["--additional-tag", ":v2"]);
    let image = Layout::at(&out).image("v1");
    let members = members(&archive);
    let blob = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));

    // Lists first, then the blobs of the layout, and no name twice.
    let all = names(&members);
    assert_eq!(all[..4], ["oci-layout", "index.json", "manifest.json", "repositories"]);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    let blobs: Vec<&str> =
        all.iter().copied().filter(|name| name.starts_with("blobs/sha256/") && name.len() > 13).collect();
    let in_layout: BTreeMap<_, _> = bytes_of(&out.join("blobs/sha256"));
    assert_eq!(blobs, in_layout.keys().map(|name| format!("blobs/sha256/{}", name.display())).collect::<Vec<_>>());
    // One blob for each different layer, the config and the manifest.
    assert_eq!((image.layers().len(), blobs.len()), (4, 5));

    let config = members.iter().find(|(name, _)| *name == blob(image.manifest["config"]["digest"].as_str().unwrap()));
    let (config_path, config) = config.unwrap();
    let layers: Vec<String> = image.layers().iter().map(|digest| blob(digest)).collect();
    let expected = json!([{"Config": config_path, "RepoTags": ["team/app:v1", "team/app:v2"], "Layers": layers}]);
    assert_eq!(json_of(&members, "manifest.json"), expected);

    let ids = v1_ids(config);
    let top = ids.last().unwrap();
    assert_eq!(json_of(&members, "repositories"), json!({"team/app": {"v1": top, "v2": top}}));
    let mut parent = None;
    for (id, layer) in ids.iter().zip(&layers) {
        let member = |file: &str| &members.iter().find(|(name, _)| *name == format!("{id}/{file}")).unwrap().1;
        assert_eq!(member("VERSION"), b"1.0");
        assert_eq!(String::from_utf8_lossy(member("layer.tar")), format!("../{layer}"));
        let document = json_of(&members, &format!("{id}/json"));
        assert_eq!(document["id"], id.as_str());
        assert_eq!(document["parent"].as_str(), parent);
        parent = Some(id);
    }
    let document = json_of(&members, &format!("{top}/json"));
    assert_eq!(document["config"], image.config["config"]);
    assert_eq!(document["architecture"], "amd64");

    let index = json_of(&members, "index.json");
    let named: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|entry| &entry["annotations"]).collect();
    let annotations = |tag: &str| {
        let whole = format!("docker.io/team/app:{tag}");
        json!({"io.containerd.image.name": whole, "org.opencontainers.image.ref.name": tag})
    };
    assert_eq!(named, [&annotations("v1"), &annotations("v2")]);
    for entry in index["manifests"].as_array().unwrap() {
        assert_eq!(entry["digest"], image.descriptor["digest"]);
        assert_eq!(entry["platform"], image.descriptor["platform"]);
    }
}

/// However the archive is read, it holds the image of the layout that was written with it.
#[track_caller]
fn assert_read_as(scratch: &Scratch, image: &str, out: &Path) {
    let report = Tool::new("verify").arg(image).arg("--json").run().json();
    assert_eq!(report["findings"], json!([]), "{image}: {report:#}");
    let raw = |image: &str| Tool::new("inspect").arg(image).args(["--raw", "config"]).run().stdout();
    assert_eq!(raw(image), raw(&oci(out, ":v1")), "{image}");
    assert_eq!(differences(image, &oci(out, ":v1")), json!([]), "{image}");
    let unpacked = scratch.join("unpacked");
    let _ = Tool::new("unpack").arg(image).arg(&unpacked).arg("--rootless").run().stdout();
    assert!(unpacked.join("bin/busybox").is_file());
    fs::remove_dir_all(unpacked).unwrap();
}

#[test]
fn it_is_read_in_either_form_whatever_compresses_it() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let decompressors = [("tar.gz", "gzip"), ("tar.xz", "xz"), ("tar.zst", "zstd")];
    for ending in ["tar", "tar.gz", "tar.xz", "tar.zst", "img"] {
        let archive = scratch.join(&format!("a.{ending}"));
        for flags in [&[][..], &["--docker-legacy-only"]] {
            let build = Tool::build(&rootfs).arg(oci(&out, ":v1")).arg(docker(&archive, ":my__app:v1"));
            let digest = build.args(SETTINGS).args(flags).bake();
            for name in ["", ":my__app:v1", ":docker.io/library/my__app:v1"] {
                assert_read_as(&scratch, &docker(&archive, name), &out);
            }
            let error = Tool::new("inspect").arg(docker(&archive, ":my__app")).run().error();
            assert!(error.contains("no image of this name") && error.contains("my__app:v1"), "{error}");
            let decompressor = decompressors.iter().find(|(compressed, _)| *compressed == ending);
            if let Some(peer) = decompressor.and_then(|(_, name)| Peer::find(name)) {
                let tar = peer.command().arg("-dc").arg(&archive).output().unwrap().stdout;
                let plain = scratch.join("plain.tar");
                let _ = Tool::build(&rootfs).arg(docker(&plain, ":my__app:v1")).args(SETTINGS).args(flags).bake();
                // The decompressed file is the plain archive.
                assert!(tar == fs::read(plain).unwrap(), "{ending}");
            }
            let whole = format!("oci-archive:{}", archive.display());
            if flags.is_empty() {
                for name in ["", ":v1", ":my__app:v1"] {
                    assert_read_as(&scratch, &format!("{whole}{name}"), &out);
                }
                let seen = Tool::new("inspect").arg(&whole).arg("--json").run().json();
                assert_eq!(seen["digest"], digest.as_str());
            } else {
                let error = Tool::new("inspect").arg(&whole).run().error();
                assert!(error.contains("found a docker archive"), "{error}");
            }
        }
    }
}

#[test]
fn skopeo_and_umoci_take_either_half() {
    let scratch = with_base(Scratch::new());
    let (archive, out) = bake_on_base(&scratch, &["--additional-tag", "registry:5000/other/app:v1"]);
    let image = Layout::at(&out).image("v1");
    let legacy = scratch.join("legacy.tar");
    let squashed = Tool::new("squash").arg(oci(&out, ":v1")).arg(docker(&legacy, ":team/app:v1"));
    let _ = squashed.args(["--from", "4", "--docker-legacy-only"]).bake();
    if let Some(skopeo) = Peer::find("skopeo") {
        let copy = |from: &str, name: &str, flags: &[&str]| {
            let to = oci(&scratch.join("copied"), &format!(":{name}"));
            skopeo.run([&["--insecure-policy", "copy", "-q", from, &to], flags].concat());
            Layout::at(&scratch.join("copied")).image(name)
        };
        for (from, name) in
            [(docker(&archive, ":team/app:v1"), "one"), (docker(&archive, ":registry:5000/other/app:v1"), "two")]
        {
            let copied = copy(&from, name, &[]);
            assert_eq!(copied.config, image.config, "{from}");
            assert_eq!(copied.manifest["config"]["digest"], image.manifest["config"]["digest"]);
        }
        // A bare tag stands for the first name with this tag.
        for name in ["v1", "registry:5000/other/app:v1"] {
            let copied = copy(&format!("oci-archive:{}:{name}", archive.display()), "three", &["--preserve-digests"]);
            assert_eq!(copied.digest(), image.digest());
        }
        let copied = copy(&docker(&legacy, ""), "four", &[]);
        assert_eq!(copied.config["rootfs"], image.config["rootfs"]);
    }
    if let Some(umoci) = Peer::find("umoci") {
        // The unpacked dual archive is a layout.
        let layout = scratch.make_directory("layout");
        tar::Archive::new(fs::File::open(&archive).unwrap()).unpack(&layout).unwrap();
        let listed = umoci.run(["list", "--layout", &layout.display().to_string()]);
        assert_eq!(listed.lines().collect::<BTreeSet<_>>(), ["v1", "registry:5000/other/app:v1"].into());
        let stat = umoci.run(["stat", "--json", "--image", &format!("{}:v1", layout.display())]);
        let stat: Value = serde_json::from_str(&stat).unwrap();
        assert_eq!(stat["history"].as_array().map(Vec::len), Some(4), "{stat:#}");
    }
}

#[test]
fn the_older_form_holds_tars_and_a_tar_once() {
    let scratch = with_base(Scratch::new());
    let (archive, out) = bake_on_base(&scratch, &["--docker-legacy-only", "--additional-tag", ":v2"]);
    let image = Layout::at(&out).image("v1");
    let members = members(&archive);
    let all = names(&members);
    assert_eq!(all[..2], ["manifest.json", "repositories"]);
    assert!(!all.iter().any(|name| name.starts_with("blobs") || *name == "index.json" || *name == "oci-layout"));

    let item = &json_of(&members, "manifest.json")[0];
    let config = &members.iter().find(|(name, _)| item["Config"] == name.as_str()).unwrap().1;
    assert_eq!(item["Config"], format!("{}.json", sha256(config)));
    assert_eq!(serde_json::from_slice::<Value>(config).unwrap(), image.config);
    let layers = texts(&item["Layers"]);
    let content = |path: &str| &members.iter().find(|(name, _)| name == path).unwrap().1;
    let digests: Vec<String> = layers.iter().map(|path| format!("sha256:{}", sha256(content(path)))).collect();
    assert_eq!(digests, texts(&image.config["rootfs"]["diff_ids"]));

    let ids = v1_ids(config);
    let paths: Vec<String> = ids.iter().map(|id| format!("{id}/layer.tar")).collect();
    assert_eq!(layers, [&paths[0], &paths[1], &paths[0], &paths[3]]);
    assert_eq!(String::from_utf8_lossy(content(&paths[2])), format!("../{}", paths[0]));
    assert_eq!(json_of(&members, "repositories"), json!({"team/app": {"v1": ids[3], "v2": ids[3]}}));

    // Layers that are stored uncompressed are never compressed on the way, and the digest is that of the readable
    // image.
    let alone = scratch.join("alone.tar");
    let digest = Tool::build(scratch.join("rootfs")).arg(docker(&alone, ":app")).arg("--docker-legacy-only").bake();
    assert_eq!(Tool::new("inspect").arg(docker(&alone, "")).arg("--json").run().json()["digest"], digest.as_str());
}

/// A reader from before 2016 knows only `repositories` and the directories of layers.
#[test]
fn the_oldest_readers_find_all_of_it() {
    let scratch = with_base(Scratch::new());
    for flags in [&[][..], &["--docker-legacy-only"]] {
        let (archive, out) = bake_on_base(&scratch, flags);
        let image = Layout::at(&out).image("v1");
        let old = scratch.join("old.tar");
        let mut builder = tar::Builder::new(fs::File::create(&old).unwrap());
        let mut source = tar::Archive::new(fs::File::open(&archive).unwrap());
        for entry in source.entries().unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            if !["manifest.json", "index.json", "oci-layout"].contains(&name.as_str()) {
                builder.append(&entry.header().clone(), entry).unwrap();
            }
        }
        builder.into_inner().unwrap();
        let seen = docker(&old, ":team/app:v1");
        assert_eq!(Tool::new("verify").arg(&seen).run().code(), 0);
        let config = Tool::new("inspect").arg(&seen).args(["--raw", "config"]).run().json();
        for member in ["rootfs", "config", "architecture", "os", "created"] {
            assert_eq!(config[member], image.config[member], "{member}");
        }
        assert_eq!(differences(&seen, &oci(&out, ":v1")), json!([]));

        let Some(python) = Peer::python() else { continue };
        let script = "
import gzip, hashlib, io, json, os, sys, tarfile
archive = tarfile.open(sys.argv[1])
def read(name):
    member = archive.getmember(name)
    if member.issym():
        member = archive.getmember(os.path.normpath(os.path.join(os.path.dirname(name), member.linkname)))
    return archive.extractfile(member).read()
layer, chain = json.loads(read('repositories'))['team/app']['v1'], []
while layer:
    document = json.loads(read(layer + '/json'))
    assert document['id'] == layer and read(layer + '/VERSION') == b'1.0'
    tar = read(layer + '/layer.tar')
    tar = gzip.decompress(tar) if tar[:2] == b'\\x1f\\x8b' else tar
    chain.insert(0, 'sha256:' + hashlib.sha256(tar).hexdigest())
    layer = document.get('parent')
print(json.dumps(chain))";
        let chain = python.run(["-c", script, &old.display().to_string()]);
        assert_eq!(serde_json::from_str::<Value>(&chain).unwrap(), image.config["rootfs"]["diff_ids"]);
    }
}

/// All images of a layout, with different commands and the same layer: some have names that Docker accepts.
#[test]
fn several_images_keep_their_names_and_share_their_layer() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let all = ["registry:5000/app:v1", "registry:5000/app:v2", "example.org/other:v1", "nameless"];
    let mut ids = BTreeMap::new();
    for name in all {
        let _ = Tool::build(&rootfs).target("oci", &out, name).args(["--label", &format!("name={name}")]).bake();
        let config = Layout::at(&out).image(name).manifest["config"]["digest"].as_str().unwrap().to_owned();
        ids.insert(name, config);
    }
    let image = Layout::at(&out).image(all[0]);
    let layer = [image.layer_blob(), image.stream()];
    let podman = Storage::of("podman", &scratch);
    for flags in [&[][..], &["--docker-legacy-only"]] {
        let archive = scratch.join("several.tar");
        let converted = Tool::new("convert").arg(oci(&out, "")).arg(docker(&archive, "")).args(flags).run();
        assert_eq!(converted.code(), 0, "{}", converted.stderr());
        assert!(converted.stderr().contains("`nameless` is no name that Docker knows"), "{}", converted.stderr());

        let report = Tool::new("verify").arg(docker(&archive, "")).arg("--json").run().json();
        assert_eq!((&report["findings"], &report["images"]), (&json!([]), &json!(4)), "{report:#}");
        for name in &all[..3] {
            let config = Tool::new("inspect").arg(docker(&archive, &format!(":{name}"))).args(["--raw", "config"]);
            assert_eq!(config.run().json()["config"]["Labels"]["name"], **name);
        }
        let members = members(&archive);
        let repositories = json_of(&members, "repositories");
        assert_eq!(repositories["registry:5000/app"].as_object().unwrap().len(), 2);
        assert_eq!(repositories.as_object().unwrap().len(), 2);
        assert_eq!(members.iter().filter(|(_, content)| layer.contains(content)).count(), 1, "{flags:?}");

        let Some(podman) = &podman else { continue };
        podman.run(&["load", "-q", "-i", &archive.display().to_string()]);
        let expected: BTreeSet<_> = all.iter().map(|name| ((*name).to_owned(), ids[name].clone())).collect();
        let named = |images: BTreeSet<(String, String)>| -> BTreeSet<_> {
            let nameless = |(name, id)| if name == "<none>:<none>" { ("nameless".to_owned(), id) } else { (name, id) };
            images.into_iter().map(nameless).collect()
        };
        assert_eq!(named(podmans_images(podman)), expected);
        podman.run(&["rmi", "-a", "-f"]);
    }
}

#[test]
fn names_come_from_the_target_else_from_tags() {
    let scratch = Scratch::new();
    let (rootfs, archive) = (scratch.small_rootfs(), scratch.join("a.tar"));
    for (name, flags, expected) in [
        ("", &[][..], &[][..]),
        ("", &["--tag", "app:v1", "--tag", "registry:5000/app"], &["app:v1", "registry:5000/app:latest"]),
        ("", &["--additional-tag", "app:v1"], &["app:v1"]),
        (":app", &[], &["app:latest"]),
        (":app", &["--tag", "v1", "--tag", "v2", "--tag", "other:v3"], &["app:v1", "app:v2"]),
        (":docker.io/library/app:v1", &["--tag", "v2", "--additional-tag", "app:v1"], &["docker.io/library/app:v1"]),
        (":registry:5000/a/b:v1", &["--additional-tag", ":v2"], &["registry:5000/a/b:v1", "registry:5000/a/b:v2"]),
    ] {
        let report = Tool::build(&rootfs).arg(docker(&archive, name)).args(flags).arg("--json").run().json();
        let members = members(&archive);
        let tags = &json_of(&members, "manifest.json")[0]["RepoTags"];
        let expected_tags = if expected.is_empty() { Value::Null } else { json!(expected) };
        assert_eq!(*tags, expected_tags, "{name} {flags:?}");
        assert_eq!(names(&members).contains(&"repositories"), !expected.is_empty());
        assert_eq!(report["targets"], json!([{"target": docker(&archive, ""), "refs": expected}]));
    }
    let _ = Tool::build(&rootfs).arg(docker(&archive, "")).env("OCI_IMAGE_TAG", "app:v1 app:v2").bake();
    assert_eq!(json_of(&members(&archive), "manifest.json")[0]["RepoTags"], json!(["app:v1", "app:v2"]));
}

#[test]
fn what_is_no_name_is_refused_before_anything_is_written() {
    let scratch = Scratch::new();
    let (rootfs, archive) = (scratch.small_rootfs(), scratch.join("a.tar"));
    let _ = Tool::build(&rootfs).arg(docker(&archive, ":app:v1")).bake();
    let before = bytes_of(scratch.path());
    for (name, flags, words) in [
        (":App:v1", &[][..], &["`App:v1`", "lower-case"][..]),
        ("::v1", &[], &["NAME[:TAG]"]),
        (":app:-v1", &[], &["NAME[:TAG]"]),
        (":registry:5000/:v1", &[], &["`registry:5000/:v1`, which is no name"]),
        ("", &["--tag", "v1"], &["the tag `v1` has no name", "a.tar:NAME:v1`"]),
        ("", &["--tag", "app:v1", "--tag", "v1"], &["the tag `v1` has no name"]),
        ("", &["--additional-tag", ":v1"], &["the tag `v1` has no name"]),
        (":app:v1", &["--additional-tag", ":v+1"], &["`:v+1`"]),
        (":app", &["--tag", "v+1"], &["tag `v+1`"]),
        (":app", &["--additional-tag", "Other"], &["`Other`"]),
    ] {
        let tool = Tool::build(&rootfs).arg(oci(&scratch.join("out"), "")).arg(docker(&archive, name)).args(flags);
        let error = tool.run().error();
        for word in words {
            assert!(error.contains(word), "no {word} for {name} {flags:?}: {error}");
        }
        assert!(bytes_of(scratch.path()) == before, "{name} {flags:?}");
        // A check of the settings reports the same, unless the file has to be read for it.
        let dry = Tool::build(&rootfs).arg("--dry-run").arg(docker(&archive, name)).args(flags).run();
        if words != ["a file is wanted"] {
            assert_eq!(dry.error(), error);
        }
    }
    let dry = Tool::build("no/rootfs").arg("--dry-run").arg(docker(&archive, ":app:v1")).run();
    assert_eq!(dry.stdout().trim(), "linux/amd64");
    for (target, words) in [
        (docker(&scratch.join("a.tar.bz2"), ":app"), "bzip2"),
        (docker(&rootfs, ":app"), "found a directory"),
        (oci(&scratch.join("out"), ""), "Docker's older form"),
    ] {
        let error = Tool::build(scratch.join("rootfs")).arg(target).arg("--docker-legacy-only").run().error();
        assert!(error.contains(words), "{error}");
        assert!(bytes_of(scratch.path()) == before);
    }
}

#[test]
fn the_bytes_are_the_same_every_time() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    for (flags, endings) in [(&[][..], &["tar", "tar.zst"][..]), (&["--docker-legacy-only"], &["tar", "tar.gz"])] {
        for ending in endings {
            let made = |name: &str, threads: &str, mask: &str| {
                let archive = scratch.join(&format!("{name}.{ending}"));
                let umask = ["sh".to_owned(), "-c".to_owned(), format!("umask {mask}; exec \"$0\" \"$@\"")];
                let tool = Tool::build(&rootfs).arg(docker(&archive, ":app:v1")).args(["--owner", "0:0"]);
                let _ = tool.args(["--threads", threads]).args(flags).behind(umask).bake();
                sha256(&fs::read(archive).unwrap())
            };
            let first = made("first", "1", "022");
            assert_eq!(made("second", "5", "077"), first, "{flags:?} {ending}");
        }
    }
}
