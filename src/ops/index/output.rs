use std::num::NonZeroUsize;

use crate::error::Result;
use crate::image::publish::{writers, TargetOptions};
use crate::layout::{Edit, LayoutWriter, Location};
use crate::oci::{Descriptor, Index};

/// How the target is written.
pub(super) enum Output {
    /// Anew with all that is in it: an archive that gains or loses images. It is locked.
    Edited(Box<Edit>),
    /// An archive as a whole, or a layout that is locked only when all is there for it.
    Staged(LayoutWriter),
}

impl Output {
    /// To go on with an edit, if there is one.
    pub(super) fn new(edit: Option<Box<Edit>>, target: &Location, options: &TargetOptions) -> Result<Self> {
        if let Some(mut edit) = edit {
            options.apply_checksum(edit.writer()?)?;
            return Ok(Output::Edited(edit));
        }
        let writer = writers(std::slice::from_ref(target), options)?.pop();
        Ok(Output::Staged(writer.expect("there is a writer for each target")))
    }

    /// Where blobs gather.
    pub(super) fn writer(&mut self) -> Result<&mut LayoutWriter> {
        match self {
            Output::Edited(edit) => edit.writer(),
            Output::Staged(writer) => Ok(writer),
        }
    }

    /// Shows what `changed` makes of the target's `index.json`, which is what it was or has been changed by somebody in the
    /// meantime: of that it makes nothing, and the answer is no. Where there was none, it is `listed`.
    pub(super) fn commit(
        self,
        listed: &[Descriptor],
        changed: &dyn Fn(&Index) -> Option<Index>,
        threads: NonZeroUsize,
    ) -> Result<bool> {
        match self {
            Output::Edited(mut edit) => {
                *edit.index_mut() = changed(edit.index()).expect("nobody else changes what is locked");
                edit.join_lists()?;
                edit.free_replaced()?;
                edit.commit(threads)?;
                Ok(true)
            }
            Output::Staged(mut writer) => {
                for descriptor in listed {
                    writer.list(descriptor.clone());
                }
                writer.prepare(threads)?;
                writer.commit_if(changed)
            }
        }
    }
}
