use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{assert_same, list_directory, root, sha256, Fixture, Layout, Order, Peer, Scratch, Storage, Tool};

/// The program of the image: busybox, whose links provide everything that a shell needs.
const SETTINGS: [&str; 14] = [
    "--entrypoint",
    "/bin/sh -c",
    "--cmd",
    "'echo $GREETING; id -u'",
    "--env",
    "GREETING=hello from the oven",
    "--user",
    "4242:4242",
    "--working-dir",
    "/srv",
    "--label",
    ".title=An image",
    "--stop-signal",
    "TERM",
];

/// A rootfs that can run something: the distribution's static busybox, with owners that only root can give.
#[track_caller]
fn runnable_rootfs(scratch: &Scratch) -> Option<std::path::PathBuf> {
    if !root() {
        return None;
    }
    let busybox = Peer::find("busybox")?;
    let rootfs = scratch.join("rootfs");
    let tree = Fixture::parse(
        "d 0755 0:0 1520598896 /
         d 0755 0:0 1520598896 /bin
         f 4755 0:0 1520598896 /bin/busybox text replaced
         l 0777 0:0 1520598896 /bin/sh busybox
         l 0777 0:0 1520598896 /bin/echo busybox
         l 0777 0:0 1520598896 /bin/id busybox
         d 0755 0:0 1520598896 /etc
         f 0644 0:0 1520598896 /etc/passwd text root:x:0:0::/:/bin/sh\\nbaker:x:4242:4242::/srv:/bin/sh\\n
         f 0755 0:0 1520598896 /etc/ping text ping @security.capability=0100000200200000000000000000000000000000
         d 0750 4242:4242 1520598896 /srv
         f 0640 4242:4242 1520598896 /srv/file text content
         h - - - /srv/file-too /srv/file",
    );
    tree.make(&rootfs, Order::AsListed);
    let target = rootfs.join("bin/busybox");
    fs::write(&target, fs::read(busybox.path()).unwrap()).unwrap();
    fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Some(rootfs)
}

fn oci(path: &Path) -> String {
    format!("oci:{}:latest", path.display())
}

#[test]
fn skopeo_copies_the_very_same_bytes() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let rootfs = scratch.small_rootfs();
    for compression in ["gzip", "zstd", "none"] {
        let out = scratch.join(compression);
        let digest = Tool::build(&rootfs).oci(&out).args(["--compression", compression]).bake();

        // Into a directory, which keeps blobs under their digests and the manifest unchanged.
        let copy = scratch.join(&format!("{compression}-dir"));
        skopeo.run(["--insecure-policy", "copy", "-q", &oci(&out), &format!("dir:{}", copy.display())]);
        let manifest = fs::read(copy.join("manifest.json")).unwrap();
        assert_eq!(format!("sha256:{}", sha256(&manifest)), digest);
        let image = Layout::at(&out).latest();
        let layer = image.layer_path();
        assert!(fs::read(copy.join(layer.file_name().unwrap())).unwrap() == fs::read(&layer).unwrap());

        // Into an archive, and back.
        let archive = scratch.join(&format!("{compression}.tar"));
        let again = scratch.join(&format!("{compression}-again"));
        // By default it compresses uncompressed layers.
        let copy = ["--insecure-policy", "copy", "-q", "--preserve-digests"];
        let in_archive = format!("oci-archive:{}:x", archive.display());
        skopeo.run(copy.into_iter().chain([oci(&out).as_str(), &in_archive]));
        skopeo.run(copy.into_iter().chain([in_archive.as_str(), &format!("oci:{}:y", again.display())]));
        assert_eq!(Layout::at(&again).refs()["y"], digest);
    }
}

#[test]
fn skopeo_reads_our_archives_whatever_their_outer_compression() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let rootfs = scratch.small_rootfs();
    for ending in ["tar", "tar.gz", "tar.xz", "tar.zst"] {
        let archive = scratch.join(&format!("image.{ending}"));
        let digest = Tool::build(&rootfs).arg(&archive).bake();
        let copy = scratch.join(&format!("from-{ending}"));
        skopeo.run([
            "--insecure-policy",
            "copy",
            "-q",
            &format!("oci-archive:{}:latest", archive.display()),
            &format!("oci:{}:latest", copy.display()),
        ]);
        assert_eq!(Layout::at(&copy).refs()["latest"], digest, "{ending}");
    }
}

#[test]
fn skopeo_turns_it_into_a_docker_archive() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let rootfs = scratch.small_rootfs();
    for compression in ["gzip", "none"] {
        let out = scratch.join(compression);
        let _ = Tool::build(&rootfs).oci(&out).args(["--compression", compression]).bake();
        let docker = format!("docker-archive:{}", scratch.join(&format!("{compression}.tar")).display());
        skopeo.run(["--insecure-policy", "copy", "-q", &oci(&out), &format!("{docker}:oven/bread:v1")]);
        let inspected: Value = serde_json::from_str(&skopeo.run(["inspect", &docker])).unwrap();
        assert_eq!(inspected["Architecture"], "amd64");
        // The layers of a docker archive are plain: skopeo has held our blob to its diff_id.
        let diff_id = Layout::at(&out).latest().diff_id();
        assert_eq!(inspected["Layers"], serde_json::json!([diff_id]));
    }
}

#[test]
fn skopeo_inspects_what_was_set() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let out = scratch.join("out");
    let digest = Tool::build(scratch.small_rootfs())
        .oci(&out)
        .args(SETTINGS)
        .args(["--variant", "v2", "--created", "1520598896"])
        .bake();
    let image = Layout::at(&out).latest();

    let inspected: Value = serde_json::from_str(&skopeo.run(["inspect", &oci(&out)])).unwrap();
    assert_eq!(inspected["Digest"], digest.as_str());
    assert_eq!(inspected["Created"], "2018-03-09T12:34:56Z");
    assert_eq!(inspected["Architecture"], "amd64");
    assert_eq!(inspected["Os"], "linux");
    assert_eq!(inspected["Labels"]["org.opencontainers.image.title"], "An image");
    assert_eq!(inspected["Env"], serde_json::json!(["GREETING=hello from the oven"]));

    let raw = skopeo.run(["inspect", "--raw", &oci(&out)]);
    assert_eq!(format!("sha256:{}", sha256(raw.as_bytes())), digest);
    let config: Value = serde_json::from_str(&skopeo.run(["inspect", "--config", &oci(&out)])).unwrap();
    assert_eq!(config["config"], image.config["config"]);
    assert_eq!(config["rootfs"], image.config["rootfs"]);
    assert_eq!(config["history"], image.config["history"]);
}

#[test]
fn umoci_shows_and_unpacks_it() {
    let scratch = Scratch::new();
    let (Some(umoci), Some(rootfs)) = (Peer::find("umoci"), runnable_rootfs(&scratch)) else { return };
    // umoci 0.4.7 does not support zstd.
    for compression in ["gzip", "none"] {
        let out = scratch.join(compression);
        let _ = Tool::build(&rootfs).oci(&out).args(SETTINGS).args(["--compression", compression]).bake();
        let image = format!("{}:latest", out.display());
        let shown: Value = serde_json::from_str(&umoci.run(["stat", "--json", "--image", &image])).unwrap();
        let layer = Layout::at(&out).latest().manifest["layers"][0].clone();
        assert_eq!(shown["history"][0]["layer"]["digest"], layer["digest"], "{shown:#}");
        assert_eq!(shown["history"][0]["created_by"], "ocibake build", "{shown:#}");

        let bundle = scratch.join(&format!("{compression}-bundle"));
        umoci.run(["unpack", "--image", &image, &bundle.display().to_string()]);
        assert_same(&list_directory(&rootfs), &list_directory(&bundle.join("rootfs")), "umoci");
        let runtime: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
        assert_eq!(runtime["process"]["args"], serde_json::json!(["/bin/sh", "-c", "echo $GREETING; id -u"]));
        assert_eq!(runtime["process"]["user"]["uid"], 4242);
        assert_eq!(runtime["process"]["cwd"], "/srv");
    }
}

/// Compares the tree that a storage mounted with the rootfs, except the time of the root itself, which no storage
/// keeps.
#[track_caller]
fn assert_stored(rootfs: &Path, mount: &str) {
    let (expected, mut found) = (list_directory(rootfs), list_directory(Path::new(mount)));
    found.get_mut(Path::new("")).unwrap().mtime = expected[Path::new("")].mtime;
    assert_same(&expected, &found, "the storage");
}

#[test]
fn buildah_mounts_it_and_runs_it() {
    let scratch = Scratch::new();
    let (Some(buildah), Some(rootfs)) = (Storage::of("buildah", &scratch), runnable_rootfs(&scratch)) else { return };
    for compression in ["gzip", "zstd", "none"] {
        let out = scratch.join(compression);
        let _ = Tool::build(&rootfs).oci(&out).args(SETTINGS).args(["--compression", compression]).bake();
        let container = buildah.run(&["from", "--pull-never", &oci(&out)]);
        let mount = buildah.run(&["mount", &container]);
        assert_stored(&rootfs, &mount);
        buildah.run(&["umount", &container]);
        let said =
            buildah.run(&["run", "--isolation=chroot", &container, "/bin/sh", "-c", "echo $GREETING; id -u; echo *"]);
        assert_eq!(said, "hello from the oven\n4242\nfile file-too", "{compression}");
        buildah.run(&["rm", &container]);
    }
}

#[test]
fn podman_loads_and_mounts_an_archive() {
    let scratch = Scratch::new();
    let (Some(podman), Some(rootfs)) = (Storage::of("podman", &scratch), runnable_rootfs(&scratch)) else { return };
    for (form, flags) in [
        ("gzip", ["--compression", "gzip"]),
        ("zstd", ["--compression", "zstd"]),
        ("layers", ["--layers", "links=**/*l* rest=*"]),
    ] {
        let archive = scratch.join(&format!("{form}.tar"));
        let name = format!("localhost/oven/{form}:v1");
        let _ = Tool::build(&rootfs).target("oci-archive", &archive, &name).args(SETTINGS).args(flags).bake();
        podman.run(&["load", "-q", "-i", &archive.display().to_string()]);
        let config = podman.run(&["image", "inspect", "--format", "{{json .Config}}", &name]);
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["User"], "4242:4242");
        assert_eq!(config["StopSignal"], "SIGTERM");
        assert_eq!(config["WorkingDir"], "/srv");
        let mount = podman.run(&["image", "mount", &name]);
        assert_stored(&rootfs, &mount);
        podman.run(&["image", "umount", &name]);
    }
}
