//! An ordinary user, and the fake roots under which ordinary users build: pseudo and fakeroot.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::peer::clean;
use super::{is_root, Outcome, Peer, Scratch, Tool};

/// The ordinary user of tests that root runs.
pub(crate) const NOBODY: u32 = 65534;

/// The message of pseudo before 1.9.3 when std checks, once per process, whether there is a `statx`.
const PROBE: &str = "couldn't allocate absolute path for 'null'.\n";

/// A fake root, run by an ordinary user, with a state that is kept from one call to the next.
pub(crate) struct FakeRoot {
    kind: Faker,
    program: Peer,
    /// Belongs to the ordinary user, as everything below it.
    home: PathBuf,
}

/// The program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Faker {
    Pseudo,
    Fakeroot,
}

impl FakeRoot {
    /// A fresh one, or `None` if the program is missing: then the test has to return.
    #[track_caller]
    pub(crate) fn new(kind: Faker, scratch: &Scratch) -> Option<Self> {
        let program = match kind {
            Faker::Pseudo => Peer::find("pseudo")?,
            Faker::Fakeroot => Peer::find("fakeroot")?,
        };
        let home = scratch.make_directory(&format!("{kind:?}").to_lowercase());
        fs::create_dir(home.join("state")).unwrap();
        // For scripts.
        std::os::unix::fs::symlink(Tool::path(), home.join("ocibake")).unwrap();
        if is_root() {
            for path in [home.clone(), home.join("state")] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        Some(FakeRoot { kind, program, home })
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The tool, under the fake root.
    pub(crate) fn tool<I>(&self, args: I) -> Outcome
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let args = args.into_iter().map(|arg| arg.as_ref().to_os_string());
        self.run(std::iter::once(Tool::path().into()).chain(args))
    }

    /// Runs a script of `sh` as this root, in a directory that is made for it.
    #[track_caller]
    pub(crate) fn script(&self, directory: &str, script: &[u8]) -> String {
        let (path, directory) = (self.home.join("script"), self.home.join(directory));
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let enter = "mkdir -p \"$1\" && cd \"$1\" && exec sh \"$2\"";
        let words = ["sh", "-c", enter, "sh"].into_iter().map(OsString::from);
        self.run(words.chain([directory.into_os_string(), path.into_os_string()])).stdout()
    }

    /// Runs a command as this root. Output goes to files: pseudo's server outlives the command and would keep a pipe
    /// open.
    pub(crate) fn run(&self, words: impl IntoIterator<Item = OsString>) -> Outcome {
        let mut command = unprivileged();
        command.current_dir(&self.home);
        match self.kind {
            Faker::Pseudo => {
                command.env("PSEUDO_PREFIX", "/usr").env("PSEUDO_LOCALSTATEDIR", self.home.join("state"));
                command.arg(self.program.path());
            }
            Faker::Fakeroot => {
                let state = self.home.join("state/fakeroot");
                command.arg(self.program.path()).arg("-s").arg(&state);
                if state.symlink_metadata().is_ok() {
                    command.arg("-i").arg(&state);
                }
                command.arg("--");
            }
        }
        command.args(words);
        let capture = |name: &str| fs::File::create(self.home.with_extension(name)).unwrap();
        let captured = |name: &str| fs::read(self.home.with_extension(name)).unwrap();
        command.stdin(Stdio::null()).stdout(capture("stdout")).stderr(capture("stderr"));
        let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Outcome {
            command: format!("{command:?}"),
            status,
            stdout: captured("stdout"),
            stderr: String::from_utf8_lossy(&captured("stderr")).replace(PROBE, ""),
        }
    }

    /// The complaints of pseudo. It also logs starts and ends of its server.
    pub(crate) fn log_of_trouble(&self) -> Vec<String> {
        let log = fs::read_to_string(self.home.join("state/pseudo.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("mismatch") || line.contains("abort")).map(str::to_owned).collect()
    }
}

impl Drop for FakeRoot {
    fn drop(&mut self) {
        if self.kind == Faker::Pseudo {
            let mut command = unprivileged();
            command.env("PSEUDO_PREFIX", "/usr").env("PSEUDO_LOCALSTATEDIR", self.home.join("state"));
            let _ = command.arg(self.program.path()).arg("-S").stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// A command that an ordinary user runs; the program and its arguments are to be added.
pub(crate) fn unprivileged() -> Command {
    if !is_root() {
        return clean(Command::new("env"));
    }
    let mut command = clean(Command::new("setpriv"));
    command.args(unprivileged_words().iter().skip(1));
    command
}

/// The words before a command that an ordinary user is to run.
pub(crate) fn unprivileged_words() -> Vec<String> {
    if !is_root() {
        return vec!["env".to_owned()];
    }
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    ["setpriv".to_owned()].into_iter().chain(ids).chain(["--clear-groups".to_owned()]).collect()
}
