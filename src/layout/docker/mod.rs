//! Docker's archives: what `docker save` writes and `docker load` reads.

mod legacy;
mod name;
mod reader;

pub(super) use name::whole_name;
pub use name::{DockerName, DockerTag};
pub(super) use reader::{is_docker_archive, DockerArchive};
