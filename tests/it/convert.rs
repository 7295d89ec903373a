use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use sha2::Digest;

use crate::harness::{
    bytes_of, is_missing, named, sha256, tar_of, with, ByHand, FakeRoot, Faker, Fixture, Layout, Member, Peer,
    Registry, Scratch, Storage, Tool,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn at(transport: &str, path: &Path, name: &str) -> String {
    format!("{transport}:{}{name}", path.display())
}

fn convert(image: &str, target: &str) -> Tool {
    Tool::new("convert").args([image, target])
}

/// No findings, not even notes.
#[track_caller]
fn assert_verified(image: &str) {
    let report = Tool::new("verify").arg(image).arg("--json").run().json();
    assert_eq!(report["findings"], json!([]), "{report:#}");
}

fn diff_ids(image: &str) -> Value {
    Tool::new("inspect").arg(image).args(["--raw", "config"]).run().json()["rootfs"]["diff_ids"].clone()
}

/// A rootfs whose layer has several blocks in every compression.
fn rootfs(scratch: &Scratch) -> PathBuf {
    scratch.rootfs("rootfs", "few-blocks")
}

/// Images for amd64 and for arm64/v8, `a` and `b` in a layout; returns their descriptors without names.
fn two_platforms(scratch: &Scratch, layout: &Path) -> [Value; 2] {
    let rootfs = rootfs(scratch);
    for (name, arch) in [("a", "amd64"), ("b", "aarch64")] {
        let _ = Tool::new("build").arg(&rootfs).target("oci", layout, name).args(["--arch", arch]).bake();
    }
    ["a", "b"].map(|name| {
        let mut descriptor = Layout::at(layout).image(name).descriptor;
        descriptor.as_object_mut().unwrap().remove("annotations");
        descriptor
    })
}

/// Stores a document, with spaces that ocibake itself would not write.
fn put(layout: &ByHand, media_type: &str, document: &Value) -> Value {
    layout.blob(&serde_json::to_vec_pretty(document).unwrap(), media_type)
}

fn blob(layout: &ByHand, media_type: &str, bytes: &[u8]) -> Value {
    layout.blob(bytes, media_type)
}

fn take_away(layout: &Path, descriptor: &Value) {
    let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
    fs::remove_file(layout.join("blobs").join(digest)).unwrap();
}

fn document(layout: &Path, descriptor: &Value) -> Value {
    serde_json::from_slice(&Layout::at(layout).blob(descriptor)).unwrap()
}

/// A round trip through every transport and every compression of layers: each step gives what `build` makes, and the
/// last one the original image.
#[test]
fn there_and_back_is_the_same_image() {
    let scratch = Scratch::new();
    let rootfs = rootfs(&scratch);
    let built = ["gzip", "zstd", "none"].map(|compression| {
        let tool = Tool::build(&rootfs).target("oci", &scratch.join("built"), compression);
        (compression, tool.args(["--compression", compression]).bake())
    });
    let mut image = at("oci", &scratch.join("built"), ":none");
    let expected = diff_ids(&image);
    let targets = [
        ("oci", "layout"),
        ("oci-archive", "plain"),
        ("oci-archive", "a.tar.gz"),
        ("docker-archive", "docker"),
        ("oci-archive", "a.tar.xz"),
        ("oci-archive", "a.tar.zst"),
        ("docker-archive", "docker.tar.gz"),
    ];
    // Each step continues with the output of the previous one, so that every compression meets every other.
    let compressions = built.iter().chain(built.iter().rev());
    for ((transport, file), (compression, digest)) in targets.iter().zip(compressions.cycle()) {
        let target = at(transport, &scratch.join(&format!("{compression}-{file}")), "");
        let converted = convert(&image, &format!("{target}:app:v1")).args(["--compression", compression]).bake();
        assert_eq!(converted, *digest, "{image} to {target} in {compression}");
        image = target;
        assert_eq!(diff_ids(&image), expected, "{image}");
        assert_verified(&image);
    }
}

#[test]
fn with_preserved_digests_it_is_the_same_bytes() {
    let scratch = Scratch::new();
    let (out, archive, back) = (scratch.join("out"), scratch.join("a.tar.zst"), scratch.join("back"));
    let digest = Tool::build(rootfs(&scratch)).target("oci", &out, "v1").args(["--compression", "zstd"]).bake();
    for (from, to) in [
        (at("oci", &out, ":v1"), at("oci-archive", &archive, "")),
        (at("oci-archive", &archive, ""), at("oci", &back, "")),
    ] {
        assert_eq!(convert(&from, &to).args(["--preserve-digests", "--compression", "zstd:19"]).bake(), digest);
    }
    assert!(bytes_of(&back) == bytes_of(&out));

    // The error about a changed digest comes before anything is written.
    let before = bytes_of(scratch.path());
    for (compression, layer) in [("gzip", "tar+zstd"), ("none", "tar+zstd")] {
        let target = at("oci", &scratch.join("other"), ":v1");
        let error = convert(&at("oci", &out, ":v1"), &target)
            .args(["--preserve-digests", "--compression", compression])
            .run()
            .error();
        assert!(error.contains(&digest) && error.contains(layer) && error.contains("cannot be kept"), "{error}");
    }
    assert!(bytes_of(scratch.path()) == before);
}

/// Numbers from a seed: xorshift64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 20) % limit as u64).unwrap()
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// An image of one to four layers, which may be equal or empty, compressed in the ways of other tools.
fn grow_image(numbers: &mut Numbers, layout: &ByHand) -> Value {
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for _ in 0..=numbers.below(4) {
        let content = format!("{:08}", numbers.below(3)).repeat(numbers.one_of(&[0, 1, 9, 70_000]));
        let members = [Member::Directory("d"), Member::File("d/f", &content), Member::Symlink("l", "d/f")];
        let tar = tar_of(&members[..numbers.below(4)]);
        diff_ids.push(format!("sha256:{}", sha256(&tar)));
        let level = numbers.one_of(&[1, 3, 9]);
        let (suffix, stored) = match numbers.below(3) {
            0 => ("", tar),
            1 => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
                std::io::Write::write_all(&mut encoder, &tar).unwrap();
                ("+gzip", encoder.finish().unwrap())
            }
            _ => ("+zstd", zstd::encode_all(tar.as_slice(), i32::try_from(level).unwrap()).unwrap()),
        };
        layers.push(layout.blob(&stored, &format!("application/vnd.oci.image.layer.v1.tar{suffix}")));
    }
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = put(layout, CONFIG, &config);
    put(layout, MANIFEST, &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
}

/// Forty images on paths of three steps: their content stays the same, and without --compression every byte does.
#[test]
fn whatever_the_way_the_image_stays() {
    for seed in 1..=16 {
        let scratch = Scratch::new();
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ seed);
        let made = ByHand::at(&scratch.join("made"));
        let image = grow_image(&mut numbers, &made);
        made.list(&[named(&image, "v1")]);
        let digest = image["digest"].as_str().unwrap();
        let expected = diff_ids(&at("oci", &scratch.join("made"), ":v1"));
        let (mut kept, mut changed) = ("oci:made:v1".to_owned(), "oci:made:v1".to_owned());
        for step in 0..3 {
            let (transport, file) = numbers.one_of(&[
                ("oci", "out"),
                ("oci-archive", "a.tar"),
                ("oci-archive", "a.tar.gz"),
                ("oci-archive", "a.tar.zst"),
                ("docker-archive", "docker.tar"),
            ]);
            let run = |from: &str, to: &str, flags: &[&str]| {
                convert(from, &format!("{transport}:{to}:app:v1")).args(flags).within(scratch.path()).bake()
            };
            // A reader that treats a docker archive like Docker makes its own manifest; the layout in it has the image.
            let by_name = |to: &str| match transport {
                "docker-archive" => format!("oci-archive:{to}"),
                _ => format!("{transport}:{to}:app:v1"),
            };
            let to = format!("kept-{step}-{file}");
            assert_eq!(run(&kept, &to, &["--preserve-digests"]), digest, "seed {seed}, step {step}");
            kept = by_name(&to);
            let (to, compression) = (format!("new-{step}-{file}"), numbers.one_of(&["gzip:1", "gzip", "zstd", "none"]));
            let _ = run(&changed, &to, &["--compression", compression]);
            changed = if numbers.below(2) == 0 { by_name(&to) } else { format!("{transport}:{to}") };
            let within = |tool: Tool| tool.within(scratch.path()).run();
            let config = within(Tool::new("inspect").args([&changed, "--raw", "config"])).json();
            assert_eq!(config["rootfs"]["diff_ids"], expected, "seed {seed}, step {step}");
            assert_eq!(within(Tool::new("verify").arg(&changed)).code(), 0, "seed {seed}, step {step}");
        }
        let _ = convert(&kept, "oci:back:v1").arg("--preserve-digests").within(scratch.path()).bake();
        let blobs = |layout: &str| bytes_of(&scratch.join(layout).join("blobs"));
        assert!(blobs("back") == blobs("made"), "seed {seed}");
    }
}

/// skopeo copies the output into a registry and back without changing a digest: single images and indexes.
#[test]
fn a_registry_takes_every_output_and_gives_it_back() {
    let scratch = Scratch::new();
    let Some(registry) = Registry::start(&scratch) else { return };
    let made = scratch.join("made");
    let [a, b] = two_platforms(&scratch, &made);
    let layout = ByHand::at(&made);
    let both = put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [a, b]}));
    layout.list(&[named(&both, "both"), named(&b, "one")]);
    let path = |name: &str| scratch.join(name);
    // Each transport, with the compressions of layers in turn.
    for (turn, image) in ["both", "one"].into_iter().enumerate() {
        for (number, (transport, file, reader)) in [
            ("oci", "out", "oci"),
            ("oci-archive", "a.tar", "oci-archive"),
            ("oci-archive", "a.tar.gz", "oci-archive"),
            ("oci-archive", "a.tar.xz", "oci-archive"),
            ("oci-archive", "a.tar.zst", "oci-archive"),
            // Readers of OCI archives find the layout in it.
            ("docker-archive", "docker.tar", "oci-archive"),
        ]
        .into_iter()
        .enumerate()
        {
            let compression = ["gzip", "zstd", "none"][(turn + number) % 3];
            let target = path(&format!("{image}-{compression}-{file}"));
            let tool = convert(&at("oci", &made, &format!(":{image}")), &at(transport, &target, ":app:v1"));
            let digest = tool.args(["--compression", compression]).bake();
            let name = if transport == "docker-archive" { ":v1" } else { ":app:v1" };
            let pushed = format!("{image}/{compression}:{file}");
            registry.copy(&at(reader, &target, name), &registry.image(&pushed));
            assert_eq!(registry.digest(&pushed), digest, "{pushed}");
            let back = path(&format!("back-{image}-{compression}-{file}"));
            registry.copy(&registry.image(&pushed), &at("oci", &back, ":v1"));
            assert_eq!(Layout::at(&back).refs()["v1"], digest, "{pushed}");
            assert_eq!(Tool::new("verify").arg(at("oci", &back, ":v1")).run().code(), 0, "{pushed}");
        }
    }
    // Docker's older form has no OCI manifest, but config and layers are preserved.
    let legacy = path("legacy.tar");
    let tool = convert(&at("oci", &made, ":one"), &at("docker-archive", &legacy, ":app:v1"));
    let _ = tool.arg("--docker-legacy-only").bake();
    registry.push(&at("docker-archive", &legacy, ":app:v1"), &registry.image("legacy:v1"));
    registry.copy(&registry.image("legacy:v1"), &at("dir", &path("legacy"), ""));
    let manifest: Value = serde_json::from_slice(&fs::read(path("legacy").join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["config"]["digest"], document(&made, &b)["config"]["digest"]);
}

#[test]
fn layers_that_have_the_compression_stay_as_they_are() {
    let scratch = Scratch::new();
    let (rootfs, out) = (rootfs(&scratch), scratch.join("out"));
    let _ = Tool::build(&rootfs).target("oci", &out, "1").args(["--compression", "gzip:1"]).bake();
    for (name, below, compression) in [("2", "1", "zstd"), ("3", "2", "none"), ("4", "3", "gzip:9")] {
        fs::write(rootfs.join(name), name.repeat(700_000)).unwrap();
        let base = at("oci", &out, &format!(":{below}"));
        let tool = Tool::build(&rootfs).target("oci", &out, name).args(["--base", &base]);
        let _ = tool.args(["--compression", compression]).bake();
    }
    let before = Layout::at(&out).image("4");
    let target = at("oci", &scratch.join("new"), ":v1");
    let convert = |threads: &str| {
        let tool = convert(&at("oci", &out, ":4"), &target).args(["--compression", "gzip", "--threads", threads]);
        tool.arg("--json").run().json()
    };
    let report = convert("1");
    assert_eq!(convert("7")["images"], report["images"], "threads made a difference");
    let after = Layout::at(&scratch.join("new")).image("v1");
    assert_eq!(after.digest(), report["images"][0]["digest"]);
    for (number, stays) in [(0, true), (1, false), (2, false), (3, true)] {
        let [old, new] = [&before, &after].map(|image| image.manifest["layers"][number].clone());
        assert_eq!(old == new, stays, "layer {}", number + 1);
        assert!(new["mediaType"].as_str().unwrap().ends_with("+gzip"));
        let how = |from: &Value| {
            let blobs = report["blobs"].as_array().unwrap();
            blobs.iter().find(|blob| blob["from"] == *from).expect("a report of the blob")["how"].clone()
        };
        assert_eq!(how(&old["digest"]), if stays { "linked" } else { "recompressed" });
    }
    assert_eq!(after.manifest["config"], before.manifest["config"]);
    assert_verified(&target);
    // It is still the rootfs.
    let difference = Tool::new("diff").args([at("oci", &out, ":4"), target]).arg("--json").run();
    let difference: Value = serde_json::from_str(&difference.printed()).unwrap();
    assert_eq!(difference["entries"], json!([]), "{difference:#}");
}

#[test]
fn blobs_are_linked_where_that_can_be_and_held_to_their_digests_everywhere() {
    let (scratch, memory) = (Scratch::new(), Scratch::in_memory());
    let out = scratch.join("out");
    let _ = Tool::build(rootfs(&scratch)).target("oci", &out, "v1").bake();
    let image = at("oci", &out, ":v1");
    let archive = scratch.join("a.tar");
    let _ = convert(&image, &at("oci-archive", &archive, "")).bake();

    let (near, far) = (scratch.join("near"), memory.join("far"));
    let inode = |layout: &Path| Layout::at(layout).image("v1").layer_path().metadata().unwrap().ino();
    let both = Tool::new("convert").args([image.clone(), at("oci", &near, ""), at("oci", &far, "")]).bake();
    assert_eq!(inode(&near), inode(&out));
    assert_eq!(Layout::at(&far).image("v1").digest(), both);
    let report =
        Tool::new("convert").args([image.clone(), at("oci", &memory.join("far"), "")]).arg("--json").run().json();
    assert!(report["blobs"].as_array().unwrap().iter().all(|blob| blob["how"] == "copied"), "{report:#}");
    // A blob that is a link into some store is copied, because the link may be broken at the target.
    let layer = Layout::at(&near).image("v1").layer_path();
    fs::rename(&layer, scratch.join("stored")).unwrap();
    std::os::unix::fs::symlink(scratch.join("stored"), &layer).unwrap();
    let _ = convert(&at("oci", &near, ":v1"), &at("oci", &scratch.join("from-link"), "")).bake();
    let copied = Layout::at(&scratch.join("from-link")).image("v1").layer_path().symlink_metadata().unwrap();
    assert!(copied.is_file() && copied.ino() != inode(&out));

    // A byte in the middle, then a byte too many.
    let layer = Layout::at(&out).image("v1").layer_path();
    let good = fs::read(&layer).unwrap();
    for damaged in [[&good[..9000], b"x", &good[9001..]].concat(), [&good[..], b"x"].concat()] {
        fs::remove_file(&layer).unwrap();
        fs::write(&layer, &damaged).unwrap();
        let before = (bytes_of(scratch.path()), bytes_of(memory.path()));
        for target in [
            at("oci", &near, ""),
            at("oci", &far, ""),
            at("oci", &scratch.join("new"), ""),
            at("oci-archive", &archive, ""),
        ] {
            for more in [&[][..], &["--compression", "zstd"]] {
                let error = convert(&image, &target).args(more).run().error();
                assert!(error.contains("should be") || error.contains("damaged"), "{error}");
            }
        }
        assert!((bytes_of(scratch.path()), bytes_of(memory.path())) == before, "a target was touched");
    }
    // So are blobs of archives.
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    for more in [&[][..], &["--compression", "none"]] {
        let error =
            convert(&at("oci-archive", &archive, ""), &at("oci", &scratch.join("new"), "")).args(more).run().error();
        assert!(error.contains("should be") || error.contains("damaged"), "{error}");
    }
    assert!(is_missing(&scratch.join("new")));
}

/// The tar of a recompressed layer must match its diff_id in the config, whatever the digest of the blob is.
#[test]
fn a_wrong_diff_id_is_found_on_the_way() {
    let scratch = Scratch::new();
    let (out, made) = (scratch.join("out"), scratch.join("made"));
    let _ = Tool::build(rootfs(&scratch)).target("oci", &out, "v1").bake();
    let image = Layout::at(&out).image("v1");
    let layout = ByHand::at(&made);
    let layer = blob(&layout, "application/vnd.oci.image.layer.v1.tar+gzip", &image.layer_blob());
    let plain = blob(&layout, "application/vnd.oci.image.layer.v1.tar", &image.stream());
    let list = |layers: &[&Value], diff_ids: &[String]| {
        let config =
            with(image.config.clone(), &json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []}));
        let config = put(&layout, CONFIG, &config);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        layout.list(&[named(&put(&layout, MANIFEST, &manifest), "v1")]);
    };
    let (right, wrong) = (image.diff_id(), format!("sha256:{}", sha256(b"something else")));
    let target = at("oci", &scratch.join("new"), "");
    for (layers, diff_ids, compression, complaint) in [
        (&[&layer][..], &[wrong.clone()][..], "zstd", "diff_id should be"),
        (&[&plain], &[wrong.clone()], "zstd", "diff_id should be"),
        (&[&layer], &[], "zstd", "1 diff_ids expected, one for each layer, found 0"),
        (&[&layer, &layer], &[right.clone(), wrong.clone()], "none", "one diff_id expected"),
    ] {
        list(layers, diff_ids);
        let error = convert(&at("oci", &made, ":v1"), &target).args(["--compression", compression]).run().error();
        assert!(error.contains(complaint), "{error}");
        assert!(is_missing(&scratch.join("new")));
    }
    // sha512 works like sha256.
    let hex: String = sha2::Sha512::digest(image.stream()).iter().map(|byte| format!("{byte:02x}")).collect();
    list(&[&layer], &[format!("sha512:{}", hex.replace(|c: char| c != '0', "0"))]);
    let error = convert(&at("oci", &made, ":v1"), &target).args(["--compression", "zstd"]).run().error();
    assert!(error.contains("diff_id should be sha512:0000"), "{error}");
    list(&[&layer, &plain], &[format!("sha512:{hex}"), right]);
    let _ = convert(&at("oci", &made, ":v1"), &target).args(["--compression", "zstd"]).bake();
    assert_eq!(Tool::new("verify").arg(&target).run().code(), 0);
}

#[test]
fn all_images_go_with_their_names_and_one_takes_another() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let rootfs = rootfs(&scratch);
    let one = Tool::build(&rootfs).target("oci", &out, "registry:5000/app:v1").args(["--label", "a=b"]).bake();
    let two = Tool::build(&rootfs).oci(&out).args(["--tag", "v2", "--tag", "v3"]).bake();
    let all = at("oci", &out, "");

    let printed = convert(&all, "all.tar").within(scratch.path()).run().stdout();
    assert_eq!(printed, format!("{one} registry:5000/app:v1\n{two} v2\n{two} v3\n"));
    let _ = convert(&scratch.join("all.tar").display().to_string(), "oci:all").within(scratch.path()).run().stdout();
    assert!(bytes_of(&scratch.join("all")) == bytes_of(&out));
    // Into a layout that has other images, whose names move.
    let other = Tool::build(&rootfs)
        .oci(&scratch.join("mixed"))
        .args(["--tag", "v2", "--tag", "old"])
        .args(["--label", "x=y"])
        .bake();
    let _ = convert(&all, "oci:mixed").within(scratch.path()).run().stdout();
    let refs = Layout::at(&scratch.join("mixed")).refs();
    assert_eq!(refs["old"], other);
    assert_eq!((&refs["v2"], &refs["v3"], refs.len()), (&two, &two, 4));

    for (target, tags, expected) in [
        ("oci:named:x", &[][..], &["x"][..]),
        ("oci:named", &["--tag", "x", "--tag", "y"], &["x", "y"]),
        ("oci:named", &["--additional-tag", ":z"], &["v2", "z"]),
        ("oci:named", &[], &["v2"]),
        ("oci:named:x", &["--additional-tag", "w"], &["x", "w"]),
    ] {
        let digest = convert(&at("oci", &out, ":v2"), target).args(tags).within(scratch.path()).bake();
        assert_eq!(digest, two);
        let refs = Layout::at(&scratch.join("named")).refs();
        let expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(refs.keys().cloned().collect::<std::collections::BTreeSet<_>>(), expected.into_iter().collect());
        fs::remove_dir_all(scratch.join("named")).unwrap();
    }

    let before = bytes_of(scratch.path());
    for (target, tags) in
        [("oci:named:x", &[][..]), ("x.tar", &["--tag", "x"]), ("oci:named", &["--additional-tag", "x"])]
    {
        let error = convert(&all, target).args(tags).within(scratch.path()).run().error();
        assert!(error.contains("one image is wanted for the name, found 2") && error.contains("v2"), "{error}");
    }
    let error = convert(&all, &at("oci", &out, "")).args(["--compression", "zstd"]).run().error();
    assert!(error.contains("is the layout that all images are taken from"), "{error}");
    let error = convert(&at("oci", &out, ":v9"), "oci:named").within(scratch.path()).run().error();
    assert!(error.contains("no image of this name") && error.contains("v2"), "{error}");
    assert!(bytes_of(scratch.path()) == before);

    // Within one layout an image gets another name, or the same.
    let own = Tool::new("convert").args([at("oci", &out, ":v2"), at("oci", &out, ":zstd")]);
    let zstd = own.args(["--compression", "zstd"]).bake();
    let _ = convert(&at("oci", &out, ":v2"), &at("oci", &out, ":v2")).bake();
    let refs = Layout::at(&out).refs();
    assert_eq!((&refs["v2"], &refs["zstd"]), (&two, &zstd));
    assert_verified(&all);
}

#[test]
fn an_index_is_written_anew_only_where_something_in_it_changed() {
    let scratch = Scratch::new();
    let made = scratch.join("made");
    let [a, b] = two_platforms(&scratch, &made);
    let layout = ByHand::at(&made);
    let zstd = scratch.join("zstd");
    let _ = convert(&at("oci", &made, ":b"), &at("oci", &zstd, "")).args(["--compression", "zstd"]).bake();
    let b_in_zstd = Layout::at(&zstd).image("b").descriptor["digest"].clone();
    // A nested index with unknown members and a missing manifest.
    let unknown = blob(&layout, "application/vnd.example", b"unknown");
    let absent = with(
        a.clone(),
        &json!({"digest": format!("sha256:{}", sha256(b"absent")), "platform": {"os": "linux", "architecture": "s390x"}}),
    );
    let attestation = put(
        &layout,
        MANIFEST,
        &json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": put(&layout, CONFIG, &json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(b"{}"))]}})),
            "layers": [blob(&layout, "application/vnd.in-toto+json", b"{}")],
        }),
    );
    let attestation = with(
        attestation,
        &json!({
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.digest": b["digest"], "vnd.docker.reference.type": "attestation-manifest"},
        }),
    );
    let nested = put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [a]}));
    let index = json!({
        "z": [1, {"b": null}], "schemaVersion": 2, "mediaType": INDEX, "annotations": {"org.example": "ü"},
        "manifests": [nested, with(b.clone(), &json!({"org.example.more": {"x": 1}})), unknown, absent, attestation],
    });
    let index = put(&layout, INDEX, &index);
    let other = put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [a]}));
    assert_eq!(other["digest"], nested["digest"]);
    layout.list(&[named(&index, "all"), with(other, &json!({"org.example.entry": true}))]);

    let warning = |outcome: &crate::harness::Outcome| outcome.stderr().to_owned();
    let outcome = convert(&at("oci", &made, ""), &at("oci", &scratch.join("same"), "")).run();
    assert!(
        warning(&outcome).contains("an index lists") && warning(&outcome).contains("does not hold"),
        "{}",
        warning(&outcome)
    );
    let _ = outcome.stdout();
    let (before, after) = (Layout::at(&made).index(), Layout::at(&scratch.join("same")).index());
    assert_eq!(before["manifests"], after["manifests"]);
    assert_eq!(Layout::at(&scratch.join("same")).blob(&index), Layout::at(&made).blob(&index));

    // Only `b` has a different compression.
    let new = scratch.join("new");
    let _ = convert(&at("oci", &made, ""), &at("oci", &new, "")).args(["--compression", "zstd"]).run().stdout();
    let entries = Layout::at(&new).index()["manifests"].clone();
    let new_index = document(&new, &entries[0]);
    assert_eq!((&new_index["z"], &new_index["annotations"]), (&json!([1, {"b": null}]), &json!({"org.example": "ü"})));
    let manifests = &new_index["manifests"];
    assert_eq!(manifests[1]["digest"], b_in_zstd);
    assert_eq!((&manifests[1]["org.example.more"], &manifests[1]["platform"]), (&json!({"x": 1}), &b["platform"]));
    assert_eq!((&manifests[2], &manifests[3]), (&unknown, &absent));
    let expected = with(
        attestation.clone(),
        &json!({"annotations": {"vnd.docker.reference.digest": b_in_zstd, "vnd.docker.reference.type": "attestation-manifest"}}),
    );
    assert_eq!(manifests[4], expected);
    let new_nested = document(&new, &manifests[0]);
    assert_eq!(new_nested["manifests"][0]["platform"], a["platform"]);
    assert_eq!(
        document(&new, &new_nested["manifests"][0])["layers"][0]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+zstd"
    );
    assert_eq!((&entries[1]["digest"], &entries[1]["org.example.entry"]), (&manifests[0]["digest"], &json!(true)));
    // Everything is there, except what was missing from the start.
    let report = Tool::new("verify").arg(at("oci", &new, "")).arg("--json").run();
    let report: Value = serde_json::from_str(&report.printed()).unwrap();
    let rules: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap()).collect();
    let errors: Vec<&&str> =
        rules.iter().filter(|rule| !matches!(**rule, "unknown-media-type" | "platform-name")).collect();
    assert_eq!(errors, [&"platform-missing"], "{report:#}");
}

#[test]
fn one_platform_is_taken_out_of_an_index() {
    let scratch = Scratch::new();
    let made = scratch.join("made");
    let [a, b] = two_platforms(&scratch, &made);
    let layout = ByHand::at(&made);
    let index = put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [a, b]}));
    layout.list(&[named(&index, "both"), named(&b, "b")]);
    for (image, platform, names) in [
        (":both", "linux/arm64/v8", &["both"][..]),
        (":both", "linux/arm64", &["both"]),
        ("", "linux/arm64", &["both", "b"]),
        ("", "linux/amd64", &["both"]),
    ] {
        let target = scratch.join("one");
        let digest = convert(&at("oci", &made, image), &at("oci", &target, "")).args(["--platform", platform]).bake();
        assert_eq!(digest, if platform == "linux/amd64" { &a } else { &b }["digest"]);
        let refs: Vec<String> = Layout::at(&target).refs().into_keys().collect();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        assert_eq!(refs, expected, "{image} {platform}");
        let wanted = Layout::at(&target).image(names[0]).descriptor["platform"].clone();
        assert_eq!(wanted, if platform == "linux/amd64" { &a } else { &b }["platform"]);
        assert_verified(&at("oci", &target, ""));
        fs::remove_dir_all(target).unwrap();
    }
    let target = at("oci", &scratch.join("one"), "");
    let error = convert(&at("oci", &made, ":both"), &target).args(["--platform", "linux/s390x"]).run().error();
    assert!(error.contains("no image for platform `linux/s390x`") && error.contains("both linux/arm64/v8"), "{error}");
    let twice =
        put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [a, b, with(b.clone(), &a)]}));
    layout.list(&[named(&twice, "twice")]);
    let _ = convert(&at("oci", &made, ":twice"), &target).args(["--platform", "linux/amd64"]).bake();
    let _ = Tool::build(scratch.join("rootfs")).target("oci", &made, "other").args(["--label", "a=b"]).bake();
    let third = Layout::at(&made).image("other").descriptor;
    let two = put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [a, third]}));
    layout.list(&[named(&two, "two")]);
    let error = convert(&at("oci", &made, ":two"), &target).args(["--platform", "linux/amd64"]).run().error();
    assert!(error.contains("for platform `linux/amd64` is wanted, found 2"), "{error}");
}

/// The same documents in Docker's media types.
fn in_docker_types(made: &Path, layout: &ByHand, image: &Value) -> Value {
    let mut manifest = document(made, image);
    manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json".into();
    manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
    manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip".into();
    manifest["org.example"] = json!("kept");
    let descriptor = put(layout, "application/vnd.docker.distribution.manifest.v2+json", &manifest);
    with(descriptor, &json!({"platform": image["platform"]}))
}

#[test]
fn docker_media_types_become_those_of_oci() {
    let scratch = Scratch::new();
    let made = scratch.join("made");
    let images = two_platforms(&scratch, &made);
    let layout = ByHand::at(&made);
    let [a, b] = images.clone().map(|image| in_docker_types(&made, &layout, &image));
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index = put(&layout, list, &json!({"schemaVersion": 2, "mediaType": list, "manifests": [a, b]}));
    layout.list(&[named(&index, "all"), named(&a, "a")]);
    let new = scratch.join("new");
    let _ = convert(&at("oci", &made, ""), &at("oci", &new, "")).run().stdout();
    let entries = Layout::at(&new).index()["manifests"].clone();
    assert_eq!((&entries[0]["mediaType"], &entries[1]["mediaType"]), (&json!(INDEX), &json!(MANIFEST)));
    let new_index = document(&new, &entries[0]);
    assert_eq!(new_index["mediaType"], INDEX);
    assert_eq!(new_index["manifests"][0]["digest"], entries[1]["digest"]);
    for (new_image, image) in new_index["manifests"].as_array().unwrap().iter().zip(&images) {
        assert_eq!((&new_image["mediaType"], &new_image["platform"]), (&json!(MANIFEST), &image["platform"]));
        let (new_manifest, manifest) = (document(&new, new_image), document(&made, image));
        // Except for the unknown member, it is what the tool had written.
        assert_eq!(new_manifest, with(manifest, &json!({"org.example": "kept"})));
    }
    assert_verified(&at("oci", &new, ""));
    let error =
        convert(&at("oci", &made, ":all"), &at("oci", &scratch.join("no"), "")).arg("--preserve-digests").run().error();
    assert!(error.contains("cannot be kept") && error.contains("Docker's"), "{error}");
    // As skopeo writes it.
    let Some(skopeo) = Peer::find("skopeo") else { return };
    layout.list(&[named(&images[0], "a")]);
    let (directory, again) = (scratch.join("directory"), scratch.join("again"));
    let copy = ["--insecure-policy", "copy", "-q", "--format", "v2s2"];
    skopeo.run(copy.iter().copied().chain([at("oci", &made, ":a").as_str(), &at("dir", &directory, "")]));
    let manifest = fs::read(directory.join("manifest.json")).unwrap();
    layout.list(&[named(&blob(&layout, "application/vnd.docker.distribution.manifest.v2+json", &manifest), "a")]);
    let _ = convert(&at("oci", &made, ""), &at("oci", &again, "")).bake();
    let (ours, before) = (Layout::at(&again).image("a"), document(&made, &images[0]));
    assert_eq!((&ours.manifest["config"], &ours.manifest["layers"]), (&before["config"], &before["layers"]));
}

#[test]
fn layers_that_are_elsewhere_stay_there() {
    let scratch = Scratch::new();
    let (out, made) = (scratch.join("out"), scratch.join("made"));
    let _ = Tool::build(rootfs(&scratch)).target("oci", &out, "v1").bake();
    let image = Layout::at(&out).image("v1");
    let layout = ByHand::at(&made);
    let bytes = image.layer_blob();
    let layer = blob(&layout, "application/vnd.oci.image.layer.v1.tar+gzip", &bytes);
    let foreign =
        blob(&layout, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &[&bytes[..], &bytes].concat());
    let foreign = with(foreign, &json!({"urls": ["https://example.org/layer"]}));
    let config = with(
        image.config.clone(),
        &json!({"rootfs": {"type": "layers", "diff_ids": [image.diff_id(), image.diff_id()]}, "history": []}),
    );
    let config = put(&layout, CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [foreign, layer]});
    layout.list(&[named(&put(&layout, MANIFEST, &manifest), "v1")]);
    for is_there in [true, false] {
        if !is_there {
            take_away(&made, &foreign);
        }
        let new = scratch.join(&format!("new-{is_there}"));
        let _ = convert(&at("oci", &made, ":v1"), &at("oci", &new, "")).args(["--compression", "zstd"]).bake();
        let layers = Layout::at(&new).image("v1").manifest["layers"].clone();
        let expected = with(
            foreign.clone(),
            &json!({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}),
        );
        assert_eq!(layers[0], expected);
        assert_eq!(layers[1]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
        let path = new.join("blobs").join(foreign["digest"].as_str().unwrap().replace(':', "/"));
        assert_eq!(!is_missing(&path), is_there);
    }
    // A distributable layer must be there.
    take_away(&made, &layer);
    for more in [&[][..], &["--compression", "zstd"]] {
        let error = convert(&at("oci", &made, ":v1"), &at("oci", &scratch.join("no"), "")).args(more).run().error();
        assert!(error.contains(layer["digest"].as_str().unwrap()) && error.contains("is missing"), "{error}");
    }
    assert!(is_missing(&scratch.join("no")));
}

#[test]
fn what_is_attached_goes_where_its_image_goes() {
    let scratch = Scratch::new();
    let made = scratch.join("made");
    let [a, _] = two_platforms(&scratch, &made);
    let layout = ByHand::at(&made);
    let empty = blob(&layout, EMPTY, b"{}");
    let attached = |content: &str| {
        let blob = blob(&layout, "text/spdx", content.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "text/spdx", "config": empty, "layers": [blob],
            "subject": {"mediaType": MANIFEST, "digest": a["digest"], "size": a["size"]},
        });
        with(put(&layout, MANIFEST, &manifest), &json!({"artifactType": "text/spdx"}))
    };
    let (bill, second) = (attached("bill of materials"), attached("another"));
    let referrers = put(&layout, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [bill, second]}));
    let tag = |digest: &Value| digest.as_str().unwrap().replace(':', "-");
    let signature = named(
        &put(
            &layout,
            MANIFEST,
            &json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "artifactType": "text/x", "layers": [blob(&layout, "text/x", b"signature")],
            }),
        ),
        &format!("{}.sig", tag(&a["digest"])),
    );
    layout.list(&[named(&a, "v1"), bill.clone(), named(&referrers, &tag(&a["digest"])), signature]);

    let same = scratch.join("same");
    let _ = convert(&at("oci", &made, ""), &at("oci", &same, "")).run().stdout();
    assert_eq!(Layout::at(&same).index()["manifests"], Layout::at(&made).index()["manifests"]);
    assert!(!is_missing(&same.join("blobs").join(second["digest"].as_str().unwrap().replace(':', "/"))));
    // Only the image, by its name.
    let alone = scratch.join("alone");
    let outcome = convert(&at("oci", &made, ":v1"), &at("oci", &alone, ":v2")).run();
    assert!(outcome.stderr().contains("and does not go along"), "{}", outcome.stderr());
    assert_eq!(Layout::at(&alone).index()["manifests"].as_array().unwrap().len(), 1);

    let new = scratch.join("new");
    let outcome = convert(&at("oci", &made, ""), &at("oci", &new, ":v2")).args(["--compression", "zstd"]).run();
    assert!(outcome.stderr().contains("if it is a signature, it is of no use"), "{}", outcome.stderr());
    let _ = outcome.stdout();
    let refs = Layout::at(&new).refs();
    let image = Layout::at(&new).image("v2");
    let digest = json!(image.digest());
    assert_eq!(refs.keys().map(String::as_str).collect::<Vec<_>>(), [&tag(&digest), "v2"]);
    let entries = Layout::at(&new).index()["manifests"].clone();
    let new_bill = document(&new, &entries[1]);
    assert_eq!(new_bill["subject"], json!({"mediaType": MANIFEST, "digest": digest, "size": image.descriptor["size"]}));
    let list = document(&new, &entries[2]);
    assert_eq!((&list["manifests"][0], list["manifests"].as_array().unwrap().len()), (&entries[1], 2));
    assert_verified(&at("oci", &new, ""));
}

/// A recompressed layer loses annotations about its old bytes and keeps the rest.
#[test]
fn annotations_of_compressed_bytes_go_with_them() {
    let scratch = Scratch::new();
    let (out, made) = (scratch.join("out"), scratch.join("made"));
    let _ = Tool::build(rootfs(&scratch)).target("oci", &out, "v1").bake();
    let image = Layout::at(&out).image("v1");
    let layout = ByHand::at(&made);
    let chunked = "io.github.containers.zstd-chunked.manifest-checksum";
    let annotations =
        json!({chunked: "sha256:x", "containerd.io/snapshot/stargz/toc.digest": "x", "org.example": "kept"});
    let layer = with(
        blob(&layout, "application/vnd.oci.image.layer.v1.tar+gzip", &image.layer_blob()),
        &json!({"annotations": annotations, "org.example": [1]}),
    );
    let config = put(&layout, CONFIG, &image.config);
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    layout.list(&[named(&put(&layout, MANIFEST, &manifest), "v1")]);
    let _ =
        convert(&at("oci", &made, ":v1"), &at("oci", &scratch.join("new"), "")).args(["--compression", "zstd"]).bake();
    let layer = Layout::at(&scratch.join("new")).image("v1").manifest["layers"][0].clone();
    assert_eq!((&layer["annotations"], &layer["org.example"]), (&json!({"org.example": "kept"}), &json!([1])));
}

#[test]
fn docker_archives_of_others_become_layouts() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let rootfs = scratch.small_rootfs();
    let digest = Tool::build(&rootfs).target("oci", &out, "v1").args(["--cmd", "/bin/sh"]).bake();
    let image = Layout::at(&out).image("v1");
    if let Some(skopeo) = Peer::find("skopeo") {
        let archive = scratch.join("skopeo.tar");
        skopeo.run([
            "--insecure-policy",
            "copy",
            "-q",
            &at("oci", &out, ":v1"),
            &at("docker-archive", &archive, ":team/app:v1"),
        ]);
        let target = scratch.join("from-skopeo");
        let _ = convert(&archive.display().to_string(), &at("oci", &target, "")).bake();
        let plain = Layout::at(&target).image("docker.io/team/app:v1");
        assert_eq!(plain.manifest["config"], image.manifest["config"]);
        assert_eq!(plain.manifest["layers"][0]["digest"], image.diff_id());
        assert_verified(&at("oci", &target, ""));
        // With the original compression, it is the image that was built.
        for ending in ["", ".gz"] {
            let archive = archive.display().to_string();
            if !ending.is_empty() {
                let Some(gzip) = Peer::find("gzip") else { continue };
                gzip.run(["-k", &archive]);
            }
            let target = at("oci", &scratch.join(&format!("gzip{ending}")), ":v1");
            assert_eq!(convert(&format!("{archive}{ending}"), &target).args(["--compression", "gzip"]).bake(), digest);
        }
    }
    if let Some(podman) = Storage::of("podman", &scratch) {
        podman.run(&["load", "-q", "-i", &{
            let archive = scratch.join("in.tar");
            let _ = convert(&at("oci", &out, ":v1"), &at("oci-archive", &archive, ":localhost/app:v1")).bake();
            archive.display().to_string()
        }]);
        podman.run(&["tag", "localhost/app:v1", "example.org:5000/app:v2"]);
        podman.run(&["save", "-q", "-m", "-o", "saved.tar", "localhost/app:v1", "example.org:5000/app:v2"]);
        let target = scratch.join("from-podman");
        let _ = convert(&at("docker-archive", &scratch.join("saved.tar"), ""), &at("oci", &target, ""))
            .args(["--compression", "gzip"])
            .bake();
        let refs = Layout::at(&target).refs();
        assert_eq!(refs.keys().collect::<Vec<_>>(), ["example.org:5000/app:v2", "localhost/app:v1"]);
        let taken = Layout::at(&target).image("localhost/app:v1");
        assert_eq!((taken.diff_id(), taken.layers()), (image.diff_id(), image.layers()));
        assert_verified(&at("oci", &target, ""));
    }
}

#[test]
fn what_is_no_image_is_refused_in_a_line() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let _ = Tool::build(scratch.small_rootfs()).target("oci", &out, "v1").bake();
    fs::write(scratch.join("no.tar"), "not a tar at all").unwrap();
    std::process::Command::new("tar").args(["-cf", "tar.tar", "rootfs"]).current_dir(scratch.path()).status().unwrap();
    ByHand::at(&scratch.join("empty")).list(&[]);
    fs::write(scratch.join("file"), "").unwrap();
    let before = bytes_of(scratch.path());
    for (image, target, words) in [
        ("no.tar", "oci:new", &["no.tar"][..]),
        ("tar.tar", "oci:new", &["tar.tar", "no image layout"]),
        ("docker-archive:tar.tar", "oci:new", &["tar.tar", "no docker archive"]),
        ("oci:empty", "oci:new", &["holds no image"]),
        ("oci:missing", "oci:new", &["missing"]),
        ("oci:out:v1", "oci:file", &["a directory is wanted"]),
        ("oci:out:v1", "oci:rootfs", &["found other files"]),
        ("oci:out:v1", "oci:no/where", &["its directory"]),
        ("oci:out:v1", "new.tar.bz2", &["bzip2"]),
    ] {
        let error = convert(image, target).within(scratch.path()).run().error();
        assert!(words.iter().all(|word| error.contains(word)), "{image} {target}: {error}");
    }
    let error = Tool::new("convert").args(["oci:out:v1", "oci:new", "oci:new:x"]).within(scratch.path()).run().error();
    assert!(error.contains("given twice"), "{error}");
    let outcome = convert("oci:out:v1", "oci:new").args(["--compression", "xz"]).within(scratch.path()).run();
    assert_eq!(outcome.code(), 2);
    assert!(bytes_of(scratch.path()) == before);
}

#[test]
fn under_pseudo_it_is_the_same() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    fake.script("rootfs", &Fixture::named("faked").script());
    let gzip = fake.tool(["build", "rootfs", "oci:out:gzip", "--arch=amd64", "--created=1"]).digest();
    let zstd =
        fake.tool(["build", "rootfs", "oci:out:zstd", "--arch=amd64", "--created=1", "--compression=zstd"]).digest();
    for (from, to, compression, expected) in [
        ("oci:out:gzip", "oci:new:a", "zstd", &zstd),
        ("oci:out:zstd", "a.tar:a", "gzip", &gzip),
        ("a.tar", "oci:new:b", "gzip", &gzip),
        ("oci:new:a", "oci:linked", "zstd", &zstd),
    ] {
        assert_eq!(fake.tool(["convert", from, to, "--compression", compression]).digest(), *expected);
    }
    fake.script("", b"set -e\nmv linked moved; mv moved linked; stat new/* linked/blobs/sha256/* a.tar");
    for image in ["oci:new", "oci:linked", "a.tar"] {
        assert_eq!(fake.tool(["verify", image]).code(), 0, "{image}");
    }
    assert_eq!(fake.log_of_trouble(), Vec::<String>::new());
}
