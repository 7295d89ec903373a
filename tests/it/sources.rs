use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use ocibake::layout::Location;
use ocibake::ops::build::{build, BuildOptions, Rootfs};
use ocibake::work::{Observer, Work};
use rustix::fs::{mknodat, FileType, CWD};

use crate::harness::{FakeRoot, Faker, Scratch};

/// Names the directory in which the moves are made, in a run under a fake root.
const HOME: &str = "OCIBAKE_TEST_SOURCES";

/// What somebody does to a rootfs.
type Move = fn(&Path);

/// Changes the rootfs after it was scanned and before its files are read.
struct Mover<'a> {
    rootfs: &'a Path,
    change: Move,
    once: Once,
}

impl Observer for Mover<'_> {
    fn expect(&self, _bytes: u64) {
        self.once.call_once(|| (self.change)(self.rootfs));
    }
}

const BIG: &str = "usr/lib/big";
const NOTHING: &str = "etc/nothing";

/// The time of everything, so that only what a move is about is different after it.
fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

/// Writes a file as old as all others.
fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(time()).unwrap();
}

fn make(rootfs: &Path) {
    let _ = fs::remove_dir_all(rootfs);
    for directory in ["etc", "usr/lib"] {
        fs::create_dir_all(rootfs.join(directory)).unwrap();
    }
    write(&rootfs.join("etc/hostname"), b"name\n");
    write(&rootfs.join(NOTHING), b"");
    write(&rootfs.join(BIG), &[b'b'].repeat(200_000));
    write(&rootfs.join("usr/lib/other"), &[b'o'].repeat(200_000));
}

/// Puts something in the place of a file.
fn replace(path: &Path, make: impl FnOnce(&Path)) {
    let new = path.with_extension("new");
    make(&new);
    fs::rename(new, path).unwrap();
}

/// A file of the host, like the one in the rootfs, that must not become part of an image.
fn secret(rootfs: &Path) -> PathBuf {
    let secret = rootfs.with_file_name("secret");
    fs::create_dir_all(&secret).unwrap();
    write(&secret.join("big"), &[b's'].repeat(200_000));
    write(&secret.join("other"), &[b's'].repeat(200_000));
    secret
}

/// Builds an image of a rootfs that is changed meanwhile; the error, or nothing.
fn moved(home: &Path, change: Move) -> Option<String> {
    let rootfs = home.join("rootfs");
    make(&rootfs);
    let mut options = BuildOptions::default();
    options.spec.platform = Some(serde_json::from_str(r#"{"architecture": "amd64", "os": "linux"}"#).unwrap());
    let target = Location::parse_target(home.join("out").as_os_str()).unwrap();
    let mover = Mover { rootfs: &rootfs, change, once: Once::new() };
    let work = Work::new(NonZeroUsize::MIN, &mover);
    let built = build(&Rootfs::parse(rootfs.as_os_str()).unwrap(), &[target], &options, &work);
    assert!(mover.once.is_completed(), "nothing was moved");
    built.err().map(|error| error.to_string())
}

#[test]
fn every_move_is_noticed() {
    let scratch = std::env::var_os(HOME).map_or_else(|| Ok(Scratch::new()), Err);
    let home = scratch.as_ref().map_or_else(PathBuf::from, |scratch| scratch.path().to_path_buf());
    let is_root = rustix::process::geteuid().is_root();
    println!("moves are made by user {}", rustix::process::geteuid().as_raw());

    let noticed: [(&str, Move, &str); 13] = [
        ("rewritten", |at| fs::write(at.join(BIG), [b'x'].repeat(200_000)).unwrap(), "big: mtime"),
        ("grown, and as old", |at| write(&at.join(BIG), &[b'x'].repeat(200_001)), "big: size"),
        ("shrunk, and as old", |at| write(&at.join(BIG), b"x"), "big: size"),
        ("emptied, and as old", |at| write(&at.join(BIG), b""), "big: size"),
        ("grown from nothing, and as old", |at| write(&at.join(NOTHING), b"x"), "nothing: size"),
        ("written to, and empty again", |at| fs::write(at.join(NOTHING), "").unwrap(), "nothing: mtime"),
        ("replaced by its like", |at| replace(&at.join(BIG), |new| write(new, &[b'x'].repeat(200_000))), "big: inode"),
        ("nothing replaced by its like", |at| replace(&at.join(NOTHING), |new| write(new, b"")), "nothing: inode"),
        (
            "replaced by a file of the rootfs",
            |at| fs::rename(at.join("usr/lib/other"), at.join(BIG)).unwrap(),
            "big: inode",
        ),
        (
            "a link in its place",
            |at| replace(&at.join(BIG), |new| symlink(secret(at).join("big"), new).unwrap()),
            "big: type",
        ),
        (
            "a pipe in its place",
            |at| replace(&at.join(BIG), |new| mknodat(CWD, new, FileType::Fifo, 0o644.into(), 0).unwrap()),
            // For pseudo and fakeroot it is a file on the disk.
            "big: ",
        ),
        (
            "a directory in its place",
            |at| {
                fs::remove_file(at.join(BIG)).unwrap();
                fs::create_dir(at.join(BIG)).unwrap();
            },
            "big: type",
        ),
        (
            "a link in the place of its directory",
            |at| {
                fs::rename(at.join("usr/lib"), at.join("usr/moved")).unwrap();
                symlink(secret(at), at.join("usr/lib")).unwrap();
            },
            "lib: type",
        ),
    ];
    for (what, change, expected) in noticed {
        let (name, field) = expected.split_once(": ").unwrap();
        let error = moved(&home, change).unwrap_or_else(|| panic!("{what}: nobody noticed"));
        let told = format!("changed while it was read: {field}");
        assert!(error.contains(&told) && error.contains(name), "{what}: {error}");
    }
    let gone = moved(&home, |at| fs::remove_file(at.join(BIG)).unwrap()).expect("a file that is gone");
    assert!(gone.contains("rootfs/usr/lib/big") && gone.contains("No such file"), "{gone}");
    if is_root {
        // For pseudo and fakeroot this is an empty file on the disk.
        let error = moved(&home, |at| {
            let device = rustix::fs::makedev(1, 3);
            let make = |new: &Path| mknodat(CWD, new, FileType::CharacterDevice, 0o644.into(), device).unwrap();
            replace(&at.join(NOTHING), make);
        });
        assert!(error.as_ref().is_some_and(|error| error.contains("changed while it was read")), "{error:?}");
    }

    // What other tasks do meanwhile changes no content.
    let harmless: [(&str, Move); 3] = [
        ("untouched", |_| ()),
        ("linked", |at| fs::hard_link(at.join(BIG), at.with_file_name("linked")).unwrap()),
        ("read", |at| drop(fs::read(at.join(BIG)).unwrap())),
    ];
    for (what, change) in harmless {
        assert_eq!(moved(&home, change), None, "{what}");
    }
}

/// Runs the test above as an ordinary user for whom everything belongs to root.
fn under(faker: Faker) {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(faker, &scratch) else { return };
    // Other users may not have access to where it was built.
    let tests = fake.home().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    fs::set_permissions(&tests, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let home = format!("{HOME}={}", fake.home().display());
    let test = ["--exact", "sources::every_move_is_noticed", "--nocapture"].map(Into::into);
    let printed = fake.run([["env".into(), home.into(), tests.into_os_string()], test].concat()).stdout();
    assert!(printed.contains("by user 0\n") && printed.contains("1 passed"), "{printed}");
    assert_eq!(fake.log_of_trouble(), Vec::<String>::new());
}

#[test]
fn under_pseudo_too() {
    under(Faker::Pseudo);
}

#[test]
fn under_fakeroot_too() {
    under(Faker::Fakeroot);
}
