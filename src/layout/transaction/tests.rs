//! What holds even after failures: targets, blobs and images are kept.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{flock, mknodat, FileType, FlockOperation, CWD};

use super::{commit_all, Checksum, Draft, Transaction};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{blob_path, DockerForm, Layout, Location, INDEX};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor, Document, Index, Manifest};
use crate::testing::TempDir;
use crate::work::{Observer, Work};

fn location(path: &Path) -> Location {
    Location::parse_target(path.as_os_str()).unwrap()
}

fn open(path: &Path) -> Transaction {
    open_within(path, Limits::default())
}

fn open_within(path: &Path, limits: Limits) -> Transaction {
    Transaction::create(&location(path), DockerForm::default(), Checksum::None, limits).unwrap()
}

fn edit(path: &Path) -> Transaction {
    Transaction::edit(&location(path), Limits::default()).unwrap()
}

/// Stores bytes as a blob, to be listed under a name on commit.
fn stage(transaction: &mut Transaction, bytes: &[u8]) -> Descriptor {
    transaction.stage_mut().put_blob(&mut &*bytes, MediaType::LAYER).unwrap()
}

fn list<'d>(descriptor: &'d Descriptor, name: &'d str) -> impl Fn(&mut Draft<'_>) -> Result<()> + 'd {
    move |draft| draft.list(descriptor.clone().with_ref_name(&name.parse().unwrap()))
}

fn put(path: &Path, bytes: &[u8], name: &str) {
    let mut transaction = open(path);
    let descriptor = stage(&mut transaction, bytes);
    transaction.commit(&Work::default(), list(&descriptor, name)).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let index = Layout::open(&location(path), Limits::default()).unwrap().index().unwrap().value().clone();
    index.manifests.iter().map(|entry| entry.ref_name().unwrap().to_owned()).collect()
}

fn blob(layout: &Path, bytes: &[u8]) -> PathBuf {
    layout.join(blob_path(&Digest::of(bytes)))
}

fn left_over(directory: &Path) -> usize {
    let is_staging = |name: &OsStr| name.to_string_lossy().contains("ocibake-");
    fs::read_dir(directory).unwrap().filter(|entry| is_staging(&entry.as_ref().unwrap().file_name())).count()
}

/// Something blocks the second of three targets at the last moment; the error tells the state of each.
#[test]
fn an_error_says_which_of_several_targets_are_new() {
    let home = TempDir::new("several-targets");
    let paths = ["one", "two.tar", "three"].map(|name| home.path().join(name));
    put(&paths[2], b"before", "before");
    let mut transactions: Vec<Transaction> = paths.iter().map(|path| open(path)).collect();
    let descriptors: Vec<_> = transactions.iter_mut().map(|transaction| stage(transaction, b"new")).collect();
    // An archive cannot be renamed to a directory.
    fs::create_dir(&paths[1]).unwrap();
    let error = commit_all(transactions, &Work::default(), list(&descriptors[0], "new")).unwrap_err().to_string();
    let [one, two, three] = ["one", "two.tar", "three"].map(|name| home.path().join(name).display().to_string());
    let told = format!("(new: `oci:{one}`, as it was: `oci-archive:{two}`, `oci:{three}`)");
    assert!(error.starts_with(&format!("cannot write `{two}`: ")) && error.ends_with(&told), "{error}");
    assert_eq!((names(&paths[0]), names(&paths[2])), (vec!["new".to_owned()], vec!["before".to_owned()]));
    assert_eq!((left_over(home.path()), left_over(&paths[2])), (0, 0));
}

#[test]
fn what_can_fail_fails_before_any_target_changes() {
    let home = TempDir::new("all-or-none");
    let paths = ["new", "there", "archive.tar"].map(|name| home.path().join(name));
    put(&paths[1], b"before", "before");
    let mut transactions: Vec<Transaction> = paths.iter().map(|path| open(path)).collect();
    let descriptors: Vec<_> = transactions.iter_mut().map(|transaction| stage(transaction, b"new")).collect();
    let change = |draft: &mut Draft<'_>| match draft.existing() {
        Some(_) => Err(Error::refused("no")),
        None => list(&descriptors[0], "new")(draft),
    };
    let error = commit_all(transactions, &Work::default(), change).unwrap_err();
    assert_eq!(error.to_string(), "no");
    assert!(paths[0].symlink_metadata().is_err() && paths[2].symlink_metadata().is_err());
    assert_eq!(names(&paths[1]), ["before"]);
    assert_eq!((left_over(home.path()), left_over(&paths[1])), (0, 0));
}

#[test]
fn a_blob_that_is_there_and_whole_stays_and_a_damaged_one_is_mended() {
    let home = TempDir::new("whole-blobs");
    let path = home.path().join("layout");
    put(&path, b"a layer", "one");
    let blob = blob(&path, b"a layer");
    let inode = || blob.metadata().unwrap().ino();
    let before = inode();
    put(&path, b"a layer", "two");
    assert_eq!((inode(), names(&path).len()), (before, 2), "it was replaced");

    for damage in [&b"b layer"[..], b"a lay", b""] {
        // As a separate file, so that a deployed hard link is not affected.
        fs::rename(&blob, home.path().join("deployed")).unwrap();
        fs::write(&blob, damage).unwrap();
        put(&path, b"a layer", "two");
        assert_eq!(fs::read(&blob).unwrap(), b"a layer");
    }
    assert_eq!(fs::read(home.path().join("deployed")).unwrap(), b"a layer");
}

#[test]
fn a_blob_that_was_collected_after_it_was_found_is_placed() {
    let home = TempDir::new("collected-blob");
    let path = home.path().join("layout");
    put(&path, b"a layer", "one");
    let mut transaction = open(&path);
    let descriptor = stage(&mut transaction, b"a layer");
    let change = |draft: &mut Draft<'_>| {
        fs::remove_file(blob(&path, b"a layer")).unwrap();
        list(&descriptor, "two")(draft)
    };
    transaction.commit(&Work::default(), change).unwrap();
    assert_eq!(fs::read(blob(&path, b"a layer")).unwrap(), b"a layer");
}

#[test]
fn who_comes_first_makes_the_layout_and_the_other_joins_it() {
    let home = TempDir::new("joined-layout");
    let path = home.path().join("layout");
    let mut late = open(&path);
    let descriptor = stage(&mut late, b"late");
    let calls = Cell::new(0);
    let change = |draft: &mut Draft<'_>| {
        // At the moment after the index of the new layout was made.
        if calls.replace(calls.get() + 1) == 0 {
            put(&path, b"early", "early");
        }
        list(&descriptor, "late")(draft)?;
        Ok(draft.existing().is_some())
    };
    assert!(late.commit(&Work::default(), change).unwrap(), "the last call counts");
    assert_eq!(calls.get(), 2);
    assert_eq!(names(&path), ["early", "late"]);
    assert!(blob(&path, b"early").is_file() && blob(&path, b"late").is_file());
    assert_eq!((left_over(home.path()), left_over(&path)), (0, 0));
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let limits = Limits { index: 2 << 20, document: 1 << 20, ..Limits::default() };
    let work = Work { limits, ..Work::default() };
    let home = TempDir::new("too-large");
    let path = home.path().join("layout");
    put(&path, b"", "before");
    let before = fs::read(path.join(INDEX)).unwrap();
    let long = |length: u64| Annotations::from([("x".to_owned(), "x".repeat(usize::try_from(length).unwrap()))]);
    let manifest = |length| {
        let mut manifest = Manifest::new(Descriptor::new(MediaType::EMPTY, Digest::of(b"{}"), 2), Vec::new());
        manifest.annotations = Some(long(length));
        Document::seal(manifest)
    };
    let around = manifest(0).raw().len() as u64;
    let mut transaction = open_within(&path, limits);
    let error = transaction.stage_mut().put(&manifest(limits.document - around + 1), MediaType::MANIFEST).unwrap_err();
    assert!(error.to_string().contains("1 MiB at most"), "{error}");

    let listed = |length: u64| {
        let mut descriptor = Descriptor::new(MediaType::MANIFEST, Digest::of(b"x"), 1);
        descriptor.annotations = Some(long(length));
        descriptor
    };
    let other = home.path().join("other");
    put(&other, b"", "before");
    open(&other).commit(&Work::default(), list(&listed(0), "x")).unwrap();
    let most = limits.index - fs::metadata(other.join(INDEX)).unwrap().len();
    let error = transaction.commit(&work, list(&listed(most + 1), "x")).unwrap_err();
    assert!(error.to_string().contains("2 MiB at most"), "{error}");
    assert_eq!(fs::read(path.join(INDEX)).unwrap(), before);
    // The largest that are written can be read.
    let mut transaction = open_within(&path, limits);
    let largest = transaction.stage_mut().put(&manifest(limits.document - around), MediaType::MANIFEST).unwrap();
    transaction.commit(&work, list(&listed(most), "x")).unwrap();
    let sizes = [fs::metadata(path.join(INDEX)).unwrap().len(), largest.size];
    assert_eq!(sizes, [limits.index, limits.document]);
    let layout = Layout::open(&location(&path), limits).unwrap();
    assert_eq!(layout.index().unwrap().value().manifests.len(), 2);
    assert!(layout.document::<Manifest>(&largest).is_ok());
    // Readers know the same limits.
    let limits = Limits { index: limits.index - 1, document: limits.document - 1, ..limits };
    let layout = Layout::open(&location(&path), limits).unwrap();
    assert!(layout.index().is_err() && layout.document::<Manifest>(&largest).is_err());
    // Those of users.
    assert_eq!([Limits::default().index >> 20, Limits::default().document >> 20], [64, 4]);
}

#[test]
fn waiting_for_a_lock_ends_when_the_observer_says_so() {
    struct Impatient;
    impl Observer for Impatient {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let home = TempDir::new("waiting");
    let path = home.path().join("layout");
    put(&path, b"", "one");
    let other = fs::File::open(&path).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let work = Work::new(std::num::NonZeroUsize::MIN, &Impatient);
            sender.send(edit(&path).commit(&work, |_| Ok(())).unwrap_err().to_string()).unwrap();
        });
        let said = receiver.recv_timeout(Duration::from_secs(60)).expect("it waits for ever");
        assert_eq!(said, "interrupted");
    });
    drop(other);
    edit(&path).commit(&Work::default(), |_| Ok(())).unwrap();
}

#[test]
fn what_is_named_like_staging_and_is_none_stops_no_one() {
    let home = TempDir::new("like-staging");
    let path = home.path().join("layout");
    put(&path, b"", "one");
    fs::create_dir(home.path().join("precious")).unwrap();
    fs::write(home.path().join("precious/file"), "x").unwrap();
    for directory in [home.path(), &path] {
        mknodat(CWD, directory.join(".ocibake-1-0"), FileType::Fifo, 0o600.into(), 0).unwrap();
        fs::write(directory.join(".ocibake-2-0"), "x").unwrap();
        std::os::unix::fs::symlink(home.path().join("precious"), directory.join(".ocibake-3-0")).unwrap();
        fs::create_dir(directory.join(".ocibake-4-0")).unwrap();
    }
    put(&path, b"", "two");
    put(&home.path().join("archive.tar"), b"", "one");
    for directory in [home.path(), &path] {
        assert_eq!(left_over(directory), 3, "the directory goes, what is none stays");
    }
    assert!(home.path().join("precious/file").is_file());
}

#[test]
fn a_run_that_changes_nothing_clears_what_a_killed_one_left() {
    let home = TempDir::new("clears-up");
    let (layout, archive) = (home.path().join("layout"), home.path().join("archive.tar"));
    for (path, place) in [(&layout, &layout), (&archive, &home.path().to_path_buf())] {
        put(path, b"", "one");
        fs::create_dir_all(place.join(".ocibake-1-0/blobs")).unwrap();
        let before = path.metadata().unwrap().ino();
        edit(path).commit(&Work::default(), |_| Ok(())).unwrap();
        assert_eq!((left_over(place), path.metadata().unwrap().ino()), (0, before));
        // A rehearsal changes nothing at all.
        fs::create_dir_all(place.join(".ocibake-1-0/blobs")).unwrap();
        edit(path)
            .rehearse(&Work::default(), |draft| draft.index_mut().manifests.pop().ok_or(Error::Interrupted))
            .unwrap();
        assert_eq!((left_over(place), names(path).len()), (1, 1));
        fs::remove_dir_all(place.join(".ocibake-1-0")).unwrap();
    }
}

#[test]
fn blobs_of_another_layout_are_not_written_to_through_a_link() {
    let home = TempDir::new("linked-blobs");
    let owner = home.path().join("owner");
    put(&owner, b"a layer", "one");
    for (name, link, target) in
        [("all", "blobs", "../owner/blobs"), ("some", "blobs/sha256", "../../owner/blobs/sha256")]
    {
        let path = home.path().join(name);
        fs::create_dir_all(path.join(link).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path.join(link)).unwrap();
        for file in ["oci-layout", INDEX] {
            fs::copy(owner.join(file), path.join(file)).unwrap();
        }
        let created =
            Transaction::create(&location(&path), DockerForm::default(), Checksum::None, Limits::default()).map(drop);
        let edited = edit(&path).commit(&Work::default(), |_| Ok(()));
        for error in [created.unwrap_err(), edited.unwrap_err()] {
            let said = error.to_string();
            assert!(said.contains(&format!("{}` is a symbolic link", path.join(link).display())), "{said}");
            assert!(error.hint().unwrap().to_string().contains("convert"));
        }
        assert_eq!(names(&path), ["one"]);
    }
}

/// Some tools set up a blob store in which each file is a link.
#[test]
fn a_blob_may_be_a_link() {
    let home = TempDir::new("linked-blob");
    let (path, store) = (home.path().join("layout"), home.path().join("store"));
    put(&path, b"a layer", "one");
    fs::rename(blob(&path, b"a layer"), &store).unwrap();
    std::os::unix::fs::symlink(&store, blob(&path, b"a layer")).unwrap();
    let blobs = Layout::open(&location(&path), Limits::default()).unwrap().blobs().unwrap();
    assert_eq!(blobs.into_keys().collect::<Vec<_>>(), [Digest::of(b"a layer")]);
    put(&path, b"a layer", "two");
    assert!(blob(&path, b"a layer").is_symlink(), "what it leads to is whole");
    fs::write(&store, "a l…").unwrap();
    put(&path, b"a layer", "three");
    assert!(!blob(&path, b"a layer").is_symlink() && fs::read_to_string(&store).unwrap() == "a l…");
}

/// Lists of referrers are merged when the same name comes from elsewhere, and only then.
#[test]
fn lists_of_what_is_attached_are_joined() {
    let home = TempDir::new("joined-lists");
    let tag = format!("sha256-{}", Digest::of(b"subject").encoded());
    let artifact = |text: &str| Descriptor::new(MediaType::MANIFEST, Digest::of(text.as_bytes()), 1);
    let bring = |path: &Path, artifacts: &[&str]| {
        let mut transaction = open(path);
        let manifests = artifacts.iter().map(|text| artifact(text)).collect();
        let document = Document::seal(Index { manifests, ..Index::default() });
        let list_of = transaction.stage_mut().put(&document, MediaType::INDEX).unwrap();
        transaction.commit(&Work::default(), list(&list_of, &tag)).unwrap();
    };
    let listed = |path: &Path| -> Vec<Digest> {
        let layout = Layout::open(&location(path), Limits::default()).unwrap();
        let index = layout.index().unwrap().value().clone();
        assert_eq!(index.manifests.len(), 1);
        let list: Document<Index> = layout.document(&index.manifests[0]).unwrap();
        list.value().manifests.iter().map(|entry| entry.digest.clone()).collect()
    };
    let digests = |texts: &[&str]| -> Vec<Digest> { texts.iter().map(|text| artifact(text).digest).collect() };
    let path = home.path().join("layout");
    for (brought, there) in [
        (&["a", "b"][..], &["a", "b"][..]),
        (&["b", "c"], &["a", "b", "c"]),
        // What is missing is added, and nothing existing is lost.
        (&["c"], &["a", "b", "c"]),
        (&["a", "b", "c", "d"], &["a", "b", "c", "d"]),
    ] {
        bring(&path, brought);
        assert_eq!(listed(&path), digests(there), "{brought:?}");
    }
    // An archive that is replaced has nothing to merge with.
    let archive = home.path().join("archive.tar");
    bring(&archive, &["a"]);
    bring(&archive, &["b"]);
    assert_eq!(listed(&archive), digests(&["b"]));
}

#[test]
fn scratch_files_have_no_names() {
    let home = TempDir::new("scratch-files");
    let transaction = open(&home.path().join("layout"));
    let mut file = transaction.stage().scratch_file().unwrap();
    file.write_all(b"x").unwrap();
    assert_eq!(file.metadata().unwrap().nlink(), 0);
}

/// However many are listed at once, the index is as if they had been listed one by one.
#[test]
fn many_are_listed_as_one_by_one() {
    let home = TempDir::new("list-all");
    let names = [None, Some("v1"), Some("app:v1"), Some("docker.io/library/app:v1"), Some("db")];
    let saved = [None, Some("docker.io/library/app:v1"), Some("docker.io/library/db:v1")];
    let mut all = Vec::new();
    for number in 0..2 * names.len() * saved.len() {
        let content = if number % 2 == 0 { b"1" } else { b"2" };
        let annotations = [(REF_NAME, names[number / 2 % 5]), (CONTAINERD_NAME, saved[number / 10])];
        let annotations = annotations.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
        let descriptor = Descriptor::new(MediaType::MANIFEST, Digest::of(content), 1);
        all.push(Descriptor { annotations: Some(annotations.collect()), ..descriptor });
    }
    let listed = |draft: &mut Draft<'_>, some: [&Descriptor; 3], at_once: bool| -> Result<Vec<Descriptor>> {
        draft.index_mut().manifests.clear();
        if at_once {
            draft.list_all(some.map(Descriptor::clone))?;
        } else {
            some.iter().try_for_each(|one| draft.list((*one).clone()))?;
        }
        Ok(draft.index().manifests.clone())
    };
    let compare = |draft: &mut Draft<'_>| {
        for (number, first) in all.iter().enumerate() {
            for (other, second) in all.iter().enumerate() {
                let some = [first, second, &all[(number * 7 + other * 11) % all.len()]];
                assert_eq!(listed(draft, some, true)?, listed(draft, some, false)?, "{some:?}");
            }
        }
        Ok(())
    };
    let path = home.path().join("layout");
    put(&path, b"content", "any");
    edit(&path).rehearse(&Work::default(), compare).unwrap();
}
