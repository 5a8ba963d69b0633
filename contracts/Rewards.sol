// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IRewards} from "./interfaces/IRewards.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title Rewards: escrow of bounties, bonds and entry fees; entitlements; claims
/// @notice IRewards documents each call, docs/protocol.md the table of endings.
/// @dev The balance is always at least the sum of bounty + bond + fees + extra - appealCost over open tasks, `remaining` over closed
/// tasks, and all credits. A claim is paid from its own task's `remaining`, so no task pays with the tokens of another.
contract Rewards is IRewards {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @dev IRewards.Escrow, packed into slots.
    struct Stored {
        uint128 bounty;
        uint128 bond;
        uint128 fees;
        uint128 trainersPool;
        uint128 validatorsPool;
        uint128 remaining;
        uint128 scoringUnits;
        uint64 weights;
        uint16 floorScore;
        uint8 power;
        bool flat;
        ITaskRegistry.Outcome outcome;
        uint128 extra;
        uint128 appealCost;
    }

    uint256 private constant BPS = 10_000;

    ITaskRegistry private immutable REGISTRY;
    IScoring private immutable SCORING;
    address private immutable APPEALS;
    IStaking private immutable STAKING;
    IERC20 private immutable TOKEN;
    /// @inheritdoc IRewards
    address public immutable override treasury;
    /// @inheritdoc IRewards
    uint256 public immutable override tipAmount;

    mapping(uint256 taskId => Stored) private _escrows;
    mapping(uint256 taskId => mapping(uint256 bucket => uint256 bits)) private _entryClaimed;
    /// @inheritdoc IRewards
    mapping(uint256 taskId => mapping(address operator => bool)) public scoringClaimed;
    /// @inheritdoc IRewards
    mapping(uint256 taskId => mapping(address operator => bool)) public feeClaimed;
    /// @inheritdoc IRewards
    mapping(address account => uint256) public owedTo;

    modifier onlyRegistry() {
        if (msg.sender != address(REGISTRY)) revert RewardsNotRegistry(msg.sender);
        _;
    }

    /// @param treasury_ is credited forfeited amounts
    /// @param tipAmount_ tip that the caller of a step receives from the creator's bond, in wei of CVY
    constructor(
        address registry,
        address scoring,
        address appeals,
        address staking,
        address token,
        address treasury_,
        uint256 tipAmount_
    ) {
        if (
            registry == address(0) || scoring == address(0) || appeals == address(0) || staking == address(0)
                || token == address(0) || treasury_ == address(0)
        ) revert RewardsZeroAddress();
        REGISTRY = ITaskRegistry(registry);
        SCORING = IScoring(scoring);
        APPEALS = appeals;
        STAKING = IStaking(staking);
        TOKEN = IERC20(token);
        treasury = treasury_;
        tipAmount = tipAmount_;
        // Rewards pays into Staking with each claim, and Staking takes only what it is given.
        IERC20(token).forceApprove(staking, type(uint256).max);
    }

    // ------------------------------------------------------------------ other contracts

    /// @inheritdoc IRewards
    function fund(uint256 taskId, address creator, uint256 bounty, uint256 bond) external onlyRegistry {
        Stored storage escrow = _escrows[taskId];
        escrow.bounty = bounty.toUint128();
        escrow.bond = bond.toUint128();
        emit TaskFunded(taskId, creator, bounty, bond);
        TOKEN.safeTransferFrom(creator, address(this), bounty + bond);
    }

    /// @inheritdoc IRewards
    function payFee(uint256 taskId, address operator, address payer, uint256 amount) external onlyRegistry {
        _escrows[taskId].fees += amount.toUint128();
        emit FeePaid(taskId, operator, payer, amount);
        TOKEN.safeTransferFrom(payer, address(this), amount);
    }

    /// @inheritdoc IRewards
    function topUp(uint256 taskId, uint256 amount) public {
        Stored storage escrow = _escrows[taskId];
        if (REGISTRY.outcomeOf(taskId) != ITaskRegistry.Outcome.Running || SCORING.isSettled(taskId)) {
            revert RewardsAlreadyClosed(taskId);
        }
        if (amount == 0) revert RewardsZeroAmount();
        uint256 extra = uint256(escrow.extra) + amount;
        uint256 limit = REGISTRY.bountyLimitOf(taskId);
        if (extra + escrow.bounty > limit) revert RewardsBountyTooLarge(extra + escrow.bounty, limit);
        escrow.extra = extra.toUint128();
        emit ToppedUp(taskId, msg.sender, amount, extra);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewards
    function topUpWithPermit(uint256 taskId, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        // Someone who saw this transaction may have used the permit already. The allowance exists then; without an allowance the
        // transfer reverts.
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        topUp(taskId, amount);
    }

    /// @inheritdoc IRewards
    function chargeAppeal(uint256 taskId, uint256 cost, uint256 tips)
        external
        returns (uint256 costTaken, uint256 tipsTaken)
    {
        if (msg.sender != APPEALS) revert RewardsNotDuty(msg.sender);
        Stored storage escrow = _escrows[taskId];
        if (escrow.outcome != ITaskRegistry.Outcome.Running) revert RewardsAlreadyClosed(taskId);
        uint256 charged = escrow.appealCost;
        costTaken = Math.min(cost, validatorsPoolOf(taskId) - charged); // at most the pool was charged
        tipsTaken = Math.min(tips, escrow.bond);
        // Parts of the pool and of the bond, so both fit.
        escrow.appealCost = uint128(charged + costTaken);
        escrow.bond -= uint128(tipsTaken);
        emit AppealCharged(taskId, costTaken, tipsTaken);
        TOKEN.safeTransfer(APPEALS, costTaken + tipsTaken);
    }

    /// @inheritdoc IRewards
    function tip(uint256 taskId, address to) external {
        if (msg.sender != address(REGISTRY) && msg.sender != address(SCORING)) revert RewardsNotDuty(msg.sender);
        Stored storage escrow = _escrows[taskId];
        uint256 bond = escrow.bond;
        uint256 amount = Math.min(tipAmount, bond);
        if (amount == 0) return;
        escrow.bond = uint128(bond - amount); // at most the bond, which fits
        owedTo[to] += amount;
        emit TipPaid(taskId, to, amount);
    }

    /// @inheritdoc IRewards
    function close(uint256 taskId, ITaskRegistry.Outcome outcome) external onlyRegistry {
        if (outcome == ITaskRegistry.Outcome.Running) revert RewardsBadOutcome(taskId);
        Stored memory escrow = _escrows[taskId];
        if (escrow.outcome != ITaskRegistry.Outcome.Running) revert RewardsAlreadyClosed(taskId);
        escrow.outcome = outcome;
        ITaskRegistry.PayTerms memory terms = REGISTRY.payTermsOf(taskId);
        uint256 toCreator;
        uint256 toTreasury;
        if (outcome == ITaskRegistry.Outcome.Paid) {
            (toCreator, toTreasury) = _divide(taskId, escrow, terms);
        } else if (outcome == ITaskRegistry.Outcome.Refunded) {
            toCreator = uint256(escrow.bounty) + escrow.bond;
            toTreasury = escrow.extra;
            escrow.remaining = escrow.fees;
        } else if (terms.withheld) {
            toCreator = escrow.bounty / 2;
            toTreasury = escrow.bounty - toCreator + escrow.bond + escrow.extra;
            escrow.remaining = escrow.fees;
        } else if (SCORING.hasVoidRound(taskId)) {
            // Every entry was called worthless: the creator saw them all the same, and who entered earned nothing back.
            toCreator = uint256(escrow.bounty / 2) + escrow.bond;
            toTreasury = escrow.bounty - escrow.bounty / 2 + uint256(escrow.fees) + escrow.extra;
        } else {
            // No quorum, or nobody settled. Who was silent pays for it, see Faults.
            toCreator = uint256(escrow.bounty) + escrow.bond;
            toTreasury = escrow.extra;
            escrow.remaining = escrow.fees;
        }
        escrow.bond = 0; // no more tips
        _escrows[taskId] = escrow;
        emit EscrowClosed(taskId, outcome, escrow.trainersPool, escrow.validatorsPool, toCreator, toTreasury);
        _credit(terms.creator, toCreator, "creator");
        _credit(treasury, toTreasury, "treasury");
    }

    // ------------------------------------------------------------------ claims

    /// @inheritdoc IRewards
    function claimEntry(uint256 taskId, uint32 lane, uint256 word, bytes32[6] calldata proof)
        external
        returns (uint256 amount)
    {
        Stored storage escrow = _escrows[taskId];
        if (escrow.outcome != ITaskRegistry.Outcome.Paid) revert RewardsNotPaid(taskId);
        if (entryClaimed(taskId, lane)) revert RewardsAlreadyClaimed(taskId, lane);
        address operator = REGISTRY.entrantOf(taskId, lane);
        if (operator == address(0)) revert RewardsUnknownLane(taskId, lane);
        if (!SCORING.verifyMedianWord(taskId, lane >> 4, word, proof)) revert RewardsBadProof(taskId, lane);
        // Sixteen lanes of 16 bits, the first in the highest.
        uint16 median = uint16(word >> (240 - 16 * (lane & 15)));
        amount = _entryReward(escrow, median);
        if (amount == 0) revert RewardsNothingToClaim(taskId, operator);

        _entryClaimed[taskId][lane >> 8] |= 1 << (lane & 255);
        escrow.remaining -= amount.toUint128();
        emit EntryRewardClaimed(taskId, operator, lane, median, amount);
        STAKING.addReward(operator, amount, STAKING.minSelfBond()); // what a trainer needs to enter
    }

    /// @inheritdoc IRewards
    function claimScoring(uint256 taskId, address operator) external returns (uint256 amount) {
        Stored storage escrow = _escrows[taskId];
        if (escrow.outcome != ITaskRegistry.Outcome.Paid) revert RewardsNotPaid(taskId);
        if (scoringClaimed[taskId][operator]) revert RewardsAlreadyClaimed(taskId, uint160(operator));
        uint16 seats;
        uint256 gain;
        (amount, seats, gain) = _scoringReward(escrow, taskId, operator);
        if (amount == 0) revert RewardsNothingToClaim(taskId, operator);

        scoringClaimed[taskId][operator] = true;
        escrow.remaining -= amount.toUint128();
        emit ScoringRewardClaimed(taskId, operator, seats, gain, amount);
        STAKING.addReward(operator, amount, REGISTRY.earmarkOf(taskId, operator));
    }

    /// @inheritdoc IRewards
    function claimFee(uint256 taskId, address operator) external returns (uint256 amount) {
        Stored storage escrow = _escrows[taskId];
        ITaskRegistry.Outcome outcome = escrow.outcome;
        if (outcome != ITaskRegistry.Outcome.Refunded && outcome != ITaskRegistry.Outcome.Failed) {
            revert RewardsNotRefunded(taskId);
        }
        if (feeClaimed[taskId][operator]) revert RewardsAlreadyClaimed(taskId, uint160(operator));
        (,,,, amount) = REGISTRY.commitmentOf(taskId, operator);
        // After a void round the fees are forfeited.
        if (amount == 0 || escrow.remaining == 0) revert RewardsNothingToClaim(taskId, operator);

        address to = STAKING.rewardAddressOf(operator);
        feeClaimed[taskId][operator] = true;
        escrow.remaining -= amount.toUint128();
        emit FeeRefunded(taskId, operator, to, amount);
        _credit(to, amount, "fee");
    }

    /// @inheritdoc IRewards
    function withdraw(address account) external returns (uint256 amount) {
        amount = owedTo[account];
        if (amount == 0) revert RewardsNothingOwed(account);
        owedTo[account] = 0;
        emit CreditWithdrawn(account, amount);
        TOKEN.safeTransfer(account, amount);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IRewards
    function bountyOf(uint256 taskId) external view returns (uint256) {
        Stored storage escrow = _escrows[taskId];
        return uint256(escrow.bounty) + escrow.extra;
    }

    /// @inheritdoc IRewards
    function validatorsPoolOf(uint256 taskId) public view returns (uint256) {
        Stored storage escrow = _escrows[taskId];
        uint256 bounty = uint256(escrow.bounty) + escrow.extra;
        return bounty * REGISTRY.payTermsOf(taskId).validatorBps / BPS + escrow.fees;
    }

    /// @inheritdoc IRewards
    function escrowOf(uint256 taskId) external view returns (Escrow memory) {
        Stored memory escrow = _escrows[taskId];
        return Escrow({
            bounty: escrow.bounty,
            bond: escrow.bond,
            fees: escrow.fees,
            extra: escrow.extra,
            appealCost: escrow.appealCost,
            trainersPool: escrow.trainersPool,
            validatorsPool: escrow.validatorsPool,
            remaining: escrow.remaining,
            scoringUnits: escrow.scoringUnits,
            weights: escrow.weights,
            floorScore: escrow.floorScore,
            power: escrow.power,
            closed: escrow.outcome != ITaskRegistry.Outcome.Running,
            flat: escrow.flat,
            outcome: escrow.outcome
        });
    }

    /// @inheritdoc IRewards
    function entryClaimed(uint256 taskId, uint32 lane) public view returns (bool) {
        return _entryClaimed[taskId][lane >> 8] & (1 << (lane & 255)) != 0;
    }

    /// @inheritdoc IRewards
    function entryReward(uint256 taskId, uint16 median) external view returns (uint256) {
        return _entryReward(_escrows[taskId], median);
    }

    /// @inheritdoc IRewards
    function scoringReward(uint256 taskId, address operator) external view returns (uint256 amount) {
        (amount,,) = _scoringReward(_escrows[taskId], taskId, operator);
    }

    // ------------------------------------------------------------------ internals

    /// @dev Divide a paid task's escrow into pools; amounts that no entry or validator earned go to the creator or the treasury.
    function _divide(uint256 taskId, Stored memory escrow, ITaskRegistry.PayTerms memory terms)
        private
        view
        returns (uint256 toCreator, uint256 toTreasury)
    {
        IScoring.Totals memory totals = SCORING.totalsOf(taskId);
        escrow.floorScore = terms.floorScore;
        escrow.power = terms.power;
        escrow.weights = totals.weights.toUint64();

        uint256 bounty = uint256(escrow.bounty) + escrow.extra;
        uint256 validatorsPool = bounty * terms.validatorBps / BPS;
        uint256 trainersPool = bounty - validatorsPool;
        uint256 own = uint256(escrow.bounty) * terms.validatorBps / BPS + escrow.fees; // without top-ups
        validatorsPool = validatorsPool + escrow.fees - escrow.appealCost; // the cost of appeals is at most the pool
        toCreator = escrow.bond;
        escrow.flat = totals.weights == 0 || totals.spread == 0 || totals.gainSeats == 0;
        if (totals.weights == 0) {
            // Half of the trainers' part of what the creator posted, nothing of what others put in.
            uint256 back = uint256(escrow.bounty) * (BPS - terms.validatorBps) / (2 * BPS);
            toCreator += back;
            toTreasury = trainersPool - back;
            trainersPool = 0;
        }
        escrow.scoringUnits = escrow.flat ? SCORING.roundOf(taskId).revealedSeats : totals.gainSeats.toUint128();
        if (escrow.flat) {
            uint256 shared = escrow.scoringUnits == 0 ? 0 : Math.min(own, validatorsPool) / 4;
            toTreasury += validatorsPool - shared;
            validatorsPool = shared;
        }
        escrow.trainersPool = trainersPool.toUint128();
        escrow.validatorsPool = validatorsPool.toUint128();
        escrow.remaining = (trainersPool + validatorsPool).toUint128();
    }

    /// @dev trainersPool * max(0, median - floor)^power / sum of the same over all entries.
    function _entryReward(Stored storage escrow, uint16 median) private view returns (uint256) {
        uint256 floorScore = escrow.floorScore;
        uint256 weights = escrow.weights;
        if (weights == 0 || median <= floorScore) return 0;
        return escrow.trainersPool * (median - floorScore) ** escrow.power / weights;
    }

    /// @dev validatorsPool * seats * gain / sum of the same over all rows; without the gain if flat.
    function _scoringReward(Stored storage escrow, uint256 taskId, address operator)
        private
        view
        returns (uint256 amount, uint16 seats, uint256 gain)
    {
        uint256 units = escrow.scoringUnits;
        if (units == 0) return (0, 0, 0);
        (seats, gain) = SCORING.shareOf(taskId, operator);
        amount = uint256(escrow.validatorsPool) * seats * (escrow.flat ? 1 : gain) / units;
    }

    function _credit(address account, uint256 amount, bytes32 reason) private {
        if (amount == 0) return;
        owedTo[account] += amount;
        emit Credited(account, amount, reason);
    }
}
