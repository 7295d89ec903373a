use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::{make_layout, names_below, tar_of, Member, Peer, Scratch, Tool};

fn cat(scratch: &Scratch, words: &str) -> Tool {
    Tool::new("cat").args(words.split(' ')).within(scratch.path())
}

/// An image of two layers in `out`, with links of all sorts, and the rootfs of the upper one.
fn image(scratch: &Scratch) {
    let rootfs = scratch.make_directory("rootfs");
    for directory in ["etc", "usr/lib", "usr/bin", "run"] {
        fs::create_dir_all(rootfs.join(directory)).unwrap();
    }
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for (path, content) in [
        ("etc/passwd", &b"root:x:0:0\n"[..]),
        ("etc/empty", b""),
        ("usr/lib/os-release", b"NAME=old\n"),
        ("usr/bin/large", &large),
        ("etc/gone", b"gone\n"),
    ] {
        fs::write(rootfs.join(path), content).unwrap();
    }
    for (path, target) in [
        ("etc/os-release", "../usr/lib/os-release"),
        ("lib", "usr/lib"),
        ("bin", "/usr/bin"),
        ("etc/out", "../../../../../../etc/passwd"),
        ("etc/absolute", "/etc/out"),
        ("etc/dangling", "/run/nothing"),
        ("loop", "loop"),
    ] {
        symlink(target, rootfs.join(path)).unwrap();
    }
    fs::hard_link(rootfs.join("usr/bin/large"), rootfs.join("usr/bin/larger")).unwrap();
    let _ = Tool::build(&rootfs).target("oci", &scratch.join("out"), "base").args(["--owner", "0:0"]).bake();
    fs::write(rootfs.join("usr/lib/os-release"), "NAME=new\n").unwrap();
    fs::remove_file(rootfs.join("etc/gone")).unwrap();
    fs::write(rootfs.join("etc/added"), "added\n").unwrap();
    let base = format!("oci:{}:base", scratch.join("out").display());
    let tool = Tool::new("build").arg(&rootfs).target("oci", &scratch.join("out"), "v1");
    let _ = tool.args(["--base", &base, "--owner", "0:0"]).bake();
}

#[test]
fn files_are_those_that_umoci_unpacks() {
    let scratch = Scratch::new();
    image(&scratch);
    let whole = scratch.join("whole");
    let _ = Tool::new("unpack").arg("oci:out:v1").arg(&whole).arg("--rootless").within(scratch.path()).run().stdout();
    let umoci = Peer::find("umoci").map(|umoci| {
        let mut command = umoci.command();
        command.args(["unpack", "--rootless", "--image", "out:v1", "bundle"]).current_dir(scratch.path());
        umoci.finish(command);
        scratch.join("bundle/rootfs")
    });
    let all: Vec<String> = names_below(&whole);
    let mut compared = 0;
    for path in all.iter().filter(|path| whole.join(path).symlink_metadata().unwrap().is_file()) {
        let expected = fs::read(umoci.as_deref().unwrap_or(&whole).join(path)).unwrap();
        let written = scratch.join("written");
        assert_eq!(cat(&scratch, &format!("oci:out:v1 /{path} -o written")).run().stdout(), "");
        assert!(fs::read(&written).unwrap() == expected, "{path}");
        compared += 1;
    }
    assert!(compared >= 6, "{compared}");
}

#[test]
fn links_are_followed_within_the_image() {
    let scratch = Scratch::new();
    image(&scratch);
    for (path, content) in [
        ("/etc/passwd", "root:x:0:0\n"),
        ("etc/passwd", "root:x:0:0\n"),
        ("//etc/./passwd", "root:x:0:0\n"),
        ("../../etc/passwd", "root:x:0:0\n"),
        ("/etc/os-release", "NAME=new\n"),
        ("/lib/os-release", "NAME=new\n"),
        ("/etc/out", "root:x:0:0\n"),
        ("/etc/absolute", "root:x:0:0\n"),
        ("/etc/added", "added\n"),
        ("/etc/empty", ""),
    ] {
        assert_eq!(cat(&scratch, &format!("oci:out:v1 {path}")).run().stdout(), content, "{path}");
    }
    assert_eq!(cat(&scratch, "oci:out:base /lib/os-release").run().stdout(), "NAME=old\n");
    assert_eq!(cat(&scratch, "oci:out:base /etc/gone").run().stdout(), "gone\n");
    for path in ["/usr/bin/large", "/usr/bin/larger", "/bin/larger"] {
        let _ = cat(&scratch, &format!("oci:out:v1 {path} -o large")).run().stdout();
        let same = fs::read(scratch.join("large")).unwrap() == fs::read(scratch.join("rootfs/usr/bin/large")).unwrap();
        assert!(same, "{path}");
    }
}

#[test]
fn what_is_no_file_is_told_and_nothing_is_written() {
    let scratch = Scratch::new();
    image(&scratch);
    for (words, error) in [
        ("oci:out:v1 /etc", "a file is wanted, found at `/etc`: directory\nhint: unpack the image"),
        ("oci:out:v1 /lib", "a file is wanted, found at `/lib`: directory\nhint: "),
        ("oci:out:v1 /", "a file is wanted, found at `/`: directory\nhint: "),
        ("oci:out:v1 /etc/gone", "no file `/etc/gone`\n"),
        ("oci:out:v1 /etc/paswd", "no file `/etc/paswd`\nhint: there is `/etc/passwd`"),
        (
            "oci:out:v1 /lib/os-relaese",
            "leads to `/usr/lib/os-relaese`, which is not there\nhint: there is `/usr/lib/os-release`",
        ),
        ("oci:out:v1 /etc/dangling", "no file `/etc/dangling`: it leads to `/run/nothing`, which is not there\n"),
        ("oci:out:v1 /etc/passwd/x", "no file `/etc/passwd/x`: `/etc/passwd` is no directory\n"),
        ("oci:out:v1 /loop", "the symbolic links at `/loop` form a loop\n"),
        ("oci:out:v3 /etc/passwd", "no image of this name"),
    ] {
        let said = cat(&scratch, &format!("{words} -o written")).run().error();
        assert!(said.contains(error), "{words}: {said}");
    }
    assert!(names_below(scratch.path()).iter().all(|name| !name.starts_with("written")));
    for (words, error) in [
        ("oci:out:v1 /etc/passwd -o missing/file", "cannot create `missing/file`: No such file or directory"),
        (
            "oci:out:v1 /etc/passwd -o rootfs",
            "cannot create `rootfs`: it is a directory\nhint: name a file in it: `rootfs/passwd`",
        ),
    ] {
        let said = cat(&scratch, words).run().error();
        assert!(said.contains(error), "{words}: {said}");
    }
    assert!(names_below(scratch.path()).iter().all(|name| !name.contains(".ocibake-")));
}

#[test]
fn one_platform_of_several_is_chosen() {
    let scratch = Scratch::new();
    for arch in ["amd64", "arm64"] {
        let rootfs = scratch.make_directory(arch);
        fs::write(rootfs.join("arch"), arch).unwrap();
        let tool = Tool::new("build").arg(&rootfs).target("oci", &scratch.join(&format!("of-{arch}")), "v1");
        let _ = tool.args(["--arch", arch]).bake();
    }
    let _ = Tool::new("index").args(["oci:of-amd64:v1", "oci:of-arm64:v1", "oci:out:v1"]).within(scratch.path()).bake();
    assert_eq!(cat(&scratch, "oci:out:v1 /arch --platform linux/arm64").run().stdout(), "arm64");
    assert!(cat(&scratch, "oci:out:v1 /arch").run().error().contains("linux/amd64"));
}

/// Nothing is printed from a layer that does not match its digests.
#[test]
fn nothing_of_a_damaged_layer_is_printed() {
    let scratch = Scratch::new();
    let tar = tar_of(&[Member::File("a", "first"), Member::File("b", "second")]);
    make_layout(&scratch.join("out"), &[tar.clone()]);
    assert_eq!(cat(&scratch, "oci:out /a").run().stdout(), "first");
    damage(&scratch.join("out"), &tar);
    let error = cat(&scratch, "oci:out /a").run().error();
    assert!(error.contains("digest should be"), "{error}");
}

/// Other bytes in the content of the second file.
fn damage(layout: &Path, tar: &[u8]) {
    let name = format!("blobs/sha256/{}", crate::harness::sha256(tar));
    let text = String::from_utf8_lossy(tar).replace("second", "SECOND");
    fs::write(layout.join(name), text.as_bytes()).unwrap();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_trouble() {
    let scratch = Scratch::new();
    image(&scratch);
    let script = "\"$0\" cat oci:out:v1 /usr/bin/large | head -c 10 | wc -c";
    let words = ["-c", script, Tool::path().to_str().unwrap()];
    let output = std::process::Command::new("sh").args(words).current_dir(scratch.path()).output().unwrap();
    assert_eq!((String::from_utf8_lossy(&output.stderr).as_ref(), output.status.success()), ("", true));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "10");
}
