use std::io::{self, stdout, Write};

use anyhow::Result;
use clap::ValueEnum;
use ocibake::layout::{Layout, Location};
use ocibake::observer::Silent;
use ocibake::ops::inspect::{attached_file, for_each_entry, inspect, largest};
use ocibake::platform::PlatformPattern;
use serde_json::json;

use super::{report, threads, Answer, LocationParser};

/// Show what is in an image
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake inspect oci:out:v1 --largest 10")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// List the entries of each layer
    #[arg(long)]
    files: bool,

    /// Show the N largest files and directories
    #[arg(long, value_name = "N")]
    largest: Option<usize>,

    /// Print an object for programs
    #[arg(long, conflicts_with = "raw")]
    json: bool,

    /// Print a document's own bytes
    #[arg(long, value_name = "DOCUMENT", conflicts_with_all = ["files", "largest"])]
    raw: Option<RawDocument>,

    /// Print a file that is attached, by its digest or its type, as it is
    #[arg(long, value_name = "DIGEST|TYPE", conflicts_with_all = ["files", "largest", "raw", "json"])]
    attached: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RawDocument {
    Manifest,
    Config,
    Index,
}

pub(super) fn run(args: &Args) -> Result<Answer> {
    let layout = Layout::open(&args.image)?;
    let mut out = stdout().lock();
    if let Some(RawDocument::Index) = args.raw {
        out.write_all(layout.index()?.raw())?;
        return Ok(Answer::Yes);
    }
    if let Some(wanted) = &args.attached {
        let file = attached_file(&layout, args.platform.as_ref(), wanted)?;
        let mut content = layout.blob(&file)?;
        // An error of the blob carries what it is about, and one of stdout does not.
        io::copy(&mut content, &mut out)?;
        return Ok(Answer::Yes);
    }
    let image = layout.image(args.platform.as_ref())?;
    match args.raw {
        Some(RawDocument::Manifest) => out.write_all(image.manifest.raw())?,
        Some(_) => out.write_all(image.config.raw())?,
        None if args.json => {
            let mut object = serde_json::to_value(inspect(&layout, &image)?)?;
            if args.files {
                object["files"] = files(&layout, &image)?.into();
            }
            if let Some(count) = args.largest {
                object["largest"] = serde_json::to_value(largest(&layout, &image, count, threads(None)?, &Silent)?)?;
            }
            serde_json::to_writer_pretty(&mut out, &object)?;
            writeln!(out)?;
        }
        None => {
            write!(out, "{}", report::image(&inspect(&layout, &image)?))?;
            if args.files {
                for (number, layer) in image.manifest.value().layers.iter().enumerate() {
                    writeln!(out, "\nfiles of layer {}", number + 1)?;
                    for_each_entry(&layout, layer, |entry| {
                        Ok::<_, anyhow::Error>(writeln!(out, "{}", report::entry(&entry))?)
                    })?;
                }
            }
            if let Some(count) = args.largest {
                write!(out, "\n{}", report::usage(&largest(&layout, &image, count, threads(None)?, &Silent)?))?;
            }
        }
    }
    Ok(Answer::Yes)
}

/// The entries of all layers as objects, each with the number of its layer.
fn files(layout: &Layout, image: &ocibake::layout::Image) -> Result<Vec<serde_json::Value>> {
    let mut files = Vec::new();
    for (number, layer) in image.manifest.value().layers.iter().enumerate() {
        for_each_entry(layout, layer, |entry| {
            let mut file = json!({
                "layer": number + 1,
                "path": entry.path.to_string(),
                "type": entry.kind.name(),
                "mode": format!("{:04o}", entry.metadata.mode),
                "uid": entry.metadata.uid,
                "gid": entry.metadata.gid,
                "size": entry.size(),
                "mtime": entry.metadata.mtime.seconds(),
                "target": report::link_target(&entry),
                "xattrs": entry.metadata.xattrs.keys().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>(),
            });
            if entry.metadata.mtime.nanoseconds() != 0 {
                file["mtime_nanoseconds"] = entry.metadata.mtime.nanoseconds().into();
            }
            files.push(file);
            Ok::<_, ocibake::Error>(())
        })?;
    }
    Ok(files)
}
