//! What is wrong with a layer: each entry by itself, and against the others of its layer (image-spec, layer.md).
//!
//! `verify` lists all of it. Every other verb that reads the files of an image looks at layers through the same
//! [`LayerCheck`], and refuses, warns of or takes what it finds as the table in `rule/mod.rs` says.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem::{discriminant, Discriminant};

use crate::compress::{Format, Rest};
use crate::error::{Error, Result};
use crate::layer::anomaly_rules::rule_of;
use crate::layer::findings::{reason_of, LayerFinding, LayerFindings, Purpose};
use crate::layer::format::{format_name, format_of};
use crate::media_type::LayerEncoding;
use crate::rule::{Rule, Severity};
use crate::tar::{Anomaly, End, Member, NAME_LIMIT};
use crate::tree::{Entry, Kind, ParsedXattr, PathMap, TarPath, Whiteout};

/// A layer that is being checked, member by member.
#[derive(Debug)]
pub(crate) struct LayerCheck {
    found: LayerFindings,
    /// What the media type says about the compression.
    encoding: Option<LayerEncoding>,
    paths: PathMap<Placed>,
    /// What whiteouts hide.
    removed: Vec<TarPath>,
    /// Directories with an opaque whiteout, and its number.
    opaque: BTreeMap<TarPath, u32>,
    /// How many paths there were.
    paths_seen: u32,
    notes: Vec<Note>,
}

/// What is at a path, and its number among the paths of the layer.
#[derive(Clone, Copy, Debug)]
struct Placed {
    node: Node,
    number: u32,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    Marker,
    Symlink,
    Other,
}

/// An anomaly that is worth a note, at the first place where it was found: one often means thousands.
#[derive(Debug)]
struct Note {
    kind: Discriminant<Anomaly>,
    finding: LayerFinding,
    count: u64,
}

/// Linux makes no file of a longer name (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Linux makes no link with a longer target (`PATH_MAX`, of which one byte is a NUL).
const LONGEST_TARGET: usize = 4095;

/// Linux takes no longer name of an attribute, and no larger value (`xattr(7)`).
const LONGEST_XATTR_NAME: usize = 255;
const LARGEST_XATTR: usize = 64 << 10;

/// Whether a kernel takes an attribute of such sizes.
pub(crate) fn is_settable(name: &[u8], value: &[u8]) -> bool {
    name.len() <= LONGEST_XATTR_NAME && value.len() <= LARGEST_XATTR
}

/// The most layers that Docker takes (`maxLayerDepth`).
pub(crate) const LAYER_LIMIT: usize = 125;

/// That an image has more.
pub(crate) fn too_many_layers(count: usize) -> LayerFinding {
    LayerFinding::new(Rule::LayerCount, None, &format_args!("at most {LAYER_LIMIT} layers"), &count)
}

impl LayerCheck {
    /// For `verify`: all that is wrong is listed.
    pub(crate) fn listing() -> Self {
        LayerCheck::new(Purpose::List, None)
    }

    /// For verbs that read the files of an image. `encoding` is what the media type of the layer says.
    pub(crate) fn judging(encoding: Option<LayerEncoding>) -> Self {
        LayerCheck::new(Purpose::Judge, encoding)
    }

    fn new(purpose: Purpose, encoding: Option<LayerEncoding>) -> Self {
        LayerCheck {
            found: LayerFindings::new(purpose),
            encoding,
            paths: PathMap::default(),
            removed: Vec::new(),
            opaque: BTreeMap::new(),
            paths_seen: 0,
            notes: Vec::new(),
        }
    }

    /// Looks at the next member.
    pub(crate) fn member(&mut self, member: &Member) {
        let name = MemberName(member);
        let is_root = member.entry.as_ref().is_ok_and(|entry| entry.path.is_root());
        for anomaly in &member.anomalies {
            // `/` alone can only mean the root.
            if !(is_root && *anomaly == Anomaly::AbsoluteName) {
                self.anomaly(anomaly, Some(&name));
            }
        }
        match &member.entry {
            Ok(entry) => self.entry(entry, &name),
            Err(_) if member.name.split(|byte| *byte == b'/').any(|component| component == b"..") => {
                self.add(Rule::TarPath, &name, &"a name without `..`", &"one that leads out of the image");
            }
            Err(error) => {
                self.add(Rule::TarEntry, &name, &"an entry that a layer can hold", &reason_of(error));
            }
        }
    }

    /// Looks at an entry of a tar that is no layer: whether anything could unpack it.
    pub(crate) fn entry_alone(&mut self, entry: &Entry) {
        self.lengths(entry, &entry.path);
    }

    /// Looks at what follows the end of a tar that is no layer.
    pub(crate) fn trailing(&mut self, end: &End) {
        let trailing = end.anomalies.iter().filter(|anomaly| matches!(anomaly, Anomaly::TrailingBytes { .. }));
        trailing.for_each(|anomaly| self.anomaly(anomaly, None));
    }

    /// Looks at what followed the last member.
    pub(crate) fn end(&mut self, end: &End) {
        end.anomalies.iter().for_each(|anomaly| self.anomaly(anomaly, None));
        for path in std::mem::take(&mut self.removed) {
            let next = self.paths.from(path.clone()).next();
            if let Some((at_or_below, _)) = next.filter(|(found, _)| found.starts_with(&path)) {
                let expected = format!("no whiteout of {path}");
                let at_or_below = at_or_below.clone();
                self.add(Rule::WhiteoutAndEntry, &at_or_below, &expected, &"one in the same layer");
            }
        }
        for (directory, path) in self.removed_by_readers() {
            let expected = "opaque whiteouts before what is in their directories, or all directories in the layer";
            let found = format_args!("that of {directory} after it, and no directory above it");
            self.add(Rule::WhiteoutOrder, &path, &expected, &found);
        }
    }

    /// Directories with an opaque whiteout, each with something that Podman removes for it: when it comes to the
    /// whiteout, it removes what is below the directory and was no entry of the layer before, such as a directory that
    /// is only implied.
    fn removed_by_readers(&self) -> BTreeMap<TarPath, TarPath> {
        let mut removed = BTreeMap::new();
        if self.opaque.is_empty() {
            return removed;
        }
        for (path, placed) in self.paths.iter().filter(|(_, placed)| placed.node != Node::Marker) {
            let mut is_implied = false;
            for above in std::iter::successors(path.parent(), TarPath::parent) {
                if is_implied && self.opaque.get(&above).is_some_and(|marker| *marker > placed.number) {
                    removed.entry(above.clone()).or_insert_with(|| path.clone());
                }
                is_implied |= !self.paths.contains_key(&above);
            }
        }
        removed
    }

    /// Looks at how the layer was compressed.
    pub(crate) fn compression(&mut self, format: Format, rest: &Rest) {
        if let Some(expected) = self.encoding.map(format_of).filter(|expected| *expected != format) {
            let expected = format!("{}, as its media type says", format_name(expected));
            self.found.add(Rule::BlobContent, None, &expected, &format_name(format));
        }
        if format == Format::Gzip && rest.streams > 1 {
            self.found.add(Rule::GzipMembers, None, &"one gzip member", &format_args!("{} of them", rest.streams));
        }
        if rest.trailing > 0 {
            let expected = "the end of the compressed stream";
            let found = format_args!("{} bytes after it", rest.trailing);
            self.found.add(Rule::LayerTrailingBytes, None, &expected, &found);
        }
    }

    /// An error if the layer must not be read. `layer` names it.
    pub(crate) fn refuse(&self, layer: &str) -> Result<()> {
        match self.found.refused() {
            None => Ok(()),
            Some(finding) => Err(Error::malformed(layer, finding.to_string())),
        }
    }

    /// A line for each rule that is broken, if the layer can be read all the same.
    pub(crate) fn warnings(&self, layer: &str) -> Vec<String> {
        self.found.warnings(layer)
    }

    /// Whether an entry is below a directory that the layer has no entry for.
    pub(crate) fn implies_directories(&self) -> bool {
        let has_parent =
            |path: &TarPath| path.parent().map_or(true, |parent| parent.is_root() || self.paths.contains_key(&parent));
        !self.paths.iter().all(|(path, _)| has_parent(path))
    }

    /// All that was found, and how much more of each rule was not kept.
    pub(crate) fn finish(self) -> (Vec<LayerFinding>, BTreeMap<Rule, u64>) {
        let (mut list, more) = self.found.finish();
        list.extend(self.notes.into_iter().map(|Note { mut finding, count, .. }| {
            if count > 1 {
                finding.found = format!("{}, and {} more of the kind", finding.found, count - 1);
            }
            finding
        }));
        (list, more)
    }

    fn add(&mut self, rule: Rule, entry: &dyn Display, expected: &dyn Display, found: &dyn Display) {
        self.found.add(rule, Some(entry), expected, found);
    }

    fn anomaly(&mut self, anomaly: &Anomaly, entry: Option<&dyn Display>) {
        let (rule, expected) = rule_of(anomaly);
        // Those who read an image learn of lost keywords from `LostKeywords`, which names them.
        let is_said = matches!(anomaly, Anomaly::UnknownKeyword(_) | Anomaly::ForeignKeyword(_));
        match self.found.purpose() {
            Purpose::Judge if is_said => {}
            Purpose::List if rule.severity() == Severity::Note => {
                let kind = discriminant(anomaly);
                if let Some(note) = self.notes.iter_mut().find(|note| note.kind == kind) {
                    note.count += 1;
                } else {
                    let finding = LayerFinding::new(rule, entry, &expected, anomaly);
                    self.notes.push(Note { kind, finding, count: 1 });
                }
            }
            _ => self.found.add(rule, entry, &expected, anomaly),
        }
    }

    fn entry(&mut self, entry: &Entry, name: &dyn Display) {
        if !self.lengths(entry, name) {
            return;
        }
        let Some(node) = self.whiteout(entry, name) else { return };
        let next = self.paths.from(entry.path.clone()).next().map(|(path, _)| path.clone());
        if next.as_ref() == Some(&entry.path) {
            return self.add(Rule::TarRepeatedPath, name, &"each path once", &"the path again");
        }
        if let Kind::Hardlink { target } = &entry.kind {
            let problem = match self.node(target) {
                Some(Node::Other | Node::Symlink) => None,
                Some(Node::Directory) => Some("a directory"),
                Some(Node::Marker) => Some("a whiteout"),
                None => Some("nothing"),
            };
            if let (Some(problem), true) = (problem, node != Node::Marker) {
                // A runtime that unpacks each layer into a directory of its own has no other layer to link to.
                let expected = format!("its target {target} before it in the same layer");
                self.add(Rule::TarHardlink, name, &expected, &problem);
            }
        }
        self.check_below(&entry.path, node, next.as_ref(), name);
        let number = self.paths_seen;
        self.paths_seen = number.saturating_add(1);
        if let Ok(Whiteout::Opaque(directory)) = Whiteout::of(&entry.path) {
            self.opaque.insert(directory, number);
        }
        self.paths.insert(entry.path.clone(), Placed { node, number });
    }

    fn node(&self, path: &TarPath) -> Option<Node> {
        self.paths.get(path).map(|placed| placed.node)
    }

    /// Whether nothing is too long for Linux. Nothing more is said about an entry whose name is.
    fn lengths(&mut self, entry: &Entry, name: &dyn Display) -> bool {
        let path = entry.path.as_bytes();
        let longest = path.split(|byte| *byte == b'/').map(<[u8]>::len).max().unwrap_or_default();
        if longest > LONGEST_NAME {
            let expected = format_args!("a name of {LONGEST_NAME} bytes at most");
            self.add(Rule::TarNameLength, name, &expected, &format_args!("{longest} bytes"));
            return false;
        }
        if let Kind::Symlink { target } = &entry.kind {
            if target.len() > LONGEST_TARGET {
                let expected = format_args!("a target of {LONGEST_TARGET} bytes at most");
                self.add(Rule::TarNameLength, name, &expected, &format_args!("{} bytes", target.len()));
            }
        }
        for (attribute, value) in &entry.metadata.xattrs {
            if !is_settable(attribute, value) {
                let expected = format_args!(
                    "an attribute with a name of {LONGEST_XATTR_NAME} bytes and {LARGEST_XATTR} bytes at most"
                );
                let found = format_args!("a name of {} bytes and {} bytes", attribute.len(), value.len());
                self.add(Rule::TarXattrSize, name, &expected, &found);
            } else if !ParsedXattr::is_valid(attribute, value) {
                let found = format_args!("`{}` with another", attribute.escape_ascii());
                self.add(Rule::TarXattrValue, name, &"attributes with values that Linux takes", &found);
            } else if value.is_empty() {
                let found = format_args!("`{}` without one, which engines drop", attribute.escape_ascii());
                self.add(Rule::TarXattrEmpty, name, &"attributes with a value", &found);
            }
        }
        true
    }

    /// Returns what an entry is as a node, and checks that a whiteout is an empty file. Returns `None` if its name
    /// makes no sense.
    fn whiteout(&mut self, entry: &Entry, name: &dyn Display) -> Option<Node> {
        let own = match &entry.kind {
            Kind::Directory => Node::Directory,
            Kind::Symlink { .. } => Node::Symlink,
            Kind::Hardlink { target } if self.node(target) == Some(Node::Symlink) => Node::Symlink,
            _ => Node::Other,
        };
        match Whiteout::of(&entry.path) {
            Ok(Whiteout::None) => return Some(own),
            Ok(Whiteout::Aufs) => {
                self.add(Rule::WhiteoutAufs, name, &"no name that begins with `.wh..wh.`", &"one");
                return Some(own);
            }
            Ok(Whiteout::Opaque(_)) => {}
            Ok(Whiteout::Remove(path)) => self.removed.push(path),
            Err(error) => {
                self.add(Rule::Whiteout, name, &"a whiteout that hides a name", &reason_of(&error));
                return None;
            }
        }
        // AUFS made its whiteouts hard links to one empty file, and old layers still have them.
        match &entry.kind {
            Kind::File { size: 0 } | Kind::Hardlink { .. } => {}
            Kind::File { size } => self.add(Rule::Whiteout, name, &"an empty file", &format_args!("{size} bytes")),
            kind => self.add(Rule::Whiteout, name, &"an empty file", &format_args!("type {}", kind.name())),
        }
        Some(Node::Marker)
    }

    /// The path must not be below something other than a directory, nor may earlier entries be below a new
    /// non-directory: `next` is the first of them in order after the path.
    fn check_below(&mut self, path: &TarPath, node: Node, next: Option<&TarPath>, name: &dyn Display) {
        let mut parents = std::iter::successors(path.parent(), TarPath::parent);
        let known = parents.find_map(|parent| Some((self.node(&parent)?, parent)));
        if let Some((_, above)) = known.filter(|(node, _)| *node != Node::Directory) {
            let found = format_args!("{above}, which is none");
            return self.add(Rule::TarBelowFile, name, &"nothing but directories above it", &found);
        }
        if node != Node::Directory {
            if let Some(below) = next.filter(|below| below.starts_with(path)) {
                let found = format!("an entry above {below}");
                self.add(Rule::TarBelowFile, name, &"a directory", &found);
            }
        }
    }
}

/// The name of a member for people. A name can have a megabyte: it is shortened.
struct MemberName<'a>(&'a Member);

impl Display for MemberName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MemberName(member) = self;
        match &member.entry {
            _ if member.name.len() > NAME_LIMIT => {
                let start = member.name.get(..100).unwrap_or_default().escape_ascii();
                write!(f, "{start}… at byte {}", member.offset)
            }
            Ok(entry) => entry.path.fmt(f),
            Err(_) => member.name.escape_ascii().fmt(f),
        }
    }
}
