//! The rules that anomalies of a tar break.

use crate::rule::Rule;
use crate::tar::Anomaly;

/// Returns the rule that an anomaly breaks, and what should be there.
pub(super) fn rule_of(anomaly: &Anomaly) -> (Rule, &'static str) {
    match anomaly {
        Anomaly::AbsoluteName | Anomaly::AbsoluteLink | Anomaly::RedundantComponent | Anomaly::EmptyName => {
            (Rule::TarNameForm, "a relative name in its shortest form")
        }
        Anomaly::NamedTwice
        | Anomaly::FileNamedAsDirectory
        | Anomaly::GnuPrefix
        | Anomaly::SparseRecords
        | Anomaly::RepeatedHeader
        | Anomaly::RepeatedKeyword(_)
        | Anomaly::GlobalKeyword(_)
        | Anomaly::LibarchiveXattr(_)
        | Anomaly::ConflictingXattr(_)
        | Anomaly::ConflictingSize { .. }
        | Anomaly::NoNumber(_)
        | Anomaly::ExtendedOldFormat
        | Anomaly::OddVersion
        | Anomaly::SizeWithoutContent(_) => (Rule::TarAmbiguous, "headers that say one thing"),
        Anomaly::Padding => (Rule::TarPadding, "zeros up to the next block"),
        Anomaly::MissingEnd { .. } | Anomaly::MissingPadding => (Rule::TarEnd, "the end of the tar"),
        Anomaly::TrailingBytes { .. } => (Rule::TarTrailingBytes, "the end of the tar"),
        Anomaly::GlobalHeader | Anomaly::UnknownKeyword(_) | Anomaly::ForeignKeyword(_) => {
            (Rule::TarKeyword, "records of one entry with known keywords")
        }
        Anomaly::Sparse => (Rule::TarSparse, "a file stored whole"),
        Anomaly::RareType(_) => (Rule::TarType, "a type that engines take"),
        // TrailingSlash, GnuLongName, GnuLongLink, BinaryNumber, TypeBits, OldTypeflag, OldFormat, SignedChecksum:
        // readers take them alike.
        _ => (Rule::TarDialect, "ustar with PAX headers"),
    }
}
