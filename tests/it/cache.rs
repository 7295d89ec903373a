use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{is_root, names_below, Scratch, Tool};

fn bake(scratch: &Scratch, rootfs: &Path, out: &str, flags: &[&str]) -> Value {
    let tool = Tool::build(rootfs).oci(&scratch.join(out)).args(["--owner", "0:0", "--json"]);
    tool.args(flags).within(scratch.path()).run().json()
}

fn blocks(report: &Value) -> (u64, u64) {
    let number = |key: &str| report["stats"][key].as_u64().unwrap();
    (number("cached_blocks"), number("blocks"))
}

#[test]
fn a_rebuild_takes_its_blocks_from_the_last_build() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "blocks");
    for compression in ["gzip", "zstd"] {
        let flags = |cache: bool| {
            [&["--compression", compression][..], if cache { &["--cache", "kept"] } else { &[] }].concat()
        };
        let plain = bake(&scratch, &rootfs, "plain", &flags(false));
        let cold = bake(&scratch, &rootfs, "cold", &flags(true));
        let warm = bake(&scratch, &rootfs, "warm", &flags(true));
        assert_eq!(plain["digest"], cold["digest"], "{compression}");
        assert_eq!(plain["digest"], warm["digest"], "{compression}");
        assert_eq!(blocks(&plain).1, 0);
        assert_eq!(blocks(&cold).0, 0);
        assert!(blocks(&cold).1 > 1, "{cold}");
        assert_eq!(blocks(&warm), (blocks(&cold).1, blocks(&cold).1), "{warm}");
    }
    // By a variable too; and what it was worth is told.
    let tool = Tool::build(&rootfs).oci(&scratch.join("by-variable")).args(["--owner", "0:0", "-v"]);
    let outcome = tool.env("OCI_IMAGE_CACHE", "kept").within(scratch.path()).run();
    assert!(outcome.stderr().contains("blocks were in the cache `kept`: 0 were not known"), "{}", outcome.stderr());
}

#[test]
fn conversions_and_squashes_use_it_too() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "blocks");
    let _ = bake(&scratch, &rootfs, "none", &["--compression", "none"]);
    let _ = bake(&scratch, &rootfs, "gzip", &["--cache", "kept"]);
    let run = |words: &[&str]| {
        let tool = Tool::new(words[0]).args(&words[1..]).args(["-v", "--cache", "kept"]);
        tool.within(scratch.path()).run().stderr().to_owned()
    };
    for words in [
        &["convert", "oci:none", "oci:converted", "--compression", "gzip"][..],
        &["squash", "oci:none", "oci:squashed"],
    ] {
        let told = run(words);
        assert!(told.contains("blocks were in the cache `kept`: 0 were not known, 0 damaged"), "{words:?}: {told}");
    }
}

#[test]
fn a_cache_can_be_looked_at_checked_and_made_smaller() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "blocks");
    let built = bake(&scratch, &rootfs, "out", &["--cache", "kept"]);
    let cache = |flags: &[&str]| Tool::new("cache").arg("kept").args(flags).within(scratch.path()).run();
    let report = cache(&["--json"]).json();
    assert_eq!(report["items"], 1);
    let of_gzip: u64 = report["blocks"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(of_gzip, blocks(&built).1);
    assert!(report["shared_bytes"].as_u64().unwrap() > 0, "{report}");
    let checked = cache(&["--check"]);
    assert_eq!(checked.code(), 0);

    let blob = names_below(&scratch.join("kept/blobs")).into_iter().find(|name| !name.ends_with(".blocks")).unwrap();
    let blob = scratch.join("kept/blobs").join(blob);
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    assert_eq!(cache(&["--check"]).code(), 1);
    let again = bake(&scratch, &rootfs, "again", &["--cache", "kept"]);
    assert_eq!(again["digest"], built["digest"]);
    assert_eq!(blocks(&again).0, blocks(&again).1 - 1);
    assert_eq!(cache(&["--check"]).code(), 0);

    let _ = cache(&["--prune", "0"]).stdout();
    assert_eq!(names_below(&scratch.join("kept/blobs")), Vec::<String>::new());
    let after = bake(&scratch, &rootfs, "after", &["--cache", "kept", "--cache-size", "1K"]);
    assert_eq!(after["digest"], built["digest"]);
    assert_eq!(names_below(&scratch.join("kept/blobs")), Vec::<String>::new());
    assert!(cache(&["--prune", "much"]).error().contains("bytes, or a number with K, M, G or T"));
    assert!(Tool::new("cache").arg("nowhere").within(scratch.path()).run().error().contains("nowhere"));
}

#[test]
fn many_runs_share_one_and_killed_ones_leave_it_whole() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "blocks");
    let digest = bake(&scratch, &rootfs, "alone", &[])["digest"].clone();
    let start = |out: String| {
        let tool = Tool::build(&rootfs).oci(&scratch.join(&out)).args(["--owner", "0:0", "--cache", "kept"]);
        tool.within(scratch.path()).start()
    };
    let running: Vec<_> = (0..8).map(|number| start(format!("together-{number}"))).collect();
    for run in running {
        assert_eq!(digest, run.wait().digest());
    }
    for turn in 0..20 {
        let _ = fs::remove_dir_all(scratch.join("kept"));
        let killed = start(format!("killed-{turn}"));
        std::thread::sleep(std::time::Duration::from_millis(turn * 3));
        killed.signal(Signal::KILL);
        let _ = killed.wait();
        let after = bake(&scratch, &rootfs, "after", &["--cache", "kept"]);
        assert_eq!(after["digest"], digest, "turn {turn}");
        let checked = Tool::new("cache").args(["kept", "--check"]).within(scratch.path()).run();
        assert_eq!(checked.code(), 0, "turn {turn}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_read() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "blocks");
    let built = bake(&scratch, &rootfs, "out", &["--cache", "kept"]);
    let before = fs::metadata(scratch.join("kept")).unwrap().mtime();
    if is_root() {
        // Nothing stops root but what is no directory.
        fs::write(scratch.join("file"), "").unwrap();
        let other = bake(&scratch, &rootfs, "other", &["--cache", "file/below"]);
        assert_eq!(other["digest"], built["digest"]);
        return;
    }
    for directory in ["kept", "kept/blobs"] {
        let mut permissions = fs::metadata(scratch.join(directory)).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(scratch.join(directory), permissions).unwrap();
    }
    let again = bake(&scratch, &rootfs, "again", &["--cache", "kept"]);
    assert_eq!(again["digest"], built["digest"]);
    assert_eq!(blocks(&again).0, blocks(&again).1);
    assert_eq!(fs::metadata(scratch.join("kept")).unwrap().mtime(), before);
}
