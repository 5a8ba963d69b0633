// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title PageTree: positional Merkle tree of depth 6 over a page's median words
/// @notice Leaf i is keccak256(word i), missing leaves are zero, a node is keccak256(left ‖ right). Bit k of the index gives the side
/// of the word at level k. With sorted pairs a trainer could claim the median of another lane.
library PageTree {
    uint256 internal constant DEPTH = 6;
    uint256 private constant LEAVES = 64; // 2^DEPTH

    /// @notice Root over at most 64 words.
    function root(uint256[] calldata words) internal pure returns (bytes32 node) {
        assembly ("memory-safe") {
            // The leaves are in scratch memory beyond the free pointer and are hashed in place.
            let base := mload(0x40)
            let count := words.length
            for { let i := 0 } lt(i, LEAVES) { i := add(i, 1) } {
                let leaf := 0
                if lt(i, count) {
                    mstore(0x00, calldataload(add(words.offset, shl(5, i))))
                    leaf := keccak256(0x00, 0x20)
                }
                mstore(add(base, shl(5, i)), leaf)
            }
            for { let nodes := shr(1, LEAVES) } nodes { nodes := shr(1, nodes) } {
                // Node i replaces leaf i after leaves 2i and 2i + 1 were read, since i <= 2i.
                for { let i := 0 } lt(i, nodes) { i := add(i, 1) } {
                    mstore(add(base, shl(5, i)), keccak256(add(base, shl(6, i)), 0x40))
                }
            }
            node := mload(base)
        }
    }

    /// @notice Whether `word` is word `index` of the page with this root.
    function verify(bytes32 pageRoot, uint256 index, uint256 word, bytes32[6] calldata proof)
        internal
        pure
        returns (bool)
    {
        return index < LEAVES && climb(index, word, proof) == pageRoot;
    }

    /// @notice The root of the page in which `word` is word `index` < 64 and `proof` its siblings, leaf level first.
    function climb(uint256 index, uint256 word, bytes32[6] calldata proof) internal pure returns (bytes32 node) {
        node = keccak256(abi.encode(word));
        for (uint256 level = 0; level < DEPTH; ++level) {
            node = (index >> level) & 1 == 0
                ? keccak256(abi.encode(node, proof[level]))
                : keccak256(abi.encode(proof[level], node));
        }
    }
}
