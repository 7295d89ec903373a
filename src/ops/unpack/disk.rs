//! The tree under construction on disk.
//!
//! The tree is in a directory that only this process can enter, and everything in it was made here: a map knows what is
//! at which path. Before anything is made, each of its parents is looked up in that map and is a real directory, made
//! if necessary. Everything is made by calls that fail rather than follow or open what is there. So no name in an
//! archive is ever resolved through a symbolic link, whatever its text, and plain paths are safe. If the filesystem
//! takes two names for one, the second of them is an error.
//!
//! Every call goes through libc's symbols, which pseudo and fakeroot intercept.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, CWD};
use rustix::io::Errno;

use crate::error::{Error, IoContext, Result};
use crate::ops::unpack::content::Copier;
use crate::ops::unpack::dress::{self, dress, LeftOut};
use crate::ops::unpack::inode::Inode;
use crate::ops::unpack::xattr;
use crate::ops::unpack::Rights;
use crate::tree::{Device, Entry, Kind, Metadata, TarPath, Whiteout};
use crate::work::Observer;

/// A tree on disk under construction.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Where the root will be, for messages.
    shown: PathBuf,
    rights: Rights,
    pub(super) nodes: BTreeMap<TarPath, DiskNode>,
    /// The number of the layer that is being applied; the first is 1.
    layer: u32,
    /// Hard links of this layer to files of lower ones, by the file's path: a whiteout that comes later must not hide
    /// that file.
    links_down: BTreeMap<TarPath, TarPath>,
    copier: Copier,
}

/// What is at a path.
#[derive(Clone, Debug)]
pub(super) struct DiskNode {
    /// The layer that put it there.
    layer: u32,
    pub(super) on_disk: OnDisk,
    left_out: Box<[LeftOut]>,
}

#[derive(Clone, Debug)]
pub(super) enum OnDisk {
    /// A directory that only its owner can enter until the end, and the metadata that it gets then.
    Directory(Box<Metadata>),
    File,
    Symlink,
    /// A device or a pipe.
    Special,
    /// A device or a pipe that could not be made.
    Nothing,
}

/// The longest path that the system takes, without the final NUL.
const PATH_MAX: usize = 4095;

/// A name that no entry can have, for a hard link that is renamed later.
const SPARE: &str = ".wh.";

impl Disk {
    /// Makes the root. `shown` is where it will be in the end.
    pub(super) fn create(root: PathBuf, shown: PathBuf, rights: Rights) -> Result<Self> {
        match DirBuilder::new().mode(0o700).create(&root) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => created.at("create the directory", &shown)?,
        }
        xattr::disinherit(&root)?;
        let on_disk = OnDisk::Directory(Box::new(Metadata::of_missing_directory(0)));
        let nodes = BTreeMap::from([(TarPath::root(), DiskNode { layer: 0, on_disk, left_out: Box::default() })]);
        let copier = Copier::default();
        Ok(Disk { root, shown, rights, nodes, layer: 0, links_down: BTreeMap::new(), copier })
    }

    /// Begins the next layer.
    pub(super) fn begin_layer(&mut self) {
        self.layer += 1;
        self.links_down.clear();
    }

    /// Makes an entry. What is at its path is removed, unless both are directories. `content` yields the bytes of a
    /// regular file, and `source` names it in errors.
    pub(super) fn put(&mut self, entry: Entry, content: &mut dyn Read, source: &str) -> Result<()> {
        let Entry { path, metadata, kind } = entry;
        self.make_parents(&path)?;
        let (on_disk, left_out) = match kind {
            Kind::Hardlink { target } => return self.put_link(path, &target),
            Kind::Directory => return self.put_directory(path, metadata),
            Kind::File { .. } => self.make_file(&path, &metadata, content, source)?,
            Kind::Symlink { target } => self.make_symlink(&path, &metadata, &target)?,
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => self.make_special(&path, &metadata, kind)?,
        };
        self.nodes.insert(path, DiskNode { layer: self.layer, on_disk, left_out: left_out.into() });
        Ok(())
    }

    fn put_directory(&mut self, path: TarPath, metadata: Metadata) -> Result<()> {
        let is_there = self.nodes.get(&path).is_some_and(|node| node.on_disk.is_directory());
        if !is_there {
            self.remove(&path)?;
            let made = DirBuilder::new().mode(0o700).create(path.below(&self.root));
            self.at("create the directory", &path, made)?;
        }
        let on_disk = OnDisk::Directory(Box::new(metadata));
        self.nodes.insert(path, DiskNode { layer: self.layer, on_disk, left_out: Box::default() });
        Ok(())
    }

    fn make_file(
        &mut self,
        path: &TarPath,
        metadata: &Metadata,
        content: &mut dyn Read,
        source: &str,
    ) -> Result<(OnDisk, Vec<LeftOut>)> {
        self.remove(path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.below(&self.root));
        let file = self.at("create", path, file)?;
        let copied = self.copier.copy(content, source, &file)?;
        self.at("write", path, copied)?;
        Ok((OnDisk::File, self.dress(Inode::File(&file), metadata, path)?))
    }

    fn make_symlink(&mut self, path: &TarPath, metadata: &Metadata, target: &[u8]) -> Result<(OnDisk, Vec<LeftOut>)> {
        self.remove(path)?;
        let disk_path = path.below(&self.root);
        self.at("create the link", path, symlink(OsStr::from_bytes(target), &disk_path))?;
        Ok((OnDisk::Symlink, self.dress(Inode::Symlink(&disk_path), metadata, path)?))
    }

    fn make_special(&mut self, path: &TarPath, metadata: &Metadata, kind: Kind) -> Result<(OnDisk, Vec<LeftOut>)> {
        self.remove(path)?;
        let (action, file_type, device) = match kind {
            Kind::CharDevice(device) => ("create the device", FileType::CharacterDevice, device),
            Kind::BlockDevice(device) => ("create the device", FileType::BlockDevice, device),
            _ => ("create the pipe", FileType::Fifo, Device::default()),
        };
        let disk_path = path.below(&self.root);
        let number = rustix::fs::makedev(device.major, device.minor);
        match rustix::fs::mknodat(CWD, &disk_path, file_type, Mode::from_raw_mode(0o600), number) {
            Ok(()) => Ok((OnDisk::Special, self.dress(Inode::Special(&disk_path), metadata, path)?)),
            Err(Errno::PERM) if self.rights == Rights::Rootless => Ok((OnDisk::Nothing, vec![LeftOut::Special(kind)])),
            Err(error) => Err(dress::failure(action, &path.below(&self.shown), error.into())),
        }
    }

    /// Gives a file of this layer or of a lower one another name. If that is a symbolic link, the link itself.
    fn put_link(&mut self, path: TarPath, target: &TarPath) -> Result<()> {
        let node = match self.nodes.get(target) {
            Some(node) if !node.on_disk.is_directory() => node.clone(),
            Some(_) => return Err(no_target(&path, target, "a directory")),
            None => return Err(no_target(&path, target, "nothing")),
        };
        if node.layer < self.layer {
            self.links_down.insert(target.clone(), path.clone());
        }
        if *target == path {
            return Ok(());
        }
        let is_made = !matches!(node.on_disk, OnDisk::Nothing);
        let (from, to) = (target.below(&self.root), path.below(&self.root));
        // The directory at `path` may hold the target, and is removed.
        let in_the_way = target.starts_with(&path);
        let spare = self.root.join(SPARE);
        if in_the_way && is_made {
            self.at("link", &path, fs::hard_link(&from, &spare))?;
        }
        self.remove(&path)?;
        if is_made {
            let made = if in_the_way { fs::rename(&spare, &to) } else { fs::hard_link(&from, &to) };
            self.at("link", &path, made)?;
        }
        self.nodes.insert(path, DiskNode { layer: self.layer, ..node });
        Ok(())
    }

    /// Removes what a whiteout hides: entries of lower layers, but not of this one.
    pub(super) fn hide(&mut self, whiteout: &Whiteout) -> Result<()> {
        let (top, spared) = match whiteout {
            Whiteout::Remove(path) => (path, None),
            Whiteout::Opaque(directory) => (directory, Some(directory)),
            Whiteout::None | Whiteout::Aufs => return Ok(()),
        };
        let is_hidden = |path: &TarPath| path.starts_with(top) && Some(path) != spared;
        let links = self.links_down.range(top.clone()..).take_while(|(target, _)| target.starts_with(top));
        if let Some((target, link)) = links.into_iter().find(|(target, _)| is_hidden(target)) {
            return Err(no_target(link, target, "nothing"));
        }
        // The last path found that stays.
        let mut stays: Option<TarPath> = None;
        for path in self.subtree(top).into_iter().rev().filter(is_hidden) {
            let Some(node) = self.nodes.get_mut(&path) else { continue };
            let holds_what_stays = stays.as_ref().is_some_and(|stays| stays.starts_with(&path));
            if node.layer < self.layer && !holds_what_stays {
                self.take_off(&path)?;
                continue;
            }
            if let (OnDisk::Directory(metadata), true) = (&mut node.on_disk, node.layer < self.layer) {
                // The lower layers' directory is gone, but what this layer has in it still needs one.
                **metadata = Metadata::of_missing_directory(0);
                node.layer = self.layer;
            }
            stays = Some(path);
        }
        Ok(())
    }

    /// Removes what AUFS kept for itself in this layer. Names that are linked to it keep the content.
    pub(super) fn take_off_what_aufs_kept(&mut self) -> Result<()> {
        let is_kept = |path: &&TarPath| matches!(Whiteout::of(path), Ok(Whiteout::Aufs));
        let kept: Vec<TarPath> = self.nodes.keys().filter(is_kept).cloned().collect();
        kept.iter().rev().try_for_each(|path| self.take_off(path))
    }

    /// Makes the missing directories above a path. What is in their place is removed.
    fn make_parents(&mut self, path: &TarPath) -> Result<()> {
        let length = path.as_bytes().len();
        if length > PATH_MAX {
            let start = path.as_bytes()[..64].escape_ascii();
            return Err(Error::malformed(
                format!("entry `/{start}…`"),
                format!("a path of {PATH_MAX} bytes at most expected, found {length}"),
            ));
        }
        let is_directory = |path: &TarPath| self.nodes.get(path).is_some_and(|node| node.on_disk.is_directory());
        let missing: Vec<TarPath> =
            std::iter::successors(path.parent(), TarPath::parent).take_while(|parent| !is_directory(parent)).collect();
        let mut missing = missing.into_iter().rev();
        missing.try_for_each(|directory| self.put_directory(directory, Metadata::of_missing_directory(0)))
    }

    /// Removes what is at a path and everything below it, whichever layer it is from.
    fn remove(&mut self, path: &TarPath) -> Result<()> {
        match self.nodes.get(path).map(|node| node.on_disk.is_directory()) {
            None => Ok(()),
            Some(false) => self.take_off(path),
            Some(true) => self.subtree(path).iter().rev().try_for_each(|path| self.take_off(path)),
        }
    }

    /// Removes one entry. A directory must be empty.
    fn take_off(&mut self, path: &TarPath) -> Result<()> {
        let Some(node) = self.nodes.remove(path) else { return Ok(()) };
        let disk_path = path.below(&self.root);
        let removed = match node.on_disk {
            OnDisk::Directory(_) => fs::remove_dir(disk_path),
            OnDisk::File | OnDisk::Symlink | OnDisk::Special => fs::remove_file(disk_path),
            OnDisk::Nothing => Ok(()),
        };
        self.at("remove", path, removed)
    }

    /// Returns a path and everything below it, in order, as far as they are there.
    fn subtree(&self, path: &TarPath) -> Vec<TarPath> {
        let from = self.nodes.range(path.clone()..).map(|(path, _)| path);
        from.take_while(|below| below.starts_with(path)).cloned().collect()
    }

    /// Gives all directories their owners, attributes, modes and times, the innermost first.
    pub(super) fn close_directories(&mut self, observer: &dyn Observer) -> Result<()> {
        for (path, node) in self.nodes.iter_mut().rev() {
            if let OnDisk::Directory(metadata) = &node.on_disk {
                observer.check()?;
                let place = Inode::Directory(&path.below(&self.root));
                node.left_out = dress(place, metadata, self.rights, || path.below(&self.shown))?.into();
            }
        }
        Ok(())
    }

    /// Lets this user remove what is in the directories. Errors do not matter, since this cleans up after one.
    pub(super) fn open_directories(&self) {
        for (path, _) in self.nodes.iter().filter(|(_, node)| node.on_disk.is_directory()) {
            let _ = fs::set_permissions(path.below(&self.root), fs::Permissions::from_mode(0o700));
        }
    }

    /// How many entries there are on disk.
    pub(super) fn entries(&self) -> usize {
        self.nodes.values().filter(|node| !matches!(node.on_disk, OnDisk::Nothing)).count()
    }

    /// How many bytes of content were written.
    pub(super) fn written(&self) -> u64 {
        self.copier.written()
    }

    /// What is missing on disk, by path.
    pub(super) fn left_out(&self) -> impl Iterator<Item = (&TarPath, &LeftOut)> {
        self.nodes.iter().flat_map(|(path, node)| node.left_out.iter().map(move |left_out| (path, left_out)))
    }

    /// Where an entry is on disk.
    pub(super) fn disk_path(&self, path: &TarPath) -> PathBuf {
        path.below(&self.root)
    }

    fn dress(&self, place: Inode<'_>, metadata: &Metadata, path: &TarPath) -> Result<Vec<LeftOut>> {
        dress(place, metadata, self.rights, || path.below(&self.shown))
    }

    /// Adds the action to an error, and the path as the user knows it.
    pub(super) fn at<T>(&self, action: &'static str, path: &TarPath, result: io::Result<T>) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            error => error.at(action, &path.below(&self.shown)),
        }
    }
}

impl OnDisk {
    fn is_directory(&self) -> bool {
        matches!(self, OnDisk::Directory(_))
    }
}

fn no_target(link: &TarPath, target: &TarPath, found: &str) -> Error {
    Error::malformed(format!("hard link `{link}`"), format!("a file at `{target}` expected, found {found}"))
}
