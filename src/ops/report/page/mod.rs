//! A report as a page to look at, and as a summary in Markdown.
//!
//! The page is one file that loads nothing: its content security policy forbids it. Style and script are files beside
//! this module, and the policy names their digests, so that nothing else in the page can run, whatever names an image
//! contains. The page is complete without the script, which only lets people navigate the pictures.

mod changes;
mod documents;
mod findings;
mod html;
mod markdown;
mod part;
mod picture;
mod sizes;
mod summary;
mod table;
mod text;
mod tree_json;
mod treemap;

pub use html::html;
pub use markdown::markdown;

pub(crate) use text::share;
