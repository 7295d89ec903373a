//! ACLs and SELinux labels in an archive of a whole filesystem: what `tar --acls --selinux` and bsdtar keep in PAX
//! records of their own becomes the attributes that a directory would have.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::layer::Changeset;
use crate::tar::OwnedRecord;
use crate::tree::{align_hardlinks, Acl, Content, Ids, Kind, TarPath, Tree, XattrPolicy};

const ACCESS_ACL: &[u8] = b"SCHILY.acl.access";
const DEFAULT_ACL: &[u8] = b"SCHILY.acl.default";
const SELINUX: &[u8] = b"RHT.security.selinux";

/// Whether records of this keyword become attributes.
pub(super) fn is_applied(keyword: &[u8]) -> bool {
    [ACCESS_ACL, DEFAULT_ACL, SELINUX].contains(&keyword)
}

/// The records that become attributes, by the paths of their members.
#[derive(Debug, Default)]
pub(super) struct FilesystemAttributes(BTreeMap<TarPath, Vec<OwnedRecord>>);

impl FilesystemAttributes {
    /// Takes the records from an archive. Of two members with one path, the later counts.
    pub(super) fn of(changeset: &Changeset) -> Self {
        let mut records = BTreeMap::new();
        for (number, entry) in changeset.members.iter().enumerate() {
            match changeset.unapplied.get(number) {
                // A link's own header says nothing about the file that it names.
                Some(_) if matches!(entry.kind, Kind::Hardlink { .. }) => {}
                Some(found) => drop(records.insert(entry.path.clone(), found.clone())),
                None => drop(records.remove(&entry.path)),
            }
        }
        FilesystemAttributes(records)
    }

    /// Sets the attributes on the entries of the tree, and looks up names in ACLs in the tree itself. Returns warnings
    /// about names that are not found there.
    pub(super) fn apply(
        self,
        tree: &mut Tree,
        content: &dyn Content,
        policy: &XattrPolicy,
        archive: &str,
    ) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if self.0.is_empty() {
            return Ok(warnings);
        }
        let users = Ids::read(tree, content, b"etc/passwd")?;
        let groups = Ids::read(tree, content, b"etc/group")?;
        for (path, records) in self.0 {
            let Some(inode) = tree.get(&path).map(|entry| tree.inode(entry).path.clone()) else { continue };
            let Some(entry) = tree.get_mut(&inode) else { continue };
            for (keyword, value) in records {
                let Some(attribute) = attribute(&keyword, &entry.kind).filter(|attribute| policy.keeps(attribute))
                else {
                    continue;
                };
                let metadata = &mut entry.metadata;
                // `tar --acls --xattrs` keeps both: the attribute has ids, and the text may have names of the host's
                // users.
                if metadata.xattrs.contains_key(attribute) {
                    continue;
                }
                if attribute == SELINUX_LABEL {
                    // A filesystem has it with a NUL at its end.
                    metadata.xattrs.insert(attribute.to_vec(), [&*value, b"\0"].concat().into());
                    continue;
                }
                let acl = Acl::parse(&value, &users, &groups).map_err(|reason| {
                    let keyword = String::from_utf8_lossy(&keyword);
                    Error::malformed(format!("{archive}: {keyword} of `{path}`"), reason)
                })?;
                let is_access = attribute == ACCESS_ATTRIBUTE;
                if let Some(name) = &acl.unknown {
                    warnings.push(format!(
                        "{archive}: an ACL of `{path}` is not kept: it names `{name}`, which is not in the image's etc/passwd or \
                         etc/group"
                    ));
                    if is_access {
                        metadata.mode = metadata.mode & 0o7000 | acl.mode_without();
                    }
                    continue;
                }
                if is_access {
                    metadata.mode = metadata.mode & 0o7000 | acl.mode();
                }
                if !(is_access && acl.is_mode()) {
                    metadata.xattrs.insert(attribute.to_vec(), acl.value().into());
                }
            }
        }
        align_hardlinks(tree);
        Ok(warnings)
    }
}

const ACCESS_ATTRIBUTE: &[u8] = b"system.posix_acl_access";
const SELINUX_LABEL: &[u8] = b"security.selinux";

/// Returns the attribute of a record, or `None` if an entry of this kind cannot have it.
fn attribute(keyword: &[u8], kind: &Kind) -> Option<&'static [u8]> {
    match keyword {
        ACCESS_ACL if !matches!(kind, Kind::Symlink { .. }) => Some(ACCESS_ATTRIBUTE),
        DEFAULT_ACL if *kind == Kind::Directory => Some(b"system.posix_acl_default"),
        SELINUX => Some(SELINUX_LABEL),
        _ => None,
    }
}
