//! The flags of verbs that write images.

use ocibake::image::TargetOptions;
use ocibake::layout::{AdditionalName, Checksum, DockerForm, ImageName};

/// What the image is called and how it is shown.
#[derive(clap::Args)]
pub(super) struct TargetFlags {
    /// A name, used where a target names none (repeatable) [default: latest; in a docker archive, none]
    #[arg(long, value_name = "NAME")]
    tag: Vec<ImageName>,

    #[command(flatten)]
    beside_tags: TargetFlagsBesideTags,
}

/// The same for a verb whose `--tag` is a setting.
#[derive(clap::Args)]
pub(super) struct TargetFlagsBesideTags {
    /// A name beside the one that the target gives, or with a colon in front another tag of it (repeatable)
    #[arg(long, value_name = "NAME[:TAG]|:TAG")]
    additional_tag: Vec<AdditionalName>,

    /// Write docker archives in the form before Docker 25 alone: no OCI layout in them, and layers not compressed
    #[arg(long)]
    docker_legacy_only: bool,

    /// Write the SHA-256 of each archive beside it, in `FILE.sha256`, as `sha256sum -c` reads it
    #[arg(long)]
    checksum: bool,
}

impl TargetFlags {
    pub(super) fn options(&self) -> TargetOptions {
        let mut options = self.beside_tags.options();
        options.tags.clone_from(&self.tag);
        options
    }
}

impl TargetFlagsBesideTags {
    pub(super) fn options(&self) -> TargetOptions {
        let mut options = TargetOptions::default();
        options.additional_tags.clone_from(&self.additional_tag);
        options.docker_form = if self.docker_legacy_only { DockerForm::LegacyOnly } else { DockerForm::Dual };
        options.checksum = if self.checksum { Checksum::Sha256 } else { Checksum::None };
        options
    }
}
