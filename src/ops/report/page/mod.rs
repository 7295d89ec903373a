//! A report as a page to look at, and as a summary in Markdown.
//!
//! The page is one file that asks for nothing: its policy forbids it to. Style and script stand beside this module as a
//! person reads them, and the policy names their digests, so that nothing else in the page is run, whatever names an
//! image has. Without the script the page is whole: what it adds is that a picture can be opened.

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
