use std::io::{self, Read, Write};

use super::{entry, file, path, read, written};
use crate::tar::{Edge, Output, Writer, EXTENDED_HEADER_LIMIT};
use crate::tree::{Device, Entry, Kind, Mtime, Xattrs};

/// Returns the bodies of extended headers in an archive of one entry, or `None` if there are none.
fn records(entry: &Entry) -> Option<String> {
    let archive = written(entry).unwrap();
    let header = tar::Header::from_byte_slice(&archive[..512]);
    (header.as_old().linkflag[0] == b'x').then(|| {
        let size = header.entry_size().unwrap() as usize;
        archive[512..512 + size].escape_ascii().to_string()
    })
}

#[test]
fn names_take_a_record_only_where_ustar_has_no_room() {
    let x = |count: usize| "x".repeat(count);
    let table = [
        (x(99), false),
        (x(100), false),
        (x(101), true),
        (format!("{}/{}", x(155), x(99)), false),
        (format!("{}/{}", x(155), x(100)), false),
        (format!("{}/{}", x(155), x(101)), true),
        (format!("{}/{}", x(156), x(99)), true),
        (format!("a/{}", x(155)), true),
    ];
    for (name, record) in table {
        let found = records(&file(&name, 0));
        let length = name.len() + " path=\n".len() + 3;
        assert_eq!(found, record.then(|| format!("{length} path={name}\\n")), "{} bytes", name.len());
    }
    // The slash at the end of a directory counts.
    assert_eq!(records(&entry(x(99), Kind::Directory)), None);
    assert_eq!(records(&entry(x(100), Kind::Directory)), Some(format!("111 path={}/\\n", x(100))));
}

#[test]
fn link_targets_have_no_prefix_to_go_to() {
    let link = |target: String| entry("l", Kind::Symlink { target: target.into_bytes().into() });
    assert_eq!(records(&link("t".repeat(100))), None);
    assert_eq!(records(&link("t/".repeat(50) + "t")), Some(format!("115 linkpath={}t\\n", "t/".repeat(50))));
    let hard = |target: String| entry("l", Kind::Hardlink { target: path(target).into() });
    assert_eq!(records(&hard("t".repeat(100))), None);
    assert_eq!(records(&hard("t".repeat(101))), Some(format!("115 linkpath={}\\n", "t".repeat(101))));
}

#[test]
fn names_that_are_not_utf8_say_so_only_in_records() {
    assert_eq!(records(&file(b"\xff", 0)), None);
    let long = [b"\xff".as_slice(), &[b'x'; 100]].concat();
    let xs = "x".repeat(100);
    assert_eq!(records(&file(&long, 0)), Some(format!("21 hdrcharset=BINARY\\n111 path=\\xff{xs}\\n")));
    let target = Kind::Symlink { target: long.into() };
    assert_eq!(records(&entry("l", target)), Some(format!("21 hdrcharset=BINARY\\n115 linkpath=\\xff{xs}\\n")));
}

#[test]
fn numbers_take_a_record_only_where_octal_has_no_room() {
    let with = |change: fn(&mut Entry)| {
        let mut entry = file("f", 0);
        change(&mut entry);
        records(&entry)
    };
    assert_eq!(with(|e| e.metadata.uid = 2_097_151), None);
    assert_eq!(with(|e| e.metadata.uid = 2_097_152), Some("15 uid=2097152\\n".to_owned()));
    assert_eq!(with(|e| e.metadata.gid = 2_097_151), None);
    assert_eq!(with(|e| e.metadata.gid = u32::MAX - 1), Some("18 gid=4294967294\\n".to_owned()));
    assert_eq!(with(|e| e.metadata.mtime = 0.into()), None);
    assert_eq!(with(|e| e.metadata.mtime = (-1).into()), Some("12 mtime=-1\\n".to_owned()));
    assert_eq!(with(|e| e.metadata.mtime = 0o777_7777_7777.into()), None);
    assert_eq!(with(|e| e.metadata.mtime = (8 << 30).into()), Some("20 mtime=8589934592\\n".to_owned()));
    assert_eq!(with(|e| e.metadata.mtime = i64::MIN.into()), Some("30 mtime=-9223372036854775808\\n".to_owned()));
    assert_eq!(with(|e| e.metadata.mtime = Mtime::new(1, 750_000_000).unwrap()), Some("14 mtime=1.75\\n".to_owned()));
    assert_eq!(with(|e| e.metadata.mtime = Mtime::new(-2, 1).unwrap()), Some("22 mtime=-1.999999999\\n".to_owned()));
}

/// Keeps the headers and counts the content.
#[derive(Default)]
struct Headers {
    kept: Vec<u8>,
    content: u64,
    edges: Vec<usize>,
}

impl Write for Headers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Headers {
    fn entry_edge(&mut self, _: Edge) {
        self.edges.push(self.kept.len());
    }

    fn read_from(&mut self, _: &mut dyn Read, limit: u64) -> io::Result<u64> {
        self.content += limit;
        Ok(limit)
    }
}

#[test]
fn sizes_take_a_record_from_8_gib_on() {
    let headers = |size| {
        let mut output = Headers::default();
        let mut writer = Writer::new(&mut output);
        writer.append(&file("f", size), &mut io::empty()).unwrap();
        assert_eq!(output.content, size);
        output.kept
    };
    let below = headers((8 << 30) - 1);
    assert_eq!(below.len(), 512 + 1);
    assert_eq!(below[124..136], *b"77777777777\0");
    let above = headers(8 << 30);
    assert_eq!(above.len(), 3 * 512);
    assert_eq!(above[512..532], *b"19 size=8589934592\n\0");
    assert_eq!(above[1024 + 124..1024 + 136], *b"00000000000\0");
}

#[test]
fn attributes_are_records_in_the_order_of_their_names() {
    let mut entry = file("f", 0);
    for (name, value) in [("user.b", &b"\n12 path=x\n"[..]), ("user.a", b"=\0"), ("security.capability", b"")] {
        entry.metadata.xattrs.insert(name.into(), value.into());
    }
    entry.metadata.uid = u32::MAX - 1;
    assert_eq!(
        records(&entry).unwrap(),
        "37 SCHILY.xattr.security.capability=\\n26 SCHILY.xattr.user.a==\\x00\\n\
         35 SCHILY.xattr.user.b=\\n12 path=x\\n\\n18 uid=4294967294\\n"
    );
}

#[test]
fn the_extended_header_says_nothing_of_its_own() {
    let archive = written(&file("x".repeat(101), 0)).unwrap();
    let header = tar::Header::from_byte_slice(&archive[..512]);
    assert_eq!(header.path_bytes(), &b"PaxHeaders/0"[..]);
    assert_eq!((header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0o644, 0, 0));
    assert_eq!(header.mtime().unwrap(), 0);
    assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
}

#[test]
fn an_archive_is_whole_blocks_and_two_zero_blocks() {
    let empty = Writer::new(Vec::new()).finish().unwrap();
    assert_eq!(empty, [0; 1024]);
    for (size, length) in [(0, 1536), (1, 2048), (511, 2048), (512, 2048), (513, 2560)] {
        assert_eq!(written(&file("f", size)).unwrap().len(), length, "{size}");
    }
}

#[test]
fn edges_stand_before_the_first_header_of_each_entry() {
    let mut output = Headers::default();
    let mut writer = Writer::new(&mut output);
    writer.append(&file("a", 512), &mut io::empty()).unwrap();
    writer.append(&file("b".repeat(101), 0), &mut io::empty()).unwrap();
    writer.append_whiteout(&path("c")).unwrap();
    writer.finish().unwrap();
    assert_eq!(output.edges, [0, 512, 512 + 3 * 512]);
}

#[test]
fn whiteouts_are_empty_files_without_metadata() {
    let mut writer = Writer::new(Vec::new());
    writer.append_opaque_whiteout(&path("")).unwrap();
    writer.append_whiteout(&path("a/b")).unwrap();
    let archive = writer.finish().unwrap();
    let (members, _) = read(&archive).unwrap();
    let names: Vec<_> = members.iter().map(|(member, _)| member.name.as_slice()).collect();
    assert_eq!(names, [&b".wh..wh..opq"[..], b"a/.wh.b"]);
    for (member, _) in members {
        let entry = member.entry.unwrap();
        assert_eq!((entry.kind, entry.metadata), (Kind::File { size: 0 }, crate::tree::Metadata::default()));
    }
}

#[test]
fn what_an_archive_cannot_hold_is_refused_by_name() {
    let attribute = |name: &[u8], size: usize| {
        let mut entry = file("f", 0);
        entry.metadata.xattrs = Xattrs::from_iter([(name.to_vec(), vec![0; size].into())]);
        entry
    };
    let device = |major, minor| entry("f", Kind::CharDevice(Device { major, minor }));
    let owned = |uid, gid| {
        let mut entry = file("f", 0);
        (entry.metadata.uid, entry.metadata.gid) = (uid, gid);
        entry
    };
    let limit = EXTENDED_HEADER_LIMIT as usize;
    let table = [
        (file("a/.wh.f", 0), "cannot store `/a/.wh.f`: in a layer, a name that begins with `.wh.` means a removal"),
        (entry(".wh.d/f", Kind::Fifo), "cannot store `/.wh.d/f`: in a layer, a name that begins with `.wh.`"),
        (file("", 0), "cannot store `/`: the root of an image can only be a directory"),
        (entry("f", Kind::Symlink { target: b""[..].into() }), "cannot store `/f`: a link needs a target"),
        (entry("f", Kind::Symlink { target: b"a\0"[..].into() }), "cannot store `/f`: a link needs a target"),
        (entry("f", Kind::Hardlink { target: path("").into() }), "cannot store `/f`: a link needs a target"),
        (device(4096, 0), "cannot store `/f`: the device 4096,0 is out of range"),
        (device(0, u32::MAX), "cannot store `/f`: the device 0,4294967295 is out of range"),
        (owned(u32::MAX, 0), "cannot store `/f`: the owner 4294967295 stands for nobody"),
        (owned(0, u32::MAX), "cannot store `/f`: the owner 4294967295 stands for nobody"),
        (attribute(b"a=b", 0), "cannot store `/f`: the name of an extended attribute has"),
        (attribute(b"a\0b", 0), "cannot store `/f`: the name of an extended attribute has"),
        (attribute(b"", 0), "cannot store `/f`: the name of an extended attribute has"),
        (attribute(b"a", limit), "cannot store `/f`: long names and extended attributes may have 1048576 bytes"),
    ];
    for (entry, expected) in table {
        let error = written(&entry).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    written(&device(4095, 1_048_575)).unwrap();
    written(&attribute(b"a", limit - "1048576 SCHILY.xattr.a=\n".len())).unwrap();
    written(&attribute(b"a", limit - "1048576 SCHILY.xattr.a=\n".len() + 1)).unwrap_err();

    let mut writer = Writer::new(Vec::new());
    assert!(writer.append_whiteout(&path("")).unwrap_err().to_string().contains("cannot remove the root"));
    assert!(writer.append_whiteout(&path(".wh.a")).unwrap_err().to_string().contains("`/.wh.a`"));
    // Nothing was written, so the archive is intact.
    assert_eq!(writer.finish().unwrap(), [0; 1024]);
}

#[test]
fn no_path_comes_twice() {
    let mut writer = Writer::new(Vec::new());
    writer.append(&file("b", 0), &mut io::empty()).unwrap();
    writer.append(&file("a", 0), &mut io::empty()).unwrap();
    writer.append_whiteout(&path("c")).unwrap();
    for name in ["a", "b"] {
        let error = writer.append(&entry(name, Kind::Directory), &mut io::empty()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot store `/{name}`: the archive has an entry of this path already"));
    }
    writer.append_whiteout(&path("c")).unwrap_err();
    writer.finish().unwrap();
}

struct Broken(Option<u8>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(byte) => {
                buffer[0] = byte;
                Ok(1)
            }
            None => Err(io::Error::from_raw_os_error(5)),
        }
    }
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(28))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Full {}

#[test]
fn content_that_is_not_what_was_promised_is_an_error_that_names_it() {
    let carried = crate::Error::malformed("blob", "broken");
    let mut refusing = io::Error::from(carried).into();
    let table: [(&mut dyn Read, &str); 5] = [
        (&mut &b"12"[..], "/f: file changed while it was read: size should be 3, found 2"),
        (&mut &b"1234"[..], "/f: file changed while it was read: size should be 3, found more"),
        (&mut Broken(None), "cannot read `/f`: Input/output error"),
        (&mut Broken(Some(0)), "cannot read `/f`: Input/output error"),
        (&mut Carrying(&mut refusing), "blob: broken"),
    ];
    for (content, expected) in table {
        let mut writer = Writer::new(Vec::new());
        let error = writer.append(&file("f", 3), content).unwrap_err();
        assert_eq!(error.to_string(), expected);
        let next = writer.append(&file("g", 0), &mut io::empty()).unwrap_err();
        assert_eq!(next.to_string(), "cannot store `/g`: the entry before it is not complete");
        writer.finish().unwrap_err();
    }
    let error = Writer::new(Full).append(&file("f", 0), &mut io::empty()).unwrap_err();
    assert_eq!(error.to_string(), "cannot store `/f`: No space left on device");
    assert!(error.hint().is_some());
}

struct Carrying<'a>(&'a mut Option<io::Error>);

impl Read for Carrying<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
