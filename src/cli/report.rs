//! How results look to a person.

use std::fmt::Write;

use ocibake::ops::build::BuildStats;

/// A number of bytes with three digits and a decimal unit: `1.54 GB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{count} B"),
        (_, value) if value < 9.995 => format!("{value:.2} {}", UNITS[unit]),
        (_, value) if value < 99.95 => format!("{value:.1} {}", UNITS[unit]),
        (_, value) => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// The table of `--stats`.
pub(super) fn stats(stats: &BuildStats) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        writeln!(text, "{name:<12} {value}").expect("writing to a string");
    };
    row("entries", stats.entries.to_string());
    row("content", bytes(stats.content_bytes));
    row("tar", bytes(stats.tar_bytes));
    row("layer", bytes(stats.layer_bytes));
    row("threads", stats.threads.to_string());
    row("scan", format!("{:.3} s, {:.0} entries/s", stats.scan_seconds, stats.entries as f64 / stats.scan_seconds));
    for (name, seconds, amount) in [
        ("read", stats.read_seconds, stats.content_bytes),
        ("hash", stats.hash_seconds, stats.tar_bytes + stats.layer_bytes),
        ("compress", stats.compress_seconds, stats.tar_bytes),
        ("write", stats.write_seconds, stats.layer_bytes),
        ("total", stats.total_seconds, stats.content_bytes),
    ] {
        row(name, format!("{seconds:.3} s, {:.0} MB/s", amount as f64 / 1e6 / seconds.max(1e-9)));
    }
    if let Some(peak) = stats.peak_memory_bytes {
        row("peak memory", bytes(peak));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_995, "10.0 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_540_000_000, "1.54 GB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
