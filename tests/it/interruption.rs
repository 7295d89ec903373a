use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{bytes_of, names_below, until_it_writes, Layout, Running, Scratch, Tool};

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
