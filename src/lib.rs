//! placeholder
pub mod compress;
pub mod digest;
pub mod error;
pub mod layer;
pub mod layout;
pub mod media_type;
pub mod observer;
pub mod oci;
pub mod ops;
pub mod platform;
pub mod spec;
pub mod tar;
#[cfg(test)]
mod testing;
pub mod time;
pub mod tree;

pub use error::{Error, Result};
