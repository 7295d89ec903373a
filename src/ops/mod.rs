//! What the tool does, one file a verb. Each is a function of plain values, usable without the command.

pub mod build;
pub mod inspect;
pub mod verify;
