use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::harness::{
    missing, names_below, root, unprivileged_words, Fixture, Order, Peer, Running, Scratch, Tool, NOBODY,
};

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
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
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
    // The variable works too, and the run says how much the cache helped.
    let tool = Tool::build(&rootfs).oci(&scratch.join("by-variable")).args(["--owner", "0:0", "-v"]);
    let outcome = tool.env("OCI_IMAGE_CACHE", "kept").within(scratch.path()).run();
    assert!(outcome.stderr().contains("blocks were in the cache `kept`: 0 were not known"), "{}", outcome.stderr());
}

#[test]
fn conversions_and_squashes_use_it_too() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
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
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let built = bake(&scratch, &rootfs, "out", &["--cache", "kept"]);
    let cache = |flags: &[&str]| Tool::new("cache").arg("kept").args(flags).within(scratch.path()).run();
    let report = cache(&["--json"]).json();
    assert_eq!(report["items"], 1);
    let of_gzip: u64 = report["blocks"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(of_gzip, blocks(&built).1);
    assert!(report["shared_bytes"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(verified(&scratch), 0);

    let blob = names_below(&scratch.join("kept/blobs")).into_iter().find(|name| !name.ends_with(".blocks")).unwrap();
    let blob = scratch.join("kept/blobs").join(blob);
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&blob).unwrap();
    // As a run leaves a list whose bytes another has removed meanwhile.
    assert_eq!(verified(&scratch), 0);
    fs::write(&blob, bytes).unwrap();
    assert_eq!(verified(&scratch), 1);
    let damaged = Tool::new("verify").args(["--cache", "kept", "--json"]).within(scratch.path()).run();
    let report: Value = serde_json::from_str(&damaged.printed()).unwrap();
    let name = format!("kept/{}", blob.strip_prefix(scratch.join("kept")).unwrap().display());
    assert_eq!(report["findings"], json!({name: format!("1 of {of_gzip} blocks damaged")}));
    assert_eq!(report["blocks"], of_gzip - 1);
    let again = bake(&scratch, &rootfs, "again", &["--cache", "kept"]);
    assert_eq!(again["digest"], built["digest"]);
    assert_eq!(blocks(&again).0, blocks(&again).1 - 1);
    assert_eq!(verified(&scratch), 0);

    let _ = cache(&["--prune", "0"]).stdout();
    assert_eq!(names_below(&scratch.join("kept/blobs")), Vec::<String>::new());
    let after = bake(&scratch, &rootfs, "after", &["--cache", "kept", "--cache-size", "1K"]);
    assert_eq!(after["digest"], built["digest"]);
    assert_eq!(names_below(&scratch.join("kept/blobs")), Vec::<String>::new());
    assert!(cache(&["--prune", "much"]).error().contains("bytes, or a number with K, M, G or T"));
    assert!(Tool::new("cache").arg("nowhere").within(scratch.path()).run().error().contains("nowhere"));
}

#[test]
fn a_directory_of_other_files_holds_no_cache() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let _ = bake(&scratch, &rootfs, "out", &["--cache", "kept"]);
    let runs = |directory: &str| {
        [&["verify", "--cache", directory][..], &["cache", directory], &["cache", directory, "--prune", "0"]]
            .map(|words| Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run())
    };
    let before = names_below(scratch.path());
    for directory in ["rootfs", "out", "."] {
        for outcome in runs(directory) {
            let said = outcome.error();
            let expected = format!("`{directory}` holds no cache: found only other files\nhint: ");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
    assert_eq!(names_below(scratch.path()), before);
    // An empty one, one that others use too, and one that is empty again are.
    scratch.make_directory("empty");
    fs::write(scratch.join("kept/README"), "ours").unwrap();
    for outcome in runs("empty").into_iter().chain(runs("kept")) {
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
    }
    fs::remove_file(scratch.join("kept/README")).unwrap();
    assert_eq!(names_below(&scratch.join("kept")), ["blobs/"]);
    for outcome in runs("kept") {
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
    }
}

#[test]
fn a_file_in_its_place_is_told() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    fs::write(scratch.join("kept"), "no cache").unwrap();
    let warning = "warning: nothing is kept for later runs: the cache `kept` is no directory";
    for words in [
        &["build", rootfs.to_str().unwrap(), "oci:out:v1", "--arch", "amd64", "--owner", "0:0"][..],
        &["convert", "oci:out:v1", "oci:out:v2", "--compression", "zstd"],
    ] {
        let outcome = Tool::new(words[0]).args(&words[1..]).args(["--cache", "kept"]).within(scratch.path()).run();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        assert!(outcome.stderr().contains(warning), "{}", outcome.stderr());
    }
}

/// The warnings on stderr.
fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.strip_prefix("ocibake: warning: ")).collect()
}

#[test]
fn what_else_is_in_its_place_is_told_once() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let plain = bake(&scratch, &rootfs, "plain", &[]);
    for directory in ["foreign", "blocked"] {
        scratch.make_directory(directory);
    }
    fs::write(scratch.join("foreign/notes"), "theirs").unwrap();
    fs::write(scratch.join("blocked/blobs"), "theirs").unwrap();
    let beside = "the cache `foreign` is a directory with other files: what is kept goes beside them";
    let no_directory = "the cache `blocked` has a file `blobs` that is no directory";
    let no_place = "the cache `/proc/ocibake` cannot be written: No such file or directory";
    let kept_not = |why: &str| json!([format!("nothing is kept for later runs: {why}")]);
    for (cache, expected) in [
        ("foreign", json!([beside])),
        // It is a cache now.
        ("foreign", json!([])),
        ("blocked", kept_not(no_directory)),
        ("/proc/ocibake", kept_not(no_place)),
    ] {
        let report = bake(&scratch, &rootfs, "out", &["--cache", cache]);
        assert_eq!(report["digest"], plain["digest"], "{cache}");
        assert_eq!(report["warnings"], expected, "{cache}");
    }
    assert_eq!(fs::read_to_string(scratch.join("foreign/notes")).unwrap(), "theirs");
    // Of several targets and layers, and of other verbs.
    let words = ["oci:out", "oci:a:v1", "oci:b:v1", "--compression", "zstd", "--cache", "blocked"];
    let outcome = Tool::new("convert").args(words).within(scratch.path()).run();
    assert_eq!((outcome.code(), warnings(outcome.stderr()).len()), (0, 1), "{}", outcome.stderr());
}

/// The exit status of `verify --cache`.
fn verified(scratch: &Scratch) -> i32 {
    let outcome = Tool::new("verify").args(["--cache", "kept"]).within(scratch.path()).run();
    if outcome.code() != 0 {
        eprintln!("{}{}", outcome.stderr(), outcome.printed());
    }
    outcome.code()
}

/// The size of all files below a directory, each inode once.
fn disk_usage(directory: &Path) -> u64 {
    let files = names_below(directory).into_iter().map(|name| fs::symlink_metadata(directory.join(name)).unwrap());
    let sizes: BTreeMap<u64, u64> =
        files.filter(fs::Metadata::is_file).map(|metadata| (metadata.ino(), metadata.len())).collect();
    sizes.values().sum()
}

fn start(scratch: &Scratch, rootfs: &Path, out: &str, flags: &[&str]) -> Running {
    let tool = Tool::build(rootfs).oci(&scratch.join(out)).args(["--owner", "0:0", "--cache", "kept"]).args(flags);
    tool.within(scratch.path()).start()
}

/// Some of them bake other trees, or use another encoder.
#[test]
fn sixteen_runs_at_once_share_one() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let other = scratch.rootfs("other", "few-blocks");
    fs::write(other.join("lib/2"), "another").unwrap();
    let kinds: [(&Path, &[&str]); 4] = [
        (&rootfs, &[]),
        (&other, &[]),
        (&rootfs, &["--compression", "zstd:1"]),
        (&rootfs, &["--cache-size", "2M", "--threads", "1"]),
    ];
    let digests = kinds.map(|(rootfs, flags)| bake(&scratch, rootfs, "alone", flags)["digest"].clone());
    for _ in 0..2 {
        let running: Vec<_> = (0..16_usize)
            .map(|number| {
                let (rootfs, flags) = kinds[number % 4];
                (number % 4, start(&scratch, rootfs, &format!("together-{number}"), flags))
            })
            .collect();
        for (kind, run) in running {
            assert_eq!(digests[kind], run.wait().digest(), "{kind}");
        }
        assert_eq!(verified(&scratch), 0);
    }
}

/// One cache for all runs. The next run clears what killed runs left in it.
#[test]
fn a_hundred_kills_leave_it_whole() {
    let scratch = Scratch::new();
    let rootfs = scratch.join("rootfs");
    let files: String = (0..6).map(|number| format!("f 0644 - 1 /{number} words {}\n", 150_000 + number)).collect();
    Fixture::parse(&format!("d 0755 - 1 /\n{files}")).make(&rootfs, Order::AsListed);
    // The first kills may come before a run has made the cache.
    let _ = bake(&scratch, &rootfs, "first", &["--cache", "kept"]);
    let changing = rootfs.join("1");
    let mut durations = Vec::new();
    for turn in 0..100_u32 {
        // Something is always new, so that something is always added to the cache.
        fs::write(&changing, turn.to_string().repeat(30_000)).unwrap();
        if turn % 10 == 0 {
            let begin = Instant::now();
            let _ = bake(&scratch, &rootfs, "measured", &["--cache", "other"]);
            let _ = fs::remove_dir_all(scratch.join("other"));
            durations.push(begin.elapsed());
        }
        let killed = start(&scratch, &rootfs, "killed", &[]);
        std::thread::sleep(durations.iter().max().unwrap().mul_f64(f64::from(turn * 37 % 100) / 100.0));
        killed.signal(Signal::KILL);
        let _ = killed.wait();
        if turn % 5 == 4 {
            assert_eq!(verified(&scratch), 0, "turn {turn}");
            let with = bake(&scratch, &rootfs, "with", &["--cache", "kept"]);
            assert_eq!(with["digest"], bake(&scratch, &rootfs, "without", &[])["digest"], "turn {turn}");
        }
    }
    let _ = Tool::new("cache").args(["kept", "--prune", "0"]).within(scratch.path()).run().stdout();
    let left: Vec<String> = names_below(&scratch.join("kept")).into_iter().filter(|name| name != "blobs").collect();
    // Blocks without a list may belong to a run that is about to write the list.
    assert!(left.iter().all(|name| name.starts_with("blobs/") && !name.ends_with(".blocks")), "{left:?}");
}

#[test]
fn it_stays_as_small_as_it_is_to_be() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let mut most = 0;
    for turn in 0..8_u32 {
        fs::write(rootfs.join("lib/1"), turn.to_string().repeat(70_000)).unwrap();
        fs::remove_file(rootfs.join("lib/3")).unwrap();
        let noise = |at: u64| (at + 1).wrapping_mul(u64::from(turn) + 3).wrapping_pow(3).to_le_bytes()[2];
        let noise: Vec<u8> = (0..600_000).map(noise).collect();
        fs::write(rootfs.join("lib/3"), noise).unwrap();
        let plain = bake(&scratch, &rootfs, "plain", &[]);
        // Room for one image and somewhat more.
        most = if turn == 0 { plain["size"].as_u64().unwrap() * 5 / 4 } else { most };
        let kept = bake(&scratch, &rootfs, "out", &["--cache", "kept", "--cache-size", &most.to_string()]);
        assert_eq!(plain["digest"], kept["digest"]);
        let used = disk_usage(&scratch.join("kept"));
        assert!(used > 0 && used <= most, "turn {turn}: {used} of {most}");
    }
}

/// Removed, emptied and filled again while runs use it.
#[test]
fn it_may_go_while_it_is_used() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let digest = bake(&scratch, &rootfs, "alone", &[])["digest"].clone();
    for turn in 0..6 {
        let _ = bake(&scratch, &rootfs, "filling", &["--cache", "kept"]);
        let mut running: Vec<Running> =
            (0..2).map(|number| start(&scratch, &rootfs, &format!("out-{number}"), &["--threads", "2"])).collect();
        std::thread::sleep(Duration::from_millis(turn * 6));
        let _ = fs::remove_dir_all(scratch.join("kept"));
        while !running.iter_mut().all(Running::is_over) {
            let _ = fs::remove_dir_all(scratch.join("kept/blobs"));
            std::thread::sleep(Duration::from_millis(1));
        }
        for run in running {
            let outcome = run.wait();
            // What is half removed may lack what tells that it is a cache.
            let told = |line: &str| line.contains("the cache `kept` is a directory with other files");
            assert!(outcome.stderr().lines().all(told), "turn {turn}: {}", outcome.stderr());
            assert_eq!(digest, outcome.digest_despite_warnings(), "turn {turn}");
        }
    }
}

/// A filesystem of its own, and one that is soon full.
#[test]
fn on_another_filesystem_and_on_a_full_one() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let digest = bake(&scratch, &rootfs, "alone", &[])["digest"].clone();
    let size = disk_usage(&scratch.join("alone"));
    let Some(unshare) = Peer::find("unshare") else { return };
    // A mount disappears with its namespace.
    let script = "mkdir -p kept && mount -t tmpfs -o size=\"$1\" none kept || { echo no mount; exit 9; }; shift
        for out in first second; do \"$@\" \"oci:$out\" -v || exit; done; ls kept/blobs; df --output=avail kept | tail -1";
    for (room, expected) in [("64m", true), (&*format!("{}k", size / 2048), false), ("4k", false)] {
        let mut command = unshare.command();
        command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh", room]).arg(Tool::path());
        command.arg("build").arg(&rootfs).args(["--arch", "amd64", "--owner", "0:0", "--cache", "kept"]);
        let output = command.current_dir(scratch.path()).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if stdout.contains("no mount") || stderr.contains("unshare failed") {
            return missing("a mount of one's own");
        }
        assert!(output.status.success(), "{room}: {stdout}{stderr}");
        assert_eq!(stdout.lines().filter(|line| **line == *digest.as_str().unwrap()).count(), 2, "{room}: {stdout}");
        let summaries: Vec<&str> = stderr.lines().filter(|line| line.contains("blocks were in the cache")).collect();
        assert_eq!(summaries.len(), 2, "{stderr}");
        let is_known = summaries[1].contains("0 were not known, 0 damaged");
        assert_eq!((is_known, summaries[0].contains("nothing new could be kept: ")), (expected, !expected), "{stderr}");
    }
}

/// Such a cache is read as far as possible, and one warning says that nothing is kept.
#[test]
fn of_another_user_or_read_only() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    let built = bake(&scratch, &rootfs, "out", &["--cache", "kept"]);
    let theirs = scratch.make_directory("theirs");
    std::os::unix::fs::chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    let before = names_below(&scratch.join("kept"));
    let bake = |flags: &[&str]| {
        let tool = Tool::build(&rootfs).oci(&theirs.join("out")).args(["--owner", "0:0", "--json", "--cache", "kept"]);
        tool.args(flags).behind(unprivileged_words()).within(scratch.path()).run()
    };
    // Root's cache: everything in an existing, readable cache is used.
    let report = bake(&[]).json();
    assert_eq!(report["digest"], built["digest"]);
    assert_eq!(blocks(&report).0, blocks(&report).1);
    // New blocks cannot be added.
    let outcome = bake(&["--compression", "gzip:3", "-v"]);
    assert!(outcome.stderr().contains("nothing new could be kept: "), "{}", outcome.stderr());
    assert_eq!(
        warnings(outcome.stderr()),
        ["nothing is kept for later runs: the cache `kept` cannot be written: Permission denied"]
    );
    assert!(outcome.stderr().contains("are known in another compression, level or version"), "{}", outcome.stderr());
    assert_eq!(outcome.code(), 0);
    // An unreadable cache is no cache.
    fs::set_permissions(scratch.join("kept"), fs::Permissions::from_mode(0o700)).unwrap();
    let report = bake(&[]).json();
    assert_eq!(report["digest"], built["digest"]);
    assert_eq!(blocks(&report).0, 0);
    let told = "nothing is kept for later runs: the cache `kept` cannot be read: Permission denied";
    assert_eq!(report["warnings"], json!([told]));
    assert_eq!(names_below(&scratch.join("kept")), before);
}

/// The list of one layer under the name of another, as after a careless copy.
#[test]
fn lists_of_other_layers_are_not_believed() {
    let scratch = Scratch::new();
    let rootfs = scratch.rootfs("rootfs", "few-blocks");
    for (base, text) in [("one", "1"), ("two", "2")] {
        fs::write(rootfs.join("lib/6"), text).unwrap();
        let _ = bake(&scratch, &rootfs, base, &[]);
        let flags = ["--base", &format!("oci:{base}"), "--cache", "kept"];
        let _ = bake(&scratch, &rootfs, &format!("on-{base}"), &flags);
    }
    fs::write(rootfs.join("lib/6"), "1").unwrap();
    let expected = bake(&scratch, &rootfs, "expected", &["--base", "oci:two"])["digest"].clone();
    let lists: Vec<PathBuf> = (names_below(&scratch.join("kept")).iter().filter(|name| name.ends_with(".changeset")))
        .map(|name| scratch.join("kept").join(name))
        .collect();
    assert_eq!(lists.len(), 2);
    for (from, to) in [(0, 1), (1, 0)] {
        let own = fs::read(&lists[to]).unwrap();
        fs::copy(&lists[from], &lists[to]).unwrap();
        assert_eq!(verified(&scratch), 1);
        let found = bake(&scratch, &rootfs, "found", &["--base", "oci:two", "--cache", "kept"])["digest"].clone();
        assert_eq!(found, expected);
        fs::write(&lists[to], own).unwrap();
    }
}
