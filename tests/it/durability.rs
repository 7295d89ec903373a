use std::fs;
use std::path::Path;

use crate::harness::{bytes_of, is_missing, names_below, Layout, Peer, Scratch, Tool};

/// The system calls of the tool, one per line, with the paths of open files.
fn calls(scratch: &Scratch, tool: Tool) -> Option<Vec<String>> {
    let strace = Peer::find("strace")?;
    let log = scratch.join("calls");
    let words = [strace.path().to_str()?, "-f", "-y", "-qq", "-e", "signal=none", "-o", log.to_str()?];
    let outcome = tool
        .within(scratch.path())
        .behind(words.into_iter().chain(["-e", "trace=/^(rename|fsync|fdatasync|sync|unlink)"]))
        .run();
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
    let log = fs::read_to_string(log).unwrap();
    Some(log.lines().map(|line| line.split_once(' ').unwrap().1.trim_start().to_owned()).collect())
}

/// The lines with a call, each at least once.
#[track_caller]
fn at(calls: &[String], call: &str, path: &str) -> Vec<usize> {
    let is_it = |line: &String| line.starts_with(call) && line.contains(path);
    let found: Vec<usize> = (0..calls.len()).filter(|number| is_it(&calls[*number])).collect();
    assert!(!found.is_empty(), "no {call} of {path}: {calls:#?}");
    found
}

/// Where a file gets its final name: the line, and its old name.
#[track_caller]
fn renamed(calls: &[String], to: &str) -> (usize, String) {
    let line = at(calls, "rename", &format!("{to}\")")).pop().unwrap();
    (line, calls[line].split('"').nth(1).unwrap().to_owned())
}

/// Everything that a name leads to is on the disk before the name is, and the name itself is synced afterwards.
#[track_caller]
fn assert_synced(calls: &[String], to: &str) -> usize {
    let (line, from) = renamed(calls, to);
    let before = at(calls, "f", &format!("{}>", from.trim_start_matches("./")));
    assert!(before.iter().any(|sync| *sync < line), "{to} is not on the disk when it gets its name: {calls:#?}");
    line
}

#[test]
fn blobs_are_on_the_disk_before_what_leads_to_them() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs").arg("oci:out:v0").within(scratch.path()).bake();
    fs::write(scratch.join("rootfs/etc/hostname"), "another\n").unwrap();
    fs::write(scratch.join("bill.json"), "{}").unwrap();
    for words in [
        &["build", "rootfs", "oci:out:v1", "--arch=amd64"][..],
        &["squash", "oci:out:v1", "oci:out:v2", "--compression=none"],
        &["config", "oci:out:v1", "--env", "A=1"],
        &["attach", "oci:out:v1", "bill.json", "--type=text/plain"],
        &["index", "oci:out:v1", "oci:out:all"],
        &["convert", "oci:out:v0", "oci:out:v3", "--compression=zstd"],
    ] {
        let before: Vec<String> = names_below(&scratch.join("out"));
        let Some(calls) = calls(&scratch, Tool::new(words[0]).args(&words[1..])) else { return };
        let index = assert_synced(&calls, "out/index.json");
        let new: Vec<String> = names_below(&scratch.join("out"));
        let new: Vec<&String> = new.iter().filter(|name| name.len() > 64 && !before.contains(name)).collect();
        assert!(!new.is_empty(), "{words:?}");
        for blob in new {
            let line = assert_synced(&calls, &format!("out/{blob}"));
            let name = at(&calls, "fsync", "out/blobs/sha256>");
            assert!(name.iter().any(|sync| (line..index).contains(sync)), "{words:?}: {calls:#?}");
        }
        assert!(at(&calls, "fsync", "/out>").iter().any(|sync| *sync > index), "{words:?}: {calls:#?}");
    }
    let freed = calls(&scratch, Tool::new("gc").arg("oci:out"));
    assert!(freed.is_some_and(|calls| !calls.iter().any(|call| call.starts_with("rename"))));
}

#[test]
fn new_layouts_and_archives_are_on_the_disk_as_a_whole() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let build = Tool::build("rootfs").args(["oci:out", "a.tar.zst", "docker-archive:d.tar:app:v1", "--checksum"]);
    let Some(calls) = calls(&scratch, build) else { return };
    for name in ["a.tar.zst", "a.tar.zst.sha256", "d.tar", "d.tar.sha256"] {
        let line = assert_synced(&calls, name);
        let home = at(&calls, "fsync", &format!("{}>", scratch.path().display()));
        assert!(home.iter().any(|sync| *sync > line), "{calls:#?}");
    }
    let (line, staging) = renamed(&calls, "\"out");
    for name in names_below(&scratch.join("out")) {
        let staged = format!("{}/{}>", staging.trim_start_matches("./"), name.trim_end_matches('/'));
        assert!(at(&calls, "fsync", &staged).iter().all(|sync| *sync < line), "{name}");
    }
}

#[test]
fn where_it_is_not_wanted_no_one_waits_for_the_disk() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::write(scratch.join("bill.json"), "{}").unwrap();
    for words in [
        &["build", "rootfs", "oci:out:v1", "a.tar", "--arch=amd64"][..],
        &["build", "rootfs", "oci:out:v2", "--arch=arm64"],
        &["squash", "oci:out:v1", "oci:out:v3"],
        &["convert", "oci:out:v1", "b.tar"],
        &["index", "oci:out:v1", "oci:out:v2", "oci:out:all"],
        &["config", "oci:out:v1", "--env", "A=1"],
        &["attach", "oci:out:v1", "bill.json", "--type=text/plain"],
        &["tag", "oci:out:v1", "v4"],
        &["tag", "a.tar", "v4"],
        &["rm", "oci:out:v2"],
        &["gc", "oci:out"],
    ] {
        let tool = Tool::new(words[0]).args(&words[1..]).arg("--no-sync");
        let Some(calls) = calls(&scratch, tool) else { return };
        assert!(!calls.iter().any(|call| call.contains("sync")), "{words:?}: {calls:#?}");
    }
    assert!(Layout::at(&scratch.join("out")).refs().contains_key("v4"));
}

/// Fails one kind of call for as long as the tool runs.
fn failing(scratch: &Scratch, call: &str, error: &str, tool: Tool) -> Option<(i32, String)> {
    let strace = Peer::find("strace")?;
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}"));
    let words = [strace.path().to_str()?, "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    // No loop of the tool takes longer than that.
    let words = ["timeout", "-s", "KILL", "60"].into_iter().chain(words);
    let outcome = tool.within(scratch.path()).behind(words.collect::<Vec<_>>()).run();
    Some((outcome.code(), outcome.stderr().to_owned()))
}

#[test]
fn a_lock_that_cannot_be_had_is_an_error_that_names_the_place() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::write(scratch.join("bill.json"), "{}").unwrap();
    let _ = Tool::build("rootfs").args(["oci:out:v1", "a.tar:v1"]).within(scratch.path()).bake();
    let before = bytes_of(&scratch.join("out"));
    for (words, place) in [
        (&["build", "rootfs", "oci:out:v2", "--arch=amd64"][..], "out"),
        (&["build", "rootfs", "oci:new", "--arch=amd64"], "new"),
        (&["build", "rootfs", "new.tar", "--arch=amd64"], "new.tar"),
        (&["convert", "oci:out:v1", "docker-archive:new.tar:app"], "new.tar"),
        (&["config", "oci:out:v1", "--env", "A=1"], "out"),
        (&["attach", "oci:out:v1", "bill.json", "--type=text/plain"], "out"),
        (&["tag", "oci:out:v1", "v2"], "out"),
        (&["tag", "a.tar:v1", "v2"], "a.tar"),
        (&["rm", "oci:out:v1"], "out"),
        (&["gc", "oci:out"], "out"),
        (&["unpack", "oci:out:v1", "tree"], "`tree`"),
    ] {
        for (error, text) in [("ENOLCK", "No locks available"), ("EIO", "Input/output error")] {
            let Some((code, said)) = failing(&scratch, "flock", error, Tool::new(words[0]).args(&words[1..])) else {
                return;
            };
            assert_eq!(code, 2, "{words:?}: {said}");
            assert!(said.contains("cannot lock") && said.contains(place) && said.contains(text), "{words:?}: {said}");
        }
    }
    assert!(bytes_of(&scratch.join("out")) == before);
    let left = names_below(scratch.path());
    assert!(!left.iter().any(|name| name.contains("ocibake-") || name.starts_with("new")), "{left:?}");
}

#[test]
fn a_disk_that_cannot_sync_leaves_everything_as_it_was() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let _ = Tool::build("rootfs").args(["oci:out:v1", "a.tar:v1"]).within(scratch.path()).bake();
    fs::write(scratch.join("rootfs/etc/hostname"), "another\n").unwrap();
    let before = (bytes_of(&scratch.join("out")), fs::read(scratch.join("a.tar")).unwrap());
    let tool = Tool::build("rootfs").args(["oci:out:v1", "a.tar:v1", "oci:new"]);
    let Some((code, said)) = failing(&scratch, "fsync", "EIO", tool) else { return };
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("cannot sync `out`: Input/output error"), "{said}");
    assert!((bytes_of(&scratch.join("out")), fs::read(scratch.join("a.tar")).unwrap()) == before);
    assert!(!Path::new(&scratch.join("new")).is_dir());
    // Some filesystems cannot sync directories, which is not an error.
    let tool = Tool::build("rootfs").args(["oci:out:v2"]);
    let Some((code, said)) = failing(&scratch, "fsync", "EINVAL", tool) else { return };
    assert_eq!(code, 2, "a file is synced everywhere: {said}");
}

/// A limit on the size of files ends a process by a signal that says nothing.
#[test]
fn a_limit_on_files_is_an_error_that_names_the_file() {
    let scratch = Scratch::new();
    let (rootfs, small) = (scratch.make_directory("large"), scratch.small_rootfs());
    // Nothing that would be smaller compressed: each byte comes from a generator.
    let mut state = 1_u32;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    fs::write(rootfs.join("large"), bytes.take(100_000).collect::<Vec<u8>>()).unwrap();
    let limited = |target: &str| {
        let words = ["sh", "-c", "ulimit -f 8; exec \"$@\"", "sh"];
        Tool::build(&rootfs).arg(target).within(scratch.path()).behind(words).run()
    };
    for (target, file) in
        [("oci:out:v1", "out"), ("out.tar:v1", "out.tar"), ("docker-archive:docker.tar:app:v1", "docker.tar")]
    {
        let path = scratch.join(file);
        let error = limited(target).error();
        assert!(error.contains("File too large") && error.contains(&format!("`{file}`")), "{target}: {error}");
        assert!(is_missing(&path), "{target}");
        // And what was there before stays as it was.
        let _ = Tool::build(&small).arg(target).within(scratch.path()).bake();
        let before = fs::metadata(&path).unwrap().is_dir().then(|| bytes_of(&path));
        let archive = fs::read(&path).ok();
        let _ = limited(target).error();
        assert_eq!((before.is_some().then(|| bytes_of(&path)), fs::read(&path).ok()), (before, archive), "{target}");
    }
}

/// Of an archive that is cut before its first member, nothing tells what it was.
#[test]
fn a_compressed_archive_that_is_cut_at_once_is_called_that() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    for archive in ["a.tar.gz", "a.tar.xz", "a.tar.zst"] {
        let target = format!("{archive}:v1");
        let build = || Tool::build(&rootfs).arg(&target).within(scratch.path());
        let _ = build().bake();
        let whole = fs::read(scratch.join(archive)).unwrap();
        fs::write(scratch.join(archive), &whole[..14]).unwrap();
        let error = build().run().error();
        assert!(error.contains("found a compressed file that is cut short"), "{archive}: {error}");
        assert_eq!(fs::read(scratch.join(archive)).unwrap(), &whole[..14]);
        fs::write(scratch.join(archive), "a letter").unwrap();
        assert!(build().run().error().contains("found another file"), "{archive}");
    }
}
