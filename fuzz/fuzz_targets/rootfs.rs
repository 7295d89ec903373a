//! Of any archive a build makes an image that `verify` finds nothing wrong with, or no image.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use ocibake::ops::build::{build, BuildOptions, Rootfs};
use ocibake::ops::verify::{verify, VerifyOptions};
use ocibake::platform::Platform;
use ocibake_fuzz::{location, place, set_checksums, work};

fuzz_target!(|input: &[u8]| {
    let place = place();
    let mut tar = input.to_vec();
    set_checksums(&mut tar);
    fs::write(place.join("rootfs.tar"), tar).unwrap();
    let mut options = BuildOptions::default();
    options.spec.platform = Some(Platform { architecture: "arm".into(), os: "linux".into(), ..Platform::default() });
    let target = location(format!("oci:{}/image:a", place.display()));
    if build(&Rootfs::Archive(place.join("rootfs.tar")), &[target.clone()], &options, &work()).is_err() {
        return;
    }
    let report = verify(&target, &VerifyOptions::default(), &work()).unwrap();
    assert_eq!(report.errors, 0, "{:?}", report.findings);
});
