//! `tests/fixtures/digests`: one line per digest, `FIXTURE COMPRESSION PART DIGEST`.
//!
//! PART is `diff_id`, `manifest`, `attached` for an attached file, `index` for images for two platforms, the ending of
//! an archive, or `docker` or `docker-legacy` and the ending of a docker archive of two names. A change that moves a
//! line breaks the promise that the same tree gives the same image, so the changelog must mention it. All are built
//! with `--arch amd64 --owner 0:0`, except the fixtures that root has to make, which keep their owners.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::harness::{clone, is_root, missing, sha256, Layout, Scratch, Tool};

#[test]
fn every_digest_is_the_one_in_the_table() {
    let table = clone().join("tests/fixtures/digests");
    let pinned = fs::read_to_string(&table).unwrap();
    let mut wrong = String::new();
    let mut unseen: Vec<&str> = pinned.lines().filter(|line| !line.starts_with('#')).collect();
    for fixture in ["blocks", "everything", "faked", "small"] {
        let is_for_root = matches!(fixture, "everything" | "faked");
        if is_for_root && !is_root() {
            missing("root");
            unseen.retain(|line| !line.starts_with(fixture));
            continue;
        }
        for line in digests(fixture, is_for_root) {
            match unseen.iter().position(|pinned| *pinned == line) {
                Some(index) => drop(unseen.remove(index)),
                None => writeln!(wrong, "+{line}").unwrap(),
            }
        }
    }
    for line in unseen {
        writeln!(wrong, "-{line}").unwrap();
    }
    assert!(wrong.is_empty(), "{} says otherwise:\n{wrong}", table.display());
}

/// Of the image in `amd64` and one for another platform, in a new layout.
fn digest_of_index(scratch: &Scratch, rootfs: &Path, amd64: &Path) -> String {
    let (arm64, out) = (scratch.join("arm64"), scratch.join("index"));
    let _ = Tool::new("build").arg(rootfs).oci(&arm64).args(["--arch", "aarch64", "--owner", "0:0"]).bake();
    let tool = Tool::new("index").oci(amd64).oci(&arm64).oci(&out);
    tool.args(["--annotation", "a=b", "--descriptor-annotation", "linux/arm64:c=d"]).bake()
}

fn digests(fixture: &str, keeps_owners: bool) -> Vec<String> {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", fixture);
    let mut lines = Vec::new();
    for compression in ["gzip", "gzip:1", "gzip:9", "none", "zstd", "zstd:1", "zstd:15"] {
        // Levels matter only if there is much to compress, and outer compression is not needed for each of them.
        let is_level = compression.contains(':');
        if is_level && fixture != "blocks" {
            continue;
        }
        let out = scratch.join(&compression.replace(':', "-"));
        let archives = match (fixture, compression) {
            ("small", _) => &["tar", "tar.gz", "tar.xz", "tar.zst"][..],
            (_, "gzip") => &["tar", "tar.gz", "tar.zst"],
            _ => &[],
        };
        let path = |ending: &str| out.with_extension(ending);
        let tool = build(&rootfs, compression, keeps_owners).oci(&out);
        let manifest = tool.args(archives.iter().map(|ending| path(ending))).run().digest_despite_warnings();
        let mut line = |part: &str, digest: &str| lines.push(format!("{fixture} {compression} {part} {digest}"));
        line("diff_id", &Layout::at(&out).latest().diff_id());
        line("manifest", &manifest);
        if (fixture, compression) == ("small", "gzip") {
            line("index", &digest_of_index(&scratch, &rootfs, &out));
            let file = scratch.join("bill.json");
            fs::write(&file, "{}\n").unwrap();
            let tool = Tool::new("attach").arg(format!("oci:{}", out.display())).arg(&file);
            let tool = tool.args(["--type", "application/spdx+json", "--annotation", ".created=1970-01-01T00:00:00Z"]);
            line("attached", &tool.bake());
        }
        for ending in archives {
            line(&format!(".{ending}"), &format!("sha256:{}", sha256(&fs::read(path(ending)).unwrap())));
        }
        for ending in archives.iter().filter(|ending| matches!(**ending, "tar" | "tar.gz")) {
            let mut docker = |part: &str, flags: &[&str]| {
                let part = format!("{part}.{ending}");
                let tool = build(&rootfs, compression, keeps_owners).args(flags).args(["--additional-tag", ":v2"]);
                let tool = tool.target("docker-archive", &path(&part), "registry:5000/app:v1");
                let _ = tool.run().digest_despite_warnings();
                line(&part, &format!("sha256:{}", sha256(&fs::read(path(&part)).unwrap())));
            };
            docker("docker", &[]);
            // Nothing in the older form is compressed.
            if compression == "none" {
                docker("docker-legacy", &["--docker-legacy-only"]);
            }
        }
    }
    lines
}

fn build(rootfs: &Path, compression: &str, keeps_owners: bool) -> Tool {
    let tool = Tool::build(rootfs).args(["--compression", compression]);
    if keeps_owners {
        tool
    } else {
        tool.args(["--owner", "0:0"])
    }
}
