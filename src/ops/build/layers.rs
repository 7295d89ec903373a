//! The new layers: one, or several according to a plan.

use crate::error::{Error, ErrorKind, Result};
use crate::layer::groups::{Groups, PackageMap};
use crate::layer::plan::{Assignment, Layering, MAX_LAYERS};
use crate::layer::{cut, Layer, LayerGroups, Members, Step};
use crate::oci::annotations::{LAYER_GROUPS, LAYER_NAME};
use crate::oci::{Annotations, Descriptor, History};
use crate::tree::{Content, Entry, Tree};

/// A layer to write.
pub(crate) struct PlannedMembers<'a> {
    pub(crate) described: Option<Described>,
    pub(crate) members: Members<'a>,
}

/// What a plan says about a layer.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) groups: LayerGroups,
}

/// A layer that was written.
pub(crate) struct NewLayer {
    pub(crate) layer: Layer,
    pub(crate) described: Option<Described>,
}

impl NewLayer {
    /// Returns its step of the history: `step` with the name and groups from the plan.
    pub(crate) fn history(&self, step: &History) -> History {
        match &self.described {
            None => step.clone(),
            Some(Described { name, groups }) => History {
                created_by: step.created_by.as_ref().map(|made| format!("{made}: layer {name}")),
                comment: Some(groups.words()),
                ..step.clone()
            },
        }
    }

    /// Returns its descriptor for the manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let mut descriptor = self.layer.descriptor.clone();
        if let Some(Described { name, groups }) = &self.described {
            let annotations = [(LAYER_NAME, name.clone()), (LAYER_GROUPS, groups.words())];
            descriptor.annotations =
                Some(annotations.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Annotations>());
        }
        descriptor
    }
}

/// How the tree is cut into layers, and who owns its entries.
#[derive(Clone, Copy)]
pub(crate) struct Cutting<'a> {
    pub(crate) layering: &'a Layering,
    pub(crate) map: Option<&'a PackageMap>,
    /// The tree of the base and how many layers it has.
    pub(crate) base: Option<(&'a Tree, usize)>,
}

impl Cutting<'_> {
    /// Cuts the members of what would be one layer, which are in tree order. Returns warnings about the plan too.
    pub(crate) fn cut<'a>(
        self,
        steps: &[Step<'a>],
        tree: &Tree,
        content: &dyn Content,
    ) -> Result<(Vec<PlannedMembers<'a>>, Vec<String>)> {
        let groups = match self.map {
            Some(map) => Groups::of_map(map, tree)?,
            None => Groups::detect(tree, content)?,
        };
        let plan = self.layering.plan(&groups, tree);
        let assignment = Assignment::new(&plan, &groups, tree);
        let is_changed = |entry: &Entry| self.base.map_or(true, |(base, _)| base.get(&entry.path) != Some(entry));
        let layers: Vec<PlannedMembers<'a>> = cut(steps, &assignment, is_changed)
            .into_iter()
            .map(|cut| PlannedMembers {
                described: Some(Described { name: cut.name, groups: cut.groups }),
                members: Members::Steps(cut.steps),
            })
            .collect();
        let below = self.base.map_or(0, |(_, layers)| layers);
        if layers.len() + below > MAX_LAYERS {
            let message = format!(
                "the image would have {} layers, {below} of them the base's: {MAX_LAYERS} at most expected",
                layers.len() + below
            );
            return Err(Error::refused_with_hint(message, "plan fewer, or squash the base first")
                .of_kind(ErrorKind::Unsupported));
        }
        let warnings = self.layering.warning(&groups).into_iter().chain(assignment.warnings().iter().cloned());
        Ok((layers, warnings.collect()))
    }
}
