//! Any archive is read to its end or to an error, and what was read can be written and read again.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use ocibake::limits::Limits;
use ocibake::tar::{Reader, Writer};
use ocibake::tree::{Entry, Kind};
use ocibake_fuzz::set_checksums;

/// A sparse file may claim to be of any size.
const CONTENT_LIMIT: u64 = 1 << 20;

fuzz_target!(|archive: &[u8]| {
    let mut archive = archive.to_vec();
    set_checksums(&mut archive);
    let mut reader = Reader::new(archive.as_slice(), "fuzz.tar", Limits::default());
    let mut behind = 0;
    while let Ok(Some(member)) = reader.next_member() {
        assert!(behind <= member.offset && member.offset < member.content_offset);
        assert!(member.content_offset <= archive.len() as u64);
        behind = member.content_offset;
        let mut content = Vec::new();
        let read = (&mut reader).take(CONTENT_LIMIT).read_to_end(&mut content);
        let anomalies: String = member.anomalies.iter().map(ToString::to_string).collect();
        assert_eq!(anomalies.is_empty(), member.anomalies.is_empty());
        if let (Ok(entry), Ok(_)) = (&member.entry, read) {
            let is_whole = entry.size() <= CONTENT_LIMIT;
            assert_eq!(content.len() as u64, entry.size().min(CONTENT_LIMIT));
            if is_whole {
                write_and_read(entry, &content);
            }
        }
    }
    let mut reader = Reader::new(archive.as_slice(), "fuzz.tar", Limits::default());
    let is_readable = std::iter::from_fn(|| reader.next_member().transpose()).all(|member| member.is_ok());
    match reader.finish() {
        Ok(end) => assert_eq!((end.size, true), (archive.len() as u64, is_readable)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn write_and_read(entry: &Entry, content: &[u8]) {
    let mut writer = Writer::new(Vec::new());
    if writer.append(entry, &mut &content[..]).is_err() {
        // Its attributes go beyond what an extended header may have.
        return;
    }
    let archive = writer.finish().unwrap();
    let mut reader = Reader::new(archive.as_slice(), "written.tar", Limits::default());
    let member = reader.next_member().unwrap().unwrap();
    assert_eq!(member.entry.unwrap(), *entry);
    assert_eq!(member.anomalies, []);
    let mut again = Vec::new();
    reader.read_to_end(&mut again).unwrap();
    assert!(again == content || !matches!(entry.kind, Kind::File { .. }));
    assert_eq!(reader.finish().unwrap().anomalies, []);
}
