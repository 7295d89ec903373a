//! What the options of a compiler say about the CPU, in the words of Yocto's tunes.

/// Returns the words for the CPU in the options of GCC or Clang, as an SDK exports them in `OECORE_TUNE_CCARGS`:
/// `-march=armv7ve -mcpu=cortex-a15` is `armv7ve armv7a`. What `-march` says comes first. A CPU of 32-bit Arm that is
/// not known stays as it is, so that its version is asked for and not guessed.
pub(crate) fn tune_words(options: &str) -> String {
    let all = || options.split_ascii_whitespace();
    let mut words: Vec<String> = all().filter_map(|word| word.strip_prefix("-march=")).map(isa).collect();
    let cpus = all().filter_map(|word| word.strip_prefix("-mcpu="));
    words.extend(cpus.map(|cpu| of_cpu(without_extensions(cpu)).to_owned()));
    words.extend(all().filter_map(abi).map(str::to_owned));
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// `armv8.2-a+crypto` is `armv8-2a`, `armv5te` is `armv5`; names of x86 CPUs are those of Yocto's tunes.
fn isa(march: &str) -> String {
    let march = without_extensions(march);
    if let Some(version) = march.strip_prefix("armv") {
        return match version {
            "4" | "4t" => "armv4".to_owned(),
            "7ve" => "armv7ve".to_owned(),
            "7" | "7-a" => "armv7a".to_owned(),
            _ if version.starts_with('5') => "armv5".to_owned(),
            "6-m" | "6s-m" => "armv6m".to_owned(),
            _ if version.starts_with('6') => "armv6".to_owned(),
            _ => format!("armv{}", version.replace('-', "").replace('.', "-")),
        };
    }
    match march {
        "nehalem" => "corei7".to_owned(),
        // Older compilers take some CPUs here.
        other => of_cpu(other).to_owned(),
    }
}

fn without_extensions(name: &str) -> &str {
    name.split(['+', '.']).next().filter(|_| !name.starts_with("armv")).unwrap_or_else(|| {
        // The dot of `armv8.2-a` is part of the version.
        name.split('+').next().unwrap_or_default()
    })
}

/// Returns the instruction set of an Arm CPU; a POWER CPU is its own word.
fn of_cpu(cpu: &str) -> &str {
    match cpu {
        "strongarm" | "strongarm110" | "strongarm1100" | "arm7tdmi" | "arm9tdmi" | "arm920t" | "arm922t" | "ep9312" => {
            "armv4"
        }
        "xscale" | "iwmmxt" | "iwmmxt2" | "arm926ej-s" | "arm946e-s" | "arm1026ej-s" | "arm10e" | "fa626te" => "armv5",
        _ if cpu.starts_with("arm11") || cpu == "mpcore" => "armv6",
        "cortex-a5" | "cortex-a7" | "cortex-a8" | "cortex-a9" | "cortex-a12" | "cortex-a15" | "cortex-a17"
        | "marvell-pj4" => "armv7a",
        _ if cpu.starts_with("cortex-m") => "cortexm",
        _ if cpu.starts_with("cortex-r") => "cortexr",
        _ if cpu.starts_with("cortex-a") => "armv8a",
        other => other,
    }
}

/// Returns the word of an ABI that OCI cannot name.
fn abi(option: &str) -> Option<&'static str> {
    match option {
        "-mx32" => Some("mx32"),
        "-mabi=n32" => Some("n32"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{Machine, VariantPolicy};

    /// The options that OE-core's tunes give the compiler say as much as the tunes themselves.
    #[test]
    fn the_options_of_every_tune_of_oe_core() {
        let table = include_str!("../../tests/fixtures/oe-tunes.tsv");
        let mut count = 0;
        for row in table.lines().skip(1) {
            let columns: Vec<_> = row.split('\t').collect();
            let [target_arch, _, _, _, options, auto, exact] = columns[..] else { panic!("{row}") };
            let words = tune_words(options);
            let machine = Machine { target_arch, tune_features: &words, ..Machine::default() };
            for (policy, expected) in [(VariantPolicy::Auto, auto), (VariantPolicy::Exact, exact)] {
                let found = machine.platform(&policy).map_or("error".to_owned(), |platform| platform.to_string());
                assert_eq!(found, expected, "{policy:?} of {options} in {row}");
            }
            count += 1;
        }
        assert_eq!(count, 460);
    }

    #[test]
    fn an_sdk_says_what_its_tune_says() {
        for (target_arch, options, auto, exact) in [
            ("aarch64", "-mbranch-protection=standard -march=armv8-a+crc", "linux/arm64/v8", "linux/arm64/v8"),
            ("aarch64", "-mcpu=cortex-a72+crc+crypto", "linux/arm64/v8", "linux/arm64/v8"),
            ("aarch64", "-march=armv8.2-a+fp16 -mcpu=cortex-a55", "linux/arm64/v8", "linux/arm64/v8.2"),
            ("aarch64", "-march=armv9-a", "linux/arm64/v8", "linux/arm64/v9"),
            ("arm", "-mthumb -mfpu=neon -mfloat-abi=hard -mcpu=cortex-a15", "linux/arm/v7", "linux/arm/v7"),
            ("arm", "-march=armv7ve -mthumb -mfpu=neon -mfloat-abi=hard", "linux/arm/v7", "linux/arm/v7"),
            ("arm", "-march=armv7-a+fp -mthumb", "linux/arm/v7", "linux/arm/v7"),
            ("arm", "-march=armv5te", "linux/arm/v5", "linux/arm/v5"),
            ("arm", "-march=armv5te -mcpu=cortex-a15", "linux/arm/v5", "linux/arm/v5"),
            ("arm", "-marm -mcpu=arm926ej-s", "linux/arm/v5", "linux/arm/v5"),
            ("arm", "-mcpu=arm1176jzf-s -mfpu=vfp", "linux/arm/v6", "linux/arm/v6"),
            ("arm", "-march=armv6zk", "linux/arm/v6", "linux/arm/v6"),
            ("arm", "-march=armv4t", "linux/arm", "linux/arm"),
            ("arm", "-march=armv8-a -mcpu=cortex-a53", "linux/arm/v8", "linux/arm/v8"),
            ("arm", "", "linux/arm", "linux/arm"),
            ("x86_64", "-m64 -march=x86-64-v3", "linux/amd64", "linux/amd64/v3"),
            ("x86_64", "-m64 -march=core2 -mtune=core2 -msse3 -mfpmath=sse", "linux/amd64", "linux/amd64/v1"),
            ("x86_64", "-m64 -march=nehalem -mtune=generic", "linux/amd64", "linux/amd64/v2"),
            ("x86_64", "-m64", "linux/amd64", "linux/amd64"),
            ("i686", "-m32 -march=core2", "linux/386", "linux/386"),
            ("riscv64", "-march=rv64gc", "linux/riscv64", "linux/riscv64"),
            ("powerpc64le", "-mcpu=power9", "linux/ppc64le", "linux/ppc64le/power9"),
            ("x86_64", "-mx32", "no name", "no name"),
            ("mips64", "-mabi=n32", "no name", "no name"),
            ("arm", "-mcpu=cortex-m4", "no architecture that Linux", "no architecture that Linux"),
            ("arm", "-mcpu=made-up", "tells the version", "tells the version"),
        ] {
            let words = tune_words(options);
            let machine = Machine { target_arch, tune_features: &words, ..Machine::default() };
            for (policy, expected) in [(VariantPolicy::Auto, auto), (VariantPolicy::Exact, exact)] {
                let found = machine.platform(&policy).map_or_else(|error| error.to_string(), |found| found.to_string());
                let is_right =
                    if expected.starts_with("linux/") { found == expected } else { found.contains(expected) };
                assert!(is_right, "{target_arch} {options} ({words}): {found} for {expected}");
            }
        }
    }
}
