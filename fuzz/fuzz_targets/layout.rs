//! Any layout is verified to its end, and what `verify` finds nothing wrong with can be listed, unpacked, squashed and
//! converted.
//!
//! An input is an index, a manifest, a config and layers. Chance does not find digests: in the documents `#l0` stands for
//! the digest of the first layer, `#d0` for its `diff_id`, `#s0` for its size; `#c`, `#C` for digest and size of the
//! config, and `#m`, `#M` for those of the manifest.

#![no_main]

use std::fs;
use std::io::Read;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ocibake::compress::Decoder;
use ocibake::digest::Digest;
use ocibake::ops::convert::{convert, ConvertOptions};
use ocibake::ops::inspect::{inspect, Files, InspectOptions, InspectReport};
use ocibake::ops::ls::{ls, LsOptions};
use ocibake::ops::squash::{squash, SquashOptions};
use ocibake::ops::unpack::{unpack, Rights, UnpackOptions};
use ocibake::ops::verify::{verify, VerifyOptions};
use ocibake_fuzz::{limits, location, pieces, place, set_checksums, work};

fuzz_target!(|input: &[u8]| {
    let place = place();
    let root = place.join("layout");
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    write(&root, input);

    let image = location(format!("oci:{}", root.display()));
    let options = LsOptions::default();
    let listed = ls(&image, &options, &work());
    let Ok(report) = verify(&image, &VerifyOptions::default(), &work()) else { return };
    for finding in &report.findings {
        assert!(!finding.to_string().is_empty());
    }
    let mut options = UnpackOptions::default();
    options.rights = Rights::Rootless;
    let inspected = inspect(&image, &InspectOptions::default(), &work());
    let mut with_files = InspectOptions::default();
    with_files.files = Files::Listed;
    let done = [
        inspect(&image, &with_files, &work()).map(drop),
        unpack(&image, &place.join("tree"), &options, &work()).map(drop),
        squash(&image, &[location(format!("oci:{}/squashed:a", place.display()))], &SquashOptions::default(), &work())
            .map(drop),
        convert(&image, &[location(format!("{}/converted.tar", place.display()))], &ConvertOptions::default(), &work())
            .map(drop),
    ];
    // Where there is one image, and not several or none.
    if report.findings.is_empty() && matches!(inspected, Ok(InspectReport::Image(_))) {
        listed.unwrap();
        done.into_iter().for_each(Result::unwrap);
    }
});

fn write(root: &Path, input: &[u8]) {
    let mut pieces = pieces(input);
    let mut next = || pieces.next().unwrap_or_default().to_vec();
    let (index, manifest, config) = (next(), next(), next());
    let mut names: Vec<(String, String)> = Vec::new();
    for (number, layer) in pieces.take(10).enumerate() {
        let mut layer = layer.to_vec();
        set_checksums(&mut layer);
        let mut tar = Vec::new();
        let decoded = Decoder::new(layer.as_slice(), limits()).unwrap().read_to_end(&mut tar);
        let diff_id = Digest::of(if decoded.is_ok() { &tar } else { &layer });
        names.push((format!("#d{number}"), diff_id.to_string()));
        names.push((format!("#l{number}"), store(root, &layer).to_string()));
        names.push((format!("#s{number}"), layer.len().to_string()));
    }
    for (document, digest, size) in [(config, "#c", "#C"), (manifest, "#m", "#M")] {
        let document = filled(document, &names);
        names.push((digest.to_owned(), store(root, &document).to_string()));
        names.push((size.to_owned(), document.len().to_string()));
    }
    fs::write(root.join("index.json"), filled(index, &names)).unwrap();
    fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn store(root: &Path, blob: &[u8]) -> Digest {
    let digest = Digest::of(blob);
    fs::write(root.join("blobs/sha256").join(digest.encoded()), blob).unwrap();
    digest
}

/// Puts what it stands for in the place of each name.
fn filled(document: Vec<u8>, names: &[(String, String)]) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(document) else { return Vec::new() };
    for (name, meaning) in names {
        text = text.replace(name, meaning);
    }
    text.into_bytes()
}
