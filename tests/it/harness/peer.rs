//! Other programs, and rights that not every user has. Missing ones are reported on stderr; in CI the test fails.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that checks or consumes the tool's output.
pub(crate) struct Peer(PathBuf);

impl Peer {
    /// The program of this name, or `None` if it is missing: then the test has to return, see [`missing`]. With
    /// `OCIBAKE_PEERS=none` only programs that every system has are used.
    #[track_caller]
    pub(crate) fn find(name: &str) -> Option<Peer> {
        let is_everywhere = ["sh", "tar", "gzip", "python3"].contains(&name);
        if !is_everywhere && std::env::var_os("OCIBAKE_PEERS").is_some_and(|peers| peers == "none") {
            return None;
        }
        let found = PATH.split(':').map(|directory| Path::new(directory).join(name)).find(|path| is_program(path));
        if found.is_none() {
            missing(&format!("the program {name}"));
        }
        found.map(Peer)
    }

    /// Debian's own Python, which sees Debian's own modules.
    #[track_caller]
    pub(crate) fn python() -> Option<Peer> {
        let path = Path::new("/usr/bin/python3");
        if is_program(path) {
            return Some(Peer(path.to_path_buf()));
        }
        Peer::find("python3")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = clean(Command::new(&self.0));
        command.env("TMPDIR", super::place());
        command
    }

    /// Runs it and returns its stdout; fails if the program does.
    #[track_caller]
    pub(crate) fn run<I>(&self, args: I) -> String
    where
        I: IntoIterator,
        I::Item: AsRef<std::ffi::OsStr>,
    {
        let mut command = self.command();
        command.args(args);
        self.finish(command)
    }

    /// Runs one of its commands and returns its stdout; fails if the command does.
    #[track_caller]
    #[allow(clippy::unused_self)]
    pub(crate) fn finish(&self, command: Command) -> String {
        String::from_utf8_lossy(&output(command)).into_owned()
    }
}

/// The stdout of a command; fails if the command does.
#[track_caller]
pub(crate) fn output(mut command: Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}--- stderr\n{}---",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The search path for programs, for the tests and the commands that they start.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with an environment that is the same everywhere.
pub(super) fn clean(mut command: Command) -> Command {
    command.env_clear().env("PATH", PATH).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    command
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the test runs as root. If it does not, a test that needs root has to return.
#[track_caller]
pub(crate) fn root() -> bool {
    if !is_root() {
        missing("root");
    }
    is_root()
}

/// Reports what is missing, bypassing the capture of the test's output; in CI that is a failure.
#[track_caller]
pub(crate) fn missing(what: &str) {
    let thread = std::thread::current();
    let line = format!("MISSING {what}: {} did not test what it should\n", thread.name().unwrap_or("?"));
    assert!(std::env::var_os("CI").map_or(true, |ci| ci != "true"), "{line}");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
