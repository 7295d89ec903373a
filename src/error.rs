//! Errors: one enum for the whole library.
//!
//! A message is one clause: what was wanted, what was found, where. The layer that knows the subject (path, digest,
//! variable) puts it into the variant; no layer above repeats it. [`Error::hint`] says what to do, if there is
//! something to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::hint::Hint;
use crate::limits::Exceeded;
use crate::spelling;

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation and its subject.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call of the operating system failed.
    #[error("cannot {action} {}: {}", shown(action, path), describe(cause))]
    Io {
        /// The verb: `open`, `read`, `create` …
        action: &'static str,
        /// The path it was applied to.
        path: PathBuf,
        /// Why it failed. It is part of the message, so it is not a `source()` that would be printed again.
        cause: io::Error,
    },

    /// A flag, environment variable or variables-file entry has a value that is not accepted.
    #[error("{name}: `{}` is not accepted: {accepted}", as_typed(value))]
    Setting {
        /// The flag or variable, as the person wrote it.
        name: String,
        /// The value that was found.
        value: String,
        /// What would have been accepted.
        accepted: String,
    },

    /// A value from the caller is invalid: a name, a pattern, a settings file.
    #[error("{subject}: {reason}")]
    Invalid {
        /// The value, or where it is.
        subject: String,
        /// What was wanted and what was found.
        reason: String,
    },

    /// Input is invalid: a document, a tar stream, a layout.
    #[error("{subject}: {reason}")]
    Malformed {
        /// Where: a file, a blob's digest, an entry of a layer.
        subject: String,
        /// What was wanted and what was found.
        reason: String,
    },

    /// Bytes differ from what their descriptor promises (image-spec, descriptor.md#verification).
    #[error("{subject}: {what} should be {expected}, found {found}")]
    Mismatch {
        /// The blob or document.
        subject: String,
        /// Which property: `size`, `digest`, `diff_id` …
        what: &'static str,
        /// The promised value.
        expected: String,
        /// The actual value.
        found: String,
    },

    /// The request cannot be met, for a reason that is neither I/O nor malformed input.
    #[error("{message}")]
    Refused {
        /// Why.
        kind: ErrorKind,
        /// One clause: what was wanted, what was found, where.
        message: String,
        /// What to do about it, if anything.
        hint: Option<Hint>,
    },

    /// The caller asked to stop (a signal, for the command).
    #[error("interrupted")]
    Interrupted,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something named does not exist: a file, an image, a platform of an image.
    NotFound,
    /// A name fits several things, and one is wanted.
    Ambiguous,
    /// A value from the caller is not accepted.
    Invalid,
    /// The format cannot express the request, or this version does not support it.
    Unsupported,
    /// What was read is damaged or invalid.
    Damaged,
    /// The request would do harm, or contradicts itself.
    Refused,
    /// The operating system refused, or a disk is full.
    Io,
    /// The observer asked to stop.
    Interrupted,
}

impl Error {
    /// Returns a refusal without a hint.
    pub fn refused(message: impl Into<String>) -> Self {
        Error::Refused { kind: ErrorKind::Refused, message: message.into(), hint: None }
    }

    /// Returns a refusal with a hint.
    pub fn refused_with_hint(message: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Error::Refused { kind: ErrorKind::Refused, message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns the same refusal with another kind.
    #[must_use]
    pub(crate) fn of_kind(self, kind: ErrorKind) -> Self {
        match self {
            Error::Refused { message, hint, .. } => Error::Refused { kind, message, hint },
            error => error,
        }
    }

    /// Returns the error with its message changed. Its kind and its hint stay.
    #[must_use]
    pub(crate) fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        match self {
            Error::Interrupted => Error::Interrupted,
            error => Error::Refused { kind: error.kind(), message: reword(&error.to_string()), hint: error.hint() },
        }
    }

    /// Returns the error with a subject before its message. Its kind and its hint stay.
    #[must_use]
    pub(crate) fn about(self, subject: impl fmt::Display) -> Self {
        self.reworded(|message| format!("{subject}: {message}"))
    }

    /// Returns the error with this hint. Its message and its kind stay.
    #[must_use]
    pub(crate) fn advising(self, hint: impl Into<Hint>) -> Self {
        match self {
            Error::Interrupted => Error::Interrupted,
            error => Error::Refused { kind: error.kind(), message: error.to_string(), hint: Some(hint.into()) },
        }
    }

    /// Returns the error for an invalid value from the caller.
    pub fn invalid(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Invalid { subject: subject.into(), reason: reason.into() }
    }

    /// Returns the error for invalid input.
    pub(crate) fn malformed(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Malformed { subject: subject.into(), reason: reason.into() }
    }

    /// Returns the error of this library that an I/O error carries, or else the I/O error unchanged.
    pub fn carried_by(mut error: io::Error) -> Result<Self, io::Error> {
        match error.get_mut().and_then(|inner| inner.downcast_mut::<Error>()) {
            Some(carried) => Ok(std::mem::replace(carried, Error::Interrupted)),
            None => Err(error),
        }
    }

    /// Returns what a person can do about it, for a `hint:` line, or `None` if there is nothing.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Refused { hint, .. } => hint.clone(),
            Error::Setting { value, accepted, .. } => spelling::suggestion(value, accepted).map(Hint::from),
            Error::Io { cause, .. } if Exceeded::carried_by(cause).is_some() => {
                Exceeded::carried_by(cause).map(Exceeded::hint)
            }
            Error::Io { cause, .. } if is_disk_full(cause) => Some("free some space or choose another target".into()),
            _ => None,
        }
    }

    /// Returns the kind of error, for programs that react to it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound => ErrorKind::NotFound,
            Error::Io { cause, .. } if Exceeded::carried_by(cause).is_some() => ErrorKind::Damaged,
            Error::Io { .. } => ErrorKind::Io,
            Error::Setting { .. } | Error::Invalid { .. } => ErrorKind::Invalid,
            Error::Malformed { .. } | Error::Mismatch { .. } => ErrorKind::Damaged,
            Error::Refused { kind, .. } => *kind,
            Error::Interrupted => ErrorKind::Interrupted,
        }
    }
}

/// What was read, or `None` if it is damaged. What the system could not read is still an error, since it may be whole.
pub(crate) fn despite_damage<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Interrupted) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Adds the action and the path to an I/O error.
pub(crate) trait IoContext<T> {
    /// Turns an `io::Error` into [`Error::Io`], unless it already carries an [`Error`], which knows its subject.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            Error::carried_by(error).unwrap_or_else(|cause| Error::Io { action, path: path.to_path_buf(), cause })
        })
    }
}

/// Lets an [`Error`] travel through `Read` and `Write`; [`Error::carried_by`] takes it out again.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}

/// The path of standard output, as targets are written. A file of this name is `./-`.
pub const STDOUT: &str = "-";

/// Returns what could not be written or read: `to stdout`, or the path.
fn shown(action: &str, path: &Path) -> String {
    if action == "write" && path == Path::new(STDOUT) {
        return "to stdout".to_owned();
    }
    format!("`{}`", path.display())
}

/// Returns whether this is ENOSPC or EDQUOT; `ErrorKind::StorageFull` is younger than the oldest supported compiler.
fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(28 | 122))
}

/// Returns the same I/O error once more, for a stream that has failed and is used again. What an [`Error`] knows beside
/// its message, as its hint, stays.
pub(crate) fn once_more(error: &io::Error) -> io::Error {
    if let Some(code) = error.raw_os_error() {
        return io::Error::from_raw_os_error(code);
    }
    let carried = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match (carried, Exceeded::carried_by(error)) {
        (Some(Error::Io { action, path, cause }), _) => {
            Error::Io { action, path: path.clone(), cause: once_more(cause) }.into()
        }
        (Some(carried), _) => {
            Error::Refused { kind: carried.kind(), message: carried.to_string(), hint: carried.hint() }.into()
        }
        (None, Some(exceeded)) => exceeded.clone().into(),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Returns what a person typed as it was typed: quotes and backslashes stand for themselves, and what would drive a
/// terminal is escaped.
pub fn as_typed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Returns the text of an I/O error without Rust's `(os error N)`, which tells a person nothing.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_name_the_act_and_the_path_once() {
        let error: Result<()> = Err(io::Error::from_raw_os_error(28)).at("write", Path::new("out/blob"));
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "cannot write `out/blob`: No space left on device");
        assert_eq!(error.hint(), Some("free some space or choose another target".into()));
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn an_error_that_travelled_as_io_error_comes_out_as_it_was() {
        let inner = Error::malformed("blob", "nothing in it");
        let outer: Result<()> = Err(io::Error::from(inner)).at("read", Path::new("x"));
        assert_eq!(outer.unwrap_err().to_string(), "blob: nothing in it");
    }

    #[test]
    fn an_error_told_once_more_is_the_same() {
        let full = || io::Error::from_raw_os_error(28);
        let at = |path: &str| Error::Io { action: "write", path: path.into(), cause: full() };
        for error in [at("out"), Error::refused_with_hint("no", "do"), Error::malformed("blob", "empty")] {
            let of = |error: &Error| (error.to_string(), error.kind(), error.hint());
            let before = of(&error);
            let again = Error::carried_by(once_more(&error.into())).unwrap();
            assert_eq!(of(&again), before);
        }
        assert_eq!(once_more(&full()).raw_os_error(), Some(28));
        assert_eq!(at(STDOUT).to_string(), "cannot write to stdout: No space left on device");
        assert_eq!(at("./-").to_string(), "cannot write `./-`: No space left on device");
    }

    #[test]
    fn a_subject_a_hint_and_other_words_leave_the_kind() {
        let at = |path: &str, code| Error::Io {
            action: "write",
            path: path.into(),
            cause: io::Error::from_raw_os_error(code),
        };
        let full = || at("out", 28);
        assert_eq!(full().about("layer").to_string(), "layer: cannot write `out`: No space left on device");
        for changed in [full().about("layer"), full().reworded(str::to_owned)] {
            assert_eq!((changed.kind(), changed.hint()), (ErrorKind::Io, full().hint()));
        }
        for (error, kind) in [
            (full(), ErrorKind::Io),
            (at("out", 2), ErrorKind::NotFound),
            (Error::invalid("name", "empty"), ErrorKind::Invalid),
            (Error::malformed("blob", "empty"), ErrorKind::Damaged),
            (Error::refused("no").of_kind(ErrorKind::Ambiguous), ErrorKind::Ambiguous),
        ] {
            let advised = error.advising("do");
            assert_eq!((advised.kind(), advised.hint()), (kind, Some("do".into())), "{advised}");
        }
        assert!(matches!(Error::Interrupted.about("layer").advising("do"), Error::Interrupted));
    }

    #[test]
    fn settings_name_variable_value_and_what_is_accepted() {
        let error = Error::Setting {
            name: "OCI_IMAGE_PORTS".into(),
            value: "80/\n".into(),
            accepted: "words like `80`, `80/tcp`".into(),
        };
        assert_eq!(error.to_string(), r"OCI_IMAGE_PORTS: `80/\n` is not accepted: words like `80`, `80/tcp`");
        assert_eq!(as_typed("[\"it's\", \\n]\t\u{1b}[31m\0é"), r#"["it's", \n]\t\u{1b}[31m\0é"#);
    }
}
