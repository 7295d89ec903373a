//! The daemons that run images: containerd and Docker. They need root, but nothing here runs a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{missing, root, Peer};

/// A daemon with its own storage, and the client that talks to it. It ends with the test.
pub(crate) struct Daemon {
    child: Child,
    directory: PathBuf,
    client: Peer,
    address: [String; 2],
}

impl Daemon {
    /// A containerd that is ready, or `None` if something is missing: then the test has to return.
    #[track_caller]
    pub(crate) fn containerd() -> Option<Self> {
        let (daemon, client) = (Peer::find("containerd")?, Peer::find("ctr")?);
        root().then_some(())?;
        let directory = make_directory();
        let [socket, root, state] = ["socket", "root", "state"].map(|name| path_in(&directory, name));
        let settings = directory.join("config.toml");
        // The Kubernetes plugin is of no use here, and the other would write below /opt.
        let text = format!(
            "version = 2\nroot = '{root}'\nstate = '{state}'\n\
             disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt']\n\
             [grpc]\naddress = '{socket}'\n[ttrpc]\naddress = '{socket}.ttrpc'\n"
        );
        fs::write(&settings, text).unwrap();
        let mut command = daemon.command();
        command.arg("--config").arg(settings);
        Self::start(command, directory, client, ["--address".to_owned(), socket])
    }

    /// A Docker that is ready, with layers as directories, without a network.
    #[track_caller]
    pub(crate) fn docker() -> Option<Self> {
        let (daemon, client) = (Peer::find("dockerd")?, Peer::find("docker")?);
        root().then_some(())?;
        let directory = make_directory();
        let socket = format!("unix://{}", path_in(&directory, "socket"));
        let mut command = daemon.command();
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]);
        for (flag, name) in [("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid"), ("config-file", "none")]
        {
            command.arg(format!("--{flag}={}", path_in(&directory, name)));
        }
        fs::write(directory.join("none"), "{}").unwrap();
        command.args(["--host", &socket]);
        Self::start(command, directory, client, ["--host".to_owned(), socket])
    }

    #[track_caller]
    fn start(mut command: Command, directory: PathBuf, client: Peer, address: [String; 2]) -> Option<Self> {
        let log = directory.join("log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut daemon = Daemon { child, directory, client, address };
        let start = Instant::now();
        while !daemon.answers() {
            if daemon.child.try_wait().unwrap().is_some() || start.elapsed() > Duration::from_secs(300) {
                missing(&format!("a daemon that starts here: {}", fs::read_to_string(&log).unwrap()));
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(daemon)
    }

    fn answers(&self) -> bool {
        let mut command = self.command(&["version"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.client.command();
        command.args(&self.address).args(args);
        command
    }

    /// The directory of its storage.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs the client and returns its stdout; fails if the client does.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.client.finish(self.command(args)).trim_end().to_owned()
    }
}

/// A directory in memory. A socket's path has at most 104 bytes, so it is not below the test's own.
fn make_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(format!("/dev/shm/ocibake-{}-{number}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

fn path_in(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

impl Drop for Daemon {
    /// Asks it to end, because Docker has a child process.
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
