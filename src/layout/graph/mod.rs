//! The graph of documents that a layout's index leads to, and which of them somebody means.

mod choice;

pub(crate) use choice::{choose, fitting, list, Choice};
