//! What is odd about a build and very likely a mistake.

use crate::error::Result;
use crate::layer::{Layer, Step};
use crate::limits::Limits;
use crate::tree::{form_of_idle, Content, Excluded, Ids, Kind, Mask, TarPath, Tree};

/// Warns about patterns to exclude that match nothing.
pub(super) fn idle_patterns(excluded: &Excluded) -> impl Iterator<Item = String> + '_ {
    excluded.idle.iter().map(|pattern| {
        let form = form_of_idle(pattern).map(|form| format!("; {form}")).unwrap_or_default();
        format!("nothing in the rootfs matches the pattern to exclude: `{pattern}`{form}")
    })
}

/// Warns about masked paths that neither the base nor the rootfs has.
pub(super) fn idle_masks<'a>(masks: &'a [TarPath], base: Option<&'a Tree>, rootfs: &'a Tree) -> Vec<String> {
    let Some(base) = base else {
        return masks.iter().map(|mask| format!("without a base image, the mask `{mask}` has no effect")).collect();
    };
    let is_there = |mask: &TarPath| base.get(mask).or_else(|| rootfs.get(mask)).is_some();
    let idle = masks.iter().filter(|mask| !is_there(mask));
    idle.map(|mask| format!("neither the base image nor the rootfs has what is masked: `{mask}`")).collect()
}

/// Warns about a user and a group that the image does not know: no container would start.
pub(super) fn unknown_accounts(user: &str, tree: &Tree, content: &dyn Content) -> Result<Vec<String>> {
    let (user, group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    let mut warnings = Vec::new();
    for (kind, name, file) in [("user", Some(user), "etc/passwd"), ("group", group, "etc/group")] {
        let Some(name) = name.filter(|name| !name.is_empty() && name.parse::<u32>().is_err()) else { continue };
        // Symbolic links are not followed here.
        let path = TarPath::parse(file.as_bytes())?;
        if tree.get(&path).is_some_and(|entry| matches!(entry.kind, Kind::Symlink { .. })) {
            continue;
        }
        if Ids::read(tree, content, file.as_bytes())?.find(name).is_none() {
            warnings.push(format!("the image runs as the {kind} `{name}`, which is not in its `/{file}`"));
        }
    }
    Ok(warnings)
}

/// So many entries are gone at least where most of a base is said to be removed: of fewer, one would have said so of a
/// change.
const MANY: usize = 3;

/// That most of the base is removed: very likely the rootfs is an addition to it.
pub(super) fn most_removed(base: &Tree, steps: &[Step<'_>]) -> Option<String> {
    let whiteouts = steps.iter().filter(|step| matches!(step, Step::Whiteout(_)));
    let gone: Mask = whiteouts.map(|step| step.path().clone()).collect();
    let removed = base.iter().filter(|entry| gone.covers(&entry.path)).count();
    (removed >= MANY && removed * 2 > base.len()).then(|| {
        format!(
            "{removed} of the {} entries of the base are removed, since the rootfs does not have them: the base mode `merge` keeps \
             them",
            base.len()
        )
    })
}

/// Warns if everything belongs to the user who runs this and is not root: very likely not what is meant.
pub(super) fn foreign_owner(tree: &Tree, runs_as: u32) -> Option<String> {
    let is_own = tree.iter().all(|entry| entry.metadata.uid == runs_as);
    (runs_as != 0 && is_own).then(|| {
        format!(
            "everything belongs to uid {runs_as}, who runs this: the owner 0:0 gives it to root, a device table says who owns \
             what, and fakeroot keeps owners if the rootfs is made under it"
        )
    })
}

/// Warns if a layer decompresses to more than readers with the default limits accept: one large sparse file is enough.
pub(super) fn beyond_limits(layer: &Layer) -> Option<String> {
    let exceeded = Limits::default().check_unpacked(layer.descriptor.size, layer.unpacked_size).err()?;
    Some(format!(
        "layer {}: {exceeded}: readers refuse it until their limit is raised",
        layer.descriptor.digest.short()
    ))
}
