//! Reads archives in one pass.

use std::io::{self, Read};
use std::path::Path;

use tar::Header;

use crate::error::{Error, IoContext, Result};
use crate::limits::Limits;
use crate::tar::blocks::{Block, Blocks};
use crate::tar::content::{ContentLayout, MemberContent};
use crate::tar::extended::{Extended, Extension, Globals, Overrides, SOLARIS_PAX};
use crate::tar::header::{checksum, has_gnu_magic, has_magic, has_odd_version, no_numbers, HeaderChecksum, MAX_LONG};
use crate::tar::member::{entry, field, has_content, member_name};
use crate::tar::other::no_tar;
use crate::tar::sparse::{old_map, Map};
use crate::tar::{padding, Anomaly, Member, EXTENDED_HEADER_LIMIT, HOLE_LIMIT};
use crate::tree::{Entry, Kind, TarPath};

/// Reads an archive member by member, in one pass.
///
/// [`Reader::next_member`] moves to the next member; the reader itself yields the content of the current one, if that
/// is a regular file. What is wrong with one member alone is in [`Member::entry`]. An error of `next_member` means that
/// the next member cannot be found, and nothing more comes.
///
/// Memory is bounded by [`EXTENDED_HEADER_LIMIT`], time by the archive and by the holes of its sparse files, which
/// yield zeros: at most [`HOLE_LIMIT`] for all together.
#[derive(Debug)]
pub struct Reader<R> {
    blocks: Blocks<R>,
    globals: Globals,
    state: State,
    /// The bytes of all holes so far.
    holes: u64,
    /// Anomalies after the last member, told with what comes next.
    pending: Vec<Anomaly>,
    limits: Limits,
    /// The room for entries, names and attributes so far.
    metadata: u64,
    /// The path of the member before.
    last: TarPath,
}

#[derive(Debug)]
enum State {
    /// A header follows.
    AtHeader,
    /// Content follows.
    InMember(MemberContent),
    /// This many blocks of zeros were found: two, or as many as there were before the source ended.
    AtEnd { zero_blocks: u8 },
    /// What follows is unknown.
    Lost,
}

/// The type of a member that is not a file but the name of the archive, as `tar --label` writes it.
const VOLUME_LABEL: u8 = b'V';

/// What an entry takes beside its name and attributes, as it is counted: a flood of short names fills memory too.
const ENTRY_ROOM: u64 = 128;

/// What was found after the last member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The size of the archive in bytes, including everything after its end.
    pub size: u64,
    /// What is odd about the end.
    pub anomalies: Vec<Anomaly>,
}

impl<R: Read> Reader<R> {
    /// Reads from the current position of the source, which needs no buffer of its own. `archive` names it in messages.
    pub fn new(source: R, archive: impl Into<String>, limits: Limits) -> Self {
        let blocks = Blocks::new(source, archive.into());
        Reader {
            blocks,
            globals: Globals::new(),
            state: State::AtHeader,
            holes: 0,
            pending: Vec::new(),
            limits,
            metadata: 0,
            last: TarPath::root(),
        }
    }

    /// Says that the source is at a member inside an archive, `position` bytes from its beginning.
    #[must_use]
    pub(crate) fn starting_at(mut self, position: u64) -> Self {
        self.blocks.count_from(position);
        self
    }

    /// Skips the rest of the previous member and reads the headers of the next; returns `None` at the end.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Lost => Err(self.blocks.malformed(self.blocks.position(), "nothing can be read after an error")),
            State::AtHeader => self.read_headers(),
            State::InMember(content) => {
                let padding = content.skip(&mut self.blocks)?;
                if !padding.zero {
                    self.pending.push(Anomaly::Padding);
                } else if !padding.whole {
                    self.pending.push(Anomaly::MissingPadding);
                }
                self.read_headers()
            }
            end @ State::AtEnd { .. } => {
                self.state = end;
                Ok(None)
            }
        }
    }

    /// Reads the source to its end, including remaining members, so that a source that counts or hashes its bytes sees
    /// them all.
    pub fn finish(mut self) -> Result<End> {
        while self.next_member()?.is_some() {}
        let State::AtEnd { zero_blocks } = self.state else { return Err(self.blocks.truncated()) };
        let mut anomalies = std::mem::take(&mut self.pending);
        if zero_blocks < 2 {
            anomalies.push(Anomaly::MissingEnd { found: zero_blocks });
        }
        let trailing = self.blocks.read_after_end()?;
        anomalies.extend(trailing.map(|offset| Anomaly::TrailingBytes { offset }));
        Ok(End { size: self.blocks.position(), anomalies })
    }

    /// Reads up to the content of the next member. Until then, the state is `Lost`.
    fn read_headers(&mut self) -> Result<Option<Member>> {
        let offset = self.blocks.position();
        let mut extended = Extended::default();
        loop {
            let at = self.blocks.position();
            let header = match self.blocks.next()? {
                Block::Header(header) => header,
                _ if !extended.is_empty() => {
                    return Err(self.blocks.malformed(at, "an extended header needs a member after it"));
                }
                Block::Zero => {
                    self.pending.append(&mut extended.anomalies);
                    return self.end(at).map(|()| None);
                }
                Block::End => {
                    self.pending.append(&mut extended.anomalies);
                    self.state = State::AtEnd { zero_blocks: 0 };
                    return Ok(None);
                }
            };
            match checksum(&header) {
                Some(HeaderChecksum::Unsigned) => {}
                Some(HeaderChecksum::Signed) => extended.anomalies.push(Anomaly::SignedChecksum),
                None if at == 0 => return Err(no_tar(self.blocks.archive(), header.as_bytes())),
                None => return Err(self.blocks.malformed(at, "no tar header: the checksum is wrong")),
            }
            let typeflag = header.as_old().linkflag[0];
            let size = self.size(&header, at, &mut extended.anomalies)?;
            if has_odd_version(&header) {
                extended.anomalies.push(Anomaly::OddVersion);
            }
            if typeflag == VOLUME_LABEL {
                // Its records apply to nothing, and are held to the same rules.
                let overrides = std::mem::take(&mut extended).resolve(&self.globals);
                let overrides = overrides.map_err(|reason| self.blocks.malformed(offset, reason))?;
                if let Some(problem) = overrides.problem {
                    return Err(self.blocks.malformed(offset, problem));
                }
                extended.anomalies = overrides.anomalies;
                extended.anomalies.push(Anomaly::RareType(VOLUME_LABEL));
                extended.anomalies.extend(no_numbers(&header));
                if size > 0 {
                    extended.anomalies.push(Anomaly::SizeWithoutContent(size));
                }
                self.blocks.skip_whole(size.saturating_add(padding(size) as u64))?;
                continue;
            }
            let Some(kind) = Extension::of(typeflag) else {
                return self.read_member(&header, size, extended, offset).map(Some);
            };
            if typeflag == SOLARIS_PAX {
                extended.anomalies.push(Anomaly::RareType(typeflag));
            }
            extended.anomalies.extend(no_numbers(&header));
            let is_pax = matches!(kind, Extension::Pax | Extension::GlobalPax);
            if !has_magic(&header) || (is_pax && has_gnu_magic(&header)) {
                extended.anomalies.push(Anomaly::ExtendedOldFormat);
            }
            let body = self.blocks.body(size, EXTENDED_HEADER_LIMIT)?;
            if !self.blocks.skip_whole(padding(size) as u64)? {
                self.pending.push(Anomaly::Padding);
            }
            extended
                .add(kind, &body, &mut self.globals)
                .map_err(|reason| self.blocks.malformed(at, format!("extended header: {reason}")))?;
        }
    }

    /// After one block of zeros there can only be another, or the end. Some readers end at the first, and would
    /// silently lose what comes after it.
    fn end(&mut self, at: u64) -> Result<()> {
        let zero_blocks = match self.blocks.next()? {
            Block::Zero => 2,
            Block::End => 1,
            Block::Header(_) => {
                return Err(self.blocks.malformed(at, "two blocks of zeros end an archive, found one and then more"));
            }
        };
        self.state = State::AtEnd { zero_blocks };
        Ok(())
    }

    /// Returns the size in a header; without it, the next header cannot be found.
    fn size(&self, header: &Header, at: u64, anomalies: &mut Vec<Anomaly>) -> Result<u64> {
        field::<i64>("size", None, &header.as_old().size, anomalies)
            .and_then(|size| u64::try_from(size).map_err(|_| format!("the size {size} is out of range")))
            .map_err(|reason| self.blocks.malformed(at, reason))
    }

    fn read_member(&mut self, header: &Header, in_header: u64, extended: Extended, offset: u64) -> Result<Member> {
        let typeflag = header.as_old().linkflag[0];
        let room = extended.room(&self.globals);
        let mut overrides = extended.resolve(&self.globals).map_err(|reason| self.blocks.malformed(offset, reason))?;
        let mut anomalies = std::mem::take(&mut self.pending);
        anomalies.append(&mut overrides.anomalies);
        let mut size = overrides.size.unwrap_or(in_header);
        if size != in_header && size <= MAX_LONG {
            anomalies.push(Anomaly::ConflictingSize { header: in_header, pax: size });
        }
        if !has_content(typeflag) && size > 0 {
            anomalies.push(Anomaly::SizeWithoutContent(size));
            size = 0;
        }

        let name = member_name(header, &mut overrides, &mut anomalies);
        let mut stored = size;
        let map = self.sparse_map(header, &mut overrides, &mut stored)?;
        let content_offset = self.blocks.position();
        let (layout, logical) = match map {
            None => (ContentLayout::Dense, size),
            Some(map) => {
                anomalies.push(Anomaly::Sparse);
                match map.and_then(|map| self.count_holes(map, stored)) {
                    Ok(map) => {
                        let logical = map.size();
                        (ContentLayout::Sparse(map), logical)
                    }
                    Err(reason) => {
                        overrides.problem.get_or_insert(reason);
                        (ContentLayout::Hidden, 0)
                    }
                }
            }
        };
        let unapplied = std::mem::take(&mut overrides.unapplied);
        let entry = entry(header, overrides, &name, logical, &mut anomalies).map_err(|reason| {
            let (archive, name) = (self.blocks.archive(), name.escape_ascii());
            Error::malformed(format!("{archive}: member `{name}` at byte {offset}"), reason)
        });
        if let Ok(entry) = &entry {
            // None of them has become part of the entry.
            anomalies.extend(no_numbers(header));
            self.count_room(entry, room)?;
        }
        let layout = match &entry {
            Ok(Entry { kind: Kind::File { .. }, .. }) => layout,
            _ => ContentLayout::Hidden,
        };
        self.state = State::InMember(MemberContent::new(size, stored, layout));
        Ok(Member { entry, name, offset, content_offset, content_size: stored, unapplied, anomalies })
    }

    /// Adds to the room for entries, names and attributes: what an entry is called and links to, and each directory
    /// that may have to be made for it.
    fn count_room(&mut self, entry: &Entry, attributes: u64) -> Result<()> {
        let path = entry.path.as_bytes();
        let known = path.iter().zip(self.last.as_bytes()).take_while(|(a, b)| a == b).count();
        let slashes = path.iter().enumerate().skip(known).filter(|(_, byte)| **byte == b'/');
        let directories: u64 = slashes.map(|(at, _)| (at as u64).saturating_add(ENTRY_ROOM)).sum();
        let target = entry.kind.target().map_or(0, |target| target.len());
        let room = [ENTRY_ROOM, path.len() as u64, directories, target as u64, attributes];
        self.metadata = room.into_iter().fold(self.metadata, u64::saturating_add);
        self.last = entry.path.clone();
        let room = self.limits.check_metadata(self.metadata).map_err(io::Error::from);
        room.at("read", Path::new(self.blocks.archive()))
    }

    /// Refuses a sparse file whose holes are too many, together with those before it.
    fn count_holes(&mut self, map: Map, stored: u64) -> Result<Map, String> {
        let holes = map.size().saturating_sub(stored);
        match self.holes.checked_add(holes).filter(|total| *total <= HOLE_LIMIT) {
            Some(total) => self.holes = total,
            None => return Err(format!("the holes of sparse files go up to {HOLE_LIMIT} bytes, found {holes} more")),
        }
        Ok(map)
    }

    /// Returns the map of a sparse file, or `None` if the member is not one.
    fn sparse_map(
        &mut self,
        header: &Header,
        overrides: &mut Overrides,
        stored: &mut u64,
    ) -> Result<Option<Result<Map, String>>> {
        let typeflag = header.as_old().linkflag[0];
        match overrides.sparse.take() {
            _ if typeflag == b'S' => old_map(header, &mut self.blocks, *stored).map(Some),
            Some(description) if has_content(typeflag) => description.map(&mut self.blocks, stored).map(Some),
            _ => Ok(None),
        }
    }
}

/// The content of the current member; nothing if it is not a regular file.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.state {
            State::InMember(content) => content.read(&mut self.blocks, buffer),
            _ => Ok(0),
        }
    }
}
