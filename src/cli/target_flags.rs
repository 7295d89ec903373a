//! The flags of verbs that write images.

use ocibake::image::TargetOptions;
use ocibake::layout::{AdditionalName, Checksum, DockerForm, DockerName, ImageName, Location, Transport};

use super::Session;

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

/// Returns and tells warnings of targets that may be meant as the second word of a flag: `--tag v1 v2`. Such a word
/// becomes a layout of its own. The first target alone may do without a transport, unless others have one.
pub(super) fn warn_of_stray_targets(targets: &[Location], session: &Session) -> Vec<String> {
    let is_first = |number| number == 0 && targets.iter().all(|target| target.bare);
    let is_new = |target: &Location| target.transport == Transport::Oci && target.path.symlink_metadata().is_err();
    let stray =
        targets.iter().enumerate().filter(|(number, target)| target.bare && is_new(target) && !is_first(*number));
    let warnings: Vec<String> = stray
        .map(|(_, target)| {
            let location = target.to_string();
            let typed = location.trim_start_matches("oci:");
            format!(
                "target `{typed}` is a new layout, as it stands where targets do, and a flag takes one word; if it is \
                 meant, write `{location}`"
            )
        })
        .collect();
    for warning in &warnings {
        session.warn(warning);
    }
    warnings
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
