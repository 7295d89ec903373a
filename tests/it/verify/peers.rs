//! Good images, ours and those of other tools.

use std::fs;

use serde_json::Value;

use super::{oci, rules, verify};
use crate::harness::{root, Peer, Scratch, Tool};

#[test]
fn what_build_makes_is_good_in_every_compression_and_kind_of_target() {
    let scratch = Scratch::new();
    let (blocks, small) = (scratch.rootfs("blocks", "blocks"), scratch.small_rootfs());
    for compression in ["gzip", "zstd", "none"] {
        // Compressing an archive takes long, and does not depend on the number of blocks in a layer.
        for (rootfs, target) in
            [(&blocks, "layout"), (&small, "a.tar"), (&small, "a.tar.gz"), (&small, "a.tar.xz"), (&small, "a.tar.zst")]
        {
            let transport = if target == "layout" { "oci" } else { "oci-archive" };
            let path = scratch.join(&format!("{compression}-{target}"));
            Tool::build(rootfs)
                .target(transport, &path, "")
                .args(["--compression", compression, "--env", "A=b", "--user", "1:2", "--volume", "/v"])
                .args(["--port", "80", "--stop-signal", "term", "--working-dir", "/lib", "--label", ".title=x"])
                .args(["--annotation", ".created=2018-03-09T12:34:56Z", "--healthcheck", "NONE", "--memory", "64m"])
                .bake();
            let (report, code) = verify(&format!("{transport}:{}", path.display()));
            assert_eq!((&report["findings"], code), (&Value::Array(vec![]), 0), "{compression} {target}");
        }
    }
}

#[test]
fn a_layer_with_one_of_everything_is_good() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let out = scratch.join("out");
    Tool::build(scratch.rootfs("rootfs", "everything")).oci(&out).run().digest_despite_warnings();
    let (report, code) = verify(&oci(&out));
    assert_eq!((&report["findings"], code), (&Value::Array(vec![]), 0));
}

/// No errors, and only these notes.
#[track_caller]
fn assert_good(image: &str, notes: &[&str]) {
    let (report, code) = verify(image);
    assert_eq!((&report["errors"], code), (&Value::from(0), 0), "{report:#}");
    assert!(rules(&report).iter().all(|rule| notes.contains(&rule.as_str())), "{report:#}");
}

#[test]
fn what_skopeo_copies_is_good() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let out = scratch.join("out");
    Tool::build(scratch.small_rootfs()).oci(&out).bake();
    let path = |name: &str| scratch.join(name).display().to_string();
    let copies = [
        (format!("{}:latest", oci(&out)), format!("oci:{}:copy", path("copy"))),
        (format!("{}:latest", oci(&out)), format!("oci-archive:{}:copy", path("copy.tar"))),
        (format!("{}:latest", oci(&out)), format!("docker-archive:{}:copy:latest", path("docker.tar"))),
        (format!("docker-archive:{}", path("docker.tar")), format!("oci:{}:back", path("back"))),
    ];
    for (from, to) in &copies {
        skopeo.run(["--insecure-policy", "--tmpdir", &path(""), "copy", "-q", from, to]);
        if !to.starts_with("docker-archive:") {
            assert_good(to, &["document-media-type-missing"]);
        }
    }
}

#[test]
fn what_umoci_packs_is_good() {
    let scratch = Scratch::new();
    let (Some(umoci), true) = (Peer::find("umoci"), root()) else { return };
    let out = scratch.join("out");
    let image = format!("{}:x", out.display());
    let bundle = scratch.join("bundle");
    umoci.run(["init", "--layout", &out.display().to_string()]);
    umoci.run(["new", "--image", &image]);
    for (number, path) in ["etc", "etc/deeper"].iter().enumerate() {
        umoci.run(["unpack", "--image", &image, &bundle.display().to_string()]);
        fs::create_dir_all(bundle.join("rootfs").join(path)).unwrap();
        fs::write(bundle.join("rootfs").join(path).join("file"), path).unwrap();
        fs::hard_link(bundle.join("rootfs").join(path).join("file"), bundle.join("rootfs").join(path).join("link"))
            .unwrap();
        if number == 1 {
            fs::remove_file(bundle.join("rootfs/etc/link")).unwrap();
        }
        umoci.run(["repack", "--image", &image, &bundle.display().to_string()]);
        fs::remove_dir_all(&bundle).unwrap();
    }
    umoci.run([
        "config",
        "--image",
        &image,
        "--config.user",
        "1:2",
        "--config.env",
        "A=b",
        "--config.exposedports",
        "80",
    ]);
    umoci.run(["gc", "--layout", &out.display().to_string()]);
    assert_good(&oci(&out), &["document-media-type-missing"]);
}

#[test]
fn what_buildah_commits_is_good() {
    let scratch = Scratch::new();
    let (Some(buildah), true) = (Peer::find("buildah"), root()) else { return };
    let out = scratch.join("out");
    let storage = scratch.make_directory("storage");
    let rootfs = scratch.small_rootfs();
    let run = |args: &[&str]| {
        let mut command = buildah.command();
        command
            .env("TMPDIR", &storage)
            .arg("--root")
            .arg(storage.join("root"))
            .arg("--runroot")
            .arg(storage.join("run"));
        command.args(["--storage-driver", "vfs"]).args(args);
        buildah.finish(command).trim().to_owned()
    };
    let container = run(&["from", "scratch"]);
    run(&["copy", "--quiet", &container, &rootfs.display().to_string(), "/"]);
    run(&["config", "--entrypoint", "[\"/bin/sh\"]", "--env", "A=b", "--port", "80", "--user", "1:2", &container]);
    run(&["commit", "--quiet", &container, &format!("oci:{}:x", out.display())]);
    run(&["rm", &container]);
    assert_good(&oci(&out), &["document-media-type-missing", "tar-dialect"]);
}
