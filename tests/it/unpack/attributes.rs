use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::made::{image, layer, tar};
use crate::harness::{
    assert_same, list_directory, root, unprivileged_words, Fixture, Order, Outcome, Peer, Scratch, Tool, NOBODY,
};
use crate::verify::members::{directory, file, member, pax, Member};

fn unpack(scratch: &Scratch, args: &[&str]) -> Outcome {
    if scratch.join("out").symlink_metadata().is_ok() {
        fs::remove_dir_all(scratch.join("out")).unwrap();
    }
    Tool::new("unpack").args(["oci:image", "out"]).args(args).within(scratch.path()).run()
}

/// A default ACL with only the mode: the kernel does not read the ids of such entries.
fn minimal_acl() -> String {
    let entries = ["\u{1}\0\u{7}\0", "\u{4}\0\u{5}\0", " \0\u{5}\0"].map(|entry| format!("{entry}\0\0\0\0"));
    format!("\u{2}\0\0\0{}", entries.concat())
}

/// Members with an attribute that even root could not set on them, and the reason.
fn impossible() -> Vec<(&'static str, Member, String, String, &'static str)> {
    let link = || member(b'2', "x").link("t");
    let of = |what, member, name: &str, value: &str, why| (what, member, name.to_owned(), value.to_owned(), why);
    let kind = "no kernel takes them on entries of such a kind";
    let filesystem = "this filesystem takes no such attributes";
    let value = "no kernel takes such values";
    let size = "they are too large here";
    vec![
        of("a link's own", link(), "user.x", "1", kind),
        of("a pipe's own", member(b'6', "x"), "user.x", "1", kind),
        of("a default ACL on a file", file("x", "1"), "system.posix_acl_default", &minimal_acl(), kind),
        of("an ACL of a link", link(), "system.posix_acl_access", &minimal_acl(), kind),
        of("no ACL", file("x", "1"), "system.posix_acl_access", "garbage", value),
        of("another system's", file("x", "1"), "com.apple.quarantine", "x", filesystem),
        of("another system's, of a directory", directory("x"), "com.apple.FinderInfo", "x", filesystem),
        of("another filesystem's", file("x", "1"), "bcachefs.compression", "lz4", filesystem),
        of("no namespace", file("x", "1"), "x", "1", filesystem),
        of("an unknown namespace", directory("x"), "windows.acl", "x", filesystem),
        of("half a capability", file("x", "1"), "security.capability", "\u{1}\0\0\u{2}\0", value),
        of("an empty capability", file("x", "1"), "security.capability", "", value),
        of("half an ACL", file("x", "1"), "system.posix_acl_access", "\u{2}\0\0\0\u{1}", value),
        of("a name of its namespace alone", file("x", "1"), "user.", "1", value),
        of("a long name", file("x", "1"), &format!("user.{}", "n".repeat(300)), "1", size),
        of("a large value", file("x", "1"), "user.x", &"v".repeat(70_000), size),
    ]
}

#[test]
fn what_nobody_could_set_is_said_once_for_each_kind() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    for (what, bare, name, value, why) in impossible() {
        let with_value = pax(&[(&format!("SCHILY.xattr.{name}"), &value)]);
        image(&scratch.join("image"), &[tar(&[file("t", "1"), with_value, bare])], &json!({}));
        for args in [&["--json"][..], &["--json", "--rootless"]] {
            let outcome = unpack(&scratch, args);
            let expected = json!([{"path": "/x", "what": "xattr", "wanted": name, "why": why}]);
            // What no Linux takes is also a finding of the layer.
            let said = outcome.stderr().lines().filter(|line| !line.contains(": tar-xattr-")).count();
            assert_eq!(said, 1, "{what}: {}", outcome.stderr());
            assert!(outcome.stderr().contains(&format!("attributes not set, since {why}: 1: `/x` ({name})")), "{what}");
            assert_eq!(outcome.json()["skipped"], expected, "{what}");
            assert!(scratch.join("out/x").symlink_metadata().is_ok(), "{what}");
        }
        fs::remove_dir_all(scratch.join("image")).unwrap();
    }
}

#[test]
fn many_are_one_line_for_each_reason_and_the_rest_is_set() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let apple = || pax(&[("SCHILY.xattr.com.apple.provenance", "x"), ("SCHILY.xattr.user.kept", "y")]);
    let mut members = Vec::new();
    for name in ["a", "b", "c", "d"] {
        members.extend([apple(), file(name, "1")]);
    }
    members.extend([pax(&[("SCHILY.xattr.user.x", "1")]), member(b'2', "l").link("a")]);
    image(&scratch.join("image"), &[tar(&members)], &json!({}));
    let said = unpack(&scratch, &[]).stderr().to_owned();
    let first = "ocibake: warning: attributes not set, since ";
    let expected = [
        format!("{first}no kernel takes them on entries of such a kind: 1: `/l` (user.x)"),
        format!(
            "{first}this filesystem takes no such attributes: 4: `/a` (com.apple.provenance), `/b` (com.apple.provenance), \
             `/c` (com.apple.provenance) …"
        ),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    let found = list_directory(&scratch.join("out"));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(found[Path::new(name)].xattrs, [(b"user.kept".to_vec(), b"y".to_vec())].into());
    }
}

/// The kernel replaces such a time by the nearest, without a word.
#[test]
fn times_that_the_filesystem_cannot_hold_are_said_once() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let far = "99999999999999";
    let members = [
        pax(&[("mtime", far)]),
        directory("./"),
        pax(&[("mtime", far)]),
        file("f", "x"),
        pax(&[("mtime", "-99999999999999")]),
        member(b'2', "l").link("f"),
        pax(&[("mtime", "2147483647.5")]),
        file("near", "x"),
    ];
    image(&scratch.join("image"), &[tar(&members)], &json!({}));
    let outcome = unpack(&scratch, &["--json"]);
    let is_held = |path: &str| {
        use std::os::unix::fs::MetadataExt;
        scratch.join("out").join(path).symlink_metadata().unwrap().mtime().to_string().contains(far)
    };
    let lost: Vec<&str> = ["", "f", "l"].into_iter().filter(|path| !is_held(path)).collect();
    let report: serde_json::Value = serde_json::from_str(&outcome.printed()).unwrap();
    let skipped = report["skipped"].clone();
    let told: Vec<&str> = skipped.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(told, lost.iter().map(|path| format!("/{path}")).collect::<Vec<_>>());
    assert!(skipped.as_array().unwrap().iter().all(|one| one["what"] == "mtime"));
    let said = outcome.stderr();
    assert_eq!(said.lines().count(), usize::from(!lost.is_empty()), "{said}");
    assert!(
        lost.is_empty()
            || said.contains(&format!("times set to the nearest that this filesystem holds: {}: ", lost.len()))
    );
}

/// The same call fails with the same error for another reason: a lack of rights.
#[test]
fn what_somebody_else_could_set_stays_an_error() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let home = scratch.make_directory("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let capability = format!("\u{1}\0\0\u{2}{}", "\0".repeat(16));
    for (name, value) in [("trusted.x", "1"), ("security.capability", capability.as_str()), ("security.x", "1")] {
        let id = NOBODY.to_string();
        let name = format!("SCHILY.xattr.{name}");
        let owned = [("uid", id.as_str()), ("gid", id.as_str())];
        let member = [&owned[..], &[(name.as_str(), value)]].concat();
        let tar = tar(&[pax(&owned), directory("./"), pax(&member), file("x", "1")]);
        image(&home.join("image"), &[tar], &json!({}));
        let tool = Tool::new("unpack").args(["oci:image", "out"]);
        let error = tool.behind(unprivileged_words()).within(&home).run().error();
        assert!(error.contains("Operation not permitted\nhint: ") && error.contains("--rootless"), "{error}");
        fs::remove_dir_all(home.join("image")).unwrap();
    }
}

/// Everything made in a directory with a default ACL inherits the ACL, and its mode instead of the umask.
#[test]
fn nothing_is_inherited() {
    let scratch = Scratch::new();
    let Some(setfacl) = Peer::find("setfacl") else { return };
    let rootfs = scratch.join("rootfs");
    let tree =
        "d 0755 0:0 1 /\nd 0750 0:0 1 /d\nd 0700 0:0 1 /d/own\nf 0640 0:0 1 /d/own/f text x\nf 0755 0:0 1 /f text x
        h - - - /g /f\nl 0777 0:0 1 /l f\np 0600 0:0 1 /p\n";
    if !root() {
        return;
    }
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    let place = scratch.make_directory("place");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o2755)).unwrap();
    // The image has its own default ACL, which is kept and not inherited by other entries.
    setfacl.run(["-dm".as_ref(), "u:4242:rwx".as_ref(), rootfs.join("d/own").as_os_str()]);
    setfacl.run(["-m".as_ref(), "g:7:r".as_ref(), rootfs.join("f").as_os_str()]);
    setfacl.run(["-dm".as_ref(), "u:55:rwx,g:66:rwx,m::rwx,o::rwx".as_ref(), place.as_os_str()]);
    let _ = Tool::build(&rootfs).oci(&scratch.join("image")).bake();
    let expected = list_directory(&rootfs);
    for (name, args) in [("full", &[][..]), ("less", &["--rootless"]), ("bundle", &["--bundle"])] {
        let out = place.join(name);
        let outcome = Tool::new("unpack").arg("oci:image").arg(&out).args(args).within(scratch.path()).run();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        let made = if name == "bundle" { out.join("rootfs") } else { out.clone() };
        assert_same(&expected, &list_directory(&made), name);
        if name == "bundle" {
            let bundle = list_directory(&out);
            assert!(bundle[Path::new("")].xattrs.is_empty() && bundle[Path::new("config.json")].xattrs.is_empty());
            assert_eq!(out.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        }
    }
    // An ordinary user, into a directory that root has prepared.
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
    let small = scratch.join("small");
    image(&small, &[layer(&["d/", "d/f=1", "l->d"])], &json!({}));
    let tool = Tool::new("unpack").args(["oci:../small", "user", "--rootless"]);
    let outcome = tool.behind(unprivileged_words()).within(&place).run();
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
    let made = list_directory(&place.join("user"));
    assert!(made.values().all(|node| node.xattrs.is_empty()), "{made:?}");
    assert_eq!(made[Path::new("d/f")].mode, 0o644);
}
