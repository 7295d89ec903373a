//! Results as text for people.

use std::fmt::Write;

use ocibake::digest::Digest;
use ocibake::image::fetch::{FetchedRecipe, RecipeChange, UpdateCost};
use ocibake::media_type::MediaKind;
use ocibake::oci::Annotations;
use ocibake::ops::build::BuildStats;
use ocibake::ops::inspect::{Attached, ImageInspection, IndexInspection, InspectReport, ListedImage, Usage};
use ocibake::ops::ls::Listed;
use ocibake::ops::plan::PlanReport;
use ocibake::settings::ConfigField;
use ocibake::time::Timestamp;
use ocibake::tree::{shown, Entry, Kind};
use ocibake::units::ByteCount;

/// A number of bytes with three digits and a decimal unit: `1.54 GB`.
pub(super) fn bytes(count: u64) -> String {
    ByteCount(count).to_string()
}

/// `1 blob`, `2 blobs`.
pub(super) fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The table of `--stats`.
pub(super) fn stats(stats: &BuildStats) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        writeln!(text, "{name:<12} {value}").expect("writing to a string");
    };
    row("entries", stats.entries.to_string());
    row("content", bytes(stats.content_bytes));
    row("tar", bytes(stats.tar_bytes));
    row("layer", bytes(stats.layer_bytes));
    if stats.blocks > 0 {
        row("blocks", format!("{}, of which {} from the cache", stats.blocks, stats.cached_blocks));
    }
    row("threads", stats.threads.to_string());
    let entries = stats.entries as f64 / stats.scan_seconds;
    row("scan", format!("{:.3} s wall, {entries:.0} entries/s", stats.scan_seconds));
    if stats.compare_seconds > 0.001 {
        row("compare", format!("{:.3} s wall", stats.compare_seconds));
    }
    for (name, seconds, time, amount) in [
        ("read", stats.read_seconds, "CPU", stats.content_bytes),
        ("hash", stats.hash_seconds, "CPU", stats.tar_bytes + stats.layer_bytes),
        ("compress", stats.compress_seconds, "CPU", stats.tar_bytes),
        ("write", stats.write_seconds, "CPU", stats.layer_bytes),
        ("total", stats.total_seconds, "wall", stats.content_bytes),
    ] {
        row(name, format!("{seconds:.3} s {time}, {:.0} MB/s", amount as f64 / 1e6 / seconds.max(1e-9)));
    }
    if let Some(peak) = stats.peak_memory_bytes {
        row("peak memory", bytes(peak));
    }
    text
}

/// Text with its control characters escaped, so that a value cannot fake a line or drive the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// What stands for the platform of an image of which nothing says what it runs on.
const NO_PLATFORM: &str = "(no platform)";

/// Shows an image, or the images under one name.
pub(super) fn inspection(report: &InspectReport) -> String {
    match report {
        InspectReport::Index(report) => index(report),
        InspectReport::Image(report) => image(report),
        _ => String::new(),
    }
}

/// Writes a name and its value, unless the value is empty.
fn row(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        writeln!(text, "  {name:<12} {}", value.replace('\n', "\n               ")).expect("writing to a string");
    }
}

fn annotation_lines(annotations: &Annotations) -> String {
    annotations.iter().map(|(key, value)| format!("{key}={}", printable(value))).collect::<Vec<_>>().join("\n")
}

fn index(index: &IndexInspection) -> String {
    let mut text = format!("{}\n", printable(&index.image));
    row(&mut text, "refs", &index.refs.join(", "));
    row(&mut text, "digest", index.digest.as_str());
    row(&mut text, "annotation", &annotation_lines(&index.annotations));
    text.push_str("images\n");
    let platform = |image: &ListedImage| {
        let named = image.platform.as_ref().filter(|platform| platform.is_named());
        named.map_or_else(|| NO_PLATFORM.to_owned(), |platform| printable(&platform.to_string()))
    };
    let width = index.images.iter().map(|image| platform(image).chars().count()).max().unwrap_or_default();
    for image in &index.images {
        let size = image.size.map_or_else(|| "missing".to_owned(), bytes);
        writeln!(text, "  {:<width$}  {size:>9}  {}", platform(image), image.digest).expect("writing to a string");
    }
    attached(&mut text, &index.attached, &index.digest);
    text
}

fn image(image: &ImageInspection) -> String {
    let mut text = format!("{}\n", printable(&image.image));
    let mut row = |name: &str, value: &str| row(&mut text, name, value);
    let config = &image.config;
    row("refs", &image.refs.join(", "));
    row("digest", image.digest.as_str());
    let platform = if image.platform.is_named() { image.platform.to_string() } else { NO_PLATFORM.to_owned() };
    row("platform", &platform);
    row("created", image.created.as_deref().unwrap_or_default());
    row("author", image.author.as_deref().unwrap_or_default());
    for field in ConfigField::all() {
        let lines: Vec<String> = field.lines(config).iter().map(|line| printable(line)).collect();
        row(&field.name().replace('-', " "), &lines.join("\n"));
    }
    row("annotation", &annotation_lines(&image.annotations));
    text.push_str("layers\n");
    for (number, layer) in image.layers.iter().enumerate() {
        let what = layer.name.as_deref().map(printable).or_else(|| layer.created_by.clone()).unwrap_or_default();
        writeln!(
            text,
            "{:>3}  {:<5} {:>9}  {}  {what}",
            number + 1,
            layer.compression,
            bytes(layer.size),
            layer.digest
        )
        .expect("writing to a string");
        text.push_str(&indented(&printable(layer.groups.as_deref().unwrap_or_default()), 5));
    }
    writeln!(text, "total  {:>12}", bytes(image.size)).expect("writing to a string");
    attached(&mut text, &image.attached, &image.digest);
    if let Some(mut files) = image.files.as_deref() {
        for number in 1..=image.layers.len() {
            let (of_layer, rest) = files.split_at(files.partition_point(|file| file.layer <= number));
            writeln!(text, "\nfiles of layer {number}").expect("writing to a string");
            for file in of_layer {
                writeln!(text, "{}", entry(&file.entry)).expect("writing to a string");
            }
            files = rest;
        }
    }
    if let Some(largest) = &image.largest {
        text.push('\n');
        text.push_str(&usage(largest));
    }
    text
}

/// Words in lines of 100 columns at most, as far as they fit.
fn indented(words: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut width = 100;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let wider = width + 1 + word.chars().count();
        if wider > 100 {
            let line_end = if text.is_empty() { "" } else { "\n" };
            write!(text, "{line_end}{:indent$}{word}", "").expect("writing to a string");
            width = indent + word.chars().count();
        } else {
            write!(text, " {word}").expect("writing to a string");
            width = wider;
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// What is attached, and to what, where that is not what is shown.
fn attached(text: &mut String, all: &[Attached], shown: &Digest) {
    if !all.is_empty() {
        text.push_str("attached\n");
    }
    for attached in all {
        for file in &attached.files {
            let title = printable(file.title.as_deref().unwrap_or_default());
            let kind = printable(attached.artifact_type.as_deref().unwrap_or_default());
            let subject = &attached.subject;
            let to = if subject == shown { String::new() } else { format!("  (attached to {})", subject.short()) };
            writeln!(text, "{:>19}  {}  {kind} {title}{to}", bytes(file.size), attached.digest)
                .expect("writing to a string");
        }
    }
}

/// What a layout lists, a line each: name, what it is, bytes, digest. Nested entries are indented.
pub(super) fn listing(all: &[Listed]) -> String {
    let mut rows = Vec::new();
    for listed in all {
        list(listed, "", "", &mut rows);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (name, what) = (width(0), width(1));
    let mut text = String::new();
    for row in &rows {
        writeln!(text, "{:<name$}  {:<what$}  {:>9}  {}", row[0], row[1], row[2], row[3]).expect("writing to a string");
    }
    text
}

fn list(listed: &Listed, indent: &str, what: &str, rows: &mut Vec<[String; 4]>) {
    let name = match &listed.name {
        Some(name) => printable(name),
        None if indent.is_empty() => "(no name)".to_owned(),
        None => what.to_owned(),
    };
    let platform = || listed.platform.as_ref().map(ToString::to_string);
    // It was read, and says nothing.
    let is_nameless = listed.size.is_some() && listed.media_type.kind() == MediaKind::Manifest;
    let otherwise = || if is_nameless { NO_PLATFORM.to_owned() } else { listed.media_type.to_string() };
    let kind = listed.artifact_type.clone().or_else(platform).unwrap_or_else(otherwise);
    let is_index = !listed.manifests.is_empty() && listed.artifact_type.is_none();
    rows.push([
        format!("{indent}{name}"),
        if is_index { "index".to_owned() } else { printable(&kind) },
        listed.size.map_or_else(|| "missing".to_owned(), bytes),
        listed.digest.to_string(),
    ]);
    let indent = format!("{indent}  ");
    for (what, below) in [("listed", &listed.manifests), ("attached", &listed.attached)] {
        for listed in below {
            list(listed, &indent, what, rows);
        }
    }
}

/// An entry as `ls -l` would show it.
fn entry(entry: &Entry) -> String {
    let metadata = &entry.metadata;
    let size = match &entry.kind {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => format!("{},{}", device.major, device.minor),
        _ => entry.size().to_string(),
    };
    let target = entry.kind.target().map(|target| format!(" -> {}", shown(&target))).unwrap_or_default();
    let xattrs = if metadata.xattrs.is_empty() { ' ' } else { '+' };
    // A year of more than four digits has no form in RFC 3339.
    let seconds = metadata.mtime.seconds();
    let nearest = Timestamp::saturating(seconds);
    let mtime = if nearest.seconds() == seconds { nearest.to_string() } else { seconds.to_string() };
    format!(
        "{}{xattrs} {:>5}:{:<5} {size:>10} {mtime:>20} {}{target}",
        mode(entry),
        metadata.uid,
        metadata.gid,
        entry.path,
    )
}

/// `-rwsr-xr-x`; a hard link is an `h`.
fn mode(entry: &Entry) -> String {
    let mode = entry.metadata.mode;
    let kind = match entry.kind {
        Kind::Directory => 'd',
        Kind::File { .. } => '-',
        Kind::Symlink { .. } => 'l',
        Kind::Hardlink { .. } => 'h',
        Kind::CharDevice(_) => 'c',
        Kind::BlockDevice(_) => 'b',
        Kind::Fifo => 'p',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// Shows a plan with the contents of each layer as comments, so that it is still a plan.
pub(super) fn plan(plan: &PlanReport) -> String {
    let mut text = format!(
        "# {}, {} in {}\n",
        plural(plan.layers.len() as u64, "layer"),
        bytes(plan.bytes),
        plural(plan.entries as u64, "entry").replace("entrys", "entries")
    );
    for layer in &plan.layers {
        let share = if plan.bytes == 0 { 0.0 } else { layer.bytes as f64 / plan.bytes as f64 * 100.0 };
        let entries = plural(layer.entries as u64, "entry").replace("entrys", "entries");
        let changes =
            layer.changes.map(|changes| format!(", changed {}", plural(changes.into(), "time"))).unwrap_or_default();
        let held = format!("{}, {share:.1}%, {entries}{changes}", bytes(layer.bytes));
        match &layer.line {
            Some(line) => writeln!(text, "\n# {held}\n{line}"),
            None => writeln!(text, "\n# what no line takes: {held}"),
        }
        .expect("writing to a string");
    }
    text
}

/// What an update costs: the sum, then a line for each layer that is fetched, with the reason.
pub(super) fn update_cost(cost: &UpdateCost) -> String {
    let share = if cost.of == 0 { 0.0 } else { cost.bytes as f64 / cost.of as f64 * 100.0 };
    let mut text = format!("to fetch: {} of {}, {share:.1}%\n", bytes(cost.bytes), bytes(cost.of));
    for layer in &cost.layers {
        let Some(name) = layer.name.as_deref().map(printable) else { continue };
        let changed = layer.recipes.iter().filter(|recipe| recipe.change != RecipeChange::Same);
        let mut reasons: Vec<String> = changed.map(fetched_recipe).collect();
        let same = layer.recipes.len() - reasons.len();
        if same > 0 {
            reasons.push(match reasons.len() {
                0 => "other files of the same versions".to_owned(),
                _ => format!("and {same} that did not change"),
            });
        }
        writeln!(text, "{:>9}  {name}  {}", bytes(layer.size), reasons.join(", ")).expect("writing to a string");
    }
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn fetched_recipe(recipe: &FetchedRecipe) -> String {
    let name = printable(&recipe.recipe);
    match (&recipe.from, &recipe.to) {
        (Some(from), Some(to)) if from != to => format!("{name} {} -> {}", printable(from), printable(to)),
        (_, Some(to)) if recipe.change == RecipeChange::Added => format!("{name} {} (new)", printable(to)),
        (_, None) if recipe.change == RecipeChange::Added => format!("{name} (new)"),
        _ => name,
    }
}

/// The largest files and directories as bars.
fn usage(largest: &[Usage]) -> String {
    const WIDTH: u64 = 24;
    let most = largest.first().map_or(1, |usage| usage.size.max(1));
    let mut text = String::from("largest\n");
    for usage in largest {
        let bar = "#".repeat((u128::from(usage.size) * u128::from(WIDTH)).div_ceil(u128::from(most)) as usize);
        let slash = if usage.directory && !usage.path.is_root() { "/" } else { "" };
        writeln!(text, "{:>9}  {bar:<24}  {}{slash}", bytes(usage.size), usage.path).expect("writing to a string");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocibake::tree::{Device, Metadata, TarPath};

    #[test]
    fn entries_look_like_those_of_ls() {
        let of = |mode, kind| Entry {
            path: TarPath::parse(b"bin/x").unwrap(),
            metadata: Metadata { mode, uid: 1, gid: 2, ..Metadata::default() },
            kind,
        };
        for (found, expected) in [
            (of(0o4755, Kind::File { size: 7 }), "-rwsr-xr-x      1:2              7 1970-01-01T00:00:00Z /bin/x"),
            (of(0o1644, Kind::Directory), "drw-r--r-T      1:2              0 1970-01-01T00:00:00Z /bin/x"),
            (
                of(0o600, Kind::CharDevice(Device { major: 5, minor: 1 })),
                "crw-------      1:2            5,1 1970-01-01T00:00:00Z /bin/x",
            ),
            (
                of(0o777, Kind::Symlink { target: b"a\n".to_vec().into() }),
                "lrwxrwxrwx      1:2              0 1970-01-01T00:00:00Z /bin/x -> a\\n",
            ),
        ] {
            assert_eq!(entry(&found), expected);
        }
    }
}
