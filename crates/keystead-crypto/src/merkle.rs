//! Merkle trees as Certificate Transparency has them (RFC 9162 section 2.1): the hash of a list that only
//! grows, with short proofs that something is in it and that an older list is its beginning.
//!
//! Nothing here keeps a tree. A tree is cut into *perfect* parts: part `index` of `level` covers the 2^level
//! leaves from `index` * 2^level on, and its hash never changes once all of them are there. An [`Edge`]
//! holds the largest ones that make up the whole, which is all that appending takes. Proofs say which
//! [`Range`]s they need, and a range which perfect parts; who keeps them looks them up.

use crate::digest::Sha256;

/// A hash of a leaf or of a part.
pub type Hash = [u8; 32];

/// The hash of an entry (section 2.1.1: a zero byte before it).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut digest = Sha256::new();
    digest.update(&[0]);
    digest.update(entry);
    digest.finish()
}

/// The hash of two parts beside each other (section 2.1.1: a byte of one before them).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut digest = Sha256::new();
    digest.update(&[1]);
    digest.update(left);
    digest.update(right);
    digest.finish()
}

/// The hash of parts from left to right, each of another size than the next and larger; without any, that
/// of the empty list.
pub fn fold(parts: &[Hash]) -> Hash {
    let mut from_right = parts.iter().rev();
    let Some(last) = from_right.next() else {
        return Sha256::new().finish();
    };
    from_right.fold(*last, |right, left| node_hash(left, &right))
}

/// The hash of parts of one size, 2^n of them.
pub fn fold_even(parts: &[Hash]) -> Hash {
    match parts {
        [] => fold(&[]),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            node_hash(&fold_even(left), &fold_even(right))
        }
    }
}

/// The right edge of a tree: the roots of the perfect parts that make it up, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    parts: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of this size; `None` where there are not as many parts as that has.
    pub fn new(size: u64, parts: Vec<Hash>) -> Option<Self> {
        let fits = u32::try_from(parts.len()) == Ok(size.count_ones());
        fits.then_some(Self { size, parts })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The parts, the largest first.
    pub fn parts(&self) -> &[Hash] {
        &self.parts
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut whole = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.parts.pop() {
                whole = node_hash(&left, &whole);
            }
        }
        self.parts.push(whole);
        self.size = self.size.saturating_add(1);
    }

    /// The hash of the tree.
    pub fn root(&self) -> Hash {
        fold(&self.parts)
    }
}

/// Leaves from `begin` up to `end`, where `begin` is a multiple of the largest power of two in their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub begin: u64,
    /// Behind the last.
    pub end: u64,
}

/// A perfect part of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// It covers 2^level leaves.
    pub level: u32,
    /// Its place among those of its level.
    pub index: u64,
}

impl Range {
    /// The perfect parts that make it up, the largest first: [`fold`] makes its hash of theirs.
    pub fn parts(self) -> Vec<Part> {
        let mut begin = self.begin;
        let mut parts = Vec::new();
        while let Some(level) = self.end.saturating_sub(begin).checked_ilog2() {
            parts.push(Part {
                level,
                index: begin >> level,
            });
            begin = begin.saturating_add(1 << level);
        }
        parts
    }

    fn size(self) -> u64 {
        self.end.saturating_sub(self.begin)
    }

    /// Cuts it at the largest power of two that is smaller than its size.
    fn halves(self) -> Option<(Self, Self)> {
        let level = self.size().checked_sub(1)?.checked_ilog2()?;
        let middle = self.begin.saturating_add(1 << level);
        let (begin, end) = (self.begin, self.end);
        Some((Self { begin, end: middle }, Self { begin: middle, end }))
    }
}

/// What proves that leaf `index` is in a tree of `size`: the hashes of these, from the leaf upwards
/// (section 2.1.3.1). `None` where there is no such leaf.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range>> {
    let mut whole = Range {
        begin: 0,
        end: size,
    };
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    while let Some((left, right)) = whole.halves() {
        let (into, beside) = if index < right.begin {
            (left, right)
        } else {
            (right, left)
        };
        path.push(beside);
        whole = into;
    }
    path.reverse();
    Some(path)
}

/// What proves that a tree of `size` begins with one of `first`: the hashes of these (section 2.1.4.1). `None`
/// where it is not smaller or equal, or empty.
pub fn consistency(first: u64, size: u64) -> Option<Vec<Range>> {
    if first == 0 || first > size {
        return None;
    }
    let mut whole = Range {
        begin: 0,
        end: size,
    };
    let mut path = Vec::new();
    // Where the old tree is a part of the new, whoever checks has its hash already.
    let mut known = true;
    while whole.end != first {
        let (left, right) = whole.halves()?;
        if first <= right.begin {
            path.push(right);
            whole = left;
        } else {
            path.push(left);
            whole = right;
            known = false;
        }
    }
    if !known {
        path.push(whole);
    }
    path.reverse();
    Some(path)
}

/// Whether `path` proves that the leaf of this hash is the one at `index` of the tree of `size` with this root
/// (section 2.1.3.2).
pub fn proves_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(beside, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `size` with the root `root` begins with the one of `first` with the
/// root `before` (section 2.1.4.2).
pub fn proves_consistency(first: (u64, &Hash), second: (u64, &Hash), path: &[Hash]) -> bool {
    let ((first, before), (size, root)) = (first, second);
    if first == 0 || first > size {
        return false;
    }
    if first == size {
        return path.is_empty() && before == root;
    }
    let mut rest = path.iter();
    let begin = if first.is_power_of_two() {
        Some(before)
    } else {
        rest.next()
    };
    let Some(begin) = begin else {
        return false;
    };
    let (mut at, mut last) = (first.saturating_sub(1), size.saturating_sub(1));
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*begin, *begin);
    for beside in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node_hash(beside, &old);
            new = node_hash(beside, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *before && new == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;

    /// MTH, as section 2.1.1 defines it.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(b""),
            [one] => *one,
            many => {
                let k = 1 << (many.len() - 1).ilog2();
                node_hash(&naive(&many[..k]), &naive(&many[k..]))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// Made of perfect parts, as a store that keeps those alone would.
    fn of_range(all: &[Hash], range: Range) -> Hash {
        let parts = range.parts().into_iter().map(|part| {
            let begin = usize::try_from(part.index << part.level).unwrap();
            fold_even(&all[begin..begin + (1 << part.level)])
        });
        fold(&parts.collect::<Vec<_>>())
    }

    const MOST: u64 = 70;

    #[test]
    fn the_edge_has_the_root_of_the_definition() {
        let all = leaves(300);
        let mut edge = Edge::default();
        for size in 0..=all.len() {
            assert_eq!(edge.root(), naive(&all[..size]), "{size}");
            let again = Edge::new(edge.size(), edge.parts().to_vec()).unwrap();
            assert_eq!(again, edge);
            if size < all.len() {
                edge.push(all[size]);
            }
        }
        assert_eq!(Edge::new(3, vec![[0; 32]]), None);
    }

    #[test]
    fn every_leaf_of_every_tree_is_proven_and_no_other() {
        let all = leaves(MOST);
        for size in 1..=MOST {
            let tree = &all[..usize::try_from(size).unwrap()];
            let root = naive(tree);
            for index in 0..size {
                let path: Vec<_> = inclusion(index, size)
                    .unwrap()
                    .into_iter()
                    .map(|range| of_range(tree, range))
                    .collect();
                let leaf = &tree[usize::try_from(index).unwrap()];
                assert!(
                    proves_inclusion(leaf, index, size, &path, &root),
                    "{index} {size}"
                );
                assert!(!proves_inclusion(&[9; 32], index, size, &path, &root));
                if size > 1 {
                    assert!(!proves_inclusion(
                        leaf,
                        (index + 1) % size,
                        size,
                        &path,
                        &root
                    ));
                    assert!(!proves_inclusion(leaf, index, size, &path[1..], &root));
                }
                let longer = [path.as_slice(), &[root]].concat();
                assert!(!proves_inclusion(leaf, index, size, &longer, &root));
            }
            assert_eq!(inclusion(size, size), None);
        }
    }

    #[test]
    fn every_beginning_of_every_tree_is_proven_and_no_other() {
        let all = leaves(MOST);
        for size in 1..=MOST {
            let tree = &all[..usize::try_from(size).unwrap()];
            let root = naive(tree);
            for first in 1..=size {
                let before = naive(&tree[..usize::try_from(first).unwrap()]);
                let path: Vec<_> = consistency(first, size)
                    .unwrap()
                    .into_iter()
                    .map(|range| of_range(tree, range))
                    .collect();
                assert!(
                    proves_consistency((first, &before), (size, &root), &path),
                    "{first} {size}"
                );
                assert!(!proves_consistency((first, &[9; 32]), (size, &root), &path));
                assert!(!proves_consistency(
                    (first, &before),
                    (size, &[9; 32]),
                    &path
                ));
                let longer = [path.as_slice(), &[root]].concat();
                assert!(!proves_consistency(
                    (first, &before),
                    (size, &root),
                    &longer
                ));
            }
            assert_eq!(consistency(0, size), None);
            assert_eq!(consistency(size + 1, size), None);
        }
    }

    /// The trees of Certificate Transparency's own tests (certificate-transparency, merkle tree test data).
    #[test]
    fn the_roots_are_the_published_ones() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut edge = Edge::default();
        assert_eq!(
            hex(&edge.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        edge.push(leaf_hash(inputs[0]));
        assert_eq!(
            hex(&edge.root()),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        for input in &inputs[1..] {
            edge.push(leaf_hash(input));
        }
        assert_eq!(
            hex(&edge.root()),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
