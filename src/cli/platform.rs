//! The command `platform`: its arguments, and how they become a call of the library.

use anyhow::Result;
use ocibake::ops::platform::{platform, PlatformOptions};
use ocibake::platform::{Machine, VariantPolicy};

use super::output::print;
use super::progress::ProgressMode;
use super::{Answer, Session};

/// Show how an architecture of Yocto, uname or Debian maps to an OCI platform
///
/// Prints `os/architecture[/variant]`. An architecture that OCI has no name for is an error, never a guess.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocibake platform arm --machine-overrides armv7ve --tune-features 'arm vfp cortexa15'"
)]
pub(super) struct Args {
    /// A GOARCH, Yocto's TARGET_ARCH, what `uname -m` prints, or Debian's name
    arch: String,

    /// Yocto's TUNE_FEATURES, words
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true, hide_default_value = true)]
    tune_features: String,

    /// Yocto's MACHINEOVERRIDES, joined by colons
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    machine_overrides: String,

    /// Which variant of the CPU: `auto`, `none`, `exact`, or its name
    #[arg(long, value_name = "VARIANT", default_value = "auto")]
    variant: VariantPolicy,

    /// The operating system, a GOOS
    #[arg(long, default_value = "linux")]
    os: String,

    /// Print an object with `os`, `architecture` and `variant`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let machine = Machine {
        architecture: "",
        target_arch: &args.arch,
        tune_features: &args.tune_features,
        machine_overrides: &args.machine_overrides,
    };
    let mut options = PlatformOptions::default();
    options.variant = args.variant.clone();
    options.os = args.os.clone();
    let display = session.display(ProgressMode::None);
    let report = platform(&machine, &options, &display.work(None)?)?;
    print(args.json, &report, || format!("{report}\n"))?;
    Ok(Answer::Yes)
}
