//! Progress for people, and how a signal stops the work.

use std::env;
use std::io::{stderr, IsTerminal, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use ocibake::limits::Limits;
use ocibake::work::{Observer, Work};

use super::say;

/// How much is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Only errors.
    Quiet,
    /// Warnings too.
    Normal,
    /// Each step too.
    Verbose,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressMode {
    /// A bar on a terminal, nothing elsewhere
    Auto,
    /// Lines `NN%` on stderr, for BitBake and scripts
    Percent,
    /// Nothing
    None,
}

/// How long a run may take to end by itself after a signal.
const GRACE: Duration = Duration::from_millis(500);

/// Whether the process is being ended, whatever its threads do.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The first signal that asked to stop.
#[derive(Clone)]
pub(super) struct Interruption(Arc<AtomicUsize>);

impl Interruption {
    /// Listens for the signals that end a command, except those that are ignored already, such as by `nohup`. A second
    /// signal ends the process at once.
    pub(super) fn listen() -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
        let received = Arc::new(AtomicUsize::new(0));
        let ignored = ignored_signals();
        let (wakes, woken) = UnixStream::pair().ok().unzip();
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
            let second = Arc::new(std::sync::atomic::AtomicBool::new(false));
            // Without the handler, the default action ends the process: nothing is cleaned up, but nothing is wrong
            // either.
            let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&second))
                .and_then(|_| signal_hook::flag::register(signal, second))
                .and_then(|_| {
                    signal_hook::flag::register_usize(signal, Arc::clone(&received), signal.unsigned_abs() as usize)
                })
                .and_then(|_| match &wakes {
                    Some(wakes) => signal_hook::low_level::pipe::register(signal, wakes.try_clone()?).map(drop),
                    None => Ok(()),
                });
        }
        // By default it ends the process without a word. With a handler, the write that is too much fails
        // (`ulimit -f`).
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
        let interruption = Interruption(received);
        if let Some(woken) = woken {
            let interruption = interruption.clone();
            // Without it, a run that waits for something ends when that comes.
            let _ = thread::Builder::new().name("signals".to_owned()).spawn(move || interruption.enforce(woken));
        }
        interruption
    }

    /// Waits for a signal, and ends the process if it does not do so by itself: it may be waiting for a pipe, a disk or
    /// another process.
    fn enforce(&self, mut woken: UnixStream) {
        if !matches!(woken.read(&mut [0]), Ok(1)) {
            return;
        }
        thread::sleep(GRACE);
        ENDING.store(true, Ordering::SeqCst);
        ocibake::layout::abandon();
        let _ = writeln!(stderr(), "ocibake: error: interrupted");
        std::process::exit(i32::from(128 + self.0.load(Ordering::Relaxed) as u8));
    }

    /// Waits for the end, if the process is being ended: what fails because of that is not told.
    pub(super) fn wait_if_ending() {
        while ENDING.load(Ordering::SeqCst) {
            thread::park();
        }
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The exit code for an end by a signal, as shells have it.
    pub(super) fn exit_code(&self) -> Option<ExitCode> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(ExitCode::from(128 + signal as u8)),
        }
    }
}

/// Returns the signals that this process ignores, one bit each from signal 1 on; 0 if the system does not say.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// The observer of a command.
pub(super) struct Display {
    verbosity: Verbosity,
    limits: Limits,
    interruption: Interruption,
    bar: Option<ProgressBar>,
    percent: Option<Percent>,
}

#[derive(Default)]
struct Percent {
    expected: AtomicU64,
    done: AtomicU64,
    /// The last value shown. Locked while it is shown, so that no thread shows a lower value after a higher one.
    shown: Mutex<u64>,
}

impl Display {
    pub(super) fn new(mode: ProgressMode, verbosity: Verbosity, limits: Limits, interruption: &Interruption) -> Self {
        let wants_bar = mode == ProgressMode::Auto
            && verbosity != Verbosity::Quiet
            && stderr().is_terminal()
            && can_show_bar(|name| env::var(name).ok());
        Display {
            verbosity,
            limits,
            interruption: interruption.clone(),
            bar: wants_bar.then(|| ProgressBar::new(0).with_style(bar_style())),
            percent: (mode == ProgressMode::Percent).then(Percent::default),
        }
    }

    /// Returns the work for the library, with this number of threads or else one for each core.
    pub(super) fn work(&self, threads: Option<NonZeroUsize>) -> Result<Work<'_>> {
        let threads = match threads {
            Some(threads) => threads,
            None => std::thread::available_parallelism().context("cannot count the machine's cores")?,
        };
        let mut work = Work::new(threads, self);
        work.limits = self.limits;
        Ok(work)
    }

    /// Prints a line without breaking the bar.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }
}

/// Whether the terminal moves its cursor and shows the characters that a bar is made of.
fn can_show_bar(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let letters = locale.unwrap_or_default().to_ascii_lowercase().replace('-', "");
    variable("TERM").is_some_and(|terminal| !matches!(terminal.as_str(), "" | "dumb")) && letters.contains("utf8")
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left")
        .expect("the template is well-formed")
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Display {
    fn step(&self, message: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.say(&format!("ocibake: {message}"));
        }
    }

    fn warning(&self, message: &str) {
        if self.verbosity != Verbosity::Quiet {
            self.say(&format!("ocibake: warning: {message}"));
        }
    }

    fn expect(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
        }
        if let Some(percent) = &self.percent {
            percent.expected.store(bytes, Ordering::Relaxed);
            say("0%");
        }
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
        if let Some(percent) = &self.percent {
            let done = percent.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let now = (done * 100).checked_div(percent.expected.load(Ordering::Relaxed)).unwrap_or(0).min(100);
            let mut shown = percent.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if *shown < now {
                *shown = now;
                say(&format!("{now}%"));
            }
        }
    }

    fn interrupted(&self) -> bool {
        self.interruption.is_requested()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_moves_where_it_can_be_seen() {
        for (environment, expected) in [
            (&[("TERM", "xterm"), ("LANG", "en_US.UTF-8")][..], true),
            (&[("TERM", "xterm"), ("LANG", "de_DE.utf8")], true),
            (&[("TERM", "xterm"), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")], true),
            (&[("TERM", "xterm"), ("LC_ALL", ""), ("LANG", "C.UTF-8")], true),
            (&[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
            (&[("TERM", "xterm"), ("LANG", "de_DE.ISO-8859-1")], false),
            (&[("TERM", "xterm")], false),
            (&[("TERM", "dumb"), ("LANG", "en_US.UTF-8")], false),
            (&[("TERM", ""), ("LANG", "en_US.UTF-8")], false),
            (&[("LANG", "en_US.UTF-8")], false),
        ] {
            let variable =
                |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(can_show_bar(variable), expected, "{environment:?}");
        }
    }
}
