use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    bytes_of, names_below, sha256, until_it_writes, ByHand, Layout, Running, Scratch, Tool, MANIFEST,
};

/// A rootfs that takes until the run is ended: a terabyte of zeros in a hole.
fn endless_rootfs(scratch: &Scratch) -> std::path::PathBuf {
    let rootfs = scratch.rootfs("endless", "small");
    let file = fs::File::create(rootfs.join("zeros")).unwrap();
    file.set_len(1 << 40).expect("a filesystem that holds a hole of a terabyte");
    rootfs
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let scratch = Scratch::new();
        let (rootfs, out) = (endless_rootfs(&scratch), scratch.join("out"));
        let _ = Tool::build(scratch.small_rootfs()).oci(&out).bake();
        let before = bytes_of(&out);
        let names = names_below(scratch.path());

        let tool = Tool::build(&rootfs).oci(&out).oci(&scratch.join("new")).arg(scratch.join("new.tar"));
        let mut running = tool.heeding_signals().start();
        until_it_writes(&mut running, scratch.path());
        running.signal(signal);
        let outcome = running.wait();
        assert_eq!(outcome.signal(), None, "it was killed before it could clear up");
        assert_eq!(outcome.code(), 128 + number);
        assert_eq!(outcome.stderr(), "ocibake: error: interrupted\n");
        assert_eq!(names_below(scratch.path()), names);
        assert!(bytes_of(&out) == before);
    }
}

/// Waits until a run has installed its handlers, and is blocked.
fn until_it_waits(running: &mut Running) {
    let proc = format!("/proc/{}", running.pid());
    let status = |key: &str| {
        let status = fs::read_to_string(format!("{proc}/status")).unwrap_or_default();
        status.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned())).unwrap_or_default()
    };
    running.until("it waits", || {
        let handled = u64::from_str_radix(&status("SigCgt:"), 16).unwrap_or(0);
        handled >> 14 & 1 == 1 && status("State:").starts_with('S')
    });
}

#[test]
fn a_signal_ends_what_waits() {
    let scratch = Scratch::new();
    let (layout, pipe) = (scratch.join("layout"), scratch.join("pipe.tar"));
    let rootfs = scratch.small_rootfs();
    let _ = Tool::build(&rootfs).oci(&layout).bake();
    // It has no writer, so that even opening it blocks.
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let lock = fs::File::open(&layout).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let names = names_below(scratch.path());

    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15)] {
        for (what, tool) in [
            ("a pipe", Tool::build(&pipe).oci(&scratch.join("new"))),
            ("standard input", Tool::build("-").oci(&scratch.join("new"))),
            ("a lock", Tool::new("tag").arg(&layout).arg("other")),
            ("a lock, with something staged", Tool::build(&rootfs).target("oci", &layout, "next")),
        ] {
            let tool = if what == "standard input" {
                // Opened for writing too, so that it never ends.
                let words = ["env", "--default-signal=HUP,INT,TERM", "sh", "-c", "exec \"$0\" \"$@\" <> \"$PIPE\""];
                tool.env("PIPE", &pipe).behind(words)
            } else {
                tool.heeding_signals()
            };
            let mut running = tool.start();
            until_it_waits(&mut running);
            running.signal(signal);
            let outcome = running.wait();
            assert_eq!((outcome.code(), outcome.stderr()), (128 + number, "ocibake: error: interrupted\n"), "{what}");
            assert_eq!(names_below(scratch.path()), names, "{what}");
        }
    }
}

/// An image, `oci:endless`, whose layer takes until the run is ended: a file of a terabyte, in a hole.
fn endless_image(scratch: &Scratch) {
    const SIZE: u64 = 1 << 40;
    let layout = ByHand::at(&scratch.join("endless"));
    let mut descriptor = layout.blob(b"", "application/vnd.oci.image.layer.v1.tar");
    descriptor["size"] = (SIZE + 3 * 512).into();
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [descriptor["digest"]]}});
    let config = layout.blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [descriptor]});
    layout.list(&[layout.document(&manifest)]);
    let mut header = tar::Header::new_ustar();
    header.set_path("zeros").unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(SIZE);
    header.set_cksum();
    let blob = scratch.join("endless/blobs/sha256").join(sha256(b""));
    fs::write(&blob, header.as_bytes()).unwrap();
    let blob = fs::OpenOptions::new().write(true).open(blob).unwrap();
    blob.set_len(SIZE + 3 * 512).expect("a filesystem that holds a hole of a terabyte");
}

/// Waits until a run has read more than it needs to start.
fn until_it_reads(running: &mut Running) {
    let proc = format!("/proc/{}/io", running.pid());
    running.until("it reads", || {
        let io = fs::read_to_string(&proc).unwrap_or_default();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
        read.is_some_and(|bytes: u64| bytes > 64 << 20)
    });
}

/// Also where a verb only reads, and where nobody takes what it prints.
#[test]
fn a_signal_ends_what_reads_and_what_prints() {
    let scratch = Scratch::new();
    endless_image(&scratch);
    let pipe = scratch.join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // More than a pipe holds.
    let rootfs = scratch.make_directory("names");
    for number in 0..1500 {
        fs::write(rootfs.join(format!("{number:0200}")), "").unwrap();
    }
    fs::write(rootfs.join("large"), vec![b'x'; 1 << 20]).unwrap();
    let _ = Tool::build(&rootfs).args(["oci:many", "--owner", "0:0"]).within(scratch.path()).bake();
    let names = names_below(scratch.path());

    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15)] {
        for (words, wait) in [
            ("inspect oci:endless --files", until_it_reads as fn(&mut Running)),
            ("inspect oci:endless --largest 3", until_it_reads),
            ("cat oci:endless /zeros -o new", until_it_reads),
            ("verify oci:endless", until_it_reads),
            ("diff oci:endless oci:many", until_it_reads),
            ("inspect oci:many --files", until_it_waits),
            ("cat oci:many /large", until_it_waits),
            // It has no reader, so that even opening it blocks.
            ("cat oci:many /large -o pipe", until_it_waits),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let tool = Tool::new(words[0]).args(&words[1..]).within(scratch.path());
            let mut running = tool.heeding_signals().start();
            wait(&mut running);
            running.signal(signal);
            let outcome = running.wait();
            assert_eq!(
                (outcome.code(), outcome.stderr()),
                (128 + number, "ocibake: error: interrupted\n"),
                "{words:?}"
            );
            assert_eq!(names_below(scratch.path()), names, "{words:?}");
        }
    }
}

#[test]
fn a_signal_that_the_starter_ignores_is_ignored() {
    let scratch = Scratch::new();
    let (rootfs, out) = (endless_rootfs(&scratch), scratch.join("out"));
    // Like `nohup`.
    let ignoring = ["env", "--default-signal=TERM", "--ignore-signal=HUP"];
    let mut running = Tool::build(&rootfs).oci(&out).behind(ignoring).start();
    until_it_writes(&mut running, scratch.path());
    running.signal(Signal::HUP);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!running.is_over(), "SIGHUP ended it");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), 128 + 15);
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next() {
    let scratch = Scratch::new();
    let (endless, rootfs) = (endless_rootfs(&scratch), scratch.small_rootfs());
    let (layout, new, archive) = (scratch.join("layout"), scratch.join("new"), scratch.join("new.tar"));
    let _ = Tool::build(&rootfs).target("oci", &layout, "old").bake();
    let before = bytes_of(&layout);

    let targets = |tool: Tool| tool.target("oci", &layout, "next").oci(&new).archive(&archive);
    let mut running = targets(Tool::build(&endless)).start();
    until_it_writes(&mut running, scratch.path());
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal(), Some(9));
    // It could not clean up, and no target shows any trace of it.
    let left =
        |scratch: &Scratch| names_below(scratch.path()).into_iter().filter(|name| name.contains(".ocibake-")).count();
    assert!(left(&scratch) > 0, "the run left nothing to clear");
    let shown: Vec<_> = bytes_of(&layout).into_iter().filter(|(path, _)| !path.starts_with(staging(&layout))).collect();
    assert!(shown == before.into_iter().collect::<Vec<_>>());
    assert!(new.symlink_metadata().is_err() && archive.symlink_metadata().is_err());

    let digest = targets(Tool::build(&rootfs)).bake();
    assert_eq!(left(&scratch), 0, "{:#?}", names_below(scratch.path()));
    assert_eq!(Layout::at(&layout).refs()["next"], digest);
    assert_eq!(Layout::at(&new).latest().digest(), digest);
}

/// The name of the staging directory in a layout, if there is one.
fn staging(layout: &Path) -> String {
    let names = fs::read_dir(layout).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.into_iter().find(|name| name.starts_with(".ocibake-")).unwrap_or_else(|| "no staging".to_owned())
}

#[test]
fn a_run_does_not_clear_what_a_living_one_needs() {
    let scratch = Scratch::new();
    let (endless, rootfs, out) = (endless_rootfs(&scratch), scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs).oci(&out).bake();
    let mut running = Tool::build(&endless).target("oci", &out, "endless").heeding_signals().start();
    until_it_writes(&mut running, scratch.path());
    let staging = staging(&out);
    let _ = Tool::build(&rootfs).target("oci", &out, "other").bake();
    assert!(out.join(&staging).is_dir(), "the staging directory of a living run is gone");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), 128 + 15);
    assert_eq!(Layout::at(&out).refs().into_keys().collect::<Vec<_>>(), ["latest", "other"]);
    assert!(out.join(&staging).symlink_metadata().is_err());
}
