//! Publishes what is staged for several targets together.
//!
//! Everything that needs time or space comes first: archives are packed, blobs are compared with existing ones, and all
//! is synced. Then existing layouts are locked, new indexes are written beside the old ones, and blobs are moved into
//! place, where no index leads to them yet. What remains is one rename for each target.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::layout::transaction::draft::Drafted;
use crate::layout::transaction::hold::{FormerContent, Held};
use crate::layout::transaction::place::{sync, sync_name, Settled};
use crate::layout::transaction::stage::too_large;
use crate::layout::transaction::target::{check_directory, TargetKind};
use crate::layout::transaction::{staging, Draft, Transaction};
use crate::layout::{blob_path, Layout, INDEX, MARKER};
use crate::oci::{Document, Index, LayoutMarker};
use crate::work::Work;

/// What a change did to other entries of its target.
#[derive(Debug, Default)]
struct Told {
    warnings: Vec<String>,
    /// What went with an image that it is about; there is a warning for each.
    orphans: BTreeSet<Digest>,
}

/// Publishes what is staged for several targets, with the index that `change` makes for each. No target changes unless
/// all can be written. If a rename still fails after others succeeded, the error says which targets are new.
///
/// Returns the results, and what went with an image that it is about, of which the observer was told.
pub(crate) fn commit_all<R>(
    transactions: Vec<Transaction>,
    work: &Work<'_>,
    change: impl FnMut(&mut Draft<'_>) -> Result<R>,
) -> Result<(Vec<R>, BTreeSet<Digest>)> {
    let parts = transactions.into_iter().map(Part::new).collect();
    let mut commit = Commit { parts, change, work };
    commit.prepare()?;
    let shown = commit.hold_layouts().and_then(|()| work.observer.check()).and_then(|()| commit.show_all());
    shown.map_err(|error| commit.partly(error))?;
    let mut orphans = BTreeSet::new();
    for part in &mut commit.parts {
        work.warn(&part.told.warnings);
        orphans.append(&mut part.told.orphans);
    }
    let results = commit.parts.into_iter().map(|Part { transaction, result, .. }| {
        let home = transaction.stage.home().to_path_buf();
        drop(transaction);
        staging::clear_abandoned(&home);
        result.expect("each change was made")
    });
    Ok((results.collect(), orphans))
}

/// A commit of several targets.
struct Commit<'w, R, F> {
    parts: Vec<Part<R>>,
    change: F,
    work: &'w Work<'w>,
}

/// One target of a commit.
struct Part<R> {
    transaction: Transaction,
    /// The result of the change.
    result: Option<R>,
    /// What the change did to other entries.
    told: Told,
    settled: Settled,
    held: Option<Held>,
    /// Pending renames, in this order.
    renames: Vec<(PathBuf, PathBuf)>,
    /// Blobs to remove from a layout at the end.
    freed: BTreeSet<Digest>,
    /// Whether the target comes to list something else.
    is_new: bool,
    is_shown: bool,
}

impl<R, F: FnMut(&mut Draft<'_>) -> Result<R>> Commit<'_, R, F> {
    /// Does everything that takes time.
    fn prepare(&mut self) -> Result<()> {
        // What is sent to a stream cannot be undone, so streams come after everything else is ready.
        let is_stream = |number: &usize| self.parts[*number].transaction.target.is_stream();
        let (streams, others): (Vec<usize>, Vec<usize>) = (0..self.parts.len()).partition(is_stream);
        for number in others.into_iter().chain(streams) {
            let transaction = &self.parts[number].transaction;
            self.work.observer.check()?;
            if !transaction.stage.blobs().is_empty() {
                self.work.observer.step(&format!("write {}", transaction.target));
            }
            match transaction.kind {
                TargetKind::Directory => self.parts[number].settle(self.work)?,
                TargetKind::NewLayout => self.prepare_layout(number)?,
                TargetKind::Archive(_) | TargetKind::DockerArchive(..) => self.prepare_archive(number)?,
            }
        }
        Ok(())
    }

    fn prepare_layout(&mut self, number: usize) -> Result<()> {
        let part = &mut self.parts[number];
        let (index, _) = part.change(None, &Index::default(), Index::default(), &mut self.change)?;
        let Transaction { target, stage, .. } = &part.transaction;
        let marker = stage.write(MARKER, Document::seal(LayoutMarker::default()).raw())?;
        let index = part.transaction.write_index(index)?;
        stage.sync_all(&[marker, index], self.work.durability)?;
        part.renames = vec![(stage.directory()?.to_path_buf(), target.path.clone())];
        Ok(())
    }

    fn prepare_archive(&mut self, number: usize) -> Result<()> {
        let part = &mut self.parts[number];
        let held = match part.transaction.existing {
            FormerContent::Superseded => None,
            FormerContent::Edited => Some(Held::wait_for(&part.transaction.target, FormerContent::Edited, self.work)?),
        };
        let layout = held.as_ref().and_then(|held| held.layout.as_ref());
        let before = held.as_ref().map(|held| held.index.clone()).unwrap_or_default();
        let (index, freed) = part.change(layout, &before, before.clone(), &mut self.change)?;
        let is_change = layout.is_none() || index != before || !freed.is_empty();
        let transaction = &mut part.transaction;
        if is_change || transaction.checksum.is_some() {
            part.renames = transaction.pack(layout, index, &freed, self.work)?;
            part.renames.iter().try_for_each(|(from, to)| sync(from, to, self.work.durability))?;
        }
        part.held = held;
        part.is_shown = part.transaction.target.is_stream();
        Ok(())
    }

    /// Locks existing layouts and makes their indexes. A layout given in several spellings is locked once. All runs
    /// lock in the same order, so that they cannot deadlock.
    fn hold_layouts(&mut self) -> Result<()> {
        let mut layouts = BTreeMap::<_, Vec<usize>>::new();
        for (number, part) in self.parts.iter().enumerate() {
            if part.transaction.kind == TargetKind::Directory {
                let path = &part.transaction.target.path;
                let found = path.metadata().at("open", path)?;
                layouts.entry((found.dev(), found.ino())).or_default().push(number);
            }
        }
        layouts.values().try_for_each(|numbers| self.hold(numbers))
    }

    /// Locks a layout, the target of these parts, and does everything except the last rename.
    fn hold(&mut self, numbers: &[usize]) -> Result<()> {
        let [first, ..] = *numbers else { return Ok(()) };
        let Transaction { target, existing, .. } = &self.parts[first].transaction;
        let held = Held::wait_for(target, *existing, self.work)?;
        let mut index = held.index.clone();
        for number in numbers {
            let part = &mut self.parts[*number];
            let (changed, freed) = part.change(held.layout.as_ref(), &held.index, index, &mut self.change)?;
            index = changed;
            part.freed = freed;
        }
        let is_new = held.layout.is_none() || index != held.index;
        for number in numbers {
            self.parts[*number].is_new = is_new;
        }
        let transaction = &self.parts[first].transaction;
        let path = &transaction.target.path;
        let mut renames = Vec::new();
        if held.layout.is_none() {
            let marker = transaction.stage.write(MARKER, Document::seal(LayoutMarker::default()).raw())?;
            renames.push((marker, path.join(MARKER)));
        }
        if is_new {
            renames.push((transaction.write_index(index)?, path.join(INDEX)));
        }
        renames.iter().try_for_each(|(from, _)| sync(from, path, self.work.durability))?;
        for number in numbers {
            let part = &mut self.parts[*number];
            part.settle(self.work)?;
            part.transaction.stage.place_blobs(&part.settled, self.work.durability)?;
        }
        self.parts[first].renames = renames;
        self.parts[first].held = Some(held);
        Ok(())
    }

    fn show_all(&mut self) -> Result<()> {
        let _showing = staging::show()?;
        (0..self.parts.len()).try_for_each(|number| self.show(number))?;
        self.parts.iter().try_for_each(Part::free)
    }

    /// Publishes a target.
    fn show(&mut self, number: usize) -> Result<()> {
        let renames = std::mem::take(&mut self.parts[number].renames);
        for (from, to) in renames {
            match fs::rename(from, &to) {
                Err(error) if self.parts[number].transaction.kind == TargetKind::NewLayout && to.is_dir() => {
                    self.join(number, error)?;
                }
                done => done.at("write", &to)?,
            }
            if self.parts[number].transaction.kind == TargetKind::NewLayout {
                // The staging directory has become the layout, and its lock that of the layout.
                self.parts[number].transaction.stage.leave();
            }
            // The renames may also include a checksum or a marker.
            let is_it = to == self.parts[number].transaction.target.path || to.ends_with(INDEX);
            self.parts[number].is_shown |= is_it;
            sync_name(&to, self.work.durability)?;
        }
        self.parts[number].is_shown = true;
        Ok(())
    }

    /// Merges into a layout that another run has made since the transaction was opened.
    fn join(&mut self, number: usize, error: io::Error) -> Result<()> {
        let Transaction { target, .. } = &self.parts[number].transaction;
        if self.parts.iter().any(|part| part.held.is_some()) {
            // Waiting for a lock while holding others could deadlock.
            return Err(error).at("write", &target.path);
        }
        check_directory(target, self.work.limits)?;
        self.hold(&[number])?;
        for (from, to) in std::mem::take(&mut self.parts[number].renames) {
            fs::rename(from, &to).at("write", &to)?;
            sync_name(&to, self.work.durability)?;
        }
        self.parts[number].held = None;
        Ok(())
    }

    /// Adds to an error during publication which targets are new and which are not.
    fn partly(&self, error: Error) -> Error {
        let names = |shown: bool| -> String {
            let meant = self.parts.iter().filter(|part| part.shows_news() == shown);
            let names: Vec<String> = meant.map(|part| format!("`{}`", part.transaction.target)).collect();
            names.join(", ")
        };
        if !self.parts.iter().any(Part::shows_news) || matches!(error, Error::Interrupted) {
            return error;
        }
        let is_all = self.parts.iter().all(Part::shows_news);
        let rest = if is_all { String::new() } else { format!(", as it was: {}", names(false)) };
        error.reworded(|message| format!("{message} (new: {}{rest})", names(true)))
    }
}

impl<R> Part<R> {
    fn new(transaction: Transaction) -> Self {
        Part {
            transaction,
            result: None,
            told: Told::default(),
            settled: Settled::default(),
            held: None,
            renames: Vec::new(),
            freed: BTreeSet::new(),
            is_new: true,
            is_shown: false,
        }
    }

    /// Whether readers of the target find something else than before.
    fn shows_news(&self) -> bool {
        self.is_shown && self.is_new
    }

    fn settle(&mut self, work: &Work<'_>) -> Result<()> {
        self.transaction.stage.settle(&mut self.settled, work)
    }

    /// Lets `change` make the index from the current state. Returns it and the blobs to remove.
    fn change(
        &mut self,
        layout: Option<&Layout>,
        before: &Index,
        index: Index,
        change: &mut impl FnMut(&mut Draft<'_>) -> Result<R>,
    ) -> Result<(Index, BTreeSet<Digest>)> {
        let Transaction { target, stage, .. } = &mut self.transaction;
        let mut draft = Draft::new(target, layout, before, index, stage);
        self.result = Some(change(&mut draft)?);
        let Drafted { index, freed, warnings, orphans } = draft.finish();
        self.told = Told { warnings, orphans };
        Ok((index, freed))
    }

    /// Removes blobs that the index no longer leads to.
    fn free(&self) -> Result<()> {
        let layout = &self.transaction.target.path;
        for digest in &self.freed {
            match fs::remove_file(layout.join(blob_path(digest))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.at("remove a blob of", layout)?,
            }
        }
        Ok(())
    }
}

impl Transaction {
    /// Publishes what is staged, with the index that `change` makes. Returns the result of `change`. The target is
    /// intact at all times, whatever happens. If nothing changes, nothing is written.
    ///
    /// If another run creates the layout at the last moment, `change` is called again for that one.
    pub(crate) fn commit<R>(self, work: &Work<'_>, change: impl FnMut(&mut Draft<'_>) -> Result<R>) -> Result<R> {
        let (mut made, _) = commit_all(vec![self], work, change)?;
        Ok(made.pop().expect("one change has one result"))
    }

    /// Runs `change` as [`commit`](Self::commit) does, and discards the outcome.
    pub(crate) fn rehearse<R>(
        mut self,
        work: &Work<'_>,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R>,
    ) -> Result<R> {
        let Held { layout, index, _lock } = Held::wait_for(&self.target, self.existing, work)?;
        change(&mut Draft::new(&self.target, layout.as_ref(), &index, index.clone(), &mut self.stage))
    }

    /// Writes the index beside the old one. Refuses one that is too large to be read again.
    pub(super) fn write_index(&self, index: Index) -> Result<PathBuf> {
        let document = Document::seal(index);
        let size = document.raw().len() as u64;
        let limit = self.stage.limits().index;
        if size > limit {
            return Err(too_large(&self.target, "an index", size, limit));
        }
        self.stage.write(INDEX, document.raw())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::error::ErrorKind;
    use crate::layout::{Checksum, DockerForm, Location};
    use crate::testing::TempDir;

    #[test]
    fn an_error_after_the_first_of_two_targets_keeps_its_kind_and_its_hint() {
        let home = TempDir::new("full-disk");
        let open = |name: &str| {
            let target = Location::parse_target(home.path().join(name).as_os_str()).unwrap();
            let limits = crate::limits::Limits::default();
            Part::new(Transaction::create(&target, DockerForm::default(), Checksum::None, limits).unwrap())
        };
        let (one, two) = (Part { is_shown: true, ..open("one") }, open("two"));
        let change = |_: &mut Draft<'_>| Ok(());
        let commit = Commit { parts: vec![one, two], change, work: &Work::default() };
        let full = || -> Error {
            let written: io::Result<()> = Err(io::Error::from_raw_os_error(28));
            written.at("write", Path::new("two")).unwrap_err()
        };
        let error: Error = commit.partly(full());
        let here = home.path().display();
        let expected = format!("{} (new: `oci:{here}/one`, as it was: `oci:{here}/two`)", full());
        assert_eq!(error.to_string(), expected);
        assert_eq!((error.kind(), error.hint()), (ErrorKind::Io, full().hint()));
        assert!(error.hint().is_some());
    }
}
