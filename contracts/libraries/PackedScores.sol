// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title PackedScores: sixteen 15-bit scores per word, processed lane-parallel
/// @notice Lane 0 is the highest 16 bits of a word. The high bit of every lane is clear; comparisons put their result there.
/// @dev Notation beside the code: H = 0x8000, L = 0x7fff, O = 1 in every lane; x, m, d are words of sixteen values below 2^15.
library PackedScores {
    uint256 internal constant H = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 internal constant O = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant TWICE_H = 0x0001000100010001000100010001000100010001000100010001000100010000; // 2H mod 2^256
    uint256 internal constant LANES = 16;
    uint256 internal constant MAX_PAGE_WORDS = 64;
    /// @notice Bounds that keep every lane-parallel sum inside its lane.
    uint256 internal constant MAX_SEATS = 0x7fff; // seats of all rows together
    uint256 internal constant MAX_H = 0x3fff; // 2h and h + tau below 2^15
    uint256 internal constant MAX_TAU = 0x0fff; // 16 tau < 2^16 - 1
    /// @notice Words in a transaction of 128 KiB, with 8 KiB reserved for everything but words, heads and medians.
    uint256 internal constant CALL_WORDS = (131_072 - 8192) / 32;
    /// @notice Maximum number of rows with at least one word per page: (CALL_WORDS - rows) / (rows + 1) >= 1.
    uint256 internal constant MAX_ROWS = (CALL_WORDS - 1) / 2;

    /// @notice Words that hold `entries` scores.
    function wordCount(uint256 entries) internal pure returns (uint256) {
        return (entries + LANES - 1) / LANES;
    }

    /// @notice Words per page, so that `rows` rows, their heads and the medians fit one transaction. `rows` <= MAX_ROWS.
    function pageWords(uint256 rows) internal pure returns (uint256) {
        uint256 fit = (CALL_WORDS - rows) / (rows + 1);
        return fit < MAX_PAGE_WORDS ? fit : MAX_PAGE_WORDS;
    }

    /// @notice Index of the first malformed word of a row over `entries` entries (a high bit set, or a score past the last entry), or
    /// the number of words if the row is well-formed.
    /// @param words wordCount(entries) of them, at least one
    function firstBadWord(uint256[] calldata words, uint256 entries) internal pure returns (uint256 bad) {
        uint256 count = words.length;
        assembly ("memory-safe") {
            for {} lt(bad, count) { bad := add(bad, 1) } {
                if and(calldataload(add(words.offset, shl(5, bad))), H) { break }
            }
            // Lanes below the last used one must be zero. For a full word the shift is 256 bits and leaves nothing to check.
            if eq(bad, count) {
                let used := sub(entries, mul(LANES, sub(count, 1))) // lanes of the last word, 1..16
                if shl(mul(16, used), calldataload(add(words.offset, shl(5, sub(count, 1))))) {
                    bad := sub(count, 1)
                }
            }
        }
    }

    /// @notice keccak256 of words[from .. from + count), without a length prefix.
    function hashWords(uint256[] calldata words, uint256 from, uint256 count) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // Scratch memory beyond the free pointer.
            let scratch := mload(0x40)
            let size := shl(5, count)
            calldatacopy(scratch, add(words.offset, shl(5, from)), size)
            hash := keccak256(scratch, size)
        }
    }

    /// @notice Head of a row in a page: operator in the low 160 bits, seats above.
    function head(address operator, uint16 seats) internal pure returns (uint256) {
        return (uint256(seats) << 160) | uint160(operator);
    }

    /// @notice The page's accumulator after one more row.
    function fold(bytes32 accumulator, uint256 rowHead, bytes32 pageHash) internal pure returns (bytes32 folded) {
        assembly ("memory-safe") {
            // abi.encode(accumulator, operator, uint256(seats), pageHash) in scratch memory beyond the free pointer.
            let scratch := mload(0x40)
            mstore(scratch, accumulator)
            mstore(add(scratch, 0x20), shr(96, shl(96, rowHead))) // operator: the low 160 bits
            mstore(add(scratch, 0x40), shr(160, rowHead)) // seats: all bits above, so that a malformed head gives another hash
            mstore(add(scratch, 0x60), pageHash)
            folded := keccak256(scratch, 0x80)
        }
    }

    /// @notice Fold all rows of a page, in order.
    /// @param width words per row in this page
    function foldRows(uint256[] calldata heads, uint256[] calldata words, uint256 width)
        internal
        pure
        returns (bytes32 accumulator)
    {
        uint256 rows = heads.length;
        for (uint256 i = 0; i < rows; ++i) {
            accumulator = fold(accumulator, heads[i], hashWords(words, i * width, width));
        }
    }

    /// @notice Check the claimed medians of a page and sum each row's clipped distances to them.
    /// @dev The rows must have been verified: every x below 2^15 and `total` the sum of their seats, 0 < total <= MAX_SEATS.
    /// @param heads operator | seats << 160, one per row
    /// @param medians one word for each word of the page
    /// @param words the rows' words, row after row
    /// @param h distance without loss, <= MAX_H
    /// @param tau clip of one distance, <= MAX_TAU
    /// @param total seats of all rows
    /// @return table two words per row: its seats, its loss
    /// @return bad index of the first word with a wrong median, or medians.length
    function measure(
        uint256[] calldata heads,
        uint256[] calldata medians,
        uint256[] calldata words,
        uint256 h,
        uint256 tau,
        uint256 total
    ) internal pure returns (uint256[] memory table, uint256 bad) {
        table = new uint256[](2 * heads.length);
        bad = medians.length;
        assembly ("memory-safe") {
            // The inner loop's constants are computed by loops and kept in memory, so that the optimiser does not recompute them per row.
            let end := add(table, 0x20) // after the last row of the table
            {
                let last := add(heads.offset, shl(5, heads.length))
                for { let from := heads.offset } lt(from, last) { from := add(from, 0x20) } {
                    mstore(end, shr(160, calldataload(from)))
                    end := add(end, 0x40)
                }
            }
            // The medians are beyond the free pointer: nothing is allocated while they are used.
            let middle := mload(0x40)
            let width := shl(5, medians.length)
            calldatacopy(middle, medians.offset, width)
            let free := h
            let clip := add(h, tau) // below 2^15
            let stride := 1
            for { let bits := 16 } lt(bits, 256) { bits := shl(1, bits) } {
                free := or(free, shl(bits, free)) // h in every lane
                clip := or(clip, shl(bits, clip)) // h + tau in every lane
                stride := width // bytes per row in this page
            }

            // Column by column, so that the comparisons with a median stay on the stack.
            for { let column := 0 } lt(column, width) { column := add(column, 0x20) } {
                let below := sub(H, mload(add(middle, column))) // 2^15 - m in every lane
                let le := 0 // seats of rows with x <= m, in every lane
                let ge := 0 // seats of rows with x >= m, in every lane
                let from := add(words.offset, column)
                for { let row := add(table, 0x20) } lt(row, end) { row := add(row, 0x40) } {
                    let t := add(calldataload(from), below) // 2^15 + (x - m): bit 15 set <=> x >= m
                    let u := sub(TWICE_H, t) // 2^15 + (m - x), for t + u = 2^16 in every lane: bit 15 set <=> x <= m
                    from := add(from, stride)
                    let seats := mload(row)
                    let one := and(shr(15, t), O) // 1 where x >= m
                    ge := add(ge, mul(one, seats)) // at most 2^15 - 1 in all: no carry between lanes
                    le := add(le, mul(and(shr(15, u), O), seats))
                    // d = 2^15 + |x - m|: t where x >= m, else u; 1 * 0xffff selects the whole lane.
                    let d := xor(u, and(xor(t, u), mul(one, 0xffff)))
                    // max(d - h, 0): bit 15 stays set <=> d >= h, and bit - (bit >> 15) = 0x7fff keeps the difference there.
                    t := sub(d, free)
                    one := and(t, H)
                    t := and(t, sub(one, shr(15, one)))
                    // min(max(d - h, 0), tau) = max(d - h, 0) - max(d - (h + tau), 0).
                    u := sub(d, clip)
                    one := and(u, H)
                    u := and(u, sub(one, shr(15, one)))
                    // 2^16 = 1 mod 2^16 - 1, so the remainder is the sum of the lanes, which is at most 16 * 4095 < 2^16 - 1.
                    let loss := add(row, 0x20)
                    mstore(loss, add(mload(loss), mod(sub(t, u), 0xffff)))
                }
                // m is a lower median <=> 2 seats(x <= m) >= W and 2 seats(x < m) < W, seats(x < m) = W - seats(x >= m), that is
                // seats(x <= m) >= ceil(W / 2) and seats(x >= m) >= floor(W / 2) + 1. Bit 15 of both differences stays set in all lanes.
                le := sub(or(le, H), mul(shr(1, add(total, 1)), O))
                ge := sub(or(ge, H), mul(add(shr(1, total), 1), O))
                // And no m has its own high bit set.
                if or(and(mload(add(middle, column)), H), xor(and(and(le, ge), H), H)) {
                    bad := shr(5, column)
                    break
                }
            }
        }
    }

    /// @notice Spread and weights of a page's medians, entry after entry.
    /// @param medians verified median words
    /// @param free twice h
    /// @param tau clip of one distance
    /// @param floorScore subtracted from a median for its weight, >= 1
    /// @param power p, 1..3
    /// @return spread G = sum over m_i >= 2 of min(max(|m_i - m_next(i)| - 2h, 0), tau), next of the page, cyclic
    /// @return weights sum of max(0, m_i - floor)^p, below 2^(45 + 10)
    function weigh(uint256[] calldata medians, uint256 free, uint256 tau, uint256 floorScore, uint256 power)
        internal
        pure
        returns (uint256 spread, uint256 weights)
    {
        assembly ("memory-safe") {
            /// min(max(|a - b| - free, 0), tau)
            function distance(a, b, free_, tau_) -> d {
                d := sub(a, b)
                if lt(a, b) { d := sub(b, a) }
                d := mul(gt(d, free_), sub(d, free_))
                if gt(d, tau_) { d := tau_ }
            }
            let first := 0 // first median >= 2 of the page
            let last := 0 // last one so far
            let end := add(medians.offset, shl(5, medians.length))
            for { let from := medians.offset } lt(from, end) { from := add(from, 0x20) } {
                let word := calldataload(from)
                // Lane by lane from the highest; shifting left drops the processed ones.
                for {} word { word := shl(16, word) } {
                    let m := shr(240, word)
                    if lt(m, 2) { continue }
                    switch last
                    case 0 { first := m }
                    default { spread := add(spread, distance(m, last, free, tau)) }
                    last := m
                    if gt(m, floorScore) {
                        let above := sub(m, floorScore)
                        let weight := above
                        if gt(power, 1) {
                            weight := mul(weight, above)
                            if gt(power, 2) { weight := mul(weight, above) }
                        }
                        weights := add(weights, weight)
                    }
                }
            }
            // The last median's next is the first. A single median has distance 0 to itself.
            spread := add(spread, distance(first, last, free, tau))
        }
    }

    /// @notice Whether any score of these words is above 0.
    function anyScore(uint256[] calldata words) internal pure returns (bool) {
        for (uint256 i = 0; i < words.length; ++i) {
            if (words[i] != 0) return true;
        }
        return false;
    }

    /// @notice Weight of one median word, as `weigh` adds it.
    function weightOf(uint256 word, uint256 floorScore, uint256 power) internal pure returns (uint256 weight) {
        for (; word != 0; word <<= 16) {
            uint256 median = word >> 240;
            if (median > floorScore) weight += (median - floorScore) ** power;
        }
    }
}
