//! Runs of the tool under test.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::peer::clean;
use super::{names_below, place};

/// A run that is not started yet.
#[must_use]
pub(crate) struct Tool {
    before: Vec<OsString>,
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
}

impl Tool {
    /// The program, where every user can run it, because other users may not have access to the clone.
    pub(crate) fn path() -> &'static Path {
        static TOOL: OnceLock<PathBuf> = OnceLock::new();
        TOOL.get_or_init(|| {
            let built = std::env::var_os("OCIBAKE").map_or_else(|| env!("CARGO_BIN_EXE_ocibake").into(), PathBuf::from);
            let (tool, staged) = (place().join("ocibake"), place().join(format!("ocibake-{}", std::process::id())));
            // Not copied here: processes that other threads start meanwhile would inherit the open file, and a program
            // cannot be run while it is open for writing.
            assert!(Command::new("cp").args([&built, &staged]).status().unwrap().success());
            fs::set_permissions(&staged, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(staged, &tool).unwrap();
            tool
        })
    }

    /// Runs of any verb.
    pub(crate) fn new(verb: &str) -> Self {
        Tool {
            before: Vec::new(),
            program: Tool::path().to_path_buf(),
            args: vec![verb.into()],
            env: BTreeMap::new(),
            directory: None,
        }
    }

    /// `build ROOTFS --arch amd64`; targets and more are to be added.
    pub(crate) fn build(rootfs: impl AsRef<OsStr>) -> Self {
        Tool::new("build").arg(rootfs).args(["--arch", "amd64"])
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_os_string());
        self
    }

    pub(crate) fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// A target: transport, path and perhaps a ref name.
    pub(crate) fn target(self, transport: &str, path: &Path, ref_name: &str) -> Self {
        let mut target = OsString::from(format!("{transport}:"));
        target.push(path);
        if !ref_name.is_empty() {
            target.push(":");
            target.push(ref_name);
        }
        self.arg(target)
    }

    /// `oci:PATH`.
    pub(crate) fn oci(self, path: &Path) -> Self {
        self.target("oci", path, "")
    }

    /// `oci-archive:PATH`.
    pub(crate) fn archive(self, path: &Path) -> Self {
        self.target("oci-archive", path, "")
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_os_string(), value.as_ref().to_os_string());
        self
    }

    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_path_buf());
        self
    }

    /// Runs the tool through another program: `words` come before its path and its arguments.
    pub(crate) fn behind<I>(mut self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.before = words.into_iter().map(|word| word.as_ref().to_os_string()).collect();
        self
    }

    /// Signals have their default effect on the tool, even if the tests were started with signals ignored: by `nohup`,
    /// or by a shell in the background.
    pub(crate) fn heeding_signals(self) -> Self {
        self.behind(["env", "--default-signal=HUP,INT,TERM"])
    }

    /// Another copy of the tool: one that was installed.
    pub(crate) fn program(mut self, path: &Path) -> Self {
        self.program = path.to_path_buf();
        self
    }

    fn command(&self) -> Command {
        let mut words = self.before.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let mut command = clean(Command::new(words.next().expect("at least the tool itself")));
        command.args(words).args(&self.args).envs(&self.env).stdin(Stdio::null());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    pub(crate) fn run(self) -> Outcome {
        let output = self.command().output().unwrap_or_else(|error| panic!("{:?}: {error}", self.command()));
        Outcome {
            command: format!("{:?}", self.command()),
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it; it must succeed and print a digest, which is returned.
    #[track_caller]
    pub(crate) fn bake(self) -> String {
        self.run().digest()
    }

    pub(crate) fn start(self) -> Running {
        let mut command = self.command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { command: format!("{command:?}"), child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")) }
    }
}

/// A run that is over.
#[must_use]
pub(crate) struct Outcome {
    pub(super) command: String,
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Outcome {
    fn show(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout);
        format!("{}: {}\n--- stdout\n{stdout}--- stderr\n{}---", self.command, self.status, self.stderr)
    }

    /// The command.
    pub(crate) fn shown(&self) -> &str {
        &self.command
    }

    pub(crate) fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The exit status; fails if a signal ended the run.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{}", self.show()))
    }

    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// The stdout of a run, successful or not.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The stdout of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn stdout(self) -> String {
        assert!(self.status.success(), "{}", self.show());
        String::from_utf8(self.stdout).expect("stdout is text")
    }

    /// The JSON printed by a run that must have succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let shown = self.show();
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}\n{shown}"))
    }

    /// The digest that a build printed, without any other output.
    #[track_caller]
    pub(crate) fn digest(self) -> String {
        assert_eq!(self.stderr, "", "{}", self.show());
        self.digest_despite_warnings()
    }

    #[track_caller]
    pub(crate) fn digest_despite_warnings(self) -> String {
        let shown = self.show();
        let stdout = self.stdout();
        let digest = stdout.strip_suffix('\n').unwrap_or_else(|| panic!("no line\n{shown}"));
        let hex = digest.strip_prefix("sha256:").unwrap_or_else(|| panic!("no digest\n{shown}"));
        assert!(hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{shown}");
        digest.to_owned()
    }

    /// The message of a run that must have failed: exit status 2, nothing on stdout, one line `ocibake: error: …` and
    /// at most one `hint: …` on stderr. Warnings may come before it.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        let shown = self.show();
        assert_eq!(self.status.code(), Some(2), "{shown}");
        assert!(self.stdout.is_empty(), "data on stdout\n{shown}");
        let mut lines = self.stderr.lines().filter(|line| !line.starts_with("ocibake: warning: "));
        let first = lines.next().unwrap_or_else(|| panic!("no message\n{shown}"));
        let message = first.strip_prefix("ocibake: error: ").unwrap_or_else(|| panic!("no error line\n{shown}"));
        let hint = lines.next().unwrap_or("hint: ");
        assert!(hint.starts_with("hint: ") && lines.next().is_none(), "more than an error and a hint\n{shown}");
        assert!(!message.contains("(os error "), "a number of the system in a message\n{shown}");
        assert!(!message.ends_with('.') || message.ends_with("..."), "a message ends without a full stop\n{shown}");
        format!("{message}\n{hint}")
    }
}

/// A run under way.
#[must_use]
pub(crate) struct Running {
    command: String,
    child: Child,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until `happened`, while the run must go on; ends it and fails after some minutes.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut happened: impl FnMut() -> bool) {
        let start = Instant::now();
        while !happened() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{}: {status} before {what}", self.command);
            }
            self.check_time(start, what);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end; ends it and fails after some minutes.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Outcome {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            self.check_time(start, "its end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |stream: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            stream.expect("a pipe").read_to_end(&mut bytes).unwrap();
            bytes
        };
        let stdout = read(self.child.stdout.as_mut().map(|stream| stream as &mut dyn Read));
        let stderr = read(self.child.stderr.as_mut().map(|stream| stream as &mut dyn Read));
        Outcome { command: self.command.clone(), status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }

    #[track_caller]
    fn check_time(&mut self, start: Instant, what: &str) {
        // Only what hangs takes that long, however busy the machine is.
        if start.elapsed() > Duration::from_secs(300) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!("{}: no sign of {what} for five minutes", self.command);
        }
    }
}

/// Waits until bytes of the layer have reached a staging directory.
#[track_caller]
pub(crate) fn until_it_writes(running: &mut Running, directory: &Path) {
    running.until("bytes in the staging directory", || {
        names_below(directory).iter().any(|name| {
            let is_written = || directory.join(name).metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
            name.contains(".ocibake-") && is_written()
        })
    });
}
