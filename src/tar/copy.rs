//! Copies a tar byte for byte.

use std::io::{self, Read};

use tar::Header;

use crate::tar::blocks::fill;
use crate::tar::extended::{Extension, SOLARIS_PAX};
use crate::tar::header::{checksum, number};
use crate::tar::member::has_content;
use crate::tar::{first, is_zero, padding, pax, Edge, Output, BLOCK, EXTENDED_HEADER_LIMIT};

/// Copies a tar unchanged and tells `output` where entries start, so that a compressing output cuts it into the same
/// blocks as if [`Writer`](crate::tar::Writer) had written it.
///
/// Nothing is refused: where the headers can no longer be followed, the rest is copied without edges.
///
/// # Errors
///
/// Those of `source` and of `output`.
pub(crate) fn copy(source: &mut dyn Read, output: &mut impl Output) -> io::Result<()> {
    // The headers of the current entry, including extended ones.
    let mut headers = Vec::new();
    let mut size_record = None;
    loop {
        let mut header = Header::new_old();
        let length = fill(header.as_mut_bytes(), |room| source.read(room))?;
        headers.extend_from_slice(first(header.as_bytes(), length as u64));
        let Some(stored) = stored_size(&header).filter(|_| length == BLOCK) else { break };
        let typeflag = header.as_old().linkflag[0];
        if Extension::of(typeflag).is_some() {
            // More than any writer puts before one entry.
            if stored > EXTENDED_HEADER_LIMIT || headers.len() as u64 > 2 * EXTENDED_HEADER_LIMIT {
                break;
            }
            let whole = stored.saturating_add(padding(stored) as u64);
            let before = headers.len();
            source.take(whole).read_to_end(&mut headers)?;
            if matches!(typeflag, b'x' | SOLARIS_PAX) {
                let body = headers.get(before..).unwrap_or_default();
                size_record = size_in(first(body, stored));
            }
            continue;
        }
        let size = size_record.take().unwrap_or(stored);
        let content = if has_content(typeflag) { size } else { 0 };
        output.entry_edge(Edge::before(&headers, content));
        output.write_all(&headers)?;
        headers.clear();
        // After the header of an old sparse file, more of its map may follow.
        let Some(whole) = content.checked_add(padding(content) as u64).filter(|_| typeflag != b'S') else { break };
        output.read_from(source, whole)?;
    }
    output.write_all(&headers)?;
    output.read_from(source, u64::MAX)?;
    Ok(())
}

/// Returns how many bytes follow a header, or `None` if it is not a header.
fn stored_size(header: &Header) -> Option<u64> {
    if is_zero(header.as_bytes()) {
        return None;
    }
    checksum(header)?;
    number(&header.as_old().size).and_then(|size| u64::try_from(size.value).ok())
}

/// Returns the size in the records of a PAX header, or `None` if there is none.
fn size_in(body: &[u8]) -> Option<u64> {
    let records = pax::parse(body).ok()?;
    let (_, size) = records.into_iter().rev().find(|(key, _)| *key == b"size")?;
    std::str::from_utf8(size).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::tar::Writer;
    use crate::tree::{Entry, Kind, Metadata, TarPath};

    /// Keeps the bytes and where entries start.
    #[derive(Default)]
    struct Edges(Vec<u8>, Vec<(usize, Edge)>);

    impl Write for Edges {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Edges {
        fn entry_edge(&mut self, edge: Edge) {
            self.1.push((self.0.len(), edge));
        }
    }

    impl Edges {
        fn places(&self) -> Vec<usize> {
            self.1.iter().map(|(place, _)| *place).collect()
        }
    }

    fn written() -> Edges {
        let mut writer = Writer::new(Edges::default());
        let long = "x".repeat(300);
        for (path, kind) in [
            ("d", Kind::Directory),
            ("d/file", Kind::File { size: 700 }),
            (&long, Kind::File { size: 512 }),
            ("empty", Kind::File { size: 0 }),
            ("link", Kind::Symlink { target: long.as_bytes().to_vec().into() }),
            ("name", Kind::Hardlink { target: TarPath::parse(b"empty").unwrap().into() }),
        ] {
            let path = TarPath::parse(path.as_bytes()).unwrap();
            let entry = Entry { path, metadata: Metadata::default(), kind };
            writer.append(&entry, &mut io::repeat(7).take(entry.size())).unwrap();
        }
        writer.finish().unwrap()
    }

    fn copied(tar: &[u8]) -> Edges {
        let mut edges = Edges::default();
        copy(&mut &*tar, &mut edges).unwrap();
        assert!(edges.0 == tar, "other bytes");
        edges
    }

    #[test]
    fn entries_start_where_they_were_written() {
        let tar = written();
        assert_eq!(tar.1.len(), 6);
        assert_eq!(copied(&tar.0).1, tar.1);
    }

    #[test]
    fn whatever_it_is_it_arrives() {
        let tar = written().0;
        for length in [0, 1, 511, 512, 513, 2000, tar.len() - 1] {
            copied(&tar[..length]);
        }
        let mut damaged = tar.clone();
        damaged[BLOCK + 10] ^= 1;
        assert_eq!(copied(&damaged).places(), [0]);
        copied(&[&tar[..], b"something after the end"].concat());
        copied(&[1; 5000]);
    }

    #[test]
    fn a_size_of_pax_holds_over_that_of_the_header() {
        let records = b"12 size=700\n";
        let header = |typeflag: u8, size: usize| {
            let mut header = Header::new_ustar();
            header.as_old_mut().linkflag = [typeflag];
            header.set_size(size as u64);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        let mut extended = records.to_vec();
        extended.resize(BLOCK, 0);
        let tar = [header(b'x', records.len()), extended, header(b'0', 0), vec![7; 1024], header(b'0', 0)].concat();
        assert_eq!(copied(&tar).places(), [0, 5 * BLOCK]);
        assert_eq!(copied(&tar).1[0].1.size, 700);
        let largest = b"29 size=18446744073709551615\n";
        let mut extended = largest.to_vec();
        extended.resize(BLOCK, 0);
        copied(&[header(b'x', largest.len()), extended, header(b'0', 0), vec![7; 1024]].concat());
    }
}
