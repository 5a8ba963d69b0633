// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title StakeLanes: a short history of an amount, in four slots that are never empty
/// @notice A lane is 64 bits: the number of a quantum of time in the high 16, modulo 2^16, and the lowest amount in it in the low 48,
/// in units of 2^40 wei, rounded up. Quantum q is in lane q mod 16, which holds the last 16 quanta with a change. A lane begins with
/// the amount before its first change, so the lowest amount of the first quantum with a change since a time is at most the amount at
/// that time.
/// @dev After 2^16 quanta without a change in a lane, its number repeats. At a fourteenth of ten days, that is 128 years.
library StakeLanes {
    uint256 internal constant LANES = 16;

    uint256 private constant UNIT_BITS = 40;
    uint256 private constant LOW = (1 << 48) - 1;
    uint256 private constant LANE = (1 << 64) - 1;

    /// @notice Write the slots, with lanes older than any that `lowestSince` reads.
    /// @param today number of the current quantum
    function open(uint256[4] storage self, uint256 today) internal {
        uint256 lane = ((today - LANES) & 0xffff) << 48;
        uint256 word = lane | (lane << 64) | (lane << 128) | (lane << 192);
        for (uint256 i = 0; i < 4; ++i) {
            self[i] = word;
        }
    }

    /// @notice Record that the amount changes now.
    /// @param last quantum of the previous change
    /// @param today number of the current quantum
    function note(uint256[4] storage self, uint256 last, uint256 today, uint256 before, uint256 afterwards) internal {
        bool fresh = last != today;
        if (!fresh && afterwards >= before) return;
        uint256 low = ((before < afterwards ? before : afterwards) + (1 << UNIT_BITS) - 1) >> UNIT_BITS;
        uint256 slot = (today >> 2) & 3;
        uint256 shift = (today & 3) << 6;
        uint256 word = self[slot];
        if (!fresh && low >= (word >> shift) & LOW) return;
        self[slot] = (word & ~(LANE << shift)) | ((((today & 0xffff) << 48) | low) << shift);
    }

    /// @notice The lowest amount of the first quantum with a change, of those from `quantum` to `today`; 0 if the history is shorter.
    function lowestSince(uint256[4] storage self, uint256 quantum, uint256 today) internal view returns (uint256) {
        uint256 most = today - quantum;
        if (most >= LANES) return 0;
        uint256 found = 0;
        uint256 oldest = 0; // its age plus 1
        for (uint256 i = 0; i < LANES; ++i) {
            uint256 lane = (self[i >> 2] >> ((i & 3) << 6)) & LANE;
            uint256 age = (today - (lane >> 48)) & 0xffff;
            if (age <= most && age >= oldest) (found, oldest) = (lane & LOW, age + 1);
        }
        return found << UNIT_BITS;
    }
}
