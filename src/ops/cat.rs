//! `cat`: the content of one file of an image.

use std::io::{self, Read, Write};

use crate::error::{Error, ErrorKind, Result};
use crate::image::tree::{read_layers, ImageLayers, Reading, Wanted};
use crate::layer::Origin;
use crate::layer::{stream, LayerCheck};
use crate::layout::{Image, Layout, Location};
use crate::oci::total_size;
use crate::platform::PlatformPattern;
use crate::spelling::nearest;
use crate::tree::{shown, Entry, Lost, Resolver, TarPath, Tree};
use crate::work::Work;

/// Which image is meant.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CatOptions {
    /// The platform of the image, if there are several.
    pub platform: Option<PlatformPattern>,
}

/// The file that was copied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CatReport {
    /// Where it is, with all links resolved.
    pub path: TarPath,
    /// Its bytes.
    pub size: u64,
}

/// Copies the content of one regular file to `out`. Symbolic links on the way are followed as in a container of the
/// image: none leads out of it. All layers are read and verified before the first byte is copied.
///
/// # Errors
///
/// An error of `out` is returned unchanged; one of this library is carried by an I/O error.
pub fn cat(
    location: &Location,
    path: &[u8],
    options: &CatOptions,
    work: &Work<'_>,
    out: &mut dyn Write,
) -> io::Result<CatReport> {
    let layout = Layout::open(location, work.limits)?;
    let image = layout.image(options.platform.as_ref())?;
    let layers = &image.manifest.value().layers;
    work.observer.expect(total_size(layers));
    let mut read = ImageLayers::default();
    read.push(read_layers(&layout, &image, usize::MAX, &Wanted::Entries, Reading::Watched, work)?, work.observer)?;
    let folded = read.into_tree().folded;
    let entry = regular_file(&folded.tree, path, location)?;
    let report = CatReport { path: entry.path.clone(), size: entry.size() };
    if let Some(origin) = folded.origins.get(&entry.path).filter(|_| report.size > 0) {
        copy(&layout, &image, *origin, work, out)?;
    }
    Ok(report)
}

/// Returns the file that a path leads to.
fn regular_file<'t>(tree: &'t Tree, path: &[u8], location: &Location) -> Result<&'t Entry> {
    let subject = format!("image `{location}`");
    let asked = format!("/{}", shown(path.strip_prefix(b"/").unwrap_or(path)));
    match Resolver::new(tree).find(path) {
        Ok(Some(entry)) if entry.is_file() => Ok(entry),
        Ok(entry) => {
            // An image without layers has no root.
            let what = entry.map_or("directory", |entry| entry.kind.name());
            let message = format!("{subject}: a file is wanted, found at `{asked}`: {what}");
            Err(Error::refused_with_hint(message, "unpack the image to get more than one file")
                .of_kind(ErrorKind::Invalid))
        }
        Err(Lost::Missing(missing)) => Err(not_there(tree, &subject, &asked, &missing)),
        Err(Lost::NoDirectory(path)) => {
            Err(Error::refused(format!("{subject}: no file `{asked}`: `{path}` is no directory"))
                .of_kind(ErrorKind::NotFound))
        }
        Err(Lost::Loop) => Err(Error::refused(format!("{subject}: the symbolic links at `{asked}` form a loop"))
            .of_kind(ErrorKind::NotFound)),
    }
}

fn not_there(tree: &Tree, subject: &str, asked: &str, missing: &TarPath) -> Error {
    let leads = format!(": it leads to `{missing}`, which is not there");
    let message = format!("{subject}: no file `{asked}`{}", if missing.to_string() == asked { "" } else { &leads });
    let beside = tree.iter().filter(|entry| entry.path.parent() == missing.parent());
    let names: Vec<String> = beside.map(|entry| shown(entry.path.file_name())).collect();
    match nearest(&shown(missing.file_name()), names.iter().map(String::as_str)) {
        Some(near) => {
            let parent = missing.parent().filter(|parent| !parent.is_root()).map(|parent| parent.to_string());
            Error::refused_with_hint(message, format!("there is `{}/{near}`", parent.unwrap_or_default()))
                .of_kind(ErrorKind::NotFound)
        }
        None => Error::refused(message).of_kind(ErrorKind::NotFound),
    }
}

/// Copies the content of a member of a layer, which is verified again on the way.
fn copy(layout: &Layout, image: &Image, origin: Origin, work: &Work<'_>, out: &mut dyn Write) -> io::Result<()> {
    let layer = &image.manifest.value().layers[origin.layer];
    let diff_id = &image.config.value().rootfs.diff_ids[origin.layer];
    let name = format!("layer {}", layer.digest.short());
    let mut trouble = None;
    // It was judged when the image was read.
    let mut judge = LayerCheck::judging(None);
    let copied = stream::read(layout.blob(layer)?, diff_id, &name, work.limits, &mut judge, |reader, _| {
        for _ in 0..=origin.member {
            work.observer.check()?;
            reader.next_member()?;
        }
        let mut buffer = vec![0; 64 << 10];
        loop {
            work.observer.check()?;
            let result = reader.read(&mut buffer).and_then(|count| out.write_all(&buffer[..count]).map(|()| count));
            match result {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    trouble = Some(error);
                    return Err(Error::Interrupted);
                }
            }
        }
    });
    match trouble {
        Some(error) => Err(error),
        None => Ok(copied?),
    }
}
