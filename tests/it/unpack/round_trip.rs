use std::path::Path;

use crate::harness::{
    assert_same, is_root, list_directory, root, unprivileged_words, FakeRoot, Faker, Fixture, Order, Peer, Scratch,
    Tool, NOBODY,
};

/// Builds the rootfs of a fixture, with the sockets that layers cannot hold, into `image`.
fn build(scratch: &Scratch, fixture: &str, target: &str, compression: &str) -> String {
    let rootfs = scratch.join("rootfs");
    if rootfs.symlink_metadata().is_err() {
        scratch.rootfs("rootfs", fixture);
    }
    let tool = Tool::build(rootfs).arg(target).args(["--compression", compression]).within(scratch.path());
    tool.run().digest_despite_warnings()
}

#[test]
fn everything_comes_back() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    for (number, (image, compression)) in
        [("oci:layout", "gzip"), ("image.tar", "zstd"), ("image.tar.zst", "none")].into_iter().enumerate()
    {
        let digest = build(&scratch, "everything", image, compression);
        let name = format!("unpacked-{number}");
        let outcome = Tool::new("unpack").args([image, &name]).within(scratch.path()).run();
        assert_eq!((outcome.stderr(), outcome.code()), ("", 0));
        let unpacked = scratch.join(&name);
        assert_same(&list_directory(&scratch.join("rootfs")), &list_directory(&unpacked), "unpack");

        let again = Tool::build(&unpacked).oci(&scratch.join("again")).args(["--compression", compression]).bake();
        assert_eq!(again, digest);
    }
}

#[test]
fn umask_and_an_empty_directory_do_not_matter() {
    let scratch = Scratch::new();
    let digest = build(&scratch, "small", "oci:layout", "gzip");
    for umask in ["000", "022", "777"] {
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let unpacked = scratch.make_directory(&format!("umask-{umask}"));
        let tool = Tool::new("unpack").arg("oci:layout").arg(&unpacked).behind(["sh", "-c", &script]);
        assert_eq!(tool.within(scratch.path()).run().stdout(), "");
        let again = Tool::build(&unpacked).oci(&scratch.join("again")).bake();
        assert_eq!(again, digest, "umask {umask}");
    }
}

#[test]
fn umoci_has_the_same_tree() {
    let scratch = Scratch::new();
    let Some(umoci) = Peer::find("umoci").filter(|_| root()) else { return };
    build(&scratch, "everything", "oci:layout:v1", "gzip");
    let image = format!("{}:v1", scratch.join("layout").display());
    umoci.run(["unpack".as_ref(), "--image".as_ref(), image.as_ref(), scratch.join("theirs").as_os_str()]);
    Tool::new("unpack").args(["oci:layout:v1", "ours"]).within(scratch.path()).run().stdout();
    let (ours, mut theirs) = (list_directory(&scratch.join("ours")), list_directory(&scratch.join("theirs/rootfs")));
    // Go counts nanoseconds in 64 bits, which end in 2262.
    let late = Path::new("times/largest-of-ext4");
    theirs.get_mut(late).unwrap().mtime = ours[late].mtime;
    assert_same(&theirs, &ours, "unpack, and umoci another,");
}

#[test]
fn progress_goes_to_the_end() {
    let scratch = Scratch::new();
    build(&scratch, "small", "oci:layout", "gzip");
    let args = ["oci:layout", "out", "--rootless", "-q", "--progress=percent"];
    let outcome = Tool::new("unpack").args(args).within(scratch.path()).run();
    let numbers: Vec<u32> =
        outcome.stderr().lines().map(|line| line.strip_suffix('%').unwrap().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert_eq!((numbers.first(), numbers.last()), (Some(&0), Some(&100)), "{numbers:?}");
}

/// Lists a directory as the fake root sees it.
const SHOW: &str = "find . -printf '%p %y %m %U:%G %s %Ts %l\\n' | LC_ALL=C sort
stat -c '%n %F %t:%T' dev/*
getfattr -R -h -d -m - -e hex . | cat
";

#[test]
fn pseudo() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    fake.script("rootfs", &Fixture::named("faked").script());
    let build = |rootfs: &str| fake.tool(["build", rootfs, "oci:out", "--arch=amd64"]).digest();
    let digest = build("rootfs");
    // One directory is new, the other exists and is known to pseudo.
    fake.script("there", b"");
    for unpacked in ["new", "there"] {
        assert_eq!(fake.tool(["unpack", "oci:out", unpacked]).stdout(), "");
        assert_eq!(fake.script(unpacked, SHOW.as_bytes()), fake.script("rootfs", SHOW.as_bytes()));
        assert_eq!(build(unpacked), digest);
    }
    // A device is not a device on disk: only the fake root knows it.
    assert!(fake.home().join("new/dev/console").symlink_metadata().unwrap().is_file());

    // Moved and removed without a trace: the database follows.
    fake.script("", b"set -e\nmv new moved\nrm -r there moved/bin\nfind moved | xargs stat > /dev/null\n");
    assert_eq!(fake.log_of_trouble(), Vec::<String>::new());
}

/// Attributes last only for the call.
#[test]
fn fakeroot() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Fakeroot, &scratch) else { return };
    let steps = format!(
        "t=../ocibake\n$t build . oci:../out --arch=amd64\n$t unpack oci:../out ../new\n\
         $t build ../new oci:../again --arch=amd64\nshow() {{ {SHOW} }}\n\
         show > ../before; cd ../new; show > ../after; cmp ../before ../after\n"
    );
    let said = fake.script("rootfs", &[Fixture::named("faked").script(), steps.into_bytes()].concat());
    let digests: Vec<&str> = said.lines().collect();
    assert!(digests.len() == 2 && digests[0].starts_with("sha256:") && digests[0] == digests[1], "{said}");
}

#[test]
fn an_ordinary_user_has_an_image_of_ordinary_files() {
    let scratch = Scratch::new();
    let home = scratch.make_directory("home");
    Fixture::named("small").make(&home.join("rootfs"), Order::AsListed);
    if is_root() {
        for path in [home.clone(), home.join("rootfs")] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let owner = list_directory(&home)[Path::new("")].clone();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let run = |tool: Tool| tool.behind(unprivileged_words()).within(&home).run();
    let build = |rootfs: &Path, target: &str| Tool::build(rootfs).args([target, "--owner", &owner]);
    // The parts of the tree that only their owner can read are built by root if the owner is another user.
    let digest = build(&home.join("rootfs"), "oci:out").within(&home).run().digest();
    assert_eq!(run(Tool::new("unpack").args(["oci:out", "new"])).stdout(), "");
    assert_eq!(run(build(Path::new("new"), "oci:again")).digest(), digest);
}
