//! Any value of a flag or a variable is refused with one line or understood, and what is printed of it is understood in
//! the same way.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use ocibake::compress::Compression;
use ocibake::digest::Digest;
use ocibake::layer::plan::{Layering, Selector};
use ocibake::layout::{AdditionalName, DigestPrefix, DockerTag, ImageName};
use ocibake::media_type::MediaType;
use ocibake::ops::index::{Annotation, IndexMember, MemberAnnotation};
use ocibake::ops::report::Limit;
use ocibake::platform::{Machine, PlatformPattern, VariantPolicy};
use ocibake::settings::changes::Field;
use ocibake::time::Timestamp;
use ocibake::tree::{Globs, IdMap, TarPath};
use ocibake::units::ByteCount;

fuzz_target!(|input: &[u8]| {
    if let Ok(globs) = Globs::parse([input]) {
        let _ = TarPath::parse(input).map(|path| globs.matches(&path));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    printed::<Timestamp>(text);
    printed::<Limit>(text);
    printed::<PlatformPattern>(text);
    printed::<MediaType>(text);
    printed::<Digest>(text);
    parsed::<ByteCount>(text);
    parsed::<IdMap>(text);
    parsed::<Compression>(text);
    parsed::<Annotation>(text);
    parsed::<IndexMember>(text);
    parsed::<MemberAnnotation>(text);
    parsed::<AdditionalName>(text);
    parsed::<ImageName>(text);
    parsed::<DigestPrefix>(text);
    parsed::<DockerTag>(text);
    parsed::<Field>(text);
    if let Ok(selector) = Selector::parse(text) {
        assert_eq!(selector.text(), text);
    }
    // A file would be read.
    let words: Vec<&str> = text.split(' ').filter(|word| !word.starts_with('@')).collect();
    let _ = Layering::parse(&words);
    let mut parts = text.split('|').chain([""; 4]);
    let mut next = || parts.next().unwrap_or_default();
    let machine =
        Machine { architecture: next(), target_arch: next(), tune_features: next(), machine_overrides: next() };
    for policy in [VariantPolicy::Auto, VariantPolicy::None, VariantPolicy::Exact] {
        if let Err(error) = machine.platform(&policy) {
            assert!(!error.to_string().contains('\n'));
        }
    }
    parsed::<VariantPolicy>(text);
});

fn parsed<T: FromStr<Err = impl Display>>(text: &str) -> Option<T> {
    text.parse().map_err(|error: T::Err| assert!(!error.to_string().contains('\n'), "{error}")).ok()
}

fn printed<T: FromStr<Err = impl Display> + Display + PartialEq + Debug>(text: &str) {
    if let Some(value) = parsed::<T>(text) {
        assert_eq!(parsed::<T>(&value.to_string()).as_ref(), Some(&value), "{value}");
    }
}
