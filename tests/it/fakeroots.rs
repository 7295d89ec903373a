use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::harness::{assert_same, is_root, names_below, FakeRoot, Faker, Fixture, Layout, Order, Peer, Scratch, Tool};

/// Prints what the fake root records about every entry: type, mode, owner, device, link, attributes.
const SHOW: &[u8] = b"find . -printf '%p %y %m %U:%G %s %T@ %l\\n' | LC_ALL=C sort
stat -c '%n %F %t:%T' dev/*
getfattr -R -h -d -m - -e hex . | cat
";

/// Prepares a tree in one call of a fake root, builds in a second, and looks again in a third.
fn builds_what_the_fake_root_knows(scratch: &Scratch, fake: &FakeRoot, fixture: &Fixture) {
    fake.script("rootfs", &fixture.script());
    let before = fake.script("rootfs", SHOW);
    assert!(
        before.contains("./home/file f 644 4242:4243") && before.contains("dev/console character special file 5:1"),
        "{before}"
    );
    // Only the fake root says so: the file has another owner, and the device is a device.
    let real = fake.home().join("rootfs/home/file").metadata().unwrap();
    assert_ne!((real.uid(), real.gid()), (4242, 4243));
    let device = fake.home().join("rootfs/dev/console").symlink_metadata().unwrap();
    assert!(device.is_file(), "a device for everybody");

    let docker = "docker-archive:docker.tar:app:v1";
    let args = ["build", "rootfs", "oci:out", "archive.tar", docker, "--arch=amd64", "--compression=gzip"];
    let digest = fake.tool(args).digest();
    if let Some(python) = Peer::python() {
        let image = Layout::at(&fake.home().join("out")).latest();
        assert_same(&fixture.listing(), &image.listing(&python), "python's tarfile");
    }

    // Nothing was disturbed: neither the tree, nor the files in a directory that the fake root tracks.
    assert_eq!(fake.script("rootfs", SHOW), before);
    assert_eq!(fake.tool(args).digest(), digest);
    fake.script(
        "",
        b"set -e\nmv out moved; mv moved out; mv archive.tar moved; mv moved archive.tar\nstat out/* archive.tar",
    );
    let seen = fake.tool(["verify", "oci:out"]);
    assert_eq!(seen.code(), 0, "{}", seen.stderr());
    assert_eq!(fake.log_of_trouble(), Vec::<String>::new());

    if is_root() {
        let rootfs = scratch.join("real");
        fixture.make(&rootfs, Order::AsListed);
        let archive = scratch.join("docker.tar");
        let tool = Tool::build(rootfs).oci(&scratch.join("out")).target("docker-archive", &archive, "app:v1");
        let real = tool.arg("--compression=gzip").bake();
        assert_eq!(digest, real, "another image than root builds of the same tree");
        assert!(fs::read(archive).unwrap() == fs::read(fake.home().join("docker.tar")).unwrap());
    }
}

#[test]
fn pseudo() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    builds_what_the_fake_root_knows(&scratch, &fake, &Fixture::named("faked"));
}

/// From one call to the next, fakeroot saves owners, modes and devices.
#[test]
fn fakeroot_in_two_calls() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Fakeroot, &scratch) else { return };
    builds_what_the_fake_root_knows(&scratch, &fake, &Fixture::named("faked").without_attributes());
}

/// Attributes, including capabilities, last only for the call.
#[test]
fn fakeroot_in_one_call() {
    let scratch = Scratch::new();
    let (Some(fake), Some(python)) = (FakeRoot::new(Faker::Fakeroot, &scratch), Peer::python()) else { return };
    let fixture = Fixture::named("faked");
    let build = b"../ocibake build . oci:../out --arch=amd64\n".to_vec();
    fake.script("rootfs", &[fixture.script(), build].concat());
    let image = Layout::at(&fake.home().join("out")).latest();
    assert_same(&fixture.listing(), &image.listing(&python), "python's tarfile");
}

#[test]
fn a_run_that_pseudo_does_not_intercept_writes_nothing() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let before = names_below(scratch.path());
    let out = scratch.join("out");
    let build = || Tool::build(&rootfs).oci(&out);

    let error = build().env("PSEUDO_PREFIX", "/usr").run().error();
    assert!(error.starts_with("pseudo is in the environment but does not intercept this process"), "{error}");
    assert_eq!(names_below(scratch.path()), before);

    // As in a BitBake task whose library was built for another system: the loader warns and continues without it.
    for library in ["libpseudo.so", "/usr/lib/libfakeroot/none/libfakeroot-sysv.so"] {
        let outcome = build().env("LD_PRELOAD", library).run();
        assert_eq!(outcome.code(), 2);
        let line = outcome.stderr().lines().find(|line| line.starts_with("ocibake: error: "));
        assert!(line.is_some_and(|line| line.contains("does not intercept this process")), "{}", outcome.stderr());
        assert_eq!(names_below(scratch.path()), before);
    }

    let error = build().env("FAKEROOTKEY", "7").run().error();
    assert!(error.starts_with("fakeroot is in the environment"), "{error}");
    assert_eq!(names_below(scratch.path()), before);

    // What deals with no owners is not concerned.
    for words in [&["completions", "bash"][..], &["ls", "oci:none"], &["report", "oci:none"]] {
        let outcome = Tool::new(words[0]).args(&words[1..]).env("PSEUDO_PREFIX", "/usr").run();
        assert!(!outcome.stderr().contains("intercept"), "{}", outcome.stderr());
    }

    let digest = build().env("PSEUDO_PREFIX", "/usr").env("PSEUDO_DISABLED", "1").bake();
    assert_eq!(Layout::at(&out).latest().digest(), digest);
}

/// pseudo's answer to a buffer that is too short is not the kernel's: attributes of any length must come through.
#[test]
fn long_attributes_under_pseudo() {
    let scratch = Scratch::new();
    let (Some(fake), Some(python)) = (FakeRoot::new(Faker::Pseudo, &scratch), Peer::python()) else { return };
    let lengths = [1, 255, 256, 257, 4000, 9000];
    let mut tree = "d 0755 0:0 1 /\n".to_owned();
    for length in lengths {
        tree += &format!("f 0644 0:0 1 /{length:04} text x @user.long={}\n", "61".repeat(length));
    }
    let fixture = Fixture::parse(&tree);
    fake.script("rootfs", &fixture.script());
    let _ = fake.tool(["build", "rootfs", "oci:out", "--arch=amd64"]).digest();
    let image = Layout::at(&fake.home().join("out")).latest();
    assert_same(&fixture.listing(), &image.listing(&python), "python's tarfile");
}

/// A test of the tests: the fixture as a script makes the tree that the fixture as calls makes.
#[test]
fn the_script_of_a_fixture_makes_its_tree() {
    let scratch = Scratch::new();
    if !crate::harness::root() {
        return;
    }
    let (rootfs, script): (PathBuf, PathBuf) = (scratch.make_directory("rootfs"), scratch.join("script"));
    let fixture = Fixture::named("faked");
    fs::write(&script, fixture.script()).unwrap();
    let status = std::process::Command::new("sh").arg(&script).current_dir(&rootfs).status().unwrap();
    assert!(status.success());
    assert_same(&fixture.listing(), &crate::harness::list_directory(Path::new(&rootfs)), "the shell");
}

/// An unpacked image can be built again with the same digest.
fn unpacks_what_it_builds(fake: &FakeRoot, fixture: &Fixture) {
    fake.script("rootfs", &fixture.script());
    let build = |rootfs: &str, name: &str| {
        fake.tool(["build", rootfs, &format!("oci:out:{name}"), "--arch=amd64", "--created=1"]).digest()
    };
    let digest = build("rootfs", "one");
    let unpacked = fake.tool(["unpack", "oci:out:one", "unpacked"]);
    assert_eq!(unpacked.code(), 0, "{}", unpacked.stderr());
    assert_eq!(build("unpacked", "two"), digest);

    // And with the image as base there is no new layer.
    let args = ["build", "unpacked", "oci:out:three", "--base=oci:out:one", "--created=1"];
    let _ = fake.tool(args).digest();
    let layers = |name: &str| Layout::at(&fake.home().join("out")).image(name).layers();
    assert_eq!(layers("three"), layers("one"));
    assert_eq!(fake.log_of_trouble(), Vec::<String>::new());
}

#[test]
fn round_trip_under_pseudo() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    unpacks_what_it_builds(&fake, &Fixture::named("faked"));
}

#[test]
fn round_trip_under_fakeroot() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Fakeroot, &scratch) else { return };
    unpacks_what_it_builds(&fake, &Fixture::named("faked").without_attributes());
}
