//! Attributes that a filesystem and some archives have, and that a layer cannot hold: a PAX record ends its keyword, of
//! which the name is a part, at the first `=` (POSIX.1-2017, pax, pax Extended Header).

use crate::tar::is_storable;
use crate::tree::Tree;

/// Leaves such attributes out of a tree that is to be written. Returns a warning, or `None` if there are none.
pub(crate) fn leave_unstorable(tree: &mut Tree) -> Option<String> {
    let mut first = None;
    let mut count = 0_usize;
    for entry in tree.iter_mut() {
        let path = &entry.path;
        entry.metadata.xattrs.retain(|name, _| {
            let is_kept = is_storable(name);
            if !is_kept {
                count = count.saturating_add(1);
                let _ = first.get_or_insert_with(|| format!("`{}` of `{path}`", name.escape_ascii()));
            }
            is_kept
        });
    }
    let rest = if count > 1 { format!(" and {} more", count.saturating_sub(1)) } else { String::new() };
    first.map(|first| format!("the attribute {first}{rest} has `=` in its name, which a layer cannot hold: left out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, Kind, Metadata, TarPath};

    #[test]
    fn one_warning_names_the_first() {
        let with = |path: &str, names: &[&str]| {
            let path = TarPath::parse(path.as_bytes()).unwrap();
            let xattrs = names.iter().map(|name| (name.as_bytes().to_vec(), (*b"v").into())).collect();
            Entry { path, kind: Kind::Fifo, metadata: Metadata { xattrs, ..Metadata::default() } }
        };
        for (entries, warning) in [
            (vec![with("a", &["user.b"])], None),
            (vec![with("a", &["user.b", "user.c=d"])], Some("the attribute `user.c=d` of `/a` has `=`")),
            (
                vec![with("a", &["user.="]), with("b", &["user.c=", "x=y"])],
                Some("the attribute `user.=` of `/a` and 2 more has `=`"),
            ),
        ] {
            let mut tree: Tree = entries.into_iter().collect();
            let said = leave_unstorable(&mut tree);
            assert_eq!(said.is_some(), warning.is_some());
            assert!(said.unwrap_or_default().starts_with(warning.unwrap_or_default()));
            assert!(tree.iter().all(|entry| entry.metadata.xattrs.keys().all(|name| is_storable(name))));
        }
    }
}
