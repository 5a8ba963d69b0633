// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title PackedCheckpoints: a history of amounts, two checkpoints per slot
/// @notice A checkpoint is 128 bits: its time in the high 40, the amount from then on in the low 88. Checkpoint `i` is in slot
/// `i / 2`, an even one in the low half. The caller stores the number of checkpoints, in a slot that it writes anyway.
library PackedCheckpoints {
    struct Trace {
        mapping(uint256 slot => uint256 pair) pairs;
    }

    uint256 private constant HALF = (1 << 128) - 1;
    uint256 private constant AMOUNT = (1 << 88) - 1;

    /// @notice Record that the amount is `amount` from `time` on. Times must not decrease.
    /// @dev A checkpoint in the low half of its slot is replaced by one of the same time. One in the high half is not:
    /// that would cost a read of the previous slot, and of two checkpoints of the same time the later one counts.
    /// @param count checkpoints so far
    /// @return checkpoints after this one
    function push(Trace storage self, uint32 count, uint40 time, uint88 amount) internal returns (uint32) {
        uint256 point = (uint256(time) << 88) | amount;
        uint256 slot = count >> 1;
        if (count & 1 == 0) {
            self.pairs[slot] = point;
            return count + 1;
        }
        uint256 pair = self.pairs[slot]; // its high half is empty
        if (pair >> 88 == time) {
            self.pairs[slot] = point;
            return count;
        }
        self.pairs[slot] = pair | (point << 128);
        return count + 1;
    }

    /// @notice The amount at `time`: that of the last checkpoint at or before it, or 0.
    /// @dev Gallops back from the newest checkpoint, then bisects: about log2(age of the checkpoint in checkpoints) reads.
    function lookup(Trace storage self, uint32 count, uint40 time) internal view returns (uint256) {
        uint256 high = count; // the first checkpoint known to be later than `time`
        uint256 low = 0; // checkpoints below it are known not to be later
        uint256 step = 1;
        while (low < high) {
            uint256 probe = step < high - low ? high - step : low + (high - low) / 2;
            if (_time(self, probe) > time) {
                high = probe;
                step <<= 1;
            } else {
                low = probe + 1;
                step = type(uint256).max; // found from below: bisect from here
            }
        }
        return high == 0 ? 0 : _point(self, high - 1) & AMOUNT;
    }

    function _time(Trace storage self, uint256 index) private view returns (uint40) {
        return uint40(_point(self, index) >> 88);
    }

    function _point(Trace storage self, uint256 index) private view returns (uint256) {
        uint256 pair = self.pairs[index >> 1];
        return index & 1 == 0 ? pair & HALF : pair >> 128;
    }
}
