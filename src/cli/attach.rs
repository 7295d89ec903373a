//! The command `attach`: its arguments, and how they become a call of the library.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use ocibake::media_type::MediaType;
use ocibake::ops::attach::{attach, AttachOptions};
use ocibake::platform::PlatformPattern;
use ocibake::settings::changes::annotations;

use super::output::print_done;
use super::progress::ProgressMode;
use super::work_flags::SyncFlag;
use super::{image_before, Answer, Session};

/// Attach a file to an image: an SBOM, provenance, a signature
///
/// Prints the digest of the artifact, a manifest with the image as its subject and the file as its layer. The artifact
/// is listed in the layout and, for readers that look there, under the image's referrers tag `sha256-…`. Of a
/// multi-platform image, it is attached to the index, unless --platform chooses an image. Attaching the same file again
/// changes nothing.
///
/// SPDX, CycloneDX, OpenVEX, in-toto and Sigstore documents are recognised. For other files, --type says what they are.
///
/// `ocibake inspect` shows what is attached, and prints it with --attached.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake attach oci:out:v1 sbom.spdx.json\n  \
                        ocibake attach oci:out:v1 notes.txt --type text/plain --annotation .title=Notes")]
pub(super) struct Args {
    /// The image
    image: OsString,

    /// The file
    file: PathBuf,

    /// Media type of the file [default: from its content, or else from its name]
    #[arg(long, value_name = "MEDIATYPE", value_parser = MediaType::from_str)]
    r#type: Option<MediaType>,

    /// Artifact type, a media type [default: that of the file]
    #[arg(long, value_name = "MEDIATYPE", value_parser = MediaType::from_str)]
    artifact_type: Option<MediaType>,

    /// Annotation of the artifact; `.x=` means `org.opencontainers.image.x=` (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,

    /// Attach it to the image for this platform: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sync: SyncFlag,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let image = image_before(&args.image, args.file.as_os_str(), "attach")?;
    let mut options = AttachOptions::default();
    options.platform = args.platform.clone();
    options.media_type = args.r#type.clone();
    options.artifact_type = args.artifact_type.clone();
    options.annotations = annotations("--annotation", &args.annotation)?;
    let display = session.display(ProgressMode::None);
    let report = attach(&image, &args.file, &options, &display.work(None)?.with_durability(args.sync.durability()))?;
    print_done(&format!("the file is attached in `{image}`"), args.json, &report, || format!("{}\n", report.digest))?;
    Ok(Answer::Yes)
}
