//! placeholder
pub mod digest;
pub mod error;
pub mod media_type;
pub mod oci;
pub mod platform;
pub mod spec;
pub mod time;
pub mod tree;

pub use error::{Error, Result};
