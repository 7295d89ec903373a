//! Any archive of images, of OCI or of Docker, is verified to its end and read by every verb, or refused.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use ocibake::ops::convert::{convert, ConvertOptions};
use ocibake::ops::inspect::{inspect, InspectOptions};
use ocibake::ops::ls::{ls, LsOptions};
use ocibake::ops::unpack::{unpack, Rights, UnpackOptions};
use ocibake::ops::verify::{verify, VerifyOptions};
use ocibake_fuzz::{location, place, set_checksums, work};

fuzz_target!(|input: &[u8]| {
    let place = place();
    let mut tar = input.to_vec();
    set_checksums(&mut tar);
    fs::write(place.join("archive.tar"), tar).unwrap();
    let image = location(place.join("archive.tar").display().to_string());
    let _ = ls(&image, &LsOptions::default(), &work());
    let _ = verify(&image, &VerifyOptions::default(), &work());
    let _ = inspect(&image, &InspectOptions::default(), &work());
    let mut options = UnpackOptions::default();
    options.rights = Rights::Rootless;
    let _ = unpack(&image, &place.join("tree"), &options, &work());
    let target = location(format!("oci:{}/layout", place.display()));
    if let Ok(converted) = convert(&image, &[target.clone()], &ConvertOptions::default(), &work()) {
        assert!(!converted.targets.is_empty());
        ls(&target, &LsOptions::default(), &work()).unwrap();
    }
});
