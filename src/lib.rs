//! Root filesystems as OCI container images: the library of the `ocibake` command.
//!
//! Each verb of the command is a function of plain values in [`ops`]. The modules below it are its parts, each using
//! only those before it: digests and media types, [`oci`] documents, filesystem [`tree`]s, [`tar`] streams,
//! [`compress`]ion, [`layer`]s, image [`layout`]s, the [`settings`] into which variables and flags are resolved, and
//! what verbs share about an [`image`].
//!
//! | verb | what it does | options | report |
//! |---|---|---|---|
//! | [`build`](ops::build::build()) | a root filesystem becomes an image | [`BuildOptions`](ops::build::BuildOptions) | [`BuildReport`](ops::build::BuildReport) |
//! | [`inspect`](ops::inspect::inspect()) | what is in an image | [`InspectOptions`](ops::inspect::InspectOptions) | [`InspectReport`](ops::inspect::InspectReport) |
//! | [`unpack`](ops::unpack::unpack()) | an image's files, back on disk | [`UnpackOptions`](ops::unpack::UnpackOptions) | [`UnpackReport`](ops::unpack::UnpackReport) |
//! | [`cat`](ops::cat::cat()) | one file of an image | [`CatOptions`](ops::cat::CatOptions) | [`CatReport`](ops::cat::CatReport) |
//! | [`verify`](ops::verify::verify()) | whether every byte is what the documents say | [`VerifyOptions`](ops::verify::VerifyOptions) | [`VerifyReport`](ops::verify::VerifyReport) |
//! | [`diff`](ops::diff::diff()) | what changed from one image to another | [`DiffOptions`](ops::diff::DiffOptions) | [`DiffReport`](ops::diff::DiffReport) |
//! | [`squash`](ops::squash::squash()) | all layers into one | [`SquashOptions`](ops::squash::SquashOptions) | [`SquashReport`](ops::squash::SquashReport) |
//! | [`convert`](ops::convert::convert()) | another transport or compression | [`ConvertOptions`](ops::convert::ConvertOptions) | [`ConvertReport`](ops::convert::ConvertReport) |
//! | [`index`](ops::index::index()) | several platforms in one multi-platform index | [`IndexOptions`](ops::index::IndexOptions) | [`IndexReport`](ops::index::IndexReport) |
//! | [`config`](ops::config::config()) | another configuration, other annotations, other history | [`ConfigOptions`](ops::config::ConfigOptions) | [`ConfigReport`](ops::config::ConfigReport) |
//! | [`attach`](ops::attach::attach()) | attaches a document to an image | [`AttachOptions`](ops::attach::AttachOptions) | [`AttachReport`](ops::attach::AttachReport) |
//! | [`plan`](ops::plan::plan()) | which layer holds what, and what an update costs | [`PlanOptions`](ops::plan::PlanOptions) | [`PlanReport`](ops::plan::PlanReport) |
//! | [`report`](ops::report::report()) | what takes the space, and what an update costs, as a page | [`ReportOptions`](ops::report::ReportOptions) | [`Report`](ops::report::Report) |
//! | [`ls`](ops::ls::ls()) | the images of a layout | [`LsOptions`](ops::ls::LsOptions) | [`LsReport`](ops::ls::LsReport) |
//! | [`tag`](ops::tag::tag()) | more names for an image | [`TagOptions`](ops::tag::TagOptions) | [`TagReport`](ops::tag::TagReport) |
//! | [`rm`](ops::rm::rm()) | fewer names for an image | [`RmOptions`](ops::rm::RmOptions) | [`RmReport`](ops::rm::RmReport) |
//! | [`gc`](ops::gc::gc()) | removes blobs that nothing needs | [`GcOptions`](ops::gc::GcOptions) | [`GcReport`](ops::gc::GcReport) |
//! | [`cache`](ops::cache::cache()) | what a cache of compressed blocks holds | [`CacheOptions`](ops::cache::CacheOptions) | [`CacheReport`](ops::cache::CacheReport) |
//! | [`platform`](ops::platform::platform()) | how an architecture is called in OCI | [`PlatformOptions`](ops::platform::PlatformOptions) | [`PlatformReport`](ops::platform::PlatformReport) |
//!
//! A verb takes its subject, its options and the [`Work`] that it may use: threads, an observer of progress, a cache.
//! Options have a `Default`; reports hold values and serialise to the JSON of the command's `--json`. An [`Error`] says
//! which [kind](ErrorKind) it is, and may have a [`Hint`].
//!
//! The same tree and the same settings give the same digest, on any host, with any number of threads. The clock is
//! never read, and nothing unordered gets near output.
//!
//! ```
//! use std::{env, fs, process};
//!
//! use ocibake::layout::Location;
//! use ocibake::ops::build::{build, BuildOptions, Rootfs};
//! use ocibake::ops::inspect::{inspect, InspectOptions};
//! use ocibake::ops::verify::{verify, VerifyOptions};
//! use ocibake::settings::{BuildSpec, Settings, VarsFile};
//! use ocibake::Work;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let place = env::current_dir()?.join(format!("target/doc-example-{}", process::id()));
//! fs::create_dir_all(place.join("rootfs/etc"))?;
//! fs::write(place.join("rootfs/etc/motd"), "baked\n")?;
//!
//! // Settings come from flags, the environment or a variables file, and are checked before anything is written.
//! let vars = VarsFile::parse("example", b"OCI_IMAGE_ARCH=aarch64 OCI_IMAGE_CMD='/bin/sh -l'")?;
//! let mut options = BuildOptions::default();
//! options.spec = BuildSpec::resolve(&Settings::new([], [], Some(vars))?)?;
//!
//! let target = Location::parse(format!("oci:{}:v1", place.join("image").display()).as_ref())?;
//! let work = Work::default();
//! let report = build(&Rootfs::Directory(place.join("rootfs")), &[target.clone()], &options, &work)?;
//! assert_eq!(report.platform.to_string(), "linux/arm64/v8");
//!
//! assert_eq!(*inspect(&target, &InspectOptions::default(), &work)?.digest(), report.digest);
//! assert!(verify(&target, &VerifyOptions::default(), &work)?.is_good());
//! # fs::remove_dir_all(place)?;
//! # Ok(())
//! # }
//! ```

pub mod block_cache;
pub mod compress;
pub mod digest;
pub mod error;
pub mod hint;
pub mod image;
pub mod layer;
pub mod layout;
pub mod limits;
pub mod media_type;
pub mod oci;
pub mod ops;
pub mod platform;
pub mod settings;
pub mod spelling;
pub mod tar;
pub mod time;
pub mod tree;
pub mod units;
pub mod work;

mod base64;
mod json;
mod parallel;
mod rule;
#[cfg(test)]
mod testing;

pub use error::{Error, ErrorKind, Result};
pub use hint::{Hint, Mention, OptionName};
pub use work::Work;
