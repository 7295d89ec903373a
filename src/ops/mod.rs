//! What the tool does, one file per verb. Each is a function of plain values and works without the command line.

pub mod attach;
pub mod build;
pub mod cache;
pub mod cat;
pub mod config;
pub mod convert;
pub mod diff;
pub mod gc;
pub mod index;
pub mod inspect;
pub mod ls;
pub mod plan;
pub mod platform;
pub mod report;
pub mod rm;
pub mod squash;
pub mod tag;
pub mod unpack;
pub mod verify;
