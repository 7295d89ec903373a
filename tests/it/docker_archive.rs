use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{json, Value};

use crate::harness::{is_missing, sha256, Layout, Peer, Scratch, Storage, Tool};

/// The settings of an image that uses every feature.
const SETTINGS: [&str; 9] = [
    "--cmd",
    "/bin/sh -l",
    "--env",
    "A=b c",
    "--label",
    ".title=An image",
    "--created",
    "1520598896",
    "--user=4242:4242",
];

/// An image in a layout, `oci:oci`, of the richest fixture that this user can make.
fn bake(scratch: &Scratch) -> PathBuf {
    let out = scratch.join("oci");
    let _ = Tool::build(scratch.small_rootfs()).target("oci", &out, "v1").args(SETTINGS).bake();
    out
}

fn transport(transport: &str, path: &Path, name: &str) -> String {
    format!("{transport}:{}{name}", path.display())
}

/// The image independent of its transport: config, `diff_ids`, entries. Not how its layers are stored.
#[track_caller]
fn seen(image: impl AsRef<OsStr>) -> Value {
    let image = image.as_ref();
    let mut seen = Tool::new("inspect").arg(image).args(["--json", "--files"]).run().json();
    let diff_ids: Vec<Value> =
        seen["layers"].as_array().unwrap().iter().map(|layer| layer["diff_id"].clone()).collect();
    let config = Tool::new("inspect").arg(image).args(["--raw", "config"]).run().json();
    json!({
        "platform": seen["platform"].take(),
        "created": seen["created"].take(),
        "config": config["config"],
        "diff_ids": diff_ids,
        "history": config["history"],
        "files": seen["files"].take(),
    })
}

#[track_caller]
fn skopeo_copies(skopeo: &Peer, from: &str, to: &str) {
    skopeo.run(["--insecure-policy", "copy", "-q", from, to]);
}

/// No findings, not even notes.
#[track_caller]
fn assert_verified(image: impl AsRef<OsStr>) {
    let report = Tool::new("verify").arg(image).arg("--json").run().json();
    assert_eq!(report["findings"], json!([]), "{report:#}");
}

/// The archive's members, unpacked by GNU tar.
fn untar(archive: &Path, directory: &Path) {
    fs::create_dir(directory).unwrap();
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(directory));
}

#[track_caller]
fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

#[test]
fn skopeo_wrote_it() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let out = bake(&scratch);
    let archive = scratch.join("docker.tar");
    skopeo_copies(&skopeo, &transport("oci", &out, ":v1"), &transport("docker-archive", &archive, ":team/app:v1"));

    let expected = seen(transport("oci", &out, ":v1"));
    assert_ne!(expected["files"], json!([]));
    for name in ["", ":team/app:v1", ":docker.io/team/app:v1"] {
        let image = transport("docker-archive", &archive, name);
        assert_eq!(seen(&image), expected, "{name}");
        assert_verified(&image);
    }
    assert_eq!(seen(&archive), expected);
    // And skopeo reads its archive as we do.
    let raw = Tool::new("inspect").arg(&archive).args(["--raw", "config"]).run().stdout();
    let theirs: Value =
        serde_json::from_str(&skopeo.run(["inspect", &transport("docker-archive", &archive, "")])).unwrap();
    let ours = Tool::new("inspect").arg(&archive).arg("--json").run().json();
    assert_eq!(ours["refs"], json!(["docker.io/team/app:v1"]));
    assert_eq!(theirs["Layers"], json!([ours["layers"][0]["digest"]]));
    let manifest = fs::read({
        let unpacked = scratch.join("unpacked");
        untar(&archive, &unpacked);
        unpacked.join("manifest.json")
    });
    let manifest: Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
    assert_eq!(manifest[0]["Config"], format!("{}.json", sha256(raw.as_bytes())));

    let error = Tool::new("inspect").arg(transport("docker-archive", &archive, ":app:v1")).run().error();
    assert!(error.contains("app:v1`: no image of this name") && error.contains("`docker.io/team/app:v1`"), "{error}");
    let error = Tool::new("inspect").arg(transport("oci-archive", &archive, "")).run().error();
    assert!(error.contains("found a docker archive") && error.contains("write `docker-archive:`"), "{error}");
}

#[test]
fn somebody_compressed_it_as_a_whole() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let out = bake(&scratch);
    let archives = ["docker-archive", "oci-archive"].map(|kind| {
        let archive = scratch.join(&format!("{kind}.tar"));
        skopeo_copies(&skopeo, &transport("oci", &out, ":v1"), &transport(kind, &archive, ":app:v1"));
        (kind, archive)
    });
    let expected = seen(transport("oci", &out, ":v1"));
    for (program, ending) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst"), ("bzip2", "bz2")] {
        let Some(peer) = Peer::find(program) else { continue };
        for (kind, archive) in &archives {
            let mut command = peer.command();
            command.arg("-c").arg(archive);
            let compressed = command.output().unwrap().stdout;
            let named = scratch.join(&format!("{kind}.tar.{ending}"));
            fs::write(&named, &compressed).unwrap();
            assert_eq!(seen(&named), expected, "{}", named.display());
            // The content decides, not the name; and several streams in a row are one.
            let misnamed = scratch.join("misnamed.tar.gz");
            let (first, second) =
                fs::read(archive).map(|bytes| (bytes[..700].to_vec(), bytes[700..].to_vec())).unwrap();
            let streams = [first, second].map(|bytes| {
                let part = scratch.join("part");
                fs::write(&part, bytes).unwrap();
                peer.command().arg("-c").arg(&part).output().unwrap().stdout
            });
            fs::write(&misnamed, streams.concat()).unwrap();
            assert_eq!(seen(transport(kind, &misnamed, "")), expected, "{program}");

            fs::write(&misnamed, &compressed[..compressed.len() - 9]).unwrap();
            let error = Tool::new("inspect").arg(&misnamed).run().error();
            assert!(error.contains("misnamed.tar.gz") && error.contains("cut short"), "{program}: {error}");
        }
    }
}

#[test]
fn tar_packed_it_anew() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let out = bake(&scratch);
    let archive = scratch.join("docker.tar");
    skopeo_copies(&skopeo, &transport("oci", &out, ":v1"), &transport("docker-archive", &archive, ":app:v1"));
    let expected = seen(&archive);
    let unpacked = scratch.join("unpacked");
    untar(&archive, &unpacked);

    // Names with `./`, in whatever order; and with symbolic links, then hard links, in the place of the layers.
    let packed = scratch.join("packed.tar");
    let pack = || run(Command::new("tar").arg("-cf").arg(&packed).arg("-C").arg(&unpacked).arg("."));
    pack();
    assert_eq!(seen(&packed), expected);
    let manifest = unpacked.join("manifest.json");
    let mut images: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let layer = images[0]["Layers"][0].as_str().unwrap().to_owned();
    let legacy =
        fs::read_dir(&unpacked).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    images[0]["Layers"][0] = format!("./{}/layer.tar", legacy.file_name().unwrap().to_str().unwrap()).into();
    fs::remove_file(&manifest).unwrap();
    fs::write(&manifest, images.to_string()).unwrap();
    pack();
    assert_eq!(seen(&packed), expected);
    fs::remove_file(legacy.join("layer.tar")).unwrap();
    fs::hard_link(unpacked.join(layer), legacy.join("layer.tar")).unwrap();
    pack();
    assert_eq!(seen(&packed), expected);

    let mut bytes = fs::read(&packed).unwrap();
    let content = bytes.windows(5).position(|window| window == b"oven\n").unwrap();
    bytes[content] ^= 1;
    fs::write(&packed, bytes).unwrap();
    let error = Tool::new("inspect").arg(&packed).args(["--json", "--files"]).run().error();
    assert!(error.contains("digest should be sha256:"), "{error}");
    assert_eq!(Tool::new("verify").arg(&packed).run().code(), 1);
}

#[test]
fn podman_saved_several_images_of_one_layer() {
    let scratch = Scratch::new();
    let Some(podman) = Storage::of("podman", &scratch) else { return };
    let rootfs = scratch.small_rootfs();
    let mut expected = BTreeMap::new();
    for (name, architecture) in [("localhost/oven/bread:v1", "amd64"), ("localhost/oven/bread:v2", "arm64")] {
        let archive = scratch.join(&format!("{architecture}.tar"));
        let settings = ["--arch", architecture, "--created", "1520598896"];
        let tool = Tool::new("build").arg(&rootfs).target("oci-archive", &archive, name);
        let _ = tool.args(settings).bake();
        podman.run(&["load", "-q", "-i", &archive.display().to_string()]);
        expected.insert(name, seen(&archive));
    }
    podman.run(&["tag", "localhost/oven/bread:v1", "example.org:5000/bread"]);
    let names = ["localhost/oven/bread:v1", "localhost/oven/bread:v2", "example.org:5000/bread"];
    podman.run(&[&["save", "-q", "-m", "-o", "saved.tar"], &names[..]].concat());
    let saved = scratch.join("saved.tar");

    for (name, image) in &expected {
        assert_eq!(&seen(transport("docker-archive", &saved, &format!(":{name}"))), image, "{name}");
    }
    assert_eq!(seen(transport("docker-archive", &saved, ":example.org:5000/bread")), expected[names[0]]);
    let choose = |platform: &str| Tool::new("inspect").arg(&saved).args(["--json", "--platform", platform]).run();
    assert_eq!(choose("linux/arm64").json()["refs"], json!(["localhost/oven/bread:v2"]));
    let error = choose("linux/s390x").error();
    assert!(error.contains("bread:v1 linux/amd64, ") && error.contains("bread:v2 linux/arm64"), "{error}");
    let error = Tool::new("inspect").arg(&saved).run().error();
    assert!(error.contains("one image is wanted, found 2"), "{error}");
}

#[test]
fn docker_saved_a_layout_with_the_older_list_in_it() {
    let scratch = Scratch::new();
    let out = bake(&scratch);
    let image = Layout::at(&out).image("v1");
    let blob = |descriptor: &Value| format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
    let layers: Vec<String> = image.manifest["layers"].as_array().unwrap().iter().map(blob).collect();
    let manifest = json!([{"Config": blob(&image.manifest["config"]), "RepoTags": ["app:v1"], "Layers": layers}]);
    fs::write(out.join("manifest.json"), manifest.to_string()).unwrap();
    let mut index = Layout::at(&out).index();
    index["manifests"][0]["annotations"]["io.containerd.image.name"] = "docker.io/library/app:v1".into();
    fs::write(out.join("index.json"), index.to_string()).unwrap();
    let archive = scratch.join("dual.tar");
    run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&out).args([
        "blobs",
        "index.json",
        "manifest.json",
        "oci-layout",
    ]));

    let expected = seen(transport("oci", &out, ":v1"));
    let inspect = |image: String| {
        assert_eq!(seen(&image), expected, "{image}");
        Tool::new("inspect").arg(image).arg("--json").run().json()
    };
    // If there is a choice, the layout in the archive is read, not one made up from the list.
    for name in ["", ":v1", ":app:v1", ":docker.io/library/app:v1"] {
        let image_in_layout = format!("{}{name}", archive.display());
        assert_eq!(Tool::new("verify").arg(&image_in_layout).run().code(), 0, "{name}");
        assert_eq!(inspect(image_in_layout)["digest"], image.descriptor["digest"]);
    }
    assert_verified(transport("docker-archive", &archive, ":app:v1"));
    let shown = inspect(transport("docker-archive", &archive, ":app:v1"));
    assert_eq!(shown["layers"][0]["digest"], image.manifest["layers"][0]["digest"]);
    assert_eq!(shown["layers"][0]["compression"], "gzip");

    let Some(skopeo) = Peer::find("skopeo") else { return };
    let theirs: Value =
        serde_json::from_str(&skopeo.run(["inspect", &transport("docker-archive", &archive, ":app:v1")])).unwrap();
    assert_eq!(theirs["Layers"], json!([image.diff_id()]));
}

#[test]
fn a_stream_is_refused_in_one_line() {
    let scratch = Scratch::new();
    rustix::fs::mknodat(rustix::fs::CWD, scratch.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for transport_name in ["docker-archive", "oci-archive"] {
        let error = Tool::new("inspect").arg(transport(transport_name, &scratch.join("pipe"), "")).run().error();
        assert!(error.contains("found a stream") && error.contains("hint: write the stream to a file"), "{error}");
    }
}

/// In the form before Docker 1.10 too, an error about a layer says which it is.
#[test]
fn a_damaged_layer_of_the_oldest_form_is_named() {
    let scratch = Scratch::new();
    let out = bake(&scratch);
    let archive = scratch.join("legacy.tar");
    let target = transport("docker-archive", &archive, ":app:v1");
    let _ =
        Tool::new("convert").arg(transport("oci", &out, ":v1")).arg(target).arg("--docker-legacy-only").run().stdout();
    let expected = seen(&archive);
    let unpacked = scratch.join("unpacked");
    untar(&archive, &unpacked);
    for name in fs::read_dir(&unpacked).unwrap().map(|entry| entry.unwrap().path()) {
        if name.extension().is_some_and(|ending| ending == "json") {
            fs::remove_file(name).unwrap();
        }
    }
    let is_layer = |path: &PathBuf| path.is_dir();
    let id = fs::read_dir(&unpacked).unwrap().map(|entry| entry.unwrap().path()).find(is_layer).unwrap();
    let layer = id.join("layer.tar");
    let id = id.file_name().unwrap().to_str().unwrap().to_owned();
    let oldest = scratch.join("oldest.tar");
    let pack = |bytes: &[u8]| {
        fs::write(&layer, bytes).unwrap();
        run(Command::new("tar").arg("-cf").arg(&oldest).arg("-C").arg(&unpacked).arg("."));
    };
    let plain = fs::read(&layer).unwrap();
    pack(&plain);
    assert_eq!(seen(&oldest)["diff_ids"], expected["diff_ids"]);
    // Its digest would be that of what is there.
    let whole = fs::read(&oldest).unwrap();
    let content = whole.windows(5).position(|window| window == b"oven\n").unwrap();
    fs::write(&oldest, &whole[..content]).unwrap();
    for verb in ["inspect", "ls", "verify"] {
        let error = Tool::new(verb).arg(&oldest).run().error();
        let place = format!("oldest.tar`: layer `{id}/layer.tar`: the archive ends in the middle of it");
        assert!(error.contains(&place), "{verb}: {error}");
    }
    for program in ["gzip", "xz", "zstd", "bzip2"] {
        let Some(peer) = Peer::find(program) else { continue };
        let raw = scratch.join("layer");
        fs::write(&raw, &plain).unwrap();
        let whole = peer.command().arg("-c").arg(&raw).output().unwrap().stdout;
        pack(&whole);
        assert_eq!(seen(&oldest)["diff_ids"], expected["diff_ids"], "{program}");
        pack(&whole[..whole.len() - 9]);
        for verb in ["inspect", "ls"] {
            let error = Tool::new(verb).arg(&oldest).run().error();
            let place = format!("oldest.tar`: layer `{id}/layer.tar`: the {program} stream is cut short");
            assert!(error.contains(&place), "{verb}, {program}: {error}");
        }
    }
}

/// No media type of OCI is for xz or bzip2, but other readers decompress what they find.
#[test]
fn its_layers_are_in_xz_or_bzip2() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let out = bake(&scratch);
    let expected = seen(transport("oci", &out, ":v1"));
    let plain = scratch.join("plain.tar");
    skopeo_copies(&skopeo, &transport("oci", &out, ":v1"), &transport("docker-archive", &plain, ":app:v1"));
    for program in ["xz", "bzip2"] {
        let Some(peer) = Peer::find(program) else { continue };
        let directory = scratch.join(program);
        untar(&plain, &directory);
        let list: Value = serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap();
        let layer = directory.join(list[0]["Layers"][0].as_str().unwrap());
        let compressed = peer.command().arg("-c").arg(&layer).output().unwrap().stdout;
        let pack = |bytes: &[u8], name: &str| {
            fs::write(&layer, bytes).unwrap();
            let archive = scratch.join(name);
            run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&directory).arg("."));
            transport("docker-archive", &archive, "")
        };
        let image = pack(&compressed, &format!("{program}.tar"));
        assert_verified(&image);
        assert_eq!(seen(&image), expected, "{program}");
        // Every verb that writes, writes what all readers know.
        let skopeos = scratch.join(&format!("{program}-skopeo"));
        skopeo_copies(&skopeo, &image, &transport("oci", &skopeos, ":v1"));
        for (verb, options) in [("convert", &[][..]), ("convert", &["--compression", "zstd"]), ("index", &[])] {
            let target = scratch.join(&format!("{program}-{verb}{}", options.len()));
            let _ = Tool::new(verb).arg(&image).arg(transport("oci", &target, ":v1")).args(options).run().stdout();
            assert_verified(transport("oci", &target, ":v1"));
            assert_eq!(seen(transport("oci", &target, ":v1")), expected, "{program}, {verb}");
            assert_eq!(seen(transport("oci", &skopeos, ":v1"))["diff_ids"], expected["diff_ids"], "{program}");
        }
        let root = scratch.join(&format!("{program}-root"));
        let _ = Tool::new("unpack").arg(&image).arg(&root).arg("--rootless").run().stdout();
        assert!(root.join("usr").is_dir());

        // What the config promises is all there is to hold it to.
        let mut other = fs::read(&plain).unwrap();
        other.truncate(1 << 20);
        fs::write(scratch.join("other"), &other).unwrap();
        let other = peer.command().arg("-c").arg(scratch.join("other")).output().unwrap().stdout;
        let mut damaged = compressed.clone();
        damaged[compressed.len() / 2] ^= 0x55;
        let followed = |by: &[u8]| [&compressed, by].concat();
        for (what, bytes) in [
            ("other", &other[..]),
            ("damaged", &damaged),
            ("cut", &compressed[..compressed.len() - 9]),
            ("followed", &followed(b"junk")),
            ("padded", &followed(&[0; 3])),
        ] {
            let image = pack(bytes, &format!("{program}-{what}.tar"));
            let target = scratch.join("refused");
            for verb in ["convert", "index", "unpack"] {
                let place =
                    if verb == "unpack" { target.display().to_string() } else { transport("oci", &target, ":v1") };
                let error = Tool::new(verb).arg(&image).arg(&place).run().error();
                let words = match what {
                    "other" => "should be",
                    "followed" => "the end of the compressed stream expected, found 4 bytes after it",
                    "padded" => "the end of the compressed stream expected, found 3 bytes after it",
                    _ => "stream is",
                };
                assert!(error.contains(words), "{what} {program}, {verb}: {error}");
                if what != "other" {
                    let place = format!("{program}-{what}.tar`: layer `");
                    assert!(error.contains(&place) && !error.contains("refused"), "{what} {program}, {verb}: {error}");
                }
                assert!(is_missing(&target), "{what} {program}, {verb}");
            }
            let verified = Tool::new("verify").arg(&image).arg("--json").run();
            assert_eq!(verified.code(), 1, "{what} {program}: {}", verified.printed());
        }
        // The format of xz lets zeros follow a stream, four at a time.
        if program == "xz" {
            assert_verified(pack(&followed(&[0; 8]), "xz-zeros.tar"));
        }
    }
}
