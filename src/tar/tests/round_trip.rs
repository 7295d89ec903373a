use std::io::Read;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::read;
use crate::limits::Limits;
use crate::tar::{Reader, Writer};
use crate::tree::{Device, Entry, Kind, Metadata, Mtime, TarPath};

/// A component: any bytes but NUL and slash, not `.` or `..`, no whiteout.
fn component() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("byte", |byte| !b"\0/".contains(byte));
    let plain = "[a-zA-Z0-9._ -]{1,12}".prop_map(String::into_bytes);
    prop_oneof![plain, vec(byte, 1..8), (95_usize..160).prop_map(|length| vec![b'n'; length])]
        .prop_filter("component", |name| !name.starts_with(b".wh.") && !matches!(name.as_slice(), b"." | b".."))
}

fn path() -> impl Strategy<Value = TarPath> {
    vec(component(), 1..5).prop_map(|components| TarPath::parse(&components.join(&b'/')).unwrap())
}

fn number<T: Arbitrary + Copy + std::fmt::Debug + 'static>(edges: &'static [T]) -> impl Strategy<Value = T> {
    prop_oneof![any::<T>(), select(edges)]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let id = || number(&[0_u32, 1000, 0o777_7777, 0o1000_0000, u32::MAX - 1]);
    let seconds = number(&[-1_i64, 0, 1_520_598_896, 0o777_7777_7777, 8 << 30, i64::MIN, i64::MAX]);
    let nanoseconds = select(vec![0, 0, 1, 500_000_000, 999_999_999]);
    let mtime = (seconds, nanoseconds).prop_map(|(seconds, rest)| Mtime::new(seconds, rest).unwrap());
    let key = vec(any::<u8>().prop_filter("byte", |byte| !b"\0=".contains(byte)), 1..30);
    let value = prop_oneof![vec(any::<u8>(), 0..40), vec(Just(b'\n'), 60..120), vec(any::<u8>(), 900..1100)];
    (0_u16..=0o7777, id(), id(), mtime, btree_map(key, value, 0..4)).prop_map(|(mode, uid, gid, mtime, xattrs)| {
        let xattrs = xattrs.into_iter().map(|(name, value)| (name, value.into())).collect();
        Metadata { mode, uid, gid, mtime, xattrs }
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let device =
        || (0..=Device::LARGEST.major, 0..=Device::LARGEST.minor).prop_map(|(major, minor)| Device { major, minor });
    let target = vec(any::<u8>().prop_filter("byte", |byte| *byte != 0), 1..300);
    prop_oneof![
        Just(Kind::Directory),
        Just(Kind::Fifo),
        (0_u64..2000).prop_map(|size| Kind::File { size }),
        target.prop_map(|target| Kind::Symlink { target: target.into() }),
        path().prop_map(|target| Kind::Hardlink { target: target.into() }),
        device().prop_map(Kind::CharDevice),
        device().prop_map(Kind::BlockDevice),
    ]
}

prop_compose! {
    fn entry()(path in path(), mut metadata in metadata(), kind in kind()) -> Entry {
        // A link has one mode on Linux, whatever the archive says.
        if matches!(kind, Kind::Symlink { .. }) {
            metadata.mode = 0o777;
        }
        Entry { path, metadata, kind }
    }
}

fn content(entry: &Entry) -> Vec<u8> {
    (0..entry.size()).map(|at| (at % 251) as u8).collect()
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for entry in entries {
        writer.append(entry, &mut content(entry).as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 0..6).prop_map(|mut entries| {
        let root = Entry { path: TarPath::root(), metadata: Metadata::default(), kind: Kind::Directory };
        entries.insert(0, root);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.dedup_by(|a, b| a.path == b.path);
        entries
    })
}

proptest! {
    #[test]
    fn entries_are_read_as_they_were_written(entries in entries()) {
        let archive = write(&entries);
        let (members, end) = read(&archive).unwrap();
        prop_assert_eq!(end.size, archive.len() as u64);
        prop_assert_eq!(end.anomalies, []);
        prop_assert_eq!(members.len(), entries.len());
        for ((member, read), entry) in members.into_iter().zip(&entries) {
            prop_assert_eq!(member.anomalies, []);
            prop_assert_eq!(&member.entry.unwrap(), entry);
            prop_assert_eq!(&read, &content(entry));
            let stored = &archive[member.content_offset as usize..][..read.len()];
            prop_assert_eq!(stored, &read);
        }
        // However much of the contents is read, the members are the same.
        let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
        for (at, entry) in entries.iter().enumerate() {
            prop_assert_eq!(&reader.next_member().unwrap().unwrap().entry.unwrap(), entry);
            let mut some = vec![0; at * 300];
            let _ = reader.read(&mut some).unwrap();
        }
        prop_assert!(reader.next_member().unwrap().is_none());
        prop_assert!(reader.next_member().unwrap().is_none());
    }

    #[test]
    fn the_tar_crate_reads_what_we_write(entries in entries()) {
        let archive = write(&entries);
        let mut peer = tar::Archive::new(archive.as_slice());
        let mut count = 0;
        for (member, entry) in peer.entries().unwrap().zip(&entries) {
            let mut member = member.unwrap();
            // It splits records at newlines, so it is asked only if there are none inside.
            let link = match &entry.kind {
                Kind::Symlink { target } => target,
                Kind::Hardlink { target } => target.as_bytes(),
                _ => b"",
            };
            if entry.metadata.xattrs.is_empty() && !entry.path.as_bytes().contains(&b'\n') && !link.contains(&b'\n') {
                prop_assert_eq!(&TarPath::parse(&member.path_bytes()).unwrap(), &entry.path);
            }
            let mut found = Vec::new();
            member.read_to_end(&mut found).unwrap();
            prop_assert_eq!(found, content(entry));
            count += 1;
        }
        prop_assert_eq!(count, entries.len());
    }

    #[test]
    fn damaged_archives_never_panic(
        entries in entries(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut archive = write(&entries);
        for (at, byte) in damage {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        let _ = read(&archive);
        archive.truncate(cut.index(archive.len()));
        let _ = read(&archive);
    }
}
