//! Where `-o` of `cat` and `report` writes, and what is said if stdout takes nothing.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;

use crate::harness::{names_below, Scratch, Tool};

/// An image with one file.
fn image(scratch: &Scratch) {
    let rootfs = scratch.make_directory("rootfs");
    fs::write(rootfs.join("motd"), "hello\n").unwrap();
    let _ = Tool::build(&rootfs).target("oci", &scratch.join("out"), "v1").args(["--owner", "0:0"]).bake();
}

const CAT: &str = "cat oci:out:v1 /motd";
const REPORT: &str = "report oci:out:v1";

/// What runs in a shell leaves in `log`, which had a line before.
fn logged(scratch: &Scratch, words: &str, redirection: &str) -> String {
    fs::write(scratch.join("log"), "before\n").unwrap();
    let mut words = words.split(' ');
    let tool = Tool::new(words.next().unwrap()).args(words).within(scratch.path());
    let outcome = tool.behind(["sh", "-c", &format!("exec \"$0\" \"$@\" {redirection}")]).run();
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
    fs::read_to_string(scratch.join("log")).unwrap()
}

fn printed(scratch: &Scratch, words: &str) -> String {
    let mut words = words.split(' ');
    Tool::new(words.next().unwrap()).args(words).within(scratch.path()).run().stdout()
}

#[test]
fn an_open_stream_is_written_to_and_not_replaced() {
    let scratch = Scratch::new();
    image(&scratch);
    symlink("/dev/stdout", scratch.join("link")).unwrap();
    symlink("link", scratch.join("twice")).unwrap();
    for verb in [CAT, REPORT] {
        let words = if verb == CAT { verb.to_owned() } else { format!("{verb} -o -") };
        let expected = format!("before\n{}", printed(&scratch, &words));
        for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "link", "twice"] {
            assert_eq!(logged(&scratch, &format!("{verb} -o {name}"), ">> log"), expected, "{verb} -o {name}");
        }
        for (name, redirection) in [("/dev/stderr", "2>> log"), ("/dev/fd/3", "3>> log")] {
            assert_eq!(logged(&scratch, &format!("{verb} -o {name}"), redirection), expected, "{verb} -o {name}");
        }
    }
    // What the shell wrote before and after it stays where it is.
    let script = "exec > log; echo one; \"$0\" \"$@\"; echo two";
    let tool = Tool::new("cat").args(["oci:out:v1", "/motd", "-o", "/dev/stdout"]).within(scratch.path());
    assert_eq!(tool.behind(["sh", "-c", script]).run().code(), 0);
    assert_eq!(fs::read_to_string(scratch.join("log")).unwrap(), "one\nhello\ntwo\n");

    let tool = Tool::new("report").args(["oci:out:v1", "-o", "/dev/stdout", "--json"]).within(scratch.path());
    assert!(tool.run().error().starts_with("the page and the object of --json cannot both go to stdout"));
    // A file of this name has another path.
    let tool = Tool::new("cat").args(["oci:out:v1", "/motd", "-o", "./-"]).within(scratch.path());
    assert_eq!(tool.run().stdout(), "");
    assert_eq!(fs::read_to_string(scratch.join("-")).unwrap(), "hello\n");
}

#[test]
fn what_a_killed_run_left_beside_a_file_is_cleared_by_the_next() {
    let scratch = Scratch::new();
    let rootfs = scratch.make_directory("rootfs");
    // It takes a while to print, and none to make.
    fs::File::create(rootfs.join("large")).unwrap().set_len(1 << 28).unwrap();
    fs::write(rootfs.join("motd"), "hello\n").unwrap();
    let tool = Tool::build(&rootfs).target("oci", &scratch.join("out"), "v1").args(["--owner", "0:0"]);
    let _ = tool.args(["--compression", "zstd"]).run();
    let left = || names_below(scratch.path()).into_iter().filter(|name| name.contains(".ocibake-")).count();

    let cat = |path: &str, to: &str| {
        Tool::new("cat").args(["oci:out:v1", path, "-o", to, "--max-ratio", "1000000"]).within(scratch.path())
    };
    let mut running = cat("/large", "written").start();
    running.until("what is staged", || left() > 0);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal(), Some(9));
    assert!(left() > 0 && scratch.join("written").symlink_metadata().is_err());
    // A link leads to the same place.
    symlink("written", scratch.join("link")).unwrap();
    let _ = cat("/motd", "link").run().stdout();
    assert_eq!(left(), 0, "{:?}", names_below(scratch.path()));
    assert_eq!(fs::read_to_string(scratch.join("written")).unwrap(), "hello\n");
    assert!(scratch.join("link").is_symlink());
}

/// What was done is done, and whoever reads the error must not do it again.
#[test]
fn a_full_stdout_is_told_with_what_was_done() {
    let scratch = Scratch::new();
    image(&scratch);
    let digest = |words: &str| printed(&scratch, words).split_whitespace().next().unwrap().to_owned();
    let build = "build rootfs oci:new:v1 new.tar:v1 --arch amd64 --owner 0:0";
    let image = digest("convert oci:out:v1 oci:copy:v1");
    let full = "cannot write to stdout: No space left on device, but";
    for (words, done) in [
        (build, format!("`oci:new:v1` and `oci-archive:new.tar:v1` are written: {image}")),
        ("squash oci:new:v1 oci:flat:v1", "`oci:flat:v1` is written: sha256:".to_owned()),
        ("convert oci:new:v1 oci:other:v1", format!("`oci:other:v1` is written: {image}")),
        ("index oci:new:v1 oci:both:v1", "`oci:both:v1` is written: sha256:".to_owned()),
        ("config oci:other:v1 --env A=1", "`oci:other:v1` is changed: sha256:".to_owned()),
        ("tag oci:new:v1 v2", format!("`oci:new:v1` has the names: {image}")),
        ("rm oci:new:v2", format!("what was named is removed from `oci:new:v2`: {image} v2")),
        ("attach oci:new:v1 rootfs/motd --type text/plain", "the file is attached in `oci:new:v1`: sha256:".to_owned()),
        ("gc oci:copy --json", "oci:copy: 0 blobs freed".to_owned()),
        ("unpack oci:new:v1 unpacked --rootless --json", "the image is unpacked into `unpacked`".to_owned()),
        ("report oci:new:v1 -o page.html --json", "`page.html` is written".to_owned()),
    ] {
        let mut all = words.split(' ');
        let tool = Tool::new(all.next().unwrap()).args(all).within(scratch.path());
        let error = tool.behind(["sh", "-c", "exec \"$0\" \"$@\" > /dev/full"]).run().error();
        assert!(error.starts_with(&format!("{full} {done}")), "{words}: {error}");
    }
    assert_eq!(digest("convert oci:new:v1 oci:again:v1"), image);
    assert!(scratch.join("new.tar").is_file() && scratch.join("page.html").is_file());
    assert!(scratch.join("unpacked/motd").is_file());
}
