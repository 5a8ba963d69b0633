// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskBounds} from "./interfaces/ITaskBounds.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title TaskBounds: bounds on the parameters of a task
contract TaskBounds is ITaskBounds, AccessManaged {
    uint256 private constant MAX_ENTRIES = 32_768;
    uint256 private constant MAX_TARGET_SEATS = 1023;
    uint256 private constant MAX_H = 0x3fff;
    uint256 private constant MAX_TAU = 0x0fff;
    uint256 private constant MAX_FLOOR = 0x7ffe;
    /// @dev For sealed tasks, whose scores are slashed beyond 8h while honest ones differ by rounding.
    uint256 private constant MIN_SEALED_H = 8;
    /// @dev Smallest tau / h of a sealed task: rows within 2h of the medians, or of each other, count as equal, and beyond tau as moved.
    uint256 private constant SEALED_TAU_H = 16;
    /// @dev With a stake of at least twice the bounty, half of the seats lose the bounty before their stake is gone.
    uint256 private constant MIN_MULTIPLE = 2;
    /// @dev Limits the pages of a task, about entries * seats / 61,440, and thereby the gas of a reveal.
    uint256 private constant MAX_SCORES = 1 << 22;
    uint256 private constant BPS = 10_000;

    /// @inheritdoc ITaskBounds
    uint40 public immutable override maxTaskLife;
    uint256 private immutable LEAST_MULTIPLE_BPS;

    ITaskRegistry.RegistryConfig private _config;

    /// @param authority AccessManager that grants the right to set bounds
    /// @param staking deployed Staking, whose maxTaskLife and leverage are read here
    constructor(address authority, address staking, ITaskRegistry.RegistryConfig memory config_)
        AccessManaged(authority)
    {
        maxTaskLife = IStaking(staking).maxTaskLife();
        // A seat's unit is at most its stake over the multiple, and own stake is at least the earmarks over the leverage: a whole unit
        // is covered by own stake.
        LEAST_MULTIPLE_BPS = BPS * Math.max(MIN_MULTIPLE, IStaking(staking).leverage());
        _setConfig(config_);
    }

    /// @inheritdoc ITaskBounds
    function setConfig(ITaskRegistry.RegistryConfig calldata value) external restricted {
        _setConfig(value);
    }

    /// @inheritdoc ITaskBounds
    function config() external view returns (ITaskRegistry.RegistryConfig memory) {
        return _config;
    }

    /// @inheritdoc ITaskBounds
    function bountyLimit(uint256 stake) external view returns (uint256) {
        return stake * BPS / _config.stakeMultipleBps;
    }

    /// @inheritdoc ITaskBounds
    function check(ITaskRegistry.TaskParams calldata p) external view {
        ITaskRegistry.RegistryConfig storage c = _config;
        if (p.specDigest == 0) revert ITaskRegistry.RegistryBadParam("specDigest");
        // Federated rounds are not supported yet.
        if (p.kind != ITaskRegistry.Kind.Arena) revert ITaskRegistry.RegistryBadParam("kind");
        bool isSealed = p.evaluation == ITaskRegistry.Evaluation.Sealed;
        if (isSealed == (p.sealedCommitment == 0)) revert ITaskRegistry.RegistryBadParam("sealedCommitment");
        if (p.validatorBps < c.minValidatorBps || p.validatorBps >= BPS) {
            revert ITaskRegistry.RegistryBadParam("validatorBps");
        }
        if (p.targetSeats < c.minSeats || p.targetSeats > c.maxTargetSeats) {
            revert ITaskRegistry.RegistryBadParam("targetSeats");
        }
        if (p.floorScore == 0 || p.floorScore > c.maxFloor) revert ITaskRegistry.RegistryBadParam("floorScore");
        if (p.tau == 0 || p.tau > c.maxTau || (isSealed && p.tau < c.minSealedTau)) {
            revert ITaskRegistry.RegistryBadParam("tau");
        }
        if (p.h > c.maxH || (isSealed && (p.h < MIN_SEALED_H || p.h * SEALED_TAU_H > p.tau))) {
            revert ITaskRegistry.RegistryBadParam("h");
        }
        if (p.power == 0 || p.power > 3) revert ITaskRegistry.RegistryBadParam("power");
        if (p.maxEntries == 0 || p.maxEntries > c.maxEntries || uint256(p.maxEntries) * p.targetSeats > MAX_SCORES) {
            revert ITaskRegistry.RegistryBadParam("maxEntries");
        }
        if (p.minEntries == 0 || p.minEntries > p.maxEntries) revert ITaskRegistry.RegistryBadParam("minEntries");
        if (p.bounty < c.minBounty || p.bounty > type(uint88).max) revert ITaskRegistry.RegistryBadParam("bounty");
        if (p.bond < c.minBond || p.bond > type(uint88).max) revert ITaskRegistry.RegistryBadParam("bond");
        // Four times the fee, the maximum that an entry pays, fits too.
        if (p.entryFee > type(uint88).max / 4) revert ITaskRegistry.RegistryBadParam("entryFee");
        if (p.minStake == 0 || p.minStake > type(uint88).max) revert ITaskRegistry.RegistryBadParam("minStake");
        uint256 least = (uint256(p.bounty) * c.stakeMultipleBps + BPS - 1) / BPS;
        if (p.minStake < least) revert ITaskRegistry.RegistryStakeMultipleTooLow(p.minStake, least);
        _checkWindows(p.windows, c.minWindows, isSealed);
    }

    function _checkWindows(ITaskRegistry.Windows calldata w, ITaskRegistry.Windows memory least, bool isSealed)
        private
        view
    {
        _checkWindow("entryCommit", w.entryCommit, least.entryCommit);
        _checkWindow("enrol", w.enrol, least.enrol);
        _checkWindow("entryReveal", w.entryReveal, least.entryReveal);
        _checkWindow("scoreCommit", w.scoreCommit, least.scoreCommit);
        _checkWindow("scoreReveal", w.scoreReveal, least.scoreReveal);
        _checkWindow("settle", w.settle, least.settle);
        if (isSealed) {
            _checkWindow("open", w.open, least.open);
            _checkWindow("appeal", w.appeal, least.appeal);
        } else {
            // There is no set to open, and no correct answer to appeal to.
            if (w.open != 0) revert ITaskRegistry.RegistryBadParam("open");
            if (w.appeal != 0) revert ITaskRegistry.RegistryBadParam("appeal");
        }
        uint256 scoring = uint256(w.scoreCommit) + w.scoreReveal + w.settle;
        // A second committee takes as long as the first. An appeal takes its window, enrolment, a round, and a time for reports.
        uint256 life = uint256(w.entryCommit) + w.enrol + w.entryReveal + w.open + 2 * scoring;
        if (isSealed) life += 2 * uint256(w.appeal) + w.enrol + scoring;
        if (life > maxTaskLife) revert ITaskRegistry.RegistryTaskTooLong(life, maxTaskLife);
    }

    function _checkWindow(bytes32 name, uint32 given, uint32 least) private pure {
        // In an empty window two steps could race.
        if (given < least || given == 0) {
            revert ITaskRegistry.RegistryWindowTooShort(name, given, least == 0 ? 1 : least);
        }
        if (given > type(uint24).max) revert ITaskRegistry.RegistryBadParam(name);
    }

    function _setConfig(ITaskRegistry.RegistryConfig memory c) private {
        if (c.minBounty == 0 || c.minBounty > type(uint88).max) revert ITaskRegistry.RegistryBadParam("minBounty");
        if (c.minBond > type(uint88).max) revert ITaskRegistry.RegistryBadParam("minBond");
        if (c.maxEntries == 0 || c.maxEntries > MAX_ENTRIES) revert ITaskRegistry.RegistryBadParam("maxEntries");
        if (c.maxTargetSeats == 0 || c.maxTargetSeats > MAX_TARGET_SEATS) {
            revert ITaskRegistry.RegistryBadParam("maxTargetSeats");
        }
        if (c.maxH > MAX_H) revert ITaskRegistry.RegistryBadParam("maxH");
        if (c.maxTau == 0 || c.maxTau > MAX_TAU) revert ITaskRegistry.RegistryBadParam("maxTau");
        if (c.stakeMultipleBps < LEAST_MULTIPLE_BPS) revert ITaskRegistry.RegistryBadParam("stakeMultipleBps");
        if (c.maxFloor == 0 || c.maxFloor > MAX_FLOOR) revert ITaskRegistry.RegistryBadParam("maxFloor");
        if (c.minValidatorBps == 0 || c.minValidatorBps >= BPS) {
            revert ITaskRegistry.RegistryBadParam("minValidatorBps");
        }
        if (c.minSeats == 0 || c.minSeats > c.maxTargetSeats) revert ITaskRegistry.RegistryBadParam("minSeats");
        if (c.minSealedTau < MIN_SEALED_H * SEALED_TAU_H || c.minSealedTau > c.maxTau) {
            revert ITaskRegistry.RegistryBadParam("minSealedTau");
        }
        _config = c;
        emit ConfigSet(c);
    }
}
