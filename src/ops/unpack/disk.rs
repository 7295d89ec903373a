//! The tree under construction on disk.
//!
//! The tree is in a directory that only this process can enter, and everything in it was made here: a map records what
//! is at which path. Before anything is made, each of its parents is looked up in that map and is a real directory,
//! made if need be; and all that is made is made anew, by calls that fail rather than follow or open what is there. So
//! no name that an archive holds is ever resolved through a symbolic link, whatever its text. Names are looked up in
//! the directories that hold them, one by one, so that no path is too long. Should the filesystem take two names for
//! one, the second of them is an error.
//!
//! Every call goes through libc's symbols, which pseudo and fakeroot intercept.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, CWD};
use rustix::io::{retry_on_intr, Errno};

use crate::error::{Error, IoContext, Result};
use crate::layer::BelowLower;
use crate::ops::unpack::content::Copier;
use crate::ops::unpack::dress::{self, dress, LeftOut};
use crate::ops::unpack::inode::{Inode, InodeName, NamedKind};
use crate::ops::unpack::xattr;
use crate::ops::unpack::Rights;
use crate::tree::{Device, Directories, Entry, Kind, Metadata, PathMap, TarPath, Whiteout};
use crate::work::Observer;

/// A tree on disk under construction.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Where the root will be, for messages.
    shown: PathBuf,
    directories: Directories,
    rights: Rights,
    pub(super) nodes: PathMap<DiskNode>,
    /// The number of the layer that is being applied; the first is 1.
    layer: u32,
    /// Entries of this layer that are below a file or link of a lower one.
    below_lower: Vec<BelowLower>,
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

/// Only this process gets in until all is there.
const OWNER_ONLY: Mode = Mode::RWXU;

/// A name that no entry can have, for a hard link that is renamed later.
const SPARE: &str = ".wh.";

impl Disk {
    /// Makes the root. `shown` is where it will be in the end.
    pub(super) fn create(root: PathBuf, shown: PathBuf, rights: Rights) -> Result<Self> {
        match DirBuilder::new().mode(0o700).create(&root) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => created.at("create the directory", &shown)?,
        }
        xattr::disinherit(&root, &shown)?;
        let on_disk = OnDisk::Directory(Box::new(Metadata::of_missing_directory(0)));
        let nodes = PathMap::from_iter([(TarPath::root(), DiskNode { layer: 0, on_disk, left_out: Box::default() })]);
        let copier = Copier::default();
        let directories = Directories::below_shown_as(&root, &shown)?;
        Ok(Disk { root, shown, directories, rights, nodes, layer: 0, below_lower: Vec::new(), copier })
    }

    /// Begins the next layer.
    pub(super) fn begin_layer(&mut self) {
        self.layer += 1;
    }

    /// Ends the layer. Returns the entries below something in a lower layer that is not a directory.
    pub(super) fn end_layer(&mut self) -> Vec<BelowLower> {
        std::mem::take(&mut self.below_lower)
    }

    /// Notes if a path of this layer is below something of a lower layer that is no directory.
    pub(super) fn look_above(&mut self, path: &TarPath) {
        let mut parents = std::iter::successors(path.parent(), TarPath::parent);
        let Some((node, above)) = parents.find_map(|parent| Some((self.nodes.get(&parent)?, parent))) else { return };
        if !node.on_disk.is_directory() && node.layer < self.layer {
            let is_link = matches!(node.on_disk, OnDisk::Symlink);
            BelowLower::note(&mut self.below_lower, path, &above, is_link);
        }
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
            let made = rustix::fs::mkdirat(self.directories.holding(&path)?, path.file_name(), OWNER_ONLY);
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
        let holding = self.directories.holding(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::openat(holding, path.file_name(), flags, Mode::RUSR | Mode::WUSR));
        let file = File::from(self.at("create", path, file)?);
        let copied = self.copier.copy(content, source, &file)?;
        self.at("write", path, copied)?;
        let left_out = dress(Inode::File(&file), metadata, self.rights, || path.below(&self.shown))?;
        Ok((OnDisk::File, left_out))
    }

    fn make_symlink(&mut self, path: &TarPath, metadata: &Metadata, target: &[u8]) -> Result<(OnDisk, Vec<LeftOut>)> {
        self.remove(path)?;
        let made = rustix::fs::symlinkat(target, self.directories.holding(path)?, path.file_name());
        self.at("create the link", path, made)?;
        Ok((OnDisk::Symlink, self.dress(NamedKind::Symlink, path, metadata)?))
    }

    fn make_special(&mut self, path: &TarPath, metadata: &Metadata, kind: Kind) -> Result<(OnDisk, Vec<LeftOut>)> {
        self.remove(path)?;
        let (action, file_type, device) = match kind {
            Kind::CharDevice(device) => ("create the device", FileType::CharacterDevice, device),
            Kind::BlockDevice(device) => ("create the device", FileType::BlockDevice, device),
            _ => ("create the pipe", FileType::Fifo, Device::default()),
        };
        let number = rustix::fs::makedev(device.major, device.minor);
        let (holding, mode) = (self.directories.holding(path)?, Mode::RUSR | Mode::WUSR);
        match rustix::fs::mknodat(holding, path.file_name(), file_type, mode, number) {
            Ok(()) => Ok((OnDisk::Special, self.dress(NamedKind::Special, path, metadata)?)),
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
        if *target == path {
            self.nodes.insert(path, DiskNode { layer: self.layer, ..node });
            return Ok(());
        }
        let is_made = !matches!(node.on_disk, OnDisk::Nothing);
        if !is_made {
            self.remove(&path)?;
        } else if target.starts_with(&path) {
            // The directory that makes room holds the file that is wanted.
            let root = self.hold_open(&TarPath::root())?;
            let from = self.directories.holding(target)?;
            let held = rustix::fs::linkat(from, target.file_name(), &root, SPARE, AtFlags::empty());
            self.at("link", &path, held)?;
            self.remove(&path)?;
            let made = rustix::fs::renameat(&root, SPARE, self.directories.holding(&path)?, path.file_name());
            self.at("link", &path, made)?;
        } else {
            self.remove(&path)?;
            let from = self.hold_open(&target.parent().unwrap_or_else(TarPath::root))?;
            let to = self.directories.holding(&path)?;
            let made = rustix::fs::linkat(&from, target.file_name(), to, path.file_name(), AtFlags::empty());
            self.at("link", &path, made)?;
        }
        self.nodes.insert(path, DiskNode { layer: self.layer, ..node });
        Ok(())
    }

    /// A directory of its own, while another is looked up.
    fn hold_open(&mut self, directory: &TarPath) -> Result<OwnedFd> {
        let held = self.directories.at(directory)?.try_clone_to_owned();
        self.at("open", directory, held)
    }

    /// Takes away what a whiteout hides: of lower layers, and nothing of this one.
    pub(super) fn hide(&mut self, whiteout: &Whiteout) -> Result<()> {
        let (top, spared) = match whiteout {
            Whiteout::Remove(path) => (path, None),
            Whiteout::Opaque(directory) => (directory, Some(directory)),
            Whiteout::None | Whiteout::Aufs => return Ok(()),
        };
        let is_hidden = |path: &TarPath| path.starts_with(top) && Some(path) != spared;
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
        let kept: Vec<TarPath> = self.nodes.iter().map(|(path, _)| path).filter(is_kept).cloned().collect();
        kept.iter().rev().try_for_each(|path| self.take_off(path))
    }

    /// Makes the missing directories above a path. What is in their place is removed.
    fn make_parents(&mut self, path: &TarPath) -> Result<()> {
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
        let flags = match node.on_disk {
            OnDisk::Directory(_) => AtFlags::REMOVEDIR,
            OnDisk::File | OnDisk::Symlink | OnDisk::Special => AtFlags::empty(),
            OnDisk::Nothing => return Ok(()),
        };
        self.directories.close(path);
        let removed = rustix::fs::unlinkat(self.directories.holding(path)?, path.file_name(), flags);
        self.at("remove", path, removed)
    }

    /// Returns a path and everything below it, in order, as far as they are there.
    fn subtree(&self, path: &TarPath) -> Vec<TarPath> {
        let from = self.nodes.from(path.clone()).map(|(path, _)| path);
        from.take_while(|below| below.starts_with(path)).cloned().collect()
    }

    /// Gives all directories their owners, attributes, modes and times, the innermost first.
    pub(super) fn close_directories(&mut self, observer: &dyn Observer) -> Result<()> {
        let directories = self.nodes.iter().filter(|(_, node)| node.on_disk.is_directory());
        let directories: Vec<TarPath> = directories.map(|(path, _)| path.clone()).collect();
        for path in directories.iter().rev() {
            observer.check()?;
            let node = self.nodes.get_mut(path);
            let Some(DiskNode { on_disk: OnDisk::Directory(metadata), left_out, .. }) = node else { continue };
            let reached = self.directories.reach(path)?;
            let (holding, name) = if path.is_root() {
                (CWD, self.root.as_os_str().as_bytes())
            } else {
                (self.directories.holding(path)?, path.file_name())
            };
            let place = Inode::Named(NamedKind::Directory, InodeName { holding, name, reached: &reached });
            *left_out = dress(place, metadata, self.rights, || path.below(&self.shown))?.into();
        }
        Ok(())
    }

    /// Makes all directories such that this user can remove what is in them. Errors do not matter: it is for cleaning
    /// up after one.
    pub(super) fn open_directories(&mut self) {
        for (path, _) in self.nodes.iter().filter(|(_, node)| node.on_disk.is_directory()) {
            if let Ok(reached) = self.directories.reach(path) {
                let _ = fs::set_permissions(reached, Permissions::from_mode(0o700));
            }
        }
    }

    /// How many entries there are on disk.
    pub(super) fn entries(&self) -> usize {
        self.nodes.iter().filter(|(_, node)| !matches!(node.on_disk, OnDisk::Nothing)).count()
    }

    /// How many bytes of content were written.
    pub(super) fn written(&self) -> u64 {
        self.copier.written()
    }

    /// What is missing on disk, by path.
    pub(super) fn left_out(&self) -> impl Iterator<Item = (&TarPath, &LeftOut)> {
        self.nodes.iter().flat_map(|(path, node)| node.left_out.iter().map(move |left_out| (path, left_out)))
    }

    /// Opens a file that is on disk.
    pub(super) fn open_file(&mut self, path: &TarPath) -> Result<File> {
        let (holding, flags) = (self.directories.holding(path)?, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC);
        let file = retry_on_intr(|| rustix::fs::openat(holding, path.file_name(), flags, Mode::empty()));
        self.at("open", path, file).map(File::from)
    }

    /// The text of a symbolic link that is on disk.
    pub(super) fn read_link(&mut self, path: &TarPath) -> Result<Vec<u8>> {
        let target = rustix::fs::readlinkat(self.directories.holding(path)?, path.file_name(), Vec::new());
        self.at("read the link", path, target).map(CString::into_bytes)
    }

    /// Gives what has a name its metadata.
    fn dress(&mut self, kind: NamedKind, path: &TarPath, metadata: &Metadata) -> Result<Vec<LeftOut>> {
        let reached = self.directories.reach(path)?;
        let named = InodeName { holding: self.directories.holding(path)?, name: path.file_name(), reached: &reached };
        dress(Inode::Named(kind, named), metadata, self.rights, || path.below(&self.shown))
    }

    /// Names the act, and the path as the person knows it.
    pub(super) fn at<T>(
        &self,
        action: &'static str,
        path: &TarPath,
        result: Result<T, impl Into<io::Error>>,
    ) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            error => error.map_err(Into::into).at(action, &path.below(&self.shown)),
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
