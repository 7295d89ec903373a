//! The flags of verbs that write images.

use ocibake::image::TargetOptions;
use ocibake::layout::{AdditionalName, Checksum, DockerForm, DockerName, ImageName};

/// The names of the image and the form of its targets.
#[derive(clap::Args)]
pub(super) struct TargetFlags {
    /// A name for targets that give none (repeatable) [default: latest; in a docker archive, none]
    #[arg(long, value_name = "NAME")]
    tag: Vec<ImageName>,

    /// In archives, the repository of tags without one, as in `team/app`
    #[arg(long, value_name = "NAME")]
    repository: Option<DockerName>,

    #[command(flatten)]
    beside_tags: TargetFlagsBesideTags,
}

/// The same for verbs whose `--tag` is a setting.
#[derive(clap::Args)]
pub(super) struct TargetFlagsBesideTags {
    /// A name in addition to the target's own, or with a leading colon another tag of it (repeatable)
    #[arg(long, value_name = "NAME[:TAG]|:TAG")]
    additional_tag: Vec<AdditionalName>,

    /// Write docker archives only in the form before Docker 25: no OCI layout in them, and uncompressed layers
    #[arg(long)]
    docker_legacy_only: bool,

    /// Write the SHA-256 of each archive to `FILE.sha256`, for `sha256sum -c`
    #[arg(long)]
    checksum: bool,
}

impl TargetFlags {
    pub(super) fn options(&self) -> TargetOptions {
        let mut options = self.beside_tags.options();
        options.tags.clone_from(&self.tag);
        options.repository.clone_from(&self.repository);
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
