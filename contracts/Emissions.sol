// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ICoveyToken} from "./interfaces/ICoveyToken.sol";
import {IEmissions} from "./interfaces/IEmissions.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IScoring} from "./interfaces/IScoring.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title Emissions: minted tokens streamed into the bounties of running tasks, by stake-weighted votes
/// @notice IEmissions documents each call, docs/protocol.md the reasons.
/// @dev One accumulator of tokens allotted per unit of weight serves all tasks. A task's share since its last update is its weight
/// times the growth of the accumulator. The contract holds tokens only within `push`.
contract Emissions is IEmissions, AccessManaged {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @dev Amounts and weights are below the token's MAX_SUPPLY, hence 88 bits.
    struct Stream {
        uint88 totalWeight;
        uint88 allotted;
        uint40 dayStart;
        uint40 updatedAt;
    }

    /// @dev `perWeight` grows by 2^(88 + 72) in 16 years at MAX_PER_DAY and a weight of 1, so it fits for 4,000.
    struct Rate {
        uint168 perWeight; // tokens per unit of weight, times 2^72
        uint88 daily;
    }

    struct Limits {
        uint88 cap;
        uint80 taskCap;
        uint64 decay;
        uint24 quorum; // in QUORUM_UNITs
    }

    struct Share {
        uint88 weight;
        uint88 pending;
        uint32 generation;
        uint168 seen; // the accumulator when `pending` was updated
        uint88 minted;
    }

    struct Vote {
        uint88 weight;
        uint32 generation; // generation of the share when the vote was cast; the vote does not count in a later one
    }

    /// @notice Maximum daily amount: 6.1% of the maximum supply per year.
    uint256 public constant MAX_PER_DAY = 50_000e18;
    /// @notice Maximum task cap.
    uint256 public constant MAX_TASK_CAP = 1_000_000e18;
    /// @notice Minimum decay ratio: a tenth less every day.
    uint256 public constant MIN_DECAY = 0.9e18;
    /// @notice Maximum number of days that one call accrues.
    uint256 public constant MAX_STEPS = 400;
    /// @notice Maximum quorum.
    uint256 public constant MAX_QUORUM = 10_000_000e18;
    /// @notice A quorum is a multiple of this.
    uint256 public constant QUORUM_UNIT = 1e18;

    uint256 private constant ONE = 1e18;
    uint256 private constant DAY = 86_400;
    uint256 private constant SCALE_BITS = 72;

    /// @inheritdoc IEmissions
    ICoveyToken public immutable override token;
    /// @inheritdoc IEmissions
    IStaking public immutable override staking;
    /// @inheritdoc IEmissions
    ITaskRegistry public immutable override registry;
    /// @inheritdoc IEmissions
    IScoring public immutable override scoring;
    /// @inheritdoc IEmissions
    IRewards public immutable override rewards;

    Stream private _stream;
    Rate private _rate;
    Limits private _limits;
    uint256 private _minted;
    mapping(uint256 taskId => Share) private _shares;
    mapping(address operator => mapping(uint256 taskId => Vote)) private _votes;
    /// @inheritdoc IEmissions
    mapping(address operator => uint256) public votedOf;

    /// @param authority AccessManager that grants the right to configure, and to this contract the right to mint
    constructor(
        address authority,
        address token_,
        address staking_,
        address registry_,
        address scoring_,
        address rewards_
    ) AccessManaged(authority) {
        if (
            token_ == address(0) || staking_ == address(0) || registry_ == address(0) || scoring_ == address(0)
                || rewards_ == address(0)
        ) revert EmissionsZeroAddress();
        token = ICoveyToken(token_);
        staking = IStaking(staking_);
        registry = ITaskRegistry(registry_);
        scoring = IScoring(scoring_);
        rewards = IRewards(rewards_);
        _limits.decay = uint64(ONE);
        _stream.updatedAt = uint40(block.timestamp);
        // Rewards transfers the tokens that `push` mints in the same call. The contract never holds others.
        IERC20(token_).forceApprove(rewards_, type(uint256).max);
    }

    // ------------------------------------------------------------------ votes

    /// @inheritdoc IEmissions
    function vote(address operator, uint256 taskId, uint256 weight) external {
        if (msg.sender != operator && msg.sender != staking.signerOf(operator)) {
            revert EmissionsNotOperator(msg.sender, operator);
        }
        Vote memory cast = _votes[operator][taskId];
        (Stream memory stream, Share memory share) = _bring(taskId);
        uint256 counted = cast.generation == share.generation ? cast.weight : 0;
        uint256 voted = votedOf[operator] - cast.weight + weight;
        if (weight > counted) {
            if (_isOver(taskId)) revert EmissionsTaskNotOpen(taskId);
            if (_room(taskId, share) == 0) revert EmissionsTaskFull(taskId);
            uint256 power = votingPower(operator);
            if (voted > power) revert EmissionsAbovePower(operator, voted, power);
        }
        _setVote(operator, taskId, stream, share, counted, weight, voted);
    }

    /// @inheritdoc IEmissions
    function poke(address operator, uint256 taskId) external {
        Vote memory cast = _votes[operator][taskId];
        (Stream memory stream, Share memory share) = _bring(taskId);
        if (cast.weight == 0) revert EmissionsNothingToPoke(operator, taskId);
        uint256 voted = votedOf[operator];
        if (cast.generation == share.generation && _isOver(taskId)) _drop(taskId, stream, share);
        if (cast.generation != share.generation) {
            _setVote(operator, taskId, stream, share, 0, 0, voted - cast.weight);
            return;
        }
        // The stake of now: who adds dust in this block to hide stake of the last ones from votingPower reduces nobody's vote.
        uint256 power = Math.saturatingSub(staking.eligibleStake(operator), staking.movedIn(operator));
        uint256 excess = Math.min(Math.saturatingSub(voted, power), cast.weight);
        if (excess == 0) revert EmissionsNothingToPoke(operator, taskId);
        _setVote(operator, taskId, stream, share, cast.weight, cast.weight - excess, voted - excess);
    }

    // ------------------------------------------------------------------ shares

    /// @inheritdoc IEmissions
    function push(uint256 taskId) external returns (uint256 amount) {
        if (_isOver(taskId)) revert EmissionsTaskNotOpen(taskId);
        (Stream memory stream, Share memory share) = _bring(taskId);
        uint256 room = _room(taskId, share);
        amount = Math.min(Math.min(share.pending, room), token.mintable());
        if (amount == 0) revert EmissionsNothingToPush(taskId);

        // amount <= pending, so it fits, and `minted` stays at most `allotted`.
        share.pending -= uint88(amount);
        share.minted += uint88(amount);
        _minted += amount;
        emit SharePushed(taskId, amount);
        if (amount == room) _drop(taskId, stream, share);
        _shares[taskId] = share;
        _stream = stream;
        token.mint(address(this), amount);
        rewards.topUp(taskId, amount);
    }

    /// @inheritdoc IEmissions
    function drop(uint256 taskId) external {
        (Stream memory stream, Share memory share) = _bring(taskId);
        if (share.weight == 0 && share.pending == 0) revert EmissionsNothingToDrop(taskId);
        if (!_isOver(taskId) && _room(taskId, share) != 0) revert EmissionsTaskOpen(taskId);
        _drop(taskId, stream, share);
        _shares[taskId] = share;
        _stream = stream;
    }

    /// @inheritdoc IEmissions
    function accrue() external {
        (Stream memory stream, Rate memory rate) = _accrue();
        (_stream, _rate) = (stream, rate);
    }

    // ------------------------------------------------------------------ governance

    /// @inheritdoc IEmissions
    function configure(EmissionsConfig calldata value) external restricted {
        (Stream memory stream, Rate memory rate) = _current();
        if (value.perDay > MAX_PER_DAY) revert EmissionsBadConfig("perDay");
        if (value.decay < MIN_DECAY || value.decay > ONE) revert EmissionsBadConfig("decay");
        if (value.taskCap > MAX_TASK_CAP) revert EmissionsBadConfig("taskCap");
        if (value.quorum > MAX_QUORUM || value.quorum % QUORUM_UNIT != 0) revert EmissionsBadConfig("quorum");
        // Between the current allotment and the amount that the token can still mint.
        uint256 most = _minted + token.MAX_SUPPLY() - token.totalSupply();
        if (value.cap < stream.allotted || value.cap > most) revert EmissionsBadConfig("cap");
        // All fit: the bounds above are below 2^88, 2^80, 2^64 and 2^24.
        rate.daily = uint88(value.perDay);
        stream.dayStart = uint40(block.timestamp);
        (_stream, _rate) = (stream, rate);
        _limits = Limits({
            cap: uint88(value.cap),
            taskCap: uint80(value.taskCap),
            decay: uint64(value.decay),
            quorum: uint24(value.quorum / QUORUM_UNIT)
        });
        emit EmissionsConfigured(value);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IEmissions
    function votingPower(address operator) public view returns (uint256) {
        uint256 stake =
            Math.min(staking.eligibleStake(operator), staking.stakeSince(operator, uint48(block.timestamp - 1)));
        // Stake that moved from another pool may still be behind a vote there.
        return Math.saturatingSub(stake, staking.movedIn(operator));
    }

    /// @inheritdoc IEmissions
    function voteOf(address operator, uint256 taskId) external view returns (uint256) {
        Vote memory cast = _votes[operator][taskId];
        return cast.generation == _shares[taskId].generation ? cast.weight : 0;
    }

    /// @inheritdoc IEmissions
    function streamOf() external view returns (StreamView memory) {
        (Stream memory stream, Rate memory rate,) = _preview();
        return StreamView({
            totalWeight: stream.totalWeight,
            allotted: stream.allotted,
            minted: _minted,
            daily: rate.daily,
            dayStart: stream.dayStart,
            updatedAt: stream.updatedAt
        });
    }

    /// @inheritdoc IEmissions
    function shareOf(uint256 taskId) external view returns (ShareView memory) {
        (, Rate memory rate,) = _preview();
        Share memory share = _counted(_shares[taskId], rate);
        return
            ShareView({
                weight: share.weight, pending: share.pending, minted: share.minted, generation: share.generation
            });
    }

    /// @inheritdoc IEmissions
    function roomOf(uint256 taskId) external view returns (uint256) {
        return _isOver(taskId) ? 0 : _room(taskId, _shares[taskId]);
    }

    /// @inheritdoc IEmissions
    function decay() external view returns (uint256) {
        return _limits.decay;
    }

    /// @inheritdoc IEmissions
    function cap() external view returns (uint256) {
        return _limits.cap;
    }

    /// @inheritdoc IEmissions
    function taskCap() external view returns (uint256) {
        return _limits.taskCap;
    }

    /// @inheritdoc IEmissions
    function quorum() external view returns (uint256) {
        return _limits.quorum * QUORUM_UNIT;
    }

    // ------------------------------------------------------------------ internals: the stream

    /// @dev The current stream and accumulator, in memory, and the amount allotted since they were stored.
    function _preview() private view returns (Stream memory stream, Rate memory rate, uint256 amount) {
        stream = _stream;
        rate = _rate;
        if (stream.updatedAt == block.timestamp) return (stream, rate, 0);
        Limits memory limits = _limits;
        amount = _letOut(stream, rate, limits.decay);
        // Without votes the amount is not allotted and never minted; below the quorum a part of it is allotted.
        uint256 base = Math.max(stream.totalWeight, limits.quorum * QUORUM_UNIT);
        amount = stream.totalWeight == 0 ? 0 : Math.min(amount, limits.cap - stream.allotted);
        if (amount == 0) return (stream, rate, 0);
        rate.perWeight += uint168((amount << SCALE_BITS) / base); // fits: see Rate
        // Rounded up, so that it covers all shares; at most the rest of the cap, so it fits.
        amount = Math.ceilDiv(amount * stream.totalWeight, base);
        stream.allotted += uint88(amount);
    }

    /// @dev Amount that the stream emits from `updatedAt` to now, at most MAX_STEPS days. Advances day and amount.
    function _letOut(Stream memory stream, Rate memory rate, uint256 decay_) private view returns (uint256 amount) {
        uint256 daily = rate.daily;
        uint256 start = stream.dayStart;
        uint256 from = stream.updatedAt;
        if (daily == 0 || decay_ == ONE) {
            stream.updatedAt = uint40(block.timestamp);
            return daily * (block.timestamp - start) / DAY - daily * (from - start) / DAY;
        }
        for (uint256 step = 0; step < MAX_STEPS && from < block.timestamp; ++step) {
            uint256 to = Math.min(block.timestamp, start + DAY);
            amount += daily * (to - start) / DAY - daily * (from - start) / DAY;
            from = to;
            if (to == start + DAY) (start, daily) = (to, daily * decay_ / ONE);
        }
        // Times are at most now, and the amount only falls.
        (stream.dayStart, stream.updatedAt, rate.daily) = (uint40(start), uint40(from), uint88(daily));
    }

    function _accrue() private returns (Stream memory stream, Rate memory rate) {
        uint256 amount;
        (stream, rate, amount) = _preview();
        if (amount != 0) emit Streamed(amount, stream.totalWeight, rate.daily);
    }

    /// @dev `_accrue` up to now. Weights must not change before all days are accrued.
    function _current() private returns (Stream memory stream, Rate memory rate) {
        (stream, rate) = _accrue();
        if (stream.updatedAt != block.timestamp) revert EmissionsBehind(stream.updatedAt);
    }

    /// @dev Stream and share up to now. Stores the accumulator; the caller stores the rest.
    function _bring(uint256 taskId) private returns (Stream memory stream, Share memory share) {
        Rate memory rate;
        (stream, rate) = _current();
        _rate = rate;
        share = _counted(_shares[taskId], rate);
    }

    /// @dev `share`, including the growth of the accumulator since its last update.
    function _counted(Share memory share, Rate memory rate) private pure returns (Share memory) {
        // At most the total allotment, which fits.
        share.pending += uint88((uint256(share.weight) * (rate.perWeight - share.seen)) >> SCALE_BITS);
        share.seen = rate.perWeight;
        return share;
    }

    // ------------------------------------------------------------------ internals: votes

    /// @dev Store everything that a vote changes: the counted weight `counted` becomes `weight`.
    function _setVote(
        address operator,
        uint256 taskId,
        Stream memory stream,
        Share memory share,
        uint256 counted,
        uint256 weight,
        uint256 voted
    ) private {
        // Votes for open tasks are backed by existing stake, which fits. Stake that moved can also count for ended tasks that are not
        // dropped. If the sum exceeds 88 bits, the call reverts until such a task is dropped.
        uint256 ofTask = share.weight - counted + weight;
        uint256 ofAll = stream.totalWeight - counted + weight;
        (share.weight, stream.totalWeight) = (ofTask.toUint88(), ofAll.toUint88());
        _shares[taskId] = share;
        _stream = stream;
        _votes[operator][taskId] = Vote({weight: uint88(weight), generation: share.generation});
        votedOf[operator] = voted;
        emit VoteChanged(operator, taskId, weight, voted);
    }

    /// @dev Remove a task's votes and its pending allotment. The caller stores both.
    function _drop(uint256 taskId, Stream memory stream, Share memory share) private {
        (uint256 weight, uint256 forfeited) = (share.weight, share.pending);
        stream.totalWeight -= uint88(weight);
        stream.allotted -= uint88(forfeited);
        (share.weight, share.pending) = (0, 0);
        ++share.generation;
        emit ShareDropped(taskId, weight, forfeited, share.generation);
    }

    /// @dev Whether a task has ended, is settled, or is past its deadline.
    function _isOver(uint256 taskId) private view returns (bool) {
        return registry.outcomeOf(taskId) != ITaskRegistry.Outcome.Running || scoring.isSettled(taskId)
            || block.timestamp >= registry.scheduleOf(taskId).expiresAt;
    }

    /// @dev Amount that a running task can still receive within its bounty limit and the task cap.
    function _room(uint256 taskId, Share memory share) private view returns (uint256) {
        IRewards.Escrow memory escrow = rewards.escrowOf(taskId);
        uint256 limit = Math.saturatingSub(registry.bountyLimitOf(taskId), uint256(escrow.bounty) + escrow.extra);
        return Math.min(limit, Math.saturatingSub(_limits.taskCap, share.minted));
    }
}
