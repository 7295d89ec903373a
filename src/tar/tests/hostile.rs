use std::io::{self, Read};

use ::tar::Header;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{read, Raw};
use crate::limits::Limits;
use crate::tar::{Reader, EXTENDED_HEADER_LIMIT, HOLE_LIMIT, NAME_LIMIT};

/// Returns the error that stops the reader.
fn stop(archive: &[u8]) -> String {
    let error = read(archive).unwrap_err().to_string();
    error.strip_prefix("test.tar: ").unwrap_or(&error).to_owned()
}

#[test]
fn headers_that_leave_open_where_the_next_begins_stop_the_reader() {
    let mut damaged = Raw::default().file("f", b"").end();
    damaged[0] = b'g';
    assert_eq!(stop(&damaged), "at byte 0: this is not a tar archive");
    assert_eq!(stop(&[1; 512]), "at byte 0: this is not a tar archive");
    assert_eq!(stop(&[1; 511]), "at byte 0: this is not a tar archive");
    let mut damaged = Raw::default().file("f", b"").file("g", b"").end();
    damaged[512] = b'h';
    assert_eq!(stop(&damaged), "at byte 512: no tar header: the checksum is wrong");

    let after = |raw: Raw| stop(&raw.0);
    let first = || Raw::default().file("first", b"");
    let negative = |header: &mut Header| header.as_old_mut().size = [0xff; 12];
    assert_eq!(after(first().member(b'0', "f", b"", negative)), "at byte 512: the size -1 is out of range");
    let huge = |header: &mut Header| header.as_old_mut().size = *b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(
        after(first().member(b'0', "f", b"", huge)),
        "at byte 512: the size 18446744073709551615 is out of range"
    );
    let text = |header: &mut Header| header.as_old_mut().size = *b"about twelve";
    assert_eq!(
        after(first().member(b'0', "f", b"", text)),
        "at byte 512: the size should be a number, found `about twelve`"
    );
    for size in ["-1", "9223372036854775808", "0x1", "1.5"] {
        let raw = first().pax(b'x', &[("size", size.as_bytes())]).file("f", b"");
        assert_eq!(after(raw), format!("at byte 512: PAX record `size`: `{size}` is not accepted"));
    }
    assert_eq!(
        after(first().member(b'x', "x", b"12 nothing", |_| {}).file("f", b"")),
        "at byte 512: extended header: PAX record at byte 0 of its header: it is longer than its header"
    );
    assert_eq!(
        stop(&first().pax(b'x', &[("path", b"a")]).end()),
        "at byte 1536: an extended header needs a member after it"
    );
    assert_eq!(after(first().pax(b'x', &[])), "at byte 1024: an extended header needs a member after it");
}

#[test]
fn archives_that_are_cut_off_stop_the_reader() {
    let archive = Raw::default().pax(b'x', &[("path", b"long")]).file("f", &[b'x'; 700]).0;
    let content_end = 3 * 512 + 700;
    for length in 1..content_end {
        let error = stop(&archive[..length]);
        let expected = match length {
            1024 => "at byte 1024: an extended header needs a member after it".to_owned(),
            ..=511 => "at byte 0: this is not a tar archive".to_owned(),
            _ => format!("at byte {length}: the archive is cut off"),
        };
        assert_eq!(error, expected, "{length}");
    }
}

#[test]
fn nothing_comes_after_an_error() {
    let archive = [&[1; 512][..], &Raw::default().file("f", b"").end()].concat();
    let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
    reader.next_member().unwrap_err();
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
    let error = reader.next_member().unwrap_err().to_string();
    assert_eq!(error, "test.tar: at byte 512: nothing can be read after an error");
    reader.finish().unwrap_err();
}

#[test]
fn extended_headers_are_bounded() {
    let limit = EXTENDED_HEADER_LIMIT;
    for typeflag in *b"xgLK" {
        let claims = |size: u64| Raw::default().member(typeflag, "x", b"", |header| header.set_size(size)).0;
        let error = stop(&claims(limit + 1));
        assert_eq!(error, "at byte 512: a header goes up to 1048576 bytes, found 1048577");
        assert_eq!(stop(&claims(limit)), "at byte 512: the archive is cut off");
    }
    let many = (0..17).fold(Raw::default(), |raw, _| raw.pax(b'g', &[("comment", b"x")]));
    assert!(stop(&many.file("f", b"").end()).ends_with("a member has up to 16 extended headers, found more"));

    // Global records may not pile up over many members either.
    let value = vec![b'x'; 400_000];
    let global = |raw: Raw, key: &str| raw.pax(b'g', &[(key, &value)]).file(key, b"");
    let same = (0..4).fold(Raw::default(), |raw, _| global(raw, "comment"));
    assert_eq!(read(&same.end()).unwrap().0.len(), 4);
    let piled = ["a", "b", "c"].iter().fold(Raw::default(), |raw, key| global(raw, key));
    assert!(stop(&piled.end()).contains("global headers go up to 1048576 bytes, found 1200003"));
}

#[test]
fn holes_of_sparse_files_are_bounded_all_together() {
    let sparse = |raw: Raw, size: u64| {
        let size = size.to_string();
        let records: [(&str, &[u8]); 2] = [("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", b"0,1")];
        raw.pax(b'x', &records).file("f", b"x")
    };
    let refusals = |raw: Raw| {
        let archive = raw.end();
        let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
        let mut refusals = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            refusals.push(member.entry.is_err());
        }
        refusals
    };
    let half = HOLE_LIMIT / 2;
    assert_eq!(refusals(sparse(Raw::default(), HOLE_LIMIT + 1)), [false]);
    assert_eq!(refusals(sparse(Raw::default(), HOLE_LIMIT + 2)), [true]);
    let three = sparse(sparse(sparse(Raw::default(), half + 1), half + 2), half + 1);
    assert_eq!(refusals(three), [false, true, false]);
}

#[test]
fn names_are_bounded() {
    let name = |length: usize| Raw::default().pax(b'x', &[("path", "n".repeat(length).as_bytes())]).file("f", b"");
    assert_eq!(name(NAME_LIMIT).odd().1.path.as_bytes().len(), NAME_LIMIT);
    assert!(name(NAME_LIMIT + 1).refusal().ends_with("a name goes up to 65536 bytes, found 65537"));
    let target = |typeflag: u8, length: usize| {
        let records = [("linkpath", "n".repeat(length))];
        let records = records.each_ref().map(|(key, value)| (*key, value.as_bytes()));
        Raw::default().pax(b'x', &records).member(typeflag, "l", b"", |_| {})
    };
    for typeflag in *b"12" {
        let _ = target(typeflag, NAME_LIMIT).odd();
        assert!(target(typeflag, NAME_LIMIT + 1).refusal().ends_with("a target goes up to 65536 bytes, found 65537"));
    }
}

/// A source that fails after some bytes.
struct Breaking<'a>(&'a [u8]);

impl Read for Breaking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(crate::Error::malformed("blob", "broken").into()),
            read => Ok(read),
        }
    }
}

#[test]
fn errors_of_the_source_come_through_as_they_are() {
    let archive = Raw::default().file("f", &[b'x'; 1000]).0;
    for length in [0, 100, 512, 1000, archive.len()] {
        let error = Reader::new(Breaking(&archive[..length]), "test.tar", Limits::default()).finish().unwrap_err();
        assert_eq!(error.to_string(), "blob: broken", "{length}");
    }
}

/// Headers with a correct checksum and arbitrary fields, so that damage gets past the checksum.
fn headers() -> impl Strategy<Value = Raw> {
    let typeflag = prop_oneof![proptest::sample::select(b"0123456789xgLKSV\0".as_slice()), any::<u8>()];
    let size = prop_oneof![Just(0_usize), 0..600_usize];
    let field = (0..512_usize, vec(prop_oneof![any::<u8>(), b'0'..=b'7', Just(0)], 0..12));
    let gnu = any::<bool>();
    let body = prop_oneof![
        vec(any::<u8>(), 600),
        Just(b"27 GNU.sparse.realsize=1000\n26 GNU.sparse.map=0,2,600,4\n22 GNU.sparse.major=1\n".repeat(8)),
        Just(b"13 path=a/../\n11 size=513\n".repeat(30)),
        Just(b"3\n0\n2\n600\n4\n1000\n0\n".repeat(40)),
    ];
    vec((typeflag, size, vec(field, 0..3), gnu, body), 1..8).prop_map(|members| {
        members.into_iter().fold(Raw::default(), |raw, (typeflag, size, fields, gnu, body)| {
            raw.member(typeflag, "name", &body[..size], |header| {
                if gnu {
                    header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
                }
                for (at, bytes) in fields {
                    let end = (at + bytes.len()).min(512);
                    header.as_mut_bytes()[at..end].copy_from_slice(&bytes[..end - at]);
                }
            })
        })
    })
}

#[test]
fn entries_with_short_names_take_room_too() {
    let read = |names: &[&str], metadata| {
        let archive = names.iter().fold(Raw::default(), |raw, name| raw.member(b'0', name, b"", |_| ())).end();
        let limits = Limits { metadata, ..Limits::default() };
        let mut reader = Reader::new(archive.as_slice(), "test.tar", limits);
        while reader.next_member()?.is_some() {}
        Ok::<_, crate::Error>(())
    };
    assert!(read(&["a", "b", "c"], 3 * 129).is_ok());
    // A directory that has no member of its own is an entry.
    for names in [&["a", "b", "c"][..], &["a", "d/b"]] {
        let error = read(names, 3 * 129 - 1).unwrap_err().to_string();
        assert!(error.contains("its entries, names and attributes take more than 386 bytes"), "{error}");
    }
}

/// Reads everything, but only the beginning of each content: a sparse file may have any size.
fn read_some(archive: &[u8]) -> Result<u64, crate::Error> {
    let mut reader = Reader::new(archive, "test.tar", Limits::default());
    while let Some(member) = reader.next_member()? {
        assert!(member.offset < member.content_offset && member.content_offset <= archive.len() as u64);
        let _ = (&mut reader).take(2000).read_to_end(&mut Vec::new());
        let _ = member.anomalies.iter().map(ToString::to_string).collect::<String>();
    }
    Ok(reader.finish()?.size)
}

proptest! {
    #[test]
    fn headers_of_anything_never_panic(raw in headers()) {
        let archive = raw.end();
        if let Ok(size) = read_some(&archive) {
            prop_assert_eq!(size, archive.len() as u64);
        }
    }

    #[test]
    fn bytes_of_anything_never_panic(archive in vec(any::<u8>(), 0..3000)) {
        let _ = read_some(&archive);
    }
}
