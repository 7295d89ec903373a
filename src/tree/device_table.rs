//! Device tables in the format of OpenEmbedded's makedevs: owners, modes and devices for builds without root.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::tree::ids::Ids;
use crate::tree::{Content, Device, Entry, Kind, Metadata, Mtime, TarPath, Tree};

/// Lines of `path type mode user group [major minor [start increment count]]`.
///
/// `d` directories, `c` and `b` devices and `p` fifos are made if missing, with the directories that lead to them; `f`
/// files must exist. A count above zero makes a row of devices: `NAME<start>` and so on, with minors that grow by the
/// increment. Users and groups are numbers, or names from the image's own `etc/passwd` and `etc/group`. Columns at the
/// end may be missing or `-`, except the numbers of a device.
#[derive(Clone, Debug, Default)]
pub struct DeviceTable {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    /// `FILE:LINE`, for errors.
    place: String,
    path: TarPath,
    kind: RowKind,
    mode: u16,
    user: String,
    group: String,
}

#[derive(Clone, Copy, Debug)]
enum RowKind {
    Directory,
    File,
    Fifo,
    Device { block: bool, first: Device, series: Series },
}

#[derive(Clone, Copy, Debug)]
struct Series {
    start: u32,
    increment: u32,
    count: u32,
}

impl DeviceTable {
    /// Parses a table; `name` names it in errors.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut rows = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                rows.push(Row::parse(line, format!("{name}:{}", number + 1))?);
            }
        }
        Ok(DeviceTable { rows })
    }

    /// Returns whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends the rows of another table.
    pub fn extend(&mut self, other: DeviceTable) {
        self.rows.extend(other.rows);
    }

    /// Changes a tree as the table says. New entries get the root directory's time, so that the image has nothing that
    /// is not in the rootfs or the table.
    pub fn apply(&self, tree: &mut Tree, content: &dyn Content) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let users = Ids::read(tree, content, b"etc/passwd")?;
        let groups = Ids::read(tree, content, b"etc/group")?;
        let mut extended = Extended { tree, added: Tree::new(), places: BTreeMap::new() };
        for row in &self.rows {
            let uid = users.find(&row.user).ok_or_else(|| row.error(&format!("user `{}` is unknown", row.user)))?;
            let gid = groups.find(&row.group).ok_or_else(|| row.error(&format!("group `{}` is unknown", row.group)))?;
            let mtime = extended.get(&TarPath::root()).map_or(Mtime::default(), |root| root.metadata.mtime);
            let metadata = Metadata { mode: row.mode, uid, gid, mtime, ..Metadata::default() };
            match row.kind {
                RowKind::Directory => put(&mut extended, row, &row.path, Kind::Directory, &metadata)?,
                RowKind::Fifo => put(&mut extended, row, &row.path, Kind::Fifo, &metadata)?,
                RowKind::File => set_file(&mut extended, row, &metadata)?,
                RowKind::Device { block, first, series } => {
                    let device_kind = if block { Kind::BlockDevice } else { Kind::CharDevice };
                    if series.count == 0 {
                        put(&mut extended, row, &row.path, device_kind(first), &metadata)?;
                    }
                    for i in 0..series.count {
                        let name = [row.path.as_bytes(), (series.start + i).to_string().as_bytes()].concat();
                        let device = Device { minor: first.minor + i * series.increment, ..first };
                        put(&mut extended, row, &TarPath::parse(&name)?, device_kind(device), &metadata)?;
                    }
                }
            }
        }
        let Extended { tree, added, .. } = extended;
        tree.extend(added.into_entries());
        super::owner::align_hardlinks(tree);
        Ok(())
    }
}

/// A tree with what a table adds to it, which joins it at once when all is known.
struct Extended<'a> {
    tree: &'a mut Tree,
    added: Tree,
    /// Which rows added it, as `FILE:LINE`.
    places: BTreeMap<TarPath, &'a str>,
}

impl<'a> Extended<'a> {
    fn add(&mut self, entry: Entry, row: &'a Row) {
        self.places.insert(entry.path.clone(), &row.place);
        self.added.insert(entry);
    }

    /// Says where an entry comes from.
    fn origin(&self, path: &TarPath) -> String {
        match self.places.get(path) {
            Some(place) => format!("`{path}` is made by {place}"),
            None => format!("`{path}` is in the rootfs"),
        }
    }

    fn get(&self, path: &TarPath) -> Option<&Entry> {
        self.tree.get(path).or_else(|| self.added.get(path))
    }

    fn get_mut(&mut self, path: &TarPath) -> Option<&mut Entry> {
        self.tree.get_mut(path).or_else(|| self.added.get_mut(path))
    }
}

/// Adds an entry, or changes owner and mode of an existing one of the same kind.
fn put<'a>(tree: &mut Extended<'a>, row: &'a Row, path: &TarPath, kind: Kind, metadata: &Metadata) -> Result<()> {
    if tree.get(path).is_some_and(|entry| entry.kind != kind) {
        return Err(row.error(&format!("{} and is something else", tree.origin(path))));
    }
    if let Some(entry) = tree.get_mut(path) {
        set_owner(entry, metadata);
        return Ok(());
    }
    let mut missing = path.parent();
    while let Some(directory) = missing {
        match tree.get(&directory).map(|entry| &entry.kind) {
            Some(Kind::Directory) => break,
            Some(_) => return Err(row.error(&format!("{} and is not a directory", tree.origin(&directory)))),
            None => {
                let metadata = Metadata::of_missing_directory(metadata.mtime);
                tree.add(Entry { path: directory.clone(), metadata, kind: Kind::Directory }, row);
            }
        }
        missing = directory.parent();
    }
    tree.add(Entry { path: path.clone(), metadata: metadata.clone(), kind }, row);
    Ok(())
}

/// Changes owner and mode of a file, under all its names.
fn set_file(tree: &mut Extended<'_>, row: &Row, metadata: &Metadata) -> Result<()> {
    let file = match tree.get(&row.path).map(|entry| &entry.kind) {
        Some(Kind::File { .. }) => row.path.clone(),
        Some(Kind::Hardlink { target }) => TarPath::clone(target),
        Some(_) => return Err(row.error(&format!("{} and is not a regular file", tree.origin(&row.path)))),
        None => return Err(row.error(&format!("`{}` is not in the rootfs", row.path))),
    };
    if let Some(entry) = tree.get_mut(&file) {
        set_owner(entry, metadata);
    }
    Ok(())
}

fn set_owner(entry: &mut Entry, metadata: &Metadata) {
    entry.metadata.mode = metadata.mode;
    entry.metadata.uid = metadata.uid;
    entry.metadata.gid = metadata.gid;
}

impl Row {
    fn parse(line: &str, place: String) -> Result<Self> {
        let mut columns = line.split_whitespace();
        let malformed = |reason: &str| Error::invalid(place.clone(), reason);
        let (Some(path), Some(kind), Some(mode)) = (columns.next(), columns.next(), columns.next()) else {
            return Err(malformed("`path type mode user group …` expected, found fewer columns"));
        };
        if !path.starts_with('/') {
            return Err(malformed("the path must be absolute"));
        }
        let mode = u16::from_str_radix(mode, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| malformed("the mode must be octal, 7777 at most"))?;
        let mut owner = || columns.next().filter(|column| *column != "-").unwrap_or("0").to_owned();
        let (user, group) = (owner(), owner());
        let mut numbers = [None; 5];
        for number in &mut numbers {
            match columns.next() {
                None => break,
                Some("-") => {}
                Some(column) => {
                    let parsed: u32 = column.parse().map_err(|_| malformed(&format!("`{column}` is not a number")))?;
                    *number = Some(parsed);
                }
            }
        }
        if columns.next().is_some() {
            return Err(malformed("at most ten columns expected"));
        }
        let [major, minor, start, increment, count] = numbers;
        let device = |block| -> Result<RowKind> {
            // The device 0,0 is never meant: an overlay filesystem takes it for a removed file.
            let (Some(major), Some(minor)) = (major, minor) else {
                return Err(malformed("a device needs its numbers: `path type mode user group major minor` expected"));
            };
            let (start, increment, count) = (start.unwrap_or(0), increment.unwrap_or(1), count.unwrap_or(0));
            if count > 4096 || start.checked_add(count).is_none() {
                return Err(malformed("at most 4096 devices in a row expected, numbers below 2^32"));
            }
            let first = Device::checked(major, minor).map_err(|reason| malformed(&reason))?;
            let last = increment.saturating_mul(count.saturating_sub(1)).saturating_add(minor);
            Device::checked(major, last).map_err(|reason| malformed(&reason))?;
            Ok(RowKind::Device { block, first, series: Series { start, increment, count } })
        };
        let kind = match kind {
            "d" => RowKind::Directory,
            "f" => RowKind::File,
            "p" => RowKind::Fifo,
            "c" => device(false)?,
            "b" => device(true)?,
            kind => return Err(malformed(&format!("type `{kind}` is unknown: `f`, `d`, `c`, `b` or `p` expected"))),
        };
        let path = TarPath::parse(path.as_bytes()).map_err(|error| malformed(&error.to_string()))?;
        Ok(Row { place, path, kind, mode, user, group })
    }

    fn error(&self, reason: &str) -> Error {
        Error::invalid(self.place.clone(), reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    struct Passwd;

    impl Content for Passwd {
        fn open<'a>(&'a self, _: &Entry) -> Result<Box<dyn Read + 'a>> {
            Ok(Box::new(Cursor::new("root:x:0:0::/:/bin/sh\napp:x:4242:4343::/:/bin/sh\n")))
        }
    }

    fn rootfs() -> Tree {
        let entry = |path: &str, kind| Entry {
            path: TarPath::parse(path.as_bytes()).unwrap(),
            metadata: Metadata { mode: 0o644, uid: 1000, gid: 1000, mtime: 77.into(), ..Metadata::default() },
            kind,
        };
        let file = Kind::File { size: 1 };
        let link = Kind::Hardlink { target: TarPath::parse(b"bin/su").unwrap().into() };
        Tree::from_iter([
            entry("", Kind::Directory),
            entry("bin", Kind::Directory),
            entry("bin/su", file.clone()),
            entry("bin/su2", link),
            entry("etc", Kind::Directory),
            entry("etc/passwd", file.clone()),
            entry("etc/group", file),
        ])
    }

    fn applied(table: &str) -> Result<Tree> {
        let mut tree = rootfs();
        DeviceTable::parse(table, "table")?.apply(&mut tree, &Passwd)?;
        Ok(tree)
    }

    #[test]
    fn rows_make_and_change() {
        let tree = applied(
            "# a comment\n\n/dev/console c 600 root 5 5 1\n/dev/tty c 666 0 0 4 10 1 2 3\n\
             /srv/app d 2750 app app - - - - -\n/bin/su2 f 4755 0 0\n/run/x p 600\n",
        )
        .unwrap();
        let get = |path: &str| tree.get(&TarPath::parse(path.as_bytes()).unwrap()).unwrap();
        assert_eq!(get("dev/console").kind, Kind::CharDevice(Device { major: 5, minor: 1 }));
        assert_eq!(get("dev/console").metadata.gid, 5);
        assert_eq!(get("dev").metadata, Metadata { mode: 0o755, mtime: 77.into(), ..Metadata::default() });
        assert_eq!(get("dev/tty1").kind, Kind::CharDevice(Device { major: 4, minor: 10 }));
        assert_eq!(get("dev/tty3").kind, Kind::CharDevice(Device { major: 4, minor: 14 }));
        assert!(tree.get(&TarPath::parse(b"dev/tty4").unwrap()).is_none());
        let app = &get("srv/app").metadata;
        assert_eq!((app.mode, app.uid, app.gid, app.mtime), (0o2750, 4242, 4242, 77.into()));
        for name in ["bin/su", "bin/su2"] {
            let su = &get(name).metadata;
            assert_eq!((su.mode, su.uid, su.gid, su.mtime), (0o4755, 0, 0, 77.into()), "{name}");
        }
        assert_eq!(get("run/x").kind, Kind::Fifo);
    }

    #[test]
    fn errors_name_the_line() {
        for (table, reason) in [
            ("/dev", "fewer columns"),
            ("dev d 755", "absolute"),
            ("/dev d 999", "octal"),
            ("/dev d 17777", "octal"),
            ("/dev x 755", "type `x`"),
            ("/dev/a c 600 0 0 one", "not a number"),
            ("/dev/null c 666 0", "a device needs its numbers"),
            ("/dev/null c 666 0 0 1", "a device needs its numbers"),
            ("/dev/sda b 660 0 6 - -", "a device needs its numbers"),
            ("/dev/tty c 660 0 5 - 1 0 1 4", "a device needs its numbers"),
            ("/dev/a c 600 0 0 1 1 0 1 5000", "4096"),
            ("/dev/a c 600 0 0 99999 3", "the device 99999,3 is out of range: Linux has majors up to 4095"),
            ("/dev/a b 600 0 0 1 1048576", "minors up to 1048575"),
            ("/dev/a c 600 0 0 1 0 0 4294967295 4", "the device 1,4294967295 is out of range"),
            ("/dev/a c 600 0 0 4095 1048574 0 1 3", "the device 4095,1048576 is out of range"),
            ("/a d 755 1 2 3 4 5 6 7 8", "ten columns"),
            ("/a/../b d 755", "`..`"),
            ("/nofile f 755", "not in the rootfs"),
            ("/bin f 755", "not a regular file"),
            ("/bin/su d 755", "something else"),
            ("/bin/su/x p 755", "not a directory"),
            ("/x d 755 nobody 0", "user `nobody`"),
            ("/x d 755 0 nogroup", "group `nogroup`"),
            ("/x d 755 4294967295 0", "user `4294967295` is unknown"),
        ] {
            let error = applied(&format!("\n{table}")).unwrap_err().to_string();
            assert!(error.starts_with("table:2: ") && error.contains(reason), "{table}: {error}");
        }
    }
}
