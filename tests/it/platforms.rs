use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{named, with, ByHand, Scratch, Tool};

/// A layout with an index `v1` of images for these platforms, `architecture[/variant]`, each with its own content.
fn layout(path: &Path, platforms: &[&str]) -> Vec<Value> {
    let layout = ByHand::at(path);
    let image = |(at, platform): (usize, &&str)| {
        let (architecture, variant) = platform.split_once('/').map_or((*platform, None), |(a, v)| (a, Some(v)));
        let mut members = json!({"architecture": architecture, "os": "linux"});
        if let Some(variant) = variant {
            members["variant"] = variant.into();
        }
        let descriptor = layout.image(&[], &with(members.clone(), &json!({"author": at.to_string()})));
        with(descriptor, &json!({"platform": members}))
    };
    let images: Vec<Value> = platforms.iter().enumerate().map(image).collect();
    layout.list(&[named(&layout.index(&images), "v1")]);
    images
}

/// Every verb chooses a platform like `inspect`: in one function, which has unit tests.
#[test]
fn the_image_that_is_meant_is_found() {
    let scratch = Scratch::new();
    for (platforms, pattern, meant) in [
        (&["amd64", "arm64"][..], "linux/arm64/v8", 1),
        (&["amd64", "arm64"], "linux/aarch64", 1),
        (&["amd64", "arm64/v8"], "arm64", 1),
        (&["arm64/v9", "arm64/v8"], "linux/arm64", 1),
        (&["amd64/v2", "amd64"], "x86_64", 1),
        (&["amd64", "amd64/v2"], "linux/amd64/v2", 1),
        (&["arm/v6", "arm/v7"], "armhf", 1),
        (&["amd64", "arm/v6"], "linux/arm", 1),
    ] {
        let images = layout(&scratch.join("layout"), platforms);
        let seen = Tool::new("inspect").args(["oci:layout:v1", "--json", "--platform", pattern]);
        let seen = seen.within(scratch.path()).run().json();
        assert_eq!(seen["digest"], images[meant]["digest"], "{pattern} of {platforms:?}");
    }
}

#[test]
fn what_is_not_one_image_is_told_with_digests() {
    let scratch = Scratch::new();
    let images = layout(&scratch.join("layout"), &["amd64/v2", "amd64/v3", "amd64/v3", "arm64"]);
    let inspect = |pattern: &str| {
        let tool = Tool::new("inspect").args(["oci:layout:v1", "--platform", pattern]);
        tool.within(scratch.path()).run().error()
    };
    let digest = |at: usize| images[at]["digest"].as_str().unwrap();
    let error = inspect("linux/amd64");
    assert!(error.contains("one image for platform `linux/amd64` is wanted, found 3"), "{error}");
    assert!((0..3).all(|at| error.contains(digest(at))) && !error.contains(digest(3)), "{error}");
    let error = inspect("linux/amd64/v3");
    assert!((1..3).all(|at| error.contains(digest(at))) && !error.contains(digest(0)), "{error}");
    let error = inspect("riscv64");
    assert!(error.contains("no image for platform `linux/riscv64`") && error.contains("v1 linux/arm64"), "{error}");
    let error = inspect("linux");
    assert!(error.contains("`linux`") && error.contains("`os/architecture[/variant]`"), "{error}");
}

/// A base that lists `linux/arm64` serves a build for `aarch64`, whose platform is `arm64/v8`.
#[test]
fn a_base_is_found_under_default_variants() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for (platforms, architecture, meant) in
        [(&["amd64", "arm64"][..], "aarch64", 1), (&["amd64/v2", "amd64"], "x86_64", 1), (&["amd64/v3"], "x86_64", 0)]
    {
        let images = layout(&scratch.join("layout"), platforms);
        let build =
            Tool::new("build").args(["rootfs", "oci:out:v1", "--base", "oci:layout:v1", "--arch", architecture]);
        let _ = build.within(scratch.path()).bake();
        let manifest = Tool::new("inspect").args(["oci:out:v1", "--raw", "manifest"]);
        let manifest = manifest.within(scratch.path()).run().json();
        let base = &manifest["annotations"]["org.opencontainers.image.base.digest"];
        assert_eq!(*base, images[meant]["digest"], "{architecture} of {platforms:?}");
    }
}

/// Some tools say no platform in the index, or one that is unknown; the config has it. That does not make an artifact
/// of an image.
#[test]
fn a_platform_that_only_the_config_knows() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let image = layout.image(&[], &json!({"architecture": "arm64", "os": "linux"}));
    for platform in [
        json!({"architecture": "unknown", "os": "unknown"}),
        json!({}),
        json!({"os": "linux"}),
        json!({"architecture": "", "os": ""}),
    ] {
        layout.list(&[with(named(&image, "v1"), &json!({"platform": platform}))]);
        for words in [&["inspect", "oci:l:v1", "--json"][..], &["inspect", "oci:l", "--json"]] {
            let found = Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run().json();
            assert_eq!(found["digest"], image["digest"], "{platform}");
        }
        let listed = Tool::new("ls").args(["oci:l", "--json"]).within(scratch.path()).run().json();
        assert_eq!(listed[0]["ref"], "v1", "{platform}");
        Tool::new("convert").args(["oci:l:v1", "oci:c:v1"]).within(scratch.path()).run().printed();
        Tool::new("index").args(["oci:l:v1", "oci:i:v1"]).within(scratch.path()).run().printed();
        // What a hint offers can be typed, and works.
        for words in [&["inspect", "oci:l:v1"][..], &["convert", "oci:l:v1", "oci:p:v1"]] {
            let run = |platform| Tool::new(words[0]).args(&words[1..]).args(["--platform", platform]);
            let error = run("linux/amd64").within(scratch.path()).run().error();
            let offered = error.rsplit(' ').next().unwrap();
            assert_eq!(offered, "linux/arm64", "{platform}: {error}");
            run(offered).within(scratch.path()).run().printed();
        }
        for place in ["c", "i", "p"] {
            fs::remove_dir_all(scratch.join(place)).unwrap();
        }
    }
}
