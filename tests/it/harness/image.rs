//! Images read without the tool under test: JSON, SHA-256 and decompression from crates, tar from Python.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::peer::output;
use super::{File, Listing, Node, Peer, What};

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A layout directory.
pub(crate) struct Layout(PathBuf);

/// One image of a layout, its documents checked against their descriptors.
pub(crate) struct Image {
    layout: Layout,
    pub(crate) descriptor: Value,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
}

impl Layout {
    /// Checks the marker.
    pub(crate) fn at(path: &Path) -> Self {
        let marker = fs::read(path.join("oci-layout")).expect("the file `oci-layout`");
        let marker: Value = serde_json::from_slice(&marker).expect("JSON");
        assert_eq!(marker, serde_json::json!({"imageLayoutVersion": "1.0.0"}));
        Layout(path.to_path_buf())
    }

    pub(crate) fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.join("index.json")).unwrap()).expect("index.json is JSON")
    }

    /// Digests by ref name; fails if a name is repeated.
    pub(crate) fn refs(&self) -> BTreeMap<String, String> {
        let mut refs = BTreeMap::new();
        for descriptor in self.index()["manifests"].as_array().expect("manifests") {
            if let Some(name) = descriptor["annotations"]["org.opencontainers.image.ref.name"].as_str() {
                let twice = refs.insert(name.to_owned(), text(&descriptor["digest"]));
                assert_eq!(twice, None, "`{name}` stands twice in the index");
            }
        }
        refs
    }

    /// The image that `latest` names.
    pub(crate) fn latest(self) -> Image {
        self.image("latest")
    }

    pub(crate) fn image(self, name: &str) -> Image {
        let index = self.index();
        let is_named = |descriptor: &&Value| descriptor["annotations"]["org.opencontainers.image.ref.name"] == name;
        let descriptor = index["manifests"].as_array().expect("manifests").iter().find(is_named);
        let descriptor = descriptor.unwrap_or_else(|| panic!("no `{name}` in {index:#}")).clone();
        let manifest = serde_json::from_slice(&self.blob(&descriptor)).expect("the manifest is JSON");
        let config = |manifest: &Value| serde_json::from_slice(&self.blob(&manifest["config"])).expect("JSON");
        Image { config: config(&manifest), manifest, descriptor, layout: self }
    }

    /// A blob, checked against its descriptor.
    pub(crate) fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = text(&descriptor["digest"]);
        let bytes = fs::read(self.0.join("blobs").join(digest.replace(':', "/")))
            .unwrap_or_else(|error| panic!("blob {digest}: {error}"));
        assert_eq!(format!("sha256:{}", sha256(&bytes)), digest);
        assert_eq!(Some(bytes.len() as u64), descriptor["size"].as_u64(), "size of {digest}");
        bytes
    }
}

impl Image {
    pub(crate) fn digest(&self) -> String {
        text(&self.descriptor["digest"])
    }

    pub(crate) fn diff_id(&self) -> String {
        text(&self.config["rootfs"]["diff_ids"][0])
    }

    /// The digests of the layers' blobs, the base's first.
    pub(crate) fn layers(&self) -> Vec<String> {
        self.manifest["layers"].as_array().expect("layers").iter().map(|layer| text(&layer["digest"])).collect()
    }

    /// The names of the members of the last layer, in the order of its tar.
    pub(crate) fn last_layer_names(&self) -> Vec<String> {
        let layer = self.manifest["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
        let tar = unpack_blob(&text(&layer["mediaType"]), &self.layout.blob(layer));
        let mut archive = tar::Archive::new(tar.as_slice());
        let name = |entry: std::io::Result<tar::Entry<'_, _>>| {
            String::from_utf8(entry.unwrap().path_bytes().into_owned()).expect("a name in UTF-8")
        };
        archive.entries().unwrap().map(name).collect()
    }

    /// The name of each layer in the plan of the image, and its members with their times, in the order of its tar.
    pub(crate) fn named_layers(&self) -> Vec<(String, Vec<(String, u64)>)> {
        let layers = self.manifest["layers"].as_array().expect("layers").iter();
        let named = layers.map(|layer| {
            let tar = unpack_blob(&text(&layer["mediaType"]), &self.layout.blob(layer));
            let mut archive = tar::Archive::new(tar.as_slice());
            let member = |entry: std::io::Result<tar::Entry<'_, _>>| {
                let entry = entry.unwrap();
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                (name, entry.header().mtime().expect("a time"))
            };
            let name = layer["annotations"]["io.github.ocibake.layer"].as_str().unwrap_or_default();
            (name.to_owned(), archive.entries().unwrap().map(member).collect())
        });
        named.collect()
    }

    /// The bytes of the only layer's blob.
    pub(crate) fn layer_blob(&self) -> Vec<u8> {
        assert_eq!(self.manifest["layers"].as_array().map(Vec::len), Some(1), "{:#}", self.manifest);
        self.layout.blob(&self.manifest["layers"][0])
    }

    /// The tar of the only layer, checked against its `diff_id`.
    pub(crate) fn stream(&self) -> Vec<u8> {
        let tar = unpack_blob(&text(&self.manifest["layers"][0]["mediaType"]), &self.layer_blob());
        assert_eq!(format!("sha256:{}", sha256(&tar)), self.diff_id());
        tar
    }

    /// Where the blob of the only layer is.
    pub(crate) fn layer_path(&self) -> PathBuf {
        self.layout.0.join("blobs").join(text(&self.manifest["layers"][0]["digest"]).replace(':', "/"))
    }

    /// The content of the only layer, read by Python's tarfile, an independent reader.
    pub(crate) fn listing(&self, python: &Peer) -> Listing {
        list_tar(python, &self.layout.0, &self.stream())
    }
}

/// The tar in a layer's blob. A gzip member after the first, which some consumers would not see, is a failure.
fn unpack_blob(media_type: &str, blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match media_type.strip_prefix("application/vnd.oci.image.layer.v1.tar") {
        Some("") => tar.extend_from_slice(blob),
        Some("+gzip") => {
            let mut rest = blob;
            flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut tar).expect("gzip");
            assert!(rest.is_empty(), "{} bytes after the first gzip member", rest.len());
        }
        Some("+zstd") => tar = zstd::decode_all(blob).expect("zstd"),
        _ => panic!("media type {media_type}"),
    }
    tar
}

fn list_tar(python: &Peer, scratch: &Path, tar: &[u8]) -> Listing {
    let path = scratch.with_extension("layer.tar");
    fs::write(&path, tar).unwrap();
    let mut command = python.command();
    command.arg("-c").arg(include_str!("tar_listing.py")).arg(&path);
    let listing: Vec<Value> = serde_json::from_slice(&output(command)).unwrap();
    fs::remove_file(&path).unwrap();

    let mut nodes = Listing::new();
    for entry in &listing {
        let number = |member: &str| entry[member].as_i64().unwrap_or_else(|| panic!("{member} of {entry}"));
        let id = |member: &str| u32::try_from(number(member)).unwrap();
        let first = || PathBuf::from(OsString::from_vec(unhex(&entry["link"])));
        let what = match entry["kind"].as_str().unwrap() {
            "d" => What::Directory,
            "f" => What::File(File { size: entry["size"].as_u64().unwrap(), sha256: text(&entry["sha256"]) }),
            "l" => What::Symlink(unhex(&entry["link"])),
            "h" => What::Hardlink(first()),
            "c" => What::CharDevice(id("major"), id("minor")),
            "b" => What::BlockDevice(id("major"), id("minor")),
            "p" => What::Fifo,
            kind => panic!("kind {kind}"),
        };
        let xattrs = entry["xattrs"].as_object().unwrap().iter();
        let node = Node {
            what,
            mode: id("mode"),
            uid: id("uid"),
            gid: id("gid"),
            mtime: number("mtime"),
            xattrs: xattrs.map(|(name, value)| (unhex(&Value::from(name.as_str())), unhex(value))).collect(),
        };
        let path = PathBuf::from(OsString::from_vec(unhex(&entry["path"])));
        let twice = nodes.insert(path, node);
        assert_eq!(twice, None, "a path stands twice in the layer: {entry}");
    }
    nodes
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().expect("hex");
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string expected, found {value}")).to_owned()
}
