//! A change of what a layout lists, made while nobody else changes it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;

use serde::de::DeserializeOwned;

use crate::digest::{Digest, HashWriter};
use crate::error::{Error, IoContext, Result};
use crate::layout::links::{Documents, Link, Missing, Reach};
use crate::layout::lock::lock;
use crate::layout::merge::{join_lists, merge};
use crate::layout::{blob_path, digest_of_path, DockerForm, Layout, LayoutWriter, Location, Transport, INDEX, MARKER};
use crate::media_type::MediaType;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Descriptor, Document, Index, LayoutMarker, RefName};

/// A layout, directory or archive, that is locked against other writers and whose index is being changed.
///
/// Nothing changes before [`commit`](Edit::commit): new blobs gather in a staging directory, and one rename shows the
/// index that lists them. An archive is written anew as a whole. An edit that is dropped changes nothing, and so does
/// one that leaves the index as it was.
#[derive(Debug)]
pub struct Edit {
    layout: Layout,
    before: Index,
    index: Index,
    /// Made when there is something to write.
    writer: Option<LayoutWriter>,
    freed: BTreeSet<Digest>,
    _lock: File,
}

/// What an edit leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    /// The documents that are taken away.
    pub freed: BTreeSet<Digest>,
    /// What something in the layout is attached to.
    pub subjects: BTreeSet<Digest>,
}

impl Edit {
    /// Waits until nobody else changes the layout, and reads what it lists now.
    pub fn open(location: &Location) -> Result<Self> {
        let metadata = location.path.metadata().at("open the image", &location.path)?;
        if !metadata.is_dir() && !metadata.is_file() {
            let message =
                format!("image `{location}`: a layout or an archive is wanted, found a device, pipe or socket");
            return Err(Error::refused(message));
        }
        let lock = lock(&location.path)?;
        let layout = Layout::open(location)?;
        if layout.location().transport == Transport::DockerArchive {
            return Err(Error::refused_with_hint(
                format!("image `{location}`: docker archives are read, not edited"),
                "make a layout of it with `ocibake convert`",
            ));
        }
        let version = layout.marker()?.into_value().image_layout_version;
        if version != LayoutMarker::VERSION {
            let reason = format!("layout version {} expected, found {version}", LayoutMarker::VERSION);
            return Err(Error::malformed(location.to_string(), reason));
        }
        if layout.location().transport != Transport::Oci {
            check_archive(&layout)?;
        }
        let before = layout.index()?.into_value();
        Ok(Edit { layout, index: before.clone(), before, writer: None, freed: BTreeSet::new(), _lock: lock })
    }

    /// The layout as it was when the edit began.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What is to be listed.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What is to be listed, for a change.
    pub fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// Lists a descriptor under a name, which moves to it if it is taken. The name by which containerd calls an image is
    /// not taken along: it stands for one ref name.
    pub fn name(&mut self, descriptor: &Descriptor, name: &RefName) {
        let mut named = descriptor.clone();
        if descriptor.ref_name() != Some(name.as_str()) {
            named = named.with_ref_name(name);
            named.annotations.iter_mut().for_each(|annotations| drop(annotations.remove(CONTAINERD_NAME)));
        }
        merge(&mut self.index, &[named]);
    }

    /// Whether something else is listed than before.
    pub fn is_change(&self) -> bool {
        self.index != self.before
    }

    /// Stores a document.
    pub fn put<T>(&mut self, document: &Document<T>, media_type: MediaType) -> Result<Descriptor> {
        self.writer()?.put(document, media_type)
    }

    /// Stores what `content` yields.
    pub fn put_blob(&mut self, content: &mut dyn Read, media_type: MediaType) -> Result<Descriptor> {
        let (file, place) = self.writer()?.blob_file()?.into_parts();
        let path = self.layout.location().path.clone();
        let mut writer = HashWriter::new(file);
        io::copy(content, &mut writer).at("write a blob to", &path)?;
        let (_, digest, size) = writer.finish();
        self.writer()?.adopt(&place, &digest, size)?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// A document, new or old.
    pub fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<Document<T>> {
        match self.staged(&descriptor.digest)? {
            Some(raw) => Document::parse(raw, &self.layout.name_of(&descriptor.digest)),
            None => self.layout.document(descriptor),
        }
    }

    /// Joins lists of what is attached to something, where the index has others now than before, with those that were there.
    pub fn join_lists(&mut self) -> Result<()> {
        let mut after = self.index.clone();
        let lists = join_lists(|list| self.document(list).map(Document::into_value), &self.before, &mut after);
        self.index = after;
        lists.iter().try_for_each(|list| self.put(list, MediaType::INDEX).map(drop))
    }

    /// Takes blobs away when the edit is committed. Nothing that is listed may lead to them.
    pub fn free(&mut self, blobs: impl IntoIterator<Item = Digest>) {
        self.freed.extend(blobs);
    }

    /// Takes away what the index led to before and leads to no more, if that is nothing but documents: what an edit has
    /// replaced. An image with layers of its own, whose name has moved away, is left to be collected.
    ///
    /// Where a document elsewhere in the layout is damaged, nobody knows what it leads to, and nothing is taken away.
    pub fn free_replaced(&mut self) -> Result<Replaced> {
        let mut replaced = Replaced::default();
        let Ok(kept) = Reach::of(self, &self.index.manifests, Missing::Passed) else { return Ok(replaced) };
        let listed: BTreeSet<&Digest> = self.index.manifests.iter().map(|descriptor| &descriptor.digest).collect();
        for gone in self.before.manifests.iter().filter(|old| !listed.contains(&old.digest)) {
            let Ok(reached) = Reach::of(&self.layout, [gone], Missing::Passed) else { continue };
            let is_lost = |digest: &Digest| !kept.blobs.contains_key(digest);
            let lost: Vec<_> = reached.blobs.into_iter().filter(|(digest, _)| is_lost(digest)).collect();
            if lost.iter().all(|(_, need)| need.is_document) {
                for (digest, _) in lost {
                    if self.layout.stored_blob(&digest)?.is_some() {
                        replaced.freed.insert(digest);
                    }
                }
            }
        }
        self.freed.extend(replaced.freed.iter().cloned());
        replaced.subjects = kept.subjects;
        Ok(replaced)
    }

    /// Shows the change. The layout is whole before and after, whatever happens in between. `threads` of them compress
    /// an archive as a whole.
    pub fn commit(self, threads: NonZeroUsize) -> Result<()> {
        let has_checksum = self.writer.as_ref().is_some_and(LayoutWriter::has_checksum);
        if !self.is_change() && self.freed.is_empty() && !has_checksum {
            return Ok(());
        }
        if self.layout.location().transport == Transport::Oci {
            self.commit_to_directory()
        } else {
            self.commit_to_archive(threads)
        }
    }

    fn commit_to_directory(mut self) -> Result<()> {
        if self.is_change() {
            let index = self.index.clone();
            let writer = self.writer()?;
            // What these replace may be taken away in a moment.
            writer.sync()?;
            writer.place_blobs()?;
            writer.place_index(index)?;
        }
        for digest in &self.freed {
            let path = self.layout.location().path.join(blob_path(digest));
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.at("remove", &path)?,
            }
        }
        Ok(())
    }

    fn commit_to_archive(mut self, threads: NonZeroUsize) -> Result<()> {
        let kept = self.layout.blobs()?.into_iter().filter(|(digest, _)| !self.freed.contains(digest));
        let kept: Vec<(Digest, u64)> = kept.collect();
        self.writer()?;
        let mut writer = self.writer.take().expect("it was made");
        for (digest, size) in kept {
            if !writer.holds(&digest) {
                writer.copy_stored(&self.layout, &digest, size)?;
            }
        }
        writer.prepare_with(&self.layout.marker()?, self.index.clone(), threads)?;
        writer.sync()?;
        writer.commit()
    }

    /// Where new blobs gather.
    pub fn writer(&mut self) -> Result<&mut LayoutWriter> {
        if self.writer.is_none() {
            let location = self.layout.location();
            self.writer = Some(match location.transport {
                Transport::Oci => LayoutWriter::within(location)?,
                _ => LayoutWriter::create(location, DockerForm::default())?,
            });
        }
        Ok(self.writer.as_mut().expect("it was made"))
    }

    fn staged(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.writer.as_ref().map_or(Ok(None), |writer| writer.staged_blob(digest))
    }
}

impl Documents for Edit {
    fn raw(&self, link: &Link) -> Result<Option<Vec<u8>>> {
        match self.staged(&link.digest)? {
            Some(raw) => Ok(Some(raw)),
            None => self.layout.raw(link),
        }
    }

    fn subject(&self, digest: &Digest) -> String {
        self.layout.name_of(digest)
    }
}

/// Whether an archive can be written anew with all that it holds, in the compression that it has.
fn check_archive(layout: &Layout) -> Result<()> {
    let location = layout.location();
    let is_part = |name: &str| name == MARKER || name == INDEX || digest_of_path(name).is_some();
    if let Some(other) = layout.files()?.into_iter().find(|file| !is_part(&file.name)) {
        return Err(Error::refused_with_hint(
            format!(
                "image `{location}`: an archive of nothing but a layout is wanted, found `{}`",
                other.name.escape_debug()
            ),
            "it would be lost, or no longer fit: make a layout of it with `ocibake convert`",
        ));
    }
    let (found, ending) = (layout.outer_format(), location.outer_codec()?.format());
    if found != Some(ending) {
        return Err(Error::refused(format!(
            "image `{location}`: its name and its content do not tell the same compression"
        )));
    }
    Ok(())
}
