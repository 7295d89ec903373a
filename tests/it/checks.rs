use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::harness::{is_missing, Scratch, Tool};

/// The head of an ELF file, padded: class, byte order, machine.
fn elf(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
    let mut file = [b"\x7fELF".as_slice(), &[class, order, 1], &[0; 9], &[2, 0], &machine].concat();
    file.resize(64, 0);
    file
}

fn amd64() -> Vec<u8> {
    elf(2, 1, [62, 0])
}

fn arm64() -> Vec<u8> {
    elf(2, 1, [183, 0])
}

fn put(rootfs: &Path, path: &str, content: &[u8], mode: u32) {
    let path = rootfs.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn build(scratch: &Scratch, args: &[&str]) -> Tool {
    Tool::new("build").args(["rootfs", "oci:out", "--owner", "0:0"]).args(args).within(scratch.path())
}

#[test]
fn programs_for_another_machine() {
    let scratch = Scratch::new();
    let rootfs = scratch.make_directory("rootfs");
    put(&rootfs, "bin/own", &amd64(), 0o755);
    put(&rootfs, "bin/script", b"#!/bin/sh\nexec /bin/own \"$@\"\n", 0o755);
    put(&rootfs, "lib/firmware/dsp.elf", &arm64(), 0o644);
    put(&rootfs, "lib32/ld.so", &elf(1, 1, [3, 0]), 0o755);
    assert_eq!(build(&scratch, &["--arch", "amd64"]).run().stderr(), "");
    put(&rootfs, "usr/bin/app", &arm64(), 0o755);
    put(&rootfs, "usr/lib/app/plugin.so", &arm64(), 0o755);
    let expected = "the image is for linux/amd64, and `/usr/bin/app`, `/usr/lib/app/plugin.so` for arm64";
    let outcome = build(&scratch, &["--arch", "amd64"]).run();
    assert_eq!(outcome.stderr(), format!("ocibake: warning: {expected}\n"));
    let report = build(&scratch, &["--arch", "amd64", "--json"]).run().printed();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["findings"], json!([{"check": "arch", "level": "warn", "message": expected}]));
    assert_eq!(report["warnings"], json!([expected]));
    assert_eq!(build(&scratch, &["--arch", "amd64", "--check", "arch:skip"]).run().stderr(), "");
    // From a tar too, as an error, which leaves nothing.
    let _ = fs::remove_dir_all(scratch.join("out"));
    let error = build(&scratch, &["--arch", "amd64"]).env("OCI_IMAGE_QA", "setuid-new:warn arch:error").run().error();
    assert!(error.contains(&format!("check `arch`: {expected}")) && error.contains("`arch:warn`"), "{error}");
    assert!(is_missing(&scratch.join("out")));
    let error = build(&scratch, &["--arch", "amd64", "--check", "arhc:error"]).run().error();
    assert!(error.contains("`arhc:error` is not accepted") && error.contains("`entrypoint-missing`"), "{error}");
}

/// The architecture attribute of Arm's ABI in a file of one section.
fn arm(version: u8) -> Vec<u8> {
    let mut file = elf(1, 1, [40, 0]);
    file.truncate(52);
    (file[32], file[46], file[48]) = (52, 40, 1);
    let attributes = [b"A\0\0\0\0aeabi\0\x01\0\0\0\0".as_slice(), &[6, version]].concat();
    let mut section = vec![0; 40];
    section[4..8].copy_from_slice(&0x7000_0003_u32.to_le_bytes());
    (section[16], section[20]) = (92, attributes.len() as u8);
    [file, section, attributes].concat()
}

#[test]
fn programs_for_a_newer_arm() {
    let scratch = Scratch::new();
    let rootfs = scratch.make_directory("rootfs");
    put(&rootfs, "bin/app", &arm(10), 0o755);
    for (variant, expected) in [
        ("v5", "the image is for linux/arm/v5, and `/bin/app` for arm/v7"),
        ("v6", "the image is for linux/arm/v6, and `/bin/app` for arm/v7"),
        ("v7", ""),
        ("v8", ""),
        ("none", ""),
    ] {
        let outcome = build(&scratch, &["--arch", "arm", "--variant", variant]).run();
        assert!(outcome.stderr().contains(expected), "{variant}: {}", outcome.stderr());
        assert_eq!(outcome.stderr().is_empty(), expected.is_empty(), "{variant}: {}", outcome.stderr());
    }
}

#[test]
fn a_program_that_is_missing() {
    let scratch = Scratch::new();
    let rootfs = scratch.make_directory("rootfs");
    put(&rootfs, "usr/bin/busybox", b"x", 0o755);
    put(&rootfs, "opt/app/run", b"x", 0o755);
    put(&rootfs, "etc/app.conf", b"x", 0o644);
    symlink("usr/bin", rootfs.join("bin")).unwrap();
    symlink("/usr/bin/busybox", rootfs.join("usr/bin/sh")).unwrap();
    for (args, finding) in [
        (&["--cmd", "/bin/sh -l"][..], ""),
        (&["--cmd", "sh"], ""),
        (&["--entrypoint", "/opt/app/run", "--cmd", "nope"], ""),
        (&["--cmd", "run", "--env", "PATH=/opt/app"], ""),
        (&["--cmd", "./run", "--working-dir", "/opt/app"], ""),
        (&[], ""),
        (&["--cmd", "/bin/bash"], "the image starts `/bin/bash`, which is not in it"),
        (&["--cmd", "bash", "--env", "PATH=/bin"], "the image starts `bash`, which is not in it in `/bin`"),
        (&["--entrypoint", "/etc/app.conf"], "the image starts `/etc/app.conf`, which is no executable file"),
    ] {
        let args: Vec<&str> = args.iter().copied().chain(["--arch", "amd64"]).collect();
        assert_eq!(build(&scratch, &args).run().stderr(), "", "{args:?}: it is not asked for");
        let outcome = build(&scratch, &args).args(["--check", "entrypoint-missing:warn"]).run();
        let expected = if finding.is_empty() { String::new() } else { format!("ocibake: warning: {finding}\n") };
        assert_eq!(outcome.stderr(), expected, "{args:?}");
    }
}

#[test]
fn setuid_files_that_the_base_has_not() {
    let scratch = Scratch::new();
    let rootfs = scratch.make_directory("rootfs");
    put(&rootfs, "bin/su", b"x", 0o4755);
    let _ = Tool::build(&rootfs).args(["oci:base", "--owner", "0:0"]).within(scratch.path()).bake();
    put(&rootfs, "bin/wall", b"x", 0o2755);
    put(&rootfs, "bin/su2", b"x", 0o755);
    let check = ["--check", "setuid-new:warn"];
    let outcome = build(&scratch, &["--base", "oci:base"]).args(check).run();
    assert!(outcome.stderr().contains("a base image: `/bin/wall`\n"), "{}", outcome.stderr());
    let outcome = build(&scratch, &["--arch", "amd64"]).args(check).run();
    assert!(outcome.stderr().contains("`/bin/su`, `/bin/wall`\n"), "{}", outcome.stderr());
    put(&rootfs, "bin/su", b"x", 0o6755);
    let outcome = build(&scratch, &["--base", "oci:base"]).args(check).run();
    assert!(outcome.stderr().contains("`/bin/su`, `/bin/wall`\n"), "{}", outcome.stderr());
}

#[test]
fn users_and_groups_that_are_missing() {
    let scratch = Scratch::new();
    let rootfs = scratch.make_directory("rootfs");
    put(&rootfs, "etc/passwd", b"root:x:0:0::/:\n", 0o644);
    let run = |level: &str| build(&scratch, &["--arch", "amd64", "--user", "app:www", "--check", level]).run();
    assert_eq!(run("user-missing:warn").stderr().lines().count(), 2);
    assert_eq!(run("user-missing:skip").stderr(), "");
    let error = run("user-missing=error,arch=error").error();
    assert!(error.contains("the user `app`") && error.contains("the group `www`"), "{error}");
}
