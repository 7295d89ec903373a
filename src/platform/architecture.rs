//! Architecture names from all sources, and the GOARCH that each means.

use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::hint::Hint;
use crate::spelling::{edit_distance, nearest};

/// What an architecture name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Architecture {
    /// The name in OCI.
    pub(super) goarch: &'static str,
    /// The ISA that the name implies, as a word of a tune: `armv7a` for `armhf`.
    pub(super) isa: Option<&'static str>,
}

/// The GOARCH names that Go builds for on Linux, each with its names elsewhere: those of Yocto, `uname -m` and Debian.
const LINUX: &[(&str, &[&str])] = &[
    ("386", &["i586", "i686", "i486", "i386"]),
    ("amd64", &["x86_64", "x86-64"]),
    ("arm", &[]),
    ("arm64", &["aarch64"]),
    ("loong64", &["loongarch64"]),
    ("mips", &[]),
    ("mipsle", &["mipsel"]),
    ("mips64", &[]),
    ("mips64le", &["mips64el"]),
    ("ppc64", &["powerpc64"]),
    ("ppc64le", &["powerpc64le", "ppc64el"]),
    ("riscv64", &[]),
    ("s390x", &[]),
];

/// Big-endian Arm: Go does not build for it, but container engines know the names, and it must never pass for `arm`.
const BIG_ENDIAN_ARM: &[(&str, &[&str])] = &[
    ("armbe", &["armeb", "armv4b", "armv5teb", "armv5tejb", "armv6b", "armv7b", "armv8b"]),
    ("arm64be", &["aarch64_be"]),
];

/// Reserved in Go (go/build/syslist.go) and known to container engines. Accepted when chosen, never derived.
const RESERVED: &[&str] = &["amd64p32", "mips64p32", "mips64p32le", "ppc", "s390", "sparc", "sparc64", "wasm"];

/// Names of 32-bit little-endian Arm that imply the ISA: those of `uname -m` (the kernel's name and `l` for the byte
/// order), of RPM and of Debian.
///
/// Debian's `armel` is built for Arm version 5, and its official container images are published as `arm/v5`.
/// (containerd reads `armel` as `arm/v6`, but a host of v6 or later takes an image of v5 too.)
const ARM: &[(&str, &str)] = &[
    ("armhf", "armv7a"),
    ("armel", "armv5"),
    ("armv4l", "armv4"),
    ("armv4tl", "armv4"),
    ("armv5l", "armv5"),
    ("armv5tl", "armv5"),
    ("armv5tel", "armv5"),
    ("armv5tejl", "armv5"),
    ("armv6l", "armv6"),
    ("armv6hl", "armv6"),
    ("armv7l", "armv7a"),
    ("armv7hl", "armv7a"),
    ("armv7hnl", "armv7a"),
    ("armv8l", "armv8a"),
    ("armv7ml", "armv7m"),
];

/// Architectures that people build for and that have no GOARCH.
const WITHOUT_GOARCH: &[&str] = &[
    "m68k",
    "microblaze",
    "microblazeel",
    "mipsisa32r6",
    "mipsisa32r6el",
    "mipsisa64r6",
    "mipsisa64r6el",
    "mipsr6",
    "mipsr6el",
    "mips64r6",
    "mips64r6el",
    "powerpc",
    "powerpcle",
    "powerpcel",
    "ppcle",
    "riscv32",
    "sh3",
    "sh3eb",
    "sh4",
    "sh4a",
    "sh4eb",
    "x32",
];

/// Names by which the kernel calls several architectures, each with what to say instead. `powerpc` is Yocto's name of
/// the 32-bit one too.
const AMBIGUOUS: &[(&str, &str)] = &[
    ("x86", "say `386` (i686) for 32 bits or `amd64` (x86_64) for 64 bits"),
    ("riscv", "say `riscv64` for 64 bits; RISC-V with 32 bits has no name in OCI"),
    ("loongarch", "say `loong64` (loongarch64) for 64 bits; LoongArch with 32 bits has no name in OCI"),
    (
        "powerpc",
        "say `ppc64` (powerpc64) or `ppc64le` (powerpc64le) for 64 bits; PowerPC with 32 bits has no name in OCI",
    ),
];

/// GOOS names (go/build/syslist.go).
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

/// Returns whether some architecture has this name, whether or not OCI can name it.
pub(crate) fn is_known_name(name: &str) -> bool {
    named(name).is_some() || reserved(name).is_some() || ambiguous(name).is_some() || WITHOUT_GOARCH.contains(&name)
}

/// Returns whether this is a GOOS.
pub(crate) fn is_known_os(name: &str) -> bool {
    SYSTEMS.contains(&name)
}

/// Returns the names of all architectures that OCI can name, OCI's own first.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    let goarches = LINUX.iter().chain(BIG_ENDIAN_ARM).map(|(goarch, _)| *goarch);
    let others = LINUX.iter().chain(BIG_ENDIAN_ARM).flat_map(|(_, names)| names.iter().copied());
    goarches.chain(others).chain(ARM.iter().map(|(name, _)| *name))
}

/// Returns what an architecture may be called, for a message.
pub(crate) fn accepted_names() -> String {
    let goarches: Vec<_> = LINUX.iter().map(|(goarch, _)| *goarch).collect();
    format!("a GOARCH ({}), or the TARGET_ARCH, `uname -m` or Debian name of one", goarches.join(", "))
}

/// Returns the architecture that a setting chooses by name.
pub(super) fn chosen(name: &str) -> Result<Architecture> {
    named(name)
        .or_else(|| reserved(name))
        .ok_or_else(|| ambiguous(name).map_or_else(|| refuse(name), |instead| refuse_ambiguous(name, instead)))
}

/// Returns the architecture that a machine is built for.
pub(super) fn derived(name: &str) -> Result<Architecture> {
    let only_kernels = || ambiguous(name).filter(|_| !WITHOUT_GOARCH.contains(&name));
    named(name).ok_or_else(|| only_kernels().map_or_else(|| refuse(name), |instead| refuse_ambiguous(name, instead)))
}

fn refuse_ambiguous(name: &str, instead: &str) -> Error {
    let message = format!("architecture `{name}` is ambiguous: the kernel calls 32 and 64 bits so");
    Error::refused_with_hint(message, instead.to_owned()).of_kind(ErrorKind::Ambiguous)
}

fn ambiguous(name: &str) -> Option<&'static str> {
    AMBIGUOUS.iter().find(|(ambiguous, _)| *ambiguous == name).map(|(_, instead)| *instead)
}

fn named(name: &str) -> Option<Architecture> {
    plainly_named(name).or_else(|| plainly_named(of_triplet(name)?))
}

/// Returns the architecture in a GNU triplet for Linux (`aarch64-poky-linux`, `arm-linux-gnueabihf`), which may end in
/// the hyphen that a prefix of tools has. An ABI without a name in OCI is no such triplet.
fn of_triplet(name: &str) -> Option<&str> {
    let mut parts = name.strip_suffix('-').unwrap_or(name).split('-');
    let architecture = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    let system = rest.iter().position(|part| *part == "linux")?;
    let is_nameless = |abi: &str| matches!(abi, "gnux32" | "muslx32" | "gnuabin32" | "muslabin32" | "gnu_ilp32");
    (system < 2 && rest.len() - system < 3 && !rest.iter().any(|abi| is_nameless(abi))).then_some(architecture)
}

fn plainly_named(name: &str) -> Option<Architecture> {
    let by_goarch = LINUX
        .iter()
        .chain(BIG_ENDIAN_ARM)
        .find(|(goarch, names)| *goarch == name || names.contains(&name))
        .map(|(goarch, _)| Architecture { goarch, isa: None });
    by_goarch.or_else(|| {
        ARM.iter().find(|(arm, _)| *arm == name).map(|(_, isa)| Architecture { goarch: "arm", isa: Some(isa) })
    })
}

fn reserved(name: &str) -> Option<Architecture> {
    RESERVED.iter().find(|goarch| **goarch == name).map(|goarch| Architecture { goarch, isa: None })
}

fn refuse(name: &str) -> Error {
    if is_known_name(name) {
        without_name(name)
    } else {
        let hint = meant(name).unwrap_or_else(|| format!("accepted: {}", accepted_names()).into());
        Error::refused_with_hint(format!("architecture `{}` is not known", as_typed(name)), hint)
            .of_kind(ErrorKind::Invalid)
    }
}

/// Returns what an unknown name may mean: a platform, whose parts are settings of their own, or a name that is
/// misspelt.
pub(crate) fn meant(name: &str) -> Option<Hint> {
    let mut parts = name.split('/');
    let (first, second) = (parts.next()?, parts.next());
    let (os, architecture, variant) = match second {
        Some(architecture) if is_known_os(first) => (Some(first), architecture, parts.next()),
        Some(variant) => (None, first, Some(variant)),
        None => match of_docker(name) {
            Some((architecture, variant)) => (None, architecture, Some(variant)),
            None => return nearest_name(name).map(|nearest| format!("did you mean `{nearest}`").into()),
        },
    };
    if !is_known_name(architecture) || parts.next().is_some() {
        return None;
    }
    let mut hint = Hint::from(format!("write `{architecture}`"));
    if let Some(os) = os.filter(|os| *os != "linux") {
        hint = hint.text(format!(", and set `{os}` with ")).setting("OCI_IMAGE_OS");
    }
    if let Some(variant) = variant.filter(|variant| !variant.is_empty()) {
        hint = hint.text(format!(", and set `{variant}` with ")).setting("OCI_IMAGE_SUBARCH");
    }
    Some(hint)
}

/// Returns the architecture and variant that Docker's own repositories call by one word, as in `arm32v7/debian`.
pub(super) fn of_docker(name: &str) -> Option<(&str, &str)> {
    let (architecture, variant) = name.split_at(name.rfind('v')?);
    let is_version = variant.len() > 1 && variant[1..].bytes().all(|byte| byte.is_ascii_digit());
    match architecture {
        "arm32" if is_version => Some(("arm", variant)),
        "arm64" if is_version => Some(("arm64", variant)),
        _ => None,
    }
}

/// Returns the nearest name, in any case. Of several that are as near, one of a little-endian architecture is rather
/// meant.
pub(super) fn nearest_name(name: &str) -> Option<&'static str> {
    let name = &*name.to_lowercase();
    let is_rare = |known: &str| BIG_ENDIAN_ARM.iter().any(|(goarch, names)| *goarch == known || names.contains(&known));
    let common = nearest(name, known_names().filter(|known| !is_rare(known)));
    let any = nearest(name, known_names())?;
    Some(common.filter(|common| edit_distance(common, name) == edit_distance(any, name)).unwrap_or(any))
}

/// Returns the error for an architecture or ABI that OCI cannot name.
pub(super) fn without_name(subject: &str) -> Error {
    Error::refused_with_hint(
        format!("architecture `{subject}` has no name in OCI"),
        Hint::from("set ").setting("OCI_IMAGE_ARCH").text(" to the GOARCH that your container engine goes by"),
    )
    .of_kind(ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_name() {
        for (name, hint) in [
            ("amd46", Some("did you mean `amd64`")),
            ("aarch46", Some("did you mean `aarch64`")),
            ("armv7", Some("did you mean `armv7l`")),
            ("armv7bb", Some("did you mean `armv7b`")),
            ("arm64/", Some("write `arm64`")),
            ("linux/arm64/", Some("write `arm64`")),
            ("linux/arm64", Some("write `arm64`")),
            ("linux/arm/v7", Some("write `arm`, and set `v7` with OCI_IMAGE_SUBARCH")),
            ("arm/v7", Some("write `arm`, and set `v7` with OCI_IMAGE_SUBARCH")),
            ("freebsd/amd64", Some("write `amd64`, and set `freebsd` with OCI_IMAGE_OS")),
            ("AMD64", Some("did you mean `amd64`")),
            ("arm64v8", Some("write `arm64`, and set `v8` with OCI_IMAGE_SUBARCH")),
            ("arm32v7", Some("write `arm`, and set `v7` with OCI_IMAGE_SUBARCH")),
            ("arm32", None),
            ("linux/vax", None),
            ("a/b/c/d", None),
            ("vax", None),
            ("", None),
        ] {
            assert_eq!(meant(name).map(|hint| hint.to_string()).as_deref(), hint, "{name}");
        }
    }

    #[test]
    fn names_of_every_family() {
        for (name, goarch, isa) in [
            ("386", "386", None),
            ("i386", "386", None),
            ("i486", "386", None),
            ("i586", "386", None),
            ("i686", "386", None),
            ("aarch64-poky-linux", "arm64", None),
            ("aarch64-poky-linux-", "arm64", None),
            ("x86_64-linux-gnu", "amd64", None),
            ("x86_64-pc-linux-musl", "amd64", None),
            ("i686-oe-linux", "386", None),
            ("arm-poky-linux-gnueabi", "arm", None),
            ("armv7l-unknown-linux-gnueabihf", "arm", Some("armv7a")),
            ("powerpc64le-poky-linux", "ppc64le", None),
            ("mips64el-linux-gnuabi64", "mips64le", None),
            ("loongarch64-poky-linux", "loong64", None),
            ("amd64", "amd64", None),
            ("x86_64", "amd64", None),
            ("arm", "arm", None),
            ("arm64", "arm64", None),
            ("aarch64", "arm64", None),
            ("aarch64_be", "arm64be", None),
            ("armeb", "armbe", None),
            ("armbe", "armbe", None),
            ("armhf", "arm", Some("armv7a")),
            ("armel", "arm", Some("armv5")),
            ("armv5tel", "arm", Some("armv5")),
            ("armv6l", "arm", Some("armv6")),
            ("armv7l", "arm", Some("armv7a")),
            ("armv8l", "arm", Some("armv8a")),
            ("armv7b", "armbe", None),
            ("loongarch64", "loong64", None),
            ("loong64", "loong64", None),
            ("mips", "mips", None),
            ("mipsel", "mipsle", None),
            ("mipsle", "mipsle", None),
            ("mips64", "mips64", None),
            ("mips64el", "mips64le", None),
            ("mips64le", "mips64le", None),
            ("powerpc64", "ppc64", None),
            ("ppc64", "ppc64", None),
            ("powerpc64le", "ppc64le", None),
            ("ppc64el", "ppc64le", None),
            ("ppc64le", "ppc64le", None),
            ("riscv64", "riscv64", None),
            ("s390x", "s390x", None),
        ] {
            assert_eq!(derived(name).unwrap(), Architecture { goarch, isa }, "{name}");
            assert_eq!(chosen(name).unwrap(), Architecture { goarch, isa }, "{name}");
        }
    }

    #[test]
    fn reserved_names_must_be_chosen() {
        for name in RESERVED {
            assert_eq!(chosen(name).unwrap().goarch, *name);
            assert!(derived(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_has_no_name_says_what_to_set() {
        for name in WITHOUT_GOARCH {
            let error = derived(name).unwrap_err();
            assert_eq!(error.to_string(), format!("architecture `{name}` has no name in OCI"));
            assert!(error.hint().unwrap().to_string().contains("OCI_IMAGE_ARCH"), "{name}");
        }
    }

    #[test]
    fn what_the_kernel_calls_two_things_is_refused_with_both() {
        for (name, meanings) in [
            ("x86", &["`386` (i686)", "`amd64` (x86_64)"][..]),
            ("riscv", &["`riscv64`", "32 bits has no name"]),
            ("loongarch", &["`loong64`"]),
            ("powerpc", &["`ppc64` ", "`ppc64le`", "32 bits has no name"]),
        ] {
            let error = chosen(name).unwrap_err();
            assert!(error.to_string().starts_with(&format!("architecture `{name}` is ambiguous")), "{error}");
            let hint = error.hint().unwrap().to_string();
            assert!(meanings.iter().all(|meaning| hint.contains(meaning)), "{hint}");
            // As a machine's architecture, `powerpc` is Yocto's name of the one with 32 bits.
            let derived = derived(name).unwrap_err().to_string();
            let end = if name == "powerpc" { "has no name in OCI" } else { "calls 32 and 64 bits so" };
            assert!(derived.ends_with(end), "{derived}");
        }
    }

    #[test]
    fn triplets_of_other_systems_and_abis_are_unknown() {
        for name in [
            "aarch64-none-elf",
            "x86_64-linux-gnux32",
            "mips64-linux-gnuabin32",
            "linux",
            "-linux",
            "aarch64-a-b-linux-gnu",
            "aarch64-linux-gnu-x-y",
            "x86-poky-linux",
            "z80-poky-linux",
            "aarch64--linux-",
            "x86_64-w64-mingw32",
        ] {
            let is_known = named(name).is_some();
            assert_eq!(is_known, name == "aarch64--linux-", "{name}");
        }
    }

    #[test]
    fn what_is_unknown_lists_what_is_known() {
        for name in ["", "VAX", "linux/vax", "z80\n", "i286x86"] {
            let error = chosen(name).unwrap_err();
            assert!(error.to_string().ends_with("is not known"), "{error}");
            assert!(error.hint().unwrap().to_string().contains("386, amd64, arm, arm64, loong64, mips"), "{name}");
        }
    }

    #[test]
    fn one_name_has_one_meaning() {
        let mut names: Vec<&str> = RESERVED.iter().chain(WITHOUT_GOARCH).copied().collect();
        names.extend(AMBIGUOUS.iter().map(|(name, _)| *name).filter(|name| !WITHOUT_GOARCH.contains(name)));
        for (goarch, others) in LINUX.iter().chain(BIG_ENDIAN_ARM) {
            names.push(goarch);
            names.extend(*others);
        }
        names.extend(ARM.iter().map(|(name, _)| *name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
