//! Root filesystems as OCI container images: the library behind the command `ocibake`.
//!
//! Each verb of the command is a function of plain values in [`ops`]; the modules below it are what these are made of,
//! each using only those before it: digests and media types, [`oci`] documents, filesystem [`tree`]s, [`tar`] streams,
//! [`compress`]ion, [`layer`]s, image [`layout`]s, the [`settings`] into which variables and flags are resolved, and what
//! verbs share of an [`image`].
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
pub mod media_type;
pub mod oci;
pub mod ops;
pub mod platform;
pub mod settings;
pub mod tar;
pub mod time;
pub mod tree;
pub mod units;
pub mod work;

mod base64;
mod json;
mod parallel;
mod spelling;
#[cfg(test)]
mod testing;

pub use error::{Error, ErrorKind, Result};
pub use hint::{Hint, Mention, OptionName};
pub use work::Work;
