//! Peers that have an image storage: buildah and podman.

use std::fs;

use super::{Peer, Scratch};

/// A peer with its own storage.
pub(crate) struct Storage<'a> {
    peer: Peer,
    options: Vec<String>,
    scratch: &'a Scratch,
}

impl<'a> Storage<'a> {
    #[track_caller]
    pub(crate) fn of(name: &str, scratch: &'a Scratch) -> Option<Self> {
        let options = [
            format!("--root={}", scratch.join("storage").display()),
            // Relative, since podman wants it to have at most 50 characters.
            "--runroot=run".to_owned(),
            "--storage-driver=vfs".to_owned(),
        ];
        Some(Storage { peer: Peer::find(name)?, options: options.to_vec(), scratch })
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let mut command = self.peer.command();
        command.current_dir(self.scratch.path());
        // Both keep other files below these, and locks in memory shared by the whole machine.
        let conf = self.scratch.join("containers.conf");
        fs::write(&conf, "[engine]\nlock_type = \"file\"\n").unwrap();
        command.env("TMPDIR", self.scratch.path()).env("HOME", self.scratch.path()).env("CONTAINERS_CONF", conf);
        command.args(&self.options).args(args);
        self.peer.finish(command).trim_end().to_owned()
    }
}
