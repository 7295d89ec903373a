//! What is on disk in the end is what [`Fold`] says of the same layers, and nothing outside of it was touched.

use std::fs;
use std::io;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use super::disk::Disk;
use super::Rights;
use crate::error::Result;
use crate::layer::{Fold, Folded};
use crate::testing::TempDir;
use crate::tree::{self, Entry, Kind, Metadata, OwnerPolicy, ScanPolicy, TarPath, Tree, Whiteout};
use crate::work::Silent;

/// The tree's directory with another beside it, which nothing may touch.
struct Inode {
    directory: TempDir,
    outside: (Vec<u8>, i64),
}

impl Inode {
    fn new(name: &str) -> Self {
        let directory = TempDir::new(name);
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/a"), "untouched").unwrap();
        let outside = Inode::look_outside(&directory);
        Inode { directory, outside }
    }

    fn look_outside(directory: &TempDir) -> (Vec<u8>, i64) {
        let outside = directory.path().join("outside");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        let metadata = outside.join("a").symlink_metadata().unwrap();
        assert_eq!(metadata.nlink(), 1);
        let changed = metadata.ctime_nsec() + outside.symlink_metadata().unwrap().ctime_nsec();
        (fs::read(outside.join("a")).unwrap(), changed)
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Puts layers on disk. Every regular file holds the numbers of its layer and member.
    fn unpack(&self, layers: &[Vec<Entry>]) -> Result<Disk> {
        let unpacked = self.unpack_somewhere(layers);
        assert_eq!(Inode::look_outside(&self.directory), self.outside);
        unpacked
    }

    fn unpack_somewhere(&self, layers: &[Vec<Entry>]) -> Result<Disk> {
        let mut disk = Disk::create(self.root(), "shown".into(), Rights::Rootless)?;
        for (number, layer) in layers.iter().enumerate() {
            disk.begin_layer();
            for (member, entry) in layer.iter().enumerate() {
                match Whiteout::of(&entry.path)? {
                    Whiteout::None => {
                        let content = content(number, member);
                        disk.put(entry.clone(), &mut content.as_bytes(), "test")?;
                    }
                    whiteout => disk.hide(&whiteout)?,
                }
            }
        }
        disk.close_directories(&Silent)?;
        Ok(disk)
    }

    /// What is on disk. Owners are made the same for every user who runs the tests.
    fn scan(&self) -> Tree {
        let mut tree = tree::scan(&self.root(), &ScanPolicy::default(), &Silent).unwrap().tree;
        OwnerPolicy::Fixed { uid: 0, gid: 0 }.apply(&mut tree).unwrap();
        tree
    }
}

/// Content of a fixed length, which is what the entries say.
fn content(layer: usize, member: usize) -> String {
    format!("{layer:03}/{member:03}")
}

fn path(text: &str) -> TarPath {
    TarPath::parse(text.as_bytes()).unwrap()
}

/// `dir/`, `link->target`, `hard=>target`, `pipe|`, and files and markers by their names.
fn member(text: &str) -> Entry {
    let (name, kind, mode) = if let Some(name) = text.strip_suffix('/') {
        (name, Kind::Directory, 0o750)
    } else if let Some((name, target)) = text.split_once("=>") {
        (name, Kind::Hardlink { target: path(target).into() }, 0o644)
    } else if let Some((name, target)) = text.split_once("->") {
        (name, Kind::Symlink { target: target.as_bytes().into() }, 0o777)
    } else if let Some(name) = text.strip_suffix('|') {
        (name, Kind::Fifo, 0o640)
    } else {
        (text, Kind::File { size: 7 }, 0o644)
    };
    Entry { path: path(name), metadata: Metadata { mode, mtime: 1_000_000_000.into(), ..Metadata::default() }, kind }
}

fn layers(texts: &[&[&str]]) -> Vec<Vec<Entry>> {
    texts.iter().map(|layer| layer.iter().map(|text| member(text)).collect()).collect()
}

fn shown(tree: &Tree) -> Vec<String> {
    let show = |entry: &Entry| {
        let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        match &entry.kind {
            Kind::Directory => format!("{name}/"),
            Kind::Symlink { target } => format!("{name}->{}", String::from_utf8_lossy(target)),
            Kind::Hardlink { target } => format!("{name}=>{}", String::from_utf8_lossy(target.as_bytes())),
            Kind::Fifo => format!("{name}|"),
            _ => name,
        }
    };
    tree.iter().filter(|entry| !entry.path.is_root()).map(show).collect()
}

#[test]
fn no_name_leads_through_a_link() {
    for (number, (what, texts, expected)) in [
        ("an absolute link as parent", &[&["a->{}/outside", "a/b"][..]][..], &["a/", "a/b"][..]),
        ("a relative one", &[&["a->../outside", "a/a"]], &["a/", "a/a"]),
        ("of a lower layer", &[&["a->{}/outside"], &["a/a"]], &["a/", "a/a"]),
        ("two of them", &[&["a->..", "b->a/outside", "b/a"]], &["a->..", "b/", "b/a"]),
        ("a link replaced by a file", &[&["a->{}/outside/a", "a"]], &["a"]),
        ("by a directory", &[&["a->{}/outside", "a/"]], &["a/"]),
        ("by a pipe", &[&["a->{}/outside", "a|"]], &["a|"]),
        ("a hard link to a link", &[&["a->{}/outside/a", "b=>a"]], &["a->{}/outside/a", "b=>a"]),
        ("and a file over one of them", &[&["a->{}/outside/a", "b=>a", "b"]], &["a->{}/outside/a", "b"]),
        ("a whiteout through a link", &[&["a->{}/outside"], &["a/.wh.a"]], &["a->{}/outside"]),
        ("an opaque one", &[&["a->{}/outside"], &["a/.wh..wh..opq"]], &["a->{}/outside"]),
        ("a whiteout of a link", &[&["a->{}/outside"], &[".wh.a"]], &[]),
        ("a directory with a link in it, removed", &[&["d/", "d/a->{}/outside"], &[".wh.d"]], &[]),
        ("a file in place of a parent", &[&["a", "a/b/c"]], &["a/", "a/b/", "a/b/c"]),
        ("a pipe in place of a parent", &[&["a|"], &["a/b"]], &["a/", "a/b"]),
    ]
    .into_iter()
    .enumerate()
    {
        let place = Inode::new(&format!("unpack-links-{number}"));
        let here = place.directory.path().to_str().unwrap().to_owned();
        let texts: Vec<Vec<String>> =
            texts.iter().map(|layer| layer.iter().map(|text| text.replace("{}", &here)).collect()).collect();
        let layers: Vec<Vec<Entry>> =
            texts.iter().map(|layer| layer.iter().map(|text| member(text)).collect()).collect();
        place.unpack(&layers).unwrap_or_else(|error| panic!("{what}: {error}"));
        let expected: Vec<String> = expected.iter().map(|text| text.replace("{}", &here)).collect();
        assert_eq!(shown(&place.scan()), expected, "{what}");
    }
}

#[test]
fn hard_links_name_what_is_in_the_tree() {
    for (number, (texts, expected)) in [
        (&[&["a=>b"][..]][..], "hard link `/a`: a file at `/b` expected, found nothing"),
        (&[&["d/", "a=>d"]], "hard link `/a`: a file at `/d` expected, found a directory"),
        (&[&["a->../outside", "b=>a/a"]], "hard link `/b`: a file at `/a/a` expected, found nothing"),
        (&[&["b=>../outside/a"]], ""),
        (&[&["a=>a"]], "hard link `/a`: a file at `/a` expected, found nothing"),
        (&[&["a"], &[".wh.a", "b=>a"]], "hard link `/b`: a file at `/a` expected, found nothing"),
        (&[&["d/a"], &[".wh.d", "b=>d/a"]], "hard link `/b`: a file at `/d/a` expected, found nothing"),
        (&[&["d/a"], &["d", "b=>d/a", ".wh.d"]], "hard link `/b`: a file at `/d/a` expected, found nothing"),
        (&[&["f", "f/x=>f"]], "hard link `/f/x`: a file at `/f` expected, found a directory"),
    ]
    .into_iter()
    .enumerate()
    {
        if expected.is_empty() {
            assert!(TarPath::parse(b"../outside/a").is_err(), "the tar reader refuses it");
            continue;
        }
        let place = Inode::new(&format!("unpack-hard-{number}"));
        assert_eq!(place.unpack(&layers(texts)).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_filesystem_that_takes_two_names_for_one_is_not_followed() {
    let place = Inode::new("unpack-foreign");
    let mut disk = Disk::create(place.root(), "shown".into(), Rights::Rootless).unwrap();
    disk.begin_layer();
    // As if the filesystem also knew `D`, which the layer made, by the name `d`.
    symlink("../outside", place.root().join("d")).unwrap();
    for (text, expected) in [
        ("d/a", "cannot create the directory `shown/d`: File exists"),
        ("d", "cannot create `shown/d`: File exists"),
        ("d->x", "cannot create the link `shown/d`: File exists"),
        ("d|", "cannot create the pipe `shown/d`: File exists"),
    ] {
        let put = disk.put(member(text), &mut io::empty(), "test");
        assert_eq!(put.unwrap_err().to_string(), expected, "{text}");
    }
    Inode::look_outside(&place.directory);
}

#[test]
fn no_path_is_too_deep() {
    let place = Inode::new("unpack-deep");
    let long = "n".repeat(255);
    let deep = vec![long.as_str(); 200].join("/");
    let texts = [format!("{deep}/a"), format!("{deep}/b=>{deep}/a"), format!("{deep}/c->x"), "e".to_owned()];
    let layer: Vec<&str> = texts.iter().map(String::as_str).collect();
    let parent = format!("{long}/{long}/.wh.{long}");
    place.unpack(&layers(&[&layer, &["f"]])).unwrap();
    let tree = place.scan();
    assert_eq!(tree.len(), 1 + 200 + 3 + 2);
    let kind = &tree.get(&path(&texts[0])).unwrap().kind;
    assert_eq!(kind, &Kind::File { size: 7 });
    // Removing is by directories, too; the first place is removed with its test.
    drop(place);
    let place = Inode::new("unpack-deep-removed");
    place.unpack(&layers(&[&layer, &[&parent.replace(".wh.", "").replace(&long, "m")]])).unwrap();
    assert_eq!(place.scan().len(), 1 + 200 + 3 + 1 + 3);
}

#[test]
fn files_of_the_tree_are_found_as_a_process_inside_would_find_them() {
    let place = Inode::new("unpack-open");
    let texts: &[&[&str]] = &[&[
        "etc/passwd",
        "etc/absolute->/etc/passwd",
        "etc/relative->../../../../etc/./passwd",
        "etc/twice->absolute",
        "usr/etc->../etc",
        "etc/itself->itself",
        "etc/nothing->passed",
        "etc/below->passwd/x",
        "etc/slash->passwd/",
        "etc/outside->/../outside/a",
        "pipe|",
    ]];
    let mut disk = place.unpack(&layers(texts)).unwrap();
    for (name, found) in [
        ("etc/passwd", true),
        ("etc/absolute", true),
        ("etc/relative", true),
        ("etc/twice", true),
        ("usr/etc/twice", true),
        ("etc/itself", false),
        ("etc/nothing", false),
        ("etc/below", false),
        ("etc/slash", false),
        ("etc/outside", false),
        ("etc", false),
        ("pipe", false),
    ] {
        assert_eq!(disk.open(&path(name)).unwrap().is_some(), found, "{name}");
    }
}

/// A few names that often meet each other.
fn names() -> impl Strategy<Value = String> {
    vec(prop_oneof!["a", "b", "c"], 1..4).prop_map(|components| components.join("/"))
}

fn members() -> impl Strategy<Value = Entry> {
    let target = prop_oneof!["a", "b/c", "/b", "\\.\\./outside", "\\.\\."];
    let text = prop_oneof![
        3 => names().prop_map(|name| format!("{name}/")),
        4 => names(),
        2 => (names(), target).prop_map(|(name, target)| format!("{name}->{target}")),
        3 => (names(), names()).prop_map(|(name, target)| format!("{name}=>{target}")),
        1 => names().prop_map(|name| format!("{name}|")),
        2 => names().prop_map(|name| {
            let (directory, name) = name.rsplit_once('/').unwrap_or(("", &name));
            format!("{directory}/.wh.{name}")
        }),
        1 => names().prop_map(|name| format!("{name}/.wh..wh..opq")),
        1 => Just(".wh..wh..opq".to_owned()),
        1 => Just("/".to_owned()),
    ];
    (text, 0..4_i64, 0..4_u16).prop_map(|(text, time, mode)| {
        let mut entry = member(&text);
        entry.metadata.mtime = (entry.metadata.mtime.seconds() + time).into();
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            entry.metadata.mode += mode;
        }
        entry
    })
}

fn folded(layers: &[Vec<Entry>]) -> Result<Folded> {
    let mut fold = Fold::new();
    layers.iter().try_for_each(|layer| fold.apply(layer.clone()))?;
    Ok(fold.finish())
}

/// Removes the hard links that are errors: they would end most cases.
fn without_bad_links(layers: Vec<Vec<Entry>>) -> Vec<Vec<Entry>> {
    let mut good = Vec::new();
    for layer in layers {
        good.push(layer);
        while let Err(error) = folded(&good) {
            let error = error.to_string();
            let link = error.split('`').nth(1).unwrap();
            let is_bad = |entry: &Entry| matches!(entry.kind, Kind::Hardlink { .. }) && entry.path.to_string() == link;
            let layer = good.last_mut().unwrap();
            let bad = layer.iter().position(is_bad).unwrap();
            layer.remove(bad);
        }
    }
    good
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_on_disk_are_the_tree_that_they_fold_to(layers in vec(vec(members(), 0..12), 1..4)) {
        let layers = without_bad_links(layers);
        let mut expected = folded(&layers).unwrap();
        if expected.tree.is_empty() {
            // On disk there is always a root.
            expected.tree.insert(Entry {
                path: TarPath::root(),
                metadata: Metadata::of_missing_directory(0),
                kind: Kind::Directory,
            });
        }
        let place = Inode::new("unpack-fold");
        let disk = place.unpack(&layers).unwrap();
        prop_assert_eq!(&place.scan(), &expected.tree);
        prop_assert_eq!(disk.entries(), expected.tree.len());
        for (path, origin) in &expected.origins {
            let text = fs::read_to_string(path.below(&place.root())).unwrap();
            prop_assert_eq!(text, content(origin.layer, origin.member));
        }
    }

    #[test]
    fn what_the_fold_refuses_is_refused(layers in vec(vec(members(), 0..12), 1..4)) {
        let unpacked = Inode::new("unpack-refused").unpack(&layers);
        prop_assert_eq!(unpacked.is_ok(), folded(&layers).is_ok());
    }
}
