//! The runtime's configuration of a bundle (image-spec, conversion.md; runtime-spec, config.md).

use std::collections::BTreeMap;

use serde_json::{json, Value};

use crate::error::Result;
use crate::oci::ImageConfig;
use crate::ops::unpack::disk::Disk;
use crate::ops::unpack::user::{Accounts, User};
use crate::ops::unpack::Rights;

/// The file of the configuration.
pub(super) const CONFIG: &str = "config.json";

/// The directory of the tree.
pub(super) const ROOTFS: &str = "rootfs";

/// The version of the runtime-spec that the configuration follows; runtimes take any of the same major number.
const OCI_VERSION: &str = "1.0.2";

/// What a process may do beyond an ordinary user, even as root: what `runc spec` gives it.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Variables for images that do not set them.
const ENVIRONMENT: [&str; 2] = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"];

/// The configuration of a container that runs the image, in JSON. `warnings` gets what may be a surprise when it runs.
pub(super) fn config(
    image: &ImageConfig,
    disk: &mut Disk,
    rights: Rights,
    warnings: &mut Vec<String>,
) -> Result<String> {
    let user = image.config.as_ref().and_then(|config| config.user.as_deref()).unwrap_or_default();
    let user = Accounts::read(disk)?.resolve(user)?;
    if rights == Rights::Rootless && (user.uid, user.gid) != (0, 0) {
        warnings.push(format!(
            "{CONFIG}: the container runs as {}:{}, and only 0:0 is mapped to a user of the host",
            user.uid, user.gid
        ));
    }
    if args(image).is_empty() {
        warnings.push(format!("{CONFIG}: the image names no command, `sh` is used"));
    }
    Ok(format!("{:#}\n", document(image, &user, rights)))
}

fn document(image: &ImageConfig, user: &User, rights: Rights) -> Value {
    let config = image.config.clone().unwrap_or_default();
    let mut args = args(image);
    if args.is_empty() {
        args.push("sh".to_owned());
    }
    let cwd = config.working_dir.as_deref().filter(|directory| !directory.is_empty()).unwrap_or("/");
    let mut process_user = json!({"uid": user.uid, "gid": user.gid});
    if !user.additional_gids.is_empty() {
        process_user["additionalGids"] = json!(user.additional_gids);
    }
    json!({
        "ociVersion": OCI_VERSION,
        "root": {"path": ROOTFS},
        "process": {
            "terminal": true,
            "user": process_user,
            "args": args,
            "env": environment(&config.env, user.home.as_deref()),
            "cwd": cwd,
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "mounts": mounts(config.volumes.keys(), rights),
        "annotations": annotations(image),
        "linux": linux(rights),
    })
}

/// The entrypoint, followed by the command.
fn args(image: &ImageConfig) -> Vec<String> {
    let config = image.config.as_ref();
    let entrypoint = config.and_then(|config| config.entrypoint.as_ref());
    let cmd = config.and_then(|config| config.cmd.as_ref());
    entrypoint.into_iter().chain(cmd).flatten().cloned().collect()
}

/// Defaults for what the image does not set, followed by what it sets, in its order.
fn environment(image: &[String], home: Option<&str>) -> Vec<String> {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let home = home.map(|home| format!("HOME={home}"));
    let defaults = ENVIRONMENT.iter().map(ToString::to_string).chain(home);
    let unset = defaults.filter(|pair| !image.iter().any(|set| name(set) == name(pair)));
    unset.chain(image.iter().cloned()).collect()
}

/// What the image says about itself. Where a label says the same, the label wins.
fn annotations(image: &ImageConfig) -> BTreeMap<String, String> {
    let config = image.config.clone().unwrap_or_default();
    let ports: Vec<String> = config.exposed_ports.into_keys().collect();
    let mut annotations = BTreeMap::new();
    for (key, value) in [
        ("os", Some(image.os.clone())),
        ("architecture", Some(image.architecture.clone())),
        ("variant", image.variant.clone()),
        ("os.version", image.os_version.clone()),
        ("os.features", (!image.os_features.is_empty()).then(|| image.os_features.join(","))),
        ("author", image.author.clone()),
        ("created", image.created.clone()),
        ("stopSignal", config.stop_signal),
        ("exposedPorts", (!ports.is_empty()).then(|| ports.join(","))),
    ] {
        annotations.extend(value.map(|value| (format!("org.opencontainers.image.{key}"), value)));
    }
    annotations.extend(config.labels);
    annotations
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": kind, "source": source, "options": options})
}

/// The filesystems that Linux programs expect (runtime-spec, config-linux.md#default-filesystems), and one in memory
/// for each volume.
fn mounts<'a>(volumes: impl Iterator<Item = &'a String>, rights: Rights) -> Vec<Value> {
    let mut terminal = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    let system = match rights {
        Rights::Full => {
            terminal.push("gid=5");
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"])
        }
        // Group 5 is not mapped, and sysfs belongs to the owner of the network namespace.
        Rights::Rootless => mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
    };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", &terminal),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        system,
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ];
    mounts.extend(volumes.map(|volume| mount(volume, "tmpfs", "tmpfs", &["nosuid", "noexec", "nodev", "relatime"])));
    mounts
}

fn linux(rights: Rights) -> Value {
    let namespace = |kind: &&str| json!({"type": kind});
    let mut linux = json!({
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
            "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    match rights {
        Rights::Full => {
            let all = ["pid", "network", "ipc", "uts", "mount"];
            linux["namespaces"] = all.iter().map(namespace).collect();
            linux["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
        }
        // The container's root is the user who unpacked it, with the host's network.
        Rights::Rootless => {
            let all = ["pid", "ipc", "uts", "mount", "user"];
            linux["namespaces"] = all.iter().map(namespace).collect();
            let mapping = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
            linux["uidMappings"] = mapping(rustix::process::geteuid().as_raw());
            linux["gidMappings"] = mapping(rustix::process::getegid().as_raw());
        }
    }
    linux
}
