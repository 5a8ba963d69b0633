// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Arrays} from "@openzeppelin/contracts/utils/Arrays.sol";

import {PlainStaking} from "./PlainStaking.sol";

/// @title The plain way to score on chain: store every score, sort each entry's scores, keep what comes out
/// @notice What the benchmarks compare Scoring with. The same rules for medians, losses, spread, weights and pay. Scores come and are
/// stored sixteen to a word, as Scoring has them; a word of every row is read once for its sixteen entries; sums stay in
/// memory until the end of a call.
contract PlainScoring {
    struct Row {
        bytes28 commitment;
        uint16 seats;
        uint16 index; // 1-based order of reveal
    }

    struct Terms {
        uint16 entries;
        uint16 h;
        uint16 tau;
        uint16 floorScore;
        uint8 power;
        uint128 validatorsPool;
    }

    struct Totals {
        uint96 weights;
        uint96 gainSeats;
        uint64 spread;
    }

    PlainStaking private immutable STAKING;
    Terms public terms;
    Totals public totals;
    uint256 public settledWords;
    uint16 public totalSeats; // of revealed rows
    mapping(address validator => Row) public rows;
    address[] public revealed;
    mapping(uint256 index => uint256[]) public scores; // a revealed row's words
    mapping(uint256 word => uint256) public medians;
    mapping(uint256 slot => uint256) private _losses; // eight to a word

    error BadReveal();
    error BadRange();
    error NothingToClaim();

    event Committed(address indexed validator, bytes32 commitment);
    event Revealed(address indexed validator, uint16 index);
    event Settled(uint256 from, uint256 to);
    event Claimed(address indexed validator, uint256 amount);

    constructor(PlainStaking staking, Terms memory terms_, address[] memory validators, uint16 seats) {
        STAKING = staking;
        terms = terms_;
        for (uint256 i = 0; i < validators.length; ++i) {
            rows[validators[i]].seats = seats;
        }
        IERC20(staking.token()).approve(address(staking), type(uint256).max);
    }

    function commitScores(bytes32 commitment) external {
        rows[msg.sender].commitment = bytes28(commitment);
        emit Committed(msg.sender, commitment);
    }

    function revealScores(uint256[] calldata words, bytes32 salt) external {
        Row memory row = rows[msg.sender];
        if (words.length != (uint256(terms.entries) + 15) / 16 || row.index != 0) revert BadReveal();
        if (row.commitment != bytes28(keccak256(abi.encode(msg.sender, keccak256(abi.encodePacked(words)), salt)))) {
            revert BadReveal();
        }
        revealed.push(msg.sender);
        row.index = uint16(revealed.length);
        rows[msg.sender] = row;
        scores[row.index - 1] = words;
        totalSeats += row.seats;
        emit Revealed(msg.sender, row.index);
    }

    /// @notice Settle the words up to `to`: medians and losses of all their entries.
    function settle(uint256 to) external {
        uint256 from = settledWords;
        Terms memory given = terms;
        uint256 all = (uint256(given.entries) + 15) / 16;
        if (to <= from || to > all) revert BadRange();
        (uint256[] memory seats, uint256[] memory losses) = _load();
        Totals memory sums = totals;
        uint256 first;
        uint256 last;
        uint256[] memory column = new uint256[](seats.length);
        for (uint256 word = from; word < to; ++word) {
            for (uint256 j = 0; j < seats.length; ++j) {
                column[j] = scores[j][word];
            }
            uint256 packed;
            uint256 used = word == all - 1 ? given.entries - 16 * word : 16;
            for (uint256 lane = 0; lane < used; ++lane) {
                uint256 median = _settleEntry(column, 240 - 16 * lane, seats, losses, given);
                packed |= median << (240 - 16 * lane);
                sums.weights += uint96(_weight(median, given));
                if (median < 2) continue;
                if (last == 0) first = median;
                else sums.spread += uint64(_clipped(median, last, 2 * uint256(given.h), given.tau));
                last = median;
            }
            medians[word] = packed;
        }
        sums.spread += uint64(_clipped(first, last, 2 * uint256(given.h), given.tau));
        settledWords = to;
        _store(losses);
        if (to == all) {
            for (uint256 j = 0; j < seats.length; ++j) {
                sums.gainSeats += uint96(seats[j] * _gain(sums.spread, losses[j]));
            }
        }
        totals = sums;
        emit Settled(from, to);
    }

    /// @notice Pay a validator's share of the validators' pool into its staking pool.
    function claim(address validator) external {
        Row memory row = rows[validator];
        Totals memory sums = totals;
        uint256 gain = row.index == 0 ? 0 : _gain(sums.spread, lossOf(row.index - 1));
        if (sums.gainSeats == 0 || gain == 0) revert NothingToClaim();
        uint256 amount = uint256(terms.validatorsPool) * row.seats * gain / sums.gainSeats;
        rows[validator].index = 0; // paid
        STAKING.addReward(validator, amount);
        emit Claimed(validator, amount);
    }

    function lossOf(uint256 index) public view returns (uint256) {
        return uint32(_losses[index / 8] >> (32 * (index % 8)));
    }

    function _load() private view returns (uint256[] memory seats, uint256[] memory losses) {
        uint256 count = revealed.length;
        seats = new uint256[](count);
        losses = new uint256[](count);
        for (uint256 j = 0; j < count; ++j) {
            seats[j] = rows[revealed[j]].seats;
            losses[j] = lossOf(j);
        }
    }

    function _store(uint256[] memory losses) private {
        uint256 packed;
        for (uint256 j = 0; j < losses.length; ++j) {
            packed |= losses[j] << (32 * (j % 8));
            if (j % 8 == 7 || j == losses.length - 1) {
                _losses[j / 8] = packed;
                packed = 0;
            }
        }
    }

    /// @dev The seat-weighted lower median of one entry; adds each row's clipped distance to it.
    function _settleEntry(
        uint256[] memory column,
        uint256 shift,
        uint256[] memory seats,
        uint256[] memory losses,
        Terms memory given
    ) private view returns (uint256 median) {
        uint256 count = column.length;
        uint256[] memory sorted = new uint256[](count);
        for (uint256 j = 0; j < count; ++j) {
            sorted[j] = (((column[j] >> shift) & 0x7fff) << 16) | seats[j];
        }
        Arrays.sort(sorted);
        uint256 reached;
        uint256 total = totalSeats;
        for (uint256 j = 0; j < count; ++j) {
            reached += sorted[j] & 0xffff;
            if (2 * reached >= total) {
                median = sorted[j] >> 16;
                break;
            }
        }
        for (uint256 j = 0; j < count; ++j) {
            losses[j] += _clipped((column[j] >> shift) & 0x7fff, median, given.h, given.tau);
        }
    }

    function _weight(uint256 median, Terms memory given) private pure returns (uint256) {
        return median > given.floorScore ? (median - given.floorScore) ** given.power : 0;
    }

    function _clipped(uint256 a, uint256 b, uint256 free, uint256 tau) private pure returns (uint256) {
        uint256 distance = a > b ? a - b : b - a;
        if (distance <= free) return 0;
        return distance - free > tau ? tau : distance - free;
    }

    function _gain(uint256 spread, uint256 loss) private pure returns (uint256) {
        return spread > 2 * loss ? spread - 2 * loss : 0;
    }
}
