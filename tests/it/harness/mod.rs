//! The base of the tests: trees from text, the tool, images read without the tool, and peers.

mod daemon;
mod disk;
mod fake_root;
mod fixture;
mod grown;
mod image;
mod listing;
mod made;
mod peer;
#[path = "../../../src/testing/place.rs"]
mod place;
mod registry;
mod scratch;
mod script;
mod storage;
mod terminal;
mod tool;
mod words;

pub(crate) use daemon::Daemon;
pub(crate) use disk::{list_directory, Order};
pub(crate) use fake_root::{unprivileged_words, FakeRoot, Faker, NOBODY};
pub(crate) use fixture::Fixture;
pub(crate) use grown::Grown;
pub(crate) use image::{sha256, Image, Layout};
pub(crate) use listing::{assert_same, File, Listing, Node, What};
pub(crate) use made::{make_layout, named, tar_of, with, ByHand, Member, MANIFEST};
pub(crate) use peer::{is_root, missing, root, Peer};
pub(crate) use place::{clone, place};
pub(crate) use registry::Registry;
pub(crate) use scratch::{bytes_of, is_missing, names_below, Scratch};
pub(crate) use storage::Storage;
pub(crate) use terminal::Terminal;
pub(crate) use tool::{until_it_writes, Outcome, Running, Tool};
