//! The command `config`: its arguments, and how they become a call of the library.

use anyhow::Result;
use clap::builder::NonEmptyStringValueParser;
use ocibake::layout::Location;
use ocibake::oci::RefName;
use ocibake::ops::config::{config, ConfigOptions, Which};
use ocibake::platform::PlatformPattern;
use ocibake::settings::changes::{Annotated, Field, HistoryChange, HistoryStep, ImageChanges, Removal};
use ocibake::settings::{variables, FlagValue, Settings};
use ocibake::time::Timestamp;

use super::output::{lines, print_done};
use super::progress::{ProgressMode, Verbosity};
use super::setting_flags::{ChangeFlags, RemovalFlags};
use super::work_flags::SyncFlag;
use super::{say, Answer, LocationParser, Session};

/// Edit an image's configuration, history and annotations
///
/// Prints the digest of the new manifest, or with --all-platforms of each. All changes of one call make one new
/// manifest. The ref name moves to it, also in an index within the layout; other names of the old manifest stay where
/// they are. Documents that nothing leads to any more are removed. If nothing changes, nothing is written.
///
/// --clear comes first, then what is removed, then what is set: --clear env --env A=1 leaves one variable. What is not
/// named stays as it is: here, an entrypoint does not clear the command. An empty flag (--cmd '') clears too. Nothing
/// is read from the environment, and only --created changes the time. Layers are not read: whether the image has the
/// account of --user is not checked.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake config oci:out:v1 --cmd '/bin/app serve' --label .version=1.2\n  \
                  ocibake config oci:out:v1 --env PATH=/bin --remove-label a.b --clear cmd --tag v1-slim\n  \
                  ocibake config oci:out:all --all-platforms --annotation .vendor=ACME")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Give this name to the new image, and leave the old image as it is (repeatable)
    #[arg(long, value_name = "NAME")]
    tag: Vec<RefName>,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Change the image of each platform in the same way
    #[arg(long, conflicts_with = "platform")]
    all_platforms: bool,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sync: SyncFlag,

    #[command(flatten)]
    given: GivenArgs,

    #[command(flatten)]
    gone: GoneArgs,

    #[command(flatten)]
    history: HistoryArgs,
}

#[derive(clap::Args)]
struct GivenArgs {
    #[command(flatten)]
    settings: ChangeFlags,

    /// `auto`, `none`, or a variant; a variant stays with its architecture unless this says otherwise
    #[arg(long, value_name = "VALUE", help_heading = "What is set")]
    variant: Option<String>,

    /// GOOS
    #[arg(long, value_name = "VALUE", help_heading = "What is set")]
    os: Option<String>,

    /// Version of the operating system, for Windows
    #[arg(long, value_name = "VALUE", help_heading = "What is set", value_parser = NonEmptyStringValueParser::new())]
    os_version: Option<String>,

    /// Feature that the operating system must have, for Windows (repeatable)
    #[arg(long, value_name = "WORD", help_heading = "What is set", value_parser = NonEmptyStringValueParser::new())]
    os_feature: Vec<String>,

    /// Annotation of the config's descriptor in the manifest (repeatable)
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What is set")]
    config_annotation: Vec<String>,

    /// Annotation of the multi-platform index that lists the manifest (repeatable)
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What is set")]
    index_annotation: Vec<String>,

    /// Annotation of the manifest's descriptor in that index or in index.json (repeatable)
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What is set")]
    descriptor_annotation: Vec<String>,
}

/// What is cleared and removed.
#[derive(clap::Args)]
#[command(next_help_heading = "What is removed")]
struct GoneArgs {
    /// Empty a field, named as its flag is: `env`, `cmd`, `annotation`, or `history` (repeatable)
    #[arg(long, value_name = "FIELD")]
    clear: Vec<Field>,

    #[command(flatten)]
    elements: RemovalFlags,

    /// Remove an annotation of the manifest (repeatable)
    #[arg(long, value_name = "KEY")]
    remove_annotation: Vec<String>,

    /// Remove an annotation of the config's descriptor (repeatable)
    #[arg(long, value_name = "KEY")]
    remove_config_annotation: Vec<String>,

    /// Remove an annotation of the index (repeatable)
    #[arg(long, value_name = "KEY")]
    remove_index_annotation: Vec<String>,

    /// Remove an annotation of the manifest's descriptor (repeatable)
    #[arg(long, value_name = "KEY")]
    remove_descriptor_annotation: Vec<String>,
}

/// What the history says about the change.
#[derive(clap::Args)]
#[command(next_help_heading = "The step in the history")]
struct HistoryArgs {
    /// Add no step
    #[arg(long, conflicts_with_all = ["history_author", "history_comment", "history_created", "history_created_by"])]
    no_history: bool,

    /// Author of the step [default: the value of --author]
    #[arg(long, value_name = "TEXT")]
    history_author: Option<String>,

    /// Comment on the step
    #[arg(long, value_name = "TEXT")]
    history_comment: Option<String>,

    /// Time of the step [default: the image's `created`]
    #[arg(long, value_name = "TIME")]
    history_created: Option<Timestamp>,

    /// Command that made the step [default: ocibake config]
    #[arg(long, value_name = "TEXT")]
    history_created_by: Option<String>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let mut options = ConfigOptions::default();
    options.which = if args.all_platforms { Which::All } else { Which::One(args.platform.clone()) };
    options.changes = changes(args)?;
    options.tags = args.tag.clone();
    let display = session.display(ProgressMode::None);
    let report = config(&args.image, &options, &display.work(None)?.with_durability(args.sync.durability()))?;
    drop(display);
    if !args.json && !report.changed && session.verbosity != Verbosity::Quiet {
        say(&format!("ocibake: {}: nothing is different, nothing was written", report.image));
    }
    let done = if report.changed { "is changed" } else { "is as it was" };
    print_done(&format!("`{}` {done}", report.image), args.json, &report, || {
        lines(report.images.iter().map(|image| &image.digest))
    })?;
    Ok(Answer::Yes)
}

fn changes(args: &Args) -> Result<ImageChanges> {
    let GivenArgs { settings, variant, os, os_version, os_feature, .. } = &args.given;
    let by_hand = [(variables::SUBARCH, variant), (variables::OS, os)];
    let by_hand = by_hand.into_iter().filter_map(|(variable, text)| Some((variable, FlagValue::Text(text.clone()?))));
    let settings = Settings::new(settings.0.iter().cloned().chain(by_hand), [], None)?;
    let mut changes = ImageChanges::resolve(&settings)?;

    changes.platform.os_version.clone_from(os_version);
    changes.platform.os_features.clone_from(os_feature);
    for (place, flag, pairs) in [
        (Annotated::Config, "--config-annotation", &args.given.config_annotation),
        (Annotated::Index, "--index-annotation", &args.given.index_annotation),
        (Annotated::Descriptor, "--descriptor-annotation", &args.given.descriptor_annotation),
    ] {
        changes.annotate(place, flag, pairs)?;
    }
    changes.clear.extend(&args.gone.clear);
    changes.remove = removals(&args.gone)?;
    changes.history = match &args.history {
        HistoryArgs { no_history: true, .. } => HistoryChange::Kept,
        HistoryArgs { history_author, history_comment, history_created, history_created_by, .. } => {
            let mut step = HistoryStep::default();
            step.author.clone_from(history_author);
            step.comment.clone_from(history_comment);
            step.created = *history_created;
            step.created_by.clone_from(history_created_by);
            HistoryChange::Step(step)
        }
    };
    Ok(changes)
}

fn removals(args: &GoneArgs) -> Result<Vec<Removal>> {
    let mut removals = args.elements.0.clone();
    for (place, flag, keys) in [
        (Annotated::Manifest, "--remove-annotation", &args.remove_annotation),
        (Annotated::Config, "--remove-config-annotation", &args.remove_config_annotation),
        (Annotated::Index, "--remove-index-annotation", &args.remove_index_annotation),
        (Annotated::Descriptor, "--remove-descriptor-annotation", &args.remove_descriptor_annotation),
    ] {
        for key in keys {
            removals.push(Removal::annotation(place, flag, key)?);
        }
    }
    Ok(removals)
}
