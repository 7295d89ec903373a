//! Members of a tar, made byte by byte: no tool writes what these tests need.

/// A header block and what follows it.
#[derive(Clone)]
pub(crate) struct Member {
    name: Vec<u8>,
    typeflag: u8,
    mode: u16,
    link: Vec<u8>,
    size: Option<usize>,
    content: Vec<u8>,
    magic: &'static [u8; 8],
    prefix: &'static str,
}

pub(crate) fn member(typeflag: u8, name: impl AsRef<[u8]>) -> Member {
    Member {
        name: name.as_ref().to_vec(),
        typeflag,
        mode: 0o644,
        link: Vec::new(),
        size: None,
        content: Vec::new(),
        magic: b"ustar\x0000",
        prefix: "",
    }
}

pub(crate) fn file(name: &str, content: &str) -> Member {
    Member { content: content.into(), ..member(b'0', name) }
}

pub(crate) fn directory(name: &str) -> Member {
    member(b'5', name)
}

pub(crate) fn hardlink(name: &str, target: &str) -> Member {
    Member { link: target.into(), ..member(b'1', name) }
}

/// A PAX header with these records, for the member after it.
pub(crate) fn pax(records: &[(&str, &str)]) -> Member {
    extended(b'x', records)
}

pub(crate) fn extended(typeflag: u8, records: &[(&str, &str)]) -> Member {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let digits = (1..9).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap();
        body.extend(format!("{}{rest}", rest.len() + digits).into_bytes());
    }
    Member { content: body, ..member(typeflag, "PaxHeaders/x") }
}

impl Member {
    pub(crate) fn content(mut self, content: impl AsRef<[u8]>) -> Self {
        self.content = content.as_ref().to_vec();
        self
    }

    pub(crate) fn mode(mut self, mode: u16) -> Self {
        self.mode = mode;
        self
    }

    /// Where a link points to.
    pub(crate) fn link(mut self, target: impl AsRef<[u8]>) -> Self {
        self.link = target.as_ref().to_vec();
        self
    }

    /// A size in the header that differs from that of the content.
    pub(crate) fn size(mut self, size: usize) -> Self {
        self.size = Some(size);
        self
    }

    /// A header from before POSIX.
    pub(crate) fn without_magic(mut self) -> Self {
        self.magic = &[0; 8];
        self
    }

    /// A header of GNU tar with a prefix, as Go once wrote it.
    pub(crate) fn gnu_prefix(mut self, prefix: &'static str) -> Self {
        self.magic = b"ustar  \0";
        self.prefix = prefix;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        assert!(self.name.len() <= 100 && self.link.len() <= 100);
        let mut header = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", self.size.unwrap_or(self.content.len())).as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[self.typeflag]);
        put(157, &self.link);
        put(257, self.magic);
        put(345, self.prefix.as_bytes());
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());

        let mut bytes = header.to_vec();
        bytes.extend(&self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// Adds members before the end of a tar.
pub(crate) fn append(tar: &mut Vec<u8>, members: &[Member]) {
    cut_end(tar);
    tar.extend(members.iter().flat_map(Member::bytes));
    tar.extend([0; 1024]);
}

/// Removes the blocks of zeros that end a tar.
pub(crate) fn cut_end(tar: &mut Vec<u8>) {
    assert!(tar.ends_with(&[0; 1024]));
    tar.truncate(tar.len() - 1024);
    if tar.is_empty() {
        return;
    }
    // The last member in the trees of these tests is a text file, so its last block is not all zeros.
    assert!(!tar.ends_with(&[0; 512]));
}

/// Puts one block of zeros between the members and one more.
pub(crate) fn lone_zero_block(tar: &mut Vec<u8>) {
    cut_end(tar);
    tar.extend([0; 512]);
    tar.extend(file("late", "x").bytes());
    tar.extend([0; 1024]);
}

/// Where the content of the last file, a text, ends, before padding and end blocks.
pub(crate) fn last_content_end(tar: &[u8]) -> usize {
    tar.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}
