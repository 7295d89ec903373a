//! Reads some files of layers into memory. They should be few and small: each layer is decompressed up to the last of
//! them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use crate::compress::Decoder;
use crate::error::{Error, IoContext, Result};
use crate::layer::Origin;
use crate::layout::Layout;
use crate::oci::Descriptor;
use crate::tar;
use crate::tree::{Content, Entry, TarPath};

/// The contents of some files, by path.
#[derive(Debug, Default)]
pub(crate) struct FewFiles(BTreeMap<TarPath, Vec<u8>>);

impl FewFiles {
    /// Reads those `wanted` files whose content is in one of these layers. `origins` maps each file to its content.
    pub(crate) fn read<'a>(
        layout: &Layout,
        layers: &[Descriptor],
        origins: &BTreeMap<TarPath, Origin>,
        wanted: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Self> {
        let mut by_layer: BTreeMap<usize, BTreeMap<usize, &TarPath>> = BTreeMap::new();
        for entry in wanted {
            if let Some(Origin { layer, member }) = origins.get(&entry.path).copied() {
                by_layer.entry(layer).or_default().insert(member, &entry.path);
            }
        }
        let mut files = BTreeMap::new();
        for (layer, members) in by_layer {
            let Some(descriptor) = layers.get(layer) else { continue };
            let name = format!("layer {}", descriptor.digest.short());
            let decoder = Decoder::new(layout.blob(descriptor)?, layout.limits()).at("read", Path::new(&name))?;
            let mut reader = tar::Reader::new(decoder, name.as_str(), layout.limits());
            let mut next = 0;
            for (member, path) in members {
                while next <= member {
                    reader.next_member()?;
                    next += 1;
                }
                let mut content = Vec::new();
                reader.read_to_end(&mut content).at("read", Path::new(&name))?;
                files.insert(path.clone(), content);
            }
        }
        Ok(FewFiles(files))
    }

    /// Returns the content of a file, or `None` if it was not read.
    pub(crate) fn get(&self, path: &TarPath) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }
}

impl Content for FewFiles {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        match self.get(&entry.path) {
            Some(content) => Ok(Box::new(Cursor::new(content))),
            None => Err(Error::malformed(entry.path.to_string(), "its content was not read")),
        }
    }
}
