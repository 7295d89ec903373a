//! The tar in a layer: each entry by itself, and against the others of its layer (image-spec, layer.md).

use std::collections::BTreeMap;
use std::io::Read;
use std::mem::{discriminant, Discriminant};
use std::ops::Bound;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::ops::verify::finding::{FindingPlace, Findings};
use crate::ops::verify::links::LayerLinks;
use crate::ops::verify::{Rule, Severity};
use crate::tar::{Anomaly, Member, Reader, NAME_LIMIT};
use crate::tree::{Entry, Kind, TarPath, Whiteout};

/// Walks the tar and notes what concerns links. An error means that nothing after it can be read.
pub(super) fn check(
    source: &mut impl Read,
    limits: Limits,
    place: &FindingPlace,
    findings: &mut Findings,
    links: &mut LayerLinks,
) -> Result<()> {
    let mut changeset = Changeset { place, findings, paths: BTreeMap::new(), removed: Vec::new(), notes: Vec::new() };
    let result = changeset.read(source, limits);
    *links = changeset.links();
    changeset.finish();
    result
}

struct Changeset<'a> {
    place: &'a FindingPlace,
    findings: &'a mut Findings,
    paths: BTreeMap<TarPath, Node>,
    /// What whiteouts hide.
    removed: Vec<TarPath>,
    notes: Vec<Note>,
}

/// What is at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    Marker,
    Symlink,
    Other,
}

/// An anomaly that is worth a note, at the first place where it was found: one often means thousands.
struct Note {
    kind: Discriminant<Anomaly>,
    rule: Rule,
    place: FindingPlace,
    expected: &'static str,
    found: String,
    count: u64,
}

/// Linux makes no file of a longer name (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

impl Changeset<'_> {
    fn read(&mut self, source: &mut impl Read, limits: Limits) -> Result<()> {
        let mut reader = Reader::new(source, "layer", limits);
        while let Some(member) = reader.next_member()? {
            self.member(member);
        }
        let end = reader.finish()?;
        let place = self.place.clone();
        end.anomalies.iter().for_each(|anomaly| self.anomaly(anomaly, &place));
        Ok(())
    }

    fn member(&mut self, member: Member) {
        let place = self.place_of(&member);
        let is_root = member.entry.as_ref().is_ok_and(|entry| entry.path.is_root());
        for anomaly in &member.anomalies {
            // `/` alone can only mean the root.
            if !(is_root && *anomaly == Anomaly::AbsoluteName) {
                self.anomaly(anomaly, &place);
            }
        }
        match member.entry {
            Ok(entry) => self.entry(entry, &place),
            Err(_) if member.name.split(|byte| *byte == b'/').any(|component| component == b"..") => {
                self.findings.add(Rule::TarPath, &place, "a name without `..`", "one that leads out of the image");
            }
            Err(error) => {
                self.findings.add(Rule::TarEntry, &place, "an entry that a layer can hold", reason_of(error));
            }
        }
    }

    /// A name can have a megabyte: it is shortened for people.
    fn place_of(&self, member: &Member) -> FindingPlace {
        match &member.entry {
            _ if member.name.len() > NAME_LIMIT => {
                let start = member.name[..100].escape_ascii();
                self.place.entry(format_args!("{start}… at byte {}", member.offset))
            }
            Ok(entry) => self.place.entry(&entry.path),
            Err(_) => self.place.entry(member.name.escape_ascii()),
        }
    }

    fn anomaly(&mut self, anomaly: &Anomaly, place: &FindingPlace) {
        let (rule, expected) = judge(anomaly);
        if rule.severity() == Severity::Error {
            return self.findings.add(rule, place, expected, anomaly.to_string());
        }
        let kind = discriminant(anomaly);
        if let Some(note) = self.notes.iter_mut().find(|note| note.kind == kind) {
            note.count += 1;
        } else {
            let (place, found) = (place.clone(), anomaly.to_string());
            self.notes.push(Note { kind, rule, place, expected, found, count: 1 });
        }
    }

    fn entry(&mut self, entry: Entry, place: &FindingPlace) {
        let path = entry.path.as_bytes();
        let longest = path.split(|byte| *byte == b'/').map(<[u8]>::len).max().unwrap_or_default();
        if longest > LONGEST_NAME {
            let expected = format!("a name of {LONGEST_NAME} bytes at most");
            let found = format!("{longest} bytes");
            return self.findings.add(Rule::TarNameLength, place, expected, found);
        }
        let Some(node) = self.whiteout(&entry, place) else { return };
        if self.paths.contains_key(&entry.path) {
            return self.findings.add(Rule::TarRepeatedPath, place, "each path once", "the path again");
        }
        if let Kind::Hardlink { target } = &entry.kind {
            let problem = match self.paths.get(target) {
                Some(Node::Other | Node::Symlink) => None,
                Some(Node::Directory) => Some("a directory"),
                Some(Node::Marker) => Some("a whiteout"),
                None => Some("nothing"),
            };
            if let (Some(problem), true) = (problem, node != Node::Marker) {
                // A runtime that unpacks each layer into a directory of its own has no other layer to link to.
                let expected = format!("its target {target} before it in the same layer");
                self.findings.add(Rule::TarHardlink, place, expected, problem);
            }
        }
        self.check_below(&entry.path, node, place);
        self.paths.insert(entry.path, node);
    }

    /// Returns what an entry is as a node, and checks that a whiteout is an empty file. Returns `None` if its name
    /// makes no sense.
    fn whiteout(&mut self, entry: &Entry, place: &FindingPlace) -> Option<Node> {
        let own = match &entry.kind {
            Kind::Directory => Node::Directory,
            Kind::Symlink { .. } => Node::Symlink,
            Kind::Hardlink { target } if self.paths.get(target) == Some(&Node::Symlink) => Node::Symlink,
            _ => Node::Other,
        };
        match Whiteout::of(&entry.path) {
            Ok(Whiteout::None) => return Some(own),
            Ok(Whiteout::Aufs) => {
                self.findings.add(Rule::WhiteoutAufs, place, "no name that begins with `.wh..wh.`", "one");
                return Some(own);
            }
            Ok(Whiteout::Opaque(_)) => {}
            Ok(Whiteout::Remove(path)) => self.removed.push(path),
            Err(error) => {
                self.findings.add(Rule::Whiteout, place, "a whiteout that hides a name", reason_of(error));
                return None;
            }
        }
        // AUFS made its whiteouts hard links to one empty file, and old layers still have them.
        match &entry.kind {
            Kind::File { size: 0 } | Kind::Hardlink { .. } => {}
            Kind::File { size } => {
                self.findings.add(Rule::Whiteout, place, "an empty file", format!("{size} bytes"));
            }
            kind => self.findings.add(Rule::Whiteout, place, "an empty file", format!("type {}", kind.name())),
        }
        Some(Node::Marker)
    }

    /// The path must not be below something other than a directory, nor may earlier entries be below a new non-directory.
    fn check_below(&mut self, path: &TarPath, node: Node, place: &FindingPlace) {
        let mut parents = std::iter::successors(path.parent(), TarPath::parent);
        let above = parents.find(|parent| self.paths.get(parent).is_some_and(|node| *node != Node::Directory));
        if let Some(above) = above {
            let found = format!("{above}, which is none");
            return self.findings.add(Rule::TarBelowFile, place, "nothing but directories above it", found);
        }
        if node != Node::Directory {
            let next = self.paths.range::<TarPath, _>((Bound::Excluded(path), Bound::Unbounded)).next();
            if let Some((below, _)) = next.filter(|(below, _)| below.starts_with(path)) {
                let found = format!("an entry above {below}");
                self.findings.add(Rule::TarBelowFile, place, "a directory", found);
            }
        }
    }

    fn links(&self) -> LayerLinks {
        let mut links = LayerLinks::default();
        for (path, node) in &self.paths {
            if *node == Node::Symlink {
                links.links.insert(path.clone());
            }
            let parents = std::iter::successors(path.parent(), TarPath::parent);
            for parent in parents.take_while(|parent| !parent.is_root() && !self.paths.contains_key(parent)) {
                if links.implied.contains_key(&parent) {
                    break;
                }
                links.implied.insert(parent, path.clone());
            }
        }
        links
    }

    fn finish(self) {
        for path in &self.removed {
            let from_here = (Bound::Included(path), Bound::Unbounded);
            let at_or_below =
                self.paths.range::<TarPath, _>(from_here).next().filter(|(found, _)| found.starts_with(path));
            if let Some((found, _)) = at_or_below {
                let place = self.place.entry(found);
                self.findings.add(
                    Rule::WhiteoutAndEntry,
                    &place,
                    format!("no whiteout of {path}"),
                    "one in the same layer",
                );
            }
        }
        for note in self.notes {
            let found = match note.count {
                1 => note.found,
                count => format!("{}, and {} more of the kind", note.found, count - 1),
            };
            self.findings.add(note.rule, &note.place, note.expected, found);
        }
    }
}

/// Returns the rule that an anomaly breaks, and what should be there.
fn judge(anomaly: &Anomaly) -> (Rule, &'static str) {
    match anomaly {
        Anomaly::AbsoluteName | Anomaly::AbsoluteLink | Anomaly::RedundantComponent | Anomaly::EmptyName => {
            (Rule::TarNameForm, "a relative name in its shortest form")
        }
        Anomaly::NamedTwice
        | Anomaly::RepeatedHeader
        | Anomaly::RepeatedKeyword(_)
        | Anomaly::ConflictingXattr(_)
        | Anomaly::ConflictingSize { .. }
        | Anomaly::NoNumber(_)
        | Anomaly::ExtendedOldFormat
        | Anomaly::OddVersion
        | Anomaly::SizeWithoutContent(_) => (Rule::TarAmbiguous, "headers that say one thing"),
        Anomaly::Padding => (Rule::TarPadding, "zeros up to the next block"),
        Anomaly::MissingEnd { .. } | Anomaly::MissingPadding => (Rule::TarEnd, "the end of the tar"),
        Anomaly::TrailingBytes { .. } => (Rule::TarTrailingBytes, "the end of the layer"),
        Anomaly::GlobalHeader | Anomaly::UnknownKeyword(_) | Anomaly::ForeignKeyword(_) => {
            (Rule::TarKeyword, "records of one entry with known keywords")
        }
        Anomaly::Sparse => (Rule::TarSparse, "a file stored whole"),
        // TrailingSlash, GnuLongName, GnuLongLink, BinaryNumber, TypeBits, ContiguousFile, DumpDirectory, VolumeLabel,
        // OldTypeflag, OldFormat, SignedChecksum: readers take them alike.
        _ => (Rule::TarDialect, "ustar with PAX headers"),
    }
}

/// Returns what is wrong without the subject, which the place tells.
pub(super) fn reason_of(error: Error) -> String {
    match error {
        Error::Malformed { reason, .. } => reason,
        error => error.to_string(),
    }
}
