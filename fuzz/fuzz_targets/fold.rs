//! Layers of anything fold into a tree that is one: every parent is a directory, every hard link has its file.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use ocibake::layer::Fold;
use ocibake::tree::{Entry, Kind, Metadata, TarPath};

/// Few names, so that they meet.
const NAMES: [&str; 8] = ["a", "b", "ab", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh..wh.plnk", ".wh."];

fuzz_target!(|layers: &[u8]| {
    let mut fold = Fold::new();
    for layer in layers.split(|byte| *byte == 0xFF) {
        let members = layer.chunks_exact(3).filter_map(member).collect();
        if fold.apply(members).is_err() {
            return;
        }
    }
    let folded = fold.finish();
    let mut files = BTreeSet::new();
    for entry in folded.tree.iter() {
        if let Some(parent) = entry.path.parent().filter(|parent| !parent.is_root()) {
            assert_eq!(folded.tree.get(&parent).map(|parent| &parent.kind), Some(&Kind::Directory), "{}", entry.path);
        }
        match &entry.kind {
            Kind::Hardlink { target } => {
                let first = folded.tree.get(target).unwrap();
                assert!(**target < entry.path, "{}", entry.path);
                assert!(!matches!(first.kind, Kind::Directory | Kind::Hardlink { .. }), "{}", entry.path);
            }
            Kind::File { .. } => {
                files.insert(entry.path.clone());
            }
            _ => {}
        }
        assert!(!entry.path.as_bytes().windows(4).any(|name| name == b".wh."), "{}", entry.path);
    }
    assert!(folded.origins.keys().eq(&files));
});

/// A member of three bytes: its path, what it is, and another path.
fn member(bytes: &[u8]) -> Option<Entry> {
    let kind = match bytes[1] % 4 {
        0 => Kind::Directory,
        1 => Kind::File { size: u64::from(bytes[2]) },
        2 => Kind::Hardlink { target: path(bytes[2])?.into() },
        _ => Kind::Symlink { target: b"a".as_slice().into() },
    };
    let path = path(bytes[0])?;
    (!path.is_root() || kind == Kind::Directory).then(|| Entry { path, metadata: Metadata::default(), kind })
}

/// Up to two directories and a name, three bits each with one bit that says whether there are any.
fn path(byte: u8) -> Option<TarPath> {
    let name = |bits: u8| NAMES[usize::from(bits & 7)];
    let text = match byte >> 6 {
        0 => name(byte).to_owned(),
        1 => format!("{}/{}", name(byte & 3), name(byte >> 3)),
        2 => format!("{}/{}/{}", name(byte & 1), name(byte >> 1 & 1), name(byte >> 3)),
        _ => "./".to_owned(),
    };
    TarPath::parse(text.as_bytes()).ok()
}
