//! Names and locations of images: a location, the name after it, and the form of that name in layouts and docker
//! archives. The grammar of ref names is with the descriptors that hold them ([`RefName`](crate::oci::RefName)).

mod digest_prefix;
mod docker;
mod ending;
mod entries;
mod image_name;
mod location;
mod mistaken;
mod role;
mod target;

pub use digest_prefix::DigestPrefix;
pub(crate) use docker::{complete_names, full_name, most_specific};
pub(in crate::layout) use docker::{is_full, whole_name};
pub use docker::{DockerName, DockerTag};
pub(in crate::layout) use entries::{name_of, names_in};
pub(crate) use entries::{named, Named, TellingNames};
pub use image_name::ImageName;
pub use location::{Location, Transport};
pub(in crate::layout) use mistaken::digits_after_at;
pub(crate) use mistaken::refuse_archive_as_directory;
pub(crate) use mistaken::refuse_location_as_name;
pub use mistaken::refuse_location_as_path;
pub(in crate::layout) use target::with_full_names;
pub use target::AdditionalName;
pub(crate) use target::{without_full_name, Names};
