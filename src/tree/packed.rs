//! Paths whose bytes are beside each other in memory. Alone, each takes about 60 bytes more.

use crate::tree::TarPath;

/// So many paths share a piece of memory, which stays until the last of them goes.
const TOGETHER: usize = 256;

/// Of longer paths little is saved, and much would stay because of one.
const LONGEST: usize = 4096;

/// Returns the paths of names in a directory.
pub(super) fn paths_in(directory: &TarPath, names: &[Box<[u8]>]) -> Vec<TarPath> {
    if directory.as_bytes().len() > LONGEST {
        return names.iter().map(|name| directory.join(name)).collect();
    }
    let mut paths = Vec::with_capacity(names.len());
    for names in names.chunks(TOGETHER) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(names.len()));
        for name in names {
            directory.join_to(name, &mut bytes);
            ends.push(bytes.len() as u32);
        }
        paths.extend(TarPath::of_parts(bytes, &ends));
    }
    paths
}

/// Packs the paths of a list that grows by one, so that all but the last few are packed.
pub(crate) fn pack_grown<T>(list: &mut [T], path: impl Fn(&mut T) -> &mut TarPath) {
    if list.len() % TOGETHER == 0 {
        let grown = list.len().saturating_sub(TOGETHER);
        pack(&mut list[grown..], path);
    }
}

/// Puts the bytes of paths that share them with no other beside each other.
fn pack<T>(list: &mut [T], path: impl Fn(&mut T) -> &mut TarPath) {
    let is_packed = |path: &TarPath| !path.is_alone() || path.as_bytes().len() > LONGEST;
    let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(list.len()));
    for item in &mut *list {
        let path = path(item);
        if !is_packed(path) {
            bytes.extend_from_slice(path.as_bytes());
            ends.push(bytes.len() as u32);
        }
    }
    let mut packed = TarPath::of_parts(bytes, &ends);
    let left = list.iter_mut().map(path).filter(|path| !is_packed(path));
    left.for_each(|path| *path = packed.next().unwrap_or_else(|| path.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_paths_are_the_same_paths() {
        let names =
            |count: usize| (0..count).map(|n| format!("{n:03}").into_bytes().into()).collect::<Vec<Box<[u8]>>>();
        for directory in [TarPath::root(), TarPath::parse(b"a/b").unwrap(), TarPath::parse(&[b'd'; 5000]).unwrap()] {
            for count in [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER] {
                let joined: Vec<TarPath> = names(count).iter().map(|name| directory.join(name)).collect();
                let together = paths_in(&directory, &names(count));
                let mut grown = Vec::new();
                for path in &joined {
                    grown.push(path.clone());
                    pack_grown(&mut grown, |path| path);
                }
                assert!(together == joined && grown == joined, "{count} in {directory}");
                let packed = |paths: &[TarPath]| paths.iter().filter(|path| !path.is_alone()).count();
                let expected = if directory.as_bytes().len() > LONGEST { 0 } else { count / TOGETHER * TOGETHER };
                assert_eq!(packed(&grown), expected, "{count} in {directory}");
                assert!(packed(&together) >= expected);
            }
        }
    }

    #[test]
    fn the_parent_of_a_packed_path() {
        let directory = TarPath::parse(b"a/b").unwrap();
        let paths = paths_in(&directory, &[b"x"[..].into(), b"yz"[..].into()]);
        assert_eq!(paths[1].parent(), Some(directory.clone()));
        assert_eq!(paths[1].parent().and_then(|path| path.parent()), directory.parent());
        assert_eq!((paths[1].file_name(), paths[0].cmp(&paths[1])), (&b"yz"[..], std::cmp::Ordering::Less));
    }
}
