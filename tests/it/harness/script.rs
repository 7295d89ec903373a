//! A fixture as a shell script, to make a tree under a fake root with the distribution's own commands.

use super::fixture::{Bytes, Fixture, Make};

impl Fixture {
    /// A script for `sh` that makes the tree in the current directory.
    pub(crate) fn script(&self) -> Vec<u8> {
        let mut script = b"set -e\numask 022\n".to_vec();
        let mut run = |words: &[&[u8]]| {
            for word in words {
                script.extend(quoted(word));
                script.push(b' ');
            }
            script.push(b'\n');
        };
        let path_of = |path: &std::path::Path| {
            use std::os::unix::ffi::OsStrExt;
            [b"./", path.as_os_str().as_bytes()].concat()
        };
        for entry in &self.entries {
            let path = path_of(&entry.path);
            let device = |kind: &'static str, major: u32, minor: u32| {
                (kind.as_bytes().to_vec(), major.to_string().into_bytes(), minor.to_string().into_bytes())
            };
            match &entry.make {
                Make::Directory => run(&[b"mkdir", b"-p", &path]),
                Make::File(bytes) => {
                    let (hole, bytes) = match bytes {
                        Bytes::Are(bytes) => (0, bytes.as_slice()),
                        Bytes::Hole(size) => (*size, &b""[..]),
                    };
                    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
                    run(&[b"truncate", format!("-s{hole}").as_bytes(), &path]);
                    run(&[b"sh", b"-c", b"printf \"$1\" >> \"$2\"", b"sh", octal.as_bytes(), &path]);
                }
                Make::Symlink(text) => run(&[b"ln", b"-s", text, &path]),
                Make::Hardlink(first) => run(&[b"ln", b"-P", &path_of(first), &path]),
                Make::CharDevice(major, minor) => {
                    let (kind, major, minor) = device("c", *major, *minor);
                    run(&[b"mknod", &path, &kind, &major, &minor]);
                }
                Make::BlockDevice(major, minor) => {
                    let (kind, major, minor) = device("b", *major, *minor);
                    run(&[b"mknod", &path, &kind, &major, &minor]);
                }
                Make::Fifo => run(&[b"mkfifo", &path]),
                Make::Socket => panic!("no command makes a socket"),
            }
        }
        let is_directory = |make: &Make| matches!(make, Make::Directory);
        let others = self.entries.iter().filter(|entry| !is_directory(&entry.make));
        let directories = self.entries.iter().rev().filter(|entry| is_directory(&entry.make));
        for entry in others.chain(directories).filter(|entry| !matches!(entry.make, Make::Hardlink(_))) {
            let path = path_of(&entry.path);
            let (uid, gid) = entry.owner.expect("a fixture for a fake root names owners");
            run(&[b"chown", b"-h", format!("{uid}:{gid}").as_bytes(), &path]);
            if !matches!(entry.make, Make::Symlink(_)) {
                run(&[b"chmod", format!("{:04o}", entry.mode).as_bytes(), &path]);
            }
            for (name, value) in &entry.xattrs {
                let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                run(&[b"setfattr", b"-h", b"-n", name, b"-v", format!("0x{hex}").as_bytes(), &path]);
            }
            let time = format!("@{}.{:09}", entry.seconds, entry.nanoseconds);
            run(&[b"touch", b"-h", b"-d", time.as_bytes(), &path]);
        }
        script
    }
}

fn quoted(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}
