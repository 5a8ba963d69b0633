// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IStaking} from "./interfaces/IStaking.sol";
import {PackedCheckpoints} from "./libraries/PackedCheckpoints.sol";

/// @title Staking: operator pools, delegation, unbonding, earmarks, slashing, checkpoints
/// @notice IStaking documents each call, docs/protocol.md the reasons.
/// @dev A pool has two sides, active and unbonding, each with tokens and shares. A share is worth
/// `(tokens + VIRTUAL) / (shares + VIRTUAL)`, which is 1 for an empty side; a donation to a nearly empty side goes to the virtual
/// shares. Storage is packed so that each call reads and writes each slot of a pool once; a slot is a struct, copied to memory and
/// back. The token is CoveyToken: it has no callbacks, reverts on failure and has a supply below 2^88.
contract Staking is IStaking, AccessManaged {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using PackedCheckpoints for PackedCheckpoints.Trace;

    // ------------------------------------------------------------------ types: one slot each, but for the last two

    struct Active {
        uint88 tokens;
        uint128 shares;
        uint32 checkpoints;
        bool registered;
    }

    struct Unbonding {
        uint88 tokens;
        uint128 shares;
    }

    struct Drip {
        uint88 undripped; // rewards that are not yet active tokens
        uint40 end; // time at which all of them are
        uint40 start; // time of the last update
        uint88 earmarked;
    }

    struct Terms {
        address signer;
        uint16 commissionBps;
        uint16 pendingCommissionBps;
        uint40 commissionFrom;
    }

    struct Absence {
        uint40 since;
        uint88 taken;
        uint88 cap;
        uint40 jailedUntil;
    }

    struct Pool {
        Active active;
        Unbonding unbonding;
        Drip drip;
        Terms terms;
        Absence absence;
        address rewardAddress;
    }

    /// @dev Two slots. 128 bits of shares do not fit beside either address, so they are split.
    struct Entry {
        address owner;
        uint40 until;
        uint56 sharesHigh;
        address operator;
        uint96 sharesLow;
    }

    // ------------------------------------------------------------------ constants and immutables

    /// @dev A millionth of a CVY, in wei.
    uint256 private constant VIRTUAL = 1e12;
    /// @dev A slash leaves a side at least 2^-36 tokens per share, so that shares stay below 2^(88 + 36) and fit 128 bits.
    uint256 private constant FLOOR_BITS = 36;
    /// @dev Below 2^-20 tokens per share a pool accepts no new stake, which could not be slashed above the floor.
    uint256 private constant RUIN_BITS = 20;
    /// @dev Keeps times within 40 bits.
    uint256 private constant MAX_PERIOD = 3650 days;
    uint256 private constant BPS = 10_000;
    uint256 private constant REPORTER_MAX_BPS = 1000;

    IERC20 private immutable TOKEN;
    /// @inheritdoc IStaking
    address public immutable override treasury;
    /// @inheritdoc IStaking
    uint256 public immutable override minSelfBond;
    /// @inheritdoc IStaking
    uint40 public immutable override unbondingPeriod;
    /// @inheritdoc IStaking
    uint40 public immutable override maxTaskLife;
    /// @inheritdoc IStaking
    uint40 public immutable override dripPeriod;
    /// @inheritdoc IStaking
    uint40 public immutable override commissionNotice;
    /// @inheritdoc IStaking
    uint40 public immutable override jailPeriod;
    /// @inheritdoc IStaking
    uint16 public immutable override maxCommissionBps;
    /// @inheritdoc IStaking
    uint16 public immutable override absenceCapBps;

    // ------------------------------------------------------------------ storage

    /// @inheritdoc IStaking
    bool public paused;
    uint64 private _lastEntryId;
    mapping(address operator => Pool) private _pools;
    mapping(address operator => PackedCheckpoints.Trace) private _traces;
    mapping(address operator => mapping(address delegator => uint256)) private _shares;
    mapping(uint256 entryId => Entry) private _entries;
    /// @inheritdoc IStaking
    mapping(address signer => address) public operatorOf;
    /// @inheritdoc IStaking
    mapping(address account => bool) public isDuty;
    /// @inheritdoc IStaking
    mapping(address account => uint256) public owedTo;

    // ------------------------------------------------------------------ set-up

    modifier onlyDuty() {
        if (!isDuty[msg.sender]) revert StakingNotDuty(msg.sender);
        _;
    }

    modifier whenNotPaused() {
        if (paused) revert StakingPaused();
        _;
    }

    /// @param authority AccessManager that grants the rights to set duties and to pause
    /// @param token_ CoveyToken
    /// @param treasury_ is credited slashed tokens, less reporters' rewards
    constructor(address authority, address token_, address treasury_, StakingConfig memory config)
        AccessManaged(authority)
    {
        if (token_ == address(0) || treasury_ == address(0)) revert StakingZeroAddress();
        // At least VIRTUAL, so that a pool with an eligible operator does not count as empty.
        if (config.minSelfBond < VIRTUAL || config.minSelfBond > type(uint88).max) {
            revert StakingBadConfig("minSelfBond");
        }
        if (config.maxTaskLife == 0) revert StakingBadConfig("maxTaskLife");
        if (config.unbondingPeriod < config.maxTaskLife || config.unbondingPeriod > MAX_PERIOD) {
            revert StakingBadConfig("unbondingPeriod");
        }
        if (config.dripPeriod == 0 || config.dripPeriod > MAX_PERIOD) revert StakingBadConfig("dripPeriod");
        if (config.commissionNotice > MAX_PERIOD) revert StakingBadConfig("commissionNotice");
        if (config.jailPeriod > MAX_PERIOD) revert StakingBadConfig("jailPeriod");
        if (config.maxCommissionBps > BPS) revert StakingBadConfig("maxCommissionBps");
        if (config.absenceCapBps == 0 || config.absenceCapBps > BPS) revert StakingBadConfig("absenceCapBps");
        TOKEN = IERC20(token_);
        treasury = treasury_;
        minSelfBond = config.minSelfBond;
        unbondingPeriod = config.unbondingPeriod;
        maxTaskLife = config.maxTaskLife;
        dripPeriod = config.dripPeriod;
        commissionNotice = config.commissionNotice;
        maxCommissionBps = config.maxCommissionBps;
        absenceCapBps = config.absenceCapBps;
        jailPeriod = config.jailPeriod;
    }

    /// @inheritdoc IStaking
    function setDuty(address duty, bool allowed) external restricted {
        if (duty == address(0)) revert StakingZeroAddress();
        isDuty[duty] = allowed;
        emit DutySet(duty, allowed);
    }

    /// @inheritdoc IStaking
    function setPaused(bool paused_) external restricted {
        paused = paused_;
        emit PausedSet(paused_);
    }

    // ------------------------------------------------------------------ operators

    /// @inheritdoc IStaking
    function registerOperator(address signer, address rewardAddress, uint16 commissionBps) external {
        Pool storage pool = _pools[msg.sender];
        if (pool.active.registered) revert StakingAlreadyRegistered(msg.sender);
        if (rewardAddress == address(0)) revert StakingZeroAddress();
        if (commissionBps > maxCommissionBps) revert StakingCommissionTooHigh(commissionBps, maxCommissionBps);
        _takeSigner(signer);
        pool.active.registered = true;
        pool.terms = Terms({signer: signer, commissionBps: commissionBps, pendingCommissionBps: 0, commissionFrom: 0});
        pool.rewardAddress = rewardAddress;
        emit OperatorRegistered(msg.sender, signer, rewardAddress, commissionBps);
    }

    /// @inheritdoc IStaking
    function setSigner(address newSigner) external {
        Pool storage pool = _registered(msg.sender);
        address previous = pool.terms.signer;
        _takeSigner(newSigner);
        delete operatorOf[previous];
        pool.terms.signer = newSigner;
        emit SignerChanged(msg.sender, previous, newSigner);
    }

    /// @inheritdoc IStaking
    function setRewardAddress(address newRewardAddress) external {
        Pool storage pool = _registered(msg.sender);
        if (newRewardAddress == address(0)) revert StakingZeroAddress();
        pool.rewardAddress = newRewardAddress;
        emit RewardAddressChanged(msg.sender, newRewardAddress);
    }

    /// @inheritdoc IStaking
    function setCommission(uint16 newCommissionBps) external {
        Pool storage pool = _registered(msg.sender);
        if (newCommissionBps > maxCommissionBps) revert StakingCommissionTooHigh(newCommissionBps, maxCommissionBps);
        Terms memory terms = pool.terms;
        if (newCommissionBps > terms.commissionBps) {
            uint40 from = _now() + commissionNotice;
            terms.pendingCommissionBps = newCommissionBps;
            terms.commissionFrom = from;
            pool.terms = terms;
            emit CommissionAnnounced(msg.sender, newCommissionBps, from);
        } else {
            _setCommission(pool, terms, msg.sender, newCommissionBps);
        }
    }

    /// @inheritdoc IStaking
    function applyCommission(address operator) external {
        Pool storage pool = _registered(operator);
        Terms memory terms = pool.terms;
        // A pending commission is never 0, because only an increase is announced.
        if (terms.pendingCommissionBps == 0 || block.timestamp < terms.commissionFrom) {
            revert StakingCommissionNotDue(terms.commissionFrom);
        }
        _setCommission(pool, terms, operator, terms.pendingCommissionBps);
    }

    /// @inheritdoc IStaking
    function unjail() external {
        Pool storage pool = _registered(msg.sender);
        uint40 until = pool.absence.jailedUntil;
        if (until == 0) revert StakingNotJailed(msg.sender);
        if (block.timestamp < until) revert StakingJailed(msg.sender, until);
        (Active memory active,) = _preview(pool);
        if (!_isSound(msg.sender, pool, active)) revert StakingNotEligible(msg.sender);
        pool.absence.jailedUntil = 0;
        emit Unjailed(msg.sender);
    }

    // ------------------------------------------------------------------ delegators

    /// @inheritdoc IStaking
    function delegate(address operator, uint256 amount, uint256 minShares) external returns (uint256 shares) {
        return _delegate(operator, amount, minShares);
    }

    /// @inheritdoc IStaking
    function delegateWithPermit(
        address operator,
        uint256 amount,
        uint256 minShares,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares) {
        // Someone who saw this transaction may have used the permit already. The allowance exists then; without an allowance the
        // transfer below reverts.
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _delegate(operator, amount, minShares);
    }

    /// @inheritdoc IStaking
    function undelegate(address operator, uint256 shares, uint256 minTokens) external returns (uint256 entryId) {
        Pool storage pool = _pools[operator];
        if (shares == 0) revert StakingZeroAmount();
        uint256 owned = _shares[operator][msg.sender];
        if (shares > owned) revert StakingInsufficientShares(owned, shares);
        (Active memory active,) = _accrue(operator, pool);
        Unbonding memory unbonding = pool.unbonding;

        uint256 tokens = _toTokens(shares, active.tokens, active.shares);
        if (tokens == 0) revert StakingZeroAmount();
        if (tokens < minTokens) revert StakingSlippage(tokens, minTokens);
        uint256 unbondingShares = _toShares(tokens, unbonding.tokens, unbonding.shares);
        uint40 until = _now() + unbondingPeriod;

        // A delegator's shares are part of the pool's, and their tokens at most the pool's, so all three fit.
        _shares[operator][msg.sender] = owned - shares;
        active.shares -= uint128(shares);
        active.tokens -= uint88(tokens);
        unbonding.tokens += uint88(tokens);
        unbonding.shares += unbondingShares.toUint128();
        pool.unbonding = unbonding;
        _save(operator, pool, active);
        entryId = ++_lastEntryId;
        _entries[entryId] = Entry({
            owner: msg.sender,
            until: until,
            sharesHigh: uint56(unbondingShares >> 96),
            operator: operator,
            sharesLow: uint96(unbondingShares)
        });
        emit Undelegated(operator, msg.sender, entryId, shares, tokens, unbondingShares, until);
    }

    /// @inheritdoc IStaking
    function withdraw(uint256 entryId) external returns (uint256 amount) {
        Entry memory entry = _entries[entryId];
        if (entry.owner == address(0)) revert StakingUnknownEntry(entryId);
        if (entry.owner != msg.sender) revert StakingNotEntryOwner(msg.sender, entry.owner);
        if (block.timestamp < entry.until) revert StakingUnbondingNotOver(entry.until);
        Pool storage pool = _pools[entry.operator];
        Unbonding memory unbonding = pool.unbonding;
        uint256 shares = _sharesOf(entry);
        amount = _toTokens(shares, unbonding.tokens, unbonding.shares);

        delete _entries[entryId];
        // The entry's shares are part of this side's, and their tokens at most its tokens, so both fit.
        unbonding.tokens -= uint88(amount);
        unbonding.shares -= uint128(shares);
        pool.unbonding = unbonding;
        emit Withdrawn(entry.operator, msg.sender, entryId, amount);
        TOKEN.safeTransfer(msg.sender, amount);
    }

    // ------------------------------------------------------------------ duty contracts

    /// @inheritdoc IStaking
    function earmark(address operator, uint256 amount, uint48 asOf) external onlyDuty whenNotPaused {
        if (amount == 0) revert StakingZeroAmount();
        Pool storage pool = _pools[operator];
        (Active memory active, Drip memory drip) = _accrue(operator, pool);
        if (pool.absence.jailedUntil != 0 || !_isSound(operator, pool, active)) revert StakingNotEligible(operator);
        uint256 free = Math.saturatingSub(Math.min(active.tokens, stakeAt(operator, asOf)), drip.earmarked);
        if (amount > free) revert StakingStakeTooLow(operator, free, amount);

        // amount <= active.tokens, so it fits.
        drip.earmarked += uint88(amount);
        pool.drip = drip;
        _saveIfDripped(operator, pool, active);
        emit Earmarked(operator, msg.sender, amount, drip.earmarked);
    }

    /// @inheritdoc IStaking
    function releaseEarmark(address operator, uint256 amount) external onlyDuty {
        Pool storage pool = _pools[operator];
        Drip memory drip = pool.drip;
        if (amount > drip.earmarked) revert StakingEarmarkTooLow(operator, drip.earmarked, amount);
        drip.earmarked -= uint88(amount); // amount <= earmarked, so it fits
        pool.drip = drip;
        emit EarmarkReleased(operator, msg.sender, amount, drip.earmarked);
    }

    /// @inheritdoc IStaking
    function slash(address operator, uint256 earmarkAmount, uint256 amount, address reporter, bool capped)
        external
        onlyDuty
        returns (uint256 taken)
    {
        if (amount > earmarkAmount) revert StakingSlashAboveEarmark(amount, earmarkAmount);
        Pool storage pool = _pools[operator];
        (Active memory active, Drip memory drip) = _accrue(operator, pool);
        Unbonding memory unbonding = pool.unbonding;
        if (earmarkAmount > drip.earmarked) revert StakingEarmarkTooLow(operator, drip.earmarked, earmarkAmount);

        uint256 total = uint256(active.tokens) + unbonding.tokens;
        if (capped) amount = Math.min(amount, _absenceLeft(pool, total));
        (uint256 fromActive, uint256 fromUnbonding) = _split(Math.min(amount, total), active, unbonding);
        taken = fromActive + fromUnbonding;
        uint256 reward = reporter == address(0) ? 0 : _reporterReward(operator, taken, fromActive, active.shares);

        // Each part is at most the side's tokens, and taken <= amount <= earmarked, so all fit.
        active.tokens -= uint88(fromActive);
        unbonding.tokens -= uint88(fromUnbonding);
        drip.earmarked -= uint88(taken);
        pool.unbonding = unbonding;
        pool.drip = drip;
        _save(operator, pool, active);
        if (reward != 0) owedTo[reporter] += reward;
        owedTo[treasury] += taken - reward;
        emit Slashed(operator, msg.sender, fromActive, fromUnbonding, reporter, reward, taken - reward, capped);
        if (capped) _countAbsence(operator, pool, taken);
    }

    /// @inheritdoc IStaking
    function addReward(address operator, uint256 amount) external onlyDuty {
        if (amount == 0) revert StakingZeroAmount();
        if (amount > type(uint88).max) revert StakingAmountTooLarge(amount);
        Pool storage pool = _pools[operator];
        (Active memory active, Drip memory drip) = _accrue(operator, pool);
        uint256 commission = _isEmpty(active) ? amount : amount * pool.terms.commissionBps / BPS;
        uint256 dripping = amount - commission;
        if (dripping != 0) {
            // The new end is the mean of the ends of the running and the new drip, weighted by amount. Dust moves it only by its
            // weight, and the mean of two times within a period is within a period.
            uint256 rest = drip.undripped == 0 ? 0 : drip.end - block.timestamp;
            uint256 sum = uint256(drip.undripped) + dripping;
            drip.end = uint40(block.timestamp + (drip.undripped * rest + dripping * dripPeriod) / sum);
            drip.start = _now();
            drip.undripped += uint88(dripping); // dripping <= amount, so it fits
            pool.drip = drip;
        }
        _saveIfDripped(operator, pool, active);
        emit RewardAdded(operator, amount, commission, dripping, drip.end);
        if (commission != 0) TOKEN.safeTransferFrom(msg.sender, pool.rewardAddress, commission);
        if (dripping != 0) TOKEN.safeTransferFrom(msg.sender, address(this), dripping);
    }

    // ------------------------------------------------------------------ upkeep

    /// @inheritdoc IStaking
    function accrue(address operator) external {
        Pool storage pool = _pools[operator];
        (Active memory active,) = _accrue(operator, pool);
        _saveIfDripped(operator, pool, active);
    }

    /// @inheritdoc IStaking
    function payOwed(address account) external returns (uint256 amount) {
        amount = owedTo[account];
        if (amount == 0) revert StakingNothingOwed(account);
        owedTo[account] = 0;
        emit OwedPaid(account, amount);
        TOKEN.safeTransfer(account, amount);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IStaking
    function signerOf(address operator) external view returns (address) {
        return _pools[operator].terms.signer;
    }

    /// @inheritdoc IStaking
    function rewardAddressOf(address operator) external view returns (address) {
        return _pools[operator].rewardAddress;
    }

    /// @inheritdoc IStaking
    function poolOf(address operator) external view returns (PoolView memory) {
        Pool storage pool = _pools[operator];
        (Active memory active, Drip memory drip) = _preview(pool);
        return PoolView({
            signer: pool.terms.signer,
            rewardAddress: pool.rewardAddress,
            commissionBps: pool.terms.commissionBps,
            pendingCommissionBps: pool.terms.pendingCommissionBps,
            commissionFrom: pool.terms.commissionFrom,
            jailedUntil: pool.absence.jailedUntil,
            activeTokens: active.tokens,
            activeShares: active.shares,
            unbondingTokens: pool.unbonding.tokens,
            unbondingShares: pool.unbonding.shares,
            earmarked: drip.earmarked,
            undripped: drip.undripped,
            dripEnd: drip.end,
            selfBond: _selfBond(operator, active)
        });
    }

    /// @inheritdoc IStaking
    function sharesOf(address operator, address delegator) external view returns (uint256) {
        return _shares[operator][delegator];
    }

    /// @inheritdoc IStaking
    function tokensFor(address operator, uint256 shares) external view returns (uint256) {
        (Active memory active,) = _preview(_pools[operator]);
        return _toTokens(shares, active.tokens, active.shares);
    }

    /// @inheritdoc IStaking
    function unbondingEntry(uint256 entryId)
        external
        view
        returns (address operator, address owner, uint256 shares, uint256 tokens, uint40 until)
    {
        Entry memory entry = _entries[entryId];
        Unbonding memory unbonding = _pools[entry.operator].unbonding;
        shares = _sharesOf(entry);
        return (entry.operator, entry.owner, shares, _toTokens(shares, unbonding.tokens, unbonding.shares), entry.until);
    }

    /// @inheritdoc IStaking
    function isEligible(address operator) external view returns (bool) {
        return eligibleStake(operator) != 0;
    }

    /// @inheritdoc IStaking
    function eligibleStake(address operator) public view returns (uint256) {
        Pool storage pool = _pools[operator];
        (Active memory active,) = _preview(pool);
        return pool.absence.jailedUntil == 0 && _isSound(operator, pool, active) ? active.tokens : 0;
    }

    /// @inheritdoc IStaking
    function stakeAt(address operator, uint48 timepoint) public view returns (uint256) {
        if (timepoint >= block.timestamp) revert StakingFutureLookup(timepoint, clock());
        // Before the current time, which fits 40 bits.
        return _traces[operator].lookup(_pools[operator].active.checkpoints, uint40(timepoint));
    }

    /// @inheritdoc IStaking
    function absenceOf(address operator) external view returns (uint40 since, uint256 taken, uint256 cap) {
        Absence memory absence = _pools[operator].absence;
        return (absence.since, absence.taken, absence.cap);
    }

    /// @inheritdoc IStaking
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IStaking
    function clock() public view returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @inheritdoc IStaking
    function CLOCK_MODE() external pure returns (string memory) {
        return "mode=timestamp";
    }

    // ------------------------------------------------------------------ internals: operators

    function _registered(address operator) private view returns (Pool storage pool) {
        pool = _pools[operator];
        if (!pool.active.registered) revert StakingUnknownOperator(operator);
    }

    function _takeSigner(address signer) private {
        if (signer == address(0)) revert StakingZeroAddress();
        if (operatorOf[signer] != address(0)) revert StakingSignerTaken(signer);
        operatorOf[signer] = msg.sender;
    }

    function _setCommission(Pool storage pool, Terms memory terms, address operator, uint16 commissionBps) private {
        terms.commissionBps = commissionBps;
        terms.pendingCommissionBps = 0;
        terms.commissionFrom = 0;
        pool.terms = terms;
        emit CommissionChanged(operator, commissionBps);
    }

    /// @dev Eligible except for jail: self-bonded and not ruined by slashes. An unregistered operator has no self-bond.
    function _isSound(address operator, Pool storage pool, Active memory active) private view returns (bool) {
        return _selfBond(operator, active) >= minSelfBond && !_isRuined(pool, active);
    }

    function _selfBond(address operator, Active memory active) private view returns (uint256) {
        return _toTokens(_shares[operator][operator], active.tokens, active.shares);
    }

    // ------------------------------------------------------------------ internals: shares

    function _delegate(address operator, uint256 amount, uint256 minShares)
        private
        whenNotPaused
        returns (uint256 shares)
    {
        if (amount == 0) revert StakingZeroAmount();
        if (amount > type(uint88).max) revert StakingAmountTooLarge(amount);
        Pool storage pool = _pools[operator];
        (Active memory active,) = _accrue(operator, pool);
        if (_isRuined(pool, active)) revert StakingPoolRuined(operator);
        shares = _toShares(amount, active.tokens, active.shares);
        if (shares == 0) revert StakingZeroAmount();
        if (shares < minShares) revert StakingSlippage(shares, minShares);

        _shares[operator][msg.sender] += shares;
        active.shares += shares.toUint128();
        active.tokens += uint88(amount); // checked above
        _save(operator, pool, active);
        emit Delegated(operator, msg.sender, amount, shares);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _toShares(uint256 tokens, uint256 sideTokens, uint256 sideShares) private pure returns (uint256) {
        return tokens * (sideShares + VIRTUAL) / (sideTokens + VIRTUAL);
    }

    /// @dev Virtual tokens do not exist. Below a price of 1 the last share would be worth some of them, hence the minimum.
    function _toTokens(uint256 shares, uint256 sideTokens, uint256 sideShares) private pure returns (uint256) {
        return Math.min(shares * (sideTokens + VIRTUAL) / (sideShares + VIRTUAL), sideTokens);
    }

    function _sharesOf(Entry memory entry) private pure returns (uint256) {
        return (uint256(entry.sharesHigh) << 96) | entry.sharesLow;
    }

    /// @dev Whether there are fewer real shares than virtual ones. Most of a reward would go to the virtual shares and be lost.
    function _isEmpty(Active memory active) private pure returns (bool) {
        return active.shares < VIRTUAL;
    }

    function _isRuined(Pool storage pool, Active memory active) private view returns (bool) {
        Unbonding memory unbonding = pool.unbonding;
        return (active.tokens + VIRTUAL) << RUIN_BITS < active.shares + VIRTUAL
            || (unbonding.tokens + VIRTUAL) << RUIN_BITS < unbonding.shares + VIRTUAL;
    }

    // ------------------------------------------------------------------ internals: drip and checkpoints

    /// @dev The current pool, in memory: the drip is added to the active tokens. With no real shares it would belong to nobody, and
    /// leaves the pool instead.
    function _preview(Pool storage pool) private view returns (Active memory active, Drip memory drip) {
        (active, drip,) = _dripped(pool);
    }

    /// @dev The same, with the amount dripped since the last update, which is linear in time from `start` to `end`.
    function _dripped(Pool storage pool)
        private
        view
        returns (Active memory active, Drip memory drip, uint256 dripped)
    {
        active = pool.active;
        drip = pool.drip;
        dripped = drip.undripped;
        if (dripped == 0) return (active, drip, 0);
        if (block.timestamp < drip.end) {
            dripped = dripped * (block.timestamp - drip.start) / (drip.end - drip.start);
        }
        drip.undripped -= uint88(dripped); // at most undripped, so it fits
        drip.start = _now();
        if (!_isEmpty(active)) active.tokens += uint88(dripped);
    }

    /// @dev Store the drip; the caller stores the active side.
    function _accrue(address operator, Pool storage pool) private returns (Active memory active, Drip memory drip) {
        uint256 dripped;
        (active, drip, dripped) = _dripped(pool);
        if (!active.registered) revert StakingUnknownOperator(operator);
        if (dripped == 0) return (active, drip);
        pool.drip = drip;
        if (_isEmpty(active)) {
            owedTo[pool.rewardAddress] += dripped;
            emit Dripped(operator, 0, dripped);
        } else {
            emit Dripped(operator, dripped, 0);
        }
    }

    function _save(address operator, Pool storage pool, Active memory active) private {
        active.checkpoints = _traces[operator].push(active.checkpoints, _now(), active.tokens);
        pool.active = active;
    }

    /// @dev For calls that change the active side only by its drip. Writes no checkpoint if nothing dripped.
    function _saveIfDripped(address operator, Pool storage pool, Active memory active) private {
        if (active.tokens != pool.active.tokens) _save(operator, pool, active);
    }

    function _now() private view returns (uint40) {
        return uint40(block.timestamp);
    }

    // ------------------------------------------------------------------ internals: slashing

    /// @dev Both sides lose the same fraction, up to the floor that keeps their shares within 128 bits.
    function _split(uint256 amount, Active memory active, Unbonding memory unbonding)
        private
        pure
        returns (uint256 fromActive, uint256 fromUnbonding)
    {
        if (amount == 0) return (0, 0);
        // amount <= the sum of both sides, so the divisor is not zero and neither part exceeds its side.
        fromActive = amount * active.tokens / (uint256(active.tokens) + unbonding.tokens);
        fromUnbonding = amount - fromActive;
        fromActive = Math.min(fromActive, Math.saturatingSub(active.tokens, active.shares >> FLOOR_BITS));
        fromUnbonding = Math.min(fromUnbonding, Math.saturatingSub(unbonding.tokens, unbonding.shares >> FLOOR_BITS));
    }

    /// @dev Half of the operator's own loss of active tokens, at most a tenth of the slash. An operator that is reported by an
    /// accomplice gets back less than it loses.
    function _reporterReward(address operator, uint256 taken, uint256 fromActive, uint256 activeShares)
        private
        view
        returns (uint256)
    {
        uint256 own = fromActive * _shares[operator][operator] / (activeShares + VIRTUAL);
        return Math.min(own / 2, taken * REPORTER_MAX_BPS / BPS);
    }

    /// @dev Amount that absences can still take in the current period. Starts a new period if the last is over.
    function _absenceLeft(Pool storage pool, uint256 total) private returns (uint256) {
        Absence memory absence = pool.absence;
        if (absence.since == 0 || block.timestamp >= absence.since + unbondingPeriod) {
            absence.since = _now();
            absence.taken = 0;
            absence.cap = (total * absenceCapBps / BPS).toUint88();
            pool.absence = absence;
        }
        return absence.cap - absence.taken;
    }

    function _countAbsence(address operator, Pool storage pool, uint256 taken) private {
        Absence memory absence = pool.absence;
        absence.taken += uint88(taken); // at most the rest of the cap, so it fits
        bool jails = absence.taken == absence.cap && absence.jailedUntil <= block.timestamp;
        if (jails) absence.jailedUntil = _now() + jailPeriod;
        pool.absence = absence;
        if (jails) emit Jailed(operator, absence.jailedUntil);
    }
}
