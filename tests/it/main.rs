//! What `ocibake` promises, checked with the built command and with other programs.
//!
//! Read the list of modules as the promise: each name is a sentence of it. If something that a test needs is missing (a
//! peer, root), it says so on stderr; in CI that is a failure. `tests/peers` installs the peers.

// Without its feature there is no command to test.
#![cfg(feature = "cli")]
// A test may panic anywhere, but the lint exempts only the test functions themselves.
#![allow(clippy::unwrap_used)]
// Building text piece by piece reads better than what the lint asks for, and speed does not matter here.
#![allow(clippy::format_collect, clippy::format_push_string)]

/// The base of the tests: trees from text, the tool, images read without the tool, peers.
mod harness;

/// A rootfs that changes while it is read is an error that names what changed, also under pseudo and fakeroot.
mod sources;

/// A layer holds everything that a rootfs holds, as read by three implementations of tar and by umoci.
mod fidelity;

/// The common tools take an image unchanged: skopeo, umoci, buildah, podman.
mod consumers;

/// So do the daemons that run images, containerd and Docker, and ocibake reads what they write.
mod engines;

/// Docker archives are read as skopeo, podman and Docker write them.
mod docker_archive;

/// Docker archives are written too: every version of `docker load`, podman and skopeo find the image and its names.
mod docker_target;

/// On a base image, a layer holds only the difference, and applying it gives the rootfs.
mod base;

/// A base may come from any tool by any transport, odd or damaged.
mod bases;

/// A tar archive is as good a rootfs as a directory, and needs no root.
mod archives;

/// So is the upper directory of an overlay filesystem.
mod outputs;
mod overlay;

/// Layers and archives of other tools are read, even odd and old ones, and nothing in them is lost silently.
mod written_by_others;

/// GNU tar, libarchive, Python and the crate `tar` list archives as ocibake does, or `verify` calls them errors.
mod readers;

/// A plan splits a rootfs into layers, of which an update changes few; together they are the rootfs.
mod layers;

/// Every verb reads the images of eighteen tools, and writes clean ones.
mod foreign;

/// A page shows what is in an image and what an update costs, with the numbers of `inspect` and `diff`.
mod report;

/// Several layers become one that is equal to all of them.
mod squash;

/// Images are carried to other transports and compressions and back, and stay the same.
mod convert;

/// Images for several platforms become one that has them all.
mod index;

/// In the shell of an SDK, the platform comes from its environment.
mod sdk;

/// Checks find what would keep a container from starting, at the level that the user sets.
mod checks;

/// If there are several images, a platform chooses the right one.
mod platforms;

/// Names that are one to Docker are one name, and no image is lost over them.
mod names;

/// What BuildKit attests about an image stays with it, or is said to be left behind.
mod attestations;
/// What cosign says about an image is about its digest, and never passed on as about another.
mod signatures;

/// What was not copied and what documents leave out is known, and made good where something is written.
mod incomplete;

/// And a digest finds an image whatever its name, even if nothing else does.
mod digests;

/// Differences are reported field by field, with the reason in one line.
mod differences;

/// The documents follow the JSON schemas of the image-spec.
mod schemas;

/// An ordinary user under pseudo or fakeroot bakes the image that root would.
mod fakeroots;

/// A rebuild costs only what changed: compressed blocks are kept, and whatever happens to them, the image is the same.
mod cache;

/// The same tree gives the same bytes, whatever else is different.
mod reproducibility;

/// And the same bytes as yesterday.
mod pinned;

/// Every setting arrives unchanged, from a flag, the environment or a file.
mod settings;

/// Owners, devices, attributes and whole paths can be chosen on the way.
mod policies;

/// An image is added to a layout and the rest stays, archives are replaced, and parallel runs lose nothing.
mod targets;

/// A place on the command line is a path on disk, or an error that says what to type; archives can go to standard
/// output.
mod places;

/// A target survives a stop of the machine, and a failing disk or lock is reported.
mod durability;

/// An image is edited in place or beside itself, and nothing else changes.
mod config;

/// SBOMs, provenance and signatures are attached to their image, which does not change.
mod attach;

/// Names are added and removed, and so is what nothing leads to any more, even during other runs.
mod housekeeping;

/// What cannot be done is an error of one line, and nothing is touched.
mod refusals;

/// And the error of a mistake is of the kind that a program expects.
mod kinds;

/// A mistake on the command line is told with what to type instead.
mod mistakes;

/// No archive, layout or file can make the tool hang, grow or panic.
mod hostile;

/// Nor is anything touched when a run is ended in the middle.
mod interruption;

/// Every rule of `verify` finds its own corruption and nothing else, and good images of all tools pass.
mod verify;

/// An image can be unpacked, into a directory and nowhere else.
mod unpack;

/// A single file of an image can be read.
mod cat;

/// The other verbs work, and every verb writes to the right stream.
mod verbs;

/// Help, man pages and completions are complete, in every width and shell.
mod help;

/// Every key of the reports for programs is documented, and every documented key exists.
mod json;

/// `make install` puts the tool, its man pages and its completions where they are expected.
mod installation;

/// The code keeps the architecture.
mod architecture;

/// The code does what the documents say: every session works as typed, and every table, flag and link is right.
mod documents;
