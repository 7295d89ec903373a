//! Any document is refused or understood; what was understood is sealed and understood in the same way.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use ocibake::oci::{Document, ImageConfig, Index, LayoutMarker, Manifest};
use serde::{de::DeserializeOwned, Serialize};

fuzz_target!(|document: &[u8]| {
    seal_and_parse::<Index>(document);
    seal_and_parse::<Manifest>(document);
    seal_and_parse::<ImageConfig>(document);
    seal_and_parse::<LayoutMarker>(document);
});

fn seal_and_parse<T: Serialize + DeserializeOwned + PartialEq + Debug>(raw: &[u8]) {
    let Ok(document) = Document::<T>::parse(raw.to_vec(), "fuzz") else { return };
    assert_eq!(document.raw(), raw);
    let sealed = Document::seal(document.into_value());
    let again = Document::<T>::parse(sealed.raw().to_vec(), "sealed").unwrap();
    assert_eq!(again.value(), sealed.value());
    assert_eq!(Document::seal(again.into_value()).raw(), sealed.raw());
}
