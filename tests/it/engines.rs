use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{
    assert_same, list_directory, make_layout, sha256, tar_of, Daemon, Layout, Listing, Member, Scratch, Storage, Tool,
};

const NAME: &str = "registry.example:5000/team/app:v1";

/// A path as an argument.
fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A tree as these daemons keep it: they set the time of the root themselves, and Docker ignores times that it
/// considers invalid.
fn listed(tree: &Path) -> Listing {
    let mut listing = list_directory(tree);
    listing.get_mut(Path::new("")).expect("a root").mtime = 0;
    for node in listing.values_mut() {
        if !(0..1 << 31).contains(&node.mtime) {
            node.mtime = 0;
        }
    }
    listing
}

/// The daemons' name for the tree of some layers.
fn chain_id(config: &Value) -> String {
    let diff_ids: Vec<&str> =
        config["rootfs"]["diff_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert!(diff_ids.len() > 1);
    let upper = diff_ids[1..].iter();
    upper.fold(diff_ids[0].to_owned(), |below, id| format!("sha256:{}", sha256(format!("{below} {id}").as_bytes())))
}

/// A split that separates directories from their entries. These daemons copy the trees of lower layers, and lose what
/// their copies cannot hold: hard links of devices, some attributes.
const CUT: [&str; 2] = ["--layers", "files=/files,/ids names=/names,/times/* rest=*"];

/// An image of two layers or more, with everything that a rootfs may hold above the base, as `NAME` and under two more
/// names.
fn bake(rootfs: &Path, base: &Path, archive: &Path, flags: &[&str]) -> String {
    let base = format!("oci:{}", base.display());
    let target = format!("docker-archive:{}:{NAME}", archive.display());
    let names = ["--additional-tag", ":v2", "--additional-tag", "hub"];
    Tool::build(rootfs).arg(target).args(["--base", &base]).args(names).args(flags).run().digest_despite_warnings()
}

/// The base of those images, which remove everything in it.
fn make_base(scratch: &Scratch) -> PathBuf {
    let base = scratch.join("base");
    make_layout(&base, &[tar_of(&[Member::Directory("./"), Member::Directory("gone/"), Member::File("gone/x", "1")])]);
    base
}

#[test]
fn containerd_imports_it_applies_its_layers_and_exports_it() {
    let scratch = Scratch::new();
    let Some(containerd) = Daemon::containerd() else { return };
    let (rootfs, base) = (scratch.rootfs("rootfs", "everything"), make_base(&scratch));
    let mut expected = listed(&rootfs);
    // It does not change the root directory, and copies the tree of a lower layer without these.
    let untouched = expected.get_mut(Path::new("")).unwrap();
    (untouched.mode, untouched.uid, untouched.gid) = (0o755, 0, 0);
    for node in expected.values_mut() {
        node.xattrs.retain(|name, _| !name.starts_with(b"trusted."));
    }
    for (form, flags) in [
        ("gzip", ["--compression", "gzip"]),
        ("zstd", ["--compression", "zstd"]),
        ("none", ["--compression", "none"]),
        ("layers", CUT),
    ] {
        let (archive, label) = (scratch.join("a.tar"), format!("form={form}"));
        let digest = bake(&rootfs, &base, &archive, &[&flags[..], &["--label", &label]].concat());
        // An image unpacked in one namespace is not unpacked again.
        let ctr = |args: &[&str]| containerd.run(&[&["--namespace", form], args].concat());
        ctr(&["images", "import", "--snapshotter=native", &text(&archive)]);
        for name in [NAME, "registry.example:5000/team/app:v2", "docker.io/library/hub:v1"] {
            let images = ctr(&["images", "list", &format!("name=={name}")]);
            let image = images.lines().nth(1).unwrap_or_else(|| panic!("no {name}"));
            assert!(image.contains(&digest) && image.contains("linux/amd64"), "{image}");
        }

        let config = Tool::new("inspect").arg(&archive).args(["--raw", "config"]).run().json();
        let view = ["snapshots", "--snapshotter=native", "view", "--mounts", "look", &chain_id(&config)];
        let mounts: Value = serde_json::from_str(&ctr(&view)).unwrap();
        assert_same(&expected, &listed(Path::new(mounts[0]["Source"].as_str().unwrap())), "containerd");

        let exported = scratch.join("exported.tar");
        ctr(&["images", "export", &text(&exported), NAME]);
        assert_eq!(Tool::new("verify").arg(&exported).run().code(), 0);
        assert_eq!(Tool::new("inspect").arg(&exported).arg("--json").run().json()["digest"], digest.as_str());
    }
}

/// What podman, containerd and Docker show for an archive of each kind. Docker before version 25 reads no other than
/// its own.
#[test]
fn archives_are_loaded_under_their_full_name() {
    let scratch = Scratch::new();
    let (Some(containerd), Some(docker)) = (Daemon::containerd(), Daemon::docker()) else { return };
    let Some(podman) = Storage::of("podman", &scratch) else { return };
    let rootfs = scratch.small_rootfs();
    for (number, (target, flags, name)) in [
        ("docker-archive:{}:registry.example:5000/team/app:v1", &[][..], NAME),
        ("docker-archive:{}", &["--tag=v1", "--repository=registry.example:5000/team/app"], NAME),
        ("oci-archive:{}:registry.example:5000/team/app:v1", &[], NAME),
        ("oci-archive:{}:v1", &["--repository=registry.example:5000/team/app"], NAME),
        ("oci-archive:{}", &["--tag=v1", "--repository=registry.example:5000/team/app"], NAME),
        ("oci-archive:{}:hub:v1", &[], "docker.io/library/hub:v1"),
        ("oci-archive:{}", &["--repository=hub"], "docker.io/library/hub:latest"),
    ]
    .into_iter()
    .enumerate()
    {
        // Another image each, because stores merge the names of equal images.
        let (archive, label) = (scratch.join("a.tar"), format!("number={number}"));
        let target = target.replace("{}", &text(&archive));
        let digest = Tool::build(&rootfs).arg(&target).args(flags).args(["--label", &label]).bake();

        podman.run(&["load", "-q", "-i", &text(&archive)]);
        assert_eq!(podman.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).trim(), name, "{target} {flags:?}");
        podman.run(&["rmi", "-a", "-f"]);

        containerd.run(&["images", "import", "--no-unpack", &text(&archive)]);
        let images = containerd.run(&["images", "list"]);
        let listed: Vec<&str> = images.lines().skip(1).collect();
        assert!(listed.len() == 1 && listed[0].starts_with(&format!("{name} ")), "{target} {flags:?}: {images}");
        assert!(listed[0].contains(&digest), "{images}");
        containerd.run(&["images", "remove", "--sync", name]);

        if target.starts_with("docker-archive:") {
            docker.run(&["load", "--quiet", "--input", &text(&archive)]);
            assert_eq!(docker.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), name);
            docker.run(&["image", "rm", "--force", name]);
        }
    }
}

/// Where Docker's vfs driver keeps the tree of an image, all layers applied.
fn stored_tree(docker: &Daemon, config: &Value) -> PathBuf {
    let data = docker.directory().join("data");
    let id = data.join("image/vfs/layerdb").join(chain_id(config).replace(':', "/")).join("cache-id");
    data.join("vfs/dir").join(fs::read_to_string(id).unwrap())
}

#[test]
fn docker_loads_it_in_every_form_and_saves_it() {
    let scratch = Scratch::new();
    let Some(docker) = Daemon::docker() else { return };
    let (rootfs, base) = (scratch.rootfs("rootfs", "everything"), make_base(&scratch));
    let expected = listed(&rootfs);
    // Docker reads zstd since version 23, and has always read plain tars.
    for (form, ending, flags) in [
        ("gzip", "tar", &["--compression", "gzip"][..]),
        ("none", "tar.gz", &["--compression", "none"]),
        ("legacy", "tar", &["--docker-legacy-only"]),
        ("layers", "tar", &CUT),
    ] {
        let archive = scratch.join(&format!("{form}.{ending}"));
        let label = format!("form={form}");
        let _ = bake(&rootfs, &base, &archive, &[flags, &["--label", &label]].concat());
        let image = format!("docker-archive:{}", archive.display());
        docker.run(&["load", "--quiet", "--input", &text(&archive)]);

        let config = Tool::new("inspect").arg(&image).args(["--raw", "config"]).run().stdout();
        let id = format!("sha256:{}", sha256(config.as_bytes()));
        let images = docker.run(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]);
        let names: BTreeSet<&str> = images.lines().filter_map(|line| line.strip_prefix(&id)).map(str::trim).collect();
        assert_eq!(names, BTreeSet::from([NAME, "registry.example:5000/team/app:v2", "hub:v1"]), "{form}: {images}");

        let config: Value = serde_json::from_str(&config).unwrap();
        assert_same(&expected, &listed(&stored_tree(&docker, &config)), "docker");
        // Its archives have different manifests, but the same config and layers.
        let saved = scratch.join("saved.tar");
        docker.run(&["save", "--output", &text(&saved), NAME, "hub:v1"]);
        let saved = format!("docker-archive:{}:{NAME}", saved.display());
        let back = scratch.join(&format!("back-{form}"));
        let _ = Tool::new("convert").args([&saved, &format!("oci:{}:back", back.display())]).bake();
        assert_eq!(Tool::new("verify").arg(format!("oci:{}", back.display())).run().code(), 0);
        assert_eq!(Layout::at(&back).image("back").config, config);
        // Existing layers are not loaded again.
        docker.run(&["image", "rm", "--force", &id]);
    }
}

/// The oldest form has no config: Docker makes one from the documents of the layers.
#[test]
fn docker_loads_what_has_no_manifest() {
    let scratch = Scratch::new();
    let Some(docker) = Daemon::docker() else { return };
    let (rootfs, base, archive) = (scratch.small_rootfs(), make_base(&scratch), scratch.join("a.tar"));
    let _ = bake(&rootfs, &base, &archive, &["--docker-legacy-only", "--cmd", "/bin/app"]);
    let from = scratch.make_directory("from");
    let mut reader = tar::Archive::new(fs::File::open(&archive).unwrap());
    reader.unpack(&from).unwrap();
    fs::remove_file(from.join("manifest.json")).unwrap();
    let old = scratch.join("old.tar");
    let mut writer = tar::Builder::new(fs::File::create(&old).unwrap());
    writer.follow_symlinks(false);
    writer.append_dir_all(".", &from).unwrap();
    writer.finish().unwrap();
    docker.run(&["load", "--quiet", "--input", &text(&old)]);
    let shown = docker.run(&["image", "inspect", "--format", "{{json .Config.Cmd}} {{len .RootFS.Layers}}", NAME]);
    assert_eq!(shown, "[\"/bin/app\"] 2");
}

#[test]
fn both_take_an_image_for_several_platforms() {
    let scratch = Scratch::new();
    let (Some(containerd), Some(docker)) = (Daemon::containerd(), Daemon::docker()) else { return };
    let rootfs = scratch.small_rootfs();
    let images = ["amd64", "arm64", "riscv64"].map(|architecture| {
        let out = scratch.join(architecture);
        let _ = Tool::new("build").arg(&rootfs).args(["--arch", architecture]).oci(&out).bake();
        format!("oci:{}", out.display())
    });
    let (one, other) = (scratch.join("one.tar"), scratch.join("other.tar"));
    let index = |target: String| Tool::new("index").args(&images).arg(target).bake();
    let digest = index(format!("docker-archive:{}:{NAME}", one.display()));
    assert_eq!(index(format!("oci-archive:{}:v2", other.display())), digest);

    let import = |archive: &Path, more: &[&str]| {
        let archive = text(archive);
        containerd.run(&[&["images", "import", "--all-platforms", "--no-unpack"], more, &[&archive]].concat());
    };
    import(&one, &[]);
    import(&other, &["--base-name=registry.example:5000/team/app"]);
    for name in [NAME, "registry.example:5000/team/app:v2"] {
        let images = containerd.run(&["images", "list", &format!("name=={name}")]);
        let image = images.lines().nth(1).unwrap_or_else(|| panic!("no {name}"));
        assert!(image.contains(&digest) && image.contains("linux/amd64,linux/arm64/v8,linux/riscv64"), "{image}");
    }

    // Docker before version 25 sees only its own list, in which the first image has the name.
    docker.run(&["load", "--quiet", "--input", &text(&one)]);
    assert_eq!(docker.run(&["image", "inspect", "--format", "{{.Architecture}}", NAME]), "amd64");
}
