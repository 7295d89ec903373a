//! What `ocibake` promises, held against the built command and against programs that others wrote.
//!
//! Read the list of modules as the promise: each name is a sentence of it. What a test needs and does not find (a
//! peer, root) it says on stderr; in CI that is a failure. `tests/peers` installs the peers.

// Without its feature there is no command to test.
#![cfg(feature = "cli")]
// A test may panic anywhere; the lint knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]
// Building text piece by piece reads better than the writing that the lint wants, and speed is no matter here.
#![allow(clippy::format_collect, clippy::format_push_string)]

/// What the tests stand on: trees from text, the tool, images read without the tool, peers.
mod harness;

/// A layer holds all that a rootfs holds, in the eyes of three implementations of tar and of umoci.
mod fidelity;

/// The tools that people have take an image as it is: skopeo, umoci, buildah, podman.
mod consumers;

/// So do the daemons that run images, containerd and Docker, and what they write is read.
mod engines;

/// And what they save is read: docker archives as skopeo and podman write them, and as Docker does.
mod docker_archive;

/// Docker archives are written too: `docker load` of every age, podman and skopeo find the image and its names.
mod docker_target;

/// On a base image, a layer holds the difference and no more, and whoever applies it gets the rootfs.
mod base;

/// A base may come from any tool by any transport, odd or damaged.
mod bases;

/// A tar archive is as good a rootfs as a directory, and needs no root.
mod archives;

/// So is what an overlay filesystem has written.
mod overlay;

/// Layers and archives are read as other tools wrote them, odd or old, and nothing in them is lost without a word.
mod written_by_others;

/// A plan cuts a rootfs into layers, of which an update changes few; together they are the rootfs.
mod layers;

/// Images of eighteen tools are read by every verb, and what is made of them is clean.
mod foreign;

/// A page shows what is in an image and what an update costs, by the numbers of `inspect` and `diff`.
mod report;

/// Several layers become one that is all of them.
mod squash;

/// Images go to other transports and compressions and back, and are what they were.
mod convert;

/// Images for several platforms become one that has them all.
mod index;

/// Where there are several, the platform that is asked for finds the one that is meant.
mod platforms;

/// And a digest finds it whatever it is called, or where nothing else does.
mod digests;

/// What differs is told field by field, and why in a line.
mod differences;

/// The documents follow the JSON schemas of the image-spec.
mod schemas;

/// An ordinary user under pseudo or fakeroot bakes the image that root would.
mod fakeroots;

/// A rebuild costs what changed: compressed blocks are kept, and whatever happens to them, the image is the same.
mod cache;

/// The same tree gives the same bytes, whatever else is different.
mod reproducibility;

/// And the same bytes as yesterday.
mod pinned;

/// Every setting arrives as it was written, from a flag, the environment or a file.
mod settings;

/// Owners, devices, attributes and whole paths can be chosen on the way.
mod policies;

/// Layouts gain an image and keep the rest, archives are replaced, and many at once lose nothing.
mod targets;

/// What is typed as a place is one on disk, or an error that says what to type; archives go to standard output too.
mod places;

/// A target survives that the machine stops, and a disk or a lock that fails is told.
mod durability;

/// An image is edited in place or beside itself, and nothing else changes.
mod config;

/// SBOMs, provenance and signatures join the image that they are about, which stays as it is.
mod attach;

/// Names come and go, and what nothing leads to any more goes too, whoever else is at work.
mod housekeeping;

/// What cannot be done is said in one line, and nothing was touched.
mod refusals;

/// Nobody who makes an archive, a layout or a file can make the tool hang, grow or panic.
mod hostile;

/// Nor was anything touched when a run is ended in the middle.
mod interruption;

/// Every rule of `verify` finds what it is for and nothing else, and good images of all tools pass.
mod verify;

/// What was baked can be unpacked, into a directory and nowhere else.
mod unpack;

/// One file of it can be had alone.
mod cat;

/// The other verbs answer, and every verb talks where it should.
mod verbs;

/// Help, man pages and completions say what there is, in the width and in the shell that somebody has.
mod help;

/// Programs read the reports by keys that are all described, and by no others.
mod json;

/// `make install` puts the tool, its man pages and its completions where they are looked for.
mod installation;

/// The house stands as it was drawn.
mod architecture;

/// What the documents say, the code does: every session works as it is typed, and every table, flag and link is right.
mod documents;
