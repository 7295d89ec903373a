use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{
    assert_same, bytes_of, is_missing, list_directory, make_layout, names_below, root, tar_of, Fixture, Layout, Member,
    Order, Peer, Scratch, Storage, Tool,
};

/// Builds `rootfs` on `base` and unpacks the result, which must be the rootfs.
#[track_caller]
fn build_on(scratch: &Scratch, base: &str, rootfs: &Path) {
    let (out, unpacked) = (scratch.join("on-it"), scratch.join("unpacked"));
    for path in [&out, &unpacked] {
        let _ = fs::remove_dir_all(path);
    }
    let _ = Tool::new("build").arg(rootfs).oci(&out).args(["--base", base]).run().stdout();
    let _ = Tool::new("unpack").arg(format!("oci:{}", out.display())).arg(&unpacked).run().stdout();
    assert_same(&list_directory(rootfs), &list_directory(&unpacked), base);
    assert_eq!(Tool::new("verify").arg(format!("oci:{}", out.display())).run().code(), 0, "{base}");
}

#[test]
fn other_tools_write_them() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let old = scratch.rootfs("old", "small");
    let new = scratch.join("new");
    run(Command::new("cp").arg("-a").arg(&old).arg(&new));
    fs::write(new.join("added"), "added").unwrap();
    let first = names_below(&new).into_iter().find(|name| new.join(name).is_file() && name != "added").expect("a file");
    fs::remove_file(new.join(first)).unwrap();
    let ours = scratch.join("ours");
    let _ = Tool::build(&old).oci(&ours).bake();
    let from = format!("oci:{}:latest", ours.display());

    if let Some(umoci) = Peer::find("umoci") {
        let (layout, bundle) = (scratch.join("umoci"), scratch.join("bundle"));
        let image = format!("{}:x", layout.display());
        umoci.run(["init", "--layout", &layout.display().to_string()]);
        umoci.run(["new", "--image", &image]);
        umoci.run(["unpack", "--image", &image, &bundle.display().to_string()]);
        run(Command::new("cp").arg("-a").arg(old.join(".")).arg(bundle.join("rootfs")));
        umoci.run(["repack", "--image", &image, &bundle.display().to_string()]);
        build_on(&scratch, &format!("oci:{image}"), &new);
    }
    if let Some(skopeo) = Peer::find("skopeo") {
        for transport in ["oci-archive", "docker-archive"] {
            let archive = format!("{transport}:{}", scratch.join(&format!("skopeo-{transport}.tar")).display());
            skopeo.run(["--insecure-policy", "copy", "-q", &from, &format!("{archive}:localhost/x:v1")]);
            build_on(&scratch, &archive, &new);
        }
        // Compressed as a whole by other tools, although the name does not say so.
        for (program, transport) in
            ["gzip", "xz", "zstd", "bzip2"].into_iter().flat_map(|p| [(p, "oci-archive"), (p, "docker-archive")])
        {
            if let Some(program) = Peer::find(program) {
                let mut command = program.command();
                command.arg("-c").arg(scratch.join(&format!("skopeo-{transport}.tar")));
                let compressed = scratch.join("compressed");
                fs::write(&compressed, command.output().unwrap().stdout).unwrap();
                build_on(&scratch, &format!("{transport}:{}", compressed.display()), &new);
            }
        }
    }
    if let Some(podman) = Storage::of("podman", &scratch) {
        let archive = scratch.join("to-podman.tar");
        let _ = Tool::build(&old).target("oci-archive", &archive, "localhost/x:v1").bake();
        podman.run(&["load", "-q", "-i", &archive.display().to_string()]);
        for transport in ["docker-archive", "oci-archive"] {
            let saved = scratch.join(&format!("podman-{transport}.tar")).display().to_string();
            podman.run(&["save", "-q", "--format", transport, "-o", &saved, "localhost/x:v1"]);
            build_on(&scratch, &format!("{transport}:{saved}"), &new);
        }
    }
    if let Some(buildah) = Storage::of("buildah", &scratch) {
        let container = buildah.run(&["from", "--pull-never", &from]);
        let mount = PathBuf::from(buildah.run(&["mount", &container]));
        fs::write(mount.join("by-buildah"), "x").unwrap();
        buildah.run(&["umount", &container]);
        let layout = format!("oci:{}:x", scratch.join("buildah").display());
        buildah.run(&["commit", "-q", &container, &layout]);
        build_on(&scratch, &layout, &new);
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// The tree from the layers of a base does not differ from the expected tree.
#[test]
fn odd_layers_are_read_as_runtimes_read_them() {
    use Member::{Directory, File, Hardlink, Symlink};
    if !root() {
        return;
    }
    for (what, layers, expected) in [
        (
            "an opaque marker at the end hides lower layers alone",
            vec![
                vec![Directory("d/"), File("d/low", "1"), Directory("d/sub/"), File("d/sub/x", "1")],
                vec![Directory("d/"), File("d/high", "2"), File("d/.wh..wh..opq", "")],
            ],
            "d 0755 0:0 1 /d\nf 0644 0:0 1 /d/high text 2",
        ),
        (
            "one at the beginning too, and in the root",
            vec![vec![File("low", "1")], vec![File(".wh..wh..opq", ""), File("high", "2")]],
            "f 0644 0:0 1 /high text 2",
        ),
        (
            "a whiteout after what the same layer brings",
            vec![vec![File("x", "1")], vec![File("x", "2"), File(".wh.x", "")]],
            "f 0644 0:0 1 /x text 2",
        ),
        (
            "whiteouts of nothing, and of what begins with a name",
            vec![
                vec![Directory("foobar/"), File("foobar/x", "1")],
                vec![File(".wh.foo", ""), Directory("other/"), File("other/.wh.y", "")],
            ],
            "d 0755 0:0 1 /foobar\nf 0644 0:0 1 /foobar/x text 1\nd 0755 0:0 1 /other",
        ),
        (
            "a whiteout of a hidden name",
            vec![vec![File(".hidden", "1"), File("x", "1")], vec![File(".wh..hidden", "")]],
            "f 0644 0:0 1 /x text 1",
        ),
        (
            "aufs's own names",
            vec![vec![
                File(".wh..wh.aufs", ""),
                Directory(".wh..wh.plnk/"),
                File(".wh..wh.plnk/1.2", "x"),
                File("x", "1"),
            ]],
            "f 0644 0:0 1 /x text 1",
        ),
        (
            "absolute, dotted and slashed names are one",
            vec![
                vec![Directory("./"), Directory("/a"), File("/a/x", "1"), File("./a/y", "1"), Directory("b")],
                vec![Directory("a/"), File("a//x", "2"), File("./b/.wh.z", "")],
            ],
            "d 0755 0:0 1 /a\nf 0644 0:0 1 /a/x text 2\nf 0644 0:0 1 /a/y text 1\nd 0755 0:0 1 /b",
        ),
        (
            "the last of two wins",
            vec![vec![File("x", "1"), Symlink("y", "x"), File("x", "2")]],
            "f 0644 0:0 1 /x text 2\nl 0777 0:0 1 /y x",
        ),
        (
            "a link whose first name went above",
            vec![vec![File("a", "1"), Hardlink("b", "a"), Hardlink("c", "./a")], vec![File(".wh.a", "")]],
            "f 0644 0:0 1 /b text 1\nh - - - /c /b",
        ),
        (
            "a link over layers",
            vec![vec![File("b", "1")], vec![Hardlink("a", "/b")]],
            "f 0644 0:0 1 /a text 1\nh - - - /b /a",
        ),
    ] {
        let scratch = Scratch::new();
        let layout = scratch.join("layout");
        let layers: Vec<Vec<u8>> = layers.iter().map(|members| tar_of(members)).collect();
        make_layout(&layout, &layers);
        assert_is(&scratch, &layout, expected, what);
    }
}

/// What Python and GNU tar write for long names, sparse files and attributes.
#[test]
fn layers_that_other_tars_wrote() {
    if !root() {
        return;
    }
    let long = ["n".repeat(60), "m".repeat(60)].join("/");
    let scratch = Scratch::new();
    let (Some(python), Some(gnu)) = (Peer::python(), Peer::find("tar")) else { return };
    let expected = format!(
        "d 0755 0:0 1 /{0}\nf 0640 70000:3000000 1 /{1} text content @user.a=0a3d00ff\nf 0644 0:0 1 /sparse hole 3000000",
        &long[..60], long
    );
    let tree = scratch.join("tree");
    Fixture::parse(&format!("d 0755 0:0 1 /\n{expected}")).make(&tree, Order::AsListed);
    for (what, options) in
        [("posix", "--format=posix --xattrs --sparse"), ("GNU", "--format=gnu --sparse"), ("PAX", "")]
    {
        let tar = scratch.join("layer.tar");
        let expected = if what == "GNU" { expected.replace(" @user.a=0a3d00ff", "") } else { expected.clone() };
        if options.is_empty() {
            let script = "import sys,tarfile,os\nt=tarfile.open(sys.argv[1],'w',format=tarfile.PAX_FORMAT)\n\
                os.chdir(sys.argv[2])\n\
                def put(i):\n if i.isreg() and i.size==7: i.pax_headers={'SCHILY.xattr.user.a':'\\n=\\0\\udcff','VENDOR.x':'y'}\n return i\n\
                t.add('.',filter=put)\nt.close()";
            python.run(["-c", script, &tar.display().to_string(), &tree.display().to_string()]);
        } else {
            let mut command = gnu.command();
            command.args(options.split(' ')).arg("-cf").arg(&tar).arg("-C").arg(&tree).arg(".");
            gnu.finish(command);
        }
        let layout = scratch.join("layout");
        let _ = fs::remove_dir_all(&layout);
        make_layout(&layout, &[fs::read(&tar).unwrap()]);
        assert_is(&scratch, &layout, &expected, what);
    }
}

/// The unpacked image is this tree, except for properties of the root that are not in the layers.
#[track_caller]
fn assert_is(scratch: &Scratch, layout: &Path, expected: &str, what: &str) {
    let (unpacked, image) = (scratch.join("unpacked"), format!("oci:{}", layout.display()));
    let _ = fs::remove_dir_all(&unpacked);
    let _ = Tool::new("unpack").arg(&image).arg(&unpacked).run().stdout();
    let mut found = list_directory(&unpacked);
    let expected = Fixture::parse(&format!("d 0755 0:0 1 /\n{expected}")).listing();
    *found.get_mut(Path::new("")).unwrap() = expected[Path::new("")].clone();
    assert_same(&expected, &found, what);

    let _ = fs::remove_dir_all(scratch.join("out"));
    let _ = Tool::new("build")
        .arg(&unpacked)
        .oci(&scratch.join("out"))
        .args(["--base", &image])
        .run()
        .digest_despite_warnings();
    let (base, built) = (Layout::at(layout).latest(), Layout::at(&scratch.join("out")).latest());
    assert_eq!(built.layers(), base.layers(), "{what}: the base reads otherwise than it unpacks");
}

#[test]
fn whiteouts_of_nothing_and_names_that_lead_out_are_refused() {
    for (layer, reason) in [
        (vec![Member::File("d/.wh.", "")], "whiteout"),
        (vec![Member::File(".wh..", "")], "whiteout"),
        (vec![Member::File("d/.wh...", "")], "whiteout"),
        (vec![Member::File("a/../../x", "1")], ".."),
        (vec![Member::Hardlink("x", "../x")], ".."),
        (vec![Member::Hardlink("x", "y")], "hard link"),
    ] {
        let scratch = Scratch::new();
        let (rootfs, layout) = (scratch.small_rootfs(), scratch.join("layout"));
        make_layout(&layout, &[tar_of(&layer)]);
        let base = format!("oci:{}", layout.display());
        let out = scratch.join("out");
        let error = Tool::new("build").arg(rootfs).oci(&out).args(["--base", &base]).run().error();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(is_missing(&out));
    }
}

/// Whatever is wrong with a base, nothing from it appears under a final name.
#[test]
fn a_damaged_base_leaves_the_target_alone() {
    let scratch = Scratch::new();
    let (rootfs, base, out) = (scratch.small_rootfs(), scratch.join("base"), scratch.join("out"));
    let _ = Tool::build(&rootfs).oci(&base).bake();
    let _ = Tool::build(&rootfs).oci(&out).args(["--env", "A=1"]).bake();
    let cache = scratch.join("cache");
    let (good, before) = (bytes_of(&base), bytes_of(&out));
    fs::write(rootfs.join("more"), "more").unwrap();
    let image = Layout::at(&base).latest();
    let blob = |digest: &str| base.join("blobs").join(digest.replace(':', "/"));
    let layer = blob(&image.layers()[0]);
    let layer_bytes = fs::read(&layer).unwrap();
    let build = || {
        let base = format!("oci:{}", base.display());
        Tool::new("build").arg(&rootfs).oci(&out).args(["--base", &base, "--cache"]).arg(&cache).run()
    };
    for pass in ["without a cache", "with a warm cache"] {
        let mut flipped = layer_bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for (what, bytes) in [
            ("a flipped bit", flipped),
            ("a blob cut short", layer_bytes[..layer_bytes.len() - 9].to_vec()),
            ("bytes after it", [layer_bytes.as_slice(), b"more"].concat()),
        ] {
            fs::write(&layer, bytes).unwrap();
            let error = build().error();
            assert!(error.contains(&image.layers()[0][7..19]) || error.contains("layer"), "{pass}, {what}: {error}");
            assert_eq!(bytes_of(&out), before, "{pass}, {what}");
        }
        fs::remove_file(&layer).unwrap();
        let _ = build().error();
        assert_eq!(bytes_of(&out), before);
        fs::write(&layer, &layer_bytes).unwrap();
        if pass == "without a cache" {
            assert!(is_missing(&cache), "something of a damaged base was kept");
            let other = scratch.join("other");
            let base = format!("oci:{}", base.display());
            let _ = Tool::new("build").arg(&rootfs).oci(&other).args(["--base", &base, "--cache"]).arg(&cache).bake();
        }
    }
    assert_eq!(bytes_of(&base), good);
}

/// Correct digests of documents that are wrong about the layer.
#[test]
fn a_base_that_lies_leaves_the_target_alone() {
    type Lie<'a> = &'a dyn Fn(&mut Value, &mut Value);

    let tar = tar_of(&[Member::File("x", "1")]);
    let size = tar.len();
    let other = format!("sha256:{}", "1".repeat(64));
    let lies: [(&str, Lie<'_>); 3] = [
        ("diff_id", &|config, _| config["rootfs"]["diff_ids"][0] = other.as_str().into()),
        ("size", &|_, manifest| manifest["layers"][0]["size"] = (size + 1).into()),
        ("size", &|_, manifest| manifest["layers"][0]["size"] = (size - 1).into()),
    ];
    for (what, lie) in lies {
        let scratch = Scratch::new();
        let (rootfs, out, lying) = (scratch.small_rootfs(), scratch.join("out"), scratch.join("lying"));
        let _ = Tool::build(&rootfs).oci(&out).bake();
        let before = bytes_of(&out);
        make_layout(&lying, &[tar.clone()]);
        let image = Layout::at(&lying).latest();
        let (mut config, mut manifest, mut index) =
            (image.config.clone(), image.manifest.clone(), Layout::at(&lying).index());
        lie(&mut config, &mut manifest);
        let put = |document: &Value, descriptor: &mut Value| {
            let bytes = document.to_string();
            let digest = crate::harness::sha256(bytes.as_bytes());
            fs::write(lying.join("blobs/sha256").join(&digest), &bytes).unwrap();
            descriptor["digest"] = format!("sha256:{digest}").into();
            descriptor["size"] = bytes.len().into();
        };
        put(&config, &mut manifest["config"]);
        put(&manifest, &mut index["manifests"][0]);
        fs::write(lying.join("index.json"), index.to_string()).unwrap();
        let base = format!("oci:{}", lying.display());
        let error = Tool::new("build").arg(&rootfs).oci(&out).args(["--base", &base]).run().error();
        assert!(error.contains(what), "{what}: {error}");
        assert_eq!(bytes_of(&out), before, "{what}");
    }
}

#[test]
fn a_cache_changes_nothing_and_is_never_believed_when_damaged() {
    let scratch = Scratch::new();
    let (rootfs, base, cache) = (scratch.small_rootfs(), scratch.join("base"), scratch.join("cache"));
    let _ = Tool::build(&rootfs).oci(&base).bake();
    fs::write(rootfs.join("more"), "more").unwrap();
    let build = |name: &str, with_cache: bool| {
        let base = format!("oci:{}", base.display());
        let tool = Tool::new("build").arg(&rootfs).oci(&scratch.join(name)).args(["--base", &base]);
        if with_cache { tool.arg("--cache").arg(&cache) } else { tool }.bake()
    };
    let expected = build("plain", false);
    assert_eq!(build("cold", true), expected);
    let changesets = || {
        let mut kept = bytes_of(&cache);
        kept.retain(|path, _| path.extension().is_some_and(|extension| extension == "changeset"));
        kept
    };
    let kept = changesets();
    assert_eq!(kept.len(), 1, "{:?}", kept.keys());
    assert_eq!(build("warm", true), expected);
    assert_eq!(changesets(), kept);

    let file = cache.join(kept.keys().next().unwrap());
    let bytes = fs::read(&file).unwrap();
    // A wrong value that would show: the size of the first file.
    let lie = String::from_utf8(bytes.clone()).unwrap().replacen("\"mode\":", "\"mode\":1", 1);
    for damaged in [lie.into_bytes(), bytes[..bytes.len() / 2].to_vec(), Vec::new()] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(build("damaged", true), expected);
        assert_eq!(fs::read(&file).unwrap(), bytes, "it was not written anew");
    }
    // An intact list with another value is believed, which shows that the layer is not decompressed again.
    let body = String::from_utf8(bytes).unwrap();
    let body = &body[..=body.rfind('\n').unwrap()];
    let without_last = &body[..=body[..body.len() - 1].rfind('\n').unwrap()];
    let digest = crate::harness::sha256(without_last.as_bytes());
    fs::write(&file, format!("{without_last}sha256:{digest}")).unwrap();
    assert_ne!(build("believed", true), expected);
}
