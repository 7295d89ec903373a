//! Where blocks end, so that two streams that differ in one place cut the same blocks everywhere else.
//!
//! - An entry that is larger than a block starts one, and its content is cut into whole blocks from there. So the cuts
//!   in and after a large file depend on that file alone.
//! - Elsewhere a block ends at the start of an entry between the least and the most that a block holds: at the one with
//!   the smallest key. Keys follow from names, so two streams with the same entries soon choose the same one, however
//!   their blocks began.

use super::block::BlockSize;

/// Chooses where a block ends while it is being filled.
pub(super) struct BlockEnd {
    size: BlockSize,
    /// The best start of an entry so far that may end the block: its key and its place in the block.
    best: Option<(u64, usize)>,
    /// The starts of entries after the best one: candidates for the next block.
    later: Vec<(u64, usize)>,
    /// The block ends here, whatever else it holds.
    here: Option<usize>,
}

impl BlockEnd {
    pub(super) fn of(size: BlockSize) -> Self {
        BlockEnd { size, best: None, later: Vec::new(), here: None }
    }

    /// Says that an entry with `size` bytes of content starts after `length` bytes of the block.
    pub(super) fn entry_edge(&mut self, length: usize, key: u64, size: u64) {
        if length == 0 {
            return;
        }
        if size >= self.size.most as u64 {
            self.here = Some(length);
        } else {
            self.consider(key, length);
        }
    }

    fn consider(&mut self, key: u64, place: usize) {
        match self.best {
            _ if place < self.size.least => {}
            Some((best, _)) if best <= key => self.later.push((key, place)),
            _ => {
                self.best = Some((key, place));
                self.later.clear();
            }
        }
    }

    /// Returns where the block ends, or `None` if it goes on; `length` bytes of it are filled. What comes after the end
    /// belongs to the next block, whose choice begins with it.
    pub(super) fn end(&mut self, length: usize) -> Option<usize> {
        if let Some(here) = self.here.take() {
            self.best = None;
            self.later.clear();
            return Some(here);
        }
        if length < self.size.most {
            return None;
        }
        let end = self.best.take().map_or(length, |(_, place)| place);
        for (key, place) in std::mem::take(&mut self.later) {
            if place > end {
                self.consider(key, place - end);
            }
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: BlockSize = BlockSize { least: 10, most: 20 };

    /// Returns the ends of the blocks of entries with these keys and sizes, in bytes from the start.
    fn ends(entries: &[(u64, usize)]) -> Vec<usize> {
        let mut cut = BlockEnd::of(SIZE);
        let (mut start, mut at) = (0, 0);
        let mut ends = Vec::new();
        for (key, size) in entries {
            cut.entry_edge(at - start, *key, *size as u64);
            for _ in 0..*size {
                while let Some(end) = cut.end(at - start) {
                    start += end;
                    ends.push(start);
                }
                at += 1;
            }
        }
        ends
    }

    #[test]
    fn a_block_ends_at_the_smallest_key() {
        // Entries start at 6, 12, 15, 18, 23, 28 and 33. Of the ends that are far enough, 15 has the smallest key. From
        // there, 28 and 33 may end the next block, and the first of two equal keys does.
        assert_eq!(ends(&[(9, 6), (1, 6), (5, 3), (3, 3), (7, 5), (8, 5), (8, 5), (8, 5)]), [15, 28]);
    }

    #[test]
    fn a_large_entry_starts_a_block_and_is_cut_from_there() {
        assert_eq!(ends(&[(1, 3), (9, 50), (2, 12), (2, 9)]), [3, 23, 43, 53, 65]);
    }

    /// Returns the blocks that a stream of entries is cut into, each by its content.
    fn blocks(entries: &[(u64, usize)]) -> std::collections::BTreeSet<Vec<(u64, usize)>> {
        let bytes: Vec<(u64, usize)> = entries.iter().flat_map(|(key, size)| (0..*size).map(|at| (*key, at))).collect();
        let mut start = 0;
        let mut blocks = std::collections::BTreeSet::new();
        for end in ends(entries).into_iter().chain([bytes.len()]) {
            blocks.insert(bytes[start..end].to_vec());
            start = end;
        }
        blocks
    }

    #[test]
    fn an_edit_disturbs_few_blocks() {
        let mut state = 7_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let entries: Vec<(u64, usize)> =
            (0..400).map(|_| (random(), if random() % 40 == 0 { 70 } else { 1 + (random() % 6) as usize })).collect();
        let before = blocks(&entries);
        let mut disturbed = 0;
        for turn in 0..300 {
            let at = (random() % 400) as usize;
            let mut edited = entries.clone();
            match turn % 3 {
                0 => edited.insert(at, (random(), 3)),
                1 => edited[at].1 += 2,
                _ => drop(edited.remove(at)),
            }
            disturbed += blocks(&edited).difference(&before).count();
        }
        assert!(disturbed <= 3 * 300, "{disturbed} blocks in 300 edits");
    }
}
