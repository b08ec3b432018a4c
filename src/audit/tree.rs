//! The Merkle tree hash of RFC 6962 over SHA-256, with its two kinds of proof.
//!
//! A leaf's hash is `SHA-256(0x00 ‖ leaf)`, a node's `SHA-256(0x01 ‖ left ‖ right)`; the left
//! side of a tree of `n > 1` leaves holds the largest power of two below `n`; the root of the
//! empty tree is `SHA-256("")`. The checks of proofs follow RFC 9162, sections 2.1.3.2 and
//! 2.1.4.2. Everything here is a pure function of its arguments.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A SHA-256 value: of a leaf, of a node or of a whole tree.
pub type Hash = [u8; 32];

/// The hash under which a leaf of these exact bytes enters the tree.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root of the tree over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut accumulator = Accumulator::new();
    for leaf in leaves {
        accumulator.push(*leaf);
    }
    accumulator.root()
}

/// 64 lower-case hexadecimal digits.
pub fn to_hex(hash: &Hash) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash {
        // Writing into a String has no failure to report.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads what [`to_hex`] writes; upper-case digits are refused, so that one hash has one text.
pub fn from_hex(text: &str) -> Option<Hash> {
    fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// Parts that cannot be an [`Accumulator`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadParts {
    #[error("a tree of {size} leaves has {expected} perfect subtrees, not {given}")]
    Count { size: u64, expected: usize, given: usize },
    #[error("a tree has at most 2^63 - 1 leaves")]
    TooLarge,
}

/// A tree that grows at its right end and remembers O(log n) hashes: the roots of its perfect
/// subtrees, the largest (leftmost) first, one for each 1 bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accumulator {
    size: u64,
    frontier: Vec<Hash>,
}

impl Accumulator {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one leaf, given by its [`leaf_hash`].
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing 1 bit of the size is a perfect subtree as large as the one just completed.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.frontier.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.frontier.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn root(&self) -> Hash {
        let mut subtrees = self.frontier.iter().rev();
        match subtrees.next() {
            Some(smallest) => subtrees.fold(*smallest, |right, left| node_hash(left, &right)),
            None => empty_root(),
        }
    }

    /// Size and frontier, to be stored and given to [`Accumulator::from_parts`] later.
    pub fn to_parts(&self) -> (u64, Vec<Hash>) {
        (self.size, self.frontier.clone())
    }

    /// Resumes from stored parts. The number of hashes is checked against the size; whether
    /// the hashes are the right ones only the root, compared with a signed head, can tell.
    pub fn from_parts(size: u64, frontier: Vec<Hash>) -> Result<Self, BadParts> {
        if i64::try_from(size).is_err() {
            return Err(BadParts::TooLarge);
        }
        let expected = size.count_ones() as usize;
        if frontier.len() != expected {
            return Err(BadParts::Count { size, expected, given: frontier.len() });
        }
        Ok(Accumulator { size, frontier })
    }
}

/// The size of the left subtree of a tree of `size > 1` leaves.
fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

/// The hashes that lead from the leaf at `index` (counted from 0) to the root of `leaves`,
/// lowest first. `None` where there is no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index) = (leaves, index);
    let mut proof = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// True where `proof` shows that the tree of `size` leaves under `root` has the leaf hash
/// `leaf` at `index` (counted from 0).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    // `at` is the node's number in its level, `last` the number of the level's last node.
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // A last node without a sibling moves up unchanged until it is a right child.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// The hashes that show that the first `old_size` of `leaves` are the older tree unchanged.
/// Empty for the empty tree and for the whole one; `None` where `old_size` exceeds the tree.
pub fn consistency_proof(leaves: &[Hash], old_size: usize) -> Option<Vec<Hash>> {
    if old_size > leaves.len() {
        return None;
    }
    if old_size == 0 {
        return Some(Vec::new());
    }
    let (mut leaves, mut old_size) = (leaves, old_size);
    let mut proof = Vec::new();
    // The verifier knows the old root; it needs the subtree's hash only where that is a part of it.
    let mut is_old_tree = true;
    while old_size < leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if old_size <= left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            old_size -= left.len();
            leaves = right;
            is_old_tree = false;
        }
    }
    if !is_old_tree {
        proof.push(root(leaves));
    }
    proof.reverse();
    Some(proof)
}

/// True where `proof` shows that the tree of `old_size` leaves under `old_root` is the
/// beginning of the tree of `new_size` leaves under `new_root`.
pub fn verify_consistency(old_size: u64, old_root: &Hash, new_size: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (start, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        match proof.split_first() {
            Some(parts) => parts,
            None => return false,
        }
    };
    let (mut old_hash, mut new_hash) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs and roots with which implementations of certificate transparency are tested.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn known_leaves() -> Vec<Hash> {
        LEAVES.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    fn hashes(texts: &[&str]) -> Vec<Hash> {
        texts.iter().map(|text| from_hex(text).expect("a hash")).collect()
    }

    fn numbered_leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(format!("leaf {n}").as_bytes())).collect()
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn defined_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            _ => {
                let mut k = 1;
                while k * 2 < leaves.len() {
                    k *= 2;
                }
                node_hash(&defined_root(&leaves[..k]), &defined_root(&leaves[k..]))
            }
        }
    }

    /// PROOF and SUBPROOF of RFC 6962, section 2.1.2, word for word, for `0 < m <= n`.
    fn defined_subproof(m: usize, leaves: &[Hash], complete: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if complete { vec![] } else { vec![defined_root(leaves)] };
        }
        let mut k = 1;
        while k * 2 < leaves.len() {
            k *= 2;
        }
        let (mut proof, last) = if m <= k {
            (defined_subproof(m, &leaves[..k], complete), defined_root(&leaves[k..]))
        } else {
            (defined_subproof(m - k, &leaves[k..], false), defined_root(&leaves[..k]))
        };
        proof.push(last);
        proof
    }

    #[test]
    fn the_roots_of_the_known_trees_are_the_published_ones() {
        let leaves = known_leaves();
        for (size, known) in ROOTS.iter().enumerate() {
            assert_eq!(to_hex(&root(&leaves[..size])), *known, "size {size}");
        }
    }

    #[test]
    fn the_proofs_of_the_known_tree_are_the_published_ones() {
        let leaves = known_leaves();
        let inclusion = hashes(&[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]);
        assert_eq!(inclusion_proof(&leaves, 0), Some(inclusion));
        let consistency = hashes(&[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]);
        assert_eq!(consistency_proof(&leaves, 6), Some(consistency));
    }

    #[test]
    fn the_accumulator_agrees_with_the_definition_at_every_size_and_after_every_resumption() {
        let leaves = numbered_leaves(130);
        let mut accumulator = Accumulator::new();
        for size in 0..=leaves.len() {
            assert_eq!(accumulator.root(), defined_root(&leaves[..size]), "size {size}");
            assert_eq!(accumulator.size(), size as u64);
            let (stored_size, stored) = accumulator.to_parts();
            accumulator = Accumulator::from_parts(stored_size, stored).expect("its own parts");
            if let Some(leaf) = leaves.get(size) {
                accumulator.push(*leaf);
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_their_size_are_refused() {
        let hash = [0; 32];
        assert_eq!(Accumulator::from_parts(3, vec![hash]), Err(BadParts::Count { size: 3, expected: 2, given: 1 }));
        assert!(Accumulator::from_parts(0, vec![hash]).is_err());
        assert_eq!(Accumulator::from_parts(u64::MAX, vec![hash; 64]), Err(BadParts::TooLarge));
        assert!(Accumulator::from_parts(i64::MAX as u64, vec![hash; 63]).is_ok());
    }

    #[test]
    fn every_inclusion_proof_holds_for_its_own_leaf_place_and_tree_only() {
        let leaves = numbered_leaves(130);
        for size in 1..=leaves.len() {
            let leaves = &leaves[..size];
            let top = defined_root(leaves);
            let n = size as u64;
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = inclusion_proof(leaves, index).expect("the leaf is in the tree");
                let i = index as u64;
                assert!(verify_inclusion(leaf, i, n, &proof, &top), "leaf {index} of {size}");
                assert!(!verify_inclusion(&leaf_hash(b"other"), i, n, &proof, &top));
                assert!(!verify_inclusion(leaf, i + 1, n, &proof, &top));
                assert!(!verify_inclusion(leaf, i, n, &proof, &leaf_hash(b"other")));
                let mut longer = proof.clone();
                longer.push(top);
                assert!(!verify_inclusion(leaf, i, n, &longer, &top));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_inclusion(leaf, i, n, shorter, &top));
                }
                for at in 0..proof.len() {
                    let mut corrupt = proof.clone();
                    corrupt[at][at % 32] ^= 1;
                    assert!(!verify_inclusion(leaf, i, n, &corrupt, &top), "leaf {index} of {size}, hash {at}");
                }
            }
        }
        assert_eq!(inclusion_proof(&leaves, leaves.len()), None);
        assert!(!verify_inclusion(&leaves[0], 0, 0, &[], &leaves[0]));
    }

    #[test]
    fn every_consistency_proof_holds_for_its_own_two_trees_only() {
        let leaves = numbered_leaves(130);
        let roots: Vec<Hash> = (0..=leaves.len()).map(|size| defined_root(&leaves[..size])).collect();
        for new in 0..=leaves.len() {
            let leaves = &leaves[..new];
            for old in 0..=new {
                let proof = consistency_proof(leaves, old).expect("the old tree is the smaller one");
                if old > 0 {
                    assert_eq!(proof, defined_subproof(old, leaves, true), "{old} of {new}");
                }
                let (o, n) = (old as u64, new as u64);
                assert!(verify_consistency(o, &roots[old], n, &roots[new], &proof), "{old} of {new}");
                let other = leaf_hash(b"other");
                assert!(!verify_consistency(o, &other, n, &roots[new], &proof), "{old} of {new}");
                if old > 0 {
                    assert!(!verify_consistency(o, &roots[old], n, &other, &proof), "{old} of {new}");
                }
                let mut longer = proof.clone();
                longer.push(other);
                assert!(!verify_consistency(o, &roots[old], n, &roots[new], &longer), "{old} of {new}");
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_consistency(o, &roots[old], n, &roots[new], shorter), "{old} of {new}");
                }
                for at in 0..proof.len() {
                    let mut corrupt = proof.clone();
                    corrupt[at][at % 32] ^= 1;
                    assert!(!verify_consistency(o, &roots[old], n, &roots[new], &corrupt), "{old} of {new}");
                }
                if old < new {
                    assert!(!verify_consistency(n, &roots[new], o, &roots[old], &proof), "{new} of {old}");
                }
            }
        }
        assert_eq!(consistency_proof(&leaves, leaves.len() + 1), None);
    }

    #[test]
    fn a_hash_survives_its_text_form_and_no_other_text_is_taken() {
        let hash = leaf_hash(b"x");
        assert_eq!(from_hex(&to_hex(&hash)), Some(hash));
        let text = to_hex(&hash);
        for wrong in [text.to_uppercase(), text[1..].to_string(), format!("{text}0"), text.replace('a', "g")] {
            assert_eq!(from_hex(&wrong), None, "{wrong}");
        }
    }
}
