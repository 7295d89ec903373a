//! Any name of an image is refused or understood, and what is printed of it is understood in the same way; so are
//! paths, digests and times.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use ocibake::digest::Digest;
use ocibake::layout::{DockerName, Location};
use ocibake::oci::RefName;
use ocibake::tree::TarPath;

fuzz_target!(|text: &[u8]| {
    if let Ok(path) = TarPath::parse(text) {
        assert_eq!(TarPath::parse(path.as_bytes()).unwrap(), path);
        assert!(path.is_root() || path.as_bytes().split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b"..")));
    }
    let location = Location::parse(OsStr::from_bytes(text));
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(location) = location {
        let again = Location::parse(OsStr::new(&location.to_string())).unwrap();
        assert_eq!((again.path, again.name), (location.path, location.name));
    }
    if let Ok(name) = text.parse::<RefName>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(name) = text.parse::<DockerName>() {
        for same in [name.to_string(), name.whole(), name.short().to_string()] {
            assert_eq!(same.parse::<DockerName>().unwrap().whole(), name.whole());
        }
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
});
