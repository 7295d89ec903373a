//! Archives are listed by five readers of tar: ours, GNU tar, libarchive, Python's tarfile and the crate `tar`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocibake::layout::Location;
use ocibake::limits::Limits;
use ocibake::ops::verify::{verify, VerifyOptions};
use ocibake::tree::{Device, Kind};
use ocibake::Work;
use serde_json::{json, Value};

use crate::harness::{make_layout, root, Image, Layout, Peer, Scratch, Tool};

/// What a reader lists, or why it lists nothing.
type Listed = Result<Vec<Value>, String>;

/// Readers that are not ours, by name.
type Others = BTreeMap<String, Listed>;

#[test]
fn of_every_layer_that_we_write_all_list_the_same() {
    let scratch = Scratch::new();
    let Some(others) = Outsiders::find() else { return };
    let place = scratch.make_directory("layers");
    for (name, layer) in written(&scratch) {
        fs::write(place.join(name), layer).unwrap();
    }
    for (name, others) in others.list(&place) {
        let archive = fs::read(place.join(&name)).unwrap();
        let ours = by_us(&archive);
        assert!(ours.as_ref().is_ok_and(|listed| !listed.is_empty()), "{name}: {ours:?}");
        for (reader, theirs) in others {
            assert_eq!(theirs, ours, "{reader} of {name}");
        }
    }
}

/// How many archives are changed: a sample, or as many as the environment says.
fn count() -> usize {
    std::env::var("OCIBAKE_TAR_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(150)
}

#[test]
fn of_a_changed_archive_all_list_the_same_or_verify_calls_it_an_error() {
    let scratch = Scratch::new();
    let Some(others) = Outsiders::find() else { return };
    let bases = bases(&scratch);
    let mut numbers = Numbers(0x5DEE_CE66);
    let (mut taken, mut wrong) = (0, Vec::new());
    let count = count();
    let mut done = 0;
    while done < count {
        let place = scratch.make_directory("changed");
        for number in done..count.min(done + 500) {
            let mut archive = bases[numbers.below(bases.len())].clone();
            change(&mut archive, &mut numbers);
            fs::write(place.join(format!("{number:06}")), archive).unwrap();
        }
        done = count.min(done + 500);
        for (name, others) in others.list(&place) {
            let archive = fs::read(place.join(&name)).unwrap();
            if is_refused(&scratch, &archive) {
                continue;
            }
            taken += 1;
            let ours = by_us(&archive);
            for (reader, theirs) in others {
                if theirs != ours {
                    fs::write(scratch.join(&name), &archive).unwrap();
                    wrong.push(format!("{name}: {}", difference(&ours, &reader, &theirs)));
                }
            }
        }
        fs::remove_dir_all(&place).unwrap();
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    // A test in which everything is refused would say nothing.
    assert!(taken * 10 > count, "only {taken} of {count} archives were taken");
}

/// What differs first.
fn difference(ours: &Listed, reader: &str, theirs: &Listed) -> String {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            let at = ours
                .iter()
                .zip(theirs)
                .position(|(ours, theirs)| ours != theirs)
                .unwrap_or(ours.len().min(theirs.len()));
            format!("member {at}: we list {:?} and {reader} {:?}", ours.get(at), theirs.get(at))
        }
        (ours, theirs) => {
            format!("we list {:?} and {reader} {:?}", ours.as_ref().map(Vec::len), theirs.as_ref().map(Vec::len))
        }
    }
}

/// Layers of trees in which there is everything that a layer can hold, and of many that were made at random.
fn written(scratch: &Scratch) -> Vec<(String, Vec<u8>)> {
    let mut layers = Vec::new();
    let mut names = vec!["small", "blocks"];
    if root() {
        names.push("everything");
    }
    for name in names {
        let rootfs = scratch.rootfs(&format!("rootfs-{name}"), name);
        layers.push((name.to_owned(), layer_of(scratch, &rootfs, name)));
    }
    layers
}

fn layer_of(scratch: &Scratch, rootfs: &Path, name: &str) -> Vec<u8> {
    let target = scratch.join(&format!("image-{name}"));
    Tool::build(rootfs).oci(&target).args(["--compression", "none", "--quiet"]).run().printed();
    let image: Image = Layout::at(&target).latest();
    image.stream()
}

/// Small archives, ours and those of others, of a tree with long names and links.
fn bases(scratch: &Scratch) -> Vec<Vec<u8>> {
    let rootfs = scratch.make_directory("rootfs");
    fs::create_dir(rootfs.join("directory")).unwrap();
    fs::write(rootfs.join("directory/file"), "text\n").unwrap();
    fs::hard_link(rootfs.join("directory/file"), rootfs.join("link")).unwrap();
    std::os::unix::fs::symlink("directory/file", rootfs.join("symlink")).unwrap();
    fs::write(rootfs.join("n".repeat(120)), "long").unwrap();
    fs::write(rootfs.join("t"), [7; 700]).unwrap();
    let mut bases = vec![layer_of(scratch, &rootfs, "bases")];
    let by_others: [(&str, &[&str]); 6] = [
        ("tar", &["--format=ustar", "--exclude=n*"]),
        ("tar", &["--format=v7", "--exclude=n*"]),
        ("tar", &["--format=gnu"]),
        ("tar", &["--format=posix", "--pax-option=delete=atime,delete=ctime"]),
        ("bsdtar", &["--format=ustar", "--exclude=n*"]),
        ("bsdtar", &["--format=pax"]),
    ];
    for (name, args) in by_others {
        let Some(peer) = Peer::find(name) else { continue };
        let path = scratch.join("base.tar");
        let mut command = peer.command();
        command.args(args).args(["--numeric-owner", "-b1", "-cf"]).arg(&path).arg("-C").arg(&rootfs);
        command.args(["directory", "link", "symlink", "t"]).arg("n".repeat(120));
        peer.finish(command);
        bases.push(fs::read(path).unwrap());
    }
    bases
}

/// Numbers that look random and are the same each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick(&mut self, of: &[u8]) -> u8 {
        of[self.below(of.len())]
    }
}

/// Changes a header whose checksum is then right again, or anything.
fn change(archive: &mut Vec<u8>, numbers: &mut Numbers) {
    let blocks = archive.len() / 512;
    let headers: Vec<usize> =
        (0..blocks).map(|block| block * 512).filter(|at| is_header(&archive[*at..*at + 512])).collect();
    for _ in 0..=numbers.below(2) {
        match numbers.below(10) {
            0..=5 => {
                let header =
                    headers.get(numbers.below(headers.len().max(1))).and_then(|at| archive.get_mut(*at..*at + 512));
                let Some(header) = header else { continue };
                // Names, numbers, type, link, magic, names of owners, devices, prefix: each about as often.
                let fields = [
                    (0, 100),
                    (100, 24),
                    (124, 12),
                    (136, 12),
                    (156, 1),
                    (157, 100),
                    (257, 8),
                    (265, 64),
                    (329, 16),
                    (345, 155),
                ];
                let (start, length) = fields[numbers.below(fields.len())];
                let place = start + numbers.below(length.min(16));
                header[place] = numbers.pick(b"\0\xff\x80 01789/.agxLKSD");
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            6 => {
                let at = numbers.below(archive.len());
                archive[at] = numbers.pick(b"\0\xff019=/.\n a");
            }
            // A block less, a block twice, an end elsewhere.
            7 => {
                let at = 512 * numbers.below(blocks);
                if archive.len() > at + 512 {
                    archive.drain(at..at + 512);
                }
            }
            8 => {
                let at = 512 * numbers.below(blocks);
                let Some(block) = archive.get(at..at + 512).map(<[u8]>::to_vec) else { continue };
                archive.splice(at..at, block);
            }
            _ => archive.truncate(512 * (1 + numbers.below(blocks))),
        }
    }
}

fn is_header(block: &[u8]) -> bool {
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    std::str::from_utf8(&block[148..154])
        .is_ok_and(|digits| u32::from_str_radix(digits.trim_matches(['\0', ' ']), 8) == Ok(sum))
}

/// Whether `verify` finds an error in an image of this layer.
fn is_refused(scratch: &Scratch, layer: &[u8]) -> bool {
    let path = scratch.join("verified");
    let _ = fs::remove_dir_all(&path);
    make_layout(&path, &[layer.to_vec()]);
    let location = Location::parse(format!("oci:{}", path.display()).as_ref()).unwrap();
    verify(&location, &VerifyOptions::default(), &Work::default()).unwrap().errors > 0
}

/// What all readers say of a member.
fn entry(name: &[u8], kind: &str, metadata: [i64; 4], size: u64, link: &[u8], device: Device) -> Value {
    json!([
        hex(&shortest(name)),
        kind,
        metadata[0],
        metadata[1],
        metadata[2],
        metadata[3],
        size,
        hex(link),
        [device.major, device.minor]
    ])
}

fn shortest(name: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn by_us(archive: &[u8]) -> Listed {
    let mut reader = ocibake::tar::Reader::new(archive, "archive", Limits::default());
    let mut listed = Vec::new();
    let text = |error: ocibake::Error| error.to_string();
    while let Some(member) = reader.next_member().map_err(text)? {
        let read = member.entry.map_err(text)?;
        let (device, link) = match &read.kind {
            Kind::CharDevice(device) | Kind::BlockDevice(device) => (*device, Vec::new()),
            Kind::Symlink { target } => (Device::default(), target.to_vec()),
            Kind::Hardlink { target } => (Device::default(), target.as_bytes().to_vec()),
            _ => (Device::default(), Vec::new()),
        };
        let metadata = &read.metadata;
        let numbers = [metadata.mode.into(), metadata.uid.into(), metadata.gid.into(), metadata.mtime.seconds()];
        listed.push(entry(read.path.as_bytes(), read.kind.name(), numbers, read.size(), &link, device));
    }
    reader.finish().map_err(text)?;
    Ok(listed)
}

fn by_the_crate(archive: &[u8]) -> Listed {
    let mut listed = Vec::new();
    let text = |error: std::io::Error| error.to_string();
    for member in tar::Archive::new(archive).entries().map_err(text)? {
        let mut member = member.map_err(text)?;
        // The name of the archive and what holds for all members are none of them.
        if matches!(member.header().entry_type().as_byte(), b'V' | b'g') {
            continue;
        }
        // It leaves what extended headers say of times to its user.
        let mut mtime = None;
        // A value with a line break in it is two records to the crate, of which it passes over the second.
        for record in member.pax_extensions().map_err(text)?.into_iter().flatten().flatten() {
            if record.key() == Ok("mtime") {
                let whole = record.value().unwrap_or_default();
                let (seconds, fraction) = whole.split_once('.').unwrap_or((whole, ""));
                let seconds: i64 = seconds.parse().map_err(|_| format!("mtime `{whole}`"))?;
                let has_fraction = fraction.bytes().any(|digit| digit != b'0');
                mtime = Some(seconds - i64::from(whole.starts_with('-') && has_fraction));
            }
        }
        let header = member.header().clone();
        let name = member.path_bytes().into_owned();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => "directory",
            _ if header.entry_type().as_byte() == b'D' => "directory",
            // Before ustar, a slash at the end distinguished directories from files.
            tar::EntryType::Regular | tar::EntryType::Continuous if name.ends_with(b"/") => "directory",
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => "file",
            tar::EntryType::Symlink => "symlink",
            tar::EntryType::Link => "hardlink",
            tar::EntryType::Char => "char",
            tar::EntryType::Block => "block",
            tar::EntryType::Fifo => "fifo",
            other => return Err(format!("a member of type {other:?}")),
        };
        let link = member.link_name_bytes().map(Cow::into_owned).unwrap_or_default();
        let link = match kind {
            "symlink" => link,
            "hardlink" => shortest(&link),
            _ => Vec::new(),
        };
        let mut device = Device::default();
        if matches!(kind, "char" | "block") {
            device.major = header.device_major().map_err(text)?.unwrap_or_default();
            device.minor = header.device_minor().map_err(text)?.unwrap_or_default();
        }
        let number = |number: u64| i64::from_ne_bytes(number.to_ne_bytes());
        let numbers = [
            i64::from(header.mode().map_err(text)? & 0o7777),
            number(header.uid().map_err(text)?),
            number(header.gid().map_err(text)?),
            mtime.map_or_else(|| header.mtime().map(number).map_err(text), Ok)?,
        ];
        let size = if kind == "file" { member.size() } else { 0 };
        listed.push(entry(&name, kind, numbers, size, &link, device));
    }
    Ok(listed)
}

/// The readers that are programs.
struct Outsiders(Peer);

impl Outsiders {
    fn find() -> Option<Self> {
        let (python, _, _) = (Peer::python()?, Peer::find("tar")?, Peer::find("bsdtar")?);
        Some(Outsiders(python))
    }

    /// What each lists of each archive of a directory.
    fn list(&self, directory: &Path) -> Vec<(String, Others)> {
        let mut command = self.0.command();
        command.arg("-c").arg(include_str!("list_tars.py")).arg(directory);
        let lines = self.0.finish(command);
        let listed = |value: &Value| match value.as_array() {
            Some(members) => Ok(members.clone()),
            None => Err(value.as_str().expect("a text").to_owned()),
        };
        let archive = |line: &str| {
            let all: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
            let name = all["archive"].as_str().unwrap().to_owned();
            let mut others: Others = all
                .iter()
                .filter(|(key, _)| *key != "archive")
                .map(|(key, value)| (key.clone(), listed(value)))
                .collect();
            others.insert("the crate tar".to_owned(), by_the_crate(&fs::read(directory.join(&name)).unwrap()));
            (name, others)
        };
        lines.lines().map(archive).collect()
    }
}
