//! What an executable runs on, from its ELF header (System V ABI, chapter 4) and, for 32-bit Arm, its build attributes
//! (Arm ABI, addenda32).

/// What an ELF file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elf {
    machine: u16,
    is_64_bit: bool,
    is_big_endian: bool,
}

/// Bytes of the header that are looked at.
pub(super) const HEADER: usize = 20;

/// `e_machine`, and the GOARCH by word size and byte order: 32 bits little and big, 64 bits little and big.
const MACHINES: &[(u16, [&str; 4])] = &[
    (2, ["", "sparc", "", ""]),
    (3, ["386", "", "", ""]),
    (8, ["mipsle", "mips", "mips64le", "mips64"]),
    (20, ["ppcle", "ppc", "", ""]),
    (21, ["", "", "ppc64le", "ppc64"]),
    (22, ["", "s390", "", "s390x"]),
    (40, ["arm", "armbe", "", ""]),
    (43, ["", "", "", "sparc64"]),
    (62, ["x32", "", "amd64", ""]),
    (183, ["arm64 (ILP32)", "", "arm64", "arm64be"]),
    (243, ["riscv32", "", "riscv64", ""]),
    (258, ["loong32", "", "loong64", ""]),
];

/// What kernels of an architecture run beside their own.
const ALSO_RUN: &[(&str, &[&str])] = &[
    ("amd64", &["386", "x32"]),
    ("arm64", &["arm", "arm64 (ILP32)"]),
    ("arm64be", &["armbe"]),
    ("mips64", &["mips"]),
    ("mips64le", &["mipsle"]),
    ("ppc64", &["ppc"]),
    ("s390x", &["s390"]),
    ("sparc64", &["sparc"]),
];

impl Elf {
    /// Reads the beginning of a file. Returns `None` if it is no ELF file.
    pub(super) fn read(start: &[u8]) -> Option<Self> {
        let header = start.get(..HEADER).filter(|header| header.starts_with(b"\x7fELF"))?;
        let is_big_endian = header[5] == 2;
        let machine = [header[18], header[19]];
        let machine = if is_big_endian { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
        Some(Elf { machine, is_64_bit: header[4] == 2, is_big_endian })
    }

    /// The GOARCH, or what comes next to one. Machines that are not known have no name.
    pub(super) fn architecture(self) -> Option<&'static str> {
        let (_, names) = MACHINES.iter().find(|(machine, _)| *machine == self.machine)?;
        let name = names[2 * usize::from(self.is_64_bit) + usize::from(self.is_big_endian)];
        Some(name).filter(|name| !name.is_empty())
    }

    /// Whether a host of this GOARCH may run it. What is not known is not judged.
    pub(super) fn runs_on(self, goarch: &str) -> bool {
        let is_judged = MACHINES.iter().any(|(_, names)| names.contains(&goarch));
        let Some(own) = self.architecture().filter(|_| is_judged) else { return true };
        own == goarch || ALSO_RUN.iter().any(|(host, others)| *host == goarch && others.contains(&own))
    }

    /// Whether its build attributes tell a version of 32-bit Arm.
    pub(super) fn has_arm_version(self) -> bool {
        self.architecture() == Some("arm")
    }
}

/// Section type of build attributes.
const SHT_ARM_ATTRIBUTES: u32 = 0x7000_0003;
/// The attribute that tells the architecture.
const TAG_CPU_ARCH: u64 = 6;

/// Returns the version of Arm that a little-endian 32-bit ELF file needs, if its attributes tell.
pub(super) fn arm_version(file: &[u8]) -> Option<u8> {
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?)));
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    let (table, size, count) = (word(32)? as usize, half(46)?, half(48)?);
    let section = (0..count)
        .map(|number| table.saturating_add(number * size))
        .find(|at| word(at.saturating_add(4)) == Some(SHT_ARM_ATTRIBUTES))?;
    let (from, length) = (word(section + 16)? as usize, word(section + 20)? as usize);
    let attributes = file.get(from..from.checked_add(length)?)?;
    // Version `A`, then the length of the vendor's part and its name.
    let vendor = attributes.strip_prefix(b"A")?.get(4..)?.strip_prefix(b"aeabi\0")?;
    // The attributes of the whole file, with their length.
    let mut rest = vendor.strip_prefix(&[1])?.get(4..)?;
    while !rest.is_empty() {
        let tag = uleb128(&mut rest)?;
        let value = match tag {
            // Names of CPUs, and what is compatible with them.
            4 | 5 | 67 => text(&mut rest)?,
            32 => {
                uleb128(&mut rest)?;
                text(&mut rest)?
            }
            tag if tag > 32 && tag % 2 == 1 => text(&mut rest)?,
            _ => uleb128(&mut rest)?,
        };
        if tag == TAG_CPU_ARCH {
            return match value {
                1 | 2 => Some(4),
                3..=5 => Some(5),
                6..=9 => Some(6),
                10 => Some(7),
                14 => Some(8),
                22 => Some(9),
                _ => None,
            };
        }
    }
    None
}

fn uleb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Passes over a string.
fn text(bytes: &mut &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    *bytes = &bytes[end + 1..];
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        [b"\x7fELF".as_slice(), &[class, order, 1], &[0; 9], &[2, 0], &machine].concat()
    }

    #[test]
    fn headers() {
        for (class, order, machine, architecture) in [
            (2, 1, [62, 0], Some("amd64")),
            (1, 1, [62, 0], Some("x32")),
            (1, 1, [3, 0], Some("386")),
            (2, 1, [183, 0], Some("arm64")),
            (1, 1, [40, 0], Some("arm")),
            (1, 2, [0, 40], Some("armbe")),
            (2, 2, [0, 8], Some("mips64")),
            (1, 1, [8, 0], Some("mipsle")),
            (2, 1, [243, 0], Some("riscv64")),
            (2, 1, [2, 1], Some("loong64")),
            (2, 2, [0, 22], Some("s390x")),
            (2, 1, [21, 0], Some("ppc64le")),
            (2, 1, [99, 99], None),
        ] {
            let elf = Elf::read(&header(class, order, machine)).unwrap();
            assert_eq!(elf.architecture(), architecture, "{machine:?}");
        }
        assert!(Elf::read(b"#!/bin/sh\nexec true\n\n\n").is_none());
        assert!(Elf::read(b"\x7fELF").is_none());
        let elf = |machine: [u8; 2], class| Elf::read(&header(class, 1, machine)).unwrap();
        assert!(elf([3, 0], 1).runs_on("amd64") && !elf([62, 0], 2).runs_on("386"));
        assert!(elf([40, 0], 1).runs_on("arm64") && !elf([183, 0], 2).runs_on("amd64"));
        assert!(elf([183, 0], 2).runs_on("wasm") && elf([99, 99], 2).runs_on("amd64"));
    }

    #[test]
    fn attributes_of_arm() {
        // A header, then one section header, then the attributes.
        let file = |architecture: u8| {
            let mut file = header(1, 1, [40, 0]);
            file.resize(52, 0);
            file[32] = 52;
            file[46] = 40;
            file[48] = 1;
            let inner = [&[1_u8, 0, 0, 0, 0][..], &[5], b"7-A\0", &[TAG_CPU_ARCH as u8, architecture, 8, 1]].concat();
            let attributes = [b"A\0\0\0\0aeabi\0".as_slice(), &inner].concat();
            let mut section = vec![0; 40];
            section[4..8].copy_from_slice(&SHT_ARM_ATTRIBUTES.to_le_bytes());
            section[16] = 92;
            section[20] = attributes.len() as u8;
            file.extend(section);
            file.extend(attributes);
            file
        };
        for (architecture, version) in [(4, Some(5)), (9, Some(6)), (10, Some(7)), (14, Some(8)), (11, None)] {
            assert_eq!(arm_version(&file(architecture)), version, "{architecture}");
        }
        for length in 0..file(10).len() {
            // However it is cut off, nothing is told and nothing goes wrong.
            let _ = arm_version(&file(10)[..length]);
        }
    }
}
