//! Whole archives: what the writer writes, and what the reader makes of those of other writers.

mod hostile;
mod reading;
mod round_trip;
mod writing;

use std::io::Read;

use ::tar::Header;

use crate::error::Result;
use crate::limits::Limits;
use crate::tar::pax::Records;
use crate::tar::{padding, Anomaly, End, Member, Reader, Writer, BLOCK};
use crate::tree::{Entry, Kind, Metadata, TarPath};

fn path(name: impl AsRef<[u8]>) -> TarPath {
    TarPath::parse(name.as_ref()).unwrap()
}

fn entry(name: impl AsRef<[u8]>, kind: Kind) -> Entry {
    let metadata = Metadata { mode: 0o644, uid: 1, gid: 2, mtime: 3.into(), ..Metadata::default() };
    Entry { path: path(name), metadata, kind }
}

fn file(name: impl AsRef<[u8]>, size: u64) -> Entry {
    entry(name, Kind::File { size })
}

/// Writes an archive of one entry whose content is all `x`.
fn written(entry: &Entry) -> Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    writer.append(entry, &mut std::io::repeat(b'x').take(entry.size()))?;
    Ok(writer.finish().unwrap())
}

/// A member and its content.
type Whole = (Member, Vec<u8>);

/// Reads everything in an archive.
fn read(archive: &[u8]) -> Result<(Vec<Whole>, End)> {
    let mut reader = Reader::new(archive, "test.tar", Limits::default());
    let mut members = Vec::new();
    while let Some(member) = reader.next_member()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(|error| crate::Error::refused(error.to_string()))?;
        members.push((member, content));
    }
    Ok((members, reader.finish()?))
}

/// An archive put together by hand, block by block, to hold what the writer would not write.
#[derive(Default, Debug)]
struct Raw(Vec<u8>);

impl Raw {
    /// Adds a member with some content; `change` edits its header before the checksum is made.
    fn member(mut self, typeflag: u8, name: &str, content: &[u8], change: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().linkflag = [typeflag];
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_uid(1);
        header.set_gid(2);
        header.set_mtime(3);
        header.set_size(content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len() + padding(content.len() as u64), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.member(b'0', name, content, |_| {})
    }

    /// Adds an extended header of type `x` or `g`.
    fn pax(self, typeflag: u8, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let mut record = Records::default();
            record.insert(*key, *value);
            body.extend(record.encode());
        }
        self.member(typeflag, "PaxHeaders/0", &body, |_| {})
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    /// Returns the only member of the archive.
    fn only(self) -> Whole {
        let (mut members, end) = read(&self.end()).unwrap();
        assert_eq!(end.anomalies, []);
        assert_eq!(members.len(), 1);
        members.remove(0)
    }

    /// Returns what is odd about the only member, and its entry.
    fn odd(self) -> (Vec<Anomaly>, Entry) {
        let (member, _) = self.only();
        (member.anomalies, member.entry.unwrap())
    }

    /// Returns why there is no entry.
    fn refusal(self) -> String {
        self.only().0.entry.unwrap_err().to_string()
    }
}
