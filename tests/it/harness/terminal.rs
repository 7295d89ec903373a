//! Commands that see a terminal.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::{Peer, Tool};

/// A terminal and the environment of its user.
pub(crate) struct Terminal<'a> {
    pub(crate) columns: u32,
    pub(crate) env: &'a [(&'a str, &'a str)],
    pub(crate) directory: &'a Path,
}

impl Terminal<'_> {
    /// What the terminal shows of a command, or `None` if there can be no terminal.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Option<String> {
        self.session(words, "", "")
    }

    /// What the terminal shows of a shell in which lines are typed, each after a prompt.
    #[track_caller]
    pub(crate) fn session(&self, words: &[&str], prompt: &str, typed: &str) -> Option<String> {
        let python = Peer::python()?;
        let mut command = python.command();
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/terminal.py"));
        command.args([&self.columns.to_string(), prompt]).args(words).current_dir(self.directory);
        let path = format!("{}:/usr/bin:/bin", Tool::path().parent().unwrap().display());
        command.env("PATH", path).env("TERM", "xterm").env("HOME", self.directory).envs(self.env.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
    }
}
