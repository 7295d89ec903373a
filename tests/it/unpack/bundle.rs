use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{json, Value};

use super::made::{image, layer};
use crate::harness::{names_below, root, unprivileged_words, Peer, Scratch, Tool};
use crate::schemas::complaints;

/// Where Debian's golang-github-opencontainers-specs-dev installs the schemas of the runtime-spec.
const SCHEMAS: &str = "/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema";

const ACCOUNTS: [&str; 3] = [
    "etc/",
    "etc/passwd=root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/srv/app:/bin/sh\n",
    "etc/group=root:x:0:\nstaff:x:50:app\napp:x:1001:\nwheel:x:10:app,root\n",
];

/// The runtime's configuration of an image with this configuration and this layer.
fn config(scratch: &Scratch, config: &Value, words: &[&str]) -> Value {
    bundle(scratch, config, words, &[]);
    read(&scratch.join("bundle/config.json"))
}

fn bundle(scratch: &Scratch, config: &Value, words: &[&str], args: &[&str]) {
    for name in ["image", "bundle"] {
        if scratch.join(name).symlink_metadata().is_ok() {
            fs::remove_dir_all(scratch.join(name)).unwrap();
        }
    }
    image(&scratch.join("image"), &[layer(words)], config);
    let tool = Tool::new("unpack").args(["oci:image", "bundle", "--bundle", "-q"]).args(args);
    assert_eq!(tool.within(scratch.path()).run().stdout(), "");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_bundle_has_a_rootfs_and_a_configuration() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let found = config(&scratch, &json!({"Cmd": ["sh"]}), &["a=1"]);
    assert_eq!(names_below(&scratch.join("bundle")), ["config.json", "rootfs/", "rootfs/a"]);
    // Files of the container's users must not be accessible to users of the host.
    assert_eq!(scratch.join("bundle").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(scratch.join("bundle/rootfs").metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(found["ociVersion"], "1.0.2");
    assert_eq!(found["root"], json!({"path": "rootfs"}));
}

#[test]
fn the_image_says_what_runs() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let image = json!({
        "Entrypoint": ["/bin/app", "-x"],
        "Cmd": ["one", "two words"],
        "Env": ["A=b c", "PATH=/bin", "EMPTY="],
        "WorkingDir": "/srv",
        "User": "app",
        "Volumes": {"/data": {}, "/var/lib/x": {}},
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "StopSignal": "SIGRTMIN+3",
        "Labels": {"org.example.a": "b", "org.opencontainers.image.os": "mine"},
    });
    let found = config(&scratch, &image, &ACCOUNTS);
    let process = &found["process"];
    assert_eq!(process["args"], json!(["/bin/app", "-x", "one", "two words"]));
    assert_eq!(process["env"], json!(["TERM=xterm", "HOME=/srv/app", "A=b c", "PATH=/bin", "EMPTY="]));
    assert_eq!(process["cwd"], "/srv");
    assert_eq!(process["user"], json!({"uid": 1000, "gid": 1001, "additionalGids": [50, 10]}));
    let annotations = json!({
        "org.example.a": "b",
        "org.opencontainers.image.architecture": "amd64",
        "org.opencontainers.image.exposedPorts": "53/udp,8080/tcp",
        "org.opencontainers.image.os": "mine",
        "org.opencontainers.image.stopSignal": "SIGRTMIN+3",
    });
    assert_eq!(found["annotations"], annotations);
    let mounts: Vec<&str> =
        found["mounts"].as_array().unwrap().iter().map(|mount| mount["destination"].as_str().unwrap()).collect();
    let expected =
        ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/data", "/var/lib/x"];
    assert_eq!(mounts, expected);
}

#[test]
fn users_are_looked_up_in_the_image_and_nowhere_else() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    for (user, expected) in [
        ("", json!({"uid": 0, "gid": 0})),
        ("app:staff", json!({"uid": 1000, "gid": 50})),
        ("1000", json!({"uid": 1000, "gid": 1001})),
        ("4242:staff", json!({"uid": 4242, "gid": 50})),
    ] {
        assert_eq!(config(&scratch, &json!({"User": user}), &ACCOUNTS)["process"]["user"], expected, "{user}");
    }
    // Links of the image stay in the image, whatever their targets.
    let outside = scratch.make_directory("outside");
    fs::write(outside.join("passwd"), "host:x:4711:4711::/:\n").unwrap();
    let link = format!("etc/passwd->{}", outside.join("passwd").display());
    let inside = format!("{}=host:x:5:6::/:\n", outside.join("passwd").display());
    for (words, found) in [
        (&["etc/passwd->../../outside/passwd"][..], None),
        (&[&link], None),
        (&[&link, &inside], Some(json!({"uid": 5, "gid": 6}))),
        (&["etc/passwd->/usr/passwd", "usr/passwd=host:x:7:8::/:\n"], Some(json!({"uid": 7, "gid": 8}))),
        (&["etc->conf", "conf/passwd->real", "conf/real=host:x:7:8::/:\n"], Some(json!({"uid": 7, "gid": 8}))),
        (&["etc/passwd->passwd"], None),
    ] {
        if let Some(found) = found {
            assert_eq!(config(&scratch, &json!({"User": "host"}), words)["process"]["user"], found, "{words:?}");
            continue;
        }
        image(&scratch.join("other"), &[layer(words)], &json!({"User": "host"}));
        let before = names_below(scratch.path());
        let error = Tool::new("unpack").args(["oci:other", "out", "--bundle"]).within(scratch.path()).run().error();
        assert!(
            error.contains(
                "the user `host`, which is not in its `etc/passwd`\nhint: give it another user with `ocibake config`"
            ),
            "{error}"
        );
        assert_eq!(names_below(scratch.path()), before);
        fs::remove_dir_all(scratch.join("other")).unwrap();
    }
}

#[test]
fn an_ordinary_user_is_the_containers_root() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let home = scratch.make_directory("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    image(&home.join("image"), &[layer(&ACCOUNTS)], &json!({"User": "app", "Cmd": ["sh"]}));
    let tool = Tool::new("unpack").args(["oci:image", "out", "--bundle", "--rootless"]);
    let outcome = tool.behind(unprivileged_words()).within(&home).run();
    let said = outcome.stderr().to_owned();
    assert!(said.contains("the container runs as 1000:1001, and only 0:0 is mapped"), "{said}");
    let linux = &read(&home.join("out/config.json"))["linux"];
    let mapping = json!([{"containerID": 0, "hostID": 65534, "size": 1}]);
    assert_eq!((&linux["uidMappings"], &linux["gidMappings"]), (&mapping, &mapping));
    let namespaces: Vec<&Value> = linux["namespaces"].as_array().unwrap().iter().map(|kind| &kind["type"]).collect();
    assert_eq!(namespaces, ["pid", "ipc", "uts", "mount", "user"]);
}

#[test]
fn no_command_is_worth_a_word() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    image(&scratch.join("image"), &[layer(&["a=1"])], &json!(null));
    let outcome = Tool::new("unpack").args(["oci:image", "bundle", "--bundle"]).within(scratch.path()).run();
    let said = outcome.stderr().to_owned();
    assert_eq!(said, "ocibake: warning: config.json: the image names no command, `sh` is used\n");
    assert_eq!(read(&scratch.join("bundle/config.json"))["process"]["args"], json!(["sh"]));
}

#[test]
fn it_follows_the_schema_of_the_runtime_spec() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    for (image, args) in [
        (json!({"User": "app", "Cmd": ["sh"], "Volumes": {"/data": {}}, "ExposedPorts": {"80/tcp": {}}}), &[][..]),
        (json!({"User": "app:staff", "Env": ["A=b"], "Labels": {"a": "b"}}), &["--rootless"]),
        (json!({}), &[]),
    ] {
        bundle(&scratch, &image, &ACCOUNTS, args);
        let document = scratch.join("bundle/config.json");
        let Some(complaints) = complaints(SCHEMAS, "config-schema.json", &document) else { return };
        assert_eq!(complaints, "");
        let mut wrong = read(&document);
        wrong["process"]["args"] = json!("sh");
        wrong["mounts"][0]["destination"] = json!(7);
        fs::write(&document, wrong.to_string()).unwrap();
        let found = self::complaints(SCHEMAS, "config-schema.json", &document).unwrap();
        assert!(found.contains("process/args") && found.contains("mounts/0/destination"), "{found}");
    }
}

/// Properties from the image are written like umoci writes them; the others may differ.
#[test]
fn umoci_says_the_same() {
    let scratch = Scratch::new();
    let Some(umoci) = Peer::find("umoci").filter(|_| root()) else { return };
    for user in ["app", "app:staff", "0:50"] {
        let image = json!({
            "Entrypoint": ["/bin/app"],
            "Cmd": ["one"],
            "Env": ["A=b"],
            "WorkingDir": "/srv",
            "User": user,
            "Volumes": {"/data": {}},
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "StopSignal": "SIGTERM",
            "Labels": {"a": "b"},
        });
        let ours = config(&scratch, &image, &ACCOUNTS);
        let source = format!("{}:latest", scratch.join("image").display());
        umoci.run(["unpack", "--image", &source, scratch.join("theirs").to_str().unwrap()]);
        let mut theirs = read(&scratch.join("theirs/config.json"));
        fs::remove_dir_all(scratch.join("theirs")).unwrap();

        // umoci adds an author and a time although the image has none.
        let annotations = theirs["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| !["author", "created"].iter().any(|end| key.ends_with(end)));
        let sorted = |config: &Value, member: &str| {
            let mut words: Vec<String> =
                config["process"][member].as_array().into_iter().flatten().map(ToString::to_string).collect();
            words.sort();
            words
        };
        let ids = |config: &Value| {
            let mut user = config["process"]["user"].clone();
            if let Some(gids) = user["additionalGids"].as_array_mut() {
                gids.sort_by_key(Value::as_u64);
            }
            user
        };
        let destinations = |config: &Value| {
            let mounts = config["mounts"].as_array().unwrap().iter();
            mounts.map(|mount| mount["destination"].to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ours["annotations"], theirs["annotations"]);
        assert_eq!(ours["process"]["args"], theirs["process"]["args"]);
        assert_eq!(ours["process"]["cwd"], theirs["process"]["cwd"]);
        assert_eq!(sorted(&ours, "env"), sorted(&theirs, "env"));
        assert_eq!(ids(&ours), ids(&theirs), "{user}");
        assert_eq!(destinations(&ours), destinations(&theirs));
        assert_eq!(ours["linux"]["namespaces"], theirs["linux"]["namespaces"]);
    }
}
