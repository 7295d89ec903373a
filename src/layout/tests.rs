//! Docker archives made byte by byte: output of unusual writers, and damaged or malicious input.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::slice::from_ref;

use serde_json::{json, Value};

use crate::compress::{Codec, Encoder, GzipLevel, InputDigest, XzLevel, ZstdLevel};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{Layout, Location, Transport};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::testing::TempDir;

/// A tar with arbitrary member names.
#[derive(Clone, Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn member(mut self, kind: tar::EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o444);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.member(tar::EntryType::Regular, name, "", content.as_ref())
    }

    fn json(self, name: &str, value: &Value) -> Self {
        self.file(name, value.to_string())
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.member(tar::EntryType::Symlink, name, target, b"")
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.member(tar::EntryType::Link, name, target, b"")
    }

    fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A layer with one file.
fn layer(content: &str) -> Vec<u8> {
    Archive::default().file("etc/motd", content).bytes()
}

fn config(layers: &[&[u8]]) -> String {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).to_string()
}

fn manifest(names: &Value, config: &str, layers: &[&str]) -> Value {
    json!([{"Config": config, "RepoTags": names, "Layers": layers}])
}

/// The simplest archive: one image, one layer.
fn simple() -> Archive {
    Archive::default()
        .json("manifest.json", &manifest(&json!(["app:v1"]), "config.json", &["layer.tar"]))
        .file("config.json", config(&[&layer("a")]))
        .file("layer.tar", layer("a"))
}

fn compress(bytes: &[u8], codec: Codec) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), codec, NonZeroUsize::MIN, InputDigest::Skip).unwrap();
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap().0
}

/// An archive on disk.
struct OnDisk {
    path: PathBuf,
    _home: TempDir,
}

impl OnDisk {
    fn new(test: &str, bytes: &[u8]) -> Self {
        let home = TempDir::new(test);
        let path = home.path().join("image.tar");
        fs::write(&path, bytes).unwrap();
        OnDisk { path, _home: home }
    }

    fn open(&self, transport: &str, name: &str) -> Result<Layout> {
        let text = format!("{transport}{}{name}", self.path.display());
        Layout::open(&Location::parse(OsStr::new(&text))?, Limits::default())
    }
}

/// Reads the named image with all layers and returns their content.
fn read(layout: &Layout) -> Result<Vec<Vec<u8>>> {
    let image = layout.image(None)?;
    let layers = image.manifest.value().layers.iter().map(|layer| {
        let mut bytes = Vec::new();
        layout.blob(layer)?.read_to_end(&mut bytes).map_err(|error| Error::refused(error.to_string()))?;
        Ok(bytes)
    });
    layers.collect()
}

/// Opens the only image of an archive and reads it.
fn read_all(test: &str, archive: Archive) -> Result<Vec<Vec<u8>>> {
    read(&OnDisk::new(test, &archive.bytes()).open("docker-archive:", "")?)
}

#[track_caller]
fn assert_refused(test: &str, archive: Archive, expected: &str) {
    let error = read_all(test, archive).unwrap_err().to_string();
    assert!(error.contains(expected), "`{expected}` expected in: {error}");
}

#[test]
fn limits_belong_to_the_layout_that_is_opened() {
    let archive = Archive::default().file("large", vec![0; 1 << 20]).bytes();
    let on_disk = OnDisk::new("limits", &compress(&archive, Codec::Gzip(GzipLevel::default())));
    let location = Location::parse(on_disk.path.as_os_str()).unwrap();
    let small = Limits { unpacked: 1 << 10, ..Limits::default() };
    let error = Layout::open(&location, small).unwrap_err().to_string();
    assert!(error.contains("decompresses to more than 1024 bytes"), "{error}");
    assert!(Layout::open(&location, Limits::default()).is_ok());
}

#[test]
fn it_looks_like_a_layout() {
    let (a, b) = (layer("a"), layer("b"));
    let config = config(&[&a, &b]);
    let archive = Archive::default()
        .file("1/layer.tar", &a)
        .file("2/layer.tar", &b)
        .file(&format!("{}.json", Digest::of(config.as_bytes()).encoded()), &config)
        .json(
            "manifest.json",
            &manifest(
                &json!(["app:v1", "registry:5000/team/my__app:v2"]),
                &format!("{}.json", Digest::of(config.as_bytes()).encoded()),
                &["1/layer.tar", "2/layer.tar"],
            ),
        );
    let on_disk = OnDisk::new("looks-like-a-layout", &archive.bytes());
    let layout = on_disk.open("docker-archive:", "").unwrap();
    assert_eq!(read(&layout).unwrap(), [a.clone(), b.clone()]);

    let image = layout.image(Some(&"linux/arm64".parse().unwrap())).unwrap();
    assert_eq!(image.config.raw(), config.as_bytes());
    let manifest = image.manifest.value();
    let layers: Vec<_> = manifest.layers.iter().map(|l| (l.media_type.clone(), l.digest.clone(), l.size)).collect();
    assert_eq!(layers, [&a, &b].map(|layer| (MediaType::LAYER, Digest::of(layer), layer.len() as u64)));
    assert_eq!(manifest.config, image.config.descriptor(MediaType::CONFIG));

    // The second name is not a valid ref name, and is kept nevertheless.
    let index = layout.index().unwrap();
    let names: Vec<_> =
        index.value().manifests.iter().map(|d| (d.ref_name(), d.annotation("io.containerd.image.name"))).collect();
    assert_eq!(
        names,
        [(Some("app:v1"), Some("docker.io/library/app:v1")), (None, Some("registry:5000/team/my__app:v2")),]
    );

    let mut digests: Vec<_> =
        [&index.value().manifests[0].digest, &manifest.config.digest, &Digest::of(&a), &Digest::of(&b)]
            .map(|digest| format!("blobs/sha256/{}", digest.encoded()))
            .into();
    digests.sort();
    digests.extend(["index.json", "oci-layout"].map(str::to_owned));
    let files = layout.files().unwrap();
    assert_eq!(files.iter().map(|file| file.name.clone()).collect::<Vec<_>>(), digests);
    for stored in files {
        let (mut reader, size) = layout.file(&stored.name).unwrap().unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!((size, bytes.len() as u64), (stored.size, stored.size), "{}", stored.name);
    }
    layout.marker().unwrap();
}

#[test]
fn paths_lead_to_files_by_any_way_within_the_archive() {
    let layer = layer("a");
    let archive = |manifest_name: &str, config_path: &str, layer_path: &str| {
        Archive::default()
            .json(manifest_name, &manifest(&json!(null), config_path, &[layer_path]))
            .file("./deep/config", config(&[&layer]))
            .file("./deep/layer.tar", &layer)
            .symlink("id/layer.tar", "../deep/layer.tar")
            .symlink("./directory", "deep")
            .symlink("again", "./id/../directory//layer.tar")
            .hardlink("hard", "deep/layer.tar")
            .hardlink("id/hard-to-symlink", "id/layer.tar")
    };
    for manifest_name in ["manifest.json", "./manifest.json", "/manifest.json"] {
        for config_path in ["deep/config", "./deep/config", "directory/config"] {
            for layer_path in ["deep/layer.tar", "id/layer.tar", "again", "hard", "id/hard-to-symlink"] {
                let found = read_all("any-way", archive(manifest_name, config_path, layer_path));
                assert_eq!(found.unwrap(), from_ref(&layer), "{manifest_name} {config_path} {layer_path}");
            }
        }
    }
}

#[test]
fn links_that_lead_nowhere_end_in_an_error() {
    let archive = |link: fn(Archive) -> Archive| {
        let archive = Archive::default()
            .json("manifest.json", &manifest(&json!(null), "config", &["x/layer"]))
            .file("config", config(&[&layer("a")]))
            .file("file", layer("a"));
        link(archive)
    };
    for (link, expected) in [
        (archive(|a| a.symlink("x/layer", "layer")), "`x/layer`: it leads from link to link and to no file"),
        (archive(|a| a.symlink("x/layer", "../y").symlink("y", "x/layer")), "from link to link"),
        (archive(|a| a.symlink("x", "x/y")), "from link to link"),
        (archive(|a| a.hardlink("x/layer", "x/layer")), "from link to link"),
        (archive(|a| a.symlink("x/layer", "/file")), "`x/layer`: it leads out of the archive"),
        (archive(|a| a.symlink("x/layer", "../../file")), "out of the archive"),
        (archive(|a| a.symlink("x", "../x")), "out of the archive"),
        (archive(|a| a.symlink("x/layer", "../nothing")), "`x/layer` is missing"),
        (archive(|a| a.symlink("x/layer", "..")), "`x/layer` is missing"),
    ] {
        assert_refused("links", link, expected);
    }
    // Readers differ in which of two members of one name they take.
    let twice = archive(|a| a.symlink("x/layer", "layer").hardlink("x/layer", "file"));
    assert_refused("links", twice, "one `x/layer` expected, found several");
}

#[test]
fn images_are_chosen_by_their_names() {
    let (base, top) = (layer("base"), layer("top"));
    let archive = Archive::default()
        .file("base.tar", &base)
        .file("top.tar", &top)
        .file("1.json", config(&[&base]))
        .file("2.json", config(&[&base, &top]))
        .json(
            "manifest.json",
            &json!([
                {"Config": "1.json", "RepoTags": ["app:latest", "docker.io/team/app:v1"], "Layers": ["base.tar"]},
                {"Config": "2.json", "RepoTags": ["localhost:5000/app:v2"], "Layers": ["base.tar", "top.tar"]},
            ]),
        );
    let on_disk = OnDisk::new("chosen-by-name", &archive.bytes());
    for (name, layers) in [
        (":app", Some(1)),
        (":app:latest", Some(1)),
        (":docker.io/library/app", Some(1)),
        (":team/app:v1", Some(1)),
        (":localhost:5000/app:v2", Some(2)),
        (":app:v2", None),
        (":team/app", None),
        ("", None),
    ] {
        let layout = on_disk.open("docker-archive:", name).unwrap();
        assert_eq!(read(&layout).ok().map(|layers| layers.len()), layers, "{name}");
    }
    let error = read(&on_disk.open("docker-archive:", "").unwrap()).unwrap_err();
    assert_eq!(
        error.hint().unwrap().to_string(),
        "name one, or choose with `platform`: app:latest linux/arm64, \
         localhost:5000/app:v2 linux/arm64"
    );
    let layout = on_disk.open("docker-archive:", "").unwrap();
    let blobs = layout.files().unwrap().iter().filter(|file| file.name.starts_with("blobs/")).count();
    assert_eq!(blobs, 6, "a layer that is shared is one blob");
}

#[test]
fn the_older_list_gives_names_where_the_newer_has_none() {
    let (a, b) = (layer("a"), layer("b"));
    let archive = Archive::default()
        .file("a.tar", &a)
        .file("b.tar", &b)
        .symlink("1/layer.tar", "../a.tar")
        .symlink("2/layer.tar", "../b.tar")
        .file("1.json", config(&[&a]))
        .file("2.json", config(&[&b]))
        .json("repositories", &json!({"app": {"v1": "1", "v2": "2", "v3": "3"}, "registry:5000/app": {"v1": "1"}}))
        .json(
            "manifest.json",
            &json!([
                {"Config": "1.json", "RepoTags": null, "Layers": ["a.tar"]},
                {"Config": "2.json", "RepoTags": ["named:v9"], "Layers": ["b.tar"]},
            ]),
        );
    let on_disk = OnDisk::new("older-list", &archive.bytes());
    let layout = on_disk.open("docker-archive:", "").unwrap();
    let index = layout.index().unwrap();
    let names: Vec<_> = index.value().manifests.iter().map(|descriptor| descriptor.ref_name().unwrap()).collect();
    assert_eq!(names, ["app:v1", "registry:5000/app:v1", "named:v9"]);

    for names in [json!(null), json!([])] {
        let archive = Archive::default()
            .json("manifest.json", &manifest(&names, "config.json", &["layer.tar"]))
            .file("config.json", config(&[&a]))
            .file("layer.tar", &a);
        assert_eq!(read_all("nameless", archive).unwrap(), from_ref(&a));
    }
}

#[test]
fn layers_may_be_compressed_one_by_one() {
    let plain = layer("a");
    for (codec, media_type) in [
        (Codec::Gzip(GzipLevel::default()), MediaType::LAYER_GZIP),
        (Codec::Zstd(ZstdLevel::default()), MediaType::LAYER_ZSTD),
    ] {
        let stored = compress(&plain, codec);
        let in_layout = format!("blobs/sha256/{}", Digest::of(&stored).encoded());
        for path in ["1/layer.tar", in_layout.as_str()] {
            let archive = Archive::default()
                .json("manifest.json", &manifest(&json!(["app:v1"]), "config.json", &[path]))
                .file("config.json", config(&[&plain]))
                .file(path, &stored);
            let on_disk = OnDisk::new("compressed-layers", &archive.bytes());
            let layout = on_disk.open("docker-archive:", "").unwrap();
            let layer = layout.image(None).unwrap().manifest.value().layers[0].clone();
            assert_eq!((layer.media_type, layer.digest), (media_type.clone(), Digest::of(&stored)), "{path}");
        }
    }
    // OCI has no media type for it: the tar in it is the layer.
    let archive = Archive::default()
        .json("manifest.json", &manifest(&json!(["app:v1"]), "config.json", &["layer.tar"]))
        .file("config.json", config(&[&plain]))
        .file("layer.tar", compress(&plain, Codec::Xz(XzLevel::default())));
    let on_disk = OnDisk::new("compressed-layers", &archive.bytes());
    let layer = on_disk.open("docker-archive:", "").unwrap().image(None).unwrap().manifest.value().layers[0].clone();
    assert_eq!((layer.media_type, layer.digest), (MediaType::LAYER, Digest::of(&plain)));
    assert_eq!(layer.size, plain.len() as u64);
}

#[test]
fn names_that_are_digests_are_promises() {
    let (right, wrong) = (layer("right"), layer("wrong"));
    let build = |config_name: &str, config_bytes: &str, layer_name: &str, layer: &[u8]| {
        Archive::default()
            .json("manifest.json", &manifest(&json!(null), config_name, &[layer_name]))
            .file(config_name, config_bytes)
            .file(layer_name, layer)
    };
    let config = config(&[&right]);
    let digest = Digest::of(config.as_bytes());
    let stored = compress(&wrong, Codec::Gzip(GzipLevel::default()));
    let promised = format!("blobs/sha256/{}", digest.encoded());
    read_all("promises", build("no:digest", &config, "l", &right)).unwrap();
    let other = config.replace("arm64", "amd64");
    read_all("promises", build(&promised, &config, "l", &right)).unwrap();
    assert_refused("promises", build(&promised, &other, "l", &right), "digest should be sha256:");
    // Docker and other readers ignore the file name of a config.
    for name in [format!("{}.json", digest.encoded()), digest.to_string()] {
        for text in [&config, &other] {
            read_all("promises", build(&name, text, "l", &right)).unwrap();
        }
    }
    assert_refused("promises", build("c.json", &config, "l", &wrong), "digest should be sha256:");
    assert_refused(
        "promises",
        build("c.json", &config, &format!("blobs/sha256/{}", Digest::of(&right).encoded()), &stored),
        "digest should be sha256:",
    );
}

#[test]
fn what_is_wrong_is_told_with_its_name() {
    let list = |config: &str, layers: &[&str]| {
        Archive::default().json("manifest.json", &manifest(&json!(["app:v1"]), config, layers))
    };
    let with_config = |text: &str| list("config.json", &["layer.tar"]).file("config.json", text);
    let right = config(&[&layer("a")]);
    for (archive, expected) in [
        (list("config.json", &[]), "image.tar`: `config.json` is missing"),
        (with_config(&right), "image.tar`: `layer.tar` is missing"),
        (with_config("{").file("layer.tar", layer("a")), "config `config.json`: EOF while parsing"),
        (with_config("{}").file("layer.tar", layer("a")), "config `config.json`: missing field"),
        (
            list("config.json", &["layer.tar", "layer.tar"]).file("config.json", &right).file("layer.tar", layer("a")),
            "config `config.json`: number of layers should be 1, found 2",
        ),
        (Archive::default().file("manifest.json", "[{}]"), "`manifest.json`: the member `Config` is missing"),
        (Archive::default().file("manifest.json", "no JSON"), "`manifest.json`: expected"),
        (Archive::default().file("manifest.json", vec![b' '; 5 << 20]), "a document of 4 MiB at most expected"),
        (Archive::default().json("manifest.json", &json!([])), "the layout holds no image"),
        (Archive::default().file("other", "x"), "no docker archive: the file `manifest.json` is missing"),
        (Archive::default(), "no docker archive: the file `manifest.json` is missing"),
        (list("../config.json", &[]), "`../config.json`: it leads out of the archive"),
    ] {
        assert_refused("told-with-its-name", archive, expected);
    }
}

#[test]
fn half_an_archive_is_no_archive() {
    // Writers put the list last.
    let archive = Archive::default()
        .file("config.json", config(&[&layer("a")]))
        .file("layer.tar", layer("a"))
        .json("manifest.json", &manifest(&json!(null), "config.json", &["layer.tar"]))
        .bytes();
    let list = 512 + 512 + 512 + layer("a").len();
    for (length, expected) in [
        (2000, "no docker archive, or half of one: it ends within `layer.tar`"),
        (1300, "at byte 1300: the archive is cut off"),
        (list + 522, "`manifest.json`: size should be 65, found 10"),
    ] {
        let result = OnDisk::new("half", &archive[..length]).open("docker-archive:", "");
        let error = result.err().unwrap().to_string();
        assert!(error.contains(expected), "{length} of {} bytes: {error}", archive.len());
    }
    let gzip = compress(&archive, Codec::Gzip(GzipLevel::default()));
    let result = OnDisk::new("half", &gzip[..gzip.len() / 2]).open("docker-archive:", "");
    let error = result.err().unwrap().to_string();
    assert!(error.ends_with("the gzip stream is cut short"), "{error}");

    // With the list first, the complete part can be read, and no more.
    let archive = simple().bytes();
    let on_disk = OnDisk::new("half", &archive[..archive.len() - 2048]);
    let layout = on_disk.open("docker-archive:", "").unwrap();
    let error = read(&layout).unwrap_err().to_string();
    assert!(error.contains("size should be 2048, found 1024"), "{error}");
}

#[test]
fn what_docker_wrote_before_the_list_is_read_by_its_parents() {
    let (base, top) = (layer("base"), layer("top"));
    let document = |id: &str, parent: Option<&str>, command: &str| {
        let mut document = json!({
            "id": id, "created": "2014-06-09T00:00:00Z", "author": "A", "architecture": "amd64", "os": "linux",
            "container_config": {"Cmd": ["/bin/sh", "-c", command]}, "config": {"Env": ["A=b"], "Labels": null},
            "Size": 7,
        });
        if let Some(parent) = parent {
            document["parent"] = parent.into();
        }
        document
    };
    let archive = Archive::default()
        .json("repositories", &json!({"app": {"v1": "2", "v2": "2"}, "base": {"latest": "1"}}))
        .json("1/json", &document("1", None, "first"))
        .file("1/VERSION", "1.0")
        .file("1/layer.tar", &base)
        .json("2/json", &document("2", Some("1"), "second"))
        .file("2/layer.tar", compress(&top, Codec::Gzip(GzipLevel::default())));
    let on_disk = OnDisk::new("before-the-list", &archive.bytes());

    let layout = on_disk.open("", ":app:v2").unwrap();
    assert_eq!(layout.location().transport, Transport::DockerArchive);
    assert_eq!(read(&layout).unwrap()[0], base);
    let image = layout.image(None).unwrap();
    let expected = json!({
        "created": "2014-06-09T00:00:00Z", "author": "A", "architecture": "amd64", "os": "linux",
        "config": {"Env": ["A=b"], "Labels": null}, "container_config": {"Cmd": ["/bin/sh", "-c", "second"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&base), Digest::of(&top)]},
        "history": [
            {"created": "2014-06-09T00:00:00Z", "author": "A", "created_by": "/bin/sh -c first"},
            {"created": "2014-06-09T00:00:00Z", "author": "A", "created_by": "/bin/sh -c second"},
        ],
    });
    assert_eq!(serde_json::from_slice::<Value>(image.config.raw()).unwrap(), expected);
    assert_eq!(read(&on_disk.open("docker-archive:", ":base").unwrap()).unwrap(), from_ref(&base));

    let list = |id: &str| Archive::default().json("repositories", &json!({"app": {"v1": id}}));
    assert_refused("before-the-list", list("1"), "`1/json` is missing");
    assert_refused("before-the-list", list("1").json("1/json", &document("1", None, "x")), "`1/layer.tar` is missing");
    let circle =
        list("1").json("1/json", &document("1", Some("2"), "x")).json("2/json", &document("2", Some("1"), "x"));
    assert_refused("before-the-list", circle, "the layer `1` is among its own parents");
}

#[test]
fn a_bare_path_is_what_it_holds_and_a_transport_is_meant() {
    let docker = simple().bytes();
    let empty_layout = |archive: Archive| {
        archive
            .json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))
            .json("index.json", &json!({"schemaVersion": 2, "manifests": []}))
    };
    let oci = empty_layout(Archive::default()).bytes();
    let dual = empty_layout(simple()).bytes();
    let (as_oci, as_docker) = (Some(Transport::OciArchive), Some(Transport::DockerArchive));
    for (bytes, transport, expected) in [
        (&docker, "", as_docker),
        (&docker, "docker-archive:", as_docker),
        (&docker, "oci-archive:", None),
        (&oci, "", as_oci),
        (&oci, "oci-archive:", as_oci),
        (&oci, "docker-archive:", None),
        // Docker 25 has written an empty list beside its own.
        (&dual, "", as_docker),
        (&dual, "oci-archive:", as_oci),
        (&dual, "docker-archive:", as_docker),
        (&docker, "oci:", None),
    ] {
        let layout = OnDisk::new("bare-path", bytes).open(transport, "");
        let error = layout.as_ref().err().map(|error| (error.to_string(), error.hint().is_some()));
        let transport = layout.ok().map(|layout| layout.location().transport);
        assert_eq!(transport, expected, "{error:?}");
        assert_ne!(error.map(|(_, hint)| hint), Some(false), "what to write instead is told");
    }
}

#[test]
fn archives_compressed_as_a_whole_are_read_as_they_are() {
    let archive = simple().bytes();
    let bzip2 = {
        let mut bytes = Vec::new();
        bzip2::read::BzEncoder::new(archive.as_slice(), bzip2::Compression::fast()).read_to_end(&mut bytes).unwrap();
        bytes
    };
    for bytes in [
        compress(&archive, Codec::Gzip(GzipLevel::default())),
        compress(&archive, Codec::Zstd(ZstdLevel::default())),
        compress(&archive, Codec::Xz(XzLevel::default())),
        bzip2,
    ] {
        let on_disk = OnDisk::new("compressed-as-a-whole", &bytes);
        for transport in ["", "docker-archive:"] {
            assert_eq!(read(&on_disk.open(transport, ":app:v1").unwrap()).unwrap(), [layer("a")]);
        }
    }
}

/// Whatever is printed of a location can be typed.
#[test]
fn slashes_before_a_path_are_no_scheme() {
    for (text, printed) in [("//oc", "oci:/oc"), ("///oc:v1", "oci:/oc:v1"), ("/oc", "oci:/oc"), ("oc", "oci:oc")] {
        let location = Location::parse(OsStr::new(text)).unwrap();
        assert_eq!(location.to_string(), printed);
        let again = Location::parse(OsStr::new(printed)).unwrap();
        assert_eq!((again.path, again.name), (location.path, location.name));
    }
}
