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
//! use ocibake::layout::{Layout, Location};
//! use ocibake::observer::Silent;
//! use ocibake::ops::build::{build, BuildOptions, Rootfs};
//! use ocibake::ops::inspect::inspect;
//! use ocibake::ops::verify::verify;
//! use ocibake::settings::{BuildSpec, Settings, VarsFile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let work = env::current_dir()?.join(format!("target/doc-example-{}", process::id()));
//! fs::create_dir_all(work.join("rootfs/etc"))?;
//! fs::write(work.join("rootfs/etc/motd"), "baked\n")?;
//!
//! // Settings come from flags, the environment or a variables file, and are checked before anything is written.
//! let vars = VarsFile::parse("example", b"OCI_IMAGE_ARCH=aarch64 OCI_IMAGE_CMD='/bin/sh -l'")?;
//! let spec = BuildSpec::resolve(&Settings::new([], [], Some(vars))?)?;
//!
//! let target = Location::parse(format!("oci:{}:v1", work.join("image").display()).as_ref())?;
//! let report = build(&Rootfs::Directory(work.join("rootfs")), &[target.clone()], &spec, &BuildOptions::default(), &Silent)?;
//! assert_eq!(report.platform, "linux/arm64/v8");
//!
//! let layout = Layout::open(&target)?;
//! let image = layout.image(None)?;
//! assert_eq!(inspect(&layout, &image)?.digest, report.digest);
//! assert!(verify(&layout, &Silent)?.is_good());
//! # fs::remove_dir_all(work)?;
//! # Ok(())
//! # }
//! ```

pub mod compress;
pub mod digest;
pub mod error;
pub mod image;
pub mod layer;
pub mod layout;
pub mod media_type;
pub mod observer;
pub mod oci;
pub mod ops;
pub mod platform;
pub mod settings;
pub mod tar;
pub mod time;
pub mod tree;
pub mod work;

mod parallel;
mod spelling;
#[cfg(test)]
mod testing;

pub use error::{Error, Result};
