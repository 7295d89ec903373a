//! Archives of several images, which no single build writes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::num::NonZeroUsize;

use serde_json::{json, Value};

use super::DockerForm;
use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{Checksum, Layout, Location, Transaction};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor, Document, Index, Manifest};
use crate::testing::TempDir;
use crate::work::{Silent, Work};

/// An archive being made, and its location.
struct Making {
    home: TempDir,
    target: Transaction,
    listed: Vec<Descriptor>,
}

/// The members of an archive: the content of files, the targets of links.
type Members = BTreeMap<String, Vec<u8>>;

impl Making {
    fn new(test: &str, form: DockerForm) -> Self {
        Making::within(test, form, Limits::default())
    }

    fn within(test: &str, form: DockerForm, limits: Limits) -> Self {
        let home = TempDir::new(test);
        let target = format!("docker-archive:{}", home.path().join("image.tar").display());
        let location = Location::parse(OsStr::new(&target)).unwrap();
        let target = Transaction::create(&location, form, Checksum::None, limits).unwrap();
        Making { home, target, listed: Vec::new() }
    }

    fn blob(&mut self, bytes: &[u8], media_type: MediaType) -> Descriptor {
        let (mut file, place) = self.target.stage().blob_file().unwrap();
        file.write_all(bytes).unwrap();
        let digest = Digest::of(bytes);
        self.target.stage_mut().adopt(&place, &digest, bytes.len() as u64).unwrap();
        Descriptor::new(media_type, digest, bytes.len() as u64)
    }

    /// Makes an image for a platform from plain layers.
    fn image(&mut self, architecture: &str, layers: &[&str]) -> Descriptor {
        let layers: Vec<Descriptor> =
            layers.iter().map(|layer| self.blob(layer.as_bytes(), MediaType::LAYER)).collect();
        let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
        let config = json!({"architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob(config.to_string().as_bytes(), MediaType::CONFIG);
        self.target.stage_mut().put(&Document::seal(Manifest::new(config, layers)), MediaType::MANIFEST).unwrap()
    }

    fn index(&mut self, manifests: Vec<Descriptor>) -> Descriptor {
        self.target.stage_mut().put(&Document::seal(Index { manifests, ..Index::default() }), MediaType::INDEX).unwrap()
    }

    fn list(&mut self, descriptor: &Descriptor, annotations: &[(&str, &str)]) {
        let annotations: Annotations =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
        self.listed.push(Descriptor { annotations, ..descriptor.clone() });
    }

    /// Returns the archive and its members.
    fn made(self) -> Result<(TempDir, Members)> {
        let mut listed = self.listed.into_iter();
        self.target.commit(&Work::new(NonZeroUsize::MIN, &Silent), |draft| {
            listed.try_for_each(|descriptor| draft.list(descriptor))
        })?;
        let bytes = fs::read(self.home.path().join("image.tar")).unwrap();
        let mut members = Members::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let content = entry.link_name_bytes().map_or(content, |link| link.to_vec());
            assert_eq!(members.insert(name.clone(), content), None, "{name} twice");
        }
        Ok((self.home, members))
    }
}

fn document(members: &Members, name: &str) -> Value {
    serde_json::from_slice(&members[name]).unwrap()
}

fn repo_tags(members: &Members) -> Vec<Value> {
    let items = document(members, "manifest.json");
    items.as_array().unwrap().iter().map(|item| item["RepoTags"].clone()).collect()
}

/// Ref name and containerd name of each entry of the index.
fn index_names(members: &Members) -> Vec<(String, String)> {
    let index = document(members, "index.json");
    let text = |entry: &Value, key: &str| entry["annotations"][key].as_str().unwrap_or("").to_owned();
    let entries = index["manifests"].as_array().unwrap().iter();
    entries.map(|entry| (text(entry, REF_NAME), text(entry, CONTAINERD_NAME))).collect()
}

#[test]
fn images_share_layers_and_keep_their_names() {
    for form in [DockerForm::Dual, DockerForm::LegacyOnly] {
        let mut making = Making::new("shared-layers", form);
        let one = making.image("amd64", &["base", "one"]);
        let two = making.image("amd64", &["base", "two"]);
        making.list(&one, &[(CONTAINERD_NAME, "docker.io/library/app:v1")]);
        making.list(&two, &[(CONTAINERD_NAME, "reg:5000/other:v1"), (REF_NAME, "v1")]);
        making.list(&one, &[(REF_NAME, "docker.io/library/app:v2")]);
        making.list(&one, &[(REF_NAME, "stable")]);
        let (home, members) = making.made().unwrap();

        assert_eq!(repo_tags(&members), [json!(["app:v1", "docker.io/library/app:v2"]), json!(["reg:5000/other:v1"])]);
        let held = members.values().filter(|content| *content == b"base").count();
        assert_eq!(held, 1, "{form:?}");
        let documents = members.keys().filter(|name| name.ends_with("/json")).count();
        assert_eq!(documents, 3, "the base layer's document is both images'");
        let items = document(&members, "manifest.json");
        assert_eq!(items[0]["Layers"][0], items[1]["Layers"][0]);
        if form == DockerForm::Dual {
            let expected = [
                // `v1` alone would mean two images.
                ("app:v1", "docker.io/library/app:v1"),
                ("reg:5000/other:v1", "reg:5000/other:v1"),
                ("v2", "docker.io/library/app:v2"),
                ("stable", ""),
            ];
            let expected = expected.map(|(name, whole)| (name.to_owned(), whole.to_owned()));
            assert_eq!(index_names(&members), expected);
        }
        for (name, layer) in [("app:v1", "one"), ("app:v2", "one"), ("reg:5000/other:v1", "two")] {
            let archive = format!("docker-archive:{}:{name}", home.path().join("image.tar").display());
            let layout = Layout::open(&Location::parse(OsStr::new(&archive)).unwrap(), Limits::default()).unwrap();
            let image = layout.image(None).unwrap();
            let mut content = String::new();
            layout.blob(&image.manifest.value().layers[1]).unwrap().read_to_string(&mut content).unwrap();
            assert_eq!(content, layer);
        }
    }
}

#[test]
fn one_repository_has_its_tags_together() {
    let mut making = Making::new("repositories", DockerForm::Dual);
    let (one, two, empty) =
        (making.image("amd64", &["one"]), making.image("amd64", &["two"]), making.image("amd64", &[]));
    making.list(&one, &[(CONTAINERD_NAME, "reg:5000/app:v1")]);
    making.list(&two, &[(CONTAINERD_NAME, "reg:5000/app:v2")]);
    making.list(&empty, &[(CONTAINERD_NAME, "reg:5000/app:v0")]);
    let (_home, members) = making.made().unwrap();
    let repositories = document(&members, "repositories");
    let tags: Vec<_> = repositories["reg:5000/app"].as_object().unwrap().iter().collect();
    assert_eq!(repositories.as_object().unwrap().len(), 1);
    assert_eq!(tags.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["v1", "v2"]);
    for (_, id) in tags {
        assert!(members.contains_key(&format!("{}/layer.tar", id.as_str().unwrap())));
    }
    assert_eq!(repo_tags(&members).len(), 3);
}

#[test]
fn a_name_that_is_spelt_twice_is_there_once_and_not_for_two_images() {
    let mut making = Making::new("one-name", DockerForm::Dual);
    let (one, two) = (making.image("amd64", &["one"]), making.image("amd64", &["two"]));
    making.list(&one, &[(REF_NAME, "app:v1")]);
    making.list(&one, &[(CONTAINERD_NAME, "docker.io/library/app:v1")]);
    let (_home, members) = making.made().unwrap();
    assert_eq!(repo_tags(&members), [json!(["app:v1"])]);
    assert_eq!(document(&members, "index.json")["manifests"].as_array().unwrap().len(), 1);

    let mut making = Making::new("two-of-a-name", DockerForm::Dual);
    let (one, other) = (making.image("amd64", &["one"]), making.image("amd64", &["two"]));
    assert_eq!(other.digest, two.digest);
    making.list(&one, &[(REF_NAME, "app:v1")]);
    making.list(&two, &[(CONTAINERD_NAME, "docker.io/library/app:v1")]);
    let error = making.made().map(drop).unwrap_err().to_string();
    assert!(error.contains(one.digest.as_str()) && error.contains(two.digest.as_str()), "{error}");
}

#[test]
fn of_several_platforms_the_first_has_the_name() {
    let mut making = Making::new("platforms", DockerForm::Dual);
    let (one, two) = (making.image("arm64", &["one"]), making.image("amd64", &["two"]));
    let index = making.index(vec![one, two.clone()]);
    making.list(&index, &[(CONTAINERD_NAME, "docker.io/library/app:v1")]);
    making.list(&two, &[(CONTAINERD_NAME, "docker.io/library/app:v1-amd64")]);
    let (_home, members) = making.made().unwrap();
    assert_eq!(repo_tags(&members), [json!(["app:v1"]), json!(["app:v1-amd64"])]);
    let entries = document(&members, "index.json");
    assert_eq!(entries["manifests"][0]["digest"], json!(index.digest));
    assert_eq!(entries["manifests"][0]["annotations"][REF_NAME], "v1");
}

#[test]
fn what_docker_cannot_hold_is_refused() {
    let refused = |fill: &dyn Fn(&mut Making)| {
        let mut making = Making::new("refused", DockerForm::Dual);
        fill(&mut making);
        making.made().map(drop).unwrap_err().to_string()
    };
    let artifact = |making: &mut Making| {
        let empty = making.blob(b"{}", MediaType::EMPTY);
        let manifest = Manifest::new(empty, Vec::new());
        let descriptor = making.target.stage_mut().put(&Document::seal(manifest), MediaType::MANIFEST).unwrap();
        making.list(&descriptor, &[]);
    };
    assert!(refused(&|_| {}).contains("there is none"));
    assert!(refused(&artifact).contains("there is none"));
    for (layers, expected) in [
        (vec![MediaType::from("text/plain".to_owned())], "there is none"),
        (vec![], "0 diff_ids expected, one for each layer, found 1"),
    ] {
        let error = refused(&|making| {
            let layers = layers.iter().map(|media_type| making.blob(b"x", media_type.clone())).collect();
            let config = json!({"architecture": "amd64", "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"x")]}});
            let config = making.blob(config.to_string().as_bytes(), MediaType::CONFIG);
            let manifest = Document::seal(Manifest::new(config, layers));
            let descriptor = making.target.stage_mut().put(&manifest, MediaType::MANIFEST).unwrap();
            making.list(&descriptor, &[]);
        });
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_layer_that_is_not_its_diff_id_is_found_out() {
    let mut making = Making::new("wrong-diff-id", DockerForm::LegacyOnly);
    let layer = making.blob(b"x", MediaType::LAYER);
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"y")]}});
    let config = making.blob(config.to_string().as_bytes(), MediaType::CONFIG);
    let manifest = Document::seal(Manifest::new(config, vec![layer]));
    let descriptor = making.target.stage_mut().put(&manifest, MediaType::MANIFEST).unwrap();
    making.list(&descriptor, &[]);
    let error = making.made().map(drop).unwrap_err().to_string();
    assert!(error.contains("diff_id should be"), "{error}");
}

/// What is written can be read again, also by the other verbs: they know one limit.
#[test]
fn a_list_that_is_too_large_to_be_read_again_is_not_written() {
    let limits = Limits { document: 1 << 20, ..Limits::default() };
    let mut making = Making::within("docker-long-list", DockerForm::Dual, limits);
    let image = making.image("amd64", &["layer"]);
    let repository = "r".repeat(230);
    for number in 0..4_600 {
        making.list(&image, &[(CONTAINERD_NAME, &format!("docker.io/library/{repository}:{number}"))]);
    }
    let error = making.made().err().expect("a refusal").to_string();
    assert!(error.contains("`manifest.json` of 1 MiB at most can be read again, found 1"), "{error}");
}
