//! A real registry, on loopback.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};

use super::{sha256, Peer, Scratch};

/// Debian's `docker-registry` with its own storage. It ends with the test.
pub(crate) struct Registry {
    child: Child,
    address: String,
    skopeo: Peer,
}

impl Registry {
    /// A registry that is ready, or `None` if it or skopeo is missing: then the test has to return.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch) -> Option<Self> {
        let (registry, skopeo) = (Peer::find("docker-registry")?, Peer::find("skopeo")?);
        let settings = scratch.join("registry.yml");
        let storage = scratch.join("registry").display().to_string();
        // Any free port; the registry logs which one it has.
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, formatter: text}}\n\
             storage: {{filesystem: {{rootdirectory: '{storage}'}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n"
        );
        fs::write(&settings, text).unwrap();
        let mut command = registry.command();
        command.arg("serve").arg(&settings);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = child.stderr.take().expect("a pipe");
        let address = listened(said);
        Some(Registry { child, address, skopeo })
    }

    /// `docker://` and a name in it.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }

    /// Copies with skopeo, all platforms, without changing a byte.
    #[track_caller]
    pub(crate) fn copy(&self, from: &str, to: &str) {
        self.skopeo_copy(&["--all", "--preserve-digests", from, to]);
    }

    /// Copies with skopeo, which may write a manifest of its own.
    #[track_caller]
    pub(crate) fn push(&self, from: &str, to: &str) {
        self.skopeo_copy(&[from, to]);
    }

    #[track_caller]
    fn skopeo_copy(&self, words: &[&str]) {
        let flags = ["--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
        self.skopeo.run(flags.iter().chain(words));
    }

    /// The digest of the manifest or index that a name leads to.
    #[track_caller]
    pub(crate) fn digest(&self, name: &str) -> String {
        let raw = self.skopeo.run(["inspect", "--raw", "--tls-verify=false", &self.image(name)]);
        format!("sha256:{}", sha256(raw.as_bytes()))
    }
}

/// The address from the registry's log. The rest of its output must be read too, or it would block.
fn listened(said: ChildStderr) -> String {
    let mut said = BufReader::new(said);
    let address = said.by_ref().lines().map_while(Result::ok).find_map(|line| {
        let address = line.split("listening on ").nth(1)?;
        Some(address.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect())
    });
    std::thread::spawn(move || io::copy(&mut said, &mut io::sink()));
    address.expect("the registry says where it listens")
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
