//! How much may come out of little: what guards memory and disk against input that was made to fill them.

use std::io;

use crate::hint::{Hint, OptionName};

/// How large layers, archives and documents that others made may be when they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of a layer, or of an archive, when it is decompressed.
    pub unpacked: u64,
    /// How many times its compressed size that may be, beyond the first 64 MiB.
    pub ratio: u64,
    /// The bytes of the names and attributes of a layer, each value that many entries share counted once, and 128 for
    /// each entry.
    pub metadata: u64,
    /// The bytes of `index.json`, also where it is written: what is written can be read again.
    pub(crate) index: u64,
    /// Likewise those of any other document.
    pub(crate) document: u64,
}

/// The largest document that is read: what registries accept (distribution-spec, spec.md#pushing-manifests).
pub const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

/// The largest `index.json` that is read and written. No registry sees it, and a layout may list many images.
pub const MAX_INDEX_SIZE: u64 = 64 << 20;

impl Default for Limits {
    /// 64 GiB, 1000 times, 512 MiB; [`MAX_INDEX_SIZE`] and [`MAX_DOCUMENT_SIZE`].
    fn default() -> Self {
        Limits {
            unpacked: 64 << 30,
            ratio: 1000,
            metadata: 512 << 20,
            index: MAX_INDEX_SIZE,
            document: MAX_DOCUMENT_SIZE,
        }
    }
}

/// Up to this size, a ratio is no danger.
const HARMLESS: u64 = 64 << 20;

impl Limits {
    /// An error if `compressed` bytes must not become `unpacked` ones.
    pub(crate) fn check_unpacked(&self, compressed: u64, unpacked: u64) -> Result<(), Exceeded> {
        if unpacked > self.unpacked {
            let message = format!("it decompresses to more than {} bytes", self.unpacked);
            return Err(Exceeded { message, option: OptionName::MaxUnpacked });
        }
        if unpacked > HARMLESS.saturating_add(compressed.saturating_mul(self.ratio)) {
            let message = format!("it decompresses from {compressed} to {unpacked} bytes, over {} times", self.ratio);
            return Err(Exceeded { message, option: OptionName::MaxRatio });
        }
        Ok(())
    }

    /// An error if entries, names and attributes are more than they must be.
    pub(crate) fn check_metadata(&self, found: u64) -> Result<(), Exceeded> {
        if found > self.metadata {
            let message = format!("its entries, names and attributes take more than {} bytes", self.metadata);
            return Err(Exceeded { message, option: OptionName::MaxMetadata });
        }
        Ok(())
    }
}

/// A limit that was met. It travels as the cause of an I/O error, whose path says where.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exceeded {
    message: String,
    option: OptionName,
}

impl Exceeded {
    /// The one that an I/O error carries.
    pub(crate) fn carried_by(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(crate) fn hint(&self) -> Hint {
        Hint::from("if it comes from someone whom you trust, raise ").option(self.option)
    }
}

impl From<Exceeded> for io::Error {
    fn from(exceeded: Exceeded) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, exceeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_or_dense_is_refused() {
        let limits = Limits { unpacked: 1 << 30, ratio: 10, metadata: 100, ..Limits::default() };
        for (compressed, unpacked, taken) in [
            (1, 64 << 20, true),
            (1, (64 << 20) + 10, true),
            (1, (64 << 20) + 11, false),
            (100 << 20, (1000 << 20) + 1, true),
            (1 << 30, 1 << 30, true),
            (1 << 30, (1 << 30) + 1, false),
            (u64::MAX, 1, true),
        ] {
            assert_eq!(limits.check_unpacked(compressed, unpacked).is_ok(), taken, "{unpacked} of {compressed}");
        }
        assert!(limits.check_metadata(100).is_ok() && limits.check_metadata(101).is_err());
    }
}
