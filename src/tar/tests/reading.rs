use std::io::Read;

use ::tar::Header;

use super::{path, read, Raw};
use crate::limits::Limits;
use crate::tar::{Anomaly, Reader};
use crate::tree::{Device, Kind, Mtime};

type Change = fn(&mut Header);

#[test]
fn types() {
    use Anomaly::{AbsoluteLink, FileNamedAsDirectory, OldTypeflag, RareType, TrailingSlash};
    let to = |target: &'static str| Kind::Symlink { target: target.as_bytes().into() };
    let hard = |target: &str| Kind::Hardlink { target: path(target).into() };
    let numbers = Device { major: 8, minor: 1 };
    let table: [(u8, &str, &str, Kind, &[Anomaly]); 14] = [
        (b'0', "f", "", Kind::File { size: 0 }, &[]),
        (b'1', "f", "./a/b", hard("a/b"), &[]),
        (b'1', "f", "/a", hard("a"), &[AbsoluteLink]),
        (b'2', "f", "../../x/", to("../../x/"), &[]),
        (b'3', "f", "", Kind::CharDevice(numbers), &[]),
        (b'4', "f", "", Kind::BlockDevice(numbers), &[]),
        (b'5', "f", "", Kind::Directory, &[]),
        (b'5', "f/", "", Kind::Directory, &[]),
        (b'6', "f", "", Kind::Fifo, &[]),
        (b'6', "f/", "", Kind::Fifo, &[TrailingSlash]),
        (b'7', "f", "", Kind::File { size: 0 }, &[RareType(b'7')]),
        (0, "f", "", Kind::File { size: 0 }, &[OldTypeflag]),
        (0, "f/", "", Kind::Directory, &[OldTypeflag]),
        (b'0', "f/", "", Kind::Directory, &[FileNamedAsDirectory]),
    ];
    for (typeflag, name, link, kind, expected) in table {
        let raw = Raw::default().member(typeflag, name, b"", |header| {
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_device_major(8).unwrap();
            header.set_device_minor(1).unwrap();
        });
        let (anomalies, entry) = raw.odd();
        assert_eq!(entry.path, path("f"));
        assert_eq!((entry.kind, &*anomalies), (kind, expected), "type {typeflag} {name} {link}");
    }
}

/// Whoever unpacks it would own a file of this owner, since chown(2) takes the number for "unchanged".
#[test]
fn the_largest_id_stands_for_nobody() {
    for keyword in ["uid", "gid"] {
        let (member, _) =
            Raw::default().pax(b'x', &[(keyword, b"4294967295".as_slice())]).member(b'0', "f", b"", |_| {}).only();
        let error = member.entry.unwrap_err().to_string();
        assert!(error.contains(&format!("the {keyword} 4294967295 stands for nobody")), "{error}");
    }
}

#[test]
fn no_content_is_lost_to_a_name_of_a_directory() {
    // Some readers take these for files, and others for directories.
    for typeflag in [b'0', b'7', b'S', 0] {
        let archive = Raw::default().member(typeflag, "d/", b"content", |_| {}).file("next", b"").end();
        let (members, _) = read(&archive).unwrap();
        let error = members[0].0.entry.as_ref().unwrap_err().to_string();
        assert!(error.contains("a file has the name of a directory"), "{error}");
        assert_eq!(members[1].0.name, b"next");
    }
    for typeflag in [b'0', b'7', 0] {
        let (member, content) = Raw::default().member(typeflag, "f", b"content", |_| {}).only();
        assert_eq!((member.entry.unwrap().size(), content), (7, b"content".to_vec()));
    }
}

#[test]
fn names_are_normalised_and_odd_ones_told() {
    let table: [(&str, &str, &[Anomaly]); 10] = [
        ("./a", "a", &[]),
        ("./a/b/", "a/b", &[]),
        ("./", "", &[]),
        (".", "", &[]),
        ("/", "", &[Anomaly::AbsoluteName]),
        ("/a", "a", &[Anomaly::AbsoluteName]),
        ("//a", "a", &[Anomaly::AbsoluteName, Anomaly::RedundantComponent]),
        ("a/./b", "a/b", &[Anomaly::RedundantComponent]),
        ("a//b", "a/b", &[Anomaly::RedundantComponent]),
        ("././a", "a", &[Anomaly::RedundantComponent]),
    ];
    for (name, expected, anomalies) in table {
        let (member, _) = Raw::default().member(b'5', name, b"", |_| {}).only();
        assert_eq!(member.name, name.as_bytes());
        assert_eq!((member.entry.unwrap().path, &*member.anomalies), (path(expected), anomalies), "{name}");
    }
}

#[test]
fn members_without_an_entry_say_why_and_do_not_stop_the_reader() {
    let table = [
        ("../a", b'0', "`..` leads out of the tree"),
        ("a/../b", b'5', "`..` leads out of the tree"),
        ("", b'0', "it has no name"),
        ("./", b'2', "a symbolic link needs a target"),
        ("./", b'6', "the root of an image can only be a directory"),
        (".", b'0', "the root of an image can only be a directory"),
        ("a", b'1', "a hard link needs a target"),
        ("a", b'2', "a symbolic link needs a target"),
        ("a", b'Z', "a layer holds no members of type `Z`"),
    ];
    for (name, typeflag, reason) in table {
        let content: &[u8] = if typeflag == b'0' || typeflag == b'Z' { b"content" } else { b"" };
        let archive = Raw::default().member(typeflag, name, content, |_| {}).file("next", b"").end();
        let (members, _) = read(&archive).unwrap();
        let (member, content) = &members[0];
        let expected = format!("test.tar: member `{name}` at byte 0: {reason}");
        assert_eq!(member.entry.as_ref().unwrap_err().to_string(), expected);
        assert_eq!(content, b"");
        assert_eq!(members[1].0.entry.as_ref().unwrap().path, path("next"));
    }
    let refusal = Raw::default().member(b'1', "a", b"", |h| h.as_old_mut().linkname[..4].copy_from_slice(b"../b"));
    assert!(refusal.refusal().ends_with("the target of the hard link: name `../b`: `..` leads out of the tree"));
}

#[test]
fn numbers_of_the_header() {
    let (anomalies, entry) = Raw::default().member(b'0', "f", b"", |header| header.set_mode(0o100_4755)).odd();
    assert_eq!((entry.metadata.mode, anomalies), (0o4755, vec![Anomaly::TypeBits(0o100_4755)]));

    let binary = |header: &mut Header| {
        header.set_uid(3_000_000_000);
        header.as_old_mut().mtime = *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe";
    };
    let (anomalies, entry) = Raw::default().member(b'0', "f", b"", binary).odd();
    assert_eq!((entry.metadata.uid, entry.metadata.mtime), (3_000_000_000, (-2).into()));
    assert_eq!(anomalies, [Anomaly::BinaryNumber("uid"), Anomaly::BinaryNumber("mtime")]);

    let table: [(Change, &str); 4] = [
        (|header| header.set_gid(1 << 32), "the gid 4294967296 is out of range"),
        (|header| header.as_old_mut().uid = *b"12x\0\0\0\0\0", "the uid should be a number, found `12x"),
        (|header| header.as_old_mut().mtime = *b"\xbf-----------", "out of range"),
        (|header| header.as_old_mut().mode = [0xff; 8], "the mode -1 is out of range"),
    ];
    for (change, expected) in table {
        let refusal = Raw::default().member(b'0', "f", b"", change).refusal();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn types_without_content_have_none_whatever_the_size_says() {
    for typeflag in b'1'..=b'6' {
        let size = |header: &mut Header| {
            header.set_size(512);
            header.as_old_mut().linkname[0] = b'x';
        };
        let archive = Raw::default().member(typeflag, "f", b"", size).file("next", b"").end();
        let (members, _) = read(&archive).unwrap();
        assert_eq!(members[0].0.anomalies, [Anomaly::SizeWithoutContent(512)]);
        assert_eq!(members[1].0.name, b"next");
    }
}

#[test]
fn headers_of_before_ustar_and_signed_checksums() {
    let old = |header: &mut Header| header.as_mut_bytes()[257..].fill(0);
    let (anomalies, entry) = Raw::default().member(0, "f", b"", old).odd();
    assert_eq!((entry.path, anomalies), (path("f"), vec![Anomaly::OldFormat, Anomaly::OldTypeflag]));

    let mut archive = Raw::default().member(b'0', "\u{fc}", b"", |_| {}).end();
    let sum = Header::from_byte_slice(&archive[..512]).cksum().unwrap() - 2 * 256;
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let (members, _) = read(&archive).unwrap();
    assert_eq!(members[0].0.anomalies, [Anomaly::SignedChecksum]);
}

#[test]
fn what_makes_others_end_is_told_where_nothing_depends_on_it() {
    let table: [(u8, Change, Anomaly); 7] = [
        (b'x', |header| header.as_mut_bytes()[262..265].copy_from_slice(b"  \0"), Anomaly::ExtendedOldFormat),
        (b'x', |header| header.as_mut_bytes()[136] = 0x80, Anomaly::NoNumber("mtime")),
        (b'0', |header| header.as_mut_bytes()[264] = b'1', Anomaly::OddVersion),
        (b'x', |header| header.as_mut_bytes()[264] = b' ', Anomaly::OddVersion),
        (b'0', |header| header.as_mut_bytes()[329..331].copy_from_slice(b"0D"), Anomaly::NoNumber("device major")),
        (b'x', |header| header.as_mut_bytes()[136..138].copy_from_slice(b"09"), Anomaly::NoNumber("mtime")),
        (b'x', |header| header.as_mut_bytes()[261] = b'g', Anomaly::ExtendedOldFormat),
    ];
    for (typeflag, change, expected) in table {
        let archive = Raw::default().member(typeflag, "f", b"12 uid=1234\n", change).file("next", b"").end();
        let (members, _) = read(&archive).unwrap();
        assert_eq!(members[0].0.anomalies, [expected]);
    }
    // A device has no other numbers.
    let device: Change = |header| header.as_mut_bytes()[329..331].copy_from_slice(b"0D");
    let (member, _) = Raw::default().member(b'3', "f", b"", device).only();
    let error = member.entry.unwrap_err().to_string();
    assert!(error.contains("the device major should be a number"), "{error}");
    assert_eq!(member.anomalies, []);
}

#[test]
fn pax_holds_over_the_header() {
    let records: [(&str, &[u8]); 7] = [
        ("path", b"./a\nb/\xff"),
        ("uid", b"4294967294"),
        ("gid", b"0"),
        ("mtime", b"-1.5"),
        ("SCHILY.xattr.user.x", b"\n9 path=x\n"),
        ("LIBARCHIVE.xattr.user.%3D", b"AAo"),
        ("LIBARCHIVE.xattr.user.x", b"CjkgcGF0aD14Cg"),
    ];
    let (anomalies, entry) = Raw::default().pax(b'x', &records).file("f", b"").odd();
    assert_eq!(anomalies, [Anomaly::LibarchiveXattr(b"user.="[..].into())]);
    assert_eq!(entry.path, path(b"a\nb/\xff"));
    assert_eq!(
        (entry.metadata.uid, entry.metadata.gid, entry.metadata.mtime),
        (u32::MAX - 1, 0, Mtime::new(-2, 500_000_000).unwrap())
    );
    let xattrs: Vec<_> = entry.metadata.xattrs.into_iter().map(|(name, value)| (name, value.to_vec())).collect();
    assert_eq!(xattrs, [(b"user.=".to_vec(), b"\0\n".to_vec()), (b"user.x".to_vec(), b"\n9 path=x\n".to_vec())]);

    let long = "t".repeat(300);
    let linked = Raw::default().pax(b'x', &[("linkpath", long.as_bytes())]).member(b'2', "f", b"", |_| {});
    assert_eq!(linked.odd().1.kind, Kind::Symlink { target: long.as_bytes().into() });

    let numbers: [(&str, &[u8]); 2] = [("SCHILY.devmajor", b"4095"), ("SCHILY.devminor", b"1048575")];
    let device = Raw::default().pax(b'x', &numbers).member(b'3', "f", b"", |_| {});
    assert_eq!(device.odd().1.kind, Kind::CharDevice(Device { major: 4095, minor: 1_048_575 }));
    for (major, minor) in [("99999", "3"), ("4096", "0"), ("1", "1048576"), ("4000000000", "7")] {
        let numbers = [("SCHILY.devmajor", major.as_bytes()), ("SCHILY.devminor", minor.as_bytes())];
        let (member, _) = Raw::default().pax(b'x', &numbers).member(b'4', "f", b"", |_| {}).only();
        let error = member.entry.unwrap_err().to_string();
        assert!(error.contains(&format!("the device {major},{minor} is out of range")), "{error}");
    }
}

#[test]
fn the_pax_size_frames_the_content() {
    let archive = Raw::default()
        .pax(b'x', &[("size", b"600")])
        .member(b'0', "f", &[b'x'; 600], |header| header.set_size(0))
        .file("next", b"")
        .end();
    let (members, _) = read(&archive).unwrap();
    assert_eq!(members[0].1, [b'x'; 600]);
    assert_eq!(members[0].0.anomalies, [Anomaly::ConflictingSize { header: 0, pax: 600 }]);
    assert_eq!((members[1].0.name.as_slice(), members[1].0.offset), (&b"next"[..], 5 * 512));

    // The record exists for sizes that the header cannot hold.
    let archive = Raw::default().pax(b'x', &[("size", b"8589934592")]).file("f", b"").end();
    let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
    let member = reader.next_member().unwrap().unwrap();
    assert_eq!((member.entry.unwrap().size(), member.anomalies), (1 << 33, vec![]));
    assert_eq!(reader.finish().unwrap_err().to_string(), "test.tar: at byte 2560: the archive is cut off");
}

#[test]
fn empty_values_leave_the_field_to_the_header() {
    let global: [(&str, &[u8]); 3] = [("path", b"global"), ("uid", b"77"), ("gid", b"78")];
    let local: [(&str, &[u8]); 4] = [("path", b""), ("uid", b""), ("size", b""), ("SCHILY.xattr.user.x", b"")];
    let archive = Raw::default().pax(b'g', &global).pax(b'x', &local).file("f", b"").file("f", b"").end();
    let (mut members, _) = read(&archive).unwrap();
    let second = members.remove(1).0.entry.unwrap();
    let first = members.remove(0).0;
    let keywords = ["path", "uid", "gid"].map(|keyword| Anomaly::GlobalKeyword(keyword.as_bytes().into()));
    assert_eq!(first.anomalies, keywords);
    let first = first.entry.unwrap();
    assert_eq!((first.path, first.metadata.uid, first.metadata.gid), (path("f"), 1, 78));
    assert_eq!(&*first.metadata.xattrs[&b"user.x"[..]], b"");
    assert_eq!((second.path, second.metadata.uid), (path("global"), 77));
}

#[test]
fn gnu_long_names() {
    let long = "n".repeat(300);
    let nul = format!("{long}\0");
    let (anomalies, entry) = Raw::default().member(b'L', "././@LongLink", nul.as_bytes(), |_| {}).file("n", b"").odd();
    assert_eq!((entry.path, anomalies), (path(&long), vec![Anomaly::GnuLongName]));

    let raw = Raw::default().member(b'K', "././@LongLink", nul.as_bytes(), |_| {}).member(b'2', "l", b"", |_| {});
    let (anomalies, entry) = raw.odd();
    assert_eq!(entry.kind, Kind::Symlink { target: long.as_bytes().into() });
    assert_eq!(anomalies, [Anomaly::GnuLongLink]);

    let both = Raw::default().member(b'L', "L", nul.as_bytes(), |_| {}).pax(b'x', &[("path", b"pax")]).file("n", b"");
    let (anomalies, entry) = both.odd();
    assert_eq!((entry.path, anomalies), (path("pax"), vec![Anomaly::GnuLongName, Anomaly::NamedTwice]));
}

#[test]
fn odd_keywords_are_told_and_harmless_ones_are_not() {
    let harmless: [(&str, &[u8]); 8] = [
        ("atime", b"1.5"),
        ("ctime", b"2"),
        ("comment", b"\n"),
        ("uname", b"root"),
        ("gname", b"root"),
        ("LIBARCHIVE.creationtime", b"1"),
        ("GNU.volume.label", b"x"),
        ("hdrcharset", b"BINARY"),
    ];
    assert_eq!(Raw::default().pax(b'x', &harmless).file("f", b"").odd().0, []);
    let odd: [(&str, &[u8]); 6] = [
        ("VENDOR.x", b"1"),
        ("hdrcharset", b"latin1"),
        ("path", b"a"),
        ("path", b"b"),
        ("SCHILY.xattr.u", b"1"),
        ("LIBARCHIVE.xattr.u", b"Mg"),
    ];
    let (anomalies, entry) = Raw::default().pax(b'x', &odd).file("f", b"").odd();
    assert_eq!(entry.path, path("b"));
    assert_eq!(&*entry.metadata.xattrs[&b"u"[..]], b"1");
    assert_eq!(
        anomalies,
        [
            Anomaly::UnknownKeyword(b"VENDOR.x"[..].into()),
            Anomaly::UnknownKeyword(b"hdrcharset"[..].into()),
            Anomaly::RepeatedKeyword(b"path"[..].into()),
            Anomaly::ConflictingXattr(b"u"[..].into()),
        ]
    );
    let twice = Raw::default().pax(b'x', &[("uid", b"5"), ("gid", b"6")]).pax(b'x', &[("uid", b"7")]).file("f", b"");
    let (anomalies, entry) = twice.odd();
    assert_eq!((entry.metadata.uid, entry.metadata.gid, anomalies), (7, 6, vec![Anomaly::RepeatedHeader]));
}

#[test]
fn records_that_make_no_sense_spoil_their_member_alone() {
    let table: [(&str, &[u8], &str); 15] = [
        ("uid", b"-1", "PAX record `uid`: `-1` is not accepted"),
        ("gid", b"4294967296", "PAX record `gid`: `4294967296` is not accepted"),
        ("mtime", b"soon", "PAX record `mtime`: `soon` is not accepted"),
        ("path", b"a\0b", "a NUL byte is part of it"),
        ("path", b"../a", "`..` leads out of the tree"),
        ("LIBARCHIVE.xattr.a", b"!", "PAX record `LIBARCHIVE.xattr.a`: `!` is not accepted"),
        ("SCHILY.xattr.", b"1", "PAX record `SCHILY.xattr.`: `1` is not accepted"),
        ("GNU.sparse.map", b"1,x", "PAX record `GNU.sparse.map`: `1,x` is not accepted"),
        // Go's readers end at these.
        ("uname", b"a\0b", "PAX record `uname`: `a\\x00b` is not accepted"),
        ("gname", b"\0", "PAX record `gname`: `\\x00` is not accepted"),
        ("linkpath", b"a\0", "PAX record `linkpath`: `a\\x00` is not accepted"),
        ("atime", b"x", "PAX record `atime`: `x` is not accepted"),
        ("ctime", b"1.x", "PAX record `ctime`: `1.x` is not accepted"),
        ("GNU.sparse.size", b"3", "a sparse file without its map"),
        ("GNU.sparse.major", b"2", "the version of the sparse file is not accepted"),
    ];
    for (key, value, expected) in table {
        let refusal = Raw::default().pax(b'x', &[(key, value)]).file("f", b"abc").refusal();
        assert!(refusal.ends_with(expected), "{key}: {refusal}");
    }
    let (nul, hidden) = (b"7 a\0b=\n", b"11 path=\0a\n10 path=a\n");
    for (body, key) in [(&nul[..], "a\\x00b"), (hidden, "path")] {
        for typeflag in *b"xg" {
            let refusal = Raw::default().member(typeflag, "x", body, |_| {}).file("f", b"abc").refusal();
            assert!(refusal.contains(&format!("PAX record `{key}`: `")), "{refusal}");
        }
    }
    // Values are bytes elsewhere, and an empty one says nothing.
    let harmless: [(&str, &[u8]); 3] = [("comment", b"\0"), ("SCHILY.xattr.user.x", b"\0"), ("atime", b"")];
    assert_eq!(Raw::default().pax(b'x', &harmless).file("f", b"").odd().0, []);
}

#[test]
fn a_prefix_in_a_header_of_gnu_is_told_where_the_name_comes_from_it() {
    let gnu = |header: &mut Header| {
        header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
        header.as_mut_bytes()[345..348].copy_from_slice(b"a/b");
    };
    let (anomalies, entry) = Raw::default().member(b'0', "f", b"abc", gnu).odd();
    assert_eq!((entry.path, anomalies), (path("a/b/f"), vec![Anomaly::GnuPrefix]));
    let (anomalies, entry) = Raw::default().pax(b'x', &[("path", b"g")]).member(b'0', "f", b"abc", gnu).odd();
    assert_eq!((entry.path, anomalies), (path("g"), vec![]));
}

#[test]
fn what_follows_the_last_member() {
    let body = Raw::default().file("f", b"abc").0;
    let zeros = |count: usize| vec![0; count];
    let table = [
        (zeros(1024), vec![]),
        (zeros(9000), vec![]),
        (zeros(0), vec![Anomaly::MissingEnd { found: 0 }]),
        (zeros(512), vec![Anomaly::MissingEnd { found: 1 }]),
        (zeros(1000), vec![Anomaly::MissingEnd { found: 1 }]),
        ([zeros(1024), b"x".to_vec()].concat(), vec![Anomaly::TrailingBytes { offset: 2048 }]),
        ([zeros(100_000), b"x".to_vec()].concat(), vec![Anomaly::TrailingBytes { offset: 101_024 }]),
        (zeros(100), vec![Anomaly::MissingEnd { found: 0 }]),
        ([zeros(1024), vec![1; 512]].concat(), vec![Anomaly::TrailingBytes { offset: 2048 }]),
    ];
    for (tail, expected) in table {
        let archive = [body.clone(), tail].concat();
        let (members, end) = read(&archive).unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!((end.size, end.anomalies), (archive.len() as u64, expected));
    }
    let (members, end) = read(b"").unwrap();
    assert!(members.is_empty());
    assert_eq!((end.size, end.anomalies), (0, vec![Anomaly::MissingEnd { found: 0 }]));
}

#[test]
fn nothing_after_the_end_is_lost_without_a_word() {
    let body = Raw::default().file("f", b"content").0;
    let zeros = |count: usize| vec![0; count];
    let lone = "at byte 1024: two blocks of zeros end an archive, found one and then more";
    let after = |offset| format!("at byte {offset}: a member after the end of the archive, where no reader finds it");
    for (tail, expected) in [
        ([zeros(512), body.clone(), zeros(1024)].concat(), lone.to_owned()),
        ([zeros(512), vec![1; 512]].concat(), lone.to_owned()),
        ([zeros(1024), body.clone()].concat(), after(2048)),
        ([zeros(10_240), body.clone(), zeros(1024)].concat(), after(11_264)),
        ([zeros(1024), vec![1; 512], body.clone()].concat(), after(2560)),
    ] {
        let error = read(&[body.clone(), tail].concat()).unwrap_err().to_string();
        assert_eq!(error, format!("test.tar: {expected}"));
    }
}

#[test]
fn the_end_of_the_source_after_a_whole_member_is_an_end() {
    let body = Raw::default().file("a", b"abc").file("f", b"content").0;
    let end = body.len() - 512 + 7;
    for length in [end, end + 1, body.len() - 1] {
        let (members, found) = read(&body[..length]).unwrap();
        assert_eq!((members.len(), members[1].1.as_slice()), (2, &b"content"[..]));
        assert_eq!(found.anomalies, [Anomaly::MissingPadding, Anomaly::MissingEnd { found: 0 }]);
    }
    assert!(read(&body[..end - 1]).unwrap_err().to_string().ends_with("the archive is cut off"));
}

#[test]
fn labels_are_no_entries_and_lists_make_directories() {
    let label = |raw: Raw| raw.pax(b'x', &[("mtime", b"7")]).member(b'V', "label", b"", |_| {});
    let archive =
        label(Raw::default()).file("f", b"").member(b'D', "d/", b"Nf\0Yg\0\0", |_| {}).file("d/f", b"1").end();
    let (members, _) = read(&archive).unwrap();
    let shown: Vec<_> =
        members.iter().map(|(member, _)| (member.name.as_slice(), member.anomalies.as_slice())).collect();
    let (label_alone, list) = ([Anomaly::RareType(b'V')], [Anomaly::RareType(b'D')]);
    assert_eq!(shown, [(&b"f"[..], &label_alone[..]), (b"d/", &list), (b"d/f", &[])]);
    assert_eq!(members[0].0.entry.as_ref().unwrap().metadata.mtime, 3.into());
    assert_eq!((&members[1].0.entry.as_ref().unwrap().kind, members[1].1.len()), (&Kind::Directory, 0));
    assert_eq!(members[1].0.content_size, 7);
    let (anomalies, root) = Raw::default().member(b'5', "", b"", |_| {}).odd();
    assert_eq!((anomalies, root.path.is_root()), (vec![Anomaly::EmptyName], true));
    let (members, end) = read(&label(Raw::default().file("f", b"")).end()).unwrap();
    assert_eq!((members[0].0.anomalies.as_slice(), end.anomalies), (&[][..], label_alone.to_vec()));
    let comment: [(&str, &[u8]); 1] = [("comment", b"x")];
    let solaris = Raw::default().pax(b'X', &comment).file("f", b"").odd();
    assert_eq!(solaris.0, [Anomaly::RareType(b'X')]);
    let global = Raw::default().pax(b'g', &comment).file("f", b"").odd();
    assert_eq!(global.0, [Anomaly::GlobalHeader]);
    assert!(Raw::default().member(b'M', "f", b"", |_| {}).refusal().ends_with("is in another volume"));
}

#[test]
fn what_a_layer_cannot_say_is_handed_on() {
    let records: [(&str, &[u8]); 3] =
        [("SCHILY.acl.access", b"user::rw-"), ("RHT.security.selinux", b"a:b"), ("SCHILY.fflags", b"schg")];
    let (member, _) = Raw::default().pax(b'x', &records).file("f", b"").only();
    let unapplied: Vec<_> = member.unapplied.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(unapplied, records.map(|(key, value)| (key.as_bytes(), value)));
    let keywords = records.map(|(key, _)| Anomaly::ForeignKeyword(key.as_bytes().into()));
    assert_eq!(member.anomalies, keywords);
}

#[test]
fn padding_that_is_not_zero_is_told_with_what_comes_next() {
    let mut archive = Raw::default().file("a", b"abc").file("b", b"abc").end();
    archive[1023] = 1;
    archive[2047] = 1;
    let (members, end) = read(&archive).unwrap();
    assert_eq!(members[0].0.anomalies, []);
    assert_eq!(members[1].0.anomalies, [Anomaly::Padding]);
    assert_eq!(end.anomalies, [Anomaly::Padding]);
}

#[test]
fn finish_reads_members_that_nobody_asked_for() {
    let archive = Raw::default().file("a", &[1; 5000]).file("b", b"abc").end();
    let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
    reader.next_member().unwrap();
    reader.read_exact(&mut [0; 100]).unwrap();
    let end = reader.finish().unwrap();
    assert_eq!((end.size, end.anomalies), (archive.len() as u64, vec![]));
}

mod sparse {
    use super::*;

    /// `ab`, a hole up to 600, `cdef` up to 604, a hole up to 1000.
    fn expanded() -> Vec<u8> {
        let mut content = vec![0; 1000];
        content[..2].copy_from_slice(b"ab");
        content[600..604].copy_from_slice(b"cdef");
        content
    }

    fn check(raw: Raw) {
        check_with(raw, &[Anomaly::Sparse]);
    }

    fn check_with(raw: Raw, anomalies: &[Anomaly]) {
        let archive = raw.file("next", b"").end();
        let (members, _) = read(&archive).unwrap();
        let (member, content) = &members[0];
        assert_eq!(member.anomalies, anomalies);
        let entry = member.entry.as_ref().unwrap();
        assert_eq!((&entry.path, &entry.kind), (&path("f"), &Kind::File { size: 1000 }));
        assert_eq!(content, &expanded());
        assert_eq!(archive[member.content_offset as usize..][..6], *b"abcdef");
        assert_eq!(members[1].0.name, b"next");

        let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
        reader.next_member().unwrap();
        let mut bytes = vec![0; 1000];
        for byte in bytes.chunks_mut(1) {
            reader.read_exact(byte).unwrap();
        }
        assert_eq!(bytes, expanded());
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    const MAP: [(u64, u64); 3] = [(0, 2), (600, 4), (1000, 0)];

    #[test]
    fn pax_0_0() {
        let numbers: Vec<_> = MAP.iter().flat_map(|(at, length)| [at.to_string(), length.to_string()]).collect();
        let mut records: Vec<(&str, &[u8])> = vec![("GNU.sparse.size", b"1000"), ("GNU.sparse.numblocks", b"3")];
        for pair in numbers.chunks(2) {
            records.push(("GNU.sparse.offset", pair[0].as_bytes()));
            records.push(("GNU.sparse.numbytes", pair[1].as_bytes()));
        }
        check(Raw::default().pax(b'x', &records).file("f", b"abcdef"));
    }

    #[test]
    fn pax_0_1() {
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.size", b"1000"),
            ("GNU.sparse.numblocks", b"3"),
            ("GNU.sparse.name", b"f"),
            ("GNU.sparse.map", b"0,2,600,4,1000,0"),
        ];
        check(Raw::default().pax(b'x', &records).file("GNUSparseFile.1/f", b"abcdef"));
    }

    fn version_1(map: &str) -> Raw {
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"f"),
            ("GNU.sparse.realsize", b"1000"),
        ];
        let mut content = map.as_bytes().to_vec();
        content.resize(content.len() + crate::tar::padding(content.len() as u64), 0);
        content.extend(b"abcdef");
        Raw::default().pax(b'x', &records).file("GNUSparseFile.1/f", &content)
    }

    #[test]
    fn pax_1_0() {
        check(version_1("3\n0\n2\n600\n4\n1000\n0\n"));
        // A map that goes beyond its first block, in the middle of a number.
        let empty = "700\n0\n".repeat(99);
        check(version_1(&format!("102\n0\n2\n600\n4\n{empty}1000\n0\n")));
    }

    fn field(number: u64) -> [u8; 12] {
        let mut field = [0; 12];
        field[..11].copy_from_slice(format!("{number:011o}").as_bytes());
        field
    }

    fn old(extended: bool, segments: &[(u64, u64)]) -> impl FnOnce(&mut Header) + '_ {
        move |header| {
            header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
            header.set_size(6);
            let gnu = header.as_gnu_mut().unwrap();
            gnu.realsize = field(1000);
            gnu.isextended = [u8::from(extended)];
            for (slot, (at, length)) in gnu.sparse.iter_mut().zip(segments) {
                slot.offset = field(*at);
                slot.numbytes = field(*length);
            }
        }
    }

    #[test]
    fn old_gnu() {
        let rare = [Anomaly::Sparse, Anomaly::RareType(b'S')];
        check_with(Raw::default().member(b'S', "f", b"abcdef", old(false, &MAP)), &rare);

        let mut raw = Raw::default().member(b'S', "f", b"", old(true, &[(0, 1), (1, 1), (2, 0), (3, 0)]));
        let mut extension = [0; 512];
        extension[..12].copy_from_slice(&field(600));
        extension[12..24].copy_from_slice(&field(4));
        raw.0.extend(extension);
        raw.0.extend(b"abcdef");
        raw.0.resize(1536, 0);
        check_with(raw, &rare);
    }

    #[test]
    fn maps_that_make_no_sense_spoil_their_member_alone() {
        let table = [
            ("3\n0\n2\n600\n3\n1000\n0\n", "the segments of the sparse file have 5 bytes together, found 6"),
            ("2\n0\n2\n997\n4\n", "the segments of the sparse file overlap or go beyond its size"),
            ("2\n600\n4\n0\n2\n", "the segments of the sparse file overlap or go beyond its size"),
            ("2\n0\n4\n3\n2\n", "the segments of the sparse file overlap or go beyond its size"),
            ("1\n18446744073709551615\n6\n", "the segments of the sparse file overlap or go beyond its size"),
            ("1\n0\nsix\n", "the map of the sparse file has numbers, found `six`"),
            ("1\n0\n99999999999999999999999999\n", "the map of the sparse file has numbers, found `9999"),
            ("9\n0\n6\n", "the map of the sparse file is cut off"),
            ("1048577\n", "a sparse file has up to 1048576 segments, found more"),
            ("", "the map of the sparse file is cut off"),
        ];
        for (map, expected) in table {
            let (members, _) = read(&version_1(map).file("next", b"").end()).unwrap();
            let error = members[0].0.entry.as_ref().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(members[0].1, b"");
            assert_eq!(members[1].0.name, b"next");
        }
        let no_size = Raw::default().pax(b'x', &[("GNU.sparse.map", b"0,3")]).file("f", b"abc");
        assert!(no_size.refusal().ends_with("a sparse file without its size"));
        let half: [(&str, &[u8]); 2] = [("GNU.sparse.map", b"0"), ("GNU.sparse.size", b"3")];
        let half = Raw::default().pax(b'x', &half).file("f", b"abc");
        assert!(half.refusal().ends_with("the last segment of the sparse file has no length"));
        let posix = Raw::default().member(b'S', "f", b"abc", |_| {});
        assert!(posix.refusal().ends_with("a sparse file of GNU tar needs a header of GNU tar"));
    }

    #[test]
    fn records_without_a_map_name_nothing() {
        let name: [(&str, &[u8]); 1] = [("GNU.sparse.name", b"other")];
        let link = |header: &mut Header| header.as_old_mut().linkname[0] = b'x';
        for typeflag in *b"012345" {
            let content: &[u8] = if typeflag == b'0' { b"abc" } else { b"" };
            let (member, read) = Raw::default().pax(b'x', &name).member(typeflag, "f", content, link).only();
            assert_eq!((member.entry.unwrap().path, &*read), (path("f"), content));
            assert_eq!(member.anomalies, [Anomaly::SparseRecords]);
        }
        let own = Raw::default().pax(b'x', &name).member(b'S', "f", b"abcdef", old(false, &MAP)).only().0;
        assert_eq!(own.entry.unwrap().path, path("f"));
        let mapped: [(&str, &[u8]); 2] = [("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"1")];
        let refusal = Raw::default().pax(b'x', &mapped).member(b'2', "f", b"", link).refusal();
        assert!(refusal.ends_with("only a regular file can be sparse"), "{refusal}");
    }

    #[test]
    fn a_file_of_holes_alone_is_read_without_end_in_sight() {
        let records: [(&str, &[u8]); 2] =
            [("GNU.sparse.map", b"1099511627776,0"), ("GNU.sparse.size", b"1099511627776")];
        let archive = Raw::default().pax(b'x', &records).file("f", b"").end();
        let mut reader = Reader::new(archive.as_slice(), "test.tar", Limits::default());
        assert_eq!(reader.next_member().unwrap().unwrap().entry.unwrap().size(), 1 << 40);
        let mut some = [1; 4096];
        reader.read_exact(&mut some).unwrap();
        assert_eq!(some, [0; 4096]);
        assert_eq!(reader.finish().unwrap().anomalies, []);
    }
}
