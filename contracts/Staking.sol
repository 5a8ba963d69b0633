// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IStaking} from "./interfaces/IStaking.sol";
import {StakeLanes} from "./libraries/StakeLanes.sol";

/// @title Staking: operator pools, delegation, unbonding, earmarks, slashing, a short history of stake
/// @notice IStaking documents each call, docs/protocol.md the reasons.
/// @dev A share of a pool is worth `(tokens + VIRTUAL) / (shares + VIRTUAL)`, which is 1 for an empty pool; a donation to a nearly
/// empty pool goes to the virtual shares. Who leaves holds an entry of fixed tokens. A slash is taken from active stake at once; for
/// entries that left since the earmark it is a record, which each of them counts when it is withdrawn. Storage is packed so that each
/// call reads and writes each slot of a pool once; a slot is a struct, copied to memory and back. The token is CoveyToken: it has no
/// callbacks, reverts on failure and has a supply below 2^88.
contract Staking is IStaking, AccessManaged {
    using SafeERC20 for IERC20;
    using StakeLanes for uint256[4];

    // ------------------------------------------------------------------ types: storage, one slot each

    struct ActiveSlot {
        uint88 tokens;
        uint128 shares;
        uint32 changedAt; // time at which `tokens` changed last
        uint8 flags;
    }

    struct DripSlot {
        uint88 undripped; // rewards that are not yet active tokens
        uint40 end; // time at which all of them are
        uint40 start; // time of the last update
        uint88 backing; // active shares at the additions, weighted by amount, in UNITs
    }

    struct DutySlot {
        uint88 earmarked;
        uint88 taken; // by capped slashes of the period
        uint40 since; // start of the period
        uint40 jailedUntil;
    }

    struct LeavingSlot {
        uint48 net; // undelegated less cancelled, in UNITs, modulo 2^48
        uint24 gen; // cohort of entries
        uint24 records;
        bool dirty; // an entry of this cohort exists
        uint88 unbonding; // sum of entries that will be withdrawn, before slashes
        uint48 moved; // sum of entries that moved to other pools, before slashes, in UNITs
    }

    struct Terms {
        address signer;
        uint16 commissionBps;
        uint16 pendingCommissionBps;
        uint40 commissionFrom;
        uint24 consents; // signers so far
    }

    struct Position {
        uint128 shares;
        uint32 entries;
    }

    struct EntrySlot {
        uint88 tokens; // when it left
        uint88 worth; // after the records counted so far
        uint24 mark; // cohort; the highest bit: it moved
        uint24 records; // counted so far
        uint32 until;
    }

    struct Record {
        uint24 gen;
        uint128 keep; // part that entries keep, times 2^128
    }

    /// @dev Two slots.
    struct Move {
        address to;
        uint128 shares;
    }

    struct Pool {
        ActiveSlot active;
        DripSlot drip;
        DutySlot duty;
        LeavingSlot leaving;
        Terms terms;
        address rewardAddress;
        uint256 movedIn; // shares that belong to entries of other pools
        uint256[4] lanes;
        mapping(uint256 index => Record) records;
    }

    // ------------------------------------------------------------------ types: the same in memory, a word each

    struct Active {
        uint256 tokens;
        uint256 shares;
        uint256 changedAt;
        uint256 flags;
    }

    struct Drip {
        uint256 undripped;
        uint256 end;
        uint256 start;
        uint256 backing;
    }

    struct Duty {
        uint256 earmarked;
        uint256 taken;
        uint256 since;
        uint256 jailedUntil;
    }

    struct Leaving {
        uint256 net;
        uint256 gen;
        uint256 records;
        bool dirty;
        uint256 unbonding;
        uint256 moved;
    }

    struct Entry {
        uint256 tokens;
        uint256 worth;
        uint256 mark;
        uint256 records;
        uint256 until;
    }

    /// @dev What a slash takes.
    struct Cut {
        uint256 fromActive; // `own` included
        uint256 fromLeaving;
        uint256 own; // by burning own shares
        uint256 ownShares;
        uint256 reward;
    }

    // ------------------------------------------------------------------ constants and immutables

    /// @dev A millionth of a CVY, in wei.
    uint256 private constant VIRTUAL = 1e12;
    /// @dev A slash leaves at least 2^-36 tokens per share, so that shares stay below 2^(88 + 36) and fit 128 bits.
    uint256 private constant FLOOR_BITS = 36;
    /// @dev Below 2^-20 tokens per share a pool accepts no new stake, which could not be slashed above the floor.
    uint256 private constant RUIN_BITS = 20;
    /// @dev What left is counted in units of 2^40 wei, rounded up.
    uint256 private constant UNIT_BITS = 40;
    /// @dev Keeps times within 40 bits.
    uint256 private constant MAX_PERIOD = 3650 days;
    uint256 private constant BPS = 10_000;
    uint256 private constant REPORTER_MAX_BPS = 1000;
    /// @dev Records that one call counts.
    uint256 private constant MAX_COUNT = 32;
    uint256 private constant REGISTERED = 1;
    uint256 private constant BONDED = 2;
    uint256 private constant DRIPPING = 4;
    uint256 private constant MOVED = 1 << 23;
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("Covey Staking");
    bytes32 private constant VERSION = keccak256("1");
    bytes32 private constant CONSENT = keccak256("Consent(address operator,uint256 nonce)");

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
    /// @inheritdoc IStaking
    uint8 public immutable override leverage;
    /// @dev Seconds of a lane of the history: 15 cover a task's life.
    uint256 private immutable QUANTUM;

    // ------------------------------------------------------------------ storage

    /// @inheritdoc IStaking
    bool public paused;
    address[] private _operators;
    mapping(address operator => Pool) private _pools;
    mapping(address operator => mapping(address owner => Position)) private _positions;
    mapping(address operator => mapping(address owner => mapping(uint256 index => EntrySlot))) private _entries;
    mapping(address operator => mapping(address owner => mapping(uint256 index => Move))) private _moves;
    /// @inheritdoc IStaking
    mapping(address signer => address) public operatorOf;
    /// @inheritdoc IStaking
    mapping(address account => uint40) public dutyUntil;
    /// @inheritdoc IStaking
    mapping(address account => uint256) public owedTo;

    // ------------------------------------------------------------------ set-up

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
        _notZero(token_);
        _notZero(treasury_);
        // At least VIRTUAL, so that a pool with an eligible operator does not count as empty.
        if (config.minSelfBond < VIRTUAL || config.minSelfBond > type(uint88).max) {
            revert StakingBadConfig("minSelfBond");
        }
        if (config.maxTaskLife == 0) revert StakingBadConfig("maxTaskLife");
        if (config.unbondingPeriod < config.maxTaskLife || config.unbondingPeriod > MAX_PERIOD) {
            revert StakingBadConfig("unbondingPeriod");
        }
        if (config.dripPeriod == 0 || config.dripPeriod > MAX_PERIOD) revert StakingBadConfig("dripPeriod");
        if (config.commissionNotice == 0 || config.commissionNotice > MAX_PERIOD) {
            revert StakingBadConfig("commissionNotice");
        }
        if (config.jailPeriod > MAX_PERIOD) revert StakingBadConfig("jailPeriod");
        if (config.maxCommissionBps > BPS) revert StakingBadConfig("maxCommissionBps");
        if (config.absenceCapBps == 0 || config.absenceCapBps > BPS) revert StakingBadConfig("absenceCapBps");
        if (config.leverage == 0) revert StakingBadConfig("leverage");
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
        leverage = config.leverage;
        QUANTUM = Math.ceilDiv(config.maxTaskLife, StakeLanes.LANES - 2);
    }

    /// @inheritdoc IStaking
    function setDuty(address duty, bool allowed) external restricted {
        _notZero(duty);
        uint40 until = dutyUntil[duty];
        if (allowed) until = type(uint40).max;
        else if (until == type(uint40).max) until = _now() + maxTaskLife;
        dutyUntil[duty] = until;
        emit DutySet(duty, until);
    }

    /// @inheritdoc IStaking
    function setPaused(bool paused_) external restricted {
        paused = paused_;
        emit PausedSet(paused_);
    }

    // ------------------------------------------------------------------ operators

    /// @inheritdoc IStaking
    function registerOperator(address signer, address rewardAddress, uint16 commissionBps, bytes calldata signature)
        external
    {
        Pool storage pool = _pools[msg.sender];
        if (pool.active.flags & REGISTERED != 0) revert StakingAlreadyRegistered(msg.sender);
        _notZero(rewardAddress);
        if (commissionBps > maxCommissionBps) revert StakingCommissionTooHigh(commissionBps, maxCommissionBps);
        _takeSigner(signer, 0, signature);
        pool.active.flags = uint8(REGISTERED);
        pool.terms = Terms({
            signer: signer, commissionBps: commissionBps, pendingCommissionBps: 0, commissionFrom: 0, consents: 1
        });
        pool.rewardAddress = rewardAddress;
        // Writing these slots now makes every later change of the stake cheaper.
        pool.lanes.open(block.timestamp / QUANTUM);
        _operators.push(msg.sender);
        emit OperatorRegistered(msg.sender, signer, rewardAddress, commissionBps);
    }

    /// @inheritdoc IStaking
    function setSigner(address newSigner, bytes calldata signature) external {
        Pool storage pool = _registered(msg.sender);
        Terms memory terms = pool.terms;
        address previous = terms.signer;
        _takeSigner(newSigner, terms.consents, signature);
        delete operatorOf[previous];
        terms.signer = newSigner;
        ++terms.consents;
        pool.terms = terms;
        emit SignerChanged(msg.sender, previous, newSigner);
    }

    /// @inheritdoc IStaking
    function setRewardAddress(address newRewardAddress) external {
        Pool storage pool = _registered(msg.sender);
        _notZero(newRewardAddress);
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
        uint40 lapsesAt = terms.commissionFrom + commissionNotice;
        if (block.timestamp >= lapsesAt) revert StakingCommissionLapsed(lapsesAt);
        _setCommission(pool, terms, operator, terms.pendingCommissionBps);
    }

    /// @inheritdoc IStaking
    function unjail() external {
        Pool storage pool = _registered(msg.sender);
        uint40 until = pool.duty.jailedUntil;
        if (until == 0) revert StakingNotJailed(msg.sender);
        if (block.timestamp < until) revert StakingJailed(msg.sender, until);
        (Active memory active,,) = _preview(pool);
        if (!_isSound(_selfBond(msg.sender, active), active)) revert StakingNotEligible(msg.sender);
        pool.duty.jailedUntil = 0;
        emit Unjailed(msg.sender);
    }

    // ------------------------------------------------------------------ delegators

    /// @inheritdoc IStaking
    function delegate(address operator, uint256 amount, uint256 minShares) public returns (uint256 shares) {
        if (amount > type(uint88).max) revert StakingAmountTooLarge(amount);
        Pool storage pool = _pools[operator];
        Active memory active = _accrue(operator, pool);
        shares = _buy(operator, active, amount, minShares);
        _give(operator, msg.sender, active, shares);
        _save(pool, active);
        emit Delegated(operator, msg.sender, amount, shares);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
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
        return delegate(operator, amount, minShares);
    }

    /// @inheritdoc IStaking
    function undelegate(address operator, uint256 shares, uint256 minTokens) external returns (uint256 index) {
        Entry memory entry;
        (index, entry,) = _leave(operator, shares, 0);
        if (entry.tokens < minTokens) revert StakingSlippage(entry.tokens, minTokens);
        emit Undelegated(operator, msg.sender, index, shares, entry.tokens, uint24(entry.mark), uint40(entry.until));
    }

    /// @inheritdoc IStaking
    function withdraw(address operator, address owner, uint256 index) external returns (uint256 amount) {
        (Pool storage pool, Leaving memory leaving, Entry memory entry) = _entryOf(operator, owner, index);
        if (block.timestamp < entry.until) revert StakingUnbondingNotOver(uint40(entry.until));
        if (!_isCounted(operator, owner, index, pool, leaving, entry)) return 0;
        if (entry.mark & MOVED != 0) {
            leaving.moved -= _units(entry.tokens); // added when it left
            _saveLeaving(pool, leaving);
            return _endMove(operator, owner, index, entry);
        }
        amount = entry.worth;
        uint256 lost = _close(pool, leaving, entry);
        emit Withdrawn(operator, owner, index, amount, lost);
        TOKEN.safeTransfer(owner, amount);
    }

    /// @inheritdoc IStaking
    function cancel(address operator, uint256 index) external returns (uint256 shares) {
        (Pool storage pool, Leaving memory leaving, Entry memory entry) = _entryOf(operator, msg.sender, index);
        if (entry.mark & MOVED != 0) revert StakingMovedEntry(operator, msg.sender, index);
        if (!_isCounted(operator, msg.sender, index, pool, leaving, entry)) return 0;
        Active memory active = _accrue(operator, pool);
        shares = _buy(operator, active, entry.worth, 0);
        _give(operator, msg.sender, active, shares);
        _save(pool, active);
        // Modulo 2^48, like the addition when it left.
        unchecked {
            leaving.net -= _units(entry.tokens);
        }
        uint256 lost = _close(pool, leaving, entry);
        emit Cancelled(operator, msg.sender, index, entry.worth, lost, shares);
    }

    /// @inheritdoc IStaking
    function redelegate(address from, address to, uint256 shares, uint256 minShares) external returns (uint256 index) {
        if (from == to) revert StakingSamePool(from);
        Entry memory entry;
        uint256 left;
        (index, entry, left) = _leave(from, shares, MOVED);
        if (left < _pools[from].duty.earmarked) revert StakingStakeTooLow(from, left, _pools[from].duty.earmarked);
        Pool storage pool = _pools[to];
        Active memory active = _accrue(to, pool);
        uint256 bought = _buy(to, active, entry.tokens, minShares);
        pool.movedIn += bought;
        _save(pool, active);
        _moves[from][msg.sender][index] = Move({to: to, shares: uint128(bought)}); // part of the pool's shares
        emit Redelegated(
            from, to, msg.sender, index, shares, entry.tokens, bought, uint24(entry.mark & ~MOVED), uint40(entry.until)
        );
    }

    // ------------------------------------------------------------------ duty contracts

    /// @inheritdoc IStaking
    function earmark(address operator, uint256 amount, uint48 asOf)
        external
        whenNotPaused
        returns (uint24 gen, uint48 net)
    {
        if (!isDuty(msg.sender)) revert StakingNotDuty(msg.sender);
        if (amount == 0) revert StakingZeroAmount();
        Pool storage pool = _pools[operator];
        Active memory active = _accrue(operator, pool);
        Duty memory duty = _loadDuty(pool);
        uint256 own = _selfBond(operator, active);
        if (duty.jailedUntil != 0 || !_isSound(own, active)) revert StakingNotEligible(operator);
        uint256 free = Math.min(Math.min(active.tokens, stakeSince(operator, asOf)), leverage * own);
        free = Math.saturatingSub(free, duty.earmarked);
        if (amount > free) revert StakingStakeTooLow(operator, free, amount);

        duty.earmarked += amount; // at most active.tokens
        _saveDuty(pool, duty);
        Leaving memory leaving = _loadLeaving(pool);
        if (leaving.dirty) {
            // Who left before is of an earlier cohort. After 8 million cohorts, the last one lasts.
            if (leaving.gen < MOVED - 1) ++leaving.gen;
            leaving.dirty = false;
            _saveLeaving(pool, leaving);
        }
        _save(pool, active);
        emit Earmarked(operator, msg.sender, amount, duty.earmarked);
        return (uint24(leaving.gen), uint48(leaving.net));
    }

    /// @inheritdoc IStaking
    function releaseEarmark(address operator, uint256 amount) external {
        uint256 until = dutyUntil[msg.sender];
        if (until == 0 || block.timestamp >= until + unbondingPeriod) revert StakingNotDuty(msg.sender);
        Pool storage pool = _pools[operator];
        Duty memory duty = _loadDuty(pool);
        if (amount > duty.earmarked) revert StakingEarmarkTooLow(operator, duty.earmarked, amount);
        duty.earmarked -= amount;
        _saveDuty(pool, duty);
        emit EarmarkReleased(operator, msg.sender, amount, duty.earmarked);
    }

    /// @inheritdoc IStaking
    function slash(SlashOrder calldata order) external returns (uint256 taken) {
        if (block.timestamp >= dutyUntil[msg.sender]) revert StakingNotDuty(msg.sender);
        if (order.amount > order.earmarked) revert StakingSlashAboveEarmark(order.amount, order.earmarked);
        address operator = order.operator;
        Pool storage pool = _pools[operator];
        Active memory active = _accrue(operator, pool);
        Duty memory duty = _loadDuty(pool);
        if (order.earmarked > duty.earmarked) {
            revert StakingEarmarkTooLow(operator, duty.earmarked, order.earmarked);
        }
        Leaving memory leaving = _loadLeaving(pool);
        uint256 left = _leftSince(leaving, order.net);
        uint256 total = active.tokens + left;
        uint256 amount = Math.min(order.amount, total);
        uint256 jailedUntil = order.jails ? block.timestamp + jailPeriod : 0;
        if (order.capped) {
            if (duty.since == 0 || block.timestamp >= duty.since + unbondingPeriod) {
                (duty.since, duty.taken) = (block.timestamp, 0);
                emit AbsencePeriod(operator, _now(), _now() + unbondingPeriod);
            }
            uint256 rest = Math.saturatingSub((total + duty.taken) * absenceCapBps / BPS, duty.taken);
            // An exhausted cap is no licence: each fault beyond it jails, to the end of the period at least.
            if (order.amount != 0 && order.amount >= rest) {
                amount = Math.min(amount, rest);
                jailedUntil = Math.max(duty.since + unbondingPeriod, block.timestamp + jailPeriod);
            }
        }

        Cut memory cut;
        uint256 ownShares = _positions[operator][operator].shares;
        if (order.ownFirst) ownShares = _burnOwn(operator, active, amount, ownShares, cut);
        if (amount != cut.own) _cut(operator, pool, active, leaving, left, amount - cut.own, order.gen, cut);
        taken = cut.fromActive + cut.fromLeaving;
        if (order.reporter != address(0)) {
            // The burnt shares, and the part of the rest that the operator's shares bore.
            uint256 own = cut.own + (cut.fromActive - cut.own) * ownShares / (active.shares + VIRTUAL);
            cut.reward = Math.min(own / 2, taken * REPORTER_MAX_BPS / BPS);
            _credit(order.reporter, cut.reward);
        }

        duty.earmarked -= taken; // taken <= amount <= earmarked
        if (order.capped) duty.taken += taken;
        bool jails = jailedUntil > duty.jailedUntil;
        if (jails) duty.jailedUntil = jailedUntil;
        _saveDuty(pool, duty);
        _setBonded(active, ownShares);
        _save(pool, active);
        _credit(treasury, cut.fromActive - cut.reward);
        emit Slashed(
            operator,
            msg.sender,
            cut.fromActive,
            cut.fromLeaving,
            cut.own,
            cut.ownShares,
            order.reporter,
            cut.reward,
            cut.fromActive - cut.reward,
            order.capped
        );
        if (jails) emit Jailed(operator, uint40(jailedUntil));
    }

    /// @inheritdoc IStaking
    function addReward(address operator, uint256 amount, uint256 backing) external {
        if (amount == 0) revert StakingZeroAmount();
        if (amount > type(uint88).max) revert StakingAmountTooLarge(amount);
        Pool storage pool = _pools[operator];
        Active memory active = _accrue(operator, pool);
        uint256 dripping = _backed(amount - amount * pool.terms.commissionBps / BPS, active, active.tokens, backing);
        uint256 end = 0;
        if (dripping != 0) {
            Drip memory drip = _loadDrip(pool);
            // The new end is the mean of the ends of the running and the new drip, weighted by amount. Dust moves it only by its
            // weight, and the mean of two times within a period is within a period. The same holds for the backing.
            uint256 rest = drip.undripped == 0 ? 0 : drip.end - block.timestamp;
            uint256 sum = drip.undripped + dripping;
            end = block.timestamp + (drip.undripped * rest + dripping * dripPeriod) / sum;
            drip.backing = (drip.undripped * drip.backing + dripping * (active.shares >> UNIT_BITS)) / sum;
            (drip.end, drip.start, drip.undripped) = (end, block.timestamp, sum);
            _saveDrip(pool, drip);
            active.flags |= DRIPPING;
        }
        _save(pool, active);
        uint256 paid = amount - dripping;
        emit RewardAdded(operator, amount, paid, dripping, uint40(end));
        if (paid != 0) TOKEN.safeTransferFrom(msg.sender, pool.rewardAddress, paid);
        if (dripping != 0) TOKEN.safeTransferFrom(msg.sender, address(this), dripping);
    }

    // ------------------------------------------------------------------ upkeep

    /// @inheritdoc IStaking
    function accrue(address operator) external {
        Pool storage pool = _pools[operator];
        Active memory active = _accrue(operator, pool);
        _setBonded(active, _positions[operator][operator].shares);
        _save(pool, active);
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
    function poolOf(address operator) external view returns (PoolView memory state) {
        Pool storage pool = _pools[operator];
        (Active memory active, Drip memory drip,) = _preview(pool);
        Terms storage terms = pool.terms;
        state.signer = terms.signer;
        state.rewardAddress = pool.rewardAddress;
        state.commissionBps = terms.commissionBps;
        state.pendingCommissionBps = terms.pendingCommissionBps;
        state.commissionFrom = terms.commissionFrom;
        Duty memory duty = _loadDuty(pool);
        state.jailedUntil = uint40(duty.jailedUntil);
        state.earmarked = duty.earmarked;
        (state.activeTokens, state.activeShares) = (active.tokens, active.shares);
        state.bonded = active.flags & BONDED != 0;
        state.selfBond = _selfBond(operator, active);
        (state.undripped, state.dripEnd, state.dripBacking) =
        (drip.undripped, uint40(drip.end), drip.backing << UNIT_BITS);
        Leaving memory leaving = _loadLeaving(pool);
        state.unbondingTokens = leaving.unbonding;
        state.movedTokens = leaving.moved << UNIT_BITS;
        (state.gen, state.records, state.net) = (uint24(leaving.gen), uint24(leaving.records), uint48(leaving.net));
    }

    /// @inheritdoc IStaking
    function sharesOf(address operator, address delegator) external view returns (uint256) {
        return _positions[operator][delegator].shares;
    }

    /// @inheritdoc IStaking
    function tokensFor(address operator, uint256 shares) public view returns (uint256) {
        (Active memory active,,) = _preview(_pools[operator]);
        return _toTokens(shares, active);
    }

    /// @inheritdoc IStaking
    function entryCount(address operator, address owner) external view returns (uint256) {
        return _positions[operator][owner].entries;
    }

    /// @inheritdoc IStaking
    function entryOf(address operator, address owner, uint256 index) external view returns (EntryView memory state) {
        Pool storage pool = _pools[operator];
        Entry memory entry = _loadEntry(operator, owner, index);
        state.tokens = entry.tokens;
        state.until = uint40(entry.until);
        state.gen = uint24(entry.mark & ~MOVED);
        state.records = uint24(entry.records);
        if (entry.tokens != 0) _count(pool, pool.leaving.records, entry);
        state.worth = entry.worth;
        Move storage move = _moves[operator][owner][index];
        (state.movedTo, state.shares) = (move.to, move.shares);
    }

    /// @inheritdoc IStaking
    function operatorCount() external view returns (uint256) {
        return _operators.length;
    }

    /// @inheritdoc IStaking
    function operatorAt(uint256 index) external view returns (address) {
        return _operators[index];
    }

    /// @inheritdoc IStaking
    function consentNonceOf(address operator) external view returns (uint256) {
        return _pools[operator].terms.consents;
    }

    /// @inheritdoc IStaking
    function recordOf(address operator, uint256 index) external view returns (uint24 gen, uint128 keep) {
        Record storage record = _pools[operator].records[index];
        return (record.gen, record.keep);
    }

    /// @inheritdoc IStaking
    function movedIn(address operator) external view returns (uint256) {
        return tokensFor(operator, _pools[operator].movedIn);
    }

    /// @inheritdoc IStaking
    function isEligible(address operator) external view returns (bool) {
        return eligibleStake(operator) != 0;
    }

    /// @inheritdoc IStaking
    function eligibleStake(address operator) public view returns (uint256) {
        Pool storage pool = _pools[operator];
        (Active memory active,,) = _preview(pool);
        return pool.duty.jailedUntil == 0 && _isSound(_selfBond(operator, active), active) ? active.tokens : 0;
    }

    /// @inheritdoc IStaking
    function stakeSince(address operator, uint48 timepoint) public view returns (uint256) {
        if (timepoint >= block.timestamp) revert StakingFutureLookup(timepoint, clock());
        Pool storage pool = _pools[operator];
        if (timepoint >= pool.active.changedAt) return pool.active.tokens;
        return pool.lanes.lowestSince(timepoint / QUANTUM, block.timestamp / QUANTUM);
    }

    /// @inheritdoc IStaking
    function absenceOf(address operator) external view returns (uint40 since, uint256 taken, uint256 cap) {
        Pool storage pool = _pools[operator];
        since = pool.duty.since;
        if (block.timestamp < since + unbondingPeriod) taken = pool.duty.taken;
        (Active memory active,,) = _preview(pool);
        cap = (active.tokens + taken) * absenceCapBps / BPS;
    }

    /// @inheritdoc IStaking
    function isDuty(address account) public view returns (bool) {
        return dutyUntil[account] == type(uint40).max;
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

    function _notZero(address account) private pure {
        if (account == address(0)) revert StakingZeroAddress();
    }

    function _registered(address operator) private view returns (Pool storage pool) {
        pool = _pools[operator];
        if (pool.active.flags & REGISTERED == 0) revert StakingUnknownOperator(operator);
    }

    /// @dev A signature of the signer, so that nobody can occupy another's key.
    function _takeSigner(address signer, uint256 nonce, bytes calldata signature) private {
        _notZero(signer);
        if (operatorOf[signer] != address(0)) revert StakingSignerTaken(signer);
        bytes32 domain = keccak256(abi.encode(DOMAIN, NAME, VERSION, block.chainid, address(this)));
        bytes32 consent = keccak256(abi.encode(CONSENT, msg.sender, nonce));
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, consent);
        (address consenting,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (consenting != signer) revert StakingNoConsent(signer, msg.sender);
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
    function _isSound(uint256 own, Active memory active) private view returns (bool) {
        return own >= minSelfBond && !_isRuined(active);
    }

    function _selfBond(address operator, Active memory active) private view returns (uint256) {
        return _toTokens(_positions[operator][operator].shares, active);
    }

    /// @dev Keep whether the operator, with `ownShares`, is bonded.
    function _setBonded(Active memory active, uint256 ownShares) private view {
        active.flags = active.flags & ~BONDED;
        if (_toTokens(ownShares, active) >= minSelfBond) active.flags |= BONDED;
    }

    // ------------------------------------------------------------------ internals: shares

    /// @dev Add `amount`, which fits 88 bits, to a pool; the caller books the shares. Only the operator adds to a pool without bond.
    function _buy(address operator, Active memory active, uint256 amount, uint256 minShares)
        private
        view
        whenNotPaused
        returns (uint256 shares)
    {
        if (active.flags & BONDED == 0 && msg.sender != operator) revert StakingNotBonded(operator);
        if (_isRuined(active)) revert StakingPoolRuined(operator);
        shares = amount * (active.shares + VIRTUAL) / (active.tokens + VIRTUAL);
        if (shares == 0) revert StakingZeroAmount();
        if (shares < minShares) revert StakingSlippage(shares, minShares);
        // Above the floor, shares are below 2^(88 + 36).
        active.shares += shares;
        active.tokens += amount;
    }

    /// @dev Book shares that the pool includes already.
    function _give(address operator, address owner, Active memory active, uint256 shares) private {
        Position storage position = _positions[operator][owner];
        shares += position.shares;
        position.shares = uint128(shares); // part of the pool's, which fit
        if (owner == operator) _setBonded(active, shares);
    }

    /// @dev Take the caller's shares out of a pool and open an entry. Returns also the tokens that stay.
    function _leave(address operator, uint256 shares, uint256 moved)
        private
        returns (uint256 index, Entry memory entry, uint256 rest)
    {
        Pool storage pool = _pools[operator];
        Active memory active = _accrue(operator, pool);
        Position storage position = _positions[operator][msg.sender];
        uint256 owned = position.shares;
        index = position.entries;
        if (shares > owned) revert StakingInsufficientShares(owned, shares);
        uint256 tokens = _toTokens(shares, active);
        // Zero shares are worth zero tokens, too.
        if (tokens == 0) revert StakingZeroAmount();
        owned -= shares;
        (position.shares, position.entries) = (uint128(owned), uint32(index + 1));
        // A delegator's shares are part of the pool's, and their tokens at most the pool's.
        active.shares -= shares;
        active.tokens -= tokens;
        rest = active.tokens;
        if (msg.sender == operator) {
            uint256 earmarked = pool.duty.earmarked;
            if (earmarked != 0) revert StakingEarmarked(operator, earmarked);
            _setBonded(active, owned);
        }
        _save(pool, active);

        Leaving memory leaving = _loadLeaving(pool);
        uint256 units = _units(tokens);
        leaving.net += units;
        if (moved == 0) leaving.unbonding += tokens;
        else leaving.moved += units;
        leaving.dirty = true;
        _saveLeaving(pool, leaving);
        entry = Entry({
            tokens: tokens,
            worth: tokens,
            mark: leaving.gen | moved,
            records: leaving.records,
            until: block.timestamp + unbondingPeriod
        });
        _saveEntry(operator, msg.sender, index, entry);
    }

    /// @dev Virtual tokens do not exist. Below a price of 1 the last share would be worth some of them, hence the minimum.
    function _toTokens(uint256 shares, Active memory active) private pure returns (uint256) {
        return Math.min(shares * (active.tokens + VIRTUAL) / (active.shares + VIRTUAL), active.tokens);
    }

    function _isRuined(Active memory active) private pure returns (bool) {
        return (active.tokens + VIRTUAL) << RUIN_BITS < active.shares + VIRTUAL;
    }

    // ------------------------------------------------------------------ internals: drip and history

    /// @dev The current pool, in memory, and the part of the drip since the last update that its stake does not back.
    function _preview(Pool storage pool)
        private
        view
        returns (Active memory active, Drip memory drip, uint256 unbacked)
    {
        active = _load(pool);
        if (active.flags & DRIPPING == 0) return (active, drip, 0);
        drip = _loadDrip(pool);
        uint256 dripped = drip.undripped;
        if (block.timestamp < drip.end) {
            // Linear in time from `start` to `end`.
            dripped = dripped * (block.timestamp - drip.start) / (drip.end - drip.start);
        } else {
            active.flags &= ~DRIPPING;
        }
        drip.undripped -= dripped;
        drip.start = block.timestamp;
        // In shares: what dripped already is no stake that backs the rest. In tokens, dust would grow exponentially.
        uint256 backed = _backed(dripped, active, active.shares, drip.backing << UNIT_BITS);
        active.tokens += backed;
        unbacked = dripped - backed;
    }

    /// @dev Store the drip; the caller stores the active side.
    function _accrue(address operator, Pool storage pool) private returns (Active memory active) {
        Drip memory drip;
        uint256 unbacked;
        (active, drip, unbacked) = _preview(pool);
        if (active.flags & REGISTERED == 0) revert StakingUnknownOperator(operator);
        if (drip.start == 0) return active; // nothing dripped
        _saveDrip(pool, drip);
        _credit(pool.rewardAddress, unbacked);
        uint256 backed = active.tokens - pool.active.tokens;
        if (backed + unbacked != 0) emit Dripped(operator, backed, unbacked);
    }

    /// @dev The part of a reward that drips into a pool: all of it while the pool has half of the stake that earned it, in proportion
    /// below. Dust in a pool that was left takes next to nothing, and with fewer real shares than virtual ones, nothing.
    function _backed(uint256 amount, Active memory active, uint256 stake, uint256 backing)
        private
        pure
        returns (uint256)
    {
        if (active.shares < VIRTUAL) return 0;
        uint256 twice = 2 * stake;
        return twice >= backing ? amount : amount * twice / backing;
    }

    function _save(Pool storage pool, Active memory active) private {
        uint256 before = pool.active.tokens;
        if (active.tokens != before) {
            uint256 last = active.changedAt / QUANTUM;
            pool.lanes.note(last, block.timestamp / QUANTUM, before, active.tokens);
            active.changedAt = block.timestamp;
        }
        pool.active = ActiveSlot({
            tokens: uint88(active.tokens),
            shares: uint128(active.shares),
            changedAt: uint32(active.changedAt),
            flags: uint8(active.flags)
        });
    }

    function _now() private view returns (uint40) {
        return uint40(block.timestamp);
    }

    // ------------------------------------------------------------------ internals: slots. All amounts fit: supply and shares are bounded.

    function _load(Pool storage pool) private view returns (Active memory active) {
        ActiveSlot storage slot = pool.active;
        (active.tokens, active.shares) = (slot.tokens, slot.shares);
        (active.changedAt, active.flags) = (slot.changedAt, slot.flags);
    }

    function _loadDrip(Pool storage pool) private view returns (Drip memory drip) {
        DripSlot storage slot = pool.drip;
        (drip.undripped, drip.end, drip.start, drip.backing) = (slot.undripped, slot.end, slot.start, slot.backing);
    }

    function _saveDrip(Pool storage pool, Drip memory drip) private {
        pool.drip = DripSlot({
            undripped: uint88(drip.undripped),
            end: uint40(drip.end),
            start: uint40(drip.start),
            backing: uint88(drip.backing)
        });
    }

    function _loadDuty(Pool storage pool) private view returns (Duty memory duty) {
        DutySlot storage slot = pool.duty;
        (duty.earmarked, duty.taken) = (slot.earmarked, slot.taken);
        (duty.since, duty.jailedUntil) = (slot.since, slot.jailedUntil);
    }

    function _saveDuty(Pool storage pool, Duty memory duty) private {
        pool.duty = DutySlot({
            earmarked: uint88(duty.earmarked),
            taken: uint88(duty.taken),
            since: uint40(duty.since),
            jailedUntil: uint40(duty.jailedUntil)
        });
    }

    function _loadLeaving(Pool storage pool) private view returns (Leaving memory leaving) {
        LeavingSlot storage slot = pool.leaving;
        (leaving.net, leaving.gen, leaving.records) = (slot.net, slot.gen, slot.records);
        (leaving.dirty, leaving.unbonding, leaving.moved) = (slot.dirty, slot.unbonding, slot.moved);
    }

    /// @dev `net` is modulo 2^48.
    function _saveLeaving(Pool storage pool, Leaving memory leaving) private {
        pool.leaving = LeavingSlot({
            net: uint48(leaving.net),
            gen: uint24(leaving.gen),
            records: uint24(leaving.records),
            dirty: leaving.dirty,
            unbonding: uint88(leaving.unbonding),
            moved: uint48(leaving.moved)
        });
    }

    function _loadEntry(address operator, address owner, uint256 index) private view returns (Entry memory entry) {
        EntrySlot storage slot = _entries[operator][owner][index];
        (entry.tokens, entry.worth) = (slot.tokens, slot.worth);
        (entry.mark, entry.records, entry.until) = (slot.mark, slot.records, slot.until);
    }

    function _saveEntry(address operator, address owner, uint256 index, Entry memory entry) private {
        _entries[operator][owner][index] = EntrySlot({
            tokens: uint88(entry.tokens),
            worth: uint88(entry.worth),
            mark: uint24(entry.mark),
            records: uint24(entry.records),
            until: uint32(entry.until)
        });
    }

    // ------------------------------------------------------------------ internals: entries

    function _units(uint256 tokens) private pure returns (uint256) {
        return (tokens + (1 << UNIT_BITS) - 1) >> UNIT_BITS;
    }

    function _credit(address account, uint256 amount) private {
        if (amount != 0) owedTo[account] += amount;
    }

    function _entryOf(address operator, address owner, uint256 index)
        private
        view
        returns (Pool storage pool, Leaving memory leaving, Entry memory entry)
    {
        entry = _loadEntry(operator, owner, index);
        if (entry.tokens == 0) revert StakingUnknownEntry(operator, owner, index);
        pool = _pools[operator];
        leaving = _loadLeaving(pool);
    }

    /// @dev Count the records before `end`. Of those since the entry left, it bears those of its own or an earlier cohort.
    function _count(Pool storage pool, uint256 end, Entry memory entry) private view {
        uint256 gen = entry.mark & ~MOVED;
        for (; entry.records < end; ++entry.records) {
            Record storage record = pool.records[entry.records];
            if (record.gen <= gen) entry.worth = (entry.worth * record.keep) >> 128;
        }
    }

    /// @dev Count the records of an entry; delete it if none is left, else store it.
    function _isCounted(
        address operator,
        address owner,
        uint256 index,
        Pool storage pool,
        Leaving memory leaving,
        Entry memory entry
    ) private returns (bool) {
        _count(pool, Math.min(leaving.records, entry.records + MAX_COUNT), entry);
        if (entry.records == leaving.records) {
            delete _entries[operator][owner][index];
            return true;
        }
        _saveEntry(operator, owner, index, entry);
        emit EntryCounted(operator, owner, index, entry.worth, uint24(entry.records));
        return false;
    }

    /// @dev Remove an entry from the pool's sum, and credit what it lost to the treasury.
    function _close(Pool storage pool, Leaving memory leaving, Entry memory entry) private returns (uint256 lost) {
        leaving.unbonding -= entry.tokens;
        _saveLeaving(pool, leaving);
        lost = entry.tokens - entry.worth;
        _credit(treasury, lost);
    }

    /// @dev Give the owner of a moved entry its shares, less the part that records of the pool it left took, which is sold.
    function _endMove(address operator, address owner, uint256 index, Entry memory entry)
        private
        returns (uint256 kept)
    {
        Move memory move = _moves[operator][owner][index];
        delete _moves[operator][owner][index];
        Pool storage pool = _pools[move.to];
        Active memory active = _accrue(move.to, pool);
        pool.movedIn -= move.shares;
        kept = uint256(move.shares) * entry.worth / entry.tokens;
        uint256 lost = move.shares - kept;
        uint256 sold = _toTokens(lost, active);
        active.shares -= lost; // part of the pool's, as are the tokens
        active.tokens -= sold;
        _give(move.to, owner, active, kept);
        _save(pool, active);
        _credit(treasury, sold);
        emit MoveEnded(operator, move.to, owner, index, kept, lost, sold);
    }

    // ------------------------------------------------------------------ internals: slashing

    /// @dev Tokens that left since an earmark and are still held or moved. Negative differences count as 0.
    function _leftSince(Leaving memory leaving, uint48 net) private pure returns (uint256) {
        uint256 since;
        // Modulo 2^48.
        unchecked {
            since = uint48(leaving.net - net);
        }
        if (since >> 47 != 0) return 0;
        return Math.min(since << UNIT_BITS, leaving.unbonding + (leaving.moved << UNIT_BITS));
    }

    /// @dev Burn the operator's own shares, at most for `amount`. Returns those that are left.
    function _burnOwn(address operator, Active memory active, uint256 amount, uint256 ownShares, Cut memory cut)
        private
        returns (uint256)
    {
        uint256 worth = _toTokens(ownShares, active);
        uint256 own = Math.min(amount, worth);
        uint256 burnt = ownShares;
        // Rounded up, so that others do not lose.
        if (own != worth) {
            burnt = Math.min(burnt, Math.ceilDiv(own * (active.shares + VIRTUAL), active.tokens + VIRTUAL));
        }
        _positions[operator][operator].shares = uint128(ownShares - burnt);
        active.shares -= burnt; // part of the pool's, as are the tokens
        active.tokens -= own;
        (cut.fromActive, cut.own, cut.ownShares) = (own, own, burnt);
        return ownShares - burnt;
    }

    /// @dev Active stake and the `left` tokens that left since the earmark lose the same fraction: active stake at once, up to the
    /// floor that keeps shares within 128 bits, entries by a record.
    function _cut(
        address operator,
        Pool storage pool,
        Active memory active,
        Leaving memory leaving,
        uint256 left,
        uint256 amount,
        uint24 gen,
        Cut memory cut
    ) private {
        // amount <= total, so the parts do not exceed either side, and 0 < amount, so keep is below 2^128.
        uint256 total = active.tokens + left;
        uint256 fromActive = amount * active.tokens / total;
        if (left != 0) {
            cut.fromLeaving = amount - fromActive;
            uint24 index = uint24(leaving.records++);
            uint128 keep = uint128(((total - amount) << 128) / total);
            pool.records[index] = Record({gen: gen, keep: keep});
            _saveLeaving(pool, leaving);
            emit RecordAdded(operator, index, gen, keep);
        }
        fromActive = Math.min(fromActive, Math.saturatingSub(active.tokens, active.shares >> FLOOR_BITS));
        active.tokens -= fromActive;
        cut.fromActive += fromActive;
    }
}
